//! HTTP for browsers and players: the page, live streams and files, an API.

mod request;
mod response;

pub use request::{Method, Request};
pub use response::Response;
