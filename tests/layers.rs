//! The architecture as a test: a module imports only from lower levels, as the crate docs draw it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// Modules of a level may import from those above them in this table, and from their own module.
const LEVELS: &[&[&str]] = &[
    &["error", "limits", "numbers", "stats"],
    &["guard"],
    &["amf", "media", "tls"],
    &["rtmp", "flv", "fmp4"],
    &["client", "session"],
    &["access", "live", "vod"],
    &["hls"],
    &["service", "transport"],
    &["forms"],
    &["rtmp_connection"],
    &["http"],
    &["config"],
    &["server"],
    &["cli"],
];

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|modules| modules.contains(&module))
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules that `use crate::…` names in a source text, grouped imports included.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let group = rest.strip_prefix('{').map(|group| group.split('}').next().unwrap_or_default());
        let names: Vec<_> = match group {
            Some(group) => group.split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        for name in names {
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
            found.push(name[..end].to_owned());
        }
    }
    found
}

#[test]
fn imports_run_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for path in sources(&src) {
        let relative = path.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        if ["lib", "main", "allocator", "guide"].contains(&module) {
            continue;
        }
        let own = level(module).unwrap_or_else(|| panic!("{module} has no level: give it one in tests/layers.rs"));
        let text = fs::read_to_string(&path).unwrap();
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for import in imports(&code) {
            let none = || panic!("{}: crate::{import} has no level: import from the module", relative.display());
            let imported = level(&import).unwrap_or_else(none);
            checked += 1;
            let allowed = imported < own || import == module;
            assert!(allowed, "{} (level {own}) imports from {import} (level {imported})", relative.display());
        }
    }
    assert!(checked > 100, "only {checked} imports were found: does the test still see them?");
}

#[test]
fn grouped_and_nested_imports_are_seen() {
    let text = "use crate::{amf, media::Packet};\nlet x = crate::limits::NAME_BYTES;";
    assert_eq!(imports(text), ["amf", "media", "limits"]);
}
