//! `_core.Encoding`, `ChatFamily`, `text_class`: signatures and conversions over `resopt_core::tokens`.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use resopt_core::tokens::chat::{Family, Tools};
use resopt_core::tokens::{Encoding as Core, TextClass};

use crate::error::{configuration_error, from_core};

/// From so many bytes on, other threads run while a text is counted.
const LARGE: usize = 1 << 16;

/// A text as UTF-8. Lone surrogates become U+FFFD and pairs of them one character, as tiktoken takes them.
fn utf8<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, str>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text));
    }
    let units = text.call_method1("encode", ("utf-16-le", "surrogatepass"))?;
    let units = units.cast::<PyBytes>()?.as_bytes();
    let units = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let characters = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    Ok(Cow::Owned(characters.collect()))
}

fn string<'a, 'py>(text: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyString>> {
    text.cast::<PyString>().map_err(|_| {
        let kind = text
            .get_type()
            .name()
            .map_or_else(|_| "that".to_owned(), |name| name.to_string());
        configuration_error(text.py(), format!("text must be a str, not {kind}"))
    })
}

fn strings<'py>(texts: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    if texts.is_instance_of::<PyString>() {
        let message = "texts must be several str, not one: for one text there is the method without _many";
        return Err(configuration_error(texts.py(), message.to_owned()));
    }
    texts.try_iter()?.map(|text| Ok(string(&text?)?.clone())).collect()
}

fn numbers(tokens: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    tokens.extract().map_err(|_| {
        configuration_error(
            tokens.py(),
            "tokens must be a sequence of token numbers, integers from 0".to_owned(),
        )
    })
}

fn limit(max_tokens: &Bound<'_, PyAny>) -> PyResult<usize> {
    max_tokens
        .extract()
        .map_err(|_| configuration_error(max_tokens.py(), "max_tokens must be an int of at least 0".to_owned()))
}

/// Do `work` on each text while other threads run.
fn each<T: Send>(texts: &Bound<'_, PyAny>, work: impl Fn(&str) -> T + Send + Sync) -> PyResult<Vec<T>> {
    let held = strings(texts)?;
    let texts = held.iter().map(utf8).collect::<PyResult<Vec<_>>>()?;
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let Some(first) = held.first() else {
        return Ok(Vec::new());
    };
    Ok(first.py().detach(|| texts.into_iter().map(work).collect()))
}

/// Do `work` on a text; while other threads run when it is large.
fn one<T: Send>(text: &Bound<'_, PyAny>, work: impl FnOnce(&str) -> T + Send) -> PyResult<T> {
    let held = string(text)?;
    let text = utf8(held)?;
    Ok(if text.len() < LARGE {
        work(&text)
    } else {
        held.py().detach(|| work(&text))
    })
}

/// A published encoding: text to tokens and back, exactly as its models count.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct Encoding {
    core: Core,
}

#[pymethods]
impl Encoding {
    #[new]
    #[pyo3(signature = (name, /))]
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        let core = py.detach(|| Core::get(name)).map_err(|error| from_core(py, &error))?;
        Ok(Self { core })
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &'static str {
        self.core.name()
    }

    /// The special tokens and their numbers.
    #[getter]
    fn special_tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        for (name, id) in self.core.special_tokens() {
            tokens.set_item(name, id)?;
        }
        Ok(tokens)
    }

    /// The bytes of every ordinary token, in the order of their numbers.
    fn tokens<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.core.tokens().map(|token| PyBytes::new(py, token)).collect()
    }

    /// How many tokens a text has.
    #[pyo3(signature = (text, /))]
    fn count(&self, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        one(text, |text| self.core.count(text))
    }

    /// How many tokens each of many texts has.
    #[pyo3(signature = (texts, /))]
    fn count_many(&self, texts: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        each(texts, |text| self.core.count(text))
    }

    /// The tokens of a text.
    #[pyo3(signature = (text, /, *, special = false))]
    fn encode(&self, text: &Bound<'_, PyAny>, special: bool) -> PyResult<Vec<u32>> {
        one(text, |text| self.encoded(text, special))
    }

    /// The tokens of each of many texts.
    #[pyo3(signature = (texts, /, *, special = false))]
    fn encode_many(&self, texts: &Bound<'_, PyAny>, special: bool) -> PyResult<Vec<Vec<u32>>> {
        each(texts, |text| self.encoded(text, special))
    }

    /// The text of tokens; U+FFFD for bytes that are no whole character.
    #[pyo3(signature = (tokens, /))]
    fn decode(&self, tokens: &Bound<'_, PyAny>) -> PyResult<String> {
        let bytes = self.bytes(tokens)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The texts of many sequences of tokens.
    #[pyo3(signature = (sequences, /))]
    fn decode_many(&self, py: Python<'_>, sequences: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let sequences = sequences
            .try_iter()?
            .map(|tokens| numbers(&tokens?))
            .collect::<PyResult<Vec<_>>>()?;
        let texts = py.detach(|| {
            let text = |tokens: &Vec<u32>| Ok(String::from_utf8_lossy(&self.core.decode(tokens)?).into_owned());
            sequences.iter().map(text).collect::<Result<_, _>>()
        });
        texts.map_err(|error| from_core(py, &error))
    }

    /// The bytes of tokens.
    #[pyo3(signature = (tokens, /))]
    fn decode_bytes<'py>(&self, tokens: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(tokens.py(), &self.bytes(tokens)?))
    }

    /// Whether a text has at most `max_tokens` tokens.
    #[pyo3(signature = (text, max_tokens, /))]
    fn fits(&self, text: &Bound<'_, PyAny>, max_tokens: &Bound<'_, PyAny>) -> PyResult<bool> {
        let limit = limit(max_tokens)?;
        one(text, |text| self.core.fits(text, limit))
    }

    /// Whether each of many texts has at most `max_tokens` tokens.
    #[pyo3(signature = (texts, max_tokens, /))]
    fn fits_many(&self, texts: &Bound<'_, PyAny>, max_tokens: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
        let limit = limit(max_tokens)?;
        each(texts, |text| self.core.fits(text, limit))
    }

    /// The beginning of a text that has at most `max_tokens` tokens.
    #[pyo3(signature = (text, max_tokens, /))]
    fn truncate<'py>(
        &self,
        text: &Bound<'py, PyAny>,
        max_tokens: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyString>> {
        let limit = limit(max_tokens)?;
        let kept = one(text, |text| self.beginning(text, limit))?;
        Ok(match kept {
            None => string(text)?.clone(),
            Some(kept) => PyString::new(text.py(), &kept),
        })
    }

    /// The beginnings of many texts that have at most `max_tokens` tokens each.
    #[pyo3(signature = (texts, max_tokens, /))]
    fn truncate_many(&self, texts: &Bound<'_, PyAny>, max_tokens: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let limit = limit(max_tokens)?;
        each(texts, |text| self.core.truncate(text, limit).to_owned())
    }
}

impl Encoding {
    fn encoded(&self, text: &str, special: bool) -> Vec<u32> {
        if special {
            self.core.encode_with_special(text)
        } else {
            self.core.encode(text)
        }
    }

    fn bytes(&self, tokens: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        let decoded = self.core.decode(&numbers(tokens)?);
        decoded.map_err(|error| from_core(tokens.py(), &error))
    }

    /// None when nothing is cut off.
    fn beginning(&self, text: &str, limit: usize) -> Option<String> {
        let kept = self.core.truncate(text, limit);
        (kept.len() < text.len()).then(|| kept.to_owned())
    }
}

/// What a chat of a family of models costs beyond its texts.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct ChatFamily {
    core: Family,
}

#[pymethods]
impl ChatFamily {
    #[new]
    #[pyo3(signature = (name, /))]
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        let core = Family::named(name).map_err(|error| from_core(py, &error))?;
        Ok(Self { core })
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &'static str {
        self.core.name()
    }

    /// Tokens around the texts of messages.
    #[pyo3(signature = (messages, names = 0))]
    fn messages(&self, messages: u32, names: u32) -> i64 {
        self.core.messages(messages, names)
    }

    /// Tokens around the texts of tools.
    #[pyo3(signature = (functions, with_properties = 0, properties = 0, enums = 0, items = 0, *, forced = false))]
    fn tools(
        &self,
        functions: u32,
        with_properties: u32,
        properties: u32,
        enums: u32,
        items: u32,
        forced: bool,
    ) -> i64 {
        self.core.tools(Tools {
            functions,
            with_properties,
            properties,
            enums,
            items,
            forced,
        })
    }

    /// Tokens that tools cost once, however many there are.
    #[pyo3(signature = (*, forced = false))]
    fn for_tools(&self, forced: bool) -> u32 {
        self.core.for_tools(forced)
    }

    /// Tokens of an image of so many pixels.
    #[pyo3(signature = (width, height, *, low_detail = false))]
    fn image(&self, width: u32, height: u32, low_detail: bool) -> u32 {
        self.core.image(width, height, low_detail)
    }
}

/// The class of a text within which tokenizers keep their ratio.
#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn text_class(text: &Bound<'_, PyAny>) -> PyResult<&'static str> {
    Ok(TextClass::of(&utf8(string(text)?)?).name())
}
