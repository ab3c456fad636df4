//! `_core.Partition`: signatures and conversions over `resopt_core::semantic::partition`.

mod decision;

pub(crate) use decision::Decision;
use decision::standing;
use parking_lot::Mutex;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use resopt_core::error::Error;
use resopt_core::guard::Guards;
use resopt_core::semantic::calibrate::{Basis, Policy, Profile};
use resopt_core::semantic::partition::{Judge, Options, Partition as Core};

use crate::error::{configuration_error, from_core};

/// From so many entries on a decision lets other Python threads run.
const LARGE: usize = 1000;

fn profile(py: Python<'_>, name: &str) -> PyResult<Profile> {
    match name {
        "strict" => Ok(Profile::Strict),
        "balanced" => Ok(Profile::Balanced),
        "eager" => Ok(Profile::Eager),
        _ => Err(configuration_error(
            py,
            format!("profile is \"strict\", \"balanced\" or \"eager\", not {name:?}"),
        )),
    }
}

fn judge(py: Python<'_>, name: &str) -> PyResult<Judge> {
    match name {
        "bundled" => Ok(Judge::Bundled),
        "own" => Ok(Judge::Own),
        "none" => Ok(Judge::Nobody),
        _ => Err(configuration_error(
            py,
            format!("verifier is \"bundled\", \"own\" or \"none\", not {name:?}"),
        )),
    }
}

/// A vector through the buffer protocol (float32 or float64), or any sequence of numbers.
fn numbers(py: Python<'_>, vector: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<f32>>> {
    let Some(vector) = vector else {
        return Ok(None);
    };
    if let Ok(buffer) = PyBuffer::<f32>::get(vector) {
        return buffer.to_vec(py).map(Some);
    }
    if let Ok(buffer) = PyBuffer::<f64>::get(vector) {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are kept as f32")]
        return Ok(Some(buffer.to_vec(py)?.into_iter().map(|value| value as f32).collect()));
    }
    vector.extract::<Vec<f32>>().map(Some)
}

/// The questions of one scope, and the whole way of a question through them.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Partition {
    // Held for reading and arithmetic only: texts and vectors are converted before, objects made after.
    inner: Mutex<Core>,
}

impl Partition {
    /// Work on the core, letting other threads run when there is much to look at.
    fn work<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Core) -> Result<T, Error> + Send) -> PyResult<T> {
        let large = self.inner.lock().len() >= LARGE;
        let result = if large {
            py.detach(|| work(&mut self.inner.lock()))
        } else {
            work(&mut self.inner.lock())
        };
        result.map_err(|error| from_core(py, &error))
    }
}

#[pymethods]
impl Partition {
    #[new]
    #[pyo3(signature = (
        *, dimensions = None, verifier = "bundled", profile = "balanced", max_wrong_hits = 0.02,
        similarity_threshold = 0.95, audit_rate = 0.05, miss_rate = 0.2, alpha = 0.05, guards = None, exact = false,
        seed = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python<'_>,
        dimensions: Option<usize>,
        verifier: &str,
        profile: &str,
        max_wrong_hits: f64,
        similarity_threshold: f32,
        audit_rate: f64,
        miss_rate: f64,
        alpha: f64,
        guards: Option<Vec<String>>,
        exact: bool,
        seed: Option<u64>,
    ) -> PyResult<Self> {
        let judge = judge(py, verifier)?;
        let policy = Policy {
            profile: self::profile(py, profile)?,
            max_wrong: max_wrong_hits,
            similarity_threshold,
            // The partition sets it from the two above.
            basis: Basis::Bundled,
            audit_rate,
            miss_rate,
        };
        let core = guards
            .map_or(Ok(Guards::ALL), |names| {
                Guards::from_names(names.iter().map(String::as_str))
            })
            .and_then(|guards| {
                Core::new(Options {
                    dimensions,
                    judge,
                    policy,
                    alpha,
                    guards,
                    exact,
                    seed,
                })
            })
            .map_err(|error| from_core(py, &error))?;
        Ok(Self {
            inner: Mutex::new(core),
        })
    }

    /// Add a question under an id; False when it has no vector.
    #[pyo3(signature = (id, text, vector = None, *, answer = None))]
    fn insert(
        &self,
        py: Python<'_>,
        id: u64,
        text: &Bound<'_, PyString>,
        vector: Option<&Bound<'_, PyAny>>,
        answer: Option<u64>,
    ) -> PyResult<bool> {
        let vector = numbers(py, vector)?;
        let text = text.to_string_lossy();
        self.work(py, |core| core.insert(id, &text, vector.as_deref(), answer))
    }

    /// Forget an entry; whether there was one.
    #[pyo3(signature = (id, /))]
    fn remove(&self, id: u64) -> bool {
        self.inner.lock().remove(id)
    }

    /// Forget all entries, and nothing of what was learned.
    fn clear(&self) {
        self.inner.lock().clear();
    }

    /// The whole way of a question.
    #[pyo3(signature = (text, vector = None, *, record = true, near = None))]
    fn decide(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyString>,
        vector: Option<&Bound<'_, PyAny>>,
        record: bool,
        near: Option<Vec<(u64, f32)>>,
    ) -> PyResult<Decision> {
        let vector = numbers(py, vector)?;
        let text = text.to_string_lossy();
        let inner = self.work(py, |core| core.decide_among(&text, vector.as_deref(), near, record))?;
        Ok(Decision { inner })
    }

    /// Candidates and the guards' reasons, for a verifier of one's own.
    #[pyo3(signature = (text, vector = None, *, near = None))]
    fn nominate(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyString>,
        vector: Option<&Bound<'_, PyAny>>,
        near: Option<Vec<(u64, f32)>>,
    ) -> PyResult<Decision> {
        let vector = numbers(py, vector)?;
        let text = text.to_string_lossy();
        let inner = self.work(py, |core| core.nominate_among(&text, vector.as_deref(), near, false))?;
        Ok(Decision { inner })
    }

    /// Decide with the probabilities of a verifier of one's own.
    #[pyo3(signature = (decision, probabilities, *, record = true))]
    fn settle(
        &self,
        py: Python<'_>,
        decision: &Bound<'_, Decision>,
        probabilities: &Bound<'_, PyAny>,
        record: bool,
    ) -> PyResult<Decision> {
        let probabilities: Vec<Option<f32>> = probabilities.extract()?;
        let nominated = decision.get().inner.clone();
        let inner = self.work(py, |core| core.settle(nominated, &probabilities, record))?;
        Ok(Decision { inner })
    }

    /// Learn whether a candidate's answer fits.
    #[pyo3(signature = (decision, candidate, right, *, sampled = true, entry = None))]
    fn learn(
        &self,
        py: Python<'_>,
        decision: &Bound<'_, Decision>,
        candidate: u64,
        right: bool,
        sampled: bool,
        entry: Option<u64>,
    ) -> PyResult<()> {
        let decision = &decision.get().inner;
        let result = self.inner.lock().learn(decision, candidate, right, sampled, entry);
        result.map_err(|error| from_core(py, &error))
    }

    /// Bar a question from an entry, with the neighbourhood of both.
    #[pyo3(signature = (text, entry, vector = None))]
    fn bar(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyString>,
        entry: u64,
        vector: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let vector = numbers(py, vector)?;
        let text = text.to_string_lossy();
        self.work(py, |core| core.bar(&text, vector.as_deref(), entry))
    }

    /// Figures of the budget, for metrics.
    fn figures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (figures, life, epoch, barred) = {
            let core = self.inner.lock();
            let (life, epoch) = core.calibrator().bounds();
            (core.calibrator().figures(), life.clone(), epoch.clone(), core.barred())
        };
        let described = PyDict::new(py);
        described.set_item("standing", standing(figures.standing))?;
        described.set_item("floor", figures.floor)?;
        described.set_item("expected_wrong", figures.expected_wrong)?;
        described.set_item("labels", figures.labels)?;
        described.set_item("retreats", figures.retreats)?;
        described.set_item("barred", barred)?;
        for (name, bound) in [("all", life), ("recent", epoch)] {
            let bounds = PyDict::new(py);
            bounds.set_item("hits", bound.hits())?;
            bounds.set_item("labelled", bound.labelled())?;
            bounds.set_item("wrong", bound.wrong())?;
            bounds.set_item("pending", bound.pending())?;
            bounds.set_item("estimate", bound.estimate())?;
            bounds.set_item("lower", bound.lower())?;
            bounds.set_item("upper", bound.upper())?;
            described.set_item(name, bounds)?;
        }
        Ok(described)
    }

    /// Octets that everything takes.
    #[getter]
    fn bytes(&self) -> usize {
        self.inner.lock().octets()
    }

    /// Octets that one entry takes, or None.
    #[pyo3(signature = (id, /))]
    fn bytes_of(&self, id: u64) -> Option<usize> {
        self.inner.lock().octets_of(id)
    }

    fn __len__(&self) -> usize {
        self.inner.lock().len()
    }

    fn __contains__(&self, id: u64) -> bool {
        self.inner.lock().contains(id)
    }

    /// What was learned and what is barred, versioned and checksummed.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = self.inner.lock().to_bytes();
        PyBytes::new(py, &bytes)
    }

    /// Take over what `to_bytes` wrote.
    #[pyo3(signature = (data, /))]
    fn restore(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let result = self.inner.lock().restore(data);
        result.map_err(|error| from_core(py, &error))
    }
}
