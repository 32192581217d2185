//! A small blocking client: it publishes or plays one stream. For tests, tools and relays.

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::amf::{Object, Value};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::Packet;
use crate::rtmp::chunk::{ChunkReader, ChunkSize, ChunkWriter, RawMessage};
use crate::rtmp::command::Command;
use crate::rtmp::handshake;
use crate::rtmp::message::{Message, media_message};
use crate::rtmp::user_control::UserControl;

/// What a server sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Sound, picture or data of the stream that is played.
    Media(Packet),
    /// `onStatus`: what the info object says.
    Status {
        /// `status`, `warning` or `error`.
        level: String,
        /// The code, for example `NetStream.Play.Start`.
        code: String,
        /// The description.
        description: String,
    },
    /// A User Control event other than a ping, which is answered here.
    Event(UserControl),
    /// Any other command.
    Command(Command),
}

/// A connection to a server, with one message stream.
#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    chunks: ChunkReader<BufReader<TcpStream>>,
    writer: ChunkWriter,
    stream_id: u32,
    next_transaction: f64,
    /// Came while an answer was waited for.
    waiting: VecDeque<ClientEvent>,
}

impl Client {
    /// Connects to an application, for example `("127.0.0.1:1935", "live")`, and creates a message stream.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no connection to be had, [`Error::Refused`] when the server says no.
    pub fn connect(address: impl ToSocketAddrs, app: &str) -> Result<Self> {
        let socket = TcpStream::connect(address).map_err(|error| Error::io("connecting", error))?;
        let host = socket.peer_addr().map_err(|error| Error::io("connecting", error))?;
        let clone = || {
            socket.set_nodelay(true)?;
            socket.try_clone()
        };
        let mut reader = BufReader::new(clone().map_err(|error| Error::io("connecting", error))?);
        handshake::client::connect(&mut reader, &mut &socket, handshake::client::ClientKind::Simple)?;
        let mut client = Self {
            socket,
            chunks: ChunkReader::new(reader),
            writer: ChunkWriter::new(),
            stream_id: 0,
            next_transaction: 1.0,
            waiting: VecDeque::new(),
        };
        let properties = Object::new()
            .with("app", app)
            .with("flashVer", concat!("gortmp/", env!("CARGO_PKG_VERSION")))
            .with("tcUrl", format!("rtmp://{host}/{app}"));
        client.message(0, &Message::SetChunkSize(ChunkSize::LARGE))?;
        client.call("connect", properties.into(), Vec::new())?;
        client.message(0, &Message::WindowAckSize(limits::ACKNOWLEDGEMENT_WINDOW))?;
        let answer = client.call("createStream", Value::Null, Vec::new())?;
        client.stream_id = answer.argument(0).as_number().unwrap_or(0.0) as u32;
        Ok(client)
    }

    /// Publishes a live stream under `name`; returns when the server has granted it.
    ///
    /// # Errors
    /// [`Error::Refused`] when the server says no.
    pub fn publish(&mut self, name: &str) -> Result<()> {
        self.command("publish", Value::Null, vec![Value::from(name), Value::from("live")])?;
        self.wait_for_status("NetStream.Publish.Start")
    }

    /// Plays a stream; returns when the server has granted it. `start_ms` is where to begin in a file.
    ///
    /// # Errors
    /// [`Error::Refused`] when the server says no.
    pub fn play(&mut self, name: &str, start_ms: Option<u32>) -> Result<()> {
        let start = start_ms.map_or(-2000.0, f64::from);
        self.command("play", Value::Null, vec![Value::from(name), start.into()])?;
        self.wait_for_status("NetStream.Play.Start")
    }

    /// Sends sound, picture or data of the stream that is published.
    ///
    /// # Errors
    /// [`Error::Io`] when the connection is gone.
    pub fn send(&mut self, packet: Packet) -> Result<()> {
        self.raw(&media_message(packet, self.stream_id))
    }

    /// Sends a command about the message stream, such as `pause` or `seek`, without waiting for an answer.
    ///
    /// # Errors
    /// [`Error::Io`] when the connection is gone.
    pub fn command(&mut self, name: &str, object: Value, arguments: Vec<Value>) -> Result<()> {
        let command = Command { object, ..Command::new(name, arguments) };
        self.message(self.stream_id, &Message::Command(command))
    }

    /// Sends any message on a message stream.
    ///
    /// # Errors
    /// [`Error::Io`] when the connection is gone.
    pub fn message(&mut self, stream_id: u32, message: &Message) -> Result<()> {
        match message.encode(stream_id) {
            Some(raw) => self.raw(&raw),
            None => Ok(()),
        }
    }

    /// Sends a message as it is, on its own chunk stream.
    ///
    /// # Errors
    /// [`Error::Io`] when the connection is gone.
    pub fn raw(&mut self, message: &RawMessage) -> Result<()> {
        let mut bytes = Vec::new();
        self.writer.write(message, &mut bytes);
        (&self.socket).write_all(&bytes).map_err(|error| Error::io("sending", error))
    }

    /// The socket, for who wants to reach around the protocol.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// How long [`next_event`](Self::next_event) waits at most; for ever if `None`. After a timeout the client is of
    /// no use any more.
    ///
    /// # Errors
    /// [`Error::Io`] when the socket refuses it.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.socket.set_read_timeout(timeout).map_err(|error| Error::io("setting a timeout", error))
    }

    /// Waits for what the server sends next. Pings and windows are answered here.
    ///
    /// # Errors
    /// [`Error::Disconnected`] at the end, [`Error::Io`] and what the protocol brings otherwise.
    pub fn next_event(&mut self) -> Result<ClientEvent> {
        match self.waiting.pop_front() {
            Some(event) => Ok(event),
            None => self.read_event(),
        }
    }

    /// A server that has gone takes no answers, but what it said before is still to be read, and then its end.
    fn answer(&mut self, message: &Message) -> Result<()> {
        self.message(0, message).or_else(|error| if error.is_disconnect() { Ok(()) } else { Err(error) })
    }

    fn read_event(&mut self) -> Result<ClientEvent> {
        loop {
            let raw = self.chunks.read_message()?;
            if let Some(bytes) = self.chunks.acknowledgement_due() {
                self.answer(&Message::Acknowledgement(bytes))?;
            }
            match Message::decode(raw)? {
                Message::Media(packet) => return Ok(ClientEvent::Media(packet)),
                Message::UserControl(UserControl::PingRequest(time)) => {
                    self.answer(&Message::UserControl(UserControl::PingResponse(time)))?;
                }
                Message::UserControl(event) => return Ok(ClientEvent::Event(event)),
                Message::Command(command) if command.name == "onStatus" => {
                    let info = command.argument(0).as_object();
                    let text = |key| info.and_then(|info| info.get(key)).and_then(Value::as_str).unwrap_or_default();
                    return Ok(ClientEvent::Status {
                        level: text("level").to_owned(),
                        code: text("code").to_owned(),
                        description: text("description").to_owned(),
                    });
                }
                Message::Command(command) => return Ok(ClientEvent::Command(command)),
                _ => {}
            }
        }
    }

    /// Calls a command of the connection and waits for its answer.
    fn call(&mut self, name: &str, object: Value, arguments: Vec<Value>) -> Result<Command> {
        let transaction_id = self.next_transaction;
        self.next_transaction += 1.0;
        let command = Command { transaction_id, object, ..Command::new(name, arguments) };
        self.message(0, &Message::Command(command))?;
        loop {
            match self.read_event()? {
                ClientEvent::Command(answer) if answer.transaction_id == transaction_id => {
                    return if answer.name == "_result" { Ok(answer) } else { Err(refusal(&answer)) };
                }
                event => self.waiting.push_back(event),
            }
        }
    }

    fn wait_for_status(&mut self, wanted: &str) -> Result<()> {
        loop {
            match self.read_event()? {
                ClientEvent::Status { code, .. } if code == wanted => return Ok(()),
                ClientEvent::Status { level, code, description } if level == "error" => {
                    return Err(Error::Refused { code: code.into(), description: description.into() });
                }
                event => self.waiting.push_back(event),
            }
        }
    }
}

fn refusal(answer: &Command) -> Error {
    let info = answer.argument(0).as_object();
    let text = |key| info.and_then(|info| info.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
    Error::Refused { code: text("code").into(), description: text("description").into() }
}
