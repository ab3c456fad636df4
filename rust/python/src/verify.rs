//! `_core.verify`: signatures and conversions over `resopt_core::semantic::verify`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use resopt_core::semantic::verify::{Opinion, Verifier, place};

use crate::error::from_core;

/// Names of the signals, in their order.
pub(crate) const SIGNALS: [(&str, usize); resopt_core::semantic::verify::SIGNALS] = [
    ("number", place::NUMBER),
    ("negation", place::NEGATION),
    ("question", place::QUESTION),
    ("direction", place::DIRECTION),
    ("opposite", place::OPPOSITE),
    ("member", place::MEMBER),
    ("numbers_both", place::NUMBERS_BOTH),
    ("question_same", place::QUESTION_SAME),
    ("question_what", place::QUESTION_WHAT),
    ("order", place::ORDER),
    ("one_word", place::ONE_WORD),
    ("same_words", place::SAME_WORDS),
    ("length", place::LENGTH),
    ("extra", place::EXTRA),
    ("extra_min", place::EXTRA_MIN),
];

/// The signals by name.
pub(crate) fn signals<'py>(py: Python<'py>, opinion: &Opinion) -> PyResult<Bound<'py, PyDict>> {
    let named = PyDict::new(py);
    for (name, at) in SIGNALS {
        named.set_item(name, opinion.signals[at])?;
    }
    Ok(named)
}

/// What the bundled verifier says of two texts: probability that one answer serves both, logit, signals by name.
#[pyfunction]
#[pyo3(signature = (a, b, /))]
pub(crate) fn verify<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyString>,
    b: &Bound<'py, PyString>,
) -> PyResult<(f32, f32, Bound<'py, PyDict>)> {
    // A lone surrogate is read as an unknown character: no text is refused.
    let (a, b) = (a.to_string_lossy(), b.to_string_lossy());
    let opinion = Verifier::bundled()
        .and_then(|verifier| {
            let (a, b) = (verifier.encode(&a)?, verifier.encode(&b)?);
            Ok(verifier.compare(&verifier.open(&a), &b))
        })
        .map_err(|error| from_core(py, &error))?;
    Ok((opinion.probability, opinion.logit, signals(py, &opinion)?))
}
