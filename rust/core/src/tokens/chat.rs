//! Tokens of a chat that are in no text: borders of messages, the frame of tools, images.
//!
//! Sources: `OpenAI` cookbook, *How to count tokens with tiktoken* (messages and tools; it calls itself "an estimate, not a
//! timeless guarantee"); `OpenAI`, *Images and vision: calculating costs* (tiles and patches); Anthropic, *Vision*
//! (area) and *Tool use with Claude: pricing* (its system prompt for tools, by model and choice of tool; the page of July
//! 2026, and for models that it no longer names that of November 2025).
//! As of November 2026, version 2 of these figures.

use crate::error::Error;

/// How an image is turned into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageRule {
    /// A base, and so much for each tile of 512 by 512, after scaling into 2048 by 2048 and then to a shorter side of at
    /// most 768. With low detail the base alone.
    Tiles {
        /// Tokens of any image.
        base: u32,
        /// Tokens of a tile.
        tile: u32,
    },
    /// Patches of 32 by 32, at most 1,536 after scaling, times a factor in hundredths, rounded up.
    Patches {
        /// Hundredths of a token for each patch.
        hundredths: u32,
    },
    /// Width times height by 750, after scaling to a longer side of at most 1,568; at most 1,600 or so.
    Area,
}

const MOST_PATCHES: f64 = 1536.0;

impl ImageRule {
    /// Tokens of an image of `width` by `height` pixels.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes are scaled down to a few thousand first"
    )]
    pub fn tokens(self, width: u32, height: u32, low_detail: bool) -> u32 {
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        match self {
            Self::Tiles { base, .. } if low_detail => base,
            Self::Tiles { base, tile } => {
                let fit = (2048.0 / width.max(height)).min(1.0);
                let short = (768.0 / (width.min(height) * fit)).min(1.0) * fit;
                let tiles = |side: f64| (side * short / 512.0).round_off().ceil();
                base + tile * (tiles(width) * tiles(height)) as u32
            }
            Self::Patches { hundredths } => {
                let patches = Self::patches(width, height) as u32;
                (patches * hundredths).div_ceil(100)
            }
            Self::Area => {
                let scale = (1568.0 / width.max(height)).min(1.0);
                ((width * scale) * (height * scale) / 750.0).ceil().min(1640.0) as u32
            }
        }
    }

    fn patches(width: f64, height: f64) -> f64 {
        let needed = (width / 32.0).ceil() * (height / 32.0).ceil();
        if needed <= MOST_PATCHES {
            return needed;
        }
        let scale = (32.0 * 32.0 * MOST_PATCHES / (width * height)).sqrt();
        let whole = |side: f64| (side * scale / 32.0).floor() / (side * scale / 32.0);
        let scale = scale * whole(width).min(whole(height));
        let sides = |side: f64| (side * scale / 32.0).round_off().ceil().max(1.0);
        (sides(width) * sides(height)).min(MOST_PATCHES)
    }
}

/// A number without what floating-point arithmetic left behind its ninth decimal, so that 2.0000000001 tiles are 2.
trait RoundOff {
    fn round_off(self) -> Self;
}

impl RoundOff for f64 {
    fn round_off(self) -> Self {
        (self * 1e9).round() / 1e9
    }
}

/// How much of a request's tools there is to frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tools {
    /// Functions.
    pub functions: u32,
    /// Functions that have properties.
    pub with_properties: u32,
    /// Properties of all functions.
    pub properties: u32,
    /// Properties that list their values.
    pub enums: u32,
    /// Values of all lists.
    pub items: u32,
    /// Whether the model must call one.
    pub forced: bool,
}

/// Models that frame a chat alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    name: &'static str,
    per_message: u32,
    per_name: i32,
    per_function: u32,
    /// Once, when there is a tool at all.
    tools: u32,
    /// The same where the model must call a tool.
    forced: u32,
    images: ImageRule,
}

const fn tiles(base: u32, tile: u32) -> ImageRule {
    ImageRule::Tiles { base, tile }
}

const fn family(name: &'static str, per_function: u32, images: ImageRule) -> Family {
    Family {
        name,
        per_message: 3,
        per_name: 1,
        per_function,
        tools: 12,
        forced: 12,
        images,
    }
}

/// Anthropic's system prompt for tools: tokens where the model may call one, and where it must.
const fn claude(name: &'static str, tools: u32, forced: u32) -> Family {
    Family {
        tools,
        forced,
        ..family(name, 7, ImageRule::Area)
    }
}

const FAMILIES: [Family; 25] = [
    Family {
        per_message: 4,
        per_name: -1,
        ..family("gpt-3.5-turbo-0301", 10, tiles(85, 170))
    },
    family("gpt-3.5", 10, tiles(85, 170)),
    family("gpt-4", 10, tiles(85, 170)),
    family("gpt-4o", 7, tiles(85, 170)),
    family("gpt-4o-mini", 7, tiles(2833, 5667)),
    family("gpt-4.1", 7, tiles(85, 170)),
    family("gpt-4.1-mini", 7, ImageRule::Patches { hundredths: 162 }),
    family("gpt-4.1-nano", 7, ImageRule::Patches { hundredths: 246 }),
    family("gpt-5", 7, tiles(70, 140)),
    family("gpt-5-mini", 7, ImageRule::Patches { hundredths: 162 }),
    family("gpt-5-nano", 7, ImageRule::Patches { hundredths: 246 }),
    family("o-series", 7, tiles(75, 150)),
    family("o4-mini", 7, ImageRule::Patches { hundredths: 172 }),
    claude("claude-3-opus", 530, 281),
    claude("claude-3-sonnet", 159, 235),
    claude("claude-3-haiku", 264, 340),
    claude("claude-3-5-haiku", 264, 355),
    claude("claude-3-5-sonnet", 346, 313),
    claude("claude-4", 313, 315),
    claude("claude-4-5", 496, 588),
    claude("claude-4-6", 497, 589),
    claude("claude-4-7", 675, 804),
    claude("claude-4-8", 290, 410),
    claude("claude-5", 354, 474),
    family("other", 7, tiles(85, 170)),
];

impl Family {
    /// The family of this name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a name that is not in the table.
    pub fn named(name: &str) -> Result<Self, Error> {
        FAMILIES.into_iter().find(|family| family.name == name).ok_or_else(|| {
            let names = FAMILIES.map(|family| family.name).join(", ");
            Error::InvalidArgument(format!("{name:?} is no family of chat models: there are {names}"))
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Tokens around the texts of `messages` messages, `names` of which name their author:
    /// `3 x messages + names + 3`, the last 3 for the reply's beginning (`gpt-3.5-turbo-0301`: `4 x messages - names + 3`).
    #[must_use]
    pub fn messages(&self, messages: u32, names: u32) -> i64 {
        i64::from(self.per_message) * i64::from(messages) + i64::from(self.per_name) * i64::from(names) + 3
    }

    /// Tokens around the texts of tools: 7 a function (10 before gpt-4o), 3 if it has properties, 3 a property, 3 less
    /// than none for a list of values and 3 a value, and [`Family::for_tools`] once if there is a function at all.
    #[must_use]
    pub fn tools(&self, tools: Tools) -> i64 {
        if tools.functions == 0 {
            return 0;
        }
        i64::from(self.per_function) * i64::from(tools.functions)
            + 3 * (i64::from(tools.with_properties) + i64::from(tools.properties) + i64::from(tools.items)
                - i64::from(tools.enums))
            + i64::from(self.for_tools(tools.forced))
    }

    /// Tokens that tools cost once, however many there are: 12, or the system prompt that Anthropic adds for them, which
    /// is another one where the model is `forced` to call a tool.
    #[must_use]
    pub fn for_tools(&self, forced: bool) -> u32 {
        if forced { self.forced } else { self.tools }
    }

    /// Tokens of an image; see [`ImageRule`].
    #[must_use]
    pub fn image(&self, width: u32, height: u32, low_detail: bool) -> u32 {
        self.images.tokens(width, height, low_detail)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn image(family: &str, width: u32, height: u32) -> u32 {
        Family::named(family).unwrap().image(width, height, false)
    }

    #[test]
    fn images_cost_what_the_published_examples_say() {
        assert_eq!(image("gpt-4o", 1024, 1024), 765);
        assert_eq!(image("gpt-4o", 2048, 4096), 1105);
        assert_eq!(Family::named("gpt-4o").unwrap().image(4096, 8192, true), 85);
        assert_eq!(image("gpt-4o", 512, 512), 255);
        assert_eq!(image("gpt-4o", 513, 513), 765);
        assert_eq!(ImageRule::Patches { hundredths: 100 }.tokens(1024, 1024, false), 1024);
        assert_eq!(ImageRule::Patches { hundredths: 100 }.tokens(1800, 2400, false), 1452);
    }

    /// 128 by 64 pixels, measured against the API (community.openai.com, topic 1262691), the words taken off.
    #[test]
    fn images_cost_what_the_api_billed() {
        for (family, tokens) in [
            ("gpt-4o", 255),
            ("gpt-4o-mini", 8500),
            ("o-series", 225),
            ("gpt-4.1-mini", 13),
            ("gpt-4.1-nano", 20),
            ("o4-mini", 14),
        ] {
            assert_eq!(image(family, 128, 64), tokens, "{family}");
        }
    }

    #[test]
    fn images_of_any_size_cost_something_sensible() {
        for family in FAMILIES {
            for side in [0, 1, 31, 32, 33, 5_000, u32::MAX] {
                for other in [0, 1, 4_000, u32::MAX] {
                    let tokens = family.image(side, other, false);
                    assert!(
                        tokens > 0 && tokens < 100_000,
                        "{} {side} {other} {tokens}",
                        family.name
                    );
                }
            }
        }
    }

    #[test]
    fn frames_follow_the_cookbook() {
        let family = Family::named("gpt-4o").unwrap();
        assert_eq!(family.messages(2, 1), 10);
        assert_eq!(Family::named("gpt-3.5-turbo-0301").unwrap().messages(2, 1), 10);
        assert_eq!(family.tools(Tools::default()), 0);
        let tools = Tools {
            functions: 1,
            with_properties: 1,
            properties: 2,
            enums: 1,
            items: 2,
            forced: false,
        };
        assert_eq!(family.tools(tools), 7 + 3 + 3 * 2 - 3 + 3 * 2 + 12);
        assert_eq!(family.tools(Tools { forced: true, ..tools }), family.tools(tools));
        let claude = Family::named("claude-4-8").unwrap();
        assert_eq!(claude.tools(tools) - family.tools(tools), 290 - 12);
        assert_eq!(
            claude.tools(Tools { forced: true, ..tools }) - family.tools(tools),
            410 - 12
        );
        assert!(Family::named("gpt-9").unwrap_err().to_string().contains("gpt-4o-mini"));
    }
}
