//! Guard on negation: an odd number of them in one question, an even one in the other.

use super::align::Alignment;
use super::hash::hashes;
use super::mark::Mark;
use super::question::Question;
use super::reason::{Found, Guard};
use super::word::Word;

/// Words that are bad news in themselves: `declined` may stand for `did not go through`.
const SETBACKS: [u64; 34] = hashes([
    "broken",
    "missing",
    "fail",
    "decline",
    "declined",
    "reject",
    "refuse",
    "lose",
    "lost",
    "stuck",
    "wrong",
    "invalid",
    "deny",
    "prevent",
    "avoid",
    "stop",
    "lack",
    "forget",
    "unrecognized",
    "unavailable",
    "error",
    "problem",
    "issue",
    "trouble",
    "crash",
    "delay",
    "late",
    "wait",
    "pending",
    "refusing",
    "disappear",
    "absent",
    "declin",
    "refus",
]);

fn setback(question: &Question, only: &[u16]) -> bool {
    only.iter().any(|&at| {
        let word = &question.words[usize::from(at)];
        SETBACKS.contains(&word.raw) || SETBACKS.contains(&word.stem)
    })
}

/// An odd number of negations in one, an even one in the other; or a word against itself with a negative beginning.
pub(super) fn negations(found: &mut Found<'_>, aligned: &Alignment) {
    if !found.wants(Guard::Negation) {
        return;
    }
    let (left, right) = (found.left, found.right);
    let mut flips = 0;
    let mut shown: Option<(Word, Word)> = None;
    for &i in &aligned.only_left {
        for &j in &aligned.only_right {
            let (one, other) = (&left.words[usize::from(i)], &right.words[usize::from(j)]);
            if (one.base != 0 && (one.base == other.stem)) || (other.base != 0 && (other.base == one.stem)) {
                flips += 1;
                shown = Some((*one, *other));
            }
        }
    }
    let is = |word: &&Word| matches!(word.mark, Mark::Not | Mark::Without);
    let (a, b) = (
        left.words.iter().filter(is).count(),
        right.words.iter().filter(is).count(),
    );
    if (a + b + flips) % 2 == 0 {
        return;
    }
    if let Some((one, other)) = shown {
        return found.words(Guard::Negation, Some(&one), Some(&other));
    }
    // `cannot` against `unable`, `did not arrive` against `missing`: the other side has its own bad news.
    let fewer = if a < b {
        (left, &aligned.only_left)
    } else {
        (right, &aligned.only_right)
    };
    if setback(fewer.0, fewer.1) {
        return;
    }
    // `with` against `without` is told by the opposites.
    if found.has(Guard::Opposite) {
        return;
    }
    let one = left.words.iter().find(is).copied();
    let other = right.words.iter().find(is).copied();
    let (one, other) = if a > b { (one, None) } else { (None, other) };
    found.words(Guard::Negation, one.as_ref(), other.as_ref());
}
