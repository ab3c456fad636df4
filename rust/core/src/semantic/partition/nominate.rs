//! From a text to candidates: embed, find the nearest, ask the guards and the verifier.

use super::bars::Bars;
use super::decision::{Candidate, Decision};
use super::{Judge, Partition};
use crate::error::Error;
use crate::guard::{self, Question};
use crate::semantic::calibrate::Evidence;
use crate::semantic::verify::{Encoded, Opened, Opinion};
use crate::vector::embed::DIMENSIONS;
use crate::vector::wordpiece::{EMBEDDED_TOKENS, UNKNOWN, tokenise};

/// Near neighbours that are looked at, and how many of those that no guard refuses may become a hit.
const NEIGHBOURS: usize = 8;
const CANDIDATES: usize = 4;
/// Cosine below which nothing is a neighbour: of the bundled embedder, where one hit in 500 lies lower and a search to
/// 0.55 costs twice as much; and of an embedder that we do not know.
const LEAST_COSINE: f32 = 0.70;
const LEAST_COSINE_OWN: f32 = 0.60;
/// How fast the weight of a neighbour falls with its distance from the best: by e for each twentieth.
const SHARPNESS: f32 = 20.0;

impl Partition {
    /// Candidates with the guards' reasons, and the bundled verifier's opinion where it is asked. `all` verifies those
    /// too that a guard refuses, for explaining.
    ///
    /// # Errors
    /// `InvalidArgument` as [`Partition::insert`].
    pub fn nominate(&self, text: &str, vector: Option<&[f32]>, all: bool) -> Result<Decision, Error> {
        self.nominate_among(text, vector, None, all)
    }

    /// The same with the near entries found by an index of the caller's, nearest first, where it has one.
    ///
    /// # Errors
    /// `InvalidArgument` as [`Partition::insert`].
    pub fn nominate_among(
        &self,
        text: &str,
        vector: Option<&[f32]>,
        found: Option<Vec<(u64, f32)>>,
        all: bool,
    ) -> Result<Decision, Error> {
        let (ids, own) = self.embed(text, vector)?;
        let Some(vector) = vector.or(own.as_ref().map(<[f32; DIMENSIONS]>::as_slice)) else {
            return Ok(Decision::nothing(&self.calibrator));
        };
        let near = match found {
            Some(found) => found,
            None if self.index.is_empty() => Vec::new(),
            None => self.index.search(vector, NEIGHBOURS, self.least_cosine())?,
        };
        let mut decision = Decision::nothing(&self.calibrator);
        if near.is_empty() {
            return Ok(decision);
        }
        let question = Question::read(text);
        let unread = is_unread(&ids);
        let encoded = self.encode(text, &ids);
        let opened = self.verifier.open(&encoded);
        let phrasings = if self.bars.len() == 0 {
            Vec::new()
        } else {
            self.bars.against(&unit(vector))
        };
        let mut open = 0;
        for &(id, cosine) in &near {
            if open == CANDIDATES {
                break;
            }
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            let reasons = guard::compare(&question, &entry.question, self.guards);
            let barred =
                !phrasings.is_empty() && self.index.get(id).is_some_and(|vector| Bars::hold(&phrasings, vector));
            let refused = barred || !reasons.is_empty();
            open += usize::from(!refused);
            let opinion = self.opinion(&opened, &entry.encoded, all || !refused);
            decision.candidates.push(Candidate {
                id,
                cosine,
                evidence: self.evidence(id, cosine, opinion, &near),
                verified: self.judge == Judge::Bundled && (all || !refused),
                strict: question.needs_strict() || entry.question.needs_strict() || unread || entry.unread,
                reasons,
                barred,
                probability: None,
            });
        }
        Ok(decision)
    }

    /// Cosine below which nothing is a neighbour.
    #[must_use]
    pub fn least_cosine(&self) -> f32 {
        if self.table.is_some() {
            LEAST_COSINE
        } else {
            LEAST_COSINE_OWN
        }
    }

    /// Token ids, and the bundled embedder's vector where it is in use.
    pub(super) fn embed(
        &self,
        text: &str,
        given: Option<&[f32]>,
    ) -> Result<(Vec<u32>, Option<[f32; DIMENSIONS]>), Error> {
        match (self.table, given) {
            (Some(table), None) => {
                let ids = tokenise(text, EMBEDDED_TOKENS)?;
                let vector = table.embed(&ids);
                Ok((ids, vector))
            }
            (None, Some(_)) if self.judge == Judge::Bundled => Ok((tokenise(text, EMBEDDED_TOKENS)?, None)),
            (None, Some(_)) => Ok((Vec::new(), None)),
            (Some(_), Some(_)) => Err(Error::InvalidArgument(
                "this partition embeds texts itself: give no vector, or make it with dimensions".to_owned(),
            )),
            (None, None) => Err(Error::InvalidArgument(
                "this partition has an embedder of your own: give the text's vector".to_owned(),
            )),
        }
    }

    /// What the verifier keeps of a text; without the bundled one, only the words.
    pub(super) fn encode(&self, text: &str, ids: &[u32]) -> Encoded {
        let ids = if self.judge == Judge::Bundled { ids } else { &[] };
        self.verifier.encode_tokens(text, ids)
    }

    fn opinion(&self, opened: &Opened<'_>, entry: &Encoded, asked: bool) -> Opinion {
        if self.judge == Judge::Bundled && asked {
            return self.verifier.compare(opened, entry);
        }
        self.verifier.words_only(opened, entry)
    }

    fn evidence(&self, id: u64, cosine: f32, opinion: Opinion, near: &[(u64, f32)]) -> Evidence {
        let best = near.first().map_or(cosine, |first| first.1);
        let group = self.groups.of(id);
        let (mut agreeing, mut dissenting) = (0.0, 0.0);
        for &(other, theirs) in near.iter().filter(|&&(other, _)| other != id) {
            let weight = (SHARPNESS * (theirs - best)).exp();
            if self.groups.of(other) == group {
                agreeing += weight;
            } else {
                dissenting += weight;
            }
        }
        Evidence {
            cosine,
            best,
            last: near.last().map_or(cosine, |last| last.1),
            opinion,
            agreeing,
            dissenting,
            history: self.entries.get(&id).map(|entry| entry.history).unwrap_or_default(),
            group: self.groups.history(id),
        }
    }
}

/// Whether half of a text or more is words that the table does not know.
pub(super) fn is_unread(ids: &[u32]) -> bool {
    !ids.is_empty() && 2 * ids.iter().filter(|&&id| id == UNKNOWN).count() >= ids.len()
}

/// A vector of length one; as it is when it has no length.
pub(super) fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let divisor = if length > 0.0 { length } else { 1.0 };
    vector.iter().map(|value| value / divisor).collect()
}
