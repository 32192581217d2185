//! The activities of a client's message streams, and how its requests are applied.

use std::sync::Arc;
use std::time::Instant;

use super::RtmpConnection;
use super::file_play::FilePlay;
use super::live_play::LivePlay;
use super::low_water::LowWater;
use crate::access::{Admission, Operation};
use crate::error::{Error, Result};
use crate::limits;
use crate::live::{Publication, PublishRefused};
use crate::media::{Packet, PacketKind};
use crate::rtmp::status::StatusCode;
use crate::session::{Action, ConnectRequest, PublishKind, StreamPath, playing, publishing};
use crate::stats::Traffic;
use crate::transport::{ManagedConnection, Phase};
use crate::vod::Control;

/// The activity of a message stream.
pub(super) enum Activity {
    /// It publishes a live stream.
    Publishing { publication: Publication, since: Instant, bytes: u64, low_water: LowWater },
    /// It plays a live stream.
    Playing(LivePlay),
    /// It plays a file.
    PlayingFile(FilePlay),
}

impl Activity {
    /// Ends it and logs that.
    pub(super) fn end(self, client: &ManagedConnection, why: &str) {
        match self {
            Self::Publishing { publication, since, bytes, .. } => {
                let name = publication.name().escape_debug();
                let (seconds, Traffic { bytes_out, dropped, .. }) =
                    (since.elapsed().as_secs_f32(), publication.traffic());
                log::log!(
                    client.event_level(),
                    "{client} stopped publishing {name}: {why}; {seconds:.1} s, {} KiB received, {} KiB sent to players, \
                     {dropped} messages dropped",
                    bytes / 1024,
                    bytes_out / 1024,
                );
            }
            Self::Playing(play) => {
                let (name, figures) = (play.name().escape_debug(), play.figures(client));
                log::log!(client.event_level(), "{client} stopped playing {name}: {why}; {figures}")
            }
            Self::PlayingFile(play) => {
                let (name, figures) = (play.name(), play.figures(client));
                log::log!(client.event_level(), "{client} stopped playing {name}: {why}; {figures}")
            }
        }
    }
}

impl RtmpConnection {
    /// Applies an action of the session.
    ///
    /// # Errors
    /// [`Error::Refused`] when the client was refused something and has to be closed, and errors of sending.
    // Each in a function of its own: a thread keeps the pages of its stack that were touched once, and connections that
    // only connect must not keep those of publishing and playing.
    #[inline(never)]
    pub(super) fn apply(&mut self, action: Action, now: Instant) -> Result<()> {
        match action {
            Action::Reply(reply) => self.client.reply(&[reply]),
            Action::Unknown(what) => self.log_unknown(&what),
            Action::Connect(request) => return self.connect(&request),
            Action::Publish { stream_id, path, kind } => return self.publish(stream_id, path, kind, now),
            Action::Play { stream_id, request } => return self.play(stream_id, request),
            Action::Stop { stream_id } => self.stop(stream_id),
            Action::Media { stream_id, packet } => return self.relay(stream_id, packet, now),
            Action::Pause { stream_id, paused, position_ms } => self.pause(stream_id, paused, position_ms),
            Action::Seek { stream_id, position_ms } => self.seek(stream_id, position_ms),
            Action::Receive { stream_id, kind, enabled } => self.receive(stream_id, kind, enabled),
            Action::BufferLength { stream_id, buffer_ms } => {
                self.control(stream_id, Control::BufferLength { ms: buffer_ms });
            }
            Action::StreamLength { transaction_id, path } => return self.stream_length(transaction_id, path),
        }
        Ok(())
    }

    #[inline(never)]
    fn stop(&mut self, stream_id: u32) {
        if let Some(activity) = self.activities.remove(&stream_id) {
            activity.end(&self.client, "requested by the client");
            self.client.discard(stream_id);
            self.client.keep_open(stream_id);
            self.enter_phase(Phase::Idle, 0);
        }
    }

    #[inline(never)]
    fn stream_length(&mut self, transaction_id: f64, path: StreamPath) -> Result<()> {
        let Ok(path) = self.resolve(path) else { return self.record_refusal() };
        let seconds = if self.check(Operation::Play, &path).is_err() {
            return self.record_refusal();
        } else if path.app == self.service.vod_app {
            self.service.library.open(&path.name).ok().and_then(|video| video.duration())
        } else {
            Some(0.0)
        };
        if let Some(seconds) = seconds {
            self.client.reply(&playing::stream_length(transaction_id, seconds));
        }
        Ok(())
    }

    #[inline(never)]
    fn log_unknown(&self, what: &str) {
        log::debug!("{} ignored {what}: not supported", self.client);
    }

    #[inline(never)]
    fn connect(&mut self, request: &ConnectRequest) -> Result<()> {
        let path = StreamPath::new(&request.app, "")?;
        let (service, app) = (&self.service, &path.app);
        // A single component may turn out to be a stream's name, or the name is still to come.
        if service.has_app(app) || path.name.is_empty() {
            let (description, reason) = match service.access.admit(&path, &request.flash_version, self.client.ip()) {
                Admission::Granted(verified) => {
                    let (app, program) = (app.escape_debug(), request.flash_version.escape_debug());
                    log::debug!("{} accepted connect to {app} ({program})", self.client);
                    self.client.set_agent(&request.flash_version);
                    self.verified = verified;
                    self.client.reply(&self.session.accept_connect());
                    return Ok(());
                }
                Admission::Challenge(description) => {
                    log::debug!("{} challenged: a password is needed", self.client);
                    (description, "a password is needed")
                }
                Admission::Rejected(description) => {
                    service.refusals.connects.add(1);
                    service.client_log.warn(format_args!("{} rejected: wrong password", self.client));
                    (description, "wrong password")
                }
            };
            self.is_refusal_logged = true;
            self.client.reply(&self.session.refuse_connect(&description));
            return Err(Self::refusal(StatusCode::ConnectRejected, reason.to_owned()));
        }
        service.refusals.connects.add(1);
        let reason = service.unknown_app_reason(app);
        service.client_log.warn(format_args!("{} rejected: {reason}", self.client));
        self.is_refusal_logged = true;
        self.client.reply(&self.session.refuse_connect(&reason));
        Err(Self::refusal(StatusCode::ConnectRejected, reason))
    }

    /// Resolves a path, and logs it if the result is another.
    pub(super) fn resolve(&self, path: StreamPath) -> Result<StreamPath, String> {
        let named = path.app.clone();
        let path = self.service.resolve(path)?;
        if path.app != named {
            let client = &self.client;
            log::log!(
                client.event_level(),
                "{client} {path}: resolved from /{}, which is no application",
                named.escape_debug()
            );
        }
        Ok(path)
    }

    /// Returns the resolved path if it may be published.
    fn publishable(&self, path: StreamPath) -> Result<StreamPath, (StatusCode, String)> {
        let path = self.resolve(path).map_err(|reason| (StatusCode::PublishDenied, reason))?;
        if path.app == self.service.vod_app {
            let live = self.service.live_apps.first().map_or("live", String::as_str);
            let reason = format!("\"{}\" plays files; publish to /{live}/NAME", self.service.vod_app);
            return Err((StatusCode::PublishDenied, reason));
        }
        if path.live_name().is_empty() {
            let reason = format!("a stream needs a name: publish to /{}/NAME", path.app);
            return Err((StatusCode::PublishBadName, reason));
        }
        self.check(Operation::Publish, &path).map_err(|reason| (StatusCode::PublishDenied, reason))?;
        Ok(path)
    }

    #[inline(never)]
    fn publish(&mut self, stream_id: u32, path: StreamPath, kind: PublishKind, now: Instant) -> Result<()> {
        let requested = path.to_string();
        let result = match self.publishable(path) {
            Err(refusal) => Err(refusal),
            Ok(path) => {
                let evicted = Arc::downgrade(&self.client);
                let evict = Box::new(move |reason: &str| {
                    if let Some(client) = evicted.upgrade() {
                        client.close(reason);
                    }
                });
                let key = path.stream_key();
                let published = self.service.registry.publish(&key, &self.client.to_string(), now, evict);
                published.map_err(|refused| match refused {
                    PublishRefused::Taken(reason) => (StatusCode::PublishBadName, reason),
                    PublishRefused::TooMany(reason) => (StatusCode::PublishDenied, reason),
                })
            }
        };
        match result {
            Ok(publication) => {
                let agent = self.session.connect_request().map_or("", |connect| &connect.flash_version).escape_debug();
                self.client.mark_active();
                let (client, name) = (&self.client, publication.name().escape_debug());
                log::log!(client.event_level(), "{client} started publishing {name} ({agent})");
                let description = match kind {
                    PublishKind::Live => "Publishing.",
                    PublishKind::Record | PublishKind::Append => "Publishing live: this server does not record.",
                };
                if kind != PublishKind::Live {
                    let why = "this server relays it live and does not record";
                    self.service.client_log.warn(format_args!("{client} ignored recording of {name}: {why}"));
                }
                self.client.reply(&self.session.accept_publish(stream_id, description));
                let low_water = LowWater::new();
                let activity = Activity::Publishing { publication, since: now, bytes: 0, low_water };
                self.activities.insert(stream_id, activity);
                self.enter_phase(Phase::Idle, 0);
                Ok(())
            }
            Err((code, reason)) => {
                let (service, client) = (&self.service, &self.client);
                service.client_log.warn(format_args!("{client} denied publishing {requested}: {reason}"));
                self.is_refusal_logged = true;
                service.refusals.publishes.add(1);
                self.client.reply(&self.session.refuse_publish(stream_id, code, &reason));
                Err(Self::refusal(code, reason))
            }
        }
    }

    /// Ends the activities of the message streams, and tells the client if the connection is draining.
    pub(super) fn end_activities(&mut self, why: &str) {
        let is_draining = self.client.is_draining();
        for (stream_id, activity) in std::mem::take(&mut self.activities) {
            let replies = match &activity {
                Activity::Publishing { .. } => publishing::ended(stream_id, "The server stops."),
                Activity::Playing(_) | Activity::PlayingFile(_) => playing::live_ended(stream_id),
            };
            activity.end(&self.client, why);
            if is_draining {
                self.client.reply(&replies);
            }
        }
        if is_draining {
            self.client.flush_for(limits::CLOSE_GRACE);
        }
    }

    /// Checks access; the error is the reason.
    pub(super) fn check(&self, operation: Operation, path: &StreamPath) -> Result<(), String> {
        self.service.access.check(operation, path, self.client.origin(), &self.verified).map_err(|denied| denied.0)
    }

    /// Returns the error that ends the connection after a refusal.
    fn refusal(code: StatusCode, reason: String) -> Error {
        Error::Refused { code: code.as_str().into(), description: reason.into() }
    }

    fn relay(&mut self, stream_id: u32, packet: Packet, now: Instant) -> Result<()> {
        if let Some(Activity::Publishing { publication, bytes, low_water, .. }) = self.activities.get_mut(&stream_id) {
            let length = packet.payload.len();
            *bytes += length as u64;
            match packet.kind {
                PacketKind::Audio => low_water.record_audio(length),
                PacketKind::Video if !packet.is_sequence_header() => {
                    low_water.record_frame(length, packet.timestamp, now)
                }
                _ => {}
            }
            self.client.record_message(now);
            publication.send(packet, now).map_err(|_| Error::Disconnected)?;
        }
        Ok(())
    }

    /// Enters the phase of the client's activities: at least `minimum`, for what they don't show, and with `upcoming`
    /// activities about to start.
    pub(super) fn enter_phase(&self, minimum: Phase, upcoming: usize) {
        let phases = self.activities.values().map(|activity| match activity {
            Activity::Publishing { .. } => Phase::Publishing,
            Activity::Playing(play) if play.is_paused() => Phase::Paused,
            Activity::PlayingFile(play) if play.is_paused() => Phase::Paused,
            Activity::Playing(_) | Activity::PlayingFile(_) => Phase::Playing,
        });
        self.client.enter(phases.fold(minimum, Phase::max), self.activities.len() + upcoming);
        self.update_activities();
    }

    /// Reports the activities of its message streams.
    #[inline(never)]
    pub(super) fn update_activities(&self) {
        let (mut publishes, mut plays) = (Vec::new(), Vec::new());
        for activity in self.activities.values() {
            match activity {
                Activity::Publishing { publication, .. } => publishes.push(publication.name().to_owned()),
                Activity::Playing(play) => plays.push(play.name().to_owned()),
                Activity::PlayingFile(play) => plays.push(play.name().to_owned()),
            }
        }
        self.client.set_activities(publishes, plays);
    }
}
