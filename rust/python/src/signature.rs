//! Calls as keys: what `f(1, b=2)` and `f(a=1, b=2)` have in common, found in one native step before the function runs.
//!
//! A call is written as the function's identity and then one value per parameter in the order of the definition, with
//! defaults filled in; the rest of `*args` as a sequence, the rest of `**kwargs` as a mapping.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use resopt_core::key::{Key, KeyStream};

mod instances;

use instances::{Instances, Receiver};

use crate::error::unkeyable_error;
use crate::key::{key_of, keyed, walk};
use crate::store::{Digest, Store};

/// How a parameter takes its argument; the numbers are those of `inspect.Parameter.kind`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    PositionalOnly,
    PositionalOrKeyword,
    VarPositional,
    KeywordOnly,
    VarKeyword,
}

struct Parameter {
    name: Py<PyString>,
    kind: Kind,
    default: Option<Py<PyAny>>,
}

/// Why a call has no key.
enum Refusal {
    /// The arguments do not fit the parameters: the function itself will say so.
    Unbound,
    Raised(PyErr),
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// A function's parameters, and the store its results are in; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Signature {
    store: Py<Store>,
    identity: Key,
    parameters: Vec<Parameter>,
    key: Option<Py<PyAny>>,
    receives: bool,
    instances: Instances,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A call whose result is not in the store; see the stub.
#[pyclass(frozen, get_all, module = "resopt._core")]
pub(crate) struct Miss {
    digest: Option<Py<Digest>>,
    owner: Option<String>,
}

type Given = (String, u8, bool, Py<PyAny>);

#[pymethods]
impl Signature {
    #[new]
    #[pyo3(signature = (store, identity, parameters, *, receives = false, key = None))]
    fn new(
        py: Python<'_>,
        store: Py<Store>,
        identity: &Bound<'_, PyAny>,
        parameters: Vec<Given>,
        receives: bool,
        key: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let identity = key_of(&store.get().space, identity)?;
        let parameters = parameters.into_iter().map(|(name, kind, optional, default)| Parameter {
            name: PyString::intern(py, &name).unbind(),
            kind: match kind {
                0 => Kind::PositionalOnly,
                1 => Kind::PositionalOrKeyword,
                2 => Kind::VarPositional,
                3 => Kind::KeywordOnly,
                _ => Kind::VarKeyword,
            },
            default: optional.then_some(default),
        });
        Ok(Self {
            instances: Instances::new(store.clone_ref(py)),
            identity,
            parameters: parameters.collect(),
            key,
            receives,
            store,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    fn lookup(&self, args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let py = args.py();
        let mut owner = None;
        let digest = match self.write_call(args, kwargs, &mut owner) {
            Ok(key) => Some(key.0),
            Err(Refusal::Unbound) => None,
            Err(Refusal::Raised(error)) => return Err(error),
        };
        if let Some(found) = digest.and_then(|digest| self.store.get().find(py, &digest)) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(found);
        }
        self.misses.fetch_add(u64::from(digest.is_some()), Ordering::Relaxed);
        let digest = digest.map(|digest| Py::new(py, Digest { digest })).transpose()?;
        Ok(Py::new(
            py,
            Miss {
                digest,
                owner: owner.map(instances::tag),
            },
        )?
        .into_any())
    }

    fn digest(&self, args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> PyResult<Option<Digest>> {
        match self.write_call(args, kwargs, &mut None) {
            Ok(key) => Ok(Some(Digest { digest: key.0 })),
            Err(Refusal::Unbound) => Ok(None),
            Err(Refusal::Raised(error)) => Err(error),
        }
    }

    #[getter]
    fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    #[getter]
    fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    fn reset(&self) {
        self.hits.store(0, Ordering::Relaxed);
        self.misses.store(0, Ordering::Relaxed);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.store)?;
        visit.call(&self.key)?;
        for parameter in &self.parameters {
            visit.call(&parameter.default)?;
        }
        self.instances.traverse(&visit)
    }

    fn __clear__(&self) {
        self.instances.clear();
    }
}

impl Signature {
    /// The key of a call; `owner` becomes the number of what its receiver keys by identity: itself or its class.
    fn write_call(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        owner: &mut Option<u64>,
    ) -> Result<Key, Refusal> {
        let py = args.py();
        let mut unbound = false;
        let key = keyed(&self.store.get().space, |stream| {
            stream.bytes(&self.identity.0);
            if let Some(key) = &self.key {
                return walk(py, &key.bind(py).call(args, Some(kwargs))?, stream);
            }
            match self.write_arguments(args, kwargs, stream, owner) {
                Ok(()) => Ok(()),
                Err(Refusal::Unbound) => {
                    unbound = true;
                    Ok(())
                }
                Err(Refusal::Raised(error)) => Err(error),
            }
        })?;
        if unbound { Err(Refusal::Unbound) } else { Ok(key) }
    }

    fn write_arguments(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        stream: &mut KeyStream,
        owner: &mut Option<u64>,
    ) -> Result<(), Refusal> {
        let py = args.py();
        let (mut position, mut named) = (0, 0);
        for (index, parameter) in self.parameters.iter().enumerate() {
            let name = parameter.name.bind(py);
            let value = match parameter.kind {
                Kind::PositionalOnly | Kind::PositionalOrKeyword if position < args.len() => {
                    position += 1;
                    args.get_item(position - 1)?
                }
                Kind::PositionalOrKeyword | Kind::KeywordOnly => match kwargs.get_item(name)? {
                    Some(value) => {
                        named += 1;
                        value
                    }
                    None => parameter.default(py)?,
                },
                Kind::PositionalOnly => parameter.default(py)?,
                Kind::VarPositional => {
                    let rest = args.get_slice(position, args.len());
                    position = args.len();
                    rest.into_any()
                }
                Kind::VarKeyword => {
                    let rest = self.rest(args.len(), kwargs)?;
                    named = kwargs.len();
                    rest.into_any()
                }
            };
            if self.receives && index == 0 {
                self.write_receiver(name, &value, stream, owner)?;
            } else {
                walk(py, &value, stream).map_err(|error| locate(name, &value, error))?;
            }
        }
        // What is left over was not taken by any parameter, or was given twice.
        if position == args.len() && named == kwargs.len() {
            Ok(())
        } else {
            Err(Refusal::Unbound)
        }
    }

    /// The keyword arguments that no parameter of that name takes.
    fn rest<'py>(&self, positional: usize, kwargs: &Bound<'py, PyDict>) -> Result<Bound<'py, PyDict>, Refusal> {
        let py = kwargs.py();
        let rest = kwargs.copy()?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let takes_names = matches!(parameter.kind, Kind::PositionalOrKeyword | Kind::KeywordOnly);
            if takes_names && rest.contains(&parameter.name)? {
                if parameter.kind == Kind::PositionalOrKeyword && index < positional {
                    return Err(Refusal::Unbound);
                }
                rest.del_item(parameter.name.bind(py))?;
            }
        }
        Ok(rest)
    }

    fn write_receiver(
        &self,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
        stream: &mut KeyStream,
        owner: &mut Option<u64>,
    ) -> PyResult<()> {
        match self.instances.receiver(&self.store.get().space, name, value)? {
            Receiver::Content(class, key) => {
                stream.member(b"content");
                stream.bytes(&class.to_le_bytes());
                stream.bytes(&key.0);
                *owner = Some(class);
            }
            Receiver::Instance(number) => {
                stream.member(b"instance");
                stream.bytes(&number.to_le_bytes());
                *owner = Some(number);
            }
        }
        Ok(())
    }
}

impl Parameter {
    fn default<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Refusal> {
        self.default
            .as_ref()
            .map(|default| default.bind(py).clone())
            .ok_or(Refusal::Unbound)
    }
}

/// The same refusal with the parameter's name before the path: the value is walked once more, inside a mapping.
#[cold]
fn locate(name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = name.py();
    if !error.is_instance(py, &unkeyable_error(py, String::new()).get_type(py)) {
        return error;
    }
    let named = PyDict::new(py);
    match named
        .set_item(name, value)
        .and_then(|()| walk(py, named.as_any(), &mut KeyStream::default()))
    {
        Ok(()) => error,
        Err(located) => located,
    }
}
