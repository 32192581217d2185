//! Playlists of live streams.

use std::fmt::Write;
use std::time::SystemTime;

use super::layout::{Layout, ListedSegment};
use super::segment_timing::{MIN_SEGMENT_MS, MIN_START_MS, SegmentTiming};
use super::segmenter::Segmenter;
use crate::fmp4::{Init, MuxerOutput};

/// Length of a playlist in target durations, more than players lag behind (RFC 8216 §6.3.3).
const PLAYLIST_TARGETS: u64 = 7;

/// Skip boundary in target durations: older segments may be skipped (RFC 8216bis §4.4.3.8: no fewer than six).
const SKIPPED_TARGETS: u64 = 6;

/// Target durations from the end within which parts are listed (RFC 8216bis §6.2.2: no fewer than three).
const PART_TARGETS: u64 = 3;

/// Minimum of the announced bandwidths, in bits per second: players don't expect less.
const MIN_BITS_PER_SECOND: u64 = 100_000;

/// Appends a query to a name, escaped for a quoted string.
pub(super) fn uri(name: &str, query: &str) -> String {
    let query = query.replace('"', "%22");
    if query.is_empty() { name.to_owned() } else { format!("{name}?{query}") }
}

/// Returns a multivariant playlist with one variant: its media playlist `file` has a peak rate of `bits_per_second`.
pub(super) fn multivariant(init: &Init, bits_per_second: u64, more: &str, file: &str, query: &str) -> String {
    let resolution = match init.size {
        (0, _) | (_, 0) => String::new(),
        (width, height) => format!(",RESOLUTION={width}x{height}"),
    };
    format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n\
         #EXT-X-STREAM-INF:BANDWIDTH={bits_per_second},CODECS=\"{}\"{resolution}{more}\n{}\n",
        init.codecs,
        uri(file, query)
    )
}

/// Returns the multivariant playlist of a live stream, once its rates are known.
pub(super) fn live_multivariant(segmenter: &Segmenter, query: &str) -> Option<String> {
    let segments = segmenter.store().segments();
    if segments.iter().all(|segment| segment.parts.is_empty()) {
        return early_multivariant(segmenter, query);
    }
    let MuxerOutput::Init(init) = &*segmenter.store().inits().back()?.1 else { return None };
    let segments = || segments.iter().map(|segment| (segment.bytes() as u64 * 8000, segment.duration_ms()));
    let (bits, ms) = segments().fold((0, 0), |(bits, ms), segment| (bits + segment.0, ms + segment.1));
    let average = bits.checked_div(ms)?;
    // Very short segments have no meaningful bit rate.
    let long = segments().filter(|(_, ms)| *ms >= MIN_SEGMENT_MS).map(|(bits, ms)| bits / ms);
    let peak = long.max().unwrap_or(average).max(average);
    let rates = (peak, average, segmenter.timing()?.frames_per_second);
    Some(multivariant_with_rates(init, rates, Layout::for_new_player(segmenter), query))
}

/// Returns the multivariant playlist before there is enough for the first part: players take a while to request the
/// media playlist.
fn early_multivariant(segmenter: &Segmenter, query: &str) -> Option<String> {
    let buffer = segmenter.start_buffer();
    let frames = buffer.frames();
    let length = frames.last()?.saturating_sub(*frames.first()?);
    let average = (buffer.bytes() as u64 * 8000).checked_div(length).filter(|_| length >= MIN_START_MS / 2)?;
    let rates = (average, average, SegmentTiming::of(&frames, true)?.frames_per_second);
    Some(multivariant_with_rates(buffer.init()?, rates, Layout::Segments, query))
}

/// Returns the multivariant playlist of a live stream with these peak and average bits per second, and frames per
/// second.
fn multivariant_with_rates(
    init: &Init,
    (peak, average, frames): (u64, u64, f64),
    layout: Layout,
    query: &str,
) -> String {
    let [peak, average] = [peak, average].map(|bits| bits.max(MIN_BITS_PER_SECOND));
    let mut more = format!(",AVERAGE-BANDWIDTH={average}");
    if init.has_video && frames > 0.0 {
        let _ = write!(more, ",FRAME-RATE={frames:.3}");
    }
    multivariant(init, peak, &more, &layout.file_name(), query)
}

/// Returns the media playlist of a stream that is prepared for the layout; `None` before timing and target duration are
/// chosen.
pub(super) fn media(segmenter: &Segmenter, layout: Layout, skip: bool, query: &str) -> Option<String> {
    let (timing, target) = (segmenter.timing()?, layout.target_seconds(segmenter.target_seconds()?));
    let (target_ms, part_target) = (target * 1000, seconds(timing.part_ms));
    let all = layout.list(segmenter);
    // The duration after the end of each segment.
    let mut left_ms: u64 = all.iter().map(ListedSegment::duration_ms).sum();
    let with_left = all.iter().map(|one| {
        left_ms -= one.duration_ms();
        (one, left_ms)
    });
    let listed: Vec<_> = with_left.skip_while(|(_, left_ms)| *left_ms >= PLAYLIST_TARGETS * target_ms).collect();
    let first = listed.first().and_then(|(one, _)| one.segments.first());
    let kept = segmenter.store().segments().iter();
    let before_window = kept.take_while(|segment| first.is_some_and(|first| segment.number < first.number));
    let discontinuities = before_window.filter(|segment| segment.is_discontinuous).count() as u64;
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target}\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},CAN-SKIP-UNTIL={}\n\
         #EXT-X-PART-INF:PART-TARGET={part_target}\n\
         #EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
        seconds(timing.part_ms * 3),
        seconds(SKIPPED_TARGETS * target_ms),
        listed.first().map_or(0, |(one, _)| one.number),
        segmenter.store().discontinuities() + discontinuities,
    );
    if listed.iter().all(|(one, _)| one.is_independent()) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let is_skipped = |left_ms: u64| skip && left_ms >= SKIPPED_TARGETS * target_ms;
    let skipped = listed.iter().take_while(|(_, left_ms)| is_skipped(*left_ms)).count();
    if skipped > 0 {
        let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
    }
    let mut init = None;
    for (one, left_ms) in &listed[skipped..] {
        let (Some(first), Some(last)) = (one.segments.first(), one.segments.last()) else { continue };
        if first.is_discontinuous {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if init != Some(first.init) {
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", uri(&format!("init-{}.mp4", first.init), query));
            init = Some(first.init);
        }
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(first.program_date_time));
        // Parts are useful near the live edge only.
        for (segment, index, part) in one.parts().filter(|_| *left_ms < PART_TARGETS * target_ms) {
            let name = uri(&format!("part-{segment}-{index}.m4s"), query);
            let independent = if part.is_independent { ",INDEPENDENT=YES" } else { "" };
            let _ = writeln!(out, "#EXT-X-PART:DURATION={},URI=\"{name}\"{independent}", seconds(part.duration_ms));
        }
        if one.is_complete {
            let name = match (first.number, last.number) {
                (first, last) if first == last => format!("seg-{first}.m4s"),
                (first, last) => format!("seg-{first}-{last}.m4s"),
            };
            let _ = writeln!(out, "#EXTINF:{},\n{}", seconds(one.duration_ms()), uri(&name, query));
        }
    }
    if segmenter.has_ended() {
        out.push_str("#EXT-X-ENDLIST\n");
    } else {
        let (segment, part) = segmenter.store().next_part();
        let name = uri(&format!("part-{segment}-{part}.m4s"), query);
        let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"");
    }
    Some(out)
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Formats a time as ISO 8601 in UTC. The calendar starts in March, so that leap days come last.
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
