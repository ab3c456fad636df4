//! `_core.SequentialTest`, `_core.Floor`: signatures and conversions over `resopt_core::stats::sequential`.

use parking_lot::Mutex;
use pyo3::prelude::*;
use resopt_core::error::Error;
use resopt_core::stats::sequential::{self, Floor as FloorCore, SequentialTest as TestCore};

use crate::error::from_core;

/// Whether two means differ, watched without end; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct SequentialTest {
    inner: Mutex<TestCore>,
}

#[pymethods]
impl SequentialTest {
    #[new]
    #[pyo3(signature = (spread, *, warm_up = 100, paired = false))]
    fn new(py: Python<'_>, spread: f64, warm_up: u32, paired: bool) -> PyResult<Self> {
        let core = TestCore::new(spread, warm_up, paired).map_err(|error| from_core(py, &error))?;
        Ok(Self {
            inner: Mutex::new(core),
        })
    }

    #[pyo3(signature = (second, value, /))]
    fn add(&self, py: Python<'_>, second: bool, value: f64) -> PyResult<()> {
        let result = self.inner.lock().add(second, value);
        result.map_err(|error| from_core(py, &error))
    }

    #[getter]
    fn ready(&self) -> bool {
        self.inner.lock().ready()
    }

    #[getter]
    fn difference(&self) -> f64 {
        self.inner.lock().difference()
    }

    #[getter]
    fn counts(&self) -> (u64, u64) {
        let [first, second] = self.inner.lock().arms();
        (whole(first.count), whole(second.count))
    }

    #[getter]
    fn means(&self) -> (f64, f64) {
        let [first, second] = self.inner.lock().arms();
        (first.mean, second.mean)
    }

    #[getter]
    fn p_value(&self) -> f64 {
        self.inner.lock().p_value()
    }

    #[getter]
    fn p_lower(&self) -> f64 {
        self.inner.lock().p_one_sided(false)
    }

    #[getter]
    fn p_higher(&self) -> f64 {
        self.inner.lock().p_one_sided(true)
    }

    #[pyo3(signature = (alpha = 0.05))]
    fn interval(&self, py: Python<'_>, alpha: f64) -> PyResult<(f64, f64)> {
        let (difference, radius) = {
            let core = self.inner.lock();
            (core.difference(), core.radius(alpha))
        };
        let radius = radius.map_err(|error: Error| from_core(py, &error))?;
        Ok((difference - radius, difference + radius))
    }

    fn state(&self) -> Vec<f64> {
        self.inner.lock().state().to_vec()
    }

    #[pyo3(signature = (state, /))]
    #[expect(clippy::needless_pass_by_value, reason = "a Python list becomes a vector")]
    fn restore(&self, py: Python<'_>, state: Vec<f64>) -> PyResult<()> {
        let result = self.inner.lock().restore(&state);
        result.map_err(|error| from_core(py, &error))
    }
}

/// Whether a mean has fallen below a floor, watched without end; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Floor {
    inner: Mutex<FloorCore>,
}

#[pymethods]
impl Floor {
    #[new]
    #[pyo3(signature = (minimum, /))]
    fn new(py: Python<'_>, minimum: f64) -> PyResult<Self> {
        let core = FloorCore::new(minimum).map_err(|error| from_core(py, &error))?;
        Ok(Self {
            inner: Mutex::new(core),
        })
    }

    #[pyo3(signature = (score, /))]
    fn add(&self, py: Python<'_>, score: f64) -> PyResult<()> {
        let result = self.inner.lock().add(score);
        result.map_err(|error| from_core(py, &error))
    }

    #[getter]
    fn count(&self) -> u64 {
        self.inner.lock().count()
    }

    #[getter]
    fn sum(&self) -> f64 {
        self.inner.lock().sum()
    }

    #[getter]
    fn p_value(&self) -> f64 {
        self.inner.lock().p_value()
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

/// How strongly two counts speak against the share asked for; see the stub.
#[pyfunction]
#[pyo3(signature = (first, second, share, concentration = 100.0))]
pub(crate) fn ratio_evidence(py: Python<'_>, first: u64, second: u64, share: f64, concentration: f64) -> PyResult<f64> {
    sequential::ratio_evidence(first, second, share, concentration).map_err(|error| from_core(py, &error))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, kept as a float for arithmetic"
)]
fn whole(count: f64) -> u64 {
    count as u64
}
