//! Risk marks with every step of what was done about them.

use std::collections::HashMap;

use super::{connection::Connection, permit::Permit};
use crate::{policy::area, problem::Problem, values::Id};

/// The most urgent risk mark of a member that is not closed.
#[derive(Clone, Debug)]
pub struct OpenRisk {
    pub member: Id,
}

/// The open risk marks of a group, by member.
pub fn list_open<A: area::Group>(_: &mut Connection, _: &Permit<A>) -> Result<HashMap<Id, Vec<OpenRisk>>, Problem> {
    Ok(HashMap::new())
}
