//! Retention: the rules, what they would remove, what a run has still to do, and holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::{
    dsl::{count_star, max},
    prelude::*,
};

use super::{
    columns::{Sealed, word_columns},
    connection::{Connection, insert_many},
    idempotency, leaving, outcomes,
    permit::{Permit, concerns},
    schema::{
        amendment_requests, amendment_steps, attendance_versions, attendances, breach_reports, disclosures,
        emergency_accesses, goal_rating_versions, goal_ratings, goal_wordings, goals, groups, homework,
        homework_report_versions, homework_reports, invitations, measure_versions, measures, members, progress_entries,
        progress_entry_addenda, pseudonym_attendances, retention_holds, retention_rule_sets, retention_rules,
        retention_runs, retention_targets, reviews, risk_steps, risks, sessions, signatures,
    },
    sealing::Place,
};
use crate::{
    policy::{Act, Kind as GroupKind, Standing, act, area},
    problem::Problem,
    rules::{
        amendments::State as AmendmentState,
        members::State,
        retention::{CountedFrom, Kind, Rule, documented_until},
    },
    values::{Id, Moment},
};

const REASON: &str = "retention_holds.reason";

/// Ids that one condition names at most.
const CHUNK: usize = 500;

word_columns!(Kind, CountedFrom);

/// The actions that look for what is past.
pub trait LooksBack: area::Organization {}
impl LooksBack for act::PreviewRetention {}
impl LooksBack for act::RunRetention {}

/// The rules as they stand, with their version; none, and 0, before any were set.
pub fn find_rules<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<(Vec<Rule>, i32), Problem> {
    let newest: Option<i32> = retention_rule_sets::table
        .filter(retention_rule_sets::organization_id.eq(permit.organization()))
        .order(retention_rule_sets::version.desc())
        .select(retention_rule_sets::version)
        .first(connection.with(permit))
        .optional()?;
    let Some(version) = newest else { return Ok((Vec::new(), 0)) };
    Ok((list_rules_of(connection, permit, version)?, version))
}

fn list_rules_of<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
    version: i32,
) -> Result<Vec<Rule>, Problem> {
    let rows: Vec<(Kind, i32, i32, CountedFrom)> = retention_rules::table
        .filter(retention_rules::organization_id.eq(permit.organization()))
        .filter(retention_rules::version.eq(version))
        .order(retention_rules::kind)
        .select((
            retention_rules::kind,
            retention_rules::keep_years,
            retention_rules::keep_months,
            retention_rules::counted_from,
        ))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().map(|(kind, years, months, counted_from)| Rule { kind, years, months, counted_from }).collect())
}

/// Sets all rules anew; those that stood before stay in their own version.
///
/// # Errors
/// `Conflict` when somebody sets them at this moment.
pub fn insert_rules(
    connection: &mut Connection,
    permit: &Permit<act::SetRetentionRules>,
    rules: &[Rule],
    version: i32,
) -> Result<(), Problem> {
    let (organization, now) = (permit.organization(), connection.now);
    diesel::insert_into(retention_rule_sets::table)
        .values((
            retention_rule_sets::organization_id.eq(organization),
            retention_rule_sets::version.eq(version),
            retention_rule_sets::set_by.eq(permit.account()),
            retention_rule_sets::set_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    let rows: Vec<_> = rules
        .iter()
        .map(|rule| {
            (
                retention_rules::organization_id.eq(organization),
                retention_rules::version.eq(version),
                retention_rules::kind.eq(rule.kind),
                retention_rules::keep_years.eq(rule.years),
                retention_rules::keep_months.eq(rule.months),
                retention_rules::counted_from.eq(rule.counted_from),
            )
        })
        .collect();
    insert_many!(connection.with(permit), retention_rules::table, &rows)?;
    Ok(())
}

/// Something that a run removes as one: a member's record, or a group's attendances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub kind: Kind,
    pub owner: Id,
    pub group: Id,
}

/// What one rule finds.
#[derive(Clone, Debug)]
pub struct Found {
    pub rule: Rule,
    pub targets: Vec<Target>,
    /// People whose records these are.
    pub records: u32,
    /// People whose records are past and have to stay.
    pub held_back: u32,
    pub rows: BTreeMap<&'static str, u64>,
    /// What the oldest of them is counted from.
    pub oldest: Option<Moment>,
}

/// What the rules find past at a moment. Nothing is changed.
pub fn find_past<A: LooksBack>(
    connection: &mut Connection,
    permit: &Permit<A>,
    rules: &[Rule],
    as_of: Moment,
) -> Result<Vec<Found>, Problem> {
    let mut found = Vec::with_capacity(rules.len());
    for rule in rules {
        found.push(match rule.kind {
            Kind::ClinicalRecord => find_past_records(connection, permit, *rule, as_of)?,
            Kind::PeerAttendance => find_past_attendances(connection, permit, *rule, as_of)?,
            Kind::Disclosures => find_past_disclosures(connection, permit, *rule, as_of)?,
        });
    }
    Ok(found)
}

/// A keyed digest of what was found: a run that names it does exactly this, or nothing.
pub fn digest<A: area::Organization>(
    connection: &Connection,
    permit: &Permit<A>,
    version: i32,
    as_of: Moment,
    found: &[Found],
) -> String {
    use std::fmt::Write;
    let mut text = format!("{} {version} {as_of}", permit.organization());
    for one in found {
        for target in &one.targets {
            let _ = write!(text, " {} {}", target.kind, target.owner);
        }
        for (table, rows) in &one.rows {
            let _ = write!(text, " {table} {rows}");
        }
    }
    data_encoding::HEXLOWER.encode(&connection.installation().index("retention preview", &text))
}

/// A membership of a therapist-led group that is past, and what that is counted from.
type Past = (Id, Id, Moment);

/// Memberships that have ended long enough ago; of one member alone where one is named.
fn list_past<A: LooksBack>(
    connection: &mut Connection,
    permit: &Permit<A>,
    rule: Rule,
    as_of: Moment,
    only: Option<Id>,
) -> Result<Vec<Past>, Problem> {
    let ended: Vec<State> =
        State::ALL.iter().copied().filter(|state| state.standing() == Some(Standing::FormerMember)).collect();
    let mut query = groups::table
        .inner_join(members::table.on(members::group_id.eq(groups::id)))
        .filter(groups::organization_id.eq(permit.organization()))
        .filter(groups::kind.eq(GroupKind::TherapistLed))
        .filter(members::state.eq_any(ended))
        // Whatever a rule counts from: what is documented in the record is kept so long after it was in effect.
        .filter(members::state_from.lt(documented_until(as_of)))
        .select((members::id, members::group_id, members::state_from))
        .into_boxed();
    if let Some(only) = only {
        query = query.filter(members::id.eq(only));
    }
    let mut rows: Vec<Past> = query.load(connection.with(permit))?;
    if rule.counted_from == CountedFrom::LastSession {
        let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
        let mut last: HashMap<Id, Moment> = HashMap::new();
        for ids in ids.chunks(CHUNK) {
            let found: Vec<(Id, Option<Moment>)> = attendances::table
                .filter(attendances::member_id.eq_any(ids))
                .group_by(attendances::member_id)
                .select((attendances::member_id, max(attendances::starts_at)))
                .load(connection.with(permit))?;
            last.extend(found.into_iter().filter_map(|(member, at)| Some((member, at?))));
        }
        rows.iter_mut().for_each(|row| row.2 = last.get(&row.0).copied().unwrap_or(row.2));
    }
    let cut = rule.cut(as_of);
    rows.retain(|row| row.2 < cut);
    rows.sort_unstable();
    Ok(rows)
}

/// Those of these whose records have to stay.
fn list_held_back<A: LooksBack>(
    connection: &mut Connection,
    permit: &Permit<A>,
    past: &[Past],
    as_of: Moment,
) -> Result<BTreeSet<Id>, Problem> {
    let documented = documented_until(as_of);
    let mut stay: BTreeSet<Id> = BTreeSet::new();
    let ids: Vec<Id> = past.iter().map(|row| row.0).collect();
    for ids in ids.chunks(CHUNK) {
        stay.extend(list_on_hold(connection, permit, ids)?);
        let asked: Vec<Id> = amendment_requests::table
            .filter(amendment_requests::member_id.eq_any(ids))
            .filter(
                amendment_requests::state
                    .eq(AmendmentState::Received)
                    .or(amendment_requests::asked_at.ge(documented))
                    // Decided, extended or disputed since.
                    .or(diesel::dsl::exists(
                        amendment_steps::table
                            .filter(amendment_steps::request_id.eq(amendment_requests::id))
                            .filter(amendment_steps::at.ge(documented)),
                    )),
            )
            .select(amendment_requests::member_id)
            .load(connection.with(permit))?;
        stay.extend(asked);
        let went: Vec<Id> = disclosures::table
            .filter(disclosures::member_id.eq_any(ids))
            .filter(disclosures::disclosed_at.ge(documented))
            .select(disclosures::member_id)
            .load(connection.with(permit))?;
        stay.extend(went);
        let reported: Vec<Option<Id>> = breach_reports::table
            .filter(breach_reports::subject_member_id.eq_any(ids.iter().copied().map(Some)))
            .filter(breach_reports::state.ne("closed"))
            .select(breach_reports::subject_member_id)
            .load(connection.with(permit))?;
        stay.extend(reported.into_iter().flatten());
    }
    let places: BTreeSet<Id> = past.iter().map(|row| row.1).collect();
    let places: Vec<Id> = places.into_iter().collect();
    for places in places.chunks(CHUNK) {
        let open: Vec<Id> = risks::table
            .filter(risks::group_id.eq_any(places))
            .filter(risks::due_at.is_not_null())
            .select(risks::member_id)
            .load(connection.with(permit))?;
        stay.extend(open);
        let opened: Vec<Id> = emergency_accesses::table
            .filter(emergency_accesses::group_id.eq_any(places))
            .filter(emergency_accesses::reviewed.eq(false).or(emergency_accesses::from_at.ge(documented)))
            .select(emergency_accesses::member_id)
            .load(connection.with(permit))?;
        stay.extend(opened);
    }
    Ok(stay)
}

/// Whoever removes a record and whoever holds it wait for each other here. Returns whether it is still there.
fn lock_member<A: Act>(connection: &mut Connection, permit: &Permit<A>, member: Id) -> Result<bool, Problem> {
    let there = diesel::update(members::table.find(member))
        .set(members::version.eq(members::version))
        .execute(connection.with(permit))?;
    Ok(there == 1)
}

fn list_on_hold<A: Act>(connection: &mut Connection, permit: &Permit<A>, ids: &[Id]) -> Result<Vec<Id>, Problem> {
    Ok(retention_holds::table
        .filter(retention_holds::member_id.eq_any(ids))
        .filter(retention_holds::ended_at.is_null())
        .select(retention_holds::member_id)
        .load(connection.with(permit))?)
}

fn find_past_records<A: LooksBack>(
    connection: &mut Connection,
    permit: &Permit<A>,
    rule: Rule,
    as_of: Moment,
) -> Result<Found, Problem> {
    let mut past = list_past(connection, permit, rule, as_of, None)?;
    let stay = list_held_back(connection, permit, &past, as_of)?;
    let all = past.len();
    past.retain(|row| !stay.contains(&row.0));
    let mut rows: BTreeMap<&'static str, u64> = BTreeMap::new();
    let ids: Vec<Id> = past.iter().map(|row| row.0).collect();
    macro_rules! count {
        ($ids:ident in $($table:ident),+) => {$({
            let found: i64 = $table::table
                .filter($table::member_id.eq_any($ids))
                .select(count_star())
                .first(connection.with(permit))?;
            *rows.entry(stringify!($table)).or_default() += found.unsigned_abs();
        })+};
    }
    for ids in ids.chunks(CHUNK) {
        count!(ids in measures, attendances, progress_entries, goals, goal_ratings, homework, homework_reports, reviews, signatures);
    }
    Ok(Found {
        rule,
        records: u32::try_from(past.len()).unwrap_or(u32::MAX),
        held_back: u32::try_from(all - past.len()).unwrap_or(u32::MAX),
        rows,
        oldest: past.iter().map(|row| row.2).min(),
        targets: past.iter().map(|row| Target { kind: rule.kind, owner: row.0, group: row.1 }).collect(),
    })
}

fn find_past_attendances<A: LooksBack>(
    connection: &mut Connection,
    permit: &Permit<A>,
    rule: Rule,
    as_of: Moment,
) -> Result<Found, Problem> {
    let cut = rule.cut(as_of);
    let named: Vec<(Id, Id, Moment)> = groups::table
        .inner_join(attendances::table.on(attendances::group_id.eq(groups::id)))
        .filter(groups::organization_id.eq(permit.organization()))
        .filter(groups::kind.eq(GroupKind::PeerLed))
        .filter(attendances::starts_at.lt(cut))
        .select((attendances::group_id, attendances::member_id, attendances::starts_at))
        .load(connection.with(permit))?;
    let under_pseudonyms: Vec<(Id, Id, Moment)> = groups::table
        .inner_join(sessions::table.on(sessions::group_id.eq(groups::id)))
        .inner_join(pseudonym_attendances::table.on(pseudonym_attendances::session_id.eq(sessions::id)))
        .filter(groups::organization_id.eq(permit.organization()))
        .filter(groups::kind.eq(GroupKind::PeerLed))
        .filter(sessions::starts_at.lt(cut))
        .select((sessions::group_id, pseudonym_attendances::pseudonym_id, sessions::starts_at))
        .load(connection.with(permit))?;
    let all = || named.iter().chain(&under_pseudonyms);
    let people: BTreeSet<Id> = all().map(|row| row.1).collect();
    let places: BTreeSet<Id> = all().map(|row| row.0).collect();
    let rows = [("attendances", named.len()), ("pseudonym_attendances", under_pseudonyms.len())];
    Ok(Found {
        rule,
        records: u32::try_from(people.len()).unwrap_or(u32::MAX),
        held_back: 0,
        rows: rows.into_iter().map(|(table, rows)| (table, rows as u64)).collect(),
        oldest: all().map(|row| row.2).min(),
        targets: places.into_iter().map(|group| Target { kind: rule.kind, owner: group, group }).collect(),
    })
}

fn find_past_disclosures<A: LooksBack>(
    connection: &mut Connection,
    permit: &Permit<A>,
    rule: Rule,
    as_of: Moment,
) -> Result<Found, Problem> {
    let mut past: Vec<(Id, Id, Moment)> = disclosures::table
        .filter(disclosures::organization_id.eq(permit.organization()))
        .filter(disclosures::disclosed_at.lt(rule.cut(as_of)))
        .select((disclosures::member_id, disclosures::group_id, disclosures::disclosed_at))
        .load(connection.with(permit))?;
    let whose: BTreeSet<Id> = past.iter().map(|row| row.0).collect();
    let whose: Vec<Id> = whose.into_iter().collect();
    let mut stay: BTreeSet<Id> = BTreeSet::new();
    for ids in whose.chunks(CHUNK) {
        stay.extend(list_on_hold(connection, permit, ids)?);
    }
    past.retain(|row| !stay.contains(&row.0));
    let oldest = past.iter().map(|row| row.2).min();
    let rows = BTreeMap::from([("disclosures", past.len() as u64)]);
    let targets: BTreeSet<Target> =
        past.into_iter().map(|(owner, group, _)| Target { kind: rule.kind, owner, group }).collect();
    Ok(Found {
        rule,
        records: u32::try_from(targets.len()).unwrap_or(u32::MAX),
        held_back: u32::try_from(stay.len()).unwrap_or(u32::MAX),
        rows,
        oldest,
        targets: targets.into_iter().collect(),
    })
}

/// A run, as far as it has come.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = retention_runs)]
pub struct Run {
    pub id: Id,
    pub rules_version: i32,
    pub as_of: Moment,
    pub begun_by: Id,
    pub begun_at: Moment,
    pub finished_at: Option<Moment>,
    pub records: i32,
    pub held_back: i32,
}

/// Begins a run over what was found.
///
/// # Errors
/// `Conflict` while another run of the organization is not finished.
pub fn insert_run(
    connection: &mut Connection,
    permit: &Permit<act::RunRetention>,
    rules_version: i32,
    as_of: Moment,
    found: &[Found],
) -> Result<Id, Problem> {
    let unfinished: Option<Id> = retention_runs::table
        .filter(retention_runs::organization_id.eq(permit.organization()))
        .filter(retention_runs::finished_at.is_null())
        .select(retention_runs::id)
        .first(connection.with(permit))
        .optional()?;
    if unfinished.is_some() {
        return Err(Problem::Conflict("Another run is not finished: continue that one first.".into()));
    }
    let (id, now) = (Id::in_order(), connection.now);
    diesel::insert_into(retention_runs::table)
        .values((
            retention_runs::id.eq(id),
            retention_runs::organization_id.eq(permit.organization()),
            retention_runs::rules_version.eq(rules_version),
            retention_runs::as_of.eq(as_of),
            retention_runs::begun_by.eq(permit.account()),
            retention_runs::begun_at.eq(now),
            retention_runs::records.eq(0),
            retention_runs::held_back.eq(0),
        ))
        .execute(connection.with(permit))?;
    let rows: Vec<_> = found
        .iter()
        .flat_map(|one| &one.targets)
        .map(|target| {
            (
                retention_targets::run_id.eq(id),
                retention_targets::kind.eq(target.kind),
                retention_targets::owner_id.eq(target.owner),
                retention_targets::group_id.eq(target.group),
            )
        })
        .collect();
    insert_many!(connection.with(permit), retention_targets::table, &rows)?;
    Ok(id)
}

pub fn find_run<A: LooksBack>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Run, Problem> {
    Ok(retention_runs::table
        .filter(retention_runs::id.eq(id))
        .filter(retention_runs::organization_id.eq(permit.organization()))
        .select(Run::as_select())
        .first(connection.with(permit))?)
}

/// The organization's runs, newest first.
pub fn list_runs(
    connection: &mut Connection,
    permit: &Permit<act::PreviewRetention>,
    before: Option<Id>,
    limit: i64,
) -> Result<Vec<Run>, Problem> {
    let mut query = retention_runs::table
        .filter(retention_runs::organization_id.eq(permit.organization()))
        .order(retention_runs::id.desc())
        .limit(limit)
        .select(Run::as_select())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(retention_runs::id.lt(before));
    }
    Ok(query.load(connection.with(permit))?)
}

/// Does so many of a run's targets, in the transaction that is open: what is judged to have to stay by now stays. A run
/// that broke off goes on here.
pub fn carry_on(
    connection: &mut Connection,
    permit: &Permit<act::RunRetention>,
    run: &Run,
    at_once: i64,
) -> Result<(), Problem> {
    let now = connection.now;
    let rules = list_rules_of(connection, permit, run.rules_version)?;
    let waiting: Vec<(Kind, Id, Id)> = retention_targets::table
        .filter(retention_targets::run_id.eq(run.id))
        .order((retention_targets::kind, retention_targets::owner_id))
        .limit(at_once)
        .select((retention_targets::kind, retention_targets::owner_id, retention_targets::group_id))
        .load(connection.with(permit))?;
    let (mut records, mut held_back) = (run.records, run.held_back);
    for (kind, owner, group) in waiting {
        let Some(rule) = rules.iter().find(|rule| rule.kind == kind) else { continue };
        let target = Target { kind, owner, group };
        match remove_one(connection, permit, *rule, run.as_of, target)? {
            true => records += 1,
            false => held_back += 1,
        }
        diesel::delete(retention_targets::table.find((run.id, kind, owner))).execute(connection.with(permit))?;
    }
    let left: Option<Id> = retention_targets::table
        .filter(retention_targets::run_id.eq(run.id))
        .select(retention_targets::owner_id)
        .first(connection.with(permit))
        .optional()?;
    diesel::update(retention_runs::table.find(run.id))
        .set((
            retention_runs::records.eq(records),
            retention_runs::held_back.eq(held_back),
            retention_runs::finished_at.eq(left.is_none().then_some(now)),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Removes what a target names, unless it has to stay by now.
fn remove_one(
    connection: &mut Connection,
    permit: &Permit<act::RunRetention>,
    rule: Rule,
    as_of: Moment,
    target: Target,
) -> Result<bool, Problem> {
    let Target { kind, owner, group } = target;
    if matches!(kind, Kind::ClinicalRecord | Kind::Disclosures) && !lock_member(connection, permit, owner)? {
        return Ok(false);
    }
    match kind {
        Kind::ClinicalRecord => {
            let past = list_past(connection, permit, rule, as_of, Some(owner))?;
            // Judged by today as well: what was written meanwhile keeps the record.
            let stays = list_held_back(connection, permit, &past, as_of)?.contains(&owner);
            if past.is_empty() || stays {
                return Ok(false);
            }
            note(connection, permit, Some(owner), group);
            remove_record(connection, permit, group, owner)?;
        }
        Kind::PeerAttendance => {
            note(connection, permit, None, group);
            remove_old_attendances(connection, permit, group, rule.cut(as_of))?;
        }
        Kind::Disclosures => {
            if !list_on_hold(connection, permit, &[owner])?.is_empty() {
                return Ok(false);
            }
            note(connection, permit, Some(owner), group);
            diesel::delete(
                disclosures::table
                    .filter(disclosures::member_id.eq(owner))
                    .filter(disclosures::disclosed_at.lt(rule.cut(as_of))),
            )
            .execute(connection.with(permit))?;
        }
    }
    Ok(true)
}

/// An entry of the access log for each record that goes, beside the one of the run.
fn note(connection: &mut Connection, permit: &Permit<act::RunRetention>, member: Option<Id>, group: Id) {
    let own = connection.entries.iter().skip(connection.own_entries);
    let of_run = own.into_iter().find(|entry| {
        entry.allowed
            && entry.action == act::RunRetention::ACTION
            && entry.organization_id == Some(permit.organization())
    });
    if let Some(mut entry) = of_run.cloned() {
        entry.member_id = member;
        entry.group_id = Some(group);
        connection.entries.push(entry);
    }
}

fn remove_old_attendances(
    connection: &mut Connection,
    permit: &Permit<act::RunRetention>,
    group: Id,
    cut: Moment,
) -> Result<(), Problem> {
    let ids: Vec<Id> = attendances::table
        .filter(attendances::group_id.eq(group))
        .filter(attendances::starts_at.lt(cut))
        .select(attendances::id)
        .load(connection.with(permit))?;
    for ids in ids.chunks(CHUNK) {
        diesel::delete(attendance_versions::table.filter(attendance_versions::attendance_id.eq_any(ids)))
            .execute(connection.with(permit))?;
        diesel::delete(attendances::table.filter(attendances::id.eq_any(ids))).execute(connection.with(permit))?;
    }
    let held: Vec<Id> = sessions::table
        .filter(sessions::group_id.eq(group))
        .filter(sessions::starts_at.lt(cut))
        .select(sessions::id)
        .load(connection.with(permit))?;
    for ids in held.chunks(CHUNK) {
        diesel::delete(pseudonym_attendances::table.filter(pseudonym_attendances::session_id.eq_any(ids)))
            .execute(connection.with(permit))?;
    }
    Ok(())
}

/// Removes everything of a membership of a therapist-led group, and its key last. What it came to stays in the group's
/// figures.
fn remove_record(
    connection: &mut Connection,
    permit: &Permit<act::RunRetention>,
    group: Id,
    member: Id,
) -> Result<(), Problem> {
    outcomes::retire(connection, permit, group, member)?;
    idempotency::empty(connection, permit, group)?;
    // What hangs on a row goes before the row: by the rows' own ids, so that each is found by an index.
    macro_rules! remove {
        ($($table:ident . $column:ident of $parent:ident),+ $(,)?) => {$({
            let ids: Vec<Id> = $parent::table
                .filter($parent::member_id.eq(member))
                .select($parent::id)
                .load(connection.with(permit))?;
            for ids in ids.chunks(CHUNK) {
                diesel::delete($table::table.filter($table::$column.eq_any(ids))).execute(connection.with(permit))?;
            }
        })+};
        ($($table:ident),+ $(,)?) => {$(
            diesel::delete($table::table.filter($table::member_id.eq(member))).execute(connection.with(permit))?;
        )+};
    }
    let measured: Vec<Id> =
        measures::table.filter(measures::member_id.eq(member)).select(measures::id).load(connection.with(permit))?;
    for ids in measured.chunks(CHUNK) {
        let marks: Vec<Id> =
            risks::table.filter(risks::measure_id.eq_any(ids)).select(risks::id).load(connection.with(permit))?;
        for marks in marks.chunks(CHUNK) {
            diesel::delete(risk_steps::table.filter(risk_steps::risk_id.eq_any(marks)))
                .execute(connection.with(permit))?;
        }
        diesel::delete(risks::table.filter(risks::measure_id.eq_any(ids))).execute(connection.with(permit))?;
    }
    remove!(
        measure_versions.measure_id of measures,
        progress_entry_addenda.progress_entry_id of progress_entries,
        goal_wordings.goal_id of goals,
        goal_rating_versions.rating_id of goal_ratings,
        homework_report_versions.report_id of homework_reports,
        amendment_steps.request_id of amendment_requests,
    );
    remove!(measures, progress_entries, goal_ratings, goals, homework_reports, homework, reviews, signatures);
    remove!(amendment_requests, disclosures, retention_holds);
    leaving::remove_attendances(connection, permit, member)?;
    diesel::update(invitations::table.filter(invitations::member_id.eq(member)))
        .set(invitations::member_id.eq(None::<Id>))
        .execute(connection.with(permit))?;
    leaving::remove(connection, permit, group, member)
}

// Holds.

/// That a record is held.
#[derive(Clone, Debug)]
pub struct Hold {
    pub reason: String,
    pub placed_by: Id,
    pub placed_at: Moment,
}

/// The hold on a member's record, where there is one.
pub fn find_hold<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<Option<Hold>, Problem> {
    check_member(connection, permit, member)?;
    let row: Option<(Id, Sealed, Id, Moment)> = retention_holds::table
        .filter(retention_holds::member_id.eq(member))
        .filter(retention_holds::ended_at.is_null())
        .select((retention_holds::id, retention_holds::reason, retention_holds::placed_by, retention_holds::placed_at))
        .first(connection.with(permit))
        .optional()?;
    let Some((id, sealed, placed_by, placed_at)) = row else { return Ok(None) };
    let reason = connection.keys([member])?.of(member)?.open(Place(REASON, id), &sealed)?;
    Ok(Some(Hold { reason, placed_by, placed_at }))
}

/// Refuses a member of another group as if there were none. The name stays closed: whoever holds a record need not know it.
fn check_member<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, member: Id) -> Result<(), Problem> {
    let _: Id = members::table
        .filter(members::id.eq(member))
        .filter(members::group_id.eq(permit.group()))
        .select(members::id)
        .first(connection.with(permit))?;
    concerns(connection, permit, Some(member), None);
    Ok(())
}

/// Holds a member's record; a hold that was there ends, and stays to be read.
///
/// # Errors
/// `NotFound` when the record has gone meanwhile; those of [`end_hold`].
pub fn insert_hold(
    connection: &mut Connection,
    permit: &Permit<act::HoldRecord>,
    member: Id,
    reason: &str,
) -> Result<(), Problem> {
    if !lock_member(connection, permit, member)? {
        return Err(Problem::NotFound);
    }
    end_hold(connection, permit, member)?;
    let (id, now) = (Id::in_order(), connection.now);
    let sealed = connection.keys([member])?.of(member)?.seal(Place(REASON, id), reason);
    diesel::insert_into(retention_holds::table)
        .values((
            retention_holds::id.eq(id),
            retention_holds::group_id.eq(permit.group()),
            retention_holds::member_id.eq(member),
            retention_holds::reason.eq(sealed),
            retention_holds::placed_by.eq(permit.account()),
            retention_holds::placed_at.eq(now),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Ends the hold on a member's record, where there is one.
///
/// # Errors
/// `Conflict` when somebody else placed it and the caller is no privacy officer: a record may be held for what the
/// one who leads has done.
pub fn end_hold(connection: &mut Connection, permit: &Permit<act::HoldRecord>, member: Id) -> Result<(), Problem> {
    check_member(connection, permit, member)?;
    let now = connection.now;
    let live = || {
        retention_holds::table.filter(retention_holds::member_id.eq(member)).filter(retention_holds::ended_at.is_null())
    };
    if permit.standing() != Some(Standing::PrivacyOfficer) {
        let foreign: Option<Id> = live()
            .filter(retention_holds::placed_by.ne(permit.account()))
            .select(retention_holds::id)
            .first(connection.with(permit))
            .optional()?;
        if foreign.is_some() {
            return Err(Problem::Conflict(
                "Somebody else holds this record: they release it, or a privacy officer does.".into(),
            ));
        }
    }
    diesel::update(live())
        .set((retention_holds::ended_by.eq(permit.account()), retention_holds::ended_at.eq(now)))
        .execute(connection.with(permit))?;
    Ok(())
}
