use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{ParticipantError, Site};
use crate::{
    ids::Fingerprint,
    privacy::secagg::{
        Cohort, Consistency, Index, RevealedShare, SharePair, Signature, Signatures, Survivors, Terms,
        Unmask, transcript,
    },
};

/// R2: the masked vector is on its way or there. Waits for the announcement of whose vectors are in.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Masked {
    site: Arc<Site>,
    min_survivors: u32,
    cohort: Arc<Cohort>,
    me: Index,
    held: BTreeMap<Index, SharePair>,
    shared: BTreeSet<Index>,
}

impl Masked {
    pub(super) fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    pub(super) fn new(
        site: Arc<Site>,
        terms: &Terms,
        cohort: Arc<Cohort>,
        me: Index,
        held: BTreeMap<Index, SharePair>,
        shared: BTreeSet<Index>,
    ) -> Self {
        Self { site, min_survivors: terms.min_survivors(), cohort, me, held, shared }
    }

    /// Checks whose vectors are to be summed, and signs it: R3. There is one announcement in a session.
    ///
    /// # Errors
    /// [`ParticipantError`] when this participant is not among them, they are too few or none of the session's, or an arc of
    /// the ring would be alone.
    pub fn survivors(self, announced: Survivors) -> Result<(Signed, Consistency), ParticipantError> {
        let Survivors(survivors) = announced;
        if !survivors.is_subset(&self.shared) {
            return Err(ParticipantError::NotNested);
        }
        if !survivors.contains(&self.me) {
            return Err(ParticipantError::LeftOut);
        }
        let found = u32::try_from(survivors.len()).unwrap_or(u32::MAX);
        if found < self.min_survivors {
            return Err(ParticipantError::FewSurvivors { least: self.min_survivors, found });
        }
        self.cohort.graph.check_window(|index| !survivors.contains(&index))?;
        let transcript = transcript(&self.cohort.id, self.cohort.len(), &self.shared, &survivors);
        let signature = self.site.signing.sign(transcript.as_bytes());
        let Self { site, cohort, held, .. } = self;
        Ok((Signed { site, cohort, held, survivors, transcript }, Consistency(signature)))
    }
}

/// R3 is done: the announcement is signed. Waits for the others' signatures.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Signed {
    site: Arc<Site>,
    cohort: Arc<Cohort>,
    held: BTreeMap<Index, SharePair>,
    survivors: BTreeSet<Index>,
    transcript: Fingerprint,
}

impl Signed {
    pub(super) fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// What was signed.
    #[must_use]
    pub const fn transcript(&self) -> Fingerprint {
        self.transcript
    }

    /// Whose vectors were announced.
    #[must_use]
    pub const fn survivors(&self) -> &BTreeSet<Index> {
        &self.survivors
    }

    /// Checks that enough have signed the same, and reveals of each neighbour the one share that unmasks the sum: R4.
    ///
    /// # Errors
    /// [`ParticipantError::FewSignatures`] when fewer than the quorum have signed the same.
    pub fn signatures(self, signatures: &Signatures) -> Result<Unmask, ParticipantError> {
        let valid = |(index, signature): &(&Index, &Signature)| {
            let name = self.survivors.contains(*index).then(|| self.cohort.name(**index)).flatten();
            let key = name.and_then(|name| self.site.roster.key(name));
            key.is_some_and(|key| key.verify(self.transcript.as_bytes(), signature).is_ok())
        };
        let found = u32::try_from(signatures.0.iter().filter(valid).count()).unwrap_or(u32::MAX);
        let least = self.cohort.parameters.quorum();
        if found < least {
            return Err(ParticipantError::FewSignatures { least, found });
        }
        let mut unmask = Unmask::default();
        for (index, pair) in self.held {
            if self.survivors.contains(&index) {
                unmask.self_masks.insert(index, RevealedShare::from(&pair.self_mask));
            } else {
                unmask.mask_secrets.insert(index, RevealedShare::from(&pair.mask_secret));
            }
        }
        Ok(unmask)
    }
}
