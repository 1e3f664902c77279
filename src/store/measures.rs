//! Measures: administrations with their answers sealed and their scores plain, every version kept.

use std::cmp::Reverse;

use diesel::prelude::*;

use super::{
    columns::{Json, Sealed, word_columns},
    connection::{Connection, insert_many},
    permit::{Permit, concerns},
    risks,
    schema::{measure_schedules, measure_versions, measures},
    sealing::Place,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::{
        instruments::{Answers, Outcome, Risk},
        measures::Respondent,
    },
    values::{Id, Moment},
};

const ANSWERS: &str = "measures.answers";
const REASON: &str = "measures.reason";

word_columns!(Respondent, RiskMark);

crate::words! {
    /// What the risk items said.
    pub enum RiskMark { None = "none", Positive = "positive", Declined = "declined" }
}

impl From<Risk> for RiskMark {
    fn from(risk: Risk) -> RiskMark {
        match risk {
            Risk::None => RiskMark::None,
            Risk::Positive => RiskMark::Positive,
            Risk::Declined => RiskMark::Declined,
        }
    }
}

impl From<RiskMark> for Risk {
    fn from(mark: RiskMark) -> Risk {
        match mark {
            RiskMark::None => Risk::None,
            RiskMark::Positive => Risk::Positive,
            RiskMark::Declined => Risk::Declined,
        }
    }
}

/// A measure without its answers.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = measures)]
pub struct Measure {
    pub id: Id,
    pub group_id: Id,
    pub session_id: Option<Id>,
    pub member_id: Id,
    pub instrument: String,
    pub instrument_version: String,
    pub respondent: Respondent,
    pub taken_at: Moment,
    /// Thousandths of a point.
    pub score: Option<i32>,
    /// Why there is no score, as JSON.
    pub no_score: Option<String>,
    pub prorated: bool,
    pub band: Option<String>,
    pub subscales: Json,
    pub risk: RiskMark,
    pub flagged: bool,
    pub entered_in_error: bool,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    pub version: i32,
}

/// A measure to be kept: scored already, once.
pub struct NewMeasure {
    pub session: Option<Id>,
    pub member: Id,
    pub instrument: String,
    pub instrument_version: String,
    pub administration: Administration,
}

/// What one version of a measure says.
pub struct Administration {
    pub respondent: Respondent,
    pub taken_at: Moment,
    pub answers: Answers,
    pub outcome: Outcome,
}

/// One version, with its answers and the reason of the correction that made it.
#[derive(Clone, Debug)]
pub struct PastVersion {
    pub version: i32,
    pub respondent: Respondent,
    pub taken_at: Moment,
    pub answers: Answers,
    pub score: Option<i32>,
    pub risk: RiskMark,
    pub entered_in_error: bool,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    pub reason: Option<String>,
}

/// How often a group takes an instrument.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = measure_schedules)]
pub struct Scheduled {
    pub instrument: String,
    pub every_days: i32,
    pub set_at: Moment,
}

fn no_score(outcome: &Outcome) -> Option<String> {
    outcome.no_score.as_ref().map(|reason| Json::of(reason).0)
}

/// Keeps measures, all with one statement, and raises the risk marks that they ask for.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeasure>,
    new: &[NewMeasure],
) -> Result<Vec<Measure>, Problem> {
    let now = connection.now;
    let keys = connection.keys(new.iter().map(|measure| measure.member))?;
    let mut rows = Vec::with_capacity(new.len());
    let mut kept = Vec::with_capacity(new.len());
    for measure in new {
        permit.reaches_member(measure.member)?;
        let id = Id::in_order();
        let Administration { respondent, taken_at, answers, outcome } = &measure.administration;
        let risk = RiskMark::from(outcome.risk);
        rows.push((
            measures::id.eq(id),
            measures::group_id.eq(permit.group()),
            measures::session_id.eq(measure.session),
            measures::member_id.eq(measure.member),
            measures::instrument.eq(measure.instrument.as_str()),
            measures::instrument_version.eq(measure.instrument_version.as_str()),
            measures::respondent.eq(*respondent),
            measures::taken_at.eq(*taken_at),
            measures::answers.eq(keys.of(measure.member)?.seal(Place(ANSWERS, id), &Json::of(answers).0)),
            measures::score.eq(outcome.score),
            measures::no_score.eq(no_score(outcome)),
            measures::prorated.eq(outcome.prorated),
            measures::band.eq(outcome.band.as_deref()),
            measures::subscales.eq(Json::of(&outcome.subscales)),
            measures::risk.eq(risk),
            measures::flagged.eq(risk != RiskMark::None),
            measures::entered_in_error.eq(false),
            measures::recorded_by.eq(permit.account()),
            measures::recorded_at.eq(now),
            measures::version.eq(1),
        ));
        kept.push(Measure {
            id,
            group_id: permit.group(),
            session_id: measure.session,
            member_id: measure.member,
            instrument: measure.instrument.clone(),
            instrument_version: measure.instrument_version.clone(),
            respondent: *respondent,
            taken_at: *taken_at,
            score: outcome.score,
            no_score: no_score(outcome),
            prorated: outcome.prorated,
            band: outcome.band.clone(),
            subscales: Json::of(&outcome.subscales),
            risk,
            flagged: risk != RiskMark::None,
            entered_in_error: false,
            recorded_by: permit.account(),
            recorded_at: now,
            version: 1,
        });
    }
    insert_many!(connection.with(permit), measures::table, &rows)?;
    risks::raise(connection, permit, &kept)?;
    match kept.as_slice() {
        [only] => concerns(connection, permit, Some(only.member_id), Some(only.id)),
        // Several members, or none: the entry concerns the group as a whole.
        _ => concerns(connection, permit, None, None),
    }
    Ok(kept)
}

/// Where a list of measures stands: flagged ones first, then the newest.
pub type Position = (bool, Moment, Id);

/// Which measures are listed.
#[derive(Default)]
pub struct Wanted<'a> {
    pub member: Option<Id>,
    pub instrument: Option<&'a str>,
    pub session: Option<Id>,
}

/// The measures that the permit reaches: those with a positive or declined risk item first, then newest first. What
/// was entered in error is left out.
pub fn list<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    wanted: &Wanted,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Measure>, Problem> {
    let mut query = measures::table
        .filter(measures::group_id.eq(permit.group()))
        .filter(measures::entered_in_error.eq(false))
        .select(Measure::as_select())
        .into_boxed();
    query = match wanted.session {
        // A session has few rows. Asked to order them, SQLite would go through all that the group ever answered.
        Some(session) => query.filter(measures::session_id.eq(session)),
        None => query.order((measures::flagged.desc(), measures::taken_at.desc(), measures::id.desc())).limit(limit),
    };
    for only in [permit.only_member()?, wanted.member].into_iter().flatten() {
        query = query.filter(measures::member_id.eq(only));
    }
    if let Some(instrument) = wanted.instrument {
        query = query.filter(measures::instrument.eq(instrument));
    }
    if let Some((flagged, at, id)) = after {
        let further = measures::flagged
            .eq(flagged)
            .and(measures::taken_at.lt(at).or(measures::taken_at.eq(at).and(measures::id.lt(id))));
        query = if flagged { query.filter(further.or(measures::flagged.eq(false))) } else { query.filter(further) };
    }
    concerns(connection, permit, wanted.member, None);
    let mut rows = query.load(connection.with(permit))?;
    if wanted.session.is_some() {
        sort(&mut rows);
        rows.truncate(usize::try_from(limit).unwrap_or(0));
    }
    Ok(rows)
}

/// Puts measures in the order of a list.
pub fn sort(measures: &mut [Measure]) {
    measures.sort_unstable_by_key(|measure| Reverse((measure.flagged, measure.taken_at, measure.id)));
}

/// A measure that the permit reaches, with its answers.
pub fn find<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
) -> Result<(Measure, Answers), Problem> {
    let (measure, sealed): (Measure, Sealed) = measures::table
        .filter(measures::id.eq(id))
        .filter(measures::group_id.eq(permit.group()))
        .select((Measure::as_select(), measures::answers))
        .first(connection.with(permit))?;
    permit.reaches_member(measure.member_id)?;
    concerns(connection, permit, Some(measure.member_id), Some(id));
    let answers = open_answers(connection, measure.member_id, id, &sealed)?;
    Ok((measure, answers))
}

fn open_answers(connection: &mut Connection, member: Id, measure: Id, sealed: &Sealed) -> Result<Answers, Problem> {
    let text = connection.keys([member])?.of(member)?.open(Place(ANSWERS, measure), sealed)?;
    serde_json::from_str(&text).map_err(|_| Problem::Internal("kept answers cannot be read".into()))
}

/// Keeps the version that stood, and puts a corrected administration in its place. Its risk is judged again: that
/// raises a mark, and takes none away.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::CorrectMeasure>,
    kept: &Measure,
    corrected: &Administration,
    reason: &str,
) -> Result<(), Problem> {
    insert_version(connection, permit, kept)?;
    let marked: Option<i32> = measure_versions::table
        .filter(measure_versions::measure_id.eq(kept.id))
        .filter(measure_versions::group_id.eq(permit.group()))
        .filter(measure_versions::risk.ne(RiskMark::None))
        .select(measure_versions::version)
        .first(connection.with(permit))
        .optional()?;
    let member = kept.member_id;
    let keys = connection.keys([member])?;
    let key = keys.of(member)?;
    let now = connection.now;
    let outcome = &corrected.outcome;
    let risk = RiskMark::from(outcome.risk);
    let changed = diesel::update(
        measures::table
            .filter(measures::id.eq(kept.id))
            .filter(measures::group_id.eq(permit.group()))
            .filter(measures::version.eq(kept.version)),
    )
    .set((
        measures::respondent.eq(corrected.respondent),
        measures::taken_at.eq(corrected.taken_at),
        measures::answers.eq(key.seal(Place(ANSWERS, kept.id), &Json::of(&corrected.answers).0)),
        measures::score.eq(outcome.score),
        measures::no_score.eq(no_score(outcome)),
        measures::prorated.eq(outcome.prorated),
        measures::band.eq(outcome.band.as_deref()),
        measures::subscales.eq(Json::of(&outcome.subscales)),
        measures::risk.eq(risk),
        // Corrected answers do not take a mark away: it was raised, and a clinician has to look at it.
        measures::flagged.eq(risk != RiskMark::None || marked.is_some()),
        measures::entered_in_error.eq(false),
        measures::recorded_by.eq(permit.account()),
        measures::recorded_at.eq(now),
        measures::reason.eq(key.seal(Place(REASON, kept.id), reason)),
        measures::version.eq(kept.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    risks::rejudge(connection, permit, kept, risk)
}

/// Marks a measure as entered in error: hidden from trends and lists, kept in its history.
pub fn update_entered_in_error(
    connection: &mut Connection,
    permit: &Permit<act::CorrectMeasure>,
    kept: &Measure,
    reason: &str,
) -> Result<(), Problem> {
    insert_version(connection, permit, kept)?;
    let member = kept.member_id;
    let now = connection.now;
    let sealed = connection.keys([member])?.of(member)?.seal(Place(REASON, kept.id), reason);
    let changed = diesel::update(
        measures::table
            .filter(measures::id.eq(kept.id))
            .filter(measures::group_id.eq(permit.group()))
            .filter(measures::version.eq(kept.version)),
    )
    .set((
        measures::entered_in_error.eq(true),
        measures::flagged.eq(false),
        measures::recorded_by.eq(permit.account()),
        measures::recorded_at.eq(now),
        measures::reason.eq(sealed),
        measures::version.eq(kept.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    risks::note_error(connection, permit, kept)
}

fn insert_version(
    connection: &mut Connection,
    permit: &Permit<act::CorrectMeasure>,
    kept: &Measure,
) -> Result<(), Problem> {
    let (answers, reason): (Sealed, Option<Sealed>) = measures::table
        .filter(measures::id.eq(kept.id))
        .filter(measures::group_id.eq(permit.group()))
        .select((measures::answers, measures::reason))
        .first(connection.with(permit))?;
    diesel::insert_into(measure_versions::table)
        .values((
            measure_versions::measure_id.eq(kept.id),
            measure_versions::group_id.eq(permit.group()),
            measure_versions::version.eq(kept.version),
            measure_versions::respondent.eq(kept.respondent),
            measure_versions::taken_at.eq(kept.taken_at),
            measure_versions::answers.eq(answers),
            measure_versions::score.eq(kept.score),
            measure_versions::no_score.eq(kept.no_score.as_deref()),
            measure_versions::prorated.eq(kept.prorated),
            measure_versions::band.eq(kept.band.as_deref()),
            measure_versions::subscales.eq(kept.subscales.clone()),
            measure_versions::risk.eq(kept.risk),
            measure_versions::entered_in_error.eq(kept.entered_in_error),
            measure_versions::recorded_by.eq(kept.recorded_by),
            measure_versions::recorded_at.eq(kept.recorded_at),
            measure_versions::reason.eq(reason),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Every version of a measure, oldest first, the one that stands included.
pub fn list_versions(
    connection: &mut Connection,
    permit: &Permit<act::ReadMeasures>,
    id: Id,
) -> Result<Vec<PastVersion>, Problem> {
    type Row = (i32, Respondent, Moment, Sealed, Option<i32>, RiskMark, bool, Id, Moment, Option<Sealed>);
    let (measure, _) = find(connection, permit, id)?;
    let past: Vec<Row> = measure_versions::table
        .filter(measure_versions::measure_id.eq(id))
        .filter(measure_versions::group_id.eq(permit.group()))
        .order(measure_versions::version)
        .select((
            measure_versions::version,
            measure_versions::respondent,
            measure_versions::taken_at,
            measure_versions::answers,
            measure_versions::score,
            measure_versions::risk,
            measure_versions::entered_in_error,
            measure_versions::recorded_by,
            measure_versions::recorded_at,
            measure_versions::reason,
        ))
        .load(connection.with(permit))?;
    let current: Row = measures::table
        .filter(measures::id.eq(id))
        .filter(measures::group_id.eq(permit.group()))
        .select((
            measures::version,
            measures::respondent,
            measures::taken_at,
            measures::answers,
            measures::score,
            measures::risk,
            measures::entered_in_error,
            measures::recorded_by,
            measures::recorded_at,
            measures::reason,
        ))
        .first(connection.with(permit))?;
    let member = measure.member_id;
    let keys = connection.keys([member])?;
    let key = keys.of(member)?;
    past.into_iter()
        .chain([current])
        .map(
            |(
                version,
                respondent,
                taken_at,
                answers,
                score,
                risk,
                entered_in_error,
                recorded_by,
                recorded_at,
                reason,
            )| {
                let text = key.open(Place(ANSWERS, id), &answers)?;
                Ok(PastVersion {
                    version,
                    respondent,
                    taken_at,
                    answers: serde_json::from_str(&text)
                        .map_err(|_| Problem::Internal("kept answers cannot be read".into()))?,
                    score,
                    risk,
                    entered_in_error,
                    recorded_by,
                    recorded_at,
                    reason: reason.map(|reason| key.open(Place(REASON, id), &reason)).transpose()?,
                })
            },
        )
        .collect()
}

/// When each of these members last answered each instrument: `(member, instrument, taken_at)`.
pub fn list_last_taken(
    connection: &mut Connection,
    permit: &Permit<act::ReadMeasures>,
    members: &[Id],
) -> Result<Vec<(Id, String, Moment)>, Problem> {
    use diesel::dsl::max;
    let rows: Vec<(Id, String, Option<Moment>)> = measures::table
        .filter(measures::member_id.eq_any(members))
        .filter(measures::group_id.eq(permit.group()))
        .filter(measures::entered_in_error.eq(false))
        .group_by((measures::member_id, measures::instrument))
        .select((measures::member_id, measures::instrument, max(measures::taken_at)))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().filter_map(|(member, instrument, at)| Some((member, instrument, at?))).collect())
}

/// What a group takes, and how often.
pub fn list_schedule<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<Vec<Scheduled>, Problem> {
    Ok(measure_schedules::table
        .filter(measure_schedules::group_id.eq(permit.group()))
        .order(measure_schedules::instrument)
        .select(Scheduled::as_select())
        .load(connection.with(permit))?)
}

/// Sets the whole schedule.
pub fn replace_schedule(
    connection: &mut Connection,
    permit: &Permit<act::SetMeasureSchedule>,
    entries: &[(String, i32)],
) -> Result<(), Problem> {
    let now = connection.now;
    diesel::delete(measure_schedules::table.filter(measure_schedules::group_id.eq(permit.group())))
        .execute(connection.with(permit))?;
    let rows: Vec<_> = entries
        .iter()
        .map(|(instrument, every_days)| {
            (
                measure_schedules::id.eq(Id::in_order()),
                measure_schedules::group_id.eq(permit.group()),
                measure_schedules::instrument.eq(instrument.as_str()),
                measure_schedules::every_days.eq(*every_days),
                measure_schedules::set_by.eq(permit.account()),
                measure_schedules::set_at.eq(now),
            )
        })
        .collect();
    insert_many!(connection.with(permit), measure_schedules::table, &rows)?;
    Ok(())
}
