//! Safetensors of inputs and targets.

use std::path::Path;

use wgrad_autograd::Gpu;
use wgrad_data::Batches;
use wgrad_data::tensors::{Targets, Tensors};

fn file(header: &str, body: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), body].concat()
}

fn entry(name: &str, dtype: &str, shape: &str, from: usize, to: usize) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
}

fn parse(entries: &[String], body: &[u8]) -> wgrad_data::Result<Tensors> {
    Tensors::parse(&file(&format!("{{{}}}", entries.join(",")), body), Path::new("d.safetensors"))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn inputs_and_targets_of_all_types_are_read() {
    let x = floats(&[1.0, -2.0, 0.5, 4.0]);
    let y = [3_i64, 0].map(i64::to_le_bytes).concat();
    let read = parse(
        &[r#""__metadata__":{}"#.into(), entry("x", "F32", "[2,2]", 0, 16), entry("y", "I64", "[2]", 16, 32)],
        &[&x[..], &y].concat(),
    )
    .unwrap();
    assert_eq!((read.shape.clone(), read.x.clone()), (vec![2, 2], vec![1.0, -2.0, 0.5, 4.0]));
    assert_eq!(read.y, Targets::Classes(vec![3, 0]));
    let gpu = Gpu::builder().poison().quiet().build().unwrap();
    let batch = read.batches(&gpu).unwrap().batch(0, 2).unwrap();
    assert_eq!(batch.y.to_vec_as::<i32>().unwrap(), [3, 0]);

    // Half precision: 1 and -2; and bytes that are numbers, since they have two axes.
    let read = parse(
        &[entry("x", "F16", "[2,1]", 0, 4), entry("y", "U8", "[2,1]", 4, 6)],
        &[0x00, 0x3c, 0x00, 0xc0, 7, 9],
    )
    .unwrap();
    assert_eq!((read.x, read.y), (vec![1.0, -2.0], Targets::Numbers(vec![2, 1], vec![7.0, 9.0])));
    let read = parse(
        &[entry("x", "BF16", "[1]", 0, 2), entry("y", "F64", "[1,0]", 2, 2), entry("z", "BOOL", "[0]", 2, 2)],
        &[0x80, 0x3f],
    )
    .unwrap();
    assert_eq!((read.x, read.y), (vec![1.0], Targets::Numbers(vec![1, 0], vec![])));
}

#[test]
fn damaged_files_are_refused_with_what_is_wrong() {
    let x = || entry("x", "F32", "[2,1]", 0, 8);
    let refused = |entries: &[String], body: usize, parts: &[&str]| {
        let error = parse(entries, &vec![0; body]).unwrap_err().to_string();
        assert!(error.contains("d.safetensors") && parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(error.lines().count() <= 2, "{error}");
    };
    refused(&[x()], 8, &["no tensor y", "x"]);
    // Overlapping, short, left over, and twice.
    refused(&[x(), entry("y", "F32", "[2]", 4, 12)], 12, &["damage"]);
    refused(&[x(), entry("y", "F32", "[2]", 8, 12)], 12, &["damage"]);
    refused(&[x(), entry("y", "F32", "[2]", 8, 16)], 20, &["damage"]);
    refused(&[x(), entry("y", "F32", "[2]", 8, 16)], 12, &["damage"]);
    refused(&[x(), x(), entry("y", "F32", "[2]", 8, 16)], 16, &["two tensors", "\"x\""]);
    // Whole files of other things.
    refused(&[x(), entry("y", "F32", "[1,2]", 8, 16)], 16, &["[2, 1]", "[1, 2]", "rows"]);
    refused(&[entry("x", "F32", "[0,1]", 0, 0), entry("y", "F32", "[0]", 0, 0)], 0, &["at least one"]);
    refused(&[entry("x", "I32", "[2,1]", 0, 8), entry("y", "I32", "[2]", 8, 16)], 16, &["x of type I32"]);
    refused(&[x(), entry("y", "I32", "[2,1]", 8, 16)], 16, &["y of type I32"]);
    let negative = [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    let error = parse(&[x(), entry("y", "I8", "[2]", 8, 10)], &negative).unwrap_err().to_string();
    assert!(error.contains("class -1"), "{error}");
    for bytes in [&b""[..], b"x", &[0xff; 9]] {
        assert!(Tensors::parse(bytes, Path::new("d")).unwrap_err().to_string().contains("damage"));
    }
}

#[test]
fn rows_are_selected_and_inputs_read_alone() {
    let x = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let y = floats(&[10.0, 20.0, 30.0]);
    let entries = [entry("x", "F32", "[3,2]", 0, 24), entry("y", "F32", "[3,1]", 24, 36)];
    let read = parse(&entries, &[&x[..], &y].concat()).unwrap();
    let some = read.select(&[2, 0]).unwrap();
    assert_eq!((some.shape, some.x), (vec![2, 2], vec![5.0, 6.0, 1.0, 2.0]));
    assert_eq!(some.y, Targets::Numbers(vec![2, 1], vec![30.0, 10.0]));
    for rows in [&[][..], &[3]] {
        assert!(read.select(rows).unwrap_err().to_string().contains("of 3"));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.safetensors");
    std::fs::write(&path, file(&format!("{{{}}}", entries[0]), &x)).unwrap();
    assert_eq!(Tensors::read_inputs(&path).unwrap(), (vec![3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert!(Tensors::read(&path).unwrap_err().to_string().contains("no tensor y"));
    std::fs::write(&path, file(&format!("{{{}}}", entry("y", "F32", "[2]", 0, 8)), &[0; 8])).unwrap();
    assert!(Tensors::read_inputs(&path).unwrap_err().to_string().contains("no tensor x"));
}
