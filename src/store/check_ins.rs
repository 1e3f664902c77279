//! Check-ins, sealed under each member's own key.

use std::{cmp::Reverse, collections::HashMap};

use data_encoding::BASE64URL_NOPAD;
use diesel::{dsl::exists, prelude::*};

use super::{
    columns::{Sealed, word_columns},
    connection::Connection,
    idempotency,
    members::list_names,
    permit::{Permit, concerns},
    schema::{check_ins, members},
    sealing::Place,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::check_ins::{Said, Visibility, shown_to},
    values::{Day, Id, Moment},
};

const CONTENT: &str = "check_ins.content";
const POSITION: &str = "check_ins.position";

word_columns!(Visibility);

/// A check-in, as its author sees it.
#[derive(Clone, Debug)]
pub struct CheckIn {
    pub id: Id,
    pub group: Id,
    pub visibility: Visibility,
    pub said: Said,
    /// The day in `zone` at the moment of recording.
    pub local_day: Day,
    pub zone: String,
    pub recorded_at: Moment,
    pub version: i32,
}

/// A check-in, as far as others see it.
#[derive(Clone, Debug)]
pub struct SharedCheckIn {
    pub id: Id,
    pub member: Id,
    /// The member's name in the group.
    pub name: String,
    pub local_day: Day,
    pub said: Said,
    /// Where it stands in the list, sealed: the moment in it is the author's own.
    pub position: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = check_ins)]
struct Row {
    id: Id,
    group_id: Id,
    member_id: Id,
    visibility: Visibility,
    content: Sealed,
    local_day: Day,
    zone: String,
    recorded_at: Moment,
    version: i32,
}

/// What was said in each, in the order of the rows.
fn open(connection: &mut Connection, rows: Vec<Row>) -> Result<Vec<(Row, Said)>, Problem> {
    let keys = connection.keys(rows.iter().map(|row| row.member_id))?;
    rows.into_iter()
        .map(|row| {
            let text = keys.of(row.member_id)?.open(Place(CONTENT, row.id), &row.content)?;
            let said =
                serde_json::from_str(&text).map_err(|_| Problem::Internal("a kept check-in cannot be read".into()))?;
            Ok((row, said))
        })
        .collect()
}

fn open_own(connection: &mut Connection, rows: Vec<Row>) -> Result<Vec<CheckIn>, Problem> {
    let opened = open(connection, rows)?.into_iter().map(|(row, said)| CheckIn {
        id: row.id,
        group: row.group_id,
        visibility: row.visibility,
        said,
        local_day: row.local_day,
        zone: row.zone,
        recorded_at: row.recorded_at,
        version: row.version,
    });
    Ok(opened.collect())
}

/// The caller's membership: check-ins are reached by nobody else's.
fn own_member<A: area::Group>(permit: &Permit<A>) -> Result<Id, Problem> {
    permit.only_member()?.ok_or(Problem::NotFound)
}

/// Keeps what the caller says of themselves.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::RecordCheckIn>,
    said: &Said,
    visibility: Visibility,
    zone: &str,
) -> Result<CheckIn, Problem> {
    let member = own_member(permit)?;
    let now = connection.now;
    // Others may see the id, so it tells nothing about when it was made.
    let check_in = CheckIn {
        id: Id::random(),
        group: permit.group(),
        visibility,
        said: said.clone(),
        local_day: now.day_in(zone),
        zone: zone.to_owned(),
        recorded_at: now,
        version: 1,
    };
    let text = serde_json::to_string(said).map_err(|_| Problem::Internal("a check-in cannot be written".into()))?;
    let content = connection.keys([member])?.of(member)?.seal(Place(CONTENT, check_in.id), &text);
    diesel::insert_into(check_ins::table)
        .values((
            check_ins::id.eq(check_in.id),
            check_ins::group_id.eq(permit.group()),
            check_ins::member_id.eq(member),
            check_ins::visibility.eq(visibility),
            check_ins::content.eq(content),
            check_ins::local_day.eq(check_in.local_day),
            check_ins::zone.eq(zone),
            check_ins::recorded_at.eq(now),
            check_ins::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    Ok(check_in)
}

/// The caller's own check-ins in the group, newest first, after a position.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadCheckIns>,
    after: Option<(Moment, Id)>,
    limit: i64,
) -> Result<Vec<CheckIn>, Problem> {
    let mut query = check_ins::table
        .filter(check_ins::member_id.eq(own_member(permit)?))
        .filter(check_ins::group_id.eq(permit.group()))
        .order((check_ins::recorded_at.desc(), check_ins::id.desc()))
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some((at, id)) = after {
        query = query.filter(check_ins::recorded_at.lt(at).or(check_ins::recorded_at.eq(at).and(check_ins::id.lt(id))));
    }
    let rows = query.load(connection.with(permit))?;
    open_own(connection, rows)
}

/// One of the caller's own check-ins.
///
/// # Errors
/// `NotFound` for another member's, exactly as for one that does not exist.
pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<CheckIn, Problem> {
    let row: Row = check_ins::table
        .filter(check_ins::id.eq(id))
        .filter(check_ins::group_id.eq(permit.group()))
        .filter(check_ins::member_id.eq(own_member(permit)?))
        .select(Row::as_select())
        .first(connection.with(permit))?;
    open_own(connection, vec![row])?.pop().ok_or(Problem::NotFound)
}

/// Shows the version that was read to others from now on, or to fewer.
pub fn update_visibility(
    connection: &mut Connection,
    permit: &Permit<act::ChangeCheckIn>,
    check_in: &CheckIn,
    visibility: Visibility,
) -> Result<(), Problem> {
    let changed = diesel::update(
        check_ins::table
            .filter(check_ins::id.eq(check_in.id))
            .filter(check_ins::group_id.eq(permit.group()))
            .filter(check_ins::member_id.eq(own_member(permit)?))
            .filter(check_ins::version.eq(check_in.version)),
    )
    .set((check_ins::visibility.eq(visibility), check_ins::version.eq(check_in.version + 1)))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Removes one of the caller's own for good.
pub fn remove(connection: &mut Connection, permit: &Permit<act::ChangeCheckIn>, id: Id) -> Result<(), Problem> {
    let removed = diesel::delete(
        check_ins::table
            .filter(check_ins::id.eq(id))
            .filter(check_ins::group_id.eq(permit.group()))
            .filter(check_ins::member_id.eq(own_member(permit)?)),
    )
    .execute(connection.with(permit))?;
    if removed == 0 {
        return Err(Problem::NotFound);
    }
    idempotency::empty(connection, permit, permit.group())
}

/// What members of the group show to somebody of this standing, newest first, after a position of this list.
///
/// # Errors
/// `Unreadable` for a position that this list did not give out.
pub fn list_shared(
    connection: &mut Connection,
    permit: &Permit<act::ReadSharedCheckIns>,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<SharedCheckIn>, Problem> {
    let (visibilities, states) = shown_to(permit.standing());
    let (group, now) = (permit.group(), connection.now);
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    let after: Option<(Moment, Id)> = after
        .map(|position| {
            let sealed = BASE64URL_NOPAD.decode(position.as_bytes()).ok().map(Sealed);
            let text = sealed.and_then(|sealed| key.open(Place(POSITION, group), &sealed).ok());
            text.and_then(|text| serde_json::from_str(&text).ok())
                .ok_or_else(|| Problem::Unreadable("cursor is not one that this list gave out.".into()))
        })
        .transpose()?;
    let mut rows: Vec<Row> = Vec::new();
    // One by one: each reads no more than a page from its index.
    for visibility in visibilities {
        let belongs = members::table
            .filter(members::id.eq(check_ins::member_id))
            .filter(members::state.eq_any(states.iter().copied()))
            .filter(members::barred_until.is_null().or(members::barred_until.le(now)));
        let mut query = check_ins::table
            .filter(check_ins::group_id.eq(group))
            .filter(check_ins::visibility.eq(*visibility))
            .filter(exists(belongs))
            .order((check_ins::recorded_at.desc(), check_ins::id.desc()))
            .limit(limit)
            .select(Row::as_select())
            .into_boxed();
        if let Some((at, id)) = after {
            query =
                query.filter(check_ins::recorded_at.lt(at).or(check_ins::recorded_at.eq(at).and(check_ins::id.lt(id))));
        }
        rows.extend(query.load(connection.with(permit))?);
    }
    rows.sort_unstable_by_key(|row| Reverse((row.recorded_at, row.id)));
    rows.truncate(usize::try_from(limit).unwrap_or(0));
    concerns(connection, permit, None, None);
    let members: Vec<Id> = rows.iter().map(|row| row.member_id).collect();
    let names: HashMap<Id, String> = list_names(connection, permit, &members)?;
    open(connection, rows)?
        .into_iter()
        .map(|(row, said)| {
            let position = serde_json::to_string(&(row.recorded_at, row.id))
                .map_err(|_| Problem::Internal("a position cannot be written".into()))?;
            Ok(SharedCheckIn {
                id: row.id,
                member: row.member_id,
                name: names.get(&row.member_id).cloned().ok_or(Problem::NotFound)?,
                local_day: row.local_day,
                said,
                position: BASE64URL_NOPAD.encode(&key.seal(Place(POSITION, group), &position).0),
            })
        })
        .collect()
}

/// The caller's own check-ins in all their groups since a moment, oldest first.
pub fn list_own(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
    own: &[Id],
    since: Moment,
) -> Result<Vec<CheckIn>, Problem> {
    let rows = check_ins::table
        .filter(check_ins::member_id.eq_any(own))
        .filter(check_ins::recorded_at.ge(since))
        .order((check_ins::recorded_at, check_ins::id))
        .select(Row::as_select())
        .load(connection.with(permit))?;
    open_own(connection, rows)
}

/// What the caller said in all their groups on the days from `since` to `until`, both included, oldest first.
pub fn list_own_days(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
    own: &[Id],
    since: Day,
    until: Day,
) -> Result<Vec<(Day, Said)>, Problem> {
    let rows = check_ins::table
        .filter(check_ins::member_id.eq_any(own))
        .filter(check_ins::local_day.ge(since))
        .filter(check_ins::local_day.le(until))
        .order((check_ins::recorded_at, check_ins::id))
        .select(Row::as_select())
        .load(connection.with(permit))?;
    Ok(open(connection, rows)?.into_iter().map(|(row, said)| (row.local_day, said)).collect())
}
