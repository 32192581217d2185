//! Requests.

use std::borrow::Cow;
use std::io::{self, BufRead};

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::limits;

/// The request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Sends the resource.
    Get,
    /// Sends the head only.
    Head,
    /// Ends a connection or a publication.
    Delete,
    /// Asks what pages of other origins may request.
    Options,
    /// Any other method.
    Other,
}

/// The head of a request (RFC 9112 §2.1).
#[derive(Clone)]
pub(crate) struct Request {
    /// The method.
    pub method: Method,
    /// The path as received, without the query: it starts with a slash and may contain percent escapes.
    pub path: String,
    /// The part after the question mark.
    query: String,
    headers: Vec<(String, String)>,
    /// Whether the client keeps the connection for another request.
    pub keep_alive: bool,
    /// Whether it supports HTTP/1.1, in which responses may be chunked.
    pub supports_chunked: bool,
}

/// Omits the query and headers, which may contain keys.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.method, self.path.escape_debug())
    }
}

impl Request {
    /// Reads the head of the next request; `None` when the client has disconnected before it.
    ///
    /// # Errors
    /// [`Error::Http`] with a status for a malformed request, [`Error::Limit`] for a head over
    /// [`limits::HTTP_HEAD_BYTES`], [`Error::Io`].
    pub(crate) fn read(from: &mut impl BufRead) -> Result<Option<Self>> {
        let head = read_head(from)?;
        if head.is_empty() { Ok(None) } else { Self::parse(&head).map(Some) }
    }

    fn parse(head: &[u8]) -> Result<Self> {
        let bad = |reason: &'static str| Error::Http { status: 400, reason: reason.into() };
        let mut headers = [httparse::EMPTY_HEADER; limits::HTTP_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(bad("the request is cut off")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Error::Http { status: 431, reason: "there are too many header fields".into() });
            }
            Err(error) => return Err(Error::Http { status: 400, reason: format!("not HTTP: {error}").into() }),
        }
        let method = match parsed.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            Some("DELETE") => Method::Delete,
            Some("OPTIONS") => Method::Options,
            _ => Method::Other,
        };
        let headers = parsed.headers.iter().map(|header| {
            let value = std::str::from_utf8(header.value).map_err(|_| bad("a header field is not UTF-8"))?;
            Ok((header.name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        let headers = headers.collect::<Result<Vec<_>>>()?;
        let target = parsed.path.unwrap_or_default();
        // The absolute form, which is for proxies, names a host that is not relevant here.
        let target = match target.split_once("://") {
            Some((scheme, rest)) if !scheme.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
            _ => target,
        };
        if !target.starts_with('/') && target != "*" {
            return Err(bad("the path does not start with a slash"));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let supports_chunked = parsed.version == Some(1);
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut request = Self { method, path, query, headers, keep_alive: false, supports_chunked };
        request.keep_alive = supports_chunked && !request.header_has("connection", "close");
        // No resource takes a body, and guessing where one ends leads to request smuggling.
        let length = request.header("content-length").unwrap_or("0");
        if length != "0" || request.header("transfer-encoding").is_some() {
            return Err(Error::Http { status: 413, reason: "nothing here takes a body".into() });
        }
        if parsed.version == Some(1) && request.headers.iter().filter(|(name, _)| name == "host").count() != 1 {
            return Err(bad("there must be one Host"));
        }
        Ok(request)
    }

    /// Returns the value of a header field by its lower-case name; the first one if repeated.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// Whether a list-valued header field contains a token.
    pub(crate) fn header_has(&self, name: &str, token: &str) -> bool {
        let lists = self.headers.iter().filter(|(known, _)| known == name);
        lists.flat_map(|(_, list)| list.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    }

    /// Returns the query as received.
    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    /// Returns the decoded value of a key in the query; the first one if repeated.
    pub(crate) fn query_value(&self, key: &str) -> Option<Cow<'_, str>> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| percent_decode_str(value).decode_utf8_lossy())
    }
}

/// Reads up to and including the empty line; returns nothing at the end of the connection.
fn read_head(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let start = head.len();
        let room = (limits::HTTP_HEAD_BYTES + 1 - start) as u64;
        let line = io::Read::take(&mut *from, room).read_until(b'\n', &mut head);
        line.map_err(|error| Error::io("reading a request", error))?;
        if head.len() > limits::HTTP_HEAD_BYTES {
            return Err(Error::Http { status: 431, reason: "the request's head is too long".into() });
        }
        match &head[start..] {
            [] if start == 0 => return Ok(head),
            [] => return Err(Error::Disconnected),
            // An empty line before a request is ignored (RFC 9112 §2.2).
            b"\r\n" | b"\n" if start == 0 => head.clear(),
            b"\r\n" | b"\n" => return Ok(head),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Option<Request>> {
        Request::read(&mut text.as_bytes())
    }

    fn status(text: &str) -> u16 {
        match parse(text) {
            Err(Error::Http { status, .. }) => status,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_is_parsed_into_its_parts() {
        let text =
            "GET /live/a%20b.mp4?key=a%26b&gop=0&gop=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade , close\r\n\r\nmore";
        let request = parse(text).unwrap().unwrap();
        assert_eq!((request.method, &request.path[..]), (Method::Get, "/live/a%20b.mp4"));
        assert_eq!(request.query_value("key").as_deref(), Some("a&b"));
        assert_eq!(request.query_value("gop").as_deref(), Some("0"));
        assert_eq!((request.query_value("x"), request.header("host")), (None, Some("x")));
        assert!(request.header_has("connection", "upgrade") && !request.keep_alive);
        assert!(!format!("{request:?}").contains("key"), "no key in the log");
    }

    #[test]
    fn requests_follow_each_other_on_a_connection() {
        let mut from = &b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n\r\nHEAD http://x:80/2?q HTTP/1.0\r\n\r\n"[..];
        let first = Request::read(&mut from).unwrap().unwrap();
        assert!(first.keep_alive && first.path == "/1");
        let second = Request::read(&mut from).unwrap().unwrap();
        assert_eq!((second.method, &second.path[..], second.keep_alive), (Method::Head, "/2", false));
        assert!(Request::read(&mut from).unwrap().is_none());
    }

    #[test]
    fn malformed_requests_are_rejected() {
        assert_eq!(status("GET\r\n\r\n"), 400);
        assert_eq!(status("GET x HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"), 413);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), 413);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(limits::HTTP_HEADERS + 1))), 431);
        assert!(matches!(parse("GET / HTTP/1.1\r\nHost: x\r\n"), Err(Error::Disconnected)));
    }

    #[test]
    fn a_head_at_the_limit_and_one_past() {
        let request = |more: usize| format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(more));
        let overhead = request(0).len();
        assert!(parse(&request(limits::HTTP_HEAD_BYTES - overhead)).unwrap().is_some());
        assert_eq!(status(&request(limits::HTTP_HEAD_BYTES - overhead + 1)), 431);
        assert_eq!(status(&"x".repeat(limits::HTTP_HEAD_BYTES * 2)), 431);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Request::read(&mut &bytes[..]);
            let _ = Request::read(&mut &[b"GET /", &bytes[..], b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat()[..]);
        }
    }
}
