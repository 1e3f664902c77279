//! Risk marks with every step of what was done about them.

use std::collections::HashMap;

use diesel::{
    dsl::{auto_type, not},
    prelude::*,
};

use super::{
    columns::{Sealed, word_columns},
    connection::{Connection, insert_many},
    measures::{Measure, RiskMark},
    permit::{Permit, concerns},
    schema::{measures, risk_covers, risk_steps, risks, standings},
    sealing::Place,
    standings::holds_at,
};
use crate::{
    policy::{Reach, Standing, act, area},
    problem::Problem,
    rules::{
        instruments::Risk,
        risks::{Disposition, Duty, State, Step, due_at, is_overdue, raises_anew},
    },
    values::{Id, Moment},
};

const NOTE: &str = "risk_steps.note";

word_columns!(State, Disposition, Step);

/// A risk mark as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = risks)]
pub struct Mark {
    pub id: Id,
    #[diesel(column_name = member_id)]
    pub member: Id,
    #[diesel(column_name = measure_id)]
    pub measure: Id,
    /// What the answer said, or was corrected to before anybody had seen the mark: the worse of them.
    pub risk: RiskMark,
    pub state: State,
    /// To whom it was given; [`Duty::owner`] says whose it is.
    #[diesel(column_name = owner_id)]
    pub owner: Option<Id>,
    pub raised_at: Moment,
    /// Until when the next step is due; `None` once closed.
    pub due_at: Option<Moment>,
    pub disposition: Option<Disposition>,
    pub closed_at: Option<Moment>,
    pub version: i32,
}

/// One thing that happened to a mark.
#[derive(Clone, Debug)]
pub struct KeptStep {
    pub step: Step,
    /// `None` where the member's own answer did it.
    pub by: Option<Id>,
    pub at: Moment,
    pub risk: Option<RiskMark>,
    pub owner: Option<Id>,
    pub disposition: Option<Disposition>,
    /// For the group's therapists, and whoever wrote it.
    pub note: Option<String>,
}

/// A risk mark that is not closed, with what raised it.
#[derive(Clone, Debug)]
pub struct OpenRisk {
    pub member: Id,
    /// Id of the instrument.
    pub instrument: String,
    pub taken_at: Moment,
    pub risk: RiskMark,
    pub state: State,
    /// Until when the next step is due.
    pub due_at: Moment,
    /// The time is over: it asks everybody who leads.
    pub is_overdue: bool,
}

/// Somebody who stands in for an owner during `[from_at, until_at)`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = risk_covers)]
pub struct Cover {
    #[diesel(column_name = owner_id)]
    pub owner: Id,
    #[diesel(column_name = stand_in_id)]
    pub stand_in: Id,
    pub from_at: Moment,
    pub until_at: Moment,
}

/// The actions that meet a risk mark.
pub trait OnRisk: area::Group {}
impl OnRisk for act::ReadRisks {}
impl OnRisk for act::AcknowledgeRisk {}
impl OnRisk for act::AssessRisk {}
impl OnRisk for act::AssignRisk {}

/// One row of a group.
#[auto_type(no_type_alias)]
fn of_group(group: Id, id: Id) -> _ {
    risks::table.filter(risks::id.eq(id)).filter(risks::group_id.eq(group))
}

/// The row of a group in the version that was read.
#[auto_type(no_type_alias)]
fn unchanged(group: Id, id: Id, version: i32) -> _ {
    risks::table.filter(risks::id.eq(id)).filter(risks::group_id.eq(group)).filter(risks::version.eq(version))
}

/// Who leads the group now and who stands in for whom.
pub fn find_duty<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Duty, Problem> {
    let now = connection.now;
    let covers = risk_covers::table
        .filter(risk_covers::group_id.eq(permit.group()))
        .filter(risk_covers::until_at.gt(now))
        .filter(risk_covers::from_at.le(now))
        .filter(risk_covers::ended_at.is_null())
        .order(risk_covers::id)
        .select((risk_covers::owner_id, risk_covers::stand_in_id))
        .load::<(Id, Id)>(connection.with(permit))?;
    Ok(Duty { leads: list_leads(connection, permit)?, covers: covers.into_iter().collect() })
}

/// Those who lead the group now: therapists before co-therapists, older terms first.
fn list_leads<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Vec<Id>, Problem> {
    let now = connection.now;
    let mut held: Vec<(Standing, Id)> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::standing.eq_any([Standing::Therapist, Standing::CoTherapist]))
        .filter(holds_at(now))
        .order(standings::id)
        .select((standings::standing, standings::account_id))
        .load(connection.with(permit))?;
    held.sort_by_key(|(standing, _)| *standing);
    let mut leads = Vec::with_capacity(held.len());
    for (_, account) in held {
        if !leads.contains(&account) {
            leads.push(account);
        }
    }
    Ok(leads)
}

/// Raises a mark for each of these measures whose risk is positive or declined: in the transaction that keeps them, so
/// that none can be kept without.
pub(super) fn raise(
    connection: &mut Connection,
    permit: &Permit<impl area::Group>,
    kept: &[Measure],
) -> Result<(), Problem> {
    let marked: Vec<&Measure> = kept.iter().filter(|measure| measure.risk != RiskMark::None).collect();
    if marked.is_empty() {
        return Ok(());
    }
    let (now, group) = (connection.now, permit.group());
    let owner = list_leads(connection, permit)?.first().copied();
    let ids: Vec<Id> = marked.iter().map(|_| Id::in_order()).collect();
    let rows: Vec<_> = marked
        .iter()
        .zip(&ids)
        .map(|(measure, id)| {
            (
                risks::id.eq(*id),
                risks::group_id.eq(group),
                risks::member_id.eq(measure.member_id),
                risks::measure_id.eq(measure.id),
                risks::risk.eq(measure.risk),
                risks::state.eq(State::Raised),
                risks::owner_id.eq(owner),
                risks::raised_at.eq(now),
                risks::due_at.eq(due_at(State::Raised, now, now)),
                risks::version.eq(1),
            )
        })
        .collect();
    insert_many!(connection.with(permit), risks::table, &rows)?;
    let steps: Vec<_> = marked
        .iter()
        .zip(&ids)
        .map(|(measure, id)| {
            (
                risk_steps::id.eq(Id::in_order()),
                risk_steps::group_id.eq(group),
                risk_steps::risk_id.eq(*id),
                risk_steps::step.eq(Step::Raised),
                risk_steps::by_id.eq(author(permit)),
                risk_steps::at.eq(now),
                risk_steps::risk.eq(measure.risk),
                risk_steps::owner_id.eq(owner),
            )
        })
        .collect();
    insert_many!(connection.with(permit), risk_steps::table, &steps)?;
    Ok(())
}

/// Who did it, unless it was the member: their account stands in no clinical record.
fn author<A: area::Group>(permit: &Permit<A>) -> Option<Id> {
    (permit.reach() == Reach::All).then(|| permit.account())
}

/// Judges a measure's marks again by its corrected answers: each mark gets a step that says so, none goes, and what is
/// worse than what somebody has acted upon raises a new one. `kept` is the version that stood before.
pub(super) fn rejudge(
    connection: &mut Connection,
    permit: &Permit<act::CorrectMeasure>,
    kept: &Measure,
    corrected: RiskMark,
) -> Result<(), Problem> {
    let marks = note_on_all(connection, permit, kept, Step::Corrected, Some(corrected))?;
    let before = if kept.entered_in_error { Risk::None } else { kept.risk.into() };
    let newest = marks.last();
    if raises_anew(before, corrected.into(), newest.map(|mark| (mark.state, mark.disposition))) {
        return raise(connection, permit, &[Measure { risk: corrected, ..kept.clone() }]);
    }
    let is_worse = |mark: &&Mark| mark.state == State::Raised && Risk::from(corrected) > Risk::from(mark.risk);
    if let Some(mark) = newest.filter(is_worse) {
        diesel::update(of_group(permit.group(), mark.id))
            .set(risks::risk.eq(corrected))
            .execute(connection.with(permit))?;
    }
    Ok(())
}

/// Says on a measure's marks that it was entered in error. They stay to be closed.
pub(super) fn note_error(
    connection: &mut Connection,
    permit: &Permit<act::CorrectMeasure>,
    kept: &Measure,
) -> Result<(), Problem> {
    note_on_all(connection, permit, kept, Step::EnteredInError, None).map(drop)
}

/// Adds a step to every mark of a measure, and returns them as they stood, oldest first. A new version, so that nobody
/// closes what they have not seen corrected.
fn note_on_all(
    connection: &mut Connection,
    permit: &Permit<act::CorrectMeasure>,
    kept: &Measure,
    step: Step,
    risk: Option<RiskMark>,
) -> Result<Vec<Mark>, Problem> {
    let (now, group) = (connection.now, permit.group());
    let of_measure = risks::table.filter(risks::measure_id.eq(kept.id)).filter(risks::group_id.eq(group));
    let marks: Vec<Mark> = of_measure.order(risks::id).select(Mark::as_select()).load(connection.with(permit))?;
    if marks.is_empty() {
        return Ok(marks);
    }
    diesel::update(of_measure).set(risks::version.eq(risks::version + 1)).execute(connection.with(permit))?;
    let steps: Vec<_> = marks
        .iter()
        .map(|mark| {
            (
                risk_steps::id.eq(Id::in_order()),
                risk_steps::group_id.eq(group),
                risk_steps::risk_id.eq(mark.id),
                risk_steps::step.eq(step),
                risk_steps::by_id.eq(author(permit)),
                risk_steps::at.eq(now),
                risk_steps::risk.eq(risk),
            )
        })
        .collect();
    insert_many!(connection.with(permit), risk_steps::table, &steps)?;
    Ok(marks)
}

/// Which marks are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// All that are open, where none is named.
    pub state: Option<State>,
    pub member: Option<Id>,
    /// Only those that ask the caller to act.
    pub waiting_for_me: bool,
}

/// Where a list of marks stands: when the last one is due, or was closed.
pub type Position = (Moment, Id);

/// The group's marks: open ones by when they are due, so that the longest overdue comes first; closed ones newest
/// first.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadRisks>,
    wanted: Wanted,
    duty: &Duty,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Mark>, Problem> {
    let (now, me) = (connection.now, permit.account());
    concerns(connection, permit, wanted.member, None);
    let mut query =
        risks::table.filter(risks::group_id.eq(permit.group())).limit(limit).select(Mark::as_select()).into_boxed();
    for only in [permit.only_member()?, wanted.member].into_iter().flatten() {
        query = query.filter(risks::member_id.eq(only));
    }
    if wanted.waiting_for_me {
        if !duty.leads.contains(&me) {
            return Ok(Vec::new());
        }
        let is_mine = |assigned: Option<Id>| duty.asked(assigned, false).contains(&me);
        let owners: Vec<Id> = duty.leads.iter().copied().filter(|owner| is_mine(Some(*owner))).collect();
        let is_asked = risks::due_at.le(now).or(risks::owner_id.eq_any(owners));
        query = if is_mine(None) {
            // Those whose owner has gone fall to whoever leads first.
            let is_nobodys = risks::owner_id.is_null().or(not(risks::owner_id.eq_any(&duty.leads)));
            query.filter(is_asked.or(is_nobodys))
        } else {
            query.filter(is_asked)
        };
    }
    if wanted.state == Some(State::Closed) {
        query = query.filter(risks::closed_at.is_not_null()).order((risks::closed_at.desc(), risks::id.desc()));
        if let Some((at, id)) = after {
            query = query.filter(risks::closed_at.lt(at).or(risks::closed_at.eq(at).and(risks::id.lt(id))));
        }
        return Ok(query.load(connection.with(permit))?);
    }
    query = query.filter(risks::due_at.is_not_null()).order((risks::due_at, risks::id));
    if let Some(state) = wanted.state {
        query = query.filter(risks::state.eq(state));
    }
    if let Some((at, id)) = after {
        query = query.filter(risks::due_at.gt(at).or(risks::due_at.eq(at).and(risks::id.gt(id))));
    }
    Ok(query.load(connection.with(permit))?)
}

/// The open risk marks of a group, by member; a member's most urgent one first.
pub fn list_open(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
) -> Result<HashMap<Id, Vec<OpenRisk>>, Problem> {
    type Row = (Id, String, Moment, RiskMark, State, Option<Moment>);
    let now = connection.now;
    let rows: Vec<Row> = risks::table
        .inner_join(measures::table.on(measures::id.eq(risks::measure_id)))
        .filter(risks::group_id.eq(permit.group()))
        .filter(risks::due_at.is_not_null())
        .order((risks::due_at, risks::id))
        .select((risks::member_id, measures::instrument, measures::taken_at, risks::risk, risks::state, risks::due_at))
        .load(connection.with(permit))?;
    let mut open: HashMap<Id, Vec<OpenRisk>> = HashMap::new();
    for (member, instrument, taken_at, risk, state, due_at) in rows {
        let is_overdue = is_overdue(due_at, now);
        let Some(due_at) = due_at else { continue };
        let mark = OpenRisk { member, instrument, taken_at, risk, state, due_at, is_overdue };
        open.entry(member).or_default().push(mark);
    }
    Ok(open)
}

/// A mark of the group.
pub fn find<A: OnRisk>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Mark, Problem> {
    let mark: Mark = of_group(permit.group(), id).select(Mark::as_select()).first(connection.with(permit))?;
    concerns(connection, permit, Some(mark.member), Some(mark.id));
    permit.reaches_member(mark.member)?;
    Ok(mark)
}

/// The same, to change it: whoever corrects its measure at this moment waits, or has been waited for.
pub fn find_to_change<A: OnRisk>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Mark, Problem> {
    let mark = find(connection, permit, id)?;
    diesel::update(measures::table.filter(measures::id.eq(mark.measure)).filter(measures::group_id.eq(permit.group())))
        .set(measures::version.eq(measures::version))
        .execute(connection.with(permit))?;
    find(connection, permit, id)
}

/// Whether the answer that raised a mark still counts: neither corrected away nor entered in error.
pub fn stands(connection: &mut Connection, permit: &Permit<act::AssessRisk>, mark: &Mark) -> Result<bool, Problem> {
    let (risk, entered_in_error): (RiskMark, bool) = measures::table
        .filter(measures::id.eq(mark.measure))
        .filter(measures::group_id.eq(permit.group()))
        .select((measures::risk, measures::entered_in_error))
        .first(connection.with(permit))?;
    Ok(risk != RiskMark::None && !entered_in_error)
}

/// What happened to a mark, oldest first. Notes are for therapists and co-therapists, in an emergency for the clinician who
/// reads there, and for whoever wrote them.
pub fn list_steps<A: OnRisk>(
    connection: &mut Connection,
    permit: &Permit<A>,
    mark: &Mark,
) -> Result<Vec<KeptStep>, Problem> {
    type Row = (Id, Step, Option<Id>, Moment, Option<RiskMark>, Option<Id>, Option<Disposition>, Option<Sealed>);
    let rows: Vec<Row> = risk_steps::table
        .filter(risk_steps::risk_id.eq(mark.id))
        .filter(risk_steps::group_id.eq(permit.group()))
        .order(risk_steps::id)
        .select((
            risk_steps::id,
            risk_steps::step,
            risk_steps::by_id,
            risk_steps::at,
            risk_steps::risk,
            risk_steps::owner_id,
            risk_steps::disposition,
            risk_steps::note,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([mark.member])?;
    let key = keys.of(mark.member)?;
    // What was agreed with somebody who was in danger before is what an emergency needs first.
    let reads_all = permit.standing().is_some_and(|standing| standing.leads() || standing == Standing::Emergency);
    rows.into_iter()
        .map(|(id, step, by, at, risk, owner, disposition, note)| {
            let note = note.filter(|_| reads_all || by == Some(permit.account()));
            let note = note.map(|note| key.open(Place(NOTE, id), &note)).transpose()?;
            Ok(KeptStep { step, by, at, risk, owner, disposition, note })
        })
        .collect()
}

/// What somebody did about a mark, as the rule allowed it.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    pub step: Step,
    /// The state that the mark comes into.
    pub state: State,
    /// With the step that closes it, and with no other.
    pub disposition: Option<Disposition>,
    pub note: Option<&'a str>,
}

/// Keeps a step, and brings the mark into its state.
///
/// # Errors
/// `Stale` when the mark changed since it was read.
pub fn update_state<A: OnRisk>(
    connection: &mut Connection,
    permit: &Permit<A>,
    mark: &Mark,
    done: Done,
) -> Result<(), Problem> {
    let now = connection.now;
    let changed = diesel::update(unchanged(permit.group(), mark.id, mark.version))
        .set((
            risks::state.eq(done.state),
            risks::due_at.eq(due_at(done.state, mark.raised_at, now)),
            risks::disposition.eq(done.disposition),
            risks::closed_at.eq((done.state == State::Closed).then_some(now)),
            risks::version.eq(mark.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    let id = Id::in_order();
    let keys = connection.keys([mark.member])?;
    let key = keys.of(mark.member)?;
    diesel::insert_into(risk_steps::table)
        .values((
            risk_steps::id.eq(id),
            risk_steps::group_id.eq(permit.group()),
            risk_steps::risk_id.eq(mark.id),
            risk_steps::step.eq(done.step),
            risk_steps::by_id.eq(permit.account()),
            risk_steps::at.eq(now),
            risk_steps::disposition.eq(done.disposition),
            risk_steps::note.eq(done.note.map(|note| key.seal(Place(NOTE, id), note))),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Gives a mark to another owner; the one who has it already changes nothing.
///
/// # Errors
/// `Stale` when the mark changed since it was read.
pub fn update_owner(
    connection: &mut Connection,
    permit: &Permit<act::AssignRisk>,
    mark: &Mark,
    owner: Id,
) -> Result<(), Problem> {
    if mark.owner == Some(owner) {
        return Ok(());
    }
    let now = connection.now;
    let changed = diesel::update(unchanged(permit.group(), mark.id, mark.version))
        .set((risks::owner_id.eq(owner), risks::version.eq(mark.version + 1)))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    diesel::insert_into(risk_steps::table)
        .values((
            risk_steps::id.eq(Id::in_order()),
            risk_steps::group_id.eq(permit.group()),
            risk_steps::risk_id.eq(mark.id),
            risk_steps::step.eq(Step::Assigned),
            risk_steps::by_id.eq(permit.account()),
            risk_steps::at.eq(now),
            risk_steps::owner_id.eq(owner),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The group's covers that run or are to come, soonest first.
pub fn list_covers(connection: &mut Connection, permit: &Permit<act::ReadRisks>) -> Result<Vec<Cover>, Problem> {
    let now = connection.now;
    concerns(connection, permit, None, None);
    Ok(risk_covers::table
        .filter(risk_covers::group_id.eq(permit.group()))
        .filter(risk_covers::until_at.gt(now))
        .filter(risk_covers::ended_at.is_null())
        .order((risk_covers::from_at, risk_covers::id))
        .select(Cover::as_select())
        .load(connection.with(permit))?)
}

/// Names who stands in for the caller, in the place of whom they named before.
pub fn replace_cover(
    connection: &mut Connection,
    permit: &Permit<act::AssignRisk>,
    stand_in: Id,
    from_at: Moment,
    until_at: Moment,
) -> Result<Cover, Problem> {
    end_cover(connection, permit)?;
    let owner = permit.account();
    diesel::insert_into(risk_covers::table)
        .values((
            risk_covers::id.eq(Id::in_order()),
            risk_covers::group_id.eq(permit.group()),
            risk_covers::owner_id.eq(owner),
            risk_covers::stand_in_id.eq(stand_in),
            risk_covers::from_at.eq(from_at),
            risk_covers::until_at.eq(until_at),
            risk_covers::named_at.eq(connection.now),
        ))
        .execute(connection.with(permit))?;
    Ok(Cover { owner, stand_in, from_at, until_at })
}

/// Ends the caller's own cover, where there is one; it stays in the table.
pub fn end_cover(connection: &mut Connection, permit: &Permit<act::AssignRisk>) -> Result<(), Problem> {
    let now = connection.now;
    concerns(connection, permit, None, None);
    diesel::update(
        risk_covers::table
            .filter(risk_covers::group_id.eq(permit.group()))
            .filter(risk_covers::until_at.gt(now))
            .filter(risk_covers::owner_id.eq(permit.account()))
            .filter(risk_covers::ended_at.is_null()),
    )
    .set(risk_covers::ended_at.eq(now))
    .execute(connection.with(permit))?;
    Ok(())
}
