//! The web page, which is part of the program.

use super::condition::is_unchanged;
use super::{Request, Response};

/// A file of the page: its path, media type and content.
pub(super) type File = (&'static str, &'static str, &'static [u8]);

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[File] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("page/index.html")),
    ("/page/style.css", "text/css; charset=utf-8", include_bytes!("page/style.css")),
    ("/page/wall.js", SCRIPT, include_bytes!("page/wall.js")),
    ("/page/shared.js", SCRIPT, include_bytes!("page/shared.js")),
    ("/page/format.js", SCRIPT, include_bytes!("page/format.js")),
    ("/page/tiles.js", SCRIPT, include_bytes!("page/tiles.js")),
    ("/page/large.js", SCRIPT, include_bytes!("page/large.js")),
    ("/page/capacity.js", SCRIPT, include_bytes!("page/capacity.js")),
    ("/page/live.js", SCRIPT, include_bytes!("page/live.js")),
    ("/page/key_frames.js", SCRIPT, include_bytes!("page/key_frames.js")),
    ("/page/file.js", SCRIPT, include_bytes!("page/file.js")),
    ("/page/feed.js", SCRIPT, include_bytes!("page/feed.js")),
    ("/page/target.js", SCRIPT, include_bytes!("page/target.js")),
    ("/page/rate.js", SCRIPT, include_bytes!("page/rate.js")),
    ("/page/activity.js", SCRIPT, include_bytes!("page/activity.js")),
    ("/page/edge.js", SCRIPT, include_bytes!("page/edge.js")),
    ("/page/media.js", SCRIPT, include_bytes!("page/media.js")),
    ("/page/mp4.js", SCRIPT, include_bytes!("page/mp4.js")),
    ("/page/viewers.js", SCRIPT, include_bytes!("page/viewers.js")),
    ("/page/examples.js", SCRIPT, include_bytes!("page/examples.js")),
    ("/page/icon.svg", "image/svg+xml", include_bytes!("page/icon.svg")),
    // Browsers request this whatever the page says.
    ("/favicon.ico", "image/svg+xml", include_bytes!("page/icon.svg")),
];

/// The content security policy: nothing from other origins, and no inline scripts or styles.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' ws: wss:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Returns the file of that path.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|(known, ..)| *known == path)
}

/// Returns a file as a response, without its content if the client's copy is current.
pub(super) fn response((_, media_type, content): &File, request: &Request) -> Response {
    let tag = entity_tag(content);
    let response = match is_unchanged(request, &tag, None) {
        true => Response::empty(304),
        false => Response::ok(*media_type, *content),
    };
    response
        .with("etag", tag)
        .with("cache-control", "no-cache")
        .with("content-security-policy", POLICY)
        .with("referrer-policy", "no-referrer")
}

/// Returns the entity tag of a content: FNV-1a, of 64 bits.
fn entity_tag(content: &[u8]) -> String {
    let hash = content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{hash:016x}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_nothing_that_is_not_here() {
        for (path, media_type, content) in FILES.iter().filter(|(_, media_type, _)| media_type.starts_with("text/")) {
            let text = std::str::from_utf8(content).unwrap();
            assert!(!text.contains("http://www") && !text.contains("https://"), "{path} names another host");
            assert!(!text.contains("innerHTML"), "{path}: names of streams could become elements");
            for part in text.split(['"', '\'']).filter(|part| part.starts_with("/page/")) {
                assert!(file(part).is_some(), "{path} ({media_type}) asks for {part}");
            }
        }
    }
}
