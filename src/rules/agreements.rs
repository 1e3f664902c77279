//! Agreements: versioned documents that a member signs and may withdraw from; withdrawal never rewrites the past.

use crate::words;

words! {
    /// What an agreement is for.
    pub enum Purpose { Consent = "consent", GroundRules = "ground_rules" }
}

/// One version of a group's agreement.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    pub number: i32,
    /// Whether members who signed an older version must sign this one.
    pub must_sign_again: bool,
}

/// Whether a member who has signed these versions, and not withdrawn, stands under the agreement now: a signature
/// counts unless a later version asked for a new one.
pub fn is_live(versions: &[Version], signed: &[i32]) -> bool {
    let since =
        versions.iter().filter(|version| version.must_sign_again).map(|version| version.number).max().unwrap_or(0);
    signed.iter().any(|number| *number >= since)
}
