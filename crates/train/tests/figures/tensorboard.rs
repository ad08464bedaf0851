//! Event files: what this test writes into `WGRAD_TENSORBOARD`, `ci/tensorboard` reads with the real package.

use std::path::PathBuf;

use wgrad_train::logs::TensorBoard;
use wgrad_train::{Logger, Picture};

/// CRC-32C bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

fn masked(bytes: &[u8]) -> u32 {
    let crc = crc32c(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The payloads of a file's records, all of them whole.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(word(&bytes[8..12]), masked(&bytes[..8]));
        let payload = &bytes[12..12 + length];
        assert_eq!(word(&bytes[12 + length..16 + length]), masked(payload));
        records.push(payload.to_vec());
        bytes = &bytes[16 + length..];
    }
    records
}

#[test]
fn event_files() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    let temporary = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("WGRAD_TENSORBOARD").map(PathBuf::from);
    let folder = asked.unwrap_or_else(|| temporary.path().join("run"));

    let mut log = TensorBoard::new(&folder);
    log.start(0).unwrap();
    for step in 1..=5 {
        log.log(step, &[("loss", 1.0 / step as f64), ("lr", 0.1)]).unwrap();
    }
    log.log(5, &[("val_accuracy", 0.75), ("val_roc_auc", f64::NAN)]).unwrap();
    let grey = Picture::new(3, 2, 1, vec![0, 50, 100, 150, 200, 255]).unwrap();
    let rgb = Picture::new(1, 2, 3, vec![255, 0, 0, 0, 0, 255]).unwrap();
    log.image(4, "grey", &grey).unwrap();
    log.image(4, "rgb", &rgb).unwrap();
    let weights = [-2.0, -0.5, 0.0, 0.0, 0.25, 1e-20, 3.0, f32::NAN, f32::INFINITY];
    log.clone().histogram(4, "weights", &weights).unwrap();
    log.histogram(4, "nothing", &[]).unwrap();
    log.finish().unwrap();
    // Events of one record each: the version, six of figures, two pictures, two histograms.
    let bytes = std::fs::read(log.path().unwrap()).unwrap();
    let whole = records(&bytes);
    assert_eq!(whole.len(), 11);
    assert!(whole[0].windows(13).any(|bytes| bytes == b"brain.Event:2"));

    // Resumed after step 3: steps 4 and 5 are made anew, in a file that readers take after the first one.
    let first = log.path().unwrap();
    log.start(3).unwrap();
    for step in 4..=6 {
        log.log(step, &[("loss", 10.0 * step as f64)]).unwrap();
    }
    assert!(log.path().unwrap() > first);
    assert_eq!(records(&std::fs::read(log.path().unwrap()).unwrap()).len(), 5);
}

#[test]
fn a_folder_that_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = TensorBoard::new(folder.path().join("file/run")).start(0).unwrap_err().to_string();
    assert!(error.contains("events.out"), "{error}");
}
