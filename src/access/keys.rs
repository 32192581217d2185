//! Keys and key files.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Permission;
use crate::error::{Error, Result};
use crate::guard::read_small_file;
use crate::limits;

/// The SHA-256 of a key: digests have the same length, so that comparing them tells nothing of the key's.
pub(super) type Digest = [u8; 32];

/// A key. It is never displayed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it contains characters that are reserved in URLs.
    fn needs_encoding(&self) -> bool {
        self.0.contains(['/', '?', '&', '#', '%', '+']) || self.0.contains(char::is_whitespace)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn digest(&self) -> Digest {
        Sha256::digest(&self.0).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.digest().ct_eq(&other.digest()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether `key` is one of `keys`, in a time that does not depend on which, nor on how similar they are.
pub(super) fn is_among<'a>(key: &str, keys: impl Iterator<Item = &'a Secret>) -> bool {
    let digest: Digest = Sha256::digest(key).into();
    keys.fold(Choice::from(0), |found, one| found | one.digest().ct_eq(&digest)).into()
}

/// The keys for publishing, or for playing.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// No key is required.
    is_open: bool,
    /// Keys for all streams.
    common: Vec<Secret>,
    /// Keys by `APP/NAME`, or `APP/*`.
    by_name: HashMap<String, Vec<Secret>>,
    /// Whether some keys have to be percent-encoded in URLs.
    need_encoding: bool,
}

/// The most lines of a key file that are listed.
const SHOWN_LINES: usize = 8;

/// Advice for keys with characters that are reserved in URLs.
pub(super) const ENCODE_HINT: &str = "a key with / ? & # % + or a space in it has to be percent-encoded in a URL";

impl Keys {
    /// Loads the keys of a permission, whose option is `--` and that name. Warns of keys that need encoding.
    pub(super) fn load(permission: &Permission, option: &str) -> Result<Self> {
        let mut keys = match &permission.key_file {
            Some(file) => Self::read(file)?,
            None => Self { is_open: permission.key.is_none(), ..Self::default() },
        };
        if let Some(key) = &permission.key {
            if key.needs_encoding() {
                log::warn!("--{option}: {ENCODE_HINT}; without such characters it is easier to use");
                keys.need_encoding = true;
            }
            keys.common.push(key.clone());
        }
        Ok(keys)
    }

    /// Whether some keys have to be percent-encoded in URLs.
    pub(super) fn need_encoding(&self) -> bool {
        self.need_encoding
    }

    fn read(file: &Path) -> Result<Self> {
        let invalid = |reason: String| Error::Config(format!("the key file {}: {reason}", file.display()).into());
        let text = read_small_file(file, limits::KEY_FILE_BYTES).map_err(invalid)?;
        let keys = Self::parse(&text).map_err(|(line, reason)| invalid(format!("line {line}: {reason}")))?;
        if keys.need_encoding {
            let lines: Vec<_> = lines_to_encode(&text).take(SHOWN_LINES).map(|line| line.to_string()).collect();
            log::warn!("the key file {}, line {}: {ENCODE_HINT}", file.display(), lines.join(", "));
        }
        Ok(keys)
    }

    /// Parses lines `APP/NAME KEY`; `#` starts a comment. Errors never repeat a line, because it contains a key.
    fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut keys = Self::default();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let (name, key) = match (words.next(), words.next(), words.next()) {
                (None, ..) => continue,
                (Some(word), ..) if word.starts_with('#') => continue,
                (Some(name), Some(key), None) => (name, Secret::new(key)),
                _ => return Err((index + 1, "it is not of the form APP/NAME KEY, with one space and none in the key")),
            };
            keys.need_encoding |= key.needs_encoding();
            match name.trim_start_matches('/') {
                "*" => keys.common.push(key),
                name if name.contains('/') => keys.by_name.entry(name.to_owned()).or_default().push(key),
                _ => return Err((index + 1, "the name lacks its application, as in live/cam1 KEY (or * KEY for all)")),
            }
        }
        Ok(keys)
    }

    /// Whether a key is required.
    pub(super) fn are_required(&self) -> bool {
        !self.is_open
    }

    /// Returns the keys for a stream: its own, its application's, and those for all. A key for many streams counts for
    /// each of them, so that no other spelling of a name makes a difference.
    pub(super) fn for_stream<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Secret> + Clone + use<'a> {
        let app = name.split('/').next().unwrap_or_default();
        let named = [name.to_owned(), format!("{app}/*")].map(|name| self.by_name.get(&name));
        named.into_iter().flatten().flatten().chain(&self.common)
    }

    /// Returns every key.
    pub(super) fn all(&self) -> impl Iterator<Item = &Secret> {
        self.by_name.values().flatten().chain(&self.common)
    }
}

/// Returns the numbers of lines whose keys need encoding.
fn lines_to_encode(text: &str) -> impl Iterator<Item = usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    let keys = lines.filter_map(|(index, line)| Some((index + 1, line.split_whitespace().nth(1)?)));
    keys.filter(|(_, key)| Secret::new(*key).needs_encoding()).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_name_by_application_and_for_all() {
        let text = "# cameras\n\nlive/cam1  one\n/live/cam1 uno\nlive/* some\n* any\r\nlive/caf\u{e9} accent\n";
        let keys = Keys::parse(text).unwrap();
        let fits = |name: &str, key: &str| is_among(key, keys.for_stream(name));
        assert!(["one", "uno", "some", "any"].iter().all(|key| fits("live/cam1", key)));
        assert!(fits("live/cam2", "some") && fits("gortmp/a/b", "any") && fits("live/caf\u{e9}", "accent"));
        assert!(!fits("live/cam2", "one") && !fits("gortmp/a", "some") && !fits("live/cam1", "on"));
        assert_eq!(keys.all().count(), 5);
    }

    #[test]
    fn errors_name_the_line_without_repeating_it() {
        for (text, line) in [("live/cam", 1), ("# x\nlive/cam a b", 2), ("cam key", 1)] {
            let (at, reason) = Keys::parse(text).unwrap_err();
            assert_eq!(at, line);
            assert!(reason.contains("KEY"), "{reason}");
        }
        let missing = Permission { key_file: Some("/nonexistent/keys".into()), ..Permission::default() };
        assert!(Keys::load(&missing, "publish-key").unwrap_err().to_string().contains("/nonexistent/keys"));
    }

    #[test]
    fn a_file_without_keys_denies_everyone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let permission = Permission { key_file: Some(file.path().to_owned()), ..Permission::default() };
        let keys = Keys::load(&permission, "publish-key").unwrap();
        assert!(keys.are_required() && keys.for_stream("live/cam").next().is_none());
        std::fs::write(file.path(), vec![b'#'; limits::KEY_FILE_BYTES as usize + 1]).unwrap();
        assert!(Keys::load(&permission, "publish-key").unwrap_err().to_string().contains("limit"));
        assert!(!Keys::load(&Permission::default(), "publish-key").unwrap().are_required());
    }
}
