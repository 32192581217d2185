//! Good clients: publishers, one of which leaves and comes back, and players that stay or come and go.

use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gortmp::Client;
use gortmp::media::Timestamp;

use super::Stage;
use super::rng::Rng;
use super::tally::Group;
use crate::content::{Kind, Sequence, Shape, is_key_frame, nanoseconds, sequence_headers};
use crate::crowd::Crowd;
use crate::player::{Player, Wish};

/// How long the last messages may take.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a player may be there without a key frame.
const JOINING: Duration = Duration::from_secs(2);

/// A stream: its number, name and rate, and whether its publisher leaves now and then.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub number: u32,
    pub name: &'static str,
    pub shape: Shape,
    pub comes_and_goes: bool,
}

impl Stream {
    /// A player of it that takes nothing but the right thing.
    pub fn wish(&self, server: SocketAddr) -> Wish {
        let (app, name) = ("live", self.name.to_owned());
        Wish {
            server,
            app,
            name,
            shape: self.shape,
            is_bare: false,
            over_http: None,
            is_secure: false,
            stays_idle: false,
            is_strict: true,
        }
    }
}

/// Publishes in real time until all is over; says how many messages it sent. A publisher that leaves does so just
/// before a key frame, goes on with that one, and starts its clock anew.
pub fn publish(server: SocketAddr, stream: Stream, stage: &Stage, publications: &AtomicU64) -> gortmp::Result<u64> {
    let (shape, mut rng) = (stream.shape, Rng::new(7 + u64::from(stream.number)));
    let (mut sequence, mut sent) = (Sequence::default(), 0);
    while stage.good_go_on() {
        let mut client = Client::connect(&format!("rtmp://{server}/live"))?;
        client.publish(stream.name)?;
        publications.fetch_add(1, Relaxed);
        sequence_headers().into_iter().try_for_each(|header| client.send(header))?;
        let (start, begin) = (Instant::now(), sequence.peek(shape).2);
        let leaves_after = Duration::from_secs(4 + rng.below(6));
        while stage.good_go_on() {
            let (kind, number, due) = sequence.peek(shape);
            let is_start = kind == Kind::Video && is_key_frame(number);
            if stream.comes_and_goes && stage.others_go_on() && is_start && start.elapsed() > leaves_after {
                break;
            }
            let due = Duration::from_nanos(due - begin);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            sequence.next(shape);
            let mut packet = shape.packet(kind, number, stream.number, nanoseconds());
            packet.timestamp = Timestamp::new(due.as_millis() as u32);
            client.send(packet)?;
            sent += 1;
        }
        hang_up(client, rng.below(2) == 0);
        if stage.good_go_on() {
            std::thread::sleep(Duration::from_millis(500 + rng.below(3000)));
        }
    }
    Ok(sent)
}

/// Leaves when the server has everything, in an orderly way or not.
fn hang_up(client: Client, is_abrupt: bool) {
    let mut socket = client.tcp_stream();
    if is_abrupt {
        // What the server has not read by now would be lost with the connection.
        std::thread::sleep(Duration::from_millis(500));
        let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    } else {
        let _ = socket.shutdown(Shutdown::Write);
        let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
        while matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
    }
}

/// Plays with all of them until told how many messages they should have got together; what is missing then is lost.
/// Returns how long the messages took, in microseconds, sorted.
pub fn stay(group: &Arc<Group>, wishes: Vec<Wish>, expected: &mpsc::Receiver<u64>) -> Vec<u32> {
    let mut crowd = Crowd::new();
    crowd.tally.window = 0..u64::MAX;
    group.clients.fetch_add(wishes.len() as u64, Relaxed);
    crowd.join_all(wishes, 100);
    let expected = loop {
        pass_time(&mut crowd, group);
        match expected.try_recv() {
            Err(mpsc::TryRecvError::Empty) => {}
            Ok(expected) => break expected,
            Err(mpsc::TryRecvError::Disconnected) => break 0,
        }
    };
    let deadline = Instant::now() + DRAIN;
    while group.checked.load(Relaxed) < expected && Instant::now() < deadline {
        pass_time(&mut crowd, group);
    }
    group.lost.fetch_add(expected.saturating_sub(group.checked.load(Relaxed)), Relaxed);
    let mut latencies = std::mem::take(&mut crowd.tally.latencies).concat();
    latencies.sort_unstable();
    latencies
}

/// Reads for a while and notes what came.
fn pass_time(crowd: &mut Crowd, group: &Group) {
    crowd.read_until(Instant::now() + Duration::from_millis(200));
    group.checked.store(crowd.tally.frames.iter().sum(), Relaxed);
    crowd.tally.errors.drain(..).for_each(|error| group.problem(&error));
}

/// Players that come all the time, stay for some seconds, and hang up where they are.
pub fn come_and_go(group: &Group, server: SocketAddr, streams: &[Stream], stage: &Stage) {
    let mut crowd = Crowd::new();
    crowd.tally.window = 0..u64::MAX;
    let mut rng = Rng::new(99);
    // When those who are there came.
    let mut since = std::collections::VecDeque::new();
    while stage.others_go_on() {
        for _ in 0..rng.below(4) {
            let stream = streams[rng.below(streams.len() as u64) as usize];
            match crowd.try_join(stream.wish(server)) {
                Ok(()) => since.push_back(Instant::now()),
                Err(error) => group.problem(&format!("connecting: {error}")),
            }
            group.clients.fetch_add(1, Relaxed);
        }
        pass_time(&mut crowd, group);
        crowd.tally.latencies = Default::default();
        // Who was cut off has left the crowd, but not this list.
        since.drain(..since.len().saturating_sub(crowd.players().count()));
        if since.len() > 5 + rng.below(25) as usize {
            let leaving = 1 + rng.below(since.len() as u64 / 2) as usize;
            let longest = since.drain(..leaving).map(|since| since.elapsed());
            let waits =
                longest.zip(crowd.players()).filter(|(time, player)| *time > JOINING && !Player::is_ready(player));
            waits.for_each(|_| group.problem("a key frame did not come in time"));
            crowd.leave(leaving, 0);
        }
    }
}
