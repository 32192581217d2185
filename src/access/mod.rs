//! Access control: keys, signed links, address rules, and a policy of the program's own.
//!
//! All checks are made here, and each refusal is a [`Denied`] with one reason for the log and the client. A key may be
//! presented in three ways: as `?key=…` behind the stream's name or in the server URL, as `user:password@` in response
//! to a challenge at `connect`, or, for playing, as the signature of a link that expires ([`link`]).
//!
//! Addresses are checked before keys. Without keys and rules everyone may do everything.

mod challenge;
mod keys;
pub(crate) mod link;
mod policy;
mod rules;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::RwLock;

use challenge::{Answer, Challenge};
pub use keys::Secret;
use keys::{Digest, Keys};
pub(crate) use policy::Origin;
use policy::SharedPolicy;
pub use policy::{AccessRequest, Policy};
pub use rules::{Rule, RuleKind};

use crate::error::Result;
use crate::session::StreamPath;

/// An operation on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Send it.
    Publish,
    /// Receive it.
    Play,
}

/// The access settings of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permission {
    /// A key for all streams.
    pub key: Option<Secret>,
    /// A key file, with a line `APP/NAME KEY` for each key; `APP/*` and `*` stand for all names.
    pub key_file: Option<PathBuf>,
    /// Address rules, of which the first match decides. Without a match access is allowed, unless there is an allow
    /// rule: then it is denied.
    pub rules: Vec<Rule>,
}

/// The access settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessConfig {
    /// For publishing.
    pub publish: Permission,
    /// For playing.
    pub play: Permission,
    /// Challenge clients that present no key at `connect` for a user name and password, as OBS and ffmpeg support it.
    /// These can't present a key behind the stream's name any more, which comes too late for the challenge.
    pub ask_password: bool,
    policy: Option<SharedPolicy>,
}

impl AccessConfig {
    /// Adds the program's own policy, which is asked for what the other settings grant.
    pub fn set_policy(&mut self, policy: impl Policy) {
        self.policy = Some(SharedPolicy::new(policy));
    }

    fn permission(&self, operation: Operation) -> &Permission {
        match operation {
            Operation::Publish => &self.publish,
            Operation::Play => &self.play,
        }
    }

    /// Whether the operation is restricted at all.
    pub(crate) fn is_restricted(&self, operation: Operation) -> bool {
        let permission = self.permission(operation);
        let has_rules = permission.key.is_some() || permission.key_file.is_some() || !permission.rules.is_empty();
        has_rules || self.policy.is_some()
    }
}

/// The reason for a refusal, for the log and the client, without any key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(pub(crate) String);

impl Denied {
    /// Creates a refusal with a reason that the client may read.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Denied {}

/// The keys that a client has proved to know at `connect`.
#[derive(Clone, Default)]
pub(crate) struct VerifiedKeys {
    digests: Vec<Digest>,
    /// The user name given for them.
    user: String,
}

/// Omits the digests, against which keys could be guessed.
impl std::fmt::Debug for VerifiedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedKeys").finish_non_exhaustive()
    }
}

/// The response to a client's `connect`.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Accepted; operations are checked later.
    Granted(VerifiedKeys),
    /// Refused with this description, after which the client comes back with a response.
    Challenge(String),
    /// Refused with this description: its response was wrong.
    Rejected(String),
}

/// The access control in force.
#[derive(Debug)]
pub(crate) struct Access {
    config: AccessConfig,
    keys: RwLock<Arc<LoadedKeys>>,
    challenge: Challenge,
}

#[derive(Debug)]
struct LoadedKeys {
    publish: Keys,
    play: Keys,
}

impl LoadedKeys {
    fn new(config: &AccessConfig) -> Result<Self> {
        Ok(Self { publish: Keys::load(&config.publish, "publish-key")?, play: Keys::load(&config.play, "play-key")? })
    }
}

impl Access {
    /// Reads the key files.
    ///
    /// # Errors
    /// [`crate::Error::Config`] that names the file and its line.
    pub(crate) fn new(config: AccessConfig) -> Result<Self> {
        let loaded = LoadedKeys::new(&config)?;
        Ok(Self { config, keys: RwLock::new(Arc::new(loaded)), challenge: Challenge::new()? })
    }

    /// Reloads the key files. Running publications and plays continue.
    ///
    /// # Errors
    /// As [`new`](Self::new); then the keys stay as they were.
    pub(crate) fn reload(&self) -> Result<()> {
        let loaded = LoadedKeys::new(&self.config)?;
        *self.keys.write() = Arc::new(loaded);
        Ok(())
    }

    /// Returns the response to a `connect` for this path, which has no name yet, by a program of that name.
    pub(crate) fn admit(&self, path: &StreamPath, program: &str, ip: IpAddr) -> Admission {
        if self.config.ask_password {
            self.challenge_client(path, program, ip)
        } else {
            Admission::Granted(VerifiedKeys::default())
        }
    }

    // Apart, since a stack keeps the pages that it has touched, and this needs more of it than all else at `connect`.
    #[inline(never)]
    fn challenge_client(&self, path: &StreamPath, program: &str, ip: IpAddr) -> Admission {
        // It only says later what it is going to do. Publishers have identified themselves like this since Flash.
        let operation = if program.starts_with("FMLE/") { Operation::Publish } else { Operation::Play };
        let permission = self.config.permission(operation);
        let needs_key = permission.key.is_some() || permission.key_file.is_some();
        let brings_key = path.query_value("key").is_some() || link::Link::parse(path).is_some();
        let answer = Answer::new(path);
        if brings_key || (answer.is_none() && !needs_key) {
            return Admission::Granted(VerifiedKeys::default());
        }
        let now = SystemTime::now();
        match answer {
            None => Admission::Challenge(challenge::AUTH_NEEDED.to_owned()),
            Some(answer) if answer.response.is_empty() => {
                Admission::Challenge(self.challenge.issue(&answer.user, ip, now))
            }
            Some(answer) => {
                // A stale response is not worth hashing with each key.
                if !self.challenge.is_genuine(&answer, ip, now) {
                    return Admission::Rejected(challenge::AUTH_FAILED.to_owned());
                }
                let loaded = self.keys.read().clone();
                let keys = loaded.publish.all().chain(loaded.play.all());
                let matching = keys.filter(|key| self.challenge.verify(&answer, key));
                let verified: Vec<_> = matching.map(Secret::digest).collect();
                if verified.is_empty() {
                    Admission::Rejected(challenge::AUTH_FAILED.to_owned())
                } else {
                    Admission::Granted(VerifiedKeys { digests: verified, user: answer.user })
                }
            }
        }
    }

    /// Checks whether a client from `origin` may perform `operation` on the stream or file it named.
    ///
    /// # Errors
    /// [`Denied`] with the reason.
    pub(crate) fn check(
        &self,
        operation: Operation,
        path: &StreamPath,
        origin: Origin,
        verified: &VerifiedKeys,
    ) -> Result<(), Denied> {
        self.check_rules(operation, path, origin.ip, verified)?;
        let Some(policy) = &self.config.policy else { return Ok(()) };
        let user = Some(&*verified.user).filter(|user| !user.is_empty());
        policy.check(operation, path, origin, user)
    }

    fn check_rules(
        &self,
        operation: Operation,
        path: &StreamPath,
        ip: IpAddr,
        verified: &VerifiedKeys,
    ) -> Result<(), Denied> {
        let activity = match operation {
            Operation::Publish => "publishing",
            Operation::Play => "playing",
        };
        if !rules::allow(&self.config.permission(operation).rules, ip) {
            return Err(Denied(format!("{activity} is not allowed from {}", ip.to_canonical())));
        }
        let loaded = self.keys.read().clone();
        let keys = match operation {
            Operation::Publish => &loaded.publish,
            Operation::Play => &loaded.play,
        };
        if !keys.are_required() {
            return Ok(());
        }
        let name = path.stream_key();
        let candidates = keys.for_stream(&name);
        // Most clients have verified nothing, and hashing all keys has its cost.
        if !verified.digests.is_empty() && candidates.clone().any(|key| verified.digests.contains(&key.digest())) {
            return Ok(());
        }
        // ffmpeg takes what follows a slash in a key for the stream's name.
        let encode = if keys.need_encoding() { format!("; {}", keys::ENCODE_HINT) } else { String::new() };
        let link = link::Link::parse(path).filter(|_| operation == Operation::Play);
        match (path.query_value("key"), link) {
            (Some(key), _) => {
                if keys::is_among(&key, candidates) {
                    return Ok(());
                }
                Err(Denied(format!("{activity} {} needs another key{encode}", name.escape_debug())))
            }
            (None, Some(link)) => {
                link.check(&name, candidates, SystemTime::now()).map_err(|why| Denied(why.to_owned()))
            }
            (None, None) => {
                let hint = "put ?key=KEY behind the stream's name";
                Err(Denied(format!("{activity} {} needs a key: {hint}{encode}", name.escape_debug())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn from(ip: IpAddr) -> Origin {
        Origin { ip, is_http: false, is_tls: false }
    }

    fn path(app: &str, name: &str) -> StreamPath {
        StreamPath::new(app, name).unwrap()
    }

    fn access(publish: Permission, play: Permission) -> Access {
        Access::new(AccessConfig { publish, play, ask_password: false, policy: None }).unwrap()
    }

    fn with_key(key: &str) -> Permission {
        Permission { key: Some(Secret::new(key)), ..Permission::default() }
    }

    fn is_permitted(access: &Access, operation: Operation, app: &str, name: &str) -> bool {
        access.check(operation, &path(app, name), from(HERE), &VerifiedKeys::default()).is_ok()
    }

    #[test]
    fn without_settings_everything_is_permitted() {
        let open = access(Permission::default(), Permission::default());
        assert!(
            is_permitted(&open, Operation::Publish, "live", "cam")
                && is_permitted(&open, Operation::Play, "live", "cam?key=x")
        );
        assert!(!AccessConfig::default().is_restricted(Operation::Play));
    }

    #[test]
    fn a_key_counts_behind_the_name_or_in_the_server_url_and_for_its_operation() {
        let access = access(with_key("s3cret"), Permission::default());
        for (app, name, expected) in [
            ("live", "cam?key=s3cret", true),
            ("live?key=s3cret", "cam", true),
            ("live", "cam?key=s3cre%74", true),
            ("live?key=s3cret", "cam?key=wrong", false),
            ("live", "cam?key=S3cret", false),
            ("live", "cam?key=", false),
            ("live", "cam", false),
        ] {
            assert_eq!(is_permitted(&access, Operation::Publish, app, name), expected, "{app} + {name}");
        }
        assert!(is_permitted(&access, Operation::Play, "live", "cam"));
    }

    #[test]
    fn refusals_name_what_is_missing_but_no_key() {
        let access = access(with_key("s3cret"), Permission::default());
        for (name, expected) in [("cam?key=guess", "needs another key"), ("cam", "?key=KEY")] {
            let denied = access
                .check(Operation::Publish, &path("live", name), from(HERE), &VerifiedKeys::default())
                .unwrap_err()
                .0;
            assert!(denied.contains(expected) && !denied.contains("guess"), "{denied}");
        }
        assert!(!format!("{access:?}").contains("s3cret"), "nor in debug output");
    }

    #[test]
    fn addresses_are_checked_before_keys() {
        let rules = vec![RuleKind::Deny.rule("192.0.2.0/24").unwrap()];
        let access = access(Permission { rules, ..with_key("k") }, Permission::default());
        let denied = access.check(Operation::Publish, &path("live", "cam?key=k"), from(HERE), &VerifiedKeys::default());
        assert_eq!(denied, Err(Denied("publishing is not allowed from 192.0.2.7".to_owned())));
    }

    #[test]
    fn a_key_file_that_becomes_invalid_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        std::fs::write(&file, "live/cam one\n").unwrap();
        let access =
            access(Permission { key_file: Some(file.clone()), ..Permission::default() }, Permission::default());
        std::fs::write(&file, "live/cam two\n").unwrap();
        assert!(is_permitted(&access, Operation::Publish, "live", "cam?key=one"), "not read yet");
        access.reload().unwrap();
        assert!(is_permitted(&access, Operation::Publish, "live", "cam?key=two"));
        std::fs::write(&file, "nonsense\n").unwrap();
        assert!(access.reload().is_err());
        assert!(is_permitted(&access, Operation::Publish, "live", "cam?key=two"));
    }

    #[test]
    fn a_link_grants_what_it_names_until_it_expires() {
        let access = access(with_key("other"), with_key("s3cret"));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let signed = |name: &str, expires: u64| {
            format!("{name}?expires={expires}&sign={}", link::sign(&Secret::new("s3cret"), "live/cam", expires))
        };
        assert!(is_permitted(&access, Operation::Play, "live", &signed("cam", now + 60)));
        assert!(
            is_permitted(&access, Operation::Play, "live", &signed("cam.flv", now + 60)),
            "another spelling of the same"
        );
        assert!(!is_permitted(&access, Operation::Play, "live", &signed("cam", now - 1)));
        assert!(!is_permitted(&access, Operation::Play, "live", &signed("other", now + 60)));
        assert!(!is_permitted(&access, Operation::Publish, "live", &signed("cam", now + 60)), "links are for playing");
    }

    #[test]
    fn a_client_that_answers_the_challenge_needs_no_key_behind_the_name() {
        let config = AccessConfig { publish: with_key("pass"), ask_password: true, ..AccessConfig::default() };
        let access = Access::new(config).unwrap();
        let admit = |app: &str, ip| access.admit(&path(app, ""), "FMLE/3.0 (compatible)", ip);
        assert!(matches!(admit("live?key=pass", HERE), Admission::Granted(_)));
        assert!(matches!(admit("live?expires=1&sign=2", HERE), Admission::Granted(_)), "a link is checked later");
        let player = access.admit(&path("live", ""), "LNX 9,0,124,2", HERE);
        assert!(matches!(player, Admission::Granted(_)), "playing needs no key");
        let Admission::Challenge(first) = admit("live", HERE) else { panic!() };
        assert!(first.contains("code=403 need auth; authmod=adobe"), "{first}");
        let Admission::Challenge(second) = admit("live?authmod=adobe&user=eve", HERE) else { panic!() };
        for (password, is_granted) in [("pass", true), ("other", false)] {
            let query = challenge::tests::answer(&second, "eve", password);
            let admission = admit(&format!("live?{query}"), HERE);
            let Admission::Granted(verified) = admission else {
                assert!(!is_granted && matches!(admission, Admission::Rejected(_)));
                continue;
            };
            assert!(is_granted);
            assert!(access.check(Operation::Publish, &path("live", "cam"), from(HERE), &verified).is_ok());
            let long = "x".repeat(crate::limits::CHALLENGE_BYTES + 1);
            assert!(matches!(admit(&format!("live?{query}&x={long}"), HERE), Admission::Granted(_)));
            let long = query.replace("user=eve", &format!("user={long}"));
            assert!(
                matches!(admit(&format!("live?{long}"), HERE), Admission::Rejected(_)),
                "no user name is that long"
            );
            assert_eq!(format!("{verified:?}"), "VerifiedKeys { .. }", "nor in debug output");
            let elsewhere = IpAddr::from([192, 0, 2, 8]);
            assert!(
                matches!(admit(&format!("live?{query}"), elsewhere), Admission::Rejected(_)),
                "a response is valid for its client only"
            );
        }
    }
}
