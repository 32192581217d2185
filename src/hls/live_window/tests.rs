use proptest::prelude::*;

use super::checker::{self, Playlist};
use super::*;
use crate::fmp4::{Fragment, Init};
use crate::guard::Budget;
use crate::hls::Name;
use crate::limits;
use crate::media::PacketKind;

pub(super) fn empty_window() -> LiveWindow {
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

pub(super) fn push(window: &LiveWindow, outputs: impl IntoIterator<Item = MuxerOutput>) {
    let messages: Vec<_> = outputs.into_iter().map(|output| Arc::new(LiveMessage::from_muxer(output))).collect();
    window.push(0, &messages);
}

/// Returns video frames in a time range, with a key frame every two seconds.
fn video(from: u64, to: u64, step: u64) -> impl Iterator<Item = MuxerOutput> {
    let video_frame = move |time: u64| frame(PacketKind::Video, time, step as u32, time.is_multiple_of(2000));
    (from..to).step_by(step as usize).map(video_frame)
}

fn playlist_of(window: &LiveWindow) -> String {
    media(window, None, false).unwrap()
}

/// Requests the per-segment playlist without waiting.
fn media(window: &LiveWindow, awaited: Option<(u64, Option<u64>)>, skip: bool) -> Result<String, Unavailable> {
    window.media(Layout::Segments, awaited, skip, "", Instant::now())
}

/// Returns the durations of all lines with a tag, in milliseconds.
fn durations(playlist: &str, tag: &str) -> Vec<u64> {
    let seconds = playlist.lines().filter_map(|line| line.strip_prefix(tag)?.split(',').next()?.parse::<f64>().ok());
    seconds.map(|seconds| (seconds * 1000.0).round() as u64).collect()
}

#[test]
fn segments_and_parts_of_a_camera() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(10_000, 14_400, 40));
    let playlist = playlist_of(&window);
    assert_eq!(durations(&playlist, "#EXTINF:"), [2000, 2000], "{playlist}");
    let parts = durations(&playlist, "#EXT-X-PART:DURATION=");
    assert!(parts.iter().all(|part| *part == 200), "{parts:?}");
    assert_eq!(parts.len(), 22);
    assert!(playlist.contains("URI=\"part-1-0.m4s\",INDEPENDENT=YES\n"));
    assert!(playlist.ends_with("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-2-2.m4s\"\n"), "{playlist}");
    let bytes = |outputs: Vec<Arc<MuxerOutput>>| outputs.iter().map(|output| output.bytes().len()).sum::<usize>();
    assert_eq!(bytes(window.segments(0, 0).unwrap()), 50 * 100);
    assert_eq!(bytes(window.part(1, 3, Instant::now()).unwrap()), 5 * 100);
    assert!(window.segments(2, 2).is_none(), "the segment is incomplete");
}

#[test]
fn audio_after_the_last_video_frame_belongs_to_the_next_part() {
    let window = empty_window();
    push(&window, [init(true)]);
    for output in video(0, 2_500, 40) {
        let MuxerOutput::Fragment(Fragment { time_ms, .. }) = output else { continue };
        push(&window, [output, frame(PacketKind::Audio, time_ms + 10, 23, false)]);
    }
    let playlist = playlist_of(&window);
    assert!(durations(&playlist, "#EXT-X-PART:DURATION=").iter().all(|part| *part == 200), "{playlist}");
    assert!(playlist.contains("URI=\"part-1-0.m4s\",INDEPENDENT=YES\n"), "{playlist}");
}

#[test]
fn part_durations_at_several_frame_rates() {
    for (step, part) in [(200, 200), (100, 200), (33, 198), (1000, 1000)] {
        let window = empty_window();
        push(&window, [init(true)]);
        push(&window, video(0, 5_000, step));
        let playlist = playlist_of(&window);
        checker::parse_per_segment(&playlist).check_part_lengths();
        let parts = durations(&playlist, "#EXT-X-PART:DURATION=");
        let target = playlist.split("PART-TARGET=").nth(1).unwrap().lines().next().unwrap().parse::<f64>().unwrap();
        assert_eq!(parts[0], part, "{step}");
        assert!(parts.iter().all(|part| *part as f64 / 1000.0 <= target), "{step}: {parts:?}");
    }
}

#[test]
fn audio_only_streams_are_segmented() {
    let window = empty_window();
    push(&window, [init(false)]);
    push(&window, (0..200).map(|number| frame(PacketKind::Audio, number * 23, 23, true)));
    let segments = durations(&playlist_of(&window), "#EXTINF:");
    assert!(segments.len() >= 3 && segments.iter().all(|length| (1000..1300).contains(length)), "{segments:?}");
}

#[test]
fn streams_without_key_frames_are_segmented() {
    let window = empty_window();
    push(&window, [init(true), frame(PacketKind::Video, 0, 40, true)]);
    push(&window, (1..600).map(|number| frame(PacketKind::Video, number * 40, 40, false)));
    let playlist = playlist_of(&window);
    assert_eq!(durations(&playlist, "#EXTINF:"), [10_400, 10_400, 3_000, 200], "10.4 rounds to 10");
    assert!(playlist.contains("#EXT-X-TARGETDURATION:10\n") && !playlist.contains("INDEPENDENT-SEGMENTS"));
    push(&window, (600..725).map(|number| frame(PacketKind::Video, number * 40, 40, false)));
    let later = durations(&playlist_of(&window), "#EXTINF:");
    assert_eq!(later[4..], [2_000, 2_000], "no player can start at these, but those playing get them soon");
}

#[test]
fn new_tracks_start_a_segment_after_a_discontinuity() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(0, 2_500, 40));
    push(&window, [init(true)]);
    push(&window, video(4_000, 6_500, 40));
    let playlist = playlist_of(&window);
    let (before, after) = playlist.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
    assert!(before.contains("init-0.mp4") && after.starts_with("#EXT-X-MAP:URI=\"init-1.mp4\"\n"), "{playlist}");
    assert!(window.init(0).is_some() && window.init(1).is_some() && window.init(2).is_none());
    push(&window, video(6_520, 40_000, 40));
    assert!(window.init(0).is_none(), "unused initialization segments are evicted");
    assert!(playlist_of(&window).contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
}

#[test]
fn requests_for_the_next_part_block() {
    let window = Arc::new(empty_window());
    push(&window, [init(true)]);
    push(&window, video(0, 2_400, 40));
    assert_eq!(
        durations(&playlist_of(&window), "#EXTINF:"),
        [2000, 200, 200],
        "the last part is a segment for new players"
    );
    let deadline = Instant::now() + Duration::from_secs(10);
    let media_before =
        move |window: &LiveWindow, awaited| window.media(Layout::Segments, Some(awaited), false, "", deadline);
    assert_eq!(media_before(&window, (5, None)), Err(Unavailable::TooEarly));
    assert_eq!(window.part(7, 0, deadline), Err(Unavailable::Gone));
    assert_eq!(window.part(0, 99, deadline), Err(Unavailable::Gone));
    assert_eq!(window.part(3, 0, Instant::now()), Err(Unavailable::TimedOut));
    let waiting = [0, 1].map(|which| {
        let window = window.clone();
        std::thread::spawn(move || match which {
            0 => media_before(&window, (3, Some(0))).map(|playlist| playlist.contains("part-3-0.m4s\"\n")),
            _ => window.part(3, 0, deadline).map(|outputs| outputs.len() == 5),
        })
    });
    std::thread::sleep(Duration::from_millis(50));
    push(&window, video(2_400, 2_640, 40));
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), Ok(true));
    }
    window.ended(0);
    assert!(playlist_of(&window).ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(window.part(3, 4, deadline), Err(Unavailable::Gone), "the stream has ended");
}

#[test]
fn the_window_is_limited() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(0, 4_000, 40));
    playlist_of(&window);
    push(&window, video(4_000, 60_000, 40));
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
fn the_query_is_appended_and_dates_are_correct() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(0, 2_400, 40));
    let index = window.index("key=k", Instant::now()).unwrap();
    let more = "CODECS=\"avc1.42c01e\",RESOLUTION=640x360,AVERAGE-BANDWIDTH=100000,FRAME-RATE=25.000";
    assert!(index.ends_with(&format!("{more}\nmedia.m3u8?key=k\n")), "{index}");
    assert!(
        window
            .media(Layout::Segments, None, false, "key=k", Instant::now())
            .unwrap()
            .contains("\"part-0-0.m4s?key=k\"")
    );
    let at = |seconds| playlist::date_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
    assert_eq!(at(1_793_491_199), "2026-10-31T23:59:59.000Z");
}

#[test]
fn each_reload_continues_the_previous_playlist() {
    for step in [16, 33, 40, 67, 100, 200, 1000] {
        let window = empty_window();
        push(&window, [init(true)]);
        let (mut last, mut skipped) = (None::<Playlist>, 0);
        for number in 0..60_000 / step {
            let is_key = number % (2_000 / step) == 0;
            push(&window, [frame(PacketKind::Video, 7_000 + number * step, step as u32, is_key)]);
            let Ok(text) = media(&window, None, false) else { continue };
            let playlist = checker::parse_per_segment(&text);
            playlist.check_part_lengths();
            assert!(playlist.skipped == 0 && (playlist.is_independent || number * step < 32_000), "{text}");
            assert!(number * step < 14_000 || playlist.segments.len() >= 6, "{text}");
            if let Some(last) = &last {
                playlist.check_follows(last);
                let delta = media(&window, None, true).unwrap();
                let delta = checker::parse_per_segment(&delta);
                skipped = delta.skipped.max(skipped);
                let whole = Playlist { segments: without_parts(&playlist), ..playlist.clone() };
                let merged = delta.apply_to(last);
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
fn durations_stay_within_the_target_when_key_frames_become_rare() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(0, 4_040, 40));
    let before = checker::parse_per_segment(&playlist_of(&window));
    assert!(before.target == 4_000 && before.is_independent);
    push(&window, (101..400).map(|number| frame(PacketKind::Video, number * 40, 40, false)));
    let after = checker::parse_per_segment(&playlist_of(&window));
    after.check_follows(&before);
    after.check_part_lengths();
    assert!(!after.is_independent);
    let lengths: Vec<_> = after.segments.iter().map(|segment| segment.duration).collect();
    assert_eq!(lengths[..6], [2000, 2000, 4400, 2000, 2000, 2000], "{lengths:?}");
}

#[test]
fn dates_are_those_of_the_live_stream_despite_its_cache() {
    let window = empty_window();
    push(&window, std::iter::once(init(true)).chain(video(0, 6_040, 40)));
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let state = window.state.lock();
    let date_ms = |segment: &Segment| {
        segment.program_date_time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
    };
    let dates: Vec<_> = state.segmenter.store().segments().iter().map(date_ms).collect();
    assert!(now_ms - dates[3] < 1_000, "the last frame has just arrived");
    assert!(dates.windows(2).all(|pair| pair[1] - pair[0] == 2_000), "{dates:?}");
}

#[test]
fn a_time_jump_is_a_discontinuity() {
    for to in [100_000, 1_000] {
        let window = empty_window();
        push(&window, [init(true)]);
        push(&window, video(50_000, 52_400, 40));
        let before = checker::parse_per_segment(&playlist_of(&window));
        push(&window, video(to, to + 2_400, 40));
        let playlist = checker::parse_per_segment(&playlist_of(&window));
        playlist.check_follows(&before);
        playlist.check_part_lengths();
        let discontinuous: Vec<_> = playlist.segments.iter().map(|segment| segment.is_discontinuous).collect();
        assert_eq!(discontinuous[..4], [false, false, false, true]);
        assert_eq!(playlist.segments[1].duration + playlist.segments[2].duration, 400);
    }
}

#[test]
fn audio_continues_without_video() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(0, 2_400, 40));
    push(&window, (100..1000).map(|number| frame(PacketKind::Audio, number * 23, 23, false)));
    let frozen = checker::parse_per_segment(&playlist_of(&window));
    frozen.check_part_lengths();
    let length: u64 = frozen.segments.iter().map(|segment| segment.duration).sum();
    assert!(length > 15_000, "{frozen:?}");
    push(&window, video(24_000, 26_400, 40));
    checker::parse_per_segment(&playlist_of(&window)).check_follows(&frozen);
}

#[test]
fn all_windows_share_the_memory_budget() {
    let budget = Budget::new(100_000);
    let (one, other) = (LiveWindow::new(budget.share()), LiveWindow::new(budget.share()));
    push(&one, [init(true)]);
    push(&one, video(0, 60_000, 40));
    let held = budget.held();
    assert!(held <= 100_000 && playlist_of(&one).contains("#EXTINF"), "{held}");
    push(&other, [init(true)]);
    push(&other, video(0, 60_000, 40));
    assert!(budget.held() <= 100_000);
    drop(one);
    push(&other, video(60_000, 64_040, 40));
    assert!(
        playlist_of(&other).contains("#EXT-X-DISCONTINUITY\n")
            || playlist_of(&other).contains("DISCONTINUITY-SEQUENCE")
    );
    drop(other);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_part_index_past_the_end_is_the_first_part_of_the_next_segment() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(0, 4_000, 40));
    push(&window, [frame(PacketKind::Video, 4_000, 40, true)]);
    assert_eq!(window.state.lock().segmenter.store().next_part(), (2, 0));
    let timed_out = Err(Unavailable::TimedOut);
    assert!(media(&window, Some((1, Some(9))), false).is_ok());
    assert_eq!(media(&window, Some((1, Some(10))), false), timed_out);
    assert_eq!(media(&window, Some((2, Some(14))), false), timed_out, "three seconds are 15 parts");
    assert_eq!(media(&window, Some((2, Some(15))), false), Err(Unavailable::TooEarly));
    push(&window, video(4_040, 4_240, 40));
    assert!(media(&window, Some((1, Some(10))), false).is_ok());
}

#[test]
fn an_independent_parser_agrees() {
    let window = empty_window();
    push(&window, [init(true)]);
    push(&window, video(0, 6_600, 40));
    let index = window.index("key=k", Instant::now()).unwrap();
    let variant = &m3u8_rs::parse_master_playlist_res(index.as_bytes()).unwrap().variants[0];
    assert_eq!((&variant.uri[..], variant.bandwidth, variant.frame_rate), ("media.m3u8?key=k", 100_000, Some(25.0)));
    window.ended(0);
    let (text, ours) = (playlist_of(&window), checker::parse_per_segment(&playlist_of(&window)));
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
    fn playlists_are_valid_and_their_uris_available_for_any_input(
        steps in proptest::collection::vec((0u64..3000, 0u32..3000, 0u8..14), 1..200),
        room in 5_000usize..100_000,
    ) {
        let budget = Budget::new(room);
        let (window, mut time) = (LiveWindow::new(budget.share()), 0u64);
        let mut players = vec![(Layout::Segments, None::<Playlist>), (Layout::Gops, None)];
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
                        players.push((new_players::layout_of(&index), None));
                    }
                }
                what => push(&window, [frame(PacketKind::Video, time, duration % 300, what == 4)]),
            }
            {
                let state = window.state.lock();
                let held: usize = state.segmenter.store().segments().iter().map(Segment::bytes).sum();
                prop_assert!(held <= budget.held() && budget.held() <= room);
            }
            let current = Some(window.state.lock().segmenter.store().next_part());
            if std::mem::replace(&mut seen, current) == current {
                continue;
            }
            for (layout, last) in &mut players {
                let Ok(text) = window.media(*layout, None, false, "", Instant::now()) else { continue };
                let playlist = checker::parse(&text);
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
                prop_assert!(checker::parse(&text).has_ended);
            }
        }
    }
}
