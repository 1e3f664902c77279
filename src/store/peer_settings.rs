//! What a peer-led group has agreed about itself: what it keeps, when its facilitators act, how it decides.

use diesel::prelude::*;

use super::{columns::word_columns, connection::Connection, permit::Permit, schema::peer_settings, sessions::Session};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::{
        breaches::{BALLOT_MINIMUM, BreachPolicy, QUORUM_PERCENT},
        meetings::{AttendanceMode, KeptSince},
        terms::Windows,
    },
    values::{Id, Moment},
};

word_columns!(AttendanceMode, BreachPolicy);

/// The settings of a peer-led group.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = peer_settings)]
pub struct PeerSettings {
    pub attendance_mode: AttendanceMode,
    pub breach_policy: BreachPolicy,
    /// Whether members can ask for a proof of attendance.
    pub proofs: bool,
    pub preparing_hours: i32,
    pub finishing_hours: i32,
    pub reading_hours: i32,
    pub ballot_minimum: i32,
    pub quorum_percent: i32,
    pub version: i32,
    pseudonym_since: Option<Moment>,
    named_since: Option<Moment>,
}

impl PeerSettings {
    /// The most that is kept of who was at this session: never more than the group kept when it began, as it was planned
    /// and as it was said to be held.
    pub fn mode_of(&self, session: &Session) -> AttendanceMode {
        let began = session.held_from.map_or(session.starts_at, |held_from| held_from.min(session.starts_at));
        self.kept_since().mode_of(self.attendance_mode, began)
    }

    fn kept_since(&self) -> KeptSince {
        KeptSince { pseudonym: self.pseudonym_since, named: self.named_since }
    }
}

/// What is to be in the place of a group's settings.
pub struct Agreed {
    pub attendance_mode: AttendanceMode,
    pub breach_policy: BreachPolicy,
    pub proofs: bool,
    pub preparing_hours: i32,
    pub finishing_hours: i32,
    pub reading_hours: i32,
    pub ballot_minimum: i32,
    pub quorum_percent: i32,
}

/// Those of a new group: the least is kept, and the answer to a breach is graduated.
pub(super) fn insert(connection: &mut Connection, permit: &Permit<act::CreateGroup>, group: Id) -> Result<(), Problem> {
    diesel::insert_into(peer_settings::table)
        .values((
            peer_settings::group_id.eq(group),
            peer_settings::attendance_mode.eq(AttendanceMode::CountOnly),
            peer_settings::breach_policy.eq(BreachPolicy::Graduated),
            peer_settings::proofs.eq(true),
            peer_settings::preparing_hours.eq(Windows::DEFAULT.preparing_hours),
            peer_settings::finishing_hours.eq(Windows::DEFAULT.finishing_hours),
            peer_settings::reading_hours.eq(Windows::DEFAULT.reading_hours),
            peer_settings::ballot_minimum.eq(BALLOT_MINIMUM),
            peer_settings::quorum_percent.eq(QUORUM_PERCENT),
            peer_settings::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// # Errors
/// `NotFound` in a therapist-led group.
pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<PeerSettings, Problem> {
    Ok(peer_settings::table.find(permit.group()).select(PeerSettings::as_select()).first(connection.with(permit))?)
}

/// Puts other settings in the place of those that were read.
pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::ChangePeerSettings>,
    kept: &PeerSettings,
    agreed: &Agreed,
) -> Result<(), Problem> {
    let since = kept.kept_since().changed(kept.attendance_mode, agreed.attendance_mode, connection.now);
    let changed = diesel::update(
        peer_settings::table
            .filter(peer_settings::group_id.eq(permit.group()))
            .filter(peer_settings::version.eq(kept.version)),
    )
    .set((
        peer_settings::attendance_mode.eq(agreed.attendance_mode),
        peer_settings::breach_policy.eq(agreed.breach_policy),
        peer_settings::proofs.eq(agreed.proofs),
        peer_settings::preparing_hours.eq(agreed.preparing_hours),
        peer_settings::finishing_hours.eq(agreed.finishing_hours),
        peer_settings::reading_hours.eq(agreed.reading_hours),
        peer_settings::ballot_minimum.eq(agreed.ballot_minimum),
        peer_settings::quorum_percent.eq(agreed.quorum_percent),
        peer_settings::version.eq(kept.version + 1),
        peer_settings::pseudonym_since.eq(since.pseudonym),
        peer_settings::named_since.eq(since.named),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}
