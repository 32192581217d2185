//! The state machine, driven by the messages that real clients send.

use super::*;
use crate::amf::Object;
use crate::media::Timestamp;

/// Returns a session that has accepted its client in `app`.
fn connected(app: &str) -> Session {
    let mut session = Session::new();
    let object = Object::new().with("app", app);
    let connect = Command { transaction_id: 1.0, object: object.into(), ..Command::new("connect", Vec::new()) };
    let mut actions = Vec::new();
    session.handle(0, Message::Command(connect), &mut actions).unwrap();
    assert!(matches!(&actions[..], [Action::Connect(request)] if request.app == app));
    session.accept_connect();
    session
}

fn command(
    session: &mut Session,
    stream_id: u32,
    name: &str,
    transaction_id: f64,
    arguments: Vec<Value>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let command = Command { transaction_id, ..Command::new(name, arguments) };
    session.handle(stream_id, Message::Command(command), &mut actions).unwrap();
    actions
}

/// Sends createStream and returns the ID.
fn create_stream(session: &mut Session) -> u32 {
    let actions = command(session, 0, "createStream", 4.0, Vec::new());
    let [Action::Reply(Reply { stream_id: 0, message: Message::Command(answer) })] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((answer.name.as_str(), answer.transaction_id, &answer.object), ("_result", 4.0, &Value::Null));
    answer.argument(0).as_number().unwrap() as u32
}

fn publishing(app: &str, name: &str) -> Session {
    let mut session = connected(app);
    let id = create_stream(&mut session);
    let actions = command(&mut session, id, "publish", 5.0, vec![name.into(), "live".into()]);
    assert!(matches!(actions[..], [Action::Publish { stream_id: 1, kind: PublishKind::Live, .. }]), "{actions:?}");
    session
}

fn playing(app: &str, name: &str) -> Session {
    let mut session = connected(app);
    let id = create_stream(&mut session);
    let actions = command(&mut session, id, "play", 0.0, vec![name.into(), (-2000.0).into()]);
    assert!(matches!(&actions[..], [Action::Play { stream_id: 1, .. }]), "{actions:?}");
    session
}

fn media(session: &mut Session, stream_id: u32) -> Vec<Action> {
    let packet = Packet { kind: PacketKind::Video, timestamp: Timestamp::new(40), payload: vec![0x17, 1].into() };
    let mut actions = Vec::new();
    session.handle(stream_id, Message::Media(packet), &mut actions).unwrap();
    actions
}

fn codes(actions: &[Action]) -> Vec<String> {
    let code = |action: &Action| match action {
        Action::Reply(Reply { message: Message::Command(command), .. }) => {
            Some(command.argument(0).as_object()?.get("code")?.as_str()?.to_owned())
        }
        _ => None,
    };
    actions.iter().filter_map(code).collect()
}

#[test]
fn commands_before_connect_end_the_connection() {
    let mut session = Session::new();
    let publish = Message::Command(Command::new("publish", vec!["cam".into()]));
    assert!(session.handle(1, publish, &mut Vec::new()).is_err());
}

#[test]
fn nothing_is_accepted_after_a_refused_connect() {
    let mut session = Session::new();
    let connect = Message::Command(Command { transaction_id: 1.0, ..Command::new("connect", Vec::new()) });
    session.handle(0, connect.clone(), &mut Vec::new()).unwrap();
    let replies = session.refuse_connect("no such application");
    let names: Vec<_> = replies
        .iter()
        .map(|reply| match &reply.message {
            Message::Command(command) => command.name.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(names, ["_error", "close"]);
    let create = Message::Command(Command::new("createStream", Vec::new()));
    assert!(session.handle(0, create, &mut Vec::new()).is_err());
    assert!(session.handle(0, connect, &mut Vec::new()).is_err(), "twice");
}

#[test]
fn message_stream_ids_start_at_1_and_are_reused() {
    let mut session = connected("live");
    assert_eq!(create_stream(&mut session), 1);
    assert_eq!(create_stream(&mut session), 2);
    command(&mut session, 0, "deleteStream", 0.0, vec![1.0.into()]);
    assert_eq!(create_stream(&mut session), 1);
}

#[test]
fn limit_of_the_message_streams() {
    let mut session = connected("live");
    for expected in 1..=limits::MESSAGE_STREAMS as u32 {
        assert_eq!(create_stream(&mut session), expected);
    }
    let actions = command(&mut session, 0, "createStream", 9.0, Vec::new());
    assert_eq!(codes(&actions), ["NetConnection.Call.Failed"]);
    let publish = Message::Command(Command::new("publish", vec!["cam".into()]));
    assert!(matches!(session.handle(99, publish, &mut Vec::new()), Err(Error::Limit { .. })));
}

#[test]
fn streams_used_without_create_stream_count_towards_the_limit() {
    let mut session = connected("live");
    for id in 0..limits::MESSAGE_STREAMS as u32 {
        command(&mut session, 100 + id, "publish", 0.0, vec!["cam".into()]);
    }
    let actions = command(&mut session, 0, "createStream", 9.0, Vec::new());
    assert_eq!(codes(&actions), ["NetConnection.Call.Failed"]);
}

#[test]
fn media_is_accepted_only_on_publishing_streams() {
    let mut session = publishing("live", "cam");
    assert!(matches!(media(&mut session, 1)[..], [Action::Media { stream_id: 1, .. }]));
    assert!(matches!(media(&mut session, 0)[..], [Action::Media { stream_id: 1, .. }]), "0 refers to the only one");
    assert!(media(&mut session, 2).is_empty());
    assert!(media(&mut playing("live", "cam"), 1).is_empty());
    session.refuse_publish(1, StatusCode::PublishBadName, "taken");
    assert!(media(&mut session, 1).is_empty());
}

#[test]
fn an_aggregate_is_split_into_its_messages() {
    let mut session = publishing("live", "cam");
    let packet = Packet { kind: PacketKind::Audio, timestamp: Timestamp::ZERO, payload: vec![0xaf, 1].into() };
    let mut actions = Vec::new();
    session.handle(1, Message::Aggregate(vec![packet.clone(), packet]), &mut actions).unwrap();
    assert_eq!(actions.len(), 2);
}

#[test]
fn ffmpeg_ends_with_fcunpublish_and_delete_stream() {
    let mut session = publishing("live", "cam");
    let actions = command(&mut session, 0, "FCUnpublish", 6.0, vec!["cam".into()]);
    assert!(matches!(&actions[..], [Action::Stop { stream_id: 1 }, Action::Reply(_), Action::Reply(_)]), "{actions:?}");
    assert_eq!(codes(&actions), ["NetStream.Unpublish.Success"]);
    assert!(command(&mut session, 0, "deleteStream", 7.0, vec![1.0.into()]).is_empty());
}

#[test]
fn rtmp2sink_deletes_by_name_on_message_stream_0() {
    let mut session = publishing("live", "cam");
    let actions = command(&mut session, 0, "deleteStream", 0.0, vec!["cam".into()]);
    assert!(matches!(&actions[..], [Action::Stop { stream_id: 1 }, Action::Reply(_)]), "{actions:?}");
}

#[test]
fn fcunpublish_ends_the_named_publication_of_two() {
    let mut session = publishing("live", "a");
    let second = create_stream(&mut session);
    command(&mut session, second, "publish", 0.0, vec!["b?key=1".into()]);
    let actions = command(&mut session, 0, "FCUnpublish", 0.0, vec!["b".into()]);
    assert!(matches!(&actions[..], [Action::Stop { stream_id: 2 }, ..]), "{actions:?}");
}

#[test]
fn publish_and_play_share_a_connection() {
    let mut session = publishing("live", "a");
    let second = create_stream(&mut session);
    let actions = command(&mut session, second, "play", 0.0, vec!["b".into()]);
    assert!(matches!(&actions[..], [Action::Play { stream_id: 2, .. }]), "{actions:?}");
    assert!(matches!(media(&mut session, 1)[..], [Action::Media { stream_id: 1, .. }]));
}

#[test]
fn a_second_play_ends_the_first() {
    let mut session = playing("live", "a");
    let actions = command(&mut session, 1, "play", 0.0, vec!["b".into()]);
    assert!(matches!(&actions[..], [Action::Stop { stream_id: 1 }, Action::Play { .. }]), "{actions:?}");
}

#[test]
fn play_arguments_as_clients_send_them() {
    let mut session = connected("gortmp/a");
    let id = create_stream(&mut session);
    let buffer = UserControl::SetBufferLength { stream_id: 0, buffer_ms: 300 };
    session.handle(0, Message::UserControl(buffer), &mut Vec::new()).unwrap();
    let mut request = |arguments: Vec<Value>| {
        let actions = command(&mut session, id, "play", 0.0, arguments);
        let Some(Action::Play { request, .. }) = actions.last() else { panic!("{actions:?}") };
        (request.path.to_string(), request.start_ms, request.duration_ms, request.buffer_ms)
    };
    let path = || "gortmp/a/b/name".to_owned();
    assert_eq!(request(vec!["b/name".into(), (-2000.0).into()]), (path(), None, None, Some(300)), "ffmpeg");
    assert_eq!(
        request(vec!["b/name".into(), 3000.0.into(), 2000.0.into()]),
        (path(), Some(3000), Some(2000), Some(300))
    );
    assert_eq!(
        request(vec!["b/name".into(), f64::NAN.into(), (-1.0).into(), true.into()]),
        (path(), None, None, Some(300))
    );
    assert_eq!(request(vec!["b/name".into()]), (path(), None, None, Some(300)));
}

#[test]
fn librtmp_pauses_and_seeks_on_message_stream_0() {
    let mut session = playing("gortmp", "a");
    let actions = command(&mut session, 0, "pause", 3.0, vec![true.into(), 1500.0.into()]);
    assert_eq!(actions, [Action::Pause { stream_id: 1, paused: true, position_ms: 1500 }]);
    let actions = command(&mut session, 0, "seek", 4.0, vec![9000.0.into()]);
    assert_eq!(actions, [Action::Seek { stream_id: 1, position_ms: 9000 }]);
    let actions = command(&mut session, 1, "pauseRaw", 0.0, vec![false.into(), 1500.0.into()]);
    assert_eq!(actions, [Action::Pause { stream_id: 1, paused: false, position_ms: 1500 }]);
}

#[test]
fn play_controls_without_a_play_are_ignored() {
    let mut session = publishing("live", "cam");
    for name in ["pause", "seek", "receiveAudio", "receiveVideo"] {
        assert!(command(&mut session, 1, name, 0.0, vec![true.into()]).is_empty(), "{name}");
    }
}

#[test]
fn auxiliary_calls_are_answered_if_they_have_a_transaction_id() {
    let mut session = connected("live");
    for name in ["releaseStream", "FCPublish", "FCSubscribe", "_checkbw", "FCUnpublish"] {
        let actions = command(&mut session, 0, name, 2.0, vec!["cam".into()]);
        let [Action::Reply(Reply { message: Message::Command(answer), .. })] = &actions[..] else {
            panic!("{actions:?}")
        };
        assert_eq!((answer.name.as_str(), answer.transaction_id), ("_result", 2.0));
        assert!(command(&mut session, 0, name, 0.0, vec!["cam".into()]).is_empty(), "GStreamer sends 0");
    }
}

#[test]
fn unknown_commands_get_an_error_and_responses_are_ignored() {
    let mut session = connected("live");
    assert_eq!(codes(&command(&mut session, 0, "getLost", 8.0, Vec::new())), ["NetConnection.Call.Failed"]);
    let unanswered = command(&mut session, 0, "getLost", 0.0, Vec::new());
    assert_eq!(unanswered, [Action::Unknown("the command getLost".to_owned())]);
    for answer in ["_result", "_error", "onStatus"] {
        assert!(command(&mut session, 0, answer, 8.0, Vec::new()).is_empty());
    }
}

#[test]
fn long_command_names_are_shortened() {
    let name = "\u{1}".repeat(1 << 20);
    let answers = command(&mut connected("live"), 0, &name, 8.0, Vec::new());
    let [Action::Unknown(logged), Action::Reply(Reply { message, .. })] = &answers[..] else { panic!("{answers:?}") };
    assert!(logged.len() < 200 && message.encode(0).unwrap().payload.len() < 300);
    let early = Message::Command(Command::new(name, Vec::new()));
    let error = Session::new().handle(0, early, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().len() < 200, "{} bytes for the log", error.to_string().len());
}

#[test]
fn play2_is_refused() {
    let mut session = playing("live", "a");
    let actions = command(&mut session, 1, "play2", 0.0, vec![Object::new().with("streamName", "b").into()]);
    assert_eq!(codes(&actions), ["NetStream.Play.Failed"]);
    assert_eq!(actions.len(), 1);
}

#[test]
fn publishing_on_message_stream_0_must_be_unambiguous() {
    let mut session = connected("live");
    let publish = Message::Command(Command::new("publish", vec!["cam".into()]));
    assert!(session.handle(0, publish.clone(), &mut Vec::new()).is_err());
    create_stream(&mut session);
    let mut actions = Vec::new();
    session.handle(0, publish, &mut actions).unwrap();
    assert!(matches!(actions[..], [Action::Publish { stream_id: 1, .. }]));
}

#[test]
fn pings_and_bandwidth_are_answered() {
    let mut session = connected("live");
    let mut actions = Vec::new();
    session.handle(0, Message::UserControl(UserControl::PingRequest(7)), &mut actions).unwrap();
    assert_eq!(actions, [Action::Reply(Reply::event(UserControl::PingResponse(7)))]);
    let mut answer = |size, limit| {
        let mut actions = Vec::new();
        session.handle(0, Message::SetPeerBandwidth { size, limit }, &mut actions).unwrap();
        match actions.pop() {
            Some(Action::Reply(Reply { message: Message::WindowAckSize(window), .. })) => Some(window),
            _ => None,
        }
    };
    use BandwidthLimit::{Dynamic, Hard, Other, Soft};
    assert_eq!(answer(limits::ACKNOWLEDGEMENT_WINDOW, Hard), None, "only when it changes");
    assert_eq!(answer(9_000, Dynamic), Some(9_000), "dynamic after hard counts as hard");
    assert_eq!(answer(9_500, Other(9)), Some(9_500), "unknown types count as dynamic");
    assert_eq!(answer(10_000, Soft), None, "soft only lowers the window");
    assert_eq!(answer(5_000, Soft), Some(5_000));
    assert_eq!(answer(9_000, Dynamic), None, "dynamic after soft is ignored");
    assert_eq!(answer(9_000, Hard), Some(9_000));
    assert_eq!(answer(0, Hard), None);
}

#[test]
fn record_and_append_are_recognised() {
    let mut session = connected("live");
    let id = create_stream(&mut session);
    let mut kind = |argument: Value| {
        let actions = command(&mut session, id, "publish", 0.0, vec!["cam".into(), argument]);
        let Some(Action::Publish { kind, .. }) = actions.last() else { panic!("{actions:?}") };
        *kind
    };
    assert_eq!(kind("record".into()), PublishKind::Record);
    assert_eq!(kind("append".into()), PublishKind::Append);
    assert_eq!(kind(Value::Undefined), PublishKind::Live);
}

#[test]
fn replies_to_players_are_in_the_accepted_order() {
    let summary = |replies: Vec<Reply>| -> Vec<String> {
        let name = |reply: &Reply| match &reply.message {
            Message::UserControl(event) => format!("{event:?}"),
            Message::Command(command) => {
                let info = command.argument(0).as_object().unwrap();
                info.get("code").unwrap().as_str().unwrap().replace("NetStream.", "")
            }
            Message::Media(packet) => format!("data at {}", packet.timestamp),
            other => panic!("{other:?}"),
        };
        replies.iter().map(name).collect()
    };
    assert_eq!(
        summary(playing::started(1, Source::Recording, "a")),
        ["StreamIsRecorded(1)", "StreamBegin(1)", "Play.Reset", "Play.Start", "data at 0 ms"]
    );
    assert_eq!(
        summary(playing::seek_completed(1, Source::Recording, 5)),
        ["StreamEof(1)", "StreamIsRecorded(1)", "StreamBegin(1)", "Seek.Notify", "Play.Start"]
    );
    assert_eq!(summary(playing::live_ended(1)), ["StreamEof(1)", "Play.UnpublishNotify", "Play.Stop"]);
    assert_eq!(summary(playing::recording_ended(1, 12_000, 9)), ["StreamEof(1)", "data at 0 ms", "Play.Stop"]);
}
