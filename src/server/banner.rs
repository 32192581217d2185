//! The startup banner: the first lines of the log, which list what is served, with URLs to copy.

use std::net::{IpAddr, SocketAddr};

use super::{Listener, Protocol, Server, congestion};
use crate::access::Operation;
use crate::config::Config;

/// The most files that are listed; of more, only the number is logged.
const MAX_FILES: usize = 20;

pub(super) fn log(server: &Server) {
    let config = &server.config;
    log::info!("gortmp {}", env!("CARGO_PKG_VERSION"));
    for listener in &server.listeners {
        let (address, scheme) = (listener.address, listener.scheme());
        let also = if address.ip().is_unspecified() && address.is_ipv6() { " (IPv4 and IPv6)" } else { "" };
        log::info!("listening on {scheme}://{address}{also}");
    }
    log::info!("{}", access(config));
    if let Some(line) = server.listeners.first().and_then(|listener| congestion::describe(&listener.socket)) {
        log::info!("{line}");
    }
    let url = |listener: &Listener| {
        let scheme = listener.scheme();
        hosts(listener.address, listener.default_port()).into_iter().map(move |host| format!("{scheme}://{host}"))
    };
    let urls = |protocol| server.listeners.iter().filter(move |one| one.protocol == protocol).flat_map(url);
    for page in urls(Protocol::Http) {
        log::info!("Web page          {page}/");
    }
    let urls: Vec<_> = urls(Protocol::Rtmp).collect();
    for url in &urls {
        for app in &config.live_apps {
            log::info!(
                "Publish and play  {url}/{app}/livestream  (or any other name; in OBS: server {url}/{app}, stream key livestream)"
            );
        }
    }
    let Some(url) = urls.first() else { return };
    let videos = server.service.library.list();
    for video in videos.iter().take(MAX_FILES) {
        let name = video.name.strip_suffix(".flv").unwrap_or(&video.name);
        log::info!("Play on demand    {url}/{}/{}", config.vod_app, name.escape_debug());
    }
    match videos.len() {
        0 => log::info!("no files to play on demand: put FLV files into {}", config.video_dir.display()),
        count if count > MAX_FILES => {
            log::info!("… and {} more files in {}", count - MAX_FILES, config.video_dir.display())
        }
        _ => {}
    }
}

/// Returns a line about access control.
fn access(config: &Config) -> String {
    let restriction =
        |operation| if config.access.is_restricted(operation) { "restricted" } else { "open to everyone" };
    match (restriction(Operation::Publish), restriction(Operation::Play)) {
        (one, other) if one == other && !config.access.is_restricted(Operation::Play) => {
            "publishing and playing are open to everyone who can reach this machine: --publish-key, --allow-publish and \
             similar options restrict them"
                .to_owned()
        }
        (publishing, playing) => format!("publishing is {publishing}, playing is {playing}"),
    }
}

/// Returns the hosts under which the address is reachable: a listener on every interface has one for each address of
/// the machine, LAN addresses first.
fn hosts(address: SocketAddr, default_port: u16) -> Vec<String> {
    let port = if address.port() == default_port { String::new() } else { format!(":{}", address.port()) };
    if !address.ip().is_unspecified() {
        return vec![host(address.ip()) + &port];
    }
    let all: Vec<_> = if_addrs::get_if_addrs().unwrap_or_default().iter().map(if_addrs::Interface::ip).collect();
    let is_lan_ipv6 = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if !ip.is_loopback() && !ip.is_unicast_link_local());
    let mut ips: Vec<_> = all.iter().copied().filter(IpAddr::is_ipv4).collect();
    if ips.iter().all(IpAddr::is_loopback) && address.is_ipv6() {
        // Long to type: only where there is no shorter one.
        ips.extend(all.into_iter().filter(is_lan_ipv6));
    }
    ips.sort_by_key(IpAddr::is_loopback);
    if ips.is_empty() {
        ips.push(IpAddr::from([127, 0, 0, 1]));
    }
    ips.into_iter().map(|ip| host(ip) + &port).collect()
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_PORT;

    #[test]
    fn urls_leave_the_default_port_out() {
        assert_eq!(hosts("192.0.2.7:1935".parse().unwrap(), DEFAULT_PORT), ["192.0.2.7"]);
        assert_eq!(hosts("192.0.2.7:1936".parse().unwrap(), DEFAULT_PORT), ["192.0.2.7:1936"]);
        assert_eq!(hosts("[2001:db8::1]:1936".parse().unwrap(), DEFAULT_PORT), ["[2001:db8::1]:1936"]);
    }

    #[test]
    fn access_control_is_stated_plainly() {
        let mut config = Config::default();
        assert!(access(&config).contains("open to everyone who can reach this machine"));
        config.access.publish.key = Some(crate::config::Secret::new("s3cret"));
        assert_eq!(access(&config), "publishing is restricted, playing is open to everyone");
    }

    #[test]
    fn every_interface_includes_loopback() {
        assert!(hosts("[::]:1935".parse().unwrap(), DEFAULT_PORT).contains(&"127.0.0.1".to_owned()));
    }
}
