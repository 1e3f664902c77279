//! Invitations: one-time codes, bound to an organization and a standing, of which only hashes are kept.

use diesel::prelude::*;

use super::{
    access_log::Entry,
    breaches::keeps_account_away,
    connection::{Connection, Database},
    permit::{Permit, concerns},
    schema::{groups, invitations, members, sessions, standings, suspensions},
};
use crate::{
    identity::hash_of,
    policy::{Act, Action, Kind, Standing, act, area, decide},
    problem::Problem,
    rules::{members::State as Membership, sessions::State},
    values::{Id, Moment},
};

/// Days that a code can be used.
const LIFETIME_DAYS: i64 = 14;

/// An invitation, without its code: nobody can read that again.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = invitations)]
pub struct Invitation {
    pub id: Id,
    pub organization_id: Id,
    pub group_id: Option<Id>,
    pub member_id: Option<Id>,
    pub standing: Standing,
    pub supervisor_id: Option<Id>,
    /// The one session that would be led.
    pub session_id: Option<Id>,
    pub from_at: Option<Moment>,
    pub until_at: Option<Moment>,
    pub expires_at: Moment,
    pub accepted_at: Option<Moment>,
    pub revoked_at: Option<Moment>,
    pub created_by: Id,
    pub created_at: Moment,
}

/// What an invited person will be.
pub struct Invited {
    pub organization: Id,
    pub group: Option<Id>,
    pub member: Option<Id>,
    pub standing: Standing,
    pub supervisor: Option<Id>,
    pub session: Option<Id>,
    pub from_at: Option<Moment>,
    pub until_at: Option<Moment>,
}

/// A code that can be read out and typed: letters and digits that do not look alike, 100 bits.
pub fn new_code() -> String {
    // Crockford's alphabet in lower case, in four groups of five.
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random = super::sealing::random::<20>();
    let letters: Vec<char> = random.iter().map(|byte| ALPHABET[(byte & 31) as usize] as char).collect();
    letters.chunks(5).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// A code as it was typed: case, spaces and the letters that look like digits do not matter.
pub fn read_code(typed: &str) -> String {
    let letters: Vec<char> = typed
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            letter => letter,
        })
        .collect();
    letters.chunks(5).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Keeps an invitation and gives its code, this once.
pub fn insert<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    invited: &Invited,
) -> Result<(Invitation, String), Problem> {
    let (invitation, code) = insert_as(connection, permit.account(), invited)?;
    concerns(connection, permit, invited.member, Some(invitation.id));
    Ok((invitation, code))
}

/// The first invitation of an organization, made on the command line.
pub fn insert_first(connection: &mut Connection, invited: &Invited) -> Result<(Invitation, String), Problem> {
    insert_as(connection, Id::INSTALLATION, invited)
}

fn insert_as(connection: &mut Connection, created_by: Id, invited: &Invited) -> Result<(Invitation, String), Problem> {
    let now = connection.now;
    let code = new_code();
    let invitation = Invitation {
        id: Id::random(),
        organization_id: invited.organization,
        group_id: invited.group,
        member_id: invited.member,
        standing: invited.standing,
        supervisor_id: invited.supervisor,
        session_id: invited.session,
        from_at: invited.from_at,
        until_at: invited.until_at,
        expires_at: now.plus_days(LIFETIME_DAYS),
        accepted_at: None,
        revoked_at: None,
        created_by,
        created_at: now,
    };
    diesel::insert_into(invitations::table)
        .values((
            invitations::id.eq(invitation.id),
            invitations::organization_id.eq(invitation.organization_id),
            invitations::group_id.eq(invitation.group_id),
            invitations::member_id.eq(invitation.member_id),
            invitations::standing.eq(invitation.standing),
            invitations::supervisor_id.eq(invitation.supervisor_id),
            invitations::session_id.eq(invitation.session_id),
            invitations::from_at.eq(invitation.from_at),
            invitations::until_at.eq(invitation.until_at),
            invitations::code_hash.eq(hash_of(&code)),
            invitations::expires_at.eq(invitation.expires_at),
            invitations::created_by.eq(created_by),
            invitations::created_at.eq(now),
        ))
        .execute(connection.before_any_permit())?;
    Ok((invitation, code))
}

/// The invitation that a code opens, while it can be used.
pub fn find_by_code(connection: &mut Connection, typed: &str) -> Result<Option<Invitation>, Problem> {
    let now = connection.now;
    Ok(invitations::table
        .filter(invitations::code_hash.eq(hash_of(&read_code(typed))))
        .filter(invitations::accepted_at.is_null())
        .filter(invitations::revoked_at.is_null())
        .filter(invitations::expires_at.gt(now))
        .select(Invitation::as_select())
        .first(connection.before_any_permit())
        .optional()?)
}

/// The language and the zone of the group that an invitation leads to: those of an account that says none of its own.
pub fn find_home(connection: &mut Connection, invitation: &Invitation) -> Result<Option<(String, String)>, Problem> {
    let Some(group) = invitation.group_id else { return Ok(None) };
    Ok(groups::table
        .find(group)
        .select((groups::language, groups::zone))
        .first(connection.before_any_permit())
        .optional()?)
}

/// Spends an invitation: the account gets the standing, or becomes the member that was waiting.
///
/// # Errors
/// `Conflict` when somebody else was first, when the account stands in this group already, or when a decision of the
/// group keeps it away.
pub fn accept(connection: &mut Connection, invitation: &Invitation, account: Id) -> Result<(), Problem> {
    let now = connection.now;
    if let Some(group) = invitation.group_id {
        connection.enters(account, group);
    }
    check_inviter(connection, invitation, account)?;
    check_offices(connection, invitation, account)?;
    // A member's own step needs no entry, and one with both ids would join their memberships for ever.
    if invitation.standing != Standing::Member {
        connection.entries.push(Entry {
            at: now,
            account_id: account,
            action: Action::AcceptInvitation,
            allowed: true,
            standing: Some(invitation.standing),
            organization_id: Some(invitation.organization_id),
            group_id: invitation.group_id,
            member_id: invitation.member_id,
            emergency_id: None,
            record_id: Some(invitation.id),
        });
    }
    let database = connection.before_any_permit();
    let spent = diesel::update(
        invitations::table
            .filter(invitations::id.eq(invitation.id))
            .filter(invitations::accepted_at.is_null())
            .filter(invitations::revoked_at.is_null()),
    )
    .set(invitations::accepted_at.eq(now))
    .execute(database)?;
    if spent == 0 {
        return Err(Problem::Conflict("The invitation was used meanwhile.".into()));
    }
    // Therapist and member of one group are disjoint; so are two memberships of one person in it.
    if let Some(group) = invitation.group_id {
        // Of two invitations that one person accepts at once, the second waits here and then sees the first.
        diesel::update(groups::table.find(group)).set(groups::version.eq(groups::version)).execute(database)?;
        let held: Vec<Standing> = standings::table
            .filter(standings::group_id.eq(group))
            .filter(standings::account_id.eq(account))
            .filter(standings::session_id.is_null())
            .filter(super::standings::lasts_beyond(now))
            .select(standings::standing)
            .load(database)?;
        let belongs: Option<Membership> = members::table
            .filter(members::group_id.eq(group))
            .filter(members::account_id.eq(account))
            .select(members::state)
            .first(database)
            .optional()?;
        let asked = invitation.standing;
        let is_peer_led = find_kind(database, group)? == Kind::PeerLed;
        let is_two_hats = is_peer_led
            && (!held.contains(&asked) || invitation.session_id.is_some())
            && (asked != Standing::Member || belongs.is_none());
        if (!held.is_empty() || belongs.is_some()) && !is_two_hats {
            return Err(Problem::Conflict("This account stands in the group already.".into()));
        }
        // No lead takes back alone what the group decided, with a code of before or after.
        let is_removed = belongs == Some(Membership::Removed);
        if is_peer_led && (is_removed || keeps_account_away(database, group, account, now)?) {
            return Err(Problem::Conflict("A decision of the group keeps this account away.".into()));
        }
    }
    match invitation.member_id {
        Some(member) => {
            let waiting = members::table.filter(members::id.eq(member)).filter(members::account_id.is_null());
            if diesel::update(waiting).set(members::account_id.eq(account)).execute(database)? == 0 {
                return Err(Problem::Conflict("Somebody has signed up to this membership already.".into()));
            }
        }
        None => {
            let (from_at, until_at) = find_term(database, invitation, account, now)?;
            diesel::insert_into(standings::table)
                .values((
                    standings::id.eq(Id::in_order()),
                    standings::organization_id.eq(invitation.organization_id),
                    standings::group_id.eq(invitation.group_id),
                    standings::account_id.eq(account),
                    standings::standing.eq(invitation.standing),
                    standings::supervisor_id.eq(invitation.supervisor_id),
                    standings::session_id.eq(invitation.session_id),
                    standings::from_at.eq(from_at),
                    standings::until_at.eq(until_at),
                    standings::created_by.eq(invitation.id),
                    standings::created_at.eq(now),
                    standings::version.eq(1),
                ))
                .execute(database)?;
        }
    }
    Ok(())
}

/// When the term of an invitation is. A term that is bound to a session is where the session is by now.
fn find_term(
    database: &mut Database,
    invitation: &Invitation,
    account: Id,
    now: Moment,
) -> Result<(Moment, Option<Moment>), Problem> {
    let Some(session) = invitation.session_id else {
        let from_at = invitation.from_at.unwrap_or(now).max(now);
        if invitation.until_at.is_some_and(|until| until <= from_at) {
            return Err(Problem::Conflict("The term that it offers is over.".into()));
        }
        return Ok((from_at, invitation.until_at));
    };
    let (state, starts_at, minutes): (State, Moment, i32) = sessions::table
        .find(session)
        .select((sessions::state, sessions::starts_at, sessions::minutes))
        .first(database)?;
    if state == State::Cancelled {
        return Err(Problem::Conflict("The session is cancelled.".into()));
    }
    let held: i64 = standings::table
        .filter(standings::session_id.eq(session))
        .filter(standings::account_id.eq(account))
        .filter(super::standings::has_length())
        .count()
        .get_result(database)?;
    if held > 0 {
        return Err(Problem::Conflict("This account facilitates that session already.".into()));
    }
    Ok((starts_at, Some(starts_at.plus_minutes(i64::from(minutes)))))
}

/// A code counts only while whoever made it could still make it, and never for themselves.
fn check_inviter(connection: &mut Connection, invitation: &Invitation, account: Id) -> Result<(), Problem> {
    let inviter = invitation.created_by;
    if inviter == Id::INSTALLATION {
        return Ok(());
    }
    if inviter == account {
        return Err(Problem::Conflict("Nobody accepts an invitation of their own.".into()));
    }
    let action = match invitation.standing {
        Standing::Member => Action::InviteMember,
        standing if standing.is_office() => Action::InviteOfficer,
        _ => Action::InviteLeader,
    };
    let now = connection.now;
    let database = connection.before_any_permit();
    let held: Vec<(Option<Id>, Standing)> = standings::table
        .filter(standings::account_id.eq(inviter))
        .filter(standings::organization_id.eq(invitation.organization_id))
        .filter(standings::until_at.is_null().or(standings::until_at.gt(now)))
        .select((standings::group_id, standings::standing))
        .load(database)?;
    let suspended: i64 = suspensions::table
        .filter(suspensions::account_id.eq(inviter))
        .filter(suspensions::organization_id.eq(invitation.organization_id))
        .filter(suspensions::until_at.is_null())
        .count()
        .get_result(database)?;
    let kind = match invitation.group_id {
        Some(group) => find_kind(database, group)?,
        None => Kind::TherapistLed,
    };
    let may = held.into_iter().any(|(group, standing)| {
        (group.is_none() || group == invitation.group_id) && decide(kind, standing, action).is_some()
    });
    if may && suspended == 0 {
        return Ok(());
    }
    Err(Problem::field("/code", "is not an invitation that can be used"))
}

/// Who runs an organization, or watches over it, neither leads therapy there nor does both: nobody gives themselves the
/// records.
fn check_offices(connection: &mut Connection, invitation: &Invitation, account: Id) -> Result<(), Problem> {
    let now = connection.now;
    let held: Vec<Standing> = standings::table
        .filter(standings::account_id.eq(account))
        .filter(standings::organization_id.eq(invitation.organization_id))
        .filter(standings::until_at.is_null().or(standings::until_at.gt(now)))
        .select(standings::standing)
        .load(connection.before_any_permit())?;
    let is_clinical =
        |standing: Standing| standing.is_term() && !matches!(standing, Standing::Facilitator | Standing::Steward);
    let asked = invitation.standing;
    let clashes = held.into_iter().any(|held| {
        (held.is_office() && held != asked && (asked.is_office() || is_clinical(asked)))
            || (is_clinical(held) && asked.is_office())
    });
    if clashes {
        return Err(Problem::Conflict(
            "Administration, privacy and therapy of one organization are in different hands.".into(),
        ));
    }
    Ok(())
}

fn find_kind(database: &mut Database, group: Id) -> Result<Kind, Problem> {
    Ok(groups::table.find(group).select(groups::kind).first(database)?)
}

/// The organization's invitations, newest first, from `before` on.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadInvitations>,
    before: Option<(Moment, Id)>,
    limit: i64,
) -> Result<Vec<Invitation>, Problem> {
    let mut query = invitations::table
        .filter(invitations::organization_id.eq(permit.organization()))
        .order((invitations::created_at.desc(), invitations::id.desc()))
        .limit(limit)
        .select(Invitation::as_select())
        .into_boxed();
    if let Some((at, id)) = before {
        query =
            query.filter(invitations::created_at.lt(at).or(invitations::created_at.eq(at).and(invitations::id.lt(id))));
    }
    Ok(query.load(connection.with(permit))?)
}

/// Takes an invitation back. Returns whether it could still be used.
pub fn revoke(connection: &mut Connection, permit: &Permit<act::RevokeInvitation>, id: Id) -> Result<(), Problem> {
    let now = connection.now;
    let revoked = diesel::update(
        invitations::table
            .filter(invitations::id.eq(id))
            .filter(invitations::organization_id.eq(permit.organization()))
            .filter(invitations::accepted_at.is_null())
            .filter(invitations::revoked_at.is_null()),
    )
    .set(invitations::revoked_at.eq(now))
    .execute(connection.with(permit))?;
    concerns(connection, permit, None, Some(id));
    if revoked == 0 { Err(Problem::NotFound) } else { Ok(()) }
}

/// Takes back the codes with which a membership can still be signed up to.
pub fn revoke_of_member<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<(), Problem> {
    let now = connection.now;
    diesel::update(
        invitations::table
            .filter(invitations::member_id.eq(member))
            .filter(invitations::group_id.eq(permit.group()))
            .filter(invitations::accepted_at.is_null())
            .filter(invitations::revoked_at.is_null()),
    )
    .set(invitations::revoked_at.eq(now))
    .execute(connection.with(permit))?;
    Ok(())
}

/// Whether a permit of a group may invite into it; kept here so that a code never outlives its group's scope.
pub fn into_group<A: area::Group>(permit: &Permit<A>, standing: Standing) -> Invited {
    Invited {
        organization: permit.organization_of_group(),
        group: Some(permit.group()),
        member: None,
        standing,
        supervisor: None,
        session: None,
        from_at: None,
        until_at: None,
    }
}
