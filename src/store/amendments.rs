//! Requests to amend a record, with every step that followed. The record itself is not written from here.

use std::collections::HashMap;

use diesel::{dsl::auto_type, prelude::*};
use serde::{Deserialize, Serialize};

use super::{
    columns::{Json, Sealed, word_columns},
    connection::Connection,
    permit::{Permit, concerns},
    schema::{amendment_requests, amendment_steps, attendances, goals, homework, measures, progress_entries},
    sealing::{Keys, Place},
};
use crate::{
    policy::{Act, Reach, act, area},
    problem::Problem,
    rules::{
        amendments::{Basis, RecordKind, State, Step, due_at},
        exports::{AmendmentRow, Record},
        goals::Outcome,
        notes::State as NoteState,
    },
    values::{Id, Moment},
};

const CONTENT: &str = "amendment_requests.content";
const WORDS: &str = "amendment_steps.words";

word_columns!(RecordKind, State, Basis, Step);

/// What a member wrote.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Content {
    pub wrong: String,
    pub asked: String,
    /// Who is to be told, besides those who had the record.
    pub tell: Option<String>,
}

/// A request as it stands.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: Id,
    pub member: Id,
    pub kind: RecordKind,
    pub record: Id,
    pub content: Content,
    pub state: State,
    pub asked_at: Moment,
    /// Of the decision.
    pub due_at: Moment,
    pub goes_along: bool,
    pub version: i32,
    /// Oldest first.
    pub steps: Vec<KeptStep>,
}

impl Request {
    /// What has happened, without the words.
    pub fn done(&self) -> Vec<Step> {
        self.steps.iter().map(|step| step.step).collect()
    }
}

/// One thing that followed a request.
#[derive(Clone, Debug)]
pub struct KeptStep {
    pub step: Step,
    /// `None` where the member did it.
    pub by: Option<Id>,
    pub at: Moment,
    pub basis: Option<Basis>,
    pub words: Option<String>,
    /// Those whose receivers were told.
    pub disclosures: Vec<Id>,
}

/// What is done with a request.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    pub step: Step,
    /// Where the request stands afterwards.
    pub state: State,
    pub due_at: Moment,
    pub goes_along: bool,
    pub basis: Option<Basis>,
    pub words: Option<&'a str>,
    pub disclosures: &'a [Id],
}

/// The actions that meet a request.
pub trait OnAmendment: area::Group {}
impl OnAmendment for act::AskForAmendment {}
impl OnAmendment for act::ReadAmendments {}
impl OnAmendment for act::DecideAmendment {}
impl OnAmendment for act::DisputeAmendment {}

#[derive(Queryable, Selectable)]
#[diesel(table_name = amendment_requests)]
struct Row {
    id: Id,
    member_id: Id,
    record_kind: RecordKind,
    record_id: Id,
    content: Sealed,
    state: State,
    asked_at: Moment,
    due_at: Moment,
    goes_along: bool,
    version: i32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = amendment_steps)]
struct StepRow {
    id: Id,
    request_id: Id,
    step: Step,
    by_id: Option<Id>,
    at: Moment,
    basis: Option<Basis>,
    words: Option<Sealed>,
    disclosures: Option<Json>,
}

/// One row of a group.
#[auto_type(no_type_alias)]
fn of_group(group: Id, id: Id) -> _ {
    amendment_requests::table.filter(amendment_requests::id.eq(id)).filter(amendment_requests::group_id.eq(group))
}

fn open<A: Act>(connection: &mut Connection, permit: &Permit<A>, rows: Vec<Row>) -> Result<Vec<Request>, Problem> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let kept: Vec<StepRow> = amendment_steps::table
        .filter(amendment_steps::request_id.eq_any(ids))
        .order((amendment_steps::request_id, amendment_steps::id))
        .select(StepRow::as_select())
        .load(connection.with(permit))?;
    let mut steps: HashMap<Id, Vec<StepRow>> = HashMap::new();
    for row in kept {
        steps.entry(row.request_id).or_default().push(row);
    }
    let keys = connection.keys(rows.iter().map(|row| row.member_id))?;
    rows.into_iter().map(|row| open_one(&keys, steps.remove(&row.id).unwrap_or_default(), row)).collect()
}

fn open_one(keys: &Keys, steps: Vec<StepRow>, row: Row) -> Result<Request, Problem> {
    let key = keys.of(row.member_id)?;
    let content = key.open(Place(CONTENT, row.id), &row.content)?;
    let steps = steps.into_iter().map(|step| {
        Ok(KeptStep {
            words: step.words.map(|words| key.open(Place(WORDS, step.id), &words)).transpose()?,
            step: step.step,
            by: step.by_id,
            at: step.at,
            basis: step.basis,
            disclosures: step.disclosures.map(|ids| ids.value()).unwrap_or_default(),
        })
    });
    Ok(Request {
        id: row.id,
        member: row.member_id,
        kind: row.record_kind,
        record: row.record_id,
        content: serde_json::from_str(&content)
            .map_err(|_| Problem::Internal("a kept request for amendment cannot be read".into()))?,
        state: row.state,
        asked_at: row.asked_at,
        due_at: row.due_at,
        goes_along: row.goes_along,
        version: row.version,
        steps: steps.collect::<Result<_, Problem>>()?,
    })
}

/// Whether a record is the member's and open to them. What is not looks like what is not there.
fn is_open_to(
    connection: &mut Connection,
    permit: &Permit<act::AskForAmendment>,
    member: Id,
    kind: RecordKind,
    record: Id,
) -> Result<bool, Problem> {
    let group = permit.group();
    let database = connection.with(permit);
    let found: Option<Id> = match kind {
        RecordKind::Measure => measures::table
            .filter(measures::id.eq(record).and(measures::group_id.eq(group)).and(measures::member_id.eq(member)))
            .select(measures::id)
            .first(database)
            .optional()?,
        RecordKind::Attendance => attendances::table
            .filter(attendances::id.eq(record))
            .filter(attendances::group_id.eq(group).and(attendances::member_id.eq(member)))
            .select(attendances::id)
            .first(database)
            .optional()?,
        RecordKind::ProgressEntry => progress_entries::table
            .filter(progress_entries::id.eq(record))
            .filter(progress_entries::group_id.eq(group).and(progress_entries::member_id.eq(member)))
            .filter(progress_entries::state.eq(NoteState::Signed))
            .filter(progress_entries::released_at.is_not_null())
            .select(progress_entries::id)
            .first(database)
            .optional()?,
        RecordKind::Goal => goals::table
            .filter(goals::id.eq(record).and(goals::group_id.eq(group)).and(goals::member_id.eq(member)))
            .filter(goals::outcome.is_null().or(goals::outcome.ne(Outcome::EnteredInError)))
            .select(goals::id)
            .first(database)
            .optional()?,
        RecordKind::Homework => homework::table
            .filter(homework::id.eq(record).and(homework::group_id.eq(group)).and(homework::member_id.eq(member)))
            .filter(homework::withdrawn_at.is_null())
            .select(homework::id)
            .first(database)
            .optional()?,
    };
    Ok(found.is_some())
}

/// Keeps what a member asks.
///
/// # Errors
/// `Refused` for a record that is not there for them: another's, or one that they do not read.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::AskForAmendment>,
    kind: RecordKind,
    record: Id,
    content: &Content,
) -> Result<Request, Problem> {
    let member = permit.only_member()?.ok_or(Problem::Forbidden)?;
    if !is_open_to(connection, permit, member, kind, record)? {
        return Err(Problem::field("/record/id", "is no record of yours here"));
    }
    let (id, now) = (Id::in_order(), connection.now);
    let sealed = connection.keys([member])?.of(member)?.seal(Place(CONTENT, id), &Json::of(content).0);
    diesel::insert_into(amendment_requests::table)
        .values((
            amendment_requests::id.eq(id),
            amendment_requests::group_id.eq(permit.group()),
            amendment_requests::member_id.eq(member),
            amendment_requests::record_kind.eq(kind),
            amendment_requests::record_id.eq(record),
            amendment_requests::content.eq(sealed),
            amendment_requests::state.eq(State::Received),
            amendment_requests::asked_at.eq(now),
            amendment_requests::due_at.eq(due_at(now)),
            amendment_requests::goes_along.eq(false),
            amendment_requests::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    find(connection, permit, id)
}

/// Where a list of requests stands: when the last one is due.
pub type Position = (Moment, Id);

/// The group's requests in a state, the one that is due first at the head; a member's own, in every state, newest first.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadAmendments>,
    state: State,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Request>, Problem> {
    let mut query = amendment_requests::table
        .filter(amendment_requests::group_id.eq(permit.group()))
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(own) = permit.only_member()? {
        query = query.filter(amendment_requests::member_id.eq(own)).order(amendment_requests::id.desc());
        if let Some((_, id)) = after {
            query = query.filter(amendment_requests::id.lt(id));
        }
    } else {
        query = query
            .filter(amendment_requests::state.eq(state))
            .order((amendment_requests::due_at, amendment_requests::id));
        if let Some((at, id)) = after {
            let further = amendment_requests::due_at.eq(at).and(amendment_requests::id.gt(id));
            query = query.filter(amendment_requests::due_at.gt(at).or(further));
        }
    }
    concerns(connection, permit, None, None);
    let rows = query.load(connection.with(permit))?;
    open(connection, permit, rows)
}

/// A request that the permit reaches.
pub fn find<A: OnAmendment>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Request, Problem> {
    let row: Row = of_group(permit.group(), id).select(Row::as_select()).first(connection.with(permit))?;
    permit.reaches_member(row.member_id)?;
    concerns(connection, permit, Some(row.member_id), Some(id));
    open(connection, permit, vec![row])?.pop().ok_or(Problem::NotFound)
}

/// Adds a step, and says where the request stands after it.
///
/// # Errors
/// `Stale` when somebody was faster.
pub fn add<A: OnAmendment>(
    connection: &mut Connection,
    permit: &Permit<A>,
    request: &Request,
    done: Done,
) -> Result<(), Problem> {
    let (id, now) = (Id::in_order(), connection.now);
    let changed =
        diesel::update(of_group(permit.group(), request.id).filter(amendment_requests::version.eq(request.version)))
            .set((
                amendment_requests::state.eq(done.state),
                amendment_requests::due_at.eq(done.due_at),
                amendment_requests::goes_along.eq(done.goes_along),
                // Whom somebody told is not shown to the member, and no version that was left out shall tell it.
                amendment_requests::version.eq(request.version + i32::from(done.step != Step::Informed)),
            ))
            .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    let keys = connection.keys([request.member])?;
    let key = keys.of(request.member)?;
    diesel::insert_into(amendment_steps::table)
        .values((
            amendment_steps::id.eq(id),
            amendment_steps::group_id.eq(permit.group()),
            amendment_steps::request_id.eq(request.id),
            amendment_steps::step.eq(done.step),
            // The member's account stands in no clinical record.
            amendment_steps::by_id.eq((permit.reach() == Reach::All).then(|| permit.account())),
            amendment_steps::at.eq(now),
            amendment_steps::basis.eq(done.basis),
            amendment_steps::words.eq(done.words.map(|words| key.seal(Place(WORDS, id), words))),
            amendment_steps::disclosures.eq((!done.disclosures.is_empty()).then(|| Json::of(&done.disclosures))),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The requests of these members, whom the caller of this function has found to be the permit's, as they are taken out.
/// `record` holds the other rows: when what a request is about was, is read there.
pub(super) fn list_rows<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    record: &Record,
) -> Result<Vec<AmendmentRow>, Problem> {
    let rows: Vec<Row> = amendment_requests::table
        .filter(amendment_requests::member_id.eq_any(whose))
        .order((amendment_requests::member_id, amendment_requests::id))
        .select(Row::as_select())
        .load(connection.with(permit))?;
    let requests = open(connection, permit, rows)?;
    Ok(requests.into_iter().map(|request| row(request, record)).collect())
}

fn row(request: Request, record: &Record) -> AmendmentRow {
    let step = |wanted: &[Step]| request.steps.iter().find(|step| wanted.contains(&step.step));
    let words = |step: Option<&KeptStep>| step.and_then(|step| step.words.clone());
    let decided = step(&[Step::Accepted, Step::Denied]);
    let (stated, rebutted) = (step(&[Step::Stated]), step(&[Step::Rebutted]));
    AmendmentRow {
        amendment: request.id,
        member: request.member,
        record_kind: request.kind,
        record: request.record,
        record_at: record_at(record, request.kind, request.record),
        asked_at: request.asked_at,
        state: request.state,
        decided_at: decided.map(|step| step.at),
        basis: decided.and_then(|step| step.basis),
        decision_words: words(decided),
        statement: words(stated),
        stated_at: stated.map(|step| step.at),
        rebuttal: words(rebutted),
        rebutted_at: rebutted.map(|step| step.at),
        goes_along: request.goes_along,
        wrong: request.content.wrong,
        asked: request.content.asked,
    }
}

fn record_at(record: &Record, kind: RecordKind, id: Id) -> Option<Moment> {
    match kind {
        RecordKind::Measure => record.measures.iter().find(|row| row.measure == id).map(|row| row.taken_at),
        RecordKind::Attendance => record.attendances.iter().find(|row| row.id == id).map(|row| row.starts_at),
        RecordKind::ProgressEntry => record.progress_entries.iter().find(|row| row.id == id).map(|row| row.occurred_at),
        RecordKind::Goal => record.worked_on.goals.iter().find(|row| row.goal == id).map(|row| row.proposed_at),
        RecordKind::Homework => record.worked_on.homework.iter().find(|row| row.homework == id).map(|row| row.set_at),
    }
}

/// The requests of the caller's own memberships, as their own pages show them.
pub fn list_own(
    connection: &mut Connection,
    permit: &Permit<act::ExportOwnRecords>,
    own: &[Id],
) -> Result<Vec<AmendmentRow>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let record = super::exports::find_own(connection, permit)?.record;
    Ok(record.amendments)
}

/// The requests about one record that was found with the permit, oldest first: what is shown beside it.
pub fn list_of_record<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    kind: RecordKind,
    record: Id,
) -> Result<Vec<(Id, State)>, Problem> {
    Ok(amendment_requests::table
        .filter(amendment_requests::record_id.eq(record))
        .filter(amendment_requests::group_id.eq(permit.group()))
        .filter(amendment_requests::record_kind.eq(kind))
        .order(amendment_requests::id)
        .select((amendment_requests::id, amendment_requests::state))
        .load(connection.with(permit))?)
}
