//! The rows of outcome figures, read in passing and never held all at once; and reports as they were released.

use std::collections::{BTreeSet, HashMap};

use diesel::{
    dsl::{count_star, min, sum},
    prelude::*,
};

use super::{
    columns::{Json, Sealed},
    connection::{Connection, insert_unless_there},
    permit::Permit,
    schema::{
        agenda_deliveries, agenda_items, agreements, attendances, check_ins, groups, head_counts, measures, members,
        membership_intervals, organizations, outcome_releases, sessions, signatures, standings,
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
        outcomes::{Course, Taken, Visit},
        sessions::{Delivered, State as SessionState},
        suppression::Quarter,
    },
    values::{Day, Id, Moment},
};

/// Members that are in memory at a time.
pub const PAGE: usize = 200;

const FIGURES: &str = "outcome_releases.figures";
const CONTENT: &str = "check_ins.content";

type Outcomes = Permit<act::ReadGroupOutcomes>;
type Report = Permit<act::ReadOutcomeReport>;

/// A membership of a page: its id, where it stands, and the account behind it.
type Membership = (Id, State, Option<Id>);

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
        .select((members::id, members::state, members::account_id))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(members::id.gt(after));
    }
    Ok(query.load(connection.with(permit))?)
}

/// When each of these was first active; whoever never was is left out.
fn first_active<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    page: &[Id],
) -> Result<HashMap<Id, Moment>, Problem> {
    let rows: Vec<(Id, Option<Moment>)> = membership_intervals::table
        .filter(membership_intervals::member_id.eq_any(page))
        .filter(membership_intervals::state.eq(State::Active))
        .group_by(membership_intervals::member_id)
        .select((membership_intervals::member_id, min(membership_intervals::from_at)))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().filter_map(|(member, at)| Some((member, at?))).collect())
}

/// Who of these withdrew their consent, and gave none that stands: what they answered is not used any more.
fn withdrawn<A: Act>(connection: &mut Connection, permit: &Permit<A>, page: &[Id]) -> Result<BTreeSet<Id>, Problem> {
    let rows: Vec<(Id, Option<Moment>)> = signatures::table
        .inner_join(agreements::table.on(agreements::id.eq(signatures::agreement_id)))
        .filter(signatures::member_id.eq_any(page))
        .filter(agreements::purpose.eq(Purpose::Consent))
        .select((signatures::member_id, signatures::withdrawn_at))
        .load(connection.with(permit))?;
    let standing: BTreeSet<Id> = rows.iter().filter(|(_, at)| at.is_none()).map(|(member, _)| *member).collect();
    Ok(rows.into_iter().map(|(member, _)| member).filter(|member| !standing.contains(member)).collect())
}

/// What these were measured with before a moment, by member.
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
    let mut after = None;
    loop {
        let page = page_of(connection, permit, permit.group(), after)?;
        after = page.last().map(|(member, ..)| *member);
        let is_last = page.len() < PAGE;
        let ids: Vec<Id> = page.iter().map(|(member, ..)| *member).collect();
        if !ids.is_empty() {
            let active = first_active(connection, permit, &ids)?;
            let withdrawn = withdrawn(connection, permit, &ids)?;
            let mut taken = taken_by(connection, permit, &ids, Moment::FAR)?;
            let mut visits = visits_by(connection, permit, &ids)?;
            let belonged = page.into_iter().filter(|(member, ..)| active.contains_key(member));
            let courses: Vec<Course> = belonged
                .map(|(member, state, _)| Course {
                    state,
                    is_withdrawn: withdrawn.contains(&member),
                    taken: taken.remove(&member).unwrap_or_default(),
                    visits: visits.remove(&member).unwrap_or_default(),
                })
                .collect();
            each(&courses);
        }
        if is_last {
            return Ok(());
        }
    }
}

fn visits_by(connection: &mut Connection, permit: &Outcomes, page: &[Id]) -> Result<HashMap<Id, Vec<Visit>>, Problem> {
    let rows: Vec<(Id, Id, Status, i32)> = attendances::table
        .filter(attendances::member_id.eq_any(page))
        .filter(attendances::group_id.eq(permit.group()))
        .order((attendances::member_id, attendances::starts_at, attendances::id))
        .select((attendances::member_id, attendances::session_id, attendances::status, attendances::minutes))
        .load(connection.with(permit))?;
    let mut found: HashMap<Id, Vec<Visit>> = HashMap::new();
    for (member, session, status, minutes) in rows {
        found.entry(member).or_default().push(Visit { session, status, minutes });
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
    type Row = (Id, i32, Option<Moment>, Option<Moment>);
    let held: Vec<Row> = sessions::table
        .filter(sessions::group_id.eq(permit.group()))
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
        .filter(sessions::group_id.eq(permit.group()))
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
        after = page.last().map(|(member, ..)| *member);
        let is_last = page.len() < PAGE;
        let here = page.into_iter().filter(|(_, state, _)| states.contains(state));
        for member in here.map(|(member, ..)| member) {
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
    pub title: String,
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
    let rows: Vec<(Id, Kind, String, Json, String)> = groups::table
        .filter(groups::organization_id.eq(permit.organization()))
        .order(groups::id)
        .select((groups::id, groups::kind, groups::title, groups::conditions, groups::zone))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(id, kind, title, conditions, zone)| {
            let mut conditions: Vec<String> = conditions.value();
            conditions.sort_unstable();
            conditions.dedup();
            ReportedGroup { id, kind, title, conditions, zone }
        })
        .collect())
}

/// Who knows some of these groups exactly, as one who leads them or ever did: by person, the places of their groups.
pub fn list_insiders(
    connection: &mut Connection,
    permit: &Report,
    groups: &[ReportedGroup],
) -> Result<Vec<Vec<usize>>, Problem> {
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
    // Who leads the same groups knows the same; a group that nobody leads yet may get somebody.
    let alone = (0..groups.len()).map(|place| BTreeSet::from([place]));
    let all: BTreeSet<BTreeSet<usize>> = led.into_values().chain(alone).collect();
    Ok(all.into_iter().filter(|led| !led.is_empty()).map(|led| led.into_iter().collect()).collect())
}

/// Reads the people who first joined a group of this kind in the quarter, and joined this one: each with everything
/// that was measured before `until` in any such group of the organization. Somebody who is in several counts once, where
/// they came first; somebody who withdrew their consent does not count. No account leads from one membership of a closed
/// account to another: they count as people of their own.
pub fn read_people(
    connection: &mut Connection,
    permit: &Report,
    group: &ReportedGroup,
    quarter: Quarter,
    until: Moment,
    mut each: impl FnMut(&[Taken]),
) -> Result<(), Problem> {
    let Some((from, to)) = quarter.begins_at(&group.zone).zip(quarter.next().begins_at(&group.zone)) else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let page = page_of(connection, permit, group.id, after)?;
        after = page.last().map(|(member, ..)| *member);
        let is_last = page.len() < PAGE;
        let ids: Vec<Id> = page.iter().map(|(member, ..)| *member).collect();
        if !ids.is_empty() {
            let active = first_active(connection, permit, &ids)?;
            let joined =
                page.into_iter().filter(|(member, ..)| active.get(member).is_some_and(|at| (from..to).contains(at)));
            let joined: Vec<(Id, Option<Id>)> = joined.map(|(member, _, account)| (member, account)).collect();
            for of_person in persons(connection, permit, group.kind, &joined, until)? {
                each(&of_person);
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// What is measured of each of these people, of whom none joined another group of the kind before.
fn persons(
    connection: &mut Connection,
    permit: &Report,
    kind: Kind,
    joined: &[(Id, Option<Id>)],
    until: Moment,
) -> Result<Vec<Vec<Taken>>, Problem> {
    if joined.is_empty() {
        return Ok(Vec::new());
    }
    let accounts: Vec<Id> = joined.iter().filter_map(|(_, account)| *account).collect();
    let mut memberships: HashMap<Id, Vec<Id>> = HashMap::new();
    if !accounts.is_empty() {
        let rows: Vec<(Id, Option<Id>)> = members::table
            .inner_join(groups::table.on(groups::id.eq(members::group_id)))
            .filter(members::account_id.eq_any(&accounts))
            .filter(groups::organization_id.eq(permit.organization()))
            .filter(groups::kind.eq(kind))
            .select((members::id, members::account_id))
            .load(connection.with(permit))?;
        for (member, account) in rows {
            memberships.entry(account.unwrap_or(member)).or_default().push(member);
        }
    }
    let all_of = |(member, account): &(Id, Option<Id>)| -> Vec<Id> {
        account.and_then(|account| memberships.get(&account).cloned()).unwrap_or_else(|| vec![*member])
    };
    let everybody: Vec<Id> = joined.iter().flat_map(all_of).collect();
    let active = first_active(connection, permit, &everybody)?;
    let withdrawn = withdrawn(connection, permit, &everybody)?;
    let mut taken = match kind {
        Kind::TherapistLed => taken_by(connection, permit, &everybody, until)?,
        Kind::PeerLed => HashMap::new(),
    };
    let mut found = Vec::with_capacity(joined.len());
    for person in joined {
        let own = all_of(person);
        let first = own.iter().filter_map(|member| Some((*active.get(member)?, *member))).min();
        if first.map(|(_, member)| member) != Some(person.0) || own.iter().any(|member| withdrawn.contains(member)) {
            continue;
        }
        found.push(own.iter().flat_map(|member| taken.remove(member).unwrap_or_default()).collect());
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
}

pub fn count_meetings(
    connection: &mut Connection,
    permit: &Report,
    group: &ReportedGroup,
    quarter: Quarter,
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
    // By session: who was there, who was not.
    let mut by_session: HashMap<Id, (i64, i64)> = HashMap::new();
    match group.kind {
        Kind::TherapistLed => {
            let rows: Vec<(Id, Status, i64)> = attendances::table
                .filter(attendances::group_id.eq(group.id))
                .filter(attendances::starts_at.ge(from))
                .filter(attendances::starts_at.lt(to))
                .group_by((attendances::session_id, attendances::status))
                .select((attendances::session_id, attendances::status, count_star()))
                .load(connection.with(permit))?;
            for (session, status, people) in rows {
                let (there, absent) = by_session.entry(session).or_default();
                *(if status.was_there() { there } else { absent }) += people;
            }
        }
        Kind::PeerLed => {
            let rows: Vec<(Id, i32)> = sessions::table
                .inner_join(head_counts::table.on(head_counts::session_id.eq(sessions::id)))
                .filter(sessions::group_id.eq(group.id))
                .filter(sessions::starts_at.ge(from))
                .filter(sessions::starts_at.lt(to))
                .select((sessions::id, head_counts::heads))
                .load(connection.with(permit))?;
            by_session.extend(rows.into_iter().map(|(session, heads)| (session, (i64::from(heads), 0))));
        }
    }
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    let mut meetings = Meetings { held: count(held), ..Meetings::default() };
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
