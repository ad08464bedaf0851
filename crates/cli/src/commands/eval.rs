//! `wgrad eval`: a model's figures over labelled data.

use serde_json::{Map, Value, json};
use wgrad::Gpu;
use wgrad::data::folder::{self, Bad, Prepare};
use wgrad::data::tensors::Tensors;
use wgrad::data::{Kind, cifar10, cifar100, detect, mnist};

use super::in_words;
use crate::args::Eval;
use crate::dataset::{self, Pictures, images};
use crate::learner::{Learner, OnDevice};
use crate::model_file::Preprocessing;
use crate::output::{print, say};
use crate::{Error, ModelFile, Result};

pub(crate) fn run(flags: &Eval) -> Result<()> {
    let file = ModelFile::load(&flags.model)?;
    // Asked once: images that are held leave less of it.
    let memory = images::memory(flags.memory, 1);
    let labelled = Labelled::load(flags, &file, memory)?;
    let streamed = match &labelled {
        Labelled::Images(pictures) => images::streamed(pictures, pictures.len(), memory),
        _ => None,
    };
    let note = match &labelled {
        Labelled::Table(table) => dataset::left_out(&[table]),
        _ => streamed.clone().unwrap_or_default(),
    };
    if !note.is_empty() && !flags.machines.json {
        say(&format!("{}: {note}", flags.data.display()));
    }
    let gpu = Gpu::new()?;
    let learner = Learner::load(&gpu, &file)?;
    let (set, rows) = match &labelled {
        Labelled::Images(pictures) => {
            (OnDevice::pictures(&gpu, pictures, streamed.is_some(), &file.data)?, pictures.len())
        }
        Labelled::Table(table) => (OnDevice::Table(table.batches(&gpu)?), table.rows.len()),
        Labelled::Tensors(set) => (OnDevice::Table(set.batches(&gpu)?), set.len()),
    };
    let names: &[&str] = match file.data.classes().len() {
        0 => &["mae", "rmse", "r2"],
        2 => &["accuracy", "precision_class1", "recall_class1", "f1_class1", "roc_auc"],
        3..=5 => &["accuracy", "precision", "recall", "f1"],
        _ => &["accuracy", "top5_accuracy", "precision", "recall", "f1"],
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let figures = learner.judge(&set.set(None)?, &names)?;
    let values: Map<String, Value> =
        figures.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let words: Vec<String> = figures.iter().map(|(name, value)| in_words(name, *value)).collect();
    let value = json!({ "rows": rows, "streamed": streamed.is_some(), "figures": values });
    print(flags.machines.json, &value, &format!("{rows} rows: {}", words.join(", ")));
    Ok(())
}

/// Data to judge by.
enum Labelled {
    Images(Pictures),
    Table(wgrad::data::table::Encoded),
    Tensors(Tensors),
}

impl Labelled {
    fn load(flags: &Eval, file: &ModelFile, memory: u64) -> Result<Self> {
        let path = &flags.data;
        let (shape, classes) = match &file.data {
            Preprocessing::Table { schema } => {
                dataset::check_table(path)?;
                let table = dataset::read_table(path)?;
                let rows: Vec<usize> = (0..table.len()).collect();
                let encoded = dataset::judged_rows(schema, &table, &rows)?;
                if encoded.rows.is_empty() {
                    return Err(Error::file(path, "no rows are left to judge by"));
                }
                return Ok(Self::Table(encoded));
            }
            Preprocessing::Tensors { schema } => {
                dataset::check_tensors(path)?;
                return Ok(Self::Tensors(schema.encode(&Tensors::read(path)?, path)?));
            }
            Preprocessing::Images { shape, classes, .. } => (*shape, classes),
        };
        let [channels, height, width] = shape;
        let images: Pictures = match detect(path)? {
            Kind::Cifar10 => cifar10::load(path)?.test.into(),
            Kind::Cifar100 => cifar100::load(path)?.test.into(),
            Kind::Idx => mnist::load(path)?.test.into(),
            Kind::Table | Kind::Safetensors => {
                return Err(Error::file(path, "no images, and the model takes images"));
            }
            Kind::Images => {
                let prepare = Prepare { channels, ..Prepare::new(height, width) };
                let listing = folder::scan(path, Some(classes))?;
                let parts = [&listing.test, &listing.validation, &listing.train];
                let items = parts.into_iter().find(|items| !items.is_empty()).map_or(&[][..], |items| items);
                let bad = if flags.skip_bad { Bad::Skip } else { Bad::Fail };
                let (pictures, skipped) = images::read(items, classes, &prepare, bad, items.len(), memory)?;
                images::name(&skipped);
                pictures
            }
        };
        if images.len() == 0 {
            return Err(Error::file(path, "no images are left to judge by"));
        }
        if images.shape() != shape || images.classes().len() != classes.len() {
            let message = format!(
                "images {:?} of {} classes, and the model takes {:?} of {}",
                images.shape(),
                images.classes().len(),
                shape,
                classes.len()
            );
            return Err(Error::file(path, message));
        }
        Ok(Self::Images(images))
    }
}
