//! Sums over ranks, and other calls made of the three of [`Communicator`].

use crate::{Communicator, Error, Result, Wire};

/// Values that are added up at once: buffers of this size are used again by the allocator, larger ones would come from the system
/// each time.
const AT_ONCE: usize = 1 << 20;

/// Overwrites `values`, as many on every rank, by their sums over the ranks, the same to the bit everywhere and in every run: each
/// rank adds up its share in the order of ranks. It sends 2 (n - 1) / n of the values, the least that a sum needs. Counterpart:
/// `torch.distributed.all_reduce`.
///
/// # Errors
/// [`Error::Gone`].
pub fn all_reduce(ranks: &dyn Communicator, values: &mut [f32], wire: Wire) -> Result<()> {
    if ranks.size() == 1 {
        return Ok(());
    }
    values.chunks_mut(AT_ONCE).try_for_each(|values| reduce(ranks, values, wire))
}

/// As [`all_reduce`], of some values.
fn reduce(ranks: &dyn Communicator, values: &mut [f32], wire: Wire) -> Result<()> {
    let size = ranks.size();
    let share = values.len().div_ceil(size);
    let bytes = wire.bytes(share);
    let mut send = Vec::with_capacity(size * bytes);
    let mut padded = Vec::new();
    for rank in 0..size {
        let part = values.get(rank * share..).unwrap_or_default();
        if part.len() >= share {
            wire.write(&part[..share], &mut send);
        } else {
            padded.clear();
            padded.extend_from_slice(part);
            padded.resize(share, 0.0);
            wire.write(&padded, &mut send);
        }
    }
    let mut received = vec![0; send.len()];
    ranks.all_to_all(&send, &mut received)?;
    let mut sums = vec![0.0; share];
    for (rank, message) in received.chunks_exact(bytes).enumerate() {
        let own = sums.iter_mut().zip(wire.read(message));
        // The first one is taken as it is: 0 + -0 would be 0.
        own.for_each(|(sum, value)| *sum = if rank == 0 { value } else { *sum + value });
    }
    send.clear();
    wire.write(&sums, &mut send);
    ranks.all_gather(&send, &mut received)?;
    for (part, message) in values.chunks_mut(share).zip(received.chunks_exact(bytes)) {
        part.iter_mut().zip(wire.read(message)).for_each(|(value, sum)| *value = sum);
    }
    Ok(())
}

/// As [`all_reduce`], of a few f64 numbers, each of which goes to every rank.
///
/// # Errors
/// [`Error::Gone`].
pub fn all_reduce_f64(ranks: &dyn Communicator, values: &mut [f64]) -> Result<()> {
    let size = ranks.size();
    if size == 1 || values.is_empty() {
        return Ok(());
    }
    let mut all = vec![0.0f64; size * values.len()];
    ranks.all_gather(bytemuck::cast_slice(values), bytemuck::cast_slice_mut(&mut all))?;
    let (first, others) = all.split_at(values.len());
    values.copy_from_slice(first);
    for row in others.chunks_exact(values.len()) {
        values.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    Ok(())
}

/// The bytes of every rank, in the order of ranks; each may have another number of them.
///
/// # Errors
/// [`Error::Gone`].
pub fn all_gather_bytes(ranks: &dyn Communicator, own: &[u8]) -> Result<Vec<Vec<u8>>> {
    let size = ranks.size();
    if size == 1 {
        return Ok(vec![own.to_vec()]);
    }
    let mut lengths = vec![0u64; size];
    ranks.all_gather(&(own.len() as u64).to_ne_bytes(), bytemuck::cast_slice_mut(&mut lengths))?;
    let most = lengths.iter().max().map_or(0, |&most| most as usize);
    let mut send = own.to_vec();
    send.resize(most, 0);
    let mut all = vec![0; size * most];
    ranks.all_gather(&send, &mut all)?;
    let parts = all.chunks_exact(most.max(1)).zip(&lengths);
    let mut parts: Vec<Vec<u8>> = parts.map(|(part, &length)| part[..length as usize].to_vec()).collect();
    // Where nobody sent anything.
    parts.resize(size, Vec::new());
    Ok(parts)
}

/// The bytes of rank `root`, however many; those of the others count for nothing.
///
/// # Errors
/// [`Error::Usage`] for a rank that there is not, [`Error::Gone`].
pub fn broadcast_bytes(ranks: &dyn Communicator, mut bytes: Vec<u8>, root: usize) -> Result<Vec<u8>> {
    if ranks.size() == 1 {
        return Ok(bytes);
    }
    let mut length = (bytes.len() as u64).to_ne_bytes();
    ranks.broadcast(&mut length, root)?;
    bytes.resize(u64::from_ne_bytes(length) as usize, 0);
    ranks.broadcast(&mut bytes, root)?;
    Ok(bytes)
}

/// Lets all ranks know whether all of them got this far: each has its value where all have one. A rank that failed returns its own
/// error, and the others one that names the first rank that failed.
///
/// # Errors
/// `own`'s error, [`Error::Rank`] for the first rank that failed, [`Error::Gone`].
pub fn agree<T, E: std::fmt::Display + From<Error>>(
    ranks: &dyn Communicator,
    own: Result<T, E>,
) -> Result<T, E> {
    // An error may have no words.
    let text = own.as_ref().err().map_or(String::new(), |error| format!("x{error}"));
    let all = all_gather_bytes(ranks, text.as_bytes());
    let value = own?;
    match all?.iter().enumerate().find(|(_, text)| !text.is_empty()) {
        None => Ok(value),
        Some((rank, text)) => {
            let message = String::from_utf8_lossy(&text[1..]).into_owned();
            Err(Error::Rank { rank, message }.into())
        }
    }
}
