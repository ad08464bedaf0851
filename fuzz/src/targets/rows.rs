//! Tables, tensors and CIFAR-100.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wgrad_data::cifar100;
use wgrad_data::table::{Missing, Options, Schema, Table, Targets, Unknown};
use wgrad_data::tensors::{self, Tensors};

use super::refused;

const RECORD: usize = 3074;

/// The first byte: which of the two files the rest stands in for, or that of the names.
pub(super) fn cifar100_files() -> Vec<Vec<u8>> {
    let record = |coarse: u8, fine: u8| [&[coarse, fine][..], &[fine; RECORD - 2]].concat();
    let names: Vec<String> = (0..100).map(|i| format!("class{i}")).collect();
    let case = |first: u8, file: &[u8]| [&[first], file].concat();
    vec![
        case(0, &[record(19, 99), record(0, 0)].concat()),
        case(1, &record(3, 50)),
        case(2, names.join("\n").as_bytes()),
    ]
}

/// A case's length becomes that of whole records behind the first byte.
pub(super) fn whole_records(case: &mut Vec<u8>) {
    let records = (case.len() / RECORD).max(1);
    case.resize(1 + records * RECORD, 0);
}

pub(super) fn read_cifar100(case: &[u8]) -> String {
    let (&first, file) = case.split_first().unwrap_or((&0, &[]));
    let folder = TempDir::new().unwrap();
    for (i, name) in ["train.bin", "test.bin", "fine_label_names.txt"].into_iter().enumerate() {
        let bytes = if i == usize::from(first) % 3 { file } else { &[4; RECORD][..] };
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    match cifar100::load(folder.path()) {
        Ok(split) => {
            for images in [&split.train, &split.test] {
                assert!(!images.is_empty() && images.classes.len() == 100);
                assert!(images.labels.iter().all(|&label| label < 100));
            }
            format!("read, classes {}", split.train.classes.join(" "))
        }
        Err(error) => refused(error).replace(&folder.path().display().to_string(), ""),
    }
}

pub(super) fn tensor_files() -> Vec<Vec<u8>> {
    let file = |header: &str, body: usize| {
        let body: Vec<u8> = (0..body).map(|i| (i * 5 % 60) as u8).collect();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &body].concat()
    };
    let pair = |x: &str, y: &str| format!(r#"{{"x":{{{x}}},"y":{{{y}}}}}"#);
    vec![
        file(
            &pair(
                r#""dtype":"F32","shape":[2,3],"data_offsets":[0,24]"#,
                r#""dtype":"I64","shape":[2],"data_offsets":[24,40]"#,
            ),
            40,
        ),
        file(
            &pair(
                r#""dtype":"F16","shape":[2,1],"data_offsets":[0,4]"#,
                r#""dtype":"U8","shape":[2,2],"data_offsets":[4,8]"#,
            ),
            8,
        ),
        file(
            &pair(
                r#""dtype":"BF16","shape":[1],"data_offsets":[0,2]"#,
                r#""dtype":"F64","shape":[1,0],"data_offsets":[2,2]"#,
            ),
            2,
        ),
        file(
            &pair(
                r#""dtype":"U8","shape":[3],"data_offsets":[0,3]"#,
                r#""dtype":"I8","shape":[3],"data_offsets":[3,6]"#,
            ),
            6,
        ),
    ]
}

pub(super) fn read_tensors(file: &[u8]) -> String {
    let read = match Tensors::parse(file, Path::new("fuzz")) {
        Ok(read) => read,
        Err(error) => return refused(error),
    };
    assert!(!read.is_empty() && read.shape.iter().product::<usize>() == read.x.len());
    match &read.y {
        tensors::Targets::Classes(classes) => {
            assert!(classes.len() == read.len() && classes.iter().all(|&class| class >= 0));
        }
        tensors::Targets::Numbers(shape, numbers) => {
            assert!(shape[0] == read.len() && shape.iter().product::<usize>() == numbers.len());
        }
    }
    "read".to_owned()
}

const WHOLE: &str = "size,colour,code,y\n1.5,red,007,0.5\n-2,blue,008,1e3\n,red,007,2\n4e-1,green,011,-1\n";

/// The first byte chooses what is done about missing values and unknown categories.
pub(super) fn tables() -> Vec<Vec<u8>> {
    let texts = [
        WHOLE,
        "\u{feff}\"a\r\nb\";y\r\n\"1\n2\";u\r\n\r\n\"x \"\"y\";v\r\n",
        "a\tb\ty\n1\t2\t0\n3\t4\t1\n5\tNA\t0\n7\t8\t1\n",
        "y,\n1,2\n2,2\n",
    ];
    (0..).zip(texts).map(|(first, text)| [&[first][..], text.as_bytes()].concat()).collect()
}

pub(super) fn read_table(case: &[u8]) -> String {
    let (&first, text) = case.split_first().unwrap_or((&0, &[]));
    let table = match Table::parse(text, Path::new("fuzz"), None) {
        Ok(table) => table,
        Err(error) => return refused(error),
    };
    let mut options = Options::new(table.column("y").map_or(table.names()[0].as_str(), |_| "y"));
    let missing = [Missing::Mean, Missing::Median, Missing::MostFrequent, Missing::DropRow, Missing::Error];
    options.missing = missing[usize::from(first) % missing.len()];
    options.unknown = if first & 128 == 0 { Unknown::Error } else { Unknown::Zeros };
    // So that features do not outgrow the text.
    options.max_categories = 4;
    let rows: Vec<usize> = (0..table.len().div_ceil(2)).collect();
    let schema = match Schema::fit(&table, &rows, &options) {
        Ok(schema) => schema,
        Err(error) => return refused(error),
    };
    let all: Vec<usize> = (0..table.len()).collect();
    let encoded = schema.encode(&table, &all);
    // What a model's file keeps gives the same.
    let again = Schema::from_json(&schema.to_json().unwrap()).unwrap();
    match (encoded, again.encode(&table, &all)) {
        (Ok(encoded), Ok(again)) => {
            assert_eq!(encoded, again);
            assert_eq!(encoded.x.len(), encoded.rows.len() * schema.features());
            assert!(encoded.x.iter().all(|value| value.is_finite()));
            match encoded.y {
                Targets::Classes(classes) => format!("{} classes", classes.len().min(1)),
                Targets::Numbers(numbers) => format!("numbers {}", numbers.iter().all(|y| y.is_finite())),
            }
        }
        (Err(error), Err(again)) => {
            assert_eq!(error.to_string(), again.to_string());
            refused(error)
        }
        (one, other) => panic!("{one:?} and {other:?}"),
    }
}

pub(super) fn schemas() -> Vec<Vec<u8>> {
    let table = Table::parse(WHOLE.as_bytes(), Path::new("whole"), None).unwrap();
    ["y", "colour"]
        .map(|target| {
            let schema = Schema::fit(&table, &[0, 1, 2, 3], &Options::new(target)).unwrap();
            schema.to_json().unwrap().into_bytes()
        })
        .to_vec()
}

pub(super) fn read_schema(text: &[u8]) -> String {
    let schema = match Schema::from_json(&String::from_utf8_lossy(text)) {
        Ok(schema) => schema,
        Err(error) => return refused(error),
    };
    let table = Table::parse(WHOLE.as_bytes(), Path::new("whole"), None).unwrap();
    match schema.encode_inputs(&table) {
        Ok(encoded) => {
            assert!(encoded.x.iter().all(|value| value.is_finite()));
            "read".to_owned()
        }
        Err(error) => refused(error),
    }
}
