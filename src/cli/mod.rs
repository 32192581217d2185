//! The command line: parses options, runs a server or prints a text, returns an exit code.

mod completions;
#[cfg(test)]
mod guide_table;
mod help;
mod manual;
mod options;
mod settings;
mod spec;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use getopts::Options;
use log::LevelFilter;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::guard;
use crate::server::{Server, logging};

/// The action that the command line requests.
#[derive(Debug, PartialEq)]
enum Action {
    Serve(Box<Config>, Option<LevelFilter>),
    Print(String),
}

/// Runs the program with these arguments, which exclude the program name.
///
/// Exit codes: 0 after a stop by signal, 1 if the server can't start or fails, 2 for an invalid option.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(arguments) {
        Ok(Action::Print(text)) => {
            // A reader that closes the pipe early, such as `head`, is not an error.
            let _ = writeln!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Ok(Action::Serve(config, level)) => {
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

fn parser() -> Options {
    let mut parser = Options::new();
    options::all().for_each(|option| option.add_to(&mut parser));
    parser
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action> {
    let matches = parser()
        .parse(arguments.into_iter().map(current_name))
        .map_err(|error| Error::Config(error.to_string().into()))?;
    if matches.opt_present("help") {
        return Ok(Action::Print(help::text()));
    }
    if matches.opt_present("version") {
        return Ok(Action::Print(format!("gortmp {}", env!("CARGO_PKG_VERSION"))));
    }
    if matches.opt_present("man") {
        return Ok(Action::Print(manual::text()));
    }
    if let Some(shell) = matches.opt_str("completions") {
        let text = completions::text(&shell);
        return text
            .map(Action::Print)
            .ok_or_else(|| settings::invalid_value("completions", &shell, "bash, zsh or fish"));
    }
    if let Some(argument) = matches.free.first() {
        return Err(Error::Config(format!("\"{argument}\" is not an option").into()));
    }
    let level = match (matches.opt_count("verbose"), matches.opt_present("quiet")) {
        (0, false) => None,
        (0, true) => Some(LevelFilter::Warn),
        (1, false) => Some(LevelFilter::Debug),
        (_, false) => Some(LevelFilter::Trace),
        (_, true) => return Err(Error::Config("-v and -q are mutually exclusive: leave one out".into())),
    };
    let config = settings::config(&matches)?;
    config.check()?;
    Ok(Action::Serve(Box::new(config), level))
}

/// Translates the former name of an option, which existing scripts may use.
fn current_name(argument: OsString) -> OsString {
    match argument.to_str().and_then(|text| text.strip_prefix("--gather")) {
        Some(rest) if rest.is_empty() || rest.starts_with('=') => format!("--merge-window{rest}").into(),
        _ => argument,
    }
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
    let mut signals = signals.map_err(|error| Error::io("installing the signal handlers", error))?;
    let handle_signals = move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => match handle.reload() {
                    Ok(()) => log::info!("reloaded the key files and the certificate"),
                    Err(error) => {
                        log::error!("reload failed, keeping the previous version of what can't be read: {error}")
                    }
                },
                // A second signal means that the user does not want to wait.
                _ if is_stopping => std::process::exit(1),
                _ => {
                    is_stopping = true;
                    handle.stop();
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(handle_signals);
    thread.map_err(|error| Error::io("starting the signal thread", error))?;
    server.run()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{
        AccessConfig, Congestion, HttpConfig, MergeWindow, ReplacePublisher, RuleKind, Secret, Times, TlsConfig,
    };

    fn parsed(arguments: &[&str]) -> Result<Action> {
        parse(arguments.iter().map(OsString::from))
    }

    fn parsed_config(arguments: &[&str]) -> Config {
        match parsed(arguments) {
            Ok(Action::Serve(config, _)) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_the_defaults_apply() {
        assert_eq!(parsed_config(&[]), Config::default());
    }

    #[test]
    fn every_option_sets_its_setting() {
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
            "--merge-window",
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
        let mut access = AccessConfig::default();
        access.publish.key = Some(Secret::new("s3cret"));
        access.play.key_file = Some("keys".into());
        access.play.rules = rules.map(|(kind, network)| kind.rule(network).unwrap()).into();
        access.ask_password = true;
        let expected = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:1936".parse().unwrap()],
            video_dir: "films".into(),
            live_apps: vec!["cam".into(), "door".into()],
            vod_app: "film".into(),
            gop_cache: false,
            replace_publisher: ReplacePublisher::Always,
            republish_grace: Duration::ZERO,
            merge_window: MergeWindow::Window(Duration::from_millis(350)),
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
    fn bad_options_are_rejected_with_a_hint() {
        for (arguments, hint) in [
            (&["--listen", "1935"][..], "such as 0.0.0.0:1935"),
            (&["--gop-cache", "maybe"], "on or off"),
            (&["--replace-publisher", "x"], "never, idle or always"),
            (&["--republish-grace", "-1"], "a number of seconds"),
            (&["--merge-window", "x"], "milliseconds or auto"),
            (&["--merge-window", "60000"], "shorten --merge-window"),
            (&["--gather", "60000"], "shorten --merge-window"),
            (&["--gather=x"], "milliseconds or auto"),
            (&["--gathers=1"], "gathers"),
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
    fn the_defaults_in_the_option_table_match_the_config() {
        for option in options::all() {
            let Some(value) = option.default else { continue };
            let mut config = parsed_config(&[&format!("--{}={value}", option.name)]);
            // Absent, these mean more than their value: a server may do with less.
            config.listen.clear();
            config.max_connections = None;
            if let Some(http) = &mut config.http {
                http.listen.clear();
            }
            assert_eq!(config, Config::default(), "--{}", option.name);
        }
        let port = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let default =
            |name| options::all().find(|option| option.name == name).and_then(|option| option.default).unwrap();
        assert_eq!(port(default("listen")), Some(crate::config::DEFAULT_PORT));
        assert_eq!(port(default("http")), Some(crate::config::DEFAULT_HTTP_PORT));
        assert_eq!(default("max-connections"), crate::limits::CONNECTIONS.to_string());
    }

    #[test]
    fn the_help_fits_on_a_screen_and_lists_every_option_and_default() {
        let Ok(Action::Print(help)) = parsed(&["--help"]) else { panic!() };
        assert!(help.lines().count() <= 48, "{} lines: {help}", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        for option in options::all() {
            assert!(help.contains(&format!("--{}", option.name)), "{}", option.name);
            assert!(option.short.is_none_or(|letter| help.contains(&format!("-{letter}, "))), "{}", option.name);
            // The value may be followed by a remark within the brackets.
            let lists = |value: &str| help.contains(&format!("[{value}"));
            let is_listed = option.default.is_none_or(lists) || option.name == "congestion";
            assert!(is_listed, "the help lacks the default of --{}", option.name);
        }
    }

    #[test]
    fn completions_exist_for_known_shells_only() {
        for shell in ["bash", "zsh", "fish"] {
            let Ok(Action::Print(text)) = parsed(&["--completions", shell]) else { panic!("{shell}") };
            assert!(options::all().all(|option| text.contains(option.name)), "{shell}");
        }
        let error = parsed(&["--completions", "tcsh"]).unwrap_err().to_string();
        assert!(error.contains("bash, zsh or fish"), "{error}");
    }
}
