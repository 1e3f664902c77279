//! What members ask to have corrected in their records, and what is answered.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    exports::Disclosure,
    operation::Api,
    session_records::Author,
};
use crate::{
    identity::Caller,
    policy::{Reach, act},
    problem::Problem,
    rules::{
        Refusal,
        amendments::{self as rules, Basis, Decision, RecordKind, State, Step, WHAT_YOU_MAY_DO},
    },
    store::{
        accounts,
        amendments::{self, Content, Done, KeptStep, OnAmendment, Request},
        connection::{Connection, Db},
        disclosures,
        permit::{Permit, also, authorize},
    },
    values::{Few, Id, Moment, Sentence, Text},
};

/// A statement of disagreement, or the answer to one: its length is bounded, as 45 CFR 164.526(d)(2) allows.
pub type Statement = Text<1, 5_000>;

/// A record that a member reads.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordNamed {
    pub kind: RecordKind,
    pub id: Id,
}

/// A correction that is asked for in a record of one's own that one can read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskForAmendment {
    pub record: RecordNamed,
    /// What is wrong, and why.
    pub wrong: Sentence,
    /// What it should say.
    pub asked: Sentence,
    /// Who is to be told if it is amended, besides those who had the record.
    pub tell: Option<Sentence>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideAmendment {
    pub decision: Decision,
    /// Of a denial; there is no other ground (45 CFR 164.526(a)(2)).
    pub basis: Option<Basis>,
    /// For the member, in plain language. A denial needs it; an acceptance may say where the correction stands.
    pub words: Option<Sentence>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendAmendment {
    /// Why it takes longer, for the member (45 CFR 164.526(b)(2)(ii)).
    pub reason: Sentence,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateDisagreement {
    pub text: Statement,
}

/// Those who had received the record, and were told that it is amended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TellReceivers {
    /// Ids of disclosures, as `received_by` names them.
    pub disclosures: Few<Id, 200>,
}

/// What a member asked to have corrected. The record itself stands as it was written: a correction of it is made as an
/// addendum or a new version, and this stays beside it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AmendmentRequest {
    pub id: Id,
    pub member: Id,
    pub record: RecordNamed,
    pub wrong: String,
    pub asked: String,
    /// Who is to be told, besides those who had the record.
    pub tell: Option<String>,
    pub state: State,
    pub asked_at: Moment,
    /// Until when it is to be decided: 60 days, or 90 once extended. As it stood, once it is decided.
    pub due_at: Moment,
    pub overdue: bool,
    /// Whether it goes with every disclosure of the record from now on.
    pub goes_along: bool,
    /// What followed, oldest first.
    pub steps: Vec<AmendmentStep>,
    /// What the member may do now; with a denial alone.
    pub what_you_may_do: Option<&'static str>,
    /// The disclosures in which such records of the member went out before, for those who decide: once it is accepted,
    /// their receivers are told (45 CFR 164.526(c)(3)). Null for anybody else, and until then.
    pub received_by: Option<Vec<Disclosure>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AmendmentStep {
    pub step: Step,
    /// Null where the member did it.
    pub by: Option<Author>,
    pub at: Moment,
    pub basis: Option<Basis>,
    pub words: Option<String>,
    /// Those whose receivers were told; for those who decide alone.
    pub disclosures: Vec<Id>,
}

/// That an amendment of a record was asked for: `GET /v1/groups/{group}/amendment-requests/{amendment}` says which.
#[derive(Debug, Serialize, ToSchema)]
pub struct AmendmentMark {
    pub id: Id,
    pub state: State,
}

impl AmendmentMark {
    /// Those of a record that was found with the permit.
    pub(super) fn of<A: crate::policy::area::Group>(
        connection: &mut Connection,
        permit: &Permit<A>,
        kind: RecordKind,
        record: Id,
    ) -> Result<Vec<AmendmentMark>, Problem> {
        let found = amendments::list_of_record(connection, permit, kind, record)?;
        Ok(found.into_iter().map(|(id, state)| AmendmentMark { id, state }).collect())
    }
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct WhichRequests {
    /// Only requests in this state; those that wait for a decision when not said. A member gets all of theirs.
    state: Option<State>,
}

pub fn register(api: &mut Api) {
    const REQUESTS: &str = "/groups/{group}/amendment-requests";
    const REQUEST: &str = "/groups/{group}/amendment-requests/{amendment}";
    let words = json!({"text": "I said twice that I had slept, and that stands nowhere."});
    api.heading("Amendments");
    api.post::<act::AskForAmendment, _, _>(REQUESTS, "Ask for a correction in your record", ask_for_amendment)
        .takes::<AskForAmendment>(json!({
            "record": {"kind": "progress_entry", "id": "5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a"},
            "wrong": "It says that I do not work.", "asked": "I work two days a week since March."
        }))
        .creates::<AmendmentRequest>()
        .says("Of measures, attendances, goals and homework of yours, and of entries that were released to you. It is decided within 60 days, once extended by 30. Nothing in the record is overwritten: what you asked and what was answered stay beside it.");
    api.get::<act::ReadAmendments, _, _>(REQUESTS, "List requests for a correction, first due first", list_amendments)
        .asks::<WhichRequests>()
        .lists::<AmendmentRequest>();
    api.get::<act::ReadAmendments, _, _>(REQUEST, "Read a request for a correction", read_amendment)
        .gives::<AmendmentRequest>();
    api.post::<act::DecideAmendment, _, _>(
        "/groups/{group}/amendment-requests/{amendment}/decision",
        "Accept or deny a correction",
        decide_amendment,
    )
    .takes::<DecideAmendment>(json!({
        "decision": "denied", "basis": "accurate_and_complete",
        "words": "The entry tells what was said on that evening; what changed since stands in the entry of April."
    }))
    .gives::<AmendmentRequest>()
    .changes()
    .makes_nothing();
    api.post::<act::DecideAmendment, _, _>(
        "/groups/{group}/amendment-requests/{amendment}/extension",
        "Take thirty more days for a decision, once",
        extend_amendment,
    )
    .takes::<ExtendAmendment>(json!({"reason": "Who wrote the entry is away until the tenth."}))
    .gives::<AmendmentRequest>()
    .changes()
    .makes_nothing();
    api.post::<act::DisputeAmendment, _, _>(
        "/groups/{group}/amendment-requests/{amendment}/statement",
        "Disagree with a denial, in writing",
        state_disagreement,
    )
    .takes::<StateDisagreement>(words.clone())
    .gives::<AmendmentRequest>()
    .changes()
    .makes_nothing();
    api.post::<act::DisputeAmendment, _, _>(
        "/groups/{group}/amendment-requests/{amendment}/inclusion",
        "Have your request and its denial go with every disclosure",
        send_along,
    )
    .gives::<AmendmentRequest>()
    .changes()
    .makes_nothing();
    api.post::<act::DecideAmendment, _, _>(
        "/groups/{group}/amendment-requests/{amendment}/rebuttal",
        "Answer a statement of disagreement",
        rebut_statement,
    )
    .takes::<StateDisagreement>(words)
    .gives::<AmendmentRequest>()
    .changes()
    .makes_nothing();
    api.post::<act::DecideAmendment, _, _>(
        "/groups/{group}/amendment-requests/{amendment}/notices",
        "Note who was told of an amendment",
        note_who_was_told,
    )
    .takes::<TellReceivers>(json!({"disclosures": ["5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a"]}))
    .gives::<AmendmentRequest>()
    .changes()
    .makes_nothing();
}

async fn ask_for_amendment(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<AskForAmendment>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AskForAmendment>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let content = Content {
                wrong: request.wrong.into_string(),
                asked: request.asked.into_string(),
                tell: request.tell.map(Text::into_string),
            };
            let RecordNamed { kind, id } = request.record;
            let kept = amendments::insert(connection, &permit, kind, id, &content)?;
            let (place, version) = (format!("/groups/{group}/amendment-requests/{}", kept.id), kept.version);
            Ok(Reply::created(place, &shown(connection, &permit, kept, None)?)?.version(version))
        })
    })
    .await
}

async fn list_amendments(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<WhichRequests>,
    paging: Paging,
) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadAmendments>(connection, &caller, group)?;
        let state = asked.state.unwrap_or(State::Received);
        let kept = amendments::list(connection, &permit, state, after, limit + 1)?;
        let rows = kept.into_iter().map(|request| shown(connection, &permit, request, None));
        let rows = rows.collect::<Result<Vec<_>, Problem>>()?;
        Reply::page(rows, &paging, |request| (request.due_at, request.id))
    })
    .await
}

async fn read_amendment(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadAmendments>(connection, &caller, group)?;
        let request = amendments::find(connection, &permit, id)?;
        let version = request.version;
        Ok(Reply::ok(&shown(connection, &permit, request, None)?)?.version(version))
    })
    .await
}

/// What a step changes: nothing of the state but where it says so.
fn step<'a>(request: &Request, step: Step, words: Option<&'a str>) -> Done<'a> {
    let Request { state, due_at, goes_along, .. } = *request;
    Done { step, state, due_at, goes_along, basis: None, words, disclosures: &[] }
}

/// Does something to one request, in the version that the caller has seen.
async fn on_request<A: OnAmendment, T: DeserializeOwned + Send + 'static>(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<T>,
    work: impl Fn(&mut Connection, &Permit<A>, &Request, &Command<T>) -> Answer + Send + 'static,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<A>(connection, &caller, group)?;
        let request = amendments::find(connection, &permit, id)?;
        command.expects(request.version)?;
        work(connection, &permit, &request, &command)
    })
    .await
}

async fn decide_amendment(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<DecideAmendment>,
) -> Answer {
    on_request::<act::DecideAmendment, _>(db, caller, path, command, |connection, permit, request, command| {
        let asked = command.body()?;
        rules::check_not_own(permit.own_member() == Some(request.member))?;
        rules::decide(request.state, asked.decision, asked.basis, asked.words.is_some())?;
        let words = asked.words.as_ref().map(Text::as_str);
        let (what, goes_along) = match asked.decision {
            Decision::Accepted => (Step::Accepted, true),
            Decision::Denied => (Step::Denied, false),
        };
        let state = asked.decision.into();
        let done = Done { state, goes_along, basis: asked.basis, ..step(request, what, words) };
        finish(connection, permit, request, done)
    })
    .await
}

async fn extend_amendment(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<ExtendAmendment>,
) -> Answer {
    on_request::<act::DecideAmendment, _>(db, caller, path, command, |connection, permit, request, command| {
        let asked = command.body()?;
        rules::check_not_own(permit.own_member() == Some(request.member))?;
        let due_at = rules::extend(request.state, request.asked_at, &request.done(), connection.now)?;
        let done = Done { due_at, ..step(request, Step::Extended, Some(asked.reason.as_str())) };
        finish(connection, permit, request, done)
    })
    .await
}

async fn state_disagreement(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<StateDisagreement>,
) -> Answer {
    on_request::<act::DisputeAmendment, _>(db, caller, path, command, |connection, permit, request, command| {
        let asked = command.body()?;
        rules::state_disagreement(request.state, &request.done())?;
        let done = Done { goes_along: true, ..step(request, Step::Stated, Some(asked.text.as_str())) };
        finish(connection, permit, request, done)
    })
    .await
}

async fn send_along(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<Nothing>) -> Answer {
    on_request::<act::DisputeAmendment, _>(db, caller, path, command, |connection, permit, request, _| {
        rules::send_along(request.state, request.goes_along)?;
        let done = Done { goes_along: true, ..step(request, Step::SentAlong, None) };
        finish(connection, permit, request, done)
    })
    .await
}

async fn rebut_statement(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<StateDisagreement>,
) -> Answer {
    on_request::<act::DecideAmendment, _>(db, caller, path, command, |connection, permit, request, command| {
        let asked = command.body()?;
        rules::check_not_own(permit.own_member() == Some(request.member))?;
        rules::rebut(&request.done())?;
        finish(connection, permit, request, step(request, Step::Rebutted, Some(asked.text.as_str())))
    })
    .await
}

async fn note_who_was_told(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<TellReceivers>,
) -> Answer {
    on_request::<act::DecideAmendment, _>(db, caller, path, command, |connection, permit, request, command| {
        let told = command.body()?.disclosures.0;
        rules::check_informs(request.state)?;
        let received = received_by(connection, permit, request)?;
        let is_unknown = |id: &Id| !received.iter().any(|disclosure| disclosure.id == *id);
        if let Some(index) = told.iter().position(is_unknown) {
            return Err(Refusal::field(format!("/disclosures/{index}"), "is no disclosure of such a record").into());
        }
        if told.is_empty() {
            return Err(Problem::field("/disclosures", "names nobody"));
        }
        finish(connection, permit, request, Done { disclosures: &told, ..step(request, Step::Informed, None) })
    })
    .await
}

fn received_by(
    connection: &mut Connection,
    permit: &Permit<act::DecideAmendment>,
    request: &Request,
) -> Result<Vec<Disclosure>, Problem> {
    let found = disclosures::list_of_parts(connection, permit, request.member, request.kind.parts())?;
    Ok(found.into_iter().map(Disclosure::from).collect())
}

/// Keeps a step, and shows the request as it stands then.
fn finish<A: OnAmendment>(connection: &mut Connection, permit: &Permit<A>, request: &Request, done: Done) -> Answer {
    amendments::add(connection, permit, request, done)?;
    let request = amendments::find(connection, permit, request.id)?;
    let version = request.version;
    // The decision's own answer names those who are to be told.
    let decides = request.state == State::Accepted && permit.reach() == Reach::All;
    let received = match decides {
        true => {
            let permit = also::<A, act::DecideAmendment>(connection, permit)?;
            Some(received_by(connection, &permit, &request)?)
        }
        false => None,
    };
    Ok(Reply::ok(&shown(connection, permit, request, received)?)?.version(version))
}

fn shown<A: OnAmendment>(
    connection: &mut Connection,
    permit: &Permit<A>,
    request: Request,
    received_by: Option<Vec<Disclosure>>,
) -> Result<AmendmentRequest, Problem> {
    let names = accounts::list_names(connection, permit, request.steps.iter().filter_map(|step| step.by))?;
    let is_member = permit.reach() == Reach::Own;
    Ok(AmendmentRequest {
        id: request.id,
        member: request.member,
        record: RecordNamed { kind: request.kind, id: request.record },
        wrong: request.content.wrong,
        asked: request.content.asked,
        tell: request.content.tell,
        state: request.state,
        asked_at: request.asked_at,
        due_at: request.due_at,
        overdue: request.state == State::Received && connection.now > request.due_at,
        goes_along: request.goes_along,
        // That a record went out may be withheld from the member (45 CFR 164.528(a)(2)): whom somebody told would say it.
        steps: request
            .steps
            .into_iter()
            .filter(|step| !is_member || step.step != Step::Informed)
            .map(|step| shown_step(step, &names))
            .collect(),
        what_you_may_do: (request.state == State::Denied).then_some(WHAT_YOU_MAY_DO),
        received_by,
    })
}

fn shown_step(kept: KeptStep, names: &HashMap<Id, String>) -> AmendmentStep {
    AmendmentStep {
        step: kept.step,
        by: kept.by.map(|by| Author::of(by, names)),
        at: kept.at,
        basis: kept.basis,
        words: kept.words,
        disclosures: kept.disclosures,
    }
}
