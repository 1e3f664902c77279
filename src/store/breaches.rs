//! Breach reports with their handlers, decisions and consequences. Who reported is kept as a keyed hash alone.

use diesel::{
    dsl::{auto_type, exists, not},
    prelude::*,
};
use serde::{Deserialize, Serialize};

use super::{
    accounts,
    columns::{Json, Sealed, word_columns},
    connection::{Connection, Database, insert_many},
    database::MultiBackend,
    members::{self, Namesake},
    permit::{Permit, concerns},
    schema::{
        breach_handlers, breach_reports, consequences, decision_voters, decisions, groups, members as member_rows,
        membership_intervals, outside_reports, peer_settings, standings,
    },
    sealing::Place,
    standings::{self as kept_standings, holds_at, lasts_beyond},
};
use crate::{
    policy::{Standing, act, area},
    problem::Problem,
    rules::{
        breaches::{
            AppealOutcome, Authority, BreachPolicy, Choice, Consequence, Finding, OPEN_REPORTS, State, Subject,
            handlers, keeps_away, outcome, received_at,
        },
        members::State as Membership,
        terms::LONGEST_AFTER_HOURS,
    },
    values::{Day, Id, Moment},
};

const TEXT: &str = "breach_reports.text";
const TOLD: &str = "breach_reports.told";
const FINDING_TEXT: &str = "breach_reports.finding_text";
const REFERENCE: &str = "outside_reports.reference";
const QUESTION: &str = "decisions.question";
const TALLY: &str = "decisions.tally";
const APPEAL: &str = "consequences.appeal";

word_columns!(State, Finding, Choice, Consequence, AppealOutcome, Authority);

/// What a reporter wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub text: String,
    /// Whom the reporter named, as they named them, where that was not one person of the group.
    pub named: Option<String>,
    pub happened_on: Option<Day>,
}

/// A report, as its reporter sees it at once.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub id: Id,
    /// When the day of the report began in the group's zone.
    pub received_at: Moment,
}

/// A report without what was written, as its handlers see it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = breach_reports)]
pub struct Summary {
    pub id: Id,
    pub state: State,
    pub finding: Option<Finding>,
    pub received_at: Moment,
    pub closed_at: Option<Moment>,
}

/// A report with its course, as its handlers see it. It does not say who reported.
#[derive(Clone, Debug)]
pub struct Report {
    pub id: Id,
    pub subject_account: Option<Id>,
    pub subject_member: Option<Id>,
    /// When a handler named the subject, where the reporter named nobody who was found.
    pub named_at: Option<Moment>,
    pub content: Content,
    /// The group's own rules on the day of the report, where it is peer-led.
    pub rules: Option<GroupRules>,
    pub state: State,
    pub told: Option<String>,
    pub finding: Option<Finding>,
    pub finding_text: Option<String>,
    pub received_at: Moment,
    pub told_at: Option<Moment>,
    pub found_at: Option<Moment>,
    pub closed_at: Option<Moment>,
    pub version: i32,
}

/// How a peer-led group decides.
#[derive(Clone, Copy, Debug)]
pub struct GroupRules {
    pub breach_policy: BreachPolicy,
    pub ballot_minimum: i32,
    pub quorum_percent: i32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = breach_reports)]
struct Row {
    id: Id,
    subject_account_id: Option<Id>,
    subject_member_id: Option<Id>,
    named_at: Option<Moment>,
    text: Sealed,
    breach_policy: Option<BreachPolicy>,
    ballot_minimum: Option<i32>,
    quorum_percent: Option<i32>,
    state: State,
    told: Option<Sealed>,
    finding: Option<Finding>,
    finding_text: Option<Sealed>,
    received_at: Moment,
    told_at: Option<Moment>,
    found_at: Option<Moment>,
    closed_at: Option<Moment>,
    version: i32,
}

/// A report made to somebody outside.
#[derive(Clone, Debug)]
pub struct OutsideReport {
    pub id: Id,
    pub made_to: Authority,
    pub made_on: Day,
    pub reference: Option<String>,
    pub recorded_at: Moment,
}

/// A vote, as everybody in the group sees it: nothing of how it goes.
#[derive(Clone, Debug)]
pub struct Decision {
    pub id: Id,
    pub question: String,
    pub options: Vec<Choice>,
    pub pause_days: Option<i32>,
    /// Which session they would be asked to leave.
    pub session: Option<Id>,
    pub opened_at: Moment,
    pub closes_at: Moment,
    /// What won; `None` before the end, and where too few voted.
    pub outcome: Option<Choice>,
    pub closed_at: Option<Moment>,
    /// Whether the caller is one of those who may vote.
    pub is_voter: bool,
    pub has_voted: bool,
}

/// What is to be voted on.
pub struct NewDecision<'a> {
    pub question: &'a str,
    pub options: &'a [Choice],
    pub pause_days: Option<i32>,
    pub session: Option<Id>,
    pub closes_at: Moment,
}

/// A vote, as one of those who may vote finds it.
pub struct Ballot {
    decision: Id,
    member: Id,
    pub options: Vec<Choice>,
    pub closes_at: Moment,
    pub is_closed: bool,
    pub has_voted: bool,
}

/// The vote of a report, for its handlers.
#[derive(Clone, Debug)]
pub struct Vote {
    pub id: Id,
    pub pause_days: Option<i32>,
    pub session: Option<Id>,
    pub closes_at: Moment,
    pub outcome: Option<Choice>,
    pub closed_at: Option<Moment>,
    options: Vec<Choice>,
    eligible: i32,
    ballot_minimum: i32,
    quorum_percent: i32,
}

/// What a vote lets follow.
pub struct Following {
    pub consequence: Consequence,
    /// When it ends by itself: a pause, and what is for one session.
    pub until_at: Option<Moment>,
    /// The session that somebody is asked to leave.
    pub session: Option<Id>,
}

/// What follows a breach, for the person whom it meets.
#[derive(Clone, Debug)]
pub struct KeptConsequence {
    pub id: Id,
    pub report: Id,
    pub member: Option<Id>,
    pub consequence: Consequence,
    pub session: Option<Id>,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
    pub review_on: Day,
    pub appeal: Option<String>,
    pub appealed_at: Option<Moment>,
    pub appeal_outcome: Option<AppealOutcome>,
    pub appeal_decided_at: Option<Moment>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = consequences)]
struct ConsequenceRow {
    id: Id,
    report_id: Id,
    member_id: Option<Id>,
    consequence: Consequence,
    session_id: Option<Id>,
    from_at: Moment,
    until_at: Option<Moment>,
    review_on: Day,
    appeal: Option<Sealed>,
    appealed_at: Option<Moment>,
    appeal_outcome: Option<AppealOutcome>,
    appeal_decided_at: Option<Moment>,
}

/// A report that the caller made.
#[derive(Clone, Debug)]
pub struct OwnReport {
    pub id: Id,
    pub group: Id,
    pub group_title: String,
    pub zone: String,
    pub state: State,
    pub has_finding: bool,
    /// Whether something follows from it; `None` while that is open.
    pub has_consequence: Option<bool>,
    pub received_at: Moment,
}

/// A case about the caller, of which they were told.
#[derive(Clone, Debug)]
pub struct OwnCase {
    pub report: Id,
    pub group: Id,
    pub group_title: String,
    pub told: String,
    pub told_at: Moment,
    pub state: State,
    pub finding: Option<Finding>,
    pub consequence: Option<KeptConsequence>,
}

// Reporting.

/// Who a membership of the group belongs to.
pub fn find_subject_by_member<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<Subject, Problem> {
    let found: Option<Option<Id>> = member_rows::table
        .filter(member_rows::id.eq(member))
        .filter(member_rows::group_id.eq(permit.group()))
        .select(member_rows::account_id)
        .first(connection.with(permit))
        .optional()?;
    Ok(match found {
        Some(account) => Subject::Person { account, member: Some(member) },
        None => Subject::Unclear,
    })
}

/// Who holds, or held, a term of the group.
pub fn find_subject_by_term<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    term: Id,
) -> Result<Subject, Problem> {
    let found: Option<Id> = standings::table
        .filter(standings::id.eq(term))
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::account_id.ne(Id::NOBODY))
        .select(standings::account_id)
        .first(connection.with(permit))
        .optional()?;
    let Some(account) = found else { return Ok(Subject::Unclear) };
    let member: Option<Id> = member_rows::table
        .filter(member_rows::group_id.eq(permit.group()))
        .filter(member_rows::account_id.eq(account))
        .select(member_rows::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(Subject::Person { account: Some(account), member })
}

/// Whom of the group's members and leads a name means, where it means one alone.
pub fn find_subject_by_name<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    name: &str,
) -> Result<Subject, Problem> {
    let mut found = members::list_namesakes(connection, permit, name)?;
    // Who is only invited belongs to nobody yet.
    found.retain(|namesake| !namesake.is_invited);
    Ok(match found[..] {
        [Namesake { account, member, .. }] => Subject::Person { account, member },
        _ => Subject::Unclear,
    })
}

/// Keeps a report, and to whom it goes. The same report from the same person, while it is open, is the first one.
///
/// # Errors
/// `Conflict` when the caller has as many open reports in the group as there can be.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::ReportBreach>,
    subject: Subject,
    content: &Content,
) -> Result<Receipt, Problem> {
    let reporter = reporter_mark(connection, permit.account());
    if let Some(same) = find_same(connection, permit, &reporter, subject, content)? {
        return Ok(same);
    }
    let (account, member) = match subject {
        Subject::Person { account, member } => (account, member),
        Subject::Unnamed | Subject::Unclear => (None, None),
    };
    let handlers = route(connection, permit, &reporter, subject)?;
    let rules: Option<(BreachPolicy, i32, i32)> = peer_settings::table
        .find(permit.group())
        .select((peer_settings::breach_policy, peer_settings::ballot_minimum, peer_settings::quorum_percent))
        .first(connection.with(permit))
        .optional()?;
    let id = Id::random();
    let receipt = Receipt { id, received_at: received_at(connection.now, permit.zone()) };
    let keys = connection.new_keys_at(&[id], receipt.received_at)?;
    diesel::insert_into(breach_reports::table)
        .values((
            breach_reports::id.eq(id),
            breach_reports::organization_id.eq(permit.organization_of_group()),
            breach_reports::group_id.eq(permit.group()),
            breach_reports::reporter.eq(reporter),
            breach_reports::subject_account_id.eq(account),
            breach_reports::subject_member_id.eq(member),
            breach_reports::text.eq(keys.of(id)?.seal(Place(TEXT, id), &Json::of(content).0)),
            breach_reports::breach_policy.eq(rules.map(|rules| rules.0)),
            breach_reports::ballot_minimum.eq(rules.map(|rules| rules.1)),
            breach_reports::quorum_percent.eq(rules.map(|rules| rules.2)),
            breach_reports::state.eq(State::Received),
            breach_reports::received_at.eq(receipt.received_at),
            breach_reports::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    insert_handlers(connection, permit, id, &handlers)?;
    Ok(receipt)
}

/// Who handles a report of whoever has this mark.
fn route<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    reporter: &[u8],
    subject: Subject,
) -> Result<Vec<Id>, Problem> {
    let leads = list_leads(connection, permit)?;
    let of = |wanted: Standing| -> Vec<Id> {
        leads.iter().filter(|(_, standing)| *standing == wanted).map(|(account, _)| *account).collect()
    };
    // Only of those who could handle it does it matter whether they made it.
    let made_it = leads.iter().find(|(account, _)| reporter_mark(connection, *account) == reporter);
    let reporter = made_it.map_or(Id::INSTALLATION, |(account, _)| *account);
    Ok(handlers(permit.kind(), reporter, subject, &of(Standing::Steward), &of(Standing::Facilitator)))
}

fn insert_handlers<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    report: Id,
    handlers: &[Id],
) -> Result<(), Problem> {
    let rows: Vec<_> = handlers
        .iter()
        .map(|handler| {
            (
                breach_handlers::report_id.eq(report),
                breach_handlers::account_id.eq(*handler),
                breach_handlers::group_id.eq(permit.group()),
            )
        })
        .collect();
    insert_many!(connection.with(permit), breach_handlers::table, &rows)?;
    Ok(())
}

/// Finds a reporter's own again, and says to nobody whose it is.
fn reporter_mark(connection: &Connection, account: Id) -> Vec<u8> {
    connection.installation().index("breach_reports", &account.to_string())
}

fn find_same(
    connection: &mut Connection,
    permit: &Permit<act::ReportBreach>,
    reporter: &[u8],
    subject: Subject,
    content: &Content,
) -> Result<Option<Receipt>, Problem> {
    let rows: Vec<Row> = breach_reports::table
        .filter(breach_reports::reporter.eq(reporter))
        .filter(breach_reports::group_id.eq(permit.group()))
        .filter(breach_reports::state.ne(State::Closed))
        .select(Row::as_select())
        .load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.id))?;
    let of = |subject: Subject| match subject {
        Subject::Person { account, member } => (account, member),
        Subject::Unnamed | Subject::Unclear => (None, None),
    };
    for row in &rows {
        let text = keys.of(row.id)?.open(Place(TEXT, row.id), &row.text)?;
        // Whom a handler named is not whom the reporter did.
        let named = match row.named_at {
            Some(_) => (None, None),
            None => (row.subject_account_id, row.subject_member_id),
        };
        let is_same = named == of(subject);
        if is_same && text == Json::of(content).0 {
            return Ok(Some(Receipt { id: row.id, received_at: row.received_at }));
        }
    }
    if rows.len() >= OPEN_REPORTS {
        return Err(Problem::Conflict(format!("You have {OPEN_REPORTS} open reports in this group.")));
    }
    Ok(None)
}

/// Whose terms in the whole group run now.
fn list_leads<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Vec<(Id, Standing)>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::session_id.is_null())
        .filter(standings::standing.eq_any(HANDLING))
        .filter(holds_at(now))
        .select((standings::account_id, standings::standing))
        .load(connection.with(permit))?)
}

/// Whoever can handle a report in a peer-led group.
const HANDLING: [Standing; 2] = [Standing::Steward, Standing::Facilitator];

// Handling.

/// The reports that are the caller's to handle. A report whose handlers all have gone is the privacy officers', like
/// one that never had any; and whoever made a report, or is its subject, finds nothing.
fn own<A: area::Group>(
    connection: &Connection,
    permit: &Permit<A>,
) -> breach_reports::BoxedQuery<'static, MultiBackend> {
    let (me, now) = (permit.account(), connection.now);
    let mut query = breach_reports::table
        .filter(breach_reports::group_id.eq(permit.group()))
        .filter(breach_reports::subject_account_id.is_null().or(breach_reports::subject_account_id.ne(me)))
        .filter(breach_reports::reporter.ne(reporter_mark(connection, me)))
        .into_boxed();
    if let Ok(Some(member)) = permit.only_member() {
        query =
            query.filter(breach_reports::subject_member_id.is_null().or(breach_reports::subject_member_id.ne(member)));
    }
    if permit.standing() == Some(Standing::PrivacyOfficer) {
        let leads = standings::table
            .filter(standings::account_id.eq(breach_handlers::account_id))
            .filter(standings::group_id.eq(permit.group()))
            .filter(standings::session_id.is_null())
            .filter(standings::standing.eq_any(HANDLING))
            .filter(holds_at(now));
        let handled =
            breach_handlers::table.filter(breach_handlers::report_id.eq(breach_reports::id)).filter(exists(leads));
        return query.filter(not(exists(handled)));
    }
    let handled = breach_handlers::table
        .filter(breach_handlers::report_id.eq(breach_reports::id))
        .filter(breach_handlers::account_id.eq(me));
    query.filter(exists(handled))
}

/// The reports that are the caller's to handle, by id after `after`.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadBreachReports>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Summary>, Problem> {
    let mut query = own(connection, permit);
    if let Some(after) = after {
        query = query.filter(breach_reports::id.gt(after));
    }
    Ok(query.order(breach_reports::id).limit(limit).select(Summary::as_select()).load(connection.with(permit))?)
}

/// One of the reports that are the caller's to handle.
pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Report, Problem> {
    let row: Row = own(connection, permit)
        .filter(breach_reports::id.eq(id))
        .select(Row::as_select())
        .first(connection.with(permit))?;
    // Not the subject: before they are told, their own log must not tell them.
    concerns(connection, permit, None, Some(id));
    let keys = connection.keys([id])?;
    let key = keys.of(id)?;
    let content = key.open(Place(TEXT, id), &row.text)?;
    let opened = |column: &'static str, sealed: &Option<Sealed>| {
        sealed.as_ref().map(|sealed| key.open(Place(column, id), sealed)).transpose()
    };
    let rules = match (row.breach_policy, row.ballot_minimum, row.quorum_percent) {
        (Some(breach_policy), Some(ballot_minimum), Some(quorum_percent)) => {
            Some(GroupRules { breach_policy, ballot_minimum, quorum_percent })
        }
        _ => None,
    };
    Ok(Report {
        id,
        subject_account: row.subject_account_id,
        subject_member: row.subject_member_id,
        named_at: row.named_at,
        content: serde_json::from_str(&content)
            .map_err(|_| Problem::Internal("a kept report cannot be read".into()))?,
        rules,
        state: row.state,
        told: opened(TOLD, &row.told)?,
        finding: row.finding,
        finding_text: opened(FINDING_TEXT, &row.finding_text)?,
        received_at: row.received_at,
        told_at: row.told_at,
        found_at: row.found_at,
        closed_at: row.closed_at,
        version: row.version,
    })
}

/// What the subject is called in the group; the account's name for a lead who is no member.
pub fn find_subject_name<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    report: &Report,
) -> Result<Option<String>, Problem> {
    Ok(match (report.subject_member, report.subject_account) {
        (Some(member), _) => members::list_names(connection, permit, &[member])?.remove(&member),
        (None, Some(account)) => accounts::list_names(connection, permit, [account])?.remove(&account),
        (None, None) => None,
    })
}

/// Names the subject of a report, and sends it to those who are not in conflict by that name: perhaps no longer to the
/// caller.
///
/// # Errors
/// `Conflict` when nobody could handle it.
pub fn update_subject(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    subject: Subject,
) -> Result<(), Problem> {
    let (account, member) = match subject {
        Subject::Person { account, member } => (account, member),
        Subject::Unnamed | Subject::Unclear => (None, None),
    };
    let of_group = || {
        breach_reports::table
            .filter(breach_reports::id.eq(report.id))
            .filter(breach_reports::group_id.eq(permit.group()))
    };
    let reporter: Vec<u8> = of_group().select(breach_reports::reporter).first(connection.with(permit))?;
    let handlers = route(connection, permit, &reporter, subject)?;
    if handlers.is_empty() && !is_watched_by_another(connection, permit, account)? {
        return Err(Problem::Conflict(
            "Nobody could handle the case then: the organization needs another privacy officer first.".into(),
        ));
    }
    let now = connection.now;
    let changed = diesel::update(of_group().filter(breach_reports::version.eq(report.version)))
        .set((
            breach_reports::subject_account_id.eq(account),
            breach_reports::subject_member_id.eq(member),
            breach_reports::named_at.eq(now),
            breach_reports::version.eq(report.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    diesel::delete(
        breach_handlers::table
            .filter(breach_handlers::report_id.eq(report.id))
            .filter(breach_handlers::group_id.eq(permit.group())),
    )
    .execute(connection.with(permit))?;
    insert_handlers(connection, permit, report.id, &handlers)
}

/// Whether the organization has a privacy officer who is not the subject. Whether that one made the report is not
/// asked: the answer would tell.
fn is_watched_by_another(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    subject: Option<Id>,
) -> Result<bool, Problem> {
    let now = connection.now;
    let officers: Vec<Id> = standings::table
        .filter(standings::organization_id.eq(permit.organization_of_group()))
        .filter(standings::standing.eq(Standing::PrivacyOfficer))
        .filter(holds_at(now))
        .select(standings::account_id)
        .load(connection.with(permit))?;
    Ok(officers.into_iter().any(|officer| Some(officer) != subject))
}

/// Notes that the subject is told, and what.
pub fn update_told(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    told: &str,
) -> Result<(), Problem> {
    let now = connection.now;
    let keys = connection.keys([report.id])?;
    let told = keys.of(report.id)?.seal(Place(TOLD, report.id), told);
    let changed = diesel::update(
        breach_reports::table
            .filter(breach_reports::id.eq(report.id))
            .filter(breach_reports::group_id.eq(permit.group()))
            .filter(breach_reports::version.eq(report.version)),
    )
    .set((
        breach_reports::state.eq(State::Told),
        breach_reports::told.eq(told),
        breach_reports::told_at.eq(now),
        breach_reports::version.eq(report.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

pub fn update_finding(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    finding: Finding,
    text: &str,
) -> Result<(), Problem> {
    let now = connection.now;
    let keys = connection.keys([report.id])?;
    let text = keys.of(report.id)?.seal(Place(FINDING_TEXT, report.id), text);
    let changed = diesel::update(
        breach_reports::table
            .filter(breach_reports::id.eq(report.id))
            .filter(breach_reports::group_id.eq(permit.group()))
            .filter(breach_reports::version.eq(report.version)),
    )
    .set((
        breach_reports::state.eq(State::Found),
        breach_reports::finding.eq(finding),
        breach_reports::finding_text.eq(text),
        breach_reports::found_at.eq(now),
        breach_reports::version.eq(report.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Moves a report on without anything else.
pub fn update_state(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    state: State,
) -> Result<(), Problem> {
    let closed_at = (state == State::Closed).then_some(connection.now);
    let changed = diesel::update(
        breach_reports::table
            .filter(breach_reports::id.eq(report.id))
            .filter(breach_reports::group_id.eq(permit.group()))
            .filter(breach_reports::version.eq(report.version)),
    )
    .set((
        breach_reports::state.eq(state),
        breach_reports::closed_at.eq(closed_at),
        breach_reports::version.eq(report.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Notes a report that was made to somebody outside.
pub fn insert_outside_report(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    made_to: Authority,
    made_on: Day,
    reference: Option<&str>,
) -> Result<OutsideReport, Problem> {
    let id = Id::in_order();
    let keys = connection.keys([report.id])?;
    let key = keys.of(report.id)?;
    let now = connection.now;
    diesel::insert_into(outside_reports::table)
        .values((
            outside_reports::id.eq(id),
            outside_reports::report_id.eq(report.id),
            outside_reports::group_id.eq(permit.group()),
            outside_reports::made_to.eq(made_to),
            outside_reports::made_on.eq(made_on),
            outside_reports::reference.eq(reference.map(|reference| key.seal(Place(REFERENCE, id), reference))),
            outside_reports::recorded_by.eq(permit.account()),
            outside_reports::recorded_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    // Whoever read the case before it was there has read another case.
    diesel::update(
        breach_reports::table
            .filter(breach_reports::id.eq(report.id))
            .filter(breach_reports::group_id.eq(permit.group())),
    )
    .set(breach_reports::version.eq(breach_reports::version + 1))
    .execute(connection.with(permit))?;
    Ok(OutsideReport { id, made_to, made_on, reference: reference.map(str::to_owned), recorded_at: now })
}

/// What was reported outside, oldest first.
pub fn list_outside_reports<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    report: &Report,
) -> Result<Vec<OutsideReport>, Problem> {
    type Kept = (Id, Authority, Day, Option<Sealed>, Moment);
    let rows: Vec<Kept> = outside_reports::table
        .filter(outside_reports::report_id.eq(report.id))
        .filter(outside_reports::group_id.eq(permit.group()))
        .order(outside_reports::id)
        .select((
            outside_reports::id,
            outside_reports::made_to,
            outside_reports::made_on,
            outside_reports::reference,
            outside_reports::recorded_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([report.id])?;
    rows.into_iter()
        .map(|(id, made_to, made_on, reference, recorded_at)| {
            let reference =
                reference.map(|sealed| keys.of(report.id)?.open(Place(REFERENCE, id), &sealed)).transpose()?;
            Ok(OutsideReport { id, made_to, made_on, reference, recorded_at })
        })
        .collect()
}

// Deciding in secret.

/// Who may vote on what follows: the members with an account who are active, and were so before the day of the report:
/// whoever knows of a case brings in nobody to vote on it. Not the subject.
pub fn list_voters(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
) -> Result<Vec<Id>, Problem> {
    let now = connection.now;
    // By when it was recorded: whoever moves a membership says themselves since when it counts.
    let was_active = membership_intervals::table
        .filter(membership_intervals::member_id.eq(member_rows::id))
        .filter(membership_intervals::state.eq(Membership::Active))
        .filter(membership_intervals::until_at.is_null())
        .filter(membership_intervals::recorded_at.le(report.received_at));
    let rows: Vec<(Id, Option<Id>)> = member_rows::table
        .filter(member_rows::group_id.eq(permit.group()))
        .filter(member_rows::state.eq(Membership::Active))
        .filter(member_rows::account_id.is_not_null())
        .filter(member_rows::barred_until.is_null().or(member_rows::barred_until.le(now)))
        .filter(exists(was_active))
        .select((member_rows::id, member_rows::account_id))
        .load(connection.with(permit))?;
    let is_subject = |(member, account): &(Id, Option<Id>)| {
        Some(*member) == report.subject_member || *account == report.subject_account
    };
    Ok(rows.into_iter().filter(|row| !is_subject(row)).map(|(member, _)| member).collect())
}

/// Opens the vote on a report to these members and nobody else.
pub fn insert_decision(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    new: &NewDecision,
    voters: &[Id],
    rules: GroupRules,
) -> Result<(), Problem> {
    let (id, group) = (Id::random(), permit.group());
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    let now = connection.now;
    diesel::insert_into(decisions::table)
        .values((
            decisions::id.eq(id),
            decisions::report_id.eq(report.id),
            decisions::group_id.eq(group),
            decisions::question.eq(key.seal(Place(QUESTION, id), new.question)),
            decisions::options.eq(Json::of(&new.options)),
            decisions::pause_days.eq(new.pause_days),
            decisions::session_id.eq(new.session),
            decisions::opened_at.eq(now),
            decisions::closes_at.eq(new.closes_at),
            decisions::eligible.eq(i32::try_from(voters.len()).unwrap_or(i32::MAX)),
            decisions::ballot_minimum.eq(rules.ballot_minimum),
            decisions::quorum_percent.eq(rules.quorum_percent),
            decisions::tally.eq(key.seal(Place(TALLY, id), &written(&vec![0; new.options.len()]))),
            decisions::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    let rows: Vec<_> = voters
        .iter()
        .map(|voter| {
            (
                decision_voters::decision_id.eq(id),
                decision_voters::member_id.eq(*voter),
                decision_voters::group_id.eq(group),
                decision_voters::has_voted.eq(false),
            )
        })
        .collect();
    insert_many!(connection.with(permit), decision_voters::table, &rows)?;
    update_state(connection, permit, report, State::Voting)
}

/// The ballots for each option. Always as long, so that the sealed length says nothing.
fn written(tally: &[u32]) -> String {
    tally.iter().map(|number| format!("{number:010}")).collect::<Vec<_>>().join(" ")
}

fn read(tally: &str) -> Result<Vec<u32>, Problem> {
    let unreadable = |_| Problem::Internal("a kept tally cannot be read".into());
    tally.split(' ').map(|number| number.parse().map_err(unreadable)).collect()
}

type DecisionRow = (Id, Sealed, Json, Option<i32>, Option<Id>, Moment, Moment, Option<Choice>, Option<Moment>);

const DECISION_COLUMNS: (
    decisions::id,
    decisions::question,
    decisions::options,
    decisions::pause_days,
    decisions::session_id,
    decisions::opened_at,
    decisions::closes_at,
    decisions::outcome,
    decisions::closed_at,
) = (
    decisions::id,
    decisions::question,
    decisions::options,
    decisions::pause_days,
    decisions::session_id,
    decisions::opened_at,
    decisions::closes_at,
    decisions::outcome,
    decisions::closed_at,
);

/// The group's votes, by id after `after`.
pub fn list_decisions(
    connection: &mut Connection,
    permit: &Permit<act::ReadDecisions>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Decision>, Problem> {
    let mut query = decisions::table
        .filter(decisions::group_id.eq(permit.group()))
        .order(decisions::id)
        .limit(limit)
        .select(DECISION_COLUMNS)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(decisions::id.gt(after));
    }
    let rows: Vec<DecisionRow> = query.load(connection.with(permit))?;
    open_decisions(connection, permit, rows)
}

pub fn find_decision(
    connection: &mut Connection,
    permit: &Permit<act::ReadDecisions>,
    id: Id,
) -> Result<Decision, Problem> {
    let row: DecisionRow = decisions::table
        .filter(decisions::id.eq(id))
        .filter(decisions::group_id.eq(permit.group()))
        .select(DECISION_COLUMNS)
        .first(connection.with(permit))?;
    open_decisions(connection, permit, vec![row])?.pop().ok_or(Problem::NotFound)
}

fn open_decisions(
    connection: &mut Connection,
    permit: &Permit<act::ReadDecisions>,
    rows: Vec<DecisionRow>,
) -> Result<Vec<Decision>, Problem> {
    let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let own: Vec<(Id, bool)> = decision_voters::table
        .inner_join(member_rows::table.on(member_rows::id.eq(decision_voters::member_id)))
        .filter(decision_voters::decision_id.eq_any(&ids))
        .filter(member_rows::account_id.eq(permit.account()))
        .select((decision_voters::decision_id, decision_voters::has_voted))
        .load(connection.with(permit))?;
    let keys = connection.keys([permit.group()])?;
    rows.into_iter()
        .map(|(id, question, options, pause_days, session, opened_at, closes_at, outcome, closed_at)| {
            let voter = own.iter().find(|(decision, _)| *decision == id);
            Ok(Decision {
                id,
                question: keys.of(permit.group())?.open(Place(QUESTION, id), &question)?,
                options: options.value(),
                pause_days,
                session,
                opened_at,
                closes_at,
                outcome,
                closed_at,
                is_voter: voter.is_some(),
                has_voted: voter.is_some_and(|(_, has_voted)| *has_voted),
            })
        })
        .collect()
}

/// A vote for one of those who may vote; everybody else who votes in it, and whoever counts, waits until this
/// transaction is over.
///
/// # Errors
/// `NotFound` for anybody who may not vote in it.
pub fn take_ballot(
    connection: &mut Connection,
    permit: &Permit<act::CastBallot>,
    decision: Id,
) -> Result<Ballot, Problem> {
    let member = permit.only_member()?.ok_or(Problem::NotFound)?;
    lock_decision(connection, permit, decision)?;
    let has_voted: bool = decision_voters::table
        .filter(decision_voters::decision_id.eq(decision))
        .filter(decision_voters::member_id.eq(member))
        .filter(decision_voters::group_id.eq(permit.group()))
        .select(decision_voters::has_voted)
        .first(connection.with(permit))?;
    let (options, closes_at, closed_at): (Json, Moment, Option<Moment>) = decisions::table
        .filter(decisions::id.eq(decision))
        .filter(decisions::group_id.eq(permit.group()))
        .select((decisions::options, decisions::closes_at, decisions::closed_at))
        .first(connection.with(permit))?;
    Ok(Ballot { decision, member, options: options.value(), closes_at, is_closed: closed_at.is_some(), has_voted })
}

/// Adds a ballot to the sealed sum, and notes that the member has voted: no row holds the two together, nor when.
pub fn insert_ballot(
    connection: &mut Connection,
    permit: &Permit<act::CastBallot>,
    ballot: &Ballot,
    choice: Choice,
) -> Result<(), Problem> {
    let Some(chosen) = ballot.options.iter().position(|option| *option == choice) else {
        return Err(Problem::field("/choice", "is none of the options"));
    };
    let noted = diesel::update(
        decision_voters::table
            .filter(decision_voters::decision_id.eq(ballot.decision))
            .filter(decision_voters::member_id.eq(ballot.member))
            .filter(decision_voters::group_id.eq(permit.group()))
            .filter(decision_voters::has_voted.eq(false)),
    )
    .set(decision_voters::has_voted.eq(true))
    .execute(connection.with(permit))?;
    if noted == 0 {
        return Err(Problem::Conflict("You have voted already.".into()));
    }
    let mut tally = open_tally(connection, permit, ballot.decision)?;
    match tally.get_mut(chosen) {
        Some(number) => *number += 1,
        None => return Err(Problem::Internal("a kept tally is too short".into())),
    }
    seal_tally(connection, permit, ballot.decision, &tally)
}

/// A row that is written is locked on both databases. Nothing in it changes, so that nothing tells of a ballot.
fn lock_decision<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<(), Problem> {
    let found =
        diesel::update(decisions::table.filter(decisions::id.eq(id)).filter(decisions::group_id.eq(permit.group())))
            .set(decisions::version.eq(decisions::version))
            .execute(connection.with(permit))?;
    if found == 0 { Err(Problem::NotFound) } else { Ok(()) }
}

fn open_tally<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Vec<u32>, Problem> {
    let group = permit.group();
    let sealed: Sealed = decisions::table
        .filter(decisions::id.eq(id))
        .filter(decisions::group_id.eq(group))
        .select(decisions::tally)
        .first(connection.with(permit))?;
    read(&connection.keys([group])?.of(group)?.open(Place(TALLY, id), &sealed)?)
}

fn seal_tally<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
    tally: &[u32],
) -> Result<(), Problem> {
    let group = permit.group();
    let sealed = connection.keys([group])?.of(group)?.seal(Place(TALLY, id), &written(tally));
    diesel::update(decisions::table.filter(decisions::id.eq(id)).filter(decisions::group_id.eq(group)))
        .set(decisions::tally.eq(sealed))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The vote on a report, where there is one.
pub fn find_vote<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    report: &Report,
) -> Result<Option<Vote>, Problem> {
    type Kept = (Id, Json, Option<i32>, Option<Id>, Moment, Option<Choice>, Option<Moment>, i32, i32, i32);
    let row: Option<Kept> = decisions::table
        .filter(decisions::report_id.eq(report.id))
        .filter(decisions::group_id.eq(permit.group()))
        .select((
            decisions::id,
            decisions::options,
            decisions::pause_days,
            decisions::session_id,
            decisions::closes_at,
            decisions::outcome,
            decisions::closed_at,
            decisions::eligible,
            decisions::ballot_minimum,
            decisions::quorum_percent,
        ))
        .first(connection.with(permit))
        .optional()?;
    Ok(row.map(
        |(
            id,
            options,
            pause_days,
            session,
            closes_at,
            outcome,
            closed_at,
            eligible,
            ballot_minimum,
            quorum_percent,
        )| {
            Vote {
                id,
                pause_days,
                session,
                closes_at,
                outcome,
                closed_at,
                options: options.value(),
                eligible,
                ballot_minimum,
                quorum_percent,
            }
        },
    ))
}

/// Counts the ballots, keeps what won, and forgets them: how many each option had leaves this function in no form.
pub fn close_vote(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    vote: &Vote,
) -> Result<Option<Choice>, Problem> {
    lock_decision(connection, permit, vote.id)?;
    let tally = open_tally(connection, permit, vote.id)?;
    let ballots: Vec<(Choice, u32)> = vote.options.iter().copied().zip(tally.iter().copied()).collect();
    let won = outcome(&ballots, vote.eligible, vote.ballot_minimum, vote.quorum_percent);
    seal_tally(connection, permit, vote.id, &vec![0; tally.len()])?;
    let now = connection.now;
    diesel::update(decisions::table.filter(decisions::id.eq(vote.id)).filter(decisions::group_id.eq(permit.group())))
        .set((decisions::outcome.eq(won), decisions::closed_at.eq(now), decisions::version.eq(decisions::version + 1)))
        .execute(connection.with(permit))?;
    Ok(won)
}

// Whom a case is about.

/// Whether a case about the caller, of which they were told, is open in the group. Before the telling nothing is
/// refused for its sake: a refusal would tell.
pub(super) fn is_told_subject<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<bool, Problem> {
    let cases: i64 = breach_reports::table
        .filter(is_open_case_told_to(permit.account()))
        .filter(breach_reports::group_id.eq(permit.group()))
        .count()
        .get_result(connection.with(permit))?;
    Ok(cases > 0)
}

/// Whether a case about the caller, of which they were told, is open anywhere in the organization.
pub(super) fn is_told_somewhere<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<bool, Problem> {
    let cases: i64 = breach_reports::table
        .filter(is_open_case_told_to(permit.account()))
        .filter(breach_reports::organization_id.eq(permit.organization()))
        .count()
        .get_result(connection.with(permit))?;
    Ok(cases > 0)
}

/// It is open, and its subject was told: an account, or whoever a membership belongs to.
#[auto_type]
fn is_open_case_told_to(account: Id) -> _ {
    let own: own_members = own_members(account);
    let closed: State = State::Closed;
    breach_reports::subject_account_id
        .eq(account)
        .or(breach_reports::subject_member_id.eq_any(own))
        .assume_not_null()
        .and(breach_reports::told_at.is_not_null())
        .and(breach_reports::state.ne(closed))
}

/// Refuses what would silence the others while a case about the caller is open.
///
/// # Errors
/// `Conflict` for whoever was told of such a case in the group.
pub fn check_no_subject<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<(), Problem> {
    match is_told_subject(connection, permit)? {
        true => Err(Problem::Conflict("A case about you is open in this group: somebody else does this.".into())),
        false => Ok(()),
    }
}

// What follows.

/// Keeps a consequence, and lets it happen: a pause bars the member until its end and ends by itself; removal ends
/// the membership, also one that began after the report; both end the terms that somebody leads the group by. The last
/// steward's too: the organization's administrators appoint another. Whoever is asked to leave a session leads it no
/// more, and finds its addresses closed until it ends: [`is_asked_to_leave`].
pub fn insert_consequence(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
    following: &Following,
    review_on: Day,
) -> Result<Id, Problem> {
    let id = Id::random();
    let now = connection.now;
    let &Following { consequence, until_at, session } = following;
    let (account, member) = find_subject_now(connection, permit, report)?;
    diesel::insert_into(consequences::table)
        .values((
            consequences::id.eq(id),
            consequences::report_id.eq(report.id),
            consequences::group_id.eq(permit.group()),
            consequences::member_id.eq(member),
            consequences::account_id.eq(account),
            consequences::consequence.eq(consequence),
            consequences::session_id.eq(session),
            consequences::from_at.eq(now),
            consequences::until_at.eq(until_at),
            consequences::review_on.eq(review_on),
            consequences::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    if let (Some(session), Some(account)) = (session, account) {
        kept_standings::end_bound_to(connection, permit, session, account)?;
    }
    if !matches!(consequence, Consequence::Pause | Consequence::Removal) {
        return Ok(id);
    }
    if let Some(member) = member {
        match consequence {
            Consequence::Pause => bar(connection, permit, member, until_at)?,
            _ => remove(connection, permit, member)?,
        }
    }
    if let Some(account) = account {
        end_terms(connection, permit, account)?;
    }
    Ok(id)
}

/// The subject's account and membership, also where one came to the other after the report.
fn find_subject_now(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    report: &Report,
) -> Result<(Option<Id>, Option<Id>), Problem> {
    Ok(match (report.subject_account, report.subject_member) {
        (None, Some(member)) => (members::find_account(connection, permit, member)?, Some(member)),
        (Some(account), None) => (Some(account), members::find_of_account(connection, permit, account)?),
        known => known,
    })
}

fn bar(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    member: Id,
    until_at: Option<Moment>,
) -> Result<(), Problem> {
    diesel::update(
        member_rows::table
            .filter(member_rows::id.eq(member))
            .filter(member_rows::group_id.eq(permit.group()))
            // A longer pause goes on.
            .filter(member_rows::barred_until.is_null().or(member_rows::barred_until.lt(until_at))),
    )
    .set(member_rows::barred_until.eq(until_at))
    .execute(connection.with(permit))?;
    Ok(())
}

fn remove(connection: &mut Connection, permit: &Permit<act::HandleBreachReport>, member: Id) -> Result<(), Problem> {
    let now = connection.now;
    let (state, since, version): (Membership, Moment, i32) = member_rows::table
        .filter(member_rows::id.eq(member))
        .filter(member_rows::group_id.eq(permit.group()))
        .select((member_rows::state, member_rows::state_from, member_rows::version))
        .first(connection.with(permit))?;
    // Whoever has gone meanwhile cannot be removed as well.
    if !state.next().contains(&Membership::Removed) {
        return Ok(());
    }
    let reason = Some("By a decision of the group.");
    members::change_state(connection, permit, member, version, Membership::Removed, now.max(since), reason)
}

/// Ends all terms of an account in the group: those that have not begun, and what is left of those that have ended.
fn end_terms(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    account: Id,
) -> Result<(), Problem> {
    let now = connection.now;
    let terms: Vec<(Id, Moment, Option<Moment>)> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::account_id.eq(account))
        .filter(lasts_beyond(now.plus_minutes(-LONGEST_AFTER_HOURS * 60)))
        .select((standings::id, standings::from_at, standings::until_at))
        .load(connection.with(permit))?;
    for (term, from_at, until_at) in terms {
        let until_at = until_at.filter(|until| *until <= now).unwrap_or(now.max(from_at));
        diesel::update(standings::table.filter(standings::id.eq(term)).filter(standings::group_id.eq(permit.group())))
            .set((
                standings::until_at.eq(until_at),
                standings::cut_short.eq(true),
                standings::version.eq(standings::version + 1),
            ))
            .execute(connection.with(permit))?;
    }
    Ok(())
}

/// Whether a decision of the group that was not lifted keeps somebody away from a session that has not ended.
pub(super) fn is_asked_to_leave(
    database: &mut Database,
    session: Id,
    account: Id,
    member: Option<Id>,
    now: Moment,
) -> Result<bool, Problem> {
    let asked: Vec<(Option<Id>, Option<Id>)> = consequences::table
        .filter(consequences::session_id.eq(session))
        .filter(consequences::until_at.gt(now))
        .filter(consequences::appeal_outcome.is_null().or(consequences::appeal_outcome.ne(AppealOutcome::Lifted)))
        .select((consequences::account_id, consequences::member_id))
        .load(database)?;
    Ok(asked.into_iter().any(|(asked, whom)| asked == Some(account) || (whom.is_some() && whom == member)))
}

/// Refuses the caller a part in a session that the group asked them to leave.
///
/// # Errors
/// `Conflict` until the session has ended.
pub fn check_may_be_in<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<(), Problem> {
    let now = connection.now;
    let (account, member) = (permit.account(), permit.own_member());
    match is_asked_to_leave(connection.with(permit), session, account, member, now)? {
        true => Err(Problem::Conflict("The group asked you to stay away from that session.".into())),
        false => Ok(()),
    }
}

/// Whoever is asked to leave a session is so until it ends, also when it is moved.
pub fn follow_session(
    connection: &mut Connection,
    permit: &Permit<act::ChangeSession>,
    session: Id,
    until_at: Moment,
) -> Result<(), Problem> {
    end_with_session(connection, permit, session, until_at)
}

/// What was asked for a session ends with it, or when it is cancelled.
pub(super) fn end_with_session<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
    until_at: Moment,
) -> Result<(), Problem> {
    diesel::update(
        consequences::table
            .filter(consequences::session_id.eq(session))
            .filter(consequences::group_id.eq(permit.group())),
    )
    .set((consequences::until_at.eq(until_at), consequences::version.eq(consequences::version + 1)))
    .execute(connection.with(permit))?;
    Ok(())
}

/// What follows from a report, where something does.
pub fn find_consequence<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    report: Id,
) -> Result<Option<KeptConsequence>, Problem> {
    let row: Option<ConsequenceRow> = consequences::table
        .filter(consequences::report_id.eq(report))
        .filter(consequences::group_id.eq(permit.group()))
        .select(ConsequenceRow::as_select())
        .first(connection.with(permit))
        .optional()?;
    Ok(open_consequences(connection, row.into_iter().collect())?.pop())
}

/// The day on which the latest removal of a member is looked at again, where one was decided and not lifted.
pub fn find_removal_review(
    connection: &mut Connection,
    permit: &Permit<act::MoveMember>,
    member: Id,
) -> Result<Option<Day>, Problem> {
    let reviews: Vec<Day> = consequences::table
        .filter(consequences::member_id.eq(member))
        .filter(consequences::group_id.eq(permit.group()))
        .filter(consequences::consequence.eq(Consequence::Removal))
        .filter(consequences::appeal_outcome.is_null().or(consequences::appeal_outcome.ne(AppealOutcome::Lifted)))
        .select(consequences::review_on)
        .load(connection.with(permit))?;
    Ok(reviews.into_iter().max())
}

/// Whether a decision of the group that was not lifted keeps an account away from it now.
pub(super) fn keeps_account_away(
    database: &mut Database,
    group: Id,
    account: Id,
    now: Moment,
) -> Result<bool, Problem> {
    let zone: String = groups::table.find(group).select(groups::zone).first(database)?;
    let decided: Vec<(Consequence, Option<Moment>, Day)> = consequences::table
        .filter(
            consequences::account_id
                .eq(account)
                .or(consequences::member_id.eq_any(own_members(account)))
                .assume_not_null(),
        )
        .filter(consequences::group_id.eq(group))
        .filter(consequences::appeal_outcome.is_null().or(consequences::appeal_outcome.ne(AppealOutcome::Lifted)))
        .select((consequences::consequence, consequences::until_at, consequences::review_on))
        .load(database)?;
    let today = now.day_in(&zone);
    Ok(decided
        .into_iter()
        .any(|(consequence, until_at, review_on)| keeps_away(consequence, until_at, review_on, now, today)))
}

fn open_consequences(connection: &mut Connection, rows: Vec<ConsequenceRow>) -> Result<Vec<KeptConsequence>, Problem> {
    let keys = connection.keys(rows.iter().map(|row| row.report_id))?;
    rows.into_iter()
        .map(|row| {
            let appeal =
                row.appeal.map(|sealed| keys.of(row.report_id)?.open(Place(APPEAL, row.id), &sealed)).transpose()?;
            Ok(KeptConsequence {
                id: row.id,
                report: row.report_id,
                member: row.member_id,
                consequence: row.consequence,
                session: row.session_id,
                from_at: row.from_at,
                until_at: row.until_at,
                review_on: row.review_on,
                appeal,
                appealed_at: row.appealed_at,
                appeal_outcome: row.appeal_outcome,
                appeal_decided_at: row.appeal_decided_at,
            })
        })
        .collect()
}

// Appeals, for the privacy officers.

/// The appeals of the group in cases that are neither about the caller nor the caller's own report, by id after
/// `after`.
pub fn list_appeals(
    connection: &mut Connection,
    permit: &Permit<act::DecideAppeal>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<KeptConsequence>, Problem> {
    let me = permit.account();
    let of_others = breach_reports::table
        .filter(breach_reports::id.eq(consequences::report_id))
        .filter(breach_reports::reporter.ne(reporter_mark(connection, me)));
    let mut query = consequences::table
        .filter(consequences::group_id.eq(permit.group()))
        .filter(consequences::appealed_at.is_not_null())
        .filter(consequences::account_id.is_null().or(consequences::account_id.ne(me)))
        .filter(exists(of_others))
        .order(consequences::id)
        .limit(limit)
        .select(ConsequenceRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(consequences::id.gt(after));
    }
    let rows = query.load(connection.with(permit))?;
    open_consequences(connection, rows)
}

/// What follows from a report of the group, and was appealed and not yet decided on.
///
/// # Errors
/// `NotFound` for a report that is not there, is about the caller, or was made by the caller.
pub fn find_appeal(
    connection: &mut Connection,
    permit: &Permit<act::DecideAppeal>,
    report: Id,
) -> Result<Option<KeptConsequence>, Problem> {
    let me = permit.account();
    let _: Id = breach_reports::table
        .filter(breach_reports::id.eq(report))
        .filter(breach_reports::group_id.eq(permit.group()))
        .filter(breach_reports::subject_account_id.is_null().or(breach_reports::subject_account_id.ne(me)))
        .filter(breach_reports::reporter.ne(reporter_mark(connection, me)))
        .select(breach_reports::id)
        .first(connection.with(permit))?;
    let kept = find_consequence(connection, permit, report)?;
    concerns(connection, permit, kept.as_ref().and_then(|kept| kept.member), Some(report));
    Ok(kept.filter(|kept| kept.appealed_at.is_some() && kept.appeal_outcome.is_none()))
}

/// Decides an appeal. Lifted, a pause ends and a removed member is active again, whether there is a place or not;
/// terms do not come back.
pub fn update_appeal(
    connection: &mut Connection,
    permit: &Permit<act::DecideAppeal>,
    kept: &KeptConsequence,
    outcome: AppealOutcome,
) -> Result<(), Problem> {
    let now = connection.now;
    let group = permit.group();
    let changed = diesel::update(
        consequences::table
            .filter(consequences::id.eq(kept.id))
            .filter(consequences::group_id.eq(group))
            .filter(consequences::appeal_outcome.is_null()),
    )
    .set((
        consequences::appeal_outcome.eq(outcome),
        consequences::appeal_decided_at.eq(now),
        consequences::version.eq(consequences::version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Conflict("The appeal was decided meanwhile.".into()));
    }
    diesel::update(
        breach_reports::table.filter(breach_reports::id.eq(kept.report)).filter(breach_reports::group_id.eq(group)),
    )
    .set((
        breach_reports::state.eq(State::Closed),
        breach_reports::closed_at.eq(now),
        breach_reports::version.eq(breach_reports::version + 1),
    ))
    .execute(connection.with(permit))?;
    let Some(member) = kept.member.filter(|_| outcome == AppealOutcome::Lifted) else { return Ok(()) };
    // Only what this consequence did is undone.
    diesel::update(
        member_rows::table
            .filter(member_rows::id.eq(member))
            .filter(member_rows::group_id.eq(group))
            .filter(member_rows::barred_until.eq(kept.until_at)),
    )
    .set(member_rows::barred_until.eq(None::<Moment>))
    .execute(connection.with(permit))?;
    let removed: Option<i32> = member_rows::table
        .filter(member_rows::id.eq(member))
        .filter(member_rows::group_id.eq(group))
        .filter(member_rows::state.eq(Membership::Removed))
        .filter(member_rows::state_from.eq(kept.from_at))
        .select(member_rows::version)
        .first(connection.with(permit))
        .optional()?;
    if let (Some(version), Consequence::Removal) = (removed, kept.consequence) {
        let reason = Some("The removal was lifted on appeal.");
        members::change_state(connection, permit, member, version, Membership::Active, now, reason)?;
    }
    Ok(())
}

// One's own.

/// The caller's memberships, in every group.
#[auto_type]
fn own_members(account: Id) -> _ {
    member_rows::table.filter(member_rows::account_id.eq(account)).select(member_rows::id.nullable())
}

/// The reports that the caller made, the newest 200 first.
pub fn list_own_reports(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
) -> Result<Vec<OwnReport>, Problem> {
    let reporter = reporter_mark(connection, permit.account());
    let permit = &permit.in_own_groups(connection)?;
    type Kept = (Id, Id, String, String, State, Option<Finding>, Moment);
    let rows: Vec<Kept> = breach_reports::table
        .inner_join(groups::table.on(groups::id.eq(breach_reports::group_id)))
        .filter(breach_reports::reporter.eq(reporter))
        .order((breach_reports::received_at.desc(), breach_reports::id.desc()))
        .limit(200)
        .select((
            breach_reports::id,
            groups::id,
            groups::title,
            groups::zone,
            breach_reports::state,
            breach_reports::finding,
            breach_reports::received_at,
        ))
        .load(connection.with(permit))?;
    let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let running: Vec<Id> = consequences::table
        .filter(consequences::report_id.eq_any(&ids))
        .filter(consequences::appeal_outcome.is_null().or(consequences::appeal_outcome.ne(AppealOutcome::Lifted)))
        .select(consequences::report_id)
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(id, group, group_title, zone, state, finding, received_at)| {
            let has_consequence = running.contains(&id);
            OwnReport {
                id,
                group,
                group_title,
                zone,
                state,
                has_finding: finding.is_some(),
                has_consequence: (has_consequence || state == State::Closed).then_some(has_consequence),
                received_at,
            }
        })
        .collect())
}

/// The cases about the caller of which they were told, newest first.
pub fn list_own_cases(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
) -> Result<Vec<OwnCase>, Problem> {
    type Kept = (Id, Id, String, Option<Sealed>, Option<Moment>, State, Option<Finding>);
    let mut rows: Vec<Kept> = breach_reports::table
        .inner_join(groups::table.on(groups::id.eq(breach_reports::group_id)))
        .filter(
            breach_reports::subject_account_id
                .eq(permit.account())
                .or(breach_reports::subject_member_id.eq_any(own_members(permit.account())))
                .assume_not_null(),
        )
        .filter(breach_reports::told_at.is_not_null())
        .select((
            breach_reports::id,
            groups::id,
            groups::title,
            breach_reports::told,
            breach_reports::told_at,
            breach_reports::state,
            breach_reports::finding,
        ))
        .load(connection.with(permit))?;
    rows.sort_by_key(|row| std::cmp::Reverse((row.4, row.0)));
    let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let followed: Vec<ConsequenceRow> = consequences::table
        .filter(consequences::report_id.eq_any(&ids))
        .select(ConsequenceRow::as_select())
        .load(connection.with(permit))?;
    let mut followed = open_consequences(connection, followed)?;
    let keys = connection.keys(ids)?;
    rows.into_iter()
        .filter_map(|(report, group, group_title, told, told_at, state, finding)| {
            let (told, told_at) = (told?, told_at?);
            let consequence = followed.iter().position(|kept| kept.report == report);
            let consequence = consequence.map(|index| followed.swap_remove(index));
            let told = keys.of(report).and_then(|key| key.open(Place(TOLD, report), &told));
            Some(told.map(|told| OwnCase { report, group, group_title, told, told_at, state, finding, consequence }))
        })
        .collect()
}

/// A consequence that meets the caller.
pub fn find_own_consequence(
    connection: &mut Connection,
    permit: &Permit<act::AppealConsequence>,
    id: Id,
) -> Result<KeptConsequence, Problem> {
    let row: ConsequenceRow = consequences::table
        .filter(consequences::id.eq(id))
        .filter(
            consequences::account_id
                .eq(permit.account())
                .or(consequences::member_id.eq_any(own_members(permit.account())))
                .assume_not_null(),
        )
        .select(ConsequenceRow::as_select())
        .first(connection.with(permit))?;
    open_consequences(connection, vec![row])?.pop().ok_or(Problem::NotFound)
}

/// Keeps an appeal.
///
/// # Errors
/// `Conflict` when there is one already.
pub fn insert_appeal(
    connection: &mut Connection,
    permit: &Permit<act::AppealConsequence>,
    kept: &KeptConsequence,
    text: &str,
) -> Result<(), Problem> {
    let now = connection.now;
    let keys = connection.keys([kept.report])?;
    let appeal = keys.of(kept.report)?.seal(Place(APPEAL, kept.id), text);
    let changed = diesel::update(
        consequences::table.filter(consequences::id.eq(kept.id)).filter(consequences::appealed_at.is_null()),
    )
    .set((
        consequences::appeal.eq(appeal),
        consequences::appealed_at.eq(now),
        consequences::version.eq(consequences::version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Conflict("It was appealed already.".into()));
    }
    diesel::update(breach_reports::table.filter(breach_reports::id.eq(kept.report)))
        .set((
            breach_reports::state.eq(State::Appealed),
            breach_reports::closed_at.eq(None::<Moment>),
            breach_reports::version.eq(breach_reports::version + 1),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}
