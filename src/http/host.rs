//! By which names a browser may call this server.
//!
//! A page from elsewhere can let its own name point at an address of this network, and its browser then takes what is
//! here for the page's own (DNS rebinding). So whoever comes from this network has to call the server by an address, or by
//! a name that nobody elsewhere can own. Over TLS the certificate sees to that, and who comes from elsewhere could
//! have asked without a browser in between.

use std::net::{IpAddr, Ipv6Addr};

/// Ends of names that only mean something within a network (RFC 6761, 6762 and 8375, what ICANN keeps for it, and custom).
const LOCAL_ENDS: [&str; 7] = [".local", ".lan", ".home", ".internal", ".home.arpa", ".localhost", ".localdomain"];

/// Whether a client at that address, which reached the server at `own`, may call it so, as in a Host field; `known` are
/// further names, of which `*` stands for all.
pub(super) fn is_allowed_host(host: &str, client: IpAddr, own: IpAddr, known: &[String]) -> bool {
    if !is_local_address(client.to_canonical(), own.to_canonical()) {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => return rest.split_once(']').is_some_and(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok()),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.')
        || name.parse::<std::net::Ipv4Addr>().is_ok()
        || LOCAL_ENDS.iter().any(|end| name.ends_with(end))
        || known.iter().any(|known| known == "*" || known.trim_end_matches('.').eq_ignore_ascii_case(&name))
}

/// Whether an address is of this machine or its network.
fn is_local_address(client: IpAddr, own: IpAddr) -> bool {
    match (client, own) {
        (IpAddr::V6(client), IpAddr::V6(own)) if client.octets()[..8] == own.octets()[..8] => true,
        (IpAddr::V4(client), IpAddr::V4(own)) if client.octets()[..3] == own.octets()[..3] => true,
        (IpAddr::V4(ip), _) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        (IpAddr::V6(ip), _) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_networks_do_not_count_in_this_one() {
        let known = ["Cams.example.org".to_owned()];
        let own = "2001:db8:1::1".parse().unwrap();
        let called = |host: &str, client: &str| is_allowed_host(host, client.parse().unwrap(), own, &known);
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
            assert!(called(host, "198.51.100.7") && called(host, "2001:db8::1"), "{host} by who is elsewhere");
        }
        assert!(called("cams.example.org:8080", "127.0.0.1"));
        assert!(is_allowed_host("rebind.example.net", own, own, &["*".to_owned()]));
    }
}
