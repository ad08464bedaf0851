//! Flat buffers of parameters, and their optimizer's state, shared among ranks.

use std::cmp::Reverse;

use wgrad_distributed::{Communicator, all_gather_bytes};

use crate::{Error, OptimizerState, Parameters, Result, StateDict};

impl Parameters {
    /// The rank that owns each of [`Parameters::flats`], where so many ranks share them: from the largest on, each goes to the rank
    /// that has the least. It depends on the sizes alone, so that all ranks find the same. A model that is built without
    /// [`BuildOptions::flat_bytes`](crate::BuildOptions::flat_bytes) has few flat buffers, or one.
    pub fn shares(&self, ranks: usize) -> Vec<usize> {
        let sizes: Vec<usize> = self.flats().iter().map(|flat| flat.numel()).collect();
        let mut largest_first: Vec<usize> = (0..sizes.len()).collect();
        largest_first.sort_by_key(|&flat| Reverse(sizes[flat]));
        let (mut owned, mut owners) = (vec![0; ranks.max(1)], vec![0; sizes.len()]);
        for flat in largest_first {
            let least = (0..owned.len()).min_by_key(|&rank| owned[rank]).unwrap_or_default();
            owned[least] += sizes[flat];
            owners[flat] = least;
        }
        owners
    }

    /// Gives each flat buffer the values that it has on the rank that owns it, on all ranks, in one exchange. Frozen parameters stay
    /// as they are. Collective: all ranks call it with the same `owners`, a rank for each of [`Parameters::flats`].
    ///
    /// # Errors
    /// [`Error::Options`] unless `owners` has a rank for each flat buffer, [`Error::Ranks`], [`Error::Op`].
    pub fn broadcast_flats(&self, ranks: &dyn Communicator, owners: &[usize]) -> Result<()> {
        let (flats, size) = (self.flats(), ranks.size());
        if owners.len() != flats.len() || owners.iter().any(|&owner| owner >= size) {
            let message = format!("owners {owners:?} of {} flat buffers among {size} ranks", flats.len());
            return Err(Error::Options { what: "broadcast_flats", message });
        }
        if size == 1 {
            return Ok(());
        }
        let owned = |rank: usize| flats.iter().zip(owners).filter(move |(_, owner)| **owner == rank);
        let bytes = |rank: usize| owned(rank).map(|(flat, _)| flat.numel() * 4).sum::<usize>();
        let most = (0..size).map(bytes).max().unwrap_or_default();
        let mut send = Vec::with_capacity(most);
        for (flat, _) in owned(ranks.rank()) {
            send.extend_from_slice(bytemuck::cast_slice(&flat.to_vec()?));
        }
        send.resize(most, 0);
        let mut all = vec![0; size * most];
        ranks.all_gather(&send, &mut all)?;
        let mut next: Vec<usize> = (0..size).map(|rank| rank * most).collect();
        for (index, (flat, &owner)) in flats.iter().zip(owners).enumerate() {
            let part = &all[next[owner]..][..flat.numel() * 4];
            next[owner] += part.len();
            if owner != ranks.rank() {
                self.write_flat(index, &bytemuck::pod_collect_to_vec(part))?;
            }
        }
        Ok(())
    }

    /// Writes the trainable parameters of a flat buffer.
    fn write_flat(&self, index: usize, values: &[f32]) -> Result<()> {
        let (gpu, flat) = (self.gpu(), &self.flats()[index]);
        let entries = || self.entries().iter().filter(|entry| entry.flat == index);
        if entries().all(|entry| entry.is_trainable()) {
            return Ok(gpu.write(&flat.bind(), values)?);
        }
        // Graphs over frozen parameters stay what they are.
        for entry in entries().filter(|entry| entry.is_trainable() && !entry.tensor.is_empty()) {
            gpu.write(&entry.range_of(flat), &values[entry.offset..entry.end()])?;
        }
        Ok(())
    }
}

impl OptimizerState {
    /// The whole state, on every rank, where each keeps a share of it: [`OptimizerState::to_state_dict`] of all ranks put together.
    /// It is what an optimizer that keeps all of it would give, and [`OptimizerState::load_state_dict`] takes it both there and on
    /// ranks with shares, as many as there may be then. Collective.
    ///
    /// # Errors
    /// [`Error::Ranks`], [`Error::Op`] if reading from the device fails.
    pub fn gathered_state_dict(&self, ranks: &dyn Communicator) -> Result<StateDict> {
        let mut state = self.to_state_dict()?;
        if ranks.size() > 1 {
            for (rank, part) in all_gather_bytes(ranks, &state.to_bytes()?)?.iter().enumerate() {
                let part = StateDict::from_bytes(part, &format!("the state of rank {rank}"))?;
                state.tensors.extend(part.tensors);
            }
        }
        Ok(state)
    }
}
