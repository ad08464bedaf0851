//! Model files that lie, and files that a model does not take.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::tempdir;
use wgrad::nn::StateDict;
use wgrad_cli::ModelFile;

use crate::wgrad::words;

fn trained(folder: &Path) -> StateDict {
    words(folder, "train dense --set epochs=1 --set samples=20 --set test_samples=10").succeeds();
    StateDict::load(folder.join("run/model.safetensors")).unwrap()
}

#[test]
fn a_model_file_whose_parts_do_not_fit_is_refused_before_anything_is_built() {
    let folder = tempdir().unwrap();
    let good = trained(folder.path());
    assert_eq!(
        ModelFile::from_bytes(&good.to_bytes().unwrap(), "good").unwrap().architecture.kind(),
        "linear"
    );
    let refused = |change: &dyn Fn(&mut BTreeMap<String, String>), words: &[&str]| {
        let mut state = good.clone();
        change(&mut state.metadata);
        let error = ModelFile::from_bytes(&state.to_bytes().unwrap(), "bad").unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert!(error.lines().count() <= 2 && error.len() < 600, "{error}");
    };
    let put = |key: &'static str, value: &str| {
        let value = value.to_owned();
        move |metadata: &mut BTreeMap<String, String>| {
            metadata.insert(key.to_owned(), value.clone());
        }
    };
    refused(&put("wgrad.format", "2"), &["format \"2\"", "newer wgrad"]);
    refused(&put("wgrad.format", &"9".repeat(10_000)), &["format"]);
    refused(&|metadata| drop(metadata.remove("wgrad.format")), &["wgrad run PRESET --weights"]);
    refused(&|metadata| drop(metadata.remove("wgrad.data")), &["lacks wgrad.data"]);
    let of = |inputs: &str| {
        format!(r#"{{"kind":"linear","inputs":{inputs},"outputs":1,"output_activation":"sigmoid"}}"#)
    };
    refused(&put("wgrad.architecture", &of("3")), &["mismatched", "weight"]);
    refused(&put("wgrad.architecture", &of("0")), &["a size of 0"]);
    refused(&put("wgrad.architecture", &of("18446744073709551615")), &["a size of"]);
    refused(&put("wgrad.architecture", &of("-1")), &["wgrad.architecture", "damaged"]);
    refused(&put("wgrad.architecture", &"[".repeat(100_000)), &["wgrad.architecture", "damaged"]);
    refused(&put("wgrad.architecture", r#"{"kind":"gpt","layers":1}"#), &["gpt"]);
    let widths = format!("[{}]", vec!["1"; 1000].join(","));
    let deep = format!(r#"{{"kind":"cnn","channels":3,"size":[32,32],"widths":{widths},"classes":10}}"#);
    refused(&put("wgrad.architecture", &deep), &["1000 layers"]);
    let huge = r#"{"kind":"mlp","inputs":16777216,"hidden":[16777216],"outputs":9,"activation":"relu","output_activation":"none"}"#;
    refused(&put("wgrad.architecture", huge), &["parameters: at most"]);
    let images =
        r#"{"kind":"images","shape":[3,8,8],"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5],"classes":["a","b"]}"#;
    refused(&put("wgrad.data", images), &["images [3, 8, 8]"]);
    let schema = good.metadata["wgrad.data"].replace("\"x2\"", "\"x1\"");
    refused(&put("wgrad.data", &schema.replace("\"scale\":", "\"scale\":-")), &["x1"]);
    let mut state = good.clone();
    state.tensors.get_mut("weight").unwrap().1[0] = f32::NAN;
    let error = ModelFile::from_bytes(&state.to_bytes().unwrap(), "nan").unwrap_err().to_string();
    assert!(error.contains("weight has a value that is NaN"), "{error}");
}

#[test]
fn every_shortened_model_file_is_refused() {
    let folder = tempdir().unwrap();
    let bytes = trained(folder.path()).to_bytes().unwrap();
    for length in (0..bytes.len()).step_by(7) {
        assert!(ModelFile::from_bytes(&bytes[..length], "short").is_err(), "{length}");
    }
}

#[test]
fn files_that_a_model_does_not_take_are_named() {
    let folder = tempdir().unwrap();
    trained(folder.path());
    let small = "--set samples=50 --set test_samples=20 --set epochs=1 --set max_steps=1 --set widths=[2]";
    words(folder.path(), &format!("train cnn {small} --run images")).succeeds();
    std::fs::write(folder.path().join("torn.png"), b"\x89PNG\r\n\x1a\nnothing more").unwrap();
    std::fs::write(folder.path().join("words.jpg"), b"a letter").unwrap();
    std::fs::write(folder.path().join("rows.csv"), "x1\n1\n").unwrap();
    let fails = |line: &str, expected: &[&str]| words(folder.path(), line).fails(3, expected);
    fails("predict images/model.safetensors torn.png", &["torn.png", "damaged"]);
    fails("predict images/model.safetensors words.jpg", &["words.jpg", "PNG or JPEG"]);
    fails("predict images/model.safetensors missing.png", &["missing.png", "No such file"]);
    fails("predict images/model.safetensors rows.csv", &["rows.csv", "takes images"]);
    fails("predict run/model.safetensors torn.png", &["torn.png", "no table"]);
    fails("predict run/model.safetensors rows.csv", &["rows.csv", "x2"]);
    fails("predict rows.csv rows.csv", &["rows.csv", "safetensors"]);
    fails("eval run/model.safetensors --data rows.csv", &["rows.csv"]);
    fails("eval images/model.safetensors --data run", &["run"]);
    fails("eval run/model.safetensors --data images", &["images: no table"]);
    fails("eval run/model.safetensors --data images/model.safetensors", &["model.safetensors: no table"]);
    fails("predict images/model.safetensors run", &["run: a folder", "*.png"]);
}
