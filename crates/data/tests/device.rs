//! Batches made on the device: the right images, each once an epoch, normalised, whatever their size and number.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use wgrad_autograd::Gpu;
use wgrad_autograd::device::Family;
use wgrad_data::{DeviceImages, Images, Normalize};

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
        let (pixels, labels) = (x.to_vec().unwrap(), labels.to_vec().unwrap());
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
        assert_eq!(label.to_vec().unwrap(), [i as u32 % 2]);
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
fn no_images_are_refused() {
    let none = Images::new([1, 2, 2], vec!["one".into()], vec![], vec![]).unwrap();
    let error = DeviceImages::new(&gpu(), &none).err().unwrap().to_string();
    assert!(error.contains("no elements"), "{error}");
}
