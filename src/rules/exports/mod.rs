//! What an export holds and under which names, what it may be made for, and what the law wants to go with it.
//!
//! Sources: 45 CFR 164.528(a)(1) for what is accounted for, 45 CFR 164.512 for the purposes beside treatment, payment and
//! operations, 42 CFR 2.25, 2.32 and 2.51 (89 FR 12472, 2024) for records of substance-use treatment.
//!
//! Process notes have no row here: what cannot be written down cannot leave. Nobody stands in a row but the member whose
//! row it is: who wrote, signed or recorded it is in the access log.

mod report;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Refusal,
    amendments::{Basis, RecordKind, State as AmendmentState},
    attendance::{Presence, Status},
    goals::{Outcome, Said, Side, State as GoalState},
    groups::Format as Meets,
    instruments::{Answers, Registry},
    leaving::cell,
    measures::Respondent,
    members::State as MemberState,
    risks::{Disposition, State as RiskState, Step},
    sessions::State as SessionState,
};
use crate::{
    policy::Kind,
    values::{Day, Id, Moment},
    words,
};

pub(crate) use report::escaped;
pub use report::{Heading, Names, report};

words! {
    /// Why a record is taken out. `individual` gives the member what is theirs; those from `required_by_law` on are the
    /// uses that 45 CFR 164.512 permits without the member's word.
    pub enum Purpose {
        Treatment = "treatment",
        Payment = "payment",
        Operations = "operations",
        Individual = "individual",
        Authorization = "authorization",
        MedicalEmergency = "medical_emergency",
        RequiredByLaw = "required_by_law",
        PublicHealth = "public_health",
        AbuseReport = "abuse_report",
        HealthOversight = "health_oversight",
        Court = "court",
        LawEnforcement = "law_enforcement",
        Decedent = "decedent",
        Research = "research",
        SeriousThreat = "serious_threat",
        WorkersCompensation = "workers_compensation",
    }
}

impl Purpose {
    /// Treatment, payment and health care operations (45 CFR 164.506).
    fn is_everyday(self) -> bool {
        matches!(self, Purpose::Treatment | Purpose::Payment | Purpose::Operations)
    }

    /// Whether a disclosure is an entry in the accounting.
    ///
    /// Not what goes to the individual, what treatment, payment and operations need, or what the member authorized in
    /// writing (45 CFR 164.528(a)(1)(ii), (i) and (iv)); who helps in a medical emergency treats. Records under 42 CFR part 2 are accounted for in these cases too,
    /// as soon as they go to somebody (42 CFR 2.25: disclosures made with consent, and those for treatment, payment and
    /// operations through an electronic record; 42 CFR 2.51(c): medical emergencies).
    pub fn is_accounted_for(self, part_2: bool, has_recipient: bool) -> bool {
        match self {
            Purpose::Individual => false,
            Purpose::Treatment | Purpose::Payment | Purpose::Operations => part_2 && has_recipient,
            Purpose::Authorization | Purpose::MedicalEmergency => part_2,
            _ => true,
        }
    }

    /// Whether the recipient must be named. A therapist may take a record out for work in the house, and name nobody.
    fn needs_recipient(self) -> bool {
        !self.is_everyday() && self != Purpose::Individual
    }

    /// Whether 42 CFR part 2 permits it with the member's written consent alone. Without it: medical emergencies (2.51),
    /// research (2.52), audits (2.53), a court's order (2.61 to 2.67), reports of child abuse (2.12(c)(6)), laws about the
    /// cause of a death (2.15(b)).
    fn needs_part_2_consent(self) -> bool {
        !matches!(
            self,
            Purpose::Individual
                | Purpose::MedicalEmergency
                | Purpose::Research
                | Purpose::HealthOversight
                | Purpose::Court
                | Purpose::AbuseReport
                | Purpose::Decedent
        )
    }

    /// Whether it rests on the member's word: then nothing goes out once they have withdrawn their consent. What is
    /// theirs they are given all the same (45 CFR 164.524), and what the law asks or permits without their word it asks
    /// or permits then too (45 CFR 164.512).
    pub fn rests_on_consent(self) -> bool {
        self.is_everyday() || self == Purpose::Authorization
    }

    /// Whether the agency that receives it can ask that the member is not told for a time (45 CFR 164.528(a)(2)).
    fn may_be_withheld(self) -> bool {
        matches!(self, Purpose::HealthOversight | Purpose::LawEnforcement)
    }
}

words! {
    /// The form of an export: JSON, one table of CSV, a FHIR R4 bundle, a report to print.
    pub enum Form { Json = "json", Csv = "csv", Fhir = "fhir", Html = "html" }
}

words! {
    /// What an export consists of. `columns` says what the columns of the others mean.
    pub enum Part {
        Columns = "columns",
        Members = "members",
        Memberships = "memberships",
        Signatures = "signatures",
        Sessions = "sessions",
        Agenda = "agenda",
        SessionRecords = "session_records",
        Attendances = "attendances",
        Measures = "measures",
        Subscales = "subscales",
        Answers = "answers",
        ProgressEntries = "progress_entries",
        Goals = "goals",
        GoalWordings = "goal_wordings",
        GoalRatings = "goal_ratings",
        Homework = "homework",
        Risks = "risks",
        RiskSteps = "risk_steps",
        Reviews = "reviews",
        /// What a member asked to have corrected. It goes with the records that it is about, named or not.
        Amendments = "amendments",
    }
}

impl Part {
    /// Whether it is what the whole group went through, so that it stands in no single member's record.
    fn is_of_group(self) -> bool {
        self == Part::SessionRecords
    }

    /// Whether it says when a group met and what was planned, and nothing of anybody. In one member's record it says when
    /// they were expected.
    fn is_plan(self) -> bool {
        matches!(self, Part::Sessions | Part::Agenda)
    }

    /// Whether those who lead the group read it, and the member does not: it stands in no copy that is the member's own.
    pub fn is_of_leads(self) -> bool {
        matches!(self, Part::Risks | Part::RiskSteps | Part::Reviews)
    }

    /// Whether a FHIR bundle holds it. Answers stand in the measures' resources; subscales have no code that others know.
    fn has_fhir(self) -> bool {
        matches!(self, Part::Members | Part::Memberships | Part::Signatures | Part::Attendances | Part::Measures)
    }
}

/// What somebody wants to take out.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub purpose: Purpose,
    pub form: Form,
    pub parts: &'a [Part],
    pub has_recipient: bool,
    pub has_consent_scope: bool,
    pub withheld_until: Option<Moment>,
    /// Records of the group stand under 42 CFR part 2.
    pub part_2: bool,
    pub whole_group: bool,
}

/// Days for which a disclosure may be withheld from the member. A request in writing has to say a time (45 CFR
/// 164.528(a)(2)(i)) and no number is named for it: a year is the longest that is taken here. An oral one holds for 30
/// days (164.528(a)(2)(ii)(C)).
pub const LONGEST_WITHHELD: i64 = 366;

/// Refuses an export that is not said well enough to be made, or to be accounted for.
pub fn check(wanted: &Wanted, now: Moment) -> Result<(), Refusal> {
    let purpose = wanted.purpose;
    if purpose == Purpose::Individual && wanted.whole_group {
        return Err(Refusal::field("/purpose", "a group's record is no single member's own: take out the member's"));
    }
    if purpose == Purpose::Individual && wanted.has_recipient {
        return Err(Refusal::field("/recipient", "is the member themselves: leave it out"));
    }
    if purpose.needs_recipient() && !wanted.has_recipient {
        return Err(Refusal::field("/recipient", "is missing: say who receives it"));
    }
    let goes_under_part_2 = wanted.part_2 && wanted.has_recipient;
    if goes_under_part_2 && purpose.needs_part_2_consent() && !wanted.has_consent_scope {
        return Err(Refusal::field(
            "/consent_scope",
            "is missing: 42 CFR part 2 permits this with the member's written consent alone, and an explanation of its \
             scope goes with the record (42 CFR 2.32(b))",
        ));
    }
    if wanted.has_consent_scope && !goes_under_part_2 {
        return Err(Refusal::field("/consent_scope", "belongs to records under 42 CFR part 2 that go to somebody"));
    }
    match wanted.withheld_until {
        Some(_) if !purpose.may_be_withheld() => {
            return Err(Refusal::field(
                "/withheld_until",
                "is for health oversight and law enforcement alone (45 CFR 164.528(a)(2))",
            ));
        }
        Some(until) if until <= now => return Err(Refusal::field("/withheld_until", "is over already")),
        Some(until) if until > now.plus_days(LONGEST_WITHHELD) => {
            return Err(Refusal::field(
                "/withheld_until",
                format!("is more than {LONGEST_WITHHELD} days ahead: the agency says for how long, and can ask again"),
            ));
        }
        _ => {}
    }
    check_parts(wanted)
}

/// Whether what is taken out is about members. A table of what columns mean, or of when a whole group met, is about none
/// of them. Every other form says whose record it is, and the record of a session tells what its members went through,
/// though it names none of them.
pub fn is_about_members(wanted: &Wanted) -> bool {
    let is_about_nobody = |part: &Part| *part == Part::Columns || (wanted.whole_group && part.is_plan());
    wanted.form != Form::Csv || !wanted.parts.iter().all(is_about_nobody)
}

/// What goes out, by name, as the accounting keeps it: all that the form can hold, where nothing was named.
pub fn parts_that_go(wanted: &Wanted) -> Vec<Part> {
    let is_wanted = |part: Part| match wanted.parts {
        [] => why_not(wanted, part).is_none(),
        named => named.contains(&part),
    };
    let goes_along = |part: Part| wanted.form == Form::Fhir && part == Part::Answers && is_wanted(Part::Measures);
    // Where there are any, whoever takes them out adds them.
    let is_said = |part: &Part| *part != Part::Amendments || wanted.parts.contains(part);
    let went = Part::ALL.iter().copied().filter(is_said);
    went.filter(|part| is_wanted(*part) || goes_along(*part)).collect()
}

/// Refuses to take out the record of somebody who has withdrawn their consent, for what rests on it.
pub fn check_consent(purpose: Purpose, is_withdrawn: bool) -> Result<(), Refusal> {
    match is_withdrawn && purpose.rests_on_consent() {
        true => Err(Refusal::clash("The member has withdrawn their consent: nothing is taken out for this purpose.")),
        false => Ok(()),
    }
}

fn check_parts(wanted: &Wanted) -> Result<(), Refusal> {
    if wanted.form == Form::Csv && wanted.parts.len() != 1 {
        return Err(Refusal::field("/parts", "CSV is one table: name one part"));
    }
    let refused = |(index, part): (usize, &Part)| Some((index, why_not(wanted, *part)?));
    match wanted.parts.iter().enumerate().find_map(refused) {
        Some((index, why)) => Err(Refusal::field(format!("/parts/{index}"), why)),
        None => Ok(()),
    }
}

/// Why a part cannot go out as it is wanted.
fn why_not(wanted: &Wanted, part: Part) -> Option<&'static str> {
    if part == Part::Columns && wanted.form != Form::Csv {
        return Some("is a table of its own in CSV alone");
    }
    if part.is_of_group() && !wanted.whole_group {
        return Some("is the group's and not a member's");
    }
    if part.is_of_leads() && wanted.purpose == Purpose::Individual {
        return Some("is read by those who lead the group, and not by the member");
    }
    if wanted.form == Form::Fhir && !part.has_fhir() {
        return Some("has no place in the bundle: take another form");
    }
    None
}

/// What must go with records of substance-use treatment (42 CFR 2.32).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RedisclosureNotice {
    pub statement: &'static str,
    /// What the member's written consent covers, as whoever made the disclosure explained it.
    pub consent_scope: Option<String>,
}

/// The second of the two statements between which 42 CFR 2.32(a) gives the choice, word for word: short enough to stand in
/// every row of a table.
pub const PART_2_STATEMENT: &str = "42 CFR part 2 prohibits unauthorized use or disclosure of these records.";

/// The notice that an export carries: with records under part 2, unless they are the member's own copy.
pub fn notice(part_2: bool, purpose: Purpose, consent_scope: Option<&str>) -> Option<RedisclosureNotice> {
    (part_2 && purpose != Purpose::Individual)
        .then(|| RedisclosureNotice { statement: PART_2_STATEMENT, consent_scope: consent_scope.map(str::to_owned) })
}

/// A row that goes into an export: its columns, in order, each with what it means.
pub trait Row {
    const COLUMNS: &'static [(&'static str, &'static str)];
    fn cells(&self) -> Vec<Value>;
}

/// Writes a row once: its fields, their meaning in the contract, and the columns of its table.
macro_rules! rows {
    ($(#[doc = $what:literal] pub struct $name:ident { $(#[doc = $meaning:literal] pub $field:ident: $type:ty),+ $(,)? })+) => {$(
        #[doc = $what]
        #[derive(Clone, Debug, Serialize, ToSchema)]
        pub struct $name { $(#[doc = $meaning] pub $field: $type),+ }

        impl Row for $name {
            const COLUMNS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), $meaning)),+];
            fn cells(&self) -> Vec<Value> {
                vec![$(serde_json::to_value(&self.$field).unwrap_or_default()),+]
            }
        }
    )+};
}

rows! {
    /// A member.
    pub struct MemberRow {
        /// The id of the membership; other rows name it.
        pub member: Id,
        /// What the member is called in the group.
        pub name: String,
        /// Where the membership stands.
        pub state: MemberState,
        /// Since when.
        pub state_from: Moment,
    }

    /// One interval of a membership.
    pub struct MembershipRow {
        /// Whose.
        pub member: Id,
        /// Where the membership stood.
        pub state: MemberState,
        /// The first moment of the interval.
        pub from_at: Moment,
        /// Its end; empty for the present interval.
        pub until_at: Option<Moment>,
    }

    /// A signature under a version of the group's consent.
    pub struct SignatureRow {
        /// The id of the signature.
        pub id: Id,
        /// Whose.
        pub member: Id,
        /// The title of what was signed.
        pub title: String,
        /// Its version, from 1.
        pub number: i32,
        /// Whether it was signed on paper.
        pub on_paper: bool,
        /// When it was signed.
        pub signed_at: Moment,
        /// When it was withdrawn; empty while it counts.
        pub withdrawn_at: Option<Moment>,
    }

    /// A session of the group; in one member's record, one at which they were expected.
    pub struct SessionRow {
        /// The id of the session; other rows name it.
        pub session: Id,
        /// What it was called.
        pub title: Option<String>,
        /// Scheduled, held or cancelled.
        pub state: SessionState,
        /// In person, online, or both.
        pub modality: Meets,
        /// When it was to start.
        pub starts_at: Moment,
        /// How long it was to last, in minutes.
        pub minutes: i32,
        /// When it started.
        pub held_from: Option<Moment>,
        /// When it ended.
        pub held_until: Option<Moment>,
    }

    /// An item of a session's agenda, and what became of it.
    pub struct AgendaRow {
        /// The session.
        pub session: Id,
        /// Its place on the agenda, from 1.
        pub position: i32,
        /// The technique, as the vocabulary names it.
        pub technique: String,
        /// How long it was to take, in minutes.
        pub planned_minutes: i32,
        /// Whether it was delivered, partly or not; empty where nothing was recorded.
        pub delivered: Option<String>,
        /// How long it took, in minutes.
        pub delivered_minutes: Option<i32>,
    }

    /// The signed record of a session. It tells what the group went through and by rule names no member, so that it is not left out when one withdraws their consent; where it goes out, that is accounted for to every member.
    pub struct SessionRecordRow {
        /// The session.
        pub session: Id,
        /// What the record says.
        pub text: String,
        /// When it was signed.
        pub signed_at: Option<Moment>,
        /// What was added after the signature, oldest first.
        pub addenda: Vec<String>,
    }

    /// What came of one member's place in one session.
    pub struct AttendanceRow {
        /// The id of the attendance.
        pub id: Id,
        /// Whose.
        pub member: Id,
        /// The session.
        pub session: Id,
        /// When the session was to start.
        pub starts_at: Moment,
        /// Whether the member was there.
        pub status: Status,
        /// In person or online.
        pub modality: Presence,
        /// When the member came, where it was not the start.
        pub arrived_at: Option<Moment>,
        /// When the member went, where it was not the end.
        pub left_at: Option<Moment>,
        /// How long the member was there, in minutes.
        pub minutes: i32,
    }

    /// An administered instrument with its score. What was entered in error is left out.
    pub struct MeasureRow {
        /// The id of the measure; answers and subscales name it.
        pub measure: Id,
        /// Whose.
        pub member: Id,
        /// The session in which it was taken, where it was.
        pub session: Option<Id>,
        /// When it was answered.
        pub taken_at: Moment,
        /// The instrument's name in the registry.
        pub instrument: String,
        /// The version of the instrument to which the answers and the score belong.
        pub instrument_version: String,
        /// Who answered: the member, a proxy, or a clinician who asked.
        pub respondent: Respondent,
        /// In points of the instrument; empty where there is no score.
        pub score: Option<f64>,
        /// Why there is no score.
        pub no_score: Option<String>,
        /// Whether missing answers were made up for by the instrument's rule.
        pub prorated: bool,
        /// The instrument's name for a score like this.
        pub band: Option<String>,
        /// What the risk items said: none, positive or declined.
        pub risk: String,
        /// When it was written down, in the version that stands.
        pub recorded_at: Moment,
        /// The version of the measure that stands, from 1.
        pub version: i32,
    }

    /// The answer to one item of a measure. Items that were never answered have no row: missing is not zero.
    pub struct AnswerRow {
        /// Whose.
        pub member: Id,
        /// The measure.
        pub measure: Id,
        /// The item's id in the registry.
        pub item: String,
        /// What the item asks, where its licence lets the text stand here.
        pub question: Option<String>,
        /// The value that was chosen; empty for a declined item.
        pub value: Option<i32>,
        /// What the value is called, where the licence lets the text stand here.
        pub label: Option<String>,
        /// Whether the member declined to answer.
        pub declined: bool,
    }

    /// The number of one part of an instrument.
    pub struct SubscaleRow {
        /// Whose.
        pub member: Id,
        /// The measure.
        pub measure: Id,
        /// The subscale's id in the registry.
        pub subscale: String,
        /// In points; empty where one of its items has no answer.
        pub score: Option<f64>,
    }

    /// A signed entry about one member. Drafts, and what waits for a co-signature, are left out.
    pub struct EntryRow {
        /// The id of the entry.
        pub id: Id,
        /// Whose.
        pub member: Id,
        /// The session that it is about, where it is about one.
        pub session: Option<Id>,
        /// When it happened.
        pub occurred_at: Moment,
        /// When it was first written down.
        pub recorded_at: Moment,
        /// When it was signed.
        pub signed_at: Option<Moment>,
        /// When it was released to the member; empty where it was not.
        pub released_at: Option<Moment>,
        /// What the entry says.
        pub text: String,
        /// What was added after the signature, oldest first.
        pub addenda: Vec<String>,
    }

    /// A goal of a member, as it stands. What was entered in error is left out.
    pub struct GoalRow {
        /// The id of the goal; wordings and ratings name it.
        pub goal: Id,
        /// Whose.
        pub member: Id,
        /// Live once a therapist and the member agreed to the wording that stands.
        pub state: GoalState,
        /// Which side proposed it.
        pub proposed_as: Side,
        /// When it was proposed.
        pub proposed_at: Moment,
        /// The number of the wording that stands.
        pub wording: i32,
        /// What it came to; empty while it has not ended.
        pub outcome: Option<Outcome>,
        /// Which side ended it.
        pub ended_as: Option<Side>,
        /// When it ended.
        pub ended_at: Option<Moment>,
        /// What was said at its end.
        pub ending_words: Option<String>,
    }

    /// One wording of a goal, with which side agreed to it.
    pub struct GoalWordingRow {
        /// Whose.
        pub member: Id,
        /// The goal.
        pub goal: Id,
        /// Its number, from 1.
        pub number: i32,
        /// What the goal says.
        pub text: String,
        /// What level -2 means for this goal, where it was said.
        pub much_less: Option<String>,
        /// What level -1 means.
        pub less: Option<String>,
        /// What level 0 means.
        pub expected: Option<String>,
        /// What level 1 means.
        pub more: Option<String>,
        /// What level 2 means.
        pub much_more: Option<String>,
        /// How much it weighs beside the others, 1 to 9.
        pub weight: i32,
        /// Which side wrote it, and so agreed to it.
        pub written_as: Side,
        /// When it was written.
        pub written_at: Moment,
        /// When the member agreed to it.
        pub member_agreed_at: Option<Moment>,
        /// When a therapist agreed to it.
        pub clinician_agreed_at: Option<Moment>,
    }

    /// How far a goal was attained, as one side saw it. What was entered in error is left out.
    pub struct GoalRatingRow {
        /// The id of the rating.
        pub rating: Id,
        /// Whose.
        pub member: Id,
        /// The goal.
        pub goal: Id,
        /// The number of the wording that was rated.
        pub wording: i32,
        /// Which side rated it: the two are never mixed.
        pub rated_as: Side,
        /// From -2, much less than expected, over 0, as expected, to 2, much more than expected.
        pub level: i32,
        /// When it was so.
        pub rated_at: Moment,
        /// What was said with it.
        pub words: Option<String>,
        /// When it was written down, in the version that stands.
        pub recorded_at: Moment,
        /// The version of the rating that stands, from 1.
        pub version: i32,
    }

    /// Homework that a session or a therapist gave to one member, and what became of it.
    pub struct HomeworkRow {
        /// The id of the homework; the same for all to whom a session gave it.
        pub homework: Id,
        /// To whom it was given.
        pub member: Id,
        /// The session that gave it to all who were expected; empty where it was set for this member alone.
        pub session: Option<Id>,
        /// What was to be done.
        pub text: String,
        /// The session's start, or when it was set.
        pub set_at: Moment,
        /// Until when.
        pub due_on: Option<Day>,
        /// When it was taken back.
        pub withdrawn_at: Option<Moment>,
        /// Why it was taken back.
        pub withdrawn_reason: Option<String>,
        /// What became of it; empty where nobody said anything, which is not the same as not done.
        pub said: Option<Said>,
        /// What was said with it.
        pub words: Option<String>,
        /// Which side said it.
        pub reported_as: Option<Side>,
        /// When it was said, in the version that stands.
        pub reported_at: Option<Moment>,
    }

    /// A mark that an answer to a risk item raised, as it stands. Goes with what is taken out by those who lead the group.
    pub struct RiskRow {
        /// The id of the mark; its steps name it.
        pub mark: Id,
        /// Whose.
        pub member: Id,
        /// The measure whose answer raised it.
        pub measure: Id,
        /// Whether the item was answered positively or declined.
        pub risk: String,
        /// How far it has come.
        pub state: RiskState,
        /// When it was raised.
        pub raised_at: Moment,
        /// What was done before it was closed.
        pub disposition: Option<Disposition>,
        /// When it was closed.
        pub closed_at: Option<Moment>,
    }

    /// One thing that happened to a risk mark. What was noted with it stays with the group's therapists, for whom it was written.
    pub struct RiskStepRow {
        /// Whose mark.
        pub member: Id,
        /// The mark.
        pub mark: Id,
        /// What happened.
        pub step: Step,
        /// When.
        pub at: Moment,
        /// What the answer said when it was kept or corrected.
        pub risk: Option<String>,
        /// What was done, where the step closed the mark.
        pub disposition: Option<Disposition>,
    }

    /// That somebody who leads the group looked at a member's measures before a session.
    pub struct ReviewRow {
        /// Whose measures.
        pub member: Id,
        /// Before which session.
        pub session: Id,
        /// When.
        pub reviewed_at: Moment,
        /// What had been recorded until then was seen.
        pub as_of: Moment,
    }

    /// What a member asked to have corrected in a record, and what came of it. The record stands as it was written.
    pub struct AmendmentRow {
        /// The id of the request.
        pub amendment: Id,
        /// Whose.
        pub member: Id,
        /// The kind of record that it is about.
        pub record_kind: RecordKind,
        /// The id of that record.
        pub record: Id,
        /// When that record is from: when a measure was answered, a session was to start, an entry's event happened, a goal was proposed, homework was set.
        pub record_at: Option<Moment>,
        /// What the member says is wrong.
        pub wrong: String,
        /// What the member says it should say.
        pub asked: String,
        /// When it was asked.
        pub asked_at: Moment,
        /// Received, accepted or denied.
        pub state: AmendmentState,
        /// When it was decided.
        pub decided_at: Option<Moment>,
        /// On which ground it was denied (45 CFR 164.526(a)(2)).
        pub basis: Option<Basis>,
        /// What was said with the decision.
        pub decision_words: Option<String>,
        /// With what the member disagreed after a denial.
        pub statement: Option<String>,
        /// When.
        pub stated_at: Option<Moment>,
        /// What was answered to the statement.
        pub rebuttal: Option<String>,
        /// When.
        pub rebutted_at: Option<Moment>,
        /// Whether it goes with every disclosure of the record.
        pub goes_along: bool,
    }
}

/// What the column says in which a table that goes alone carries amendments.
const AMENDMENTS_ALONE: &str =
    "In CSV alone: what the member asked to have corrected in this record, and what came of it.";

impl AmendmentRow {
    /// All of it in lines, as it stands beside a record that has no other place for it.
    pub fn in_words(&self) -> String {
        let mut lines = vec![
            format!("Amendment asked for on {}: {}", self.asked_at, self.wrong),
            format!("It should say: {}", self.asked),
        ];
        let basis = self.basis.map(|basis| format!(" ({})", basis.as_str().replace('_', " "))).unwrap_or_default();
        match (self.state, self.decided_at) {
            (AmendmentState::Received, _) | (_, None) => lines.push("Not decided yet.".into()),
            (state, Some(at)) => lines.push(format!("{} on {at}{basis}", capitalized(state.as_str()))),
        }
        lines.extend(self.decision_words.clone());
        let said = [("Statement of disagreement", &self.statement), ("Rebuttal", &self.rebuttal)];
        lines.extend(said.into_iter().filter_map(|(what, words)| Some(format!("{what}: {}", words.as_ref()?))));
        lines.join("\n")
    }
}

fn capitalized(word: &str) -> String {
    word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect()
}

/// The group that a record comes from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupOfRecord {
    pub id: Id,
    pub title: String,
    pub kind: Kind,
    /// The organization's name.
    pub organization: String,
    #[serde(skip)]
    pub organization_id: Id,
    /// Substance-use records under 42 CFR part 2.
    pub part_2: bool,
    /// Where the group meets (IANA): the zone of the times on a page to print.
    #[serde(skip)]
    pub zone: String,
}

/// The rows of one member's record, or of all those of a group.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Record {
    pub members: Vec<MemberRow>,
    pub memberships: Vec<MembershipRow>,
    pub signatures: Vec<SignatureRow>,
    pub sessions: Vec<SessionRow>,
    pub agenda: Vec<AgendaRow>,
    pub session_records: Vec<SessionRecordRow>,
    pub attendances: Vec<AttendanceRow>,
    pub measures: Vec<MeasureRow>,
    pub subscales: Vec<SubscaleRow>,
    pub answers: Vec<AnswerRow>,
    pub progress_entries: Vec<EntryRow>,
    #[serde(flatten)]
    pub worked_on: WorkedOn,
    pub risks: Vec<RiskRow>,
    pub risk_steps: Vec<RiskStepRow>,
    pub reviews: Vec<ReviewRow>,
    pub amendments: Vec<AmendmentRow>,
}

/// What members worked on: their goals and their homework.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct WorkedOn {
    pub goals: Vec<GoalRow>,
    pub goal_wordings: Vec<GoalWordingRow>,
    pub goal_ratings: Vec<GoalRatingRow>,
    pub homework: Vec<HomeworkRow>,
}

impl Record {
    /// Keeps these parts alone: no more than the purpose needs (45 CFR 164.502(b)). No parts named keeps all; whose record
    /// it is always stays.
    pub fn keep_only(&mut self, parts: &[Part]) {
        if parts.is_empty() {
            return;
        }
        let is_wanted = |part: Part| parts.contains(&part);
        macro_rules! clear_unwanted {
            ($($part:ident: $($rows:ident).+),+ $(,)?) => { $(if !is_wanted(Part::$part) { self.$($rows).+.clear(); })+ };
        }
        clear_unwanted!(
            Memberships: memberships, Signatures: signatures, Sessions: sessions, Agenda: agenda,
            SessionRecords: session_records, Attendances: attendances, Measures: measures, Answers: answers,
            Subscales: subscales, ProgressEntries: progress_entries, Goals: worked_on.goals,
            GoalWordings: worked_on.goal_wordings, GoalRatings: worked_on.goal_ratings, Homework: worked_on.homework,
            Risks: risks, RiskSteps: risk_steps, Reviews: reviews,
        );
        if !is_wanted(Part::Amendments) {
            self.amendments.retain(|row| row.record_kind.parts().iter().any(|part| is_wanted(*part)));
        }
    }

    /// Leaves out what has not been decided, and denials of which the member neither disagreed in writing nor asked that
    /// they go along: neither belongs to a disclosure (45 CFR 164.526(d)(5)). To the member and in the house all of it
    /// is shown.
    pub fn keep_amendments_that_go_along(&mut self) {
        self.amendments.retain(|row| row.goes_along);
    }

    /// Adds the answers of a measure, with what was asked where the licence lets that text leave with them.
    pub fn add_answers(&mut self, member: Id, measure: Id, instrument: (&str, &str), answers: &Answers) {
        let known = Registry::built_in().find(instrument.0, instrument.1);
        for (item, value) in &answers.0 {
            let asked = known.and_then(|known| Some((known, known.item(item)?)));
            let option =
                asked.and_then(|(known, item)| known.options(item).iter().find(|option| Some(option.value) == *value));
            self.answers.push(AnswerRow {
                member,
                measure,
                item: item.clone(),
                question: asked.and_then(|(_, item)| item.text.clone()),
                value: *value,
                label: option.and_then(|option| option.label.clone()),
                declined: value.is_none(),
            });
        }
    }

    /// One part as a table.
    pub fn table(&self, part: Part) -> Table {
        match part {
            Part::Columns => dictionary(),
            Part::Members => Table::of(part, &self.members),
            Part::Memberships => Table::of(part, &self.memberships),
            Part::Signatures => Table::of(part, &self.signatures),
            Part::Sessions => Table::of(part, &self.sessions),
            Part::Agenda => Table::of(part, &self.agenda),
            Part::SessionRecords => Table::of(part, &self.session_records),
            Part::Attendances => Table::of(part, &self.attendances),
            Part::Measures => Table::of(part, &self.measures),
            Part::Subscales => Table::of(part, &self.subscales),
            Part::Answers => Table::of(part, &self.answers),
            Part::ProgressEntries => Table::of(part, &self.progress_entries),
            Part::Goals => Table::of(part, &self.worked_on.goals),
            Part::GoalWordings => Table::of(part, &self.worked_on.goal_wordings),
            Part::GoalRatings => Table::of(part, &self.worked_on.goal_ratings),
            Part::Homework => Table::of(part, &self.worked_on.homework),
            Part::Risks => Table::of(part, &self.risks),
            Part::RiskSteps => Table::of(part, &self.risk_steps),
            Part::Reviews => Table::of(part, &self.reviews),
            Part::Amendments => Table::of(part, &self.amendments),
        }
    }

    /// One part as a table that goes alone: what was asked to be corrected stands in the row that it is about.
    pub fn table_alone(&self, part: Part) -> Table {
        let mut table = self.table(part);
        let Some(kind) = RecordKind::ALL.iter().copied().find(|kind| kind.part() == part) else { return table };
        table.columns.push((Part::Amendments.to_string(), AMENDMENTS_ALONE.to_owned()));
        let id =
            table.columns.iter().position(|(name, _)| matches!(name.as_str(), "id" | "measure" | "goal" | "homework"));
        for row in &mut table.rows {
            let of_row = |amendment: &&AmendmentRow| {
                let record = id.and_then(|id| row[id].as_str()).and_then(|id| id.parse::<Id>().ok());
                amendment.record_kind == kind
                    && record == Some(amendment.record)
                    && row.contains(&Value::String(amendment.member.to_string()))
            };
            let words: Vec<Value> =
                self.amendments.iter().filter(of_row).map(|amendment| Value::String(amendment.in_words())).collect();
            row.push(Value::Array(words));
        }
        table
    }

    /// All parts that have rows.
    pub fn tables(&self) -> Vec<Table> {
        let parts = Part::ALL.iter().filter(|part| **part != Part::Columns);
        parts.map(|part| self.table(*part)).filter(|table| !table.rows.is_empty()).collect()
    }
}

/// A part of an export, row by row.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    /// Name and meaning of each column.
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    fn of<R: Row>(part: Part, rows: &[R]) -> Table {
        Table { name: part.to_string(), columns: meanings(R::COLUMNS), rows: rows.iter().map(Row::cells).collect() }
    }

    /// The lines of the table as CSV, its header first. What a spreadsheet would take for a formula is neutralised.
    /// Records under part 2 carry their notice in every row: a table has no other place for it.
    pub fn lines(&self, notice: Option<&RedisclosureNotice>) -> Vec<Vec<String>> {
        let carries = notice.filter(|_| self.name != Part::Columns.as_str());
        let mut header: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        header.extend(carries.into_iter().flat_map(|_| ["notice".to_owned(), "consent_scope".to_owned()]));
        let mut lines = vec![header];
        for row in &self.rows {
            let mut line: Vec<String> = row.iter().map(|value| cell(&shown(value)).into_owned()).collect();
            if let Some(notice) = carries {
                line.push(notice.statement.to_owned());
                line.push(cell(notice.consent_scope.as_deref().unwrap_or_default()).into_owned());
            }
            lines.push(line);
        }
        lines
    }
}

fn meanings(columns: &[(&str, &str)]) -> Vec<(String, String)> {
    columns.iter().map(|(name, meaning)| ((*name).to_owned(), meaning.trim().to_owned())).collect()
}

/// The columns of every part, in order: part, column, meaning.
fn dictionary() -> Table {
    let empty = Record::default();
    let described = Part::ALL.iter().filter(|part| **part != Part::Columns).flat_map(|part| {
        let columns = empty.table_alone(*part).columns;
        columns.into_iter().map(|(name, meaning)| vec![part.as_str().into(), name.into(), meaning.into()])
    });
    Table {
        name: Part::Columns.to_string(),
        columns: meanings(&[
            ("part", "The part to which the column belongs."),
            ("column", "The column."),
            ("meaning", "What it says, and in which unit."),
        ]),
        rows: described.collect(),
    }
}

/// The same by part and column, as JSON carries it.
pub fn meanings_by_part() -> BTreeMap<String, BTreeMap<String, String>> {
    let empty = Record::default();
    let parts = Part::ALL.iter().filter(|part| **part != Part::Columns);
    parts.map(|part| (part.to_string(), empty.table(*part).columns.into_iter().collect())).collect()
}

/// A value as a reader sees it: nothing for null, one line for each entry of a list or an object.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) => {
            let lines = fields.iter().map(|(name, value)| format!("{name}: {}", shown(value)));
            lines.collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}
