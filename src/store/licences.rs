//! Licences of those who lead therapist-led groups; numbers sealed under each holder's own key.

use diesel::prelude::*;

use super::{
    columns::Sealed,
    connection::Connection,
    permit::{Permit, concerns},
    schema::licences,
    sealing::{Keys, Place},
};
use crate::{
    policy::{Act, Reach, act, area},
    problem::Problem,
    rules,
    values::{Day, Id, Moment},
};

const NUMBER: &str = "licences.number";

/// A licence, as an organization keeps it.
#[derive(Clone, Debug)]
pub struct Licence {
    pub id: Id,
    pub account: Id,
    pub licence_type: String,
    /// Empty once its holder closed the account.
    pub number: String,
    /// Who issued it.
    pub body: String,
    pub jurisdiction: String,
    pub valid_from: Day,
    /// The last day on which it counts.
    pub expires_on: Day,
    /// Who compared it with the issuer's register, and when; `None` until somebody did.
    pub verified_by: Option<Id>,
    pub verified_at: Option<Moment>,
    pub created_at: Moment,
}

/// What is recorded of a licence, before anybody verified it.
pub struct NewLicence<'a> {
    pub account: Id,
    pub licence_type: &'a str,
    pub number: &'a str,
    pub body: &'a str,
    pub jurisdiction: &'a str,
    pub valid_from: Day,
    pub expires_on: Day,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = licences)]
struct Row {
    id: Id,
    account_id: Id,
    licence_type: String,
    number: Sealed,
    body: String,
    jurisdiction: String,
    valid_from: Day,
    expires_on: Day,
    verified_by: Option<Id>,
    verified_at: Option<Moment>,
    created_at: Moment,
}

impl Row {
    fn open(self, keys: &Keys) -> Result<Licence, Problem> {
        Ok(Licence {
            number: match keys.0.get(&self.account_id) {
                Some(key) => key.open(Place(NUMBER, self.id), &self.number)?,
                // The key went with the holder's account.
                None => String::new(),
            },
            id: self.id,
            account: self.account_id,
            licence_type: self.licence_type,
            body: self.body,
            jurisdiction: self.jurisdiction,
            valid_from: self.valid_from,
            expires_on: self.expires_on,
            verified_by: self.verified_by,
            verified_at: self.verified_at,
            created_at: self.created_at,
        })
    }
}

/// Keeps a licence of somebody who stands in the organization, which the caller has to know.
pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::RecordLicence>,
    licence: &NewLicence,
) -> Result<Licence, Problem> {
    let id = Id::in_order();
    let keys = connection.keys([licence.account])?;
    diesel::insert_into(licences::table)
        .values((
            licences::id.eq(id),
            licences::organization_id.eq(permit.organization()),
            licences::account_id.eq(licence.account),
            licences::licence_type.eq(licence.licence_type),
            licences::number.eq(keys.of(licence.account)?.seal(Place(NUMBER, id), licence.number)),
            licences::body.eq(licence.body),
            licences::jurisdiction.eq(licence.jurisdiction),
            licences::valid_from.eq(licence.valid_from),
            licences::expires_on.eq(licence.expires_on),
            licences::created_by.eq(permit.account()),
            licences::created_at.eq(connection.now),
            licences::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    concerns(connection, permit, None, Some(id));
    find(connection, permit, id)
}

/// The organization's licences (or the caller's own, where the permit reaches no further), by id after `after`.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadLicences>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Licence>, Problem> {
    let mut query = licences::table
        .filter(licences::organization_id.eq(permit.organization()))
        .order(licences::id)
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if permit.reach() == Reach::Own {
        query = query.filter(licences::account_id.eq(permit.account()));
    }
    if let Some(after) = after {
        query = query.filter(licences::id.gt(after));
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.account_id))?;
    rows.into_iter().map(|row| row.open(&keys)).collect()
}

/// A licence of the organization that the permit reaches.
pub fn find<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
    id: Id,
) -> Result<Licence, Problem> {
    concerns(connection, permit, None, Some(id));
    let row: Row = licences::table
        .filter(licences::id.eq(id))
        .filter(licences::organization_id.eq(permit.organization()))
        .select(Row::as_select())
        .first(connection.with(permit))?;
    if permit.reach() == Reach::Own && row.account_id != permit.account() {
        return Err(Problem::NotFound);
    }
    let keys = connection.keys([row.account_id])?;
    row.open(&keys)
}

/// Notes that the caller verified a licence now. Verifying again replaces the earlier verification.
///
/// # Errors
/// `Conflict` for one's own licence.
pub fn update_verification(
    connection: &mut Connection,
    permit: &Permit<act::VerifyLicence>,
    id: Id,
) -> Result<Licence, Problem> {
    let now = connection.now;
    let mut licence = find(connection, permit, id)?;
    if licence.account == permit.account() {
        return Err(Problem::Conflict("Nobody verifies their own licence.".into()));
    }
    diesel::update(licences::table.find(licence.id))
        .set((
            licences::verified_by.eq(permit.account()),
            licences::verified_at.eq(now),
            licences::version.eq(licences::version + 1),
        ))
        .execute(connection.with(permit))?;
    licence.verified_by = Some(permit.account());
    licence.verified_at = Some(now);
    Ok(licence)
}

/// What rules ask of these accounts' licences in the organization of the group, each with its holder.
pub fn of_accounts<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    accounts: &[Id],
) -> Result<Vec<(Id, rules::groups::Licence)>, Problem> {
    of_accounts_in(connection, permit, permit.organization_of_group(), accounts)
}

/// What rules ask of the caller's own licences in the organization.
pub fn of_own(
    connection: &mut Connection,
    permit: &Permit<act::OpenEmergencyAccess>,
) -> Result<Vec<rules::groups::Licence>, Problem> {
    let own = of_accounts_in(connection, permit, permit.organization(), &[permit.account()])?;
    Ok(own.into_iter().map(|(_, licence)| licence).collect())
}

fn of_accounts_in<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    organization: Id,
    accounts: &[Id],
) -> Result<Vec<(Id, rules::groups::Licence)>, Problem> {
    let rows: Vec<(Id, Option<Moment>, Day, Day)> = licences::table
        .filter(licences::organization_id.eq(organization))
        .filter(licences::account_id.eq_any(accounts))
        .select((licences::account_id, licences::verified_at, licences::valid_from, licences::expires_on))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(account, verified_at, valid_from, expires_on)| {
            (account, rules::groups::Licence { verified: verified_at.is_some(), valid_from, expires_on })
        })
        .collect())
}
