//! Members and their intervals; names sealed under each member's own key.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{
    accounts,
    columns::{Sealed, word_columns},
    connection::Connection,
    permit::{Permit, concerns},
    schema::{groups, members, membership_intervals, organizations, standings},
    sealing::Place,
    standings::{self as terms, lasts_beyond},
};
use crate::{
    policy::{Act, Kind, Standing, act, area},
    problem::Problem,
    rules::{
        breaches::folded,
        members::{Interval, State, roster},
    },
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

/// Somebody who answers to a name in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namesake {
    pub account: Option<Id>,
    pub member: Option<Id>,
    /// By a membership that is no more than an invitation.
    pub is_invited: bool,
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

/// A keyed hash that says whose something is, to nobody but the server: it finds a member's own again, and no row joins
/// the two. `what` is the table, so that marks of two tables cannot be compared.
pub(super) fn mark(connection: &Connection, what: &str, member: Id) -> Vec<u8> {
    connection.installation().index(what, &member.to_string())
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

/// The membership that an account has in the group, or had.
pub fn find_of_account<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    account: Id,
) -> Result<Option<Id>, Problem> {
    Ok(members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::account_id.eq(account))
        .select(members::id)
        .first(connection.with(permit))
        .optional()?)
}

/// Who answers to a name, however it is typed: of the group's members, former ones too, and of its leads.
pub fn list_namesakes<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    name: &str,
) -> Result<Vec<Namesake>, Problem> {
    let now = connection.now;
    let wanted = folded(name);
    let people: Vec<(Id, Option<Id>, State)> = members::table
        .filter(members::group_id.eq(permit.group()))
        .select((members::id, members::account_id, members::state))
        .load(connection.with(permit))?;
    let leads: Vec<Id> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(lasts_beyond(now))
        .select(standings::account_id)
        .distinct()
        .load(connection.with(permit))?;
    let ids: Vec<Id> = people.iter().map(|(member, ..)| *member).collect();
    let names = list_names(connection, permit, &ids)?;
    let leads_names = accounts::list_names(connection, permit, leads.iter().copied())?;
    let is_wanted = |name: Option<&String>| name.is_some_and(|name| folded(name) == wanted);
    let mut found: Vec<Namesake> = people
        .iter()
        .filter(|(member, ..)| is_wanted(names.get(member)))
        .map(|(member, account, state)| Namesake {
            account: *account,
            member: Some(*member),
            is_invited: *state == State::Invited,
        })
        .collect();
    found.extend(leads.into_iter().filter(|lead| is_wanted(leads_names.get(lead))).map(|lead| {
        let own = people.iter().find(|(_, account, _)| *account == Some(lead)).map(|(member, ..)| *member);
        Namesake { account: Some(lead), member: own, is_invited: false }
    }));
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether somebody else than the member answers to a name already, in a peer-led group: two of one name could not be
/// told apart by whoever reports one of them.
pub fn is_name_taken<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    name: &str,
    member: Option<Id>,
) -> Result<bool, Problem> {
    if permit.kind() != Kind::PeerLed {
        return Ok(false);
    }
    let found = list_namesakes(connection, permit, name)?;
    Ok(found.iter().any(|namesake| namesake.member.is_none() || namesake.member != member))
}

/// The names of these members of the group.
pub fn list_names<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<std::collections::HashMap<Id, String>, Problem> {
    Ok(list_of(connection, permit, ids)?.into_iter().map(|member| (member.id, member.name)).collect())
}

/// These of the group's members, in no order.
pub(super) fn list_of<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<Vec<Member>, Problem> {
    let rows: Vec<Row> = members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::id.eq_any(ids))
        .select(COLUMNS)
        .load(connection.with(permit))?;
    open(connection, rows)
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
    change_state(connection, permit, member.id, member.version, to, at, reason)?;
    concerns(connection, permit, Some(member.id), None);
    Ok(())
}

/// The same for somebody whose own membership it is not, by a decision of the group.
pub(super) fn change_state<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
    version: i32,
    to: State,
    at: Moment,
    reason: Option<&str>,
) -> Result<(), Problem> {
    let changed = diesel::update(
        members::table
            .filter(members::id.eq(member))
            .filter(members::group_id.eq(permit.group()))
            .filter(members::version.eq(version)),
    )
    .set((members::state.eq(to), members::state_from.eq(at), members::version.eq(version + 1)))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    diesel::update(
        membership_intervals::table
            .filter(membership_intervals::member_id.eq(member))
            .filter(membership_intervals::group_id.eq(permit.group()))
            .filter(membership_intervals::until_at.is_null()),
    )
    .set(membership_intervals::until_at.eq(at))
    .execute(connection.with(permit))?;
    if to.standing() == Some(Standing::FormerMember) {
        let account: Option<Id> =
            members::table.find(member).select(members::account_id).first(connection.with(permit))?;
        account.map(|account| terms::end_bound(connection, permit, permit.group(), account)).transpose()?;
    }
    insert_interval(connection, permit, member, to, at, reason)
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

/// Ends a membership that waits for a sender who has taken their referral back, and forgets the name that it was given:
/// nobody came, and what was shared is gone. A membership that somebody has signed up to stays.
pub(super) fn end_waiting(
    connection: &mut Connection,
    permit: &Permit<act::SendReferral>,
    member: Id,
) -> Result<(), Problem> {
    let now = connection.now;
    let sealed = connection.keys([member])?.of(member)?.seal(Place(NAME, member), "Withdrawn");
    let waiting = members::table
        .filter(members::id.eq(member))
        .filter(members::account_id.is_null())
        .filter(members::state.eq_any([State::Invited, State::Screened]));
    let ended = diesel::update(waiting)
        .set((
            members::name.eq(sealed),
            members::state.eq(State::Left),
            members::state_from.eq(now),
            members::version.eq(members::version + 1),
        ))
        .execute(connection.with(permit))?;
    if ended == 0 {
        return Ok(());
    }
    let group: Id = members::table.find(member).select(members::group_id).first(connection.with(permit))?;
    // The receiving side does not learn which account took the referral back.
    leave(connection, permit, group, member, Id::INSTALLATION)
}

/// Closes a membership's interval, and begins one as `left`; recorded under an id that need not be the caller's.
pub(super) fn leave<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    member: Id,
    recorded_by: Id,
) -> Result<(), Problem> {
    let now = connection.now;
    diesel::update(
        membership_intervals::table
            .filter(membership_intervals::member_id.eq(member))
            .filter(membership_intervals::until_at.is_null()),
    )
    .set(membership_intervals::until_at.eq(now))
    .execute(connection.with(permit))?;
    diesel::insert_into(membership_intervals::table)
        .values((
            membership_intervals::id.eq(Id::in_order()),
            membership_intervals::group_id.eq(group),
            membership_intervals::member_id.eq(member),
            membership_intervals::state.eq(State::Left),
            membership_intervals::from_at.eq(now),
            membership_intervals::recorded_by.eq(recorded_by),
            membership_intervals::recorded_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    Ok(())
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

/// When the memberships of these members of the group began: as they were invited, or since when they came before that.
pub fn list_beginnings<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<HashMap<Id, Moment>, Problem> {
    let intervals: Vec<(Id, Moment)> = membership_intervals::table
        .filter(membership_intervals::group_id.eq(permit.group()))
        .filter(membership_intervals::member_id.eq_any(ids))
        .select((membership_intervals::member_id, membership_intervals::from_at))
        .load(connection.with(permit))?;
    let mut beginnings = HashMap::new();
    for (member, from_at) in intervals {
        let began_at = beginnings.entry(member).or_insert(from_at);
        *began_at = from_at.min(*began_at);
    }
    Ok(beginnings)
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

/// The memberships of these accounts in these groups, ended ones too, by group and account.
pub(super) fn list_of_accounts<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    groups: &[Id],
    accounts: &[Id],
) -> Result<HashMap<(Id, Id), Member>, Problem> {
    if groups.is_empty() || accounts.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Id, Row)> = members::table
        .filter(members::group_id.eq_any(groups))
        .filter(members::account_id.eq_any(accounts))
        .select((members::group_id, COLUMNS))
        .load(connection.with(permit))?;
    let (whose, rows): (Vec<_>, Vec<Row>) = rows.into_iter().map(|(group, row)| ((group, row.1), row)).unzip();
    let found = whose.into_iter().zip(open(connection, rows)?);
    Ok(found.filter_map(|((group, account), member)| Some(((group, account?), member))).collect())
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
