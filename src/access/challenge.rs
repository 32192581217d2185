//! `user:password@` as OBS, ffmpeg and others know it: the challenge-response scheme `authmod=adobe`.
//!
//! ```text
//!  connect app                                   → refused: need auth
//!  connect app?authmod=adobe&user=U              → refused: salt S, challenge C, opaque O
//!  connect app?…&challenge=CC&response=R&opaque=O → in, if R = b64(md5(b64(md5(U + S + password)) + O + CC))
//! ```
//!
//! Each line is a connection of its own. The server keeps no state between them: O holds the time and is signed for one
//! address and one user. Any user name is accepted; the password is the key. MD5 keeps the key from being read off the
//! wire, but does not protect it against guessing from a recording: RTMPS does.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::keys::Secret;
use crate::error::{Error, Result};
use crate::limits;
use crate::session::StreamPath;

/// The description for a client that has not named a user yet.
pub(super) const AUTH_NEEDED: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";

/// The description for a wrong response.
pub(super) const AUTH_FAILED: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed";

/// The authentication parameters of a `connect`.
pub(super) struct Answer {
    pub user: String,
    /// Empty before the challenge.
    pub response: String,
    challenge: String,
    opaque: String,
}

impl Answer {
    /// Parses them from the application's query; `None` when there are none.
    pub(super) fn new(path: &StreamPath) -> Option<Self> {
        // Longer ones are not genuine, and each is hashed for each key.
        let value = |key| {
            let value = path.query_value(key).unwrap_or_default();
            if value.len() <= limits::CHALLENGE_BYTES { value.into_owned() } else { String::new() }
        };
        if value("authmod") != "adobe" {
            return None;
        }
        Some(Self {
            user: value("user"),
            response: value("response"),
            challenge: value("challenge"),
            opaque: value("opaque"),
        })
    }
}

/// Issues challenges and verifies responses.
pub(super) struct Challenge {
    secret: [u8; 32],
    salt: String,
}

/// Omits the secret.
impl std::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenge").finish_non_exhaustive()
    }
}

impl Challenge {
    /// Creates a challenge with a random secret.
    ///
    /// # Errors
    /// [`Error::Config`] when the system has no random bytes.
    pub(super) fn new() -> Result<Self> {
        let mut secret = [0; 32];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut secret).map_err(|_| Error::Config("the system has no random bytes for keys".into()))?;
        let mut challenge = Self { secret, salt: String::new() };
        challenge.salt = challenge.mac(b"salt")[..8].to_owned();
        Ok(challenge)
    }

    /// Returns the description that challenges a user.
    pub(super) fn issue(&self, user: &str, ip: IpAddr, now: SystemTime) -> String {
        let seconds = seconds(now);
        let (salt, opaque) = (&self.salt, self.opaque(user, ip, seconds));
        // Removes what would end the parameter.
        let user = user.replace(['&', '=', ' '], "");
        format!(
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user={user}&salt={salt}&challenge={seconds:x}&opaque={opaque}"
        )
    }

    /// Whether the challenge was issued to that user and address, and recently.
    pub(super) fn is_genuine(&self, answer: &Answer, ip: IpAddr, now: SystemTime) -> bool {
        let Some((Ok(issued), _)) = answer.opaque.split_once('.').map(|(at, mac)| (u64::from_str_radix(at, 16), mac))
        else {
            return false;
        };
        let age = seconds(now).checked_sub(issued);
        let is_fresh = age.is_some_and(|age| Duration::from_secs(age) <= limits::CHALLENGE_LIFETIME);
        is_fresh && is_equal(&self.opaque(&answer.user, ip, issued), &answer.opaque)
    }

    /// Whether the response was made with this password.
    pub(super) fn verify(&self, answer: &Answer, password: &Secret) -> bool {
        let inner = md5(&[answer.user.as_bytes(), self.salt.as_bytes(), password.bytes()]);
        let expected = md5(&[inner.as_bytes(), answer.opaque.as_bytes(), answer.challenge.as_bytes()]);
        is_equal(&expected, &answer.response)
    }

    fn opaque(&self, user: &str, ip: IpAddr, seconds: u64) -> String {
        let mac = self.mac(format!("opaque {seconds} {} {user}", ip.to_canonical()).as_bytes());
        format!("{seconds:x}.{}", &mac[..32])
    }

    /// Returns a MAC in hexadecimal digits.
    fn mac(&self, text: &[u8]) -> String {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return "0".repeat(64) };
        let bytes = mac.chain_update(text).finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn is_equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn md5(parts: &[&[u8]]) -> String {
    STANDARD.encode(parts.iter().fold(Md5::new(), |md5, part| md5.chain_update(part)).finalize())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a client's response, as a query.
    pub(crate) fn answer(issued: &str, user: &str, password: &str) -> String {
        let value = |key: &str| {
            let (_, rest) = issued.split_once(&format!("{key}=")).unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        let (salt, opaque) = (value("salt"), value("opaque"));
        let inner = md5(&[user.as_bytes(), salt.as_bytes(), password.as_bytes()]);
        let response = md5(&[inner.as_bytes(), opaque.as_bytes(), b"beef"]);
        format!("authmod=adobe&user={user}&challenge=beef&response={response}&opaque={opaque}")
    }

    fn parsed(query: &str) -> Answer {
        Answer::new(&StreamPath::new(&format!("live?{query}"), "").unwrap()).unwrap()
    }

    #[test]
    fn a_response_is_valid_for_a_while_for_its_user_and_address() {
        let (challenge, ip, now) = (Challenge::new().unwrap(), IpAddr::from([192, 0, 2, 7]), SystemTime::now());
        let answer = parsed(&answer(&challenge.issue("eve", ip, now), "eve", "pass"));
        assert!(challenge.verify(&answer, &Secret::new("pass")));
        assert!(!challenge.verify(&answer, &Secret::new("other")));
        assert!(challenge.is_genuine(&answer, ip, now + limits::CHALLENGE_LIFETIME));
        assert!(!challenge.is_genuine(&answer, ip, now + limits::CHALLENGE_LIFETIME + Duration::from_secs(1)));
        assert!(!challenge.is_genuine(&answer, ip, now - Duration::from_secs(2)), "from the future");
        assert!(!challenge.is_genuine(&answer, IpAddr::from([192, 0, 2, 8]), now));
        assert!(!Challenge::new().unwrap().is_genuine(&answer, ip, now), "of another server");
        assert!(!challenge.is_genuine(&Answer { user: "adam".into(), ..answer }, ip, now));
    }

    #[test]
    fn a_response_without_a_challenge_is_invalid() {
        let challenge = Challenge::new().unwrap();
        for query in ["authmod=adobe&user=eve&response=x", "authmod=adobe&user=eve&response=x&opaque=zz.00"] {
            assert!(!challenge.is_genuine(&parsed(query), IpAddr::from([192, 0, 2, 7]), SystemTime::now()));
        }
        assert!(Answer::new(&StreamPath::new("live?authmod=llnw&user=eve", "").unwrap()).is_none());
    }

    #[test]
    fn a_user_name_cannot_add_parameters() {
        let issued = Challenge::new().unwrap().issue("a&salt=x", IpAddr::from([192, 0, 2, 7]), SystemTime::now());
        assert!(issued.contains("user=asaltx&"), "{issued}");
    }
}
