//! Rows of equal width in chunks that never move: growth copies nothing, so no insert waits for a large copy.

/// Rows of `width` values each, addressed by number.
#[derive(Debug)]
pub(super) struct Chunked<T> {
    width: usize,
    per_chunk: usize,
    rows: usize,
    chunks: Vec<Vec<T>>,
}

impl<T: Copy> Chunked<T> {
    /// No rows yet; `width` and `per_chunk` are at least 1.
    pub(super) fn new(width: usize, per_chunk: usize) -> Self {
        Self {
            width,
            per_chunk,
            rows: 0,
            chunks: Vec::new(),
        }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The row `number`, which must exist.
    pub(super) fn row(&self, number: usize) -> &[T] {
        let at = number % self.per_chunk * self.width;
        &self.chunks[number / self.per_chunk][at..at + self.width]
    }

    /// The row `number`, which must exist, to be changed.
    pub(super) fn row_mut(&mut self, number: usize) -> &mut [T] {
        let at = number % self.per_chunk * self.width;
        &mut self.chunks[number / self.per_chunk][at..at + self.width]
    }

    /// The rows of each chunk in order, one after the other.
    pub(super) fn chunk(&self, number: usize) -> &[T] {
        self.chunks.get(number).map_or(&[], Vec::as_slice)
    }

    /// Add a row, which has the right width.
    pub(super) fn push(&mut self, row: &[T]) {
        let chunk = self.rows / self.per_chunk;
        if chunk == self.chunks.len() {
            // The first chunk grows as it is filled: most indexes are small.
            let capacity = if chunk == 0 { 0 } else { self.per_chunk * self.width };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        self.chunks[chunk].extend_from_slice(row);
        self.rows += 1;
    }

    /// Drop the last row. An empty chunk is kept until half of the one before it is free too, so that a size that
    /// goes up and down by one allocates nothing.
    pub(super) fn pop(&mut self) {
        self.rows -= 1;
        let last = self.rows / self.per_chunk;
        let kept = self.rows % self.per_chunk * self.width;
        self.chunks[last].truncate(kept);
        if self.chunks.len() > last + 1 && self.rows % self.per_chunk <= self.per_chunk / 2 {
            self.chunks.truncate(last + 1);
        }
    }

    /// Put the last row in the place of `number` and drop it from its own.
    pub(super) fn swap_remove(&mut self, number: usize) {
        let last = self.rows - 1;
        let (from, at) = (last / self.per_chunk, last % self.per_chunk * self.width);
        let (to, place) = (number / self.per_chunk, number % self.per_chunk * self.width);
        match self.chunks.get_disjoint_mut([to, from]) {
            Ok([to, from]) => to[place..place + self.width].copy_from_slice(&from[at..at + self.width]),
            // Both rows are in one chunk.
            Err(_) => self.chunks[from].copy_within(at..at + self.width, place),
        }
        self.pop();
    }

    /// Octets held, room for rows to come included.
    pub(super) fn bytes(&self) -> usize {
        let values: usize = self.chunks.iter().map(Vec::capacity).sum();
        values * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::Chunked;

    #[test]
    fn rows_come_and_go_as_in_a_plain_list() {
        let (mut rows, mut plain) = (Chunked::new(3, 4), Vec::<[u32; 3]>::new());
        let mut state = 1u64;
        for step in 0..20_000u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = usize::try_from(state >> 33).unwrap_or(0);
            // The tide of sizes goes in and out.
            let grow = (step / 50) % 2 == 0;
            if plain.is_empty() || grow && number % 5 != 0 {
                rows.push(&[step, step + 1, step + 2]);
                plain.push([step, step + 1, step + 2]);
            } else {
                rows.swap_remove(number % plain.len());
                plain.swap_remove(number % plain.len());
            }
            assert_eq!(rows.rows(), plain.len());
            if let Some(last) = plain.len().checked_sub(1) {
                assert_eq!(rows.row(last), plain[last]);
                assert_eq!(rows.row(number % plain.len()), plain[number % plain.len()]);
            }
        }
        let all: Vec<u32> = (0..10).flat_map(|chunk| rows.chunk(chunk).to_vec()).collect();
        assert_eq!(all, plain.concat()[..all.len()]);
    }

    #[test]
    fn an_emptied_list_gives_its_memory_back() {
        let mut rows = Chunked::new(8, 16);
        for _ in 0..1000 {
            rows.push(&[0u64; 8]);
        }
        let full = rows.bytes();
        for _ in 0..1000 {
            rows.pop();
        }
        assert!(rows.bytes() < full / 10, "{} of {full}", rows.bytes());
    }
}
