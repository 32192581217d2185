//! Shell completions of the options.

use std::fmt::Write;

use super::options::all;
use super::spec::{OptionSpec, Values};

/// Returns the completion script for a shell, or `None` for an unknown shell.
pub(super) fn text(shell: &str) -> Option<String> {
    let mut text = match shell {
        "bash" => bash(),
        "zsh" => zsh(),
        "fish" => fish(),
        _ => return None,
    };
    text.truncate(text.trim_end().len());
    Some(text)
}

fn bash() -> String {
    let mut cases = String::new();
    for option in all() {
        let Some(argument) = option.argument else { continue };
        let offer = match argument.values {
            Values::Any => "COMPREPLY=()".to_owned(),
            Values::File => "mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); compopt -o filenames".to_owned(),
            Values::Folder => "mapfile -t COMPREPLY < <(compgen -d -- \"$word\"); compopt -o filenames".to_owned(),
            Values::OneOf(values) | Values::Suggested(values) => {
                format!("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\")", values.join(" "))
            }
        };
        let short = option.short.map_or_else(String::new, |letter| format!("-{letter} | "));
        let _ = writeln!(cases, "    {short}--{}) {offer}; return ;;", option.name);
    }
    let names: Vec<_> = all().flat_map(names).collect();
    format!(
        "# bash completion for gortmp
_gortmp() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    # The shell takes --option=value for three words.
    [[ $word != = ]] || word=
    [[ $before != = ]] || before=${{COMP_WORDS[COMP_CWORD - 2]}}
    case $before in
{cases}    esac
    mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\")
}}
complete -F _gortmp gortmp
",
        names.join(" ")
    )
}

fn zsh() -> String {
    let mut specs = String::new();
    for option in all() {
        let value = option.argument.map_or_else(String::new, |argument| {
            let offer = match argument.values {
                Values::Any => String::new(),
                Values::File => "_files".to_owned(),
                Values::Folder => "_files -/".to_owned(),
                Values::OneOf(values) | Values::Suggested(values) => format!("({})", values.join(" ")),
            };
            // A single space stands for an argument without suggestions.
            format!(":{}:{}", argument.placeholder, if offer.is_empty() { " " } else { &offer })
        });
        let equals = if option.argument.is_some() { "=" } else { "" };
        let summary = escape_zsh(option.phrase());
        let long = format!("--{}{equals}", option.name);
        let both = match (option.repeats, option.short) {
            (true, Some(letter)) => format!("'*'{{-{letter},{long}}}"),
            (true, None) => format!("'*'{long}"),
            (false, Some(letter)) => format!("'(-{letter} --{})'{{-{letter},{long}}}", option.name),
            (false, None) => long,
        };
        let _ = writeln!(specs, "    {both}'[{summary}]{value}' \\");
    }
    format!("#compdef gortmp\n_arguments -s \\\n{specs}    && return 0\n")
}

fn fish() -> String {
    let mut lines = "complete -c gortmp -f\n".to_owned();
    for option in all() {
        let short = option.short.map_or_else(String::new, |letter| format!(" -s {letter}"));
        let value = match option.argument.map(|argument| argument.values) {
            None => String::new(),
            Some(Values::Any) => " -x".to_owned(),
            Some(Values::File) => " -r -F".to_owned(),
            Some(Values::Folder) => " -x -a '(__fish_complete_directories)'".to_owned(),
            Some(Values::OneOf(values) | Values::Suggested(values)) => format!(" -x -a '{}'", values.join(" ")),
        };
        let _ = writeln!(
            lines,
            "complete -c gortmp{short} -l {}{value} -d '{}'",
            option.name,
            escape_fish(option.phrase())
        );
    }
    lines
}

fn names(option: &'static OptionSpec) -> impl Iterator<Item = String> {
    option.short.map(|letter| format!("-{letter}")).into_iter().chain([format!("--{}", option.name)])
}

/// Escapes text for fish's single quotes.
fn escape_fish(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

/// Escapes text for the brackets of a zsh option specification within single quotes.
fn escape_zsh(text: &str) -> String {
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace('\'', "'\\''")
}
