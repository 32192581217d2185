//! The access policy of the program that embeds the server.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Denied, Operation};
use crate::session::StreamPath;

/// Decides on publishing and playing, for a program that embeds a server. A closure will do:
///
/// ```
/// use gortmp::{AccessRequest, Client, Denied, Error, Operation, Server};
///
/// let mut config = gortmp::Config::default();
/// config.access.set_policy(|request: &AccessRequest<'_>| match request.operation {
///     Operation::Publish if request.name.starts_with("cam") => Ok(()),
///     Operation::Publish => Err(Denied::new("only cameras publish here")),
///     _ => Ok(()),
/// });
/// config.listen = vec!["127.0.0.1:0".parse()?];
/// # let dir = tempfile::tempdir()?;
/// # config.video_dir = dir.path().to_owned();
/// # config.http = None;
/// let server = Server::bind(config)?;
/// let (address, handle) = (server.local_addr(), server.handle());
/// let running = std::thread::spawn(move || server.run());
///
/// let camera = Client::publisher(&format!("rtmp://{address}/live/cam1"))?;
/// let refused = Client::publisher(&format!("rtmp://{address}/live/film"));
/// assert!(matches!(refused, Err(Error::Refused { description, .. }) if description == "only cameras publish here"));
/// handle.stop();
/// running.join().unwrap()?;
/// # drop(camera);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is asked after the built-in rules (keys, links, addresses), and only where those grant access: for each publish
/// and play over RTMP, each request for a stream or file over HTTP (each of a playlist's segments as well), and each
/// name in a list that a client requests. It runs on the thread of that client's connection and may block it; other
/// connections are not affected.
pub trait Policy: Send + Sync + 'static {
    /// Grants or denies a request.
    ///
    /// # Errors
    /// [`Denied`] with a reason for the client and the log.
    fn check(&self, request: &AccessRequest<'_>) -> Result<(), Denied>;
}

impl<F: Fn(&AccessRequest<'_>) -> Result<(), Denied> + Send + Sync + 'static> Policy for F {
    fn check(&self, request: &AccessRequest<'_>) -> Result<(), Denied> {
        self(request)
    }
}

/// A request for access.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AccessRequest<'a> {
    /// The requested operation.
    pub operation: Operation,
    /// The application.
    pub app: &'a str,
    /// The stream's or file's name, percent-decoded and without `.flv`.
    pub name: &'a str,
    /// The client's address; behind a proxy, the proxy's.
    pub ip: IpAddr,
    /// Whether it came over HTTP rather than RTMP.
    pub is_http: bool,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// The user name given with a verified key at `connect`. Any name is accepted there.
    pub user: Option<&'a str>,
    path: &'a StreamPath,
}

impl AccessRequest<'_> {
    /// Returns the value of a key in the query of the name or the application, percent-decoded.
    pub fn query_value(&self, key: &str) -> Option<Cow<'_, str>> {
        self.path.query_value(key)
    }
}

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address.
    pub ip: IpAddr,
    /// Whether it came over HTTP rather than RTMP.
    pub is_http: bool,
    /// Whether it came over TLS.
    pub is_tls: bool,
}

/// A [`Policy`] as part of the settings.
#[derive(Clone)]
pub(super) struct SharedPolicy(Arc<dyn Policy>);

impl SharedPolicy {
    pub(super) fn new(policy: impl Policy) -> Self {
        Self(Arc::new(policy))
    }

    /// Asks the policy; keeps its reason to one line of the log.
    pub(super) fn check(
        &self,
        operation: Operation,
        path: &StreamPath,
        origin: Origin,
        user: Option<&str>,
    ) -> Result<(), Denied> {
        let name = path.live_name();
        let Origin { ip, is_http, is_tls } = origin;
        let request = AccessRequest { operation, app: &path.app, name: &name, ip, is_http, is_tls, user, path };
        self.0.check(&request).map_err(|denied| Denied(denied.0.replace(char::is_control, " ")))
    }
}

impl fmt::Debug for SharedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPolicy").finish_non_exhaustive()
    }
}

/// A policy is equal only to itself.
impl PartialEq for SharedPolicy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedPolicy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let policy = SharedPolicy::new(|request: &AccessRequest<'_>| {
            assert_eq!((request.app, request.name, request.user), ("live", "café", Some("eve")));
            assert_eq!(request.query_value("token").as_deref(), Some("a b"));
            Err(Denied::new("no\nforged"))
        });
        let path = StreamPath::new("live", "caf%C3%A9.flv?token=a%20b").unwrap();
        let origin = Origin { ip: IpAddr::from([192, 0, 2, 7]), is_http: false, is_tls: true };
        let denied = policy.check(Operation::Publish, &path, origin, Some("eve"));
        assert_eq!(denied, Err(Denied::new("no forged")));
        assert!(policy == policy.clone() && format!("{policy:?}").contains("SharedPolicy"));
    }
}
