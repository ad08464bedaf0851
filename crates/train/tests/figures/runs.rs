//! Reports of made-up runs.

use wgrad_train::metrics::ConfusionMatrix;
use wgrad_train::report::{Mark, Plot, Report, Sample, Series, Surface};
use wgrad_train::{EpochRecord, Picture};

/// A hash of a number, 0 to 1.
fn noise(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1_u64 << 24) as f64
}

pub fn picture(kind: usize, size: usize) -> Picture {
    let values = (0..3 * size * size).map(|i| {
        let (channel, y, x) = (i / (size * size), i / size % size, i % size);
        let wave = ((x * (kind + 2) + y * channel) as f64 / size as f64 * 4.0 + kind as f64).sin();
        (0.5 + 0.3 * wave + 0.2 * noise(i + 1000 * kind)) as f32
    });
    Picture::from_planes([3, size, size], &values.collect::<Vec<_>>(), 0.0, 1.0).unwrap()
}

const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "<b>truck</b> & \"van\"",
];

fn names() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

fn epochs(count: usize) -> Vec<EpochRecord> {
    let figures = |epoch: usize| {
        let fade = (-(epoch as f64) / 4.0).exp();
        let values = [
            ("train_loss", 0.4 + 1.6 * fade),
            ("val_loss", 0.75 + 1.2 * fade + 0.02 * noise(epoch)),
            ("train_accuracy", 0.86 - 0.5 * fade),
            ("val_accuracy", 0.74 - 0.4 * fade + 0.01 * noise(epoch + 50)),
            // Undefined in the first epochs and once in the middle.
            ("val_roc_auc", if epoch < 3 || epoch == 6 { f64::NAN } else { 0.96 - 0.2 * fade }),
            ("lr", 0.01),
            ("seconds", 41.3),
        ];
        EpochRecord {
            epoch,
            step: 391 * epoch as u64,
            figures: values.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            ..Default::default()
        }
    };
    (1..=count).map(figures).collect()
}

pub fn images() -> Report {
    let step_losses = (1..=7820).map(|step| {
        let loss = 0.5 + 1.8 * (-(step as f64) / 1500.0).exp() + 0.5 * (noise(step) - 0.5);
        [step as f64, if (3000..3200).contains(&step) { f64::NAN } else { loss }]
    });
    let learning_rates = (1..=7820).map(|step| {
        let at = step as f64 / 7820.0;
        [
            step as f64,
            if at < 0.3 {
                0.1 * at / 0.3
            } else {
                0.05 * (1.0 + ((at - 0.3) / 0.7 * std::f64::consts::PI).cos())
            },
        ]
    });
    let counts = (0..100).map(|i| match (i / 10, i % 10) {
        (truth, guess) if truth == guess => 700 + 20 * truth as u64,
        (3, 5) | (5, 3) => 141,
        (7, _) => 0,
        _ => (30.0 * noise(i)) as u64,
    });
    let sample = |i: usize| Sample {
        picture: picture(i, 32),
        label: CLASSES[i % 10].to_owned(),
        guess: CLASSES[(i + 3) % 10].to_owned(),
        probability: 0.99 - 0.02 * i as f64,
    };
    let saliency = |i: usize| {
        let values: Vec<f32> = (0..32 * 32)
            .map(|at| {
                let (y, x) = (at as f32 / 32.0 - 16.0, (at % 32) as f32 - 16.0);
                (-(x * x + y * y) / 60.0).exp() * (noise(at + i) as f32 - 0.3)
            })
            .collect();
        (sample(i), Picture::signed([1, 32, 32], &values).unwrap())
    };
    let fact = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Report {
        title: "CIFAR-10 with a small CNN".to_owned(),
        facts: [
            ("Best validation accuracy", "74.1% in epoch 17"),
            ("Model", "CNN, 122,570 parameters"),
            ("Data", "50,000 training, 10,000 validation images"),
            ("Device", "llvmpipe (LLVM 19.1.7, 256 bits), Vulkan"),
            ("Time", "20 epochs in 13 min 46 s"),
        ]
        .map(fact)
        .to_vec(),
        texts: [
            ("Model", "Conv2d(3, 32, 3 × 3, padding 1) + ReLU\nMaxPool2d(2)\nLinear(2048, 10)"),
            (
                "Configuration",
                "[train]\nepochs = 20\nbatch_size = 128\n# a comment with <markup> & \"quotes\"",
            ),
        ]
        .map(fact)
        .to_vec(),
        epochs: epochs(20),
        step_losses: step_losses.collect(),
        learning_rates: learning_rates.collect(),
        confusion: Some(ConfusionMatrix::new(10, counts.collect()).unwrap()),
        classes: names(),
        wrong: (0..12).map(sample).collect(),
        saliency: (0..4).map(saliency).collect(),
        filters: (0..32).map(|i| picture(i, 5)).collect(),
        ..Report::default()
    }
}

pub fn plane() -> Report {
    let p = |x: f64, y: f64| 1.0 / (1.0 + (-8.0 * (x * y + 0.3 * x)).exp());
    let at = |i: usize| 2.2 * ((i as f64 + 0.5) / 60.0) - 1.1;
    let values = (0..3600).map(|i| p(at(i % 60), at(i / 60)) as f32).collect();
    let points = (0..100).map(|i| {
        let (x, y) = (2.0 * noise(i) - 1.0, 2.0 * noise(i + 500) - 1.0);
        ([x, y], usize::from(p(x, y) > 0.5))
    });
    let surface = Surface {
        x: "width (cm)".to_owned(),
        y: "height (cm)".to_owned(),
        x_range: [-1.1, 1.1],
        y_range: [-1.1, 1.1],
        values,
        columns: 60,
        points: points.collect(),
        classes: vec!["below".to_owned(), "above".to_owned()],
    };
    let predictions = (0..150).map(|i| [50.0 * noise(i), 50.0 * noise(i) + 6.0 * (noise(i + 9000) - 0.5)]);
    let line = Plot {
        title: "Fitted line".to_owned(),
        x: "area (m²)".to_owned(),
        y: "price (kEUR)".to_owned(),
        series: vec![
            Series {
                name: "test rows".to_owned(),
                points: (0..60)
                    .map(|i| [100.0 * noise(i), 30.0 + 2.0 * 100.0 * noise(i) + 40.0 * noise(i + 77)])
                    .collect(),
                mark: Mark::Points,
            },
            Series { name: "model".to_owned(), points: vec![[0.0, 50.0], [100.0, 250.0]], mark: Mark::Line },
        ],
    };
    Report {
        title: "Two features, and a line".to_owned(),
        epochs: epochs(1),
        surface: Some(surface),
        target: "price (kEUR)".to_owned(),
        predictions: predictions.collect(),
        plots: vec![line],
        // Too many classes for a table.
        confusion: Some(
            ConfusionMatrix::new(
                30,
                (0..900).map(|i| if i % 31 == 0 { 50 } else { (4.0 * noise(i)) as u64 }).collect(),
            )
            .unwrap(),
        ),
        ..Report::default()
    }
}
