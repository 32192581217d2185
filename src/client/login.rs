//! The client's side of `user:key@`: the challenge named `authmod=adobe`.
//!
//! A server that wants to know who comes refuses `connect` with a description that says so. The client comes back with
//! its name, is refused with a challenge, and comes back with the answer to that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::url::Login;

/// What the refusal of a `connect` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Demand<'a> {
    /// The user's name.
    Name,
    /// The answer to a challenge.
    Answer(Question<'a>),
}

/// A challenge, each part being empty where the server sent none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Question<'a> {
    salt: &'a str,
    challenge: &'a str,
    opaque: &'a str,
}

impl<'a> Demand<'a> {
    /// Reads the description of a refusal; `None` when it asks for nothing that would help.
    pub(super) fn read(description: &'a str) -> Option<Self> {
        if !description.contains("authmod=adobe") {
            return None;
        }
        if description.contains("code=403 need auth") {
            return Some(Self::Name);
        }
        let (_, query) = description.split_once("?reason=needauth")?;
        let value = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.trim().split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value)
        };
        let question = Question { salt: value("salt"), challenge: value("challenge"), opaque: value("opaque") };
        Some(Self::Answer(question))
    }

    /// What is to stand behind the application's name; `nonce` is the client's own challenge.
    pub(super) fn query(&self, login: &Login, nonce: &str) -> String {
        let Login { user, key } = login;
        let first = format!("authmod=adobe&user={user}");
        let Self::Answer(Question { salt, challenge, opaque }) = self else { return first };
        let inner = md5(&[user, salt, key]);
        let asked = if opaque.is_empty() { challenge } else { opaque };
        let response = md5(&[&inner, asked, nonce]);
        format!("{first}&challenge={nonce}&response={response}&opaque={opaque}")
    }
}

fn md5(parts: &[&str]) -> String {
    STANDARD.encode(parts.iter().fold(Md5::new(), |md5, part| md5.chain_update(part)).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_are_told_from_plain_refusals() {
        assert_eq!(
            Demand::read("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "),
            Some(Demand::Name)
        );
        let asked =
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=eve&salt=s&challenge=c&opaque=o";
        let question = Question { salt: "s", challenge: "c", opaque: "o" };
        assert_eq!(Demand::read(asked), Some(Demand::Answer(question)));
        for refusal in ["no such application", "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed", ""]
        {
            assert_eq!(Demand::read(refusal), None, "{refusal}");
        }
    }

    #[test]
    fn the_answer_is_what_other_clients_give() {
        let login = Login { user: "eve".into(), key: "pass".into() };
        let demand = Demand::Answer(Question { salt: "abc", challenge: "1", opaque: "op" });
        let inner = md5(&["eveabcpass"]);
        let expected = md5(&[&format!("{inner}opbeef")]);
        let query = demand.query(&login, "beef");
        assert_eq!(query, format!("authmod=adobe&user=eve&challenge=beef&response={expected}&opaque=op"));
        assert_eq!(Demand::Name.query(&login, "beef"), "authmod=adobe&user=eve");
        let without = Demand::Answer(Question { salt: "abc", challenge: "1", opaque: "" });
        assert!(without.query(&login, "beef").contains(&md5(&[&format!("{inner}1beef")])));
    }
}
