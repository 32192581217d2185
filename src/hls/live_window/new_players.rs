//! Players that join at any time find a key frame at their start position, and soon.

use proptest::prelude::*;

use super::checker::{self, Playlist};
use super::tests::{empty_window, frame, init, push, without_parts};
use super::*;
use crate::hls::Name;
use crate::media::PacketKind;

/// A camera, with its frame and key frame intervals in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Camera {
    step: u64,
    gop: u64,
}

impl Camera {
    /// Returns its frames in a time range.
    fn frames(self, from: u64, to: u64) -> impl Iterator<Item = MuxerOutput> {
        let times = (from.div_ceil(self.step) * self.step..to).step_by(self.step as usize);
        let is_key_frame = move |time: u64| (time / self.step).is_multiple_of(self.gop / self.step);
        times.map(move |time| frame(PacketKind::Video, time, self.step as u32, is_key_frame(time)))
    }

    /// Returns the time of the last key frame at or before a time.
    fn key_frame_before(self, time: u64) -> u64 {
        let gop = self.gop / self.step * self.step;
        time / gop * gop
    }
}

/// A player that joins at a time, and requests the media playlist `lag` milliseconds after the multivariant one.
#[derive(Clone, Debug)]
struct Player {
    joins_at: u64,
    lag: u64,
    /// The layout in the multivariant playlist, and when it was received.
    layout: Option<(Layout, u64)>,
    last: Option<Playlist>,
}

/// Returns the layout of the media playlist in a multivariant playlist.
pub(super) fn layout_of(index: &str) -> Layout {
    match Name::parse(index.lines().last().unwrap()) {
        Some(Name::Media(layout)) => layout,
        other => panic!("{other:?} in {index}"),
    }
}

impl Player {
    fn new(joins_at: u64, lag: u64) -> Self {
        Self { joins_at, lag, layout: None, last: None }
    }

    /// Requests the playlists that are due.
    fn poll(&mut self, window: &LiveWindow, now: u64) {
        if self.layout.is_none() && self.joins_at <= now {
            self.layout = window.index("", Instant::now()).ok().map(|index| (layout_of(&index), now));
        }
        let Some((layout, since)) = self.layout else { return };
        if since + self.lag > now {
            return;
        }
        let text = window.media(layout, None, false, "", Instant::now());
        let Ok(text) = text else {
            assert_eq!((text, &self.last), (Err(Unavailable::TimedOut), &None), "{layout:?}");
            assert!(now < self.joins_at + self.lag + 1_500, "{self:?} is still waiting at {now}");
            return;
        };
        let playlist = checker::parse(&text);
        playlist.check_part_lengths();
        match &self.last {
            Some(last) => {
                playlist.check_follows(last);
                let delta = window.media(layout, None, true, "", Instant::now()).unwrap();
                assert_eq!(without_parts(&checker::parse(&delta).apply_to(last)), without_parts(&playlist));
            }
            None => check_start(window, &playlist, &format!("{self:?} at {now}: {text}")),
        }
        self.last = Some(playlist);
    }
}

/// Checks that there is a key frame wherever players start in a playlist.
fn check_start(window: &LiveWindow, playlist: &Playlist, context: &str) {
    let state = window.state.lock();
    let segments = state.segmenter.store().segments();
    let starts_with_key_frame = |number| segments.iter().any(|one| one.number == number && one.is_independent);
    let complete = &playlist.segments;
    assert!(complete.len() >= 2, "VLC doesn't start with {context}");

    let ffmpeg_start = &complete[complete.len().saturating_sub(3)];
    assert!(starts_with_key_frame(ffmpeg_start.numbers.0), "ffmpeg starts at {ffmpeg_start:?} of {context}");

    // VLC starts 15 s before the last segment.
    let mut from_end: u64 = 0;
    let (_, before_last) = complete.split_last().unwrap();
    let reaches = |segment: &&checker::Segment| {
        from_end += segment.duration;
        from_end >= 15_000
    };
    let vlc_start = before_last.iter().rev().find(reaches).unwrap_or(&complete[0]);
    assert!(starts_with_key_frame(vlc_start.numbers.0), "VLC starts at {vlc_start:?} of {context}");

    // hls.js loads from the last independent part of the segment in which it starts, three parts before the end.
    let open: u64 = playlist.open.parts.iter().map(|(length, ..)| length).sum();
    let mut from_end = open;
    let reaches = |segment: &&checker::Segment| {
        from_end += segment.duration;
        from_end >= 3 * playlist.part_target
    };
    let hls_js_start = match open >= 3 * playlist.part_target {
        true => &playlist.open,
        false => complete.iter().rev().find(reaches).unwrap_or(&complete[0]),
    };
    assert!(
        hls_js_start.parts.first().is_some_and(|(.., is_key_frame)| *is_key_frame),
        "hls.js starts at {hls_js_start:?} of {context}"
    );
}

/// Lets players join a camera's window, which is created for the first of them.
fn play(camera: Camera, players: &mut [Player], end: u64) {
    let window = empty_window();
    push(&window, [init(true)]);
    let first_join = players.iter().map(|player| player.joins_at).min().unwrap();
    push(&window, camera.frames(camera.key_frame_before(first_join), first_join + 1));
    let mut seen = None;
    for now in (first_join + 1..end).step_by(camera.step as usize) {
        // Players that have started request playlists when there is a new part.
        let current = Some(window.state.lock().segmenter.store().next_part());
        let due = players.iter_mut().filter(|player| player.last.is_none() || seen != current);
        due.for_each(|player| player.poll(&window, now));
        seen = current;
        push(&window, camera.frames(now, now + camera.step));
    }
    assert!(players.iter().all(|player| player.last.is_some()), "{players:?}");
}

#[test]
fn the_first_player_gets_everything_since_the_key_frame_immediately() {
    for (gop, joins_at) in [(10_000, 7_000), (10_000, 9_900), (8_000, 11_000), (4_000, 3_000), (2_000, 1_200)] {
        let (camera, window) = (Camera { step: 40, gop }, empty_window());
        push(&window, [init(true)]);
        push(&window, camera.frames(camera.key_frame_before(joins_at), joins_at));
        let index = window.index("key=k", Instant::now()).unwrap();
        assert!(index.ends_with("\nmedia.m3u8?key=k\n"), "{index}");
        let list =
            checker::parse_per_segment(&window.media(Layout::Segments, None, false, "", Instant::now()).unwrap());
        let lengths: Vec<_> = list.segments.iter().map(|segment| segment.duration).collect();
        let length = (joins_at - camera.key_frame_before(joins_at)) / 200 * 200;
        assert_eq!(lengths, [length - 200, 200], "{camera:?} at {joins_at}");
        assert_eq!(list.target, (length - 200 + 500).max(4_000) / 1000 * 1000);
    }
}

#[test]
fn a_large_gop_is_a_single_segment_for_the_first_player() {
    let window = empty_window();
    push(&window, [init(true)]);
    let frames = Camera { step: 40, gop: 10_000 }.frames(0, 8_000).map(|output| match output {
        MuxerOutput::Fragment(fragment) => {
            MuxerOutput::Fragment(crate::fmp4::Fragment { bytes: vec![0; 64 * 1024], ..fragment })
        }
        init @ MuxerOutput::Init(_) => init,
    });
    push(&window, frames);
    let list = checker::parse_per_segment(&window.media(Layout::Segments, None, false, "", Instant::now()).unwrap());
    assert_eq!(list.segments.iter().map(|segment| segment.duration).collect::<Vec<_>>(), [7_800, 200]);
}

#[test]
fn the_multivariant_playlist_is_available_before_the_segments() {
    let (camera, window) = (Camera { step: 40, gop: 10_000 }, empty_window());
    push(&window, [init(true)]);
    let (mut index_at, mut list_at) = (None, None);
    for now in (0..2_000).step_by(40) {
        push(&window, camera.frames(now, now + 40));
        if index_at.is_none()
            && let Ok(index) = window.index("", Instant::now())
        {
            assert_eq!(layout_of(&index), Layout::Segments);
            assert!(index.contains("RESOLUTION=640x360") && index.contains("FRAME-RATE=25.000"), "{index}");
            index_at = Some(now);
        }
        if let Ok(list) = window.media(Layout::Segments, None, false, "", Instant::now()) {
            checker::parse_per_segment(&list).check_part_lengths();
            list_at.get_or_insert(now);
        }
    }
    assert_eq!((index_at, list_at), (Some(480), Some(960)), "half a second, and a second including the last frame");
}

#[test]
fn later_players_get_previous_gops_as_single_segments() {
    let (camera, window) = (Camera { step: 40, gop: 10_000 }, empty_window());
    push(&window, [init(true)]);
    let layout = |from, to| {
        push(&window, camera.frames(from, to));
        let layout = layout_of(&window.index("", Instant::now()).unwrap());
        let request = || window.media(layout, None, false, "", Instant::now());
        // The new player's playlist ends with the next part.
        let list = request().or_else(|_| {
            push(&window, camera.frames(to, to + 240));
            request()
        });
        (layout, list.unwrap())
    };
    assert_eq!(layout(0, 3_000).0, Layout::Segments);
    let (second, list) = layout(3_000, 6_000);
    // 0–2.8, 2.8–3, 3–5, 5–6, and the awaited part.
    assert_eq!(second, Layout::GopsThenSegments(4, 7));
    assert!(list.contains("#EXTINF:6.000,\nseg-0-3.m4s\n") && list.contains("#EXTINF:0.200,\nseg-4.m4s\n"), "{list}");
    let (third, list) = layout(6_240, 16_000);
    assert!(matches!(third, Layout::GopsThenSegments(_, 10)), "{third:?}");
    assert!(list.contains("#EXTINF:10.000,\n") && list.contains("#EXTINF:6.000,\n"), "{list}");
    let (fourth, list) = layout(16_240, 26_000);
    assert_eq!(fourth, Layout::Gops);
    assert!(list.contains("#EXT-X-INDEPENDENT-SEGMENTS\n") && list.contains("#EXT-X-TARGETDURATION:10\n"), "{list}");
    assert_eq!(list.matches("#EXTINF:10.000,\n").count(), 2, "{list}");
}

#[test]
fn short_gops_are_listed_per_segment() {
    let camera = Camera { step: 40, gop: 2_000 };
    let mut players: Vec<_> = (0..20).map(|number| Player::new(1_000 + number * 1_700, 40)).collect();
    play(camera, &mut players, 40_000);
    for player in &players {
        let list = player.last.as_ref().unwrap();
        assert_eq!(list.target, 4_000, "{player:?}");
        let is_late = player.joins_at > 24_000;
        assert!(!is_late || player.layout.unwrap().0 == Layout::Segments && list.is_independent, "{player:?}");
    }
}

#[test]
fn layouts_and_segments_of_another_window_are_unavailable() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, Camera { step: 40, gop: 2_000 }.frames(0, 10_000));
    let request = |layout| window.media(layout, None, false, "", Instant::now());
    for layout in [
        Layout::GopsThenSegments(99, 4),
        Layout::GopsThenSegments(u64::MAX, 4),
        Layout::GopsThenSegments(1, 3),
        Layout::GopsThenSegments(1, 11),
    ] {
        assert_eq!(request(layout), Err(Unavailable::Gone), "{layout:?}");
    }
    for layout in [Layout::GopsThenSegments(0, 4), Layout::GopsThenSegments(2, 10), Layout::Gops] {
        checker::parse(&request(layout).unwrap());
    }
    assert!(window.segments(0, 2).is_some() && window.segments(2, 1).is_none());
    assert!(window.segments(0, u64::MAX).is_none() && window.segments(0, 99).is_none());
}

#[test]
fn blocking_requests_refer_to_listed_segments() {
    let (camera, window) = (Camera { step: 40, gop: 10_000 }, empty_window());
    push(&window, [init(true)]);
    push(&window, camera.frames(0, 4_000));
    window.media(Layout::Segments, None, false, "", Instant::now()).unwrap();
    push(&window, camera.frames(4_000, 32_000));
    let request = |number, part| window.media(Layout::Gops, Some((number, part)), false, "", Instant::now());
    assert!(request(2, None).is_ok() && request(3, Some(9)).is_ok());
    assert_eq!((request(3, Some(10)), request(3, None)), (Err(Unavailable::TimedOut), Err(Unavailable::TimedOut)));
    assert_eq!((request(5, None), request(3, Some(25))), (Err(Unavailable::TooEarly), Err(Unavailable::TooEarly)));
    assert!(request(2, Some(49)).is_ok());
    // A GOP has 50 parts: the next part index refers to the first part of the next GOP.
    assert!(request(2, Some(50)).is_ok());
    let list = checker::parse(&request(3, Some(9)).unwrap());
    assert_eq!((list.segments.len(), list.open.parts.len()), (3, 10));
    list.check_part_lengths();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn players_can_start_at_any_time(
        step in proptest::sample::select(&[33u64, 40, 67, 100][..]),
        gop in 500u64..=10_000,
        joins in proptest::collection::vec((0u64..30_000, 0u64..400), 1..6),
        first in 0u64..20_000,
    ) {
        let camera = Camera { step, gop: gop.max(step) };
        let later = joins.into_iter().map(|(later, lag)| Player::new(first + 1_000 + later, lag));
        let mut players: Vec<_> = std::iter::once(Player::new(first, 100)).chain(later).collect();
        let end = players.iter().map(|player| player.joins_at).max().unwrap() + 5_000;
        play(camera, &mut players, end);
    }
}
