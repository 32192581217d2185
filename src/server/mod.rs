//! The whole server: listeners, connections, deadlines, the end.

mod connections;
mod listener;
pub(crate) mod logging;
mod welcome;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use connections::Connections;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::config::Config;
use crate::connection::Service;
use crate::error::{Error, Result};
use crate::live::{LanePool, Registry, StreamStatus};
use crate::stats::Traffic;
use crate::vod::Library;

/// How often deadlines are held against the clock.
const TICK: Duration = Duration::from_millis(500);

/// How long the end waits for the threads of connections.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that listens, and serves once it [`run`](Self::run)s.
///
/// ```no_run
/// let config = gortmp::Config { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() };
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
    listeners: Vec<(TcpListener, SocketAddr)>,
    stop: (Sender<()>, Receiver<()>),
}

/// Stops a server from another thread, and tells what goes on in it.
#[derive(Clone, Debug)]
pub struct Handle {
    stop: Sender<()>,
    service: Arc<Service>,
}

impl Handle {
    /// Makes [`Server::run`] end its connections and return.
    pub fn stop(&self) {
        // Full means that it was told already.
        let _ = self.stop.try_send(());
    }

    /// The live streams as they stand, by name.
    pub fn streams(&self) -> Vec<StreamStatus> {
        self.service.registry.status()
    }

    /// What has gone through all live streams together since the start.
    pub fn traffic(&self) -> Traffic {
        self.service.registry.traffic()
    }
}

impl Server {
    /// Checks the settings, opens the video folder, listens. Raises the process's limit of open files
    /// as far as it may.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Io`] with a text for the person who started it.
    pub fn bind(config: Config) -> Result<Self> {
        config.check()?;
        raise_file_limit();
        let listeners = listener::bind_all(&config.listen)?;
        open_video_dir(&config)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let service = Service {
            registry: Registry::new(config.replace_publisher, config.republish_grace, config.player_queue),
            lanes: LanePool::start(config.lanes.unwrap_or(cores), config.gather)?,
            library: Library::new(config.video_dir.clone()),
            live_apps: config.live_apps.clone(),
            vod_app: config.vod_app.clone(),
            gop_cache: config.gop_cache,
        };
        Ok(Self { config, service: Arc::new(service), listeners, stop: crossbeam_channel::bounded(1) })
    }

    /// The first address that it listens on; with port 0 in the settings, the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addrs().next().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// All addresses that it listens on.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.iter().map(|(_, address)| *address)
    }

    /// For stopping it and looking at it from another thread.
    pub fn handle(&self) -> Handle {
        Handle { stop: self.stop.0.clone(), service: self.service.clone() }
    }

    /// Says in the log what is served where, and serves until [`Handle::stop`].
    ///
    /// # Errors
    /// [`Error::Io`] when there are no threads to be had.
    pub fn run(self) -> Result<()> {
        welcome::log(&self);
        let connections = Arc::new(Connections::new(self.service.clone()));
        let mut accepting = Vec::new();
        for (listener, address) in &self.listeners {
            let (connections, listener) = (connections.clone(), listener.try_clone());
            let listener = listener.map_err(|error| Error::io("starting to listen", error))?;
            let thread = std::thread::Builder::new()
                .name(format!("accept {address}"))
                .spawn(move || connections.accept_from(&listener))
                .map_err(|error| Error::io("starting to listen", error))?;
            accepting.push(thread);
        }
        while self.stop.1.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let now = Instant::now();
            connections.check(now);
            self.service.registry.tick(now);
        }
        log::info!("stopping");
        connections.stop();
        for (listener, _) in &self.listeners {
            // Wakes the thread that waits in accept.
            let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
        }
        for thread in accepting {
            let _ = thread.join();
        }
        if !connections.wait_until_none(STOP_TIMEOUT) {
            log::warn!("some connections did not end within {} s", STOP_TIMEOUT.as_secs());
        }
        Ok(())
    }
}

/// Serves with the default settings until the process ends: the whole server in a line.
///
/// Sets up logging to standard error unless the program has done so itself.
///
/// # Errors
/// As [`Server::bind`] and [`Server::run`].
pub fn serve() -> Result<()> {
    let _ = logging::builder().filter_level(log::LevelFilter::Info).parse_default_env().try_init();
    Server::bind(Config::default())?.run()
}

/// Each connection takes two descriptors, one with a file three, and the limit that shells hand down is often 1,024.
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
