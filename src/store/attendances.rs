//! Attendance of named members, with every version that it had.

use diesel::prelude::*;

use super::{
    columns::{Sealed, word_columns},
    connection::{Connection, insert_many},
    permit::{Permit, concerns},
    schema::{attendance_versions, attendances},
    sealing::Place,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::attendance::{Presence, Status},
    values::{Id, Moment},
};

const REASON: &str = "attendances.reason";

word_columns!(Status, Presence);

/// One member's attendance of one session, as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = attendances)]
pub struct Attendance {
    pub id: Id,
    pub group_id: Id,
    pub session_id: Id,
    pub member_id: Id,
    pub status: Status,
    pub modality: Presence,
    pub arrived_at: Option<Moment>,
    pub left_at: Option<Moment>,
    pub minutes: i32,
    pub starts_at: Moment,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    reason: Option<Sealed>,
    pub version: i32,
}

/// What is said of one member's attendance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub member: Id,
    pub status: Status,
    pub modality: Presence,
    pub arrived_at: Option<Moment>,
    pub left_at: Option<Moment>,
    pub minutes: i32,
}

impl Attendance {
    /// Whether it already says so.
    pub fn says(&self, said: &Said) -> bool {
        *said
            == Said {
                member: self.member_id,
                status: self.status,
                modality: self.modality,
                arrived_at: self.arrived_at,
                left_at: self.left_at,
                minutes: self.minutes,
            }
    }
}

/// One version of an attendance: what was said, by whom, when and why.
#[derive(Clone, Debug)]
pub struct PastVersion {
    pub version: i32,
    pub status: Status,
    pub modality: Presence,
    pub arrived_at: Option<Moment>,
    pub left_at: Option<Moment>,
    pub minutes: i32,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    pub reason: Option<String>,
}

/// First attendances of a session.
pub fn insert<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
    starts_at: Moment,
    said: &[Said],
) -> Result<Vec<Attendance>, Problem> {
    permit.reaches_session(session)?;
    let now = connection.now;
    let made = |said: &Said| Attendance {
        id: Id::in_order(),
        group_id: permit.group(),
        session_id: session,
        member_id: said.member,
        status: said.status,
        modality: said.modality,
        arrived_at: said.arrived_at,
        left_at: said.left_at,
        minutes: said.minutes,
        starts_at,
        recorded_by: permit.account(),
        recorded_at: now,
        reason: None,
        version: 1,
    };
    let made: Vec<Attendance> = said.iter().map(made).collect();
    let rows: Vec<_> = made
        .iter()
        .map(|made| {
            (
                attendances::id.eq(made.id),
                attendances::group_id.eq(made.group_id),
                attendances::session_id.eq(made.session_id),
                attendances::member_id.eq(made.member_id),
                attendances::status.eq(made.status),
                attendances::modality.eq(made.modality),
                attendances::arrived_at.eq(made.arrived_at),
                attendances::left_at.eq(made.left_at),
                attendances::minutes.eq(made.minutes),
                attendances::starts_at.eq(made.starts_at),
                attendances::recorded_by.eq(made.recorded_by),
                attendances::recorded_at.eq(made.recorded_at),
                attendances::version.eq(made.version),
            )
        })
        .collect();
    insert_many!(connection.with(permit), attendances::table, &rows)?;
    Ok(made)
}

/// Keeps the version that stood, and puts the new one in its place, which it gives.
pub fn update<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    kept: &Attendance,
    said: &Said,
    reason: &str,
) -> Result<Attendance, Problem> {
    diesel::insert_into(attendance_versions::table)
        .values((
            attendance_versions::attendance_id.eq(kept.id),
            attendance_versions::group_id.eq(permit.group()),
            attendance_versions::version.eq(kept.version),
            attendance_versions::status.eq(kept.status),
            attendance_versions::modality.eq(kept.modality),
            attendance_versions::arrived_at.eq(kept.arrived_at),
            attendance_versions::left_at.eq(kept.left_at),
            attendance_versions::minutes.eq(kept.minutes),
            attendance_versions::recorded_by.eq(kept.recorded_by),
            attendance_versions::recorded_at.eq(kept.recorded_at),
            attendance_versions::reason.eq(&kept.reason),
        ))
        .execute(connection.with(permit))?;
    let member = kept.member_id;
    let now = connection.now;
    let made = Attendance {
        status: said.status,
        modality: said.modality,
        arrived_at: said.arrived_at,
        left_at: said.left_at,
        minutes: said.minutes,
        recorded_by: permit.account(),
        recorded_at: now,
        reason: Some(connection.keys([member])?.of(member)?.seal(Place(REASON, kept.id), reason)),
        version: kept.version + 1,
        ..kept.clone()
    };
    let changed = diesel::update(
        attendances::table
            .filter(attendances::id.eq(kept.id))
            .filter(attendances::group_id.eq(permit.group()))
            .filter(attendances::version.eq(kept.version)),
    )
    .set((
        attendances::status.eq(made.status),
        attendances::modality.eq(made.modality),
        attendances::arrived_at.eq(made.arrived_at),
        attendances::left_at.eq(made.left_at),
        attendances::minutes.eq(made.minutes),
        attendances::recorded_by.eq(made.recorded_by),
        attendances::recorded_at.eq(made.recorded_at),
        attendances::reason.eq(&made.reason),
        attendances::version.eq(made.version),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(made) }
}

/// A session's attendance, or the caller's own in it.
pub fn list<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<Vec<Attendance>, Problem> {
    permit.reaches_session(session)?;
    let mut query = attendances::table
        .filter(attendances::session_id.eq(session))
        .filter(attendances::group_id.eq(permit.group()))
        .order(attendances::member_id)
        .select(Attendance::as_select())
        .into_boxed();
    if let Some(own) = permit.only_member()? {
        query = query.filter(attendances::member_id.eq(own));
    }
    Ok(query.load(connection.with(permit))?)
}

pub fn find<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
    member: Id,
) -> Result<Option<Attendance>, Problem> {
    permit.reaches_session(session)?;
    permit.reaches_member(member)?;
    let found: Option<Attendance> = attendances::table
        .filter(attendances::session_id.eq(session))
        .filter(attendances::member_id.eq(member))
        .filter(attendances::group_id.eq(permit.group()))
        .select(Attendance::as_select())
        .first(connection.with(permit))
        .optional()?;
    concerns(connection, permit, Some(member), found.as_ref().map(|attendance| attendance.id));
    Ok(found)
}

/// One member's attendance in this group, oldest first.
pub fn list_of_member(
    connection: &mut Connection,
    permit: &Permit<act::ReadAttendance>,
    member: Id,
) -> Result<Vec<Attendance>, Problem> {
    permit.reaches_member(member)?;
    concerns(connection, permit, Some(member), None);
    Ok(attendances::table
        .filter(attendances::member_id.eq(member))
        .filter(attendances::group_id.eq(permit.group()))
        .order((attendances::starts_at, attendances::id))
        .select(Attendance::as_select())
        .load(connection.with(permit))?)
}

/// The versions that an attendance had before the one that stands, oldest first.
pub fn list_versions(
    connection: &mut Connection,
    permit: &Permit<act::ReadAttendance>,
    kept: &Attendance,
) -> Result<Vec<PastVersion>, Problem> {
    type Row = (i32, Status, Presence, Option<Moment>, Option<Moment>, i32, Id, Moment, Option<Sealed>);
    let rows: Vec<Row> = attendance_versions::table
        .filter(attendance_versions::attendance_id.eq(kept.id))
        .filter(attendance_versions::group_id.eq(permit.group()))
        .order(attendance_versions::version)
        .select((
            attendance_versions::version,
            attendance_versions::status,
            attendance_versions::modality,
            attendance_versions::arrived_at,
            attendance_versions::left_at,
            attendance_versions::minutes,
            attendance_versions::recorded_by,
            attendance_versions::recorded_at,
            attendance_versions::reason,
        ))
        .load(connection.with(permit))?;
    let current = (
        kept.version,
        kept.status,
        kept.modality,
        kept.arrived_at,
        kept.left_at,
        kept.minutes,
        kept.recorded_by,
        kept.recorded_at,
        kept.reason.clone(),
    );
    let member = kept.member_id;
    let keys = connection.keys([member])?;
    rows.into_iter()
        .chain([current])
        .map(|(version, status, modality, arrived_at, left_at, minutes, recorded_by, recorded_at, reason)| {
            let reason = reason.map(|reason| keys.of(member)?.open(Place(REASON, kept.id), &reason)).transpose()?;
            Ok(PastVersion {
                version,
                status,
                modality,
                arrived_at,
                left_at,
                minutes,
                recorded_by,
                recorded_at,
                reason,
            })
        })
        .collect()
}
