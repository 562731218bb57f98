//! What is out of one session: which shares, which signatures, which vectors; and what could be read with them.

use std::collections::{BTreeMap, BTreeSet};

use federated_core::privacy::secagg::{Cohort, Index, Unmask};

use crate::{
    names::{self, Attempt},
    violation::Violation,
};

/// Who has revealed a share of a secret of somebody.
type Revealed = BTreeMap<Index, BTreeSet<usize>>;

#[derive(Debug)]
pub(crate) struct Ledger {
    cohort: Cohort,
    min_survivors: u32,
    /// Who has shared its secrets out.
    shared: BTreeSet<Index>,
    /// What each participant has signed.
    signed: BTreeMap<usize, BTreeSet<Index>>,
    /// Shares that participants have sent, whether they arrived or not.
    self_masks: Revealed,
    mask_secrets: Revealed,
    /// Those that arrived.
    arrived_self_masks: Revealed,
    arrived_mask_secrets: Revealed,
    /// Whose masked vectors the coordinator has.
    vectors: BTreeSet<Index>,
}

impl Ledger {
    pub(crate) const fn new(cohort: Cohort, min_survivors: u32) -> Self {
        Self {
            cohort,
            min_survivors,
            shared: BTreeSet::new(),
            signed: BTreeMap::new(),
            self_masks: Revealed::new(),
            mask_secrets: Revealed::new(),
            arrived_self_masks: Revealed::new(),
            arrived_mask_secrets: Revealed::new(),
            vectors: BTreeSet::new(),
        }
    }

    fn index(&self, site: usize) -> Option<Index> {
        self.cohort.index(names::name(site))
    }

    /// How many have shared their secrets out.
    pub(crate) fn sharers(&self) -> usize {
        self.shared.len()
    }

    pub(crate) fn shares(&mut self, site: usize) {
        self.shared.extend(self.index(site));
    }

    pub(crate) fn signs(&mut self, site: usize, survivors: Option<BTreeSet<Index>>) {
        self.signed.extend(survivors.map(|survivors| (site, survivors)));
    }

    /// A participant gives up shares: only when enough have signed for these very survivors, who are enough.
    pub(crate) fn reveals(
        &mut self,
        attempt: Attempt,
        site: usize,
        unmask: &Unmask,
    ) -> Result<(), Violation> {
        let survivors: BTreeSet<Index> = unmask.self_masks.keys().copied().collect();
        keep(&mut self.self_masks, site, unmask.self_masks.keys());
        keep(&mut self.mask_secrets, site, unmask.mask_secrets.keys());
        if let Some(of) = self.self_masks.keys().find(|of| self.mask_secrets.contains_key(of)) {
            return Err(Violation::BothShares { attempt, of: *of });
        }
        if survivors.len() < self.min_survivors as usize {
            return Err(Violation::FewSurvivors { attempt, site, survivors: survivors.len() });
        }
        let signed = self.signed.values().filter(|signed| **signed == survivors).count();
        if signed < self.cohort.parameters.quorum() as usize {
            return Err(Violation::Unsigned { attempt, site, signed });
        }
        Ok(())
    }

    pub(crate) fn arrives(
        &mut self,
        attempt: Attempt,
        site: usize,
        unmask: &Unmask,
    ) -> Result<(), Violation> {
        keep(&mut self.arrived_self_masks, site, unmask.self_masks.keys());
        keep(&mut self.arrived_mask_secrets, site, unmask.mask_secrets.keys());
        self.check_exposed(attempt)
    }

    pub(crate) fn vector_arrives(&mut self, attempt: Attempt, site: usize) -> Result<(), Violation> {
        self.vectors.extend(self.index(site));
        self.check_exposed(attempt)
    }

    /// Tries every group that is too small to be summed: its sum can be read when the self masks of all its members are
    /// known, and with each one outside of it the masks that they share.
    fn check_exposed(&self, attempt: Attempt) -> Result<(), Violation> {
        let threshold = usize::from(self.cohort.parameters.threshold());
        let known = |revealed: &Revealed, of: &Index| {
            revealed.get(of).is_some_and(|holders| holders.len() >= threshold)
        };
        if self.arrived_self_masks.is_empty() {
            return Ok(());
        }
        let readable = |group: &BTreeSet<Index>| {
            let secret = |of: &Index| known(&self.arrived_mask_secrets, of);
            group.iter().all(|member| {
                let outside = self.shared.iter().filter(|other| !group.contains(*other));
                known(&self.arrived_self_masks, member) && (secret(member) || outside.into_iter().all(secret))
            })
        };
        let vectors: Vec<Index> = self.vectors.iter().copied().collect();
        let found = (1_u32..1 << vectors.len())
            .filter(|chosen| chosen.count_ones() < self.min_survivors)
            .map(|chosen| {
                let members = (0..).zip(&vectors).filter(|(place, _)| chosen >> place & 1 == 1);
                members.map(|(_, index)| *index).collect::<BTreeSet<Index>>()
            })
            .find(readable);
        found.map_or(Ok(()), |group| Err(Violation::Exposed { attempt, sites: group.into_iter().collect() }))
    }
}

fn keep<'a>(revealed: &mut Revealed, site: usize, of: impl Iterator<Item = &'a Index>) {
    for of in of {
        revealed.entry(*of).or_default().insert(site);
    }
}
