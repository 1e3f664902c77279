//! The rows of a record that is taken out: what is signed and stands, without a trace of who wrote it.

mod goals;
mod risks;

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use serde_json::Value;

use super::{
    agreements as kept_agreements, amendments,
    columns::{Json, Sealed},
    connection::Connection,
    members as kept_members,
    permit::{Permit, concerns},
    schema::{
        agenda_deliveries, agenda_items, agreements, attendances, groups, measures, members, membership_intervals,
        organizations, progress_entries, progress_entry_addenda, session_record_addenda, session_records, sessions,
        signatures,
    },
    sealing::Place,
};
use crate::{
    policy::{Act, Kind, act, area},
    problem::Problem,
    rules::{
        agreements::Purpose,
        attendance::{Presence, Status},
        exports::{
            AgendaRow, AttendanceRow, EntryRow, GroupOfRecord, MeasureRow, MemberRow, MembershipRow, Record,
            SessionRecordRow, SessionRow, SignatureRow, SubscaleRow,
        },
        groups::Format,
        instruments::Answers,
        measures::Respondent,
        members::{Interval, State, roster},
        notes::State as NoteState,
        sessions::{Delivered, State as SessionState},
    },
    values::{Id, Moment},
};

pub use goals::list_own_work;

type GroupRow = (Id, String, Kind, String, Id, bool, String);

fn group((id, title, kind, organization, organization_id, part_2, zone): GroupRow) -> GroupOfRecord {
    GroupOfRecord { id, title, kind, organization, organization_id, part_2, zone }
}

/// The group in which the permit holds.
pub fn find_group<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<GroupOfRecord, Problem> {
    list_groups(connection, permit, &[permit.group()])?.pop().ok_or(Problem::NotFound)
}

fn list_groups<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<Vec<GroupOfRecord>, Problem> {
    let rows: Vec<GroupRow> = groups::table
        .inner_join(organizations::table.on(organizations::id.eq(groups::organization_id)))
        .filter(groups::id.eq_any(ids))
        .order(groups::id)
        .select((
            groups::id,
            groups::title,
            groups::kind,
            organizations::name,
            groups::organization_id,
            groups::part_2,
            groups::zone,
        ))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().map(group).collect())
}

/// One member's record, with the sessions at which they were expected. `as_member` leaves out what the member themselves does not read: entries that were not released
/// to them, homework that was taken back, risk marks and reviews.
pub fn find_member(
    connection: &mut Connection,
    permit: &Permit<act::ExportMemberRecord>,
    member: Id,
    as_member: bool,
) -> Result<Record, Problem> {
    kept_members::find(connection, permit, member)?;
    let mut record = read(connection, permit, &[member], as_member)?;
    if !as_member {
        risks::add_what_leads_read(connection, permit, &mut record)?;
    }
    add_own_sessions(connection, permit, &mut record)?;
    Ok(record)
}

/// Adds the sessions that have begun and at which the one member of the record was expected, with what was planned.
fn add_own_sessions(
    connection: &mut Connection,
    permit: &Permit<act::ExportMemberRecord>,
    record: &mut Record,
) -> Result<(), Problem> {
    let now = connection.now;
    let stay = |row: &MembershipRow| Interval {
        member: row.member,
        state: row.state,
        from_at: row.from_at,
        until_at: row.until_at,
    };
    let stays: Vec<Interval> = record.memberships.iter().map(stay).collect();
    let is_recorded = |session: Id| record.attendances.iter().any(|row| row.session == session);
    let mut sessions = list_sessions(connection, permit)?;
    sessions
        .retain(|row| row.starts_at <= now && (is_recorded(row.session) || !roster(&stays, row.starts_at).is_empty()));
    record.agenda = list_agenda(connection, permit, &sessions)?;
    record.sessions = sessions;
    Ok(())
}

/// Whether a member has withdrawn their consent, and not signed again.
pub fn is_withdrawn(
    connection: &mut Connection,
    permit: &Permit<act::ExportMemberRecord>,
    member: Id,
) -> Result<bool, Problem> {
    permit.reaches_member(member)?;
    Ok(!kept_agreements::list_withdrawn(connection, permit, &[member])?.is_empty())
}

/// The records of everybody who is or was a member of the group, with its sessions; and who was left out, because they
/// have withdrawn their consent and what is done rests on it. The records of the sessions stand there all the same: they
/// tell what the group went through, and by rule name nobody.
pub fn find_whole_group(
    connection: &mut Connection,
    permit: &Permit<act::ExportGroupRecord>,
    rests_on_consent: bool,
) -> Result<(Record, Vec<Id>), Problem> {
    concerns(connection, permit, None, None);
    let mut all: Vec<Id> = members::table
        .filter(members::group_id.eq(permit.group()))
        .order(members::id)
        .select(members::id)
        .load(connection.with(permit))?;
    let mut left_out = Vec::new();
    if rests_on_consent {
        left_out = kept_agreements::list_withdrawn(connection, permit, &all)?;
        all.retain(|member| !left_out.contains(member));
    }
    let mut record = read(connection, permit, &all, false)?;
    risks::add_what_leads_read(connection, permit, &mut record)?;
    record.sessions = list_sessions(connection, permit)?;
    record.agenda = list_agenda(connection, permit, &record.sessions)?;
    record.session_records = list_session_records(connection, permit, &record.sessions)?;
    Ok((record, left_out))
}

/// What therapist-led groups keep of somebody.
#[derive(Default)]
pub struct OwnRecord {
    pub record: Record,
    pub groups: Vec<GroupOfRecord>,
    /// The group of each membership.
    pub group_of: HashMap<Id, Id>,
}

/// What therapist-led groups keep of the caller.
pub fn find_own(connection: &mut Connection, permit: &Permit<act::ExportOwnRecords>) -> Result<OwnRecord, Problem> {
    let own: Vec<(Id, Id)> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .filter(members::account_id.eq(permit.account()))
        .filter(groups::kind.eq(Kind::TherapistLed))
        .select((members::id, members::group_id))
        .load(connection.with(permit))?;
    if own.is_empty() {
        return Ok(OwnRecord::default());
    }
    let members: Vec<Id> = own.iter().map(|(member, _)| *member).collect();
    let in_groups: Vec<Id> = own.iter().map(|(_, group)| *group).collect();
    let record = read(connection, permit, &members, true)?;
    let groups = list_groups(connection, permit, &in_groups)?;
    Ok(OwnRecord { record, groups, group_of: own.into_iter().collect() })
}

/// Everything about these members, whom the caller of this function has found to be the permit's.
fn read<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    as_members: bool,
) -> Result<Record, Problem> {
    if whose.is_empty() {
        return Ok(Record::default());
    }
    let mut record = Record {
        members: list_members(connection, permit, whose)?,
        memberships: list_memberships(connection, permit, whose)?,
        signatures: list_signatures(connection, permit, whose)?,
        attendances: list_attendances(connection, permit, whose)?,
        progress_entries: list_entries(connection, permit, whose, as_members)?,
        worked_on: goals::list_work(connection, permit, whose, as_members)?,
        ..Record::default()
    };
    add_measures(connection, permit, whose, &mut record)?;
    record.amendments = amendments::list_rows(connection, permit, whose, &record)?;
    Ok(record)
}

fn list_members<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
) -> Result<Vec<MemberRow>, Problem> {
    let rows: Vec<(Id, Sealed, State, Moment)> = members::table
        .filter(members::id.eq_any(whose))
        .order(members::id)
        .select((members::id, members::name, members::state, members::state_from))
        .load(connection.with(permit))?;
    let keys = connection.keys(whose.iter().copied())?;
    rows.into_iter()
        .map(|(member, name, state, state_from)| {
            let name = keys.of(member)?.open(Place("members.name", member), &name)?;
            Ok(MemberRow { member, name, state, state_from })
        })
        .collect()
}

/// Why somebody was moved is the leads' note and stays here.
fn list_memberships<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
) -> Result<Vec<MembershipRow>, Problem> {
    let rows: Vec<(Id, State, Moment, Option<Moment>)> = membership_intervals::table
        .filter(membership_intervals::member_id.eq_any(whose))
        .order((membership_intervals::member_id, membership_intervals::from_at, membership_intervals::id))
        .select((
            membership_intervals::member_id,
            membership_intervals::state,
            membership_intervals::from_at,
            membership_intervals::until_at,
        ))
        .load(connection.with(permit))?;
    let row = |(member, state, from_at, until_at)| MembershipRow { member, state, from_at, until_at };
    Ok(rows.into_iter().map(row).collect())
}

fn list_signatures<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
) -> Result<Vec<SignatureRow>, Problem> {
    type Row = (Id, Id, String, i32, bool, Moment, Option<Moment>);
    let rows: Vec<Row> = signatures::table
        .inner_join(agreements::table.on(agreements::id.eq(signatures::agreement_id)))
        .filter(signatures::member_id.eq_any(whose))
        .filter(agreements::purpose.eq(Purpose::Consent))
        .order((signatures::member_id, signatures::id))
        .select((
            signatures::id,
            signatures::member_id,
            agreements::title,
            agreements::number,
            signatures::on_paper,
            signatures::signed_at,
            signatures::withdrawn_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(id, member, title, number, on_paper, signed_at, withdrawn_at)| SignatureRow {
            id,
            member,
            title,
            number,
            on_paper,
            signed_at,
            withdrawn_at,
        })
        .collect())
}

fn list_attendances<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
) -> Result<Vec<AttendanceRow>, Problem> {
    type Row = (Id, Id, Id, Moment, Status, Presence, Option<Moment>, Option<Moment>, i32);
    let rows: Vec<Row> = attendances::table
        .filter(attendances::member_id.eq_any(whose))
        .order((attendances::member_id, attendances::starts_at, attendances::id))
        .select((
            attendances::id,
            attendances::member_id,
            attendances::session_id,
            attendances::starts_at,
            attendances::status,
            attendances::modality,
            attendances::arrived_at,
            attendances::left_at,
            attendances::minutes,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(id, member, session, starts_at, status, modality, arrived_at, left_at, minutes)| AttendanceRow {
            id,
            member,
            session,
            starts_at,
            status,
            modality,
            arrived_at,
            left_at,
            minutes,
        })
        .collect())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = measures)]
struct KeptMeasure {
    id: Id,
    member_id: Id,
    session_id: Option<Id>,
    taken_at: Moment,
    instrument: String,
    instrument_version: String,
    respondent: Respondent,
    answers: Sealed,
    score: Option<i32>,
    no_score: Option<String>,
    prorated: bool,
    band: Option<String>,
    subscales: Json,
    risk: String,
    recorded_at: Moment,
    version: i32,
}

fn points(thousandths: i32) -> f64 {
    f64::from(thousandths) / 1000.0
}

fn add_measures<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    record: &mut Record,
) -> Result<(), Problem> {
    let rows: Vec<KeptMeasure> = measures::table
        .filter(measures::member_id.eq_any(whose))
        .filter(measures::entered_in_error.eq(false))
        .order((measures::member_id, measures::taken_at, measures::id))
        .select(KeptMeasure::as_select())
        .load(connection.with(permit))?;
    let keys = connection.keys(whose.iter().copied())?;
    for row in rows {
        let text = keys.of(row.member_id)?.open(Place("measures.answers", row.id), &row.answers)?;
        let answers: Answers =
            serde_json::from_str(&text).map_err(|_| Problem::Internal("kept answers cannot be read".into()))?;
        record.add_answers(row.member_id, row.id, (&row.instrument, &row.instrument_version), &answers);
        let subscales: BTreeMap<String, Option<i32>> = row.subscales.value();
        record.subscales.extend(subscales.into_iter().map(|(subscale, score)| SubscaleRow {
            member: row.member_id,
            measure: row.id,
            subscale,
            score: score.map(points),
        }));
        let why: Option<Value> = row.no_score.and_then(|reason| serde_json::from_str(&reason).ok());
        record.measures.push(MeasureRow {
            measure: row.id,
            member: row.member_id,
            session: row.session_id,
            taken_at: row.taken_at,
            instrument: row.instrument,
            instrument_version: row.instrument_version,
            respondent: row.respondent,
            score: row.score.map(points),
            no_score: why.and_then(|why| Some(why["reason"].as_str()?.to_owned())),
            prorated: row.prorated,
            band: row.band,
            risk: row.risk,
            recorded_at: row.recorded_at,
            version: row.version,
        });
    }
    Ok(())
}

fn list_entries<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    released_only: bool,
) -> Result<Vec<EntryRow>, Problem> {
    type Row = (Id, Id, Option<Id>, Moment, Moment, Option<Moment>, Option<Moment>, Sealed);
    let mut query = progress_entries::table
        .filter(progress_entries::member_id.eq_any(whose))
        .filter(progress_entries::state.eq(NoteState::Signed))
        .order((progress_entries::member_id, progress_entries::id))
        .select((
            progress_entries::id,
            progress_entries::member_id,
            progress_entries::session_id,
            progress_entries::occurred_at,
            progress_entries::recorded_at,
            progress_entries::signed_at,
            progress_entries::released_at,
            progress_entries::text,
        ))
        .into_boxed();
    if released_only {
        query = query.filter(progress_entries::released_at.is_not_null());
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
    let added: Vec<(Id, Id, Sealed)> = progress_entry_addenda::table
        .filter(progress_entry_addenda::progress_entry_id.eq_any(ids))
        .order(progress_entry_addenda::id)
        .select((progress_entry_addenda::id, progress_entry_addenda::progress_entry_id, progress_entry_addenda::text))
        .load(connection.with(permit))?;
    let keys = connection.keys(whose.iter().copied())?;
    rows.into_iter()
        .map(|(id, member, session, occurred_at, recorded_at, signed_at, released_at, text)| {
            let key = keys.of(member)?;
            let addenda = added.iter().filter(|(_, entry, _)| *entry == id);
            Ok(EntryRow {
                id,
                member,
                session,
                occurred_at,
                recorded_at,
                signed_at,
                released_at,
                text: key.open(Place("progress_entries.text", id), &text)?,
                addenda: addenda
                    .map(|(id, _, text)| key.open(Place("progress_entry_addenda.text", *id), text))
                    .collect::<Result<_, Problem>>()?,
            })
        })
        .collect()
}

fn list_sessions<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Vec<SessionRow>, Problem> {
    type Row = (Id, Option<String>, SessionState, Format, Moment, i32, Option<Moment>, Option<Moment>);
    let rows: Vec<Row> = sessions::table
        .filter(sessions::group_id.eq(permit.group()))
        .order((sessions::starts_at, sessions::id))
        .select((
            sessions::id,
            sessions::title,
            sessions::state,
            sessions::modality,
            sessions::starts_at,
            sessions::minutes,
            sessions::held_from,
            sessions::held_until,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(session, title, state, modality, starts_at, minutes, held_from, held_until)| SessionRow {
            session,
            title,
            state,
            modality,
            starts_at,
            minutes,
            held_from,
            held_until,
        })
        .collect())
}

fn list_agenda<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    of: &[SessionRow],
) -> Result<Vec<AgendaRow>, Problem> {
    type Row = (Id, i32, String, i32, Option<(Delivered, i32)>);
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = of.iter().map(|session| session.session).collect();
    let mut rows: Vec<Row> = agenda_items::table
        .left_join(agenda_deliveries::table.on(agenda_deliveries::item_id.eq(agenda_items::id)))
        .filter(agenda_items::session_id.eq_any(&ids))
        .select((
            agenda_items::session_id,
            agenda_items::position,
            agenda_items::technique,
            agenda_items::planned_minutes,
            (agenda_deliveries::delivered, agenda_deliveries::minutes).nullable(),
        ))
        .load(connection.with(permit))?;
    let order: HashMap<Id, usize> = ids.into_iter().enumerate().map(|(index, id)| (id, index)).collect();
    rows.sort_unstable_by_key(|row| (order.get(&row.0).copied(), row.1));
    Ok(rows
        .into_iter()
        .map(|(session, position, technique, planned_minutes, done)| AgendaRow {
            session,
            position,
            technique,
            planned_minutes,
            delivered: done.map(|(delivered, _)| delivered.to_string()),
            delivered_minutes: done.map(|(_, minutes)| minutes),
        })
        .collect())
}

fn list_session_records(
    connection: &mut Connection,
    permit: &Permit<act::ExportGroupRecord>,
    of: &[SessionRow],
) -> Result<Vec<SessionRecordRow>, Problem> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = of.iter().map(|session| session.session).collect();
    let rows: Vec<(Id, Id, Sealed, Option<Moment>)> = session_records::table
        .filter(session_records::session_id.eq_any(&ids))
        .filter(session_records::state.eq(NoteState::Signed))
        .order(session_records::id)
        .select((session_records::id, session_records::session_id, session_records::text, session_records::signed_at))
        .load(connection.with(permit))?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let written: Vec<Id> = rows.iter().map(|row| row.0).collect();
    let added: Vec<(Id, Id, Sealed)> = session_record_addenda::table
        .filter(session_record_addenda::session_record_id.eq_any(written))
        .order(session_record_addenda::id)
        .select((session_record_addenda::id, session_record_addenda::session_record_id, session_record_addenda::text))
        .load(connection.with(permit))?;
    let group = permit.group();
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    rows.into_iter()
        .map(|(id, session, text, signed_at)| {
            let addenda = added.iter().filter(|(_, record, _)| *record == id);
            Ok(SessionRecordRow {
                session,
                text: key.open(Place("session_records.text", id), &text)?,
                signed_at,
                addenda: addenda
                    .map(|(id, _, text)| key.open(Place("session_record_addenda.text", *id), text))
                    .collect::<Result<_, Problem>>()?,
            })
        })
        .collect()
}
