//! How a program finds its ranks, and how it ends where it fails.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::{Communicator, Result, Solo};

/// What launchers call a rank and the number of ranks: Open MPI, MPICH and its relatives, Slurm.
const VARIABLES: [(&str, &str); 3] = [
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("PMIX_RANK", "SLURM_NTASKS"),
];

/// How long rank 0 has to speak of an error that all ranks may have.
const HEAD_START: Duration = Duration::from_secs(2);

/// This process's rank and the number of ranks, where `mpirun` or its like has started it. It reads the launcher's environment
/// variables, and calls no MPI. Where a launcher tells the rank only, the number is 2 at least, and may be more.
pub fn launched() -> Option<(usize, usize)> {
    launched_in(|name| std::env::var(name).ok())
}

fn launched_in(variable: impl Fn(&str) -> Option<String>) -> Option<(usize, usize)> {
    let number = |name| variable(name)?.trim().parse::<usize>().ok();
    let told = VARIABLES.iter().find_map(|(rank, size)| Some((number(rank)?, number(size)?)));
    told.or_else(|| number("PMIX_RANK").map(|rank| (rank, (rank + 1).max(2))))
}

/// The ranks of this program: those of MPI where `mpirun` has started more than one, [`Solo`] otherwise, for which no MPI is
/// called. A program calls it once, before anything else that may fail, and drops what it gets before it ends. Counterpart:
/// `torch.distributed.init_process_group`.
///
/// # Errors
/// [`crate::Error::NoMpi`] for several ranks of a program without the feature `mpi`, [`crate::Error::Usage`] where MPI can't be
/// started, [`crate::Error::Differs`] where ranks run different versions, or different executables on machines of one architecture;
/// [`fail`] prints each once.
pub fn world() -> Result<Arc<dyn Communicator>> {
    match launched() {
        Some((_, ranks)) if ranks > 1 => several(ranks),
        _ => Ok(Arc::new(Solo)),
    }
}

#[cfg(feature = "mpi")]
fn several(_ranks: usize) -> Result<Arc<dyn Communicator>> {
    let ranks = crate::Mpi::init()?;
    crate::executable::check(&ranks)?;
    Ok(Arc::new(ranks))
}

#[cfg(not(feature = "mpi"))]
fn several(ranks: usize) -> Result<Arc<dyn Communicator>> {
    Err(crate::Error::NoMpi { ranks })
}

/// Ends a program that has failed: prints `error` to standard error after the program's name, ends all other ranks, and returns `code` for `main`. Where
/// all ranks fail alike only rank 0 prints, since the others wait for two seconds first, and are ended while they do; a rank that
/// fails alone is named. `ranks` are `None` where the program failed before it had them.
pub fn fail(ranks: Option<&dyn Communicator>, program: &str, error: &dyn Display, code: u8) -> ExitCode {
    let (rank, size) =
        ranks.map_or_else(|| launched().unwrap_or((0, 1)), |ranks| (ranks.rank(), ranks.size()));
    if rank > 0 {
        std::thread::sleep(HEAD_START);
    }
    match size {
        1 => eprintln!("{program}: {error}"),
        _ => eprintln!("{program}: rank {rank}: {error}"),
    }
    if let Some(ranks) = ranks {
        ranks.abort(&error.to_string(), code.into());
    }
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::launched_in;

    #[test]
    fn launchers_are_known_by_their_variables() {
        let found = |set: &'static [(&str, &str)]| {
            launched_in(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.to_string()))
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("OMPI_COMM_WORLD_RANK", "3"), ("OMPI_COMM_WORLD_SIZE", "4")]), Some((3, 4)));
        assert_eq!(found(&[("PMI_SIZE", "2"), ("PMI_RANK", "0")]), Some((0, 2)));
        assert_eq!(found(&[("PMIX_RANK", "5"), ("SLURM_NTASKS", "16")]), Some((5, 16)));
        assert_eq!(found(&[("PMIX_RANK", "0")]), Some((0, 2)));
        // Those of a batch job's own shell, and of something else.
        assert_eq!(found(&[("SLURM_NTASKS", "16")]), None);
        assert_eq!(found(&[("PMI_RANK", "first"), ("PMI_SIZE", "2")]), None);
    }
}
