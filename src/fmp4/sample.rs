//! Which messages become samples of a track, and which are no frames of it.

use std::borrow::Cow;
use std::fmt;

use super::access_unit::AccessUnit;
use super::audio_entries::{mp3, opus_samples, without_adts};
use super::track::Track;
use crate::media::tag_header::{AudioTagHeader, Content, VideoTagHeader};
use crate::media::{Codec, Packet, PacketKind};

/// Why a message is no frame of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is of another codec, or of the same in the other generation of headers.
    OtherCodec,
    /// The codec has no such packet type, or the header runs past the end.
    UnknownPacketType,
    /// There is no coded data in it.
    TooShort,
    /// The coded data is not what the codec has: lengths of NAL units that run past the end, no header of a frame.
    Malformed,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherCodec => "of another codec than the track",
            Self::UnknownPacketType => "of a packet type that its codec does not have",
            Self::TooShort => "too short for a frame",
            Self::Malformed => "not a frame as its codec has them",
        })
    }
}

/// Messages between a stream's frames that became no samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// How many.
    pub count: u64,
    /// Of the first: what it was, why, and what it begins with.
    pub first: Option<(PacketKind, Unusable, Vec<u8>)>,
}

impl Ignored {
    /// Bytes of a message that are kept to be shown.
    const SHOWN_BYTES: usize = 16;

    pub(super) fn add(&mut self, packet: &Packet, why: Unusable) {
        self.count += 1;
        let shown = || packet.payload.iter().take(Self::SHOWN_BYTES).copied().collect();
        self.first.get_or_insert_with(|| (packet.kind, why, shown()));
    }
}

/// What a message comes to.
#[derive(Debug)]
pub(super) enum Taken<'a> {
    /// Coded data, as the sample has it.
    Frame(Frame<'a>),
    /// Parameter sets that came without a frame; none among messages that say nothing.
    Parameters(Vec<&'a [u8]>),
    /// Nothing that a track is made of.
    Nothing,
}

/// A frame on its way into a sample.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    pub kind: PacketKind,
    pub is_sync: bool,
    /// A decoder can start here, perhaps with damage at first.
    pub is_start: bool,
    /// No other frame refers to it.
    pub is_disposable: bool,
    /// By how many milliseconds it is shown after it is decoded.
    pub composition_ms: i32,
    pub coded: Cow<'a, [u8]>,
}

impl Frame<'_> {
    pub(super) fn into_owned(self) -> Frame<'static> {
        Frame { coded: Cow::Owned(self.coded.into_owned()), ..self }
    }
}

/// Reads a message of a track's kind.
pub(super) fn take<'a>(track: &Track, packet: &'a Packet) -> Result<Taken<'a>, Unusable> {
    match packet.kind {
        PacketKind::Video => take_video(track, &packet.payload),
        PacketKind::Audio => take_audio(track, &packet.payload),
        PacketKind::Data => Ok(Taken::Nothing),
    }
}

fn take_video<'a>(track: &Track, payload: &'a [u8]) -> Result<Taken<'a>, Unusable> {
    let header = VideoTagHeader::parse(payload);
    if !is_meant(track, header.content, header.codec, header.track)? {
        return Ok(Taken::Nothing);
    }
    let (composition_ms, coded) = header.coded(payload).ok_or(Unusable::TooShort)?;
    let &first = coded.first().ok_or(Unusable::TooShort)?;
    let coded = match track.nal_units() {
        Some((codec, length_bytes)) => match AccessUnit::read(codec, length_bytes, coded).ok_or(Unusable::Malformed)? {
            AccessUnit::Frame(coded) => coded,
            AccessUnit::Parameters(sets) => return Ok(Taken::Parameters(sets)),
        },
        // The forbidden bit of an OBU (AV1 §5.3.2), the marker of a frame (VP9 §6.2).
        None if header.codec == Codec::FourCc(*b"av01") && first & 0x80 != 0 => return Err(Unusable::Malformed),
        None if header.codec == Codec::FourCc(*b"vp09") && first >> 6 != 2 => return Err(Unusable::Malformed),
        None => Cow::Borrowed(coded),
    };
    Ok(Taken::Frame(Frame {
        kind: PacketKind::Video,
        is_sync: header.is_key_frame(),
        is_start: header.is_key_frame(),
        is_disposable: false,
        composition_ms,
        coded,
    }))
}

fn take_audio<'a>(track: &Track, payload: &'a [u8]) -> Result<Taken<'a>, Unusable> {
    let header = AudioTagHeader::parse(payload);
    if !is_meant(track, header.content, header.codec, header.track)? {
        return Ok(Taken::Nothing);
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
    Ok(Taken::Frame(Frame {
        kind,
        is_sync: true,
        is_start: true,
        is_disposable: false,
        composition_ms: 0,
        coded: Cow::Borrowed(coded),
    }))
}

/// Whether a message with that header is meant to be a frame of the track.
fn is_meant(track: &Track, content: Content, codec: Codec, of_track: u8) -> Result<bool, Unusable> {
    match content {
        Content::Frame if of_track != 0 => Ok(false),
        Content::Frame if codec == track.wire_codec => Ok(true),
        Content::Frame => Err(Unusable::OtherCodec),
        Content::Unknown => Err(Unusable::UnknownPacketType),
        Content::SequenceHeader | Content::SequenceEnd | Content::Metadata | Content::Command => Ok(false),
    }
}
