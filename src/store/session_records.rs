//! Session records: one for a session, shared by the group's clinicians, sealed under the group's key.

use diesel::{dsl::auto_type, prelude::*};

use super::{
    columns::{Sealed, word_columns},
    connection::Connection,
    permit::{Permit, concerns},
    schema::{session_record_addenda, session_records, standings},
    sealing::Place,
    standings::live_leads,
};
use crate::{
    policy::{Standing, act, area},
    problem::Problem,
    rules::notes::{Addendum, State},
    values::{Id, Moment},
};

const TEXT: &str = "session_records.text";
const ADDENDUM: &str = "session_record_addenda.text";

word_columns!(State);

/// What a session was: times, agenda, what was delivered. It names no member.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: Id,
    pub session: Id,
    pub text: String,
    pub state: State,
    /// The account that began the draft.
    pub author: Id,
    pub recorded_at: Moment,
    pub signed_by: Option<Id>,
    pub signed_at: Option<Moment>,
    pub cosigned_by: Option<Id>,
    pub cosigned_at: Option<Moment>,
    pub version: i32,
    /// Oldest first.
    pub addenda: Vec<Addendum>,
}

/// The actions that meet a session record. No permit for another kind of note opens one.
pub trait OnSessionRecord: area::Group {}
impl OnSessionRecord for act::ReadSessionRecord {}
impl OnSessionRecord for act::WriteSessionRecord {}
impl OnSessionRecord for act::SignSessionRecord {}
impl OnSessionRecord for act::CosignSessionRecord {}

#[derive(Queryable, Selectable)]
#[diesel(table_name = session_records)]
struct Row {
    id: Id,
    text: Sealed,
    state: State,
    author_id: Id,
    recorded_at: Moment,
    signed_by: Option<Id>,
    signed_at: Option<Moment>,
    cosigned_by: Option<Id>,
    cosigned_at: Option<Moment>,
    version: i32,
}

/// The row of a group in the version that was read: what changed meanwhile is not found.
#[auto_type(no_type_alias)]
fn unchanged(group: Id, id: Id, version: i32) -> _ {
    session_records::table
        .filter(session_records::id.eq(id))
        .filter(session_records::group_id.eq(group))
        .filter(session_records::version.eq(version))
}

/// The record of a session of the group, if one was begun; somebody else's draft is not there for a permit that
/// reaches only one's own.
pub fn find<A: OnSessionRecord>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<Option<Record>, Problem> {
    let group = permit.group();
    let row: Option<Row> = session_records::table
        .filter(session_records::group_id.eq(group))
        .filter(session_records::session_id.eq(session))
        .select(Row::as_select())
        .first(connection.with(permit))
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    // Named in the log even where the permit does not reach it: trying is an access too.
    concerns(connection, permit, None, Some(row.id));
    permit.reaches_author(row.author_id)?;
    let addenda: Vec<(Id, Sealed, Id, Moment)> = session_record_addenda::table
        .filter(session_record_addenda::group_id.eq(group))
        .filter(session_record_addenda::session_record_id.eq(row.id))
        .order(session_record_addenda::id)
        .select((
            session_record_addenda::id,
            session_record_addenda::text,
            session_record_addenda::author_id,
            session_record_addenda::recorded_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    let addenda = addenda
        .into_iter()
        .map(|(id, text, author, recorded_at)| {
            Ok(Addendum { id, text: key.open(Place(ADDENDUM, id), &text)?, author, recorded_at })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(Some(Record {
        id: row.id,
        session,
        text: key.open(Place(TEXT, row.id), &row.text)?,
        state: row.state,
        author: row.author_id,
        recorded_at: row.recorded_at,
        signed_by: row.signed_by,
        signed_at: row.signed_at,
        cosigned_by: row.cosigned_by,
        cosigned_at: row.cosigned_at,
        version: row.version,
        addenda,
    }))
}

/// Begins the record of a session.
///
/// # Errors
/// `Conflict` when somebody else began it at this moment.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::WriteSessionRecord>,
    session: Id,
    text: &str,
) -> Result<Record, Problem> {
    let (id, group, now) = (Id::in_order(), permit.group(), connection.now);
    let sealed = connection.keys([group])?.of(group)?.seal(Place(TEXT, id), text);
    diesel::insert_into(session_records::table)
        .values((
            session_records::id.eq(id),
            session_records::group_id.eq(group),
            session_records::session_id.eq(session),
            session_records::text.eq(sealed),
            session_records::state.eq(State::Draft),
            session_records::author_id.eq(permit.account()),
            session_records::recorded_at.eq(now),
            session_records::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, None, Some(id));
    Ok(Record {
        id,
        session,
        text: text.to_owned(),
        state: State::Draft,
        author: permit.account(),
        recorded_at: now,
        signed_by: None,
        signed_at: None,
        cosigned_by: None,
        cosigned_at: None,
        version: 1,
        addenda: Vec::new(),
    })
}

/// Replaces the text of a draft.
///
/// # Errors
/// `Stale` when the record changed since it was read; so with every change below.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::WriteSessionRecord>,
    record: Record,
    text: &str,
) -> Result<Record, Problem> {
    let group = permit.group();
    let sealed = connection.keys([group])?.of(group)?.seal(Place(TEXT, record.id), text);
    let changed = diesel::update(unchanged(group, record.id, record.version))
        .set((session_records::text.eq(sealed), session_records::version.eq(record.version + 1)))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Record { text: text.to_owned(), version: record.version + 1, ..record })
}

/// Signs the version that was read; `state` is what the rule made of it.
pub fn update_signature(
    connection: &mut Connection,
    permit: &Permit<act::SignSessionRecord>,
    record: Record,
    state: State,
) -> Result<Record, Problem> {
    let (by, at) = (Some(permit.account()), Some(connection.now));
    let changed = diesel::update(unchanged(permit.group(), record.id, record.version))
        .set((
            session_records::state.eq(state),
            session_records::signed_by.eq(by),
            session_records::signed_at.eq(at),
            session_records::version.eq(record.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Record { state, signed_by: by, signed_at: at, version: record.version + 1, ..record })
}

/// Co-signs the version that was read; `state` is what the rule made of it.
pub fn update_cosignature(
    connection: &mut Connection,
    permit: &Permit<act::CosignSessionRecord>,
    record: Record,
    state: State,
) -> Result<Record, Problem> {
    let (by, at) = (Some(permit.account()), Some(connection.now));
    let changed = diesel::update(unchanged(permit.group(), record.id, record.version))
        .set((
            session_records::state.eq(state),
            session_records::cosigned_by.eq(by),
            session_records::cosigned_at.eq(at),
            session_records::version.eq(record.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Record { state, cosigned_by: by, cosigned_at: at, version: record.version + 1, ..record })
}

/// Adds to a signed record. What was signed stays as it is; the record as a whole has a new version.
pub fn insert_addendum(
    connection: &mut Connection,
    permit: &Permit<act::WriteSessionRecord>,
    record: &Record,
    text: &str,
) -> Result<Addendum, Problem> {
    let (id, group, now) = (Id::in_order(), permit.group(), connection.now);
    let sealed = connection.keys([group])?.of(group)?.seal(Place(ADDENDUM, id), text);
    diesel::insert_into(session_record_addenda::table)
        .values((
            session_record_addenda::id.eq(id),
            session_record_addenda::group_id.eq(group),
            session_record_addenda::session_record_id.eq(record.id),
            session_record_addenda::text.eq(sealed),
            session_record_addenda::author_id.eq(permit.account()),
            session_record_addenda::recorded_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    // Two who add at once do not hinder each other, so this counts up from what is kept, not from what was read.
    diesel::update(
        session_records::table.filter(session_records::id.eq(record.id)).filter(session_records::group_id.eq(group)),
    )
    .set(session_records::version.eq(session_records::version + 1))
    .execute(connection.with(permit))?;
    Ok(Addendum { id, text: text.to_owned(), author: permit.account(), recorded_at: now })
}

/// The supervisor of somebody who is a trainee of the group now. One who leads the group no longer does not count,
/// so that no note waits for ever for somebody who has gone.
pub fn find_supervisor<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    trainee: Id,
) -> Result<Option<Id>, Problem> {
    let now = connection.now;
    let supervisor: Option<Option<Id>> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::account_id.eq(trainee))
        .filter(standings::standing.eq(Standing::Trainee))
        .filter(standings::from_at.le(now))
        .filter(standings::until_at.is_null().or(standings::until_at.gt(now)))
        .order(standings::id.desc())
        .select(standings::supervisor_id)
        .first(connection.with(permit))
        .optional()?;
    let Some(supervisor) = supervisor.flatten() else { return Ok(None) };
    let leads = live_leads(connection, permit)?;
    Ok(leads.contains(&supervisor).then_some(supervisor))
}
