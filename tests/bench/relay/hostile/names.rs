//! Attacks by names: taken ones, far too many, ones that lead out of the folder or into the log.

use std::io;
use std::time::Duration;

use gortmp::amf::Value;

use super::attacker::{Attacker, Kind, ms};
use super::bytes;

/// How long the server may take to refuse what was sent.
const SOON: Duration = ms(500);

/// A file beside the folder of videos, which nobody may get.
pub const SECRET: &str = "secret";

pub const KINDS: &[Kind] = &[
    Kind { name: "publishing a taken name", pause: ms(200), round: taken_name },
    Kind { name: "thousands of names", pause: ms(1500), round: many_names },
    Kind { name: "names that lead out of the folder", pause: ms(100), round: traversal },
    Kind { name: "names with line ends and escapes", pause: ms(300), round: log_injection },
];

fn taken_name(attacker: &mut Attacker) -> io::Result<()> {
    let name = attacker.target.published[attacker.rounds as usize % 2];
    let socket = attacker.publisher(name)?;
    attacker.say(&socket, &bytes::message(6, 0, 9, 1, &[0x17, 1, 0, 0, 0, 0xde, 0xad]));
    let heard = attacker.settle(&socket, SOON);
    if bytes::has(&heard, b"NetStream.Publish.Start") {
        attacker.breach(format!("the taken name {name} was given away"));
    }
    Ok(())
}

/// Published and played, on as many message streams as there are.
fn many_names(attacker: &mut Attacker) -> io::Result<()> {
    let socket = attacker.enter("live")?;
    for number in 0..200 {
        let name = format!("name-{}-{number}", attacker.rng.next());
        let stream_id = 1 + number % 16;
        attacker.say(
            &socket,
            &match number % 2 {
                0 => bytes::play_on(stream_id, &name),
                _ => bytes::command(stream_id, 3.0, "publish", Value::Null, vec![name.into(), "live".into()]),
            },
        );
    }
    attacker.settle(&socket, ms(300));
    Ok(())
}

fn traversal(attacker: &mut Attacker) -> io::Result<()> {
    let forms = [
        "../{}",
        "../{}.flv",
        "flv:../{}",
        "%2e%2e/{}",
        "..%2f{}",
        "%252e%252e/{}",
        "x/../../{}",
        "./../{}.flv",
        "..\\{}",
        "//../{}",
        "/{}",
        "../videos/../{}",
        "\0../{}",
        "{}\0.flv",
        "....//{}",
        "%c0%ae%c0%ae/{}",
        "../{}?a=../{}",
        "link/{}",
        "/proc/self/cwd/{}",
        "../../../../../../../../etc/passwd",
    ];
    let name = forms[attacker.rounds as usize % forms.len()].replace("{}", SECRET);
    let apps = ["gortmp", "gortmp/..", "../gortmp", "gortmp/../.."];
    let app = apps[attacker.rounds as usize / forms.len() % apps.len()];
    let socket = attacker.player(app, &name)?;
    let heard = attacker.settle(&socket, SOON);
    if app == "gortmp" && bytes::has(&heard, b"NetStream.Play.Start") {
        attacker.breach(format!("{name:?} was played"));
    }
    Ok(())
}

fn log_injection(attacker: &mut Attacker) -> io::Result<()> {
    let forged =
        "a\n[2000-01-01T00:00:00Z ERROR gortmp] forged\r\n\x1b[31mred\x1b]0;title\x07\u{2028}\u{202e}\x08\x7f\0";
    let socket = match attacker.rounds % 5 {
        0 => attacker.publisher(forged)?,
        1 => attacker.player("live", forged)?,
        2 => attacker.player("gortmp", forged)?,
        3 => attacker.enter(forged)?,
        _ => attacker.shake()?,
    };
    attacker.say(&socket, &bytes::command(0, 7.0, forged, Value::Null, Vec::new()));
    attacker.settle(&socket, SOON);
    Ok(())
}
