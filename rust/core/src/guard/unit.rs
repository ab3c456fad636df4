//! Number words and units of measure, with what they are worth.

use crate::text::calendar::{MONTHS, WEEKDAYS};

pub(super) const NUMBERS: &[(&str, f64)] = &[
    ("zero", 0.0),
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("hundred", 100.0),
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
    ("trillion", 1e12),
    ("lakh", 1e5),
    ("crore", 1e7),
];

/// Time in seconds, calendar months, lengths in metres, imperial lengths in inches, grams, ounces, bytes, litres, …:
/// a dimension holds units that convert exactly. Pounds are left out: they are money or mass.
pub(super) const UNITS: &[(u8, f64, &str)] = &[
    (1, 1e-3, "ms millisecond milliseconds"),
    (1, 1.0, "second seconds sec secs s"),
    (1, 60.0, "minute minutes min mins"),
    (1, 3600.0, "hour hours hr hrs h"),
    (1, 86_400.0, "day days"),
    (1, 604_800.0, "week weeks wk wks"),
    (1, 1_209_600.0, "fortnight fortnights"),
    (2, 1.0, "month months"),
    (2, 3.0, "quarter quarters"),
    (2, 12.0, "year years yr yrs"),
    (2, 120.0, "decade decades"),
    (3, 1e-3, "mm millimeter millimeters millimetre millimetres"),
    (3, 1e-2, "cm centimeter centimeters centimetre centimetres"),
    (3, 1.0, "m meter meters metre metres"),
    (3, 1e3, "km kms kilometer kilometers kilometre kilometres"),
    (4, 1.0, "inch inches"),
    (4, 12.0, "ft foot feet"),
    (4, 36.0, "yd yard yards"),
    (4, 63_360.0, "mile miles mi"),
    (5, 1e-3, "mg milligram milligrams"),
    (5, 1e-6, "mcg microgram micrograms"),
    (5, 1.0, "g gram grams gm"),
    (5, 1e3, "kg kgs kilo kilos kilogram kilograms"),
    (5, 1e6, "tonne tonnes"),
    (6, 1.0, "oz ounce ounces"),
    (6, 16.0, "lb lbs"),
    (7, 1.0, "byte bytes"),
    (7, 1e3, "kb kilobyte kilobytes"),
    (7, 1e6, "mb megabyte megabytes meg megs"),
    (7, 1e9, "gb gig gigs gigabyte gigabytes"),
    (7, 1e12, "tb terabyte terabytes"),
    (8, 1e-3, "ml milliliter milliliters millilitre millilitres"),
    (8, 1.0, "l liter liters litre litres"),
    (9, 1.0, "celsius centigrade °c"),
    (10, 1.0, "fahrenheit °f"),
    (11, 1.0, "mbps"),
    (11, 1e3, "gbps"),
    (12, 1.0, "percent percentage pct %"),
    (13, 1.0, "calories calorie kcal cal"),
    (14, 1.0, "times x"),
    (15, 1.0, "mph"),
    (16, 1.0, "kmh km/h kph"),
    (17, 1.0, "watts watt w"),
    (17, 1e3, "kw kilowatt kilowatts"),
    (18, 1.0, "gallon gallons"),
];

/// Money signs and codes; a number that names the currency.
pub(super) const MONEY: &[(&str, u8)] = &[
    ("us$", 1),
    ("$", 1),
    ("usd", 1),
    ("dollar", 1),
    ("dollars", 1),
    ("buck", 1),
    ("bucks", 1),
    ("€", 2),
    ("eur", 2),
    ("euro", 2),
    ("euros", 2),
    ("£", 3),
    ("gbp", 3),
    ("pound", 3),
    ("pounds", 3),
    ("quid", 3),
    ("¥", 4),
    ("jpy", 4),
    ("yen", 4),
    ("₹", 5),
    ("inr", 5),
    ("rs", 5),
    ("rs.", 5),
    ("rupee", 5),
    ("rupees", 5),
    ("a$", 6),
    ("aud", 6),
    ("c$", 7),
    ("cad", 7),
    ("chf", 8),
    ("franc", 8),
    ("francs", 8),
    ("cny", 9),
    ("rmb", 9),
    ("yuan", 9),
    ("btc", 10),
    ("bitcoin", 10),
    ("bitcoins", 10),
    ("eth", 11),
    ("₩", 12),
    ("krw", 12),
    ("won", 12),
    ("₽", 13),
    ("rub", 13),
    ("sek", 14),
    ("nok", 15),
    ("dkk", 16),
    ("pln", 17),
    ("cent", 18),
    ("cents", 18),
    ("¢", 18),
    ("pence", 19),
];

/// The months, by the three letters that tell them.
pub(super) fn month(word: &str) -> Option<u8> {
    let short = word.len() == 3 || word == "sept";
    (1..)
        .zip(MONTHS)
        .find(|(_, full)| word == *full || (short && full.starts_with(word)))
        .map(|(at, _)| at)
}

/// The days of the week, 1 to 7.
pub(super) fn weekday(word: &str) -> Option<u8> {
    let word = word
        .strip_suffix('s')
        .filter(|rest| rest.ends_with("day"))
        .unwrap_or(word);
    let short = matches!(word, "mon" | "tue" | "tues" | "wed" | "thu" | "thur" | "thurs" | "fri");
    (1..)
        .zip(WEEKDAYS)
        .find(|(_, full)| word == *full || (short && full.starts_with(word)))
        .map(|(at, _)| at)
}
