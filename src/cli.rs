//! The command line: options in, a server out, an exit code back.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use getopts::{Matches, Options};
use log::LevelFilter;

use crate::config::{
    AccessConfig, Config, Congestion, HttpConfig, MergeWindow, Permission, ReplacePublisher, RuleKind, Secret, Times,
    TlsConfig,
};
use crate::error::{Error, Result};
use crate::guard;
use crate::server::{Server, logging};

/// By hand, since it has to fit a screen; a test holds it to the options.
const HELP: &str = "\
gortmp: relays live streams and plays FLV files over RTMP

  gortmp                                       start with the defaults
  ffmpeg … -f flv rtmp://HOST/live/livestream  push a stream
  ffplay rtmp://HOST/live/livestream           play it
  ffplay rtmp://HOST/gortmp/NAME               play video/NAME.flv

Usage: gortmp [OPTIONS]        (* may be repeated; defaults in brackets)
 -l --listen ADDR *            listen here [[::]:1935, IPv4 as well]
 -d --video-dir DIR            folder of the FLV files [video]
    --live-app NAME *          application for live streams [live]
    --vod-app NAME             application for files [gortmp]
    --gop-cache on|off         start players at the last key frame [on]; each
                               may choose: ?gop=0 or ?gop=1 behind the name
    --replace-publisher WHEN   a second publisher takes over a name: never,
                               from one silent for 5 s (idle), always [idle]
    --republish-grace SECS     keep players when their publisher goes [10]
    --gather MS|auto           messages wait to reach players together [auto]
    --player-queue KIB         what may wait for a slow player [4096]
    --max-lag MS               further behind, players skip to the key frame
                               that comes [600]
    --congestion NAME|system   how TCP adapts to links [bbr if there is one]
    --times publisher|arrival|auto     times that live streams have [auto]
    --lanes N                  threads that send to players [one per core]
Access: open to all without these; SIGHUP reads the files again
    --publish-key KEY          publishing needs ?key=KEY behind the name
    --publish-key-file FILE    the same by stream: lines APP/NAME KEY
    --play-key KEY             the same for playing, and --play-key-file FILE
    --ask-password             the key comes as password in user:password@HOST
    --allow-publish CIDR *     who may publish, by address, and --deny-publish;
    --allow-play CIDR *        who may play, and --deny-play: the first that
                               fits decides; who fits none may without any allow
    --tls-listen ADDR *        RTMPS, with --tls-cert PEM and --tls-key PEM
Browsers
    --http ADDR *              page, streams, files [[::]:8080]; or --no-http
    --https ADDR *             the same over TLS, with --tls-cert and --tls-key
    --host NAME *              what browsers may call it besides addresses,
                               NAME and NAME.local (* for all)
    --cors ORIGIN              pages from there may use them, too (* for all)
    --admin-key KEY            for seeing and ending connections by /api/v1/
Limits
    --max-connections N        clients [8192, or as many as files may be open]
    --max-per-ip N             clients from one address but this host [1024]
    --max-publishers N         streams at once [1024]
    --publish-timeout SECS     end a publisher silent this long [30]
Log: RUST_LOG sets the level of each part, as in RUST_LOG=gortmp=debug
 -v --verbose, -q --quiet      log more (-vv: still more); warnings only
 -h --help, -V --version       print this; print the version";

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
            guard::log_panics();
            let result = serve(*config);
            logging::flush();
            match result {
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
    options.optmulti("l", "listen", "", "ADDR").optopt("d", "video-dir", "", "DIR");
    for several in
        ["live-app", "tls-listen", "http", "https", "host", "allow-publish", "deny-publish", "allow-play", "deny-play"]
    {
        options.optmulti("", several, "", "VALUE");
    }
    for one in [
        "vod-app",
        "gop-cache",
        "replace-publisher",
        "republish-grace",
        "gather",
        "player-queue",
        "max-lag",
        "congestion",
        "times",
        "lanes",
        "publish-key",
        "publish-key-file",
        "play-key",
        "play-key-file",
        "tls-cert",
        "tls-key",
        "max-connections",
        "max-per-ip",
        "max-publishers",
        "publish-timeout",
        "cors",
        "admin-key",
    ] {
        options.optopt("", one, "", "VALUE");
    }
    options
        .optflag("", "ask-password", "")
        .optflag("", "no-http", "")
        .optflagmulti("v", "verbose", "")
        .optflag("q", "quiet", "")
        .optflag("h", "help", "")
        .optflag("V", "version", "");
    options
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Wish> {
    let options = options();
    let matches = options.parse(arguments).map_err(|error| Error::Config(error.to_string().into()))?;
    if matches.opt_present("help") {
        return Ok(Wish::Print(HELP.to_owned()));
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
    let mut config = Config { listen: addresses(matches, "listen")?, ..Config::default() };
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
    if let Some(seconds) = number(matches, "republish-grace", "a number of seconds")? {
        config.republish_grace = Duration::from_secs(u32::into(seconds));
    }
    if let Some(seconds) = number(matches, "publish-timeout", "a number of seconds")? {
        config.publish_timeout = Duration::from_secs(u32::into(seconds));
    }
    if let Some(window) = matches.opt_str("gather") {
        config.gather = match window.as_str() {
            "auto" => MergeWindow::Auto,
            ms => match ms.parse::<u32>() {
                Ok(ms) => MergeWindow::Window(Duration::from_millis(ms.into())),
                Err(_) => return Err(bad("gather", ms, "a number of milliseconds or auto")),
            },
        };
    }
    if let Some(kib) = number::<u32>(matches, "player-queue", "a number of KiB")? {
        config.player_queue = (kib as usize).saturating_mul(1024);
    }
    if let Some(ms) = number(matches, "max-lag", "a number of milliseconds")? {
        config.max_lag = Duration::from_millis(u32::into(ms));
    }
    if let Some(name) = matches.opt_str("congestion") {
        config.congestion = match name.as_str() {
            "auto" => Congestion::Auto,
            "system" => Congestion::System,
            _ => Congestion::Named(name),
        };
    }
    if let Some(choice) = matches.opt_str("times") {
        config.times = match choice.as_str() {
            "publisher" => Times::Publisher,
            "arrival" => Times::Arrival,
            "auto" => Times::Auto,
            _ => return Err(bad("times", &choice, "publisher, arrival or auto")),
        };
    }
    config.lanes = number(matches, "lanes", "a number of threads")?;
    config.max_connections = number(matches, "max-connections", "a number")?;
    config.max_per_ip = number(matches, "max-per-ip", "a number")?.unwrap_or(config.max_per_ip);
    config.max_publishers = number(matches, "max-publishers", "a number")?.unwrap_or(config.max_publishers);
    config.access = AccessConfig {
        publish: permission(matches, "publish")?,
        play: permission(matches, "play")?,
        ask_password: matches.opt_present("ask-password"),
    };
    let files = [matches.opt_str("tls-cert"), matches.opt_str("tls-key")].map(|file| file.map(PathBuf::from));
    let (listen, https) = (addresses(matches, "tls-listen")?, addresses(matches, "https")?);
    config.tls = match files {
        [Some(certificate), Some(key)] => Some(TlsConfig { listen, https, certificate, key }),
        [None, None] if listen.is_empty() && https.is_empty() => None,
        _ => {
            let reason = "--tls-listen and --https need --tls-cert and --tls-key, and these one of those";
            return Err(Error::Config(reason.into()));
        }
    };
    config.http = http(matches)?;
    Ok(config)
}

fn http(matches: &Matches) -> Result<Option<HttpConfig>> {
    let (listen, cors) = (addresses(matches, "http")?, matches.opt_str("cors"));
    match matches.opt_present("no-http") {
        true if !listen.is_empty() => {
            Err(Error::Config("--http and --no-http exclude each other: leave one out".into()))
        }
        true => Ok(None),
        false => {
            let admin_key = matches.opt_str("admin-key").map(Secret::new);
            Ok(Some(HttpConfig { listen, cors, hosts: matches.opt_strs("host"), admin_key }))
        }
    }
}

fn addresses(matches: &Matches, option: &str) -> Result<Vec<SocketAddr>> {
    let parse = |address: String| {
        let hint = "an address and a port, such as 0.0.0.0:1935 or [::]:1935";
        address.parse().map_err(|_| bad(option, &address, hint))
    };
    matches.opt_strs(option).into_iter().map(parse).collect()
}

fn number<N: std::str::FromStr>(matches: &Matches, option: &str, wanted: &str) -> Result<Option<N>> {
    let parse = |text: String| text.parse().map_err(|_| bad(option, &text, wanted));
    matches.opt_str(option).map(parse).transpose()
}

fn permission(matches: &Matches, verb: &str) -> Result<Permission> {
    let rules_of = |kind: RuleKind, word: &str| {
        let option = format!("{word}-{verb}");
        let rule = |(at, network): (usize, String)| kind.rule(&network).map(|rule| (at, rule));
        matches.opt_strs_pos(&option).into_iter().map(rule).collect::<Result<Vec<_>>>()
    };
    let mut rules = [rules_of(RuleKind::Allow, "allow")?, rules_of(RuleKind::Deny, "deny")?].concat();
    // In the order of the command line, both kinds together.
    rules.sort_by_key(|(at, _)| *at);
    Ok(Permission {
        key: matches.opt_str(&format!("{verb}-key")).map(Secret::new),
        key_file: matches.opt_str(&format!("{verb}-key-file")).map(PathBuf::from),
        rules: rules.into_iter().map(|(_, rule)| rule).collect(),
    })
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
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = signals.map_err(|error| Error::io("waiting for signals", error))?;
    let watch = move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => match handle.reload() {
                    Ok(()) => log::info!("read the key files and the certificate again"),
                    Err(error) => log::error!("nothing was changed for what can't be read: {error}"),
                },
                // Whoever asks twice does not want to wait.
                _ if is_stopping => std::process::exit(1),
                _ => {
                    is_stopping = true;
                    handle.stop();
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
    thread.map_err(|error| Error::io("waiting for signals", error))?;
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
            "--max-lag",
            "500",
            "--congestion",
            "cubic",
            "--times",
            "arrival",
            "--lanes",
            "3",
            "--publish-key=s3cret",
            "--play-key-file=keys",
            "--ask-password",
            "--deny-play=192.0.2.7",
            "--allow-play=192.0.2.0/24",
            "--deny-play=::/0",
            "--http",
            "127.0.0.1:8081",
            "--https=[::]:8443",
            "--host=cams.example.org",
            "--cors",
            "https://example.org",
            "--admin-key",
            "adm1n",
            "--tls-listen=[::]:1936",
            "--tls-cert=cert.pem",
            "--tls-key=key.pem",
            "--max-connections=100",
            "--max-per-ip=10",
            "--max-publishers=5",
            "--publish-timeout=60",
        ]);
        use RuleKind::{Allow, Deny};
        let rules = [(Deny, "192.0.2.7"), (Allow, "192.0.2.0/24"), (Deny, "::/0")];
        let access = AccessConfig {
            publish: Permission { key: Some(Secret::new("s3cret")), ..Permission::default() },
            play: Permission {
                key: None,
                key_file: Some("keys".into()),
                rules: rules.map(|(kind, network)| kind.rule(network).unwrap()).into(),
            },
            ask_password: true,
        };
        let expected = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:1936".parse().unwrap()],
            video_dir: "films".into(),
            live_apps: vec!["cam".into(), "door".into()],
            vod_app: "film".into(),
            gop_cache: false,
            replace_publisher: ReplacePublisher::Always,
            republish_grace: Duration::ZERO,
            gather: MergeWindow::Window(Duration::from_millis(350)),
            player_queue: 1024 * 1024,
            max_lag: Duration::from_millis(500),
            congestion: Congestion::Named("cubic".to_owned()),
            times: Times::Arrival,
            lanes: Some(3),
            access,
            http: Some(HttpConfig {
                listen: vec!["127.0.0.1:8081".parse().unwrap()],
                cors: Some("https://example.org".to_owned()),
                hosts: vec!["cams.example.org".to_owned()],
                admin_key: Some(Secret::new("adm1n")),
            }),
            tls: Some(TlsConfig {
                listen: vec!["[::]:1936".parse().unwrap()],
                https: vec!["[::]:8443".parse().unwrap()],
                certificate: "cert.pem".into(),
                key: "key.pem".into(),
            }),
            max_connections: Some(100),
            max_per_ip: 10,
            max_publishers: 5,
            publish_timeout: Duration::from_secs(60),
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
            (&["--max-lag", "1s"], "a number of milliseconds"),
            (&["--max-lag", "10"], "100 to 8000 ms"),
            (&["--times", "now"], "publisher, arrival or auto"),
            (&["--lanes", "0"], "1 to 256"),
            (&["--vod-app", "live"], "--live-app or --vod-app"),
            (&["--tls-cert", "x"], "--tls-listen"),
            (&["--publish-key", ""], "can't be empty"),
            (&["--allow-play", "home"], "192.168.0.0/16"),
            (&["--max-per-ip", "0"], "at least 1"),
            (&["--max-connections", "many"], "a number"),
            (&["--publish-timeout", "0"], "lengthen"),
            (&["--nonsense"], "nonsense"),
            (&["video"], "not an option"),
            (&["-v", "-q"], "leave one out"),
            (&["--no-http", "--http", "[::]:80"], "leave one out"),
            (&["--https", "[::]:8443"], "--tls-cert"),
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
        for option in options().usage("").split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option.trim_end_matches(',')), "{option}");
        }
        for default in [
            "[[::]:1935",
            "[[::]:8080",
            "[video]",
            "[live]",
            "[gortmp]",
            "[on]",
            "[idle]",
            "[10]",
            "[auto]",
            "[4096]",
            "[8192",
            "[1024]",
            "[30]",
            "[one per core]",
        ] {
            assert!(help.contains(default), "{default}");
        }
    }
}
