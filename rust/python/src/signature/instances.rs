//! Receivers: what `self` and `cls` mean in a key.
//!
//! A receiver whose class defines equality and is plain data stands for its class and content: two equal ones of a class
//! share results. Any other stands for itself. What stands for itself, receivers and classes, gets a number, kept with a
//! weak reference, and when it dies its results are dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyWeakref, PyWeakrefMethods, PyWeakrefReference};
use resopt_core::key::{Key, KeySpace};

use crate::error::unkeyable_error;
use crate::key::key_of;
use crate::store::Store;

/// Never used twice in a process, so that functions may share a store.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// What a receiver contributes to a key.
pub(super) enum Receiver {
    /// The number of its class, and its data. Equal data is not enough: a subclass may override what the method calls.
    Content(u64, Key),
    /// Its identity, as a number.
    Instance(u64),
}

/// The tag of all results of an instance. Names that begin with NUL are resopt's own.
pub(super) fn tag(number: u64) -> String {
    format!("\0instance:{number}")
}

/// The living instances by address. Neither Python code nor a drop of a Python object happens under the lock.
type Table = Mutex<HashMap<usize, (u64, Py<PyWeakrefReference>)>>;

/// Numbers of the instances whose methods were called.
pub(super) struct Instances {
    table: Arc<Table>,
    store: Py<Store>,
}

impl Instances {
    pub(super) fn new(store: Py<Store>) -> Self {
        Self {
            table: Arc::default(),
            store,
        }
    }

    pub(super) fn receiver(
        &self,
        space: &KeySpace,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Receiver> {
        if let Some(number) = self.known(value) {
            return Ok(Receiver::Instance(number));
        }
        if has_equality(value)?
            && let Ok(key) = key_of(space, value)
        {
            let class = value.get_type().into_any();
            let number = match self.known(&class) {
                Some(number) => number,
                None => self.register(name, &class)?,
            };
            return Ok(Receiver::Content(number, key));
        }
        self.register(name, value).map(Receiver::Instance)
    }

    /// The number of `value`, if it has one.
    fn known(&self, value: &Bound<'_, PyAny>) -> Option<u64> {
        let py = value.py();
        let address = value.as_ptr() as usize;
        let known = self
            .table
            .lock()
            .get(&address)
            .map(|(number, known)| (*number, known.clone_ref(py)));
        let (number, known) = known?;
        let same = known.bind(py).upgrade().is_some_and(|living| living.is(value));
        same.then_some(number)
    }

    fn register(&self, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = value.py();
        let address = value.as_ptr() as usize;
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let forget = Forget {
            table: Arc::downgrade(&self.table),
            store: self.store.clone_ref(py),
            address,
            number,
        };
        let reference = PyWeakrefReference::new_with(value, Py::new(py, forget)?).map_err(|error| {
            if !error.is_instance_of::<PyTypeError>(py) {
                return error;
            }
            let class = value.get_type().to_string();
            let message = format!("{name}: {class} is not plain data and has no __weakref__ slot; pass key=…");
            unkeyable_error(py, message)
        })?;
        let replaced = self.table.lock().insert(address, (number, reference.unbind()));
        drop(replaced);
        Ok(number)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.store)?;
        let Some(table) = self.table.try_lock() else {
            return Ok(());
        };
        table.values().try_for_each(|(_, reference)| visit.call(reference))
    }

    pub(super) fn clear(&self) {
        let table = std::mem::take(&mut *self.table.lock());
        drop(table);
    }
}

/// Called with the weak reference of a dead instance.
#[pyclass(frozen)]
struct Forget {
    table: Weak<Table>,
    store: Py<Store>,
    address: usize,
    number: u64,
}

#[pymethods]
impl Forget {
    fn __call__(&self, _reference: &Bound<'_, PyWeakref>) {
        let table = self.table.upgrade();
        let forgotten = table.and_then(|table| {
            let mut table = table.lock();
            // Another object may live at the address by now.
            let same = table
                .get(&self.address)
                .is_some_and(|(number, _)| *number == self.number);
            if same { table.remove(&self.address) } else { None }
        });
        self.store.get().memory.remove_tagged(&tag(self.number));
        drop(forgotten);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.store)
    }
}

/// Whether the class of `value` says itself what equality means.
fn has_equality(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    let name = intern!(py, "__eq__");
    let own = value.get_type().getattr(name)?;
    Ok(!own.is(&py.get_type::<PyAny>().getattr(name)?))
}
