//! Breach reports: who may handle one, what may follow, and how a group decides in secret.

use jiff::tz::TimeZone;
use unicode_normalization::UnicodeNormalization;

use super::{Refusal, members::State as Membership};
use crate::{
    policy::Kind,
    values::{Day, Id, Moment},
    words,
};

words! {
    /// How a peer-led group answers a breach of its rules.
    pub enum BreachPolicy { Graduated = "graduated", ZeroTolerance = "zero_tolerance" }
}

/// Ballots below which no result is shown, unless a group asks for more: of three, a result names everyone.
pub const BALLOT_MINIMUM: i32 = 5;
/// The share of those who may vote that must have voted, in percent, unless a group sets another.
pub const QUORUM_PERCENT: i32 = 50;
/// Days after a consequence in which whom it meets can appeal.
pub const APPEAL_DAYS: i64 = 30;
/// Days after which a consequence is looked at again, unless another day is named.
pub const REVIEW_DAYS: i64 = 30;
/// Reports of one person in one group that can be open at a time.
pub const OPEN_REPORTS: usize = 20;

/// How long a vote lasts: from a day to thirty, in minutes.
const SHORTEST_VOTE: i64 = 24 * 60;
const LONGEST_VOTE: i64 = 30 * 24 * 60;

words! {
    /// How far a report has come.
    pub enum State {
        /// Nobody has acted on it yet.
        Received = "received",
        /// The subject knows what it is about.
        Told = "told",
        /// There is a finding.
        Found = "found",
        /// The group votes on what follows.
        Voting = "voting",
        /// A consequence runs, and can be appealed.
        Decided = "decided",
        /// The subject has appealed.
        Appealed = "appealed",
        Closed = "closed",
    }
}

words! {
    /// What the handlers found.
    pub enum Finding { Breach = "breach", NoBreach = "no_breach", Unclear = "unclear" }
}

words! {
    /// What a group can vote for, the mildest first.
    pub enum Choice {
        NoConsequence = "no_consequence",
        /// A note, and nothing else.
        Note = "note",
        /// To stay away from one session.
        AskedToLeave = "asked_to_leave",
        /// To stay away until a day.
        Pause = "pause",
        Removal = "removal",
    }
}

words! {
    /// What follows a breach.
    pub enum Consequence { Note = "note", AskedToLeave = "asked_to_leave", Pause = "pause", Removal = "removal" }
}

words! {
    /// What becomes of a consequence that was appealed.
    pub enum AppealOutcome { Upheld = "upheld", Lifted = "lifted" }
}

words! {
    /// To whom outside a report was made.
    pub enum Authority { Board = "board", Regulator = "regulator", Police = "police", Other = "other" }
}

impl Choice {
    /// What follows when it wins.
    pub fn consequence(self) -> Option<Consequence> {
        match self {
            Choice::NoConsequence => None,
            Choice::Note => Some(Consequence::Note),
            Choice::AskedToLeave => Some(Consequence::AskedToLeave),
            Choice::Pause => Some(Consequence::Pause),
            Choice::Removal => Some(Consequence::Removal),
        }
    }
}

impl BreachPolicy {
    /// What a group with this policy can choose from.
    pub fn choices(self) -> &'static [Choice] {
        match self {
            BreachPolicy::Graduated => Choice::ALL,
            BreachPolicy::ZeroTolerance => &[Choice::NoConsequence, Choice::Removal],
        }
    }
}

/// Whom a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Somebody whom the reporter cannot name.
    Unnamed,
    /// Named, but nobody here answers to it, or several do: each of them may be meant.
    Unclear,
    /// One person, by account and membership as far as there are any.
    Person { account: Option<Id>, member: Option<Id> },
}

/// Who handles a report; nobody stands for the organization's privacy officers. `stewards` and `facilitators`: those
/// whose terms in the whole group run at this moment.
///
/// Nobody handles a report of their own or one about themselves. Where a name fits nobody or several, any of the
/// group's leads could be the one who is meant, so that none of them handles it.
///
/// The stewards do, or otherwise the facilitators, where at least two of them are not the subject. Which of the two it
/// is does not depend on who reported, or else it would tell.
pub fn handlers(kind: Kind, reporter: Id, subject: Subject, stewards: &[Id], facilitators: &[Id]) -> Vec<Id> {
    let about = match subject {
        Subject::Unclear => return Vec::new(),
        Subject::Unnamed => None,
        Subject::Person { account, .. } => account,
    };
    if kind == Kind::TherapistLed {
        return Vec::new();
    }
    let apart = |leads: &[Id]| {
        let mut apart: Vec<Id> = leads.iter().copied().filter(|&lead| Some(lead) != about).collect();
        apart.sort_unstable();
        apart.dedup();
        apart
    };
    // Of one alone, a report of their own would have to go elsewhere.
    let mut handlers =
        [stewards, facilitators].into_iter().map(apart).find(|leads| leads.len() > 1).unwrap_or_default();
    handlers.retain(|lead| *lead != reporter);
    handlers
}

/// When a report was received, as far as it is kept: when its day began in the group's zone. The hour, beside what
/// somebody did in that hour, would say who reported.
pub fn received_at(now: Moment, zone: &str) -> Moment {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    now.timestamp().to_zoned(zone).start_of_day().map_or(now, |began| Moment::from(began.timestamp()))
}

/// A name as it is compared: however it was typed, in whatever case and spacing.
pub fn folded(name: &str) -> String {
    let folded: String = name.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a rule about the next step needs to know of a case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub kind: Kind,
    pub state: State,
    pub is_named: bool,
    /// Whether it was a handler who named the subject.
    pub is_named_by_handler: bool,
    pub finding: Option<Finding>,
}

impl Case {
    /// Whom the reporter named, no handler replaces; and nobody becomes the subject of what another was told of.
    pub fn check_naming(&self) -> Result<(), Refusal> {
        match self.state {
            State::Received if self.is_named && !self.is_named_by_handler => {
                Err(Refusal::clash("The report itself names its subject."))
            }
            State::Received => Ok(()),
            _ if self.is_named => Err(Refusal::clash("The subject has been told already.")),
            _ => Err(Refusal::clash("There is a finding already.")),
        }
    }

    /// The subject is told once, and first of all.
    pub fn check_telling(&self) -> Result<(), Refusal> {
        if !self.is_named {
            return Err(Refusal::clash("The report names nobody who could be told: POST …/naming."));
        }
        match self.state {
            State::Received => Ok(()),
            _ => Err(Refusal::clash("The subject has been told already.")),
        }
    }

    /// Nobody is found to have done anything before they were told.
    pub fn check_finding(&self) -> Result<(), Refusal> {
        match self.state {
            State::Told => Ok(()),
            State::Received if !self.is_named => Ok(()),
            State::Received => Err(Refusal::clash("Tell the subject first: POST …/telling.")),
            _ => Err(Refusal::clash("There is a finding already.")),
        }
    }

    /// Only a peer-led group votes, and only about a breach by somebody who has been told.
    pub fn check_decision(&self) -> Result<(), Refusal> {
        if self.kind == Kind::TherapistLed {
            return Err(Refusal::clash("A therapist-led group does not vote on a breach."));
        }
        if !self.is_named {
            return Err(Refusal::clash(
                "The report names nobody whom a decision could meet: POST …/naming, before a finding.",
            ));
        }
        match (self.state, self.finding) {
            (State::Received, _) => Err(Refusal::clash("Tell the subject first: POST …/telling.")),
            (State::Told, _) => Err(Refusal::clash("There is no finding yet: POST …/finding.")),
            (State::Found, Some(Finding::Breach)) => Ok(()),
            (State::Found, _) => Err(Refusal::clash("No breach was found: there is nothing to decide.")),
            _ => Err(Refusal::clash("The group has voted, or does so now.")),
        }
    }

    /// What closing would do now.
    pub fn closing(&self) -> Result<Closing, Refusal> {
        match (self.state, self.finding) {
            (State::Received | State::Told, _) => Err(Refusal::clash("There is no finding yet: POST …/finding.")),
            (State::Found, Some(Finding::Breach)) if self.kind == Kind::PeerLed && self.is_named => {
                Ok(Closing::WhereTooFewCanVote)
            }
            (State::Found, _) => Ok(Closing::WithTheFinding),
            (State::Voting, _) => Ok(Closing::OfTheVote),
            (State::Decided, _) => Ok(Closing::AfterTheTimeForAppeals),
            (State::Appealed, _) => Err(Refusal::clash("A privacy officer decides the appeal first.")),
            (State::Closed, _) => Err(Refusal::clash("The case is closed already.")),
        }
    }
}

/// What closing a case means where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Nothing follows but the finding.
    WithTheFinding,
    /// A breach that no vote can decide: only where the group is too small for a secret one.
    WhereTooFewCanVote,
    /// The ballots are counted, and what won happens.
    OfTheVote,
    /// A consequence was not appealed in time.
    AfterTheTimeForAppeals,
}

/// What a vote is to be about.
#[derive(Debug)]
pub struct Proposal<'a> {
    pub options: Option<&'a [Choice]>,
    pub pause_days: Option<i32>,
    /// When the session begins that somebody could be asked to leave, where one is named.
    pub session_starts_at: Option<Moment>,
    pub closes_at: Moment,
}

/// The options of a vote, the mildest first: all that the policy knows when none are named, to leave a session only
/// where one is. Doing nothing is always one of them, so that no choice of options decides the vote.
pub fn check_vote(policy: BreachPolicy, proposal: &Proposal, now: Moment) -> Result<Vec<Choice>, Refusal> {
    let minutes = proposal.closes_at.minutes_since(now);
    if !(SHORTEST_VOTE..=LONGEST_VOTE).contains(&minutes) {
        return Err(Refusal::field("/closes_at", "is not between 24 hours and 30 days ahead"));
    }
    let is_default = |choice: &&Choice| **choice != Choice::AskedToLeave || proposal.session_starts_at.is_some();
    let mut options = match proposal.options {
        Some(options) => options.to_vec(),
        None => policy.choices().iter().filter(is_default).copied().collect(),
    };
    options.sort_unstable();
    options.dedup();
    if let Some(choice) = options.iter().find(|choice| !policy.choices().contains(choice)) {
        return Err(Refusal::field("/options", format!("{choice} is no choice under the group's policy of {policy}")));
    }
    if options.first() != Some(&Choice::NoConsequence) || options.len() < 2 {
        return Err(Refusal::field("/options", "needs no_consequence, and something else to choose"));
    }
    match (options.contains(&Choice::AskedToLeave), proposal.session_starts_at) {
        (true, None) => {
            return Err(Refusal::field("/session", "is missing: which session would they be asked to leave"));
        }
        (false, Some(_)) => return Err(Refusal::field("/session", "is given, and asked_to_leave is no option")),
        // What is decided after it would ask nothing of anybody.
        (true, Some(starts_at)) if starts_at <= proposal.closes_at => {
            return Err(Refusal::field("/session", "begins before the vote ends"));
        }
        _ => {}
    }
    match (options.contains(&Choice::Pause), proposal.pause_days) {
        (true, None) => Err(Refusal::field("/pause_days", "is missing: how long would the pause be")),
        (false, Some(_)) => Err(Refusal::field("/pause_days", "is given, and pause is no option")),
        _ => Ok(options),
    }
}

/// Refuses a vote of so few that its result would name them.
pub fn check_electorate(eligible: usize, ballot_minimum: i32) -> Result<(), Refusal> {
    if is_too_small(eligible, ballot_minimum) {
        return Err(Refusal::clash(
            "Fewer members may vote than a secret ballot needs: the case can only be closed with its finding.",
        ));
    }
    Ok(())
}

/// Whether fewer may vote than a secret ballot needs.
pub fn is_too_small(eligible: usize, ballot_minimum: i32) -> bool {
    (eligible as i64) < i64::from(ballot_minimum.max(BALLOT_MINIMUM))
}

/// The result of a vote: the most ballots win, and of a tie the mildest. `None` where there are too few ballots for a
/// secret result, or too few of those who may vote. `ballots`: for each option how many, the mildest first.
pub fn outcome(ballots: &[(Choice, u32)], eligible: i32, ballot_minimum: i32, quorum_percent: i32) -> Option<Choice> {
    let cast: i64 = ballots.iter().map(|(_, number)| i64::from(*number)).sum();
    let is_secret = cast >= i64::from(ballot_minimum.max(BALLOT_MINIMUM));
    if !is_secret || cast * 100 < i64::from(eligible) * i64::from(quorum_percent) {
        return None;
    }
    let most = ballots.iter().map(|(_, number)| *number).max()?;
    ballots.iter().filter(|(_, number)| *number == most).map(|(choice, _)| *choice).min()
}

/// A ballot comes once, and while the vote lasts.
pub fn check_ballot(closes_at: Moment, is_closed: bool, has_voted: bool, now: Moment) -> Result<(), Refusal> {
    if is_closed || now >= closes_at {
        return Err(Refusal::clash("The vote has ended."));
    }
    if has_voted {
        return Err(Refusal::clash("You have voted already."));
    }
    Ok(())
}

/// Nobody counts before a vote has ended.
pub fn check_count(closes_at: Moment, now: Moment) -> Result<(), Refusal> {
    if now < closes_at {
        return Err(Refusal::clash("The vote has not ended yet."));
    }
    Ok(())
}

/// An appeal comes once, and within [`APPEAL_DAYS`].
pub fn check_appeal(from_at: Moment, is_appealed: bool, now: Moment) -> Result<(), Refusal> {
    if is_appealed {
        return Err(Refusal::clash("It was appealed already."));
    }
    if now >= from_at.plus_days(APPEAL_DAYS) {
        return Err(Refusal::clash("The thirty days for an appeal are over."));
    }
    Ok(())
}

/// Whether the time for an appeal has passed.
pub fn check_no_appeal_can_come(from_at: Moment, now: Moment) -> Result<(), Refusal> {
    if now < from_at.plus_days(APPEAL_DAYS) {
        return Err(Refusal::clash("The subject can still appeal: a consequence closes after thirty days."));
    }
    Ok(())
}

/// Who was removed by a decision of the group comes back when the group has looked at it again, and not when one of its
/// leads likes. `review_on`: of the latest removal that was not lifted.
pub fn check_return(review_on: Option<Day>, today: Day) -> Result<(), Refusal> {
    match review_on {
        Some(day) if today < day => {
            Err(Refusal::field("/state", format!("the group decided on removal, and looks at it again on {day}")))
        }
        _ => Ok(()),
    }
}

/// Whether what the group decided still keeps somebody away: a pause until its end, and a removal until the day on which
/// the group looks at it again.
pub fn keeps_away(consequence: Consequence, until_at: Option<Moment>, review_on: Day, now: Moment, today: Day) -> bool {
    match consequence {
        Consequence::Pause => until_at.is_some_and(|until| now < until),
        Consequence::Removal => today < review_on,
        Consequence::Note | Consequence::AskedToLeave => false,
    }
}

/// In a peer-led group nobody ends or interrupts another's membership: that is for the group to decide, so that
/// whom a report is about can neither remove who made it nor choose who votes. It is refused to everybody and always,
/// so that the refusal tells nobody of a report. Whoever has no account cannot say themselves that they left.
pub fn check_peers_move(from: Membership, to: Membership, has_account: bool) -> Result<(), Refusal> {
    use Membership::*;
    if !from.takes_a_place() {
        return Ok(());
    }
    match to {
        Removed | Paused | Discharged => {
            Err(Refusal::field("/state", "is a decision of the group, which answers a breach report"))
        }
        Left | Completed if has_account => Err(Refusal::field("/state", "is the member's own to say")),
        _ => Ok(()),
    }
}
