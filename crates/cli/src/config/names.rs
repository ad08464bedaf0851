//! Words that keys of a configuration take.

use serde::{Deserialize, Serialize};

/// Declares an enum whose names in files are words.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "the words are explained where they are used")]
        pub enum $name { $($variant),* }
    };
}

words! {
    /// Data made from a seed.
    Generator { TwoFeatures, Xor, Blobs, Line, Figures, Digits }
}

words! {
    /// The kind of a model.
    Kind { Linear, Mlp, Cnn, Resnet9 }
}

words! {
    /// What is made small.
    Loss { CrossEntropy, Bce, Mse, L1, SmoothL1, Huber }
}

words! {
    /// Who makes it small.
    OptimizerName {
        Sgd, Adam, Adamw, Amsgrad, Nadam, Rmsprop, Adagrad, Adadelta, Lion, Lamb, Adafactor, Muon,
    }
}

words! {
    /// How the learning rate goes.
    ScheduleName { Constant, OneCycle, Cosine, Linear, OnPlateau }
}
