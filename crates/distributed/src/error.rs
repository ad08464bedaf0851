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
    /// Something that the ends of communication can't do.
    #[error("{0}")]
    Usage(String),
}
