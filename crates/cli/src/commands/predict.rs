//! `wgrad predict`: what a model says of images, or of the rows of a table.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wgrad::data::folder::{Bad, Item, Prepare};
use wgrad::data::table::Schema;
use wgrad::data::tensors::Tensors;
use wgrad::{Gpu, Tensor};

use crate::args::Predict;
use crate::dataset::Pictures;
use crate::learner::{Learner, OnDevice};
use crate::model_file::Preprocessing;
use crate::output::{printable, say};
use crate::{Error, ModelFile, Result, TensorSchema, dataset};

/// Classes that are told of each image or row.
const TOLD: usize = 5;
/// Rows that are predicted at a time.
const BATCH: usize = 256;

pub(crate) fn run(flags: &Predict) -> Result<()> {
    let file = ModelFile::load(&flags.model)?;
    // Files are read before a device is asked.
    let predictions = match &file.data {
        Preprocessing::Images { shape, classes, .. } => {
            let (images, paths) = read_images(flags, *shape, classes)?;
            let gpu = Gpu::new()?;
            of_images(&gpu, &file, &images, &paths)?
        }
        Preprocessing::Table { schema } => {
            let mut tables = Vec::new();
            for path in &flags.files {
                dataset::check_table(path)?;
                let rows = schema.encode_inputs(&dataset::read_table(path)?)?;
                let note = dataset::left_out(&[&rows]);
                if !note.is_empty() {
                    eprintln!("{}", printable(&format!("wgrad: {}: {note}", path.display())));
                }
                tables.push((path, rows));
            }
            let gpu = Gpu::new()?;
            let learner = Learner::load(&gpu, &file)?;
            let mut all = Vec::new();
            for (path, rows) in tables {
                if rows.rows.is_empty() {
                    continue;
                }
                let out = learner.predict(&rows.inputs(&gpu)?, schema.classes().len())?;
                all.extend(of_rows(path, schema, &rows.rows, &out));
            }
            all
        }
        Preprocessing::Tensors { schema } => of_tensors(&file, schema, &flags.files)?,
    };
    if flags.machines.json {
        let values: Vec<Value> = predictions.into_iter().map(|prediction| prediction.value).collect();
        say(&Value::from(values).to_string());
    } else {
        predictions.iter().for_each(|prediction| say(&prediction.line));
    }
    Ok(())
}

/// What is said of one image or row.
struct Prediction {
    line: String,
    value: Value,
}

/// The pictures, and the files that they are of.
fn read_images(flags: &Predict, shape: [usize; 3], classes: &[String]) -> Result<(Pictures, Vec<PathBuf>)> {
    for path in &flags.files {
        if dataset::is_table(path) {
            return Err(Error::file(path, "a table: the model takes images"));
        }
        if path.is_dir() {
            return Err(Error::file(path, "a folder: name the images in it, such as by *.png"));
        }
    }
    let [channels, height, width] = shape;
    let prepare = Prepare { channels, ..Prepare::new(height, width) };
    let bad = if flags.skip_bad { Bad::Skip } else { Bad::Fail };
    // Whose class nobody asks for.
    let items: Vec<Item> = flags.files.iter().map(|path| Item { path: path.clone(), label: 0 }).collect();
    let memory = dataset::images::memory(None, 1);
    let (pictures, skipped) = dataset::images::read(&items, classes, &prepare, bad, items.len(), memory)?;
    dataset::images::name(&skipped);
    let was_read = |path: &&PathBuf| skipped.iter().all(|skipped| skipped.path != **path);
    Ok((pictures, flags.files.iter().filter(was_read).cloned().collect()))
}

fn of_images(gpu: &Gpu, file: &ModelFile, images: &Pictures, paths: &[PathBuf]) -> Result<Vec<Prediction>> {
    use wgrad::data::Batches as _;
    let learner = Learner::load(gpu, file)?;
    // What would take too much of the device's memory was left in its files, and is streamed.
    let device = OnDevice::pictures(gpu, images, false, &file.data)?;
    let classes = file.data.classes();
    let (set, mut all, mut start) = (device.set(None)?, Vec::new(), 0);
    while start < images.len() {
        let rows = (images.len() - start).min(64);
        let out = learner.predict(&set.batch(start, rows)?.x, classes.len())?;
        for (path, shares) in paths[start..].iter().zip(out.chunks(classes.len())) {
            let name = path.display().to_string();
            let (words, value) = ranked(shares, classes);
            all.push(Prediction {
                line: format!("{name}: {words}"),
                value: json!({ "file": name, "classes": value }),
            });
        }
        start += rows;
    }
    Ok(all)
}

fn of_tensors(file: &ModelFile, schema: &TensorSchema, paths: &[PathBuf]) -> Result<Vec<Prediction>> {
    let mut inputs = Vec::new();
    for path in paths {
        dataset::check_tensors(path)?;
        let (shape, x) = Tensors::read_inputs(path)?;
        inputs.push((path, schema.inputs(&shape, &x, path)?, shape));
    }
    let (gpu, classes) = (Gpu::new()?, schema.classes());
    let (learner, mut all) = (Learner::load(&gpu, file)?, Vec::new());
    for (path, x, shape) in inputs {
        let (name, size) = (path.display().to_string(), x.len() / shape[0]);
        for (part, x) in x.chunks(BATCH * size).enumerate() {
            let x = Tensor::from_slice(&gpu, x, &[&[x.len() / size], &schema.shape[..]].concat())?;
            let out = learner.predict(&x, classes.len())?;
            for (i, values) in out.chunks(file.architecture.outputs().max(classes.len())).enumerate() {
                let row = part * BATCH + i + 1;
                let (words, key, value) = if classes.is_empty() {
                    let numbers = schema.unscaled(values);
                    let words: Vec<String> = numbers.iter().map(|number| format!("{number:.6}")).collect();
                    (format!("y {}", words.join(" ")), "y", json!(numbers))
                } else {
                    let (words, ranked) = ranked(values, classes);
                    (words, "classes", ranked)
                };
                let value = json!({ "file": name, "row": row, key: value });
                all.push(Prediction { line: format!("{name} row {row}: {words}"), value });
            }
        }
    }
    Ok(all)
}

fn of_rows(path: &Path, schema: &Schema, rows: &[usize], out: &[f32]) -> Vec<Prediction> {
    let classes = schema.classes();
    let name = path.display().to_string();
    let each = rows.iter().zip(out.chunks(classes.len().max(1)));
    each.map(|(row, values)| {
        // Rows are counted as people do, from 1, without the header.
        let (place, head) = (row + 1, json!({ "file": name, "row": row + 1 }));
        let mut value = head;
        let words = if classes.is_empty() {
            let number = schema.unscale(values.first().copied().unwrap_or(f32::NAN));
            value[schema.target_name()] = json!(number);
            format!("{} {number:.6}", schema.target_name())
        } else {
            let (words, ranked) = ranked(values, classes);
            value["classes"] = ranked;
            words
        };
        Prediction { line: format!("{name} row {place}: {words}"), value }
    })
    .collect()
}

/// The likeliest classes with their probabilities, in words and as JSON.
fn ranked(shares: &[f32], classes: &[String]) -> (String, Value) {
    let mut order: Vec<usize> = (0..shares.len().min(classes.len())).collect();
    // A stable sort: of equal ones the first comes first, and NaN last.
    order.sort_by(|&a, &b| shares[b].partial_cmp(&shares[a]).unwrap_or(std::cmp::Ordering::Equal));
    order.truncate(TOLD);
    let words = order.iter().map(|&i| format!("{} {:.1}%", classes[i], 100.0 * shares[i]));
    let values: Vec<Value> =
        order.iter().map(|&i| json!({ "class": classes[i], "probability": shares[i] })).collect();
    (words.collect::<Vec<_>>().join(", "), values.into())
}
