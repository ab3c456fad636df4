//! What no rule may touch: code, quotes, JSON, placeholders, addresses, and what the caller has marked.

use std::ops::Range;

use super::{code, json};

/// Byte ranges of a text, in order and apart.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<Range<usize>>);

impl Ranges {
    pub(super) fn new(mut all: Vec<Range<usize>>) -> Self {
        all.retain(|range| range.start < range.end);
        all.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(all.len());
        for range in all {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self(joined)
    }

    /// Whether any byte of `range` is in one of these.
    pub(super) fn touch(&self, range: &Range<usize>) -> bool {
        let next = self.0.partition_point(|own| own.end <= range.start);
        self.0.get(next).is_some_and(|own| own.start < range.end)
    }
}

/// What may not be touched, by how far it may not.
#[derive(Debug, Default)]
pub(super) struct Protected {
    /// Not even its blanks: fences, code, and what the caller has marked.
    pub(super) verbatim: Ranges,
    /// Not its words: the above, quotes, JSON, placeholders, addresses, ids, tagged documents.
    pub(super) words: Ranges,
    /// JSON values that stand in no code.
    pub(super) json: Vec<Range<usize>>,
}

/// Find what is protected in a text; `markers` are pairs of an opening and a closing text.
pub(super) fn protected(text: &str, markers: &[(String, String)]) -> Protected {
    let mut verbatim = fences(text);
    for (open, close) in markers {
        between(text, open, close, &mut verbatim);
    }
    inline_code(text, &mut verbatim);
    let fenced = Ranges::new(verbatim.clone());
    let mut json = json::values(text);
    json.retain(|range| !fenced.touch(range));
    verbatim.extend(code::stretches(text, &fenced, &json));
    let code = Ranges::new(verbatim.clone());
    json.retain(|range| !code.touch(range));
    let mut words = verbatim;
    words.extend(json.iter().cloned());
    between(text, "\"\"\"", "\"\"\"", &mut words);
    between(text, "'''", "'''", &mut words);
    quotes(text, &code, &mut words);
    braces(text, &mut words);
    tags(text, &mut words);
    odd_words(text, &mut words);
    Protected {
        verbatim: code,
        words: Ranges::new(words),
        json,
    }
}

/// The lines of a text without their line feeds.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    text.split('\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end + 1;
        range
    })
}

fn fences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str)> = None;
    for line in lines(text) {
        let content = text[line.clone()].trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| content.starts_with(mark));
        match (open, mark) {
            (None, Some(mark)) => {
                let same_line = content[3..].contains(mark);
                open = (!same_line).then_some((line.start, mark));
                if same_line {
                    found.push(line);
                }
            }
            (Some((start, opened)), Some(mark)) if mark == opened => {
                found.push(start..line.end);
                open = None;
            }
            _ => {}
        }
    }
    if let Some((start, _)) = open {
        found.push(start..text.len());
    }
    found
}

/// From each opening mark to the next closing one, or to the end.
fn between(text: &str, open: &str, close: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(step) = text[at..].find(open) {
        let start = at + step;
        let inner = start + open.len();
        let end = text[inner..]
            .find(close)
            .map_or(text.len(), |length| inner + length + close.len());
        found.push(start..end);
        at = end;
    }
}

/// Where the line or paragraph that holds `at` ends; `known` is the end that was found last, so a text is read once.
fn ending(text: &str, at: usize, known: usize, mark: &str) -> usize {
    if at < known {
        return known;
    }
    text[at..].find(mark).map_or(text.len(), |length| at + length)
}

fn inline_code(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    let mut paragraph = 0;
    while let Some(step) = text[at..].find('`') {
        let start = at + step;
        let run = text[start..].len() - text[start..].trim_start_matches('`').len();
        let inner = start + run;
        let mark = &text[start..inner];
        at = inner;
        // A closing mark in the same paragraph; a lonely one marks nothing.
        paragraph = ending(text, inner, paragraph, "\n\n");
        if let Some(length) = text[inner..paragraph].find(mark) {
            at = inner + length + run;
            found.push(start..at);
        }
    }
}

/// What stands between quotation marks within a paragraph.
fn quotes(text: &str, code: &Ranges, found: &mut Vec<Range<usize>>) {
    let mut open: Option<(usize, char)> = None;
    let mut before = ' ';
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map_or(' ', |(_, next)| *next);
        if character == '\n' && next == '\n' {
            open = None;
        }
        if let Some((start, close)) = open {
            let ends = character == close && (close != '\'' && close != '’' || !next.is_alphanumeric());
            if ends {
                found.push(start..at + character.len_utf8());
                open = None;
            }
        } else if !code.touch(&(at..at + 1)) {
            let begins = !before.is_alphanumeric() && !next.is_whitespace();
            open = closing(character)
                .filter(|_| begins || matches!(character, '"' | '“' | '„' | '«'))
                .map(|close| (at, close));
        }
        before = character;
    }
    // One that is never closed may stand for an inch, or for a quote cut off: the rest of its line is left alone.
    if let Some((start, close)) = open.filter(|(_, close)| *close != '\'' && *close != '’') {
        let _ = close;
        found.push(start..text[start..].find('\n').map_or(text.len(), |length| start + length));
    }
}

fn closing(character: char) -> Option<char> {
    match character {
        '"' => Some('"'),
        '\'' => Some('\''),
        '“' => Some('”'),
        '„' => Some('“'),
        '‘' => Some('’'),
        '«' => Some('»'),
        '「' => Some('」'),
        _ => None,
    }
}

/// `{x}`, `{{ x }}`, `${x}`, `[[x]]` and balanced brackets of what is JSON in all but name.
fn braces(text: &str, found: &mut Vec<Range<usize>>) {
    let (mut depth, mut start) = (0usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => {
                start = if depth == 0 { at } else { start };
                depth += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    found.push(start..at + 1);
                }
            }
            _ => {}
        }
    }
    // An opening brace without its closing one: JSON cut short, or a template; nothing behind it is safe.
    if depth > 0 {
        found.push(start..text.len());
    }
    let (mut at, mut line) = (0, 0);
    while let Some(step) = text[at..].find('[') {
        let open = at + step;
        at = open + 1;
        line = ending(text, open, line, "\n");
        match text[open..line].find(']') {
            Some(length) => found.push(open..open + length + 1),
            None => at = line, // nor is there one for the next bracket of this line
        }
    }
}

/// Bytes of the longest tag.
const LONGEST_TAG: usize = 200;

/// Tags and placeholders between angle brackets, and what stands between a tag and its end, unless it is instructions.
fn tags(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    let mut searched_in_vain: Vec<&str> = Vec::new();
    while let Some(step) = text[at..].find('<') {
        let open = at + step;
        at = open + 1;
        let near = &text.as_bytes()[at..text.len().min(at + LONGEST_TAG)];
        let Some(length) = near.iter().position(|byte| *byte == b'>') else {
            continue;
        };
        let inside = &text[at..at + length];
        if inside.contains(['\n', '<']) || inside.starts_with([' ', '=']) || inside.is_empty() {
            continue;
        }
        let end = at + length + 1;
        found.push(open..end);
        let name = inside.split([' ', '/']).next().unwrap_or("");
        let instructions = INSTRUCTION_TAGS.contains(&name.to_lowercase().as_str());
        if !name.is_empty() && !instructions && !searched_in_vain.contains(&name) {
            match text[end..].find(&format!("</{name}>")) {
                Some(body) => {
                    found.push(open..end + body);
                    at = end + body;
                    continue;
                }
                None => searched_in_vain.push(name),
            }
        }
        at = end;
    }
}

const INSTRUCTION_TAGS: &[&str] = &[
    "instructions",
    "instruction",
    "rules",
    "rule",
    "task",
    "role",
    "system",
    "guidelines",
    "goal",
    "requirements",
    "p",
    "b",
    "i",
    "em",
    "strong",
    "li",
    "ul",
    "ol",
    "br",
    "div",
    "span",
    "body",
    "html",
    "constraints",
    "behavior",
    "tone",
];

/// Stretches between blanks that are no words: with digits, `%s`, `$VAR`, addresses, paths, ids, names of code.
fn odd_words(text: &str, found: &mut Vec<Range<usize>>) {
    let mut start = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        if !character.is_whitespace() {
            start.get_or_insert(at);
            continue;
        }
        if let Some(from) = start.take() {
            let word = &text[from..at];
            let odd = word
                .bytes()
                .any(|byte| byte.is_ascii_digit() || b"@\\_$%^~=#|".contains(&byte))
                || word.contains("://")
                || word
                    .trim_matches(|c: char| !c.is_alphanumeric())
                    .contains(['/', '.', '&']);
            if odd {
                found.push(from..at);
            }
        }
    }
}
