//! What the store hands out besides values: frozen records.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use resopt_core::store;

use crate::clock::seconds;
use crate::error::configuration_error;

/// A key that is a digest already; see the stub.
#[pyclass(frozen, eq, hash, module = "resopt._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Digest {
    pub(crate) digest: store::Digest,
}

#[pymethods]
impl Digest {
    #[new]
    fn new(py: Python<'_>, digest: &[u8]) -> PyResult<Self> {
        let digest = digest
            .try_into()
            .map_err(|_| configuration_error(py, format!("a digest is 16 bytes, not {}", digest.len())))?;
        Ok(Self { digest })
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.digest)
    }
}

/// A live entry; see the stub.
#[pyclass(frozen, get_all, module = "resopt._core")]
pub(crate) struct Entry {
    value: Py<PyAny>,
    age: f64,
    remaining: Option<f64>,
    hits: u32,
    weight: u64,
    tags: Py<PyTuple>,
}

impl Entry {
    pub(crate) fn new(py: Python<'_>, value: Py<PyAny>, entry: &store::Entry) -> PyResult<Self> {
        // Names that begin with NUL are resopt's own.
        let tags = entry
            .tags
            .iter()
            .filter(|tag| !tag.starts_with('\0'))
            .map(AsRef::as_ref);
        Ok(Self {
            value,
            age: seconds(entry.age),
            remaining: entry.remaining.map(seconds),
            hits: entry.hits,
            weight: entry.weight,
            tags: PyTuple::new(py, tags.collect::<Vec<&str>>())?.unbind(),
        })
    }
}

#[pymethods]
impl Entry {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let remaining = self
            .remaining
            .map_or_else(|| "None".to_owned(), |remaining| format!("{remaining:.3}"));
        Ok(format!(
            "Entry(value={}, age={:.3}, remaining={remaining}, hits={}, weight={}, tags={})",
            self.value.bind(py).repr()?,
            self.age,
            self.hits,
            self.weight,
            self.tags.bind(py).repr()?,
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.value)
    }
}

/// Counters and sums of one moment; see the stub.
#[pyclass(frozen, get_all, eq, module = "resopt._core")]
#[derive(PartialEq)]
pub(crate) struct Stats {
    hits: u64,
    misses: u64,
    evictions: u64,
    expirations: u64,
    refused: u64,
    entries: u64,
    bytes: u64,
}

impl From<store::Stats> for Stats {
    fn from(stats: store::Stats) -> Self {
        let store::Stats {
            hits,
            misses,
            evictions,
            expirations,
            refused,
            entries,
            bytes,
        } = stats;
        Self {
            hits,
            misses,
            evictions,
            expirations,
            refused,
            entries,
            bytes,
        }
    }
}

#[pymethods]
impl Stats {
    #[getter]
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counters")]
    fn hit_rate(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 {
            0.0
        } else {
            self.hits as f64 / lookups as f64
        }
    }

    fn __repr__(&self) -> String {
        format!(
            "Stats(hits={}, misses={}, evictions={}, expirations={}, refused={}, entries={}, bytes={}, hit_rate={:.3})",
            self.hits,
            self.misses,
            self.evictions,
            self.expirations,
            self.refused,
            self.entries,
            self.bytes,
            self.hit_rate(),
        )
    }
}
