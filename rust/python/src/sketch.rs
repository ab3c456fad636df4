//! `_core.Sketch`: signatures and conversions over `resopt_core::stats::sketch`.

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use resopt_core::error::Error;
use resopt_core::stats::sketch::Sketch as Core;

use crate::error::from_core;

/// Quantiles of a stream of non-negative numbers, within a relative error, in bounded memory.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Sketch {
    // Held for arithmetic only: values are converted before, and exceptions made after.
    inner: Mutex<Core>,
}

impl From<Core> for Sketch {
    fn from(core: Core) -> Self {
        Self {
            inner: Mutex::new(core),
        }
    }
}

impl Sketch {
    fn change(&self, py: Python<'_>, apply: impl FnOnce(&mut Core) -> Result<(), Error>) -> PyResult<()> {
        let result = apply(&mut self.inner.lock());
        result.map_err(|error| from_core(py, &error))
    }
}

#[pymethods]
impl Sketch {
    #[new]
    #[pyo3(signature = (relative_error = 0.01, max_bins = 2048))]
    fn new(py: Python<'_>, relative_error: f64, max_bins: u32) -> PyResult<Self> {
        let core = Core::new(relative_error, max_bins).map_err(|error| from_core(py, &error))?;
        Ok(core.into())
    }

    /// Count one value.
    #[pyo3(signature = (value, /))]
    fn add(&self, py: Python<'_>, value: f64) -> PyResult<()> {
        self.change(py, |core| core.add(value))
    }

    /// Count every value, or none when one of them is not allowed.
    #[pyo3(signature = (values, /))]
    fn add_many(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let values = values
            .try_iter()?
            .map(|value| value?.extract())
            .collect::<PyResult<Vec<f64>>>()?;
        self.change(py, |core| core.add_many(&values))
    }

    /// Count everything that `other` has counted.
    #[pyo3(signature = (other, /))]
    fn merge(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<()> {
        // A copy first: the two locks are never held together, and `other` may be this very sketch.
        let copy = other.get().inner.lock().clone();
        self.change(py, |core| core.merge(&copy))
    }

    /// The value below which a share `q` of all values lies, or None when nothing was counted.
    #[pyo3(signature = (q, /))]
    fn quantile(&self, py: Python<'_>, q: f64) -> PyResult<Option<f64>> {
        let result = self.inner.lock().quantile(q);
        result.map_err(|error| from_core(py, &error))
    }

    /// How many values were counted.
    #[getter]
    fn count(&self) -> u64 {
        self.inner.lock().count()
    }

    /// Their sum.
    #[getter]
    fn sum(&self) -> f64 {
        self.inner.lock().sum()
    }

    /// The smallest value, or None when nothing was counted.
    #[getter]
    fn minimum(&self) -> Option<f64> {
        self.inner.lock().minimum()
    }

    /// The largest value, or None when nothing was counted.
    #[getter]
    fn maximum(&self) -> Option<f64> {
        self.inner.lock().maximum()
    }

    /// The sketch as bytes, versioned and checksummed.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = self.inner.lock().to_bytes();
        PyBytes::new(py, &bytes)
    }

    /// Read back what `to_bytes` wrote.
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let core = Core::from_bytes(data).map_err(|error| from_core(py, &error))?;
        Ok(core.into())
    }
}
