//! The extension module `resopt._core`: a table of contents over `resopt_core`.

use pyo3::prelude::*;

mod clock;
mod difference;
mod embed;
mod error;
mod guard;
mod index;
mod key;
mod mould;
mod normalise;
mod partition;
mod prompt;
mod route;
mod sequential;
mod signature;
mod sketch;
mod store;
mod tally;
mod tokens;
mod verify;

/// The compiled core of resopt.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::clock::ManualClock;
    #[pymodule_export]
    use super::difference::MeanDifference;
    #[pymodule_export]
    use super::embed::{embed, tokenise};
    #[pymodule_export]
    use super::guard::{Question, guard_names};
    #[pymodule_export]
    use super::index::VectorIndex;
    #[pymodule_export]
    use super::key::{KeySpace, RequestShape};
    #[pymodule_export]
    use super::mould::Mould;
    #[pymodule_export]
    use super::normalise::{fold, fold_unicode, is_plain_question};
    #[pymodule_export]
    use super::partition::{Decision, Partition};
    #[pymodule_export]
    use super::prompt::extract::{count_words, extract_context};
    #[pymodule_export]
    use super::prompt::rules::shorten_prompt;
    #[pymodule_export]
    use super::route::{Cuts, RouteModel, apgr};
    #[pymodule_export]
    use super::sequential::{Floor, SequentialTest, ratio_evidence};
    #[pymodule_export]
    use super::signature::{Miss, Signature};
    #[pymodule_export]
    use super::sketch::Sketch;
    #[pymodule_export]
    use super::store::{Digest, Entry, Stats, Store};
    #[pymodule_export]
    use super::tally::Tally;
    #[pymodule_export]
    use super::tokens::{ChatFamily, Encoding, text_class};
    #[pymodule_export]
    use super::verify::verify;

    /// Warn when a debug build is imported, so that nobody benchmarks one.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("EMBEDDER", resopt_core::vector::embed::NAME)?;
        module.add("EMBEDDER_DIMENSIONS", resopt_core::vector::embed::DIMENSIONS)?;
        module.add("UNICODE_VERSION", super::normalise::unicode_version())?;
        if cfg!(debug_assertions) {
            let warnings = module.py().import("warnings")?;
            warnings.call_method1(
                "warn",
                (
                    "resopt._core is a debug build: do not measure it (use `maturin develop --release`)",
                    module.py().get_type::<pyo3::exceptions::PyRuntimeWarning>(),
                ),
            )?;
        }
        Ok(())
    }
}
