/// What happened, as a number that two equal runs share, and in words where somebody wants to read it.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    digest: u64,
    words: Option<Vec<String>>,
}

impl Trace {
    /// A trace that also keeps words.
    pub(crate) fn in_words() -> Self {
        Self { digest: 0, words: Some(Vec::new()) }
    }

    /// Notes that something happened.
    pub(crate) fn note(&mut self, what: u64, words: impl FnOnce() -> String) {
        self.digest = (self.digest ^ what).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29);
        if let Some(lines) = &mut self.words {
            lines.push(words());
        }
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn into_words(self) -> Vec<String> {
        self.words.unwrap_or_default()
    }
}
