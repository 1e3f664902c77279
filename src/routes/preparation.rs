//! Before a session: who needs attention first and why, and that it was looked at.

use super::operation::Api;

pub fn register(_: &mut Api) {}
