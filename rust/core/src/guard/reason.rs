//! Guards by name, sets of them, and what they say.

use super::question::Question;
use super::word::Word;
use crate::error::Error;

/// One kind of difference that changes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Guard {
    /// Another number.
    Number,
    /// The same number of another unit.
    Unit,
    /// Another currency.
    Currency,
    /// Another day, month, season or hour.
    Date,
    /// Another code, address, path, version.
    Identifier,
    /// Another person, place, company or product by name.
    Name,
    /// One is the other's negation.
    Negation,
    /// A word against its opposite.
    Opposite,
    /// The same names in other roles.
    Direction,
    /// Another kind of question.
    Question,
    /// All against some; at least against at most; only one of them says `only`.
    Quantifier,
    /// Must against may against should.
    Modality,
    /// Another product, tier, audience or kind; or one of them named on one side only.
    Qualifier,
    /// One word of the same sentence is another word, and no synonym.
    Substitution,
    /// Another degree: cheap against cheapest.
    Comparison,
    /// Another language, asked in or asked about.
    Language,
    /// Past against future.
    Tense,
    /// Something is to be done, not told.
    Action,
    /// `this` or `those` that only one of them points with.
    Reference,
    /// What is true now, of one or both: the answer may have changed.
    Freshness,
    /// Not all of a long text was read, and the rest differs.
    Unread,
}

impl Guard {
    /// All guards, in the order of their bits.
    pub const ALL: [Self; 21] = [
        Self::Number,
        Self::Unit,
        Self::Currency,
        Self::Date,
        Self::Identifier,
        Self::Name,
        Self::Negation,
        Self::Opposite,
        Self::Direction,
        Self::Question,
        Self::Quantifier,
        Self::Modality,
        Self::Qualifier,
        Self::Substitution,
        Self::Comparison,
        Self::Language,
        Self::Tense,
        Self::Action,
        Self::Reference,
        Self::Freshness,
        Self::Unread,
    ];

    /// The name, the same in every release.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Unit => "unit",
            Self::Currency => "currency",
            Self::Date => "date",
            Self::Identifier => "identifier",
            Self::Name => "name",
            Self::Negation => "negation",
            Self::Opposite => "opposite",
            Self::Direction => "direction",
            Self::Question => "question",
            Self::Quantifier => "quantifier",
            Self::Modality => "modality",
            Self::Qualifier => "qualifier",
            Self::Substitution => "substitution",
            Self::Comparison => "comparison",
            Self::Language => "language",
            Self::Tense => "tense",
            Self::Action => "action",
            Self::Reference => "reference",
            Self::Freshness => "freshness",
            Self::Unread => "unread",
        }
    }

    /// The guard of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.name() == name)
    }
}

/// A set of guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards(u32);

impl Guards {
    /// Every guard.
    pub const ALL: Self = Self((1 << Guard::ALL.len()) - 1);
    /// No guard.
    pub const NONE: Self = Self(0);

    /// The set of these names.
    ///
    /// # Errors
    /// `InvalidArgument` when a name is no guard's; the message lists those there are.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut set = Self::NONE;
        for name in names {
            match Guard::from_name(name) {
                Some(guard) => set = set.with(guard),
                None => return Err(unknown(name)),
            }
        }
        Ok(set)
    }

    /// The set and one more.
    #[must_use]
    pub fn with(self, guard: Guard) -> Self {
        Self(self.0 | 1 << guard as u8)
    }

    /// The set without one.
    #[must_use]
    pub const fn without(self, guard: Guard) -> Self {
        Self(self.0 & !(1 << guard as u8))
    }

    /// Is it in the set?
    #[must_use]
    pub fn has(self, guard: Guard) -> bool {
        self.0 & (1 << guard as u8) != 0
    }

    /// Names of the guards of the set, in the order of their bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Guard::ALL
            .into_iter()
            .filter(move |guard| self.has(*guard))
            .map(Guard::name)
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self::ALL
    }
}

/// Why two questions must not share an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Which guard says so.
    pub guard: Guard,
    /// The words of the left question that differ; empty when it has nothing there.
    pub left: String,
    /// The words of the right question that differ.
    pub right: String,
}

/// The reasons found so far, and where to look.
pub(super) struct Found<'a> {
    pub(super) left: &'a Question,
    pub(super) right: &'a Question,
    guards: Guards,
    pub(super) reasons: Vec<Reason>,
}

impl<'a> Found<'a> {
    pub(super) fn new(left: &'a Question, right: &'a Question, guards: Guards) -> Self {
        Self {
            left,
            right,
            guards,
            reasons: Vec::new(),
        }
    }

    pub(super) fn wants(&self, guard: Guard) -> bool {
        self.guards.has(guard)
    }

    pub(super) fn add(&mut self, guard: Guard, left: &str, right: &str) {
        let reason = Reason {
            guard,
            left: left.to_owned(),
            right: right.to_owned(),
        };
        if self.wants(guard) && self.reasons.len() < 16 && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// A reason with words as evidence.
    pub(super) fn words(&mut self, guard: Guard, left: Option<&Word>, right: Option<&Word>) {
        let (a, b) = (self.left, self.right);
        self.add(
            guard,
            left.map_or("", |word| a.of(word)),
            right.map_or("", |word| b.of(word)),
        );
    }

    pub(super) fn has(&self, guard: Guard) -> bool {
        self.reasons.iter().any(|reason| reason.guard == guard)
    }
}

fn unknown(name: &str) -> Error {
    let all: Vec<&str> = Guard::ALL.into_iter().map(Guard::name).collect();
    Error::InvalidArgument(format!("no guard is called {name:?}; there are: {}", all.join(", ")))
}
