//! `_core.MeanDifference`: signatures and conversions over `resopt_core::stats::difference`.

use parking_lot::Mutex;
use pyo3::prelude::*;
use resopt_core::stats::difference::MeanDifference as Core;

use crate::error::from_core;

/// Where the difference of two means of bounded values lies, at every moment; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct MeanDifference {
    inner: Mutex<Core>,
}

#[pymethods]
impl MeanDifference {
    #[new]
    #[pyo3(signature = (share = 0.5, *, paired = false))]
    fn new(py: Python<'_>, share: f64, paired: bool) -> PyResult<Self> {
        let core = if paired { Ok(Core::paired()) } else { Core::new(share) };
        Ok(Self {
            inner: Mutex::new(core.map_err(|error| from_core(py, &error))?),
        })
    }

    #[pyo3(signature = (second, value, /))]
    fn add(&self, py: Python<'_>, second: bool, value: f64) -> PyResult<()> {
        let result = self.inner.lock().add(second, value);
        result.map_err(|error| from_core(py, &error))
    }

    #[pyo3(signature = (above, /))]
    fn p_value(&self, above: f64) -> f64 {
        (-self.inner.lock().evidence(above)).exp().min(1.0)
    }

    #[pyo3(signature = (alpha = 0.05))]
    fn interval(&self, py: Python<'_>, alpha: f64) -> PyResult<(f64, f64)> {
        let result = self.inner.lock().interval(alpha);
        result.map_err(|error| from_core(py, &error))
    }

    fn state(&self) -> Vec<f64> {
        self.inner.lock().state()
    }

    #[pyo3(signature = (state, /))]
    #[expect(clippy::needless_pass_by_value, reason = "a Python list becomes a vector")]
    fn restore(&self, py: Python<'_>, state: Vec<f64>) -> PyResult<()> {
        let result = self.inner.lock().restore(&state);
        result.map_err(|error| from_core(py, &error))
    }
}
