//! Batches as a training loop takes them: their order, their ends, and what tells one data set from another.

use wgrad_autograd::device::Family;
use wgrad_autograd::{Gpu, Tensor};
use wgrad_data::{
    Augment, Batch, Batches, ChannelStats, DeviceImages, Draw, ImageBatches, Images, Normalize, Order,
    TensorBatches, shuffled_row,
};

const PLAIN: Normalize = Normalize { mean: 0.0, std: 1.0 / 255.0 };
const DRAW: Draw = Draw { seed: 11, epoch: 2 };

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// `n` images of one pixel, which is their number, and their label modulo 5.
fn numbered(n: usize) -> Images {
    let labels = (0..n).map(|i| (i % 5) as u8).collect();
    let classes = (0..5).map(|i| i.to_string()).collect();
    Images::new([1, 1, 1], classes, (0..n).map(|i| i as u8).collect(), labels).unwrap()
}

fn tensors(gpu: &Gpu, n: usize) -> TensorBatches {
    let x: Vec<f32> = (0..2 * n).map(|i| (i / 2) as f32 + (i % 2) as f32 * 0.5).collect();
    let y: Vec<i32> = (0..n).map(|i| (i % 5) as i32).collect();
    let x = Tensor::from_slice(gpu, &x, &[n, 2]).unwrap();
    TensorBatches::new(&x, &Tensor::from_slice(gpu, &y, &[n]).unwrap()).unwrap()
}

/// The rows of an epoch in batches of `batch`, each with its target checked.
fn rows(batches: &dyn Batches<Batch = Batch>, batch: usize) -> Vec<usize> {
    let mut rows = Vec::new();
    for start in (0..batches.len()).step_by(batch) {
        let count = batch.min(batches.len() - start);
        let Batch { x, y } = batches.batch(start, count).unwrap();
        assert_eq!((x.shape()[0], y.shape()), (count, &[count][..]));
        let (x, y) = (x.to_vec().unwrap(), y.to_vec_as::<i32>().unwrap());
        for (row, y) in x.chunks(x.len() / count).zip(y) {
            let number = row[0].round() as usize;
            assert_eq!(y as usize, number % 5);
            assert!(row.len() == 1 || row[1] == number as f32 + 0.5);
            rows.push(number);
        }
    }
    rows
}

#[test]
fn orders_are_their_own_or_those_of_seed_and_epoch() {
    let gpu = gpu();
    let n = 23;
    let images = DeviceImages::new(&gpu, &numbered(n)).unwrap();
    let (images, tensors) = (ImageBatches::new(&images, PLAIN), tensors(&gpu, n));
    let sources: [&dyn Batches<Batch = Batch>; 2] = [&images, &tensors];
    let shuffled: Vec<usize> = (0..n).map(|place| shuffled_row(n, place, DRAW)).collect();
    let own: Vec<usize> = (0..n).collect();
    for source in sources {
        assert_eq!((source.len(), source.is_empty()), (n, false));
        for (order, want) in
            [(Order::Own, &own), (Order::Shuffled(DRAW), &shuffled), (Order::Sequential(DRAW), &own)]
        {
            source.set_order(order).unwrap();
            assert_eq!(rows(source, 8), *want, "{order:?}");
            assert_eq!(rows(source, 23), *want, "{order:?}");
        }
    }
}

#[test]
fn places_outside_are_refused() {
    let gpu = gpu();
    let images = DeviceImages::new(&gpu, &numbered(10)).unwrap();
    let (images, tensors) = (ImageBatches::new(&images, PLAIN), tensors(&gpu, 10));
    let sources: [&dyn Batches<Batch = Batch>; 2] = [&images, &tensors];
    for source in sources {
        assert_eq!(source.batch(9, 1).unwrap().x.shape()[0], 1);
        for (start, rows) in [(9, 2), (10, 1), (0, 11), (usize::MAX, 2), (2, usize::MAX)] {
            let error = source.batch(start, rows).err().unwrap().to_string();
            assert!(error.contains("of 10"), "{error}");
        }
    }
}

#[test]
fn fingerprints_tell_data_apart() {
    let gpu = gpu();
    let of_tensors = |x: &[f32], y: &Tensor| {
        let x = Tensor::from_slice(&gpu, x, &[2, 2]).unwrap();
        TensorBatches::new(&x, y).unwrap().fingerprint()
    };
    let y = Tensor::from_slice(&gpu, &[0_i32, 1], &[2]).unwrap();
    let first = of_tensors(&[1., 2., 3., 4.], &y);
    assert_eq!(of_tensors(&[1., 2., 3., 4.], &y), first);
    assert_ne!(of_tensors(&[1., 2., 3., 4.5], &y), first);
    assert_ne!(of_tensors(&[1., 2., 3., 4.], &Tensor::from_slice(&gpu, &[1_i32, 0], &[2]).unwrap()), first);
    assert_ne!(of_tensors(&[1., 2., 3., 4.], &Tensor::from_slice(&gpu, &[0., 1.], &[2]).unwrap()), first);

    let of_images = |images: &Images| {
        let images = DeviceImages::new(&gpu, images).unwrap();
        ImageBatches::new(&images, PLAIN).fingerprint()
    };
    let images = numbered(9);
    let first = of_images(&images);
    assert_eq!(of_images(&images.clone()), first);
    let (mut pixel, mut label) = (images.clone(), images.clone());
    (pixel.pixels[3], label.labels[3]) = (77, 1);
    let mut shape = images;
    (shape.height, shape.labels) = (3, vec![0, 1, 2]);
    for other in [pixel, label, shape] {
        assert_ne!(of_images(&other), first);
    }
}

#[test]
fn rows_that_do_not_belong_together_are_refused() {
    let gpu = gpu();
    let tensor =
        |shape: &[usize]| Tensor::from_slice(&gpu, &vec![0.0; shape.iter().product()], shape).unwrap();
    for (x, y) in [(&[3, 2][..], &[2][..]), (&[0, 2], &[0]), (&[], &[1])] {
        assert!(TensorBatches::new(&tensor(x), &tensor(y)).err().unwrap().to_string().contains("rows"));
    }
}

#[test]
fn weights_draw_rows_with_replacement() {
    let gpu = gpu();
    let mut weights = vec![0.0; 40];
    (weights[3], weights[20]) = (1.0, 3.0);
    let images = DeviceImages::new(&gpu, &numbered(40)).unwrap();
    let images = ImageBatches::new(&images, PLAIN).weighted(Some(weights.clone())).unwrap();
    let tensors = tensors(&gpu, 40).weighted(Some(weights.clone())).unwrap();
    let sources: [&dyn Batches<Batch = Batch>; 2] = [&images, &tensors];
    for source in sources {
        source.set_order(Order::Shuffled(DRAW)).unwrap();
        assert_eq!(rows(source, 16), wgrad_data::split::weighted_rows(&weights, DRAW).unwrap());
        source.set_order(Order::Own).unwrap();
        assert_eq!(rows(source, 16), (0..40).collect::<Vec<_>>());
    }
    for bad in [vec![1.0; 39], vec![0.0; 40], vec![-1.0; 40]] {
        let images = DeviceImages::new(&gpu, &numbered(40)).unwrap();
        assert!(ImageBatches::new(&images, PLAIN).weighted(Some(bad.clone())).is_err());
        assert!(self::tensors(&gpu, 40).weighted(Some(bad)).is_err());
    }
}

/// Images whose channels have levels of their own.
fn coloured(n: usize, [c, h, w]: [usize; 3]) -> Images {
    let level = |i: usize| (i * 7 % 60 + i / (h * w) % c * 60) as u8;
    let labels = (0..n).map(|i| (i % 2) as u8).collect();
    let pixels = (0..n * c * h * w).map(level).collect();
    Images::new([c, h, w], vec!["a".into(), "b".into()], pixels, labels).unwrap()
}

#[test]
fn channel_statistics_are_those_of_the_bytes() {
    let images = coloured(5, [3, 5, 7]);
    let ChannelStats { mean, std } = images.channel_stats().unwrap();
    for c in 0..3 {
        let values: Vec<f64> = (0..5)
            .flat_map(|i| {
                images.image(i).unwrap()[c * 35..][..35].iter().map(|&byte| f64::from(byte) / 255.0)
            })
            .collect();
        let level = values.iter().sum::<f64>() / 175.0;
        let spread = values.iter().map(|value| (value - level).powi(2)).sum::<f64>() / 175.0;
        assert!((f64::from(mean[c]) - level).abs() < 1e-6, "{c}: {} and {level}", mean[c]);
        assert!((f64::from(std[c]) - spread.sqrt()).abs() < 1e-6, "{c}");
    }
    let flat = Images::new([1, 1, 2], vec!["a".into()], vec![51; 6], vec![0; 3]).unwrap();
    assert_eq!(flat.channel_stats().unwrap(), ChannelStats { mean: vec![0.2], std: vec![1.0] });
    assert!(images.select(&[]).unwrap().channel_stats().is_err());
}

#[test]
fn each_channel_is_normalised_by_its_own_statistics() {
    for (family, shape) in [
        (Family::Cpu, [3, 5, 7]),
        (Family::Gpu, [3, 5, 7]),
        (Family::Cpu, [5, 2, 2]),
        (Family::Gpu, [1, 3, 3]),
    ] {
        let gpu = Gpu::builder().family(family).poison().quiet().build().unwrap();
        let images = coloured(6, shape);
        let device = DeviceImages::new(&gpu, &images).unwrap();
        let mut stats = images.channel_stats().unwrap();
        let batches = ImageBatches::new(&device, PLAIN).by_channel(Some(stats.clone()));
        batches.set_order(Order::Own).unwrap();
        let x = batches.batch(1, 4).unwrap().x.to_vec().unwrap();
        let (plane, size) = (shape[1] * shape[2], images.image_size());
        for (i, got) in x.iter().enumerate() {
            let (c, byte) = (i % size / plane, images.pixels[size + i]);
            let want = (f64::from(byte) / 255.0 - f64::from(stats.mean[c])) / f64::from(stats.std[c]);
            assert!((f64::from(*got) - want).abs() < 1e-5, "{i}: {got} and {want}");
        }
        stats.mean.push(0.5);
        let error = device.batch_by_channel(0, 1, &stats, None).err().unwrap().to_string();
        assert!(error.contains("channels"), "{error}");
    }
}

#[test]
fn augmented_images_are_normalised_by_channel_as_well() {
    let gpu = gpu();
    let images = coloured(6, [3, 6, 6]);
    let device = DeviceImages::new(&gpu, &images).unwrap();
    let augment = Augment { padding: 2, flip: true };
    let alike = ChannelStats { mean: vec![0.25; 3], std: vec![0.5; 3] };
    let by_channel = ImageBatches::new(&device, PLAIN).by_channel(Some(alike)).augmented(Some(augment));
    let plain = ImageBatches::new(&device, Normalize { mean: 0.25, std: 0.5 }).augmented(Some(augment));
    let shuffled = |batches: &ImageBatches<'_>| {
        batches.set_order(Order::Shuffled(DRAW)).unwrap();
        batches.batch(0, 6).unwrap().x.to_vec().unwrap()
    };
    let (got, want) = (shuffled(&by_channel), shuffled(&plain));
    assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-6));
    let huge = Augment { padding: 6, flip: true };
    let refused = ImageBatches::new(&device, PLAIN)
        .by_channel(Some(ChannelStats { mean: vec![0.0; 3], std: vec![1.0; 3] }))
        .augmented(Some(huge));
    refused.set_order(Order::Shuffled(DRAW)).unwrap();
    assert!(refused.batch(0, 1).err().unwrap().to_string().contains("padding"));
}

#[test]
fn chosen_images_keep_their_labels() {
    let images = numbered(9).select(&[7, 2, 2]).unwrap();
    assert_eq!((images.pixels, images.labels), (vec![7, 2, 2], vec![2, 2, 2]));
    assert!(numbered(9).select(&[9]).unwrap_err().to_string().contains("image 9"));
}
