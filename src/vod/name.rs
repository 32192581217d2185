//! Resolves the name that a client requests to candidate files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::limits;

/// Format prefixes that clients put before names.
const PREFIXES: [&[u8]; 4] = [b"flv:", b"mp4:", b"mp3:", b"f4v:"];

/// The extension in every case, in order of precedence.
const EXTENSIONS: [&[u8]; 8] = [b".flv", b".FLV", b".Flv", b".fLv", b".flV", b".FLv", b".FlV", b".fLV"];

/// Returns the relative paths that a name may refer to, the most likely first.
///
/// The name is tried verbatim and percent-decoded (once), each with and without `.flv` in any case. Prefixes such as
/// `flv:` and empty components are dropped. Fails with [`Error::Refused`] when an interpretation of the name could
/// escape the folder or refer to a hidden file, and with [`Error::Limit`] when the name is over [`limits::NAME_BYTES`].
pub(super) fn candidates(name: &str) -> Result<Vec<PathBuf>> {
    if name.len() > limits::NAME_BYTES {
        return Err(Error::Limit {
            what: "bytes of a video name",
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
    let with_extensions = |stem: &[u8]| EXTENSIONS.map(|extension| [stem, extension].concat());
    match without_extension(&path) {
        Some(stem) => {
            let others = with_extensions(stem).into_iter().filter(|other| *other != path);
            let longer = with_extensions(&path).into_iter().chain([stem.to_vec()]);
            [path.clone()].into_iter().chain(others).chain(longer).collect()
        }
        None => with_extensions(&path).into_iter().chain([path]).collect(),
    }
}

/// Strips the extension, case-insensitively; `None` if the name has another or none.
pub(super) fn without_extension(name: &[u8]) -> Option<&[u8]> {
    EXTENSIONS.into_iter().find_map(|extension| name.strip_suffix(extension))
}

/// Returns the precedence among files whose names differ only in the case of their extensions; lower is first.
pub(super) fn extension_rank(name: &[u8]) -> usize {
    EXTENSIONS.into_iter().position(|extension| name.ends_with(extension)).unwrap_or(EXTENSIONS.len())
}

fn without_prefix<'a>(component: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = component.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn relative_path(name: &[u8]) -> Result<Vec<u8>> {
    let refuse = |reason: &'static str| Err(super::not_found(reason));
    if name.contains(&0) || name.contains(&b'\\') {
        return refuse("the name holds a byte that no name may hold");
    }
    let mut components = Vec::new();
    for mut component in name.split(|&byte| byte == b'/') {
        while let Some(rest) = PREFIXES.iter().find_map(|prefix| without_prefix(component, prefix)) {
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

    /// Returns the candidates with a lower-case extension or none.
    fn lower_case(name: &str) -> Vec<String> {
        let is_lower_case = |path: &String| !path.to_lowercase().ends_with(".flv") || path.ends_with(".flv");
        paths(name).into_iter().filter(is_lower_case).collect()
    }

    #[test]
    fn interpretations_of_a_name() {
        assert_eq!(lower_case("a"), ["a.flv", "a"]);
        assert_eq!(lower_case("a.flv"), ["a.flv", "a.flv.flv", "a"]);
        assert_eq!(lower_case("sub/a"), ["sub/a.flv", "sub/a"]);
        assert_eq!(lower_case("//sub///a/"), ["sub/a.flv", "sub/a"]);
        assert_eq!(lower_case("mp4:a.mp4"), ["a.mp4.flv", "a.mp4"]);
        assert_eq!(lower_case("sub/flv:a"), ["sub/a.flv", "sub/a"], "as ffmpeg requests files in sub-folders");
        assert_eq!(lower_case("/flv:mp4:/a"), ["a.flv", "a"]);
        assert_eq!(lower_case("FLV:Mp4:a"), ["a.flv", "a"]);
        assert_eq!(lower_case("f4v%3aa%20b"), ["f4v%3aa%20b.flv", "f4v%3aa%20b", "a b.flv", "a b"]);
        assert_eq!(lower_case("100%"), ["100%.flv", "100%"]);
        assert_eq!(lower_case("caf\u{e9}"), ["caf\u{e9}.flv", "caf\u{e9}"]);
        assert_eq!(lower_case("%252e%252e"), ["%252e%252e.flv", "%252e%252e", "%2e%2e.flv", "%2e%2e"], "decoded once");
    }

    #[test]
    fn the_extension_is_case_insensitive() {
        assert_eq!(paths("a")[..3], ["a.flv", "a.FLV", "a.Flv"]);
        assert_eq!(paths("a.FLV")[..3], ["a.FLV", "a.flv", "a.Flv"], "the requested case comes first");
        assert_eq!(paths("a").len(), EXTENSIONS.len() + 1);
        for extension in EXTENSIONS {
            assert_eq!(without_extension(&[b"A.b", extension].concat()), Some(&b"A.b"[..]));
        }
        assert_eq!(without_extension(b"a.mp4"), None);
    }

    #[test]
    fn escapes_need_not_be_utf_8() {
        let latin1 = candidates("%e9").unwrap().pop().unwrap();
        assert_eq!(latin1.into_os_string().into_vec(), [0xe9]);
    }

    #[test]
    fn refused_names() {
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
    fn limit_of_the_name_length() {
        assert!(candidates(&"a".repeat(limits::NAME_BYTES)).is_ok());
        assert!(matches!(candidates(&"a".repeat(limits::NAME_BYTES + 1)), Err(Error::Limit { .. })));
    }
}
