// A batch out of a data set that lies on the device as bytes, normalised:
//   x[r] = scale · pixels[order[start + r]] + shift,  y[r] = label of that image
// order: the epoch's order; pixels: four bytes a word, each image from a word of its own, images first … first + count - 1 (a
// large data set lies in several buffers, and each launch fills the rows whose image it has); labels: four a word, of all
// images.  x: [rows, SIZE]. One invocation a word of an image. Chosen: put_*, and pixels_*, which takes the pixels as they are
// or shifts and mirrors the image.
// Uses: index.
struct Params { first_group: u32, n: u32, start: u32, first: u32, count: u32, scale: f32, shift: f32, key: u32, epoch: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read> pixels: array<u32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<X>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;

const WORDS = (SIZE + 3u) / 4u;

@compute @workgroup_size(WORKGROUP)
fn gather_images(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = thread_index(id, groups);
    if i >= p.n {
        return;
    }
    let row = i / WORDS;
    let image = order[p.start + row];
    // Images before `first` wrap around to large numbers.
    if image - p.first >= p.count {
        return;
    }
    let bytes = pixels_of(image, i % WORDS);
    put(row, i % WORDS, vec4<f32>(bytes) * p.scale + p.shift);
    if i % WORDS == 0u {
        y[row] = (labels[image / 4u] >> (image % 4u * 8u)) & 255u;
    }
}
