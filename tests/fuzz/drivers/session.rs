//! What a client says once it has shaken hands: any chunks, or messages put together by a small language, since
//! arbitrary bytes hardly ever are a command.

use std::collections::BTreeMap;

use gortmp::amf::{Object, Value, amf3};
use gortmp::limits;
use gortmp::media::Timestamp;
use gortmp::rtmp::chunk::{ChunkReader, ChunkStreamId, ChunkWriter, RawMessage};
use gortmp::rtmp::message::Message;
use gortmp::rtmp::status::StatusCode;
use gortmp::session::{Action, Reply, Session, Source, playing};

/// What a message stream was last said to do.
#[derive(Debug, PartialEq)]
enum Doing {
    Publishing,
    Playing,
}

/// A server that says yes or no to what a session asks, and watches that it keeps to the rules.
struct Server {
    session: Session,
    streams: BTreeMap<u32, Doing>,
    writer: ChunkWriter,
    /// Refuse what it is asked for next.
    refuses: bool,
}

/// Any chunks if the first byte is even, else messages of the small language.
pub fn session(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut server = Server {
        session: Session::new(),
        streams: BTreeMap::new(),
        writer: ChunkWriter::new(),
        refuses: kind & 2 != 0,
    };
    if kind % 2 == 0 {
        let mut chunks = ChunkReader::new(rest);
        while let Ok(message) = chunks.read_message() {
            if !server.handle(message) {
                return;
            }
        }
        return;
    }
    let mut words = Words(rest);
    server.handle(connect(words.byte()));
    while let Some(message) = words.message() {
        server.refuses = words.byte() % 8 == 7;
        if !server.handle(message) {
            return;
        }
    }
}

impl Server {
    /// Says whether the connection goes on.
    fn handle(&mut self, raw: RawMessage) -> bool {
        let stream_id = raw.stream_id;
        let most = 8 + limits::AGGREGATE_MESSAGES;
        let Ok(message) = Message::decode(raw) else { return true };
        let mut actions = Vec::new();
        let goes_on = self.session.handle(stream_id, message, &mut actions).is_ok();
        assert!(actions.len() <= most, "{} actions", actions.len());
        goes_on && actions.into_iter().all(|action| self.act(action))
    }

    fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Reply(reply) => self.say(&[reply]),
            Action::Connect(request) => {
                if self.refuses || request.app.is_empty() {
                    let replies = self.session.refuse_connect("no");
                    self.say(&replies);
                    return false;
                }
                let replies = self.session.accept_connect();
                self.say(&replies);
            }
            Action::Publish { stream_id, path, .. } => {
                assert!(path.live_name().len() <= 4 * limits::NAME_BYTES);
                if self.refuses {
                    let replies = self.session.refuse_publish(stream_id, StatusCode::PublishBadName, "no");
                    self.say(&replies);
                    return false;
                }
                let replies = self.session.accept_publish(stream_id, "yes");
                self.say(&replies);
                self.begin(stream_id, Doing::Publishing);
            }
            Action::Play { stream_id, request } => {
                if self.refuses {
                    let replies = self.session.refuse_play(stream_id, StatusCode::PlayStreamNotFound, "no");
                    self.say(&replies);
                } else {
                    self.say(&playing::started(stream_id, Source::Recording, &request.path.to_string()));
                    self.begin(stream_id, Doing::Playing);
                }
            }
            Action::Stop { stream_id } => {
                // A refused play is stopped without ever having begun.
                self.streams.remove(&stream_id);
            }
            Action::Media { stream_id, .. } => {
                assert_eq!(self.streams.get(&stream_id), Some(&Doing::Publishing), "media of nobody's");
            }
            Action::Pause { stream_id, .. } | Action::Seek { stream_id, .. } | Action::Receive { stream_id, .. } => {
                assert_ne!(self.streams.get(&stream_id), Some(&Doing::Publishing), "a publisher's pause");
            }
            Action::StreamLength { transaction_id, .. } => self.say(&playing::stream_length(transaction_id, 7.0)),
            _ => {}
        }
        true
    }

    fn begin(&mut self, stream_id: u32, doing: Doing) {
        assert!(self.streams.insert(stream_id, doing).is_none(), "it does something else still");
        assert!(self.streams.len() <= limits::MESSAGE_STREAMS);
    }

    /// What is said can be written and read.
    fn say(&mut self, replies: &[Reply]) {
        for reply in replies {
            let Some(raw) = reply.message.encode(reply.stream_id) else { continue };
            let mut chunks = Vec::new();
            self.writer.write(&raw, &mut chunks);
            assert!(chunks.len() < 64 * 1024, "an answer of {} bytes", chunks.len());
        }
    }
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
    RawMessage { chunk_stream_id, timestamp: Timestamp::ZERO, type_id, stream_id, payload }
}

fn connect(kind: u8) -> RawMessage {
    let app = ["live", "gortmp/a", "live?key=k", "", "live/_definst_"][usize::from(kind) % 5];
    let object =
        Object::new().with("app", app).with("objectEncoding", f64::from(kind % 4)).with("tcUrl", "rtmp://h/x?q");
    let values = [Value::from("connect"), 1.0.into(), object.into()];
    message(20, 0, gortmp::amf::amf0::encode_all(&values))
}
