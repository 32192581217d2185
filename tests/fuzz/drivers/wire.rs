//! Bytes that come over a socket.

use std::io::{BufRead, BufReader};

use gortmp::amf::{self, Object, Value};
use gortmp::flv::Metadata;
use gortmp::guard::Budget;
use gortmp::media::Timestamp;
use gortmp::rtmp::chunk::{ChunkReader, ChunkStreamId, ChunkWriter, RawMessage};
use gortmp::rtmp::message::Message;
use gortmp::{Error, limits};

use super::shaky::Shaky;

/// A stream of chunks; the first byte says in pieces of what size it is read.
pub fn chunk_reader(input: &[u8]) {
    let Some((&step, chunks)) = input.split_first() else { return };
    let (messages, end) = read_all(ChunkReader::new(chunks), chunks.len());
    super::is_fit_for_the_log(&end);
    let pieces = BufReader::with_capacity(usize::from(step) + 1, Shaky::interrupted(chunks, step % 8));
    let (pieces, other_end) = read_all(ChunkReader::new(pieces), chunks.len());
    assert!(messages == pieces, "it matters in which pieces the bytes come");
    assert_eq!(end.to_string(), other_end.to_string());

    // Less may wait unfinished, so it may end earlier, but with nothing else.
    let budget = Budget::new(chunks.len());
    let mut reader = ChunkReader::new(chunks);
    reader.limit_partial(usize::from(step) * 8, Some(budget.share()));
    let (fewer, _) = read_all(reader, chunks.len());
    assert!(messages.starts_with(&fewer));
    assert_eq!(budget.held(), 0, "not all was given back");

    // What was read is the same when it was written and read again.
    let mut writer = ChunkWriter::new();
    let mut written = Vec::new();
    messages.iter().for_each(|message| writer.write(message, &mut written));
    let (again, end) = read_all(ChunkReader::new(&written[..]), written.len());
    assert!(messages == again, "written and read again it is something else: {end}");
    assert!(matches!(end, Error::Disconnected), "{end}");
}

/// All messages, and the error that ended them.
fn read_all(mut reader: ChunkReader<impl BufRead>, bytes: usize) -> (Vec<RawMessage>, Error) {
    let mut messages = Vec::new();
    let (mut total, mut acknowledged) = (0, 0);
    for _ in 0..=bytes {
        let received = reader.received();
        match reader.read_chunk() {
            Ok(message) => {
                assert!(reader.received() > received, "a chunk without a byte");
                let length = message.as_ref().map_or(0, |message| message.payload.len());
                assert!(length <= limits::MESSAGE_BYTES);
                total += length;
                messages.extend(message);
            }
            Err(error) => return (messages, error),
        }
        assert!(reader.received() <= bytes as u64);
        assert!(total <= bytes, "more came out than went in");
        if let Some(due) = reader.acknowledgement_due() {
            assert!(due > acknowledged && u64::from(due) == reader.received());
            acknowledged = due;
        }
    }
    panic!("there are more chunks than bytes");
}

/// A message: the first byte is its type.
pub fn commands(input: &[u8]) {
    let Some((type_id, payload)) = input.split_first() else { return };
    let raw = |type_id, payload| RawMessage {
        chunk_stream_id: ChunkStreamId::new(3).expect("there is one"),
        timestamp: Timestamp::ZERO,
        type_id,
        stream_id: 1,
        payload,
    };
    let message = match Message::decode(raw(*type_id, payload.to_vec().into())) {
        Ok(message) => message,
        Err(error) => return super::is_fit_for_the_log(&error),
    };
    if let Message::Aggregate(packets) = &message {
        assert!(packets.len() <= limits::AGGREGATE_MESSAGES);
        assert!(packets.iter().map(|packet| 11 + packet.payload.len()).sum::<usize>() <= payload.len());
    }
    // A peer must not make us write what we can't read.
    let Some(encoded) = message.encode(1) else { return };
    let again = Message::decode(encoded.clone()).expect("what was encoded can be decoded");
    assert_eq!(again.encode(1).map(|raw| raw.payload), Some(encoded.payload));
}

/// AMF0 values.
pub fn amf0(input: &[u8]) {
    // Of a message that ends in rubbish, what stands before that is used.
    let values: Vec<Value> = amf::amf0::Decoder::new(input).map_while(Result::ok).collect();
    is_bounded(&values, input.len());
    let _ = Metadata::parse(Metadata::without_set_data_frame(input));
    let encoded = amf::amf0::encode_all(&values);
    let again = amf::amf0::decode_all(&encoded).expect("what was encoded can be decoded");
    // By their bytes, since no NaN is equal to itself.
    assert_eq!(amf::amf0::encode_all(&again), encoded);
}

/// AMF3 values in a row, and one behind the switch from AMF0.
pub fn amf3(input: &[u8]) {
    let behind_switch = [&[0x11][..], input].concat();
    if let Some(Ok(value)) = amf::amf0::Decoder::new(&behind_switch).next() {
        is_bounded(std::slice::from_ref(&value), input.len());
        let encoded = amf::amf0::encode_all(&[value]);
        amf::amf0::decode_all(&encoded).expect("AMF0 has a form for everything");
    }
    let Ok(values) = amf::amf3::decode_all(input) else { return };
    is_bounded(&values, input.len());
    let encoded = encode_amf3(&values);
    match amf::amf3::decode_all(&encoded) {
        Ok(again) => assert_eq!(encode_amf3(&again), encoded),
        // References were cheaper than what they stand for.
        Err(error) => assert!(matches!(error, Error::Limit { .. }) && encoded.len() > input.len(), "{error}"),
    }
}

fn encode_amf3(values: &[Value]) -> Vec<u8> {
    let mut encoded = Vec::new();
    values.iter().for_each(|value| amf::amf3::encode(value, &mut encoded));
    encoded
}

/// Checks what came out of so many bytes against the limits.
fn is_bounded(values: &[Value], encoded_bytes: usize) {
    let mut count = Count::default();
    values.iter().for_each(|value| count.value(value, 0));
    assert!(count.values <= limits::AMF_VALUES, "{} values from {encoded_bytes} bytes", count.values);
    assert!(count.depth <= limits::AMF_DEPTH, "{} deep", count.depth);
    // A byte that is no UTF-8 becomes three.
    let most = 3 * (encoded_bytes + limits::AMF_REPEATED_BYTES);
    assert!(count.bytes <= most, "{} bytes of text from {encoded_bytes}", count.bytes);
}

#[derive(Default)]
struct Count {
    values: usize,
    depth: usize,
    bytes: usize,
}

impl Count {
    fn value(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        match value {
            Value::String(text) | Value::Xml(text) => self.bytes += text.len(),
            Value::ByteArray(bytes) => self.bytes += bytes.len(),
            Value::Object(object) | Value::EcmaArray(object) => self.object(object, depth),
            Value::TypedObject { class, object } => {
                self.bytes += class.len();
                self.object(object, depth);
            }
            Value::StrictArray(items) => items.iter().for_each(|item| self.value(item, depth + 1)),
            _ => {}
        }
    }

    fn object(&mut self, object: &Object, depth: usize) {
        for (key, value) in object.iter() {
            self.bytes += key.len();
            self.value(value, depth + 1);
        }
    }
}
