//! Guard on one word put for another in the same sentence.

use super::align::Alignment;
use super::question::Question;
use super::reason::{Found, Guard};
use super::split::{CONTENT, NUMBER};

/// The same sentence but for one word or group of words, which is no synonym: another product, modifier or object.
pub(super) fn substitutions(found: &mut Found<'_>, aligned: &Alignment) {
    if !found.wants(Guard::Substitution) || aligned.only_left.is_empty() || aligned.only_right.is_empty() {
        return;
    }
    let told = |guard| {
        use Guard::{Currency, Date, Language, Name, Negation, Opposite, Qualifier, Unit};
        matches!(
            guard,
            Opposite | Name | Qualifier | Negation | Language | Currency | Unit | Date
        )
    };
    if aligned.shared == 0 || found.reasons.iter().any(|reason| told(reason.guard)) {
        return;
    }
    let single = aligned.only_left.len() == 1 && aligned.only_right.len() == 1;
    for &i in aligned.only_left.iter().take(12) {
        let left = run(&aligned.left, usize::from(i));
        for &j in aligned.only_right.iter().take(12) {
            let right = run(&aligned.right, usize::from(j));
            let before = meet(aligned, left.0.checked_sub(1), right.0.checked_sub(1));
            let after = meet(aligned, end(&aligned.left, left.1), end(&aligned.right, right.1));
            let (a, b) = (found.left, found.right);
            let plain = is_group(a, left) && is_group(b, right);
            if plain && ((before && after) || (single && (before || after) && aligned.shared >= 2)) {
                found.add(Guard::Substitution, &phrase(a, left), &phrase(b, right));
                // `80 pages` and `80 words`: what is counted differs.
                let counted = |question: &Question, first: usize| first > 0 && question.words[first - 1].is(NUMBER);
                if before && counted(a, left.0) && counted(b, right.0) {
                    found.add(Guard::Unit, &phrase(a, left), &phrase(b, right));
                }
                return;
            }
        }
    }
}

/// The words around one without a partner that have none either.
fn run(partners: &[Option<u16>], at: usize) -> (usize, usize) {
    let first = (0..at)
        .rev()
        .take_while(|&before| partners[before].is_none())
        .last()
        .unwrap_or(at);
    let last = (at + 1..partners.len())
        .take_while(|&after| partners[after].is_none())
        .last()
        .unwrap_or(at);
    (first, last)
}

/// One or two words, all of content: another wording that brings its own small words is no exchange of words.
fn is_group(question: &Question, (first, last): (usize, usize)) -> bool {
    last - first <= 1 && question.words[first..=last].iter().all(|word| word.is(CONTENT))
}

fn end(partners: &[Option<u16>], last: usize) -> Option<usize> {
    (last + 1 < partners.len()).then_some(last + 1)
}

/// Partners of one another, or both the end of their text.
fn meet(aligned: &Alignment, i: Option<usize>, j: Option<usize>) -> bool {
    match (i, j) {
        (None, None) => true,
        (Some(i), Some(j)) => aligned.left[i].map(usize::from) == Some(j),
        _ => false,
    }
}

pub(super) fn phrase(question: &Question, (first, last): (usize, usize)) -> String {
    question
        .piece(question.words[first].start, question.words[last].end)
        .to_owned()
}
