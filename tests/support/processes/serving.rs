use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;
use clap::Args;
use federated_server::config::{ChunkSize, CoordinatorConfig, JournalConfig, LogFormat};

/// How long a coordinator that was killed holds up the next one on the same database, in milliseconds.
const LEASE: u64 = 500;

/// How a coordinator's process serves.
#[derive(Clone, Debug, Args)]
pub struct Serving {
    /// Bytes of content in a message.
    #[arg(long, default_value_t = ChunkSize::DEFAULT.bytes(), value_name = "BYTES", value_parser = chunk_bytes)]
    chunk: usize,
    /// The database with its journal; a file in its folder when absent.
    #[arg(long, value_name = "URL")]
    journal: Option<String>,
    /// How long it holds up the next one on the same database when it is killed.
    #[arg(long, default_value_t = LEASE, value_name = "MILLISECONDS")]
    lease_ms: u64,
    /// How many files it may have open, connections among them; as many as this process when absent.
    #[arg(skip)]
    open_files: Option<u32>,
}

impl Default for Serving {
    fn default() -> Self {
        Self { chunk: ChunkSize::DEFAULT.bytes(), journal: None, lease_ms: LEASE, open_files: None }
    }
}

impl Serving {
    /// The same with so much content in a message.
    #[must_use]
    pub fn chunk(self, chunk: ChunkSize) -> Self {
        Self { chunk: chunk.bytes(), ..self }
    }

    /// The same with the journal in this database; in a file when there is none.
    #[must_use]
    pub fn journal(self, url: Option<String>) -> Self {
        Self { journal: url, ..self }
    }

    /// The same with a lease of this length.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    /// The same with at most so many open files, connections among them.
    #[must_use]
    pub fn open_files(self, most: u32) -> Self {
        Self { open_files: Some(most), ..self }
    }

    pub(super) const fn most_files(&self) -> Option<u32> {
        self.open_files
    }

    /// The arguments that this value is parsed from.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--chunk".to_owned(), self.chunk.to_string()];
        arguments.extend(["--lease-ms".to_owned(), self.lease_ms.to_string()]);
        arguments.extend(self.journal.iter().flat_map(|url| ["--journal".to_owned(), url.clone()]));
        arguments
    }

    /// The configuration of a coordinator's process: the one place where it is made.
    pub(super) fn config(&self, folder: &Path, listen: SocketAddr) -> Result<CoordinatorConfig> {
        let mut config = CoordinatorConfig::in_dir(folder)?;
        config.listen = listen;
        config.limits.chunk = ChunkSize::new(self.chunk).unwrap_or(ChunkSize::DEFAULT);
        config.log.format = LogFormat::Json;
        if let Some(url) = &self.journal {
            config.journal = JournalConfig::parse(url, Duration::from_millis(self.lease_ms))?;
        }
        Ok(config)
    }
}

fn chunk_bytes(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().and_then(ChunkSize::new).map(ChunkSize::bytes);
    size.ok_or_else(|| format!("expected {} to {}", ChunkSize::MIN.bytes(), ChunkSize::MAX.bytes()))
}
