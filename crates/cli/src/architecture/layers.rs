//! What a model comes to, by layer, from its sizes alone: nothing is built and no device is asked.

use super::{ActivationName, Architecture};

/// A layer's figures for one input. Numbers that would overflow stay at the largest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer {
    /// The dotted name; empty for a model that is one layer.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// The shape of its output, without the axis of the batch.
    pub output: Vec<usize>,
    /// Names and shapes of its parameters.
    pub parameters: Vec<(String, Vec<usize>)>,
    /// Names and shapes of what is saved with them: running estimates.
    pub buffers: Vec<(String, Vec<usize>)>,
    /// Multiplications and additions of the forward pass.
    pub flops: u64,
    /// Bytes that the backward pass needs of the forward pass.
    pub saved: u64,
}

/// A model's figures.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Its layers in order.
    pub layers: Vec<Layer>,
    /// Values of all parameters.
    pub parameters: u64,
    /// Values of an input.
    pub input: u64,
    /// Multiplications and additions of the forward pass of one input.
    pub flops: u64,
    /// Multiplications and additions of a training step, for each input of the batch: no gradient is computed for the input.
    pub step_flops: u64,
    /// Bytes that the backward pass needs of the forward pass of one input, the input itself among them.
    pub saved: u64,
}

impl Summary {
    /// Bytes of a training step on `batch` inputs: parameters, gradients, what an optimizer keeps (`moments` values for each
    /// parameter), and what the backward pass needs. Kernels' own workspace comes on top.
    pub fn step_bytes(&self, batch: u64, moments: u64) -> u64 {
        let parameters = self.parameters.saturating_mul(4).saturating_mul(2 + moments);
        parameters.saturating_add(self.saved.saturating_mul(batch))
    }
}

/// The product; the largest number where it would be larger.
fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}

impl Architecture {
    /// The layers with their shapes, parameters and costs.
    pub fn summary(&self) -> Summary {
        let mut walk = Walk { shape: self.input(), layers: Vec::new() };
        match self {
            Self::Linear { outputs, output_activation, .. } => walk.linear("", *outputs, *output_activation),
            Self::Mlp { hidden, outputs, activation, output_activation, .. } => {
                for (i, &width) in hidden.iter().enumerate() {
                    walk.linear(&format!("fc{}", i + 1), width, *activation);
                }
                walk.linear(&format!("fc{}", hidden.len() + 1), *outputs, *output_activation);
            }
            Self::Cnn { widths, classes, .. } => {
                for (i, &width) in widths.iter().enumerate() {
                    walk.conv(&format!("conv{}", i + 1), width, true);
                }
                walk.flatten();
                walk.linear("fc", *classes, ActivationName::None);
            }
            Self::Resnet9 { width, classes, .. } => walk.resnet9(*width, *classes),
        }
        let sum = |of: fn(&Layer) -> u64| {
            walk.layers.iter().map(of).fold(0, |sum: u64, value| sum.saturating_add(value))
        };
        let parameters = sum(|layer| {
            layer.parameters.iter().fold(0, |sum: u64, (_, shape)| sum.saturating_add(product(shape)))
        });
        let (flops, first) = (sum(|layer| layer.flops), walk.layers.first().map_or(0, |layer| layer.flops));
        let input = product(&self.input());
        Summary {
            parameters,
            input,
            flops,
            step_flops: flops.saturating_mul(3).saturating_sub(first),
            saved: sum(|layer| layer.saved).saturating_add(input.saturating_mul(4)),
            layers: walk.layers,
        }
    }
}

/// A way through the layers, the shape that the next one sees in hand.
struct Walk {
    shape: Vec<usize>,
    layers: Vec<Layer>,
}

impl Walk {
    fn push(&mut self, mut layer: Layer) {
        // Names are given without their layer's.
        let dotted = |name: &str| {
            if layer.name.is_empty() { name.to_owned() } else { format!("{}.{name}", layer.name) }
        };
        for values in [&mut layer.parameters, &mut layer.buffers] {
            values.iter_mut().for_each(|(name, _)| *name = dotted(name));
        }
        self.shape.clone_from(&layer.output);
        self.layers.push(layer);
    }

    fn flatten(&mut self) {
        let size = product(&self.shape);
        self.shape = vec![usize::try_from(size).unwrap_or(usize::MAX)];
    }

    fn linear(&mut self, name: &str, outputs: usize, activation: ActivationName) {
        let inputs = self.shape.first().copied().unwrap_or(0);
        let values = product(&[inputs, outputs]);
        let (kind, kept) = match activation {
            ActivationName::None => ("Linear".to_owned(), 1),
            // Their gradients need the input too, which is then stored beside the output.
            ActivationName::Gelu | ActivationName::Silu => (format!("Linear, {activation:?}"), 2),
            _ => (format!("Linear, {activation:?}"), 1),
        };
        self.push(Layer {
            name: name.to_owned(),
            kind,
            output: vec![outputs],
            parameters: vec![
                ("weight".to_owned(), vec![outputs, inputs]),
                ("bias".to_owned(), vec![outputs]),
            ],
            buffers: Vec::new(),
            flops: values.saturating_mul(2).saturating_add(outputs as u64),
            saved: product(&[4 * kept, outputs]),
        });
    }

    /// A 3×3 convolution with ReLU and 2×2 max pooling, or a bare one without bias.
    fn conv(&mut self, name: &str, channels: usize, is_whole: bool) {
        let &[inputs, h, w] = &self.shape[..] else { return };
        let multiplied = product(&[channels, h, w, inputs, 9]).saturating_mul(2);
        let mut parameters = vec![("weight".to_owned(), vec![channels, inputs, 3, 3])];
        let output = if is_whole { vec![channels, h / 2, w / 2] } else { vec![channels, h, w] };
        let mut layer = Layer {
            name: name.to_owned(),
            kind: "Conv2d 3×3".to_owned(),
            saved: product(&output).saturating_mul(4),
            flops: multiplied,
            parameters: Vec::new(),
            buffers: Vec::new(),
            output,
        };
        if is_whole {
            parameters.push(("bias".to_owned(), vec![channels]));
            layer.kind.push_str(", ReLU, max pool 2×2");
            layer.flops = multiplied.saturating_add(product(&[channels, h, w]));
            // The gradient of pooling and ReLU is found by a byte for each window.
            layer.saved = product(&layer.output).saturating_mul(5);
        }
        layer.parameters = parameters;
        self.push(layer);
    }

    /// Batch norm with ReLU, and perhaps pooling.
    fn norm(&mut self, name: &str, max_pool: bool) {
        let &[channels, h, w] = &self.shape[..] else { return };
        let named = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), vec![channels])).collect();
        let mut buffers: Vec<_> = named(&["running_mean", "running_var"]);
        buffers.push(("num_batches_tracked".to_owned(), Vec::new()));
        let output = if max_pool { vec![channels, h / 2, w / 2] } else { vec![channels, h, w] };
        self.push(Layer {
            name: name.to_owned(),
            kind: format!("BatchNorm2d, ReLU{}", if max_pool { ", max pool 2×2" } else { "" }),
            parameters: named(&["weight", "bias"]),
            buffers,
            flops: product(&[4, channels, h, w]),
            saved: product(&output).saturating_mul(4),
            output,
        });
    }

    fn conv_norm(&mut self, name: &str, channels: usize, max_pool: bool) {
        self.conv(&format!("{name}.conv"), channels, false);
        self.norm(&format!("{name}.norm"), max_pool);
    }

    fn residual(&mut self, name: &str, channels: usize) {
        self.conv_norm(&format!("{name}.0"), channels, false);
        self.conv_norm(&format!("{name}.1"), channels, false);
        // Nothing reads what is added but the sum.
        if let Some(last) = self.layers.last_mut() {
            last.saved = 0;
        }
        self.push(Layer {
            name: name.to_owned(),
            kind: "Add to the input".to_owned(),
            parameters: Vec::new(),
            buffers: Vec::new(),
            flops: product(&self.shape),
            saved: product(&self.shape).saturating_mul(4),
            output: self.shape.clone(),
        });
    }

    fn resnet9(&mut self, width: usize, classes: usize) {
        let times = |n: usize| width.saturating_mul(n);
        self.conv_norm("block1", width, false);
        self.conv_norm("block2", times(2), true);
        self.residual("residual1", times(2));
        self.conv_norm("block3", times(4), true);
        self.conv_norm("block4", times(8), true);
        self.residual("residual2", times(8));
        let values = product(&self.shape);
        self.push(Layer {
            name: "pool".to_owned(),
            kind: "Global max pool".to_owned(),
            parameters: Vec::new(),
            buffers: Vec::new(),
            flops: values,
            saved: product(&[times(8), 4]),
            output: vec![times(8)],
        });
        self.linear("fc", classes, ActivationName::None);
    }
}
