//! Goals that a member and a therapist agree on and rate, and homework.

use super::operation::Api;

pub fn register(_: &mut Api) {}
