//! Stream paths: identify the stream that a client refers to.
//!
//! Clients split a URL at different positions: of `rtmp://host/a/b/c?k=v`, ffmpeg makes the application `a/b` and the
//! name `c?k=v`, GStreamer and OBS split elsewhere, and some add prefixes or drop extensions. So both parts are joined,
//! queries removed, and the path is split at its first slash.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::limits;

/// Prefixes that clients put before a name to select the container format.
const PREFIXES: [&str; 4] = ["flv:", "mp4:", "f4v:", "mp3:"];

/// An application and a stream name in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StreamPath {
    /// The first part of the path, for example `live`.
    pub app: String,
    /// The rest, unmodified: possibly with slashes, percent escapes and an extension.
    pub name: String,
    /// The queries joined by `&`, the name's before the application's.
    query: String,
}

impl StreamPath {
    /// Combines the application of `connect` with the name of `publish` or `play`.
    ///
    /// # Errors
    /// [`Error::Limit`] when the path is longer than [`limits::NAME_BYTES`] or the query than [`limits::QUERY_BYTES`].
    pub(crate) fn new(app: &str, name: &str) -> Result<Self> {
        let (app, app_query) = split_query(app);
        let (name, name_query) = split_query(name.trim_matches('"'));
        let name = PREFIXES.iter().find_map(|prefix| strip_prefix_ignore_case(name, prefix)).unwrap_or(name);
        check_length("bytes of a stream name", app.len() + name.len(), limits::NAME_BYTES)?;
        let parts = app.split('/').chain(name.split('/'));
        let mut parts = parts.filter(|part| !part.is_empty() && *part != "_definst_");
        let app = parts.next().unwrap_or_default().to_owned();
        let name = parts.collect::<Vec<_>>().join("/");
        let query = [name_query, app_query].into_iter().flatten().collect::<Vec<_>>().join("&");
        check_length("bytes of a query", query.len(), limits::QUERY_BYTES)?;
        Ok(Self { app, name, query })
    }

    /// Returns the path below another application, with its own application as the first part of the name.
    pub(crate) fn below(self, app: &str) -> Self {
        let name = if self.name.is_empty() { self.app } else { format!("{}/{}", self.app, self.name) };
        Self { app: app.to_owned(), name, query: self.query }
    }

    /// Returns the first value of a key in the query, percent-decoded; the name's query takes precedence over the
    /// application's.
    pub(crate) fn query_value(&self, key: &str) -> Option<Cow<'_, str>> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| percent_decode_str(value).decode_utf8_lossy())
    }

    /// Returns the key under which live streams are registered: `app/name`.
    pub(crate) fn stream_key(&self) -> String {
        format!("{}/{}", self.app, self.live_name())
    }

    /// Returns the normalized name of a live stream, percent-decoded and without `.flv` in any case, because clients
    /// differ in both.
    pub(crate) fn live_name(&self) -> String {
        let name = percent_decode_str(&self.name).decode_utf8_lossy();
        strip_suffix_ignore_case(&name, ".flv").unwrap_or(&name).to_owned()
    }
}

/// As `Display`, so that no key is leaked by accident.
impl fmt::Debug for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamPath({self})")
    }
}

/// Omits the query, which may contain a key, and escapes control characters: safe for the log.
impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app.escape_debug(), self.name.escape_debug())
    }
}

fn check_length(what: &'static str, length: usize, limit: usize) -> Result<()> {
    let (value, limit) = (length as u64, limit as u64);
    if value > limit { Err(Error::Limit { what, value, limit }) } else { Ok(()) }
}

/// Strips a prefix, ignoring ASCII case.
fn strip_prefix_ignore_case<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (first, rest) = text.split_at_checked(start.len())?;
    first.eq_ignore_ascii_case(start).then_some(rest)
}

/// Strips a suffix, ignoring ASCII case.
fn strip_suffix_ignore_case<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let (rest, last) = text.split_at_checked(text.len().checked_sub(end.len())?)?;
    last.eq_ignore_ascii_case(end).then_some(rest)
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query).filter(|query| !query.is_empty())),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_path_is_the_same_however_the_url_is_split() {
        for (app, name, expected_app, expected_name) in [
            ("live", "cam", "live", "cam"),
            ("live/", "/cam", "live", "cam"),
            ("/live", "cam/", "live", "cam"),
            ("live/_definst_", "cam", "live", "cam"),
            ("gortmp/a", "b/name", "gortmp", "a/b/name"),
            ("gortmp", "a/b/name", "gortmp", "a/b/name"),
            ("gortmp", "mp4:name.mp4", "gortmp", "name.mp4"),
            ("gortmp", "flv:a/name", "gortmp", "a/name"),
            ("gortmp/a//", "name", "gortmp", "a/name"),
            ("live", "\"cam\"", "live", "cam"),
            ("live", "", "live", ""),
            ("", "", "", ""),
            ("", "live/cam", "live", "cam"),
            ("gortmp/..", "x", "gortmp", "../x"),
        ] {
            let path = StreamPath::new(app, name).unwrap();
            assert_eq!((path.app.as_str(), path.name.as_str()), (expected_app, expected_name), "{app} + {name}");
        }
    }

    #[test]
    fn both_queries_are_used_and_the_name_takes_precedence() {
        let path = StreamPath::new("gortmp?tok=1&gop=1", "name?gop=0&x=%20y").unwrap();
        assert_eq!(path.query_value("gop").as_deref(), Some("0"));
        assert_eq!(path.query_value("tok").as_deref(), Some("1"));
        assert_eq!(path.query_value("x").as_deref(), Some(" y"));
        assert_eq!(path.query_value("y"), None);
        assert_eq!(path.to_string(), "gortmp/name", "no key in a log");
        assert_eq!(format!("{path:?}"), "StreamPath(gortmp/name)", "nor in debug output");
    }

    #[test]
    fn live_names_are_normalized() {
        let live_name = |name| StreamPath::new("live", name).unwrap().live_name();
        assert_eq!(live_name("caf%C3%A9.flv"), "café");
        assert_eq!(live_name("café"), "café");
        assert_eq!([live_name("cam.FLV"), live_name("Flv:cam"), live_name("é")], ["cam", "cam", "é"]);
    }

    #[test]
    fn a_path_can_be_taken_below_another_application() {
        for (app, name) in [("", "cam?key=x"), ("cam", "?key=x"), ("cam?key=x", "")] {
            let path = StreamPath::new(app, name).unwrap().below("live");
            assert_eq!((path.to_string().as_str(), path.query_value("key").as_deref()), ("live/cam", Some("x")));
        }
    }

    #[test]
    fn limit_of_the_name() {
        let name = "n".repeat(limits::NAME_BYTES - 4);
        assert!(StreamPath::new("live", &name).is_ok());
        assert!(matches!(StreamPath::new("live5", &name), Err(Error::Limit { .. })));
    }

    #[test]
    fn limit_of_the_query() {
        let query = "q".repeat(limits::QUERY_BYTES - 4);
        assert!(StreamPath::new("live?a=b", &format!("cam?{query}")).is_ok_and(|path| path.query.len() > query.len()));
        let one_more = StreamPath::new("live?a=bc", &format!("cam?{query}"));
        assert!(matches!(one_more, Err(Error::Limit { .. })));
    }

    #[test]
    fn control_characters_do_not_reach_the_log() {
        let path = StreamPath::new("live", "a\r\n\u{1b}[31m").unwrap();
        assert_eq!(path.to_string(), "live/a\\r\\n\\u{1b}[31m");
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(app: String, name: String) {
            if let Ok(path) = StreamPath::new(&app, &name) {
                prop_assert!(!path.app.contains('/') && !path.name.starts_with('/'));
                path.live_name();
                path.query_value("key");
            }
        }
    }
}
