//! The walk over a Python value.
//!
//! Exact built-in types are told apart by their type pointer and read without running Python code; everything else is
//! `records.rs`. The path to a refused value is put together only when there is one, while the walk unwinds.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use resopt_core::key::KeyStream;
use smallvec::SmallVec;

use super::refusal::{Refusal, Walked};

/// Containers inside containers; deeper data is more likely a mistake than a request.
pub(super) const DEPTH: usize = 64;

/// Write `value` to `stream`.
///
/// # Errors
/// See `key_of`; the stream holds a part of the value then.
pub(crate) fn walk(py: Python<'_>, value: &Bound<'_, PyAny>, stream: &mut KeyStream) -> PyResult<()> {
    Walker { stream, depth: 0 }
        .value(value)
        .map_err(|refusal| refusal.into_error(py))
}

/// Names and values of a mapping or record, held so that Python code run by a value cannot take them away.
pub(super) type Items<'py> = SmallVec<[(Bound<'py, PyString>, Bound<'py, PyAny>); 8]>;

/// One walk: where to write, and how deep it is.
pub(super) struct Walker<'a> {
    pub(super) stream: &'a mut KeyStream,
    depth: usize,
}

impl Walker<'_> {
    /// Any value.
    pub(super) fn value(&mut self, value: &Bound<'_, PyAny>) -> Walked {
        if let Ok(text) = value.cast_exact::<PyString>() {
            self.text(text)
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            self.dict(dict)
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            self.list(list)
        } else if let Ok(integer) = value.cast_exact::<PyInt>() {
            self.integer(integer)
        } else if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.float(float)
        } else if let Ok(boolean) = value.cast_exact::<PyBool>() {
            self.stream.boolean(boolean.is_true());
            Ok(())
        } else if value.is_none() {
            self.stream.none();
            Ok(())
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.tuple(tuple)
        } else {
            self.other(value)
        }
    }

    fn other(&mut self, value: &Bound<'_, PyAny>) -> Walked {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            self.stream.bytes(bytes.as_bytes());
            Ok(())
        } else if let Ok(bytes) = value.cast::<PyByteArray>() {
            self.stream.bytes(&bytes.to_vec());
            Ok(())
        } else {
            Err(Refusal::not_plain(value))
        }
    }

    pub(super) fn text(&mut self, text: &Bound<'_, PyString>) -> Walked {
        self.stream.text(&octets(text)?);
        Ok(())
    }

    pub(super) fn integer(&mut self, value: &Bound<'_, PyInt>) -> Walked {
        if let Ok(small) = value.extract::<i64>() {
            self.stream.integer(small);
            return Ok(());
        }
        let py = value.py();
        let class = py.get_type::<PyInt>();
        let bits: usize = class.call_method1("bit_length", (value,))?.extract()?;
        let signed = [("signed", true)].into_py_dict(py)?;
        let octets = class.call_method("to_bytes", (value, bits / 8 + 1, "little"), Some(&signed))?;
        self.stream
            .big_integer(octets.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        Ok(())
    }

    pub(super) fn float(&mut self, value: &Bound<'_, PyFloat>) -> Walked {
        self.stream
            .float(value.value())
            .map_err(|_| Refusal::new("NaN does not equal itself; leave it out or pass key=…"))
    }

    pub(super) fn list(&mut self, list: &Bound<'_, PyList>) -> Walked {
        self.enter(list)?;
        // A value's own code may change the list: walk what it held at the start.
        let items: SmallVec<[Bound<'_, PyAny>; 16]> = list.iter().collect();
        self.stream.sequence(items.len());
        for (index, item) in items.iter().enumerate() {
            self.value(item).map_err(|refusal| refusal.at_index(index, list))?;
        }
        self.depth -= 1;
        Ok(())
    }

    pub(super) fn tuple(&mut self, tuple: &Bound<'_, PyTuple>) -> Walked {
        self.enter(tuple)?;
        self.stream.sequence(tuple.len());
        for (index, item) in tuple.iter_borrowed().enumerate() {
            self.value(&item).map_err(|refusal| refusal.at_index(index, tuple))?;
        }
        self.depth -= 1;
        Ok(())
    }

    pub(super) fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Walked {
        self.enter(dict)?;
        let items = dict_items(dict)?;
        self.stream.mapping(items.len());
        self.pairs(&items, dict)?;
        self.depth -= 1;
        Ok(())
    }

    /// Names and values in the order of the names' octets, which is the order of their code points.
    fn pairs(&mut self, items: &Items<'_>, owner: &Bound<'_, PyAny>) -> Walked {
        for (name, value) in in_order(items)? {
            self.stream.name(&name);
            self.value(value).map_err(|refusal| refusal.at_name(&name, owner))?;
        }
        Ok(())
    }

    fn enter(&mut self, container: &Bound<'_, PyAny>) -> Walked {
        self.depth += 1;
        if self.depth > DEPTH {
            Err(Refusal::too_deep(container))
        } else {
            Ok(())
        }
    }
}

/// What a dict holds, read without running Python code.
pub(super) fn dict_items<'py>(dict: &Bound<'py, PyDict>) -> Walked<Items<'py>> {
    let mut items = Items::with_capacity(dict.len());
    for (name, value) in dict.iter() {
        match name.cast_into::<PyString>() {
            Ok(name) => items.push((name, value)),
            Err(error) => return Err(Refusal::name_not_text(&error.into_inner())),
        }
    }
    Ok(items)
}

/// Names and values sorted by name.
pub(super) type Ordered<'a, 'py> = SmallVec<[(Cow<'a, [u8]>, &'a Bound<'py, PyAny>); 8]>;

/// `items` in the order in which they are written.
pub(super) fn in_order<'a, 'py>(items: &'a Items<'py>) -> Walked<Ordered<'a, 'py>> {
    let mut ordered = Ordered::with_capacity(items.len());
    for (name, value) in items {
        ordered.push((octets(name)?, value));
    }
    if !ordered.is_sorted_by(|left, right| left.0 < right.0) {
        ordered.sort_by(|left, right| left.0.cmp(&right.0));
        // Keys of a dict differ, but subclasses of str can differ and still spell the same.
        if let Some(pair) = ordered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Refusal::name_twice(&pair[0].0));
        }
    }
    Ok(ordered)
}

/// The UTF-8 of a str; lone surrogates as `surrogatepass` writes them.
pub(super) fn octets<'a>(text: &'a Bound<'_, PyString>) -> Walked<Cow<'a, [u8]>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let class = text.py().get_type::<PyString>();
    let encoded = class.call_method1("encode", (text, "utf-8", "surrogatepass"))?;
    Ok(Cow::Owned(encoded.extract()?))
}
