//! Progress entries: one member's clinical entries, which the member reads once they are signed and released.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    amendments::AmendmentMark,
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    operation::Api,
    session_records::{Addendum, Author, NoteText, check_session, judge_cosignature},
};
use crate::{
    identity::Caller,
    policy::{act, area},
    problem::Problem,
    rules::{
        amendments::RecordKind,
        notes::{self, State},
    },
    store::{
        accounts,
        connection::{Connection, Db},
        members,
        permit::{Permit, authorize},
        progress_entries::{self, Entry, Listed, NewEntry},
    },
    values::{Id, Moment, Prose},
};

/// One member's clinical entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressEntry {
    pub id: Id,
    pub member: Id,
    pub session: Option<Id>,
    pub text: String,
    pub state: State,
    pub author: Author,
    /// When it happened.
    pub occurred_at: Moment,
    /// When it was first written down.
    pub recorded_at: Moment,
    pub signed_by: Option<Author>,
    pub signed_at: Option<Moment>,
    pub cosigned_by: Option<Author>,
    pub cosigned_at: Option<Moment>,
    pub released_by: Option<Author>,
    /// Since when the member can read it.
    pub released_at: Option<Moment>,
    /// Oldest first.
    pub addenda: Vec<Addendum>,
    /// What the member asked to have corrected in it, oldest first.
    pub amendments: Vec<AmendmentMark>,
}

/// An entry in a list, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressEntrySummary {
    pub id: Id,
    pub member: Id,
    pub session: Option<Id>,
    pub state: State,
    pub occurred_at: Moment,
    pub recorded_at: Moment,
    pub released_at: Option<Moment>,
}

impl From<Listed> for ProgressEntrySummary {
    fn from(entry: Listed) -> ProgressEntrySummary {
        ProgressEntrySummary {
            id: entry.id,
            member: entry.member_id,
            session: entry.session_id,
            state: entry.state,
            occurred_at: entry.occurred_at,
            recorded_at: entry.recorded_at,
            released_at: entry.released_at,
        }
    }
}

/// A new entry. It names a session only where the member was there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProgressEntry {
    pub member: Id,
    pub session: Option<Id>,
    /// When it happened; not in the future.
    pub occurred_at: Moment,
    pub text: Prose,
}

/// What a draft says, as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeProgressEntry {
    /// When it happened; not in the future.
    pub occurred_at: Moment,
    pub text: Prose,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub struct AboutMember {
    /// Only entries about this member.
    member: Option<Id>,
}

pub fn register(api: &mut Api) {
    const ENTRIES: &str = "/groups/{group}/progress-entries";
    const ENTRY: &str = "/groups/{group}/progress-entries/{entry}";
    api.heading("Progress entries");
    api.post::<act::WriteProgressEntry, _, _>(ENTRIES, "Write an entry about a member", write_progress_entry)
        .takes::<NewProgressEntry>(json!({
            "member": "5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a", "occurred_at": "2026-01-15T19:00:00Z",
            "text": "Practised the breathing exercise daily; slept through four nights of seven."
        }))
        .creates::<ProgressEntry>();
    api.get::<act::ReadProgressEntries, _, _>(ENTRIES, "List entries, newest first", list_progress_entries)
        .asks::<AboutMember>()
        .lists::<ProgressEntrySummary>();
    api.get::<act::ReadProgressEntries, _, _>(ENTRY, "Read an entry", read_progress_entry).gives::<ProgressEntry>();
    api.put::<act::WriteProgressEntry, _, _>(ENTRY, "Replace a draft of your own", change_progress_entry)
        .takes::<ChangeProgressEntry>(json!({
            "occurred_at": "2026-01-15T19:00:00Z",
            "text": "Practised the breathing exercise on five days; slept through four nights of seven."
        }))
        .gives::<ProgressEntry>()
        .changes();
    api.post::<act::SignProgressEntry, _, _>(
        "/groups/{group}/progress-entries/{entry}/signature",
        "Sign an entry of your own; a trainee's signature waits for a co-signature",
        sign_progress_entry,
    )
    .gives::<ProgressEntry>()
    .changes()
    .makes_nothing();
    api.post::<act::CosignProgressEntry, _, _>(
        "/groups/{group}/progress-entries/{entry}/cosignature",
        "Co-sign what a trainee signed",
        cosign_progress_entry,
    )
    .gives::<ProgressEntry>()
    .changes()
    .makes_nothing();
    api.post::<act::ReleaseProgressEntry, _, _>(
        "/groups/{group}/progress-entries/{entry}/release",
        "Let the member read a signed entry",
        release_progress_entry,
    )
    .gives::<ProgressEntry>()
    .makes_nothing();
    api.post::<act::WriteProgressEntry, _, _>(
        "/groups/{group}/progress-entries/{entry}/addenda",
        "Add to a signed entry",
        add_to_progress_entry,
    )
    .takes::<NoteText>(json!({"text": "The diary of that week came in later and agrees."}))
    .creates::<Addendum>();
}

async fn write_progress_entry(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    command: Command<NewProgressEntry>,
) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProgressEntry>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            if members::list_known(connection, &permit, &[request.member])?.is_empty() {
                return Err(Problem::field("/member", "is not a member of this group"));
            }
            if let Some(session) = request.session {
                check_session(connection, &permit, session)?;
                notes::check_present(progress_entries::find_attendance(connection, &permit, session, request.member)?)?;
            }
            notes::check_occurred(request.occurred_at, connection.now)?;
            let entry = progress_entries::insert(
                connection,
                &permit,
                &NewEntry {
                    member: request.member,
                    session: request.session,
                    occurred_at: request.occurred_at,
                    text: request.text.as_str(),
                },
            )?;
            let (place, version) = (place(group, entry.id), entry.version);
            Ok(Reply::created(place, &shown(connection, &permit, entry)?)?.version(version))
        })
    })
    .await
}

async fn list_progress_entries(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<AboutMember>,
    paging: Paging,
) -> Answer {
    let group = path.into_inner();
    let limit = paging.limit();
    let position = paging.position()?;
    db.read(move |connection| {
        let permit = authorize::<act::ReadProgressEntries>(connection, &caller, group)?;
        let rows = progress_entries::list(connection, &permit, asked.member, position, limit + 1)?;
        let shown: Vec<ProgressEntrySummary> = rows.into_iter().map(Into::into).collect();
        Reply::page(shown, &paging, |entry| entry.id)
    })
    .await
}

async fn read_progress_entry(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadProgressEntries>(connection, &caller, group)?;
        let entry = progress_entries::find(connection, &permit, id)?;
        show(connection, &permit, entry)
    })
    .await
}

async fn change_progress_entry(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<ChangeProgressEntry>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProgressEntry>(connection, &caller, group)?;
        let entry = progress_entries::find_to_change(connection, &permit, id)?;
        notes::check_draft(entry.state)?;
        notes::check_author(entry.author, permit.account())?;
        command.expects(entry.version)?;
        let request = command.body()?;
        notes::check_occurred(request.occurred_at, connection.now)?;
        let entry = progress_entries::update(connection, &permit, entry, request.text.as_str(), request.occurred_at)?;
        show(connection, &permit, entry)
    })
    .await
}

async fn sign_progress_entry(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SignProgressEntry>(connection, &caller, group)?;
        let entry = progress_entries::find_to_change(connection, &permit, id)?;
        let state = notes::sign(entry.state, permit.standing())?;
        command.expects(entry.version)?;
        let entry = progress_entries::update_signature(connection, &permit, entry, state)?;
        show(connection, &permit, entry)
    })
    .await
}

async fn cosign_progress_entry(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<Nothing>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::CosignProgressEntry>(connection, &caller, group)?;
        let entry = progress_entries::find_to_change(connection, &permit, id)?;
        let state = judge_cosignature(connection, &permit, entry.state, entry.signed_by)?;
        command.expects(entry.version)?;
        let entry = progress_entries::update_cosignature(connection, &permit, entry, state)?;
        show(connection, &permit, entry)
    })
    .await
}

async fn release_progress_entry(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ReleaseProgressEntry>(connection, &caller, group)?;
        let entry = progress_entries::find_to_change(connection, &permit, id)?;
        notes::check_release(entry.state)?;
        let entry = progress_entries::update_release(connection, &permit, entry)?;
        show(connection, &permit, entry)
    })
    .await
}

async fn add_to_progress_entry(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<NoteText>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteProgressEntry>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let entry = progress_entries::find_to_change(connection, &permit, id)?;
            notes::check_addendum(entry.state, permit.standing())?;
            let addendum = progress_entries::insert_addendum(connection, &permit, &entry, request.text.as_str())?;
            Addendum::created(connection, &permit, place(group, id), addendum)
        })
    })
    .await
}

fn place(group: Id, entry: Id) -> String {
    format!("/groups/{group}/progress-entries/{entry}")
}

fn show<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, entry: Entry) -> Answer {
    let version = entry.version;
    Ok(Reply::ok(&shown(connection, permit, entry)?)?.version(version))
}

fn shown<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    entry: Entry,
) -> Result<ProgressEntry, Problem> {
    let people = [Some(entry.author), entry.signed_by, entry.cosigned_by, entry.released_by];
    let writers = entry.addenda.iter().map(|addendum| addendum.author);
    let names = accounts::list_names(connection, permit, people.into_iter().flatten().chain(writers))?;
    let amendments = AmendmentMark::of(connection, permit, RecordKind::ProgressEntry, entry.id)?;
    Ok(ProgressEntry {
        amendments,
        id: entry.id,
        member: entry.member,
        session: entry.session,
        text: entry.text,
        state: entry.state,
        author: Author::of(entry.author, &names),
        occurred_at: entry.occurred_at,
        recorded_at: entry.recorded_at,
        signed_by: entry.signed_by.map(|by| Author::of(by, &names)),
        signed_at: entry.signed_at,
        cosigned_by: entry.cosigned_by.map(|by| Author::of(by, &names)),
        cosigned_at: entry.cosigned_at,
        released_by: entry.released_by.map(|by| Author::of(by, &names)),
        released_at: entry.released_at,
        addenda: entry.addenda.into_iter().map(|addendum| Addendum::of(addendum, &names)).collect(),
    })
}
