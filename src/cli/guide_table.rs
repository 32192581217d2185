//! Checks that the guide's option tables match the program's. `UPDATE=1 cargo test guide` regenerates them.

use std::fmt::Write;
use std::path::Path;

use super::options::GROUPS;
use super::spec::OptionSpec;

const BEGIN: &str = "<!-- options: made from src/cli/options.rs -->\n";
const END: &str = "<!-- end of options -->";

fn tables() -> String {
    let mut text = String::new();
    for group in GROUPS {
        writeln!(text, "\n## {}\n\n| option | default | meaning |\n|---|---|---|", group.title).unwrap();
        for option in group.options {
            writeln!(text, "{}", row(option)).unwrap();
        }
    }
    text + "\n"
}

fn row(option: &OptionSpec) -> String {
    let short = option.short.map_or_else(String::new, |letter| format!("`-{letter}`, "));
    let argument = option.argument.map_or_else(String::new, |argument| format!(" {}", argument.notation()));
    let default = option.default.map_or_else(String::new, |value| format!("`{value}`"));
    let repeats = if option.repeats && option.argument.is_some() { " May be repeated." } else { "" };
    let names = format!("{short}`--{}{argument}`", option.name).replace('|', "\\|");
    format!("| {names} | {default} | {}{repeats} |", option.details.replace('|', "\\|"))
}

#[test]
fn the_guides_option_tables_match_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/options.md");
    let chapter = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = chapter.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert!(
            chapter == expected,
            "src/guide/options.md differs from src/cli/options.rs: run UPDATE=1 cargo test guide"
        );
    }
}
