//! A flat index of unit vectors: insert and remove in microseconds, search by a filter and exact products.
//!
//! No graph: a graph answers slower up to some hundred thousand entries, costs hundreds of times more to change, and
//! loses true neighbours. Here every row is looked at, but through a code of a few octets ([`super::signs`], or
//! [`super::quantised`] where every miss must be ruled out); the few rows whose upper estimate reaches the best so far
//! get their exact product. Results depend on neither the order of the rows nor the processor.
//!
//! Invariants: row `r` belongs to `ids[r]`, and `slots` maps exactly those ids to their rows; rows, codes and ids move
//! together. The filter exists once there are more than [`EXACT_ROWS`] rows.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;

use super::chunked::Chunked;
use super::kernels::{Kernel, dot};
use super::nearest::Nearest;
use super::quantised::Quantised;
use super::rotation::split_mix;
use super::signs::{CHUNK, Signs};
use crate::error::Error;

/// Up to so many rows every product is computed: a filter would cost more than it saves.
const EXACT_ROWS: usize = 256;
/// Vectors shorter than this are always compared exactly: so few signs tell nothing.
const FEWEST_DIMENSIONS: usize = 64;
/// So many candidates of a chunk are worth sorting.
const FEW: usize = CHUNK / 4;
/// Largest number of dimensions.
const MOST_DIMENSIONS: usize = 65_536;

/// How an index is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct IndexOptions {
    /// Rule out every miss by a proven bound: the time of a search grows with the dimensions instead of the answers.
    /// Faster than the other way where vectors are short (128) or floors low.
    pub exact: bool,
    /// Of the secret rotation; None draws one. Nothing but speed depends on it.
    pub seed: Option<u64>,
    /// What the loops are compiled for; None takes the fastest.
    pub kernel: Option<Kernel>,
}

/// Which rows are worth an exact product.
#[derive(Debug)]
enum Filter {
    Signs(Signs),
    Quantised(Quantised),
}

/// Vectors under ids of the caller's, found again by cosine.
#[derive(Debug)]
pub struct Index {
    dimensions: usize,
    exact: bool,
    seed: u64,
    kernel: Kernel,
    rows: Chunked<f32>,
    ids: Vec<u64>,
    slots: HashMap<u64, u32, RandomState>,
    filter: Option<Filter>,
}

impl Index {
    /// An empty index of vectors with `dimensions` numbers.
    ///
    /// # Errors
    /// `InvalidArgument` when the dimensions lie outside 1 to 65,536, or the kernel is not for this processor.
    pub fn new(dimensions: usize, options: IndexOptions) -> Result<Self, Error> {
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(Error::InvalidArgument(format!(
                "dimensions must be between 1 and {MOST_DIMENSIONS}, not {dimensions}"
            )));
        }
        let kernel = options.kernel.unwrap_or_else(Kernel::fastest);
        if !Kernel::available().contains(&kernel) {
            return Err(Error::InvalidArgument(format!("this processor cannot run {kernel:?}")));
        }
        Ok(Self {
            dimensions,
            exact: options.exact,
            // The standard library draws its keys from the operating system.
            seed: options.seed.unwrap_or_else(|| RandomState::new().hash_one(dimensions)),
            kernel,
            rows: Chunked::new(dimensions, CHUNK),
            ids: Vec::new(),
            slots: HashMap::default(),
            filter: None,
        })
    }

    /// Keep `vector` under `id`, in place of what was there; whether the id is new. Only the direction counts.
    ///
    /// # Errors
    /// `InvalidArgument` when the vector has other dimensions, a number that is not finite, or no direction; or when
    /// the index is full (2^32 - 1 entries). Nothing changes then.
    pub fn insert(&mut self, id: u64, vector: &[f32]) -> Result<bool, Error> {
        let unit = self.unit(vector)?;
        if let Some(&row) = self.slots.get(&id) {
            let row = row as usize;
            self.rows.row_mut(row).copy_from_slice(&unit);
            match &mut self.filter {
                Some(Filter::Signs(signs)) => signs.set(row, &unit),
                Some(Filter::Quantised(quantised)) => quantised.set(row, &unit),
                None => {}
            }
            return Ok(false);
        }
        let row = u32::try_from(self.ids.len())
            .ok()
            .filter(|&row| row < u32::MAX)
            .ok_or_else(|| Error::InvalidArgument("the index is full".to_owned()))?;
        self.slots.insert(id, row);
        self.ids.push(id);
        self.rows.push(&unit);
        match &mut self.filter {
            Some(Filter::Signs(signs)) => signs.push(&unit),
            Some(Filter::Quantised(quantised)) => quantised.push(&unit),
            None if self.ids.len() > EXACT_ROWS && self.dimensions >= FEWEST_DIMENSIONS => self.lay_out_filter(),
            None => {}
        }
        Ok(true)
    }

    fn lay_out_filter(&mut self) {
        let rows = (0..self.rows.rows()).map(|row| self.rows.row(row));
        self.filter = Some(if self.exact {
            let mut quantised = Quantised::new(self.dimensions, self.seed, self.kernel);
            rows.for_each(|row| quantised.push(row));
            Filter::Quantised(quantised)
        } else {
            let mut signs = Signs::new(self.mean(), self.seed, self.kernel);
            rows.for_each(|row| signs.push(row));
            Filter::Signs(signs)
        });
    }

    #[expect(clippy::cast_precision_loss, reason = "some hundred rows")]
    fn mean(&self) -> Box<[f32]> {
        let mut mean = vec![0.0; self.dimensions].into_boxed_slice();
        let share = 1.0 / self.rows.rows() as f32;
        for row in 0..self.rows.rows() {
            for (total, value) in mean.iter_mut().zip(self.rows.row(row)) {
                *total += value * share;
            }
        }
        mean
    }

    /// Forget `id`; whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(row) = self.slots.remove(&id) else {
            return false;
        };
        let at = row as usize;
        self.ids.swap_remove(at);
        if let Some(&moved) = self.ids.get(at) {
            self.slots.insert(moved, row);
        }
        self.rows.swap_remove(at);
        match &mut self.filter {
            Some(Filter::Signs(signs)) => signs.swap_remove(at),
            Some(Filter::Quantised(quantised)) => quantised.swap_remove(at),
            None => {}
        }
        true
    }

    /// The `k` nearest ids with their cosines, none below `floor`, the nearest first; of equal ones the smaller id.
    ///
    /// # Errors
    /// `InvalidArgument` when the vector is not one [`Index::insert`] takes, `k` is 0, or `floor` is not a number.
    pub fn search(&self, vector: &[f32], k: usize, floor: f32) -> Result<Vec<(u64, f32)>, Error> {
        if k == 0 {
            return Err(Error::InvalidArgument("k must be at least 1".to_owned()));
        }
        if floor.is_nan() {
            return Err(Error::InvalidArgument("floor must be a number".to_owned()));
        }
        let unit = self.unit(vector)?;
        // No cosine is below -1; an infinite floor would meet the bounds of places without a row.
        let mut nearest = Nearest::new(k, floor.max(-1.0));
        match &self.filter {
            Some(Filter::Signs(signs)) => {
                let query = signs.query(&unit);
                let mut scratch = Vec::new();
                self.search_filtered(&unit, &mut nearest, |chunk, threshold, out| {
                    signs.candidates(&query, chunk, threshold, &mut scratch, out);
                });
            }
            Some(Filter::Quantised(quantised)) => {
                let query = quantised.query(&unit);
                self.search_filtered(&unit, &mut nearest, |chunk, threshold, out| {
                    quantised.candidates(&query, chunk, threshold, out);
                });
            }
            None => (0..self.ids.len()).for_each(|row| self.offer(&unit, row, &mut nearest)),
        }
        Ok(nearest.into_found())
    }

    /// Chunk by chunk: the most promising candidates first, those that cannot beat what was found not at all.
    fn search_filtered(
        &self,
        unit: &[f32],
        nearest: &mut Nearest,
        mut candidates: impl FnMut(usize, f32, &mut Vec<(f32, usize)>),
    ) {
        let mut promising = Vec::new();
        for chunk in 0..self.ids.len().div_ceil(CHUNK) {
            promising.clear();
            candidates(chunk, nearest.threshold(), &mut promising);
            // Many candidates are better read in the order in which they lie in memory.
            if promising.len() <= FEW {
                promising.sort_unstable_by(|left: &(f32, usize), right| right.0.total_cmp(&left.0));
            }
            for &(estimate, row) in &promising {
                if estimate >= nearest.threshold() {
                    self.offer(unit, row, nearest);
                }
            }
        }
    }

    fn offer(&self, unit: &[f32], row: usize, nearest: &mut Nearest) {
        // Rounding may lead a little beyond 1.
        let cosine = dot(self.kernel, unit, self.rows.row(row)).clamp(-1.0, 1.0);
        nearest.offer(self.ids[row], cosine);
    }

    /// The vector of length 1 that points where `vector` does.
    #[expect(clippy::cast_possible_truncation, reason = "a coordinate of a unit vector fits")]
    fn unit(&self, vector: &[f32]) -> Result<Vec<f32>, Error> {
        if vector.len() != self.dimensions {
            return Err(Error::InvalidArgument(format!(
                "the index holds vectors of {} numbers, this one has {}",
                self.dimensions,
                vector.len()
            )));
        }
        // In binary64, so that neither huge nor tiny numbers overflow.
        let square: f64 = vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        if !square.is_finite() {
            return Err(Error::InvalidArgument(
                "a vector's numbers must be finite; this one has a NaN or an infinity".to_owned(),
            ));
        }
        if square == 0.0 {
            return Err(Error::InvalidArgument("a vector of zeros has no direction".to_owned()));
        }
        let scale = square.sqrt().recip();
        Ok(vector.iter().map(|&value| (f64::from(value) * scale) as f32).collect())
    }

    /// Whether there is a vector under `id`.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.slots.contains_key(&id)
    }

    /// The vector under `id`, of length 1.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&[f32]> {
        self.slots.get(&id).map(|&row| self.rows.row(row as usize))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many numbers a vector has.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Forget all entries and give their memory back.
    pub fn clear(&mut self) {
        self.rows = Chunked::new(self.dimensions, CHUNK);
        self.ids = Vec::new();
        self.slots = HashMap::default();
        self.filter = None;
        // Another rotation: who learned something about the old one has learned nothing.
        split_mix(&mut self.seed);
    }

    /// Octets held now, room for entries to come included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let filter = match &self.filter {
            Some(Filter::Signs(signs)) => signs.bytes(),
            Some(Filter::Quantised(quantised)) => quantised.bytes(),
            None => 0,
        };
        size_of::<Self>() + self.rows.bytes() + self.ids.capacity() * 8 + self.slots.allocation_size() + filter
    }

    /// Octets that one more entry takes in the long run: its share of a byte budget.
    #[must_use]
    pub fn bytes_per_entry(&self) -> usize {
        let filter = if self.exact {
            Quantised::bytes_per_row(self.dimensions)
        } else {
            Signs::bytes_per_row(self.dimensions)
        };
        let filtered = self.dimensions >= FEWEST_DIMENSIONS;
        // An id beside its row, and in a table of buckets of 16 octets and one of control, at most 7/8 full, half
        // empty after it has grown: 25 octets on average.
        self.dimensions * 4 + 8 + 25 + if filtered { filter } else { 0 }
    }

    /// Octets that a search reads at least: what tells a short search from a long one.
    #[must_use]
    pub fn scanned_bytes(&self) -> usize {
        let row = match &self.filter {
            Some(Filter::Signs(_)) => Signs::bytes_per_row(self.dimensions),
            Some(Filter::Quantised(_)) => Quantised::bytes_per_row(self.dimensions),
            None => self.dimensions * 4,
        };
        self.ids.len() * row
    }
}
