//! Live streams: who gets what, from where on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gortmp::amf::{Object, Value, amf0};
use gortmp::media::{Packet, PacketKind, Timestamp};
use gortmp::rtmp::user_control::UserControl;
use gortmp::{Client, ClientEvent};

use crate::support::*;

/// The next media's times and payloads.
fn next(client: &mut Client, count: usize) -> Vec<(u32, Vec<u8>)> {
    let media = next_medias(client, count);
    media.into_iter().map(|packet| (packet.timestamp.milliseconds(), packet.payload.to_vec())).collect()
}

fn expected(media: &[(u32, &[u8])]) -> Vec<(u32, Vec<u8>)> {
    media.iter().map(|(time, payload)| (*time, payload.to_vec())).collect()
}

fn send_all(publisher: &mut Client, packets: impl IntoIterator<Item = Packet>) {
    packets.into_iter().for_each(|packet| publisher.send(packet).unwrap());
    settle(publisher);
}

#[test]
fn a_late_player_gets_headers_at_the_key_frames_time_then_the_frames_since_then_what_follows() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "late");
    let old = numbered(INTER, 1);
    let new = numbered(INTER, 2);
    send_all(
        &mut publisher,
        [
            video(0, AVC_HEADER),
            audio(0, AAC_HEADER),
            video(0, KEY),
            video(40, &old),
            video(2_000, KEY),
            audio(2_010, AAC),
            video(2_040, &new),
        ],
    );
    let mut player = player(&server, "live", "late");
    let start = next(&mut player, 5);
    let mut headers = start[..2].to_vec();
    headers.sort();
    assert_eq!(headers, expected(&[(2_000, AVC_HEADER), (2_000, AAC_HEADER)]));
    assert_eq!(start[2..], expected(&[(2_000, KEY), (2_010, AAC), (2_040, &new)]));
    send_all(&mut publisher, [audio(2_050, AAC), video(2_080, INTER)]);
    assert_eq!(next(&mut player, 2), expected(&[(2_050, AAC), (2_080, INTER)]));
}

#[test]
fn players_that_come_to_a_running_stream_miss_nothing_and_get_nothing_twice() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "running");
    publisher.send(video(0, AVC_HEADER)).unwrap();
    settle(&mut publisher);
    let stop = Arc::new(AtomicBool::new(false));
    // Others, so that there is always something under way.
    let crowd: Vec<_> = (0..10)
        .map(|_| {
            let mut player = player(&server, "live", "running");
            let stopped = stop.clone();
            std::thread::spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    next_media(&mut player);
                }
            })
        })
        .collect();
    let stopped = stop.clone();
    let publishing = std::thread::spawn(move || {
        let mut count = 0;
        while !stopped.load(Ordering::Relaxed) {
            let sample = if count % 25 == 0 { KEY } else { INTER };
            publisher.send(video(count, &numbered(sample, count))).unwrap();
            if count % 100 == 0 {
                settle(&mut publisher);
            }
            count += 1;
        }
        // Enough for all that still wait for one.
        (0..100).for_each(|n| publisher.send(video(count + n, &numbered(KEY, count + n))).unwrap());
        settle(&mut publisher);
    });
    for _ in 0..100 {
        let mut player = player(&server, "live", "running");
        assert_eq!(next_media(&mut player).payload, AVC_HEADER);
        let media = next_medias(&mut player, 60);
        assert!(media[0].is_key_frame());
        let first = number(&media[0]);
        assert_eq!(media.iter().map(number).collect::<Vec<_>>(), (first..first + 60).collect::<Vec<_>>());
        assert!(media.iter().all(|packet| packet.timestamp.milliseconds() == number(packet)));
    }
    stop.store(true, Ordering::Relaxed);
    publishing.join().unwrap();
    crowd.into_iter().for_each(|player| player.join().unwrap());
}

/// Joins behind a key frame at 0 and a video frame at 40 and returns the first video frames' times.
fn first_video_frames(server: &Server, publisher: &mut Client, name: &str, play: &str) -> Vec<u32> {
    send_all(publisher, [video(0, AVC_HEADER), video(0, KEY), video(40, INTER)]);
    let mut player = player(server, "live", &format!("{name}{play}"));
    assert_eq!(next_media(&mut player).payload, AVC_HEADER);
    send_all(publisher, [video(80, INTER), video(120, KEY), video(160, INTER)]);
    let mut times = Vec::new();
    while times.last() != Some(&160) {
        times.push(next_media(&mut player).timestamp.milliseconds());
    }
    times
}

#[test]
fn where_a_player_starts_is_the_servers_choice_unless_the_player_has_its_own() {
    let all = [0, 40, 80, 120, 160].as_slice();
    let from_next = [120, 160].as_slice();
    for (options, play, times) in [
        ([].as_slice(), "", all),
        (&[], "?gop=0", from_next),
        (&[], "?gop=1", all),
        (&["--gop-cache", "off"], "", from_next),
        (&["--gop-cache", "off"], "?gop=1", all),
        (&["--gop-cache", "off"], "?gop=0", from_next),
        (&["--gop-cache", "off"], "?key=x&gop=1", all),
        (&["--gop-cache", "on"], "", all),
    ] {
        let server = Server::start(options);
        let mut publisher = publisher(&server, "gop");
        let started = first_video_frames(&server, &mut publisher, "gop", play);
        assert_eq!(started, times, "{options:?} {play}");
    }
}

#[test]
fn audio_alone_starts_at_once() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "audio");
    send_all(&mut publisher, [audio(0, AAC_HEADER), audio(0, AAC), audio(23, AAC)]);
    let mut player = player(&server, "live", "audio");
    assert_eq!(next(&mut player, 1), expected(&[(23, AAC_HEADER)]));
    send_all(&mut publisher, [audio(46, AAC), audio(69, AAC)]);
    assert_eq!(next(&mut player, 2), expected(&[(46, AAC), (69, AAC)]));
}

#[test]
fn video_alone_starts_at_the_key_frame() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "silent");
    send_all(&mut publisher, [video(0, AVC_HEADER), video(0, KEY), video(40, INTER)]);
    let mut player = player(&server, "live", "silent");
    assert_eq!(next(&mut player, 3), expected(&[(0, AVC_HEADER), (0, KEY), (40, INTER)]));
}

#[test]
fn players_may_wait_for_their_publisher() {
    let server = Server::start(&[]);
    let mut players: Vec<_> = (0..3).map(|_| player(&server, "live", "soon")).collect();
    players.iter_mut().for_each(|player| {
        settle(player);
    });
    let mut publisher = publisher(&server, "soon");
    let media = [(7, AVC_HEADER), (7, AAC_HEADER), (7, KEY), (20, AAC), (47, INTER)];
    let packets = media.map(|(time, bytes)| if bytes[0] == 0xaf { audio(time, bytes) } else { video(time, bytes) });
    send_all(&mut publisher, packets);
    for player in &mut players {
        assert_eq!(next(player, 5), expected(&media));
    }
}

#[test]
fn a_player_that_waits_gets_no_video_before_a_key_frame() {
    let server = Server::start(&[]);
    let mut player = player(&server, "live", "middle");
    settle(&mut player);
    let mut publisher = publisher(&server, "middle");
    send_all(&mut publisher, [video(0, INTER), audio(5, AAC), video(40, INTER), video(80, KEY), video(120, INTER)]);
    assert_eq!(next(&mut player, 3), expected(&[(5, AAC), (80, KEY), (120, INTER)]));
}

fn data(timestamp: u32, values: &[Value]) -> Packet {
    Packet { kind: PacketKind::Data, timestamp: Timestamp::new(timestamp), payload: amf0::encode_all(values).into() }
}

/// The next data message but the one for Flash.
fn next_data(client: &mut Client) -> Packet {
    loop {
        match client.next_event().unwrap() {
            ClientEvent::Media(packet)
                if packet.kind == PacketKind::Data && !packet.payload.starts_with(b"\x02\x00\x11|RtmpSampleAccess") =>
            {
                return packet;
            }
            _ => {}
        }
    }
}

#[test]
fn metadata_comes_without_its_envelope_and_without_a_duration() {
    let server = Server::start(&[]);
    let mut early = player(&server, "live", "meta");
    settle(&mut early);
    let mut publisher = publisher(&server, "meta");
    let sent = Object::new()
        .with("duration", 0.0)
        .with("width", 640.0)
        .with("filesize", 0.0)
        .with("encoder", "test")
        .with("height", 360.0);
    let metadata = data(3, &["@setDataFrame".into(), "onMetaData".into(), Value::EcmaArray(sent)]);
    send_all(&mut publisher, [metadata, video(5, AVC_HEADER), video(5, KEY)]);
    let kept = Object::new().with("width", 640.0).with("encoder", "test").with("height", 360.0);
    let relayed = data(0, &["onMetaData".into(), Value::EcmaArray(kept)]);
    assert_eq!(next_data(&mut early), relayed);
    assert_eq!(next_media(&mut early).payload, AVC_HEADER, "metadata first");

    let mut late = player(&server, "live", "meta");
    assert_eq!(next_data(&mut late), relayed);
    assert_eq!(next_media(&mut late).payload, AVC_HEADER, "metadata first");

    let text = data(45, &["onTextData".into(), Object::new().with("text", "hello").into()]);
    send_all(&mut publisher, [text.clone()]);
    assert_eq!(next_data(&mut early), text);
    assert_eq!(next_data(&mut late), text);
}

#[test]
fn one_stream_under_all_the_forms_of_its_name() {
    let server = Server::start(&["--live-app", "live", "--live-app", "cam"]);
    let mut publisher = publisher(&server, "yard/caf%C3%A9 1?key=secret");
    send_all(&mut publisher, [video(0, KEY)]);
    for (app, name) in [
        ("live", "yard/café 1"),
        ("live/yard", "caf%C3%A9%201"),
        ("live/yard/", "café 1.flv"),
        ("live", "flv:yard/café 1"),
        ("live/_definst_", "/yard/café 1"),
        ("live?token=x", "yard/café 1?other=y"),
    ] {
        let mut player = connect(&server, app).unwrap();
        player.set_read_timeout(Some(PATIENCE)).unwrap();
        player.play(name, None).unwrap();
        assert_eq!(next_media(&mut player).payload, KEY, "{app} + {name}");
    }
    let mut other = player(&server, "cam", "yard/café 1");
    settle(&mut other);
    let mut elsewhere = Client::connect(&server.url("cam")).unwrap();
    elsewhere.publish("yard/café 1").unwrap();
    elsewhere.send(video(9, KEY)).unwrap();
    assert_eq!(next(&mut other, 1), expected(&[(9, KEY)]), "each application has names of its own");
    assert!(server.log().iter().all(|line| !line.contains("secret")), "no key in the log");
}

#[test]
fn receive_video_and_receive_audio_leave_a_kind_out() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "kinds");
    send_all(&mut publisher, [video(0, AVC_HEADER), audio(0, AAC_HEADER), video(0, KEY)]);
    let mut player = player(&server, "live", "kinds");
    next_medias(&mut player, 3);
    let receive = |player: &mut Client, what: &str, wanted: bool| {
        player.send_command(what, Value::Null, vec![wanted.into()]).unwrap();
        if wanted {
            assert_eq!(next_status(player), "NetStream.Seek.Notify");
            assert_eq!(next_status(player), "NetStream.Play.Start");
        }
        settle(player)
    };

    receive(&mut player, "receiveVideo", false);
    send_all(&mut publisher, [video(40, INTER), audio(41, AAC), video(80, KEY), audio(82, AAC)]);
    assert_eq!(next(&mut player, 2), expected(&[(41, AAC), (82, AAC)]));
    receive(&mut player, "receiveVideo", true);
    // It did without the video frames that this one needs.
    send_all(&mut publisher, [video(120, INTER), audio(123, AAC), video(160, KEY), video(200, INTER)]);
    assert_eq!(next(&mut player, 3), expected(&[(123, AAC), (160, KEY), (200, INTER)]));

    receive(&mut player, "receiveAudio", false);
    send_all(&mut publisher, [audio(205, AAC), video(240, INTER)]);
    assert_eq!(next(&mut player, 1), expected(&[(240, INTER)]));
    receive(&mut player, "receiveAudio", true);
    send_all(&mut publisher, [audio(246, AAC), video(280, INTER)]);
    assert_eq!(next(&mut player, 2), expected(&[(246, AAC), (280, INTER)]));
}

#[test]
fn a_pause_leaves_out_what_is_live_meanwhile() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "pause");
    send_all(&mut publisher, [video(0, AVC_HEADER), video(0, KEY)]);
    let mut player = player(&server, "live", "pause");
    next_medias(&mut player, 2);
    player.send_command("pause", Value::Null, vec![true.into(), 0.0.into()]).unwrap();
    assert_eq!(next_status(&mut player), "NetStream.Pause.Notify");
    send_all(&mut publisher, [video(40, INTER), video(80, KEY), video(120, INTER)]);
    assert_eq!(settle(&mut player), [], "paused");

    player.send_command("pause", Value::Null, vec![false.into(), 0.0.into()]).unwrap();
    assert_eq!(next_status(&mut player), "NetStream.Unpause.Notify");
    assert_eq!(next(&mut player, 1), expected(&[(120, AVC_HEADER)]));
    send_all(&mut publisher, [video(160, INTER), video(200, KEY), video(240, INTER)]);
    assert_eq!(next(&mut player, 2), expected(&[(200, KEY), (240, INTER)]));
}

#[test]
fn a_seek_in_a_live_stream_is_answered_and_goes_nowhere() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "seek");
    send_all(&mut publisher, [video(0, AVC_HEADER), video(0, KEY)]);
    let mut player = player(&server, "live", "seek");
    next_medias(&mut player, 2);
    player.send_command("seek", Value::Null, vec![3_000.0.into()]).unwrap();
    assert_eq!(next_status(&mut player), "NetStream.Seek.Notify");
    assert_eq!(next(&mut player, 1), expected(&[(0, AVC_HEADER)]));
    send_all(&mut publisher, [video(40, KEY)]);
    assert_eq!(next(&mut player, 1), expected(&[(40, KEY)]));
}

#[test]
fn a_player_that_plays_something_else_gets_no_more_of_the_first() {
    let server = Server::start(&[]);
    let mut first = publisher(&server, "first");
    let mut second = publisher(&server, "second");
    send_all(&mut first, [video(0, &numbered(KEY, 1))]);
    send_all(&mut second, [video(0, &numbered(KEY, 2))]);
    let mut player = player(&server, "live", "first");
    assert_eq!(number(&next_media(&mut player)), 1);
    player.play("second", None).unwrap();
    // The answer comes before the subscription, the GOP after it.
    assert_eq!(number(&next_media(&mut player)), 2);
    send_all(&mut first, [video(40, &numbered(KEY, 1))]);
    send_all(&mut second, [video(40, &numbered(KEY, 2))]);
    assert_eq!(number(&next_media(&mut player)), 2);

    player.send_command("closeStream", Value::Null, Vec::new()).unwrap();
    settle(&mut player);
    send_all(&mut second, [video(80, &numbered(KEY, 2))]);
    assert_eq!(settle(&mut player), [], "closed");
}

#[test]
fn a_connection_publishes_on_one_message_stream_and_plays_on_another() {
    let server = Server::start(&[]);
    let mut wire = wire::Wire::publisher(server.address, "echo");
    wire.send(&wire::command(0, 3.0, "createStream", Value::Null, Vec::new()));
    let id = wire.answer(3.0).argument(0).as_number().unwrap();
    assert_eq!(id, 2.0);
    wire.send(&wire::command(2, 0.0, "play", Value::Null, vec!["echo".into()]));
    assert_eq!(wire.wait_for_status("NetStream.Play.Start"), 2);
    let mut outside = player(&server, "live", "echo");
    settle(&mut outside);

    // Large enough for several chunks of 128 bytes.
    let video_frame = [KEY, &[7; 500]].concat();
    wire.send(&wire::message(6, 0, 9, 1, &video_frame));
    wire.send(&wire::message(4, 3, 8, 1, AAC));
    let own = [wire.next_media(), wire.next_media()];
    assert_eq!(own.each_ref().map(|raw| (raw.stream_id, raw.timestamp.milliseconds())), [(2, 0), (2, 3)]);
    assert_eq!((&own[0].payload[..], &own[1].payload[..]), (&video_frame[..], AAC));
    assert_eq!(next(&mut outside, 2), expected(&[(0, &video_frame), (3, AAC)]));

    // The end of the one is not the end of the other.
    wire.send(&wire::command(0, 0.0, "deleteStream", Value::Null, vec![2.0.into()]));
    wire.send(&wire::message(6, 40, 9, 1, INTER));
    assert_eq!(next(&mut outside, 1), expected(&[(40, INTER)]));
}

#[test]
fn enhanced_codecs_pass_byte_for_byte_and_serve_late_players() {
    let server = Server::start(&[]);
    let mut early = player(&server, "live", "enhanced");
    settle(&mut early);
    let mut publisher = publisher(&server, "enhanced");
    // Packet types: 0 sequence start, 1 coded frames with, 3 without composition time, 4 metadata.
    let hevc_header: &[u8] = b"\x90hvc1\x01\x01\x60\x00\x00\x00";
    let hevc_colours: &[u8] = b"\x94hvc1\x02\x00\x09colorInfo";
    let hevc_key: &[u8] = b"\x91hvc1\x00\x00\x28\x00\x00\x00\x02\x26\x01";
    let hevc_inter: &[u8] = b"\xa3hvc1\x00\x00\x00\x02\x02\x01";
    let opus_header: &[u8] = b"\x90OpusOpusHead\x01\x02";
    let opus: &[u8] = b"\x91Opus\xfc\xff\xfe";
    let opus_multitrack: &[u8] = b"\x95\x01Opus\x01\xfc\xff\xfd";
    let sent = [
        video(0, hevc_header),
        video(0, hevc_colours),
        audio(0, opus_header),
        video(0, hevc_key),
        audio(20, opus),
        video(33, hevc_inter),
        video(66, hevc_key),
        audio(70, opus_multitrack),
        video(99, hevc_inter),
    ];
    send_all(&mut publisher, sent.clone());
    assert_eq!(next_medias(&mut early, sent.len()), sent);

    let mut late = player(&server, "live", "enhanced");
    let mut headers = next(&mut late, 3);
    headers.sort();
    let mut wanted = expected(&[(66, opus_header), (66, hevc_header), (66, hevc_colours)]);
    wanted.sort();
    assert_eq!(headers, wanted);
    assert_eq!(next(&mut late, 3), expected(&[(66, hevc_key), (70, opus_multitrack), (99, hevc_inter)]));
}

#[test]
fn empty_messages_and_end_of_sequence_do_no_harm() {
    let server = Server::start(&[]);
    let mut early = player(&server, "live", "empty");
    settle(&mut early);
    let mut publisher = publisher(&server, "empty");
    let end: &[u8] = &[0x17, 2, 0, 0, 0];
    send_all(
        &mut publisher,
        [video(0, &[]), audio(0, &[]), video(0, AVC_HEADER), video(0, KEY), video(40, &[]), video(40, end)],
    );
    assert_eq!(next(&mut early, 3), expected(&[(0, AVC_HEADER), (0, KEY), (40, end)]));
    let mut late = player(&server, "live", "empty");
    assert_eq!(next(&mut late, 2), expected(&[(0, AVC_HEADER), (0, KEY)]), "the end starts nothing");
}

#[test]
fn a_player_is_told_that_its_stream_begins() {
    let server = Server::start(&[]);
    let mut player = Client::connect(&server.url("live")).unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    player.send_command("play", Value::Null, vec!["begins".into()]).unwrap();
    assert_eq!(player.next_event().unwrap(), ClientEvent::UserControl(UserControl::StreamBegin(1)));
    assert_eq!(next_status(&mut player), "NetStream.Play.Reset");
    assert_eq!(next_status(&mut player), "NetStream.Play.Start");
}

#[test]
fn whatever_start_a_player_asks_for_a_live_stream_is_live() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "start");
    send_all(&mut publisher, [video(0, KEY)]);
    // ffmpeg, rtmpdump --live, GStreamer, what the specification says, rtmpdump, a number with a length behind.
    for arguments in
        [&[][..], &[-2_000.0], &[-1_000.0], &[-2.0], &[-1.0], &[0.0], &[3_000.0], &[0.0, -1.0], &[-2.0, 5.0]]
    {
        let mut player = Client::connect(&server.url("live")).unwrap();
        player.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = [Value::from("start")];
        let arguments = name.into_iter().chain(arguments.iter().map(|number| Value::from(*number)));
        player.send_command("play", Value::Null, arguments.collect()).unwrap();
        assert_eq!(next_media(&mut player).payload, KEY);
    }
}

#[test]
fn the_length_of_a_live_stream_is_none() {
    let server = Server::start(&[]);
    let mut wire = wire::Wire::open(server.address, "live");
    wire.send(&wire::command(0, 3.0, "getStreamLength", Value::Null, vec!["any".into()]));
    assert_eq!(wire.answer(3.0).argument(0), &Value::Number(0.0));
}

#[test]
fn a_crowd_gets_the_same() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "crowd");
    send_all(&mut publisher, [video(0, AVC_HEADER)]);
    let crowd: Vec<_> = (0..60)
        .map(|_| {
            let mut player = player(&server, "live", "crowd");
            assert_eq!(next_media(&mut player).payload, AVC_HEADER);
            std::thread::spawn(move || next_medias(&mut player, 300))
        })
        .collect();
    let sent: Vec<_> = (0..300)
        .map(|n| match n % 30 {
            0 => video(n, &numbered(KEY, n)),
            even if even % 2 == 0 => video(n, &numbered(INTER, n)),
            _ => audio(n, &numbered(AAC, n)),
        })
        .collect();
    send_all(&mut publisher, sent.clone());
    for player in crowd {
        assert_eq!(player.join().unwrap(), sent);
    }
}

#[test]
fn the_newest_metadata_is_kept_until_it_is_cleared() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "renewed");
    let metadata = |width: f64| data(0, &["onMetaData".into(), Value::EcmaArray(Object::new().with("width", width))]);
    send_all(&mut publisher, [metadata(1.0), metadata(2.0), video(0, KEY)]);
    let mut first = player(&server, "live", "renewed");
    assert_eq!(next_data(&mut first), metadata(2.0));
    send_all(&mut publisher, [data(0, &["@clearDataFrame".into(), "onMetaData".into()]), metadata(3.0)]);
    send_all(&mut publisher, [data(0, &["@clearDataFrame".into(), "onMetaData".into()])]);
    assert_eq!(next_data(&mut first), metadata(3.0));
    let mut second = player(&server, "live", "renewed");
    assert_eq!(next_media(&mut second).payload, KEY);
    send_all(&mut publisher, [metadata(4.0)]);
    assert_eq!(next_data(&mut second), metadata(4.0), "nothing was kept");
}
