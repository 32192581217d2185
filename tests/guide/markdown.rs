//! The texts, and as much of Markdown as they use.

use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text: its path within the project, and what it says.
#[derive(Clone, Debug)]
pub struct Text {
    pub path: PathBuf,
    pub content: String,
}

impl Text {
    pub fn read(path: &str) -> Self {
        let content = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.into(), content }
    }

    /// Its lines outside of fenced blocks, with their numbers from 1.
    pub fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut in_block = false;
        self.content.lines().enumerate().filter_map(move |(n, line)| {
            let is_fence = line.starts_with("```");
            in_block ^= is_fence;
            (!in_block && !is_fence).then_some((n + 1, line))
        })
    }

    /// Its fenced blocks: the words behind the fence, and the lines.
    pub fn blocks(&self) -> Vec<(&str, String)> {
        let mut blocks: Vec<(&str, String)> = Vec::new();
        let mut in_block = false;
        for line in self.content.lines() {
            match line.strip_prefix("```") {
                Some(words) if !in_block => blocks.push((words, String::new())),
                None if in_block => {
                    let (_, lines) = blocks.last_mut().unwrap();
                    lines.push_str(line);
                    lines.push('\n');
                }
                _ => {}
            }
            in_block ^= line.starts_with("```");
        }
        assert!(!in_block, "{}: a block without an end", self.path.display());
        blocks
    }

    /// What stands between backticks in its prose.
    pub fn code_spans(&self) -> Vec<&str> {
        self.prose().flat_map(|(_, line)| line.split('`').skip(1).step_by(2)).collect()
    }

    /// The anchors of its headings, as forges and rustdoc make them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self
            .prose()
            .filter_map(|(_, line)| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
        let mut anchors: Vec<String> = Vec::new();
        for heading in headings {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
            assert!(!anchors.contains(&anchor), "{}: two headings #{anchor}", self.path.display());
            anchors.push(anchor);
        }
        anchors
    }
}

/// The chapters of the guide.
pub fn chapters() -> Vec<Text> {
    let mut names: Vec<_> = std::fs::read_dir(root().join("src/guide"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    assert!(names.len() > 12, "{names:?}");
    names.iter().map(|name| Text::read(&format!("src/guide/{name}"))).collect()
}

/// The README and the chapters.
pub fn all() -> Vec<Text> {
    let mut texts = chapters();
    texts.insert(0, Text::read("README.md"));
    texts
}

/// Whether the texts that come from the code are to be written anew.
pub fn updates() -> bool {
    std::env::var_os("UPDATE").is_some()
}
