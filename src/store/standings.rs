//! Offices in organizations and terms in groups: who holds them, from when until when, and how they end.

use std::collections::HashMap;

use diesel::{
    dsl::{auto_type, exists, not},
    prelude::*,
};

use super::{
    connection::Connection,
    permit::{Permit, concerns},
    schema::{groups, members, organizations, standings, suspensions},
    suspensions as kept_suspensions,
};
use crate::{
    policy::{Kind, Reach, Standing, act, area},
    problem::Problem,
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

/// Not ended at `at`; perhaps not begun either.
#[auto_type]
fn lasts_beyond(at: Moment) -> _ {
    standings::until_at.is_null().or(standings::until_at.gt(at))
}

/// The holder is suspended in the organization.
#[auto_type]
fn is_suspended() -> _ {
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
        .filter(standings::from_at.le(now))
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
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

/// The organization's offices that have not ended, in the order in which they were given.
pub fn list_offices<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<Vec<Office>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::group_id.is_null())
        .filter(lasts_beyond(now))
        .order(standings::id)
        .select(Office::as_select())
        .load(connection.with(permit))?)
}

/// Ends an office now.
///
/// # Errors
/// `NotFound` for an office that has ended or that the permit does not reach; `Conflict` for that of the last
/// administrator, also when two go at once.
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
    if office.standing == Standing::Administrator {
        let administrators = list_administrators(connection, permit)?;
        if !administrators.iter().any(|other| other.id != id) {
            return Err(Problem::Conflict(
                "An organization keeps at least one administrator: invite another one first.".into(),
            ));
        }
    }
    diesel::update(standings::table.find(id))
        .set((standings::until_at.eq(now.max(office.from_at)), standings::version.eq(office.version + 1)))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Lets nobody else end an office or suspend somebody here until this transaction is over: whoever counts
/// administrators has counted right until the commit. An update without a change is the lock that both databases have.
pub(super) fn lock_organization<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<(), Problem> {
    diesel::update(organizations::table.find(permit.organization()))
        .set(organizations::version.eq(organizations::version))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The offices of those who can administrate the organization at this moment.
pub(super) fn list_administrators<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<Vec<Office>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::standing.eq(Standing::Administrator))
        .filter(standings::from_at.le(now))
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
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
        .select(standings::account_id)
        .load(connection.with(permit))?;
    let belonging: Vec<Option<Id>> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .filter(groups::organization_id.eq(permit.organization()))
        .filter(members::account_id.eq_any(accounts))
        .select(members::account_id)
        .load(connection.with(permit))?;
    known.extend(belonging.into_iter().flatten());
    known.sort_unstable();
    known.dedup();
    Ok(known)
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

/// Ends a term at `until_at`, at the earliest now: what was done in it until now was done by right. A term that has
/// not begun never begins.
///
/// # Errors
/// `NotFound` for a term that the permit does not reach; `Refused` when `until_at` would lengthen the term;
/// `Conflict` when it has ended already, or when the group would be without a lead for any part of the time that
/// this lead gives up, also when two go at once.
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
    if term.until_at.is_some_and(|ended| ended <= now) {
        return Err(Problem::Conflict("The term has ended already.".into()));
    }
    let until_at = until_at.max(now).max(term.from_at);
    if term.until_at.is_some_and(|agreed| until_at > agreed) {
        return Err(Problem::field("/until_at", "is later than the term's own end"));
    }
    if term.standing.leads() && !is_covered(&list_other_leads(connection, permit, id)?, until_at, term.until_at) {
        return Err(Problem::Conflict(
            "Nobody else leads this group for all of that time: invite another lead first.".into(),
        ));
    }
    diesel::update(standings::table.find(id))
        .set((standings::until_at.eq(until_at), standings::version.eq(term.version + 1)))
        .execute(connection.with(permit))?;
    term.until_at = Some(until_at);
    term.version += 1;
    Ok(term)
}

/// When others lead the group, from now on.
fn list_other_leads(
    connection: &mut Connection,
    permit: &Permit<act::EndTerm>,
    except: Id,
) -> Result<Vec<(Moment, Option<Moment>)>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::id.ne(except))
        .filter(standings::standing.eq_any(leading()))
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

fn leading() -> Vec<Standing> {
    Standing::ALL.iter().copied().filter(|standing| standing.leads()).collect()
}

/// The accounts that lead the group now.
pub fn live_leads<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Vec<Id>, Problem> {
    let now = connection.now;
    Ok(standings::table
        .filter(standings::group_id.eq(permit.group()))
        .filter(standings::standing.eq_any(leading()))
        .filter(standings::from_at.le(now))
        .filter(lasts_beyond(now))
        .filter(not(is_suspended()))
        .select(standings::account_id)
        .distinct()
        .order(standings::account_id)
        .load(connection.with(permit))?)
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
