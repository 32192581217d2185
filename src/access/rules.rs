//! Address rules.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::{Error, Result};

/// What a rule says of the addresses that it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// One rule, made by [`RuleKind::rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it says.
    pub(crate) kind: RuleKind,
    /// Of whom.
    pub(crate) network: IpNet,
}

impl RuleKind {
    /// A rule of this kind for a network such as `192.168.0.0/16`, or for one address.
    ///
    /// # Errors
    /// [`Error::Config`] when the text is neither.
    pub fn rule(self, network: &str) -> Result<Rule> {
        let parsed = network.parse().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
        let hint = "is no network, such as 192.168.0.0/16, 2001:db8::/32 or one address";
        let bad = |_| Error::Config(format!("\"{}\" {hint}", network.escape_debug()).into());
        Ok(Rule { kind: self, network: parsed.map_err(bad)? })
    }
}

/// Whether the rules let that address through: the first that fits decides.
pub(super) fn allow(rules: &[Rule], ip: IpAddr) -> bool {
    // What comes in over IPv4 at a listener for both has an IPv4 address mapped into IPv6.
    let ip = ip.to_canonical();
    match rules.iter().find(|rule| rule.network.contains(&ip)) {
        Some(rule) => rule.kind == RuleKind::Allow,
        None => !rules.iter().any(|rule| rule.kind == RuleKind::Allow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &[(RuleKind, &str)], ip: &str) -> bool {
        let rules: Vec<_> = rules.iter().map(|(kind, network)| kind.rule(network).unwrap()).collect();
        allow(&rules, ip.parse().unwrap())
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        use RuleKind::{Allow, Deny};
        let rules = [(Deny, "192.168.0.66"), (Allow, "192.168.0.0/24"), (Allow, "2001:db8::/32")];
        assert!(allowed(&rules, "192.168.0.7"));
        assert!(allowed(&rules, "::ffff:192.168.0.7"), "mapped");
        assert!(allowed(&rules, "2001:db8::7"));
        assert!(!allowed(&rules, "192.168.0.66"));
        assert!(!allowed(&rules, "192.168.1.7"), "somebody is allowed, so others are not");
        assert!(allowed(&rules[..1], "192.168.1.7"), "nobody is allowed by name, so others are");
        assert!(allowed(&[], "::1"));
    }

    #[test]
    fn what_is_no_network_is_told() {
        for bad in ["192.168.0.0/33", "home", ""] {
            let error = RuleKind::Allow.rule(bad).unwrap_err().to_string();
            assert!(error.contains("192.168.0.0/16"), "{error}");
        }
    }
}
