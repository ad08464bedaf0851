// Shared by batch_norm: planes are whole vec4.
alias X = vec4<f32>;
const WIDTH = 4u;

fn total(v: X) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}
