//! `_core.Question` and `_core.guard_names`: signatures and conversions over `resopt_core::guard`.

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use resopt_core::guard::{self, Guard, Guards};

use crate::error::from_core;

/// A question read once, to be compared with others.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Question {
    inner: guard::Question,
}

/// A lone surrogate is read as an unknown character: no text is refused.
fn characters<'a>(text: &'a Bound<'_, PyString>) -> std::borrow::Cow<'a, str> {
    text.to_string_lossy()
}

fn chosen(py: Python<'_>, names: Option<Vec<String>>) -> PyResult<Guards> {
    names.map_or(Ok(Guards::ALL), |names| {
        Guards::from_names(names.iter().map(String::as_str)).map_err(|error| from_core(py, &error))
    })
}

#[pymethods]
impl Question {
    #[new]
    #[pyo3(signature = (text, /))]
    fn new(text: &Bound<'_, PyString>) -> Self {
        Self {
            inner: guard::Question::read(&characters(text)),
        }
    }

    /// Why the two must not share an answer.
    #[pyo3(signature = (other, /, guards = None))]
    fn compare(
        &self,
        py: Python<'_>,
        other: &Bound<'_, Self>,
        guards: Option<Vec<String>>,
    ) -> PyResult<Vec<(&'static str, String, String)>> {
        let guards = chosen(py, guards)?;
        Ok(guard::compare(&self.inner, &other.get().inner, guards)
            .into_iter()
            .map(|reason| (reason.guard.name(), reason.left, reason.right))
            .collect())
    }

    /// How the two differ, refusing nothing.
    #[pyo3(signature = (other, /))]
    fn signals<'py>(&self, py: Python<'py>, other: &Bound<'py, Self>) -> PyResult<Bound<'py, pyo3::types::PyDict>> {
        let found = guard::signals(&self.inner, &other.get().inner);
        let named = pyo3::types::PyDict::new(py);
        named.set_item("unmatched_left", found.unmatched_left)?;
        named.set_item("unmatched_right", found.unmatched_right)?;
        named.set_item("renamed", found.renamed)?;
        named.set_item("shared", found.shared)?;
        named.set_item("same_question", found.same_question)?;
        named.set_item("order", found.order)?;
        named.set_item("length", found.length)?;
        named.set_item("values", found.values)?;
        named.set_item("needs_strict", found.needs_strict)?;
        Ok(named)
    }

    /// Does it ask for something to be done?
    #[getter]
    fn is_action(&self) -> bool {
        self.inner.is_action()
    }

    /// Is it, or does it hold, code?
    #[getter]
    fn is_code(&self) -> bool {
        self.inner.is_code()
    }

    /// The language or script.
    #[getter]
    fn language(&self) -> &'static str {
        self.inner.language()
    }

    /// Do only some guards hold for it?
    #[getter]
    fn needs_strict(&self) -> bool {
        self.inner.needs_strict()
    }

    /// How many questions it asks.
    #[getter]
    fn questions(&self) -> usize {
        self.inner.questions()
    }

    /// Octets that it occupies.
    #[getter]
    fn bytes(&self) -> usize {
        self.inner.bytes()
    }
}

/// Names of all guards.
#[pyfunction]
pub(crate) fn guard_names(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, Guard::ALL.map(Guard::name))
}
