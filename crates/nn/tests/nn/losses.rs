//! Losses and their gradients against PyTorch's, with logits far from zero among them.

use wgrad_nn::autograd::{Result, Tensor};

use crate::common::{FAMILIES, Fixture, gpu_of};

type Loss = fn(&Tensor, &Fixture, &str) -> Result<Tensor>;

fn cross_entropy(x: &Tensor, fixture: &Fixture, target: &str, smoothing: f32) -> Result<Tensor> {
    x.cross_entropy(
        &Tensor::from_slice(x.gpu(), &fixture.labels(target), &[fixture.labels(target).len()])?,
        smoothing,
    )
}

const CASES: [(&str, Loss); 4] = [
    ("cross_entropy", |x, fixture, target| cross_entropy(x, fixture, target, 0.0)),
    ("cross_entropy_smoothing", |x, fixture, target| cross_entropy(x, fixture, target, 0.1)),
    ("mse", |x, fixture, target| x.mse_loss(&fixture.tensor(x.gpu(), target))),
    ("bce_with_logits", |x, fixture, target| x.bce_with_logits(&fixture.tensor(x.gpu(), target))),
];

#[test]
fn losses_are_pytorchs() {
    let fixture = Fixture::open("losses.safetensors");
    for family in FAMILIES {
        let gpu = gpu_of(family);
        for (case, loss_of) in CASES {
            let x = fixture.tensor(&gpu, &format!("{case}.x")).tracked();
            let loss = loss_of(&x, &fixture, &format!("{case}.target")).unwrap();
            // Means of 9 or 63 terms, then a gradient of at most 2: a few roundings of f32.
            fixture.assert_close(&format!("{case}.loss"), &loss, 1e-6, 1e-6);
            let gradients = loss.backward().unwrap();
            fixture.assert_close(&format!("{case}.dx"), gradients.get(&x).unwrap(), 1e-6, 1e-6);
        }
    }
}
