//! Folders of images: classes, pixels, and files that are not what they seem.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, LumaA, RgbImage, Rgba};
use tempfile::TempDir;
use wgrad_data::folder::{Bad, Prepare, decode_image, load, load_image, scan};

const CMYK: &[u8] = include_bytes!("pictures/cmyk.jpg");
const YCCK: &[u8] = include_bytes!("pictures/ycck.jpg");
const TURNED: &[u8] = include_bytes!("pictures/turned.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("pictures/progressive.jpg");

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn grey(height: u32, width: u32, pixels: Vec<u8>) -> GrayImage {
    GrayImage::from_raw(width, height, pixels).unwrap()
}

fn flat(level: u8) -> Vec<u8> {
    png(grey(4, 4, vec![level; 16]))
}

fn write(root: &Path, files: &[(&str, Vec<u8>)]) {
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let root = TempDir::new().unwrap();
    write(root.path(), files);
    root
}

fn prepare(height: usize, width: usize, channels: usize) -> Prepare {
    Prepare { channels, ..Prepare::new(height, width) }
}

fn decode(bytes: &[u8], prepare: &Prepare) -> Vec<u8> {
    decode_image(bytes, Path::new("p"), prepare).unwrap()
}

fn refusal<T: std::fmt::Debug>(result: wgrad_data::Result<T>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    assert!(error.lines().count() <= 2, "{error}");
}

fn near(got: &[u8], want: &[u8], by: u8) {
    assert_eq!(got.len(), want.len());
    let far = got.iter().zip(want).position(|(got, want)| got.abs_diff(*want) > by);
    assert_eq!(far, None, "{got:?} and {want:?}");
}

#[test]
fn classes_are_named_by_folders_in_the_order_of_names() {
    let files = [
        ("b/1.png", flat(1)),
        ("a/x/2.PNG", flat(2)),
        ("a/3.png", flat(3)),
        ("c/4.jpeg", flat(4)),
        ("a/n.txt", vec![]),
    ];
    let root = folder(&files);
    let loaded = load(root.path(), &prepare(4, 4, 1), Bad::Fail).unwrap();
    assert_eq!(loaded.train.classes, ["a", "b", "c"]);
    assert_eq!(loaded.train.labels, [0, 0, 1, 2]);
    let levels: Vec<u8> = loaded.train.pixels.chunks(16).map(|image| image[0]).collect();
    assert_eq!(levels, [3, 2, 1, 4]);
    assert_eq!(loaded.others, [root.path().join("a/n.txt")]);
    assert!(loaded.validation.is_none() && loaded.test.is_none());
}

#[test]
fn parts_share_the_training_part_s_classes() {
    let root = folder(&[
        ("train/b/1.png", flat(1)),
        ("train/a/1.png", flat(2)),
        ("train/c/1.png", flat(3)),
        ("valid/c/1.png", flat(4)),
        ("Test/b/1.png", flat(5)),
        ("Test/.hidden/1.png", flat(6)),
        ("train/.hidden/1.png", flat(6)),
        ("train/a/.2.png", vec![]),
        ("__MACOSX/a/1.png", vec![]),
    ]);
    let loaded = load(root.path(), &prepare(4, 4, 1), Bad::Fail).unwrap();
    assert_eq!(
        (loaded.train.labels, loaded.train.classes),
        (vec![0, 1, 2], vec!["a".into(), "b".into(), "c".into()])
    );
    // Neither lacks its other classes: labels are by name.
    assert_eq!(loaded.validation.unwrap().labels, [2]);
    assert_eq!(loaded.test.unwrap().labels, [1]);
}

#[test]
fn a_class_may_be_called_as_a_part_in_another_case() {
    let root = folder(&[("Bus/1.png", flat(1)), ("Train/1.png", flat(2))]);
    assert_eq!(scan(root.path(), None).unwrap().classes, ["Bus", "Train"]);
}

#[test]
fn a_model_s_classes_are_taken_as_they_are() {
    let root = folder(&[("dog/1.png", flat(1)), ("ant/1.png", flat(1))]);
    let classes = ["zebra", "dog", "ant"].map(str::to_owned);
    let items = scan(root.path(), Some(&classes)).unwrap();
    assert_eq!(items.train.iter().map(|item| item.label).collect::<Vec<_>>(), [2, 1]);
    refusal(scan(root.path(), Some(&classes[..2])), &["ant", "not known", r#""zebra", "dog""#]);
}

#[test]
fn layouts_that_are_none_are_refused() {
    let refused = |files: &[(&str, Vec<u8>)], parts: &[&str]| {
        refusal(scan(folder(files).path(), None), parts);
    };
    refused(&[], &["no folders", "train"]);
    refused(&[("1.png", flat(1))], &["no folders"]);
    refused(&[("a/1.png", flat(1)), ("b/1.txt", vec![])], &["b", "no images"]);
    refused(
        &[("train/a/1.png", flat(1)), ("val/b/1.png", flat(1))],
        &["val", "b", "not known", r#"one of "a""#],
    );
    refused(&[("train/a/1.png", flat(1)), ("val/1.png", flat(1))], &["val", "no folders"]);
    refused(&[("train/a/1.png", flat(1)), ("val/a/1.txt", vec![])], &["val", "no images"]);
    refused(
        &[("train/a/1.png", flat(1)), ("val/a/1.png", flat(1)), ("valid/a/1.png", flat(1))],
        &["several"],
    );
    refusal(scan(Path::new("/no/such"), None), &["/no/such"]);
    let root = TempDir::new().unwrap();
    for i in 0..257 {
        fs::create_dir(root.path().join(format!("class{i}"))).unwrap();
    }
    refusal(scan(root.path(), None), &["257 classes", "256"]);
}

#[test]
fn bad_files_are_named_or_left_out_and_listed() {
    let whole = flat(7);
    let cut = whole[..whole.len() - 20].to_vec();
    let files = [
        ("a/1.png", flat(1)),
        ("a/2.png", cut),
        ("b/3.png", b"GIF89a".to_vec()),
        ("b/4.png", flat(4)),
        ("b/5.png", vec![]),
    ];
    let root = folder(&files);
    refusal(load(root.path(), &prepare(4, 4, 1), Bad::Fail), &["a/2.png", "damaged"]);
    let loaded = load(root.path(), &prepare(4, 4, 1), Bad::Skip).unwrap();
    assert_eq!(
        (&loaded.train.labels[..], loaded.train.pixels[0], loaded.train.pixels[16]),
        (&[0, 1][..], 1, 4)
    );
    let skipped: Vec<PathBuf> = loaded.skipped.iter().map(|skipped| skipped.path.clone()).collect();
    assert_eq!(skipped, ["a/2.png", "b/3.png", "b/5.png"].map(|path| root.path().join(path)));
    assert!(loaded.skipped[1].reason.contains("PNG or JPEG"), "{:?}", loaded.skipped);
    let none = folder(&[("a/1.png", vec![])]);
    refusal(load(none.path(), &prepare(4, 4, 1), Bad::Skip), &["none of 1 files", "1.png"]);
}

#[test]
fn a_jpeg_that_is_cut_short_is_no_half_picture() {
    for whole in [CMYK, YCCK, TURNED, PROGRESSIVE] {
        decode(whole, &prepare(16, 16, 3));
        for end in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            refusal(decode_image(&whole[..end], Path::new("cut.jpg"), &prepare(16, 16, 3)), &["cut.jpg"]);
        }
    }
}

#[test]
fn the_pixels_of_a_png_are_taken_as_they_are() {
    let pixels: Vec<u8> = (0..75).map(|i| (i * 3) as u8).collect();
    let rgb = RgbImage::from_raw(5, 5, pixels.clone()).unwrap();
    let got = decode(&png(rgb), &prepare(5, 5, 3));
    for (i, byte) in pixels.iter().enumerate() {
        assert_eq!(got[i % 3 * 25 + i / 3], *byte);
    }
}

#[test]
fn grey_goes_to_all_channels_and_colours_to_luma() {
    let pixels: Vec<u8> = (0..16).map(|i| i * 16).collect();
    let file = png(grey(4, 4, pixels.clone()));
    assert_eq!(decode(&file, &prepare(4, 4, 1)), pixels);
    assert_eq!(decode(&file, &prepare(4, 4, 3)), pixels.repeat(3));
    let green = png(RgbImage::from_pixel(2, 2, image::Rgb([0, 255, 0])));
    assert_eq!(decode(&green, &prepare(2, 2, 1)), [149; 4]);
}

#[test]
fn sixteen_bits_become_eight_by_their_full_range() {
    let levels = [0_u16, 128, 129, 300, 32_768, 65_535];
    let picture = ImageBuffer::<image::Luma<u16>, _>::from_raw(6, 1, levels.to_vec()).unwrap();
    let got = decode(&png(DynamicImage::ImageLuma16(picture)), &prepare(1, 6, 1));
    let want = levels.map(|level| (f64::from(level) * 255.0 / 65_535.0).round() as u8);
    assert_eq!(got, want);
    let picture = ImageBuffer::<image::Luma<u16>, _>::from_raw(6, 1, levels.to_vec()).unwrap();
    let got = decode(&png(DynamicImage::ImageLuma16(picture)), &prepare(1, 6, 3));
    assert_eq!(got, want.repeat(3));
}

#[test]
fn transparent_pixels_lie_on_the_background() {
    let picture =
        ImageBuffer::<Rgba<u8>, _>::from_raw(3, 1, vec![200, 0, 0, 0, 200, 0, 0, 255, 200, 0, 0, 51])
            .unwrap();
    let file = png(DynamicImage::ImageRgba8(picture));
    let mut prepare = prepare(1, 3, 3);
    // A fifth of 200 on four fifths of white.
    assert_eq!(decode(&file, &prepare), [255, 200, 244, 255, 0, 204, 255, 0, 204]);
    prepare.background = [0, 10, 100];
    assert_eq!(decode(&file, &prepare), [0, 200, 40, 10, 0, 8, 100, 0, 80]);
    // Grey with alpha is one channel and its opacity, not two colours.
    let picture = ImageBuffer::<LumaA<u8>, _>::from_raw(2, 1, vec![100, 255, 100, 0]).unwrap();
    let file = png(DynamicImage::ImageLumaA8(picture));
    assert_eq!(decode(&file, &Prepare { channels: 1, ..Prepare::new(1, 2) }), [100, 255]);
    assert_eq!(decode(&file, &Prepare { channels: 3, ..Prepare::new(1, 2) }), [100, 255].repeat(3));
}

#[test]
fn cmyk_is_not_inverted() {
    // Pillow's convert("RGB") of the same files.
    let got = decode(CMYK, &prepare(16, 16, 3));
    let pixel = |y: usize, x: usize| [0, 256, 512].map(|plane| got[plane + y * 16 + x]);
    near(&pixel(2, 2), &[49, 190, 216], 3);
    near(&pixel(12, 12), &[187, 57, 27], 3);
    let got = decode(YCCK, &prepare(16, 16, 3));
    near(&[0, 256, 512].map(|plane| got[plane + 51]), &[40, 160, 89], 3);
}

#[test]
fn progressive_jpegs_of_odd_sizes_are_read() {
    let got = decode(PROGRESSIVE, &prepare(21, 19, 3));
    // Pillow's pixels. Its decoder interpolates colours otherwise.
    for ((x, y), want) in [((0, 0), [0, 1, 2]), ((18, 20), [217, 220, 229]), ((9, 10), [105, 110, 113])] {
        near(&[0, 399, 798].map(|plane| got[plane + y * 19 + x]), &want, 6);
    }
}

#[test]
fn orientation_is_applied_before_sizes_are_looked_at() {
    // 24 × 16 pixels, red on the left and blue on the right; the tag says in which corner the picture's first pixel belongs.
    let tag = TURNED
        .windows(6)
        .position(|six| six == [0x01, 0x12, 0, 3, 0, 0] || six == [0x12, 0x01, 3, 0, 1, 0])
        .unwrap();
    let big_endian = TURNED[tag] == 1;
    let red = |got: &[u8], y: usize, x: usize, w: usize| got[y * w + x] > 150;
    for orientation in 1..=8_u8 {
        let mut file = TURNED.to_vec();
        file[tag + 8 + usize::from(big_endian)] = orientation;
        let (h, w) = if orientation < 5 { (16, 24) } else { (24, 16) };
        let got = decode(&file, &prepare(h, w, 3));
        // Where the left half goes: to the left, the right, the top or the bottom.
        let (y, x) = match orientation {
            1 | 4 => (h / 2, 3),
            2 | 3 => (h / 2, w - 4),
            5 | 6 => (3, w / 2),
            _ => (h - 4, w / 2),
        };
        assert!(red(&got, y, x, w) && !red(&got, h - 1 - y, w - 1 - x, w), "orientation {orientation}");
    }
    // Of the upright picture the centre is half red, half blue, one above the other.
    let got = decode(TURNED, &prepare(16, 16, 3));
    assert!(red(&got, 2, 2, 16) && red(&got, 2, 13, 16) && !red(&got, 13, 2, 16) && !red(&got, 13, 13, 16));
}

#[test]
fn a_png_s_orientation_is_applied_too() {
    let file = png(grey(1, 2, vec![10, 200]));
    // A TIFF with one entry: tag 0x112 (orientation), a short, once, 6: turn it to the right.
    let tiff = [&b"MM\0*\0\0\0\x08\0\x01"[..], &[1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0], &[0; 4]].concat();
    let mut crc = flate2::Crc::new();
    crc.update(b"eXIf");
    crc.update(&tiff);
    let length = (tiff.len() as u32).to_be_bytes();
    let chunk = [&length[..], b"eXIf", &tiff, &crc.sum().to_be_bytes()].concat();
    // Behind the signature and the header.
    let turned = [&file[..33], &chunk, &file[33..]].concat();
    assert_eq!(decode(&file, &prepare(1, 2, 1)), [10, 200]);
    assert_eq!(decode(&turned, &prepare(2, 1, 1)), [10, 200]);
}

const RANDOM: [u8; 70] = [
    106, 152, 249, 131, 184, 200, 0, 21, 253, 147, 202, 107, 249, 169, 138, 149, 119, 166, 224, 148, 172, 93,
    167, 142, 248, 26, 81, 218, 150, 66, 2, 191, 60, 129, 179, 90, 69, 104, 110, 97, 157, 106, 152, 251, 62,
    7, 248, 171, 33, 123, 79, 176, 37, 20, 94, 49, 149, 127, 206, 244, 28, 119, 54, 0, 192, 233, 18, 116,
    191, 165,
];

#[test]
fn sizes_are_changed_as_by_pillow() {
    let file = png(grey(7, 10, RANDOM.to_vec()));
    // Image.resize(…, BILINEAR), its shorter side as torchvision's Resize has it, and the centre of that. Pillow rounds
    // between the axes.
    let halved = [160, 172, 119, 163, 122, 137, 114, 121, 100, 88, 122, 163];
    near(&decode(&file, &prepare(3, 4, 1)), &halved, 1);
    let square = [
        199, 166, 176, 77, 139, 159, 172, 140, 110, 186, 123, 148, 117, 100, 122, 117, 124, 51, 155, 137, 83,
        48, 166, 96, 149,
    ];
    near(&decode(&file, &prepare(5, 5, 1)), &square, 1);
    let wide = [154, 180, 147, 118, 167, 118, 140, 116, 124, 117];
    near(&decode(&file, &prepare(2, 5, 1)), &wide, 1);
    let cropped: Vec<u8> = RANDOM.chunks(10).flat_map(|row| &row[2..9]).copied().collect();
    assert_eq!(decode(&file, &prepare(7, 7, 1)), cropped);
    let larger = decode(&file, &prepare(10, 12, 1));
    near(&larger[..12], &[132, 180, 249, 165, 154, 186, 198, 86, 6, 21, 187, 208], 1);
    near(&larger[108..], &[80, 100, 54, 15, 82, 198, 227, 110, 46, 116, 170, 180], 1);
}

#[test]
fn long_strips_take_no_more_memory_than_other_pictures() {
    let strip = png(grey(1, 60_000, (0..60_000).map(|i| (i / 256) as u8).collect()));
    let got = decode(&strip, &prepare(300, 300, 1));
    assert_eq!((got.len(), got[0].abs_diff(30_000_u32.div_euclid(256) as u8) <= 1), (90_000, true));
}

#[test]
fn claims_that_a_file_cannot_hold_are_refused() {
    let mut file = flat(3);
    file[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    file[20..24].copy_from_slice(&1_000_u32.to_be_bytes());
    refusal(decode_image(&file, Path::new("p"), &prepare(4, 4, 1)), &["60000 × 1000", "pixels"]);
    refusal(decode_image(&flat(3), Path::new("p"), &prepare(0, 4, 1)), &["0 × 4"]);
    refusal(decode_image(&flat(3), Path::new("p"), &prepare(4, 4, 2)), &["2 channels"]);
}

#[test]
fn a_prediction_s_pixels_are_those_of_training() {
    let root = folder(&[("a/1.jpg", TURNED.to_vec()), ("b/2.png", png(grey(7, 10, RANDOM.to_vec())))]);
    let prepare = prepare(5, 5, 3);
    let images = load(root.path(), &prepare, Bad::Fail).unwrap().train;
    for (i, path) in ["a/1.jpg", "b/2.png"].into_iter().enumerate() {
        assert_eq!(images.image(i).unwrap(), load_image(&root.path().join(path), &prepare).unwrap());
    }
}
