//! The look-up that must come before a permit: is the sign-in live, and what is the caller here, at this moment.

use diesel::prelude::*;

use super::{
    connection::Connection,
    schema::{groups, members, organizations, sign_ins, standings, suspensions},
};
use crate::{
    identity::Caller,
    policy::{Kind, Standing},
    problem::Problem,
    rules::members::State,
    values::Id,
};

/// What a permit in a group rests on.
pub(super) struct InGroup {
    /// `None` when there is no such group.
    pub place: Option<Place>,
    pub standings: Vec<Standing>,
    /// The caller's own membership, current or former.
    pub member: Option<Id>,
    pub second_factor: bool,
}

pub(super) struct Place {
    pub organization: Id,
    pub kind: Kind,
    pub zone: String,
    pub staff_second_factor: bool,
}

pub(super) struct InOrganization {
    pub standings: Vec<Standing>,
    pub staff_second_factor: bool,
    pub second_factor: bool,
}

/// One query, from the sign-in outwards, so that a group that does not exist costs what a hidden one does.
pub(super) fn in_group(connection: &mut Connection, caller: &Caller, group: Id) -> Result<InGroup, Problem> {
    type Row = (bool, Option<(Id, Kind, String)>, Option<bool>, Option<Standing>, Option<(Id, State)>, Option<Id>);
    let now = connection.now;
    let rows: Vec<Row> = sign_ins::table
        .left_join(groups::table.on(groups::id.eq(group)))
        .left_join(organizations::table.on(organizations::id.nullable().eq(groups::organization_id.nullable())))
        .left_join(
            standings::table.on(standings::account_id
                .eq(caller.account)
                .and(standings::organization_id.nullable().eq(groups::organization_id.nullable()))
                .and(standings::from_at.le(now))
                .and(standings::until_at.is_null().or(standings::until_at.gt(now)))
                .and(standings::group_id.is_null().or(standings::group_id.eq(group)))),
        )
        .left_join(members::table.on(members::group_id.eq(group).and(members::account_id.eq(caller.account))))
        .left_join(
            suspensions::table.on(suspensions::account_id
                .eq(caller.account)
                .and(suspensions::organization_id.nullable().eq(groups::organization_id.nullable()))
                .and(suspensions::until_at.is_null())),
        )
        .filter(sign_ins::id.eq(caller.sign_in))
        .filter(sign_ins::account_id.eq(caller.account))
        .filter(sign_ins::ended_at.is_null())
        .filter(sign_ins::ends_at.gt(now))
        .select((
            sign_ins::second_factor,
            (groups::organization_id, groups::kind, groups::zone).nullable(),
            organizations::staff_second_factor.nullable(),
            standings::standing.nullable(),
            (members::id, members::state).nullable(),
            suspensions::id.nullable(),
        ))
        .load(connection.before_any_permit())?;
    let Some((second_factor, group, staff_second_factor, _, member, suspension)) = rows.first().cloned() else {
        return Err(Problem::Unauthenticated);
    };
    let mut found: Vec<Standing> = Vec::new();
    if suspension.is_none() {
        found.extend(rows.iter().filter_map(|row| row.3));
        found.extend(member.and_then(|(_, state)| state.standing()));
    }
    Ok(InGroup {
        place: group.map(|(organization, kind, zone)| Place {
            organization,
            kind,
            zone,
            staff_second_factor: staff_second_factor.unwrap_or(false),
        }),
        standings: found,
        member: member.map(|(id, _)| id),
        second_factor,
    })
}

pub(super) fn in_organization(
    connection: &mut Connection,
    caller: &Caller,
    organization: Id,
) -> Result<InOrganization, Problem> {
    type Row = (bool, Option<bool>, Option<Standing>, Option<Id>);
    let now = connection.now;
    let rows: Vec<Row> = sign_ins::table
        .left_join(organizations::table.on(organizations::id.eq(organization)))
        .left_join(
            standings::table.on(standings::account_id
                .eq(caller.account)
                .and(standings::organization_id.eq(organization))
                .and(standings::from_at.le(now))
                .and(standings::until_at.is_null().or(standings::until_at.gt(now)))),
        )
        .left_join(
            suspensions::table.on(suspensions::account_id
                .eq(caller.account)
                .and(suspensions::organization_id.eq(organization))
                .and(suspensions::until_at.is_null())),
        )
        .filter(sign_ins::id.eq(caller.sign_in))
        .filter(sign_ins::account_id.eq(caller.account))
        .filter(sign_ins::ended_at.is_null())
        .filter(sign_ins::ends_at.gt(now))
        .select((
            sign_ins::second_factor,
            organizations::staff_second_factor.nullable(),
            standings::standing.nullable(),
            suspensions::id.nullable(),
        ))
        .load(connection.before_any_permit())?;
    let Some(&(second_factor, staff_second_factor, _, suspension)) = rows.first() else {
        return Err(Problem::Unauthenticated);
    };
    let mut found: Vec<Standing> = rows.iter().filter_map(|row| row.2).collect();
    found.sort_unstable();
    found.dedup();
    if suspension.is_some() {
        found.clear();
    }
    Ok(InOrganization { standings: found, staff_second_factor: staff_second_factor.unwrap_or(false), second_factor })
}

pub(super) fn is_signed_in(connection: &mut Connection, caller: &Caller) -> Result<(), Problem> {
    let now = connection.now;
    let live: Option<Id> = sign_ins::table
        .filter(sign_ins::id.eq(caller.sign_in))
        .filter(sign_ins::account_id.eq(caller.account))
        .filter(sign_ins::ended_at.is_null())
        .filter(sign_ins::ends_at.gt(now))
        .select(sign_ins::id)
        .first(connection.before_any_permit())
        .optional()?;
    live.map(|_| ()).ok_or(Problem::Unauthenticated)
}
