use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use federated_core::{ids::ParticipantName, privacy::secagg::SigningSecret};
use federated_server::{
    FederatedServer, FederatedServerBuilder,
    config::{CoordinatorConfig, Limits},
    identity::{
        CertificateAuthority, Enrolment, Roster, Validity, load_signing_key, make_signing_key,
        setup::{self, EnrollOptions, InitOptions},
    },
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::{ClientTls, Operator, PATIENCE, RawParticipant, spooled, within};

type BuiltWith = Box<dyn FnOnce(FederatedServerBuilder, &CoordinatorConfig) -> FederatedServerBuilder + Send>;

/// A coordinator's folder, and the coordinator that serves it in this process.
///
/// The coordinator has a runtime of its own: to [`kill`](Self::kill) it drops every task it has at once, connections
/// and all, as the end of its process would.
pub struct Federation {
    folder: TempDir,
    config: CoordinatorConfig,
    bundles: AtomicU32,
    built: Option<BuiltWith>,
    serving: Option<Serving>,
}

#[derive(Debug)]
struct Serving {
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Federation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Federation").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Federation {
    /// A coordinator whose first start is built with this, for instance one that lies.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn built(
        with: impl FnOnce(FederatedServerBuilder) -> FederatedServerBuilder + Send + 'static,
    ) -> Self {
        Self::made(|_| {}, Some(Box::new(|builder, _| with(builder)))).await
    }

    /// A coordinator that signs results, whose first start is built with this and its key.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn signing(
        with: impl FnOnce(FederatedServerBuilder, SigningSecret) -> FederatedServerBuilder + Send + 'static,
    ) -> Self {
        let configure = |config: &mut CoordinatorConfig| {
            let path = config.state.with_file_name("signing.key");
            make_signing_key(&path).expect("a key");
            config.signing_key = Some(path);
        };
        let built =
            |builder: FederatedServerBuilder, config: &CoordinatorConfig| with(builder, signing_key(config));
        Self::made(configure, Some(Box::new(built))).await
    }

    /// The key that the coordinator signs with.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn signing_key(&self) -> SigningSecret {
        signing_key(&self.config)
    }

    /// Makes a folder and serves it on a port of the system's choice.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with other limits than the usual ones.
    ///
    /// # Panics
    /// When the coordinator does not start.
    pub async fn start_with(change: impl FnOnce(&mut Limits)) -> Self {
        Self::configured(|config| change(&mut config.limits)).await
    }

    /// The same with another configuration than the usual one.
    ///
    /// # Panics
    /// When the coordinator does not start.
    pub async fn configured(change: impl FnOnce(&mut CoordinatorConfig)) -> Self {
        Self::made(change, None).await
    }

    async fn made(change: impl FnOnce(&mut CoordinatorConfig), built: Option<BuiltWith>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = InitOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            ..InitOptions::new(folder.path().join("coordinator"))
        };
        let mut config = setup::init(&options, SystemTime::now()).expect("a coordinator's folder");
        change(&mut config);
        let mut federation = Self { folder, config, bundles: AtomicU32::new(0), built, serving: None };
        federation.serve().await;
        federation
    }

    /// Serves again after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port.
    ///
    /// # Panics
    /// When the coordinator does not start, or runs already.
    pub async fn serve(&mut self) {
        assert!(self.serving.is_none(), "the coordinator runs already");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (stop, stopped) = oneshot::channel();
        let (listening, address) = oneshot::channel();
        let (config, with) = (self.config.clone(), self.built.take());
        let ended = runtime.spawn(async move {
            let stopped = async {
                // A sender that is dropped asks for nothing.
                if stopped.await.is_err() {
                    std::future::pending().await
                }
            };
            let mut builder = FederatedServer::builder().config(config.clone()).shutdown(stopped);
            if let Some(with) = with {
                builder = with(builder, &config);
            }
            let built = builder.build().await;
            let server = built.expect("the coordinator should start");
            listening.send(server.local_addr().expect("an address")).expect("the test waits");
            server.run().await.expect("the coordinator should serve");
        });
        let address = within("the coordinator to listen", address).await;
        self.config.listen = address.expect("the coordinator should start");
        self.config.operator.address = self.url().parse().expect("an address");
        self.serving = Some(Serving { runtime: Some(runtime), stop: Some(stop), ended });
    }

    /// Stops the coordinator gracefully.
    ///
    /// # Panics
    /// When it does not stop, or does not run.
    pub async fn stop(&mut self) {
        let serving = self.serving.as_mut().expect("the coordinator runs");
        let stop = serving.stop.take().expect("it was not stopped before");
        stop.send(()).expect("the coordinator waits for its end");
        within("the coordinator to stop", &mut serving.ended).await.expect("a graceful end");
        self.kill().await;
    }

    /// Ends the coordinator at once, as `kill -9` would.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        let mut serving = self.serving.take().expect("the coordinator runs");
        let runtime = serving.runtime.take().expect("its runtime");
        let end = move || runtime.shutdown_timeout(PATIENCE);
        tokio::task::spawn_blocking(end).await.expect("its threads end");
    }

    /// Where the coordinator listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.config.listen
    }

    /// The same as a participant's configuration has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.config.listen)
    }

    /// The coordinator's folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("coordinator")
    }

    /// Waits until the coordinator has written so many bytes of a participant's update in the first attempt at a round.
    ///
    /// It looks at the spool, since to ask with `QueryUpload` ends an upload that is under way.
    pub async fn spooled(&self, job: &str, round: u32, participant: &str, bytes: u64) {
        let path = format!("updates/{job}/{round}-1/{participant}.part");
        let path = self.config.state.join(path);
        let wait = async {
            let mut pace = tokio::time::interval(Duration::from_millis(2));
            while spooled::received(&path) < bytes {
                pace.tick().await;
            }
        };
        within("bytes of an update to be written", wait).await;
    }

    /// A folder for the test's own files; it goes with the federation.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The federation's authority.
    ///
    /// # Panics
    /// When its files are gone.
    #[must_use]
    pub fn authority(&self) -> CertificateAuthority {
        let ca = &self.config.tls.ca;
        CertificateAuthority::load(ca, &ca.with_extension("key")).expect("the authority")
    }

    /// Enrolls a participant as `federated-coordinator enroll` does, and gives the folder of its bundle. What was
    /// enrolled under the name before counts no more.
    ///
    /// # Panics
    /// When that does not work.
    #[must_use]
    pub fn enroll(&self, name: &str) -> PathBuf {
        self.enroll_at(name, &self.url())
    }

    /// The same for a participant that finds the coordinator elsewhere, for instance behind a proxy.
    ///
    /// # Panics
    /// When that does not work.
    #[must_use]
    pub fn enroll_at(&self, name: &str, url: &str) -> PathBuf {
        let number = self.bundles.fetch_add(1, Ordering::Relaxed);
        let options = EnrollOptions {
            out: Some(self.folder.path().join(format!("bundle-{number}-{name}"))),
            address: Some(url.parse().expect("an address")),
            ..EnrollOptions::new(self.folder(), participant(name))
        };
        setup::enroll(&options, SystemTime::now()).expect("an enrolment").folder
    }

    /// Enrolls a participant with a certificate of this validity.
    ///
    /// # Panics
    /// When that does not work.
    #[must_use]
    pub fn enroll_for(&self, name: &str, validity: Validity) -> ClientTls {
        let (name, authority) = (participant(name), self.authority());
        let credential = authority.issue_participant(&name, validity).expect("a certificate");
        let enrolment = Enrolment::of(&credential, SystemTime::now());
        Roster::new(&self.config.enrolled).enroll(&name, &enrolment).expect("an enrolment");
        ClientTls::of(&credential, &authority)
    }

    /// Withdraws a participant as `federated-coordinator withdraw` does.
    ///
    /// # Panics
    /// When that does not work.
    pub fn withdraw(&self, name: &str) {
        assert!(setup::withdraw(&self.folder(), &participant(name)).expect("a roster"));
    }

    /// Enrolls a participant and connects as it.
    pub async fn participant(&self, name: &str) -> RawParticipant {
        RawParticipant::connect(self.address(), &ClientTls::from_bundle(&self.enroll(name))).await
    }

    /// Connects as the operator.
    pub async fn operator(&self) -> Operator {
        Operator::connect(&self.config.operator).await
    }

    /// The operator's certificate.
    #[must_use]
    pub fn operator_tls(&self) -> ClientTls {
        let tls = &self.config.operator.tls;
        ClientTls::from_files(&tls.ca, &tls.certificate, &tls.key)
    }
}

fn signing_key(config: &CoordinatorConfig) -> SigningSecret {
    load_signing_key(config.signing_key.as_ref().expect("a coordinator that signs")).expect("a key")
}

fn participant(name: &str) -> ParticipantName {
    name.parse().expect("a participant's name")
}
