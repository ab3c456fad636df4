//! Words that differ only by an English ending, made equal: enough for matching a question with a text.

/// Cut an English ending off a word in small ASCII letters; other words are left as they are.
///
/// Not a dictionary form: `studies` and `study` agree, and so do `committee` and `committees`; that is all it is for.
pub fn stem(word: &mut Vec<u8>) {
    if word.len() <= 3 || !word.is_ascii() {
        return;
    }
    for (ending, instead) in ENDINGS {
        let Some(rest) = word.len().checked_sub(ending.len()).filter(|rest| *rest >= 3) else {
            continue;
        };
        if &word[rest..] == *ending {
            let kept_s = *ending == b"s" && (word.ends_with(b"ss") || word.ends_with(b"us") || word.ends_with(b"is"));
            if kept_s {
                break;
            }
            word.truncate(rest);
            word.extend_from_slice(instead);
            break;
        }
    }
    if word.len() > 3 && word.last() == Some(&b'e') {
        word.pop();
    }
    if let [.., before, last] = word.as_slice()
        && word.len() > 3
        && before == last
        && !b"lsz".contains(last)
    {
        word.pop();
    }
}

/// Longest first where one ends in another; the first that fits is cut.
const ENDINGS: &[(&[u8], &[u8])] = &[
    (b"ational", b"ate"),
    (b"ization", b"ize"),
    (b"iveness", b"ive"),
    (b"fulness", b"ful"),
    (b"ousness", b"ous"),
    (b"ement", b"e"),
    (b"ments", b"ment"),
    (b"ingly", b""),
    (b"edly", b""),
    (b"ies", b"y"),
    (b"ying", b"y"),
    (b"ied", b"y"),
    (b"ers", b"er"),
    (b"ing", b""),
    (b"ed", b""),
    (b"es", b""),
    (b"ly", b""),
    (b"s", b""),
];
