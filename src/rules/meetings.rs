//! Meetings of a peer-led group: what is kept of who was there, how many heads were counted, what a paper may say.

use unicode_normalization::UnicodeNormalization;

use super::Refusal;
use crate::{
    values::{Day, Id, Moment, Whole},
    words,
};

words! {
    /// What a peer-led group keeps of who was at a meeting, from least to most.
    pub enum AttendanceMode {
        /// How many came, and nobody's name: no row joins a person and a session.
        CountOnly = "count_only",
        /// Under a name that the member chose, which only the member can be found by.
        Pseudonym = "pseudonym",
        /// Under the member's name in the group.
        Named = "named",
    }
}

/// Heads of one meeting. Zero is a count: nobody came.
pub type Heads = Whole<0, 1000>;

/// Minutes after the planned end of a session in which its code still counts: people check in on their way home.
pub const CODE_MINUTES_AFTER: i64 = 180;
/// Minutes before the planned beginning in which its code counts: for those who set up the room. Earlier, a visit or a
/// paper would say that somebody was where nobody was yet.
pub const CODE_MINUTES_BEFORE: i64 = 60;

impl AttendanceMode {
    /// What counts for a member: the group's mode, or the lower one that the member chose.
    pub fn lowered_to(self, own: Option<AttendanceMode>) -> AttendanceMode {
        own.map_or(self, |own| own.min(self))
    }
}

/// Since when, without a break, a group has kept at least so much; `None` where it keeps less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptSince {
    pub pseudonym: Option<Moment>,
    pub named: Option<Moment>,
}

impl KeptSince {
    /// What holds from `now` on, when the group goes from one mode to another.
    pub fn changed(self, from: AttendanceMode, to: AttendanceMode, now: Moment) -> KeptSince {
        let since = |least: AttendanceMode, so_far: Option<Moment>| {
            (to >= least).then(|| so_far.filter(|_| from >= least).unwrap_or(now))
        };
        KeptSince {
            pseudonym: since(AttendanceMode::Pseudonym, self.pseudonym),
            named: since(AttendanceMode::Named, self.named),
        }
    }

    /// The most that is kept of a meeting that began at `began`: the least that the group has kept at any moment since
    /// then. Whoever came while heads were counted was asked for nothing more. `group`: what it keeps now.
    pub fn mode_of(self, group: AttendanceMode, began: Moment) -> AttendanceMode {
        let held = |since: Option<Moment>| since.is_some_and(|since| since <= began);
        let then = match (held(self.named), held(self.pseudonym)) {
            (true, _) => AttendanceMode::Named,
            (false, true) => AttendanceMode::Pseudonym,
            (false, false) => AttendanceMode::CountOnly,
        };
        then.min(group)
    }
}

/// What counts for a member who chooses `own`: never more than the group keeps.
pub fn check_mode(group: AttendanceMode, own: Option<AttendanceMode>) -> Result<AttendanceMode, Refusal> {
    if own.is_some_and(|own| own > group) {
        return Err(Refusal::field("/mode", format!("is above what the group keeps: {group}")));
    }
    Ok(group.lowered_to(own))
}

/// Judges when a meeting is recorded: after it has been.
pub fn check_recordable(starts_at: Moment, held_until: Moment, now: Moment) -> Result<(), Refusal> {
    if starts_at > now {
        return Err(Refusal::clash("The session has not begun yet."));
    }
    if held_until > now {
        return Err(Refusal::field("/held_until", "lies in the future"));
    }
    Ok(())
}

/// Why a recorded meeting is changed must be said, and only then.
pub fn check_reason(was_recorded: bool, has_reason: bool) -> Result<(), Refusal> {
    match (was_recorded, has_reason) {
        (true, false) => Err(Refusal::field("/reason", "is missing: the meeting was recorded already")),
        (false, true) => Err(Refusal::field("/reason", "belongs to a correction")),
        _ => Ok(()),
    }
}

/// Judges whom a facilitator ticks. The words are the same whoever cannot be ticked, and why: they do not say what
/// somebody chose.
pub fn check_ticked(ticked: &[Id], can_be: impl Fn(Id) -> bool, pointer: &str) -> Result<(), Refusal> {
    for (index, id) in ticked.iter().enumerate() {
        let refused = |detail: &str| Err(Refusal::field(format!("{pointer}/{index}"), detail));
        if ticked[..index].contains(id) {
            return refused("is ticked twice");
        }
        if !can_be(*id) {
            return refused("is nobody who can be ticked at this session");
        }
    }
    Ok(())
}

/// Judges a head count against those who are ticked; more is allowed. Drop-ins do not count here: one phone can send a
/// code many times, and nobody but the one who was in the room knows how many there were.
pub fn check_heads(heads: i32, ticked: usize) -> Result<(), Refusal> {
    if usize::try_from(heads).is_ok_and(|heads| heads >= ticked) {
        return Ok(());
    }
    Err(Refusal::field("/heads", format!("is less than the {ticked} who are ticked")))
}

/// Judges how many acknowledged the rules.
pub fn check_acknowledged(acknowledged: i32, heads: i32) -> Result<(), Refusal> {
    if acknowledged <= heads {
        return Ok(());
    }
    Err(Refusal::field("/rules/acknowledged", "is more than the heads"))
}

/// From when until when a session's code counts, as it is planned now. `minutes`: as planned.
pub fn code_counts(starts_at: Moment, minutes: i32) -> (Moment, Moment) {
    (starts_at.plus_minutes(-CODE_MINUTES_BEFORE), starts_at.plus_minutes(i64::from(minutes) + CODE_MINUTES_AFTER))
}

/// A name for a paper: a first name or an initial, so that the paper says no more than it must.
pub fn check_first_name(name: &str) -> Result<(), Refusal> {
    if name.contains(char::is_whitespace) {
        return Err(Refusal::field("/name", "is more than one word: a first name or an initial is enough"));
    }
    Ok(())
}

/// Everything that stands on a paper, in one text. The code has no stroke in it and the day always ten characters, so
/// that no two papers read the same; a name is the same however it was typed.
pub fn paper(proof: &str, name: &str, on: Day) -> String {
    format!("{proof}|{}|{on}", name.nfc().collect::<String>())
}

/// Whether two pseudonyms would be taken for one another.
pub fn is_same_pseudonym(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.nfkc().collect::<String>().to_lowercase();
    plain(one) == plain(other)
}
