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
        outcomes::{Ending, Figures, InstrumentFigures, NESTING_NOTE, Nesting, Outcomes, PersonMeans, state_in_report},
        suppression::{Part, Quarter, ReleasedRow, SmallestCount, may_filter, release},
    },
    store::{
        connection::{Connection, Db},
        outcomes::{self, Meetings, Release},
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
    pub(super) fn of(count: u32, k: u32) -> Figure {
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
    /// Who first joined a group of this kind in the quarter: who came to a session of it, as its leads recorded before the
    /// release, and whose consent stands. Null in peer-led groups, where nobody records whether a membership is a person.
    pub people: Option<Figure>,
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

/// People of one row, each in one state. Those who are not computable are no finding: where fewer than the smallest count
/// are left beside them, or all in one state, nothing of the row is shown, as where the instrument was not used.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReportRow {
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
    /// Only rows for this condition. Refused where no row of its own is for it, or where it would leave or take away a few
    /// people: not said which.
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
    let sessions = outcomes::by_session(held, &delivered);
    let gone = outcomes::find_gone(connection, permit, permit.group())?;
    let mut figures = Figures::new(misses, &sessions);
    figures.add_gone(&gone);
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
                "No attendance in the last {misses} held sessions, without a planned ending: excused or not, or gone by \
                 then."
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
    let (wanted, condition) = (asked.quarter, asked.condition);
    let (released, next_release_on, found) = db
        .read(move |connection| {
            let permit = authorize_in_organization::<act::ReadOutcomeReport>(connection, &caller, organization)?;
            let today = connection.now.day_in("UTC");
            let first = Quarter::of(outcomes::find_begin(connection, &permit)?.day_in("UTC"));
            let newest = Quarter::newest_released(today);
            let released = std::iter::successors(Some(newest), |quarter| Some(quarter.previous()));
            let released: Vec<Quarter> = released.take_while(|quarter| *quarter >= first).collect();
            let quarter = match &wanted {
                Some(text) => Some(asked_quarter(text.as_str(), &released)?),
                None => released.first().copied(),
            };
            let found = match quarter {
                None => None,
                Some(quarter) => match outcomes::find_release(connection, &permit, quarter)? {
                    Some(release) => Some((quarter, release, true)),
                    None => {
                        let report = report(connection, &permit, quarter, k)?;
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
    let report = report.map(|release| shown_report(&release, condition.as_ref(), k)).transpose()?;
    Reply::ok(&OutcomeReports { released: released.iter().map(Quarter::to_string).collect(), next_release_on, report })
}

fn asked_quarter(text: &str, released: &[Quarter]) -> Result<Quarter, Problem> {
    let quarter: Quarter = text.parse().map_err(|error| Problem::field("quarter", format!("{error}")))?;
    if !released.contains(&quarter) {
        return Err(Problem::field("quarter", "is not released: a quarter is once the one after it is over"));
    }
    Ok(quarter)
}

/// A kept report as far as it may be shown, with the filter that is asked for. Nothing is counted anew.
fn shown_report(release: &Release, condition: Option<&Text<1, 80>>, k: u32) -> Result<OutcomeReport, Problem> {
    let mut report: OutcomeReport = read(&release.figures)?;
    if release.k < k {
        report.withheld = true;
        report.instruments.iter_mut().for_each(|instrument| instrument.rows.clear());
        for kind in &mut report.kinds {
            (kind.people, kind.visits) = (kind.people.as_ref().map(|_| Figure::HIDDEN), Figure::HIDDEN);
        }
    }
    let Some(condition) = condition else { return Ok(report) };
    let fits = |row: &ReportRow| row.conditions.iter().any(|named| named == condition.as_str());
    let rows = report.instruments.first().map_or(&[][..], |instrument| instrument.rows.as_slice());
    let whole = rows.iter().map(|row| row.people).sum();
    let left = rows.iter().filter(|row| fits(row)).map(|row| row.people).sum();
    // For a condition that nobody has, and one that few have, there is no row: the same words, or they would tell them apart.
    if left == 0 || !may_filter(left, whole, k) {
        return Err(Problem::field("condition", "has no row of its own that may be shown alone"));
    }
    report.instruments.iter_mut().for_each(|instrument| instrument.rows.retain(fits));
    Ok(report)
}

/// Who knows some of the people exactly: whoever leads their group or did, whoever let them in.
struct Insider {
    groups: BTreeSet<usize>,
    parts: Vec<usize>,
}

/// `parts`: the group of each part, and who let its people in.
fn insiders(groups: usize, leads: &HashMap<Id, BTreeSet<usize>>, parts: &[(usize, BTreeSet<Id>)]) -> Vec<Insider> {
    let accounts: BTreeSet<Id> = parts.iter().flat_map(|(_, by)| by).chain(leads.keys()).copied().collect();
    let of_account = |account: Id| {
        let groups = leads.get(&account).cloned().unwrap_or_default();
        let knows = |(group, by): &(usize, BTreeSet<Id>)| groups.contains(group) || by.contains(&account);
        let known = (0..parts.len()).filter(|part| knows(&parts[*part])).collect();
        (groups, known)
    };
    // A group that nobody leads yet may get somebody.
    let alone = |group: usize| -> (BTreeSet<usize>, Vec<usize>) {
        (BTreeSet::from([group]), (0..parts.len()).filter(|part| parts[*part].0 == group).collect())
    };
    // Who knows the same reads the same.
    let all: BTreeSet<(BTreeSet<usize>, Vec<usize>)> =
        accounts.into_iter().map(of_account).chain((0..groups).map(alone)).collect();
    all.into_iter().map(|(groups, parts)| Insider { groups, parts }).collect()
}

/// Counts a quarter, and hides what is small before anything leaves this function.
fn report(connection: &mut Connection, permit: &Report, quarter: Quarter, k: u32) -> Result<OutcomeReport, Problem> {
    let yardsticks: Vec<(&str, Yardstick)> = Registry::built_in()
        .all()
        .iter()
        .filter(|instrument| Registry::built_in().current(&instrument.id) == Some(*instrument))
        .map(|instrument| (instrument.id.as_str(), Yardstick::of(instrument)))
        .filter(|(_, yardstick)| !yardstick.reliable.is_empty())
        .collect();
    // What is recorded counts until the day of the release, however late somebody asks.
    let until = quarter.next().next().begins_at("UTC").unwrap_or(connection.now);
    let groups = outcomes::list_groups(connection, permit)?;
    let leads = outcomes::list_leads(connection, permit, &groups)?;
    let keys: Vec<&[String]> =
        groups.iter().map(|group| group.conditions.as_slice()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut meetings = Vec::with_capacity(groups.len());
    // People of a group who were let in by the same are known to the same.
    let (mut parts, mut places) = (Vec::new(), Vec::new());
    for (place, group) in groups.iter().enumerate() {
        meetings.push(outcomes::count_meetings(connection, permit, group, quarter, until)?);
        if group.kind != Kind::TherapistLed {
            continue;
        }
        let mut tables_by: BTreeMap<BTreeSet<Id>, Vec<Vec<u32>>> = BTreeMap::new();
        outcomes::read_people(connection, permit, group, quarter, until, |person| {
            let nobody = || vec![vec![0; State::WORDS.len()]; yardsticks.len()];
            let tables = tables_by.entry(person.admitted_by).or_insert_with(nobody);
            for (table, (instrument, yardstick)) in tables.iter_mut().zip(&yardsticks) {
                table[state_in_report(yardstick, instrument, &person.taken).index()] += 1;
            }
        })?;
        // Every group's key is among them.
        let row = keys.binary_search(&group.conditions.as_slice()).unwrap_or_default();
        for (by, tables) in tables_by {
            parts.push(Part { row, tables });
            places.push((place, by));
        }
    }
    let insiders = insiders(groups.len(), &leads, &places);
    let known: Vec<Vec<usize>> = insiders.iter().map(|insider| insider.parts.clone()).collect();
    let released = release(keys.len(), &parts, &known, k);
    let kind = |kind: Kind| {
        let whole = together(groups.iter().zip(&meetings).filter(|(group, _)| group.kind == kind).map(|(_, all)| *all));
        let rest = |insider: &Insider| {
            let own = insider.groups.iter().filter(|group| groups[**group].kind == kind);
            without(whole, together(own.map(|group| meetings[*group])))
        };
        // Beside how many there are and how often they met, visits tell how many were absent. Who made up memberships takes
        // the absences of these away.
        let are_visits_hidden = insiders
            .iter()
            .map(rest)
            .chain([whole])
            .any(|rest| (rest.visits > 0 && rest.most < k) || (rest.absences > 0 && rest.absences_of_known < k));
        let people: u32 = parts.iter().map(Part::people).sum();
        let people_but = |known: &Vec<usize>| people - known.iter().map(|part| parts[*part].people()).sum::<u32>();
        let are_people_hidden =
            released.is_none() || known.iter().map(people_but).chain([people]).any(|rest| (1..k).contains(&rest));
        let figure = |count: u32, is_hidden: bool| if is_hidden { Figure::HIDDEN } else { Figure::shown(count) };
        KindOutcomes {
            kind,
            people: (kind == Kind::TherapistLed).then(|| figure(people, are_people_hidden)),
            sessions_held: whole.held,
            visits: figure(whole.visits, are_visits_hidden),
        }
    };
    let instruments = yardsticks.iter().enumerate().map(|(table, (instrument, yardstick))| {
        let set = &yardstick.reliable[0];
        let row = |row: &ReleasedRow| report_row(row, table, &keys);
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
        instruments: instruments.collect(),
        kinds: Kind::ALL.iter().copied().map(kind).collect(),
    })
}

/// `most` of several groups is their sum: so many people at least stand behind the visits.
fn together(all: impl Iterator<Item = Meetings>) -> Meetings {
    all.fold(Meetings::default(), |sum, meetings| Meetings {
        held: sum.held + meetings.held,
        visits: sum.visits + meetings.visits,
        most: sum.most + meetings.most,
        absences: sum.absences + meetings.absences,
        absences_of_known: sum.absences_of_known + meetings.absences_of_known,
    })
}

fn without(whole: Meetings, own: Meetings) -> Meetings {
    Meetings {
        held: whole.held - own.held,
        visits: whole.visits - own.visits,
        most: whole.most - own.most,
        absences: whole.absences - own.absences,
        absences_of_known: whole.absences_of_known - own.absences_of_known,
    }
}

fn report_row(row: &ReleasedRow, table: usize, keys: &[&[String]]) -> ReportRow {
    let figure = |count: Option<u32>| match count {
        None => Figure::HIDDEN,
        Some(count) => Figure { percent: percent(count, row.people), ..Figure::shown(count) },
    };
    let states = State::WORDS.iter().zip(&row.tables[table]);
    ReportRow {
        conditions: row.row.map(|index| keys[index].to_vec()).unwrap_or_default(),
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
