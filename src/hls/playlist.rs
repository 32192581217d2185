//! Playlists of live streams.

use std::fmt::Write;
use std::time::SystemTime;

use super::window::State;
use crate::fmp4::Init;

/// A name with a query behind it, fit to stand between quotation marks.
pub(super) fn uri(name: &str, query: &str) -> String {
    let query = query.replace('"', "%22");
    if query.is_empty() { name.to_owned() } else { format!("{name}?{query}") }
}

/// The multivariant playlist, with one variant.
pub(super) fn index(init: &Init, bits_per_second: u64, query: &str) -> String {
    let resolution = match init.size {
        (0, _) | (_, 0) => String::new(),
        (width, height) => format!(",RESOLUTION={width}x{height}"),
    };
    format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n\
         #EXT-X-STREAM-INF:BANDWIDTH={bits_per_second},CODECS=\"{}\"{resolution}\n{}\n",
        init.codecs,
        uri("media.m3u8", query)
    )
}

/// The media playlist.
pub(super) fn media(state: &State, query: &str) -> String {
    let target = state.target_seconds.max(2);
    let part_target = state.part_target_ms.unwrap_or(0) as f64 / 1000.0;
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target}\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={:.3}\n\
         #EXT-X-PART-INF:PART-TARGET={part_target:.3}\n\
         #EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
        part_target * 3.0,
        state.segments.front().map_or(0, |segment| segment.number),
        state.discontinuities,
    );
    // Parts are of use near the live edge only.
    let mut left_ms: u64 =
        state.segments.iter().map(|one| one.parts.iter().map(|part| part.duration_ms).sum::<u64>()).sum();
    let mut init = None;
    for segment in &state.segments {
        if segment.is_discontinuous {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if init != Some(segment.init) {
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", uri(&format!("init-{}.mp4", segment.init), query));
            init = Some(segment.init);
        }
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(segment.began));
        if left_ms <= 3 * target * 1000 || segment.duration_ms.is_none() {
            for (index, part) in segment.parts.iter().enumerate() {
                let name = uri(&format!("part-{}-{index}.m4s", segment.number), query);
                let independent = if part.is_independent { ",INDEPENDENT=YES" } else { "" };
                let seconds = part.duration_ms as f64 / 1000.0;
                let _ = writeln!(out, "#EXT-X-PART:DURATION={seconds:.3},URI=\"{name}\"{independent}");
            }
        }
        left_ms -= segment.parts.iter().map(|part| part.duration_ms).sum::<u64>();
        if let Some(duration_ms) = segment.duration_ms {
            let name = uri(&format!("seg-{}.m4s", segment.number), query);
            let _ = writeln!(out, "#EXTINF:{:.3},\n{name}", duration_ms as f64 / 1000.0);
        }
    }
    if state.is_over {
        out.push_str("#EXT-X-ENDLIST\n");
    } else {
        let (segment, part) = state.hint();
        let name = uri(&format!("part-{segment}-{part}.m4s"), query);
        let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"");
    }
    out
}

/// As ISO 8601 has it, in UTC. The calendar counts from March, so that leap days come last.
pub(super) fn date_time(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}
