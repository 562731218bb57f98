//! A hospital's own application, an axum service. It knows its patients; the federation is one more route.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, routing::get};
use federated_client::event::ParticipantEvent;
use serde::Serialize;

/// The hospital's records and what is known of the federation. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Records {
    stays: Arc<Vec<(f32, f32)>>,
    federation: Arc<Mutex<Federation>>,
}

/// What `GET /federation` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Federation {
    /// Whether the coordinator is connected.
    connected: bool,
    /// Tasks done so far.
    tasks_done: u32,
    /// How long the last task took here, in seconds.
    seconds: Option<f64>,
    /// The federation's model: weight and bias.
    model: Option<Vec<f32>>,
}

impl Records {
    /// A hospital with these stays: age in decades, length of stay in days.
    pub fn new(stays: Vec<(f32, f32)>) -> Self {
        Self { stays: Arc::new(stays), federation: Arc::default() }
    }

    /// The stays. They are used where they are.
    pub fn stays(&self) -> &[(f32, f32)] {
        &self.stays
    }

    /// Remembers what the route shows.
    pub fn note(&self, event: &ParticipantEvent) {
        let mut federation = self.federation.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ParticipantEvent::Connected { .. } => federation.connected = true,
            ParticipantEvent::Disconnected { .. } => federation.connected = false,
            ParticipantEvent::Trained { elapsed, .. } => federation.seconds = Some(elapsed.as_secs_f64()),
            ParticipantEvent::Submitted { .. } => federation.tasks_done += 1,
            ParticipantEvent::JobEnded { model, .. } => {
                federation.model = model.as_ref().map(|model| model.values().to_vec());
            }
            _ => {}
        }
    }

    fn federation(&self) -> Federation {
        self.federation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The application's routes.
pub fn router(records: Records) -> Router {
    Router::new()
        .route(
            "/patients",
            get(|State(records): State<Records>| async move { records.stays().len().to_string() }),
        )
        .route("/federation", get(|State(records): State<Records>| async move { Json(records.federation()) }))
        .with_state(records)
}
