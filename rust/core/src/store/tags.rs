//! Tags: names under which entries can be dropped together, at a cost that depends only on how many there are.
//!
//! A name is stored once, however many entries carry it, and for as long as one does. A row holds the set of slots of
//! one name; a slot holds the list of its rows. Until the first tag is used there is no memory at all.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::HashTable;

/// Which slots carry which names.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    names: HashMap<Arc<str>, u32>,
    rows: Vec<Row>,
    free: Vec<u32>,
    // The rows of each slot; shorter than the slots while the last of them have no tags.
    labels: Vec<Box<[u32]>>,
}

#[derive(Debug)]
struct Row {
    name: Arc<str>,
    members: HashTable<u32>,
}

impl Tags {
    /// Tag `slot`, which must have no tags, with `names`; a name given twice counts once.
    pub(crate) fn insert(&mut self, slot: u32, names: &[&str]) {
        let mut rows = Vec::new();
        for &name in names {
            let row = self.row(name);
            if !rows.contains(&row) {
                self.rows[row as usize]
                    .members
                    .insert_unique(scatter(slot), slot, |&slot| scatter(slot));
                rows.push(row);
            }
        }
        if !rows.is_empty() {
            self.put_labels(slot, rows.into_boxed_slice());
        }
    }

    /// Forget every tag of `slot`.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(labels) = self.labels.get_mut(slot as usize) else {
            return;
        };
        for row in std::mem::take(labels) {
            let members = &mut self.rows[row as usize].members;
            if let Ok(member) = members.find_entry(scatter(slot), |&member| member == slot) {
                member.remove();
            }
            if members.is_empty() {
                self.release(row);
            } else if members.len() < members.capacity() / 8 {
                members.shrink_to(members.len() * 2, |&slot| scatter(slot));
            }
        }
    }

    /// Let the last slot `last` be known as `hole`, which must have no tags; `hole == last` forgets the slot.
    #[inline]
    pub(crate) fn relocate(&mut self, last: u32, hole: u32) {
        if self.labels.len() <= last as usize {
            return;
        }
        let labels = std::mem::take(&mut self.labels[last as usize]);
        self.labels.truncate(last as usize);
        if self.labels.len() < self.labels.capacity() / 4 {
            self.labels.shrink_to(self.labels.len() * 2);
        }
        if last == hole || labels.is_empty() {
            return;
        }
        for &row in &labels {
            let members = &mut self.rows[row as usize].members;
            if let Ok(member) = members.find_entry(scatter(last), |&member| member == last) {
                member.remove();
            }
            members.insert_unique(scatter(hole), hole, |&slot| scatter(slot));
        }
        self.put_labels(hole, labels);
    }

    /// The slots that carry `name`, in no order.
    pub(crate) fn members(&self, name: &str) -> Vec<u32> {
        let row = self.names.get(name);
        row.map_or_else(Vec::new, |&row| {
            self.rows[row as usize].members.iter().copied().collect()
        })
    }

    /// How many slots carry `name`.
    pub(crate) fn count(&self, name: &str) -> usize {
        let row = self.names.get(name);
        row.map_or(0, |&row| self.rows[row as usize].members.len())
    }

    /// The names of `slot`, in the order given.
    pub(crate) fn names(&self, slot: u32) -> Vec<Arc<str>> {
        let labels = self.labels.get(slot as usize).map_or(&[][..], |labels| labels);
        labels
            .iter()
            .map(|&row| Arc::clone(&self.rows[row as usize].name))
            .collect()
    }

    fn put_labels(&mut self, slot: u32, labels: Box<[u32]>) {
        if self.labels.len() <= slot as usize {
            self.labels.resize_with(slot as usize + 1, Box::default);
        }
        self.labels[slot as usize] = labels;
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "2^32 live names would take more than 300 GB"
    )]
    fn row(&mut self, name: &str) -> u32 {
        if let Some(&row) = self.names.get(name) {
            return row;
        }
        let name: Arc<str> = Arc::from(name);
        let fresh = Row {
            name: Arc::clone(&name),
            members: HashTable::new(),
        };
        let row = if let Some(row) = self.free.pop() {
            self.rows[row as usize] = fresh;
            row
        } else {
            self.rows.push(fresh);
            (self.rows.len() - 1) as u32
        };
        self.names.insert(name, row);
        row
    }

    fn release(&mut self, row: u32) {
        let released = &mut self.rows[row as usize];
        released.members = HashTable::new();
        self.names.remove(&released.name);
        released.name = Arc::default();
        self.free.push(row);
        if self.names.is_empty() {
            self.names = HashMap::new();
            self.rows = Vec::new();
            self.free = Vec::new();
        }
    }
}

/// Spread consecutive slots over the table. Source: Fibonacci hashing, Knuth, TAOCP 3, §6.4.
#[inline]
fn scatter(slot: u32) -> u64 {
    u64::from(slot).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tags: &Tags, slot: u32) -> Vec<String> {
        tags.names(slot).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tags_follow_their_slot_and_leave_nothing_behind() {
        let mut tags = Tags::default();
        tags.insert(0, &["a", "b", "a"]);
        tags.insert(2, &["b"]);
        assert_eq!(names(&tags, 0), ["a", "b"]);
        tags.remove(0);
        assert_eq!(tags.members("a"), [0; 0]);
        tags.relocate(2, 0);
        assert_eq!(tags.members("b"), [0]);
        assert_eq!(names(&tags, 0), ["b"]);
        assert_eq!(names(&tags, 2), [""; 0]);
        tags.remove(0);
        assert!(tags.rows.is_empty() && tags.names.is_empty() && tags.free.is_empty());
    }

    #[test]
    fn a_name_that_nobody_carries_frees_its_row_for_the_next() {
        let mut tags = Tags::default();
        tags.insert(0, &["keep"]);
        for round in 0..1000 {
            tags.insert(1, &[format!("once {round}").as_str()]);
            tags.remove(1);
        }
        assert_eq!(tags.rows.len(), 2);
    }
}
