//! Python values to keys: walked once into a `KeyStream`, without `json.dumps`.

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use resopt_core::key::{self, Key, KeyStream};

mod other;
mod refusal;
mod request;
mod walk;

pub(crate) use request::RequestShape;
pub(crate) use walk::walk;

use crate::error::configuration_error;

thread_local! {
    /// The stream whose buffer the keys of this thread share. It is taken out while in use: walking can run Python
    /// code, which may ask for another key.
    static STREAM: Cell<Option<KeyStream>> = const { Cell::new(None) };
}

/// The key of what `write` writes.
pub(crate) fn keyed(space: &key::KeySpace, write: impl FnOnce(&mut KeyStream) -> PyResult<()>) -> PyResult<Key> {
    // A thread that is ending has no stream any more; a value's destructor may still ask for a key.
    let mut stream = STREAM.try_with(Cell::take).ok().flatten().unwrap_or_default();
    stream.begin(space);
    let written = write(&mut stream);
    let key = written.map(|()| stream.finish());
    // Given up, not an error: the buffer only saves an allocation.
    let _ = STREAM.try_with(|kept| kept.set(Some(stream)));
    key
}

/// The key of a Python value of plain data.
///
/// # Errors
/// `UnkeyableError` naming the path to what is not plain data; whatever Python code of the value raises.
pub(crate) fn key_of(space: &key::KeySpace, value: &Bound<'_, PyAny>) -> PyResult<Key> {
    if let Ok(text) = value.cast_exact::<PyString>()
        && let Ok(text) = text.to_str()
        && let Some(key) = space.short_text(text.as_bytes())
    {
        return Ok(key);
    }
    keyed(space, |stream| walk(value.py(), value, stream))
}

/// A set of keys of its own; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct KeySpace {
    pub(crate) space: key::KeySpace,
}

#[pymethods]
impl KeySpace {
    #[new]
    #[pyo3(signature = (namespace = String::new(), secret = None), text_signature = "(namespace='', secret=None)")]
    #[expect(clippy::needless_pass_by_value, reason = "what `from_py_with` makes is handed over")]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = namespace_of)] namespace: String,
        secret: Option<&[u8]>,
    ) -> PyResult<Self> {
        if secret.is_some_and(<[u8]>::is_empty) {
            return Err(configuration_error(
                py,
                "secret is empty: pass random bytes, or None for keys that anyone can compute".to_owned(),
            ));
        }
        Ok(Self {
            space: key::KeySpace::new(&namespace, secret),
        })
    }

    #[pyo3(signature = (value, /))]
    fn key<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(value.py(), &key_of(&self.space, value)?.0))
    }

    #[pyo3(signature = (shape, body, namespace, tenant, user, policy, folded, /))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one call per request; keywords would cost a tenth of it"
    )]
    fn request<'py>(
        &self,
        py: Python<'py>,
        shape: &RequestShape,
        body: &Bound<'py, PyDict>,
        namespace: &Bound<'py, PyString>,
        tenant: Option<&Bound<'py, PyString>>,
        user: Option<&Bound<'py, PyString>>,
        policy: &Bound<'py, PyAny>,
        folded: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let key = keyed(&self.space, |stream| {
            shape.write_header(stream, namespace, tenant, user)?;
            walk(py, policy, stream)?;
            shape.write_body(body, folded, stream)
        })?;
        Ok(PyBytes::new(py, &key.0))
    }
}

fn namespace_of(given: &Bound<'_, PyAny>) -> PyResult<String> {
    let namespace = given.cast::<PyString>()?;
    match namespace.to_str() {
        Ok(namespace) => Ok(namespace.to_owned()),
        Err(_) => Err(configuration_error(
            given.py(),
            "namespace holds a lone surrogate, which is no character; decode it properly".to_owned(),
        )),
    }
}
