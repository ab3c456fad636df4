//! What holds for every prompt, however hostile: rules settle, never lengthen, can be undone, and leave what is protected.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use resopt_core::prompt::extract::{Budget, extract};
use resopt_core::prompt::rules::{Level, Optimized, Options, optimize};
use resopt_core::text::split::{sentences, word_count, words};
use resopt_core::tokens::Encoding;

const LEVELS: [Level; 3] = [Level::Lossless, Level::Light, Level::Strong];

fn run(prompt: &str, level: Level) -> Optimized {
    let encoding = Encoding::get("o200k_base").unwrap();
    let options = Options {
        level,
        markers: &[("<<".to_owned(), ">>".to_owned())],
        examples: 2,
        brevity: true,
    };
    optimize(prompt, &options, &|text| encoding.count(text))
}

fn restored(optimized: &Optimized, original: &str) -> String {
    let mut text = String::new();
    let mut at = 0;
    for change in &optimized.changes {
        let kept = change.edit.range.start - text.len();
        text.push_str(&optimized.text[at..at + kept]);
        at += kept;
        assert!(optimized.text[at..].starts_with(&change.edit.after));
        at += change.edit.after.len();
        text.push_str(&original[change.edit.range.clone()]);
    }
    text.push_str(&optimized.text[at..]);
    text
}

fn check(prompt: &str) {
    let encoding = Encoding::get("o200k_base").unwrap();
    for level in LEVELS {
        let once = run(prompt, level);
        assert!(
            once.text.len() <= prompt.len(),
            "{level:?} {prompt:?} -> {:?}",
            once.text
        );
        assert_eq!(once.before, encoding.count(prompt));
        assert_eq!(once.after, encoding.count(&once.text));
        assert!(once.after <= once.before, "{level:?} {prompt:?} -> {:?}", once.text);
        assert_eq!(restored(&once, prompt), prompt);
        let saved: i64 = once.changes.iter().map(|change| change.saved).sum();
        assert_eq!(
            saved,
            i64::try_from(once.before).unwrap() - i64::try_from(once.after).unwrap()
        );
        let twice = run(&once.text, level);
        assert_eq!(twice.text, once.text, "{level:?} {prompt:?}");
        assert!(twice.changes.is_empty());
    }
}

/// Pieces that prompts are made of, and that trip rules up.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => "[ \t\n\r|`'\"{}<>\\[\\]*#:;,.!?$%@=-]{1,5}",
        1 => "[0-9]{1,3}",
    ]
}

const PIECES: &[&str] = &[
    "Please ",
    "please ",
    ", please, ",
    "kindly ",
    "make sure that you ",
    "Make sure that ",
    "You are a helpful assistant. ",
    "You are a helpful, friendly and smart agent. ",
    "I would like you to ",
    "Could you please ",
    "in order to ",
    "? ",
    ". ",
    "! ",
    ", ",
    "\n",
    "\n\n",
    "\n\n\n",
    "  ",
    "    ",
    "- ",
    "1. ",
    "10) ",
    "# Rules\n",
    "Text:\n",
    "Review: ",
    "```\n",
    "`x = 1`",
    "\"please\"",
    "'quoted'",
    "{name}",
    "{{ x }}",
    "<doc>",
    "</doc>",
    "<<keep please>>",
    "$VAR",
    "%s",
    "https://a.b/c?d=1 ",
    "do not ",
    "never ",
    "unless ",
    "3 kg ",
    "Alice ",
    "the answer ",
    "is ",
    "accurate and helpful",
    "write ",
    "a ",
    "an ",
    "helpful ",
    "each of the questions ",
    "that are mentioned ",
    "{\n  \"a\": 1,\n  \"b\": [1, 2]\n}",
    "| a   | b |\n|-----|---|\n| 1   | 2 |\n",
    "-----------\n",
    "&nbsp;",
    "<!-- x -->\n",
    "Example 1: x\n\n",
    "Q: a\nA: b\n\n",
    "Thank you! ",
    "Hello, ",
    "Note that x and that y. ",
    "Bitte nicht. ",
    "Always answer in full words here. ",
    "Your task is to read and to write. ",
    "def f(x):\n",
    "SELECT a FROM b;\n",
    "“",
    "”",
    "é",
    "的",
    "。",
    "\u{200d}",
    "\u{a0}",
    "ſ",
    "İ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rules_settle_and_can_be_undone(pieces in prop::collection::vec(piece(), 0..24)) {
        check(&pieces.concat());
    }

    #[test]
    fn any_text_is_survived(text in "(?s).{0,200}") {
        check(&text);
    }

    #[test]
    fn what_is_protected_stays(pieces in prop::collection::vec(piece(), 0..16), inner in "[a-z ,.]{0,40}") {
        // Marks that nothing before them can swallow: pieces with unclosed ones are left out.
        let before: String = pieces.concat().replace("<<", "").replace(">>", "");
        let prompt = format!("{before}\n<<{inner} please make sure that you>>\nPlease make sure that you write.");
        for level in LEVELS {
            let kept = format!("<<{inner} please make sure that you>>");
            let optimized = run(&prompt, level);
            prop_assert!(optimized.text.contains(&kept), "{:?}", optimized.text);
        }
    }

    #[test]
    fn sentences_and_words_lie_in_order(text in "(?s).{0,120}") {
        let mut end = 0;
        for sentence in sentences(&text) {
            prop_assert!(sentence.start >= end && sentence.end > sentence.start);
            prop_assert!(text[end..sentence.start].trim().is_empty());
            end = sentence.end;
        }
        prop_assert!(text[end..].trim().is_empty());
        let mut end = 0;
        for word in words(&text) {
            prop_assert!(word.start >= end && !text[word.clone()].is_empty());
            end = word.end;
        }
        prop_assert!(word_count(&text) <= text.chars().count());
    }

    #[test]
    fn an_extraction_keeps_to_its_budget(texts in prop::collection::vec("(?s)[a-z .?!\nA-Z]{0,120}", 0..5), question in "[a-z ]{0,30}", share in 0.0..1.0f64) {
        let passages: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = extract(&passages, &question, &Budget::Share(share));
        let kept: usize = found.kept.iter().map(|sentence| sentence.price).sum();
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let allowed = found.total as f64 * share;
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let used = kept as f64;
        prop_assert!(used <= allowed);
        prop_assert!(found.kept.is_sorted_by_key(|sentence| (sentence.passage, sentence.range.start)));
        prop_assert!((0.0..=1.0 + 1e-9).contains(&found.mass));
    }
}

#[test]
fn hostile_texts_take_no_time_and_change_nothing() {
    for text in [
        "{", "[", "<", "\"", "`", "please ", "| ", "\n", "a\n\n", "{\"a\":", "<a>", "“",
    ] {
        let many = text.repeat(20_000);
        let optimized = run(&many, Level::Lossless);
        assert!(optimized.text.len() <= many.len());
    }
}

#[test]
fn the_patterns_own_example_keeps_its_question() {
    let prompt = "You are a helpful AI assistant. Please provide a detailed and comprehensive answer to the following \
                  question. Make sure your response is accurate and informative. Question: What is Python?";
    let optimized = run(prompt, Level::Light);
    assert_eq!(optimized.text, "Question: What is Python?");
    assert!(optimized.after * 10 <= optimized.before * 4);
}

#[test]
fn sentences_end_where_readers_end_them() {
    let text =
        "W. Haydon Burns won. St. Albans, Vt., is in the U.S. The raid cost 3.5 million. \"Why?\" he asked. See\nbelow";
    let found: Vec<&str> = sentences(text).into_iter().map(|range| &text[range]).collect();
    let expected = [
        "W. Haydon Burns won.",
        "St. Albans, Vt., is in the U.S.",
        "The raid cost 3.5 million.",
        "\"Why?\" he asked.",
        "See\nbelow",
    ];
    assert_eq!(found, expected);
}
