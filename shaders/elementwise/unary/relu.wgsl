// f(x) = max(x, 0), f' = 1 where y > 0 and 0 elsewhere. A select, since max may drop a NaN, and a run that diverged
// would go on with zeros.
fn f(x: vec4<f32>) -> vec4<f32> { return select(x, vec4<f32>(0.0), x < vec4<f32>(0.0)); }
fn df(y: vec4<f32>) -> vec4<f32> { return select(vec4<f32>(0.0), vec4<f32>(1.0), y > vec4<f32>(0.0)); }
