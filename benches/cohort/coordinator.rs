use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use federated_benches::system::timed;
use federated_core::{
    ids::ParticipantName,
    privacy::secagg::{
        CoordinatorProtocol as _, CoordinatorSession, Header, KeystreamBuffer, Mask, MessageAdmission,
        PinnedRoster, PreparedMask, Stage, add,
    },
};

use crate::{costs::Beside, floor::Floor, wire};

/// How often the masks are taken off the sum, each time beside the floor.
const REPETITIONS: usize = 3;

/// The coordinator, with the seconds that each stage costs it.
pub(crate) struct Coordinator {
    session: CoordinatorSession,
    roster: PinnedRoster,
    sum: Vec<u8>,
    pub(crate) seconds: BTreeMap<Stage, f64>,
}

/// A sum without masks.
pub(crate) struct Unmasked {
    pub(crate) sum: Vec<u8>,
    /// Seconds for rebuilding the secrets, and the masks from them.
    pub(crate) secrets_s: f64,
    pub(crate) masks: Beside,
}

impl Coordinator {
    pub(crate) fn new(header: Header, roster: PinnedRoster, vector_bytes: usize) -> Self {
        let session = CoordinatorSession::new(header);
        Self { session, roster, sum: vec![0; vector_bytes], seconds: BTreeMap::new() }
    }

    /// Does a work of the stage that goes on.
    fn spend<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let stage = self.session.stage();
        let (done, seconds) = timed(|| work(self));
        *self.seconds.entry(stage).or_default() += seconds;
        done
    }

    /// Takes an answer.
    pub(crate) fn hear(&mut self, from: &ParticipantName, answer: &[u8]) -> Result<()> {
        self.spend(|coordinator| {
            let message = wire::read_answer(answer)?;
            let admitted = coordinator.session.admit(from, &message, Some(&coordinator.roster))?;
            ensure!(
                admitted == MessageAdmission::Welcome,
                "expected a welcome answer of {from}, found another"
            );
            coordinator.session.receive(from, message);
            Ok(())
        })
    }

    /// What a participant is told in this stage.
    pub(crate) fn tell(&mut self, to: &ParticipantName) -> Result<Vec<u8>> {
        self.spend(|coordinator| {
            let messages = coordinator.session.messages(to);
            let [message] = &messages[..] else {
                anyhow::bail!("expected one message for {to}, found {}", messages.len());
            };
            Ok(wire::directive(&coordinator.session.header().task, message))
        })
    }

    /// Adds a vector to the sum.
    pub(crate) fn add(&mut self, vector: &[u8]) -> Result<()> {
        self.spend(|coordinator| {
            let modulus = coordinator.session.header().terms.vector().modulus();
            Ok(add(modulus, &mut coordinator.sum, vector)?)
        })
    }

    /// Goes on to the next stage.
    pub(crate) fn close(&mut self, survivors: &BTreeSet<ParticipantName>) -> Result<()> {
        self.spend(|coordinator| {
            coordinator.session = coordinator.session.clone().close(survivors)?;
            Ok(())
        })
    }

    /// Takes the masks off the sum.
    pub(crate) fn unmask(&mut self, floor: &mut Floor) -> Result<Unmasked> {
        let (unmasking, secrets_s) = timed(|| self.session.unmasking());
        let unmasking = unmasking?;
        ensure!(unmasking.liars.is_empty(), "expected no wrong share, found some of {:?}", unmasking.liars);
        let modulus = self.session.header().terms.vector().modulus();
        let keystream = unmasking.masks.len() as u64 * self.sum.len() as u64;
        let mut unmasked =
            Unmasked { sum: Vec::new(), secrets_s, masks: Beside { keystream, ..Beside::default() } };
        for _ in 0..REPETITIONS {
            unmasked.sum.clone_from(&self.sum);
            let (done, seconds) = timed(|| {
                let masks =
                    unmasking.masks.iter().map(Mask::prepare).collect::<Result<Vec<PreparedMask>, _>>()?;
                KeystreamBuffer::new().apply(modulus, &masks, 0, &mut unmasked.sum)
            });
            done?;
            unmasked.masks.work.push(seconds);
            unmasked.masks.floor.push(floor.seconds(unmasking.masks.len())?);
        }
        Ok(unmasked)
    }
}
