//! Responses.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999.
const MAX_SECONDS: u64 = 253_402_300_799;

/// Header fields by their lower-case names.
pub(crate) type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// A response: a status, header fields and a body of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The status code (RFC 9110 §15).
    pub status: u16,
    /// Header fields other than those about length and connection.
    pub headers: Headers,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

impl Response {
    /// Creates a response without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Cow::Borrowed(&[]) }
    }

    /// Creates a 200 response with a body of that media type.
    pub(crate) fn ok(media_type: impl Into<Cow<'static, str>>, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { status: 200, headers: vec![("content-type", media_type.into())], body: body.into() }
    }

    /// Creates an error response with a reason for people.
    pub(crate) fn error(status: u16, reason: &str) -> Self {
        let body = format!("{reason}\n").into_bytes();
        Self { status, ..Self::ok("text/plain; charset=utf-8", body) }
    }

    /// Adds a header field.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Adds the header fields of an unbounded response. They keep proxies such as nginx from buffering it: viewers would
/// get it in bursts, and events not at all.
pub(super) fn unbounded(mut headers: Headers) -> Headers {
    headers.extend([("cache-control", "no-store".into()), ("x-accel-buffering", "no".into())]);
    headers
}

/// Returns the reason phrase of a status code.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

/// Encodes the head of a response. Control characters in values, which could start another field, are removed.
pub(super) fn head(status: u16, headers: &[(&str, Cow<'_, str>)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status));
    for (name, value) in headers {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Formats a date for a header field (RFC 9110 §5.6.7), within the range of its format.
pub(super) fn date(time: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(MAX_SECONDS);
    httpdate::fmt_http_date(time.clamp(UNIX_EPOCH, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_times_are_valid_dates() {
        let at = |seconds: i64| match u64::try_from(seconds) {
            Ok(after) => date(UNIX_EPOCH + Duration::from_secs(after)),
            Err(_) => date(UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs())),
        };
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(1 << 40), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn a_value_cannot_start_another_field() {
        let head = head(404, &[("location", "x\r\nset-cookie: y".into())]);
        assert_eq!(head, b"HTTP/1.1 404 Not Found\r\nlocation: xset-cookie: y\r\n\r\n");
    }
}
