//! Agenda templates: agendas that an organization's therapists plan sessions with again and again.

use diesel::prelude::*;

use super::{
    columns::Json,
    connection::Connection,
    permit::{Permit, concerns},
    schema::agenda_templates,
    sessions::Planned,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    values::{Id, Moment},
};

/// A template of the organization.
#[derive(Clone, Debug)]
pub struct AgendaTemplate {
    pub id: Id,
    pub title: String,
    /// In the order of the agenda.
    pub items: Vec<Planned>,
    pub created_at: Moment,
    pub version: i32,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = agenda_templates)]
struct Row {
    id: Id,
    title: String,
    items: Json,
    created_at: Moment,
    version: i32,
}

impl From<Row> for AgendaTemplate {
    fn from(row: Row) -> AgendaTemplate {
        AgendaTemplate {
            id: row.id,
            title: row.title,
            items: row.items.value(),
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// Keeps a new template.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::WriteTemplate>,
    title: &str,
    items: &[Planned],
) -> Result<AgendaTemplate, Problem> {
    let id = Id::in_order();
    diesel::insert_into(agenda_templates::table)
        .values((
            agenda_templates::id.eq(id),
            agenda_templates::organization_id.eq(permit.organization()),
            agenda_templates::title.eq(title),
            agenda_templates::items.eq(Json::of(&items)),
            agenda_templates::created_by.eq(permit.account()),
            agenda_templates::created_at.eq(connection.now),
            agenda_templates::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    find(connection, permit, id)
}

/// A template of the organization.
pub fn find<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
) -> Result<AgendaTemplate, Problem> {
    concerns(connection, permit, None, Some(id));
    let row: Row = agenda_templates::table
        .filter(agenda_templates::id.eq(id))
        .filter(agenda_templates::organization_id.eq(permit.organization()))
        .select(Row::as_select())
        .first(connection.with(permit))?;
    Ok(row.into())
}

/// The organization's templates in the order in which they were made, after `after`.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadTemplates>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<AgendaTemplate>, Problem> {
    let mut query = agenda_templates::table
        .filter(agenda_templates::organization_id.eq(permit.organization()))
        .order(agenda_templates::id)
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(agenda_templates::id.gt(after));
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    Ok(rows.into_iter().map(AgendaTemplate::from).collect())
}

/// Changes a template from `version` to the next. Agendas that were planned with it stay as they are.
///
/// # Errors
/// `Stale` when somebody else changed or removed it first.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::WriteTemplate>,
    id: Id,
    title: &str,
    items: &[Planned],
    version: i32,
) -> Result<(), Problem> {
    let changed = diesel::update(
        agenda_templates::table
            .filter(agenda_templates::id.eq(id))
            .filter(agenda_templates::organization_id.eq(permit.organization()))
            .filter(agenda_templates::version.eq(version)),
    )
    .set((
        agenda_templates::title.eq(title),
        agenda_templates::items.eq(Json::of(&items)),
        agenda_templates::version.eq(version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Removes a template at `version`. Agendas that were planned with it stay as they are.
///
/// # Errors
/// `Stale` when somebody else changed or removed it first.
pub fn remove(
    connection: &mut Connection,
    permit: &Permit<act::WriteTemplate>,
    id: Id,
    version: i32,
) -> Result<(), Problem> {
    let removed = diesel::delete(
        agenda_templates::table
            .filter(agenda_templates::id.eq(id))
            .filter(agenda_templates::organization_id.eq(permit.organization()))
            .filter(agenda_templates::version.eq(version)),
    )
    .execute(connection.with(permit))?;
    if removed == 0 { Err(Problem::Stale) } else { Ok(()) }
}
