//! Both sides against each other, and clients that behave oddly.

use std::io::{self, Cursor, Write};
use std::os::unix::net::UnixStream;

use super::client::{ClientKind, connect};
use super::digest::{RESPONSE_BODY, Side, find, sign_response};
use super::server::{Kind, accept};
use super::*;

fn shake_hands(kind: ClientKind) -> Kind {
    let (client, server) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || accept(&mut &server, &mut &server).unwrap());
    connect(&mut &client, &mut &client, kind).unwrap();
    serving.join().unwrap()
}

/// What a server answers to C0 and C1 with a C2 of any kind behind them.
fn answer_to(c1: &Packet) -> (Kind, Vec<u8>) {
    let sent = [&[VERSION], &c1[..], &[0xee; PACKET]].concat();
    let mut answer = Vec::new();
    let kind = accept(&mut Cursor::new(sent), &mut answer).unwrap();
    (kind, answer)
}

fn signed(scheme: Scheme) -> Packet {
    let mut c1 = [7; PACKET];
    scheme.sign(&mut c1, Side::Client);
    c1
}

#[test]
fn every_kind_comes_to_an_end() {
    assert_eq!(shake_hands(ClientKind::Simple), Kind::Simple);
    for scheme in [Scheme::Zero, Scheme::One] {
        assert_eq!(shake_hands(ClientKind::Digest(scheme)), Kind::Digest(scheme));
    }
}

#[test]
fn a_simple_client_gets_its_c1_back_and_zeros_for_a_version() {
    let mut c1 = [9; PACKET];
    c1[4..8].fill(0);
    let (kind, answer) = answer_to(&c1);
    assert_eq!(kind, Kind::Simple);
    assert_eq!(answer.len(), 1 + 2 * PACKET);
    assert_eq!((answer[0], &answer[5..9]), (VERSION, &[0; 4][..]));
    assert_eq!(answer[1 + PACKET..], c1);
}

#[test]
fn a_digest_is_answered_with_digests_that_check() {
    for scheme in [Scheme::Zero, Scheme::One] {
        let c1 = signed(scheme);
        let (kind, answer) = answer_to(&c1);
        assert_eq!(kind, Kind::Digest(scheme));
        let s1: Packet = answer[1..1 + PACKET].try_into().unwrap();
        let mut s2: Packet = answer[1 + PACKET..].try_into().unwrap();
        assert_eq!(find(&s1, Side::Server).map(|found| found.0), Some(scheme));
        assert!(s1[4] >= 3, "or ffmpeg doesn't look at the digest");
        let proof = s2[RESPONSE_BODY..].to_vec();
        sign_response(&mut s2, Side::Server, &find(&c1, Side::Client).unwrap().1);
        assert_eq!(s2[RESPONSE_BODY..], proof);
    }
}

#[test]
fn a_digest_that_does_not_check_is_answered_without() {
    let mut c1 = signed(Scheme::One);
    c1[1000] ^= 1;
    let (kind, answer) = answer_to(&c1);
    assert_eq!(kind, Kind::Simple);
    assert_eq!(answer[5..9], [0; 4], "or ffmpeg would look for one");
}

#[test]
fn other_protocols_are_refused_at_their_first_byte() {
    for (version, hint) in [(6, "RTMPE"), (0x16, "TLS"), (b'G', "HTTP"), (0, "no version"), (32, "no version")] {
        let mut answer = Vec::new();
        let error = accept(&mut Cursor::new([version]), &mut answer).unwrap_err();
        assert!(error.to_string().contains(hint), "{error}");
        assert!(answer.is_empty());
    }
}

#[test]
fn leaving_without_a_word_is_no_fault_and_leaving_later_is() {
    let accept = |bytes: &[u8]| accept(&mut Cursor::new(bytes), &mut Vec::new()).unwrap_err();
    assert!(matches!(accept(&[]), Error::Disconnected));
    assert!(accept(&[VERSION]).to_string().starts_with("reading C1"));
    assert!(accept(&[VERSION; 1 + PACKET]).to_string().starts_with("reading C2"));
}

#[test]
fn a_byte_at_a_time_is_enough_and_the_answer_goes_out_at_once() {
    struct Drops(Cursor<Vec<u8>>);
    impl io::Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }
    #[derive(Default)]
    struct Writes(Vec<usize>);
    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sent = [&[VERSION][..], &[0; 2 * PACKET]].concat();
    let mut writes = Writes::default();
    accept(&mut Drops(Cursor::new(sent)), &mut writes).unwrap();
    assert_eq!(writes.0, [1 + 2 * PACKET]);
}

#[test]
fn a_server_of_another_version_is_not_trusted() {
    let answer = [&[6u8][..], &[0; 2 * PACKET]].concat();
    let error = connect(&mut Cursor::new(answer), &mut Vec::new(), ClientKind::Simple).unwrap_err();
    assert!(matches!(error, Error::Handshake(_)));
}

#[test]
fn no_two_packets_are_alike() {
    let (mut a, mut b) = ([0; PACKET], [0; PACKET]);
    random::fill(&mut a);
    random::fill(&mut b);
    assert_ne!(a, b);
    assert!(a.chunks(8).all(|chunk| chunk != [0; 8]));
}
