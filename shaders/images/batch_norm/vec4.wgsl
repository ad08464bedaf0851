// Shared by batch_norm: planes are whole vec4.
// Uses: special.
alias X = vec4<f32>;
const WIDTH = 4u;

fn total(v: X) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

// Where a ReLU lets nothing through: NaN passes.
fn is_stopped(v: X) -> vec4<bool> {
    return (v <= X(0.0)) & !is_nan(v);
}
