//! Commands that the README and the guide tell to run do run, and options that they name exist.
//!
//! A block ```` ```sh client ```` runs beside a server with the stream `live/livestream` and the file `sample`, a block
//! ```` ```sh server ```` starts a server, ```` ```sh run ```` needs neither; a block with `sh` alone is not run.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::markdown::{self, root};
use crate::support::{PATIENCE, Running, Server, tool, wait_for};

/// A folder to run a block in: with the scripts, the sample, a film, and the program on the path.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["scripts", "video"] {
        symlink(root().join(name), dir.path().join(name)).unwrap();
    }
    std::fs::create_dir(dir.path().join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_gortmp"), dir.path().join("bin/gortmp")).unwrap();
    dir
}

/// The shell that runs it, which stops at the first command that fails.
fn shell(dir: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap());
    command.args(["-e", "-c", script]).current_dir(dir).env("PATH", path).env_remove("RUST_LOG");
    command.env("TMPDIR", dir);
    command
}

/// Blocks of that kind of all texts, with the text that each is from.
fn blocks(kind: &str) -> Vec<(String, String)> {
    let texts = markdown::all();
    let of_text = |text: &markdown::Text| {
        let name = text.path.display().to_string();
        let blocks = text.blocks().into_iter().filter(|(words, _)| *words == kind);
        blocks.map(|(_, lines)| (name.clone(), lines)).collect::<Vec<_>>()
    };
    texts.iter().flat_map(of_text).collect()
}

/// Runs a block to its end, within a minute.
fn run(dir: &Path, name: &str, script: &str) {
    let mut running = Running::start(shell(dir, script), dir.join("output"));
    let status = running.wait(Duration::from_secs(60));
    assert_eq!(status, Some(0), "{name}:\n{script}\n{}", running.text());
}

#[test]
fn commands_of_the_guide_that_need_no_server_run() {
    let blocks = blocks("sh run");
    assert!(blocks.len() >= 3, "{blocks:?}");
    for (name, script) in blocks {
        run(workplace().path(), &name, &script);
    }
}

#[test]
fn commands_of_the_guide_that_need_a_server_run() {
    tool("ffmpeg", "ffmpeg");
    let dir = workplace();
    let server = Server::with_videos(&root().join("video"), &["--http", "127.0.0.1:0"]);
    let film = "ffmpeg -v error -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine -t 4 -c:v libx264 \
                -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac film.mp4";
    run(dir.path(), "a film", film);
    let url = format!("rtmp://{}/live/livestream", server.address);
    let camera = format!("exec ffmpeg -v error -re -stream_loop -1 -i film.mp4 -c copy -f flv {url}");
    let _camera = Running::start(shell(dir.path(), &camera), dir.path().join("camera"));
    server.wait_for_log("started publishing live/livestream");
    let blocks = blocks("sh client");
    assert!(blocks.len() >= 6, "{blocks:?}");
    for (name, script) in blocks {
        // The name is taken: a test pattern goes beside it.
        let script = script
            .replace("HOST:8080", &server.http.unwrap().to_string())
            .replace("rtmp://HOST/live/livestream\n", &format!("rtmp://{}/live/other\n", server.address))
            .replace("rtmp://HOST/", &format!("rtmp://{}/", server.address));
        run(dir.path(), &name, &script);
    }
}

#[test]
fn servers_of_the_guide_start() {
    let blocks = blocks("sh server");
    assert!(blocks.len() >= 3, "{blocks:?}");
    for (name, script) in blocks {
        let dir = workplace();
        // On ports that are free, whatever the block says.
        let mut script: String = script
            .lines()
            .map(|line| match line.strip_prefix("gortmp ") {
                Some(options) => format!("exec gortmp --listen 127.0.0.1:0 --http 127.0.0.1:0 {options}\n"),
                None => format!("{line}\n"),
            })
            .collect();
        for port in ["1936", "8443"] {
            script = script.replace(&format!("'[::]:{port}'"), "127.0.0.1:0");
        }
        let mut running = Running::start(shell(dir.path(), &script), dir.path().join("output"));
        wait_for("the server", || running.text().contains("Play on demand").then_some(()));
        crate::support::terminate(running.pid());
        assert_eq!(running.wait(PATIENCE), Some(0), "{name}:\n{script}\n{}", running.text());
    }
}

/// The startup banner as README and guide show it, but for addresses and what is left out.
#[test]
fn the_startup_banner_of_readme_and_guide_is_what_the_server_logs() {
    let server = Server::with_videos(&root().join("video"), &["--http", "127.0.0.1:0"]);
    server.wait_for_log("Play on demand");
    let log = server.log().join("\n");
    let mut count = 0;
    for (name, block) in blocks("text").into_iter().filter(|(_, block)| block.contains("Web page")) {
        for line in block.lines() {
            let plain = line.split(" (IPv4").next().unwrap();
            let plain =
                plain.replace("[::]:1935", &server.address.to_string()).replace("192.168.1.20:8080", "192.168.1.20");
            let plain = plain.replace("[::]:8080", &server.http.unwrap().to_string()).trim_end_matches('…').to_owned();
            let plain = plain.replace("http://192.168.1.20", &format!("http://{}", server.http.unwrap()));
            let plain = plain.replace("192.168.1.20", &server.address.to_string());
            assert!(log.contains(plain.trim_end()), "{name}: {plain}\n{log}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count} lines only");
}

/// Long options within a text.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split(move |c: char| !is_part(c)).filter(|word| word.starts_with("--") && word.len() > 3)
}

#[test]
fn options_that_readme_and_guide_name_exist() {
    let help = |program: &Path| {
        let output = Command::new(program).arg("--help").output().unwrap();
        assert!(output.status.success(), "{}", program.display());
        String::from_utf8(output.stdout).unwrap()
    };
    let ours = help(Path::new(env!("CARGO_BIN_EXE_gortmp")));
    let mut known: BTreeSet<String> = options(&ours).map(str::to_owned).collect();
    for script in std::fs::read_dir(root().join("scripts")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = script.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".sh") && !name.starts_with("lib-") {
            known.extend(options(&help(&script)).map(str::to_owned));
        }
    }
    // Of mpv, VLC, rtmpdump, curl, cargo, systemctl.
    let foreign =
        "--profile --network-caching --live --max-time --release --lib --test --open --locked --now --all-targets";
    known.extend(foreign.split(' ').map(str::to_owned));
    let mut count = 0;
    for text in markdown::all() {
        let name = text.path.display().to_string();
        // It tells of options that are no more.
        if name.ends_with("changes.md") {
            continue;
        }
        let blocks = text.blocks();
        let code = text.code_spans().into_iter().chain(blocks.iter().map(|(_, lines)| lines.as_str()));
        for option in code.flat_map(options) {
            count += 1;
            assert!(known.contains(option), "{name}: no program has the option {option}");
        }
    }
    assert!(count > 100, "{count} options only");
}
