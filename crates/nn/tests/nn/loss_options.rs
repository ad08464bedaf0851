//! Losses with options against PyTorch's: each reduction, the loss and every gradient.

use wgrad_nn::autograd::{DType, Error, Gpu, Result, Tensor, grad};
use wgrad_nn::losses::{
    self, BceOptions, BceWithLogitsOptions, CosineEmbeddingOptions, CrossEntropyOptions, DiceOptions,
    HingeEmbeddingOptions, HuberOptions, KlDivOptions, KlDivReduction, MultiMarginOptions, NllOptions,
    Reduction, SigmoidFocalOptions, SmoothL1Options, SoftmaxFocalOptions, TripletMarginOptions, Weights,
};

use crate::common::{FAMILIES, Fixture, gpu, gpu_of};

/// PyTorch's default, which the fixture's labels have.
const IGNORED: Option<i32> = Some(-100);

/// The inputs of a case.
struct Inputs<'a> {
    gpu: &'a Gpu,
    fixture: &'a Fixture,
    case: &'a str,
    tracked: Vec<(&'static str, Tensor)>,
    reduction: Reduction,
}

impl Inputs<'_> {
    fn get(&self, name: &str) -> Tensor {
        let found = self.tracked.iter().find(|(known, _)| *known == name);
        let load = || self.fixture.tensor(self.gpu, &format!("{}.{name}", self.case));
        found.map_or_else(load, |(_, tensor)| tensor.clone())
    }

    fn labels(&self) -> Tensor {
        let name = format!("{}.target", self.case);
        let shape = self.fixture.shape(&name);
        Tensor::from_slice(self.gpu, &self.fixture.labels(&name), &shape).unwrap()
    }

    fn weights(&self, name: &str) -> Option<Weights> {
        let (_, values) = self.fixture.values(&format!("{}.{name}", self.case));
        Some(Weights::new(self.gpu, &values).unwrap())
    }

    fn cross_entropy(&self, target: &Tensor, options: CrossEntropyOptions) -> Result<Tensor> {
        let options = CrossEntropyOptions { reduction: self.reduction, ..options };
        losses::cross_entropy(&self.get("x"), target, &options)
    }

    fn nll(&self, options: NllOptions) -> Result<Tensor> {
        losses::nll(&self.get("x"), &self.labels(), &NllOptions { reduction: self.reduction, ..options })
    }

    fn margin(&self, options: MultiMarginOptions) -> Result<Tensor> {
        let options = MultiMarginOptions { reduction: self.reduction, ..options };
        losses::multi_margin(&self.get("x"), &self.labels(), &options)
    }

    fn triplet(&self, margin: f32, swap: bool) -> Result<Tensor> {
        let options = TripletMarginOptions { margin, swap, reduction: self.reduction, ..Default::default() };
        losses::triplet_margin(&self.get("x"), &self.get("y"), &self.get("z"), &options)
    }

    fn triplet_by(&self, p: f32, swap: bool) -> Result<Tensor> {
        let (margin, reduction) = (2.0, self.reduction);
        let options = TripletMarginOptions { p, margin, swap, reduction, ..Default::default() };
        losses::triplet_margin(&self.get("x"), &self.get("y"), &self.get("z"), &options)
    }

    fn bce(&self, weight: Option<Tensor>) -> Result<Tensor> {
        let options = BceOptions { weight, reduction: self.reduction };
        losses::bce(&self.get("x"), &self.get("target"), &options)
    }

    fn binary(&self, weight: Option<Tensor>, pos_weight: Option<Weights>) -> Result<Tensor> {
        let options = BceWithLogitsOptions { weight, pos_weight, reduction: self.reduction };
        losses::bce_with_logits(&self.get("x"), &self.get("target"), &options)
    }

    fn focal(&self, alpha: Option<f32>, gamma: f32) -> Result<Tensor> {
        let options = SigmoidFocalOptions { alpha, gamma, reduction: self.reduction };
        losses::sigmoid_focal(&self.get("x"), &self.get("target"), &options)
    }

    fn softmax_focal(&self, gamma: f32, ignore_index: Option<i32>) -> Result<Tensor> {
        let (weight, reduction) = (self.weights("weight"), self.reduction);
        let options = SoftmaxFocalOptions { gamma, weight, ignore_index, reduction };
        losses::softmax_focal(&self.get("x"), &self.labels(), &options)
    }

    fn kl_div(&self, log_target: bool) -> Result<Tensor> {
        let options = KlDivOptions { log_target, reduction: KlDivReduction::Of(self.reduction) };
        losses::kl_div(&self.get("x"), &self.get("target"), &options)
    }

    /// The fixture's mean is PyTorch's `batchmean`.
    fn kl_div_of_rows(&self) -> Result<Tensor> {
        let reduction = match self.reduction {
            Reduction::Mean => KlDivReduction::BatchMean,
            other => KlDivReduction::Of(other),
        };
        let options = KlDivOptions { reduction, ..Default::default() };
        losses::kl_div(&self.get("x"), &self.get("target"), &options)
    }

    fn dice(&self, squared: bool) -> Result<Tensor> {
        let options = DiceOptions { squared, reduction: self.reduction, ..Default::default() };
        losses::dice(&self.get("x"), &self.get("target"), &options)
    }
}

type Case = (&'static str, &'static [&'static str], fn(&Inputs) -> Result<Tensor>);

const X: &[&str] = &["x"];
const BOTH: &[&str] = &["x", "target"];

fn smoothed(weight: Option<Weights>, ignore_index: Option<i32>, label_smoothing: f32) -> CrossEntropyOptions {
    CrossEntropyOptions { weight, ignore_index, label_smoothing, ..Default::default() }
}

/// Name, tracked inputs, and the loss.
const CASES: [Case; 39] = [
    ("cross_entropy", X, |i| i.cross_entropy(&i.labels(), smoothed(None, None, 0.0))),
    ("cross_entropy_ignore", X, |i| i.cross_entropy(&i.labels(), smoothed(None, Some(2), 0.2))),
    ("cross_entropy_weight", X, |i| i.cross_entropy(&i.labels(), smoothed(i.weights("weight"), None, 0.0))),
    ("cross_entropy_all", X, |i| i.cross_entropy(&i.labels(), smoothed(i.weights("weight"), IGNORED, 0.1))),
    ("cross_entropy_pixels", X, |i| {
        i.cross_entropy(&i.labels(), smoothed(i.weights("weight"), IGNORED, 0.1))
    }),
    ("cross_entropy_soft", X, |i| {
        i.cross_entropy(&i.get("target"), smoothed(i.weights("weight"), None, 0.1))
    }),
    ("cross_entropy_soft_pixels", X, |i| i.cross_entropy(&i.get("target"), smoothed(None, None, 0.0))),
    ("nll", X, |i| {
        i.nll(NllOptions { weight: i.weights("weight"), ignore_index: IGNORED, ..Default::default() })
    }),
    ("nll_pixels", X, |i| i.nll(NllOptions::default())),
    ("mse", BOTH, |i| losses::mse(&i.get("x"), &i.get("target"), i.reduction)),
    ("l1", BOTH, |i| losses::l1(&i.get("x"), &i.get("target"), i.reduction)),
    ("smooth_l1", BOTH, |i| {
        let options = SmoothL1Options { beta: 0.5, reduction: i.reduction };
        losses::smooth_l1(&i.get("x"), &i.get("target"), &options)
    }),
    ("huber", BOTH, |i| {
        let options = HuberOptions { delta: 0.75, reduction: i.reduction };
        losses::huber(&i.get("x"), &i.get("target"), &options)
    }),
    ("bce", X, |i| i.bce(None)),
    ("bce_with_logits", X, |i| i.binary(None, None)),
    ("bce_with_logits_weight", X, |i| i.binary(None, i.weights("pos_weight"))),
    ("kl_div", X, |i| i.kl_div(false)),
    ("kl_div_log", BOTH, |i| i.kl_div(true)),
    ("hinge_embedding", X, |i| {
        let options = HingeEmbeddingOptions { margin: 0.75, reduction: i.reduction };
        losses::hinge_embedding(&i.get("x"), &i.get("target"), &options)
    }),
    ("multi_margin", X, |i| {
        i.margin(MultiMarginOptions { margin: 0.75, weight: i.weights("weight"), ..Default::default() })
    }),
    ("multi_margin_squared", X, |i| i.margin(MultiMarginOptions { squared: true, ..Default::default() })),
    ("cosine_embedding", &["x", "y"], |i| {
        let options = CosineEmbeddingOptions { margin: -0.25, reduction: i.reduction };
        losses::cosine_embedding(&i.get("x"), &i.get("y"), &i.get("target"), &options)
    }),
    ("triplet_margin", &["x", "y", "z"], |i| i.triplet(1.0, false)),
    ("triplet_margin_swap", &["x", "y", "z"], |i| i.triplet(2.0, true)),
    ("sigmoid_focal", X, |i| i.focal(Some(0.25), 2.0)),
    ("sigmoid_focal_power", X, |i| i.focal(None, 1.5)),
    ("softmax_focal", X, |i| i.softmax_focal(2.0, IGNORED)),
    ("softmax_focal_power", X, |i| i.softmax_focal(1.5, None)),
    ("dice", X, |i| i.dice(false)),
    ("dice_squared", X, |i| i.dice(true)),
    ("cross_entropy_unweighted", X, |i| i.cross_entropy(&i.labels(), smoothed(None, IGNORED, 0.1))),
    ("bce_elements", X, |i| i.bce(Some(i.get("weight")))),
    ("bce_with_logits_elements", X, |i| i.binary(Some(i.get("weight")), None)),
    ("bce_with_logits_rows", X, |i| i.binary(Some(i.get("weight")), i.weights("pos_weight"))),
    ("kl_div_batch", X, |i| i.kl_div_of_rows()),
    ("triplet_margin_1", &["x", "y", "z"], |i| i.triplet_by(1.0, false)),
    ("triplet_margin_3", &["x", "y", "z"], |i| i.triplet_by(3.0, true)),
    ("triplet_margin_half", &["x", "y", "z"], |i| i.triplet_by(0.5, false)),
    ("triplet_margin_largest", &["x", "y", "z"], |i| i.triplet_by(f32::INFINITY, true)),
];

#[test]
fn losses_and_their_gradients_are_pytorchs_with_every_option() {
    let fixture = Fixture::open("loss_options.safetensors");
    for family in FAMILIES {
        let gpu = gpu_of(family);
        for (case, tracked, loss_of) in CASES {
            for (name, reduction) in
                [("mean", Reduction::Mean), ("sum", Reduction::Sum), ("none", Reduction::None)]
            {
                let input = |input| (input, fixture.tensor(&gpu, &format!("{case}.{input}")).tracked());
                let tracked: Vec<_> = tracked.iter().copied().map(input).collect();
                let inputs = Inputs { gpu: &gpu, fixture: &fixture, case, tracked, reduction };
                let loss = loss_of(&inputs).unwrap();
                // A few roundings of f32, of terms up to 120.
                fixture.assert_close(&format!("{case}.{name}.loss"), &loss, 2e-6, 2e-6);
                let gradients = match reduction {
                    Reduction::None => {
                        loss.backward_from(&fixture.tensor(&gpu, &format!("{case}.none.upstream"))).unwrap()
                    }
                    _ => loss.backward().unwrap(),
                };
                for (input, tensor) in &inputs.tracked {
                    let gradient = gradients.get(tensor).unwrap();
                    fixture.assert_close(&format!("{case}.{name}.d{input}"), gradient, 2e-6, 2e-6);
                }
            }
        }
    }
}

fn tensor(gpu: &Gpu, values: &[f32]) -> Tensor {
    Tensor::from_slice(gpu, values, &[values.len()]).unwrap()
}

/// Where nothing depends on the options, all ways to the loss agree.
#[test]
fn simple_options_give_the_simple_losses() {
    let gpu = gpu();
    let (x, y) = (tensor(&gpu, &[0.5, -2.0, 3.0]), tensor(&gpu, &[1.0, 1.0, 1.0]));
    let options = SmoothL1Options { beta: 0.0, ..Default::default() };
    let [a, b] = [losses::smooth_l1(&x, &y, &options), losses::l1(&x, &y, Reduction::Mean)];
    assert_eq!(a.unwrap().item().unwrap(), b.unwrap().item().unwrap());
    // torch.nn.functional.smooth_l1_loss(torch.tensor([2.0]), torch.tensor([0.0]), beta=1) is 1.5.
    let far = losses::smooth_l1(&tensor(&gpu, &[2.0]), &tensor(&gpu, &[0.0]), &SmoothL1Options::default());
    assert_eq!(far.unwrap().item().unwrap(), 1.5);
    let none = SigmoidFocalOptions { alpha: None, gamma: 0.0, reduction: Reduction::None };
    let bce = BceWithLogitsOptions { reduction: Reduction::None, ..Default::default() };
    let focal = losses::sigmoid_focal(&x, &y, &none).unwrap().to_vec().unwrap();
    assert_eq!(focal, losses::bce_with_logits(&x, &y, &bce).unwrap().to_vec().unwrap());
}

#[test]
fn halves_go_in_and_an_infinity_stays_in_its_row() {
    let gpu = gpu();
    if gpu.has_f16() {
        let [x, y] = [&[1.0, -0.5], &[0.25, 2.0]].map(|v| tensor(&gpu, v).to_dtype(DType::F16).unwrap());
        let loss = losses::mse(&x, &y, Reduction::None).unwrap();
        assert_eq!((loss.dtype(), loss.to_vec().unwrap()), (DType::F32, vec![0.5625, 6.25]));
    }
    // An ignored row may hold anything, and its gradient is 0 or that of the infinity itself.
    let x = Tensor::from_slice(&gpu, &[0.0, 0.0, f32::INFINITY, 1.0], &[2, 2]).unwrap();
    let labels = Tensor::from_slice(&gpu, &[1, 7], &[2]).unwrap();
    for reduction in [Reduction::Sum, Reduction::Mean] {
        let options = CrossEntropyOptions { ignore_index: Some(7), reduction, ..Default::default() };
        let loss = losses::cross_entropy(&x, &labels, &options).unwrap().item().unwrap();
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-6, "{loss}");
    }
    // A label that is no class does not pass for one.
    let options = CrossEntropyOptions { reduction: Reduction::Sum, ..Default::default() };
    assert!(losses::cross_entropy(&x, &labels, &options).unwrap().item().unwrap().is_nan());
}

#[test]
fn losses_have_second_derivatives() {
    let gpu = gpu();
    let x = tensor(&gpu, &[0.5, 0.9]).tracked();
    let target = tensor(&gpu, &[1.0, 0.0]);
    let loss = losses::bce(&x, &target, &BceOptions { reduction: Reduction::Sum, weight: None }).unwrap();
    let [first] = grad(&loss, [&x]).unwrap();
    let [second] = grad(&first.sum_all().unwrap(), [&x]).unwrap();
    let second = second.to_vec().unwrap();
    // 1 / x² and 1 / (1 - x)².
    assert!((second[0] - 4.0).abs() < 1e-4 && (second[1] - 100.0).abs() < 1e-2, "{second:?}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let gpu = gpu();
    let zeros = |shape: &[usize]| Tensor::zeros(&gpu, shape).unwrap();
    let labels = |shape: &[usize]| Tensor::zeros_of(&gpu, shape, DType::I32).unwrap();
    let (x, own) = (zeros(&[4, 3]), labels(&[4]));
    let weight = |values: &[f32]| Some(Weights::new(&gpu, values).unwrap());
    let ce = |target: &Tensor, options| losses::cross_entropy(&x, target, &options).unwrap_err();
    let swap = CosineEmbeddingOptions { margin: 2.0, ..Default::default() };
    let triplet = TripletMarginOptions { margin: 0.0, ..Default::default() };
    let pos_weight = BceWithLogitsOptions { pos_weight: weight(&[1.0, 1.0]), ..Default::default() };
    let focal = SigmoidFocalOptions { alpha: Some(1.5), ..Default::default() };
    let shapes = [
        (Weights::new(&gpu, &[1.0, -1.0]).unwrap_err(), "a weight of -1"),
        (Weights::new(&gpu, &[f32::NAN]).unwrap_err(), "a weight of NaN"),
        (Weights::new(&gpu, &[]).unwrap_err(), "no weights"),
        (ce(&own, smoothed(None, None, 1.5)), "label smoothing 1.5"),
        (ce(&own, smoothed(None, None, f32::NAN)), "label smoothing NaN"),
        (ce(&own, smoothed(weight(&[1.0]), None, 0.0)), "1 weights for 3 classes"),
        (ce(&labels(&[3]), smoothed(None, None, 0.0)), "expected labels [4]"),
        (ce(&x, smoothed(None, Some(1), 0.0)), "label 1 ignored"),
        (ce(&zeros(&[4]), smoothed(None, None, 0.0)), "differ in shape"),
        (
            losses::nll(&zeros(&[4]), &own, &NllOptions::default()).unwrap_err(),
            "expected [n, classes, d1, ..]",
        ),
        (losses::mse(&x, &zeros(&[3]), Reduction::Mean).unwrap_err(), "differ in shape"),
        (losses::huber(&x, &x, &HuberOptions { delta: 0.0, ..Default::default() }).unwrap_err(), "delta 0"),
        (
            losses::smooth_l1(&x, &x, &SmoothL1Options { beta: -1.0, ..Default::default() }).unwrap_err(),
            "beta -1",
        ),
        (losses::cosine_embedding(&x, &x, &zeros(&[4]), &swap).unwrap_err(), "margin 2"),
        (losses::cosine_embedding(&x, &x, &x, &Default::default()).unwrap_err(), "expected [n, d]"),
        (losses::triplet_margin(&x, &x, &x, &triplet).unwrap_err(), "margin 0"),
        (losses::bce_with_logits(&x, &x, &pos_weight).unwrap_err(), "2 weights for 3 classes"),
        (losses::sigmoid_focal(&x, &x, &focal).unwrap_err(), "alpha 1.5"),
        (losses::dice(&x, &x, &DiceOptions::default()).unwrap_err(), "[n, classes, d1, ..]"),
        (losses::multi_margin(&zeros(&[2, 3, 4]), &own, &Default::default()).unwrap_err(), "[n, classes]"),
    ];
    for (error, part) in shapes {
        assert!(matches!(error, Error::Shape { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let bytes = Tensor::zeros_of(&gpu, &[4], DType::U8).unwrap();
    for error in [
        ce(&bytes, smoothed(None, None, 0.0)),
        losses::mse(&own, &own, Reduction::Mean).unwrap_err(),
        losses::nll(&x, &zeros(&[4]), &NllOptions::default()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::DType { .. }), "{error:?}");
    }
}

#[test]
fn norms_and_factors_that_make_no_sense_are_refused() {
    let gpu = gpu();
    let zeros = |shape: &[usize]| Tensor::zeros(&gpu, shape).unwrap();
    let x = zeros(&[4, 3]);
    let norm = |p| TripletMarginOptions { p, ..Default::default() };
    let bce = |weight: &[usize]| {
        let options = BceOptions { weight: Some(zeros(weight)), ..Default::default() };
        losses::bce(&x, &x, &options).unwrap_err()
    };
    for (error, part) in [
        (losses::triplet_margin(&x, &x, &x, &norm(0.0)).unwrap_err(), "p 0"),
        (losses::triplet_margin(&x, &x, &x, &norm(f32::NAN)).unwrap_err(), "p NaN"),
        (bce(&[4]), "factors [4]"),
        (bce(&[2, 4, 3]), "factors [2, 4, 3]"),
    ] {
        assert!(matches!(error, Error::Shape { .. }) && error.to_string().contains(part), "{part}: {error}");
    }
}
