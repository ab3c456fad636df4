//! `_core.Mould`: fresh copies of one pydantic model, made in less than half the time of validating its JSON again.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyNone, PySet, PyString, PyType};

/// Models inside models; deeper ones are left to pydantic.
const DEPTH: usize = 32;

/// What a copy of a value is made of. What can be changed is made anew each time; what cannot is shared.
enum Part {
    Shared(Py<PyAny>),
    List(Vec<Part>),
    Dict(Fields),
    Model(Box<Model>),
}

/// The pairs of a dict: all of them, and those again whose values have to be made anew.
struct Fields {
    all: Py<PyDict>,
    anew: Vec<(Py<PyAny>, Part)>,
}

/// The four things that an instance of a pydantic model is.
struct Model {
    class: Py<PyAny>,
    fields: Fields,
    set: Py<PyAny>,
    extra: Option<Fields>,
    private: Option<Fields>,
}

/// Makes copies of a model; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Mould {
    model: Model,
    new: Py<PyAny>,
}

#[pymethods]
impl Mould {
    #[new]
    #[pyo3(signature = (model, /))]
    fn new(model: &Bound<'_, PyAny>) -> PyResult<Self> {
        let new = model.py().get_type::<PyAny>().getattr("__new__")?;
        Ok(Self {
            model: Model::of(model, 0)?.ok_or_else(|| no_mould(model))?,
            new: new.unbind(),
        })
    }

    /// A copy that shares nothing with any other which can be changed.
    fn cast<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.model.cast(py, self.new.bind(py))
    }
}

impl Part {
    fn of(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Self> {
        if depth > DEPTH {
            return Err(no_mould(value));
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return list
                .iter()
                .map(|item| Self::of(&item, depth + 1))
                .collect::<PyResult<_>>()
                .map(Self::List);
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return Fields::of(dict, depth).map(Self::Dict);
        }
        if is_shareable(value) {
            return Ok(Self::Shared(value.clone().unbind()));
        }
        match Model::of(value, depth)? {
            Some(model) => Ok(Self::Model(Box::new(model))),
            None => Err(no_mould(value)),
        }
    }

    fn cast<'py>(&self, py: Python<'py>, new: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Shared(value) => Ok(value.bind(py).clone()),
            Self::List(parts) => {
                let items = parts
                    .iter()
                    .map(|part| part.cast(py, new))
                    .collect::<PyResult<Vec<_>>>()?;
                Ok(PyList::new(py, items)?.into_any())
            }
            Self::Dict(fields) => Ok(fields.cast(py, new)?.into_any()),
            Self::Model(model) => model.cast(py, new),
        }
    }
}

impl Fields {
    fn of(dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<Self> {
        let mut anew = Vec::new();
        for (name, value) in dict.iter() {
            if !is_shareable(&name) {
                return Err(no_mould(&name));
            }
            match Part::of(&value, depth + 1)? {
                Part::Shared(_) => {}
                part => anew.push((name.unbind(), part)),
            }
        }
        Ok(Self {
            all: dict.copy()?.unbind(),
            anew,
        })
    }

    fn optional(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Option<Self>> {
        if value.is_none() {
            return Ok(None);
        }
        Self::of(value.cast_exact::<PyDict>().map_err(PyErr::from)?, depth).map(Some)
    }

    fn cast<'py>(&self, py: Python<'py>, new: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let made = self.all.bind(py).copy()?;
        for (name, part) in &self.anew {
            made.set_item(name, part.cast(py, new)?)?;
        }
        Ok(made)
    }
}

impl Model {
    /// What makes copies of a model; `None` for what is none.
    fn of(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Option<Self>> {
        let py = value.py();
        let class = value.get_type();
        if !class.hasattr(intern!(py, "__pydantic_validator__"))? || !has_plain_layout(&class)? {
            return Ok(None);
        }
        let fields = value.getattr(intern!(py, "__dict__"))?;
        let set = value.getattr(intern!(py, "__pydantic_fields_set__"))?;
        Ok(Some(Self {
            class: class.into_any().unbind(),
            fields: Fields::of(fields.cast_exact::<PyDict>().map_err(PyErr::from)?, depth)?,
            set: set
                .cast_exact::<PySet>()
                .map_err(PyErr::from)?
                .call_method0("copy")?
                .unbind(),
            extra: Fields::optional(&value.getattr(intern!(py, "__pydantic_extra__"))?, depth)?,
            private: Fields::optional(&value.getattr(intern!(py, "__pydantic_private__"))?, depth)?,
        }))
    }

    fn cast<'py>(&self, py: Python<'py>, new: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let made = new.call1((self.class.bind(py),))?;
        let optional = |fields: &Option<Fields>| match fields {
            Some(fields) => fields.cast(py, new).map(Bound::into_any),
            None => Ok(PyNone::get(py).to_owned().into_any()),
        };
        let set = self.set.bind(py).call_method0(intern!(py, "copy"))?;
        put(&made, intern!(py, "__dict__"), self.fields.cast(py, new)?.as_any())?;
        put(&made, intern!(py, "__pydantic_fields_set__"), &set)?;
        put(&made, intern!(py, "__pydantic_extra__"), &optional(&self.extra)?)?;
        put(&made, intern!(py, "__pydantic_private__"), &optional(&self.private)?)?;
        Ok(made)
    }
}

/// Whether instances of the class hold nothing beside the four things that `BaseModel` gives them a place for.
fn has_plain_layout(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let py = class.py();
    for ancestor in class.mro() {
        let Ok(slots) = ancestor.getattr(intern!(py, "__slots__")) else {
            continue;
        };
        for slot in slots.try_iter()? {
            let slot = slot?;
            let known = slot.cast::<PyString>().is_ok_and(|slot| {
                slot.to_str().is_ok_and(|slot| {
                    matches!(
                        slot,
                        "__dict__" | "__pydantic_fields_set__" | "__pydantic_extra__" | "__pydantic_private__"
                    )
                })
            });
            if !known {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether a value can be had by two holders: none of them can change it.
fn is_shareable(value: &Bound<'_, PyAny>) -> bool {
    value.is_none()
        || value.cast_exact::<PyString>().is_ok()
        || value.cast_exact::<PyInt>().is_ok()
        || value.cast_exact::<PyBool>().is_ok()
        || value.cast_exact::<PyFloat>().is_ok()
        || value.cast_exact::<PyBytes>().is_ok()
}

fn no_mould(value: &Bound<'_, PyAny>) -> PyErr {
    match value.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!("no mould can be made of a {name}")),
        Err(error) => error,
    }
}

/// Set an attribute as `object.__setattr__` does, past the model's own `__setattr__`, which checks names and values.
#[expect(
    unsafe_code,
    reason = "by way of Python's own method the copy would take longer than validating again"
)]
fn put(model: &Bound<'_, PyAny>, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: three live objects, and the interpreter attached; no reference is taken over.
    let failed = unsafe { pyo3::ffi::PyObject_GenericSetAttr(model.as_ptr(), name.as_ptr(), value.as_ptr()) };
    if failed == 0 {
        Ok(())
    } else {
        Err(PyErr::fetch(model.py()))
    }
}
