//! Goals with every wording and rating that they had, and homework with what was said of it.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use diesel::{dsl::auto_type, prelude::*};
use serde::{Deserialize, Serialize};

use super::{
    columns::{Json, Sealed, word_columns},
    connection::{Connection, insert_unless_there},
    permit::{Permit, concerns},
    schema::{
        agenda_deliveries, agenda_items, goal_rating_versions, goal_ratings, goal_wordings, goals, homework,
        homework_report_versions, homework_reports, membership_intervals, sessions,
    },
    sealing::{Keys, Place},
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::{
        goals::{Agreement, Outcome, Said, Side, State, is_given, side_of, state},
        members::{Interval, State as MemberState, roster},
        sessions::{Delivered, State as SessionState},
    },
    values::{Day, Id, Moment},
};

const CONTENT: &str = "goal_wordings.content";
const ENDING: &str = "goals.ending_words";
const RATING: &str = "goal_ratings.words";
const REASON: &str = "goal_ratings.reason";
const AGENDA: &str = "agenda_items.homework";
const TEXT: &str = "homework.text";
const WITHDRAWN: &str = "homework.withdrawn_reason";
const REPORT: &str = "homework_reports.words";

word_columns!(Side, Outcome, Said);

/// The actions that have to do with goals and homework.
pub trait OnGoals: area::Group {}
impl OnGoals for act::ReadGoals {}
impl OnGoals for act::AgreeGoal {}
impl OnGoals for act::RateGoal {}
impl OnGoals for act::SetHomework {}
impl OnGoals for act::ReportHomework {}

/// What a goal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub text: String,
    /// What each level means for this goal, from -2 to +2.
    pub levels: [Option<String>; 5],
}

/// One wording of a goal, with who stands behind it.
#[derive(Clone, Debug)]
pub struct Wording {
    pub number: i32,
    pub content: Content,
    pub weight: i32,
    pub written_by: Id,
    pub written_as: Side,
    pub written_at: Moment,
    pub agreement: Agreement,
    pub clinician_agreed_by: Option<Id>,
}

/// How a goal ended.
#[derive(Clone, Debug)]
pub struct Ending {
    pub outcome: Outcome,
    pub words: Option<String>,
    pub by: Id,
    pub side: Side,
    pub at: Moment,
}

/// A goal of one member, in the wording that stands.
#[derive(Clone, Debug)]
pub struct Goal {
    pub id: Id,
    pub member: Id,
    pub proposed_by: Id,
    pub proposed_as: Side,
    pub proposed_at: Moment,
    pub wording: Wording,
    pub ending: Option<Ending>,
    pub version: i32,
}

impl Goal {
    pub fn outcome(&self) -> Option<Outcome> {
        self.ending.as_ref().map(|ending| ending.outcome)
    }

    pub fn state(&self) -> State {
        state(self.wording.agreement, self.outcome())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = goals)]
struct GoalRow {
    id: Id,
    member_id: Id,
    proposed_by: Id,
    proposed_as: Side,
    proposed_at: Moment,
    wording: i32,
    outcome: Option<Outcome>,
    ended_by: Option<Id>,
    ended_as: Option<Side>,
    ended_at: Option<Moment>,
    ending_words: Option<Sealed>,
    version: i32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = goal_wordings)]
struct WordingRow {
    id: Id,
    goal_id: Id,
    number: i32,
    content: Sealed,
    weight: i32,
    written_by: Id,
    written_as: Side,
    written_at: Moment,
    member_agreed_at: Option<Moment>,
    clinician_agreed_at: Option<Moment>,
    clinician_agreed_by: Option<Id>,
}

fn open_wording(keys: &Keys, member: Id, row: WordingRow) -> Result<Wording, Problem> {
    let content = keys.of(member)?.open(Place(CONTENT, row.id), &row.content)?;
    Ok(Wording {
        number: row.number,
        content: serde_json::from_str(&content)
            .map_err(|_| Problem::Internal("a kept wording cannot be read".into()))?,
        weight: row.weight,
        written_by: row.written_by,
        written_as: row.written_as,
        written_at: row.written_at,
        agreement: Agreement { member_at: row.member_agreed_at, clinician_at: row.clinician_agreed_at },
        clinician_agreed_by: row.clinician_agreed_by,
    })
}

/// Joins goals with the wordings that stand, and opens both.
fn open_goals<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    rows: Vec<GoalRow>,
) -> Result<Vec<Goal>, Problem> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let wordings: Vec<WordingRow> = goal_wordings::table
        .filter(goal_wordings::goal_id.eq_any(ids))
        .filter(goal_wordings::group_id.eq(permit.group()))
        .select(WordingRow::as_select())
        .load(connection.with(permit))?;
    let mut wordings: HashMap<(Id, i32), WordingRow> =
        wordings.into_iter().map(|wording| ((wording.goal_id, wording.number), wording)).collect();
    let keys = connection.keys(rows.iter().map(|row| row.member_id).collect::<BTreeSet<_>>())?;
    rows.into_iter()
        .map(|row| {
            let wording = wordings
                .remove(&(row.id, row.wording))
                .ok_or_else(|| Problem::Internal("a goal has lost its wording".into()))?;
            let ending = match (row.outcome, row.ended_by, row.ended_as, row.ended_at) {
                (Some(outcome), Some(by), Some(side), Some(at)) => {
                    let key = keys.of(row.member_id)?;
                    let words = row.ending_words.map(|words| key.open(Place(ENDING, row.id), &words)).transpose()?;
                    Some(Ending { outcome, words, by, side, at })
                }
                _ => None,
            };
            Ok(Goal {
                id: row.id,
                member: row.member_id,
                proposed_by: row.proposed_by,
                proposed_as: row.proposed_as,
                proposed_at: row.proposed_at,
                wording: open_wording(&keys, row.member_id, wording)?,
                ending,
                version: row.version,
            })
        })
        .collect()
}

/// Keeps a wording, to which whoever wrote it agrees by writing it.
fn insert_wording(
    connection: &mut Connection,
    permit: &Permit<act::AgreeGoal>,
    goal: Id,
    member: Id,
    number: i32,
    content: &Content,
    weight: i32,
) -> Result<(), Problem> {
    let (id, now) = (Id::in_order(), connection.now);
    let side = side_of(permit.own_member(), member);
    let is_clinician = side == Side::Clinician;
    let sealed = connection.keys([member])?.of(member)?.seal(Place(CONTENT, id), &Json::of(content).0);
    diesel::insert_into(goal_wordings::table)
        .values((
            goal_wordings::id.eq(id),
            goal_wordings::group_id.eq(permit.group()),
            goal_wordings::goal_id.eq(goal),
            goal_wordings::number.eq(number),
            goal_wordings::content.eq(sealed),
            goal_wordings::weight.eq(weight),
            goal_wordings::written_by.eq(permit.account()),
            goal_wordings::written_as.eq(side),
            goal_wordings::written_at.eq(now),
            goal_wordings::member_agreed_at.eq((!is_clinician).then_some(now)),
            goal_wordings::clinician_agreed_at.eq(is_clinician.then_some(now)),
            goal_wordings::clinician_agreed_by.eq(is_clinician.then_some(permit.account())),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Proposes a goal: its first wording.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::AgreeGoal>,
    member: Id,
    content: &Content,
    weight: i32,
) -> Result<Id, Problem> {
    permit.reaches_member(member)?;
    let (id, now) = (Id::in_order(), connection.now);
    diesel::insert_into(goals::table)
        .values((
            goals::id.eq(id),
            goals::group_id.eq(permit.group()),
            goals::member_id.eq(member),
            goals::proposed_by.eq(permit.account()),
            goals::proposed_as.eq(side_of(permit.own_member(), member)),
            goals::proposed_at.eq(now),
            goals::wording.eq(1),
            goals::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    insert_wording(connection, permit, id, member, 1, content, weight)?;
    concerns(connection, permit, Some(member), Some(id));
    Ok(id)
}

/// The goals that the permit reaches, of one member where one is named, newest first.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadGoals>,
    member: Option<Id>,
    before: Option<Id>,
    limit: i64,
) -> Result<Vec<Goal>, Problem> {
    let mut query = goals::table
        .filter(goals::group_id.eq(permit.group()))
        .order(goals::id.desc())
        .limit(limit)
        .select(GoalRow::as_select())
        .into_boxed();
    if let Some(member) = member {
        permit.reaches_member(member)?;
    }
    if let Some(only) = member.or(permit.only_member()?) {
        query = query.filter(goals::member_id.eq(only));
    }
    if let Some(before) = before {
        query = query.filter(goals::id.lt(before));
    }
    concerns(connection, permit, member, None);
    let rows = query.load(connection.with(permit))?;
    open_goals(connection, permit, rows)
}

/// A goal that the permit reaches; another member's is not there.
pub fn find<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Goal, Problem> {
    let row: GoalRow = goals::table
        .filter(goals::id.eq(id))
        .filter(goals::group_id.eq(permit.group()))
        .select(GoalRow::as_select())
        .first(connection.with(permit))?;
    permit.reaches_member(row.member_id)?;
    concerns(connection, permit, Some(row.member_id), Some(id));
    open_goals(connection, permit, vec![row])?.pop().ok_or(Problem::NotFound)
}

/// Every wording that a goal had, oldest first, the one that stands included.
pub fn list_wordings<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    goal: &Goal,
) -> Result<Vec<Wording>, Problem> {
    let rows: Vec<WordingRow> = goal_wordings::table
        .filter(goal_wordings::goal_id.eq(goal.id))
        .filter(goal_wordings::group_id.eq(permit.group()))
        .order(goal_wordings::number)
        .select(WordingRow::as_select())
        .load(connection.with(permit))?;
    let keys = connection.keys([goal.member])?;
    rows.into_iter().map(|row| open_wording(&keys, goal.member, row)).collect()
}

/// The goal in the version that was read: what changed meanwhile is not found.
#[auto_type(no_type_alias)]
fn unchanged(group: Id, id: Id, version: i32) -> _ {
    goals::table.filter(goals::id.eq(id)).filter(goals::group_id.eq(group)).filter(goals::version.eq(version))
}

/// Gives a goal another wording, which waits for the other side's agreement.
///
/// # Errors
/// `Stale` when the goal changed since it was read.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::AgreeGoal>,
    goal: &Goal,
    content: &Content,
    weight: i32,
) -> Result<(), Problem> {
    let number = goal.wording.number + 1;
    // First of all: of two who reword at once, the second is told to read again.
    let changed = diesel::update(unchanged(permit.group(), goal.id, goal.version))
        .set((goals::wording.eq(number), goals::version.eq(goal.version + 1)))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    insert_wording(connection, permit, goal.id, goal.member, number, content, weight)
}

/// Notes that a side agrees to the wording that stands. Two sides that agree at once do not hinder each other.
///
/// # Errors
/// `Conflict` when the goal was reworded or ended meanwhile.
pub fn update_agreement(
    connection: &mut Connection,
    permit: &Permit<act::AgreeGoal>,
    goal: &Goal,
    side: Side,
) -> Result<(), Problem> {
    let now = connection.now;
    let stands = goals::table
        .filter(goals::id.eq(goal.id))
        .filter(goals::group_id.eq(permit.group()))
        .filter(goals::wording.eq(goal.wording.number))
        .filter(goals::ended_at.is_null());
    let changed = diesel::update(stands).set(goals::version.eq(goals::version + 1)).execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Conflict("The goal changed meanwhile: read it again.".into()));
    }
    let agreed = goal_wordings::table
        .filter(goal_wordings::goal_id.eq(goal.id))
        .filter(goal_wordings::number.eq(goal.wording.number))
        .filter(goal_wordings::group_id.eq(permit.group()));
    match side {
        Side::Member => diesel::update(agreed.filter(goal_wordings::member_agreed_at.is_null()))
            .set(goal_wordings::member_agreed_at.eq(now))
            .execute(connection.with(permit))?,
        Side::Clinician => diesel::update(agreed.filter(goal_wordings::clinician_agreed_at.is_null()))
            .set((goal_wordings::clinician_agreed_at.eq(now), goal_wordings::clinician_agreed_by.eq(permit.account())))
            .execute(connection.with(permit))?,
    };
    Ok(())
}

/// Ends a goal.
///
/// # Errors
/// `Stale` when the goal changed since it was read.
pub fn update_ending(
    connection: &mut Connection,
    permit: &Permit<act::AgreeGoal>,
    goal: &Goal,
    outcome: Outcome,
    words: Option<&str>,
) -> Result<(), Problem> {
    let now = connection.now;
    let keys = connection.keys([goal.member])?;
    let key = keys.of(goal.member)?;
    let changed = diesel::update(unchanged(permit.group(), goal.id, goal.version))
        .set((
            goals::outcome.eq(outcome),
            goals::ended_by.eq(permit.account()),
            goals::ended_as.eq(side_of(permit.own_member(), goal.member)),
            goals::ended_at.eq(now),
            goals::ending_words.eq(words.map(|words| key.seal(Place(ENDING, goal.id), words))),
            goals::version.eq(goal.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

// Ratings.

/// One rating of a goal, as it stands.
#[derive(Clone, Debug)]
pub struct Rating {
    pub id: Id,
    pub member: Id,
    pub goal: Id,
    /// The number of the wording that was rated.
    pub wording: i32,
    pub rated_as: Side,
    pub said: Level,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    /// Of the correction that made this version.
    pub reason: Option<String>,
    pub version: i32,
}

/// What one version of a rating says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// -2 to +2.
    pub level: i32,
    /// When it was so, whenever it was written down.
    pub rated_at: Moment,
    pub words: Option<String>,
    pub entered_in_error: bool,
}

/// A version that a rating had.
#[derive(Clone, Debug)]
pub struct PastRating {
    pub version: i32,
    pub said: Level,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    pub reason: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = goal_ratings)]
struct RatingRow {
    id: Id,
    member_id: Id,
    goal_id: Id,
    wording: i32,
    rated_as: Side,
    level: i32,
    rated_at: Moment,
    words: Option<Sealed>,
    entered_in_error: bool,
    recorded_by: Id,
    recorded_at: Moment,
    reason: Option<Sealed>,
    version: i32,
}

fn open_rating(keys: &Keys, row: RatingRow) -> Result<Rating, Problem> {
    let key = keys.of(row.member_id)?;
    let open = |place, sealed: Option<Sealed>| sealed.map(|sealed| key.open(Place(place, row.id), &sealed)).transpose();
    Ok(Rating {
        id: row.id,
        member: row.member_id,
        goal: row.goal_id,
        wording: row.wording,
        rated_as: row.rated_as,
        said: Level {
            level: row.level,
            rated_at: row.rated_at,
            words: open(RATING, row.words)?,
            entered_in_error: row.entered_in_error,
        },
        recorded_by: row.recorded_by,
        recorded_at: row.recorded_at,
        reason: open(REASON, row.reason)?,
        version: row.version,
    })
}

/// Keeps a rating of the wording that stands.
pub fn insert_rating(
    connection: &mut Connection,
    permit: &Permit<act::RateGoal>,
    goal: &Goal,
    said: &Level,
) -> Result<Rating, Problem> {
    let (id, now) = (Id::in_order(), connection.now);
    let rated_as = side_of(permit.own_member(), goal.member);
    let keys = connection.keys([goal.member])?;
    let key = keys.of(goal.member)?;
    diesel::insert_into(goal_ratings::table)
        .values((
            goal_ratings::id.eq(id),
            goal_ratings::group_id.eq(permit.group()),
            goal_ratings::member_id.eq(goal.member),
            goal_ratings::goal_id.eq(goal.id),
            goal_ratings::wording.eq(goal.wording.number),
            goal_ratings::rated_as.eq(rated_as),
            goal_ratings::level.eq(said.level),
            goal_ratings::rated_at.eq(said.rated_at),
            goal_ratings::words.eq(said.words.as_ref().map(|words| key.seal(Place(RATING, id), words))),
            goal_ratings::entered_in_error.eq(said.entered_in_error),
            goal_ratings::recorded_by.eq(permit.account()),
            goal_ratings::recorded_at.eq(now),
            goal_ratings::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, Some(goal.member), Some(id));
    Ok(Rating {
        id,
        member: goal.member,
        goal: goal.id,
        wording: goal.wording.number,
        rated_as,
        said: said.clone(),
        recorded_by: permit.account(),
        recorded_at: now,
        reason: None,
        version: 1,
    })
}

/// A rating that the permit reaches.
pub fn find_rating<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Rating, Problem> {
    let row: RatingRow = goal_ratings::table
        .filter(goal_ratings::id.eq(id))
        .filter(goal_ratings::group_id.eq(permit.group()))
        .select(RatingRow::as_select())
        .first(connection.with(permit))?;
    permit.reaches_member(row.member_id)?;
    concerns(connection, permit, Some(row.member_id), Some(id));
    let keys = connection.keys([row.member_id])?;
    open_rating(&keys, row)
}

/// A goal's ratings by the time of the event, newest first, after a position.
pub fn list_ratings(
    connection: &mut Connection,
    permit: &Permit<act::ReadGoals>,
    goal: &Goal,
    after: Option<(Moment, Id)>,
    limit: i64,
) -> Result<Vec<Rating>, Problem> {
    let mut query = goal_ratings::table
        .filter(goal_ratings::goal_id.eq(goal.id))
        .order((goal_ratings::rated_at.desc(), goal_ratings::id.desc()))
        .limit(limit)
        .select(RatingRow::as_select())
        .into_boxed();
    if let Some((at, id)) = after {
        query = query
            .filter(goal_ratings::rated_at.le(at))
            .filter(goal_ratings::rated_at.lt(at).or(goal_ratings::id.lt(id)));
    }
    let rows: Vec<RatingRow> = query.load(connection.with(permit))?;
    let keys = connection.keys([goal.member])?;
    rows.into_iter().map(|row| open_rating(&keys, row)).collect()
}

/// The versions that these ratings of one member had before those that stand, oldest first.
pub fn list_past_ratings<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ratings: &[Rating],
) -> Result<HashMap<Id, Vec<PastRating>>, Problem> {
    type Row = (Id, i32, i32, Moment, Option<Sealed>, bool, Id, Moment, Option<Sealed>);
    let owners: HashMap<Id, Id> =
        ratings.iter().filter(|rating| rating.version > 1).map(|rating| (rating.id, rating.member)).collect();
    if owners.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> = goal_rating_versions::table
        .filter(goal_rating_versions::rating_id.eq_any(owners.keys()))
        .filter(goal_rating_versions::group_id.eq(permit.group()))
        .order((goal_rating_versions::rating_id, goal_rating_versions::version))
        .select((
            goal_rating_versions::rating_id,
            goal_rating_versions::version,
            goal_rating_versions::level,
            goal_rating_versions::rated_at,
            goal_rating_versions::words,
            goal_rating_versions::entered_in_error,
            goal_rating_versions::recorded_by,
            goal_rating_versions::recorded_at,
            goal_rating_versions::reason,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys(owners.values().copied().collect::<BTreeSet<_>>())?;
    let mut past: HashMap<Id, Vec<PastRating>> = HashMap::new();
    for (id, version, level, rated_at, words, entered_in_error, recorded_by, recorded_at, reason) in rows {
        let key = keys.of(owners[&id])?;
        let open = |place, sealed: Option<Sealed>| sealed.map(|sealed| key.open(Place(place, id), &sealed)).transpose();
        let said = Level { level, rated_at, words: open(RATING, words)?, entered_in_error };
        let reason = open(REASON, reason)?;
        past.entry(id).or_default().push(PastRating { version, said, recorded_by, recorded_at, reason });
    }
    Ok(past)
}

/// Keeps the version that stood, and puts a corrected one in its place.
///
/// # Errors
/// `Stale` when the rating changed since it was read.
pub fn update_rating(
    connection: &mut Connection,
    permit: &Permit<act::RateGoal>,
    kept: &Rating,
    said: &Level,
    reason: &str,
) -> Result<(), Problem> {
    let now = connection.now;
    let keys = connection.keys([kept.member])?;
    let key = keys.of(kept.member)?;
    let seal = |place, text: Option<&String>| text.map(|text| key.seal(Place(place, kept.id), text));
    let changed = diesel::update(
        goal_ratings::table
            .filter(goal_ratings::id.eq(kept.id))
            .filter(goal_ratings::group_id.eq(permit.group()))
            .filter(goal_ratings::version.eq(kept.version)),
    )
    .set((
        goal_ratings::level.eq(said.level),
        goal_ratings::rated_at.eq(said.rated_at),
        goal_ratings::words.eq(seal(RATING, said.words.as_ref())),
        goal_ratings::entered_in_error.eq(said.entered_in_error),
        goal_ratings::recorded_by.eq(permit.account()),
        goal_ratings::recorded_at.eq(now),
        goal_ratings::reason.eq(key.seal(Place(REASON, kept.id), reason)),
        goal_ratings::version.eq(kept.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    diesel::insert_into(goal_rating_versions::table)
        .values((
            goal_rating_versions::rating_id.eq(kept.id),
            goal_rating_versions::group_id.eq(permit.group()),
            goal_rating_versions::version.eq(kept.version),
            goal_rating_versions::level.eq(kept.said.level),
            goal_rating_versions::rated_at.eq(kept.said.rated_at),
            goal_rating_versions::words.eq(seal(RATING, kept.said.words.as_ref())),
            goal_rating_versions::entered_in_error.eq(kept.said.entered_in_error),
            goal_rating_versions::recorded_by.eq(kept.recorded_by),
            goal_rating_versions::recorded_at.eq(kept.recorded_at),
            goal_rating_versions::reason.eq(seal(REASON, kept.reason.as_ref())),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// A goal without its words, for a summary.
#[derive(Clone, Copy, Debug)]
pub struct Weighed {
    pub id: Id,
    pub wording: i32,
    pub weight: i32,
    pub agreement: Agreement,
    pub outcome: Option<Outcome>,
}

/// A member's goals, oldest first, and nothing that was written.
pub fn list_weighed<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<Vec<Weighed>, Problem> {
    type Row = (Id, i32, i32, Option<Moment>, Option<Moment>, Option<Outcome>);
    permit.reaches_member(member)?;
    let rows: Vec<Row> = goals::table
        .inner_join(
            goal_wordings::table.on(goal_wordings::goal_id.eq(goals::id).and(goal_wordings::number.eq(goals::wording))),
        )
        .filter(goals::member_id.eq(member))
        .filter(goals::group_id.eq(permit.group()))
        .order(goals::id)
        .select((
            goals::id,
            goals::wording,
            goal_wordings::weight,
            goal_wordings::member_agreed_at,
            goal_wordings::clinician_agreed_at,
            goals::outcome,
        ))
        .load(connection.with(permit))?;
    concerns(connection, permit, Some(member), None);
    Ok(rows
        .into_iter()
        .map(|(id, wording, weight, member_at, clinician_at, outcome)| Weighed {
            id,
            wording,
            weight,
            agreement: Agreement { member_at, clinician_at },
            outcome,
        })
        .collect())
}

/// A level without its words, for a summary.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    pub goal: Id,
    pub wording: i32,
    pub side: Side,
    pub level: i32,
    pub rated_at: Moment,
}

/// The levels that a member's goals reached by the time of the event, oldest first; without those entered in error.
pub fn list_reached<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<Vec<Reached>, Problem> {
    permit.reaches_member(member)?;
    let rows: Vec<(Id, i32, Side, i32, Moment)> = goal_ratings::table
        .filter(goal_ratings::member_id.eq(member))
        .filter(goal_ratings::group_id.eq(permit.group()))
        .filter(goal_ratings::entered_in_error.eq(false))
        .order((goal_ratings::rated_at, goal_ratings::id))
        .select((
            goal_ratings::goal_id,
            goal_ratings::wording,
            goal_ratings::rated_as,
            goal_ratings::level,
            goal_ratings::rated_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(goal, wording, side, level, rated_at)| Reached { goal, wording, side, level, rated_at })
        .collect())
}

// Homework.

/// Homework that was given: by a session's agenda to all who were expected, or to one member.
#[derive(Clone, Debug)]
pub struct Given {
    pub id: Id,
    pub session: Option<Id>,
    pub text: String,
    /// The session's start, or when it was set for one member.
    pub set_at: Moment,
    /// Who set it for one member.
    pub set_by: Option<Id>,
    pub due_on: Option<Day>,
    pub withdrawn_at: Option<Moment>,
    pub withdrawn_reason: Option<String>,
    /// To whom it was given, as far as the permit reaches; in the order of their ids.
    pub members: Vec<Id>,
}

/// Homework before anything of it is opened.
struct Source {
    id: Id,
    session: Option<Id>,
    set_at: Moment,
    members: Vec<Id>,
}

/// Which homework is listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct WantedHomework {
    pub member: Option<Id>,
    pub session: Option<Id>,
    /// One piece alone.
    pub only: Option<Id>,
}

/// What sessions that were held gave to those who were expected then, whatever they are today.
fn sources_of_sessions<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    wanted: WantedHomework,
) -> Result<Vec<Source>, Problem> {
    type Row = (Id, Id, Moment, SessionState, Option<Delivered>);
    let group = permit.group();
    let mut query = sessions::table
        .inner_join(agenda_items::table.on(agenda_items::session_id.eq(sessions::id)))
        .left_join(agenda_deliveries::table.on(agenda_deliveries::item_id.eq(agenda_items::id)))
        .filter(sessions::group_id.eq(group))
        .filter(sessions::state.eq(SessionState::Held))
        .filter(agenda_items::homework.is_not_null())
        .select((
            agenda_items::id,
            sessions::id,
            sessions::starts_at,
            sessions::state,
            agenda_deliveries::delivered.nullable(),
        ))
        .into_boxed();
    if let Some(session) = wanted.session {
        query = query.filter(sessions::id.eq(session));
    }
    if let Some(only) = wanted.only {
        query = query.filter(agenda_items::id.eq(only));
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = membership_intervals::table
        .filter(membership_intervals::group_id.eq(group))
        .filter(membership_intervals::state.eq(MemberState::Active))
        .select((
            membership_intervals::member_id,
            membership_intervals::state,
            membership_intervals::from_at,
            membership_intervals::until_at,
        ))
        .into_boxed();
    if let Some(member) = wanted.member {
        query = query.filter(membership_intervals::member_id.eq(member));
    }
    let intervals: Vec<(Id, MemberState, Moment, Option<Moment>)> = query.load(connection.with(permit))?;
    let intervals: Vec<Interval> = intervals
        .into_iter()
        .map(|(member, state, from_at, until_at)| Interval { member, state, from_at, until_at })
        .collect();
    let given = rows.into_iter().filter(|(_, _, _, state, delivered)| is_given(*state, *delivered));
    Ok(given
        .map(|(id, session, set_at, ..)| Source {
            id,
            session: Some(session),
            set_at,
            members: roster(&intervals, set_at),
        })
        .filter(|source| !source.members.is_empty())
        .collect())
}

/// What was set for one member each. Members do not see what was withdrawn.
fn sources_for_members<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    wanted: WantedHomework,
) -> Result<Vec<Source>, Problem> {
    if wanted.session.is_some() {
        return Ok(Vec::new());
    }
    let mut query = homework::table
        .filter(homework::group_id.eq(permit.group()))
        .select((homework::id, homework::set_at, homework::member_id))
        .into_boxed();
    if let Some(member) = wanted.member {
        query = query.filter(homework::member_id.eq(member));
    }
    if let Some(only) = wanted.only {
        query = query.filter(homework::id.eq(only));
    }
    if permit.only_member()?.is_some() {
        query = query.filter(homework::withdrawn_at.is_null());
    }
    let rows: Vec<(Id, Moment, Id)> = query.load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(id, set_at, member)| Source { id, session: None, set_at, members: vec![member] })
        .collect())
}

/// Opens homework, in the order in which it stands here.
fn open_homework<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    sources: Vec<Source>,
) -> Result<Vec<Given>, Problem> {
    type Row = (Id, Id, Sealed, Option<Day>, Id, Option<Moment>, Option<Sealed>);
    let group = permit.group();
    let (of_sessions, for_members): (Vec<&Source>, Vec<&Source>) =
        sources.iter().partition(|source| source.session.is_some());
    let ids = |sources: &[&Source]| sources.iter().map(|source| source.id).collect::<Vec<_>>();
    let (of_sessions, for_members) = (ids(&of_sessions), ids(&for_members));
    let mut agenda: Vec<(Id, Option<Sealed>)> = Vec::new();
    if !of_sessions.is_empty() {
        agenda = agenda_items::table
            .filter(agenda_items::id.eq_any(of_sessions))
            .filter(agenda_items::group_id.eq(group))
            .select((agenda_items::id, agenda_items::homework))
            .load(connection.with(permit))?;
    }
    let mut rows: Vec<Row> = Vec::new();
    if !for_members.is_empty() {
        rows = homework::table
            .filter(homework::id.eq_any(for_members))
            .filter(homework::group_id.eq(group))
            .select((
                homework::id,
                homework::member_id,
                homework::text,
                homework::due_on,
                homework::set_by,
                homework::withdrawn_at,
                homework::withdrawn_reason,
            ))
            .load(connection.with(permit))?;
    }
    let keys = connection.keys(rows.iter().map(|row| row.1).chain([group]).collect::<BTreeSet<_>>())?;
    let mut texts: HashMap<Id, String> = HashMap::new();
    for (id, sealed) in agenda {
        let Some(sealed) = sealed else { continue };
        texts.insert(id, keys.of(group)?.open(Place(AGENDA, id), &sealed)?);
    }
    let mut found: HashMap<Id, Given> = HashMap::new();
    for (id, member, sealed, due_on, set_by, withdrawn_at, reason) in rows {
        let key = keys.of(member)?;
        let given = Given {
            id,
            session: None,
            text: key.open(Place(TEXT, id), &sealed)?,
            // Where and when it was given, and to whom, is said by its source.
            set_at: connection.now,
            set_by: Some(set_by),
            due_on,
            withdrawn_at,
            withdrawn_reason: reason.map(|reason| key.open(Place(WITHDRAWN, id), &reason)).transpose()?,
            members: Vec::new(),
        };
        found.insert(id, given);
    }
    let opened = sources.into_iter().filter_map(|source| {
        let Source { id, session, set_at, members } = source;
        let of_session = |text| Given {
            id,
            session,
            text,
            set_at,
            set_by: None,
            due_on: None,
            withdrawn_at: None,
            withdrawn_reason: None,
            members: Vec::new(),
        };
        let given = found.remove(&id).or_else(|| texts.remove(&id).map(of_session))?;
        Some(Given { set_at, members, ..given })
    });
    Ok(opened.collect())
}

fn list_sources<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    wanted: WantedHomework,
) -> Result<Vec<Source>, Problem> {
    if let Some(member) = wanted.member {
        permit.reaches_member(member)?;
    }
    let wanted = WantedHomework { member: wanted.member.or(permit.only_member()?), ..wanted };
    let mut sources = sources_of_sessions(connection, permit, wanted)?;
    sources.extend(sources_for_members(connection, permit, wanted)?);
    Ok(sources)
}

/// The homework that the permit reaches, newest first, after a position.
pub fn list_homework(
    connection: &mut Connection,
    permit: &Permit<act::ReadGoals>,
    wanted: WantedHomework,
    after: Option<(Moment, Id)>,
    limit: i64,
) -> Result<Vec<Given>, Problem> {
    let mut sources = list_sources(connection, permit, wanted)?;
    sources.retain(|source| after.is_none_or(|after| (source.set_at, source.id) < after));
    sources.sort_unstable_by_key(|source| Reverse((source.set_at, source.id)));
    sources.truncate(usize::try_from(limit).unwrap_or(0));
    concerns(connection, permit, wanted.member, None);
    open_homework(connection, permit, sources)
}

/// One piece of homework, with those of `member` (or of all whom the permit reaches) to whom it was given.
pub fn find_homework<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
    member: Option<Id>,
) -> Result<Given, Problem> {
    let wanted = WantedHomework { member, only: Some(id), ..WantedHomework::default() };
    let sources = list_sources(connection, permit, wanted)?;
    let given = open_homework(connection, permit, sources)?.pop().ok_or(Problem::NotFound)?;
    let only = (given.members.len() == 1).then(|| given.members[0]);
    concerns(connection, permit, only, Some(id));
    Ok(given)
}

/// Sets homework for one member.
pub fn insert_homework(
    connection: &mut Connection,
    permit: &Permit<act::SetHomework>,
    member: Id,
    text: &str,
    due_on: Option<Day>,
) -> Result<Given, Problem> {
    permit.reaches_member(member)?;
    let (id, now) = (Id::in_order(), connection.now);
    let sealed = connection.keys([member])?.of(member)?.seal(Place(TEXT, id), text);
    diesel::insert_into(homework::table)
        .values((
            homework::id.eq(id),
            homework::group_id.eq(permit.group()),
            homework::member_id.eq(member),
            homework::text.eq(sealed),
            homework::due_on.eq(due_on),
            homework::set_by.eq(permit.account()),
            homework::set_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, Some(member), Some(id));
    Ok(Given {
        id,
        session: None,
        text: text.to_owned(),
        set_at: now,
        set_by: Some(permit.account()),
        due_on,
        withdrawn_at: None,
        withdrawn_reason: None,
        members: vec![member],
    })
}

/// Takes homework for one member back: its member sees it no more. What was withdrawn before stays as it is.
pub fn update_withdrawn(
    connection: &mut Connection,
    permit: &Permit<act::SetHomework>,
    given: &Given,
    reason: &str,
) -> Result<(), Problem> {
    let now = connection.now;
    let Some(&member) = given.members.first() else { return Ok(()) };
    let sealed = connection.keys([member])?.of(member)?.seal(Place(WITHDRAWN, given.id), reason);
    diesel::update(
        homework::table
            .filter(homework::id.eq(given.id))
            .filter(homework::group_id.eq(permit.group()))
            .filter(homework::withdrawn_at.is_null()),
    )
    .set((
        homework::withdrawn_by.eq(permit.account()),
        homework::withdrawn_at.eq(now),
        homework::withdrawn_reason.eq(sealed),
    ))
    .execute(connection.with(permit))?;
    Ok(())
}

/// What was said of homework for one member, as it stands.
#[derive(Clone, Debug)]
pub struct Report {
    pub id: Id,
    pub member: Id,
    pub homework: Id,
    pub said: Said,
    pub words: Option<String>,
    pub reported_as: Side,
    pub recorded_by: Id,
    pub recorded_at: Moment,
    pub version: i32,
}

/// A version that a report had.
#[derive(Clone, Debug)]
pub struct PastReport {
    pub version: i32,
    pub said: Said,
    pub words: Option<String>,
    pub reported_as: Side,
    pub recorded_by: Id,
    pub recorded_at: Moment,
}

/// What was said of these pieces of homework, as far as the permit reaches.
pub fn list_reports<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    homework: &[Id],
    member: Option<Id>,
) -> Result<Vec<Report>, Problem> {
    type Row = (Id, Id, Id, Said, Option<Sealed>, Side, Id, Moment, i32);
    if homework.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = homework_reports::table
        .filter(homework_reports::homework_id.eq_any(homework))
        .filter(homework_reports::group_id.eq(permit.group()))
        .select((
            homework_reports::id,
            homework_reports::member_id,
            homework_reports::homework_id,
            homework_reports::said,
            homework_reports::words,
            homework_reports::reported_as,
            homework_reports::recorded_by,
            homework_reports::recorded_at,
            homework_reports::version,
        ))
        .into_boxed();
    for only in [permit.only_member()?, member].into_iter().flatten() {
        query = query.filter(homework_reports::member_id.eq(only));
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.1).collect::<BTreeSet<_>>())?;
    rows.into_iter()
        .map(|(id, member, homework, said, words, reported_as, recorded_by, recorded_at, version)| {
            let words = words.map(|words| keys.of(member)?.open(Place(REPORT, id), &words)).transpose()?;
            Ok(Report { id, member, homework, said, words, reported_as, recorded_by, recorded_at, version })
        })
        .collect()
}

/// The versions that these reports had before those that stand, oldest first.
pub fn list_past_reports<A: OnGoals>(
    connection: &mut Connection,
    permit: &Permit<A>,
    reports: &[Report],
) -> Result<HashMap<Id, Vec<PastReport>>, Problem> {
    type Row = (Id, i32, Said, Option<Sealed>, Side, Id, Moment);
    let owners: HashMap<Id, Id> =
        reports.iter().filter(|report| report.version > 1).map(|report| (report.id, report.member)).collect();
    if owners.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> = homework_report_versions::table
        .filter(homework_report_versions::report_id.eq_any(owners.keys()))
        .filter(homework_report_versions::group_id.eq(permit.group()))
        .order((homework_report_versions::report_id, homework_report_versions::version))
        .select((
            homework_report_versions::report_id,
            homework_report_versions::version,
            homework_report_versions::said,
            homework_report_versions::words,
            homework_report_versions::reported_as,
            homework_report_versions::recorded_by,
            homework_report_versions::recorded_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys(owners.values().copied().collect::<BTreeSet<_>>())?;
    let mut past: HashMap<Id, Vec<PastReport>> = HashMap::new();
    for (id, version, said, words, reported_as, recorded_by, recorded_at) in rows {
        let key = keys.of(owners[&id])?;
        let words = words.map(|words| key.open(Place(REPORT, id), &words)).transpose()?;
        past.entry(id).or_default().push(PastReport { version, said, words, reported_as, recorded_by, recorded_at });
    }
    Ok(past)
}

/// The first report of a member about homework.
///
/// # Errors
/// `Stale` when somebody reported at this moment.
pub fn insert_report(
    connection: &mut Connection,
    permit: &Permit<act::ReportHomework>,
    homework: Id,
    member: Id,
    said: Said,
    words: Option<&str>,
) -> Result<(), Problem> {
    permit.reaches_member(member)?;
    let (id, now) = (Id::in_order(), connection.now);
    let keys = connection.keys([member])?;
    let key = keys.of(member)?;
    let row = (
        homework_reports::id.eq(id),
        homework_reports::group_id.eq(permit.group()),
        homework_reports::member_id.eq(member),
        homework_reports::homework_id.eq(homework),
        homework_reports::said.eq(said),
        homework_reports::words.eq(words.map(|words| key.seal(Place(REPORT, id), words))),
        homework_reports::reported_as.eq(side_of(permit.own_member(), member)),
        homework_reports::recorded_by.eq(permit.account()),
        homework_reports::recorded_at.eq(now),
        homework_reports::version.eq(1),
    );
    let made = insert_unless_there!(connection.with(permit), homework_reports::table, row)?;
    concerns(connection, permit, Some(member), Some(homework));
    if made == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Keeps the report that stood, and puts the new one in its place.
///
/// # Errors
/// `Stale` when it changed since it was read.
pub fn update_report(
    connection: &mut Connection,
    permit: &Permit<act::ReportHomework>,
    kept: &Report,
    said: Said,
    words: Option<&str>,
) -> Result<(), Problem> {
    let now = connection.now;
    let keys = connection.keys([kept.member])?;
    let key = keys.of(kept.member)?;
    let seal = |words: Option<&str>| words.map(|words| key.seal(Place(REPORT, kept.id), words));
    let changed = diesel::update(
        homework_reports::table
            .filter(homework_reports::id.eq(kept.id))
            .filter(homework_reports::group_id.eq(permit.group()))
            .filter(homework_reports::version.eq(kept.version)),
    )
    .set((
        homework_reports::said.eq(said),
        homework_reports::words.eq(seal(words)),
        homework_reports::reported_as.eq(side_of(permit.own_member(), kept.member)),
        homework_reports::recorded_by.eq(permit.account()),
        homework_reports::recorded_at.eq(now),
        homework_reports::version.eq(kept.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    diesel::insert_into(homework_report_versions::table)
        .values((
            homework_report_versions::report_id.eq(kept.id),
            homework_report_versions::group_id.eq(permit.group()),
            homework_report_versions::version.eq(kept.version),
            homework_report_versions::said.eq(kept.said),
            homework_report_versions::words.eq(seal(kept.words.as_deref())),
            homework_report_versions::reported_as.eq(kept.reported_as),
            homework_report_versions::recorded_by.eq(kept.recorded_by),
            homework_report_versions::recorded_at.eq(kept.recorded_at),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, Some(kept.member), Some(kept.homework));
    Ok(())
}

/// Says of what somebody recorded about themselves that the membership did, so that no account leads to it.
pub(super) fn cut_off(
    connection: &mut Connection,
    permit: &Permit<act::CloseAccount>,
    member: Id,
) -> Result<(), Problem> {
    let account = permit.account();
    let own: Vec<Id> =
        goals::table.filter(goals::member_id.eq(member)).select(goals::id).load(connection.with(permit))?;
    for ids in own.chunks(500) {
        let written = goal_wordings::table.filter(goal_wordings::goal_id.eq_any(ids));
        diesel::update(written.filter(goal_wordings::written_by.eq(account)))
            .set(goal_wordings::written_by.eq(member))
            .execute(connection.with(permit))?;
    }
    let of_member = || goals::table.filter(goals::member_id.eq(member));
    diesel::update(of_member().filter(goals::proposed_by.eq(account)))
        .set(goals::proposed_by.eq(member))
        .execute(connection.with(permit))?;
    diesel::update(of_member().filter(goals::ended_by.eq(account)))
        .set(goals::ended_by.eq(member))
        .execute(connection.with(permit))?;
    let rated: Vec<Id> = goal_ratings::table
        .filter(goal_ratings::member_id.eq(member))
        .select(goal_ratings::id)
        .load(connection.with(permit))?;
    for ids in rated.chunks(500) {
        let past = goal_rating_versions::table.filter(goal_rating_versions::rating_id.eq_any(ids));
        diesel::update(past.filter(goal_rating_versions::recorded_by.eq(account)))
            .set(goal_rating_versions::recorded_by.eq(member))
            .execute(connection.with(permit))?;
    }
    let ratings = goal_ratings::table.filter(goal_ratings::member_id.eq(member));
    diesel::update(ratings.filter(goal_ratings::recorded_by.eq(account)))
        .set(goal_ratings::recorded_by.eq(member))
        .execute(connection.with(permit))?;
    let reported: Vec<Id> = homework_reports::table
        .filter(homework_reports::member_id.eq(member))
        .select(homework_reports::id)
        .load(connection.with(permit))?;
    for ids in reported.chunks(500) {
        let past = homework_report_versions::table.filter(homework_report_versions::report_id.eq_any(ids));
        diesel::update(past.filter(homework_report_versions::recorded_by.eq(account)))
            .set(homework_report_versions::recorded_by.eq(member))
            .execute(connection.with(permit))?;
    }
    let reports = homework_reports::table.filter(homework_reports::member_id.eq(member));
    diesel::update(reports.filter(homework_reports::recorded_by.eq(account)))
        .set(homework_reports::recorded_by.eq(member))
        .execute(connection.with(permit))?;
    Ok(())
}
