//! Host names that browsers may use for this server.
//!
//! A foreign page can let its own host name resolve to an address of this network, and its browser then treats this
//! server as the page's own origin (DNS rebinding). So clients of this network have to use an address, or a name that
//! nobody elsewhere can own. Over TLS the certificate ensures that, and a remote client could have sent the request
//! without a browser.

use std::net::{IpAddr, Ipv6Addr};

/// Suffixes of names that are only valid within a network (RFC 6761, 6762 and 8375, the one reserved by ICANN, and
/// custom).
const LOCAL_SUFFIXES: [&str; 7] = [".local", ".lan", ".home", ".internal", ".home.arpa", ".localhost", ".localdomain"];

/// Whether a client, which has reached the server at `local`, may use a Host; `known` are further names, of which `*`
/// stands for all.
pub(super) fn is_allowed_host(host: &str, client: IpAddr, local: IpAddr, known: &[String]) -> bool {
    if !is_local_address(client.to_canonical(), local.to_canonical()) {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => return rest.split_once(']').is_some_and(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok()),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.')
        || name.parse::<std::net::Ipv4Addr>().is_ok()
        || LOCAL_SUFFIXES.iter().any(|end| name.ends_with(end))
        || known.iter().any(|known| known == "*" || known.trim_end_matches('.').eq_ignore_ascii_case(&name))
}

/// Whether a client's address belongs to this machine or its network.
fn is_local_address(client: IpAddr, local: IpAddr) -> bool {
    match (client, local) {
        (IpAddr::V6(client), IpAddr::V6(local)) if client.octets()[..8] == local.octets()[..8] => true,
        (IpAddr::V4(client), IpAddr::V4(local)) if client.octets()[..3] == local.octets()[..3] => true,
        (IpAddr::V4(ip), _) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        (IpAddr::V6(ip), _) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_rejected_for_local_clients() {
        let known = ["Cams.example.org".to_owned()];
        let local = "2001:db8:1::1".parse().unwrap();
        let called = |host: &str, client: &str| is_allowed_host(host, client.parse().unwrap(), local, &known);
        for host in ["192.168.1.5:8080", "127.0.0.1", "[::1]:8080", "[fd00::2]", "localhost:8080", "nas", "NAS.local."]
        {
            assert!(called(host, "192.168.1.7"), "{host}");
        }
        for host in ["rebind.example.net:8080", "192.168.1.5.example.net", "local.example", "[evil]", "example.org"] {
            for client in [
                "192.168.1.7",
                "127.0.0.1",
                "::1",
                "::ffff:10.0.0.1",
                "fe80::1",
                "fd00::3",
                "169.254.0.9",
                "2001:db8:1::7",
            ] {
                assert!(!called(host, client), "{host} by {client}");
            }
            assert!(called(host, "198.51.100.7") && called(host, "2001:db8::1"), "{host} by a remote client");
        }
        assert!(called("cams.example.org:8080", "127.0.0.1"));
        assert!(is_allowed_host("rebind.example.net", local, local, &["*".to_owned()]));
    }
}
