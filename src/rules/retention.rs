//! How long records are kept: by rules that an organization sets, never below what the law asks, and never by default.

use jiff::{Span, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;

use super::Refusal;
use crate::{values::Moment, words};

words! {
    /// What a rule is about.
    pub enum Kind {
        /// Everything of one membership of a therapist-led group, and the membership itself.
        ClinicalRecord = "clinical_record",
        /// Who was at which meeting of a peer-led group, where that was kept under names or pseudonyms. Head counts stay.
        PeerAttendance = "peer_attendance",
        /// Entries of the accounting of disclosures.
        Disclosures = "disclosures",
    }
}

words! {
    /// From when on the time runs.
    pub enum CountedFrom {
        EndOfMembership = "end_of_membership",
        /// The last session at which the member's attendance was recorded, whether they were there or not; the end of the
        /// membership where there is none.
        LastSession = "last_session",
        Creation = "creation",
    }
}

/// One rule: what is older than this is removed, once somebody runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub kind: Kind,
    pub years: i32,
    pub months: i32,
    pub counted_from: CountedFrom,
}

/// The shortest time that the law allows, where one is known.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Floor {
    pub kind: Kind,
    pub years: i32,
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    pub source: &'static str,
}

/// Six years, from the day on which something was made or last counted.
const SIX: i32 = 6;

/// The floors that are known. They are kept in every organization: no country of one is recorded.
pub const FLOORS: [Floor; 2] = [
    Floor {
        kind: Kind::ClinicalRecord,
        years: SIX,
        country: "US",
        source: "45 CFR 164.530(j)(2): what is documented about consent, access, amendment and disclosure (164.508, \
                 164.524, 164.526, 164.528) stands in the record and is retained for six years from its creation or from \
                 when it was last in effect. How long the medical record of an adult or a minor is retained, the law of \
                 the state says, often for longer: none of these is known here, and no birth date is.",
    },
    Floor {
        kind: Kind::Disclosures,
        years: SIX,
        country: "US",
        source: "45 CFR 164.528(a)(1): a person can ask for the disclosures of the six years before; 164.530(j)(2).",
    },
];

/// What no rule removes.
pub const KEPT: [(&str, &str); 4] = [
    (
        "access_log",
        "Its entries form a chain; they hold ids and no names (45 CFR 164.316(b)(2)(i): six years at least).",
    ),
    (
        "counts",
        "Head counts, a group's figures and released reports stay as they were: nothing in them leads to a person.",
    ),
    ("session_records", "The record of a session is the group's, and by rule names no member."),
    ("process_notes", "They are their author's own."),
];

/// What keeps a record back though its time is over. It is not told apart for whom: that somebody has a risk mark or a
/// case is theirs.
pub const KEPT_BACK: &str = "A legal hold; a request for a correction that is open, or younger than six years; a disclosure younger than six \
     years; an emergency access that nobody has reviewed, or younger than six years; a risk mark that is not closed; a breach case \
     that is not closed.";

/// The moment before which something is past by a rule.
pub fn cut(as_of: Moment, years: i32, months: i32) -> Moment {
    let span = Span::new().years(years).months(months);
    let then = as_of.timestamp().to_zoned(TimeZone::UTC).checked_sub(span);
    // Before every date that is kept: nothing is past.
    then.map_or(Moment(i64::MIN / 2), |then| Moment::from(then.timestamp()))
}

impl Rule {
    pub fn cut(&self, as_of: Moment) -> Moment {
        cut(as_of, self.years, self.months)
    }
}

/// The moment before which what is documented in a record may go, whatever a rule counts from.
pub fn documented_until(as_of: Moment) -> Moment {
    cut(as_of, SIX, 0)
}

/// Refuses rules that contradict each other, count from where there is nothing, or fall below a floor.
pub fn check(rules: &[Rule]) -> Result<(), Refusal> {
    for (index, rule) in rules.iter().enumerate() {
        let at = |field: &str| format!("/items/{index}/{field}");
        if rules[..index].iter().any(|other| other.kind == rule.kind) {
            return Err(Refusal::field(at("kind"), "has a rule already"));
        }
        let counts = match rule.kind {
            Kind::ClinicalRecord => rule.counted_from != CountedFrom::Creation,
            Kind::PeerAttendance | Kind::Disclosures => rule.counted_from == CountedFrom::Creation,
        };
        if !counts {
            return Err(Refusal::field(at("counted_from"), "does not fit this kind of record"));
        }
        if rule.years == 0 && rule.months == 0 {
            return Err(Refusal::field(at("keep_months"), "keeps nothing: a month is the shortest time"));
        }
        let floor = FLOORS.iter().find(|floor| floor.kind == rule.kind && rule.years < floor.years);
        if let Some(floor) = floor {
            let detail = format!("is below {} years ({}: {})", floor.years, floor.country, floor.source);
            return Err(Refusal::field(at("keep_years"), detail));
        }
    }
    Ok(())
}

/// Refuses a day that is not over: what is past then may not be past when it comes.
pub fn check_as_of(as_of: Moment, now: Moment) -> Result<(), Refusal> {
    match as_of > now {
        true => Err(Refusal::field("/as_of", "lies in the future")),
        false => Ok(()),
    }
}

/// Refuses a run that would do something else than the preview said.
pub fn check_preview(is_as_shown: bool) -> Result<(), Refusal> {
    match is_as_shown {
        true => Ok(()),
        false => Err(Refusal::clash("This is not what a preview shows now: read it again.")),
    }
}

/// Rows as somebody outside the groups reads them: to the hundred, and none where few people stand behind them.
pub fn rows_about(rows: u64, records: u32, k: u32) -> Option<u64> {
    (records >= k).then_some(rows / 100 * 100)
}
