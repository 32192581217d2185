//! Publishers: any number of streams, paced by one thread.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use gortmp::Client;
use gortmp::media::Packet;
use gortmp::rtmp::chunk::{ChunkSize, ChunkWriter, RawMessage};
use gortmp::rtmp::message::{Message, media_message};

use super::content::{Kind, Sequence, Shape, nanoseconds, sequence_headers};

/// When a message was sent, and what it was.
pub type Sent = (u64, Kind);

/// A thread that publishes until it is told to stop.
pub struct Publishing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sent>>,
}

/// The streams' names.
pub fn stream_name(stream: usize) -> String {
    format!("bench{stream}")
}

/// One stream on its way to a server.
pub enum Line {
    Rtmp(Box<Client>),
    /// The bare loop: chunks without a protocol around them, audio kept back for the next video frame as the
    /// servers do that send most economically.
    Bare(TcpStream, ChunkWriter, Vec<u8>),
}

impl Line {
    pub fn rtmp(server: SocketAddr, name: &str) -> Self {
        let mut client = Client::connect(&format!("rtmp://{server}/live")).expect("the server takes publishers");
        client.publish(name).expect("the server lets publish");
        Self::Rtmp(Box::new(client))
    }

    pub fn bare(server: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(server).expect("the bare loop takes connections");
        socket.set_nodelay(true).expect("a socket option");
        socket.write_all(b"P").expect("the bare loop reads");
        let mut writer = ChunkWriter::new();
        let size = Message::SetChunkSize(ChunkSize::LARGE).encode(0).expect("a message");
        writer.write(&size, &mut Vec::new());
        Self::Bare(socket, writer, Vec::new())
    }

    /// Sends a message.
    pub fn send(&mut self, packet: Packet, kind: Kind) {
        match self {
            Self::Rtmp(client) => client.send(packet).expect("the server reads"),
            Self::Bare(socket, writer, held) => {
                let raw: RawMessage = media_message(packet, 1);
                writer.write(&raw, held);
                if kind == Kind::Video {
                    socket.write_all(held).expect("the bare loop reads");
                    held.clear();
                }
            }
        }
    }
}

impl Line {
    /// Sends what was kept back.
    fn finish(&mut self) {
        if let Self::Bare(socket, _, held) = self {
            socket.write_all(held).expect("the bare loop reads");
        }
    }
}

impl Publishing {
    /// Publishes on each line at the pace of its content, all lines out of step.
    pub fn start(mut lines: Vec<Line>, shape: Shape) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        for line in &mut lines {
            if let Line::Rtmp(_) = line {
                sequence_headers().into_iter().for_each(|header| line.send(header, Kind::Audio));
            }
        }
        let thread = std::thread::spawn(move || {
            let start = nanoseconds();
            let mut sequences = vec![Sequence::default(); lines.len()];
            let mut sent = Vec::new();
            // Streams begin spread over 200 ms.
            let offset = |index: usize| index as u64 * 7_919_000 % 200_000_000;
            while !stopping.load(Ordering::Relaxed) {
                let due_of = |(index, sequence): (usize, &Sequence)| (sequence.peek(shape).2 + offset(index), index);
                let Some((due, index)) = sequences.iter().enumerate().map(due_of).min() else { break };
                let wait = (start + due).saturating_sub(nanoseconds());
                if wait > 0 {
                    std::thread::sleep(Duration::from_nanos(wait));
                }
                let (kind, number, _) = sequences[index].next(shape);
                let now = nanoseconds();
                lines[index].send(shape.packet(kind, number, index as u32, now), kind);
                sent.push((now, kind));
            }
            lines.iter_mut().for_each(Line::finish);
            sent
        });
        Self { stop, thread }
    }

    /// Stops, and says what was sent when.
    pub fn stop(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the publisher did its work")
    }
}
