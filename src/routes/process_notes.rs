//! Process notes: what a clinician notes for themselves. Their author alone meets them, and no export does.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Nothing, Paging, Reply},
    operation::Api,
    session_records::{NoteText, check_session},
};
use crate::{
    identity::Caller,
    policy::act,
    rules::notes::{self, State},
    store::{
        connection::Db,
        permit::authorize,
        process_notes::{self, Listed, Note},
    },
    values::{Id, Moment, Prose},
};

/// A process note, as its author sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessNote {
    pub id: Id,
    pub session: Option<Id>,
    pub text: String,
    /// `draft` or `signed`: nobody co-signs what nobody else may read.
    pub state: State,
    pub recorded_at: Moment,
    pub signed_at: Option<Moment>,
    /// Oldest first.
    pub addenda: Vec<ProcessNoteAddendum>,
}

impl From<Note> for ProcessNote {
    fn from(note: Note) -> ProcessNote {
        ProcessNote {
            id: note.id,
            session: note.session,
            text: note.text,
            state: note.state,
            recorded_at: note.recorded_at,
            signed_at: note.signed_at,
            addenda: note.addenda.into_iter().map(Into::into).collect(),
        }
    }
}

/// What its author added after signing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessNoteAddendum {
    pub id: Id,
    pub text: String,
    pub recorded_at: Moment,
}

impl From<notes::Addendum> for ProcessNoteAddendum {
    fn from(addendum: notes::Addendum) -> ProcessNoteAddendum {
        ProcessNoteAddendum { id: addendum.id, text: addendum.text, recorded_at: addendum.recorded_at }
    }
}

/// A process note in its author's list, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessNoteSummary {
    pub id: Id,
    pub session: Option<Id>,
    pub state: State,
    pub recorded_at: Moment,
    pub signed_at: Option<Moment>,
}

impl From<Listed> for ProcessNoteSummary {
    fn from(note: Listed) -> ProcessNoteSummary {
        ProcessNoteSummary {
            id: note.id,
            session: note.session_id,
            state: note.state,
            recorded_at: note.recorded_at,
            signed_at: note.signed_at,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProcessNote {
    pub session: Option<Id>,
    /// Never scores, times, attendance or modality: those have their own place.
    pub text: Prose,
}

pub fn register(api: &mut Api) {
    const NOTES: &str = "/groups/{group}/process-notes";
    const NOTE: &str = "/groups/{group}/process-notes/{note}";
    api.heading("Process notes");
    api.post::<act::WriteProcessNote, _, _>(NOTES, "Write a note for yourself alone", write_process_note)
        .takes::<NewProcessNote>(json!({"text": "I was quicker to reassure today than the moment asked for. Why?"}))
        .creates::<ProcessNote>();
    api.get::<act::ReadProcessNotes, _, _>(NOTES, "List your own notes, newest first", list_process_notes)
        .lists::<ProcessNoteSummary>();
    api.get::<act::ReadProcessNotes, _, _>(NOTE, "Read a note of your own", read_process_note).gives::<ProcessNote>();
    api.put::<act::WriteProcessNote, _, _>(NOTE, "Replace a draft", change_process_note)
        .takes::<NoteText>(
            json!({"text": "I was quicker to reassure today than the moment asked for. For supervision."}),
        )
        .gives::<ProcessNote>()
        .changes();
    api.delete::<act::WriteProcessNote, _, _>(NOTE, "Throw a draft away", remove_process_note);
    api.post::<act::WriteProcessNote, _, _>(
        "/groups/{group}/process-notes/{note}/signature",
        "Sign a note of your own",
        sign_process_note,
    )
    .gives::<ProcessNote>()
    .changes()
    .makes_nothing();
    api.post::<act::WriteProcessNote, _, _>(
        "/groups/{group}/process-notes/{note}/addenda",
        "Add to a signed note of your own",
        add_to_process_note,
    )
    .takes::<NoteText>(json!({"text": "Talked over in supervision."}))
    .creates::<ProcessNoteAddendum>();
}

async fn write_process_note(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<NewProcessNote>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProcessNote>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            if let Some(session) = request.session {
                check_session(connection, &permit, session)?;
            }
            let note = process_notes::insert(connection, &permit, request.session, request.text.as_str())?;
            let (place, version) = (place(group, note.id), note.version);
            Ok(Reply::created(place, &ProcessNote::from(note))?.version(version))
        })
    })
    .await
}

async fn list_process_notes(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let limit = paging.limit();
    let position = paging.position()?;
    db.read(move |connection| {
        let permit = authorize::<act::ReadProcessNotes>(connection, &caller, group)?;
        let rows = process_notes::list(connection, &permit, position, limit + 1)?;
        let shown: Vec<ProcessNoteSummary> = rows.into_iter().map(Into::into).collect();
        Reply::page(shown, &paging, |note| note.id)
    })
    .await
}

async fn read_process_note(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadProcessNotes>(connection, &caller, group)?;
        show(process_notes::find(connection, &permit, id)?)
    })
    .await
}

async fn change_process_note(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<NoteText>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProcessNote>(connection, &caller, group)?;
        let note = process_notes::find(connection, &permit, id)?;
        notes::check_draft(note.state)?;
        command.expects(note.version)?;
        let request = command.body()?;
        show(process_notes::update(connection, &permit, note, request.text.as_str())?)
    })
    .await
}

async fn sign_process_note(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProcessNote>(connection, &caller, group)?;
        let note = process_notes::find(connection, &permit, id)?;
        let state = notes::sign_alone(note.state)?;
        command.expects(note.version)?;
        show(process_notes::update_signature(connection, &permit, note, state)?)
    })
    .await
}

async fn add_to_process_note(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<NoteText>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProcessNote>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let note = process_notes::find(connection, &permit, id)?;
            notes::check_addendum(note.state, None)?;
            let addendum = process_notes::insert_addendum(connection, &permit, &note, request.text.as_str())?;
            Reply::created(place(group, id), &ProcessNoteAddendum::from(addendum))
        })
    })
    .await
}

async fn remove_process_note(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProcessNote>(connection, &caller, group)?;
        let note = process_notes::find(connection, &permit, id)?;
        notes::check_removable(note.state)?;
        process_notes::remove(connection, &permit, &note)?;
        Reply::done()
    })
    .await
}

fn place(group: Id, note: Id) -> String {
    format!("/groups/{group}/process-notes/{note}")
}

fn show(note: Note) -> Answer {
    let version = note.version;
    Ok(Reply::ok(&ProcessNote::from(note))?.version(version))
}
