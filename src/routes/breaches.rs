//! When trust breaks: reports, findings, decisions by secret ballot, consequences and appeals.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Paging, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Kind, act, area},
    problem::Problem,
    rules::{
        breaches::{
            AppealOutcome, Authority, Case, Choice, Closing, Consequence, Finding, Proposal, REVIEW_DAYS, State,
            Subject, check_appeal, check_ballot, check_count, check_electorate, check_no_appeal_can_come, check_vote,
            is_too_small,
        },
        sessions::State as SessionState,
    },
    store::{
        breaches::{self, Content, Following, KeptConsequence, NewDecision, OwnCase, OwnReport, Report},
        connection::{Connection, Db},
        groups, leaving,
        permit::{Permit, authorize, authorize_own},
        sessions::{self, Session},
    },
    values::{Day, Few, Id, Moment, Sentence, Text, Title, Whole},
    words,
};

/// What happened, and with whom. Nobody is ever shown who reported it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportBreach {
    /// Empty for somebody whom the reporter cannot name.
    #[serde(default)]
    pub about: About,
    pub text: Text<1, 5000>,
    /// The day on which it happened.
    pub happened_on: Option<Day>,
}

/// Whom a report is about: one of these, or none. The answer is the same whether they are found or not.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// A member of the group.
    pub member: Option<Id>,
    /// A term of the group: whoever holds it, or held it.
    pub term: Option<Id>,
    /// The name used in the group.
    pub name: Option<Title>,
}

/// What the reporter is told at once: always the same.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceivedReport {
    pub id: Id,
    pub state: State,
    /// The day in the group's zone; the hour is not kept.
    pub received_on: Day,
}

/// A report in a list of its handlers.
#[derive(Debug, Serialize, ToSchema)]
pub struct BreachReportSummary {
    pub id: Id,
    pub state: State,
    pub finding: Option<Finding>,
    pub received_on: Day,
    pub closed_at: Option<Moment>,
}

/// A report with its course, for its handlers.
#[derive(Debug, Serialize, ToSchema)]
pub struct BreachReport {
    pub id: Id,
    pub state: State,
    pub about: Named,
    /// When a handler named the subject, where the report itself named nobody who was found.
    pub named_at: Option<Moment>,
    pub text: String,
    pub happened_on: Option<Day>,
    pub received_on: Day,
    /// What the subject was told.
    pub told: Option<String>,
    pub told_at: Option<Moment>,
    pub finding: Option<Finding>,
    pub finding_text: Option<String>,
    pub found_at: Option<Moment>,
    pub decision: Option<Vote>,
    pub consequence: Option<BreachConsequence>,
    /// Reports to a board, a regulator or the police.
    pub outside_reports: Vec<OutsideReport>,
    pub closed_at: Option<Moment>,
}

/// Whom a report is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct Named {
    /// The membership, where there is one.
    pub member: Option<Id>,
    /// What they are called in the group.
    pub name: Option<String>,
    /// What the reporter named, where it was not one person of the group.
    pub named_as: Option<String>,
}

/// The vote on a report. It is read and cast at `/groups/{group}/decisions`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Vote {
    pub id: Id,
    pub closes_at: Moment,
    pub closed_at: Option<Moment>,
    /// What won; null while it lasts, and where too few voted.
    pub outcome: Option<Choice>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OutsideReport {
    pub id: Id,
    pub made_to: Authority,
    pub made_on: Day,
    pub reference: Option<String>,
    pub recorded_at: Moment,
}

/// What follows a breach.
#[derive(Debug, Serialize, ToSchema)]
pub struct BreachConsequence {
    pub id: Id,
    pub consequence: Consequence,
    /// The session that they were asked to leave: until it ends, its addresses are closed to them.
    pub session: Option<Id>,
    pub from_at: Moment,
    /// When it ends by itself.
    pub until_at: Option<Moment>,
    /// The day on which the group looks at it again.
    pub review_on: Day,
    /// What the subject wrote against it.
    pub appeal: Option<String>,
    pub appealed_at: Option<Moment>,
    pub appeal_outcome: Option<AppealOutcome>,
    pub appeal_decided_at: Option<Moment>,
}

/// Whom a report is about: one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameSubject {
    /// A member of the group.
    pub member: Option<Id>,
    /// A term of the group: whoever holds it, or held it.
    pub term: Option<Id>,
    /// The name of one person of the group, as it is used there.
    pub name: Option<Title>,
}

/// What the subject is told that it is about. It is read by them, so it should not say who reported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TellSubject {
    pub text: Sentence,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordFinding {
    pub finding: Finding,
    pub text: Text<1, 5000>,
}

/// What the group votes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenDecision {
    /// 24 hours to 30 days ahead.
    pub closes_at: Moment,
    /// What every member reads.
    pub question: Text<1, 500>,
    /// All that the group's policy knows when not said, `asked_to_leave` where a session is named; `no_consequence` is
    /// always one of them.
    pub options: Option<Few<Choice, 5>>,
    /// How long a pause would be, in days; needed when it is an option.
    pub pause_days: Option<Whole<1, 180>>,
    /// The session that they would be asked to leave: needed when that is an option, refused otherwise. It begins after
    /// the vote ends.
    pub session: Option<Id>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseReport {
    /// The day on which a consequence is looked at again, at most a year ahead; in 30 days when not said.
    pub review_on: Option<Day>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportOutside {
    pub made_to: Authority,
    /// Not in the future.
    pub made_on: Day,
    /// The other side's number or name for it.
    pub reference: Option<Title>,
}

/// A vote of the group. How many voted, who did, and how often each option was chosen, nobody is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decision {
    pub id: Id,
    pub question: String,
    pub options: Vec<Choice>,
    /// How long a pause would be, in days.
    pub pause_days: Option<i32>,
    /// Which session they would be asked to leave.
    pub session: Option<Id>,
    pub opened_at: Moment,
    pub closes_at: Moment,
    /// Whether you can vote now.
    pub may_vote: bool,
    pub has_voted: bool,
    /// When it was counted.
    pub closed_at: Option<Moment>,
    /// What won; null until it was counted, and afterwards where too few voted for a secret result.
    pub outcome: Option<Choice>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CastBallot {
    pub choice: Choice,
}

/// An appeal, for the privacy officers: what it is against, and nothing else of the case.
#[derive(Debug, Serialize, ToSchema)]
pub struct Appeal {
    pub breach_report: Id,
    #[serde(flatten)]
    pub consequence: BreachConsequence,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideAppeal {
    pub outcome: AppealOutcome,
}

words! {
    /// What followed a report, in general.
    pub enum Followed { Nothing = "nothing", Something = "something" }
}

/// The caller's own reports, and the cases about them that they were told of.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnCases {
    /// The newest first, at most 200.
    pub reports: Vec<OwnBreachReport>,
    /// The newest first.
    pub cases: Vec<CaseAboutOneself>,
}

/// A report, for whoever made it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnBreachReport {
    pub id: Id,
    pub group: Id,
    pub group_title: String,
    pub received_on: Day,
    pub state: State,
    pub has_finding: bool,
    /// What followed; null while that is open.
    pub followed: Option<Followed>,
}

/// A case, for whoever it is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseAboutOneself {
    pub group: Id,
    pub group_title: String,
    /// What it is about.
    pub told: String,
    pub told_at: Moment,
    pub state: State,
    pub finding: Option<Finding>,
    /// Within thirty days it can be appealed: `POST /account/cases/{consequence}/appeal`.
    pub consequence: Option<BreachConsequence>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealConsequence {
    pub text: Text<1, 5000>,
}

pub fn register(api: &mut Api) {
    api.heading("When trust breaks");
    // No Idempotency-Key: what it keeps would name the caller beside the hour.
    api.post::<act::ReportBreach, _, _>("/groups/{group}/breach-reports", "Report a breach of trust", report_breach)
        .takes::<ReportBreach>(json!({
            "about": {"name": "Finch"}, "text": "My story was told outside the group.", "happened_on": "2026-11-17"
        }))
        .creates::<ReceivedReport>()
        .makes_nothing()
    .says("Goes to those in the group who are not in conflict, the stewards first, and to the organization's privacy officers where there are none. They never read who reported. Then, in this order: naming, where the report names nobody who was found, telling (the subject learns what it is about, at the group's step), finding, decision (a secret vote, where the group is large enough), closing. `GET /account/cases` shows its course to whoever reported, and to the subject once they are told. In a therapist-led group the privacy officers handle it, and note reports to somebody outside.");
    api.get::<act::ReadBreachReports, _, _>(
        "/groups/{group}/breach-reports",
        "List the reports that you handle",
        list_breach_reports,
    )
    .lists::<BreachReportSummary>();
    api.get::<act::ReadBreachReports, _, _>(
        "/groups/{group}/breach-reports/{breach_report}",
        "Read a report that you handle",
        read_breach_report,
    )
    .gives::<BreachReport>();
    api.post::<act::HandleBreachReport, _, _>(
        "/groups/{group}/breach-reports/{breach_report}/naming",
        "Name whom it is about",
        name_subject,
    )
    .takes::<NameSubject>(json!({"name": "Finch"}))
    .changes()
    .makes_nothing()
    .says("For a report that names nobody, or nobody who was found, until the subject is told. The report then goes to those who are not in conflict, as if it had come with that name: perhaps no longer to you.");
    api.post::<act::HandleBreachReport, _, _>(
        "/groups/{group}/breach-reports/{breach_report}/telling",
        "Tell the subject what it is about",
        tell_subject,
    )
    .takes::<TellSubject>(json!({"text": "Something that was said here was told outside."}))
    .gives::<BreachReport>()
    .changes()
    .makes_nothing();
    api.post::<act::HandleBreachReport, _, _>(
        "/groups/{group}/breach-reports/{breach_report}/finding",
        "Say what was found",
        record_finding,
    )
    .takes::<RecordFinding>(json!({"finding": "breach", "text": "Both were heard; it was told outside."}))
    .gives::<BreachReport>()
    .changes()
    .makes_nothing();
    api.post::<act::HandleBreachReport, _, _>(
        "/groups/{group}/breach-reports/{breach_report}/decision",
        "Let the group decide in secret",
        open_decision,
    )
    .takes::<OpenDecision>(json!({
        "closes_at": "2026-12-01T18:00:00Z", "question": "What shall follow?", "pause_days": 30
    }))
    .gives::<BreachReport>()
    .changes()
    .makes_nothing()
    .says("Everybody who was an active member before the report can vote, other than the subject. The result is known at closing, and only when enough have voted; of options with the same number the milder one counts. A pause and a removal also end the terms by which the subject leads the group, even those of its last steward: an administrator or a facilitator then invites another.");
    api.post::<act::HandleBreachReport, _, _>(
        "/groups/{group}/breach-reports/{breach_report}/closing",
        "Close the vote or the case",
        close_breach_report,
    )
    .takes::<CloseReport>(json!({}))
    .gives::<BreachReport>()
    .changes()
    .makes_nothing()
    .says("Ends the vote after its time, and lets happen what won; or closes the case: with a finding other than a breach, where too few could vote, and 30 days after a consequence, when nobody can appeal any more.");
    api.post::<act::HandleBreachReport, _, _>(
        "/groups/{group}/breach-reports/{breach_report}/outside-reports",
        "Note a report to somebody outside",
        report_outside,
    )
    .takes::<ReportOutside>(json!({"made_to": "board", "made_on": "2026-11-20", "reference": "B-2026-118"}))
    .creates::<OutsideReport>();
    api.get::<act::ReadDecisions, _, _>("/groups/{group}/decisions", "List the group's votes", list_decisions)
        .lists::<Decision>();
    api.get::<act::ReadDecisions, _, _>("/groups/{group}/decisions/{decision}", "Read a vote", read_decision)
        .gives::<Decision>();
    // Nothing is kept of a ballot but a sealed sum, so there is no answer to give again either.
    api.post::<act::CastBallot, _, _>("/groups/{group}/decisions/{decision}/ballots", "Vote in secret", cast_ballot)
        .takes::<CastBallot>(json!({"choice": "no_consequence"}))
        .makes_nothing();
    api.get::<act::DecideAppeal, _, _>("/groups/{group}/appeals", "List the appeals", list_appeals).lists::<Appeal>();
    api.post::<act::DecideAppeal, _, _>(
        "/groups/{group}/breach-reports/{breach_report}/appeal-decision",
        "Decide an appeal",
        decide_appeal,
    )
    .takes::<DecideAppeal>(json!({"outcome": "lifted"}))
    .gives::<Appeal>()
    .makes_nothing();
    api.get::<act::ReadOwnAccount, _, _>("/account/cases", "Read your reports and what is about you", list_own_cases)
        .gives::<OwnCases>();
    api.post::<act::AppealConsequence, _, _>(
        "/account/cases/{consequence}/appeal",
        "Appeal what follows for you",
        appeal_consequence,
    )
    .takes::<AppealConsequence>(json!({"text": "I was not there that evening."}))
    .gives::<BreachConsequence>()
    .makes_nothing();
}

fn shown_consequence(kept: KeptConsequence) -> BreachConsequence {
    BreachConsequence {
        id: kept.id,
        consequence: kept.consequence,
        session: kept.session,
        from_at: kept.from_at,
        until_at: kept.until_at,
        review_on: kept.review_on,
        appeal: kept.appeal,
        appealed_at: kept.appealed_at,
        appeal_outcome: kept.appeal_outcome,
        appeal_decided_at: kept.appeal_decided_at,
    }
}

fn shown_decision(kept: breaches::Decision, now: Moment) -> Decision {
    let lasts = kept.closed_at.is_none() && now < kept.closes_at;
    Decision {
        id: kept.id,
        question: kept.question,
        options: kept.options,
        pause_days: kept.pause_days,
        session: kept.session,
        opened_at: kept.opened_at,
        closes_at: kept.closes_at,
        may_vote: kept.is_voter && !kept.has_voted && lasts,
        has_voted: kept.has_voted,
        closed_at: kept.closed_at,
        outcome: kept.outcome,
    }
}

fn case<A: area::Group>(permit: &Permit<A>, report: &Report) -> Case {
    Case {
        kind: permit.kind(),
        state: report.state,
        is_named: report.subject_account.is_some() || report.subject_member.is_some(),
        is_named_by_handler: report.named_at.is_some(),
        finding: report.finding,
    }
}

/// The case as its handlers see it.
fn show<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Answer {
    let report = breaches::find(connection, permit, id)?;
    let name = breaches::find_subject_name(connection, permit, &report)?;
    let vote = breaches::find_vote(connection, permit, &report)?;
    let consequence = breaches::find_consequence(connection, permit, id)?;
    let outside_reports = breaches::list_outside_reports(connection, permit, &report)?;
    let shown = BreachReport {
        id,
        state: report.state,
        about: Named { member: report.subject_member, name, named_as: report.content.named },
        named_at: report.named_at,
        text: report.content.text,
        happened_on: report.content.happened_on,
        received_on: report.received_at.day_in(permit.zone()),
        told: report.told,
        told_at: report.told_at,
        finding: report.finding,
        finding_text: report.finding_text,
        found_at: report.found_at,
        decision: vote.map(|vote| Vote {
            id: vote.id,
            closes_at: vote.closes_at,
            closed_at: vote.closed_at,
            outcome: vote.outcome,
        }),
        consequence: consequence.map(shown_consequence),
        outside_reports: outside_reports.into_iter().map(shown_outside).collect(),
        closed_at: report.closed_at,
    };
    Ok(Reply::ok(&shown)?.version(report.version))
}

fn shown_outside(kept: breaches::OutsideReport) -> OutsideReport {
    OutsideReport {
        id: kept.id,
        made_to: kept.made_to,
        made_on: kept.made_on,
        reference: kept.reference,
        recorded_at: kept.recorded_at,
    }
}

async fn report_breach(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<ReportBreach>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ReportBreach>(connection, &caller, group)?;
        let request = command.body()?;
        let today = connection.now.day_in(permit.zone());
        if request.happened_on.is_some_and(|day| day > today) {
            return Err(Problem::field("/happened_on", "lies in the future"));
        }
        // Of the same report sent twice at once, the second finds the first.
        groups::lock(connection, &permit)?;
        let (subject, named) = match request.about {
            About { member: None, term: None, name: None } => (Subject::Unnamed, None),
            About { member: Some(member), term: None, name: None } => {
                (breaches::find_subject_by_member(connection, &permit, member)?, Some(member.to_string()))
            }
            About { member: None, term: Some(term), name: None } => {
                (breaches::find_subject_by_term(connection, &permit, term)?, Some(term.to_string()))
            }
            About { member: None, term: None, name: Some(name) } => {
                (breaches::find_subject_by_name(connection, &permit, name.as_str())?, Some(name.into_string()))
            }
            _ => return Err(Problem::field("/about", "names more than one of member, term and name")),
        };
        let content = Content {
            text: request.text.into_string(),
            named: named.filter(|_| subject == Subject::Unclear),
            happened_on: request.happened_on,
        };
        let receipt = breaches::insert(connection, &permit, subject, &content)?;
        let received = ReceivedReport {
            id: receipt.id,
            state: State::Received,
            received_on: receipt.received_at.day_in(permit.zone()),
        };
        Reply::created("/account/cases".into(), &received)
    })
    .await
}

async fn list_breach_reports(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadBreachReports>(connection, &caller, group)?;
        let reports = breaches::list(connection, &permit, after, limit + 1)?;
        let shown = reports.into_iter().map(|report| BreachReportSummary {
            id: report.id,
            state: report.state,
            finding: report.finding,
            received_on: report.received_at.day_in(permit.zone()),
            closed_at: report.closed_at,
        });
        Reply::page(shown.collect(), &paging, |report| report.id)
    })
    .await
}

async fn read_breach_report(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadBreachReports>(connection, &caller, group)?;
        show(connection, &permit, id)
    })
    .await
}

async fn name_subject(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<NameSubject>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HandleBreachReport>(connection, &caller, group)?;
        // Whoever is sent it leads the group still.
        groups::lock(connection, &permit)?;
        let report = breaches::find(connection, &permit, id)?;
        command.expects(report.version)?;
        let request = command.body()?;
        case(&permit, &report).check_naming()?;
        let (subject, pointer) = match request {
            NameSubject { member: Some(member), term: None, name: None } => {
                (breaches::find_subject_by_member(connection, &permit, member)?, "/member")
            }
            NameSubject { member: None, term: Some(term), name: None } => {
                (breaches::find_subject_by_term(connection, &permit, term)?, "/term")
            }
            NameSubject { member: None, term: None, name: Some(name) } => {
                (breaches::find_subject_by_name(connection, &permit, name.as_str())?, "/name")
            }
            _ => return Err(Problem::field("", "names not one of member, term and name")),
        };
        if subject == Subject::Unclear {
            return Err(Problem::field(pointer, "is not one person of this group"));
        }
        breaches::update_subject(connection, &permit, &report, subject)?;
        // Without the case: it may be somebody else's by now.
        Reply::done()
    })
    .await
}

async fn tell_subject(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<TellSubject>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HandleBreachReport>(connection, &caller, group)?;
        let report = breaches::find(connection, &permit, id)?;
        command.expects(report.version)?;
        let request = command.body()?;
        case(&permit, &report).check_telling()?;
        breaches::update_told(connection, &permit, &report, request.text.as_str())?;
        show(connection, &permit, id)
    })
    .await
}

async fn record_finding(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<RecordFinding>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HandleBreachReport>(connection, &caller, group)?;
        let report = breaches::find(connection, &permit, id)?;
        command.expects(report.version)?;
        let request = command.body()?;
        case(&permit, &report).check_finding()?;
        breaches::update_finding(connection, &permit, &report, request.finding, request.text.as_str())?;
        show(connection, &permit, id)
    })
    .await
}

async fn open_decision(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<OpenDecision>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HandleBreachReport>(connection, &caller, group)?;
        // Nobody comes or goes while the voters are listed.
        groups::lock(connection, &permit)?;
        let report = breaches::find(connection, &permit, id)?;
        command.expects(report.version)?;
        let request = command.body()?;
        case(&permit, &report).check_decision()?;
        let rules = report.rules.ok_or_else(|| Problem::Internal("a peer-led group has no rules".into()))?;
        let session = match request.session {
            Some(session) => Some(find_session(connection, &permit, session)?),
            None => None,
        };
        let proposal = Proposal {
            options: request.options.as_ref().map(|options| options.0.as_slice()),
            pause_days: request.pause_days.map(Whole::get),
            session_starts_at: session.as_ref().map(|session| session.starts_at),
            closes_at: request.closes_at,
        };
        let options = check_vote(rules.breach_policy, &proposal, connection.now)?;
        let voters = breaches::list_voters(connection, &permit, &report)?;
        check_electorate(voters.len(), rules.ballot_minimum)?;
        let new = NewDecision {
            question: request.question.as_str(),
            options: &options,
            pause_days: proposal.pause_days,
            session: session.map(|session| session.id),
            closes_at: proposal.closes_at,
        };
        breaches::insert_decision(connection, &permit, &report, &new, &voters, rules)?;
        show(connection, &permit, id)
    })
    .await
}

/// A session that somebody can still be asked to leave.
fn find_session(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    id: Id,
) -> Result<Session, Problem> {
    let session = match sessions::find(connection, permit, id) {
        Err(Problem::NotFound) => return Err(Problem::field("/session", "is no session of this group")),
        found => found?,
    };
    match session.state {
        SessionState::Cancelled => Err(Problem::Conflict("The session is cancelled.".into())),
        _ => Ok(session),
    }
}

async fn close_breach_report(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<CloseReport>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HandleBreachReport>(connection, &caller, group)?;
        // A consequence changes who takes a place, and who leads.
        groups::lock(connection, &permit)?;
        let report = breaches::find(connection, &permit, id)?;
        command.expects(report.version)?;
        let request = command.body()?;
        let review_on = review_day(request.review_on, connection.now, permit.zone())?;
        let state = match case(&permit, &report).closing()? {
            Closing::WithTheFinding => State::Closed,
            Closing::WhereTooFewCanVote => {
                check_that_too_few_can_vote(connection, &permit, &report)?;
                State::Closed
            }
            Closing::OfTheVote => count(connection, &permit, &report, review_on)?,
            Closing::AfterTheTimeForAppeals => {
                if let Some(kept) = breaches::find_consequence(connection, &permit, id)? {
                    check_no_appeal_can_come(kept.from_at, connection.now)?;
                }
                State::Closed
            }
        };
        breaches::update_state(connection, &permit, &report, state)?;
        if state == State::Closed {
            leaving::finish_erasures(connection, &permit)?;
        }
        show(connection, &permit, id)
    })
    .await
}

fn review_day(asked: Option<Day>, now: Moment, zone: &str) -> Result<Day, Problem> {
    let (today, in_a_year) = (now.day_in(zone), now.plus_days(366).day_in(zone));
    match asked {
        Some(day) if day < today || day > in_a_year => {
            Err(Problem::field("/review_on", "is not between today and a year from now"))
        }
        Some(day) => Ok(day),
        None => Ok(now.plus_days(REVIEW_DAYS).day_in(zone)),
    }
}

/// A breach that the group can decide on is not closed past it.
fn check_that_too_few_can_vote(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
) -> Result<(), Problem> {
    let rules = report.rules.ok_or_else(|| Problem::Internal("a peer-led group has no rules".into()))?;
    let voters = breaches::list_voters(connection, permit, report)?;
    if is_too_small(voters.len(), rules.ballot_minimum) {
        return Ok(());
    }
    Err(Problem::Conflict("A breach was found: let the group decide, POST …/decision.".into()))
}

/// Counts a vote that has ended, and lets happen what won.
fn count(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    review_on: Day,
) -> Result<State, Problem> {
    let vote = breaches::find_vote(connection, permit, report)?
        .ok_or_else(|| Problem::Internal("a vote that is open is gone".into()))?;
    check_count(vote.closes_at, connection.now)?;
    let won = breaches::close_vote(connection, permit, &vote)?;
    let Some(consequence) = won.and_then(Choice::consequence) else { return Ok(State::Closed) };
    let ends = |days: i32| connection.now.plus_days(i64::from(days));
    let following = match (consequence, vote.session) {
        (Consequence::AskedToLeave, Some(session)) => {
            let session = sessions::find(connection, permit, session)?;
            let is_over = session.state == SessionState::Cancelled;
            let ends_at = session.starts_at.plus_minutes(i64::from(session.minutes));
            let until_at = if is_over { connection.now } else { ends_at.max(connection.now) };
            Following { consequence, until_at: Some(until_at), session: Some(session.id) }
        }
        (Consequence::Pause, _) => Following { consequence, until_at: vote.pause_days.map(ends), session: None },
        _ => Following { consequence, until_at: None, session: None },
    };
    breaches::insert_consequence(connection, permit, report, &following, review_on)?;
    Ok(State::Decided)
}

async fn report_outside(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<ReportOutside>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HandleBreachReport>(connection, &caller, group)?;
        let report = breaches::find(connection, &permit, id)?;
        command.once(connection, &permit, |connection, request| {
            if permit.kind() == Kind::PeerLed {
                return Err(Problem::Conflict("A peer-led group answers a breach by its own rules.".into()));
            }
            if request.made_on > connection.now.day_in(permit.zone()) {
                return Err(Problem::field("/made_on", "lies in the future"));
            }
            let reference = request.reference.as_ref().map(|reference| reference.as_str());
            let kept = breaches::insert_outside_report(
                connection,
                &permit,
                &report,
                request.made_to,
                request.made_on,
                reference,
            )?;
            Reply::created(format!("/groups/{group}/breach-reports/{id}"), &shown_outside(kept))
        })
    })
    .await
}

async fn list_decisions(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadDecisions>(connection, &caller, group)?;
        let now = connection.now;
        let kept = breaches::list_decisions(connection, &permit, after, limit + 1)?;
        let shown = kept.into_iter().map(|decision| shown_decision(decision, now)).collect();
        Reply::page(shown, &paging, |decision: &Decision| decision.id)
    })
    .await
}

async fn read_decision(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadDecisions>(connection, &caller, group)?;
        let now = connection.now;
        // Without a version: it would change with each ballot, or promise that it does.
        Reply::ok(&shown_decision(breaches::find_decision(connection, &permit, id)?, now))
    })
    .await
}

async fn cast_ballot(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<CastBallot>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::CastBallot>(connection, &caller, group)?;
        let ballot = breaches::take_ballot(connection, &permit, id)?;
        let request = command.body()?;
        check_ballot(ballot.closes_at, ballot.is_closed, ballot.has_voted, connection.now)?;
        breaches::insert_ballot(connection, &permit, &ballot, request.choice)?;
        Reply::done()
    })
    .await
}

async fn list_appeals(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::DecideAppeal>(connection, &caller, group)?;
        let kept = breaches::list_appeals(connection, &permit, after, limit + 1)?;
        let shown = kept.into_iter().map(shown_appeal).collect();
        Reply::page(shown, &paging, |appeal: &Appeal| appeal.consequence.id)
    })
    .await
}

fn shown_appeal(kept: KeptConsequence) -> Appeal {
    Appeal { breach_report: kept.report, consequence: shown_consequence(kept) }
}

async fn decide_appeal(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<DecideAppeal>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::DecideAppeal>(connection, &caller, group)?;
        groups::lock(connection, &permit)?;
        let kept = breaches::find_appeal(connection, &permit, id)?;
        let request = command.body()?;
        let Some(kept) = kept else {
            return Err(Problem::Conflict("There is no appeal to decide on.".into()));
        };
        breaches::update_appeal(connection, &permit, &kept, request.outcome)?;
        leaving::finish_erasures(connection, &permit)?;
        let decided =
            KeptConsequence { appeal_outcome: Some(request.outcome), appeal_decided_at: Some(connection.now), ..kept };
        Reply::ok(&shown_appeal(decided))
    })
    .await
}

async fn list_own_cases(db: Data<Db>, caller: Caller) -> Answer {
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let reports = breaches::list_own_reports(connection, &permit)?;
        let cases = breaches::list_own_cases(connection, &permit)?;
        Reply::ok(&OwnCases {
            reports: reports.into_iter().map(shown_own_report).collect(),
            cases: cases.into_iter().map(shown_own_case).collect(),
        })
    })
    .await
}

fn shown_own_report(kept: OwnReport) -> OwnBreachReport {
    OwnBreachReport {
        id: kept.id,
        group: kept.group,
        group_title: kept.group_title,
        received_on: kept.received_at.day_in(&kept.zone),
        state: kept.state,
        has_finding: kept.has_finding,
        followed: kept.has_consequence.map(|has| if has { Followed::Something } else { Followed::Nothing }),
    }
}

fn shown_own_case(kept: OwnCase) -> CaseAboutOneself {
    CaseAboutOneself {
        group: kept.group,
        group_title: kept.group_title,
        told: kept.told,
        told_at: kept.told_at,
        state: kept.state,
        finding: kept.finding,
        consequence: kept.consequence.map(shown_consequence),
    }
}

async fn appeal_consequence(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    command: Command<AppealConsequence>,
) -> Answer {
    let id = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_own::<act::AppealConsequence>(connection, &caller)?;
        let kept = breaches::find_own_consequence(connection, &permit, id)?;
        let request = command.body()?;
        check_appeal(kept.from_at, kept.appealed_at.is_some(), connection.now)?;
        breaches::insert_appeal(connection, &permit, &kept, request.text.as_str())?;
        let kept = breaches::find_own_consequence(connection, &permit, id)?;
        Reply::ok(&shown_consequence(kept))
    })
    .await
}
