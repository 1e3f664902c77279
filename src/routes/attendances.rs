//! Attendance: read for a session or a member, corrected in versions.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Standing, act},
    problem::Problem,
    rules::{
        attendance::{self, Held, Presence, Status},
        sessions::State,
    },
    store::{
        attendances::{self, Said},
        connection::Db,
        members,
        permit::{authorize, authorize_in_session},
        sessions,
    },
    values::{Id, Moment, Sentence},
};

/// One member's attendance of one session.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttendanceSummary {
    pub id: Id,
    pub group: Id,
    pub session: Id,
    pub member: Id,
    pub status: Status,
    pub modality: Presence,
    pub arrived_at: Option<Moment>,
    pub left_at: Option<Moment>,
    /// Minutes in the session, derived from the times.
    pub minutes: i32,
    /// When the session was to start.
    pub starts_at: Moment,
    pub recorded_at: Moment,
    pub version: i32,
}

impl From<attendances::Attendance> for AttendanceSummary {
    fn from(kept: attendances::Attendance) -> Self {
        AttendanceSummary {
            id: kept.id,
            group: kept.group_id,
            session: kept.session_id,
            member: kept.member_id,
            status: kept.status,
            modality: kept.modality,
            arrived_at: kept.arrived_at,
            left_at: kept.left_at,
            minutes: kept.minutes,
            starts_at: kept.starts_at,
            recorded_at: kept.recorded_at,
            version: kept.version,
        }
    }
}

/// One member's place in a session: there with times, or not there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Attended {
    pub member: Id,
    pub status: Status,
    #[serde(default = "in_person")]
    #[schema(default = "in_person")]
    pub modality: Presence,
    /// The session's start when not said.
    pub arrived_at: Option<Moment>,
    /// The session's end when not said.
    pub left_at: Option<Moment>,
}

fn in_person() -> Presence {
    Presence::InPerson
}

/// A corrected attendance, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectAttendance {
    pub status: Status,
    #[serde(default = "in_person")]
    #[schema(default = "in_person")]
    pub modality: Presence,
    pub arrived_at: Option<Moment>,
    pub left_at: Option<Moment>,
    pub reason: Sentence,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Attendances {
    pub items: Vec<AttendanceSummary>,
}

/// One version of an attendance.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttendanceVersion {
    pub version: i32,
    pub status: Status,
    pub modality: Presence,
    pub arrived_at: Option<Moment>,
    pub left_at: Option<Moment>,
    pub minutes: i32,
    pub recorded_at: Moment,
    /// The account that recorded it; null for the members of a peer-led group.
    pub recorded_by: Option<Id>,
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AttendanceVersions {
    pub items: Vec<AttendanceVersion>,
}

/// One member's attendance in a group, against the sessions at which they were expected.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberAttendance {
    /// Held sessions at which the member was active. Cancelled sessions count for nothing, and neither do those before
    /// they came or after they left.
    pub expected: usize,
    pub attended: usize,
    pub excused: usize,
    pub no_show: usize,
    /// Expected, and nothing recorded yet.
    pub unrecorded: usize,
    pub minutes: i32,
    /// Oldest first.
    pub items: Vec<AttendanceSummary>,
}

pub fn register(api: &mut Api) {
    api.heading("Attendance");
    api.get::<act::ReadAttendance, _, _>(
        "/groups/{group}/sessions/{session}/attendances",
        "Read a session's attendance",
        list_attendances,
    )
    .gives::<Attendances>();
    api.put::<act::CorrectAttendance, _, _>(
        "/groups/{group}/sessions/{session}/attendances/{member}",
        "Record or correct one member's attendance",
        correct_attendance,
    )
    .takes::<CorrectAttendance>(json!({"status": "attended", "reason": "Came in by the side door."}))
    .gives::<AttendanceSummary>()
    .changes();
    api.get::<act::ReadAttendance, _, _>(
        "/groups/{group}/sessions/{session}/attendances/{member}/versions",
        "Read every version of an attendance",
        list_attendance_versions,
    )
    .gives::<AttendanceVersions>();
    api.get::<act::ReadAttendance, _, _>(
        "/groups/{group}/members/{member}/attendances",
        "Read one member's attendance",
        read_member_attendance,
    )
    .gives::<MemberAttendance>();
}

async fn list_attendances(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, session) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_session::<act::ReadAttendance>(connection, &caller, group, session)?;
        sessions::find(connection, &permit, session)?;
        let items = attendances::list(connection, &permit, session)?.into_iter().map(Into::into).collect();
        Reply::ok(&Attendances { items })
    })
    .await
}

async fn correct_attendance(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id, Id)>,
    command: Command<CorrectAttendance>,
) -> Answer {
    let (group, session, member) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::CorrectAttendance>(connection, &caller, group)?;
        let session = sessions::find(connection, &permit, session)?;
        let expected = members::list_roster(connection, &permit, session.starts_at)?;
        let kept = attendances::find(connection, &permit, session.id, member)?;
        if kept.is_none() && !expected.contains(&member) {
            return Err(Problem::NotFound);
        }
        if let Some(kept) = &kept {
            command.expects(kept.version)?;
        }
        let (Some(from), State::Held) = (session.held_from, session.state) else {
            return Err(Problem::Conflict("The session was not held yet.".into()));
        };
        let until = session.held_until.unwrap_or(from.plus_minutes(i64::from(session.minutes)));
        let request = command.body()?;
        let minutes =
            attendance::minutes(request.status, request.arrived_at, request.left_at, Held { from, until }, "")?;
        let said = Said {
            member,
            status: request.status,
            modality: request.modality,
            arrived_at: request.arrived_at,
            left_at: request.left_at,
            minutes,
        };
        match &kept {
            Some(kept) => {
                attendances::update(connection, &permit, kept, &said, request.reason.as_str())?;
            }
            None => {
                attendances::insert(connection, &permit, session.id, session.starts_at, &[said])?;
            }
        }
        let now = attendances::find(connection, &permit, session.id, member)?.ok_or(Problem::NotFound)?;
        let version = now.version;
        Ok(Reply::ok(&AttendanceSummary::from(now))?.version(version))
    })
    .await
}

async fn list_attendance_versions(db: Data<Db>, caller: Caller, path: Path<(Id, Id, Id)>) -> Answer {
    let (group, session, member) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_session::<act::ReadAttendance>(connection, &caller, group, session)?;
        let kept = attendances::find(connection, &permit, session, member)?.ok_or(Problem::NotFound)?;
        // Why a lead corrected something is the leads' note, and may name others.
        let shows_reasons = permit.standing().is_some_and(Standing::is_term);
        let items = attendances::list_versions(connection, &permit, &kept)?
            .into_iter()
            .map(|version| AttendanceVersion {
                version: version.version,
                status: version.status,
                modality: version.modality,
                arrived_at: version.arrived_at,
                left_at: version.left_at,
                minutes: version.minutes,
                recorded_at: version.recorded_at,
                recorded_by: permit.knows_accounts().then_some(version.recorded_by),
                reason: version.reason.filter(|_| shows_reasons),
            })
            .collect();
        Ok(Reply::ok(&AttendanceVersions { items })?.version(kept.version))
    })
    .await
}

async fn read_member_attendance(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, member) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadAttendance>(connection, &caller, group)?;
        members::find(connection, &permit, member)?;
        let kept = attendances::list_of_member(connection, &permit, member)?;
        let by_session: HashMap<Id, Status> = kept.iter().map(|kept| (kept.session_id, kept.status)).collect();
        let held = sessions::list_held(connection, &permit)?;
        let active = members::list_active_intervals(connection, &permit, member)?;
        let expected: Vec<Id> = held
            .into_iter()
            .filter(|(session, at)| {
                let was_active = active.iter().any(|(from, until)| from <= at && until.is_none_or(|until| *at < until));
                was_active || by_session.contains_key(session)
            })
            .map(|(session, _)| session)
            .collect();
        let count = |fits: fn(Status) -> bool| {
            expected.iter().filter(|session| by_session.get(session).is_some_and(|status| fits(*status))).count()
        };
        Reply::ok(&MemberAttendance {
            expected: expected.len(),
            attended: count(Status::was_there),
            excused: count(|status| status == Status::Excused),
            no_show: count(|status| status == Status::NoShow),
            unrecorded: expected.iter().filter(|session| !by_session.contains_key(session)).count(),
            minutes: kept.iter().map(|kept| kept.minutes).sum(),
            items: kept.into_iter().map(Into::into).collect(),
        })
    })
    .await
}
