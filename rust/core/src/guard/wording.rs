//! Words that instructions are made of: those used for one another, and those that say nothing of their own.

use super::hash::{hash, hashes};

/// Words that instructions use for one another, by every form of theirs. The first gives the name.
///
/// Narrower than the synonyms of questions: `cancel` and `stop` may have one answer, and are two orders.
pub(super) const GROUPS: &[&[u64]] = &[
    &hashes([
        "answer",
        "answers",
        "answering",
        "reply",
        "replies",
        "replying",
        "respond",
        "responds",
        "responding",
        "response",
        "responses",
    ]),
    &hashes([
        "reveal",
        "reveals",
        "revealing",
        "revealed",
        "disclose",
        "discloses",
        "disclosing",
        "disclosed",
        "divulge",
        "divulging",
    ]),
    &hashes([
        "concise",
        "concisely",
        "brief",
        "briefly",
        "succinct",
        "succinctly",
        "terse",
        "short",
    ]),
    &hashes([
        "use",
        "uses",
        "using",
        "used",
        "utilize",
        "utilise",
        "utilizing",
        "utilising",
        "employ",
        "employing",
    ]),
    &hashes([
        "invent",
        "inventing",
        "invented",
        "fabricate",
        "fabricating",
        "fabricated",
    ]),
    &hashes(["polite", "politely", "courteous", "courteously"]),
    &hashes(["tell", "telling", "inform", "informing"]),
    &hashes(["check", "checking", "verify", "verifying"]),
];

pub(super) const USE: u64 = hash("use");

/// The name of the group of a word.
pub(super) fn group(raw: u64) -> Option<u64> {
    GROUPS.iter().find(|words| words.contains(&raw)).map(|words| words[0])
}

/// What points at something that another sentence says.
pub(super) const POINTERS: [u64; 22] = hashes([
    "it", "its", "itself", "this", "these", "those", "them", "they", "their", "he", "she", "him", "her", "his",
    "there", "here", "such", "same", "one", "ones", "so", "too",
]);

/// Words in front of an instruction that only announce it.
pub(super) const ANNOUNCE: [u64; 12] = hashes([
    "important",
    "note",
    "reminder",
    "warning",
    "remember",
    "again",
    "finally",
    "lastly",
    "also",
    "critical",
    "and",
    "rule",
]);

pub(super) const WEIGHTY: [u64; 7] = hashes([
    "important",
    "essential",
    "crucial",
    "vital",
    "imperative",
    "critical",
    "necessary",
]);
pub(super) const SURE: [u64; 2] = hashes(["sure", "certain"]);
pub(super) const STRESS: [u64; 5] = hashes(["very", "really", "truly", "absolutely", "extremely"]);
pub(super) const GIVE: [u64; 12] = hashes([
    "give",
    "gives",
    "giving",
    "given",
    "provide",
    "providing",
    "provided",
    "write",
    "writing",
    "written",
    "phrase",
    "phrased",
]);
pub(super) const BE: [u64; 3] = hashes(["is", "are", "be"]);

/// What makes a sentence tell how things are, where no frame says that they are to be so.
pub(super) const STATES: [u64; 14] = hashes([
    "is", "are", "was", "were", "has", "have", "had", "does", "did", "will", "would", "i", "we", "am",
]);
