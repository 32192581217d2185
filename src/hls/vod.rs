//! Playlists of recordings.

use std::fmt::Write;

use super::playlist::uri;

/// How long a segment is to be, in milliseconds.
pub const SEGMENT_MS: u64 = 6_000;

/// The playlist to begin with.
pub fn index(codecs: &str, size: (u16, u16), bits_per_second: u64, query: &str) -> String {
    let init = crate::fmp4::Init { bytes: Vec::new(), codecs: codecs.to_owned(), has_video: size != (0, 0), size };
    super::playlist::index(&init, bits_per_second, "", query)
}

/// The playlist of segments that begin at these times and end at the last, all in milliseconds.
pub fn media(times: &[u64], query: &str) -> String {
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{}\"\n",
        longest.div_ceil(1000).max(1),
        uri("init-0.mp4", query)
    );
    for pair in times.windows(2) {
        let name = uri(&format!("seg-{}-{}.m4s", pair[0], pair[1]), query);
        let _ = writeln!(out, "#EXTINF:{:.3},\n{name}", (pair[1] - pair[0]) as f64 / 1000.0);
    }
    out.push_str("#EXT-X-ENDLIST\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_the_file() {
        let text = media(&[23, 6023, 10_000], "key=a\"b");
        assert!(text.contains("#EXT-X-TARGETDURATION:6\n"), "{text}");
        assert!(
            text.contains("#EXTINF:6.000,\nseg-23-6023.m4s?key=a%22b\n#EXTINF:3.977,\nseg-6023-10000.m4s"),
            "{text}"
        );
        assert!(text.ends_with("#EXT-X-ENDLIST\n"));
    }
}
