//! The store as a Python class: keys are digests before the lock, values are raised references under it.

use pyo3::exceptions::PyKeyError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;
use resopt_core::store::clock::Clock;
use resopt_core::store::{self, Limits};

mod admission;
mod records;

pub(crate) use records::{Digest, Entry, Stats};

use crate::clock::{ManualClock, seconds};
use crate::error::{configuration_error, from_core};
use crate::key::{KeySpace, key_of};

/// A bounded map from plain data to any Python value; see the stub.
#[pyclass(frozen, subclass, mapping, module = "resopt._core")]
pub(crate) struct Store {
    pub(crate) memory: store::Store<Py<PyAny>>,
    pub(crate) space: resopt_core::key::KeySpace,
    ttl: Option<u64>,
    weigh: Option<Py<PyAny>>,
}

impl Store {
    /// The digest of a key: what a `Digest` carries, or of plain data.
    #[inline]
    fn digest_of(&self, key: &Bound<'_, PyAny>) -> PyResult<store::Digest> {
        match key.cast_exact::<Digest>() {
            Ok(digest) => Ok(digest.get().digest),
            Err(_) => Ok(key_of(&self.space, key)?.0),
        }
    }

    /// A new reference to the live value of `digest`; counts.
    #[inline]
    pub(crate) fn find(&self, py: Python<'_>, digest: &store::Digest) -> Option<Py<PyAny>> {
        self.memory.get(digest, |value| value.clone_ref(py))
    }
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (*, max_entries = None, max_bytes = None, ttl = None, weigh = None, clock = None, space = None))]
    fn new(
        py: Python<'_>,
        max_entries: Option<u32>,
        max_bytes: Option<u64>,
        ttl: Option<&Bound<'_, PyAny>>,
        weigh: Option<Py<PyAny>>,
        clock: Option<&Bound<'_, ManualClock>>,
        space: Option<&Bound<'_, KeySpace>>,
    ) -> PyResult<Self> {
        let limits = Limits {
            entries: max_entries.unwrap_or(Limits::MAX.entries),
            bytes: max_bytes.unwrap_or(Limits::MAX.bytes),
        };
        let clock = clock.map_or_else(Clock::monotonic, |clock| Clock::Manual(clock.get().clock.clone()));
        let space = space.map_or_else(
            || resopt_core::key::KeySpace::new("", None),
            |space| space.get().space.clone(),
        );
        let ttl = admission::ttl(py, ttl, None)?;
        let memory = store::Store::new(limits, clock).map_err(|error| from_core(py, &error))?;
        Ok(Self {
            memory,
            space,
            ttl,
            weigh,
        })
    }

    #[pyo3(signature = (key, default = None))]
    fn get(&self, key: &Bound<'_, PyAny>, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        let digest = self.digest_of(key)?;
        Ok(self.find(key.py(), &digest).or(default))
    }

    #[pyo3(signature = (key, default = None))]
    fn peek(&self, key: &Bound<'_, PyAny>, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        let digest = self.digest_of(key)?;
        Ok(self.memory.peek(&digest, |value| value.clone_ref(key.py())).or(default))
    }

    #[pyo3(signature = (key, value, *, ttl = None, tags = None, weight = None))]
    fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        weight: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let py = key.py();
        let ttl = admission::ttl(py, ttl, self.ttl)?;
        let names = admission::tags(py, tags)?;
        let tags: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let weight = match weight {
            Some(weight) => admission::weight(weight)?,
            None => admission::weigh(value, self.weigh.as_ref())?,
        };
        let digest = self.digest_of(key)?;
        let admission = store::Admission {
            ttl,
            weight,
            tags: &tags,
        };
        Ok(self.memory.set(digest, value.clone().unbind(), admission))
    }

    #[pyo3(signature = (items, *, ttl = None, tags = None))]
    fn set_many(
        &self,
        items: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let mut stored = 0;
        for pair in admission::items(items)? {
            let (key, value) = admission::pair(&pair?)?;
            stored += usize::from(self.set(&key, &value, ttl, tags, None)?);
        }
        Ok(stored)
    }

    fn get_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let found = PyList::empty(py);
        for key in keys.try_iter()? {
            found.append(self.get(&key?, None)?)?;
        }
        Ok(found)
    }

    fn remove(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let digest = self.digest_of(key)?;
        Ok(self.memory.remove(&digest).is_some())
    }

    #[pyo3(signature = (key, default = None))]
    fn pop(&self, key: &Bound<'_, PyAny>, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        let digest = self.digest_of(key)?;
        Ok(self.memory.remove(&digest).or(default))
    }

    fn entry(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Entry>> {
        let digest = self.digest_of(key)?;
        let found = self.memory.entry(&digest, |value| value.clone_ref(key.py()));
        found
            .map(|(value, entry)| Entry::new(key.py(), value, &entry))
            .transpose()
    }

    #[pyo3(signature = (*, tag = None, older_than = None))]
    fn invalidate(
        &self,
        py: Python<'_>,
        tag: Option<&Bound<'_, PyAny>>,
        older_than: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        match (tag, older_than) {
            (Some(tag), None) => Ok(self.memory.remove_tagged(&admission::tag(tag)?)),
            (None, Some(age)) => Ok(self.memory.remove_older(admission::age(age)?)),
            _ => Err(configuration_error(
                py,
                "invalidate takes either tag= or older_than=; clear() drops everything".to_owned(),
            )),
        }
    }

    fn clear(&self) {
        self.memory.clear();
    }

    fn ages(&self) -> Vec<f64> {
        self.memory.ages().into_iter().map(seconds).collect()
    }

    fn tagged(&self, tag: &str) -> usize {
        self.memory.tagged(tag)
    }

    fn digest(&self, key: &Bound<'_, PyAny>) -> PyResult<Digest> {
        Ok(Digest {
            digest: self.digest_of(key)?,
        })
    }

    #[getter]
    fn max_entries(&self) -> Option<u32> {
        let limit = self.memory.limits().entries;
        (limit != Limits::MAX.entries).then_some(limit)
    }

    #[getter]
    fn max_bytes(&self) -> Option<u64> {
        let limit = self.memory.limits().bytes;
        (limit != Limits::MAX.bytes).then_some(limit)
    }

    #[getter]
    fn ttl(&self) -> Option<f64> {
        self.ttl.map(seconds)
    }

    #[getter]
    fn stats(&self) -> Stats {
        Stats::from(self.memory.stats())
    }

    fn __len__(&self) -> usize {
        self.memory.len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let digest = self.digest_of(key)?;
        Ok(self.memory.peek(&digest, |_| ()).is_some())
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let digest = self.digest_of(key)?;
        self.find(key.py(), &digest)
            .ok_or_else(|| PyKeyError::new_err((key.clone().unbind(),)))
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set(key, value, None, None, None).map(drop)
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.remove(key)? {
            return Ok(());
        }
        Err(PyKeyError::new_err((key.clone().unbind(),)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.weigh)?;
        // A collector that finds the lock taken sees no values, and so takes them for alive.
        self.memory.try_visit(|value| visit.call(value)).map(drop)
    }

    fn __clear__(&self) {
        self.memory.clear();
    }
}
