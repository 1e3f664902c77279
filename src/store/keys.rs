//! The table of wrapped data keys.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{
    connection::{Database, insert_many},
    schema::data_keys,
    sealing::{DataKey, InstallationKeys, Keys, Masters},
};
use crate::{
    problem::Problem,
    values::{Id, Moment},
};

pub(super) fn load(
    database: &mut Database,
    masters: &Masters,
    owners: impl IntoIterator<Item = Id>,
) -> Result<Keys, Problem> {
    let mut owners: Vec<Id> = owners.into_iter().collect();
    owners.sort_unstable();
    owners.dedup();
    let mut keys = HashMap::with_capacity(owners.len());
    for owners in owners.chunks(500) {
        let rows: Vec<(Id, Vec<u8>)> = data_keys::table
            .filter(data_keys::owner_id.eq_any(owners))
            .select((data_keys::owner_id, data_keys::wrapped))
            .load(database)?;
        for (owner, wrapped) in rows {
            let key = masters
                .unwrap(owner, &wrapped)
                .ok_or_else(|| Problem::Internal("a data key does not open under the master key".into()))?;
            keys.insert(owner, key);
        }
    }
    Ok(Keys(keys))
}

pub(super) fn create(database: &mut Database, masters: &Masters, owners: &[Id], now: Moment) -> Result<Keys, Problem> {
    let mut keys = HashMap::with_capacity(owners.len());
    let mut rows = Vec::with_capacity(owners.len());
    for &owner in owners {
        let raw = DataKey::generate();
        rows.push((
            data_keys::owner_id.eq(owner),
            data_keys::wrapped.eq(masters.wrap(owner, &raw)),
            data_keys::created_at.eq(now),
        ));
        let key = DataKey::new(owner, &raw[..]).ok_or_else(|| Problem::Internal("a data key has no length".into()))?;
        keys.insert(owner, key);
    }
    insert_many!(database, data_keys::table, &rows)?;
    Ok(Keys(keys))
}

/// Destroys an owner's data key: what was sealed under it opens nowhere any more.
pub(super) fn remove(database: &mut Database, owner: Id) -> Result<(), Problem> {
    diesel::delete(data_keys::table.find(owner)).execute(database)?;
    Ok(())
}

/// Whether something was kept here before, under keys that must be somewhere.
fn is_in_use(database: &mut Database) -> Result<bool, Problem> {
    use super::schema::access_chains;
    let any: Option<Id> = access_chains::table.select(access_chains::id).first(database).optional()?;
    Ok(any.is_some())
}

/// The keys of an installation that has been started before.
pub(super) fn find_installation(database: &mut Database, masters: &Masters) -> Result<InstallationKeys, Problem> {
    let keys = load(database, masters, [Id::INSTALLATION])?;
    Ok(InstallationKeys::derive(keys.of(Id::INSTALLATION)?))
}

/// The keys of the installation; made with the first start on a database.
pub(super) fn installation(
    database: &mut Database,
    masters: &Masters,
    now: Moment,
) -> Result<InstallationKeys, Problem> {
    let mut keys = load(database, masters, [Id::INSTALLATION])?;
    if keys.0.is_empty() && is_in_use(database)? {
        return Err(Problem::Internal(
            "this database lacks its data keys: it is a copy, and circlekeeper restore FILE puts them back".into(),
        ));
    }
    if keys.0.is_empty() {
        keys = match create(database, masters, &[Id::INSTALLATION], now) {
            // Another server began at the same time and was first.
            Err(Problem::Conflict(_)) => load(database, masters, [Id::INSTALLATION])?,
            made => made?,
        };
    }
    Ok(InstallationKeys::derive(keys.of(Id::INSTALLATION)?))
}
