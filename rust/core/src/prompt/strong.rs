//! Level *strong*: beyond the templates in the tables, examples past the first few go, and brevity is asked for.

use std::ops::Range;

use super::edit::Edit;
use super::protect::lines;

/// What is put in front to ask for a short answer.
pub(super) const BREVITY: &str = "Be brief.\n";

/// Examples beyond the first `keep`: blocks that begin with `Example 4:`, `Example:` or, for pairs, `Input:` or `Q:`.
///
/// The block behind the last example is never taken: it may be the question itself, in the examples' form.
pub(super) fn examples(text: &str, keep: usize) -> Vec<Edit> {
    let blocks = blocks(text);
    for leads in [EXAMPLE, INPUT, QUESTION] {
        let starts: Vec<usize> = (0..blocks.len())
            .filter(|index| opens(&text[blocks[*index].clone()], leads))
            .collect();
        let complete: Vec<usize> = starts
            .iter()
            .copied()
            .filter(|index| leads == EXAMPLE || answered(&text[blocks[*index].clone()]))
            .collect();
        if complete.len() <= keep.max(1) {
            continue;
        }
        return complete[keep.max(1)..]
            .iter()
            .enumerate()
            .filter_map(|(group, index)| {
                let end = blocks.get(index + 1)?.start;
                Some(Edit::new(blocks[*index].start..end, "", "example", group))
            })
            .collect();
    }
    Vec::new()
}

const EXAMPLE: &[&str] = &["example"];
const INPUT: &[&str] = &["input", "text", "review", "user"];
const QUESTION: &[&str] = &["q", "question"];

/// Where the stretches between blank lines are.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for line in lines(text) {
        if text[line.clone()].trim().is_empty() {
            open = false;
        } else if let Some(last) = found.last_mut().filter(|_| open) {
            last.end = line.end;
        } else {
            found.push(line);
            open = true;
        }
    }
    found
}

/// Whether a block begins with one of these words, a number perhaps, and a colon.
fn opens(block: &str, leads: &[&str]) -> bool {
    let line = block.lines().next().unwrap_or("").trim_start_matches(['#', '*', ' ']);
    let Some((name, _)) = line.split_once(':') else {
        return false;
    };
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ' || c == '#' || c == '*');
    leads.iter().any(|lead| name.eq_ignore_ascii_case(lead))
}

/// Whether a pair has its second half, and something in it.
fn answered(block: &str) -> bool {
    block.lines().skip(1).any(|line| {
        line.split_once(':').is_some_and(|(name, rest)| {
            !rest.trim().is_empty()
                && !rest.contains('{')
                && ANSWERS.iter().any(|answer| name.trim().eq_ignore_ascii_case(answer))
        })
    })
}

const ANSWERS: &[&str] = &[
    "output",
    "a",
    "answer",
    "label",
    "sentiment",
    "category",
    "assistant",
    "result",
    "response",
];

/// Whether asking for brevity would save nothing or do harm: the prompt says how long the answer is to be, wants it
/// whole (`step by step`, `every part`), or its form leaves no choice (a label, a list, a table, code, a translation).
pub(super) fn has_its_length(text: &str) -> bool {
    let lower = text.to_lowercase();
    LENGTHS.iter().chain(FORMS).any(|word| lower.contains(word))
}

const LENGTHS: &[&str] = &[
    "be brief",
    "brief",
    "concise",
    "short",
    "succinct",
    "one word",
    "single word",
    "one sentence",
    "sentences",
    "words",
    "paragraphs",
    "detailed",
    "in detail",
    "comprehensive",
    "thorough",
    "long",
    "step by step",
    "lots of",
    "details",
    "every part",
    "all the",
    "all edge",
    "at least",
];

const FORMS: &[&str] = &[
    "json",
    "csv",
    "yaml",
    "code",
    "function",
    "script",
    "sql",
    "unit test",
    "table with",
    "as a list",
    "a list of",
    "list all",
    "label",
    "classif",
    "extract",
    "identify all",
    "only return",
    "return only",
    "answer as:",
    "true or false",
    "yes or no",
    "translate",
    "translation",
    "proofread",
    "correct any",
    "rewrite",
    "quiz",
    "outline",
    "an email",
    "the email",
    "letter",
    "dear ",
    "fill in",
    "template",
    "an article",
    "a poem",
    "a story",
];
