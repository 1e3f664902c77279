//! Offices in organizations and terms in groups: who holds them, from when until when, and how they end.

use std::collections::{BTreeSet, HashMap};

use diesel::{
    dsl::{auto_type, exists, not},
    prelude::*,
};

use super::{
    accounts, breaches,
    connection::Connection,
    members as kept_members,
    permit::{Permit, concerns},
    schema::{groups, members, organizations, standings, suspensions},
    suspensions as kept_suspensions,
};
use crate::{
    policy::{Act, Kind, Reach, Standing, act, area},
    problem::Problem,
    rules::{groups::State, members::State as Membership, terms::LONGEST_AFTER_HOURS},
    values::{Id, Moment},
};

/// One of the caller's own offices or terms.
#[derive(Clone, Debug)]
pub struct OwnStanding {
    pub standing: Standing,
    pub organization: Id,
    pub organization_name: String,
    /// The group with its title and kind, where the standing is a term.
    pub group: Option<Id>,
    pub group_title: Option<String>,
    pub kind: Option<Kind>,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
}

/// An office in an organization, held for `[from_at, until_at)`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = standings)]
pub struct Office {
    pub id: Id,
    #[diesel(column_name = account_id)]
    pub account: Id,
    pub standing: Standing,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
    pub version: i32,
}

/// A term in a group, for `[from_at, until_at)`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = standings)]
pub struct Term {
    pub id: Id,
    #[diesel(column_name = account_id)]
    pub account: Id,
    pub standing: Standing,
    /// Who co-signs what a trainee writes.
    #[diesel(column_name = supervisor_id)]
    pub supervisor: Option<Id>,
    /// The one session that is led, where the term is bound to one.
    #[diesel(column_name = session_id)]
    pub session: Option<Id>,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
    pub version: i32,
}

/// Somebody who holds an office or a term in an organization, or will.
#[derive(Clone, Debug)]
pub struct Person {
    pub account: Id,
    pub standings: Vec<PersonStanding>,
    pub suspended: bool,
}

/// An office, or a term in `group`.
#[derive(Clone, Debug)]
pub struct PersonStanding {
    pub id: Id,
    pub standing: Standing,
    pub group: Option<Id>,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
}

/// As whom a group knows somebody who leads it, or did.
#[derive(Clone, Debug)]
pub struct Named {
    /// Where they belong to the group now.
    pub member: Option<Id>,
    /// In a peer-led group the name that they have there, or had; otherwise that of the account.
    pub name: Option<String>,
}

/// Not ended before it began.
#[auto_type]
pub(super) fn has_length() -> _ {
    standings::until_at.is_null().or(standings::until_at.gt(standings::from_at.nullable()))
}

/// Not ended at `at`; perhaps not begun either.
#[auto_type]
pub(super) fn lasts_beyond(at: Moment) -> _ {
    standings::until_at
        .is_null()
        .or(standings::until_at.gt(at).and(standings::until_at.gt(standings::from_at.nullable())))
}

/// Begun and not ended at `at`, by somebody who is not suspended in the organization.
#[auto_type]
pub(super) fn holds_at(at: Moment) -> _ {
    let lasts: lasts_beyond = lasts_beyond(at);
    standings::from_at.le(at).and(lasts).and(not(is_suspended()))
}

/// The holder is suspended in the organization.
#[auto_type]
pub(super) fn is_suspended() -> _ {
    exists(
        suspensions::table
            .filter(suspensions::account_id.eq(standings::account_id))
            .filter(suspensions::organization_id.eq(standings::organization_id))
            .filter(suspensions::until_at.is_null()),
    )
}

/// Where the caller stands now, organization by organization. What a suspension took is left out.
pub fn list_own(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
) -> Result<Vec<OwnStanding>, Problem> {
    type Row = (Standing, Id, String, Option<Id>, Option<(String, Kind)>, Moment, Option<Moment>);
    let now = connection.now;
    let rows: Vec<Row> = standings::table
        .inner_join(organizations::table.on(organizations::id.eq(standings::organization_id)))
        .left_join(groups::table.on(groups::id.nullable().eq(standings::group_id)))
        .filter(standings::account_id.eq(permit.account()))
        .filter(holds_at(now))
        .order((standings::organization_id, standings::id))
        .select((
            standings::standing,
            standings::organization_id,
            organizations::name,
            standings::group_id,
            (groups::title, groups::kind).nullable(),
            standings::from_at,
            standings::until_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(standing, organization, organization_name, group, described, from_at, until_at)| {
            let (group_title, kind) = described.unzip();
            OwnStanding { standing, organization, organization_name, group, group_title, kind, from_at, until_at }
        })
        .collect())
}

/// Ends an office now.
///
/// # Errors
/// `NotFound` for an office that has ended or that the permit does not reach; `Conflict` for that of the last
/// administrator or privacy officer, also when two go at once, and for somebody else's while a case about the caller is
/// open: its privacy officer could be meant.
pub fn end_office(connection: &mut Connection, permit: &Permit<act::EndOffice>, id: Id) -> Result<(), Problem> {
    let now = connection.now;
    concerns(connection, permit, None, Some(id));
    lock_organization(connection, permit)?;
    let office: Option<Office> = standings::table
        .filter(standings::id.eq(id))
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::group_id.is_null())
        .filter(lasts_beyond(now))
        .select(Office::as_select())
        .first(connection.with(permit))
        .optional()?;
    let is_reached = |office: &Office| permit.reach() == Reach::All || office.account == permit.account();
    let office = office.filter(is_reached).ok_or(Problem::NotFound)?;
    if office.account != permit.account() && breaches::is_told_somewhere(connection, permit)? {
        return Err(Problem::Conflict("A case about you is open: another administrator ends the office.".into()));
    }
    if !list_holders(connection, permit, office.standing)?.iter().any(|other| other.id != id) {
        return Err(Problem::Conflict(
            "An organization keeps at least one administrator and one privacy officer: invite another one first."
                .into(),
        ));
    }
    diesel::update(standings::table.find(id))
        .set((standings::until_at.eq(now.max(office.from_at)), standings::version.eq(office.version + 1)))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Lets nobody else end an office or suspend somebody here until this transaction is over: whoever counts
/// administrators has counted right until the commit. An update without a change is the lock that both databases have.
pub fn lock_organization<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<(), Problem> {
    diesel::update(organizations::table.find(permit.organization()))
        .set(organizations::version.eq(organizations::version))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Who holds an office of the organization at this moment.
pub(super) fn list_holders<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
    office: Standing,
) -> Result<Vec<Office>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::standing.eq(office))
        .filter(standings::group_id.is_null())
        .filter(holds_at(now))
        .select(Office::as_select())
        .load(connection.with(permit))?)
}

/// Who holds offices and terms in the organization, or will, by account after `after`. Members are not among them.
pub fn list_people(
    connection: &mut Connection,
    permit: &Permit<act::ReadPeople>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Person>, Problem> {
    type Row = (Id, Id, Standing, Option<Id>, Moment, Option<Moment>);
    let now = connection.now;
    let mut query = standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(lasts_beyond(now))
        .select(standings::account_id)
        .distinct()
        .order(standings::account_id)
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(standings::account_id.gt(after));
    }
    let accounts: Vec<Id> = query.load(connection.with(permit))?;
    let rows: Vec<Row> = standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::account_id.eq_any(&accounts))
        .filter(lasts_beyond(now))
        .order(standings::id)
        .select((
            standings::account_id,
            standings::id,
            standings::standing,
            standings::group_id,
            standings::from_at,
            standings::until_at,
        ))
        .load(connection.with(permit))?;
    let suspended = kept_suspensions::list(connection, permit, &accounts)?;
    let mut standings: HashMap<Id, Vec<PersonStanding>> = HashMap::with_capacity(accounts.len());
    for (account, id, standing, group, from_at, until_at) in rows {
        standings.entry(account).or_default().push(PersonStanding { id, standing, group, from_at, until_at });
    }
    Ok(accounts
        .into_iter()
        .map(|account| Person {
            standings: standings.remove(&account).unwrap_or_default(),
            suspended: suspended.contains(&account),
            account,
        })
        .collect())
}

/// Whether the account holds an office or a term in the organization, or will.
pub fn stands<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
    account: Id,
) -> Result<bool, Problem> {
    let now = connection.now;
    let held: Option<Id> = standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::account_id.eq(account))
        .filter(lasts_beyond(now))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(held.is_some())
}

/// Which of these accounts the organization knows: those with an office, a term or a membership here, now or before.
pub fn list_known<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
    accounts: &[Id],
) -> Result<Vec<Id>, Problem> {
    let mut known: Vec<Id> = standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::account_id.eq_any(accounts))
        .filter(standings::account_id.ne(Id::NOBODY))
        .select(standings::account_id)
        .load(connection.with(permit))?;
    // Whether it is this organization is asked of each group that was found: as a condition, it makes SQLite begin with
    // every group of the organization and look for every account in each.
    let belonging: Vec<(Option<Id>, bool)> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .filter(members::account_id.eq_any(accounts))
        .select((members::account_id, groups::organization_id.eq(permit.organization())))
        .load(connection.with(permit))?;
    known.extend(belonging.into_iter().filter_map(|(account, is_here)| account.filter(|_| is_here)));
    known.sort_unstable();
    known.dedup();
    Ok(known)
}

/// Whether the caller belongs to a peer-led group of the organization, or leads one.
pub(super) fn has_part_among_peers<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<bool, Problem> {
    let now = connection.now;
    let terms: i64 = standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::account_id.eq(permit.account()))
        .filter(standings::standing.eq_any([Standing::Steward, Standing::Facilitator]))
        .filter(lasts_beyond(now))
        .count()
        .get_result(connection.with(permit))?;
    let belonging: Vec<(Id, Kind, Membership)> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .filter(members::account_id.eq(permit.account()))
        .select((groups::organization_id, groups::kind, members::state))
        .load(connection.with(permit))?;
    let is_here = |(organization, kind, state): &(Id, Kind, Membership)| {
        *organization == permit.organization() && *kind == Kind::PeerLed && state.takes_a_place()
    };
    Ok(terms > 0 || belonging.iter().any(is_here))
}

/// The group's terms that have not ended, in the order in which they were given.
pub fn list_terms(connection: &mut Connection, permit: &Permit<act::ReadTerms>) -> Result<Vec<Term>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(lasts_beyond(now))
        .order(standings::id)
        .select(Term::as_select())
        .load(connection.with(permit))?)
}

/// As whom the group knows these accounts.
pub fn list_names<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    accounts: impl IntoIterator<Item = Id>,
) -> Result<HashMap<Id, Named>, Problem> {
    let accounts: Vec<Id> = accounts.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let group = permit.group();
    let mut members = match permit.kind() {
        Kind::PeerLed => kept_members::list_of_accounts(connection, permit, &[group], &accounts)?,
        Kind::TherapistLed => HashMap::new(),
    };
    let guests = accounts.iter().copied().filter(|account| !members.contains_key(&(group, *account)));
    let mut of_guests = accounts::list_names(connection, permit, guests)?;
    Ok(accounts
        .into_iter()
        .map(|account| match members.remove(&(group, account)) {
            Some(member) => {
                let belongs = member.state.takes_a_place();
                (account, Named { member: belongs.then_some(member.id), name: Some(member.name) })
            }
            None => (account, Named { member: None, name: of_guests.remove(&account) }),
        })
        .collect())
}

/// Ends a term at `until_at`, at the earliest now: what was done in it until now was done by right. A term that has
/// not begun never begins.
///
/// # Errors
/// `NotFound` for a term that the permit does not reach; `Refused` when `until_at` would lengthen the term;
/// `Conflict` when it has ended already, when it is somebody else's and a case about the caller is open, or when the
/// group would be without a lead for any part of the time that this lead gives up, also when two go at once.
pub fn end_term(
    connection: &mut Connection,
    permit: &Permit<act::EndTerm>,
    id: Id,
    until_at: Moment,
) -> Result<Term, Problem> {
    let now = connection.now;
    let group = permit.group();
    concerns(connection, permit, None, Some(id));
    // The second of two who go at once waits here, and then sees that the first has gone.
    diesel::update(groups::table.find(group))
        .set(groups::version.eq(groups::version))
        .execute(connection.with(permit))?;
    let mut term: Term = standings::table
        .filter(standings::id.eq(id))
        .filter(standings::group_id.eq(group))
        .select(Term::as_select())
        .first(connection.with(permit))?;
    permit.reaches_author(term.account)?;
    if term.account != permit.account() && breaches::is_told_subject(connection, permit)? {
        return Err(Problem::Conflict("A case about you is open here: another administrator ends the term.".into()));
    }
    if term.until_at.is_some_and(|ended| ended <= now || ended <= term.from_at) {
        return Err(Problem::Conflict("The term has ended already.".into()));
    }
    let until_at = until_at.max(now).max(term.from_at);
    if term.until_at.is_some_and(|agreed| until_at > agreed) {
        return Err(Problem::field("/until_at", "is later than the term's own end"));
    }
    let is_needed = term.standing.leads() && term.session.is_none();
    if is_needed && !is_covered(&list_other_leads(connection, permit, &term)?, until_at, term.until_at) {
        return Err(Problem::Conflict(
            "Nobody else leads this group for all of that time: invite another lead first.".into(),
        ));
    }
    diesel::update(standings::table.find(id))
        .set((standings::until_at.eq(until_at), standings::cut_short.eq(true), standings::version.eq(term.version + 1)))
        .execute(connection.with(permit))?;
    term.until_at = Some(until_at);
    term.version += 1;
    Ok(term)
}

/// Refuses to let the caller go while a group or an organization would be left without the last of its stewards, leads,
/// administrators or privacy officers. Locks all of those in which the caller has an office or leads until this
/// transaction is over: of two who go at once, the second waits here, and then sees that the first has gone. Closed
/// groups need nobody.
///
/// # Errors
/// `Conflict` that says what to do first, and names no group.
pub fn check_can_go(connection: &mut Connection, permit: &Permit<act::CloseAccount>) -> Result<(), Problem> {
    let now = connection.now;
    let own = standings::table
        .filter(standings::account_id.eq(permit.account()))
        .filter(standings::session_id.is_null())
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
        .order((standings::organization_id, standings::group_id, standings::id))
        .select((
            standings::organization_id,
            standings::group_id,
            standings::standing,
            standings::from_at,
            standings::until_at,
        ));
    let held: Vec<Held> = own.load(connection.with(permit))?;
    for organization in distinct(held.iter().filter(|held| held.1.is_none()).map(|held| held.0)) {
        diesel::update(organizations::table.find(organization))
            .set(organizations::version.eq(organizations::version))
            .execute(connection.with(permit))?;
    }
    for group in distinct(held.iter().filter(|(.., standing, _, _)| standing.leads()).filter_map(|held| held.1)) {
        diesel::update(groups::table.find(group))
            .set(groups::version.eq(groups::version))
            .execute(connection.with(permit))?;
    }
    // Read again: what was waited for may have changed it.
    let held: Vec<Held> = own.load(connection.with(permit))?;
    for (organization, group, standing, from_at, until_at) in held {
        match group {
            None => {
                let others: i64 = standings::table
                    .filter(standings::organization_id.eq(organization))
                    .filter(standings::standing.eq(standing))
                    .filter(standings::account_id.ne(permit.account()))
                    .filter(holds_at(now))
                    .count()
                    .get_result(connection.with(permit))?;
                if others == 0 {
                    let last = if standing == Standing::Administrator { "administrator" } else { "privacy officer" };
                    return Err(Problem::Conflict(format!(
                        "You are the last {last} of an organization: invite another one first."
                    )));
                }
            }
            Some(group) if standing.leads() => {
                let state: State = groups::table.find(group).select(groups::state).first(connection.with(permit))?;
                let others: Vec<(Moment, Option<Moment>)> = standings::table
                    .filter(standings::group_id.eq(group))
                    .filter(standings::account_id.ne(permit.account()))
                    .filter(standings::session_id.is_null())
                    .filter(standings::standing.eq_any(in_place_of(standing)))
                    .filter(lasts_beyond(now))
                    .filter(not(is_suspended()))
                    .select((standings::from_at, standings::until_at))
                    .load(connection.with(permit))?;
                if state != State::Closed && !is_covered(&others, now.max(from_at), until_at) {
                    let last = if standing == Standing::Steward { "steward" } else { "lead" };
                    return Err(Problem::Conflict(format!(
                        "You are the last {last} of a group: invite another one, or close the group, first."
                    )));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A term or an office: organization, group, standing, `[from_at, until_at)`.
type Held = (Id, Option<Id>, Standing, Moment, Option<Moment>);

/// In order, so that two who lock the same ones never wait for each other.
fn distinct(ids: impl Iterator<Item = Id>) -> BTreeSet<Id> {
    ids.collect()
}

/// Ends all terms and offices of the caller now; those that have not begun never begin. Nothing is left to finish and
/// nothing to read. [`check_can_go`] comes before.
pub fn end_all_own(connection: &mut Connection, permit: &Permit<act::CloseAccount>) -> Result<(), Problem> {
    let now = connection.now;
    let own: Vec<Id> = standings::table
        .filter(standings::account_id.eq(permit.account()))
        // Those that ran out a while ago as well, where they still let somebody finish and read.
        .filter(standings::until_at.is_null().or(standings::until_at.gt(now.plus_minutes(-LONGEST_AFTER_HOURS * 60))))
        .select(standings::id)
        .load(connection.with(permit))?;
    cut_short(connection, permit, &own)
}

/// Ends these terms and offices now; those that have not begun never begin. Nothing is left to finish, nothing to read.
fn cut_short<A: Act>(connection: &mut Connection, permit: &Permit<A>, ids: &[Id]) -> Result<(), Problem> {
    let now = connection.now;
    let these = || standings::table.filter(standings::id.eq_any(ids));
    diesel::update(these().filter(standings::from_at.gt(now)))
        .set(standings::until_at.eq(standings::from_at.nullable()))
        .execute(connection.with(permit))?;
    diesel::update(these().filter(lasts_beyond(now)))
        .set(standings::until_at.eq(now))
        .execute(connection.with(permit))?;
    diesel::update(these())
        .set((standings::cut_short.eq(true), standings::version.eq(standings::version + 1)))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Ends the terms of an account that are bound to sessions of a group: they were given to a member.
pub(super) fn end_bound<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    account: Id,
) -> Result<(), Problem> {
    let bound: Vec<Id> = standings::table
        .filter(standings::account_id.eq(account))
        .filter(standings::group_id.eq(group))
        .filter(standings::session_id.is_not_null())
        .filter(standings::cut_short.eq(false))
        .select(standings::id)
        .load(connection.with(permit))?;
    cut_short(connection, permit, &bound)
}

/// Ends the terms of an account that are bound to one session: the group asked them to stay away from it.
pub(super) fn end_bound_to(
    connection: &mut Connection,
    permit: &Permit<act::HandleBreachReport>,
    session: Id,
    account: Id,
) -> Result<(), Problem> {
    let bound: Vec<Id> = standings::table
        .filter(standings::session_id.eq(session))
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::account_id.eq(account))
        .select(standings::id)
        .load(connection.with(permit))?;
    cut_short(connection, permit, &bound)
}

/// Ends the terms that are bound to a session which will not be.
pub(super) fn end_of_session(
    connection: &mut Connection,
    permit: &Permit<act::CancelSession>,
    session: Id,
) -> Result<(), Problem> {
    let bound: Vec<Id> = standings::table
        .filter(standings::session_id.eq(session))
        .filter(standings::group_id.eq(permit.group()))
        .select(standings::id)
        .load(connection.with(permit))?;
    cut_short(connection, permit, &bound)
}

/// When others lead the group, from now on.
fn list_other_leads(
    connection: &mut Connection,
    permit: &Permit<act::EndTerm>,
    term: &Term,
) -> Result<Vec<(Moment, Option<Moment>)>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::id.ne(term.id))
        .filter(standings::session_id.is_null())
        .filter(standings::standing.eq_any(in_place_of(term.standing)))
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
        .select((standings::from_at, standings::until_at))
        .load(connection.with(permit))?)
}

/// Whether every moment of `[from, until)` lies in one of the terms. Looking at `from` alone would let two leads
/// both name a later day, one after the other, and leave nobody behind.
fn is_covered(terms: &[(Moment, Option<Moment>)], from: Moment, until: Option<Moment>) -> bool {
    let mut terms = terms.to_vec();
    terms.sort_unstable();
    let mut covered = from;
    for (begins, ends) in terms {
        if until.is_some_and(|until| covered >= until) || begins > covered {
            break;
        }
        let Some(ends) = ends else { return true };
        covered = covered.max(ends);
    }
    until.is_some_and(|until| covered >= until)
}

/// Who can stand in somebody's place: in a steward's only another steward; a facilitator's gap falls back to the
/// stewards.
fn in_place_of(standing: Standing) -> Vec<Standing> {
    match standing {
        Standing::Steward => vec![Standing::Steward],
        _ => leading(),
    }
}

fn leading() -> Vec<Standing> {
    Standing::ALL.iter().copied().filter(|standing| standing.leads()).collect()
}

/// The accounts that lead the group now.
pub fn live_leads<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Vec<Id>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::standing.eq_any(leading()))
        .filter(holds_at(now))
        .select(standings::account_id)
        .distinct()
        .order(standings::account_id)
        .load(connection.with(permit))?)
}

/// Whether a steward is there now whose term has no end.
pub fn has_lasting_steward(connection: &mut Connection, permit: &Permit<act::OpenGroup>) -> Result<bool, Problem> {
    let now = connection.now;
    let found: Option<Id> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::standing.eq(Standing::Steward))
        .filter(standings::until_at.is_null())
        .filter(holds_at(now))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(found.is_some())
}

/// Whether the group's organization has a privacy officer now.
pub fn has_privacy_officer(connection: &mut Connection, permit: &Permit<act::OpenGroup>) -> Result<bool, Problem> {
    let now = connection.now;
    let found: Option<Id> = standings::table
        .filter(
            standings::organization_id
                .eq_any(groups::table.filter(groups::id.eq(permit.group())).select(groups::organization_id)),
        )
        .filter(standings::standing.eq(Standing::PrivacyOfficer))
        .filter(holds_at(now))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    Ok(found.is_some())
}

/// Therapist and member of one group are disjoint.
///
/// # Errors
/// `Conflict` when the account holds a term in the group, or will.
pub fn check_no_term<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    account: Id,
) -> Result<(), Problem> {
    let now = connection.now;
    let held: Option<Id> = standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::account_id.eq(account))
        .filter(lasts_beyond(now))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    match held {
        Some(_) => Err(Problem::Conflict("This account leads or learns in that group.".into())),
        None => Ok(()),
    }
}

/// Moves the terms that are bound to a session along with it.
pub fn follow_session(
    connection: &mut Connection,
    permit: &Permit<act::ChangeSession>,
    session: Id,
    from_at: Moment,
    until_at: Moment,
) -> Result<(), Problem> {
    diesel::update(
        standings::table
            .filter(standings::session_id.eq(session))
            .filter(standings::group_id.eq(permit.group()))
            .filter(standings::cut_short.eq(false)),
    )
    .set((
        standings::from_at.eq(from_at),
        standings::until_at.eq(until_at),
        standings::version.eq(standings::version + 1),
    ))
    .execute(connection.with(permit))?;
    Ok(())
}

/// As what the account led the group at `at`; `None` when it did not.
pub fn lead_of<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    account: Id,
    at: Moment,
) -> Result<Option<Standing>, Problem> {
    Ok(standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::account_id.eq(account))
        .filter(standings::standing.eq_any(leading()))
        .filter(standings::from_at.le(at))
        .filter(lasts_beyond(at))
        .order(standings::id)
        .select(standings::standing)
        .first(connection.with(permit))
        .optional()?)
}
