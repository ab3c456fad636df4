//! Why a value has no key, and where in the data it lies.

use std::fmt::Write;

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::error::unkeyable_error;

/// The outcome of a step of the walk.
pub(super) type Walked<T = ()> = Result<T, Refusal>;

/// A walk that ended early; boxed so that the success of a step costs a register.
pub(super) struct Refusal(Box<Why>);

enum Why {
    /// Python code of a value raised.
    Raised(PyErr),
    /// A value has no key.
    Unkeyable {
        /// What is wrong and what to do.
        reason: String,
        /// Whether containers ran too deep, so that the chain of owners may be a cycle.
        deep: bool,
        /// The way to the value, innermost first: how it is named in its owner, and which object the owner is.
        steps: Vec<(String, usize)>,
    },
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self(Box::new(Why::Raised(error)))
    }
}

impl Refusal {
    #[cold]
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Why::Unkeyable {
            reason: reason.into(),
            deep: false,
            steps: Vec::new(),
        }))
    }

    #[cold]
    pub(super) fn not_plain(value: &Bound<'_, PyAny>) -> Self {
        match class_name(&value.get_type()) {
            Ok(class) => Self::new(format!("{class} is not plain data; pass key=…")),
            Err(error) => error.into(),
        }
    }

    #[cold]
    pub(super) fn name_not_text(name: &Bound<'_, PyAny>) -> Self {
        match class_name(&name.get_type()) {
            Ok(class) => Self::new(format!("a mapping has a key that is {class}, not str; pass key=…")),
            Err(error) => error.into(),
        }
    }

    #[cold]
    pub(super) fn name_twice(name: &[u8]) -> Self {
        Self::new(format!(
            "a mapping has two keys that spell {:?}; pass key=…",
            String::from_utf8_lossy(name)
        ))
    }

    #[cold]
    pub(super) fn not_a_number() -> Self {
        Self::new("NaN does not equal itself, so nothing would ever be found; leave it out or pass key=…")
    }

    #[cold]
    pub(super) fn changed() -> Self {
        Self::new("a list changed while its key was made; give the call a copy")
    }

    #[cold]
    pub(super) fn too_deep(container: &Bound<'_, PyAny>) -> Self {
        let steps = vec![(String::new(), container.as_ptr() as usize)];
        Self(Box::new(Why::Unkeyable {
            reason: String::new(),
            deep: true,
            steps,
        }))
    }

    #[cold]
    pub(super) fn at_index(self, index: usize, owner: &Bound<'_, PyAny>) -> Self {
        self.below(format!("[{index}]"), owner)
    }

    #[cold]
    pub(super) fn at_name(self, name: &[u8], owner: &Bound<'_, PyAny>) -> Self {
        let name = String::from_utf8_lossy(name);
        let mut letters = name.chars();
        let begins = letters
            .next()
            .is_some_and(|first| first.is_alphabetic() || first == '_');
        if begins && letters.all(|letter| letter.is_alphanumeric() || letter == '_') {
            self.below(format!(".{name}"), owner)
        } else {
            self.below(format!("[{name:?}]"), owner)
        }
    }

    fn below(mut self, step: String, owner: &Bound<'_, PyAny>) -> Self {
        if let Why::Unkeyable { steps, .. } = &mut *self.0 {
            steps.push((step, owner.as_ptr() as usize));
        }
        self
    }

    /// The exception to raise.
    #[cold]
    pub(super) fn into_error(self, py: Python<'_>) -> PyErr {
        match *self.0 {
            Why::Raised(error) => error,
            Why::Unkeyable {
                mut reason,
                deep,
                mut steps,
            } => {
                steps.reverse();
                if deep {
                    reason = explain_depth(&mut steps);
                }
                let mut message: String = steps.into_iter().map(|(step, _)| step).collect();
                if message.starts_with('.') {
                    message.remove(0);
                }
                if !message.is_empty() {
                    message.push_str(": ");
                }
                message.push_str(&reason);
                unkeyable_error(py, message)
            }
        }
    }
}

/// Tell a cycle from mere depth: the same object twice on the way. The way is cut where the cycle closes.
fn explain_depth(steps: &mut Vec<(String, usize)>) -> String {
    for end in 1..steps.len() {
        if let Some(start) = steps[..end].iter().position(|step| step.1 == steps[end].1) {
            steps.truncate(end);
            let mut reason = "contains itself".to_owned();
            if start > 0 {
                let place: String = steps[..start].iter().map(|step| step.0.as_str()).collect();
                let _ = write!(reason, " (it is {})", place.trim_start_matches('.'));
            }
            return reason + "; a cycle has no key, pass key=…";
        }
    }
    steps.truncate(4);
    steps.push((" …".to_owned(), 0));
    format!("containers are more than {} deep; pass key=…", super::walk::DEPTH)
}

/// `module.qualified_name`; built-in classes without the module.
pub(super) fn class_name(class: &Bound<'_, PyType>) -> PyResult<String> {
    let module = class.getattr("__module__")?;
    let name = class.getattr("__qualname__")?;
    match module.extract::<&str>() {
        Ok("builtins") | Err(_) => Ok(name.str()?.to_str()?.to_owned()),
        Ok(module) => Ok(format!("{module}.{name}")),
    }
}
