//! `play` and the replies to players (RTMP 1.0 §7.2.2.1 and following).
//!
//! The order of the messages is one that ffmpeg, VLC, rtmpdump and GStreamer accept, as tested.

use super::{Reply, StreamPath};
use crate::amf::{Object, Value, amf0};
use crate::media::{Packet, PacketKind, Timestamp};
use crate::rtmp::command::Command;
use crate::rtmp::message::Message;
use crate::rtmp::status::StatusCode;
use crate::rtmp::user_control::UserControl;

/// The parameters of a `play`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlayRequest {
    /// Live stream or file.
    pub path: StreamPath,
    /// Start position in a file, in milliseconds. The specification says seconds; every client sends milliseconds.
    /// `None` for live, or for either.
    pub start_ms: Option<u32>,
    /// Duration in milliseconds; `None` to the end.
    pub duration_ms: Option<u32>,
    /// The player's buffer length in milliseconds, if set before.
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

/// The kind of source being played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A live stream, possibly without a publisher yet.
    Live,
    /// A file.
    Recording,
}

/// Returns the replies for a started play; media follows.
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

/// Flash requires this before a page may access samples; other clients ignore it.
fn sample_access(stream_id: u32) -> Reply {
    let values = [Value::from("|RtmpSampleAccess"), true.into(), true.into()];
    Reply::data(stream_id, &values)
}

/// Returns the replies for a refused play.
pub(crate) fn refused(stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
    vec![Reply::status(stream_id, code, reason)]
}

/// Returns the replies for a paused play.
pub(crate) fn paused(stream_id: u32) -> Vec<Reply> {
    vec![Reply::status(stream_id, StatusCode::PauseNotify, "Paused.")]
}

/// Returns the replies for a resumed play; media follows.
pub(crate) fn resumed(stream_id: u32) -> Vec<Reply> {
    vec![
        Reply::event(UserControl::StreamBegin(stream_id)),
        Reply::status(stream_id, StatusCode::UnpauseNotify, "Playing again."),
    ]
}

/// Returns the replies for a completed seek; sequence headers and the key frame follow. ffmpeg discards everything up
/// to Seek.Notify.
pub(crate) fn seek_completed(stream_id: u32, source: Source, position_ms: u32) -> Vec<Reply> {
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

/// Returns the replies for a failed seek; the play continues as before.
pub(crate) fn seek_failed(stream_id: u32, reason: &str) -> Vec<Reply> {
    vec![Reply::status(stream_id, StatusCode::SeekFailed, reason)]
}

/// Returns the replies for a `receiveAudio` or `receiveVideo` that turned a kind on (RTMP 1.0 §7.2.2.4, §7.2.2.5).
pub(crate) fn receiving(stream_id: u32) -> Vec<Reply> {
    vec![
        Reply::status(stream_id, StatusCode::SeekNotify, "Going on from here."),
        Reply::status(stream_id, StatusCode::PlayStart, "Started playing again."),
    ]
}

/// Returns the replies for the end of a live stream. Each client stops at a different one of these.
pub(crate) fn live_ended(stream_id: u32) -> Vec<Reply> {
    vec![
        Reply::event(UserControl::StreamEof(stream_id)),
        Reply::status(stream_id, StatusCode::PlayUnpublishNotify, "The publisher is gone."),
        Reply::status(stream_id, StatusCode::PlayStop, "Stopped playing."),
    ]
}

/// Returns the replies for a file that was sent to its end, or to the end of the requested duration.
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

/// Returns the response to `getStreamLength`: seconds, 0 for a live stream.
pub(crate) fn stream_length(transaction_id: f64, seconds: f64) -> Vec<Reply> {
    vec![Reply::command(0, Command::result(transaction_id, Value::Null, seconds.into()))]
}

impl Reply {
    /// A data message at time 0: with any other timestamp ffmpeg treats it as a subtitle.
    fn data(stream_id: u32, values: &[Value]) -> Self {
        let packet =
            Packet { kind: PacketKind::Data, timestamp: Timestamp::ZERO, payload: amf0::encode_all(values).into() };
        Self { stream_id, message: Message::Media(packet) }
    }
}
