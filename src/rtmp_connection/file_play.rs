//! Playback of a file to a client: its thread, and the output to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::guard::catch_panic;
use crate::limits;
use crate::media::Packet;
use crate::service::Service;
use crate::session::{PlayRequest, Source, playing};
use crate::transport::ManagedConnection;
use crate::vod::{self, Control, ControlSender, Output, PlaybackEvent, QueueFull, Video};

/// The buffer length of a player that doesn't announce it, in milliseconds.
const DEFAULT_BUFFER_MS: u32 = 3_000;

/// A file being played; dropping it stops it.
pub(super) struct FilePlay {
    name: String,
    client: Arc<ManagedConnection>,
    control_sender: Option<ControlSender>,
    /// The client's buffer length, in milliseconds.
    buffer_ms: Arc<AtomicU32>,
    is_paused: bool,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    since: Instant,
    /// Bytes sent on the connection before it started.
    sent_before: u64,
}

impl FilePlay {
    /// Starts a thread that plays `video` to `client`.
    ///
    /// # Errors
    /// [`Error::Io`] when a thread can't be started.
    pub(super) fn start(
        video: Box<Video>,
        request: &PlayRequest,
        stream_id: u32,
        client: &Arc<ManagedConnection>,
        service: Arc<Service>,
    ) -> Result<Self> {
        let name = request.path.to_string();
        let stopped = Arc::new(AtomicBool::new(false));
        let buffer_ms = request.buffer_ms.unwrap_or(DEFAULT_BUFFER_MS);
        let (control_sender, controls) = vod::control_channel();
        let file_request = vod::PlayRequest { start_ms: request.start_ms, duration_ms: request.duration_ms, buffer_ms };
        let shared_buffer_ms = Arc::new(AtomicU32::new(buffer_ms));
        let mut output = ClientOutput {
            name: name.clone(),
            stream_id,
            client: client.clone(),
            stopped: stopped.clone(),
            buffer_ms: shared_buffer_ms.clone(),
        };
        let play = move || match catch_panic(|| vod::play(video, file_request, controls, &mut output)) {
            Some(Err(error)) if !error.is_disconnect() => {
                service.client_log.warn(format_args!("{} {}: {error}", output.client, output.name));
                output.client.close("the file can't be read");
            }
            Some(_) => {}
            None => output.client.close("file playback panicked"),
        };
        let thread = std::thread::Builder::new()
            .name(format!("vod {name}"))
            .stack_size(limits::THREAD_STACK_BYTES)
            .spawn(play)
            .map_err(|error| Error::io("starting a thread for a file", error))?;
        Ok(Self {
            name,
            client: client.clone(),
            control_sender: Some(control_sender),
            buffer_ms: shared_buffer_ms,
            is_paused: false,
            stopped,
            thread: Some(thread),
            since: Instant::now(),
            sent_before: client.sent(),
        })
    }

    /// Returns duration and bytes sent, for the log.
    pub(super) fn figures(&self, client: &ManagedConnection) -> String {
        let (seconds, kib) = (self.since.elapsed().as_secs_f32(), (client.sent() - self.sent_before) / 1024);
        format!("{seconds:.1} s, {kib} KiB sent")
    }

    /// Returns the file's path, application included.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the client has paused it.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Sends a control to the player.
    pub(super) fn control(&mut self, control: Control) {
        match control {
            Control::BufferLength { ms } => self.buffer_ms.store(ms, Ordering::Relaxed),
            Control::Pause { .. } => self.is_paused = true,
            Control::Resume { .. } => self.is_paused = false,
            _ => {}
        }
        let Some(control_sender) = &self.control_sender else { return };
        if let Err(QueueFull) = control_sender.send(control, limits::VOD_CONTROL_TIMEOUT) {
            self.client.close("too many unanswered control requests");
        }
    }
}

impl Drop for FilePlay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.control_sender = None;
        // What comes next on the message stream must not mix with this.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct ClientOutput {
    name: String,
    stream_id: u32,
    client: Arc<ManagedConnection>,
    stopped: Arc<AtomicBool>,
    buffer_ms: Arc<AtomicU32>,
}

impl Output for ClientOutput {
    fn send(&mut self, batch: &[Packet], more: bool) -> Result<()> {
        self.client.send_packets(self.stream_id, batch, more, || !self.stopped.load(Ordering::Relaxed))
    }

    fn notify(&mut self, event: PlaybackEvent) -> Result<()> {
        let id = self.stream_id;
        match event {
            PlaybackEvent::Started => self.client.reply(&playing::started(id, Source::Recording, &self.name)),
            PlaybackEvent::Paused => self.client.reply(&playing::paused(id)),
            PlaybackEvent::Resumed => self.client.reply(&playing::resumed(id)),
            PlaybackEvent::SeekCompleted { position_ms } => {
                self.client.keep_open(id);
                self.client.reply(&playing::seek_completed(id, Source::Recording, position_ms));
            }
            PlaybackEvent::SeekFailed { reason, .. } => self.client.reply(&playing::seek_failed(id, &reason)),
            PlaybackEvent::Ended { duration_ms, bytes } => {
                self.client.reply(&playing::recording_ended(id, duration_ms, bytes));
                let buffer_ms = self.buffer_ms.load(Ordering::Relaxed);
                self.client.stream_ended(id, grace_after_file(buffer_ms), "the file has ended");
            }
        }
        Ok(())
    }
}

/// Returns how long a file's player is kept after the end, while it plays what it has buffered and may seek back.
fn grace_after_file(buffer_ms: u32) -> Duration {
    Duration::from_millis(buffer_ms.min(limits::VOD_BUFFER_MAX_MS).into()) + limits::CLOSE_GRACE
}
