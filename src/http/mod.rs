//! HTTP for browsers and players: the page, live streams and files, an API.
//!
//! A thread for each connection reads one request after the other and answers it. Live streams go out through the
//! relay lanes like those of RTMP, while the thread waits for the client to hang up.

mod api;
mod body;
mod condition;
mod files;
mod fragments;
mod guest;
mod hls_files;
mod hls_viewers;
mod host;
mod live;
mod page;
mod range;
mod request;
mod response;
mod roster;
mod target;
mod web_socket;

use std::borrow::Cow;
use std::io::{BufReader, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use body::Length;
use fragments::Fragments;
pub use guest::Guest;
use guest::Reading;
pub use request::{Method, Request};
pub use response::{Headers, Response};
pub use roster::Roster;
use target::{Form, Target};

use crate::access::{Proven, Secret, Verb};
use crate::connection::{Service, Transport, Watched};
use crate::error::{Error, Result};
use crate::guard::Bucket;
use crate::limits;
use crate::session::StreamPath;
use crate::stats::Counter;

/// How much is read at once, in bytes: most requests come whole.
const READ_BUFFER: usize = 2048;

/// What all HTTP connections of a server share.
#[derive(Debug)]
pub struct Site {
    service: Arc<Service>,
    fragments: Fragments,
    roster: Roster,
    board: api::Board,
    videos: api::Videos,
    admin: api::Admin,
    facts: Facts,
    /// Answers by their class: those of 1xx come first.
    answers: [Counter; 5],
    started: Instant,
    /// The same by the clock on the wall.
    started_at: SystemTime,
}

/// What has been set for a site, and what it tells of the server.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The origin of other pages that may ask for things here: `*` for all.
    pub cors: Option<String>,
    /// Names by which browsers of this network may call it, besides those that are safe.
    pub hosts: Vec<String>,
    /// The key for what not everybody may see or end.
    pub admin_key: Option<Secret>,
    /// Where RTMP is spoken.
    pub rtmp_port: Option<u16>,
    /// The same within TLS.
    pub rtmps_port: Option<u16>,
    /// Whether anybody is kept from publishing.
    pub publish_restricted: bool,
    /// Whether anybody is kept from playing.
    pub play_restricted: bool,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections from one address.
    pub max_per_ip: usize,
    /// Streams published at once.
    pub max_publishers: usize,
}

impl Site {
    /// Makes what is served over HTTP out of what is served over RTMP.
    pub fn new(service: Arc<Service>, facts: Facts) -> Self {
        Self {
            service,
            fragments: Fragments::default(),
            roster: Roster::default(),
            board: api::Board::default(),
            videos: api::Videos::default(),
            admin: api::Admin::new(facts.admin_key.clone()),
            facts,
            answers: Default::default(),
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// Who is connected; for the server to fill.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Forgets what nobody wants any more. To be called about every half second.
    pub fn tick(&self, now: Instant) {
        self.fragments.tick(now);
    }
}

/// One client, from its first request to its end.
pub struct Connection {
    site: Arc<Site>,
    guest: Arc<Guest>,
    started: Instant,
    /// What it may ask for.
    requests: Bucket,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another request may.
    Request,
    /// The end of the connection.
    End,
}

type Reader<'a> = BufReader<Reading<'a>>;

impl Connection {
    /// Prepares the connection of a client at that address.
    pub fn new(site: Arc<Site>, transport: Transport, address: SocketAddr) -> Self {
        let guest = Guest::new(address, transport, site.service.lanes.pick());
        let requests = Bucket::new(limits::HTTP_REQUESTS, limits::HTTP_REQUESTS_PER_SECOND);
        Self { site, guest, started: Instant::now(), requests }
    }

    /// The client as others see it.
    pub fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }

    /// Serves the client until it leaves or is told to go.
    pub fn run(mut self) {
        let guest = self.guest.clone();
        let mut reader = BufReader::with_capacity(READ_BUFFER, Reading(&guest));
        log::debug!("{guest} connected over HTTP");
        let mut served = 0;
        let result = loop {
            match self.serve(&mut reader) {
                Ok(Next::Request) => served += 1,
                other => break other,
            }
        };
        let end = match (result, guest.closed_because()) {
            (_, Some(reason)) => format!("was closed: {reason}"),
            (Err(error), None) if !error.is_disconnect() => {
                self.site.service.complaints.warn(format_args!("{guest} {error}"));
                format!("was closed: {error}")
            }
            _ => "left".to_owned(),
        };
        guest.transport().finish();
        if let Err(error) = guest.transport().drain(limits::CLOSE_GRACE) {
            log::debug!("{guest} after its end: {error}");
        }
        guest.close(&end);
        let seconds = self.started.elapsed().as_secs_f32();
        log::debug!("{guest} {end} after {seconds:.1} s and {served} answers over HTTP");
    }

    fn serve(&mut self, reader: &mut Reader<'_>) -> Result<Next> {
        self.guest.is_asking();
        let request = match Request::read(reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(Next::End),
            Err(Error::Http { status, reason }) => {
                self.guest.is_answered();
                self.respond(None, Response::error(status, &reason))?;
                return Err(Error::Http { status, reason });
            }
            Err(error) => return Err(error),
        };
        self.guest.is_answered();
        log::debug!("{} asks for {request:?}", self.guest);
        self.guest.is_program(request.header("user-agent").unwrap_or_default());
        if !self.requests.take(Instant::now()) {
            self.respond(None, Response::error(429, "too many requests"))?;
            return Err(Error::Http { status: 429, reason: "too many requests".into() });
        }
        let next = match self.answer(&request, reader) {
            Err(Error::Http { status, reason }) => {
                let response = Response::error(status, &reason);
                // Whoever guesses at keys has to come anew each time.
                let to = (status != 403).then_some(&request);
                self.respond(to, response)?;
                if to.is_some() { Next::Request } else { Next::End }
            }
            other => other?,
        };
        let goes_on = request.keeps_alive && !self.guest.is_asked_to_leave();
        Ok(if goes_on { next } else { Next::End })
    }

    fn answer(&mut self, request: &Request, reader: &mut Reader<'_>) -> Result<Next> {
        self.check_host(request)?;
        let is_read_only = matches!(request.method, Method::Get | Method::Head);
        match target::of(request)? {
            _ if request.method == Method::Options && self.site.facts.cors.is_some() => {
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
            Target::Media(path, form) => self.media(request, path, &form, reader),
            Target::Api | Target::Nothing => Err(not_found("there is nothing here")),
        }
    }

    /// Pages of other origins have no business here, unless all of them may.
    fn check_host(&self, request: &Request) -> Result<()> {
        let facts = &self.site.facts;
        let is_open = self.guest.transport().is_secured() || facts.cors.as_deref() == Some("*");
        let Some(host) = request.header("host").filter(|_| !is_open) else { return Ok(()) };
        if host::may_be_called(host, self.guest.ip(), self.guest.transport().local_ip(), &facts.hosts) {
            return Ok(());
        }
        let reason = "browsers of this network have to call this server by its address, or by a name without dots or one \
                      like NAME.local: start it with --host NAME for others";
        Err(Error::Http { status: 421, reason: reason.into() })
    }

    fn api(&self, request: &Request) -> Result<Next> {
        if request.path != "/api/v1/events" {
            let response = api::answer(&self.site, request, self.guest.ip());
            // Whoever guesses at keys has to come anew each time.
            let to = (![401, 403].contains(&response.status)).then_some(request);
            return self.respond(to, response);
        }
        let headers = vec![("content-type", "text/event-stream".into())];
        let head = self.head(Some(request), 200, response::without_end(headers), Length::Unknown);
        self.guest.send(&mut [IoSlice::new(&head)], limits::WRITE_STALL)?;
        if request.method == Method::Get {
            api::News { site: &self.site, request, ip: self.guest.ip(), guest: &self.guest }.tell()?;
        }
        Ok(Next::End)
    }

    fn media(&mut self, request: &Request, path: StreamPath, form: &Form, reader: &mut Reader<'_>) -> Result<Next> {
        let service = self.site.service.clone();
        let path = &service.resolve(path).map_err(not_found)?;
        if path.name.is_empty() {
            return Err(not_found("there is nothing here"));
        }
        let is_live = path.app != service.vod_app;
        service.access.check(Verb::Play, path, self.guest.ip(), &Proven::default()).map_err(|denied| {
            service.complaints.warn(format_args!("{} can't play {path} over HTTP: {}", self.guest, denied.0));
            service.refusals.plays.add(1);
            Error::Http { status: 403, reason: denied.0.into() }
        })?;
        match (form, is_live) {
            (Form::Flv, true) => self.live_flv(request, path, reader),
            (Form::Flv, false) => self.file_flv(request, path),
            (Form::Mp4, true) => self.live_mp4(request, path, reader),
            (Form::Mp4, false) => self.file_mp4(request, path),
            (Form::Hls(name), true) => self.live_hls(request, path, *name),
            (Form::Hls(name), false) => self.file_hls(request, path, *name),
        }
    }

    /// Sends an answer; `None` for `to` ends the connection behind it.
    fn respond(&self, to: Option<&Request>, response: Response) -> Result<Next> {
        let length = Length::Known(response.body.len() as u64);
        let mut head = self.head(to, response.status, response.headers, length);
        let is_wanted = to.is_none_or(|request| request.method != Method::Head);
        let body = if is_wanted { &response.body[..] } else { &[] };
        self.guest.send(&mut [IoSlice::new(&std::mem::take(&mut head)), IoSlice::new(body)], limits::WRITE_STALL)?;
        Ok(if to.is_some() { Next::Request } else { Next::End })
    }

    /// The head of an answer.
    fn head(&self, to: Option<&Request>, status: u16, mut headers: Headers, length: Length) -> Vec<u8> {
        if let Some(class) = self.site.answers.get(usize::from(status / 100).saturating_sub(1)) {
            class.add(1);
        }
        match length {
            // It does not go with these (RFC 9110 §8.6).
            Length::Known(_) if [204, 304].contains(&status) => {}
            Length::Known(length) => headers.push(("content-length", length.to_string().into())),
            Length::Chunked => headers.push(("transfer-encoding", "chunked".into())),
            Length::Unknown => {}
        }
        let goes_on = length != Length::Unknown && to.is_some_and(|request| request.keeps_alive);
        if status != 101 {
            headers.push(("connection", if goes_on { "keep-alive" } else { "close" }.into()));
        }
        if let Some(origin) = &self.site.facts.cors {
            headers.push(("access-control-allow-origin", origin.clone().into()));
        }
        headers.push(("x-content-type-options", "nosniff".into()));
        headers.push(("date", response::date(SystemTime::now()).into()));
        response::head(status, &headers)
    }
}

fn not_found(reason: impl Into<Cow<'static, str>>) -> Error {
    Error::Http { status: 404, reason: reason.into() }
}
