//! Risk marks and what is done about them: acknowledged, assessed, closed.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    operation::Api,
    session_records::Author,
};
use crate::{
    identity::Caller,
    policy::act,
    problem::Problem,
    rules::risks::{self as rules, Disposition, Duty, State, Step},
    store::{
        accounts,
        connection::{Connection, Db},
        measures::RiskMark,
        permit::{Permit, authorize},
        risks::{self, Cover, Done, KeptStep, Mark, OnRisk, Wanted},
    },
    values::{Id, Moment, Sentence},
};

/// A risk mark: an answer was positive on a risk item, or declined it, and somebody has to look at that.
#[derive(Debug, Serialize, ToSchema)]
pub struct RiskSummary {
    pub id: Id,
    pub member: Id,
    /// The measure whose answer raised it.
    pub measure: Id,
    /// `positive` or `declined`.
    pub risk: RiskMark,
    pub state: State,
    /// Whose it is: to whom it was given, or whoever leads the group once they have gone.
    pub owner: Option<Author>,
    /// Who stands in for the owner now. Null where nobody does, and where whoever would is stood in for too and nobody
    /// of them is there: `asked` is everybody who leads then.
    pub stand_in: Option<Author>,
    pub raised_at: Moment,
    /// Until when the next step is due: acknowledged within 24 hours and assessed within 72 hours after raising, closed
    /// or assessed again within 14 days after an assessment. These are defaults of this software, not a clinical
    /// standard. Null once closed.
    pub due_at: Option<Moment>,
    /// Nobody acted in time: the mark is escalated, and asks everybody who leads the group.
    pub overdue: bool,
    /// Who is asked to act now: the owner or whoever stands in, and everybody who leads where none of them is there or
    /// the mark is overdue. Whoever is stood in for at this moment does not count as there.
    pub asked: Vec<Author>,
    pub disposition: Option<Disposition>,
    pub closed_at: Option<Moment>,
}

/// A risk mark with all that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Risk {
    #[serde(flatten)]
    pub summary: RiskSummary,
    /// Oldest first.
    pub steps: Vec<RiskStep>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RiskStep {
    pub step: Step,
    /// Null where the member's own answer did it.
    pub by: Option<Author>,
    pub at: Moment,
    /// What the answer said when it was kept or corrected.
    pub risk: Option<RiskMark>,
    /// To whom it was given.
    pub owner: Option<Author>,
    pub disposition: Option<Disposition>,
    /// Shown to therapists and co-therapists, and to whoever wrote it.
    pub note: Option<String>,
}

/// What there is to say about a step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RiskNote {
    /// For the group's therapists and co-therapists; no member reads it.
    pub note: Option<Sentence>,
}

/// An assessment. It puts the mark off for two weeks, so it says something about the person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RiskAssessment {
    /// What was found and agreed. For the group's therapists and co-therapists; no member reads it.
    pub note: Sentence,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseRisk {
    /// `entered_in_error` only where the measure was corrected or marked so before; `other` with a note.
    pub disposition: Disposition,
    /// For the group's therapists and co-therapists; no member reads it.
    pub note: Option<Sentence>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignRisk {
    /// The account of a therapist or co-therapist of the group.
    pub owner: Id,
}

/// Who stands in for an owner during `[from_at, until_at)`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RiskCover {
    pub owner: Author,
    pub stand_in: Author,
    pub from_at: Moment,
    pub until_at: Moment,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RiskCovers {
    /// Those that run or are to come, soonest first.
    pub items: Vec<RiskCover>,
}

/// Who stands in for the caller.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameStandIn {
    /// The account of another therapist or co-therapist of the group.
    pub stand_in: Id,
    /// From when on; now when not said.
    pub from_at: Option<Moment>,
    /// At most 92 days after the beginning.
    pub until_at: Moment,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct WhichRisks {
    /// Only marks in this state; all that are open when not said.
    state: Option<State>,
    /// Only this member's.
    member: Option<Id>,
    /// Only those that ask the caller to act.
    #[serde(default)]
    waiting_for_me: bool,
}

pub fn register(api: &mut Api) {
    const RISK: &str = "/groups/{group}/risks/{risk}";
    const OWN_COVER: &str = "/groups/{group}/risk-covers/own";
    api.heading("Risk marks");
    api.get::<act::ReadRisks, _, _>("/groups/{group}/risks", "List risk marks, most urgent first", list_risks)
        .asks::<WhichRisks>()
        .lists::<RiskSummary>();
    api.get::<act::ReadRisks, _, _>(RISK, "Read a risk mark with its steps", read_risk).gives::<Risk>();
    api.post::<act::AcknowledgeRisk, _, _>(
        "/groups/{group}/risks/{risk}/acknowledgement",
        "Say that you have seen a risk mark",
        acknowledge_risk,
    )
    .takes::<RiskNote>(json!({}))
    .gives::<Risk>()
    .changes()
    .makes_nothing();
    api.post::<act::AssessRisk, _, _>(
        "/groups/{group}/risks/{risk}/assessment",
        "Note that the person was assessed",
        assess_risk,
    )
    .takes::<RiskAssessment>(
        json!({"note": "Spoke by telephone: passive thoughts, no plan, no means. Not alone tonight."}),
    )
    .gives::<Risk>()
    .changes()
    .makes_nothing();
    api.post::<act::AssessRisk, _, _>("/groups/{group}/risks/{risk}/closing", "Close a risk mark", close_risk)
        .takes::<CloseRisk>(json!({"disposition": "safety_plan", "note": "Plan written together, copy in the file."}))
        .gives::<Risk>()
        .changes()
        .makes_nothing();
    api.put::<act::AssignRisk, _, _>(
        "/groups/{group}/risks/{risk}/owner",
        "Give a risk mark to another owner",
        assign_risk,
    )
    .takes::<AssignRisk>(json!({"owner": "5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a"}))
    .gives::<Risk>()
    .changes();
    api.get::<act::ReadRisks, _, _>("/groups/{group}/risk-covers", "See who stands in for whom", list_risk_covers)
        .gives::<RiskCovers>();
    api.put::<act::AssignRisk, _, _>(OWN_COVER, "Name who stands in for you", name_risk_cover)
        .takes::<NameStandIn>(json!({
            "stand_in": "5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a", "from_at": "2026-12-20T08:00:00Z",
            "until_at": "2027-01-04T08:00:00Z"
        }))
        .gives::<RiskCover>();
    api.delete::<act::AssignRisk, _, _>(OWN_COVER, "Take your cover back", end_risk_cover);
}

/// Everybody whom these marks name.
fn people(marks: &[Mark], duty: &Duty) -> Vec<Id> {
    let owners = marks.iter().filter_map(|mark| mark.owner);
    owners.chain(duty.leads.iter().copied()).collect()
}

fn summary(mark: &Mark, duty: &Duty, names: &HashMap<Id, String>, now: Moment) -> RiskSummary {
    let author = |account: Id| Author::of(account, names);
    let is_open = mark.state != State::Closed;
    let overdue = rules::is_overdue(mark.due_at, now);
    // A closed mark keeps whose it was.
    let owner = if is_open { duty.owner(mark.owner) } else { mark.owner };
    let stand_in = duty.stand_in(mark.owner).filter(|_| is_open);
    let asked = if is_open { duty.asked(mark.owner, overdue) } else { Vec::new() };
    RiskSummary {
        id: mark.id,
        member: mark.member,
        measure: mark.measure,
        risk: mark.risk,
        state: mark.state,
        owner: owner.map(author),
        stand_in: stand_in.map(author),
        raised_at: mark.raised_at,
        due_at: mark.due_at,
        overdue,
        asked: asked.into_iter().map(author).collect(),
        disposition: mark.disposition,
        closed_at: mark.closed_at,
    }
}

/// The mark as it is kept now, with its steps and its version.
fn show<A: OnRisk>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Answer {
    let mark = risks::find(connection, permit, id)?;
    let steps = risks::list_steps(connection, permit, &mark)?;
    let duty = risks::find_duty(connection, permit)?;
    let acting = steps.iter().flat_map(|step| [step.by, step.owner]).flatten();
    let named: Vec<Id> = people(std::slice::from_ref(&mark), &duty).into_iter().chain(acting).collect();
    let names = accounts::list_names(connection, permit, named)?;
    let step = |kept: KeptStep| RiskStep {
        step: kept.step,
        by: kept.by.map(|by| Author::of(by, &names)),
        at: kept.at,
        risk: kept.risk,
        owner: kept.owner.map(|owner| Author::of(owner, &names)),
        disposition: kept.disposition,
        note: kept.note,
    };
    let summary = summary(&mark, &duty, &names, connection.now);
    let steps = steps.into_iter().map(step).collect();
    Ok(Reply::ok(&Risk { summary, steps })?.version(mark.version))
}

async fn list_risks(db: Data<Db>, caller: Caller, path: Path<Id>, asked: Query<WhichRisks>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadRisks>(connection, &caller, group)?;
        let wanted = Wanted { state: asked.state, member: asked.member, waiting_for_me: asked.waiting_for_me };
        let duty = risks::find_duty(connection, &permit)?;
        let marks = risks::list(connection, &permit, wanted, &duty, after, limit + 1)?;
        let names = accounts::list_names(connection, &permit, people(&marks, &duty))?;
        let now = connection.now;
        let shown = marks.iter().map(|mark| summary(mark, &duty, &names, now)).collect();
        Reply::page(shown, &paging, |mark: &RiskSummary| (mark.due_at.or(mark.closed_at), mark.id))
    })
    .await
}

async fn read_risk(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadRisks>(connection, &caller, group)?;
        show(connection, &permit, id)
    })
    .await
}

async fn acknowledge_risk(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<RiskNote>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AcknowledgeRisk>(connection, &caller, group)?;
        let mark = risks::find_to_change(connection, &permit, id)?;
        command.expects(mark.version)?;
        let request = command.body()?;
        let state = rules::acknowledge(mark.state)?;
        let note = request.note.as_ref().map(Sentence::as_str);
        let done = Done { step: Step::Acknowledged, state, disposition: None, note };
        risks::update_state(connection, &permit, &mark, done)?;
        show(connection, &permit, id)
    })
    .await
}

async fn assess_risk(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<RiskAssessment>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AssessRisk>(connection, &caller, group)?;
        let mark = risks::find_to_change(connection, &permit, id)?;
        command.expects(mark.version)?;
        let request = command.body()?;
        let state = rules::assess(mark.state)?;
        let done = Done { step: Step::Assessed, state, disposition: None, note: Some(request.note.as_str()) };
        risks::update_state(connection, &permit, &mark, done)?;
        show(connection, &permit, id)
    })
    .await
}

async fn close_risk(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<CloseRisk>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AssessRisk>(connection, &caller, group)?;
        let mark = risks::find_to_change(connection, &permit, id)?;
        command.expects(mark.version)?;
        let request = command.body()?;
        let stands = risks::stands(connection, &permit, &mark)?;
        let state = rules::close(mark.state, request.disposition, stands, request.note.is_some())?;
        let note = request.note.as_ref().map(Sentence::as_str);
        let done = Done { step: Step::Closed, state, disposition: Some(request.disposition), note };
        risks::update_state(connection, &permit, &mark, done)?;
        show(connection, &permit, id)
    })
    .await
}

async fn assign_risk(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<AssignRisk>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AssignRisk>(connection, &caller, group)?;
        let mark = risks::find_to_change(connection, &permit, id)?;
        command.expects(mark.version)?;
        let request = command.body()?;
        rules::check_open(mark.state)?;
        check_leads(&risks::find_duty(connection, &permit)?, request.owner, "/owner")?;
        risks::update_owner(connection, &permit, &mark, request.owner)?;
        show(connection, &permit, id)
    })
    .await
}

/// Whoever does not lead here is refused in the same words, whoever they are.
fn check_leads(duty: &Duty, account: Id, pointer: &str) -> Result<(), Problem> {
    match duty.leads.contains(&account) {
        true => Ok(()),
        false => Err(Problem::field(pointer, "is no therapist or co-therapist of this group")),
    }
}

fn shown_cover(cover: &Cover, names: &HashMap<Id, String>) -> RiskCover {
    RiskCover {
        owner: Author::of(cover.owner, names),
        stand_in: Author::of(cover.stand_in, names),
        from_at: cover.from_at,
        until_at: cover.until_at,
    }
}

async fn list_risk_covers(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadRisks>(connection, &caller, group)?;
        let covers = risks::list_covers(connection, &permit)?;
        let named = covers.iter().flat_map(|cover| [cover.owner, cover.stand_in]);
        let names = accounts::list_names(connection, &permit, named)?;
        Reply::ok(&RiskCovers { items: covers.iter().map(|cover| shown_cover(cover, &names)).collect() })
    })
    .await
}

async fn name_risk_cover(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<NameStandIn>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AssignRisk>(connection, &caller, group)?;
        let request = command.body()?;
        let from_at = request.from_at.unwrap_or(connection.now);
        rules::check_cover(permit.account(), request.stand_in, from_at, request.until_at, connection.now)?;
        check_leads(&risks::find_duty(connection, &permit)?, request.stand_in, "/stand_in")?;
        let cover = risks::replace_cover(connection, &permit, request.stand_in, from_at, request.until_at)?;
        let names = accounts::list_names(connection, &permit, [cover.owner, cover.stand_in])?;
        Reply::ok(&shown_cover(&cover, &names))
    })
    .await
}

async fn end_risk_cover(db: Data<Db>, caller: Caller, path: Path<Id>, _: Command<Nothing>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AssignRisk>(connection, &caller, group)?;
        risks::end_cover(connection, &permit)?;
        Reply::done()
    })
    .await
}
