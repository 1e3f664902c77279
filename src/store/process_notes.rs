//! Process notes: their author's alone, sealed under the author's own key. No query here is without the author.
//!
//! Nothing of them is in the access log, in an export or in anybody else's list: only their author meets them.

use diesel::{dsl::auto_type, prelude::*};

use super::{
    columns::Sealed,
    connection::Connection,
    idempotency,
    permit::Permit,
    schema::{process_note_addenda, process_notes},
    sealing::Place,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::notes::{Addendum, State},
    values::{Id, Moment},
};

const TEXT: &str = "process_notes.text";
const ADDENDUM: &str = "process_note_addenda.text";

/// What a clinician noted for themselves.
#[derive(Clone, Debug)]
pub struct Note {
    pub id: Id,
    pub session: Option<Id>,
    pub text: String,
    pub state: State,
    pub recorded_at: Moment,
    pub signed_at: Option<Moment>,
    pub version: i32,
    /// Oldest first.
    pub addenda: Vec<Addendum>,
}

/// A note in a list, without its text.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = process_notes)]
pub struct Listed {
    pub id: Id,
    pub session_id: Option<Id>,
    pub state: State,
    pub recorded_at: Moment,
    pub signed_at: Option<Moment>,
}

/// The actions that meet a process note. No permit for another kind of note opens one.
pub trait OnProcessNote: area::Group {}
impl OnProcessNote for act::ReadProcessNotes {}
impl OnProcessNote for act::WriteProcessNote {}

#[derive(Queryable, Selectable)]
#[diesel(table_name = process_notes)]
struct Row {
    id: Id,
    session_id: Option<Id>,
    text: Sealed,
    state: State,
    recorded_at: Moment,
    signed_at: Option<Moment>,
    version: i32,
}

/// One note of one author.
#[auto_type(no_type_alias)]
fn of_author(group: Id, author: Id, id: Id) -> _ {
    process_notes::table
        .filter(process_notes::id.eq(id))
        .filter(process_notes::group_id.eq(group))
        .filter(process_notes::author_id.eq(author))
}

/// One note of one author in the version that was read: what changed meanwhile is not found.
#[auto_type(no_type_alias)]
fn unchanged(group: Id, author: Id, id: Id, version: i32) -> _ {
    process_notes::table
        .filter(process_notes::id.eq(id))
        .filter(process_notes::group_id.eq(group))
        .filter(process_notes::author_id.eq(author))
        .filter(process_notes::version.eq(version))
}

/// The caller's own note; somebody else's is not there.
pub fn find<A: OnProcessNote>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Note, Problem> {
    let (group, author) = (permit.group(), permit.account());
    let row: Row = of_author(group, author, id).select(Row::as_select()).first(connection.with(permit))?;
    let addenda: Vec<(Id, Sealed, Moment)> = process_note_addenda::table
        .filter(process_note_addenda::group_id.eq(group))
        .filter(process_note_addenda::author_id.eq(author))
        .filter(process_note_addenda::process_note_id.eq(id))
        .order(process_note_addenda::id)
        .select((process_note_addenda::id, process_note_addenda::text, process_note_addenda::recorded_at))
        .load(connection.with(permit))?;
    let keys = connection.keys([author])?;
    let key = keys.of(author)?;
    let addenda = addenda
        .into_iter()
        .map(|(id, text, recorded_at)| {
            Ok(Addendum { id, text: key.open(Place(ADDENDUM, id), &text)?, author, recorded_at })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(Note {
        id,
        session: row.session_id,
        text: key.open(Place(TEXT, row.id), &row.text)?,
        state: row.state,
        recorded_at: row.recorded_at,
        signed_at: row.signed_at,
        version: row.version,
        addenda,
    })
}

/// The caller's own notes in the group, newest first, from `before` on.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadProcessNotes>,
    before: Option<Id>,
    limit: i64,
) -> Result<Vec<Listed>, Problem> {
    let mut query = process_notes::table
        .filter(process_notes::group_id.eq(permit.group()))
        .filter(process_notes::author_id.eq(permit.account()))
        .order(process_notes::id.desc())
        .limit(limit)
        .select(Listed::as_select())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(process_notes::id.lt(before));
    }
    Ok(query.load(connection.with(permit))?)
}

/// Keeps a new draft.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::WriteProcessNote>,
    session: Option<Id>,
    text: &str,
) -> Result<Note, Problem> {
    let (id, author, now) = (Id::in_order(), permit.account(), connection.now);
    let sealed = connection.keys([author])?.of(author)?.seal(Place(TEXT, id), text);
    diesel::insert_into(process_notes::table)
        .values((
            process_notes::id.eq(id),
            process_notes::group_id.eq(permit.group()),
            process_notes::session_id.eq(session),
            process_notes::author_id.eq(author),
            process_notes::text.eq(sealed),
            process_notes::state.eq(State::Draft),
            process_notes::recorded_at.eq(now),
            process_notes::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    Ok(Note {
        id,
        session,
        text: text.to_owned(),
        state: State::Draft,
        recorded_at: now,
        signed_at: None,
        version: 1,
        addenda: Vec::new(),
    })
}

/// Replaces the text of a draft.
///
/// # Errors
/// `Stale` when the note changed since it was read; so with every change below.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::WriteProcessNote>,
    note: Note,
    text: &str,
) -> Result<Note, Problem> {
    let author = permit.account();
    let sealed = connection.keys([author])?.of(author)?.seal(Place(TEXT, note.id), text);
    let changed = diesel::update(unchanged(permit.group(), author, note.id, note.version))
        .set((process_notes::text.eq(sealed), process_notes::version.eq(note.version + 1)))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Note { text: text.to_owned(), version: note.version + 1, ..note })
}

/// Signs the version that was read; `state` is what the rule made of it.
pub fn update_signature(
    connection: &mut Connection,
    permit: &Permit<act::WriteProcessNote>,
    note: Note,
    state: State,
) -> Result<Note, Problem> {
    let at = Some(connection.now);
    let changed = diesel::update(unchanged(permit.group(), permit.account(), note.id, note.version))
        .set((
            process_notes::state.eq(state),
            process_notes::signed_at.eq(at),
            process_notes::version.eq(note.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    Ok(Note { state, signed_at: at, version: note.version + 1, ..note })
}

/// Adds to a signed note. What was signed stays as it is; the note as a whole has a new version.
pub fn insert_addendum(
    connection: &mut Connection,
    permit: &Permit<act::WriteProcessNote>,
    note: &Note,
    text: &str,
) -> Result<Addendum, Problem> {
    let (id, author, now) = (Id::in_order(), permit.account(), connection.now);
    let sealed = connection.keys([author])?.of(author)?.seal(Place(ADDENDUM, id), text);
    diesel::insert_into(process_note_addenda::table)
        .values((
            process_note_addenda::id.eq(id),
            process_note_addenda::group_id.eq(permit.group()),
            process_note_addenda::process_note_id.eq(note.id),
            process_note_addenda::author_id.eq(author),
            process_note_addenda::text.eq(sealed),
            process_note_addenda::recorded_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    diesel::update(of_author(permit.group(), author, note.id))
        .set(process_notes::version.eq(process_notes::version + 1))
        .execute(connection.with(permit))?;
    Ok(Addendum { id, text: text.to_owned(), author, recorded_at: now })
}

/// Throws a draft away for good.
///
/// # Errors
/// `Conflict` when it was signed or thrown away at this moment.
pub fn remove(connection: &mut Connection, permit: &Permit<act::WriteProcessNote>, note: &Note) -> Result<(), Problem> {
    let draft = of_author(permit.group(), permit.account(), note.id).filter(process_notes::state.eq(State::Draft));
    match diesel::delete(draft).execute(connection.with(permit))? {
        0 => Err(Problem::Conflict("The note changed at this moment: read it again.".into())),
        _ => idempotency::empty(connection, permit, permit.group()),
    }
}
