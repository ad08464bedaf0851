//! Shifted and mirrored batches against the host's own reading of the generator, and how often each change occurs.

use wgrad_autograd::Gpu;
use wgrad_autograd::device::{Family, shaders};
use wgrad_data::{Augment, DeviceImages, Draw, Images, Normalize};

/// Bytes to their own value, so that pixels can be compared exactly.
const PLAIN: Normalize = Normalize { mean: 0.0, std: 1.0 / 255.0 };

fn gpu_of(family: Family) -> Gpu {
    Gpu::builder().family(family).poison().quiet().build().unwrap()
}

fn images(n: usize, [c, h, w]: [usize; 3]) -> Images {
    let pixels = (0..n * c * h * w).map(|i| pcg(i as u32) as u8).collect();
    let labels = (0..n).map(|i| (i % 7) as u8).collect();
    Images::new([c, h, w], (0..7).map(|i| i.to_string()).collect(), pixels, labels).unwrap()
}

fn pcg(word: u32) -> u32 {
    let state = word.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let mixed = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (mixed >> 22) ^ mixed
}

/// Rows and columns that image `number` is shifted by, and whether it is mirrored.
fn change(number: usize, augment: Augment, draw: Draw) -> (i64, i64, bool) {
    let key = (draw.seed as u32) ^ ((draw.seed >> 32) as u32).rotate_left(16) ^ 0x5eed_0002;
    let word = u64::from(pcg(pcg(pcg(key) ^ draw.epoch as u32) ^ number as u32));
    let span = 2 * augment.padding as u64 + 1;
    let shift = |bits: u64, of: u32| ((bits * span) >> of) as i64 - augment.padding as i64;
    (shift(word & 0xffff, 16), shift((word >> 16) & 0x7fff, 15), augment.flip && word >> 31 == 1)
}

/// Position `at` of an axis of `n` pixels continued by its mirror image on both sides.
fn reflected(at: i64, n: usize) -> usize {
    let n = n as i64;
    (if at < 0 {
        -at
    } else if at >= n {
        2 * (n - 1) - at
    } else {
        at
    }) as usize
}

/// What image `number` must have become.
fn changed(images: &Images, number: usize, augment: Augment, draw: Draw) -> Vec<f32> {
    let [c, h, w] = images.shape();
    let (down, right, mirrored) = change(number, augment, draw);
    let image = images.image(number).unwrap();
    let mut out = Vec::new();
    for (plane, y, x) in (0..c).flat_map(|k| (0..h).flat_map(move |y| (0..w).map(move |x| (k, y, x)))) {
        let x = if mirrored { w - 1 - x } else { x };
        let (row, col) = (reflected(y as i64 + down, h), reflected(x as i64 + right, w));
        out.push(f32::from(image[(plane * h + row) * w + col]));
    }
    out
}

#[test]
fn batches_are_what_the_generator_says() {
    let cases = [
        ([3, 32, 32], Augment::default(), Draw { seed: 1, epoch: 0 }),
        ([3, 32, 32], Augment { padding: 0, flip: true }, Draw { seed: 1 << 40, epoch: 3 }),
        ([1, 5, 7], Augment { padding: 4, flip: false }, Draw { seed: 0, epoch: 1 }),
        ([2, 9, 3], Augment { padding: 2, flip: true }, Draw { seed: u64::MAX, epoch: 70_000 }),
    ];
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = gpu_of(family);
        for (shape, augment, draw) in cases {
            let images = images(70, shape);
            let set = DeviceImages::new(&gpu, &images).unwrap();
            // In the set's own order, and in a shuffled one, in which an image keeps its change.
            for (start, rows, shuffled) in [(0, 70, false), (13, 40, false), (13, 40, true)] {
                if shuffled {
                    set.shuffle(5, 2).unwrap();
                } else {
                    set.unshuffle().unwrap();
                }
                let (x, y) = set.batch_augmented(start, rows, PLAIN, augment, draw).unwrap();
                let (plain, labels) = set.batch(start, rows, PLAIN).unwrap();
                assert_eq!(y.to_vec_as::<i32>().unwrap(), labels.to_vec_as::<i32>().unwrap());
                let size = images.image_size();
                let (x, plain) = (x.to_vec().unwrap(), plain.to_vec().unwrap());
                for (got, plain) in x.chunks_exact(size).zip(plain.chunks_exact(size)) {
                    // The image's number is found by its pixels.
                    let bytes: Vec<u8> = plain.iter().map(|v| v.round() as u8).collect();
                    let number = (0..70).find(|&i| images.image(i).unwrap() == bytes).unwrap();
                    let rounded: Vec<f32> = got.iter().map(|v| v.round()).collect();
                    let want = changed(&images, number, augment, draw);
                    assert_eq!(
                        rounded, want,
                        "image {number} of {shape:?}, {augment:?}, {draw:?} ({family:?})"
                    );
                }
            }
        }
        // The kernel's last variant, whose values tests/data/batches.rs checks.
        let images = images(3, [3, 5, 7]);
        let set = DeviceImages::new(&gpu, &images).unwrap();
        set.batch_by_channel(0, 3, &images.channel_stats().unwrap(), None).unwrap().0.to_vec().unwrap();
        let composed = gpu.composed();
        let launched = composed.iter().map(|composed| (&composed.files[..], composed.entry.as_str()));
        assert_eq!(shaders::unlaunched(&["data"], launched), [""; 0]);
    }
}

#[test]
fn every_shift_and_both_sides_occur_equally_often() {
    let (augment, n) = (Augment::default(), 81 * 200);
    let mut shifts = [0usize; 81];
    let (mut mirrored, mut repeated) = (0, 0);
    for number in 0..n {
        let (down, right, flip) = change(number, augment, Draw { seed: 9, epoch: 1 });
        shifts[((down + 4) * 9 + right + 4) as usize] += 1;
        mirrored += usize::from(flip);
        repeated += usize::from((down, right, flip) == change(number, augment, Draw { seed: 9, epoch: 2 }));
    }
    // Chi-square of 80 degrees of freedom: mean 80, deviation 12.6. Five deviations, and as many of the coin's.
    let chi: f64 = shifts.iter().map(|&count| (count as f64 - 200.0).powi(2) / 200.0).sum();
    assert!((20.0..145.0).contains(&chi), "chi-square {chi}: {shifts:?}");
    let deviation = (n as f64 / 4.0).sqrt();
    assert!((mirrored as f64 - n as f64 / 2.0).abs() < 5.0 * deviation, "{mirrored} of {n} mirrored");
    // Another epoch changes an image alike with a chance of 1 in 162.
    assert!((50..160).contains(&repeated), "{repeated} of {n} images changed alike in two epochs");
}

#[test]
fn images_too_small_to_reflect_are_refused() {
    let set = DeviceImages::new(&gpu_of(Family::Cpu), &images(3, [1, 4, 9])).unwrap();
    let batch = |padding, start, rows| {
        let draw = Draw { seed: 0, epoch: 0 };
        set.batch_augmented(start, rows, PLAIN, Augment { padding, flip: true }, draw)
    };
    assert!(batch(3, 0, 3).is_ok());
    for padding in [4, 9, usize::MAX] {
        let error = batch(padding, 0, 3).err().unwrap().to_string();
        assert!(error.contains("padding") && error.contains("4 × 9"), "{error}");
    }
    assert!(batch(3, 2, 2).err().unwrap().to_string().contains("2 rows from place 2 of 3"));
}
