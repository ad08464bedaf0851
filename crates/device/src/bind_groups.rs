//! Bind groups, made once for each pair of a pipeline and the ranges bound to it, and found again by numbers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::buffer::View;
use crate::gpu::Gpu;
use crate::pipeline::Pipeline;

/// Bind groups kept. A training step repeats a few hundred; one that never repeats must not grow the cache.
const MOST_BIND_GROUPS: usize = 8192;

/// A range bound to a slot. It holds the wgpu buffer, not the pooled one: a buffer dropped by its owner is free
/// for launches recorded later.
#[derive(Debug)]
struct Bound {
    slot: u32,
    buffer: Arc<wgpu::Buffer>,
    offset: u64,
    size: u64,
}

/// What a launch binds, in the order in which its kernel declares it.
#[derive(Clone, Copy)]
pub(crate) struct Resources<'a> {
    pub views: &'a [(&'static str, View)],
    pub textures: &'a [(&'static str, wgpu::TextureView)],
}

/// A pipeline with all that is bound to it but the parameters.
#[derive(Debug)]
pub(crate) struct Bindings {
    pub pipeline: Arc<Pipeline>,
    bound: Vec<Bound>,
    textures: Vec<(u32, wgpu::TextureView)>,
    // Made when it is first encoded: only then is the buffer of parameters known.
    group: Option<wgpu::BindGroup>,
}

impl Bindings {
    /// Bytes of the ranges that the kernel reads, and of those that it writes.
    pub(crate) fn bytes(&self) -> [u64; 2] {
        let storage = &self.pipeline.interface.storage;
        let sum = |counts: fn(&crate::reflect::Binding) -> bool| {
            self.bound.iter().zip(storage).filter(|(_, s)| counts(s)).map(|(b, _)| b.size).sum()
        };
        [sum(|s| s.read), sum(|s| s.written)]
    }

    /// The bind group, and whether it was made just now.
    pub(crate) fn group(&mut self, gpu: &Gpu, uniforms: Option<&wgpu::Buffer>) -> (&wgpu::BindGroup, bool) {
        let made = self.group.is_none();
        let group = self
            .group
            .get_or_insert_with(|| create(gpu, &self.pipeline, &self.bound, &self.textures, uniforms));
        (group, made)
    }

    /// Lets go of all that is bound. The number stays, to be given to other bindings.
    fn release(&mut self) {
        self.bound.clear();
        self.textures.clear();
        self.group = None;
    }
}

/// Every [`Bindings`] in use, by number.
#[derive(Debug, Default)]
pub(crate) struct BindGroups {
    by_key: HashMap<Box<[u64]>, u32>,
    all: Vec<Bindings>,
    key: Vec<u64>,
    /// Bindings with textures: an application's views have no numbers and may never come back, so they are not found
    /// again.
    once: Vec<u32>,
    /// Numbers whose bindings were released.
    free: Vec<u32>,
}

impl BindGroups {
    /// The number of the bindings of `resources`.
    pub(crate) fn find(&mut self, pipeline: &Arc<Pipeline>, resources: Resources<'_>) -> u32 {
        let Resources { views, textures } = resources;
        self.key.clear();
        self.key.push(u64::from(pipeline.id));
        for (_, view) in views {
            self.key.extend([view.buffer.id(), view.offset, view.size]);
        }
        if textures.is_empty()
            && let Some(&found) = self.by_key.get(self.key.as_slice())
        {
            return found;
        }
        let bound = views.iter().zip(&pipeline.interface.storage).map(|((_, view), storage)| Bound {
            slot: storage.slot,
            buffer: Arc::clone(view.buffer.shared()),
            offset: view.offset,
            size: view.size,
        });
        let slots = pipeline.interface.textures.iter().map(|texture| texture.slot);
        let number = self.add(Bindings {
            pipeline: Arc::clone(pipeline),
            bound: bound.collect(),
            textures: slots.zip(textures).map(|(slot, (_, view))| (slot, view.clone())).collect(),
            group: None,
        });
        if textures.is_empty() {
            self.by_key.insert(self.key.as_slice().into(), number);
        } else {
            self.once.push(number);
        }
        number
    }

    fn add(&mut self, bindings: Bindings) -> u32 {
        if let Some(number) = self.free.pop() {
            self.all[number as usize] = bindings;
            return number;
        }
        self.all.push(bindings);
        self.all.len() as u32 - 1
    }

    pub(crate) fn get(&self, number: u32) -> &Bindings {
        &self.all[number as usize]
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> &mut Bindings {
        &mut self.all[number as usize]
    }

    /// More than are worth keeping.
    pub(crate) fn too_many(&self) -> bool {
        self.all.len() > MOST_BIND_GROUPS
    }

    /// Whether bindings of textures wait to be released.
    pub(crate) fn has_textures(&self) -> bool {
        !self.once.is_empty()
    }

    /// Forgets all but those of the numbers `held`.
    pub(crate) fn clear(&mut self, held: &HashSet<u32>) {
        if held.is_empty() {
            *self = Self::default();
            return;
        }
        let Self { by_key, all, free, .. } = self;
        by_key.retain(|_, &mut number| {
            let keep = held.contains(&number);
            if !keep {
                all[number as usize].release();
                free.push(number);
            }
            keep
        });
    }

    /// Releases the bindings of textures, and those of the buffers of these numbers, which are gone, but for those of the
    /// numbers `held`. Says whether all of the buffers' bindings were released.
    pub(crate) fn sweep(&mut self, forgotten: &[u64], held: &HashSet<u32>) -> bool {
        let Self { by_key, all, once, free, .. } = self;
        once.retain(|number| {
            let keep = held.contains(number);
            if !keep {
                all[*number as usize].release();
                free.push(*number);
            }
            keep
        });
        let mut complete = true;
        if forgotten.is_empty() {
            return complete;
        }
        by_key.retain(|key, &mut number| {
            // Behind the pipeline's number, three for each range.
            let gone = key[1..].chunks_exact(3).any(|range| forgotten.contains(&range[0]));
            if gone && held.contains(&number) {
                complete = false;
                return true;
            }
            if gone {
                all[number as usize].release();
                free.push(number);
            }
            !gone
        });
        complete
    }

    /// Has every bind group made anew, because the buffer of parameters was replaced.
    pub(crate) fn renew(&mut self) {
        self.all.iter_mut().for_each(|bindings| bindings.group = None);
    }
}

fn create(
    gpu: &Gpu,
    pipeline: &Pipeline,
    bound: &[Bound],
    textures: &[(u32, wgpu::TextureView)],
    uniforms: Option<&wgpu::Buffer>,
) -> wgpu::BindGroup {
    let uniform = pipeline.interface.uniform.as_ref().zip(uniforms).map(|(uniform, buffer)| {
        let size = wgpu::BufferSize::new(u64::from(uniform.size));
        let binding = wgpu::BufferBinding { buffer, offset: 0, size };
        wgpu::BindGroupEntry { binding: uniform.slot, resource: wgpu::BindingResource::Buffer(binding) }
    });
    let storage = bound.iter().map(|bound| {
        let size = wgpu::BufferSize::new(bound.size);
        let binding = wgpu::BufferBinding { buffer: &bound.buffer, offset: bound.offset, size };
        wgpu::BindGroupEntry { binding: bound.slot, resource: wgpu::BindingResource::Buffer(binding) }
    });
    let textures = textures.iter().map(|(slot, view)| wgpu::BindGroupEntry {
        binding: *slot,
        resource: wgpu::BindingResource::TextureView(view),
    });
    let entries: Vec<_> = uniform.into_iter().chain(storage).chain(textures).collect();
    gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(&pipeline.composed.kernel),
        layout: &pipeline.layout,
        entries: &entries,
    })
}
