//! Our own client against the real server: URLs, keys, TLS, time limits, and why it was refused.
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::tls;
use crate::support::{KEY, PATIENCE, Server, next_media, settle, tool, video, wait_for};
use gortmp::{Client, ClientConfig, Error, Trust};

/// Why the server said no.
fn refusal(result: gortmp::Result<Client>) -> (String, String) {
    match result {
        Err(Error::Refused { code, description }) => (code.into_owned(), description.into_owned()),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was let in"),
    }
}

/// One stream goes from a URL to another.
fn passes(options: &ClientConfig, publish: &str, play: &str) {
    let mut camera = options.publish(publish).unwrap();
    let mut player = options.play(play).unwrap();
    settle(&mut player);
    camera.send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut player).payload, KEY);
}

#[test]
fn a_url_says_what_to_publish_and_to_play() {
    let server = Server::start(&["--publish-key", "s3cret"]);
    passes(&Client::options(), &server.url("live/yard/cam?key=s3cret"), &server.url("live/yard/cam?gop=0"));
    let line = server.wait_for_log("started publishing");
    assert!(line.contains("live/yard/cam") && !line.contains("s3cret"), "{line}");
}

#[test]
fn the_reason_of_a_refusal_is_told() {
    let server = Server::start(&["--publish-key", "s3cret"]);
    let camera = Client::publisher(&server.url("live/cam?key=s3cret")).unwrap();
    let taken = refusal(Client::publisher(&server.url("live/cam?key=s3cret")));
    assert_eq!(taken.0, "NetStream.Publish.BadName");
    assert!(taken.1.contains("already"), "{}", taken.1);
    drop(camera);
    let wrong = refusal(Client::publisher(&server.url("live/other?key=guess")));
    assert_eq!(wrong.0, "NetStream.Publish.Denied");
    assert!(wrong.1.contains("key"), "{}", wrong.1);
    let missing = refusal(Client::player(&server.url("gortmp/nothing")));
    assert_eq!(missing.0, "NetStream.Play.StreamNotFound");
    assert!(missing.1.contains("no such file"), "{}", missing.1);
    let nowhere = refusal(Client::player(&server.url("nowhere/cam")));
    assert_eq!(nowhere.0, "NetStream.Play.StreamNotFound");
    assert!(nowhere.1.contains("nowhere"), "{}", nowhere.1);
}

#[test]
fn a_user_and_a_key_answer_a_server_that_asks() {
    let server = Server::start(&["--publish-key", "s3c/ret", "--play-key", "other", "--ask-password"]);
    let url = |login: &str| format!("rtmp://{login}{}/live/cam", server.address);
    passes(&Client::options(), &url("eve:s3c%2Fret@"), &url("adam:other@"));
    let (code, reason) = refusal(Client::publisher(&url("")));
    assert_eq!(code, "NetConnection.Connect.Rejected");
    assert!(reason.contains("need auth"), "{reason}");
    for login in ["eve:guess@", "eve@", "eve:@"] {
        let (code, reason) = refusal(Client::publisher(&url(login)));
        assert_eq!(code, "NetConnection.Connect.Rejected");
        assert!(reason.contains("authfailed"), "{login}: {reason}");
    }
    let (code, _) = refusal(Client::publisher(&url("adam:other@")));
    assert_eq!(code, "NetStream.Publish.Denied", "that key is for playing");
}

/// Runs openssl in a folder.
fn openssl(dir: &Path, arguments: &str) {
    let output = tool("openssl", "openssl").current_dir(dir).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server with RTMPS, whose certificate is the file's, and the address for it.
fn secured(dir: &Path, certificate: &str, key: &str) -> (Server, SocketAddr) {
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file(certificate), file(key));
    let server = Server::start(&["--tls-listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key]);
    let line = server.wait_for_log("listening on rtmps://");
    let address = line.split_once("rtmps://").unwrap().1.trim().parse().unwrap();
    (server, address)
}

fn trusting(trust: Trust) -> ClientConfig {
    let mut options = Client::options();
    options.trust = trust;
    options
}

#[test]
fn a_certificate_that_signs_itself_is_trusted_by_those_who_have_it() {
    let dir = tempfile::tempdir().unwrap();
    let make = |out: &Path| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/make-certificate.sh");
        assert!(Command::new(script).arg("--out").arg(out).output().unwrap().status.success());
    };
    make(dir.path());
    let (_server, address) = secured(dir.path(), "cert.pem", "key.pem");
    let url = format!("rtmps://{address}/live/cam");
    passes(&trusting(Trust::from_pem_file(dir.path().join("cert.pem")).unwrap()), &url, &url);
    passes(&trusting(Trust::Custom(tls::accept_any_certificate())), &url, &url);

    let elsewhere = tempfile::tempdir().unwrap();
    make(elsewhere.path());
    for trust in [Trust::System, Trust::from_pem_file(elsewhere.path().join("cert.pem")).unwrap()] {
        let refused = trusting(trust).publish(&url).unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
    }
    for nothing in [Trust::Certificates(String::new()), Trust::Certificates("nonsense".into())] {
        assert!(matches!(trusting(nothing).publish(&url), Err(Error::Config(_))));
    }
    assert!(matches!(Trust::from_pem_file(dir.path().join("missing.pem")), Err(Error::Config(_))));
    let plain = format!("rtmp://{address}/live/cam");
    assert!(Client::publisher(&plain).is_err(), "this is no RTMP");
}

#[test]
fn an_authority_vouches_for_the_host_it_has_signed_for() {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj /CN=authority");
    openssl(dir.path(), "req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=server");
    std::fs::write(dir.path().join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        dir.path(),
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 9 -extfile names",
    );
    let (_server, address) = secured(dir.path(), "cert.pem", "key.pem");
    let options = trusting(Trust::from_pem_file(dir.path().join("ca.pem")).unwrap());
    let url = format!("rtmps://localhost:{}/live/cam", address.port());
    passes(&options, &url, &url);
    let error = options.publish(&format!("rtmps://{address}/live/cam")).unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

/// What came of something and how long it took.
fn timed(result: impl FnOnce() -> gortmp::Result<()>) -> (Error, Duration) {
    let before = Instant::now();
    (result().unwrap_err(), before.elapsed())
}

/// It gave up because of the time, neither at once nor late.
fn is_timeout((error, took): (Error, Duration), limit: Duration) {
    assert!(matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::TimedOut), "{error}");
    assert!(took >= limit * 9 / 10 && took < limit + Duration::from_secs(3), "{took:?}");
}

#[test]
fn connecting_has_an_end() {
    let limit = Duration::from_millis(400);
    let mut options = Client::options();
    options.connect_timeout = limit;
    options.trust = Trust::Custom(tls::accept_any_certificate());
    // It takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for scheme in ["rtmp", "rtmps"] {
        let url = format!("{scheme}://{}/live/cam", silent.local_addr().unwrap());
        is_timeout(timed(|| options.publish(&url).map(drop)), limit);
    }
    // It has no room for another connection.
    use rustix::net;
    let socket =
        net::socket_with(net::AddressFamily::INET, net::SocketType::STREAM, net::SocketFlags::CLOEXEC, None).unwrap();
    net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    net::listen(&socket, 0).unwrap();
    let full = TcpListener::from(socket);
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(one);
    }
    is_timeout(timed(|| options.publish(&format!("rtmp://{address}/live/cam")).map(drop)), limit);
    // Nobody listens there, nor will another test meanwhile: the port is taken.
    let taken =
        net::socket_with(net::AddressFamily::INET, net::SocketType::STREAM, net::SocketFlags::CLOEXEC, None).unwrap();
    net::bind(&taken, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = SocketAddr::try_from(net::getsockname(&taken).unwrap()).unwrap();
    options.connect_timeout = PATIENCE;
    let error = options.publish(&format!("rtmp://{address}/live/cam")).unwrap_err();
    assert!(matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::ConnectionRefused), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_silent_server_is_waited_for_only_so_long() {
    let server = Server::start(&[]);
    let _camera = Client::publisher(&server.url("live/cam")).unwrap();
    let mut options = Client::options();
    options.read_timeout = Some(Duration::from_millis(400));
    let mut player = options.play(&server.url("live/cam")).unwrap();
    settle(&mut player);
    is_timeout(timed(|| player.next_event().map(drop)), Duration::from_millis(400));
}

#[test]
fn a_server_that_takes_nothing_is_waited_for_only_so_long() {
    let server = Server::start(&[]);
    let way = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/live/cam", way.local_addr().unwrap());
    let (address, is_shut) = (server.address, Arc::new(AtomicBool::new(false)));
    let shut = is_shut.clone();
    std::thread::spawn(move || {
        let (client, server) = (way.accept().unwrap().0, TcpStream::connect(address).unwrap());
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = (&client).read(&mut bytes) {
            (&server).write_all(&bytes[..count]).unwrap();
            wait_for("the way to be open", || (!shut.load(Ordering::Relaxed)).then_some(()));
        }
    });
    let mut options = Client::options();
    options.write_timeout = Some(Duration::from_millis(400));
    let mut camera = options.publish(&url).unwrap();
    is_shut.store(true, Ordering::Relaxed);
    let mut last = Instant::now();
    let error = loop {
        last = if let Err(error) = camera.send(video(0, &vec![0x27; 100_000])) { break error } else { Instant::now() };
    };
    is_timeout((error, last.elapsed()), Duration::from_millis(400));
    is_shut.store(false, Ordering::Relaxed);
}

#[test]
fn closing_loses_nothing_and_says_when_the_server_goes_on_without_end() {
    let server = Server::start(&["--republish-grace", "0"]);
    let mut camera = Client::publisher(&server.url("live/cam")).unwrap();
    let mut player = Client::player(&server.url("live/cam")).unwrap();
    settle(&mut player);
    for index in 0..200 {
        camera.send(video(index, &[KEY, &vec![0; 20_000]].concat())).unwrap();
    }
    camera.close().unwrap();
    server.wait_for_log("3907 KiB");
    player.close().unwrap();

    let way = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/live/cam", way.local_addr().unwrap());
    let address = server.address;
    std::thread::spawn(move || {
        let (client, server) = (way.accept().unwrap().0, TcpStream::connect(address).unwrap());
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut &client, &mut &server);
        // The end is kept from the server.
        std::thread::sleep(PATIENCE);
        drop((client, server));
    });
    let mut options = Client::options();
    options.read_timeout = Some(Duration::from_millis(400));
    let camera = options.publish(&url).unwrap();
    is_timeout(timed(|| camera.close()), Duration::from_millis(400));
}
