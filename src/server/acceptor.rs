//! Accepts clients and starts a thread for each.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use crate::error::{Error, Result};
use crate::guard::ClientLog;
use crate::http::{HttpConnection, HttpService};
use crate::limits;
use crate::rtmp_connection::RtmpConnection;
use crate::service::Service;
use crate::tls::Certificate;
use crate::transport::{ConnectionTable, Protocol, Socket};

/// How long accepting pauses when the system is out of resources.
const EXHAUSTED_DELAY: Duration = Duration::from_millis(100);

pub(super) struct Acceptor {
    service: Arc<Service>,
    http: Arc<HttpService>,
    connections: Arc<ConnectionTable>,
    /// Separate from the warnings about accepted clients, which a flood of rejected ones must not suppress.
    rejected: ClientLog,
}

impl Acceptor {
    pub(super) fn new(service: Arc<Service>, http: Arc<HttpService>, connections: Arc<ConnectionTable>) -> Self {
        Self { service, http, connections, rejected: ClientLog::default() }
    }

    /// Logs suppressed warnings. To be called about every half second.
    pub(super) fn tick(&self, now: Instant) {
        self.rejected.tick(now);
    }

    /// Accepts and serves clients, over TLS if there is a certificate, until the server stops.
    pub(super) fn accept_from(
        self: &Arc<Self>,
        listener: &TcpListener,
        protocol: Protocol,
        certificate: Option<&Certificate>,
    ) {
        // When descriptors run out, closing this one makes room to accept and close clients, which would otherwise wait
        // without an answer.
        let mut spare = listener.try_clone().ok();
        loop {
            let accepted = listener.accept();
            if self.connections.is_draining() {
                return;
            }
            match accepted {
                Ok((socket, address)) => {
                    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                    let served = match spare.take().map_or_else(|| listener.try_clone(), Ok) {
                        Ok(kept) => {
                            spare = Some(kept);
                            self.serve(socket, protocol, certificate.map(Certificate::config), address)
                        }
                        Err(error) => {
                            drop(socket);
                            spare = listener.try_clone().ok();
                            Err(Error::io("accepting it", error))
                        }
                    };
                    if let Err(error) = served {
                        self.service.refusals.connections.add(1);
                        self.rejected.warn(format_args!("[{address}] rejected: {error}"));
                    }
                }
                // The client has gone before it was accepted.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                }
                Err(error) if spare.take().is_some() => log::debug!("the spare descriptor is in use: {error}"),
                Err(error) => {
                    self.rejected.warn(format_args!("can't accept connections: {error}"));
                    std::thread::sleep(EXHAUSTED_DELAY);
                }
            }
        }
    }

    fn serve(
        self: &Arc<Self>,
        socket: TcpStream,
        protocol: Protocol,
        tls: Option<Arc<ServerConfig>>,
        address: SocketAddr,
    ) -> Result<()> {
        let thread = std::thread::Builder::new().name(format!("conn {address}")).stack_size(limits::THREAD_STACK_BYTES);
        let socket = Socket::new(socket, tls)?;
        // Boxed, since a thread's closure is moved about on its stack, whose pages stay.
        let spawned = match protocol {
            Protocol::Rtmp => {
                let connection = Box::new(RtmpConnection::new(self.service.clone(), socket, address));
                let registration = self.connections.register(connection.client().clone())?;
                thread.spawn(move || {
                    let _registration = registration;
                    connection.run();
                })
            }
            Protocol::Http => {
                let connection = Box::new(HttpConnection::new(self.http.clone(), socket, address));
                let registration = self.connections.register(connection.client().clone())?;
                thread.spawn(move || {
                    let _registration = registration;
                    connection.run();
                })
            }
        };
        spawned.map_err(|error| Error::io("starting its thread", error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_panic_ends_one_connection_and_frees_its_stream() {
        let service = Arc::new(Service::for_tests());
        let connections = Arc::new(ConnectionTable::new(10, 10));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Socket::new(listener.accept().unwrap().0, None).unwrap();
        let connection = RtmpConnection::new(service.clone(), socket, "192.0.2.7:5000".parse().unwrap());
        let registration = connections.register(connection.client().clone()).unwrap();
        let publish = |service: &Service| {
            service.registry.publish("live/cam", "[192.0.2.7:5000]", std::time::Instant::now(), Box::new(|_| {}))
        };
        let its_service = service.clone();
        let thread = std::thread::spawn(move || {
            let _registration = registration;
            let _connection = connection;
            let _publication = publish(&its_service).unwrap();
            assert!(publish(&its_service).is_err(), "the name is in use");
            panic!("deliberate panic");
        });
        assert!(thread.join().is_err());
        assert_eq!(there.read(&mut [0]).unwrap(), 0, "its socket is closed");
        assert!(publish(&service).is_ok(), "the name is free");
        assert_eq!(connections.len(), 0);
    }
}
