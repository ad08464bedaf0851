//! The order in which a data set's rows are taken: on the device, and the same numbers on the host.

use wgrad_autograd::device::shaders::{self, Kernel};
use wgrad_autograd::{DType, Error, Gpu, Result, Tensor};

use crate::Draw;

/// Rounds of the kernel that shuffles.
pub(crate) const SHUFFLE_ROUNDS: usize = 32;

/// Purposes of random sequences, which keep two uses of one seed apart.
pub(crate) const SHUFFLE: u32 = 0x5eed_0001;
pub(crate) const AUGMENT: u32 = 0x5eed_0002;

/// The key of a random sequence: both halves of the seed matter.
pub(crate) fn key(seed: u64, purpose: u32) -> u32 {
    (seed as u32) ^ ((seed >> 32) as u32).rotate_left(16) ^ purpose
}

/// The order in which batches take the rows of a set: a permutation on the device.
pub(crate) struct RowOrder(Tensor);

impl RowOrder {
    /// The own order of `n` rows.
    pub(crate) fn new(gpu: &Gpu, n: usize) -> Result<Self> {
        let order = Self(Tensor::empty_of(gpu, &[n], DType::I32)?);
        order.reset()?;
        Ok(order)
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.0.numel()
    }

    /// A permutation that is a function of `seed` and `epoch` alone.
    pub(crate) fn shuffle(&self, seed: u64, epoch: usize) -> Result<()> {
        self.write(seed, epoch, SHUFFLE_ROUNDS)
    }

    /// These rows, as many as there are.
    pub(crate) fn take(&self, rows: &[usize]) -> Result<()> {
        let n = self.len();
        if rows.len() != n || rows.iter().any(|&row| row >= n) {
            return Err(Error::shape(
                "rows",
                format!("{} rows for {n} places; give rows below it", rows.len()),
            ));
        }
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        self.0.gpu().write(&self.0.bind_padded(), &rows)?;
        Ok(())
    }

    /// The rows' numbers as the kernels read them.
    pub(crate) fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// The rows' own order.
    pub(crate) fn reset(&self) -> Result<()> {
        self.write(0, 0, 0)
    }

    #[expect(unsafe_code, reason = "the number of rows is the tensor's")]
    fn write(&self, seed: u64, epoch: usize, rounds: usize) -> Result<()> {
        let (n, key) = (self.len(), key(seed, SHUFFLE));
        // SAFETY: `order` has `n` elements, and the kernel writes below `n`.
        unsafe { self.0.gpu().launch_unchecked(Kernel::new(&shaders::SHUFFLE, "shuffle")) }
            .bind("order", self.0.bind())
            .set_all([("n", n), ("key", key as usize), ("epoch", epoch), ("rounds", rounds)])
            // The check that ends the loop counts too.
            .max_iterations(rounds + 1)
            .threads(n)
            .enqueue()?;
        Ok(())
    }
}

/// Fails for places that are not all of the data set's.
pub(crate) fn check_range(start: usize, rows: usize, len: usize) -> Result<()> {
    if start.checked_add(rows).is_none_or(|end| end > len) {
        return Err(Error::shape("batch", format!("{rows} rows from place {start} of {len}")));
    }
    Ok(())
}

/// The row at `place` of an epoch's shuffled order of `n` rows: what the kernel `shuffle` writes there, and so the row that
/// [`DeviceImages`](crate::DeviceImages) and [`TensorBatches`](crate::TensorBatches) take. `place` is below `n`, and `n` fits in 32 bits.
pub fn shuffled_row(n: usize, place: usize, draw: Draw) -> usize {
    let (n, key) = (n as u32, key(draw.seed, SHUFFLE));
    let mut x = place as u32;
    for round in 0..SHUFFLE_ROUNDS as u32 {
        let draw = (draw.epoch as u32).wrapping_mul(SHUFFLE_ROUNDS as u32).wrapping_add(round);
        let k = random(!key, draw, 0) % n;
        let partner = if x <= k { k - x } else { n - (x - k) };
        if random(key, draw, x.max(partner)) >> 31 == 1 {
            x = partner;
        }
    }
    x as usize
}

/// `random_u32` of the shaders.
pub(crate) fn random(key: u32, counter: u32, index: u32) -> u32 {
    pcg(pcg(pcg(key) ^ counter) ^ index)
}

fn pcg(word: u32) -> u32 {
    let state = word.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let mixed = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (mixed >> 22) ^ mixed
}
