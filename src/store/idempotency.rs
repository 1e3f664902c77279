//! The first answers to requests with an `Idempotency-Key`, sealed for their caller, in the transaction of the act.

use data_encoding::HEXLOWER;
use diesel::prelude::*;

use super::{
    columns::Sealed,
    connection::{Connection, insert_unless_there},
    permit::Permit,
    schema::idempotent_answers::{self, dsl},
    sealing::Place,
};
use crate::{
    identity::hash_of,
    policy::Act,
    problem::Problem,
    values::{Id, Moment},
};

#[derive(Insertable)]
#[diesel(table_name = idempotent_answers)]
struct Row<'a> {
    caller_id: Id,
    key: &'a str,
    request_hash: &'a [u8],
    answer: Sealed,
    created_at: Moment,
    scope_id: Id,
}

const ANSWER: &str = "idempotent_answers.answer";

/// Takes a key for the present request, or gives the answer to the first one. Where the first one is still being done, this
/// one waits for it: a retry that overtakes would be told that it clashes with itself. `digest` is that of the present one.
///
/// # Errors
/// `Refused` when the first one was another request; `Conflict` when its answer was emptied.
pub fn begin<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    key: &str,
    digest: &[u8],
) -> Result<Option<String>, Problem> {
    let caller = permit.account();
    let (mark, now) = (mark(connection, caller, digest), connection.now);
    let row = Row {
        caller_id: caller,
        key,
        request_hash: &mark,
        answer: Sealed(Vec::new()),
        created_at: now,
        scope_id: permit.scope_id(),
    };
    if insert_unless_there!(connection.with(permit), idempotent_answers::table, &row)? == 1 {
        return Ok(None);
    }
    let (first, answer): (Vec<u8>, Sealed) = dsl::idempotent_answers
        .find((caller, key))
        .select((dsl::request_hash, dsl::answer))
        .first(connection.with(permit))?;
    if first != mark {
        return Err(Problem::field("Idempotency-Key", "was used for another request"));
    }
    if answer.0.is_empty() {
        return Err(Problem::Conflict("This was done; what it answered has been removed since.".into()));
    }
    connection.keys([caller])?.of(caller)?.open(Place(ANSWER, place_of(key)), &answer).map(Some)
}

/// Keeps the answer under the key that the request took; also where the act removed all kept answers, as an erasure does.
pub fn keep<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    key: &str,
    digest: &[u8],
    answer: &str,
) -> Result<(), Problem> {
    let caller = permit.account();
    let answer = connection.keys([caller])?.of(caller)?.seal(Place(ANSWER, place_of(key)), answer);
    let kept = diesel::update(dsl::idempotent_answers.find((caller, key)))
        .set(dsl::answer.eq(&answer))
        .execute(connection.with(permit))?;
    if kept == 0 {
        let row = Row {
            caller_id: caller,
            key,
            request_hash: &mark(connection, caller, digest),
            answer,
            created_at: connection.now,
            scope_id: permit.scope_id(),
        };
        diesel::insert_into(idempotent_answers::table).values(&row).execute(connection.with(permit))?;
    }
    Ok(())
}

/// Gives the key back where a refusal is committed, as one that counts a guess.
pub fn give_back<A: Act>(connection: &mut Connection, permit: &Permit<A>, key: &str) -> Result<(), Problem> {
    diesel::delete(dsl::idempotent_answers.find((permit.account(), key))).execute(connection.with(permit))?;
    Ok(())
}

/// Empties what anybody was answered in a group: it could show again what is removed there now. The keys stay taken, so
/// that nothing is done twice.
pub fn empty<A: Act>(connection: &mut Connection, permit: &Permit<A>, group: Id) -> Result<(), Problem> {
    diesel::update(dsl::idempotent_answers.filter(dsl::scope_id.eq(group)))
        .set(dsl::answer.eq(Sealed(Vec::new())))
        .execute(connection.with(permit))?;
    Ok(())
}

/// A request as only the server knows it again: a bare digest of a short text is found by guessing.
fn mark(connection: &Connection, caller: Id, digest: &[u8]) -> Vec<u8> {
    connection.installation().index("idempotent_answers", &format!("{caller} {}", HEXLOWER.encode(digest)))
}

/// The caller's row of a key, as an id that a sealed value can be bound to.
fn place_of(key: &str) -> Id {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash_of(key)[..16]);
    Id(uuid::Uuid::from_bytes(bytes))
}
