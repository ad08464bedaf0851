//! Metrics against scikit-learn's values, which `sklearn_fixture.py` writes, however the rows are batched.

use serde_json::Value;
use wgrad_autograd::{DType, Gpu, Tensor};
use wgrad_train::metrics::{
    Average, ClassCounts, ConfusionMatrix, Outputs, Score, average_precision, roc_auc,
};
use wgrad_train::{Error, Metric};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

fn fixture(kind: &str) -> Vec<Value> {
    let text: Value = serde_json::from_str(include_str!("sklearn.json")).unwrap();
    text[kind].as_array().unwrap().clone()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

/// Rows of `values`, `width` numbers each.
fn batches<T: Copy>(values: &[T], width: usize, rows: usize) -> Vec<Vec<T>> {
    values.chunks(rows * width).map(<[T]>::to_vec).collect()
}

/// The metric of a case's rows in batches of `rows`.
fn measured(gpu: &Gpu, metric: &dyn Metric, case: &Value, rows: usize, is_class: bool) -> f64 {
    let shape: Vec<usize> =
        case["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let width = shape.get(1).copied().unwrap_or(1);
    let mut accumulator = metric.accumulator();
    let (output, target) = (floats(&case["output"]), floats(&case["target"]));
    let target_width = if is_class { 1 } else { width };
    for (output, target) in batches(&output, width, rows).iter().zip(batches(&target, target_width, rows)) {
        let n = target.len() / target_width;
        let shape = [&[n], &shape[1..]].concat();
        let output = Tensor::from_slice(gpu, output, &shape).unwrap();
        let target = if is_class {
            let target: Vec<i32> = target.iter().map(|&class| class as i32).collect();
            Tensor::from_slice(gpu, &target, &[n]).unwrap()
        } else {
            Tensor::from_slice(gpu, &target, &shape).unwrap()
        };
        accumulator.update(&output, &target).unwrap();
    }
    accumulator.compute().unwrap()
}

fn check(case: &Value, name: &str, found: f64, tolerance: f64) {
    match case[name].as_f64() {
        Some(right) => assert!(
            (found - right).abs() <= tolerance * right.abs().max(1.0),
            "{}: {name} {found}, not {right}",
            case["name"]
        ),
        None => {
            assert_eq!(case[name], Value::Null);
            assert!(found.is_nan(), "{}: {name} {found}, not NaN", case["name"]);
        }
    }
}

#[test]
fn classes_agree_with_scikit_learn() {
    let gpu = gpu();
    let averages = [Average::Macro, Average::Micro, Average::Weighted];
    for case in fixture("classes") {
        let threshold = case["threshold"].as_f64().unwrap_or(0.5) as f32;
        let mut scores = vec![Score::Accuracy, Score::RocAuc, Score::AveragePrecision];
        for average in averages {
            scores.extend([Score::Precision(average), Score::Recall(average)]);
            scores.extend([1.0, 2.0, 0.5].map(|beta| Score::FBeta(beta, average)));
        }
        // One batch, and several of which the last is shorter.
        for rows in [64, 4] {
            for score in &scores {
                let metric = score.of(Outputs::Logits, threshold);
                let found = measured(&gpu, &metric, &case, rows, true);
                check(&case, &score.to_string(), found, 1e-12);
            }
            if case.get("top2").is_some() {
                check(&case, "top2", measured(&gpu, &Score::TopK(2), &case, rows, true), 1e-12);
            }
        }
    }
}

#[test]
fn matrices_agree_with_scikit_learn() {
    for case in fixture("classes") {
        let rows = case["confusion"].as_array().unwrap();
        let counts = rows.iter().flat_map(|row| row.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()));
        let matrix = ConfusionMatrix::new(rows.len(), counts.collect()).unwrap();
        for (class, scores) in matrix.per_class(1.0).into_iter().enumerate() {
            for (name, found, single) in [
                ("precision_per_class", scores.precision, matrix.precision(Average::Class(class))),
                ("recall_per_class", scores.recall, matrix.recall(Average::Class(class))),
                ("f1_per_class", scores.f_beta, matrix.f_beta(1.0, Average::Class(class))),
            ] {
                let right = case[name][class].as_f64().unwrap();
                assert!((found - right).abs() < 1e-12 && found == single, "{} {name} {class}", case["name"]);
            }
        }
    }
}

#[test]
fn numbers_agree_with_scikit_learn() {
    let gpu = gpu();
    for case in fixture("numbers") {
        for rows in [64, 4] {
            for score in [Score::Mae, Score::Rmse, Score::R2] {
                let found = measured(&gpu, &score, &case, rows, false);
                // Sums over a batch are f32.
                check(&case, &score.name(), found, 1e-6);
            }
        }
    }
}

#[test]
fn rows_are_the_true_classes() {
    let gpu = gpu();
    let mut counts = ClassCounts::new(Outputs::Probabilities, 0.5);
    assert_eq!(counts.take().unwrap(), None);
    // Three of class 0 taken for 2, one of class 2 taken for 0; class 1 does not occur.
    let rows = [[0.1, 0.2, 0.7], [0.0, 0.1, 0.9], [0.2, 0.3, 0.5], [0.8, 0.1, 0.1]];
    let output = Tensor::from_slice(&gpu, rows.as_flattened(), &[4, 3]).unwrap();
    counts.update(&output, &Tensor::from_slice(&gpu, &[0_i32, 0, 0, 2], &[4]).unwrap()).unwrap();
    let matrix = counts.take().unwrap().unwrap();
    assert_eq!(matrix.rows().collect::<Vec<_>>(), [[0, 0, 3], [0, 0, 0], [1, 0, 0]]);
    assert_eq!(
        (matrix.count(0, 2), matrix.count(2, 0), matrix.count(0, 3), matrix.count(3, 0)),
        (3, 1, 0, 0)
    );
    // An empty row stays 0.
    assert_eq!(matrix.normalized(), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let text =
        "true \\ predicted 0 1 2\n               0 0 0 3\n               1 0 0 0\n               2 1 0 0";
    assert_eq!(matrix.to_string(), text);
    // It begins anew.
    assert_eq!(counts.take().unwrap(), None);
}

#[test]
fn binary_outputs_in_every_form() {
    let gpu = gpu();
    let targets = [1_i32, 0, 1, 0];
    let as_floats = Tensor::from_slice(&gpu, &[1.0, 0.0, 1.0, 0.0], &[4, 1]).unwrap();
    let targets = Tensor::from_slice(&gpu, &targets, &[4]).unwrap();
    // 0.25 is no more than 0.25; probabilities and their logits decide alike.
    let probabilities = [0.9_f32, 0.25, 0.5, 0.26];
    let logits = probabilities.map(|p| (p / (1.0 - p)).ln());
    for shape in [&[4][..], &[4, 1]] {
        for target in [&targets, &as_floats] {
            for (outputs, values) in [(Outputs::Probabilities, probabilities), (Outputs::Logits, logits)] {
                let mut counts = ClassCounts::new(outputs, 0.25);
                counts.update(&Tensor::from_slice(&gpu, &values, shape).unwrap(), target).unwrap();
                let matrix = counts.take().unwrap().unwrap();
                assert_eq!(matrix.rows().collect::<Vec<_>>(), [[1, 1], [0, 2]], "{outputs:?} {shape:?}");
                assert_eq!(matrix.precision(Average::Class(1)), 2.0 / 3.0);
            }
        }
    }
}

#[test]
fn equal_scores_in_a_row_count_from_the_first_class_on() {
    let gpu = gpu();
    let output = Tensor::from_slice(&gpu, &[1.0, 1.0, 1.0, 0.0], &[1, 4]).unwrap();
    for (k, class, right) in [(1, 0, 1.0), (1, 1, 0.0), (2, 1, 1.0), (2, 2, 0.0), (3, 2, 1.0)] {
        let mut top = Score::TopK(k).accumulator();
        top.update(&output, &Tensor::from_slice(&gpu, &[class], &[1]).unwrap()).unwrap();
        assert_eq!(top.compute().unwrap(), right, "top {k} of class {class}");
    }
}

#[test]
fn ranks_of_odd_scores() {
    assert!(roc_auc(&[], &[]).is_nan());
    assert!(roc_auc(&[0.1, f32::NAN], &[true, false]).is_nan());
    assert!(average_precision(&[0.1, f32::NAN], &[true, false]).is_nan());
    // Zeros of both signs are equal, and infinities are scores.
    assert_eq!(roc_auc(&[0.0, -0.0], &[true, false]), 0.5);
    assert_eq!(roc_auc(&[f32::INFINITY, f32::NEG_INFINITY, 0.0], &[true, false, false]), 1.0);
    assert_eq!(average_precision(&[0.0, -0.0], &[true, false]), 0.5);
}

#[test]
fn half_precision_and_views_are_outputs_too() {
    let gpu = gpu();
    // Powers of two, which f16 holds exactly; columns of the output lie in rows of the buffer.
    let values = [4.0, 0.5, 1.0, 2.0, 0.25, 8.0, 0.5, 4.0, 0.125, 1.0, 2.0, 0.5_f32];
    let plain = Tensor::from_slice(&gpu, &values, &[3, 4]).unwrap().transpose(0, 1).unwrap();
    let targets = Tensor::from_slice(&gpu, &[1, 2, 0, 1], &[4]).unwrap();
    let numbers = Tensor::from_slice(&gpu, &values, &[4, 3]).unwrap();
    let mut outputs = vec![plain.contiguous().unwrap(), plain.clone()];
    if gpu.has_f16() {
        outputs.push(plain.to_dtype(DType::F16).unwrap());
    }
    for score in
        [Score::Accuracy, Score::TopK(2), Score::FBeta(1.0, Average::Macro), Score::RocAuc, Score::Rmse]
    {
        let mut found = outputs.iter().map(|output| {
            let mut accumulator = score.accumulator();
            let target = if score == Score::Rmse { &numbers } else { &targets };
            accumulator.update(&output.clone().tracked(), target).unwrap();
            accumulator.compute().unwrap()
        });
        let first = found.next().unwrap();
        assert!(first > 0.0 && first.is_finite() && found.all(|found| found == first), "{score}");
    }
}

#[test]
fn without_rows_nothing_is_defined() {
    let gpu = gpu();
    let nothing = Tensor::zeros(&gpu, &[0, 3]).unwrap();
    let targets = Tensor::from_slice::<i32>(&gpu, &[], &[0]).unwrap();
    for score in [Score::Accuracy, Score::TopK(2), Score::Recall(Average::Macro), Score::RocAuc] {
        let mut accumulator = score.accumulator();
        accumulator.update(&nothing, &targets).unwrap();
        assert!(accumulator.compute().unwrap().is_nan(), "{score}");
    }
    let mut accumulator = Score::R2.accumulator();
    accumulator.update(&nothing, &nothing).unwrap();
    assert!(accumulator.compute().unwrap().is_nan());
}

#[test]
fn what_does_not_fit_is_said() {
    let gpu = gpu();
    let output = Tensor::zeros(&gpu, &[3, 4]).unwrap();
    let targets = |values: &[i32]| Tensor::from_slice(&gpu, values, &[values.len()]).unwrap();
    let message = |score: Score, output: &Tensor, target: &Tensor| {
        let mut accumulator = score.accumulator();
        let updated = accumulator.update(output, target);
        updated.and_then(|()| accumulator.compute()).unwrap_err().to_string()
    };
    let f1 = Score::FBeta(1.0, Average::Macro);
    for score in [f1, Score::RocAuc] {
        assert!(message(score, &output, &targets(&[0, 1, 4])).contains("no class"), "{score}");
        assert!(message(score, &output, &targets(&[0, 1, -1])).contains("no class"), "{score}");
        let said = message(score, &output, &targets(&[0, 1]));
        assert!(said.contains("[2]") && said.contains("[3, 4]"), "{said}");
        let deep = Tensor::zeros(&gpu, &[3, 4, 5]).unwrap();
        assert!(message(score, &deep, &targets(&[0, 1, 2])).contains("[3, 4, 5]"));
    }
    let eighth = message(Score::Recall(Average::Class(7)), &output, &targets(&[0, 1, 2]));
    assert!(eighth.contains("recall_class7") && eighth.contains("4 classes"), "{eighth}");
    assert!(message(Score::TopK(5), &output, &targets(&[0, 1, 2])).contains('5'));
    let column = Tensor::zeros(&gpu, &[3, 1]).unwrap();
    assert!(message(Score::TopK(1), &column, &targets(&[0, 1, 1])).contains("[3, 1]"));
    assert!(message(Score::R2, &output, &column).contains("[3, 4]"));
    let mut accumulator = Score::Accuracy.of(Outputs::Logits, 1.5).accumulator();
    let error = accumulator.update(&column, &targets(&[0, 1, 1])).unwrap_err();
    assert!(matches!(&error, Error::Usage(_)) && error.to_string().contains("1.5"), "{error}");
    assert!(ConfusionMatrix::new(2, vec![1, 2, 3]).is_err());
}

#[test]
fn names_tell_thresholds_that_decide() {
    let name = |score: Score, threshold| score.of(Outputs::Logits, threshold).name();
    assert_eq!(name(Score::FBeta(1.0, Average::Class(1)), 0.5), "f1_class1");
    assert_eq!(name(Score::FBeta(1.0, Average::Class(1)), 0.3), "f1_class1_at_0.3");
    assert_eq!(name(Score::Accuracy, 0.25), "accuracy_at_0.25");
    assert_eq!(name(Score::RocAuc, 0.25), "roc_auc");
}

#[test]
fn names_are_parsed_as_they_are_written() {
    for name in [
        "accuracy",
        "top5_accuracy",
        "precision_macro",
        "recall_micro",
        "f1_weighted",
        "f0.5_macro",
        "f2_class1",
        "roc_auc",
        "average_precision",
        "mae",
        "rmse",
        "r2",
    ] {
        let score: Score = name.parse().unwrap();
        assert_eq!(score.name(), name);
        assert_eq!(score.higher_is_better(), !["mae", "rmse"].contains(&name));
    }
    assert_eq!("f1".parse::<Score>().unwrap(), Score::FBeta(1.0, Average::Macro));
    for name in [
        "",
        "acc",
        "top0_accuracy",
        "topx_accuracy",
        "f0",
        "finf_macro",
        "f-1",
        "f1_median",
        "precision_class",
    ] {
        let error = name.parse::<Score>().unwrap_err().to_string();
        assert!(error.contains(&format!("{name:?}")), "{error}");
    }
}
