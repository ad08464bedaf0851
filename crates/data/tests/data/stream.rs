//! Streamed batches are those of the device, to the bit, whatever is asked for and in which order.

use std::fs;

use tempfile::TempDir;
use wgrad_autograd::Gpu;
use wgrad_data::folder::{Bad, Files, Prepare, load, scan};
use wgrad_data::{
    Augment, Batch, Batches, DeviceImages, Draw, ImageBatches, Images, Normalize, Order, StreamedImages,
};

const DRAW: Draw = Draw { seed: (7 << 32) | 3, epoch: 4 };
const ORDERS: [Order; 3] = [Order::Own, Order::Sequential(DRAW), Order::Shuffled(DRAW)];

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

fn images(n: usize, [c, h, w]: [usize; 3]) -> Images {
    let pixels = (0..n * c * h * w).map(|i| (i * i / 7 + i) as u8).collect();
    let labels = (0..n).map(|i| (i % 7) as u8).collect();
    Images::new([c, h, w], (0..7).map(|i| i.to_string()).collect(), pixels, labels).unwrap()
}

fn bits(batch: &Batch) -> (Vec<u32>, Vec<i32>) {
    let x = batch.x.to_vec().unwrap();
    (x.into_iter().map(f32::to_bits).collect(), batch.y.to_vec_as().unwrap())
}

fn same(streamed: &StreamedImages, device: &ImageBatches<'_>, batch: usize) {
    assert_eq!(streamed.len(), device.len());
    for order in ORDERS {
        streamed.set_order(order).unwrap();
        device.set_order(order).unwrap();
        for start in (0..device.len()).step_by(batch) {
            let rows = batch.min(device.len() - start);
            let (got, want) = (streamed.batch(start, rows).unwrap(), device.batch(start, rows).unwrap());
            assert_eq!(got.x.shape(), want.x.shape());
            assert!(bits(&got) == bits(&want), "{order:?}, {rows} from {start}");
        }
    }
}

#[test]
fn batches_from_the_host_are_those_of_the_device() {
    let gpu = gpu();
    // What is done to images is told apart as well as the images.
    let mut prints = std::collections::HashSet::new();
    for (shape, ahead) in [([3, 5, 7], 1), ([1, 8, 8], 3), ([3, 4, 4], 100)] {
        let images = images(41, shape);
        let device = DeviceImages::new(&gpu, &images).unwrap();
        let augment = Some(Augment { padding: 2, flip: true });
        let stats = Some(images.channel_stats().unwrap());
        let weights: Vec<f32> = (0..41).map(|i| (i % 3) as f32).collect();
        for (augment, stats, weights) in
            [(None, None, None), (augment, None, None), (augment, stats, Some(weights))]
        {
            let normalize = Normalize { mean: 0.3, std: 0.7 };
            let streamed = StreamedImages::host(&gpu, images.clone(), normalize).unwrap().ahead(ahead);
            let streamed = streamed.augmented(augment).by_channel(stats.clone());
            let streamed = streamed.weighted(weights.clone()).unwrap();
            let device = ImageBatches::new(&device, normalize).augmented(augment).by_channel(stats);
            let device = device.weighted(weights).unwrap();
            same(&streamed, &device, 8);
            assert_eq!(streamed.fingerprint(), device.fingerprint());
            prints.insert(device.fingerprint());
        }
    }
    assert_eq!(prints.len(), 9);
}

#[test]
fn any_batch_can_be_asked_for() {
    let gpu = gpu();
    let images = images(30, [1, 2, 2]);
    let device = DeviceImages::new(&gpu, &images).unwrap();
    let device = ImageBatches::new(&device, Normalize::default());
    let streamed = StreamedImages::host(&gpu, images, Normalize::default()).unwrap();
    streamed.set_order(Order::Shuffled(DRAW)).unwrap();
    device.set_order(Order::Shuffled(DRAW)).unwrap();
    // As a run that is resumed in the middle of an epoch, and one that looks twice.
    for (start, rows) in [(12, 4), (16, 4), (4, 4), (4, 4), (8, 3), (0, 30), (29, 1), (20, 5)] {
        let (got, want) = (streamed.batch(start, rows).unwrap(), device.batch(start, rows).unwrap());
        assert!(bits(&got) == bits(&want), "{rows} from {start}");
    }
    for (start, rows) in [(29, 2), (30, 1), (usize::MAX, 2)] {
        assert!(streamed.batch(start, rows).err().unwrap().to_string().contains("of 30"));
    }
    // As one of two ranks, over two epochs whose last batches are smaller.
    for start in [4, 12, 20, 4, 12, 20] {
        let (got, want) = (streamed.batch(start, 4).unwrap(), device.batch(start, 4).unwrap());
        assert!(bits(&got) == bits(&want), "a rank's 4 from {start}");
    }
    assert!(streamed.batch(3, 0).is_err());
    let padded = streamed.augmented(Some(Augment { padding: 2, flip: false }));
    assert!(padded.batch(0, 1).err().unwrap().to_string().contains("padding"));
}

#[test]
fn files_are_decoded_as_they_are_loaded() {
    let gpu = gpu();
    let root = TempDir::new().unwrap();
    for i in 0..20_u8 {
        let folder = root.path().join(["ant", "bee", "cat"][usize::from(i) % 3]);
        fs::create_dir_all(&folder).unwrap();
        let picture =
            image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([i * 12, (x * 25) as u8, (y * 30) as u8 ^ i]));
        picture.save(folder.join(format!("{i}.png"))).unwrap();
    }
    let prepare = Prepare::new(6, 6);
    let loaded = load(root.path(), &prepare, Bad::Fail).unwrap().train;
    let device = DeviceImages::new(&gpu, &loaded).unwrap();
    let device = ImageBatches::new(&device, Normalize::default());
    let items = scan(root.path(), None).unwrap().train;
    let files = |items| StreamedImages::files(&gpu, items, &prepare, Normalize::default());
    let streamed = files(items.clone()).unwrap();
    same(&streamed, &device, 6);
    assert_eq!(streamed.to_string(), "20 images of [3, 6, 6] streamed from files, 4 batches ahead");

    // Files that were looked at once say what the loaded images say, of any part of them.
    let looked_at = Files::read(&items, &loaded.classes, &prepare, Bad::Fail).unwrap().0;
    let part = [7, 2, 19, 3, 11];
    let (files_part, loaded_part) = (looked_at.select(&part).unwrap(), loaded.select(&part).unwrap());
    for (files, loaded) in [(&looked_at, &loaded), (&files_part, &loaded_part)] {
        assert_eq!((files.fingerprint(), files.labels()), (loaded.fingerprint(), loaded.labels.clone()));
        assert_eq!(files.channel_stats().unwrap(), loaded.channel_stats().unwrap());
        assert_eq!(files.image(2).unwrap(), loaded.image(2).unwrap());
    }
    assert!(looked_at.select(&[20]).unwrap_err().to_string().contains("there are 20"));
    let device_part = DeviceImages::new(&gpu, &loaded_part).unwrap();
    let device_part = ImageBatches::new(&device_part, Normalize::default());
    let streamed_part = StreamedImages::of(&gpu, &files_part, Normalize::default()).unwrap();
    same(&streamed_part, &device_part, 2);
    assert_eq!(streamed_part.fingerprint(), device_part.fingerprint());

    assert_eq!(files(items.clone()).unwrap().fingerprint(), streamed.fingerprint());
    assert_ne!(files(items[1..].to_vec()).unwrap().fingerprint(), streamed.fingerprint());
    assert!(files(vec![]).err().unwrap().to_string().contains("no images"));
    // A file that is damaged after the list was made is an error of its batch.
    fs::write(&items[9].path, "not a picture").unwrap();
    streamed.set_order(Order::Own).unwrap();
    assert!(streamed.batch(0, 6).is_ok());
    let error = streamed.batch(6, 6).err().unwrap().to_string();
    assert!(error.contains(items[9].path.to_str().unwrap()), "{error}");
    assert!(streamed.batch(12, 8).is_ok());
    assert!(files(items).unwrap().fingerprint() != streamed.fingerprint());
}
