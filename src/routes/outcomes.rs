//! What became of groups: figures for their leaders, and suppressed reports for the organization.

use super::operation::Api;

pub fn register(_: &mut Api) {}
