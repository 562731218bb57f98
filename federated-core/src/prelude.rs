//! The names that most users need.

pub use crate::{
    config::JobConfig,
    fault::{Fault, ReasonCode},
    ids::{Digest, JobName, ParticipantName, RoundNumber, TaskId},
    metrics::Metrics,
    model::{ModelLayout, ModelParameters, TensorSpec},
    strategy::{BatchSize, LocalWork, Strategy},
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};
