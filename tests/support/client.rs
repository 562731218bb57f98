use std::{path::Path, time::Duration};

use federated_client::{
    Backoff, ClientError, FederatedClient, config::ParticipantConfig, event::ParticipantEvent,
    trainer::LocalTrainer,
};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        oneshot,
    },
    task::JoinHandle,
};

use crate::within;

/// A participant of the library that runs beside the test. Dropping it ends it as a crash would.
#[derive(Debug)]
pub struct Client {
    events: UnboundedReceiver<ParticipantEvent>,
    stop: oneshot::Sender<()>,
    running: Running,
}

#[derive(Debug)]
struct Running(JoinHandle<Result<(), ClientError>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// The configuration in the bundle that lies in `folder`.
    ///
    /// # Panics
    /// When it cannot be used.
    #[must_use]
    pub fn config(folder: &Path) -> ParticipantConfig {
        ParticipantConfig::load(folder.join("participant.toml")).expect("a bundle's configuration")
    }

    /// Starts the participant whose bundle lies in `folder`; it ends after one job.
    #[must_use]
    pub fn start(folder: &Path, trainer: impl LocalTrainer + 'static) -> Self {
        Self::start_with(Self::config(folder), trainer)
    }

    /// The same with another configuration than the bundle's.
    ///
    /// # Panics
    /// When there is no such participant.
    #[must_use]
    pub fn start_with(config: ParticipantConfig, trainer: impl LocalTrainer + 'static) -> Self {
        let (report, events) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let client = FederatedClient::builder()
            .config(config)
            .trainer(trainer)
            .on_event(move |event: &ParticipantEvent| drop(report.send(event.clone())))
            .stop_after_jobs(1)
            .backoff(Backoff { min: Duration::from_millis(10), max: Duration::from_millis(50) })
            .shutdown(async {
                // A sender that is dropped asks for nothing.
                if stopped.await.is_err() {
                    std::future::pending().await
                }
            });
        let client = client.build().expect("a participant");
        Self { events, stop, running: Running(tokio::spawn(client.run())) }
    }

    /// Waits for an event that is `wanted`; others before it are left out.
    ///
    /// # Panics
    /// When it does not come; the message shows what came.
    pub async fn event<T>(&mut self, what: &str, wanted: impl Fn(&ParticipantEvent) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let wait = async {
            while let Some(event) = self.events.recv().await {
                if let Some(found) = wanted(&event) {
                    return Some(found);
                }
                seen.push(event);
            }
            None
        };
        match tokio::time::timeout(crate::PATIENCE, wait).await {
            Ok(Some(found)) => found,
            _ => panic!("{what} did not come, only {seen:#?}"),
        }
    }

    /// Waits until the coordinator has accepted this participant.
    pub async fn connected(&mut self) {
        let connected = |event: &ParticipantEvent| matches!(event, ParticipantEvent::Connected { .. });
        self.event("the connection", |event| connected(event).then_some(())).await;
    }

    /// Waits until the connection is gone, and says why.
    pub async fn disconnected(&mut self) -> String {
        self.event("the end of the connection", |event| match event {
            ParticipantEvent::Disconnected { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the end of the participant.
    ///
    /// # Errors
    /// Why it stopped.
    pub async fn ended(mut self) -> Result<(), ClientError> {
        within("the participant to end", &mut self.running.0).await.expect("no panic")
    }

    /// Asks the participant to stop, and waits until it has.
    ///
    /// # Errors
    /// Why it stopped.
    pub async fn stop(mut self) -> Result<(), ClientError> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        within("the participant to stop", &mut self.running.0).await.expect("no panic")
    }
}
