//! Guards on words: values, codes, names, opposites, members of a class, degrees, and one word put for another.

use super::align::{Alignment, excludes, opposite};
use super::lexicon::Kind as Class;
use super::mark::Mark;
use super::quantity::{Kind, Quantity, unequal};
use super::question::Question;
use super::reason::{Found, Guard};
use super::split::{CAPITAL, CODE, CONTENT, NUMBER, SENTENCE, SHOUT};
use super::substitution::phrase;
use super::word::{Word, class_of};

fn guard_of(left: Option<&Quantity>, right: Option<&Quantity>) -> Guard {
    let dated = |one: Option<&Quantity>| {
        one.is_some_and(|one| {
            matches!(
                one.kind,
                Kind::Day | Kind::Month | Kind::MonthDay | Kind::Weekday | Kind::Relative | Kind::Time
            )
        })
    };
    if dated(left) || dated(right) {
        return Guard::Date;
    }
    if let (Some(left), Some(right)) = (left, right) {
        match (left.kind, right.kind) {
            (Kind::Money(a), Kind::Money(b)) if a != b => return Guard::Currency,
            (Kind::Unit(_), Kind::Unit(_)) if left.kind != right.kind || left.same_count(right) => return Guard::Unit,
            _ => {}
        }
    }
    Guard::Number
}

/// Numbers, times, dates, money, measures: by value.
pub(super) fn values(found: &mut Found<'_>) {
    let (left, right) = (found.left, found.right);
    if left.quantities.is_empty() && right.quantities.is_empty() {
        return;
    }
    for (one, other) in unequal(&left.quantities, &right.quantities) {
        let piece = |question: &'_ Question, one: Option<&Quantity>| {
            one.map_or(String::new(), |one| question.piece(one.start, one.end).to_owned())
        };
        // The same digits with another unit: it is the unit that differs.
        let guard = guard_of(one, other);
        found.add(guard, &piece(left, one), &piece(right, other));
    }
}

/// Codes, addresses, paths, options, versions: letter by letter, without case and hyphens.
pub(super) fn codes(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    let lonely = |words: &[Word], partners: &[Option<u16>], others: &[Word]| -> Vec<usize> {
        (0..words.len())
            .filter(|&at| words[at].is(CODE) && partners[at].is_none())
            .filter(|&at| !others.iter().any(|other| other.stem == words[at].stem))
            .collect()
    };
    let a = lonely(&left.words, &aligned.left, &right.words);
    let b = lonely(&right.words, &aligned.right, &left.words);
    for nth in 0..a.len().max(b.len()) {
        let one = a.get(nth).map(|&at| &left.words[at]);
        let other = b.get(nth).map(|&at| &right.words[at]);
        found.words(Guard::Identifier, one, other);
    }
}

/// Does the capital of the word make it a name?
fn is_name(question: &Question, word: &Word) -> bool {
    if !word.is(CAPITAL) || question.title_case || word.is(CODE | NUMBER) {
        return false;
    }
    // Other languages, and German above all, write other words large too; there any of them counts.
    // A common noun written large (`Student`, `Lake`) is none, as far as the tables know it.
    let common = word.entry != 0 && !word.is(SHOUT) && class_of(word).next().is_none() && !word.known().person;
    (!word.is(SENTENCE) || word.is(SHOUT)) && !common
}

/// Does the word only complete a name that both texts have (`Donald` before `Trump`)?
fn completes(question: &Question, at: usize, partners: &[Option<u16>]) -> bool {
    question.words.get(at + 1).is_some_and(|next| {
        next.is(CAPITAL)
            && next.is(CONTENT)
            && !next.is(SENTENCE)
            && partners[at + 1].is_some()
            && !question.words[at].is(SHOUT)
    })
}

/// Are the letters the first ones of words that follow one another in the other text (`AI`)?
fn is_spelled_out(question: &Question, word: &Word, other: &Question) -> bool {
    let letters = question.of(word).as_bytes();
    if !word.is(SHOUT) && !(2..=5).contains(&letters.len()) {
        return false;
    }
    other.words.windows(letters.len().max(1)).any(|words| {
        words.iter().zip(letters).all(|(word, letter)| {
            other
                .of(word)
                .as_bytes()
                .first()
                .is_some_and(|first| first.eq_ignore_ascii_case(letter))
        })
    })
}

/// Capitalised words that the other text does not have.
pub(super) fn names(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    let pick = |question: &Question, other: &Question, only: &[u16]| -> Vec<usize> {
        only.iter()
            .map(|&at| usize::from(at))
            .filter(|&at| is_name(question, &question.words[at]))
            .filter(|&at| !is_spelled_out(question, &question.words[at], other))
            .collect()
    };
    let mut a = pick(left, right, &aligned.only_left);
    let mut b = pick(right, left, &aligned.only_right);
    if aligned.only_right.is_empty() {
        a.retain(|&at| !completes(left, at, &aligned.left));
    }
    if aligned.only_left.is_empty() {
        b.retain(|&at| !completes(right, at, &aligned.right));
    }
    for nth in 0..a.len().max(b.len()) {
        let one = a.get(nth).map(|&at| &left.words[at]);
        let other = b.get(nth).map(|&at| &right.words[at]);
        if one.is_some_and(|one| spelled_by(right, one, left)) || other.is_some_and(|one| spelled_by(left, one, right))
        {
            continue;
        }
        // The word of the other side that stands there, when it is not a name by its letters (all small).
        let there = |only: &[u16], words: &'_ [Word]| only.first().map(|&at| words[usize::from(at)]);
        let one = one.copied().or_else(|| there(&aligned.only_left, &left.words));
        let other = other.copied().or_else(|| there(&aligned.only_right, &right.words));
        let pair = one.zip(other).and_then(|(one, other)| class_guard(&one, &other));
        found.words(pair.unwrap_or(Guard::Name), one.as_ref(), other.as_ref());
    }
}

/// Is the word part of a name that the other text writes by its first letters?
fn spelled_by(other: &Question, word: &Word, question: &Question) -> bool {
    let first = question
        .of(word)
        .chars()
        .next()
        .map(|letter| letter.to_ascii_lowercase());
    other.words.iter().any(|short| {
        short.is(SHOUT)
            && is_spelled_out(other, short, question)
            && first.is_some_and(|first| other.of(short).to_ascii_lowercase().contains(first))
    })
}

/// The guard of the class that holds both words as different members.
fn class_guard(one: &Word, other: &Word) -> Option<Guard> {
    if !excludes(one, other) {
        return None;
    }
    if one.known().person && other.known().person {
        return Some(Guard::Name);
    }
    class_of(one).find_map(|(kind, class, member)| {
        class_of(other).find(|(_, c, m)| *c == class && *m != member)?;
        Some(match kind {
            Class::Date => Guard::Date,
            Class::Currency => Guard::Currency,
            Class::Unit => Guard::Unit,
            Class::Language => Guard::Language,
            Class::Name => Guard::Name,
            Class::Qualifier => Guard::Qualifier,
            Class::Ordinal => Guard::Number,
        })
    })
}

fn pairs<'a>(found: &Found<'a>, aligned: &Alignment) -> Vec<(&'a Word, &'a Word)> {
    let mut all = Vec::new();
    for &i in &aligned.only_left {
        for &j in &aligned.only_right {
            all.push((&found.left.words[usize::from(i)], &found.right.words[usize::from(j)]));
        }
    }
    all
}

/// The same, where one of the two may repeat a word that has a partner.
fn free_pairs<'a>(found: &Found<'a>, aligned: &Alignment) -> Vec<(&'a Word, &'a Word)> {
    let mut all = Vec::new();
    for i in &aligned.free_left {
        for j in &aligned.free_right {
            if aligned.only_left.contains(i) || aligned.only_right.contains(j) {
                all.push((&found.left.words[usize::from(*i)], &found.right.words[usize::from(*j)]));
            }
        }
    }
    all
}

/// A word of one side against its opposite on the other; also small ones (`with` and `without`, `on` and `off`).
pub(super) fn opposites(found: &mut Found<'_>, aligned: &Alignment) {
    for (one, other) in free_pairs(found, aligned) {
        if opposite(one, other) {
            found.words(Guard::Opposite, Some(one), Some(other));
        }
    }
    let (left, right) = (found.left, found.right);
    for (i, one) in left.words.iter().enumerate() {
        if aligned.left[i].is_some() || one.is(CONTENT | NUMBER) || one.known().poles.is_empty() {
            continue;
        }
        for (j, other) in right.words.iter().enumerate() {
            if aligned.right[j].is_none() && !other.is(CONTENT | NUMBER) && opposite(one, other) {
                found.words(Guard::Opposite, Some(one), Some(other));
            }
        }
    }
}

/// Two members of one class (`premium` and `basic`, `debit` and `credit`); or one named on one side only.
pub(super) fn classes(found: &mut Found<'_>, aligned: &Alignment) {
    for (one, other) in pairs(found, aligned) {
        if let Some(guard) = class_guard(one, other) {
            found.words(guard, Some(one), Some(other));
        }
    }
    let (left, right) = (found.left, found.right);
    let added =
        |words: &[Word], only: &[u16]| -> Option<Word> { only.iter().map(|&at| words[usize::from(at)]).find(narrows) };
    if aligned.only_right.is_empty() && aligned.shared > 0 {
        if let Some(word) = added(&left.words, &aligned.only_left) {
            found.words(Guard::Qualifier, Some(&word), None);
        } else if let Some(span) = condition(left, &aligned.only_left) {
            found.add(Guard::Qualifier, &phrase(left, span), "");
        }
    } else if aligned.only_left.is_empty() && aligned.shared > 0 {
        if let Some(word) = added(&right.words, &aligned.only_right) {
            found.words(Guard::Qualifier, None, Some(&word));
        } else if let Some(span) = condition(right, &aligned.only_right) {
            found.add(Guard::Qualifier, "", &phrase(right, span));
        }
    }
}

/// `as a visitor`, `with asthma`, `during the exam`: a condition that only one of them sets.
fn condition(question: &Question, only: &[u16]) -> Option<(usize, usize)> {
    let at = usize::from(*only.first()?);
    let from = (at.saturating_sub(3)..at).rev().find(|&before| {
        let word = &question.words[before];
        matches!(
            word.mark,
            Mark::As | Mark::For | Mark::With | Mark::Without | Mark::Whether
        ) || const { super::hash::hashes(["during", "while", "despite"]) }.contains(&word.raw)
    })?;
    let whole = question.words[from + 1..at].iter().all(|word| !word.is(CONTENT)) && from > 0;
    // `while using`, `without going`: the same said at more length.
    let noun = question.words[at].stem_is_raw() || question.words[at].plural;
    (whole && noun && only.len() <= 2)
        .then(|| usize::from(*only.last().unwrap_or(&0)))
        .map(|last| (from, last))
}

/// Does the word narrow what is asked to one kind of it?
fn narrows(word: &Word) -> bool {
    let noun = word.stem_is_raw() || word.plural || word.listed;
    noun && class_of(word).any(|(kind, ..)| matches!(kind, Class::Qualifier | Class::Name | Class::Language))
}

/// The same adjective in another degree.
pub(super) fn degrees(found: &mut Found<'_>, aligned: &Alignment) {
    for (i, j) in partners(aligned) {
        let (one, other) = (&found.left.words[i], &found.right.words[j]);
        if one.is(CONTENT) && one.degree != other.degree && one.degree.max(other.degree) == 2 {
            found.words(Guard::Comparison, Some(one), Some(other));
        }
    }
    let least = |question: &Question| {
        question
            .words
            .iter()
            .find(|word| matches!(word.mark, Mark::Least | Mark::Most))
            .copied()
    };
    if let (Some(one), Some(other)) = (least(found.left), least(found.right))
        && one.mark != other.mark
    {
        found.words(Guard::Comparison, Some(&one), Some(&other));
    }
}

pub(super) fn partners(aligned: &Alignment) -> impl Iterator<Item = (usize, usize)> {
    aligned
        .left
        .iter()
        .enumerate()
        .filter_map(|(i, j)| j.map(|j| (i, usize::from(j))))
}
