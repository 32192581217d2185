//! HTTP for browsers and players: the page, live streams and files, an API.
//!
//! A thread per connection reads requests and responds to one after the other. Live streams are sent by the relay lanes
//! like those of RTMP, while the thread waits for the client to disconnect.

mod api;
mod body;
mod condition;
mod connection;
mod files;
mod hls_files;
mod host;
mod live;
mod page;
mod range;
mod request;
mod response;
mod service;
mod target;
mod web_socket;

use std::borrow::Cow;

pub(crate) use connection::HttpConnection;
use connection::{Disposition, Reader};
pub(crate) use request::{Method, Request};
pub(crate) use response::{Headers, Response};
pub(crate) use service::{HttpService, HttpSettings};

use crate::error::Error;

fn not_found(reason: impl Into<Cow<'static, str>>) -> Error {
    Error::Http { status: 404, reason: reason.into() }
}
