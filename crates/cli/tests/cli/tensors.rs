//! Safetensors files of inputs and targets: from a file to a model, and from the model to predictions.

use std::path::Path;

use tempfile::tempdir;
use wgrad::nn::{Integer, StateDict};

use crate::wgrad::words;

/// Writes `x`, and `y` if there is one: whole numbers as I64, or floats.
fn write(path: &Path, x: (&[usize], &[f32]), y: Option<(&[usize], &[f32], bool)>) {
    let mut state = StateDict::default();
    state.tensors.insert("x".to_owned(), (x.0.to_vec(), x.1.to_vec()));
    if let Some((shape, values, is_class)) = y {
        state.tensors.insert("y".to_owned(), (shape.to_vec(), values.to_vec()));
        if is_class {
            state.integers.insert("y".to_owned(), Integer::I64);
        }
    }
    state.save(path).unwrap();
}

/// Rows of four columns of very different sizes, `[n, 4]`.
fn columns(n: usize) -> Vec<f32> {
    let scales = [1.0, 1000.0, 0.001, 10.0];
    (0..4 * n).map(|i| ((i * 37 + i / 4 * 11) % 100) as f32 / 50.0 * scales[i % 4] + 5.0).collect()
}

/// The class that a row is of: how its first columns lie.
fn class(row: &[f32]) -> f32 {
    f32::from(u8::from(row[0] > 6.0)) + f32::from(u8::from(row[1] > 1005.0))
}

#[test]
fn a_file_of_rows_becomes_a_classifier() {
    let folder = tempdir().unwrap();
    let x = columns(150);
    let y: Vec<f32> = x.chunks(4).map(class).collect();
    write(&folder.path().join("set.safetensors"), (&[150, 4], &x), Some((&[150], &y, true)));
    let line = "train --data set.safetensors --set epochs=60 --set lr=0.01";
    let printed = words(folder.path(), line).succeeds().out;
    let about =
        "tensors, 120 rows of shape [4] to train on and 30 to validate; y is 3 classes (whole numbers)";
    assert!(printed.contains(about) && printed.contains("mlp 4-64-32-3; adam"), "{printed}");
    let line = "eval run/model.safetensors --data set.safetensors --json";
    let judged = words(folder.path(), line).succeeds().json();
    assert_eq!(judged["rows"], 150);
    assert!(judged["figures"]["accuracy"].as_f64() > Some(0.95), "{judged}");
    let inspected = words(folder.path(), "inspect run/model.safetensors").succeeds().out;
    assert!(inspected.contains("x of rows [4]") && inspected.contains("classes 0, 1, 2"), "{inspected}");
    let report = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(report.contains("Confusion matrix"));

    // New rows need no targets, and are scaled as those of the training part were.
    let new = [5.2, 100.0, 5.0, 6.0, 6.9, 1900.0, 5.0, 20.0];
    write(&folder.path().join("new.safetensors"), (&[2, 4], &new), None);
    let line = "predict run/model.safetensors new.safetensors";
    let named = words(folder.path(), &format!("{line} --json")).succeeds().json();
    assert_eq!([&named[0]["classes"][0]["class"], &named[1]["classes"][0]["class"]], ["0", "2"], "{named}");
    let lines = words(folder.path(), line).succeeds().out;
    assert!(lines.starts_with("new.safetensors row 1: 0 ") && lines.lines().count() == 2, "{lines}");
}

#[test]
fn floats_become_a_regression_of_several_numbers_in_their_own_units() {
    let folder = tempdir().unwrap();
    let x = columns(200);
    let y: Vec<f32> = x.chunks(4).flat_map(|row| [300.0 * row[0] - row[1], 0.01 * row[3]]).collect();
    write(&folder.path().join("set.safetensors"), (&[200, 4], &x), Some((&[200, 2], &y, false)));
    let line =
        "train --data set.safetensors --set epochs=80 --set lr=0.01 --set loss=huber --set huber_delta=0.5";
    let printed = words(folder.path(), line).succeeds().out;
    assert!(printed.contains("y is 2 numbers (floats)") && printed.contains("mlp 4-64-32-2"), "{printed}");
    let line = "eval run/model.safetensors --data set.safetensors --json";
    let judged = words(folder.path(), line).succeeds().json();
    assert!(judged["figures"]["r2"].as_f64() > Some(0.97), "{judged}");
    write(&folder.path().join("new.safetensors"), (&[1, 4], &[6.0, 505.0, 5.001, 15.0]), None);
    let line = "predict run/model.safetensors new.safetensors";
    let value = words(folder.path(), &format!("{line} --json")).succeeds().json();
    let numbers = [0, 1].map(|i| value[0]["y"][i].as_f64().unwrap());
    assert!((numbers[0] - 1295.0).abs() < 150.0 && (numbers[1] - 0.15).abs() < 0.02, "{value}");
    let lines = words(folder.path(), line).succeeds().out;
    assert!(lines.starts_with("new.safetensors row 1: y 1"), "{lines}");
    let report = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(report.contains("Predicted against actual"));
    // A file whose targets are classes is not what this model predicts.
    let classes: Vec<f32> = x.chunks(4).map(class).collect();
    write(&folder.path().join("other.safetensors"), (&[200, 4], &x), Some((&[200], &classes, true)));
    let line = "eval run/model.safetensors --data other.safetensors";
    words(folder.path(), line).fails(3, &["other.safetensors", "2 of each row"]);
}

/// The bytes of the pixels of a PNG file in base64 that ends with a quotation mark.
fn pixels(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |byte: u8| DIGITS.iter().position(|&digit| digit == byte);
    let digits: Vec<usize> = text.bytes().map_while(value).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let word = four.iter().fold(0, |word, digit| word << 6 | digit) << (6 * (4 - four.len()));
        word.to_be_bytes().into_iter().skip(5).take(four.len() * 6 / 8)
    });
    let file = std::io::Cursor::new(bytes.collect::<Vec<u8>>());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

#[test]
fn planes_of_rows_and_columns_become_a_cnn() {
    let folder = tempdir().unwrap();
    // Bright on the left or on the right.
    let pixel = |i: usize| {
        let (image, column) = (i / 64, i % 8);
        f32::from(u8::from((column < 4) == image.is_multiple_of(2))) * 200.0 + (i * 31 % 40) as f32
    };
    let x: Vec<f32> = (0..60 * 64).map(pixel).collect();
    let y: Vec<f32> = (0..60).map(|i| (i % 2) as f32).collect();
    write(&folder.path().join("set.safetensors"), (&[60, 1, 8, 8], &x), Some((&[60], &y, false)));
    let line = "train --data set.safetensors --set epochs=6 --set widths=[4]";
    let printed = words(folder.path(), line).succeeds().out;
    let about =
        "48 rows of shape [1, 8, 8] to train on and 12 to validate; y is 2 classes (floats that are 0 and 1)";
    assert!(printed.contains(about), "{printed}");
    assert!(printed.contains("cnn of 4 channels for 1×8×8 images, 2 outputs"), "{printed}");
    let line = "eval run/model.safetensors --data set.safetensors --json";
    let judged = words(folder.path(), line).succeeds().json();
    assert!(judged["figures"]["accuracy"].as_f64() > Some(0.95), "{judged}");
    // The report draws them from the smallest value to the largest, and says so.
    let report = |run: &str| std::fs::read_to_string(folder.path().join(run).join("report.html")).unwrap();
    let page = report("run");
    let (_, page) = page.split_once("What the model looks at").unwrap();
    let (looked_at, filters) = page.split_once("Filters of the first layer").unwrap();
    let range = looked_at.split_once(" Black is ").unwrap().1.split_once(".</p>").unwrap().0;
    let range: Vec<f32> = range.split(", white ").map(|number| number.parse().unwrap()).collect();
    assert!(range[0].abs() < 0.01 && (range[1] - 239.0).abs() < 0.01, "{range:?}");
    // Of each class an image with what speaks for it, two columns wide.
    let shown: Vec<Vec<u8>> = looked_at.split("base64,").skip(1).map(pixels).collect();
    assert_eq!(shown.iter().map(Vec::len).collect::<Vec<_>>(), [64, 192, 64, 192]);
    for (image, class) in [(&shown[0], 0), (&shown[2], 1)] {
        // Images of class 0 are bright on the left, those of class 1 on the right.
        let (left, right) = (u32::from(image[0]), u32::from(image[7]));
        assert_eq!(left > right, class == 0, "{image:?}");
        assert!(image.contains(&255) || image.contains(&0), "{image:?}");
    }
    assert_eq!(
        filters.split("base64,").skip(1).map(|filter| pixels(filter).len()).collect::<Vec<_>>(),
        [9; 4]
    );
    // Any other rank is flattened, for an mlp.
    write(&folder.path().join("rows.safetensors"), (&[60, 8, 8], &x), Some((&[60], &y, true)));
    let line = "train --data rows.safetensors --set epochs=1 --run rows";
    assert!(words(folder.path(), line).succeeds().out.contains("mlp 64-64-32-2"));
    // A single number of each row, and one to predict.
    write(&folder.path().join("line.safetensors"), (&[3840], &x), Some((&[3840], &x, false)));
    let line = "train --data line.safetensors --set epochs=1 --run line";
    let printed = words(folder.path(), line).succeeds().out;
    assert!(printed.contains("y is a number (floats)") && printed.contains("mlp 1-64-32-1"), "{printed}");
    let line = "predict line/model.safetensors line.safetensors";
    assert_eq!(words(folder.path(), line).succeeds().out.lines().count(), 3840);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(format!("{name}.safetensors"));
    let (mut x, y) = (columns(20), [0.0, 1.0].repeat(10));
    write(&path("set"), (&[20, 4], &x), Some((&[20], &y, true)));
    write(&path("one"), (&[20, 4], &x), Some((&[20], &[0.0; 20], true)));
    write(&path("many"), (&[20, 4], &x), Some((&[20], &[2e6; 20], true)));
    write(&path("alone"), (&[20, 4], &x), None);
    write(&path("narrow"), (&[40, 2], &x), None);
    x[33] = f32::NAN;
    write(&path("nan"), (&[20, 4], &x), Some((&[20], &y, true)));
    let fails = |line: &str, code, expected: &[&str]| words(folder.path(), line).fails(code, expected);
    fails("train --data set.safetensors --target y", 2, &["--target y", "targets in y"]);
    fails("train --data set.safetensors --set augment=true", 2, &["augment"]);
    fails("train --data set.safetensors --set model=cnn", 2, &["for images"]);
    fails("train --data one.safetensors", 3, &["one.safetensors", "largest class in y is 0"]);
    fails("train --data many.safetensors", 3, &["2000000", "floats"]);
    fails("train --data alone.safetensors", 3, &["no tensor y"]);
    fails("train --data nan.safetensors", 3, &["nan.safetensors", "x has NaN in row"]);
    words(folder.path(), "train --data set.safetensors --set epochs=1").succeeds();
    let model = "run/model.safetensors";
    fails(&format!("predict {model} narrow.safetensors"), 3, &["[2]", "[4]"]);
    fails(&format!("predict {model} nan.safetensors"), 3, &["x has NaN in row 8"]);
    fails(&format!("eval {model} --data many.safetensors"), 3, &["y of row 0 is 2000000", "0 to 1"]);
    std::fs::write(folder.path().join("rows.csv"), "x,y\n1,2\n").unwrap();
    fails(&format!("eval {model} --data rows.csv"), 3, &["rows.csv: no tensors"]);
    fails(&format!("predict {model} rows.csv"), 3, &["rows.csv: no tensors"]);
    fails(&format!("predict {model} run"), 3, &["run: no tensors"]);
    fails(
        &format!("run {model} --input narrow.safetensors --output out.safetensors"),
        3,
        &["narrow.safetensors: x [40, 2]"],
    );
    fails("train --data set.safetensors --set model=mlp --set size=[2,2]", 2, &["keys of images"]);
    write(&path("few"), (&[1, 4], &[0.0; 4]), Some((&[1], &[0.5], false)));
    fails("train --data few.safetensors", 3, &["few.safetensors: validation = 0.2 of 1 rows"]);
}
