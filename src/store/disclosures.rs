//! The accounting of disclosures: what left, when, to whom and what for. Nothing of what the record said.

use diesel::prelude::*;

use super::{
    columns::{Json, Sealed, word_columns},
    connection::{Connection, insert_many},
    permit::{Permit, concerns},
    schema::{disclosures, members},
    sealing::Place,
};
use crate::{
    policy::{act, area},
    problem::Problem,
    rules::exports::{Part, Purpose},
    values::{Id, Moment},
};

const RECIPIENT: &str = "disclosures.recipient";

word_columns!(Purpose);

/// A disclosure that is to be accounted for.
#[derive(Clone, Copy)]
pub struct NewDisclosure<'a> {
    pub purpose: Purpose,
    /// Name and, where known, address.
    pub recipient: &'a str,
    /// What went out.
    pub parts: &'a [Part],
    pub withheld_until: Option<Moment>,
}

/// An entry of the accounting.
#[derive(Clone, Debug)]
pub struct Disclosure {
    pub id: Id,
    pub group: Id,
    pub member: Id,
    pub purpose: Purpose,
    pub recipient: String,
    pub parts: Vec<Part>,
    pub withheld_until: Option<Moment>,
    pub disclosed_by: Id,
    pub disclosed_at: Moment,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = disclosures)]
struct Row {
    id: Id,
    group_id: Id,
    member_id: Id,
    purpose: Purpose,
    recipient: Sealed,
    parts: Json,
    withheld_until: Option<Moment>,
    disclosed_by: Id,
    disclosed_at: Moment,
}

fn open(connection: &mut Connection, rows: Vec<Row>) -> Result<Vec<Disclosure>, Problem> {
    let keys = connection.keys(rows.iter().map(|row| row.member_id))?;
    rows.into_iter()
        .map(|row| {
            Ok(Disclosure {
                id: row.id,
                group: row.group_id,
                member: row.member_id,
                purpose: row.purpose,
                recipient: keys.of(row.member_id)?.open(Place(RECIPIENT, row.id), &row.recipient)?,
                parts: row.parts.value(),
                withheld_until: row.withheld_until,
                disclosed_by: row.disclosed_by,
                disclosed_at: row.disclosed_at,
            })
        })
        .collect()
}

/// Accounts for a disclosure about these members of the permit's group: one entry for each, because each has a right to
/// their own.
pub fn insert<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
    new: &NewDisclosure,
) -> Result<(), Problem> {
    let now = connection.now;
    let keys = connection.keys(whose.iter().copied())?;
    let mut rows = Vec::with_capacity(whose.len());
    for &member in whose {
        permit.reaches_member(member)?;
        let id = Id::in_order();
        rows.push((
            disclosures::id.eq(id),
            disclosures::organization_id.eq(permit.organization_of_group()),
            disclosures::group_id.eq(permit.group()),
            disclosures::member_id.eq(member),
            disclosures::purpose.eq(new.purpose),
            disclosures::recipient.eq(keys.of(member)?.seal(Place(RECIPIENT, id), new.recipient)),
            disclosures::parts.eq(Json::of(&new.parts)),
            disclosures::withheld_until.eq(new.withheld_until),
            disclosures::disclosed_by.eq(permit.account()),
            disclosures::disclosed_at.eq(now),
        ));
    }
    insert_many!(connection.with(permit), disclosures::table, &rows)?;
    Ok(())
}

/// The organization's disclosures, newest first; `before` is the last one that was shown.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadDisclosures>,
    member: Option<Id>,
    before: Option<Id>,
    limit: i64,
) -> Result<Vec<Disclosure>, Problem> {
    let mut query = disclosures::table
        .filter(disclosures::organization_id.eq(permit.organization()))
        .order(disclosures::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(member) = member {
        query = query.filter(disclosures::member_id.eq(member));
    }
    if let Some(before) = before {
        query = query.filter(disclosures::id.lt(before));
    }
    concerns(connection, permit, member, None);
    let rows = query.load(connection.with(permit))?;
    open(connection, rows)
}

/// What went out of one member's record in these parts, newest first: for those who decide about an amendment of it.
pub fn list_of_parts(
    connection: &mut Connection,
    permit: &Permit<act::DecideAmendment>,
    member: Id,
    parts: &[Part],
) -> Result<Vec<Disclosure>, Problem> {
    let rows: Vec<Row> = disclosures::table
        .filter(disclosures::member_id.eq(member))
        .filter(disclosures::group_id.eq(permit.group()))
        .order(disclosures::id.desc())
        .select(Row::as_select())
        .load(connection.with(permit))?;
    let mut found = open(connection, rows)?;
    found.retain(|disclosure| disclosure.parts.iter().any(|part| parts.contains(part)));
    Ok(found)
}

/// What of these memberships of the caller is withheld from them now: in which group, by which account, and when.
pub(super) fn list_withheld(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
    own: &[Id],
) -> Result<Vec<(Id, Id, Moment)>, Problem> {
    let now = connection.now;
    Ok(disclosures::table
        .filter(disclosures::member_id.eq_any(own))
        .filter(disclosures::withheld_until.gt(now))
        .select((disclosures::group_id, disclosures::disclosed_by, disclosures::disclosed_at))
        .load(connection.with(permit))?)
}

/// The caller's own accounting, newest first, without what an agency has asked to be withheld for now.
pub fn list_own<A: area::Account>(connection: &mut Connection, permit: &Permit<A>) -> Result<Vec<Disclosure>, Problem> {
    let own: Vec<Id> = members::table
        .filter(members::account_id.eq(permit.account()))
        .select(members::id)
        .load(connection.with(permit))?;
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let now = connection.now;
    let rows = disclosures::table
        .filter(disclosures::member_id.eq_any(own))
        .filter(disclosures::withheld_until.is_null().or(disclosures::withheld_until.le(now)))
        .order(disclosures::id.desc())
        .select(Row::as_select())
        .load(connection.with(permit))?;
    open(connection, rows)
}
