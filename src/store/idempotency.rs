//! The first answers to requests with an `Idempotency-Key`, sealed for their caller, in the transaction of the act.

use data_encoding::HEXLOWER;
use diesel::prelude::*;

use super::{
    columns::Sealed,
    connection::Connection,
    permit::Permit,
    schema::idempotent_answers::{self, dsl},
    sealing::Place,
};
use crate::{identity::hash_of, policy::Act, problem::Problem, values::Id};

const ANSWER: &str = "idempotent_answers.answer";

/// The answer to the first request with this key. `digest` is that of the present one.
///
/// # Errors
/// `Refused` when the first one was another request.
pub fn find<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    key: &str,
    digest: &[u8],
) -> Result<Option<String>, Problem> {
    let caller = permit.account();
    let row: Option<(Vec<u8>, Sealed)> = dsl::idempotent_answers
        .find((caller, key))
        .select((dsl::request_hash, dsl::answer))
        .first(connection.with(permit))
        .optional()?;
    let Some((first, answer)) = row else { return Ok(None) };
    if first != mark(connection, caller, digest) {
        return Err(Problem::field("Idempotency-Key", "was used for another request"));
    }
    connection.keys([caller])?.of(caller)?.open(Place(ANSWER, place_of(key)), &answer).map(Some)
}

/// # Errors
/// `Conflict` when the same key is being used at this moment.
pub fn insert<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    key: &str,
    digest: &[u8],
    answer: &str,
) -> Result<(), Problem> {
    let caller = permit.account();
    let answer = connection.keys([caller])?.of(caller)?.seal(Place(ANSWER, place_of(key)), answer);
    diesel::insert_into(idempotent_answers::table)
        .values((
            dsl::caller_id.eq(caller),
            dsl::key.eq(key),
            dsl::request_hash.eq(mark(connection, caller, digest)),
            dsl::answer.eq(answer),
            dsl::created_at.eq(connection.now),
        ))
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
