//! What a therapist reads before a session, and the reviews that are kept.
//!
//! Every function sends the same number of statements for two members and for two hundred.

use std::collections::HashMap;

use diesel::{dsl::max, prelude::*};

use super::{
    connection::{Connection, insert_many},
    permit::{Permit, concerns},
    schema::{agenda_deliveries, agenda_items, attendances, measures, membership_intervals, reviews, sessions},
};
use crate::{
    policy::act,
    problem::Problem,
    rules::{
        attendance::Status,
        members::{Interval, State as MemberState},
        sessions::{Delivered, State},
    },
    values::{Id, Moment},
};

/// A session that was held.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub id: Id,
    pub starts_at: Moment,
    pub from: Moment,
    pub until: Moment,
}

/// What was recorded of one member at one session.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = attendances)]
pub struct Attendance {
    pub session_id: Id,
    pub member_id: Id,
    pub status: Status,
    pub minutes: i32,
    pub recorded_at: Moment,
}

/// An agenda item that was gone through, or skipped.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub session: Id,
    pub technique: String,
    pub delivered: Delivered,
    pub minutes: i32,
}

/// A measure without its answers.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = measures)]
pub struct Taken {
    pub id: Id,
    pub member_id: Id,
    pub instrument: String,
    pub instrument_version: String,
    pub taken_at: Moment,
    /// Thousandths of a point.
    pub score: Option<i32>,
    /// Why there is no score, as JSON.
    pub no_score: Option<String>,
    pub prorated: bool,
    pub band: Option<String>,
    pub entered_in_error: bool,
    pub recorded_at: Moment,
}

/// Who looked at a member before a session, and when.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = reviews)]
pub struct Review {
    pub session_id: Id,
    pub member_id: Id,
    pub reviewed_by: Id,
    pub reviewed_at: Moment,
    /// The moment of the preparation that was read.
    pub as_of: Moment,
}

/// Everybody's active intervals that began by `until`.
pub fn list_active(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
    until: Moment,
) -> Result<Vec<Interval>, Problem> {
    let rows: Vec<(Id, Moment, Option<Moment>)> = membership_intervals::table
        .filter(membership_intervals::group_id.eq(permit.group()))
        .filter(membership_intervals::from_at.le(until))
        .filter(membership_intervals::state.eq(MemberState::Active))
        .order((membership_intervals::from_at, membership_intervals::id))
        .select((membership_intervals::member_id, membership_intervals::from_at, membership_intervals::until_at))
        .load(connection.with(permit))?;
    let active = |(member, from_at, until_at)| Interval { member, state: MemberState::Active, from_at, until_at };
    Ok(rows.into_iter().map(active).collect())
}

/// The sessions that were to begin before `before` and were held, oldest first.
pub fn list_held(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
    before: Moment,
) -> Result<Vec<Held>, Problem> {
    type Row = (Id, Moment, i32, Option<Moment>, Option<Moment>);
    let rows: Vec<Row> = sessions::table
        .filter(sessions::group_id.eq(permit.group()))
        .filter(sessions::starts_at.lt(before))
        .filter(sessions::state.eq(State::Held))
        .order((sessions::starts_at, sessions::id))
        .select((sessions::id, sessions::starts_at, sessions::minutes, sessions::held_from, sessions::held_until))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(id, starts_at, minutes, held_from, held_until)| {
            let from = held_from.unwrap_or(starts_at);
            Held { id, starts_at, from, until: held_until.unwrap_or(from.plus_minutes(i64::from(minutes))) }
        })
        .collect())
}

/// The attendance of sessions that were to begin before `before`.
pub fn list_attendances(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
    before: Moment,
) -> Result<Vec<Attendance>, Problem> {
    Ok(attendances::table
        .filter(attendances::group_id.eq(permit.group()))
        .filter(attendances::starts_at.lt(before))
        .select(Attendance::as_select())
        .load(connection.with(permit))?)
}

/// What became of the agenda of the sessions that were to begin before `before` and were held.
pub fn list_deliveries(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
    before: Moment,
) -> Result<Vec<Delivery>, Problem> {
    let rows: Vec<(Id, String, Delivered, i32)> = sessions::table
        .inner_join(agenda_deliveries::table.on(agenda_deliveries::session_id.eq(sessions::id)))
        .inner_join(agenda_items::table.on(agenda_items::id.eq(agenda_deliveries::item_id)))
        .filter(sessions::group_id.eq(permit.group()))
        .filter(sessions::starts_at.lt(before))
        .filter(sessions::state.eq(State::Held))
        .select((sessions::id, agenda_items::technique, agenda_deliveries::delivered, agenda_deliveries::minutes))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(session, technique, delivered, minutes)| Delivery { session, technique, delivered, minutes })
        .collect())
}

/// What these members answered before `before`, oldest first. What was entered in error is among it, and marked.
pub fn list_taken(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
    members: &[Id],
    before: Moment,
) -> Result<Vec<Taken>, Problem> {
    Ok(measures::table
        .filter(measures::member_id.eq_any(members))
        .filter(measures::group_id.eq(permit.group()))
        .filter(measures::taken_at.lt(before))
        .order((measures::taken_at, measures::id))
        .select(Taken::as_select())
        .load(connection.with(permit))?)
}

/// The newest review of each member before this session.
pub fn list_reviews(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
    session: Id,
) -> Result<HashMap<Id, Review>, Problem> {
    let rows: Vec<Review> = reviews::table
        .filter(reviews::session_id.eq(session))
        .filter(reviews::group_id.eq(permit.group()))
        .order(reviews::reviewed_at)
        .select(Review::as_select())
        .load(connection.with(permit))?;
    Ok(rows.into_iter().map(|review| (review.member_id, review)).collect())
}

/// The newest review of each of these members, before whichever session.
pub fn list_last_reviews(
    connection: &mut Connection,
    permit: &Permit<act::ReadPreparation>,
    members: &[Id],
) -> Result<HashMap<Id, Review>, Problem> {
    let newest: Vec<(Id, Option<Moment>)> = reviews::table
        .filter(reviews::member_id.eq_any(members))
        .filter(reviews::group_id.eq(permit.group()))
        .group_by(reviews::member_id)
        .select((reviews::member_id, max(reviews::reviewed_at)))
        .load(connection.with(permit))?;
    // Whoever reviews a group does so at a few moments.
    let mut moments: Vec<Moment> = newest.iter().filter_map(|(_, at)| *at).collect();
    moments.sort_unstable();
    moments.dedup();
    let newest: HashMap<Id, Option<Moment>> = newest.into_iter().collect();
    let rows: Vec<Review> = reviews::table
        .filter(reviews::member_id.eq_any(members))
        .filter(reviews::reviewed_at.eq_any(moments))
        .filter(reviews::group_id.eq(permit.group()))
        .select(Review::as_select())
        .load(connection.with(permit))?;
    let is_newest = |review: &Review| newest.get(&review.member_id) == Some(&Some(review.reviewed_at));
    Ok(rows.into_iter().filter(is_newest).map(|review| (review.member_id, review)).collect())
}

/// Keeps that somebody looked at these members before a session, with one statement.
pub fn insert_reviews(
    connection: &mut Connection,
    permit: &Permit<act::ReviewMember>,
    session: Id,
    members: &[Id],
    as_of: Moment,
) -> Result<(), Problem> {
    let now = connection.now;
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            (
                reviews::id.eq(Id::in_order()),
                reviews::group_id.eq(permit.group()),
                reviews::session_id.eq(session),
                reviews::member_id.eq(*member),
                reviews::reviewed_by.eq(permit.account()),
                reviews::reviewed_at.eq(now),
                reviews::as_of.eq(as_of),
            )
        })
        .collect();
    insert_many!(connection.with(permit), reviews::table, &rows)?;
    match members {
        [only] => concerns(connection, permit, Some(*only), Some(session)),
        // Several: the entry concerns the group as a whole.
        _ => concerns(connection, permit, None, Some(session)),
    }
    Ok(())
}
