//! Accounts: who can sign in, with names and contact data sealed under the account's own key.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{
    columns::Sealed,
    connection::{Connection, insert_many, insert_unless_there},
    keys,
    permit::Permit,
    schema::{accounts, recovery_codes},
    sealing::{Keys, Place, random},
};
use crate::{
    policy::{Act, act},
    problem::Problem,
    values::{Id, Moment},
};

const SIGN_IN_NAME: &str = "accounts.sign_in_name";
const NAME: &str = "accounts.name";
const EMAIL: &str = "accounts.email";
const SECOND_FACTOR: &str = "accounts.second_factor";

/// An account, as its owner sees it.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: Id,
    pub sign_in_name: String,
    pub name: String,
    pub email: Option<String>,
    /// ISO 3166-1 alpha-2; decides which crisis lines are shown.
    pub country: Option<String>,
    pub language: String,
    pub zone: String,
    pub has_second_factor: bool,
    pub version: i32,
}

/// What a new or changed account says about itself.
pub struct Profile<'a> {
    pub name: &'a str,
    pub email: Option<&'a str>,
    pub country: Option<&'a str>,
    pub language: &'a str,
    pub zone: &'a str,
}

/// What signing in needs of an account.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub id: Id,
    pub password: String,
    /// The TOTP secret in base32, where a second factor is on.
    pub second_factor: Option<String>,
    pub second_factor_step: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts)]
struct Row {
    id: Id,
    sign_in_name: Sealed,
    name: Sealed,
    email: Option<Sealed>,
    country: Option<String>,
    language: String,
    zone: String,
    second_factor_on: bool,
    version: i32,
}

impl Row {
    fn open(self, keys: &Keys) -> Result<Account, Problem> {
        let key = keys.of(self.id)?;
        Ok(Account {
            sign_in_name: key.open(Place(SIGN_IN_NAME, self.id), &self.sign_in_name)?,
            name: key.open(Place(NAME, self.id), &self.name)?,
            email: self.email.map(|email| key.open(Place(EMAIL, self.id), &email)).transpose()?,
            id: self.id,
            country: self.country,
            language: self.language,
            zone: self.zone,
            has_second_factor: self.second_factor_on,
            version: self.version,
        })
    }
}

/// Finds what is needed to sign in; `sign_in_key` is the keyed hash of the sign-in name.
pub fn find_credentials(connection: &mut Connection, sign_in_key: &[u8]) -> Result<Option<Credentials>, Problem> {
    let row: Option<(Id, String, bool, Option<Sealed>, i64)> = accounts::table
        .filter(accounts::sign_in_key.eq(sign_in_key))
        .select((
            accounts::id,
            accounts::password,
            accounts::second_factor_on,
            accounts::second_factor,
            accounts::second_factor_step,
        ))
        .first(connection.before_any_permit())
        .optional()?;
    let Some((id, password, on, sealed, second_factor_step)) = row else { return Ok(None) };
    let second_factor = match sealed.filter(|_| on) {
        Some(sealed) => Some(connection.keys([id])?.of(id)?.open(Place(SECOND_FACTOR, id), &sealed)?),
        None => None,
    };
    Ok(Some(Credentials { id, password, second_factor, second_factor_step }))
}

/// Makes an account. The right to do so is the invitation that is spent in the same transaction.
///
/// # Errors
/// `Conflict` when the sign-in name is taken.
pub fn insert(
    connection: &mut Connection,
    sign_in_name: &str,
    sign_in_key: &[u8],
    password: &str,
    profile: &Profile,
) -> Result<Id, Problem> {
    let id = Id::in_order();
    let keys = connection.new_keys(&[id])?;
    let key = keys.of(id)?;
    diesel::insert_into(accounts::table)
        .values((
            accounts::id.eq(id),
            accounts::sign_in_key.eq(sign_in_key),
            accounts::sign_in_name.eq(key.seal(Place(SIGN_IN_NAME, id), sign_in_name)),
            accounts::name.eq(key.seal(Place(NAME, id), profile.name)),
            accounts::email.eq(profile.email.map(|email| key.seal(Place(EMAIL, id), email))),
            accounts::country.eq(profile.country),
            accounts::language.eq(profile.language),
            accounts::zone.eq(profile.zone),
            accounts::password.eq(password),
            accounts::second_factor_on.eq(false),
            accounts::second_factor_step.eq(0),
            accounts::created_at.eq(connection.now),
            accounts::version.eq(1),
        ))
        .execute(connection.before_any_permit())?;
    Ok(id)
}

/// The caller's own account.
pub fn find(
    connection: &mut Connection,
    permit: &Permit<impl crate::policy::area::Account>,
) -> Result<Account, Problem> {
    let row: Row = accounts::table.find(permit.account()).select(Row::as_select()).first(connection.with(permit))?;
    let keys = connection.keys([row.id])?;
    row.open(&keys)
}

/// Where the caller lives, for crisis lines; `None` when not said.
pub fn find_country<A: Act>(connection: &mut Connection, permit: &Permit<A>) -> Result<Option<String>, Problem> {
    Ok(accounts::table.find(permit.account()).select(accounts::country).first(connection.with(permit))?)
}

/// Where the caller lives, and the language and zone that count where a request says none.
pub struct Home {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// BCP-47.
    pub language: String,
    /// IANA.
    pub zone: String,
}

pub fn find_home<A: Act>(connection: &mut Connection, permit: &Permit<A>) -> Result<Home, Problem> {
    let (country, language, zone) = accounts::table
        .find(permit.account())
        .select((accounts::country, accounts::language, accounts::zone))
        .first(connection.with(permit))?;
    Ok(Home { country, language, zone })
}

/// The names of these accounts, for a permit whose answer shows who did something. A closed account has none.
pub fn list_names<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ids: impl IntoIterator<Item = Id>,
) -> Result<HashMap<Id, String>, Problem> {
    let mut ids: Vec<Id> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<(Id, Sealed)> = accounts::table
        .filter(accounts::id.eq_any(&ids))
        .filter(accounts::closed_at.is_null())
        .select((accounts::id, accounts::name))
        .load(connection.with(permit))?;
    let keys = connection.keys(ids)?;
    rows.into_iter().map(|(id, name)| Ok((id, keys.of(id)?.open(Place(NAME, id), &name)?))).collect()
}

/// The kept password hash of the caller.
pub fn find_password(
    connection: &mut Connection,
    permit: &Permit<impl crate::policy::area::Account>,
) -> Result<String, Problem> {
    Ok(accounts::table.find(permit.account()).select(accounts::password).first(connection.with(permit))?)
}

pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOwnAccount>,
    profile: &Profile,
    version: i32,
) -> Result<(), Problem> {
    let id = permit.account();
    let keys = connection.keys([id])?;
    let key = keys.of(id)?;
    let changed = diesel::update(accounts::table.filter(accounts::id.eq(id)).filter(accounts::version.eq(version)))
        .set((
            accounts::name.eq(key.seal(Place(NAME, id), profile.name)),
            accounts::email.eq(profile.email.map(|email| key.seal(Place(EMAIL, id), email))),
            accounts::country.eq(profile.country),
            accounts::language.eq(profile.language),
            accounts::zone.eq(profile.zone),
            accounts::version.eq(version + 1),
        ))
        .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

pub fn update_password(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOwnAccount>,
    password: &str,
) -> Result<(), Problem> {
    diesel::update(accounts::table.find(permit.account()))
        .set(accounts::password.eq(password))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Replaces a forgotten password and ends every sign-in: the command line's right. Returns whether there is the account.
pub fn reset_password(connection: &mut Connection, sign_in_key: &[u8], password: &str) -> Result<bool, Problem> {
    let Some(credentials) = find_credentials(connection, sign_in_key)? else { return Ok(false) };
    diesel::update(accounts::table.find(credentials.id))
        .set(accounts::password.eq(password))
        .execute(connection.before_any_permit())?;
    super::sign_ins::end_for_reset(connection, credentials.id)?;
    Ok(true)
}

/// Replaces a hash by one of the same password under newer parameters; done while signing in.
pub fn update_rehashed(connection: &mut Connection, id: Id, before: &str, rehashed: &str) -> Result<(), Problem> {
    diesel::update(accounts::table.filter(accounts::id.eq(id)).filter(accounts::password.eq(before)))
        .set(accounts::password.eq(rehashed))
        .execute(connection.before_any_permit())?;
    Ok(())
}

/// The TOTP secret (base32) that waits for its first code, or is in use; and the last time step that was used.
pub fn find_second_factor(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOwnAccount>,
) -> Result<(Option<String>, bool), Problem> {
    let id = permit.account();
    let (sealed, on): (Option<Sealed>, bool) = accounts::table
        .find(id)
        .select((accounts::second_factor, accounts::second_factor_on))
        .first(connection.with(permit))?;
    let keys = connection.keys([id])?;
    let secret = sealed.map(|sealed| keys.of(id)?.open(Place(SECOND_FACTOR, id), &sealed)).transpose()?;
    Ok((secret, on))
}

/// Keeps a new secret; it counts only once `on`.
pub fn update_second_factor(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOwnAccount>,
    secret: Option<&str>,
    on: bool,
    step: i64,
) -> Result<(), Problem> {
    let id = permit.account();
    let keys = connection.keys([id])?;
    let sealed =
        secret.map(|secret| Ok::<_, Problem>(keys.of(id)?.seal(Place(SECOND_FACTOR, id), secret))).transpose()?;
    diesel::update(accounts::table.find(id))
        .set((
            accounts::second_factor.eq(sealed),
            accounts::second_factor_on.eq(on),
            accounts::second_factor_step.eq(step),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Notes the time step whose code was used, so that no code works twice.
///
/// Returns whether this request was the first to use it.
pub fn use_step(connection: &mut Connection, id: Id, step: i64) -> Result<bool, Problem> {
    let used =
        diesel::update(accounts::table.filter(accounts::id.eq(id)).filter(accounts::second_factor_step.lt(step)))
            .set(accounts::second_factor_step.eq(step))
            .execute(connection.before_any_permit())?;
    Ok(used == 1)
}

/// Replaces the recovery codes, of which only hashes are kept.
pub fn replace_recovery_codes(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOwnAccount>,
    hashes: Vec<Vec<u8>>,
) -> Result<(), Problem> {
    let id = permit.account();
    diesel::delete(recovery_codes::table.filter(recovery_codes::account_id.eq(id))).execute(connection.with(permit))?;
    let rows: Vec<_> = hashes
        .into_iter()
        .map(|hash| (recovery_codes::code_hash.eq(hash), recovery_codes::account_id.eq(id)))
        .collect();
    insert_many!(connection.with(permit), recovery_codes::table, &rows)?;
    Ok(())
}

/// Spends a recovery code. Returns whether it was there and unspent.
pub fn use_recovery_code(connection: &mut Connection, id: Id, hash: &[u8]) -> Result<bool, Problem> {
    let now: Moment = connection.now;
    let used = diesel::update(
        recovery_codes::table
            .filter(recovery_codes::code_hash.eq(hash))
            .filter(recovery_codes::account_id.eq(id))
            .filter(recovery_codes::used_at.is_null()),
    )
    .set(recovery_codes::used_at.eq(now))
    .execute(connection.before_any_permit())?;
    Ok(used == 1)
}

/// Keeps that there is an account which is nobody's: closed ever since, without a name, and nobody signs in to it. Terms of
/// those who have gone point to it.
pub(super) fn keep_nobody<A: Act>(connection: &mut Connection, permit: &Permit<A>) -> Result<(), Problem> {
    let row = (
        accounts::id.eq(Id::NOBODY),
        accounts::sign_in_key.eq(random::<32>().to_vec()),
        accounts::sign_in_name.eq(Sealed(Vec::new())),
        accounts::name.eq(Sealed(Vec::new())),
        accounts::language.eq("und"),
        accounts::zone.eq("UTC"),
        accounts::password.eq(""),
        accounts::second_factor_on.eq(false),
        accounts::second_factor_step.eq(0),
        // No moment of anybody's.
        accounts::created_at.eq(Moment(0)),
        accounts::closed_at.eq(Moment(0)),
        accounts::version.eq(1),
    );
    insert_unless_there!(connection.with(permit), accounts::table, row)?;
    Ok(())
}

/// Takes away everything by which the caller's account could be known or used. What is left is its id: others' records
/// name it.
pub fn close(connection: &mut Connection, permit: &Permit<act::CloseAccount>) -> Result<(), Problem> {
    let (id, now) = (permit.account(), connection.now);
    diesel::delete(recovery_codes::table.filter(recovery_codes::account_id.eq(id))).execute(connection.with(permit))?;
    // Nobody can know a name with this key, so the old name is free and nobody signs in here again.
    diesel::update(accounts::table.find(id))
        .set((
            accounts::sign_in_key.eq(random::<32>().to_vec()),
            accounts::sign_in_name.eq(Sealed(Vec::new())),
            accounts::name.eq(Sealed(Vec::new())),
            accounts::email.eq(None::<Sealed>),
            accounts::country.eq(None::<String>),
            accounts::language.eq("und"),
            accounts::zone.eq("UTC"),
            accounts::password.eq(""),
            accounts::second_factor.eq(None::<Sealed>),
            accounts::second_factor_on.eq(false),
            accounts::second_factor_step.eq(0),
            accounts::closed_at.eq(now),
            accounts::version.eq(accounts::version + 1),
        ))
        .execute(connection.with(permit))?;
    keys::remove(connection.with(permit), id)
}
