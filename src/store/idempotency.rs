//! The first answers to requests with an `Idempotency-Key`, sealed for their caller, in the transaction of the act.

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

/// The digest of the first request with this key, and its answer.
pub fn find<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    key: &str,
) -> Result<Option<(Vec<u8>, String)>, Problem> {
    let caller = permit.account();
    let row: Option<(Vec<u8>, Sealed)> = dsl::idempotent_answers
        .find((caller, key))
        .select((dsl::request_hash, dsl::answer))
        .first(connection.with(permit))
        .optional()?;
    let Some((digest, answer)) = row else { return Ok(None) };
    let answer = connection.keys([caller])?.of(caller)?.open(Place(ANSWER, place_of(key)), &answer)?;
    Ok(Some((digest, answer)))
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
            dsl::request_hash.eq(digest),
            dsl::answer.eq(answer),
            dsl::created_at.eq(connection.now),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The caller's row of a key, as an id that a sealed value can be bound to.
fn place_of(key: &str) -> Id {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash_of(key)[..16]);
    Id(uuid::Uuid::from_bytes(bytes))
}
