//! Measures: who may answer, what consent they need, when the next one is due.

use super::{
    Refusal,
    instruments::{Answers, Instrument, Outcome, score},
};
use crate::{values::Moment, words};

words! {
    /// Who answered the items.
    pub enum Respondent { Member = "member", Proxy = "proxy", Clinician = "clinician" }
}

/// Scores an administration, once.
///
/// # Errors
/// A field for each answer that is none of the item's options, and for a respondent whom the instrument does not know.
pub fn administer(
    instrument: &Instrument,
    answers: &Answers,
    respondent: Respondent,
    taken_at: Moment,
    now: Moment,
    pointer: &str,
) -> Result<Outcome, Refusal> {
    if !instrument.answered_by.contains(&respondent) {
        return Err(Refusal::field(format!("{pointer}/respondent"), "cannot answer this instrument"));
    }
    // A device's clock may run a little ahead.
    if taken_at > now.plus_minutes(5) {
        return Err(Refusal::field(format!("{pointer}/taken_at"), "lies in the future"));
    }
    score(instrument, answers).map_err(|bad| {
        Refusal::Fields(
            bad.into_iter().map(|answer| (format!("{pointer}/answers/{}", answer.item), answer.detail)).collect(),
        )
    })
}

/// Refuses a measure where no live consent stands behind it.
pub fn check_consent(has_live_consent: bool, pointer: &str) -> Result<(), Refusal> {
    if has_live_consent {
        return Ok(());
    }
    Err(Refusal::field(pointer, "no measure is taken without this member's live consent"))
}

/// When an instrument is due next: so many days after the last administration, at once when there is none.
pub fn due_at(joined_at: Moment, last_taken_at: Option<Moment>, every_days: i32) -> Moment {
    match last_taken_at {
        Some(last) => last.plus_days(i64::from(every_days)),
        None => joined_at,
    }
}
