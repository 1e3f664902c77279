//! Sign-ins with their refresh tokens, and the back-off after failed attempts.

use diesel::prelude::*;

use super::{
    columns::Sealed,
    connection::{Connection, insert_unless_there},
    permit::Permit,
    schema::{back_offs, refresh_tokens, sign_ins},
    sealing::Place,
};
use crate::{
    identity::{Caller, hash_of, new_token},
    policy::act,
    problem::Problem,
    values::{Id, Moment},
};

const DEVICE: &str = "sign_ins.device";

/// A retry over a bad network within so many minutes gets the same successor instead of being taken for theft.
const GRACE_MINUTES: i64 = 1;

/// How long sign-ins live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Without use, in minutes.
    pub idle_minutes: i64,
    /// In any case, in hours.
    pub longest_hours: i64,
}

/// A sign-in of the caller.
#[derive(Clone, Debug)]
pub struct SignIn {
    pub id: Id,
    pub device: Option<String>,
    pub started_at: Moment,
    pub last_used_at: Moment,
    pub ends_at: Moment,
}

/// The tokens of a sign-in that has just been used.
pub struct Issued {
    pub caller: Caller,
    pub refresh_token: String,
    pub refresh_expires_at: Moment,
}

/// Begins a sign-in, after the credentials were verified.
pub fn insert(
    connection: &mut Connection,
    account: Id,
    device: Option<&str>,
    second_factor: bool,
    lifetimes: Lifetimes,
) -> Result<Issued, Problem> {
    let now = connection.now;
    let id = Id::in_order();
    let device = match device {
        Some(device) => Some(connection.keys([account])?.of(account)?.seal(Place(DEVICE, id), device)),
        None => None,
    };
    diesel::insert_into(sign_ins::table)
        .values((
            sign_ins::id.eq(id),
            sign_ins::account_id.eq(account),
            sign_ins::device.eq(device),
            sign_ins::second_factor.eq(second_factor),
            sign_ins::started_at.eq(now),
            sign_ins::last_used_at.eq(now),
            sign_ins::ends_at.eq(now.plus_minutes(lifetimes.longest_hours * 60)),
        ))
        .execute(connection.before_any_permit())?;
    let token = new_token();
    let expires_at = insert_refresh_token(connection, id, &token, lifetimes)?;
    Ok(Issued { caller: Caller { account, sign_in: id }, refresh_token: token, refresh_expires_at: expires_at })
}

fn insert_refresh_token(
    connection: &mut Connection,
    sign_in: Id,
    token: &str,
    lifetimes: Lifetimes,
) -> Result<Moment, Problem> {
    let now = connection.now;
    let expires_at = now.plus_minutes(lifetimes.idle_minutes);
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::token_hash.eq(hash_of(token)),
            refresh_tokens::sign_in_id.eq(sign_in),
            refresh_tokens::issued_at.eq(now),
            refresh_tokens::expires_at.eq(expires_at),
        ))
        .execute(connection.before_any_permit())?;
    Ok(expires_at)
}

/// What came of a refresh token.
pub enum Rotation {
    Issued(Issued),
    /// Unknown, expired, or of a sign-in that ended.
    Refused,
    /// Used before: the whole family is revoked, and that must be committed.
    Reused,
}

/// Takes a refresh token and gives its successor. A used one, outside the short grace of a retry, ends the sign-in.
pub fn rotate(connection: &mut Connection, token: &str, lifetimes: Lifetimes) -> Result<Rotation, Problem> {
    let now = connection.now;
    let hash = hash_of(token);
    let row: Option<(Id, Moment, Option<Moment>)> = refresh_tokens::table
        .find(&hash)
        .select((refresh_tokens::sign_in_id, refresh_tokens::expires_at, refresh_tokens::used_at))
        .first(connection.before_any_permit())
        .optional()?;
    let Some((sign_in, expires_at, _)) = row else { return Ok(Rotation::Refused) };
    let account: Option<Id> = sign_ins::table
        .filter(sign_ins::id.eq(sign_in))
        .filter(sign_ins::ended_at.is_null())
        .filter(sign_ins::ends_at.gt(now))
        .select(sign_ins::account_id)
        .first(connection.before_any_permit())
        .optional()?;
    let Some(account) = account else { return Ok(Rotation::Refused) };
    let successor = connection.installation().successor(token);
    // One request alone finds the token unused, whatever else runs at the same time.
    let is_first = diesel::update(
        refresh_tokens::table
            .filter(refresh_tokens::token_hash.eq(&hash))
            .filter(refresh_tokens::used_at.is_null())
            .filter(refresh_tokens::expires_at.gt(now)),
    )
    .set(refresh_tokens::used_at.eq(now))
    .execute(connection.before_any_permit())?
        == 1;
    if is_first {
        let expires_at = insert_refresh_token(connection, sign_in, &successor, lifetimes)?;
        diesel::update(sign_ins::table.find(sign_in))
            .set(sign_ins::last_used_at.eq(now))
            .execute(connection.before_any_permit())?;
        return Ok(Rotation::Issued(Issued {
            caller: Caller { account, sign_in },
            refresh_token: successor,
            refresh_expires_at: expires_at,
        }));
    }
    let used_at: Option<Moment> =
        refresh_tokens::table.find(&hash).select(refresh_tokens::used_at).first(connection.before_any_permit())?;
    let Some(used_at) = used_at else {
        // Not used, so it expired: the idle time-out.
        let _ = expires_at;
        return Ok(Rotation::Refused);
    };
    let unused_successor: Option<Moment> = refresh_tokens::table
        .filter(refresh_tokens::token_hash.eq(hash_of(&successor)))
        .filter(refresh_tokens::used_at.is_null())
        .select(refresh_tokens::expires_at)
        .first(connection.before_any_permit())
        .optional()?;
    match unused_successor {
        Some(expires_at) if now < used_at.plus_minutes(GRACE_MINUTES) => Ok(Rotation::Issued(Issued {
            caller: Caller { account, sign_in },
            refresh_token: successor,
            refresh_expires_at: expires_at,
        })),
        _ => {
            end_where(connection, account, Some(sign_in), None, "reuse")?;
            Ok(Rotation::Reused)
        }
    }
}

/// The caller's live sign-ins, newest first.
pub fn list(connection: &mut Connection, permit: &Permit<act::ReadOwnAccount>) -> Result<Vec<SignIn>, Problem> {
    let account = permit.account();
    let now = connection.now;
    let rows: Vec<(Id, Option<Sealed>, Moment, Moment, Moment)> = sign_ins::table
        .filter(sign_ins::account_id.eq(account))
        .filter(sign_ins::ended_at.is_null())
        .filter(sign_ins::ends_at.gt(now))
        .order(sign_ins::started_at.desc())
        .limit(200)
        .select((sign_ins::id, sign_ins::device, sign_ins::started_at, sign_ins::last_used_at, sign_ins::ends_at))
        .load(connection.with(permit))?;
    let keys = connection.keys([account])?;
    let key = keys.of(account)?;
    rows.into_iter()
        .map(|(id, device, started_at, last_used_at, ends_at)| {
            let device = device.map(|device| key.open(Place(DEVICE, id), &device)).transpose()?;
            Ok(SignIn { id, device, started_at, last_used_at, ends_at })
        })
        .collect()
}

/// Ends one of the caller's sign-ins. Returns whether it was live.
pub fn end(connection: &mut Connection, permit: &Permit<act::ChangeOwnAccount>, sign_in: Id) -> Result<bool, Problem> {
    Ok(end_where(connection, permit.account(), Some(sign_in), None, "signed_out")? > 0)
}

/// Ends all of the caller's sign-ins, `except` one where it is named.
pub fn end_all(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOwnAccount>,
    except: Option<Id>,
    because: &'static str,
) -> Result<(), Problem> {
    end_where(connection, permit.account(), None, except, because)?;
    Ok(())
}

/// Live sign-ins of an account that goes without a second factor count as made without one.
pub fn forget_second_factor(
    connection: &mut Connection,
    permit: &Permit<act::ChangeOwnAccount>,
) -> Result<(), Problem> {
    diesel::update(sign_ins::table.filter(sign_ins::account_id.eq(permit.account())))
        .set(sign_ins::second_factor.eq(false))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Ends all sign-ins of an account that an administrator suspends.
pub fn end_for_suspension(
    connection: &mut Connection,
    _permit: &Permit<act::SuspendPerson>,
    account: Id,
) -> Result<(), Problem> {
    end_where(connection, account, None, None, "suspended")?;
    Ok(())
}

/// Ends all sign-ins of an account whose password was reset on the command line.
pub(super) fn end_for_reset(connection: &mut Connection, account: Id) -> Result<(), Problem> {
    end_where(connection, account, None, None, "password_reset")?;
    Ok(())
}

fn end_where(
    connection: &mut Connection,
    account: Id,
    only: Option<Id>,
    except: Option<Id>,
    because: &'static str,
) -> Result<usize, Problem> {
    let now = connection.now;
    // `ne` and `eq` against an id that no row has stand for "any".
    let nobody = Id::INSTALLATION;
    let of_account = sign_ins::table
        .filter(sign_ins::account_id.eq(account))
        .filter(sign_ins::ended_at.is_null())
        .filter(sign_ins::id.ne(except.unwrap_or(nobody)));
    let values = (sign_ins::ended_at.eq(now), sign_ins::ended_because.eq(because));
    let database = connection.before_any_permit();
    let ended = match only {
        Some(only) => diesel::update(of_account.filter(sign_ins::id.eq(only))).set(values).execute(database)?,
        None => diesel::update(of_account).set(values).execute(database)?,
    };
    Ok(ended)
}

/// How many failures are free, and how long the longest pause is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    free: i32,
    longest_seconds: i64,
}

/// For one sign-in name from one address: five tries, then pauses that double up to five minutes. Never a lock-out.
pub const ONE_NAME_HERE: Patience = Patience { free: 5, longest_seconds: 300 };
/// For one sign-in name from anywhere: fifty tries a day, then pauses up to a minute, so that a stranger who guesses
/// keeps its owner waiting no longer than that.
pub const ONE_NAME: Patience = Patience { free: 50, longest_seconds: 60 };
/// For guesses at invitation codes from one address: fifty a day, then pauses up to a minute.
pub const CODES_HERE: Patience = Patience { free: 50, longest_seconds: 60 };
/// For one address, from which a whole clinic may come: two hundred failures a day, then pauses up to one minute.
pub const ONE_ADDRESS: Patience = Patience { free: 200, longest_seconds: 60 };

/// Seconds until the next attempt is heard; `None` when it is heard now.
pub fn find_pause(connection: &mut Connection, subjects: &[Vec<u8>]) -> Result<Option<i64>, Problem> {
    let now = connection.now;
    // A pause that ends later than the longest one was set by a clock that has been put back since: nobody waits until
    // it gets there again.
    let latest = Moment(now.0 + ONE_NAME_HERE.longest_seconds * 1000);
    let pauses: Vec<Moment> = back_offs::table
        .filter(back_offs::subject.eq_any(subjects))
        .filter(back_offs::blocked_until.gt(now))
        .filter(back_offs::blocked_until.le(latest))
        .select(back_offs::blocked_until)
        .load(connection.before_any_permit())?;
    let until = pauses.into_iter().max();
    Ok(until.map(|until| (until.0 - now.0).div_euclid(1000) + 1))
}

/// Counts a failure; quiet for a day starts anew.
pub fn insert_failure(connection: &mut Connection, subject: &[u8], patience: Patience) -> Result<(), Problem> {
    let now = connection.now;
    let database = connection.before_any_permit();
    let first = (
        back_offs::subject.eq(subject),
        back_offs::failures.eq(0),
        back_offs::failed_at.eq(now),
        back_offs::blocked_until.eq(now),
    );
    insert_unless_there!(database, back_offs::table, first)?;
    // Counted by the database, which also locks the row: of many failures at once, each counts.
    diesel::update(back_offs::table.find(subject))
        .set(back_offs::failures.eq(back_offs::failures + 1))
        .execute(database)?;
    let (counted, failed_at): (i32, Moment) =
        back_offs::table.find(subject).select((back_offs::failures, back_offs::failed_at)).first(database)?;
    let failures = if now < failed_at.plus_days(1) { counted } else { 1 };
    let pause = match failures - patience.free {
        over @ 1.. => (1_i64 << over.min(20)).min(patience.longest_seconds),
        _ => 0,
    };
    diesel::update(back_offs::table.find(subject))
        .set((
            back_offs::failures.eq(failures.min(1_000_000)),
            back_offs::failed_at.eq(now),
            back_offs::blocked_until.eq(Moment(now.0 + pause * 1000)),
        ))
        .execute(database)?;
    Ok(())
}

/// Forgets the failures of somebody who signed in.
pub fn remove_failures(connection: &mut Connection, subjects: &[Vec<u8>]) -> Result<(), Problem> {
    diesel::delete(back_offs::table.filter(back_offs::subject.eq_any(subjects)))
        .execute(connection.before_any_permit())?;
    Ok(())
}

/// Removes what has had its day: kept answers, spent tokens and old back-offs. Part of the server's housekeeping.
pub fn remove_expired(connection: &mut Connection) -> Result<(), Problem> {
    use super::schema::idempotent_answers;
    let now = connection.now;
    let database = connection.before_any_permit();
    diesel::delete(idempotent_answers::table.filter(idempotent_answers::created_at.lt(now.plus_days(-1))))
        .execute(database)?;
    diesel::delete(refresh_tokens::table.filter(refresh_tokens::expires_at.lt(now.plus_days(-30))))
        .execute(database)?;
    diesel::delete(back_offs::table.filter(back_offs::failed_at.lt(now.plus_days(-2)))).execute(database)?;
    Ok(())
}
