//! Congestion control: how TCP adapts to what the link to a client carries.

use std::net::TcpListener;

use rustix::net::sockopt;

use super::Listener;
use crate::config::Congestion;
use crate::error::{Error, Result};

/// What is chosen where the system offers it: it takes losses for what they are on Wi-Fi, not for a link that is full, and
/// fills no router's queue.
const PREFERRED: &str = "bbr";

const CHOICES: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/// Makes the choice on sockets that listen; those that they accept inherit it.
///
/// # Errors
/// [`Error::Config`] for a name that this program may not choose.
pub(super) fn choose(choice: &Congestion, listeners: &[Listener]) -> Result<()> {
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
            let choices = std::fs::read_to_string(CHOICES).unwrap_or_default();
            let (name, choices) = (name.escape_debug(), choices.split_whitespace().collect::<Vec<_>>().join(", "));
            let reason = format!("no congestion control {name} ({error}): --congestion takes {choices} or system");
            Error::Config(reason.into())
        }),
    }
}

/// The choice in a line for the log, and what would be better.
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
    fn accepted_sockets_inherit_the_choice_and_a_wrong_name_says_which_there_are() {
        let listeners = [listener()];
        choose(&Congestion::Named("reno".to_owned()), &listeners).unwrap();
        let _client = std::net::TcpStream::connect(listeners[0].address).unwrap();
        let (accepted, _) = listeners[0].socket.accept().unwrap();
        assert_eq!(sockopt::tcp_congestion(&accepted).unwrap(), "reno");
        assert!(describe(&listeners[0].socket).unwrap().contains("reno; bbr"));
        let error = choose(&Congestion::Named("nonsense".to_owned()), &listeners).unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("reno"), "{error}");
    }

    #[test]
    fn bbr_is_chosen_where_it_may_be() {
        let listeners = [listener()];
        choose(&Congestion::Auto, &listeners).unwrap();
        let choices = std::fs::read_to_string(CHOICES).unwrap_or_default();
        let name = sockopt::tcp_congestion(&listeners[0].socket).unwrap();
        assert!(name == PREFERRED || !choices.split_whitespace().any(|choice| choice == PREFERRED), "{name}");
    }
}
