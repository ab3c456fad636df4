//! One scope's questions, and the whole way of a question through them: embed, nominate, guard, verify, calibrate,
//! decide.
//!
//! A partition holds what can answer for one another: same tenant, system prompt, tools, model family, embedder. It
//! knows entries by an id of the caller's and never their answers. Eight near neighbours show how crowded the place is
//! and whether they agree; the nearest four that no guard refuses may become a hit.

mod bars;
mod decision;
mod groups;
mod keep;
mod nominate;
mod options;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use bars::Bars;
pub use decision::{Candidate, Decision};
use groups::Groups;
use nominate::{is_unread, unit};
pub use options::{Judge, Options};

use super::calibrate::{Basis, Calibrator, History, Lesson, Policy, Verdict};
use super::verify::{Encoded, Verifier};
use crate::error::Error;
use crate::guard::{Guards, Question};
use crate::vector::embed::{DIMENSIONS, Table};
use crate::vector::index::{Index, IndexOptions};

/// What is kept of an entry's question.
#[derive(Debug)]
struct Entry {
    question: Question,
    encoded: Encoded,
    history: History,
    /// Whether the table knows too little of it: to the table all unknown words look alike.
    unread: bool,
}

/// The questions of one scope.
#[derive(Debug)]
pub struct Partition {
    index: Index,
    entries: HashMap<u64, Entry>,
    groups: Groups,
    bars: Bars,
    calibrator: Calibrator,
    guards: Guards,
    judge: Judge,
    table: Option<&'static Table>,
    verifier: &'static Verifier,
    chance: u64,
    octets: usize,
}

impl Partition {
    /// Octets that an entry takes in the maps, its group included.
    const OVERHEAD: usize = 160;

    /// An empty partition.
    ///
    /// # Errors
    /// `InvalidArgument` when an option is out of range, `Damaged` when a bundled file is.
    pub fn new(options: Options) -> Result<Self, Error> {
        let policy = Policy {
            basis: match options.judge {
                Judge::Bundled if options.dimensions.is_none() => Basis::Bundled,
                Judge::Bundled => Basis::BundledVerifier,
                Judge::Own => Basis::OwnVerifier,
                Judge::Nobody => Basis::Unverified,
            },
            ..options.policy
        };
        let index = IndexOptions {
            // With the low floor of the bundled embedder the proven codes are the faster ones.
            exact: options.exact || options.dimensions.is_none(),
            ..IndexOptions::default()
        };
        Ok(Self {
            index: Index::new(options.dimensions.unwrap_or(DIMENSIONS), index)?,
            entries: HashMap::new(),
            groups: Groups::default(),
            bars: Bars::default(),
            calibrator: Calibrator::new(policy, options.alpha)?,
            guards: options.guards,
            judge: options.judge,
            table: match options.dimensions {
                None => Some(Table::bundled()?),
                Some(_) => None,
            },
            verifier: Verifier::bundled()?,
            chance: options.seed.unwrap_or_else(|| RandomState::new().hash_one(0)),
            octets: 0,
        })
    }

    /// Add a question under an id, instead of the one it had. `answer` is a digest of the answer: entries with equal
    /// digests speak for each other. False when the text has no vector, and so cannot be found.
    ///
    /// # Errors
    /// `InvalidArgument` when the vector is missing, not wanted, of another size, not finite or zero.
    pub fn insert(&mut self, id: u64, text: &str, vector: Option<&[f32]>, answer: Option<u64>) -> Result<bool, Error> {
        let (ids, own) = self.embed(text, vector)?;
        let Some(vector) = vector.or(own.as_ref().map(<[f32; DIMENSIONS]>::as_slice)) else {
            self.remove(id);
            return Ok(false);
        };
        self.index.insert(id, vector)?;
        let entry = Entry {
            question: Question::read(text),
            encoded: self.encode(text, &ids),
            history: History::default(),
            unread: is_unread(&ids),
        };
        self.octets += self.weigh(&entry);
        if let Some(old) = self.entries.insert(id, entry) {
            self.octets -= self.weigh(&old);
        }
        self.groups.insert(id, answer);
        Ok(true)
    }

    /// Forget an entry; whether there was one.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(entry) = self.entries.remove(&id) else {
            return false;
        };
        self.octets -= self.weigh(&entry);
        self.index.remove(id);
        self.groups.remove(id);
        true
    }

    /// Forget all entries, and nothing of what was learned.
    pub fn clear(&mut self) {
        self.index.clear();
        self.entries.clear();
        self.groups = Groups::default();
        self.octets = 0;
    }

    /// The whole way of a question, in one step. With `record` it counts: the budget, the bounds and the tosses.
    ///
    /// # Errors
    /// `InvalidArgument` as [`Partition::insert`].
    pub fn decide(&mut self, text: &str, vector: Option<&[f32]>, record: bool) -> Result<Decision, Error> {
        self.decide_among(text, vector, None, record)
    }

    /// The same with the near entries found by an index of the caller's.
    ///
    /// # Errors
    /// `InvalidArgument` as [`Partition::insert`].
    pub fn decide_among(
        &mut self,
        text: &str,
        vector: Option<&[f32]>,
        found: Option<Vec<(u64, f32)>>,
        record: bool,
    ) -> Result<Decision, Error> {
        let nominated = self.nominate_among(text, vector, found, !record)?;
        Ok(self.finish(nominated, record))
    }

    /// Decide between candidates with the probabilities of the caller's own verifier, one for each; None where it has
    /// no opinion, which makes the candidate a miss.
    ///
    /// # Errors
    /// `InvalidArgument` when there are more or fewer probabilities than candidates, or one is none.
    pub fn settle(&mut self, mut decision: Decision, own: &[Option<f32>], record: bool) -> Result<Decision, Error> {
        decision.adopt(own)?;
        Ok(self.finish(decision, record))
    }

    fn finish(&mut self, mut decision: Decision, record: bool) -> Decision {
        decision.choose(&self.calibrator, self.judge != Judge::Nobody);
        if !record {
            return decision;
        }
        let Some(best) = decision.best_probability() else {
            return decision;
        };
        self.calibrator.see(best);
        decision.audited = self.toss(decision.rate);
        if decision.verdict != Verdict::Miss {
            // The rate is the policy's own, which was checked, and an audit at rate 0 does not come up.
            let _ = self.calibrator.serve(decision.audited);
        }
        decision
    }

    /// Learn whether a candidate's answer fits the question that a decision was about. `rate` is the decision's own for
    /// a label that its toss asked for, None for a complaint. `entry` is the id under which the question was stored
    /// since: entries whose answers were judged the same speak for each other from then on.
    ///
    /// # Errors
    /// `InvalidArgument` when the decision has no such candidate.
    pub fn learn(
        &mut self,
        decision: &Decision,
        candidate: u64,
        right: bool,
        sampled: bool,
        entry: Option<u64>,
    ) -> Result<(), Error> {
        let (at, found) = decision.find(candidate)?;
        if let (Some(probability), false) = (found.probability, found.refused()) {
            let best = decision.best == Some(at);
            self.calibrator.learn(&Lesson {
                evidence: found.evidence,
                probability,
                right,
                best,
                served: best && decision.verdict != Verdict::Miss,
                rate: sampled.then_some(decision.rate),
                retreats: decision.retreats,
            });
        }
        if sampled || !right {
            if let Some(stored) = self.entries.get_mut(&candidate) {
                stored.history.add(right);
            }
            self.groups.label(candidate, right);
        }
        if let (true, true, Some(entry)) = (right, sampled, entry) {
            self.groups.join(entry, candidate);
        }
        Ok(())
    }

    /// Bar a question from an entry for good, with the neighbourhood of both; false when one of them has no vector.
    ///
    /// # Errors
    /// `InvalidArgument` as [`Partition::insert`].
    pub fn bar(&mut self, text: &str, vector: Option<&[f32]>, entry: u64) -> Result<bool, Error> {
        let (_, own) = self.embed(text, vector)?;
        let vector = vector.or(own.as_ref().map(<[f32; DIMENSIONS]>::as_slice));
        let (Some(vector), Some(theirs)) = (vector, self.index.get(entry)) else {
            return Ok(false);
        };
        let unit = unit(vector);
        let length: f32 = unit.iter().map(|value| value * value).sum();
        if unit.len() != theirs.len() || !(0.5..2.0).contains(&length) {
            return Err(Error::InvalidArgument(
                "the vector must have the partition's dimensions and finite numbers, not all of them 0".to_owned(),
            ));
        }
        self.bars.add(&unit, theirs);
        Ok(true)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether an id has an entry.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.entries.contains_key(&id)
    }

    /// Pairs that are barred.
    #[must_use]
    pub fn barred(&self) -> usize {
        self.bars.len()
    }

    /// Octets that everything takes: entries, index, barred pairs.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets + self.index.bytes() + self.bars.octets()
    }

    /// Octets that one entry takes, its share of the index included; None when there is none.
    #[must_use]
    pub fn octets_of(&self, id: u64) -> Option<usize> {
        Some(self.weigh(self.entries.get(&id)?) + self.index.bytes_per_entry())
    }

    /// What was learned.
    #[must_use]
    pub fn calibrator(&self) -> &Calibrator {
        &self.calibrator
    }

    #[expect(clippy::unused_self, reason = "an entry weighs the same in every partition today")]
    fn weigh(&self, entry: &Entry) -> usize {
        entry.question.bytes() + entry.encoded.octets() + Self::OVERHEAD
    }

    /// A toss that comes up with a probability (`SplitMix64`).
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn toss(&mut self, probability: f64) -> bool {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64 <= probability && probability > 0.0
    }
}
