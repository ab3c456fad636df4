//! Numbers, times, dates and money as values: `1,000`, `1k` and `one thousand` are one.

use super::unit::{MONEY, UNITS};

/// What a quantity counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Money(u8),
    Unit(u8),
    /// Minutes after midnight.
    Time,
    /// Year, month and day in one number.
    Day,
    Month,
    MonthDay,
    Weekday,
    /// Yesterday, today, tomorrow.
    Relative,
}

/// One value of a text, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantity {
    pub(super) kind: Kind,
    pub(super) value: f64,
    /// The number as written, before its unit.
    pub(super) count: f64,
    pub(super) start: u16,
    pub(super) end: u16,
    /// `a week`: one week, but nobody misses it.
    pub(super) optional: bool,
}

/// A number read from characters: its value and what it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Literal {
    pub(super) kind: Kind,
    pub(super) value: f64,
    /// The number as written, before its unit.
    pub(super) count: f64,
}

impl Quantity {
    /// The same number, so that only the unit can differ.
    pub(super) fn same_count(&self, other: &Self) -> bool {
        close(self.count, other.count)
    }
}

fn plain(value: f64) -> Literal {
    of(Kind::Plain, value)
}

fn of(kind: Kind, value: f64) -> Literal {
    Literal {
        kind,
        value,
        count: value,
    }
}

fn money(sign: &str) -> Option<u8> {
    MONEY.iter().find(|(name, _)| *name == sign).map(|(_, id)| *id)
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// Digits with marks between groups and before the fraction. None for a version (`1.2.3`) or a code.
fn digits(text: &str) -> Option<f64> {
    let commas = text.matches(',').count();
    let dots = text.matches('.').count();
    let grouped = |mark: char| {
        let mut parts = text.split(mark);
        let first = parts
            .next()
            .is_some_and(|part| all_digits(part) && part.len() <= 3 && !part.starts_with('0'));
        first && parts.all(|part| all_digits(part) && part.len() == 3)
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
    match (commas, dots) {
        (0, 0 | 1) => number(text),
        (_, 0) if grouped(',') => number(&text.replace(',', "")),
        (1, 0) => number(&text.replace(',', ".")),
        (0, _) if grouped('.') => number(&text.replace('.', "")),
        (_, 1) if text.rfind('.') > text.rfind(',') => number(&text.replace(',', "")),
        (1, _) if text.rfind(',') > text.rfind('.') => number(&text.replace('.', "").replace(',', ".")),
        _ => None,
    }
}

/// `10:30`, `9:05pm`: minutes after midnight.
fn clock(text: &str) -> Option<f64> {
    let (body, half) = match text.strip_suffix("am").or_else(|| text.strip_suffix("a.m")) {
        Some(body) => (body, Some(0.0)),
        None => match text.strip_suffix("pm").or_else(|| text.strip_suffix("p.m")) {
            Some(body) => (body, Some(12.0)),
            None => (text, None),
        },
    };
    let (hour, minute) = match body.split_once([':', '.']) {
        Some((hour, minute)) if all_digits(hour) && all_digits(minute) && minute.len() == 2 => (hour, minute),
        None if half.is_some() => (body, "0"),
        _ => return None,
    };
    if half.is_none() && !body.contains(':') {
        return None;
    }
    let (hour, minute) = (hour.parse::<f64>().ok()?, minute.parse::<f64>().ok()?);
    if hour > 24.0 || minute > 59.0 {
        return None;
    }
    let hour = half.map_or(hour, |half| hour % 12.0 + half);
    Some(hour * 60.0 + minute)
}

/// `2024-03-12`, `12.03.2024`, `3/12/24`: year, month and day when they can be told, the written order otherwise.
fn date(text: &str) -> Option<f64> {
    let mark = ['-', '/', '.']
        .into_iter()
        .find(|mark| text.matches(*mark).count() == 2)?;
    let parts: Vec<f64> = text
        .split(mark)
        .map(|part| {
            if all_digits(part) && part.len() <= 4 {
                part.parse().ok()
            } else {
                None
            }
        })
        .collect::<Option<_>>()?;
    let &[first, second, third] = parts.as_slice() else {
        return None;
    };
    let (year, month, day) = if first > 31.0 {
        (first, second, third)
    } else if third > 31.0 || mark == '/' {
        let year = if third < 100.0 { third + 2000.0 } else { third };
        if first > 12.0 {
            (year, second, first)
        } else {
            (year, first, second)
        }
    } else {
        return None;
    };
    // `12.03.` is day and month, `03/12` either: beyond the twelfth there is no doubt, below it the order counts.
    (month <= 12.0 && day <= 31.0).then_some(year * 10_000.0 + month * 100.0 + day)
}

/// A number in small letters with whatever hangs on it; None when it is a code and not a number.
pub(super) fn literal(text: &str) -> Option<Literal> {
    if let Some(value) = clock(text) {
        return Some(of(Kind::Time, value));
    }
    if let Some(value) = date(text) {
        return Some(of(Kind::Day, value));
    }
    let (sign, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.trim_start_matches(['+', '~', '≈'])),
    };
    let first = text.find(|character: char| character.is_ascii_digit())?;
    let (head, rest) = text.split_at(first);
    let end = rest
        .find(|character: char| !(character.is_ascii_digit() || matches!(character, ',' | '.' | '\'')))
        .unwrap_or(rest.len());
    let (body, tail) = rest.split_at(end);
    let body = body.trim_end_matches(['.', ',', '\'']);
    // Long runs and leading zeros are names of things, not amounts.
    let code = all_digits(body) && (body.len() > 9 || (body.len() > 1 && body.starts_with('0')));
    if code || body.is_empty() {
        return None;
    }
    let value = sign * digits(&body.replace('\'', ""))?;
    let currency = if head.is_empty() { None } else { Some(money(head)?) };
    suffix(value, currency, tail)
}

fn suffix(value: f64, currency: Option<u8>, tail: &str) -> Option<Literal> {
    let (scale, tail) = match tail {
        "k" => (1e3, ""),
        "m" | "mn" | "mio" if currency.is_some() || tail != "m" => (1e6, ""),
        "b" | "bn" => (1e9, ""),
        other => (1.0, other),
    };
    let value = value * scale;
    if let Some(currency) = currency {
        let kind = Kind::Money(currency);
        return tail.is_empty().then(|| of(kind, (value * 1e4).round() / 1e4));
    }
    let tail = tail.trim_start_matches('-');
    match tail {
        "" | "st" | "nd" | "rd" | "th" => return Some(plain(value)),
        "s" if value >= 1000.0 => return Some(plain(value)),
        _ => {}
    }
    if let Some(currency) = money(tail) {
        let kind = Kind::Money(currency);
        return Some(of(kind, (value * 1e4).round() / 1e4));
    }
    UNITS
        .iter()
        .find(|(_, _, words)| words.split(' ').any(|word| word == tail))
        .map(|(dimension, factor, _)| Literal {
            kind: Kind::Unit(*dimension),
            value: value * factor,
            count: value,
        })
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
}

/// The same value: a unit may be left out, but not differ.
fn equal(left: &Quantity, right: &Quantity) -> bool {
    close(left.value, right.value)
        && (left.kind == right.kind
            || matches!(
                (left.kind, right.kind),
                (Kind::Plain, Kind::Money(_) | Kind::MonthDay) | (Kind::Money(_) | Kind::MonthDay, Kind::Plain)
            ))
}

/// Which of the quantities have no equal on the other side, in pairs where they are of one kind.
pub(super) fn unequal<'a>(
    left: &'a [Quantity],
    right: &'a [Quantity],
) -> Vec<(Option<&'a Quantity>, Option<&'a Quantity>)> {
    let mut used = vec![false; right.len()];
    let mut only_left = Vec::new();
    for quantity in left {
        match (0..right.len()).find(|&at| !used[at] && equal(quantity, &right[at])) {
            Some(at) => used[at] = true,
            None => only_left.push(quantity),
        }
    }
    let mut only_right: Vec<&Quantity> = right
        .iter()
        .zip(&used)
        .filter(|(_, used)| !**used)
        .map(|(one, _)| one)
        .collect();
    // Repeating a value that the other text also has is no difference.
    only_left.retain(|one| !right.iter().any(|other| equal(one, other)));
    only_right.retain(|one| !left.iter().any(|other| equal(one, other)));
    let mut pairs = Vec::new();
    for one in only_left {
        let same = |other: &&Quantity| std::mem::discriminant(&other.kind) == std::mem::discriminant(&one.kind);
        let at = only_right
            .iter()
            .position(same)
            .or_else(|| (!only_right.is_empty() && !one.optional).then_some(0));
        match at {
            Some(at) => pairs.push((Some(one), Some(only_right.remove(at)))),
            None if !one.optional => pairs.push((Some(one), None)),
            None => {}
        }
    }
    pairs.extend(
        only_right
            .into_iter()
            .filter(|one| !one.optional)
            .map(|one| (None, Some(one))),
    );
    pairs
}
