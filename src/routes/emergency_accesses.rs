//! Emergency access (break-glass): a clinician opens one member's record for a while, and a privacy officer judges it.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    operation::Api,
    organizations::LoggedAccess,
    session_records::Author,
};
use crate::{
    identity::Caller,
    policy::{Act, act},
    problem::Problem,
    rules::{
        emergency_accesses::{self as rules, Finding, LEAST_MINUTES, MOST_MINUTES, Opened, State},
        groups::is_licensed,
    },
    store::{
        access_log, accounts,
        connection::{Connection, Db},
        emergency_accesses::{self, EmergencyAccess as Kept, Notice},
        licences,
        permit::{Permit, authorize, authorize_in_organization},
    },
    values::{Id, Moment, Sentence, Text, Whole},
};

/// How many entries of the access log stand beside an emergency access; the log itself has all of them.
const SHOWN_ACCESSES: i64 = 200;

/// A clinician's access to one member's record in an emergency.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmergencyAccess {
    pub id: Id,
    pub group: Id,
    pub member: Id,
    /// Who holds it.
    pub holder: Author,
    /// Why it was opened. Null once the member has been erased.
    pub reason: Option<String>,
    /// `running` says that its time is not over and that nobody ended it. It opens nothing while its holder is
    /// suspended or no clinician of the organization any more, and once the group is closed.
    pub state: State,
    pub from_at: Moment,
    pub until_at: Moment,
    /// When it was ended before its time, and by whom.
    pub ended_at: Option<Moment>,
    pub ended_by: Option<Author>,
    /// Until when it is to be reviewed: 72 hours after it was opened. A default of this software, not of a rule.
    pub due_at: Moment,
    /// Not reviewed in time.
    pub overdue: bool,
    pub finding: Option<Finding>,
    /// What the privacy officer wrote. Null once the member has been erased.
    pub words: Option<String>,
    pub reviewed_by: Option<Author>,
    pub reviewed_at: Option<Moment>,
}

/// An emergency access with what was done under it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmergencyAccessWithAccesses {
    #[serde(flatten)]
    pub access: EmergencyAccess,
    /// Its entries of the access log, oldest first: what was asked for, when, and which record it was; refused attempts
    /// too. At most 200.
    pub accesses: Vec<LoggedAccess>,
    /// There are more: `GET /v1/organizations/{organization}/access-log?emergency_access=…` has all of them.
    pub has_more_accesses: bool,
}

/// What whoever leads a group learns of an emergency access to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmergencyNotice {
    pub id: Id,
    pub member: Id,
    pub holder: Author,
    pub from_at: Moment,
    pub until_at: Moment,
    pub ended_at: Option<Moment>,
}

/// For how long one is opened.
type EmergencyMinutes = Whole<LEAST_MINUTES, MOST_MINUTES>;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenEmergencyAccess {
    /// A therapist-led group of the organization that is not closed.
    pub group: Id,
    /// Somebody who belongs to it, or belonged.
    pub member: Id,
    /// What happened, and why nobody who leads the group can be asked first.
    pub reason: Text<20, 1_000>,
    /// For so many minutes from now on.
    pub minutes: EmergencyMinutes,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewEmergencyAccess {
    pub finding: Finding,
    /// What the finding rests on, and what follows from it.
    pub words: Sentence,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct WhichEmergencyAccesses {
    /// Only those in this state.
    state: Option<State>,
}

pub fn register(api: &mut Api) {
    const ACCESSES: &str = "/organizations/{organization}/emergency-accesses";
    const ACCESS: &str = "/organizations/{organization}/emergency-accesses/{emergency_access}";
    api.heading("Emergency access");
    api.post::<act::OpenEmergencyAccess, _, _>(
        ACCESSES,
        "Open one member's record in an emergency",
        open_emergency_access,
    )
    .takes::<OpenEmergencyAccess>(json!({
        "group": "0198c0de-0000-7000-8000-000000000002", "member": "5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a",
        "reason": "Brought to our waiting room in acute distress; neither of the leads answers the telephone.",
        "minutes": 60
    }))
    .creates::<EmergencyAccess>()
    .says(
        "For a therapist or co-therapist of another group, with a verified licence that is valid today. It opens, for \
         reading alone, who the member is, measures, risk marks with what was agreed, signed progress entries and \
         progress; never process notes. Whoever keeps the roster says the ids of group and member. The privacy officer \
         sees it at once and reviews it; the member and whoever leads the group see that it happened.",
    );
    api.get::<act::ReadEmergencyAccesses, _, _>(
        ACCESSES,
        "List emergency accesses, those that wait for a review first",
        list_emergency_accesses,
    )
    .asks::<WhichEmergencyAccesses>()
    .lists::<EmergencyAccess>();
    api.get::<act::ReadEmergencyAccesses, _, _>(
        ACCESS,
        "Read an emergency access with what was done under it",
        read_emergency_access,
    )
    .gives::<EmergencyAccessWithAccesses>();
    api.post::<act::EndEmergencyAccess, _, _>(
        "/organizations/{organization}/emergency-accesses/{emergency_access}/end",
        "End an emergency access before its time",
        end_emergency_access,
    )
    .gives::<EmergencyAccess>()
    .makes_nothing();
    api.post::<act::ReviewEmergencyAccess, _, _>(
        "/organizations/{organization}/emergency-accesses/{emergency_access}/review",
        "Review an emergency access of somebody else, once",
        review_emergency_access,
    )
    .takes::<ReviewEmergencyAccess>(json!({
        "finding": "justified",
        "words": "The ward confirms the admission. Only risk marks and the last entry were read. The lead was told."
    }))
    .gives::<EmergencyAccess>()
    .changes()
    .makes_nothing();
    api.get::<act::ReadEmergencyNotices, _, _>(
        "/groups/{group}/emergency-notices",
        "See whose record was opened in an emergency, newest first",
        list_emergency_notices,
    )
    .lists::<EmergencyNotice>();
}

/// Everybody whom these name.
fn people<'a>(kept: impl IntoIterator<Item = &'a Kept>) -> Vec<Id> {
    let named = |kept: &Kept| [Some(kept.account), kept.ended_by, kept.review.as_ref().map(|review| review.by)];
    kept.into_iter().flat_map(named).flatten().collect()
}

fn shown(kept: Kept, names: &HashMap<Id, String>, now: Moment) -> EmergencyAccess {
    let author = |account: Id| Author::of(account, names);
    let (by, at) = kept.review.as_ref().map(|review| (author(review.by), review.at)).unzip();
    let (finding, words) = kept.review.map(|review| (review.finding, review.words)).unzip();
    EmergencyAccess {
        id: kept.id,
        group: kept.group,
        member: kept.member,
        holder: author(kept.account),
        reason: kept.reason,
        state: kept.state,
        from_at: kept.from_at,
        until_at: kept.until_at,
        ended_at: kept.ended_at,
        ended_by: kept.ended_by.map(author),
        due_at: kept.due_at,
        overdue: rules::is_overdue(kept.state, kept.due_at, now),
        finding,
        words: words.flatten(),
        reviewed_by: by,
        reviewed_at: at,
    }
}

fn show<A: Act>(connection: &mut Connection, permit: &Permit<A>, kept: Kept) -> Result<EmergencyAccess, Problem> {
    let names = accounts::list_names(connection, permit, people([&kept]))?;
    Ok(shown(kept, &names, connection.now))
}

async fn open_emergency_access(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    command: Command<OpenEmergencyAccess>,
) -> Answer {
    let organization = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::OpenEmergencyAccess>(connection, &caller, organization)?;
        command.once(connection, &permit, |connection, request| {
            let wanted = Opened { group: request.group, member: request.member };
            let zone = emergency_accesses::find_zone(connection, &permit, wanted)?;
            // Before what says whose record can be opened: nobody without a licence finds that out here.
            let held = licences::of_own(connection, &permit)?;
            if !held.iter().any(|licence| licence.verified) {
                return Err(Problem::Conflict("No licence of yours is verified.".into()));
            }
            // No group, another organization's, a peer-led or a closed one, nobody of it: one answer for all of them.
            let Some(zone) = zone else {
                return Err(Problem::field("/member", "is nobody whose record can be opened in an emergency here"));
            };
            if emergency_accesses::stands_in(connection, &permit, request.group)? {
                return Err(Problem::Conflict(
                    "You lead, learn or belong in this group, or belonged: an emergency opens nothing more there."
                        .into(),
                ));
            }
            if !emergency_accesses::has_reviewer(connection, &permit)? {
                return Err(Problem::Conflict(
                    "The organization has no other privacy officer who could review it.".into(),
                ));
            }
            let day = connection.now.day_in(&zone);
            if !is_licensed(&held, day) {
                return Err(Problem::Conflict(format!("No verified licence of yours is valid on {day}.")));
            }
            rules::check_opening(&emergency_accesses::list_running(connection, &permit)?, wanted)?;
            let (reason, minutes) = (request.reason.as_str(), request.minutes.get());
            let kept = emergency_accesses::insert(connection, &permit, wanted, reason, minutes)?;
            // Whoever runs the server can have this line wake somebody; it says no more than that.
            tracing::warn!(%organization, "an emergency access was opened");
            let (id, version) = (kept.id, kept.version);
            let made = show(connection, &permit, kept)?;
            let location = format!("/organizations/{organization}/emergency-accesses/{id}");
            Ok(Reply::created(location, &made)?.version(version))
        })
    })
    .await
}

async fn list_emergency_accesses(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<WhichEmergencyAccesses>,
    paging: Paging,
) -> Answer {
    let organization = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadEmergencyAccesses>(connection, &caller, organization)?;
        let kept = emergency_accesses::list(connection, &permit, asked.state, after, limit + 1)?;
        let names = accounts::list_names(connection, &permit, people(&kept))?;
        let now = connection.now;
        let items: Vec<EmergencyAccess> = kept.into_iter().map(|kept| shown(kept, &names, now)).collect();
        Reply::page(items, &paging, |access| (access.state == State::Reviewed, access.id))
    })
    .await
}

async fn read_emergency_access(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (organization, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadEmergencyAccesses>(connection, &caller, organization)?;
        let kept = emergency_accesses::find(connection, &permit, id)?;
        let version = kept.version;
        let mut rows = access_log::list_of_emergency(connection, &permit, id, SHOWN_ACCESSES + 1)?;
        let has_more_accesses = rows.len() as i64 > SHOWN_ACCESSES;
        rows.truncate(SHOWN_ACCESSES as usize);
        let names = accounts::list_names(connection, &permit, people([&kept]))?;
        let accesses = rows.into_iter().map(|row| LoggedAccess::of(row, &names)).collect();
        let access = shown(kept, &names, connection.now);
        Ok(Reply::ok(&EmergencyAccessWithAccesses { access, accesses, has_more_accesses })?.version(version))
    })
    .await
}

async fn end_emergency_access(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (organization, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::EndEmergencyAccess>(connection, &caller, organization)?;
        let kept = emergency_accesses::find(connection, &permit, id)?;
        rules::check_running(kept.state)?;
        let kept = emergency_accesses::update_end(connection, &permit, kept)?;
        let version = kept.version;
        Ok(Reply::ok(&show(connection, &permit, kept)?)?.version(version))
    })
    .await
}

async fn review_emergency_access(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<ReviewEmergencyAccess>,
) -> Answer {
    let (organization, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::ReviewEmergencyAccess>(connection, &caller, organization)?;
        let kept = emergency_accesses::find(connection, &permit, id)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        rules::check_review(kept.state, kept.account == permit.account())?;
        let (finding, words) = (request.finding, request.words.as_str());
        let kept = emergency_accesses::update_review(connection, &permit, kept, finding, words)?;
        let version = kept.version;
        Ok(Reply::ok(&show(connection, &permit, kept)?)?.version(version))
    })
    .await
}

async fn list_emergency_notices(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, before) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadEmergencyNotices>(connection, &caller, group)?;
        let notices = emergency_accesses::list_notices(connection, &permit, before, limit + 1)?;
        let names = accounts::list_names(connection, &permit, notices.iter().map(|notice| notice.account))?;
        let shown = |notice: Notice| EmergencyNotice {
            id: notice.id,
            member: notice.member,
            holder: Author::of(notice.account, &names),
            from_at: notice.from_at,
            until_at: notice.until_at,
            ended_at: notice.ended_at,
        };
        Reply::page(notices.into_iter().map(shown).collect(), &paging, |notice: &EmergencyNotice| notice.id)
    })
    .await
}
