//! `_core.Decision`: what was decided, as Python reads it.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use resopt_core::semantic::calibrate::{Standing, Verdict};
use resopt_core::semantic::partition::Decision as CoreDecision;

use crate::verify::signals;

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Serve => "serve",
        Verdict::Rewrite => "rewrite",
        Verdict::Miss => "miss",
    }
}

pub(super) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Cold => "cold",
        Standing::Warm => "warm",
        Standing::Drifted => "drifted",
        Standing::Overspent => "overspent",
    }
}

/// What was decided about a question and why.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Decision {
    pub(super) inner: CoreDecision,
}

#[pymethods]
impl Decision {
    /// What to do: "serve", "rewrite" or "miss".
    #[getter]
    fn verdict(&self) -> &'static str {
        verdict(self.inner.verdict)
    }

    /// The entry that the decision fell on, or None when there was no candidate that nothing refuses.
    #[getter]
    fn best(&self) -> Option<u64> {
        Some(self.inner.candidates.get(self.inner.best?)?.id)
    }

    /// The calibrated probability that its answer fits.
    #[getter]
    fn probability(&self) -> Option<f32> {
        self.inner.candidates.get(self.inner.best?)?.probability
    }

    /// Whether the toss asks for a label.
    #[getter]
    fn audited(&self) -> bool {
        self.inner.audited
    }

    /// The probability with which it did.
    #[getter]
    fn rate(&self) -> f64 {
        self.inner.rate
    }

    /// Why the namespace serves what it serves: "cold", "warm", "drifted" or "overspent".
    #[getter]
    fn standing(&self) -> &'static str {
        standing(self.inner.standing)
    }

    /// The probability that a candidate needed when warm.
    #[getter]
    fn floor(&self) -> f32 {
        self.inner.floor
    }

    /// Near neighbours, the nearest first, as data.
    #[getter]
    fn candidates<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let describe = |candidate: &resopt_core::semantic::partition::Candidate| -> PyResult<Bound<'py, PyDict>> {
            let described = PyDict::new(py);
            let opinion = &candidate.evidence.opinion;
            described.set_item("id", candidate.id)?;
            described.set_item("cosine", candidate.cosine)?;
            let reasons: Vec<(&str, &str, &str)> = candidate
                .reasons
                .iter()
                .map(|reason| (reason.guard.name(), reason.left.as_str(), reason.right.as_str()))
                .collect();
            described.set_item("reasons", reasons)?;
            described.set_item("barred", candidate.barred)?;
            described.set_item("verified", candidate.verified.then_some(opinion.probability))?;
            described.set_item("probability", candidate.probability)?;
            described.set_item("signals", signals(py, opinion)?)?;
            described.set_item("agreeing", candidate.evidence.agreeing)?;
            described.set_item("dissenting", candidate.evidence.dissenting)?;
            Ok(described)
        };
        self.inner.candidates.iter().map(describe).collect()
    }

    fn __repr__(&self) -> String {
        let best = self.inner.best.and_then(|at| self.inner.candidates.get(at));
        match best {
            Some(best) => format!(
                "<Decision {}: entry {}, cosine {:.3}, probability {:.3}>",
                self.verdict(),
                best.id,
                best.cosine,
                best.probability.unwrap_or(0.0)
            ),
            None => format!("<Decision miss: {} candidates, none open>", self.inner.candidates.len()),
        }
    }
}
