//! Pictures of the report: what the model gets wrong, what it looks at, and its filters.

use wgrad::Tensor;
use wgrad::data::Batches as _;
use wgrad::data::tensors::{Targets, Tensors};
use wgrad::nn::Mode;
use wgrad::train::Picture;
use wgrad::train::report::{Report, Sample};

use super::{Content, largest};
use crate::dataset::Pictures;
use crate::{Result, TensorSchema};

/// Images that are shown at most.
const WRONG: usize = 24;
const LOOKED_AT: usize = 8;
const FILTERS: usize = 64;

/// Images of the validation part, and their classes.
struct Shown<'a> {
    shape: [usize; 3],
    classes: &'a [String],
    labels: Vec<usize>,
    /// Draws one.
    picture: &'a dyn Fn(usize) -> Result<Picture>,
}

impl Content<'_> {
    pub(super) fn fill_images(&self, report: &mut Report, valid: &Pictures, shares: &[f32]) -> Result<()> {
        let shown = Shown {
            shape: valid.shape(),
            classes: valid.classes(),
            labels: valid.labels().iter().map(|&label| usize::from(label)).collect(),
            picture: &|i| picture(valid, i),
        };
        self.fill(report, &shown, shares)
    }

    /// As [`Content::fill_images`], of rows that are images of one channel or three: from the smallest value to the largest.
    pub(super) fn fill_planes(
        &self,
        report: &mut Report,
        schema: &TensorSchema,
        valid: &Tensors,
        shares: &[f32],
    ) -> Result<()> {
        let shape = match schema.shape[..] {
            [c @ (1 | 3), h, w] if h.min(w) > 1 => [c, h, w],
            _ => return Ok(()),
        };
        let Targets::Classes(labels) = &valid.y else {
            report.filters = self.filters(shape)?;
            return Ok(());
        };
        let values = schema.original(&valid.x);
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        report.range = Some([low, high]);
        let size = shape.iter().product();
        let draw = |i: usize| -> Result<Picture> {
            let row = values.chunks(size).nth(i).unwrap_or_default();
            Ok(Picture::from_planes(shape, row, low, high)?)
        };
        let labels = labels.iter().map(|&label| usize::try_from(label).unwrap_or_default()).collect();
        self.fill(report, &Shown { shape, classes: schema.classes(), labels, picture: &draw }, shares)
    }

    fn fill(&self, report: &mut Report, shown: &Shown<'_>, shares: &[f32]) -> Result<()> {
        let Shown { shape, classes, labels, picture } = shown;
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
                picture: picture(i)?,
                label: classes[labels[i]].clone(),
                guess: classes[guess].clone(),
                probability: probability.into(),
            })
        };
        let mut wrong: Vec<usize> = (0..guesses.len()).filter(|&i| guesses[i].0 != labels[i]).collect();
        wrong.sort_by(|&a, &b| guesses[b].1.total_cmp(&guesses[a].1));
        wrong.truncate(WRONG);
        report.wrong = wrong.iter().map(|&i| sample(i)).collect::<Result<_>>()?;

        // One of each class, as far as there are.
        let first = |class: usize| labels.iter().position(|&label| label == class);
        for i in (0..classes.len()).filter_map(first).take(LOOKED_AT) {
            report.saliency.push((sample(i)?, self.saliency(i, guesses[i].0, *shape)?));
        }
        report.filters = self.filters(*shape)?;
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
