//! Sums and other calls between ranks that are threads, and in `mpi` between ranks that are processes.

#[cfg(all(feature = "mpi", unix))]
mod mpi;

use std::time::Duration;

use wgrad_distributed::{
    Communicator, Error, Solo, Thread, Threads, Wire, agree, all_gather_bytes, all_reduce, all_reduce_f64,
    broadcast_bytes, same_everywhere,
};

/// What `f` gives on each of `n` ranks.
fn on_each<T: Send>(n: usize, f: impl Fn(Thread) -> T + Sync) -> Vec<T> {
    Threads::run(Threads::with_timeout(n, Duration::from_secs(20)), f)
}

/// Values of a rank, of all magnitudes and signs.
fn values(rank: usize, len: usize) -> Vec<f32> {
    let value = |i: usize| {
        let x = ((i * 2_654_435_761 + rank * 40_503 + 1) % 65_521) as f32 / 65_521.0 - 0.5;
        x * f32::powi(10.0, (i % 7) as i32 - 3)
    };
    (0..len).map(value).collect()
}

#[test]
fn sums_are_those_of_all_ranks_in_their_order_and_equal_everywhere() {
    for (n, len) in [(1, 5), (2, 1), (2, 1000), (3, 2), (3, 1001), (5, 64), (4, 0)] {
        let found = on_each(n, |ranks| {
            let mut own = values(ranks.rank(), len);
            all_reduce(&ranks, &mut own, Wire::F32).expect("all ranks are there");
            own
        });
        let mut sums = values(0, len);
        for rank in 1..n {
            sums.iter_mut().zip(values(rank, len)).for_each(|(sum, value)| *sum += value);
        }
        for own in found {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&own), bits(&sums), "{n} ranks, {len} values");
        }
    }
}

#[test]
fn half_precision_on_the_wire_is_off_by_what_the_type_rounds() {
    for (n, len, factor) in [(2, 999, 1.0f32), (3, 1000, 1e-20), (5, 77, 1e30)] {
        let own = |rank| values(rank, len).into_iter().map(|x| x * factor).collect::<Vec<_>>();
        let found = on_each(n, |ranks| {
            let mut values = own(ranks.rank());
            all_reduce(&ranks, &mut values, Wire::F16).expect("all ranks are there");
            values
        });
        assert!(found.iter().all(|values| values == &found[0]), "all ranks have the same sums");
        let all: Vec<Vec<f32>> = (0..n).map(own).collect();
        let most = all.iter().flatten().fold(0.0f64, |most, x| most.max(f64::from(x.abs())));
        for i in 0..len {
            let terms = all.iter().map(|values| f64::from(values[i]));
            let (sum, absolute) = terms.fold((0.0, 0.0), |(sum, abs), x| (sum + x, abs + x.abs()));
            // A rounding for each term and one for the sum, and what is too small for the type.
            let bound = (absolute + sum.abs()) / 2048.0 * 1.01 + (n + n) as f64 * most * f64::powi(2.0, -38);
            let error = (f64::from(found[0][i]) - sum).abs();
            assert!(
                error <= bound,
                "{n} ranks, value {i}: {} for {sum}, off by {error}, bound {bound}",
                found[0][i]
            );
        }
    }
}

#[test]
fn infinities_and_nan_reach_every_rank() {
    for wire in [Wire::F32, Wire::F16] {
        for sums in on_each(3, |ranks| {
            let mut own = [1.0, 1.0, 1.0];
            match ranks.rank() {
                1 => own[0] = f32::INFINITY,
                2 => own[1] = f32::NAN,
                _ => {}
            }
            all_reduce(&ranks, &mut own, wire).expect("all ranks are there");
            own
        }) {
            assert!(sums[0] == f32::INFINITY && sums[1].is_nan() && sums[2] == 3.0, "{wire:?}: {sums:?}");
        }
    }
}

#[test]
fn bytes_of_any_length_are_gathered_and_broadcast() {
    let found = on_each(3, |ranks| {
        let own = vec![ranks.rank() as u8; ranks.rank() * 3];
        let all = all_gather_bytes(&ranks, &own).expect("all are there");
        let none = all_gather_bytes(&ranks, &[]).expect("all are there");
        let from_last = broadcast_bytes(&ranks, own, 2).expect("all are there");
        let mut sum = [f64::from(ranks.rank() as u8), 0.5];
        all_reduce_f64(&ranks, &mut sum).expect("all are there");
        (all, none, from_last, sum)
    });
    for (all, none, from_last, sum) in found {
        assert_eq!(all, [vec![], vec![1; 3], vec![2; 6]]);
        assert_eq!(none, vec![Vec::<u8>::new(); 3]);
        assert_eq!(from_last, [2; 6]);
        assert_eq!(sum, [3.0, 1.5]);
    }
}

#[test]
fn an_error_of_one_rank_is_everybodys() {
    let found = on_each(3, |ranks| {
        let own =
            if ranks.rank() > 0 { Err(Error::Usage(format!("no file {}", ranks.rank()))) } else { Ok(7) };
        let all: Result<i32, Error> = agree(&ranks, own);
        let next = agree(&ranks, Ok::<_, Error>(ranks.rank()));
        (all, next)
    });
    for (rank, (all, next)) in found.into_iter().enumerate() {
        let error = match rank {
            0 => Error::Rank { rank: 1, message: "no file 1".to_owned() },
            _ => Error::Usage(format!("no file {rank}")),
        };
        assert_eq!((all, next), (Err(error), Ok(rank)));
    }
}

#[test]
fn a_rank_that_is_gone_is_named_at_once() {
    let found = on_each(3, |ranks| match ranks.rank() {
        1 => Ok(()),
        2 => {
            ranks.abort("its disk is full", 1);
            Ok(())
        }
        _ => {
            std::thread::sleep(Duration::from_millis(50));
            ranks.barrier()
        }
    });
    let Err(Error::Gone { rank, why }) = &found[0] else { panic!("{found:?}") };
    assert!(
        *rank == 1 && why == "has ended" || *rank == 2 && why == "failed: its disk is full",
        "{rank} {why}"
    );
}

#[test]
fn a_rank_that_does_not_answer_is_named_after_the_timeout() {
    let mut ranks = Threads::with_timeout(2, Duration::from_millis(100));
    let error = ranks[0].barrier().expect_err("rank 1 does not come");
    assert_eq!(error, Error::Gone { rank: 1, why: "did not answer for 0.1 s".to_owned() });
    ranks.clear();
}

#[test]
fn other_lengths_and_roots_are_refused() {
    assert!(Solo.all_to_all(&[0; 2], &mut [0; 3]).is_err());
    assert!(Solo.all_gather(&[0; 2], &mut [0; 3]).is_err());
    assert!(Solo.broadcast(&mut [0], 1).is_err());
    let found = on_each(2, |ranks| {
        let of_other_length =
            ranks.all_gather(&vec![0; 1 + ranks.rank()], &mut vec![0; 2 + 2 * ranks.rank()]);
        (of_other_length, ranks.all_to_all(&[0; 3], &mut [0; 3]), ranks.broadcast(&mut [0], 2))
    });
    for (of_other_length, odd, root) in found {
        assert!(matches!(of_other_length, Err(Error::Rank { .. })), "{of_other_length:?}");
        assert!(matches!(odd, Err(Error::Usage(_))) && matches!(root, Err(Error::Usage(_))));
    }
}

#[test]
fn what_is_not_the_same_everywhere_is_named_with_both_values() {
    let found = on_each(3, |ranks| {
        let seed = if ranks.rank() == 2 { "8" } else { "7" };
        same_everywhere(&ranks, &[("build", "0.1.0"), ("seed", seed), ("data", seed)])
    });
    for error in found {
        let message = error.expect_err("rank 2 has another seed").to_string();
        assert_eq!(message, "rank 2 was started with another seed than rank 0: `8`, not `7`");
    }
    let found = on_each(2, |ranks| {
        let mut model = "conv2d relu ".repeat(20);
        model.insert_str(100, if ranks.rank() == 1 { "ü" } else { "" });
        same_everywhere(&ranks, &[("build", "0.1.0"), ("model", &model)])
    });
    let message = found[0].clone().expect_err("another model").to_string();
    assert!(
        message.chars().count() < 200 && message.contains("ü") && message.contains("not `…"),
        "{message}"
    );
    assert_eq!(found[0], found[1]);
    assert_eq!(on_each(2, |ranks| same_everywhere(&ranks, &[("seed", "7"), ("data", "")])), [Ok(()), Ok(())]);
}
