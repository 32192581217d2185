use proptest::prelude::*;

use super::*;
use crate::hls::Name;

fn init(has_video: bool) -> Piece {
    Piece::Init(Init { bytes: vec![1], codecs: "avc1.42c01e".into(), has_video, size: (640, 360) })
}

fn frame(kind: PacketKind, time_ms: u64, duration_ms: u32, is_key_frame: bool) -> Piece {
    Piece::Fragment(Fragment { kind, time_ms, duration_ms, is_key_frame, bytes: vec![0; 100] })
}

fn push(window: &Window, pieces: impl IntoIterator<Item = Piece>) {
    let messages: Vec<_> = pieces.into_iter().map(|piece| Arc::new(LiveMessage::piece(piece))).collect();
    window.push(0, &messages);
}

/// Pictures from a time to another, a key frame every two seconds.
fn pictures(from: u64, to: u64, step: u64) -> impl Iterator<Item = Piece> {
    let picture = move |time: u64| frame(PacketKind::Video, time, step as u32, time.is_multiple_of(2000));
    (from..to).step_by(step as usize).map(picture)
}

fn now(window: &Window) -> String {
    window.media(None, "", Instant::now()).unwrap()
}

/// What a client reads: each line's number of milliseconds, parts and segments.
fn durations(playlist: &str, tag: &str) -> Vec<u64> {
    let seconds = playlist.lines().filter_map(|line| line.strip_prefix(tag)?.split(',').next()?.parse::<f64>().ok());
    seconds.map(|seconds| (seconds * 1000.0).round() as u64).collect()
}

#[test]
fn parts_and_segments_of_a_camera() {
    let window = Window::new();
    push(&window, [init(true)]);
    push(&window, pictures(10_000, 14_400, 40));
    let playlist = now(&window);
    assert_eq!(durations(&playlist, "#EXTINF:"), [2000, 2000], "{playlist}");
    let parts = durations(&playlist, "#EXT-X-PART:DURATION=");
    assert!(parts.iter().all(|part| *part == 200), "{parts:?}");
    assert_eq!(parts.len(), 22);
    assert!(playlist.contains("URI=\"part-1-0.m4s\",INDEPENDENT=YES\n"));
    assert!(playlist.ends_with("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-2-2.m4s\"\n"), "{playlist}");
    let bytes = |pieces: Vec<Arc<Piece>>| pieces.iter().map(|piece| piece.bytes().len()).sum::<usize>();
    assert_eq!(bytes(window.segment(0).unwrap()), 50 * 100);
    assert_eq!(bytes(window.part(1, 3, Instant::now()).unwrap()), 5 * 100);
    assert!(window.segment(2).is_none(), "it is not complete");
}

#[test]
fn sound_behind_the_last_picture_goes_with_the_next() {
    let window = Window::new();
    push(&window, [init(true)]);
    for picture in pictures(0, 2_500, 40) {
        let Piece::Fragment(Fragment { time_ms, .. }) = picture else { continue };
        push(&window, [picture, frame(PacketKind::Audio, time_ms + 10, 23, false)]);
    }
    let playlist = now(&window);
    assert!(durations(&playlist, "#EXT-X-PART:DURATION=").iter().all(|part| *part == 200), "{playlist}");
    assert!(playlist.contains("URI=\"part-1-0.m4s\",INDEPENDENT=YES\n"), "{playlist}");
}

#[test]
fn five_pictures_a_second_have_a_part_each_and_thirty_have_no_short_ones() {
    for (step, part) in [(200, 200), (100, 200), (33, 198), (1000, 1000)] {
        let window = Window::new();
        push(&window, [init(true)]);
        push(&window, pictures(0, 4_000, step));
        let playlist = now(&window);
        let parts = durations(&playlist, "#EXT-X-PART:DURATION=");
        let target = playlist.split("PART-TARGET=").nth(1).unwrap().lines().next().unwrap().parse::<f64>().unwrap();
        assert_eq!(parts[0], part, "{step}");
        assert!(parts.iter().all(|part| *part as f64 / 1000.0 <= target), "{step}: {parts:?}");
    }
}

#[test]
fn sound_alone_has_segments_as_well() {
    let window = Window::new();
    push(&window, [init(false)]);
    push(&window, (0..200).map(|number| frame(PacketKind::Audio, number * 23, 23, true)));
    let segments = durations(&now(&window), "#EXTINF:");
    assert!(segments.len() >= 3 && segments.iter().all(|length| (1000..1300).contains(length)), "{segments:?}");
}

#[test]
fn a_stream_without_key_frames_is_cut_all_the_same() {
    let window = Window::new();
    push(&window, [init(true), frame(PacketKind::Video, 0, 40, true)]);
    push(&window, (1..600).map(|number| frame(PacketKind::Video, number * 40, 40, false)));
    let playlist = now(&window);
    assert_eq!(durations(&playlist, "#EXTINF:"), [10_000, 10_000]);
    assert!(playlist.contains("#EXT-X-TARGETDURATION:10\n"));
}

#[test]
fn other_tracks_are_a_discontinuity_with_a_segment_of_their_own() {
    let window = Window::new();
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
    let window = Arc::new(Window::new());
    push(&window, [init(true)]);
    push(&window, pictures(0, 2_400, 40));
    let soon = Instant::now() + Duration::from_secs(10);
    assert_eq!(window.media(Some((5, None)), "", soon), Err(NotThere::TooEarly));
    assert_eq!(window.part(7, 0, soon), Err(NotThere::Gone));
    assert_eq!(window.part(0, 99, soon), Err(NotThere::Gone));
    assert_eq!(window.part(1, 2, Instant::now()), Err(NotThere::Late));
    let waiting = [0, 1].map(|which| {
        let window = window.clone();
        std::thread::spawn(move || match which {
            0 => window.media(Some((1, Some(2))), "", soon).map(|playlist| playlist.contains("part-1-2.m4s\"\n")),
            _ => window.part(1, 2, soon).map(|pieces| pieces.len() == 5),
        })
    });
    std::thread::sleep(Duration::from_millis(50));
    push(&window, pictures(2_400, 2_640, 40));
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), Ok(true));
    }
    window.ended(0);
    assert!(now(&window).ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(window.part(1, 4, soon), Err(NotThere::Gone), "it will never come");
}

#[test]
fn a_window_has_its_bounds() {
    let window = Window::new();
    push(&window, [init(true)]);
    push(&window, pictures(0, 60_000, 40));
    assert_eq!(window.state.lock().segments.len(), SEGMENTS);
    let big = |time: u64| {
        let bytes = vec![0; limits::HLS_WINDOW_BYTES / 4];
        let kind = PacketKind::Video;
        Piece::Fragment(Fragment { kind, time_ms: time, duration_ms: 1000, is_key_frame: true, bytes })
    };
    push(&window, (60..80).map(|second| big(second * 1000)));
    assert!(window.state.lock().bytes <= limits::HLS_WINDOW_BYTES);
}

#[test]
fn a_query_goes_along_and_dates_are_right() {
    let window = Window::new();
    push(&window, [init(true)]);
    push(&window, pictures(0, 2_400, 40));
    let index = window.index("key=k", Instant::now()).unwrap();
    assert!(index.ends_with("CODECS=\"avc1.42c01e\",RESOLUTION=640x360\nmedia.m3u8?key=k\n"), "{index}");
    assert!(window.media(None, "key=k", Instant::now()).unwrap().contains("\"part-0-0.m4s?key=k\""));
    let at = |seconds| playlist::date_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
    assert_eq!(at(1_793_491_199), "2026-10-31T23:59:59.000Z");
}

proptest! {
    #[test]
    fn whatever_comes_playlists_name_what_is_there(
        steps in proptest::collection::vec((0u64..3000, 0u32..3000, 0u8..8), 1..200)
    ) {
        let (window, mut time) = (Window::new(), 0u64);
        push(&window, [init(true)]);
        for (step, duration, what) in steps {
            time += step;
            match what {
                0 => push(&window, [init(step % 2 == 0)]),
                1 | 2 => push(&window, [frame(PacketKind::Audio, time, duration, false)]),
                3 => push(&window, [frame(PacketKind::Video, time.saturating_sub(1000), duration, true)]),
                what => push(&window, [frame(PacketKind::Video, time, duration, what == 4)]),
            }
            let Ok(playlist) = window.media(None, "", Instant::now()) else { continue };
            let names = playlist.split(['"', '\n']).filter_map(Name::parse).collect::<Vec<_>>();
            let (hint, listed) = names.split_last().unwrap();
            prop_assert!(matches!(hint, Name::Part(..)));
            for name in listed {
                match *name {
                    Name::Init(number) => prop_assert!(window.init(number).is_some()),
                    Name::Segment(number) => prop_assert!(window.segment(number).is_some()),
                    Name::Part(number, part) => prop_assert!(window.part(number, part, Instant::now()).is_ok()),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }
}
