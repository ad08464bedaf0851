//! Ranks that are threads.

use std::sync::Arc;

use wgrad_nn::Gradients;
use wgrad_nn::distributed::{Communicator, Threads, Wire, all_reduce};

/// What `f` gives on each of so many ranks.
pub fn on_ranks<T: Send>(size: usize, f: impl Fn(Arc<dyn Communicator>) -> T + Sync) -> Vec<T> {
    Threads::run(Threads::new(size), |rank| f(Arc::new(rank)))
}

/// Replaces gradients by their sums over all ranks.
pub fn sum_over_ranks(gradients: &Gradients, ranks: &dyn Communicator) {
    for flat in gradients.flats() {
        let mut values = flat.to_vec().unwrap();
        all_reduce(ranks, &mut values, Wire::F32).unwrap();
        flat.gpu().write(&flat.bind(), &values).unwrap();
    }
}
