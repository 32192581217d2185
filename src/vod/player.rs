//! Plays a file to one viewer.

use std::collections::VecDeque;
use std::time::Instant;

use crossbeam_channel::{RecvTimeoutError, TryRecvError};

use super::source::{Source, Step};
use super::{
    Control, ControlReceiver, Output, Pacing, PlayRequest, PlaybackEvent, PlaybackSummary, Video, is_local_address,
};
use crate::flv::KeyFrame;
use crate::media::{Packet, PacketKind};
use crate::{Result, limits};

/// Room for the packets of most batches.
const BATCH_PACKETS: usize = 16;

/// Plays a file until the viewer stops or is gone; dropping the [`ControlSender`](super::ControlSender) is a stop. Blocks,
/// so it wants a thread of its own. Fails only with what the output fails with.
///
/// After [`PlaybackEvent::Started`] come the metadata (time 0), the sequence headers (time of the first frame)
/// and the frames from the key frame at or before the start. Times are those of the file, counted as
/// [`TimeBase`](crate::flv::TimeBase) says. Of the script data only `onMetaData` is sent, always with time
/// 0: anything else makes ffmpeg show a track of data or subtitles. Empty tags are not sent.
///
/// Frames go out in batches when they are due, see [`Pacing`]. At the end, which may be where the file is
/// damaged, comes [`PlaybackEvent::Ended`], and then the player waits: a seek back still works.
pub(crate) fn play(
    mut video: Box<Video>,
    request: PlayRequest,
    controls: ControlReceiver,
    output: &mut dyn Output,
) -> Result<PlaybackSummary> {
    let start_ms = request.start_ms.unwrap_or(0);
    let metadata = video.head.metadata.take();
    // On the heap, or it would lie on the stack once for each frame below this one.
    let player = Box::new(Player {
        source: Source::new(video),
        start_ms,
        end_ms: request.duration_ms.map(|duration| start_ms.saturating_add(duration)),
        controls,
        queue: VecDeque::new(),
        output,
        pacing: Pacing::new(request.buffer_ms),
        paused_at: None,
        has_ended: false,
        wants_audio: true,
        wants_video: true,
        awaits_key_frame: false,
        held: None,
        // At once: to grow later would scatter it between what comes and goes.
        batch: Vec::with_capacity(BATCH_PACKETS),
        batch_bytes: 0,
        announced_more: false,
        done: PlaybackSummary::default(),
    });
    player.run(metadata, request.duration_ms == Some(0))
}

struct Player<'o> {
    source: Source,
    start_ms: u32,
    end_ms: Option<u32>,
    controls: ControlReceiver,
    /// Controls taken from the channel and not yet obeyed.
    queue: VecDeque<Control>,
    output: &'o mut dyn Output,
    pacing: Pacing,
    /// Where the client said it was when it paused; `None` while playing.
    paused_at: Option<u32>,
    has_ended: bool,
    wants_audio: bool,
    wants_video: bool,
    /// After video frames were switched on again.
    awaits_key_frame: bool,
    /// A packet that was read but isn't due.
    held: Option<Packet>,
    batch: Vec<Packet>,
    batch_bytes: usize,
    /// The output waits for more.
    announced_more: bool,
    done: PlaybackSummary,
}

/// What to wait for before going on.
enum Wait {
    Nothing,
    Until(Instant),
    Control,
}

impl Player<'_> {
    fn run(mut self: Box<Self>, metadata: Option<Packet>, one_frame: bool) -> Result<PlaybackSummary> {
        self.output.notify(PlaybackEvent::Started)?;
        metadata.into_iter().for_each(|packet| self.push(packet));
        self.start(one_frame)?;
        let mut wait = Wait::Nothing;
        loop {
            self.receive(wait);
            while let Some(control) = self.queue.pop_front() {
                if !self.handle_control(control)? {
                    return Ok(self.done);
                }
            }
            wait = if self.has_ended || self.paused_at.is_some() { Wait::Control } else { self.advance()? };
        }
    }

    fn start(&mut self, one_frame: bool) -> Result<()> {
        match self.seek_to_position(self.start_ms) {
            Ok(Some(place)) if one_frame => {
                self.show_one_frame(place)?;
                self.end()
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.source.video().warn(&error);
                self.end()
            }
        }
    }

    /// Waits, then takes the controls there are into the queue.
    fn receive(&mut self, wait: Wait) {
        let first = match wait {
            _ if !self.queue.is_empty() => Err(RecvTimeoutError::Timeout),
            Wait::Nothing => Err(RecvTimeoutError::Timeout),
            Wait::Until(deadline) => self.controls.recv(Some(deadline)),
            Wait::Control => self.controls.recv(None),
        };
        match first {
            Ok(control) => self.queue.push_back(control),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.queue.push_back(Control::Stop),
        }
        while self.queue.len() < limits::VOD_CONTROLS {
            match self.controls.try_recv() {
                Ok(control) => self.queue.push_back(control),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.queue.push_back(Control::Stop);
                    break;
                }
            }
        }
    }

    /// Does what the client wants; whether it still wants anything.
    fn handle_control(&mut self, control: Control) -> Result<bool> {
        match control {
            Control::Pause { position_ms } => {
                self.pacing.pause(Instant::now());
                self.paused_at.get_or_insert(position_ms);
                self.output.notify(PlaybackEvent::Paused)?;
            }
            Control::Resume { position_ms } => self.resume(position_ms)?,
            // The client is only interested in the last of several.
            Control::Seek { .. } if self.queue.iter().any(|next| matches!(next, Control::Seek { .. })) => {}
            Control::Seek { position_ms } => self.seek(position_ms)?,
            Control::BufferLength { ms } => self.pacing.set_buffer(ms),
            Control::ReceiveAudio(wanted) => self.wants_audio = wanted,
            Control::ReceiveVideo(wanted) => {
                self.awaits_key_frame = wanted && (self.awaits_key_frame || !self.wants_video);
                self.wants_video = wanted;
            }
            Control::Stop => return Ok(false),
        }
        Ok(true)
    }

    fn resume(&mut self, position_ms: u32) -> Result<()> {
        self.pacing.resume(Instant::now());
        self.output.notify(PlaybackEvent::Resumed)?;
        match self.paused_at.take() {
            Some(paused_at)
                if !is_local_address(position_ms, paused_at)
                    && !is_local_address(position_ms, self.source.last_ms()) =>
            {
                self.seek(position_ms)
            }
            // The client goes on with what it has: it has to hear again that there is no more.
            _ if self.has_ended => self.end(),
            _ => Ok(()),
        }
    }

    fn seek(&mut self, position_ms: u32) -> Result<()> {
        match self.seek_to_position(position_ms) {
            Ok(None) => Ok(()),
            Ok(Some(place)) => {
                self.output.notify(PlaybackEvent::Sought { position_ms: place.time_ms })?;
                if let Some(paused_at) = &mut self.paused_at {
                    *paused_at = position_ms;
                    self.show_one_frame(place)?;
                }
                Ok(())
            }
            Err(error) => {
                self.source.video().warn(&error);
                self.output.notify(PlaybackEvent::SeekFailed { position_ms, reason: error.to_string() })?;
                if self.has_ended { self.end() } else { Ok(()) }
            }
        }
    }

    /// Goes to the last key frame at or before a time and puts the sequence headers into the batch; `None`
    /// when a newer seek or a stop came while searching. Fails when the file can't be read.
    fn seek_to_position(&mut self, target_ms: u32) -> Result<Option<KeyFrame>> {
        let Some(place) = self.find(target_ms)? else { return Ok(None) };
        let headers = self.source.seek_to_position(place)?;
        headers.into_iter().for_each(|header| self.push(header));
        self.held = None;
        self.has_ended = false;
        self.pacing.restart();
        Ok(Some(place))
    }

    fn find(&mut self, target_ms: u32) -> Result<Option<KeyFrame>> {
        let mut scanner = self.source.scanner()?;
        loop {
            // Others who search the same file get their turn after each step.
            if let Some(place) = self.source.find_step(&mut scanner, target_ms)? {
                return Ok(Some(place));
            }
            self.receive(Wait::Nothing);
            if self.queue.iter().any(|control| matches!(control, Control::Stop | Control::Seek { .. })) {
                return Ok(None);
            }
        }
    }

    /// Sends what is due.
    fn advance(&mut self) -> Result<Wait> {
        let (now, enough) = (Instant::now(), self.done.bytes + limits::VOD_BYTES_AT_ONCE as u64);
        for _ in 0..limits::FLV_TAGS_AT_ONCE {
            // What is sent before more is read leaves its memory to that.
            if self.held.is_none() && !self.source.is_next_buffered() {
                self.flush_with(true)?;
            }
            let packet = match self.held.take().map_or_else(|| self.step(), Step::Packet) {
                Step::Packet(packet) => packet,
                Step::Nothing => continue,
                Step::End | Step::Failed(_) => return self.end().map(|()| Wait::Control),
            };
            if is_frame(&packet) {
                let time_ms = packet.timestamp.milliseconds();
                if self.end_ms.is_some_and(|end| time_ms >= end) {
                    return self.end().map(|()| Wait::Control);
                }
                if let Some(due) = self.pacing.due(time_ms, now) {
                    self.held = Some(packet);
                    self.flush()?;
                    return Ok(Wait::Until(due + limits::VOD_MERGE_WINDOW));
                }
            }
            self.push(packet);
            if self.done.bytes + self.batch_bytes as u64 >= enough {
                break;
            }
        }
        self.flush()?;
        Ok(Wait::Nothing)
    }

    /// Sends the first video frame from here, or a piece of audio when no video frame comes.
    fn show_one_frame(&mut self, place: KeyFrame) -> Result<()> {
        let mut sound = None;
        for _ in 0..limits::FLV_PREAMBLE_TAGS {
            match self.step() {
                Step::Packet(packet) if packet.kind == PacketKind::Audio && is_frame(&packet) => {
                    sound.get_or_insert(packet);
                }
                Step::Packet(packet) => {
                    let is_video = is_frame(&packet);
                    self.push(packet);
                    if is_video || self.batch_bytes >= limits::VOD_BATCH_BYTES {
                        self.flush()?;
                    }
                    if is_video {
                        return Ok(());
                    }
                }
                Step::Nothing => {}
                Step::End | Step::Failed(_) => break,
            }
        }
        self.source.seek_to_position(place)?;
        sound.into_iter().for_each(|packet| self.push(packet));
        self.flush()
    }

    /// Reads a tag; trouble with it goes to the log.
    fn step(&mut self) -> Step {
        let step = self.source.step();
        if let Step::Failed(error) = &step {
            self.source.video().warn(error);
        }
        step
    }

    fn push(&mut self, packet: Packet) {
        if self.is_wanted(&packet) {
            self.batch_bytes += packet.payload.len();
            self.batch.push(packet);
        }
    }

    /// Sequence headers are always wanted: they are small, and the client may change its mind.
    fn is_wanted(&mut self, packet: &Packet) -> bool {
        match packet.kind {
            _ if !is_frame(packet) => true,
            PacketKind::Video => {
                self.awaits_key_frame = self.awaits_key_frame && !packet.is_key_frame();
                self.wants_video && !self.awaits_key_frame
            }
            _ => self.wants_audio,
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.flush_with(false)
    }

    fn flush_with(&mut self, more: bool) -> Result<()> {
        if self.batch.is_empty() && (more || !self.announced_more) {
            return Ok(());
        }
        self.announced_more = more;
        self.done.packets += self.batch.len() as u64;
        self.done.bytes += self.batch_bytes as u64;
        self.output.send(&self.batch, more)?;
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.flush()?;
        // That may have taken a while, and to be told the end during a seek makes ffmpeg stop.
        self.receive(Wait::Nothing);
        if self.queue.iter().any(|control| matches!(control, Control::Seek { .. } | Control::Stop)) {
            return Ok(());
        }
        self.has_ended = true;
        let end_ms = self.end_ms.unwrap_or(u32::MAX).min(self.source.last_ms());
        let duration_ms = end_ms.saturating_sub(self.start_ms);
        self.output.notify(PlaybackEvent::Ended { duration_ms, bytes: self.done.bytes })
    }
}

/// Whether a packet takes time: audio or video, neither data nor a sequence header.
fn is_frame(packet: &Packet) -> bool {
    packet.kind != PacketKind::Data && !packet.is_sequence_header()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::amf::Object;
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
        Told(PlaybackEvent),
    }
    use Event::{Sent, Told};

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

        fn notify(&mut self, notice: PlaybackEvent) -> Result<()> {
            assert!(!self.expects_more);
            self.events.send(Told(notice)).map_err(|_| Error::Disconnected)
        }
    }

    struct Playing {
        folder: tempfile::TempDir,
        remote: ControlSender,
        events: Receiver<Event>,
        thread: JoinHandle<(Result<PlaybackSummary>, usize)>,
    }

    const AT_ONCE: u32 = limits::VOD_UNPACED_MS;

    impl Playing {
        fn of(bytes: &[u8], request: PlayRequest) -> Self {
            Self::after(bytes, request, &[])
        }

        /// With controls that were given before the start.
        fn after(bytes: &[u8], request: PlayRequest, before: &[Control]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a.flv"), bytes).unwrap();
            let video = Library::new(folder.path().to_owned()).open("a").unwrap();
            let (remote, controls) = control_channel();
            let tell = |control: &Control| remote.tell(*control, Duration::from_secs(20)).unwrap();
            let (before, meanwhile) = before.split_at(before.len().min(limits::VOD_CONTROLS));
            before.iter().for_each(tell);
            let (events, happened) = crossbeam_channel::unbounded();
            let thread = std::thread::spawn(move || {
                let mut viewer = Viewer { events, largest_batch: 0, expects_more: false };
                (play(video, request, controls, &mut viewer), viewer.largest_batch)
            });
            meanwhile.iter().for_each(tell);
            Self { folder, remote, events: happened, thread }
        }

        fn tell(&self, control: Control) {
            self.remote.tell(control, Duration::from_secs(20)).unwrap();
        }

        /// What happens up to a notice that counts.
        fn until(&self, wanted: impl Fn(&PlaybackEvent) -> bool) -> Vec<Event> {
            let mut events = Vec::new();
            loop {
                let event = self.events.recv_timeout(Duration::from_secs(10)).expect("the notice comes");
                let is_last = matches!(&event, Told(notice) if wanted(notice));
                events.push(event);
                if is_last {
                    return events;
                }
            }
        }

        fn until_end(&self) -> Vec<Event> {
            self.until(|notice| matches!(notice, PlaybackEvent::Ended { .. }))
        }

        /// What happens up to the audio of a time.
        fn until_time(&self, time_ms: u32) -> Vec<Event> {
            let mut events = Vec::new();
            loop {
                let event = self.events.recv_timeout(Duration::from_secs(10)).expect("the audio comes");
                let is_last = matches!(&event, Sent(packet)
                    if packet.kind == PacketKind::Audio && packet.timestamp.milliseconds() >= time_ms);
                events.push(event);
                if is_last {
                    return events;
                }
            }
        }

        /// What happens next, until nothing happened for a while.
        fn until_quiet(&self) -> Vec<Event> {
            let first = self.events.recv_timeout(Duration::from_secs(10)).expect("something happens");
            let then = std::iter::from_fn(|| self.events.recv_timeout(Duration::from_millis(150)).ok());
            std::iter::once(first).chain(then).collect()
        }

        fn is_quiet(&self, milliseconds: u64) -> bool {
            self.events.recv_timeout(Duration::from_millis(milliseconds)).is_err()
        }

        fn stop(self) -> PlaybackSummary {
            self.tell(Control::Stop);
            self.thread.join().unwrap().0.unwrap()
        }
    }

    fn request(start_ms: Option<u32>, duration_ms: Option<u32>, buffer_ms: u32) -> PlayRequest {
        PlayRequest { start_ms, duration_ms, buffer_ms }
    }

    fn sent(events: &[Event]) -> Vec<Packet> {
        let packets = events.iter().filter_map(|event| match event {
            Sent(packet) => Some(packet.clone()),
            Told(_) => None,
        });
        packets.collect()
    }

    fn times(events: &[Event]) -> Vec<u32> {
        sent(events).iter().map(|packet| packet.timestamp.milliseconds()).collect()
    }

    fn at(packet: Packet, time_ms: u32) -> Packet {
        Packet { timestamp: Timestamp::new(time_ms), ..packet }
    }

    /// What is sent for a place in the usual file: sequence headers and the frames from there on.
    fn usual_from(second: u32, seconds: u32) -> Vec<Packet> {
        let time_ms = second * 1000;
        let headers = vec![fixtures::video_header(time_ms, 1), fixtures::audio_header(time_ms)];
        [headers, fixtures::typical(seconds)[2 + second as usize * 10..].to_vec()].concat()
    }

    #[test]
    fn a_whole_file() {
        let metadata = fixtures::on_meta_data(Object::new().with("duration", 3.0));
        let cue_point = fixtures::packet(PacketKind::Data, 0, b"\x02\x00\x0aonCuePoint\x05");
        let empty = fixtures::packet(PacketKind::Video, 500, &[]);
        let mut packets = [vec![at(metadata.clone(), 77)], fixtures::typical(3)].concat();
        packets.insert(8, cue_point);
        packets.insert(9, empty);
        packets.insert(10, at(metadata.clone(), 500));
        let playing = Playing::of(&fixtures::file(&packets), request(None, None, AT_ONCE));
        let events = playing.until_end();
        let mut expected = [vec![metadata.clone()], fixtures::typical(3)].concat();
        expected.insert(8, metadata);
        assert_eq!(sent(&events), expected);
        let bytes = expected.iter().map(|packet| packet.payload.len() as u64).sum();
        assert_eq!(events.first(), Some(&Told(PlaybackEvent::Started)));
        assert_eq!(events.last(), Some(&Told(PlaybackEvent::Ended { duration_ms: 2800, bytes })));
        assert_eq!(playing.stop(), PlaybackSummary { packets: expected.len() as u64, bytes });
    }

    #[test]
    fn a_file_that_starts_late_is_sent_from_zero() {
        let headers = vec![fixtures::video_header(0, 1), fixtures::audio_header(0)];
        let late = [headers, fixtures::seconds(u32::MAX - 500, 3)].concat();
        let playing = Playing::of(&fixtures::file(&late), request(None, None, AT_ONCE));
        assert_eq!(sent(&playing.until_end()), usual_from(0, 3));
        playing.tell(Control::Seek { position_ms: 1999 });
        let events = playing.until_end();
        assert_eq!(events[0], Told(PlaybackEvent::Sought { position_ms: 1000 }));
        assert_eq!(sent(&events), usual_from(1, 3));
        playing.stop();
    }

    #[test]
    fn start_and_duration() {
        let file = fixtures::file(&fixtures::typical(5));
        let play = |start, duration| {
            let playing = Playing::of(&file, request(Some(start), duration, AT_ONCE));
            let events = playing.until_end();
            playing.stop();
            events
        };
        assert_eq!(sent(&play(2700, None)), usual_from(2, 5));
        assert_eq!(sent(&play(90_000, None)), usual_from(4, 5), "behind the end");
        let events = play(2700, Some(1300));
        assert_eq!(sent(&events), usual_from(2, 4), "up to 4000");
        assert!(matches!(events.last(), Some(Told(PlaybackEvent::Ended { duration_ms: 1300, .. }))));
        assert_eq!(sent(&play(2700, Some(u32::MAX))), usual_from(2, 5));
    }

    #[test]
    fn duration_zero_is_one_frame() {
        let mut packets = fixtures::typical(3);
        packets.insert(2, fixtures::audio_frame(0));
        let playing = Playing::of(&fixtures::file(&packets), request(Some(0), Some(0), 1000));
        let expected = [fixtures::video_header(0, 1), fixtures::audio_header(0), fixtures::key_frame(0)];
        assert_eq!(sent(&playing.until_end()), expected);
        let sounds: Vec<Packet> = (0..500).map(|number| fixtures::audio_frame(number * 20)).collect();
        let playing = Playing::of(&fixtures::file(&sounds), request(Some(0), Some(0), 1000));
        assert_eq!(sent(&playing.until_end()), [fixtures::audio_frame(0)], "or one audio");
    }

    #[test]
    fn paced_after_the_first_fill() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        let begun = Instant::now();
        playing.until_time(2000);
        assert!(begun.elapsed() < Duration::from_millis(700), "the buffer and a second come at once");
        playing.until_time(2800);
        let elapsed = begun.elapsed();
        assert!(elapsed > Duration::from_millis(750), "{elapsed:?}");
        playing.tell(Control::BufferLength { ms: 36_000_000 });
        assert_eq!(times(&playing.until_end()).last(), Some(&19_800), "and all at once on request");
        playing.stop();
    }

    #[test]
    fn pause_stops_and_resume_goes_on_where_it_stopped() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        let before = playing.until_time(2000);
        playing.tell(Control::Pause { position_ms: 300 });
        playing.tell(Control::Pause { position_ms: 300 });
        let paused = [(); 2].map(|()| playing.until(|notice| *notice == PlaybackEvent::Paused)).concat();
        assert!(playing.is_quiet(600));
        playing.tell(Control::Resume { position_ms: 300 });
        playing.tell(Control::BufferLength { ms: AT_ONCE });
        let after = playing.until_end();
        assert_eq!(after[0], Told(PlaybackEvent::Resumed));
        assert_eq!(sent(&[before, paused, after].concat()), usual_from(0, 20), "nothing lost, nothing twice");
        playing.stop();
    }

    #[test]
    fn resuming_elsewhere_is_a_seek() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        playing.until_time(2000);
        playing.tell(Control::Pause { position_ms: 300 });
        playing.tell(Control::Resume { position_ms: 10_500 });
        let events = playing.until(|notice| matches!(notice, PlaybackEvent::Sought { .. }));
        assert_eq!(
            events[events.len() - 2..],
            [Told(PlaybackEvent::Resumed), Told(PlaybackEvent::Sought { position_ms: 10_000 })]
        );
        assert_eq!(sent(&playing.until_time(12_000))[..4], usual_from(10, 20)[..4]);
        playing.stop();
    }

    #[test]
    fn a_seek_sends_sequence_headers_and_the_key_frame_before() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        playing.until_time(2000);
        for (target, second) in [(15_900, 15), (3_000, 3), (90_000, 19), (999, 0), (0, 0)] {
            playing.tell(Control::Seek { position_ms: target });
            let events = playing.until(|notice| matches!(notice, PlaybackEvent::Sought { .. }));
            assert_eq!(events.last(), Some(&Told(PlaybackEvent::Sought { position_ms: second * 1000 })), "{target}");
            let filled = playing.until_time(19_800.min(second * 1000 + 2000));
            assert_eq!(sent(&filled)[..4], usual_from(second, 20)[..4], "{target}");
        }
        playing.stop();
    }

    #[test]
    fn of_several_seeks_the_last_counts() {
        let seeks = [3000, 9000, 6000].map(|position_ms| Control::Seek { position_ms });
        let playing = Playing::after(&fixtures::file(&fixtures::typical(20)), request(Some(1000), None, 1000), &seeks);
        let events = playing.until_time(8000);
        let told: Vec<&Event> = events.iter().filter(|event| matches!(event, Told(_))).collect();
        assert_eq!(told, [&Told(PlaybackEvent::Started), &Told(PlaybackEvent::Sought { position_ms: 6000 })]);
        playing.stop();
    }

    #[test]
    fn a_seek_while_paused_shows_the_frame_there() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        playing.until_time(2000);
        playing.tell(Control::Pause { position_ms: 300 });
        playing.tell(Control::Seek { position_ms: 12_345 });
        playing.until(|notice| *notice == PlaybackEvent::Paused);
        let shown = playing.until_quiet();
        assert_eq!(shown[0], Told(PlaybackEvent::Sought { position_ms: 12_000 }));
        assert_eq!(sent(&shown), usual_from(12, 20)[..3]);
        playing.tell(Control::Resume { position_ms: 12_345 });
        let after = playing.until_time(14_000);
        assert_eq!(after[0], Told(PlaybackEvent::Resumed));
        assert_eq!(sent(&after)[0], fixtures::audio_frame(12_000));
        playing.stop();
    }

    #[test]
    fn a_seek_after_the_end_plays_again() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(3)), request(None, None, AT_ONCE));
        playing.until_end();
        playing.tell(Control::Pause { position_ms: 2800 });
        playing.tell(Control::Resume { position_ms: 2800 });
        let events = playing.until_end();
        assert_eq!(events[..2], [Told(PlaybackEvent::Paused), Told(PlaybackEvent::Resumed)], "and the end again");
        playing.tell(Control::Seek { position_ms: 1000 });
        let events = playing.until_end();
        assert_eq!(events[0], Told(PlaybackEvent::Sought { position_ms: 1000 }));
        assert_eq!(sent(&events), usual_from(1, 3));
        playing.stop();
    }

    #[test]
    fn audio_and_frames_can_be_switched_off() {
        let playing = Playing::after(
            &fixtures::file(&fixtures::typical(3)),
            request(Some(0), None, AT_ONCE),
            &[Control::Seek { position_ms: 1000 }, Control::ReceiveAudio(false)],
        );
        let events = playing.until_end();
        assert!(!sent(&events).contains(&fixtures::audio_frame(1200)));
        playing.tell(Control::ReceiveAudio(true));
        playing.tell(Control::ReceiveVideo(false));
        playing.tell(Control::Seek { position_ms: 1000 });
        let events = playing.until_end();
        let without_video: Vec<Packet> = usual_from(1, 3)
            .into_iter()
            .filter(|packet| packet.kind == PacketKind::Audio || packet.is_sequence_header())
            .collect();
        assert_eq!(sent(&events), without_video);
        playing.stop();
    }

    #[test]
    fn frames_come_back_with_a_key_frame() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        playing.until_time(2000);
        playing.tell(Control::ReceiveVideo(false));
        playing.tell(Control::ReceiveVideo(true));
        playing.tell(Control::BufferLength { ms: AT_ONCE });
        let packets = sent(&playing.until_end());
        assert_eq!(packets.iter().find(|packet| packet.kind == PacketKind::Video), Some(&fixtures::key_frame(3000)));
        playing.stop();
    }

    #[test]
    fn the_sequence_headers_of_the_place_are_sent() {
        let mut packets = fixtures::typical(3);
        packets.push(fixtures::video_header(0, 2));
        packets.extend(fixtures::seconds(100_000, 3));
        let playing = Playing::of(&fixtures::file(&packets), request(Some(101_500), None, AT_ONCE));
        let expected =
            [fixtures::video_header(101_000, 2), fixtures::audio_header(101_000), fixtures::key_frame(101_000)];
        assert_eq!(sent(&playing.until_end())[..3], expected);
        playing.tell(Control::Seek { position_ms: 2000 });
        let again = sent(&playing.until_end());
        assert_eq!(again[..3], usual_from(2, 3)[..3]);
        assert_eq!(again[12], fixtures::video_header(2800, 2), "one with time 0 gets the time of its place");
        playing.stop();
    }

    #[test]
    fn damage_is_the_end_and_a_seek_back_works() {
        let whole = fixtures::file(&fixtures::typical(3));
        let third_second = fixtures::offsets(&fixtures::typical(3))[22] as usize;
        for tail in [&[0; 100][..], &whole[third_second..third_second + 1000]] {
            let damaged = [&whole[..third_second], tail].concat();
            let playing = Playing::of(&damaged, request(None, None, AT_ONCE));
            assert_eq!(sent(&playing.until_end()), usual_from(0, 2));
            playing.tell(Control::Seek { position_ms: 60_000 });
            assert_eq!(sent(&playing.until_end()), usual_from(1, 2));
            playing.stop();
        }
    }

    #[test]
    fn a_file_that_shrinks_grows_or_is_replaced_while_played() {
        let whole = fixtures::file(&fixtures::typical(500));
        let play = || {
            let playing = Playing::of(&whole, request(None, None, 1000));
            playing.until_time(2000);
            let path = playing.folder.path().join("a.flv");
            (playing, path)
        };
        let go_on = |playing: Playing| {
            playing.tell(Control::BufferLength { ms: AT_ONCE });
            let last = times(&playing.until_end()).last().copied();
            playing.tell(Control::Seek { position_ms: 5000 });
            playing.until(|notice| matches!(notice, PlaybackEvent::Ended { .. } | PlaybackEvent::SeekFailed { .. }));
            playing.stop();
            last
        };
        let (playing, path) = play();
        std::fs::File::options().write(true).open(path).unwrap().set_len(200_000).unwrap();
        assert!(go_on(playing).unwrap() < 70_000);
        let (playing, path) = play();
        std::fs::write(path, vec![0xff; 100_000]).unwrap();
        assert!(go_on(playing).unwrap_or(0) < 70_000);
        let (playing, path) = play();
        std::fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
        assert!(go_on(playing).unwrap_or(0) < 70_000);
        let (playing, path) = play();
        std::fs::write(path, fixtures::file(&fixtures::typical(600))).unwrap();
        assert_eq!(go_on(playing), Some(599_800));
        let (playing, path) = play();
        std::fs::remove_file(path).unwrap();
        assert_eq!(go_on(playing), Some(499_800));
    }

    #[test]
    fn a_jump_in_the_files_time_is_not_waited_for() {
        let mut packets = fixtures::seconds(0, 1);
        packets.extend(fixtures::seconds(1_000_000_000, 1));
        packets.extend(fixtures::seconds(1000, 1));
        let playing = Playing::of(&fixtures::file(&packets), request(None, None, 1000));
        assert_eq!(sent(&playing.until_end()).len(), 30);
        playing.stop();
    }

    fn large_frames(count: u32, bytes: usize) -> Vec<u8> {
        let frame = |number| Packet { payload: vec![0x17; bytes].into(), ..fixtures::key_frame(number) };
        fixtures::file(&(0..count).map(frame).collect::<Vec<_>>())
    }

    #[test]
    fn limit_of_a_batch() {
        for (bytes, most) in [(limits::VOD_BATCH_BYTES / 8, 7), (3 * limits::VOD_BATCH_BYTES, 1)] {
            let playing = Playing::of(&large_frames(20, bytes), request(None, None, AT_ONCE));
            assert_eq!(sent(&playing.until_end()).len(), 20);
            playing.tell(Control::Stop);
            assert_eq!(playing.thread.join().unwrap().1, most * bytes, "no more than fits, and large ones alone");
        }
    }

    /// Wants no more as soon as something comes.
    struct Content(ControlSender);

    impl Output for Content {
        fn send(&mut self, _: &[Packet], _: bool) -> Result<()> {
            let _ = self.0.tell(Control::Stop, Duration::ZERO);
            Ok(())
        }

        fn notify(&mut self, _: PlaybackEvent) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn limit_of_the_bytes_before_a_viewer_is_listened_to() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = limits::VOD_BATCH_BYTES / 8;
        std::fs::write(folder.path().join("a.flv"), large_frames(1000, bytes)).unwrap();
        let video = Library::new(folder.path().to_owned()).open("a").unwrap();
        let (remote, controls) = control_channel();
        let done = play(video, request(None, None, AT_ONCE), controls, &mut Content(remote)).unwrap();
        let over = done.bytes as usize - limits::VOD_BYTES_AT_ONCE;
        assert!(over < bytes, "no more than one frame over it: {over}");
    }

    #[test]
    fn limit_of_the_controls_taken_at_once() {
        let mut before = vec![Control::ReceiveAudio(true); limits::VOD_CONTROLS - 1];
        before.splice(0..0, [Control::Seek { position_ms: 3000 }]);
        let told_with = |before: &[Control]| {
            let file = fixtures::file(&fixtures::typical(20));
            let playing = Playing::after(&file, request(None, None, 1000), before);
            let events = playing.until_time(8000);
            playing.stop();
            events.iter().filter(|event| matches!(event, Told(PlaybackEvent::Sought { .. }))).count()
        };
        before[limits::VOD_CONTROLS - 1] = Control::Seek { position_ms: 6000 };
        assert_eq!(told_with(&before), 1, "the last of them still counts for the first");
        before.insert(1, Control::ReceiveAudio(true));
        assert_eq!(told_with(&before), 2);
    }

    #[test]
    fn a_viewer_that_left_ends_it() {
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        drop(playing.remote);
        assert!(playing.thread.join().unwrap().0.is_ok(), "its controls are gone");
        let playing = Playing::of(&fixtures::file(&fixtures::typical(20)), request(None, None, 1000));
        drop(playing.events);
        assert!(playing.thread.join().unwrap().0.unwrap_err().is_disconnect(), "its connection is gone");
    }

    #[test]
    fn stopping_does_not_wait_for_the_next_frame() {
        let packets = [fixtures::key_frame(0), fixtures::key_frame(50_000)];
        let playing = Playing::of(&fixtures::file(&packets), request(None, None, 1000));
        playing.until_quiet();
        let begun = Instant::now();
        playing.stop();
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
