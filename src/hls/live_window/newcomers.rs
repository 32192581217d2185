//! Players that come at any moment find a key frame where they begin, and soon.

use proptest::prelude::*;

use super::checker::{self, Playlist};
use super::tests::{empty, frame, init, push, without_parts};
use super::*;
use crate::hls::Name;
use crate::media::PacketKind;

/// A camera: its frames' distance, and that of its key frames, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Camera {
    step: u64,
    gop: u64,
}

impl Camera {
    /// Its frames from a time to another.
    fn frames(self, from: u64, to: u64) -> impl Iterator<Item = MuxerOutput> {
        let times = (from.div_ceil(self.step) * self.step..to).step_by(self.step as usize);
        let is_key = move |time: u64| (time / self.step).is_multiple_of(self.gop / self.step);
        times.map(move |time| frame(PacketKind::Video, time, self.step as u32, is_key(time)))
    }

    /// When the last key frame before a time came.
    fn key_frame_before(self, time: u64) -> u64 {
        let gop = self.gop / self.step * self.step;
        time / gop * gop
    }
}

/// One who comes at that time, and asks for segments so much later than for what there is, in milliseconds.
#[derive(Clone, Debug)]
struct Player {
    comes: u64,
    lag: u64,
    /// What the first playlist named, and when.
    layout: Option<(Layout, u64)>,
    last: Option<Playlist>,
}

/// What a playlist names.
pub(super) fn layout_in(index: &str) -> Layout {
    match Name::parse(index.lines().last().unwrap()) {
        Some(Name::Media(layout)) => layout,
        other => panic!("{other:?} in {index}"),
    }
}

impl Player {
    fn new(comes: u64, lag: u64) -> Self {
        Self { comes, lag, layout: None, last: None }
    }

    /// Does what can be done at that time.
    fn goes_on(&mut self, window: &LiveWindow, now: u64) {
        if self.layout.is_none() && self.comes <= now {
            self.layout = window.index("", Instant::now()).ok().map(|index| (layout_in(&index), now));
        }
        let Some((layout, since)) = self.layout else { return };
        if since + self.lag > now {
            return;
        }
        let text = window.media(layout, None, false, "", Instant::now());
        let Ok(text) = text else {
            assert_eq!((text, &self.last), (Err(NotThere::Late), &None), "{layout:?}");
            assert!(now < self.comes + self.lag + 1_500, "{self:?} still waits at {now}");
            return;
        };
        let playlist = checker::read(&text);
        playlist.check_part_lengths();
        match &self.last {
            Some(last) => {
                playlist.check_follows(last);
                let delta = window.media(layout, None, true, "", Instant::now()).unwrap();
                assert_eq!(without_parts(&checker::read(&delta).onto(last)), without_parts(&playlist));
            }
            None => check_beginning(window, &playlist, &format!("{self:?} at {now}: {text}")),
        }
        self.last = Some(playlist);
    }
}

/// Wherever players begin with a playlist there is a key frame.
fn check_beginning(window: &LiveWindow, playlist: &Playlist, about: &str) {
    let state = window.state.lock();
    let segments = state.segmenter.store().segments();
    let begins_with_key = |number| segments.iter().any(|one| one.number == number && one.is_independent);
    let whole = &playlist.segments;
    assert!(whole.len() >= 2, "VLC doesn't begin with {about}");

    let of_ffmpeg = &whole[whole.len().saturating_sub(3)];
    assert!(begins_with_key(of_ffmpeg.made_of.0), "ffmpeg begins with {of_ffmpeg:?} of {about}");

    // VLC begins 15 s before the last segment.
    let mut behind: u64 = 0;
    let (_, before_last) = whole.split_last().unwrap();
    let reaches = |segment: &&checker::Segment| {
        behind += segment.duration;
        behind >= 15_000
    };
    let of_vlc = before_last.iter().rev().find(reaches).unwrap_or(&whole[0]);
    assert!(begins_with_key(of_vlc.made_of.0), "VLC begins with {of_vlc:?} of {about}");

    // hls.js loads from the last independent part of the segment that it begins in, at three parts before the end.
    let open: u64 = playlist.open.parts.iter().map(|(length, ..)| length).sum();
    let mut behind = open;
    let reaches = |segment: &&checker::Segment| {
        behind += segment.duration;
        behind >= 3 * playlist.part_target
    };
    let of_hls_js = match open >= 3 * playlist.part_target {
        true => &playlist.open,
        false => whole.iter().rev().find(reaches).unwrap_or(&whole[0]),
    };
    assert!(of_hls_js.parts.first().is_some_and(|(.., is_key)| *is_key), "hls.js begins with {of_hls_js:?} of {about}");
}

/// Lets players come to a camera's window, which the first of them begins.
fn play(camera: Camera, players: &mut [Player], until: u64) {
    let window = empty();
    push(&window, [init(true)]);
    let begins = players.iter().map(|player| player.comes).min().unwrap();
    push(&window, camera.frames(camera.key_frame_before(begins), begins + 1));
    let mut seen = None;
    for now in (begins + 1..until).step_by(camera.step as usize) {
        // Those who have begun look when there is something new.
        let there_is = Some(window.state.lock().segmenter.store().hint());
        let look = players.iter_mut().filter(|player| player.last.is_none() || seen != there_is);
        look.for_each(|player| player.goes_on(&window, now));
        seen = there_is;
        push(&window, camera.frames(now, now + camera.step));
    }
    assert!(players.iter().all(|player| player.last.is_some()), "{players:?}");
}

#[test]
fn the_first_player_has_all_since_the_key_frame_at_once() {
    for (gop, comes) in [(10_000, 7_000), (10_000, 9_900), (8_000, 11_000), (4_000, 3_000), (2_000, 1_200)] {
        let (camera, window) = (Camera { step: 40, gop }, empty());
        push(&window, [init(true)]);
        push(&window, camera.frames(camera.key_frame_before(comes), comes));
        let index = window.index("key=k", Instant::now()).unwrap();
        assert!(index.ends_with("\nmedia.m3u8?key=k\n"), "{index}");
        let list = checker::read_plain(&window.media(Layout::Plain, None, false, "", Instant::now()).unwrap());
        let lengths: Vec<_> = list.segments.iter().map(|segment| segment.duration).collect();
        let length = (comes - camera.key_frame_before(comes)) / 200 * 200;
        assert_eq!(lengths, [length - 200, 200], "{camera:?} at {comes}");
        assert_eq!(list.target, (length - 200 + 500).max(4_000) / 1000 * 1000);
    }
}

#[test]
fn a_gop_of_many_bytes_is_one_segment_for_the_first_player() {
    let window = empty();
    push(&window, [init(true)]);
    let frames = Camera { step: 40, gop: 10_000 }.frames(0, 8_000).map(|piece| match piece {
        MuxerOutput::Fragment(fragment) => {
            MuxerOutput::Fragment(crate::fmp4::Fragment { bytes: vec![0; 64 * 1024], ..fragment })
        }
        init @ MuxerOutput::Init(_) => init,
    });
    push(&window, frames);
    let list = checker::read_plain(&window.media(Layout::Plain, None, false, "", Instant::now()).unwrap());
    assert_eq!(list.segments.iter().map(|segment| segment.duration).collect::<Vec<_>>(), [7_800, 200]);
}

#[test]
fn who_comes_with_the_key_frame_is_told_where_the_segments_will_be_before_they_are() {
    let (camera, window) = (Camera { step: 40, gop: 10_000 }, empty());
    push(&window, [init(true)]);
    let (mut index_at, mut list_at) = (None, None);
    for now in (0..2_000).step_by(40) {
        push(&window, camera.frames(now, now + 40));
        if index_at.is_none()
            && let Ok(index) = window.index("", Instant::now())
        {
            assert_eq!(layout_in(&index), Layout::Plain);
            assert!(index.contains("RESOLUTION=640x360") && index.contains("FRAME-RATE=25.000"), "{index}");
            index_at = Some(now);
        }
        if let Ok(list) = window.media(Layout::Plain, None, false, "", Instant::now()) {
            checker::read_plain(&list).check_part_lengths();
            list_at.get_or_insert(now);
        }
    }
    assert_eq!((index_at, list_at), (Some(480), Some(960)), "half a second, and a second with the last frame");
}

#[test]
fn later_players_have_it_as_well_until_there_are_whole_gops() {
    let (camera, window) = (Camera { step: 40, gop: 10_000 }, empty());
    push(&window, [init(true)]);
    let layout = |from, to| {
        push(&window, camera.frames(from, to));
        let layout = layout_in(&window.index("", Instant::now()).unwrap());
        let ask = || window.media(layout, None, false, "", Instant::now());
        // The next part is the one that the new player's list ends with.
        let list = ask().or_else(|_| {
            push(&window, camera.frames(to, to + 240));
            ask()
        });
        (layout, list.unwrap())
    };
    assert_eq!(layout(0, 3_000).0, Layout::Plain);
    let (second, list) = layout(3_000, 6_000);
    // 0–2.8, 2.8–3, 3–5, 5–6, and the part that was waited for.
    assert_eq!(second, Layout::From(4, 7));
    assert!(list.contains("#EXTINF:6.000,\nseg-0-3.m4s\n") && list.contains("#EXTINF:0.200,\nseg-4.m4s\n"), "{list}");
    let (third, list) = layout(6_240, 16_000);
    assert!(matches!(third, Layout::From(_, 10)), "{third:?}");
    assert!(list.contains("#EXTINF:10.000,\n") && list.contains("#EXTINF:6.000,\n"), "{list}");
    let (fourth, list) = layout(16_240, 26_000);
    assert_eq!(fourth, Layout::Gops);
    assert!(list.contains("#EXT-X-INDEPENDENT-SEGMENTS\n") && list.contains("#EXT-X-TARGETDURATION:10\n"), "{list}");
    assert_eq!(list.matches("#EXTINF:10.000,\n").count(), 2, "{list}");
}

#[test]
fn short_gops_are_listed_as_they_are() {
    let camera = Camera { step: 40, gop: 2_000 };
    let mut players: Vec<_> = (0..20).map(|number| Player::new(1_000 + number * 1_700, 40)).collect();
    play(camera, &mut players, 40_000);
    for player in &players {
        let list = player.last.as_ref().unwrap();
        assert_eq!(list.target, 4_000, "{player:?}");
        let is_late = player.comes > 24_000;
        assert!(!is_late || player.layout.unwrap().0 == Layout::Plain && list.is_independent, "{player:?}");
    }
}

#[test]
fn what_playlists_of_another_window_say_is_not_there() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, Camera { step: 40, gop: 2_000 }.frames(0, 10_000));
    let ask = |layout| window.media(layout, None, false, "", Instant::now());
    for layout in [Layout::From(99, 4), Layout::From(u64::MAX, 4), Layout::From(1, 3), Layout::From(1, 11)] {
        assert_eq!(ask(layout), Err(NotThere::Gone), "{layout:?}");
    }
    for layout in [Layout::From(0, 4), Layout::From(2, 10), Layout::Gops] {
        checker::read(&ask(layout).unwrap());
    }
    assert!(window.segments(0, 2).is_some() && window.segments(2, 1).is_none());
    assert!(window.segments(0, u64::MAX).is_none() && window.segments(0, 99).is_none());
}

#[test]
fn what_can_be_asked_for_ahead_counts_as_it_is_listed() {
    let (camera, window) = (Camera { step: 40, gop: 10_000 }, empty());
    push(&window, [init(true)]);
    push(&window, camera.frames(0, 4_000));
    window.media(Layout::Plain, None, false, "", Instant::now()).unwrap();
    push(&window, camera.frames(4_000, 32_000));
    let ask = |number, part| window.media(Layout::Gops, Some((number, part)), false, "", Instant::now());
    assert!(ask(2, None).is_ok() && ask(3, Some(9)).is_ok());
    assert_eq!((ask(3, Some(10)), ask(3, None)), (Err(NotThere::Late), Err(NotThere::Late)));
    assert_eq!((ask(5, None), ask(3, Some(25))), (Err(NotThere::TooEarly), Err(NotThere::TooEarly)));
    assert!(ask(2, Some(49)).is_ok());
    // There are 50 parts in a GOP: what would be the next is the first of the next GOP.
    assert!(ask(2, Some(50)).is_ok());
    let list = checker::read(&ask(3, Some(9)).unwrap());
    assert_eq!((list.segments.len(), list.open.parts.len()), (3, 10));
    list.check_part_lengths();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn players_begin_whenever_they_come(
        step in proptest::sample::select(&[33u64, 40, 67, 100][..]),
        gop in 500u64..=10_000,
        comes in proptest::collection::vec((0u64..30_000, 0u64..400), 1..6),
        first in 0u64..20_000,
    ) {
        let camera = Camera { step, gop: gop.max(step) };
        let later = comes.into_iter().map(|(later, lag)| Player::new(first + 1_000 + later, lag));
        let mut players: Vec<_> = std::iter::once(Player::new(first, 100)).chain(later).collect();
        let until = players.iter().map(|player| player.comes).max().unwrap() + 5_000;
        play(camera, &mut players, until);
    }
}
