//! Organizations: their names, and what they ask of their staff.

use diesel::prelude::*;

use super::{
    connection::Connection,
    invitations::{self, Invited},
    permit::Permit,
    schema::organizations,
};
use crate::{
    policy::{Standing, act, area},
    problem::Problem,
    values::{Id, Moment},
};

/// An organization, as those who stand in it see it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = organizations)]
pub struct Organization {
    pub id: Id,
    pub name: String,
    /// Whether offices and terms count only for sign-ins with a second factor.
    pub staff_second_factor: bool,
    pub version: i32,
}

/// Makes an organization with its data key, on the command line: before it there is nobody who could have a permit.
pub fn insert_first(connection: &mut Connection, name: &str) -> Result<Id, Problem> {
    let id = Id::in_order();
    connection.new_keys(&[id])?;
    diesel::insert_into(organizations::table)
        .values((
            organizations::id.eq(id),
            organizations::name.eq(name),
            organizations::staff_second_factor.eq(false),
            organizations::created_at.eq(connection.now),
            organizations::version.eq(1),
        ))
        .execute(connection.before_any_permit())?;
    Ok(id)
}

/// The organization in which the permit holds.
pub fn find<A: area::Organization>(connection: &mut Connection, permit: &Permit<A>) -> Result<Organization, Problem> {
    Ok(organizations::table
        .find(permit.organization())
        .select(Organization::as_select())
        .first(connection.with(permit))?)
}

/// Changes the organization from `version` to the next.
///
/// # Errors
/// `Stale` when somebody else changed it first.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOrganization>,
    name: &str,
    staff_second_factor: bool,
    version: i32,
) -> Result<(), Problem> {
    let changed = diesel::update(
        organizations::table
            .filter(organizations::id.eq(permit.organization()))
            .filter(organizations::version.eq(version)),
    )
    .set((
        organizations::name.eq(name),
        organizations::staff_second_factor.eq(staff_second_factor),
        organizations::version.eq(version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Makes an organization with the invitation of its first administrator: its id, the one-time code, and until when the
/// code can be used. The right to do so is the command line's.
pub fn found(connection: &mut Connection, name: &str) -> Result<(Id, String, Moment), Problem> {
    let organization = insert_first(connection, name)?;
    let invited = Invited {
        organization,
        group: None,
        member: None,
        standing: Standing::Administrator,
        supervisor: None,
        session: None,
        from_at: None,
        until_at: None,
    };
    let (invitation, code) = invitations::insert_first(connection, &invited)?;
    Ok((organization, code, invitation.expires_at))
}
