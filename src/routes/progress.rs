//! Progress: a member's own across all groups, and a therapist's view of one member, as figures and pictures.

use super::operation::Api;

pub fn register(_: &mut Api) {}
