//! One player: it asks like a real client, answer by answer, and checks every byte of what it gets.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use gortmp::amf::{Object, Value};
use gortmp::media::Timestamp;
use gortmp::rtmp::chunk::{ChunkSize, ChunkStreamId, ChunkWriter, RawMessage};
use gortmp::rtmp::command::Command;
use gortmp::rtmp::message::Message;
use gortmp::rtmp::user_control::UserControl;

use super::chunks::{Chunks, Frame, Passed};
use super::content::{Kind, Shape, is_key_frame, nanoseconds};
use super::secure::Socket;

/// Bytes of S0, S1 and S2, and of C0 and C1.
const ANSWER: usize = 1 + 2 * 1536;
const REQUEST: usize = 1 + 1536;

/// What a player asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    pub server: SocketAddr,
    pub app: &'static str,
    pub name: String,
    pub shape: Shape,
    /// The bare loop speaks no protocol.
    pub is_bare: bool,
    /// Over HTTP: as FLV, or as MP4.
    pub over_http: Option<&'static str>,
    /// Within TLS.
    pub is_secure: bool,
    /// Stop after `createStream` and stay.
    pub stays_idle: bool,
    /// The first video frame has to be a key frame, with no gap before the first audio.
    pub is_strict: bool,
}

/// Where a player is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Connect,
    CreateStream,
    Idle,
    Playing,
}

/// A player.
#[derive(Debug)]
pub struct Player {
    pub socket: Socket,
    wish: Wish,
    stage: Stage,
    handshake: Vec<u8>,
    chunks: Chunks,
    writer: ChunkWriter,
    started: u64,
    /// From connecting to the first key frame, in nanoseconds.
    pub joined: Option<u64>,
    last: [Option<Frame>; 2],
}

impl Player {
    pub fn connect(wish: Wish) -> std::io::Result<Self> {
        let started = nanoseconds();
        let mut socket = Socket::connect(wish.server, wish.is_secure)?;
        let (stage, chunk_size) = if wish.is_bare {
            socket.write_all(b"J")?;
            (Stage::Playing, ChunkSize::LARGE.get())
        } else if let Some(form) = wish.over_http {
            let request = format!("GET /{}/{}.{form} HTTP/1.1\r\nHost: here\r\n\r\n", wish.app, wish.name);
            socket.write_all(request.as_bytes())?;
            (Stage::Playing, ChunkSize::LARGE.get())
        } else {
            let mut request = vec![0; REQUEST];
            request[0] = 3;
            socket.write_all(&request)?;
            (Stage::Handshake, ChunkSize::DEFAULT.get())
        };
        socket.set_nonblocking()?;
        let chunks = match wish.over_http {
            Some("mp4") => Chunks::in_boxes(wish.shape),
            Some(_) => Chunks::in_tags(wish.shape),
            None => Chunks::new(wish.shape, chunk_size as usize),
        };
        let (handshake, writer) = (Vec::new(), ChunkWriter::new());
        Ok(Self { socket, wish, stage, handshake, chunks, writer, started, joined: None, last: [None; 2] })
    }

    /// Whether it has come to where it wanted.
    pub fn is_ready(&self) -> bool {
        self.joined.is_some() || self.stage == Stage::Idle || (self.wish.is_bare && self.stage == Stage::Playing)
    }

    /// The number of the last video frame that it got.
    pub fn last_video(&self) -> Option<u32> {
        self.last[Kind::Video as usize].map(|frame| frame.number)
    }

    /// Reads once what is there and hands on the frames. Says whether the connection goes on.
    pub fn read(&mut self, buffer: &mut [u8], frame: &mut impl FnMut(&Frame)) -> Result<bool, String> {
        let count = match self.socket.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.to_string()),
        };
        let mut bytes = &buffer[..count];
        if self.stage == Stage::Handshake {
            let take = bytes.len().min(ANSWER - self.handshake.len());
            self.handshake.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.handshake.len() < ANSWER {
                return Ok(true);
            }
            self.finish_handshake()?;
        }
        let mut others = Vec::new();
        let (joined, started, last) = (&mut self.joined, self.started, &mut self.last);
        let is_strict = self.wish.is_strict.then_some(self.wish.shape);
        self.chunks.feed(bytes, &mut |passed| {
            match passed {
                Passed::Frame(passed) => {
                    is_strict.map_or(Ok(()), |shape| check_start(*last, &passed, shape))?;
                    check_order(last, &passed)?;
                    if passed.kind == Kind::Video && is_key_frame(passed.number) {
                        joined.get_or_insert_with(|| nanoseconds() - started);
                    }
                    frame(&passed);
                }
                Passed::SequenceHeader => {}
                Passed::Other(type_id, payload) => others.push((type_id, payload)),
            }
            Ok(())
        })?;
        for (type_id, payload) in others {
            self.answer(type_id, payload)?;
        }
        Ok(true)
    }

    fn finish_handshake(&mut self) -> Result<(), String> {
        let s1 = std::mem::take(&mut self.handshake);
        self.stage = Stage::Connect;
        let properties = Object::new()
            .with("app", self.wish.app)
            .with("flashVer", "LNX 9,0,124,2")
            .with("tcUrl", format!("rtmp://{}/{}", self.wish.server, self.wish.app));
        let connect = Command { transaction_id: 1.0, object: properties.into(), ..Command::new("connect", Vec::new()) };
        self.send(s1[1..=1536].to_vec(), &[(0, Message::Command(connect))])
    }

    fn answer(&mut self, type_id: u8, payload: Vec<u8>) -> Result<(), String> {
        let (chunk_stream_id, stream_id, timestamp) = (ChunkStreamId::COMMAND, 0, Timestamp::ZERO);
        let raw = RawMessage { chunk_stream_id, timestamp, type_id, stream_id, payload: payload.into() };
        match (Message::decode(raw).map_err(|error| error.to_string())?, self.stage) {
            (Message::UserControl(UserControl::PingRequest(time)), _) => {
                self.send(Vec::new(), &[(0, Message::UserControl(UserControl::PingResponse(time)))])
            }
            (Message::Command(command), Stage::Connect) if command.name == "_result" => {
                self.stage = Stage::CreateStream;
                let create = Command { transaction_id: 2.0, ..Command::new("createStream", Vec::new()) };
                self.send(Vec::new(), &[(0, Message::Command(create))])
            }
            (Message::Command(command), Stage::CreateStream) if command.name == "_result" => {
                if self.wish.stays_idle {
                    self.stage = Stage::Idle;
                    return Ok(());
                }
                self.stage = Stage::Playing;
                let id = command.argument(0).as_number().unwrap_or(1.0) as u32;
                let play = Command::new("play", vec![Value::from(self.wish.name.as_str()), Value::from(-2000.0)]);
                let buffer = UserControl::SetBufferLength { stream_id: id, buffer_ms: 3000 };
                self.send(Vec::new(), &[(0, Message::UserControl(buffer)), (id, Message::Command(play))])
            }
            (Message::Command(command), _) if command.name == "_error" => Err("the server refused".to_owned()),
            _ => Ok(()),
        }
    }

    fn send(&mut self, mut bytes: Vec<u8>, messages: &[(u32, Message)]) -> Result<(), String> {
        for raw in messages.iter().filter_map(|(stream_id, message)| message.encode(*stream_id)) {
            self.writer.write(&raw, &mut bytes);
        }
        self.socket.write_all(&bytes).map_err(|error| error.to_string())
    }
}

/// A player starts with a key frame, and no audio behind it is left out.
fn check_start(last: [Option<Frame>; 2], frame: &Frame, shape: Shape) -> Result<(), String> {
    let [last_audio, last_video] = last;
    match (frame.kind, last_audio, last_video) {
        (Kind::Video, _, None) if !is_key_frame(frame.number) => {
            Err(format!("it began with video frame {}, which is no key frame", frame.number))
        }
        (Kind::Audio, None, Some(video_frame))
            if frame.number > 0
                && shape.due(Kind::Audio, frame.number - 1) >= shape.due(Kind::Video, video_frame.number) =>
        {
            Err(format!("audio frame {} came after video frame {}: there is a gap", frame.number, video_frame.number))
        }
        _ => Ok(()),
    }
}

/// Numbers grow by one and times don't go back.
fn check_order(last: &mut [Option<Frame>; 2], frame: &Frame) -> Result<(), String> {
    let last = &mut last[frame.kind as usize];
    if let Some(last) = last {
        if frame.number != last.number + 1 {
            return Err(format!("{:?} {} came after {}", frame.kind, frame.number, last.number));
        }
        if frame.stream != last.stream || (frame.timestamp.wrapping_sub(last.timestamp) as i32) < 0 {
            return Err(format!("{:?} {} is of another stream or time", frame.kind, frame.number));
        }
    }
    *last = Some(*frame);
    Ok(())
}
