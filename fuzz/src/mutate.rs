//! Damage to a file.

use rand::RngExt;
use rand_pcg::Pcg64;

/// Numbers at which readers of lengths go wrong.
const EDGES: [u64; 18] = [
    0,
    1,
    2,
    3,
    8,
    27,
    28,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 53,
    u64::MAX / 4 + 1,
    u64::MAX / 2,
    u64::MAX,
];

/// Files longer than this are cut.
const LONGEST: usize = 64 << 10;

/// A file of `corpus`, changed in one to five places; `repair` may then mend what would hide the damage.
pub(crate) fn mutate(corpus: &[Vec<u8>], repair: fn(&mut Vec<u8>), rng: &mut Pcg64) -> Vec<u8> {
    let mut file = corpus[rng.random_range(0..corpus.len())].clone();
    let other = &corpus[rng.random_range(0..corpus.len())];
    for _ in 0..rng.random_range(1..=5) {
        damage(&mut file, other, rng);
    }
    file.truncate(LONGEST);
    if rng.random_bool(0.5) {
        repair(&mut file);
    }
    file
}

fn damage(file: &mut Vec<u8>, other: &[u8], rng: &mut Pcg64) {
    let length = file.len();
    // Headers stand first.
    let at = |rng: &mut Pcg64| match rng.random_bool(0.5) {
        true => rng.random_range(0..=length.min(64)),
        false => rng.random_range(0..=length),
    };
    let (a, b) = (at(rng), at(rng));
    let (from, to) = (a.min(b), a.max(b));
    let edge = EDGES[rng.random_range(0..EDGES.len())];
    match rng.random_range(0..10) {
        0 => file[from..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << rng.random_range(0..8)),
        1 => file[from..].iter_mut().take(1).for_each(|byte| *byte = rng.random()),
        2 => file.truncate(to),
        3 => drop(file.drain(from..to)),
        4 => {
            let copy = file[from..to].to_vec();
            file.splice(to..to, copy);
        }
        5 => {
            let part = &other[from.min(other.len())..to.min(other.len())];
            file.splice(a..a, part.iter().copied());
        }
        6 => overwrite(file, from, &(edge as u32).to_be_bytes()),
        7 => overwrite(file, from, &edge.to_le_bytes()),
        8 => file.extend((0..rng.random_range(1..64)).map(|i| i as u8)),
        _ => number(file, from, edge),
    }
}

fn overwrite(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..].iter_mut().zip(bytes).for_each(|(old, new)| *old = *new);
}

/// Puts `value` in the place of the first decimal number behind `at`.
fn number(file: &mut Vec<u8>, at: usize, value: u64) {
    let Some(start) = file[at..].iter().position(u8::is_ascii_digit).map(|i| at + i) else { return };
    let digits = file[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    file.splice(start..start + digits, value.to_string().into_bytes());
}
