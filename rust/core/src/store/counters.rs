//! What happened so far, as plain numbers kept under the store's lock.

/// A consistent picture of a store: all numbers are of the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that found a live value.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Live entries dropped to keep within the budgets.
    pub evictions: u64,
    /// Entries dropped because their time was over.
    pub expirations: u64,
    /// Values that were not stored because they alone exceed the byte budget.
    pub refused: u64,
    /// Entries held now.
    pub entries: u64,
    /// Sum of the weights of the entries held now.
    pub bytes: u64,
}
