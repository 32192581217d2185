//! Listening sockets.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::{Listener, Protocol};
use crate::config::DEFAULT_PORT;
use crate::error::{Error, Result};

/// Connections that may wait to be accepted; a thousand players may reconnect at once.
const BACKLOG: i32 = 4096;

/// Listens on all addresses, or without any on the default port of every interface. `option` is the option that names
/// the addresses.
pub(super) fn bind_all(
    addresses: &[SocketAddr],
    default_port: u16,
    service: (Protocol, bool),
    option: &str,
) -> Result<Vec<Listener>> {
    let bind_one = |address| open(address, service).map_err(|error| explain(address, error, option));
    if addresses.is_empty() {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, default_port));
        let listener = match open(everywhere, service) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
                bind_one(SocketAddr::from((Ipv4Addr::UNSPECIFIED, default_port)))
            }
            result => result.map_err(|error| explain(everywhere, error, option)),
        };
        return Ok(vec![listener?]);
    }
    addresses.iter().map(|address| bind_one(*address)).collect()
}

fn open(address: SocketAddr, (protocol, is_tls): (Protocol, bool)) -> Result<Listener, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A server that has just stopped leaves connections behind that would hold the port for a minute.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr().unwrap_or(address);
    Ok(Listener { socket, address, protocol, is_tls })
}

fn explain(address: SocketAddr, error: Errno, option: &str) -> Error {
    let port = address.port();
    let text = match error {
        Errno::ADDRINUSE => {
            let other = port.checked_add(1).unwrap_or(DEFAULT_PORT);
            format!(
                "port {port} is taken by another program: stop it, or choose another port, as in {option} '[::]:{other}'"
            )
        }
        Errno::ACCESS => format!("port {port} is not for ordinary users: choose one from 1024 up with {option}"),
        Errno::ADDRNOTAVAIL => format!("{} is no address of this machine: choose another with {option}", address.ip()),
        error => format!("can't listen on {address}: {error}"),
    };
    Error::Config(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTMP: (Protocol, bool) = (Protocol::Rtmp, false);

    #[test]
    fn port_0_picks_a_port_and_a_port_in_use_is_explained() {
        let bind = |address| bind_all(&[address], DEFAULT_PORT, RTMP, "--listen");
        let listeners = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = listeners[0].address;
        assert_ne!(taken.port(), 0);
        let error = bind(taken).unwrap_err().to_string();
        assert!(error.contains("--listen"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_an_error() {
        let error = bind_all(&["192.0.2.1:0".parse().unwrap()], DEFAULT_PORT, RTMP, "--http").unwrap_err().to_string();
        assert!(error.contains("no address of this machine") && error.contains("--http"), "{error}");
    }

    #[test]
    fn the_unspecified_ipv6_address_accepts_ipv4_as_well() {
        let Ok(Listener { socket: _socket, address, .. }) = open("[::]:0".parse().unwrap(), RTMP) else { return };
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).is_ok());
    }
}
