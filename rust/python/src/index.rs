//! `_core.VectorIndex`: signatures and conversions over `resopt_core::vector::index`.

use parking_lot::RwLock;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};
use resopt_core::vector::index::{Index, IndexOptions};

use crate::embed::view;
use crate::error::{configuration_error, from_core};

/// A search that reads more than this takes tens of microseconds: other threads may run meanwhile.
const LONG_SEARCH: usize = 400_000;

/// Vectors under ids of the caller's, found again by cosine.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct VectorIndex {
    // Held for arithmetic only: vectors are converted before, results after. Nobody who holds it waits for Python.
    inner: RwLock<Index>,
    exact: bool,
}

impl VectorIndex {
    /// Change the index; a long search in another thread is waited for without holding Python up.
    fn change<T: Send>(&self, py: Python<'_>, apply: impl FnOnce(&mut Index) -> T + Send) -> T {
        if let Some(mut index) = self.inner.try_write() {
            return apply(&mut index);
        }
        py.detach(|| apply(&mut self.inner.write()))
    }
}

#[pymethods]
impl VectorIndex {
    #[new]
    #[pyo3(signature = (dimensions, *, exact = false, seed = None))]
    fn new(py: Python<'_>, dimensions: usize, exact: bool, seed: Option<u64>) -> PyResult<Self> {
        let options = IndexOptions {
            exact,
            seed,
            kernel: None,
        };
        let index = Index::new(dimensions, options).map_err(|error| from_core(py, &error))?;
        Ok(Self {
            inner: RwLock::new(index),
            exact,
        })
    }

    /// Keep a vector under the id `entry`, in place of what was there; whether the id is new.
    #[pyo3(signature = (entry, vector, /))]
    fn insert(&self, entry: &Bound<'_, PyAny>, vector: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = entry.py();
        let (entry, vector) = (number(entry)?, numbers(vector)?);
        self.change(py, |index| index.insert(entry, &vector))
            .map_err(|error| from_core(py, &error))
    }

    /// Forget the id `entry`; whether it was there.
    #[pyo3(signature = (entry, /))]
    fn remove(&self, entry: &Bound<'_, PyAny>) -> PyResult<bool> {
        let number = number(entry)?;
        Ok(self.change(entry.py(), |index| index.remove(number)))
    }

    /// The `k` nearest ids with their cosines, none below `floor`, the nearest first.
    #[pyo3(signature = (vector, /, k = 1, floor = None))]
    fn search(&self, vector: &Bound<'_, PyAny>, k: usize, floor: Option<f64>) -> PyResult<Vec<(u64, f32)>> {
        let py = vector.py();
        let vector = numbers(vector)?;
        #[expect(clippy::cast_possible_truncation, reason = "cosines are of 32 bits")]
        let floor = floor.map_or(-1.0, |floor| floor as f32);
        let search = || {
            let index = self.inner.read();
            index.search(&vector, k, floor)
        };
        let long = self.inner.read().scanned_bytes() > LONG_SEARCH;
        let found = if long { py.detach(search) } else { search() };
        found.map_err(|error| from_core(py, &error))
    }

    /// The vector under the id `entry`, of length 1, or None.
    #[pyo3(signature = (entry, /))]
    fn get<'py>(&self, entry: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let number = number(entry)?;
        let vector = self.inner.read().get(number).map(<[f32]>::to_vec);
        vector.map(|vector| view(entry.py(), &vector)).transpose()
    }

    /// Forget all entries.
    fn clear(&self, py: Python<'_>) {
        self.change(py, Index::clear);
    }

    /// How many numbers a vector has.
    #[getter]
    fn dimensions(&self) -> usize {
        self.inner.read().dimensions()
    }

    /// Whether a proven bound rules out every miss.
    #[getter]
    fn exact(&self) -> bool {
        self.exact
    }

    /// Octets held now, room for entries to come included.
    #[getter]
    fn bytes(&self) -> usize {
        self.inner.read().bytes()
    }

    /// Octets that one more entry takes in the long run.
    #[getter]
    fn bytes_per_entry(&self) -> usize {
        self.inner.read().bytes_per_entry()
    }

    fn __len__(&self) -> usize {
        self.inner.read().len()
    }

    fn __contains__(&self, entry: &Bound<'_, PyAny>) -> bool {
        number(entry).is_ok_and(|number| self.inner.read().contains(number))
    }
}

fn number(id: &Bound<'_, PyAny>) -> PyResult<u64> {
    id.extract().map_err(|_| {
        let message = "an id is a whole number from 0 to 2**64 - 1";
        configuration_error(id.py(), message.to_owned())
    })
}

/// A vector of anything that holds numbers: an array of 32-bit floats is copied as it is, the rest is converted.
fn numbers(vector: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    if let Ok(buffer) = PyBuffer::<f32>::get(vector)
        && is_native(&buffer)
    {
        flat(&buffer, vector)?;
        return buffer.to_vec(vector.py());
    }
    if let Ok(buffer) = PyBuffer::<f64>::get(vector)
        && is_native(&buffer)
    {
        flat(&buffer, vector)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not fit becomes infinite and is refused"
        )]
        return Ok(buffer
            .to_vec(vector.py())?
            .into_iter()
            .map(|value| value as f32)
            .collect());
    }
    let text = vector.is_instance_of::<PyString>()
        || vector.is_instance_of::<PyBytes>()
        || vector.is_instance_of::<PyByteArray>();
    // What has no length may never end.
    if text || vector.len().is_err() {
        return Err(refused(vector));
    }
    let values: PyResult<Vec<f64>> = vector.try_iter()?.map(|value| value?.extract()).collect();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not fit becomes infinite and is refused"
    )]
    values
        .map(|values| values.into_iter().map(|value| value as f32).collect())
        .map_err(|_| refused(vector))
}

/// Whether its numbers have this machine's order of octets: `PyBuffer` itself lets the other one through.
fn is_native<T>(buffer: &PyBuffer<T>) -> bool {
    matches!(buffer.format().to_bytes(), [_] | [b'@' | b'=', _])
}

fn flat<T>(buffer: &PyBuffer<T>, vector: &Bound<'_, PyAny>) -> PyResult<()> {
    if buffer.dimensions() == 1 {
        return Ok(());
    }
    let message = format!(
        "a vector has one axis, this array has {}: pass its rows one by one",
        buffer.dimensions()
    );
    Err(configuration_error(vector.py(), message))
}

fn refused(vector: &Bound<'_, PyAny>) -> PyErr {
    let kind = vector
        .get_type()
        .name()
        .map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let message = format!("a vector is an array of floats or a list of numbers, not this {kind}");
    configuration_error(vector.py(), message)
}
