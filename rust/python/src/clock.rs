//! The manual clock as a Python class: seconds as floats outside, nanoseconds inside.

use pyo3::prelude::*;
use resopt_core::store::clock;

use crate::error::configuration_error;

const NANOSECONDS: f64 = 1e9;

/// A clock that moves only when told to; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct ManualClock {
    pub(crate) clock: clock::ManualClock,
}

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (start = 0.0))]
    fn new(py: Python<'_>, start: f64) -> PyResult<Self> {
        let clock = clock::ManualClock::default();
        clock.advance(span(py, "start", start)?);
        Ok(Self { clock })
    }

    fn now(&self) -> f64 {
        seconds(self.clock.now())
    }

    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        self.clock.advance(span(py, "seconds", seconds)?);
        Ok(())
    }

    fn set(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        if self.clock.set(span(py, "seconds", seconds)?) {
            return Ok(());
        }
        let message = format!("the clock is at {} and cannot be set back to {seconds}", self.now());
        Err(configuration_error(py, message))
    }
}

/// Nanoseconds as seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "spans above 104 days are exact to a microsecond, and nobody asks for more"
)]
pub(crate) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / NANOSECONDS
}

/// Seconds as nanoseconds; what exceeds 584 years, infinity included, is the longest span there is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be at least 0; casts saturate"
)]
pub(crate) fn nanoseconds(seconds: f64) -> u64 {
    (seconds * NANOSECONDS).round() as u64
}

/// A span given by a caller: a number of seconds, at least 0.
pub(crate) fn span(py: Python<'_>, name: &str, seconds: f64) -> PyResult<u64> {
    if seconds >= 0.0 {
        return Ok(nanoseconds(seconds));
    }
    Err(configuration_error(
        py,
        format!("{name} must be a number of seconds, at least 0, not {seconds}"),
    ))
}
