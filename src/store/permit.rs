//! `Permit<A>` and the only functions that make one: they look up the standing now, ask the policy, write the log.

use std::{cmp::Reverse, marker::PhantomData};

use super::{
    access_log::Entry,
    connection::{Connection, Scope},
    standing,
};
use crate::{
    identity::Caller,
    policy::{Act, Action, Kind, Reach, Standing, act::OpenEmergencyAccess, area, decide},
    problem::Problem,
    values::{Id, Moment},
};

/// The right to do `A` once, here, within a reach. Store functions read their scope from it, never from a
/// parameter, so that a permit for one group cannot be spent in another.
#[derive(Debug)]
pub struct Permit<A: Act> {
    account: Id,
    reach: Reach,
    standing: Option<Standing>,
    standings: Vec<Standing>,
    /// The group, the organization or the account in which the permit holds.
    scope: Id,
    organization: Id,
    kind: Kind,
    zone: String,
    member: Option<Id>,
    /// The session to which the right is bound, where it is bound to one.
    bound_to: Option<Id>,
    /// What the second wall is told.
    wall: Scope,
    /// The emergency access on which the right rests, where it rests on one.
    emergency: Option<Id>,
    act: PhantomData<A>,
}

impl<A: Act> Permit<A> {
    /// The group, the organization or the account that it is for.
    pub fn scope_id(&self) -> Id {
        self.scope
    }

    /// Whose rows it opens, as row-level security repeats it.
    pub(super) fn scope(&self) -> &Scope {
        &self.wall
    }

    /// Who acts.
    pub fn account(&self) -> Id {
        self.account
    }

    pub fn reach(&self) -> Reach {
        self.reach
    }
}

impl<A: area::Group> Permit<A> {
    pub fn group(&self) -> Id {
        self.scope
    }

    /// The organization of the group.
    pub fn organization_of_group(&self) -> Id {
        self.organization
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The group's zone (IANA).
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The standing that the permit rests on.
    pub fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// Whether what is reached is the caller's own as a member: reading it is no access by somebody else.
    pub fn is_about_oneself(&self) -> bool {
        self.reach == Reach::Own && matches!(self.standing, Some(Standing::Member | Standing::FormerMember))
    }

    /// The member whose rows alone may be touched; `None` where the permit reaches the whole group.
    pub fn only_member(&self) -> Result<Option<Id>, Problem> {
        match (self.reach, self.member) {
            (Reach::All, _) => Ok(None),
            (Reach::Own, Some(member)) => Ok(Some(member)),
            (Reach::Own, None) => Err(Problem::NotFound),
        }
    }

    /// The caller's own membership, where there is one: for what is marked as theirs though the permit reaches all.
    pub fn own_member(&self) -> Option<Id> {
        self.member
    }

    /// Refuses another person's record as if it did not exist.
    pub fn reaches_member(&self, member: Id) -> Result<(), Problem> {
        match self.only_member()? {
            Some(own) if own != member => Err(Problem::NotFound),
            _ => Ok(()),
        }
    }

    /// Refuses another session as if it did not exist, where the right is bound to one.
    pub fn reaches_session(&self, session: Id) -> Result<(), Problem> {
        match self.bound_to {
            Some(bound) if bound != session => Err(Problem::NotFound),
            _ => Ok(()),
        }
    }

    /// Whether the answer may say by which account something was done. The members of a peer-led group know each other
    /// by the names that they chose there: only those who run the group, and not one session of it, know accounts.
    pub fn knows_accounts(&self) -> bool {
        let runs = |standing: &Standing| match standing {
            Standing::Administrator | Standing::PrivacyOfficer | Standing::Steward => true,
            Standing::Facilitator => self.bound_to.is_none(),
            _ => false,
        };
        self.kind == Kind::TherapistLed || self.standings.iter().any(runs)
    }

    /// Refuses what somebody else wrote as if it did not exist, where the permit reaches only one's own.
    pub fn reaches_author(&self, author: Id) -> Result<(), Problem> {
        match self.reach {
            Reach::Own if author != self.account => Err(Problem::NotFound),
            _ => Ok(()),
        }
    }
}

impl<A: area::Account> Permit<A> {
    /// The same right, for a look-up of others in groups to which the account belongs: of the names that they have there.
    pub(super) fn in_groups(&self, groups: Vec<Id>) -> Permit<A> {
        self.told(Scope { groups, ..self.wall.clone() })
    }

    /// The same right, for what nobody but the account can find in the groups where it belongs or stands, or did.
    pub(super) fn in_own_groups(&self, connection: &mut Connection) -> Result<Permit<A>, Problem> {
        let walled = connection.is_walled();
        let groups = if walled { standing::list_groups(connection, self.account)? } else { Vec::new() };
        Ok(self.in_groups(groups))
    }

    /// The same right, for what waits in an organization of which the account is an officer.
    pub(super) fn in_organization(&self, organization: Id) -> Permit<A> {
        self.told(Scope { organization: Some(organization), ..self.wall.clone() })
    }

    fn told(&self, wall: Scope) -> Permit<A> {
        Permit {
            account: self.account,
            reach: self.reach,
            standing: self.standing,
            standings: self.standings.clone(),
            scope: self.scope,
            organization: self.organization,
            kind: self.kind,
            zone: self.zone.clone(),
            member: self.member,
            bound_to: self.bound_to,
            emergency: self.emergency,
            wall,
            act: PhantomData,
        }
    }
}

impl<A: area::Organization> Permit<A> {
    pub fn organization(&self) -> Id {
        self.organization
    }
}

/// Authorizes an action in a group.
///
/// # Errors
/// `Unauthenticated` when the sign-in ended meanwhile; `NotFound` without any standing, exactly as for a group that
/// does not exist; `Forbidden` with a standing that lacks the right.
pub fn authorize<A: area::Group>(
    connection: &mut Connection,
    caller: &Caller,
    group: Id,
) -> Result<Permit<A>, Problem> {
    authorize_at(connection, caller, group, None)
}

/// Authorizes an action that is about one session of a group: who leads that session alone leads here. The answers
/// are those of [`authorize`].
pub fn authorize_in_session<A: area::Group>(
    connection: &mut Connection,
    caller: &Caller,
    group: Id,
    session: Id,
) -> Result<Permit<A>, Problem> {
    authorize_at(connection, caller, group, Some(session))
}

fn authorize_at<A: area::Group>(
    connection: &mut Connection,
    caller: &Caller,
    group: Id,
    session: Option<Id>,
) -> Result<Permit<A>, Problem> {
    let mut facts = standing::in_group(connection, caller, group, session)?;
    let mut decided = facts.place.as_ref().and_then(|place| widest::<A>(place.kind, &facts.standings));
    let mut emergency = None;
    // Looked up where nothing else gives the right, so that what is allowed costs nothing more, and a hidden group costs
    // what one costs that does not exist. Whoever stands here by themselves, or belonged, stands here as that alone.
    if facts.standings.is_empty() && facts.member.is_none() {
        emergency = standing::emergency(connection, caller, group)?;
        if let (Some(emergency), Some(place)) = (&emergency, &facts.place) {
            facts.standings.push(Standing::Emergency);
            facts.member = Some(emergency.member);
            decided = widest::<A>(place.kind, &facts.standings);
        }
    }
    let organization = facts.place.as_ref().map(|place| place.organization);
    let entry = |at, standing, allowed| Entry {
        at,
        account_id: caller.account,
        action: A::ACTION,
        allowed,
        standing,
        organization_id: organization,
        group_id: Some(group),
        // Whatever is read in an emergency is about one member.
        member_id: emergency.as_ref().map(|emergency| emergency.member),
        record_id: None,
        emergency_id: emergency.as_ref().map(|emergency| emergency.id),
    };
    let log = |connection: &mut Connection, standing, allowed| {
        let entry = entry(connection.now, standing, allowed);
        connection.entries.push(entry);
    };
    let Some(place) = facts.place.filter(|_| !facts.standings.is_empty()) else {
        log(connection, None, false);
        return Err(Problem::NotFound);
    };
    let Some((reach, standing)) = decided else {
        log(connection, Some(facts.standings[0]), false);
        return Err(Problem::Forbidden);
    };
    if let Err(problem) = needs_second_factor(standing, place.staff_second_factor, facts.second_factor) {
        log(connection, Some(standing), false);
        return Err(problem);
    }
    if logged::<A>(standing) {
        log(connection, Some(standing), true);
    } else if A::ACTION.touches_records() {
        connection.attempt = Some(entry(connection.now, Some(standing), false));
    }
    Ok(Permit {
        account: caller.account,
        reach,
        standing: Some(standing),
        standings: facts.standings,
        scope: group,
        organization: place.organization,
        kind: place.kind,
        zone: place.zone,
        member: facts.member,
        bound_to: facts.bound_to.filter(|_| matches!(standing, Standing::Facilitator | Standing::FormerFacilitator)),
        wall: wall_in_group::<A>(caller.account, group, reach, standing),
        emergency: emergency.map(|emergency| emergency.id),
        act: PhantomData,
    })
}

/// Authorizes an action in an organization; the answers are those of [`authorize`].
pub fn authorize_in_organization<A: area::Organization>(
    connection: &mut Connection,
    caller: &Caller,
    organization: Id,
) -> Result<Permit<A>, Problem> {
    let facts = standing::in_organization(connection, caller, organization)?;
    let log = |connection: &mut Connection, standing, allowed| {
        let entry = entry_in_organization::<A>(connection.now, caller.account, organization, standing, allowed);
        connection.entries.push(entry);
    };
    if facts.standings.is_empty() {
        log(connection, None, false);
        return Err(Problem::NotFound);
    }
    let Some((reach, standing)) = widest::<A>(Kind::TherapistLed, &facts.standings) else {
        log(connection, Some(facts.standings[0]), false);
        return Err(Problem::Forbidden);
    };
    if let Err(problem) = needs_second_factor(standing, facts.staff_second_factor, facts.second_factor) {
        log(connection, Some(standing), false);
        return Err(problem);
    }
    if logged::<A>(standing) {
        log(connection, Some(standing), true);
    }
    Ok(Permit {
        account: caller.account,
        reach,
        standing: Some(standing),
        standings: facts.standings,
        scope: organization,
        organization,
        kind: Kind::TherapistLed,
        zone: String::new(),
        member: None,
        bound_to: None,
        wall: Scope { organization: Some(organization), ..Scope::own(caller.account) },
        emergency: None,
        act: PhantomData,
    })
}

/// Authorizes an action on one's own account.
///
/// # Errors
/// `Unauthenticated` when the sign-in ended meanwhile.
pub fn authorize_own<A: area::Account>(connection: &mut Connection, caller: &Caller) -> Result<Permit<A>, Problem> {
    standing::is_signed_in(connection, caller)?;
    let permit = Permit {
        account: caller.account,
        reach: Reach::Own,
        standing: None,
        standings: Vec::new(),
        scope: caller.account,
        organization: Id::INSTALLATION,
        kind: Kind::PeerLed,
        zone: String::new(),
        member: None,
        bound_to: None,
        wall: Scope::own(caller.account),
        emergency: None,
        act: PhantomData,
    };
    if reaches_own_groups(A::ACTION) { permit.in_own_groups(connection) } else { Ok(permit) }
}

/// A second permit for the same request in the same group: the standings are those that were looked up a moment ago,
/// in the same transaction.
///
/// # Errors
/// `Forbidden` when the policy says no.
pub fn also<A: area::Group, B: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<Permit<B>, Problem> {
    let decided = widest::<B>(permit.kind, &permit.standings);
    let standing = decided.map(|(_, standing)| standing).or(permit.standing);
    if decided.is_none() || standing.is_some_and(logged::<B>) {
        connection.entries.push(Entry {
            at: connection.now,
            account_id: permit.account,
            action: B::ACTION,
            allowed: decided.is_some(),
            standing,
            organization_id: Some(permit.organization),
            group_id: Some(permit.scope),
            member_id: permit.emergency.and(permit.member),
            record_id: None,
            emergency_id: permit.emergency,
        });
    }
    let (reach, standing) = decided.ok_or(Problem::Forbidden)?;
    Ok(Permit {
        account: permit.account,
        reach,
        standing: Some(standing),
        standings: permit.standings.clone(),
        scope: permit.scope,
        organization: permit.organization,
        kind: permit.kind,
        zone: permit.zone.clone(),
        member: permit.member,
        bound_to: permit.bound_to,
        wall: wall_in_group::<B>(permit.account, permit.scope, reach, standing),
        emergency: permit.emergency,
        act: PhantomData,
    })
}

/// Says in the access log whose record it was, and which.
pub(super) fn concerns<A: Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Option<Id>,
    record: Option<Id>,
) {
    let is_of_permit = |entry: &&mut Entry| {
        let scope = entry.group_id.or(entry.organization_id);
        entry.allowed && entry.action == A::ACTION && scope == Some(permit.scope)
    };
    let own = connection.entries.iter_mut().skip(connection.own_entries);
    if let Some(entry) = own.rev().find(is_of_permit) {
        // In an emergency it is about one member, named or not.
        entry.member_id = member.or(entry.member_id.filter(|_| entry.emergency_id.is_some()));
        entry.record_id = record;
    }
}

fn entry_in_organization<A: Act>(
    at: Moment,
    account: Id,
    organization: Id,
    standing: Option<Standing>,
    allowed: bool,
) -> Entry {
    Entry {
        at,
        account_id: account,
        action: A::ACTION,
        allowed,
        standing,
        organization_id: Some(organization),
        group_id: None,
        member_id: None,
        record_id: None,
        emergency_id: None,
    }
}

/// Says in the access log which emergency access an act of the organization was about: the member whose record it opens
/// finds the entry in their own log.
pub(super) fn concerns_emergency<A: area::Organization>(
    connection: &mut Connection,
    permit: &Permit<A>,
    (group, member): (Id, Id),
    access: Id,
) {
    let is_of_permit = |entry: &&mut Entry| entry.allowed && entry.action == A::ACTION && entry.group_id.is_none();
    let own = connection.entries.iter_mut().skip(connection.own_entries);
    if let Some(entry) = own.rev().find(|entry| is_of_permit(entry) && entry.account_id == permit.account) {
        entry.group_id = Some(group);
        entry.member_id = Some(member);
        entry.record_id = Some(access);
    }
}

/// Says what the access log keeps when the emergency access that is asked for is refused, and of whose record, once that is
/// known to be one of the organization.
pub(super) fn asks_for_emergency(
    connection: &mut Connection,
    permit: &Permit<OpenEmergencyAccess>,
    about: Option<(Id, Id)>,
) {
    let (account, organization) = (permit.account, permit.organization);
    connection.refusal = Some(Entry {
        group_id: about.map(|(group, _)| group),
        member_id: about.map(|(_, member)| member),
        ..entry_in_organization::<OpenEmergencyAccess>(connection.now, account, organization, permit.standing, false)
    });
}

/// The standing that reaches farthest. Each standing is judged alone: one never widens the other. Whoever leads and
/// belongs, and reaches as far as either, acts as a leader; a steward who stands in for a facilitator acts as a steward
/// where that is enough: that is what the log has to show.
fn widest<A: Act>(kind: Kind, standings: &[Standing]) -> Option<(Reach, Standing)> {
    standings
        .iter()
        .filter_map(|&standing| decide(kind, standing, A::ACTION).map(|reach| (reach, standing)))
        .max_by_key(|&(reach, standing)| {
            (reach, !matches!(standing, Standing::Member | Standing::FormerMember), Reverse(standing))
        })
}

/// Members reading their own need no entry; whoever else touches a record does.
fn logged<A: Act>(standing: Standing) -> bool {
    A::ACTION.touches_records() && !matches!(standing, Standing::Member | Standing::FormerMember)
}

fn needs_second_factor(standing: Standing, required: bool, given: bool) -> Result<(), Problem> {
    let is_staff = standing.is_office() || standing.is_term() || standing == Standing::Emergency;
    if required && is_staff && !given {
        return Err(Problem::SecondFactorNeeded);
    }
    Ok(())
}

/// What the second wall is told of a permit in a group: the group, and for members who read or write what is theirs alone
/// not even that.
fn wall_in_group<A: Act>(account: Id, group: Id, reach: Reach, standing: Standing) -> Scope {
    let is_member = matches!(standing, Standing::Member | Standing::FormerMember);
    let keeps_to_own = is_member && reach == Reach::Own && touches_own_rows_alone(A::ACTION);
    let groups = if keeps_to_own { Vec::new() } else { vec![group] };
    Scope { groups, ..Scope::own(account) }
}

/// What a member does with their own rows and needs no other row of the group for. A new action is not among them until
/// somebody has seen that.
fn touches_own_rows_alone(action: Action) -> bool {
    use Action::*;
    matches!(
        action,
        ReadMembers
            | ReadSignatures
            | SignAgreement
            | WithdrawSignature
            | ReadAttendance
            | ReadServices
            | RecordService
            | MakeProof
            | SetAttendanceMode
            | RecordCheckIn
            | ReadCheckIns
            | ChangeCheckIn
            | ReadMeasures
            | RecordMeasure
            | ReadProgress
            | ReadProgressEntries
            | ReadGoals
            | AgreeGoal
            | RateGoal
            | ReportHomework
    )
}

/// What somebody does in all their groups at once: taking out, and taking back, what is theirs.
fn reaches_own_groups(action: Action) -> bool {
    use Action::*;
    matches!(action, ExportOwnRecords | EraseOwnRecords | CloseAccount | SendReferral | AppealConsequence)
}
