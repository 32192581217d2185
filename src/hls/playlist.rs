//! Playlists of live streams.

use std::fmt::Write;
use std::time::SystemTime;

use super::cutter::Cutter;
use super::rhythm::{Rhythm, SEGMENT_LEAST_MS};
use super::segment::Segment;
use crate::fmp4::{Init, Piece};

/// So many target durations are in a playlist, which is more than players are behind (RFC 8216 §6.3.3).
const LISTED_TARGETS: u64 = 7;

/// What is older than so many may be skipped (RFC 8216bis §4.4.3.8: no fewer than six).
const SKIPPED_TARGETS: u64 = 6;

/// What is older than so many is listed without its parts (RFC 8216bis §6.2.2: no fewer than three).
const PART_TARGETS: u64 = 3;

/// The least that is said of a stream's rate: players don't expect less.
const LEAST_BITS_PER_SECOND: u64 = 100_000;

/// A name with a query behind it, fit to stand between quotation marks.
pub(super) fn uri(name: &str, query: &str) -> String {
    let query = query.replace('"', "%22");
    if query.is_empty() { name.to_owned() } else { format!("{name}?{query}") }
}

/// The multivariant playlist, with one variant of at most so many bits a second.
pub(super) fn index(init: &Init, bits_per_second: u64, more: &str, query: &str) -> String {
    let resolution = match init.size {
        (0, _) | (_, 0) => String::new(),
        (width, height) => format!(",RESOLUTION={width}x{height}"),
    };
    format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n\
         #EXT-X-STREAM-INF:BANDWIDTH={bits_per_second},CODECS=\"{}\"{resolution}{more}\n{}\n",
        init.codecs,
        uri("media.m3u8", query)
    )
}

/// The same of a live stream, once there is something to play.
pub(super) fn index_of(cutter: &Cutter, query: &str) -> Option<String> {
    let Piece::Init(init) = &*cutter.inits().back()?.1 else { return None };
    let rhythm = cutter.rhythm()?;
    let segments = || cutter.segments().iter().map(|segment| (segment.bytes() as u64 * 8000, segment.duration_ms()));
    let (bits, ms) = segments().fold((0, 0), |(bits, ms), segment| (bits + segment.0, ms + segment.1));
    let average = bits.checked_div(ms)?.max(LEAST_BITS_PER_SECOND);
    // What is too short says little about a second.
    let long = segments().filter(|(_, ms)| *ms >= SEGMENT_LEAST_MS).map(|(bits, ms)| bits / ms);
    let peak = long.max().unwrap_or(average).max(average);
    let mut more = format!(",AVERAGE-BANDWIDTH={average}");
    if init.has_video && rhythm.frames_per_second > 0.0 {
        let _ = write!(more, ",FRAME-RATE={:.3}", rhythm.frames_per_second);
    }
    Some(index(init, peak, &more, query))
}

/// The media playlist.
pub(super) fn media(cutter: &Cutter, rhythm: Rhythm, is_over: bool, skip: bool, query: &str) -> String {
    let (target_ms, part_target) = (rhythm.segment_seconds * 1000, seconds(rhythm.part_ms));
    let total_ms: u64 = cutter.segments().iter().map(Segment::duration_ms).sum();
    // How much of the stream is left behind the end of each segment.
    let mut left_ms = total_ms;
    let all = cutter.segments().iter().map(|segment| {
        left_ms -= segment.duration_ms();
        (segment, left_ms)
    });
    let (gone, listed): (Vec<_>, Vec<_>) = all.partition(|(_, left_ms)| *left_ms >= LISTED_TARGETS * target_ms);
    let discontinuities = gone.iter().filter(|(segment, _)| segment.is_discontinuous).count() as u64;
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},CAN-SKIP-UNTIL={}\n\
         #EXT-X-PART-INF:PART-TARGET={part_target}\n\
         #EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
        rhythm.segment_seconds,
        seconds(rhythm.part_ms * 3),
        seconds(SKIPPED_TARGETS * target_ms),
        listed.first().map_or(0, |(segment, _)| segment.number),
        cutter.discontinuities() + discontinuities,
    );
    if listed.iter().all(|(segment, _)| segment.is_independent()) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let is_skipped = |left_ms: u64| skip && left_ms >= SKIPPED_TARGETS * target_ms;
    let skipped = listed.iter().take_while(|(_, left_ms)| is_skipped(*left_ms)).count();
    if skipped > 0 {
        let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
    }
    let mut init = None;
    for (segment, left_ms) in &listed[skipped..] {
        if segment.is_discontinuous {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if init != Some(segment.init) {
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", uri(&format!("init-{}.mp4", segment.init), query));
            init = Some(segment.init);
        }
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(segment.began));
        // Parts are of use near the live edge only.
        if *left_ms < PART_TARGETS * target_ms {
            for (index, part) in segment.parts.iter().enumerate() {
                let name = uri(&format!("part-{}-{index}.m4s", segment.number), query);
                let independent = if part.is_independent { ",INDEPENDENT=YES" } else { "" };
                let _ = writeln!(out, "#EXT-X-PART:DURATION={},URI=\"{name}\"{independent}", seconds(part.duration_ms));
            }
        }
        if segment.is_complete {
            let name = uri(&format!("seg-{}.m4s", segment.number), query);
            let _ = writeln!(out, "#EXTINF:{},\n{name}", seconds(segment.duration_ms()));
        }
    }
    if is_over {
        out.push_str("#EXT-X-ENDLIST\n");
    } else {
        let (segment, part) = cutter.hint();
        let name = uri(&format!("part-{segment}-{part}.m4s"), query);
        let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"");
    }
    out
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
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
