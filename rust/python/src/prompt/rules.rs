//! `_core.shorten_prompt`: signatures and conversions over `resopt_core::prompt::rules`.

use pyo3::prelude::*;
use resopt_core::prompt::rules::{Change, Level, Optimized, Options, optimize};
use resopt_core::tokens::Encoding;

use super::LARGE;
use crate::error::{configuration_error, from_core};

type Row = (String, usize, usize, String, String, i64);

#[pyfunction]
#[pyo3(signature = (prompt, /, level, encoding, markers, examples, brevity))]
#[expect(clippy::needless_pass_by_value, reason = "a Python list becomes a vector")]
pub(crate) fn shorten_prompt(
    py: Python<'_>,
    prompt: &str,
    level: &str,
    encoding: &str,
    markers: Vec<(String, String)>,
    examples: usize,
    brevity: bool,
) -> PyResult<(String, usize, usize, Vec<Row>)> {
    let level = match level {
        "lossless" => Level::Lossless,
        "light" => Level::Light,
        "strong" => Level::Strong,
        other => {
            let message = format!("level must be lossless, light or strong, not {other:?}");
            return Err(configuration_error(py, message));
        }
    };
    if markers.iter().any(|(open, close)| open.is_empty() || close.is_empty()) {
        return Err(configuration_error(py, "a marker must not be empty".to_owned()));
    }
    let encoding = Encoding::get(encoding).map_err(|error| from_core(py, &error))?;
    let work = || {
        let options = Options {
            level,
            markers: &markers,
            examples,
            brevity,
        };
        optimize(prompt, &options, &|text| encoding.count(text))
    };
    let optimized = if prompt.len() >= LARGE { py.detach(work) } else { work() };
    Ok(rows(prompt, optimized))
}

/// Changes with places in characters, as Python counts them.
fn rows(prompt: &str, optimized: Optimized) -> (String, usize, usize, Vec<Row>) {
    let Optimized {
        text,
        before,
        after,
        changes,
    } = optimized;
    let (mut bytes, mut characters) = (0, 0);
    let rows = changes
        .into_iter()
        .map(|Change { edit, saved }| {
            characters += prompt[bytes..edit.range.start].chars().count();
            let removed = &prompt[edit.range.clone()];
            let start = characters;
            characters += removed.chars().count();
            bytes = edit.range.end;
            (
                edit.rule.into_owned(),
                start,
                characters,
                removed.to_owned(),
                edit.after,
                saved,
            )
        })
        .collect();
    (text, before, after, rows)
}
