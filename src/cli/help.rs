//! The text of `--help`.

use std::fmt::Write;

use super::options::GROUPS;
use super::spec::OptionSpec;

/// The column of the summaries, in characters, unless a long name moves one to the right.
const COLUMN: usize = 30;

const HEAD: &str = "\
gortmp: relays live streams and plays FLV files over RTMP and HTTP
  gortmp                                       start with the defaults
  ffmpeg … -f flv rtmp://HOST/live/livestream  publish a stream
  ffplay rtmp://HOST/live/livestream           play it
  ffplay rtmp://HOST/gortmp/NAME               play video/NAME.flv
Usage: gortmp [OPTIONS]         (* may be repeated; defaults in brackets)
";

pub(super) fn text() -> String {
    let mut text = HEAD.to_owned();
    for group in GROUPS {
        let remark = if group.remark.is_empty() { String::new() } else { format!(": {}", group.remark) };
        let _ = writeln!(text, "{}{remark}", group.title);
        for option in group.options.iter().filter(|option| option.has_line) {
            push_option(&mut text, option);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn push_option(text: &mut String, option: &OptionSpec) {
    let short = option.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let argument = option.argument.map_or_else(String::new, |argument| format!(" {}", argument.placeholder));
    let star = if option.repeats && option.argument.is_some() { " *" } else { "" };
    let names = format!("  {short}--{}{argument}{star}", option.name);
    // Writing to a string can't fail.
    let _ = writeln!(text, "{names:<width$} {}", option.summary, width = COLUMN - 1);
}
