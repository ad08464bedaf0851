//! Words that keys of a configuration take.

use serde::{Deserialize, Serialize};

/// Declares an enum with the word in files for each of its names.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the words are explained where they are used")]
        pub enum $name { $(#[serde(rename = $word)] $variant),* }

        impl $name {
            /// The word in files.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words! {
    /// Data made from a seed.
    Generator {
        TwoFeatures = "two-features", Xor = "xor", Blobs = "blobs", Line = "line", Figures = "figures", Digits = "digits",
    }
}

words! {
    /// The kind of a model.
    Kind { Linear = "linear", Mlp = "mlp", Cnn = "cnn", Resnet9 = "resnet9" }
}

words! {
    /// What is made small.
    Loss {
        CrossEntropy = "cross-entropy", Focal = "focal", Hinge = "hinge", Dice = "dice", Bce = "bce", Mse = "mse", L1 = "l1",
        SmoothL1 = "smooth-l1", Huber = "huber",
    }
}

words! {
    /// Who makes it small.
    OptimizerName {
        Sgd = "sgd", Adam = "adam", Adamw = "adamw", Amsgrad = "amsgrad", Nadam = "nadam", Rmsprop = "rmsprop",
        Adagrad = "adagrad", Adadelta = "adadelta", Lion = "lion", Lamb = "lamb", Adafactor = "adafactor", Muon = "muon",
    }
}

words! {
    /// How the learning rate goes.
    ScheduleName {
        Constant = "constant", OneCycle = "one-cycle", Cosine = "cosine", CosineRestarts = "cosine-restarts", Linear = "linear",
        Polynomial = "polynomial", Step = "step", MultiStep = "multi-step", Exponential = "exponential", OnPlateau = "on-plateau",
    }
}

words! {
    /// What becomes of missing values.
    MissingName {
        Mean = "mean", Median = "median", MostFrequent = "most-frequent", Drop = "drop", Error = "error",
    }
}

words! {
    /// What gradients are on their way.
    WireName { F32 = "f32", F16 = "f16" }
}
