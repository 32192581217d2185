//! What the files of a stream are called.

use super::Layout;

/// A file of a stream, or of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// `index.m3u8`: the one to begin with.
    Index,
    /// `media.m3u8`: the segments. Of a live stream also `gops.m3u8` and `media-N-SECONDS.m3u8`, which list them in
    /// another way.
    Media(Layout),
    /// `init-N.mp4`: what segments need before them; of a recording, those from N milliseconds on.
    Init(u64),
    /// `seg-N.m4s`.
    Segment(u64),
    /// `seg-START-END.m4s`, of a recording, in milliseconds; of a live stream, the segments from that number to that.
    Span(u64, u64),
    /// `part-N-M.m4s`: part M of segment N.
    Part(u64, u64),
}

impl Name {
    /// Reads a file's name; `None` for others.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let pair = |text: &str| {
            let (one, other) = text.split_once('-')?;
            Some((number(one)?, number(other)?))
        };
        match name {
            "index.m3u8" => Some(Self::Index),
            "media.m3u8" => Some(Self::Media(Layout::Plain)),
            "gops.m3u8" => Some(Self::Media(Layout::Gops)),
            _ => {
                if let Some(rest) = name.strip_prefix("media-") {
                    let (first, seconds) = pair(rest.strip_suffix(".m3u8")?)?;
                    return Some(Self::Media(Layout::From(first, seconds)));
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
    fn names_and_what_is_none() {
        for (name, expected) in [
            ("index.m3u8", Some(Name::Index)),
            ("media.m3u8", Some(Name::Media(Layout::Plain))),
            ("gops.m3u8", Some(Name::Media(Layout::Gops))),
            ("media-17-10.m3u8", Some(Name::Media(Layout::From(17, 10)))),
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
    fn playlists_are_found_under_their_names() {
        for layout in [Layout::Plain, Layout::Gops, Layout::From(3, 7)] {
            assert_eq!(Name::parse(&layout.file_name()), Some(Name::Media(layout)));
        }
    }
}
