//! A client that is told what to send byte by byte, for what the library's own client never does.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use gortmp::Result;
use gortmp::amf::{Object, Value};
use gortmp::media::Timestamp;
use gortmp::rtmp::chunk::{ChunkReader, ChunkSize, ChunkStreamId, RawMessage, encode_message};
use gortmp::rtmp::command::Command;
use gortmp::rtmp::message::Message;

use super::PATIENCE;

/// Bytes of C1, C2, S1 and S2 each.
pub const PACKET: usize = 1536;

/// A connection behind its handshake. It reads whole messages and sends bytes.
pub struct Wire {
    pub socket: TcpStream,
    chunks: ChunkReader<BufReader<TcpStream>>,
}

/// C0 and C1 of a client without digests.
pub fn c0_c1() -> Vec<u8> {
    let mut bytes = vec![0x5a; 1 + PACKET];
    bytes[0] = 3;
    bytes[1..9].fill(0);
    bytes
}

/// Connects and does nothing more.
pub fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("connects");
    socket.set_nodelay(true).expect("small segments");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket
}

/// A type 0 chunk and as many type 3 chunks of 128 bytes as it takes.
pub fn message(chunk_stream_id: u32, timestamp: u32, type_id: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let id = ChunkStreamId::new(chunk_stream_id).expect("a chunk stream");
    encode_message(ChunkSize::DEFAULT, id, Timestamp::new(timestamp), type_id, stream_id, payload, &mut bytes);
    bytes
}

/// A command in AMF0 on chunk stream 3.
pub fn command(stream_id: u32, transaction_id: f64, name: &str, object: Value, arguments: Vec<Value>) -> Vec<u8> {
    let command = Command { transaction_id, object, ..Command::new(name, arguments) };
    message(3, 0, 20, stream_id, &command.encode())
}

/// `connect` with transaction id 1.
pub fn connect_command(app: &str) -> Vec<u8> {
    let properties = Object::new().with("app", app).with("tcUrl", format!("rtmp://localhost/{app}"));
    command(0, 1.0, "connect", properties.into(), Vec::new())
}

/// `createStream` with transaction id 2.
pub fn create_stream_command() -> Vec<u8> {
    command(0, 2.0, "createStream", Value::Null, Vec::new())
}

/// `publish` on message stream 1.
pub fn publish_command(name: &str) -> Vec<u8> {
    command(1, 0.0, "publish", Value::Null, vec![name.into(), "live".into()])
}

/// `play` of a live stream on message stream 1.
pub fn play_command(name: &str) -> Vec<u8> {
    command(1, 0.0, "play", Value::Null, vec![name.into(), (-2000.0).into()])
}

impl Wire {
    /// Shakes hands.
    pub fn new(address: SocketAddr) -> Self {
        let mut socket = dial(address);
        socket.write_all(&c0_c1()).expect("C0 and C1 go out");
        let mut answer = vec![0; 1 + 2 * PACKET];
        socket.read_exact(&mut answer).expect("S0, S1 and S2 come");
        assert_eq!(answer[0], 3, "S0");
        socket.write_all(&answer[1..=PACKET]).expect("C2 goes out");
        Self::behind_handshake(socket)
    }

    /// Wraps a socket whose handshake is done.
    pub fn behind_handshake(socket: TcpStream) -> Self {
        let reader = BufReader::new(socket.try_clone().expect("a second handle"));
        Self { socket, chunks: ChunkReader::new(reader) }
    }

    /// Connects to an application and makes message stream 1.
    pub fn open(address: SocketAddr, app: &str) -> Self {
        let mut wire = Self::new(address);
        wire.send(&connect_command(app));
        wire.send(&create_stream_command());
        let created = wire.answer(2.0);
        assert_eq!(created.argument(0).as_number(), Some(1.0), "the first message stream");
        wire
    }

    /// Publishes on message stream 1.
    pub fn publisher(address: SocketAddr, name: &str) -> Self {
        let mut wire = Self::open(address, "live");
        wire.send(&publish_command(name));
        wire.wait_for_status("NetStream.Publish.Start");
        wire
    }

    /// Plays on message stream 1.
    pub fn player(address: SocketAddr, name: &str) -> Self {
        let mut wire = Self::open(address, "live");
        wire.send(&play_command(name));
        wire.wait_for_status("NetStream.Play.Start");
        wire
    }

    pub fn send(&self, bytes: &[u8]) {
        (&self.socket).write_all(bytes).expect("the server takes it");
    }

    /// The next message as it came.
    pub fn read(&mut self) -> Result<RawMessage> {
        self.chunks.read_message()
    }

    /// The next message taken apart, with its message stream.
    pub fn next(&mut self) -> (u32, Message) {
        let raw = self.read().expect("the connection goes on");
        (raw.stream_id, Message::decode(raw).expect("a message that makes sense"))
    }

    /// The answer to the command with that transaction id.
    pub fn answer(&mut self, transaction_id: f64) -> Command {
        loop {
            match self.next() {
                (_, Message::Command(command)) if command.transaction_id == transaction_id => return command,
                _ => {}
            }
        }
    }

    /// Waits for a status with that code; returns its message stream.
    pub fn wait_for_status(&mut self, wanted: &str) -> u32 {
        loop {
            match self.next() {
                (stream_id, Message::Command(command)) if code(&command) == Some(wanted) => return stream_id,
                _ => {}
            }
        }
    }

    /// The next audio or video message as it came.
    pub fn next_media(&mut self) -> RawMessage {
        loop {
            let raw = self.read().expect("the stream goes on");
            if raw.type_id == 8 || raw.type_id == 9 {
                return raw;
            }
        }
    }
}

/// The code of an `onStatus`.
pub fn code(command: &Command) -> Option<&str> {
    let info = command.argument(0).as_object()?;
    info.get("code")?.as_str()
}
