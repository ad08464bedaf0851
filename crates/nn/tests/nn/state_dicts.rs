//! State dicts: PyTorch's files in, ours out, and every way in which a file can be wrong.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use wgrad_nn::autograd::BatchNormOptions;
use wgrad_nn::{BatchNorm2d, Builder, Error, Init, Integer, StateDict, build};

use crate::common::{Fixture, bits, gpu, path};
use crate::models;

#[test]
fn pytorchs_state_dict_loads_into_the_cnn() {
    let state = StateDict::load(path("state_dict_pytorch.safetensors")).unwrap();
    assert_eq!(state.metadata["format"], "pt");
    let (_, parameters) = models::cnn(&gpu(), 0);
    parameters.load_state_dict(&state, "pytorch").unwrap();
    // The curve starts from the same values, so its own copy says what should have arrived.
    let curve = Fixture::open("cnn_curve.safetensors");
    for entry in parameters.entries() {
        let (shape, values) = curve.values(&entry.name);
        assert_eq!(entry.tensor.shape(), shape, "{}", entry.name);
        assert_eq!(bits(&entry.tensor.to_vec().unwrap()), bits(&values), "{}", entry.name);
    }
}

#[test]
fn a_saved_state_dict_loads_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let (_, parameters) = models::cnn(&gpu(), 3);
    let mut state = parameters.state_dict().unwrap();
    // Values that a text format or a comparison of floats would lose.
    let odd = [f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY, f32::MAX];
    state.tensors.get_mut("conv1.bias").unwrap().1[..5].copy_from_slice(&odd);
    state.metadata.insert("step".to_owned(), "12".to_owned());
    state.save(&file).unwrap();
    let loaded = StateDict::load(&file).unwrap();
    assert_eq!(loaded.metadata["step"], "12");
    let (_, other) = models::cnn(&gpu(), 4);
    other.load_state_dict(&loaded, "model").unwrap();
    let back = other.state_dict().unwrap();
    assert_eq!(back.tensors.len(), 6);
    for (name, (shape, values)) in &state.tensors {
        assert_eq!(&back.tensors[name].0, shape, "{name}");
        assert_eq!(bits(&back.tensors[name].1), bits(values), "{name}");
    }
}

#[test]
fn a_saved_file_has_pytorchs_names_shapes_and_metadata() {
    let (_, parameters) = models::cnn(&gpu(), 3);
    let ours = parameters.state_dict().unwrap().to_bytes().unwrap();
    let theirs = std::fs::read(path("state_dict_pytorch.safetensors")).unwrap();
    let shape = |bytes: &[u8]| {
        let tensors = SafeTensors::deserialize(bytes).unwrap();
        let describe = |(name, view): (String, TensorView)| (name, view.shape().to_vec(), view.dtype());
        let mut all: Vec<_> = tensors.tensors().into_iter().map(describe).collect();
        all.sort();
        all
    };
    assert_eq!(shape(&ours), shape(&theirs));
    let (_, header) = SafeTensors::read_metadata(&ours).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    // A file is a function of the values alone.
    assert_eq!(parameters.state_dict().unwrap().to_bytes().unwrap(), ours);
}

#[test]
fn equal_state_dicts_are_equal_files_whatever_their_metadata() {
    let tensors = [("b", vec![2], vec![1.0, -2.0]), ("a", vec![], vec![3.0])];
    for tensors in [&tensors[..], &[]] {
        let mut state = StateDict::default();
        state.tensors.extend(tensors.iter().map(|(k, shape, v)| (k.to_string(), (shape.clone(), v.clone()))));
        let entries = ["z", "quoted \"name\"", "ä\n", "m"].map(|key| (key.to_owned(), format!("{key} {{}}")));
        state.metadata.extend(entries);
        let file = state.to_bytes().unwrap();
        let header = u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
        assert_eq!(header % 8, 0, "the data are aligned");
        let header = std::str::from_utf8(&file[8..][..header]).unwrap();
        let at = |key: &str| header.find(key).unwrap();
        assert!(at("\"format\":") < at("\"m\":") && at("\"m\":") < at("\"quoted"), "{header}");
        let mut back = StateDict::from_bytes(&file, "file").unwrap();
        assert_eq!(back.metadata.remove("format").as_deref(), Some("pt"));
        assert_eq!(back, state);
        assert_eq!(SafeTensors::deserialize(&file).unwrap().len(), tensors.len());
    }
}

#[test]
fn other_float_types_become_f32() {
    let state = StateDict::load(path("state_dict_mixed.safetensors")).unwrap();
    let check = |name: &str, shape: &[usize], values: &[f32]| {
        let (found, got) = &state.tensors[name];
        assert_eq!(found, shape, "{name}");
        assert_eq!(bits(got), bits(values), "{name}: {got:?}");
    };
    check("a.weight", &[3, 2], &[1.0, -2.5, 0.099_975_586, 65504.0, f32::exp2(-24.0), -0.0]);
    check("b.weight", &[4], &[1.0, -3.140_625, f32::exp2(100.0), 0.100_097_656]);
    check("c.weight", &[2, 2], &[(1.0f64 / 3.0) as f32, -1e-3, 16_777_216.0, 2.5]);
    assert_eq!(state.tensors.len(), 3);
}

/// The bytes of a file with these tensors, as another program writes it.
fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn integers_and_masks_become_f32_and_go_back_as_they_were() {
    let labels = StateDict::load(path("losses.safetensors")).unwrap();
    assert!(labels.integers.values().all(|&integer| integer == Integer::I64) && !labels.integers.is_empty());
    let i64s: Vec<u8> = [0i64, 1, -7, 16_777_216, 1 << 40].iter().flat_map(|v| v.to_le_bytes()).collect();
    let i32s: Vec<u8> = [3i32, -1, i32::MIN].iter().flat_map(|v| v.to_le_bytes()).collect();
    let u64s: Vec<u8> = [5u64, 1 << 63].iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors: &[(&str, Dtype, &[usize], &[u8])] = &[
        ("embeddings.position_ids", Dtype::I64, &[1, 5], &i64s),
        ("a.num_batches_tracked", Dtype::I32, &[3], &i32s),
        ("b.num_batches_tracked", Dtype::U8, &[], &[200]),
        ("mask", Dtype::BOOL, &[4], &[1, 0, 0, 1]),
        ("i8", Dtype::I8, &[3], &[0x80, 0xff, 0x7f]),
        ("i16", Dtype::I16, &[2], &[0x00, 0x80, 0xff, 0x7f]),
        ("u16", Dtype::U16, &[2], &[0x00, 0x80, 0xff, 0xff]),
        ("u32", Dtype::U32, &[1], &[0, 0, 0, 0x80]),
        ("u64", Dtype::U64, &[2], &u64s),
    ];
    let bytes = file(tensors);
    let state = StateDict::from_bytes(&bytes, "theirs").unwrap();
    let values = |name: &str| state.tensors[name].1.clone();
    assert_eq!(values("embeddings.position_ids"), [0.0, 1.0, -7.0, 16_777_216.0, 1_099_511_627_776.0]);
    assert_eq!(state.tensors["b.num_batches_tracked"], (vec![], vec![200.0]));
    assert_eq!(values("a.num_batches_tracked"), [3.0, -1.0, -2_147_483_648.0]);
    assert_eq!(values("mask"), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!((values("i8"), values("i16")), (vec![-128.0, -1.0, 127.0], vec![-32768.0, 32767.0]));
    assert_eq!((values("u16"), values("u32")), (vec![32768.0, 65535.0], vec![2_147_483_648.0]));
    assert_eq!(values("u64"), [5.0, 9_223_372_036_854_775_808.0]);
    let saved = state.to_bytes().unwrap();
    let (ours, theirs) =
        (SafeTensors::deserialize(&saved).unwrap(), SafeTensors::deserialize(&bytes).unwrap());
    for (name, ..) in tensors {
        assert_eq!(ours.tensor(name).unwrap(), theirs.tensor(name).unwrap(), "{name}");
    }
}

#[test]
fn what_f32_cannot_hold_is_refused_by_name_and_type() {
    let first = (1i64 << 24) + 1;
    let cases: &[(Dtype, &[u8], &[&str])] = &[
        (Dtype::I64, &first.to_le_bytes(), &["I64", "16777217"]),
        (Dtype::I64, &i64::MAX.to_le_bytes(), &["I64", "9223372036854775807"]),
        (Dtype::U64, &u64::MAX.to_le_bytes(), &["U64", "18446744073709551615"]),
        (Dtype::I32, &(-16_777_217i32).to_le_bytes(), &["I32", "-16777217"]),
        (Dtype::BOOL, &[2], &["BOOL", "2"]),
        (Dtype::F8_E4M3, &[0x38], &["F8_E4M3"]),
    ];
    for (dtype, data, parts) in cases {
        let error = StateDict::from_bytes(&file(&[("h.0.steps", *dtype, &[1], data)]), "model").unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        for part in parts.iter().chain(&["model", "h.0.steps"]) {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

/// A name says nothing of the values, and no value is lost by it.
#[test]
fn a_name_that_ends_like_a_count_is_no_count() {
    let gpu = gpu();
    let make = |b: &Builder| {
        b.buffer("log_num_batches_tracked", &[2], 0.5);
        // Even a parameter of the very name may hold fractions.
        b.scope("own").param("num_batches_tracked", &[2], Init::Uniform { bound: 1.0 });
        b.integer_buffer("positions", &[2], 3.0, Integer::I32);
        BatchNorm2d::new(&b.scope("bn"), 3, BatchNormOptions::default());
    };
    let ((), parameters) = build(&gpu, 0, make).unwrap();
    let mut state = parameters.state_dict().unwrap();
    let dtype_of = |state: &StateDict, name: &str| {
        let bytes = state.to_bytes().unwrap();
        let again = StateDict::from_bytes(&bytes, "ours").unwrap();
        for (name, (_, values)) in &state.tensors {
            assert_eq!(bits(&again.tensors[name].1), bits(values), "{name}");
        }
        SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap().dtype()
    };
    assert_eq!(dtype_of(&state, "log_num_batches_tracked"), Dtype::F32);
    assert_eq!(dtype_of(&state, "own.num_batches_tracked"), Dtype::F32);
    assert_eq!(dtype_of(&state, "bn.num_batches_tracked"), Dtype::I64);
    assert_eq!(dtype_of(&state, "positions"), Dtype::I32);
    // Whole numbers make no count of it either.
    state.tensors.insert("log_num_batches_tracked".to_owned(), (vec![2], vec![2.0, 3.0]));
    assert_eq!(dtype_of(&state, "log_num_batches_tracked"), Dtype::F32);
    // What no longer fits its type is kept as it is.
    for odd in [0.5, -0.0, f32::NAN, f32::INFINITY, 4e9] {
        state.tensors.insert("positions".to_owned(), (vec![2], vec![1.0, odd]));
        assert_eq!(dtype_of(&state, "positions"), Dtype::F32, "{odd}");
    }
    // Counts of other types load into the model, and leave it as PyTorch has them.
    state = parameters.state_dict().unwrap();
    for (integer, dtype) in [(Integer::I32, Dtype::I32), (Integer::U8, Dtype::U8)] {
        state.tensors.insert("bn.num_batches_tracked".to_owned(), (vec![], vec![7.0]));
        state.integers.insert("bn.num_batches_tracked".to_owned(), integer);
        assert_eq!(dtype_of(&state, "bn.num_batches_tracked"), dtype);
        let read = StateDict::from_bytes(&state.to_bytes().unwrap(), "theirs").unwrap();
        parameters.load_state_dict(&read, "theirs").unwrap();
        let back = parameters.state_dict().unwrap();
        assert_eq!(back.tensors["bn.num_batches_tracked"].1, [7.0]);
        assert_eq!(dtype_of(&back, "bn.num_batches_tracked"), Dtype::I64);
    }
}

/// Panics unless reading `bytes` is an error that names the file, on at most two lines.
fn assert_refused(bytes: &[u8], what: &str) {
    let error = match StateDict::from_bytes(bytes, "model.safetensors") {
        Ok(_) => panic!("{what} was taken"),
        Err(error) => error,
    };
    let message = error.to_string();
    assert!(matches!(error, Error::Format { .. }), "{what}: {error:?}");
    assert!(message.starts_with("model.safetensors: "), "{what}: {message}");
    assert!(message.lines().count() <= 2, "{what}: {message}");
}

#[test]
fn a_file_truncated_anywhere_is_refused() {
    let bytes = std::fs::read(path("state_dict_mixed.safetensors")).unwrap();
    for length in 0..bytes.len() {
        assert_refused(&bytes[..length], &format!("{length} of {} bytes", bytes.len()));
    }
    assert!(StateDict::from_bytes(&bytes, "whole").is_ok());
    let large = std::fs::read(path("state_dict_pytorch.safetensors")).unwrap();
    for length in [8, 100, large.len() / 2, large.len() - 1] {
        assert_refused(&large[..length], &format!("{length} bytes of the large file"));
    }
}

#[test]
fn garbage_is_refused() {
    let noise: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_refused(&noise, "noise");
    assert_refused(&[0; 64], "zeros");
    assert_refused(&[0xff; 64], "a header of 2⁶⁴ bytes");
    assert_refused(b"PK\x03\x04 a zip, as torch.save writes it", "a pickle");
    let file = |header: &str, data: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    };
    let tensor = |shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    assert!(StateDict::from_bytes(&file(&tensor("[2]", "[0,8]"), 8), "whole").is_ok());
    let twice = tensor("[2]", "[0,8]").replace("}}", "}") + "," + &tensor("[1,2]", "[0,8]")[1..];
    assert_refused(&file(&twice, 8), "one name for two tensors");
    assert_refused(&file(&tensor("[3]", "[0,8]"), 8), "a shape larger than its bytes");
    assert_refused(&file(&tensor("[2]", "[0,16]"), 8), "offsets beyond the file");
    assert_refused(&file(&tensor("[2]", "[8,0]"), 8), "offsets that run backwards");
    assert_refused(&file(&tensor("[4294967296,4294967296,4]", "[0,8]"), 8), "a shape that overflows");
    assert_refused(&file(&tensor("[2]", "[0,8]"), 9), "bytes that belong to nothing");
    assert_refused(&file("{not json", 0), "a header that is no JSON");
}

#[test]
fn damaged_headers_never_panic() {
    let bytes = std::fs::read(path("state_dict_mixed.safetensors")).unwrap();
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            // Some flips make another valid file; what counts is that every one comes back.
            let _ = StateDict::from_bytes(&damaged, "damaged");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = StateDict::load(path("no_such_file.safetensors")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error:?}");
    assert!(error.to_string().contains("no_such_file.safetensors"), "{error}");
}

#[test]
fn everything_that_does_not_fit_is_named_in_one_error() {
    let (_, parameters) = models::cnn(&gpu(), 0);
    let before = parameters.state_dict().unwrap();
    let mut state = before.clone();
    state.tensors.remove("conv1.bias");
    state.tensors.remove("fc.bias");
    state.tensors.insert("bn1.weight".to_owned(), (vec![64], vec![1.0; 64]));
    state.tensors.insert("conv2.weight".to_owned(), (vec![128, 64, 1, 1], vec![1.0; 8192]));
    state.tensors.insert("fc.weight".to_owned(), (vec![8192, 10], vec![1.0; 81920]));
    let error = parameters.load_state_dict(&state, "other.safetensors").unwrap_err();
    let message = error.to_string();
    let Error::Mismatch { missing, unexpected, mismatched, .. } = error else { panic!("{error:?}") };
    assert_eq!(missing, ["conv1.bias", "fc.bias"]);
    assert_eq!(unexpected, ["bn1.weight"]);
    assert_eq!(
        mismatched,
        [
            "conv2.weight (file [128, 64, 1, 1], model [128, 64, 3, 3])",
            "fc.weight (file [8192, 10], model [10, 8192])"
        ]
    );
    for part in ["other.safetensors", "conv1.bias", "fc.bias", "bn1.weight", "[8192, 10]", "[128, 64, 1, 1]"]
    {
        assert!(message.contains(part), "no {part} in: {message}");
    }
    assert!(message.lines().count() <= 2, "{message}");
    assert_eq!(parameters.state_dict().unwrap(), before, "a refused file changes nothing");
}

#[test]
fn a_wholly_different_model_gives_a_short_message() {
    let gpu = gpu();
    let (_, cnn) = models::cnn(&gpu, 0);
    let (_, mlp) = models::mlp(&gpu, 0);
    let message = cnn.load_state_dict(&mlp.state_dict().unwrap(), "mlp").unwrap_err().to_string();
    assert!(
        message.contains("missing: conv1.weight") && message.contains("unexpected: fc1.bias"),
        "{message}"
    );
    let mut many = cnn.state_dict().unwrap();
    many.tensors.extend((0..1000).map(|i| (format!("extra{i:04}"), (vec![1], vec![0.0]))));
    let message = cnn.load_state_dict(&many, "many").unwrap_err().to_string();
    assert!(message.contains("extra0000") && message.contains("and 992 more"), "{message}");
    assert!(message.len() < 400, "{message}");
}

#[test]
fn values_that_do_not_match_their_shape_are_not_written() {
    let mut state = StateDict::default();
    state.tensors.insert("w".to_owned(), (vec![3], vec![1.0; 2]));
    let error = state.to_bytes().unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
}
