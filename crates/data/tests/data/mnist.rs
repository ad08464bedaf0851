//! MNIST's idx files: good ones load, hostile headers are refused before memory is taken.
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use wgrad_data::Error;
use wgrad_data::mnist::load;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

fn idx(words: &[u32], body: &[u8]) -> Vec<u8> {
    let header: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    [&header[..], body].concat()
}

fn images(n: u8) -> Vec<u8> {
    let body: Vec<u8> = (1..=n).flat_map(|i| vec![i; 784]).collect();
    idx(&[0x803, n.into(), 28, 28], &body)
}

fn labels(labels: &[u8]) -> Vec<u8> {
    idx(&[0x801, labels.len() as u32], labels)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Three training images labelled 9, 0, 5 and two test images labelled 1, 2, under the names that
/// `name` makes of the usual ones, the bytes changed by `pack`.
fn write_set(folder: &Path, name: impl Fn(&str) -> String, pack: impl Fn(&[u8]) -> Vec<u8>) {
    for (file, bytes) in [
        (TRAIN_IMAGES, images(3)),
        (TRAIN_LABELS, labels(&[9, 0, 5])),
        (TEST_IMAGES, images(2)),
        (TEST_LABELS, labels(&[1, 2])),
    ] {
        fs::write(folder.join(name(file)), pack(&bytes)).unwrap();
    }
}

fn good_set() -> TempDir {
    let folder = TempDir::new().unwrap();
    write_set(folder.path(), str::to_string, <[u8]>::to_vec);
    folder
}

#[test]
fn a_set_loads_plain_packed_and_under_either_spelling() {
    let dotted = |name: &str| name.replace("-idx", ".idx");
    let plain = good_set();
    let (packed, spelt, both) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    write_set(packed.path(), |name| format!("{name}.gz"), gzip);
    write_set(spelt.path(), dotted, <[u8]>::to_vec);
    write_set(both.path(), |name| dotted(name) + ".gz", gzip);
    for folder in [&plain, &packed, &spelt, &both] {
        let split = load(folder.path()).unwrap();
        assert_eq!(split.train.labels, [9, 0, 5]);
        assert_eq!(split.test.labels, [1, 2]);
        assert_eq!(split.train.shape(), [1, 28, 28]);
        assert_eq!(split.train.image(2), Some(&[3; 784][..]));
        assert_eq!(split.test.classes[7], "7");
    }
}

/// Archives in which each file lies in a folder of its name, alone or with the files beside these folders.
#[test]
fn folders_of_a_file_s_name_are_no_stumbling_block() {
    let dotted = |name: &str| name.replace("-idx", ".idx");
    let names = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];
    let check = |folder: &Path, what: &str| {
        let split = load(folder).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((split.train.labels, split.test.labels), (vec![9, 0, 5], vec![1, 2]), "{what}");
        assert_eq!(split.train.pixels[783..785], [1, 2], "{what}");
    };
    // What the folders are called, what the files in them, and how these are packed.
    for (outer_dotted, inner_dotted, gz) in [
        (false, false, false),
        (false, true, false),
        (true, false, false),
        (false, false, true),
        (true, true, true),
    ] {
        let folder = TempDir::new().unwrap();
        let spelt = |name: &str, dots: bool| if dots { dotted(name) } else { name.to_owned() };
        names.iter().for_each(|name| fs::create_dir(folder.path().join(spelt(name, outer_dotted))).unwrap());
        let ending = if gz { ".gz" } else { "" };
        let place =
            |name: &str| format!("{}/{}{ending}", spelt(name, outer_dotted), spelt(name, inner_dotted));
        write_set(folder.path(), place, |bytes| if gz { gzip(bytes) } else { bytes.to_vec() });
        check(folder.path(), &format!("in folders: {outer_dotted} {inner_dotted} {gz}"));
    }
    // Files beside folders of their names, which are empty or hold something else.
    for (name, pack) in [(dotted as fn(&str) -> String, false), (|name| format!("{name}.gz"), true)] {
        let folder = TempDir::new().unwrap();
        write_set(folder.path(), name, |bytes| if pack { gzip(bytes) } else { bytes.to_vec() });
        for name in names {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join(name), b"not this one").unwrap();
            fs::write(folder.path().join(name).join("notes.txt"), b"nor this").unwrap();
        }
        check(folder.path(), "beside folders");
    }
    // As torchvision keeps them, from either folder above.
    let folder = TempDir::new().unwrap();
    let raw = folder.path().join("MNIST").join("raw");
    fs::create_dir_all(&raw).unwrap();
    write_set(&raw, str::to_string, <[u8]>::to_vec);
    for place in [folder.path(), &folder.path().join("MNIST"), &raw] {
        check(place, "torchvision's folders");
    }
    // A file where a folder could be is in nobody's way.
    let folder = good_set();
    fs::write(folder.path().join("raw"), b"a file").unwrap();
    check(folder.path(), "a file named raw");
    fs::remove_file(folder.path().join(TEST_LABELS)).unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::MissingFiles { files, .. } if *files == [TEST_LABELS]), "{error}");
}

/// Puts `bytes` in place of file `name` of a good set; loading must fail with a message about the file
/// that holds every one of `parts`.
fn refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let folder = good_set();
    fs::write(folder.path().join(name), bytes).unwrap();
    let text = load(folder.path()).unwrap_err().to_string();
    for part in parts.iter().chain([&name]) {
        assert!(text.contains(part), "{text}: lacks {part}");
    }
}

/// The same for a `.gz` in place of the plain file.
fn refused_gz(name: &str, packed: &[u8], parts: &[&str]) {
    let folder = good_set();
    fs::remove_file(folder.path().join(name)).unwrap();
    fs::write(folder.path().join(format!("{name}.gz")), packed).unwrap();
    let text = load(folder.path()).unwrap_err().to_string();
    for part in parts.iter().chain([&name]) {
        assert!(text.contains(part), "{text}: lacks {part}");
    }
}

#[test]
fn wrong_headers_are_refused() {
    refused(TRAIN_IMAGES, b"", &["0 bytes", "header of 16 bytes"]);
    refused(TRAIN_IMAGES, &images(3)[..15], &["15 bytes", "header of 16 bytes"]);
    refused(TRAIN_LABELS, &[0; 7], &["7 bytes", "header of 8 bytes"]);
    refused(TRAIN_IMAGES, &idx(&[0x801, 3, 28, 28], &[0; 2352]), &["0x00000801", "0x00000803"]);
    refused(TEST_LABELS, &images(2), &["0x00000803", "0x00000801"]);
    // Little-endian, as a careless writer has it.
    refused(TEST_LABELS, &idx(&[0x0108_0000, 2], &[0, 0]), &["0x01080000"]);
    refused(TEST_IMAGES, &idx(&[0x803, 2, 14, 56], &[0; 1568]), &["axes [2, 14, 56]", "[n, 28, 28]"]);
    refused(TEST_IMAGES, &idx(&[0x803, 0, 28, 28], &[]), &["axes [0, 28, 28]", "at least 1"]);
    refused(TEST_LABELS, &idx(&[0x801, 0], &[]), &["axes [0]", "at least 1"]);
}

#[test]
fn lengths_must_match_the_header() {
    let good = images(3);
    refused(TRAIN_IMAGES, &good[..good.len() - 1], &["2367 bytes", "expected 2368 bytes"]);
    refused(TRAIN_IMAGES, &[&good[..], &[0]].concat(), &["2369 bytes", "expected 2368 bytes"]);
    // Claims of 3.4 TB and of 4 GiB with hardly a byte behind them.
    refused(TRAIN_IMAGES, &idx(&[0x803, u32::MAX, 28, 28], &[0; 99]), &["115 bytes", "3367254359296"]);
    refused(TRAIN_IMAGES, &idx(&[0x803, u32::MAX, u32::MAX, u32::MAX], &[0; 99]), &["axes"]);
    refused(TRAIN_LABELS, &idx(&[0x801, u32::MAX], &[1]), &["9 bytes", "4294967303 bytes"]);
}

#[test]
fn packed_files_are_checked_alike() {
    let good = images(3);
    refused_gz(TRAIN_IMAGES, &gzip(&good[..good.len() - 1]), &["fewer bytes", "expected 2368 bytes"]);
    refused_gz(TRAIN_IMAGES, &gzip(&[&good[..], &[0]].concat()), &["more bytes", "expected 2368 bytes"]);
    refused_gz(TRAIN_IMAGES, &gzip(&idx(&[0x803, u32::MAX, 28, 28], &[])), &["at most", "3367254359296"]);
    let packed = gzip(&good);
    // Under the name of one that is not packed.
    refused(TRAIN_IMAGES, &packed, &["0x1f8b0800", "0x00000803"]);
    refused_gz(TRAIN_IMAGES, &packed[..packed.len() - 9], &["cannot read"]);
    refused_gz(TRAIN_IMAGES, &good, &["cannot read"]);
    // The checksum stands in the last eight bytes.
    let mut spoiled = packed.clone();
    let at = spoiled.len() - 6;
    spoiled[at] ^= 1;
    refused_gz(TRAIN_IMAGES, &spoiled, &["cannot read"]);
    refused_gz(TRAIN_IMAGES, &[&packed[..], b"more"].concat(), &["cannot read"]);
}

#[test]
fn labels_must_be_digits_and_as_many_as_images() {
    refused(TRAIN_LABELS, &labels(&[0, 10, 1]), &["label 10", "record 1", "byte 9", "0 to 9"]);
    refused(TRAIN_LABELS, &labels(&[0, 1]), &["2 labels", "expected 3", TRAIN_IMAGES]);
    refused(TEST_LABELS, &labels(&[0, 1, 2]), &["3 labels", "expected 2", TEST_IMAGES]);
}

#[test]
fn missing_files_and_folders_are_named() {
    let folder = good_set();
    fs::remove_file(folder.path().join(TEST_LABELS)).unwrap();
    fs::remove_file(folder.path().join(TRAIN_IMAGES)).unwrap();
    let error = load(folder.path()).unwrap_err();
    let Error::MissingFiles { files, .. } = &error else { panic!("{error}") };
    assert_eq!(files, &[TRAIN_IMAGES, TEST_LABELS]);
    for path in [folder.path().join("nowhere"), folder.path().join(TRAIN_LABELS)] {
        let error = load(&path).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    fs::create_dir(folder.path().join(TRAIN_IMAGES)).unwrap();
    fs::write(folder.path().join(TEST_LABELS), labels(&[1, 2])).unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("something other than a file"), "{error}");
}

#[test]
fn fashion_mnist_has_names_of_its_own() {
    let folder = TempDir::new().unwrap();
    let named = folder.path().join("Fashion-MNIST");
    fs::create_dir(&named).unwrap();
    write_set(&named, str::to_string, <[u8]>::to_vec);
    let split = load(&named).unwrap();
    assert_eq!(
        (split.train.classes[9].as_str(), split.test.classes[0].as_str()),
        ("Ankle boot", "T-shirt/top")
    );
    // By its labels, whatever the folder is called.
    let set = good_set();
    fs::write(set.path().join(TRAIN_IMAGES), images(10)).unwrap();
    fs::write(set.path().join(TRAIN_LABELS), labels(&[9, 0, 0, 3, 0, 2, 7, 2, 5, 5])).unwrap();
    assert_eq!(load(set.path()).unwrap().train.classes[7], "Sneaker");
    assert_eq!(load(good_set().path()).unwrap().train.classes[7], "7");
}
