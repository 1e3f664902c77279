//! Meetings of a peer-led group: head count, the reading of the rules, attendance as far as the group keeps it.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    agreements::{Agreement, shown as shown_agreement},
    command::{Answer, Command, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{act, area},
    problem::Problem,
    rules::{
        agreements::Purpose,
        attendance::{self, Held, Presence, Status},
        groups::Format,
        meetings::{
            AttendanceMode, Heads, check_acknowledged, check_heads, check_mode, check_reason, check_recordable,
            check_ticked,
        },
        sessions::{Recording, check_holding},
    },
    store::{
        agreements,
        attendances::{self, Said},
        connection::{Connection, Db},
        groups,
        meetings::{self, Pseudonym, Reading},
        peer_settings,
        permit::{Permit, authorize, authorize_in_session},
        sessions::{self, Holding},
        visits,
    },
    values::{Few, Id, Moment, Sentence, Text},
};

/// Which ground rules were read out, and how many acknowledged them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesReading {
    /// A version of the group's ground rules.
    pub agreement: Id,
    /// How many, and nobody's name. Not more than the heads.
    pub acknowledged: Heads,
}

/// What came of a meeting. It takes the place of what was recorded before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordMeeting {
    pub held_from: Moment,
    /// At most a day later, and not in the future.
    pub held_until: Moment,
    /// Everybody in the room, drop-ins included. More than those who are ticked is fine; zero means that nobody came.
    pub heads: Heads,
    /// Members who were there, of those in `to_tick`.
    #[serde(default)]
    pub members: Few<Id, 500>,
    /// Pseudonyms that were there, of those in `to_tick`.
    #[serde(default)]
    pub pseudonyms: Few<Id, 500>,
    /// Null when no rules were read out.
    pub rules: Option<RulesReading>,
    /// Why a recorded meeting is corrected; needed then, and only then.
    pub reason: Option<Sentence>,
}

/// How many were at a meeting.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeetingCounts {
    pub session: Id,
    pub heads: i32,
    /// Visitors without an account who gave the session's code.
    pub drop_ins: i64,
    /// Heads beyond those who are ticked or dropped in.
    pub extras: i64,
}

/// Somebody who was at a meeting or can be ticked: a member under their name in the group, or a pseudonym.
#[derive(Debug, Serialize, ToSchema)]
pub struct AtMeeting {
    pub id: Id,
    pub name: String,
}

/// Those of whom it is kept that they were there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Present {
    pub members: Vec<AtMeeting>,
    pub pseudonyms: Vec<AtMeeting>,
}

/// What there is to do at a meeting: whom to tick, and the rules to read out.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToTick {
    /// Whether heads are all that is kept of this session: because the group keeps no more, or kept no more when it
    /// began.
    pub counted_only: bool,
    /// Expected at this session, and kept under their names. Whoever is not here is counted as a head and no more.
    pub members: Vec<AtMeeting>,
    /// The same under a name that only its owner can be found by.
    pub pseudonyms: Vec<AtMeeting>,
    /// The ground rules as they stand; null while the group has none.
    pub rules: Option<Agreement>,
}

/// A meeting, before and after it is recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Meeting {
    pub session: Id,
    pub held_from: Option<Moment>,
    pub held_until: Option<Moment>,
    /// Null until it is recorded; zero means that nobody came.
    pub heads: Option<i32>,
    /// Heads beyond those who are ticked or dropped in; null without a head count.
    pub extras: Option<i64>,
    /// Visitors without an account who gave the session's code, other than those who joined later and are kept under
    /// a name or a pseudonym by now.
    pub drop_ins: i64,
    pub rules: Option<RulesReading>,
    pub present: Present,
    pub to_tick: ToTick,
}

/// One version of a head count.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadCountVersion {
    pub version: i32,
    pub heads: i32,
    /// The account that recorded it; null for whoever leads this one session.
    pub recorded_by: Option<Id>,
    pub recorded_at: Moment,
    /// Why it took the place of the version before.
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct HeadCountVersions {
    /// Oldest first; the last one stands. None until the meeting is recorded.
    pub items: Vec<HeadCountVersion>,
}

/// How you want to be kept in this group's attendance: never more than the group keeps. Lowering it takes away what
/// was kept beyond it; head counts stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAttendanceMode {
    /// Null for whatever the group keeps.
    pub mode: Option<AttendanceMode>,
    /// The name under which you are kept in the mode `pseudonym`; nobody else in the group goes by it.
    pub pseudonym: Option<Text<1, 60>>,
}

/// How you are kept in this group's attendance.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnAttendanceMode {
    /// What you chose; null for whatever the group keeps.
    pub mode: Option<AttendanceMode>,
    /// The lower of what you chose and what the group keeps.
    pub effective: AttendanceMode,
    pub pseudonym: Option<String>,
    /// At how many meetings it is kept that you were there.
    pub meetings: i64,
}

pub fn register(api: &mut Api) {
    api.heading("Meetings");
    api.put::<act::RecordMeeting, _, _>(
        "/groups/{group}/sessions/{session}/meeting",
        "Record a meeting in one request",
        record_meeting,
    )
    .takes::<RecordMeeting>(json!({
        "held_from": "2026-11-17T19:00:00Z", "held_until": "2026-11-17T20:30:00Z", "heads": 9
    }))
    .gives::<MeetingCounts>()
    .changes()
    .can_be_sent_again()
    .says("For whoever facilitates the session, from its beginning on. Recorded anew, the whole request takes the place of what was there, the rules that were read included.");
    api.get::<act::ReadMeeting, _, _>(
        "/groups/{group}/sessions/{session}/meeting",
        "Read a meeting, whom to tick and what to read out",
        read_meeting,
    )
    .gives::<Meeting>();
    api.get::<act::ReadMeeting, _, _>(
        "/groups/{group}/sessions/{session}/meeting/versions",
        "Read every version of a head count",
        list_head_count_versions,
    )
    .gives::<HeadCountVersions>();
    api.get::<act::SetAttendanceMode, _, _>(
        "/groups/{group}/members/{member}/attendance-mode",
        "Read how you are kept in the attendance",
        read_attendance_mode,
    )
    .gives::<OwnAttendanceMode>();
    api.put::<act::SetAttendanceMode, _, _>(
        "/groups/{group}/members/{member}/attendance-mode",
        "Choose how you are kept in the attendance",
        set_attendance_mode,
    )
    .takes::<SetAttendanceMode>(json!({"mode": "count_only"}))
    .gives::<OwnAttendanceMode>()
    .says("Lowering it removes what was kept beyond it, also of past meetings: from named to pseudonym or to heads alone. Head counts stay. It cannot be brought back.");
}

async fn record_meeting(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<RecordMeeting>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::RecordMeeting>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        let precondition = command.expects(session.version);
        command.once(connection, &permit, |connection, request| {
            // After the look for a kept answer: whoever sends the same again gets it, and no 412.
            precondition?;
            // Nobody lowers a mode between the look at it and the row that it allows.
            groups::lock(connection, &permit)?;
            record(connection, &permit, &session, request)?;
            // Counts alone: the answer is kept for a retry, and must hold nobody whose mode is lowered meanwhile.
            let now = sessions::find(connection, &permit, id)?;
            Ok(Reply::ok(&counts(connection, &permit, id)?)?.version(now.version))
        })
    })
    .await
}

fn record(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeeting>,
    session: &sessions::Session,
    request: RecordMeeting,
) -> Result<(), Problem> {
    let held = Held { from: request.held_from, until: request.held_until };
    check_holding(session.state, held.from, Some(held.until), connection.now)?;
    check_recordable(session.starts_at, held.until, connection.now)?;
    // First of all writes: of two who record from one version, the second waits here and is told to read again.
    let holding = Holding {
        held_from: held.from,
        held_until: Some(held.until),
        led_by: session.led_by.unwrap_or(permit.account()),
        recording: Recording::Complete,
    };
    let held_now = sessions::update_holding(connection, permit, session, &holding)?;
    // Only now: before, the count of whoever was first would be taken for one that this one means to correct.
    let was_recorded = meetings::find_heads(connection, permit, session.id)?.is_some();
    check_reason(was_recorded, request.reason.is_some())?;
    let (heads, ticked) =
        (request.heads.get(), Ticked { members: request.members.0, pseudonyms: request.pseudonyms.0 });
    // No more than was kept when it began; of two beginnings that were said, the earlier one counts.
    let settings = peer_settings::find(connection, permit)?;
    let mode = settings.mode_of(session).min(settings.mode_of(&held_now));
    let there = tick(connection, permit, session, held, ticked, was_recorded, mode)?;
    check_heads(heads, there)?;
    meetings::update_heads(
        connection,
        permit,
        session.id,
        heads,
        request.reason.as_ref().map(|reason| reason.as_str()),
    )?;
    let reading = request.rules.map(|rules| judged_reading(connection, permit, &rules, heads)).transpose()?;
    meetings::update_reading(connection, permit, session.id, reading)
}

struct Ticked {
    members: Vec<Id>,
    pseudonyms: Vec<Id>,
}

/// Keeps who was there, as far as they are kept at all, and returns how many that are.
fn tick(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeeting>,
    session: &sessions::Session,
    held: Held,
    ticked: Ticked,
    was_recorded: bool,
    mode: AttendanceMode,
) -> Result<usize, Problem> {
    let tickable = meetings::list_tickable(connection, permit, session, mode)?;
    let kept = attendances::list(connection, permit, session.id)?;
    let kept_pseudonyms: Vec<Id> =
        meetings::list_pseudonyms(connection, permit, session.id)?.into_iter().map(|kept| kept.id).collect();
    let is_kept = |member: Id| kept.iter().any(|kept| kept.member_id == member);
    // Who is kept already, because they claimed a visit, may be ticked again, though they joined after the session.
    check_ticked(&ticked.members, |id| tickable.members.contains(&id) || is_kept(id), "/members")?;
    let is_pseudonym = |id: Id| tickable.pseudonyms.iter().any(|pseudonym| pseudonym.id == id);
    check_ticked(&ticked.pseudonyms, |id| is_pseudonym(id) || kept_pseudonyms.contains(&id), "/pseudonyms")?;
    let missing_members = kept.iter().map(|kept| kept.member_id).filter(|id| !ticked.members.contains(id));
    let missing_members: Vec<Id> = missing_members.collect();
    let missing_pseudonyms = kept_pseudonyms.iter().copied().filter(|id| !ticked.pseudonyms.contains(id));
    let missing_pseudonyms: Vec<Id> = missing_pseudonyms.collect();
    let mut there = ticked.members.len() + ticked.pseudonyms.len();
    if was_recorded {
        meetings::remove_absent(connection, permit, session.id, &missing_members, &missing_pseudonyms)?;
    } else {
        // Nobody has looked at the list yet: what is on it, members put there themselves.
        there += missing_members.len() + missing_pseudonyms.len();
    }
    let minutes = attendance::minutes(Status::Attended, None, None, held, "/members")?;
    let mut new = Vec::new();
    for member in ticked.members {
        let said = whole_meeting(member, session, minutes);
        match kept.iter().find(|kept| kept.member_id == member) {
            Some(kept) if kept.says(&said) => {}
            Some(kept) => {
                attendances::update(connection, permit, kept, &said, "Recorded with the meeting.")?;
            }
            None => new.push(said),
        }
    }
    attendances::insert(connection, permit, session.id, session.starts_at, &new)?;
    let new: Vec<Id> = ticked.pseudonyms.into_iter().filter(|id| !kept_pseudonyms.contains(id)).collect();
    meetings::insert_pseudonym_attendances(connection, permit, session.id, &new)?;
    Ok(there)
}

/// Somebody who was there, for all of it: peers do not watch each other's minutes.
pub(super) fn whole_meeting(member: Id, session: &sessions::Session, minutes: i32) -> Said {
    let modality = if session.modality == Format::Online { Presence::Online } else { Presence::InPerson };
    Said { member, status: Status::Attended, modality, arrived_at: None, left_at: None, minutes }
}

fn judged_reading(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeeting>,
    rules: &RulesReading,
    heads: i32,
) -> Result<Reading, Problem> {
    let is_rules = match agreements::find(connection, permit, rules.agreement) {
        Ok(agreement) => agreement.purpose == Purpose::GroundRules,
        Err(Problem::NotFound) => false,
        Err(problem) => return Err(problem),
    };
    if !is_rules {
        return Err(Problem::field("/rules/agreement", "is no version of this group's ground rules"));
    }
    check_acknowledged(rules.acknowledged.get(), heads)?;
    Ok(Reading { agreement_id: rules.agreement, acknowledged: rules.acknowledged.get() })
}

fn counts(
    connection: &mut Connection,
    permit: &Permit<act::RecordMeeting>,
    session: Id,
) -> Result<MeetingCounts, Problem> {
    let heads = meetings::find_heads(connection, permit, session)?.ok_or(Problem::NotFound)?.heads;
    let members = attendances::list(connection, permit, session)?.len();
    let pseudonyms = meetings::list_pseudonyms(connection, permit, session)?.len();
    let drop_ins = visits::count(connection, permit, session)?;
    Ok(MeetingCounts { session, heads, drop_ins, extras: extras(heads, members + pseudonyms, drop_ins) })
}

/// Heads beyond those who are known. Somebody may still drop in after the count: then there are none.
fn extras(heads: i32, kept: usize, drop_ins: i64) -> i64 {
    (i64::from(heads) - kept as i64 - drop_ins).max(0)
}

fn people<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: &[Id],
) -> Result<Vec<AtMeeting>, Problem> {
    let names = meetings::list_names(connection, permit, ids)?;
    Ok(names.into_iter().map(|(id, name)| AtMeeting { id, name }).collect())
}

fn hidden(mut pseudonyms: Vec<Pseudonym>) -> Vec<AtMeeting> {
    pseudonyms.sort_by_key(|pseudonym| (pseudonym.name.to_lowercase(), pseudonym.id));
    pseudonyms.into_iter().map(|pseudonym| AtMeeting { id: pseudonym.id, name: pseudonym.name }).collect()
}

async fn read_meeting(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_session::<act::ReadMeeting>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        let mode = peer_settings::find(connection, &permit)?.mode_of(&session);
        let heads = meetings::find_heads(connection, &permit, id)?.map(|count| count.heads);
        let drop_ins = visits::count(connection, &permit, id)?;
        let kept: Vec<Id> =
            attendances::list(connection, &permit, id)?.into_iter().map(|kept| kept.member_id).collect();
        let pseudonyms = meetings::list_pseudonyms(connection, &permit, id)?;
        let tickable = meetings::list_tickable(connection, &permit, &session, mode)?;
        let rules = match meetings::find_reading(connection, &permit, id)? {
            Some(reading) => Some(RulesReading {
                agreement: reading.agreement_id,
                acknowledged: Heads::new(reading.acknowledged)
                    .map_err(|_| Problem::Internal("a kept number is out of bounds".into()))?,
            }),
            None => None,
        };
        let meeting = Meeting {
            session: id,
            held_from: session.held_from,
            held_until: session.held_until,
            heads,
            extras: heads.map(|heads| extras(heads, kept.len() + pseudonyms.len(), drop_ins)),
            drop_ins,
            rules,
            present: Present { members: people(connection, &permit, &kept)?, pseudonyms: hidden(pseudonyms) },
            to_tick: ToTick {
                counted_only: mode == AttendanceMode::CountOnly,
                members: people(connection, &permit, &tickable.members)?,
                pseudonyms: hidden(tickable.pseudonyms),
                rules: agreements::find_rules(connection, &permit)?.map(shown_agreement),
            },
        };
        Ok(Reply::ok(&meeting)?.version(session.version))
    })
    .await
}

async fn list_head_count_versions(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_session::<act::ReadMeeting>(connection, &caller, group, id)?;
        sessions::find(connection, &permit, id)?;
        let items = meetings::list_head_versions(connection, &permit, id)?
            .into_iter()
            .map(|version| HeadCountVersion {
                version: version.version,
                heads: version.heads,
                recorded_by: permit.knows_accounts().then_some(version.recorded_by),
                recorded_at: version.recorded_at,
                reason: version.reason,
            })
            .collect();
        Reply::ok(&HeadCountVersions { items })
    })
    .await
}

fn own_mode(connection: &mut Connection, permit: &Permit<act::SetAttendanceMode>, member: Id) -> Answer {
    let group_mode = peer_settings::find(connection, permit)?.attendance_mode;
    let own = meetings::find_own_mode(connection, permit, member)?;
    let meetings = meetings::count_own(connection, permit, member, &own)?;
    Reply::ok(&OwnAttendanceMode {
        mode: own.mode,
        effective: group_mode.lowered_to(own.mode),
        pseudonym: own.pseudonym.map(|pseudonym| pseudonym.name),
        meetings,
    })
}

async fn read_attendance_mode(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, member) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::SetAttendanceMode>(connection, &caller, group)?;
        own_mode(connection, &permit, member)
    })
    .await
}

async fn set_attendance_mode(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<SetAttendanceMode>,
) -> Answer {
    let (group, member) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SetAttendanceMode>(connection, &caller, group)?;
        permit.reaches_member(member)?;
        let request = command.body()?;
        groups::lock(connection, &permit)?;
        let group_mode = peer_settings::find(connection, &permit)?.attendance_mode;
        let effective = check_mode(group_mode, request.mode)?;
        let kept = meetings::find_own_mode(connection, &permit, member)?;
        let is_hidden = effective == AttendanceMode::Pseudonym;
        match &request.pseudonym {
            Some(_) if !is_hidden => return Err(Problem::field("/pseudonym", "belongs to the mode pseudonym")),
            None if is_hidden && request.mode.is_some() && kept.pseudonym.is_none() => {
                return Err(Problem::field("/pseudonym", "is missing: choose one"));
            }
            _ => {}
        }
        let pseudonym = request.pseudonym.as_ref().map(|pseudonym| pseudonym.as_str());
        meetings::update_own_mode(connection, &permit, member, request.mode, effective, pseudonym)?;
        own_mode(connection, &permit, member)
    })
    .await
}
