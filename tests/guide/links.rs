//! Every link leads somewhere, on a forge as in the crate's documentation.

use crate::markdown::{self, Text, root};

/// Links of the form `[text](target)` and HTML's `src="target"`.
fn inline_links(text: &Text) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in text.prose() {
        let without_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        for (begin, end) in [("](", ')'), ("src=\"", '"')] {
            for part in without_code.split(begin).skip(1) {
                found.push((n, part.split(end).next().unwrap().to_owned()));
            }
        }
    }
    found
}

/// Labels of links of the form `[text][label]`.
fn labels(text: &Text) -> Vec<(usize, String)> {
    let without_code = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let lines = text.prose().map(|(n, line)| (n, without_code(line)));
    let of_line = |(n, line): (usize, String)| {
        let parts: Vec<_> =
            line.split("][").skip(1).map(|part| (n, part.split(']').next().unwrap().to_owned())).collect();
        parts
    };
    lines.flat_map(of_line).collect()
}

/// The definitions at the end of a chapter: label and target.
fn definitions(text: &Text) -> Vec<(String, String)> {
    let of_line = |(_, line): (usize, &str)| {
        let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
        Some((label.to_owned(), target.to_owned()))
    };
    text.prose().filter_map(of_line).collect()
}

/// Says what is wrong with a target that is named in that text.
fn check(text: &Text, target: &str) -> Result<(), String> {
    if let Some(rest) = target.strip_prefix("https://") {
        let host = rest.split('/').next().unwrap();
        let is_sound = host.contains('.') && rest.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '<');
        return if is_sound { Ok(()) } else { Err("not the address of a page".to_owned()) };
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { text.path.clone() } else { text.path.parent().unwrap().join(file) };
    if !root().join(&path).exists() {
        return Err("there is no such file".to_owned());
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let anchors = Text::read(path.to_str().unwrap()).anchors();
    if anchors.iter().any(|known| known == anchor) { Ok(()) } else { Err(format!("none of {anchors:?}")) }
}

#[test]
fn every_link_of_readme_and_guide_leads_somewhere() {
    let mut count = 0;
    for text in markdown::all() {
        let defined = definitions(&text).into_iter().map(|(_, target)| (0, target));
        for (line, target) in inline_links(&text).into_iter().chain(defined) {
            count += 1;
            if let Err(reason) = check(&text, &target) {
                panic!("{}, line {line}: {target}: {reason}", text.path.display());
            }
        }
    }
    assert!(count > 60, "{count} links only");
}

#[test]
fn bad_links_are_seen() {
    let text = Text::read("README.md");
    for target in
        ["src/guide/nothing.md", "src/guide/playing.md#nothing", "#nothing", "https://nowhere", "http://a.example"]
    {
        assert!(check(&text, target).is_err(), "{target}");
    }
    let odd =
        Text { path: "README.md".into(), content: "see [a](b.md), `[c](d)`\n```sh\n[e](f)\n```\n[g][h.md]\n".into() };
    assert_eq!(inline_links(&odd), [(1, "b.md".to_owned())]);
    assert_eq!(labels(&odd), [(5, "h.md".to_owned())]);
}

/// Chapters name each other by labels, which lead to files at the end of each chapter and to modules in `mod.rs`.
#[test]
fn links_between_chapters_of_the_guide_are_defined_for_files_and_for_rustdoc() {
    let source = std::fs::read_to_string(root().join("src/guide/mod.rs")).unwrap();
    for mut text in markdown::chapters() {
        let name = text.path.display().to_string();
        for (line, target) in inline_links(&text) {
            let is_own = target.starts_with("https://") || target.starts_with('#');
            assert!(
                is_own,
                "{name}, line {line}: write [text][{target}], so that it leads somewhere in rustdoc as well"
            );
        }
        let mut used: Vec<_> = labels(&text).into_iter().map(|(_, label)| label).collect();
        used.sort();
        used.dedup();
        for label in &used {
            let (file, anchor) =
                label.split_once('#').map_or((&label[..], None), |(file, anchor)| (file, Some(anchor)));
            let module = file.trim_end_matches(".md").replace('-', "_");
            let anchor = anchor.map_or_else(String::new, |anchor| format!("#{anchor}"));
            let line = format!("[{label}]: self::{module}{anchor}");
            assert!(
                source.lines().any(|known| known.trim_start().trim_matches('"') == line),
                "src/guide/mod.rs lacks {line}"
            );
        }
        let expected: Vec<_> = used.iter().map(|label| (label.clone(), label.clone())).collect();
        if markdown::updates() && definitions(&text) != expected {
            let kept: Vec<_> =
                text.content.lines().filter(|line| !(line.starts_with('[') && line.contains("]: "))).collect();
            let lines: Vec<_> = used.iter().map(|label| format!("[{label}]: {label}\n")).collect();
            text.content = format!("{}\n\n{}", kept.join("\n").trim_end(), lines.concat());
            std::fs::write(root().join(&text.path), &text.content).unwrap();
        }
        assert_eq!(definitions(&text), expected, "{name}: UPDATE=1 cargo test guide");
    }
}

#[test]
fn every_chapter_of_the_guide_is_in_its_module_and_in_the_readme() {
    let source = std::fs::read_to_string(root().join("src/guide/mod.rs")).unwrap();
    let readme = Text::read("README.md");
    for text in markdown::chapters() {
        let name = text.path.file_name().unwrap().to_str().unwrap();
        let module = name.trim_end_matches(".md").replace('-', "_");
        assert!(source.contains(&format!("{module} = \"{name}\"")), "{name} is no module");
        assert!(source.contains(&format!("]({module})")), "{module} is not in the list of chapters");
        assert!(readme.content.contains(&format!("(src/guide/{name})")), "the README does not lead to {name}");
    }
    assert!(readme.content.lines().count() <= 200, "the README is longer than 200 lines");
}
