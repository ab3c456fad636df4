//! Tokens that stand for no text: ends of texts, borders of messages.
//!
//! In a user's text they are ordinary text, or anyone could end the prompt. They are read as tokens only when asked for.
//! Source: tiktoken 0.14.0, `openai_public.py`.

/// `<|endoftext|>` and `<|endofprompt|>` of `o200k_base`.
pub(super) const O200K: &[(&str, u32)] = &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)];

/// Those of `cl100k_base`.
pub(super) const CL100K: &[(&str, u32)] = &[
    ("<|endoftext|>", 100_257),
    ("<|fim_prefix|>", 100_258),
    ("<|fim_middle|>", 100_259),
    ("<|fim_suffix|>", 100_260),
    ("<|endofprompt|>", 100_276),
];

/// Those of `o200k_harmony` that have a name; the others are `<|reserved_N|>`.
pub(super) const HARMONY: &[(&str, u32)] = &[
    ("<|startoftext|>", 199_998),
    ("<|endoftext|>", 199_999),
    ("<|return|>", 200_002),
    ("<|constrain|>", 200_003),
    ("<|channel|>", 200_005),
    ("<|start|>", 200_006),
    ("<|end|>", 200_007),
    ("<|message|>", 200_008),
    ("<|call|>", 200_012),
    ("<|endofprompt|>", 200_018),
];

/// Tokens of `o200k_harmony` that are kept for later, beside those with names.
const RESERVED: std::ops::Range<u32> = 200_000..201_088;

/// Bytes of the longest name, and some.
const LONGEST: usize = 32;

/// The special tokens of one encoding.
#[derive(Clone, Copy)]
pub(super) struct Special {
    named: &'static [(&'static str, u32)],
    reserved: bool,
}

impl Special {
    pub(super) const fn new(named: &'static [(&'static str, u32)], reserved: bool) -> Self {
        Self { named, reserved }
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all(self) -> Vec<(String, u32)> {
        let mut all: Vec<_> = self.named.iter().map(|&(name, id)| (name.to_owned(), id)).collect();
        if self.reserved {
            all.extend(RESERVED.filter(|&id| is_reserved(id)).map(|id| (reserved_name(id), id)));
        }
        all.sort_by_key(|&(_, id)| id);
        all
    }

    /// The text of a special token.
    pub(super) fn text(self, id: u32) -> Option<String> {
        match self.named.iter().find(|&&(_, other)| other == id) {
            Some(&(name, _)) => Some(name.to_owned()),
            None => (self.reserved && is_reserved(id)).then(|| reserved_name(id)),
        }
    }

    /// The first special token in `text`: where it begins, its bytes, its number.
    pub(super) fn first(self, text: &str) -> Option<(usize, usize, u32)> {
        text.match_indices("<|").find_map(|(at, _)| {
            let (length, id) = self.at(&text[at..])?;
            Some((at, length, id))
        })
    }

    /// The special token at the beginning of `text`: its bytes and its number.
    fn at(self, text: &str) -> Option<(usize, u32)> {
        // No name is longer, and a text of many beginnings must not be searched to its end for each.
        let window = text.as_bytes().get(..text.len().min(LONGEST))?;
        let length = window.windows(2).skip(2).position(|two| two == b"|>")? + 4;
        let name = text.get(..length)?;
        if let Some(&(_, id)) = self.named.iter().find(|&&(other, _)| other == name) {
            return Some((length, id));
        }
        let digits = name.strip_prefix("<|reserved_")?.strip_suffix("|>")?;
        let id = digits.parse().ok()?;
        (self.reserved && has_reserved_name(id) && name == reserved_name(id)).then_some((length, id))
    }
}

/// tiktoken gives 200018 two names, `<|endofprompt|>` and `<|reserved_200018|>`; the second is read, the first written.
fn has_reserved_name(id: u32) -> bool {
    id == 200_018 || is_reserved(id)
}

fn is_reserved(id: u32) -> bool {
    RESERVED.contains(&id) && HARMONY.iter().all(|&(_, named)| named != id)
}

fn reserved_name(id: u32) -> String {
    format!("<|reserved_{id}|>")
}
