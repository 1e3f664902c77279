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

/// How many days before a membership began an intake questionnaire may have been answered.
const INTAKE_DAYS: i64 = 90;

/// How many days members may look back who answer for themselves: a device may have been without a network for some time.
/// A therapist also enters what was on paper.
const OWN_DAYS: i64 = 14;

/// Refuses a moment that cannot be meant, such as one in another year: it would become the baseline of all that follows.
pub fn check_taken_at(
    taken_at: Moment,
    began_at: Moment,
    is_own: bool,
    now: Moment,
    pointer: &str,
) -> Result<(), Refusal> {
    let pointer = format!("{pointer}/taken_at");
    if taken_at < began_at.plus_days(-INTAKE_DAYS) {
        let detail = format!("lies more than {INTAKE_DAYS} days before the membership began");
        return Err(Refusal::field(pointer, detail));
    }
    if is_own && taken_at < now.plus_days(-OWN_DAYS) {
        return Err(Refusal::field(
            pointer,
            format!("lies more than {OWN_DAYS} days back: ask whoever leads the group"),
        ));
    }
    Ok(())
}

/// Scores an administration, once.
///
/// # Errors
/// A field for each answer that is none of the item's options, for a risk item that was left out, for answers that are
/// none at all, and for a respondent whom the instrument does not know.
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
    if answers.0.is_empty() {
        return Err(Refusal::field(format!("{pointer}/answers"), "holds no answer"));
    }
    // Left out, a risk item would read as a clear "no": whoever was not asked, or said nothing, is asked about.
    let left_out = instrument.risk_items.iter().filter(|risk| !answers.0.contains_key(&risk.item)).map(|risk| {
        (format!("{pointer}/answers/{}", risk.item), "is missing: its value, or null where it was declined".to_owned())
    });
    let mut bad: Vec<(String, String)> = left_out.collect();
    match score(instrument, answers) {
        Ok(outcome) if bad.is_empty() => return Ok(outcome),
        Ok(_) => {}
        Err(unknown) => {
            bad.extend(unknown.into_iter().map(|answer| (format!("{pointer}/answers/{}", answer.item), answer.detail)))
        }
    }
    Err(Refusal::Fields(bad))
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
