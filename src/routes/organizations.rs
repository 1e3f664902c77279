//! An organization: its settings, its people with their offices, licences and suspensions, and its access log.

use std::collections::HashMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{Standing, act},
    problem::Problem,
    store::{
        access_log, accounts,
        connection::Db,
        invitations::{self, Invited},
        licences::{self, NewLicence},
        organizations,
        permit::authorize_in_organization,
        standings, suspensions,
    },
    values::{Day, Id, Moment, Sentence, Text, Title},
    words,
};

/// An organization, as those who stand in it see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organization {
    pub id: Id,
    pub name: String,
    /// Whether offices and terms count only for sign-ins with a second factor.
    pub staff_second_factor: bool,
}

/// An organization's settings, as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrganization {
    pub name: Title,
    /// Once it is true, staff without a second factor are asked for one at their next request, the caller too.
    pub staff_second_factor: bool,
}

words! {
    /// What somebody can be to the organization as a whole.
    pub enum OfficeStanding { Administrator = "administrator", PrivacyOfficer = "privacy_officer" }
}

impl From<OfficeStanding> for Standing {
    fn from(office: OfficeStanding) -> Standing {
        match office {
            OfficeStanding::Administrator => Standing::Administrator,
            OfficeStanding::PrivacyOfficer => Standing::PrivacyOfficer,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteOfficer {
    pub standing: OfficeStanding,
}

/// An invitation, without its code.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invitation {
    pub id: Id,
    pub standing: Standing,
    pub group: Option<Id>,
    /// The membership that waits for its person, where the invitation is to one.
    pub member: Option<Id>,
    /// Who will co-sign, where the invitation is for a trainee.
    pub supervisor: Option<Id>,
    /// The one session that would be led.
    pub session: Option<Id>,
    /// When the term begins; with the acceptance when not said.
    pub from_at: Option<Moment>,
    pub until_at: Option<Moment>,
    /// The code is good before this moment.
    pub expires_at: Moment,
    pub accepted_at: Option<Moment>,
    pub revoked_at: Option<Moment>,
    pub created_at: Moment,
}

/// A kept invitation as a client reads it.
pub(super) fn shown_invitation(kept: invitations::Invitation) -> Invitation {
    Invitation {
        id: kept.id,
        standing: kept.standing,
        group: kept.group_id,
        member: kept.member_id,
        supervisor: kept.supervisor_id,
        session: kept.session_id,
        from_at: kept.from_at,
        until_at: kept.until_at,
        expires_at: kept.expires_at,
        accepted_at: kept.accepted_at,
        revoked_at: kept.revoked_at,
        created_at: kept.created_at,
    }
}

/// An invitation with its code, which is shown this once: hand it to the person by a way that you trust.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationWithCode {
    #[serde(flatten)]
    invitation: Invitation,
    /// Four groups of five letters and digits, as it is typed to accept the invitation.
    code: String,
}

impl InvitationWithCode {
    pub(super) fn of(invitation: Invitation, code: String) -> InvitationWithCode {
        InvitationWithCode { invitation, code }
    }
}

/// Somebody with offices or terms in the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    pub account: Id,
    pub name: String,
    /// Those that have not ended, in the order in which they were given.
    pub standings: Vec<PersonStanding>,
    pub suspended: bool,
}

/// An office, or a term in `group`, for `[from_at, until_at)`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonStanding {
    pub id: Id,
    pub standing: Standing,
    pub group: Option<Id>,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
}

impl Person {
    fn of(person: standings::Person, names: &HashMap<Id, String>) -> Person {
        Person {
            name: names.get(&person.account).cloned().unwrap_or_default(),
            account: person.account,
            standings: person
                .standings
                .into_iter()
                .map(|held| PersonStanding {
                    id: held.id,
                    standing: held.standing,
                    group: held.group,
                    from_at: held.from_at,
                    until_at: held.until_at,
                })
                .collect(),
            suspended: person.suspended,
        }
    }
}

/// Why somebody is suspended; kept sealed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendPerson {
    pub reason: Sentence,
}

/// What a licence says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordLicence {
    /// Somebody who holds an office or a term in the organization, or will.
    pub account: Id,
    /// Such as LCSW, or Psychologische Psychotherapeutin.
    pub licence_type: Text<1, 120>,
    pub number: Text<1, 80>,
    /// Who issued it.
    pub body: Title,
    /// Where it counts.
    pub jurisdiction: Text<1, 120>,
    pub valid_from: Day,
    /// The last day on which it counts; not before `valid_from`.
    pub expires_on: Day,
}

/// A licence, as the organization keeps it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Licence {
    pub id: Id,
    pub account: Id,
    pub licence_type: String,
    pub number: String,
    pub body: String,
    pub jurisdiction: String,
    pub valid_from: Day,
    pub expires_on: Day,
    /// The account that verified it; null until somebody did, and it does not count before.
    pub verified_by: Option<Id>,
    pub verified_at: Option<Moment>,
    pub created_at: Moment,
}

impl From<licences::Licence> for Licence {
    fn from(kept: licences::Licence) -> Licence {
        Licence {
            id: kept.id,
            account: kept.account,
            licence_type: kept.licence_type,
            number: kept.number,
            body: kept.body,
            jurisdiction: kept.jurisdiction,
            valid_from: kept.valid_from,
            expires_on: kept.expires_on,
            verified_by: kept.verified_by,
            verified_at: kept.verified_at,
            created_at: kept.created_at,
        }
    }
}

/// One access to somebody's record, or a refused attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedAccess {
    /// When it was.
    pub at: Moment,
    /// Who asked; null where the reader may not know the account.
    pub account: Option<Id>,
    /// Their name, where the reader may know it: in one's own log of a peer-led group, the one that they have there.
    pub name: Option<String>,
    /// What they asked for: an operation's `x-action`. In one's own log, whatever was looked at or done before a session
    /// or between two is `ReviewMember`, without a record.
    pub action: String,
    /// Whether they got it, or were refused.
    pub allowed: bool,
    /// The standing on which it was judged; null for somebody without any.
    pub standing: Option<Standing>,
    /// The group in which they asked; null where it was in none.
    pub group: Option<Id>,
    /// Whose record it was; null where it was not one member's alone.
    pub member: Option<Id>,
    /// Which record it was, where it was one.
    pub record: Option<Id>,
    /// The emergency access under which it was done, where it was done under one.
    pub emergency_access: Option<Id>,
    #[serde(skip)]
    chain: Id,
    #[serde(skip)]
    sequence: i64,
}

impl LoggedAccess {
    /// The entry as a privacy officer reads it; `names` holds the names that they may know.
    pub(super) fn of(row: access_log::Kept, names: &HashMap<Id, String>) -> LoggedAccess {
        let (account, name) = (Some(row.account_id), names.get(&row.account_id).cloned());
        LoggedAccess::from(access_log::Concerning { kept: row, account, name })
    }

    /// Where the entry stands in the log, for a cursor.
    pub fn position(&self) -> access_log::Position {
        (self.at, self.chain, self.sequence)
    }
}

impl From<access_log::Concerning> for LoggedAccess {
    fn from(entry: access_log::Concerning) -> LoggedAccess {
        let row = entry.kept;
        LoggedAccess {
            at: row.at,
            account: entry.account,
            name: entry.name,
            action: row.action,
            allowed: row.allowed,
            standing: row.standing,
            group: row.group_id,
            member: row.member_id,
            record: row.record_id,
            emergency_access: row.emergency_id,
            chain: row.chain_id,
            sequence: row.sequence,
        }
    }
}

/// Which entries of the access log are asked for.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Concerning {
    /// Only entries that name this member.
    member: Option<Id>,
    /// Only what was done under this emergency access.
    emergency_access: Option<Id>,
}

pub fn register(api: &mut Api) {
    api.heading("Organizations");
    api.get::<act::ReadOrganization, _, _>("/organizations/{organization}", "Read an organization", read_organization)
        .gives::<Organization>();
    api.put::<act::ChangeOrganization, _, _>(
        "/organizations/{organization}",
        "Change an organization",
        change_organization,
    )
    .takes::<ChangeOrganization>(json!({"name": "Harbour Street Clinic", "staff_second_factor": false}))
    .gives::<Organization>()
    .changes();
    api.post::<act::InviteOfficer, _, _>(
        "/organizations/{organization}/invitations",
        "Invite an administrator or a privacy officer",
        invite_officer,
    )
    .takes::<InviteOfficer>(json!({"standing": "privacy_officer"}))
    .creates::<InvitationWithCode>();
    api.get::<act::ReadInvitations, _, _>(
        "/organizations/{organization}/invitations",
        "List the invitations, newest first",
        read_invitations,
    )
    .lists::<Invitation>();
    api.delete::<act::RevokeInvitation, _, _>(
        "/organizations/{organization}/invitations/{invitation}",
        "Take an invitation back",
        revoke_invitation,
    );
    api.get::<act::ReadPeople, _, _>(
        "/organizations/{organization}/people",
        "List who holds offices and terms",
        read_people,
    )
    .lists::<Person>();
    api.put::<act::SuspendPerson, _, _>(
        "/organizations/{organization}/people/{account}/suspension",
        "Suspend somebody and end their sign-ins",
        suspend_person,
    )
    .takes::<SuspendPerson>(json!({"reason": "The licence is under review by the board."}))
    .says("Nobody suspends themselves, and whoever has a part in a peer-led group suspends nobody: another administrator does. The terms of somebody who is suspended do not count meanwhile, those of a group's only steward neither: invite another, `POST /groups/{group}/terms`.");
    api.delete::<act::SuspendPerson, _, _>(
        "/organizations/{organization}/people/{account}/suspension",
        "Lift a suspension",
        lift_suspension,
    );
    api.delete::<act::EndOffice, _, _>("/organizations/{organization}/offices/{office}", "End an office", end_office);
    api.post::<act::RecordLicence, _, _>("/organizations/{organization}/licences", "Record a licence", record_licence)
        .takes::<RecordLicence>(json!({
            "account": "0198c0de-0000-7000-8000-000000000001", "licence_type": "LCSW", "number": "149.012345",
            "body": "Illinois Department of Financial and Professional Regulation", "jurisdiction": "US-IL",
            "valid_from": "2025-12-01", "expires_on": "2027-11-30"
        }))
        .creates::<Licence>();
    api.get::<act::ReadLicences, _, _>("/organizations/{organization}/licences", "List licences", read_licences)
        .lists::<Licence>();
    api.get::<act::ReadLicences, _, _>(
        "/organizations/{organization}/licences/{licence}",
        "Read a licence",
        read_licence,
    )
    .gives::<Licence>();
    api.post::<act::VerifyLicence, _, _>(
        "/organizations/{organization}/licences/{licence}/verification",
        "Note that you verified a licence with its issuer",
        verify_licence,
    )
    .gives::<Licence>()
    .makes_nothing();
    api.get::<act::ReadAccessLog, _, _>(
        "/organizations/{organization}/access-log",
        "See who reached for records, newest first",
        read_access_log,
    )
    .asks::<Concerning>()
    .lists::<LoggedAccess>();
}

async fn read_organization(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let organization = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadOrganization>(connection, &caller, organization)?;
        show(organizations::find(connection, &permit)?)
    })
    .await
}

async fn change_organization(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    command: Command<ChangeOrganization>,
) -> Answer {
    let organization = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::ChangeOrganization>(connection, &caller, organization)?;
        let kept = organizations::find(connection, &permit)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        organizations::update(connection, &permit, request.name.as_str(), request.staff_second_factor, kept.version)?;
        show(organizations::find(connection, &permit)?)
    })
    .await
}

fn show(kept: organizations::Organization) -> Answer {
    let version = kept.version;
    let shown = Organization { id: kept.id, name: kept.name, staff_second_factor: kept.staff_second_factor };
    Ok(Reply::ok(&shown)?.version(version))
}

async fn invite_officer(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<InviteOfficer>) -> Answer {
    let organization = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::InviteOfficer>(connection, &caller, organization)?;
        command.once(connection, &permit, |connection, request| {
            let invited = Invited {
                organization: permit.organization(),
                group: None,
                member: None,
                standing: request.standing.into(),
                supervisor: None,
                session: None,
                from_at: None,
                until_at: None,
            };
            let (invitation, code) = invitations::insert(connection, &permit, &invited)?;
            let location = format!("/organizations/{organization}/invitations/{}", invitation.id);
            Reply::created(location, &InvitationWithCode::of(shown_invitation(invitation), code))
        })
    })
    .await
}

async fn read_invitations(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let organization = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadInvitations>(connection, &caller, organization)?;
        let limit = paging.limit();
        let rows = invitations::list(connection, &permit, paging.position()?, limit + 1)?;
        let shown: Vec<Invitation> = rows.into_iter().map(shown_invitation).collect();
        Reply::page(shown, &paging, |invitation| (invitation.created_at, invitation.id))
    })
    .await
}

async fn revoke_invitation(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (organization, invitation) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::RevokeInvitation>(connection, &caller, organization)?;
        invitations::revoke(connection, &permit, invitation)?;
        Reply::done()
    })
    .await
}

async fn read_people(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let organization = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadPeople>(connection, &caller, organization)?;
        let limit = paging.limit();
        let people = standings::list_people(connection, &permit, paging.position()?, limit + 1)?;
        let names = accounts::list_names(connection, &permit, people.iter().map(|person| person.account))?;
        let shown: Vec<Person> = people.into_iter().map(|person| Person::of(person, &names)).collect();
        Reply::page(shown, &paging, |person| person.account)
    })
    .await
}

async fn suspend_person(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<SuspendPerson>) -> Answer {
    let (organization, account) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::SuspendPerson>(connection, &caller, organization)?;
        let request = command.body()?;
        suspensions::insert(connection, &permit, account, request.reason.as_str())?;
        Reply::done()
    })
    .await
}

async fn lift_suspension(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (organization, account) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::SuspendPerson>(connection, &caller, organization)?;
        suspensions::lift(connection, &permit, account)?;
        Reply::done()
    })
    .await
}

async fn end_office(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (organization, office) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::EndOffice>(connection, &caller, organization)?;
        standings::end_office(connection, &permit, office)?;
        Reply::done()
    })
    .await
}

async fn record_licence(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<RecordLicence>) -> Answer {
    let organization = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::RecordLicence>(connection, &caller, organization)?;
        command.once(connection, &permit, |connection, request| {
            if request.expires_on < request.valid_from {
                return Err(Problem::field("/expires_on", "lies before valid_from"));
            }
            if !standings::stands(connection, &permit, request.account)? {
                return Err(Problem::field("/account", "holds no office and no term in this organization"));
            }
            let licence = NewLicence {
                account: request.account,
                licence_type: request.licence_type.as_str(),
                number: request.number.as_str(),
                body: request.body.as_str(),
                jurisdiction: request.jurisdiction.as_str(),
                valid_from: request.valid_from,
                expires_on: request.expires_on,
            };
            let licence = licences::insert(connection, &permit, &licence)?;
            let location = format!("/organizations/{organization}/licences/{}", licence.id);
            Reply::created(location, &Licence::from(licence))
        })
    })
    .await
}

async fn read_licences(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let organization = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadLicences>(connection, &caller, organization)?;
        let limit = paging.limit();
        let rows = licences::list(connection, &permit, paging.position()?, limit + 1)?;
        let shown: Vec<Licence> = rows.into_iter().map(Licence::from).collect();
        Reply::page(shown, &paging, |licence| licence.id)
    })
    .await
}

async fn read_licence(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (organization, licence) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadLicences>(connection, &caller, organization)?;
        Reply::ok(&Licence::from(licences::find(connection, &permit, licence)?))
    })
    .await
}

async fn verify_licence(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (organization, licence) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::VerifyLicence>(connection, &caller, organization)?;
        Reply::ok(&Licence::from(licences::update_verification(connection, &permit, licence)?))
    })
    .await
}

async fn read_access_log(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<Concerning>,
    paging: Paging,
) -> Answer {
    let organization = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadAccessLog>(connection, &caller, organization)?;
        let limit = paging.limit();
        let (member, emergency) = (asked.member, asked.emergency_access);
        let rows = access_log::list(connection, &permit, member, emergency, paging.position()?, limit + 1)?;
        let accounts: Vec<Id> = rows.iter().map(|row| row.account_id).collect();
        // Somebody of another organization who was refused here stays a number: their name is not this one's to know.
        let known = standings::list_known(connection, &permit, &accounts)?;
        let names = accounts::list_names(connection, &permit, known)?;
        let shown: Vec<LoggedAccess> = rows.into_iter().map(|row| LoggedAccess::of(row, &names)).collect();
        Reply::page(shown, &paging, LoggedAccess::position)
    })
    .await
}
