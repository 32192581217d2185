//! A blocking client: it publishes or plays one stream. For tests, tools and relays.

mod config;
mod events;
mod login;
mod socket;
mod tls;
mod url;

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

pub use config::ClientConfig;
pub use events::ClientEvent;
use events::refusal;
use login::Demand;
use socket::Socket;
pub use tls::Trust;
pub use url::StreamUrl;

use crate::amf::{Object, Value, amf0};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::{Packet, PacketKind};
use crate::rtmp::chunk::{ChunkReader, ChunkSize, ChunkWriter, RawMessage};
use crate::rtmp::command::Command;
use crate::rtmp::message::{Message, media_message};
use crate::rtmp::user_control::UserControl;

/// A connection to a server, with one message stream.
///
/// URLs are those of [`StreamUrl`]. A user's name and key in them answer a server that asks for them, as gortmp does
/// with `--ask-password`, and FMS and Wowza do. Time limits and whom to trust over RTMPS are in [`options`](Self::options).
#[derive(Debug)]
pub struct Client {
    /// Reads what the server sends; what goes to the server goes to the socket in it.
    chunks: ChunkReader<BufReader<Socket>>,
    writer: ChunkWriter,
    stream_id: u32,
    next_transaction: f64,
    /// Came while an answer was waited for.
    waiting: VecDeque<ClientEvent>,
    /// Bytes of media in `waiting`, and some for each event.
    waiting_bytes: usize,
}

impl Client {
    /// Settings for a client.
    pub fn options() -> ClientConfig {
        ClientConfig::default()
    }

    /// Publishes the live stream that the URL names; returns when the server has granted it. This sends a file in real time:
    ///
    /// ```
    /// use std::io::Read;
    /// use std::time::{Duration, Instant};
    ///
    /// use gortmp::{Client, flv};
    ///
    /// fn send(file: impl Read, url: &str) -> gortmp::Result<()> {
    ///     let mut film = flv::Reader::new(file)?;
    ///     let mut camera = Client::publisher(url)?;
    ///     let started = Instant::now();
    ///     while let Some(packet) = film.next_packet()? {
    ///         let due = Duration::from_millis(packet.timestamp.milliseconds().into());
    ///         std::thread::sleep(due.saturating_sub(started.elapsed()));
    ///         camera.send(packet)?;
    ///     }
    ///     camera.close()
    /// }
    /// # // Three frames in 80 ms, to a server on a port of its own.
    /// # use gortmp::media::{Packet, PacketKind, Timestamp};
    /// # let dir = tempfile::tempdir()?;
    /// # let mut config = gortmp::Config::default();
    /// # config.listen = vec!["127.0.0.1:0".parse()?];
    /// # config.video_dir = dir.path().to_owned();
    /// # config.http = None;
    /// # let server = gortmp::Server::bind(config)?;
    /// # let (address, handle) = (server.local_addr(), server.handle());
    /// # let running = std::thread::spawn(move || server.run());
    /// # let mut file = flv::Writer::new(Vec::new(), false, true)?;
    /// # for ms in [0, 40, 80] {
    /// #     let payload = vec![0x17, 1, 0, 0, 0, 0x65].into();
    /// #     file.write_packet(&Packet { kind: PacketKind::Video, timestamp: Timestamp::new(ms), payload })?;
    /// # }
    /// # let started = Instant::now();
    /// send(&file.into_inner()[..], &format!("rtmp://{address}/live/film"))?;
    /// # assert!(started.elapsed() >= Duration::from_millis(80));
    /// # assert_eq!(handle.traffic().messages_in, 3);
    /// # handle.stop();
    /// # running.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's reason when it says no, [`Error::Config`] for what is no URL,
    /// [`Error::Io`] when there is no connection to be had.
    pub fn publisher(url: &str) -> Result<Self> {
        Self::options().publish(url)
    }

    /// Plays the stream or, from its start, the file that the URL names; returns when the server has granted it. This
    /// writes what comes into a file:
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// use gortmp::{Client, flv};
    ///
    /// fn save(url: &str, file: impl Write) -> gortmp::Result<()> {
    ///     let mut player = Client::player(url)?;
    ///     let mut film = flv::Writer::new(file, true, true)?;
    ///     while let Some(packet) = player.next_packet()? {
    ///         film.write_packet(&packet)?;
    ///     }
    ///     Ok(())
    /// }
    /// # // A file of three frames, from a server on a port of its own.
    /// # use gortmp::media::{Packet, PacketKind, Timestamp};
    /// # let dir = tempfile::tempdir()?;
    /// # let mut config = gortmp::Config::default();
    /// # config.listen = vec!["127.0.0.1:0".parse()?];
    /// # config.video_dir = dir.path().to_owned();
    /// # config.http = None;
    /// # let mut file = flv::Writer::new(std::fs::File::create(dir.path().join("film.flv"))?, false, true)?;
    /// # let frames = [0, 40, 80].map(|ms| {
    /// #     let payload = vec![0x17, 1, 0, 0, 0, 0x65].into();
    /// #     Packet { kind: PacketKind::Video, timestamp: Timestamp::new(ms), payload }
    /// # });
    /// # frames.iter().try_for_each(|frame| file.write_packet(frame))?;
    /// # let server = gortmp::Server::bind(config)?;
    /// # let (address, handle) = (server.local_addr(), server.handle());
    /// # let running = std::thread::spawn(move || server.run());
    /// let mut saved = Vec::new();
    /// save(&format!("rtmp://{address}/gortmp/film"), &mut saved)?;
    /// # let mut film = flv::Reader::new(&saved[..])?;
    /// # for frame in frames {
    /// #     assert_eq!(film.next_packet()?, Some(frame));
    /// # }
    /// # assert_eq!(film.next_packet()?, None);
    /// # handle.stop();
    /// # running.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`publisher`](Self::publisher).
    pub fn player(url: &str) -> Result<Self> {
        Self::options().play(url)
    }

    /// Connects to the application that the URL names, and creates a message stream. What is done with it is said by
    /// [`publish`](Self::publish) or [`play`](Self::play), whatever stream's name the URL has.
    ///
    /// # Errors
    /// As [`publisher`](Self::publisher).
    pub fn connect(url: &str) -> Result<Self> {
        Self::options().connect(url)
    }

    fn open(url: &StreamUrl, config: &ClientConfig, program: &str) -> Result<Self> {
        let program = config.program.as_deref().unwrap_or(program);
        let mut app = url.app().to_owned();
        // Each answer takes a connection of its own: first for the name, then for the key.
        for _ in 0..2 {
            match Self::enter(url, config, program, &app) {
                Err(Error::Refused { code, description }) => {
                    let (Some(login), Some(demand)) = (url.login(), Demand::read(&description)) else {
                        return Err(Error::Refused { code, description });
                    };
                    let mark = if url.app().contains('?') { '&' } else { '?' };
                    let nonce = format!("{:08x}", random());
                    app = format!("{}{mark}{}", url.app(), demand.query(login, &nonce));
                }
                result => return result,
            }
        }
        Self::enter(url, config, program, &app)
    }

    fn enter(url: &StreamUrl, config: &ClientConfig, program: &str, app: &str) -> Result<Self> {
        let mut socket = BufReader::new(Socket::connect(url, config)?);
        socket::shake_hands(&mut socket)?;
        let mut client = Self {
            chunks: ChunkReader::new(socket),
            writer: ChunkWriter::new(),
            stream_id: 0,
            next_transaction: 1.0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        };
        let properties =
            Object::new().with("app", app).with("flashVer", program).with("tcUrl", format!("{}/{app}", url.server()));
        client.message(0, &Message::SetChunkSize(ChunkSize::LARGE))?;
        client.call("connect", properties.into(), Vec::new())?;
        client.message(0, &Message::WindowAckSize(limits::ACKNOWLEDGEMENT_WINDOW))?;
        let answer = client.call("createStream", Value::Null, Vec::new())?;
        client.stream_id = answer.argument(0).as_number().unwrap_or(0.0) as u32;
        client.set_timeout(config.read_timeout)?;
        Ok(client)
    }

    /// Publishes a live stream under `name`, behind which a query may stand; returns when the server has granted it.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's reason when it says no.
    pub fn publish(&mut self, name: &str) -> Result<()> {
        self.command("publish", Value::Null, vec![Value::from(name), Value::from("live")])?;
        self.wait_for_status("NetStream.Publish.Start")
    }

    /// Plays a stream; returns when the server has granted it. `start_ms` is where to begin in a file, in milliseconds.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's reason when it says no.
    pub fn play(&mut self, name: &str, start_ms: Option<u32>) -> Result<()> {
        let start = start_ms.map_or(-2000.0, f64::from);
        self.command("play", Value::Null, vec![Value::from(name), start.into()])?;
        self.wait_for_status("NetStream.Play.Start")
    }

    /// Sends audio, video or data of the stream that is published.
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
        let socket = self.chunks.source_mut().get_mut();
        socket.write_all(&bytes).and_then(|()| socket.flush()).map_err(|error| Error::io("sending", error))
    }

    /// The TCP socket, below TLS if there is any, for who wants to reach around the protocol.
    pub fn socket(&self) -> &TcpStream {
        self.chunks.source().get_ref().tcp()
    }

    /// How long [`next_event`](Self::next_event) waits at most for more to come; for ever if `None`. After a timeout the
    /// client is of no use any more.
    ///
    /// # Errors
    /// [`Error::Io`] when the socket refuses it.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.socket().set_read_timeout(timeout).map_err(|error| Error::io("setting a timeout", error))
    }

    /// Waits for what the server sends next. Pings and windows are answered here.
    ///
    /// # Errors
    /// [`Error::Disconnected`] at the end, [`Error::Io`] and what the protocol brings otherwise.
    pub fn next_event(&mut self) -> Result<ClientEvent> {
        match self.waiting.pop_front() {
            Some(event) => {
                self.waiting_bytes -= weight(&event);
                Ok(event)
            }
            None => self.read_event(),
        }
    }

    /// Waits for the next audio, video or data of the stream that is played; `None` at its end.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event), and [`Error::Refused`] when the server says that it can't go on.
    pub fn next_packet(&mut self) -> Result<Option<Packet>> {
        loop {
            match self.next_event() {
                Ok(ClientEvent::Media(packet)) if !is_about_the_play(&packet) => return Ok(Some(packet)),
                Ok(ClientEvent::Status { level, code, description }) if level == "error" => {
                    return Err(Error::Refused { code: code.into(), description: description.into() });
                }
                Ok(ClientEvent::Status { code, .. })
                    if ["NetStream.Play.Stop", "NetStream.Play.UnpublishNotify"].contains(&&*code) =>
                {
                    return Ok(None);
                }
                Ok(_) => {}
                Err(Error::Disconnected) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends what is published or played, and waits for the server to have taken all of it. A client that is dropped may
    /// lose what was on its way.
    ///
    /// # Errors
    /// [`Error::Io`] when the server does not end the connection within the time limits.
    pub fn close(mut self) -> Result<()> {
        let stream_id = f64::from(self.stream_id);
        let delete = Command::new("deleteStream", vec![stream_id.into()]);
        let ended = self.message(0, &Message::Command(delete)).and_then(|()| {
            let end = self.chunks.source_mut().get_mut().finish();
            end.map_err(|error| Error::io("ending the connection", error))
        });
        if let Err(error) = ended {
            return if error.is_disconnect() { Ok(()) } else { Err(error) };
        }
        loop {
            match self.read_event() {
                Ok(_) => {}
                Err(error) if error.is_timeout() => return Err(error),
                Err(error) if error.is_disconnect() => return Ok(()),
                Err(error) => return Err(error),
            }
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
                Message::Command(command) => return Ok(ClientEvent::of(command)),
                _ => {}
            }
        }
    }

    /// Keeps what came while an answer is waited for.
    fn keep(&mut self, event: ClientEvent) -> Result<()> {
        self.waiting_bytes += weight(&event);
        self.waiting.push_back(event);
        let (value, limit) = (self.waiting_bytes as u64, limits::CLIENT_WAITING_BYTES as u64);
        if value <= limit {
            return Ok(());
        }
        Err(Error::Limit { what: "what a server sends before its answer", value, limit })
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
                event => self.keep(event)?,
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
                ClientEvent::Command(answer) if answer.name == "_error" => return Err(refusal(&answer)),
                event => self.keep(event)?,
            }
        }
    }
}

/// Whether data tells how the play goes, and is no part of the stream.
fn is_about_the_play(packet: &Packet) -> bool {
    let is_data = packet.kind == PacketKind::Data;
    let name = is_data.then(|| amf0::Decoder::new(&packet.payload).next()).flatten();
    let Some(Ok(Value::String(name))) = name else { return false };
    ["|RtmpSampleAccess", "onStatus", "onPlayStatus"].contains(&&*name)
}

/// What an event counts for while it waits, in bytes.
fn weight(event: &ClientEvent) -> usize {
    let media = if let ClientEvent::Media(packet) = event { packet.payload.len() } else { 0 };
    media + limits::CLIENT_EVENT_BYTES
}

/// A number for a challenge, which keeps an answer from being made ahead.
fn random() -> u32 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(0) as u32
}
