//! Before a session: who needs attention first and why, and that it was looked at.
//!
//! A kept review says who looked at whose data before which session, and when. The Joint Commission's standard for
//! behavioral health care CTS.03.01.09 asks for monitoring with a standardized instrument (element of performance 1), and
//! that the data are analyzed and inform the goals of each person's plan as needed (2). It asks for no signature: a review
//! is evidence that somebody looked, not that the plan was thought over.

use std::collections::{HashMap, HashSet};

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::act,
    problem::Problem,
    rules::{
        attendance::Status,
        change::{Administration, BaselineRule, State, Trace, TrackRule, Why, Yardstick, trace},
        instruments::{Direction, Instrument, NoScore, Registry},
        measures::due_at,
        members::{Interval, roster},
        outcomes::Item,
        preparation::{self as rules, Due, HeldSession, Known, Mark, Place, Reason, Rule, Series},
        sessions::State as SessionState,
        techniques,
    },
    store::{
        accounts, agreements,
        connection::{Connection, Db},
        measures::{self, Scheduled},
        members,
        permit::{Permit, authorize_in_session},
        preparation::{self, Attendance, Delivery, Held, Review, Taken},
        risks::{self, OpenRisk},
        sessions::{self, Session},
    },
    values::{Few, Id, Moment, Whole},
};

/// The members who are expected at a session, most in need first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preparation {
    pub session: Id,
    pub starts_at: Moment,
    /// When this was read: name it in a review, so that what came in meanwhile does not pass for seen.
    pub as_of: Moment,
    /// The marks in the order of need. Members stand in the order of their most urgent mark, then of the next one, and
    /// so on, more marks before fewer; then those whom nobody reviewed before this session; then by name.
    pub order: Vec<PreparationRule>,
    /// Everybody who was active when the session began, or is now if it lies ahead.
    pub members: Vec<PreparedMember>,
}

/// By what a mark is given here.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreparationRule {
    pub mark: Mark,
    /// Id of the rule.
    pub rule: String,
    /// In plain words.
    pub says: String,
}

/// One member before a session. Nobody without marks is therefore well: what was not measured is not known.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreparedMember {
    pub member: Id,
    pub name: String,
    /// The most urgent first.
    pub marks: Vec<MarkReason>,
    pub open_risks: usize,
    /// Without live consent nothing is due, and nothing is made of what was answered before: read it in the record.
    pub consents: bool,
    /// What is to be answered by the beginning of the session, soonest due first.
    pub due: Vec<DueBefore>,
    /// Instruments of the schedule, and others that were answered.
    pub instruments: Vec<PreparedInstrument>,
    /// Techniques of the agenda that were delivered while they were absent: first what they never had.
    pub missed: Vec<MissedTechnique>,
    pub attendance: AttendanceSoFar,
    /// The newest review before this session.
    pub review: Option<MemberReview>,
    /// The newest review before whichever session.
    pub last_review: Option<MemberReview>,
}

/// A mark, and why it was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct MarkReason {
    pub mark: Mark,
    /// In plain words, with the figures.
    pub because: String,
    /// Id of the rule.
    pub rule: String,
    pub instrument: Option<String>,
    /// Id of the parameter set, where the literature gives several.
    pub set: Option<String>,
    /// Where the rule and its figures come from.
    pub source: String,
}

/// An instrument that is to be answered by the beginning of the session.
#[derive(Debug, Serialize, ToSchema)]
pub struct DueBefore {
    pub instrument: String,
    pub due_at: Moment,
    pub last_taken_at: Option<Moment>,
    pub overdue: bool,
}

/// Where a member stands on one instrument.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreparedInstrument {
    pub instrument: String,
    pub title: String,
    /// Whether a higher score is a better one.
    pub higher_is_better: bool,
    /// The newest answers, scored or not; null: never answered.
    pub last: Option<LastMeasure>,
    /// From the baseline to the newest score, which may be older than `last`; null without a score.
    pub change: Option<ChangeSoFar>,
    /// What that change comes to, by each parameter set of the literature.
    pub states: Vec<ChangeState>,
}

/// The newest answers to an instrument, without the answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct LastMeasure {
    pub measure: Id,
    pub taken_at: Moment,
    /// Points; null with a reason below the instrument's rule for missing answers. Missing is never zero.
    pub score: Option<f64>,
    /// Why there is no score.
    #[schema(value_type = Option<Object>)]
    pub no_score: Option<Value>,
    pub prorated: bool,
    pub band: Option<String>,
}

/// The newest score beside the first one, in points.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeSoFar {
    pub baseline: f64,
    pub baseline_at: Moment,
    pub baseline_rule: BaselineRule,
    pub score: f64,
    pub scored_at: Moment,
    /// Since the baseline, up is better whatever the instrument's direction; null where versions differ.
    pub gain: Option<f64>,
    /// Since the score before, up is better; null where there is none, or versions differ.
    pub gain_since_previous: Option<f64>,
}

/// What became of somebody by one parameter set.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeState {
    /// Null where the literature gives no reliable change for the instrument.
    pub set: Option<String>,
    pub sample: Option<String>,
    pub source: Option<String>,
    #[schema(example = "no_reliable_change")]
    pub state: &'static str,
    /// Why it is not computable.
    pub because: Option<Why>,
}

/// A technique that was delivered while the member was absent.
#[derive(Debug, Serialize, ToSchema)]
pub struct MissedTechnique {
    pub technique: String,
    pub title: String,
    /// Held sessions with it from which they were absent.
    pub sessions: usize,
    pub last_missed_at: Moment,
    /// Minutes of it at other sessions; 0: they never had it.
    pub received_minutes: i64,
}

/// Attendance of the held sessions at which the member was active. Cancelled ones count for nothing, and neither do those
/// before they came.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttendanceSoFar {
    pub expected: usize,
    pub attended: usize,
    pub excused: usize,
    pub no_show: usize,
    /// Expected, and nothing recorded yet.
    pub unrecorded: usize,
}

/// Who looked at a member before a session, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberReview {
    pub session: Id,
    /// The account.
    pub reviewed_by: Id,
    /// Null once the account is closed.
    pub reviewed_by_name: Option<String>,
    pub reviewed_at: Moment,
    /// The moment of the preparation that was read.
    pub as_of: Moment,
    /// Whether answers or attendance were recorded or corrected since then: look again.
    pub is_newer_data: bool,
}

/// Whom somebody has looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewMembers {
    /// Of the session's expected roster, at least one.
    pub members: Few<Id, 500>,
    /// The `as_of` of the preparation that was read, at most 24 hours ago; now when not said.
    pub as_of: Option<Moment>,
}

/// A review as it was kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptReview {
    pub session: Id,
    pub members: Vec<Id>,
    /// The account.
    pub reviewed_by: Id,
    pub reviewed_at: Moment,
    pub as_of: Moment,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct AskedRule {
    /// Session k: by the k-th session that somebody attended, change should be reliable. No source gives one for groups,
    /// so nobody is judged by it when it is not said.
    #[param(value_type = Option<i32>, minimum = 1, maximum = 500)]
    by_session: Option<Whole<1, 500>>,
    /// Misses in a row that are too many; 2 when not said.
    #[param(value_type = Option<i32>, minimum = 1, maximum = 50)]
    misses: Option<Whole<1, 50>>,
}

impl AskedRule {
    fn rule(&self) -> Rule {
        // Both fit: their bounds are below 500.
        let small = |number: i32| u16::try_from(number).unwrap_or(u16::MAX);
        Rule {
            by_session: self.by_session.map(|session| small(session.get())),
            misses: self.misses.map_or(TrackRule::MISSES, |misses| small(misses.get())),
        }
    }
}

pub fn register(api: &mut Api) {
    api.heading("Before the session");
    api.get::<act::ReadPreparation, _, _>(
        "/groups/{group}/sessions/{session}/preparation",
        "See who needs attention first",
        read_preparation,
    )
    .asks::<AskedRule>()
    .gives::<Preparation>();
    api.post::<act::ReviewMember, _, _>(
        "/groups/{group}/sessions/{session}/reviews",
        "Keep that you have looked",
        review_members,
    )
    .takes::<ReviewMembers>(json!({"members": ["018f3c5e-7a00-7000-8000-000000000000"]}))
    .creates::<KeptReview>();
}

async fn read_preparation(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, asked: Query<AskedRule>) -> Answer {
    let (group, id) = path.into_inner();
    let rule = asked.rule();
    db.read(move |connection| {
        let permit = authorize_in_session::<act::ReadPreparation>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        let kept = Kept::gather(connection, &permit, &session)?;
        Reply::ok(&kept.prepare(rule, &session, permit.zone(), connection.now))
    })
    .await
}

async fn review_members(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<ReviewMembers>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::ReviewMember>(connection, &caller, group, id)?;
        let session = sessions::find(connection, &permit, id)?;
        command.once(connection, &permit, |connection, request| {
            let now = connection.now;
            let as_of = request.as_of.unwrap_or(now);
            rules::check_review(session.state, as_of, now)?;
            let members = request.members.0;
            if members.is_empty() {
                return Err(Problem::field("/members", "names nobody"));
            }
            let expected = members::list_roster(connection, &permit, session.starts_at)?;
            let mut named = HashSet::new();
            for (index, member) in members.iter().enumerate() {
                let pointer = format!("/members/{index}");
                if !named.insert(*member) {
                    return Err(Problem::field(&pointer, "is named twice"));
                }
                if !expected.contains(member) {
                    return Err(Problem::field(&pointer, "is not expected at this session"));
                }
            }
            preparation::insert_reviews(connection, &permit, id, &members, as_of)?;
            let kept = KeptReview { session: id, members, reviewed_by: permit.account(), reviewed_at: now, as_of };
            Reply::created(format!("/groups/{group}/sessions/{id}/preparation"), &kept)
        })
    })
    .await
}

/// Everything that is kept of a roster, with a number of statements that does not grow with it.
struct Kept {
    roster: Vec<Id>,
    names: HashMap<Id, String>,
    active: Vec<Interval>,
    held: Vec<Held>,
    attendances: Vec<Attendance>,
    deliveries: Vec<Delivery>,
    taken: Vec<Taken>,
    schedule: Vec<Scheduled>,
    consenting: HashSet<Id>,
    risks: HashMap<Id, Vec<OpenRisk>>,
    reviews: HashMap<Id, Review>,
    last_reviews: HashMap<Id, Review>,
    reviewers: HashMap<Id, String>,
}

impl Kept {
    fn gather(
        connection: &mut Connection,
        permit: &Permit<act::ReadPreparation>,
        session: &Session,
    ) -> Result<Kept, Problem> {
        let starts_at = session.starts_at;
        // Before the session: of one that lies behind, what was known when it began.
        let before = match session.state {
            SessionState::Scheduled => Moment::FAR,
            SessionState::Held | SessionState::Cancelled => session.held_from.unwrap_or(starts_at),
        };
        let active = preparation::list_active(connection, permit, starts_at)?;
        let roster = roster(&active, starts_at);
        let reviews = preparation::list_reviews(connection, permit, session.id)?;
        let last_reviews = preparation::list_last_reviews(connection, permit, &roster)?;
        let reviewers = reviews.values().chain(last_reviews.values()).map(|review| review.reviewed_by);
        Ok(Kept {
            names: members::list_names(connection, permit, &roster)?,
            held: preparation::list_held(connection, permit, starts_at)?,
            attendances: preparation::list_attendances(connection, permit, starts_at)?,
            deliveries: preparation::list_deliveries(connection, permit, starts_at)?,
            taken: preparation::list_taken(connection, permit, &roster, before)?,
            schedule: measures::list_schedule(connection, permit)?,
            consenting: agreements::list_consenting(connection, permit, &roster)?.into_iter().collect(),
            risks: risks::list_open(connection, permit)?,
            reviewers: accounts::list_names(connection, permit, reviewers)?,
            roster,
            active,
            reviews,
            last_reviews,
        })
    }

    fn prepare(&self, rule: Rule, session: &Session, zone: &str, now: Moment) -> Preparation {
        let held = self.held_sessions();
        let attendances: HashMap<(Id, Id), &Attendance> = self
            .attendances
            .iter()
            .map(|attendance| ((attendance.member_id, attendance.session_id), attendance))
            .collect();
        let mut active: HashMap<Id, Vec<&Interval>> = HashMap::new();
        for interval in &self.active {
            active.entry(interval.member).or_default().push(interval);
        }
        let mut taken: HashMap<Id, Vec<&Taken>> = HashMap::new();
        for measure in &self.taken {
            taken.entry(measure.member_id).or_default().push(measure);
        }
        let yardsticks = self.yardsticks();
        let mut prepared: Vec<(Vec<Reason>, PreparedMember)> = self
            .roster
            .iter()
            .map(|member| {
                let intervals = active.get(member).map_or(&[][..], Vec::as_slice);
                let attendance = |of: &HeldSession| attendances.get(&(*member, of.id)).copied();
                let places = places(&held, intervals, |of| attendance(of).map(|kept| (kept.status, kept.minutes)));
                let taken = taken.get(member).map_or(&[][..], Vec::as_slice);
                let recorded = taken.iter().map(|taken| taken.recorded_at);
                let at_sessions = held.iter().filter_map(attendance).map(|kept| kept.recorded_at);
                let last_recorded_at = recorded.chain(at_sessions).max();
                let here = Here { session, now, zone, rule, yardsticks: &yardsticks };
                self.prepare_member(*member, &here, intervals, &places, taken, last_recorded_at)
            })
            .collect();
        prepared.sort_by(|(one, a), (other, b)| {
            let last = |member: &PreparedMember| (member.review.is_some(), member.name.to_lowercase(), member.member);
            rules::by_need(one, other).then_with(|| last(a).cmp(&last(b)))
        });
        let order =
            rule.order().into_iter().map(|(mark, says)| PreparationRule { mark, rule: mark.rule().into(), says });
        Preparation {
            session: session.id,
            starts_at: session.starts_at,
            as_of: now,
            order: order.collect(),
            members: prepared.into_iter().map(|(_, member)| member).collect(),
        }
    }

    fn prepare_member(
        &self,
        member: Id,
        here: &Here,
        active: &[&Interval],
        places: &[Place],
        taken: &[&Taken],
        last_recorded_at: Option<Moment>,
    ) -> (Vec<Reason>, PreparedMember) {
        let consents = self.consenting.contains(&member);
        // Withdrawal ends the use of what was answered; it does not take it out of the record.
        let taken = if consents { taken } else { &[] };
        let unscored: Vec<Option<NoScore>> = taken.iter().map(|taken| no_score(taken)).collect();
        let first_session_until = rules::first_session_until(places);
        let mut known = Known {
            open_risks: self.risks.get(&member).into_iter().flatten().map(open_risk).collect(),
            seats: rules::seats(places),
            due: if consents { self.due(here.session, active, taken) } else { Vec::new() },
            series: Vec::new(),
        };
        let mut instruments = Vec::new();
        for (instrument, yardstick) in here.yardsticks.iter().filter(|_| consents) {
            let of_instrument = || taken.iter().zip(&unscored).filter(|(taken, _)| taken.instrument == instrument.id);
            let is_scheduled = self.schedule.iter().any(|scheduled| scheduled.instrument == instrument.id);
            if !is_scheduled && !of_instrument().any(|(taken, _)| !taken.entered_in_error) {
                continue;
            }
            let mut administrations: Vec<Administration> =
                of_instrument().map(|(taken, unscored)| administration(taken, unscored.as_ref())).collect();
            let trace = trace(yardstick, &mut administrations, first_session_until);
            let last = of_instrument().map(|(taken, _)| *taken).rfind(|taken| !taken.entered_in_error);
            instruments.push(prepared_instrument(instrument, yardstick, &trace, last));
            known.series.push(Series { instrument: &instrument.id, title: &instrument.title, yardstick, trace });
        }
        let marks = rules::marks(here.rule, &mut known, here.zone);
        let review = |kept: &HashMap<Id, Review>| {
            let review = kept.get(&member)?;
            Some(MemberReview {
                session: review.session_id,
                reviewed_by: review.reviewed_by,
                reviewed_by_name: self.reviewers.get(&review.reviewed_by).cloned(),
                reviewed_at: review.reviewed_at,
                as_of: review.as_of,
                is_newer_data: rules::is_newer(last_recorded_at, review.as_of),
            })
        };
        let attended = rules::attended(places);
        let due = |due: &Due| DueBefore {
            instrument: due.instrument.to_owned(),
            due_at: due.due_at,
            last_taken_at: due.last_taken_at,
            overdue: due.due_at < here.now,
        };
        let prepared = PreparedMember {
            member,
            name: self.names.get(&member).cloned().unwrap_or_default(),
            marks: marks.iter().cloned().map(MarkReason::from).collect(),
            open_risks: known.open_risks.len(),
            consents,
            due: known.due.iter().map(due).collect(),
            instruments,
            missed: rules::missed_of_agenda(places).into_iter().map(MissedTechnique::from).collect(),
            attendance: AttendanceSoFar {
                expected: attended.expected,
                attended: attended.attended,
                excused: attended.excused,
                no_show: attended.no_show,
                unrecorded: attended.unrecorded,
            },
            review: review(&self.reviews),
            last_review: review(&self.last_reviews),
        };
        (marks, prepared)
    }

    fn held_sessions(&self) -> Vec<HeldSession<'_>> {
        let mut items: HashMap<Id, Vec<Item>> = HashMap::new();
        for delivery in &self.deliveries {
            items.entry(delivery.session).or_default().push(Item {
                technique: &delivery.technique,
                delivered: delivery.delivered,
                minutes: delivery.minutes,
            });
        }
        let session = |held: &Held| HeldSession {
            id: held.id,
            starts_at: held.starts_at,
            until: held.until,
            // A session takes a day at the most.
            minutes: i32::try_from(held.until.minutes_since(held.from)).unwrap_or(i32::MAX),
            items: items.remove(&held.id).unwrap_or_default(),
        };
        self.held.iter().map(session).collect()
    }

    /// What scores are read by, for every instrument that is scheduled or was answered, by its id.
    fn yardsticks(&self) -> Vec<(&'static Instrument, Yardstick<'static>)> {
        let scheduled = self.schedule.iter().map(|scheduled| scheduled.instrument.as_str());
        let mut ids: Vec<&str> = scheduled.chain(self.taken.iter().map(|taken| taken.instrument.as_str())).collect();
        ids.sort_unstable();
        ids.dedup();
        let current = ids.into_iter().filter_map(|id| Registry::built_in().current(id));
        current.map(|instrument| (instrument, Yardstick::of(instrument))).collect()
    }

    /// What is due when the session begins, by the rule of the list of due measures.
    fn due<'a>(&'a self, session: &Session, active: &[&Interval], taken: &[&Taken]) -> Vec<Due<'a>> {
        let is_now = |interval: &&&Interval| interval.until_at.is_none_or(|until| session.starts_at < until);
        let Some(since) = active.iter().filter(is_now).map(|interval| interval.from_at).max() else {
            return Vec::new();
        };
        let mut due: Vec<Due> = self
            .schedule
            .iter()
            .filter_map(|scheduled| {
                let instrument = Registry::built_in().current(&scheduled.instrument)?;
                let of_instrument =
                    taken.iter().filter(|taken| taken.instrument == scheduled.instrument && !taken.entered_in_error);
                let last_taken_at = of_instrument.map(|taken| taken.taken_at).max();
                let due_at = due_at(since.max(scheduled.set_at), last_taken_at, scheduled.every_days);
                let is_due = due_at <= session.starts_at;
                is_due.then(|| Due { instrument: &instrument.id, title: &instrument.title, due_at, last_taken_at })
            })
            .collect();
        due.sort_by_key(|due| due.due_at);
        due
    }
}

/// What is the same for everybody.
struct Here<'a> {
    session: &'a Session,
    now: Moment,
    zone: &'a str,
    rule: Rule,
    yardsticks: &'a [(&'static Instrument, Yardstick<'static>)],
}

/// The held sessions at which somebody was expected: those at which they were active, and those at which something was
/// recorded of them.
fn places<'a>(
    held: &'a [HeldSession<'a>],
    active: &[&Interval],
    recorded: impl Fn(&HeldSession) -> Option<(Status, i32)>,
) -> Vec<Place<'a>> {
    held.iter()
        .filter_map(|session| {
            let at = session.starts_at;
            let was_active =
                |interval: &&Interval| interval.from_at <= at && interval.until_at.is_none_or(|until| at < until);
            let recorded = recorded(session);
            (recorded.is_some() || active.iter().any(was_active)).then_some(Place { session, recorded })
        })
        .collect()
}

fn open_risk(kept: &OpenRisk) -> rules::OpenRisk<'_> {
    let known = Registry::built_in().current(&kept.instrument);
    rules::OpenRisk {
        instrument: &kept.instrument,
        title: known.map_or(&kept.instrument, |instrument| &instrument.title),
        taken_at: kept.taken_at,
        risk: kept.risk.into(),
        state: kept.state,
        due_at: kept.due_at,
        is_overdue: kept.is_overdue,
    }
}

fn no_score(taken: &Taken) -> Option<NoScore> {
    if taken.score.is_some() {
        return None;
    }
    let kept = taken.no_score.as_deref().and_then(|reason| serde_json::from_str(reason).ok());
    Some(kept.unwrap_or(NoScore::NoTotal {}))
}

fn administration<'a>(taken: &Taken, unscored: Option<&'a NoScore>) -> Administration<'a> {
    Administration {
        id: taken.id,
        taken_at: taken.taken_at,
        // The registry refuses a version that is no number.
        version: taken.instrument_version.parse().unwrap_or(0),
        score: match unscored {
            Some(why) => Err(why),
            None => Ok(taken.score.unwrap_or_default()),
        },
        entered_in_error: taken.entered_in_error,
    }
}

fn points(thousandths: i32) -> f64 {
    f64::from(thousandths) / 1000.0
}

fn prepared_instrument(
    instrument: &Instrument,
    yardstick: &Yardstick,
    trace: &Trace,
    last: Option<&Taken>,
) -> PreparedInstrument {
    let change = || {
        let (first, newest) = (trace.points.first()?, trace.points.last()?);
        let before = trace.points.iter().rev().nth(1);
        // Both gains are measured from the same baseline; where one is missing, the versions differ.
        let since_previous = before.and_then(|before| Some(newest.gain? - before.gain?));
        Some(ChangeSoFar {
            baseline: points(first.score),
            baseline_at: first.taken_at,
            baseline_rule: trace.baseline?,
            score: points(newest.score),
            scored_at: newest.taken_at,
            gain: newest.gain.map(points),
            gain_since_previous: since_previous.map(points),
        })
    };
    let named = yardstick.reliable.iter().map(|set| (Some(set.id), Some(set.sample), Some(set.source)));
    // Without a set the state still says why there is none.
    let none = yardstick.reliable.is_empty().then_some((None, None, None));
    let states = named.chain(none).map(|(set, sample, source)| {
        let state = trace.state(yardstick, set.unwrap_or_default());
        ChangeState {
            set: set.map(str::to_owned),
            sample: sample.map(str::to_owned),
            source: source.map(str::to_owned),
            state: State::WORDS[state.index()],
            because: if let State::NotComputable(why) = state { Some(why) } else { None },
        }
    });
    PreparedInstrument {
        instrument: instrument.id.clone(),
        title: instrument.title.clone(),
        higher_is_better: instrument.direction == Direction::HigherIsBetter,
        last: last.map(|last| LastMeasure {
            measure: last.id,
            taken_at: last.taken_at,
            score: last.score.map(points),
            no_score: last.no_score.as_deref().and_then(|reason| serde_json::from_str(reason).ok()),
            prorated: last.prorated,
            band: last.band.clone(),
        }),
        change: change(),
        states: states.collect(),
    }
}

impl From<Reason> for MarkReason {
    fn from(reason: Reason) -> Self {
        MarkReason {
            mark: reason.mark,
            because: reason.because,
            rule: reason.mark.rule().to_owned(),
            instrument: reason.instrument,
            set: reason.set,
            source: reason.source,
        }
    }
}

impl From<rules::MissedTechnique<'_>> for MissedTechnique {
    fn from(missed: rules::MissedTechnique) -> Self {
        MissedTechnique {
            technique: missed.technique.to_owned(),
            title: techniques::find(missed.technique).map_or(missed.technique, |known| known.title.as_str()).to_owned(),
            sessions: missed.sessions,
            last_missed_at: missed.last_missed_at,
            received_minutes: missed.received_minutes,
        }
    }
}
