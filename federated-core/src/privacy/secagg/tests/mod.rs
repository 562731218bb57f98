//! Whole sessions, without a network: who drops out when, and what the coordinator can read then.

mod dropouts;
mod groups;
mod refusals;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use zeroize::Zeroizing;

use super::{
    CoordinatorMessage, CoordinatorProtocol as _, CoordinatorSession, Fraction, Header, KeystreamBuffer,
    Mask, MessageAdmission, Modulus, ParticipantError, ParticipantMessage, ParticipantProtocol as _,
    ParticipantSession, PinnedRoster, PreparedMask, Reply, SessionError, SigningSecret, Site, Stage, Terms,
    UnmaskError, VectorPlan, add, participant::AdvertisedKeys,
};
use crate::{
    ids::{Digest, Fingerprint, ParticipantName, RoundNumber, TaskId},
    update::ExampleCount,
};

const STAGES: [Stage; 5] =
    [Stage::AdvertiseKeys, Stage::ShareKeys, Stage::MaskedInput, Stage::Consistency, Stage::Unmask];
const MODULUS: Modulus = Modulus::B32;
const ELEMENTS: usize = 5;

fn name(index: usize) -> ParticipantName {
    format!("site-{index:04}").parse().unwrap()
}

fn signing(index: usize) -> SigningSecret {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&index.to_le_bytes());
    SigningSecret::from_seed(Zeroizing::new(seed))
}

fn roster(participants: usize) -> PinnedRoster {
    (0..participants).map(|index| (name(index), signing(index).public())).collect()
}

fn header(participants: u32, min_cohort: u32, gamma: f64, delta: f64) -> Header {
    let fraction = |value| Fraction::try_from(value).unwrap();
    let examples = ExampleCount::new(1_000).unwrap();
    let vector = VectorPlan::new(MODULUS, 1.0, examples, participants, BTreeMap::new()).unwrap();
    let cohort = (min_cohort, participants);
    Header {
        task: TaskId { job: "heart".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 },
        model: Digest::of(b"model"),
        training: Fingerprint::of(b"training"),
        terms: Terms::new(fraction(gamma), fraction(delta), cohort, None, vector).unwrap(),
        deadline: Duration::from_secs(60),
    }
}

/// What participant number `index` has: different in every element and for everyone.
fn input(index: usize) -> Vec<u8> {
    let element = |place: usize| u32::try_from(index * 1_000 + place + 1).unwrap().to_le_bytes();
    (0..ELEMENTS).flat_map(element).collect()
}

fn sum(indices: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut sum = vec![0; ELEMENTS * MODULUS.bytes()];
    indices.into_iter().for_each(|index| add(MODULUS, &mut sum, &input(index)).unwrap());
    sum
}

fn apply(masks: &[Mask], bytes: &mut [u8]) {
    let masks: Vec<PreparedMask> = masks.iter().map(|mask| mask.prepare().unwrap()).collect();
    KeystreamBuffer::new().apply(MODULUS, &masks, 0, bytes).unwrap();
}

/// Why a session gave no sum.
#[derive(Debug)]
#[expect(dead_code, reason = "a test that fails shows them")]
enum Failure {
    Coordinator(SessionError),
    Participant(ParticipantError),
    Unmask(UnmaskError),
}

/// One session, with everyone in it.
#[derive(Clone)]
struct Bench {
    header: Header,
    roster: PinnedRoster,
    entropy: ChaCha20Rng,
    coordinator: CoordinatorSession,
    participants: Vec<Option<ParticipantSession>>,
    /// What was said in answer to the last message, and not delivered.
    pending: BTreeMap<usize, ParticipantMessage>,
    masked: BTreeMap<usize, Vec<u8>>,
}

impl Bench {
    fn new(header: Header, participants: usize, seed: u64) -> Self {
        let mut entropy = ChaCha20Rng::seed_from_u64(seed);
        let roster = roster(participants);
        let (mut sessions, mut pending) = (Vec::new(), BTreeMap::new());
        for index in 0..participants {
            let site = Site {
                name: name(index),
                signing: signing(index),
                roster: roster.clone(),
                min_cohort: 3,
                min_threshold: 2,
            };
            let begun = AdvertisedKeys::begin(Arc::new(site), header.clone(), &mut entropy);
            pending.insert(index, ParticipantMessage::AdvertiseKeys(begun.1.clone()));
            sessions.push(Some(ParticipantSession::new(begun)));
        }
        let coordinator = CoordinatorSession::new(header.clone());
        let participants = sessions;
        Self { header, roster, entropy, coordinator, participants, pending, masked: BTreeMap::new() }
    }

    fn drop_out(&mut self, index: usize) {
        self.participants[index] = None;
        self.pending.remove(&index);
    }

    /// Delivers what participants have said.
    fn deliver(&mut self) -> Result<(), SessionError> {
        for (index, message) in std::mem::take(&mut self.pending) {
            let admitted = self.coordinator.admit(&name(index), &message, Some(&self.roster))?;
            assert_eq!(admitted, MessageAdmission::Welcome);
            self.coordinator.receive(&name(index), message.clone());
            let again = self.coordinator.admit(&name(index), &message, Some(&self.roster))?;
            assert_eq!(again, MessageAdmission::Duplicate);
        }
        Ok(())
    }

    /// Ends the stage; those who are left are told what follows, and answer.
    fn close(&mut self) -> Result<(), Failure> {
        let survivors: BTreeSet<ParticipantName> = self.masked.keys().map(|index| name(*index)).collect();
        let next = self.coordinator.clone().close(&survivors).map_err(Failure::Coordinator)?;
        self.coordinator = next;
        for index in 0..self.participants.len() {
            for message in self.coordinator.messages(&name(index)) {
                self.tell(index, message).map_err(Failure::Participant)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, index: usize, message: CoordinatorMessage) -> Result<(), ParticipantError> {
        let Some(session) = &mut self.participants[index] else { return Ok(()) };
        match session.handle(message, &mut self.entropy)? {
            Reply::Send(message) => drop(self.pending.insert(index, message)),
            Reply::RecordAndSend(signed) => {
                self.pending.insert(index, ParticipantMessage::Consistency(signed));
            }
            Reply::Mask => {
                let mut vector = input(index);
                apply(&session.masks()?, &mut vector);
                assert_ne!(vector, input(index));
                self.masked.insert(index, vector);
            }
            Reply::Nothing => {}
        }
        Ok(())
    }

    /// Takes the masks off the sum of the survivors' vectors.
    fn unmask(&self) -> Result<Vec<u8>, Failure> {
        let unmasking = self.coordinator.unmasking().map_err(Failure::Unmask)?;
        assert!(unmasking.liars.is_empty());
        let mut sum = vec![0; ELEMENTS * MODULUS.bytes()];
        self.masked.values().for_each(|vector| add(MODULUS, &mut sum, vector).unwrap());
        apply(&unmasking.masks, &mut sum);
        Ok(sum)
    }

    /// Those who drop out before answering this stage are gone; the others answer, and the stage ends.
    fn stage(&mut self, stage: Stage, gone: impl IntoIterator<Item = usize>) -> Result<(), Failure> {
        for index in gone {
            self.drop_out(index);
            if stage == Stage::MaskedInput {
                self.masked.remove(&index);
            }
        }
        self.deliver().map_err(Failure::Coordinator)?;
        if stage == Stage::Unmask { Ok(()) } else { self.close() }
    }

    /// The whole session; everyone drops out before answering the stage given, if one is.
    fn run(mut self, dropouts: &BTreeMap<usize, Stage>) -> Result<Vec<u8>, Failure> {
        for stage in STAGES {
            let gone = dropouts.iter().filter(|(_, at)| **at == stage).map(|(index, _)| *index);
            self.stage(stage, gone)?;
        }
        self.unmask()
    }
}

/// Whose vectors are in the sum: those who do not drop out before they are sent.
fn survivors(participants: usize, dropouts: &BTreeMap<usize, Stage>) -> BTreeSet<usize> {
    let stays = |index: &usize| dropouts.get(index).is_none_or(|at| *at > Stage::MaskedInput);
    (0..participants).filter(stays).collect()
}
