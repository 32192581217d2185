//! Many players in one thread.

use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::content::nanoseconds;
use super::player::{Player, Wish};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// What all players together have got.
#[derive(Debug, Default)]
pub struct Tally {
    /// Frames sent from the first to before the second time count, in nanoseconds.
    pub window: std::ops::Range<u64>,
    /// Bytes of frames that came in, whenever they were sent.
    pub bytes: u64,
    /// Frames of the window that came in, of audio and of video.
    pub frames: [u64; 2],
    /// How long each of them took, in microseconds.
    pub latencies: [Vec<u32>; 2],
    /// What went wrong.
    pub errors: Vec<String>,
}

/// Players, and the poll that wakes for them.
pub struct Crowd {
    poll: rustix::fd::OwnedFd,
    players: Vec<Option<Player>>,
    buffer: Vec<u8>,
    pub tally: Tally,
}

impl Crowd {
    pub fn new() -> Self {
        let poll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll descriptor");
        Self { poll, players: Vec::new(), buffer: vec![0; BUFFER], tally: Tally::default() }
    }

    /// Lets a player in.
    pub fn join(&mut self, wish: Wish) {
        self.try_join(wish).expect("the server takes the connection");
    }

    /// The same with a server that may not take it.
    pub fn try_join(&mut self, wish: Wish) -> std::io::Result<()> {
        let player = Player::connect(wish)?;
        let data = EventData::new_u64(self.players.len() as u64);
        epoll::add(&self.poll, &player.socket, data, EventFlags::IN).expect("room in the epoll");
        self.players.push(Some(player));
        Ok(())
    }

    /// Lets players in, so many a second, and reads meanwhile.
    pub fn join_all(&mut self, wishes: Vec<Wish>, per_second: u32) {
        let mut due = Instant::now();
        for wish in wishes {
            self.read_until(due);
            self.join(wish);
            due += Duration::from_secs(1) / per_second;
        }
    }

    /// Reads until then.
    pub fn read_until(&mut self, deadline: Instant) {
        while self.read(deadline.saturating_duration_since(Instant::now())) {}
    }

    /// Reads until all players have come to where they wanted, or until `timeout`; says whether they have.
    pub fn wait_until_ready(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while !self.players().all(Player::is_ready) {
            if Instant::now() >= deadline {
                return false;
            }
            self.read(Duration::from_millis(5));
        }
        true
    }

    /// The players that are there.
    pub fn players(&self) -> impl Iterator<Item = &Player> {
        self.players.iter().flatten()
    }

    /// Makes the first so many players stop reading for good.
    pub fn stop_reading(&mut self, count: usize) {
        for player in self.players.iter().take(count).flatten() {
            epoll::delete(&self.poll, &player.socket).expect("it was there");
        }
    }

    /// Hangs up on so many players, the oldest first, but not on the very first `but`.
    pub fn leave(&mut self, count: usize, but: usize) {
        self.players
            .iter_mut()
            .skip(but)
            .filter(|player| player.is_some())
            .take(count)
            .for_each(|player| *player = None);
    }

    /// Waits for something to read, and reads it; says whether there is time left.
    fn read(&mut self, timeout: Duration) -> bool {
        let mut events = Vec::with_capacity(256);
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("waiting: {error}"),
        }
        for event in &events {
            let index = event.data.u64() as usize;
            let Some(player) = &mut self.players[index] else { continue };
            let tally = &mut self.tally;
            let result = player.read(&mut self.buffer, &mut |frame| {
                tally.bytes += frame.length as u64;
                if tally.window.contains(&frame.sent) {
                    let took = nanoseconds() - frame.sent;
                    tally.frames[frame.kind as usize] += 1;
                    tally.latencies[frame.kind as usize].push((took / 1000) as u32);
                }
            });
            let problem = match result {
                Ok(true) => continue,
                Ok(false) => "the server hung up".to_owned(),
                Err(error) => error,
            };
            tally.errors.push(format!("player {index}: {problem}"));
            self.players[index] = None;
        }
        timeout.tv_sec > 0 || timeout.tv_nsec > 0
    }
}
