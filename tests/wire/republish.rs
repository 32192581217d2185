//! Publishers that go, come back and quarrel, and what their players see of it.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use gortmp::amf::Value;
use gortmp::media::{Packet, PacketKind};
use gortmp::rtmp::message::Message;
use gortmp::rtmp::user_control::UserControl;
use gortmp::{Client, ClientEvent, Error};

use crate::support;
use crate::support::*;

const OTHER_AVC_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x28];
const OTHER_AAC_HEADER: &[u8] = &[0xaf, 0, 0x11, 0x90];

fn times(media: &[Packet]) -> Vec<u32> {
    media.iter().map(|packet| packet.timestamp.milliseconds()).collect()
}

fn send_all(publisher: &mut Client, packets: impl IntoIterator<Item = Packet>) {
    packets.into_iter().for_each(|packet| publisher.send(packet).unwrap());
    settle(publisher);
}

/// Resets the connection, as a machine does whose program was killed with data unread.
fn reset(client: Client) {
    rustix::net::sockopt::set_socket_linger(client.tcp_stream(), Some(Duration::ZERO)).unwrap();
}

/// Tells the server, as ffmpeg does, and closes.
fn unpublish(mut client: Client, name: &str) {
    client.send_command("FCUnpublish", Value::Null, vec![name.into()]).unwrap();
    client.send_message(0, &delete_stream()).unwrap();
    assert_eq!(next_status(&mut client), "NetStream.Unpublish.Success");
}

fn delete_stream() -> Message {
    Message::Command(gortmp::rtmp::command::Command::new("deleteStream", vec![Value::Null, 1.0.into()]))
}

/// Publishes under a name whose last publisher has just gone; the server may not have seen it yet.
fn publish_when_free(server: &Server, name: &str) -> Client {
    wait_for("the name to be free", || {
        let mut client = Client::connect(&server.url("live")).expect("connects");
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.publish(name).ok().map(|()| client)
    })
}

fn refusal(server: &Server, name: &str) -> Option<String> {
    let mut client = Client::connect(&server.url("live")).expect("connects");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    match client.publish(name) {
        Ok(()) => None,
        Err(Error::Refused { code, .. }) => Some(code.into_owned()),
        Err(error) => panic!("{error}"),
    }
}

/// Waits for the end of a connection, whatever comes before; says whether it came by a reset or a close.
fn wait_for_end(client: &mut Client) {
    loop {
        match client.next_event() {
            Ok(_) => {}
            Err(error) if error.is_disconnect() => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn players_stay_when_their_stream_is_published_again() {
    let server = Server::start(&[]);
    for (name, leave) in [
        ("clean", unpublish as fn(Client, &str)),
        ("closed", |client, _| drop(client)),
        ("killed", |client, _| reset(client)),
    ] {
        let mut player = player(&server, "live", name);
        settle(&mut player);
        let mut first = publisher(&server, name);
        send_all(&mut first, [video(5_000, AVC_HEADER), audio(5_000, AAC_HEADER), video(5_000, KEY)]);
        send_all(&mut first, [audio(5_023, AAC), video(5_040, INTER)]);
        assert_eq!(times(&next_medias(&mut player, 5)), [5_000, 5_000, 5_000, 5_023, 5_040]);
        leave(first, name);

        let mut second = publish_when_free(&server, name);
        let frames = [video(0, INTER), audio(0, AAC), video(40, KEY), audio(43, AAC), video(80, INTER)];
        let headers = [video(0, OTHER_AVC_HEADER), audio(0, OTHER_AAC_HEADER)];
        send_all(&mut second, headers.clone().into_iter().chain(frames.clone()));
        // Nothing but media: any status would end a player.
        let mut seen = Vec::new();
        while seen.len() < 6 {
            match player.next_event().unwrap() {
                ClientEvent::Media(packet) => seen.push(packet),
                other => panic!("{name}: {other:?}"),
            }
        }
        let payloads: Vec<_> = seen.iter().map(|packet| packet.payload.clone()).collect();
        let wanted = [OTHER_AVC_HEADER, OTHER_AAC_HEADER, AAC, KEY, AAC, INTER];
        assert_eq!(payloads, wanted, "{name}: headers first, no video frame that needs a lost one");
        let times = times(&seen);
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{name}: {times:?}");
        assert!(times[0] >= 5_040 && times[2] > 5_040 && times[2] < 6_000, "{name}: it goes on: {times:?}");
        let steps: Vec<_> = times[2..].iter().map(|time| time - times[2]).collect();
        assert_eq!(steps, [0, 40, 43, 80], "{name}: one offset for audio and video");

        // Who comes now starts with the new headers and knows nothing of the first publisher.
        let mut late = support::player(&server, "live", name);
        let mut start = next_medias(&mut late, 5);
        assert_eq!(start.split_off(2), seen[3..], "{name}");
        start.sort_by_key(|packet| packet.kind);
        assert_eq!(start.iter().map(|p| &*p.payload).collect::<Vec<_>>(), [OTHER_AAC_HEADER, OTHER_AVC_HEADER]);
    }
}

#[test]
fn equal_headers_come_again_as_well() {
    let server = Server::start(&[]);
    let mut player = player(&server, "live", "same");
    settle(&mut player);
    for _ in 0..3 {
        let mut publisher = publish_when_free(&server, "same");
        send_all(&mut publisher, [video(0, AVC_HEADER), video(0, KEY)]);
        let media = next_medias(&mut player, 2);
        assert_eq!(media.iter().map(|packet| &*packet.payload).collect::<Vec<_>>(), [AVC_HEADER, KEY]);
    }
}

#[test]
fn a_stream_that_nobody_watched_starts_anew() {
    let server = Server::start(&[]);
    let mut first = publisher(&server, "unseen");
    send_all(&mut first, [video(900_000, KEY)]);
    drop(first);
    let mut second = publish_when_free(&server, "unseen");
    send_all(&mut second, [video(10, KEY)]);
    let mut player = player(&server, "live", "unseen");
    assert_eq!(times(&next_medias(&mut player, 1)), [10]);
}

#[test]
fn when_the_grace_is_over_players_are_told_and_closed() {
    let server = Server::start(&["--republish-grace", "1"]);
    let mut early = player(&server, "live", "grace");
    let mut publisher = publisher(&server, "grace");
    send_all(&mut publisher, [video(0, KEY)]);
    next_media(&mut early);
    // Waits for another stream and is not concerned.
    let mut other = player(&server, "live", "nobody");
    settle(&mut other);
    drop(publisher);
    let left = Instant::now();
    let mut late = player(&server, "live", "grace");
    settle(&mut late);

    for player in [&mut early, &mut late] {
        assert_eq!(player.next_event().unwrap(), ClientEvent::UserControl(UserControl::StreamEof(1)));
        assert!(left.elapsed() >= Duration::from_millis(900), "after {:?}", left.elapsed());
        assert_eq!(next_status(player), "NetStream.Play.UnpublishNotify");
        assert_eq!(next_status(player), "NetStream.Play.Stop");
        let told = Instant::now();
        assert!(matches!(player.next_event(), Err(error) if error.is_disconnect()), "then the connection is closed");
        assert!(told.elapsed() < Duration::from_secs(5));
    }
    settle(&mut other);
    assert!(server.log().iter().all(|line| !line.contains("WARN")), "an end is nothing to warn of");
}

#[test]
fn who_was_told_the_end_may_play_on() {
    let server = Server::start(&["--republish-grace", "0"]);
    let mut player = player(&server, "live", "again");
    settle(&mut player);
    let first = publisher(&server, "again");
    drop(first);
    assert_eq!(next_status(&mut player), "NetStream.Play.UnpublishNotify");
    assert_eq!(next_status(&mut player), "NetStream.Play.Stop");
    player.play("again", None).unwrap();
    let told = Instant::now();
    // Past the moment at which the connection would have been closed.
    while told.elapsed() < Duration::from_secs(2) {
        settle(&mut player);
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut second = publish_when_free(&server, "again");
    send_all(&mut second, [video(0, KEY)]);
    assert_eq!(next_media(&mut player).payload, KEY);
}

#[test]
fn a_publisher_that_is_gone_frees_its_name_at_once() {
    // No other way to get the name: a live publisher is never replaced.
    let server = Server::start(&["--replace-publisher", "never"]);
    for (name, leave) in [
        ("reset", (|client, _| reset(client)) as fn(Client, &str)),
        ("close", |client, _| drop(client)),
        ("tell", unpublish),
    ] {
        let mut first = publisher(&server, name);
        send_all(&mut first, [video(0, KEY)]);
        assert_eq!(refusal(&server, name).as_deref(), Some("NetStream.Publish.BadName"));
        leave(first, name);
        let left = Instant::now();
        publish_when_free(&server, name);
        assert!(left.elapsed() < Duration::from_secs(2), "{name}: {:?}", left.elapsed());
    }
}

#[test]
fn a_publisher_that_ends_politely_may_publish_again_on_its_connection() {
    let server = Server::start(&["--replace-publisher", "never"]);
    let mut publisher = publisher(&server, "twice");
    send_all(&mut publisher, [video(0, KEY)]);
    publisher.send_command("closeStream", Value::Null, Vec::new()).unwrap();
    assert_eq!(next_status(&mut publisher), "NetStream.Unpublish.Success");
    publisher.publish("other").unwrap();
    send_all(&mut publisher, [video(0, AAC)]);
    assert_eq!(refusal(&server, "twice"), None, "the first name is free");
    assert_eq!(refusal(&server, "other").as_deref(), Some("NetStream.Publish.BadName"));
}

#[test]
fn a_second_publisher_is_refused_and_the_first_goes_on() {
    for option in ["never", "idle"] {
        let server = Server::start(&["--replace-publisher", option]);
        let mut player = player(&server, "live", "taken");
        let mut first = publisher(&server, "taken");
        send_all(&mut first, [video(0, AVC_HEADER), video(0, KEY)]);
        assert_eq!(refusal(&server, "taken").as_deref(), Some("NetStream.Publish.BadName"), "{option}");
        send_all(&mut first, [video(40, INTER)]);
        assert_eq!(times(&next_medias(&mut player, 3)), [0, 0, 40], "{option}: as if nothing had happened");
        server.wait_for_log("WARN");
    }
}

#[test]
fn a_refused_publisher_that_sends_on_still_reads_why() {
    let server = Server::start(&[]);
    let mut first = publisher(&server, "eager");
    send_all(&mut first, [video(0, KEY)]);
    for _ in 0..5 {
        let mut second = wire::Wire::open(server.address, "live");
        // Without waiting for the answer, as encoders do: much of it is unread when the server closes.
        let mut bytes = wire::publish_command("eager");
        (0..40).for_each(|time| bytes.extend(wire::message(6, time, 9, 1, &[KEY, &[1; 100_000]].concat())));
        let mut socket: TcpStream = second.socket.try_clone().unwrap();
        let sending = std::thread::spawn(move || socket.write_all(&bytes));
        second.wait_for_status("NetStream.Publish.BadName");
        // A reset instead could overtake the answer.
        let end = loop {
            match second.read() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(end, Error::Disconnected), "{end}");
        sending.join().unwrap().unwrap();
    }
    assert_eq!(settle(&mut first), []);
}

#[test]
fn a_silent_publisher_is_replaced_after_five_seconds() {
    let server = Server::start(&["--replace-publisher", "idle"]);
    let mut player = player(&server, "live", "idle");
    let mut first = publisher(&server, "idle");
    send_all(&mut first, [video(7_000, AVC_HEADER), video(7_000, KEY)]);
    next_medias(&mut player, 2);
    let silent = Instant::now();
    assert_eq!(refusal(&server, "idle").as_deref(), Some("NetStream.Publish.BadName"));
    let mut second = publish_when_free(&server, "idle");
    let waited = silent.elapsed();
    assert!(waited > Duration::from_millis(4_500) && waited < Duration::from_secs(9), "{waited:?}");
    wait_for_end(&mut first);
    send_all(&mut second, [video(0, OTHER_AVC_HEADER), video(0, KEY)]);
    let media = next_medias(&mut player, 2);
    assert_eq!(media.iter().map(|packet| &*packet.payload).collect::<Vec<_>>(), [OTHER_AVC_HEADER, KEY]);
    assert!(media[1].timestamp.milliseconds() > 7_000, "{media:?}");
}

#[test]
fn with_always_the_last_publisher_wins() {
    let server = Server::start(&["--replace-publisher", "always"]);
    let mut player = player(&server, "live", "always");
    let mut first = publisher(&server, "always");
    send_all(&mut first, [video(0, AVC_HEADER), video(0, KEY), video(40, INTER)]);
    let mut second = publisher(&server, "always");
    wait_for_end(&mut first);
    send_all(&mut second, [video(0, OTHER_AVC_HEADER), video(0, INTER), video(40, KEY)]);
    let media = next_medias(&mut player, 5);
    let payloads: Vec<_> = media.iter().map(|packet| &*packet.payload).collect();
    assert_eq!(payloads, [AVC_HEADER, KEY, INTER, OTHER_AVC_HEADER, KEY]);
    assert!(times(&media).windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", times(&media));
    // The one that was replaced has nothing more to free.
    std::thread::sleep(Duration::from_millis(50));
    send_all(&mut second, [video(80, INTER)]);
    assert_eq!(next_media(&mut player).payload, INTER);
}

/// Sends audio and video with the times that a publisher gives and returns those that a player gets.
fn relayed(server: &Server, name: &str, frames: &[(PacketKind, u32)]) -> Vec<u32> {
    let mut player = player(server, "live", name);
    settle(&mut player);
    let mut publisher = publisher(server, name);
    let packet = |(kind, time): &(PacketKind, u32)| match kind {
        PacketKind::Video => video(*time, KEY),
        _ => audio(*time, AAC),
    };
    send_all(&mut publisher, frames.iter().map(packet));
    times(&next_medias(&mut player, frames.len()))
}

#[test]
fn times_go_on_where_clocks_wrap() {
    use PacketKind::{Audio, Video};
    let server = Server::start(&[]);
    let half = 1u32 << 31;
    // ffmpeg and OBS count to 2³¹ and begin again; audio and video get there one after the other.
    let frames = [
        (Video, half - 60),
        (Audio, half - 50),
        (Video, half - 20),
        (Audio, 3),
        (Video, half - 1),
        (Audio, 26),
        (Video, 20),
        (Video, 60),
    ];
    let expected = [half - 60, half - 50, half - 20, half + 3, half - 1, half + 26, half + 20, half + 60];
    assert_eq!(relayed(&server, "half", &frames), expected);

    // Where the extended timestamp begins, and where all 32 bits are full.
    for (name, wrap) in [("extended", 0x00ff_ffffu32), ("full", 0)] {
        let frames: Vec<_> = (0..10u32)
            .map(|n| (if n % 2 == 0 { Video } else { Audio }, wrap.wrapping_sub(100).wrapping_add(n * 20)))
            .collect();
        let same: Vec<_> = frames.iter().map(|(_, time)| *time).collect();
        assert_eq!(relayed(&server, name, &frames), same, "{name}");
    }
}

#[test]
fn a_clock_that_jumps_is_bridged() {
    use PacketKind::{Audio, Video};
    let server = Server::start(&[]);
    for (name, jump) in [("back", 0), ("ahead", 90_000_000)] {
        let frames = [
            (Video, 1_000_000),
            (Audio, 1_000_010),
            (Video, 1_000_040),
            (Video, jump),
            (Audio, jump + 10),
            (Video, jump + 40),
        ];
        let times = relayed(&server, name, &frames);
        assert_eq!(times[..3], [1_000_000, 1_000_010, 1_000_040], "{name}");
        let step = times[3] as i64 - times[2] as i64;
        assert!((1..=1_000).contains(&step), "{name}: {times:?}");
        assert_eq!((times[4] - times[3], times[5] - times[3]), (10, 40), "{name}: {times:?}");
    }
}

#[test]
fn a_name_goes_from_hand_to_hand_without_a_frame_of_the_last() {
    let server = Server::start(&["--replace-publisher", "always"]);
    let mut player = player(&server, "live", "relay");
    settle(&mut player);
    for round in 0..20 {
        let mut publisher = publisher(&server, "relay");
        for n in 0..5 {
            let sample = if n == 0 { KEY } else { INTER };
            publisher.send(video(n * 40, &numbered(sample, round * 5 + n))).unwrap();
        }
        settle(&mut publisher);
        // Dropped or not, the next takes over.
        if round % 2 == 0 {
            std::mem::forget(publisher);
        }
    }
    let media = next_medias(&mut player, 100);
    assert_eq!(media.iter().map(number).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    let times = times(&media);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}

#[test]
fn the_end_of_one_stream_is_not_the_end_of_another_on_the_same_connection() {
    let server = Server::start(&["--republish-grace", "0"]);
    let short = publisher(&server, "short");
    let mut long = publisher(&server, "long");
    let mut wire = wire::Wire::player(server.address, "short");
    wire.send(&wire::command(0, 3.0, "createStream", Value::Null, Vec::new()));
    assert_eq!(wire.answer(3.0).argument(0).as_number(), Some(2.0));
    wire.send(&wire::command(2, 0.0, "play", Value::Null, vec!["long".into()]));
    assert_eq!(wire.wait_for_status("NetStream.Play.Start"), 2);
    drop(short);
    assert_eq!(wire.wait_for_status("NetStream.Play.Stop"), 1);
    let told = Instant::now();
    let mut time = 0;
    // Past the moment at which the connection would be closed had it no other stream.
    while told.elapsed() < Duration::from_secs(3) {
        send_all(&mut long, [video(time, KEY)]);
        let video_frame = wire.next_media();
        assert_eq!((video_frame.stream_id, video_frame.timestamp.milliseconds()), (2, time));
        time += 50;
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(long);
    assert_eq!(wire.wait_for_status("NetStream.Play.Stop"), 2);
    while wire.read().is_ok() {}
}

#[test]
fn a_publisher_may_say_publish_again() {
    let server = Server::start(&["--replace-publisher", "never"]);
    let mut player = player(&server, "live", "renewed");
    settle(&mut player);
    let mut publisher = publisher(&server, "renewed");
    send_all(&mut publisher, [video(5_000, AVC_HEADER), video(5_000, KEY)]);
    publisher.send_command("publish", Value::Null, vec!["renewed".into(), "live".into()]).unwrap();
    assert_eq!(next_status(&mut publisher), "NetStream.Unpublish.Success");
    assert_eq!(next_status(&mut publisher), "NetStream.Publish.Start");
    send_all(&mut publisher, [video(0, AVC_HEADER), video(0, KEY)]);
    let times = times(&next_medias(&mut player, 4));
    assert!(times[3] > 5_000 && times[3] < 6_000, "it goes on: {times:?}");
}
