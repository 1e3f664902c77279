//! The rows of outcome figures, read in passing and never held all at once; and reports as they were released.

use std::collections::{BTreeSet, HashMap};

use diesel::{
    dsl::{count_star, exists, min, sum},
    prelude::*,
};

use super::{
    columns::{Json, Sealed},
    connection::{Connection, insert_unless_there},
    permit::Permit,
    schema::{
        agenda_deliveries, agenda_items, agreements, attendances, check_ins, groups, head_counts, measures, members,
        membership_intervals, organizations, outcome_releases, retired_outcomes, sessions, signatures, standings,
    },
    sealing::Place,
};
use crate::{
    policy::{Act, Kind, Standing, act},
    problem::Problem,
    rules::{
        agreements::Purpose,
        attendance::Status,
        check_ins::{Said, shown_to},
        instruments::NoScore,
        members::State,
        outcomes::{Course, Gone, Item, Taken, Visit},
        sessions::{Delivered, State as SessionState},
        suppression::Quarter,
    },
    values::{Day, Id, Moment},
};

/// Members that are in memory at a time.
pub const PAGE: usize = 200;

const FIGURES: &str = "outcome_releases.figures";
const CONTENT: &str = "check_ins.content";
const RETIRED: &str = "retired_outcomes.totals";

type Outcomes = Permit<act::ReadGroupOutcomes>;
type Report = Permit<act::ReadOutcomeReport>;

/// A membership of a page.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = members)]
struct Membership {
    id: Id,
    #[diesel(column_name = account_id)]
    account: Option<Id>,
    state: State,
    state_from: Moment,
    created_at: Moment,
}

/// The group's memberships after one, by id.
fn page_of<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    after: Option<Id>,
) -> Result<Vec<Membership>, Problem> {
    let mut query = members::table
        .filter(members::group_id.eq(group))
        .filter(members::erased_at.is_null())
        .order(members::id)
        .limit(PAGE as i64)
        .select(Membership::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(members::id.gt(after));
    }
    Ok(query.load(connection.with(permit))?)
}

/// When each of these was first active, as far as it was recorded before a moment; whoever never was is left out.
fn first_active<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    page: &[Id],
    before: Moment,
) -> Result<HashMap<Id, Moment>, Problem> {
    let rows: Vec<(Id, Option<Moment>)> = membership_intervals::table
        .filter(membership_intervals::member_id.eq_any(page))
        .filter(membership_intervals::state.eq(State::Active))
        .filter(membership_intervals::recorded_at.lt(before))
        .group_by(membership_intervals::member_id)
        .select((membership_intervals::member_id, min(membership_intervals::from_at)))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().filter_map(|(member, at)| Some((member, at?))).collect())
}

/// Consents of some memberships, as they stand now.
struct Consents {
    /// Who stands under one.
    standing: BTreeSet<Id>,
    /// Who withdrew theirs, and gave none that stands: what they answered is not used any more.
    withdrawn: BTreeSet<Id>,
}

/// The consents that these signed before a moment.
fn consents<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    page: &[Id],
    before: Moment,
) -> Result<Consents, Problem> {
    let rows: Vec<(Id, Option<Moment>)> = signatures::table
        .inner_join(agreements::table.on(agreements::id.eq(signatures::agreement_id)))
        .filter(signatures::member_id.eq_any(page))
        .filter(signatures::signed_at.lt(before))
        .filter(agreements::purpose.eq(Purpose::Consent))
        .select((signatures::member_id, signatures::withdrawn_at))
        .load(connection.with(permit))?;
    let standing: BTreeSet<Id> = rows.iter().filter(|(_, at)| at.is_none()).map(|(member, _)| *member).collect();
    let withdrawn = rows.into_iter().map(|(member, _)| member).filter(|member| !standing.contains(member)).collect();
    Ok(Consents { standing, withdrawn })
}

/// What these were measured with before a moment, and recorded before it, by member.
fn taken_by<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    page: &[Id],
    before: Moment,
) -> Result<HashMap<Id, Vec<Taken>>, Problem> {
    type Row = (Id, Id, String, String, Moment, Option<i32>, Option<String>);
    let rows: Vec<Row> = measures::table
        .filter(measures::member_id.eq_any(page))
        .filter(measures::taken_at.lt(before))
        .filter(measures::recorded_at.lt(before))
        .filter(measures::entered_in_error.eq(false))
        .select((
            measures::member_id,
            measures::id,
            measures::instrument,
            measures::instrument_version,
            measures::taken_at,
            measures::score,
            measures::no_score,
        ))
        .load(connection.with(permit))?;
    let mut found: HashMap<Id, Vec<Taken>> = HashMap::new();
    for (member, id, instrument, version, taken_at, score, no_score) in rows {
        let why = || no_score.and_then(|reason| serde_json::from_str(&reason).ok()).unwrap_or(NoScore::NoTotal {});
        let score = score.ok_or_else(why);
        // The registry refuses a version that is no number.
        let version = version.parse().unwrap_or(0);
        found.entry(member).or_default().push(Taken { id, instrument, version, taken_at, score });
    }
    Ok(found)
}

/// Reads the memberships of the group that ever were active, a page at a time.
pub fn read_courses(
    connection: &mut Connection,
    permit: &Outcomes,
    mut each: impl FnMut(&[Course]),
) -> Result<(), Problem> {
    let group = permit.group();
    let held = list_held(connection, permit, group)?;
    let mut after = None;
    loop {
        let page = page_of(connection, permit, group, after)?;
        after = page.last().map(|membership| membership.id);
        let is_last = page.len() < PAGE;
        each(&list_courses(connection, permit, group, &held, page)?);
        if is_last {
            return Ok(());
        }
    }
}

/// The group's held sessions with their beginnings.
fn list_held<A: Act>(connection: &mut Connection, permit: &Permit<A>, group: Id) -> Result<Vec<(Id, Moment)>, Problem> {
    Ok(sessions::table
        .filter(sessions::group_id.eq(group))
        .filter(sessions::state.eq(SessionState::Held))
        .select((sessions::id, sessions::starts_at))
        .load(connection.with(permit))?)
}

/// The courses of those of a page who ever were active.
fn list_courses<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    held: &[(Id, Moment)],
    page: Vec<Membership>,
) -> Result<Vec<Course>, Problem> {
    // Since they came last and went, with nothing said about them.
    let held_since = |state_from: Moment, visits: &[Visit]| {
        let came = visits.iter().rev().find(|visit| visit.status.was_there()).map(|visit| visit.starts_at);
        let is_said = |session: &Id| visits.iter().any(|visit| visit.session == *session);
        let since = held.iter().filter(|(_, at)| *at >= state_from && came.is_none_or(|came| *at > came));
        since.filter(|(session, _)| !is_said(session)).count()
    };
    let ids: Vec<Id> = page.iter().map(|membership| membership.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let active = first_active(connection, permit, &ids, Moment::FAR)?;
    let consents = consents(connection, permit, &ids, Moment::FAR)?;
    let mut taken = taken_by(connection, permit, &ids, Moment::FAR)?;
    let mut visits = visits_by(connection, permit, group, &ids)?;
    let belonged = page.into_iter().filter(|membership| active.contains_key(&membership.id));
    Ok(belonged
        .map(|Membership { id, state, state_from, .. }| {
            let visits = visits.remove(&id).unwrap_or_default();
            Course {
                state,
                is_withdrawn: consents.withdrawn.contains(&id),
                taken: taken.remove(&id).unwrap_or_default(),
                held_since: held_since(state_from, &visits),
                visits,
            }
        })
        .collect())
}

/// What those whose records are gone left behind in the group's figures.
pub fn find_gone<A: Act>(connection: &mut Connection, permit: &Permit<A>, group: Id) -> Result<Gone, Problem> {
    let kept: Option<Sealed> = retired_outcomes::table
        .find(group)
        .select(retired_outcomes::totals)
        .first(connection.with(permit))
        .optional()?;
    let Some(sealed) = kept else { return Ok(Gone::default()) };
    let text = connection.keys([group])?.of(group)?.open(Place(RETIRED, group), &sealed)?;
    serde_json::from_str(&text).map_err(|_| Problem::Internal("kept figures cannot be read".into()))
}

/// Adds what a member came to to what those who have gone leave behind: before their record is removed.
pub(super) fn retire(
    connection: &mut Connection,
    permit: &Permit<act::RunRetention>,
    group: Id,
    member: Id,
) -> Result<(), Problem> {
    let membership: Vec<Membership> = members::table
        .filter(members::id.eq(member))
        .filter(members::group_id.eq(group))
        .select(Membership::as_select())
        .load(connection.with(permit))?;
    let held = list_held(connection, permit, group)?;
    let (sessions, delivered) = list_delivered_in(connection, permit, group)?;
    let sessions = by_session(sessions, &delivered);
    let mut gone = find_gone(connection, permit, group)?;
    for course in list_courses(connection, permit, group, &held, membership)? {
        gone.add(&course, &sessions);
    }
    let text = serde_json::to_string(&gone).map_err(|_| Problem::Internal("figures cannot be written".into()))?;
    let sealed = connection.keys([group])?.of(group)?.seal(Place(RETIRED, group), &text);
    let changed = diesel::update(retired_outcomes::table.find(group))
        .set(retired_outcomes::totals.eq(&sealed))
        .execute(connection.with(permit))?;
    if changed == 0 {
        diesel::insert_into(retired_outcomes::table)
            .values((retired_outcomes::group_id.eq(group), retired_outcomes::totals.eq(sealed)))
            .execute(connection.with(permit))?;
    }
    Ok(())
}

/// What was delivered in each held session, with the minutes that it took.
pub fn by_session(held: Vec<HeldSession>, delivered: &[DeliveredItem]) -> HashMap<Id, (Vec<Item<'_>>, i32)> {
    let mut sessions: HashMap<Id, (Vec<Item>, i32)> =
        held.into_iter().map(|(session, minutes)| (session, (Vec::new(), minutes))).collect();
    for (session, technique, how, minutes) in delivered {
        if let Some((items, _)) = sessions.get_mut(session) {
            items.push(Item { technique, delivered: *how, minutes: *minutes });
        }
    }
    sessions
}

fn visits_by<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    page: &[Id],
) -> Result<HashMap<Id, Vec<Visit>>, Problem> {
    let rows: Vec<(Id, Id, Moment, Status, i32)> = attendances::table
        .filter(attendances::member_id.eq_any(page))
        .filter(attendances::group_id.eq(group))
        .order((attendances::member_id, attendances::starts_at, attendances::id))
        .select((
            attendances::member_id,
            attendances::session_id,
            attendances::starts_at,
            attendances::status,
            attendances::minutes,
        ))
        .load(connection.with(permit))?;
    let mut found: HashMap<Id, Vec<Visit>> = HashMap::new();
    for (member, session, starts_at, status, minutes) in rows {
        found.entry(member).or_default().push(Visit { session, starts_at, status, minutes });
    }
    Ok(found)
}

/// How many sessions were held, and how many were cancelled.
pub fn count_sessions(connection: &mut Connection, permit: &Outcomes) -> Result<(i64, i64), Problem> {
    let rows: Vec<(SessionState, i64)> = sessions::table
        .filter(sessions::group_id.eq(permit.group()))
        .group_by(sessions::state)
        .select((sessions::state, count_star()))
        .load(connection.with(permit))?;
    let of = |state| rows.iter().find(|(found, _)| *found == state).map_or(0, |(_, count)| *count);
    Ok((of(SessionState::Held), of(SessionState::Cancelled)))
}

/// A held session and the minutes that it took; as many as were planned where its end is not known.
pub type HeldSession = (Id, i32);

/// Something delivered in a session: the session, the technique, how far, and for how many minutes.
pub type DeliveredItem = (Id, String, Delivered, i32);

/// The group's held sessions, and what was delivered in them.
pub fn list_delivered(
    connection: &mut Connection,
    permit: &Outcomes,
) -> Result<(Vec<HeldSession>, Vec<DeliveredItem>), Problem> {
    list_delivered_in(connection, permit, permit.group())
}

fn list_delivered_in<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
) -> Result<(Vec<HeldSession>, Vec<DeliveredItem>), Problem> {
    type Row = (Id, i32, Option<Moment>, Option<Moment>);
    let held: Vec<Row> = sessions::table
        .filter(sessions::group_id.eq(group))
        .filter(sessions::state.eq(SessionState::Held))
        .select((sessions::id, sessions::minutes, sessions::held_from, sessions::held_until))
        .load(connection.with(permit))?;
    let took = |(id, planned, from, until): Row| {
        let took = from.zip(until).map(|(from, until)| until.minutes_since(from).max(0) as i32);
        (id, took.unwrap_or(planned))
    };
    let items = sessions::table
        .inner_join(agenda_deliveries::table.on(agenda_deliveries::session_id.eq(sessions::id)))
        .inner_join(agenda_items::table.on(agenda_items::id.eq(agenda_deliveries::item_id)))
        .filter(sessions::group_id.eq(group))
        .filter(sessions::state.eq(SessionState::Held))
        .select((sessions::id, agenda_items::technique, agenda_deliveries::delivered, agenda_deliveries::minutes))
        .load(connection.with(permit))?;
    Ok((held.into_iter().map(took).collect(), items))
}

/// How many heads were counted at a peer-led group's sessions, and at how many of them. Who came is left out even where
/// it is kept: sums over it would fall when somebody erases what is theirs, and tell what that was.
pub fn count_heads(connection: &mut Connection, permit: &Outcomes) -> Result<(i64, i64), Problem> {
    let (counted, heads): (i64, Option<i64>) = head_counts::table
        .filter(head_counts::group_id.eq(permit.group()))
        .select((count_star(), sum(head_counts::heads)))
        .first(connection.with(permit))?;
    Ok((counted, heads.unwrap_or(0)))
}

/// Since when the group is there.
pub fn find_group_begin(connection: &mut Connection, permit: &Outcomes) -> Result<Moment, Problem> {
    Ok(groups::table.find(permit.group()).select(groups::created_at).first(connection.with(permit))?)
}

/// Reads what each member shared in check-ins of these days, one member after the other. Entries that only their author
/// reads are left out, and those of members who have gone: nobody in the group sees them either.
pub fn read_check_ins(
    connection: &mut Connection,
    permit: &Outcomes,
    from: Day,
    until: Day,
    mut each: impl FnMut(&[Said]),
) -> Result<(), Problem> {
    let (visibilities, states) = shown_to(Some(Standing::Facilitator));
    let mut after = None;
    loop {
        let page = page_of(connection, permit, permit.group(), after)?;
        after = page.last().map(|membership| membership.id);
        let is_last = page.len() < PAGE;
        let here = page.into_iter().filter(|membership| states.contains(&membership.state));
        for member in here.map(|membership| membership.id) {
            let rows: Vec<(Id, Sealed)> = check_ins::table
                .filter(check_ins::member_id.eq(member))
                .filter(check_ins::visibility.eq_any(visibilities.iter().copied()))
                .filter(check_ins::local_day.ge(from))
                .filter(check_ins::local_day.lt(until))
                .select((check_ins::id, check_ins::content))
                .load(connection.with(permit))?;
            if rows.is_empty() {
                continue;
            }
            let keys = connection.keys([member])?;
            let key = keys.of(member)?;
            let said: Vec<Said> = rows
                .iter()
                .map(|(id, content)| {
                    let text = key.open(Place(CONTENT, *id), content)?;
                    serde_json::from_str(&text).map_err(|_| Problem::Internal("a kept check-in cannot be read".into()))
                })
                .collect::<Result<_, Problem>>()?;
            each(&said);
        }
        if is_last {
            return Ok(());
        }
    }
}

// For those outside the groups.

/// A group of the organization, as a report sorts it.
#[derive(Clone, Debug)]
pub struct ReportedGroup {
    pub id: Id,
    pub kind: Kind,
    /// In alphabetical order.
    pub conditions: Vec<String>,
    pub zone: String,
}

/// Since when the organization is there.
pub fn find_begin(connection: &mut Connection, permit: &Report) -> Result<Moment, Problem> {
    Ok(organizations::table
        .find(permit.organization())
        .select(organizations::created_at)
        .first(connection.with(permit))?)
}

pub fn list_groups(connection: &mut Connection, permit: &Report) -> Result<Vec<ReportedGroup>, Problem> {
    let rows: Vec<(Id, Kind, Json, String)> = groups::table
        .filter(groups::organization_id.eq(permit.organization()))
        .order(groups::id)
        .select((groups::id, groups::kind, groups::conditions, groups::zone))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(id, kind, conditions, zone)| {
            let mut conditions: Vec<String> = conditions.value();
            conditions.sort_unstable();
            conditions.dedup();
            ReportedGroup { id, kind, conditions, zone }
        })
        .collect())
}

/// Who leads some of these groups, or ever did: by account, the places of their groups.
pub fn list_leads(
    connection: &mut Connection,
    permit: &Report,
    groups: &[ReportedGroup],
) -> Result<HashMap<Id, BTreeSet<usize>>, Problem> {
    let rows: Vec<(Id, Option<Id>)> = standings::table
        .filter(standings::organization_id.eq(permit.organization()))
        .filter(standings::group_id.is_not_null())
        .select((standings::account_id, standings::group_id))
        .load(connection.with(permit))?;
    let places: HashMap<Id, usize> = groups.iter().enumerate().map(|(place, group)| (group.id, place)).collect();
    let mut led: HashMap<Id, BTreeSet<usize>> = HashMap::new();
    for (account, group) in rows {
        let place = group.and_then(|group| places.get(&group));
        led.entry(account).or_default().extend(place);
    }
    Ok(led)
}

/// Somebody whom a report counts. Nothing in it names them.
#[derive(Clone, Debug)]
pub struct ReportedPerson {
    pub taken: Vec<Taken>,
    /// The accounts that invited them, screened them or made them active, but for their own.
    pub admitted_by: BTreeSet<Id>,
}

/// Reads the people who first joined a therapist-led group in the quarter, and joined this one: each with everything that
/// was measured, and recorded, before `until` in any such group of the organization where their consent stands. Somebody
/// who is in several counts once, where they came first; somebody who withdrew a consent does not count. No account leads
/// from one membership of a closed account to another: they count as people of their own.
///
/// Whoever administrates can make up memberships with any date, accounts for them, and answers; with enough of these beside
/// one real person, a report would be about that person. So a membership counts by what others say: one who leads or led
/// this group recorded before `until` that they came to a session of it that was held, and they consented. What was made
/// after `until` counts for nothing, whatever date it gives itself.
pub fn read_people(
    connection: &mut Connection,
    permit: &Report,
    group: &ReportedGroup,
    quarter: Quarter,
    until: Moment,
    mut each: impl FnMut(ReportedPerson),
) -> Result<(), Problem> {
    let Some((from, to)) = quarter.begins_at(&group.zone).zip(quarter.next().begins_at(&group.zone)) else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let page = page_of(connection, permit, group.id, after)?;
        after = page.last().map(|membership| membership.id);
        let is_last = page.len() < PAGE;
        let ids: Vec<Id> = page.iter().map(|membership| membership.id).collect();
        if !ids.is_empty() {
            let active = first_active(connection, permit, &ids, until)?;
            let came = came(connection, permit, &ids, until)?;
            let joined = page.into_iter().filter(|membership| membership.created_at < until);
            let joined: Vec<Membership> = joined
                .filter(|membership| active.get(&membership.id).is_some_and(|at| (from..to).contains(at)))
                .filter(|membership| came.contains(&membership.id))
                .collect();
            persons(connection, permit, &joined, until)?.into_iter().for_each(&mut each);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Who of these came to a held session of their group, as one who leads it or did recorded before a moment.
fn came(connection: &mut Connection, permit: &Report, page: &[Id], before: Moment) -> Result<BTreeSet<Id>, Problem> {
    let there: Vec<Status> = Status::ALL.iter().copied().filter(|status| status.was_there()).collect();
    let leads = standings::table
        .filter(standings::account_id.eq(attendances::recorded_by))
        .filter(standings::group_id.eq(attendances::group_id.nullable()));
    // A look-up for each member that ends with the first: of a join over them all PostgreSQL makes a pass through whole tables.
    let first = attendances::table
        .inner_join(sessions::table.on(sessions::id.eq(attendances::session_id)))
        .filter(attendances::member_id.eq(members::id))
        .filter(attendances::status.eq_any(there))
        .filter(attendances::recorded_at.lt(before))
        .filter(sessions::state.eq(SessionState::Held))
        .filter(exists(leads))
        .select(attendances::id)
        .single_value();
    let rows: Vec<Id> = members::table
        .filter(members::id.eq_any(page))
        .filter(first.is_not_null())
        .select(members::id)
        .load(connection.with(permit))?;
    Ok(rows.into_iter().collect())
}

/// Who let each of these in, as far as it was recorded before a moment.
fn admitted_by(
    connection: &mut Connection,
    permit: &Report,
    page: &[Id],
    before: Moment,
) -> Result<HashMap<Id, BTreeSet<Id>>, Problem> {
    let rows: Vec<(Id, Id)> = membership_intervals::table
        .filter(membership_intervals::member_id.eq_any(page))
        .filter(membership_intervals::state.eq_any([State::Invited, State::Screened, State::Active]))
        .filter(membership_intervals::recorded_at.lt(before))
        .select((membership_intervals::member_id, membership_intervals::recorded_by))
        .load(connection.with(permit))?;
    let mut found: HashMap<Id, BTreeSet<Id>> = HashMap::new();
    for (member, account) in rows {
        found.entry(member).or_default().insert(account);
    }
    Ok(found)
}

/// Those of these people who joined no therapist-led group before, and consented.
fn persons(
    connection: &mut Connection,
    permit: &Report,
    joined: &[Membership],
    until: Moment,
) -> Result<Vec<ReportedPerson>, Problem> {
    if joined.is_empty() {
        return Ok(Vec::new());
    }
    let accounts: Vec<Id> = joined.iter().filter_map(|membership| membership.account).collect();
    let mut memberships: HashMap<Id, Vec<Id>> = HashMap::new();
    if !accounts.is_empty() {
        // Whether it is this organization is asked of each group that was found: as a condition, it makes SQLite begin
        // with every group of the organization and look for every account in each.
        let rows: Vec<(Id, Option<Id>, bool)> = members::table
            .inner_join(groups::table.on(groups::id.eq(members::group_id)))
            .filter(members::account_id.eq_any(&accounts))
            .filter(members::created_at.lt(until))
            .filter(groups::kind.eq(Kind::TherapistLed))
            .select((members::id, members::account_id, groups::organization_id.eq(permit.organization())))
            .load(connection.with(permit))?;
        for (member, account, _) in rows.into_iter().filter(|(_, _, is_here)| *is_here) {
            memberships.entry(account.unwrap_or(member)).or_default().push(member);
        }
    }
    let all_of = |membership: &Membership| -> Vec<Id> {
        let of_account = membership.account.and_then(|account| memberships.get(&account).cloned());
        of_account.unwrap_or_else(|| vec![membership.id])
    };
    let everybody: Vec<Id> = joined.iter().flat_map(all_of).collect();
    let active = first_active(connection, permit, &everybody, until)?;
    let consents = consents(connection, permit, &everybody, until)?;
    let mut admitted_by = admitted_by(connection, permit, &everybody, until)?;
    let mut taken = taken_by(connection, permit, &everybody, until)?;
    let mut found = Vec::with_capacity(joined.len());
    for membership in joined {
        let own = all_of(membership);
        let first = own.iter().filter_map(|member| Some((*active.get(member)?, *member))).min();
        let is_withdrawn = own.iter().any(|member| consents.withdrawn.contains(member));
        if first.map(|(_, member)| member) != Some(membership.id)
            || is_withdrawn
            || !consents.standing.contains(&membership.id)
        {
            continue;
        }
        let consented = own.iter().filter(|member| consents.standing.contains(member));
        let mut by = admitted_by.remove(&membership.id).unwrap_or_default();
        membership.account.map(|account| by.remove(&account));
        found.push(ReportedPerson {
            taken: consented.flat_map(|member| taken.remove(member).unwrap_or_default()).collect(),
            admitted_by: by,
        });
    }
    Ok(found)
}

/// What a group's sessions of a quarter came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meetings {
    pub held: u32,
    /// Everybody at every session, as far as they were counted.
    pub visits: u32,
    /// The most that were at one session: so many people at least stand behind the visits.
    pub most: u32,
    /// Everybody who was recorded as absent from one, excused or not.
    pub absences: u32,
    /// Of these absences, those of people who ever came: the others may be of nobody.
    pub absences_of_known: u32,
}

/// Counts what was recorded of the quarter before `until`.
pub fn count_meetings(
    connection: &mut Connection,
    permit: &Report,
    group: &ReportedGroup,
    quarter: Quarter,
    until: Moment,
) -> Result<Meetings, Problem> {
    let Some((from, to)) = quarter.begins_at(&group.zone).zip(quarter.next().begins_at(&group.zone)) else {
        return Ok(Meetings::default());
    };
    let held: i64 = sessions::table
        .filter(sessions::group_id.eq(group.id))
        .filter(sessions::state.eq(SessionState::Held))
        .filter(sessions::starts_at.ge(from))
        .filter(sessions::starts_at.lt(to))
        .count()
        .get_result(connection.with(permit))?;
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    let mut meetings = Meetings { held: count(held), ..Meetings::default() };
    // By session: who was there, who was not.
    let mut by_session: HashMap<Id, (i64, i64)> = HashMap::new();
    match group.kind {
        Kind::TherapistLed => {
            let of_quarter = attendances::table
                .filter(attendances::group_id.eq(group.id))
                .filter(attendances::starts_at.ge(from))
                .filter(attendances::starts_at.lt(to))
                .filter(attendances::recorded_at.lt(until));
            let rows: Vec<(Id, Status, i64)> = of_quarter
                .group_by((attendances::session_id, attendances::status))
                .select((attendances::session_id, attendances::status, count_star()))
                .load(connection.with(permit))?;
            for (session, status, people) in rows {
                let (there, absent) = by_session.entry(session).or_default();
                *(if status.was_there() { there } else { absent }) += people;
            }
            let absent: Vec<Status> = Status::ALL.iter().copied().filter(|status| !status.was_there()).collect();
            let absences: Vec<(Id, i64)> = of_quarter
                .filter(attendances::status.eq_any(absent))
                .group_by(attendances::member_id)
                .select((attendances::member_id, count_star()))
                .load(connection.with(permit))?;
            for page in absences.chunks(PAGE) {
                let ids: Vec<Id> = page.iter().map(|(member, _)| *member).collect();
                let came = came(connection, permit, &ids, until)?;
                let of_known = page.iter().filter(|(member, _)| came.contains(member));
                meetings.absences_of_known += of_known.map(|(_, absences)| count(*absences)).sum::<u32>();
            }
        }
        Kind::PeerLed => {
            let rows: Vec<(Id, i32)> = sessions::table
                .inner_join(head_counts::table.on(head_counts::session_id.eq(sessions::id)))
                .filter(sessions::group_id.eq(group.id))
                .filter(sessions::starts_at.ge(from))
                .filter(sessions::starts_at.lt(to))
                .filter(head_counts::recorded_at.lt(until))
                .select((sessions::id, head_counts::heads))
                .load(connection.with(permit))?;
            by_session.extend(rows.into_iter().map(|(session, heads)| (session, (i64::from(heads), 0))));
        }
    }
    for (there, absent) in by_session.into_values() {
        meetings.visits += count(there);
        meetings.most = meetings.most.max(count(there));
        meetings.absences += count(absent);
    }
    Ok(meetings)
}

/// A report as it was released.
#[derive(Clone, Debug)]
pub struct Release {
    /// The k under which it was released.
    pub k: u32,
    pub figures: String,
}

/// What the organization was shown of a quarter; none before it was asked for.
pub fn find_release(
    connection: &mut Connection,
    permit: &Report,
    quarter: Quarter,
) -> Result<Option<Release>, Problem> {
    find_at(connection, permit, permit.organization(), quarter)
}

/// Keeps what is shown of a quarter, unless something is kept already: whoever comes second gets that.
pub fn insert_release(
    connection: &mut Connection,
    permit: &Report,
    quarter: Quarter,
    release: &Release,
) -> Result<Release, Problem> {
    insert_at(connection, permit, permit.organization(), quarter, release)
}

/// What the group's leads were shown of a quarter's check-ins; none before it was asked for.
pub fn find_group_release(
    connection: &mut Connection,
    permit: &Outcomes,
    quarter: Quarter,
) -> Result<Option<Release>, Problem> {
    find_at(connection, permit, permit.group(), quarter)
}

/// Keeps what the group's leads are shown of a quarter's check-ins, unless something is kept already.
pub fn insert_group_release(
    connection: &mut Connection,
    permit: &Outcomes,
    quarter: Quarter,
    release: &Release,
) -> Result<Release, Problem> {
    insert_at(connection, permit, permit.group(), quarter, release)
}

fn find_at<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    scope: Id,
    quarter: Quarter,
) -> Result<Option<Release>, Problem> {
    let found: Option<(Id, i32, Sealed)> = outcome_releases::table
        .filter(outcome_releases::scope_id.eq(scope))
        .filter(outcome_releases::quarter.eq(quarter.to_string()))
        .select((outcome_releases::id, outcome_releases::smallest_count, outcome_releases::figures))
        .first(connection.with(permit))
        .optional()?;
    let Some((id, k, sealed)) = found else { return Ok(None) };
    let figures = connection.keys([scope])?.of(scope)?.open(Place(FIGURES, id), &sealed)?;
    Ok(Some(Release { k: k.unsigned_abs(), figures }))
}

fn insert_at<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    scope: Id,
    quarter: Quarter,
    release: &Release,
) -> Result<Release, Problem> {
    let (id, now) = (Id::in_order(), connection.now);
    let figures = connection.keys([scope])?.of(scope)?.seal(Place(FIGURES, id), &release.figures);
    let row = (
        outcome_releases::id.eq(id),
        outcome_releases::scope_id.eq(scope),
        outcome_releases::quarter.eq(quarter.to_string()),
        outcome_releases::smallest_count.eq(release.k as i32),
        outcome_releases::figures.eq(figures),
        outcome_releases::released_at.eq(now),
    );
    insert_unless_there!(connection.with(permit), outcome_releases::table, row)?;
    find_at(connection, permit, scope, quarter)?.ok_or_else(|| Problem::Internal("a kept release is gone".into()))
}
