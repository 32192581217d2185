//! `play` and what players are told on the way (RTMP 1.0 §7.2.2.1 and following).
//!
//! The orders below are those that ffmpeg, VLC, rtmpdump and GStreamer were seen to understand.

use super::{Reply, StreamPath};
use crate::amf::{Object, Value, amf0};
use crate::media::{Packet, PacketKind, Timestamp};
use crate::rtmp::command::Command;
use crate::rtmp::message::Message;
use crate::rtmp::status::StatusCode;
use crate::rtmp::user_control::UserControl;

/// What a player asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlayRequest {
    /// Live stream or file.
    pub path: StreamPath,
    /// Where to start in a file, in milliseconds. The specification says seconds; every client sends
    /// milliseconds. `None` when it asked for live, or for whatever there is.
    pub start_ms: Option<u32>,
    /// How much to send, in milliseconds; `None` to the end.
    pub duration_ms: Option<u32>,
    /// How much the player wants to have buffered, in milliseconds, if it said so before.
    pub buffer_ms: Option<u32>,
}

impl PlayRequest {
    pub(super) fn new(path: StreamPath, command: &Command, buffer_ms: Option<u32>) -> Self {
        let milliseconds = |index| {
            let number = command.argument(index).as_number();
            number.filter(|number| *number >= 0.0).map(|number| number as u32)
        };
        Self { path, start_ms: milliseconds(1), duration_ms: milliseconds(2), buffer_ms }
    }
}

/// What is being played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A live stream, which may have no publisher yet.
    Live,
    /// A file.
    Recording,
}

/// The play begins; media follows.
pub(crate) fn started(stream_id: u32, source: Source, name: &str) -> Vec<Reply> {
    let mut replies = vec![
        Reply::event(UserControl::StreamBegin(stream_id)),
        Reply::status(stream_id, StatusCode::PlayReset, format!("Playing and resetting {name}.")),
        Reply::status(stream_id, StatusCode::PlayStart, format!("Started playing {name}.")),
        sample_access(stream_id),
    ];
    if source == Source::Recording {
        replies.insert(0, Reply::event(UserControl::StreamIsRecorded(stream_id)));
    }
    replies
}

/// Flash asks for this before it lets a page look at the pixels; everyone else ignores it.
fn sample_access(stream_id: u32) -> Reply {
    let values = [Value::from("|RtmpSampleAccess"), true.into(), true.into()];
    Reply::data(stream_id, &values)
}

/// The play can't begin.
pub(crate) fn refused(stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
    vec![Reply::status(stream_id, code, reason)]
}

/// `pause` took effect.
pub(crate) fn paused(stream_id: u32) -> Vec<Reply> {
    vec![Reply::status(stream_id, StatusCode::PauseNotify, "Paused.")]
}

/// The pause is over; media follows.
pub(crate) fn resumed(stream_id: u32) -> Vec<Reply> {
    vec![
        Reply::event(UserControl::StreamBegin(stream_id)),
        Reply::status(stream_id, StatusCode::UnpauseNotify, "Playing again."),
    ]
}

/// `seek` took effect; sequence headers and the key frame follow. ffmpeg throws everything away until
/// it has seen Seek.Notify.
pub(crate) fn sought(stream_id: u32, source: Source, position_ms: u32) -> Vec<Reply> {
    let mut replies = vec![
        Reply::event(UserControl::StreamBegin(stream_id)),
        Reply::status(stream_id, StatusCode::SeekNotify, format!("Seeking {position_ms} ms.")),
        Reply::status(stream_id, StatusCode::PlayStart, "Started playing again."),
    ];
    if source == Source::Recording {
        let before = [UserControl::StreamEof(stream_id), UserControl::StreamIsRecorded(stream_id)];
        replies.splice(0..0, before.map(Reply::event));
    }
    replies
}

/// `seek` can't be done; the play goes on where it was.
pub(crate) fn seek_failed(stream_id: u32, reason: &str) -> Vec<Reply> {
    vec![Reply::status(stream_id, StatusCode::SeekFailed, reason)]
}

/// `receiveAudio` or `receiveVideo` turned a kind on again (RTMP 1.0 §7.2.2.4, §7.2.2.5).
pub(crate) fn receiving(stream_id: u32) -> Vec<Reply> {
    vec![
        Reply::status(stream_id, StatusCode::SeekNotify, "Going on from here."),
        Reply::status(stream_id, StatusCode::PlayStart, "Started playing again."),
    ]
}

/// The live stream has ended for good. Each client stops at a different one of these.
pub(crate) fn live_ended(stream_id: u32) -> Vec<Reply> {
    vec![
        Reply::event(UserControl::StreamEof(stream_id)),
        Reply::status(stream_id, StatusCode::PlayUnpublishNotify, "The publisher is gone."),
        Reply::status(stream_id, StatusCode::PlayStop, "Stopped playing."),
    ]
}

/// The file was sent to its end, or as far as `play` asked.
pub(crate) fn recording_ended(stream_id: u32, duration_ms: u32, bytes: u64) -> Vec<Reply> {
    let complete = Object::new()
        .with("level", StatusCode::PlayComplete.level())
        .with("code", StatusCode::PlayComplete.as_str())
        .with("duration", f64::from(duration_ms) / 1000.0)
        .with("bytes", bytes as f64);
    vec![
        Reply::event(UserControl::StreamEof(stream_id)),
        Reply::data(stream_id, &[Value::from("onPlayStatus"), complete.into()]),
        Reply::status(stream_id, StatusCode::PlayStop, "Stopped playing."),
    ]
}

/// The answer to `getStreamLength`: seconds, 0 for a live stream.
pub(crate) fn stream_length(transaction_id: f64, seconds: f64) -> Vec<Reply> {
    vec![Reply::command(0, Command::result(transaction_id, Value::Null, seconds.into()))]
}

impl Reply {
    /// A data message at time 0: at any other time ffmpeg takes it for a subtitle.
    fn data(stream_id: u32, values: &[Value]) -> Self {
        let packet =
            Packet { kind: PacketKind::Data, timestamp: Timestamp::ZERO, payload: amf0::encode_all(values).into() };
        Self { stream_id, message: Message::Media(packet) }
    }
}
