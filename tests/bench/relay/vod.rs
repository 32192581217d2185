//! Files to play, and how fast a seek in a long one is.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{Duration, Instant};

use gortmp::amf::Value;
use gortmp::flv::Writer;
use gortmp::media::PacketKind;
use gortmp::{Client, ClientEvent};

use super::content::{Sequence, Shape, sequence_headers};
use super::target::{Server, Target};

/// Writes a file without an index that plays for so many seconds.
pub fn write_file(path: &Path, shape: Shape, seconds: u64) {
    let file = BufWriter::new(File::create(path).expect("a file of ours"));
    let mut writer = Writer::new(file, true, true).expect("room on the disk");
    sequence_headers().iter().for_each(|header| writer.write_packet(header).expect("room on the disk"));
    let mut sequence = Sequence::default();
    while sequence.peek(shape).2 < seconds * 1_000_000_000 {
        let (kind, number, _) = sequence.next(shape);
        writer.write_packet(&shape.packet(kind, number, 0, 0)).expect("room on the disk");
    }
}

/// Milliseconds from asking for a seek to the first video frame behind it: of the first seek, and of each later one.
pub fn seek_times(name: &str, length_ms: u32, videos: &Path) -> (f64, Vec<f64>) {
    let server = Server::start(&Target::Gortmp(Vec::new()), videos);
    let mut client = Client::connect(&format!("rtmp://{}/gortmp", server.address)).expect("a connection");
    client.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket option");
    client.play(name, Some(0)).expect("the file plays");
    let mut seek = |position_ms: u32| {
        let started = Instant::now();
        client.send_command("seek", Value::Null, vec![f64::from(position_ms).into()]).expect("a connection");
        let mut is_sought = false;
        loop {
            match client.next_event().expect("the server answers") {
                ClientEvent::Status { code, .. } if code == "NetStream.Seek.Notify" => is_sought = true,
                ClientEvent::Media(packet) if is_sought && packet.kind == PacketKind::Video => {
                    if packet.is_sequence_header() {
                        continue;
                    }
                    let time = packet.timestamp.milliseconds();
                    assert!(packet.is_key_frame() && time <= position_ms && time + 2000 >= position_ms, "{time}");
                    return started.elapsed().as_secs_f64() * 1000.0;
                }
                _ => {}
            }
        }
    };
    let first = seek(length_ms / 100 * 95);
    let later = [90, 50, 10, 70, 30, 93, 2, 60].map(|percent| seek(length_ms / 100 * percent));
    (first, later.to_vec())
}
