//! Play links that expire: `APP/NAME?expires=UNIX&sign=HEX`.
//!
//! The signature is the HMAC-SHA256 of `play APP/NAME UNIX`, made with one of the keys for playing that name, in
//! hexadecimal digits. The name is meant as the server knows it: percent escapes decoded, no `.flv` at its end. Who
//! has a link can't make another from it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::keys::Secret;
use crate::session::StreamPath;

/// What a client brought.
pub(super) struct Link<'a> {
    expires: Cow<'a, str>,
    sign: Cow<'a, str>,
}

impl<'a> Link<'a> {
    /// What stands behind the stream's name, if it is a link.
    pub(super) fn of(path: &'a StreamPath) -> Option<Self> {
        Some(Self { expires: path.query_value("expires")?, sign: path.query_value("sign")? })
    }

    /// Whether one of the keys made it, for that name, and it has not expired.
    pub(super) fn check<'k>(
        &self,
        name: &str,
        keys: impl Iterator<Item = &'k Secret>,
        now: SystemTime,
    ) -> Result<(), &'static str> {
        let wrong = "the link's signature is wrong";
        let expires: u64 = self.expires.parse().map_err(|_| "the link's time is no number of seconds since 1970")?;
        let sign = from_hex(&self.sign).ok_or(wrong)?;
        // Each of them, so that the time taken does not tell which.
        let signed = keys.filter(|key| mac(key, name, expires).is_some_and(|mac| mac.verify_slice(&sign).is_ok()));
        if signed.count() == 0 {
            return Err(wrong);
        }
        match SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires)) {
            Some(end) if end <= now => Err("the link has expired"),
            _ => Ok(()),
        }
    }
}

/// The signature for playing `name` (`APP/NAME`) until `expires`, in seconds since 1970.
///
/// ```
/// let expires = 1_767_225_600;
/// let sign = gortmp::sign_link(&gortmp::Secret::new("s3cret"), "live/cam", expires);
/// let link = format!("rtmp://example.org/live/cam?expires={expires}&sign={sign}");
/// assert_eq!(sign.len(), 64);
/// ```
pub fn sign(key: &Secret, name: &str, expires: u64) -> String {
    let bytes = mac(key, name, expires).map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &Secret, name: &str, expires: u64) -> Option<Hmac<Sha256>> {
    // A key of any length will do, so there is always one.
    let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).ok()?;
    mac.update(format!("play {name} {expires}").as_bytes());
    Some(mac)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    (digits.len() == 64).then(|| digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, now: u64) -> Result<(), &'static str> {
        let path = StreamPath::new("live", &format!("cam?{query}")).unwrap();
        let keys = [Secret::new("other"), Secret::new("s3cret")];
        Link::of(&path).unwrap().check("live/cam", keys.iter(), SystemTime::UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn a_signature_is_what_openssl_makes() {
        // printf 'play live/cam 2000000000' | openssl dgst -sha256 -hmac s3cret
        let sign = sign(&Secret::new("s3cret"), "live/cam", 2_000_000_000);
        assert_eq!(sign, SIGNATURE);
    }

    const SIGNATURE: &str = "3d0fea4220decc07bef255cf0cd15aff53ba8db2a7bbbad7172dbdef24ab9a39";

    #[test]
    fn only_the_signed_time_counts_and_it_ends() {
        let query = |expires: &str, sign: &str| format!("expires={expires}&sign={sign}");
        assert_eq!(check(&query("2000000000", SIGNATURE), 1_999_999_999), Ok(()));
        assert_eq!(check(&query("2000000000", &SIGNATURE.to_uppercase()), 0), Ok(()));
        assert_eq!(check(&query("2000000000", SIGNATURE), 2_000_000_000), Err("the link has expired"));
        let wrong = Err("the link's signature is wrong");
        assert_eq!(check(&query("2000000001", SIGNATURE), 0), wrong);
        assert_eq!(check(&query("2000000000", &SIGNATURE[2..]), 0), wrong);
        assert_eq!(check(&query("2000000000", "é"), 0), wrong);
        assert!(check(&query("tomorrow", SIGNATURE), 0).is_err());
        assert_eq!(check(&query(&u64::MAX.to_string(), SIGNATURE), 0), wrong);
    }
}
