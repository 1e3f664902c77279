//! Private calendar feeds: a token of which only the hash is kept, and what its owner may see in a calendar now.

use diesel::prelude::*;

use super::{
    connection::{Connection, Database},
    permit::Permit,
    schema::{accounts, feeds, groups, members, peer_settings, sessions, standings, suspensions},
};
use crate::{
    identity::{hash_of, new_token},
    policy::{Standing, act},
    problem::Problem,
    rules::{
        members::State as Membership,
        sessions::State as SessionState,
        terms::{LONGEST_AFTER_HOURS, LONGEST_BEFORE_HOURS, Phase, Term, Windows},
    },
    values::{Id, Moment},
};

/// Days back and ahead that a feed shows.
const DAYS_BACK: i64 = 30;
const DAYS_AHEAD: i64 = 180;

/// When somebody meets, and nothing about where, with whom or why.
#[derive(Clone, Debug)]
pub struct Entry {
    /// A keyed hash of owner and session: the calendars of two members cannot be compared.
    pub uid: String,
    pub starts_at: Moment,
    pub ends_at: Moment,
    pub planned_at: Moment,
    /// How often the session was changed.
    pub revision: i32,
}

/// Makes the caller's feed anew and gives its token, this once. The former address ends.
pub fn insert(connection: &mut Connection, permit: &Permit<act::ChangeOwnAccount>) -> Result<String, Problem> {
    remove(connection, permit)?;
    let token = new_token();
    diesel::insert_into(feeds::table)
        .values((
            feeds::id.eq(Id::random()),
            feeds::account_id.eq(permit.account()),
            feeds::token_hash.eq(hash_of(&token)),
            feeds::made_at.eq(connection.now),
        ))
        .execute(connection.with(permit))?;
    Ok(token)
}

/// Ends the caller's feed, where there is one.
pub fn remove(connection: &mut Connection, permit: &Permit<act::ChangeOwnAccount>) -> Result<(), Problem> {
    let now = connection.now;
    // Of two who make one at once, the second waits here and then ends the first.
    diesel::update(accounts::table.find(permit.account()))
        .set(accounts::version.eq(accounts::version))
        .execute(connection.with(permit))?;
    diesel::update(feeds::table.filter(feeds::account_id.eq(permit.account())).filter(feeds::ended_at.is_null()))
        .set(feeds::ended_at.eq(now))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Since when the caller has a feed; `None` without one.
pub fn find(connection: &mut Connection, permit: &Permit<act::ReadOwnAccount>) -> Result<Option<Moment>, Problem> {
    Ok(feeds::table
        .filter(feeds::account_id.eq(permit.account()))
        .filter(feeds::ended_at.is_null())
        .select(feeds::made_at)
        .first(connection.with(permit))
        .optional()?)
}

/// What the owner of a token may see in a calendar at this moment. No permit can stand before it: a calendar program
/// signs in nowhere, and the token says who asks.
///
/// # Errors
/// `NotFound` for a token that is not, or no more, one.
pub fn list_entries(connection: &mut Connection, token: &str) -> Result<Vec<Entry>, Problem> {
    let now = connection.now;
    let database = connection.before_any_permit();
    let account: Id = feeds::table
        .inner_join(accounts::table.on(accounts::id.eq(feeds::account_id)))
        .filter(feeds::token_hash.eq(hash_of(token)))
        .filter(feeds::ended_at.is_null())
        .filter(accounts::closed_at.is_null())
        .select(feeds::account_id)
        .first(database)?;
    connection.calls(account);
    let database = connection.before_any_permit();
    let (of_terms, of_one_term) = list_led(database, account, now)?;
    let of_groups: Vec<Id> = list_belonging(database, account, now)?.into_iter().chain(of_terms).collect();
    let (from, until) = (now.plus_days(-DAYS_BACK), now.plus_days(DAYS_AHEAD));
    type Row = (Id, Moment, i32, Moment, i32);
    let columns = (sessions::id, sessions::starts_at, sessions::minutes, sessions::created_at, sessions::version);
    let mut rows: Vec<Row> = sessions::table
        .filter(sessions::group_id.eq_any(&of_groups))
        .filter(sessions::starts_at.ge(from))
        .filter(sessions::starts_at.lt(until))
        .filter(sessions::state.ne(SessionState::Cancelled))
        .select(columns)
        .load(database)?;
    rows.extend(
        sessions::table
            .filter(sessions::id.eq_any(&of_one_term))
            .filter(sessions::starts_at.ge(from))
            .filter(sessions::starts_at.lt(until))
            .filter(sessions::state.ne(SessionState::Cancelled))
            .select(columns)
            .load::<Row>(database)?,
    );
    rows.sort_unstable_by_key(|(id, starts_at, ..)| (*starts_at, *id));
    rows.dedup_by_key(|(id, ..)| *id);
    Ok(rows
        .into_iter()
        .map(|(id, starts_at, minutes, planned_at, version)| Entry {
            uid: uid(connection, account, id),
            starts_at,
            ends_at: starts_at.plus_minutes(i64::from(minutes)),
            planned_at,
            revision: version - 1,
        })
        .collect())
}

fn uid(connection: &Connection, account: Id, session: Id) -> String {
    let hash = connection.installation().index("feed", &format!("{account}\0{session}"));
    data_encoding::HEXLOWER.encode(&hash[..16])
}

/// The groups to which the account belongs now.
fn list_belonging(database: &mut Database, account: Id, now: Moment) -> Result<Vec<Id>, Problem> {
    let rows: Vec<(Id, Membership)> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .left_join(
            suspensions::table.on(suspensions::account_id
                .eq(account)
                .and(suspensions::organization_id.eq(groups::organization_id))
                .and(suspensions::until_at.is_null())),
        )
        .filter(members::account_id.eq(account))
        .filter(members::barred_until.is_null().or(members::barred_until.le(now)))
        .filter(suspensions::id.nullable().is_null())
        .select((members::group_id, members::state))
        .load(database)?;
    let belongs = |state: Membership| state.standing() == Some(Standing::Member);
    Ok(rows.into_iter().filter(|(_, state)| belongs(*state)).map(|(group, _)| group).collect())
}

/// The groups that the account leads or learns in now, and the single sessions, as `standing` judges terms.
fn list_led(database: &mut Database, account: Id, now: Moment) -> Result<(Vec<Id>, Vec<Id>), Problem> {
    type Held = (Option<Id>, Option<Id>, Standing, Moment, Option<Moment>, bool);
    type Row = (Held, Option<(i32, i32, i32)>);
    let rows: Vec<Row> = standings::table
        .left_join(peer_settings::table.on(peer_settings::group_id.nullable().eq(standings::group_id)))
        .left_join(
            suspensions::table.on(suspensions::account_id
                .eq(account)
                .and(suspensions::organization_id.eq(standings::organization_id))
                .and(suspensions::until_at.is_null())),
        )
        .filter(standings::account_id.eq(account))
        .filter(standings::group_id.is_not_null())
        .filter(standings::from_at.le(now.plus_minutes(LONGEST_BEFORE_HOURS * 60)))
        .filter(standings::until_at.is_null().or(standings::until_at.gt(now.plus_minutes(-LONGEST_AFTER_HOURS * 60))))
        .filter(suspensions::id.nullable().is_null())
        .select((
            (
                standings::group_id,
                standings::session_id,
                standings::standing,
                standings::from_at,
                standings::until_at,
                standings::cut_short,
            ),
            (peer_settings::preparing_hours, peer_settings::finishing_hours, peer_settings::reading_hours).nullable(),
        ))
        .load(database)?;
    let (mut of_groups, mut of_sessions) = (Vec::new(), Vec::new());
    for ((group, session, standing, from_at, until_at, cut_short), windows) in rows {
        let windows = windows.map_or(Windows::DEFAULT, |(preparing_hours, finishing_hours, reading_hours)| Windows {
            preparing_hours,
            finishing_hours,
            reading_hours,
        });
        let term = Term { from_at, until_at, cut_short };
        let counts = match standing {
            // Whoever only reads what was done has nothing ahead.
            Standing::Facilitator => term.phase(windows, now) == Phase::Leading,
            _ => term.runs(now),
        };
        match session {
            _ if !counts => {}
            Some(session) => of_sessions.push(session),
            None => of_groups.extend(group),
        }
    }
    Ok((of_groups, of_sessions))
}
