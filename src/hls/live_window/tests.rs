use proptest::prelude::*;

use super::checker::{self, Playlist};
use super::*;
use crate::fmp4::{Fragment, Init};
use crate::guard::Budget;
use crate::hls::Name;
use crate::limits;
use crate::media::PacketKind;

pub(super) fn empty() -> LiveWindow {
    LiveWindow::new(Budget::new(usize::MAX).share())
}

pub(super) fn init(has_video: bool) -> MuxerOutput {
    MuxerOutput::Init(Init { bytes: vec![1], codecs: "avc1.42c01e".into(), has_video, size: (640, 360) })
}

pub(super) fn frame(kind: PacketKind, time_ms: u64, duration_ms: u32, is_key_frame: bool) -> MuxerOutput {
    MuxerOutput::Fragment(Fragment {
        kind,
        time_ms,
        duration_ms,
        is_key_frame,
        is_disposable: false,
        length: 100,
        bytes: vec![0; 100],
    })
}

pub(super) fn push(window: &LiveWindow, pieces: impl IntoIterator<Item = MuxerOutput>) {
    let messages: Vec<_> = pieces.into_iter().map(|piece| Arc::new(LiveMessage::from_muxer(piece))).collect();
    window.push(0, &messages);
}

/// Video frames from a time to another, a key frame every two seconds.
fn pictures(from: u64, to: u64, step: u64) -> impl Iterator<Item = MuxerOutput> {
    let picture = move |time: u64| frame(PacketKind::Video, time, step as u32, time.is_multiple_of(2000));
    (from..to).step_by(step as usize).map(picture)
}

fn now(window: &LiveWindow) -> String {
    media(window, None, false).unwrap()
}

/// The playlist of segments as they are, at once or not at all.
fn media(window: &LiveWindow, at_least: Option<(u64, Option<u64>)>, skip: bool) -> Result<String, NotThere> {
    window.media(Layout::Plain, at_least, skip, "", Instant::now())
}

/// What a client reads: each line's number of milliseconds, parts and segments.
fn durations(playlist: &str, tag: &str) -> Vec<u64> {
    let seconds = playlist.lines().filter_map(|line| line.strip_prefix(tag)?.split(',').next()?.parse::<f64>().ok());
    seconds.map(|seconds| (seconds * 1000.0).round() as u64).collect()
}

#[test]
fn parts_and_segments_of_a_camera() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(10_000, 14_400, 40));
    let playlist = now(&window);
    assert_eq!(durations(&playlist, "#EXTINF:"), [2000, 2000], "{playlist}");
    let parts = durations(&playlist, "#EXT-X-PART:DURATION=");
    assert!(parts.iter().all(|part| *part == 200), "{parts:?}");
    assert_eq!(parts.len(), 22);
    assert!(playlist.contains("URI=\"part-1-0.m4s\",INDEPENDENT=YES\n"));
    assert!(playlist.ends_with("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-2-2.m4s\"\n"), "{playlist}");
    let bytes = |pieces: Vec<Arc<MuxerOutput>>| pieces.iter().map(|piece| piece.bytes().len()).sum::<usize>();
    assert_eq!(bytes(window.segments(0, 0).unwrap()), 50 * 100);
    assert_eq!(bytes(window.part(1, 3, Instant::now()).unwrap()), 5 * 100);
    assert!(window.segments(2, 2).is_none(), "it is not complete");
}

#[test]
fn audio_behind_the_last_frame_goes_with_the_next() {
    let window = empty();
    push(&window, [init(true)]);
    for picture in pictures(0, 2_500, 40) {
        let MuxerOutput::Fragment(Fragment { time_ms, .. }) = picture else { continue };
        push(&window, [picture, frame(PacketKind::Audio, time_ms + 10, 23, false)]);
    }
    let playlist = now(&window);
    assert!(durations(&playlist, "#EXT-X-PART:DURATION=").iter().all(|part| *part == 200), "{playlist}");
    assert!(playlist.contains("URI=\"part-1-0.m4s\",INDEPENDENT=YES\n"), "{playlist}");
}

#[test]
fn five_frames_a_second_have_a_part_each_and_thirty_have_no_short_ones() {
    for (step, part) in [(200, 200), (100, 200), (33, 198), (1000, 1000)] {
        let window = empty();
        push(&window, [init(true)]);
        push(&window, pictures(0, 5_000, step));
        let playlist = now(&window);
        checker::read_plain(&playlist).check_part_lengths();
        let parts = durations(&playlist, "#EXT-X-PART:DURATION=");
        let target = playlist.split("PART-TARGET=").nth(1).unwrap().lines().next().unwrap().parse::<f64>().unwrap();
        assert_eq!(parts[0], part, "{step}");
        assert!(parts.iter().all(|part| *part as f64 / 1000.0 <= target), "{step}: {parts:?}");
    }
}

#[test]
fn audio_alone_has_segments_as_well() {
    let window = empty();
    push(&window, [init(false)]);
    push(&window, (0..200).map(|number| frame(PacketKind::Audio, number * 23, 23, true)));
    let segments = durations(&now(&window), "#EXTINF:");
    assert!(segments.len() >= 3 && segments.iter().all(|length| (1000..1300).contains(length)), "{segments:?}");
}

#[test]
fn a_stream_without_key_frames_is_cut_all_the_same() {
    let window = empty();
    push(&window, [init(true), frame(PacketKind::Video, 0, 40, true)]);
    push(&window, (1..600).map(|number| frame(PacketKind::Video, number * 40, 40, false)));
    let playlist = now(&window);
    assert_eq!(durations(&playlist, "#EXTINF:"), [10_400, 10_400, 3_000, 200], "10.4 rounds to 10");
    assert!(playlist.contains("#EXT-X-TARGETDURATION:10\n") && !playlist.contains("INDEPENDENT-SEGMENTS"));
    push(&window, (600..725).map(|number| frame(PacketKind::Video, number * 40, 40, false)));
    let later = durations(&now(&window), "#EXTINF:");
    assert_eq!(later[4..], [2_000, 2_000], "nobody can begin with these, but who has begun gets them soon");
}

#[test]
fn other_tracks_are_a_discontinuity_with_a_segment_of_their_own() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(0, 2_500, 40));
    push(&window, [init(true)]);
    push(&window, pictures(4_000, 6_500, 40));
    let playlist = now(&window);
    let (before, after) = playlist.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
    assert!(before.contains("init-0.mp4") && after.starts_with("#EXT-X-MAP:URI=\"init-1.mp4\"\n"), "{playlist}");
    assert!(window.init(0).is_some() && window.init(1).is_some() && window.init(2).is_none());
    push(&window, pictures(6_520, 40_000, 40));
    assert!(window.init(0).is_none(), "what no segment needs is forgotten");
    assert!(now(&window).contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
}

#[test]
fn who_asks_for_what_comes_next_waits_for_it() {
    let window = Arc::new(empty());
    push(&window, [init(true)]);
    push(&window, pictures(0, 2_400, 40));
    assert_eq!(durations(&now(&window), "#EXTINF:"), [2000, 200, 200], "the last part is a segment for who begins now");
    let soon = Instant::now() + Duration::from_secs(10);
    let media_soon = move |window: &LiveWindow, at_least| window.media(Layout::Plain, Some(at_least), false, "", soon);
    assert_eq!(media_soon(&window, (5, None)), Err(NotThere::TooEarly));
    assert_eq!(window.part(7, 0, soon), Err(NotThere::Gone));
    assert_eq!(window.part(0, 99, soon), Err(NotThere::Gone));
    assert_eq!(window.part(3, 0, Instant::now()), Err(NotThere::Late));
    let waiting = [0, 1].map(|which| {
        let window = window.clone();
        std::thread::spawn(move || match which {
            0 => media_soon(&window, (3, Some(0))).map(|playlist| playlist.contains("part-3-0.m4s\"\n")),
            _ => window.part(3, 0, soon).map(|pieces| pieces.len() == 5),
        })
    });
    std::thread::sleep(Duration::from_millis(50));
    push(&window, pictures(2_400, 2_640, 40));
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), Ok(true));
    }
    window.ended(0);
    assert!(now(&window).ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(window.part(3, 4, soon), Err(NotThere::Gone), "it will never come");
}

#[test]
fn a_window_has_its_bounds() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(0, 4_000, 40));
    now(&window);
    push(&window, pictures(4_000, 60_000, 40));
    let length: u64 = window.state.lock().segmenter.store().segments().iter().map(Segment::duration_ms).sum();
    let kept = limits::HLS_WINDOW_TARGETS * 4_000;
    assert!((kept..kept + 2_000).contains(&length), "{length}");
    let big = |time: u64| {
        let bytes = vec![0; limits::HLS_WINDOW_BYTES / 4];
        let kind = PacketKind::Video;
        MuxerOutput::Fragment(Fragment {
            kind,
            time_ms: time,
            duration_ms: 1000,
            is_key_frame: true,
            is_disposable: false,
            length: bytes.len(),
            bytes,
        })
    };
    push(&window, (60..80).map(|second| big(second * 1000)));
    let bytes: usize = window.state.lock().segmenter.store().segments().iter().map(Segment::bytes).sum();
    assert!(bytes <= limits::HLS_WINDOW_BYTES);
}

#[test]
fn a_query_goes_along_and_dates_are_right() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(0, 2_400, 40));
    let index = window.index("key=k", Instant::now()).unwrap();
    let more = "CODECS=\"avc1.42c01e\",RESOLUTION=640x360,AVERAGE-BANDWIDTH=100000,FRAME-RATE=25.000";
    assert!(index.ends_with(&format!("{more}\nmedia.m3u8?key=k\n")), "{index}");
    assert!(
        window.media(Layout::Plain, None, false, "key=k", Instant::now()).unwrap().contains("\"part-0-0.m4s?key=k\"")
    );
    let at = |seconds| playlist::date_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
    assert_eq!(at(1_793_491_199), "2026-10-31T23:59:59.000Z");
}

#[test]
fn each_reload_goes_on_from_the_one_before() {
    for step in [16, 33, 40, 67, 100, 200, 1000] {
        let window = empty();
        push(&window, [init(true)]);
        let (mut last, mut skipped) = (None::<Playlist>, 0);
        for number in 0..60_000 / step {
            let is_key = number % (2_000 / step) == 0;
            push(&window, [frame(PacketKind::Video, 7_000 + number * step, step as u32, is_key)]);
            let Ok(text) = media(&window, None, false) else { continue };
            let playlist = checker::read_plain(&text);
            playlist.check_part_lengths();
            assert!(playlist.skipped == 0 && (playlist.is_independent || number * step < 32_000), "{text}");
            assert!(number * step < 14_000 || playlist.segments.len() >= 6, "{text}");
            if let Some(last) = &last {
                playlist.check_follows(last);
                let delta = media(&window, None, true).unwrap();
                let delta = checker::read_plain(&delta);
                skipped = delta.skipped.max(skipped);
                let whole = Playlist { segments: without_parts(&playlist), ..playlist.clone() };
                let merged = delta.onto(last);
                assert_eq!(Playlist { segments: without_parts(&merged), ..merged.clone() }, whole);
            }
            last = Some(playlist);
        }
        assert!(skipped > 0, "{step}");
    }
}

pub(super) fn without_parts(playlist: &Playlist) -> Vec<checker::Segment> {
    playlist.segments.iter().cloned().map(|segment| checker::Segment { parts: Vec::new(), ..segment }).collect()
}

#[test]
fn lengths_hold_though_key_frames_become_rare() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(0, 4_040, 40));
    let before = checker::read_plain(&now(&window));
    assert!(before.target == 4_000 && before.is_independent);
    push(&window, (101..400).map(|number| frame(PacketKind::Video, number * 40, 40, false)));
    let after = checker::read_plain(&now(&window));
    after.check_follows(&before);
    after.check_part_lengths();
    assert!(!after.is_independent);
    let lengths: Vec<_> = after.segments.iter().map(|segment| segment.duration).collect();
    assert_eq!(lengths[..6], [2000, 2000, 4400, 2000, 2000, 2000], "{lengths:?}");
}

#[test]
fn dates_go_with_the_stream_and_not_with_its_cache() {
    let window = empty();
    push(&window, std::iter::once(init(true)).chain(pictures(0, 6_040, 40)));
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let state = window.state.lock();
    let began = |segment: &Segment| segment.began.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let dates: Vec<_> = state.segmenter.store().segments().iter().map(began).collect();
    assert!(now_ms - dates[3] < 1_000, "the last frame came just now");
    assert!(dates.windows(2).all(|pair| pair[1] - pair[0] == 2_000), "{dates:?}");
}

#[test]
fn a_leap_in_time_is_a_discontinuity() {
    for to in [100_000, 1_000] {
        let window = empty();
        push(&window, [init(true)]);
        push(&window, pictures(50_000, 52_400, 40));
        let before = checker::read_plain(&now(&window));
        push(&window, pictures(to, to + 2_400, 40));
        let playlist = checker::read_plain(&now(&window));
        playlist.check_follows(&before);
        playlist.check_part_lengths();
        let discontinuous: Vec<_> = playlist.segments.iter().map(|segment| segment.is_discontinuous).collect();
        assert_eq!(discontinuous[..4], [false, false, false, true]);
        assert_eq!(playlist.segments[1].duration + playlist.segments[2].duration, 400);
    }
}

#[test]
fn audio_goes_on_when_frames_do_not() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(0, 2_400, 40));
    push(&window, (100..1000).map(|number| frame(PacketKind::Audio, number * 23, 23, false)));
    let frozen = checker::read_plain(&now(&window));
    frozen.check_part_lengths();
    let length: u64 = frozen.segments.iter().map(|segment| segment.duration).sum();
    assert!(length > 15_000, "{frozen:?}");
    push(&window, pictures(24_000, 26_400, 40));
    checker::read_plain(&now(&window)).check_follows(&frozen);
}

#[test]
fn all_windows_share_what_there_is() {
    let budget = Budget::new(100_000);
    let (one, other) = (LiveWindow::new(budget.share()), LiveWindow::new(budget.share()));
    push(&one, [init(true)]);
    push(&one, pictures(0, 60_000, 40));
    let held = budget.held();
    assert!(held <= 100_000 && now(&one).contains("#EXTINF"), "{held}");
    push(&other, [init(true)]);
    push(&other, pictures(0, 60_000, 40));
    assert!(budget.held() <= 100_000);
    drop(one);
    push(&other, pictures(60_000, 64_040, 40));
    assert!(now(&other).contains("#EXT-X-DISCONTINUITY\n") || now(&other).contains("DISCONTINUITY-SEQUENCE"));
    drop(other);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_part_behind_the_last_of_a_segment_is_the_first_of_the_next() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(0, 4_000, 40));
    push(&window, [frame(PacketKind::Video, 4_000, 40, true)]);
    assert_eq!(window.state.lock().segmenter.store().hint(), (2, 0));
    let late = Err(NotThere::Late);
    assert!(media(&window, Some((1, Some(9))), false).is_ok());
    assert_eq!(media(&window, Some((1, Some(10))), false), late);
    assert_eq!(media(&window, Some((2, Some(14))), false), late, "three seconds are 15 parts");
    assert_eq!(media(&window, Some((2, Some(15))), false), Err(NotThere::TooEarly));
    push(&window, pictures(4_040, 4_240, 40));
    assert!(media(&window, Some((1, Some(10))), false).is_ok());
}

#[test]
fn another_reader_reads_the_same() {
    let window = empty();
    push(&window, [init(true)]);
    push(&window, pictures(0, 6_600, 40));
    let index = window.index("key=k", Instant::now()).unwrap();
    let variant = &m3u8_rs::parse_master_playlist_res(index.as_bytes()).unwrap().variants[0];
    assert_eq!((&variant.uri[..], variant.bandwidth, variant.frame_rate), ("media.m3u8?key=k", 100_000, Some(25.0)));
    window.ended(0);
    let (text, ours) = (now(&window), checker::read_plain(&now(&window)));
    let list = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
    assert_eq!((list.version, list.target_duration * 1000, list.media_sequence), (Some(9), ours.target, 0));
    assert!(list.independent_segments && list.end_list && ours.has_ended);
    let lengths: Vec<_> = list.segments.iter().map(|segment| (segment.duration * 1000.0).round() as u64).collect();
    assert_eq!(lengths, ours.segments.iter().map(|segment| segment.duration).collect::<Vec<_>>());
    assert_eq!(list.segments[0].map.as_ref().unwrap().uri, "init-0.mp4");
    let dates: Vec<_> = list.segments.iter().map(|segment| segment.program_date_time.unwrap()).collect();
    assert!(dates.windows(2).all(|pair| (pair[1] - pair[0]).num_milliseconds() == 2_000), "{text}");
}

proptest! {
    #[test]
    fn whatever_comes_playlists_hold_and_name_what_is_there(
        steps in proptest::collection::vec((0u64..3000, 0u32..3000, 0u8..14), 1..200),
        room in 5_000usize..100_000,
    ) {
        let budget = Budget::new(room);
        let (window, mut time) = (LiveWindow::new(budget.share()), 0u64);
        let mut players = vec![(Layout::Plain, None::<Playlist>), (Layout::Gops, None)];
        let mut seen = None;
        push(&window, [init(true)]);
        for (step, duration, what) in steps {
            time += if what > 4 { step % 200 } else { step };
            match what {
                0 => push(&window, [init(step % 2 == 0)]),
                1 | 2 => push(&window, [frame(PacketKind::Audio, time, duration, step % 2 == 0)]),
                3 => push(&window, [frame(PacketKind::Video, time.saturating_sub(1000), duration, true)]),
                12 | 13 if players.len() < 5 => {
                    seen = None;
                    if let Ok(index) = window.index("", Instant::now()) {
                        players.push((newcomers::layout_in(&index), None));
                    }
                }
                what => push(&window, [frame(PacketKind::Video, time, duration % 300, what == 4)]),
            }
            {
                let state = window.state.lock();
                let held: usize = state.segmenter.store().segments().iter().map(Segment::bytes).sum();
                prop_assert!(held <= budget.held() && budget.held() <= room);
            }
            let there_is = Some(window.state.lock().segmenter.store().hint());
            if std::mem::replace(&mut seen, there_is) == there_is {
                continue;
            }
            for (layout, last) in &mut players {
                let Ok(text) = window.media(*layout, None, false, "", Instant::now()) else { continue };
                let playlist = checker::read(&text);
                if let Some(last) = last {
                    playlist.check_follows(last);
                }
                *last = Some(playlist);
                let names = text.split(['"', '\n']).filter_map(Name::parse).collect::<Vec<_>>();
                let (hint, listed) = names.split_last().unwrap();
                prop_assert!(matches!(hint, Name::Part(..)));
                for name in listed {
                    match *name {
                        Name::Init(number) => prop_assert!(window.init(number).is_some()),
                        Name::Segment(number) => prop_assert!(window.segments(number, number).is_some()),
                        Name::Span(first, last) => prop_assert!(window.segments(first, last).is_some()),
                        Name::Part(number, part) => prop_assert!(window.part(number, part, Instant::now()).is_ok()),
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
            }
        }
        window.ended(0);
        for (layout, _) in players {
            if let Ok(text) = window.media(layout, None, false, "", Instant::now()) {
                prop_assert!(checker::read(&text).has_ended);
            }
        }
    }
}
