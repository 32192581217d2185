//! The manual page and the completions, read by the programs that take them.

use std::io::Write;
use std::process::{Command, Stdio};

/// What the program prints with these options.
fn printed(options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gortmp")).args(options).output().unwrap();
    assert!(output.status.success(), "{options:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What another program says, good or bad, when it is given a text.
fn said(program: &str, arguments: &[&str], text: &str) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    running.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// All long options, from `--help`.
fn long_options() -> Vec<String> {
    let help = printed(&["--help"]);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = help.split(|c| !is_part(c)).filter(|word| word.starts_with("--") && word.len() > 2);
    let mut options: Vec<_> = words.map(str::to_owned).collect();
    options.sort();
    options.dedup();
    assert!(options.len() > 35, "{options:?}");
    options
}

#[test]
fn the_manual_page_is_sound_and_has_every_option() {
    let page = printed(&["--man"]);
    let complaints = said("groff", &["-man", "-ww", "-z", "-Tutf8"], &page);
    assert_eq!(complaints, (true, String::new()));
    let (_, complaints) = said("mandoc", &["-T", "lint", "-W", "style"], &page);
    // It has the program's version in place of a date.
    let others: Vec<_> = complaints.lines().filter(|line| !line.contains("missing date")).collect();
    assert!(others.is_empty(), "{others:#?}");
    let (_, shown) = said("mandoc", &["-T", "ascii"], &page);
    let plain: String = shown.split('\n').map(|line| line.to_owned() + "\n").collect();
    // Bold is a character typed twice.
    let mut text = String::new();
    for character in plain.chars() {
        match character {
            '\u{8}' => drop(text.pop()),
            other => text.push(other),
        }
    }
    for option in long_options() {
        assert!(text.contains(&option), "{option} is missing: {text}");
    }
    for part in ["NAME", "EXIT STATUS", "ENVIRONMENT", "SIGHUP", "rtmp://HOST/live/NAME"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

#[test]
fn bash_completes_options_and_their_values() {
    let script = printed(&["--completions", "bash"]);
    // Only within a completion there is something for compopt to set.
    let complete = |words: &str| {
        let run = format!(
            "compopt() {{ :; }}\n{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _gortmp\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let (well, said) = said("bash", &["-u"], &run);
        assert!(well, "{words}: {said}");
        said.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = complete("gortmp --");
    for option in long_options() {
        assert!(all.contains(&option), "{option} is missing: {all:?}");
    }
    assert_eq!(complete("gortmp --gop-cache ''"), ["on", "off"]);
    assert_eq!(complete("gortmp --gop-cache = of"), ["off"]);
    assert_eq!(complete("gortmp -q --replace-publisher a"), ["always"]);
    assert_eq!(complete("gortmp --video-dir /us"), ["/usr"]);
    assert_eq!(complete("gortmp --admin-key ''"), [""; 0]);
    assert_eq!(complete("gortmp --completions ''"), ["bash", "zsh", "fish"]);
}

#[test]
fn fish_completes_options_and_their_values() {
    let script = printed(&["--completions", "fish"]);
    let complete = |line: &str| {
        let (well, said) = said("fish", &["--no-config"], &format!("{script}\ncomplete -C '{line}'\n"));
        assert!(well, "{line}: {said}");
        said.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = complete("gortmp --");
    for option in long_options() {
        assert!(all.contains(&option), "{option} is missing: {all:?}");
    }
    assert_eq!(complete("gortmp --gop-cache "), ["off", "on"]);
    assert_eq!(complete("gortmp --times=a"), ["--times=arrival", "--times=auto"]);
}

/// Its completion system needs a terminal: here it gets one of its own, in which Tab is pressed.
#[test]
fn zsh_completes_options_and_their_values() {
    let script = printed(&["--completions", "zsh"]);
    assert_eq!(said("zsh", &["-n"], &script), (true, String::new()));
    for option in long_options() {
        assert!(script.contains(&option), "{option} is missing: {script}");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("_gortmp"), &script).unwrap();
    let drive = format!(
        r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=({} \$fpath); autoload -U compinit; compinit -D -u; print READY"
while zpty -r shell line; do [[ $line = READY* ]] && break; done
zpty -w -n shell $'gortmp --gop-cache of\t --replace-publisher al\t --pub\t\t'
sleep 2
zpty -w -n shell $'\x15exit\n'
while zpty -r shell line; do print -r -- $line; done
"#,
        dir.path().display()
    );
    let (_, shown) = said("zsh", &["-f"], &drive);
    for part in ["--gop-cache off", "--replace-publisher always", "--publish-key-file", "--publish-timeout"] {
        assert!(shown.contains(part), "{part} is missing: {shown}");
    }
}
