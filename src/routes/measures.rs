//! Measures: answered by members or entered for them, corrected in versions, due by the group's schedule.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    amendments::AmendmentMark,
    command::{Answer, Command, Paging, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Reach, Standing, act, area},
    problem::Problem,
    rules::{
        amendments::RecordKind,
        crisis_lines::{self, CrisisLine},
        instruments::{Answers, Registry},
        measures::{Respondent, administer, check_consent, check_taken_at, due_at},
        members::State,
    },
    store::{
        accounts, agreements,
        connection::{Connection, Db},
        measures::{self, Administration, Measure as Kept, NewMeasure, RiskMark, Wanted},
        members,
        permit::{Permit, authorize},
    },
    values::{Few, Id, Moment, Sentence, Text, Whole},
};

/// A measure without its answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeasureSummary {
    pub id: Id,
    pub group: Id,
    pub session: Option<Id>,
    pub member: Id,
    pub instrument: String,
    pub instrument_version: String,
    pub respondent: Respondent,
    pub taken_at: Moment,
    /// Points of the instrument; null with a reason below its rule for missing answers.
    pub score: Option<f64>,
    /// Why there is no score.
    #[schema(value_type = Option<Object>)]
    pub no_score: Option<Value>,
    pub prorated: bool,
    pub band: Option<String>,
    /// Points by subscale.
    pub subscales: HashMap<String, Option<f64>>,
    /// `positive` or `declined` when a risk item was answered above its threshold, or declined.
    pub risk: RiskMark,
    /// Listed first: risk was marked in this or an earlier version.
    pub flagged: bool,
    pub entered_in_error: bool,
    pub recorded_at: Moment,
    pub version: i32,
}

fn points(thousandths: i32) -> f64 {
    f64::from(thousandths) / 1000.0
}

impl From<Kept> for MeasureSummary {
    fn from(kept: Kept) -> Self {
        let subscales: HashMap<String, Option<i32>> = kept.subscales.value();
        MeasureSummary {
            id: kept.id,
            group: kept.group_id,
            session: kept.session_id,
            member: kept.member_id,
            instrument: kept.instrument,
            instrument_version: kept.instrument_version,
            respondent: kept.respondent,
            taken_at: kept.taken_at,
            score: kept.score.map(points),
            no_score: kept.no_score.and_then(|reason| serde_json::from_str(&reason).ok()),
            prorated: kept.prorated,
            band: kept.band,
            subscales: subscales.into_iter().map(|(name, score)| (name, score.map(points))).collect(),
            risk: kept.risk,
            flagged: kept.flagged,
            entered_in_error: kept.entered_in_error,
            recorded_at: kept.recorded_at,
            version: kept.version,
        }
    }
}

/// A measure with its answers by item; null is an item that was declined.
#[derive(Debug, Serialize, ToSchema)]
pub struct Measure {
    #[serde(flatten)]
    pub summary: MeasureSummary,
    #[schema(value_type = HashMap<String, Option<i32>>)]
    pub answers: Answers,
    /// What the member asked to have corrected in it, oldest first.
    pub amendments: Vec<AmendmentMark>,
    /// For whoever answered for themselves, where a risk item was positive or declined: somebody to talk to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crisis: Option<Crisis>,
}

/// Help for now, because nobody watches these answers in real time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Crisis {
    pub notice: String,
    pub lines: Vec<CrisisLine>,
}

/// An instrument's answers of one member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Administered {
    /// Oneself when not said, for a member.
    pub member: Option<Id>,
    #[schema(example = "phq-9")]
    pub instrument: Text<1, 40>,
    /// Who answered: `member` when not said.
    #[serde(default = "member")]
    #[schema(default = "member")]
    pub respondent: Respondent,
    /// When it was answered; the session's start, or now, when not said.
    pub taken_at: Option<Moment>,
    /// Values by item id; null for a declined item. Items left out are missing, and missing is never zero.
    #[schema(value_type = HashMap<String, Option<i32>>)]
    pub answers: Answers,
}

fn member() -> Respondent {
    Respondent::Member
}

/// A corrected administration, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectMeasure {
    pub respondent: Respondent,
    pub taken_at: Moment,
    #[schema(value_type = HashMap<String, Option<i32>>)]
    pub answers: Answers,
    pub reason: Sentence,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkError {
    pub reason: Sentence,
}

/// One version of a measure.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeasureVersion {
    pub version: i32,
    pub respondent: Respondent,
    pub taken_at: Moment,
    #[schema(value_type = HashMap<String, Option<i32>>)]
    pub answers: Answers,
    pub score: Option<f64>,
    pub risk: RiskMark,
    pub entered_in_error: bool,
    /// The account that recorded it.
    pub recorded_by: Id,
    pub recorded_at: Moment,
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MeasureVersions {
    pub items: Vec<MeasureVersion>,
}

/// Which instruments a group takes, and every how many days.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureSchedule {
    pub items: Few<ScheduledInstrument, 20>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduledInstrument {
    pub instrument: Text<1, 40>,
    pub every_days: Whole<1, 366>,
}

/// An instrument that a member is to answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct DueMeasure {
    pub member: Id,
    pub instrument: String,
    pub due_at: Moment,
    pub last_taken_at: Option<Moment>,
    pub overdue: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DueMeasures {
    /// What each active member with live consent answers next, soonest due first.
    pub items: Vec<DueMeasure>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct WhichMeasures {
    /// Only this member's.
    member: Option<Id>,
    /// Only this instrument.
    instrument: Option<Text<1, 40>>,
    /// Only those of this session.
    session: Option<Id>,
}

pub fn register(api: &mut Api) {
    let answers = json!({
        "phq-9.1": 1, "phq-9.2": 2, "phq-9.3": 1, "phq-9.4": 1, "phq-9.5": 0, "phq-9.6": 1, "phq-9.7": 1, "phq-9.8": 0, "phq-9.9": 0
    });
    api.heading("Measures");
    api.post::<act::RecordMeasure, _, _>("/groups/{group}/measures", "Answer an instrument", record_measure)
        .takes::<Administered>(json!({"instrument": "phq-9", "answers": answers}))
        .creates::<Measure>();
    api.get::<act::ReadMeasures, _, _>("/groups/{group}/measures", "List measures, risk first", list_measures)
        .asks::<WhichMeasures>()
        .lists::<MeasureSummary>();
    api.get::<act::ReadMeasures, _, _>(
        "/groups/{group}/measures/{measure}",
        "Read a measure with its answers",
        read_measure,
    )
    .gives::<Measure>();
    api.put::<act::CorrectMeasure, _, _>("/groups/{group}/measures/{measure}", "Correct a measure", correct_measure)
        .takes::<CorrectMeasure>(json!({
            "respondent": "member", "taken_at": "2026-11-17T00:30:00Z", "answers": answers, "reason": "Item 2 was misread."
        }))
        .gives::<Measure>()
        .changes();
    api.post::<act::CorrectMeasure, _, _>(
        "/groups/{group}/measures/{measure}/error-mark",
        "Mark a measure as entered in error",
        mark_measure_error,
    )
    .takes::<MarkError>(json!({"reason": "Entered for the wrong member."}))
    .gives::<Measure>()
    .changes()
    .makes_nothing();
    api.get::<act::ReadMeasures, _, _>(
        "/groups/{group}/measures/{measure}/versions",
        "Read every version of a measure",
        list_measure_versions,
    )
    .gives::<MeasureVersions>();
    api.get::<act::ReadMeasures, _, _>("/groups/{group}/due-measures", "See what is due", list_due_measures)
        .gives::<DueMeasures>();
    api.get::<act::ReadMeasureSchedule, _, _>(
        "/groups/{group}/measure-schedule",
        "Read the measure schedule",
        read_measure_schedule,
    )
    .gives::<MeasureSchedule>();
    api.put::<act::SetMeasureSchedule, _, _>(
        "/groups/{group}/measure-schedule",
        "Set the measure schedule",
        set_measure_schedule,
    )
    .takes::<MeasureSchedule>(json!({"items": [{"instrument": "phq-9", "every_days": 14}]}))
    .gives::<MeasureSchedule>();
}

/// Judges and keeps administrations: all of them, or none. Those of a session come with the measures that it has already.
pub(super) fn keep(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeasure>,
    session: Option<(Id, &[Kept])>,
    default_taken_at: Moment,
    entries: Vec<Administered>,
    pointer: &str,
) -> Result<Vec<Kept>, Problem> {
    let own = permit.only_member()?;
    let at = |index: usize, field: &str| {
        if pointer.is_empty() { field.to_owned() } else { format!("{pointer}/{index}{field}") }
    };
    let mut whose = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let Some(member) = entry.member.or(own) else {
            return Err(Problem::field(&at(index, "/member"), "is missing: whose answers are they"));
        };
        if permit.reaches_member(member).is_err() {
            return Err(Problem::field(&at(index, "/member"), "is no member of this group"));
        }
        whose.push(member);
    }
    let beginnings = members::list_beginnings(connection, permit, &whose)?;
    let consenting = agreements::list_consenting(connection, permit, &whose)?;
    let (session, kept) = session.map_or((None, &[][..]), |(session, kept)| (Some(session), kept));
    let mut new: Vec<NewMeasure> = Vec::with_capacity(entries.len());
    for (index, (entry, member)) in entries.into_iter().zip(whose).enumerate() {
        let Some(began_at) = beginnings.get(&member) else {
            return Err(Problem::field(&at(index, "/member"), "is no member of this group"));
        };
        check_consent(consenting.contains(&member), &at(index, "/member"))?;
        let Some(instrument) = Registry::built_in().current(entry.instrument.as_str()) else {
            return Err(Problem::field(&at(index, "/instrument"), "is not in the registry: GET /v1/instruments"));
        };
        if own.is_some() && entry.respondent != Respondent::Member {
            return Err(Problem::field(&at(index, "/respondent"), "members answer for themselves"));
        }
        let taken_at = entry.taken_at.unwrap_or(default_taken_at);
        check_taken_at(taken_at, *began_at, own.is_some(), connection.now, &at(index, ""))?;
        let outcome =
            administer(instrument, &entry.answers, entry.respondent, taken_at, connection.now, &at(index, ""))?;
        let same = kept.iter().find(|kept| kept.member_id == member && kept.instrument == instrument.id);
        if let Some(same) = same {
            let (_, answers) = measures::find(connection, permit, same.id)?;
            if answers == entry.answers {
                continue;
            }
            return Err(Problem::Conflict(format!(
                "{pointer}/{index}: this instrument is recorded for this member and session with other answers; correct measure {}.",
                same.id
            )));
        }
        if session.is_some() && new.iter().any(|new| new.member == member && new.instrument == instrument.id) {
            return Err(Problem::field(&at(index, "/instrument"), "is named twice for this member"));
        }
        new.push(NewMeasure {
            session,
            member,
            instrument: instrument.id.clone(),
            instrument_version: instrument.version.clone(),
            administration: Administration { respondent: entry.respondent, taken_at, answers: entry.answers, outcome },
        });
    }
    measures::insert(connection, permit, &new)
}

/// The crisis lines of the caller's country, for their own answers alone.
fn crisis(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeasure>,
    risk: RiskMark,
) -> Result<Option<Crisis>, Problem> {
    if risk == RiskMark::None || permit.reach() != Reach::Own {
        return Ok(None);
    }
    let country = accounts::find_country(connection, permit)?;
    Ok(Some(Crisis {
        notice: "Nobody watches these answers in real time. If you may be in danger now, talk to somebody now.".into(),
        lines: crisis_lines::for_country(country.as_deref()).into_iter().cloned().collect(),
    }))
}

async fn record_measure(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<Administered>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::RecordMeasure>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| record(connection, &permit, group, request))
    })
    .await
}

/// Judges and keeps one administration, in whatever form it came, and answers with the measure.
pub(super) fn record(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeasure>,
    group: Id,
    request: Administered,
) -> Answer {
    let answers = request.answers.clone();
    let now = connection.now;
    let kept = keep(connection, permit, None, now, vec![request], "")?;
    let Some(kept) = kept.into_iter().next() else {
        return Err(Problem::Internal("a kept measure is gone".into()));
    };
    let crisis = crisis(connection, permit, kept.risk)?;
    let (id, version) = (kept.id, kept.version);
    let measure = Measure { summary: kept.into(), answers, amendments: Vec::new(), crisis };
    Ok(Reply::created(format!("/groups/{group}/measures/{id}"), &measure)?.version(version))
}

async fn list_measures(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<WhichMeasures>,
    paging: Paging,
) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadMeasures>(connection, &caller, group)?;
        let wanted = Wanted {
            member: asked.member,
            instrument: asked.instrument.as_ref().map(|instrument| instrument.as_str()),
            session: asked.session,
        };
        let rows = measures::list(connection, &permit, &wanted, after, limit + 1)?;
        let shown = rows.into_iter().map(MeasureSummary::from).collect();
        Reply::page(shown, &paging, |measure| (measure.flagged, measure.taken_at, measure.id))
    })
    .await
}

async fn read_measure(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadMeasures>(connection, &caller, group)?;
        let (kept, answers) = measures::find(connection, &permit, id)?;
        show(connection, &permit, kept, answers)
    })
    .await
}

fn show<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, kept: Kept, answers: Answers) -> Answer {
    let version = kept.version;
    let amendments = AmendmentMark::of(connection, permit, RecordKind::Measure, kept.id)?;
    Ok(Reply::ok(&Measure { summary: kept.into(), answers, amendments, crisis: None })?.version(version))
}

async fn correct_measure(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<CorrectMeasure>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::CorrectMeasure>(connection, &caller, group)?;
        let (kept, _) = measures::find(connection, &permit, id)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        // The version that was answered, not the newest: a correction never re-scores history by other rules.
        let instrument = Registry::built_in()
            .find(&kept.instrument, &kept.instrument_version)
            .ok_or_else(|| Problem::Conflict("The registry no longer holds this version of the instrument.".into()))?;
        let beginnings = members::list_beginnings(connection, &permit, &[kept.member_id])?;
        let began_at = *beginnings.get(&kept.member_id).ok_or(Problem::NotFound)?;
        check_taken_at(request.taken_at, began_at, false, connection.now, "")?;
        let outcome =
            administer(instrument, &request.answers, request.respondent, request.taken_at, connection.now, "")?;
        let corrected = Administration {
            respondent: request.respondent,
            taken_at: request.taken_at,
            answers: request.answers,
            outcome,
        };
        measures::update(connection, &permit, &kept, &corrected, request.reason.as_str())?;
        let (kept, answers) = measures::find(connection, &permit, id)?;
        show(connection, &permit, kept, answers)
    })
    .await
}

async fn mark_measure_error(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<MarkError>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::CorrectMeasure>(connection, &caller, group)?;
        let (kept, _) = measures::find(connection, &permit, id)?;
        command.expects(kept.version)?;
        if kept.entered_in_error {
            return Err(Problem::Conflict("The measure is marked already.".into()));
        }
        let request = command.body()?;
        measures::update_entered_in_error(connection, &permit, &kept, request.reason.as_str())?;
        let (kept, answers) = measures::find(connection, &permit, id)?;
        show(connection, &permit, kept, answers)
    })
    .await
}

async fn list_measure_versions(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadMeasures>(connection, &caller, group)?;
        // Why a lead corrected something is the leads' note.
        let shows_reasons = permit.standing().is_some_and(Standing::is_term);
        let items = measures::list_versions(connection, &permit, id)?
            .into_iter()
            .map(|version| MeasureVersion {
                version: version.version,
                respondent: version.respondent,
                taken_at: version.taken_at,
                answers: version.answers,
                score: version.score.map(points),
                risk: version.risk,
                entered_in_error: version.entered_in_error,
                recorded_by: version.recorded_by,
                recorded_at: version.recorded_at,
                reason: version.reason.filter(|_| shows_reasons),
            })
            .collect();
        Reply::ok(&MeasureVersions { items })
    })
    .await
}

async fn list_due_measures(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadMeasures>(connection, &caller, group)?;
        let own = permit.only_member()?;
        let schedule = measures::list_schedule(connection, &permit)?;
        let active: Vec<(Id, Moment)> = members::list_in_state(connection, &permit, State::Active)?
            .into_iter()
            .filter(|(member, _)| own.is_none_or(|own| own == *member))
            .collect();
        let ids: Vec<Id> = active.iter().map(|(member, _)| *member).collect();
        // Nothing is due from somebody who may not be asked: without live consent no measure is taken.
        let consenting = agreements::list_consenting(connection, &permit, &ids)?;
        let active: Vec<(Id, Moment)> = active.into_iter().filter(|(member, _)| consenting.contains(member)).collect();
        let last: HashMap<(Id, String), Moment> = measures::list_last_taken(connection, &permit, &ids)?
            .into_iter()
            .map(|(member, instrument, at)| ((member, instrument), at))
            .collect();
        let now = connection.now;
        let mut items = Vec::new();
        for (member, since) in &active {
            for scheduled in &schedule {
                let last_taken_at = last.get(&(*member, scheduled.instrument.clone())).copied();
                let due = due_at((*since).max(scheduled.set_at), last_taken_at, scheduled.every_days);
                items.push(DueMeasure {
                    member: *member,
                    instrument: scheduled.instrument.clone(),
                    due_at: due,
                    last_taken_at,
                    overdue: due < now,
                });
            }
        }
        items.sort_by_key(|due| (due.due_at, due.member));
        Reply::ok(&DueMeasures { items })
    })
    .await
}

async fn read_measure_schedule(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadMeasureSchedule>(connection, &caller, group)?;
        let items = measures::list_schedule(connection, &permit)?;
        Reply::ok(&shown_schedule(items)?)
    })
    .await
}

async fn set_measure_schedule(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    command: Command<MeasureSchedule>,
) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SetMeasureSchedule>(connection, &caller, group)?;
        let request = command.body()?;
        let mut entries: Vec<(String, i32)> = Vec::new();
        for (index, item) in request.items.0.iter().enumerate() {
            let pointer = format!("/items/{index}/instrument");
            if Registry::built_in().current(item.instrument.as_str()).is_none() {
                return Err(Problem::field(&pointer, "is not in the registry: GET /v1/instruments"));
            }
            if entries.iter().any(|(instrument, _)| instrument == item.instrument.as_str()) {
                return Err(Problem::field(&pointer, "is named twice"));
            }
            entries.push((item.instrument.to_string(), item.every_days.get()));
        }
        measures::replace_schedule(connection, &permit, &entries)?;
        let items = measures::list_schedule(connection, &permit)?;
        Reply::ok(&shown_schedule(items)?)
    })
    .await
}

fn shown_schedule(items: Vec<measures::Scheduled>) -> Result<MeasureSchedule, Problem> {
    let out_of_bounds = |_| Problem::Internal("a kept schedule is out of bounds".into());
    let items = items
        .into_iter()
        .map(|item| {
            Ok(ScheduledInstrument {
                instrument: Text::new(&item.instrument).map_err(out_of_bounds)?,
                every_days: Whole::new(item.every_days).map_err(out_of_bounds)?,
            })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(MeasureSchedule { items: Few(items) })
}
