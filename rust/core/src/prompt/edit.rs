//! Changes to a text as a list of replacements that refer to the original: applied, composed, and undone exactly.

use std::borrow::Cow;
use std::ops::Range;

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the text that it is made in.
    pub range: Range<usize>,
    /// What stands there afterwards.
    pub after: String,
    /// The rules that wanted it, joined by `+`.
    pub rule: Cow<'static, str>,
    /// Edits of one group are made together or not at all.
    pub group: usize,
}

impl Edit {
    pub(super) fn new(range: Range<usize>, after: impl Into<String>, rule: &'static str, group: usize) -> Self {
        Self {
            range,
            after: after.into(),
            rule: Cow::Borrowed(rule),
            group,
        }
    }
}

/// The text with all edits made; they are in order and do not overlap.
#[must_use]
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        changed.push_str(&text[at..edit.range.start]);
        changed.push_str(&edit.after);
        at = edit.range.end;
    }
    changed.push_str(&text[at..]);
    changed
}

/// Put edits in order and drop each that overlaps an earlier one, with its whole group.
pub(super) fn in_order(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut dropped = Vec::new();
    let mut end = 0;
    for (index, edit) in edits.iter().enumerate() {
        if index > 0 && edit.range.start < end {
            dropped.push(edit.group);
        } else {
            end = edit.range.end;
        }
    }
    if !dropped.is_empty() {
        edits.retain(|edit| !dropped.contains(&edit.group));
    }
    edits
}

/// One list that does to `text` what `first` and then `second` (which refers to the text that `first` made) do.
pub(super) fn compose(text: &str, first: &[Edit], second: &[Edit]) -> Vec<Edit> {
    if first.is_empty() {
        return second.to_vec();
    }
    let middle = apply(text, first);
    let mut shift: isize = 0;
    // Where each of the first edits lies in the middle text.
    let placed: Vec<Range<usize>> = first
        .iter()
        .map(|edit| {
            let start = edit.range.start.wrapping_add_signed(shift);
            shift += signed(edit.after.len()) - signed(edit.range.len());
            start..start + edit.after.len()
        })
        .collect();
    let mut joined = Vec::with_capacity(first.len() + second.len());
    let (mut a, mut b, mut offset) = (0, 0, 0isize);
    while a < placed.len() || b < second.len() {
        let from_first = b >= second.len() || placed.get(a).is_some_and(|range| range.start <= second[b].range.start);
        let mut hull = if from_first {
            placed[a].clone()
        } else {
            second[b].range.clone()
        };
        let (a_start, b_start) = (a, b);
        loop {
            if placed.get(a).is_some_and(|range| range.start <= hull.end) {
                hull.end = hull.end.max(placed[a].end);
                a += 1;
            } else if second.get(b).is_some_and(|edit| edit.range.start <= hull.end) {
                hull.end = hull.end.max(second[b].range.end);
                b += 1;
            } else {
                break;
            }
        }
        let start = hull.start.wrapping_add_signed(-offset);
        for edit in &first[a_start..a] {
            offset += signed(edit.after.len()) - signed(edit.range.len());
        }
        let end = hull.end.wrapping_add_signed(-offset);
        let inner: Vec<Edit> = second[b_start..b]
            .iter()
            .map(|edit| Edit {
                range: edit.range.start - hull.start..edit.range.end - hull.start,
                ..edit.clone()
            })
            .collect();
        let after = apply(&middle[hull], &inner);
        if text[start..end] != after {
            // What takes a stretch away as a whole has the credit for it, whatever shortened it before.
            let earlier = if after.is_empty() && b > b_start {
                &[]
            } else {
                &first[a_start..a]
            };
            joined.push(Edit {
                range: start..end,
                rule: rules(earlier.iter().chain(&second[b_start..b])),
                after,
                group: joined.len(),
            });
        }
    }
    joined
}

fn rules<'a>(edits: impl Iterator<Item = &'a Edit>) -> Cow<'static, str> {
    let mut names: Vec<&str> = Vec::new();
    let edits: Vec<&Edit> = edits.collect();
    for name in edits.iter().flat_map(|edit| edit.rule.split('+')) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match edits.as_slice() {
        [only] => only.rule.clone(),
        _ => Cow::Owned(names.join("+")),
    }
}

fn signed(length: usize) -> isize {
    isize::try_from(length).unwrap_or(isize::MAX)
}
