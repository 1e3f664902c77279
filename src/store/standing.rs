//! The look-up that must come before a permit: is the sign-in live, and what is the caller here, at this moment.

use diesel::{dsl::auto_type, prelude::*};

use super::{
    breaches::is_asked_to_leave,
    connection::{Connection, load},
    emergency_accesses::is_open_at,
    schema::{
        emergency_accesses, groups, members, organizations, peer_settings, referrals, sessions, sign_ins, standings,
        suspensions,
    },
};
use crate::{
    identity::Caller,
    policy::{Kind, Standing},
    problem::Problem,
    rules::{
        members::State,
        sessions::State as Planned,
        terms::{LONGEST_AFTER_HOURS, LONGEST_BEFORE_HOURS, Phase, Term, Windows},
    },
    values::{Id, Moment},
};

/// What a permit in a group rests on.
pub(super) struct InGroup {
    /// `None` when there is no such group.
    pub place: Option<Place>,
    pub standings: Vec<Standing>,
    /// The caller's own membership, current or former.
    pub member: Option<Id>,
    pub second_factor: bool,
    /// The session to which the caller's leading is bound, where it is.
    pub bound_to: Option<Id>,
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

/// One query, from the sign-in outwards, so that a group that does not exist costs what a hidden one does. `session`
/// is the one that the request is about: a term that is bound to it counts in full there.
pub(super) fn in_group(
    connection: &mut Connection,
    caller: &Caller,
    group: Id,
    session: Option<Id>,
) -> Result<InGroup, Problem> {
    type Held = (Standing, Option<Id>, Moment, Option<Moment>, bool);
    type Belonging = (Id, State, Option<Moment>);
    type Row = (
        bool,
        Option<(Id, Kind, String)>,
        Option<bool>,
        Option<(i32, i32, i32)>,
        Option<Held>,
        Option<Belonging>,
        Option<Id>,
    );
    let now = connection.now;
    connection.calls(caller.account);
    let rows: Vec<Row> = load!(
        connection.before_any_permit(),
        sign_ins::table
            .left_join(groups::table.on(groups::id.eq(group)))
            .left_join(organizations::table.on(organizations::id.nullable().eq(groups::organization_id.nullable())))
            .left_join(peer_settings::table.on(peer_settings::group_id.eq(group)))
            .left_join(
                standings::table.on(standings::account_id
                    .eq(caller.account)
                    .and(standings::organization_id.nullable().eq(groups::organization_id.nullable()))
                    .and(standings::from_at.le(now.plus_minutes(LONGEST_BEFORE_HOURS * 60)))
                    .and(
                        standings::until_at
                            .is_null()
                            .or(standings::until_at.gt(now.plus_minutes(-LONGEST_AFTER_HOURS * 60))),
                    )
                    .and(standings::group_id.is_null().or(standings::group_id.eq(group)))),
            )
            .left_join(members::table.on(members::group_id.eq(group).and(members::account_id.eq(caller.account))))
            .left_join(
                suspensions::table.on(suspensions::account_id
                    .eq(caller.account)
                    .and(suspensions::organization_id.nullable().eq(groups::organization_id.nullable()))
                    .and(suspensions::until_at.is_null())),
            )
            .filter(is_live(caller.sign_in, caller.account, now))
            .select((
                sign_ins::second_factor,
                (groups::organization_id, groups::kind, groups::zone).nullable(),
                organizations::staff_second_factor.nullable(),
                (peer_settings::preparing_hours, peer_settings::finishing_hours, peer_settings::reading_hours)
                    .nullable(),
                (
                    standings::standing,
                    standings::session_id,
                    standings::from_at,
                    standings::until_at,
                    standings::cut_short
                )
                    .nullable(),
                (members::id, members::state, members::barred_until).nullable(),
                suspensions::id.nullable(),
            ))
    )?;
    let Some((second_factor, group_row, staff_second_factor, windows, _, member, suspension)) = rows.first().cloned()
    else {
        return Err(Problem::Unauthenticated);
    };
    let windows = windows.map_or(Windows::DEFAULT, |(preparing_hours, finishing_hours, reading_hours)| Windows {
        preparing_hours,
        finishing_hours,
        reading_hours,
    });
    let mut found: Vec<Standing> = Vec::new();
    let mut bound_to = None;
    if suspension.is_none() {
        let mut leads_whole_group = false;
        for (standing, bound, from_at, until_at, cut_short) in rows.iter().filter_map(|row| row.4) {
            let term = Term { from_at, until_at, cut_short };
            if standing != Standing::Facilitator {
                found.extend(term.runs(now).then_some(standing));
                continue;
            }
            let phase = term.phase(windows, now);
            let is_here = bound.is_none() || bound == session;
            leads_whole_group |= bound.is_none() && phase != Phase::Outside;
            found.extend(match (phase, is_here) {
                (Phase::Leading, true) => Some(Standing::Facilitator),
                (Phase::Leading, false) => Some(Standing::SessionFacilitator),
                (Phase::Reading, true) => Some(Standing::FormerFacilitator),
                _ => None,
            });
        }
        let leads = |found: &[Standing]| found.contains(&Standing::Facilitator);
        if found.contains(&Standing::Steward)
            && !leads(&found)
            && (!is_facilitated(connection, group, session, windows)? || waits(connection, group, session)?)
        {
            found.push(Standing::Facilitator);
            leads_whole_group = true;
        }
        if !leads_whole_group && (leads(&found) || found.contains(&Standing::FormerFacilitator)) {
            bound_to = session;
        }
        if let Some((_, state, barred_until)) = member {
            let is_barred = barred_until.is_some_and(|until| now < until);
            found.extend(match state.standing() {
                Some(Standing::Member) if is_barred => Some(Standing::FormerMember),
                standing => standing,
            });
        }
        let is_peer_led = group_row.as_ref().is_some_and(|(_, kind, _)| *kind == Kind::PeerLed);
        if let Some(session) = session.filter(|_| is_peer_led && !found.is_empty())
            && is_kept_from(connection, caller, session, member.map(|(id, ..)| id))?
        {
            found.retain(|standing| {
                standing.is_office() || matches!(standing, Standing::Member | Standing::FormerMember)
            });
            for standing in &mut found {
                if *standing == Standing::Member {
                    *standing = Standing::FormerMember;
                }
            }
        }
        // In a peer-led group nobody judges themselves from an office.
        if is_peer_led && found.iter().any(|standing| !standing.is_office() && *standing != Standing::FormerMember) {
            found.retain(|standing| !standing.is_office());
        }
        found.sort_unstable();
        found.dedup();
    }
    Ok(InGroup {
        place: group_row.map(|(organization, kind, zone)| Place {
            organization,
            kind,
            zone,
            staff_second_factor: staff_second_factor.unwrap_or(false),
        }),
        standings: found,
        member: member.map(|(id, ..)| id),
        second_factor,
        bound_to,
    })
}

/// Whether the group asked the caller to stay away from a session that has not ended. Whatever they are to the group,
/// here they are no more than somebody who belonged to it.
fn is_kept_from(
    connection: &mut Connection,
    caller: &Caller,
    session: Id,
    member: Option<Id>,
) -> Result<bool, Problem> {
    let now = connection.now;
    is_asked_to_leave(connection.before_any_permit(), session, caller.account, member, now)
}

/// Minutes after the planned beginning of a session from which on its stewards stand in, while nobody has said that it is held:
/// perhaps whoever was to facilitate it did not come.
const NOBODY_CAME_MINUTES: i64 = 15;

/// Whether a session waits for somebody to stand in.
fn waits(connection: &mut Connection, group: Id, session: Option<Id>) -> Result<bool, Problem> {
    let Some(session) = session else { return Ok(false) };
    let now = connection.now;
    let found: Option<Id> = sessions::table
        .filter(sessions::id.eq(session))
        .filter(sessions::group_id.eq(group))
        .filter(sessions::starts_at.le(now.plus_minutes(-NOBODY_CAME_MINUTES)))
        .filter(sessions::state.eq(Planned::Scheduled))
        .select(sessions::id)
        .first(connection.before_any_permit())
        .optional()?;
    Ok(found.is_some())
}

/// Whether somebody facilitates the group, or this session of it, at this moment; asked about no session, whether
/// somebody facilitates any. Otherwise its stewards do.
fn is_facilitated(
    connection: &mut Connection,
    group: Id,
    session: Option<Id>,
    windows: Windows,
) -> Result<bool, Problem> {
    let now = connection.now;
    let hours = |hours: i32| i64::from(hours) * 60;
    let finished = now.plus_minutes(-hours(windows.finishing_hours));
    let suspended = suspensions::table
        .filter(suspensions::account_id.eq(standings::account_id))
        .filter(suspensions::organization_id.eq(standings::organization_id))
        .filter(suspensions::until_at.is_null());
    let mut terms = standings::table
        .filter(standings::group_id.eq(group))
        .filter(standings::standing.eq(Standing::Facilitator))
        .into_boxed();
    if session.is_some() {
        terms = terms.filter(standings::session_id.is_null().or(standings::session_id.eq(session)));
    }
    let found: Option<Id> = terms
        .filter(standings::from_at.le(now.plus_minutes(hours(windows.preparing_hours))))
        // A term that was ended before it began.
        .filter(standings::until_at.is_null().or(standings::until_at.gt(standings::from_at.nullable())))
        .filter(
            standings::until_at
                .is_null()
                .or(standings::until_at.gt(now))
                .or(standings::cut_short.eq(false).and(standings::until_at.gt(finished))),
        )
        .filter(diesel::dsl::not(diesel::dsl::exists(suspended)))
        .select(standings::id)
        .first(connection.before_any_permit())
        .optional()?;
    Ok(found.is_some())
}

/// The sign-in is the account's, and has not ended.
#[auto_type]
fn is_live(sign_in: Id, account: Id, at: Moment) -> _ {
    sign_ins::id
        .eq(sign_in)
        .and(sign_ins::account_id.eq(account))
        .and(sign_ins::ended_at.is_null())
        .and(sign_ins::ends_at.gt(at))
}

/// An emergency access that runs.
pub(super) struct Emergency {
    pub id: Id,
    /// The one member whose record it opens.
    pub member: Id,
}

/// The caller's emergency access to a member of the group, where one runs at this moment: its time is not over and nobody
/// ended it; its holder is a therapist or co-therapist of the organization and not suspended; the group is not closed, and
/// the membership is there.
pub(super) fn emergency(connection: &mut Connection, caller: &Caller, group: Id) -> Result<Option<Emergency>, Problem> {
    let now = connection.now;
    let found: Option<(Id, Id)> = emergency_accesses::table
        .inner_join(groups::table.on(groups::id.eq(emergency_accesses::group_id)))
        .filter(emergency_accesses::account_id.eq(caller.account))
        .filter(emergency_accesses::group_id.eq(group))
        .filter(emergency_accesses::from_at.le(now))
        .filter(is_open_at(now))
        .select((emergency_accesses::id, emergency_accesses::member_id))
        .first(connection.before_any_permit())
        .optional()?;
    let Some((id, member)) = found else { return Ok(None) };
    connection.enters(caller.account, group);
    let is_there: Option<Id> = members::table
        .filter(members::id.eq(member))
        .filter(members::group_id.eq(group))
        .filter(members::erased_at.is_null())
        .select(members::id)
        .first(connection.before_any_permit())
        .optional()?;
    Ok(is_there.map(|member| Emergency { id, member }))
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
        .filter(is_live(caller.sign_in, caller.account, now))
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

/// The groups in which an account belongs or stands, or did, and those that it asked to take it.
pub(super) fn list_groups(connection: &mut Connection, account: Id) -> Result<Vec<Id>, Problem> {
    let database = connection.before_any_permit();
    let mut groups: Vec<Id> =
        members::table.filter(members::account_id.eq(account)).select(members::group_id).load(database)?;
    let stood: Vec<Option<Id>> =
        standings::table.filter(standings::account_id.eq(account)).select(standings::group_id).load(database)?;
    groups.extend(stood.into_iter().flatten());
    groups.extend(
        referrals::table.filter(referrals::account_id.eq(account)).select(referrals::group_id).load::<Id>(database)?,
    );
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

pub(super) fn is_signed_in(connection: &mut Connection, caller: &Caller) -> Result<(), Problem> {
    let now = connection.now;
    connection.calls(caller.account);
    let live: Option<Id> = sign_ins::table
        .filter(is_live(caller.sign_in, caller.account, now))
        .select(sign_ins::id)
        .first(connection.before_any_permit())
        .optional()?;
    live.map(|_| ()).ok_or(Problem::Unauthenticated)
}
