//! The rows of progress: measures, attendance and delivered techniques of those whom a permit reaches.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::{
    agreements,
    attendances::Attendance,
    columns::Json,
    connection::Connection,
    measures::Measure,
    members::{self, Member},
    permit::{Permit, concerns},
    schema::{agenda_deliveries, agenda_items, attendances, measures, membership_intervals, sessions},
};
use crate::{
    policy::{Act, Kind, Standing, act, area},
    problem::Problem,
    rules::{
        members::State,
        progress::{Held, Taken, Window},
        sessions::{self as session_rules, Delivered},
    },
    values::{Id, Moment},
};

/// The memberships that a permit reaches for a picture of progress. Only the functions here make one, so that its rows
/// cannot be asked for with a membership from anywhere else.
pub struct Reached<'p, A: Act> {
    permit: &'p Permit<A>,
    memberships: Vec<Membership>,
    /// Whether it is the reader's own, who keeps all of it whatever they withdrew.
    is_own: bool,
}

/// One person in one group.
#[derive(Clone, Debug)]
pub struct Membership {
    pub member: Id,
    pub group: Id,
    pub kind: Kind,
    /// The member's name in the group; empty for one's own.
    pub name: String,
    /// The group's title; empty where the picture is of one group.
    pub group_title: String,
    /// Whether they stand under the group's consent now; not asked of one's own.
    pub consents: bool,
    /// Whether the membership has ended.
    pub has_left: bool,
}

/// When each member was active, `[from, until)`.
pub type ActiveIntervals = HashMap<Id, Vec<(Moment, Option<Moment>)>>;

/// One agenda item of a held session, as it was delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub session: Id,
    pub technique: String,
    pub delivered: Delivered,
    pub minutes: i32,
}

/// The caller's own memberships, in all groups.
pub fn reach_own<'p>(
    connection: &mut Connection,
    permit: &'p Permit<act::ReadOwnAccount>,
) -> Result<Reached<'p, act::ReadOwnAccount>, Problem> {
    let own = members::list_own(connection, permit)?.into_iter().map(|own| Membership {
        member: own.member,
        group: own.group,
        kind: own.kind,
        name: String::new(),
        group_title: own.group_title,
        consents: true,
        has_left: has_left(own.state),
    });
    Ok(Reached { permit, memberships: own.collect(), is_own: true })
}

/// One member of the group.
///
/// # Errors
/// `NotFound` for somebody who is not of this group, or whom the permit does not reach.
pub fn reach_member<'p>(
    connection: &mut Connection,
    permit: &'p Permit<act::ReadProgress>,
    member: Id,
) -> Result<Reached<'p, act::ReadProgress>, Problem> {
    let found = members::find(connection, permit, member)?;
    let memberships = in_group(connection, permit, vec![found])?;
    Ok(Reached { permit, memberships, is_own: permit.is_about_oneself() })
}

/// Everybody who was active in the group in a window, by name.
pub fn reach_group<'p>(
    connection: &mut Connection,
    permit: &'p Permit<act::ReadGroupProgress>,
    window: Window,
) -> Result<Reached<'p, act::ReadGroupProgress>, Problem> {
    let mut active: Vec<Id> = membership_intervals::table
        .filter(membership_intervals::group_id.eq(permit.group()))
        .filter(membership_intervals::from_at.lt(window.until))
        .filter(membership_intervals::until_at.is_null().or(membership_intervals::until_at.gt(window.since)))
        .filter(membership_intervals::state.eq(State::Active))
        .select(membership_intervals::member_id)
        .load(connection.with(permit))?;
    active.sort_unstable();
    active.dedup();
    let found = members::list_of(connection, permit, &active)?;
    concerns(connection, permit, None, None);
    let mut memberships = in_group(connection, permit, found)?;
    memberships.sort_unstable_by(|a, b| (&a.name, a.member).cmp(&(&b.name, b.member)));
    Ok(Reached { permit, memberships, is_own: false })
}

fn in_group<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    found: Vec<Member>,
) -> Result<Vec<Membership>, Problem> {
    let ids: Vec<Id> = found.iter().map(|member| member.id).collect();
    let consenting: BTreeSet<Id> = agreements::list_consenting(connection, permit, &ids)?.into_iter().collect();
    let membership = |found: Member| Membership {
        member: found.id,
        group: permit.group(),
        kind: permit.kind(),
        name: found.name,
        group_title: String::new(),
        consents: consenting.contains(&found.id),
        has_left: has_left(found.state),
    };
    Ok(found.into_iter().map(membership).collect())
}

fn has_left(state: State) -> bool {
    state.standing() == Some(Standing::FormerMember)
}

impl<A: Act> Reached<'_, A> {
    pub fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    fn members(&self) -> impl Iterator<Item = Id> {
        self.memberships.iter().map(|membership| membership.member)
    }

    fn groups(&self) -> Vec<Id> {
        let mut groups: Vec<Id> = self.memberships.iter().map(|membership| membership.group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// All measures before a moment, oldest first: change is judged from the first of them on. What was entered in error
    /// is none. Withdrawal ends the use of what was answered: whoever leads sees no course of it, and reads it in the
    /// record, out of which it does not take it.
    pub fn list_measures(
        &self,
        connection: &mut Connection,
        instrument: Option<&str>,
        until: Moment,
    ) -> Result<Vec<Measure>, Problem> {
        let used = self.memberships.iter().filter(|membership| self.is_own || membership.consents);
        let used: Vec<Id> = used.map(|membership| membership.member).collect();
        if used.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = measures::table
            .filter(measures::member_id.eq_any(used))
            .filter(measures::group_id.eq_any(self.groups()))
            .filter(measures::taken_at.lt(until))
            .filter(measures::entered_in_error.eq(false))
            .order((measures::taken_at, measures::id))
            .select(Measure::as_select())
            .into_boxed();
        if let Some(instrument) = instrument {
            query = query.filter(measures::instrument.eq(instrument.to_owned()));
        }
        Ok(query.load(connection.with(self.permit))?)
    }

    /// All attendances of sessions that began before a moment, oldest first.
    pub fn list_attendances(&self, connection: &mut Connection, until: Moment) -> Result<Vec<Attendance>, Problem> {
        Ok(attendances::table
            .filter(attendances::member_id.eq_any(self.members()))
            .filter(attendances::group_id.eq_any(self.groups()))
            .filter(attendances::starts_at.lt(until))
            .order((attendances::starts_at, attendances::id))
            .select(Attendance::as_select())
            .load(connection.with(self.permit))?)
    }

    /// The sessions of the groups that were held and began before a moment, oldest first.
    pub fn list_held(&self, connection: &mut Connection, until: Moment) -> Result<Vec<Held>, Problem> {
        type Row = (Id, Id, Moment, i32, Option<Moment>, Option<Moment>);
        let rows: Vec<Row> = sessions::table
            .filter(sessions::group_id.eq_any(self.groups()))
            .filter(sessions::starts_at.lt(until))
            .filter(sessions::state.eq(session_rules::State::Held))
            .order((sessions::starts_at, sessions::id))
            .select((
                sessions::id,
                sessions::group_id,
                sessions::starts_at,
                sessions::minutes,
                sessions::held_from,
                sessions::held_until,
            ))
            .load(connection.with(self.permit))?;
        Ok(rows
            .into_iter()
            .map(|(session, group, starts_at, planned, held_from, held_until)| {
                let from = held_from.unwrap_or(starts_at);
                let until = held_until.unwrap_or(from.plus_minutes(i64::from(planned)));
                let minutes = i32::try_from(until.minutes_since(from)).unwrap_or(planned).max(0);
                Held { session, group, starts_at, until, minutes }
            })
            .collect())
    }

    pub fn list_active_intervals(&self, connection: &mut Connection) -> Result<ActiveIntervals, Problem> {
        let rows: Vec<(Id, Moment, Option<Moment>)> = membership_intervals::table
            .filter(membership_intervals::member_id.eq_any(self.members()))
            .filter(membership_intervals::state.eq(State::Active))
            .select((membership_intervals::member_id, membership_intervals::from_at, membership_intervals::until_at))
            .load(connection.with(self.permit))?;
        let mut intervals = ActiveIntervals::new();
        for (member, from, until) in rows {
            intervals.entry(member).or_default().push((from, until));
        }
        Ok(intervals)
    }

    /// What was delivered in these sessions, those of the reached groups.
    pub fn list_deliveries(&self, connection: &mut Connection, sessions: &[Id]) -> Result<Vec<Delivery>, Problem> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(Id, String, Delivered, i32)> = agenda_deliveries::table
            .inner_join(agenda_items::table.on(agenda_items::id.eq(agenda_deliveries::item_id)))
            .filter(agenda_deliveries::session_id.eq_any(sessions))
            .filter(agenda_deliveries::group_id.eq_any(self.groups()))
            .select((
                agenda_deliveries::session_id,
                agenda_items::technique,
                agenda_deliveries::delivered,
                agenda_deliveries::minutes,
            ))
            .load(connection.with(self.permit))?;
        let delivery = |(session, technique, delivered, minutes)| Delivery { session, technique, delivered, minutes };
        Ok(rows.into_iter().map(delivery).collect())
    }
}

impl From<&Measure> for Taken {
    fn from(kept: &Measure) -> Taken {
        let subscales: &Json = &kept.subscales;
        Taken {
            id: kept.id,
            group: kept.group_id,
            instrument: kept.instrument.clone(),
            version: kept.instrument_version.clone(),
            taken_at: kept.taken_at,
            score: kept.score,
            no_score: kept.no_score.as_ref().and_then(|why| serde_json::from_str(why).ok()),
            prorated: kept.prorated,
            subscales: subscales.value(),
        }
    }
}
