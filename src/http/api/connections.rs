//! The list of connections, and closing them.

use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::super::HttpService;
use crate::error::{Error, Result};
use crate::transport::ManagedConnection;

#[derive(Serialize)]
pub(super) struct Connection {
    id: u64,
    address: String,
    pub protocol: String,
    age_seconds: f64,
    state: &'static str,
    agent: String,
    publishes: Vec<String>,
    pub plays: Vec<String>,
    bytes_received: u64,
    bytes_sent: u64,
    pub lag_seconds: f64,
    messages_dropped: u64,
    skips: u64,
}

/// Returns all connections.
pub(super) fn list(http: &HttpService) -> Vec<Connection> {
    let describe = |(id, who): (u64, std::sync::Arc<ManagedConnection>)| {
        let description = who.info();
        Connection {
            id,
            address: description.address.to_string(),
            protocol: format!("{}{}", description.protocol, if description.is_tls { "s" } else { "" }),
            age_seconds: description.age.as_secs_f64(),
            state: description.state,
            agent: description.agent,
            publishes: description.publishes,
            plays: description.plays,
            bytes_received: description.bytes_received,
            bytes_sent: description.bytes_sent,
            lag_seconds: description.lag.as_secs_f64(),
            messages_dropped: description.messages_dropped,
            skips: description.skips,
        }
    };
    http.connections.all().into_iter().map(describe).collect()
}

/// Closes `connections/ID`, or the publisher of `streams/APP/NAME`.
///
/// # Errors
/// [`Error::Http`] when it does not exist.
pub(super) fn end(http: &HttpService, path: &str) -> Result<()> {
    const REASON: &str = "ended by an administrator";
    let has_ended = match path.split_once('/') {
        Some(("connections", id)) => {
            id.parse().ok().and_then(|id| http.connections.get(id)).map(|who| who.close(REASON))
        }
        Some(("streams", name)) => {
            let name = percent_decode_str(name).decode_utf8_lossy();
            http.service.registry.evict(&name, REASON).then_some(())
        }
        _ => None,
    };
    has_ended.ok_or(Error::Http { status: 404, reason: "there is no such connection or stream".into() })?;
    log::info!("ended {} through the API", path.escape_debug());
    Ok(())
}
