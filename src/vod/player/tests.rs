//! Playback of files to a recording viewer.

use super::*;
use crate::amf::Object;
use crate::error::Error;
use crate::flv::fixtures;
use crate::media::Timestamp;
use crate::vod::Library;
use crate::vod::{ControlSender, control_channel};
use crossbeam_channel::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Sent(Packet),
    Notified(PlaybackEvent),
}
use Event::{Notified, Sent};

struct Viewer {
    events: Sender<Event>,
    largest_batch: usize,
    expects_more: bool,
}

impl Output for Viewer {
    fn send(&mut self, batch: &[Packet], more: bool) -> Result<()> {
        assert!(!batch.is_empty() || (self.expects_more && !more));
        self.expects_more = more;
        self.largest_batch = self.largest_batch.max(batch.iter().map(|packet| packet.payload.len()).sum());
        batch.iter().try_for_each(|packet| self.events.send(Sent(packet.clone()))).map_err(|_| Error::Disconnected)
    }

    fn notify(&mut self, event: PlaybackEvent) -> Result<()> {
        assert!(!self.expects_more);
        self.events.send(Notified(event)).map_err(|_| Error::Disconnected)
    }
}

struct TestPlayback {
    folder: tempfile::TempDir,
    sender: ControlSender,
    events: Receiver<Event>,
    thread: JoinHandle<(Result<PlaybackSummary>, usize)>,
}

const UNPACED: u32 = limits::VOD_UNPACED_MS;

impl TestPlayback {
    fn of(bytes: &[u8], request: PlayRequest) -> Self {
        Self::after(bytes, request, &[])
    }

    /// Starts with control requests sent before playback.
    fn after(bytes: &[u8], request: PlayRequest, before: &[Control]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.flv"), bytes).unwrap();
        let video = Library::new(folder.path().to_owned()).open("a").unwrap();
        let (sender, controls) = control_channel();
        let send = |control: &Control| sender.send(*control, Duration::from_secs(20)).unwrap();
        let (before, rest) = before.split_at(before.len().min(limits::VOD_CONTROLS));
        before.iter().for_each(send);
        let (events, received) = crossbeam_channel::unbounded();
        let thread = std::thread::spawn(move || {
            let mut viewer = Viewer { events, largest_batch: 0, expects_more: false };
            (play(video, request, controls, &mut viewer), viewer.largest_batch)
        });
        rest.iter().for_each(send);
        Self { folder, sender, events: received, thread }
    }

    fn control(&self, control: Control) {
        self.sender.send(control, Duration::from_secs(20)).unwrap();
    }

    /// Returns the events up to the last one.
    fn until(&self, is_last: impl Fn(&PlaybackEvent) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(10)).expect("the event arrives");
            let is_last = matches!(&event, Notified(notified) if is_last(notified));
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    fn until_end(&self) -> Vec<Event> {
        self.until(|event| matches!(event, PlaybackEvent::Ended { .. }))
    }

    /// Returns the events up to the audio of a time.
    fn until_time(&self, time_ms: u32) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(10)).expect("the audio arrives");
            let is_last = matches!(&event, Sent(packet)
                if packet.kind == PacketKind::Audio && packet.timestamp.milliseconds() >= time_ms);
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    /// Returns the next events, until none arrives for 150 ms.
    fn until_quiet(&self) -> Vec<Event> {
        let first = self.events.recv_timeout(Duration::from_secs(10)).expect("an event arrives");
        let then = std::iter::from_fn(|| self.events.recv_timeout(Duration::from_millis(150)).ok());
        std::iter::once(first).chain(then).collect()
    }

    fn is_quiet(&self, milliseconds: u64) -> bool {
        self.events.recv_timeout(Duration::from_millis(milliseconds)).is_err()
    }

    fn stop(self) -> PlaybackSummary {
        self.control(Control::Stop);
        self.thread.join().unwrap().0.unwrap()
    }
}

fn request(start_ms: Option<u32>, duration_ms: Option<u32>, buffer_ms: u32) -> PlayRequest {
    PlayRequest { start_ms, duration_ms, buffer_ms }
}

fn sent(events: &[Event]) -> Vec<Packet> {
    let packets = events.iter().filter_map(|event| match event {
        Sent(packet) => Some(packet.clone()),
        Notified(_) => None,
    });
    packets.collect()
}

fn times(events: &[Event]) -> Vec<u32> {
    sent(events).iter().map(|packet| packet.timestamp.milliseconds()).collect()
}

fn at(packet: Packet, time_ms: u32) -> Packet {
    Packet { timestamp: Timestamp::new(time_ms), ..packet }
}

/// Returns the packets from a second of the typical file on: sequence headers and frames.
fn typical_from(second: u32, seconds: u32) -> Vec<Packet> {
    let time_ms = second * 1000;
    let headers = vec![fixtures::video_header(time_ms, 1), fixtures::audio_header(time_ms)];
    [headers, fixtures::typical(seconds)[2 + second as usize * 10..].to_vec()].concat()
}

#[test]
fn plays_a_whole_file() {
    let metadata = fixtures::on_meta_data(Object::new().with("duration", 3.0));
    let cue_point = fixtures::packet(PacketKind::Data, 0, b"\x02\x00\x0aonCuePoint\x05");
    let empty = fixtures::packet(PacketKind::Video, 500, &[]);
    let mut packets = [vec![at(metadata.clone(), 77)], fixtures::typical(3)].concat();
    packets.insert(8, cue_point);
    packets.insert(9, empty);
    packets.insert(10, at(metadata.clone(), 500));
    let playing = TestPlayback::of(&fixtures::file(&packets), request(None, None, UNPACED));
    let events = playing.until_end();
    let mut expected = [vec![metadata.clone()], fixtures::typical(3)].concat();
    expected.insert(8, metadata);
    assert_eq!(sent(&events), expected);
    let bytes = expected.iter().map(|packet| packet.payload.len() as u64).sum();
    assert_eq!(events.first(), Some(&Notified(PlaybackEvent::Started)));
    assert_eq!(events.last(), Some(&Notified(PlaybackEvent::Ended { duration_ms: 2800, bytes })));
    assert_eq!(playing.stop(), PlaybackSummary { packets: expected.len() as u64, bytes });
}

#[test]
fn a_file_that_starts_late_is_sent_from_zero() {
    let headers = vec![fixtures::video_header(0, 1), fixtures::audio_header(0)];
    let packets = [headers, fixtures::seconds(u32::MAX - 500, 3)].concat();
    let playing = TestPlayback::of(&fixtures::file(&packets), request(None, None, UNPACED));
    assert_eq!(sent(&playing.until_end()), typical_from(0, 3));
    playing.control(Control::Seek { position_ms: 1999 });
    let events = playing.until_end();
    assert_eq!(events[0], Notified(PlaybackEvent::SeekCompleted { position_ms: 1000 }));
    assert_eq!(sent(&events), typical_from(1, 3));
    playing.stop();
}

#[test]
fn start_and_duration() {
    let file = fixtures::file(&fixtures::typical(5));
    let play = |start, duration| {
        let playing = TestPlayback::of(&file, request(Some(start), duration, UNPACED));
        let events = playing.until_end();
        playing.stop();
        events
    };
    assert_eq!(sent(&play(2700, None)), typical_from(2, 5));
    assert_eq!(sent(&play(90_000, None)), typical_from(4, 5), "after the end");
    let events = play(2700, Some(1300));
    assert_eq!(sent(&events), typical_from(2, 4), "up to 4000");
    assert!(matches!(events.last(), Some(Notified(PlaybackEvent::Ended { duration_ms: 1300, .. }))));
    assert_eq!(sent(&play(2700, Some(u32::MAX))), typical_from(2, 5));
}

#[test]
fn duration_zero_sends_a_single_frame() {
    let mut packets = fixtures::typical(3);
    packets.insert(2, fixtures::audio_frame(0));
    let playing = TestPlayback::of(&fixtures::file(&packets), request(Some(0), Some(0), 1000));
    let expected = [fixtures::video_header(0, 1), fixtures::audio_header(0), fixtures::key_frame(0)];
    assert_eq!(sent(&playing.until_end()), expected);
    let frames: Vec<Packet> = (0..500).map(|number| fixtures::audio_frame(number * 20)).collect();
    let playing = TestPlayback::of(&fixtures::file(&frames), request(Some(0), Some(0), 1000));
    assert_eq!(sent(&playing.until_end()), [fixtures::audio_frame(0)], "or one audio frame");
}

#[test]
fn frames_are_paced_once_the_buffer_is_full() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    let start = Instant::now();
    playing.until_time(2000);
    assert!(start.elapsed() < Duration::from_millis(700), "the buffer and a second are sent immediately");
    playing.until_time(2800);
    let elapsed = start.elapsed();
    assert!(elapsed > Duration::from_millis(750), "{elapsed:?}");
    playing.control(Control::BufferLength { ms: 36_000_000 });
    assert_eq!(times(&playing.until_end()).last(), Some(&19_800), "unpaced on request");
    playing.stop();
}

#[test]
fn resume_continues_where_pause_stopped() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    let before = playing.until_time(2000);
    playing.control(Control::Pause { position_ms: 300 });
    playing.control(Control::Pause { position_ms: 300 });
    let paused = [(); 2].map(|()| playing.until(|event| *event == PlaybackEvent::Paused)).concat();
    assert!(playing.is_quiet(600));
    playing.control(Control::Resume { position_ms: 300 });
    playing.control(Control::BufferLength { ms: UNPACED });
    let after = playing.until_end();
    assert_eq!(after[0], Notified(PlaybackEvent::Resumed));
    assert_eq!(sent(&[before, paused, after].concat()), typical_from(0, 20), "nothing lost, nothing twice");
    playing.stop();
}

#[test]
fn resuming_at_another_position_is_a_seek() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    playing.until_time(2000);
    playing.control(Control::Pause { position_ms: 300 });
    playing.control(Control::Resume { position_ms: 10_500 });
    let events = playing.until(|event| matches!(event, PlaybackEvent::SeekCompleted { .. }));
    assert_eq!(
        events[events.len() - 2..],
        [Notified(PlaybackEvent::Resumed), Notified(PlaybackEvent::SeekCompleted { position_ms: 10_000 })]
    );
    assert_eq!(sent(&playing.until_time(12_000))[..4], typical_from(10, 20)[..4]);
    playing.stop();
}

#[test]
fn a_seek_sends_sequence_headers_and_the_preceding_key_frame() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    playing.until_time(2000);
    for (target, second) in [(15_900, 15), (3_000, 3), (90_000, 19), (999, 0), (0, 0)] {
        playing.control(Control::Seek { position_ms: target });
        let events = playing.until(|event| matches!(event, PlaybackEvent::SeekCompleted { .. }));
        assert_eq!(
            events.last(),
            Some(&Notified(PlaybackEvent::SeekCompleted { position_ms: second * 1000 })),
            "{target}"
        );
        let filled = playing.until_time(19_800.min(second * 1000 + 2000));
        assert_eq!(sent(&filled)[..4], typical_from(second, 20)[..4], "{target}");
    }
    playing.stop();
}

#[test]
fn only_the_last_of_several_seeks_is_done() {
    let seeks = [3000, 9000, 6000].map(|position_ms| Control::Seek { position_ms });
    let playing = TestPlayback::after(&fixtures::file(&fixtures::typical(20)), request(Some(1000), None, 1000), &seeks);
    let events = playing.until_time(8000);
    let notified: Vec<&Event> = events.iter().filter(|event| matches!(event, Notified(_))).collect();
    assert_eq!(
        notified,
        [&Notified(PlaybackEvent::Started), &Notified(PlaybackEvent::SeekCompleted { position_ms: 6000 })]
    );
    playing.stop();
}

#[test]
fn a_seek_while_paused_sends_a_single_frame() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    playing.until_time(2000);
    playing.control(Control::Pause { position_ms: 300 });
    playing.control(Control::Seek { position_ms: 12_345 });
    playing.until(|event| *event == PlaybackEvent::Paused);
    let shown = playing.until_quiet();
    assert_eq!(shown[0], Notified(PlaybackEvent::SeekCompleted { position_ms: 12_000 }));
    assert_eq!(sent(&shown), typical_from(12, 20)[..3]);
    playing.control(Control::Resume { position_ms: 12_345 });
    let after = playing.until_time(14_000);
    assert_eq!(after[0], Notified(PlaybackEvent::Resumed));
    assert_eq!(sent(&after)[0], fixtures::audio_frame(12_000));
    playing.stop();
}

#[test]
fn a_seek_after_the_end_restarts_playback() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(3)), request(None, None, UNPACED));
    playing.until_end();
    playing.control(Control::Pause { position_ms: 2800 });
    playing.control(Control::Resume { position_ms: 2800 });
    let events = playing.until_end();
    assert_eq!(events[..2], [Notified(PlaybackEvent::Paused), Notified(PlaybackEvent::Resumed)], "and the end again");
    playing.control(Control::Seek { position_ms: 1000 });
    let events = playing.until_end();
    assert_eq!(events[0], Notified(PlaybackEvent::SeekCompleted { position_ms: 1000 }));
    assert_eq!(sent(&events), typical_from(1, 3));
    playing.stop();
}

#[test]
fn audio_and_video_can_be_turned_off() {
    let playing = TestPlayback::after(
        &fixtures::file(&fixtures::typical(3)),
        request(Some(0), None, UNPACED),
        &[Control::Seek { position_ms: 1000 }, Control::ReceiveAudio(false)],
    );
    let events = playing.until_end();
    assert!(!sent(&events).contains(&fixtures::audio_frame(1200)));
    playing.control(Control::ReceiveAudio(true));
    playing.control(Control::ReceiveVideo(false));
    playing.control(Control::Seek { position_ms: 1000 });
    let events = playing.until_end();
    let without_video: Vec<Packet> = typical_from(1, 3)
        .into_iter()
        .filter(|packet| packet.kind == PacketKind::Audio || packet.is_sequence_header())
        .collect();
    assert_eq!(sent(&events), without_video);
    playing.stop();
}

#[test]
fn video_resumes_with_a_key_frame() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    playing.until_time(2000);
    playing.control(Control::ReceiveVideo(false));
    playing.control(Control::ReceiveVideo(true));
    playing.control(Control::BufferLength { ms: UNPACED });
    let packets = sent(&playing.until_end());
    assert_eq!(packets.iter().find(|packet| packet.kind == PacketKind::Video), Some(&fixtures::key_frame(3000)));
    playing.stop();
}

#[test]
fn a_seek_sends_the_sequence_headers_valid_there() {
    let mut packets = fixtures::typical(3);
    packets.push(fixtures::video_header(0, 2));
    packets.extend(fixtures::seconds(100_000, 3));
    let playing = TestPlayback::of(&fixtures::file(&packets), request(Some(101_500), None, UNPACED));
    let expected = [fixtures::video_header(101_000, 2), fixtures::audio_header(101_000), fixtures::key_frame(101_000)];
    assert_eq!(sent(&playing.until_end())[..3], expected);
    playing.control(Control::Seek { position_ms: 2000 });
    let again = sent(&playing.until_end());
    assert_eq!(again[..3], typical_from(2, 3)[..3]);
    assert_eq!(again[12], fixtures::video_header(2800, 2), "a header with timestamp 0 gets the current time");
    playing.stop();
}

#[test]
fn damage_ends_playback_and_seeking_back_works() {
    let whole = fixtures::file(&fixtures::typical(3));
    let third_second = fixtures::offsets(&fixtures::typical(3))[22] as usize;
    for tail in [&[0; 100][..], &whole[third_second..third_second + 1000]] {
        let damaged = [&whole[..third_second], tail].concat();
        let playing = TestPlayback::of(&damaged, request(None, None, UNPACED));
        assert_eq!(sent(&playing.until_end()), typical_from(0, 2));
        playing.control(Control::Seek { position_ms: 60_000 });
        assert_eq!(sent(&playing.until_end()), typical_from(1, 2));
        playing.stop();
    }
}

#[test]
fn a_file_that_shrinks_grows_or_is_replaced_during_playback() {
    let whole = fixtures::file(&fixtures::typical(500));
    let play = || {
        let playing = TestPlayback::of(&whole, request(None, None, 1000));
        playing.until_time(2000);
        let path = playing.folder.path().join("a.flv");
        (playing, path)
    };
    let continue_to_end = |playing: TestPlayback| {
        playing.control(Control::BufferLength { ms: UNPACED });
        let last = times(&playing.until_end()).last().copied();
        playing.control(Control::Seek { position_ms: 5000 });
        playing.until(|event| matches!(event, PlaybackEvent::Ended { .. } | PlaybackEvent::SeekFailed { .. }));
        playing.stop();
        last
    };
    let (playing, path) = play();
    std::fs::File::options().write(true).open(path).unwrap().set_len(200_000).unwrap();
    assert!(continue_to_end(playing).unwrap() < 70_000);
    let (playing, path) = play();
    std::fs::write(path, vec![0xff; 100_000]).unwrap();
    assert!(continue_to_end(playing).unwrap_or(0) < 70_000);
    let (playing, path) = play();
    std::fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
    assert!(continue_to_end(playing).unwrap_or(0) < 70_000);
    let (playing, path) = play();
    std::fs::write(path, fixtures::file(&fixtures::typical(600))).unwrap();
    assert_eq!(continue_to_end(playing), Some(599_800));
    let (playing, path) = play();
    std::fs::remove_file(path).unwrap();
    assert_eq!(continue_to_end(playing), Some(499_800));
}

#[test]
fn pacing_restarts_at_a_time_jump() {
    let mut packets = fixtures::seconds(0, 1);
    packets.extend(fixtures::seconds(1_000_000_000, 1));
    packets.extend(fixtures::seconds(1000, 1));
    let playing = TestPlayback::of(&fixtures::file(&packets), request(None, None, 1000));
    assert_eq!(sent(&playing.until_end()).len(), 30);
    playing.stop();
}

fn large_frames(count: u32, bytes: usize) -> Vec<u8> {
    let frame = |number| Packet { payload: vec![0x17; bytes].into(), ..fixtures::key_frame(number) };
    fixtures::file(&(0..count).map(frame).collect::<Vec<_>>())
}

#[test]
fn limit_of_a_batch() {
    for (bytes, frames_per_batch) in [(limits::VOD_BATCH_BYTES / 8, 7), (3 * limits::VOD_BATCH_BYTES, 1)] {
        let playing = TestPlayback::of(&large_frames(20, bytes), request(None, None, UNPACED));
        assert_eq!(sent(&playing.until_end()).len(), 20);
        playing.control(Control::Stop);
        assert_eq!(
            playing.thread.join().unwrap().1,
            frames_per_batch * bytes,
            "no larger than the limit, and large frames alone"
        );
    }
}

/// Stops at the first packet.
struct StopAtFirstPacket(ControlSender);

impl Output for StopAtFirstPacket {
    fn send(&mut self, _: &[Packet], _: bool) -> Result<()> {
        let _ = self.0.send(Control::Stop, Duration::ZERO);
        Ok(())
    }

    fn notify(&mut self, _: PlaybackEvent) -> Result<()> {
        Ok(())
    }
}

#[test]
fn limit_of_the_bytes_between_control_requests() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = limits::VOD_BATCH_BYTES / 8;
    std::fs::write(folder.path().join("a.flv"), large_frames(1000, bytes)).unwrap();
    let video = Library::new(folder.path().to_owned()).open("a").unwrap();
    let (sender, controls) = control_channel();
    let done = play(video, request(None, None, UNPACED), controls, &mut StopAtFirstPacket(sender)).unwrap();
    let excess = done.bytes as usize - limits::VOD_BYTES_AT_ONCE;
    assert!(excess < bytes, "at most one frame over the limit: {excess}");
}

#[test]
fn limit_of_the_queued_control_requests() {
    let mut before = vec![Control::ReceiveAudio(true); limits::VOD_CONTROLS - 1];
    before.splice(0..0, [Control::Seek { position_ms: 3000 }]);
    let seeks_with = |before: &[Control]| {
        let file = fixtures::file(&fixtures::typical(20));
        let playing = TestPlayback::after(&file, request(None, None, 1000), before);
        let events = playing.until_time(8000);
        playing.stop();
        events.iter().filter(|event| matches!(event, Notified(PlaybackEvent::SeekCompleted { .. }))).count()
    };
    before[limits::VOD_CONTROLS - 1] = Control::Seek { position_ms: 6000 };
    assert_eq!(seeks_with(&before), 1, "the last one within the limit replaces the first");
    before.insert(1, Control::ReceiveAudio(true));
    assert_eq!(seeks_with(&before), 2);
}

#[test]
fn a_disconnected_viewer_ends_playback() {
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    drop(playing.sender);
    assert!(playing.thread.join().unwrap().0.is_ok(), "its control channel is closed");
    let playing = TestPlayback::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
    drop(playing.events);
    assert!(playing.thread.join().unwrap().0.unwrap_err().is_disconnect(), "its connection is closed");
}

#[test]
fn stopping_does_not_wait_for_the_next_frame() {
    let packets = [fixtures::key_frame(0), fixtures::key_frame(50_000)];
    let playing = TestPlayback::of(&fixtures::file(&packets), request(None, None, 1000));
    playing.until_quiet();
    let start = Instant::now();
    playing.stop();
    assert!(start.elapsed() < Duration::from_secs(1));
}
