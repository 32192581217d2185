//! Playback: live streams and files, pause, seek, and receiving audio or video only.

use std::time::Instant;

use super::RtmpConnection;
use super::activity::Activity;
use super::file_play::FilePlay;
use super::live_play::LivePlay;
use crate::access::Operation;
use crate::error::{Error, Result};
use crate::limits;
use crate::live::{StartAt, SubscriptionFilter};
use crate::media::PacketKind;
use crate::rtmp::status::StatusCode;
use crate::session::{PlayRequest, Source, playing};
use crate::transport::Phase;
use crate::vod::{Control, Video};

/// The status and description of a refusal.
type Refusal = (StatusCode, String);

impl RtmpConnection {
    /// # Errors
    /// [`Error::Limit`] after too many consecutive refused plays.
    #[inline(never)]
    pub(super) fn play(&mut self, stream_id: u32, mut request: PlayRequest) -> Result<()> {
        let resolved = self.resolve(request.path.clone()).map_err(|reason| (StatusCode::PlayStreamNotFound, reason));
        let permitted = resolved.and_then(|path| {
            request.path = path;
            self.check(Operation::Play, &request.path).map_err(|reason| (StatusCode::PlayFailed, reason))
        });
        let result = permitted.and_then(|()| match request.path.app == self.service.vod_app {
            true => self.play_file(stream_id, &request),
            false => self.play_live(stream_id, &request),
        });
        match result {
            Ok(()) => {
                self.consecutive_refusals = 0;
                self.update_activities();
                self.client.mark_active();
                log::log!(self.client.event_level(), "{} started playing {}", self.client, request.path);
                Ok(())
            }
            Err((code, reason)) => {
                let denied = format_args!("{} denied playing {}: {reason}", self.client, request.path);
                self.service.client_log.warn(denied);
                self.client.reply(&self.session.refuse_play(stream_id, code, &reason));
                self.record_refusal()
            }
        }
    }

    /// Counts a refused request: a client with many in a row is guessing keys.
    #[inline(never)]
    pub(super) fn record_refusal(&mut self) -> Result<()> {
        self.service.refusals.plays.add(1);
        self.consecutive_refusals += 1;
        if self.consecutive_refusals < limits::CONSECUTIVE_REFUSALS {
            return Ok(());
        }
        let (value, limit) = (self.consecutive_refusals.into(), (limits::CONSECUTIVE_REFUSALS - 1).into());
        Err(Error::Limit { what: "the number of refused requests", value, limit })
    }

    /// Sets the deadlines before playback starts: a short file may have ended, and set its close time, before that
    /// returns.
    fn begin_playing(&self, stream_id: u32) {
        self.client.keep_open(stream_id);
        self.enter_phase(Phase::Playing, 1);
    }

    // Opening a file goes deepest into the stack, whose pages stay: nothing else lies there meanwhile.
    #[inline(never)]
    fn play_file(&mut self, stream_id: u32, request: &PlayRequest) -> Result<(), Refusal> {
        let files = self.activities.values().filter(|activity| matches!(activity, Activity::PlayingFile(_))).count();
        if files >= limits::FILES_PER_CONNECTION {
            return Err((StatusCode::PlayFailed, format!("this connection plays {files} files already")));
        }
        let video = self.open_video(&request.path.name)?;
        self.start_file(video, stream_id, request)
    }

    #[inline(never)]
    fn start_file(&mut self, video: Box<Video>, stream_id: u32, request: &PlayRequest) -> Result<(), Refusal> {
        self.begin_playing(stream_id);
        self.client.socket().set_live(false);
        let play = FilePlay::start(video, request, stream_id, &self.client, self.service.clone()).map_err(|error| {
            self.enter_phase(Phase::Idle, 0);
            (StatusCode::PlayFailed, error.to_string())
        })?;
        self.activities.insert(stream_id, Activity::PlayingFile(play));
        Ok(())
    }

    #[inline(never)]
    fn open_video(&self, name: &str) -> Result<Box<Video>, Refusal> {
        self.service.library.open(name).map_err(|error| match error {
            Error::Refused { description, .. } => (StatusCode::PlayStreamNotFound, description.into_owned()),
            error => (StatusCode::PlayFailed, error.to_string()),
        })
    }

    #[inline(never)]
    fn play_live(&mut self, stream_id: u32, request: &PlayRequest) -> Result<(), Refusal> {
        let path = &request.path;
        let name = path.live_name();
        if name.is_empty() {
            let reason = format!("a stream needs a name: play /{}/NAME", path.app);
            return Err((StatusCode::PlayStreamNotFound, reason));
        }
        let start_at = self.service.start_at(path);
        self.begin_playing(stream_id);
        self.client.reply(&playing::started(stream_id, Source::Live, &name));
        let mut play = LivePlay {
            name: path.stream_key(),
            since: Instant::now(),
            filter: SubscriptionFilter::default(),
            subscription: None,
            dropped: 0,
            sent_before: self.client.sent(),
        };
        self.subscribe(stream_id, &mut play, start_at);
        self.activities.insert(stream_id, Activity::Playing(play));
        Ok(())
    }

    fn subscribe(&self, stream_id: u32, play: &mut LivePlay, start_at: StartAt) {
        play.unsubscribe();
        // What is left of the last play would stay queued for as long as the client likes.
        self.client.discard(stream_id);
        self.client.socket().set_live(true);
        play.subscription = Some(self.service.registry.with_stream(&play.name, |stream| {
            stream.subscribe(self.client.clone(), stream_id, self.client.lane(), start_at, play.filter)
        }));
    }

    /// Takes the activity out, so that it and the connection can be borrowed side by side.
    fn with_live_play(&mut self, stream_id: u32, update: impl FnOnce(&Self, &mut LivePlay)) {
        let Some(mut activity) = self.activities.remove(&stream_id) else { return };
        if let Activity::Playing(play) = &mut activity {
            update(self, play);
        }
        self.activities.insert(stream_id, activity);
    }

    /// Sends a control to a file's player; returns whether the message stream plays a file.
    pub(super) fn control(&mut self, stream_id: u32, control: Control) -> bool {
        let Some(Activity::PlayingFile(play)) = self.activities.get_mut(&stream_id) else { return false };
        play.control(control);
        true
    }

    #[inline(never)]
    pub(super) fn pause(&mut self, stream_id: u32, paused: bool, position_ms: u32) {
        let control = if paused { Control::Pause { position_ms } } else { Control::Resume { position_ms } };
        // Resuming may end playback at once, for which the phase has to be set; pausing does not.
        if !paused {
            self.enter_phase(Phase::Playing, 0);
        }
        self.control(stream_id, control);
        self.with_live_play(stream_id, |connection, play| {
            if paused {
                play.unsubscribe();
                connection.client.discard(stream_id);
                connection.client.reply(&playing::paused(stream_id));
            } else {
                connection.client.reply(&playing::resumed(stream_id));
                connection.subscribe(stream_id, play, StartAt::NextKeyFrame);
            }
        });
        if paused {
            self.enter_phase(Phase::Idle, 0);
        }
    }

    #[inline(never)]
    pub(super) fn seek(&mut self, stream_id: u32, position_ms: u32) {
        self.enter_phase(Phase::Idle, 0);
        if self.control(stream_id, Control::Seek { position_ms }) {
            return;
        }
        // A live stream can't seek, but ffmpeg would wait for the reply for ever.
        self.with_live_play(stream_id, |connection, play| {
            connection.client.reply(&playing::seek_completed(stream_id, Source::Live, position_ms));
            connection.subscribe(stream_id, play, StartAt::NextKeyFrame);
        });
    }

    #[inline(never)]
    pub(super) fn receive(&mut self, stream_id: u32, kind: PacketKind, wanted: bool) {
        let control = match kind {
            PacketKind::Audio => Control::ReceiveAudio(wanted),
            _ => Control::ReceiveVideo(wanted),
        };
        let is_file = self.control(stream_id, control);
        if wanted {
            self.client.reply(&playing::receiving(stream_id));
        }
        if is_file {
            return;
        }
        self.with_live_play(stream_id, |_, play| {
            match kind {
                PacketKind::Audio => play.filter.audio = wanted,
                _ => play.filter.video = wanted,
            }
            if let Some(subscription) = &play.subscription {
                subscription.set_filter(play.filter);
            }
        });
    }
}
