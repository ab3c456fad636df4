//! Small words that shape a question: what each one does in a sentence.

/// What a small word does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Mark {
    #[default]
    None,
    // Question words.
    Who,
    When,
    Where,
    Why,
    How,
    What,
    HowLong,
    HowMuch,
    HowMany,
    HowOften,
    HowOther,
    WhatHappens,
    Whether,
    // Verbs that help.
    Present,
    Past,
    Future,
    Can,
    Must,
    Should,
    Would,
    /// `need to`: an obligation only in a question.
    Need,
    Not,
    Without,
    // Places of a name.
    From,
    To,
    Than,
    Before,
    After,
    By,
    Over,
    With,
    For,
    Of,
    In,
    On,
    As,
    Joint,
    // How many of them.
    All,
    Some,
    Any,
    Only,
    AtLeast,
    AtMost,
    MoreThan,
    LessThan,
    More,
    Most,
    Less,
    Least,
    // Persons and pointers.
    Subject,
    Possessive,
    Article,
    Pointing,
    Please,
    Tell,
    Want,
    Now,
}

impl Mark {
    pub(super) fn asks(self) -> bool {
        (Self::Who as u8..=Self::WhatHappens as u8).contains(&(self as u8))
    }

    pub(super) fn helps(self) -> bool {
        (Self::Present as u8..=Self::Would as u8).contains(&(self as u8))
    }

    pub(super) fn places(self) -> bool {
        (Self::From as u8..=Self::As as u8).contains(&(self as u8))
    }
}

pub(super) const MARKS: &[(&str, Mark)] = &[
    ("who", Mark::Who), ("whom", Mark::Who), ("whose", Mark::Who),
    ("when", Mark::When), ("where", Mark::Where), ("why", Mark::Why), ("how", Mark::How),
    ("what", Mark::What), ("which", Mark::What), ("whats", Mark::What),
    ("howlong", Mark::HowLong), ("howsoon", Mark::HowLong), ("howmuch", Mark::HowMuch), ("howmany", Mark::HowMany),
    ("howoften", Mark::HowOften), ("howfar", Mark::HowOther), ("howold", Mark::HowOther), ("howbig", Mark::HowOther),
    ("howtall", Mark::HowOther), ("howheavy", Mark::HowOther), ("howlate", Mark::HowOther),
    ("howearly", Mark::HowOther), ("issafe", Mark::HowOther), ("whathappens", Mark::WhatHappens),
    ("whether", Mark::Whether), ("if", Mark::Whether),
    ("is", Mark::Present), ("are", Mark::Present), ("am", Mark::Present), ("do", Mark::Present),
    ("does", Mark::Present), ("has", Mark::Present), ("have", Mark::Present),
    ("was", Mark::Past), ("were", Mark::Past), ("did", Mark::Past), ("had", Mark::Past),
    ("will", Mark::Future), ("shall", Mark::Future), ("willnot", Mark::Future),
    ("can", Mark::Can), ("could", Mark::Can), ("may", Mark::Can), ("might", Mark::Can),
    ("must", Mark::Must), ("should", Mark::Should), ("ought", Mark::Should), ("would", Mark::Would),
    ("mustneed", Mark::Need), ("need", Mark::Need), ("require", Mark::Need),
    ("not", Mark::Not), ("never", Mark::Not), ("no", Mark::Not), ("none", Mark::Not), ("nor", Mark::Not),
    ("neither", Mark::Not), ("nobody", Mark::Not), ("nothing", Mark::Not), ("cannot", Mark::Not),
    ("unable", Mark::Not), ("without", Mark::Without), ("except", Mark::Without), ("excluding", Mark::Without),
    ("insteadof", Mark::Without),
    ("from", Mark::From), ("to", Mark::To), ("into", Mark::To), ("onto", Mark::To), ("than", Mark::Than),
    ("before", Mark::Before), ("after", Mark::After), ("by", Mark::By), ("over", Mark::Over),
    ("with", Mark::With), ("for", Mark::For), ("of", Mark::Of), ("in", Mark::In), ("on", Mark::On),
    ("at", Mark::On), ("as", Mark::As), ("and", Mark::Joint), ("or", Mark::Joint), ("vs", Mark::Joint),
    ("versus", Mark::Joint), ("but", Mark::Joint),
    ("all", Mark::All), ("every", Mark::All), ("each", Mark::All), ("some", Mark::Some), ("any", Mark::Any),
    ("only", Mark::Only), ("atleast", Mark::AtLeast), ("atmost", Mark::AtMost), ("morethan", Mark::MoreThan),
    ("lessthan", Mark::LessThan), ("more", Mark::More), ("most", Mark::Most), ("less", Mark::Less),
    ("least", Mark::Least),
    ("i", Mark::Subject), ("you", Mark::Subject), ("he", Mark::Subject), ("she", Mark::Subject),
    ("it", Mark::Subject), ("we", Mark::Subject), ("they", Mark::Subject), ("one", Mark::Subject),
    ("my", Mark::Possessive), ("your", Mark::Possessive), ("his", Mark::Possessive), ("her", Mark::Possessive),
    ("our", Mark::Possessive), ("their", Mark::Possessive), ("its", Mark::Possessive),
    ("me", Mark::Possessive), ("him", Mark::Possessive), ("them", Mark::Possessive),
    ("a", Mark::Article), ("an", Mark::Article), ("the", Mark::Article),
    ("this", Mark::Pointing), ("these", Mark::Pointing), ("that", Mark::Pointing), ("those", Mark::Pointing),
    ("please", Mark::Please), ("kindly", Mark::Please), ("hi", Mark::Please), ("hello", Mark::Please),
    ("hey", Mark::Please), ("ok", Mark::Please), ("just", Mark::Please), ("now", Mark::Now), ("so", Mark::Please),
    ("tell", Mark::Tell), ("show", Mark::Tell), ("explain", Mark::Tell), ("give", Mark::Tell),
    ("describe", Mark::Tell), ("help", Mark::Tell), ("advise", Mark::Tell), ("guide", Mark::Tell),
    ("wonder", Mark::Tell), ("wondering", Mark::Tell), ("know", Mark::Tell), ("let", Mark::Tell),
    ("want", Mark::Want), ("wanna", Mark::Want), ("like", Mark::Want), ("trying", Mark::Want), ("wish", Mark::Want),
];
