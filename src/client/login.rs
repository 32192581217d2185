//! Login with `user:key@`: the client's side of `authmod=adobe` challenge–response.
//!
//! A server that requires a login rejects `connect` with a description that says so. The client reconnects with the
//! user name, is rejected with a challenge, and reconnects with the response to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::url::Login;

/// What a rejected `connect` has to be repeated with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LoginRequest<'a> {
    /// The user name.
    UserName,
    /// The response to a challenge.
    Response(Challenge<'a>),
}

/// A challenge; a field that the server left out is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge<'a> {
    salt: &'a str,
    challenge: &'a str,
    opaque: &'a str,
}

impl<'a> LoginRequest<'a> {
    /// Parses the description of a rejected `connect`. Returns `None` if it requests no login.
    pub(super) fn parse(description: &'a str) -> Option<Self> {
        if !description.contains("authmod=adobe") {
            return None;
        }
        if description.contains("code=403 need auth") {
            return Some(Self::UserName);
        }
        let (_, query) = description.split_once("?reason=needauth")?;
        let value = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.trim().split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value)
        };
        let challenge = Challenge { salt: value("salt"), challenge: value("challenge"), opaque: value("opaque") };
        Some(Self::Response(challenge))
    }

    /// Returns the query to append to the application; `nonce` is the client's own challenge.
    pub(super) fn query(&self, login: &Login, nonce: &str) -> String {
        let Login { user, key } = login;
        let user_query = format!("authmod=adobe&user={user}");
        let Self::Response(Challenge { salt, challenge, opaque }) = self else { return user_query };
        let inner = md5_base64(&[user, salt, key]);
        let server_nonce = if opaque.is_empty() { challenge } else { opaque };
        let response = md5_base64(&[&inner, server_nonce, nonce]);
        format!("{user_query}&challenge={nonce}&response={response}&opaque={opaque}")
    }
}

fn md5_base64(parts: &[&str]) -> String {
    STANDARD.encode(parts.iter().fold(Md5::new(), |md5, part| md5.chain_update(part)).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_requests_are_distinguished_from_plain_rejections() {
        assert_eq!(
            LoginRequest::parse("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "),
            Some(LoginRequest::UserName)
        );
        let needs_response =
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=eve&salt=s&challenge=c&opaque=o";
        let challenge = Challenge { salt: "s", challenge: "c", opaque: "o" };
        assert_eq!(LoginRequest::parse(needs_response), Some(LoginRequest::Response(challenge)));
        for rejection in
            ["no such application", "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed", ""]
        {
            assert_eq!(LoginRequest::parse(rejection), None, "{rejection}");
        }
    }

    #[test]
    fn the_response_matches_other_clients() {
        let login = Login { user: "eve".into(), key: "pass".into() };
        let with_opaque = LoginRequest::Response(Challenge { salt: "abc", challenge: "1", opaque: "op" });
        let inner = md5_base64(&["eveabcpass"]);
        let expected = md5_base64(&[&format!("{inner}opbeef")]);
        let query = with_opaque.query(&login, "beef");
        assert_eq!(query, format!("authmod=adobe&user=eve&challenge=beef&response={expected}&opaque=op"));
        assert_eq!(LoginRequest::UserName.query(&login, "beef"), "authmod=adobe&user=eve");
        let without_opaque = LoginRequest::Response(Challenge { salt: "abc", challenge: "1", opaque: "" });
        assert!(without_opaque.query(&login, "beef").contains(&md5_base64(&[&format!("{inner}1beef")])));
    }
}
