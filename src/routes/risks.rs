//! Risk marks and what is done about them: acknowledged, assessed, closed.

use super::operation::Api;

pub fn register(_: &mut Api) {}
