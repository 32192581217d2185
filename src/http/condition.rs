//! Conditional requests (RFC 9110 §13).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Request;

/// Whether the client's copy is current: by entity tag or, without one, by modification date, if known.
pub(super) fn is_unchanged(request: &Request, tag: &str, changed: Option<SystemTime>) -> bool {
    // An entity tag takes precedence over a date (§13.1.3).
    if let Some(tags) = request.header("if-none-match") {
        return tags.split(',').any(|one| matches_tag(one.trim(), tag));
    }
    let since = request.header("if-modified-since").and_then(|date| httpdate::parse_http_date(date).ok());
    since.zip(changed).is_some_and(|(since, changed)| whole_seconds(changed) <= whole_seconds(since))
}

/// Whether an entity tag in a condition matches, by weak comparison.
fn matches_tag(given: &str, tag: &str) -> bool {
    given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
}

/// Dates in header fields have no fractions.
fn whole_seconds(time: SystemTime) -> Duration {
    Duration::from_secs(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_take_precedence_over_dates() {
        let changed = UNIX_EPOCH + Duration::from_millis(784_111_777_500);
        let is_unchanged = |fields: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            is_unchanged(&Request::read(&mut text.as_bytes()).unwrap().unwrap(), "\"a\"", Some(changed))
        };
        let sent = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        for (fields, expected) in [
            ("", false),
            (sent, true),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", false),
            ("If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT\r\n", true),
            ("If-Modified-Since: yesterday\r\n", false),
            ("If-None-Match: \"a\"\r\n", true),
            ("If-None-Match: \"b\", W/\"a\"\r\n", true),
            ("If-None-Match: *\r\n", true),
            (&format!("If-None-Match: \"b\"\r\n{sent}"), false),
        ] {
            assert_eq!(is_unchanged(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn without_a_date_only_the_tag_counts() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert!(!is_unchanged(&Request::read(&mut text.as_bytes()).unwrap().unwrap(), "\"a\"", None));
    }
}
