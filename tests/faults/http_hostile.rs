//! HTTP clients that break the rules or want too much: they are refused or closed, and nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use gortmp::limits;
use tempfile::TempDir;

use crate::support::faults::{Resources, Witness};
use crate::support::http::{Http, get};
use crate::support::*;

fn server(options: &[&str]) -> (TempDir, Server) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), options);
    (dir, server)
}

#[test]
fn what_is_no_request_is_answered_and_closed() {
    let (_dir, server) = server(&[]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(limits::HTTP_HEAD_BYTES));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(limits::HTTP_HEADERS + 1));
    let endless = "x".repeat(limits::HTTP_HEAD_BYTES * 4);
    for (text, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        ("PUT /live/cam.flv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
        (&long, 431),
        (&many, 431),
        (&endless, 431),
    ] {
        let mut http = Http::open(&server);
        http.say(text);
        let answer = http.answer();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{}", &text[..20]);
        assert_eq!(http.0.read(&mut [0]).unwrap(), 0, "it is closed");
    }
    let mut handshake = Http::open(&server);
    handshake.0.get_mut().write_all(&[&[3][..], &[0; 1536]].concat()).unwrap();
    let _ = handshake.0.get_mut().shutdown(std::net::Shutdown::Write);
    assert!(read_to_end(handshake.0.get_ref()).is_empty() || server.log().iter().any(|line| line.contains("HTTP 400")));
}

#[test]
fn requests_in_a_row_are_answered_in_a_row_up_to_a_limit() {
    let (_dir, server) = server(&[]);
    let mut http = Http::open(&server);
    http.say(&"GET /x HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3));
    assert_eq!([(); 3].map(|()| http.answer().status), [404; 3]);
    let mut greedy = Http::open(&server);
    let many = limits::HTTP_REQUESTS as usize + 200;
    // It may close before it has taken all.
    let _ = greedy.0.get_mut().write_all("GET /x HTTP/1.1\r\nHost: x\r\n\r\n".repeat(many).as_bytes());
    let mut statuses = std::iter::repeat_with(|| greedy.answer().status).take(many);
    let last = statuses.find(|status| *status != 404);
    assert_eq!(last, Some(429));
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let (dir, server) = server(&[]);
    std::fs::create_dir(dir.path().join("inner")).unwrap();
    let outside = dir.path().parent().unwrap().join(format!("gortmp-secret-{}.flv", server.pid()));
    std::fs::write(&outside, "FLV").unwrap();
    let secret = outside.file_name().unwrap().to_str().unwrap();
    std::os::unix::fs::symlink(&outside, dir.path().join("link.flv")).unwrap();
    for path in [
        format!("/gortmp/../{secret}"),
        format!("/gortmp/%2e%2e/{secret}"),
        format!("/gortmp/inner/..%2f..%2f{secret}"),
        format!("/gortmp/..%5c{secret}"),
        format!("/gortmp//{}", outside.display()),
        "/gortmp/link.flv".to_owned(),
        "/gortmp/%00.flv".to_owned(),
        "/gortmp/.flv".to_owned(),
        "/gortmp/inner.flv".to_owned(),
        "/gortmp/%ff%fe.flv".to_owned(),
        "/..%2f..%2fetc/passwd".to_owned(),
    ] {
        let answer = get(&server, &path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    std::fs::remove_file(outside).unwrap();
}

#[test]
fn slow_and_silent_clients_are_closed_and_take_nothing_from_others() {
    let (_dir, server) = server(&[]);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 1, 500);
    let idle: Vec<_> = (0..1_000).map(|_| TcpStream::connect(server.http.unwrap()).unwrap()).collect();
    let began = Instant::now();
    let mut slow = Http::open(&server);
    let mut dripping = true;
    while dripping && began.elapsed() < limits::HTTP_REQUEST_DEADLINE + Duration::from_secs(10) {
        dripping = slow.0.get_mut().write_all(b"x").is_ok();
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(!dripping, "a byte now and then is no request");
    assert!(began.elapsed() > limits::HTTP_REQUEST_DEADLINE - Duration::from_secs(2), "it had its time");
    for socket in &idle {
        assert!(read_to_end(socket).is_empty());
    }
    drop(idle);
    witness.goes_on();
    assert!(witness.finish() > 100);
    before.are_released(&server);
}

#[test]
fn a_viewer_that_reads_nothing_is_closed_and_the_others_go_on() {
    let (_dir, server) = server(&["--player-queue", "256"]);
    let witness = Witness::start(&server, "witness", 1, 50_000);
    let mut stuck = Http::open(&server);
    stuck.request("GET", "/live/witness.flv", "");
    server.wait_for_log("started playing live/witness over HTTP");
    server.wait_for_log("too slow");
    wait_for_long("it to be closed", || {
        server.log().iter().any(|line| line.contains("stopped playing live/witness over HTTP")).then_some(())
    });
    witness.goes_on();
    assert!(witness.finish() > 100);
}

/// Deadlines of 20 s and what comes on top.
fn wait_for_long(what: &str, mut ask: impl FnMut() -> Option<()>) {
    let until = Instant::now() + limits::WRITE_STALL + Duration::from_secs(30);
    while ask().is_none() {
        assert!(Instant::now() < until, "waited for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
