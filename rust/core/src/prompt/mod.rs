//! Prompts without their fat: rules that shorten instructions, and the sentences of a context that a question needs.

mod code;
mod duplicates;
mod edit;
pub mod extract;
mod grammar;
mod json;
mod language;
mod layout;
mod lexeme;
mod light;
mod lossless;
mod material;
mod phrase_tables;
mod phrases;
mod protect;
mod question;
mod repeats;
pub mod rules;
mod sentences;
mod strong;
mod weight;
mod zones;
