//! Playlists of recordings.

use std::fmt::Write;

use super::playlist::uri;
use crate::vod::SegmentBoundary;

/// Segment duration in milliseconds.
pub(crate) const SEGMENT_MS: u32 = 6_000;

/// Returns the multivariant playlist.
pub(crate) fn index(codecs: &str, size: (u16, u16), bits_per_second: u64, query: &str) -> String {
    let init = crate::fmp4::Init { bytes: Vec::new(), codecs: codecs.to_owned(), has_video: size != (0, 0), size };
    super::playlist::multivariant(&init, bits_per_second, "", "media.m3u8", query)
}

/// Returns the media playlist of segments with these boundaries, up to the end in milliseconds.
pub(crate) fn media(boundaries: &[SegmentBoundary], end: u32, query: &str) -> String {
    let ends = boundaries.iter().skip(1).map(|boundary| boundary.time_ms).chain([end]);
    let spans: Vec<_> = boundaries
        .iter()
        .zip(ends)
        .map(|(boundary, end)| (boundary, end, end.saturating_sub(boundary.time_ms)))
        .collect();
    let longest = spans.iter().map(|(.., length)| *length).max().unwrap_or(0);
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{}\"\n",
        longest.div_ceil(1000).max(1),
        uri("init-0.mp4", query)
    );
    for (boundary, end, length) in spans {
        if boundary.has_new_init {
            let init = uri(&format!("init-{}.mp4", boundary.time_ms), query);
            let _ = writeln!(out, "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"{init}\"");
        }
        let name = uri(&format!("seg-{}-{end}.m4s", boundary.time_ms), query);
        let _ = writeln!(out, "#EXTINF:{:.3},\n{name}", f64::from(length) / 1000.0);
    }
    out.push_str("#EXT-X-ENDLIST\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_the_file() {
        let boundary = |time_ms, has_new_init| SegmentBoundary { time_ms, has_new_init };
        let text = media(&[boundary(23, false), boundary(6023, false), boundary(9000, true)], 10_000, "key=a\"b");
        assert!(text.contains("#EXT-X-TARGETDURATION:6\n"), "{text}");
        let segments = "#EXTINF:6.000,\nseg-23-6023.m4s?key=a%22b\n#EXTINF:2.977,\nseg-6023-9000.m4s?key=a%22b\n\
                        #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-9000.mp4?key=a%22b\"\n#EXTINF:1.000,\nseg-9000-10000";
        assert!(text.contains(segments), "{text}");
        assert!(text.ends_with("#EXT-X-ENDLIST\n"));
    }
}
