//! The command line: options in, a server out, an exit code back.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use getopts::{Matches, Options};
use log::LevelFilter;

use crate::config::{Config, Gather, ReplacePublisher};
use crate::error::{Error, Result};
use crate::server::{Server, logging};

const BRIEF: &str = "\
gortmp: relays live streams and plays FLV files over RTMP

    gortmp                                       start with the defaults
    ffmpeg … -f flv rtmp://HOST/live/livestream  push a stream
    ffplay rtmp://HOST/live/livestream           play it
    ffplay rtmp://HOST/gortmp/NAME               play video/NAME.flv

Usage: gortmp [OPTIONS]";

const LOG_HELP: &str = "
RUST_LOG sets the log level of each part, for example RUST_LOG=gortmp=debug.";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Wish {
    Serve(Box<Config>, Option<LevelFilter>),
    Print(String),
}

/// Runs the program with these arguments, the program's name not among them.
///
/// Exit codes: 0 after a stop by signal, 1 when the server can't start, 2 for a bad option.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(arguments) {
        Ok(Wish::Print(text)) => {
            // Who doesn't want to read to the end need not.
            let _ = writeln!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Ok(Wish::Serve(config, level)) => {
            start_logging(level);
            match serve(*config) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    let _ = writeln!(io::stderr(), "gortmp: {error}");
                    ExitCode::from(1)
                }
            }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "gortmp: {error} (gortmp --help lists all options)");
            ExitCode::from(2)
        }
    }
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optmulti("l", "listen", "listen here, may be repeated [[::]:1935, IPv4 as well]", "ADDR")
        .optopt("d", "video-dir", "folder of the FLV files [video]", "DIR")
        .optmulti("", "live-app", "application for live streams, may be repeated [live]", "NAME")
        .optopt("", "vod-app", "application for files [gortmp]", "NAME")
        .optopt("", "gop-cache", "start players at the last key frame; a player decides for itself by ?gop=0 or ?gop=1 behind the name [on]", "on|off")
        .optopt("", "replace-publisher", "when a name is published twice, the second takes over: never, when the first was silent for 5 s, or always [idle]", "never|idle|always")
        .optopt("", "republish-grace", "how long players are kept when their publisher goes [10]", "SECS")
        .optopt("", "gather", "how long messages may wait to reach players together: ms, 0 for at once; auto waits with large audiences only [auto]", "MS|auto")
        .optopt("", "player-queue", "how much may wait for a slow player before it skips to the next key frame [4096]", "KIB")
        .optopt("", "lanes", "threads that send to players [one per core]", "N")
        .optflagmulti("v", "verbose", "log more, twice for still more")
        .optflag("q", "quiet", "log warnings and errors only")
        .optflag("h", "help", "print this help")
        .optflag("V", "version", "print the version");
    options
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Wish> {
    let options = options();
    let matches = options.parse(arguments).map_err(|error| Error::Config(error.to_string().into()))?;
    if matches.opt_present("help") {
        return Ok(Wish::Print(options.usage(BRIEF) + LOG_HELP));
    }
    if matches.opt_present("version") {
        return Ok(Wish::Print(format!("gortmp {}", env!("CARGO_PKG_VERSION"))));
    }
    if let Some(stray) = matches.free.first() {
        return Err(Error::Config(format!("\"{stray}\" is not an option").into()));
    }
    let level = match (matches.opt_count("verbose"), matches.opt_present("quiet")) {
        (0, false) => None,
        (0, true) => Some(LevelFilter::Warn),
        (1, false) => Some(LevelFilter::Debug),
        (_, false) => Some(LevelFilter::Trace),
        (_, true) => return Err(Error::Config("-v and -q exclude each other: leave one out".into())),
    };
    let config = config(&matches)?;
    config.check()?;
    Ok(Wish::Serve(Box::new(config), level))
}

fn config(matches: &Matches) -> Result<Config> {
    let mut config = Config::default();
    for address in matches.opt_strs("listen") {
        let parsed = address
            .parse()
            .map_err(|_| bad("listen", &address, "an address and a port, such as 0.0.0.0:1935 or [::]:1935"))?;
        config.listen.push(parsed);
    }
    if let Some(dir) = matches.opt_str("video-dir") {
        config.video_dir = PathBuf::from(dir);
    }
    if matches.opt_present("live-app") {
        config.live_apps = matches.opt_strs("live-app");
    }
    if let Some(app) = matches.opt_str("vod-app") {
        config.vod_app = app;
    }
    if let Some(choice) = matches.opt_str("gop-cache") {
        config.gop_cache = match choice.as_str() {
            "on" => true,
            "off" => false,
            _ => return Err(bad("gop-cache", &choice, "on or off")),
        };
    }
    if let Some(choice) = matches.opt_str("replace-publisher") {
        config.replace_publisher = match choice.as_str() {
            "never" => ReplacePublisher::Never,
            "idle" => ReplacePublisher::Idle,
            "always" => ReplacePublisher::Always,
            _ => return Err(bad("replace-publisher", &choice, "never, idle or always")),
        };
    }
    if let Some(seconds) = matches.opt_str("republish-grace") {
        let parsed = seconds.parse::<u32>().map_err(|_| bad("republish-grace", &seconds, "a number of seconds"))?;
        config.republish_grace = Duration::from_secs(parsed.into());
    }
    if let Some(window) = matches.opt_str("gather") {
        config.gather = match window.as_str() {
            "auto" => Gather::Auto,
            ms => match ms.parse::<u32>() {
                Ok(ms) => Gather::Window(Duration::from_millis(ms.into())),
                Err(_) => return Err(bad("gather", ms, "a number of milliseconds or auto")),
            },
        };
    }
    if let Some(kib) = matches.opt_str("player-queue") {
        let parsed = kib.parse::<u32>().map_err(|_| bad("player-queue", &kib, "a number of KiB"))?;
        config.player_queue = (parsed as usize).saturating_mul(1024);
    }
    if let Some(lanes) = matches.opt_str("lanes") {
        config.lanes = Some(lanes.parse().map_err(|_| bad("lanes", &lanes, "a number of threads"))?);
    }
    Ok(config)
}

fn bad(option: &str, value: &str, wanted: &str) -> Error {
    Error::Config(format!("--{option} takes {wanted}, not \"{}\"", value.escape_debug()).into())
}

fn start_logging(level: Option<LevelFilter>) {
    let mut builder = logging::builder();
    match level {
        Some(level) => builder.filter_level(level),
        None => builder.filter_level(LevelFilter::Info).parse_default_env(),
    };
    builder.format_target(false).init();
}

fn serve(config: Config) -> Result<()> {
    let server = Server::bind(config)?;
    let handle = server.handle();
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])
        .map_err(|error| Error::io("waiting for signals", error))?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut signals = signals.forever();
            signals.next();
            handle.stop();
            // Whoever asks twice does not want to wait.
            signals.next();
            std::process::exit(1);
        })
        .map_err(|error| Error::io("waiting for signals", error))?;
    server.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Wish> {
        parse(arguments.iter().map(OsString::from))
    }

    fn parsed_config(arguments: &[&str]) -> Config {
        match parsed(arguments) {
            Ok(Wish::Serve(config, _)) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_the_defaults_hold() {
        assert_eq!(parsed_config(&[]), Config::default());
    }

    #[test]
    fn every_option_has_its_setting() {
        let config = parsed_config(&[
            "-l",
            "127.0.0.1:0",
            "--listen",
            "[::1]:1936",
            "-d",
            "films",
            "--live-app",
            "cam",
            "--live-app",
            "door",
            "--vod-app",
            "film",
            "--gop-cache",
            "off",
            "--replace-publisher",
            "always",
            "--republish-grace",
            "0",
            "--gather",
            "350",
            "--player-queue",
            "1024",
            "--lanes",
            "3",
        ]);
        let expected = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:1936".parse().unwrap()],
            video_dir: "films".into(),
            live_apps: vec!["cam".into(), "door".into()],
            vod_app: "film".into(),
            gop_cache: false,
            replace_publisher: ReplacePublisher::Always,
            republish_grace: Duration::ZERO,
            gather: Gather::Window(Duration::from_millis(350)),
            player_queue: 1024 * 1024,
            lanes: Some(3),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn bad_options_say_what_would_be_right() {
        for (arguments, hint) in [
            (&["--listen", "1935"][..], "such as 0.0.0.0:1935"),
            (&["--gop-cache", "maybe"], "on or off"),
            (&["--replace-publisher", "x"], "never, idle or always"),
            (&["--republish-grace", "-1"], "a number of seconds"),
            (&["--gather", "x"], "milliseconds or auto"),
            (&["--gather", "60000"], "shorten --gather"),
            (&["--player-queue", "4M"], "a number of KiB"),
            (&["--player-queue", "1"], "64 to 32768 KiB"),
            (&["--lanes", "0"], "1 to 256"),
            (&["--vod-app", "live"], "--live-app or --vod-app"),
            (&["--nonsense"], "nonsense"),
            (&["video"], "not an option"),
            (&["-v", "-q"], "leave one out"),
        ] {
            let error = parsed(arguments).unwrap_err().to_string();
            assert!(error.contains(hint) && !error.contains('\n'), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn the_help_fits_a_screen_and_states_every_default() {
        let Ok(Wish::Print(help)) = parsed(&["--help"]) else { panic!() };
        assert!(help.lines().count() <= 48, "{} lines", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        for default in [
            "[[::]:1935",
            "[video]",
            "[live]",
            "[gortmp]",
            "[on]",
            "[idle]",
            "[10]",
            "[auto]",
            "[4096]",
            "[one per core]",
        ] {
            assert!(help.contains(default), "{default}");
        }
    }
}
