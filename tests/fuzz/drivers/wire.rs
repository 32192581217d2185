//! Bytes that come over a socket.

use std::io::{BufReader, Cursor};

use gortmp::amf::{self, Value};
use gortmp::limits;
use gortmp::media::Timestamp;
use gortmp::rtmp::chunk::{ChunkReader, ChunkStreamId, ChunkWriter, RawMessage};
use gortmp::rtmp::handshake::client::ClientKind;
use gortmp::rtmp::handshake::{Scheme, client, server};
use gortmp::rtmp::message::Message;

/// A peer's whole side of a handshake.
pub fn handshake(input: &[u8]) {
    let mut answer = Vec::new();
    if server::accept(&mut Cursor::new(input), &mut answer).is_ok() {
        assert_eq!(answer.len(), 1 + 2 * 1536, "S0, S1 and S2");
    }
    for kind in [ClientKind::Simple, ClientKind::Digest(Scheme::One)] {
        let mut sent = Vec::new();
        if client::connect(&mut Cursor::new(input), &mut sent, kind).is_ok() {
            assert_eq!(sent.len(), 1 + 2 * 1536, "C0, C1 and C2");
        }
    }
}

/// A stream of chunks; the first byte says in pieces of what size it is read.
pub fn chunk_reader(input: &[u8]) {
    let Some((step, chunks)) = input.split_first() else { return };
    let mut reader = ChunkReader::new(BufReader::with_capacity(usize::from(*step) + 1, chunks));
    let mut received = 0;
    loop {
        let message = match reader.read_chunk() {
            Ok(Some(message)) => message,
            Ok(None) => continue,
            Err(_) => break,
        };
        received += message.payload.len();
        assert!(message.payload.len() <= limits::MESSAGE_BYTES);
        assert!(received <= chunks.len(), "more came out than went in");
        reader.acknowledgement_due();
        comes_through(&message);
    }
    assert!(reader.received() <= chunks.len() as u64);
}

/// What was read is the same when it was written and read again.
fn comes_through(message: &RawMessage) {
    // The reader obeys control messages, whatever is in them.
    if message.type_id <= 6 {
        return;
    }
    let mut chunks = Vec::new();
    ChunkWriter::new().write(message, &mut chunks);
    let again = ChunkReader::new(&chunks[..]).read_message().expect("what was written can be read");
    assert_eq!(&again, message);
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
    let Ok(message) = Message::decode(raw(*type_id, payload.to_vec())) else { return };
    // A peer must not make us write what we can't read.
    let Some(encoded) = message.encode(1) else { return };
    let again = Message::decode(encoded.clone()).expect("what was encoded can be decoded");
    assert_eq!(again.encode(1).map(|raw| raw.payload), Some(encoded.payload));
}

/// AMF0 values.
pub fn amf0(input: &[u8]) {
    let Ok(values) = amf::amf0::decode_all(input) else { return };
    is_bounded(&values);
    let encoded = amf::amf0::encode_all(&values);
    let again = amf::amf0::decode_all(&encoded).expect("what was encoded can be decoded");
    // By their bytes, since no NaN is equal to itself.
    assert_eq!(amf::amf0::encode_all(&again), encoded);
}

/// AMF3 values.
pub fn amf3(input: &[u8]) {
    let Ok(values) = amf::amf3::decode_all(input) else { return };
    is_bounded(&values);
    for value in &values {
        let mut encoded = Vec::new();
        amf::amf3::encode(value, &mut encoded);
        let again = amf::amf3::decode_all(&encoded).expect("what was encoded can be decoded");
        let mut twice = Vec::new();
        again.iter().for_each(|value| amf::amf3::encode(value, &mut twice));
        assert_eq!(twice, encoded);
    }
}

fn is_bounded(values: &[Value]) {
    assert!(values.len() <= limits::AMF_VALUES);
    // Whoever has the values prints, compares and drops them, all of which recurse.
    assert!(!format!("{values:?}").is_empty());
}
