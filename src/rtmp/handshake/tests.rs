//! Handshakes between this crate's client and server, and with unusual or invalid peers.

use std::io::{self, Cursor, Write};
use std::os::unix::net::UnixStream;

use super::client::{ClientKind, connect};
use super::digest::{RESPONSE_BODY, Side, find, sign_response};
use super::server::{Kind, accept};
use super::*;

fn perform_handshake(kind: ClientKind) -> Kind {
    let (client, server) = UnixStream::pair().unwrap();
    let server_thread = std::thread::spawn(move || accept(&mut &server, &mut &server).unwrap());
    connect(&mut &client, &mut &client, kind).unwrap();
    server_thread.join().unwrap()
}

/// Returns the server's response to C0 and C1, followed by an arbitrary C2.
fn respond_to(c1: &Packet) -> (Kind, Vec<u8>) {
    let sent = [&[VERSION], &c1[..], &[0xee; PACKET]].concat();
    let mut response = Vec::new();
    let kind = accept(&mut Cursor::new(sent), &mut response).unwrap();
    (kind, response)
}

fn signed_c1(scheme: Scheme) -> Packet {
    let mut c1 = [7; PACKET];
    scheme.sign(&mut c1, Side::Client);
    c1
}

#[test]
fn every_kind_of_handshake_completes() {
    assert_eq!(perform_handshake(ClientKind::Simple), Kind::Simple);
    for scheme in [Scheme::Zero, Scheme::One] {
        assert_eq!(perform_handshake(ClientKind::Digest(scheme)), Kind::Digest(scheme));
    }
}

#[test]
fn a_simple_client_gets_its_c1_echoed_and_a_version_of_zeros() {
    let mut c1 = [9; PACKET];
    c1[4..8].fill(0);
    let (kind, response) = respond_to(&c1);
    assert_eq!(kind, Kind::Simple);
    assert_eq!(response.len(), 1 + 2 * PACKET);
    assert_eq!((response[0], &response[5..9]), (VERSION, &[0; 4][..]));
    assert_eq!(response[1 + PACKET..], c1);
}

#[test]
fn a_valid_digest_is_answered_with_valid_digests() {
    for scheme in [Scheme::Zero, Scheme::One] {
        let c1 = signed_c1(scheme);
        let (kind, response) = respond_to(&c1);
        assert_eq!(kind, Kind::Digest(scheme));
        let s1: Packet = response[1..1 + PACKET].try_into().unwrap();
        let mut s2: Packet = response[1 + PACKET..].try_into().unwrap();
        assert_eq!(find(&s1, Side::Server).map(|found| found.0), Some(scheme));
        assert!(s1[4] >= 3, "ffmpeg verifies the digest only from version 3");
        let signature = s2[RESPONSE_BODY..].to_vec();
        sign_response(&mut s2, Side::Server, &find(&c1, Side::Client).unwrap().1);
        assert_eq!(s2[RESPONSE_BODY..], signature);
    }
}

#[test]
fn an_invalid_digest_is_answered_without_a_digest() {
    let mut c1 = signed_c1(Scheme::One);
    c1[1000] ^= 1;
    let (kind, response) = respond_to(&c1);
    assert_eq!(kind, Kind::Simple);
    assert_eq!(response[5..9], [0; 4], "with a version, ffmpeg would expect a digest");
}

#[test]
fn other_protocols_are_rejected_at_their_first_byte() {
    for (version, hint) in [(6, "RTMPE"), (0x16, "TLS"), (b'G', "HTTP"), (0, "no version"), (32, "no version")] {
        let mut response = Vec::new();
        let error = accept(&mut Cursor::new([version]), &mut response).unwrap_err();
        assert!(error.to_string().contains(hint), "{error}");
        assert!(response.is_empty());
    }
}

#[test]
fn a_disconnect_before_the_first_byte_is_regular_and_a_later_one_an_error() {
    let accept = |bytes: &[u8]| accept(&mut Cursor::new(bytes), &mut Vec::new()).unwrap_err();
    assert!(matches!(accept(&[]), Error::Disconnected));
    assert!(accept(&[VERSION]).to_string().starts_with("reading C1"));
    assert!(accept(&[VERSION; 1 + PACKET]).to_string().starts_with("reading C2"));
}

#[test]
fn input_may_arrive_byte_by_byte_and_the_response_is_sent_in_one_write() {
    struct ByteReader(Cursor<Vec<u8>>);
    impl io::Read for ByteReader {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }
    #[derive(Default)]
    struct WriteLengths(Vec<usize>);
    impl Write for WriteLengths {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sent = [&[VERSION][..], &[0; 2 * PACKET]].concat();
    let mut writes = WriteLengths::default();
    accept(&mut ByteReader(Cursor::new(sent)), &mut writes).unwrap();
    assert_eq!(writes.0, [1 + 2 * PACKET]);
}

#[test]
fn a_client_rejects_a_server_of_another_version() {
    let response = [&[6u8][..], &[0; 2 * PACKET]].concat();
    let error = connect(&mut Cursor::new(response), &mut Vec::new(), ClientKind::Simple).unwrap_err();
    assert!(matches!(error, Error::Handshake(_)));
}

#[test]
fn random_packets_differ() {
    let (mut a, mut b) = ([0; PACKET], [0; PACKET]);
    random::fill(&mut a);
    random::fill(&mut b);
    assert_ne!(a, b);
    assert!(a.chunks(8).all(|chunk| chunk != [0; 8]));
}
