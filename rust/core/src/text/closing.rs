//! Marks that close a question and say nothing: `What is Python?` asks what `what is python` asks.

/// `folded` without its closing `.?!` and the blanks among them.
///
/// Kept are the marks that are all there is (`?` alone is not `!` alone), and `!` right behind a figure, a single
/// letter or a bracket, where it is a factorial: `5!` is not `5`.
pub(super) fn without_marks(folded: &[u8]) -> &[u8] {
    let length = folded
        .iter()
        .rposition(|octet| !b".?! ".contains(octet))
        .map_or(0, |last| last + 1);
    if length == 0 {
        return folded;
    }
    let marks = folded[length..].iter().take_while(|&&octet| octet == b'!').count();
    if marks > 0 && is_operand(&folded[..length]) {
        &folded[..length + marks]
    } else {
        &folded[..length]
    }
}

/// Whether text ends in something that a factorial could apply to.
fn is_operand(text: &[u8]) -> bool {
    let mut octets = text.iter().rev();
    match octets.next() {
        Some(b'0'..=b'9' | b')' | b']') => true,
        Some(letter) if letter.is_ascii_lowercase() => octets
            .next()
            .is_none_or(|before| before.is_ascii() && !before.is_ascii_alphanumeric() && *before != b'\''),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::without_marks;

    #[test]
    fn closing_marks_go_and_meaning_stays() {
        for (text, expected) in [
            ("what is python?", "what is python"),
            ("what is python ?! ..", "what is python"),
            ("what is 5!", "what is 5!"),
            ("what is 5!?", "what is 5!"),
            ("what is n!", "what is n!"),
            ("what is (a+b)!", "what is (a+b)!"),
            ("i can't!", "i can't"),
            ("what is 5?", "what is 5"),
            ("help!", "help"),
            ("?", "?"),
            ("...", "..."),
            ("", ""),
        ] {
            assert_eq!(without_marks(text.as_bytes()), expected.as_bytes(), "{text}");
            assert_eq!(
                without_marks(expected.as_bytes()),
                expected.as_bytes(),
                "again: {expected}"
            );
        }
    }
}
