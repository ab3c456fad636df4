//! Level *light*: sentences that speak to the model lose what says nothing.

use std::cell::LazyCell;
use std::ops::Range;

use super::edit::Edit;
use super::grammar::{article, capitalised, singular};
use super::language::{is_bare, is_english};
use super::lexeme::{Lexeme, lexemes};
use super::phrases::{Table, may_be_verb};
use super::protect::{Protected, Ranges};
use super::sentences::emptiness;
use super::weight::Weights;
use super::zones::{Stretch, instructions};
use crate::text::split::sentences;

/// A sentence that speaks to the model.
pub(super) struct Sentence<'a> {
    pub(super) stretch: Stretch,
    pub(super) range: Range<usize>,
    pub(super) lexemes: Vec<Lexeme<'a>>,
}

/// The English sentences of a prompt that speak to the model.
pub(super) fn spoken<'a>(text: &'a str, protected: &Ranges) -> Vec<Sentence<'a>> {
    let mut found = Vec::new();
    let english = LazyCell::new(|| is_english(text));
    for stretch in instructions(text) {
        let words = &text[stretch.range.clone()];
        if !(is_english(words) || is_bare(words) && *english) {
            continue;
        }
        for range in sentences(&text[stretch.range.clone()]) {
            let range = stretch.range.start + range.start..stretch.range.start + range.end;
            found.push(Sentence {
                stretch: stretch.clone(),
                lexemes: lexemes(text, &range, protected),
                range,
            });
        }
    }
    found
}

/// The edits of the phrase rules and of the empty sentences.
pub(super) fn edits(text: &str, protected: &Protected, table: &Table) -> Vec<Edit> {
    let spoken = spoken(text, &protected.words);
    let mut all = Vec::new();
    let mut left = spoken.len();
    for (group, sentence) in spoken.iter().enumerate() {
        match emptiness(&sentence.lexemes) {
            Some(rule) if says_more(text, sentence, left) => {
                left -= 1;
                all.push(without(text, sentence, &spoken, rule, group));
            }
            // The last sentence left is the request itself, however empty it sounds.
            Some(_) => {}
            None => rewrite(text, sentence, table, group, &mut all),
        }
    }
    all
}

/// Whether a prompt says anything besides this sentence.
fn says_more(text: &str, sentence: &Sentence<'_>, left: usize) -> bool {
    left > 1
        || text[..sentence.stretch.lines.start].contains(char::is_alphanumeric)
        || text[sentence.range.end..].contains(char::is_alphanumeric)
}

/// Take a sentence away with the blanks that parted it from its neighbours, or with its whole line.
pub(super) fn without(
    text: &str,
    sentence: &Sentence<'_>,
    all: &[Sentence<'_>],
    rule: &'static str,
    group: usize,
) -> Edit {
    let stretch = &sentence.stretch;
    let alone = sentence.range == stretch.range;
    if alone && !stretch.numbered && !text[stretch.lines.clone()].ends_with('\n') {
        // The last line: the line feed before it would be left over.
        let start = text[..stretch.lines.start].trim_end_matches('\n').len();
        return Edit::new(start..stretch.lines.end, "", rule, group);
    }
    if alone && !stretch.numbered {
        return Edit::new(stretch.lines.clone(), "", rule, group);
    }
    let next = all.partition_point(|other| other.range.start < sentence.range.end);
    let follows = all.get(next).filter(|other| other.range.end <= stretch.range.end);
    let range = if let Some(next) = follows {
        sentence.range.start..next.range.start
    } else {
        let before = text[..sentence.range.start].trim_end_matches([' ', '\t', '\n']).len();
        before.max(stretch.range.start)..sentence.range.end
    };
    Edit::new(range, "", rule, group)
}

fn rewrite(text: &str, sentence: &Sentence<'_>, table: &Table, group: usize, all: &mut Vec<Edit>) {
    let lexemes = &sentence.lexemes;
    let weights = Weights::of(lexemes);
    let before = all.len();
    let mut at = 0;
    // Nothing but what is taken away stands before `at`: an order may begin here.
    let mut begins = true;
    let mut start = 0;
    let mut rule = "";
    let mut order = false;
    let mut infinitive = false;
    while at < lexemes.len() {
        if let Some((phrase, taken)) = table.find(lexemes, &weights, at, begins) {
            let mut end = at + taken;
            if phrase.instead.is_empty() && begins {
                // Several phrases may stand before the order: `I would like you to please …`.
                if lexemes.get(end).is_some_and(|lexeme| lexeme.is(",")) {
                    end += 1;
                }
                rule = phrase.rule;
                order |= phrase.before_verb();
                infinitive |= phrase.before_verb() && phrase.infinitive;
                at = end;
                continue;
            }
            let from = if begins { start } else { at };
            all.push(replacement(
                text,
                lexemes,
                from..end,
                phrase.instead,
                begins,
                (phrase.rule, group),
            ));
            if begins {
                agree(lexemes, at, (order, infinitive), (rule, group), all);
            }
            begins = false;
            at = end;
            continue;
        }
        if begins && at > start {
            all.push(replacement(text, lexemes, start..at, "", true, (rule, group)));
            agree(lexemes, at, (order, infinitive), (rule, group), all);
        }
        if let Some((range, instead, name)) = reduced(text, lexemes, at) {
            all.push(Edit::new(range, instead, name, group));
            at += 1;
        }
        begins = lexemes
            .get(at)
            .is_some_and(|lexeme| !lexeme.is_word && (lexeme.is("*") || lexeme.is("_")));
        at += 1;
        start = at;
    }
    if begins && at > start && !rule.is_empty() {
        // Every word would go: then it is no filler.
        all.truncate(before);
    }
}

/// What an order asks of the rest of its sentence: no question mark, and no `to` where `Your task is to` went.
fn agree(
    lexemes: &[Lexeme<'_>],
    at: usize,
    (order, infinitive): (bool, bool),
    (rule, group): (&'static str, usize),
    all: &mut Vec<Edit>,
) {
    if let Some(mark) = lexemes.last().filter(|last| order && last.is("?") && !last.fixed) {
        all.push(Edit::new(mark.range.clone(), ".", rule, group));
    }
    for index in at + 1..lexemes.len().saturating_sub(1) {
        let (before, to) = (&lexemes[index - 1], &lexemes[index]);
        if infinitive && to.is("to") && (before.is("and") || before.is("or")) && may_be_verb(&lexemes[index + 1]) {
            all.push(Edit::new(before.range.end..to.range.end, "", rule, group));
        }
    }
}

/// Replace some lexemes; what is left of the sentence stays a sentence.
fn replacement(
    text: &str,
    lexemes: &[Lexeme<'_>],
    taken: Range<usize>,
    instead: &str,
    begins: bool,
    (rule, group): (&'static str, usize),
) -> Edit {
    let (first, last) = (&lexemes[taken.start], &lexemes[taken.end - 1]);
    let range = first.range.start..last.range.end;
    let capital = begins && text[range.clone()].starts_with(char::is_uppercase);
    if !instead.is_empty() {
        if instead.starts_with(':') && taken.start > 0 {
            return Edit::new(lexemes[taken.start - 1].range.end..range.end, instead, rule, group);
        }
        let instead = if capital {
            capitalised(instead)
        } else {
            instead.to_owned()
        };
        return Edit::new(range, instead, rule, group);
    }
    let next = lexemes.get(taken.end);
    if begins {
        return match next {
            Some(next) if capital && next.is_word && !next.fixed => {
                let word = &text[next.range.clone()];
                Edit::new(range.start..next.range.end, capitalised(word), rule, group)
            }
            Some(next) => Edit::new(range.start..next.range.start, "", rule, group),
            None => Edit::new(range, "", rule, group),
        };
    }
    let before = &lexemes[taken.start - 1];
    let mut end = range.end;
    let mut start = before.range.end;
    let comma_before = before.is(",");
    let comma_after = next.is_some_and(|next| next.is(","));
    if comma_before && (comma_after || next.is_none_or(|next| !next.is_word)) && taken.start >= 2 {
        // `X, please, Y` and `X, please.`: the commas were its own.
        start = lexemes[taken.start - 2].range.end;
        end = next.filter(|_| comma_after).map_or(end, |next| next.range.end);
    } else if before.is(",") || !before.is_word {
        // The blank before it stays for what follows; the one behind it goes.
        start = range.start;
        end = next.map_or(end, |next| next.range.start);
    }
    Edit::new(start..end, "", rule, group)
}

/// `skills that are mentioned` says `skills mentioned`; adjectives that say nothing leave a persona.
fn reduced(text: &str, lexemes: &[Lexeme<'_>], at: usize) -> Option<(Range<usize>, String, &'static str)> {
    let lexeme = &lexemes[at];
    if lexeme.fixed || !lexeme.is_word {
        return None;
    }
    if (lexeme.is("that") || lexeme.is("which")) && at > 0 && lexemes[at - 1].is_word {
        let (verb, participle) = (lexemes.get(at + 1)?, lexemes.get(at + 2)?);
        let is_verb = verb.is("are") || verb.is("is") || verb.is("were") || verb.is("was");
        let named = !matches!(
            lexemes[at - 1].lower.as_ref(),
            "so" | "sure" | "ensure" | "note" | "is" | "fact" | "of" | "in" | "for"
        );
        let word = participle.lower.as_ref();
        let fits = (word.len() > 4 && word.ends_with("ed") && word != "need") || PARTICIPLES.contains(&word);
        if is_verb && named && fits && !verb.fixed && !participle.fixed {
            return Some((
                lexeme.range.start..participle.range.start,
                String::new(),
                "relative clause",
            ));
        }
    }
    if lexeme.is("each")
        && lexemes.get(at + 1)?.is("of")
        && matches!(lexemes.get(at + 2)?.lower.as_ref(), "the" | "these")
    {
        let noun = lexemes.get(at + 3).filter(|noun| noun.is_word && !noun.fixed)?;
        let one = singular(&noun.lower)?;
        return Some((lexemes[at + 1].range.start..noun.range.end, one, "each"));
    }
    if (lexeme.is("a") || lexeme.is("an")) && at > 0 && PERSONA_LEADS.contains(&lexemes[at - 1].lower.as_ref()) {
        return persona(text, lexemes, at);
    }
    None
}

/// `a helpful, friendly and knowledgeable support agent` → `a friendly support agent`.
fn persona(text: &str, lexemes: &[Lexeme<'_>], at: usize) -> Option<(Range<usize>, String, &'static str)> {
    let leads = lexemes[..at]
        .iter()
        .any(|lexeme| lexeme.is("you") || lexeme.is("act") || lexeme.is("as"));
    let mut next = at + 1;
    let mut kept: Vec<&str> = Vec::new();
    let mut dropped = 0;
    while let Some(lexeme) = lexemes.get(next) {
        let word = lexeme.lower.as_ref();
        if EMPTY_ADJECTIVES.contains(&word) && !lexeme.fixed {
            dropped += 1;
        } else if ADJECTIVES.contains(&word) && !lexeme.fixed {
            kept.push(word);
        } else if !(matches!(word, "," | "and") && next > at + 1) {
            break;
        }
        next += 1;
    }
    let noun = lexemes.get(next).filter(|noun| noun.is_word)?;
    // A trailing `and` may belong to what follows only when an adjective stands before it.
    if dropped == 0 || !leads || noun.is("who") || noun.is("that") {
        return None;
    }
    let words = kept.join(if kept.len() > 2 { ", " } else { " and " });
    let first = if words.is_empty() {
        &text[noun.range.clone()]
    } else {
        words.as_str()
    };
    let article = article(first)?;
    let instead = if words.is_empty() {
        format!("{article} ")
    } else {
        format!("{article} {words} ")
    };
    Some((lexemes[at].range.start..noun.range.start, instead, "persona"))
}

const PARTICIPLES: &[&str] = &[
    "given", "shown", "written", "found", "known", "taken", "made", "sent", "built", "older",
];

const PERSONA_LEADS: &[&str] = &["are", "as", "being"];

const EMPTY_ADJECTIVES: &[&str] = &[
    "helpful",
    "knowledgeable",
    "intelligent",
    "highly",
    "very",
    "extremely",
    "skilled",
    "experienced",
    "world-class",
    "advanced",
    "powerful",
    "smart",
    "capable",
    "talented",
    "excellent",
    "great",
    "ai-powered",
];

const ADJECTIVES: &[&str] = &[
    "friendly",
    "professional",
    "polite",
    "creative",
    "concise",
    "honest",
    "patient",
    "empathetic",
    "strict",
    "careful",
];
