//! Where parameters lie: one after the other in a few flat buffers.

use wgrad_autograd::device::{Buffer, View};
use wgrad_autograd::{Gpu, Tensor};

use crate::{Error, Init, Integer, Param, Result, StateDict};

/// Floats to whose multiples each parameter is aligned: 256 bytes, the alignment of storage bindings in default limits, so
/// that each can be bound by itself on every device.
pub(crate) const BLOCK: usize = 64;

/// One parameter or buffer.
#[derive(Debug)]
pub struct Entry {
    /// The dotted name.
    pub name: String,
    /// Which of the flat buffers it lies in.
    pub flat: usize,
    /// First element in that flat buffer.
    pub offset: usize,
    /// The values, a view of the flat buffer; a parameter's are tracked.
    pub tensor: Tensor,
    pub(crate) param: Param,
}

impl Entry {
    /// The type that the values have in state dicts, where that is an integer.
    pub fn integer(&self) -> Option<Integer> {
        self.param.integer()
    }

    /// Whether optimizers change the values and graphs track them.
    pub fn is_trainable(&self) -> bool {
        !self.param.is_frozen()
    }

    /// The index in the flat buffer that follows the last element.
    pub(crate) fn end(&self) -> usize {
        self.offset + self.tensor.numel()
    }

    /// Where the entry lies in a tensor that is laid out like its flat buffer.
    pub(crate) fn range_of(&self, flat: &Tensor) -> View {
        let whole = flat.bind();
        whole.buffer.view(whole.offset + self.offset as u64 * 4, self.tensor.numel() as u64 * 4)
    }

    /// The part of `flat`, a tensor that is laid out like its flat buffer, in this entry's shape.
    pub(crate) fn view_of(&self, flat: &Tensor) -> Result<Tensor> {
        let whole = flat.bind();
        let offset = whole.offset + self.offset as u64 * 4;
        Ok(Tensor::from_buffer(flat.gpu(), &whole.buffer, offset, self.tensor.shape())?)
    }
}

/// The two tables by which a kernel finds what a place in flat buffer `flat` belongs to, to be bound as `blocks` and `ends`.
pub(crate) fn tables(layout: &Layout, flat: usize, ends: &Buffer) -> [(&'static str, View); 2] {
    let blocks = layout.blocks[flat].view(0, (layout.flats[flat].numel() / BLOCK * 4) as u64);
    [("blocks", blocks), ("ends", ends.view(0, layout.entries.len() as u64 * 4))]
}

/// Values in flat buffers, and where each part lies.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Each holds whole blocks.
    pub flats: Vec<Tensor>,
    pub entries: Vec<Entry>,
    /// For each flat buffer, the entry that each block belongs to, as u32.
    pub blocks: Vec<Buffer>,
    /// Where each entry ends in its flat buffer, as u32.
    pub ends: Option<Buffer>,
}

impl Layout {
    /// Lays out what was declared: a flat buffer ends where the next part would take it beyond `flat_bytes` or the device's limit.
    pub(crate) fn place(
        gpu: &Gpu,
        seed: u64,
        declared: Vec<(Param, Init)>,
        tracked: bool,
        flat_bytes: Option<u64>,
    ) -> Result<Self> {
        let limits = gpu.limits();
        let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let mut layout = Self { flats: Vec::new(), entries: Vec::new(), blocks: Vec::new(), ends: None };
        let (mut parts, mut used) = (Vec::new(), 0);
        for part in &declared {
            check(part, limit)?;
        }
        let limit = flat_bytes.map_or(limit, |bytes| bytes.min(limit));
        for (param, init) in declared {
            // A part without elements has a place too.
            let len = param.shape().iter().product::<usize>().next_multiple_of(BLOCK).max(BLOCK);
            if (used + len) as u64 * 4 > limit {
                layout.push_flat(gpu, seed, std::mem::take(&mut parts), used, tracked)?;
                used = 0;
            }
            parts.push((param, init, used));
            used += len;
        }
        layout.push_flat(gpu, seed, parts, used, tracked)?;
        let ends: Vec<u32> = layout.entries.iter().map(|entry| entry.end() as u32).collect();
        if !ends.is_empty() {
            layout.ends = Some(gpu.upload(&ends)?);
        }
        Ok(layout)
    }

    /// Draws and uploads the values of one flat buffer, and gives each layer its part.
    fn push_flat(
        &mut self,
        gpu: &Gpu,
        seed: u64,
        parts: Vec<(Param, Init, usize)>,
        len: usize,
        tracked: bool,
    ) -> Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let mut values = vec![0.0; len.max(BLOCK)];
        let mut blocks = vec![0u32; values.len() / BLOCK];
        for (i, (param, init, offset)) in parts.iter().enumerate() {
            let numel = param.shape().iter().product::<usize>();
            init.fill(&mut values[*offset..offset + numel], param.shape(), seed, param.name());
            // One without elements has the block where it would begin, unless the next one begins there.
            let first = offset / BLOCK;
            let end = (offset + numel).div_ceil(BLOCK).max(first + 1).min(blocks.len());
            blocks[first.min(end)..end].fill((self.entries.len() + i) as u32);
        }
        let flat = Tensor::from_slice(gpu, &values, &[values.len()])?;
        for (param, _, offset) in parts {
            let buffer = &flat.bind().buffer;
            let tensor = Tensor::from_buffer(gpu, buffer, offset as u64 * 4, param.shape())?;
            // Errors about its values name it.
            tensor.bind().set_name(param.name());
            let tensor = param.place(tensor, tracked);
            let (name, flat) = (param.name().to_owned(), self.flats.len());
            self.entries.push(Entry { name, flat, offset, tensor, param });
        }
        self.flats.push(flat);
        self.blocks.push(gpu.upload(&blocks)?);
        Ok(())
    }

    /// The parts of `values`, which are laid out like this, by name.
    pub(crate) fn split(&self, values: &[Vec<f32>]) -> StateDict {
        let part = |entry: &Entry| {
            let part = values[entry.flat][entry.offset..entry.end()].to_vec();
            (entry.name.clone(), (entry.tensor.shape().to_vec(), part))
        };
        let tensors = self.entries.iter().map(part).collect();
        let integers = self.entries.iter().filter_map(|e| Some((e.name.clone(), e.integer()?))).collect();
        StateDict { tensors, integers, ..StateDict::default() }
    }

    pub(crate) fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.tensor.shape()))
    }
}

/// Fails for a parameter that cannot start as asked, or that is larger than a buffer.
fn check((param, init): &(Param, Init), limit: u64) -> Result<()> {
    let numel = param.shape().iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let bytes = numel.and_then(|n| n.checked_next_multiple_of(BLOCK)).and_then(|n| n.checked_mul(4));
    if bytes.is_none_or(|bytes| bytes as u64 > limit) {
        return Err(Error::ModelTooLarge {
            name: param.name().to_owned(),
            shape: param.shape().to_vec(),
            limit,
        });
    }
    check_init(param.name(), param.shape(), *init)
}

/// Fails for a parameter that cannot start as asked.
pub(crate) fn check_init(name: &str, shape: &[usize], init: Init) -> Result<()> {
    init.check(shape).map_err(|why| {
        let message = format!("{name} {shape:?} cannot start as {init:?}: {why}");
        Error::Options { what: "parameter", message }
    })
}

/// The values of several tensors.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn read(flats: &[Tensor]) -> Result<Vec<Vec<f32>>> {
    flats.iter().map(|flat| Ok(flat.to_vec()?)).collect()
}

/// As [`read`], without blocking.
pub(crate) async fn read_async(flats: &[Tensor]) -> Result<Vec<Vec<f32>>> {
    let mut values = Vec::with_capacity(flats.len());
    for flat in flats {
        values.push(flat.to_vec_async().await?);
    }
    Ok(values)
}
