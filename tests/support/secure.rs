use std::{fs, path::Path, sync::Arc};

use federated_client::{
    config::{ParticipantConfig, SecureFiles},
    signing,
};

use federated_core::{
    ids::ParticipantName,
    metrics::Metrics,
    privacy::secagg::{
        Mask, ParticipantMessage, ParticipantProtocol as _, ParticipantSession, PinnedRoster, PreparedMask,
        Reply, RoundingSeed, Site, VerifyingPublic, apply, participant::AdvertisedKeys,
    },
    task::TrainTask,
    update::ExampleCount,
};
use federated_proto::v1;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tonic::Status;

use crate::{Attendance, Client, ClientTls, Federation, RawParticipant, Update};

/// Participants that have agreed on each other's long-lived keys, as the members of a federation do before it begins.
#[derive(Debug)]
pub struct Signatories {
    members: Vec<(ParticipantName, VerifyingPublic, ParticipantConfig)>,
}

impl Signatories {
    /// Enrolls them, makes a key for each, and gives each the roster of all.
    ///
    /// # Panics
    /// When a file cannot be written.
    #[must_use]
    pub fn enroll(federation: &Federation, names: &[&str]) -> Self {
        let member = |name: &&str| {
            let folder = federation.enroll(name);
            let files = files(&folder);
            let public = signing::make_key(&files.signing_key).expect("a key");
            let mut config = Client::config(&folder);
            config.secure_aggregation = Some(files);
            (name.parse().expect("a name"), public, config)
        };
        let signatories = Self { members: names.iter().map(member).collect() };
        for (_, _, config) in &signatories.members {
            let files = config.secure_aggregation.as_ref().expect("set above");
            fs::write(&files.pinned_roster, signatories.roster()).expect("a roster");
        }
        signatories
    }

    /// Everyone's line of the roster.
    #[must_use]
    pub fn roster(&self) -> String {
        self.members.iter().map(|(name, public, _)| format!("{name} {public}\n")).collect()
    }

    /// The lines of a job file's table `[privacy.secure_aggregation.roster]`.
    #[must_use]
    pub fn roster_toml(&self) -> String {
        self.members.iter().map(|(name, public, _)| format!("{name} = \"{public}\"\n")).collect()
    }

    /// A member's configuration.
    ///
    /// # Panics
    /// When there is no such member.
    #[must_use]
    pub fn config(&self, name: &str) -> ParticipantConfig {
        let member = self.members.iter().find(|(member, ..)| member.as_str() == name);
        member.expect("a member of this name").2.clone()
    }
}

fn files(folder: &Path) -> SecureFiles {
    SecureFiles {
        signing_key: folder.join("signing.key"),
        pinned_roster: folder.join("roster"),
        min_cohort: 3,
        min_threshold: 2,
        coordinator_key: None,
        require_signed_result: false,
    }
}

/// A participant made of bare calls that takes part in secure aggregation, and lets a test change what it says.
#[derive(Debug)]
pub struct SecureSite {
    /// For calls.
    pub raw: RawParticipant,
    /// Its open Attend stream.
    pub line: Attendance,
    site: Arc<Site>,
    tls: ClientTls,
    entropy: ChaCha20Rng,
    open: Option<(v1::TrainTask, ParticipantSession)>,
    masks: Vec<PreparedMask>,
}

impl SecureSite {
    /// Connects as this member and attends.
    ///
    /// # Panics
    /// When the coordinator refuses.
    pub async fn join(federation: &Federation, signatories: &Signatories, name: &str) -> Self {
        let config = signatories.config(name);
        let folder = config.tls.ca.parent().expect("a bundle's folder");
        let tls = ClientTls::from_bundle(folder);
        let mut raw = RawParticipant::connect(federation.address(), &tls).await;
        let line = raw.attend().await;
        let files = config.secure_aggregation.expect("a member's configuration");
        let roster: PinnedRoster = signatories.roster().parse().expect("a roster");
        let signing = signing::load_key(&files.signing_key).expect("a key");
        let site = Site { name: config.name, signing, roster, min_cohort: 3, min_threshold: 2 };
        let entropy = ChaCha20Rng::seed_from_u64(u64::from(name.as_bytes()[0]));
        Self { raw, line, site: Arc::new(site), tls, entropy, open: None, masks: Vec::new() }
    }

    /// Connects again after the coordinator was started anew, with its session as it was.
    pub async fn reconnect(&mut self, federation: &Federation) {
        self.raw = RawParticipant::connect(federation.address(), &self.tls).await;
        self.line = self.raw.attend().await;
    }

    /// Waits for the next task; with what it has to say first.
    ///
    /// # Panics
    /// When the task has no secure aggregation.
    pub async fn begin(&mut self) -> ParticipantMessage {
        let wire = self.line.task().await;
        let task = TrainTask::try_from(wire.clone()).expect("a task");
        let header = task.header().expect("a task with secure aggregation");
        let begun = AdvertisedKeys::begin(Arc::clone(&self.site), header, &mut self.entropy);
        let message = ParticipantMessage::AdvertiseKeys(begun.1.clone());
        self.open = Some((wire, ParticipantSession::new(begun)));
        message
    }

    /// Says something in its session.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn say(&mut self, message: &ParticipantMessage) -> Result<(), Status> {
        let task = self.task().id.clone();
        self.raw.answer(v1::AnswerSessionRequest { task, message: Some(message.into()) }).await
    }

    /// Waits for the next stage; with what it has to say then. Before it uploads its update it says nothing.
    ///
    /// # Panics
    /// When it would leave the session.
    pub async fn next(&mut self) -> Option<ParticipantMessage> {
        let told = self.line.told().await.message.expect("a message");
        let (_, session) = self.open.as_mut().expect("a session");
        match session.handle(told.try_into().expect("a message"), &mut self.entropy).expect("no lie") {
            Reply::Send(message) => Some(message),
            Reply::RecordAndSend(signed) => Some(ParticipantMessage::Consistency(signed)),
            Reply::Mask => {
                let masks = session.masks().expect("the masks");
                self.masks = masks.iter().map(|mask| Mask::prepare(mask).expect("a key")).collect();
                None
            }
            _ => None,
        }
    }

    /// The task that it is at.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn task(&self) -> &v1::TrainTask {
        &self.open.as_ref().expect("a task").0
    }

    /// The vector of its update, in which every value is `value`, without masks.
    ///
    /// # Panics
    /// When it has too many examples.
    #[must_use]
    pub fn vector(&self, value: f32, examples: u64) -> Vec<u8> {
        let task = TrainTask::try_from(self.task().clone()).expect("a task");
        let plan = task.secure.as_ref().expect("secure aggregation").terms.vector().clone();
        let values = vec![value; usize::try_from(task.layout.elements()).expect("a small model")];
        let mut metrics = Metrics::new();
        metrics.insert("loss", f64::from(value)).expect("a metric");
        let (examples, rounding) =
            (ExampleCount::new(examples).expect("examples"), RoundingSeed::from_task(task.seed));
        let encoder = plan.encoder(examples, &metrics, &values, &rounding).expect("few examples");
        let mut bytes =
            vec![0; usize::try_from(plan.byte_len(task.layout.elements())).expect("a small model")];
        encoder.write(0, &mut bytes).expect("a whole vector");
        bytes
    }

    /// Its masked update, in which every value is `value`.
    ///
    /// # Panics
    /// When it has too many examples.
    #[must_use]
    pub fn update(&self, value: f32, examples: u64) -> Update {
        let task = TrainTask::try_from(self.task().clone()).expect("a task");
        let modulus = task.secure.as_ref().expect("secure aggregation").terms.vector().modulus();
        let mut bytes = self.vector(value, examples);
        apply(modulus, &self.masks, 0, &mut bytes).expect("whole elements");
        let mut update = Update::constant(self.task(), value, 1).with_bytes(bytes);
        update.header.masked = Some(v1::MaskedInput {});
        update.header.examples = 0;
        update.header.metrics.clear();
        update
    }

    /// Does what it should until its update is at the coordinator.
    ///
    /// # Panics
    /// When the coordinator refuses.
    pub async fn contribute(&mut self, value: f32, examples: u64) {
        let keys = self.begin().await;
        self.say(&keys).await.expect("keys are welcome");
        let shares = self.next().await.expect("shares");
        self.say(&shares).await.expect("shares are welcome");
        assert_eq!(self.next().await, None);
        let update = self.update(value, examples);
        self.raw.submit(&update).await.expect("a receipt");
    }

    /// Waits for the next stage and answers it.
    ///
    /// # Panics
    /// When there is nothing to say, or the coordinator refuses.
    pub async fn go_on(&mut self) {
        let message = self.next().await.expect("something to say");
        self.say(&message).await.expect("it is welcome");
    }
}
