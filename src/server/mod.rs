//! The server: listeners, connections, deadlines, shutdown.

mod acceptor;
mod banner;
mod congestion;
mod listener;
pub(crate) mod logging;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use acceptor::Acceptor;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::access::{Access, Operation};
use crate::config::{Config, DEFAULT_HTTP_PORT, DEFAULT_PORT};
use crate::error::{Error, Result};
use crate::guard::{Budget, ClientLog};
use crate::http::{HttpService, HttpSettings};
use crate::limits;
use crate::live::{self, LanePool, Registry, StreamStatus};
use crate::service::Service;
use crate::stats::{Refusals, Traffic};
use crate::tls::Certificate;
use crate::transport::{ConnectionTable, Protocol};
use crate::vod::Library;

/// How often deadlines are checked.
const TICK_INTERVAL: Duration = Duration::from_millis(500);

/// How long clients have to close their connections when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the threads of closed connections have to end after that.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The close reason for clients and the log.
const STOP_REASON: &str = "the server stops";

/// A bound server, which serves once it [`run`](Self::run)s.
///
/// ```no_run
/// let mut config = gortmp::Config::default();
/// config.listen = vec!["127.0.0.1:0".parse()?];
/// let server = gortmp::Server::bind(config)?;
/// println!("rtmp://{}/live/livestream", server.local_addr());
/// let handle = server.handle();
/// let running = std::thread::spawn(move || server.run());
/// handle.stop();
/// running.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    config: Config,
    service: Arc<Service>,
    listeners: Vec<Listener>,
    certificate: Option<Arc<Certificate>>,
    stop: (Sender<()>, Receiver<()>),
}

/// A listening socket.
#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    protocol: Protocol,
    is_tls: bool,
}

impl Listener {
    fn scheme(&self) -> &'static str {
        match (self.protocol, self.is_tls) {
            (Protocol::Rtmp, false) => "rtmp",
            (Protocol::Rtmp, true) => "rtmps",
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
        }
    }

    /// The default port of its scheme.
    fn default_port(&self) -> u16 {
        match self.scheme() {
            "rtmp" => DEFAULT_PORT,
            "http" => 80,
            _ => 443,
        }
    }
}

/// Stops a server from another thread, and reports its state.
#[derive(Clone, Debug)]
pub struct Handle {
    stop: Sender<()>,
    service: Arc<Service>,
    certificate: Option<Arc<Certificate>>,
}

impl Handle {
    /// Makes [`Server::run`] stop accepting clients, tell the connected ones, and return within 5 s.
    pub fn stop(&self) {
        // If it is full, the server has been told already.
        let _ = self.stop.try_send(());
    }

    /// Reloads the key files and the certificate. Running publications and plays continue; what can't be read stays as
    /// it was.
    ///
    /// # Errors
    /// [`Error::Config`] for the first that can't be read.
    pub fn reload(&self) -> Result<()> {
        let certificate = self.certificate.as_ref().map_or(Ok(()), |certificate| certificate.reload());
        self.service.access.reload().and(certificate)
    }

    /// Returns the status of all live streams, by name.
    pub fn streams(&self) -> Vec<StreamStatus> {
        self.service.registry.status()
    }

    /// Returns the traffic of all live streams together since the start.
    pub fn traffic(&self) -> Traffic {
        self.service.registry.traffic()
    }
}

impl Server {
    /// Checks the settings, opens the video folder and listens. Raises the process's limit of open files to its
    /// maximum.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Io`] with a text for the person who started it.
    pub fn bind(config: Config) -> Result<Self> {
        config.check()?;
        raise_file_limit();
        let (listeners, certificate) = listen(&config)?;
        open_video_dir(&config)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let service = Service {
            registry: Registry::new(live::Settings {
                replace: config.replace_publisher,
                grace: config.republish_grace,
                queue_limits: live::QueueLimits {
                    queue_bytes: config.player_queue,
                    max_lag: config.max_lag,
                    ..live::QueueLimits::default()
                },
                times: config.times,
                publishers: config.max_publishers,
                ..live::Settings::default()
            }),
            lanes: LanePool::start(config.lanes.unwrap_or(cores), config.merge_window)?,
            library: Library::new(config.video_dir.clone()),
            access: Access::new(config.access.clone())?,
            live_apps: config.live_apps.clone(),
            vod_app: config.vod_app.clone(),
            gop_cache: config.gop_cache,
            publish_timeout: config.publish_timeout,
            partial_messages: Budget::new(limits::PARTIAL_BYTES_OF_ALL),
            client_log: ClientLog::default(),
            refusals: Refusals::default(),
        };
        Ok(Self { config, service: Arc::new(service), listeners, certificate, stop: crossbeam_channel::bounded(1) })
    }

    /// Returns the first address that it listens on; with port 0 in the settings, the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addrs().next().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Returns all addresses that it listens on.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.iter().map(|listener| listener.address)
    }

    /// Returns a handle for stopping and observing it from another thread.
    pub fn handle(&self) -> Handle {
        Handle { stop: self.stop.0.clone(), service: self.service.clone(), certificate: self.certificate.clone() }
    }

    /// Returns the settings of the HTTP service.
    fn http_settings(&self) -> HttpSettings {
        let port = |is_tls| {
            let fits = |one: &&Listener| one.protocol == Protocol::Rtmp && one.is_tls == is_tls;
            self.listeners.iter().find(fits).map(|one| one.address.port())
        };
        let (config, http) = (&self.config, self.config.http.as_ref());
        HttpSettings {
            cors: http.and_then(|http| http.cors.clone()),
            hosts: http.map(|http| http.hosts.clone()).unwrap_or_default(),
            admin_key: http.and_then(|http| http.admin_key.clone()),
            rtmp_port: port(false),
            rtmps_port: port(true),
            publish_restricted: config.access.is_restricted(Operation::Publish),
            play_restricted: config.access.is_restricted(Operation::Play),
            max_publishers: config.max_publishers,
        }
    }

    /// Logs the startup banner, and serves until [`Handle::stop`].
    ///
    /// # Errors
    /// [`Error::Io`] when a thread can't be started.
    pub fn run(self) -> Result<()> {
        banner::log(&self);
        let max_connections = self.config.max_connections.unwrap_or_else(connection_limit);
        let connections = Arc::new(ConnectionTable::new(max_connections, self.config.max_per_ip));
        let http = Arc::new(HttpService::new(self.service.clone(), connections.clone(), self.http_settings()));
        let acceptor = Arc::new(Acceptor::new(self.service.clone(), http.clone(), connections.clone()));
        let mut accepting = Vec::new();
        for listener in &self.listeners {
            let (acceptor, socket) = (acceptor.clone(), listener.socket.try_clone());
            let socket = socket.map_err(|error| Error::io("starting to listen", error))?;
            let (protocol, certificate) = (listener.protocol, self.certificate.clone().filter(|_| listener.is_tls));
            let thread = std::thread::Builder::new()
                .name(format!("accept {}", listener.address))
                .spawn(move || acceptor.accept_from(&socket, protocol, certificate.as_deref()))
                .map_err(|error| Error::io("starting to listen", error))?;
            accepting.push(thread);
        }
        while self.stop.1.recv_timeout(TICK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let now = Instant::now();
            connections.check(now);
            acceptor.tick(now);
            self.service.client_log.tick(now);
            self.service.registry.tick(now);
            http.tick(now);
        }
        log::info!("stopping");
        connections.start_draining(STOP_REASON);
        for listener in &self.listeners {
            // Wakes the thread that blocks in accept.
            let _ = rustix::net::shutdown(&listener.socket, rustix::net::Shutdown::Both);
        }
        for thread in accepting {
            let _ = thread.join();
        }
        if !connections.wait_until_empty(DRAIN_TIMEOUT) {
            connections.close_all(STOP_REASON);
            if !connections.wait_until_empty(CLOSE_TIMEOUT) {
                log::warn!("some connections did not end in time");
            }
        }
        log::info!("stopped");
        Ok(())
    }
}

/// Opens all configured listeners, and loads the certificate.
fn listen(config: &Config) -> Result<(Vec<Listener>, Option<Arc<Certificate>>)> {
    let mut listeners = listener::bind_all(&config.listen, DEFAULT_PORT, (Protocol::Rtmp, false), "--listen")?;
    if let Some(http) = &config.http {
        match listener::bind_all(&http.listen, DEFAULT_HTTP_PORT, (Protocol::Http, false), "--http") {
            Ok(bound) => listeners.extend(bound),
            // The page was not asked for, so it is no reason to serve nothing.
            Err(error) if http.listen.is_empty() => log::warn!("there is no page for browsers: {error}"),
            Err(error) => return Err(error),
        }
    }
    let mut certificate = None;
    if let Some(tls) = &config.tls {
        certificate = Some(Arc::new(Certificate::load(&tls.certificate, &tls.key)?));
        for (addresses, protocol, option) in
            [(&tls.listen, Protocol::Rtmp, "--tls-listen"), (&tls.https, Protocol::Http, "--https")]
        {
            if !addresses.is_empty() {
                listeners.extend(listener::bind_all(addresses, 0, (protocol, true), option)?);
            }
        }
    }
    congestion::configure(&config.congestion, &listeners)?;
    Ok((listeners, certificate))
}

/// Serves with the default settings until the process ends.
///
/// Sets up logging to standard error unless the program has done so.
///
/// # Errors
/// As [`Server::bind`] and [`Server::run`].
pub fn serve() -> Result<()> {
    let _ = logging::builder().filter_level(log::LevelFilter::Info).parse_default_env().try_init();
    Server::bind(Config::default())?.run()
}

/// Returns the limit of connections that the limit of open files allows: each takes one.
fn connection_limit() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let fit = files.saturating_sub(limits::RESERVED_DESCRIPTORS).max(1);
    if fit < limits::CONNECTIONS as u64 {
        log::warn!("the limit of {files} open files leaves room for {fit} connections: raise it with ulimit -n");
    }
    usize::try_from(fit).map_or(limits::CONNECTIONS, |fit| fit.min(limits::CONNECTIONS))
}

/// Each connection takes a descriptor, one that plays a file two, and the limit that shells set is often 1,024.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        log::debug!("the limit of open files stays: {error}");
    }
}

fn open_video_dir(config: &Config) -> Result<()> {
    let dir = &config.video_dir;
    match std::fs::read_dir(dir) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            match std::fs::create_dir_all(dir) {
                Ok(()) => log::info!("made the folder {}: put FLV files there to play them", dir.display()),
                Err(error) => {
                    log::warn!("there is no folder {} and it can't be made ({error}): no files to play", dir.display())
                }
            }
            Ok(())
        }
        Err(error) => {
            let hint = "choose a readable folder with --video-dir";
            Err(Error::Config(format!("the video folder {} can't be read ({error}): {hint}", dir.display()).into()))
        }
    }
}
