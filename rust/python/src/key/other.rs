//! Values that are not exactly a built-in type: enumerations, records, subclasses, numbers and dates of the standard
//! library, mappings.
//!
//! Libraries are recognised by what they leave on a class, never imported: a value of a class that was never loaded
//! cannot exist.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyType, PyTypeMethods,
};
use resopt_core::key::Calendar;

use super::refusal::{Refusal, Walked, class_name};
use super::walk::{Items, Walker, gather};

static ENUM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static DATETIME: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static DATE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static TIME: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static UUID: PyOnceLock<Py<PyType>> = PyOnceLock::new();

impl Walker<'_> {
    /// Everything that `value` does not know by its type pointer.
    #[cold]
    pub(super) fn other(&mut self, value: &Bound<'_, PyAny>) -> Walked {
        let class = value.get_type();
        if is_a(&class, &ENUM, "enum", "Enum")?
            && !value.is_instance_of::<PyString>()
            && !value.is_instance_of::<PyInt>()
        {
            self.member(value, &class)
        } else if let Some((kind, items)) = fields(value, &class)? {
            self.record(value, &class, kind, &items)
        } else if is_built_in(value) {
            self.built_in(value)
        } else if is_a(&class, &DECIMAL, "decimal", "Decimal")? {
            self.decimal(value)
        } else if is_a(&class, &DATETIME, "datetime", "datetime")? {
            self.calendar(value, Calendar::DateTime)
        } else if is_a(&class, &DATE, "datetime", "date")? {
            self.calendar(value, Calendar::Date)
        } else if is_a(&class, &TIME, "datetime", "time")? {
            self.calendar(value, Calendar::Time)
        } else if is_a(&class, &UUID, "uuid", "UUID")? {
            self.stream.uuid(value.getattr("bytes")?.extract()?);
            Ok(())
        } else if let Ok(mapping) = value.cast::<PyMapping>() {
            self.mapping(mapping)
        } else {
            Err(Refusal::not_plain(value))
        }
    }

    /// A value of a subclass of a built-in type, by what it holds as that type.
    fn built_in(&mut self, value: &Bound<'_, PyAny>) -> Walked {
        if let Ok(text) = value.cast::<PyString>() {
            self.text(text)
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.dict(dict)
        } else if let Ok(list) = value.cast::<PyList>() {
            self.list(list)
        } else if let Ok(integer) = value.cast::<PyInt>() {
            self.integer(integer)
        } else if let Ok(float) = value.cast::<PyFloat>() {
            self.float(float)
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.tuple(tuple)
        } else if let Ok(bytes) = value.cast::<PyBytes>() {
            self.stream.bytes(bytes.as_bytes());
            Ok(())
        } else if let Ok(bytes) = value.cast::<PyByteArray>() {
            self.stream.bytes(&bytes.to_vec());
            Ok(())
        } else {
            Err(Refusal::not_plain(value))
        }
    }

    fn member(&mut self, value: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> Walked {
        self.enter(value)?;
        self.stream.member(class_name(class)?.as_bytes());
        match value.getattr("_name_")?.cast::<PyString>() {
            Ok(name) => self.text(name)?,
            // A combination of flags may have no name.
            Err(_) => self.value(&value.getattr("_value_")?)?,
        }
        self.leave();
        Ok(())
    }

    fn record(&mut self, value: &Bound<'_, PyAny>, class: &Bound<'_, PyType>, kind: &str, items: &Items<'_>) -> Walked {
        let name = class_name(class)?;
        if is_built_in(value) {
            return Err(Refusal::new(format!(
                "{name} is {kind} and a built-in type at once; pass key=…"
            )));
        }
        self.enter(value)?;
        self.stream.record(name.as_bytes(), items.len());
        self.pairs(items, value, |walker, _, field| walker.value(field))?;
        self.leave();
        Ok(())
    }

    fn decimal(&mut self, value: &Bound<'_, PyAny>) -> Walked {
        let parts = value.call_method0("as_tuple")?;
        let (negative, digits, exponent): (u8, Vec<u8>, Bound<'_, PyAny>) = parts.extract()?;
        if let Ok(exponent) = exponent.extract::<i64>() {
            self.stream.decimal(negative != 0, &digits, exponent);
            return Ok(());
        }
        if exponent.extract::<&str>()? != "F" {
            return Err(Refusal::not_a_number());
        }
        self.stream.infinite_decimal(negative != 0);
        Ok(())
    }

    fn calendar(&mut self, value: &Bound<'_, PyAny>, kind: Calendar) -> Walked {
        let iso = value.call_method0("isoformat")?;
        let iso: &str = iso.extract()?;
        if kind == Calendar::Date {
            self.stream.calendar(kind, false, iso);
            self.stream.none();
            return Ok(());
        }
        self.stream.calendar(kind, value.getattr("fold")?.is_truthy()?, iso);
        let zone = value.getattr("tzinfo")?;
        if zone.is_none() {
            self.stream.none();
            return Ok(());
        }
        // `ZoneInfo.key` names the rules; other zones have at least the name they give this moment.
        match zone.getattr_opt("key")?.map(Bound::cast_into::<PyString>) {
            Some(Ok(key)) => self.text(&key),
            _ => self.value(&value.call_method0("tzname")?),
        }
    }

    fn mapping(&mut self, mapping: &Bound<'_, PyMapping>) -> Walked {
        self.enter(mapping)?;
        let mut items = Items::new();
        for item in mapping.items()?.iter() {
            let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            match name.cast_into::<PyString>() {
                Ok(name) => items.push((name, value)),
                Err(error) => return Err(Refusal::name_not_text(&error.into_inner())),
            }
        }
        self.stream.mapping(items.len());
        self.pairs(&items, mapping, |walker, _, value| walker.value(value))?;
        self.leave();
        Ok(())
    }
}

fn is_built_in(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyDict>()
        || value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
}

/// Whether `class` derives from `module.name`, which is looked for only if the module was loaded by someone.
fn is_a(class: &Bound<'_, PyType>, cell: &'static PyOnceLock<Py<PyType>>, module: &str, name: &str) -> PyResult<bool> {
    let py = class.py();
    if cell.get(py).is_none() && !py.import("sys")?.getattr("modules")?.contains(module)? {
        return Ok(false);
    }
    let base = cell.import(py, module, name)?;
    class.is_subclass(base)
}

/// The fields of a dataclass, msgspec struct or pydantic model, with what to call it; None for anything else.
fn fields<'py>(value: &Bound<'py, PyAny>, class: &Bound<'py, PyType>) -> Walked<Option<(&'static str, Items<'py>)>> {
    let py = value.py();
    // The class of a class names the fields of its instances by a descriptor; a class is no record itself.
    if value.is_instance_of::<PyType>() {
        return Ok(None);
    }
    if class.hasattr("__dataclass_fields__")? {
        let fields = py.import("dataclasses")?.call_method1("fields", (class,))?;
        let mut items = Items::new();
        for field in fields.try_iter()? {
            push_field(&mut items, value, &field?.getattr("name")?)?;
        }
        return Ok(Some(("a dataclass", items)));
    }
    if let Some(names) = class.getattr_opt("__struct_fields__")? {
        return Ok(Some(("a msgspec struct", named(value, &names)?)));
    }
    // Since pydantic 2.10 the first, before it the second; a pydantic model has a validator.
    let names = match class.getattr_opt("__pydantic_fields__")? {
        None if class.hasattr("__pydantic_validator__")? => class.getattr_opt("model_fields")?,
        names => names,
    };
    let Some(names) = names else { return Ok(None) };
    let mut items = named(value, &names)?;
    if let Some(extra) = value.getattr_opt("__pydantic_extra__")?
        && let Ok(extra) = extra.cast::<PyDict>()
    {
        gather(extra, &mut items)?;
    }
    Ok(Some(("a pydantic model", items)))
}

fn named<'py>(value: &Bound<'py, PyAny>, names: &Bound<'py, PyAny>) -> Walked<Items<'py>> {
    let mut items = Items::new();
    for name in names.try_iter()? {
        push_field(&mut items, value, &name?)?;
    }
    Ok(items)
}

fn push_field<'py>(items: &mut Items<'py>, value: &Bound<'py, PyAny>, name: &Bound<'py, PyAny>) -> Walked {
    let name = name.cast::<PyString>().map_err(PyErr::from)?;
    match value.getattr_opt(name)? {
        Some(field) => items.push((name.clone(), field)),
        None => {
            return Err(Refusal::new(format!(
                "the field {name} has no value; set it or pass key=…"
            )));
        }
    }
    Ok(())
}
