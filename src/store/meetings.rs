//! Head counts, readings of the rules, pseudonyms and where they were, and what a lower mode takes away of it.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{
    columns::Sealed,
    connection::{Connection, insert_many},
    idempotency,
    members::{self, mark},
    permit::Permit,
    schema::{
        attendance_versions, attendances, head_count_versions, head_counts, members as member_rows,
        pseudonym_attendances, pseudonyms, readings,
    },
    sealing::Place,
    sessions::Session,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::meetings::{AttendanceMode, is_same_pseudonym},
    values::{Id, Moment},
};

const PSEUDONYM: &str = "pseudonyms.name";
const REASON: &str = "head_count_versions.reason";

/// How many heads were counted, as it stands.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = head_counts)]
pub struct HeadCount {
    pub heads: i32,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    pub version: i32,
}

/// One version of a head count.
#[derive(Clone, Debug)]
pub struct PastHeadCount {
    pub version: i32,
    pub heads: i32,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    /// Why it took the place of the version before.
    pub reason: Option<String>,
}

/// Which rules were read out, and how many acknowledged them.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = readings)]
pub struct Reading {
    pub agreement_id: Id,
    pub acknowledged: i32,
}

/// A name that a member chose.
#[derive(Clone, Debug)]
pub struct Pseudonym {
    pub id: Id,
    pub name: String,
}

/// Who can be ticked at a session.
#[derive(Clone, Debug)]
pub struct Tickable {
    pub members: Vec<Id>,
    pub pseudonyms: Vec<Pseudonym>,
}

/// What a member chose for themselves.
#[derive(Clone, Debug)]
pub struct OwnMode {
    /// `None`: whatever the group keeps.
    pub mode: Option<AttendanceMode>,
    pub pseudonym: Option<Pseudonym>,
}

/// The session's head count; `None` until it was recorded.
pub fn find_heads<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<Option<HeadCount>, Problem> {
    permit.reaches_session(session)?;
    Ok(head_counts::table
        .filter(head_counts::session_id.eq(session))
        .filter(head_counts::group_id.eq(permit.group()))
        .select(HeadCount::as_select())
        .first(connection.with(permit))
        .optional()?)
}

/// Keeps a head count; the version that stood is kept beside it, with the reason why it does so no longer.
pub fn update_heads(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeeting>,
    session: Id,
    heads: i32,
    reason: Option<&str>,
) -> Result<(), Problem> {
    let (group, now) = (permit.group(), connection.now);
    let Some(kept) = find_heads(connection, permit, session)? else {
        diesel::insert_into(head_counts::table)
            .values((
                head_counts::session_id.eq(session),
                head_counts::group_id.eq(group),
                head_counts::heads.eq(heads),
                head_counts::recorded_by.eq(permit.account()),
                head_counts::recorded_at.eq(now),
                head_counts::version.eq(1),
            ))
            .execute(connection.with(permit))?;
        return Ok(());
    };
    let keys = connection.keys([group])?;
    let sealed = reason.map(|reason| Ok::<_, Problem>(keys.of(group)?.seal(place_of(session, kept.version), reason)));
    diesel::insert_into(head_count_versions::table)
        .values((
            head_count_versions::session_id.eq(session),
            head_count_versions::group_id.eq(group),
            head_count_versions::version.eq(kept.version),
            head_count_versions::heads.eq(kept.heads),
            head_count_versions::recorded_by.eq(kept.recorded_by),
            head_count_versions::recorded_at.eq(kept.recorded_at),
            head_count_versions::reason.eq(sealed.transpose()?),
        ))
        .execute(connection.with(permit))?;
    let changed = diesel::update(
        head_counts::table
            .filter(head_counts::session_id.eq(session))
            .filter(head_counts::group_id.eq(group))
            .filter(head_counts::version.eq(kept.version)),
    )
    .set((
        head_counts::heads.eq(heads),
        head_counts::recorded_by.eq(permit.account()),
        head_counts::recorded_at.eq(now),
        head_counts::version.eq(kept.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Where a version's reason is sealed: the row has two parts to its key, and both are bound.
fn place_of(session: Id, version: i32) -> Place {
    Place(REASON, Id(uuid::Uuid::from_u128(session.0.as_u128() ^ u128::from(version.unsigned_abs()))))
}

/// Every version of the session's head count, oldest first; none until it was recorded.
pub fn list_head_versions(
    connection: &mut Connection,
    permit: &Permit<act::ReadMeeting>,
    session: Id,
) -> Result<Vec<PastHeadCount>, Problem> {
    type Row = (i32, i32, Id, Moment, Option<Sealed>);
    let Some(current) = find_heads(connection, permit, session)? else { return Ok(Vec::new()) };
    let group = permit.group();
    let rows: Vec<Row> = head_count_versions::table
        .filter(head_count_versions::session_id.eq(session))
        .filter(head_count_versions::group_id.eq(group))
        .order(head_count_versions::version)
        .select((
            head_count_versions::version,
            head_count_versions::heads,
            head_count_versions::recorded_by,
            head_count_versions::recorded_at,
            head_count_versions::reason,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    let mut versions = Vec::with_capacity(rows.len() + 1);
    let mut why = None;
    for (version, heads, recorded_by, recorded_at, reason) in rows {
        versions.push(PastHeadCount { version, heads, recorded_by, recorded_at, reason: why });
        why = reason.map(|reason| key.open(place_of(session, version), &reason)).transpose()?;
    }
    let HeadCount { heads, recorded_by, recorded_at, version } = current;
    versions.push(PastHeadCount { version, heads, recorded_by, recorded_at, reason: why });
    Ok(versions)
}

pub fn find_reading<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<Option<Reading>, Problem> {
    permit.reaches_session(session)?;
    Ok(readings::table
        .filter(readings::session_id.eq(session))
        .filter(readings::group_id.eq(permit.group()))
        .select(Reading::as_select())
        .first(connection.with(permit))
        .optional()?)
}

/// Keeps that these rules were read out, or that none were.
pub fn update_reading(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeeting>,
    session: Id,
    reading: Option<Reading>,
) -> Result<(), Problem> {
    permit.reaches_session(session)?;
    let (group, now) = (permit.group(), connection.now);
    let of_session = readings::table.filter(readings::session_id.eq(session)).filter(readings::group_id.eq(group));
    diesel::delete(of_session).execute(connection.with(permit))?;
    let Some(reading) = reading else { return Ok(()) };
    diesel::insert_into(readings::table)
        .values((
            readings::session_id.eq(session),
            readings::group_id.eq(group),
            readings::agreement_id.eq(reading.agreement_id),
            readings::acknowledged.eq(reading.acknowledged),
            readings::recorded_by.eq(permit.account()),
            readings::recorded_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Whom a facilitator can tick: of those who were expected at the session, whatever they are today, those whose mode
/// lets them be. `mode`: the most that is kept of the session.
pub fn list_tickable<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: &Session,
    mode: AttendanceMode,
) -> Result<Tickable, Problem> {
    let roster = members::list_roster(connection, permit, session.starts_at)?;
    let chosen: Vec<(Id, Option<AttendanceMode>)> = member_rows::table
        .filter(member_rows::group_id.eq(permit.group()))
        .filter(member_rows::id.eq_any(roster))
        .select((member_rows::id, member_rows::attendance_mode))
        .load(connection.with(permit))?;
    let kept_as = |wanted: AttendanceMode| {
        let fits = chosen.iter().filter(move |(_, own)| mode.lowered_to(*own) == wanted);
        fits.map(|(member, _)| *member).collect::<Vec<Id>>()
    };
    let (named, hidden) = (kept_as(AttendanceMode::Named), kept_as(AttendanceMode::Pseudonym));
    let owners: Vec<Vec<u8>> = hidden.iter().map(|member| mark(connection, "pseudonyms", *member)).collect();
    let rows: Vec<(Id, Sealed)> = pseudonyms::table
        .filter(pseudonyms::group_id.eq(permit.group()))
        .filter(pseudonyms::owner.eq_any(owners))
        .select((pseudonyms::id, pseudonyms::name))
        .load(connection.with(permit))?;
    Ok(Tickable { members: named, pseudonyms: open(connection, permit, rows)? })
}

fn open<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    rows: Vec<(Id, Sealed)>,
) -> Result<Vec<Pseudonym>, Problem> {
    let group = permit.group();
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    rows.into_iter().map(|(id, name)| Ok(Pseudonym { id, name: key.open(Place(PSEUDONYM, id), &name)? })).collect()
}

/// The pseudonyms that were at a session.
pub fn list_pseudonyms<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<Vec<Pseudonym>, Problem> {
    permit.reaches_session(session)?;
    let rows: Vec<(Id, Sealed)> = pseudonym_attendances::table
        .inner_join(pseudonyms::table.on(pseudonyms::id.eq(pseudonym_attendances::pseudonym_id)))
        .filter(pseudonym_attendances::session_id.eq(session))
        .filter(pseudonym_attendances::group_id.eq(permit.group()))
        .select((pseudonyms::id, pseudonyms::name))
        .load(connection.with(permit))?;
    open(connection, permit, rows)
}

/// Says that these pseudonyms were at a session, besides those of whom it is known.
pub fn insert_pseudonym_attendances<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
    pseudonyms: &[Id],
) -> Result<(), Problem> {
    permit.reaches_session(session)?;
    let rows: Vec<_> = pseudonyms
        .iter()
        .map(|pseudonym| {
            (
                pseudonym_attendances::session_id.eq(session),
                pseudonym_attendances::pseudonym_id.eq(*pseudonym),
                pseudonym_attendances::group_id.eq(permit.group()),
            )
        })
        .collect();
    insert_many!(connection.with(permit), pseudonym_attendances::table, &rows)?;
    Ok(())
}

/// Takes everybody off a session who was not there after all.
pub fn remove_absent(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeeting>,
    session: Id,
    members: &[Id],
    pseudonyms: &[Id],
) -> Result<(), Problem> {
    permit.reaches_session(session)?;
    let group = permit.group();
    let gone = attendances::table
        .filter(attendances::session_id.eq(session))
        .filter(attendances::group_id.eq(group))
        .filter(attendances::member_id.eq_any(members));
    let versions = attendance_versions::table
        .filter(attendance_versions::attendance_id.eq_any(gone.clone().select(attendances::id)));
    diesel::delete(versions).execute(connection.with(permit))?;
    diesel::delete(gone).execute(connection.with(permit))?;
    diesel::delete(
        pseudonym_attendances::table
            .filter(pseudonym_attendances::session_id.eq(session))
            .filter(pseudonym_attendances::group_id.eq(group))
            .filter(pseudonym_attendances::pseudonym_id.eq_any(pseudonyms)),
    )
    .execute(connection.with(permit))?;
    if members.is_empty() && pseudonyms.is_empty() { Ok(()) } else { idempotency::empty(connection, permit, group) }
}

/// What the member chose; the permit reaches only their own.
pub fn find_own_mode<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<OwnMode, Problem> {
    permit.reaches_member(member)?;
    let mode: Option<AttendanceMode> = member_rows::table
        .filter(member_rows::id.eq(member))
        .filter(member_rows::group_id.eq(permit.group()))
        .select(member_rows::attendance_mode)
        .first(connection.with(permit))?;
    let row: Option<(Id, Sealed)> = pseudonyms::table
        .filter(pseudonyms::group_id.eq(permit.group()))
        .filter(pseudonyms::owner.eq(mark(connection, "pseudonyms", member)))
        .select((pseudonyms::id, pseudonyms::name))
        .first(connection.with(permit))
        .optional()?;
    let pseudonym = open(connection, permit, row.into_iter().collect())?.pop();
    Ok(OwnMode { mode, pseudonym })
}

/// How many meetings keep that the member was there.
pub fn count_own(
    connection: &mut Connection,
    permit: &Permit<act::SetAttendanceMode>,
    member: Id,
    own: &OwnMode,
) -> Result<i64, Problem> {
    permit.reaches_member(member)?;
    let named: i64 = attendances::table
        .filter(attendances::member_id.eq(member))
        .filter(attendances::group_id.eq(permit.group()))
        .count()
        .get_result(connection.with(permit))?;
    let Some(pseudonym) = &own.pseudonym else { return Ok(named) };
    let hidden: i64 = pseudonym_attendances::table
        .filter(pseudonym_attendances::pseudonym_id.eq(pseudonym.id))
        .count()
        .get_result(connection.with(permit))?;
    Ok(named + hidden)
}

/// Whether it is kept that the caller was at a session.
pub fn was_there(
    connection: &mut Connection,
    permit: &Permit<act::MakeProof>,
    member: Id,
    session: Id,
) -> Result<bool, Problem> {
    let own = find_own_mode(connection, permit, member)?;
    if super::attendances::find(connection, permit, session, member)?.is_some_and(|kept| kept.status.was_there()) {
        return Ok(true);
    }
    let Some(pseudonym) = own.pseudonym else { return Ok(false) };
    Ok(list_pseudonyms(connection, permit, session)?.iter().any(|there| there.id == pseudonym.id))
}

/// Keeps what a member chose, and takes away what was kept of them beyond it.
///
/// # Errors
/// `Conflict` when somebody else in the group goes by that pseudonym.
pub fn update_own_mode(
    connection: &mut Connection,
    permit: &Permit<act::SetAttendanceMode>,
    member: Id,
    mode: Option<AttendanceMode>,
    effective: AttendanceMode,
    pseudonym: Option<&str>,
) -> Result<(), Problem> {
    permit.reaches_member(member)?;
    let (group, owner) = (permit.group(), mark(connection, "pseudonyms", member));
    diesel::update(member_rows::table.filter(member_rows::id.eq(member)).filter(member_rows::group_id.eq(group)))
        .set(member_rows::attendance_mode.eq(mode))
        .execute(connection.with(permit))?;
    if effective < AttendanceMode::Named {
        let beyond = attendances::table.filter(attendances::member_id.eq(member));
        let versions = attendance_versions::table
            .filter(attendance_versions::attendance_id.eq_any(beyond.select(attendances::id)));
        diesel::delete(versions).execute(connection.with(permit))?;
        diesel::delete(beyond).execute(connection.with(permit))?;
    }
    if effective < AttendanceMode::Pseudonym {
        let own = pseudonyms::table.filter(pseudonyms::group_id.eq(group)).filter(pseudonyms::owner.eq(&owner));
        let beyond =
            pseudonym_attendances::table.filter(pseudonym_attendances::pseudonym_id.eq_any(own.select(pseudonyms::id)));
        diesel::delete(beyond).execute(connection.with(permit))?;
        diesel::delete(own).execute(connection.with(permit))?;
    }
    idempotency::empty(connection, permit, group)?;
    match pseudonym {
        Some(name) => update_pseudonym(connection, permit, &owner, name),
        None => Ok(()),
    }
}

fn update_pseudonym(
    connection: &mut Connection,
    permit: &Permit<act::SetAttendanceMode>,
    owner: &[u8],
    name: &str,
) -> Result<(), Problem> {
    let group = permit.group();
    let rows: Vec<(Id, Vec<u8>, Sealed)> = pseudonyms::table
        .filter(pseudonyms::group_id.eq(group))
        .select((pseudonyms::id, pseudonyms::owner, pseudonyms::name))
        .load(connection.with(permit))?;
    let own = rows.iter().find(|(_, of, _)| of == owner).map(|(id, ..)| *id);
    let others = rows.into_iter().filter(|(_, of, _)| of != owner).map(|(id, _, name)| (id, name)).collect();
    if open(connection, permit, others)?.iter().any(|other| is_same_pseudonym(&other.name, name)) {
        return Err(Problem::Conflict("Somebody in the group goes by this pseudonym.".into()));
    }
    let id = own.unwrap_or_else(Id::random);
    let sealed = connection.keys([group])?.of(group)?.seal(Place(PSEUDONYM, id), name);
    if own.is_some() {
        diesel::update(pseudonyms::table.filter(pseudonyms::id.eq(id)).filter(pseudonyms::group_id.eq(group)))
            .set(pseudonyms::name.eq(sealed))
            .execute(connection.with(permit))?;
        return Ok(());
    }
    diesel::insert_into(pseudonyms::table)
        .values((
            pseudonyms::id.eq(id),
            pseudonyms::group_id.eq(group),
            pseudonyms::owner.eq(owner),
            pseudonyms::name.eq(sealed),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Takes away what is kept of the whole group beyond a mode. Head counts stay as they are.
pub fn remove_beyond(
    connection: &mut Connection,
    permit: &Permit<act::ChangePeerSettings>,
    mode: AttendanceMode,
) -> Result<(), Problem> {
    let group = permit.group();
    if mode < AttendanceMode::Named {
        let beyond = attendances::table.filter(attendances::group_id.eq(group));
        let versions = attendance_versions::table
            .filter(attendance_versions::attendance_id.eq_any(beyond.select(attendances::id)));
        diesel::delete(versions).execute(connection.with(permit))?;
        diesel::delete(beyond).execute(connection.with(permit))?;
    }
    if mode < AttendanceMode::Pseudonym {
        let all = pseudonyms::table.filter(pseudonyms::group_id.eq(group));
        let beyond =
            pseudonym_attendances::table.filter(pseudonym_attendances::pseudonym_id.eq_any(all.select(pseudonyms::id)));
        diesel::delete(beyond).execute(connection.with(permit))?;
        diesel::delete(all).execute(connection.with(permit))?;
    }
    idempotency::empty(connection, permit, group)
}

/// The names of members who were there or can be ticked, in the order of the names: an order of ids or rows would say
/// who came when.
pub fn list_names<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<Vec<(Id, String)>, Problem> {
    let names: HashMap<Id, String> = members::list_names(connection, permit, ids)?;
    let mut named: Vec<(Id, String)> = names.into_iter().collect();
    named.sort_by_key(|(id, name)| (name.to_lowercase(), *id));
    Ok(named)
}
