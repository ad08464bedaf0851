// Draws two pictures beside each other, each as large as its half of the window allows.

struct Window {
    // Width and height in pixels.
    size: vec2<f32>,
    padding: vec2<f32>,
}

@group(0) @binding(0) var<uniform> window: Window;
@group(0) @binding(1) var left: texture_2d<f32>;
@group(0) @binding(2) var right: texture_2d<f32>;
@group(0) @binding(3) var smooth_sampler: sampler;

const GAP = 12.0;
const BACKGROUND = vec4<f32>(0.055, 0.06, 0.075, 1.0);

// One triangle that covers the window.
@vertex
fn cover(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(i / 2u) * 4.0 - 1.0, f32(i % 2u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn draw(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let half_width = window.size.x / 2.0;
    let on_right = position.x >= half_width;
    let place = position.xy - vec2<f32>(select(0.0, half_width, on_right), 0.0);
    let picture = vec2<f32>(textureDimensions(left));
    let room = vec2<f32>(half_width, window.size.y) - 2.0 * GAP;
    let shown = picture * max(min(room.x / picture.x, room.y / picture.y), 0.0);
    let uv = (place - (vec2<f32>(half_width, window.size.y) - shown) / 2.0) / shown;
    if any(uv < vec2<f32>(0.0)) || any(uv >= vec2<f32>(1.0)) {
        return BACKGROUND;
    }
    if on_right {
        return textureSampleLevel(right, smooth_sampler, uv, 0.0);
    }
    return textureSampleLevel(left, smooth_sampler, uv, 0.0);
}
