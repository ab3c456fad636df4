//! The extension module `resopt._core`: a table of contents over `resopt_core`.

use pyo3::prelude::*;

mod error;
mod sketch;

/// The compiled core of resopt.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::sketch::Sketch;

    /// Warn when a debug build is imported, so that nobody benchmarks one.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
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
