//! `_core.RouteModel`, `_core.Cuts`: signatures and conversions over `resopt_core::route`.

use std::borrow::Cow;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySequence, PyString};
use resopt_core::error::Error;
use resopt_core::route::curve::apgr as core_apgr;
use resopt_core::route::cuts::{Cuts as Core, Lean};
use resopt_core::route::features::{Features, SCANNED};
use resopt_core::route::linear::Linear;
use resopt_core::route::score;

use crate::error::{configuration_error, from_core};

/// What is read of a text, and how many characters follow: a long text is never converted as a whole.
fn head<'a>(text: &'a Bound<'_, PyString>) -> PyResult<(Cow<'a, str>, u64)> {
    let length = text.len()?;
    if length <= SCANNED {
        return Ok((text.to_string_lossy(), 0));
    }
    let first = text
        .cast::<PySequence>()?
        .get_slice(0, SCANNED)?
        .cast_into::<PyString>()?;
    let owned = first.to_string_lossy().into_owned();
    Ok((Cow::Owned(owned), (length - SCANNED) as u64))
}

/// How much a question asks for: the fixed prior, or a model of the user's own labels.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct RouteModel {
    linear: Option<Linear>,
}

impl RouteModel {
    fn raw(&self, text: &str, beyond: u64) -> Option<f64> {
        match &self.linear {
            Some(linear) => linear.score(text, beyond),
            None => score::prior(&Features::of(text, beyond)),
        }
    }

    fn place(&self, text: &str, beyond: u64) -> Option<f64> {
        let raw = self.raw(text, beyond)?;
        Some(match &self.linear {
            Some(_) => Linear::place(raw),
            None => score::place(raw),
        })
    }

    fn cuts(&self, shares: &[f64]) -> Result<Core, Error> {
        match &self.linear {
            Some(linear) => Core::new(shares, |place| linear.expected_below(place)),
            None => Core::new(shares, score::expected_below),
        }
    }
}

#[pymethods]
impl RouteModel {
    #[new]
    fn new() -> Self {
        Self { linear: None }
    }

    /// Fit to questions and what each gained from the stronger model.
    #[staticmethod]
    #[pyo3(signature = (texts, gains, /))]
    #[expect(clippy::needless_pass_by_value, reason = "a list becomes a vector on the way in")]
    fn fit(py: Python<'_>, texts: Vec<Bound<'_, PyString>>, gains: Vec<f32>) -> PyResult<Self> {
        let owned: Vec<String> = texts
            .iter()
            .map(|text| head(text).map(|(text, _)| text.into_owned()))
            .collect::<PyResult<_>>()?;
        let fitted = py.detach(|| {
            let texts: Vec<&str> = owned.iter().map(String::as_str).collect();
            Linear::fit(&texts, &gains)
        });
        match fitted {
            Ok(linear) => Ok(Self { linear: Some(linear) }),
            Err(error) => Err(from_core(py, &error)),
        }
    }

    /// The score of a text; None when there is nothing to judge by.
    #[pyo3(signature = (text, /))]
    fn score(&self, text: &Bound<'_, PyString>) -> PyResult<Option<f64>> {
        let (text, beyond) = head(text)?;
        Ok(self.raw(&text, beyond))
    }

    /// The percentile of a text's score among those expected.
    #[pyo3(signature = (text, /))]
    fn percentile(&self, text: &Bound<'_, PyString>) -> PyResult<Option<f64>> {
        let (text, beyond) = head(text)?;
        Ok(self.raw(&text, beyond).map(|raw| match &self.linear {
            Some(linear) => linear.percentile(raw),
            None => score::expected_percentile(raw),
        }))
    }

    /// A place from 0 to 1 for a text's score, in the order of scores.
    #[pyo3(signature = (text, /))]
    fn position(&self, text: &Bound<'_, PyString>) -> PyResult<Option<f64>> {
        let (text, beyond) = head(text)?;
        Ok(self.place(&text, beyond))
    }

    /// What the prior counted in a text and what each count adds to its score.
    #[staticmethod]
    #[pyo3(signature = (text, /))]
    fn parts(text: &Bound<'_, PyString>) -> PyResult<Vec<(&'static str, u64, f64)>> {
        let (text, beyond) = head(text)?;
        let features = Features::of(&text, beyond);
        let counts = [
            features.bytes,
            features.parts.into(),
            features.logic.into(),
            features.names.into(),
            features.quantities.into(),
            features.craft.into(),
            features.numbers.into(),
            features.marks.into(),
            features.repeats.into(),
        ];
        let logarithms = score::logarithms(&features);
        let mut parts: Vec<_> = score::PARTS
            .into_iter()
            .zip(counts)
            .zip(logarithms)
            .map(|(((name, weight), count), logarithm)| (name, count, weight * logarithm))
            .collect();
        parts.push(("steering", features.steering.into(), 0.0));
        Ok(parts)
    }

    /// Share of the words' model in the score; None without a fit.
    #[getter]
    fn mix(&self) -> Option<f64> {
        self.linear.as_ref().map(Linear::mix)
    }

    /// Rows, mean gain, APGR of the prior and of held-out rows; None without a fit.
    #[getter]
    fn summary(&self) -> Option<(u32, f32, f32, f32)> {
        let summary = self.linear.as_ref()?.summary();
        Some((summary.rows, summary.gain, summary.prior, summary.held_out))
    }

    /// Quality lost at most (95 %) at each hundredth of the stronger model's share; None without a fit.
    #[getter]
    fn losses(&self) -> Option<Vec<f32>> {
        self.linear.as_ref().map(|linear| linear.losses().to_vec())
    }

    /// The fitted model as bytes; empty for the prior.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = self.linear.as_ref().map(Linear::to_bytes).unwrap_or_default();
        PyBytes::new(py, &bytes)
    }

    /// Read back what `to_bytes` wrote.
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        if data.is_empty() {
            return Ok(Self::new());
        }
        match Linear::from_bytes(data) {
            Ok(linear) => Ok(Self { linear: Some(linear) }),
            Err(error) => Err(from_core(py, &error)),
        }
    }
}

/// Which tier a score belongs to, so that each tier gets its share of the traffic.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Cuts {
    // Held for arithmetic only.
    inner: Mutex<Core>,
}

fn lean_of(py: Python<'_>, lean: &str) -> PyResult<Lean> {
    match lean {
        "fast" => Ok(Lean::Fast),
        "balanced" => Ok(Lean::Balanced),
        "accurate" => Ok(Lean::Accurate),
        other => Err(configuration_error(
            py,
            format!("mode must be fast, balanced or accurate, not {other:?}"),
        )),
    }
}

#[pymethods]
impl Cuts {
    #[new]
    #[pyo3(signature = (shares, model, /))]
    #[expect(clippy::needless_pass_by_value, reason = "a list becomes a vector on the way in")]
    fn new(py: Python<'_>, shares: Vec<f64>, model: &Bound<'_, RouteModel>) -> PyResult<Self> {
        let core = model.get().cuts(&shares).map_err(|error| from_core(py, &error))?;
        Ok(Self {
            inner: Mutex::new(core),
        })
    }

    /// Promise the tiers other shares.
    #[pyo3(signature = (shares, /))]
    #[expect(clippy::needless_pass_by_value, reason = "a list becomes a vector on the way in")]
    fn set_shares(&self, py: Python<'_>, shares: Vec<f64>) -> PyResult<()> {
        let result = self.inner.lock().set_shares(&shares);
        result.map_err(|error| from_core(py, &error))
    }

    /// Score, cut and count a text in one step; the tier; about `middle` when there is nothing to judge by.
    #[pyo3(signature = (model, text, middle, /))]
    fn decide(&self, model: &Bound<'_, RouteModel>, text: &Bound<'_, PyString>, middle: usize) -> PyResult<usize> {
        let (text, beyond) = head(text)?;
        let position = model.get().place(&text, beyond);
        let mut cuts = self.inner.lock();
        let tier = match position {
            Some(position) => cuts.tier(cuts.percentile(position), Lean::Balanced),
            None => cuts.tier_of_silence(middle),
        };
        cuts.count(position, tier, true);
        Ok(tier)
    }

    /// The share of the traffic that scores lower than a position.
    #[pyo3(signature = (position, /))]
    fn percentile(&self, position: f64) -> f64 {
        self.inner.lock().percentile(position)
    }

    /// The tier for a percentile; 0 is the cheapest.
    #[pyo3(signature = (percentile, mode = "balanced", /))]
    fn tier(&self, py: Python<'_>, percentile: f64, mode: &str) -> PyResult<usize> {
        let lean = lean_of(py, mode)?;
        Ok(self.inner.lock().tier(percentile, lean))
    }

    /// The tier of a text that there is nothing to judge by.
    #[pyo3(signature = (middle, /))]
    fn tier_of_silence(&self, middle: usize) -> usize {
        self.inner.lock().tier_of_silence(middle)
    }

    /// Remember a score and the tier it got; the cuts answer for those where they were free to choose.
    #[pyo3(signature = (position, tier, free, /))]
    fn count(&self, position: Option<f64>, tier: usize, free: bool) {
        self.inner.lock().count(position, tier, free);
    }

    /// Requests that each tier got.
    #[getter]
    fn taken(&self) -> Vec<u64> {
        self.inner.lock().taken().to_vec()
    }

    /// Requests for which the cuts were free to choose.
    #[getter]
    fn counted(&self) -> u64 {
        self.inner.lock().counted()
    }

    /// The state that `restore` brings back.
    fn state(&self) -> (Vec<f64>, Vec<f64>, u64) {
        self.inner.lock().state()
    }

    /// Bring back a state of the same tiers.
    #[pyo3(signature = (steps, excess, counted, /))]
    #[expect(clippy::needless_pass_by_value, reason = "a list becomes a vector on the way in")]
    fn restore(&self, py: Python<'_>, steps: Vec<f64>, excess: Vec<f64>, counted: u64) -> PyResult<()> {
        let result = self.inner.lock().restore(&steps, &excess, counted);
        result.map_err(|error| from_core(py, &error))
    }
}

/// Area under the recovered share of the gain, when the highest scores go to the stronger model first.
#[pyfunction]
#[pyo3(signature = (scores, gains, /))]
#[expect(clippy::needless_pass_by_value, reason = "a list becomes a vector on the way in")]
pub(crate) fn apgr(py: Python<'_>, scores: Vec<f64>, gains: Vec<f32>) -> PyResult<f64> {
    if scores.len() != gains.len() || scores.is_empty() {
        return Err(configuration_error(
            py,
            format!("{} scores but {} gains", scores.len(), gains.len()),
        ));
    }
    Ok(core_apgr(&scores, &gains))
}
