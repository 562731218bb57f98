//! A participant, put together.

use std::{fmt, pin::Pin, sync::Arc};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{
    config::ParticipantConfig,
    event::ParticipantEvent,
    session::{Backoff, Books, ClientError, OnEvent, ResultRules, Session, SessionRules, Settings},
    signing,
    state::StateFolder,
    trainer::LocalTrainer,
    transport::SiteIdentity,
};

type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A participant: connects to the coordinator, trains what it asks for within the site's policy, and delivers the
/// updates.
///
/// # Examples
/// ```no_run
/// use federated_client::{
///     FederatedClient, config::ParticipantConfig, event::ParticipantEvent, trainer::LocalTrainer,
/// };
///
/// async fn take_part(trainer: impl LocalTrainer + 'static) -> Result<(), Box<dyn std::error::Error>> {
///     let client = FederatedClient::builder()
///         .config(ParticipantConfig::load("participant.toml")?)
///         .trainer(trainer)
///         .on_event(|event: &ParticipantEvent| tracing::info!(?event))
///         .build()?;
///     Ok(client.run().await?)
/// }
/// ```
pub struct FederatedClient {
    settings: Settings,
    shutdown: Option<Shutdown>,
}

impl FederatedClient {
    /// Puts a participant together.
    pub fn builder() -> FederatedClientBuilder {
        FederatedClientBuilder::default()
    }

    /// Takes part until the shutdown future is ready, as many jobs ended as were asked for, or the participant must
    /// stop.
    ///
    /// A coordinator that cannot be reached is tried again and again; training goes on meanwhile. When this future is
    /// dropped, everything ends; what was trained and not yet delivered is delivered by the next run with the same
    /// state folder.
    ///
    /// It must run on a Tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`ClientError`] when only a person can help: the certificate was refused, the coordinator is another one than
    /// expected, knows this participant by another name or not at all, or speaks another version.
    pub async fn run(self) -> Result<(), ClientError> {
        let session = Session::start(self.settings)?;
        match self.shutdown {
            Some(shutdown) => session.run(shutdown).await,
            None => session.run(std::future::pending()).await,
        }
    }
}

impl fmt::Debug for FederatedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FederatedClient")
            .field("identity", &self.settings.identity)
            .field("coordinator", &self.settings.coordinator)
            .finish_non_exhaustive()
    }
}

/// Puts a [`FederatedClient`] together: configuration and trainer are needed, the rest has defaults.
#[derive(Default)]
#[must_use]
pub struct FederatedClientBuilder {
    config: Option<ParticipantConfig>,
    trainer: Option<Box<dyn LocalTrainer>>,
    on_event: Option<OnEvent>,
    shutdown: Option<Shutdown>,
    stop_after_jobs: Option<u32>,
    keep_final_model: bool,
    backoff: Backoff,
}

impl FederatedClientBuilder {
    /// Who this participant is, where the coordinator is, and what the site agrees to. Needed.
    pub fn config(mut self, config: ParticipantConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// What does the local work. Needed.
    pub fn trainer(mut self, trainer: impl LocalTrainer + 'static) -> Self {
        self.trainer = Some(Box::new(trainer));
        self
    }

    /// What is told of events. It is called between two steps of the session, so it must not block.
    pub fn on_event(mut self, on_event: impl FnMut(&ParticipantEvent) + Send + 'static) -> Self {
        self.on_event = Some(Box::new(on_event));
        self
    }

    /// Ends [`FederatedClient::run`] in good order once the future is ready. Without it, `run` ends when its future is
    /// dropped.
    pub fn shutdown(mut self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(Box::pin(shutdown));
        self
    }

    /// Ends [`FederatedClient::run`] after this many jobs have ended.
    pub fn stop_after_jobs(mut self, jobs: u32) -> Self {
        self.stop_after_jobs = Some(jobs);
        self
    }

    /// Whether to fetch the newest model of a job that ended: for the event, and as `final/JOB.safetensors` in the
    /// state folder. Off by default.
    pub const fn keep_final_model(mut self, keep: bool) -> Self {
        self.keep_final_model = keep;
        self
    }

    /// How long to wait between attempts to connect.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Reads the files of the `[tls]` table, checks that the certificate is this participant's, and locks the state
    /// folder.
    ///
    /// # Errors
    /// [`ClientError`] saying what is missing or wrong, and what to do.
    pub fn build(self) -> Result<FederatedClient, ClientError> {
        let missing = |missing, call| ClientError::Incomplete { missing, call };
        let config = self.config.ok_or_else(|| missing("a configuration", ".config(..)"))?;
        let trainer = self.trainer.ok_or_else(|| missing("a trainer", ".trainer(..)"))?;
        let site = config.secure_aggregation.as_ref();
        let site = site.map(|files| signing::load_site(files, &config.name)).transpose()?.map(Arc::new);
        let books = Books::open(config.privacy.as_ref(), &config.name)?;
        let results = ResultRules {
            name: config.name.clone(),
            key: config.secure_aggregation.as_ref().and_then(|secure| secure.coordinator_key),
            required: config.secure_aggregation.as_ref().is_some_and(|secure| secure.require_signed_result),
        };
        let settings = Settings {
            results,
            books,
            secure: (site, ChaCha20Rng::from_seed(*signing::random()?)),
            identity: SiteIdentity::load(&config.tls, &config.name)?,
            state: StateFolder::open(&config.state)?,
            coordinator: config.coordinator,
            trainer,
            rules: SessionRules {
                policy: config.policy,
                keep_final_model: self.keep_final_model,
                stop_after_jobs: self.stop_after_jobs,
            },
            backoff: self.backoff,
            on_event: self.on_event.unwrap_or_else(|| Box::new(|_| {})),
        };
        Ok(FederatedClient { settings, shutdown: self.shutdown })
    }
}

impl fmt::Debug for FederatedClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FederatedClientBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
