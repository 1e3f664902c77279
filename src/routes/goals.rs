//! Goals that a member and a therapist agree on and rate, and homework.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    agreements::OfMember,
    amendments::AmendmentMark,
    command::{Answer, Command, Paging, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::act,
    problem::Problem,
    rules::amendments::RecordKind,
    rules::goals::{
        NoSummary, Outcome, Said, Scaled, Side, State, check_agreement, check_belongs, check_consent, check_open,
        check_rated_at, check_rater, counts, ended_at, side_of, summary,
    },
    store::{
        agreements,
        connection::{Connection, Db},
        goals::{
            self, Content, Given, Goal as Kept, Level, OnGoals, PastRating, PastReport, Rating, Reached, Report,
            WantedHomework, Weighed, Wording,
        },
        members::{self, Member},
        permit::{Permit, authorize},
    },
    values::{Day, Id, Moment, Sentence, Whole},
};

/// How much a goal weighs beside the others: 1 to 9, as importance (1 to 3) times difficulty (1 to 3) gives it
/// (Turner-Stokes 2009), or simply 1 for each.
type Weight = Whole<1, 9>;

/// -2 much less than expected, -1 less, 0 as expected, 1 more, 2 much more than expected.
type AttainedLevel = Whole<-2, 2>;

/// What each level means for this goal; each may be left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GoalLevels {
    /// -2
    pub much_less: Option<Sentence>,
    /// -1
    pub less: Option<Sentence>,
    /// 0
    pub expected: Option<Sentence>,
    /// 1
    pub more: Option<Sentence>,
    /// 2
    pub much_more: Option<Sentence>,
}

/// What each level means for this goal, where it was said.
#[derive(Debug, Serialize, ToSchema)]
pub struct LevelTexts {
    /// -2
    pub much_less: Option<String>,
    /// -1
    pub less: Option<String>,
    /// 0
    pub expected: Option<String>,
    /// 1
    pub more: Option<String>,
    /// 2
    pub much_more: Option<String>,
}

/// One wording of a goal, with who stands behind it.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoalWording {
    /// 1 for the first one.
    pub number: i32,
    pub text: String,
    pub levels: LevelTexts,
    pub weight: i32,
    /// The account that wrote it, and so agreed to it.
    pub written_by: Id,
    pub written_as: Side,
    pub written_at: Moment,
    pub member_agreed_at: Option<Moment>,
    pub clinician_agreed_at: Option<Moment>,
    /// The account of the therapist who agreed.
    pub clinician_agreed_by: Option<Id>,
}

/// How a goal ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoalEnding {
    pub outcome: Outcome,
    pub words: Option<String>,
    pub ended_by: Id,
    pub ended_as: Side,
    pub ended_at: Moment,
}

/// A goal of one member, in the wording that stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Goal {
    pub id: Id,
    pub member: Id,
    /// `live` once a therapist and the member agreed to the wording that stands.
    pub state: State,
    pub proposed_by: Id,
    pub proposed_as: Side,
    pub proposed_at: Moment,
    pub wording: GoalWording,
    pub ending: Option<GoalEnding>,
}

/// A goal with its history.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoalHistory {
    #[serde(flatten)]
    pub goal: Goal,
    /// Wordings that it had before, oldest first.
    pub earlier_wordings: Vec<GoalWording>,
    /// What the member asked to have corrected in it, oldest first.
    pub amendments: Vec<AmendmentMark>,
}

/// A new goal. Whoever writes it agrees to it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeGoal {
    /// Oneself when not said, for a member.
    pub member: Option<Id>,
    pub text: Sentence,
    #[serde(default)]
    pub levels: GoalLevels,
    /// 1 when not said.
    #[serde(default = "one")]
    #[schema(default = 1)]
    pub weight: Weight,
}

/// Another wording of a goal: all of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RewordGoal {
    pub text: Sentence,
    #[serde(default)]
    pub levels: GoalLevels,
    /// 1 when not said.
    #[serde(default = "one")]
    #[schema(default = 1)]
    pub weight: Weight,
}

fn one() -> Weight {
    Weight::new(1).expect("1 is a weight")
}

/// To which wording you agree: the one that you read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreeGoal {
    pub wording: i32,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndGoal {
    pub outcome: Outcome,
    pub words: Option<Sentence>,
}

/// How far a goal was attained, as you see it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateGoal {
    pub level: AttainedLevel,
    /// When it was so; now when not said.
    pub rated_at: Option<Moment>,
    pub words: Option<Sentence>,
}

/// A corrected rating, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectRating {
    pub level: AttainedLevel,
    pub rated_at: Moment,
    pub words: Option<Sentence>,
    /// Hidden from the summary, and kept.
    #[serde(default)]
    pub entered_in_error: bool,
    pub reason: Sentence,
}

/// A rating of a goal. What the member and what a clinician says are kept apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoalRating {
    pub id: Id,
    pub goal: Id,
    pub member: Id,
    /// The number of the wording that was rated.
    pub wording: i32,
    pub rated_as: Side,
    #[serde(flatten)]
    pub said: RatingVersion,
    /// Versions that it had before, oldest first.
    pub earlier_versions: Vec<RatingVersion>,
}

/// What one version of a rating says.
#[derive(Debug, Serialize, ToSchema)]
pub struct RatingVersion {
    pub version: i32,
    /// -2 much less than expected to 2 much more than expected.
    pub level: i32,
    /// When it was so.
    pub rated_at: Moment,
    pub words: Option<String>,
    pub entered_in_error: bool,
    pub recorded_by: Id,
    /// When it was written down.
    pub recorded_at: Moment,
    /// Why this version was made.
    pub reason: Option<String>,
}

/// How far a member's goals were attained, as each side sees it: never mixed.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoalAttainment {
    pub member: Id,
    pub by_member: AttainmentSummary,
    pub by_clinician: AttainmentSummary,
    /// Where the formula comes from.
    pub source: String,
}

/// The last rating of each goal, summed up.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttainmentSummary {
    /// 50 when all goals were attained as expected; 10 is one standard deviation. Of the goals that were rated: one
    /// that was not is left out, and never counted as 0.
    pub t_score: Option<f64>,
    pub no_score: Option<NoSummary>,
    /// How many goals both sides agreed to, those that have ended included.
    pub agreed: usize,
    /// How many of them this side rated in the wording that stands.
    pub rated: usize,
    /// Those goals, oldest first.
    pub goals: Vec<AttainedGoal>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AttainedGoal {
    pub goal: Id,
    pub weight: i32,
    pub outcome: Option<Outcome>,
    /// The last one of this side; null while it gave none.
    pub level: Option<i32>,
    pub rated_at: Option<Moment>,
}

const SOURCE: &str = "Goal attainment T score: Kiresuk and Sherman 1968, Community Mental Health Journal 4: 443–453; \
                      intercorrelation assumed to be 0.3.";

/// Homework, with what was said of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Homework {
    /// Of the agenda item, where a session gave it.
    pub id: Id,
    /// The session that gave it to all who were expected; null when it was set for one member.
    pub session: Option<Id>,
    pub text: String,
    /// The session's start, or when it was set.
    pub set_at: Moment,
    /// Who set it for one member.
    pub set_by: Option<Id>,
    pub due_on: Option<Day>,
    /// When it was taken back; members do not see it any more.
    pub withdrawn_at: Option<Moment>,
    pub withdrawn_reason: Option<String>,
    /// Those to whom it was given, whether they came or not. A member sees themselves alone.
    pub given: Vec<GivenHomework>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct GivenHomework {
    pub member: Id,
    /// Null while nobody asked and nobody said anything.
    pub report: Option<HomeworkReport>,
}

/// What became of homework for one member.
#[derive(Debug, Serialize, ToSchema)]
pub struct HomeworkReport {
    #[serde(flatten)]
    pub said: ReportVersion,
    /// Versions that it had before, oldest first; only where one piece of homework is read.
    pub earlier_versions: Vec<ReportVersion>,
}

/// What one version of a report says.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportVersion {
    pub version: i32,
    pub said: Said,
    pub words: Option<String>,
    pub reported_as: Side,
    pub recorded_by: Id,
    pub recorded_at: Moment,
}

/// Homework for one member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetHomework {
    pub member: Id,
    pub text: Sentence,
    pub due_on: Option<Day>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawHomework {
    pub reason: Sentence,
}

/// What became of homework.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportHomework {
    /// Of whom it is said; oneself when not said, for a member, and the one member for whom it was set.
    pub member: Option<Id>,
    pub said: Said,
    pub words: Option<Sentence>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct WhichHomework {
    /// Only this member's.
    member: Option<Id>,
    /// Only what this session gave.
    session: Option<Id>,
}

pub fn register(api: &mut Api) {
    const GOALS: &str = "/groups/{group}/goals";
    const GOAL: &str = "/groups/{group}/goals/{goal}";
    const RATING: &str = "/groups/{group}/goal-ratings/{rating}";
    const HOMEWORK: &str = "/groups/{group}/homework";
    let wording = json!({
        "text": "Leave the house by myself three times a week.",
        "levels": {"much_less": "Not at all", "less": "Once", "expected": "Three times", "more": "Every day"},
        "weight": 4
    });
    api.heading("Goals");
    api.post::<act::AgreeGoal, _, _>(GOALS, "Propose a goal", propose_goal)
        .takes::<ProposeGoal>(wording.clone())
        .creates::<GoalHistory>();
    api.get::<act::ReadGoals, _, _>(GOALS, "List goals, newest first", list_goals).asks::<OfMember>().lists::<Goal>();
    api.get::<act::ReadGoals, _, _>(GOAL, "Read a goal with its wordings", read_goal).gives::<GoalHistory>();
    api.put::<act::AgreeGoal, _, _>(GOAL, "Reword a goal, which then needs agreement anew", reword_goal)
        .takes::<RewordGoal>(wording)
        .gives::<GoalHistory>()
        .changes();
    api.post::<act::AgreeGoal, _, _>(
        "/groups/{group}/goals/{goal}/agreement",
        "Agree to the wording of a goal",
        agree_goal,
    )
    .takes::<AgreeGoal>(json!({"wording": 1}))
    .gives::<GoalHistory>()
    .makes_nothing();
    api.post::<act::AgreeGoal, _, _>("/groups/{group}/goals/{goal}/ending", "End a goal with an outcome", end_goal)
        .takes::<EndGoal>(json!({"outcome": "attained", "words": "Went to the market alone, four weeks in a row."}))
        .gives::<GoalHistory>()
        .changes()
        .makes_nothing();
    api.post::<act::RateGoal, _, _>("/groups/{group}/goals/{goal}/ratings", "Rate a goal", rate_goal)
        .takes::<RateGoal>(json!({"level": 1, "words": "Four times this week."}))
        .creates::<GoalRating>();
    api.get::<act::ReadGoals, _, _>(
        "/groups/{group}/goals/{goal}/ratings",
        "List the ratings of a goal, newest first",
        list_goal_ratings,
    )
    .lists::<GoalRating>();
    api.get::<act::ReadGoals, _, _>(RATING, "Read a rating with its versions", read_goal_rating).gives::<GoalRating>();
    api.put::<act::RateGoal, _, _>(RATING, "Correct a rating of one's own side", correct_goal_rating)
        .takes::<CorrectRating>(json!({
            "level": 0, "rated_at": "2026-11-17T00:30:00Z", "words": "Three times.", "reason": "Counted one walk twice."
        }))
        .gives::<GoalRating>()
        .changes();
    api.get::<act::ReadGoals, _, _>(
        "/groups/{group}/members/{member}/goal-attainment",
        "Sum up a member's goals, as each side rated them",
        read_goal_attainment,
    )
    .gives::<GoalAttainment>();
    api.heading("Homework");
    api.post::<act::SetHomework, _, _>(HOMEWORK, "Set homework for one member", set_homework)
        .takes::<SetHomework>(json!({
            "member": "0198c5f0-0000-7000-8000-000000000000", "text": "One walk before noon.", "due_on": "2026-12-01"
        }))
        .creates::<Homework>();
    api.get::<act::ReadGoals, _, _>(HOMEWORK, "List homework, newest first", list_homework)
        .asks::<WhichHomework>()
        .lists::<Homework>();
    api.get::<act::ReadGoals, _, _>(
        "/groups/{group}/homework/{homework}",
        "Read homework with what was said of it",
        read_homework,
    )
    .asks::<OfMember>()
    .gives::<Homework>();
    api.put::<act::ReportHomework, _, _>(
        "/groups/{group}/homework/{homework}/report",
        "Say what became of homework (without If-Match the first time)",
        report_homework,
    )
    .takes::<ReportHomework>(json!({"said": "partly", "words": "Two of three."}))
    .gives::<Homework>()
    .changes();
    api.post::<act::SetHomework, _, _>(
        "/groups/{group}/homework/{homework}/withdrawal",
        "Take homework for one member back",
        withdraw_homework,
    )
    .takes::<WithdrawHomework>(json!({"reason": "Set for the wrong member."}))
    .gives::<Homework>()
    .makes_nothing();
}

fn content(text: Sentence, levels: GoalLevels) -> Content {
    let GoalLevels { much_less, less, expected, more, much_more } = levels;
    let levels = [much_less, less, expected, more, much_more];
    Content { text: text.into_string(), levels: levels.map(|level| level.map(Sentence::into_string)) }
}

fn shown_wording(wording: Wording) -> GoalWording {
    let [much_less, less, expected, more, much_more] = wording.content.levels;
    GoalWording {
        number: wording.number,
        text: wording.content.text,
        levels: LevelTexts { much_less, less, expected, more, much_more },
        weight: wording.weight,
        written_by: wording.written_by,
        written_as: wording.written_as,
        written_at: wording.written_at,
        member_agreed_at: wording.agreement.member_at,
        clinician_agreed_at: wording.agreement.clinician_at,
        clinician_agreed_by: wording.clinician_agreed_by,
    }
}

impl From<Kept> for Goal {
    fn from(kept: Kept) -> Goal {
        Goal {
            id: kept.id,
            member: kept.member,
            state: kept.state(),
            proposed_by: kept.proposed_by,
            proposed_as: kept.proposed_as,
            proposed_at: kept.proposed_at,
            wording: shown_wording(kept.wording),
            ending: kept.ending.map(|ending| GoalEnding {
                outcome: ending.outcome,
                words: ending.words,
                ended_by: ending.by,
                ended_as: ending.side,
                ended_at: ending.at,
            }),
        }
    }
}

/// The goal as it stands now, with its version.
fn shown<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<(GoalHistory, i32), Problem> {
    let kept = goals::find(connection, permit, id)?;
    let (stands, version) = (kept.wording.number, kept.version);
    let wordings = goals::list_wordings(connection, permit, &kept)?;
    let earlier = wordings.into_iter().filter(|wording| wording.number < stands);
    let earlier_wordings = earlier.map(shown_wording).collect();
    let amendments = AmendmentMark::of(connection, permit, RecordKind::Goal, id)?;
    Ok((GoalHistory { earlier_wordings, amendments, goal: kept.into() }, version))
}

fn answer<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Answer {
    let (goal, version) = shown(connection, permit, id)?;
    Ok(Reply::ok(&goal)?.version(version))
}

/// The member whom a request names, or oneself.
fn whose<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, named: Option<Id>) -> Result<Member, Problem> {
    let Some(member) = named.or(permit.only_member()?) else {
        return Err(Problem::field("/member", "is missing: whose is it"));
    };
    match members::find(connection, permit, member) {
        Err(Problem::NotFound) => Err(Problem::field("/member", "is no member of this group")),
        found => found,
    }
}

/// Refuses whatever is new about a member without live consent, or whose membership is over.
fn check_takes<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, member: &Member) -> Result<(), Problem> {
    check_belongs(member.state)?;
    check_consents(connection, permit, member.id)
}

fn check_consents<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, member: Id) -> Result<(), Problem> {
    let consenting = agreements::list_consenting(connection, permit, &[member])?;
    Ok(check_consent(consenting.contains(&member))?)
}

async fn propose_goal(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<ProposeGoal>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AgreeGoal>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let member = whose(connection, &permit, request.member)?;
            check_takes(connection, &permit, &member)?;
            let content = content(request.text, request.levels);
            let id = goals::insert(connection, &permit, member.id, &content, request.weight.get())?;
            let (goal, version) = shown(connection, &permit, id)?;
            Ok(Reply::created(format!("/groups/{group}/goals/{id}"), &goal)?.version(version))
        })
    })
    .await
}

async fn list_goals(db: Data<Db>, caller: Caller, path: Path<Id>, asked: Query<OfMember>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, before) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadGoals>(connection, &caller, group)?;
        let rows = goals::list(connection, &permit, asked.member, before, limit + 1)?;
        Reply::page(rows.into_iter().map(Goal::from).collect(), &paging, |goal| goal.id)
    })
    .await
}

async fn read_goal(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadGoals>(connection, &caller, group)?;
        answer(connection, &permit, id)
    })
    .await
}

async fn reword_goal(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<RewordGoal>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AgreeGoal>(connection, &caller, group)?;
        let goal = goals::find(connection, &permit, id)?;
        command.expects(goal.version)?;
        let request = command.body()?;
        check_open(goal.state())?;
        let member = members::find(connection, &permit, goal.member)?;
        check_takes(connection, &permit, &member)?;
        let content = content(request.text, request.levels);
        // The same words again are no other wording, and take nobody's agreement away.
        if content != goal.wording.content || request.weight.get() != goal.wording.weight {
            goals::update(connection, &permit, &goal, &content, request.weight.get())?;
        }
        answer(connection, &permit, id)
    })
    .await
}

async fn agree_goal(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<AgreeGoal>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AgreeGoal>(connection, &caller, group)?;
        let goal = goals::find(connection, &permit, id)?;
        let request = command.body()?;
        check_agreement(goal.state(), goal.wording.number, request.wording)?;
        let member = members::find(connection, &permit, goal.member)?;
        check_takes(connection, &permit, &member)?;
        let side = side_of(permit.own_member(), goal.member);
        if goal.wording.agreement.of(side).is_none() {
            goals::update_agreement(connection, &permit, &goal, side)?;
        }
        answer(connection, &permit, id)
    })
    .await
}

/// A goal can be ended whatever became of consent and membership: nothing is left hanging in the air.
async fn end_goal(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<EndGoal>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AgreeGoal>(connection, &caller, group)?;
        let goal = goals::find(connection, &permit, id)?;
        command.expects(goal.version)?;
        let request = command.body()?;
        check_open(goal.state())?;
        let words = request.words.as_ref().map(Sentence::as_str);
        goals::update_ending(connection, &permit, &goal, request.outcome, words)?;
        answer(connection, &permit, id)
    })
    .await
}

// Ratings.

fn shown_rating(rating: Rating, earlier: Vec<PastRating>) -> GoalRating {
    let version = |version, said: Level, recorded_by, recorded_at, reason| RatingVersion {
        version,
        level: said.level,
        rated_at: said.rated_at,
        words: said.words,
        entered_in_error: said.entered_in_error,
        recorded_by,
        recorded_at,
        reason,
    };
    GoalRating {
        id: rating.id,
        goal: rating.goal,
        member: rating.member,
        wording: rating.wording,
        rated_as: rating.rated_as,
        said: version(rating.version, rating.said, rating.recorded_by, rating.recorded_at, rating.reason),
        earlier_versions: earlier
            .into_iter()
            .map(|past| version(past.version, past.said, past.recorded_by, past.recorded_at, past.reason))
            .collect(),
    }
}

async fn rate_goal(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<RateGoal>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::RateGoal>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let goal = goals::find(connection, &permit, id)?;
            check_open(goal.state())?;
            let member = members::find(connection, &permit, goal.member)?;
            check_consents(connection, &permit, member.id)?;
            let now = connection.now;
            let rated_at = request.rated_at.unwrap_or(now);
            let over = ended_at(member.state, member.state_from);
            check_rated_at(goal.wording.agreement, rated_at, over, now)?;
            let words = request.words.map(Sentence::into_string);
            let said = Level { level: request.level.get(), rated_at, words, entered_in_error: false };
            let rating = goals::insert_rating(connection, &permit, &goal, &said)?;
            let (place, version) = (format!("/groups/{group}/goal-ratings/{}", rating.id), rating.version);
            Ok(Reply::created(place, &shown_rating(rating, Vec::new()))?.version(version))
        })
    })
    .await
}

async fn list_goal_ratings(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, paging: Paging) -> Answer {
    let (group, id) = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadGoals>(connection, &caller, group)?;
        let goal = goals::find(connection, &permit, id)?;
        let ratings = goals::list_ratings(connection, &permit, &goal, after, limit + 1)?;
        let mut past = goals::list_past_ratings(connection, &permit, &ratings)?;
        let shown = ratings
            .into_iter()
            .map(|rating| {
                let earlier = past.remove(&rating.id).unwrap_or_default();
                shown_rating(rating, earlier)
            })
            .collect();
        Reply::page(shown, &paging, |rating: &GoalRating| (rating.said.rated_at, rating.id))
    })
    .await
}

/// The rating as it stands now, with its version.
fn answer_rating<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Answer {
    let rating = goals::find_rating(connection, permit, id)?;
    let earlier = goals::list_past_ratings(connection, permit, std::slice::from_ref(&rating))?.remove(&id);
    let version = rating.version;
    Ok(Reply::ok(&shown_rating(rating, earlier.unwrap_or_default()))?.version(version))
}

async fn read_goal_rating(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadGoals>(connection, &caller, group)?;
        answer_rating(connection, &permit, id)
    })
    .await
}

async fn correct_goal_rating(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<CorrectRating>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::RateGoal>(connection, &caller, group)?;
        let kept = goals::find_rating(connection, &permit, id)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        check_rater(kept.rated_as, side_of(permit.own_member(), kept.member))?;
        let goal = goals::find(connection, &permit, kept.goal)?;
        let member = members::find(connection, &permit, kept.member)?;
        let wordings = goals::list_wordings(connection, &permit, &goal)?;
        let rated = wordings.into_iter().find(|wording| wording.number == kept.wording);
        let agreement = rated.map(|wording| wording.agreement).unwrap_or_default();
        let over = ended_at(member.state, member.state_from);
        check_rated_at(agreement, request.rated_at, over, connection.now)?;
        let said = Level {
            level: request.level.get(),
            rated_at: request.rated_at,
            words: request.words.map(Sentence::into_string),
            entered_in_error: request.entered_in_error,
        };
        goals::update_rating(connection, &permit, &kept, &said, request.reason.as_str())?;
        answer_rating(connection, &permit, id)
    })
    .await
}

async fn read_goal_attainment(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, member) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadGoals>(connection, &caller, group)?;
        members::find(connection, &permit, member)?;
        let weighed = goals::list_weighed(connection, &permit, member)?;
        let reached = goals::list_reached(connection, &permit, member)?;
        Reply::ok(&GoalAttainment {
            member,
            by_member: summed(&weighed, &reached, Side::Member),
            by_clinician: summed(&weighed, &reached, Side::Clinician),
            source: SOURCE.into(),
        })
    })
    .await
}

/// What one side's ratings of the wordings that stand come to.
fn summed(weighed: &[Weighed], reached: &[Reached], side: Side) -> AttainmentSummary {
    // In the order of the events: the last one stays.
    let last: HashMap<(Id, i32), &Reached> = reached
        .iter()
        .filter(|reached| reached.side == side)
        .map(|reached| ((reached.goal, reached.wording), reached))
        .collect();
    let of = |goal: &Weighed| last.get(&(goal.id, goal.wording)).copied();
    let scaled: Vec<Scaled> = weighed
        .iter()
        .map(|goal| Scaled {
            weight: goal.weight,
            agreement: goal.agreement,
            outcome: goal.outcome,
            level: of(goal).map(|reached| reached.level),
        })
        .collect();
    let summary = summary(&scaled);
    AttainmentSummary {
        t_score: summary.t_score.map(|points| f64::from(points.thousandths()) / 1000.0),
        no_score: summary.no_score,
        agreed: summary.agreed,
        rated: summary.rated,
        goals: weighed
            .iter()
            .filter(|goal| counts(goal.agreement, goal.outcome))
            .map(|goal| AttainedGoal {
                goal: goal.id,
                weight: goal.weight,
                outcome: goal.outcome,
                level: of(goal).map(|reached| reached.level),
                rated_at: of(goal).map(|reached| reached.rated_at),
            })
            .collect(),
    }
}

// Homework.

fn shown_report(report: Report, earlier: Vec<PastReport>) -> HomeworkReport {
    let Report { said, words, reported_as, recorded_by, recorded_at, version, .. } = report;
    HomeworkReport {
        said: ReportVersion { version, said, words, reported_as, recorded_by, recorded_at },
        earlier_versions: earlier
            .into_iter()
            .map(|past| ReportVersion {
                version: past.version,
                said: past.said,
                words: past.words,
                reported_as: past.reported_as,
                recorded_by: past.recorded_by,
                recorded_at: past.recorded_at,
            })
            .collect(),
    }
}

fn shown_homework(
    given: Given,
    reports: &mut HashMap<(Id, Id), Report>,
    past: &mut HashMap<Id, Vec<PastReport>>,
) -> Homework {
    let told = |member, report: Option<Report>, past: &mut HashMap<Id, Vec<PastReport>>| GivenHomework {
        member,
        report: report.map(|report| {
            let earlier = past.remove(&report.id).unwrap_or_default();
            shown_report(report, earlier)
        }),
    };
    Homework {
        id: given.id,
        session: given.session,
        text: given.text,
        set_at: given.set_at,
        set_by: given.set_by,
        due_on: given.due_on,
        withdrawn_at: given.withdrawn_at,
        withdrawn_reason: given.withdrawn_reason,
        given: given
            .members
            .into_iter()
            .map(|member| told(member, reports.remove(&(given.id, member)), past))
            .collect(),
    }
}

/// One piece of homework with what was said of it; with the version of the report, where it is about one member.
fn answer_homework<A: OnGoals>(connection: &mut Connection, permit: &Permit<A>, given: Given) -> Answer {
    let only = (given.members.len() == 1).then(|| given.members[0]);
    let reports = goals::list_reports(connection, permit, &[given.id], only)?;
    let mut past = goals::list_past_reports(connection, permit, &reports)?;
    let version = reports.first().map(|report| report.version);
    let mut reports = reports.into_iter().map(|report| ((report.homework, report.member), report)).collect();
    let reply = Reply::ok(&shown_homework(given, &mut reports, &mut past))?;
    Ok(match (only, version) {
        (Some(_), Some(version)) => reply.version(version),
        _ => reply,
    })
}

async fn list_homework(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<WhichHomework>,
    paging: Paging,
) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadGoals>(connection, &caller, group)?;
        let wanted = WantedHomework { member: asked.member, session: asked.session, only: None };
        let given = goals::list_homework(connection, &permit, wanted, after, limit + 1)?;
        let ids: Vec<Id> = given.iter().map(|given| given.id).collect();
        let reports = goals::list_reports(connection, &permit, &ids, asked.member)?;
        let mut reports = reports.into_iter().map(|report| ((report.homework, report.member), report)).collect();
        let mut past = HashMap::new();
        let shown = given.into_iter().map(|given| shown_homework(given, &mut reports, &mut past)).collect();
        Reply::page(shown, &paging, |homework| (homework.set_at, homework.id))
    })
    .await
}

async fn read_homework(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, asked: Query<OfMember>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadGoals>(connection, &caller, group)?;
        let given = goals::find_homework(connection, &permit, id, asked.member)?;
        answer_homework(connection, &permit, given)
    })
    .await
}

async fn set_homework(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<SetHomework>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SetHomework>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let member = whose(connection, &permit, Some(request.member))?;
            check_takes(connection, &permit, &member)?;
            let given = goals::insert_homework(connection, &permit, member.id, request.text.as_str(), request.due_on)?;
            let place = format!("/groups/{group}/homework/{}", given.id);
            Reply::created(place, &shown_homework(given, &mut HashMap::new(), &mut HashMap::new()))
        })
    })
    .await
}

async fn report_homework(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<ReportHomework>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ReportHomework>(connection, &caller, group)?;
        let given = goals::find_homework(connection, &permit, id, None)?;
        let named = command.asked().and_then(|request| request.member);
        let member = match (named, given.members.as_slice()) {
            (Some(named), given) if given.contains(&named) => named,
            (Some(_), _) => return Err(Problem::field("/member", "was not given this homework")),
            (None, [only]) if given.session.is_none() || permit.only_member()?.is_some() => *only,
            (None, _) => {
                command.body()?;
                return Err(Problem::field("/member", "is missing: of whom is it said"));
            }
        };
        let kept = goals::list_reports(connection, &permit, &[id], Some(member))?.pop();
        match &kept {
            Some(kept) => command.expects(kept.version)?,
            // The first report needs no version; whoever names one has read a report that is not there.
            None if matches!(command.expects(0), Err(Problem::PreconditionNeeded)) => {}
            None => return Err(Problem::Stale),
        }
        let request = command.body()?;
        if given.withdrawn_at.is_some() {
            return Err(Problem::Conflict("This homework was taken back.".into()));
        }
        let found = members::find(connection, &permit, member)?;
        check_takes(connection, &permit, &found)?;
        let words = request.words.as_ref().map(Sentence::as_str);
        match &kept {
            Some(kept) => goals::update_report(connection, &permit, kept, request.said, words)?,
            None => goals::insert_report(connection, &permit, id, member, request.said, words)?,
        }
        let given = goals::find_homework(connection, &permit, id, Some(member))?;
        answer_homework(connection, &permit, given)
    })
    .await
}

async fn withdraw_homework(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<WithdrawHomework>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SetHomework>(connection, &caller, group)?;
        let given = goals::find_homework(connection, &permit, id, None)?;
        let request = command.body()?;
        if given.session.is_some() {
            return Err(Problem::Conflict("A session gave this homework to all who were expected.".into()));
        }
        if !goals::list_reports(connection, &permit, &[id], None)?.is_empty() {
            return Err(Problem::Conflict("This homework was reported on already.".into()));
        }
        goals::update_withdrawn(connection, &permit, &given, request.reason.as_str())?;
        let given = goals::find_homework(connection, &permit, id, None)?;
        answer_homework(connection, &permit, given)
    })
    .await
}
