//! `_core.extract_context`: signatures and conversions over `resopt_core::prompt::extract`.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use resopt_core::prompt::extract::{Budget, extract};
use resopt_core::text::split::word_count;
use resopt_core::tokens::Encoding;

use super::LARGE;
use crate::error::from_core;

type Extracted = (Vec<String>, usize, usize, f64, f64, bool);

#[pyfunction]
#[pyo3(signature = (passages, question, /, share, budget, encoding))]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a Python list becomes a vector, and a str what it needs to be"
)]
pub(crate) fn extract_context(
    py: Python<'_>,
    passages: Vec<PyBackedStr>,
    question: Cow<'_, str>,
    share: f64,
    budget: Option<usize>,
    encoding: &str,
) -> PyResult<Extracted> {
    let encoding = match budget {
        Some(_) => Some(Encoding::get(encoding).map_err(|error| from_core(py, &error))?),
        None => None,
    };
    let question = question.as_ref();
    let size: usize = passages.iter().map(|passage| passage.len()).sum();
    let work = || {
        let texts: Vec<&str> = passages.iter().map(AsRef::as_ref).collect();
        // One more for what parts a sentence from the next.
        let count = |text: &str| encoding.as_ref().map_or(0, |encoding| encoding.count(text)) + 1;
        let budget = budget.map_or(Budget::Share(share), |units| Budget::Units(units, &count));
        let found = extract(&texts, question, &budget);
        let kept = texts
            .iter()
            .enumerate()
            .map(|(index, text)| found.text(index, text))
            .collect();
        let price = found.kept.iter().map(|sentence| sentence.price).sum();
        (kept, price, found.total, found.mass, found.coverage, found.has_peak())
    };
    Ok(if size >= LARGE { py.detach(work) } else { work() })
}

#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn count_words(text: &str) -> usize {
    word_count(text)
}
