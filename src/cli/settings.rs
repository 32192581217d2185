//! Builds the server's configuration from the parsed options.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use getopts::Matches;

use crate::config::{
    Config, Congestion, HttpConfig, MergeWindow, Permission, ReplacePublisher, RuleKind, Secret, Times, TlsConfig,
};
use crate::error::{Error, Result};

pub(super) fn config(matches: &Matches) -> Result<Config> {
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
            _ => return Err(invalid_value("gop-cache", &choice, "on or off")),
        };
    }
    if let Some(choice) = matches.opt_str("replace-publisher") {
        config.replace_publisher = match choice.as_str() {
            "never" => ReplacePublisher::Never,
            "idle" => ReplacePublisher::Idle,
            "always" => ReplacePublisher::Always,
            _ => return Err(invalid_value("replace-publisher", &choice, "never, idle or always")),
        };
    }
    if let Some(seconds) = number(matches, "republish-grace", "a number of seconds")? {
        config.republish_grace = Duration::from_secs(u32::into(seconds));
    }
    if let Some(seconds) = number(matches, "publish-timeout", "a number of seconds")? {
        config.publish_timeout = Duration::from_secs(u32::into(seconds));
    }
    if let Some(window) = matches.opt_str("merge-window") {
        config.merge_window = match window.as_str() {
            "auto" => MergeWindow::Auto,
            ms => match ms.parse::<u32>() {
                Ok(ms) => MergeWindow::Window(Duration::from_millis(ms.into())),
                Err(_) => return Err(invalid_value("merge-window", ms, "a number of milliseconds or auto")),
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
            _ => return Err(invalid_value("times", &choice, "publisher, arrival or auto")),
        };
    }
    config.lanes = number(matches, "lanes", "a number of threads")?;
    config.max_connections = number(matches, "max-connections", "a number")?;
    config.max_per_ip = number(matches, "max-per-ip", "a number")?.unwrap_or(config.max_per_ip);
    config.max_publishers = number(matches, "max-publishers", "a number")?.unwrap_or(config.max_publishers);
    config.access.publish = permission(matches, "publish")?;
    config.access.play = permission(matches, "play")?;
    config.access.ask_password = matches.opt_present("ask-password");
    let files = [matches.opt_str("tls-cert"), matches.opt_str("tls-key")].map(|file| file.map(PathBuf::from));
    let (listen, https) = (addresses(matches, "tls-listen")?, addresses(matches, "https")?);
    config.tls = match files {
        [Some(certificate), Some(key)] => Some(TlsConfig { listen, https, certificate, key }),
        [None, None] if listen.is_empty() && https.is_empty() => None,
        _ => {
            let reason = "--tls-cert and --tls-key must be given together, with --tls-listen or --https";
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
            Err(Error::Config("--http and --no-http are mutually exclusive: leave one out".into()))
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
        address.parse().map_err(|_| invalid_value(option, &address, hint))
    };
    matches.opt_strs(option).into_iter().map(parse).collect()
}

fn number<N: std::str::FromStr>(matches: &Matches, option: &str, expected: &str) -> Result<Option<N>> {
    let parse = |text: String| text.parse().map_err(|_| invalid_value(option, &text, expected));
    matches.opt_str(option).map(parse).transpose()
}

fn permission(matches: &Matches, operation: &str) -> Result<Permission> {
    let rules_of = |kind: RuleKind, prefix: &str| {
        let option = format!("{prefix}-{operation}");
        let rule = |(position, network): (usize, String)| kind.rule(&network).map(|rule| (position, rule));
        matches.opt_strs_pos(&option).into_iter().map(rule).collect::<Result<Vec<_>>>()
    };
    let mut rules = [rules_of(RuleKind::Allow, "allow")?, rules_of(RuleKind::Deny, "deny")?].concat();
    // In command line order, both kinds together.
    rules.sort_by_key(|(position, _)| *position);
    Ok(Permission {
        key: matches.opt_str(&format!("{operation}-key")).map(Secret::new),
        key_file: matches.opt_str(&format!("{operation}-key-file")).map(PathBuf::from),
        rules: rules.into_iter().map(|(_, rule)| rule).collect(),
    })
}

/// Returns the error for a value that an option doesn't accept; `expected` describes the values that it does.
pub(super) fn invalid_value(option: &str, value: &str, expected: &str) -> Error {
    Error::Config(format!("--{option} takes {expected}, not \"{}\"", value.escape_debug()).into())
}
