//! A coordinator inside the same application: it embeds in the same way.

use std::{path::Path, time::SystemTime};

use anyhow::Context;
use federated_core::{
    ids::{JobName, ParticipantName},
    model::{ModelLayout, ModelParameters, TensorSpec},
};
use federated_server::{
    FederatedServer,
    config::{CoordinatorAddress, OperatorConfig},
    identity::setup::{self, EnrollOptions, InitOptions},
    operator::OperatorClient,
};

const JOB: &str = r#"
name = "length-of-stay"
rounds = 3
[model]
initial = "zeros.safetensors"
[strategy]
kind = "fedavg"
local_epochs = 100
learning_rate = 0.025
[cohort]
min_participants = 2
"#;

/// Starts a coordinator on a free port of this machine and enrols the participants; their bundles are in `dir`.
pub async fn start(dir: &Path, participants: &[ParticipantName]) -> anyhow::Result<OperatorConfig> {
    let home = dir.join("coordinator");
    let mut config = setup::init(&InitOptions::new(&home), SystemTime::now())?;
    config.listen.set_port(0);
    let server = FederatedServer::builder().config(config.clone()).build().await?;
    let address = CoordinatorAddress::local(server.local_addr()?.port());
    for name in participants {
        let mut options = EnrollOptions::new(&home, name.clone());
        options.out = Some(dir.join(name.as_str()));
        options.address = Some(address.clone());
        setup::enroll(&options, SystemTime::now())?;
    }
    tokio::spawn(server.run());
    Ok(OperatorConfig { address, ..config.operator })
}

/// Starts the job, with a model of zeros.
pub async fn start_job(operator: &OperatorConfig) -> anyhow::Result<JobName> {
    let layout = ModelLayout::new(vec![TensorSpec::new("weight", [1]), TensorSpec::new("bias", [1])])?;
    let mut client = OperatorClient::connect(operator).await.context("the coordinator was just started")?;
    Ok(client.start(JOB, &ModelParameters::zeros(layout)?).await?)
}
