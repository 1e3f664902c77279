//! Sessions: planned with an agenda, moved, cancelled, held, and recorded in one request.

use std::collections::{BTreeSet, HashMap};

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    attendances::{AttendanceSummary, Attended},
    command::{Answer, Command, Paging, Query, Reply},
    groups::is_any_licensed,
    measures::{Administered, MeasureSummary},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Kind, Standing, act, area},
    problem::Problem,
    rules::{
        attendance::{self, Held},
        groups::{Format, State as GroupState, check_zone},
        notes::check_draft,
        sessions::{
            Delivered, Recording, State, check_delivery, check_holding, check_item, check_move, check_plannable,
            instant,
        },
    },
    store::{
        agenda_templates,
        attendances::{self, Said},
        breaches,
        connection::{Connection, Db},
        groups, measures, members,
        permit::{Permit, also, authorize, authorize_in_organization, authorize_in_session},
        session_records,
        sessions::{self, Delivery, Holding, Plan, Planned},
        standings,
    },
    values::{Few, Id, Minutes, Moment, Prose, Sentence, Text, Title, Whole},
};

/// One item of an agenda, as it is planned.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgendaItemDraft {
    /// Of the vocabulary: `GET /v1/techniques`.
    pub technique: Text<1, 60>,
    pub objective: Option<Sentence>,
    /// Therapeutic factors, of the vocabulary.
    #[serde(default)]
    pub factors: Few<Text<1, 60>, 12>,
    pub planned_minutes: Minutes,
    pub homework: Option<Sentence>,
}

/// One item of an agenda, with what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgendaItem {
    pub id: Id,
    pub technique: String,
    pub objective: Option<String>,
    pub factors: Vec<String>,
    pub planned_minutes: i32,
    pub homework: Option<String>,
    pub delivered: Option<Delivered>,
    pub delivered_minutes: Option<i32>,
}

/// A session, as a list shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionSummary {
    pub id: Id,
    pub state: State,
    pub title: Option<String>,
    pub modality: Format,
    /// Wall time in `zone`: what was agreed, and stays when clocks change.
    #[schema(example = "2026-03-31T18:30")]
    pub starts_local: String,
    pub zone: String,
    pub minutes: i32,
    /// The instant that follows from the wall time.
    pub starts_at: Moment,
    pub held_from: Option<Moment>,
    pub held_until: Option<Moment>,
    pub recording: Recording,
}

/// A session with its agenda.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    #[serde(flatten)]
    pub session: SessionSummary,
    pub agenda: Vec<AgendaItem>,
    /// Only leads read why a session was cancelled.
    pub cancelled_reason: Option<String>,
}

/// When and how a session shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionPlan {
    pub title: Option<Title>,
    /// Wall time, such as `2026-03-31T18:30`. A time that a clock change skips is read with the offset before it.
    #[schema(example = "2026-03-31T18:30")]
    pub starts_local: Text<1, 40>,
    /// IANA; the group's when not said.
    pub zone: Option<Text<2, 60>>,
    pub minutes: Minutes,
    /// The group's format when not said.
    pub modality: Option<Format>,
}

/// A new session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanSession {
    pub title: Option<Title>,
    /// As in a [`SessionPlan`].
    #[schema(example = "2026-03-31T18:30")]
    pub starts_local: Text<1, 40>,
    pub zone: Option<Text<2, 60>>,
    pub minutes: Minutes,
    pub modality: Option<Format>,
    /// In order. Therapist-led groups only.
    #[serde(default)]
    pub agenda: Few<AgendaItemDraft, 40>,
    /// An agenda template of the organization, in place of `agenda`.
    pub template: Option<Id>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelSession {
    pub reason: Sentence,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldSession {
    /// When it really began; its planned start when not said.
    pub held_from: Option<Moment>,
    pub held_until: Option<Moment>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteAgenda {
    pub agenda: Few<AgendaItemDraft, 40>,
}

/// What was delivered of one agenda item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveredItem {
    pub item: Id,
    pub delivered: Delivered,
    /// Needed unless skipped.
    pub minutes: Option<Whole<0, 1440>>,
}

/// What happened in a session: all of it, or as much as is known so far. All or nothing is kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSession {
    pub held_from: Moment,
    pub held_until: Moment,
    #[serde(default)]
    pub items: Few<DeliveredItem, 40>,
    /// Of members expected at that session, whatever they are today.
    #[serde(default)]
    pub attendance: Few<Attended, 200>,
    #[serde(default)]
    pub measures: Few<Administered, 400>,
    /// The session record: shared among the leads, names no member. Kept as a draft until it is signed.
    pub session_record: Option<Prose>,
    /// Whether this is all. Refused while an expected member or an agenda item is unaccounted for.
    #[serde(default)]
    pub complete: bool,
}

/// A recorded session.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordedSession {
    #[serde(flatten)]
    pub session: Session,
    pub attendance: Vec<AttendanceSummary>,
    /// Measures of this session; those with a positive or declined risk item first.
    pub measures: Vec<MeasureSummary>,
}

/// Which sessions are listed: those that start in this range.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Range {
    /// The first moment that counts.
    from: Option<Moment>,
    /// The first moment that counts no more.
    until: Option<Moment>,
}

pub fn register(api: &mut Api) {
    api.heading("Sessions");
    let plan =
        json!({"title": "Session 4", "starts_local": "2026-12-01T18:30", "minutes": 90, "modality": "in_person"});
    let item = json!({
        "technique": "thought-record", "objective": "Catch one automatic thought and weigh the evidence",
        "factors": ["universality"], "planned_minutes": 30, "homework": "Fill in three thought records"
    });
    let mut planned = plan.clone();
    planned["agenda"] = json!([item]);
    api.post::<act::PlanSession, _, _>("/groups/{group}/sessions", "Plan a session", plan_session)
        .takes::<PlanSession>(planned)
        .creates::<Session>();
    api.get::<act::ReadSessions, _, _>("/groups/{group}/sessions", "List sessions by time", list_sessions)
        .asks::<Range>()
        .lists::<SessionSummary>();
    api.get::<act::ReadSessions, _, _>("/groups/{group}/sessions/{session}", "Read a session", read_session)
        .gives::<Session>();
    api.put::<act::ChangeSession, _, _>(
        "/groups/{group}/sessions/{session}",
        "Move or change a session",
        change_session,
    )
    .takes::<SessionPlan>(plan)
    .gives::<Session>()
    .changes();
    api.post::<act::CancelSession, _, _>(
        "/groups/{group}/sessions/{session}/cancellation",
        "Cancel a session",
        cancel_session,
    )
    .takes::<CancelSession>(json!({"reason": "The building is closed."}))
    .gives::<Session>()
    .changes()
    .makes_nothing();
    api.post::<act::HoldSession, _, _>(
        "/groups/{group}/sessions/{session}/holding",
        "Say that a session was held",
        hold_session,
    )
    .takes::<HoldSession>(json!({}))
    .gives::<Session>()
    .changes()
    .makes_nothing();
    api.put::<act::WriteAgenda, _, _>(
        "/groups/{group}/sessions/{session}/agenda",
        "Write the agenda anew",
        write_agenda,
    )
    .takes::<WriteAgenda>(json!({"agenda": [item]}))
    .gives::<Session>()
    .changes();
    api.put::<act::RecordSession, _, _>(
        "/groups/{group}/sessions/{session}/recording",
        "Record a session in one request",
        record_session,
    )
    .takes::<RecordSession>(json!({
        "held_from": "2026-11-17T00:30:00Z", "held_until": "2026-11-17T02:00:00Z",
        "session_record": "Introduced thought records; the group worked in pairs.", "complete": false
    }))
    .gives::<RecordedSession>()
    .changes()
    .can_be_sent_again();
}

fn summary(session: &sessions::Session) -> SessionSummary {
    SessionSummary {
        id: session.id,
        state: session.state,
        title: session.title.clone(),
        modality: session.modality,
        starts_local: session.starts_local.clone(),
        zone: session.zone.clone(),
        minutes: session.minutes,
        starts_at: session.starts_at,
        held_from: session.held_from,
        held_until: session.held_until,
        recording: session.recording,
    }
}

/// The session as the permit's standing may read it, with its version.
fn shown<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<(Session, i32), Problem> {
    let session = sessions::find(connection, permit, id)?;
    let items = sessions::list_items(connection, permit, id)?;
    let version = session.version;
    Ok((shown_with(connection, permit, &session, items)?, version))
}

fn shown_with<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: &sessions::Session,
    items: Vec<sessions::Item>,
) -> Result<Session, Problem> {
    let agenda = items
        .into_iter()
        .map(|item| AgendaItem {
            id: item.id,
            technique: item.planned.technique,
            objective: item.planned.objective,
            factors: item.planned.factors,
            planned_minutes: item.planned.planned_minutes,
            homework: item.planned.homework,
            delivered: item.delivered,
            delivered_minutes: item.delivered_minutes,
        })
        .collect();
    let reads_reason = permit.standing().is_some_and(Standing::is_term);
    let cancelled_reason = if reads_reason { sessions::open_reason(connection, permit, session)? } else { None };
    Ok(Session { session: summary(session), agenda, cancelled_reason })
}

fn answer<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Answer {
    let (session, version) = shown(connection, permit, id)?;
    Ok(Reply::ok(&session)?.version(version))
}

/// Judges a plan and works out its instant.
fn judged<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, plan: SessionPlan) -> Result<Plan, Problem> {
    let zone = plan.zone.as_ref().map_or(permit.zone(), |zone| zone.as_str()).to_owned();
    check_zone(&zone, "/zone")?;
    let starts_at = instant(plan.starts_local.as_str(), &zone)?;
    let modality = match plan.modality {
        Some(modality) => modality,
        None => groups::find(connection, permit)?.settings.format,
    };
    Ok(Plan {
        title: plan.title.map(Text::into_string),
        modality,
        starts_local: plan.starts_local.into_string(),
        zone,
        minutes: plan.minutes.get(),
        starts_at,
    })
}

/// Judges an agenda. `pointer` is that of its list.
pub(super) fn judged_agenda(items: &[AgendaItemDraft], pointer: &str) -> Result<Vec<Planned>, Problem> {
    items
        .iter()
        .enumerate()
        .map(|(position, item)| {
            let factors: Vec<&str> = item.factors.0.iter().map(|factor| factor.as_str()).collect();
            check_item(position, item.technique.as_str(), &factors, pointer)?;
            Ok(Planned {
                technique: item.technique.to_string(),
                objective: item.objective.as_ref().map(ToString::to_string),
                factors: factors.into_iter().map(str::to_owned).collect(),
                planned_minutes: item.planned_minutes.get(),
                homework: item.homework.as_ref().map(ToString::to_string),
            })
        })
        .collect()
}

async fn plan_session(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<PlanSession>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::PlanSession>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            if groups::find_state(connection, &permit)? == GroupState::Closed {
                return Err(Problem::Conflict("The group is closed.".into()));
            }
            if permit.kind() == Kind::PeerLed && (!request.agenda.0.is_empty() || request.template.is_some()) {
                return Err(Problem::field("/agenda", "a peer-led group has no planned agenda"));
            }
            let agenda = match request.template {
                Some(_) if !request.agenda.0.is_empty() => {
                    return Err(Problem::field("/template", "give either an agenda or a template"));
                }
                Some(template) => {
                    let organization = permit.organization_of_group();
                    let templates = authorize_in_organization::<act::ReadTemplates>(connection, &caller, organization)?;
                    agenda_templates::find(connection, &templates, template)
                        .map_err(|_| Problem::field("/template", "is no agenda template of this organization"))?
                        .items
                }
                None => judged_agenda(&request.agenda.0, "/agenda")?,
            };
            let plan = SessionPlan {
                title: request.title,
                starts_local: request.starts_local,
                zone: request.zone,
                minutes: request.minutes,
                modality: request.modality,
            };
            let plan = judged(connection, &permit, plan)?;
            let session = sessions::insert(connection, &permit, plan, &agenda)?;
            let (session, version) = shown(connection, &permit, session.id)?;
            Ok(Reply::created(format!("/groups/{group}/sessions/{}", session.session.id), &session)?.version(version))
        })
    })
    .await
}

async fn list_sessions(db: Data<Db>, caller: Caller, path: Path<Id>, range: Query<Range>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadSessions>(connection, &caller, group)?;
        let rows = sessions::list(connection, &permit, range.from, range.until, after, limit + 1)?;
        Reply::page(rows.iter().map(summary).collect(), &paging, |session| (session.starts_at, session.id))
    })
    .await
}

async fn read_session(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_session::<act::ReadSessions>(connection, &caller, group, id)?;
        answer(connection, &permit, id)
    })
    .await
}

async fn change_session(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<SessionPlan>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::ChangeSession>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        command.expects(session.version)?;
        check_plannable(session.state)?;
        let plan = judged(connection, &permit, command.body()?)?;
        if permit.kind() == Kind::PeerLed {
            check_move(session.starts_at, plan.starts_at, connection.now)?;
        }
        sessions::update_plan(connection, &permit, &session, &plan)?;
        let until_at = plan.starts_at.plus_minutes(i64::from(plan.minutes));
        standings::follow_session(connection, &permit, id, plan.starts_at, until_at)?;
        breaches::follow_session(connection, &permit, id, until_at)?;
        answer(connection, &permit, id)
    })
    .await
}

async fn cancel_session(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<CancelSession>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::CancelSession>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        command.expects(session.version)?;
        check_plannable(session.state)?;
        let request = command.body()?;
        sessions::cancel(connection, &permit, &session, request.reason.as_str())?;
        answer(connection, &permit, id)
    })
    .await
}

async fn hold_session(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<HoldSession>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::HoldSession>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        command.expects(session.version)?;
        let request = command.body()?;
        let held_from = request.held_from.unwrap_or(session.starts_at);
        check_holding(session.state, held_from, request.held_until, connection.now)?;
        check_licence(connection, &permit, held_from)?;
        let holding = Holding {
            held_from,
            held_until: request.held_until.or(session.held_until),
            led_by: session.led_by.unwrap_or(caller.account),
            recording: session.recording,
        };
        sessions::update_holding(connection, &permit, &session, &holding)?;
        answer(connection, &permit, id)
    })
    .await
}

async fn write_agenda(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<WriteAgenda>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WriteAgenda>(connection, &caller, group)?;
        let session = sessions::find(connection, &permit, id)?;
        command.expects(session.version)?;
        check_plannable(session.state)?;
        let agenda = judged_agenda(&command.body()?.agenda.0, "/agenda")?;
        sessions::replace_items(connection, &permit, &session, &agenda)?;
        answer(connection, &permit, id)
    })
    .await
}

/// A therapist-led session is held and recorded under a licence that is valid on its day, in the group's zone: the
/// lead's own, or that of one of the leads where a trainee writes.
fn check_licence<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    held_from: Moment,
) -> Result<(), Problem> {
    let day = held_from.day_in(permit.zone());
    let accountable = match permit.standing() {
        Some(Standing::Trainee) => standings::live_leads(connection, permit)?,
        _ => vec![permit.account()],
    };
    if is_any_licensed(connection, permit, &accountable, day)? {
        return Ok(());
    }
    Err(Problem::Conflict(format!("No verified licence of yours is valid on {day}.")))
}

async fn record_session(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<RecordSession>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::RecordSession>(connection, &caller, group)?;
        let session = sessions::find(connection, &permit, id)?;
        let precondition = command.expects(session.version);
        command.once(connection, &permit, |connection, request| {
            // After the look for a kept answer: whoever sends the same again gets it, and no 412.
            precondition?;
            let recorded = record(connection, &permit, &session, request)?;
            let answer = RecordedSession {
                session: shown_with(connection, &permit, &recorded.session, recorded.items)?,
                attendance: recorded.attendances.into_iter().map(Into::into).collect(),
                measures: recorded.measures.into_iter().map(Into::into).collect(),
            };
            Ok(Reply::ok(&answer)?.version(recorded.session.version))
        })
    })
    .await
}

/// All that is kept of a session once it is recorded. It is told from what was read and written on the way: nothing of it is
/// read a second time.
struct Recorded {
    session: sessions::Session,
    items: Vec<sessions::Item>,
    attendances: Vec<attendances::Attendance>,
    measures: Vec<measures::Measure>,
}

fn record(
    connection: &mut Connection,
    permit: &Permit<act::RecordSession>,
    session: &sessions::Session,
    request: RecordSession,
) -> Result<Recorded, Problem> {
    let held = Held { from: request.held_from, until: request.held_until };
    check_holding(session.state, held.from, Some(held.until), connection.now)?;
    check_licence(connection, permit, held.from)?;
    // First of all writes: of two who record from one version, the second waits here and is told to read again.
    let is_complete = request.complete || session.recording == Recording::Complete;
    let holding = Holding {
        held_from: held.from,
        held_until: Some(held.until),
        led_by: session.led_by.unwrap_or(permit.account()),
        recording: if is_complete { Recording::Complete } else { Recording::Partial },
    };
    let recorded = sessions::update_holding(connection, permit, session, &holding)?;
    let roster = members::list_roster(connection, permit, session.starts_at)?;
    let attendances = record_attendance(connection, permit, session, held, &roster, &request.attendance.0)?;
    let items = record_items(connection, permit, session, &request.items.0)?;
    let measures = record_measures(connection, permit, session, held, request.measures.0)?;
    if let Some(text) = &request.session_record {
        let writing = also::<_, act::WriteSessionRecord>(connection, permit)?;
        match session_records::find(connection, &writing, session.id)? {
            Some(kept) if kept.text == text.as_str() => {}
            Some(kept) => {
                check_draft(kept.state)?;
                session_records::update(connection, &writing, kept, text.as_str())?;
            }
            None => {
                session_records::insert(connection, &writing, session.id, text.as_str())?;
            }
        }
    }
    let mut missing = Vec::new();
    if request.complete {
        let is_unrecorded = |member: &&Id| !attendances.iter().any(|kept| kept.member_id == **member);
        let unrecorded = roster.iter().filter(is_unrecorded);
        let undelivered = items.iter().filter(|item| item.delivered.is_none());
        missing.extend(unrecorded.map(|member| ("/attendance".to_owned(), format!("{member} is missing"))));
        missing.extend(undelivered.map(|item| ("/items".to_owned(), format!("{} is missing", item.id))));
    }
    if !missing.is_empty() {
        return Err(crate::rules::Refusal::Fields(missing).into());
    }
    Ok(Recorded { session: recorded, items, attendances, measures })
}

/// Keeps what is new or different, and gives the session's attendance by member.
fn record_attendance(
    connection: &mut Connection,
    permit: &Permit<act::RecordSession>,
    session: &sessions::Session,
    held: Held,
    roster: &[Id],
    entries: &[Attended],
) -> Result<Vec<attendances::Attendance>, Problem> {
    let mut kept: HashMap<Id, attendances::Attendance> = attendances::list(connection, permit, session.id)?
        .into_iter()
        .map(|attendance| (attendance.member_id, attendance))
        .collect();
    let mut named = BTreeSet::new();
    let mut new = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let pointer = format!("/attendance/{index}");
        if !named.insert(entry.member) {
            return Err(Problem::field(&format!("{pointer}/member"), "is named twice"));
        }
        if !roster.contains(&entry.member) && !kept.contains_key(&entry.member) {
            return Err(Problem::field(
                &format!("{pointer}/member"),
                "was not an active member when this session began",
            ));
        }
        let minutes = attendance::minutes(entry.status, entry.arrived_at, entry.left_at, held, &pointer)?;
        let said = Said {
            member: entry.member,
            status: entry.status,
            modality: entry.modality,
            arrived_at: entry.arrived_at,
            left_at: entry.left_at,
            minutes,
        };
        match kept.get(&entry.member) {
            Some(attendance) if attendance.says(&said) => {}
            Some(attendance) => {
                let corrected = attendances::update(connection, permit, attendance, &said, "Recorded again.")?;
                kept.insert(entry.member, corrected);
            }
            None => new.push(said),
        }
    }
    let made = attendances::insert(connection, permit, session.id, session.starts_at, &new)?;
    let mut attendances: Vec<_> = kept.into_values().chain(made).collect();
    attendances.sort_unstable_by_key(|attendance| attendance.member_id);
    Ok(attendances)
}

/// Keeps what was delivered, and gives the session's items.
fn record_items(
    connection: &mut Connection,
    permit: &Permit<act::RecordSession>,
    session: &sessions::Session,
    entries: &[DeliveredItem],
) -> Result<Vec<sessions::Item>, Problem> {
    let mut items = sessions::list_items(connection, permit, session.id)?;
    let mut deliveries: Vec<Delivery> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        if !items.iter().any(|item| item.id == entry.item) {
            return Err(Problem::field(&format!("/items/{index}/item"), "is not on this session's agenda"));
        }
        if deliveries.iter().any(|delivery| delivery.item == entry.item) {
            return Err(Problem::field(&format!("/items/{index}/item"), "is named twice"));
        }
        let minutes =
            check_delivery(entry.delivered, entry.minutes.map(Whole::get), &format!("/items/{index}/minutes"))?;
        deliveries.push(Delivery { item: entry.item, delivered: entry.delivered, minutes });
    }
    sessions::update_deliveries(connection, permit, session.id, &mut items, &deliveries)?;
    Ok(items)
}

/// Keeps the session's measures, and gives all that it has. The same one again changes nothing; another answer is a
/// correction, made elsewhere.
fn record_measures(
    connection: &mut Connection,
    permit: &Permit<act::RecordSession>,
    session: &sessions::Session,
    held: Held,
    entries: Vec<Administered>,
) -> Result<Vec<measures::Measure>, Problem> {
    let wanted = measures::Wanted { session: Some(session.id), ..Default::default() };
    let mut kept = measures::list(connection, permit, &wanted, None, 1_000)?;
    if entries.is_empty() {
        return Ok(kept);
    }
    let recording = also::<_, act::RecordMeasure>(connection, permit)?;
    let new =
        super::measures::keep(connection, &recording, Some((session.id, &kept)), held.from, entries, "/measures")?;
    kept.extend(new);
    measures::sort(&mut kept);
    Ok(kept)
}
