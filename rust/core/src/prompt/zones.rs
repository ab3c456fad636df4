//! Which lines of a prompt speak to the model, and which are material that it is to work on.
//!
//! `Review: really good!` and what stands below `Text:` is material: its words are somebody else's. Steps, rules and
//! questions below a heading are instructions. In doubt a line is material, and left alone.

use std::ops::Range;

use super::material::without_material;
use super::protect::lines;

/// A stretch of one line, or of several hard-wrapped ones, that speaks to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Bytes of the words, without the marker of a list item.
    pub(super) range: Range<usize>,
    /// Bytes of the whole lines, with the line feed behind them where there is one.
    pub(super) lines: Range<usize>,
    /// Begins with the number of a list item, which must stay.
    pub(super) numbered: bool,
    /// Begins with the marker of a list item.
    pub(super) item: bool,
    /// 0 for what holds everywhere; another number for each part with a heading or a condition of its own.
    pub(super) section: usize,
}

/// The stretches of a prompt that speak to the model.
pub(super) fn instructions(text: &str) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut material = false;
    let mut blank_before = false;
    let mut sections = 0;
    let mut section = 0;
    // `When the customer is angry:` holds for the lines below it, up to a blank one with no list item behind it.
    let mut case = None;
    for line in lines(text) {
        let whole = line.start..(line.end + 1).min(text.len());
        let content = text[line.clone()].trim();
        if content.is_empty() {
            blank_before = true;
            continue;
        }
        let fresh = std::mem::take(&mut blank_before);
        if content.starts_with('>') {
            continue; // quoted, as Markdown and mail have it
        }
        if let Some(heading) = heading(content) {
            material = names_material(heading);
            sections += 1;
            section = if material || is_conditional(heading) {
                sections
            } else {
                0
            };
            case = None;
            continue;
        }
        if material && !(fresh && speaks(content)) && !is_label(content) {
            continue;
        }
        material = false;
        let start = line.start + (text[line.clone()].len() - text[line.clone()].trim_start().len());
        let marker = item_marker(content);
        let words = start + marker..start + content.len();
        if fresh && marker == 0 {
            case = None;
        }
        let part = case.unwrap_or(section);
        let label = label_end(&text[words.clone()]);
        if let Some(end) = label {
            let name = &text[words.start..words.start + end];
            let rest = text[words.start + end + 1..words.end].trim();
            if !rest.is_empty() && !speaks_of_instructions(name) {
                continue; // `Label: material`
            }
            material = rest.is_empty() && names_material(name);
            if rest.is_empty() && is_conditional(name) {
                sections += 1;
                case = Some(sections);
            }
        }
        let numbered = marker > 0 && content.as_bytes()[0].is_ascii_digit();
        let stretch = Stretch {
            range: words,
            lines: whole,
            numbered,
            item: marker > 0,
            section: part,
        };
        match found.last_mut() {
            Some(last)
                if !fresh && marker == 0 && content.starts_with(char::is_lowercase) && last.lines.end == line.start =>
            {
                last.range.end = stretch.range.end;
                last.lines.end = stretch.lines.end;
            }
            _ => found.push(stretch),
        }
    }
    without_material(text, found)
}

/// The text of a Markdown heading, or of a line in bold letters that stands for one.
pub(super) fn heading(line: &str) -> Option<&str> {
    let inner = line.trim_start_matches('#');
    if inner.len() < line.len() && inner.starts_with(' ') {
        return Some(inner.trim());
    }
    let bold = line.strip_prefix("**")?.strip_suffix("**")?;
    (!bold.contains("**")).then_some(bold)
}

/// Whether a line stands above what it names: a heading, or a label with nothing behind it.
pub(super) fn is_heading_or_label(line: &str) -> bool {
    let line = line.trim();
    heading(line).is_some() || line.ends_with(':')
}

/// Length of a list item's marker with the blanks behind it; 0 where a line is none.
pub(super) fn item_marker(line: &str) -> usize {
    let rest = line.trim_start_matches(['-', '*', '•', '+']);
    let rest = if rest.len() + 1 == line.len() || line.starts_with('•') {
        rest
    } else {
        let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
        if digits.len() == line.len() || line.len() - digits.len() > 3 {
            return 0;
        }
        match digits.strip_prefix(['.', ')']) {
            Some(rest) => rest,
            None => return 0,
        }
    };
    if rest.starts_with(' ') {
        line.len() - rest.trim_start().len()
    } else {
        0
    }
}

/// Where the colon of a label stands: the first one of a line, with a blank or nothing behind it and no full stop before.
pub(super) fn label_end(line: &str) -> Option<usize> {
    let colon = line.find(':')?;
    let name = &line[..colon];
    let rest = &line[colon + 1..];
    let alone = rest.is_empty() || rest.starts_with([' ', '\t']);
    (alone && !name.contains(['.', '!', '?'])).then_some(colon)
}

fn is_label(line: &str) -> bool {
    label_end(line).is_some_and(|end| end + 1 == line.len() || line[..end].split(' ').count() <= 4)
}

pub(super) fn words_of(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Whether what stands below a label is material: so it is unless the label names instructions.
pub(super) fn names_material(name: &str) -> bool {
    !words_of(name).any(|word| INSTRUCTION_NAMES.contains(&word.as_str()))
}

/// Whether what stands behind a label in its line is an instruction.
fn speaks_of_instructions(name: &str) -> bool {
    words_of(name)
        .last()
        .is_some_and(|word| INSTRUCTION_NAMES.contains(&word.as_str()) && word != "questions")
}

/// Whether what follows holds only in some case.
pub(super) fn is_conditional(text: &str) -> bool {
    words_of(text).any(|word| CONDITIONS.contains(&word.as_str()))
}

/// Whether a sentence begins with a case: `If the order is late, …`. What follows may hold in that case only.
pub(super) fn opens_case(sentence: &str) -> bool {
    let mut words = words_of(sentence);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let narrows = |word: &str| CASES.contains(&word) || NARROWING.contains(&word);
    narrows(&first) || CASES.contains(&second.as_str()) || (first == "only" && narrows(&second))
}

/// Whether a line that follows material speaks to the model again.
fn speaks(line: &str) -> bool {
    words_of(line)
        .next()
        .is_some_and(|word| ORDERS.contains(&word.as_str()))
}

const CASES: &[&str] = &["if", "when", "whenever", "unless", "once", "case", "otherwise", "else"];

/// What begins a case where it stands first: `For premium users, …`, `In support mode, …`.
const NARROWING: &[&str] = &["for", "in", "during", "after", "before", "until", "while", "as"];

const CONDITIONS: &[&str] = &[
    "if",
    "when",
    "whenever",
    "unless",
    "until",
    "once",
    "while",
    "after",
    "before",
    "for",
    "case",
    "cases",
    "during",
    "otherwise",
    "else",
    "should",
    "first",
    "then",
    "next",
    "step",
];

const INSTRUCTION_NAMES: &[&str] = &[
    "task",
    "tasks",
    "role",
    "rules",
    "rule",
    "steps",
    "instruction",
    "instructions",
    "guidelines",
    "requirements",
    "important",
    "goal",
    "goals",
    "format",
    "output",
    "constraints",
    "criteria",
    "questions",
    "information",
    "fields",
    "points",
    "things",
    "tone",
    "style",
    "behavior",
    "behaviour",
    "objective",
    "remember",
    "warning",
    "tips",
];

const ORDERS: &[&str] = &[
    "please", "you", "your", "make", "ensure", "return", "provide", "answer", "thank", "thanks", "kindly", "remember",
    "do", "never", "always", "it", "respond", "use", "keep", "be", "could", "would", "can", "in", "once", "if",
];
