//! A member's or a group's record taken out, and the accounting of disclosures.

use super::operation::Api;

pub fn register(_: &mut Api) {}
