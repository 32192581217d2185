//! A blocking client that publishes or plays one stream, for tests, tools and relays.

mod config;
mod events;
mod login;
mod receiving;
mod socket;
mod tls;
mod url;

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

pub use config::ClientConfig;
pub use events::ClientEvent;
use login::LoginRequest;
use socket::Socket;
pub use tls::Trust;
pub use url::StreamUrl;

use crate::amf::{Object, Value};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::Packet;
use crate::rtmp::chunk::{ChunkReader, ChunkSize, ChunkWriter, RawMessage};
use crate::rtmp::command::Command;
use crate::rtmp::message::{Message, media_message};

/// A connection to a server, with one message stream.
///
/// URLs are parsed as [`StreamUrl`]. The user and key in them are used if the server requests a login, as gortmp does
/// with `--ask-password`, and FMS and Wowza do. Time limits and the certificates to trust over RTMPS are set in
/// [`options`](Self::options).
#[derive(Debug)]
pub struct Client {
    /// Reads messages from the server. Owns the socket, which is also written to.
    chunks: ChunkReader<BufReader<Socket>>,
    writer: ChunkWriter,
    stream_id: u32,
    next_transaction: f64,
    /// Events that arrived while waiting for a response.
    queued: VecDeque<ClientEvent>,
    /// Bytes of media in `queued`, plus an overhead for each event.
    queued_bytes: usize,
}

impl Client {
    /// Returns the default settings, to be changed before connecting with them.
    pub fn options() -> ClientConfig {
        ClientConfig::default()
    }

    /// Connects and publishes a live stream under the URL's name. Returns once the server has granted it.
    ///
    /// This sends a file in real time:
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
    /// Returns [`Error::Refused`] with the server's reason if it refuses, [`Error::Config`] if the URL is invalid, and
    /// [`Error::Io`] if the connection fails.
    pub fn publisher(url: &str) -> Result<Self> {
        Self::options().publish(url)
    }

    /// Connects and plays the live stream or, from its start, the file that the URL names. Returns once the server has
    /// granted it.
    ///
    /// This saves a stream to a file:
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
    /// The same as for [`publisher`](Self::publisher).
    pub fn player(url: &str) -> Result<Self> {
        Self::options().play(url)
    }

    /// Connects to the URL's application and creates a message stream, for [`publish`](Self::publish) or
    /// [`play`](Self::play). The stream name in the URL is ignored.
    ///
    /// # Errors
    /// The same as for [`publisher`](Self::publisher).
    pub fn connect(url: &str) -> Result<Self> {
        Self::options().connect(url)
    }

    /// Connects, and logs in if the server requests it and the URL has a login.
    fn open(url: &StreamUrl, config: &ClientConfig, program: &str) -> Result<Self> {
        let program = config.program.as_deref().unwrap_or(program);
        let mut app = url.app().to_owned();
        // Each login step takes a new connection: the first sends the user name, the second the challenge response.
        for _ in 0..2 {
            match Self::connect_once(url, config, program, &app) {
                Err(Error::Refused { code, description }) => {
                    let (Some(login), Some(request)) = (url.login(), LoginRequest::parse(&description)) else {
                        return Err(Error::Refused { code, description });
                    };
                    let separator = if url.app().contains('?') { '&' } else { '?' };
                    let nonce = format!("{:08x}", random_nonce());
                    app = format!("{}{separator}{}", url.app(), request.query(login, &nonce));
                }
                result => return result,
            }
        }
        Self::connect_once(url, config, program, &app)
    }

    fn connect_once(url: &StreamUrl, config: &ClientConfig, program: &str, app: &str) -> Result<Self> {
        let mut socket = BufReader::new(Socket::connect(url, config)?);
        socket::perform_handshake(&mut socket)?;
        let mut client = Self {
            chunks: ChunkReader::new(socket),
            writer: ChunkWriter::new(),
            stream_id: 0,
            next_transaction: 1.0,
            queued: VecDeque::new(),
            queued_bytes: 0,
        };
        let properties =
            Object::new().with("app", app).with("flashVer", program).with("tcUrl", format!("{}/{app}", url.server()));
        client.send_message(0, &Message::SetChunkSize(ChunkSize::LARGE))?;
        client.call("connect", properties.into(), Vec::new())?;
        client.send_message(0, &Message::WindowAckSize(limits::ACKNOWLEDGEMENT_WINDOW))?;
        let response = client.call("createStream", Value::Null, Vec::new())?;
        client.stream_id = response.argument(0).as_number().unwrap_or(0.0) as u32;
        client.set_read_timeout(config.read_timeout)?;
        Ok(client)
    }

    /// Publishes a live stream under `name`, which may end with a query. Returns once the server has granted it.
    ///
    /// # Errors
    /// Returns [`Error::Refused`] with the server's reason if it refuses.
    pub fn publish(&mut self, name: &str) -> Result<()> {
        self.send_command("publish", Value::Null, vec![Value::from(name), Value::from("live")])?;
        self.wait_for_status("NetStream.Publish.Start")
    }

    /// Plays a stream. Returns once the server has granted it. `start_ms` is the start position in a file, in
    /// milliseconds.
    ///
    /// # Errors
    /// Returns [`Error::Refused`] with the server's reason if it refuses.
    pub fn play(&mut self, name: &str, start_ms: Option<u32>) -> Result<()> {
        let start = start_ms.map_or(-2000.0, f64::from);
        self.send_command("play", Value::Null, vec![Value::from(name), start.into()])?;
        self.wait_for_status("NetStream.Play.Start")
    }

    /// Sends audio, video or data of the stream being published.
    ///
    /// # Errors
    /// Returns [`Error::Io`] if the connection fails.
    pub fn send(&mut self, packet: Packet) -> Result<()> {
        self.send_raw(&media_message(packet, self.stream_id))
    }

    /// Sends a command on the message stream, such as `pause` or `seek`, without waiting for a response.
    ///
    /// # Errors
    /// Returns [`Error::Io`] if the connection fails.
    pub fn send_command(&mut self, name: &str, object: Value, arguments: Vec<Value>) -> Result<()> {
        let command = Command { object, ..Command::new(name, arguments) };
        self.send_message(self.stream_id, &Message::Command(command))
    }

    /// Sends any message on a message stream.
    ///
    /// # Errors
    /// Returns [`Error::Io`] if the connection fails.
    pub fn send_message(&mut self, stream_id: u32, message: &Message) -> Result<()> {
        match message.encode(stream_id) {
            Some(raw) => self.send_raw(&raw),
            None => Ok(()),
        }
    }

    /// Sends a message unchanged, on the chunk stream that it names.
    ///
    /// # Errors
    /// Returns [`Error::Io`] if the connection fails.
    pub fn send_raw(&mut self, message: &RawMessage) -> Result<()> {
        let mut bytes = Vec::new();
        self.writer.write(message, &mut bytes);
        let socket = self.chunks.source_mut().get_mut();
        socket.write_all(&bytes).and_then(|()| socket.flush()).map_err(|error| Error::io("sending", error))
    }

    /// Returns the TCP socket, below TLS if any, for access that bypasses the protocol.
    pub fn tcp_stream(&self) -> &TcpStream {
        self.chunks.source().get_ref().tcp()
    }

    /// Sets the time limit of each read in [`next_event`](Self::next_event); none if `None`. After a timeout the client
    /// can no longer be used.
    ///
    /// # Errors
    /// Returns [`Error::Io`] if the socket rejects the value.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.tcp_stream().set_read_timeout(timeout).map_err(|error| Error::io("setting a timeout", error))
    }

    /// Stops publishing or playing and waits for the server to receive everything and close the connection. Dropping a
    /// client instead may lose data in transit.
    ///
    /// # Errors
    /// Returns [`Error::Io`] if the server does not close the connection within the time limits.
    pub fn close(mut self) -> Result<()> {
        let stream_id = f64::from(self.stream_id);
        let delete = Command::new("deleteStream", vec![stream_id.into()]);
        let shutdown = self.send_message(0, &Message::Command(delete)).and_then(|()| {
            let result = self.chunks.source_mut().get_mut().finish();
            result.map_err(|error| Error::io("closing the connection", error))
        });
        if let Err(error) = shutdown {
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
}

/// Returns an unpredictable client nonce, which prevents precomputed challenge responses.
fn random_nonce() -> u32 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(0) as u32
}
