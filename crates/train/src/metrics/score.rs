//! [`Score`]: the metrics by name, for a trainer.

use std::fmt;
use std::str::FromStr;

use wgrad_autograd::{Gpu, Tensor};
use wgrad_nn::StateDict;

use super::{
    Average, ClassCounts, ConfusionMatrix, Hits, Outputs, RankedScores, RegressionScores, RegressionSums,
    TopK,
};
use crate::{Accumulator, Error, Metric, Result};

/// A metric for a trainer, by itself for logits and a threshold of 0.5; [`Score::of`] takes other outputs.
///
/// It is written and parsed as its name: `accuracy`, `top5_accuracy`, `precision_macro`, `recall_micro`, `f1_weighted`,
/// `f0.5_macro`, `f1_class1`, `roc_auc`, `average_precision`, `mae`, `rmse`, `r2`. Precision, recall and F without an average
/// are parsed as the mean over the classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// Share of rows whose class is named rightly.
    Accuracy,
    /// Share of rows whose class is among so many with the largest scores.
    TopK(usize),
    /// [`ConfusionMatrix::precision`].
    Precision(Average),
    /// [`ConfusionMatrix::recall`].
    Recall(Average),
    /// [`ConfusionMatrix::f_beta`] for this `beta`.
    FBeta(f64, Average),
    /// [`roc_auc`](super::roc_auc); with more than two classes the mean of each against the rest.
    RocAuc,
    /// [`average_precision`](super::average_precision), the area under the curve of precision over recall; with more than two
    /// classes the mean of each against the rest.
    AveragePrecision,
    /// [`RegressionScores::mae`].
    Mae,
    /// [`RegressionScores::rmse`].
    Rmse,
    /// [`RegressionScores::r2`].
    R2,
}

/// A [`Score`] of certain outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreOf {
    score: Score,
    outputs: Outputs,
    threshold: f32,
}

impl Score {
    /// This score of other outputs than logits, or with another threshold, a probability: where outputs have one score for each
    /// row, those above it are of class 1. A threshold that is no probability is an error of the first batch. Another one than 0.5
    /// is told in the name, as `f1_class1_at_0.3`.
    #[must_use]
    pub fn of(self, outputs: Outputs, threshold: f32) -> ScoreOf {
        ScoreOf { score: self, outputs, threshold }
    }

    /// How the scores of classes are averaged, of those that are scores of classes.
    fn average(self) -> Option<Average> {
        match self {
            Self::Precision(average) | Self::Recall(average) | Self::FBeta(_, average) => Some(average),
            _ => None,
        }
    }
}

impl fmt::Display for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "class{class}"),
            Self::Macro => f.write_str("macro"),
            Self::Micro => f.write_str("micro"),
            Self::Weighted => f.write_str("weighted"),
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accuracy => f.write_str("accuracy"),
            Self::TopK(k) => write!(f, "top{k}_accuracy"),
            Self::Precision(average) => write!(f, "precision_{average}"),
            Self::Recall(average) => write!(f, "recall_{average}"),
            Self::FBeta(beta, average) => write!(f, "f{beta}_{average}"),
            Self::RocAuc => f.write_str("roc_auc"),
            Self::AveragePrecision => f.write_str("average_precision"),
            Self::Mae => f.write_str("mae"),
            Self::Rmse => f.write_str("rmse"),
            Self::R2 => f.write_str("r2"),
        }
    }
}

fn parse_average(name: &str) -> Option<Average> {
    match name {
        "macro" => Some(Average::Macro),
        "micro" => Some(Average::Micro),
        "weighted" => Some(Average::Weighted),
        _ => name.strip_prefix("class")?.parse().ok().map(Average::Class),
    }
}

fn parse(name: &str) -> Option<Score> {
    let plain = match name {
        "accuracy" => Some(Score::Accuracy),
        "roc_auc" => Some(Score::RocAuc),
        "average_precision" => Some(Score::AveragePrecision),
        "mae" => Some(Score::Mae),
        "rmse" => Some(Score::Rmse),
        "r2" => Some(Score::R2),
        _ => None,
    };
    if plain.is_some() {
        return plain;
    }
    if let Some(k) = name.strip_prefix("top").and_then(|rest| rest.strip_suffix("_accuracy")) {
        return k.parse().ok().filter(|&k| k > 0).map(Score::TopK);
    }
    let (score, average) = match name.split_once('_') {
        Some((score, average)) => (score, parse_average(average)?),
        None => (name, Average::Macro),
    };
    match score {
        "precision" => Some(Score::Precision(average)),
        "recall" => Some(Score::Recall(average)),
        _ => {
            let beta: f64 = score.strip_prefix('f')?.parse().ok()?;
            (beta.is_finite() && beta > 0.0).then_some(Score::FBeta(beta, average))
        }
    }
}

impl FromStr for Score {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        parse(name).ok_or_else(|| {
            Error::Usage(format!(
                "no metric is called {name:?}: there are accuracy, top5_accuracy, precision, recall and f1 (also with _macro, \
                 _micro, _weighted or _class1), roc_auc, average_precision, mae, rmse and r2"
            ))
        })
    }
}

impl Metric for Score {
    fn name(&self) -> String {
        self.to_string()
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        self.of(Outputs::Logits, 0.5).accumulator()
    }

    fn higher_is_better(&self) -> bool {
        !matches!(self, Self::Mae | Self::Rmse)
    }
}

impl Metric for ScoreOf {
    fn name(&self) -> String {
        let decides = self.score.average().is_some() || matches!(self.score, Score::Accuracy);
        match self.threshold {
            threshold if decides && threshold != 0.5 => format!("{}_at_{threshold}", self.score),
            _ => self.score.to_string(),
        }
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        let Self { score, outputs, threshold } = *self;
        let of_matrix = |read: Box<dyn Fn(&ConfusionMatrix) -> f64>| -> Box<dyn Accumulator> {
            Box::new(OfMatrix { score, counts: ClassCounts::new(outputs, threshold), read })
        };
        let of_sums =
            |read| -> Box<dyn Accumulator> { Box::new(OfSums { sums: RegressionSums::default(), read }) };
        match score {
            Score::Accuracy => Box::new(Hits::new(outputs, TopK::Decision { threshold })),
            Score::TopK(k) => Box::new(Hits::new(outputs, TopK::Largest(k))),
            Score::Precision(average) => of_matrix(Box::new(move |matrix| matrix.precision(average))),
            Score::Recall(average) => of_matrix(Box::new(move |matrix| matrix.recall(average))),
            Score::FBeta(beta, average) => of_matrix(Box::new(move |matrix| matrix.f_beta(beta, average))),
            Score::RocAuc => Box::new(OfRanks { ranks: RankedScores::new(outputs), which: 0 }),
            Score::AveragePrecision => Box::new(OfRanks { ranks: RankedScores::new(outputs), which: 1 }),
            Score::Mae => of_sums(|scores| scores.mae),
            Score::Rmse => of_sums(|scores| scores.rmse),
            Score::R2 => of_sums(|scores| scores.r2),
        }
    }

    fn higher_is_better(&self) -> bool {
        self.score.higher_is_better()
    }
}

impl Accumulator for Hits {
    fn update(&mut self, prediction: &Tensor, target: &Tensor) -> Result<()> {
        Hits::update(self, prediction, target)
    }

    fn compute(&mut self) -> Result<f64> {
        self.take()
    }

    fn save_state(&mut self) -> Result<Option<StateDict>> {
        self.save().map(Some)
    }

    fn load_state(&mut self, _: &Gpu, state: &StateDict) -> Result<()> {
        self.load(state)
    }
}

struct OfMatrix {
    score: Score,
    counts: ClassCounts,
    read: Box<dyn Fn(&ConfusionMatrix) -> f64>,
}

impl Accumulator for OfMatrix {
    fn update(&mut self, prediction: &Tensor, target: &Tensor) -> Result<()> {
        self.counts.update(prediction, target)
    }

    fn compute(&mut self) -> Result<f64> {
        let Some(matrix) = self.counts.take()? else { return Ok(f64::NAN) };
        match self.score.average() {
            Some(Average::Class(class)) if class >= matrix.classes() => {
                let (score, classes) = (self.score, matrix.classes());
                Err(Error::Usage(format!("{score}: there are {classes} classes, counted from 0")))
            }
            _ => Ok((self.read)(&matrix)),
        }
    }

    fn save_state(&mut self) -> Result<Option<StateDict>> {
        self.counts.save().map(Some)
    }

    fn load_state(&mut self, gpu: &Gpu, state: &StateDict) -> Result<()> {
        self.counts.load(gpu, state)
    }
}

struct OfRanks {
    ranks: RankedScores,
    which: usize,
}

impl Accumulator for OfRanks {
    fn update(&mut self, prediction: &Tensor, target: &Tensor) -> Result<()> {
        self.ranks.update(prediction, target)
    }

    fn compute(&mut self) -> Result<f64> {
        Ok(self.ranks.take()?[self.which])
    }

    fn save_state(&mut self) -> Result<Option<StateDict>> {
        self.ranks.save().map(Some)
    }

    fn load_state(&mut self, _: &Gpu, state: &StateDict) -> Result<()> {
        self.ranks.load(state)
    }
}

struct OfSums {
    sums: RegressionSums,
    read: fn(RegressionScores) -> f64,
}

impl Accumulator for OfSums {
    fn update(&mut self, prediction: &Tensor, target: &Tensor) -> Result<()> {
        self.sums.update(prediction, target)
    }

    fn compute(&mut self) -> Result<f64> {
        Ok((self.read)(self.sums.take()?))
    }

    fn save_state(&mut self) -> Result<Option<StateDict>> {
        self.sums.save().map(Some)
    }

    fn load_state(&mut self, gpu: &Gpu, state: &StateDict) -> Result<()> {
        self.sums.load(gpu, state)
    }
}
