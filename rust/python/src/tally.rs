//! `_core.Tally`: signatures and conversions over `resopt_core::stats::tally`.

use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use resopt_core::stats::tally::{Counted, Tally as Core, Tokens};

use crate::error::from_core;
use crate::sketch::Sketch;

/// Exact sums of money and tokens and sketches of latencies, over requests.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Tally {
    // Held for arithmetic only: values are converted before, and exceptions made after.
    inner: Mutex<Core>,
}

#[pymethods]
impl Tally {
    #[new]
    fn new() -> Self {
        Self {
            inner: Mutex::new(Core::default()),
        }
    }

    /// Count one request.
    #[pyo3(signature = (cost, baseline, avoided, billed, spared, latency, baseline_latency, /))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one call per request; keywords would cost a tenth of it"
    )]
    fn count(
        &self,
        py: Python<'_>,
        cost: Option<&Bound<'_, PyAny>>,
        baseline: Option<&Bound<'_, PyAny>>,
        avoided: Option<&Bound<'_, PyAny>>,
        billed: Option<&Bound<'_, PyAny>>,
        spared: Option<&Bound<'_, PyAny>>,
        latency: f64,
        baseline_latency: f64,
    ) -> PyResult<()> {
        let money = match (cost, baseline, avoided) {
            (Some(cost), Some(baseline), Some(avoided)) => match (whole(cost)?, whole(baseline)?, whole(avoided)?) {
                (Some(cost), Some(baseline), Some(avoided)) => Some([cost, baseline, avoided]),
                _ => None,
            },
            _ => None,
        };
        let one = Counted {
            money,
            billed: tokens(billed)?,
            avoided: tokens(spared)?,
            latency,
            baseline_latency,
        };
        let result = self.inner.lock().count(&one);
        result.map_err(|error| from_core(py, &error))
    }

    /// Count everything that `other` has counted.
    #[pyo3(signature = (other, /))]
    fn merge(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<()> {
        // A copy first: the two locks are never held together, and `other` may be this very tally.
        let copy = other.get().inner.lock().clone();
        let result = self.inner.lock().merge(&copy);
        result.map_err(|error| from_core(py, &error))
    }

    #[getter]
    fn requests(&self) -> u64 {
        self.inner.lock().requests
    }

    #[getter]
    fn unknown(&self) -> u64 {
        self.inner.lock().unknown
    }

    #[getter]
    fn spent(&self) -> i128 {
        self.inner.lock().money[0]
    }

    #[getter]
    fn baseline(&self) -> i128 {
        self.inner.lock().money[1]
    }

    #[getter]
    fn avoided(&self) -> i128 {
        self.inner.lock().money[2]
    }

    #[getter]
    fn billed_tokens(&self) -> (i128, i128, i128, i128, i128) {
        self.inner.lock().billed.into()
    }

    #[getter]
    fn avoided_tokens(&self) -> (i128, i128, i128, i128, i128) {
        self.inner.lock().avoided.into()
    }

    #[getter]
    fn latency(&self) -> Sketch {
        self.inner.lock().latency.clone().into()
    }

    #[getter]
    fn baseline_latency(&self) -> Sketch {
        self.inner.lock().baseline_latency.clone().into()
    }
}

/// An integer; `None` for one that 128 bits cannot hold, which nobody was ever billed.
fn whole(value: &Bound<'_, PyAny>) -> PyResult<Option<i128>> {
    if let Ok(small) = value.extract::<i64>() {
        return Ok(Some(small.into()));
    }
    match value.extract::<i128>() {
        Ok(large) => Ok(Some(large)),
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyOverflowError>(value.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The counts of a `Usage`; zeros without one.
fn tokens(usage: Option<&Bound<'_, PyAny>>) -> PyResult<Tokens> {
    let Some(usage) = usage else { return Ok([0; 5]) };
    let py = usage.py();
    let mut counts = [0; 5];
    for (count, name) in counts.iter_mut().zip([
        intern!(py, "input_tokens"),
        intern!(py, "cached_input_tokens"),
        intern!(py, "cache_write_tokens"),
        intern!(py, "output_tokens"),
        intern!(py, "reasoning_tokens"),
    ]) {
        *count = whole(&usage.getattr(name)?)?.unwrap_or(i128::MAX);
    }
    Ok(counts)
}
