//! The file names of a stream's playlists and segments.

use super::Layout;

/// A file of a live stream or recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// `index.m3u8`: the multivariant playlist.
    Index,
    /// `media.m3u8`: the media playlist; of a live stream also `gops.m3u8` and `media-N-SECONDS.m3u8`, which have other
    /// layouts.
    Media(Layout),
    /// `init-N.mp4`: an initialization segment; of a recording, the one for segments from N milliseconds on.
    Init(u64),
    /// `seg-N.m4s`: segment N of a live stream.
    Segment(u64),
    /// `seg-START-END.m4s`: of a recording, the segment from START to END milliseconds; of a live stream, segments
    /// START to END.
    Span(u64, u64),
    /// `part-N-M.m4s`: part M of segment N.
    Part(u64, u64),
}

impl Name {
    /// Parses a file name; `None` for others.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let pair = |text: &str| {
            let (first, second) = text.split_once('-')?;
            Some((number(first)?, number(second)?))
        };
        match name {
            "index.m3u8" => Some(Self::Index),
            "media.m3u8" => Some(Self::Media(Layout::Segments)),
            "gops.m3u8" => Some(Self::Media(Layout::Gops)),
            _ => {
                if let Some(rest) = name.strip_prefix("media-") {
                    let (first, seconds) = pair(rest.strip_suffix(".m3u8")?)?;
                    return Some(Self::Media(Layout::GopsThenSegments(first, seconds)));
                }
                if let Some(rest) = name.strip_prefix("init-") {
                    return number(rest.strip_suffix(".mp4")?).map(Self::Init);
                }
                let name = name.strip_suffix(".m4s")?;
                if let Some(rest) = name.strip_prefix("part-") {
                    return pair(rest).map(|(segment, part)| Self::Part(segment, part));
                }
                let rest = name.strip_prefix("seg-")?;
                number(rest).map(Self::Segment).or_else(|| pair(rest).map(|(start, end)| Self::Span(start, end)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_valid_names_only() {
        for (name, expected) in [
            ("index.m3u8", Some(Name::Index)),
            ("media.m3u8", Some(Name::Media(Layout::Segments))),
            ("gops.m3u8", Some(Name::Media(Layout::Gops))),
            ("media-17-10.m3u8", Some(Name::Media(Layout::GopsThenSegments(17, 10)))),
            ("media-17.m3u8", None),
            ("init-0.mp4", Some(Name::Init(0))),
            ("seg-12.m4s", Some(Name::Segment(12))),
            ("seg-6000-12000.m4s", Some(Name::Span(6000, 12_000))),
            ("part-3-1.m4s", Some(Name::Part(3, 1))),
            ("part-3.m4s", None),
            ("seg-+1.m4s", None),
            ("seg-.m4s", None),
            ("seg-99999999999999999999.m4s", None),
            ("init-0.m4s", None),
            ("cam.mp4", None),
        ] {
            assert_eq!(Name::parse(name), expected, "{name}");
        }
    }

    #[test]
    fn playlist_names_round_trip() {
        for layout in [Layout::Segments, Layout::Gops, Layout::GopsThenSegments(3, 7)] {
            assert_eq!(Name::parse(&layout.file_name()), Some(Name::Media(layout)));
        }
    }
}
