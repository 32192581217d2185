//! Parsing of messages into samples of a track.

use std::borrow::Cow;
use std::fmt;

use super::access_unit::AccessUnit;
use super::audio_entries::{mp3, opus_samples, without_adts};
use super::track::Track;
use crate::media::tag_header::{AudioTagHeader, Content, VideoTagHeader};
use crate::media::{Codec, Packet, PacketKind};

/// The reason why a message is no frame of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It has another codec, or the same codec with the other generation of tag header.
    OtherCodec,
    /// The codec doesn't define the packet type, or the tag header is truncated.
    UnknownPacketType,
    /// It has no coded data.
    TooShort,
    /// The coded data is invalid: NAL units are truncated, or the frame header is missing.
    Malformed,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherCodec => "codec differs from the track's",
            Self::UnknownPacketType => "packet type not defined for its codec",
            Self::TooShort => "too short for a frame",
            Self::Malformed => "malformed frame",
        })
    }
}

/// Messages of a stream that should have been frames but became no samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Number of messages.
    pub count: u64,
    /// Kind, reason and first bytes of the first one.
    pub first: Option<(PacketKind, Unusable, Vec<u8>)>,
}

impl Ignored {
    /// Number of bytes kept for the log.
    const SHOWN_BYTES: usize = 16;

    pub(super) fn add(&mut self, packet: &Packet, reason: Unusable) {
        self.count += 1;
        let shown = || packet.payload.iter().take(Self::SHOWN_BYTES).copied().collect();
        self.first.get_or_insert_with(|| (packet.kind, reason, shown()));
    }
}

/// The content of a message.
#[derive(Debug)]
pub(super) enum ParsedMessage<'a> {
    /// A frame, in sample format.
    Frame(Frame<'a>),
    /// Parameter sets without a frame, possibly none.
    Parameters(Vec<&'a [u8]>),
    /// No track data.
    Other,
}

/// A frame that becomes a sample.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    pub kind: PacketKind,
    pub is_sync: bool,
    /// A decoder can start here, perhaps with artefacts at first.
    pub is_start: bool,
    /// No other frame references it.
    pub is_disposable: bool,
    /// Composition time offset in milliseconds.
    pub composition_ms: i32,
    pub coded: Cow<'a, [u8]>,
}

impl Frame<'_> {
    pub(super) fn into_owned(self) -> Frame<'static> {
        Frame { coded: Cow::Owned(self.coded.into_owned()), ..self }
    }
}

/// Parses a message of the track's kind.
pub(super) fn parse<'a>(track: &Track, packet: &'a Packet) -> Result<ParsedMessage<'a>, Unusable> {
    match packet.kind {
        PacketKind::Video => parse_video(track, &packet.payload),
        PacketKind::Audio => parse_audio(track, &packet.payload),
        PacketKind::Data => Ok(ParsedMessage::Other),
    }
}

fn parse_video<'a>(track: &Track, payload: &'a [u8]) -> Result<ParsedMessage<'a>, Unusable> {
    let header = VideoTagHeader::parse(payload);
    if !is_frame_of(track, header.content, header.codec, header.track)? {
        return Ok(ParsedMessage::Other);
    }
    let (composition_ms, coded) = header.coded(payload).ok_or(Unusable::TooShort)?;
    let &first = coded.first().ok_or(Unusable::TooShort)?;
    let coded = match track.nal_units() {
        Some((codec, length_bytes)) => {
            match AccessUnit::parse(codec, length_bytes, coded).ok_or(Unusable::Malformed)? {
                AccessUnit::Frame(coded) => coded,
                AccessUnit::Parameters(sets) => return Ok(ParsedMessage::Parameters(sets)),
            }
        }
        // obu_forbidden_bit (AV1 §5.3.2) and frame_marker (VP9 §6.2).
        None if header.codec == Codec::FourCc(*b"av01") && first & 0x80 != 0 => return Err(Unusable::Malformed),
        None if header.codec == Codec::FourCc(*b"vp09") && first >> 6 != 2 => return Err(Unusable::Malformed),
        None => Cow::Borrowed(coded),
    };
    Ok(ParsedMessage::Frame(Frame {
        kind: PacketKind::Video,
        is_sync: header.is_key_frame(),
        is_start: header.is_key_frame(),
        is_disposable: false,
        composition_ms,
        coded,
    }))
}

fn parse_audio<'a>(track: &Track, payload: &'a [u8]) -> Result<ParsedMessage<'a>, Unusable> {
    let header = AudioTagHeader::parse(payload);
    if !is_frame_of(track, header.content, header.codec, header.track)? {
        return Ok(ParsedMessage::Other);
    }
    let coded = header.coded(payload).filter(|coded| !coded.is_empty()).ok_or(Unusable::TooShort)?;
    let coded = match header.codec {
        Codec::Legacy(10) | Codec::FourCc([b'm', b'p', b'4', b'a']) => without_adts(coded),
        Codec::Legacy(2 | 14) | Codec::FourCc([b'.', b'm', b'p', b'3']) if mp3(coded).is_none() => {
            return Err(Unusable::Malformed);
        }
        Codec::FourCc([b'O', b'p', b'u', b's']) if opus_samples(coded).is_none() => return Err(Unusable::Malformed),
        _ => coded,
    };
    let kind = PacketKind::Audio;
    Ok(ParsedMessage::Frame(Frame {
        kind,
        is_sync: true,
        is_start: true,
        is_disposable: false,
        composition_ms: 0,
        coded: Cow::Borrowed(coded),
    }))
}

/// Whether a message with this header is a frame of the track; `false` if it isn't one by design.
fn is_frame_of(track: &Track, content: Content, codec: Codec, track_id: u8) -> Result<bool, Unusable> {
    match content {
        Content::Frame if track_id != 0 => Ok(false),
        Content::Frame if codec == track.wire_codec => Ok(true),
        Content::Frame => Err(Unusable::OtherCodec),
        Content::Unknown => Err(Unusable::UnknownPacketType),
        Content::SequenceHeader | Content::SequenceEnd | Content::Metadata | Content::Command => Ok(false),
    }
}
