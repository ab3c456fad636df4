//! Everything that can fail in the core, as one enum.

/// What went wrong, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument lies outside its documented range.
    #[error("{0}")]
    InvalidArgument(String),
    /// A file that is built into the library is not what was built in.
    #[error("{0}")]
    Damaged(String),
}
