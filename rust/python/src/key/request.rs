//! Requests: what of a body determines the answer, and which text of it is a question.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use resopt_core::key::KeyStream;
use resopt_core::text::normalise::is_plain_question;

use super::refusal::Walked;
use super::walk::{Items, Pair, Walker, gather, octets};

/// Where an API keeps its messages, and which of its fields cannot change the answer; see the stub.
#[pyclass(frozen, module = "resopt._core")]
pub(crate) struct RequestShape {
    api: String,
    messages: Option<String>,
    /// Sorted.
    ignored: Vec<String>,
    /// A bit for each ignored name, see `mark`: most other fields are told by it alone.
    marks: u64,
}

#[pymethods]
impl RequestShape {
    #[new]
    #[pyo3(signature = (api, messages = None, ignored = Vec::new()))]
    fn new(api: String, messages: Option<String>, mut ignored: Vec<String>) -> Self {
        ignored.sort_unstable();
        let marks = ignored.iter().fold(0, |marks, name| marks | mark(name));
        Self {
            api,
            messages,
            ignored,
            marks,
        }
    }
}

impl RequestShape {
    /// Everything before the policy.
    pub(super) fn write_header(
        &self,
        stream: &mut KeyStream,
        namespace: &Bound<'_, PyString>,
        tenant: Option<&Bound<'_, PyString>>,
        user: Option<&Bound<'_, PyString>>,
    ) -> PyResult<()> {
        stream.request();
        stream.text(self.api.as_bytes());
        for part in [Some(namespace), tenant, user] {
            match part {
                Some(text) => stream.text(&octets(text).map_err(|refusal| refusal.into_error(text.py()))?),
                None => stream.none(),
            }
        }
        Ok(())
    }

    /// The body without its ignored fields; `folded` lets the question of its last message be folded.
    pub(super) fn write_body(&self, body: &Bound<'_, PyDict>, folded: bool, stream: &mut KeyStream) -> PyResult<()> {
        let mut walker = Walker::new(stream, true);
        self.body(body, folded, &mut walker)
            .map_err(|refusal| refusal.into_error(body.py()))
    }

    fn body(&self, body: &Bound<'_, PyDict>, folded: bool, walker: &mut Walker<'_>) -> Walked {
        walker.enter(body)?;
        let mut fields = Items::new();
        gather(body, &mut fields)?;
        fields.retain(|field| !self.ignores(&field.0));
        walker.stream.mapping(fields.len());
        let messages = self.messages.as_deref().filter(|_| folded).map(str::as_bytes);
        walker.pairs(&fields, body, |walker, name, value| {
            match value.cast_exact::<PyList>() {
                Ok(list) if messages == Some(name) => messages_with_question(walker, list),
                _ => walker.value(value),
            }
        })?;
        walker.leave();
        Ok(())
    }

    fn ignores(&self, name: &Bound<'_, PyString>) -> bool {
        let Ok(name) = name.to_str() else { return false };
        self.marks & mark(name) != 0
            && self
                .ignored
                .binary_search_by(|ignored| ignored.as_str().cmp(name))
                .is_ok()
    }
}

/// One of 64 bits, by a name's length and first octet.
fn mark(name: &str) -> u64 {
    let first = usize::from(name.as_bytes().first().copied().unwrap_or_default());
    1 << ((first + 5 * name.len()) % 64)
}

/// Only the last message can be the question: an earlier one was already answered.
fn messages_with_question(walker: &mut Walker<'_>, messages: &Bound<'_, PyList>) -> Walked {
    let last = messages.len().saturating_sub(1);
    walker.list_with(messages, |walker, index, message| {
        match message.cast_exact::<PyDict>() {
            Ok(message) if index == last => last_message(walker, message),
            _ => walker.value(message),
        }
    })
}

fn last_message(walker: &mut Walker<'_>, message: &Bound<'_, PyDict>) -> Walked {
    walker.enter(message)?;
    let mut fields = Items::new();
    gather(message, &mut fields)?;
    let of_user = fields.iter().any(|field| has(field, "role", "user"));
    walker.stream.mapping(fields.len());
    walker.pairs(&fields, message, |walker, name, value| {
        if of_user && name == b"content" {
            content(walker, value)
        } else {
            walker.value(value)
        }
    })?;
    walker.leave();
    Ok(())
}

/// A question is a str, or a list of one part that is text and nothing else.
fn content(walker: &mut Walker<'_>, content: &Bound<'_, PyAny>) -> Walked {
    if let Ok(text) = content.cast_exact::<PyString>() {
        return question(walker, text);
    }
    match content.cast_exact::<PyList>() {
        Ok(parts) if parts.len() == 1 => walker.list_with(parts, |walker, _, part| only_part(walker, part)),
        _ => walker.value(content),
    }
}

fn only_part(walker: &mut Walker<'_>, part: &Bound<'_, PyAny>) -> Walked {
    let Ok(part) = part.cast_exact::<PyDict>() else {
        return walker.value(part);
    };
    let mut fields = Items::new();
    gather(part, &mut fields)?;
    let is_text = match fields.as_slice() {
        [one, other] => {
            (spells(&one.0, "text") && has(other, "type", "text"))
                || (spells(&other.0, "text") && has(one, "type", "text"))
        }
        _ => false,
    };
    walker.enter(part)?;
    walker.stream.mapping(fields.len());
    walker.pairs(&fields, part, |walker, name, value| {
        match value.cast_exact::<PyString>() {
            Ok(text) if is_text && name == b"text" => question(walker, text),
            _ => walker.value(value),
        }
    })?;
    walker.leave();
    Ok(())
}

fn question(walker: &mut Walker<'_>, text: &Bound<'_, PyString>) -> Walked {
    // Text with a lone surrogate has no UTF-8; nobody types it.
    match text.to_str() {
        Ok(plain) if is_plain_question(plain) => {
            walker.stream.folded(plain);
            Ok(())
        }
        _ => walker.text(text),
    }
}

fn has(field: &Pair<'_>, name: &str, value: &str) -> bool {
    spells(&field.0, name) && spells(&field.1, value)
}

fn spells(value: &Bound<'_, PyAny>, expected: &str) -> bool {
    value
        .cast_exact::<PyString>()
        .is_ok_and(|text| text.to_str().is_ok_and(|text| text == expected))
}
