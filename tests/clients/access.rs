//! Keys, links, passwords and address rules, with the clients that bring them.

use std::path::Path;
use std::process::Command;

use gortmp::{Client, Error};
use tempfile::TempDir;

use crate::support::media::{
    CLIENT_PATIENCE, Expect, WHOLE, assert_same, ffmpeg, frames, frames_to_the_end, push_to, sample,
};
use crate::support::{
    self, KEY, PATIENCE, Running, Server, next_media, player, publisher, settle, tool, video, wait_for,
};

/// What no log may ever show.
const SECRET: &str = "s3cret";

/// Players are told the end soon after the publisher left; everything is logged that can be.
const LOUD: [&str; 3] = ["--republish-grace=1", "-v", "-v"];

fn url(server: &Server, user: &str, path: &str) -> String {
    format!("rtmp://{user}{}/{path}", server.address)
}

/// ffmpeg pushing a sample there.
fn push(url: &str, dir: &TempDir) -> Running {
    push_to(url, "h264-aac", dir)
}

/// Such a push arrives byte for byte.
fn pushes(server: &Server, url: &str, name: &str) {
    let dir = TempDir::new().unwrap();
    let mut waiting = player(server, "live", name);
    let mut pusher = push(url, &dir);
    let got = frames_to_the_end(&mut waiting);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    assert_same(&got, &frames(&sample("h264-aac")), WHOLE);
}

/// Such a push is refused, and ffmpeg says so.
fn is_refused(server: &Server, url: &str, reason: &str) {
    let dir = TempDir::new().unwrap();
    let mut pusher = push(url, &dir);
    let code = pusher.wait(CLIENT_PATIENCE);
    assert!(code.is_some_and(|code| code != 0), "{code:?}: {}", pusher.text());
    server.wait_for_log(reason);
}

fn shows_no_secret(server: &Server) {
    let log = server.log();
    assert!(
        log.iter().any(|line| line.contains("started publishing") || line.contains("started playing")),
        "nothing happened at all"
    );
    let shown: Vec<_> = log.iter().filter(|line| line.contains(SECRET)).collect();
    assert!(shown.is_empty(), "{shown:?}");
}

/// The answer to a client of ours.
fn asked(server: &Server, app: &str, ask: impl FnOnce(&mut Client) -> gortmp::Result<()>) -> Result<Client, String> {
    let client = crate::support::connect(server, app).and_then(|mut client| {
        client.set_read_timeout(Some(PATIENCE))?;
        ask(&mut client)?;
        Ok(client)
    });
    client.map_err(|error| match error {
        Error::Refused { code, .. } => code.into_owned(),
        error => panic!("{error}"),
    })
}

#[test]
fn ffmpeg_publishes_with_a_key_behind_the_name_or_in_the_server_url() {
    let server = Server::start(&[&LOUD[..], &["--publish-key", SECRET]].concat());
    server.wait_for_log("publishing is restricted, playing is open to everyone");
    pushes(&server, &url(&server, "", &format!("live/one?key={SECRET}")), "one");
    is_refused(&server, &url(&server, "", "live/one?key=wrong"), "publishing live/one needs another key");
    is_refused(&server, &url(&server, "", "live/one"), "publishing live/one needs a key");

    let (dir, mut waiting) = (TempDir::new().unwrap(), player(&server, "live", "two"));
    let mut command = ffmpeg();
    command.args(["-re", "-i"]).arg(sample("h264-aac")).args(["-c", "copy", "-f", "flv"]);
    command.args(["-rtmp_app", &format!("live?key={SECRET}"), "-rtmp_playpath", "two", &url(&server, "", "live/two")]);
    let mut pusher = Running::start(command, dir.path().join("push.log"));
    let got = frames_to_the_end(&mut waiting);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    assert_same(&got, &frames(&sample("h264-aac")), WHOLE);
    shows_no_secret(&server);
}

#[test]
fn each_stream_has_its_own_keys_which_are_read_again_on_sighup() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("keys");
    std::fs::write(&file, "# cameras\nlive/cam1 one\nlive/cam2 two\n").unwrap();
    let server = Server::start(&["--publish-key-file", file.to_str().unwrap()]);
    let publish = |name: &str| asked(&server, "live", |client| client.publish(name));
    let mut running = publish("cam1?key=one").unwrap();
    assert_eq!(publish("cam2?key=one").map(drop), Err("NetStream.Publish.Denied".to_owned()));
    assert_eq!(publish("cam3?key=one").map(drop), Err("NetStream.Publish.Denied".to_owned()));
    drop(publish("cam2?key=two").unwrap());

    let hang_up = || Command::new("kill").args(["-s", "HUP", &server.pid().to_string()]).status().unwrap();
    std::fs::write(&file, "live/cam1 uno\nlive/cam3 three\n").unwrap();
    assert!(hang_up().success());
    server.wait_for_log("reloaded the key files and the certificate");
    drop(publish("cam3?key=three").unwrap());
    assert!(publish("cam2?key=two").is_err());
    let mut watching = player(&server, "live", "cam1");
    settle(&mut watching);
    running.send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut watching).payload, KEY, "what runs goes on");

    std::fs::write(&file, "nonsense\n").unwrap();
    assert!(hang_up().success());
    let warning = server.wait_for_log("reload failed, keeping the previous version");
    assert!(warning.contains("line 1") && !warning.contains("nonsense"), "{warning}");
    drop(publish("cam3?key=three").unwrap());
}

/// As password managers make them; ffmpeg takes what stands behind the slash for the stream's name.
#[test]
fn keys_with_characters_of_urls_work_encoded_and_are_told_of() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("keys");
    std::fs::write(&file, "live/cam1 a/b+c%20\nlive/cam2 plain\n").unwrap();
    let server =
        Server::start(&["--publish-key-file", file.to_str().unwrap(), "--play-key", "x&y", "--republish-grace=1"]);
    assert!(server.wait_for_log("has to be percent-encoded in a URL").contains("line 1"));
    assert!(server.wait_for_log("--play-key: a key with").contains("WARN"));
    is_refused(
        &server,
        &url(&server, "", "live/cam1?key=a/b+c%20"),
        "publishing live/cam1/b+c  needs another key; a key with /",
    );
    let mut pusher = push(&url(&server, "", "live/cam1?key=a%2fb%2Bc%2520"), &dir);
    server.wait_for_log("started publishing live/cam1 ");
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    std::fs::write(&file, "# two\n* plain\nlive/cam1 what?ever\n").unwrap();
    assert!(Command::new("kill").args(["-s", "HUP", &server.pid().to_string()]).status().unwrap().success());
    assert!(server.wait_for_log("line 3: a key with").contains("percent-encoded"));
    let log = server.log();
    assert!(
        !log.iter().any(|line| line.contains("a/b+c%20") || line.contains("what?ever") || line.contains("x&y")),
        "no key"
    );
}

/// One component that is no application is a stream of the first live application, however a client cuts the URL.
#[test]
fn a_stream_without_an_application() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("keys");
    std::fs::write(&file, "live/cam1 one\nlive/cam2 two\n").unwrap();
    let options = ["--publish-key-file", file.to_str().unwrap(), "--http", "127.0.0.1:0", "--republish-grace=1"];
    let server = Server::start(&options);
    // ffmpeg; OBS with the name as key; OBS with everything in the server's URL.
    for (app, name) in [("", "cam1?key=one"), ("cam1?key=one", ""), ("/cam1", "?key=one"), ("live", "cam1?key=one")] {
        // The one before may still be about to leave.
        let mut camera = wait_for("the name", || asked(&server, app, |client| client.publish(name)).ok());
        camera.send(video(0, KEY)).unwrap();
        for (app, name) in [("", "cam1"), ("cam1", ""), ("live", "cam1")] {
            let mut player = player(&server, app, name);
            assert_eq!(next_media(&mut player).payload, KEY, "{app} {name}");
        }
        for path in ["/cam1.flv", "/live/cam1.flv"] {
            let mut flv = support::http::get_flv(&server, path);
            assert_eq!(support::http::packets(&mut flv, 1)[0].payload, KEY, "{path}");
        }
    }
    assert!(server.wait_for_log("live/cam1: resolved from /cam1").contains("no application"));
    assert_eq!(
        asked(&server, "", |client| client.publish("cam1?key=two")).map(drop),
        Err("NetStream.Publish.Denied".to_owned())
    );
    let mut pusher = push(&url(&server, "", "cam2?key=two"), &dir);
    server.wait_for_log("started publishing live/cam2 ");
    let played = dir.path().join("played.flv");
    let mut command = ffmpeg();
    command.args(["-i", &url(&server, "", "cam2"), "-c", "copy", "-f", "flv"]).arg(&played);
    let mut playing = Running::start(command, dir.path().join("play.log"));
    assert_eq!([pusher.wait(CLIENT_PATIENCE), playing.wait(CLIENT_PATIENCE)], [Some(0); 2], "{}", playing.text());
    assert_same(&frames(&played), &frames(&sample("h264-aac")), Expect { missing_first: 120, ..WHOLE });
}

#[test]
fn a_key_file_that_can_t_be_read_is_told_at_the_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_gortmp"))
        .args(["--no-http", "--listen", "127.0.0.1:0", "--play-key-file", "/nonexistent/keys"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("/nonexistent/keys"), "{text}");
}

#[test]
fn ffmpeg_publishes_with_a_user_and_password() {
    let server = Server::start(&[&LOUD[..], &["--publish-key", SECRET, "--ask-password"]].concat());
    pushes(&server, &url(&server, &format!("camera:{SECRET}@"), "live/one"), "one");
    is_refused(&server, &url(&server, "camera:wrong@", "live/one"), "wrong password");
    is_refused(&server, &url(&server, "", "live/one"), "a password is needed");
    let warnings: Vec<_> = server.log().into_iter().filter(|line| line.contains("WARN")).collect();
    assert!(warnings.iter().all(|line| line.contains("wrong password")), "{warnings:?}");
    shows_no_secret(&server);
}

#[test]
fn gstreamer_publishes_and_plays_with_a_user_and_password() {
    let server = Server::start(&["--republish-grace=1", "--publish-key=one", "--play-key=two", "--ask-password"]);
    let dir = TempDir::new().unwrap();
    let (recorded, sent) = (dir.path().join("played.flv"), sample("h264-aac"));
    let secured = |password: &str| format!("location={} username=x password={password}", server.url("live/cam"));
    let start = |pipeline: String, log: &str| {
        let mut command = tool("gst-launch-1.0", "gstreamer1.0-tools");
        command.arg("-q").args(pipeline.split_whitespace());
        Running::start(command, dir.path().join(log))
    };
    let source = format!("rtmp2src {} ! filesink location={}", secured("two"), recorded.display());
    let mut playing = start(source, "play.log");
    server.wait_for_log("started playing live/cam");
    let sink = format!(
        "filesrc location={} ! flvdemux name=d flvmux name=m streamable=true ! rtmp2sink {} \
         d.video ! queue ! h264parse ! m. d.audio ! queue ! aacparse ! m.",
        sent.display(),
        secured("one"),
    );
    let mut pushing = start(sink, "push.log");
    assert_eq!(pushing.wait(CLIENT_PATIENCE), Some(0), "{}", pushing.text());
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    assert!(frames(&recorded).len() + 2 >= frames(&sent).len(), "{} frames came", frames(&recorded).len());
}

/// Plays a URL with rtmpdump, which knows keys and links only as parts of it.
fn rtmpdump(url: &str, file: &Path) -> Option<i32> {
    let mut command = tool("rtmpdump", "rtmpdump");
    command.args(["--quiet", "-r", url, "-o"]).arg(file);
    Running::start(command, file.with_extension("log")).wait(CLIENT_PATIENCE)
}

#[test]
fn a_link_from_the_script_plays_until_it_expires() {
    let dir = TempDir::new().unwrap();
    std::fs::copy(sample("h264-aac"), dir.path().join("film.flv")).unwrap();
    let server = Server::with_videos(dir.path(), &[&LOUD[..], &["--play-key", SECRET]].concat());
    let key_file = dir.path().join("key");
    std::fs::write(&key_file, format!("{SECRET}\n")).unwrap();
    let sign = |until: &[&str], path: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/sign-link.sh");
        let mut command = Command::new(script);
        let output = command.arg("--key-file").arg(&key_file).args(until).arg(server.url(path)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (link, file) = (sign(&["--hours", "1"], "gortmp/film"), dir.path().join("played.out"));
    let mut command = ffmpeg();
    command.args(["-i", &link, "-c", "copy", "-f", "flv"]).arg(&file);
    let mut playing = Running::start(command, dir.path().join("play.log"));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    assert_same(&frames(&file), &frames(&sample("h264-aac")), WHOLE);

    // Its own idea of success is another (it misses the file's last moments), so what it got counts.
    let with_rtmpdump = dir.path().join("dumped.out");
    rtmpdump(&link, &with_rtmpdump);
    assert!(std::fs::metadata(&with_rtmpdump).unwrap().len() > 10_000);

    for (url, reason) in [
        (sign(&["--until", "1000000000"], "gortmp/film"), "the link has expired"),
        (link.replace("gortmp/film", "gortmp/other"), "the link's signature is wrong"),
        (link.replace("sign=", "sign=00"), "the link's signature is wrong"),
        (server.url("gortmp/film"), "playing gortmp/film needs a key"),
    ] {
        let refused = dir.path().join("refused.out");
        let code = rtmpdump(&url, &refused);
        assert!(code.is_some_and(|code| code != 0), "{url}: {code:?}");
        server.wait_for_log(reason);
        assert_eq!(std::fs::metadata(&refused).map_or(0, |file| file.len()), 0);
    }
    shows_no_secret(&server);
}

#[test]
fn who_may_not_play_does_not_learn_how_long_a_file_is() {
    use gortmp::amf::Value;
    let dir = TempDir::new().unwrap();
    std::fs::copy(sample("h264-aac"), dir.path().join("film.flv")).unwrap();
    let server = Server::with_videos(dir.path(), &["--play-key", SECRET]);
    let length = |name: &str| {
        let mut wire = support::wire::Wire::open(server.address, "gortmp");
        wire.send(&support::wire::command(0, 7.0, "getStreamLength", Value::Null, vec![name.into()]));
        wire.send(&support::wire::command(0, 8.0, "_checkbw", Value::Null, Vec::new()));
        loop {
            if let (_, gortmp::rtmp::message::Message::Command(answer)) = wire.next() {
                match answer.transaction_id {
                    7.0 => return answer.argument(0).as_number(),
                    8.0 => return None,
                    _ => {}
                }
            }
        }
    };
    assert!(length(&format!("film?key={SECRET}")).is_some_and(|seconds| seconds > 1.0));
    assert_eq!(length("film"), None);
}

#[test]
fn addresses_are_let_in_by_the_first_rule_that_fits() {
    let server = Server::start(&["--deny-publish=127.0.0.0/8", "--allow-play=127.0.0.0/8", "--listen=[::1]:0"]);
    let line = server.wait_for_log("listening on rtmp://[::1]");
    let other: std::net::SocketAddr = line.split_once("rtmp://").unwrap().1.trim().parse().unwrap();
    let publish = |address| {
        Client::connect(&format!("rtmp://{address}/live"))
            .and_then(|mut client| client.publish("cam").map(|()| client))
            .map_err(|error| match error {
                Error::Refused { code, description } => (code.into_owned(), description.into_owned()),
                error => panic!("{error}"),
            })
    };
    let denied = publish(server.address).map(drop).unwrap_err();
    assert_eq!(denied.0, "NetStream.Publish.Denied");
    assert!(denied.1.contains("not allowed from 127.0.0.1"), "{}", denied.1);
    server.wait_for_log("publishing is not allowed from 127.0.0.1");

    let mut camera = publish(other).unwrap();
    let mut viewer = player(&server, "live", "cam");
    settle(&mut viewer);
    camera.send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut viewer).payload, KEY);
    let refused = Client::connect(&format!("rtmp://{other}/live")).unwrap().play("cam", None);
    assert!(matches!(refused, Err(Error::Refused { code, .. }) if code == "NetStream.Play.Failed"), "only IPv4 may");
}

#[test]
fn guessing_at_keys_fills_no_log() {
    let server = Server::start(&["--publish-key", SECRET]);
    for guess in 0..60 {
        let refused = asked(&server, "live", |client| client.publish(&format!("cam?key={guess}")));
        assert!(refused.is_err());
    }
    let is_warning = |line: &&String| line.contains("WARN") && line.contains("needs another key");
    let warnings = || server.log().iter().filter(is_warning).count();
    assert!((8..40).contains(&warnings()), "{} lines", warnings());
    wait_for("the rest to be counted", || {
        server.log().iter().any(|line| line.contains("more warnings about clients were suppressed")).then_some(())
    });
    drop(asked(&server, "live", |client| client.publish(&format!("cam?key={SECRET}"))).unwrap());
    drop(publisher(&Server::start(&[]), "cam"));
}

#[test]
fn refused_plays_win_no_time_and_not_many_are_had() {
    let server = Server::start(&["--play-key", SECRET]);
    let began = std::time::Instant::now();
    let patient = support::wire::Wire::open(server.address, "live");
    let greedy = support::wire::Wire::open(server.address, "live");
    for guess in 0..gortmp::limits::CONSECUTIVE_REFUSALS {
        greedy.send(&support::wire::play_command(&format!("cam?key={guess}")));
    }
    support::read_to_end(&greedy.socket);
    assert!(began.elapsed() < gortmp::limits::IDLE_DEADLINE, "it is closed at once");
    server.wait_for_log("the number of refused requests is 10");
    let play = || patient.send(&support::wire::play_command("cam?key=guess"));
    for _ in 0..2 {
        std::thread::sleep(gortmp::limits::IDLE_DEADLINE / 3);
        play();
    }
    support::read_to_end(&patient.socket);
    let slack = std::time::Duration::from_secs(4);
    assert!(began.elapsed() < gortmp::limits::IDLE_DEADLINE + slack, "after {:?}", began.elapsed());
}

#[test]
fn the_script_for_links_takes_a_key_alone() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("key");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/sign-link.sh");
    let sign = |content: &str| {
        std::fs::write(&file, content).unwrap();
        let mut command = Command::new(&script);
        command.arg("--key-file").arg(&file).args(["--until", "2000000000", "rtmp://host/live/cam"]);
        command.output().unwrap()
    };
    let good = sign("s3cret\n");
    assert!(good.status.success());
    assert_eq!(sign("s3cret\r\n").stdout, good.stdout, "lines may end as on Windows");
    let bad = sign("live/cam s3cret\n");
    assert!(!bad.status.success() && String::from_utf8_lossy(&bad.stderr).contains("the key alone"));
}
