use anyhow::{Context, Result};
use tokio::time::timeout;

use crate::{cli::Options, federation, floor, measure::load_average, report::Line};

/// Runs once what was asked for.
pub(crate) async fn run(options: &Options) -> Result<Line> {
    let load = load_average();
    if options.floor {
        return Ok(Line::of_floor(options, load, &floor(options).await?));
    }
    let federated = timeout(options.timeout(), federation::run(options));
    let federated = federated.await.context("the federation took longer than --timeout")??;
    let line = Line::of_federation(options, load, &federated);
    if options.with_floor { Ok(line.beside(&floor(options).await?)) } else { Ok(line) }
}

async fn floor(options: &Options) -> Result<floor::Floor> {
    timeout(options.timeout(), floor::run(options)).await.context("the floor took longer than --timeout")?
}
