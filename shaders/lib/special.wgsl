// Shared: special values. NaN and infinity are told by their bits: WGSL lets implementations assume that neither occurs, so
// compilers may take a comparison of a value with itself for true, and min, max and clamp may drop a NaN.
const MAGNITUDE = 0x7fffffffu; // all but the sign
const INFINITY = 0x7f800000u; // the magnitude of infinity; a NaN's is larger
const QUIET_NAN = 0x7fc00000u;

// The f32 of these bits, worked out when the kernel runs: browsers refuse constants that are NaN or infinite.
fn float_of(bits: u32) -> f32 {
    return bitcast<f32>(bits);
}

fn is_nan(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(MAGNITUDE)) > vec4<u32>(INFINITY);
}

fn is_nan_f32(x: f32) -> bool {
    return (bitcast<u32>(x) & MAGNITUDE) > INFINITY;
}

// The larger one, or NaN where one of them is NaN.
fn larger(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(b, a, (a > b) | is_nan(a));
}

fn larger_f32(a: f32, b: f32) -> f32 {
    return select(b, a, a > b || is_nan_f32(a));
}

// max(x, 0), or NaN where x is.
fn relu(x: vec4<f32>) -> vec4<f32> {
    return select(x, vec4<f32>(), (x < vec4<f32>()) & !is_nan(x));
}

// The gradient of a ReLU whose output was y: dy where y is above 0, or NaN.
fn relu_grad(y: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), dy, (y > vec4<f32>()) | is_nan(y));
}
