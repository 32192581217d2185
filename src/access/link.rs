//! Play links that expire: `APP/NAME?expires=UNIX&sign=HEX`.
//!
//! The signature is the HMAC-SHA256 of `play APP/NAME UNIX`, with one of the keys for playing that name, in hexadecimal
//! digits. The name is the canonical one: percent-decoded, without a trailing `.flv`. A link's holder can't derive
//! another from it.
//! has a link can't make another from it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::keys::Secret;
use crate::session::StreamPath;

/// The link parameters of a request.
pub(super) struct Link<'a> {
    expires: Cow<'a, str>,
    sign: Cow<'a, str>,
}

impl<'a> Link<'a> {
    /// Parses the link parameters of a path, if it has any.
    pub(super) fn parse(path: &'a StreamPath) -> Option<Self> {
        Some(Self { expires: path.query_value("expires")?, sign: path.query_value("sign")? })
    }

    /// Checks that one of the keys signed it for that name, and that it has not expired.
    pub(super) fn check<'k>(
        &self,
        name: &str,
        keys: impl Iterator<Item = &'k Secret>,
        now: SystemTime,
    ) -> Result<(), &'static str> {
        let wrong = "the link's signature is wrong";
        let expires: u64 = self.expires.parse().map_err(|_| "the link's time is no number of seconds since 1970")?;
        let sign = from_hex(&self.sign).ok_or(wrong)?;
        // Tries all of them, so that the time taken does not tell which.
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

/// Signs a link for playing `name` (`APP/NAME`) until `expires`, in seconds since 1970.
pub fn sign(key: &Secret, name: &str, expires: u64) -> String {
    let bytes = mac(key, name, expires).map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &Secret, name: &str, expires: u64) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of any length.
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
        Link::parse(&path).unwrap().check("live/cam", keys.iter(), SystemTime::UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn a_signature_equals_that_of_openssl() {
        // printf 'play live/cam 2000000000' | openssl dgst -sha256 -hmac s3cret
        let sign = sign(&Secret::new("s3cret"), "live/cam", 2_000_000_000);
        assert_eq!(sign, SIGNATURE);
    }

    const SIGNATURE: &str = "3d0fea4220decc07bef255cf0cd15aff53ba8db2a7bbbad7172dbdef24ab9a39";

    #[test]
    fn only_the_signed_time_counts_until_it_expires() {
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
