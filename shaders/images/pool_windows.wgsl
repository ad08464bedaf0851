// Shared: max pooling over 2 × 2 windows, and perhaps a ReLU. The mask says which pixel of each window was its first maximum, the
// winner: a number from 0 to 3, row by row, or NONE where a ReLU let nothing through. The winners of four windows side by side
// are bytes of a word of the mask.
// Uses: relu_if, special.
const NONE = 4u;

// The upper left, upper right, lower left and lower right pixels of four windows.
alias Pixels = array<vec4<f32>, 4>;

struct Pooled {
    best: vec4<f32>,
    winner: vec4<u32>,
}

// Whether a later pixel wins: if it is greater, or NaN, so that a run that diverged shows it.
fn wins(later: vec4<f32>, best: vec4<f32>) -> vec4<bool> {
    return (later > best) | is_nan(later);
}

fn pool(pixels: Pixels, relu: bool) -> Pooled {
    var all = Pooled(pixels[0], vec4<u32>());
    for (var i = 1u; i < 4u; i++) {
        let later = wins(pixels[i], all.best);
        all = Pooled(select(all.best, pixels[i], later), select(all.winner, vec4<u32>(i), later));
    }
    let passes = (all.best > vec4<f32>()) | is_nan(all.best) | vec4<bool>(!relu);
    return Pooled(relu_if(all.best, relu), select(vec4<u32>(NONE), all.winner, passes));
}

// The mask's word of four windows.
fn mask_of(winners: vec4<u32>) -> u32 {
    return winners.x | (winners.y << 8u) | (winners.z << 16u) | (winners.w << 24u);
}

// The winners of a word's windows.
fn winners_of(mask: u32) -> vec4<u32> {
    return (vec4<u32>(mask) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
}
