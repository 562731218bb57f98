use crate::fault::{Fault, ReasonCode};

/// Why a configuration cannot be used: where, what was expected, what was found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML, or a key is unknown, missing or of the wrong type.
    #[error("line {line}, column {column}: {}{message}", in_front(.path))]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The key, for instance `limits.chunk`, or empty if the text is not TOML or its top level lacks a key.
        path: String,
        /// What the parser expected and found.
        message: String,
    },
    /// A value is out of range or has the wrong form.
    #[error("{path}: expected {expected}, found {found}{}", in_brackets(.hint))]
    Value {
        /// The key, for instance `timeouts.deadline`.
        path: String,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
        /// What to do, or empty.
        hint: String,
    },
}

/// Most characters of a wrong text that an error repeats.
const MAX_FOUND: usize = 120;

fn in_front(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

fn in_brackets(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" ({hint})") }
}

impl ConfigError {
    /// A value that is wrong.
    pub fn value(
        path: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
        hint: impl Into<String>,
    ) -> Self {
        Self::Value {
            path: path.into(),
            expected: expected.into(),
            found: found.to_string(),
            hint: hint.into(),
        }
    }

    /// A text that is wrong: it is shown in quotation marks, cut to 120 characters.
    pub fn text(
        path: impl Into<String>,
        expected: impl Into<String>,
        found: &str,
        hint: impl Into<String>,
    ) -> Self {
        let found: String = found.chars().take(MAX_FOUND).collect();
        Self::value(path, expected, format!("\"{found}\""), hint)
    }

    /// Whose fault it is: whoever wrote the file.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }

    /// What a remote caller is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        ReasonCode::new("JOB_INVALID")
    }
}
