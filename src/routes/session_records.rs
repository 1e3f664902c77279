//! The session record: what a session was, shared by the clinicians of a therapist-led group. It names no member.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Nothing, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Act, act, area},
    problem::Problem,
    rules::notes::{self, State},
    store::{
        accounts,
        connection::{Connection, Db},
        permit::{Permit, authorize},
        session_records::{self, Record},
        sessions,
    },
    values::{Id, Moment, Prose},
};

/// A session record, as the group's clinicians see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionRecord {
    pub id: Id,
    pub session: Id,
    pub text: String,
    pub state: State,
    /// Who began it.
    pub author: Author,
    pub recorded_at: Moment,
    pub signed_by: Option<Author>,
    pub signed_at: Option<Moment>,
    pub cosigned_by: Option<Author>,
    pub cosigned_at: Option<Moment>,
    /// Oldest first.
    pub addenda: Vec<Addendum>,
}

/// Who wrote or signed something.
#[derive(Debug, Serialize, ToSchema)]
pub struct Author {
    pub account: Id,
    pub name: String,
}

impl Author {
    pub(super) fn of(account: Id, names: &HashMap<Id, String>) -> Author {
        Author { account, name: names.get(&account).cloned().unwrap_or_default() }
    }
}

/// What was added after the signature.
#[derive(Debug, Serialize, ToSchema)]
pub struct Addendum {
    pub id: Id,
    pub text: String,
    pub author: Author,
    pub recorded_at: Moment,
}

impl Addendum {
    pub(super) fn of(addendum: notes::Addendum, names: &HashMap<Id, String>) -> Addendum {
        Addendum {
            id: addendum.id,
            text: addendum.text,
            author: Author::of(addendum.author, names),
            recorded_at: addendum.recorded_at,
        }
    }

    /// Shows one that was just written; `place` is that of the note that it belongs to.
    pub(super) fn created<A: Act>(
        connection: &mut Connection,
        permit: &Permit<A>,
        place: String,
        addendum: notes::Addendum,
    ) -> Answer {
        let names = accounts::list_names(connection, permit, [addendum.author])?;
        Reply::created(place, &Addendum::of(addendum, &names))
    }
}

/// The whole text of a note or of an addendum.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteText {
    pub text: Prose,
}

pub fn register(api: &mut Api) {
    const RECORD: &str = "/groups/{group}/sessions/{session}/session-record";
    api.heading("Session records");
    api.get::<act::ReadSessionRecord, _, _>(RECORD, "Read a session's record", read_session_record)
        .gives::<SessionRecord>();
    api.put::<act::WriteSessionRecord, _, _>(
        RECORD,
        "Begin a session's record (without If-Match), or replace its draft",
        write_session_record,
    )
    .takes::<NoteText>(
        json!({"text": "Agenda kept. Breathing exercise took longer than planned; homework reviewed in pairs."}),
    )
    .gives::<SessionRecord>()
    .changes();
    api.post::<act::SignSessionRecord, _, _>(
        "/groups/{group}/sessions/{session}/session-record/signature",
        "Sign a session's record; a trainee's signature waits for a co-signature",
        sign_session_record,
    )
    .gives::<SessionRecord>()
    .changes()
    .makes_nothing();
    api.post::<act::CosignSessionRecord, _, _>(
        "/groups/{group}/sessions/{session}/session-record/cosignature",
        "Co-sign what a trainee signed",
        cosign_session_record,
    )
    .gives::<SessionRecord>()
    .changes()
    .makes_nothing();
    api.post::<act::WriteSessionRecord, _, _>(
        "/groups/{group}/sessions/{session}/session-record/addenda",
        "Add to a signed session record",
        add_to_session_record,
    )
    .takes::<NoteText>(json!({"text": "The second exercise was left out for lack of time."}))
    .creates::<Addendum>();
}

async fn read_session_record(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, session) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadSessionRecord>(connection, &caller, group)?;
        let record = session_records::find(connection, &permit, session)?.ok_or(Problem::NotFound)?;
        show(connection, &permit, record)
    })
    .await
}

async fn write_session_record(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<NoteText>,
) -> Answer {
    let (group, session) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteSessionRecord>(connection, &caller, group)?;
        let record = match session_records::find(connection, &permit, session)? {
            Some(kept) => {
                notes::check_draft(kept.state)?;
                command.expects(kept.version)?;
                let request = command.body()?;
                session_records::update(connection, &permit, kept, request.text.as_str())?
            }
            None => {
                sessions::find(connection, &permit, session)?;
                // Beginning needs no version; whoever names one has read a record that is not there.
                if !matches!(command.expects(0), Err(Problem::PreconditionNeeded)) {
                    return Err(Problem::Stale);
                }
                let request = command.body()?;
                session_records::insert(connection, &permit, session, request.text.as_str())?
            }
        };
        show(connection, &permit, record)
    })
    .await
}

async fn sign_session_record(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<Nothing>) -> Answer {
    let (group, session) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SignSessionRecord>(connection, &caller, group)?;
        let record = session_records::find(connection, &permit, session)?.ok_or(Problem::NotFound)?;
        let state = notes::sign(record.state, permit.standing())?;
        command.expects(record.version)?;
        let record = session_records::update_signature(connection, &permit, record, state)?;
        show(connection, &permit, record)
    })
    .await
}

async fn cosign_session_record(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<Nothing>,
) -> Answer {
    let (group, session) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::CosignSessionRecord>(connection, &caller, group)?;
        let record = session_records::find(connection, &permit, session)?.ok_or(Problem::NotFound)?;
        let state = judge_cosignature(connection, &permit, record.state, record.signed_by)?;
        command.expects(record.version)?;
        let record = session_records::update_cosignature(connection, &permit, record, state)?;
        show(connection, &permit, record)
    })
    .await
}

async fn add_to_session_record(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<NoteText>,
) -> Answer {
    let (group, session) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteSessionRecord>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let record = session_records::find(connection, &permit, session)?.ok_or(Problem::NotFound)?;
            notes::check_addendum(record.state, permit.standing())?;
            let addendum = session_records::insert_addendum(connection, &permit, &record, request.text.as_str())?;
            let place = format!("/groups/{group}/sessions/{session}/session-record");
            Addendum::created(connection, &permit, place, addendum)
        })
    })
    .await
}

/// What the caller's co-signature makes of a note that `signed_by` signed.
pub(super) fn judge_cosignature<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    state: State,
    signed_by: Option<Id>,
) -> Result<State, Problem> {
    let supervisor = match signed_by {
        Some(signer) => session_records::find_supervisor(connection, permit, signer)?,
        None => None,
    };
    Ok(notes::cosign(state, signed_by, supervisor, permit.account())?)
}

/// Refuses a session that a note names unless it is one of the group's.
pub(super) fn check_session<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<(), Problem> {
    match sessions::find(connection, permit, session) {
        Ok(_) => Ok(()),
        Err(Problem::NotFound) => Err(Problem::field("/session", "is not a session of this group")),
        Err(problem) => Err(problem),
    }
}

fn show<A: Act>(connection: &mut Connection, permit: &Permit<A>, record: Record) -> Answer {
    let people = [Some(record.author), record.signed_by, record.cosigned_by];
    let writers = record.addenda.iter().map(|addendum| addendum.author);
    let names = accounts::list_names(connection, permit, people.into_iter().flatten().chain(writers))?;
    let shown = SessionRecord {
        id: record.id,
        session: record.session,
        text: record.text,
        state: record.state,
        author: Author::of(record.author, &names),
        recorded_at: record.recorded_at,
        signed_by: record.signed_by.map(|by| Author::of(by, &names)),
        signed_at: record.signed_at,
        cosigned_by: record.cosigned_by.map(|by| Author::of(by, &names)),
        cosigned_at: record.cosigned_at,
        addenda: record.addenda.into_iter().map(|addendum| Addendum::of(addendum, &names)).collect(),
    };
    Ok(Reply::ok(&shown)?.version(record.version))
}
