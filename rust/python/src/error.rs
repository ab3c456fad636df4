//! The one place where core errors become Python exceptions.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use resopt_core::error::Error;

static CONFIGURATION_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static DAMAGED_MODEL_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static UNKEYABLE_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `resopt.errors.ConfigurationError` with `message`.
pub(crate) fn configuration_error(py: Python<'_>, message: String) -> PyErr {
    raise(py, &CONFIGURATION_ERROR, "ConfigurationError", message)
}

/// `resopt.errors.UnkeyableError` with `message`.
pub(crate) fn unkeyable_error(py: Python<'_>, message: String) -> PyErr {
    raise(py, &UNKEYABLE_ERROR, "UnkeyableError", message)
}

/// The Python exception for a core error.
pub(crate) fn from_core(py: Python<'_>, error: &Error) -> PyErr {
    match error {
        Error::Damaged(message) => raise(py, &DAMAGED_MODEL_ERROR, "DamagedModelError", message.clone()),
        _ => configuration_error(py, error.to_string()),
    }
}

fn raise(py: Python<'_>, cell: &'static PyOnceLock<Py<PyType>>, name: &str, message: String) -> PyErr {
    match cell.import(py, "resopt.errors", name) {
        Ok(class) => PyErr::from_type(class.clone(), message),
        Err(error) => error,
    }
}
