use std::{net::SocketAddr, path::Path};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use federated_server::config::{ChunkSize, CoordinatorConfig, LogFormat};

/// Where a coordinator keeps the state of its jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// What a coordinator uses unless it is told otherwise.
    #[default]
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// How a coordinator's process serves.
#[derive(Clone, Debug, Args)]
pub struct Serving {
    /// Bytes of content in a message.
    #[arg(long, default_value_t = ChunkSize::DEFAULT.bytes(), value_name = "BYTES", value_parser = chunk_bytes)]
    chunk: usize,
    /// Where it keeps the state of its jobs.
    #[arg(long, value_enum, default_value_t)]
    store: StoreKind,
    /// How many files it may have open, connections among them; as many as this process when absent.
    #[arg(skip)]
    open_files: Option<u32>,
}

impl Default for Serving {
    fn default() -> Self {
        Self { chunk: ChunkSize::DEFAULT.bytes(), store: StoreKind::default(), open_files: None }
    }
}

impl Serving {
    /// The same with so much content in a message.
    #[must_use]
    pub const fn chunk(self, chunk: ChunkSize) -> Self {
        Self { chunk: chunk.bytes(), ..self }
    }

    /// The same with the state in such a store.
    #[must_use]
    pub const fn store(self, store: StoreKind) -> Self {
        Self { store, ..self }
    }

    /// The same with at most so many open files, connections among them.
    #[must_use]
    pub const fn open_files(self, most: u32) -> Self {
        Self { open_files: Some(most), ..self }
    }

    pub(super) const fn most_files(&self) -> Option<u32> {
        self.open_files
    }

    /// The arguments that this value is parsed from.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--chunk".to_owned(), self.chunk.to_string()];
        if self.store != StoreKind::default() {
            let name = self.store.to_possible_value().map(|value| value.get_name().to_owned());
            arguments.extend(["--store".to_owned(), name.unwrap_or_default()]);
        }
        arguments
    }

    /// The configuration of a coordinator's process: the one place where it is made.
    pub(super) fn config(&self, folder: &Path, listen: SocketAddr) -> Result<CoordinatorConfig> {
        let mut config = CoordinatorConfig::in_dir(folder)?;
        config.listen = listen;
        config.limits.chunk = ChunkSize::new(self.chunk).unwrap_or(ChunkSize::DEFAULT);
        config.log.format = LogFormat::Json;
        self.check()?;
        Ok(config)
    }

    /// Whether there is such a coordinator.
    ///
    /// # Errors
    /// When there is not: why.
    pub fn check(&self) -> Result<()> {
        match self.store {
            StoreKind::Sqlite => Ok(()),
            StoreKind::Postgres => bail!("--store postgres: not yet; expected sqlite"),
        }
    }
}

fn chunk_bytes(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().and_then(ChunkSize::new).map(ChunkSize::bytes);
    size.ok_or_else(|| format!("expected {} to {}", ChunkSize::MIN.bytes(), ChunkSize::MAX.bytes()))
}
