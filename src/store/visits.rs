//! Session codes, visits without an account, and the papers that say that somebody was there.

use diesel::prelude::*;

use super::{
    columns::Sealed,
    connection::{Connection, Database, insert_unless_there},
    invitations::{new_code, read_code},
    permit::Permit,
    schema::{peer_settings, proofs, session_codes, sessions, visits},
    sealing::{Place, random},
    sessions::Session,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::{
        meetings::{code_counts, paper},
        sessions::State,
    },
    values::{Day, Id, Moment},
};

const CODE: &str = "session_codes.code";

/// The letters of a session's code, which is read out, or written on a board, and typed on phones in either case. Left
/// out is what looks like something else in one of the cases (0 D O Q, 1 I L, 2 Z, 5 S, 6 G, 8 B, 9 g q, U V) and what
/// is taken for one another when heard (B D G V, M N). Six of these 18 are 34 million codes, against a few wrong
/// guesses and then one a minute.
const LETTERS: &[u8; 18] = b"ACEFHJKPRTWXY34679";
const LENGTH: usize = 6;

/// The session that a code opens.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    session: Id,
    group: Id,
}

/// A visit that was made, without anything about who made it.
#[derive(Clone, Debug)]
pub struct Visit {
    key: Vec<u8>,
    pub session: Id,
    /// When its session was to start.
    pub starts_at: Moment,
    /// The local day of its session.
    pub on: Day,
    /// Whether the group makes papers for those who were there.
    pub proofs: bool,
}

fn new_session_code() -> String {
    let mut code = String::with_capacity(LENGTH);
    while code.len() < LENGTH {
        // The last few values of a byte would make some letters more likely than others.
        let [byte] = random::<1>();
        if usize::from(byte) < 256 / LETTERS.len() * LETTERS.len() {
            code.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        }
    }
    code
}

/// A session's code as it was typed: case, spaces and strokes do not matter.
fn read_session_code(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

fn key_of_code(connection: &Connection, typed: &str) -> Vec<u8> {
    connection.installation().index("session_codes", &read_session_code(typed))
}

fn key_of_visit(connection: &Connection, typed: &str) -> Vec<u8> {
    connection.installation().index("visits", &read_code(typed))
}

fn key_of_paper(connection: &Connection, proof: &str, name: &str, on: Day) -> Vec<u8> {
    connection.installation().index("proofs", &paper(&read_code(proof), name, on))
}

/// The local day on which a session is.
pub fn day_of(starts_at: Moment, zone: &str) -> Day {
    starts_at.day_in(zone)
}

/// The session's code: made when it is first asked for, and the same from then on.
pub fn open_code(
    connection: &mut Connection,
    permit: &Permit<act::OpenSessionCode>,
    session: &Session,
) -> Result<String, Problem> {
    permit.reaches_session(session.id)?;
    let group = permit.group();
    let kept: Option<Sealed> = session_codes::table
        .filter(session_codes::session_id.eq(session.id))
        .filter(session_codes::group_id.eq(group))
        .select(session_codes::code)
        .first(connection.with(permit))
        .optional()?;
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    if let Some(sealed) = kept {
        return key.open(Place(CODE, session.id), &sealed);
    }
    let code = new_session_code();
    diesel::insert_into(session_codes::table)
        .values((
            session_codes::session_id.eq(session.id),
            session_codes::group_id.eq(group),
            session_codes::code_key.eq(key_of_code(connection, &code)),
            session_codes::code.eq(key.seal(Place(CODE, session.id), &code)),
        ))
        .execute(connection.with(permit))?;
    Ok(code)
}

/// Whether a session's code counts now, wherever the session was moved since the code was made.
fn counts(now: Moment, starts_at: Moment, minutes: i32) -> bool {
    let (opens_at, closes_at) = code_counts(starts_at, minutes);
    opens_at <= now && now < closes_at
}

/// The session that a code opens now. Wrong, closed and called off are not told apart.
pub fn find_open(connection: &mut Connection, typed: &str) -> Result<Option<Opened>, Problem> {
    let (key, now) = (key_of_code(connection, typed), connection.now);
    let found: Option<(Id, Id, Moment, i32)> = session_codes::table
        .inner_join(sessions::table.on(sessions::id.eq(session_codes::session_id)))
        .filter(session_codes::code_key.eq(key))
        .filter(sessions::state.ne(State::Cancelled))
        .select((session_codes::session_id, session_codes::group_id, sessions::starts_at, sessions::minutes))
        .first(connection.before_any_permit())
        .optional()?;
    Ok(found
        .filter(|(_, _, starts_at, minutes)| counts(now, *starts_at, *minutes))
        .map(|(session, group, _, _)| Opened { session, group }))
}

/// Whether this is the session's own code, and counts now.
pub fn is_open(
    connection: &mut Connection,
    permit: &Permit<act::MakeProof>,
    session: &Session,
    typed: &str,
) -> Result<bool, Problem> {
    let (key, now) = (key_of_code(connection, typed), connection.now);
    let found: Option<Id> = session_codes::table
        .filter(session_codes::session_id.eq(session.id))
        .filter(session_codes::group_id.eq(permit.group()))
        .filter(session_codes::code_key.eq(key))
        .select(session_codes::session_id)
        .first(connection.with(permit))
        .optional()?;
    Ok(found.is_some() && counts(now, session.starts_at, session.minutes))
}

/// Keeps that one more came, and gives the visitor's own code, this once.
pub fn insert(connection: &mut Connection, opened: Opened) -> Result<String, Problem> {
    let code = new_code();
    let key = key_of_visit(connection, &code);
    diesel::insert_into(visits::table)
        .values((
            visits::visit_key.eq(key),
            visits::session_id.eq(opened.session),
            visits::group_id.eq(opened.group),
            visits::claimed.eq(false),
        ))
        .execute(connection.before_any_permit())?;
    Ok(code)
}

/// How many dropped in, other than those who are counted under a name or pseudonym by now.
pub fn count<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, session: Id) -> Result<i64, Problem> {
    permit.reaches_session(session)?;
    Ok(visits::table
        .filter(visits::session_id.eq(session))
        .filter(visits::group_id.eq(permit.group()))
        .count()
        .get_result(connection.with(permit))?)
}

type Found = (Vec<u8>, Id, Moment, String, bool);

fn found((key, session, starts_at, zone, proofs): Found) -> Visit {
    Visit { key, session, starts_at, on: day_of(starts_at, &zone), proofs }
}

/// The visit that a visitor's code stands for, for the visitor.
pub fn find(connection: &mut Connection, typed: &str) -> Result<Option<Visit>, Problem> {
    let key = key_of_visit(connection, typed);
    let row: Option<Found> = visits::table
        .inner_join(sessions::table.on(sessions::id.eq(visits::session_id)))
        .inner_join(peer_settings::table.on(peer_settings::group_id.eq(visits::group_id)))
        .filter(visits::visit_key.eq(key))
        .filter(sessions::state.ne(State::Cancelled))
        .select((visits::visit_key, visits::session_id, sessions::starts_at, sessions::zone, peer_settings::proofs))
        .first(connection.before_any_permit())
        .optional()?;
    Ok(row.map(found))
}

/// A visit of this group that nobody has claimed.
pub fn find_unclaimed(
    connection: &mut Connection,
    permit: &Permit<act::ClaimVisit>,
    typed: &str,
) -> Result<Option<Visit>, Problem> {
    let key = key_of_visit(connection, typed);
    let row: Option<Found> = visits::table
        .inner_join(sessions::table.on(sessions::id.eq(visits::session_id)))
        .inner_join(peer_settings::table.on(peer_settings::group_id.eq(visits::group_id)))
        .filter(visits::visit_key.eq(key))
        .filter(visits::group_id.eq(permit.group()))
        .filter(visits::claimed.eq(false))
        .filter(sessions::state.ne(State::Cancelled))
        .select((visits::visit_key, visits::session_id, sessions::starts_at, sessions::zone, peer_settings::proofs))
        .first(connection.with(permit))
        .optional()?;
    Ok(row.map(found))
}

/// Spends a visit of which nothing about anybody is kept. Returns whether nobody was faster.
pub fn update_claimed(
    connection: &mut Connection,
    permit: &Permit<act::ClaimVisit>,
    visit: &Visit,
) -> Result<bool, Problem> {
    let unclaimed = visits::table
        .filter(visits::visit_key.eq(&visit.key))
        .filter(visits::group_id.eq(permit.group()))
        .filter(visits::claimed.eq(false));
    Ok(diesel::update(unclaimed).set(visits::claimed.eq(true)).execute(connection.with(permit))? == 1)
}

/// Takes away a visit whose visitor is counted under a name or a pseudonym from now on. Returns whether nobody was
/// faster.
pub fn remove(connection: &mut Connection, permit: &Permit<act::ClaimVisit>, visit: &Visit) -> Result<bool, Problem> {
    let unclaimed = visits::table
        .filter(visits::visit_key.eq(&visit.key))
        .filter(visits::group_id.eq(permit.group()))
        .filter(visits::claimed.eq(false));
    Ok(diesel::delete(unclaimed).execute(connection.with(permit))? == 1)
}

/// Makes a paper for a member, and returns what names it.
pub fn insert_proof(
    connection: &mut Connection,
    permit: &Permit<act::MakeProof>,
    name: &str,
    on: Day,
) -> Result<String, Problem> {
    let proof = new_code();
    let key = key_of_paper(connection, &proof, name, on);
    keep_paper(connection.with(permit), key)?;
    Ok(proof)
}

/// The same for a visitor.
pub fn insert_visitors_proof(connection: &mut Connection, visit: &Visit, name: &str) -> Result<String, Problem> {
    let proof = new_code();
    let key = key_of_paper(connection, &proof, name, visit.on);
    keep_paper(connection.before_any_permit(), key)?;
    Ok(proof)
}

fn keep_paper(database: &mut Database, key: Vec<u8>) -> Result<(), Problem> {
    insert_unless_there!(database, proofs::table, proofs::proof_key.eq(key))?;
    Ok(())
}

/// Whether a paper that says this was made.
pub fn is_proof(connection: &mut Connection, proof: &str, name: &str, on: Day) -> Result<bool, Problem> {
    let key = key_of_paper(connection, proof, name, on);
    let found: Option<Vec<u8>> =
        proofs::table.find(key).select(proofs::proof_key).first(connection.before_any_permit()).optional()?;
    Ok(found.is_some())
}
