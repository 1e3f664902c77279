//! Sessions, their agenda, and what was delivered of it.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    breaches,
    columns::{Json, Sealed, word_columns},
    connection::{Connection, insert_many, load},
    permit::{Permit, concerns},
    schema::{agenda_deliveries, agenda_items, sessions},
    sealing::Place,
    standings, topics,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::{
        groups::Format,
        sessions::{Delivered, Recording, State},
    },
    values::{Id, Moment},
};

const CANCELLED_REASON: &str = "sessions.cancelled_reason";
const OBJECTIVE: &str = "agenda_items.objective";
const HOMEWORK: &str = "agenda_items.homework";

word_columns!(State, Recording, Delivered);

/// A session, without its agenda and without anything about its members.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Session {
    pub id: Id,
    pub state: State,
    pub title: Option<String>,
    pub modality: Format,
    pub starts_local: String,
    pub zone: String,
    pub minutes: i32,
    pub starts_at: Moment,
    pub held_from: Option<Moment>,
    pub held_until: Option<Moment>,
    pub led_by: Option<Id>,
    pub recording: Recording,
    pub recorded_by: Option<Id>,
    pub recorded_at: Option<Moment>,
    pub version: i32,
    cancelled_reason: Option<Sealed>,
}

/// When and how a session is planned.
#[derive(Clone, Debug)]
pub struct Plan {
    pub title: Option<String>,
    pub modality: Format,
    pub starts_local: String,
    pub zone: String,
    pub minutes: i32,
    pub starts_at: Moment,
}

/// One item of an agenda, as it is planned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    pub technique: String,
    pub objective: Option<String>,
    pub factors: Vec<String>,
    pub planned_minutes: i32,
    pub homework: Option<String>,
}

/// One item of an agenda, with what became of it.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: Id,
    pub planned: Planned,
    pub delivered: Option<Delivered>,
    pub delivered_minutes: Option<i32>,
}

/// What was delivered of an item, in minutes.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub item: Id,
    pub delivered: Delivered,
    pub minutes: i32,
}

pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::PlanSession>,
    plan: Plan,
    agenda: &[Planned],
) -> Result<Session, Problem> {
    let id = Id::in_order();
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(id),
            sessions::group_id.eq(permit.group()),
            sessions::state.eq(State::Scheduled),
            sessions::title.eq(&plan.title),
            sessions::modality.eq(plan.modality),
            sessions::starts_local.eq(&plan.starts_local),
            sessions::zone.eq(&plan.zone),
            sessions::minutes.eq(plan.minutes),
            sessions::starts_at.eq(plan.starts_at),
            sessions::recording.eq(Recording::None),
            sessions::created_by.eq(permit.account()),
            sessions::created_at.eq(connection.now),
            sessions::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    insert_items(connection, permit, id, agenda)?;
    concerns(connection, permit, None, Some(id));
    Ok(Session {
        id,
        state: State::Scheduled,
        title: plan.title,
        modality: plan.modality,
        starts_local: plan.starts_local,
        zone: plan.zone,
        minutes: plan.minutes,
        starts_at: plan.starts_at,
        held_from: None,
        held_until: None,
        led_by: None,
        recording: Recording::None,
        recorded_by: None,
        recorded_at: None,
        version: 1,
        cancelled_reason: None,
    })
}

fn insert_items<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
    agenda: &[Planned],
) -> Result<(), Problem> {
    if agenda.is_empty() {
        return Ok(());
    }
    let group = permit.group();
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    let rows: Vec<_> = agenda
        .iter()
        .enumerate()
        .map(|(position, item)| {
            let id = Id::in_order();
            (
                agenda_items::id.eq(id),
                agenda_items::group_id.eq(group),
                agenda_items::session_id.eq(session),
                agenda_items::position.eq(position as i32 + 1),
                agenda_items::technique.eq(item.technique.clone()),
                agenda_items::objective.eq(item.objective.as_ref().map(|text| key.seal(Place(OBJECTIVE, id), text))),
                agenda_items::factors.eq(Json::of(&item.factors)),
                agenda_items::planned_minutes.eq(item.planned_minutes),
                agenda_items::homework.eq(item.homework.as_ref().map(|text| key.seal(Place(HOMEWORK, id), text))),
            )
        })
        .collect();
    insert_many!(connection.with(permit), agenda_items::table, &rows)?;
    Ok(())
}

/// The group's sessions from `from` (included) until `until`, in order of time, after a position.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadSessions>,
    from: Option<Moment>,
    until: Option<Moment>,
    after: Option<(Moment, Id)>,
    limit: i64,
) -> Result<Vec<Session>, Problem> {
    // The same text whatever is asked for: then it is written and prepared once. The first two conditions alone bound the
    // range in the index. Without a position every session is later than the first moment.
    let (at, id) = after.unwrap_or((Moment(i64::MIN), permit.group()));
    Ok(load!(
        connection.with(permit),
        sessions::table
            .filter(sessions::group_id.eq(permit.group()))
            .filter(sessions::starts_at.ge(from.map_or(at, |from| from.max(at))))
            .filter(sessions::starts_at.lt(until.unwrap_or(Moment(i64::MAX))))
            .filter(sessions::starts_at.gt(at).or(sessions::id.gt(id)))
            .order((sessions::starts_at, sessions::id))
            .limit(limit)
            .select(Session::as_select())
    )?)
}

pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Session, Problem> {
    permit.reaches_session(id)?;
    let session = sessions::table
        .filter(sessions::id.eq(id))
        .filter(sessions::group_id.eq(permit.group()))
        .select(Session::as_select())
        .first(connection.with(permit))?;
    concerns(connection, permit, None, Some(id));
    Ok(session)
}

/// The sessions of the group that were held, whatever became of their record: `(id, starts_at)`, oldest first.
pub fn list_held<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<Vec<(Id, Moment)>, Problem> {
    Ok(sessions::table
        .filter(sessions::group_id.eq(permit.group()))
        .filter(sessions::state.eq(State::Held))
        .order((sessions::starts_at, sessions::id))
        .select((sessions::id, sessions::starts_at))
        .load(connection.with(permit))?)
}

/// Why a session was called off.
pub fn open_reason<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: &Session,
) -> Result<Option<String>, Problem> {
    let Some(sealed) = &session.cancelled_reason else { return Ok(None) };
    let group = permit.group();
    connection.keys([group])?.of(group)?.open(Place(CANCELLED_REASON, session.id), sealed).map(Some)
}

/// A session's agenda in order, with what became of each item.
pub fn list_items<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<Vec<Item>, Problem> {
    type Row = (Id, String, Option<Sealed>, Json, i32, Option<Sealed>, Option<(Delivered, i32)>);
    let group = permit.group();
    let rows: Vec<Row> = agenda_items::table
        .left_join(
            agenda_deliveries::table
                .on(agenda_deliveries::item_id.eq(agenda_items::id).and(agenda_deliveries::group_id.eq(group))),
        )
        .filter(agenda_items::session_id.eq(session))
        .filter(agenda_items::group_id.eq(group))
        .order(agenda_items::position)
        .select((
            agenda_items::id,
            agenda_items::technique,
            agenda_items::objective,
            agenda_items::factors,
            agenda_items::planned_minutes,
            agenda_items::homework,
            (agenda_deliveries::delivered, agenda_deliveries::minutes).nullable(),
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    rows.into_iter()
        .map(|(id, technique, objective, factors, planned_minutes, homework, delivery)| {
            let open =
                |place, sealed: Option<Sealed>| sealed.map(|sealed| key.open(Place(place, id), &sealed)).transpose();
            Ok(Item {
                id,
                planned: Planned {
                    technique,
                    objective: open(OBJECTIVE, objective)?,
                    factors: factors.value(),
                    planned_minutes,
                    homework: open(HOMEWORK, homework)?,
                },
                delivered: delivery.map(|(delivered, _)| delivered),
                delivered_minutes: delivery.map(|(_, minutes)| minutes),
            })
        })
        .collect()
}

/// Notes what was delivered of these items of a session: what is new is added, the rest corrected.
pub fn update_deliveries(
    connection: &mut Connection,
    permit: &Permit<act::RecordSession>,
    session: Id,
    items: &mut [Item],
    deliveries: &[Delivery],
) -> Result<(), Problem> {
    let mut new = Vec::new();
    for delivery in deliveries {
        let Some(item) = items.iter_mut().find(|item| item.id == delivery.item) else {
            return Err(Problem::NotFound);
        };
        let said = (Some(delivery.delivered), Some(delivery.minutes));
        let kept = (item.delivered, item.delivered_minutes);
        (item.delivered, item.delivered_minutes) = said;
        if kept.0.is_none() {
            new.push((
                agenda_deliveries::item_id.eq(delivery.item),
                agenda_deliveries::group_id.eq(permit.group()),
                agenda_deliveries::session_id.eq(session),
                agenda_deliveries::delivered.eq(delivery.delivered),
                agenda_deliveries::minutes.eq(delivery.minutes),
            ));
        } else if kept != said {
            diesel::update(
                agenda_deliveries::table
                    .filter(agenda_deliveries::item_id.eq(delivery.item))
                    .filter(agenda_deliveries::group_id.eq(permit.group())),
            )
            .set((agenda_deliveries::delivered.eq(delivery.delivered), agenda_deliveries::minutes.eq(delivery.minutes)))
            .execute(connection.with(permit))?;
        }
    }
    insert_many!(connection.with(permit), agenda_deliveries::table, &new)?;
    Ok(())
}

/// Replaces the plan of a session that was not recorded yet.
pub fn replace_items(
    connection: &mut Connection,
    permit: &Permit<act::WriteAgenda>,
    session: &Session,
    agenda: &[Planned],
) -> Result<(), Problem> {
    update_version(connection, permit, session)?;
    diesel::delete(
        agenda_items::table
            .filter(agenda_items::session_id.eq(session.id))
            .filter(agenda_items::group_id.eq(permit.group())),
    )
    .execute(connection.with(permit))?;
    insert_items(connection, permit, session.id, agenda)
}

/// Claims the next version of a session: of two who read the same one, the second is refused.
fn update_version<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: &Session,
) -> Result<(), Problem> {
    let changed = diesel::update(
        sessions::table
            .filter(sessions::id.eq(session.id))
            .filter(sessions::group_id.eq(permit.group()))
            .filter(sessions::version.eq(session.version)),
    )
    .set(sessions::version.eq(session.version + 1))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

pub fn update_plan(
    connection: &mut Connection,
    permit: &Permit<act::ChangeSession>,
    session: &Session,
    plan: &Plan,
) -> Result<(), Problem> {
    update_version(connection, permit, session)?;
    diesel::update(sessions::table.filter(sessions::id.eq(session.id)).filter(sessions::group_id.eq(permit.group())))
        .set((
            sessions::title.eq(&plan.title),
            sessions::modality.eq(plan.modality),
            sessions::starts_local.eq(&plan.starts_local),
            sessions::zone.eq(&plan.zone),
            sessions::minutes.eq(plan.minutes),
            sessions::starts_at.eq(plan.starts_at),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

pub fn cancel(
    connection: &mut Connection,
    permit: &Permit<act::CancelSession>,
    session: &Session,
    reason: &str,
) -> Result<(), Problem> {
    update_version(connection, permit, session)?;
    let group = permit.group();
    let sealed = connection.keys([group])?.of(group)?.seal(Place(CANCELLED_REASON, session.id), reason);
    diesel::update(sessions::table.filter(sessions::id.eq(session.id)).filter(sessions::group_id.eq(group)))
        .set((sessions::state.eq(State::Cancelled), sessions::cancelled_reason.eq(sealed)))
        .execute(connection.with(permit))?;
    standings::end_of_session(connection, permit, session.id)?;
    breaches::end_with_session(connection, permit, session.id, connection.now)?;
    topics::follow_session(connection, permit, session.id, State::Cancelled)
}

/// When a session was held, by whom it was led, and how far its record has come.
pub struct Holding {
    pub held_from: Moment,
    pub held_until: Option<Moment>,
    pub led_by: Id,
    pub recording: Recording,
}

/// Marks a session as held, with whatever is known of it so far, and gives it as it is now.
pub fn update_holding<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: &Session,
    holding: &Holding,
) -> Result<Session, Problem> {
    let is_recorded = holding.recording != Recording::None;
    let held = Session {
        state: State::Held,
        held_from: Some(holding.held_from),
        held_until: holding.held_until,
        led_by: Some(holding.led_by),
        recording: holding.recording,
        recorded_by: is_recorded.then_some(permit.account()),
        recorded_at: is_recorded.then_some(connection.now),
        version: session.version + 1,
        ..session.clone()
    };
    let changed = diesel::update(
        sessions::table
            .filter(sessions::id.eq(session.id))
            .filter(sessions::group_id.eq(permit.group()))
            .filter(sessions::version.eq(session.version)),
    )
    .set((
        sessions::state.eq(held.state),
        sessions::held_from.eq(held.held_from),
        sessions::held_until.eq(held.held_until),
        sessions::led_by.eq(held.led_by),
        sessions::recording.eq(held.recording),
        sessions::recorded_by.eq(held.recorded_by),
        sessions::recorded_at.eq(held.recorded_at),
        sessions::version.eq(held.version),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    topics::follow_session(connection, permit, session.id, held.state)?;
    Ok(held)
}
