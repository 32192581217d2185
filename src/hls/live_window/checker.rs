//! A strict parser and validator of media playlists.

use std::fmt::Debug;
use std::str::FromStr;

/// A parsed media playlist. All times are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Playlist {
    pub target: u64,
    pub part_target: u64,
    pub skip_until: u64,
    pub sequence: u64,
    pub discontinuity_sequence: u64,
    pub is_independent: bool,
    pub skipped: usize,
    pub segments: Vec<Segment>,
    /// The parts after the last complete segment.
    pub open: Segment,
    pub hint: Option<String>,
    pub has_ended: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Segment {
    pub number: u64,
    pub duration: u64,
    /// The first and last of the stored segments that it consists of.
    pub numbers: (u64, u64),
    pub is_discontinuous: bool,
    pub map: String,
    pub date: String,
    /// Duration, name, and whether it starts with a key frame.
    pub parts: Vec<(u64, String, bool)>,
}

/// Returns segment number and part index from a part's name.
fn part_number(name: &str) -> (u64, u64) {
    let numbers = name.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".m4s"));
    let (segment, part) = numbers.and_then(|numbers| numbers.split_once('-')).unwrap_or_else(|| panic!("{name}"));
    (number(segment), number(part))
}

/// Returns the first and last stored segment from a segment's name.
fn segment_numbers(name: &str) -> (u64, u64) {
    let numbers = name.strip_prefix("seg-").and_then(|rest| rest.strip_suffix(".m4s"));
    let numbers = numbers.unwrap_or_else(|| panic!("{name}"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let numbers = (number(first), number(last));
    assert!(numbers.0 < numbers.1 || first == last && !name.contains(&format!("{first}-")), "{name}");
    numbers
}

fn number<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn ms(seconds: &str) -> u64 {
    let (whole, fraction) = seconds.split_once('.').unwrap_or_else(|| panic!("{seconds} has no fraction"));
    assert_eq!(fraction.len(), 3, "{seconds}");
    number::<u64>(whole) * 1000 + number::<u64>(fraction)
}

fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(|value| value.trim_matches('"'))
}

/// Parses a playlist and checks all rules that apply to a single playlist.
pub(super) fn parse(text: &str) -> Playlist {
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("#EXTM3U"));
    let mut list = Playlist::default();
    let (mut map, mut next, mut duration) = (String::new(), Segment::default(), None);
    for line in lines {
        assert!(!list.has_ended && list.hint.is_none(), "{line} after the end");
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        let value_of = |name| attribute(value, name).unwrap_or_else(|| panic!("{name} in {line}"));
        match tag {
            "#EXT-X-VERSION" => assert_eq!(value, "9"),
            "#EXT-X-TARGETDURATION" => list.target = number::<u64>(value) * 1000,
            "#EXT-X-SERVER-CONTROL" => {
                assert_eq!(value_of("CAN-BLOCK-RELOAD"), "YES");
                list.skip_until = ms(value_of("CAN-SKIP-UNTIL"));
                assert!(list.skip_until >= 6 * list.target);
                list.part_target = ms(value_of("PART-HOLD-BACK")) / 3;
            }
            "#EXT-X-PART-INF" => {
                assert!(
                    list.part_target >= ms(value_of("PART-TARGET")),
                    "PART-HOLD-BACK is at least three part targets"
                )
            }
            "#EXT-X-MEDIA-SEQUENCE" => list.sequence = number(value),
            "#EXT-X-DISCONTINUITY-SEQUENCE" => list.discontinuity_sequence = number(value),
            "#EXT-X-INDEPENDENT-SEGMENTS" => list.is_independent = true,
            "#EXT-X-SKIP" => {
                assert!(list.segments.is_empty() && next == Segment::default());
                list.skipped = number(value_of("SKIPPED-SEGMENTS"));
                assert!(list.skipped > 0);
            }
            "#EXT-X-DISCONTINUITY" => next.is_discontinuous = true,
            "#EXT-X-MAP" => map = value_of("URI").to_owned(),
            "#EXT-X-PROGRAM-DATE-TIME" => next.date = value.to_owned(),
            "#EXT-X-PART" => {
                let part = (ms(value_of("DURATION")), value_of("URI").to_owned(), line.ends_with(",INDEPENDENT=YES"));
                list.check_part_follows(&next, part_number(&part.1));
                assert!(!map.is_empty(), "{line} needs an initialization segment");
                next.parts.push(part);
            }
            "#EXTINF" => duration = Some(ms(value.strip_suffix(',').expect("a title"))),
            "#EXT-X-PRELOAD-HINT" => {
                assert_eq!(value_of("TYPE"), "PART");
                list.hint = Some(value_of("URI").to_owned());
                list.check_part_follows(&next, part_number(value_of("URI")));
            }
            "#EXT-X-ENDLIST" => list.has_ended = true,
            _ => {
                next.numbers = segment_numbers(line);
                list.check_segment_follows(&next);
                let duration = duration.take().expect("EXTINF before each segment");
                let parts: u64 = next.parts.iter().map(|(duration, ..)| duration).sum();
                assert!(next.parts.is_empty() || parts == duration, "{parts} and {duration}");
                assert!((duration + 500) / 1000 * 1000 <= list.target, "{duration} is over {}", list.target);
                assert!(!map.is_empty() && !next.date.is_empty());
                let number = list.next_number();
                list.segments.push(Segment { number, duration, map: map.clone(), ..std::mem::take(&mut next) });
            }
        }
    }
    assert_eq!(duration, None);
    next.map.clone_from(&map);
    list.open = next;
    assert!(list.target > 0 && list.part_target > 0 && list.hint.is_some() != list.has_ended, "{text}");
    list.check_parts_near_the_end();
    list.check_independence();
    list
}

/// Parses a playlist in which each stored segment is listed by itself.
pub(super) fn parse_per_segment(text: &str) -> Playlist {
    let list = parse(text);
    for segment in &list.segments {
        assert_eq!(segment.numbers, (segment.number, segment.number), "{text}");
    }
    let is_open_segment = |(_, name, _): &(u64, String, bool)| part_number(name).0 == list.next_number();
    assert!(list.open.parts.iter().all(is_open_segment), "{text}");
    list
}

impl Playlist {
    fn next_number(&self) -> u64 {
        self.sequence + (self.skipped + self.segments.len()) as u64
    }

    /// Checks that parts have no gaps and start where the previous segment ends.
    fn check_part_follows(&self, segment: &Segment, part: (u64, u64)) {
        match segment.parts.last().map(|(_, name, _)| part_number(name)) {
            Some((number, before)) => assert!([(number, before + 1), (number + 1, 0)].contains(&part), "{part:?}"),
            None => {
                assert_eq!(part.1, 0, "{part:?}");
                if let Some(before) = self.segments.last() {
                    assert_eq!(part.0, before.numbers.1 + 1, "{part:?}");
                }
            }
        }
    }

    fn check_segment_follows(&self, segment: &Segment) {
        if let Some(before) = self.segments.last() {
            assert_eq!(segment.numbers.0, before.numbers.1 + 1);
        }
        if let (Some(first), Some(last)) = (segment.parts.first(), segment.parts.last()) {
            assert_eq!((part_number(&first.1), part_number(&last.1).0), ((segment.numbers.0, 0), segment.numbers.1));
        }
    }

    /// Checks that EXT-X-INDEPENDENT-SEGMENTS is used only if all segments are independent (RFC 8216 §4.3.5.1).
    fn check_independence(&self) {
        let first_parts = self.segments.iter().chain([&self.open]).filter_map(|segment| segment.parts.first());
        assert!(!self.is_independent || first_parts.into_iter().all(|(.., is_independent)| *is_independent));
    }

    fn check_parts_near_the_end(&self) {
        let mut from_end: u64 = self.open.parts.iter().map(|(duration, ..)| duration).sum();
        for segment in self.segments.iter().rev() {
            assert!(from_end >= 3 * self.target || !segment.parts.is_empty(), "{segment:?} lacks its parts");
            from_end += segment.duration;
        }
    }

    /// Checks that all parts but the last of each segment have the minimum duration (RFC 8216bis §4.4.3.7).
    pub(super) fn check_part_lengths(&self) {
        let closed =
            self.segments.iter().flat_map(|segment| segment.parts.split_last().map_or(&[][..], |(_, all)| all));
        for (duration, name, _) in closed.chain(self.open.parts.split_last().map_or(&[][..], |(_, all)| all)) {
            assert!(duration * 100 >= self.part_target * 85, "{name} has {duration} of {}", self.part_target);
        }
        for (duration, name, _) in self.segments.iter().flat_map(|segment| &segment.parts).chain(&self.open.parts) {
            assert!(*duration <= self.part_target, "{name} has {duration} of {}", self.part_target);
        }
    }

    /// Checks that only what may change differs from an earlier playlist (RFC 8216 §6.2.1).
    pub(super) fn check_follows(&self, before: &Self) {
        assert_eq!((self.target, self.part_target), (before.target, before.part_target));
        assert!(self.sequence >= before.sequence && self.next_number() >= before.next_number());
        assert!(!before.has_ended || self.has_ended);
        let evicted = (self.sequence - before.sequence) as usize;
        let evicted_discontinuities =
            before.segments.iter().take(evicted).filter(|segment| segment.is_discontinuous).count() as u64;
        if evicted <= before.segments.len() {
            assert_eq!(self.discontinuity_sequence, before.discontinuity_sequence + evicted_discontinuities);
        }
        for (old, new) in before.segments.iter().skip(evicted).zip(&self.segments) {
            assert_eq!(Segment { parts: Vec::new(), ..old.clone() }, Segment { parts: Vec::new(), ..new.clone() });
            assert!(new.parts.is_empty() || new.parts == old.parts);
        }
        let current = self.segments.iter().find(|segment| segment.number == before.next_number());
        let current = current.or((self.next_number() == before.next_number()).then_some(&self.open));
        if let Some(current) = current.filter(|current| !current.parts.is_empty()) {
            assert!(current.parts.starts_with(&before.open.parts), "{current:?} was {:?}", before.open);
        }
    }

    /// Applies this delta update to an earlier playlist (RFC 8216bis §6.3.7).
    pub(super) fn apply_to(&self, before: &Self) -> Self {
        let evicted = (self.sequence - before.sequence) as usize;
        let known = before.segments.get(evicted..evicted + self.skipped).expect("skipped segments are known");
        let mut known = known.to_vec();
        known.iter_mut().for_each(|segment| segment.parts.clear());
        known.extend(self.segments.iter().cloned());
        Self { segments: known, skipped: 0, ..self.clone() }
    }
}
