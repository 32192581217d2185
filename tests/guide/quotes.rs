//! What the guide quotes from the log is what the code logs.

use std::path::Path;

use crate::markdown::{self, Text, root};

fn sources(dir: &Path, text: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| ["rs", "sh"].iter().any(|known| extension == *known)) {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// A literal that is broken over lines reads as one.
fn joined(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |joined, part| joined + part.trim_start())
}

#[test]
fn messages_that_troubleshooting_in_the_guide_quotes_are_in_the_code() {
    let mut code = String::new();
    sources(&root().join("src"), &mut code);
    sources(&root().join("scripts"), &mut code);
    let code = joined(&code);
    let chapter = Text::read("src/guide/troubleshooting.md");
    let (mut count, mut missing) = (0, Vec::new());
    for (line, text) in chapter.prose() {
        for quoting in text.split("**Log:**").skip(1) {
            let until = quoting.split(")").next().unwrap();
            for quote in until.split('`').skip(1).step_by(2) {
                count += 1;
                if !code.contains(quote) {
                    missing.push((line, quote));
                }
            }
        }
    }
    assert!(missing.is_empty(), "nothing in the code says what these lines quote: {missing:#?}");
    assert!(count > 30, "{count} quotes only");
    let entries = chapter.content.lines().filter(|line| line.starts_with("### ")).count();
    assert!(entries >= 20, "{entries} entries only");
}

#[test]
fn warning_codes_of_the_guide_are_those_of_the_code() {
    let code = std::fs::read_to_string(root().join("src/live/warnings.rs")).unwrap();
    let codes = code.split("&'static str = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let chapter = Text::read("src/guide/http-api.md");
    let known: Vec<_> = codes.collect();
    assert!(known.len() >= 3, "{known:?}");
    for code in known {
        assert!(chapter.content.contains(&format!("| `{code}` |")), "{code}");
    }
}

#[test]
fn paths_of_the_guide_are_those_of_the_api() {
    let description = std::fs::read_to_string(root().join("src/http/api/openapi.json")).unwrap();
    let description: serde_json::Value = serde_json::from_str(&description).unwrap();
    let chapter = Text::read("src/guide/http-api.md");
    for path in description["paths"].as_object().unwrap().keys() {
        let shown = path.replace("{id}", "ID").replace("{app}", "live").replace("{name}", "NAME");
        assert!(chapter.content.contains(&format!(" {shown}`")), "{shown}");
    }
}

#[test]
fn metrics_that_readme_and_guide_name_are_those_of_the_code() {
    let code = std::fs::read_to_string(root().join("src/http/api/metrics.rs")).unwrap();
    let mut count = 0;
    // The changes name what is no more as well.
    for text in markdown::all().iter().filter(|text| !text.path.ends_with("changes.md")) {
        for span in text.code_spans() {
            let is_metric = ["gortmp_", "process_"].iter().any(|prefix| span.starts_with(prefix));
            assert!(!is_metric || code.contains(&format!("\"{span}\"")), "{}: there is no {span}", text.path.display());
            count += usize::from(is_metric);
        }
    }
    assert!(count >= 5, "{count} metrics only");
}

/// Without these lines, measurements that take half an hour could not be written down at their end.
#[test]
fn the_performance_chapter_of_the_guide_has_the_places_for_its_tables() {
    let chapter = Text::read("src/guide/performance.md");
    for report in ["tests/bench/relay/report.rs", "tests/bench/relay/weak/report.rs"] {
        let code = std::fs::read_to_string(root().join(report)).unwrap();
        let marks: Vec<_> = code.split('"').filter(|text| text.starts_with("<!-- ")).collect();
        assert_eq!(marks.len(), 2, "{report}");
        for mark in marks {
            assert_eq!(chapter.content.matches(mark).count(), 1, "{report}: {mark}");
        }
    }
    let target = std::fs::read_to_string(root().join("tests/bench/relay/report.rs")).unwrap();
    assert!(target.contains(&format!("join(\"{}\")", chapter.path.display())), "the benchmarks write elsewhere");
}

#[test]
fn files_that_readme_and_guide_name_are_there() {
    for text in markdown::all() {
        for span in text.code_spans() {
            let path = span.split([' ', '*']).next().unwrap();
            let is_ours = ["scripts/", "src/", "tests/"].iter().any(|folder| path.starts_with(folder));
            // What its reader makes from an example.
            let is_made = path == "scripts/cameras.conf";
            assert!(!is_ours || is_made || root().join(path).exists(), "{}: there is no {path}", text.path.display());
        }
    }
}
