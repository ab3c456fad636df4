//! The walk over a Python value.
//!
//! Exact built-in types are told apart by their type pointer and read without running Python code; everything else is
//! `other.rs`. The path to a refused value is put together only when there is one, while the walk unwinds.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
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
    Walker::new(stream, false)
        .value(value)
        .map_err(|refusal| refusal.into_error(py))
}

/// A name and its value.
pub(super) type Pair<'py> = (Bound<'py, PyString>, Bound<'py, PyAny>);

/// Names and values of a mapping or record, held so that Python code run by a value cannot take them away.
pub(super) type Items<'py> = SmallVec<[Pair<'py>; 8]>;

/// One walk: where to write, how text is written, and how deep the walk is.
pub(super) struct Walker<'a> {
    pub(super) stream: &'a mut KeyStream,
    lossless: bool,
    depth: usize,
}

impl<'a> Walker<'a> {
    /// A walk at its root; `lossless` writes text with LF for CRLF, as requests do.
    pub(super) fn new(stream: &'a mut KeyStream, lossless: bool) -> Self {
        Self {
            stream,
            lossless,
            depth: 0,
        }
    }

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

    pub(super) fn text(&mut self, text: &Bound<'_, PyString>) -> Walked {
        let octets = octets(text)?;
        if self.lossless {
            self.stream.lossless(&octets);
        } else {
            self.stream.text(&octets);
        }
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
        self.stream.float(value.value()).map_err(|_| Refusal::not_a_number())
    }

    pub(super) fn list(&mut self, list: &Bound<'_, PyList>) -> Walked {
        self.list_with(list, |walker, _, item| walker.value(item))
    }

    /// A list whose items, told by their index, `write` writes.
    pub(super) fn list_with(
        &mut self,
        list: &Bound<'_, PyList>,
        write: impl Fn(&mut Self, usize, &Bound<'_, PyAny>) -> Walked,
    ) -> Walked {
        self.enter(list)?;
        let count = list.len();
        self.stream.sequence(count);
        for index in 0..count {
            // Code of an item can change the list: a count that does not hold would make the encoding ambiguous.
            let Ok(item) = list.get_item(index) else {
                return Err(Refusal::changed());
            };
            write(self, index, &item).map_err(|refusal| refusal.at_index(index, list))?;
        }
        if list.len() != count {
            return Err(Refusal::changed());
        }
        self.leave();
        Ok(())
    }

    pub(super) fn tuple(&mut self, tuple: &Bound<'_, PyTuple>) -> Walked {
        self.enter(tuple)?;
        self.stream.sequence(tuple.len());
        for (index, item) in tuple.iter_borrowed().enumerate() {
            self.value(&item).map_err(|refusal| refusal.at_index(index, tuple))?;
        }
        self.leave();
        Ok(())
    }

    pub(super) fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Walked {
        self.enter(dict)?;
        let mut items = Items::new();
        gather(dict, &mut items)?;
        self.stream.mapping(items.len());
        self.pairs(&items, dict, |walker, _, value| walker.value(value))?;
        self.leave();
        Ok(())
    }

    /// Names and values in the order of the names' octets; `write` writes the values.
    pub(super) fn pairs(
        &mut self,
        items: &[Pair<'_>],
        owner: &Bound<'_, PyAny>,
        write: impl Fn(&mut Self, &[u8], &Bound<'_, PyAny>) -> Walked,
    ) -> Walked {
        let mut ordered = Ordered::new();
        for (name, value) in items {
            ordered.push((octets(name)?, value));
        }
        sort(&mut ordered)?;
        for (name, value) in &ordered {
            self.stream.name(name);
            write(self, name, value).map_err(|refusal| refusal.at_name(name, owner))?;
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, container: &Bound<'_, PyAny>) -> Walked {
        self.depth += 1;
        if self.depth > DEPTH {
            Err(Refusal::too_deep(container))
        } else {
            Ok(())
        }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// Append what a dict holds, read without running Python code.
pub(super) fn gather<'py>(dict: &Bound<'py, PyDict>, items: &mut Items<'py>) -> Walked {
    for (name, value) in dict.iter() {
        match name.cast_into::<PyString>() {
            Ok(name) => items.push((name, value)),
            Err(error) => return Err(Refusal::name_not_text(&error.into_inner())),
        }
    }
    Ok(())
}

/// Names, encoded once, and their values. Large: it is filled where it lies, not returned.
type Ordered<'a, 'py> = SmallVec<[(Cow<'a, [u8]>, &'a Bound<'py, PyAny>); 8]>;

fn sort(ordered: &mut Ordered<'_, '_>) -> Walked {
    // Most names differ in the first octet; comparing it here saves the call.
    let order = |left: &[u8], right: &[u8]| left.first().cmp(&right.first()).then_with(|| left.cmp(right));
    if ordered.is_sorted_by(|left, right| order(&left.0, &right.0).is_lt()) {
        return Ok(());
    }
    ordered.sort_by(|left, right| order(&left.0, &right.0));
    // Keys of a dict differ, but subclasses of str can differ and still spell the same.
    match ordered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Refusal::name_twice(&pair[0].0)),
        None => Ok(()),
    }
}

/// The UTF-8 of a str; lone surrogates as `surrogatepass` writes them.
#[inline]
pub(super) fn octets<'a>(text: &'a Bound<'_, PyString>) -> Walked<Cow<'a, [u8]>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    octets_with_surrogates(text)
}

#[cold]
fn octets_with_surrogates<'a>(text: &Bound<'_, PyString>) -> Walked<Cow<'a, [u8]>> {
    let class = text.py().get_type::<PyString>();
    let encoded = class.call_method1("encode", (text, "utf-8", "surrogatepass"))?;
    Ok(Cow::Owned(encoded.extract()?))
}
