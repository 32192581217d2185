//! What a client says once it has shaken hands: any chunks, or messages put together by a small language, since
//! arbitrary bytes hardly ever are a command.

use std::collections::BTreeMap;

use gortmp::amf::{Object, Value, amf3};
use gortmp::limits;
use gortmp::media::Timestamp;
use gortmp::rtmp::chunk::{ChunkReader, ChunkStreamId, ChunkWriter, RawMessage};
use gortmp::rtmp::message::Message;
use gortmp::rtmp::status::StatusCode;
use gortmp::session::{Action, PlayRequest, Reply, Session, Source, StreamPath, playing, publishing};

use super::input::Input;
use super::messages;

/// What a message stream was last said to do.
#[derive(Debug, PartialEq)]
enum Doing {
    Publishing,
    Playing,
}

/// What one answer may take at most: a few hundred bytes and a name.
const ANSWER_BYTES: usize = 4 * 1024;

/// A server that says yes or no to what a session asks, and watches that it keeps to the rules.
#[derive(Default)]
struct Server {
    session: Session,
    is_asked: bool,
    is_connected: bool,
    streams: BTreeMap<u32, Doing>,
    writer: ChunkWriter,
    /// Refuse what it is asked for next.
    refuses: bool,
    /// Go on with a client whose publication was refused.
    is_patient: bool,
}

/// Any chunks if the first byte is even, else messages of the small language, or of the larger one if its top bit is set.
pub fn session(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else { return };
    let mut server = Server { refuses: kind & 2 != 0, is_patient: kind & 4 != 0, ..Server::default() };
    match kind & 0x81 {
        0 | 0x80 => server.handle_all(rest),
        1 => {
            let mut words = Words(rest);
            server.handle(connect(words.byte()));
            while let Some(message) = words.message() {
                server.refuses = words.byte() % 8 == 7;
                if !server.handle(message) {
                    return;
                }
            }
        }
        _ => server.handle_all(&messages::stream(&mut Input::new(rest))),
    }
}

impl Server {
    /// Handles all messages of a stream of chunks.
    fn handle_all(&mut self, chunks: &[u8]) {
        let mut chunks = ChunkReader::new(chunks);
        while let Ok(message) = chunks.read_message() {
            if !self.handle(message) {
                return;
            }
        }
    }

    /// Says whether the connection goes on.
    fn handle(&mut self, raw: RawMessage) -> bool {
        let stream_id = raw.stream_id;
        let message = match Message::decode(raw) {
            Ok(message) => message,
            Err(error) => {
                super::is_fit_for_the_log(&error);
                return true;
            }
        };
        let most = match &message {
            Message::Aggregate(packets) => packets.len(),
            Message::Media(_) => 1,
            _ => 3,
        };
        let mut actions = Vec::new();
        let result = self.session.handle(stream_id, message, &mut actions);
        assert!(actions.len() <= most, "{} actions, {most} at most", actions.len());
        result.as_ref().err().into_iter().for_each(super::is_fit_for_the_log);
        result.is_ok() && actions.into_iter().all(|action| self.act(action))
    }

    fn act(&mut self, action: Action) -> bool {
        let is_harmless = matches!(action, Action::Reply(_) | Action::Connect(_) | Action::Unknown(_));
        assert!(self.is_connected || is_harmless, "{action:?} too early");
        match action {
            Action::Reply(reply) => self.say(&[reply]),
            Action::Connect(request) => {
                assert!(!std::mem::replace(&mut self.is_asked, true), "it connects twice");
                assert!(request.flash_version.len() <= limits::NAME_BYTES, "each publication writes it into the log");
                let is_known = StreamPath::new(&request.app, "").is_ok_and(|path| !path.app.is_empty());
                if self.refuses || !is_known {
                    let replies = self.session.refuse_connect("no");
                    self.say(&replies);
                    return false;
                }
                self.is_connected = true;
                let replies = self.session.accept_connect();
                self.say(&replies);
            }
            Action::Publish { stream_id, path, .. } => return self.publish(stream_id, &path),
            Action::Play { stream_id, request } => self.play(stream_id, &request),
            Action::Stop { stream_id } => {
                let doing = self.streams.remove(&stream_id);
                assert!(doing.is_some(), "what never began is stopped");
                if doing == Some(Doing::Publishing) {
                    self.say(&publishing::ended(stream_id, "no"));
                }
            }
            Action::Media { stream_id, packet } => {
                assert_eq!(self.streams.get(&stream_id), Some(&Doing::Publishing), "media of nobody's");
                assert!(!(packet.is_key_frame() && packet.is_sequence_header()));
            }
            Action::Pause { stream_id, paused, .. } => {
                self.is_playing(stream_id);
                self.say(&if paused { playing::paused(stream_id) } else { playing::resumed(stream_id) });
            }
            Action::Seek { stream_id, position_ms } => {
                self.is_playing(stream_id);
                let source = if self.is_patient { Source::Live } else { Source::Recording };
                self.say(&playing::seek_completed(stream_id, source, position_ms));
                self.say(&playing::seek_failed(stream_id, "no"));
            }
            Action::Receive { stream_id, .. } => {
                self.is_playing(stream_id);
                self.say(&playing::receiving(stream_id));
            }
            Action::StreamLength { transaction_id, path } => {
                is_fit(&path);
                self.say(&playing::stream_length(transaction_id, 7.0));
            }
            _ => {}
        }
        true
    }

    fn publish(&mut self, stream_id: u32, path: &StreamPath) -> bool {
        is_fit(path);
        if self.refuses {
            let replies = self.session.refuse_publish(stream_id, StatusCode::PublishBadName, "no");
            self.say(&replies);
            return self.is_patient;
        }
        let replies = self.session.accept_publish(stream_id, "yes");
        self.say(&replies);
        self.begin(stream_id, Doing::Publishing);
        true
    }

    fn play(&mut self, stream_id: u32, request: &PlayRequest) {
        is_fit(&request.path);
        if self.refuses {
            let replies = self.session.refuse_play(stream_id, StatusCode::PlayStreamNotFound, "no");
            self.say(&replies);
            return;
        }
        self.begin(stream_id, Doing::Playing);
        self.say(&playing::started(stream_id, Source::Recording, &request.path.live_name()));
        self.say(&playing::recording_ended(stream_id, request.start_ms.unwrap_or(0), 7));
        self.say(&playing::live_ended(stream_id));
    }

    fn begin(&mut self, stream_id: u32, doing: Doing) {
        assert!(self.streams.insert(stream_id, doing).is_none(), "it does something else still");
        assert!(self.streams.len() <= limits::MESSAGE_STREAMS, "{} message streams", self.streams.len());
    }

    fn is_playing(&self, stream_id: u32) {
        assert_eq!(self.streams.get(&stream_id), Some(&Doing::Playing), "message stream {stream_id}");
    }

    /// What is said can be written, and read by a client.
    fn say(&mut self, replies: &[Reply]) {
        for reply in replies {
            let raw = reply.message.encode(reply.stream_id).expect("it has a form on the wire");
            let mut chunks = Vec::new();
            self.writer.write(&raw, &mut chunks);
            assert!(chunks.len() <= ANSWER_BYTES, "an answer of {} bytes", chunks.len());
            Message::decode(raw).expect("a client can read it");
        }
    }
}

/// A path that can be logged and looked up.
fn is_fit(path: &StreamPath) {
    assert!(path.app.len() + path.name.len() <= limits::NAME_BYTES);
    assert!(path.live_name().len() <= 3 * limits::NAME_BYTES);
    assert!(!format!("{path} {path:?}").chars().any(|c| c.is_control() || c == '?'), "{path} is not for the log");
    path.query_value("gop");
}

/// Bytes read as a language of messages.
struct Words<'a>(&'a [u8]);

const NAMES: &[&str] = &[
    "createStream",
    "publish",
    "play",
    "pause",
    "pauseRaw",
    "seek",
    "closeStream",
    "deleteStream",
    "FCPublish",
    "FCUnpublish",
    "releaseStream",
    "receiveAudio",
    "receiveVideo",
    "getStreamLength",
    "play2",
    "connect",
    "_result",
    "onStatus",
    "_checkbw",
    "FCSubscribe",
    "unknown",
];

const TEXTS: &[&str] =
    &["cam", "cam?key=k&gop=0", "a/b.flv", "", "flv:x", "..", "\r\n\u{1b}", "live", "record", "append"];

impl Words<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn message(&mut self) -> Option<RawMessage> {
        if self.0.is_empty() {
            return None;
        }
        let (what, stream_id) = (self.byte(), u32::from(self.byte() % 6));
        let payload = match what % 8 {
            0..=3 => self.command(what & 16 != 0),
            _ => {
                let length = usize::from(self.byte() % 48).min(self.0.len());
                let (bytes, rest) = self.0.split_at(length);
                self.0 = rest;
                bytes.to_vec()
            }
        };
        let type_id = match what % 8 {
            0..=3 if what & 16 != 0 => 17,
            0..=3 => 20,
            4 => 8,
            5 => 9,
            6 => [4, 22, 18, 15, 6, 3][usize::from(what >> 3) % 6],
            _ => what >> 3,
        };
        Some(message(type_id, stream_id, payload))
    }

    fn command(&mut self, in_amf3: bool) -> Vec<u8> {
        let name = NAMES[usize::from(self.byte()) % NAMES.len()];
        let mut values = vec![Value::from(name), Value::Number(f64::from(self.byte() % 4)), Value::Null];
        let count = self.byte() % 5;
        values.extend((0..count).map(|_| self.value(0)));
        if in_amf3 {
            let mut bytes = vec![0];
            for value in &values {
                bytes.push(0x11);
                amf3::encode(value, &mut bytes);
            }
            return bytes;
        }
        gortmp::amf::amf0::encode_all(&values)
    }

    fn value(&mut self, depth: u8) -> Value {
        match self.byte() % 9 {
            0 => Value::Null,
            1 => Value::Undefined,
            2 => Value::Boolean(self.byte() % 2 == 1),
            3 => Value::Number(f64::from(self.byte()) * 1000.0),
            4 => Value::Number([f64::NAN, f64::INFINITY, -2000.0, -1.0, 1e300][usize::from(self.byte()) % 5]),
            5 if depth < 3 => {
                let count = self.byte() % 3;
                let fields = (0..count).fold(Object::new(), |object, n| {
                    let key = TEXTS[usize::from(n)];
                    object.with(key, self.value(depth + 1))
                });
                fields.into()
            }
            6 => Value::Number(f64::from(self.byte() % 6)),
            _ => Value::from(TEXTS[usize::from(self.byte()) % TEXTS.len()]),
        }
    }
}

fn message(type_id: u8, stream_id: u32, payload: Vec<u8>) -> RawMessage {
    let chunk_stream_id = ChunkStreamId::new(3).expect("there is one");
    RawMessage { chunk_stream_id, timestamp: Timestamp::ZERO, type_id, stream_id, payload: payload.into() }
}

fn connect(kind: u8) -> RawMessage {
    let app = ["live", "gortmp/a", "live?key=k", "", "live/_definst_"][usize::from(kind) % 5];
    let object =
        Object::new().with("app", app).with("objectEncoding", f64::from(kind % 4)).with("tcUrl", "rtmp://h/x?q");
    let values = [Value::from("connect"), 1.0.into(), object.into()];
    message(20, 0, gortmp::amf::amf0::encode_all(&values))
}
