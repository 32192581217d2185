//! `user:password@` as OBS, ffmpeg and others know it: the challenge named `authmod=adobe`.
//!
//! ```text
//!  connect app                                   → refused: need auth
//!  connect app?authmod=adobe&user=U              → refused: salt S, challenge C, opaque O
//!  connect app?…&challenge=CC&response=R&opaque=O → in, if R = b64(md5(b64(md5(U + S + password)) + O + CC))
//! ```
//!
//! Each line is a connection of its own. Nothing is kept between them: O holds the time and is signed for one address
//! and one user. Any user's name will do; the password is the key. MD5 keeps the key from being read off the wire, and
//! not from somebody who guesses at what was recorded there: RTMPS does.

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

/// To who has not said a name yet.
pub(super) const NEEDED: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";

/// To who gave a wrong answer.
pub(super) const FAILED: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed";

/// What a client brought to `connect`.
pub(super) struct Answer {
    pub user: String,
    /// Empty when it has yet to be asked.
    pub response: String,
    challenge: String,
    opaque: String,
}

impl Answer {
    /// Reads it from behind the application's name; `None` when there is none.
    pub(super) fn new(path: &StreamPath) -> Option<Self> {
        // Longer ones are nobody's, and each is hashed for each key.
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

/// Asks and checks the answers.
pub(super) struct Challenge {
    secret: [u8; 32],
    salt: String,
}

/// Without the secret.
impl std::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenge").finish_non_exhaustive()
    }
}

impl Challenge {
    /// With a secret of its own.
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

    /// The description that asks a user for the password.
    pub(super) fn ask(&self, user: &str, ip: IpAddr, now: SystemTime) -> String {
        let seconds = seconds(now);
        let (salt, opaque) = (&self.salt, self.opaque(user, ip, seconds));
        // What would end the parameter was not in the name that came as one.
        let user = user.replace(['&', '=', ' '], "");
        format!(
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user={user}&salt={salt}&challenge={seconds:x}&opaque={opaque}"
        )
    }

    /// Whether that user was asked this at that address, and lately.
    pub(super) fn is_ours(&self, answer: &Answer, ip: IpAddr, now: SystemTime) -> bool {
        let Some((Ok(asked), _)) = answer.opaque.split_once('.').map(|(at, mac)| (u64::from_str_radix(at, 16), mac))
        else {
            return false;
        };
        let age = seconds(now).checked_sub(asked);
        let is_fresh = age.is_some_and(|age| Duration::from_secs(age) <= limits::CHALLENGE_LIFETIME);
        is_fresh && is_equal(&self.opaque(&answer.user, ip, asked), &answer.opaque)
    }

    /// Whether the password in the answer was this one.
    pub(super) fn is_answered_with(&self, answer: &Answer, password: &Secret) -> bool {
        let inner = md5(&[answer.user.as_bytes(), self.salt.as_bytes(), password.bytes()]);
        let expected = md5(&[inner.as_bytes(), answer.opaque.as_bytes(), answer.challenge.as_bytes()]);
        is_equal(&expected, &answer.response)
    }

    fn opaque(&self, user: &str, ip: IpAddr, seconds: u64) -> String {
        let mac = self.mac(format!("opaque {seconds} {} {user}", ip.to_canonical()).as_bytes());
        format!("{seconds:x}.{}", &mac[..32])
    }

    /// In hexadecimal digits.
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

    /// What a client answers, as a query.
    pub(crate) fn answer(asked: &str, user: &str, password: &str) -> String {
        let value = |key: &str| {
            let (_, rest) = asked.split_once(&format!("{key}=")).unwrap();
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
    fn an_answer_counts_for_a_while_for_who_was_asked() {
        let (challenge, ip, now) = (Challenge::new().unwrap(), IpAddr::from([192, 0, 2, 7]), SystemTime::now());
        let answer = parsed(&answer(&challenge.ask("eve", ip, now), "eve", "pass"));
        assert!(challenge.is_answered_with(&answer, &Secret::new("pass")));
        assert!(!challenge.is_answered_with(&answer, &Secret::new("other")));
        assert!(challenge.is_ours(&answer, ip, now + limits::CHALLENGE_LIFETIME));
        assert!(!challenge.is_ours(&answer, ip, now + limits::CHALLENGE_LIFETIME + Duration::from_secs(1)));
        assert!(!challenge.is_ours(&answer, ip, now - Duration::from_secs(2)), "from the future");
        assert!(!challenge.is_ours(&answer, IpAddr::from([192, 0, 2, 8]), now));
        assert!(!Challenge::new().unwrap().is_ours(&answer, ip, now), "of another server");
        assert!(!challenge.is_ours(&Answer { user: "adam".into(), ..answer }, ip, now));
    }

    #[test]
    fn an_answer_without_the_question_is_none() {
        let challenge = Challenge::new().unwrap();
        for query in ["authmod=adobe&user=eve&response=x", "authmod=adobe&user=eve&response=x&opaque=zz.00"] {
            assert!(!challenge.is_ours(&parsed(query), IpAddr::from([192, 0, 2, 7]), SystemTime::now()));
        }
        assert!(Answer::new(&StreamPath::new("live?authmod=llnw&user=eve", "").unwrap()).is_none());
    }

    #[test]
    fn a_name_cannot_add_parameters() {
        let asked = Challenge::new().unwrap().ask("a&salt=x", IpAddr::from([192, 0, 2, 7]), SystemTime::now());
        assert!(asked.contains("user=asaltx&"), "{asked}");
    }
}
