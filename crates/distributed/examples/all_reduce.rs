//! What a sum over all ranks takes: `mpirun -n 2 all_reduce 8 20` sums 8 MiB of f32 values 20 times. With `f16` they travel so.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use wgrad_distributed::{Communicator, Wire, all_reduce, fail, world};

fn main() -> ExitCode {
    let ranks = match world() {
        Ok(ranks) => ranks,
        Err(error) => return fail(None, "all_reduce", &error, 2),
    };
    match measure(&*ranks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(Some(&*ranks), "all_reduce", &error, 1),
    }
}

fn measure(ranks: &dyn Communicator) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mib, times, wire) = match &*arguments {
        [mib, times] => (mib, times, Wire::F32),
        [mib, times, wire] if wire == "f16" => (mib, times, Wire::F16),
        _ => return Err("give the MiB of a sum, how many there are, and f16 where they travel so".into()),
    };
    let (mib, times): (f64, usize) = (mib.parse()?, times.parse()?);
    let (size, rank) = (ranks.size(), ranks.rank());
    let own = vec![rank as f32 + 1.0; (mib * 262_144.0) as usize];
    let sum = (size * (size + 1) / 2) as f32;
    let mut took = Vec::new();
    for _ in 0..times {
        let mut values = own.clone();
        ranks.barrier()?;
        let began = Instant::now();
        all_reduce(ranks, &mut values, wire)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        if let Some(wrong) = values.iter().find(|&&value| value != sum) {
            return Err(format!("a sum of {wrong} for {sum}").into());
        }
    }
    took.sort_by(f64::total_cmp);
    if let (0, Some(least)) = (rank, took.first()) {
        println!("{size} ranks, {mib} MiB as {wire:?}: {:.2} ms ({least:.2})", took[took.len() / 2]);
    }
    Ok(())
}
