//! The best so far of a search, and how good a candidate must be to matter.

/// At most `k` results of at least `floor`, the best first; of equal ones the smaller id first, so that the order of
/// the rows, which churn changes, never shows.
#[derive(Debug)]
pub(super) struct Nearest {
    k: usize,
    floor: f32,
    found: Vec<(u64, f32)>,
}

impl Nearest {
    pub(super) fn new(k: usize, floor: f32) -> Self {
        Self {
            k,
            floor,
            found: Vec::new(),
        }
    }

    /// No candidate below this can be among the results; one that equals it can.
    pub(super) fn threshold(&self) -> f32 {
        match self.found.last() {
            Some(&(_, worst)) if self.found.len() == self.k => worst,
            _ => self.floor,
        }
    }

    pub(super) fn offer(&mut self, id: u64, cosine: f32) {
        if cosine < self.floor {
            return;
        }
        let better = |&(other, found): &(u64, f32)| found > cosine || (found >= cosine && other < id);
        let place = self.found.partition_point(better);
        if place < self.k {
            self.found.truncate(self.k - 1);
            self.found.insert(place, (id, cosine));
        }
    }

    pub(super) fn into_found(self) -> Vec<(u64, f32)> {
        self.found
    }
}
