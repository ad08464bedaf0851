// f(x) = √x, NaN for x < 0; f' = 1 / (2y).
// Uses: special.
fn f(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    // Adapters may return anything for the root of a negative number; -0 is its own root.
    let none = is_nan(x) | (bits > vec4<u32>(0x80000000u));
    return bitcast<vec4<f32>>(select(bitcast<vec4<u32>>(sqrt(x)), bits | vec4<u32>(QUIET_NAN), none));
}
fn gradient(y: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy / (2.0 * y); }
