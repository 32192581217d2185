//! The manual page `gortmp(1)`, in roff's `man` macros.

use std::fmt::Write;

use super::options::GROUPS;
use super::spec::OptionSpec;

/// The maximum length of a line in bytes, unless a word is longer.
const LINE: usize = 78;

/// The paragraphs before the options, in the same notation as the option table's details.
const DESCRIPTION: &[&str] = &[
    "`gortmp` relays live streams from cameras and encoders to any number of players over RTMP, plays FLV files on \
     demand with pause and seek, and serves both to browsers: as a page, and as HTTP-FLV, fragmented MP4 and HLS. It \
     runs in the foreground until it receives a signal and logs to standard error.",
    "Publish to `rtmp://HOST/live/NAME` and play the same URL. `rtmp://HOST/gortmp/NAME` plays the file `NAME.flv` of \
     the video folder. The page is at `http://HOST:8080/`.",
];

/// The sections after the options: a heading, then pairs of a tag and its meaning.
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "SIGNALS",
        &[
            (
                "SIGINT, SIGTERM",
                "Stop: clients are notified, and the program exits within 5 s. A second signal ends it at once.",
            ),
            ("SIGHUP", "Reload the key files and the certificate. Connections and streams are not affected."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Stopped by a signal."),
            ("1", "The server could not start, or a second signal ended it."),
            ("2", "An option or its value is invalid."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[("RUST_LOG", "The log level, or levels by module, such as `gortmp=debug`, unless `-v` or `-q` is given.")],
    ),
    (
        "EXAMPLES",
        &[
            ("gortmp", "Serve with the defaults."),
            (
                "gortmp --video-dir /srv/films --publish-key-file /etc/gortmp/keys",
                "Serve the films in a folder and require a key to publish.",
            ),
            (
                "ffmpeg -re -i film.mp4 -c:v libx264 -c:a aac -f flv rtmp://127.0.0.1/live/livestream",
                "Publish a file as a live stream.",
            ),
            ("ffplay rtmp://127.0.0.1/live/livestream", "Play it."),
        ],
    ),
];

pub(super) fn text() -> String {
    let mut page = format!(".TH GORTMP 1 \"\" \"gortmp {}\" \"User Commands\"\n", env!("CARGO_PKG_VERSION"));
    page.push_str(".SH NAME\ngortmp \\- relay live streams and play FLV files over RTMP and HTTP\n");
    page.push_str(".SH SYNOPSIS\n.B gortmp\n.RI [ OPTION ]...\n");
    for (n, paragraph) in DESCRIPTION.iter().enumerate() {
        push_text(&mut page, if n == 0 { ".SH DESCRIPTION" } else { ".PP" }, paragraph);
    }
    page.push_str(".SH OPTIONS\n");
    for group in GROUPS {
        let _ = writeln!(page, ".SS {}", escape(group.title));
        group.options.iter().for_each(|option| push_option(&mut page, option));
    }
    for (heading, entries) in SECTIONS {
        let _ = writeln!(page, ".SH {heading}");
        for (tag, meaning) in *entries {
            let _ = writeln!(page, ".TP\n.B {}", escape(tag));
            push_lines(&mut page, meaning);
        }
    }
    push_text(&mut page, ".SH SEE ALSO", "`ffmpeg`(1), `ffplay`(1)");
    page.truncate(page.trim_end().len());
    page
}

fn push_option(page: &mut String, option: &OptionSpec) {
    let short = option.short.map_or_else(String::new, |letter| format!("\\fB\\-{letter}\\fR, "));
    let argument =
        option.argument.map_or_else(String::new, |argument| format!(" \\fI{}\\fR", escape(&argument.notation())));
    let _ = writeln!(page, ".TP\n{short}\\fB\\-\\-{}\\fR{argument}", escape(option.name));
    push_lines(page, option.details);
    let repeats = if option.repeats && option.argument.is_some() { "May be repeated." } else { "" };
    let default = option.default.map_or_else(String::new, |value| format!("Default: `{value}`."));
    for sentence in [repeats, &default].into_iter().filter(|sentence| !sentence.is_empty()) {
        push_lines(page, sentence);
    }
}

fn push_text(page: &mut String, request: &str, text: &str) {
    page.push_str(request);
    page.push('\n');
    push_lines(page, text);
}

/// Appends text with each sentence on a new line, as is the convention in roff, and code in backticks as bold.
fn push_lines(page: &mut String, text: &str) {
    let mut marked = String::new();
    for (n, part) in text.split('`').enumerate() {
        match n % 2 {
            0 => marked.push_str(&escape(part)),
            _ => {
                let _ = write!(marked, "\\fB{}\\fR", escape(part));
            }
        }
    }
    for sentence in marked.replace(". ", ".\n").lines() {
        let mut length = 0;
        for word in sentence.split(' ') {
            if length > 0 {
                let breaks = length + 1 + word.len() > LINE;
                page.push(if breaks { '\n' } else { ' ' });
                length = if breaks { 0 } else { length + 1 };
            }
            if length == 0 && word.starts_with('.') {
                // Keeps roff from taking the line for a request.
                page.push_str("\\&");
            }
            page.push_str(word);
            length += word.len();
        }
        page.push('\n');
    }
}

/// Escapes characters that are special to roff or that it may not know.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '~' => escaped.push_str("\\(ti"),
            '^' => escaped.push_str("\\(ha"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                let _ = write!(escaped, "\\[u{:04X}]", u32::from(other));
            }
        }
    }
    escaped
}
