//! Encoding: how recorded commands become passes and copies of a command encoder.

use crate::gpu::Gpu;
use crate::recording::{Base, Command, Dispatch, Recording};
use crate::timer::Watch;
use crate::{Error, Result};

impl Recording {
    /// All commands, and all launches between two copies in one pass.
    pub(crate) fn encode(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        commands: &[Command],
        base: Base<'_>,
        watch: Option<Watch<'_>>,
    ) {
        let timer = watch.and_then(Watch::timer);
        let (first, last) = outer_passes(commands);
        let mut pass: Option<wgpu::ComputePass<'static>> = None;
        for (i, command) in commands.iter().enumerate() {
            if let Command::Dispatch(dispatch) = command {
                let pass = pass.get_or_insert_with(|| {
                    let timestamp_writes = timer.and_then(|timer| timer.writes(i == first, i == last));
                    let descriptor = wgpu::ComputePassDescriptor { label: Some("wgrad"), timestamp_writes };
                    encoder.begin_compute_pass(&descriptor).forget_lifetime()
                });
                self.encode_dispatch(gpu, pass, dispatch, base);
            } else {
                // Copies happen between passes; ending one is what dropping it does.
                drop(pass.take());
                encode_copy(encoder, command, base);
            }
        }
        drop(pass);
        if let Some(watch) = watch {
            watch.attach(encoder);
        }
    }

    pub(crate) fn encode_dispatch(
        &mut self,
        gpu: &Gpu,
        pass: &mut wgpu::ComputePass<'_>,
        dispatch: &Dispatch,
        base: Base<'_>,
    ) {
        let bindings = self.bind_groups.get_mut(dispatch.bindings);
        pass.set_pipeline(&bindings.pipeline.raw);
        let (group, made) = bindings.group(gpu, self.uniforms.as_ref());
        self.bind_groups_created += u64::from(made);
        let offset = dispatch.params.as_ref().map(|params| params.start - base.params as u32);
        pass.set_bind_group(0, group, offset.as_slice());
        let [x, y, z] = dispatch.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// The commands that begin the first and the last pass; behind the end if there is none.
fn outer_passes(commands: &[Command]) -> (usize, usize) {
    let is_launch = |command: &Command| matches!(command, Command::Dispatch(_));
    let first = commands.iter().position(is_launch).unwrap_or(commands.len());
    let end = commands.iter().rposition(is_launch).unwrap_or(commands.len());
    let last = commands[..end].iter().rposition(|command| !is_launch(command)).map_or(first, |copy| copy + 1);
    (first, last.max(first))
}

pub(crate) fn encode_copy(encoder: &mut wgpu::CommandEncoder, command: &Command, base: Base<'_>) {
    match command {
        Command::Copy { src, dst, size } => {
            encoder.copy_buffer_to_buffer(&src.0, src.1, &dst.0, dst.1, *size);
        }
        Command::Read { src, size, request } => {
            encoder.copy_buffer_to_buffer(&src.0, src.1, &request.staging, 0, *size);
        }
        Command::Write { dst, staged } => {
            if let Some(staging) = base.staging {
                let at = staged.start.wrapping_sub(base.staged) as u64;
                encoder.copy_buffer_to_buffer(staging, at, &dst.0, dst.1, staged.len() as u64);
            }
        }
        Command::Clear { dst, size } => encoder.clear_buffer(&dst.0, dst.1, Some(*size)),
        Command::Dispatch(_) => {}
    }
}

/// A buffer that holds `parts` one after the other, and their size. It is used once.
pub(crate) fn filled(gpu: &Gpu, parts: &[&[u8]]) -> Result<(wgpu::Buffer, u64)> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let scopes = gpu.scopes();
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("wgrad upload"),
        size: (size as u64).max(4),
        usage: wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    let mapped = buffer.get_mapped_range_mut(..);
    // Why there is nothing to map is what the scopes caught, if anything.
    scopes.pop()?;
    let mut mapped = mapped.map_err(|error| {
        let message = error.to_string();
        gpu.0.health.cause_of(Error::Validation { message })
    })?;
    let mut at = 0;
    for part in parts {
        mapped.slice(at..at + part.len()).copy_from_slice(part);
        at += part.len();
    }
    drop(mapped);
    buffer.unmap();
    Ok((buffer, at as u64))
}
