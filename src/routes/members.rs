//! Members of a group: invited, moved from state to state, transferred, always as intervals.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    operation::Api,
};
use crate::{
    identity::{Caller, Guesses, Try},
    policy::{Kind, Reach, Standing, act},
    problem::Problem,
    rules::{
        breaches::{check_peers_move, check_return},
        groups::State as GroupState,
        members::{State, check_capacity, check_move},
    },
    store::{breaches, connection::Db, groups, invitations, members, permit::authorize, standings},
    values::{Id, Moment, Sentence, Title},
};

/// One person's membership in one group.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    pub id: Id,
    /// The name used in this group.
    pub name: String,
    pub state: State,
    pub state_from: Moment,
    /// Whether the member has signed up with the code.
    pub has_account: bool,
}

/// A membership with its whole course.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberWithIntervals {
    #[serde(flatten)]
    pub member: Member,
    pub intervals: Vec<Interval>,
}

/// One interval of a membership, half-open.
#[derive(Debug, Serialize, ToSchema)]
pub struct Interval {
    pub state: State,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
    pub reason: Option<String>,
    pub recorded_at: Moment,
}

/// Somebody who shall come to the group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteMember {
    /// The name used in this group: a first name or a pseudonym is enough. In a peer-led group nobody else's.
    pub name: Title,
    /// Since when the membership counts, where it began before it is entered here; now when not said.
    pub since: Option<Moment>,
}

/// A new membership, and the code that the member signs up with. Shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitedMember {
    #[serde(flatten)]
    pub member: Member,
    pub code: String,
    pub code_expires_at: Moment,
}

/// The next state of a membership.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveMember {
    /// `screened`, `active`, `paused`, `completed`, `left`, `discharged` or `removed`; a member may only say `left`. In
    /// a peer-led group nobody ends or interrupts another's membership: a breach report can lead to that.
    pub state: State,
    /// Since when; now when not said, and always for a member. Not in the future, and not before the interval that it
    /// ends.
    pub from_at: Option<Moment>,
    pub reason: Option<Sentence>,
}

/// A new name in the group; in a peer-led one nobody else's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameMember {
    pub name: Title,
}

/// Where a member goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferMember {
    /// Another therapist-led group that the caller leads.
    pub to_group: Id,
    pub reason: Option<Sentence>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct InState {
    /// Only members in this state.
    state: Option<State>,
}

pub fn register(api: &mut Api) {
    api.heading("Members");
    api.post::<act::InviteMember, _, _>("/groups/{group}/members", "Invite a member", invite_member)
        .takes::<InviteMember>(json!({"name": "Ari"}))
        .creates::<InvitedMember>()
    .says("The answer holds a one-time code: hand it over in person. With it the member makes an account (`POST /accounts`) or accepts with the one they have; then a lead moves the membership to `active`, and until then the group shows them nothing. Who has been a member for longer than this record: `since` here, and `from_at` in the move.");
    api.post::<act::InviteMember, _, _>(
        "/groups/{group}/members/{member}/codes",
        "Make a new code for a membership that nobody has signed up to",
        renew_code,
    )
    .creates::<InvitedMember>();
    api.get::<act::ReadMembers, _, _>("/groups/{group}/members", "List the members", list_members)
        .asks::<InState>()
        .lists::<Member>();
    api.get::<act::ReadMembers, _, _>("/groups/{group}/members/{member}", "Read a membership", read_member)
        .gives::<MemberWithIntervals>();
    api.put::<act::MoveMember, _, _>(
        "/groups/{group}/members/{member}/name",
        "Change a member's name in the group",
        rename_member,
    )
    .takes::<RenameMember>(json!({"name": "Ari B."}))
    .gives::<Member>()
    .changes()
    .also(429);
    api.post::<act::MoveMember, _, _>(
        "/groups/{group}/members/{member}/moves",
        "Move a membership to its next state",
        move_member,
    )
    .takes::<MoveMember>(json!({"state": "left", "reason": "Moved to another town."}))
    .creates::<Member>()
    .changes();
    api.post::<act::TransferMember, _, _>(
        "/groups/{group}/members/{member}/transfer",
        "Transfer a member to another group",
        transfer_member,
    )
    .takes::<TransferMember>(json!({"to_group": "0198c0de-0000-7000-8000-000000000000"}))
    .creates::<Member>()
    .changes();
}

fn shown(member: members::Member) -> Member {
    Member {
        id: member.id,
        name: member.name,
        state: member.state,
        state_from: member.state_from,
        has_account: member.has_account,
    }
}

async fn invite_member(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<InviteMember>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::InviteMember>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            if groups::find_state(connection, &permit)? == GroupState::Closed {
                return Err(Problem::Conflict("The group is closed.".into()));
            }
            let since = request.since.unwrap_or(connection.now);
            if since > connection.now {
                return Err(Problem::field("/since", "lies in the future"));
            }
            // Two at once do not both find the name free.
            groups::lock(connection, &permit)?;
            if members::is_name_taken(connection, &permit, request.name.as_str(), None)? {
                return Err(name_taken());
            }
            let member = members::insert(connection, &permit, request.name.as_str(), State::Invited, None, since)?;
            let mut invited = invitations::into_group(&permit, Standing::Member);
            invited.member = Some(member.id);
            let (invitation, code) = invitations::insert(connection, &permit, &invited)?;
            let (id, version) = (member.id, member.version);
            let invited = InvitedMember { member: shown(member), code, code_expires_at: invitation.expires_at };
            Ok(Reply::created(format!("/groups/{group}/members/{id}"), &invited)?.version(version))
        })
    })
    .await
}

async fn renew_code(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::InviteMember>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, _| {
            let member = members::find(connection, &permit, id)?;
            if member.has_account {
                return Err(Problem::Conflict("Somebody has signed up to this membership already.".into()));
            }
            // Only the newest code counts: the older one may have been lost to somebody else.
            invitations::revoke_of_member(connection, &permit, id)?;
            let mut invited = invitations::into_group(&permit, Standing::Member);
            invited.member = Some(id);
            let (invitation, code) = invitations::insert(connection, &permit, &invited)?;
            let version = member.version;
            let invited = InvitedMember { member: shown(member), code, code_expires_at: invitation.expires_at };
            Ok(Reply::created(format!("/groups/{group}/members/{id}"), &invited)?.version(version))
        })
    })
    .await
}

async fn list_members(db: Data<Db>, caller: Caller, path: Path<Id>, asked: Query<InState>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadMembers>(connection, &caller, group)?;
        let members = members::list(connection, &permit, asked.state, after, limit + 1)?;
        Reply::page(members.into_iter().map(shown).collect(), &paging, |member| member.id)
    })
    .await
}

async fn read_member(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadMembers>(connection, &caller, group)?;
        let member = members::find(connection, &permit, id)?;
        let version = member.version;
        // Why somebody was removed or discharged is the leads' note; the member reads states and times.
        let shows_reasons = permit.reach() == Reach::All && permit.standing().is_some_and(Standing::leads);
        let intervals = members::list_intervals(connection, &permit, id)?
            .into_iter()
            .map(|interval| Interval {
                state: interval.state,
                from_at: interval.from_at,
                until_at: interval.until_at,
                reason: interval.reason.filter(|_| shows_reasons),
                recorded_at: interval.recorded_at,
            })
            .collect();
        Ok(Reply::ok(&MemberWithIntervals { member: shown(member), intervals })?.version(version))
    })
    .await
}

fn name_taken() -> Problem {
    Problem::field("/name", "is somebody else's in the group")
}

async fn rename_member(
    db: Data<Db>,
    guesses: Data<Guesses>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<RenameMember>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::MoveMember>(connection, &caller, group)?;
        groups::lock(connection, &permit)?;
        let member = members::find(connection, &permit, id)?;
        command.expects(member.version)?;
        let request = command.body()?;
        if permit.kind() == Kind::PeerLed {
            // Whoever is told of a case could give away in a name who reported it.
            if permit.reach() == Reach::All {
                breaches::check_no_subject(connection, &permit)?;
            }
            // A refusal says that somebody of that name is there: not to whoever asks for many.
            let who = caller.account.to_string();
            guesses.begin(Try::Name, &who)?;
            if members::is_name_taken(connection, &permit, request.name.as_str(), Some(id))? {
                guesses.was_wrong(Try::Name, &who);
                return Err(name_taken());
            }
        }
        members::update_name(connection, &permit, &member, request.name.as_str())?;
        let member = members::find(connection, &permit, id)?;
        let version = member.version;
        Ok(Reply::ok(&shown(member))?.version(version))
    })
    .await
}

async fn move_member(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<MoveMember>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::MoveMember>(connection, &caller, group)?;
        // Whoever counts the places must see everybody who came before: one at a time.
        groups::lock(connection, &permit)?;
        let member = members::find(connection, &permit, id)?;
        let precondition = command.expects(member.version);
        command.once(connection, &permit, |connection, request| {
            // After the look for a kept answer, so that a retry is not taken for a stale change.
            precondition?;
            if permit.reach() == Reach::Own && request.state != State::Left {
                return Err(Problem::field("/state", "of their own, members may only say left"));
            }
            // Leads date moves back; whoever could do so for themselves would take themselves off past rosters.
            if permit.reach() == Reach::Own && request.from_at.is_some() {
                return Err(Problem::field("/from_at", "of their own, members leave now"));
            }
            if request.state == State::Transferred {
                return Err(Problem::field("/state", "a transfer names the other group: POST …/transfer"));
            }
            let is_own = members::find_account(connection, &permit, id)? == Some(permit.account());
            if permit.kind() == Kind::PeerLed && !is_own {
                check_peers_move(member.state, request.state, member.has_account)?;
            }
            // Whoever had left when the group decided on removal as well.
            if !member.state.takes_a_place() && request.state == State::Active {
                let review_on = breaches::find_removal_review(connection, &permit, id)?;
                check_return(review_on, connection.now.day_in(permit.zone()))?;
            }
            let at = request.from_at.unwrap_or(connection.now);
            check_move(member.state, member.state_from, request.state, at, connection.now)?;
            if request.state.takes_a_place() && !member.state.takes_a_place() {
                let capacity = groups::find_capacity(connection, &permit)?;
                check_capacity(capacity, members::count_places(connection, &permit)?)?;
            }
            let reason = request.reason.as_ref().map(|reason| reason.as_str());
            members::update_state(connection, &permit, &member, request.state, at, reason)?;
            if request.state == State::Removed && !member.has_account {
                invitations::revoke_of_member(connection, &permit, id)?;
            }
            let moved = members::Member { state: request.state, state_from: at, version: member.version + 1, ..member };
            let version = moved.version;
            Ok(Reply::created(format!("/groups/{group}/members/{id}"), &shown(moved))?.version(version))
        })
    })
    .await
}

async fn transfer_member(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<TransferMember>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::TransferMember>(connection, &caller, group)?;
        groups::lock(connection, &permit)?;
        let member = members::find(connection, &permit, id)?;
        let precondition = command.expects(member.version);
        command.once(connection, &permit, |connection, request| {
            precondition?;
            // The right is needed on both sides; a group that the caller may not know of is no group.
            let there = authorize::<act::TransferMember>(connection, &caller, request.to_group)
                .map_err(|_| Problem::field("/to_group", "is no group that you lead"))?;
            if there.group() == permit.group() || there.kind() != Kind::TherapistLed {
                return Err(Problem::field("/to_group", "is no other therapist-led group"));
            }
            if there.organization_of_group() != permit.organization_of_group() {
                return Err(Problem::field("/to_group", "belongs to another organization"));
            }
            let now = connection.now;
            check_move(member.state, member.state_from, State::Transferred, now, now)?;
            groups::lock(connection, &there)?;
            let capacity = groups::find_capacity(connection, &there)?;
            check_capacity(capacity, members::count_places(connection, &there)?)?;
            let account = members::find_account(connection, &permit, id)?;
            // A code for the old membership would lead to it; the new group makes another: POST …/codes.
            invitations::revoke_of_member(connection, &permit, id)?;
            if let Some(account) = account {
                standings::check_no_term(connection, &there, account)?;
            }
            let reason = request.reason.as_ref().map(|reason| reason.as_str());
            members::update_state(connection, &permit, &member, State::Transferred, now, reason)?;
            // Scores follow the person through the account; nothing of this group's notes goes along.
            let arrived =
                members::insert(connection, &there, &member.name, State::Active, account, now).map_err(|problem| {
                    match problem {
                        Problem::Conflict(_) => Problem::Conflict("The member belongs to that group already.".into()),
                        other => other,
                    }
                })?;
            let (new, version) = (arrived.id, arrived.version);
            Ok(Reply::created(format!("/groups/{}/members/{new}", request.to_group), &shown(arrived))?.version(version))
        })
    })
    .await
}
