//! From the name a client asks for to the files it may mean.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::{Error, Result, limits};

/// What clients put in front of a name to say its format.
const PREFIXES: [&[u8]; 4] = [b"flv:", b"mp4:", b"mp3:", b"f4v:"];
const EXTENSION: &[u8] = b".flv";

/// The relative paths that a name may mean, the likeliest first.
///
/// The name is tried as it is and with percent escapes decoded (once), each with and without `.flv`.
/// Prefixes such as `flv:` and empty components are dropped. Fails with [`Error::Refused`] when a reading
/// of the name could lead out of the folder or to a hidden file, and with [`Error::Limit`] when the name
/// is over [`limits::NAME_BYTES`].
pub(super) fn candidates(name: &str) -> Result<Vec<PathBuf>> {
    if name.len() > limits::NAME_BYTES {
        return Err(Error::Limit {
            what: "bytes of a video's name",
            value: name.len() as u64,
            limit: limits::NAME_BYTES as u64,
        });
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(name).collect();
    let mut paths = vec![relative_path(name.as_bytes())?, relative_path(&decoded)?];
    paths.dedup();
    let candidates = paths.into_iter().flat_map(with_and_without_extension);
    Ok(candidates.map(|path| PathBuf::from(OsString::from_vec(path))).collect())
}

fn with_and_without_extension(path: Vec<u8>) -> Vec<Vec<u8>> {
    let longer = [&path, EXTENSION].concat();
    match path.strip_suffix(EXTENSION).map(<[u8]>::to_vec) {
        Some(shorter) => vec![path, longer, shorter],
        None => vec![longer, path],
    }
}

fn relative_path(name: &[u8]) -> Result<Vec<u8>> {
    let refuse = |reason: &'static str| Err(super::not_found(reason));
    if name.contains(&0) || name.contains(&b'\\') {
        return refuse("the name holds a byte that no name may hold");
    }
    let mut components = Vec::new();
    for mut component in name.split(|&byte| byte == b'/') {
        while let Some(rest) = PREFIXES.iter().find_map(|prefix| component.strip_prefix(*prefix)) {
            component = rest;
        }
        match component {
            b"" => {}
            b".." => return refuse("the name leads out of the folder"),
            [b'.', ..] => return refuse("the name is of a hidden file"),
            _ => components.push(component),
        }
    }
    if components.is_empty() {
        return refuse("the name is empty");
    }
    Ok(components.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(name: &str) -> Vec<String> {
        candidates(name).unwrap().into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn readings_of_a_name() {
        assert_eq!(paths("a"), ["a.flv", "a"]);
        assert_eq!(paths("a.flv"), ["a.flv", "a.flv.flv", "a"]);
        assert_eq!(paths("sub/a"), ["sub/a.flv", "sub/a"]);
        assert_eq!(paths("//sub///a/"), ["sub/a.flv", "sub/a"]);
        assert_eq!(paths("mp4:a.mp4"), ["a.mp4.flv", "a.mp4"]);
        assert_eq!(paths("sub/flv:a"), ["sub/a.flv", "sub/a"], "as ffmpeg asks for sub-folders");
        assert_eq!(paths("/flv:mp4:/a"), ["a.flv", "a"]);
        assert_eq!(paths("f4v%3aa%20b"), ["f4v%3aa%20b.flv", "f4v%3aa%20b", "a b.flv", "a b"]);
        assert_eq!(paths("100%"), ["100%.flv", "100%"]);
        assert_eq!(paths("caf\u{e9}"), ["caf\u{e9}.flv", "caf\u{e9}"]);
        assert_eq!(paths("%252e%252e"), ["%252e%252e.flv", "%252e%252e", "%2e%2e.flv", "%2e%2e"], "decoded once");
    }

    #[test]
    fn escapes_need_not_be_unicode() {
        let latin1 = candidates("%e9").unwrap().pop().unwrap();
        assert_eq!(latin1.into_os_string().into_vec(), [0xe9]);
    }

    #[test]
    fn names_that_are_refused() {
        for name in [
            "",
            "/",
            "flv:",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "flv:..",
            "a/flv:../b",
            "%2e%2e/a",
            "a/%2E./b",
            "..%2fa",
            "a%2f..%2fb",
            "flv:%2e.",
            ".",
            "./a",
            ".hidden",
            "a/.hidden",
            "%2ehidden",
            "a\0",
            "a%00.flv",
            "a\\b",
            "a%5c..%5cb",
        ] {
            let error = candidates(name).unwrap_err();
            assert!(
                matches!(&error, Error::Refused { code, .. } if code == "NetStream.Play.StreamNotFound"),
                "{name:?}"
            );
        }
    }

    #[test]
    fn limit_of_a_names_length() {
        assert!(candidates(&"a".repeat(limits::NAME_BYTES)).is_ok());
        assert!(matches!(candidates(&"a".repeat(limits::NAME_BYTES + 1)), Err(Error::Limit { .. })));
    }
}
