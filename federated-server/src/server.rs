use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use federated_core::fault::Fault;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "test-util")]
use crate::coordinator::Lie;
use crate::{
    config::{CoordinatorConfig, JournalConfig},
    coordinator::{Actor, Coordinator},
    grpc::{self, FileWork, Services, SharedChunks},
    identity::{IdentityError, Roster, load_signing_key, tls},
    store::{
        Store, StoreError,
        journal::{Journal, MetadataStore, postgres::PostgresMetadata, sqlite::SqliteMetadata},
    },
};

/// After a stop is asked for, how long open calls may still take.
const GRACE: Duration = Duration::from_secs(2);

/// Why a coordinator cannot start, or ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The builder was not told how to configure the coordinator.
    #[error("expected a configuration, found none: call `config` before `build`")]
    NoConfig,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another `listen` address or stop what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The state folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network failed while serving.
    #[error("serving ended: {source}")]
    Serve {
        /// Why.
        source: io::Error,
    },
}

impl ServerError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoConfig => Fault::Caller,
            Self::Listen { .. } | Self::Serve { .. } => Fault::Environment,
            Self::Identity(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Prepares a coordinator.
#[derive(Default)]
pub struct FederatedServerBuilder {
    config: Option<CoordinatorConfig>,
    shutdown: Option<Shutdown>,
    #[cfg(feature = "test-util")]
    lie: Option<Lie>,
}

impl std::fmt::Debug for FederatedServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FederatedServerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl FederatedServerBuilder {
    /// How to run: needed.
    #[must_use]
    pub fn config(mut self, config: CoordinatorConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// When this future is ready, the coordinator stops gracefully. Without it, it runs until it is dropped.
    #[must_use]
    pub fn shutdown(mut self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(Box::pin(shutdown));
        self
    }

    /// Makes the coordinator tell its participants other directives than it should: for tests of what they put up with.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn dangerous_lie(mut self, lie: Lie) -> Self {
        self.lie = Some(lie);
        self
    }

    /// Opens the state folder, reads back unfinished jobs and binds the address. Nothing is served yet.
    ///
    /// # Errors
    /// [`ServerError`] naming what is missing or in the way.
    pub async fn build(self) -> Result<FederatedServer, ServerError> {
        let config = self.config.ok_or(ServerError::NoConfig)?;
        let tls = tls::server_config(&config.tls, SystemTime::now())?;
        let signing = config.signing_key.as_deref().map(load_signing_key).transpose()?;
        let (store, mut actor, coordinator) = load(&config).await?;
        actor.sign_with(signing);
        #[cfg(feature = "test-util")]
        if let Some(lie) = self.lie {
            actor.lie(lie);
        }
        let address = config.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
        let roster = Arc::new(Roster::new(&config.enrolled));
        let shared = Arc::new(SharedChunks::new(&config.limits));
        let services = Services {
            coordinator,
            store,
            roster,
            limits: Arc::new(config.limits),
            shared,
            files: FileWork::new(),
        };
        Ok(FederatedServer { listener, tls, actor, services, shutdown: self.shutdown })
    }
}

/// Opens the journal, the state folder and the spool, and reads back the jobs. Waits as long as another coordinator holds
/// the lease of the journal.
async fn load(config: &CoordinatorConfig) -> Result<(Arc<Store>, Actor, Coordinator), StoreError> {
    let (store, journal) = match &config.journal {
        JournalConfig::State => {
            let store = open(config).await?;
            let journal: Box<dyn MetadataStore> = Box::new(SqliteMetadata::open(store.root()).await?);
            (store, journal)
        }
        JournalConfig::Postgres { url, lease } => {
            let holder = format!("{} (process {})", config.state.display(), std::process::id());
            let journal = PostgresMetadata::open(url.reveal(), &holder, *lease).await?;
            (open(config).await?, Box::new(journal) as Box<dyn MetadataStore>)
        }
    };
    let logs = Journal::load(journal).await?;
    let (actor, coordinator) = Actor::load(Arc::clone(&store), logs, config.jobs).await?;
    Ok((store, actor, coordinator))
}

/// Opens the state folder and the spool.
async fn open(config: &CoordinatorConfig) -> Result<Arc<Store>, StoreError> {
    let (state, spool) = (config.state.clone(), config.spool.clone());
    let opened = tokio::task::spawn_blocking(move || Store::open_with(state, &spool).map(Arc::new));
    opened.await.unwrap_or_else(|error| {
        let (action, path) = ("open", config.state.clone());
        Err(StoreError::Io { action, path, source: io::Error::other(error) })
    })
}

/// A coordinator, ready to serve.
///
/// # Examples
/// ```no_run
/// use federated_server::{FederatedServer, config::CoordinatorConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = CoordinatorConfig::in_dir("coordinator".as_ref())?;
/// let server = FederatedServer::builder().config(config).build().await?;
/// println!("listening on {}", server.local_addr()?);
/// server.run().await?;
/// # Ok(())
/// # }
/// ```
pub struct FederatedServer {
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    actor: Actor,
    services: Services,
    shutdown: Option<Shutdown>,
}

impl std::fmt::Debug for FederatedServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FederatedServer").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl FederatedServer {
    /// Prepares a coordinator.
    #[must_use]
    pub fn builder() -> FederatedServerBuilder {
        FederatedServerBuilder::default()
    }

    /// The address that is listened on: the port too, when the configuration left it to the system with port 0.
    ///
    /// # Errors
    /// [`ServerError::Serve`] when the system does not say.
    pub fn local_addr(&self) -> Result<SocketAddr, ServerError> {
        self.listener.local_addr().map_err(|source| ServerError::Serve { source })
    }

    /// A handle to watch and stop jobs from the same process.
    #[must_use]
    pub fn coordinator(&self) -> Coordinator {
        self.services.coordinator.clone()
    }

    /// Serves until the builder's shutdown future is ready. Dropping the returned future stops at once; either way,
    /// nothing that was confirmed is lost.
    ///
    /// # Errors
    /// [`ServerError::Serve`] when the network fails, or the task that owns the runs ends unexpectedly.
    pub async fn run(self) -> Result<(), ServerError> {
        let Self { listener, tls, actor, services, shutdown } = self;
        let stop = CancellationToken::new();
        let released = services.store.released();
        // Also when this future is dropped: the tasks below must not outlive it.
        let _stop_on_drop = stop.clone().drop_guard();
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "listening");
        }
        if let Some(shutdown) = shutdown {
            let stop = stop.clone();
            tokio::spawn(async move {
                stop.run_until_cancelled(shutdown).await;
                stop.cancel();
            });
        }
        let runs = {
            let stop = stop.clone();
            // However it ends: a coordinator without the task that owns its runs must not go on answering.
            tokio::spawn(async move {
                let _stop_with_it = stop.clone().drop_guard();
                actor.run(stop).await
            })
        };
        let served = grpc::serve(services, listener, tls, stop.clone(), GRACE).await;
        stop.cancel();
        let ran = runs.await;
        // File work that was under way still holds the state folder; after this it may be opened again.
        if tokio::time::timeout(GRACE, released.cancelled()).await.is_err() {
            tracing::warn!("file work is still under way; the state folder stays locked until it is done");
        }
        ran.map_err(|error| ServerError::Serve { source: io::Error::other(error) })??;
        served.map_err(|source| ServerError::Serve { source })
    }
}
