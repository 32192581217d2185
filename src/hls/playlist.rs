//! Playlists of live streams.

use std::fmt::Write;
use std::time::SystemTime;

use super::layout::{Layout, Listed};
use super::segment_timing::{ENOUGH_MS, SEGMENT_LEAST_MS, SegmentTiming};
use super::segmenter::Segmenter;
use crate::fmp4::{Init, MuxerOutput};

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

/// The multivariant playlist, with one variant in that file of at most so many bits a second.
pub(super) fn index(init: &Init, bits_per_second: u64, more: &str, file: &str, query: &str) -> String {
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

/// The same of a live stream, once it is known how it comes.
pub(super) fn index_of(segmenter: &Segmenter, query: &str) -> Option<String> {
    let segments = segmenter.store().segments();
    if segments.iter().all(|segment| segment.parts.is_empty()) {
        return opening_index_of(segmenter, query);
    }
    let MuxerOutput::Init(init) = &*segmenter.store().inits().back()?.1 else { return None };
    let segments = || segments.iter().map(|segment| (segment.bytes() as u64 * 8000, segment.duration_ms()));
    let (bits, ms) = segments().fold((0, 0), |(bits, ms), segment| (bits + segment.0, ms + segment.1));
    let average = bits.checked_div(ms)?;
    // What is too short says little about a second.
    let long = segments().filter(|(_, ms)| *ms >= SEGMENT_LEAST_MS).map(|(bits, ms)| bits / ms);
    let peak = long.max().unwrap_or(average).max(average);
    let rates = (peak, average, segmenter.timing()?.frames_per_second);
    Some(index_with(init, rates, Layout::for_newcomer(segmenter), query))
}

/// The same before there is enough for the first part: players need a moment from this playlist to the next.
fn opening_index_of(segmenter: &Segmenter, query: &str) -> Option<String> {
    let opening = segmenter.opening();
    let frames = opening.frames();
    let length = frames.last()?.saturating_sub(*frames.first()?);
    let average = (opening.bytes() as u64 * 8000).checked_div(length).filter(|_| length >= ENOUGH_MS / 2)?;
    let rates = (average, average, SegmentTiming::of(&frames, true)?.frames_per_second);
    Some(index_with(opening.init()?, rates, Layout::Plain, query))
}

/// The multivariant playlist of a live stream with these bits a second, the most and the average, and frames a second.
fn index_with(init: &Init, (peak, average, frames): (u64, u64, f64), layout: Layout, query: &str) -> String {
    let [peak, average] = [peak, average].map(|bits| bits.max(LEAST_BITS_PER_SECOND));
    let mut more = format!(",AVERAGE-BANDWIDTH={average}");
    if init.has_video && frames > 0.0 {
        let _ = write!(more, ",FRAME-RATE={frames:.3}");
    }
    index(init, peak, &more, &layout.file_name(), query)
}

/// The media playlist of a stream that has been listed before, or is prepared for it.
pub(super) fn media(segmenter: &Segmenter, layout: Layout, skip: bool, query: &str) -> Option<String> {
    let (timing, target) = (segmenter.timing()?, layout.target_seconds(segmenter.target_seconds()?));
    let (target_ms, part_target) = (target * 1000, seconds(timing.part_ms));
    let all = layout.listed(segmenter);
    // How much of the stream is left behind the end of each segment.
    let mut left_ms: u64 = all.iter().map(Listed::duration_ms).sum();
    let with_left = all.iter().map(|one| {
        left_ms -= one.duration_ms();
        (one, left_ms)
    });
    let listed: Vec<_> = with_left.skip_while(|(_, left_ms)| *left_ms >= LISTED_TARGETS * target_ms).collect();
    let first = listed.first().and_then(|(one, _)| one.segments.first());
    let kept = segmenter.store().segments().iter();
    let gone = kept.take_while(|segment| first.is_some_and(|first| segment.number < first.number));
    let discontinuities = gone.filter(|segment| segment.is_discontinuous).count() as u64;
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
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(first.began));
        // Parts are of use near the live edge only.
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
    if segmenter.is_over() {
        out.push_str("#EXT-X-ENDLIST\n");
    } else {
        let (segment, part) = segmenter.store().hint();
        let name = uri(&format!("part-{segment}-{part}.m4s"), query);
        let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"");
    }
    Some(out)
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
