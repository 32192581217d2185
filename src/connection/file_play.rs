//! A file being played to a client: its thread, and the way from there to the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use super::playing::grace_after_file;
use super::{Peer, Service, Watched};
use crate::error::{Error, Result};
use crate::guard::survive;
use crate::limits;
use crate::media::Packet;
use crate::session::{PlayRequest, Source, playing};
use crate::vod::{self, Control, Notice, Output, Remote, TooMany, Video};

/// What a player has buffered when it doesn't say, in milliseconds.
const DEFAULT_BUFFER_MS: u32 = 3_000;

/// A file that is being played; dropping it ends it.
pub(super) struct FilePlay {
    name: String,
    peer: Arc<Peer>,
    remote: Option<Remote>,
    /// How much the client has buffered, in milliseconds.
    buffer_ms: Arc<AtomicU32>,
    is_paused: bool,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    since: Instant,
    /// What the connection had sent before.
    sent_before: u64,
}

impl FilePlay {
    /// Starts a thread that plays `video` to `peer`.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no thread to be had.
    pub fn start(
        video: Box<Video>,
        request: &PlayRequest,
        stream_id: u32,
        peer: &Arc<Peer>,
        service: Arc<Service>,
    ) -> Result<Self> {
        let name = request.path.to_string();
        let stopped = Arc::new(AtomicBool::new(false));
        let buffer_ms = request.buffer_ms.unwrap_or(DEFAULT_BUFFER_MS);
        let (remote, controls) = vod::remote();
        let file_request = vod::PlayRequest { start_ms: request.start_ms, duration_ms: request.duration_ms, buffer_ms };
        let shared_buffer_ms = Arc::new(AtomicU32::new(buffer_ms));
        let mut output = ToPeer {
            name: name.clone(),
            stream_id,
            peer: peer.clone(),
            stopped: stopped.clone(),
            buffer_ms: shared_buffer_ms.clone(),
        };
        let play = move || match survive(|| vod::play(video, file_request, controls, &mut output)) {
            Some(Err(error)) if !error.is_disconnect() => {
                service.complaints.warn(format_args!("{} {}: {error}", output.peer, output.name));
                output.peer.close("its file could not be read on");
            }
            Some(_) => {}
            None => output.peer.close("playing its file panicked"),
        };
        let thread = std::thread::Builder::new()
            .name(format!("vod {name}"))
            .stack_size(limits::THREAD_STACK_BYTES)
            .spawn(play)
            .map_err(|error| Error::io("starting a thread for a file", error))?;
        Ok(Self {
            name,
            peer: peer.clone(),
            remote: Some(remote),
            buffer_ms: shared_buffer_ms,
            is_paused: false,
            stopped,
            thread: Some(thread),
            since: Instant::now(),
            sent_before: peer.sent(),
        })
    }

    /// For the log: the stream's path, how long, how much it got.
    pub fn summary(&self, peer: &Peer) -> String {
        let (seconds, kib) = (self.since.elapsed().as_secs_f32(), (peer.sent() - self.sent_before) / 1024);
        format!("{}: {seconds:.1} s, {kib} KiB", self.name)
    }

    /// The file's path, application included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the client has paused it.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Passes a wish on.
    pub fn control(&mut self, control: Control) {
        match control {
            Control::BufferLength { ms } => self.buffer_ms.store(ms, Ordering::Relaxed),
            Control::Pause { .. } => self.is_paused = true,
            Control::Resume { .. } => self.is_paused = false,
            _ => {}
        }
        let Some(remote) = &self.remote else { return };
        if let Err(TooMany) = remote.tell(control, limits::CONTROL_WAIT) {
            self.peer.close("it asks for more than it reads");
        }
    }
}

impl Drop for FilePlay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.remote = None;
        // What comes next on the message stream must not mix with this.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct ToPeer {
    name: String,
    stream_id: u32,
    peer: Arc<Peer>,
    stopped: Arc<AtomicBool>,
    buffer_ms: Arc<AtomicU32>,
}

impl Output for ToPeer {
    fn send(&mut self, batch: &[Packet], more: bool) -> Result<()> {
        self.peer.packets(self.stream_id, batch, more, || !self.stopped.load(Ordering::Relaxed))
    }

    fn notify(&mut self, notice: Notice) -> Result<()> {
        let id = self.stream_id;
        match notice {
            Notice::Started => self.peer.reply(&playing::started(id, Source::Recording, &self.name)),
            Notice::Paused => self.peer.reply(&playing::paused(id)),
            Notice::Resumed => self.peer.reply(&playing::resumed(id)),
            Notice::Sought { position_ms } => {
                self.peer.stay(id);
                self.peer.reply(&playing::sought(id, Source::Recording, position_ms));
            }
            Notice::SeekFailed { reason, .. } => self.peer.reply(&playing::seek_failed(id, &reason)),
            Notice::Ended { duration_ms, bytes } => {
                self.peer.reply(&playing::recording_ended(id, duration_ms, bytes));
                let buffer_ms = self.buffer_ms.load(Ordering::Relaxed);
                self.peer.play_ended(id, grace_after_file(buffer_ms), "the file has ended");
            }
        }
        Ok(())
    }
}
