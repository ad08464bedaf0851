//! What ranks begin with, keep alike, and compare.

use wgrad_autograd::Tensor;
use wgrad_distributed::{Error as RanksError, Wire, all_gather_bytes, all_reduce, broadcast_bytes};
use wgrad_nn::{Optimizer, Parameters, StateDict};

use super::DataParallel;
use crate::Result;
use crate::trainer::Saved;

impl DataParallel {
    /// Gives all ranks the parameters and buffers of rank 0.
    pub(crate) fn broadcast_parameters(&self, parameters: &Parameters) -> Result<()> {
        self.broadcast_tensors(parameters.flats())?;
        self.broadcast_tensors(parameters.buffer_flats())
    }

    /// Gives all ranks the values of rank 0 in these tensors, such as running estimates.
    pub(crate) fn broadcast_tensors(&self, flats: &[Tensor]) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        for flat in flats {
            let mut values = flat.to_vec()?;
            self.ranks.broadcast(bytemuck::cast_slice_mut(&mut values), 0)?;
            if !self.is_first() {
                flat.gpu().write(&flat.bind(), &values)?;
            }
        }
        Ok(())
    }

    /// The state that rank 0 continues from, on every rank.
    pub(crate) fn broadcast_saved(&self, saved: Option<Saved>) -> Result<Option<Saved>> {
        if self.is_alone() {
            return Ok(saved);
        }
        let mut words = Vec::new();
        let mut bytes = Vec::new();
        if let Some(saved) = &saved {
            words.push(u8::from(saved.is_checked));
            words.extend(saved.file.as_bytes());
            bytes = saved.state.to_bytes()?;
        }
        let words = broadcast_bytes(&*self.ranks, words, 0)?;
        let bytes = broadcast_bytes(&*self.ranks, bytes, 0)?;
        let Some((is_checked, file)) = words.split_first() else { return Ok(None) };
        if self.is_first() {
            return Ok(saved);
        }
        let file = String::from_utf8_lossy(file).into_owned();
        let state = StateDict::from_bytes(&bytes, &file)?;
        Ok(Some(Saved { state, file, is_checked: *is_checked == 1 }))
    }

    /// Fails on every rank unless all have the same parameters, to the bit, and buffers if `with_buffers`.
    pub(crate) fn check_weights(&self, parameters: &Parameters, step: u64, with_buffers: bool) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let mut hash = crc32fast::Hasher::new();
        let buffers = with_buffers.then(|| (parameters.buffer_flats(), parameters.buffers()));
        for (flats, entries) in [(parameters.flats(), parameters.entries())].into_iter().chain(buffers) {
            for (i, flat) in flats.iter().enumerate() {
                let values = flat.to_vec()?;
                for entry in entries.iter().filter(|entry| entry.flat == i) {
                    let own = &values[entry.offset..entry.offset + entry.tensor.numel()];
                    hash.update(bytemuck::cast_slice(own));
                }
            }
        }
        let all = all_gather_bytes(&*self.ranks, &hash.finalize().to_le_bytes())?;
        match all.iter().position(|other| *other != all[0]) {
            None => Ok(()),
            Some(rank) => {
                let message = format!(
                    "its weights are not those of rank 0 after step {step}: a device or its driver computes otherwise, or \
                     something but the optimizer changed them"
                );
                Err(RanksError::Rank { rank, message }.into())
            }
        }
    }

    /// Leaves this rank its share of an optimizer's state.
    pub(crate) fn shard_state(&self, parameters: &Parameters, optimizer: &mut dyn Optimizer) -> Result<()> {
        if !self.shards_optimizer || self.is_alone() {
            return Ok(());
        }
        let owners = parameters.shares(self.size());
        let own: Vec<bool> = owners.iter().map(|&owner| owner == self.rank()).collect();
        Ok(optimizer.state_mut().keep_only(&own)?)
    }

    /// Sends the parameters that this rank has stepped to the others, and takes theirs.
    pub(crate) fn broadcast_stepped(&self, parameters: &Parameters) -> Result<()> {
        if !self.shards_optimizer || self.is_alone() {
            return Ok(());
        }
        Ok(parameters.broadcast_flats(&*self.ranks, &parameters.shares(self.size()))?)
    }

    /// The optimizer's whole state, for rank 0.
    pub(crate) fn optimizer_state(&self, optimizer: &dyn Optimizer) -> Result<StateDict> {
        Ok(match optimizer.state() {
            state if self.shards_optimizer => state.gathered_state_dict(&*self.ranks)?,
            state if self.is_first() => state.to_state_dict()?,
            _ => StateDict::default(),
        })
    }

    /// Sets these flat buffers to their averages over ranks.
    pub(crate) fn average_flats<'t>(&self, flats: impl IntoIterator<Item = &'t Tensor>) -> Result<()> {
        for flat in flats {
            let mut values = flat.to_vec()?;
            self.average_values(&mut values)?;
            flat.gpu().write(&flat.bind(), &values)?;
        }
        Ok(())
    }

    /// Sets what the optimizer keeps to its average over ranks.
    pub(crate) fn average_state(&self, optimizer: &mut dyn Optimizer) -> Result<()> {
        let mut state = optimizer.state().to_state_dict()?;
        for (_, values) in state.tensors.values_mut() {
            self.average_values(values)?;
        }
        Ok(optimizer.state_mut().load_state_dict(&state, "the optimizer's state")?)
    }

    fn average_values(&self, values: &mut [f32]) -> Result<()> {
        all_reduce(&*self.ranks, values, Wire::F32)?;
        values.iter_mut().for_each(|value| *value /= self.size() as f32);
        Ok(())
    }
}
