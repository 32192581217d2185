//! Address rules.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::{Error, Result};

/// The effect of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleKind {
    /// Matching addresses are allowed.
    Allow,
    /// Matching addresses are denied.
    Deny,
}

/// An address rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its effect.
    pub(crate) kind: RuleKind,
    /// The addresses that it matches.
    pub(crate) network: IpNet,
}

impl RuleKind {
    /// Makes a rule of this kind for a network such as `192.168.0.0/16`, or for one address.
    ///
    /// # Errors
    /// [`Error::Config`] when the text is neither.
    pub fn rule(self, network: &str) -> Result<Rule> {
        let parsed = network.parse().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
        let hint = "is no network, such as 192.168.0.0/16, 2001:db8::/32 or one address";
        let invalid = |_| Error::Config(format!("\"{}\" {hint}", network.escape_debug()).into());
        Ok(Rule { kind: self, network: parsed.map_err(invalid)? })
    }
}

/// Whether the rules allow an address: the first match decides.
pub(super) fn allow(rules: &[Rule], ip: IpAddr) -> bool {
    // Over IPv4, a dual-stack listener sees IPv4-mapped IPv6 addresses.
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
    fn the_first_matching_rule_decides() {
        use RuleKind::{Allow, Deny};
        let rules = [(Deny, "192.168.0.66"), (Allow, "192.168.0.0/24"), (Allow, "2001:db8::/32")];
        assert!(allowed(&rules, "192.168.0.7"));
        assert!(allowed(&rules, "::ffff:192.168.0.7"), "mapped");
        assert!(allowed(&rules, "2001:db8::7"));
        assert!(!allowed(&rules, "192.168.0.66"));
        assert!(!allowed(&rules, "192.168.1.7"), "with an allow rule, others are denied");
        assert!(allowed(&rules[..1], "192.168.1.7"), "without an allow rule, others are allowed");
        assert!(allowed(&[], "::1"));
    }

    #[test]
    fn an_invalid_network_is_an_error() {
        for invalid in ["192.168.0.0/33", "home", ""] {
            let error = RuleKind::Allow.rule(invalid).unwrap_err().to_string();
            assert!(error.contains("192.168.0.0/16"), "{error}");
        }
    }
}
