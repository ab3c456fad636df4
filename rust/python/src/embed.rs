//! `_core.tokenise`, `_core.embed`: signatures and conversions over `resopt_core::vector::{wordpiece, embed}`.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};
use resopt_core::vector::embed::Table;
use resopt_core::vector::wordpiece;

use crate::error::from_core;

/// The text in UTF-8. A lone surrogate becomes U+FFFD, which the tokeniser reads as nothing, as it does surrogates.
fn readable<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    text.to_string_lossy()
}

/// A read-only view of 32-bit floats, which numpy takes without a copy.
pub(crate) fn view<'py>(py: Python<'py>, vector: &[f32]) -> PyResult<Bound<'py, PyAny>> {
    let octets = PyBytes::new_with(py, size_of_val(vector), |octets| {
        for (place, value) in octets.chunks_exact_mut(size_of::<f32>()).zip(vector) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(())
    })?;
    PyMemoryView::from(&octets)?.call_method1("cast", ("f",))
}

/// The token ids of a text, as the bundled embedder reads it.
#[pyfunction]
#[pyo3(signature = (text, /, limit = 256))]
pub(crate) fn tokenise(py: Python<'_>, text: &Bound<'_, PyString>, limit: usize) -> PyResult<Vec<u32>> {
    wordpiece::tokenise(&readable(text), limit).map_err(|error| from_core(py, &error))
}

/// The unit vector of a text by the bundled embedder, or None when it knows no word of it.
#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn embed<'py>(py: Python<'py>, text: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let table = Table::bundled().map_err(|error| from_core(py, &error))?;
    let vector = table
        .embed_text(&readable(text))
        .map_err(|error| from_core(py, &error))?;
    vector.map(|vector| view(py, &vector)).transpose()
}
