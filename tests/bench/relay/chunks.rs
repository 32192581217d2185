//! Chunks to checked messages, as fast as bytes come: a media message is compared while it passes and
//! never put together. Written apart from the server's own reader, so that the two check each other.

use super::content::{Kind, Shape, pattern};
use super::http::Body;

/// A message that has passed.
#[derive(Debug)]
pub enum Passed {
    /// A numbered message whose bytes were right.
    Frame(Frame),
    /// A sequence header.
    SequenceHeader,
    /// Anything but audio and video, with its type.
    Other(u8, Vec<u8>),
}

/// A numbered message.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub kind: Kind,
    pub number: u32,
    pub stream: u32,
    pub sent: u64,
    pub timestamp: u32,
    pub length: usize,
}

/// The reader of one connection.
#[derive(Debug)]
pub struct Chunks {
    shape: Shape,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    head: Vec<u8>,
    /// The chunk stream whose data comes now, and how many bytes of this chunk.
    current: Option<(usize, usize)>,
    /// Over HTTP, where tags or boxes come instead of chunks.
    tags: Option<Tags>,
    body: Body,
    /// Of the last fragment: its track and its time in milliseconds.
    boxes_track: u32,
    boxes_time: u32,
}

/// What comes before the next FLV tag, or the next frame in MP4.
#[derive(Clone, Copy, Debug)]
enum Tags {
    /// The file's header and the size of no tag.
    Start,
    /// The size of the last tag.
    Size,
    /// Boxes, up to the one that holds the frame.
    Boxes,
}

#[derive(Debug, Default)]
struct ChunkStream {
    id: u32,
    timestamp: u32,
    delta: u32,
    extended: bool,
    length: usize,
    type_id: u8,
    got: usize,
    /// The whole message, or of audio and video the start.
    start: Vec<u8>,
}

impl Chunks {
    pub fn new(shape: Shape, chunk_size: usize) -> Self {
        let (streams, head) = (Vec::new(), Vec::with_capacity(18));
        let (tags, body) = (None, Body::default());
        Self { shape, chunk_size, streams, head, current: None, tags, body, boxes_track: 0, boxes_time: 0 }
    }

    /// A reader of what comes over HTTP.
    pub fn in_tags(shape: Shape) -> Self {
        Self { tags: Some(Tags::Start), ..Self::new(shape, usize::MAX) }
    }

    /// The same of fragmented MP4.
    pub fn in_boxes(shape: Shape) -> Self {
        let streams = vec![ChunkStream::default(), ChunkStream::default()];
        Self { tags: Some(Tags::Boxes), streams, ..Self::new(shape, usize::MAX) }
    }

    /// Takes bytes and hands on what they complete. An error says what was not as it should be.
    pub fn feed(&mut self, bytes: &[u8], passed: &mut impl FnMut(Passed) -> Result<(), String>) -> Result<(), String> {
        if self.tags.is_none() {
            return self.feed_body(bytes, passed);
        }
        let mut body = std::mem::take(&mut self.body);
        let result = body.feed(bytes, |bytes| self.feed_body(bytes, passed));
        self.body = body;
        result
    }

    fn feed_body(
        &mut self,
        mut bytes: &[u8],
        passed: &mut impl FnMut(Passed) -> Result<(), String>,
    ) -> Result<(), String> {
        while !bytes.is_empty() {
            let Some((index, left)) = self.current else {
                self.head.push(bytes[0]);
                bytes = &bytes[1..];
                self.current = match self.tags {
                    Some(Tags::Boxes) => self.box_header()?,
                    Some(_) => self.tag_header()?,
                    None => self.header()?,
                };
                continue;
            };
            let take = left.min(bytes.len());
            let stream = &mut self.streams[index];
            stream.data(&bytes[..take], self.shape)?;
            bytes = &bytes[take..];
            self.current = (take < left).then_some((index, left - take));
            if stream.got == stream.length {
                let message = stream.finish(self.shape)?;
                if let Passed::Other(1, payload) = &message {
                    let size = payload.first_chunk().ok_or("a short Set Chunk Size")?;
                    self.chunk_size = u32::from_be_bytes(*size) as usize;
                }
                passed(message)?;
            }
        }
        Ok(())
    }

    /// Passes over boxes and reads the header of the one that holds a frame if it is complete. What stood before the
    /// frame in its message is put back, so that it is checked like others.
    fn box_header(&mut self) -> Result<Option<(usize, usize)>, String> {
        let Some([a, b, c, d, kind @ ..]) = self.head.first_chunk::<8>() else { return Ok(None) };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if kind == b"mdat" {
            // The last box before it says of which track it is, and when it is decoded.
            self.head.clear();
            let index = usize::from(self.boxes_track == 2);
            let stream = &mut self.streams[index];
            let prefix: &[u8] = if index == 0 { &[0x27, 1, 0, 0, 0] } else { &[0xaf, 1] };
            (stream.type_id, stream.timestamp) = (if index == 0 { 9 } else { 8 }, self.boxes_time);
            (stream.length, stream.got, stream.start) = (length - 8 + prefix.len(), prefix.len(), prefix.to_vec());
            return Ok(Some((index, length - 8)));
        }
        if self.head.len() < length {
            return Ok(None);
        }
        if kind == b"moof" {
            let find = |name: &[u8]| self.head.windows(4).position(|window| window == name);
            let word = |at: usize| {
                self.head
                    .get(at..at + 4)
                    .map_or(0, |bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
            };
            let (tfhd, tfdt) =
                (find(b"tfhd").ok_or("a moof without tfhd")?, find(b"tfdt").ok_or("a moof without tfdt")?);
            let track = word(tfhd + 8);
            // Audio counts samples.
            let time = word(tfdt + 12);
            self.boxes_time = if track == 2 { (u64::from(time) * 1000 / 44_100) as u32 } else { time };
            self.boxes_track = track;
        }
        self.head.clear();
        Ok(None)
    }

    /// Reads the header of a tag if it is complete.
    fn tag_header(&mut self) -> Result<Option<(usize, usize)>, String> {
        let before = match self.tags {
            Some(Tags::Start) => 13,
            _ => 4,
        };
        let Some([type_id, a, b, c, d, e, f, g, _, _, _]) = self.head.get(before..).and_then(|tag| tag.first_chunk())
        else {
            return Ok(None);
        };
        let (length, timestamp) = (u32::from_be_bytes([0, *a, *b, *c]) as usize, u32::from_be_bytes([*g, *d, *e, *f]));
        let index = match self.streams.iter().position(|stream| stream.type_id == *type_id) {
            Some(index) => index,
            None => {
                self.streams.push(ChunkStream { type_id: *type_id, ..ChunkStream::default() });
                self.streams.len() - 1
            }
        };
        (self.streams[index].length, self.streams[index].timestamp) = (length, timestamp);
        self.tags = Some(Tags::Size);
        self.head.clear();
        Ok(Some((index, length)))
    }

    /// Reads the header if it is complete.
    fn header(&mut self) -> Result<Option<(usize, usize)>, String> {
        let head = &self.head;
        let (format, id) = (head[0] >> 6, u32::from(head[0] & 0x3f));
        if id < 2 {
            return Err(format!("a chunk stream that no server uses: {id}"));
        }
        let index = match self.streams.iter().position(|stream| stream.id == id) {
            Some(index) => index,
            None => {
                self.streams.push(ChunkStream { id, ..ChunkStream::default() });
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        let fields = [11, 7, 3, 0][usize::from(format)];
        if head.len() < 1 + fields {
            return Ok(None);
        }
        let number =
            |range: std::ops::Range<usize>| head[range].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let extended = if format == 3 { stream.extended } else { number(1..4) == 0xff_ffff };
        if extended && head.len() < 1 + fields + 4 {
            return Ok(None);
        }
        let time = if extended {
            number(1 + fields..5 + fields)
        } else if format < 3 {
            number(1..4)
        } else {
            stream.delta
        };
        if stream.got == 0 {
            if format < 2 {
                stream.length = number(4..7) as usize;
                stream.type_id = head[7];
            }
            match format {
                0 => (stream.timestamp, stream.delta) = (time, 0),
                _ => {
                    stream.delta = time;
                    stream.timestamp = stream.timestamp.wrapping_add(time);
                }
            }
            stream.extended = extended;
        } else if format != 3 {
            return Err("a message inside another".to_owned());
        }
        let left = self.chunk_size.min(stream.length - stream.got);
        self.head.clear();
        if left == 0 {
            return Err("an empty message".to_owned());
        }
        Ok(Some((index, left)))
    }
}

impl ChunkStream {
    fn data(&mut self, bytes: &[u8], shape: Shape) -> Result<(), String> {
        self.got += bytes.len();
        let Some(kind) = Kind::from_type(self.type_id) else {
            self.start.extend_from_slice(bytes);
            return Ok(());
        };
        let (start, rest) = bytes.split_at(bytes.len().min(kind.prefix() - self.start.len()));
        self.start.extend_from_slice(start);
        if self.start.get(1) == Some(&0) || rest.is_empty() {
            return Ok(());
        }
        let number = self.number(kind);
        let from = self.got - rest.len() - kind.prefix();
        let expected = shape.length(kind, number) - kind.prefix();
        if from + rest.len() > expected || pattern(number, from, rest.len()) != rest {
            return Err(format!("{kind:?} {number} has other bytes than were sent"));
        }
        Ok(())
    }

    fn number(&self, kind: Kind) -> u32 {
        self.start[kind.prefix() - 16..][..4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
    }

    fn finish(&mut self, shape: Shape) -> Result<Passed, String> {
        self.got = 0;
        let Some(kind) = Kind::from_type(self.type_id) else {
            return Ok(Passed::Other(self.type_id, std::mem::take(&mut self.start)));
        };
        if self.start.get(1) == Some(&0) {
            self.start.clear();
            return Ok(Passed::SequenceHeader);
        }
        let start = std::mem::take(&mut self.start);
        let header = start.get(kind.prefix() - 16..).filter(|header| header.len() == 16).ok_or("a short message")?;
        let word = |at: usize| header[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let number = word(0);
        if self.length != shape.length(kind, number) {
            return Err(format!("{kind:?} {number} has {} bytes, not {}", self.length, shape.length(kind, number)));
        }
        let (stream, sent) = (word(4), u64::from(word(8)) << 32 | u64::from(word(12)));
        self.start = start;
        self.start.clear();
        Ok(Passed::Frame(Frame { kind, number, stream, sent, timestamp: self.timestamp, length: self.length }))
    }
}
