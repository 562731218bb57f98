//! Models that count: a participant's update for a round is a vector with a 1 at its own place, and the model is the
//! sum of all that was combined. A 2 proves a double count, a 0 a loss.

use std::collections::{BTreeMap, BTreeSet};

use federated_core::ids::{Digest, RoundNumber};

use crate::schedule::Setup;

/// For each round and participant, how often an update was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OneHot {
    sites: usize,
    counts: Vec<u8>,
    /// The job that made it: no two jobs make the same model, though they may begin with the same.
    job: Option<usize>,
}

impl OneHot {
    /// The model before the first round.
    pub(crate) fn zeros(setup: &Setup) -> Self {
        let sites = usize::from(setup.sites);
        Self { sites, counts: vec![0; sites * usize::from(setup.rounds)], job: None }
    }

    /// The model of a run in which everyone contributed in every round.
    pub(crate) fn undisturbed(setup: &Setup, job: usize) -> Self {
        let mut model = Self::zeros(setup);
        model.counts.fill(1);
        Self { job: Some(job), ..model }
    }

    fn place(&self, round: RoundNumber, site: usize) -> usize {
        (usize::try_from(round.get()).expect("a small number") - 1) * self.sites + site
    }

    pub(crate) fn add(&mut self, job: usize, round: RoundNumber, site: usize) {
        self.job = Some(job);
        let place = self.place(round, site);
        self.counts[place] += 1;
    }

    pub(crate) fn entry(&self, round: RoundNumber, site: usize) -> u8 {
        self.counts[self.place(round, site)]
    }

    pub(crate) fn digest(&self) -> Digest {
        let job = self.job.and_then(|job| u8::try_from(job).ok());
        Digest::of(&[&self.counts[..], &[job.unwrap_or(u8::MAX)]].concat())
    }
}

/// The coordinator's store of models, by their digest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Models(BTreeMap<Digest, OneHot>);

impl Models {
    pub(crate) fn put(&mut self, model: OneHot) -> Digest {
        let digest = model.digest();
        self.0.insert(digest, model);
        digest
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<&OneHot> {
        self.0.get(digest)
    }

    pub(crate) fn remove(&mut self, digest: &Digest) {
        self.0.remove(digest);
    }

    pub(crate) fn retain(&mut self, wanted: &BTreeSet<Digest>) {
        self.0.retain(|digest, _| wanted.contains(digest));
    }
}
