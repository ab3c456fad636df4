//! Which entries are known to have the same answer, and how that answer has fared.
//!
//! Entries start in the group of their answer's digest, or alone where there is none. A label that says "the new
//! question's own answer agrees with that entry's" joins two groups. The smaller moves, so that all joins together cost
//! `n log n`. Groups are evidence for the regression, never a decision.

use std::collections::HashMap;

use crate::semantic::calibrate::History;

/// One answer's entries and labels.
#[derive(Debug, Clone, Default)]
struct Group {
    members: Vec<u64>,
    history: History,
}

/// All groups, by entry and by group.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    of: HashMap<u64, u64>,
    by_key: HashMap<u64, Group>,
    /// The group that a digest's entries are in now, after joins; only while the group lives.
    digests: HashMap<u64, u64>,
    next: u64,
}

impl Groups {
    /// Add an entry with the digest of its answer, if that is known.
    pub(super) fn insert(&mut self, entry: u64, answer: Option<u64>) {
        self.remove(entry);
        let known = answer.and_then(|digest| self.digests.get(&digest).copied());
        let group = known
            .filter(|group| self.by_key.contains_key(group))
            .unwrap_or_else(|| {
                self.next += 1;
                self.next
            });
        if let Some(digest) = answer {
            self.digests.insert(digest, group);
        }
        self.of.insert(entry, group);
        self.by_key.entry(group).or_default().members.push(entry);
        self.sweep();
    }

    /// Drop digests whose groups are gone, when they are most of all.
    fn sweep(&mut self) {
        if self.digests.len() > 64 + 2 * self.by_key.len() {
            let groups = &self.by_key;
            self.digests.retain(|_, group| groups.contains_key(group));
        }
    }

    pub(super) fn remove(&mut self, entry: u64) {
        let Some(key) = self.of.remove(&entry) else {
            return;
        };
        let Some(group) = self.by_key.get_mut(&key) else {
            return;
        };
        if let Some(at) = group.members.iter().position(|&member| member == entry) {
            group.members.swap_remove(at);
        }
        if group.members.is_empty() {
            self.by_key.remove(&key);
        }
    }

    /// The group of an entry.
    pub(super) fn of(&self, entry: u64) -> Option<u64> {
        self.of.get(&entry).copied()
    }

    /// Labels of all entries with this entry's answer.
    pub(super) fn history(&self, entry: u64) -> History {
        let group = self.of(entry).and_then(|group| self.by_key.get(&group));
        group.map(|group| group.history).unwrap_or_default()
    }

    /// Count a label of an entry for its whole group.
    pub(super) fn label(&mut self, entry: u64, right: bool) {
        if let Some(group) = self.of(entry).and_then(|group| self.by_key.get_mut(&group)) {
            group.history.add(right);
        }
    }

    /// Two entries were judged to have the same answer.
    pub(super) fn join(&mut self, one: u64, other: u64) {
        let (Some(one), Some(other)) = (self.of(one), self.of(other)) else {
            return;
        };
        if one == other {
            return;
        }
        let size = |groups: &Self, key| groups.by_key.get(&key).map_or(0, |group| group.members.len());
        let (from, to) = if size(self, one) < size(self, other) {
            (one, other)
        } else {
            (other, one)
        };
        let Some(moved) = self.by_key.remove(&from) else {
            return;
        };
        for &member in &moved.members {
            self.of.insert(member, to);
        }
        for group in self.digests.values_mut().filter(|group| **group == from) {
            *group = to;
        }
        let target = self.by_key.entry(to).or_default();
        target.members.extend(moved.members);
        target.history.right += moved.history.right;
        target.history.wrong += moved.history.wrong;
    }
}
