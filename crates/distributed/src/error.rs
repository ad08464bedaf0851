//! Errors of communication.

/// Result of communication.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of communication, or something that ranks do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank that no longer takes part.
    #[error("rank {rank} {why}")]
    Gone {
        /// The rank.
        rank: usize,
        /// What happened to it, as the rest of the sentence.
        why: String,
    },
    /// A rank that is not as rank 0 is, or has an error of its own.
    #[error("rank {rank}: {message}")]
    Rank {
        /// The rank.
        rank: usize,
        /// What is wrong there.
        message: String,
    },
    /// Ranks that were not started alike.
    #[error("rank {rank} was started with another {what} than rank {other}: {found}, not {first}")]
    Differs {
        /// The first rank that is not as an earlier one is.
        rank: usize,
        /// The rank that it is compared with: 0, or for executables the first one on a machine of its kind.
        other: usize,
        /// What differs.
        what: String,
        /// What that rank has, shortened.
        found: String,
        /// What the other rank has, shortened.
        first: String,
    },
    /// Several ranks that don't know each other, since the program can't speak MPI.
    #[error(
        "mpirun started this program as {ranks} ranks, but it was built without MPI: build it with the feature `mpi`"
    )]
    NoMpi {
        /// The number of ranks.
        ranks: usize,
    },
    /// Something that the ends of communication can't do.
    #[error("{0}")]
    Usage(String),
}
