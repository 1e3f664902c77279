//! Availability, offers of terms, hand-over notes, and service by month.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::{dsl::not, prelude::*};

use super::{
    columns::{Sealed, word_columns},
    connection::{Connection, insert_many, insert_unless_there},
    members as kept_members,
    permit::{Permit, concerns},
    schema::{
        absences, hand_overs, members, membership_intervals, services, sessions, standings, suspensions, term_offers,
    },
    sealing::Place,
    standings::{Term, has_length, is_suspended, lasts_beyond},
};
use crate::{
    policy::{Standing, act, area},
    problem::Problem,
    rules::{
        members::State as MemberState,
        rota::{Absence, Candidate, FAIR_DAYS, MOST_SERVICES, OfferState, Service, month_of},
        sessions::State,
    },
    values::{Day, Id, Moment},
};

const HAND_OVER: &str = "hand_overs.text";

word_columns!(OfferState, Service);

/// Whether a member can be proposed, and when not. Their own alone.
#[derive(Clone, Debug)]
pub struct Availability {
    pub willing: bool,
    /// By their first day.
    pub absences: Vec<Absence>,
}

/// A session that is planned.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Planned {
    pub id: Id,
    pub starts_at: Moment,
    /// Of its length.
    pub minutes: i32,
}

/// An offer to facilitate one session.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = term_offers)]
pub struct Offer {
    pub id: Id,
    pub session_id: Id,
    pub to_member_id: Id,
    /// The term that is handed over; none for a session that nobody facilitates.
    pub term_id: Option<Id>,
    /// The term that is given for it.
    pub in_return_id: Option<Id>,
    pub state: OfferState,
    pub offered_by: Id,
    pub offered_at: Moment,
    pub version: i32,
}

/// What is to be offered.
pub struct Offered {
    pub session: Id,
    pub to: Id,
    pub term: Option<Id>,
    pub in_return: Option<Id>,
}

/// What whoever facilitated a session leaves for the next.
#[derive(Clone, Debug)]
pub struct HandOver {
    pub session: Id,
    pub text: String,
    pub written_at: Moment,
    pub version: i32,
}

/// What a member has done for the group in one month: how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    pub greeted: i32,
    pub set_up: i32,
    pub facilitated: i32,
}

fn own_member<A: area::Group>(permit: &Permit<A>) -> Result<Id, Problem> {
    permit.only_member()?.ok_or(Problem::NotFound)
}

/// The caller's own.
pub fn find_availability(
    connection: &mut Connection,
    permit: &Permit<act::SetAvailability>,
) -> Result<Availability, Problem> {
    let own = own_member(permit)?;
    let willing = members::table
        .filter(members::id.eq(own))
        .filter(members::group_id.eq(permit.group()))
        .select(members::willing)
        .first(connection.with(permit))?;
    let days: Vec<(Day, Day)> = absences::table
        .filter(absences::member_id.eq(own))
        .filter(absences::group_id.eq(permit.group()))
        .order((absences::from_on, absences::until_on))
        .select((absences::from_on, absences::until_on))
        .load(connection.with(permit))?;
    let absences = days.into_iter().map(|(from_on, until_on)| Absence { from_on, until_on }).collect();
    Ok(Availability { willing, absences })
}

/// Puts this in the place of what the caller said before.
pub fn update_availability(
    connection: &mut Connection,
    permit: &Permit<act::SetAvailability>,
    availability: &Availability,
) -> Result<(), Problem> {
    let (own, group) = (own_member(permit)?, permit.group());
    diesel::update(members::table.filter(members::id.eq(own)).filter(members::group_id.eq(group)))
        .set(members::willing.eq(availability.willing))
        .execute(connection.with(permit))?;
    diesel::delete(absences::table.filter(absences::member_id.eq(own)).filter(absences::group_id.eq(group)))
        .execute(connection.with(permit))?;
    let rows: Vec<_> = availability
        .absences
        .iter()
        .map(|absence| {
            (
                absences::id.eq(Id::random()),
                absences::group_id.eq(group),
                absences::member_id.eq(own),
                absences::from_on.eq(absence.from_on),
                absences::until_on.eq(absence.until_on),
            )
        })
        .collect();
    insert_many!(connection.with(permit), absences::table, &rows)?;
    Ok(())
}

/// The group's planned sessions from `from` (included) until `until`, in order of time, after a position.
pub fn list_planned<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    from: Moment,
    until: Option<Moment>,
    after: Option<(Moment, Id)>,
    limit: i64,
) -> Result<Vec<Planned>, Problem> {
    let mut query = sessions::table
        .filter(sessions::group_id.eq(permit.group()))
        .filter(sessions::state.eq(State::Scheduled))
        .filter(sessions::starts_at.ge(from))
        .order((sessions::starts_at, sessions::id))
        .limit(limit)
        .select(Planned::as_select())
        .into_boxed();
    if let Some(until) = until {
        query = query.filter(sessions::starts_at.lt(until));
    }
    if let Some((at, id)) = after {
        query = query.filter(sessions::starts_at.ge(at)).filter(sessions::starts_at.gt(at).or(sessions::id.gt(id)));
    }
    Ok(query.load(connection.with(permit))?)
}

/// The accounts that facilitate each of these sessions: those whose term is bound to it, and those whose term has an
/// end and covers its beginning. Whoever facilitates without an end does not stand for any one session.
pub fn list_facilitators<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    planned: &[Planned],
) -> Result<HashMap<Id, Vec<Id>>, Problem> {
    let now = connection.now;
    let ids: Vec<Id> = planned.iter().map(|session| session.id).collect();
    let bound = list_bound(connection, permit, &ids)?;
    let covering: Vec<(Id, Moment, Option<Moment>)> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::standing.eq(Standing::Facilitator))
        .filter(standings::session_id.is_null())
        .filter(standings::until_at.is_not_null())
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
        .order(standings::id)
        .select((standings::account_id, standings::from_at, standings::until_at))
        .load(connection.with(permit))?;
    let of_session = |session: &Planned| {
        let covers = |from: &Moment, until: &Option<Moment>| {
            *from <= session.starts_at && until.is_some_and(|until| session.starts_at < until)
        };
        let bound = bound.iter().filter(|term| term.session == Some(session.id)).map(|term| term.account);
        let covering = covering.iter().filter(|(_, from, until)| covers(from, until)).map(|(account, ..)| *account);
        let mut accounts: Vec<Id> = Vec::new();
        for account in bound.chain(covering) {
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        (session.id, accounts)
    };
    Ok(planned.iter().map(of_session).collect())
}

/// The terms that are bound to one of these sessions, and have not ended. Their holders stand in the rota for
/// everybody here to read, so this is not held to the one session of a permit.
pub fn list_bound<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    sessions: &[Id],
) -> Result<Vec<Term>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::session_id.eq_any(sessions))
        .filter(standings::group_id.eq(permit.group()))
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
        .order(standings::id)
        .select(Term::as_select())
        .load(connection.with(permit))?)
}

/// The accounts that facilitated the last session that began before now.
pub fn list_last_facilitators(
    connection: &mut Connection,
    permit: &Permit<act::ProposeRota>,
) -> Result<Vec<Id>, Problem> {
    let now = connection.now;
    let last: Option<(Id, Option<Id>)> = sessions::table
        .filter(sessions::group_id.eq(permit.group()))
        .filter(sessions::starts_at.le(now))
        .filter(sessions::state.ne(State::Cancelled))
        .order((sessions::starts_at.desc(), sessions::id.desc()))
        .select((sessions::id, sessions::led_by))
        .first(connection.with(permit))
        .optional()?;
    let Some((session, led_by)) = last else { return Ok(Vec::new()) };
    let mut accounts: Vec<Id> = standings::table
        .filter(standings::session_id.eq(session))
        .filter(standings::group_id.eq(permit.group()))
        .filter(has_length())
        .select(standings::account_id)
        .load(connection.with(permit))?;
    accounts.extend(led_by);
    Ok(accounts)
}

/// The memberships that answer to these accounts, where they belong to the group now.
pub fn list_memberships<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    accounts: &[Id],
) -> Result<HashMap<Id, Id>, Problem> {
    let belonging: Vec<MemberState> = MemberState::ALL.iter().copied().filter(|state| state.takes_a_place()).collect();
    let rows: Vec<(Option<Id>, Id)> = members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::account_id.eq_any(accounts))
        .filter(members::state.eq_any(belonging))
        .select((members::account_id, members::id))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().filter_map(|(account, member)| Some((account?, member))).collect())
}

/// Who could be asked to facilitate these sessions: the members who are active, willing and have an account, with all
/// that decides between them.
pub fn list_candidates(
    connection: &mut Connection,
    permit: &Permit<act::ProposeRota>,
    sessions: &[Id],
) -> Result<Vec<Candidate>, Problem> {
    let (group, now) = (permit.group(), connection.now);
    let rows: Vec<(Id, Option<Id>, Option<Moment>)> = members::table
        .filter(members::group_id.eq(group))
        .filter(members::state.eq(MemberState::Active))
        .filter(members::willing.eq(true))
        .filter(members::account_id.is_not_null())
        .select((members::id, members::account_id, members::barred_until))
        .load(connection.with(permit))?;
    if rows.is_empty() || sessions.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
    let accounts: Vec<Id> = rows.iter().filter_map(|row| row.1).collect();
    let suspended: Vec<Id> = suspensions::table
        .filter(suspensions::organization_id.eq(permit.organization_of_group()))
        .filter(suspensions::account_id.eq_any(&accounts))
        .filter(suspensions::until_at.is_null())
        .select(suspensions::account_id)
        .load(connection.with(permit))?;
    let active: Vec<(Id, Moment)> = membership_intervals::table
        .filter(membership_intervals::member_id.eq_any(&ids))
        .filter(membership_intervals::group_id.eq(group))
        .filter(membership_intervals::state.eq(MemberState::Active))
        .select((membership_intervals::member_id, membership_intervals::from_at))
        .load(connection.with(permit))?;
    let away: Vec<(Id, Day, Day)> = absences::table
        .filter(absences::group_id.eq(group))
        .filter(absences::until_on.ge(now.day_in(permit.zone())))
        .select((absences::member_id, absences::from_on, absences::until_on))
        .load(connection.with(permit))?;
    let asked: Vec<(Id, Id)> = term_offers::table
        .filter(term_offers::session_id.eq_any(sessions))
        .filter(term_offers::group_id.eq(group))
        .filter(term_offers::state.eq_any(vec![OfferState::Open, OfferState::Declined]))
        .select((term_offers::to_member_id, term_offers::session_id))
        .load(connection.with(permit))?;
    let held: Vec<Id> = standings::table
        .filter(standings::group_id.eq(group))
        .filter(standings::account_id.eq_any(&accounts))
        .filter(standings::standing.eq(Standing::Facilitator))
        .filter(lasts_beyond(now.plus_days(-FAIR_DAYS)))
        .select(standings::account_id)
        .load(connection.with(permit))?;
    let suspended: HashSet<Id> = suspended.into_iter().collect();
    Ok(rows
        .into_iter()
        .filter_map(|(member, account, barred_until)| {
            let account = account.filter(|account| !suspended.contains(account))?;
            let since = active.iter().filter(|(of, _)| *of == member).map(|(_, from_at)| *from_at).min()?;
            Some(Candidate {
                member,
                active_on: since.day_in(permit.zone()),
                barred_until,
                absences: away
                    .iter()
                    .filter(|(of, ..)| *of == member)
                    .map(|(_, from_on, until_on)| Absence { from_on: *from_on, until_on: *until_on })
                    .collect(),
                asked: asked.iter().filter(|(of, _)| *of == member).map(|(_, session)| *session).collect(),
                terms: held.iter().filter(|holder| **holder == account).count(),
            })
        })
        .collect())
}

/// The account and the state behind a member of the group; none where nobody answers to it.
pub fn find_receiver<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<Option<(Id, MemberState)>, Problem> {
    let found: Option<(Option<Id>, MemberState)> = members::table
        .filter(members::id.eq(member))
        .filter(members::group_id.eq(permit.group()))
        .select((members::account_id, members::state))
        .first(connection.with(permit))
        .optional()?;
    Ok(found.and_then(|(account, state)| Some((account?, state))))
}

/// Whether an account that belongs to the group may take a term in it now: active, and not barred. Whoever never was a
/// member facilitates as a guest.
pub fn can_take<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, account: Id) -> Result<bool, Problem> {
    let found: Option<(MemberState, Option<Moment>)> = members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::account_id.eq(account))
        .select((members::state, members::barred_until))
        .first(connection.with(permit))
        .optional()?;
    let now = connection.now;
    Ok(found.is_none_or(|(state, barred_until)| {
        state == MemberState::Active && barred_until.is_none_or(|until| until <= now)
    }))
}

/// Whether an account leads the group, or will, so that what it offers counts.
pub fn leads<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, account: Id) -> Result<bool, Problem> {
    let now = connection.now;
    let found: Option<Id> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::account_id.eq(account))
        .filter(standings::session_id.is_null())
        .filter(standings::standing.eq_any(vec![Standing::Steward, Standing::Facilitator]))
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(found.is_some())
}

/// The account's term for another session that is still to come.
pub fn find_return(
    connection: &mut Connection,
    permit: &Permit<act::OfferTerm>,
    account: Id,
    session: Id,
) -> Result<Option<Id>, Problem> {
    let now = connection.now;
    let to_come: Option<Id> = sessions::table
        .filter(sessions::id.eq(session))
        .filter(sessions::group_id.eq(permit.group()))
        .filter(sessions::state.eq(State::Scheduled))
        .filter(sessions::starts_at.gt(now))
        .select(sessions::id)
        .first(connection.with(permit))
        .optional()?;
    let Some(session) = to_come else { return Ok(None) };
    let terms = list_bound(connection, permit, &[session])?;
    Ok(terms.into_iter().find(|term| term.account == account).map(|term| term.id))
}

/// Keeps an offer.
///
/// # Errors
/// `Conflict` when this member has an open offer for this session.
pub fn insert_offer(
    connection: &mut Connection,
    permit: &Permit<act::OfferTerm>,
    offered: &Offered,
) -> Result<Offer, Problem> {
    permit.reaches_session(offered.session)?;
    let open: i64 = term_offers::table
        .filter(term_offers::session_id.eq(offered.session))
        .filter(term_offers::group_id.eq(permit.group()))
        .filter(term_offers::to_member_id.eq(offered.to))
        .filter(term_offers::state.eq(OfferState::Open))
        .count()
        .get_result(connection.with(permit))?;
    if open > 0 {
        return Err(Problem::Conflict("This session is offered to them already.".into()));
    }
    let offer = Offer {
        id: Id::random(),
        session_id: offered.session,
        to_member_id: offered.to,
        term_id: offered.term,
        in_return_id: offered.in_return,
        state: OfferState::Open,
        offered_by: permit.account(),
        offered_at: connection.now,
        version: 1,
    };
    diesel::insert_into(term_offers::table)
        .values((
            term_offers::id.eq(offer.id),
            term_offers::group_id.eq(permit.group()),
            term_offers::session_id.eq(offer.session_id),
            term_offers::to_member_id.eq(offer.to_member_id),
            term_offers::term_id.eq(offer.term_id),
            term_offers::in_return_id.eq(offer.in_return_id),
            term_offers::state.eq(offer.state),
            term_offers::offered_by.eq(offer.offered_by),
            term_offers::offered_at.eq(offer.offered_at),
            term_offers::version.eq(offer.version),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, Some(offered.to), Some(offer.id));
    Ok(offer)
}

/// The offers that the permit reaches, newest first: all of the group, or those made to the caller and by them.
pub fn list_offers(
    connection: &mut Connection,
    permit: &Permit<act::ReadOffers>,
    before: Option<(Moment, Id)>,
    limit: i64,
) -> Result<Vec<Offer>, Problem> {
    let mut query = term_offers::table
        .filter(term_offers::group_id.eq(permit.group()))
        .order((term_offers::offered_at.desc(), term_offers::id.desc()))
        .limit(limit)
        .select(Offer::as_select())
        .into_boxed();
    if let Some(own) = permit.only_member()? {
        query = query.filter(term_offers::to_member_id.eq(own).or(term_offers::offered_by.eq(permit.account())));
    }
    if let Some((at, id)) = before {
        query = query
            .filter(term_offers::offered_at.le(at))
            .filter(term_offers::offered_at.lt(at).or(term_offers::id.lt(id)));
    }
    Ok(query.load(connection.with(permit))?)
}

/// Refuses an offer between others as if it did not exist, where the permit reaches only one's own.
fn reaches_offer<A: area::Group>(permit: &Permit<A>, offer: &Offer) -> Result<(), Problem> {
    if offer.offered_by == permit.account() {
        return Ok(());
    }
    permit.reaches_member(offer.to_member_id)
}

/// An offer that the permit reaches: any of the group, or one made to the caller or by them.
pub fn find_offer<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Offer, Problem> {
    let offer: Offer = term_offers::table
        .filter(term_offers::id.eq(id))
        .filter(term_offers::group_id.eq(permit.group()))
        .select(Offer::as_select())
        .first(connection.with(permit))?;
    reaches_offer(permit, &offer)?;
    concerns(connection, permit, Some(offer.to_member_id), Some(id));
    Ok(offer)
}

/// The sessions to which these terms of the group are bound.
pub fn list_sessions_of_terms<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    terms: &[Id],
) -> Result<HashMap<Id, Id>, Problem> {
    if terms.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Id, Option<Id>)> = standings::table
        .filter(standings::id.eq_any(terms))
        .filter(standings::group_id.eq(permit.group()))
        .select((standings::id, standings::session_id))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().filter_map(|(term, session)| Some((term, session?))).collect())
}

/// Closes an open offer.
pub fn update_offer<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    offer: &Offer,
    state: OfferState,
) -> Result<Offer, Problem> {
    reaches_offer(permit, offer)?;
    let now = connection.now;
    let changed = diesel::update(
        term_offers::table
            .filter(term_offers::id.eq(offer.id))
            .filter(term_offers::group_id.eq(permit.group()))
            .filter(term_offers::version.eq(offer.version)),
    )
    .set((term_offers::state.eq(state), term_offers::answered_at.eq(now), term_offers::version.eq(offer.version + 1)))
    .execute(connection.with(permit))?;
    match changed {
        0 => Err(Problem::Conflict("The offer was answered meanwhile.".into())),
        _ => Ok(Offer { state, version: offer.version + 1, ..offer.clone() }),
    }
}

/// Takes back the open offers of these sessions: `by` one account, or all of them where none is named.
pub fn withdraw_offers<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    sessions: &[Id],
    by: Option<Id>,
) -> Result<(), Problem> {
    let now = connection.now;
    let open = term_offers::table
        .filter(term_offers::session_id.eq_any(sessions))
        .filter(term_offers::group_id.eq(permit.group()))
        .filter(term_offers::state.eq(OfferState::Open))
        .select((term_offers::id, term_offers::offered_by));
    let open: Vec<(Id, Id)> = open.load(connection.with(permit))?;
    let ids: Vec<Id> =
        open.into_iter().filter(|(_, maker)| by.is_none_or(|by| by == *maker)).map(|(id, _)| id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    diesel::update(term_offers::table.filter(term_offers::id.eq_any(ids)))
        .set((
            term_offers::state.eq(OfferState::Withdrawn),
            term_offers::answered_at.eq(now),
            term_offers::version.eq(term_offers::version + 1),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Gives a session to an account that has agreed: its term is the session's time.
pub fn insert_term(
    connection: &mut Connection,
    permit: &Permit<act::AnswerOffer>,
    offer: Id,
    account: Id,
    session: &super::sessions::Session,
) -> Result<(), Problem> {
    diesel::insert_into(standings::table)
        .values((
            standings::id.eq(Id::in_order()),
            standings::organization_id.eq(permit.organization_of_group()),
            standings::group_id.eq(permit.group()),
            standings::session_id.eq(session.id),
            standings::account_id.eq(account),
            standings::standing.eq(Standing::Facilitator),
            standings::from_at.eq(session.starts_at),
            standings::until_at.eq(session.starts_at.plus_minutes(i64::from(session.minutes))),
            standings::created_by.eq(offer),
            standings::created_at.eq(connection.now),
            standings::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Takes a term back that has not begun, and never will.
pub fn end_before_it_begins(
    connection: &mut Connection,
    permit: &Permit<act::AnswerOffer>,
    term: &Term,
) -> Result<(), Problem> {
    diesel::update(standings::table.filter(standings::id.eq(term.id)).filter(standings::group_id.eq(permit.group())))
        .set((
            standings::until_at.eq(standings::from_at.nullable()),
            standings::cut_short.eq(true),
            standings::version.eq(term.version + 1),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The names that a hand-over note may not hold: those of the present members. Who was invited, or has left, is nobody's
/// to find out.
pub fn list_names(connection: &mut Connection, permit: &Permit<act::WriteHandOver>) -> Result<Vec<String>, Problem> {
    let ids: Vec<Id> = members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::state.eq_any([MemberState::Active, MemberState::Paused]))
        .select(members::id)
        .load(connection.with(permit))?;
    Ok(kept_members::list_names(connection, permit, &ids)?.into_values().collect())
}

type HandOverRow = (Id, Sealed, Moment, i32);

fn open_hand_over<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    (session, text, written_at, version): HandOverRow,
) -> Result<HandOver, Problem> {
    let group = permit.group();
    let text = connection.keys([group])?.of(group)?.open(Place(HAND_OVER, session), &text)?;
    concerns(connection, permit, None, Some(session));
    Ok(HandOver { session, text, written_at, version })
}

/// The note of a session.
pub fn find_hand_over<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
) -> Result<Option<HandOver>, Problem> {
    permit.reaches_session(session)?;
    let row: Option<HandOverRow> = hand_overs::table
        .filter(hand_overs::session_id.eq(session))
        .filter(hand_overs::group_id.eq(permit.group()))
        .select((hand_overs::session_id, hand_overs::text, hand_overs::written_at, hand_overs::version))
        .first(connection.with(permit))
        .optional()?;
    row.map(|row| open_hand_over(connection, permit, row)).transpose()
}

/// The newest note of a session that began before `at`: it is written for whoever comes next, so that a permit which is
/// bound to one session reaches it too.
pub fn find_hand_over_before(
    connection: &mut Connection,
    permit: &Permit<act::ReadHandOver>,
    at: Moment,
) -> Result<HandOver, Problem> {
    let row: HandOverRow = sessions::table
        .inner_join(hand_overs::table.on(hand_overs::session_id.eq(sessions::id)))
        .filter(sessions::group_id.eq(permit.group()))
        .filter(sessions::starts_at.lt(at))
        .order((sessions::starts_at.desc(), sessions::id.desc()))
        .select((hand_overs::session_id, hand_overs::text, hand_overs::written_at, hand_overs::version))
        .first(connection.with(permit))?;
    open_hand_over(connection, permit, row)
}

/// Keeps a session's first note.
pub fn insert_hand_over(
    connection: &mut Connection,
    permit: &Permit<act::WriteHandOver>,
    session: Id,
    text: &str,
) -> Result<HandOver, Problem> {
    permit.reaches_session(session)?;
    let (group, written_at) = (permit.group(), connection.now);
    let sealed = connection.keys([group])?.of(group)?.seal(Place(HAND_OVER, session), text);
    diesel::insert_into(hand_overs::table)
        .values((
            hand_overs::session_id.eq(session),
            hand_overs::group_id.eq(group),
            hand_overs::text.eq(sealed),
            hand_overs::written_by.eq(permit.account()),
            hand_overs::written_at.eq(written_at),
            hand_overs::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, None, Some(session));
    Ok(HandOver { session, text: text.to_owned(), written_at, version: 1 })
}

/// Puts another text in the place of a note.
pub fn update_hand_over(
    connection: &mut Connection,
    permit: &Permit<act::WriteHandOver>,
    kept: &HandOver,
    text: &str,
) -> Result<HandOver, Problem> {
    permit.reaches_session(kept.session)?;
    let (group, written_at) = (permit.group(), connection.now);
    let sealed = connection.keys([group])?.of(group)?.seal(Place(HAND_OVER, kept.session), text);
    let changed = diesel::update(
        hand_overs::table
            .filter(hand_overs::session_id.eq(kept.session))
            .filter(hand_overs::group_id.eq(group))
            .filter(hand_overs::version.eq(kept.version)),
    )
    .set((
        hand_overs::text.eq(sealed),
        hand_overs::written_by.eq(permit.account()),
        hand_overs::written_at.eq(written_at),
        hand_overs::version.eq(kept.version + 1),
    ))
    .execute(connection.with(permit))?;
    if changed == 0 {
        return Err(Problem::Stale);
    }
    concerns(connection, permit, None, Some(kept.session));
    Ok(HandOver { session: kept.session, text: text.to_owned(), written_at, version: kept.version + 1 })
}

/// Counts a service of the caller in the present month.
///
/// # Errors
/// `Conflict` when it was counted as often as there can be days.
pub fn insert_service(
    connection: &mut Connection,
    permit: &Permit<act::RecordService>,
    service: Service,
) -> Result<(), Problem> {
    let own = own_member(permit)?;
    let month = month_of(connection.now.day_in(permit.zone()));
    let row = (
        services::member_id.eq(own),
        services::group_id.eq(permit.group()),
        services::service.eq(service),
        services::month.eq(month.clone()),
        services::times.eq(0),
    );
    insert_unless_there!(connection.with(permit), services::table, row)?;
    let counted = diesel::update(
        services::table
            .filter(services::member_id.eq(own))
            .filter(services::service.eq(service))
            .filter(services::month.eq(month))
            .filter(services::times.lt(MOST_SERVICES)),
    )
    .set(services::times.eq(services::times + 1))
    .execute(connection.with(permit))?;
    match counted {
        0 => Err(Problem::Conflict(format!("It has been counted {MOST_SERVICES} times this month already."))),
        _ => Ok(()),
    }
}

/// What the caller has done for the group, by month. A session counts that was held, and that they led: whatever they led
/// it as, and nobody for whom a term was only meant.
pub fn list_services<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<BTreeMap<String, Served>, Problem> {
    let (own, group) = (own_member(permit)?, permit.group());
    let mut months: BTreeMap<String, Served> = BTreeMap::new();
    let rows: Vec<(Service, String, i32)> = services::table
        .filter(services::member_id.eq(own))
        .filter(services::group_id.eq(group))
        .select((services::service, services::month, services::times))
        .load(connection.with(permit))?;
    for (service, month, times) in rows {
        let served = months.entry(month).or_default();
        match service {
            Service::Greeted => served.greeted = times,
            Service::SetUp => served.set_up = times,
        }
    }
    let facilitated: Vec<Moment> = sessions::table
        .filter(sessions::led_by.eq(permit.account()))
        .filter(sessions::group_id.eq(group))
        .filter(sessions::state.eq(State::Held))
        .select(sessions::starts_at)
        .load(connection.with(permit))?;
    for starts_at in facilitated {
        months.entry(month_of(starts_at.day_in(permit.zone()))).or_default().facilitated += 1;
    }
    Ok(months)
}
