//! Folding of questions, as functions; see the stub.

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::types::PyString;
use resopt_core::text::normalise;

use crate::error::unkeyable_error;

/// Octets of room that a thread keeps between folds.
const KEPT: usize = 16 * 1024;

thread_local! {
    static FOLDED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Versions of the data behind NFKC and case folding, as text.
pub(crate) fn unicode_version() -> String {
    let [
        normal,
        normal_minor,
        normal_update,
        folding,
        folding_minor,
        folding_update,
    ] = normalise::UNICODE_VERSION;
    format!("{normal}.{normal_minor}.{normal_update}+{folding}.{folding_minor}.{folding_update}")
}

#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn fold<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    let mut folded = FOLDED.try_with(Cell::take).unwrap_or_default();
    folded.clear();
    normalise::fold_into(characters(text)?, &mut folded);
    let answer = PyString::from_bytes(text.py(), &folded);
    if folded.capacity() <= KEPT {
        let _ = FOLDED.try_with(|kept| kept.set(folded));
    }
    answer
}

#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn fold_unicode<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    Ok(PyString::new(text.py(), &normalise::fold_unicode(characters(text)?)))
}

#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn is_plain_question(text: &Bound<'_, PyString>) -> bool {
    text.to_str().is_ok_and(normalise::is_plain_question)
}

fn characters<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|_| {
        unkeyable_error(
            text.py(),
            "the text holds a lone surrogate, which cannot be folded; decode it properly".to_owned(),
        )
    })
}
