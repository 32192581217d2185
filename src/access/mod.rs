//! Who may publish and who may play: keys, signed links, address rules.
//!
//! Every question is asked here, and each answer is a [`Denied`] with one reason for the log and the client. A key may
//! come in three ways: as `?key=…` behind the stream's name or in the server URL, as `user:password@` in answer to a
//! challenge at `connect`, or, for playing, as the signature of a link that expires ([`link`]).
//!
//! Addresses are looked at before keys. With neither keys nor rules everybody may do everything.

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

/// What may be done with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Send it.
    Publish,
    /// Get it.
    Play,
}

/// The settings for one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permission {
    /// A key for all streams.
    pub key: Option<Secret>,
    /// A file of keys, a line `APP/NAME KEY` for each; `APP/*` and `*` stand for all names.
    pub key_file: Option<PathBuf>,
    /// Address rules, of which the first that fits decides. Where none fits, everybody may, unless one of the rules
    /// allows somebody: then it is nobody else.
    pub rules: Vec<Rule>,
}

/// The settings for access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessConfig {
    /// For publishing.
    pub publish: Permission,
    /// For playing.
    pub play: Permission,
    /// Ask clients that bring no key to `connect` for a user's name and password, as OBS and ffmpeg know it.
    /// Those can't bring a key behind the stream's name any more, which comes too late for the question.
    pub ask_password: bool,
    policy: Option<SharedPolicy>,
}

impl AccessConfig {
    /// Has the program's own policy asked for what these settings grant.
    pub fn set_policy(&mut self, policy: impl Policy) {
        self.policy = Some(SharedPolicy::new(policy));
    }

    fn permission(&self, operation: Operation) -> &Permission {
        match operation {
            Operation::Publish => &self.publish,
            Operation::Play => &self.play,
        }
    }

    /// Whether anybody is kept from doing this.
    pub(crate) fn is_restricted(&self, operation: Operation) -> bool {
        let permission = self.permission(operation);
        let has_rules = permission.key.is_some() || permission.key_file.is_some() || !permission.rules.is_empty();
        has_rules || self.policy.is_some()
    }
}

/// Why somebody may not: for the log and the client, without any key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(pub(crate) String);

impl Denied {
    /// With a reason that the client may read.
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

/// Keys of which a client has shown at `connect` that it knows them.
#[derive(Clone, Default)]
pub(crate) struct VerifiedKeys {
    digests: Vec<Digest>,
    /// Who has verified them.
    user: String,
}

/// Without the keys, whose digests somebody could try keys against.
impl std::fmt::Debug for VerifiedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proven").finish_non_exhaustive()
    }
}

/// How a client's `connect` is to be answered.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It may come in. What it may do is asked later.
    Granted(VerifiedKeys),
    /// Refuse it with this description, upon which it comes back with an answer.
    Challenge(String),
    /// Refuse it with this description: its answer was wrong.
    Rejected(String),
}

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Access {
    config: AccessConfig,
    keys: RwLock<Arc<Loaded>>,
    challenge: Challenge,
}

#[derive(Debug)]
struct Loaded {
    publish: Keys,
    play: Keys,
}

impl Loaded {
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
        let loaded = Loaded::new(&config)?;
        Ok(Self { config, keys: RwLock::new(Arc::new(loaded)), challenge: Challenge::new()? })
    }

    /// Reads the key files again. What runs goes on, whatever they say now.
    ///
    /// # Errors
    /// As [`new`](Self::new); then the keys stay as they were.
    pub(crate) fn reload(&self) -> Result<()> {
        let loaded = Loaded::new(&self.config)?;
        *self.keys.write() = Arc::new(loaded);
        Ok(())
    }

    /// How to answer a `connect` for this path, in which the name is missing, by a program of that name.
    pub(crate) fn admit(&self, path: &StreamPath, program: &str, ip: IpAddr) -> Admission {
        if self.config.ask_password { self.ask(path, program, ip) } else { Admission::Granted(VerifiedKeys::default()) }
    }

    // Apart, since a stack keeps the pages that it has touched, and this needs more of it than all else at `connect`.
    #[inline(never)]
    fn ask(&self, path: &StreamPath, program: &str, ip: IpAddr) -> Admission {
        // What it has come for it only says later. Those that publish have called themselves this since Flash.
        let operation = if program.starts_with("FMLE/") { Operation::Publish } else { Operation::Play };
        let permission = self.config.permission(operation);
        let needs_key = permission.key.is_some() || permission.key_file.is_some();
        let brings_key = path.query_value("key").is_some() || link::Link::of(path).is_some();
        let answer = Answer::new(path);
        if brings_key || (answer.is_none() && !needs_key) {
            return Admission::Granted(VerifiedKeys::default());
        }
        let now = SystemTime::now();
        match answer {
            None => Admission::Challenge(challenge::NEEDED.to_owned()),
            Some(answer) if answer.response.is_empty() => {
                Admission::Challenge(self.challenge.ask(&answer.user, ip, now))
            }
            Some(answer) => {
                // A stale answer costs no key's hashes.
                if !self.challenge.is_ours(&answer, ip, now) {
                    return Admission::Rejected(challenge::FAILED.to_owned());
                }
                let loaded = self.keys.read().clone();
                let keys = loaded.publish.all().chain(loaded.play.all());
                let known = keys.filter(|key| self.challenge.is_answered_with(&answer, key));
                let verified: Vec<_> = known.map(Secret::digest).collect();
                if verified.is_empty() {
                    Admission::Rejected(challenge::FAILED.to_owned())
                } else {
                    Admission::Granted(VerifiedKeys { digests: verified, user: answer.user })
                }
            }
        }
    }

    /// Whether a client from there may do that with the stream, or file, that it named.
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
        let doing = match operation {
            Operation::Publish => "publishing",
            Operation::Play => "playing",
        };
        if !rules::allow(&self.config.permission(operation).rules, ip) {
            return Err(Denied(format!("{doing} is not allowed from {}", ip.to_canonical())));
        }
        let loaded = self.keys.read().clone();
        let keys = match operation {
            Operation::Publish => &loaded.publish,
            Operation::Play => &loaded.play,
        };
        if !keys.are_needed() {
            return Ok(());
        }
        let name = format!("{}/{}", path.app, path.live_name());
        let fitting = keys.of(&name);
        // Most have shown nothing, and digests of all keys are not for nothing.
        if !verified.digests.is_empty() && fitting.clone().any(|key| verified.digests.contains(&key.digest())) {
            return Ok(());
        }
        // ffmpeg takes what stands behind a slash in a key for the stream's name.
        let encode = if keys.have_cut() { format!("; {}", keys::ENCODE) } else { String::new() };
        let link = link::Link::of(path).filter(|_| operation == Operation::Play);
        match (path.query_value("key"), link) {
            (Some(key), _) => {
                if keys::is_among(&key, fitting) {
                    return Ok(());
                }
                Err(Denied(format!("{doing} {} needs another key{encode}", name.escape_debug())))
            }
            (None, Some(link)) => link.check(&name, fitting, SystemTime::now()).map_err(|why| Denied(why.to_owned())),
            (None, None) => {
                let hint = "put ?key=KEY behind the stream's name";
                Err(Denied(format!("{doing} {} needs a key: {hint}{encode}", name.escape_debug())))
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

    fn may(access: &Access, operation: Operation, app: &str, name: &str) -> bool {
        access.check(operation, &path(app, name), from(HERE), &VerifiedKeys::default()).is_ok()
    }

    #[test]
    fn without_settings_everybody_may() {
        let open = access(Permission::default(), Permission::default());
        assert!(may(&open, Operation::Publish, "live", "cam") && may(&open, Operation::Play, "live", "cam?key=x"));
        assert!(!AccessConfig::default().is_restricted(Operation::Play));
    }

    #[test]
    fn a_key_counts_behind_the_name_and_in_the_server_url_and_for_its_verb_only() {
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
            assert_eq!(may(&access, Operation::Publish, app, name), expected, "{app} + {name}");
        }
        assert!(may(&access, Operation::Play, "live", "cam"));
    }

    #[test]
    fn refusals_say_what_is_missing_and_show_no_key() {
        let access = access(with_key("s3cret"), Permission::default());
        for (name, expected) in [("cam?key=guess", "needs another key"), ("cam", "?key=KEY")] {
            let denied = access
                .check(Operation::Publish, &path("live", name), from(HERE), &VerifiedKeys::default())
                .unwrap_err()
                .0;
            assert!(denied.contains(expected) && !denied.contains("guess"), "{denied}");
        }
        assert!(!format!("{access:?}").contains("s3cret"), "not even in a dump");
    }

    #[test]
    fn addresses_come_before_keys() {
        let rules = vec![RuleKind::Deny.rule("192.0.2.0/24").unwrap()];
        let access = access(Permission { rules, ..with_key("k") }, Permission::default());
        let denied = access.check(Operation::Publish, &path("live", "cam?key=k"), from(HERE), &VerifiedKeys::default());
        assert_eq!(denied, Err(Denied("publishing is not allowed from 192.0.2.7".to_owned())));
    }

    #[test]
    fn a_key_file_that_becomes_bad_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        std::fs::write(&file, "live/cam one\n").unwrap();
        let access =
            access(Permission { key_file: Some(file.clone()), ..Permission::default() }, Permission::default());
        std::fs::write(&file, "live/cam two\n").unwrap();
        assert!(may(&access, Operation::Publish, "live", "cam?key=one"), "not read yet");
        access.reload().unwrap();
        assert!(may(&access, Operation::Publish, "live", "cam?key=two"));
        std::fs::write(&file, "nonsense\n").unwrap();
        assert!(access.reload().is_err());
        assert!(may(&access, Operation::Publish, "live", "cam?key=two"));
    }

    #[test]
    fn a_link_opens_what_it_names_until_it_expires() {
        let access = access(with_key("other"), with_key("s3cret"));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let signed = |name: &str, expires: u64| {
            format!("{name}?expires={expires}&sign={}", link::sign(&Secret::new("s3cret"), "live/cam", expires))
        };
        assert!(may(&access, Operation::Play, "live", &signed("cam", now + 60)));
        assert!(may(&access, Operation::Play, "live", &signed("cam.flv", now + 60)), "another spelling of the same");
        assert!(!may(&access, Operation::Play, "live", &signed("cam", now - 1)));
        assert!(!may(&access, Operation::Play, "live", &signed("other", now + 60)));
        assert!(!may(&access, Operation::Publish, "live", &signed("cam", now + 60)), "links are for playing");
    }

    #[test]
    fn who_answers_the_challenge_needs_no_key_behind_the_name() {
        let config = AccessConfig { publish: with_key("pass"), ask_password: true, ..AccessConfig::default() };
        let access = Access::new(config).unwrap();
        let admit = |app: &str, ip| access.admit(&path(app, ""), "FMLE/3.0 (compatible)", ip);
        assert!(matches!(admit("live?key=pass", HERE), Admission::Granted(_)));
        assert!(matches!(admit("live?expires=1&sign=2", HERE), Admission::Granted(_)), "a link is looked at later");
        let player = access.admit(&path("live", ""), "LNX 9,0,124,2", HERE);
        assert!(matches!(player, Admission::Granted(_)), "playing needs no key");
        let Admission::Challenge(first) = admit("live", HERE) else { panic!() };
        assert!(first.contains("code=403 need auth; authmod=adobe"), "{first}");
        let Admission::Challenge(second) = admit("live?authmod=adobe&user=eve", HERE) else { panic!() };
        for (password, welcome) in [("pass", true), ("other", false)] {
            let query = challenge::tests::answer(&second, "eve", password);
            let admission = admit(&format!("live?{query}"), HERE);
            let Admission::Granted(verified) = admission else {
                assert!(!welcome && matches!(admission, Admission::Rejected(_)));
                continue;
            };
            assert!(welcome);
            assert!(access.check(Operation::Publish, &path("live", "cam"), from(HERE), &verified).is_ok());
            let long = "x".repeat(crate::limits::CHALLENGE_BYTES + 1);
            assert!(matches!(admit(&format!("live?{query}&x={long}"), HERE), Admission::Granted(_)));
            let long = query.replace("user=eve", &format!("user={long}"));
            assert!(matches!(admit(&format!("live?{long}"), HERE), Admission::Rejected(_)), "nobody is called that");
            assert_eq!(format!("{verified:?}"), "Proven { .. }", "not even in a dump");
            let elsewhere = IpAddr::from([192, 0, 2, 8]);
            assert!(
                matches!(admit(&format!("live?{query}"), elsewhere), Admission::Rejected(_)),
                "an answer is of use to who was asked"
            );
        }
    }
}
