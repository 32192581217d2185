//! A live stream: what a publisher may send, and what of it two players get who come, go and want this or that.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use gortmp::live::{
    Backlog, LanePool, LiveMessage, MergeWindow, Publication, Registry, ReplacePublisher, Settings, Sink, Skip,
    StartAt, Subscription, SubscriptionFilter,
};
use gortmp::media::{Packet, PacketKind, Timestamp};
use gortmp::rtmp::chunk::{ChunkReader, ChunkSize};
use gortmp::rtmp::message::Message;

use super::input::Input;
use super::messages;

/// What a publisher, a server's clock and two players do, one byte or more for each step.
pub fn live(input: &[u8]) {
    let mut input = Input::new(input);
    let mut house = House {
        registry: Registry::new(Settings {
            replace: ReplacePublisher::Always,
            grace: Duration::from_secs(1),
            ..Settings::default()
        }),
        now: Instant::now(),
        publication: None,
        players: [None, None],
    };
    for _ in 0..400 {
        if input.is_empty() {
            break;
        }
        house.step(&mut input);
    }
    house.publication = None;
    for player in house.players.into_iter().flatten() {
        player.end();
    }
}

struct House {
    registry: Registry,
    now: Instant,
    publication: Option<Publication>,
    players: [Option<Player>; 2],
}

impl House {
    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.u8();
        match what % 16 {
            0 => {
                self.publication =
                    self.registry.publish("live/cam", "[192.0.2.7:5000]", self.now, Box::new(|_| {})).ok()
            }
            1 if what > 127 => self.publication = None,
            2 => self.now += Duration::from_millis(input.u16().into()),
            3 => self.registry.tick(self.now),
            4 => {
                if let Some((_, stream)) = self.publication.as_ref().and_then(Publication::deferred_audio) {
                    stream.flush_deferred_audio(self.now);
                }
            }
            5 | 6 => self.change_player(what),
            _ => self.send(what, input),
        }
    }

    fn change_player(&mut self, what: u8) {
        let player = &mut self.players[usize::from(what >> 4 & 1)];
        let filter = SubscriptionFilter { audio: what & 64 == 0, video: what & 128 == 0 };
        match player.take() {
            Some(old) if what & 32 == 0 => old.end(),
            Some(old) => {
                old.subscription.set_filter(filter);
                *player = Some(old);
            }
            None => *player = Some(Player::new(&self.registry, filter, what & 32 == 0)),
        }
    }

    fn send(&mut self, what: u8, input: &mut Input<'_>) {
        let Some(publication) = &mut self.publication else { return };
        let (kind, payload) = match what % 16 {
            7 | 8 => (PacketKind::Data, data(input)),
            9 | 10 => (PacketKind::Video, vec![0x17, 1, 0, 0, 0, what]),
            11 => (PacketKind::Video, vec![0x27, 1, 0, 0, 0, what]),
            12 | 13 => (PacketKind::Audio, messages::frame(input)),
            _ => (PacketKind::Video, messages::frame(input)),
        };
        let time = match input.u8() {
            255 => input.u32(),
            254 => (1 << 31) + u32::from(input.u16()),
            253 => u32::MAX - u32::from(input.u16()),
            small => u32::from(small) * 100,
        };
        let packet = Packet { kind, timestamp: Timestamp::new(time), payload: payload.into() };
        publication.send(packet, self.now).expect("nobody else publishes");
    }
}

fn data(input: &mut Input<'_>) -> Vec<u8> {
    let names: [&[&str]; 5] =
        [&["onMetaData"], &["@setDataFrame", "onMetaData"], &["@clearDataFrame"], &["@setDataFrame"], &["onText"]];
    let names = input.pick(&names).iter().map(|name| (*name).into());
    let values: Vec<_> = names.chain([messages::value(input, 1)]).collect();
    let mut payload = gortmp::amf::amf0::encode_all(&values);
    payload.truncate(payload.len().saturating_sub(usize::from(input.u8() % 16)));
    payload
}

struct Player {
    screen: Arc<Screen>,
    subscription: Subscription,
}

impl Player {
    fn new(registry: &Registry, filter: SubscriptionFilter, from_last: bool) -> Self {
        static LANES: OnceLock<LanePool> = OnceLock::new();
        let lanes = LANES.get_or_init(|| LanePool::start(1, MergeWindow::Window(Duration::ZERO)).expect("a thread"));
        let screen = Arc::new(Screen::default());
        let start_at = if from_last { StartAt::LastKeyFrame } else { StartAt::NextKeyFrame };
        let subscription = registry
            .with_stream("live/cam", |stream| stream.subscribe(screen.clone(), 1, &lanes.pick(), start_at, filter));
        Self { screen, subscription }
    }

    /// Leaves, which waits for all that is under way, and says whether something went wrong on it.
    fn end(self) {
        drop(self.subscription);
        let seen = self.screen.0.lock().expect("nobody panicked with it");
        assert_eq!(seen.trouble, None);
    }
}

/// Looks at what a player gets. It gets it in a lane's thread, so what is wrong is told later.
#[derive(Default)]
struct Screen(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    trouble: Option<String>,
    has_key_frame: bool,
}

impl Seen {
    fn message(&mut self, stream_id: u32, message: &LiveMessage) -> Option<String> {
        let packet = &message.packet;
        let mut wire = Vec::new();
        let headers = message.headers_for(stream_id);
        message.slices(&headers).for_each(|slice| wire.extend_from_slice(slice));
        if wire.len() != message.wire_length() || wire.len() > ChunkSize::LARGE.get() as usize {
            return Some(format!("{} bytes on the wire, {} expected", wire.len(), message.wire_length()));
        }
        let set_size = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0xea, 0x60];
        let wire = [&set_size[..], &wire].concat();
        let mut chunks = ChunkReader::new(&wire[..]);
        let read = chunks.read_message().and_then(|_| chunks.read_message()).and_then(Message::decode);
        if !matches!(&read, Ok(Message::Media(read)) if read == packet) {
            return Some(format!("{read:?} instead of {packet:?}"));
        }
        self.has_key_frame |= message.is_key_frame;
        let is_video = packet.kind == PacketKind::Video && !message.is_essential;
        (is_video && !self.has_key_frame).then(|| "a picture before the first key frame".to_owned())
    }
}

impl Sink for Screen {
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let mut seen = self.0.lock().expect("nobody panicked with it");
        for message in messages {
            let trouble = seen.message(stream_id, message);
            seen.trouble = seen.trouble.take().or(trouble);
        }
        Backlog::default()
    }

    fn skip(&self, _: u32, _: Skip) -> usize {
        0
    }

    fn flush(&self) -> bool {
        false
    }

    fn ended(&self, _: u32) {}

    fn abandon(&self, reason: &str) {
        self.0.lock().expect("nobody panicked with it").trouble = Some(reason.to_owned());
    }

    fn peer(&self) -> &str {
        "192.0.2.7:5000"
    }
}
