//! Emergency accesses: who opened one to whose record, why, until when, and what the review found.

use std::collections::BTreeSet;

use diesel::{
    dsl::{auto_type, exists, not},
    prelude::*,
};

use super::{
    columns::{Sealed, word_columns},
    connection::Connection,
    permit::{Permit, asks_for_emergency, concerns_emergency},
    schema::{emergency_accesses, groups, members, organizations, standings},
    sealing::{Keys, Place},
    standings::{holds_at, lasts_beyond, lock_organization},
};
use crate::{
    policy::{Kind, Reach, Standing, act, area},
    problem::Problem,
    rules::{
        emergency_accesses::{self as rules, Finding, Opened, State},
        groups::State as Stage,
    },
    values::{Id, Moment},
};

const REASON: &str = "emergency_accesses.reason";
const WORDS: &str = "emergency_accesses.words";

word_columns!(Finding);

/// One clinician's access to one member's record, for `[from_at, until_at)` at most.
#[derive(Clone, Debug)]
pub struct EmergencyAccess {
    pub id: Id,
    pub group: Id,
    pub member: Id,
    /// Who holds it.
    pub account: Id,
    /// `None` once the member's key is gone.
    pub reason: Option<String>,
    pub from_at: Moment,
    pub until_at: Moment,
    pub ended_at: Option<Moment>,
    pub ended_by: Option<Id>,
    /// Until when it has to be reviewed.
    pub due_at: Moment,
    pub state: State,
    pub review: Option<Review>,
    pub version: i32,
}

/// What a privacy officer found, once.
#[derive(Clone, Debug)]
pub struct Review {
    pub by: Id,
    pub at: Moment,
    pub finding: Finding,
    /// `None` once the member's key is gone.
    pub words: Option<String>,
}

/// What those who lead a group learn of one: that it was, and about whom. The reason is the privacy officer's to weigh.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = emergency_accesses)]
pub struct Notice {
    pub id: Id,
    #[diesel(column_name = member_id)]
    pub member: Id,
    #[diesel(column_name = account_id)]
    pub account: Id,
    pub from_at: Moment,
    pub until_at: Moment,
    pub ended_at: Option<Moment>,
}

/// One of the caller's own that runs, with its place.
#[derive(Clone, Debug)]
pub struct OwnRunning {
    pub organization: Id,
    pub organization_name: String,
    pub group: Id,
    pub group_title: String,
    pub member: Id,
    pub from_at: Moment,
    pub until_at: Moment,
}

/// What waits for the caller's review in one organization, and for nobody else's eyes.
#[derive(Clone, Copy, Debug)]
pub struct Unreviewed {
    pub organization: Id,
    pub until_at: Moment,
    pub ended_at: Option<Moment>,
    pub due_at: Moment,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = emergency_accesses)]
struct Row {
    id: Id,
    group_id: Id,
    member_id: Id,
    account_id: Id,
    reason: Sealed,
    from_at: Moment,
    until_at: Moment,
    ended_at: Option<Moment>,
    ended_by: Option<Id>,
    due_at: Moment,
    reviewed: bool,
    reviewed_by: Option<Id>,
    reviewed_at: Option<Moment>,
    finding: Option<Finding>,
    words: Option<Sealed>,
    version: i32,
}

impl Row {
    fn open(self, keys: &Keys, now: Moment) -> Result<EmergencyAccess, Problem> {
        // With the member's key went what was said about them; that it happened, and who judged it how, stays.
        let key = keys.0.get(&self.member_id);
        let said = |place, sealed: &Sealed| key.map(|key| key.open(Place(place, self.id), sealed)).transpose();
        let words = self.words.as_ref().map(|words| said(WORDS, words)).transpose()?.flatten();
        let review = match (self.reviewed_by, self.reviewed_at, self.finding) {
            (Some(by), Some(at), Some(finding)) => Some(Review { by, at, finding, words }),
            _ => None,
        };
        Ok(EmergencyAccess {
            reason: said(REASON, &self.reason)?,
            state: rules::state(self.reviewed, self.until_at, self.ended_at, now),
            id: self.id,
            group: self.group_id,
            member: self.member_id,
            account: self.account_id,
            from_at: self.from_at,
            until_at: self.until_at,
            ended_at: self.ended_at,
            ended_by: self.ended_by,
            due_at: self.due_at,
            review,
            version: self.version,
        })
    }
}

/// The actions that meet an emergency access.
pub trait OnEmergencyAccess: area::Organization {}
impl OnEmergencyAccess for act::ReadEmergencyAccesses {}
impl OnEmergencyAccess for act::EndEmergencyAccess {}
impl OnEmergencyAccess for act::ReviewEmergencyAccess {}

/// It still opens something, beside its group: its time is not over and nobody ended it, the group is not closed, and its
/// holder is a clinician of the organization and not suspended.
#[auto_type]
pub(super) fn is_open_at(at: Moment) -> _ {
    let therapist: Standing = Standing::Therapist;
    let co_therapist: Standing = Standing::CoTherapist;
    let closed: Stage = Stage::Closed;
    let holds: holds_at = holds_at(at);
    let clinical = standings::table
        .filter(standings::account_id.eq(emergency_accesses::account_id))
        .filter(standings::organization_id.eq(emergency_accesses::organization_id))
        .filter(standings::standing.eq(therapist).or(standings::standing.eq(co_therapist)))
        .filter(holds);
    emergency_accesses::until_at
        .gt(at)
        .and(emergency_accesses::ended_at.is_null())
        .and(groups::state.ne(closed))
        .and(exists(clinical))
}

/// The row in the version that was read.
#[auto_type(no_type_alias)]
fn unchanged(id: Id, version: i32) -> _ {
    emergency_accesses::table.filter(emergency_accesses::id.eq(id)).filter(emergency_accesses::version.eq(version))
}

/// The zone of the group, where this is a member of a therapist-led group of the organization that is not closed. One
/// query, whatever of it does not fit.
pub fn find_zone(
    connection: &mut Connection,
    permit: &Permit<act::OpenEmergencyAccess>,
    wanted: Opened,
) -> Result<Option<String>, Problem> {
    let zone: Option<String> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .filter(members::id.eq(wanted.member))
        .filter(members::group_id.eq(wanted.group))
        .filter(members::erased_at.is_null())
        .filter(groups::organization_id.eq(permit.organization()))
        .filter(groups::kind.eq(Kind::TherapistLed))
        .filter(groups::state.ne(Stage::Closed))
        .select(groups::zone)
        .first(connection.with(permit))
        .optional()?;
    asks_for_emergency(connection, permit, zone.is_some().then_some((wanted.group, wanted.member)));
    Ok(zone)
}

/// Whether somebody else is there to review what the caller opens.
pub fn has_reviewer(connection: &mut Connection, permit: &Permit<act::OpenEmergencyAccess>) -> Result<bool, Problem> {
    let now = connection.now;
    let officer: Option<Id> = standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::standing.eq(Standing::PrivacyOfficer))
        .filter(standings::account_id.ne(permit.account()))
        .filter(holds_at(now))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(officer.is_some())
}

/// Whether something that the caller opened waits for its review.
pub fn awaits_review(connection: &mut Connection, permit: &Permit<act::CloseAccount>) -> Result<bool, Problem> {
    let waiting: Option<Id> = emergency_accesses::table
        .filter(emergency_accesses::account_id.eq(permit.account()))
        .filter(emergency_accesses::reviewed.eq(false))
        .select(emergency_accesses::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(waiting.is_some())
}

/// Whether the caller stands in the group by themselves: in a term, or as a member now or before.
pub fn stands_in(
    connection: &mut Connection,
    permit: &Permit<act::OpenEmergencyAccess>,
    group: Id,
) -> Result<bool, Problem> {
    let now = connection.now;
    let term: Option<Id> = standings::table
        .filter(standings::account_id.eq(permit.account()))
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::group_id.eq(group))
        .filter(standings::from_at.le(now))
        .filter(lasts_beyond(now))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    let membership: Option<Id> = members::table
        .filter(members::group_id.eq(group))
        .filter(members::account_id.eq(permit.account()))
        .select(members::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(term.is_some() || membership.is_some())
}

/// What the caller has running in the organization. Of two that are opened at once, the second waits here, and then sees
/// the first.
pub fn list_running(
    connection: &mut Connection,
    permit: &Permit<act::OpenEmergencyAccess>,
) -> Result<Vec<Opened>, Problem> {
    lock_organization(connection, permit)?;
    let now = connection.now;
    let rows: Vec<(Id, Id)> = emergency_accesses::table
        .filter(emergency_accesses::account_id.eq(permit.account()))
        .filter(emergency_accesses::organization_id.eq(permit.organization()))
        .filter(emergency_accesses::reviewed.eq(false))
        .filter(emergency_accesses::until_at.gt(now))
        .filter(emergency_accesses::ended_at.is_null())
        .select((emergency_accesses::group_id, emergency_accesses::member_id))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().map(|(group, member)| Opened { group, member }).collect())
}

/// Opens an emergency access from now on.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::OpenEmergencyAccess>,
    opened: Opened,
    reason: &str,
    minutes: i32,
) -> Result<EmergencyAccess, Problem> {
    let (id, now) = (Id::in_order(), connection.now);
    let (until_at, due_at) = (now.plus_minutes(i64::from(minutes)), rules::due_at(now));
    let sealed = connection.keys([opened.member])?.of(opened.member)?.seal(Place(REASON, id), reason);
    diesel::insert_into(emergency_accesses::table)
        .values((
            emergency_accesses::id.eq(id),
            emergency_accesses::organization_id.eq(permit.organization()),
            emergency_accesses::group_id.eq(opened.group),
            emergency_accesses::member_id.eq(opened.member),
            emergency_accesses::account_id.eq(permit.account()),
            emergency_accesses::reason.eq(sealed),
            emergency_accesses::from_at.eq(now),
            emergency_accesses::until_at.eq(until_at),
            emergency_accesses::due_at.eq(due_at),
            emergency_accesses::reviewed.eq(false),
            emergency_accesses::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    concerns_emergency(connection, permit, (opened.group, opened.member), id);
    Ok(EmergencyAccess {
        id,
        group: opened.group,
        member: opened.member,
        account: permit.account(),
        reason: Some(reason.to_owned()),
        from_at: now,
        until_at,
        ended_at: None,
        ended_by: None,
        due_at,
        state: State::Running,
        review: None,
        version: 1,
    })
}

/// Where a list of emergency accesses stands: whether the last one was reviewed, and which it was.
pub type Position = (bool, Id);

/// The organization's emergency accesses, or the caller's own where the permit reaches no further: those that nobody has
/// reviewed first, and the newest first.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadEmergencyAccesses>,
    state: Option<State>,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<EmergencyAccess>, Problem> {
    let now = connection.now;
    let mut query = emergency_accesses::table
        .filter(emergency_accesses::organization_id.eq(permit.organization()))
        .order((emergency_accesses::reviewed, emergency_accesses::id.desc()))
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if permit.reach() == Reach::Own {
        query = query.filter(emergency_accesses::account_id.eq(permit.account()));
    }
    if let Some(state) = state {
        query = query.filter(emergency_accesses::reviewed.eq(state == State::Reviewed));
    }
    let runs = emergency_accesses::ended_at.is_null().and(emergency_accesses::until_at.gt(now));
    query = match state {
        Some(State::Running) => query.filter(runs),
        Some(State::Waiting) => query.filter(not(runs)),
        Some(State::Reviewed) | None => query,
    };
    if let Some((reviewed, id)) = after {
        let further = emergency_accesses::reviewed.eq(reviewed).and(emergency_accesses::id.lt(id));
        query = match reviewed {
            true => query.filter(further),
            false => query.filter(further.or(emergency_accesses::reviewed.eq(true))),
        };
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.member_id))?;
    rows.into_iter().map(|row| row.open(&keys, now)).collect()
}

/// One that the permit reaches.
pub fn find<A: OnEmergencyAccess>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
) -> Result<EmergencyAccess, Problem> {
    let now = connection.now;
    let row: Row = emergency_accesses::table
        .filter(emergency_accesses::id.eq(id))
        .filter(emergency_accesses::organization_id.eq(permit.organization()))
        .select(Row::as_select())
        .first(connection.with(permit))?;
    if permit.reach() == Reach::Own && row.account_id != permit.account() {
        return Err(Problem::NotFound);
    }
    concerns_emergency(connection, permit, (row.group_id, row.member_id), row.id);
    let keys = connection.keys([row.member_id])?;
    row.open(&keys, now)
}

/// Ends one now.
///
/// # Errors
/// `Stale` when somebody else did it at this moment.
pub fn update_end(
    connection: &mut Connection,
    permit: &Permit<act::EndEmergencyAccess>,
    access: EmergencyAccess,
) -> Result<EmergencyAccess, Problem> {
    let (now, by) = (connection.now, permit.account());
    let changed = diesel::update(unchanged(access.id, access.version))
        .set((
            emergency_accesses::ended_at.eq(now),
            emergency_accesses::ended_by.eq(by),
            emergency_accesses::version.eq(access.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    let state = State::Waiting;
    Ok(EmergencyAccess { ended_at: Some(now), ended_by: Some(by), state, version: access.version + 1, ..access })
}

/// Keeps what was found. Where the member's key is gone, words about them are not kept any more: the finding is.
///
/// # Errors
/// `Stale` when somebody else reviewed it at this moment.
pub fn update_review(
    connection: &mut Connection,
    permit: &Permit<act::ReviewEmergencyAccess>,
    access: EmergencyAccess,
    finding: Finding,
    words: &str,
) -> Result<EmergencyAccess, Problem> {
    let (now, by) = (connection.now, permit.account());
    let keys = connection.keys([access.member])?;
    let sealed = keys.0.get(&access.member).map(|key| key.seal(Place(WORDS, access.id), words));
    let words = sealed.as_ref().map(|_| words.to_owned());
    let changed = diesel::update(unchanged(access.id, access.version))
        .set((
            emergency_accesses::reviewed.eq(true),
            emergency_accesses::reviewed_by.eq(by),
            emergency_accesses::reviewed_at.eq(now),
            emergency_accesses::finding.eq(finding),
            emergency_accesses::words.eq(sealed),
            emergency_accesses::version.eq(access.version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    let review = Some(Review { by, at: now, finding, words });
    Ok(EmergencyAccess { review, state: State::Reviewed, version: access.version + 1, ..access })
}

/// Those that opened records of the group, newest first; `before` is the last one that was shown.
pub fn list_notices(
    connection: &mut Connection,
    permit: &Permit<act::ReadEmergencyNotices>,
    before: Option<Id>,
    limit: i64,
) -> Result<Vec<Notice>, Problem> {
    let mut query = emergency_accesses::table
        .filter(emergency_accesses::group_id.eq(permit.group()))
        .order(emergency_accesses::id.desc())
        .limit(limit)
        .select(Notice::as_select())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(emergency_accesses::id.lt(before));
    }
    Ok(query.load(connection.with(permit))?)
}

/// The caller's own that run, in every organization in which they are a clinician now.
pub fn list_own_running(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
) -> Result<Vec<OwnRunning>, Problem> {
    type Found = (Id, String, Id, String, Id, Moment, Moment);
    let now = connection.now;
    let rows: Vec<Found> = emergency_accesses::table
        .inner_join(groups::table.on(groups::id.eq(emergency_accesses::group_id)))
        .inner_join(organizations::table.on(organizations::id.eq(emergency_accesses::organization_id)))
        .filter(emergency_accesses::account_id.eq(permit.account()))
        .filter(is_open_at(now))
        .order(emergency_accesses::id)
        .select((
            organizations::id,
            organizations::name,
            groups::id,
            groups::title,
            emergency_accesses::member_id,
            emergency_accesses::from_at,
            emergency_accesses::until_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(organization, organization_name, group, group_title, member, from_at, until_at)| OwnRunning {
            organization,
            organization_name,
            group,
            group_title,
            member,
            from_at,
            until_at,
        })
        .collect())
}

/// What nobody has reviewed in the organizations where the caller is privacy officer now, their own left out: those wait
/// for another one.
pub fn list_unreviewed(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
) -> Result<Vec<Unreviewed>, Problem> {
    let now = connection.now;
    // Somebody may hold the office twice.
    let offices: BTreeSet<Id> = standings::table
        .filter(standings::account_id.eq(permit.account()))
        .filter(standings::standing.eq(Standing::PrivacyOfficer))
        .filter(holds_at(now))
        .select(standings::organization_id)
        .load::<Id>(connection.with(permit))?
        .into_iter()
        .collect();
    let mut unreviewed = Vec::new();
    for organization in offices {
        let rows: Vec<(Moment, Option<Moment>, Moment)> = emergency_accesses::table
            .filter(emergency_accesses::organization_id.eq(organization))
            .filter(emergency_accesses::reviewed.eq(false))
            .filter(emergency_accesses::account_id.ne(permit.account()))
            .select((emergency_accesses::until_at, emergency_accesses::ended_at, emergency_accesses::due_at))
            .load(connection.with(&permit.in_organization(organization)))?;
        let found = |(until_at, ended_at, due_at)| Unreviewed { organization, until_at, ended_at, due_at };
        unreviewed.extend(rows.into_iter().map(found));
    }
    Ok(unreviewed)
}
