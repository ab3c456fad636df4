//! Rules that take the fat off a prompt: what they do, in which order, and the receipt for it.
//!
//! One pass finds the edits of each level on the text that the level below has made; passes repeat until nothing
//! changes, so a prompt optimised twice is a prompt optimised once. An edit that would not pay, in signs or in tokens, is
//! not made, so the result is never longer. All edits are kept as replacements in the *original*, so that each can be undone.

use std::ops::Range;

pub use super::edit::{Edit, apply};
use super::edit::{compose, in_order};
use super::phrases::{LIGHT_TABLE, STRONG_TABLE};
use super::protect::protected;
use super::{duplicates, light, lossless, strong};

/// How much may be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing but blanks, padding and repetition.
    Lossless,
    /// Besides: filler, politeness, wordiness, empty personas, instructions given twice.
    Light,
    /// Besides: templates in their shortest form, examples beyond the first few, a wish for a short answer.
    Strong,
}

/// What the rules may do to a prompt.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How much may be taken away.
    pub level: Level,
    /// Pairs of marks between which nothing is touched.
    pub markers: &'a [(String, String)],
    /// How many examples level *strong* keeps.
    pub examples: usize,
    /// Whether level *strong* may ask for a short answer.
    pub brevity: bool,
}

/// A change and what it saves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The replacement, in bytes of the original.
    pub edit: Edit,
    /// Tokens saved; these of all changes add up to the whole.
    pub saved: i64,
}

/// A prompt without its fat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimized {
    /// What is left.
    pub text: String,
    /// Tokens of the original.
    pub before: usize,
    /// Tokens of `text`.
    pub after: usize,
    /// What was done, in the order of the original.
    pub changes: Vec<Change>,
}

/// Passes after which a text that still changes is given up and left as it was.
const MOST_PASSES: usize = 12;

/// A stretch longer than this is weighed as a whole, not edit by edit: weighing is quadratic.
const LONG_STRETCH: usize = 4096;

/// Take the fat off a prompt. `count` says how many tokens a text has.
#[must_use]
pub fn optimize(prompt: &str, options: &Options<'_>, count: &dyn Fn(&str) -> usize) -> Optimized {
    let before = count(prompt);
    let mut edits = settled(prompt, options, count);
    let mut text = apply(prompt, &edits);
    let mut after = if edits.is_empty() { before } else { count(&text) };
    if options.level == Level::Strong && options.brevity && !strong::has_its_length(&text) && !text.trim().is_empty() {
        let asking = [Edit::new(0..0, strong::BREVITY, "brevity", 0)];
        let longer = apply(&text, &asking);
        let tokens = count(&longer);
        if fits(&longer, prompt) && tokens <= before && settled(&longer, options, count).is_empty() {
            edits = compose(prompt, &edits, &asking);
            (text, after) = (longer, tokens);
        }
    }
    if after > before || !fits(&text, prompt) {
        (edits, text, after) = (Vec::new(), prompt.to_owned(), before);
    }
    let changes = weigh(prompt, edits, before, after, count);
    Optimized {
        text,
        before,
        after,
        changes,
    }
}

/// Edits after which nothing of the level changes anything; none when that does not happen.
///
/// *Strong* adds its own to what *light* leaves, in turns, so it never saves less: each edit pays.
fn settled(prompt: &str, options: &Options<'_>, count: &dyn Fn(&str) -> usize) -> Vec<Edit> {
    let below = options.level.min(Level::Light);
    let mut edits = settle(prompt, below, options, count);
    if options.level < Level::Strong {
        return edits;
    }
    for _ in 0..MOST_PASSES {
        let text = apply(prompt, &edits);
        let own = settle(&text, Level::Strong, options, count);
        if own.is_empty() {
            return edits;
        }
        let further = settle(&apply(&text, &own), below, options, count);
        edits = compose(prompt, &compose(prompt, &edits, &own), &further);
        if further.is_empty() {
            return edits;
        }
    }
    Vec::new()
}

/// Edits of one level's rules after which another pass of them changes nothing; none when that does not happen.
fn settle(prompt: &str, level: Level, options: &Options<'_>, count: &dyn Fn(&str) -> usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut text = prompt.to_owned();
    for _ in 0..MOST_PASSES {
        let step = pass(&text, level, options, count);
        if step.is_empty() {
            return edits;
        }
        edits = compose(prompt, &edits, &step);
        text = apply(prompt, &edits);
    }
    Vec::new()
}

/// Whether a text is no longer than the prompt, in bytes and in characters: one character may be four bytes.
fn fits(text: &str, prompt: &str) -> bool {
    text.len() <= prompt.len() && text.chars().count() <= prompt.chars().count()
}

type Finder<'a> = Box<dyn Fn(&str) -> Vec<Edit> + 'a>;

/// One pass of the rules of a level: *light* takes in those of *lossless*, *strong* is what comes on top.
fn pass(prompt: &str, level: Level, options: &Options<'_>, count: &dyn Fn(&str) -> usize) -> Vec<Edit> {
    let markers = options.markers;
    let mut finders: Vec<Finder<'_>> = Vec::new();
    if level < Level::Strong {
        finders.push(Box::new(|text| lossless::edits(text, &protected(text, markers))));
        finders.push(Box::new(|text| lossless::repeated(text, &protected(text, markers))));
    }
    if level == Level::Light {
        finders.push(Box::new(|text| {
            light::edits(text, &protected(text, markers), &LIGHT_TABLE)
        }));
        finders.push(Box::new(|text| duplicates::edits(text, &protected(text, markers))));
    }
    if level == Level::Strong {
        finders.push(Box::new(|text| {
            light::edits(text, &protected(text, markers), &STRONG_TABLE)
        }));
        finders.push(Box::new(|text| strong::examples(text, options.examples)));
    }
    let mut edits = Vec::new();
    let mut text = prompt.to_owned();
    for find in finders {
        let found = paying(&text, in_order(find(&text)), count);
        if !found.is_empty() {
            edits = compose(prompt, &edits, &found);
            text = apply(prompt, &edits);
        }
    }
    edits
}

/// The groups of edits that make a text shorter and not dearer.
fn paying(text: &str, edits: Vec<Edit>, count: &dyn Fn(&str) -> usize) -> Vec<Edit> {
    let mut kept = Vec::with_capacity(edits.len());
    for (range, some) in stretches(text, edits) {
        let inside = &text[range.clone()];
        let mut tokens = count(inside);
        let mut made: Vec<Edit> = Vec::new();
        for group in groups(some, inside.len() > LONG_STRETCH) {
            let shorter = shorter(text, &group);
            if shorter < 0 {
                continue;
            }
            // Blanks that cost nothing are no fat, and they may mean something.
            let free = shorter > 0 && !group.iter().all(|edit| edit.rule.ends_with("blanks"));
            let mut with = made.clone();
            with.extend(group);
            with.sort_by_key(|edit| edit.range.start);
            let changed = apply(inside, &moved(&with, range.start));
            let now = count(&changed);
            if now < tokens || (now == tokens && free) {
                (made, tokens) = (with, now);
            }
        }
        kept.extend(made);
    }
    kept
}

/// By how much edits shorten a text, in bytes or in characters, whichever is less.
fn shorter(text: &str, edits: &[Edit]) -> isize {
    let by = |length: fn(&str) -> usize| -> isize {
        let lengths = edits
            .iter()
            .map(|edit| signed(length(&text[edit.range.clone()])) - signed(length(&edit.after)));
        lengths.sum()
    };
    by(str::len).min(by(|text| text.chars().count()))
}

fn groups(edits: Vec<Edit>, as_one: bool) -> Vec<Vec<Edit>> {
    let mut found: Vec<Vec<Edit>> = Vec::new();
    for edit in edits {
        match found.last_mut() {
            Some(last) if as_one || last.last().is_some_and(|before| before.group == edit.group) => last.push(edit),
            _ => found.push(vec![edit]),
        }
    }
    found
}

/// Cut a text at line feeds that no edit touches, so that the tokens of the parts add up; keep the parts with edits.
///
/// A token of the tokenizers in use never reaches over a line feed into a line that begins with neither a blank nor a
/// slash. Groups are never parted.
fn stretches(text: &str, edits: Vec<Edit>) -> Vec<(Range<usize>, Vec<Edit>)> {
    let bytes = text.as_bytes();
    let clean = |at: usize| at == 0 || (bytes[at - 1] == b'\n' && bytes.get(at).is_some_and(u8::is_ascii_alphanumeric));
    let mut found: Vec<(Range<usize>, Vec<Edit>)> = Vec::new();
    for edit in edits {
        let open = found.last().map_or(0, |(range, _)| range.end);
        let same_group = found
            .last()
            .is_some_and(|(_, some)| some.last().is_some_and(|last| last.group == edit.group));
        let start = (open..edit.range.start)
            .rev()
            .chain([open])
            .find(|at| clean(*at) && *at < edit.range.start);
        match found.last_mut() {
            Some((range, some)) if same_group || start.is_none_or(|start| start < range.end) => {
                range.end = range.end.max(edit.range.end);
                some.push(edit);
            }
            _ => found.push((start.unwrap_or(open)..edit.range.end, vec![edit])),
        }
        if let Some((range, _)) = found.last_mut() {
            // To the next clean cut: one byte past the edit at least, so that what follows it is weighed with it.
            let from = (range.end + 1).min(text.len());
            range.end = (from..text.len()).find(|at| clean(*at)).unwrap_or(text.len());
        }
    }
    found
}

fn moved(edits: &[Edit], by: usize) -> Vec<Edit> {
    edits
        .iter()
        .map(|edit| Edit {
            range: edit.range.start - by..edit.range.end - by,
            ..edit.clone()
        })
        .collect()
}

/// What each change saves, found by making them one after the other; a rounding rest goes to the last.
fn weigh(prompt: &str, edits: Vec<Edit>, before: usize, after: usize, count: &dyn Fn(&str) -> usize) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::with_capacity(edits.len());
    for (range, some) in stretches(prompt, edits) {
        let inside = &prompt[range.clone()];
        let long = inside.len() > LONG_STRETCH && some.len() > 8;
        let mut tokens = count(inside);
        for index in 0..some.len() {
            let saved = if long {
                0
            } else {
                let now = count(&apply(inside, &moved(&some[..=index], range.start)));
                let saved = difference(tokens, now);
                tokens = now;
                saved
            };
            changes.push(Change {
                edit: some[index].clone(),
                saved,
            });
        }
        if long {
            share(
                &mut changes,
                some.len(),
                difference(tokens, count(&apply(inside, &moved(&some, range.start)))),
            );
        }
    }
    let rest = difference(before, after) - changes.iter().map(|change| change.saved).sum::<i64>();
    if let Some(last) = changes.last_mut() {
        last.saved += rest;
    }
    changes
}

/// Share `saved` among the last `many` changes by the bytes that each takes away.
fn share(changes: &mut [Change], many: usize, saved: i64) {
    let from = changes.len() - many;
    let weight = |change: &Change| difference(change.edit.range.len(), change.edit.after.len()).max(0);
    let total: i64 = changes[from..].iter().map(weight).sum::<i64>().max(1);
    for change in &mut changes[from..] {
        change.saved = saved * weight(change) / total;
    }
}

fn difference(before: usize, after: usize) -> i64 {
    i64::try_from(before).unwrap_or(i64::MAX) - i64::try_from(after).unwrap_or(i64::MAX)
}

fn signed(length: usize) -> isize {
    isize::try_from(length).unwrap_or(isize::MAX)
}
