//! Material that no label names: what stands behind an order to work on a text, and letters.
//!
//! `Translate into French`, and below a blank line `Please close the door.`: those words are somebody else's. Where the
//! prompt shows another place for its material (a placeholder, tags, `Text: …`), the orders may go on.

use std::ops::Range;

use super::protect::lines;
use super::zones::{Stretch, heading, label_end, names_material, words_of};
use crate::text::split::sentences;

/// Keep what speaks to the model: stretches in unlabelled material go, and one that runs into it ends there.
pub(super) fn without_material(text: &str, stretches: Vec<Stretch>) -> Vec<Stretch> {
    let Some(material) = find(text, &stretches) else {
        return stretches;
    };
    stretches
        .into_iter()
        .filter_map(|mut stretch| {
            if material.start <= stretch.range.start && stretch.range.start < material.end {
                return None;
            }
            if stretch.range.start < material.start && material.start < stretch.range.end {
                // It shares its line with the material: that line cannot be taken away as a whole.
                let end = text[..material.start].trim_end().len();
                stretch.range.end = end.max(stretch.range.start);
                stretch.lines = stretch.range.clone();
            }
            (stretch.range.start < stretch.range.end).then_some(stretch)
        })
        .collect()
}

/// Where the material is that an order without a label is about.
fn find(text: &str, stretches: &[Stretch]) -> Option<Range<usize>> {
    for (index, stretch) in stretches.iter().enumerate() {
        for range in sentences(&text[stretch.range.clone()]) {
            let range = stretch.range.start + range.start..stretch.range.start + range.end;
            let sentence = &text[range.clone()];
            if is_salutation(sentence) {
                return Some(range.start..text.len());
            }
            let Some(order) = Order::read(sentence) else { continue };
            if has_place(text) {
                return None;
            }
            if order.above {
                return Some(stretches[0].range.start..stretches[index].range.start);
            }
            let start = begins(text, stretch, &range, &order)?;
            return Some(start..resumes(text, start));
        }
    }
    None
}

/// Where the material of an order begins; None where the prompt shows none.
fn begins(text: &str, stretch: &Stretch, sentence: &Range<usize>, order: &Order) -> Option<usize> {
    if let Some(colon) = text[sentence.clone()].find(": ") {
        return Some(sentence.start + colon + 1);
    }
    let rest = &text[stretch.range.end..];
    let ends_line = sentence.end == stretch.range.end;
    let paragraph = rest.find("\n\n").map_or(text.len(), |at| stretch.range.end + at);
    let more = !text[paragraph..].trim().is_empty();
    if ends_line && !rest.trim().is_empty() {
        return Some(stretch.range.end);
    }
    if order.one || order.pointed && !more {
        return Some(sentence.end);
    }
    more.then_some(paragraph)
}

/// Where instructions begin again: at a heading or label that names them.
fn resumes(text: &str, start: usize) -> usize {
    lines(text)
        .filter(|line| line.start >= start)
        .find(|line| {
            let content = text[line.clone()].trim();
            let alone = label_end(content).is_some_and(|end| end + 1 == content.len());
            let name = heading(content).or_else(|| alone.then_some(content));
            name.is_some_and(|name| !names_material(name) && words_of(name).count() <= 3)
        })
        .map_or(text.len(), |line| line.start)
}

/// `Dear Anna,` or `To whom it may concern`: a letter begins.
fn is_salutation(sentence: &str) -> bool {
    let line = sentence.lines().next().unwrap_or_default();
    if line.to_lowercase().starts_with("to whom it may concern") {
        return true;
    }
    let Some((greeting, rest)) = line.split_once(' ') else {
        return false;
    };
    let Some((name, _)) = rest.split_once(',').filter(|(name, _)| name.split(' ').count() <= 4) else {
        return false;
    };
    let named = name.starts_with(|c: char| c.is_uppercase() || "{[<$%".contains(c))
        && !words_of(name).any(|word| MODELS.contains(&word.as_str()));
    let greeting = greeting.to_lowercase();
    greeting == "dear" && !words_of(name).any(|word| MODELS.contains(&word.as_str()))
        || named && ["hi", "hello", "hey"].contains(&greeting.as_str())
}

/// An order to work on a text.
struct Order {
    /// It names the text: `my letter`, `the following`, `this`.
    pointed: bool,
    /// It names a single sentence, which stands right behind it.
    one: bool,
    /// The text stands above.
    above: bool,
}

impl Order {
    fn read(sentence: &str) -> Option<Self> {
        let words: Vec<String> = words_of(sentence).take(MOST_WORDS).collect();
        let at = words.iter().position(|word| !LEADS.contains(&word.as_str()))?;
        let verb = words[at].as_str();
        let names = |nouns: &[&str]| {
            words.iter().enumerate().any(|(at, word)| {
                POINTERS.contains(&word.as_str())
                    && words[at + 1..]
                        .iter()
                        .take(NEAR)
                        .any(|noun| nouns.contains(&noun.as_str()))
            })
        };
        let one = names(SINGLE);
        let pointed = one || names(TEXTS) || words.iter().any(|word| word == "following");
        let edits = VERBS.contains(&verb)
            || matches!(verb, "reply" | "respond") && pointed
            || matches!(verb, "check" | "convert" | "analyze" | "analyse") && pointed;
        let shown = one || names(TEXTS);
        let quoted = sentence.contains(['"', '“', '«', '„']);
        ((edits || shown) && !quoted).then(|| Self {
            pointed,
            one,
            above: words.iter().any(|word| word == "above"),
        })
    }
}

/// Whether a prompt shows a place of its own for material: a fence, tags, a placeholder on a line of its own, or a
/// label that names it.
fn has_place(text: &str) -> bool {
    lines(text).any(|line| {
        let content = text[line].trim();
        let marked = ["```", "~~~", "\"\"\"", "'''"]
            .iter()
            .any(|mark| content.starts_with(mark));
        let placeholder =
            content.starts_with(['{', '[', '$']) && content.ends_with(['}', ']']) || content.starts_with('$');
        let tag = content.starts_with('<') && (content.contains("</") || content.ends_with('>'));
        let labelled = label_end(content).is_some_and(|end| {
            let name = &content[..end];
            name.split(' ').count() <= 4
                && words_of(name)
                    .last()
                    .is_some_and(|word| PLACES.contains(&word.as_str()))
        });
        marked || placeholder || tag || labelled
    })
}

/// Words of a sentence that are read for an order.
const MOST_WORDS: usize = 60;

/// Words from `my` to `letter`: `my short cover letter`.
const NEAR: usize = 3;

const MODELS: &[&str] = &[
    "claude",
    "chatgpt",
    "gpt",
    "gemini",
    "assistant",
    "ai",
    "bot",
    "model",
    "copilot",
];

/// What stands before the verb of an order.
const LEADS: &[&str] = &[
    "please",
    "kindly",
    "could",
    "would",
    "can",
    "will",
    "you",
    "i",
    "d",
    "ll",
    "we",
    "want",
    "need",
    "like",
    "to",
    "help",
    "me",
    "us",
    "and",
    "go",
    "ahead",
    "your",
    "task",
    "job",
    "goal",
    "is",
    "the",
    "now",
    "first",
    "then",
    "just",
    "let",
    "s",
    "hi",
    "hello",
    "hey",
    "there",
    "possibly",
    "also",
    "carefully",
    "for",
];

const VERBS: &[&str] = &[
    "translate",
    "correct",
    "proofread",
    "proofreading",
    "rewrite",
    "reword",
    "rephrase",
    "paraphrase",
    "improve",
    "edit",
    "polish",
    "rate",
    "grade",
    "review",
    "classify",
    "summarize",
    "summarise",
    "summary",
    "shorten",
    "fix",
    "simplify",
    "condense",
    "critique",
    "revise",
];

const POINTERS: &[&str] = &["following", "my", "this", "these", "our"];

const SINGLE: &[&str] = &["sentence", "phrase", "line", "headline", "title"];

const TEXTS: &[&str] = &[
    "sentence",
    "sentences",
    "text",
    "letter",
    "email",
    "mail",
    "message",
    "paragraph",
    "essay",
    "phrase",
    "phrases",
    "poem",
    "story",
    "speech",
    "comment",
    "post",
    "tweet",
    "draft",
    "passage",
    "dialogue",
    "cv",
    "abstract",
];

/// Last words of labels behind or below which the material stands.
const PLACES: &[&str] = &[
    "text",
    "texts",
    "email",
    "emails",
    "mail",
    "message",
    "messages",
    "review",
    "reviews",
    "ticket",
    "tickets",
    "document",
    "documents",
    "documentation",
    "article",
    "articles",
    "input",
    "context",
    "invoice",
    "letter",
    "data",
    "question",
    "content",
    "transcript",
    "conversation",
    "sentence",
    "paragraph",
    "passage",
    "passages",
    "post",
    "posting",
    "comment",
    "complaint",
    "description",
    "code",
    "note",
    "notes",
    "incident",
    "clause",
    "resume",
    "log",
    "logs",
    "story",
    "essay",
    "draft",
    "query",
    "request",
    "feedback",
    "abstract",
    "headline",
    "title",
    "function",
    "script",
    "file",
    "diff",
    "addresses",
    "responses",
    "report",
    "statement",
    "follows",
];
