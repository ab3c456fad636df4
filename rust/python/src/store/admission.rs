//! What `set` is told about a value: seconds, names and weight, checked and converted before the lock.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyIterator, PyString, PyType};

use crate::clock::{nanoseconds, span};
use crate::error::configuration_error;

static GETSIZEOF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static RESPONSE: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Nanoseconds a value may be served: `given` seconds, infinity for ever, or the store's own when nothing is given.
pub(super) fn ttl(py: Python<'_>, given: Option<&Bound<'_, PyAny>>, own: Option<u64>) -> PyResult<Option<u64>> {
    let Some(given) = given else { return Ok(own) };
    let number = given.is_instance_of::<PyFloat>() || given.is_instance_of::<PyInt>();
    match given.extract::<f64>() {
        Ok(seconds) if number && seconds > 0.0 && !given.is_instance_of::<PyBool>() => {
            Ok((seconds != f64::INFINITY).then(|| nanoseconds(seconds).max(1)))
        }
        _ => Err(configuration_error(
            py,
            format!("ttl must be a number of seconds above 0, or None, not {}", shown(given)),
        )),
    }
}

/// The names in an iterable of str.
pub(super) fn tags(py: Python<'_>, given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<PyBackedStr>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let refused = |found: &Bound<'_, PyAny>| {
        let class = found
            .get_type()
            .name()
            .map_or(Cow::Borrowed("?"), |name| Cow::Owned(name.to_string()));
        configuration_error(
            py,
            format!("tags must be an iterable of str, such as (\"kb:42\",), not {class}"),
        )
    };
    if given.is_instance_of::<PyString>() || given.is_instance_of::<PyBytes>() {
        return Err(refused(given));
    }
    let names = given.try_iter().map_err(|_| refused(given))?;
    names
        .map(|name| name.and_then(|name| name.extract().map_err(|_| refused(&name))))
        .collect()
}

/// A weight given as a number.
pub(super) fn weight(given: &Bound<'_, PyAny>) -> PyResult<u64> {
    given.extract::<u64>().map_err(|_| {
        configuration_error(
            given.py(),
            format!("a weight must be an int of bytes, at least 0, not {}", shown(given)),
        )
    })
}

/// The bytes of a value: `weigh(value)`, a response's own figure, or `sys.getsizeof(value)`.
pub(super) fn weigh(value: &Bound<'_, PyAny>, weigh: Option<&Py<PyAny>>) -> PyResult<u64> {
    let py = value.py();
    if let Some(weigh) = weigh {
        return weight(&weigh.bind(py).call1((value,))?);
    }
    let plain = value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyBytes>();
    if !plain && value.is_instance(RESPONSE.import(py, "resopt.types", "Response")?)? {
        return weight(&value.getattr("weight")?);
    }
    weight(&GETSIZEOF.import(py, "sys", "getsizeof")?.call1((value,))?)
}

/// A name of entries to drop.
pub(super) fn tag(given: &Bound<'_, PyAny>) -> PyResult<PyBackedStr> {
    given.extract().map_err(|_| refuse(given, "tag must be a str"))
}

/// Nanoseconds beyond which an entry is too old.
pub(super) fn age(given: &Bound<'_, PyAny>) -> PyResult<u64> {
    match given.extract::<f64>() {
        Ok(seconds) => span(given.py(), "older_than", seconds),
        Err(_) => Err(refuse(given, "older_than must be a number of seconds")),
    }
}

/// What `set_many` is given, one after the other.
pub(super) fn items<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    let pairs = if given.hasattr("items")? {
        given.call_method0("items")?
    } else {
        given.clone()
    };
    pairs
        .try_iter()
        .map_err(|_| refuse(given, "items must be a mapping or pairs of key and value"))
}

/// A key and its value.
pub(super) fn pair<'py>(given: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    given
        .extract()
        .map_err(|_| refuse(given, "items must be a mapping or pairs of key and value"))
}

fn refuse(given: &Bound<'_, PyAny>, rule: &str) -> PyErr {
    configuration_error(given.py(), format!("{rule}, not {}", shown(given)))
}

/// The `repr` of what was given; ints of thousands of digits and some broken objects have none.
fn shown(given: &Bound<'_, PyAny>) -> String {
    given
        .repr()
        .map_or_else(|_| "something else".to_owned(), |shown| shown.to_string())
}
