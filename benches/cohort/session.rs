use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result};
use federated_core::{
    ids::{Digest, Fingerprint, ParticipantName, RoundNumber, TaskId},
    privacy::secagg::{Header, PinnedRoster, SigningSecret, Site, Stage, Terms, add},
};

use crate::{
    cli::Options,
    coordinator::{Coordinator, Unmasked},
    costs::{Beside, Costs},
    floor::Floor,
    input::Input,
    participant::Participant,
};

/// How many participants' masks are measured beside their floor, spread over the cohort.
const FLOORS: u32 = 50;

/// What a session came to.
pub(crate) struct Outcome {
    /// Everyone's, also of those who dropped out.
    pub(crate) costs: Vec<Costs>,
    /// The masks of one participant.
    pub(crate) masking: Beside,
    /// The coordinator's, by stage.
    pub(crate) coordinator: BTreeMap<Stage, f64>,
    pub(crate) unmasked: Unmasked,
    /// Whether the sum is that of the inputs.
    pub(crate) ok: bool,
    pub(crate) vector_bytes: usize,
}

/// Everyone in one session, and how far it is.
struct Session<'a> {
    options: &'a Options,
    terms: Terms,
    names: Vec<ParticipantName>,
    coordinator: Coordinator,
    participants: Vec<Participant>,
    floor: Floor,
    masking: Beside,
    /// The sum of the vectors as they were before masks came over them.
    plain: Vec<u8>,
}

/// A whole session, from keys to the sum.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let mut session = Session::begin(options)?;
    session.answers(Stage::ShareKeys)?;
    session.vectors()?;
    session.answers(Stage::Consistency)?;
    session.answers(Stage::Unmask)?;
    let Session { coordinator, participants, floor, masking, plain, .. } = &mut session;
    let unmasked = coordinator.unmask(floor)?;
    Ok(Outcome {
        costs: participants.iter().map(|participant| participant.costs.clone()).collect(),
        masking: std::mem::take(masking),
        coordinator: std::mem::take(&mut coordinator.seconds),
        ok: unmasked.sum == *plain,
        unmasked,
        vector_bytes: plain.len(),
    })
}

impl<'a> Session<'a> {
    /// Everyone makes keys: R0.
    fn begin(options: &'a Options) -> Result<Self> {
        let terms = options.terms()?;
        let vector_bytes = usize::try_from(terms.vector().byte_len(options.params.get().into()))?;
        let header = Header {
            task: TaskId { job: "cohort".parse()?, round: RoundNumber::FIRST, attempt: 1 },
            model: Digest::of(b"model"),
            training: Fingerprint::of(b"training"),
            terms: terms.clone(),
            deadline: Duration::from_secs(3_600),
        };
        let clients = options.clients.get();
        let names =
            (0..clients).map(|index| Ok(format!("site-{index:06}").parse()?)).collect::<Result<Vec<_>>>()?;
        let signing = |index: usize| signing(options.seed, index);
        let roster: PinnedRoster =
            names.iter().cloned().enumerate().map(|(index, name)| (name, signing(index).public())).collect();
        let mut coordinator = Coordinator::new(header.clone(), roster.clone(), vector_bytes);
        let mut participants = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let (signing, roster) = (signing(index), roster.clone());
            let site = Site { name: name.clone(), signing, roster, min_cohort: 3, min_threshold: 2 };
            let seed = options.seed.wrapping_mul(1 << 32).wrapping_add(index as u64);
            let (participant, answer) = Participant::begin(site, &header, seed);
            coordinator.hear(name, &answer)?;
            participants.push(participant);
        }
        coordinator.close(&BTreeSet::new())?;
        let (floor, plain) = (Floor::new(vector_bytes)?, vec![0; vector_bytes]);
        let masking = Beside::default();
        Ok(Self { options, terms, names, coordinator, participants, floor, masking, plain })
    }

    /// Whether a participant is still there in this stage.
    fn stays(&self, stage: Stage, index: usize) -> Result<bool> {
        Ok(stage < Stage::MaskedInput || !self.options.drops_out(u32::try_from(index)?))
    }

    /// Everyone who is there is told of a stage, and answers: R1, R3 and R4.
    fn answers(&mut self, stage: Stage) -> Result<()> {
        for index in 0..self.names.len() {
            if self.stays(stage, index)? {
                let (name, participant) = (&self.names[index], &mut self.participants[index]);
                let directive = self.coordinator.tell(name)?;
                let answer = participant.answer(stage, &directive).with_context(|| name.to_string())?;
                self.coordinator.hear(name, &answer)?;
            }
        }
        if stage == Stage::Unmask { Ok(()) } else { self.coordinator.close(&BTreeSet::new()) }
    }

    /// Everyone who is there masks its vector, which is added to the sum: R2.
    fn vectors(&mut self) -> Result<()> {
        let mut survivors = BTreeSet::new();
        let apart = (self.options.clients.get() / FLOORS).max(1);
        for index in 0..self.names.len() {
            if !self.stays(Stage::MaskedInput, index)? {
                continue;
            }
            let (name, participant, plan) =
                (&self.names[index], &mut self.participants[index], self.terms.vector());
            let input = Input::of(u32::try_from(index)?, self.options.params.get())?;
            add(plan.modulus(), &mut self.plain, &input.encode(plan)?)?;
            let directive = self.coordinator.tell(name)?;
            let vector = participant.mask(&directive, plan, &input).with_context(|| name.to_string())?;
            self.coordinator.add(&vector.bytes)?;
            self.masking.keystream = vector.masks as u64 * vector.bytes.len() as u64;
            self.masking.work.push(vector.seconds);
            if u32::try_from(survivors.len())?.is_multiple_of(apart) {
                self.masking.floor.push(self.floor.seconds(vector.masks)?);
            }
            survivors.insert(name.clone());
        }
        self.coordinator.close(&survivors)
    }
}

/// A participant's long-lived key.
fn signing(seed: u64, index: usize) -> SigningSecret {
    SigningSecret::from_seed(
        Fingerprint::of(format!("{seed} {index}").as_bytes()).as_bytes().to_owned().into(),
    )
}
