//! Progress: a member's own across all groups, and a therapist's view of their members, as figures and as pictures.

use std::collections::HashMap;

use actix_web::{
    HttpRequest,
    http::header,
    web::{Data, Path},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    attendances::AttendanceSummary,
    command::{Answer, Query, Reply, weight},
    measures::MeasureSummary,
    operation::Api,
};
use crate::{
    charts::{self, Frame},
    identity::Caller,
    policy::{Act, Kind, act},
    problem::Problem,
    rules::{
        attendance::Status,
        change::{BaselineRule, Finding, State, Why},
        check_ins::{By, Mood, Said, TrendPeriod, trend},
        instruments::{ChangeKind, Direction, Registry},
        outcomes::Item,
        progress::{self, Attendance, Language, Recorded, Series, Taken, Window},
        techniques,
    },
    store::{
        accounts,
        attendances::Attendance as KeptAttendance,
        check_ins::{self, CheckIn},
        connection::{Connection, Db},
        groups,
        measures::Measure,
        members,
        permit::{authorize, authorize_own},
        progress::{Delivery, Membership, Reached, reach_group, reach_member, reach_own},
    },
    values::{Day, Id, Moment, Text},
    words,
};

/// The form of a picture.
const SVG: &str = "image/svg+xml";
/// Beyond so many days, check-ins are shown by month.
const BY_WEEK: i64 = 400;

words! {
    /// What a higher score means.
    pub enum Up { Worse = "worse", Better = "better" }
}

/// The caller's own progress across all their groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnProgress {
    #[serde(flatten)]
    pub frame: ProgressFrame,
    #[serde(flatten)]
    pub figures: ProgressFigures,
    /// Check-ins by week, or by month beyond 400 days. Nobody else sees them here.
    pub check_in_trend: OwnTrend,
    /// Scores, oldest first; those entered in error are left out.
    pub measures: Vec<MeasureSummary>,
    /// Attendance, oldest first.
    pub attendances: Vec<AttendanceSummary>,
    /// Check-ins in peer-led groups, oldest first.
    pub check_ins: Vec<OwnCheckIn>,
}

/// One member's progress in one group. Check-ins are no part of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberProgress {
    pub group: Id,
    pub member: Id,
    /// The member's name in the group.
    pub name: String,
    /// Without live consent nothing is made of what was answered before: there are no series for whoever leads, who
    /// reads it in the record. The member keeps them.
    pub consents: bool,
    #[serde(flatten)]
    pub frame: ProgressFrame,
    #[serde(flatten)]
    pub figures: ProgressFigures,
}

/// Everybody who was active in a group in that time.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupProgress {
    pub group: Id,
    #[serde(flatten)]
    pub frame: ProgressFrame,
    /// By name.
    pub members: Vec<PersonProgress>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PersonProgress {
    pub member: Id,
    /// The member's name in the group.
    pub name: String,
    /// Whether the membership has ended.
    pub has_left: bool,
    /// Without live consent nothing is made of what was answered before, and there are no series: read it in the record.
    pub consents: bool,
    #[serde(flatten)]
    pub figures: ProgressFigures,
}

/// What is looked at, and in which words.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressFrame {
    /// Of the sentences: the reader's own where there are any in it, else `en`.
    pub language: Language,
    /// In which zone the days are: the member's own, or the group's for whoever leads it.
    pub zone: String,
    /// The first day that is looked at, and the last, today when no other was asked for: days, so that the answer moves
    /// with what is told in it alone.
    pub from_on: Day,
    pub until_on: Day,
}

/// The figures of one person.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressFigures {
    /// One for each instrument, or for each part of one that has no total; those with the most points first.
    pub series: Vec<ProgressSeries>,
    /// By group.
    pub attendance: Vec<ProgressAttendance>,
    /// What was delivered of each technique, by the share of each session that the person was there; most minutes first.
    pub doses: Vec<ProgressDose>,
}

/// One scale over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressSeries {
    pub instrument: String,
    /// Of the bands and thresholds.
    pub instrument_version: String,
    /// The part, where the instrument has no total.
    pub subscale: Option<String>,
    pub title: String,
    pub up: Up,
    /// The same in words.
    pub direction: String,
    /// Lowest and highest possible score.
    pub min: f64,
    pub max: f64,
    /// How many days the answers look back on, where that is a fixed number.
    pub recall_days: Option<u16>,
    /// From the lowest score up; both ends included.
    pub bands: Vec<ProgressBand>,
    pub band_source: Option<String>,
    /// Oldest first.
    pub points: Vec<ProgressPoint>,
    /// Administrations without a score: missing is never zero.
    pub gaps: Vec<ProgressGap>,
    /// The earliest score of all, though it lie before `since`.
    pub baseline: Option<ProgressBaseline>,
    /// From the baseline to the newest score before `until`.
    pub change: ProgressChange,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressBand {
    pub band: String,
    /// In everyday words of the language.
    pub label: String,
    pub from: f64,
    pub to: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressPoint {
    pub measure: Id,
    pub group: Id,
    pub taken_at: Moment,
    /// The day of it in the zone.
    pub day: Day,
    pub score: f64,
    pub band: Option<String>,
    /// Place in the range, 0 at its lowest score and 1 at its highest. Null for another version of the instrument.
    pub share_of_range: Option<f64>,
    /// Since the baseline, in points, up is better. Null for another version.
    pub gain: Option<f64>,
    /// Estimated from the answers that were given.
    pub prorated: bool,
    /// Looks back on days that the administration before it looked back on too.
    pub is_repeat: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressGap {
    pub measure: Id,
    pub group: Id,
    pub taken_at: Moment,
    pub day: Day,
    /// Why there is no score.
    pub reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressBaseline {
    pub measure: Id,
    pub taken_at: Moment,
    pub day: Day,
    pub score: f64,
    pub rule: BaselineRule,
    pub in_words: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressChange {
    /// The baseline and the newest score, where they can be compared.
    pub first: Option<f64>,
    pub last: Option<f64>,
    /// Between the two, in points, up is better.
    pub gain: Option<f64>,
    /// By each published parameter set, side by side.
    pub states: Vec<ProgressState>,
    /// Why there is no state.
    pub not_judged: Option<NotJudged>,
    /// Five questions that are never mixed, each under its own name.
    pub judgements: Vec<ChangeJudgement>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NotJudged {
    pub because: Why,
    pub in_words: String,
}

/// What became of somebody by one parameter set.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressState {
    /// `recovered`, `reliably_improved`, `no_reliable_change`, `reliably_deteriorated`, `not_a_case_at_start` or
    /// `not_computable`.
    pub state: &'static str,
    /// Why it is not computable.
    pub because: Option<Why>,
    pub in_words: String,
    /// Id of the parameter set.
    pub set: String,
    /// From this difference on a change is reliable.
    pub reliable_from: f64,
    pub sample: String,
    pub source: String,
}

/// One question about the change, and its answer by one source.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeJudgement {
    /// `reliable`, `clinically_significant`, `minimal_important`, `response` or `remission`.
    #[schema(value_type = String)]
    pub kind: ChangeKind,
    pub finding: Finding,
    pub in_words: String,
    pub set: String,
    pub sample: String,
    pub source: String,
}

/// Attendance of one group's sessions in that time.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressAttendance {
    pub group: Id,
    /// Held sessions at which the member was expected; cancelled ones count for nothing. Null in a peer-led group, which
    /// may leave out who was there.
    pub held: Option<usize>,
    pub attended: usize,
    pub excused: usize,
    pub no_show: usize,
    /// Expected, and nothing recorded: no absence.
    pub unrecorded: usize,
    /// Minutes there.
    pub minutes: i32,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressDose {
    pub technique: String,
    pub title: String,
    /// Minutes of it, counted by the share of each session that the person was there: which item was on while they were
    /// out of the room is not recorded. 0: delivered, and missed.
    pub minutes: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OwnTrend {
    pub by: By,
    /// Oldest first; without those in which nothing was entered.
    pub periods: Vec<TrendPeriod>,
}

/// A check-in as a point of one's own course; what was not given is null.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnCheckIn {
    pub id: Id,
    pub group: Id,
    /// One's own day then.
    pub day: Day,
    pub mood: Option<Mood>,
    /// 1 (awful) to 7 (great).
    pub mood_number: Option<i32>,
    /// 0 to 10, as are the next four.
    pub connection: Option<i32>,
    pub hope: Option<i32>,
    pub confidence: Option<i32>,
    pub belonging: Option<i32>,
    pub shame: Option<i32>,
}

impl From<CheckIn> for OwnCheckIn {
    fn from(kept: CheckIn) -> OwnCheckIn {
        let said = kept.said;
        OwnCheckIn {
            id: kept.id,
            group: kept.group,
            day: kept.local_day,
            mood: said.mood,
            mood_number: said.mood.map(Mood::number),
            connection: said.connection,
            hope: said.hope,
            confidence: said.confidence,
            belonging: said.belonging,
            shame: said.shame,
        }
    }
}

/// What is to be looked at.
#[derive(Debug, Deserialize, IntoParams)]
pub struct ProgressAsked {
    /// The first moment that counts, not ahead of now; a year back when not said.
    since: Option<Moment>,
    /// The moment from which on nothing counts any more; now when not said, and when it lies ahead.
    until: Option<Moment>,
    /// Only this instrument.
    instrument: Option<Text<1, 40>>,
}

pub fn register(api: &mut Api) {
    api.heading("Progress");
    api.get::<act::ReadOwnAccount, _, _>(
        "/account/progress",
        "Read your own progress across your groups, as figures or as a picture",
        read_own_progress,
    )
    .asks::<ProgressAsked>()
    .gives::<OwnProgress>()
    .also_as(SVG)
    .also(422);
    api.get::<act::ReadProgress, _, _>(
        "/groups/{group}/members/{member}/progress",
        "Read one member's progress in this group, as figures or as a picture",
        read_member_progress,
    )
    .asks::<ProgressAsked>()
    .gives::<MemberProgress>()
    .also_as(SVG)
    .also(422);
    api.get::<act::ReadGroupProgress, _, _>(
        "/groups/{group}/progress",
        "Read the progress of a group's members, as figures or beside each other in a picture",
        read_group_progress,
    )
    .asks::<ProgressAsked>()
    .gives::<GroupProgress>()
    .also_as(SVG)
    .also(422);
}

async fn read_own_progress(db: Data<Db>, caller: Caller, asked: Query<ProgressAsked>, request: HttpRequest) -> Answer {
    let wants_picture = wants_picture(&request);
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let home = accounts::find_home(connection, &permit)?;
        let looked = Looked::at(&asked, connection.now, &home.language, home.zone)?;
        let reached = reach_own(connection, &permit)?;
        let rows = Rows::read(connection, &reached, &looked)?;
        let figures = rows.figures(reached.memberships(), &looked);
        let own = members::list_own_ids(connection, &permit)?;
        let mut check_ins = check_ins::list_own(connection, &permit, &own, looked.window.since)?;
        check_ins.retain(|check_in| check_in.recorded_at < looked.window.until);
        let said: Vec<(Day, Said)> =
            check_ins.iter().map(|check_in| (check_in.local_day, check_in.said.clone())).collect();
        let by = if looked.days() > BY_WEEK { By::Month } else { By::Week };
        let periods = trend(&said, by);
        if wants_picture {
            let titles = reached.memberships().iter().map(|own| (own.group, own.group_title.clone())).collect();
            return Ok(figures.picture(&looked, None, true, &periods, &titles));
        }
        let shown = |at: Moment| looked.window.holds(at);
        Reply::ok(&OwnProgress {
            figures: figures.shown(&looked),
            frame: looked.frame(),
            check_in_trend: OwnTrend { by, periods },
            measures: rows.measures.into_iter().filter(|kept| shown(kept.taken_at)).map(Into::into).collect(),
            attendances: rows.attendances.into_iter().filter(|kept| shown(kept.starts_at)).map(Into::into).collect(),
            check_ins: check_ins.into_iter().map(Into::into).collect(),
        })
    })
    .await
}

async fn read_member_progress(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    asked: Query<ProgressAsked>,
    request: HttpRequest,
) -> Answer {
    let (group, member) = path.into_inner();
    let wants_picture = wants_picture(&request);
    db.read(move |connection| {
        let permit = authorize::<act::ReadProgress>(connection, &caller, group)?;
        let reached = reach_member(connection, &permit, member)?;
        let home = accounts::find_home(connection, &permit)?;
        // A member's own days are theirs; those of whoever leads are the group's.
        let zone = if permit.is_about_oneself() { home.zone } else { permit.zone().to_owned() };
        let looked = Looked::at(&asked, connection.now, &home.language, zone)?;
        let figures = Rows::read(connection, &reached, &looked)?.figures(reached.memberships(), &looked);
        let Membership { name, consents, .. } = reached.memberships().first().cloned().ok_or(Problem::NotFound)?;
        if wants_picture {
            let is_own = permit.is_about_oneself();
            let shown = (!is_own).then_some(name.as_str());
            return Ok(figures.picture(&looked, shown, is_own || consents, &[], &HashMap::new()));
        }
        let (figures, frame) = (figures.shown(&looked), looked.frame());
        Reply::ok(&MemberProgress { group, member, name, consents, figures, frame })
    })
    .await
}

async fn read_group_progress(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<ProgressAsked>,
    request: HttpRequest,
) -> Answer {
    let group = path.into_inner();
    let wants_picture = wants_picture(&request);
    db.read(move |connection| {
        let permit = authorize::<act::ReadGroupProgress>(connection, &caller, group)?;
        let home = accounts::find_home(connection, &permit)?;
        let looked = Looked::at(&asked, connection.now, &home.language, permit.zone().to_owned())?;
        let reached = reach_group(connection, &permit, looked.window)?;
        let rows = Rows::read(connection, &reached, &looked)?;
        let of_each: Vec<(&Membership, Figures)> = reached
            .memberships()
            .iter()
            .map(|membership| (membership, rows.figures(std::slice::from_ref(membership), &looked)))
            .collect();
        if wants_picture {
            let panels: Vec<charts::Panel> = of_each
                .iter()
                .map(|(membership, figures)| charts::Panel {
                    name: &membership.name,
                    has_left: membership.has_left,
                    consents: membership.consents,
                    series: &figures.series,
                })
                .collect();
            let group_title = groups::find(connection, &permit)?.settings.title;
            return Ok(picture(charts::of_group(looked.drawn(), &group_title, &panels)));
        }
        let members = of_each.into_iter().map(|(membership, figures)| PersonProgress {
            member: membership.member,
            name: membership.name.clone(),
            has_left: membership.has_left,
            consents: membership.consents,
            figures: figures.shown(&looked),
        });
        Reply::ok(&GroupProgress { group, members: members.collect(), frame: looked.frame() })
    })
    .await
}

/// Whether the client wants the picture more than the figures.
fn wants_picture(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    weight(accept, SVG) > weight(accept, "application/json")
}

/// Without a name for a file: what a browser makes of the path tells no more than the path.
fn picture(text: String) -> Reply {
    Reply::text("image/svg+xml; charset=utf-8", text)
}

/// What was asked for, completed.
struct Looked {
    language: Language,
    zone: String,
    window: Window,
    instrument: Option<String>,
    /// The end as it is shown: an open one is now.
    until: Moment,
}

impl Looked {
    fn at(asked: &ProgressAsked, now: Moment, language: &str, zone: String) -> Result<Looked, Problem> {
        if asked.since.is_some_and(|since| since > now) {
            return Err(Problem::field("since", "lies in the future"));
        }
        // A session that began early has a start that is still to come: an open end is none.
        let until = asked.until.filter(|until| *until <= now);
        let shown_until = until.unwrap_or(Moment(now.0 + 1));
        let until = until.unwrap_or(Moment::FAR);
        let since = asked.since.unwrap_or(shown_until.plus_days(-366));
        if until <= since {
            return Err(Problem::field("until", "does not lie after since"));
        }
        let instrument = asked.instrument.as_ref().map(ToString::to_string);
        if instrument.as_ref().is_some_and(|id| Registry::built_in().current(id).is_none()) {
            return Err(Problem::field("instrument", "is not in the registry: GET /v1/instruments"));
        }
        Ok(Looked {
            language: Language::of(language),
            zone,
            window: Window { since, until },
            instrument,
            until: shown_until.max(Moment(since.0 + 1)),
        })
    }

    fn days(&self) -> i64 {
        self.until.minutes_since(self.window.since) / (24 * 60)
    }

    fn frame(&self) -> ProgressFrame {
        let Looked { language, zone, window, until, .. } = self;
        let (from_on, until_on) = (self.day(window.since), self.day(Moment(until.0 - 1)));
        ProgressFrame { language: *language, zone: zone.clone(), from_on, until_on }
    }

    fn drawn(&self) -> Frame<'_> {
        Frame { language: self.language, zone: &self.zone, since: self.window.since, until: self.until }
    }

    fn day(&self, at: Moment) -> Day {
        at.day_in(&self.zone)
    }
}

/// Everything that was read of those whom the permit reaches.
struct Rows {
    measures: Vec<Measure>,
    attendances: Vec<KeptAttendance>,
    held: Vec<progress::Held>,
    active: HashMap<Id, Vec<(Moment, Option<Moment>)>>,
    delivered: Vec<Delivery>,
}

impl Rows {
    fn read<A: Act>(connection: &mut Connection, reached: &Reached<A>, looked: &Looked) -> Result<Rows, Problem> {
        let until = looked.window.until;
        let held = reached.list_held(connection, until)?;
        let sessions: Vec<Id> =
            held.iter().filter(|held| looked.window.holds(held.starts_at)).map(|held| held.session).collect();
        Ok(Rows {
            measures: reached.list_measures(connection, looked.instrument.as_deref(), until)?,
            attendances: reached.list_attendances(connection, until)?,
            held,
            active: reached.list_active_intervals(connection)?,
            delivered: reached.list_deliveries(connection, &sessions)?,
        })
    }

    /// The figures of one person, who may have several memberships.
    fn figures(&self, memberships: &[Membership], looked: &Looked) -> Figures {
        let is_theirs = |member: Id| memberships.iter().any(|membership| membership.member == member);
        let taken: Vec<Taken> =
            self.measures.iter().filter(|kept| is_theirs(kept.member_id)).map(Taken::from).collect();
        let attendance: Vec<(Kind, Attendance)> = memberships
            .iter()
            .map(|membership| {
                let recorded: Vec<Recorded> = self
                    .attendances
                    .iter()
                    .filter(|kept| kept.member_id == membership.member)
                    .map(|kept| Recorded { session: kept.session_id, status: kept.status, minutes: kept.minutes })
                    .collect();
                let active = self.active.get(&membership.member).map(Vec::as_slice).unwrap_or_default();
                let counts_heads = membership.kind == Kind::PeerLed;
                let places = progress::attendance(membership.group, &self.held, &recorded, active, counts_heads);
                (membership.kind, places)
            })
            .collect();
        // What is measured is what therapy does: a peer-led meeting long before it is not its first session.
        let led = attendance.iter().filter(|(kind, _)| *kind == Kind::TherapistLed).map(|(_, places)| places.clone());
        let first_session_until = progress::first_session_until(&led.collect::<Vec<_>>());
        let attendance: Vec<Attendance> = attendance.into_iter().map(|(_, places)| places).collect();
        let attendance = progress::within(&attendance, looked.window);
        let mut delivered: HashMap<Id, Vec<Item>> = HashMap::new();
        for Delivery { session, technique, delivered: how, minutes } in &self.delivered {
            let item = Item { technique, delivered: *how, minutes: *minutes };
            delivered.entry(*session).or_default().push(item);
        }
        let dose = progress::dose(&attendance, &delivered);
        let mut doses: Vec<(String, i64)> =
            dose.minutes().map(|(technique, minutes)| (technique.to_owned(), minutes)).collect();
        doses.sort_by_key(|(_, minutes)| std::cmp::Reverse(*minutes));
        let peers = memberships.iter().filter(|membership| membership.kind == Kind::PeerLed);
        Figures {
            series: progress::series(Registry::built_in(), &taken, first_session_until, looked.window),
            heads_only: peers.map(|membership| membership.group).collect(),
            attendance,
            doses,
        }
    }
}

/// The figures of one person, of which both the answer and the picture are made.
struct Figures {
    series: Vec<Series<'static>>,
    attendance: Vec<Attendance>,
    /// Groups that may leave out who was there.
    heads_only: Vec<Id>,
    /// Technique and minutes, most first.
    doses: Vec<(String, i64)>,
}

fn title_of(technique: &str) -> &str {
    techniques::find(technique).map_or(technique, |technique| &technique.title)
}

impl Figures {
    fn picture(
        &self,
        looked: &Looked,
        name: Option<&str>,
        uses_answers: bool,
        check_ins: &[TrendPeriod],
        group_titles: &HashMap<Id, String>,
    ) -> Reply {
        let doses: Vec<(&str, i64)> =
            self.doses.iter().map(|(technique, minutes)| (title_of(technique), *minutes)).collect();
        picture(charts::of_member(&charts::Member {
            frame: looked.drawn(),
            name,
            uses_answers,
            series: &self.series,
            attendance: &self.attendance,
            heads_only: &self.heads_only,
            doses: &doses,
            check_ins,
            group_titles,
        }))
    }

    fn shown(&self, looked: &Looked) -> ProgressFigures {
        let attendance = self.attendance.iter().map(|attendance| {
            let is_whole = !self.heads_only.contains(&attendance.group);
            ProgressAttendance {
                group: attendance.group,
                held: is_whole.then_some(attendance.places.len()),
                attended: attendance.attended(),
                excused: attendance.count(|status| status == Status::Excused),
                no_show: attendance.count(|status| status == Status::NoShow),
                unrecorded: attendance.unrecorded(),
                minutes: attendance.minutes(),
            }
        });
        let doses = self.doses.iter().map(|(technique, minutes)| ProgressDose {
            technique: technique.clone(),
            title: title_of(technique).to_owned(),
            minutes: *minutes,
        });
        ProgressFigures {
            series: self.series.iter().map(|series| shown_series(series, looked)).collect(),
            attendance: attendance.collect(),
            doses: doses.collect(),
        }
    }
}

fn points(thousandths: i32) -> f64 {
    f64::from(thousandths) / 1000.0
}

fn shown_series(series: &Series, looked: &Looked) -> ProgressSeries {
    let language = looked.language;
    let bands = series.bands.iter().map(|band| ProgressBand {
        band: band.id.clone(),
        label: language.band(band).to_owned(),
        from: points(band.from.thousandths()),
        to: points(band.to.thousandths()),
    });
    let shown = series.points.iter().map(|shown| ProgressPoint {
        measure: shown.point.administration,
        group: shown.group,
        taken_at: shown.point.taken_at,
        day: looked.day(shown.point.taken_at),
        score: points(shown.point.score),
        band: shown.band.map(|band| band.id.clone()),
        share_of_range: shown.point.share.map(points),
        gain: shown.point.gain.map(points),
        prorated: shown.prorated,
        is_repeat: shown.point.is_repeat,
    });
    let gaps = series.gaps.iter().map(|gap| ProgressGap {
        measure: gap.administration,
        group: gap.group,
        taken_at: gap.taken_at,
        day: looked.day(gap.taken_at),
        reason: language.no_point(&gap.why),
    });
    ProgressSeries {
        instrument: series.instrument.id.clone(),
        instrument_version: series.instrument.version.clone(),
        subscale: series.subscale.map(|subscale| subscale.id.clone()),
        title: series.title(),
        up: match series.scale.direction {
            Direction::HigherIsWorse => Up::Worse,
            Direction::HigherIsBetter => Up::Better,
        },
        direction: language.direction(series.scale.direction).to_owned(),
        min: points(series.scale.min),
        max: points(series.scale.max),
        recall_days: series.scale.recall_days,
        bands: bands.collect(),
        band_source: series.band_source.map(str::to_owned),
        points: shown.collect(),
        gaps: gaps.collect(),
        baseline: series.baseline.map(|(point, rule)| ProgressBaseline {
            measure: point.administration,
            taken_at: point.taken_at,
            day: looked.day(point.taken_at),
            score: points(point.score),
            rule,
            in_words: language.baseline(rule).to_owned(),
        }),
        change: shown_change(series, language),
    }
}

fn shown_change(series: &Series, language: Language) -> ProgressChange {
    let change = &series.change;
    let ends = change.ends.ok();
    let (first, last) = ends.map_or((0, 0), |(first, last)| (first.score, last.score));
    let states = change.states.iter().map(|(set, state)| ProgressState {
        state: State::WORDS[state.index()],
        because: match state {
            State::NotComputable(why) => Some(*why),
            _ => None,
        },
        in_words: language.state(*state, first, last),
        set: set.id.to_owned(),
        reliable_from: points(set.reliable_from),
        sample: set.sample.to_owned(),
        source: set.source.to_owned(),
    });
    let judgements = change.judgements.iter().map(|judgement| ChangeJudgement {
        kind: judgement.kind,
        finding: judgement.finding,
        in_words: format!("{}: {}.", language.question(judgement.kind), language.finding(judgement.finding)),
        set: judgement.set.to_owned(),
        sample: judgement.sample.to_owned(),
        source: judgement.source.to_owned(),
    });
    ProgressChange {
        first: ends.map(|(first, _)| points(first.score)),
        last: ends.map(|(_, last)| points(last.score)),
        gain: ends.and_then(|(_, last)| last.gain).map(points),
        states: states.collect(),
        not_judged: change.why_none().map(|because| NotJudged { because, in_words: language.why(because).to_owned() }),
        judgements: judgements.collect(),
    }
}
