//! Sockets that listen.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::Listener;
use crate::config::DEFAULT_PORT;
use crate::error::{Error, Result};

/// Connections that may wait to be accepted; a thousand players may come back at once.
const BACKLOG: i32 = 4096;

/// Listens on all addresses, or where nothing was asked for on the default port of every interface.
pub(super) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Listener>> {
    if addresses.is_empty() {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT));
        let listener = match open(everywhere) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
                bind_one(SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)))
            }
            result => result.map_err(|error| explain(everywhere, error)),
        };
        return Ok(vec![listener?]);
    }
    addresses.iter().map(|address| bind_one(*address)).collect()
}

fn bind_one(address: SocketAddr) -> Result<Listener> {
    open(address).map_err(|error| explain(address, error))
}

fn open(address: SocketAddr) -> Result<Listener, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A server that was just stopped leaves connections behind that would hold the port for a minute.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr().unwrap_or(address);
    Ok(Listener { socket, address, is_tls: false })
}

fn explain(address: SocketAddr, error: Errno) -> Error {
    let port = address.port();
    let text = match error {
        Errno::ADDRINUSE => {
            let other = port.checked_add(1).unwrap_or(DEFAULT_PORT);
            format!(
                "port {port} is taken by another program: stop it, or choose another port, as in --listen '[::]:{other}'"
            )
        }
        Errno::ACCESS => format!("port {port} is not for ordinary users: choose one from 1024 up with --listen"),
        Errno::ADDRNOTAVAIL => format!("{} is no address of this machine: choose another with --listen", address.ip()),
        error => format!("can't listen on {address}: {error}"),
    };
    Error::Config(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_0_picks_one_and_a_taken_port_says_what_to_do() {
        let listeners = bind_all(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let taken = listeners[0].address;
        assert_ne!(taken.port(), 0);
        let error = bind_all(&[taken]).unwrap_err().to_string();
        assert!(error.contains("--listen"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let error = bind_all(&["192.0.2.1:0".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("no address of this machine"), "{error}");
    }

    #[test]
    fn the_unspecified_ipv6_address_takes_ipv4_as_well() {
        let Ok(Listener { socket: _socket, address, .. }) = open("[::]:0".parse().unwrap()) else { return };
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).is_ok());
    }
}
