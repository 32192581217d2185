//! The program as a whole: its options, its exit codes, its end, and the same server as a library.

use std::io::Write;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use gortmp::{Client, Config, Error};

use crate::support;
use crate::support::wire::{self, Wire};
use crate::support::*;

/// Runs the program until it ends by itself.
fn run(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gortmp")).args(options).env_remove("RUST_LOG").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for option in ["--help", "-h"] {
        let output = run(&[option]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        let help = text(&output.stdout);
        for part in ["Usage: gortmp", "--listen", "--video-dir", "--republish-grace", "rtmp://HOST/live/", "--version"]
        {
            assert!(help.contains(part), "{part}: {help}");
        }
    }
    for option in ["--version", "-V"] {
        let output = run(&[option]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        assert_eq!(text(&output.stdout), concat!("gortmp ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn a_bad_option_is_one_line_and_exit_code_2() {
    for (options, hint) in [
        (&["--nonsense"][..], "nonsense"),
        (&["--listen"], "listen"),
        (&["--listen", "1935"], "0.0.0.0:1935"),
        (&["--gop-cache", "perhaps"], "on or off"),
        (&["--replace-publisher", "sometimes"], "never, idle or always"),
        (&["--republish-grace", "long"], "a number of seconds"),
        (&["--live-app", "x", "--vod-app", "x"], "--vod-app"),
        (&["stray"], "stray"),
        (&["-q", "-v"], "-v and -q"),
    ] {
        let output = run(options);
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()), "{options:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{options:?}: {error}");
        assert!(error.starts_with("gortmp: ") && error.contains(hint), "{options:?}: {error}");
    }
}

#[test]
fn what_cannot_start_is_one_line_and_exit_code_1() {
    let videos = tempfile::tempdir().unwrap();
    let videos = videos.path().to_str().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    for (options, hints) in [
        (
            &["--video-dir", videos, "--listen", &*taken][..],
            [other.local_addr().unwrap().port().to_string(), "--listen".into()],
        ),
        (&["--video-dir", videos, "--listen", "192.0.2.1:0"], ["192.0.2.1".into(), "--listen".into()]),
        (
            &["--listen", "127.0.0.1:0", "--video-dir", file.path().to_str().unwrap()],
            [file.path().display().to_string(), "--video-dir".into()],
        ),
    ] {
        let output = run(options);
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{options:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{options:?}: {error}");
        assert!(hints.iter().all(|hint| error.contains(hint)), "{options:?}: {error}");
    }
}

#[test]
fn a_missing_video_folder_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let videos = dir.path().join("films/of mine");
    let server = Server::with_videos(&videos, &[]);
    assert!(videos.is_dir());
    server.wait_for_log("made the folder");
    publisher(&server, "works");
}

#[test]
fn a_video_folder_that_cannot_be_made_does_not_stop_live_streams() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let server = Server::with_videos(std::path::Path::new("/proc/none/films"), &[]);
    server.wait_for_log("no files to play");
    publisher(&server, "works");
    drop(file);
}

#[test]
fn the_first_lines_of_the_log_say_what_to_push_and_play() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::with_videos(dir.path(), &["--live-app", "cam", "--live-app", "door"]);
    for line in [
        format!("gortmp {}", env!("CARGO_PKG_VERSION")),
        format!("rtmp://{}/cam/livestream", server.address),
        format!("rtmp://{}/door/livestream", server.address),
    ] {
        server.wait_for_log(&line);
    }
}

#[test]
fn several_addresses_are_one_server() {
    let server = Server::start(&["--listen", "127.0.0.2:0"]);
    let second = wait_for("the second address", || {
        let log = server.log();
        let line = log.iter().find(|line| line.contains("listening on rtmp://127.0.0.2:"))?;
        line.split_once("rtmp://")?.1.parse::<std::net::SocketAddr>().ok()
    });
    let mut player = Client::connect(&format!("rtmp://{second}/live")).unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    player.play("both", None).unwrap();
    publisher(&server, "both").send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut player).payload, KEY);
}

#[test]
fn a_signal_ends_it_promptly_with_everyone_connected() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let mut publisher = publisher(&server, "end");
        publisher.send(video(0, KEY)).unwrap();
        let mut player = player(&server, "live", "end");
        assert_eq!(next_media(&mut player).payload, KEY);
        // One that reads nothing, one in its handshake, one that has connected only.
        let mut stalled = support::player(&server, "live", "end");
        settle(&mut stalled);
        for n in 0..300 {
            publisher.send(video(n, &[KEY, &[0; 50_000]].concat())).unwrap();
        }
        let _half = wire::dial(server.address);
        let _idle = Wire::new(server.address);
        settle(&mut publisher);

        let watching = std::thread::spawn(move || {
            let statuses = [next_status(&mut player), next_status(&mut player)];
            assert!(player.next_event().is_err(), "and then the end");
            statuses
        });
        let before = Instant::now();
        let pid = server.pid().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        assert_eq!(server.wait(), Some(0), "{signal}");
        assert!(before.elapsed() < Duration::from_secs(3), "{signal}: {:?}", before.elapsed());
        server.wait_for_log("stopping");
        assert_eq!(watching.join().unwrap(), ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"]);
        assert_eq!(next_status(&mut publisher), "NetStream.Unpublish.Success");
        assert_eq!(next_status(&mut publisher), "NetConnection.Connect.AppShutdown");
        assert!(publisher.next_event().is_err(), "and then the end");
    }
}

#[test]
fn its_port_is_free_again_at_once() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let mut player = player(&server, "live", "again");
    settle(&mut player);
    assert_eq!(server.stop(), Some(0));
    // The connections of the first still linger in the system.
    let second = Server::start(&["--listen", &address]);
    second.wait_for_log(&format!("listening on rtmp://{address}"));
}

/// The refusal that a client gets from `ask`, and that its connection is closed then.
fn refused(server: &Server, app: &str, ask: impl FnOnce(&mut Client) -> gortmp::Result<()>) -> (String, String) {
    let asked = crate::support::connect(server, app).and_then(|mut client| {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(&mut client)
    });
    match asked {
        Err(Error::Refused { code, description }) => (code.into_owned(), description.into_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::with_videos(dir.path(), &[]);
    let nothing = |_: &mut Client| panic!("it was let in");
    let (code, reason) = refused(&server, "no/stream", nothing);
    assert_eq!(code, "NetConnection.Connect.Rejected");
    assert!(reason.contains("\"no\"") && reason.contains("live and gortmp"), "{reason}");
    server.wait_for_log(&reason);
    let (code, reason) = refused(&server, "no", |client| client.publish("stream"));
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(reason.contains("\"no\"") && reason.contains("live and gortmp"), "{reason}");
    let (code, reason) = refused(&server, "no", |client| client.play("stream", None));
    assert_eq!(code, "NetStream.Play.StreamNotFound");
    assert!(reason.contains("\"no\"") && reason.contains("live and gortmp"), "{reason}");
    assert_eq!(refused(&server, "", |client| client.publish("")).0, "NetStream.Publish.BadName");

    let (code, reason) = refused(&server, "gortmp", |client| client.publish("film"));
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(reason.contains("/live/"), "{reason}");

    for name in ["", "/", "?key=x"] {
        let (code, reason) = refused(&server, "live", |client| client.publish(name));
        assert_eq!(code, "NetStream.Publish.BadName");
        assert!(reason.contains("/live/NAME"), "{reason}");
        let (code, reason) = refused(&server, "live", |client| client.play(name, None));
        assert_eq!(code, "NetStream.Play.StreamNotFound");
        assert!(reason.contains("/live/NAME"), "{reason}");
    }
    let (code, _) = refused(&server, "gortmp", |client| client.play("nothing", None));
    assert_eq!(code, "NetStream.Play.StreamNotFound");
}

#[test]
fn a_refused_application_is_an_error_with_that_transaction_and_then_the_end() {
    let server = Server::start(&[]);
    let mut wire = Wire::new(server.address);
    let properties = gortmp::amf::Object::new().with("app", "no/stream");
    wire.send(&wire::command(0, 5.0, "connect", properties.into(), Vec::new()));
    let answer = wire.answer(5.0);
    assert_eq!((answer.name.as_str(), wire::code(&answer)), ("_error", Some("NetConnection.Connect.Rejected")));
    let before = Instant::now();
    while wire.read().is_ok() {}
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
}

#[test]
fn names_of_the_applications_can_be_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::with_videos(dir.path(), &["--live-app", "cam", "--vod-app", "film"]);
    let mut camera = Client::connect(&server.url("cam")).unwrap();
    camera.publish("door").unwrap();
    assert_eq!(refused(&server, "film", |client| client.publish("door")).0, "NetStream.Publish.Denied");
    for app in ["live", "gortmp"] {
        assert_eq!(refused(&server, app, |client| client.publish("door")).0, "NetStream.Publish.Denied", "{app}");
        assert_eq!(
            refused(&server, app, |client| client.play("door", None)).0,
            "NetStream.Play.StreamNotFound",
            "{app}"
        );
        assert_eq!(refused(&server, &format!("{app}/a"), |_| Ok(())).0, "NetConnection.Connect.Rejected", "{app}");
    }
}

#[test]
fn quiet_logs_nothing_while_all_is_well() {
    let dir = tempfile::tempdir().unwrap();
    // Its port is known beforehand, since it doesn't say it.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gortmp"));
    command.args(["-q", "--no-http", "--listen", &address.to_string(), "--video-dir", dir.path().to_str().unwrap()]);
    command.env_remove("RUST_LOG");
    let output = dir.path().join("output");
    let mut running = Running::start(command, output);
    let mut client = wait_for("it to listen", || Client::connect(&format!("rtmp://{address}/live")).ok());
    client.publish("quiet").unwrap();
    drop(client);
    terminate(running.pid());
    assert_eq!(running.wait(PATIENCE), Some(0));
    assert_eq!(running.text(), "");
}

/// Settings for a server on a port of its own, without HTTP.
fn quiet(videos: &std::path::Path) -> Config {
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.video_dir = videos.to_owned();
    config.http = None;
    config
}

#[test]
fn the_library_serves_and_stops_from_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = quiet(&dir.path().join("video"));
    config.listen = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    let server = gortmp::Server::bind(config.clone()).unwrap();
    let address = server.local_addr();
    assert_ne!(address.port(), 0);
    assert_eq!(server.local_addrs().count(), 2);
    assert!(config.video_dir.is_dir());
    let handle = server.handle();
    let running = std::thread::spawn(move || server.run());

    let mut publisher = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    publisher.publish("embedded").unwrap();
    let mut player = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    player.play("embedded", None).unwrap();
    publisher.send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut player).payload, KEY);

    let before = Instant::now();
    handle.stop();
    handle.stop();
    running.join().unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    while player.next_event().is_ok() {}
    // Another one can be had, on the same port.
    config.listen = vec![address];
    let again = gortmp::Server::bind(config).unwrap();
    assert_eq!(again.local_addr(), address);
}

#[test]
fn a_library_server_that_was_stopped_before_it_ran_returns() {
    let dir = tempfile::tempdir().unwrap();
    let server = gortmp::Server::bind(quiet(dir.path())).unwrap();
    server.handle().stop();
    server.run().unwrap();
}

/// Threads and open descriptors of the server.
fn holdings(server: &Server) -> (usize, usize) {
    let count = |what| std::fs::read_dir(format!("/proc/{}/{what}", server.pid())).unwrap().count();
    (count("task"), count("fd"))
}

#[test]
fn connections_that_are_gone_leave_nothing_behind() {
    let server = Server::start(&["--republish-grace", "0"]);
    // What is made once and kept.
    drop(publisher(&server, "first"));
    server.wait_for_logs("] closed: ", 1);
    let before = wait_for("a calm server", || {
        let now = holdings(&server);
        std::thread::sleep(Duration::from_millis(100));
        (now == holdings(&server)).then_some(now)
    });

    let mut connections = Vec::new();
    for n in 0..200 {
        let socket = match n % 5 {
            0 => wire::dial(server.address),
            1 => {
                let socket = wire::dial(server.address);
                (&socket).write_all(&wire::c0_c1()).unwrap();
                socket
            }
            2 => Wire::open(server.address, "live").socket,
            3 => Wire::publisher(server.address, &format!("gone {n}")).socket,
            _ => Wire::player(server.address, &format!("gone {}", n - 1)).socket,
        };
        connections.push(socket);
    }
    let during = holdings(&server);
    assert!(during.0 >= before.0 + 200 && during.1 >= before.1 + 200, "{before:?}, {during:?}");
    for (n, socket) in connections.into_iter().enumerate() {
        if n % 2 == 0 {
            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
        }
    }
    wait_for("nothing to be left", || (holdings(&server) == before).then_some(()));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_server_out_of_descriptors_goes_on_when_there_are_some_again() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "scarce");
    let (_, open) = holdings(&server);
    let pid = rustix::process::Pid::from_raw(server.pid() as i32);
    let few = rustix::process::Rlimit { current: Some(open as u64 + 10), maximum: Some(open as u64 + 10) };
    rustix::process::prlimit(pid, rustix::process::Resource::Nofile, few).unwrap();
    let connections: Vec<_> = (0..30).map(|_| wire::dial(server.address)).collect();
    server.wait_for_log("WARN");
    publisher.send(video(0, KEY)).unwrap();
    settle(&mut publisher);
    drop(connections);
    // Those that have gone may still be in its hands for a moment.
    let mut player = wait_for("it to take clients again", || {
        let mut player = Client::connect(&server.url("live")).ok()?;
        player.set_read_timeout(Some(PATIENCE)).unwrap();
        player.play("scarce", None).ok().map(|()| player)
    });
    assert_eq!(next_media(&mut player).payload, KEY);
    let warnings = server.log().iter().filter(|line| line.contains("WARN")).count();
    assert!(warnings < 10, "{warnings} warnings");
}

#[test]
fn a_log_that_nobody_reads_any_more_does_not_stop_it() {
    let dir = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_gortmp"))
        .args(["-v", "--no-http", "--listen", &address.to_string(), "--video-dir", dir.path().to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stderr.take());
    let mut client = wait_for("it to listen", || Client::connect(&format!("rtmp://{address}/live")).ok());
    client.publish("unheard").unwrap();
    terminate(process.id());
    let status = wait_for("it to end", || process.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn help_for_a_reader_that_has_gone_is_no_crash() {
    for option in ["--help", "--version"] {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(reader);
        let stdout = std::os::fd::OwnedFd::from(writer);
        let output = Command::new(env!("CARGO_BIN_EXE_gortmp")).arg(option).stdout(stdout).output().unwrap();
        let error = text(&output.stderr);
        assert!(!error.contains("panicked") && output.status.code() != Some(101), "{option}: {error}");
    }
}

#[test]
fn arguments_that_are_no_text_are_no_crash() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let bad = OsStr::from_bytes(b"--video-dir=\xff\xfe");
    let output = Command::new(env!("CARGO_BIN_EXE_gortmp")).arg(bad).args(["--gop-cache", "x"]).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("gortmp: ") && error.lines().count() == 1, "{error}");
}

#[test]
fn the_environment_sets_the_log_level() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gortmp"));
    command.args(["--no-http", "--listen", "127.0.0.1:0", "--video-dir", dir.path().to_str().unwrap()]);
    command.env("RUST_LOG", "gortmp=debug,warn");
    let running = Running::start(command, dir.path().join("output"));
    let address: std::net::SocketAddr = wait_for("its address", || {
        let log = running.text();
        let line = log.lines().find(|line| line.contains("listening on rtmp://"))?;
        line.split_once("rtmp://")?.1.trim().parse().ok()
    });
    let _client = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    wait_for("what is only for the curious", || running.text().contains("completed the handshake").then_some(()));
}

#[test]
fn library_servers_that_have_stopped_leave_no_threads() {
    let lanes = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names
            .filter(|name| name.starts_with("lane ") || name.starts_with("accept ") || name.starts_with("conn "))
            .count()
    };
    let dir = tempfile::tempdir().unwrap();
    let serve = || {
        let server = gortmp::Server::bind(quiet(dir.path())).unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        let running = std::thread::spawn(move || server.run());
        let mut client = Client::connect(&format!("rtmp://{address}/live")).unwrap();
        client.publish("short").unwrap();
        handle.stop();
        running.join().unwrap().unwrap();
    };
    // Each takes a second to let its publisher go, so several do it at once.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..5).for_each(|_| serve()));
        }
    });
    // Other tests of this file run servers of their own meanwhile.
    wait_for("the threads to end", || (lanes() < 30).then_some(()));
}
