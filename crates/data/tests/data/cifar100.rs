//! CIFAR-100's binary files: two label bytes, of which the second counts.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wgrad_data::Error;
use wgrad_data::cifar100::{CLASSES, load};

fn record(coarse: u8, fine: u8) -> Vec<u8> {
    let plane = |add: u8| vec![fine + add; 1024];
    [vec![coarse, fine], plane(10), plane(20), plane(30)].concat()
}

fn write_set(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("train.bin"), [record(1, 2), record(19, 99), record(0, 0)].concat()).unwrap();
    fs::write(folder.join("test.bin"), record(3, 50)).unwrap();
}

#[test]
fn fine_labels_and_whole_pixels_are_read() {
    for inner in ["", "cifar-100-binary"] {
        let folder = TempDir::new().unwrap();
        write_set(&folder.path().join(inner));
        let split = load(folder.path()).unwrap();
        assert_eq!((&split.train.labels[..], &split.test.labels[..]), (&[2, 99, 0][..], &[50][..]));
        assert_eq!(split.train.image(1).unwrap(), &record(19, 99)[2..]);
        assert_eq!((split.train.classes.len(), split.train.classes[99].as_str()), (100, "worm"));
    }
}

#[test]
fn names_are_in_alphabetical_order_or_the_file_s() {
    assert!(CLASSES.is_sorted());
    let folder = TempDir::new().unwrap();
    write_set(folder.path());
    let names: Vec<String> = (0..100).map(|i| format!("class {i}")).collect();
    fs::write(folder.path().join("fine_label_names.txt"), names.join("\n")).unwrap();
    assert_eq!(load(folder.path()).unwrap().train.classes[7], "class 7");
}

#[test]
fn bad_files_are_told() {
    let refused = |name: &str, bytes: Vec<u8>, parts: &[&str]| {
        let folder = TempDir::new().unwrap();
        write_set(folder.path());
        fs::write(folder.path().join(name), bytes).unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    // As long as a record of CIFAR-10.
    refused("train.bin", vec![0; 3073], &["train.bin", "3073 bytes", "3074-byte"]);
    refused("test.bin", vec![], &["test.bin", "empty"]);
    refused(
        "train.bin",
        [record(1, 1), record(20, 1)].concat(),
        &["label 20", "record 1", "byte 3074", "0 to 19"],
    );
    refused("train.bin", record(1, 100), &["label 100", "record 0", "byte 1;", "0 to 99"]);
    let empty = TempDir::new().unwrap();
    assert!(matches!(load(empty.path()), Err(Error::MissingFiles { files, .. }) if files.len() == 2));
}
