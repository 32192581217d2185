//! Files fetched over HTTP as fast as they come.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::http::Body;
use super::scenario::{Load, Outcome, percentiles};
use super::target::{Server, Target};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// How long the server runs before it counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// What one who fetches has got.
#[derive(Debug, Default)]
struct Fetched {
    /// Bytes that came while it counted.
    bytes: u64,
    /// From connecting to the first byte of a file, in microseconds.
    first_bytes: Vec<u32>,
    errors: Vec<String>,
}

/// Fetches a file again and again, with all players at once, and compares every byte.
pub fn run(target: &Target, load: Load, name: &str, form: &'static str, videos: &Path) -> Outcome {
    let server = Server::start(target, videos);
    let address = server.http.expect("it speaks HTTP");
    // nginx has files as they are and no others.
    let form = if *target == Target::Nginx { "flv" } else { form };
    let path = format!("/gortmp/{name}.{form}");
    let expected = OnceLock::new();
    if form == "flv" {
        expected.get_or_init(|| std::fs::read(videos.join(format!("{name}.flv"))).expect("a file of ours"));
    }
    let before = server.usage();
    let counted = Instant::now() + WARM_UP..Instant::now() + WARM_UP + Duration::from_secs(load.seconds);
    let (all, start, end) = std::thread::scope(|scope| {
        let fetch = || fetch_until(address, &path, &expected, &counted);
        let threads: Vec<_> = (0..load.players_per_stream).map(|_| scope.spawn(fetch)).collect();
        let wait_until = |time: Instant| std::thread::sleep(time.saturating_duration_since(Instant::now()));
        wait_until(counted.start);
        let start = server.usage();
        wait_until(counted.end);
        let end = server.usage();
        let all: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        (all, start, end)
    });
    let bits = all.iter().map(|one| one.bytes).sum::<u64>() as f64 * 8.0;
    let mut first_bytes: Vec<u32> = all.iter().flat_map(|one| one.first_bytes.iter().copied()).collect();
    let errors: Vec<_> = all.into_iter().flat_map(|one| one.errors).collect();
    let (cpu, seconds) = (end.cpu_of_all - start.cpu_of_all, load.seconds as f64);
    Outcome {
        cpu: cpu / seconds,
        cpu_per_gbit: cpu / (bits / 1e9),
        join: percentiles(&mut first_bytes, 1000.0),
        delivered: 1.0 - errors.len() as f64 / first_bytes.len().max(1) as f64,
        rss_per_player: (end.rss as f64 - before.rss as f64) / load.players_per_stream as f64,
        switches: (end.switches - start.switches) as f64 / seconds,
        errors,
        ..Outcome::default()
    }
}

fn fetch_until(address: SocketAddr, path: &str, expected: &OnceLock<Vec<u8>>, counted: &Range<Instant>) -> Fetched {
    let (mut fetched, mut buffer) = (Fetched::default(), vec![0; BUFFER]);
    while Instant::now() < counted.end {
        if let Err(error) = fetch(address, path, expected, counted, &mut fetched, &mut buffer) {
            fetched.errors.push(format!("{path}: {error}"));
            break;
        }
    }
    fetched
}

fn fetch(
    address: SocketAddr,
    path: &str,
    expected: &OnceLock<Vec<u8>>,
    counted: &Range<Instant>,
    fetched: &mut Fetched,
    buffer: &mut [u8],
) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let started = Instant::now();
    let mut socket = TcpStream::connect(address).map_err(failed)?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).map_err(failed)?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let (mut body, mut whole, mut place) = (Body::default(), expected.get().is_none().then(Vec::new), 0);
    let is_whole = loop {
        let count = socket.read(buffer).map_err(failed)?;
        let (had_begun, is_counted) = (body.has_begun(), counted.contains(&Instant::now()));
        body.feed(&buffer[..count], |bytes| {
            match (&mut whole, expected.get()) {
                (Some(whole), _) => whole.extend_from_slice(bytes),
                (None, Some(expected)) if expected.get(place..place + bytes.len()) == Some(bytes) => {}
                _ => return Err(format!("the bytes from {place} on are not those of the file")),
            }
            place += bytes.len();
            fetched.bytes += if is_counted { bytes.len() as u64 } else { 0 };
            Ok(())
        })?;
        if !had_begun && body.has_begun() {
            fetched.first_bytes.push(started.elapsed().as_micros() as u32);
        }
        if count == 0 || Instant::now() > counted.end {
            break count == 0;
        }
    };
    if is_whole && !body.authorize_admin() {
        return Err(format!("it broke off after {place} bytes"));
    }
    match whole.filter(|_| is_whole) {
        Some(whole) if *expected.get_or_init(|| whole.clone()) != whole => {
            Err("it is another file each time".to_owned())
        }
        None if is_whole && expected.get().is_some_and(|expected| expected.len() != place) => {
            Err(format!("it ended after {place} bytes"))
        }
        _ => Ok(()),
    }
}
