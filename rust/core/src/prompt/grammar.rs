//! The little grammar that a shortened sentence needs: its first letter, and `a` or `an`.

/// The text with a capital first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// `a` or `an` for the word that follows, or None where spelling does not tell.
pub(super) fn article(next: &str) -> Option<&'static str> {
    let lower = next.to_lowercase();
    let first = lower.chars().next()?;
    if !first.is_ascii_alphabetic()
        || (next.len() > 1 && next.chars().nth(1).is_some_and(char::is_uppercase) && !lower.starts_with("ai"))
    {
        return None;
    }
    let sounds_vowel = ["hour", "honest", "honor", "honour", "heir"]
        .iter()
        .any(|start| lower.starts_with(start));
    let sounds_consonant = ["uni", "use", "usu", "eu", "one", "once", "util", "uk"]
        .iter()
        .any(|start| lower.starts_with(start));
    let unclear = lower.starts_with("unin") || lower.starts_with("unim");
    let vowel = sounds_vowel || (matches!(first, 'a' | 'e' | 'i' | 'o' | 'u') && (!sounds_consonant || unclear));
    Some(if vowel { "an" } else { "a" })
}

/// One of what a regular plural names, or None for other words.
pub(super) fn singular(plural: &str) -> Option<String> {
    let stem = plural
        .strip_suffix('s')
        .filter(|stem| stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']))?;
    if let Some(start) = stem.strip_suffix("ie") {
        return Some(format!("{start}y"));
    }
    let hissing = ["sse", "xe", "che", "she"].iter().any(|end| stem.ends_with(end));
    Some(if hissing {
        stem[..stem.len() - 1].to_owned()
    } else {
        stem.to_owned()
    })
}
