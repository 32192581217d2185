//! What programs are told over HTTP, held against its own description.

use std::io::BufRead;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::{Answer, Http, get};
use crate::support::*;

const KEY_FILE: &str = "live/open open\nlive/shut shut\n";

fn server(options: &[&str]) -> (TempDir, Server) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), options);
    (dir, server)
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn ask(server: &Server, method: &str, path: &str, key: Option<&str>) -> Answer {
    let mut http = Http::open(server);
    let lines = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
    http.request(method, path, &lines);
    http.answer()
}

/// Holds a value against a schema of the description; says where it does not fit.
fn fits(value: &Value, schema: &Value, all: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = all.pointer(name.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{name}"));
        return fits(value, schema, all, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let some = choices.iter().any(|one| fits(value, one, all, at).is_ok());
        return if some { Ok(()) } else { Err(format!("{at}: {value} is none of {schema}")) };
    }
    let is_right = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        other => panic!("{at}: the type {other:?}"),
    };
    if !is_right || schema["enum"].as_array().is_some_and(|choices| !choices.contains(value)) {
        return Err(format!("{at}: {value} is no {schema}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(item, &schema["items"], all, &format!("{at}[{index}]"))?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(name.as_str().unwrap()) {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, item) in object {
        match schema["properties"].get(name) {
            Some(schema) => fits(item, schema, all, &format!("{at}.{name}"))?,
            None if schema["additionalProperties"] == false => return Err(format!("{at}: {name} is not described")),
            None => {}
        }
    }
    Ok(())
}

#[test]
fn every_answer_is_as_described() {
    let (dir, server) = server(&[]);
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/video/sample.flv"), dir.path().join("film.flv")).unwrap();
    std::fs::write(dir.path().join("broken.flv"), "no FLV").unwrap();
    std::fs::copy(media::sample("h264-mp3"), dir.path().join("old.flv")).unwrap();
    let mut camera = publisher(&server, "cam");
    for packet in [video(0, AVC_HEADER), audio(0, AAC_HEADER), video(0, KEY), audio(0, AAC)] {
        camera.send(packet).unwrap();
    }
    settle(&mut camera);
    let _player = player(&server, "live", "cam");
    let description = json(&get(&server, "/api/v1/openapi.json"));
    let mut held = 0;
    for (path, ways) in description["paths"].as_object().unwrap() {
        let Some(content) = ways.pointer("/get/responses/200/content") else { continue };
        if path == "/api/v1/events" {
            continue;
        }
        let answer = get(&server, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let (media_type, schema) = content.as_object().unwrap().iter().next().unwrap();
        assert!(answer.header("content-type").unwrap().starts_with(media_type), "{path}");
        if media_type == "application/json" {
            fits(&json(&answer), &schema["schema"], &description, path).unwrap_or_else(|error| panic!("{error}"));
            held += 1;
        }
    }
    assert!(held >= 6, "{held}");
    let streams = json(&get(&server, "/api/v1/streams"));
    assert_eq!(streams["streams"][0]["audio"]["codec"], "mp4a.40.2");
    assert_eq!(streams["streams"][0]["viewers"], 1);
    let videos = json(&get(&server, "/api/v1/videos"));
    let film = videos["videos"].as_array().unwrap().iter().find(|video| video["name"] == "film").unwrap();
    assert_eq!(film["video"]["width"], 640);
    let old = videos["videos"].as_array().unwrap().iter().find(|video| video["name"] == "old").unwrap();
    assert_eq!(old["audio"]["codec"], "mp4a.6B", "there is no header to tell it");
    let error = get(&server, "/api/v1/nothing");
    assert_eq!(error.status, 404);
    fits(&json(&error), &description["components"]["schemas"]["Error"], &description, "error").unwrap();
}

#[test]
fn what_needs_a_key_is_counted_and_not_shown() {
    let dir = TempDir::new().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, KEY_FILE).unwrap();
    let server = Server::with_http(dir.path(), &["--play-key-file", keys.to_str().unwrap(), "--admin-key", "adm1n"]);
    let _cameras = [publisher(&server, "open"), publisher(&server, "shut")];
    let seen = |path: &str| {
        let list = json(&get(&server, path));
        let names: Vec<_> = list["streams"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
        (names, list["locked"].as_u64().unwrap())
    };
    assert_eq!(seen("/api/v1/streams"), (vec![], 2));
    assert_eq!(seen("/api/v1/streams?key=open"), (vec!["open".into()], 1));
    assert_eq!(ask(&server, "GET", "/metrics", None).status, 401, "names are in it");
    assert_eq!(ask(&server, "GET", "/metrics", Some("adm1n")).status, 200);
    assert_eq!(get(&server, "/healthz").text(), "ok\n");
}

#[test]
fn an_administrator_ends_publishers_and_players_and_nobody_else_does() {
    let (_dir, shut) = server(&[]);
    let answer = ask(&shut, "DELETE", "/api/v1/streams/live/cam", Some("guess"));
    assert_eq!(answer.status, 403, "{}", answer.text());
    let passed_on = |lines: &str| {
        let mut http = Http::open(&shut);
        http.request("GET", "/api/v1/connections", lines);
        http.answer().status
    };
    assert_eq!((passed_on(""), passed_on("X-Forwarded-For: 192.0.2.1\r\n")), (200, 403), "proxies are not who asks");
    let (_dir, server) = server(&["--admin-key", "adm1n"]);
    let mut camera = publisher(&server, "a cam");
    let mut player = player(&server, "live", "a cam");
    for key in [None, Some("guess")] {
        let answer = ask(&server, "DELETE", "/api/v1/streams/live/a%20cam", key);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(ask(&server, "GET", "/api/v1/connections", key).status, 401);
    }
    assert_eq!(ask(&server, "DELETE", "/api/v1/streams/live/other", Some("adm1n")).status, 404);
    let mut http = Http::open(&server);
    http.request("GET", "/api/v1/connections", "Authorization: bearer adm1n\r\n");
    assert_eq!(http.answer().status, 200, "a scheme may be of any case");
    let players = json(&ask(&server, "GET", "/api/v1/players", Some("adm1n")));
    let id = players["players"][0]["id"].as_u64().unwrap();
    assert_eq!(players["players"][0]["plays"][0], "live/a cam");
    assert_eq!(ask(&server, "DELETE", &format!("/api/v1/connections/{id}"), Some("adm1n")).status, 204);
    while player.next_event().is_ok() {}
    settle(&mut camera);
    assert_eq!(ask(&server, "DELETE", "/api/v1/streams/live/a%20cam", Some("adm1n")).status, 204);
    while camera.next_event().is_ok() {}
    server.wait_for_log("ended by an administrator");
    assert!(!server.log().iter().any(|line| line.contains("adm1n") || line.contains("guess")));
    let statuses: Vec<_> = (0..20).map(|_| ask(&server, "GET", "/api/v1/players", Some("guess")).status).collect();
    assert_eq!(statuses.last(), Some(&429), "who guesses has to wait");
}

#[test]
fn connections_say_who_they_are_and_what_they_do() {
    let (_dir, server) = server(&[]);
    let mut camera = publisher(&server, "cam");
    camera.send(video(0, KEY)).unwrap();
    settle(&mut camera);
    let _player = player(&server, "live", "cam");
    let mut viewer = Http::open(&server);
    viewer.request("GET", "/live/cam.flv", &format!("User-Agent: a\"b{}\r\n", "c".repeat(1000)));
    assert_eq!(viewer.head().status, 200);
    let all = || json(&get(&server, "/api/v1/connections"))["connections"].as_array().unwrap().clone();
    let found = |protocol: &str, state: &str| {
        all().into_iter().find(|one| one["protocol"] == protocol && one["state"] == state && one["agent"] != "")
    };
    let publisher = wait_for("the publisher", || found("rtmp", "publishing"));
    assert_eq!(publisher["publishes"], serde_json::json!(["live/cam"]));
    assert!(publisher["bytes_received"].as_u64().unwrap() > 3000, "the handshake among it: {publisher}");
    let playing = wait_for("the player", || found("rtmp", "playing"));
    assert!(playing["bytes_sent"].as_u64().unwrap() > 3000 && playing["messages_dropped"] == 0, "{playing}");
    let viewing = wait_for("the viewer", || found("http", "playing"));
    assert_eq!(viewing["plays"], serde_json::json!(["live/cam"]));
    let agent = viewing["agent"].as_str().unwrap();
    assert!(agent.starts_with("a\"bccc") && agent.len() == 200, "{agent}");
    let stream = &json(&get(&server, "/api/v1/streams"))["streams"][0];
    assert_eq!((&stream["publisher"]["connection"], &stream["viewers"]), (&publisher["id"], &serde_json::json!(2)));
    drop(camera);
    let publisher = || json(&get(&server, "/api/v1/streams"))["streams"][0]["publisher"].clone();
    wait_for("the publisher to be gone", || publisher().is_null().then_some(()));
}

/// The next event of a name and its data.
fn event(http: &mut Http, name: &str) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        http.0.read_line(&mut line).unwrap();
        if line.trim_end() == format!("event: {name}") {
            line.clear();
            http.0.read_line(&mut line).unwrap();
            return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        }
    }
}

#[test]
fn changes_are_told_as_they_happen() {
    let (dir, server) = server(&[]);
    let mut http = Http::open(&server);
    http.request("GET", "/api/v1/events", "");
    assert_eq!(http.head().header("content-type"), Some("text/event-stream"));
    assert_eq!(event(&mut http, "streams")["streams"], Value::Array(vec![]));
    assert_eq!(event(&mut http, "videos")["videos"], Value::Array(vec![]));
    let began = Instant::now();
    let camera = publisher(&server, "cam");
    assert_eq!(event(&mut http, "streams")["streams"][0]["name"], "live/cam");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let began = Instant::now();
    let player = player(&server, "live", "cam");
    while event(&mut http, "streams")["streams"][0]["viewers"] != 1 {}
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    drop((camera, player));
    while event(&mut http, "streams")["streams"][0]["published"] == true {}
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/video/sample.flv"), dir.path().join("new.flv")).unwrap();
    assert_eq!(event(&mut http, "videos")["videos"][0]["name"], "new");
    let threads = || std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count();
    let before = threads();
    drop(http);
    wait_for("its thread to be gone", || (threads() < before).then_some(()));
}

#[test]
fn figures_are_what_prometheus_reads() {
    let (_dir, server) = server(&[]);
    let _evil = publisher(&server, "a\"b\\c");
    let answer = get(&server, "/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let (mut kind, mut samples) = (None, 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&of), "{line}");
            assert_eq!(of == "counter", name.ends_with("_total"), "{line}");
            kind = Some(name.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            assert_eq!(Some(name), kind.as_deref(), "{line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            samples += 1;
        }
    }
    assert!(samples > 20, "{text}");
    assert!(text.contains("gortmp_stream_published{stream=\"live/a\\\"b\\\\c\"} 1\n"), "{text}");
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
}

#[test]
fn who_watches_over_hls_is_a_viewer_for_as_long_as_it_asks() {
    let (_dir, server) = server(&[]);
    let mut camera = publisher(&server, "cam");
    camera.send(audio(0, AAC_HEADER)).unwrap();
    settle(&mut camera);
    let viewers = || json(&get(&server, "/api/v1/streams"))["streams"][0]["viewers"].as_u64().unwrap();
    assert_eq!(viewers(), 0);
    let asking = ["phone", "television", "phone"].map(|program| {
        let mut http = Http::open(&server);
        http.request("GET", "/live/cam/index.m3u8", &format!("User-Agent: {program}\r\n"));
        http
    });
    wait_for("both to be seen", || (viewers() == 2).then_some(()));
    drop(asking);
    wait_for("both to be forgotten", || (viewers() == 0).then_some(()));
}

#[test]
fn what_is_refused_is_counted() {
    let (_dir, server) = server(&["--publish-key", "s3cret", "--play-key", "pl4y", "--max-connections", "4"]);
    // One that is there before the others want in.
    let mut asking = Http::open(&server);
    let mut figure = |name: &str| {
        asking.request("GET", "/metrics", "");
        let text = asking.answer().text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name}: {text}")).parse::<f64>().unwrap()
    };
    let mut refused = |what: &str| figure(&format!("gortmp_refusals_total{{of=\"{what}\"}}"));
    assert_eq!(["connection", "connect", "publish", "play"].map(&mut refused), [0.0; 4]);
    assert!(crate::support::connect(&server, "nothing/here").is_err());
    let publish = |app| gortmp::Client::connect(&server.url(app)).unwrap().publish("cam");
    assert!(publish("live").is_err() && publish("gortmp").is_err());
    let mut player = gortmp::Client::connect(&server.url("live")).unwrap();
    assert!(player.play("cam", None).is_err());
    assert_eq!(get(&server, "/live/cam.flv").status, 403);
    assert_eq!(["connection", "connect", "publish", "play"].map(&mut refused), [0.0, 1.0, 2.0, 2.0]);
    let connect = || std::net::TcpStream::connect(server.http.unwrap()).unwrap();
    let idle: Vec<_> = (0..8).map(|_| connect()).collect();
    server.wait_for_log("rejected: the number of connections");
    drop(idle);
    assert!(refused("connection") >= 1.0);
    assert!(figure("gortmp_http_responses_total{code=\"4xx\"}") >= 1.0);
    assert!(figure("gortmp_http_responses_total{code=\"2xx\"}") >= 5.0);
}

#[test]
fn forms_of_streams_are_counted_while_somebody_wants_them() {
    let (_dir, server) = server(&["--republish-grace", "0"]);
    let forms = |form: &str, count: u32| {
        let line = format!("gortmp_forms{{form=\"{form}\"}} {count}\n");
        wait_for(&line, || get(&server, "/metrics").text().contains(&line).then_some(()));
    };
    let mut camera = publisher(&server, "cam");
    camera.send(video(0, AVC_HEADER)).unwrap();
    camera.send(video(0, KEY)).unwrap();
    settle(&mut camera);
    forms("fragments", 0);
    // One frame is no segment yet, but somebody wants them now.
    assert_eq!(get(&server, "/live/cam/index.m3u8").status, 503);
    forms("fragments", 1);
    forms("hls", 1);
    drop(camera);
    forms("fragments", 0);
    forms("hls", 0);
}

#[test]
fn totals_keep_what_went_through_streams_that_are_no_more() {
    let (_dir, server) = server(&["--republish-grace", "0"]);
    let figure = |name: &str| {
        let text = get(&server, "/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name}: {text}")).parse::<f64>().unwrap()
    };
    let mut camera = publisher(&server, "cam");
    let mut player = player(&server, "live", "cam");
    for packet in [video(0, AVC_HEADER), video(0, KEY)] {
        camera.send(packet).unwrap();
        next_media(&mut player);
    }
    drop((camera, player));
    wait_for("the stream to be forgotten", || (!get(&server, "/metrics").text().contains("live/cam")).then_some(()));
    assert_eq!(figure("gortmp_received_messages_total"), 2.0);
    assert_eq!(figure("gortmp_sent_messages_total"), 2.0);
    assert_eq!(figure("gortmp_received_bytes_total"), (AVC_HEADER.len() + KEY.len()) as f64);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - figure("process_start_time_seconds");
    assert!((0.0..60.0).contains(&age) && figure("process_cpu_seconds_total") > 0.0, "{age}");
}

/// A stream's name, a frame of video and of audio, and each codec's id and name.
type Coded = (&'static str, &'static [u8], &'static [u8], [&'static str; 2], [&'static str; 2]);

#[test]
fn every_codec_is_named_whoever_can_play_it() {
    let (dir, server) = server(&[]);
    let cases: [Coded; 4] = [
        ("sorenson-alaw", &[0x12, 0, 0, 0x84], &[0x72, 0xd5], ["flv1", "Sorenson H.263"], ["alaw", "G.711 A-law"]),
        ("vp6-speex", &[0x14, 0, 1], &[0xb2, 0x36], ["vp6f", "VP6"], ["speex", "Speex"]),
        ("vvc-flac", b"\x91vvc1\0\0\0\x01", b"\x91fLaC\x01", ["vvc1", "H.266"], ["fLaC", "FLAC"]),
        ("screen-nellymoser", &[0x13, 0, 0], &[0x6e, 1], ["flashsv", "Screen Video"], ["nellymoser", "Nellymoser"]),
    ];
    let mut cameras = Vec::new();
    for (name, video_frame, audio_frame, ..) in cases {
        let mut camera = publisher(&server, name);
        let mut file = gortmp::flv::Writer::new(Vec::new(), true, true).unwrap();
        for packet in [video(0, video_frame), audio(0, audio_frame), video(40, video_frame)] {
            file.write_packet(&packet).unwrap();
            camera.send(packet).unwrap();
        }
        std::fs::write(dir.path().join(format!("{name}.flv")), file.into_inner()).unwrap();
        cameras.push(camera);
    }
    let codecs = |thing: &Value| {
        [&thing["video"], &thing["audio"]]
            .map(|track| ["codec", "name"].map(|key| track[key].as_str().unwrap_or("").to_owned()))
    };
    for (name, _, _, video, audio) in cases {
        let expected = [video, audio].map(|track| track.map(str::to_owned));
        let find = |list: &str, key: &str, wanted: &str| {
            let all = json(&get(&server, &format!("/api/v1/{list}")));
            all[list].as_array().unwrap().iter().find(|one| one[key] == wanted).map(&codecs)
        };
        let live = || find("streams", "key", name).filter(|found| *found == expected);
        wait_for(&format!("{name} to be named"), live);
        assert_eq!(find("videos", "name", name), Some(expected), "{name}");
        let line =
            format!("gortmp_stream_info{{stream=\"live/{name}\",video=\"{}\",audio=\"{}\"}} 1\n", video[0], audio[0]);
        assert!(get(&server, "/metrics").text().contains(&line), "{line}");
    }
}

/// As in files of those who wrote Enhanced RTMP: a configuration without content first, the full one later.
#[test]
fn an_empty_configuration_is_none() {
    let (dir, server) = server(&[]);
    let mut file = gortmp::flv::Writer::new(Vec::new(), false, true).unwrap();
    let frame = b"\x91av01\x12\0\x0a\x0b";
    let packets = [&b"\x90av01"[..], frame, frame, b"\x90av01\x81\x00\x0c\x00", frame].map(|payload| video(0, payload));
    for (number, packet) in packets.into_iter().enumerate() {
        let timestamp = gortmp::media::Timestamp::new(40 * number as u32);
        file.write_packet(&gortmp::media::Packet { timestamp, ..packet }).unwrap();
    }
    let bytes = file.into_inner();
    std::fs::write(dir.path().join("film.flv"), &bytes).unwrap();
    let mut camera = publisher(&server, "cam");
    let mut reader = gortmp::flv::Reader::new(&bytes[..]).unwrap();
    while let Some(packet) = reader.next_packet().unwrap() {
        camera.send(packet).unwrap();
    }
    let told = |list: &str| json(&get(&server, &format!("/api/v1/{list}")))[list][0]["video"]["codec"].clone();
    wait_for("the live stream's codec", || (told("streams") == "av01.0.00M.08").then_some(()));
    assert_eq!(told("videos"), "av01.0.00M.08");
    assert!(get(&server, "/gortmp/film/index.m3u8").text().contains("CODECS=\"av01.0.00M.08\""));
}

#[test]
fn prometheus_accepts_the_metrics() {
    let (_dir, server) = server(&[]);
    let mut camera = publisher(&server, "cam \"1\"");
    camera.send(video(0, AVC_HEADER)).unwrap();
    wait_for("the stream", || get(&server, "/metrics").text().contains("live/cam").then_some(()));
    let figures = get(&server, "/metrics");
    let mut check = tool("promtool", "prometheus");
    check.args(["check", "metrics"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut check = check.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), &figures.body).unwrap();
    let output = check.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && text.is_empty(), "{}", String::from_utf8_lossy(&text));
}
