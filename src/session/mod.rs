//! The server's side of the protocol as a state machine: messages in, actions out. There is no socket,
//! no thread and no clock in here.
//!
//! Transitions of a message stream (`createStream` makes one, some devices go without):
//!
//! ```text
//!             publish → Publishing ─┐
//!      Idle <                       ├─ closeStream, deleteStream, FCUnpublish, a new publish or play → Idle
//!             play    → Playing ────┘
//! ```
//!
//! What needs a decision that is not the protocol's (is the name free? is there such a file?) comes out
//! as an [`Action`], and the decision goes back in by [`Session::accept_publish`] and its like, which
//! return what to tell the client.

mod action;
mod connecting;
pub(crate) mod playing;
pub(crate) mod publishing;
mod stream_path;

use std::collections::BTreeMap;

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

#[derive(Debug, Default)]
struct MessageStream {
    role: Role,
    buffer_ms: Option<u32>,
}

#[derive(Debug, Default, PartialEq)]
enum Role {
    #[default]
    Idle,
    Publishing(StreamPath),
    Playing,
}

/// The state of one client's connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    connect: Option<ConnectRequest>,
    accepted: bool,
    streams: BTreeMap<u32, MessageStream>,
    /// SetBufferLength came before there was a message stream.
    buffer_ms: Option<u32>,
    /// What the client was told of ours, in bytes.
    window: u32,
    /// The last limit that the client set was hard.
    bandwidth_is_hard: bool,
}

impl Session {
    /// A session before its `connect`.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// What the client said of itself, once it did.
    pub(crate) fn connect_request(&self) -> Option<&ConnectRequest> {
        self.connect.as_ref()
    }

    /// Takes a message and appends what it asks for to `actions`.
    ///
    /// # Errors
    /// [`Error::Message`] and [`Error::Limit`] for what leaves no sensible way on: the connection is to be closed.
    pub(crate) fn handle(&mut self, stream_id: u32, message: Message, actions: &mut Vec<Action>) -> Result<()> {
        match message {
            Message::Media(packet) => self.media(stream_id, [packet], actions),
            Message::Aggregate(packets) => self.media(stream_id, packets, actions),
            Message::Command(command) => return self.command(stream_id, command, actions),
            Message::UserControl(event) => self.event(event, actions),
            Message::SetPeerBandwidth { size, limit } => actions.extend(self.bandwidth(size, limit)),
            Message::Other(type_id) => actions.push(Action::Unknown(format!("a message of type {type_id}"))),
            _ => {}
        }
        Ok(())
    }

    fn media(&self, stream_id: u32, packets: impl IntoIterator<Item = Packet>, actions: &mut Vec<Action>) {
        if let Some(stream_id) = self.meant(stream_id, |role| matches!(role, Role::Publishing(_))) {
            actions.extend(packets.into_iter().map(|packet| Action::Media { stream_id, packet }));
        }
    }

    fn event(&mut self, event: UserControl, actions: &mut Vec<Action>) {
        match event {
            UserControl::PingRequest(time) => {
                actions.push(Action::Reply(Reply::event(UserControl::PingResponse(time))));
            }
            UserControl::SetBufferLength { stream_id, buffer_ms } => match self.streams.get_mut(&stream_id) {
                Some(stream) => {
                    stream.buffer_ms = Some(buffer_ms);
                    actions.push(Action::BufferLength { stream_id, buffer_ms });
                }
                None => self.buffer_ms = Some(buffer_ms),
            },
            _ => {}
        }
    }

    /// A peer that changes our window is told so (RTMP 1.0 §5.4.5). Nothing is held back for it: TCP does that.
    fn bandwidth(&mut self, size: u32, limit: BandwidthLimit) -> Option<Action> {
        let window = match limit {
            BandwidthLimit::Hard => size,
            BandwidthLimit::Soft => size.min(self.window),
            BandwidthLimit::Dynamic | BandwidthLimit::Other(_) if self.bandwidth_is_hard => size,
            _ => return None,
        };
        self.bandwidth_is_hard = limit != BandwidthLimit::Soft;
        if window == 0 || std::mem::replace(&mut self.window, window) == window {
            return None;
        }
        Some(Action::Reply(Reply { stream_id: 0, message: Message::WindowAckSize(window) }))
    }

    fn command(&mut self, stream_id: u32, command: Command, actions: &mut Vec<Action>) -> Result<()> {
        if !self.accepted && command.name != "connect" {
            return Err(Error::message(shown(&command.name), "it comes before connect"));
        }
        let transaction_id = command.transaction_id;
        let done = || Command::result(transaction_id, Value::Null, Value::Undefined);
        match command.name.as_str() {
            "connect" => {
                if self.connect.is_some() {
                    return Err(Error::message("connect", "it comes twice"));
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
                if let Some(stream_id) = self.meant(stream_id, is_playing) {
                    let paused = command.argument(0).as_bool().unwrap_or(true);
                    let position_ms = milliseconds(command.argument(1));
                    actions.push(Action::Pause { stream_id, paused, position_ms });
                }
            }
            "seek" => {
                if let Some(stream_id) = self.meant(stream_id, is_playing) {
                    actions.push(Action::Seek { stream_id, position_ms: milliseconds(command.argument(0)) });
                }
            }
            "receiveAudio" => self.receive(stream_id, PacketKind::Audio, &command, actions),
            "receiveVideo" => self.receive(stream_id, PacketKind::Video, &command, actions),
            "closeStream" => {
                if let Some(stream_id) = self.meant(stream_id, |role| *role != Role::Idle) {
                    self.stop(stream_id, actions);
                }
            }
            "deleteStream" => self.delete_stream(&command, actions),
            "FCUnpublish" => {
                if let Some(stream_id) = self.publishing(command.argument(0)) {
                    self.stop(stream_id, actions);
                }
                self.answer(done(), actions);
            }
            "getStreamLength" => {
                let path = self.path(command.argument(0))?;
                actions.push(Action::StreamLength { transaction_id, path });
            }
            "releaseStream" | "FCPublish" | "FCSubscribe" | "_checkbw" => self.answer(done(), actions),
            // Answers to what was never asked; an answer to them might go on for ever.
            "_result" | "_error" | "onStatus" => {}
            unknown => {
                let unknown = shown(unknown);
                actions.push(Action::Unknown(format!("the command {unknown}")));
                let info = StatusCode::CallFailed.info(format!("The command {unknown} is not known."));
                self.answer(Command::error(transaction_id, info), actions);
            }
        }
        Ok(())
    }

    /// Sends an answer, if one was asked for.
    fn answer(&self, answer: Command, actions: &mut Vec<Action>) {
        if answer.transaction_id > 0.0 {
            actions.push(Action::Reply(Reply::command(0, answer)));
        }
    }

    fn create_stream(&mut self, transaction_id: f64) -> Reply {
        // GStreamer looks for the end of the stream on message stream 1 only, so the first is 1.
        // Streams that were used without asking count as well, whatever their numbers.
        let is_full = self.streams.len() >= limits::MESSAGE_STREAMS;
        let free = (1..=limits::MESSAGE_STREAMS as u32).find(|id| !is_full && !self.streams.contains_key(id));
        let Some(stream_id) = free else {
            let reason = format!("There are {} streams on this connection already.", limits::MESSAGE_STREAMS);
            return Reply::command(0, Command::error(transaction_id, StatusCode::CallFailed.info(reason)));
        };
        self.streams.insert(stream_id, MessageStream::default());
        Reply::command(0, Command::result(transaction_id, Value::Null, f64::from(stream_id).into()))
    }

    fn publish(&mut self, stream_id: u32, command: &Command, actions: &mut Vec<Action>) -> Result<()> {
        let stream_id = self.open(stream_id, &command.name)?;
        self.stop(stream_id, actions);
        let path = self.path(command.argument(0))?;
        self.set_role(stream_id, Role::Publishing(path.clone()));
        actions.push(Action::Publish { stream_id, path, kind: PublishKind::new(command.argument(1)) });
        Ok(())
    }

    fn play(&mut self, stream_id: u32, command: &Command, actions: &mut Vec<Action>) -> Result<()> {
        let stream_id = self.open(stream_id, &command.name)?;
        self.stop(stream_id, actions);
        let buffer_ms = self.streams.get(&stream_id).and_then(|stream| stream.buffer_ms).or(self.buffer_ms);
        let request = PlayRequest::new(self.path(command.argument(0))?, command, buffer_ms);
        self.set_role(stream_id, Role::Playing);
        actions.push(Action::Play { stream_id, request });
        Ok(())
    }

    fn receive(&self, stream_id: u32, kind: PacketKind, command: &Command, actions: &mut Vec<Action>) {
        if let Some(stream_id) = self.meant(stream_id, is_playing) {
            let wanted = command.argument(0).as_bool().unwrap_or(true);
            actions.push(Action::Receive { stream_id, kind, wanted });
        }
    }

    fn delete_stream(&mut self, command: &Command, actions: &mut Vec<Action>) {
        let stream_id = match command.argument(0) {
            // GStreamer's rtmp2sink gives the stream's name where its number belongs.
            name @ Value::String(_) => self.publishing(name),
            number => number.as_number().map(|id| id as u32),
        };
        if let Some(stream_id) = stream_id {
            self.stop(stream_id, actions);
            self.streams.remove(&stream_id);
        }
    }

    /// The message stream that publishes that name; if none does, the only one that publishes.
    fn publishing(&self, name: &Value) -> Option<u32> {
        let path = self.path(name).ok();
        let by_name = self.streams.iter().find(|(_, stream)| match &stream.role {
            Role::Publishing(published) => path.as_ref().is_some_and(|path| path.name == published.name),
            _ => false,
        });
        by_name.map(|(id, _)| *id).or_else(|| self.meant(0, |role| matches!(role, Role::Publishing(_))))
    }

    /// The message stream that a message belongs to: librtmp and GStreamer send some that concern a
    /// stream on 0, and then the only one of that role is meant.
    fn meant(&self, stream_id: u32, fits: impl Fn(&Role) -> bool) -> Option<u32> {
        let mut fitting =
            self.streams.iter().filter(|(id, stream)| (stream_id == 0 || **id == stream_id) && fits(&stream.role));
        match (fitting.next(), fitting.next()) {
            (Some((id, _)), None) => Some(*id),
            _ => None,
        }
    }

    /// Makes sure that the message stream is there; some devices use 1 without asking for it.
    fn open(&mut self, stream_id: u32, command: &str) -> Result<u32> {
        let stream_id = match (stream_id, self.streams.len()) {
            (0, 1) => self.streams.keys().next().copied().unwrap_or(1),
            (0, _) => return Err(Error::message(command.to_owned(), "it came on message stream 0")),
            (id, _) => id,
        };
        if !self.streams.contains_key(&stream_id) {
            if self.streams.len() >= limits::MESSAGE_STREAMS {
                let limit = limits::MESSAGE_STREAMS as u64;
                return Err(Error::Limit { what: "the number of message streams", value: limit + 1, limit });
            }
            self.streams.insert(stream_id, MessageStream::default());
        }
        Ok(stream_id)
    }

    fn path(&self, name: &Value) -> Result<StreamPath> {
        let app = self.connect.as_ref().map_or("", |connect| &connect.app);
        StreamPath::new(app, name.as_str().unwrap_or_default())
    }

    fn set_role(&mut self, stream_id: u32, role: Role) {
        if let Some(stream) = self.streams.get_mut(&stream_id) {
            stream.role = role;
        }
    }

    fn stop(&mut self, stream_id: u32, actions: &mut Vec<Action>) {
        let Some(stream) = self.streams.get_mut(&stream_id) else { return };
        let role = std::mem::take(&mut stream.role);
        if role != Role::Idle {
            actions.push(Action::Stop { stream_id });
        }
        if let Role::Publishing(path) = role {
            let description = format!("{} is no longer published.", path.name);
            actions.push(Action::Reply(Reply::status(stream_id, StatusCode::UnpublishSuccess, description)));
        }
    }

    /// The client may come in: what to tell it.
    pub(crate) fn accept_connect(&mut self) -> Vec<Reply> {
        self.accepted = true;
        self.window = limits::ACKNOWLEDGEMENT_WINDOW;
        self.connect.as_ref().map(ConnectRequest::accept).unwrap_or_default()
    }

    /// The client may not come in: what to tell it before the connection is closed.
    pub(crate) fn refuse_connect(&mut self, reason: &str) -> Vec<Reply> {
        self.connect.as_ref().map(|connect| connect.refuse(reason)).unwrap_or_default()
    }

    /// The publication begins: what to tell the client.
    pub(crate) fn accept_publish(&mut self, stream_id: u32, description: &str) -> Vec<Reply> {
        publishing::started(stream_id, description)
    }

    /// There will be no publication: what to tell the client before the connection is closed, which is
    /// the only answer that librtmp understands.
    pub(crate) fn refuse_publish(&mut self, stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
        self.set_role(stream_id, Role::Idle);
        publishing::refused(stream_id, code, reason)
    }

    /// There is nothing to play: what to tell the client.
    pub(crate) fn refuse_play(&mut self, stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
        self.set_role(stream_id, Role::Idle);
        playing::refused(stream_id, code, reason)
    }
}

/// The name of a command that nobody knows, for logs and answers: it may be a megabyte of anything.
fn shown(name: &str) -> String {
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
