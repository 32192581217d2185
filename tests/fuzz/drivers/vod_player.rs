//! A file played to a viewer who wants all sorts of things.

use std::time::Duration;

use gortmp::Result;
use gortmp::limits;
use gortmp::media::{Packet, PacketKind};
use gortmp::vod::{Control, ControlSender, Library, Output, PlayRequest, PlaybackEvent, control_channel, play};

use super::flv_file;
use super::input::Input;

/// Controls behind their number, start and length, then a file, see [`flv_file`].
pub fn vod_player(input: &[u8]) {
    let mut input = Input::new(input);
    let controls = (0..input.u8() % 16).map(|_| control(&mut input)).collect();
    let milliseconds = |number: u8| (number < 128).then(|| u32::from(number) * 100);
    let (start_ms, duration_ms) = (milliseconds(input.u8()), milliseconds(input.u8()));
    // Whoever asks for so much gets it at once: nothing here waits for a clock.
    let request = PlayRequest { start_ms, duration_ms, buffer_ms: limits::VOD_UNPACED_MS };
    let bytes = flv_file::file(input.rest());
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(folder.path().join("a.flv"), &bytes).expect("a file can be written");
    let Ok(video) = Library::new(folder.path().to_owned()).open("a") else { return };
    assert!(video.duration().is_none_or(|seconds| seconds > 0.0));
    let (wishes, receiver) = control_channel();
    let mut viewer = Viewer { controls, wishes, bytes: 0, packets: 0, rounds: 0, began: false };
    let finished = play(video, request, receiver, &mut viewer).expect("the viewer takes everything");
    assert_eq!((finished.packets, finished.bytes), (viewer.packets, viewer.bytes));
    // A file is sent once from the start, and once more for each wish.
    assert!(viewer.bytes <= 2 * (viewer.rounds + 1) * bytes.len() as u64 + (64 << 10) * (viewer.rounds + 1));
}

fn control(input: &mut Input<'_>) -> Control {
    let (what, position) = (input.u8(), input.u8());
    let position_ms = if position == 255 { input.u32() } else { u32::from(position) * 100 };
    match what % 8 {
        0 | 1 => Control::Seek { position_ms },
        2 => Control::Pause { position_ms },
        3 => Control::Resume { position_ms },
        4 => Control::ReceiveAudio(position & 1 == 0),
        5 => Control::ReceiveVideo(position & 1 == 0),
        6 => Control::BufferLength { ms: limits::VOD_UNPACED_MS + position_ms / 2 },
        _ => Control::Stop,
    }
}

/// Wants the next thing each time that it hears something, and leaves when it wants no more.
struct Viewer {
    controls: std::collections::VecDeque<Control>,
    wishes: ControlSender,
    bytes: u64,
    packets: u64,
    rounds: u64,
    began: bool,
}

impl Viewer {
    /// Something that the player answers comes last, or it would wait for ever.
    fn wish(&mut self) {
        loop {
            let control = self.controls.pop_front().unwrap_or(Control::Stop);
            self.rounds += 1;
            self.wishes.send(control, Duration::ZERO).expect("there are 15 of them at most");
            if !matches!(control, Control::ReceiveAudio(_) | Control::ReceiveVideo(_) | Control::BufferLength { .. }) {
                break;
            }
        }
    }
}

impl Output for Viewer {
    fn send(&mut self, batch: &[Packet], more: bool) -> Result<()> {
        assert!(self.began && !(batch.is_empty() && more));
        self.packets += batch.len() as u64;
        for packet in batch {
            self.bytes += packet.payload.len() as u64;
            assert!(packet.kind != PacketKind::Data || packet.timestamp.milliseconds() == 0);
        }
        self.wish();
        Ok(())
    }

    fn notify(&mut self, notice: PlaybackEvent) -> Result<()> {
        assert_eq!(notice != PlaybackEvent::Started, self.began, "{notice:?}");
        self.began = true;
        if notice != PlaybackEvent::Started {
            self.wish();
        }
        Ok(())
    }
}
