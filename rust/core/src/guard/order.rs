//! The same words in other roles: `USD to EUR` and `EUR to USD`, `A owns B` and `B owns A`.

use super::align::Alignment;
use super::frame::Ask;
use super::hash::{hash, hashes};
use super::mark::Mark;
use super::question::Question;
use super::reason::{Found, Guard};
use super::split::{CLAUSE, CODE, CONTENT, NUMBER};
use super::terms::partners;
use super::word::Word;

/// Names exchanged their places, or turned round a verb.
pub(super) fn directions(found: &mut Found<'_>, aligned: &Alignment) {
    if !found.wants(Guard::Direction) {
        return;
    }
    let (left, right) = (found.left, found.right);
    let shared: Vec<(usize, usize)> = partners(aligned)
        .filter(|&(i, _)| left.words[i].is(CONTENT | CODE))
        .take(40)
        .collect();
    let word = |(i, j): (usize, usize)| (&left.words[i], &right.words[j]);
    for (nth, &first) in shared.iter().enumerate() {
        let (one, other) = word(first);
        let noun = one.raw == other.raw && !one.known().action;
        let moved = shared.iter().any(|&second| {
            let (two, another) = word(second);
            second != first
                && two.place != another.place
                && [two.place, another.place]
                    .iter()
                    .all(|place| matches!(place, Mark::From | Mark::To | Mark::None))
        });
        if faces(one.place, other.place) && (noun || moved) {
            found.words(Guard::Direction, Some(one), Some(other));
            return;
        }
        for &second in &shared[nth + 1..] {
            let (two, another) = word(second);
            let near = first.0.abs_diff(second.0) <= 8 && first.1.abs_diff(second.1) <= 8;
            if near && exchanged(one, two, other, another) && !joined(left, first.0, second.0) {
                found.add(
                    Guard::Direction,
                    &span(left, first.0, second.0),
                    &span(right, first.1, second.1),
                );
                return;
            }
        }
    }
    let ask = left.frame.ask != Ask::Open && right.frame.ask != Ask::Open;
    let around = if ask { turned(left, right, &shared) } else { None };
    if let Some((a, b)) = around.or_else(|| reattached(left, right, &shared, aligned)) {
        found.add(Guard::Direction, &span(left, a.0, b.0), &span(right, a.1, b.1));
    }
}

/// The two places exclude one another for one word.
fn faces(one: Mark, other: Mark) -> bool {
    matches!((one, other), (Mark::From, Mark::To) | (Mark::To, Mark::From))
}

/// Two words whose places are exchanged. `of` and possession say the same in either order.
fn exchanged(one: &Word, two: &Word, other: &Word, another: &Word) -> bool {
    let (p, q) = (one.place, two.place);
    p != q
        && other.place == q
        && another.place == p
        && p != Mark::Of
        && q != Mark::Of
        && [p, q].iter().any(|place| {
            matches!(
                place,
                Mark::From
                    | Mark::To
                    | Mark::Than
                    | Mark::Before
                    | Mark::After
                    | Mark::By
                    | Mark::Over
                    | Mark::In
                    | Mark::With
                    | Mark::As
                    | Mark::For
            )
        })
}

/// Joined by `and`, `or` or a slash: their order says nothing.
fn joined(question: &Question, i: usize, j: usize) -> bool {
    let (from, to) = (i.min(j), i.max(j));
    to - from <= 4
        && question.words[from + 1..to]
            .iter()
            .any(|word| word.mark == Mark::Joint && question.of(word) != "/")
}

const SYMMETRIC: [u64; 8] = hashes([
    "same",
    "differ",
    "difference",
    "compare",
    "equal",
    "similar",
    "marry",
    "between",
]);

/// `x v y` against `y v x`: subject and object are exchanged, unless one of them is passive; then unless they are not.
fn turned(left: &Question, right: &Question, shared: &[(usize, usize)]) -> Option<((usize, usize), (usize, usize))> {
    for (nth, &pivot) in shared.iter().enumerate() {
        let symmetric = SYMMETRIC.contains(&left.words[pivot.0].raw);
        if symmetric || !acts(left, pivot.0) || !acts(right, pivot.1) {
            continue;
        }
        let passive = is_passive(left, pivot.0) != is_passive(right, pivot.1);
        for &before in shared[..nth].iter().rev().take(3) {
            for &after in shared[nth + 1..].iter().take(3) {
                let bare = [(left, before.0), (left, after.0), (right, before.1), (right, after.1)]
                    .iter()
                    .all(|(question, at)| matches!(question.words[*at].place, Mark::None | Mark::By));
                let bare = bare && !placed(left, before.0, after.0) && !placed(right, before.1, after.1);
                let same_clause = !cut(left, before.0, after.0) && !cut(right, before.1, after.1);
                if !bare || !same_clause || joined(left, before.0, after.0) {
                    continue;
                }
                let reversed = after.1 < pivot.1 && pivot.1 < before.1;
                let kept = before.1 < pivot.1 && pivot.1 < after.1;
                if (reversed && !passive) || (kept && passive && by_after(left, right, pivot)) {
                    return Some((before, after));
                }
            }
        }
    }
    None
}

/// Is there anything that ends a clause between the two?
fn cut(question: &Question, i: usize, j: usize) -> bool {
    let (from, to) = (i.min(j), i.max(j));
    question.words[from + 1..=to]
        .iter()
        .any(|word| word.is(CLAUSE) || word.mark == Mark::Joint)
}

/// Is there a preposition other than `by` between the two, or more than a few words?
fn placed(question: &Question, i: usize, j: usize) -> bool {
    let (from, to) = (i.min(j), i.max(j));
    to - from > 8
        || question.words[from..to]
            .iter()
            .any(|word| word.mark.places() && word.mark != Mark::By)
}

/// A word that may act: not under a preposition other than an infinitive's `to`.
fn acts(question: &Question, at: usize) -> bool {
    matches!(question.words[at].place, Mark::None | Mark::To)
}

/// `is owned by`: a participle with a form of `be` before it and `by` after it.
fn is_passive(question: &Question, at: usize) -> bool {
    let be = question.words[at.saturating_sub(5)..at].iter().any(|word| {
        const { hashes(["is", "are", "was", "were", "be", "been", "get", "got", "being"]) }.contains(&word.raw)
    });
    let close = question.words[at.saturating_sub(2)..at]
        .iter()
        .any(|word| word.mark.helps() || word.raw == const { hash("be") });
    be && (close || !question.words[at].stem_is_raw())
        && question.words[at + 1..]
            .iter()
            .take(4)
            .any(|word| word.mark == Mark::By)
}

fn by_after(left: &Question, right: &Question, pivot: (usize, usize)) -> bool {
    is_passive(left, pivot.0) || is_passive(right, pivot.1)
}

/// `red car, blue seats` against `blue car, red seats`: two modifiers exchanged their heads.
fn reattached(
    left: &Question,
    right: &Question,
    shared: &[(usize, usize)],
    aligned: &Alignment,
) -> Option<((usize, usize), (usize, usize))> {
    let head = |question: &Question, at: usize| {
        (at + 1 < question.words.len())
            .then_some(at + 1)
            .filter(|&next| question.words[next].is(CONTENT) && !question.words[next].is(CLAUSE | NUMBER))
    };
    for (nth, &first) in shared.iter().enumerate() {
        let Some(head_first) = head(left, first.0) else {
            continue;
        };
        for &second in &shared[nth + 1..] {
            let (Some(head_second), Some(other_first), Some(other_second)) =
                (head(left, second.0), head(right, first.1), head(right, second.1))
            else {
                continue;
            };
            let partner = |at: usize| aligned.left[at].map(usize::from);
            let crossed = partner(head_first) == Some(other_second) && partner(head_second) == Some(other_first);
            if crossed && head_first != second.0 && head_second != first.0 {
                return Some((first, second));
            }
        }
    }
    None
}

fn span(question: &Question, i: usize, j: usize) -> String {
    let (from, to) = (i.min(j), i.max(j));
    question
        .piece(question.words[from].start, question.words[to].end)
        .to_owned()
}
