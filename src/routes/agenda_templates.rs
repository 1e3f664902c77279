//! Agenda templates of an organization, for sessions that follow the same agenda again and again.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Nothing, Paging, Reply},
    operation::Api,
    sessions::{AgendaItemDraft, judged_agenda},
};
use crate::{
    identity::Caller,
    policy::act,
    problem::Problem,
    store::{agenda_templates, connection::Db, permit::authorize_in_organization, sessions::Planned},
    values::{Few, Id, Minutes, Moment, Text, Title},
};

/// A template.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgendaTemplate {
    pub id: Id,
    pub title: String,
    /// In the order of the agenda.
    pub items: Vec<AgendaItemDraft>,
    pub created_at: Moment,
}

/// A new template, or the whole of a changed one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgendaTemplateDraft {
    pub title: Title,
    /// In the order of the agenda.
    pub items: Few<AgendaItemDraft, 40>,
}

impl AgendaTemplate {
    fn of(kept: agenda_templates::AgendaTemplate) -> Result<AgendaTemplate, Problem> {
        let items: Result<Vec<AgendaItemDraft>, String> = kept.items.iter().map(draft).collect();
        let items = items.map_err(|_| Problem::Internal("a kept agenda template is out of bounds".into()))?;
        Ok(AgendaTemplate { id: kept.id, title: kept.title, items, created_at: kept.created_at })
    }
}

pub fn register(api: &mut Api) {
    let example = || {
        json!({
            "title": "Behavioural activation, week 3",
            "items": [
                {"technique": "opening-check-in", "factors": ["group-cohesiveness"], "planned_minutes": 15},
                {"technique": "behavioural-activation", "objective": "Plan two activities for the week",
                 "factors": ["hope"], "planned_minutes": 45, "homework": "Keep the activity log"}
            ]
        })
    };
    api.heading("Agenda templates");
    api.post::<act::WriteTemplate, _, _>(
        "/organizations/{organization}/agenda-templates",
        "Write a template",
        write_template,
    )
    .takes::<AgendaTemplateDraft>(example())
    .creates::<AgendaTemplate>();
    api.get::<act::ReadTemplates, _, _>(
        "/organizations/{organization}/agenda-templates",
        "List templates",
        read_templates,
    )
    .lists::<AgendaTemplate>();
    api.get::<act::ReadTemplates, _, _>(
        "/organizations/{organization}/agenda-templates/{template}",
        "Read a template",
        read_template,
    )
    .gives::<AgendaTemplate>();
    api.put::<act::WriteTemplate, _, _>(
        "/organizations/{organization}/agenda-templates/{template}",
        "Change a template",
        change_template,
    )
    .takes::<AgendaTemplateDraft>(example())
    .gives::<AgendaTemplate>()
    .changes();
    api.delete::<act::WriteTemplate, _, _>(
        "/organizations/{organization}/agenda-templates/{template}",
        "Remove a template",
        remove_template,
    )
    .changes();
}

async fn write_template(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<AgendaTemplateDraft>) -> Answer {
    let organization = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::WriteTemplate>(connection, &caller, organization)?;
        command.once(connection, &permit, |connection, request| {
            let items = judged_agenda(&request.items.0, "/items")?;
            let kept = agenda_templates::insert(connection, &permit, request.title.as_str(), &items)?;
            let (location, version) =
                (format!("/organizations/{organization}/agenda-templates/{}", kept.id), kept.version);
            Ok(Reply::created(location, &AgendaTemplate::of(kept)?)?.version(version))
        })
    })
    .await
}

async fn read_templates(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let organization = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadTemplates>(connection, &caller, organization)?;
        let limit = paging.limit();
        let rows = agenda_templates::list(connection, &permit, paging.position()?, limit + 1)?;
        let shown: Vec<AgendaTemplate> = rows.into_iter().map(AgendaTemplate::of).collect::<Result<_, Problem>>()?;
        Reply::page(shown, &paging, |template| template.id)
    })
    .await
}

async fn read_template(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (organization, template) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadTemplates>(connection, &caller, organization)?;
        show(agenda_templates::find(connection, &permit, template)?)
    })
    .await
}

async fn change_template(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<AgendaTemplateDraft>,
) -> Answer {
    let (organization, template) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::WriteTemplate>(connection, &caller, organization)?;
        let kept = agenda_templates::find(connection, &permit, template)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        let items = judged_agenda(&request.items.0, "/items")?;
        agenda_templates::update(connection, &permit, kept.id, request.title.as_str(), &items, kept.version)?;
        show(agenda_templates::find(connection, &permit, template)?)
    })
    .await
}

async fn remove_template(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<Nothing>) -> Answer {
    let (organization, template) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::WriteTemplate>(connection, &caller, organization)?;
        let kept = agenda_templates::find(connection, &permit, template)?;
        command.expects(kept.version)?;
        agenda_templates::remove(connection, &permit, kept.id, kept.version)?;
        Reply::done()
    })
    .await
}

fn show(kept: agenda_templates::AgendaTemplate) -> Answer {
    let version = kept.version;
    Ok(Reply::ok(&AgendaTemplate::of(kept)?)?.version(version))
}

/// A kept item as it was written.
fn draft(item: &Planned) -> Result<AgendaItemDraft, String> {
    Ok(AgendaItemDraft {
        technique: Text::new(&item.technique)?,
        objective: item.objective.as_deref().map(Text::new).transpose()?,
        factors: Few(item.factors.iter().map(|factor| Text::new(factor)).collect::<Result<_, String>>()?),
        planned_minutes: Minutes::new(item.planned_minutes)?,
        homework: item.homework.as_deref().map(Text::new).transpose()?,
    })
}
