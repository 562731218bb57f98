use std::fmt;

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but not for long or not as safely as it should.
    Warning,
    /// Does not work.
    Problem,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at, for instance `tls.certificate`.
    pub name: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// What is there.
    pub detail: String,
    /// What to do; `None` when there is nothing to do.
    pub remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    pub(super) fn warning(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn problem(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(name, detail, remedy) }
    }

    /// A problem from an error. The errors of this crate say what is wrong and, after the last semicolon, what to do.
    pub(super) fn error(name: &'static str, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let remedy = text.rfind("; ").map(|at| {
            let remedy = text.split_off(at);
            remedy.trim_start_matches("; ").to_owned()
        });
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Some messages hold their cause already.
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        Self { name, verdict: Verdict::Problem, detail: text, remedy }
    }
}
