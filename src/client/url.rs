//! Stream URLs: `rtmp[s]://[user:key@]HOST[:PORT]/app/name?query`.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// The default port of `rtmp://` URLs.
const RTMP_PORT: u16 = 1935;

/// The default port of `rtmps://` URLs.
const RTMPS_PORT: u16 = 443;

/// A parsed stream URL: `rtmp[s]://[user:key@]HOST[:PORT]/app/name?query`.
///
/// The first segment of the path is the application, the rest is the stream name with the query; without a name, the
/// query belongs to the application. Only the user and the key are percent-decoded: the rest is sent to the server as
/// written. [`Display`](fmt::Display) and [`Debug`](fmt::Debug) omit user, key and query, since a query may contain a
/// key.
///
/// ```
/// use gortmp::StreamUrl;
///
/// let url: StreamUrl = "rtmps://eve:s3cret@[2001:db8::1]/live/studio/cam?token=1".parse()?;
/// assert_eq!((url.host(), url.port(), url.is_secure()), ("2001:db8::1", 443, true));
/// assert_eq!((url.app(), url.name()), ("live", "studio/cam?token=1"));
/// assert_eq!(url.to_string(), "rtmps://[2001:db8::1]:443/live/studio/cam");
/// # Ok::<(), gortmp::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StreamUrl {
    is_secure: bool,
    login: Option<Login>,
    host: String,
    port: u16,
    app: String,
    name: String,
}

/// A user name and its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub user: String,
    pub key: String,
}

impl StreamUrl {
    /// Returns whether the scheme is `rtmps`, RTMP over TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Returns the host name or address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, by default 1935 for `rtmp` and 443 for `rtmps`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the application.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Returns the stream name with its query; empty if the URL ends with the application.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Replaces the application, and removes it from the start of the name where it spans several path segments.
    pub(super) fn with_app(self, app: &str) -> Self {
        let path = format!("{}/{}", self.app, self.name);
        let name = path.strip_prefix(app).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&self.name).to_owned();
        Self { app: app.to_owned(), name, ..self }
    }

    /// Returns the URL up to the port, as sent in the `tcUrl` of `connect`.
    pub(super) fn server(&self) -> String {
        let scheme = if self.is_secure { "rtmps" } else { "rtmp" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        format!("{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

impl FromStr for StreamUrl {
    type Err = Error;

    /// Parses a URL.
    ///
    /// # Errors
    /// Returns [`Error::Config`] if a part is invalid. Its text names the part and contains no key.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::Config(format!("stream URL: {reason}").into());
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(invalid("it contains whitespace or a control character"));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let is_secure = match () {
            () if scheme.eq_ignore_ascii_case("rtmp") => false,
            () if scheme.eq_ignore_ascii_case("rtmps") => true,
            () => return Err(invalid("it begins with neither rtmp:// nor rtmps://")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(Login::parse(login)), address),
            None => (None, authority),
        };
        let (host, port) = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) => (host, port),
            Some(None) => return Err(invalid("a bracket is not closed")),
            None => match address.find(':') {
                Some(colon) => address.split_at(colon),
                None => (address, ""),
            },
        };
        if host.is_empty() {
            return Err(invalid("it names no host"));
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| invalid("the port is not a number from 1 to 65535"))?,
            None if port.is_empty() => {
                if is_secure {
                    RTMPS_PORT
                } else {
                    RTMP_PORT
                }
            }
            None => return Err(invalid("unexpected text between the host and the path")),
        };
        let end_of_app = path.find(['/', '?']).unwrap_or(path.len());
        let (app, name) = match path.split_at(end_of_app) {
            (app, rest) if rest.starts_with('/') && rest.len() > 1 => (app, &rest[1..]),
            _ => (path.trim_end_matches('/'), ""),
        };
        if app.is_empty() || app.starts_with('?') {
            return Err(invalid("it names no application, such as live in rtmp://HOST/live/NAME"));
        }
        Ok(Self { is_secure, login, host: host.to_owned(), port, app: app.to_owned(), name: name.to_owned() })
    }
}

impl Login {
    fn parse(text: &str) -> Self {
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, key) = text.split_once(':').unwrap_or((text, ""));
        Self { user: decode(user), key: decode(key) }
    }
}

/// Omits the user, the key and the query, so that it can be logged.
impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without_query = |text: &str| text.split('?').next().unwrap_or_default().escape_debug().to_string();
        write!(f, "{}/{}", self.server(), without_query(&self.app))?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", without_query(&self.name)) }
    }
}

/// As [`Display`](fmt::Display), without secrets.
impl fmt::Debug for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (bool, String, u16, String, String) {
        let url: StreamUrl = text.parse().unwrap();
        (url.is_secure, url.host, url.port, url.app, url.name)
    }

    #[test]
    fn urls_are_parsed() {
        for (text, is_secure, host, port, app, name) in [
            ("rtmp://example.org/live/cam", false, "example.org", 1935, "live", "cam"),
            ("RTMPS://example.org/live/cam", true, "example.org", 443, "live", "cam"),
            ("rtmp://192.0.2.7:80/live/a/b?k=v/w", false, "192.0.2.7", 80, "live", "a/b?k=v/w"),
            ("rtmp://[::1]:1936/live/cam", false, "::1", 1936, "live", "cam"),
            ("rtmps://[2001:db8::1]/live/cam", true, "2001:db8::1", 443, "live", "cam"),
            ("rtmp://h/live?key=a", false, "h", 1935, "live?key=a", ""),
            ("rtmp://h/live?key=a/b", false, "h", 1935, "live?key=a/b", ""),
            ("rtmp://h/live/", false, "h", 1935, "live", ""),
            ("rtmp://h/live/%20x", false, "h", 1935, "live", "%20x"),
        ] {
            assert_eq!(parts(text), (is_secure, host.into(), port, app.into(), name.into()), "{text}");
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_printed() {
        let url: StreamUrl = "rtmp://e%76e:s3%40cret@h/live/cam?key=s3cret".parse().unwrap();
        assert!(url.login().is_some_and(|login| login.user == "eve" && login.key == "s3@cret"));
        assert_eq!(format!("{url} {url:?}"), "rtmp://h:1935/live/cam StreamUrl(rtmp://h:1935/live/cam)");
        let url: StreamUrl = "rtmp://eve:a@b@h/live".parse().unwrap();
        assert!(url.login().is_some_and(|login| login.key == "a@b"));
        assert_eq!(url.host(), "h");
    }

    #[test]
    fn an_application_may_span_several_path_segments() {
        let url: StreamUrl = "rtmp://h/live/studio/cam?k=v".parse().unwrap();
        for (app, name) in
            [("live", "studio/cam?k=v"), ("live/studio", "cam?k=v"), ("liv", "studio/cam?k=v"), ("x", "studio/cam?k=v")]
        {
            let url = url.clone().with_app(app);
            assert_eq!((url.app(), url.name()), (app, name));
        }
    }

    #[test]
    fn invalid_stream_urls_are_rejected() {
        for text in [
            "",
            "live/cam",
            "http://h/live/cam",
            "rtmp:/h/live",
            "rtmp://",
            "rtmp://h",
            "rtmp://h/",
            "rtmp://h/?x",
            "rtmp:///live/cam",
            "rtmp://:1935/live/cam",
            "rtmp://h:0/live",
            "rtmp://h:65536/live",
            "rtmp://h:x/live",
            "rtmp://::1/live",
            "rtmp://[::1/live",
            "rtmp://[::1]x/live",
            "rtmp://h/live/a b",
            "rtmp://h/live/a\nb",
        ] {
            assert!(matches!(text.parse::<StreamUrl>(), Err(Error::Config(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            let _ = format!("rtmp://{text}").parse::<StreamUrl>().map(|url| url.to_string());
        }

        #[test]
        fn printing_and_parsing_round_trips(
            secure: bool, host in "[a-z0-9.-]{1,20}|[0-9a-f]{1,4}::[0-9a-f]{1,4}", port in 1u16.., app in "[a-z]{1,9}",
            name in "[a-z0-9/%._~-]{0,20}",
        ) {
            let scheme = if secure { "rtmps" } else { "rtmp" };
            let host_text = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let url: StreamUrl = format!("{scheme}://{host_text}:{port}/{app}/{name}").parse().unwrap();
            prop_assert_eq!((url.host(), url.port(), url.app(), url.name()), (&host[..], port, &app[..], &name[..]));
            prop_assert_eq!(url.to_string().parse::<StreamUrl>().unwrap(), url);
        }
    }
}
