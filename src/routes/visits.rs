//! Visits without an account: session codes, drop-ins, claims, and proofs of attendance.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Nothing, Reply},
    meetings::whole_meeting,
    operation::Api,
};
use crate::{
    identity::{Address, Caller, Guesses, Try},
    policy::act,
    problem::Problem,
    rules::{
        meetings::{AttendanceMode, check_first_name, code_counts},
        sessions::State,
    },
    store::{
        attendances, breaches,
        connection::{Connection, Db},
        groups, meetings, peer_settings,
        permit::{Permit, authorize, authorize_in_session},
        sessions,
        visits::{self, Visit},
    },
    values::{Day, Id, Moment, Text},
};

/// A session's code: read it out at the meeting.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionCode {
    /// Six letters and digits that do not look or sound alike; case does not matter.
    pub code: String,
    /// An hour before the planned beginning of the session.
    pub opens_at: Moment,
    /// Three hours after the planned end of the session.
    pub closes_at: Moment,
}

/// That somebody is here. Nothing else is asked, and nothing else is kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DropIn {
    /// The session's code, as it was read out.
    pub code: Text<1, 40>,
}

/// A visitor's own code.
#[derive(Debug, Serialize, ToSchema)]
pub struct DroppedIn {
    /// Shown this once, and kept only as a keyed hash: note it down. With it you can have a proof of attendance made,
    /// and claim the visit if you join later.
    pub visit_code: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimVisit {
    /// The code that the visitor was given.
    pub visit_code: Text<1, 60>,
}

/// A claimed visit.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClaimedVisit {
    /// The local day of the session.
    pub starts_on: Day,
}

/// What shall stand on the paper.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeProof {
    /// One word: a first name or an initial.
    pub name: Text<1, 40>,
    /// The session's code, where nothing is kept of who was there.
    pub code: Option<Text<1, 40>>,
}

/// The same for somebody who dropped in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeVisitorsProof {
    pub visit_code: Text<1, 60>,
    /// One word: a first name or an initial.
    pub name: Text<1, 40>,
}

/// A proof of attendance: what stands on the paper. It names no group, and says only that somebody was at a meeting on
/// that day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Proof {
    /// Shown this once. Whoever is given the paper can check it with this.
    pub proof: String,
    pub name: String,
    pub on: Day,
}

/// What stands on a paper that somebody was given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckProof {
    pub proof: Text<1, 60>,
    pub name: Text<1, 40>,
    pub on: Day,
}

/// Whether such a paper was made: all three must match.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckedProof {
    pub valid: bool,
}

pub fn register(api: &mut Api) {
    api.heading("Meetings");
    let visit_code = "7h2kd-9fmz3-p0xqa-44tnr";
    api.post::<act::OpenSessionCode, _, _>(
        "/groups/{group}/sessions/{session}/code",
        "Open the session's code, or show it again",
        open_session_code,
    )
    .gives::<SessionCode>()
    .makes_nothing()
    .says("Read it out at the meeting. It counts from an hour before the planned beginning until three hours after the planned end.");
    api.post::<act::AskInPublic, _, _>("/visits", "Drop in with a session's code", drop_in)
        .takes::<DropIn>(json!({"code": "A3KHR7"}))
        .creates::<DroppedIn>()
        .makes_nothing()
        .also(429)
    .says("Needs no account, and keeps no name and no address. The visit code in the answer is shown this once: with it a proof can be made, and the visit be claimed after joining.");
    // No first answer is kept for a retry, here and below: its row would join an account and a session.
    api.post::<act::ClaimVisit, _, _>("/groups/{group}/visits", "Claim a visit after joining", claim_visit)
        .takes::<ClaimVisit>(json!({"visit_code": visit_code}))
        .gives::<ClaimedVisit>()
        .makes_nothing()
        .also(429)
    .says("For a member who dropped in before they joined. What is kept is what the group keeps and the member has not lowered; the head count stays as it is.");
    api.post::<act::MakeProof, _, _>(
        "/groups/{group}/sessions/{session}/proofs",
        "Have a proof of attendance made",
        make_proof,
    )
    .takes::<MakeProof>(json!({"name": "Sam", "code": "A3KHR7"}))
    .creates::<Proof>()
    .makes_nothing()
    .also(429)
    .says("For a member who was at a meeting that has begun: ticked, or with the session's code. The proof names no group.");
    api.post::<act::AskInPublic, _, _>("/proofs", "Have a proof made of a visit", make_visitors_proof)
        .takes::<MakeVisitorsProof>(json!({"visit_code": visit_code, "name": "S"}))
        .creates::<Proof>()
        .makes_nothing()
        .also(429);
    api.post::<act::AskInPublic, _, _>("/proofs/checks", "Check a proof of attendance", check_proof)
        .takes::<CheckProof>(json!({"proof": visit_code, "name": "Sam", "on": "2026-11-17"}))
        .gives::<CheckedProof>()
        .makes_nothing()
        .also(429);
}

async fn open_session_code(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::OpenSessionCode>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        if session.state == State::Cancelled {
            return Err(Problem::Conflict("The session is cancelled.".into()));
        }
        let (opens_at, closes_at) = code_counts(session.starts_at, session.minutes);
        if closes_at <= connection.now {
            return Err(Problem::Conflict("The session is over.".into()));
        }
        let code = visits::open_code(connection, &permit, &session)?;
        Reply::ok(&SessionCode { code, opens_at, closes_at })
    })
    .await
}

async fn drop_in(db: Data<Db>, guesses: Data<Guesses>, address: Address, command: Command<DropIn>) -> Answer {
    let request = command.body()?;
    guesses.begin(Try::SessionCode, &address.0)?;
    db.write(move |connection| {
        let Some(opened) = visits::find_open(connection, request.code.as_str())? else {
            guesses.was_wrong(Try::SessionCode, &address.0);
            return Err(Problem::field("/code", "opens nothing now"));
        };
        let visit_code = visits::insert(connection, opened)?;
        Reply::created("/visits".into(), &DroppedIn { visit_code })
    })
    .await
}

async fn claim_visit(
    db: Data<Db>,
    guesses: Data<Guesses>,
    caller: Caller,
    path: Path<Id>,
    command: Command<ClaimVisit>,
) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ClaimVisit>(connection, &caller, group)?;
        let member = permit.only_member()?.ok_or(Problem::NotFound)?;
        let request = command.body()?;
        let who = caller.account.to_string();
        guesses.begin(Try::VisitCode, &who)?;
        // Nobody lowers a mode between the look at it and the row that it allows.
        groups::lock(connection, &permit)?;
        let visit = visits::find_unclaimed(connection, &permit, request.visit_code.as_str())?;
        let is_claimed = match &visit {
            Some(visit) => {
                breaches::check_may_be_in(connection, &permit, visit.session)?;
                claim(connection, &permit, member, visit)?
            }
            None => false,
        };
        match visit {
            Some(visit) if is_claimed => Reply::ok(&ClaimedVisit { starts_on: visit.on }),
            _ => {
                guesses.was_wrong(Try::VisitCode, &who);
                Err(Problem::field("/visit_code", "is no visit that you can claim here"))
            }
        }
    })
    .await
}

/// Makes of a visit what the member's mode allows, and returns whether nobody was faster. The head count stays: who
/// was a drop-in is counted under a name from now on, or goes on as a drop-in.
fn claim(
    connection: &mut Connection,
    permit: &Permit<act::ClaimVisit>,
    member: Id,
    visit: &Visit,
) -> Result<bool, Problem> {
    let session = sessions::find(connection, permit, visit.session)?;
    let mode = peer_settings::find(connection, permit)?.mode_of(&session);
    let own = meetings::find_own_mode(connection, permit, member)?;
    match mode.lowered_to(own.mode) {
        AttendanceMode::CountOnly => visits::update_claimed(connection, permit, visit),
        AttendanceMode::Pseudonym => {
            let Some(pseudonym) = own.pseudonym else {
                return Err(Problem::Conflict("Choose a pseudonym first.".into()));
            };
            let there = meetings::list_pseudonyms(connection, permit, visit.session)?;
            if !there.iter().any(|there| there.id == pseudonym.id) {
                meetings::insert_pseudonym_attendances(connection, permit, visit.session, &[pseudonym.id])?;
            }
            visits::remove(connection, permit, visit)
        }
        AttendanceMode::Named => {
            if attendances::find(connection, permit, session.id, member)?.is_none() {
                let minutes = match (session.held_from, session.held_until) {
                    (Some(from), Some(until)) => until.minutes_since(from) as i32,
                    _ => session.minutes,
                };
                let said = whole_meeting(member, &session, minutes);
                attendances::insert(connection, permit, session.id, session.starts_at, &[said])?;
            }
            visits::remove(connection, permit, visit)
        }
    }
}

async fn make_proof(
    db: Data<Db>,
    guesses: Data<Guesses>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<MakeProof>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::MakeProof>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        let member = permit.only_member()?.ok_or(Problem::NotFound)?;
        let request = command.body()?;
        check_first_name(request.name.as_str())?;
        if !peer_settings::find(connection, &permit)?.proofs {
            return Err(no_proofs());
        }
        if session.state == State::Cancelled {
            return Err(Problem::Conflict("The session is cancelled.".into()));
        }
        check_begun(session.starts_at, connection.now)?;
        if !meetings::was_there(connection, &permit, member, id)? {
            let Some(code) = &request.code else {
                return Err(Problem::field("/code", "is missing: it was read out at the meeting"));
            };
            let who = caller.account.to_string();
            guesses.begin(Try::SessionCode, &who)?;
            if !visits::is_open(connection, &permit, &session, code.as_str())? {
                guesses.was_wrong(Try::SessionCode, &who);
                return Err(Problem::field("/code", "does not open this session now"));
            }
        }
        let on = visits::day_of(session.starts_at, &session.zone);
        let proof = visits::insert_proof(connection, &permit, request.name.as_str(), on)?;
        Reply::created("/proofs/checks".into(), &Proof { proof, name: request.name.into_string(), on })
    })
    .await
}

/// Nobody was at a meeting that has not begun.
fn check_begun(starts_at: Moment, now: Moment) -> Result<(), Problem> {
    if now < starts_at {
        return Err(Problem::Conflict("The session has not begun.".into()));
    }
    Ok(())
}

fn no_proofs() -> Problem {
    Problem::Conflict("This group makes no proofs of attendance.".into())
}

async fn make_visitors_proof(
    db: Data<Db>,
    guesses: Data<Guesses>,
    address: Address,
    command: Command<MakeVisitorsProof>,
) -> Answer {
    let request = command.body()?;
    check_first_name(request.name.as_str())?;
    guesses.begin(Try::VisitCode, &address.0)?;
    db.write(move |connection| {
        let Some(visit) = visits::find(connection, request.visit_code.as_str())? else {
            guesses.was_wrong(Try::VisitCode, &address.0);
            return Err(Problem::field("/visit_code", "is no visit"));
        };
        if !visit.proofs {
            return Err(no_proofs());
        }
        check_begun(visit.starts_at, connection.now)?;
        let proof = visits::insert_visitors_proof(connection, &visit, request.name.as_str())?;
        let name = request.name.as_str().to_owned();
        Reply::created("/proofs/checks".into(), &Proof { proof, name, on: visit.on })
    })
    .await
}

async fn check_proof(db: Data<Db>, guesses: Data<Guesses>, address: Address, command: Command<CheckProof>) -> Answer {
    let request = command.body()?;
    guesses.begin(Try::Proof, &address.0)?;
    db.read(move |connection| {
        let valid = visits::is_proof(connection, request.proof.as_str(), request.name.as_str(), request.on)?;
        if !valid {
            guesses.was_wrong(Try::Proof, &address.0);
        }
        Reply::ok(&CheckedProof { valid })
    })
    .await
}
