//! Reassembles messages from chunks.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use super::chunk_stream::{ChunkStream, FIRST_RESERVE};
use super::source::{Source, cut_off};
use super::{ChunkSize, ChunkStreamId, EXTENDED, HeaderFormat, RawMessage};
use crate::error::{Error, Result};
use crate::guard::Share;
use crate::limits;
use crate::rtmp::numbers::MessageType;

/// Smallest window that is honored, in bytes: below it, every few chunks would be acknowledged.
const MIN_WINDOW: u32 = 1_000;

/// Reassembles messages from chunks, which may interleave in any way.
///
/// Applies Set Chunk Size, Abort and Window Acknowledgement Size and counts received bytes itself, so that no caller
/// can forget to; those messages are returned like all others.
#[derive(Debug)]
pub struct ChunkReader<R> {
    source: Source<R>,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    partial_bytes: usize,
    partial_limit: usize,
    /// Share of the budget for unfinished messages of all connections.
    share: Option<Share>,
    acknowledged: u64,
    window: u32,
}

impl<R: BufRead> ChunkReader<R> {
    /// Reads chunks from `source`, which is where the handshake left it.
    pub fn new(source: R) -> Self {
        Self {
            source: Source::new(source),
            chunk_size: ChunkSize::DEFAULT.get() as usize,
            streams: Vec::new(),
            partial_bytes: 0,
            partial_limit: limits::PARTIAL_BYTES,
            share: None,
            acknowledged: 0,
            window: limits::ACKNOWLEDGEMENT_WINDOW,
        }
    }

    /// Limits unfinished messages to `bytes`; what exceeds [`limits::PARTIAL_FREE_BYTES`] is taken from `share`. The
    /// default is [`limits::PARTIAL_BYTES`] without a share.
    pub(crate) fn limit_partial(&mut self, bytes: usize, share: Option<Share>) {
        self.partial_limit = bytes;
        self.share = share;
    }

    /// Stores in `missing`, before each read, how many bytes of the current message are still to come; 0 between
    /// messages.
    pub(crate) fn report_missing(&mut self, missing: Arc<AtomicUsize>) {
        self.source.report_missing = Some(missing);
    }

    /// Returns the source.
    pub(crate) fn source(&self) -> &R {
        &self.source.inner
    }

    /// Returns the source; bytes that the reader has already taken for the next message are no longer in it.
    pub fn source_mut(&mut self) -> &mut R {
        &mut self.source.inner
    }

    /// Returns the bytes received since the handshake.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Returns the sequence number of the Acknowledgement to send, if half a window has arrived since the last one.
    pub fn acknowledgement_due(&mut self) -> Option<u32> {
        let received = self.received();
        if received - self.acknowledged < u64::from(self.window / 2) {
            return None;
        }
        self.acknowledged = received;
        Some(received as u32)
    }

    /// Reads chunks until a message is complete.
    ///
    /// # Errors
    /// As [`read_chunk`](Self::read_chunk).
    pub fn read_message(&mut self) -> Result<RawMessage> {
        loop {
            if let Some(message) = self.read_chunk()? {
                return Ok(message);
            }
        }
    }

    /// Reads one chunk; returns the message that it completes, if it does.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when the source ends between two chunks and no message is unfinished;
    /// [`Error::Io`], [`Error::Chunk`] and [`Error::Limit`] otherwise. The reader is of no use after an error.
    pub fn read_chunk(&mut self) -> Result<Option<RawMessage>> {
        let (format, id) = self.basic_header()?;
        let index = self.stream_index(id, format)?;
        self.message_header(index, format)?;
        self.payload(index)
    }

    fn basic_header(&mut self) -> Result<(HeaderFormat, ChunkStreamId)> {
        let first = self.first_byte()?;
        let id = match first & 0x3f {
            0 => {
                let mut byte = [0];
                self.source.fill(&mut byte)?;
                64 + u32::from(byte[0])
            }
            1 => {
                let mut bytes = [0; 2];
                self.source.fill(&mut bytes)?;
                64 + u32::from(LittleEndian::read_u16(&bytes))
            }
            id => u32::from(id),
        };
        let id = ChunkStreamId::new(id).ok_or_else(|| self.error(id, "no such chunk stream"))?;
        Ok((HeaderFormat::of(first), id))
    }

    /// Reads the first byte of a chunk: only here is the end of the source a clean disconnect.
    fn first_byte(&mut self) -> Result<u8> {
        match self.source.byte()? {
            Some(byte) => Ok(byte),
            None if self.partial_bytes == 0 => Err(Error::Disconnected),
            None => Err(cut_off()),
        }
    }

    fn stream_index(&mut self, id: ChunkStreamId, format: HeaderFormat) -> Result<usize> {
        if let Some(index) = self.streams.iter().position(|stream| stream.id == id) {
            return Ok(index);
        }
        // librtmp's ping response is a type 1 chunk on a new chunk stream; types 2 and 3 have no length to take over
        // there.
        if matches!(format, HeaderFormat::SameLengthAndStream | HeaderFormat::Continuation) {
            return Err(self.error(id.get(), "begins with a chunk that repeats a header which never came"));
        }
        if self.streams.len() == limits::CHUNK_STREAMS {
            return Err(Error::Limit {
                what: "the number of chunk streams",
                value: self.streams.len() as u64 + 1,
                limit: limits::CHUNK_STREAMS as u64,
            });
        }
        self.streams.push(ChunkStream::new(id));
        Ok(self.streams.len() - 1)
    }

    fn message_header(&mut self, index: usize, format: HeaderFormat) -> Result<()> {
        let mut bytes = [0; 11];
        let bytes = &mut bytes[..format.header_length()];
        self.source.fill(bytes)?;
        let stream = &self.streams[index];
        let (id, resumed) = (stream.id.get(), stream.in_progress);
        let field = if format == HeaderFormat::Continuation { None } else { Some(BigEndian::read_u24(bytes)) };
        let extended = match field {
            Some(EXTENDED) => {
                let mut wide = [0; 4];
                self.source.fill(&mut wide)?;
                Some(BigEndian::read_u32(&wide))
            }
            Some(_) => None,
            None => self.repeated_extended_timestamp(stream.extended)?,
        };
        let stream = &self.streams[index];
        let (length, type_id) = match format {
            HeaderFormat::Full | HeaderFormat::SameStream => (BigEndian::read_u24(&bytes[3..6]) as usize, bytes[6]),
            _ => (stream.length, stream.type_id),
        };
        if resumed {
            // By the specification only type 3 continues a message. A repeated header is harmless if it says the same.
            if (length, type_id) != (stream.length, stream.type_id) {
                return Err(self.error(id, "a new message begins inside another"));
            }
            return Ok(());
        }
        let limit = limit_for(type_id);
        if length > limit {
            return Err(Error::Limit { what: "a message's length", value: length as u64, limit: limit as u64 });
        }
        let stream = &mut self.streams[index];
        if format == HeaderFormat::Full {
            stream.stream_id = LittleEndian::read_u32(&bytes[7..11]);
        }
        stream.begin_message(format, extended.or(field), extended, length, type_id);
        Ok(())
    }

    /// Reads the extended timestamp that a type 3 chunk repeats (RTMP 1.0 §5.3.1.3). Old senders omit it: it is present
    /// if the next four bytes equal the last one.
    fn repeated_extended_timestamp(&mut self, expected: Option<u32>) -> Result<Option<u32>> {
        if let Some(expected) = expected {
            let mut bytes = [0; 4];
            self.source.fill(&mut bytes)?;
            if BigEndian::read_u32(&bytes) != expected {
                self.source.give_back(bytes);
            }
        }
        Ok(expected)
    }

    fn payload(&mut self, index: usize) -> Result<Option<RawMessage>> {
        let stream = &mut self.streams[index];
        let mut missing = self.chunk_size.min(stream.length - stream.payload.len());
        let partial = self.partial_bytes + missing;
        if partial > self.partial_limit {
            return Err(Error::Limit {
                what: "the size of all unfinished messages",
                value: partial as u64,
                limit: self.partial_limit as u64,
            });
        }
        self.partial_bytes = partial;
        self.source.missing = stream.length - stream.payload.len();
        while missing > 0 {
            let step = missing.min(FIRST_RESERVE);
            hold(&mut self.share, partial - missing + step)?;
            stream.reserve(step);
            self.source.append(step, &mut stream.payload)?;
            missing -= step;
        }
        if stream.payload.len() < stream.length {
            return Ok(None);
        }
        stream.in_progress = false;
        self.partial_bytes -= stream.length;
        hold(&mut self.share, self.partial_bytes)?;
        let message = RawMessage {
            chunk_stream_id: stream.id,
            timestamp: stream.timestamp,
            type_id: stream.type_id,
            stream_id: stream.stream_id,
            payload: std::mem::take(&mut stream.payload).into(),
        };
        self.apply_control(&message)?;
        Ok(Some(message))
    }

    fn apply_control(&mut self, message: &RawMessage) -> Result<()> {
        let Some(argument) = message.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)) else {
            return Ok(());
        };
        match MessageType::from(message.type_id) {
            MessageType::SetChunkSize => self.chunk_size = ChunkSize::new(argument)?.get() as usize,
            MessageType::Abort => {
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id.get() == argument) {
                    self.partial_bytes -= stream.payload.len();
                    hold(&mut self.share, self.partial_bytes)?;
                    stream.payload = Vec::new();
                    stream.in_progress = false;
                }
            }
            MessageType::WindowAckSize => {
                self.window = if argument == 0 { limits::ACKNOWLEDGEMENT_WINDOW } else { argument.max(MIN_WINDOW) };
            }
            _ => {}
        }
        Ok(())
    }

    fn error(&self, chunk_stream_id: u32, reason: &'static str) -> Error {
        Error::Chunk { chunk_stream_id, position: self.source.received, reason: reason.into() }
    }
}

/// Resizes the share to what `bytes` of unfinished messages need.
fn hold(share: &mut Option<Share>, bytes: usize) -> Result<()> {
    let Some(share) = share else { return Ok(()) };
    let over = bytes.saturating_sub(limits::PARTIAL_FREE_BYTES);
    if share.resize(over) {
        return Ok(());
    }
    let (value, limit) = (over as u64, share.limit() as u64);
    Err(Error::Limit { what: "what this adds to the unfinished messages of all clients", value, limit })
}

/// Returns the largest length of a message of that type: only audio and video are long.
fn limit_for(type_id: u8) -> usize {
    match MessageType::from(type_id) {
        MessageType::Audio | MessageType::Video | MessageType::Aggregate => limits::MESSAGE_BYTES,
        _ => limits::COMMAND_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ChunkWriter;
    use super::*;
    use crate::media::Timestamp;
    use proptest::prelude::*;
    use std::io::{BufReader, Read};

    /// Reads messages up to the first error.
    fn read_until_error(bytes: &[u8]) -> (Vec<RawMessage>, Error) {
        let mut reader = ChunkReader::new(bytes);
        let mut messages = Vec::new();
        loop {
            match reader.read_message() {
                Ok(message) => messages.push(message),
                Err(error) => return (messages, error),
            }
        }
    }

    fn read_all(bytes: &[u8]) -> Vec<RawMessage> {
        let (messages, error) = read_until_error(bytes);
        assert!(matches!(error, Error::Disconnected), "{error}");
        messages
    }

    /// Reads all messages; returns each one's chunk stream, timestamp, type, message stream and length.
    fn summarize(bytes: &[u8]) -> Vec<(u32, u32, u8, u32, usize)> {
        read_all(bytes)
            .iter()
            .map(|m| (m.chunk_stream_id.get(), m.timestamp.milliseconds(), m.type_id, m.stream_id, m.payload.len()))
            .collect()
    }

    #[test]
    fn all_four_header_types() {
        let mut bytes = vec![6, 0, 0, 40, 0, 0, 2, 9, 1, 0, 0, 0, 0x17, 1];
        bytes.extend([0x46, 0, 0, 33, 0, 0, 3, 9, 1, 2, 3]);
        bytes.extend([0x86, 0, 0, 34, 1, 2, 3]);
        bytes.extend([0xc6, 1, 2, 3]);
        assert_eq!(summarize(&bytes), [(6, 40, 9, 1, 2), (6, 73, 9, 1, 3), (6, 107, 9, 1, 3), (6, 141, 9, 1, 3)]);
    }

    #[test]
    fn type_3_after_type_0_takes_a_plausible_timestamp_as_the_delta() {
        let second_timestamp = |first: u32| {
            let mut bytes = vec![6];
            bytes.extend(&first.to_be_bytes()[1..]);
            bytes.extend([0, 0, 1, 9, 1, 0, 0, 0, 7, 0xc6, 8]);
            summarize(&bytes)[1].1
        };
        assert_eq!(second_timestamp(40), 80, "as ffmpeg sends it");
        assert_eq!(second_timestamp(60_000), 120_000);
        assert_eq!(second_timestamp(60_001), 60_001, "as nginx-rtmp and librtmp send it");
    }

    #[test]
    fn chunks_of_two_streams_interleave() {
        let mut bytes = vec![6, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
        bytes.extend([1; 128]);
        bytes.extend([4, 0, 0, 0, 0, 0, 130, 8, 1, 0, 0, 0]);
        bytes.extend([2; 128]);
        bytes.push(0xc6);
        bytes.extend([1; 72]);
        bytes.extend([0xc4, 2, 2]);
        let messages = read_all(&bytes);
        assert_eq!(messages[0].payload[..], [1; 200]);
        assert_eq!(messages[1].payload[..], [2; 130]);
    }

    #[test]
    fn a_new_chunk_size_applies_within_a_partial_message() {
        let mut bytes = vec![6, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
        bytes.extend([1; 128]);
        bytes.extend([2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 50]);
        bytes.push(0xc6);
        bytes.extend([1; 50]);
        bytes.push(0xc6);
        bytes.extend([1; 22]);
        assert_eq!(summarize(&bytes), [(2, 0, 1, 0, 4), (6, 0, 9, 1, 200)]);
    }

    #[test]
    fn chunk_sizes_of_0_or_with_the_top_bit_set_are_rejected() {
        for size in [[0, 0, 0, 0], [0x80, 0, 0, 0]] {
            let mut bytes = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
            bytes.extend(size);
            assert!(matches!(read_until_error(&bytes).1, Error::Message { .. }));
        }
        let short = [2, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(summarize(&short), [(2, 0, 1, 0, 2)], "a payload of less than four bytes is not applied");
    }

    #[test]
    fn abort_discards_a_partial_message_and_keeps_its_header() {
        let mut bytes = vec![6, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
        bytes.extend([1; 128]);
        bytes.extend([2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 6]);
        bytes.extend([0x46, 0, 0, 9, 0, 0, 1, 9, 5]);
        assert_eq!(summarize(&bytes), [(2, 0, 2, 0, 4), (6, 9, 9, 1, 1)]);
    }

    #[test]
    fn a_repeated_header_continues_a_message_and_a_changed_one_is_an_error() {
        let mut bytes = vec![6, 0, 0, 5, 0, 0, 130, 9, 1, 0, 0, 0];
        bytes.extend([1; 128]);
        let mut changed = bytes.clone();
        bytes.extend([6, 0, 0, 5, 0, 0, 130, 9, 1, 0, 0, 0, 1, 1]);
        assert_eq!(summarize(&bytes), [(6, 5, 9, 1, 130)]);
        changed.extend([6, 0, 0, 5, 0, 0, 131, 9, 1, 0, 0, 0, 1, 1, 1]);
        assert!(matches!(read_until_error(&changed).1, Error::Chunk { chunk_stream_id: 6, .. }));
    }

    #[test]
    fn a_new_chunk_stream_may_begin_with_type_1_but_not_2_or_3() {
        let ping_response = [0x42, 0, 0, 0, 0, 0, 6, 4, 0, 7, 0, 0, 0, 9];
        assert_eq!(summarize(&ping_response), [(2, 0, 4, 0, 6)], "as librtmp sends it");
        assert!(matches!(read_until_error(&[0x82, 0, 0, 0]).1, Error::Chunk { .. }));
        assert!(matches!(read_until_error(&[0xc2]).1, Error::Chunk { .. }));
    }

    /// Returns a message of 200 bytes with an extended timestamp, which its second chunk repeats if `repeat` is set.
    fn extended_message(repeat: bool, timestamp: u32) -> Vec<u8> {
        let mut bytes = vec![6, 0xff, 0xff, 0xff, 0, 0, 200, 9, 1, 0, 0, 0];
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend([1; 128]);
        bytes.push(0xc6);
        if repeat {
            bytes.extend(timestamp.to_be_bytes());
        }
        bytes.extend([2; 72]);
        bytes
    }

    #[test]
    fn extended_timestamps_with_and_without_repetition_on_type_3() {
        for repeat in [true, false] {
            let mut bytes = extended_message(repeat, 20_000_000);
            bytes.extend(extended_message(repeat, 20_000_040));
            let messages = read_all(&bytes);
            assert_eq!(messages[0].timestamp, Timestamp::new(20_000_000));
            assert_eq!(messages[1].timestamp, Timestamp::new(20_000_040));
            assert!(messages.iter().all(|m| m.payload[..128] == [1; 128] && m.payload[128..] == [2; 72]));
        }
    }

    #[test]
    fn peeked_bytes_are_the_start_of_a_long_chunk() {
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x9c, 0x40];
        bytes.extend([6, 0xff, 0xff, 0xff, 0x01, 0x38, 0x80, 9, 1, 0, 0, 0, 0x01, 0x31, 0x2d, 0]);
        let payload: Vec<u8> = (0..80_000).map(|index| (index % 251) as u8).collect();
        bytes.extend(&payload[..40_000]);
        bytes.push(0xc6);
        bytes.extend(&payload[40_000..]);
        let mut reader = ChunkReader::new(&bytes[..]);
        reader.read_message().unwrap();
        assert!(reader.read_message().unwrap().payload == payload);
        assert_eq!(reader.received(), bytes.len() as u64);
    }

    #[test]
    fn peeked_bytes_are_counted_once() {
        for repeat in [true, false] {
            let bytes = extended_message(repeat, 20_000_000);
            let mut reader = ChunkReader::new(&bytes[..]);
            reader.read_message().unwrap();
            assert_eq!(reader.received(), bytes.len() as u64);
        }
    }

    #[test]
    fn timestamps_that_step_back_or_wrap_at_32_bits() {
        let mut bytes = vec![4, 0xff, 0xff, 0xff, 0, 0, 1, 8, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xf0, 1];
        bytes.extend([0x44, 0, 0, 32, 0, 0, 1, 8, 1]);
        bytes.extend([0x44, 0xff, 0xff, 0xff, 0, 0, 1, 8, 0xff, 0xff, 0xff, 0xf9, 1]);
        let timestamps: Vec<_> = summarize(&bytes).iter().map(|m| m.1).collect();
        assert_eq!(timestamps, [0xffff_fff0, 16, 9]);
    }

    #[test]
    fn three_byte_ids_and_short_ids_in_the_long_form() {
        let long = |low, high| {
            let bytes = [0x01, low, high, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 1];
            summarize(&bytes)[0].0
        };
        assert_eq!(long(0xff, 0xff), 65_599);
        assert_eq!(long(0, 1), 320);
        assert_eq!(long(0, 0), 64, "accepted on input");
        assert_eq!(summarize(&[0x00, 0xff, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 1])[0].0, 319);
    }

    #[test]
    fn empty_messages_are_complete_after_their_header() {
        let bytes = [4, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0xc4];
        assert_eq!(summarize(&bytes), [(4, 0, 8, 1, 0), (4, 0, 8, 1, 0)]);
    }

    #[test]
    fn a_disconnect_within_a_message_is_an_io_error() {
        let mut bytes = vec![6, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
        bytes.extend([1; 128]);
        assert!(matches!(read_until_error(&bytes).1, Error::Io { .. }));
        assert!(matches!(read_until_error(&bytes[..5]).1, Error::Io { .. }));
    }

    #[test]
    fn message_length_at_the_limit_and_one_past() {
        let error_of = |length: usize, type_id| {
            let mut bytes = vec![6, 0, 0, 0];
            bytes.extend(&(length as u32).to_be_bytes()[1..]);
            bytes.extend([type_id, 1, 0, 0, 0]);
            read_until_error(&bytes).1
        };
        assert!(matches!(error_of(limits::MESSAGE_BYTES, 9), Error::Io { .. }));
        assert!(matches!(error_of(limits::MESSAGE_BYTES + 1, 9), Error::Limit { .. }));
        assert!(matches!(error_of(limits::COMMAND_BYTES, 20), Error::Io { .. }));
        assert!(matches!(error_of(limits::COMMAND_BYTES + 1, 20), Error::Limit { .. }));
    }

    #[test]
    fn chunk_stream_count_at_the_limit_and_one_past() {
        let error_of = |count: usize| {
            let mut bytes = Vec::new();
            for id in 0..count {
                bytes.extend([0x01, id as u8, 1, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
            }
            read_until_error(&bytes).1
        };
        assert!(matches!(error_of(limits::CHUNK_STREAMS), Error::Disconnected));
        assert!(matches!(error_of(limits::CHUNK_STREAMS + 1), Error::Limit { .. }));
    }

    #[test]
    fn partial_messages_at_their_limit_and_one_past() {
        // Two messages of the maximum length, each one byte short of complete, leave two bytes of the limit.
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
        bytes.extend((limits::MESSAGE_BYTES as u32 - 1).to_be_bytes());
        for id in [6u8, 7] {
            bytes.push(id);
            bytes.extend([0, 0, 0]);
            bytes.extend(&(limits::MESSAGE_BYTES as u32).to_be_bytes()[1..]);
            bytes.extend([9, 1, 0, 0, 0]);
            bytes.resize(bytes.len() + limits::MESSAGE_BYTES - 1, 0);
        }
        let messages_with_third = |length: u8| {
            let mut bytes = bytes.clone();
            bytes.extend([8, 0, 0, 0, 0, 0, length, 8, 1, 0, 0, 0, 1, 1, 1]);
            read_until_error(&bytes).0.len()
        };
        assert_eq!(messages_with_third(2), 2, "Set Chunk Size and the third message");
        assert_eq!(messages_with_third(3), 1);
    }

    #[test]
    fn the_buffer_of_a_message_has_exactly_its_length() {
        for chunk_size in [128, 60_000, 1_000_000u32] {
            for length in [1, 300, FIRST_RESERVE, FIRST_RESERVE + 1, 5 * FIRST_RESERVE] {
                let message = |chunk_stream_id, type_id, payload| RawMessage {
                    chunk_stream_id,
                    timestamp: Timestamp::ZERO,
                    type_id,
                    stream_id: 0,
                    payload,
                };
                let size = message(ChunkStreamId::CONTROL, 1, chunk_size.to_be_bytes().to_vec().into());
                let sent = message(ChunkStreamId::VIDEO, 9, (0..length).map(|index| (index % 251) as u8).collect());
                let (mut writer, mut bytes) = (ChunkWriter::new(), Vec::new());
                writer.write(&size, &mut bytes);
                writer.write(&sent, &mut bytes);
                let mut reader = ChunkReader::new(BufReader::new(&bytes[..]));
                assert_eq!(reader.read_message().unwrap(), size);
                let read = reader.read_message().unwrap();
                assert!(read == sent, "{length} bytes in chunks of {chunk_size}");
                assert_eq!(Vec::from(read.payload).capacity(), length);
                assert_eq!(reader.received(), bytes.len() as u64);
            }
        }
    }

    #[test]
    fn no_memory_is_reserved_for_announced_bytes_before_they_arrive() {
        let header = [6, 0, 0, 0, 0x7f, 0xff, 0xff, 9, 1, 0, 0, 0];
        for received in [1, 128, FIRST_RESERVE, FIRST_RESERVE + 1, 3 * FIRST_RESERVE] {
            let mut bytes = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
            bytes.extend(header);
            bytes.resize(bytes.len() + received, 7);
            let mut reader = ChunkReader::new(BufReader::new(&bytes[..]));
            assert_eq!(reader.read_message().unwrap().type_id, 1);
            assert!(matches!(reader.read_message(), Err(Error::Io { .. })));
            assert!(reader.streams[1].payload.capacity() <= FIRST_RESERVE.max(2 * received), "{received}");
        }
    }

    #[test]
    fn acknowledgements_are_due_at_half_a_window() {
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0, 0x07, 0xd0];
        for _ in 0..10 {
            bytes.extend([6, 0, 0, 0, 0, 0, 100, 9, 1, 0, 0, 0]);
            bytes.extend([0; 100]);
        }
        let mut reader = ChunkReader::new(&bytes[..]);
        let mut due = Vec::new();
        while reader.read_message().is_ok() {
            due.extend(reader.acknowledgement_due());
        }
        assert_eq!(due, [16 + 9 * 112]);
    }

    #[test]
    fn the_acknowledged_byte_count_wraps_at_32_bits() {
        let mut reader = ChunkReader::new(&[][..]);
        reader.source.received = (1 << 32) + 7;
        assert_eq!(reader.acknowledgement_due(), Some(7));
        assert_eq!(reader.acknowledgement_due(), None);
    }

    /// Returns its bytes in reads of the given lengths.
    struct SplitReader<'a> {
        bytes: &'a [u8],
        lengths: std::iter::Cycle<std::vec::IntoIter<usize>>,
    }

    impl Read for SplitReader<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.lengths.next().unwrap().min(buffer.len()).min(self.bytes.len());
            let (read, rest) = self.bytes.split_at(length);
            buffer[..length].copy_from_slice(read);
            self.bytes = rest;
            Ok(length)
        }
    }

    fn any_message() -> impl Strategy<Value = RawMessage> {
        let timestamp = prop_oneof![Just(0xff_fffe), Just(0xff_ffff), Just(0x100_0000), Just(u32::MAX), any::<u32>()];
        let id = prop_oneof![Just(3), Just(63), Just(64), Just(319), Just(320), Just(65_599)];
        (id, timestamp, prop_oneof![Just(8u8), Just(9), Just(18), Just(20)], any::<u32>(), 0usize..400).prop_map(
            |(id, timestamp, type_id, stream_id, length)| RawMessage {
                chunk_stream_id: ChunkStreamId::new(id).unwrap(),
                timestamp: Timestamp::new(timestamp),
                type_id,
                stream_id,
                payload: (0..length).map(|i| i as u8).collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn writing_and_reading_round_trips_for_any_split(
            sent in proptest::collection::vec(any_message(), 1..8),
            lengths in proptest::collection::vec(1usize..40, 1..5),
        ) {
            let mut writer = ChunkWriter::new();
            let mut bytes = Vec::new();
            for message in &sent {
                writer.write(message, &mut bytes);
            }
            let split = SplitReader { bytes: &bytes, lengths: lengths.into_iter().cycle() };
            let mut reader = ChunkReader::new(BufReader::new(split));
            for message in sent {
                prop_assert_eq!(reader.read_message().unwrap(), message);
            }
            prop_assert!(matches!(reader.read_message(), Err(Error::Disconnected)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read_until_error(&bytes);
        }
    }
}
