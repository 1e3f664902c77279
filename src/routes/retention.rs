//! How long records are kept, what that would remove, its removal, and holds.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    operation::Api,
    outcomes::Figure,
    session_records::Author,
};
use crate::{
    identity::Caller,
    policy::act,
    problem::Problem,
    rules::{
        retention::{
            CountedFrom, FLOORS, Floor, KEPT, KEPT_BACK, Kind, Rule, check, check_as_of, check_preview, rows_about,
        },
        suppression::SmallestCount,
    },
    store::{
        accounts,
        connection::{Connection, Db},
        permit::{Permit, authorize, authorize_in_organization},
        retention::{self, Found, LooksBack, Run},
        standings,
    },
    values::{Few, Id, Moment, Sentence, Text, Whole},
};

/// Records that are removed in one request.
type AtOnce = Whole<1, 200>;

/// A rule: what is older is removed, once somebody runs it. Nothing is removed by itself, and without a rule nothing at all.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    pub kind: Kind,
    pub keep_years: Whole<0, 200>,
    #[serde(default = "no_months")]
    pub keep_months: Whole<0, 11>,
    /// `end_of_membership` or `last_session` for clinical records, `creation` for the others.
    pub counted_from: CountedFrom,
}

fn no_months() -> Whole<0, 11> {
    Whole::new(0).expect("0 lies from 0 to 11")
}

/// All rules of the organization, as they are to stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRetentionRules {
    pub items: Few<RetentionRule, 3>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RetentionRules {
    /// From 1; 0 before any were set.
    pub version: i32,
    pub items: Vec<RetentionRule>,
    /// Below these no rule can be set. The law of the place may ask for more: state law says how long the medical records
    /// of adults and of minors are kept, and none of it is known here.
    pub floors: Vec<Floor>,
    /// What no rule removes, and why.
    pub never_removed: BTreeMap<&'static str, &'static str>,
}

/// What the rules would remove. Nothing has been.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetentionPreview {
    pub as_of: Moment,
    pub rules_version: i32,
    /// Names exactly this: a run that names it does this, or nothing.
    pub preview: String,
    pub items: Vec<RetentionFound>,
    /// What keeps a record back, for all alike.
    pub held_back_by: &'static str,
}

/// What one rule finds. Counts from 1 to 10 are not shown, nor what few people's rows come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetentionFound {
    pub kind: Kind,
    /// What is older than this is past.
    pub before: Moment,
    /// People whose records would go.
    pub records: Figure,
    /// People whose records are past, and stay for now.
    pub held_back: Figure,
    /// By table, to the hundred below; null where few people stand behind them.
    pub rows: BTreeMap<&'static str, Option<u64>>,
    /// The year from which the oldest is counted; null where few people stand behind it.
    pub oldest_year: Option<i16>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct AsOf {
    /// At which moment; now when not said.
    as_of: Option<Moment>,
}

/// Does what a preview showed. It cannot be undone, and older backups do not open what it removed, where their keys are
/// kept apart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRetention {
    /// As the preview says.
    pub as_of: Moment,
    pub preview: Text<64, 64>,
    /// Records to be removed with this request; 50 when not said. The rest waits for the continuation.
    pub at_once: Option<AtOnce>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContinueRetention {
    /// Records to be removed with this request; 50 when not said.
    pub at_once: Option<AtOnce>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RetentionRun {
    pub id: Id,
    pub rules_version: i32,
    pub as_of: Moment,
    pub begun_by: Id,
    pub begun_at: Moment,
    /// Null while something is left to do: continue it.
    pub finished_at: Option<Moment>,
    /// Records that are gone: of people, and for a peer-led group's attendances of groups.
    pub records: Figure,
    /// Records that had come to stay by then.
    pub held_back: Figure,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRecord {
    /// Who needs the record and for what, without what it says.
    pub reason: Sentence,
}

/// Whether a record is held: then no rule removes it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordHold {
    pub held: bool,
    pub reason: Option<String>,
    pub placed_by: Option<Author>,
    pub placed_at: Option<Moment>,
}

pub fn register(api: &mut Api) {
    const RULES: &str = "/organizations/{organization}/retention-rules";
    const HOLD: &str = "/groups/{group}/members/{member}/hold";
    api.heading("Retention");
    api.get::<act::ReadRetentionRules, _, _>(RULES, "Read how long records are kept", read_retention_rules)
        .gives::<RetentionRules>();
    api.put::<act::SetRetentionRules, _, _>(RULES, "Say how long records are kept", set_retention_rules)
        .takes::<SetRetentionRules>(json!({
            "items": [{"kind": "clinical_record", "keep_years": 10, "counted_from": "end_of_membership"}]
        }))
        .gives::<RetentionRules>()
        .changes();
    api.get::<act::PreviewRetention, _, _>(
        "/organizations/{organization}/retention-rules/preview",
        "See what the rules would remove",
        preview_retention,
    )
    .asks::<AsOf>()
    .gives::<RetentionPreview>()
    .also(422);
    api.post::<act::RunRetention, _, _>(
        "/organizations/{organization}/retention-runs",
        "Remove what a preview showed",
        begin_retention,
    )
    .takes::<BeginRetention>(json!({
        "as_of": "2026-01-15T00:00:00Z",
        "preview": "0000000000000000000000000000000000000000000000000000000000000000"
    }))
    .creates::<RetentionRun>();
    api.get::<act::PreviewRetention, _, _>(
        "/organizations/{organization}/retention-runs",
        "List what was removed, newest first",
        list_retention_runs,
    )
    .lists::<RetentionRun>();
    api.get::<act::PreviewRetention, _, _>(
        "/organizations/{organization}/retention-runs/{run}",
        "Read how far a run has come",
        read_retention_run,
    )
    .gives::<RetentionRun>();
    api.post::<act::RunRetention, _, _>(
        "/organizations/{organization}/retention-runs/{run}/continuation",
        "Go on with a run",
        continue_retention,
    )
    .takes::<ContinueRetention>(json!({}))
    .gives::<RetentionRun>()
    .makes_nothing();
    api.get::<act::ReadHolds, _, _>(HOLD, "See whether a record is held", read_hold).gives::<RecordHold>();
    api.put::<act::HoldRecord, _, _>(HOLD, "Hold a record, so that no rule removes it", hold_record)
        .takes::<HoldRecord>(json!({"reason": "Preservation letter of 3 March, case 24-118."}))
        .gives::<RecordHold>();
    api.delete::<act::HoldRecord, _, _>(HOLD, "Let go of a record", release_record);
}

fn shown_rules((rules, version): (Vec<Rule>, i32)) -> Answer {
    let whole = |number: i32| Problem::Internal(format!("a kept rule says {number}"));
    let items = rules.into_iter().map(|rule| {
        Ok(RetentionRule {
            kind: rule.kind,
            keep_years: Whole::new(rule.years).map_err(|_| whole(rule.years))?,
            keep_months: Whole::new(rule.months).map_err(|_| whole(rule.months))?,
            counted_from: rule.counted_from,
        })
    });
    let items = items.collect::<Result<_, Problem>>()?;
    let shown = RetentionRules { version, items, floors: FLOORS.to_vec(), never_removed: KEPT.into() };
    Ok(Reply::ok(&shown)?.version(version))
}

async fn read_retention_rules(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let organization = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadRetentionRules>(connection, &caller, organization)?;
        shown_rules(retention::find_rules(connection, &permit)?)
    })
    .await
}

async fn set_retention_rules(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    command: Command<SetRetentionRules>,
) -> Answer {
    let organization = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::SetRetentionRules>(connection, &caller, organization)?;
        let (_, version) = retention::find_rules(connection, &permit)?;
        command.expects(version)?;
        let asked = command.body()?;
        let rule = |rule: &RetentionRule| Rule {
            kind: rule.kind,
            years: rule.keep_years.get(),
            months: rule.keep_months.get(),
            counted_from: rule.counted_from,
        };
        let rules: Vec<Rule> = asked.items.0.iter().map(rule).collect();
        check(&rules)?;
        retention::insert_rules(connection, &permit, &rules, version + 1)?;
        shown_rules(retention::find_rules(connection, &permit)?)
    })
    .await
}

/// What the rules find, with their version and the name of exactly this.
fn find<A: LooksBack>(
    connection: &mut Connection,
    permit: &Permit<A>,
    as_of: Moment,
) -> Result<(Vec<Found>, i32, String), Problem> {
    check_as_of(as_of, connection.now)?;
    let (rules, version) = retention::find_rules(connection, permit)?;
    let found = retention::find_past(connection, permit, &rules, as_of)?;
    let digest = retention::digest(connection, permit, version, as_of, &found);
    Ok((found, version, digest))
}

fn shown_found(found: &Found, as_of: Moment, k: u32) -> RetentionFound {
    let year = |at: Moment| at.day_in("UTC").0.year();
    RetentionFound {
        kind: found.rule.kind,
        before: found.rule.cut(as_of),
        records: Figure::of(found.records, k),
        held_back: Figure::of(found.held_back, k),
        rows: found.rows.iter().map(|(table, rows)| (*table, rows_about(*rows, found.records, k))).collect(),
        oldest_year: found.oldest.filter(|_| found.records >= k).map(year),
    }
}

async fn preview_retention(
    db: Data<Db>,
    k: Data<SmallestCount>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<AsOf>,
) -> Answer {
    let (organization, k) = (path.into_inner(), k.get_ref().get());
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::PreviewRetention>(connection, &caller, organization)?;
        let as_of = asked.as_of.unwrap_or(connection.now);
        let (found, rules_version, preview) = find(connection, &permit, as_of)?;
        let items = found.iter().map(|found| shown_found(found, as_of, k)).collect();
        Reply::ok(&RetentionPreview { as_of, rules_version, preview, items, held_back_by: KEPT_BACK })
    })
    .await
}

fn shown_run(run: Run, k: u32) -> RetentionRun {
    let figure = |count: i32| Figure::of(count.unsigned_abs(), k);
    RetentionRun {
        id: run.id,
        rules_version: run.rules_version,
        as_of: run.as_of,
        begun_by: run.begun_by,
        begun_at: run.begun_at,
        finished_at: run.finished_at,
        records: figure(run.records),
        held_back: figure(run.held_back),
    }
}

fn at_once(asked: Option<AtOnce>) -> i64 {
    i64::from(asked.map_or(50, AtOnce::get))
}

async fn begin_retention(
    db: Data<Db>,
    k: Data<SmallestCount>,
    caller: Caller,
    path: Path<Id>,
    command: Command<BeginRetention>,
) -> Answer {
    let (organization, k) = (path.into_inner(), k.get_ref().get());
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::RunRetention>(connection, &caller, organization)?;
        command.once(connection, &permit, |connection, request| {
            // Those who begin or continue a run wait for each other.
            standings::lock_organization(connection, &permit)?;
            let (found, version, digest) = find(connection, &permit, request.as_of)?;
            check_preview(digest == request.preview.as_str())?;
            let id = retention::insert_run(connection, &permit, version, request.as_of, &found)?;
            let run = retention::find_run(connection, &permit, id)?;
            retention::carry_on(connection, &permit, &run, at_once(request.at_once))?;
            let run = retention::find_run(connection, &permit, id)?;
            Reply::created(format!("/organizations/{organization}/retention-runs/{id}"), &shown_run(run, k))
        })
    })
    .await
}

async fn continue_retention(
    db: Data<Db>,
    k: Data<SmallestCount>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<ContinueRetention>,
) -> Answer {
    let ((organization, id), k) = (path.into_inner(), k.get_ref().get());
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::RunRetention>(connection, &caller, organization)?;
        // Those who begin or continue a run wait for each other.
        standings::lock_organization(connection, &permit)?;
        let run = retention::find_run(connection, &permit, id)?;
        let request = command.body()?;
        if run.finished_at.is_none() {
            retention::carry_on(connection, &permit, &run, at_once(request.at_once))?;
        }
        Reply::ok(&shown_run(retention::find_run(connection, &permit, id)?, k))
    })
    .await
}

async fn list_retention_runs(
    db: Data<Db>,
    k: Data<SmallestCount>,
    caller: Caller,
    path: Path<Id>,
    paging: Paging,
) -> Answer {
    let (organization, k) = (path.into_inner(), k.get_ref().get());
    let (limit, before) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::PreviewRetention>(connection, &caller, organization)?;
        let runs = retention::list_runs(connection, &permit, before, limit + 1)?;
        let shown: Vec<RetentionRun> = runs.into_iter().map(|run| shown_run(run, k)).collect();
        Reply::page(shown, &paging, |run| run.id)
    })
    .await
}

async fn read_retention_run(db: Data<Db>, k: Data<SmallestCount>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let ((organization, id), k) = (path.into_inner(), k.get_ref().get());
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::PreviewRetention>(connection, &caller, organization)?;
        Reply::ok(&shown_run(retention::find_run(connection, &permit, id)?, k))
    })
    .await
}

async fn read_hold(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, member) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadHolds>(connection, &caller, group)?;
        show_hold(connection, &permit, member)
    })
    .await
}

fn show_hold<A: crate::policy::area::Group>(connection: &mut Connection, permit: &Permit<A>, member: Id) -> Answer {
    let hold = retention::find_hold(connection, permit, member)?;
    let names = accounts::list_names(connection, permit, hold.iter().map(|hold| hold.placed_by))?;
    Reply::ok(&RecordHold {
        held: hold.is_some(),
        placed_by: hold.as_ref().map(|hold| Author::of(hold.placed_by, &names)),
        placed_at: hold.as_ref().map(|hold| hold.placed_at),
        reason: hold.map(|hold| hold.reason),
    })
}

async fn hold_record(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<HoldRecord>) -> Answer {
    let (group, member) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HoldRecord>(connection, &caller, group)?;
        // Whether the member is there comes before what is wrong with the body.
        retention::find_hold(connection, &permit, member)?;
        let request = command.body()?;
        retention::insert_hold(connection, &permit, member, request.reason.as_str())?;
        show_hold(connection, &permit, member)
    })
    .await
}

async fn release_record(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, member) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::HoldRecord>(connection, &caller, group)?;
        retention::end_hold(connection, &permit, member)?;
        Reply::done()
    })
    .await
}
