//! The table of wrapped data keys.

use std::collections::{BTreeMap, HashMap};

use diesel::{
    connection::{AnsiTransactionManager, TransactionManager},
    prelude::*,
};

use super::{
    connection::{Database, Location, insert_many},
    master_keys::LiveMasters,
    schema::data_keys,
    sealing::{DataKey, InstallationKeys, Keys, Masters},
};
use crate::{
    problem::Problem,
    values::{Id, Moment},
};

pub(super) fn load(
    database: &mut Database,
    masters: &LiveMasters,
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
            let key = masters.unwrap(owner, &wrapped).ok_or_else(|| does_not_open(&wrapped))?;
            keys.insert(owner, key);
        }
    }
    Ok(Keys(keys))
}

/// Says under which master it is wrapped: whoever runs the server can look for that line.
fn does_not_open(wrapped: &[u8]) -> Problem {
    Problem::Internal(format!("a data key does not open under the master key {}", name_of(wrapped)))
}

fn name_of(wrapped: &[u8]) -> String {
    Masters::named(wrapped).map_or_else(|| "?".into(), |(name, _)| String::from_utf8_lossy(name).into_owned())
}

pub(super) fn create(
    database: &mut Database,
    masters: &LiveMasters,
    owners: &[Id],
    now: Moment,
) -> Result<Keys, Problem> {
    let masters = masters.now();
    let mut keys = HashMap::with_capacity(owners.len());
    let mut rows = Vec::with_capacity(owners.len());
    for &owner in owners {
        let raw = DataKey::generate();
        rows.push((
            data_keys::owner_id.eq(owner),
            data_keys::wrapped.eq(masters.wrap(owner, &raw[..])),
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
    let wrapped: Option<Vec<u8>> =
        data_keys::table.find(Id::INSTALLATION).select(data_keys::wrapped).first(database).optional()?;
    let wrapped = wrapped.ok_or_else(|| Problem::Internal("a data key is missing".into()))?;
    let key = masters.unwrap(Id::INSTALLATION, &wrapped).ok_or_else(|| does_not_open(&wrapped))?;
    Ok(InstallationKeys::derive(&key))
}

/// The keys of the installation; made with the first start on a database.
pub(super) fn installation(
    database: &mut Database,
    masters: &LiveMasters,
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

/// What came of wrapping every data key anew.
#[derive(Debug)]
pub struct Rewrapped {
    /// Under which master they are now.
    pub newest: String,
    /// How many were wrapped anew.
    pub keys: usize,
    /// How many are under which other master still, by its name.
    pub under_others: BTreeMap<String, usize>,
    /// The names of those others that are not among the master keys: nothing under them can be opened here.
    pub unknown: Vec<String>,
}

/// How many keys one transaction wraps anew: servers go on writing between two of them.
const BATCH: i64 = 500;

/// Wraps every data key anew under the newest master, while servers write. What is done stays done: an end in the middle
/// costs nothing, and a second run does what is left. The keys themselves stay the same.
///
/// # Errors
/// When the database cannot be read or written, or a key does not open under the master that it names.
pub fn rewrap(location: &Location, masters: &Masters) -> Result<Rewrapped, Problem> {
    // SQLite would make the file that it is asked to read.
    if let Some(file) = location.file()
        && !std::path::Path::new(file).exists()
    {
        return Err(Problem::Internal(format!("there is no database at {file}")));
    }
    let mut database =
        location.connect(true).map_err(|error| Problem::Internal(format!("the database cannot be opened: {error}")))?;
    let newest = masters.newest().to_owned();
    let mut keys = 0;
    let mut last = None;
    loop {
        match &mut database {
            Database::Sqlite(sqlite) => AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE"),
            #[cfg(feature = "postgres")]
            Database::Postgres(postgres) => AnsiTransactionManager::begin_transaction_sql(postgres, "BEGIN"),
        }?;
        let rows = batch_after(&mut database, last)?;
        for (owner, wrapped) in &rows {
            keys += rewrap_one(&mut database, masters, *owner, wrapped)?;
        }
        <Database as diesel::Connection>::TransactionManager::commit_transaction(&mut database)?;
        last = match rows.last() {
            Some((owner, _)) => Some(*owner),
            None => break,
        };
    }
    // Looked at again from the beginning: a server that has not read the new line yet wraps under the former one.
    let mut under_others = BTreeMap::new();
    let mut last = None;
    loop {
        let rows = batch_after(&mut database, last)?;
        for name in rows.iter().map(|(_, wrapped)| name_of(wrapped)).filter(|name| *name != newest) {
            *under_others.entry(name).or_default() += 1;
        }
        last = match rows.last() {
            Some((owner, _)) => Some(*owner),
            None => break,
        };
    }
    let unknown = under_others.keys().filter(|name| !masters.knows(name.as_bytes())).cloned().collect();
    Ok(Rewrapped { newest, keys, under_others, unknown })
}

fn batch_after(database: &mut Database, last: Option<Id>) -> Result<Vec<(Id, Vec<u8>)>, Problem> {
    let mut rows = data_keys::table.order(data_keys::owner_id).limit(BATCH).into_boxed();
    if let Some(last) = last {
        rows = rows.filter(data_keys::owner_id.gt(last));
    }
    Ok(rows.select((data_keys::owner_id, data_keys::wrapped)).load(database)?)
}

fn rewrap_one(database: &mut Database, masters: &Masters, owner: Id, wrapped: &[u8]) -> Result<usize, Problem> {
    let Some((name, _)) = Masters::named(wrapped) else { return Ok(0) };
    if name == masters.newest().as_bytes() || !masters.knows(name) {
        return Ok(0);
    }
    let key = masters.unwrap(owner, wrapped).ok_or_else(|| does_not_open(wrapped))?;
    // Only over what was read: a key that somebody destroyed meanwhile stays destroyed.
    let same = data_keys::table.filter(data_keys::owner_id.eq(owner)).filter(data_keys::wrapped.eq(wrapped));
    Ok(diesel::update(same).set(data_keys::wrapped.eq(key.wrapped_by(masters))).execute(database)?)
}
