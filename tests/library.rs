//! The server inside another program.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gortmp::media::{Packet, PacketKind, Timestamp};
use gortmp::{
    AccessRequest, Client, ClientEvent, Config, Denied, Error, Handle, HttpConfig, Operation, Secret, Server,
};
use support::http::Http;
use support::{KEY, settle, video};

/// Settings for a server on ports of its own.
fn settings(videos: &Path) -> Config {
    let mut http = HttpConfig::default();
    http.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let mut config = Config::default();
    config.listen = http.listen.clone();
    config.http = Some(http);
    config.video_dir = videos.to_owned();
    config
}

/// It runs until it is dropped.
struct Running {
    rtmp: SocketAddr,
    http: SocketAddr,
    handle: Handle,
    thread: Option<std::thread::JoinHandle<gortmp::Result<()>>>,
}

impl Running {
    fn start(config: Config) -> Self {
        let server = Server::bind(config).unwrap();
        let addresses: Vec<_> = server.local_addrs().collect();
        let handle = server.handle();
        let thread = Some(std::thread::spawn(move || server.run()));
        Self { rtmp: addresses[0], http: addresses[1], handle, thread }
    }

    fn url(&self, path: &str) -> String {
        format!("rtmp://{}/{path}", self.rtmp)
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut http = Http::at(self.http);
        http.request("GET", path, "Connection: close\r\n");
        let answer = http.answer();
        (answer.status, answer.text())
    }

    fn head(&self, path: &str) -> u16 {
        let mut http = Http::at(self.http);
        http.request("HEAD", path, "Connection: close\r\n");
        http.head().status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// A file to play.
fn film(path: &Path) {
    let mut file = gortmp::flv::Writer::new(Vec::new(), false, true).unwrap();
    file.write_packet(&video(0, KEY)).unwrap();
    std::fs::write(path, file.into_inner()).unwrap();
}

#[test]
fn a_program_decides_who_may_over_rtmp_and_http() {
    let videos = tempfile::tempdir().unwrap();
    film(&videos.path().join("open.flv"));
    film(&videos.path().join("hidden.flv"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let asking = asked.clone();
    let mut config = settings(videos.path());
    config.access.set_policy(move |request: &AccessRequest<'_>| {
        let AccessRequest { operation, app, name, ip, is_http, is_tls, .. } = *request;
        asking.lock().unwrap().push((operation, format!("{app}/{name}"), is_http));
        assert!(ip.is_loopback() && !is_tls && request.user.is_none());
        match operation {
            Operation::Publish if request.query_value("token").as_deref() != Some("a b") => {
                Err(Denied::new("the token is wrong"))
            }
            Operation::Play if name.starts_with("hidden") => Err(Denied::new("this is not for you")),
            _ => Ok(()),
        }
    });
    let server = Running::start(config);

    let mut cameras = Vec::new();
    for name in ["hidden", "cam"] {
        cameras.push(Client::publisher(&server.url(&format!("live/{name}.flv?token=a%20b"))).unwrap());
    }
    cameras.iter_mut().for_each(|camera| {
        camera.send(video(0, KEY)).unwrap();
        settle(camera);
    });
    let refused = |result: gortmp::Result<Client>| match result {
        Err(Error::Refused { code, description }) => format!("{code}: {description}"),
        other => panic!("{other:?}"),
    };
    let wrong = refused(Client::publisher(&server.url("live/other?token=x")));
    assert_eq!(wrong, "NetStream.Publish.Denied: the token is wrong");
    Client::player(&server.url("live/cam")).unwrap();
    Client::player(&server.url("gortmp/open")).unwrap();
    for hidden in ["live/hidden", "gortmp/hidden"] {
        let refusal = refused(Client::player(&server.url(hidden)));
        assert_eq!(refusal, "NetStream.Play.Failed: this is not for you", "{hidden}");
        for form in [".flv", ".mp4", "/index.m3u8"] {
            let (status, text) = server.get(&format!("/{hidden}{form}"));
            assert!(status == 403 && text.contains("this is not for you"), "{hidden}{form}: {status} {text}");
        }
    }
    for open in ["/live/cam.flv", "/gortmp/open.flv", "/"] {
        assert_eq!(server.head(open), 200, "{open}");
    }
    let (status, streams) = server.get("/api/v1/streams");
    assert!(status == 200 && streams.contains("live/cam") && !streams.contains("live/hidden"), "{streams}");
    let (status, videos) = server.get("/api/v1/videos");
    assert!(status == 200 && videos.contains("open") && !videos.contains("hidden"), "{videos}");

    let asked = asked.lock().unwrap();
    for (operation, name, is_http) in [
        (Operation::Publish, "live/cam", false),
        (Operation::Play, "live/cam", false),
        (Operation::Play, "live/cam", true),
        (Operation::Play, "gortmp/hidden", true),
    ] {
        assert!(asked.contains(&(operation, name.to_owned(), is_http)), "{operation:?} {name}: {asked:?}");
    }
}

#[test]
fn a_policy_is_asked_behind_the_keys_and_told_whose_they_are() {
    let videos = tempfile::tempdir().unwrap();
    let mut config = settings(videos.path());
    config.access.publish.key = Some(Secret::new("s3cret"));
    config.access.ask_password = true;
    config.access.set_policy(|request: &AccessRequest<'_>| match request.user {
        Some("eve") => Ok(()),
        Some(user) => Err(Denied::new(format!("{user} may not"))),
        None => panic!("the key comes first"),
    });
    let server = Running::start(config);
    let publish = |login: &str| Client::publisher(&format!("rtmp://{login}{}/live/cam", server.rtmp));
    publish("eve:s3cret@").unwrap();
    assert!(
        matches!(publish("adam:s3cret@"), Err(Error::Refused { description, .. }) if description == "adam may not")
    );
    for nobody in ["", "eve:guess@"] {
        assert!(
            matches!(publish(nobody), Err(Error::Refused { code, .. }) if code == "NetConnection.Connect.Rejected")
        );
    }
}

#[test]
fn a_program_sees_what_goes_through_its_server() {
    let videos = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.video_dir = videos.path().to_owned();
    config.lanes = Some(1);
    config.http = None;
    let server = Server::bind(config).unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let running = std::thread::spawn(move || server.run());

    let mut camera = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    camera.publish("cam").unwrap();
    let mut player = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    player.play("cam", None).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while handle.streams().first().is_none_or(|stream| stream.players == 0) {
        assert!(Instant::now() < until, "nobody plays: {:?}", handle.streams());
        std::thread::sleep(Duration::from_millis(10));
    }
    camera
        .send(Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: vec![0x17, 1, 0, 0, 0].into() })
        .unwrap();
    while !matches!(player.next_event().unwrap(), ClientEvent::Media(_)) {}

    let streams = handle.streams();
    assert_eq!((streams.len(), &streams[0].name[..], streams[0].is_published), (1, "live/cam", true));
    while handle.traffic().messages_out == 0 {
        assert!(Instant::now() < until, "{:?}", handle.traffic());
        std::thread::yield_now();
    }
    let traffic = handle.traffic();
    assert_eq!((traffic.messages_in, traffic.bytes_in), (1, 5));
    assert_eq!((traffic.messages_out, traffic.bytes_out, traffic.batches, traffic.dropped), (1, 5, 1, 0));

    handle.stop();
    running.join().unwrap().unwrap();
}
