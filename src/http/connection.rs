//! HTTP connections: a thread reads a client's requests and responds to one after the other.

use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::body::Length;
use super::service::HttpService;
use super::target::{Representation, Target};
use super::{Headers, Method, Request, Response, api, host, not_found, page, response, target};
use crate::access::{Operation, VerifiedKeys};
use crate::error::{Error, Result};
use crate::guard::TokenBucket;
use crate::limits;
use crate::session::StreamPath;
use crate::transport::{ManagedConnection, Phase, Protocol, Socket};

/// Bytes read at once: most requests fit.
const READ_BUFFER: usize = 2048;

/// A client's connection, from its first request to its end.
pub(crate) struct HttpConnection {
    pub(super) http: Arc<HttpService>,
    pub(super) client: Arc<ManagedConnection>,
    started: Instant,
    /// The rate limit of its requests.
    requests: TokenBucket,
}

/// What happens to the connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It is kept for another request.
    KeepAlive,
    /// It is closed.
    Close,
}

pub(super) type Reader<'a> = BufReader<RequestReader<'a>>;

impl HttpConnection {
    /// Prepares the connection of a client at that address.
    pub(crate) fn new(http: Arc<HttpService>, socket: Socket, address: SocketAddr) -> Self {
        let client = ManagedConnection::new(
            Protocol::Http,
            address,
            socket,
            http.service.lanes.pick(),
            http.service.publish_timeout,
        );
        let requests = TokenBucket::new(limits::HTTP_REQUESTS, limits::HTTP_REQUESTS_PER_SECOND);
        Self { http, client, started: Instant::now(), requests }
    }

    /// Returns the managed connection.
    pub(crate) fn client(&self) -> &Arc<ManagedConnection> {
        &self.client
    }

    /// Serves the client until it disconnects or is told to close.
    pub(crate) fn run(mut self) {
        let client = self.client.clone();
        let mut reader = BufReader::with_capacity(READ_BUFFER, RequestReader(&client));
        log::debug!("{client} connected over HTTP");
        let mut served = 0;
        let result = loop {
            match self.serve(&mut reader) {
                Ok(Disposition::KeepAlive) => served += 1,
                other => break other,
            }
        };
        let end = client.end_reason(result.map(|_| ()), Some(&self.http.service.client_log));
        client.linger();
        client.close(&end);
        log::debug!(
            "{client} closed: {end}; {:.1} s, {} KiB received, {} KiB sent, {served} requests",
            self.started.elapsed().as_secs_f32(),
            client.socket().received() / 1024,
            client.socket().sent() / 1024
        );
    }

    fn enter(&self, phase: Phase) {
        self.client.enter(phase, 0);
        self.client.set_activities(Vec::new(), Vec::new());
    }

    fn serve(&mut self, reader: &mut Reader<'_>) -> Result<Disposition> {
        self.enter(Phase::Requesting);
        let request = match Request::read(reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(Disposition::Close),
            Err(Error::Http { status, reason }) => {
                self.enter(Phase::Responding);
                self.respond(None, Response::error(status, &reason))?;
                return Err(Error::Http { status, reason });
            }
            Err(error) => return Err(error),
        };
        self.enter(Phase::Responding);
        log::debug!("{} requested {request:?}", self.client);
        self.client.set_agent(request.header("user-agent").unwrap_or_default());
        if !self.requests.take(Instant::now()) {
            self.respond(None, Response::error(429, "too many requests"))?;
            return Err(Error::Http { status: 429, reason: "too many requests".into() });
        }
        let next = match self.handle(&request, reader) {
            Err(Error::Http { status, reason }) => {
                let response = Response::error(status, &reason);
                // A client that guesses keys has to reconnect each time.
                let to = (status != 403).then_some(&request);
                self.respond(to, response)?;
                if to.is_some() { Disposition::KeepAlive } else { Disposition::Close }
            }
            other => other?,
        };
        let keep_alive = request.keep_alive && !self.client.should_stop();
        Ok(if keep_alive { next } else { Disposition::Close })
    }

    fn handle(&mut self, request: &Request, reader: &mut Reader<'_>) -> Result<Disposition> {
        self.check_host(request)?;
        let is_read_only = matches!(request.method, Method::Get | Method::Head);
        match target::parse(request)? {
            _ if request.method == Method::Options && self.http.settings.cors.is_some() => {
                let response = Response::empty(204)
                    .with("access-control-allow-methods", "GET, HEAD")
                    .with("access-control-allow-headers", "range");
                self.respond(Some(request), response)
            }
            Target::Api if is_read_only || request.method == Method::Delete => self.api(request),
            _ if !is_read_only => {
                let reason = "only GET and HEAD are known here";
                self.respond(Some(request), Response::error(405, reason).with("allow", "GET, HEAD"))
            }
            Target::Page(file) => self.respond(Some(request), page::response(file, request)),
            Target::Media(path, representation) => self.media(request, path, &representation, reader),
            Target::Api | Target::Unknown => Err(not_found("there is nothing here")),
        }
    }

    /// Rejects requests with a foreign Host, unless all origins are allowed.
    fn check_host(&self, request: &Request) -> Result<()> {
        let settings = &self.http.settings;
        let is_open = self.client.socket().is_tls() || settings.cors.as_deref() == Some("*");
        let Some(host) = request.header("host").filter(|_| !is_open) else { return Ok(()) };
        if host::is_allowed_host(host, self.client.ip(), self.client.socket().local_ip(), &settings.hosts) {
            return Ok(());
        }
        let reason = "browsers of this network have to call this server by its address, or by a name without dots or one \
                      like NAME.local: start it with --host NAME for others";
        Err(Error::Http { status: 421, reason: reason.into() })
    }

    fn api(&self, request: &Request) -> Result<Disposition> {
        if request.path != "/api/v1/events" {
            let response = api::handle(&self.http, request, self.client.origin());
            // A client that guesses keys has to reconnect each time.
            let to = (![401, 403].contains(&response.status)).then_some(request);
            return self.respond(to, response);
        }
        let headers = vec![("content-type", "text/event-stream".into())];
        let head = self.head(Some(request), 200, response::unbounded(headers), Length::Unknown);
        self.client.send(&mut [IoSlice::new(&head)], limits::WRITE_STALL)?;
        if request.method == Method::Get {
            api::EventStream { http: &self.http, request, origin: self.client.origin(), client: &self.client }.run()?;
        }
        Ok(Disposition::Close)
    }

    fn media(
        &mut self,
        request: &Request,
        path: StreamPath,
        representation: &Representation,
        reader: &mut Reader<'_>,
    ) -> Result<Disposition> {
        let service = self.http.service.clone();
        let path = &service.resolve(path).map_err(not_found)?;
        if path.name.is_empty() {
            return Err(not_found("there is nothing here"));
        }
        let is_live = path.app != service.vod_app;
        service.access.check(Operation::Play, path, self.client.origin(), &VerifiedKeys::default()).map_err(
            |denied| {
                service.client_log.warn(format_args!("{} denied playing {path} over HTTP: {}", self.client, denied.0));
                service.refusals.plays.add(1);
                Error::Http { status: 403, reason: denied.0.into() }
            },
        )?;
        match (representation, is_live) {
            (Representation::Flv, true) => self.live_flv(request, path, reader),
            (Representation::Flv, false) => self.file_flv(request, path),
            (Representation::Mp4, true) => self.live_mp4(request, path, reader),
            (Representation::Mp4, false) => self.file_mp4(request, path),
            (Representation::Hls(name), true) => self.live_hls(request, path, *name),
            (Representation::Hls(name), false) => self.file_hls(request, path, *name),
        }
    }

    /// Sends a response; `None` for `to` closes the connection after it.
    pub(super) fn respond(&self, to: Option<&Request>, response: Response) -> Result<Disposition> {
        let length = Length::Known(response.body.len() as u64);
        let head = self.head(to, response.status, response.headers, length);
        let has_body = to.is_none_or(|request| request.method != Method::Head);
        let body = if has_body { &response.body[..] } else { &[] };
        self.client.send(&mut [IoSlice::new(&head), IoSlice::new(body)], limits::WRITE_STALL)?;
        Ok(if to.is_some() { Disposition::KeepAlive } else { Disposition::Close })
    }

    /// Returns the head of a response.
    pub(super) fn head(&self, to: Option<&Request>, status: u16, mut headers: Headers, length: Length) -> Vec<u8> {
        if let Some(class) = self.http.responses.get(usize::from(status / 100).saturating_sub(1)) {
            class.add(1);
        }
        match length {
            // Not sent with these (RFC 9110 §8.6).
            Length::Known(_) if [204, 304].contains(&status) => {}
            Length::Known(length) => headers.push(("content-length", length.to_string().into())),
            Length::Chunked => headers.push(("transfer-encoding", "chunked".into())),
            Length::Unknown => {}
        }
        let keep_alive = length != Length::Unknown && to.is_some_and(|request| request.keep_alive);
        if status != 101 {
            headers.push(("connection", if keep_alive { "keep-alive" } else { "close" }.into()));
        }
        if let Some(origin) = &self.http.settings.cors {
            headers.push(("access-control-allow-origin", origin.clone().into()));
        }
        headers.push(("x-content-type-options", "nosniff".into()));
        headers.push(("date", response::date(SystemTime::now()).into()));
        response::head(status, &headers)
    }
}

/// Reads from the client.
pub(super) struct RequestReader<'a>(pub &'a ManagedConnection);

impl Read for RequestReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.socket().read(buffer)
    }
}

/// For a WebSocket, whose pongs go out between messages of the stream.
impl Write for RequestReader<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.enqueue(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
