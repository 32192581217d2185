//! The API: streams, files and connections as JSON, and metrics for Prometheus. `openapi.json` beside this file
//! describes it.

mod connections;
mod events;
mod metrics;
mod streams;
mod videos;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;

pub(super) use events::EventStream;
pub(super) use streams::EventFeed;
pub(super) use videos::Videos;

use super::{HttpService, Method, Request, Response};
use crate::access::{Origin, Secret};
use crate::error::{Error, Result};
use crate::guard::TokenBucket;
use crate::limits;

/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");

/// Protects the restricted parts of the API by the admin key, and limits guesses at it.
#[derive(Debug)]
pub(super) struct Admin {
    key: Option<Secret>,
    failures: Mutex<TokenBucket>,
}

impl Admin {
    pub(super) fn new(key: Option<Secret>) -> Self {
        Self { key, failures: Mutex::new(TokenBucket::new(limits::WRONG_KEYS, limits::WRONG_KEYS_PER_SECOND)) }
    }

    /// Whether the request has the key. Without a key configured none has.
    ///
    /// # Errors
    /// [`Error::Http`] for a wrong key.
    fn check_key(&self, request: &Request) -> Result<bool> {
        // Schemes are case-insensitive (RFC 9110 §11.1).
        let given = request.header("authorization").and_then(|value| value.split_once(' '));
        let bearer = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim_start());
        let query = request.query_value("admin_key");
        let (Some(given), Some(key)) = (bearer.or(query.as_deref()), &self.key) else { return Ok(false) };
        if *key == Secret::new(given) {
            return Ok(true);
        }
        let status = if self.failures.lock().take(Instant::now()) { 401 } else { 429 };
        Err(Error::Http { status, reason: "wrong admin key".into() })
    }

    /// Allows viewing connections: with the key, or from this machine if none is configured. A request forwarded by a
    /// proxy, which says so, is not from this machine.
    fn authorize_view(&self, request: &Request, ip: IpAddr) -> Result<()> {
        let is_proxied = ["forwarded", "x-forwarded-for", "via"].iter().any(|name| request.header(name).is_some());
        let is_local = ip.to_canonical().is_loopback() && !is_proxied;
        if self.check_key(request)? || (self.key.is_none() && is_local) {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// Allows closing connections: with the key only.
    fn authorize_admin(&self, request: &Request) -> Result<()> {
        if self.check_key(request)? { Ok(()) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> Error {
        match self.key {
            Some(_) => {
                Error::Http { status: 401, reason: "this needs the admin key: Authorization: Bearer KEY".into() }
            }
            None => Error::Http { status: 403, reason: "this needs a server started with --admin-key".into() },
        }
    }
}

/// Whether a path belongs to the API.
pub(super) fn is_api_path(path: &str) -> bool {
    path.starts_with("/api/") || ["/metrics", "/healthz"].contains(&path)
}

/// Responds to a request whose path [`is_api_path`].
pub(super) fn handle(http: &HttpService, request: &Request, origin: Origin) -> Response {
    try_handle(http, request, origin).unwrap_or_else(|error| {
        let (status, reason) = match &error {
            Error::Http { status, reason } => (*status, reason.to_string()),
            error => (503, error.to_string()),
        };
        let response = Response { status, ..as_json(&json!({ "error": reason })) }.with("cache-control", "no-store");
        if status == 401 { response.with("www-authenticate", "Bearer") } else { response }
    })
}

fn try_handle(http: &HttpService, request: &Request, origin: Origin) -> Result<Response> {
    let unknown = || Error::Http { status: 404, reason: "there is nothing here: see /api/v1/openapi.json".into() };
    if request.method == Method::Delete {
        http.admin.authorize_admin(request)?;
        let path = request.path.strip_prefix("/api/v1/").ok_or_else(unknown)?;
        connections::end(http, path)?;
        return Ok(Response::empty(204));
    }
    Ok(match request.path.as_str() {
        "/healthz" => Response::ok("text/plain; charset=utf-8", &b"ok\n"[..]),
        "/metrics" => {
            if http.settings.play_restricted {
                http.admin.authorize_view(request, origin.ip)?;
            }
            Response::ok("text/plain; version=0.0.4; charset=utf-8", metrics::render(http).into_bytes())
        }
        "/api/v1/openapi.json" => Response::ok("application/json", OPENAPI.as_bytes()),
        "/api/v1/server" => as_json(&server(http, http.admin.authorize_view(request, origin.ip).is_ok())),
        "/api/v1/streams" => json(&streams::Snapshot::capture(http).to_json(http, request, origin)),
        "/api/v1/videos" => json(&videos::to_json(http, request, origin)),
        "/api/v1/connections" => {
            http.admin.authorize_view(request, origin.ip)?;
            as_json(&json!({ "connections": connections::list(http) }))
        }
        "/api/v1/players" => {
            http.admin.authorize_view(request, origin.ip)?;
            let players: Vec<_> = connections::list(http).into_iter().filter(|one| !one.plays.is_empty()).collect();
            as_json(&json!({ "players": players }))
        }
        _ => return Err(unknown()),
    }
    .with("cache-control", "no-store"))
}

fn as_json(value: &impl Serialize) -> Response {
    json(&json_text(value))
}

fn json(text: &str) -> Response {
    Response::ok("application/json", text.as_bytes().to_vec())
}

fn json_text(value: &impl Serialize) -> Arc<str> {
    // Only maps with other keys than strings can't be written, of which there are none.
    serde_json::to_string(value).unwrap_or_default().into()
}

fn server(http: &HttpService, authorize_view: bool) -> serde_json::Value {
    let (service, settings) = (&http.service, &http.settings);
    let streams = service.registry.status();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": http.started.elapsed().as_secs_f64(),
        "live_apps": service.live_apps,
        "vod_app": service.vod_app,
        "rtmp_port": settings.rtmp_port,
        "rtmps_port": settings.rtmps_port,
        "publish_restricted": settings.publish_restricted,
        "play_restricted": settings.play_restricted,
        "may_see_connections": authorize_view,
        "limits": {
            "connections": http.connections.max_connections(),
            "connections_per_address": http.connections.max_per_ip(),
            "publishers": settings.max_publishers,
            "message_bytes": limits::MESSAGE_BYTES,
            "publisher_silence_seconds": service.publish_timeout.as_secs_f64(),
        },
        "counts": {
            "connections": http.connections.len(),
            "publishers": streams.iter().filter(|stream| stream.is_published).count(),
            "players": streams.iter().map(|stream| stream.players).sum::<usize>(),
        },
    })
}
