//! Answers in memory: opaque values under 16-byte keys, bounded in number, in bytes and in time.
//!
//! [`store::Store`] is the whole of it: one lock around a dense array of entries ([`entries`], found through
//! [`index`]), their order of use ([`recency`]), their deadlines ([`expiry`]) and their [`tags`]; [`clock`] says what
//! time it is. The parts know entries only by their position (a *slot*) and each keeps its own compact arrays, so that
//! a hit touches few cache lines. Slots are dense: when an entry goes, the last one moves into its place, so memory
//! follows the live entries.

pub mod clock;
mod counters;
mod entries;
mod expiry;
mod index;
mod recency;
mod state;
#[expect(
    clippy::module_inception,
    reason = "the tree names this file after the type it holds"
)]
pub mod store;
mod tags;

pub use counters::Stats;
pub use entries::{Digest, Entry};
pub use state::Limits;
pub use store::{Admission, Store};
