//! Sentences that say nothing: greetings, thanks, personas without a person, wishes that any answer be good.

use super::lexeme::Lexeme;

/// What kind of empty sentence this is, or None when it says something.
///
/// A sentence is empty when *every* word of it is on a closed list and one of them shows what it is: `Please make sure
/// that your response is accurate and informative.` Names, numbers, negations and conditions are on no list.
pub(super) fn emptiness(lexemes: &[Lexeme<'_>]) -> Option<&'static str> {
    let words: Vec<&str> = lexemes
        .iter()
        .filter(|lexeme| lexeme.is_word)
        .map(|lexeme| lexeme.lower.as_ref())
        .collect();
    let plain = lexemes.iter().all(|lexeme| {
        if lexeme.is_word {
            !lexeme.fixed
        } else {
            matches!(lexeme.lower.as_ref(), "," | "." | "!" | "-" | "'" | "’")
        }
    });
    if !plain || words.is_empty() {
        return None;
    }
    let all = |lists: &[&[&str]]| words.iter().all(|word| lists.iter().any(|list| list.contains(word)));
    let any = |list: &[&str]| words.iter().any(|word| list.contains(word));
    if all(&[GREETING]) && GREETING_STARTS.iter().any(|start| words.starts_with(start)) {
        return Some("greeting");
    }
    let persona = words.starts_with(&["you", "are"]) || words.starts_with(&["act", "as"]);
    if persona && all(&[PERSONA, GENERIC_ROLES]) && any(GENERIC_ROLES) {
        return Some("persona");
    }
    let exhorts = (any(QUALITIES) && any(ANSWERS)) || words.windows(3).any(|three| three == ["take", "your", "time"]);
    (all(&[EXHORTATION, QUALITIES, ANSWERS]) && exhorts).then_some("exhortation")
}

const GREETING_STARTS: &[&[&str]] = &[
    &["hello"],
    &["hi"],
    &["hey"],
    &["good", "morning"],
    &["good", "afternoon"],
    &["good", "evening"],
    &["thanks"],
    &["thank", "you"],
    &["many", "thanks"],
    &["i", "hope", "you", "are"],
    &["i", "hope", "this"],
    &["i", "need", "your", "help"],
    &["i", "need", "help"],
    &["i", "appreciate"],
    &["i", "really", "appreciate"],
    &["cheers"],
    &["please", "help", "me"],
];

const GREETING: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "there",
    "good",
    "morning",
    "afternoon",
    "evening",
    "thanks",
    "thank",
    "you",
    "very",
    "so",
    "much",
    "a",
    "lot",
    "in",
    "advance",
    "for",
    "your",
    "help",
    "support",
    "assistance",
    "time",
    "i",
    "hope",
    "are",
    "doing",
    "well",
    "appreciate",
    "it",
    "really",
    "need",
    "with",
    "something",
    "many",
    "and",
    "cheers",
    "dear",
    "all",
    "this",
    "finds",
    "message",
    "today",
    "great",
    "please",
    "me",
    "kind",
    "regards",
    "best",
    "work",
    "again",
    "assistant",
    "ai",
    "the",
    "bunch",
];

/// What a persona without a person is made of besides its role.
const PERSONA: &[&str] = &[
    "you",
    "are",
    "act",
    "as",
    "a",
    "an",
    "the",
    "and",
    "very",
    "highly",
    "helpful",
    "language",
    "large",
    "intelligent",
    "knowledgeable",
    "smart",
    "advanced",
    "powerful",
    "capable",
    "skilled",
    "experienced",
    "artificial",
    "system",
    "virtual",
    "world-class",
    "useful",
    "expert",
    "agent",
    "ai-powered",
];

const GENERIC_ROLES: &[&str] = &["assistant", "chatbot", "bot", "model", "ai", "intelligence"];

const QUALITIES: &[&str] = &[
    "helpful",
    "accurate",
    "accurately",
    "detailed",
    "comprehensive",
    "informative",
    "thorough",
    "thoroughly",
    "insightful",
    "useful",
    "well-written",
    "well-structured",
    "correct",
    "high-quality",
    "high",
    "good",
    "great",
    "excellent",
    "best",
    "clear",
    "carefully",
    "careful",
    "meaningful",
    "valuable",
    "complete",
];

const ANSWERS: &[&str] = &[
    "answer",
    "answers",
    "response",
    "responses",
    "respond",
    "reply",
    "replies",
    "output",
    "explanation",
    "you",
    "be",
    "do",
    "read",
    "think",
    "it",
    "accurate",
    "helpful",
    "everything",
];

/// What a wish that any answer be good is made of besides its qualities and its answer.
const EXHORTATION: &[&str] = &[
    "please",
    "kindly",
    "always",
    "try",
    "provide",
    "give",
    "write",
    "make",
    "sure",
    "ensure",
    "that",
    "your",
    "yours",
    "is",
    "are",
    "was",
    "its",
    "this",
    "the",
    "a",
    "an",
    "to",
    "of",
    "and",
    "as",
    "possible",
    "for",
    "in",
    "with",
    "at",
    "very",
    "really",
    "extremely",
    "absolutely",
    "highly",
    "important",
    "essential",
    "crucial",
    "should",
    "will",
    "answering",
    "responding",
    "following",
    "question",
    "questions",
    "user",
    "user's",
    "users",
    "reader",
    "take",
    "time",
    "reading",
    "before",
    "task",
    "request",
    "remember",
    "all",
    "times",
    "quality",
    "easy",
    "understand",
    "follow",
    "both",
    "so",
    "below",
    "above",
    "me",
    "us",
    "them",
    "they",
    "can",
    "ability",
    "job",
    "goal",
    "customer's",
    "message",
    "utmost",
    "importance",
    "manner",
    "way",
];
