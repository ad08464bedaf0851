//! The readers, each with whole files to begin with.
//!
//! The data sets' readers take folders: a case's first byte chooses the file that the rest of it stands in for.

mod models;
mod pictures;
mod rows;

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use wgrad_data::{Images, Split, cifar10, mnist};
use wgrad_nn::{Integer, StateDict};

/// A reader of files.
pub struct Target {
    /// What the command line calls it.
    pub name: &'static str,
    /// Files that are whole.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Mends what would have a damaged file refused at once, such as a header's length.
    pub repair: fn(&mut Vec<u8>),
    /// How many times its file a reader may take at once, beyond a mebibyte.
    pub memory: usize,
    /// Reads a file, and panics where what it gives does not hold together. It returns what the reader said.
    pub run: fn(&[u8]) -> String,
}

/// What readers take of memory where the file is not packed.
const PLAIN: usize = 16;

/// What the reader of TOML takes: a value of its own for each few letters.
const CONFIGURATION: usize = 256;

/// All of them.
pub fn targets() -> Vec<Target> {
    let target = |name, seeds, repair, memory, run| Target { name, seeds, repair, memory, run };
    vec![
        target("safetensors", state_dicts, header_length, PLAIN, read_state_dict),
        target("idx", idx_files, |_| (), PLAIN, read_idx),
        target("cifar10", cifar_files, whole_records, PLAIN, read_cifar10),
        target("cifar100", rows::cifar100_files, rows::whole_records, PLAIN, rows::read_cifar100),
        target("tensors", rows::tensor_files, header_length, PLAIN, rows::read_tensors),
        target("csv", rows::tables, |_| (), PLAIN, rows::read_table),
        target("schema", rows::schemas, |_| (), PLAIN, rows::read_schema),
        target(
            "png",
            pictures::pngs,
            |file| pictures::checksums(file),
            pictures::MEMORY,
            pictures::read_picture,
        ),
        target("jpeg", pictures::jpegs, |_| (), pictures::MEMORY, pictures::read_picture),
        target("model", models::models, header_length, PLAIN, models::read_model),
        target("config", models::configurations, |_| (), CONFIGURATION, models::read_configuration),
        target("folder", pictures::folder_files, |_| (), pictures::MEMORY, pictures::read_folder),
    ]
}

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    targets().into_iter().find(|target| target.name == name)
}

/// An error stands on a line or two, however odd the file.
fn refused(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    assert!(text.lines().count() <= 2, "an error of {} lines: {text}", text.lines().count());
    text
}

fn state_dicts() -> Vec<Vec<u8>> {
    let mut dict = StateDict::default();
    dict.tensors.insert("0.weight".to_owned(), (vec![2, 3], vec![1.0, -2.0, 0.5, 0.0, f32::NAN, 7.0]));
    dict.tensors.insert("0.bias".to_owned(), (vec![], vec![3.0]));
    dict.tensors.insert("empty".to_owned(), (vec![0, 4], vec![]));
    dict.metadata.insert("note".to_owned(), "text".to_owned());
    let mut integers = StateDict::default();
    for (name, integer) in [
        ("b", Integer::Bool),
        ("u", Integer::U8),
        ("i", Integer::I32),
        ("l", Integer::I64),
        ("w", Integer::U64),
    ] {
        integers.tensors.insert(name.to_owned(), (vec![2], vec![1.0, 0.0]));
        integers.integers.insert(name.to_owned(), integer);
    }
    let halves = r#"{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"d":{"dtype":"F64","shape":[1],"data_offsets":[4,12]},"g":{"dtype":"BF16","shape":[1,1],"data_offsets":[12,14]}}"#;
    let mut by_hand = (halves.len() as u64).to_le_bytes().to_vec();
    by_hand.extend(halves.as_bytes());
    by_hand.extend([0x3c; 14]);
    vec![dict.to_bytes().unwrap(), integers.to_bytes().unwrap(), by_hand]
}

/// The length in front becomes that of the text up to its last brace.
fn header_length(file: &mut Vec<u8>) {
    let end = file.iter().rposition(|&byte| byte == b'}').filter(|&end| end >= 8);
    if let Some(end) = end {
        file.splice(..8, (end as u64 - 7).to_le_bytes());
    }
}

fn read_state_dict(file: &[u8]) -> String {
    let dict = match StateDict::from_bytes(file, "fuzz") {
        Ok(dict) => dict,
        Err(error) => {
            let text = refused(error);
            // In front of this stands a tensor's name.
            return text.find(" has type ").map(|at| text[at..].to_owned()).unwrap_or(text);
        }
    };
    for (name, (shape, values)) in &dict.tensors {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}: {shape:?}");
    }
    // Written and read again it is the same, to the bit.
    let again = StateDict::from_bytes(&dict.to_bytes().unwrap(), "again").unwrap();
    let bits = |dict: &StateDict| -> Vec<(String, Vec<usize>, Vec<u32>)> {
        let tensors = dict.tensors.iter();
        tensors.map(|(n, (s, v))| (n.clone(), s.clone(), v.iter().map(|v| v.to_bits()).collect())).collect()
    };
    assert_eq!(bits(&again), bits(&dict));
    "read".to_owned()
}

const IDX_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn idx(words: &[u32], body: &[u8]) -> Vec<u8> {
    let header: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    [&header[..], body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn whole_idx(name: usize) -> Vec<u8> {
    match name % 2 {
        0 => idx(&[0x803, 2, 28, 28], &[7; 2 * 784]),
        _ => idx(&[0x801, 2], &[3, 9]),
    }
}

/// The first byte: the file in its lowest two bits, then whether the rest is packed, and whether the reader is told so.
fn idx_files() -> Vec<Vec<u8>> {
    let case = |first: u8, file: Vec<u8>| [&[first], &file[..]].concat();
    let mut seeds = Vec::new();
    for name in 0..2 {
        seeds.push(case(name, whole_idx(name.into())));
        seeds.push(case(name | 4 | 8, whole_idx(name.into())));
        seeds.push(case(name | 8, gzip(&whole_idx(name.into()))));
    }
    seeds
}

fn read_idx(case: &[u8]) -> String {
    let (&first, file) = case.split_first().unwrap_or((&0, &[]));
    let folder = TempDir::new().unwrap();
    for (i, name) in IDX_NAMES.into_iter().enumerate() {
        let path = folder.path().join(name);
        if i != usize::from(first & 3) {
            fs::write(path, whole_idx(i)).unwrap();
            continue;
        }
        let packed = if first & 4 == 0 { file.to_vec() } else { gzip(file) };
        fs::write(if first & 8 == 0 { path } else { path.with_extension("gz") }, packed).unwrap();
    }
    judge_split(mnist::load(folder.path()), folder.path())
}

const RECORD: usize = 3073;

fn cifar_files() -> Vec<Vec<u8>> {
    let record = |label: u8| [&[label][..], &[label.wrapping_mul(20); RECORD - 1]].concat();
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n";
    let case = |first: u8, file: &[u8]| [&[first], file].concat();
    vec![
        case(0, &record(1)),
        case(5, &[record(9), record(0)].concat()),
        case(6, names.as_bytes()),
        case(6, names.to_uppercase().as_bytes()),
    ]
}

/// A case's length becomes that of whole records behind the first byte.
fn whole_records(case: &mut Vec<u8>) {
    let records = (case.len() / RECORD).max(1);
    case.resize(1 + records * RECORD, 0);
}

fn read_cifar10(case: &[u8]) -> String {
    let (&first, file) = case.split_first().unwrap_or((&0, &[]));
    let folder = TempDir::new().unwrap();
    let whole = [4; RECORD];
    for i in 0..7 {
        let name = match i {
            0..5 => format!("data_batch_{}.bin", i + 1),
            5 => "test_batch.bin".to_owned(),
            _ => "batches.meta.txt".to_owned(),
        };
        let bytes = if i == first % 7 { file } else { &whole[..] };
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    judge_split(cifar10::load(folder.path()), folder.path())
}

/// The folder's name, which is another in each case, is left out of what was said.
fn judge_split(split: wgrad_data::Result<Split>, folder: &Path) -> String {
    let split = match split {
        Ok(split) => split,
        Err(error) => return refused(error).replace(&folder.display().to_string(), ""),
    };
    for images in [&split.train, &split.test] {
        judge_images(images);
    }
    format!("read, classes {}", split.train.classes.join(" "))
}

fn judge_images(images: &Images) {
    assert!(!images.is_empty() && images.labels.len() == images.len());
    assert!(images.labels.iter().all(|&label| usize::from(label) < images.classes.len()));
    assert_eq!(images.classes.len(), 10);
    assert_eq!(images.image(images.len() - 1).map(<[u8]>::len), Some(images.image_size()));
    assert_eq!(images.image(images.len()), None);
}
