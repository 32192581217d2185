//! Requests over HTTP, against a whole server in this process.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gortmp::config::HttpConfig;
use gortmp::media::{Packet, PacketKind, Timestamp};
use gortmp::{Client, Config, Server};

/// A thread of the server has panicked.
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// What a client says on one connection, and all that it is answered.
pub fn http(input: &[u8]) {
    let mut socket = TcpStream::connect(server()).expect("a connection");
    // A fuzzer uses up all ports if each stays taken for a minute.
    rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).expect("an option");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut reading = socket.try_clone().expect("the same socket");
    let reader = std::thread::spawn(move || {
        let mut answer = vec![0; 4096];
        // Live streams go on, and playlists wait: what comes of them does not matter here.
        let until = Instant::now() + Duration::from_millis(500);
        while Instant::now() < until && reading.read(&mut answer).is_ok_and(|count| count > 0) {}
        let _ = reading.shutdown(Shutdown::Both);
    });
    // It may hang up before it has heard all.
    let _ = socket.write_all(input);
    let _ = socket.shutdown(Shutdown::Write);
    reader.join().expect("the answers are read");
    assert!(!HAS_PANICKED.load(Ordering::Relaxed), "the server panicked");
}

/// A server with a file and a live stream, for as long as the process lives.
fn server() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_of_server = |name: &str| name.starts_with("conn ") || name.starts_with("lane ");
            // Other unit tests of this process panic on purpose.
            let is_deliberate = info.payload_as_str() == Some("deliberate panic");
            if std::thread::current().name().is_some_and(is_of_server) && !is_deliberate {
                HAS_PANICKED.store(true, Ordering::Relaxed);
            }
            hook(info);
        }));
        let dir = std::env::temp_dir().join(format!("gortmp-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let packets = packets();
        let mut file = gortmp::flv::Writer::new(Vec::new(), true, true).expect("a header");
        packets.iter().for_each(|packet| file.write_packet(packet).expect("a tag"));
        std::fs::write(dir.join("film.flv"), file.into_inner()).expect("a file");
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let http = Some(HttpConfig { listen: vec![here], ..HttpConfig::default() });
        let config = Config { listen: vec![here], http, video_dir: dir, ..Config::default() };
        let server = Server::bind(config).expect("a server");
        let addresses: Vec<_> = server.local_addrs().collect();
        std::thread::spawn(|| server.run());
        let mut camera = Client::connect(&format!("rtmp://{}/live", addresses[0])).expect("a connection");
        camera.publish("cam").expect("a live stream");
        packets.into_iter().for_each(|packet| camera.send(packet).expect("it goes out"));
        std::thread::spawn(move || {
            for time in (80..).step_by(40) {
                let packet = packet(PacketKind::Video, time, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]);
                if camera.send(packet).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        addresses[1]
    })
}

fn packet(kind: PacketKind, time: u32, payload: &[u8]) -> Packet {
    Packet { kind, timestamp: Timestamp::new(time), payload: payload.to_vec().into() }
}

/// Two pictures and a sound, small and true.
fn packets() -> Vec<Packet> {
    let avc = b"\x17\0\0\0\0\x01\x42\xc0\x0a\xff\xe1\0\x08\x67\x42\xc0\x0a\xdd\xec\x04\x40\x01\0\x04\x68\xce\x0f\x2c";
    vec![
        packet(PacketKind::Video, 0, avc),
        packet(PacketKind::Audio, 0, &[0xaf, 0, 0x12, 0x10]),
        packet(PacketKind::Video, 0, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]),
        packet(PacketKind::Audio, 10, &[0xaf, 1, 0x21, 0x10]),
        packet(PacketKind::Video, 40, &[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41]),
    ]
}
