//! The server side of the protocol as a state machine: messages in, actions out. It has no socket, thread or clock.
//!
//! States of a message stream (usually created by `createStream`, though some devices use one without it):
//!
//! ```text
//!             publish → Publishing ─┐
//!      Idle <                       ├─ closeStream, deleteStream, FCUnpublish, a new publish or play → Idle
//!             play    → Playing ────┘
//! ```
//!
//! Decisions beyond the protocol (is the name free? does the file exist?) are requested by an [`Action`] and answered by
//! [`Session::accept_publish`] and similar methods, which return the replies to the client.

mod action;
mod connecting;
pub(crate) mod playing;
pub(crate) mod publishing;
mod stream_path;
mod streams;

pub(crate) use action::{Action, Reply};
pub(crate) use connecting::ConnectRequest;
pub(crate) use playing::{PlayRequest, Source};
pub(crate) use publishing::PublishKind;
pub(crate) use stream_path::StreamPath;

use crate::amf::Value;
use crate::error::{Error, Result};
use crate::limits;
use crate::media::{Packet, PacketKind};
use crate::rtmp::command::Command;
use crate::rtmp::status::StatusCode;
use crate::rtmp::user_control::UserControl;
use crate::rtmp::{BandwidthLimit, Message};
use streams::{MessageStreams, Role};

/// The protocol state of one client connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    connect: Option<ConnectRequest>,
    is_accepted: bool,
    streams: MessageStreams,
    /// The buffer length from a SetBufferLength before there was a message stream.
    buffer_ms: Option<u32>,
    /// The window acknowledgement size last sent to the client, in bytes.
    window: u32,
    /// Whether the last Set Peer Bandwidth counts as hard.
    is_bandwidth_hard: bool,
}

impl Session {
    /// Creates a session in the state before `connect`.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns the client's `connect` request, once received.
    pub(crate) fn connect_request(&self) -> Option<&ConnectRequest> {
        self.connect.as_ref()
    }

    /// Handles a message and appends the resulting actions.
    ///
    /// # Errors
    /// [`Error::Message`] and [`Error::Limit`] for unrecoverable violations: the connection must be closed.
    pub(crate) fn handle(&mut self, stream_id: u32, message: Message, actions: &mut Vec<Action>) -> Result<()> {
        match message {
            Message::Media(packet) => self.media(stream_id, [packet], actions),
            Message::Aggregate(packets) => self.media(stream_id, packets, actions),
            Message::Command(command) => return self.command(stream_id, command, actions),
            Message::UserControl(event) => self.user_control(event, actions),
            Message::SetPeerBandwidth { size, limit } => actions.extend(self.bandwidth(size, limit)),
            Message::Other(type_id) => actions.push(Action::Unknown(format!("a message of type {type_id}"))),
            _ => {}
        }
        Ok(())
    }

    fn media(&self, stream_id: u32, packets: impl IntoIterator<Item = Packet>, actions: &mut Vec<Action>) {
        if let Some(stream_id) = self.streams.resolve(stream_id, |role| matches!(role, Role::Publishing(_))) {
            actions.extend(packets.into_iter().map(|packet| Action::Media { stream_id, packet }));
        }
    }

    fn user_control(&mut self, event: UserControl, actions: &mut Vec<Action>) {
        match event {
            UserControl::PingRequest(time) => {
                actions.push(Action::Reply(Reply::event(UserControl::PingResponse(time))));
            }
            UserControl::SetBufferLength { stream_id, buffer_ms } => {
                if self.streams.set_buffer(stream_id, buffer_ms) {
                    actions.push(Action::BufferLength { stream_id, buffer_ms });
                } else {
                    self.buffer_ms = Some(buffer_ms);
                }
            }
            _ => {}
        }
    }

    /// Handles Set Peer Bandwidth: a changed size is answered with Window Acknowledgement Size (RTMP 1.0 §5.4.5). Output
    /// is not limited to it, as TCP has flow control.
    fn bandwidth(&mut self, size: u32, limit: BandwidthLimit) -> Option<Action> {
        let window = match limit {
            BandwidthLimit::Hard => size,
            BandwidthLimit::Soft => size.min(self.window),
            BandwidthLimit::Dynamic | BandwidthLimit::Other(_) if self.is_bandwidth_hard => size,
            _ => return None,
        };
        self.is_bandwidth_hard = limit != BandwidthLimit::Soft;
        if window == 0 || std::mem::replace(&mut self.window, window) == window {
            return None;
        }
        Some(Action::Reply(Reply { stream_id: 0, message: Message::WindowAckSize(window) }))
    }

    fn command(&mut self, stream_id: u32, command: Command, actions: &mut Vec<Action>) -> Result<()> {
        if !self.is_accepted && command.name != "connect" {
            return Err(Error::message(display_name(&command.name), "received before connect"));
        }
        let transaction_id = command.transaction_id;
        let result = || Command::result(transaction_id, Value::Null, Value::Undefined);
        match command.name.as_str() {
            "connect" => {
                if self.connect.is_some() {
                    return Err(Error::message("connect", "received twice"));
                }
                let request = ConnectRequest::new(&command);
                self.connect = Some(request.clone());
                actions.push(Action::Connect(request));
            }
            "createStream" => actions.push(Action::Reply(self.create_stream(transaction_id))),
            "publish" => self.publish(stream_id, &command, actions)?,
            "play" => self.play(stream_id, &command, actions)?,
            "play2" => {
                let reason = "Switching between streams is not supported: use play.";
                actions.push(Action::Reply(Reply::status(stream_id, StatusCode::PlayFailed, reason)));
            }
            "pause" | "pauseRaw" => {
                if let Some(stream_id) = self.streams.resolve(stream_id, is_playing) {
                    let paused = command.argument(0).as_bool().unwrap_or(true);
                    let position_ms = milliseconds(command.argument(1));
                    actions.push(Action::Pause { stream_id, paused, position_ms });
                }
            }
            "seek" => {
                if let Some(stream_id) = self.streams.resolve(stream_id, is_playing) {
                    actions.push(Action::Seek { stream_id, position_ms: milliseconds(command.argument(0)) });
                }
            }
            "receiveAudio" => self.receive(stream_id, PacketKind::Audio, &command, actions),
            "receiveVideo" => self.receive(stream_id, PacketKind::Video, &command, actions),
            "closeStream" => {
                if let Some(stream_id) = self.streams.resolve(stream_id, |role| *role != Role::Idle) {
                    self.stop(stream_id, actions);
                }
            }
            "deleteStream" => self.delete_stream(&command, actions),
            "FCUnpublish" => {
                if let Some(stream_id) = self.publishing(command.argument(0)) {
                    self.stop(stream_id, actions);
                }
                self.respond(result(), actions);
            }
            "getStreamLength" => {
                let path = self.path(command.argument(0))?;
                actions.push(Action::StreamLength { transaction_id, path });
            }
            "releaseStream" | "FCPublish" | "FCSubscribe" | "_checkbw" => self.respond(result(), actions),
            // Responses to requests that were never sent; replying to them could cause a loop.
            "_result" | "_error" | "onStatus" => {}
            unknown => {
                let unknown = display_name(unknown);
                actions.push(Action::Unknown(format!("the command {unknown}")));
                let info = StatusCode::CallFailed.info(format!("The command {unknown} is not known."));
                self.respond(Command::error(transaction_id, info), actions);
            }
        }
        Ok(())
    }

    /// Sends a response if one was requested.
    fn respond(&self, response: Command, actions: &mut Vec<Action>) {
        if response.transaction_id > 0.0 {
            actions.push(Action::Reply(Reply::command(0, response)));
        }
    }

    fn create_stream(&mut self, transaction_id: f64) -> Reply {
        let Some(stream_id) = self.streams.create() else {
            let reason = format!("There are {} streams on this connection already.", limits::MESSAGE_STREAMS);
            return Reply::command(0, Command::error(transaction_id, StatusCode::CallFailed.info(reason)));
        };
        Reply::command(0, Command::result(transaction_id, Value::Null, f64::from(stream_id).into()))
    }

    fn publish(&mut self, stream_id: u32, command: &Command, actions: &mut Vec<Action>) -> Result<()> {
        let stream_id = self.streams.open(stream_id, &command.name)?;
        self.stop(stream_id, actions);
        let path = self.path(command.argument(0))?;
        self.streams.set_role(stream_id, Role::Publishing(path.clone()));
        actions.push(Action::Publish { stream_id, path, kind: PublishKind::new(command.argument(1)) });
        Ok(())
    }

    fn play(&mut self, stream_id: u32, command: &Command, actions: &mut Vec<Action>) -> Result<()> {
        let stream_id = self.streams.open(stream_id, &command.name)?;
        self.stop(stream_id, actions);
        let buffer_ms = self.streams.buffer_ms(stream_id).or(self.buffer_ms);
        let request = PlayRequest::new(self.path(command.argument(0))?, command, buffer_ms);
        self.streams.set_role(stream_id, Role::Playing);
        actions.push(Action::Play { stream_id, request });
        Ok(())
    }

    fn receive(&self, stream_id: u32, kind: PacketKind, command: &Command, actions: &mut Vec<Action>) {
        if let Some(stream_id) = self.streams.resolve(stream_id, is_playing) {
            let enabled = command.argument(0).as_bool().unwrap_or(true);
            actions.push(Action::Receive { stream_id, kind, enabled });
        }
    }

    fn delete_stream(&mut self, command: &Command, actions: &mut Vec<Action>) {
        let stream_id = match command.argument(0) {
            // GStreamer's rtmp2sink sends the stream's name instead of its ID.
            name @ Value::String(_) => self.publishing(name),
            id => id.as_number().map(|id| id as u32),
        };
        if let Some(stream_id) = stream_id {
            self.stop(stream_id, actions);
            self.streams.remove(stream_id);
        }
    }

    /// Returns the message stream that publishes this name; if there is none, the only one that publishes.
    fn publishing(&self, name: &Value) -> Option<u32> {
        self.streams.publishing(self.path(name).ok().as_ref())
    }

    fn path(&self, name: &Value) -> Result<StreamPath> {
        let app = self.connect.as_ref().map_or("", |connect| &connect.app);
        StreamPath::new(app, name.as_str().unwrap_or_default())
    }

    fn stop(&mut self, stream_id: u32, actions: &mut Vec<Action>) {
        let role = self.streams.take_role(stream_id);
        if role != Role::Idle {
            actions.push(Action::Stop { stream_id });
        }
        if let Role::Publishing(path) = role {
            let description = format!("{} is no longer published.", path.name);
            actions.push(Action::Reply(Reply::status(stream_id, StatusCode::UnpublishSuccess, description)));
        }
    }

    /// Accepts the connection; returns the replies.
    pub(crate) fn accept_connect(&mut self) -> Vec<Reply> {
        self.is_accepted = true;
        self.window = limits::ACKNOWLEDGEMENT_WINDOW;
        self.connect.as_ref().map(ConnectRequest::accept).unwrap_or_default()
    }

    /// Refuses the connection; returns the replies to send before closing it.
    pub(crate) fn refuse_connect(&mut self, reason: &str) -> Vec<Reply> {
        self.connect.as_ref().map(|connect| connect.refuse(reason)).unwrap_or_default()
    }

    /// Accepts a publication; returns the replies.
    pub(crate) fn accept_publish(&mut self, stream_id: u32, description: &str) -> Vec<Reply> {
        publishing::started(stream_id, description)
    }

    /// Refuses a publication; returns the replies to send before closing the connection, as closing is the only refusal
    /// that librtmp understands.
    pub(crate) fn refuse_publish(&mut self, stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
        self.streams.set_role(stream_id, Role::Idle);
        publishing::refused(stream_id, code, reason)
    }

    /// Refuses a play; returns the replies.
    pub(crate) fn refuse_play(&mut self, stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
        self.streams.set_role(stream_id, Role::Idle);
        playing::refused(stream_id, code, reason)
    }
}

/// Escapes and shortens the name of an unknown command, which may be a megabyte of anything, for logs and replies.
fn display_name(name: &str) -> String {
    name.escape_debug().take(limits::SHOWN_COMMAND_CHARS).collect()
}

fn is_playing(role: &Role) -> bool {
    *role == Role::Playing
}

fn milliseconds(value: &Value) -> u32 {
    value.as_number().unwrap_or(0.0) as u32
}

#[cfg(test)]
mod tests;
