//! The probability that an answer to one question serves another: the bundled token-alignment network.
//!
//! Vectors nominate and guards veto; this decides between what is left, from the order of words and from which word
//! stands against which. A text is encoded once ([`Encoded`], 1.7 KB for twelve tokens) and compared often. The numbers
//! are those of `reference.py` beside the model card, to 1e-3 of a probability. English only.

mod layer;
mod network;
mod signals;
mod words;

use std::sync::OnceLock;

pub use network::SIGNALS;
use network::{Network, Tokens, Unpacked};
use signals::Reading;
pub use signals::place;

use crate::error::Error;
use crate::vector::bundle;
use crate::vector::embed::Table;
use crate::vector::wordpiece::{VERIFIED_TOKENS, tokenise};

/// The logit of a text without tokens against any other: certainly not the same.
const NOTHING: f32 = -20.0;

/// A text as the verifier keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    tokens: Tokens,
    reading: Reading,
}

impl Encoded {
    /// Octets that it holds, itself included.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of::<Self>() + self.tokens.octets() + self.reading.octets()
    }
}

/// A text unpacked for comparing it with several others.
#[derive(Debug)]
pub struct Opened<'a> {
    unpacked: Unpacked<'a>,
    encoded: &'a Encoded,
}

/// What the network says of two texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opinion {
    /// Before calibration.
    pub logit: f32,
    /// That one answer serves both, calibrated on pairs that pass the guards.
    pub probability: f32,
    /// Comparisons of words, at the places of [`place`].
    pub signals: [f32; SIGNALS],
}

/// The calibration of the shipped network, for opinions that are not its own.
const SHIPPED: (f32, f32) = (0.8948, -0.2580);

impl Opinion {
    /// The same comparisons with another verifier's probability.
    #[must_use]
    pub fn with_probability(self, probability: f32) -> Self {
        let bounded = probability.clamp(1e-4, 1.0 - 1e-4);
        Self {
            logit: ((bounded / (1.0 - bounded)).ln() - SHIPPED.1) / SHIPPED.0,
            probability,
            ..self
        }
    }
}

/// The bundled network with the table that it reads rows from.
#[derive(Debug)]
pub struct Verifier {
    network: Network,
    table: &'static Table,
}

impl Verifier {
    /// The bundled verifier, checked at the first call.
    ///
    /// # Errors
    /// `Damaged` when a bundled file is not what was built in.
    pub fn bundled() -> Result<&'static Self, Error> {
        static VERIFIER: OnceLock<Result<Verifier, Error>> = OnceLock::new();
        VERIFIER
            .get_or_init(|| {
                Ok(Self {
                    network: Network::open(bundle::VERIFIER)?,
                    table: Table::bundled()?,
                })
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Encode a text; only its first 32 tokens and 2,048 octets are read.
    ///
    /// # Errors
    /// `Damaged` when a bundled file is.
    pub fn encode(&self, text: &str) -> Result<Encoded, Error> {
        Ok(self.encode_tokens(text, &tokenise(text, VERIFIED_TOKENS)?))
    }

    /// Encode a text whose token ids are known already; ids beyond the 32nd are not read.
    #[must_use]
    pub fn encode_tokens(&self, text: &str, ids: &[u32]) -> Encoded {
        Encoded {
            tokens: self.network.encode(self.table, &ids[..ids.len().min(VERIFIED_TOKENS)]),
            reading: Reading::of(text),
        }
    }

    /// Unpack a text for several comparisons.
    #[must_use]
    pub fn open<'a>(&self, encoded: &'a Encoded) -> Opened<'a> {
        Opened {
            unpacked: self.network.unpack(self.table, &encoded.tokens),
            encoded,
        }
    }

    /// What the network says of two texts; swapping them changes nothing but the last bits.
    #[must_use]
    pub fn compare(&self, a: &Opened<'_>, b: &Encoded) -> Opinion {
        let signals = signals::compare(&a.encoded.reading, &b.reading);
        let logit = if a.encoded.tokens.is_empty() || b.tokens.is_empty() {
            NOTHING
        } else {
            let b = self.network.unpack(self.table, &b.tokens);
            self.network.score(&a.unpacked, &b, &signals)
        };
        Opinion {
            logit,
            probability: self.calibrated(logit),
            signals,
        }
    }

    /// The comparisons of words alone, without an opinion of the network.
    #[must_use]
    pub fn words_only(&self, a: &Opened<'_>, b: &Encoded) -> Opinion {
        Opinion {
            logit: 0.0,
            probability: 0.5,
            signals: signals::compare(&a.encoded.reading, &b.reading),
        }
    }

    /// The probability that one answer serves both texts.
    #[must_use]
    pub fn probability(&self, a: &Encoded, b: &Encoded) -> f32 {
        self.compare(&self.open(a), b).probability
    }

    fn calibrated(&self, logit: f32) -> f32 {
        let (slope, offset) = self.network.platt;
        1.0 / (1.0 + (-(slope * logit + offset)).exp())
    }
}
