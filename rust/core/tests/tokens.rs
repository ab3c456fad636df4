//! Tokens against the rule that defines them, and what holds for every text.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::HashMap;
use std::sync::OnceLock;

use proptest::prelude::*;
use resopt_core::tokens::{Encoding, TextClass};

const NASTY: &[&str] = &[
    "'s",
    "'LL",
    "'\u{17F}",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\u{A0}",
    "\u{3000}",
    "é",
    "e\u{301}",
    "\u{301}",
    "Ⅷ",
    "²",
    "1234",
    "/",
    "?/\n",
    "A",
    "aB",
    "中文",
    "नमस्ते",
    "สวัสดี",
    "👨‍👩‍👧",
    "<|endoftext|>",
    "don't",
    "HTTPServer",
    "foo_bar",
    "the",
    " the",
    "\u{0}",
];

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(NASTY).prop_map(str::to_owned),
        2 => "[a-z]{1,20}",
        1 => "\\PC{1,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn encodings() -> [Encoding; 3] {
    Encoding::NAMES.map(|name| Encoding::get(name).unwrap())
}

fn ranks(encoding: &Encoding) -> &'static HashMap<&'static [u8], u32> {
    static RANKS: [OnceLock<HashMap<&'static [u8], u32>>; 2] = [const { OnceLock::new() }; 2];
    RANKS[usize::from(encoding.name() == "cl100k_base")].get_or_init(|| encoding.tokens().zip(0..).collect())
}

/// The rule itself: merge the lowest pair, the leftmost first, until none is left.
fn merged(ranks: &HashMap<&[u8], u32>, piece: &[u8]) -> Vec<u32> {
    let mut parts: Vec<&[u8]> = piece.chunks(1).collect();
    let mut borders: Vec<usize> = (0..=piece.len()).collect();
    loop {
        let rank = |at: usize| ranks.get(&piece[borders[at]..borders[at + 2]]);
        let Some((_, at)) = (0..parts.len().saturating_sub(1))
            .filter_map(|at| Some((rank(at)?, at)))
            .min()
        else {
            return parts.iter().map(|part| ranks[part]).collect();
        };
        borders.remove(at + 1);
        parts.remove(at + 1);
        parts[at] = &piece[borders[at]..borders[at + 1]];
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Letters of one case and one script are one piece in both patterns.
    #[test]
    fn an_unbroken_piece_is_merged_by_the_rule(piece in "[a-z]{1,90}|[ก-ฮ]{1,30}|[一-龥]{1,30}|[ab]{1,80}|[а-я]{1,40}") {
        for encoding in encodings() {
            prop_assert_eq!(encoding.encode(&piece), merged(ranks(&encoding), piece.as_bytes()));
        }
    }

    #[test]
    fn counting_decoding_and_fitting_agree_with_the_tokens(text in texts()) {
        for encoding in encodings() {
            let tokens = encoding.encode(&text);
            prop_assert_eq!(encoding.count(&text), tokens.len());
            prop_assert_eq!(encoding.decode(&tokens).unwrap(), text.as_bytes());
            let special = encoding.encode_with_special(&text);
            prop_assert_eq!(encoding.decode(&special).unwrap(), text.as_bytes());
            prop_assert_eq!(text.contains("<|endoftext|>"), special.iter().any(|&id| id == 199_999 || id == 100_257));
            for limit in [0, 1, tokens.len().saturating_sub(1), tokens.len(), tokens.len() + 1] {
                prop_assert_eq!(encoding.fits(&text, limit), tokens.len() <= limit);
            }
        }
    }

    #[test]
    fn a_truncated_text_is_a_beginning_that_fits(text in texts(), limit in 0usize..30) {
        for encoding in encodings() {
            let kept = encoding.truncate(&text, limit);
            prop_assert!(text.starts_with(kept));
            prop_assert!(encoding.count(kept) <= limit);
            if encoding.count(&text) <= limit {
                prop_assert_eq!(kept, text.as_str());
            }
        }
    }
}

#[test]
fn truncating_plain_words_keeps_exactly_as_many_tokens() {
    let text = "The parcel is still waiting at the depot, although it should have been here by Tuesday.";
    for encoding in encodings() {
        let tokens = encoding.encode(text);
        for limit in 0..=tokens.len() {
            let kept = encoding.truncate(text, limit);
            assert_eq!(encoding.encode(kept), tokens[..limit]);
        }
    }
}

#[test]
fn harmony_shares_the_ranks_and_has_its_own_special_tokens() {
    let harmony = Encoding::get("o200k_harmony").unwrap();
    assert_eq!(
        harmony.encode_with_special("<|start|>user<|message|>hi<|end|>"),
        [200_006, 1428, 200_008, 3686, 200_007]
    );
    assert_eq!(harmony.encode_with_special("<|reserved_201087|>"), [201_087]);
    assert_eq!(harmony.encode_with_special("<|reserved_200018|>"), [200_018]);
    assert_eq!(
        harmony.decode(&[200_018, 201_087]).unwrap(),
        b"<|endofprompt|><|reserved_201087|>"
    );
    let plain = Encoding::get("o200k_base").unwrap();
    assert_eq!(harmony.encode("<|start|>"), plain.encode("<|start|>"));
    assert_eq!(plain.encode_with_special("<|start|>"), plain.encode("<|start|>"));
    assert_eq!(harmony.special_tokens().len(), 1_090);
}

#[test]
fn unknown_tokens_and_encodings_are_named() {
    let encoding = Encoding::get("cl100k_base").unwrap();
    assert!(
        encoding
            .decode(&[100_256])
            .unwrap_err()
            .to_string()
            .contains("100256 is no token of cl100k_base")
    );
    assert!(
        Encoding::get("p50k_base")
            .err()
            .unwrap()
            .to_string()
            .contains("o200k_harmony")
    );
}

#[test]
fn beginnings_of_special_tokens_without_end_are_read_in_linear_time() {
    let encoding = Encoding::get("o200k_harmony").unwrap();
    let text = "<|".repeat(200_000);
    assert_eq!(encoding.encode_with_special(&text), encoding.encode(&text));
}

#[test]
fn texts_are_told_apart() {
    for (text, class) in [
        ("", TextClass::Prose),
        (
            "Where is my parcel? It should have been here on Tuesday (says the mail).",
            TextClass::Prose,
        ),
        ("def f(x):\n    return {\"a\": x[0], 'b': g(x)}\n", TextClass::Code),
        (
            "{\"id\":\"ord_9f31\",\"items\":[{\"sku\":\"SH-42\",\"quantity\":1}]}",
            TextClass::Code,
        ),
        ("您好，我的订单什么时候发货？", TextClass::Cjk),
        ("靴のサイズを42から43に変更できますか？", TextClass::Cjk),
        ("주문한 신발이 아직 도착하지 않았습니다.", TextClass::Cjk),
        (
            "Ich hätte gern gewusst, ob die Größe noch lieferbar ist.",
            TextClass::Other,
        ),
        ("Где мой заказ?", TextClass::Other),
        (
            "“Curly quotes” — and a dash — are still English prose, aren’t they?",
            TextClass::Prose,
        ),
    ] {
        assert_eq!(TextClass::of(text), class, "{text}");
    }
}
