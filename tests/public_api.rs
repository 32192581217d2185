//! The public API of the library, item by item, held against `tests/public_api.txt`: a change of it is seen in review.
//! `ACCEPT_PUBLIC_API=1 cargo test --test public_api` writes the file anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The text between two marks, and what is behind it.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(from)?.1.split_once(to)
}

/// All that stands between two marks.
fn all_between<'a>(mut text: &'a str, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a str> {
    std::iter::from_fn(move || {
        let (found, rest) = between(text, from, to)?;
        text = rest;
        Some(found)
    })
}

/// The words of a piece of HTML.
fn words(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text += before;
        // What can be folded says how much there is in it.
        let end = if tag.starts_with("summary") { "</summary>" } else { ">" };
        rest = tag.split_once(end).unwrap().1;
    }
    text += rest;
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
        ("§", ""),
        ("ⓘ", ""),
        ("]pub ", "] pub "),
    ] {
        text = text.replace(entity, character);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a page of rustdoc declares, each with the item's path before it.
fn declared(page: &str, path: &str) -> Vec<String> {
    let (own, rest) = page.split_once("id=\"synthetic-implementations\"").unwrap_or((page, ""));
    assert!(rest.is_empty() || !own.contains("id=\"blanket-implementations\""), "{path}: another order of sections");
    let (own, implemented) = own.split_once("id=\"trait-implementations\"").unwrap_or((own, ""));
    // A trait's page ends with who has it.
    let own = own.split("id=\"implementors\"").next().unwrap();
    let item = all_between(own, "<pre class=\"rust item-decl\"><code>", "</code></pre>");
    let methods = all_between(own, "<h4 class=\"code-header\">", "</h4>");
    let traits = all_between(implemented, "<h3 class=\"code-header\">", "</h3>");
    item.chain(methods).chain(traits).map(|html| format!("{path}: {}", words(html))).collect()
}

/// Every public item of the library as its documentation has it.
fn public_api() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = Command::new(env!("CARGO"))
        .args(["doc", "--lib", "--no-deps", "--offline", "--quiet"])
        .current_dir(root)
        .status()
        .unwrap();
    assert!(documented.success(), "there is no documentation without an error");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let pages = target.join("doc/gortmp");
    let read = |page: &str| std::fs::read_to_string(pages.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut face = BTreeSet::new();
    let mut modules = BTreeSet::from([String::new()]);
    // Older pages may lie about: this one tells which there are.
    let all = read("all.html");
    for link in all_between(&all, "<li><a href=\"", "\"").filter(|link| !link.starts_with('#')) {
        let (module, file) = link.rsplit_once('/').map_or((String::new(), link), |(module, file)| {
            modules.extend(module.match_indices('/').map(|(at, _)| format!("{}/", &module[..at])));
            (format!("{module}/"), file)
        });
        let name = file.trim_end_matches(".html").split_once('.').unwrap().1;
        let path = format!("gortmp::{}{name}", module.replace('/', "::"));
        face.extend(declared(&read(link), &path));
        modules.insert(module);
    }
    for module in modules {
        let path = format!("gortmp::{}", module.replace('/', "::"));
        let path = path.trim_end_matches("::");
        face.insert(format!("{path}: pub mod"));
        let page = read(&format!("{module}index.html"));
        face.extend(
            all_between(&page, "<code>pub use ", "</code>").map(|html| format!("{path}: pub use {}", words(html))),
        );
    }
    face
}

#[test]
fn the_public_api_is_the_one_on_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_api.txt");
    let face = public_api();
    assert!(face.iter().any(|line| line.starts_with("gortmp::Client: pub fn play(")), "{face:#?}");
    if std::env::var_os("ACCEPT_PUBLIC_API").is_some() {
        let text: String = face.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, text).unwrap();
        return;
    }
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let known: BTreeSet<_> = text.lines().map(str::to_owned).collect();
    let gone = known.difference(&face).map(|line| format!("- {line}\n"));
    let new = face.difference(&known).map(|line| format!("+ {line}\n"));
    let changes: String = gone.chain(new).collect();
    let accept = "ACCEPT_PUBLIC_API=1 cargo test --test public_api";
    assert!(changes.is_empty(), "the public API has changed; if it is meant to, run {accept}\n{changes}");
}
