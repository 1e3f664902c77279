//! Agreements with their versions and signatures.

use diesel::prelude::*;

use super::{
    columns::word_columns,
    connection::Connection,
    permit::{Permit, concerns},
    schema::{agreements, members, signatures},
};
use crate::{
    policy::{Standing, act, area},
    problem::Problem,
    rules::{
        agreements::{Purpose, Version, is_live},
        members::State,
    },
    values::{Id, Moment},
};

word_columns!(Purpose);

/// One version of a group's consent form or ground rules.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = agreements)]
pub struct Agreement {
    pub id: Id,
    pub purpose: Purpose,
    pub number: i32,
    pub title: String,
    pub text: String,
    pub must_sign_again: bool,
    pub published_at: Moment,
}

/// A member's signature under one version.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = signatures)]
pub struct Signature {
    pub id: Id,
    pub agreement_id: Id,
    pub member_id: Id,
    pub on_paper: bool,
    pub signed_at: Moment,
    pub recorded_by: Id,
    pub withdrawn_at: Option<Moment>,
}

/// Publishes the next version.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::PublishAgreement>,
    purpose: Purpose,
    title: &str,
    text: &str,
    must_sign_again: bool,
) -> Result<Agreement, Problem> {
    let last: Option<i32> = agreements::table
        .filter(agreements::group_id.eq(permit.group()))
        .filter(agreements::purpose.eq(purpose))
        .order(agreements::number.desc())
        .select(agreements::number)
        .first(connection.with(permit))
        .optional()?;
    let agreement = Agreement {
        id: Id::in_order(),
        purpose,
        number: last.unwrap_or(0) + 1,
        title: title.to_owned(),
        text: text.to_owned(),
        must_sign_again,
        published_at: connection.now,
    };
    diesel::insert_into(agreements::table)
        .values((
            agreements::id.eq(agreement.id),
            agreements::group_id.eq(permit.group()),
            agreements::purpose.eq(purpose),
            agreements::number.eq(agreement.number),
            agreements::title.eq(title),
            agreements::text.eq(text),
            agreements::must_sign_again.eq(must_sign_again),
            agreements::published_by.eq(permit.account()),
            agreements::published_at.eq(agreement.published_at),
        ))
        .execute(connection.with(permit))?;
    Ok(agreement)
}

/// The group's agreements, newest version first within each purpose.
pub fn list(connection: &mut Connection, permit: &Permit<act::ReadAgreements>) -> Result<Vec<Agreement>, Problem> {
    Ok(agreements::table
        .filter(agreements::group_id.eq(permit.group()))
        .order((agreements::purpose, agreements::number.desc()))
        .limit(200)
        .select(Agreement::as_select())
        .load(connection.with(permit))?)
}

pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Agreement, Problem> {
    Ok(agreements::table
        .filter(agreements::id.eq(id))
        .filter(agreements::group_id.eq(permit.group()))
        .select(Agreement::as_select())
        .first(connection.with(permit))?)
}

pub fn insert_signature(
    connection: &mut Connection,
    permit: &Permit<act::SignAgreement>,
    agreement: Id,
    member: Id,
    on_paper: bool,
    signed_at: Moment,
) -> Result<Signature, Problem> {
    permit.reaches_member(member)?;
    let live: i64 = signatures::table
        .filter(signatures::agreement_id.eq(agreement))
        .filter(signatures::member_id.eq(member))
        .filter(signatures::withdrawn_at.is_null())
        .count()
        .get_result(connection.with(permit))?;
    if live > 0 {
        return Err(Problem::Conflict("This version is signed already.".into()));
    }
    let signature = Signature {
        id: Id::in_order(),
        agreement_id: agreement,
        member_id: member,
        on_paper,
        signed_at,
        recorded_by: permit.account(),
        withdrawn_at: None,
    };
    diesel::insert_into(signatures::table)
        .values((
            signatures::id.eq(signature.id),
            signatures::group_id.eq(permit.group()),
            signatures::agreement_id.eq(agreement),
            signatures::member_id.eq(member),
            signatures::on_paper.eq(on_paper),
            signatures::signed_at.eq(signed_at),
            signatures::recorded_by.eq(permit.account()),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, Some(member), Some(signature.id));
    Ok(signature)
}

/// The signatures that the permit reaches, newest first.
pub fn list_signatures(
    connection: &mut Connection,
    permit: &Permit<act::ReadSignatures>,
    member: Option<Id>,
    before: Option<Id>,
    limit: i64,
) -> Result<Vec<Signature>, Problem> {
    let mut query = signatures::table
        .filter(signatures::group_id.eq(permit.group()))
        .order(signatures::id.desc())
        .limit(limit)
        .select(Signature::as_select())
        .into_boxed();
    for only in [permit.only_member()?, member].into_iter().flatten() {
        query = query.filter(signatures::member_id.eq(only));
    }
    if let Some(before) = before {
        query = query.filter(signatures::id.lt(before));
    }
    concerns(connection, permit, member, None);
    Ok(query.load(connection.with(permit))?)
}

/// Withdraws a signature: from now on it does not count, and what was done under it stays.
pub fn withdraw(connection: &mut Connection, permit: &Permit<act::WithdrawSignature>, id: Id) -> Result<(), Problem> {
    let kept: Signature = signatures::table
        .filter(signatures::id.eq(id))
        .filter(signatures::group_id.eq(permit.group()))
        .select(Signature::as_select())
        .first(connection.with(permit))?;
    permit.reaches_member(kept.member_id)?;
    concerns(connection, permit, Some(kept.member_id), Some(id));
    if kept.withdrawn_at.is_some() {
        return Ok(());
    }
    let now = connection.now;
    diesel::update(signatures::table.filter(signatures::id.eq(id)).filter(signatures::group_id.eq(permit.group())))
        .set((signatures::withdrawn_at.eq(now), signatures::withdrawn_by.eq(permit.account())))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Which of these members stand under the group's consent now.
pub fn list_consenting<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    members: &[Id],
) -> Result<Vec<Id>, Problem> {
    list_bound(connection, permit, Purpose::Consent, members)
}

/// Which of these members have withdrawn the group's consent, and signed none again.
pub fn list_withdrawn<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    members: &[Id],
) -> Result<Vec<Id>, Problem> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let signed: Vec<(Id, Option<Moment>)> = signatures::table
        .inner_join(agreements::table.on(agreements::id.eq(signatures::agreement_id)))
        .filter(signatures::member_id.eq_any(members))
        .filter(agreements::group_id.eq(permit.group()))
        .filter(agreements::purpose.eq(Purpose::Consent))
        .select((signatures::member_id, signatures::withdrawn_at))
        .load(connection.with(permit))?;
    let has_signed = |member: &Id| signed.iter().any(|(signer, _)| signer == member);
    let stands = |member: &Id| signed.iter().any(|(signer, withdrawn)| signer == member && withdrawn.is_none());
    Ok(members.iter().copied().filter(|member| has_signed(member) && !stands(member)).collect())
}

/// Whether a member has accepted the group's ground rules, in a version that still counts. A group without rules binds
/// nobody: then the answer is no.
pub fn stands_under_rules<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<bool, Problem> {
    Ok(!list_bound(connection, permit, Purpose::GroundRules, &[member])?.is_empty())
}

/// The ground rules as they stand, and how far the caller has accepted them.
#[derive(Clone, Debug)]
pub struct OwnRules {
    /// The newest version.
    pub current: Option<Agreement>,
    /// The newest version that the caller has signed and not withdrawn.
    pub accepted: Option<i32>,
    /// Whether the caller is a member who does not stand under the rules.
    pub must_accept: bool,
}

/// What the caller has read and accepted of the group's rules.
pub fn find_own_rules(connection: &mut Connection, permit: &Permit<act::ReadAgreements>) -> Result<OwnRules, Problem> {
    let current = find_rules(connection, permit)?;
    let own: Option<(Id, State)> = members::table
        .filter(members::group_id.eq(permit.group()))
        .filter(members::account_id.eq(permit.account()))
        .select((members::id, members::state))
        .first(connection.with(permit))
        .optional()?;
    let Some((member, state)) = own else {
        return Ok(OwnRules { current, accepted: None, must_accept: false });
    };
    let accepted: Option<i32> = signatures::table
        .inner_join(agreements::table.on(agreements::id.eq(signatures::agreement_id)))
        .filter(signatures::member_id.eq(member))
        .filter(signatures::withdrawn_at.is_null())
        .filter(agreements::group_id.eq(permit.group()))
        .filter(agreements::purpose.eq(Purpose::GroundRules))
        .select(diesel::dsl::max(agreements::number))
        .get_result(connection.with(permit))?;
    let is_member = state.standing() == Some(Standing::Member);
    let must_accept = current.is_some() && is_member && !stands_under_rules(connection, permit, member)?;
    Ok(OwnRules { current, accepted, must_accept })
}

/// The newest version of the group's ground rules.
pub fn find_rules<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<Option<Agreement>, Problem> {
    Ok(agreements::table
        .filter(agreements::group_id.eq(permit.group()))
        .filter(agreements::purpose.eq(Purpose::GroundRules))
        .order(agreements::number.desc())
        .select(Agreement::as_select())
        .first(connection.with(permit))
        .optional()?)
}

fn list_bound<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    purpose: Purpose,
    members: &[Id],
) -> Result<Vec<Id>, Problem> {
    let versions: Vec<(Id, i32, bool)> = agreements::table
        .filter(agreements::group_id.eq(permit.group()))
        .filter(agreements::purpose.eq(purpose))
        .select((agreements::id, agreements::number, agreements::must_sign_again))
        .load(connection.with(permit))?;
    let ids: Vec<Id> = versions.iter().map(|(id, _, _)| *id).collect();
    let signed: Vec<(Id, Id)> = signatures::table
        .filter(signatures::member_id.eq_any(members))
        .filter(signatures::agreement_id.eq_any(ids))
        .filter(signatures::withdrawn_at.is_null())
        .select((signatures::member_id, signatures::agreement_id))
        .load(connection.with(permit))?;
    let numbers: std::collections::HashMap<Id, i32> = versions.iter().map(|(id, number, _)| (*id, *number)).collect();
    let versions: Vec<Version> =
        versions.into_iter().map(|(_, number, must_sign_again)| Version { number, must_sign_again }).collect();
    Ok(members
        .iter()
        .copied()
        .filter(|member| {
            let signed: Vec<i32> = signed
                .iter()
                .filter(|(signer, _)| signer == member)
                .filter_map(|(_, agreement)| numbers.get(agreement).copied())
                .collect();
            is_live(&versions, &signed)
        })
        .collect())
}
