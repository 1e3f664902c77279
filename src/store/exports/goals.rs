//! Goals and homework as they are taken out: every wording, each side's ratings and reports, and nobody's account.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::super::{
    columns::Sealed,
    connection::Connection,
    goals::Content,
    permit::Permit,
    schema::{
        agenda_deliveries, agenda_items, goal_ratings, goal_wordings, goals, homework, homework_reports,
        membership_intervals, sessions,
    },
    sealing::Place,
};
use crate::{
    policy::{Act, act},
    problem::Problem,
    rules::{
        exports::{GoalRatingRow, GoalRow, GoalWordingRow, HomeworkRow, WorkedOn},
        goals::{Agreement, Outcome, Said, Side, is_given, state},
        members::{Interval, State as MemberState, roster},
        sessions::{Delivered, State as SessionState},
    },
    values::{Day, Id, Moment},
};

/// The goals and the homework of the caller's own memberships, as their own pages show them.
pub fn list_own_work(
    connection: &mut Connection,
    permit: &Permit<act::ExportOwnRecords>,
    own: &[Id],
) -> Result<WorkedOn, Problem> {
    if own.is_empty() {
        return Ok(WorkedOn::default());
    }
    list_work(connection, permit, own, true)
}

/// What these members worked on. `as_members` leaves out the homework that was taken back, which members do not see.
pub(super) fn list_work<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    as_members: bool,
) -> Result<WorkedOn, Problem> {
    let mut work = WorkedOn::default();
    add_goals(connection, permit, whose, &mut work)?;
    if !work.goals.is_empty() {
        work.goal_ratings = list_ratings(connection, permit, whose, &work.goals)?;
    }
    let mut given = list_given_by_sessions(connection, permit, whose)?;
    given.extend(list_given_to_members(connection, permit, whose, as_members)?);
    add_reports(connection, permit, whose, &mut given)?;
    given.sort_by_key(|row| (row.member, row.set_at, row.homework));
    work.homework = given;
    Ok(work)
}

fn add_goals<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    work: &mut WorkedOn,
) -> Result<(), Problem> {
    type Kept = (Id, Id, Side, Moment, i32, Option<Outcome>, Option<Side>, Option<Moment>, Option<Sealed>);
    type Worded = (Id, Id, i32, Sealed, i32, Side, Moment, Option<Moment>, Option<Moment>);
    let rows: Vec<Kept> = goals::table
        .filter(goals::member_id.eq_any(whose))
        .filter(goals::outcome.is_null().or(goals::outcome.ne(Outcome::EnteredInError)))
        .order((goals::member_id, goals::id))
        .select((
            goals::id,
            goals::member_id,
            goals::proposed_as,
            goals::proposed_at,
            goals::wording,
            goals::outcome,
            goals::ended_as,
            goals::ended_at,
            goals::ending_words,
        ))
        .load(connection.with(permit))?;
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
    let worded: Vec<Worded> = goal_wordings::table
        .filter(goal_wordings::goal_id.eq_any(ids))
        .order((goal_wordings::goal_id, goal_wordings::number))
        .select((
            goal_wordings::id,
            goal_wordings::goal_id,
            goal_wordings::number,
            goal_wordings::content,
            goal_wordings::weight,
            goal_wordings::written_as,
            goal_wordings::written_at,
            goal_wordings::member_agreed_at,
            goal_wordings::clinician_agreed_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.1).collect::<BTreeSet<_>>())?;
    let owners: HashMap<Id, Id> = rows.iter().map(|row| (row.0, row.1)).collect();
    let mut agreed: HashMap<(Id, i32), Agreement> = HashMap::new();
    for (id, goal, number, content, weight, written_as, written_at, member_at, clinician_at) in worded {
        let member = owners[&goal];
        let content = keys.of(member)?.open(Place("goal_wordings.content", id), &content)?;
        let content: Content =
            serde_json::from_str(&content).map_err(|_| Problem::Internal("a kept wording cannot be read".into()))?;
        let [much_less, less, expected, more, much_more] = content.levels;
        agreed.insert((goal, number), Agreement { member_at, clinician_at });
        work.goal_wordings.push(GoalWordingRow {
            member,
            goal,
            number,
            text: content.text,
            much_less,
            less,
            expected,
            more,
            much_more,
            weight,
            written_as,
            written_at,
            member_agreed_at: member_at,
            clinician_agreed_at: clinician_at,
        });
    }
    for (goal, member, proposed_as, proposed_at, wording, outcome, ended_as, ended_at, words) in rows {
        let agreement = agreed.get(&(goal, wording)).copied().unwrap_or_default();
        let key = keys.of(member)?;
        work.goals.push(GoalRow {
            goal,
            member,
            state: state(agreement, outcome),
            proposed_as,
            proposed_at,
            wording,
            outcome,
            ended_as,
            ended_at,
            ending_words: words.map(|words| key.open(Place("goals.ending_words", goal), &words)).transpose()?,
        });
    }
    Ok(())
}

fn list_ratings<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    of: &[GoalRow],
) -> Result<Vec<GoalRatingRow>, Problem> {
    type Row = (Id, Id, Id, i32, Side, i32, Moment, Option<Sealed>, Moment, i32);
    let rows: Vec<Row> = goal_ratings::table
        .filter(goal_ratings::member_id.eq_any(whose))
        .filter(goal_ratings::entered_in_error.eq(false))
        .order((goal_ratings::member_id, goal_ratings::rated_at, goal_ratings::id))
        .select((
            goal_ratings::id,
            goal_ratings::member_id,
            goal_ratings::goal_id,
            goal_ratings::wording,
            goal_ratings::rated_as,
            goal_ratings::level,
            goal_ratings::rated_at,
            goal_ratings::words,
            goal_ratings::recorded_at,
            goal_ratings::version,
        ))
        .load(connection.with(permit))?;
    let there: BTreeSet<Id> = of.iter().map(|goal| goal.goal).collect();
    let keys = connection.keys(rows.iter().map(|row| row.1).collect::<BTreeSet<_>>())?;
    rows.into_iter()
        .filter(|row| there.contains(&row.2))
        .map(|(rating, member, goal, wording, rated_as, level, rated_at, words, recorded_at, version)| {
            let key = keys.of(member)?;
            Ok(GoalRatingRow {
                rating,
                member,
                goal,
                wording,
                rated_as,
                level,
                rated_at,
                words: words.map(|words| key.open(Place("goal_ratings.words", rating), &words)).transpose()?,
                recorded_at,
                version,
            })
        })
        .collect()
}

/// What the sessions that were held gave to those of these members who were expected then.
fn list_given_by_sessions<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
) -> Result<Vec<HomeworkRow>, Problem> {
    type Stay = (Id, Id, MemberState, Moment, Option<Moment>);
    type Row = (Id, Id, Id, Moment, SessionState, Option<Sealed>, Option<Delivered>);
    let stays: Vec<Stay> = membership_intervals::table
        .filter(membership_intervals::member_id.eq_any(whose))
        .filter(membership_intervals::state.eq(MemberState::Active))
        .select((
            membership_intervals::group_id,
            membership_intervals::member_id,
            membership_intervals::state,
            membership_intervals::from_at,
            membership_intervals::until_at,
        ))
        .load(connection.with(permit))?;
    let mut expected: HashMap<Id, Vec<Interval>> = HashMap::new();
    for (group, member, state, from_at, until_at) in stays {
        expected.entry(group).or_default().push(Interval { member, state, from_at, until_at });
    }
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    let groups: Vec<Id> = expected.keys().copied().collect();
    let rows: Vec<Row> = sessions::table
        .inner_join(agenda_items::table.on(agenda_items::session_id.eq(sessions::id)))
        .left_join(agenda_deliveries::table.on(agenda_deliveries::item_id.eq(agenda_items::id)))
        .filter(sessions::group_id.eq_any(groups))
        .filter(sessions::state.eq(SessionState::Held))
        .filter(agenda_items::homework.is_not_null())
        .select((
            agenda_items::id,
            sessions::group_id,
            sessions::id,
            sessions::starts_at,
            sessions::state,
            agenda_items::homework,
            agenda_deliveries::delivered.nullable(),
        ))
        .load(connection.with(permit))?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys = connection.keys(rows.iter().map(|row| row.1).collect::<BTreeSet<_>>())?;
    let mut given = Vec::new();
    for (id, group, session, set_at, state, text, delivered) in rows {
        let members = expected.get(&group).map_or_else(Vec::new, |stays| roster(stays, set_at));
        let Some(text) = text.filter(|_| is_given(state, delivered) && !members.is_empty()) else { continue };
        let text = keys.of(group)?.open(Place("agenda_items.homework", id), &text)?;
        given.extend(members.into_iter().map(|member| HomeworkRow {
            homework: id,
            member,
            session: Some(session),
            text: text.clone(),
            set_at,
            due_on: None,
            withdrawn_at: None,
            withdrawn_reason: None,
            said: None,
            words: None,
            reported_as: None,
            reported_at: None,
        }));
    }
    Ok(given)
}

fn list_given_to_members<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    as_members: bool,
) -> Result<Vec<HomeworkRow>, Problem> {
    type Row = (Id, Id, Sealed, Moment, Option<Day>, Option<Moment>, Option<Sealed>);
    let mut query = homework::table
        .filter(homework::member_id.eq_any(whose))
        .select((
            homework::id,
            homework::member_id,
            homework::text,
            homework::set_at,
            homework::due_on,
            homework::withdrawn_at,
            homework::withdrawn_reason,
        ))
        .into_boxed();
    if as_members {
        query = query.filter(homework::withdrawn_at.is_null());
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.1).collect::<BTreeSet<_>>())?;
    rows.into_iter()
        .map(|(id, member, text, set_at, due_on, withdrawn_at, reason)| {
            let key = keys.of(member)?;
            Ok(HomeworkRow {
                homework: id,
                member,
                session: None,
                text: key.open(Place("homework.text", id), &text)?,
                set_at,
                due_on,
                withdrawn_at,
                withdrawn_reason: reason
                    .map(|reason| key.open(Place("homework.withdrawn_reason", id), &reason))
                    .transpose()?,
                said: None,
                words: None,
                reported_as: None,
                reported_at: None,
            })
        })
        .collect()
}

/// Says of each piece of homework what became of it, where somebody said so.
fn add_reports<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    given: &mut [HomeworkRow],
) -> Result<(), Problem> {
    type Row = (Id, Id, Id, Said, Option<Sealed>, Side, Moment);
    if given.is_empty() {
        return Ok(());
    }
    let rows: Vec<Row> = homework_reports::table
        .filter(homework_reports::member_id.eq_any(whose))
        .select((
            homework_reports::id,
            homework_reports::member_id,
            homework_reports::homework_id,
            homework_reports::said,
            homework_reports::words,
            homework_reports::reported_as,
            homework_reports::recorded_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.1).collect::<BTreeSet<_>>())?;
    let mut places: HashMap<(Id, Id), &mut HomeworkRow> =
        given.iter_mut().map(|row| ((row.member, row.homework), row)).collect();
    for (id, member, homework, said, words, reported_as, at) in rows {
        let Some(row) = places.get_mut(&(member, homework)) else { continue };
        let key = keys.of(member)?;
        row.said = Some(said);
        row.words = words.map(|words| key.open(Place("homework_reports.words", id), &words)).transpose()?;
        row.reported_as = Some(reported_as);
        row.reported_at = Some(at);
    }
    Ok(())
}
