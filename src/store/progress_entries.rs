//! Progress entries: what a clinician writes about one member, sealed under that member's key.

use diesel::{dsl::auto_type, prelude::*};

use super::{
    columns::Sealed,
    connection::Connection,
    permit::{Permit, concerns},
    schema::{attendances, progress_entries, progress_entry_addenda},
    sealing::Place,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::{
        attendance::Status,
        notes::{Addendum, State},
    },
    values::{Id, Moment},
};

const TEXT: &str = "progress_entries.text";
const ADDENDUM: &str = "progress_entry_addenda.text";

/// One member's clinical entry.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: Id,
    pub member: Id,
    pub session: Option<Id>,
    pub text: String,
    pub state: State,
    pub author: Id,
    /// When it happened.
    pub occurred_at: Moment,
    /// When it was first written down.
    pub recorded_at: Moment,
    pub signed_by: Option<Id>,
    pub signed_at: Option<Moment>,
    pub cosigned_by: Option<Id>,
    pub cosigned_at: Option<Moment>,
    pub released_by: Option<Id>,
    pub released_at: Option<Moment>,
    pub version: i32,
    /// Oldest first.
    pub addenda: Vec<Addendum>,
}

/// An entry in a list: no text leaves with it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = progress_entries)]
pub struct Listed {
    pub id: Id,
    pub member_id: Id,
    pub session_id: Option<Id>,
    pub state: State,
    pub occurred_at: Moment,
    pub recorded_at: Moment,
    pub released_at: Option<Moment>,
}

/// What a new entry says.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    pub member: Id,
    pub session: Option<Id>,
    pub occurred_at: Moment,
    pub text: &'a str,
}

/// The actions of those who write entries. No permit for another kind of note opens one.
pub trait OnProgressEntry: area::Group {}
impl OnProgressEntry for act::WriteProgressEntry {}
impl OnProgressEntry for act::SignProgressEntry {}
impl OnProgressEntry for act::CosignProgressEntry {}
impl OnProgressEntry for act::ReleaseProgressEntry {}

#[derive(Queryable, Selectable)]
#[diesel(table_name = progress_entries)]
struct Row {
    id: Id,
    session_id: Option<Id>,
    member_id: Id,
    text: Sealed,
    state: State,
    author_id: Id,
    occurred_at: Moment,
    recorded_at: Moment,
    signed_by: Option<Id>,
    signed_at: Option<Moment>,
    cosigned_by: Option<Id>,
    cosigned_at: Option<Moment>,
    released_by: Option<Id>,
    released_at: Option<Moment>,
    version: i32,
}

/// One row of a group.
#[auto_type(no_type_alias)]
fn of_group(group: Id, id: Id) -> _ {
    progress_entries::table.filter(progress_entries::id.eq(id)).filter(progress_entries::group_id.eq(group))
}

/// The row of a group in the version that was read: what changed meanwhile is not found.
#[auto_type(no_type_alias)]
fn unchanged(group: Id, id: Id, version: i32) -> _ {
    progress_entries::table
        .filter(progress_entries::id.eq(id))
        .filter(progress_entries::group_id.eq(group))
        .filter(progress_entries::version.eq(version))
}

/// An entry, for reading. A member finds only what is about them, signed and released; a clinician in an emergency what is
/// signed about the one member. Anything else is not there.
pub fn find(connection: &mut Connection, permit: &Permit<act::ReadProgressEntries>, id: Id) -> Result<Entry, Problem> {
    let mut query = of_group(permit.group(), id).select(Row::as_select()).into_boxed();
    if let Some(own) = permit.only_member()? {
        query = query.filter(progress_entries::member_id.eq(own)).filter(progress_entries::state.eq(State::Signed));
        if permit.is_about_oneself() {
            query = query.filter(progress_entries::released_at.is_not_null());
        }
    }
    let row: Row = query.first(connection.with(permit))?;
    concerns(connection, permit, Some(row.member_id), Some(row.id));
    open(connection, permit, row)
}

/// An entry, for changing it; somebody else's is not there for a permit that reaches only one's own.
pub fn find_to_change<A: OnProgressEntry>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
) -> Result<Entry, Problem> {
    let row: Row = of_group(permit.group(), id).select(Row::as_select()).first(connection.with(permit))?;
    // Named in the log even where the permit does not reach it: trying is an access too.
    concerns(connection, permit, Some(row.member_id), Some(row.id));
    permit.reaches_author(row.author_id)?;
    open(connection, permit, row)
}

fn open<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, row: Row) -> Result<Entry, Problem> {
    let addenda: Vec<(Id, Sealed, Id, Moment)> = progress_entry_addenda::table
        .filter(progress_entry_addenda::group_id.eq(permit.group()))
        .filter(progress_entry_addenda::progress_entry_id.eq(row.id))
        .order(progress_entry_addenda::id)
        .select((
            progress_entry_addenda::id,
            progress_entry_addenda::text,
            progress_entry_addenda::author_id,
            progress_entry_addenda::recorded_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([row.member_id])?;
    let key = keys.of(row.member_id)?;
    let addenda = addenda
        .into_iter()
        .map(|(id, text, author, recorded_at)| {
            Ok(Addendum { id, text: key.open(Place(ADDENDUM, id), &text)?, author, recorded_at })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(Entry {
        id: row.id,
        member: row.member_id,
        session: row.session_id,
        text: key.open(Place(TEXT, row.id), &row.text)?,
        state: row.state,
        author: row.author_id,
        occurred_at: row.occurred_at,
        recorded_at: row.recorded_at,
        signed_by: row.signed_by,
        signed_at: row.signed_at,
        cosigned_by: row.cosigned_by,
        cosigned_at: row.cosigned_at,
        released_by: row.released_by,
        released_at: row.released_at,
        version: row.version,
        addenda,
    })
}

/// The group's entries, newest first, from `before` on; those about `member` alone where one is named. A member
/// gets only what is about them, signed and released.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadProgressEntries>,
    member: Option<Id>,
    before: Option<Id>,
    limit: i64,
) -> Result<Vec<Listed>, Problem> {
    let mut query = progress_entries::table
        .filter(progress_entries::group_id.eq(permit.group()))
        .order(progress_entries::id.desc())
        .limit(limit)
        .select(Listed::as_select())
        .into_boxed();
    if let Some(own) = permit.only_member()? {
        query = query.filter(progress_entries::member_id.eq(own)).filter(progress_entries::state.eq(State::Signed));
        if permit.is_about_oneself() {
            query = query.filter(progress_entries::released_at.is_not_null());
        }
    }
    if let Some(member) = member {
        permit.reaches_member(member)?;
        query = query.filter(progress_entries::member_id.eq(member));
        concerns(connection, permit, Some(member), None);
    }
    if let Some(before) = before {
        query = query.filter(progress_entries::id.lt(before));
    }
    Ok(query.load(connection.with(permit))?)
}

/// What came of a member's place in a session; `None` while attendance is not taken.
pub fn find_attendance(
    connection: &mut Connection,
    permit: &Permit<act::WriteProgressEntry>,
    session: Id,
    member: Id,
) -> Result<Option<Status>, Problem> {
    concerns(connection, permit, Some(member), None);
    Ok(attendances::table
        .filter(attendances::group_id.eq(permit.group()))
        .filter(attendances::session_id.eq(session))
        .filter(attendances::member_id.eq(member))
        .select(attendances::status)
        .first(connection.with(permit))
        .optional()?)
}

/// Keeps a new draft.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::WriteProgressEntry>,
    entry: &NewEntry,
) -> Result<Entry, Problem> {
    let (id, now) = (Id::in_order(), connection.now);
    let sealed = connection.keys([entry.member])?.of(entry.member)?.seal(Place(TEXT, id), entry.text);
    diesel::insert_into(progress_entries::table)
        .values((
            progress_entries::id.eq(id),
            progress_entries::group_id.eq(permit.group()),
            progress_entries::session_id.eq(entry.session),
            progress_entries::member_id.eq(entry.member),
            progress_entries::text.eq(sealed),
            progress_entries::state.eq(State::Draft),
            progress_entries::author_id.eq(permit.account()),
            progress_entries::occurred_at.eq(entry.occurred_at),
            progress_entries::recorded_at.eq(now),
            progress_entries::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, Some(entry.member), Some(id));
    Ok(Entry {
        id,
        member: entry.member,
        session: entry.session,
        text: entry.text.to_owned(),
        state: State::Draft,
        author: permit.account(),
        occurred_at: entry.occurred_at,
        recorded_at: now,
        signed_by: None,
        signed_at: None,
        cosigned_by: None,
        cosigned_at: None,
        released_by: None,
        released_at: None,
        version: 1,
        addenda: Vec::new(),
    })
}

/// Replaces what a draft says.
///
/// # Errors
/// `Stale` when the entry changed since it was read; so with every change below.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::WriteProgressEntry>,
    entry: Entry,
    text: &str,
    occurred_at: Moment,
) -> Result<Entry, Problem> {
    let sealed = connection.keys([entry.member])?.of(entry.member)?.seal(Place(TEXT, entry.id), text);
    let changed = diesel::update(unchanged(permit.group(), entry.id, entry.version))
        .set((
            progress_entries::text.eq(sealed),
            progress_entries::occurred_at.eq(occurred_at),
            progress_entries::version.eq(entry.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Entry { text: text.to_owned(), occurred_at, version: entry.version + 1, ..entry })
}

/// Signs the version that was read; `state` is what the rule made of it.
pub fn update_signature(
    connection: &mut Connection,
    permit: &Permit<act::SignProgressEntry>,
    entry: Entry,
    state: State,
) -> Result<Entry, Problem> {
    let (by, at) = (Some(permit.account()), Some(connection.now));
    let changed = diesel::update(unchanged(permit.group(), entry.id, entry.version))
        .set((
            progress_entries::state.eq(state),
            progress_entries::signed_by.eq(by),
            progress_entries::signed_at.eq(at),
            progress_entries::version.eq(entry.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Entry { state, signed_by: by, signed_at: at, version: entry.version + 1, ..entry })
}

/// Co-signs the version that was read; `state` is what the rule made of it.
pub fn update_cosignature(
    connection: &mut Connection,
    permit: &Permit<act::CosignProgressEntry>,
    entry: Entry,
    state: State,
) -> Result<Entry, Problem> {
    let (by, at) = (Some(permit.account()), Some(connection.now));
    let changed = diesel::update(unchanged(permit.group(), entry.id, entry.version))
        .set((
            progress_entries::state.eq(state),
            progress_entries::cosigned_by.eq(by),
            progress_entries::cosigned_at.eq(at),
            progress_entries::version.eq(entry.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Entry { state, cosigned_by: by, cosigned_at: at, version: entry.version + 1, ..entry })
}

/// Lets the member read a signed entry. One that is released already, also by somebody at this moment, stays as it
/// is.
pub fn update_release(
    connection: &mut Connection,
    permit: &Permit<act::ReleaseProgressEntry>,
    entry: Entry,
) -> Result<Entry, Problem> {
    let now = connection.now;
    diesel::update(
        of_group(permit.group(), entry.id)
            .filter(progress_entries::state.eq(State::Signed))
            .filter(progress_entries::released_at.is_null()),
    )
    .set((
        progress_entries::released_by.eq(permit.account()),
        progress_entries::released_at.eq(now),
        progress_entries::version.eq(progress_entries::version + 1),
    ))
    .execute(connection.with(permit))?;
    find_to_change(connection, permit, entry.id)
}

/// Adds to a signed entry. What was signed stays as it is; the entry as a whole has a new version.
pub fn insert_addendum(
    connection: &mut Connection,
    permit: &Permit<act::WriteProgressEntry>,
    entry: &Entry,
    text: &str,
) -> Result<Addendum, Problem> {
    let (id, now) = (Id::in_order(), connection.now);
    let sealed = connection.keys([entry.member])?.of(entry.member)?.seal(Place(ADDENDUM, id), text);
    diesel::insert_into(progress_entry_addenda::table)
        .values((
            progress_entry_addenda::id.eq(id),
            progress_entry_addenda::group_id.eq(permit.group()),
            progress_entry_addenda::progress_entry_id.eq(entry.id),
            progress_entry_addenda::text.eq(sealed),
            progress_entry_addenda::author_id.eq(permit.account()),
            progress_entry_addenda::recorded_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    // Two who add at once do not hinder each other, so this counts up from what is kept, not from what was read.
    diesel::update(of_group(permit.group(), entry.id))
        .set(progress_entries::version.eq(progress_entries::version + 1))
        .execute(connection.with(permit))?;
    Ok(Addendum { id, text: text.to_owned(), author: permit.account(), recorded_at: now })
}
