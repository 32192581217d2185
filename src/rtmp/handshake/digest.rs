//! The digests by which Flash players and servers recognize each other.
//!
//! Bytes 8 to 1536 of C1 and S1 are two blocks of 764 bytes. One of them contains a digest, at an offset given by the
//! block's first four bytes; the other is for encryption, which is not supported.
//!
//! | scheme | offset of the block | offset of the digest |
//! |---|---|---|
//! | 0 | 772 | 776 + (sum of bytes 772–775) mod 728 |
//! | 1 | 8 | 12 + (sum of bytes 8–11) mod 728 |

use std::ops::Range;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{PACKET, Packet};

/// Length of a digest in bytes.
pub(super) const DIGEST: usize = 32;

/// Length of C2 and S2 before their digest, in bytes.
pub(super) const RESPONSE_BODY: usize = PACKET - DIGEST;

const CLIENT_NAME: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_NAME: &[u8] = b"Genuine Adobe Flash Media Server 001";

/// Appended to both names in the keys of C2 and S2.
const KEY_TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e, 0xec, 0x5d,
    0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];

/// The block that contains the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// The second.
    Zero,
    /// The first.
    One,
}

/// The side that made a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Client => CLIENT_NAME,
            Self::Server => SERVER_NAME,
        }
    }
}

impl Scheme {
    /// Returns the range of the digest in C1 or S1, always within its block.
    fn range(self, packet: &Packet) -> Range<usize> {
        let block = match self {
            Self::Zero => 772,
            Self::One => 8,
        };
        let sum: usize = packet[block..block + 4].iter().map(|byte| usize::from(*byte)).sum();
        let start = block + 4 + sum % 728;
        start..start + DIGEST
    }

    /// Computes the digest of C1 or S1.
    fn digest(self, packet: &Packet, side: Side) -> [u8; DIGEST] {
        let range = self.range(packet);
        hmac(side.name(), &[&packet[..range.start], &packet[range.end..]])
    }

    /// Writes the digest into C1 or S1 and returns it.
    pub(super) fn sign(self, packet: &mut Packet, side: Side) -> [u8; DIGEST] {
        let digest = self.digest(packet, side);
        let range = self.range(packet);
        packet[range].copy_from_slice(&digest);
        digest
    }
}

/// Finds the digest of a C1 or S1 and the scheme under which it is valid.
pub(super) fn find(packet: &Packet, side: Side) -> Option<(Scheme, [u8; DIGEST])> {
    [Scheme::Zero, Scheme::One].into_iter().find_map(|scheme| {
        let digest = scheme.digest(packet, side);
        (packet[scheme.range(packet)] == digest).then_some((scheme, digest))
    })
}

/// Completes a C2 or S2 of `side` with the proof that it has read the other side's digest.
pub(super) fn sign_response(response: &mut Packet, side: Side, others_digest: &[u8]) {
    let key = hmac(&[side.name(), &KEY_TAIL].concat(), &[others_digest]);
    let (body, proof) = response.split_at_mut(RESPONSE_BODY);
    proof.copy_from_slice(&hmac(&key, &[body]));
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST] {
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; DIGEST] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(factor: usize, offset: usize, version: [u8; 4]) -> Packet {
        let mut packet = [0; PACKET];
        for (index, byte) in packet.iter_mut().enumerate() {
            *byte = (factor * index + offset) as u8;
        }
        packet[..4].fill(0);
        packet[4..8].copy_from_slice(&version);
        packet
    }

    fn response_signature(side: Side, peer_digest: &[u8]) -> String {
        let mut packet = pattern(17, 3, [0; 4]);
        for (index, byte) in packet.iter_mut().enumerate() {
            *byte = (17 * index + 3) as u8;
        }
        sign_response(&mut packet, side, peer_digest);
        hex(&packet[RESPONSE_BODY..])
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Scheme, offset and digest of C1, offset and digest of S1, signatures in S2 and C2.
    const VECTORS: [(Scheme, usize, &str, usize, &str, &str, &str); 2] = [
        (
            Scheme::One,
            450,
            "881e5e62d39a04067e5b416cff5d71da1ade0c7b7c5164adb00436674ea7aaef",
            526,
            "8e631f818b4566976637f861ebf440318680fdc66bee0c2b2594d2cc32f626dc",
            "09980b9bf4c94f032aa72546fc511000f128cd83ab0b4949cff48a3dc0f765f1",
            "e9e8b94306fea78a5345ce27ea5fdaf418fba2a2e2c69e00658454bde6688fda",
        ),
        (
            Scheme::Zero,
            1486,
            "3ec6a11071608ce7770b8df3fec4a0a48f366bb95b4e66485506bbbcbaaf1e5d",
            1082,
            "20597f5964ec4b8ee048ad5a7bada4b299dcf9ca371a7728f2ec10555783d949",
            "1487b78ee397e04963d750550d1ab996a454af5adcbfb5514acfbf8f2bbce7cd",
            "17914640d1ede6d8fca67677d1c0be68f4ddd3363ab10af3556fcf4e00de9441",
        ),
    ];

    #[test]
    fn digests_of_known_packets() {
        for (scheme, c1_offset, c1_digest, s1_offset, s1_digest, s2_signature, c2_signature) in VECTORS {
            let mut c1 = pattern(31, 7, [0x80, 0, 7, 2]);
            assert_eq!(scheme.range(&c1).start, c1_offset);
            let digest = scheme.sign(&mut c1, Side::Client);
            assert_eq!(hex(&digest), c1_digest);
            assert_eq!(find(&c1, Side::Client), Some((scheme, digest)));
            assert_eq!(find(&c1, Side::Server), None);
            assert_eq!(response_signature(Side::Server, &digest), s2_signature);

            let mut s1 = pattern(13, 5, [4, 5, 0, 1]);
            assert_eq!(scheme.range(&s1).start, s1_offset);
            let digest = scheme.sign(&mut s1, Side::Server);
            assert_eq!(hex(&digest), s1_digest);
            assert_eq!(response_signature(Side::Client, &digest), c2_signature);
        }
    }

    #[test]
    fn the_digest_stays_within_its_block_for_all_offset_bytes() {
        for offset in 0..=1020usize {
            let mut packet = [0; PACKET];
            for block in [8, 772] {
                for (index, byte) in packet[block..block + 4].iter_mut().enumerate() {
                    *byte = (offset.saturating_sub(index * 255)).min(255) as u8;
                }
            }
            assert!(Scheme::Zero.range(&packet).end <= PACKET);
            assert!(Scheme::One.range(&packet).end <= 772);
        }
    }
}
