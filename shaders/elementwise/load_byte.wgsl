// One byte of the words x as a number.
fn load_at(at: u32) -> C { return C((x[at / 4u] >> (8u * (at % 4u))) & 255u); }
