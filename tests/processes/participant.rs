//! A participant as a process of its own, for tests that kill it: takes part with the bundle that is named, says when it
//! trains, and never ends its training.

use std::{env, error::Error, path::Path};

use federated_client::FederatedClient;
use federated_tests::{AddConstant, Client, TRAINS};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bundle = env::args_os().nth(1).ok_or("expected the folder of a bundle, found no argument")?;
    let (trainer, mut gate) = AddConstant::gated(100.0, 1);
    let client =
        FederatedClient::builder().config(Client::config(Path::new(&bundle))).trainer(trainer).build()?;
    let running = tokio::spawn(client.run());
    gate.begun().await;
    println!("{TRAINS}");
    Ok(running.await??)
}
