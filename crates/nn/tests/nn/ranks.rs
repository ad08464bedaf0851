//! Ranks that are threads.

use std::sync::Arc;

use wgrad_nn::Gradients;
use wgrad_nn::distributed::{Communicator, Threads, Wire, all_reduce};

/// What `f` gives on each of so many ranks.
pub fn on_ranks<T: Send>(size: usize, f: impl Fn(Arc<dyn Communicator>) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let start = |rank| {
            let f = &f;
            scope.spawn(move || f(Arc::new(rank)))
        };
        let threads: Vec<_> = Threads::new(size).into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Replaces gradients by their sums over all ranks.
pub fn sum_over_ranks(gradients: &Gradients, ranks: &dyn Communicator) {
    for flat in gradients.flats() {
        let mut values = flat.to_vec().unwrap();
        all_reduce(ranks, &mut values, Wire::F32).unwrap();
        flat.gpu().write(&flat.bind(), &values).unwrap();
    }
}
