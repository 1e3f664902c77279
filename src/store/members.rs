//! Members and their intervals; names sealed under each member's own key.

use diesel::prelude::*;

use super::{
    columns::{Sealed, word_columns},
    connection::Connection,
    permit::{Permit, concerns},
    schema::{groups, members, membership_intervals, organizations},
    sealing::Place,
};
use crate::{
    policy::{Kind, act, area},
    problem::Problem,
    rules::members::{Interval, State, roster},
    values::{Id, Moment},
};

const NAME: &str = "members.name";
const REASON: &str = "membership_intervals.reason";

word_columns!(State);

/// One person's membership in one group.
#[derive(Clone, Debug)]
pub struct Member {
    pub id: Id,
    /// Whether an account answers to it yet.
    pub has_account: bool,
    pub name: String,
    pub state: State,
    pub state_from: Moment,
    pub version: i32,
}

/// One interval of a membership, with its reason.
#[derive(Clone, Debug)]
pub struct KeptInterval {
    pub state: State,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
    pub reason: Option<String>,
    pub recorded_by: Id,
    pub recorded_at: Moment,
}

/// One of the caller's own memberships.
pub struct OwnMembership {
    pub member: Id,
    pub group: Id,
    pub group_title: String,
    pub kind: Kind,
    pub organization: Id,
    pub organization_name: String,
    pub state: State,
    pub state_from: Moment,
}

type Row = (Id, Option<Id>, Sealed, State, Moment, i32);

const COLUMNS: (
    members::id,
    members::account_id,
    members::name,
    members::state,
    members::state_from,
    members::version,
) = (members::id, members::account_id, members::name, members::state, members::state_from, members::version);

fn open(connection: &mut Connection, rows: Vec<Row>) -> Result<Vec<Member>, Problem> {
    let keys = connection.keys(rows.iter().map(|row| row.0))?;
    rows.into_iter()
        .map(|(id, account, name, state, state_from, version)| {
            let name = keys.of(id)?.open(Place(NAME, id), &name)?;
            Ok(Member { id, has_account: account.is_some(), name, state, state_from, version })
        })
        .collect()
}

/// Makes a membership in its first state; the account comes with the invitation.
pub fn insert<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    name: &str,
    state: State,
    account: Option<Id>,
    from_at: Moment,
) -> Result<Member, Problem> {
    // Peers may see the id, so it tells nothing about when somebody came.
    let id = Id::random();
    let keys = connection.new_keys(&[id])?;
    let sealed = keys.of(id)?.seal(Place(NAME, id), name);
    diesel::insert_into(members::table)
        .values((
            members::id.eq(id),
            members::group_id.eq(permit.group()),
            members::account_id.eq(account),
            members::name.eq(sealed),
            members::state.eq(state),
            members::state_from.eq(from_at),
            members::created_at.eq(connection.now),
            members::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    insert_interval(connection, permit, id, state, from_at, None)?;
    concerns(connection, permit, Some(id), None);
    Ok(Member { id, has_account: account.is_some(), name: name.to_owned(), state, state_from: from_at, version: 1 })
}

fn insert_interval<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
    state: State,
    from_at: Moment,
    reason: Option<&str>,
) -> Result<(), Problem> {
    let id = Id::in_order();
    let keys = connection.keys([member])?;
    let reason = reason.map(|reason| Ok::<_, Problem>(keys.of(member)?.seal(Place(REASON, id), reason))).transpose()?;
    diesel::insert_into(membership_intervals::table)
        .values((
            membership_intervals::id.eq(id),
            membership_intervals::group_id.eq(permit.group()),
            membership_intervals::member_id.eq(member),
            membership_intervals::state.eq(state),
            membership_intervals::from_at.eq(from_at),
            membership_intervals::reason.eq(reason),
            membership_intervals::recorded_by.eq(permit.account()),
            membership_intervals::recorded_at.eq(connection.now),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The group's members (or the caller's own membership, where the permit reaches no further), by id after `after`.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadMembers>,
    state: Option<State>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Member>, Problem> {
    let mut query = members::table
        .filter(members::group_id.eq(permit.group()))
        .order(members::id)
        .limit(limit)
        .select(COLUMNS)
        .into_boxed();
    if let Some(own) = permit.only_member()? {
        query = query.filter(members::id.eq(own));
    }
    if let Some(state) = state {
        query = query.filter(members::state.eq(state));
    }
    if let Some(after) = after {
        query = query.filter(members::id.gt(after));
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    open(connection, rows)
}

/// A member of the group that the permit reaches.
pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Member, Problem> {
    permit.reaches_member(id)?;
    let row: Row = members::table
        .filter(members::id.eq(id))
        .filter(members::group_id.eq(permit.group()))
        .select(COLUMNS)
        .first(connection.with(permit))?;
    concerns(connection, permit, Some(id), None);
    open(connection, vec![row])?.pop().ok_or(Problem::NotFound)
}

/// The account behind a member, where there is one.
pub fn find_account<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
) -> Result<Option<Id>, Problem> {
    Ok(members::table
        .filter(members::id.eq(id))
        .filter(members::group_id.eq(permit.group()))
        .select(members::account_id)
        .first(connection.with(permit))?)
}

/// The names of these members of the group.
pub fn list_names<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<std::collections::HashMap<Id, String>, Problem> {
    let rows: Vec<Row> = members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::id.eq_any(ids))
        .select(COLUMNS)
        .load(connection.with(permit))?;
    Ok(open(connection, rows)?.into_iter().map(|member| (member.id, member.name)).collect())
}

/// A membership's intervals, oldest first.
pub fn list_intervals(
    connection: &mut Connection,
    permit: &Permit<act::ReadMembers>,
    member: Id,
) -> Result<Vec<KeptInterval>, Problem> {
    permit.reaches_member(member)?;
    type Interval = (Id, State, Moment, Option<Moment>, Option<Sealed>, Id, Moment);
    let rows: Vec<Interval> = membership_intervals::table
        .filter(membership_intervals::group_id.eq(permit.group()))
        .filter(membership_intervals::member_id.eq(member))
        .order((membership_intervals::from_at, membership_intervals::id))
        .select((
            membership_intervals::id,
            membership_intervals::state,
            membership_intervals::from_at,
            membership_intervals::until_at,
            membership_intervals::reason,
            membership_intervals::recorded_by,
            membership_intervals::recorded_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([member])?;
    rows.into_iter()
        .map(|(id, state, from_at, until_at, reason, recorded_by, recorded_at)| {
            let reason = reason.map(|reason| keys.of(member)?.open(Place(REASON, id), &reason)).transpose()?;
            Ok(KeptInterval { state, from_at, until_at, reason, recorded_by, recorded_at })
        })
        .collect()
}

/// How many members take a place now.
pub fn count_places<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<i64, Problem> {
    let taking: Vec<State> = State::ALL.iter().copied().filter(|state| state.takes_a_place()).collect();
    Ok(members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::state.eq_any(taking))
        .count()
        .get_result(connection.with(permit))?)
}

/// Ends the current interval and begins the next.
pub fn update_state<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: &Member,
    to: State,
    at: Moment,
    reason: Option<&str>,
) -> Result<(), Problem> {
    permit.reaches_member(member.id)?;
    let changed = diesel::update(
        members::table
            .filter(members::id.eq(member.id))
            .filter(members::group_id.eq(permit.group()))
            .filter(members::version.eq(member.version)),
    )
    .set((members::state.eq(to), members::state_from.eq(at), members::version.eq(member.version + 1)))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    diesel::update(
        membership_intervals::table
            .filter(membership_intervals::member_id.eq(member.id))
            .filter(membership_intervals::group_id.eq(permit.group()))
            .filter(membership_intervals::until_at.is_null()),
    )
    .set(membership_intervals::until_at.eq(at))
    .execute(connection.with(permit))?;
    insert_interval(connection, permit, member.id, to, at, reason)?;
    concerns(connection, permit, Some(member.id), None);
    Ok(())
}

pub fn update_name(
    connection: &mut Connection,
    permit: &Permit<act::MoveMember>,
    member: &Member,
    name: &str,
) -> Result<(), Problem> {
    permit.reaches_member(member.id)?;
    let keys = connection.keys([member.id])?;
    let sealed = keys.of(member.id)?.seal(Place(NAME, member.id), name);
    let changed = diesel::update(
        members::table
            .filter(members::id.eq(member.id))
            .filter(members::group_id.eq(permit.group()))
            .filter(members::version.eq(member.version)),
    )
    .set((members::name.eq(sealed), members::version.eq(member.version + 1)))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Who was expected at a moment, whatever they are today.
pub fn list_roster<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    at: Moment,
) -> Result<Vec<Id>, Problem> {
    let rows: Vec<(Id, State, Moment, Option<Moment>)> = membership_intervals::table
        .filter(membership_intervals::group_id.eq(permit.group()))
        .filter(membership_intervals::from_at.le(at))
        .filter(membership_intervals::until_at.is_null().or(membership_intervals::until_at.gt(at)))
        .select((
            membership_intervals::member_id,
            membership_intervals::state,
            membership_intervals::from_at,
            membership_intervals::until_at,
        ))
        .load(connection.with(permit))?;
    let intervals: Vec<Interval> = rows
        .into_iter()
        .map(|(member, state, from_at, until_at)| Interval { member, state, from_at, until_at })
        .collect();
    Ok(roster(&intervals, at))
}

/// Which of these are members of the group at all.
pub fn list_known<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<Vec<Id>, Problem> {
    Ok(members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::id.eq_any(ids))
        .select(members::id)
        .load(connection.with(permit))?)
}

/// The ids of the caller's own memberships.
pub fn list_own_ids(connection: &mut Connection, permit: &Permit<act::ReadOwnAccount>) -> Result<Vec<Id>, Problem> {
    Ok(members::table
        .filter(members::account_id.eq(permit.account()))
        .select(members::id)
        .load(connection.with(permit))?)
}

/// The caller's own memberships, with their groups.
pub fn list_own(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
) -> Result<Vec<OwnMembership>, Problem> {
    type Row = (Id, Id, String, Kind, Id, String, State, Moment);
    let rows: Vec<Row> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .inner_join(organizations::table.on(organizations::id.eq(groups::organization_id)))
        .filter(members::account_id.eq(permit.account()))
        .order(members::created_at)
        .select((
            members::id,
            groups::id,
            groups::title,
            groups::kind,
            organizations::id,
            organizations::name,
            members::state,
            members::state_from,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(member, group, group_title, kind, organization, organization_name, state, state_from)| OwnMembership {
            member,
            group,
            group_title,
            kind,
            organization,
            organization_name,
            state,
            state_from,
        })
        .collect())
}

/// When a member was active: `[from, until)`.
pub fn list_active_intervals<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<Vec<(Moment, Option<Moment>)>, Problem> {
    Ok(membership_intervals::table
        .filter(membership_intervals::member_id.eq(member))
        .filter(membership_intervals::group_id.eq(permit.group()))
        .filter(membership_intervals::state.eq(State::Active))
        .select((membership_intervals::from_at, membership_intervals::until_at))
        .load(connection.with(permit))?)
}

/// The members in a state, each with the moment since when.
pub fn list_in_state<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    state: State,
) -> Result<Vec<(Id, Moment)>, Problem> {
    Ok(members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::state.eq(state))
        .select((members::id, members::state_from))
        .load(connection.with(permit))?)
}
