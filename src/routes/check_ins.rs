//! Check-ins: how a member of a peer-led group is, for whom to see, and crisis lines where the words ask for them.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Paging, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Standing, act},
    problem::Problem,
    rules::{
        check_ins::{
            By, Degree, FeelingWord, Mood, Occasion, Said, TrendPeriod, Visibility, WordCount, check, check_rules,
            count_words, trend,
        },
        crisis_lines::{self, CrisisLine},
        crisis_wording,
        groups::{check_language, check_zone},
    },
    store::{
        accounts::{self, Home},
        agreements,
        check_ins::{self, CheckIn as Kept, SharedCheckIn as Shared},
        connection::Db,
        members,
        permit::{authorize, authorize_own},
    },
    values::{Day, Few, Id, Moment, Text},
};

/// How a member is. Everything may be left out, but not all of it; or `pass`, and nothing else is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCheckIn {
    /// "Pass": always an answer.
    #[serde(default)]
    pub pass: bool,
    /// `awful` is 1, `very_low` 2, `low` 3, `so_so` 4, `okay` 5, `good` 6, `great` 7.
    pub mood: Option<Mood>,
    #[serde(default)]
    pub words: Few<FeelingWord, 8>,
    /// Connected to others: 0 (not at all) to 10 (entirely), as are the next four.
    pub connection: Option<Degree>,
    pub hope: Option<Degree>,
    pub confidence: Option<Degree>,
    pub belonging: Option<Degree>,
    pub shame: Option<Degree>,
    /// What would help.
    pub need: Option<Text<1, 300>>,
    pub text: Option<Text<1, 5_000>>,
    /// Language of the words (BCP-47, sign languages included); the account's when not said.
    pub language: Option<Text<2, 35>>,
    pub occasion: Option<Occasion>,
    /// Nobody else reads it when not said.
    #[serde(default = "only_me")]
    #[schema(default = "only_me")]
    pub visibility: Visibility,
    /// Where the member is (IANA): it decides which day it is. The account's when not said.
    pub zone: Option<Text<2, 60>>,
}

fn only_me() -> Visibility {
    Visibility::OnlyMe
}

impl NewCheckIn {
    fn said(&self, home: &Home) -> Said {
        let degree = |degree: Option<Degree>| degree.map(Degree::get);
        let language = self.language.as_ref().map_or(home.language.as_str(), |language| language.as_str());
        Said {
            pass: self.pass,
            mood: self.mood,
            words: self.words.0.iter().map(ToString::to_string).collect(),
            connection: degree(self.connection),
            hope: degree(self.hope),
            confidence: degree(self.confidence),
            belonging: degree(self.belonging),
            shame: degree(self.shame),
            need: self.need.as_ref().map(ToString::to_string),
            text: self.text.as_ref().map(ToString::to_string),
            occasion: self.occasion,
            language: (!self.pass).then(|| language.to_owned()),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeVisibility {
    pub visibility: Visibility,
}

/// What is kept of a check-in in the clear.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckInFrame {
    pub id: Id,
    pub group: Id,
    pub visibility: Visibility,
    /// The member's day at the moment of recording.
    pub local_day: Day,
    pub zone: String,
    pub recorded_at: Moment,
    pub version: i32,
}

/// What was said.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckInContent {
    #[serde(flatten)]
    pub said: Said,
    /// The mood as a number: 1 (awful) to 7 (great).
    pub mood_number: Option<i32>,
}

impl From<Said> for CheckInContent {
    fn from(said: Said) -> CheckInContent {
        CheckInContent { mood_number: said.mood.map(Mood::number), said }
    }
}

/// One's own check-in.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckIn {
    #[serde(flatten)]
    pub frame: CheckInFrame,
    #[serde(flatten)]
    pub content: CheckInContent,
}

impl From<Kept> for CheckIn {
    fn from(kept: Kept) -> CheckIn {
        let frame = CheckInFrame {
            id: kept.id,
            group: kept.group,
            visibility: kept.visibility,
            local_day: kept.local_day,
            zone: kept.zone,
            recorded_at: kept.recorded_at,
            version: kept.version,
        };
        CheckIn { frame, content: kept.said.into() }
    }
}

/// What the answer to a new check-in repeats and adds, and nobody keeps.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckInEcho {
    #[serde(flatten)]
    pub content: CheckInContent,
    /// Beside the lines, in the language of the words: nobody reads this in real time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crisis_notice: Option<String>,
    /// Somebody to talk to now, in the country of the account, where the words ask for it. Nobody else is told, and
    /// nothing of it is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub crisis_lines: Vec<CrisisLine>,
}

impl CheckInEcho {
    fn of(said: Said, home: &Home) -> CheckInEcho {
        let language = said.language.as_deref().unwrap_or(&home.language);
        let notice = crisis_wording::notice_for(said.own_words(), language);
        let lines = notice.map(|_| crisis_lines::for_country(home.country.as_deref())).unwrap_or_default();
        CheckInEcho {
            content: said.into(),
            crisis_notice: notice.map(str::to_owned),
            crisis_lines: lines.into_iter().cloned().collect(),
        }
    }
}

/// A new check-in, with crisis lines where the words ask for them.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordedCheckIn {
    #[serde(flatten)]
    pub frame: CheckInFrame,
    #[serde(flatten)]
    pub echo: CheckInEcho,
}

/// A check-in that its author shows to the group or to its facilitators.
#[derive(Debug, Serialize, ToSchema)]
pub struct SharedCheckIn {
    pub id: Id,
    /// Whose it is; for facilitators alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<Id>,
    /// The member's name in the group.
    pub name: String,
    /// The member's day.
    pub local_day: Day,
    #[serde(flatten)]
    pub content: CheckInContent,
    #[serde(skip)]
    position: String,
}

/// Which of one's own check-ins a trend is made of.
#[derive(Debug, Deserialize, IntoParams)]
pub struct TrendAsked {
    /// The first day; a year back when not said.
    since: Option<Day>,
    /// The last day; the newest when not said.
    until: Option<Day>,
    /// `week` when not said.
    by: Option<By>,
}

/// One's own course over all groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckInTrend {
    pub by: By,
    /// Oldest first; without those in which nothing was entered.
    pub periods: Vec<TrendPeriod>,
    /// One's own feeling words of the whole time, the most frequent first; 50 at most.
    pub words: Vec<WordCount>,
}

pub fn register(api: &mut Api) {
    const CHECK_INS: &str = "/groups/{group}/check-ins";
    const CHECK_IN: &str = "/groups/{group}/check-ins/{check_in}";
    api.heading("Check-ins");
    api.post::<act::RecordCheckIn, _, _>(CHECK_INS, "Say how you are, or pass", record_check_in)
        .takes::<NewCheckIn>(json!({
            "mood": "low", "words": ["tired", "a bit hopeful"], "connection": 4, "hope": 5, "shame": 3,
            "need": "Somebody to walk with.", "text": "The week was long; the group was good.", "occasion": "between",
            "visibility": "facilitator"
        }))
        .creates::<RecordedCheckIn>();
    api.get::<act::ReadCheckIns, _, _>(CHECK_INS, "List your own check-ins, newest first", list_check_ins)
        .lists::<CheckIn>();
    api.get::<act::ReadCheckIns, _, _>(CHECK_IN, "Read a check-in of your own", read_check_in).gives::<CheckIn>();
    api.put::<act::ChangeCheckIn, _, _>(
        "/groups/{group}/check-ins/{check_in}/visibility",
        "Show a check-in to others, or to nobody",
        change_check_in_visibility,
    )
    .takes::<ChangeVisibility>(json!({"visibility": "only_me"}))
    .gives::<CheckIn>()
    .changes();
    api.delete::<act::ChangeCheckIn, _, _>(CHECK_IN, "Remove a check-in of your own for good", remove_check_in);
    api.get::<act::ReadSharedCheckIns, _, _>(
        "/groups/{group}/shared-check-ins",
        "Read what members show you, newest first",
        list_shared_check_ins,
    )
    .lists::<SharedCheckIn>();
    api.get::<act::ReadOwnAccount, _, _>(
        "/account/check-ins/trend",
        "See your own check-ins over time",
        read_own_check_in_trend,
    )
    .asks::<TrendAsked>()
    .gives::<CheckInTrend>()
    .also(422);
}

async fn record_check_in(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<NewCheckIn>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::RecordCheckIn>(connection, &caller, group)?;
        let home = accounts::find_home(connection, &permit)?;
        // Said again from each request itself: the answer that is kept for a retry holds no second copy of the words,
        // and nothing about crisis lines.
        let echo = command.asked().map(|request| CheckInEcho::of(request.said(&home), &home));
        let reply = command.once(connection, &permit, |connection, request| {
            let member = permit.only_member()?.ok_or(Problem::NotFound)?;
            check_rules(agreements::stands_under_rules(connection, &permit, member)?)?;
            if let Some(language) = &request.language {
                check_language(language.as_str(), "/language")?;
            }
            let zone = request.zone.as_ref().map_or(home.zone.as_str(), |zone| zone.as_str());
            check_zone(zone, "/zone")?;
            let said = request.said(&home);
            check(&said, request.language.is_some())?;
            let kept = check_ins::insert(connection, &permit, &said, request.visibility, zone)?;
            let place = format!("/groups/{group}/check-ins/{}", kept.id);
            let version = kept.version;
            Ok(Reply::created(place, &CheckIn::from(kept).frame)?.version(version))
        })?;
        let echo = echo.ok_or_else(|| Problem::Internal("a check-in was kept of nothing".into()))?;
        reply.with_added(&echo)
    })
    .await
}

async fn list_check_ins(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadCheckIns>(connection, &caller, group)?;
        let rows = check_ins::list(connection, &permit, after, limit + 1)?;
        let shown: Vec<CheckIn> = rows.into_iter().map(Into::into).collect();
        Reply::page(shown, &paging, |check_in| (check_in.frame.recorded_at, check_in.frame.id))
    })
    .await
}

async fn read_check_in(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadCheckIns>(connection, &caller, group)?;
        show(check_ins::find(connection, &permit, id)?)
    })
    .await
}

async fn change_check_in_visibility(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<ChangeVisibility>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ChangeCheckIn>(connection, &caller, group)?;
        let kept = check_ins::find(connection, &permit, id)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        check_ins::update_visibility(connection, &permit, &kept, request.visibility)?;
        show(check_ins::find(connection, &permit, id)?)
    })
    .await
}

async fn remove_check_in(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ChangeCheckIn>(connection, &caller, group)?;
        check_ins::remove(connection, &permit, id)?;
        Reply::done()
    })
    .await
}

async fn list_shared_check_ins(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadSharedCheckIns>(connection, &caller, group)?;
        let is_facilitator = matches!(permit.standing(), Some(Standing::Facilitator | Standing::SessionFacilitator));
        let rows = check_ins::list_shared(connection, &permit, after.clone(), limit + 1)?;
        let shown = |shared: Shared| SharedCheckIn {
            id: shared.id,
            member: is_facilitator.then_some(shared.member),
            name: shared.name,
            local_day: shared.local_day,
            content: shared.said.into(),
            position: shared.position,
        };
        Reply::page(rows.into_iter().map(shown).collect(), &paging, |shared| shared.position.clone())
    })
    .await
}

async fn read_own_check_in_trend(db: Data<Db>, caller: Caller, asked: Query<TrendAsked>) -> Answer {
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let home = accounts::find_home(connection, &permit)?;
        let since = asked.since.unwrap_or_else(|| connection.now.plus_days(-366).day_in(&home.zone));
        // A zone ahead of the account's may be a day further already.
        let until = asked.until.unwrap_or_else(|| connection.now.plus_days(2).day_in(&home.zone));
        if until < since {
            return Err(Problem::field("until", "lies before since"));
        }
        let by = asked.by.unwrap_or(By::Week);
        let own = members::list_own_ids(connection, &permit)?;
        let entries = check_ins::list_own_days(connection, &permit, &own, since, until)?;
        Reply::ok(&CheckInTrend { by, periods: trend(&entries, by), words: count_words(&entries) })
    })
    .await
}

fn show(kept: Kept) -> Answer {
    let version = kept.version;
    Ok(Reply::ok(&CheckIn::from(kept))?.version(version))
}
