//! TCP congestion control.

use std::net::TcpListener;

use rustix::net::sockopt;

use super::Listener;
use crate::config::Congestion;
use crate::error::{Error, Result};

/// Used where the system offers it: it does not take losses on Wi-Fi for congestion, and does not fill routers' queues.
const PREFERRED: &str = "bbr";

const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/// Sets the congestion control of listening sockets; accepted sockets inherit it.
///
/// # Errors
/// [`Error::Config`] for a name that this process may not use.
pub(super) fn configure(choice: &Congestion, listeners: &[Listener]) -> Result<()> {
    let all = |name: &str| listeners.iter().try_for_each(|one| sockopt::set_tcp_congestion(&one.socket, name));
    match choice {
        Congestion::System => Ok(()),
        Congestion::Auto => {
            if let Err(error) = all(PREFERRED) {
                log::debug!("no {PREFERRED}: {error}");
            }
            Ok(())
        }
        Congestion::Named(name) => all(name).map_err(|error| {
            let allowed = std::fs::read_to_string(ALLOWED).unwrap_or_default();
            let (name, allowed) = (name.escape_debug(), allowed.split_whitespace().collect::<Vec<_>>().join(", "));
            let reason = format!("no congestion control {name} ({error}): --congestion takes {allowed} or system");
            Error::Config(reason.into())
        }),
    }
}

/// Returns a line for the log about the congestion control, with advice if there is a better one.
pub(super) fn describe(listener: &TcpListener) -> Option<String> {
    let name = sockopt::tcp_congestion(listener).ok()?;
    let advice = if name == PREFERRED { "" } else { "; bbr does better on Wi-Fi: run modprobe tcp_bbr and restart" };
    Some(format!("TCP congestion control: {name}{advice}"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::server::Protocol;

    fn listener() -> Listener {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        Listener { socket, address, protocol: Protocol::Rtmp, is_tls: false }
    }

    #[test]
    fn accepted_sockets_inherit_it_and_an_unknown_name_lists_the_allowed_ones() {
        let listeners = [listener()];
        configure(&Congestion::Named("reno".to_owned()), &listeners).unwrap();
        let _client = std::net::TcpStream::connect(listeners[0].address).unwrap();
        let (accepted, _) = listeners[0].socket.accept().unwrap();
        assert_eq!(sockopt::tcp_congestion(&accepted).unwrap(), "reno");
        assert!(describe(&listeners[0].socket).unwrap().contains("reno; bbr"));
        let error = configure(&Congestion::Named("nonsense".to_owned()), &listeners).unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("reno"), "{error}");
    }

    #[test]
    fn bbr_is_used_where_it_is_allowed() {
        let listeners = [listener()];
        configure(&Congestion::Auto, &listeners).unwrap();
        let allowed = std::fs::read_to_string(ALLOWED).unwrap_or_default();
        let name = sockopt::tcp_congestion(&listeners[0].socket).unwrap();
        assert!(name == PREFERRED || !allowed.split_whitespace().any(|choice| choice == PREFERRED), "{name}");
    }
}
