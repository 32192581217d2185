//! What a client's message streams do, and how its wishes become deeds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::peer::Phase;
use super::vod_output::FilePlay;
use super::{Connection, Peer};
use crate::error::{Error, Result};
use crate::limits;
use crate::live::{Publication, Sink, StartAt, Subscription, Wanted};
use crate::media::{Packet, PacketKind};
use crate::rtmp::status::StatusCode;
use crate::session::{Action, ConnectRequest, PlayRequest, PublishKind, Source, StreamPath, playing};
use crate::vod::Control;

/// What a message stream does.
pub(super) enum Activity {
    /// It sends a live stream.
    Publishing { publication: Publication, since: Instant, bytes: u64 },
    /// It gets a live stream.
    Playing(LivePlay),
    /// It gets a file.
    PlayingFile(FilePlay),
}

pub(super) struct LivePlay {
    name: String,
    since: Instant,
    wanted: Wanted,
    /// `None` while it is paused.
    subscription: Option<Subscription>,
    /// Dropped by earlier subscriptions.
    dropped: u64,
}

impl Activity {
    /// Ends it and says so in the log.
    pub fn end(self, peer: &Peer) {
        match self {
            Self::Publishing { publication, since, bytes } => {
                let name = publication.name().escape_debug();
                log::info!(
                    "{peer} stopped publishing {name}: {:.1} s, {} KiB",
                    since.elapsed().as_secs_f32(),
                    bytes / 1024
                );
            }
            Self::Playing(play) => {
                let dropped = play.dropped + play.subscription.as_ref().map_or(0, Subscription::dropped);
                let seconds = play.since.elapsed().as_secs_f32();
                log::info!("{peer} stopped playing {}: {seconds:.1} s, {dropped} messages dropped", play.name);
            }
            Self::PlayingFile(play) => log::info!("{peer} stopped playing {}", play.name()),
        }
    }
}

impl Connection {
    /// Does what the session made of a message.
    ///
    /// # Errors
    /// [`Error::Refused`] when the client was refused something and has to go, and what sending brings.
    pub(super) fn act(&mut self, action: Action, now: Instant) -> Result<()> {
        match action {
            Action::Reply(reply) => self.peer.reply(&[reply]),
            Action::Connect(request) => return self.connect(&request),
            Action::Publish { stream_id, path, kind } => return self.publish(stream_id, &path, kind, now),
            Action::Play { stream_id, request } => self.play(stream_id, request),
            Action::Stop { stream_id } => {
                if let Some(activity) = self.activities.remove(&stream_id) {
                    activity.end(&self.peer);
                    self.peer.skip(stream_id);
                    self.peer.stay(stream_id);
                }
                self.enter_phase(Phase::Idle, 0);
            }
            Action::Media { stream_id, packet } => return self.media(stream_id, packet, now),
            Action::Pause { stream_id, paused, position_ms } => self.pause(stream_id, paused, position_ms),
            Action::Seek { stream_id, position_ms } => self.seek(stream_id, position_ms),
            Action::Receive { stream_id, kind, wanted } => self.receive(stream_id, kind, wanted),
            Action::BufferLength { stream_id, buffer_ms } => {
                self.control(stream_id, Control::BufferLength { ms: buffer_ms });
            }
            Action::StreamLength { transaction_id, path } => {
                let seconds = if path.app == self.service.vod_app {
                    self.service.library.open(&path.name).ok().and_then(|video| video.duration())
                } else {
                    Some(0.0)
                };
                if let Some(seconds) = seconds {
                    self.peer.reply(&playing::stream_length(transaction_id, seconds));
                }
            }
        }
        Ok(())
    }

    fn connect(&mut self, request: &ConnectRequest) -> Result<()> {
        let app = StreamPath::new(&request.app, "")?.app;
        let service = &self.service;
        if app == service.vod_app || service.live_apps.contains(&app) {
            log::debug!("{} connects to {} ({})", self.peer, app, request.flash_version.escape_debug());
            self.peer.reply(&self.session.accept_connect());
            return Ok(());
        }
        let apps = service.live_apps.iter().chain([&service.vod_app]).map(String::as_str).collect::<Vec<_>>();
        let reason = format!("there is no application \"{}\" here, only {}", app.escape_debug(), apps.join(" and "));
        self.peer.reply(&self.session.refuse_connect(&reason));
        Err(Self::refusal(StatusCode::ConnectRejected, reason))
    }

    fn publish(&mut self, stream_id: u32, path: &StreamPath, kind: PublishKind, now: Instant) -> Result<()> {
        let name = path.live_name();
        let refusal = if !self.service.live_apps.contains(&path.app) {
            let live = self.service.live_apps.first().map_or("live", String::as_str);
            let reason = format!("\"{}\" plays files; publish to /{live}/NAME", self.service.vod_app);
            Some((StatusCode::PublishDenied, reason))
        } else if name.is_empty() {
            Some((StatusCode::PublishBadName, format!("a stream needs a name: publish to /{}/NAME", path.app)))
        } else {
            None
        };
        let result = match refusal {
            Some(refusal) => Err(refusal),
            None => {
                let evicted = Arc::downgrade(&self.peer);
                let evict = Box::new(move |reason: &str| {
                    if let Some(peer) = evicted.upgrade() {
                        peer.close(reason);
                    }
                });
                let key = format!("{}/{name}", path.app);
                let published = self.service.registry.publish(&key, now, evict);
                published.map_err(|refused| (StatusCode::PublishBadName, refused.0))
            }
        };
        match result {
            Ok(publication) => {
                let agent = self.session.connect_request().map_or("", |connect| &connect.flash_version).escape_debug();
                log::info!("{} publishes {} ({agent})", self.peer, publication.name().escape_debug());
                let description = match kind {
                    PublishKind::Live => "Publishing.",
                    PublishKind::Record | PublishKind::Append => "Publishing live: this server does not record.",
                };
                if kind != PublishKind::Live {
                    log::warn!("{} asked for a recording: this server relays it live and does not record", self.peer);
                }
                self.peer.reply(&self.session.accept_publish(stream_id, description));
                self.activities.insert(stream_id, Activity::Publishing { publication, since: now, bytes: 0 });
                self.enter_phase(Phase::Idle, 0);
                Ok(())
            }
            Err((code, reason)) => {
                self.peer.reply(&self.session.refuse_publish(stream_id, code, &reason));
                Err(Self::refusal(code, reason))
            }
        }
    }

    /// The error that ends the connection after a refusal.
    fn refusal(code: StatusCode, reason: String) -> Error {
        Error::Refused { code: code.as_str().into(), description: reason.into() }
    }

    fn media(&mut self, stream_id: u32, packet: Packet, now: Instant) -> Result<()> {
        if let Some(Activity::Publishing { publication, bytes, .. }) = self.activities.get_mut(&stream_id) {
            *bytes += packet.payload.len() as u64;
            publication.send(packet, now).map_err(|_| Error::Disconnected)?;
        }
        Ok(())
    }

    fn play(&mut self, stream_id: u32, request: PlayRequest) {
        // Before it begins: a short file may have ended, and said when to close, before this returns.
        self.peer.stay(stream_id);
        self.enter_phase(Phase::Playing, 1);
        let result = if request.path.app == self.service.vod_app {
            self.play_file(stream_id, &request)
        } else {
            self.play_live(stream_id, &request)
        };
        match result {
            Ok(()) => log::info!("{} plays {}", self.peer, request.path),
            Err((code, reason)) => {
                log::warn!("{} can't play {}: {reason}", self.peer, request.path);
                self.peer.reply(&self.session.refuse_play(stream_id, code, &reason));
                self.enter_phase(Phase::Idle, 0);
            }
        }
    }

    fn play_file(&mut self, stream_id: u32, request: &PlayRequest) -> Result<(), (StatusCode, String)> {
        let files = self.activities.values().filter(|activity| matches!(activity, Activity::PlayingFile(_))).count();
        if files >= limits::FILES_PER_CONNECTION {
            return Err((StatusCode::PlayFailed, format!("this connection plays {files} files already")));
        }
        let video = self.service.library.open(&request.path.name).map_err(|error| match error {
            Error::Refused { description, .. } => (StatusCode::PlayStreamNotFound, description.into_owned()),
            error => (StatusCode::PlayFailed, error.to_string()),
        })?;
        let play = FilePlay::start(video, request, stream_id, &self.peer)
            .map_err(|error| (StatusCode::PlayFailed, error.to_string()))?;
        self.activities.insert(stream_id, Activity::PlayingFile(play));
        Ok(())
    }

    fn play_live(&mut self, stream_id: u32, request: &PlayRequest) -> Result<(), (StatusCode, String)> {
        let path = &request.path;
        let name = path.live_name();
        if name.is_empty() {
            let reason = format!("a stream needs a name: play /{}/NAME", path.app);
            return Err((StatusCode::PlayStreamNotFound, reason));
        }
        let start_at = match path.query_value("gop").as_deref() {
            Some("0") => StartAt::NextKeyFrame,
            Some("1") => StartAt::LastKeyFrame,
            _ if self.service.gop_cache => StartAt::LastKeyFrame,
            _ => StartAt::NextKeyFrame,
        };
        self.peer.reply(&playing::started(stream_id, Source::Live, &name));
        let mut play = LivePlay {
            name: format!("{}/{name}", path.app),
            since: Instant::now(),
            wanted: Wanted::default(),
            subscription: None,
            dropped: 0,
        };
        self.subscribe(stream_id, &mut play, start_at);
        self.activities.insert(stream_id, Activity::Playing(play));
        Ok(())
    }

    fn subscribe(&self, stream_id: u32, play: &mut LivePlay, start_at: StartAt) {
        play.unsubscribe();
        play.subscription = Some(self.service.registry.with_stream(&play.name, |stream| {
            stream.subscribe(self.peer.clone(), stream_id, self.peer.lane(), start_at, play.wanted)
        }));
    }

    /// Takes the activity out, so that it and the connection can be used side by side.
    fn with_live_play(&mut self, stream_id: u32, change: impl FnOnce(&Self, &mut LivePlay)) {
        let Some(mut activity) = self.activities.remove(&stream_id) else { return };
        if let Activity::Playing(play) = &mut activity {
            change(self, play);
        }
        self.activities.insert(stream_id, activity);
    }

    /// Tells a file's player something; says whether the message stream plays a file.
    fn control(&mut self, stream_id: u32, control: Control) -> bool {
        let Some(Activity::PlayingFile(play)) = self.activities.get_mut(&stream_id) else { return false };
        play.control(control);
        true
    }

    fn pause(&mut self, stream_id: u32, paused: bool, position_ms: u32) {
        let control = if paused { Control::Pause { position_ms } } else { Control::Resume { position_ms } };
        // Going on may bring the end at once, which must find the phase in place; standing still does not.
        if !paused {
            self.enter_phase(Phase::Playing, 0);
        }
        self.control(stream_id, control);
        self.with_live_play(stream_id, |connection, play| {
            if paused {
                play.unsubscribe();
                connection.peer.reply(&playing::paused(stream_id));
            } else {
                connection.peer.reply(&playing::resumed(stream_id));
                connection.subscribe(stream_id, play, StartAt::NextKeyFrame);
            }
        });
        if paused {
            self.enter_phase(Phase::Idle, 0);
        }
    }

    fn seek(&mut self, stream_id: u32, position_ms: u32) {
        self.enter_phase(Phase::Idle, 0);
        if self.control(stream_id, Control::Seek { position_ms }) {
            return;
        }
        // There is nowhere to go in a live stream, but ffmpeg would wait for the answer for ever.
        self.with_live_play(stream_id, |connection, play| {
            connection.peer.reply(&playing::sought(stream_id, Source::Live, position_ms));
            connection.subscribe(stream_id, play, StartAt::NextKeyFrame);
        });
    }

    fn receive(&mut self, stream_id: u32, kind: PacketKind, wanted: bool) {
        let control = match kind {
            PacketKind::Audio => Control::ReceiveAudio(wanted),
            _ => Control::ReceiveVideo(wanted),
        };
        let is_file = self.control(stream_id, control);
        if wanted {
            self.peer.reply(&playing::receiving(stream_id));
        }
        if is_file {
            return;
        }
        self.with_live_play(stream_id, |_, play| {
            match kind {
                PacketKind::Audio => play.wanted.audio = wanted,
                _ => play.wanted.video = wanted,
            }
            if let Some(subscription) = &play.subscription {
                subscription.set_wanted(play.wanted);
            }
        });
    }

    /// Sets the deadlines that suit what the client does now; `least` when its activities don't show it, and
    /// `coming` for activities about to begin.
    fn enter_phase(&self, least: Phase, coming: usize) {
        let phases = self.activities.values().map(|activity| match activity {
            Activity::Publishing { .. } => Phase::Publishing,
            Activity::Playing(play) if play.subscription.is_none() => Phase::Paused,
            Activity::PlayingFile(play) if play.is_paused() => Phase::Paused,
            Activity::Playing(_) | Activity::PlayingFile(_) => Phase::Playing,
        });
        self.peer.enter(phases.fold(least, Phase::max), self.activities.len() + coming);
    }
}

impl LivePlay {
    fn unsubscribe(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            self.dropped += subscription.dropped();
        }
    }
}

/// How long a file's player is left alone after the end, in which it plays what it has buffered and may
/// seek back.
pub(super) fn grace_after_file(buffer_ms: u32) -> Duration {
    Duration::from_millis(buffer_ms.min(limits::VOD_BUFFER_MOST_MS).into()) + limits::CLOSE_GRACE
}
