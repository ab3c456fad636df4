//! Level *lossless*: the same content in fewer signs. Blanks, padding, pretty-printed JSON, repetition, decoration.

use std::collections::HashMap;
use std::ops::Range;

use super::edit::Edit;
use super::json::compact;
use super::layout;
use super::protect::{Protected, Ranges, lines};
use super::repeats::Repeats;
use super::zones::item_marker;

/// A repeated block shorter than this many letters and digits is kept: a label may well stand there twice.
const LEAST_REPEATED: usize = 40;

/// All edits of level *lossless* but those of repetition, which may overlap them: see [`repeated`].
pub(super) fn edits(text: &str, protected: &Protected) -> Vec<Edit> {
    let mut all = Vec::new();
    if layout::matters(text) {
        return all;
    }
    for json in &protected.json {
        let value = &text[json.clone()];
        let small = compact(value);
        if small.len() < value.len() {
            all.push(Edit::new(json.clone(), small, "json", all.len()));
        }
    }
    let every: Vec<Range<usize>> = lines(text).collect();
    let meant = layout::meant(text, &every);
    let json = Ranges::new(protected.json.clone());
    let touched = |range: &Range<usize>| protected.verbatim.touch(range) || json.touch(range);
    for (index, line) in every.iter().enumerate() {
        let content = &text[line.clone()];
        if touched(line) {
            continue;
        }
        if content.trim().is_empty() {
            blank_line(&every, index, text, &touched, &mut all);
        } else if content.trim_start().starts_with('|')
            && content.trim_end().ends_with('|')
            && content.matches('|').count() > 2
        {
            table_row(text, line, &mut all);
        } else if let Some(short) = decoration(content).filter(|_| !layout::is_frame(text, &every, index)) {
            all.push(Edit::new(line.clone(), short, "decoration", all.len()));
        } else if !meant[index] {
            blanks(text, line, &mut all);
        }
    }
    comments(text, protected, &mut all);
    // Blanks between quotation marks, in tagged documents and in placeholders are somebody's own.
    all.retain(|edit| !edit.rule.contains("blank") || !protected.words.touch(&edit.range));
    all
}

/// A blank line after another, before the first line or behind the last goes; blanks in one go too.
fn blank_line(
    every: &[Range<usize>],
    index: usize,
    text: &str,
    touched: &impl Fn(&Range<usize>) -> bool,
    all: &mut Vec<Edit>,
) {
    let line = &every[index];
    let previous = index.checked_sub(1).map(|before| &every[before]);
    let after_blank = previous.is_none_or(|before| text[before.clone()].trim().is_empty() && !touched(before));
    let last = index + 1 == every.len();
    if after_blank && !last {
        all.push(Edit::new(line.start..line.end + 1, "", "blank lines", all.len()));
    } else if last && index > 0 {
        let start = previous.map_or(line.start, |before| before.end);
        all.push(Edit::new(start..line.end, "", "blank lines", all.len()));
    } else if line.start < line.end {
        all.push(Edit::new(line.clone(), "", "blanks", all.len()));
    }
}

fn table_row(text: &str, line: &Range<usize>, all: &mut Vec<Edit>) {
    let content = &text[line.clone()];
    let cells: Vec<String> = content
        .trim()
        .split('|')
        .map(|cell| {
            let cell = cell.trim();
            let rule = cell.len() > 1 && cell.trim_matches(':').bytes().all(|byte| byte == b'-') && cell.contains('-');
            if rule {
                let (left, right) = (cell.starts_with(':'), cell.ends_with(':'));
                format!("{}-{}", if left { ":" } else { "" }, if right { ":" } else { "" })
            } else {
                cell.to_owned()
            }
        })
        .collect();
    let small = cells.join("|");
    if small.len() < content.len() {
        all.push(Edit::new(line.clone(), small, "table", all.len()));
    }
}

/// A line of one repeated sign, shortened to three.
fn decoration(line: &str) -> Option<String> {
    let line = line.trim_end();
    let first = line.chars().next()?;
    let rule = line.len() > 5 && "-=*_#~+".contains(first) && line.chars().all(|character| character == first);
    rule.then(|| first.to_string().repeat(3))
}

/// Blanks at the end of a line, and runs of them inside it.
fn blanks(text: &str, line: &Range<usize>, all: &mut Vec<Edit>) {
    let content = &text[line.clone()];
    let trimmed = content.trim_end_matches([' ', '\t', '\r']).len();
    // A line feed may have a carriage return of its own before it: that is no blank.
    let end = if content.ends_with('\r') && content.len() == trimmed + 1 {
        content.len()
    } else {
        trimmed
    };
    let indent = content.len() - content.trim_start().len();
    let mut run: Option<usize> = None;
    for (at, character) in content[..trimmed].char_indices().skip_while(|(at, _)| *at < indent) {
        let blank = character == ' ' || character == '\t';
        match (run, blank) {
            (None, true) => run = Some(at),
            (Some(start), false) => {
                let gap = &content[start..at];
                if gap.len() > 1 {
                    let place = line.start + start..line.start + at;
                    all.push(Edit::new(place, " ", "blanks", all.len()));
                }
                run = None;
            }
            _ => {}
        }
    }
    if end < content.len() {
        all.push(Edit::new(line.start + end..line.end, "", "trailing blanks", all.len()));
    }
}

/// HTML comments on lines of their own, and entities for a blank; where HTML is spoken of, they stay.
fn comments(text: &str, protected: &Protected, all: &mut Vec<Edit>) {
    let mut places = Vec::new();
    let mut spoken_of = false;
    let mut at = 0;
    while let Some(step) = text[at..].find("<!--") {
        let start = at + step;
        let Some(length) = text[start..].find("-->") else { break };
        spoken_of |= speaks_of_html(&text[at..start]);
        at = start + length + 3;
        places.push(start..at);
    }
    if spoken_of || speaks_of_html(&text[at..]) {
        return;
    }
    for place in places {
        let own_line = text[..place.start].ends_with('\n') && text[place.end..].starts_with('\n');
        if own_line && !protected.verbatim.touch(&place) && !text[place.clone()].contains('{') {
            all.push(Edit::new(place.start..place.end + 1, "", "html comment", all.len()));
        }
    }
    for (found, _) in text.match_indices("&nbsp;") {
        if !protected.verbatim.touch(&(found..found + 6)) {
            all.push(Edit::new(found..found + 6, " ", "html entity", all.len()));
        }
    }
}

fn speaks_of_html(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        ["html", "comment", "comments"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    })
}

/// Blocks (what stands between blank lines) and long lines that stood there before, word for word.
///
/// Only what asks the model for something goes: a statement may be two facts, and where the prompt counts, two of anything
/// are two. Lines are compared only where neither is a list item, a table row or a label with its value. Code is left
/// alone, and so is what may be meant twice.
pub(super) fn repeated<'a>(text: &'a str, protected: &'a Protected) -> Vec<Edit> {
    let mut all = Vec::new();
    if layout::counts(text) || layout::matters(text) {
        return all;
    }
    let repeats = Repeats::of(text, &protected.words);
    let mut seen: HashMap<&'a str, Range<usize>> = HashMap::new();
    let mut again = |key: &'a str, place: &Range<usize>| {
        seen.insert(key, place.clone())
            .is_some_and(|earlier| !repeats.are_meant(&earlier, place))
    };
    let mut start = 0;
    for block in text.split("\n\n") {
        let range = start..start + block.len();
        start = range.end + 2;
        if protected.verbatim.touch(&range) {
            continue;
        }
        let key = block.trim();
        if long(key) && again(key, &range) {
            // The blank line before it goes with it; the first block of all is never a repetition.
            all.push(Edit::new(range.start - 2..range.end, "", "repeated block", all.len()));
            continue;
        }
        let mut at = range.start;
        for line in block.split('\n') {
            let place = at..at + line.len();
            at = place.end + 1;
            let key = line.trim();
            let item = item_marker(key) > 0;
            let prose =
                !item && long(key) && key.ends_with(['.', '!']) && !key.contains([':', '|']) && !key.starts_with('"');
            if key != block.trim() && prose && again(key, &place) {
                let whole = if place.start > range.start {
                    place.start - 1..place.end
                } else {
                    place.start..(place.end + 1).min(text.len())
                };
                all.push(Edit::new(whole, "", "repeated line", all.len()));
            }
        }
    }
    all
}

fn long(text: &str) -> bool {
    text.chars()
        .filter(|character| character.is_alphanumeric())
        .take(LEAST_REPEATED)
        .count()
        == LEAST_REPEATED
}
