//! Pictures of the report: what the model gets wrong, what it looks at, and its filters.

use wgrad::Tensor;
use wgrad::data::Batches as _;
use wgrad::nn::Mode;
use wgrad::train::Picture;
use wgrad::train::report::{Report, Sample};

use super::{Content, largest};
use crate::Result;
use crate::dataset::Pictures;

/// Images that are shown at most.
const WRONG: usize = 24;
const LOOKED_AT: usize = 8;
const FILTERS: usize = 64;

impl Content<'_> {
    pub(super) fn fill_images(&self, report: &mut Report, valid: &Pictures, shares: &[f32]) -> Result<()> {
        let (classes, labels) = (valid.classes(), valid.labels());
        let guesses: Vec<(usize, f32)> = shares
            .chunks(classes.len())
            .map(|shares| {
                let guess = largest(shares);
                (guess, shares[guess])
            })
            .collect();
        let sample = |i: usize| -> Result<Sample> {
            let (guess, probability) = guesses[i];
            Ok(Sample {
                picture: picture(valid, i)?,
                label: classes[usize::from(labels[i])].clone(),
                guess: classes[guess].clone(),
                probability: probability.into(),
            })
        };
        let mut wrong: Vec<usize> =
            (0..guesses.len()).filter(|&i| guesses[i].0 != usize::from(labels[i])).collect();
        wrong.sort_by(|&a, &b| guesses[b].1.total_cmp(&guesses[a].1));
        wrong.truncate(WRONG);
        report.wrong = wrong.iter().map(|&i| sample(i)).collect::<Result<_>>()?;

        // One of each class, as far as there are.
        let mut shown: Vec<usize> = (0..classes.len())
            .filter_map(|class| labels.iter().position(|&l| usize::from(l) == class))
            .collect();
        shown.truncate(LOOKED_AT);
        for i in shown {
            report.saliency.push((sample(i)?, self.saliency(i, guesses[i].0, valid.shape())?));
        }
        report.filters = self.filters(valid.shape())?;
        Ok(())
    }

    /// Gradient × input of a class's score.
    fn saliency(&self, row: usize, class: usize, shape: [usize; 3]) -> Result<Picture> {
        let x = self.valid.set(None)?.batch(row, 1)?.x.tracked();
        let y = self.learner.model.forward(&x, Mode::Eval)?;
        let outputs = y.numel();
        // With one output, class 0 is what speaks against it.
        let chosen = |i: usize| match (outputs, class) {
            (1, 0) => -1.0,
            (1, _) => 1.0,
            _ => f32::from(u8::from(i == class)),
        };
        let chosen: Vec<f32> = (0..outputs).map(chosen).collect();
        let upstream = Tensor::from_slice(self.gpu, &chosen, y.shape())?;
        let gradients = y.backward_from(&upstream)?;
        let values = match gradients.get(&x) {
            Some(gradient) => gradient.mul(&x.detach())?.to_vec()?,
            None => vec![0.0; x.numel()],
        };
        Ok(Picture::signed(shape, &values)?)
    }

    /// The weights of the first layer as pictures; none where they are no images.
    fn filters(&self, [c, h, w]: [usize; 3]) -> Result<Vec<Picture>> {
        let Some(first) = self.learner.parameters.entries().first() else { return Ok(Vec::new()) };
        let shape = match *first.tensor.shape() {
            [_, c, h, w] => [c, h, w],
            [_, inputs] if inputs == c * h * w => [c, h, w],
            _ => return Ok(Vec::new()),
        };
        let (values, size) = (first.tensor.to_vec()?, shape.iter().product());
        let each = values.chunks(size).take(FILTERS).map(|filter| {
            let most = filter.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
            Ok(Picture::from_planes(shape, filter, -most, most)?)
        });
        each.collect()
    }
}

/// An image as it lies in the set.
fn picture(images: &Pictures, i: usize) -> Result<Picture> {
    let bytes = images.image(i)?;
    let values: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
    Ok(Picture::from_planes(images.shape(), &values, 0.0, 255.0)?)
}
