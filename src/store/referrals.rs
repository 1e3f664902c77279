//! Referrals, each sealed under a key of its own, and the public listing of the groups that somebody can ask to join.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    columns::{Json, Sealed, word_columns},
    connection::Connection,
    keys,
    members::end_waiting,
    permit::{Permit, concerns},
    schema::{accounts, agreements, groups, invitations, members, peer_settings, referrals, sessions, standings},
    sealing::{DataKey, Place},
};
use crate::{
    identity::hash_of,
    policy::{Kind, act, area},
    problem::Problem,
    rules::{
        agreements::Purpose,
        breaches::BreachPolicy,
        groups::{BillingPeriod, Format, Insurance, RecordingPolicy, State as GroupState},
        referrals::{State, is_for, is_in_language},
        sessions::State as SessionState,
    },
    values::{Id, Moment},
};

const SHARED: &str = "referrals.shared";
const ANSWER: &str = "referrals.answer";
const CODE: &str = "referrals.code";

word_columns!(State);

/// What somebody chose to tell the group that they ask.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Shared {
    pub name: Option<String>,
    pub contact: Option<String>,
    pub reason: Option<String>,
}

/// The code with which a sender joins, and until when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Code {
    pub code: String,
    pub expires_at: Moment,
}

/// A referral without its texts, and without who sent it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = referrals)]
pub struct Referral {
    pub id: Id,
    /// The group that is asked.
    #[diesel(column_name = group_id)]
    pub group: Id,
    pub state: State,
    pub sent_at: Moment,
    pub answered_at: Option<Moment>,
}

/// A referral with its texts. The code is for its sender alone.
#[derive(Clone, Debug)]
pub struct Opened {
    pub referral: Referral,
    pub shared: Shared,
    pub answer: Option<String>,
    pub code: Option<Code>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = referrals)]
struct Texts {
    id: Id,
    shared: Option<Sealed>,
    answer: Option<Sealed>,
    code: Option<Sealed>,
}

impl Texts {
    fn open(self, referral: Referral, key: Option<&DataKey>) -> Result<Opened, Problem> {
        let text = |column, sealed: Option<Sealed>| match (sealed, key) {
            (Some(sealed), Some(key)) => key.open(Place(column, self.id), &sealed).map(Some),
            _ => Ok(None),
        };
        let unreadable = |_| Problem::Internal("a kept referral cannot be read".into());
        let shared = text(SHARED, self.shared)?;
        let code = text(CODE, self.code)?;
        Ok(Opened {
            referral,
            shared: shared.map_or(Ok(Shared::default()), |kept| serde_json::from_str(&kept)).map_err(unreadable)?,
            answer: text(ANSWER, self.answer)?,
            code: code.map(|kept| serde_json::from_str(&kept)).transpose().map_err(unreadable)?,
        })
    }
}

fn written<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|_| Problem::Internal("a referral cannot be written".into()))
}

/// Lets the sender do one thing after the other: whoever counts their referrals counts right.
pub fn lock_own(connection: &mut Connection, permit: &Permit<act::SendReferral>) -> Result<(), Problem> {
    diesel::update(accounts::table.find(permit.account()))
        .set(accounts::version.eq(accounts::version))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Whether somebody can ask this group: it is led by therapists, open, and open to joining.
pub fn is_asked(connection: &mut Connection, permit: &Permit<act::SendReferral>, group: Id) -> Result<bool, Problem> {
    let found: Option<Id> = groups::table
        .filter(groups::id.eq(group))
        .filter(groups::kind.eq(Kind::TherapistLed))
        .filter(groups::state.eq(GroupState::Open))
        .filter(groups::open_to_joining.eq(true))
        .select(groups::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(found.is_some())
}

/// Whether the caller belongs to the group or leads it, or did.
pub fn stands_there(
    connection: &mut Connection,
    permit: &Permit<act::SendReferral>,
    group: Id,
) -> Result<bool, Problem> {
    let belongs: Option<Id> = members::table
        .filter(members::account_id.eq(permit.account()))
        .filter(members::group_id.eq(group))
        .select(members::id)
        .first(connection.with(permit))
        .optional()?;
    let now = connection.now;
    let leads: Option<Id> = standings::table
        .filter(standings::account_id.eq(permit.account()))
        .filter(standings::group_id.eq(group))
        .filter(standings::until_at.is_null().or(standings::until_at.gt(now)))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(belongs.is_some() || leads.is_some())
}

/// The groups that have not answered the caller yet.
pub fn list_open(connection: &mut Connection, permit: &Permit<act::SendReferral>) -> Result<Vec<Id>, Problem> {
    Ok(referrals::table
        .filter(referrals::account_id.eq(permit.account()))
        .filter(referrals::state.eq(State::Sent))
        .select(referrals::group_id)
        .load(connection.with(permit))?)
}

/// Sends what the caller chose to share.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::SendReferral>,
    group: Id,
    shared: &Shared,
) -> Result<Referral, Problem> {
    let id = Id::random();
    let keys = connection.new_keys(&[id])?;
    let sealed = keys.of(id)?.seal(Place(SHARED, id), &written(shared)?);
    let referral = Referral { id, group, state: State::Sent, sent_at: connection.now, answered_at: None };
    diesel::insert_into(referrals::table)
        .values((
            referrals::id.eq(id),
            referrals::group_id.eq(group),
            referrals::account_id.eq(permit.account()),
            referrals::shared.eq(sealed),
            referrals::state.eq(referral.state),
            referrals::sent_at.eq(referral.sent_at),
            referrals::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    Ok(referral)
}

/// The caller's own referrals, withdrawn ones too, by id after `after`.
pub fn list_own(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Referral>, Problem> {
    let mut query = referrals::table
        .filter(referrals::account_id.eq(permit.account()))
        .order(referrals::id)
        .limit(limit)
        .select(Referral::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(referrals::id.gt(after));
    }
    Ok(query.load(connection.with(permit))?)
}

/// One of the caller's own, with its texts.
pub fn find_own<A: area::Account>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Opened, Problem> {
    let (referral, texts): (Referral, Texts) = referrals::table
        .filter(referrals::id.eq(id))
        .filter(referrals::account_id.eq(permit.account()))
        .select((Referral::as_select(), Texts::as_select()))
        .first(connection.with(permit))?;
    let keys = connection.keys([id])?;
    texts.open(referral, keys.of(id).ok())
}

/// Takes a referral back: its texts are gone with their key, and so is the membership that nobody has signed up to.
pub fn withdraw(connection: &mut Connection, permit: &Permit<act::SendReferral>, id: Id) -> Result<(), Problem> {
    let own = referrals::table.filter(referrals::id.eq(id)).filter(referrals::account_id.eq(permit.account()));
    // Whoever answers at this moment is waited for, so that no code is left behind.
    diesel::update(own).set(referrals::version.eq(referrals::version + 1)).execute(connection.with(permit))?;
    let kept = find_own(connection, permit, id)?;
    if let Some(Code { code, .. }) = &kept.code {
        let member: Option<Id> = invitations::table
            .filter(invitations::code_hash.eq(hash_of(code)))
            .select(invitations::member_id)
            .first(connection.with(permit))?;
        if let Some(member) = member {
            end_invitation(connection, permit, member)?;
        }
    }
    diesel::update(own)
        .set((
            referrals::state.eq(State::Withdrawn),
            referrals::shared.eq(None::<Sealed>),
            referrals::answer.eq(None::<Sealed>),
            referrals::code.eq(None::<Sealed>),
        ))
        .execute(connection.with(permit))?;
    keys::remove(connection.with(permit), id)
}

/// Takes back what an acceptance gave, and a newer code in its place too.
fn end_invitation(connection: &mut Connection, permit: &Permit<act::SendReferral>, member: Id) -> Result<(), Problem> {
    let now = connection.now;
    diesel::update(
        invitations::table
            .filter(invitations::member_id.eq(member))
            .filter(invitations::accepted_at.is_null())
            .filter(invitations::revoked_at.is_null()),
    )
    .set(invitations::revoked_at.eq(now))
    .execute(connection.with(permit))?;
    end_waiting(connection, permit, member)
}

/// What was sent to the group and not withdrawn, by id after `after`.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadReferrals>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Referral>, Problem> {
    let mut query = referrals::table
        .filter(referrals::group_id.eq(permit.group()))
        .filter(referrals::state.ne(State::Withdrawn))
        .order(referrals::id)
        .limit(limit)
        .select(Referral::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(referrals::id.gt(after));
    }
    Ok(query.load(connection.with(permit))?)
}

/// One that was sent to the group, without its code.
///
/// # Errors
/// `NotFound` for one that was withdrawn, too.
pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Opened, Problem> {
    concerns(connection, permit, None, Some(id));
    let (referral, texts): (Referral, Texts) = referrals::table
        .filter(referrals::id.eq(id))
        .filter(referrals::group_id.eq(permit.group()))
        .filter(referrals::state.ne(State::Withdrawn))
        .select((Referral::as_select(), Texts::as_select()))
        .first(connection.with(permit))?;
    let keys = connection.keys([id])?;
    texts.open(referral, keys.of(id).ok()).map(|opened| Opened { code: None, ..opened })
}

/// Makes whoever answers or withdraws this referral wait until this transaction ends.
pub fn lock(connection: &mut Connection, permit: &Permit<act::AnswerReferral>, id: Id) -> Result<(), Problem> {
    diesel::update(referrals::table.filter(referrals::id.eq(id)).filter(referrals::group_id.eq(permit.group())))
        .set(referrals::version.eq(referrals::version))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Answers: with a code where the group says yes. `member`: the membership that waits for the sender.
pub fn update_answer(
    connection: &mut Connection,
    permit: &Permit<act::AnswerReferral>,
    id: Id,
    message: Option<&str>,
    accepted: Option<(Id, Code)>,
) -> Result<(), Problem> {
    let keys = connection.keys([id])?;
    let key = keys.of(id)?;
    let state = if accepted.is_some() { State::Accepted } else { State::Declined };
    let (member, code) = accepted.unzip();
    let code = code.map(|code| Ok::<_, Problem>(key.seal(Place(CODE, id), &written(&code)?))).transpose()?;
    let now = connection.now;
    let changed = diesel::update(
        referrals::table
            .filter(referrals::id.eq(id))
            .filter(referrals::group_id.eq(permit.group()))
            .filter(referrals::state.eq(State::Sent)),
    )
    .set((
        referrals::state.eq(state),
        referrals::answer.eq(message.map(|message| key.seal(Place(ANSWER, id), message))),
        referrals::code.eq(code),
        referrals::answered_at.eq(now),
        referrals::version.eq(referrals::version + 1),
    ))
    .execute(connection.with(permit))?;
    concerns(connection, permit, member, Some(id));
    if changed == 0 { Err(Problem::Conflict("The referral was answered already.".into())) } else { Ok(()) }
}

/// A group that somebody can ask to join, as everybody may read of it.
#[derive(Clone, Debug)]
pub struct Listing {
    pub id: Id,
    pub kind: Kind,
    pub title: String,
    pub public_description: String,
    pub conditions: Vec<String>,
    pub approaches: Vec<String>,
    pub format: Format,
    pub place: Option<String>,
    pub language: String,
    pub zone: String,
    pub fee: Option<(i64, String, BillingPeriod)>,
    pub insurance: Option<Insurance>,
    pub recording_policy: RecordingPolicy,
    pub breach_policy: Option<BreachPolicy>,
    /// The current version of each agreement.
    pub agreements: Vec<Agreement>,
    pub next_session: Option<NextSession>,
}

/// The current version of a consent form or of ground rules.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = agreements)]
pub struct Agreement {
    group_id: Id,
    pub purpose: Purpose,
    pub number: i32,
    pub title: String,
    pub published_at: Moment,
}

/// When a group meets next.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct NextSession {
    group_id: Id,
    pub starts_at: Moment,
    pub starts_local: String,
    pub zone: String,
    pub minutes: i32,
}

/// What a listing is asked for; everything that is not said fits.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub kind: Option<Kind>,
    pub format: Option<Format>,
    pub condition: Option<String>,
    /// A language, which finds its varieties as well.
    pub language: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = groups)]
struct ListedGroup {
    id: Id,
    kind: Kind,
    title: String,
    public_description: String,
    conditions: Json,
    approaches: Json,
    format: Format,
    place: Option<String>,
    language: String,
    zone: String,
    fee_minor: Option<i64>,
    fee_currency: Option<String>,
    fee_period: Option<BillingPeriod>,
    insurance: Option<Insurance>,
    recording_policy: RecordingPolicy,
}

impl ListedGroup {
    fn fits(&self, asked: &Asked) -> bool {
        let is_for = |condition: &String| is_for(&self.conditions.value::<Vec<String>>(), condition);
        let is_in = |language: &String| is_in_language(&self.language, language);
        asked.condition.as_ref().is_none_or(is_for) && asked.language.as_ref().is_none_or(is_in)
    }

    fn shown(self) -> Listing {
        let fee = match (self.fee_minor, self.fee_currency, self.fee_period) {
            (Some(minor), Some(currency), Some(period)) => Some((minor, currency, period)),
            _ => None,
        };
        Listing {
            id: self.id,
            kind: self.kind,
            title: self.title,
            public_description: self.public_description,
            conditions: self.conditions.value(),
            approaches: self.approaches.value(),
            format: self.format,
            // Of a group that meets online it may be the way in.
            place: self.place.filter(|_| self.format == Format::InPerson),
            language: self.language,
            zone: self.zone,
            fee,
            insurance: self.insurance,
            recording_policy: self.recording_policy,
            breach_policy: None,
            agreements: Vec::new(),
            next_session: None,
        }
    }
}

/// Groups read from the database at once while looking for those that fit.
const BATCH: i64 = 200;
/// Days in which a group that meets at all meets next.
const NEXT_WITHIN_DAYS: i64 = 62;

/// The open groups that are open to joining, by id after `after`. No permit can stand before it: everybody may read it.
pub fn list_joinable(
    connection: &mut Connection,
    asked: &Asked,
    after: Option<Id>,
    limit: usize,
) -> Result<Vec<Listing>, Problem> {
    let now = connection.now;
    let database = connection.before_any_permit();
    let (mut found, mut after) = (Vec::new(), after);
    // Conditions are a list within a column, so they are looked through here.
    while found.len() < limit {
        let mut query = groups::table
            .filter(groups::open_to_joining.eq(true))
            .filter(groups::state.eq(GroupState::Open))
            .order(groups::id)
            .limit(BATCH)
            .select(ListedGroup::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(groups::id.gt(after));
        }
        if let Some(kind) = asked.kind {
            query = query.filter(groups::kind.eq(kind));
        }
        if let Some(format) = asked.format {
            query = query.filter(groups::format.eq(format));
        }
        let batch: Vec<ListedGroup> = query.load(database)?;
        let is_last = (batch.len() as i64) < BATCH;
        after = batch.last().map(|group| group.id);
        found.extend(batch.into_iter().filter(|group| group.fits(asked)).map(ListedGroup::shown));
        if is_last {
            break;
        }
    }
    found.truncate(limit);
    let ids: Vec<Id> = found.iter().map(|listing| listing.id).collect();
    let versions: Vec<Agreement> = agreements::table
        .filter(agreements::group_id.eq_any(&ids))
        .order((agreements::group_id, agreements::purpose, agreements::number))
        .select(Agreement::as_select())
        .load(database)?;
    let newest: HashMap<(Id, Purpose), Agreement> =
        versions.into_iter().map(|version| ((version.group_id, version.purpose), version)).collect();
    let policies: Vec<(Id, BreachPolicy)> = peer_settings::table
        .filter(peer_settings::group_id.eq_any(&ids))
        .select((peer_settings::group_id, peer_settings::breach_policy))
        .load(database)?;
    let policies: HashMap<Id, BreachPolicy> = policies.into_iter().collect();
    let coming: Vec<NextSession> = sessions::table
        .filter(sessions::group_id.eq_any(&ids))
        .filter(sessions::starts_at.gt(now))
        .filter(sessions::starts_at.lt(now.plus_days(NEXT_WITHIN_DAYS)))
        .filter(sessions::state.eq(SessionState::Scheduled))
        .order(sessions::starts_at.desc())
        .select(NextSession::as_select())
        .load(database)?;
    let mut next: HashMap<Id, NextSession> = coming.into_iter().map(|session| (session.group_id, session)).collect();
    for listing in &mut found {
        listing.breach_policy = policies.get(&listing.id).copied();
        let current = Purpose::ALL.iter().filter_map(|purpose| newest.get(&(listing.id, *purpose)).cloned());
        listing.agreements = current.collect();
        listing.next_session = next.remove(&listing.id);
    }
    Ok(found)
}
