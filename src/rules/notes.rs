//! Notes: draft, signature, co-signature, addenda, release. A signed note never changes.
//!
//! The three kinds are judged by the same few rules and kept apart everywhere else: by table, type and permission.

use super::{Refusal, attendance::Status};
use crate::{
    policy::Standing,
    values::{Id, Moment},
    words,
};

words! {
    /// How far a note has come.
    pub enum State {
        Draft = "draft",
        AwaitingCosignature = "awaiting_cosignature",
        Signed = "signed",
    }
}

/// What was added to a note after its signature; the note itself stays as it was signed.
#[derive(Clone, Debug)]
pub struct Addendum {
    pub id: Id,
    pub text: String,
    /// The account that wrote it.
    pub author: Id,
    pub recorded_at: Moment,
}

/// Only a draft changes.
pub fn check_draft(state: State) -> Result<(), Refusal> {
    match state {
        State::Draft => Ok(()),
        State::AwaitingCosignature => Err(Refusal::clash("The note is signed and waits for its co-signature.")),
        State::Signed => Err(Refusal::clash("The note is signed: write an addendum instead.")),
    }
}

/// Nobody puts words into another clinician's draft.
pub fn check_author(author: Id, by: Id) -> Result<(), Refusal> {
    if author == by { Ok(()) } else { Err(Refusal::clash("Only its author changes a draft.")) }
}

/// What a signature makes of a draft: who leads the group signs alone, and whoever else signs waits for a
/// co-signature.
pub fn sign(state: State, by: Option<Standing>) -> Result<State, Refusal> {
    check_draft(state)?;
    Ok(match by {
        Some(Standing::Therapist | Standing::CoTherapist) => State::Signed,
        _ => State::AwaitingCosignature,
    })
}

/// What a signature makes of a process note: nobody else may read it, so nobody could co-sign it.
pub fn sign_alone(state: State) -> Result<State, Refusal> {
    check_draft(state)?;
    Ok(State::Signed)
}

/// Judges a co-signature: somebody else than the signer, and the trainee's own supervisor where one is named.
pub fn cosign(state: State, signed_by: Option<Id>, supervisor: Option<Id>, by: Id) -> Result<State, Refusal> {
    if state != State::AwaitingCosignature {
        return Err(Refusal::clash("The note does not wait for a co-signature."));
    }
    if signed_by == Some(by) {
        return Err(Refusal::clash("Nobody co-signs what they signed."));
    }
    if supervisor.is_some_and(|supervisor| supervisor != by) {
        return Err(Refusal::clash("The trainee's supervisor co-signs."));
    }
    Ok(State::Signed)
}

/// Only what is signed can get an addendum.
pub fn check_addendum(state: State, by: Option<Standing>) -> Result<(), Refusal> {
    if by == Some(Standing::Trainee) {
        return Err(Refusal::clash("What a trainee adds would stand without a co-signature: ask the supervisor."));
    }
    match state {
        State::Signed => Ok(()),
        State::AwaitingCosignature => Err(Refusal::clash("The note waits for its co-signature.")),
        State::Draft => Err(Refusal::clash("The note is not signed yet: change the draft instead.")),
    }
}

/// Only what is signed can be released to its member.
pub fn check_release(state: State) -> Result<(), Refusal> {
    match state {
        State::Signed => Ok(()),
        _ => Err(Refusal::clash("Only a signed entry can be released.")),
    }
}

/// Only a draft can be thrown away.
pub fn check_removable(state: State) -> Result<(), Refusal> {
    match state {
        State::Draft => Ok(()),
        _ => Err(Refusal::clash("A signed note stays.")),
    }
}

/// An entry is about something that happened.
pub fn check_occurred(occurred_at: Moment, now: Moment) -> Result<(), Refusal> {
    if occurred_at > now {
        return Err(Refusal::field("/occurred_at", "lies in the future"));
    }
    Ok(())
}

/// No note of a session is filed for somebody who was not there. Attendance that is not taken yet refuses nothing.
pub fn check_present(attendance: Option<Status>) -> Result<(), Refusal> {
    if attendance.is_some_and(|status| !status.was_there()) {
        return Err(Refusal::field("/member", "was not at this session: write the entry without the session"));
    }
    Ok(())
}
