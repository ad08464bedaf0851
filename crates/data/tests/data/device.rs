//! Batches made on the device: the right images, each once an epoch, normalised, whatever their size and number.

use std::collections::BTreeSet;

use wgrad_autograd::Gpu;
use wgrad_autograd::device::Family;
use wgrad_data::{DeviceImages, Draw, Images, Normalize, shuffled_row};

/// Bytes to their own value, so that pixels can be compared exactly.
const PLAIN: Normalize = Normalize { mean: 0.0, std: 1.0 / 255.0 };

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// `n` images `[1, 1, size]`, whose first bytes spell their number and whose label is the number modulo 7.
fn numbered(n: usize, size: usize) -> Images {
    let image = |i: usize| (0..size).map(move |b| if b < 3 { (i >> (8 * b)) as u8 } else { (i + b) as u8 });
    let pixels = (0..n).flat_map(image).collect();
    let labels = (0..n).map(|i| (i % 7) as u8).collect();
    Images::new([1, 1, size], (0..7).map(|i| i.to_string()).collect(), pixels, labels).unwrap()
}

/// The numbers of the images in the set's current order, with every pixel and label checked.
fn order(set: &DeviceImages, batch: usize) -> Vec<usize> {
    let size: usize = set.shape().iter().product();
    let mut numbers = Vec::new();
    for start in (0..set.len()).step_by(batch) {
        let rows = batch.min(set.len() - start);
        let (x, labels) = set.batch(start, rows, PLAIN).unwrap();
        assert_eq!(x.shape(), [rows, 1, 1, size]);
        let (pixels, labels) = (x.to_vec().unwrap(), labels.to_vec_as::<i32>().unwrap());
        for (image, label) in pixels.chunks_exact(size).zip(labels) {
            let byte = |b: usize| image[b].round() as usize;
            let number = byte(0) | byte(1) << 8 | byte(2) << 16;
            for (b, got) in image.iter().enumerate() {
                let want = if b < 3 { number >> (8 * b) } else { number + b } & 255;
                assert!((got - want as f32).abs() < 1e-3, "image {number}, byte {b}: {got}");
            }
            assert_eq!(label as usize, number % 7);
            numbers.push(number);
        }
    }
    numbers
}

#[test]
fn without_shuffling_images_come_in_their_own_order() {
    let gpu = gpu();
    for (n, size, batch) in [(1, 4, 1), (10, 3, 4), (130, 5, 64), (257, 12, 100)] {
        let set = DeviceImages::new(&gpu, &numbered(n, size)).unwrap();
        assert_eq!(order(&set, batch), (0..n).collect::<Vec<_>>(), "{n} images of {size} bytes");
    }
}

#[test]
fn every_epoch_has_each_image_once_in_an_order_of_its_own() {
    let gpu = gpu();
    for n in [1, 2, 3, 4, 5, 16, 17, 100, 1000] {
        let set = DeviceImages::new(&gpu, &numbered(n, 4)).unwrap();
        let mut seen = BTreeSet::new();
        for (seed, epoch) in [(0, 0), (0, 1), (1, 0), (1 << 40, 0)] {
            set.shuffle(seed, epoch).unwrap();
            let numbers = order(&set, 64);
            let distinct: BTreeSet<_> = numbers.iter().copied().collect();
            assert_eq!(distinct.len(), n, "seed {seed}, epoch {epoch}: an image is missing or comes twice");
            seen.insert(numbers);
        }
        assert!(n < 16 || seen.len() == 4, "{n} images: two of four orders are equal");
        set.shuffle(0, 1).unwrap();
        let again = order(&set, 64);
        set.shuffle(0, 1).unwrap();
        assert_eq!(order(&set, 64), again);
    }
}

#[test]
fn a_shuffled_order_has_no_trace_of_the_old_one() {
    let gpu = gpu();
    let set = DeviceImages::new(&gpu, &numbered(4000, 4)).unwrap();
    set.shuffle(3, 0).unwrap();
    let numbers = order(&set, 500);
    // Of 4,000 random places about one keeps its image, and neighbours stay neighbours about once or twice.
    let fixed = numbers.iter().enumerate().filter(|(i, n)| i == *n).count();
    let neighbours = numbers.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count();
    assert!(fixed < 10 && neighbours < 15, "{fixed} fixed, {neighbours} neighbours");
    // The mean distance from the old place is a third of the length.
    let moved: usize = numbers.iter().enumerate().map(|(i, n)| i.abs_diff(*n)).sum();
    let mean = moved as f64 / 4000.0 / 4000.0;
    assert!((mean - 1.0 / 3.0).abs() < 0.02, "mean distance {mean}");
}

/// The kernel's order on the host, where a hundred thousand of them take no time.
fn order_on_host(n: u32, seed: u32, epoch: u32) -> Vec<usize> {
    let draw = Draw { seed: seed.into(), epoch: epoch as usize };
    (0..n as usize).map(|place| shuffled_row(n as usize, place, draw)).collect()
}

#[test]
fn the_host_finds_the_kernel_s_orders() {
    let gpu = gpu();
    for n in [1, 2, 3, 4, 5, 16, 17, 64, 100, 257, 1000] {
        let set = DeviceImages::new(&gpu, &numbered(n, 4)).unwrap();
        for (seed, epoch) in [(0, 0), (0, 1), (7, 3), (u64::from(u32::MAX), 100), (u64::MAX - 6, 5)] {
            set.shuffle(seed, epoch).unwrap();
            let draw = Draw { seed, epoch };
            let host: Vec<usize> = (0..n).map(|place| shuffled_row(n, place, draw)).collect();
            assert_eq!(order(&set, 64), host, "{n} images, seed {seed}, epoch {epoch}");
        }
    }
}

/// χ² of categories that all orders fall into equally often, as the deviation of a normal distribution (Wilson and
/// Hilferty's): of a million fair draws three lie above 4.5.
fn deviation(found: &[usize]) -> f64 {
    let expected = found.iter().sum::<usize>() as f64 / found.len() as f64;
    let chi2: f64 = found.iter().map(|&found| (found as f64 - expected).powi(2) / expected).sum();
    let k = (found.len() - 1) as f64;
    let spread = 2.0 / (9.0 * k);
    ((chi2 / k).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// Whether an even number of swaps makes the order.
fn is_even(order: &[usize]) -> bool {
    let (mut seen, mut even) = (vec![false; order.len()], true);
    for start in 0..order.len() {
        let (mut at, mut length) = (start, 0);
        while !std::mem::replace(&mut seen[at], true) {
            at = order[at];
            length += 1;
        }
        // A cycle of an even length is an odd permutation.
        even ^= length > 0 && length % 2 == 0;
    }
    even
}

/// The orders of many seeds at epoch 0, and of many epochs of one seed.
fn orders(n: u32, count: u32) -> [Vec<Vec<usize>>; 2] {
    let of = |order: &dyn Fn(u32) -> Vec<usize>| (0..count).map(order).collect::<Vec<_>>();
    [of(&|seed| order_on_host(n, seed, 0)), of(&|epoch| order_on_host(n, 5, epoch))]
}

#[test]
fn all_orders_of_few_images_come_equally_often() {
    for n in 1..=6u32 {
        let count: u32 = (1..=n).product();
        for (i, orders) in orders(n, 400 * count).into_iter().enumerate() {
            let mut found = std::collections::BTreeMap::new();
            orders.into_iter().for_each(|order| *found.entry(order).or_insert(0) += 1);
            assert_eq!(found.len(), count as usize, "{n} images: an order never comes");
            let found: Vec<usize> = found.into_values().collect();
            assert!(n == 1 || deviation(&found) < 4.5, "{n} images, {i}: {found:?}");
        }
    }
}

#[test]
fn both_parities_and_all_places_come_equally_often() {
    // Powers of 4, between which an earlier network knew even orders only; primes, and numbers beside both.
    for n in [2u32, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 63, 64, 65, 100, 251, 256] {
        let count = 3000;
        for (i, orders) in orders(n, count).into_iter().enumerate() {
            let even = orders.iter().filter(|order| is_even(order)).count();
            let parity = deviation(&[even, orders.len() - even]);
            assert!(parity < 4.5, "{n} images, {i}: {even} of {count} orders are even");
            // Where the first, the middle and the last image go, and who comes first.
            let n = n as usize;
            for place in [0, n / 2, n - 1] {
                let mut found = vec![0; n];
                orders.iter().for_each(|order| found[order[place]] += 1);
                assert!(deviation(&found) < 4.5, "{n} images, {i}: place {place} gets {found:?}");
            }
            let mut first = vec![0; n];
            orders.iter().for_each(|order| first[order.iter().position(|&image| image == 0).unwrap()] += 1);
            assert!(deviation(&first) < 4.5, "{n} images, {i}: image 0 comes at {first:?}");
            // Two places together: the distance between what they get, modulo n, is any but 0.
            if n > 2 {
                let mut apart = vec![0; n - 1];
                orders.iter().for_each(|order| apart[(n + order[1] - order[0]) % n - 1] += 1);
                assert!(deviation(&apart) < 4.5, "{n} images, {i}: apart {apart:?}");
            }
        }
    }
}

#[test]
fn a_set_larger_than_one_binding_lies_in_several_buffers() {
    // Default limits allow bindings of 128 MiB: images of 1 MiB, whose number is in their first bytes.
    let gpu = Gpu::builder().baseline().quiet().build().unwrap();
    let (n, size) = (131, 1 << 20);
    let mut pixels = vec![0; n * size];
    for i in 0..n {
        pixels[i * size] = i as u8;
        pixels[(i + 1) * size - 1] = 255 - i as u8;
    }
    let labels = (0..n).map(|i| (i % 2) as u8).collect();
    let images = Images::new([1, 1024, 1024], vec!["even".into(), "odd".into()], pixels, labels).unwrap();
    let set = DeviceImages::new(&gpu, &images).unwrap();
    for i in [0, 1, 126, 127, 128, 129, 130] {
        let (x, label) = set.batch(i, 1, PLAIN).unwrap();
        let x = x.to_vec().unwrap();
        assert_eq!([x[0].round(), x[size - 1].round()], [i as f32, 255.0 - i as f32], "image {i}");
        assert_eq!(label.to_vec_as::<i32>().unwrap(), [i as i32 % 2]);
    }
}

#[test]
fn both_families_normalise_alike() {
    let images = numbered(64, 9);
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().family(family).poison().quiet().build().unwrap();
        let (x, _) = DeviceImages::new(&gpu, &images).unwrap().batch(0, 64, Normalize::default()).unwrap();
        for (got, byte) in x.to_vec().unwrap().iter().zip(&images.pixels) {
            let want = (f64::from(*byte) / 255.0 - 0.5) / 0.5;
            assert!((f64::from(*got) - want).abs() < 1e-6, "{byte}: {got} and {want} ({family:?})");
        }
    }
}

#[test]
fn pixels_that_would_be_no_numbers_are_refused() {
    let set = DeviceImages::new(&gpu(), &numbered(3, 4)).unwrap();
    for (mean, std) in [(0.5, 0.0), (0.5, f32::NAN), (f32::NAN, 0.5), (f32::INFINITY, 1.0), (0.0, 1e-40)] {
        let error = set.batch(0, 3, Normalize { mean, std }).err().unwrap().to_string();
        assert!(error.contains("std") && error.contains("no numbers"), "{error}");
    }
}

#[test]
fn no_images_are_refused() {
    let none = Images::new([1, 2, 2], vec!["one".into()], vec![], vec![]).unwrap();
    let error = DeviceImages::new(&gpu(), &none).err().unwrap().to_string();
    assert!(error.contains("no images"), "{error}");
}
