//! Good clients that play the sample file and hold each packet against it.

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use gortmp::flv::Reader;
use gortmp::media::{Packet, PacketKind};
use gortmp::rtmp::message::Message;
use gortmp::rtmp::user_control::UserControl;
use gortmp::{Client, ClientEvent, Result};

use super::Stage;
use super::tally::Group;

/// A buffer that makes the server send a file as fast as it is read, in milliseconds.
const AT_ONCE_MS: u32 = 36_000_000;

/// A viewer's buffer, in milliseconds.
const BUFFER_MS: u32 = 3000;

/// The audio and video of a file, as they are expected from the server.
pub fn expected(path: &Path) -> Vec<Packet> {
    let file = std::fs::File::open(path).expect("the sample is there");
    let mut reader = Reader::new(BufReader::new(file)).expect("the sample is an FLV file");
    let packets = std::iter::from_fn(|| reader.next_packet().expect("the sample is whole"));
    packets.filter(|packet| packet.kind != PacketKind::Data).collect()
}

/// Plays the file again and again, at once or in real time.
pub fn watch(group: &Group, server: SocketAddr, file: &[Packet], at_once: bool, stage: &Stage) {
    while stage.others_go_on() {
        group.clients.fetch_add(1, Relaxed);
        if let Err(error) = play(group, server, file, at_once, stage) {
            group.problem(&error.to_string());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn play(group: &Group, server: SocketAddr, file: &[Packet], at_once: bool, stage: &Stage) -> Result<()> {
    let mut client = Client::connect(&format!("rtmp://{server}/gortmp"))?;
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    let buffer_ms = if at_once { AT_ONCE_MS } else { BUFFER_MS };
    client.send_message(0, &Message::UserControl(UserControl::SetBufferLength { stream_id: 1, buffer_ms }))?;
    client.play("sample", Some(0))?;
    let mut wanted = file.iter();
    while stage.others_go_on() {
        match client.next_event()? {
            ClientEvent::Media(packet) if packet.kind == PacketKind::Data => {}
            ClientEvent::Media(packet) => {
                if wanted.next() != Some(&packet) {
                    let (kind, time) = (packet.kind, packet.timestamp);
                    group.problem(&format!("{kind:?} at {time} is not the file's"));
                    return Ok(());
                }
                group.checked.fetch_add(1, Relaxed);
            }
            ClientEvent::Status { code, .. } if code == "NetStream.Play.Stop" => {
                if wanted.len() > 0 {
                    group.problem(&format!("{} packets at the end did not come", wanted.len()));
                }
                return Ok(());
            }
            _ => {}
        }
    }
    Ok(())
}
