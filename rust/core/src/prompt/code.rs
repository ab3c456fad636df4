//! Which lines of a text are code that stands in no fence: what looks like it, and what stands with that in one block.

use std::ops::Range;

use super::layout::is_prose;
use super::protect::{Ranges, lines};
use super::zones::item_marker;

/// The lines of code outside of fences and JSON; those of one piece as one stretch, with the blank lines inside it.
pub(super) fn stretches(text: &str, fenced: &Ranges, json: &[Range<usize>]) -> Vec<Range<usize>> {
    let every: Vec<Range<usize>> = lines(text).collect();
    let open = |line: &Range<usize>| !fenced.touch(line) && !is_json(text, line, json);
    let mut code = looks(text, &every);
    spread(text, &every, &mut code);
    for block in blocks(text, &every) {
        blocks_of_code(text, &every, block, &mut code);
    }
    for (line, code) in every.iter().zip(&mut code) {
        *code &= open(line);
    }
    joined(text, &every, &code)
}

/// Lines that look like code by themselves, and those set in as Markdown sets in code.
fn looks(text: &str, every: &[Range<usize>]) -> Vec<bool> {
    let mut indented_code = false;
    let mut blank_before = true;
    let mut found = Vec::with_capacity(every.len());
    for line in every {
        let content = &text[line.clone()];
        if content.trim().is_empty() {
            blank_before = true;
            found.push(false);
            continue;
        }
        let indented = content.starts_with("    ") || content.starts_with('\t');
        let start = content.trim_start();
        let item = start.starts_with(['-', '*', '+', '•', '|']) || starts_with_number(start);
        indented_code = indented && ((blank_before && !item) || indented_code);
        found.push(indented_code || looks_like_code(content));
        blank_before = false;
    }
    found
}

/// Whether a line belongs to JSON, which has rules of its own.
fn is_json(text: &str, line: &Range<usize>, json: &[Range<usize>]) -> bool {
    let content = &text[line.clone()];
    let words = line.start + (content.len() - content.trim_start().len());
    let next = json.partition_point(|value| value.end <= words);
    json.get(next)
        .is_some_and(|value| value.contains(&words) || is_labelled(text, line, value))
}

/// What follows a line of code in its block is code as well, unless it reads as a sentence or is a list item.
fn spread(text: &str, every: &[Range<usize>], code: &mut [bool]) {
    for at in 1..every.len() {
        let content = &text[every[at].clone()];
        let start = content.trim_start();
        if code[at - 1] && !code[at] && !start.is_empty() && item_marker(start) == 0 && !is_prose(content) {
            let inset = content.starts_with([' ', '\t']);
            code[at] = inset || content.contains(|c: char| "=;(){}[]<>#".contains(c));
        }
    }
}

/// Ranges of line numbers between blank lines.
fn blocks(text: &str, every: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (at, line) in every.iter().enumerate() {
        let blank = text[line.clone()].trim().is_empty();
        match found.last_mut().filter(|_| open) {
            Some(last) if !blank => last.end = at + 1,
            _ if !blank => found.push(at..at + 1),
            _ => {}
        }
        open = !blank;
    }
    found
}

/// Changes, recipes of a Makefile and YAML are told by several lines.
fn blocks_of_code(text: &str, every: &[Range<usize>], block: Range<usize>, code: &mut [bool]) {
    let line = |at: usize| &text[every[at].clone()];
    let starts = |sign: char| block.clone().any(|at| line(at).starts_with(sign));
    let change = starts('-') && starts('+') && !starts('*');
    let deepest = block
        .clone()
        .filter(|at| is_key(line(*at)))
        .map(|at| inset(line(at)))
        .max();
    let flattest = block
        .clone()
        .filter(|at| is_key(line(*at)))
        .map(|at| inset(line(at)))
        .min();
    let keyed = deepest > flattest;
    for at in block.clone() {
        let recipe = line(at).starts_with('\t') && at > block.start && (is_target(line(at - 1)) || code[at - 1]);
        if recipe {
            (code[at - 1], code[at]) = (true, true);
        }
        let signed = change && line(at).starts_with(['-', '+', ' ', '@']);
        let yaml = keyed && (is_key(line(at)) || inset(line(at)) > 0);
        code[at] |= signed || yaml;
    }
}

fn inset(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// `name: value` or `- name: value` with one word in small letters for a name, as YAML has it.
fn is_key(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ");
    let first = line.chars().next();
    line.split_once(':').is_some_and(|(name, rest)| {
        first.is_some_and(|c| c.is_lowercase() || c == '_')
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            && (rest.is_empty() || rest.starts_with(' '))
    })
}

/// `name: needs`, as a Makefile has it above a line with a tab.
fn is_target(line: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace))
}

/// Lines of code next to each other, or with blank lines between them, as one stretch.
fn joined(text: &str, every: &[Range<usize>], code: &[bool]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (line, code) in every.iter().zip(code) {
        let blank = text[line.clone()].trim().is_empty();
        match found.last_mut().filter(|_| open) {
            Some(last) if *code => last.end = line.end,
            _ if *code => found.push(line.clone()),
            _ => {}
        }
        open = *code || blank && open;
    }
    found
}

/// `Order: {"id": 7}`: a line that ends like code only because of the JSON behind its label.
fn is_labelled(text: &str, line: &Range<usize>, value: &Range<usize>) -> bool {
    if !(line.start..line.end).contains(&value.start) {
        return false;
    }
    let label = &text[line.start..value.start];
    let first = label.split([' ', ':']).next().unwrap_or("");
    label.starts_with(char::is_alphabetic)
        && label.trim_end().ends_with(':')
        && label
            .chars()
            .all(|character| character.is_alphanumeric() || " :-".contains(character))
        && !CODE_WORDS.contains(&first)
        && text[value.end..].lines().next().unwrap_or("").trim().is_empty()
}

fn starts_with_number(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && rest.starts_with(['.', ')'])
}

/// Whether a line is code rather than prose: its ending, its beginning or its signs say so.
fn looks_like_code(line: &str) -> bool {
    let line = line.trim();
    if line.starts_with("<!--") || !line.contains(|c: char| c.is_alphanumeric() || "{}()".contains(c)) {
        return false;
    }
    let first = line.split([' ', '(', ':']).next().unwrap_or("");
    let opens = CODE_WORDS.contains(&first)
        && (line.contains(['(', '=', '{', ';', '*', '<'])
            || line.ends_with(':')
            || line.contains(" import ")
            || first == "import");
    let prompt = [
        ">>> ", "$ ", "#!", "@", "#include", "//", "/*", "<?", "</", "diff --", "@@ ", "+++ ", "--- a/",
    ]
    .iter()
    .any(|start| line.starts_with(start));
    let sql = SQL_WORDS.contains(&first)
        && line
            .split(' ')
            .filter(|word| word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase()))
            .count()
            >= 2;
    let ends = line.ends_with([';', '{', '}'])
        && !line.ends_with("}}")
        && (line.contains(['(', '=', ')', ':']) || line.len() < 3);
    let signs = [
        "=>", "->", "==", "!=", "+=", "-=", "&&", "||", ":=", "();", ");", "</", "/>",
    ]
    .iter()
    .any(|sign| line.contains(sign));
    opens || prompt || sql || ends || signs || is_assignment(line)
}

/// `name = value`, `name.part += value` or a lone `name(argument)`.
fn is_assignment(line: &str) -> bool {
    let name = line
        .find(|c: char| !(c.is_alphanumeric() || "._[]'\"".contains(c)))
        .unwrap_or(line.len());
    if name == 0 || line.starts_with(['\'', '"', '[']) {
        return false;
    }
    let rest = &line[name..];
    rest.trim_start().starts_with("= ") || (rest.starts_with('(') && rest.ends_with(')') && !rest.contains(". "))
}

const CODE_WORDS: &[&str] = &[
    "def", "class", "import", "from", "return", "function", "const", "let", "var", "public", "private", "static",
    "void", "fn", "pub", "impl", "struct", "enum", "package", "func", "if", "elif", "else", "for", "while", "try",
    "except", "catch", "switch", "case", "async", "await", "export", "raise", "throw", "print", "echo", "with",
];

const SQL_WORDS: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "WITH", "FROM", "WHERE", "JOIN",
];
