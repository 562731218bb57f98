use std::sync::Arc;

use anyhow::{Result, bail};
use federated_benches::system::timed;
use federated_core::{
    ids::TaskId,
    privacy::secagg::{
        Header, KeystreamBuffer, Mask, ParticipantMessage, ParticipantProtocol as _, ParticipantSession,
        PreparedMask, Reply, Site, Stage, VectorPlan, participant::AdvertisedKeys,
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{
    costs::{Cost, Costs},
    input::Input,
    wire,
};

/// One participant, with what its part costs it.
pub(crate) struct Participant {
    task: TaskId,
    session: ParticipantSession,
    entropy: ChaCha20Rng,
    pub(crate) costs: Costs,
}

/// A vector with masks over it.
pub(crate) struct MaskedVector {
    pub(crate) bytes: Vec<u8>,
    /// How many masks.
    pub(crate) masks: usize,
    /// Seconds for putting them there, once their seeds and the vector were made.
    pub(crate) seconds: f64,
}

impl Participant {
    /// Makes keys; with the answer that has them: R0.
    pub(crate) fn begin(site: Site, header: &Header, seed: u64) -> (Self, Vec<u8>) {
        let mut entropy = ChaCha20Rng::seed_from_u64(seed);
        let (site, task) = (Arc::new(site), header.task.clone());
        let ((session, answer), seconds) = timed(|| {
            let (advertised, keys) = AdvertisedKeys::begin(site, header.clone(), &mut entropy);
            let answer = wire::answer(&task, &ParticipantMessage::AdvertiseKeys(keys.clone()));
            (ParticipantSession::new((advertised, keys)), answer)
        });
        let mut costs = Costs::default();
        costs.add(Stage::AdvertiseKeys, Cost { seconds, up: answer.len() as u64, down: 0 });
        (Self { task, session, entropy, costs }, answer)
    }

    /// Takes what the coordinator says in R1, R3 and R4; gives the answer.
    pub(crate) fn answer(&mut self, stage: Stage, directive: &[u8]) -> Result<Vec<u8>> {
        let (answer, seconds) = timed(|| {
            let message = match self.session.handle(wire::read_directive(directive)?, &mut self.entropy)? {
                Reply::Send(message) => message,
                Reply::RecordAndSend(signed) => ParticipantMessage::Consistency(signed),
                other => bail!("expected an answer in {stage}, found {other:?}"),
            };
            Ok(wire::answer(&self.task, &message))
        });
        let answer = answer?;
        let (up, down) = (answer.len() as u64, directive.len() as u64);
        self.costs.add(stage, Cost { seconds, up, down });
        Ok(answer)
    }

    /// Takes the neighbours' shares, and masks its vector: R2.
    pub(crate) fn mask(
        &mut self,
        directive: &[u8],
        plan: &VectorPlan,
        input: &Input,
    ) -> Result<MaskedVector> {
        let (masks, agreeing) = timed(|| self.masks(directive));
        let (vector, encoding) = timed(|| input.encode(plan));
        let (masks, mut bytes) = (masks?, vector?);
        let (masked, seconds) = timed(|| {
            let masks = masks.iter().map(Mask::prepare).collect::<Result<Vec<PreparedMask>, _>>()?;
            KeystreamBuffer::new().apply(plan.modulus(), &masks, 0, &mut bytes)
        });
        masked?;
        let (up, down) = (bytes.len() as u64, directive.len() as u64);
        self.costs.add(Stage::MaskedInput, Cost { seconds: agreeing + encoding + seconds, up, down });
        Ok(MaskedVector { bytes, masks: masks.len(), seconds })
    }

    fn masks(&mut self, directive: &[u8]) -> Result<Vec<Mask>> {
        match self.session.handle(wire::read_directive(directive)?, &mut self.entropy)? {
            Reply::Mask => Ok(self.session.masks()?),
            other => bail!("expected to mask, found {other:?}"),
        }
    }
}
