//! Honest sessions of secure aggregation, to begin from at any stage: four participants, of whom three are enough.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use federated_core::{
    ids::{Digest, Fingerprint, ParticipantName},
    privacy::secagg::{
        CoordinatorMessage, CoordinatorProtocol as _, CoordinatorSession, Fraction, Header, KeystreamBuffer, Mask, Modulus,
        ParticipantMessage, ParticipantProtocol as _, ParticipantSession, PinnedRoster, PreparedMask, Reply, SigningSecret, Site,
        Stage, Terms, VectorPlan, participant::AdvertisedKeys,
    },
    update::ExampleCount,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use zeroize::Zeroizing;

/// Participants.
pub const N: usize = 4;

pub fn name(index: usize) -> ParticipantName {
    format!("site-{index}").parse().expect("a name")
}

pub fn signing(index: usize) -> SigningSecret {
    SigningSecret::from_seed(Zeroizing::new([index as u8; 32]))
}

pub fn pinned() -> PinnedRoster {
    (0..N).map(|index| (name(index), signing(index).public())).collect()
}

pub fn session_header() -> Header {
    let fraction = |millionths| Fraction::from_millionths(millionths).expect("a fraction");
    let examples = ExampleCount::new(1_000).expect("a count");
    let metrics = BTreeMap::from([("loss".to_owned(), 10.0)]);
    let vector = VectorPlan::new(Modulus::B32, 1.0, examples, N as u32, metrics).expect("a plan");
    Header {
        task: crate::task(),
        model: Digest::of(b"model"),
        training: Fingerprint::of(b"training"),
        terms: Terms::new(fraction(333_333), fraction(100_000), (3, N as u32), None, vector).expect("terms"),
        deadline: Duration::from_secs(60),
    }
}

/// What these masks add to a vector of four zeros.
pub fn keystream(masks: &[Mask]) -> Vec<u8> {
    let masks: Vec<PreparedMask> = masks.iter().map(|mask| mask.prepare().expect("a mask")).collect();
    let mut vector = vec![0; 4 * Modulus::B32.bytes()];
    KeystreamBuffer::new().apply(Modulus::B32, &masks, 0, &mut vector).expect("whole elements");
    vector
}

/// A participant whose keys are out, with the randomness that it goes on with: the same for the same index.
pub fn begun(index: usize) -> (ParticipantSession, ChaCha20Rng) {
    let mut entropy = ChaCha20Rng::seed_from_u64(index as u64);
    let (name, signing, roster) = (name(index), signing(index), pinned());
    let site = Site { name, signing, roster, min_cohort: 3, min_threshold: 2 };
    let begun = AdvertisedKeys::begin(Arc::new(site), session_header(), &mut entropy);
    (ParticipantSession::new(begun), entropy)
}

/// A session without a lie.
pub struct Honest {
    /// The coordinator at the beginning of each stage, in the stages' order.
    pub coordinator: Vec<CoordinatorSession>,
    /// What each participant is told at the beginning of each stage.
    pub told: Vec<[Option<CoordinatorMessage>; N]>,
    /// What each participant answers to that.
    pub answers: Vec<[Option<ParticipantMessage>; N]>,
    /// What takes the masks off the sum.
    pub unmasking: Vec<u8>,
}

impl Honest {
    /// A session in which everyone's vector comes in, or that of the last participant does not.
    pub fn new(drops_out: bool) -> Self {
        let mut participants: Vec<_> = (0..N).map(begun).collect();
        let mut coordinator = CoordinatorSession::new(session_header());
        let survivors: BTreeSet<ParticipantName> = (0..N - usize::from(drops_out)).map(name).collect();
        let mut honest =
            Self { coordinator: Vec::new(), told: Vec::new(), answers: Vec::new(), unmasking: Vec::new() };
        loop {
            let told = std::array::from_fn(|index| coordinator.messages(&name(index)).pop());
            let answers = std::array::from_fn(|index| {
                let (session, entropy) = &mut participants[index];
                answer(session, entropy, &told[index])
            });
            honest.coordinator.push(coordinator.clone());
            for (index, answer) in answers.iter().enumerate() {
                let Some(answer) = answer else { continue };
                coordinator.admit(&name(index), answer, Some(&pinned())).expect("an honest answer");
                coordinator.receive(&name(index), answer.clone());
            }
            honest.told.push(told);
            honest.answers.push(answers);
            if coordinator.stage() == Stage::Unmask {
                honest.unmasking = keystream(&coordinator.unmasking().expect("an honest session").masks);
                return honest;
            }
            coordinator = coordinator.close(&survivors).expect("enough have answered");
        }
    }

    /// A participant that has answered everything before this stage.
    pub fn participant(&self, index: usize, stage: usize) -> (ParticipantSession, ChaCha20Rng) {
        let (mut session, mut entropy) = begun(index);
        for told in self.told.iter().take(stage) {
            answer(&mut session, &mut entropy, &told[index]);
        }
        (session, entropy)
    }
}

/// What a participant says to what it is told. In MaskedInput it says nothing, and masks.
fn answer(
    session: &mut ParticipantSession,
    entropy: &mut ChaCha20Rng,
    told: &Option<CoordinatorMessage>,
) -> Option<ParticipantMessage> {
    // Nobody is told anything at first, nor whoever dropped out after its vector was masked: that one has nothing to say.
    let Some(told) = told else { return session.sent().cloned() };
    match session.handle(told.clone(), entropy).expect("an honest message") {
        Reply::Send(message) => Some(message),
        Reply::RecordAndSend(signed) => Some(ParticipantMessage::Consistency(signed)),
        Reply::Mask => {
            session.masks().expect("what is ready to mask");
            None
        }
        _ => None,
    }
}
