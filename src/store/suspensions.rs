//! Suspensions: who may not act in an organization for the time being; reasons sealed under the organization's key.

use std::collections::HashSet;

use diesel::prelude::*;

use super::{
    breaches,
    connection::Connection,
    permit::{Permit, concerns},
    schema::suspensions,
    sealing::Place,
    sign_ins,
    standings::{self, Part},
};
use crate::{policy::act, problem::Problem, values::Id};

const REASON: &str = "suspensions.reason";

/// Suspends somebody from now on and ends their sign-ins. Suspending again begins anew with the new reason, and the
/// earlier one stays kept.
///
/// # Errors
/// `Conflict` for oneself, for somebody of a peer-led group of one's own, for somebody of a group, and for a privacy
/// officer, while a case about the caller is open, and for the last administrator, also when two suspend each other at
/// once; `NotFound` for an account that neither stands nor stood in the organization.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::SuspendPerson>,
    account: Id,
    reason: &str,
) -> Result<(), Problem> {
    let organization = permit.organization();
    concerns(connection, permit, None, Some(account));
    if account == permit.account() {
        return Err(Problem::Conflict("Nobody suspends themselves.".into()));
    }
    if standings::list_known(connection, permit, &[account])?.is_empty() {
        return Err(Problem::NotFound);
    }
    check_apart(connection, permit, account)?;
    standings::lock_organization(connection, permit)?;
    let administrators = standings::list_administrators(connection, permit)?;
    let is_administrator = administrators.iter().any(|office| office.account == account);
    if is_administrator && administrators.iter().all(|office| office.account == account) {
        return Err(Problem::Conflict("The last administrator of an organization cannot be suspended.".into()));
    }
    end(connection, permit, account)?;
    let id = Id::in_order();
    let keys = connection.keys([organization])?;
    diesel::insert_into(suspensions::table)
        .values((
            suspensions::id.eq(id),
            suspensions::organization_id.eq(organization),
            suspensions::account_id.eq(account),
            suspensions::reason.eq(keys.of(organization)?.seal(Place(REASON, id), reason)),
            suspensions::from_at.eq(connection.now),
            suspensions::created_by.eq(permit.account()),
        ))
        .execute(connection.with(permit))?;
    sign_ins::end_for_suspension(connection, permit, account)
}

/// Nobody judges, from an office, somebody with whom they belong to a peer-led group. It is refused always, so that the
/// refusal tells of no report, and so that whoever fears one is no faster than it. Whoever is told of a case keeps from
/// those of its group also after they left it themselves.
fn check_apart(connection: &mut Connection, permit: &Permit<act::SuspendPerson>, account: Id) -> Result<(), Problem> {
    let own = standings::list_parts(connection, permit, permit.account())?;
    let theirs = standings::list_parts(connection, permit, account)?;
    let told = breaches::list_told_groups(connection, permit)?;
    let is_peer = |part: &Part| part.is_peer_led && part.is_current;
    let is_shared = |part: &Part| is_peer(part) && own.iter().any(|own| own.group == part.group && is_peer(own));
    if theirs.iter().any(|part| is_shared(part) || told.contains(&part.group)) {
        return Err(Problem::Conflict(
            "Nobody suspends a person with whom they have, or had, a part in a group: another administrator does."
                .into(),
        ));
    }
    if !told.is_empty() && standings::watches(connection, permit, account)? {
        return Err(Problem::Conflict(
            "A case about you is open: another administrator suspends a privacy officer.".into(),
        ));
    }
    Ok(())
}

/// Lifts somebody's suspension now.
///
/// # Errors
/// `NotFound` when there is none.
pub fn lift(connection: &mut Connection, permit: &Permit<act::SuspendPerson>, account: Id) -> Result<(), Problem> {
    concerns(connection, permit, None, Some(account));
    if end(connection, permit, account)? == 0 { Err(Problem::NotFound) } else { Ok(()) }
}

fn end(connection: &mut Connection, permit: &Permit<act::SuspendPerson>, account: Id) -> Result<usize, Problem> {
    let now = connection.now;
    Ok(diesel::update(
        suspensions::table
            .filter(suspensions::account_id.eq(account))
            .filter(suspensions::organization_id.eq(permit.organization()))
            .filter(suspensions::until_at.is_null()),
    )
    .set(suspensions::until_at.eq(now))
    .execute(connection.with(permit))?)
}

/// Which of these accounts are suspended in the organization.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadPeople>,
    accounts: &[Id],
) -> Result<HashSet<Id>, Problem> {
    let suspended: Vec<Id> = suspensions::table
        .filter(suspensions::organization_id.eq(permit.organization()))
        .filter(suspensions::account_id.eq_any(accounts))
        .filter(suspensions::until_at.is_null())
        .select(suspensions::account_id)
        .load(connection.with(permit))?;
    Ok(suspended.into_iter().collect())
}
