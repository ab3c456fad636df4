//! Which words of two questions stand for each other.

use super::question::Question;
use super::split::{CAPITAL, CODE, CONTENT, NUMBER};
use super::word::Word;

/// Partners of the words of two questions; words of content only.
#[derive(Debug)]
pub(super) struct Alignment {
    /// For every word of the left its partner in the right.
    pub(super) left: Vec<Option<u16>>,
    pub(super) right: Vec<Option<u16>>,
    /// Words of content without a partner.
    pub(super) only_left: Vec<u16>,
    pub(super) only_right: Vec<u16>,
    /// The same with those that repeat a word which has one.
    pub(super) free_left: Vec<u16>,
    pub(super) free_right: Vec<u16>,
    /// Of those with one, how many are another word (a synonym, a relative or a slip of the pen).
    pub(super) renamed: u16,
    pub(super) shared: u16,
}

/// How near two words are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Near {
    Same,
    Family,
    Synonym,
    Slip,
}

fn near(left: &Word, right: &Word) -> Option<Near> {
    if left.stem == right.stem {
        return Some(Near::Same);
    }
    if left.is(CODE | NUMBER) || right.is(CODE | NUMBER) {
        return None;
    }
    if left.root == right.root && !opposite(left, right) {
        return Some(Near::Family);
    }
    if left.entry != 0 && right.entry != 0 {
        let (known, other) = (left.known(), right.known());
        let group = known.groups.iter().any(|group| other.groups.contains(group));
        let named = known.members.iter().any(|member| other.members.contains(member));
        if (group || named) && !opposite(left, right) && !excludes(left, right) {
            return Some(Near::Synonym);
        }
    }
    None
}

/// Do the two stand on different sides of an axis?
pub(super) fn opposite(left: &Word, right: &Word) -> bool {
    if left.entry == 0 || right.entry == 0 {
        return false;
    }
    let other = right.known();
    left.known().poles.iter().any(|pole| other.poles.contains(&-pole))
}

/// Are the two different members of one class?
pub(super) fn excludes(left: &Word, right: &Word) -> bool {
    if left.entry == 0 || right.entry == 0 || left.entry == right.entry {
        return false;
    }
    let (known, other) = (left.known(), right.known());
    if known.person && other.person {
        return true;
    }
    let same = known.members.iter().any(|member| other.members.contains(member));
    !same
        && known
            .members
            .iter()
            .any(|(class, member)| other.members.iter().any(|(c, m)| c == class && m != member))
}

/// A word that is compared: it has content, or is the small half of a pair of opposites (`with`, `on`, `before`).
fn compared(word: &Word) -> bool {
    word.is(CONTENT)
}

/// One letter more, less, other or exchanged: a slip of the pen in a word that no table knows.
fn slip(left: &str, right: &str) -> bool {
    let fold = |text: &str| {
        text.bytes()
            .map(|octet| octet.to_ascii_lowercase())
            .collect::<Vec<u8>>()
    };
    let (mut short, mut long) = (fold(left), fold(right));
    if short.len() > long.len() {
        std::mem::swap(&mut short, &mut long);
    }
    if short.len() < 5 || long.len() - short.len() > 1 || short[0] != long[0] {
        return false;
    }
    let same = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    if same == short.len() {
        return true;
    }
    let (a, b) = (&short[same..], &long[same..]);
    if short.len() < long.len() {
        return a == &b[1..];
    }
    a[1..] == b[1..] || (a.len() > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..])
}

fn slipped(left: &Question, one: &Word, right: &Question, other: &Word) -> bool {
    (one.entry == 0 || other.entry == 0)
        && one.length.abs_diff(other.length) <= 1
        && one.length >= 5
        && !one.is(CODE | NUMBER)
        && !other.is(CODE | NUMBER)
        && !(one.is(CAPITAL) && other.is(CAPITAL))
        && one.base == 0
        && other.base == 0
        && slip(left.of(one), right.of(other))
}

/// Find partners: the same word first, nearest in place, then relatives, synonyms and slips.
pub(super) fn align(left: &Question, right: &Question) -> Alignment {
    let (a, b) = (&left.words, &right.words);
    let mut found = Alignment {
        left: vec![None; a.len()],
        right: vec![None; b.len()],
        only_left: Vec::new(),
        only_right: Vec::new(),
        free_left: Vec::new(),
        free_right: Vec::new(),
        renamed: 0,
        shared: 0,
    };
    for pass in [Near::Same, Near::Family, Near::Synonym, Near::Slip] {
        for (i, word) in a.iter().enumerate() {
            if found.left[i].is_some() || (pass != Near::Same && !compared(word)) {
                continue;
            }
            let mut best = None;
            for (j, other) in b.iter().enumerate() {
                if found.right[j].is_some() || (pass != Near::Same && !compared(other)) {
                    continue;
                }
                let fits = match pass {
                    Near::Same => word.stem == other.stem,
                    Near::Slip => slipped(left, word, right, other),
                    _ => near(word, other) == Some(pass),
                };
                if fits && best.is_none_or(|old: usize| i.abs_diff(j) < i.abs_diff(old)) {
                    best = Some(j);
                }
            }
            if let Some(j) = best {
                found.left[i] = u16::try_from(j).ok();
                found.right[j] = u16::try_from(i).ok();
                if word.is(CONTENT) {
                    found.shared += 1;
                    found.renamed += u16::from(pass != Near::Same);
                }
            }
        }
    }
    compounds(left, right, &mut found.left, &mut found.right);
    compounds(right, left, &mut found.right, &mut found.left);
    found.free_left = free(a, &found.left);
    found.free_right = free(b, &found.right);
    found.only_left = lonely(a, b, &found.free_left);
    found.only_right = lonely(b, a, &found.free_right);
    found
}

/// `payslip` against `pay slip`: one word that the other text writes as two.
fn compounds(one: &Question, other: &Question, ones: &mut [Option<u16>], others: &mut [Option<u16>]) {
    for (i, word) in one.words.iter().enumerate() {
        if ones[i].is_some() || !word.is(CONTENT) || word.length < 5 {
            continue;
        }
        let letters = |question: &Question, word: &Word| {
            question
                .of(word)
                .bytes()
                .filter(u8::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_lowercase())
                .collect::<Vec<u8>>()
        };
        let whole = letters(one, word);
        let pair = other.words.windows(2).position(|pair| {
            pair[0].is(CONTENT) && pair[0].length < word.length && {
                let mut joined = letters(other, &pair[0]);
                joined.extend(letters(other, &pair[1]));
                let bare = |text: &[u8]| text.strip_suffix(b"s").unwrap_or(text).to_vec();
                pair[0].end < pair[1].start && bare(&joined) == bare(&whole)
            }
        });
        if let Some(j) = pair
            && others[j].is_none()
            && others[j + 1].is_none()
        {
            ones[i] = u16::try_from(j).ok();
            others[j] = u16::try_from(i).ok();
            others[j + 1] = others[j];
        }
    }
}

fn free(words: &[Word], partners: &[Option<u16>]) -> Vec<u16> {
    words
        .iter()
        .enumerate()
        .filter(|(at, word)| partners[*at].is_none() && word.is(CONTENT))
        .filter_map(|(at, _)| u16::try_from(at).ok())
        .collect()
}

/// Words of content without a partner. A word that repeats one with a partner is no difference.
fn lonely(words: &[Word], others: &[Word], free: &[u16]) -> Vec<u16> {
    free.iter()
        .copied()
        .filter(|&at| {
            let word = &words[usize::from(at)];
            !others
                .iter()
                .any(|other| other.is(CONTENT) && near(word, other).is_some())
        })
        .collect()
}
