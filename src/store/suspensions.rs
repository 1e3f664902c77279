//! Suspensions: who may not act in an organization for the time being; reasons sealed under the organization's key.

use std::collections::HashSet;

use diesel::prelude::*;

use super::{
    breaches,
    connection::Connection,
    permit::{Permit, concerns},
    schema::suspensions,
    sealing::Place,
    sign_ins, standings,
};
use crate::{
    policy::{Standing, act},
    problem::Problem,
    values::Id,
};

const REASON: &str = "suspensions.reason";

/// Suspends somebody from now on and ends their sign-ins. Suspending again begins anew with the new reason, and the
/// earlier one stays kept.
///
/// # Errors
/// `Conflict` for oneself, by whoever has a part in a peer-led group or is told of a case that is open, and for the last
/// administrator or privacy officer, also when two suspend each other at once; `NotFound` for an account that neither
/// stands nor stood in the organization.
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
    check_apart(connection, permit)?;
    if standings::list_known(connection, permit, &[account])?.is_empty() {
        return Err(Problem::NotFound);
    }
    standings::lock_organization(connection, permit)?;
    for office in [Standing::Administrator, Standing::PrivacyOfficer] {
        let holders = standings::list_holders(connection, permit, office)?;
        let is_held = holders.iter().any(|held| held.account == account);
        if is_held && holders.iter().all(|held| held.account == account) {
            return Err(Problem::Conflict(
                "The last administrator and the last privacy officer of an organization cannot be suspended.".into(),
            ));
        }
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

/// Nobody judges, from an office, those with whom they belong to a peer-led group. Nor anybody else meanwhile: a refusal that
/// depended on whom they name would say who belongs to it, and one that came with a report would tell of the report. Whoever is
/// told of a case keeps from it also after they left the group.
fn check_apart(connection: &mut Connection, permit: &Permit<act::SuspendPerson>) -> Result<(), Problem> {
    if standings::has_part_among_peers(connection, permit)? || breaches::is_told_somewhere(connection, permit)? {
        return Err(Problem::Conflict(
            "Whoever has, or had, a part in a peer-led group suspends nobody: another administrator does.".into(),
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
