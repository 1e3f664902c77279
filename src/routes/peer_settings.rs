//! What a peer-led group has agreed about itself: what it keeps, when its facilitators act, how it decides.

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
    policy::act,
    problem::Problem,
    rules::{
        breaches::BreachPolicy,
        meetings::AttendanceMode,
        terms::{FinishingHours, PreparingHours, ReadingHours},
    },
    store::{
        connection::Db,
        groups, meetings,
        peer_settings::{self, Agreed, PeerSettings as Kept},
        permit::authorize,
    },
    values::{Id, Whole},
};

/// The settings of a peer-led group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// The most that is kept of who was at a meeting; members may lower it for themselves. Lowering it takes away what
    /// was kept beyond it; raising it holds for meetings that begin from then on.
    pub attendance_mode: AttendanceMode,
    pub breach_policy: BreachPolicy,
    /// Whether members can ask for a proof of attendance.
    pub proofs: bool,
    /// Hours before a facilitator's term in which they can prepare.
    pub preparing_hours: PreparingHours,
    /// Hours after it in which they can finish.
    pub finishing_hours: FinishingHours,
    /// Hours after those in which they can still read.
    pub reading_hours: ReadingHours,
    /// Ballots below which a vote has no result.
    pub ballot_minimum: Whole<5, 1000>,
    /// Percent of those who may vote that must have voted.
    pub quorum_percent: Whole<1, 100>,
}

pub fn register(api: &mut Api) {
    api.heading("Peer-led groups");
    api.get::<act::ReadPeerSettings, _, _>(
        "/groups/{group}/peer-settings",
        "Read what the group has agreed about itself",
        read_peer_settings,
    )
    .gives::<PeerSettings>();
    api.put::<act::ChangePeerSettings, _, _>(
        "/groups/{group}/peer-settings",
        "Change what the group has agreed about itself",
        change_peer_settings,
    )
    .takes::<PeerSettings>(json!({
        "attendance_mode": "count_only", "breach_policy": "graduated", "proofs": true, "preparing_hours": 24,
        "finishing_hours": 72, "reading_hours": 168, "ballot_minimum": 5, "quorum_percent": 50
    }))
    .gives::<PeerSettings>()
    .changes();
}

fn shown(kept: Kept) -> Answer {
    let out_of_bounds = |_| Problem::Internal("a kept setting is out of bounds".into());
    let settings = PeerSettings {
        attendance_mode: kept.attendance_mode,
        breach_policy: kept.breach_policy,
        proofs: kept.proofs,
        preparing_hours: Whole::new(kept.preparing_hours).map_err(out_of_bounds)?,
        finishing_hours: Whole::new(kept.finishing_hours).map_err(out_of_bounds)?,
        reading_hours: Whole::new(kept.reading_hours).map_err(out_of_bounds)?,
        ballot_minimum: Whole::new(kept.ballot_minimum).map_err(out_of_bounds)?,
        quorum_percent: Whole::new(kept.quorum_percent).map_err(out_of_bounds)?,
    };
    Ok(Reply::ok(&settings)?.version(kept.version))
}

async fn read_peer_settings(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadPeerSettings>(connection, &caller, group)?;
        shown(peer_settings::find(connection, &permit)?)
    })
    .await
}

async fn change_peer_settings(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<PeerSettings>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ChangePeerSettings>(connection, &caller, group)?;
        // Nobody is kept by a mode that ends here.
        groups::lock(connection, &permit)?;
        let kept = peer_settings::find(connection, &permit)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        let agreed = Agreed {
            attendance_mode: request.attendance_mode,
            breach_policy: request.breach_policy,
            proofs: request.proofs,
            preparing_hours: request.preparing_hours.get(),
            finishing_hours: request.finishing_hours.get(),
            reading_hours: request.reading_hours.get(),
            ballot_minimum: request.ballot_minimum.get(),
            quorum_percent: request.quorum_percent.get(),
        };
        peer_settings::update(connection, &permit, &kept, &agreed)?;
        meetings::remove_beyond(connection, &permit, agreed.attendance_mode)?;
        shown(peer_settings::find(connection, &permit)?)
    })
    .await
}
