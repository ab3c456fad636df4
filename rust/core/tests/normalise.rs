//! Folding against the crates' own composition of the recipe, and the rules on top of it.

use caseless::Caseless;
use proptest::prelude::*;
use resopt_core::text::normalise::{fold, fold_unicode, is_blank, is_plain_question, lossless};
use unicode_normalization::UnicodeNormalization;

/// The recipe written down plainly.
fn recipe(text: &str) -> String {
    let folded: String = text.nfkc().default_case_fold().collect();
    folded
        .split(is_blank)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Characters that meet: letters with marks, Hangul parts, compatibility forms, blanks, and anything at all.
fn tricky_text() -> impl Strategy<Value = String> {
    let tricky: Vec<char> = "aZSs \t\u{a0}\u{2003}\u{1c}\u{85}éßİıſﬃŉǰΐΣςΰᾳῼͅ\u{301}\u{307}\u{327}\u{323}\u{345}\u{308}\u{30a}\u{5b0}\u{5bc}ガカ\u{3099}ﾞﾟｶＵＳ２½²№℃㎏ﷺ¨\u{37a}한글\u{1100}\u{1161}\u{11a8}\u{11a7}각\u{1e9e}Ωﬀ\u{FE00}\u{200d}\u{ad}\u{1D400}\u{1D7D8}\u{10400}ᏸꭰ"
        .chars()
        .collect();
    let character =
        prop_oneof![4 => prop::sample::select(tricky), 2 => prop::char::range(' ', '~'), 1 => any::<char>()];
    prop::collection::vec(character, 0..40).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn pieces_fold_as_the_whole_does(text in tricky_text()) {
        prop_assert_eq!(fold_unicode(&text), recipe(&text));
    }

    #[test]
    fn a_fold_ends_without_blanks_and_holds_no_pair_of_them(text in tricky_text()) {
        let folded = fold(&text);
        prop_assert_eq!(folded.trim_matches(' '), &folded);
        prop_assert!(!folded.contains("  "));
    }

    #[test]
    fn ascii_folds_once_and_for_all(text in "[ -~]{0,60}") {
        let folded = fold(&text);
        prop_assert_eq!(fold(&folded).to_lowercase(), folded.to_lowercase());
    }
}

#[test]
fn each_character_folds_as_the_recipe_says() {
    for character in '\0'..=char::MAX {
        let text = format!("x{character}y");
        assert_eq!(fold_unicode(&text), recipe(&text), "{:x}", character as u32);
    }
}

#[test]
fn words_that_are_other_words_keep_capitals_in_mixed_text_only() {
    for (text, expected) in [
        ("What is the US population?", "what is the US population"),
        ("what is the us population", "what is the us population"),
        ("WHAT IS THE US POPULATION?", "what is the us population"),
        ("Tell US-based staff: IT, who?", "tell US-based staff: IT, who"),
        ("What is an API?", "what is an api"),
        ("Who is it? WHO", "who is it? WHO"),
        ("ＵＳ or us?", "US or us"),
        ("is THE  US  big", "is the US big"),
        ("Was ist die Straße der US?", "was ist die strasse der US"),
        ("PINs and USA", "pins and usa"),
        ("éUS is", "éus is"),
        ("US\u{301} is", "uś is"),
    ] {
        assert_eq!(fold(text), expected, "{text}");
    }
}

#[test]
fn only_one_short_line_of_prose_is_a_question() {
    for text in [
        "What is Python?",
        "  two  blanks \n",
        "naïve?",
        "`ls` does what?",
        "$x < 3",
        &"é".repeat(512),
        &"a".repeat(512),
    ] {
        assert!(is_plain_question(text), "{text}");
    }
    let long = ["é".repeat(513), "a".repeat(513), "a".repeat(1 << 20)];
    let others = [
        "",
        " \n",
        "a\nb",
        "a\r\nb",
        "a\u{2028}b",
        "a\u{85}b",
        "a\u{b}b",
        "```x```",
        "{x}",
        "x}",
        "2³",
        "H₂O",
        "x\u{1c}y",
    ];
    for text in long.iter().map(String::as_str).chain(others) {
        assert!(
            !is_plain_question(text),
            "{}",
            &text.chars().take(20).collect::<String>()
        );
    }
}

#[test]
fn lossless_changes_line_ends_only() {
    for (text, expected) in [
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\rb", "a\rb"),
        ("\r\r\n", "\r\n"),
        ("a \t b", "a \t b"),
        ("\r", "\r"),
    ] {
        assert_eq!(&*lossless(text.as_bytes()), expected.as_bytes(), "{text:?}");
    }
    let long = "x".repeat(300) + "\r\n";
    assert_eq!(lossless(long.as_bytes()).len(), 301);
}
