//! Which data set a path holds.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wgrad_data::{Error, Kind, detect};

fn folder(files: &[&str]) -> TempDir {
    let root = TempDir::new().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    root
}

const IDX: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

#[test]
fn kinds_are_told_by_names() {
    let batches: Vec<String> = (1..6).map(|i| format!("cifar-10-batches-bin/data_batch_{i}.bin")).collect();
    let mut cifar10: Vec<&str> = batches.iter().map(String::as_str).collect();
    cifar10.push("cifar-10-batches-bin/test_batch.bin");
    for (files, kind) in [
        (&IDX[..], Kind::Idx),
        (&cifar10, Kind::Cifar10),
        (&["train.bin", "test.bin"], Kind::Cifar100),
        (&["cat/1.png", "dog/2.JPG"], Kind::Images),
        (&["train/cat/1.jpeg", "val/cat/x.txt"], Kind::Images),
    ] {
        assert_eq!(detect(folder(files).path()).unwrap(), kind, "{files:?}");
    }
    let files = folder(&["a.CSV", "b.tsv", "c.safetensors"]);
    for (name, kind) in [("a.CSV", Kind::Table), ("b.tsv", Kind::Table), ("c.safetensors", Kind::Safetensors)]
    {
        assert_eq!(detect(&files.path().join(name)).unwrap(), kind);
    }
}

#[test]
fn what_is_none_of_them_is_told_with_all_that_was_looked_for() {
    for files in [&[][..], &["1.png"], &["a/b.txt"], &[".git/1.png"]] {
        let error = detect(folder(files).path()).unwrap_err().to_string();
        assert!(
            ["none", ".csv", "CIFAR-100", "idx", "png"].iter().all(|part| error.contains(part)),
            "{error}"
        );
    }
    let other = folder(&["a.parquet"]);
    assert!(detect(&other.path().join("a.parquet")).unwrap_err().to_string().contains(".csv"));
    assert!(matches!(detect(Path::new("/no/such")), Err(Error::Read { .. })));
}

#[test]
fn a_set_that_lacks_files_is_told_as_such() {
    let error = detect(folder(&IDX[..3]).path()).unwrap_err().to_string();
    assert!(error.contains("t10k-labels-idx1-ubyte"), "{error}");
}
