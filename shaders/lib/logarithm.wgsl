// Shared: ln x and ln(1 + x) to a few units in the last place, wherever the result lies. WGSL's own log may be off by 2⁻²¹
// for x near 1, where the result is near 0.
//   x = m · 2^e with m in [√½, √2):  ln x = e · ln 2 + 2 artanh s,  s = (m - 1) / (m + 1), |s| < 0.1716
//   ln(1 + x) = 2 artanh s,  s = x / (2 + x), while |s| is that small
// Uses: special.

// 2 artanh s = 2 s (1 + s² P(s²)): P was fitted for the least relative error, 1e-9.
fn twice_artanh(s: vec4<f32>) -> vec4<f32> {
    let z = s * s;
    return 2.0 * s + 2.0 * s * z * (0.33333388 + z * (0.19988761 + z * 0.14936157));
}

// ln 2 in two parts: the first has few enough digits that its product with an exponent is exact.
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.12194440e-4;
const SQRT_HALF = 0x3f3504f3; // its bits

fn ln(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    // The bits of a subnormal number count units of 2⁻¹⁴⁹, and adapters may take the number itself for 0.
    let subnormal = bits < vec4<u32>(0x00800000u);
    let normal = bitcast<vec4<i32>>(select(bits, bitcast<vec4<u32>>(vec4<f32>(bits)), subnormal));
    let exponent = (normal - vec4<i32>(SQRT_HALF)) >> vec4<u32>(23u);
    let m = bitcast<vec4<f32>>(normal - (exponent << vec4<u32>(23u)));
    let e = vec4<f32>(exponent - select(vec4<i32>(), vec4<i32>(149), subnormal));
    let value = e * LN2_HIGH + (twice_artanh((m - 1.0) / (m + 1.0)) + e * LN2_LOW);
    // NaN for what is negative or NaN, infinity for itself, minus infinity for 0 and -0.
    var result = select(bitcast<vec4<u32>>(value), bits | vec4<u32>(QUIET_NAN), bits > vec4<u32>(INFINITY));
    result = select(result, bits, bits == vec4<u32>(INFINITY));
    result = select(result, vec4<u32>(0xff800000u), (bits & vec4<u32>(MAGNITUDE)) == vec4<u32>());
    return bitcast<vec4<f32>>(result);
}

fn ln_1p(x: vec4<f32>) -> vec4<f32> {
    let small = (x > vec4<f32>(-0.29)) & (x < vec4<f32>(0.41));
    return select(ln(1.0 + x), twice_artanh(x / (2.0 + x)), small);
}
