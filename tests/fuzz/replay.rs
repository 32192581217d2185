//! Replays what the fuzzers found worth keeping, and changes it at random, the same way each time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fuzz_drivers as drivers;

/// Changed inputs for each driver; fewer when they take longer than `LONGEST`.
const CHANGED: u64 = 20_000;
const LONGEST: Duration = Duration::from_secs(2);

/// So many in any case, however busy the machine is.
const FEWEST: u64 = 100;

/// No input of this size should take so long, even without optimisation on a busy machine.
const SLOW: Duration = Duration::from_secs(2);

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn hold_against(driver: drivers::Driver, input: &[u8], from: &str) {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| driver(input)));
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(result.is_ok(), "{from}: it panicked at the input {hex}");
    assert!(began.elapsed() < SLOW, "{from}: {:?} for the input {hex}", began.elapsed());
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.roll(input.len() + 1);
        match self.roll(7) {
            0 if at < input.len() => input[at] ^= 1 << self.roll(8),
            1 if at < input.len() => input[at] = [0, 1, 2, 3, 5, 8, 9, 10, 17, 0x7f, 0x80, 0xff][self.roll(12)],
            2 => input.truncate(at),
            3 => {
                let end = (at + self.roll(16)).min(input.len());
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            4 => {
                let from = self.roll(other.len() + 1);
                let end = (from + self.roll(64)).min(other.len());
                input.splice(at..at, other[from..end].iter().copied());
            }
            5 => {
                let number = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x00ff_ffff, 0x7fff_ffff, u32::MAX][self.roll(9)];
                let end = (at + 4).min(input.len());
                input.splice(at..end, number.to_be_bytes());
            }
            _ => {
                let end = (at + self.roll(8)).min(input.len());
                input.drain(at..end);
            }
        }
    }
}

fn replay(name: &str) {
    // One after the other: each takes a core, and the other unit tests need some as well.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, driver) = *drivers::ALL.iter().find(|(known, _)| *known == name).expect("a driver");
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "there is no corpus for {name}");
    for (path, input) in &corpus {
        hold_against(driver, input, &path.display().to_string());
    }
    let began = Instant::now();
    for seed in 1..=CHANGED {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut input = corpus[dice.roll(corpus.len())].1.clone();
        let other = &corpus[dice.roll(corpus.len())].1;
        for _ in 0..=dice.roll(4) {
            dice.change(&mut input, other);
        }
        hold_against(driver, &input, &format!("{name}, seed {seed}"));
        if began.elapsed() > LONGEST && seed >= FEWEST {
            break;
        }
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_driver_is_replayed() {
            let names: Vec<_> = drivers::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

replays!(handshake chunk_reader amf0 amf3 commands flv_reader keyframe_index session names vod_player live fmp4 http);
