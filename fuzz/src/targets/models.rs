//! Model files and configurations of the `wgrad` command.

use std::collections::BTreeMap;

use wgrad_cli::config::Config;
use wgrad_cli::{ActivationName, Architecture, ModelFile, Preprocessing, TensorSchema, TensorTarget};
use wgrad_data::table::{Options, Schema, Table};
use wgrad_nn::StateDict;

use super::refused;

/// Model files of each kind of data, with weights of zeros.
pub(super) fn models() -> Vec<Vec<u8>> {
    let table = Table::parse(&b"a,b,kind\n1,x,yes\n2,y,no\n4,x,no\n"[..], "table".as_ref(), None).unwrap();
    let schema = Schema::fit(&table, &[0, 1, 2], &Options::new("kind")).unwrap();
    let none = ActivationName::None;
    let of_table = Architecture::Mlp {
        inputs: schema.features(),
        hidden: vec![3],
        outputs: 2,
        activation: ActivationName::Relu,
        output_activation: none,
    };
    let classes = ["<b>", "ä\n", "c"].map(str::to_owned).to_vec();
    let images =
        |shape| Preprocessing::Images { shape, mean: vec![0.5], std: vec![0.2], classes: classes.clone() };
    let cnn = Architecture::Cnn { channels: 1, size: [4, 6], widths: vec![2], classes: 3 };
    let flat = Architecture::Linear { inputs: 4, outputs: 3, output_activation: none };
    let target = TensorTarget::Numbers { mean: vec![0.5; 3], std: vec![2.0; 3] };
    let rows = |shape: Vec<usize>, groups, target| Preprocessing::Tensors {
        schema: TensorSchema { shape, mean: vec![0.5; groups], std: vec![0.2; groups], target },
    };
    let kinds = [
        (of_table, Preprocessing::Table { schema }),
        (cnn.clone(), images([1, 4, 6])),
        (flat.clone(), images([1, 2, 2])),
        (cnn, rows(vec![1, 4, 6], 1, TensorTarget::Classes(classes.clone()))),
        (flat, rows(vec![4], 4, target)),
    ];
    kinds.map(|(architecture, data)| whole(architecture, data)).into()
}

fn whole(architecture: Architecture, data: Preprocessing) -> Vec<u8> {
    let summary = architecture.summary();
    let zeros = |(name, shape): &(String, Vec<usize>)| {
        (name.clone(), (shape.clone(), vec![0.0; shape.iter().product()]))
    };
    let layers = summary.layers.iter().flat_map(|layer| layer.parameters.iter().chain(&layer.buffers));
    let tensors: BTreeMap<_, _> = layers.map(zeros).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let state = StateDict { tensors, ..Default::default() };
    ModelFile { architecture, data, loss: Config::default(), state }.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

pub(super) fn read_model(file: &[u8]) -> String {
    match ModelFile::from_bytes(file, "fuzz") {
        Ok(model) => {
            // What `wgrad inspect` tells is told of any model that was read.
            format!("read, {} of {} layers", model.architecture, model.architecture.summary().layers.len())
        }
        Err(error) => refused(error),
    }
}

pub(super) fn configurations() -> Vec<Vec<u8>> {
    let presets = wgrad_cli::presets::ALL.iter().map(|(_, text)| text.as_bytes().to_vec());
    let all =
        b"data = \"x\"\nhidden = [1, 2]\nsize = [3, 4]\nlr = 1e-3\nskip_bad = true\nema = 0.5\nmemory = \"2 GB\"\n".to_vec();
    presets.chain([all]).collect()
}

pub(super) fn read_configuration(file: &[u8]) -> String {
    match Config::parse(&String::from_utf8_lossy(file)) {
        Ok(config) => {
            assert_eq!(Config::parse(&config.to_toml()).as_ref(), Ok(&config));
            match config.architecture() {
                Ok(architecture) => format!("read, {}", architecture.kind()),
                Err(error) => refused(error),
            }
        }
        Err(error) => refused(error),
    }
}
