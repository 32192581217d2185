//! Everything in an FLV file, tag by tag: audio, video and data, headers included, in the file's order.
//! Read here and not with the library's own reader, which is one of those under test.

use std::fmt;
use std::path::Path;

/// Type of a tag with audio.
pub const AUDIO: u8 = 8;
/// Type of a tag with a video frame.
pub const VIDEO: u8 = 9;
/// Type of a tag with data, such as the metadata.
pub const DATA: u8 = 18;

/// The longest video frame that librtmp throws away.
const LIBRTMP_DROPS: usize = 5;

/// One tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Tag {
    pub kind: u8,
    /// In milliseconds.
    pub time: u32,
    pub payload: Vec<u8>,
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.payload[..self.payload.len().min(8)];
        write!(f, "type {} at {} ms, {} bytes: {start:02x?}", self.kind, self.time, self.payload.len())
    }
}

impl Tag {
    /// What a decoder has to have before the first frame: an AAC, AVC or Enhanced RTMP sequence header.
    pub fn is_header(&self) -> bool {
        match (self.kind, self.payload.as_slice()) {
            (AUDIO, [first, 0, ..]) => first >> 4 == 10,
            (VIDEO, [first, ..]) if first & 0x80 != 0 => first & 0x0f == 0,
            (VIDEO, [first, 0, ..]) => first & 0x0f == 7,
            _ => false,
        }
    }

    /// A frame that a decoder can start at.
    pub fn is_key_frame(&self) -> bool {
        self.kind == VIDEO
            && !self.is_header()
            && !self.is_description()
            && self.payload.first().is_some_and(|first| first >> 4 & 7 == 1)
    }

    /// Enhanced RTMP's Metadata packet: colours and the like, which ffmpeg writes anew when it copies.
    pub fn is_description(&self) -> bool {
        self.kind == VIDEO && self.payload.first().is_some_and(|first| first & 0x80 != 0 && first & 0x0f == 4)
    }

    /// The end of an AVC or HEVC sequence, which carries nothing.
    pub fn is_sequence_end(&self) -> bool {
        match (self.kind, self.payload.as_slice()) {
            (VIDEO, [first, ..]) if first & 0x80 != 0 => first & 0x0f == 2,
            (VIDEO, [first, 2, ..]) => first & 0x0f == 7,
            _ => false,
        }
    }
}

/// All tags of a file. It has to be whole to the last byte.
pub fn tags(path: &Path) -> Vec<Tag> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(bytes.starts_with(b"FLV\x01"), "{} is no FLV file", path.display());
    let mut rest = &bytes[13..];
    let mut tags = Vec::new();
    while !rest.is_empty() {
        assert!(rest.len() >= 11, "{} ends within a tag's header", path.display());
        let length = usize::from(rest[1]) << 16 | usize::from(rest[2]) << 8 | usize::from(rest[3]);
        let time = u32::from_be_bytes([rest[7], rest[4], rest[5], rest[6]]);
        let payload = rest.get(11..11 + length).unwrap_or_else(|| panic!("{} ends within a tag", path.display()));
        tags.push(Tag { kind: rest[0], time, payload: payload.to_vec() });
        rest = rest.get(11 + length + 4..).unwrap_or_default();
    }
    tags
}

/// Audio and video, headers included, as far as every client passes them on: without the video frames that
/// librtmp drops for their shortness and the ends of sequences, which muxers add as they like.
pub fn media(tags: &[Tag]) -> Vec<Tag> {
    let short = |tag: &Tag| tag.kind == VIDEO && tag.payload.len() <= LIBRTMP_DROPS;
    tags.iter().filter(|tag| tag.kind != DATA && !short(tag) && !tag.is_sequence_end()).cloned().collect()
}

/// The same without headers and descriptions.
pub fn frames(tags: &[Tag]) -> Vec<Tag> {
    media(tags).into_iter().filter(|tag| !tag.is_header() && !tag.is_description()).collect()
}

/// Holds the headers against those that were sent: each once, whole, before the first frame. Audio's may
/// come before video's or behind.
pub fn assert_same_headers(got: &[Tag], sent: &[Tag]) {
    let first_frame = got.iter().position(|tag| tag.kind != DATA && !tag.is_header()).unwrap_or(got.len());
    let late = got[first_frame..].iter().find(|tag| tag.is_header());
    assert!(late.is_none(), "a header behind the first frame: {late:?}");
    let headers = |tags: &[Tag]| {
        let mut headers: Vec<Tag> = tags.iter().filter(|tag| tag.is_header()).cloned().collect();
        headers.sort_by_key(|tag| tag.kind);
        headers
    };
    let (got, sent) = (headers(got), headers(sent));
    let same = |(got, sent): (&Tag, &Tag)| got.kind == sent.kind && got.payload == sent.payload;
    assert!(got.len() == sent.len() && got.iter().zip(&sent).all(same), "headers {got:?}\nwere sent as {sent:?}");
}

/// Holds two lists against each other tag by tag and shows the first that differs, not all.
pub fn assert_equal(got: &[Tag], sent: &[Tag]) {
    for (index, (got, sent)) in got.iter().zip(sent).enumerate() {
        assert!(got == sent, "tag {index}: got {got:?}\nsent {sent:?}");
    }
    assert!(got.len() == sent.len(), "got {} tags, sent were {}", got.len(), sent.len());
}

/// Holds what a client got against what was sent: a run without gap in which audio and video alternate
/// as they were sent, from a frame up to `missing_last` before the end, all times off by one and the same
/// amount. Returns how many frames are missing at the start.
pub fn assert_run(got: &[Tag], sent: &[Tag], missing_last: usize) -> usize {
    let (got, sent) = (frames(got), frames(sent));
    let first = got.first().expect("no frame at all");
    let same = |tag: &Tag| tag.kind == first.kind && tag.payload == first.payload;
    let start = sent.iter().position(same).unwrap_or_else(|| panic!("{first:?} was never sent"));
    let offset = first.time.wrapping_sub(sent[start].time);
    let moved = |tag: &Tag| Tag { time: tag.time.wrapping_add(offset), ..tag.clone() };
    let expected: Vec<Tag> = sent[start..].iter().map(moved).collect();
    assert!(got.len() <= expected.len(), "got {} frames, sent were {}", got.len(), expected.len());
    let missing = expected.len() - got.len();
    assert!(missing <= missing_last, "{missing} of {} frames are missing at the end", sent.len());
    assert_equal(&got, &expected[..got.len()]);
    start
}
