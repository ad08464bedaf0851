//! CIFAR-10's binary files: good ones load, bad ones are told by file, finding and expectation.
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wgrad_data::cifar10::{self, CLASSES, Source, load, locate};
use wgrad_data::{Error, Split};

const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

/// A record with `label` whose planes are filled with `label + 10`, `+ 20` and `+ 30`.
fn record(label: u8) -> Vec<u8> {
    let plane = |add: u8| vec![label + add; 1024];
    [vec![label], plane(10), plane(20), plane(30)].concat()
}

/// File `i` of the six gets two records, labelled `i` and `9 - i`.
fn write_set(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (i, name) in FILES.into_iter().enumerate() {
        let i = i as u8;
        fs::write(folder.join(name), [record(i), record(9 - i)].concat()).unwrap();
    }
}

fn good_set() -> TempDir {
    let folder = TempDir::new().unwrap();
    write_set(folder.path());
    folder
}

fn check_good(split: &Split) {
    assert_eq!(split.train.labels, [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]);
    assert_eq!(split.test.labels, [5, 4]);
    assert_eq!(split.train.shape(), [3, 32, 32]);
    let image = split.train.image(3).unwrap();
    assert_eq!(image, &record(8)[1..]);
    assert_eq!((image[0], image[1024], image[3071]), (18, 28, 38));
}

#[test]
fn a_set_loads_from_the_folder_and_from_its_subfolder() {
    let flat = good_set();
    let split = load(flat.path()).unwrap();
    check_good(&split);
    assert_eq!(split.test.classes, CLASSES);
    let nested = TempDir::new().unwrap();
    write_set(&nested.path().join("cifar-10-batches-bin"));
    check_good(&load(nested.path()).unwrap());
}

#[test]
fn folders_of_a_file_s_name_are_no_stumbling_block() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("cifar-10-batches-bin");
    write_set(&data);
    for (i, name) in FILES.into_iter().chain(["batches.meta.txt"]).enumerate() {
        let file = data.join(name);
        let bytes = fs::read(&file).unwrap_or_else(|_| b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj".to_vec());
        let _ = fs::remove_file(&file);
        fs::create_dir(&file).unwrap();
        fs::write(file.join(name), bytes).unwrap();
        // Each set up to here has some files of either kind.
        let split = load(folder.path()).unwrap();
        check_good(&split);
        assert_eq!(split.train.classes[0], if i < 6 { CLASSES[0] } else { "a" });
    }
    // A file where the subfolder could be is in nobody's way.
    let flat = good_set();
    fs::write(flat.path().join("cifar-10-batches-bin"), b"a file").unwrap();
    check_good(&load(flat.path()).unwrap());
}

#[test]
fn class_names_come_from_the_file_if_they_are_sane() {
    let folder = good_set();
    let names = |text: &[u8]| {
        fs::write(folder.path().join("batches.meta.txt"), text).unwrap();
        load(folder.path()).unwrap().train.classes
    };
    assert_eq!(
        names(b"a\r\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"),
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    );
    for bad in [
        &b""[..],
        b"a\nb\nc",
        b"a\na\nc\nd\ne\nf\ng\nh\ni\nj",
        b"a\nb\x1b[2J\nc\nd\ne\nf\ng\nh\ni\nj",
        b"\xff\nb\nc\nd\ne\nf\ng\nh\ni\nj",
        &[b'x'; 100_000],
    ] {
        assert_eq!(names(bad), CLASSES);
    }
}

/// Puts `bytes` in place of file `name` of a good set, and returns the error of loading it.
fn error_with(name: &str, bytes: &[u8]) -> Error {
    let folder = good_set();
    fs::write(folder.path().join(name), bytes).unwrap();
    load(folder.path()).unwrap_err()
}

fn expect(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    for part in parts {
        assert!(text.contains(part), "{text}: lacks {part}");
    }
}

#[test]
fn files_of_odd_size_are_refused() {
    let truncated = error_with("data_batch_3.bin", &[record(1), record(2)].concat()[..6145]);
    assert!(matches!(truncated, Error::Format { .. }));
    expect(&truncated, &["data_batch_3.bin", "6145 bytes", "1 records and 3072", "3073-byte records"]);
    let longer = error_with("test_batch.bin", &[record(1), vec![0]].concat());
    expect(&longer, &["test_batch.bin", "3074 bytes", "1 records and 1 bytes"]);
    let empty = error_with("data_batch_5.bin", b"");
    expect(&empty, &["data_batch_5.bin", "an empty file", "at least one"]);
}

#[test]
fn a_label_over_nine_is_told_by_record_and_byte() {
    let error = error_with("data_batch_2.bin", &[record(1), record(9), record(10)].concat());
    let Error::Label { record, offset, label, max, .. } = error else { panic!("{error}") };
    assert_eq!((record, offset, label, max), (2, 6146, 10, 9));
    expect(&error, &["data_batch_2.bin", "label 10", "record 2", "byte 6146", "0 to 9"]);
    expect(&error_with("test_batch.bin", &[255; 3073]), &["test_batch.bin", "label 255", "record 0"]);
}

#[test]
fn missing_files_are_named() {
    let folder = good_set();
    fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
    fs::remove_file(folder.path().join("test_batch.bin")).unwrap();
    let error = load(folder.path()).unwrap_err();
    let Error::MissingFiles { files, .. } = &error else { panic!("{error}") };
    assert_eq!(files, &["data_batch_4.bin", "test_batch.bin"]);
    expect(
        &error,
        &[folder.path().to_str().unwrap(), "lacks data_batch_4.bin, test_batch.bin", "cifar-10-binary"],
    );
    // A subfolder that lacks fewer is the one meant.
    let nested = TempDir::new().unwrap();
    let inner = nested.path().join("cifar-10-batches-bin");
    write_set(&inner);
    fs::remove_file(inner.join("data_batch_1.bin")).unwrap();
    expect(&load(nested.path()).unwrap_err(), &["cifar-10-batches-bin lacks data_batch_1.bin;"]);
    let empty = TempDir::new().unwrap();
    expect(&load(empty.path()).unwrap_err(), &FILES);
}

#[test]
fn folders_that_cannot_be_read_are_told() {
    let folder = good_set();
    for path in [folder.path().join("nowhere"), folder.path().join("test_batch.bin")] {
        let error = load(&path).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error:?}");
        expect(&error, &["cannot read", path.to_str().unwrap()]);
    }
    fs::remove_file(folder.path().join("test_batch.bin")).unwrap();
    fs::create_dir(folder.path().join("test_batch.bin")).unwrap();
    expect(&load(folder.path()).unwrap_err(), &["test_batch.bin", "something other than a file"]);
}

#[test]
fn the_first_place_named_is_taken() {
    let (set, other, cache) = (good_set(), good_set(), good_set());
    let variable = Some(other.path().as_os_str());
    let found = |named, variable, cache| locate(named, variable, cache).unwrap();
    let (flag, cached) = (Some(set.path()), Some(cache.path()));
    assert_eq!(found(flag, variable, cached), Source::Named(set.path().into()));
    assert_eq!(found(None, variable, cached), Source::Environment(other.path().into()));
    assert_eq!(found(None, None, cached), Source::Cache(cache.path().into()));
    assert_eq!(found(None, Some(OsStr::new("")), cached), Source::Cache(cache.path().into()));
    assert_eq!(found(None, None, None), Source::None);
    assert_eq!(found(None, None, cached).folder(), cached);
    assert_eq!(Source::None.folder(), None);
    // The folder found is the one of the files.
    let nested = TempDir::new().unwrap();
    let inner = nested.path().join("cifar-10-batches-bin");
    write_set(&inner);
    assert_eq!(found(Some(nested.path()), None, None), Source::Named(inner));
}

#[test]
fn a_named_place_without_the_files_is_an_error_and_an_empty_cache_is_not() {
    let (good, empty) = (good_set(), TempDir::new().unwrap());
    let nowhere: PathBuf = empty.path().join("nowhere");
    for bad in [empty.path(), &nowhere] {
        assert!(locate(Some(bad), Some(good.path().as_os_str()), Some(good.path())).is_err());
        assert!(locate(None, Some(bad.as_os_str()), Some(good.path())).is_err());
        assert_eq!(locate(None, None, Some(bad)).unwrap(), Source::None);
    }
    // A cache with some of the files is neither empty nor usable.
    fs::remove_file(good.path().join("test_batch.bin")).unwrap();
    expect(&locate(None, None, Some(good.path())).unwrap_err(), &["lacks test_batch.bin"]);
    // Nor is one that is not a folder.
    let file = good.path().join("data_batch_1.bin");
    expect(&locate(None, None, Some(&file)).unwrap_err(), &["cannot read"]);
    assert_eq!(cifar10::VARIABLE, "CIFAR10_DIR");
}
