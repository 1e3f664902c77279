//! What became of groups: figures for their leaders, and suppressed reports for the organization.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Kind, act},
    problem::Problem,
    rules::{
        attendance::Status,
        change::{State, Yardstick},
        instruments::Registry,
        outcomes::{
            Ending, Figures, InstrumentFigures, Item, NESTING_NOTE, Nesting, Outcomes, PersonMeans, state_in_report,
        },
        suppression::{Part, Quarter, ReleasedRow, SmallestCount, may_filter, release},
    },
    store::{
        connection::{Connection, Db},
        outcomes::{self, Meetings, Release, ReportedGroup},
        permit::{Permit, authorize, authorize_in_organization},
    },
    values::{Day, Id, Text, Whole},
    words,
};

/// Quarters of check-ins that are shown at most.
const QUARTERS: usize = 4;

words! {
    /// Why a number is not shown.
    pub enum Suppression {
        /// Fewer people than the smallest count, or hidden so that such a number cannot be derived: not said which.
        SmallCount = "small_count",
    }
}

words! {
    /// What the rows of a report stand for.
    pub enum RowsBy {
        /// Groups for the same conditions together.
        Condition = "condition",
        Group = "group",
    }
}

/// A count of people, or the rule by which it is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Figure {
    pub count: Option<u32>,
    /// Of the people of its row, in whole per cent; absent where there is no row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    pub suppressed: Option<Suppression>,
}

impl Figure {
    const HIDDEN: Figure = Figure { count: None, percent: None, suppressed: Some(Suppression::SmallCount) };

    fn shown(count: u32) -> Figure {
        Figure { count: Some(count), percent: None, suppressed: None }
    }

    /// A count of people that stands for itself: shown when there is nobody, or at least `k`.
    fn of(count: u32, k: u32) -> Figure {
        if (1..k).contains(&count) { Figure::HIDDEN } else { Figure::shown(count) }
    }
}

// For a group's own leads.

/// A group's outcomes, for those who lead it. What both kinds of group measure stands first and is named alike.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupOutcomes {
    pub group: Id,
    pub kind: Kind,
    pub sessions: HeldSessions,
    pub attendance: GroupAttendance,
    /// Null in a peer-led group: nothing clinical is kept of its members. Its numbers have three decimals at most.
    pub treatment: Option<Treatment>,
    /// Null in a therapist-led group.
    pub check_ins: Option<Vec<QuarterCheckIns>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct HeldSessions {
    pub held: i64,
    /// Nobody was absent from these.
    pub cancelled: i64,
}

/// How many came.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupAttendance {
    /// Sessions of which it is known.
    pub counted: i64,
    /// Everybody at every one of them.
    pub visits: i64,
    /// To one decimal; null where nothing was counted.
    pub visits_per_session: Option<f64>,
}

/// What a therapist-led group's members came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Treatment {
    /// Everybody who ever was active, whatever they are today.
    pub members: u32,
    /// Of these, left out of the instruments: their consent is withdrawn.
    pub consent_withdrawn: u32,
    pub dropout: Dropout,
    pub presence: Presence,
    pub dose: Vec<TechniqueDose>,
    pub instruments: Vec<InstrumentOutcomes>,
    pub nesting: NestingNote,
}

/// How members' time in the group ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dropout {
    /// The rule in words, with its number.
    pub rule: String,
    pub misses: u16,
    pub dropped_out: u32,
    /// Of all members, 0 to 1; null without members.
    pub share: Option<f64>,
    /// Still members, and not lost by the rule.
    pub present: u32,
    /// Completed, transferred or discharged.
    pub planned: u32,
    /// Left or were removed, before the rule counted them.
    pub left: u32,
}

/// Recorded attendances of held sessions, all members together.
#[derive(Debug, Serialize, ToSchema)]
pub struct Presence {
    pub recorded: u32,
    pub attended: u32,
    pub late: u32,
    pub left_early: u32,
    pub excused: u32,
    pub no_show: u32,
    /// There, late and left early included, of all recorded, 0 to 1.
    pub rate: Option<f64>,
}

/// How much of a technique members received.
#[derive(Debug, Serialize, ToSchema)]
pub struct TechniqueDose {
    /// Id of the vocabulary: `GET /v1/techniques`.
    pub technique: String,
    /// Members who were expected where it was delivered.
    pub members: u32,
    /// Of these, those who got nothing of it.
    pub missed: u32,
    /// Minutes that a member received on average; an item counts by the share of the session that somebody was there.
    pub mean_minutes: f64,
}

/// One instrument's outcomes.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentOutcomes {
    pub instrument: String,
    pub members: u32,
    pub with_baseline: u32,
    /// With two comparable scores at least. Means and effects speak about these alone.
    pub with_both: u32,
    /// `with_both` of `members`, 0 to 1.
    pub coverage: Option<f64>,
    /// Null below two people.
    pub mean_gain: Option<MeanGain>,
    /// Null below three people, or where all began alike.
    pub effect: Option<EffectSize>,
    /// By each published parameter set; empty where there is none.
    pub states: Vec<SetStates>,
}

/// From the first to the newest score, in points; up is better.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeanGain {
    pub mean: f64,
    /// 95 % interval, by Student's t.
    pub low: f64,
    pub high: f64,
}

/// Standardized mean gain: over the standard deviation of the first scores, with Hedges' small-sample correction.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectSize {
    pub g: f64,
    /// 95 % interval.
    pub low: f64,
    pub high: f64,
    pub baseline_sd: f64,
    /// By which the intervals were widened, as a variance.
    pub design_effect: f64,
}

/// Counts of members by what became of them, by one published parameter set.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetStates {
    /// Id in the registry.
    pub set: String,
    pub sample: String,
    pub source: String,
    pub states: Vec<StateCount>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StateCount {
    #[schema(example = "reliably_improved")]
    pub state: &'static str,
    pub count: u32,
    /// Of those whose state could be computed; for `not_computable` of all. 0 to 1; null where that is nobody.
    pub share: Option<f64>,
}

/// What an interval means where members share a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct NestingNote {
    pub text: &'static str,
    pub source: &'static str,
    /// The intraclass correlation under which the intervals were made.
    pub rho: f64,
}

/// What members shared in check-ins of a quarter: released once, from the smallest count of people on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct QuarterCheckIns {
    #[schema(example = "2026-Q1")]
    pub quarter: String,
    /// Who shared any.
    pub people: Figure,
    /// Null where `people` is suppressed.
    pub check_ins: Option<u32>,
    /// Mood from 1 (awful) to 7 (great), the others from 0 to 10: means in which everybody counts once, to one decimal.
    /// What fewer people gave is absent.
    pub means: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct HowFigured {
    /// Missed sessions in a row that count as dropping out, where no ending was planned; 3 when not said.
    misses: Option<Whole<1, 100>>,
    /// Intraclass correlation of members of one group, 0 to 1; 0 when not said, and then intervals are too narrow.
    rho: Option<f64>,
}

// For the organization.

/// What is released, and one report.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomeReports {
    /// The quarters that can be asked for, the newest first.
    pub released: Vec<String>,
    /// When the next quarter is released.
    pub next_release_on: Option<Day>,
    /// Null before the first release.
    pub report: Option<OutcomeReport>,
}

/// A quarter as it was released: it never changes, whatever becomes of its people.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OutcomeReport {
    #[schema(example = "2026-Q1")]
    pub quarter: String,
    pub released_on: Option<Day>,
    /// The smallest count of people that is shown, but for nobody.
    pub smallest_count: u32,
    /// True where it was released under a smaller count than the one that holds now: then nothing of it is shown.
    pub withheld: bool,
    pub rows_by: RowsBy,
    /// Both kinds of group, by what both measure.
    pub kinds: Vec<KindOutcomes>,
    /// What became of the people of therapist-led groups, by instrument. Each instrument of the registry with a published
    /// reliable change is there, used or not: which are used would tell of few people.
    pub instruments: Vec<InstrumentReport>,
}

/// One kind of group in a quarter.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KindOutcomes {
    pub kind: Kind,
    /// Who first joined a group of this kind in the quarter; nobody whose consent is withdrawn.
    pub people: Figure,
    pub sessions_held: u32,
    /// Everybody at every session, as far as they were counted.
    pub visits: Figure,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InstrumentReport {
    pub instrument: String,
    /// Id of the parameter set in the registry.
    pub set: String,
    pub sample: String,
    pub source: String,
    pub rows: Vec<ReportRow>,
}

/// People of one row, each in one state.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReportRow {
    /// The group, where rows are groups.
    pub group: Option<Id>,
    pub title: Option<String>,
    /// What the groups of the row are for; empty where none is named.
    pub conditions: Vec<String>,
    /// All rows that are too small to stand alone, together.
    pub others: bool,
    pub people: u32,
    pub states: Vec<StateFigure>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StateFigure {
    #[schema(example = "reliably_improved")]
    pub state: String,
    #[serde(flatten)]
    pub figure: Figure,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct WhichReport {
    /// Such as 2026-Q1; the newest that is released when not said.
    quarter: Option<Text<6, 8>>,
    /// What the rows stand for; `condition` when not said. A quarter is released in one form alone, the first that is
    /// asked for.
    rows: Option<RowsBy>,
    /// Only rows for this condition. Refused where it would leave or take away a few people.
    condition: Option<Text<1, 80>>,
}

pub fn register(api: &mut Api) {
    api.heading("Outcomes");
    api.get::<act::ReadGroupOutcomes, _, _>(
        "/groups/{group}/outcomes",
        "Read what a group came to, as one who leads it",
        read_group_outcomes,
    )
    .asks::<HowFigured>()
    .gives::<GroupOutcomes>();
    api.get::<act::ReadOutcomeReport, _, _>(
        "/organizations/{organization}/outcome-report",
        "Read an organization's outcomes of a released quarter, small counts hidden",
        read_outcome_report,
    )
    .asks::<WhichReport>()
    .gives::<OutcomeReports>()
    .also(409)
    .also(422);
}

type Outcome = Permit<act::ReadGroupOutcomes>;

async fn read_group_outcomes(
    db: Data<Db>,
    k: Data<SmallestCount>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<HowFigured>,
) -> Answer {
    let (group, k) = (path.into_inner(), k.get_ref().get());
    let misses = asked.misses.map_or(3, |misses| misses.get().unsigned_abs() as u16);
    let rho = asked.rho.unwrap_or(0.0);
    let (mut outcomes, new) = db
        .read(move |connection| {
            let permit = authorize::<act::ReadGroupOutcomes>(connection, &caller, group)?;
            if !(0.0..=1.0).contains(&rho) {
                return Err(Problem::Unreadable("rho takes 0 to 1.".into()));
            }
            let (held, cancelled) = outcomes::count_sessions(connection, &permit)?;
            let sessions = HeldSessions { held, cancelled };
            match permit.kind() {
                Kind::TherapistLed => {
                    let (treatment, counted) = treat(connection, &permit, misses, rho)?;
                    let visits = i64::from(treatment.presence.attended + treatment.presence.late)
                        + i64::from(treatment.presence.left_early);
                    let attendance = attendance(counted, visits);
                    let kind = permit.kind();
                    let treatment = Some(treatment);
                    Ok((GroupOutcomes { group, kind, sessions, attendance, treatment, check_ins: None }, Vec::new()))
                }
                Kind::PeerLed => {
                    let (counted, heads) = outcomes::count_heads(connection, &permit)?;
                    let (kept, new) = check_ins(connection, &permit, k)?;
                    let (kind, attendance) = (permit.kind(), attendance(counted, heads));
                    let check_ins = Some(kept);
                    Ok((GroupOutcomes { group, kind, sessions, attendance, treatment: None, check_ins }, new))
                }
            }
        })
        .await?;
    if !new.is_empty() {
        // What was just counted shows only as it is kept: of two who ask at once, both see what one of them found.
        let kept = db
            .write(move |connection| {
                let permit = authorize::<act::ReadGroupOutcomes>(connection, &caller, group)?;
                let keep = |(quarter, release): &(Quarter, Release)| {
                    let kept = outcomes::insert_group_release(connection, &permit, *quarter, release)?;
                    shown_check_ins(*quarter, &kept, k)
                };
                new.iter().map(keep).collect::<Result<Vec<_>, Problem>>()
            })
            .await?;
        if let Some(check_ins) = &mut outcomes.check_ins {
            check_ins.extend(kept);
            check_ins.sort_unstable_by(|a, b| b.quarter.cmp(&a.quarter));
        }
    }
    Reply::ok(&outcomes)
}

fn attendance(counted: i64, visits: i64) -> GroupAttendance {
    let mean = (counted > 0).then(|| (visits as f64 / counted as f64 * 10.0).round() / 10.0);
    GroupAttendance { counted, visits, visits_per_session: mean }
}

/// A therapist-led group's figures, and at how many sessions attendance was recorded.
fn treat(connection: &mut Connection, permit: &Outcome, misses: u16, rho: f64) -> Result<(Treatment, i64), Problem> {
    let (held, delivered) = outcomes::list_delivered(connection, permit)?;
    let mut sessions: HashMap<Id, (Vec<Item>, i32)> =
        held.into_iter().map(|(session, minutes)| (session, (Vec::new(), minutes))).collect();
    for (session, technique, how, minutes) in &delivered {
        if let Some((items, _)) = sessions.get_mut(session) {
            items.push(Item { technique, delivered: *how, minutes: *minutes });
        }
    }
    let mut figures = Figures::new(misses, &sessions);
    outcomes::read_courses(connection, permit, |courses| courses.iter().for_each(|course| figures.add(course)))?;
    let counted = figures.counted() as i64;
    Ok((treatment(&figures, misses, rho), counted))
}

fn treatment(figures: &Figures, misses: u16, rho: f64) -> Treatment {
    let ended = |ending: Ending| figures.endings[ending as usize];
    let by = |status: Status| figures.presences.by_status[status as usize];
    let presence = Presence {
        recorded: figures.presences.recorded(),
        attended: by(Status::Attended),
        late: by(Status::Late),
        left_early: by(Status::LeftEarly),
        excused: by(Status::Excused),
        no_show: by(Status::NoShow),
        rate: share(figures.presences.attended(), figures.presences.recorded()),
    };
    let dose = figures.dose.minutes().map(|(technique, minutes)| {
        let members = figures.offered.get(technique).copied().unwrap_or(0);
        TechniqueDose {
            technique: technique.to_owned(),
            members,
            missed: figures.missed.get(technique).copied().unwrap_or(0),
            mean_minutes: (minutes as f64 / f64::from(members.max(1)) * 10.0).round() / 10.0,
        }
    });
    Treatment {
        members: figures.members,
        consent_withdrawn: figures.withdrawn,
        dropout: Dropout {
            rule: format!(
                "No attendance in the last {misses} held sessions at which the member was expected, excused or not, \
                 without a planned ending."
            ),
            misses,
            dropped_out: ended(Ending::DroppedOut),
            share: share(ended(Ending::DroppedOut), figures.members),
            present: ended(Ending::Present),
            planned: ended(Ending::Planned),
            left: ended(Ending::Left),
        },
        presence,
        dose: dose.collect(),
        instruments: figures.instruments.iter().map(|(id, figures)| instrument_outcomes(id, figures, rho)).collect(),
        nesting: NestingNote { text: NESTING_NOTE.text, source: NESTING_NOTE.source, rho },
    }
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| thousandths(f64::from(part) / f64::from(whole)))
}

/// To three decimals: more would look more certain than it is.
fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn instrument_outcomes(id: &str, figures: &InstrumentFigures, rho: f64) -> InstrumentOutcomes {
    // Means are the same by every set.
    let outcomes = &figures.by_set[0].1;
    let nesting = Nesting::new([outcomes.with_both], rho);
    let yardstick = Registry::built_in().current(id).map(Yardstick::of);
    let by_set = figures.by_set.iter().filter_map(|(set, outcomes)| {
        let set = yardstick.as_ref()?.set((*set)?)?;
        Some(SetStates {
            set: set.id.to_owned(),
            sample: set.sample.to_owned(),
            source: set.source.to_owned(),
            states: state_counts(outcomes),
        })
    });
    InstrumentOutcomes {
        instrument: id.to_owned(),
        members: outcomes.members,
        with_baseline: outcomes.with_baseline,
        with_both: outcomes.with_both,
        coverage: outcomes.coverage().map(thousandths),
        mean_gain: outcomes.paired.mean_gain(nesting).map(|gain| MeanGain {
            mean: thousandths(gain.mean),
            low: thousandths(gain.low),
            high: thousandths(gain.high),
        }),
        effect: outcomes.paired.effect(nesting).map(|effect| EffectSize {
            g: thousandths(effect.g),
            low: thousandths(effect.low),
            high: thousandths(effect.high),
            baseline_sd: thousandths(effect.baseline_sd),
            design_effect: thousandths(effect.design_effect),
        }),
        states: by_set.collect(),
    }
}

fn state_counts(outcomes: &Outcomes) -> Vec<StateCount> {
    let computed: u32 = outcomes.states[..5].iter().sum();
    let counted = State::WORDS.into_iter().zip(outcomes.states).enumerate();
    counted
        .map(|(index, (state, count))| StateCount {
            state,
            count,
            share: share(count, if index == 5 { outcomes.members } else { computed }),
        })
        .collect()
}

/// The newest released quarters of a group's check-ins: as they are kept, and those that nobody has asked for yet.
type KeptAndNew = (Vec<QuarterCheckIns>, Vec<(Quarter, Release)>);

fn check_ins(connection: &mut Connection, permit: &Outcome, k: u32) -> Result<KeptAndNew, Problem> {
    let first = Quarter::of(outcomes::find_group_begin(connection, permit)?.day_in(permit.zone()));
    let newest = Quarter::newest_released(connection.now.day_in(permit.zone()));
    let (mut kept, mut new) = (Vec::new(), Vec::new());
    let quarters = std::iter::successors(Some(newest), |quarter| Some(quarter.previous()));
    for quarter in quarters.take(QUARTERS).take_while(|quarter| *quarter >= first) {
        if let Some(release) = outcomes::find_group_release(connection, permit, quarter)? {
            kept.push(shown_check_ins(quarter, &release, k)?);
            continue;
        }
        let Some((from, until)) = quarter.first_day().zip(quarter.next().first_day()) else { continue };
        let mut means = PersonMeans::default();
        outcomes::read_check_ins(connection, permit, from, until, |said| means.add(said))?;
        let people = Figure::of(means.people, k);
        let is_shown = people.count.is_some();
        let figures = QuarterCheckIns {
            quarter: quarter.to_string(),
            people,
            check_ins: is_shown.then_some(means.check_ins),
            means: means.shown(k),
        };
        new.push((quarter, Release { k, figures: written(&figures)? }));
    }
    Ok((kept, new))
}

fn shown_check_ins(quarter: Quarter, release: &Release, k: u32) -> Result<QuarterCheckIns, Problem> {
    if release.k < k {
        let means = BTreeMap::new();
        return Ok(QuarterCheckIns { quarter: quarter.to_string(), people: Figure::HIDDEN, check_ins: None, means });
    }
    read(&release.figures)
}

fn written<T: Serialize>(figures: &T) -> Result<String, Problem> {
    serde_json::to_string(figures).map_err(|_| Problem::Internal("a release cannot be written".into()))
}

fn read<T: serde::de::DeserializeOwned>(figures: &str) -> Result<T, Problem> {
    serde_json::from_str(figures).map_err(|_| Problem::Internal("a kept release cannot be read".into()))
}

type Report = Permit<act::ReadOutcomeReport>;

async fn read_outcome_report(
    db: Data<Db>,
    k: Data<SmallestCount>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<WhichReport>,
) -> Answer {
    let (organization, k, asked) = (path.into_inner(), k.get_ref().get(), asked.0);
    let (rows_by, wanted) = (asked.rows, asked.quarter);
    let (released, next_release_on, found) = db
        .read(move |connection| {
            let permit = authorize_in_organization::<act::ReadOutcomeReport>(connection, &caller, organization)?;
            let today = connection.now.day_in("UTC");
            let first = Quarter::of(outcomes::find_begin(connection, &permit)?.day_in("UTC"));
            let newest = Quarter::newest_released(today);
            let released = std::iter::successors(Some(newest), |quarter| Some(quarter.previous()));
            let released: Vec<Quarter> = released.take_while(|quarter| *quarter >= first).collect();
            let quarter = match wanted {
                Some(text) => Some(asked_quarter(text.as_str(), &released)?),
                None => released.first().copied(),
            };
            let found = match quarter {
                None => None,
                Some(quarter) => match outcomes::find_release(connection, &permit, quarter)? {
                    Some(release) => Some((quarter, release, true)),
                    None => {
                        let by = rows_by.unwrap_or(RowsBy::Condition);
                        let report = report(connection, &permit, quarter, by, k)?;
                        Some((quarter, Release { k, figures: written(&report)? }, false))
                    }
                },
            };
            Ok((released, newest.next().released_on(), found))
        })
        .await?;
    let report = match found {
        None => None,
        Some((_, release, true)) => Some(release),
        // It shows only as it is kept: of two who ask at once, both see what one of them found.
        Some((quarter, release, false)) => Some(
            db.write(move |connection| {
                let permit = authorize_in_organization::<act::ReadOutcomeReport>(connection, &caller, organization)?;
                outcomes::insert_release(connection, &permit, quarter, &release)
            })
            .await?,
        ),
    };
    let report = report.map(|release| shown_report(&release, rows_by, asked.condition.as_ref(), k)).transpose()?;
    Reply::ok(&OutcomeReports { released: released.iter().map(Quarter::to_string).collect(), next_release_on, report })
}

fn asked_quarter(text: &str, released: &[Quarter]) -> Result<Quarter, Problem> {
    let quarter: Quarter = text.parse().map_err(|error| Problem::field("quarter", format!("{error}")))?;
    if !released.contains(&quarter) {
        return Err(Problem::field("quarter", "is not released: a quarter is once the one after it is over"));
    }
    Ok(quarter)
}

/// A kept report as far as it may be shown, in the form and with the filter that are asked for. Nothing is counted anew.
fn shown_report(
    release: &Release,
    rows_by: Option<RowsBy>,
    condition: Option<&Text<1, 80>>,
    k: u32,
) -> Result<OutcomeReport, Problem> {
    let mut report: OutcomeReport = read(&release.figures)?;
    if rows_by.is_some_and(|asked| asked != report.rows_by) {
        return Err(Problem::Conflict(format!(
            "This quarter is released with rows by {}: the same people in two tables would tell about a few of them.",
            report.rows_by
        )));
    }
    if release.k < k {
        report.withheld = true;
        report.instruments.iter_mut().for_each(|instrument| instrument.rows.clear());
        for kind in &mut report.kinds {
            (kind.people, kind.visits) = (Figure::HIDDEN, Figure::HIDDEN);
        }
    }
    let Some(condition) = condition else { return Ok(report) };
    let fits = |row: &ReportRow| row.conditions.iter().any(|named| named == condition.as_str());
    let rows = report.instruments.first().map_or(&[][..], |instrument| instrument.rows.as_slice());
    let whole = rows.iter().map(|row| row.people).sum();
    let left = rows.iter().filter(|row| fits(row)).map(|row| row.people).sum();
    if !may_filter(left, whole, k) {
        return Err(Problem::field("condition", "would leave or take away fewer people than may be shown"));
    }
    report.instruments.iter_mut().for_each(|instrument| instrument.rows.retain(fits));
    Ok(report)
}

/// What a row stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RowKey {
    Condition(Vec<String>),
    Group(Id),
}

/// Counts a quarter, and hides what is small before anything leaves this function.
fn report(
    connection: &mut Connection,
    permit: &Report,
    quarter: Quarter,
    rows_by: RowsBy,
    k: u32,
) -> Result<OutcomeReport, Problem> {
    let yardsticks: Vec<(&str, Yardstick)> = Registry::built_in()
        .all()
        .iter()
        .filter(|instrument| Registry::built_in().current(&instrument.id) == Some(*instrument))
        .map(|instrument| (instrument.id.as_str(), Yardstick::of(instrument)))
        .filter(|(_, yardstick)| !yardstick.reliable.is_empty())
        .collect();
    // Follow-ups count until the day of the release, however late somebody asks.
    let until = quarter.next().next().begins_at("UTC").unwrap_or(connection.now);
    let groups = outcomes::list_groups(connection, permit)?;
    let insiders = outcomes::list_insiders(connection, permit, &groups)?;
    let keys: Vec<RowKey> =
        groups.iter().map(|group| key(group, rows_by)).collect::<BTreeSet<_>>().into_iter().collect();
    let (mut parts, mut sides) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
    for group in &groups {
        let meetings = outcomes::count_meetings(connection, permit, group, quarter)?;
        let mut tables = vec![vec![0; State::WORDS.len()]; yardsticks.len()];
        let mut people = 0;
        outcomes::read_people(connection, permit, group, quarter, until, |taken| {
            people += 1;
            if group.kind == Kind::TherapistLed {
                for (table, (instrument, yardstick)) in tables.iter_mut().zip(&yardsticks) {
                    table[state_in_report(yardstick, instrument, taken).index()] += 1;
                }
            }
        })?;
        // Every group's key is among them.
        let row = keys.binary_search(&key(group, rows_by)).unwrap_or_default();
        parts.push(Part { row, tables });
        sides.push((group.kind, Side { people, meetings }));
    }
    let released = release(keys.len(), &parts, &insiders, k);
    let kind = |kind: Kind| {
        let all = (0..groups.len()).filter(|group| sides[*group].0 == kind);
        let whole = together(all.map(|group| sides[group].1));
        let rest = |known: &Vec<usize>| {
            let own = known.iter().filter(|group| sides[**group].0 == kind);
            whole.without(together(own.map(|group| sides[*group].1)))
        };
        let rests: Vec<Side> = insiders.iter().map(rest).chain([whole]).collect();
        let is_hidden = kind == Kind::TherapistLed && released.is_none();
        let are_people_hidden = is_hidden || rests.iter().any(|rest| (1..k).contains(&rest.people));
        // Beside how many there are and how often they met, visits tell how many were absent.
        let are_visits_hidden = rests
            .iter()
            .map(|rest| rest.meetings)
            .any(|rest| rest.visits > 0 && rest.most < k || (1..k).contains(&rest.absences));
        let figure = |count: u32, is_hidden: bool| if is_hidden { Figure::HIDDEN } else { Figure::shown(count) };
        KindOutcomes {
            kind,
            people: figure(whole.people, are_people_hidden),
            sessions_held: whole.meetings.held,
            visits: figure(whole.meetings.visits, are_visits_hidden),
        }
    };
    let instruments = yardsticks.iter().enumerate().map(|(table, (instrument, yardstick))| {
        let set = &yardstick.reliable[0];
        let row = |row: &ReleasedRow| report_row(row, table, &keys, &groups);
        InstrumentReport {
            instrument: (*instrument).to_owned(),
            set: set.id.to_owned(),
            sample: set.sample.to_owned(),
            source: set.source.to_owned(),
            rows: released.iter().flatten().map(row).collect(),
        }
    });
    Ok(OutcomeReport {
        quarter: quarter.to_string(),
        released_on: quarter.released_on(),
        smallest_count: k,
        withheld: false,
        rows_by,
        instruments: instruments.collect(),
        kinds: Kind::ALL.iter().copied().map(kind).collect(),
    })
}

/// Groups of one kind, counted.
#[derive(Clone, Copy, Default)]
struct Side {
    people: u32,
    /// `most` of several groups is their sum: so many people at least stand behind the visits.
    meetings: Meetings,
}

impl Side {
    fn without(self, other: Side) -> Side {
        let meetings = Meetings {
            held: self.meetings.held - other.meetings.held,
            visits: self.meetings.visits - other.meetings.visits,
            most: self.meetings.most - other.meetings.most,
            absences: self.meetings.absences - other.meetings.absences,
        };
        Side { people: self.people - other.people, meetings }
    }
}

fn together(sides: impl Iterator<Item = Side>) -> Side {
    sides.fold(Side::default(), |mut sum, side| {
        sum.people += side.people;
        sum.meetings.held += side.meetings.held;
        sum.meetings.visits += side.meetings.visits;
        sum.meetings.most += side.meetings.most;
        sum.meetings.absences += side.meetings.absences;
        sum
    })
}

fn key(group: &ReportedGroup, rows_by: RowsBy) -> RowKey {
    match rows_by {
        RowsBy::Condition => RowKey::Condition(group.conditions.clone()),
        RowsBy::Group => RowKey::Group(group.id),
    }
}

fn report_row(row: &ReleasedRow, table: usize, keys: &[RowKey], groups: &[ReportedGroup]) -> ReportRow {
    let named = row.row.map(|index| &keys[index]);
    let group = match named {
        Some(RowKey::Group(id)) => groups.iter().find(|group| group.id == *id),
        _ => None,
    };
    let conditions = match named {
        Some(RowKey::Condition(conditions)) => conditions.clone(),
        _ => group.map(|group| group.conditions.clone()).unwrap_or_default(),
    };
    let figure = |count: Option<u32>| match count {
        None => Figure::HIDDEN,
        Some(count) => Figure { percent: percent(count, row.people), ..Figure::shown(count) },
    };
    let states = State::WORDS.iter().zip(&row.tables[table]);
    ReportRow {
        group: group.map(|group| group.id),
        title: group.map(|group| group.title.clone()),
        conditions,
        others: row.row.is_none(),
        people: row.people,
        states: states
            .map(|(state, cell)| StateFigure { state: (*state).to_owned(), figure: figure(cell.count()) })
            .collect(),
    }
}

/// Whole per cent, half up.
fn percent(part: u32, whole: u32) -> Option<u32> {
    let (part, whole) = (u64::from(part), u64::from(whole));
    (whole > 0).then(|| ((part * 200 + whole) / (2 * whole)) as u32)
}
