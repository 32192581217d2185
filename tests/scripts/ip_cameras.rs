//! Network cameras of every codec through the script that pushes them: what players get is what the cameras sent.

use gortmp::media::{Packet, PacketKind};
use tempfile::TempDir;

use crate::TURNS;
use crate::support::camera::{Camera, FRAME_MS, FRAME_RATE, Ffmpeg, Sent, decode, frame_numbers, push_camera};
use crate::support::turns::Turn;
use crate::support::{Running, Server, next_media, player};

/// How much of a camera a player watches, in milliseconds.
const WATCHED_MS: i32 = 3_300;

/// By so much a camera's AAC is late: its encoder begins with a frame that is no audio, and times don't tell.
const CAMERA_AAC_DELAY_MS: f64 = 1024.0 / 16.0;

/// Audio as it is decoded here.
const SAMPLE_RATE: usize = 44_100;

/// What a player got that had been waiting for a camera, and what the camera sent meanwhile.
struct Watched {
    got: Vec<Packet>,
    sent: Vec<Sent>,
    pusher: Running,
    dir: TempDir,
    _turn: Turn,
}

fn watch(ffmpeg: Ffmpeg, camera: &[&str], options: &[&str]) -> Watched {
    let turn = TURNS.take();
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let camera = Camera::start(&dir, camera);
    let mut player = player(&server, "live", "cam");
    let pusher = push_camera(ffmpeg, &camera.url, &server, &dir, options);
    let mut got = vec![next_media(&mut player)];
    while got.last().unwrap().timestamp.since(got[0].timestamp) < WATCHED_MS {
        got.push(next_media(&mut player));
    }
    let log = pusher.text();
    for warning in ["Timestamps are unset", "Non-monoton", "Invalid DTS", "exited with status"] {
        assert!(!log.contains(warning), "{log}");
    }
    Watched { got, sent: camera.sent(), pusher, dir, _turn: turn }
}

impl Watched {
    fn got(&self, kind: PacketKind) -> impl Iterator<Item = &Packet> {
        self.got.iter().filter(move |packet| packet.kind == kind && !packet.is_sequence_header())
    }

    fn sent(&self, kind: PacketKind) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.kind == kind)
    }

    /// Video byte for byte, from the first frame on; returns by how much the time of each differs from the camera's.
    fn copied_video(&self) -> Vec<f64> {
        let compare = |(index, (got, sent)): (usize, (&Packet, &Sent))| {
            let header = got.video_header().unwrap();
            let (offset, coded) = header.coded(&got.payload).expect("a coded frame");
            assert!(nal_units(coded) == annex_b(&sent.bytes), "video frame {index} has other bytes");
            f64::from(got.timestamp.milliseconds()) + f64::from(offset) - sent.time
        };
        let video = self.got(PacketKind::Video).zip(self.sent(PacketKind::Video));
        let offsets: Vec<f64> = video.enumerate().map(compare).collect();
        assert!(offsets.len() > 70, "{} video frames came", offsets.len());
        offsets
    }

    /// The same of AAC.
    fn copied_audio(&self) -> Vec<f64> {
        let mut sent = self.sent(PacketKind::Audio).peekable();
        let mut offsets = Vec::new();
        for (index, got) in self.got(PacketKind::Audio).enumerate() {
            let coded = got.audio_header().unwrap().coded(&got.payload).expect("a coded frame");
            // What the camera sent before the first video frame may be left out.
            while index == 0 && sent.next_if(|sent| sent.bytes != coded).is_some() {}
            let sent = sent.next().expect("no more than was sent");
            assert!(sent.bytes == coded, "audio frame {index} has other bytes");
            offsets.push(f64::from(got.timestamp.milliseconds()) - sent.time);
        }
        assert!(offsets.len() > 40, "{} audio frames came", offsets.len());
        offsets
    }

    /// The same as [`copied_video`](Self::copied_video) of video that was transcoded: by the numbers in the frames.
    fn transcoded_video(&self) -> Vec<f64> {
        let numbers = frame_numbers(&self.got, &self.dir);
        let first = numbers[0];
        assert!(first <= 1, "{first} frames are missing at the start");
        assert_eq!(numbers, (first..first + numbers.len()).collect::<Vec<_>>());
        assert_eq!(numbers.len(), self.got(PacketKind::Video).count());
        assert!(numbers.len() > 70, "{} video frames came", numbers.len());
        let keys = self.got(PacketKind::Video).zip(&numbers).filter(|(got, _)| got.is_key_frame());
        assert_eq!(keys.map(|(_, number)| number - first).collect::<Vec<_>>(), [0, 2 * FRAME_RATE]);
        let sent: Vec<f64> = self.sent(PacketKind::Video).map(|sent| sent.time).collect();
        let times = self.got(PacketKind::Video).map(|got| f64::from(got.timestamp.milliseconds()));
        times.zip(numbers).map(|(time, number)| time - sent[number]).collect()
    }

    /// The same of audio that was transcoded: by the beeps, which begin with each frame that begins a second.
    fn transcoded_audio(&self) -> Vec<f64> {
        let audio: Vec<_> = self.got(PacketKind::Audio).map(|got| f64::from(got.timestamp.milliseconds())).collect();
        let frame_ms = 1024.0 * 1000.0 / SAMPLE_RATE as f64;
        for (index, time) in audio.iter().enumerate() {
            let even = audio[0] + index as f64 * frame_ms;
            assert!((time - even).abs() < frame_ms, "audio frame {index} at {time} ms, not {even}");
        }
        let bytes = decode(&self.got, &self.dir, &format!("-map 0:a -ac 1 -ar {SAMPLE_RATE} -f s16le"));
        let samples: Vec<i16> = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let mut beeps = Vec::new();
        let mut quiet = SAMPLE_RATE;
        for (index, sample) in samples.iter().enumerate() {
            let loud = sample.unsigned_abs() > 1_500;
            if loud && quiet > SAMPLE_RATE / 10 {
                beeps.push(audio[0] + index as f64 * 1000.0 / SAMPLE_RATE as f64);
            }
            quiet = if loud { 0 } else { quiet + 1 };
        }
        assert!(beeps.len() >= 3, "beeps at {beeps:?} ms");
        let seconds: Vec<f64> = self.sent(PacketKind::Video).step_by(FRAME_RATE).map(|sent| sent.time).collect();
        let offset = |beep: &f64| {
            let offsets = seconds.iter().map(|second| beep - second);
            offsets.min_by(|one, other| one.abs().total_cmp(&other.abs())).unwrap()
        };
        beeps.iter().map(offset).collect()
    }
}

/// All times are off by one and the same amount, to within a video frame and RTMP's milliseconds.
fn assert_in_time(offsets: &[f64]) {
    let (least, most) = offsets.iter().fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(*at), high.max(*at)));
    let at = offsets.iter().position(|offset| *offset == most);
    assert!(most - least <= FRAME_MS + 1.0, "times are off by {least} ms to {most} ms, the latter at {at:?}");
}

/// The NAL units of an access unit with lengths in front of them.
fn nal_units(mut coded: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let Some((length, rest)) = coded.split_first_chunk() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        units.push(unit);
        coded = rest;
    }
    units
}

/// The NAL units of an access unit with start codes between them.
fn annex_b(bytes: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..bytes.len() - 2).filter(|at| bytes[*at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &bytes[start + 3..end];
        &unit[..unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
    };
    starts.iter().zip(ends).map(unit).collect()
}

fn copies_video_and_audio(ffmpeg: Ffmpeg, video: &str, options: &[&str]) {
    let watched = watch(ffmpeg, &["--video", video, "--audio", "aac"], options);
    assert_in_time(&[watched.copied_video(), watched.copied_audio()].concat());
}

fn copies_video_alone(ffmpeg: Ffmpeg, video: &str, options: &[&str]) {
    let watched = watch(ffmpeg, &["--video", video, "--audio", "none"], options);
    assert_eq!(watched.got(PacketKind::Audio).count(), 0);
    assert_in_time(&watched.copied_video());
}

fn copies_video_and_transcodes(ffmpeg: Ffmpeg, audio: &str) {
    let watched = watch(ffmpeg, &["--audio", audio], &[]);
    assert_in_time(&[watched.copied_video(), watched.transcoded_audio()].concat());
}

fn transcodes_video_and_copies_audio(ffmpeg: Ffmpeg, video: &str) {
    let watched = watch(ffmpeg, &["--video", video, "--audio", "aac"], &[]);
    assert_in_time(&[watched.transcoded_video(), watched.copied_audio()].concat());
    let advice = watched.pusher.text().contains("--copy-hevc copies it");
    assert_eq!(advice, video == "hevc" && ffmpeg == Ffmpeg::Recent, "{}", watched.pusher.text());
}

fn transcodes_both_if_told(ffmpeg: Ffmpeg) {
    let watched = watch(ffmpeg, &["--audio", "aac"], &["--transcode"]);
    let audio = watched.transcoded_audio().into_iter().map(|offset| offset - CAMERA_AAC_DELAY_MS);
    assert_in_time(&watched.transcoded_video().into_iter().chain(audio).collect::<Vec<_>>());
}

/// For each kind of camera one test with each ffmpeg.
macro_rules! cameras {
    ($($name:ident: $test:ident($($argument:expr),*);)*) => {
        mod with_the_system_s_ffmpeg {
            use super::*;
            $(#[test] fn $name() { $test(Ffmpeg::System, $($argument),*); })*
        }

        mod with_a_recent_ffmpeg {
            use super::*;
            $(#[test] fn $name() { $test(Ffmpeg::Recent, $($argument),*); })*
        }
    };
}

cameras! {
    h264_and_aac: copies_video_and_audio("h264", &[]);
    h264_and_aac_over_udp: copies_video_and_audio("h264", &["--transport", "udp"]);
    h264_with_b_frames_and_aac: copies_video_and_audio("h264-b-frames", &[]);
    h264_alone: copies_video_alone("h264", &[]);
    h264_with_b_frames_alone: copies_video_alone("h264-b-frames", &[]);
    h264_whose_aac_is_left_out: leaves_audio_out();
    h264_and_g711_a_law: copies_video_and_transcodes("pcma");
    h264_and_g711_u_law: copies_video_and_transcodes("pcmu");
    h264_and_l16: copies_video_and_transcodes("l16");
    h264_and_opus: copies_video_and_transcodes("opus");
    hevc_and_aac: transcodes_video_and_copies_audio("hevc");
    mjpeg_and_aac: transcodes_video_and_copies_audio("mjpeg");
    h264_and_aac_that_browsers_can_t_play: transcodes_both_if_told();
}

fn leaves_audio_out(ffmpeg: Ffmpeg) {
    let watched = watch(ffmpeg, &["--audio", "aac"], &["--no-audio"]);
    assert_eq!(watched.got(PacketKind::Audio).count(), 0);
    assert_in_time(&watched.copied_video());
}

#[test]
fn a_recent_ffmpeg_copies_hevc_if_told() {
    copies_video_and_audio(Ffmpeg::Recent, "hevc", &["--copy-hevc"]);
}
