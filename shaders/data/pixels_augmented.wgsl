// Shared by gather_images: the image shifted by up to PAD pixels along each axis, its edges reflected as by PyTorch's
// F.pad(mode="reflect"), and every other one mirrored if FLIP = 1. What happens to an image is a function of key, epoch
// and its number in the data set: of its random word the low 16 bits choose among the 2·PAD + 1 rows to start from, the
// next 15 among the columns, and the highest says whether it is mirrored.
// Images are [SIZE / (H · W), H, W]; constants: SIZE, H, W, PAD and FLIP, PAD below H and W.
// Uses: random.
const SPAN = 2u * PAD + 1u;

// Position `at` of an axis of n pixels continued on both sides by its mirror image.
fn reflected(at: i32, n: u32) -> u32 {
    let last = i32(n) - 1;
    return u32(last - abs(last - abs(at)));
}

fn pixels_of(image: u32, word: u32) -> vec4<u32> {
    let random = random_u32(p.key, p.epoch, image);
    let down = i32(((random & 0xffffu) * SPAN) >> 16u) - i32(PAD);
    let right = i32((((random >> 16u) & 0x7fffu) * SPAN) >> 15u) - i32(PAD);
    let mirrored = FLIP == 1u && (random >> 31u) == 1u;
    var bytes = vec4<u32>(0u);
    for (var e = 0u; e < 4u; e++) {
        // The last word of an image may reach past it; what is put there is ignored.
        let at = min(word * 4u + e, SIZE - 1u);
        let row = reflected(i32(at / W % H) + down, H);
        let col = reflected(i32(select(at % W, W - 1u - at % W, mirrored)) + right, W);
        let source = at / (H * W) * (H * W) + row * W + col;
        bytes[e] = (pixels[(image - p.first) * WORDS + source / 4u] >> (source % 4u * 8u)) & 255u;
    }
    return bytes;
}
