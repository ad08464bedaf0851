//! Metrics and logs in a trainer: what it keeps is what the files say.

use serde_json::Value;
use wgrad_autograd::{Gpu, Tensor};
use wgrad_data::{Batches as _, TensorBatches};
use wgrad_nn::{Linear, Mode, Module, Sgd, SgdOptions, build};
use wgrad_train::logs::{Csv, Jsonl};
use wgrad_train::metrics::{Average, ClassCounts, Outputs, Score};
use wgrad_train::{Output, Trainer};

#[test]
fn figures_of_a_fit_are_in_its_history_and_its_logs() {
    let gpu = Gpu::builder().poison().quiet().build().unwrap();
    let classes: Vec<i32> = (0..23).map(|i| i % 3).collect();
    let x: Vec<f32> = (0..46).map(|i| (i * 37 % 19) as f32 / 9.0 + (classes[i / 2] * 2) as f32).collect();
    let x = Tensor::from_slice(&gpu, &x, &[23, 2]).unwrap();
    let rows = TensorBatches::new(&x, &Tensor::from_slice(&gpu, &classes, &[23]).unwrap()).unwrap();
    let (model, params) = build(&gpu, 1, |b| Linear::new(b, 2, 3)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (lines, table) = (folder.path().join("m.jsonl"), folder.path().join("m.csv"));
    let f1 = Score::FBeta(1.0, Average::Macro);
    let sgd = Sgd::new(&params, SgdOptions { lr: 0.05, ..SgdOptions::default() }).unwrap();
    let mut trainer = Trainer::new(&params, sgd)
        .progress(false)
        .batch_size(5)
        .epochs(3)
        .validate(&rows)
        .metric(Score::Accuracy)
        .metric(f1)
        .metric(Score::RocAuc)
        .logger(Jsonl::new(&lines))
        .logger(Csv::new(&table));
    let history = trainer
        .fit(&rows, |batch, _| {
            let y = model.forward(&batch.x)?;
            Ok(Output::new(y.cross_entropy(&batch.y, 0.0)?).judged(&y, &batch.y))
        })
        .unwrap();

    // What was kept of the last epoch is what the model says now.
    let (mut counts, batch) = (ClassCounts::new(Outputs::Logits, 0.5), rows.batch(0, 23).unwrap());
    counts.update(&Module::forward(&model, &batch.x, Mode::Eval).unwrap(), &batch.y).unwrap();
    let matrix = counts.take().unwrap().unwrap();
    assert_eq!(history.last("val_accuracy").unwrap(), matrix.accuracy());
    assert_eq!(history.last("val_f1_macro").unwrap(), matrix.f_beta(1.0, Average::Macro));
    assert!(history.last("val_roc_auc").unwrap() > 0.5);

    // Five steps and a line of figures, three times.
    let text = std::fs::read_to_string(&lines).unwrap();
    let parsed: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(parsed.len(), 18);
    for (epoch, record) in history.epochs.iter().enumerate() {
        let line = &parsed[6 * epoch + 5];
        assert_eq!((&line["step"], &line["epoch"]), (&Value::from(record.step), &Value::from(epoch + 1)));
        for (name, value) in &record.figures {
            assert_eq!(line[name].as_f64().unwrap() as f32, *value as f32, "{name}");
        }
    }
    let text = std::fs::read_to_string(&table).unwrap();
    let lengths: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
    assert!(lengths.len() == 19 && lengths.iter().all(|length| *length == lengths[0]), "{text}");
    assert!(text.starts_with("step,loss,"), "{text}");
}
