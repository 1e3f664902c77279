//! Leadership in turn: availability, the rota, offers and swaps, hand-over notes, service given.

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
    identity::{Caller, Guesses, Try},
    policy::{Reach, act, area},
    problem::Problem,
    rules::{
        self,
        members::State as MemberState,
        rota::{
            OfferState, Service, Slot, check_absences, check_hand_over, check_open, check_reaches_nobody,
            check_to_come, month_of, propose,
        },
        sessions::check_plannable,
        terms::start_of_day,
    },
    store::{
        breaches,
        connection::{Connection, Db},
        groups,
        permit::{Permit, authorize, authorize_in_session},
        rota::{self, Offered, Planned},
        sessions, standings,
    },
    values::{Day, Few, Id, Moment, Sentence, Whole},
};

/// Sessions that one run of proposals looks at.
const MOST_PROPOSED: i64 = 60;

/// Whether a member wants to be proposed as a facilitator, and when they are away. They alone read it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// Nobody is proposed who did not say so.
    pub willing: bool,
    /// Those that are over are not kept.
    #[serde(default)]
    pub absences: Few<Absence, 20>,
}

/// Days in the group's zone on which somebody is away.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    pub from_on: Day,
    /// The last of them.
    pub until_on: Day,
}

/// A session of the rota.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotaSession {
    pub session: Id,
    pub starts_at: Moment,
    /// Those whose term is bound to the session, and those whose term has an end and covers its beginning. Whoever
    /// facilitates without an end stands among the group's terms.
    pub facilitators: Vec<RotaFacilitator>,
    /// Whether somebody is still looked for.
    pub open: bool,
}

/// Who facilitates a session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RotaFacilitator {
    /// Where they belong to the group.
    pub member: Option<Id>,
    /// As the group calls them; of a guest, the name of their account.
    pub name: Option<String>,
}

impl From<standings::Named> for RotaFacilitator {
    fn from(named: standings::Named) -> RotaFacilitator {
        RotaFacilitator { member: named.member, name: named.name }
    }
}

/// How a rota is proposed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeRota {
    /// Decides between equals: the same seed and the same facts give the same rota.
    pub seed: Whole<0, 2_147_483_647>,
    /// The first day, in the group's zone, whose sessions are no longer looked at. At most 60 sessions are.
    pub until_on: Option<Day>,
}

/// Who could facilitate the sessions that nobody facilitates. Nothing is kept, and nobody is asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotaProposals {
    pub items: Vec<RotaProposal>,
}

/// Somebody for one session.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotaProposal {
    pub session: Id,
    pub starts_at: Moment,
    pub member: Option<Id>,
    /// Where there is no member: that nobody can be proposed, and no more.
    pub reason: Option<&'static str>,
}

/// To whom a session is offered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferTerm {
    /// A member.
    pub to: Id,
    /// Of one's own session alone: the session of theirs that is wanted for it.
    pub in_return: Option<Id>,
}

/// An offer to facilitate a session. Nobody facilitates without having said yes to one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Offer {
    pub id: Id,
    pub session: Id,
    /// The member who is asked.
    pub to: Id,
    /// Whoever asks, as the group calls them.
    pub from: Option<String>,
    /// Whether it is the asking one's own session.
    pub hands_over: bool,
    /// The session that is wanted for it.
    pub in_return: Option<Id>,
    pub state: OfferState,
    pub offered_at: Moment,
}

/// Yes or no. Nobody is told why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerOffer {
    pub accept: bool,
}

/// What the next facilitator needs to know.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteHandOver {
    /// Keys, room, material; nothing about anybody. A text that holds the whole name of a present member is refused, and
    /// whoever is refused too often has to wait.
    pub text: Sentence,
}

/// A hand-over note.
#[derive(Debug, Serialize, ToSchema)]
pub struct HandOver {
    /// The session after which it was left.
    pub session: Id,
    pub text: String,
    pub written_at: Moment,
}

/// For which session a note is looked for.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Next {
    /// The session that will be facilitated: its facilitator reads what was left before it. Without one, what was left
    /// before now.
    session: Option<Id>,
}

/// What a member did for a meeting.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordService {
    pub service: Service,
}

/// What a member has done for the group. Months are those of the group's zone; days are not kept, because they would say
/// at which session somebody was.
#[derive(Debug, Serialize, ToSchema)]
pub struct Services {
    /// The newest month first.
    pub items: Vec<MonthOfService>,
}

/// How often, in one month.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonthOfService {
    #[schema(example = "2026-03")]
    pub month: String,
    pub greeted: i32,
    pub set_up: i32,
    /// Sessions that were held, and that you led: in turn, in a term for the whole group, or standing in.
    pub facilitated: i32,
}

pub fn register(api: &mut Api) {
    const AVAILABILITY: &str = "/groups/{group}/availability";
    const OFFERS: &str = "/groups/{group}/sessions/{session}/offers";
    const HAND_OVER: &str = "/groups/{group}/sessions/{session}/hand-over";
    const SERVICES: &str = "/groups/{group}/services";
    api.heading("Leadership in turn");
    api.get::<act::SetAvailability, _, _>(AVAILABILITY, "Read your own availability", read_availability)
        .gives::<Availability>();
    api.put::<act::SetAvailability, _, _>(AVAILABILITY, "Say whether and when you can facilitate", set_availability)
        .takes::<Availability>(
            json!({"willing": true, "absences": [{"from_on": "2027-07-05", "until_on": "2027-07-25"}]}),
        )
        .gives::<Availability>();
    api.get::<act::ReadRota, _, _>("/groups/{group}/rota", "See who facilitates which session", read_rota)
        .lists::<RotaSession>();
    api.post::<act::ProposeRota, _, _>(
        "/groups/{group}/rota/proposals",
        "Propose facilitators for the sessions that have none",
        propose_rota,
    )
    .takes::<ProposeRota>(json!({"seed": 7}))
    .gives::<RotaProposals>()
    .makes_nothing()
    .says("Proposes whoever is willing, active for 28 days or more, and not away that day; whoever had the fewest turns comes first, and the seed decides between equals: the same seed gives the same rota. Nobody leads by a proposal: offer the session to them.");
    api.post::<act::OfferTerm, _, _>(
        OFFERS,
        "Offer a session that nobody facilitates, or hand over your own",
        offer_term,
    )
    .takes::<OfferTerm>(json!({"to": "0198c0de-0000-7000-8000-000000000000"}))
    .creates::<Offer>()
    .says("A session changes hands by consent alone. Whoever is offered it accepts or declines (`POST …/offers/{offer}/answer`); accepted, they facilitate that session, from the group's preparing hours before it to its finishing hours after it. Whoever holds it hands it over the same way; `in_return` asks for another one in exchange. To give it back with nobody to take it: decline it after all.");
    api.delete::<act::OfferTerm, _, _>(OFFERS, "Take back your open offers of a session", withdraw_own_offers);
    api.get::<act::ReadOffers, _, _>("/groups/{group}/offers", "List the offers, newest first", list_offers)
        .lists::<Offer>();
    api.post::<act::AnswerOffer, _, _>(
        "/groups/{group}/offers/{offer}/answer",
        "Accept or decline what you were offered",
        answer_offer,
    )
    .takes::<AnswerOffer>(json!({"accept": true}))
    .gives::<Offer>()
    .makes_nothing()
    .says("Declining what you accepted gives the session back, until it begins: then it is open again.");
    api.post::<act::OfferTerm, _, _>(
        "/groups/{group}/offers/{offer}/withdrawal",
        "Take back an offer that you made",
        withdraw_offer,
    )
    .gives::<Offer>()
    .makes_nothing();
    api.get::<act::ReadHandOver, _, _>("/groups/{group}/hand-over", "Read the newest hand-over note", find_hand_over)
        .asks::<Next>()
        .gives::<HandOver>()
        .says("Whoever facilitates one session alone names it: `?session=`.");
    api.get::<act::ReadHandOver, _, _>(HAND_OVER, "Read the hand-over note of a session", read_hand_over)
        .gives::<HandOver>();
    api.put::<act::WriteHandOver, _, _>(
        HAND_OVER,
        "Leave a hand-over note (without If-Match), or replace it",
        write_hand_over,
    )
    .takes::<WriteHandOver>(json!({"text": "The key is at the front desk. The kettle needs descaling."}))
    .gives::<HandOver>()
    .changes()
    .also(429);
    api.get::<act::ReadServices, _, _>(SERVICES, "See what you have done for the group", read_services)
        .gives::<Services>();
    api.post::<act::RecordService, _, _>(SERVICES, "Count that you greeted or set up", record_service)
        .takes::<RecordService>(json!({"service": "greeted"}))
        .gives::<Services>()
        .makes_nothing();
}

fn shown_availability(kept: rota::Availability) -> Answer {
    let absences = kept
        .absences
        .into_iter()
        .map(|absence| Absence { from_on: absence.from_on, until_on: absence.until_on })
        .collect();
    Reply::ok(&Availability { willing: kept.willing, absences: Few(absences) })
}

async fn read_availability(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::SetAvailability>(connection, &caller, group)?;
        shown_availability(rota::find_availability(connection, &permit)?)
    })
    .await
}

async fn set_availability(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<Availability>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SetAvailability>(connection, &caller, group)?;
        let request = command.body()?;
        let mut absences: Vec<rules::rota::Absence> = request
            .absences
            .0
            .into_iter()
            .map(|absence| rules::rota::Absence { from_on: absence.from_on, until_on: absence.until_on })
            .collect();
        let today = connection.now.day_in(permit.zone());
        check_absences(&absences, today)?;
        absences.retain(|absence| absence.until_on >= today);
        let availability = rota::Availability { willing: request.willing, absences };
        rota::update_availability(connection, &permit, &availability)?;
        shown_availability(rota::find_availability(connection, &permit)?)
    })
    .await
}

async fn read_rota(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadRota>(connection, &caller, group)?;
        let today = start_of_day(connection.now.day_in(permit.zone()), permit.zone(), "")?;
        let planned = rota::list_planned(connection, &permit, today, None, after, limit + 1)?;
        let facilitators = rota::list_facilitators(connection, &permit, &planned)?;
        let names = standings::list_names(connection, &permit, facilitators.values().flatten().copied())?;
        let named = |account: &Id| names.get(account).cloned().map(RotaFacilitator::from);
        let shown = |session: &Planned| {
            let accounts = facilitators.get(&session.id).map_or(&[][..], Vec::as_slice);
            RotaSession {
                session: session.id,
                starts_at: session.starts_at,
                facilitators: accounts.iter().filter_map(named).collect(),
                open: accounts.is_empty(),
            }
        };
        Reply::page(planned.iter().map(shown).collect(), &paging, |session| (session.starts_at, session.session))
    })
    .await
}

async fn propose_rota(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<ProposeRota>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ProposeRota>(connection, &caller, group)?;
        let request = command.body()?;
        let now = connection.now;
        let until = request.until_on.map(|day| start_of_day(day, permit.zone(), "/until_on")).transpose()?;
        if until.is_some_and(|until| until <= now) {
            return Err(Problem::field("/until_on", "lies in the past"));
        }
        let planned = rota::list_planned(connection, &permit, now, until, None, MOST_PROPOSED)?;
        let facilitators = rota::list_facilitators(connection, &permit, &planned)?;
        let last = rota::list_last_facilitators(connection, &permit)?;
        let known: Vec<Id> = facilitators.values().flatten().chain(&last).copied().collect();
        let memberships = rota::list_memberships(connection, &permit, &known)?;
        let as_members = |accounts: &[Id]| accounts.iter().filter_map(|id| memberships.get(id).copied()).collect();
        let slots: Vec<Slot> = planned
            .iter()
            .map(|session| {
                let accounts = facilitators.get(&session.id).map_or(&[][..], Vec::as_slice);
                Slot {
                    session: session.id,
                    starts_at: session.starts_at,
                    day: session.starts_at.day_in(permit.zone()),
                    is_open: accounts.is_empty(),
                    facilitators: as_members(accounts),
                }
            })
            .collect();
        let open: Vec<Id> = slots.iter().filter(|slot| slot.is_open).map(|slot| slot.session).collect();
        let candidates = rota::list_candidates(connection, &permit, &open)?;
        let before: Vec<Id> = as_members(&last);
        let seed = u64::from(request.seed.get().unsigned_abs());
        let starts: HashMap<Id, Moment> = slots.iter().map(|slot| (slot.session, slot.starts_at)).collect();
        let items = propose(&slots, &before, &candidates, seed)
            .into_iter()
            .map(|(session, member)| RotaProposal {
                session,
                starts_at: starts[&session],
                member,
                reason: member.is_none().then_some("nobody can be proposed"),
            })
            .collect();
        Reply::ok(&RotaProposals { items })
    })
    .await
}

fn shown_offers<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    offers: Vec<rota::Offer>,
) -> Result<Vec<Offer>, Problem> {
    let returns: Vec<Id> = offers.iter().filter_map(|offer| offer.in_return_id).collect();
    let sessions = rota::list_sessions_of_terms(connection, permit, &returns)?;
    let names = standings::list_names(connection, permit, offers.iter().map(|offer| offer.offered_by))?;
    Ok(offers
        .into_iter()
        .map(|offer| Offer {
            id: offer.id,
            session: offer.session_id,
            to: offer.to_member_id,
            from: names.get(&offer.offered_by).and_then(|named| named.name.clone()),
            hands_over: offer.term_id.is_some(),
            in_return: offer.in_return_id.and_then(|term| sessions.get(&term).copied()),
            state: offer.state,
            offered_at: offer.offered_at,
        })
        .collect())
}

fn shown_offer<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    offer: rota::Offer,
) -> Result<Offer, Problem> {
    shown_offers(connection, permit, vec![offer])?.pop().ok_or(Problem::NotFound)
}

async fn offer_term(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<OfferTerm>) -> Answer {
    let (group, session) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::OfferTerm>(connection, &caller, group, session)?;
        command.once(connection, &permit, |connection, request| {
            groups::lock(connection, &permit)?;
            let offered = judged_offer(connection, &permit, session, &request)?;
            let offer = rota::insert_offer(connection, &permit, &offered)?;
            Reply::created(format!("/groups/{group}/offers"), &shown_offer(connection, &permit, offer)?)
        })
    })
    .await
}

/// What can be offered: a session that nobody facilitates, or one's own, perhaps for another.
fn judged_offer(
    connection: &mut Connection,
    permit: &Permit<act::OfferTerm>,
    session: Id,
    request: &OfferTerm,
) -> Result<Offered, Problem> {
    let kept = sessions::find(connection, permit, session)?;
    check_to_come(kept.state, kept.starts_at, connection.now)?;
    let held = rota::list_bound(connection, permit, &[session])?;
    let own = held.iter().find(|term| term.account == permit.account());
    if own.is_none() && permit.reach() == Reach::Own {
        return Err(Problem::Forbidden);
    }
    if own.is_none() && !rota::leads(connection, permit, permit.account())? {
        return Err(Problem::Conflict("Your own term is over.".into()));
    }
    if own.is_none() && !held.is_empty() {
        return Err(Problem::Conflict("Somebody facilitates this session: they alone hand it over.".into()));
    }
    let receiver = match rota::find_receiver(connection, permit, request.to)? {
        Some((account, MemberState::Active)) => account,
        _ => return Err(Problem::field("/to", "is no active member of this group with an account")),
    };
    if held.iter().any(|term| term.account == receiver) {
        return Err(Problem::field("/to", "facilitates this session already"));
    }
    let in_return = match (request.in_return, own) {
        (None, _) => None,
        (Some(_), None) => return Err(Problem::field("/in_return", "only one's own session is given for another")),
        (Some(wanted), Some(_)) => Some(
            rota::find_return(connection, permit, receiver, wanted)?
                .ok_or_else(|| Problem::field("/in_return", "is no session to come that they facilitate"))?,
        ),
    };
    Ok(Offered { session, to: request.to, term: own.map(|term| term.id), in_return })
}

async fn withdraw_own_offers(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, session) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::OfferTerm>(connection, &caller, group, session)?;
        sessions::find(connection, &permit, session)?;
        groups::lock(connection, &permit)?;
        rota::withdraw_offers(connection, &permit, &[session], Some(permit.account()))?;
        Reply::done()
    })
    .await
}

async fn list_offers(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, before) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadOffers>(connection, &caller, group)?;
        let offers = rota::list_offers(connection, &permit, before, limit + 1)?;
        Reply::page(shown_offers(connection, &permit, offers)?, &paging, |offer| (offer.offered_at, offer.id))
    })
    .await
}

async fn answer_offer(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<AnswerOffer>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AnswerOffer>(connection, &caller, group)?;
        // First of all: of two answers at once, the second waits here.
        groups::lock(connection, &permit)?;
        let offer = rota::find_offer(connection, &permit, id)?;
        permit.reaches_member(offer.to_member_id)?;
        let request = command.body()?;
        let offer = match (request.accept, offer.state) {
            (false, OfferState::Accepted) => give_back(connection, &permit, &offer)?,
            (true, OfferState::Open) => accept(connection, &permit, &offer)?,
            (false, OfferState::Open) => rota::update_offer(connection, &permit, &offer, OfferState::Declined)?,
            (_, state) => return Err(check_open(state).err().map_or(Problem::NotFound, Into::into)),
        };
        Reply::ok(&shown_offer(connection, &permit, offer)?)
    })
    .await
}

/// Somebody cannot facilitate after all: the session is open again.
fn give_back(
    connection: &mut Connection,
    permit: &Permit<act::AnswerOffer>,
    offer: &rota::Offer,
) -> Result<rota::Offer, Problem> {
    let session = sessions::find(connection, permit, offer.session_id)?;
    check_to_come(session.state, session.starts_at, connection.now)?;
    let held = rota::list_bound(connection, permit, &[session.id])?;
    let own = held.iter().find(|term| term.account == permit.account());
    let own = own.ok_or_else(|| Problem::Conflict("You do not facilitate this session.".into()))?;
    rota::end_before_it_begins(connection, permit, own)?;
    rota::withdraw_offers(connection, permit, &[session.id], None)?;
    rota::update_offer(connection, permit, offer, OfferState::Declined)
}

/// Gives the session to whoever said yes, and theirs in return, if all that was true when it was offered still is.
fn accept(
    connection: &mut Connection,
    permit: &Permit<act::AnswerOffer>,
    offer: &rota::Offer,
) -> Result<rota::Offer, Problem> {
    let gone = || Problem::Conflict("What was offered is no longer there.".into());
    let (receiver, giver) = (permit.account(), offer.offered_by);
    if !rota::can_take(connection, permit, receiver)? {
        return Err(Problem::Conflict("Only an active member takes a session.".into()));
    }
    let session = sessions::find(connection, permit, offer.session_id)?;
    check_to_come(session.state, session.starts_at, connection.now)?;
    let held = rota::list_bound(connection, permit, &[session.id])?;
    if held.iter().any(|term| term.account == receiver) {
        return Err(gone());
    }
    match offer.term_id {
        Some(id) => {
            let term = held.iter().find(|term| term.id == id && term.account == giver).ok_or_else(gone)?;
            rota::end_before_it_begins(connection, permit, term)?;
        }
        None if !held.is_empty() || !rota::leads(connection, permit, giver)? => return Err(gone()),
        None => {}
    }
    let mut changed = vec![session.id];
    if let Some(id) = offer.in_return_id {
        let wanted = rota::list_sessions_of_terms(connection, permit, &[id])?.remove(&id).ok_or_else(gone)?;
        let wanted = sessions::find(connection, permit, wanted)?;
        check_to_come(wanted.state, wanted.starts_at, connection.now)?;
        let held = rota::list_bound(connection, permit, &[wanted.id])?;
        let term = held.iter().find(|term| term.id == id && term.account == receiver).ok_or_else(gone)?;
        let is_held_already = held.iter().any(|term| term.account == giver);
        if is_held_already || !rota::can_take(connection, permit, giver)? {
            return Err(gone());
        }
        rota::end_before_it_begins(connection, permit, term)?;
        rota::insert_term(connection, permit, offer.id, giver, &wanted)?;
        changed.push(wanted.id);
    }
    breaches::check_may_be_in(connection, permit, session.id)?;
    rota::insert_term(connection, permit, offer.id, receiver, &session)?;
    let accepted = rota::update_offer(connection, permit, offer, OfferState::Accepted)?;
    // Nobody can take any more what else was offered of these sessions.
    rota::withdraw_offers(connection, permit, &changed, None)?;
    Ok(accepted)
}

async fn withdraw_offer(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::OfferTerm>(connection, &caller, group)?;
        groups::lock(connection, &permit)?;
        let offer = rota::find_offer(connection, &permit, id)?;
        if offer.offered_by != permit.account() {
            return Err(Problem::Conflict("Whoever made an offer takes it back.".into()));
        }
        check_open(offer.state)?;
        let offer = rota::update_offer(connection, &permit, &offer, OfferState::Withdrawn)?;
        Reply::ok(&shown_offer(connection, &permit, offer)?)
    })
    .await
}

fn shown_hand_over(kept: rota::HandOver) -> Answer {
    let version = kept.version;
    Ok(Reply::ok(&HandOver { session: kept.session, text: kept.text, written_at: kept.written_at })?.version(version))
}

async fn find_hand_over(db: Data<Db>, caller: Caller, path: Path<Id>, next: Query<Next>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let (permit, at) = match next.session {
            None => (authorize::<act::ReadHandOver>(connection, &caller, group)?, connection.now),
            Some(session) => {
                let permit = authorize_in_session::<act::ReadHandOver>(connection, &caller, group, session)?;
                let at = sessions::find(connection, &permit, session)?.starts_at;
                (permit, at)
            }
        };
        shown_hand_over(rota::find_hand_over_before(connection, &permit, at)?)
    })
    .await
}

async fn read_hand_over(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, session) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_in_session::<act::ReadHandOver>(connection, &caller, group, session)?;
        shown_hand_over(rota::find_hand_over(connection, &permit, session)?.ok_or(Problem::NotFound)?)
    })
    .await
}

async fn write_hand_over(
    db: Data<Db>,
    guesses: Data<Guesses>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<WriteHandOver>,
) -> Answer {
    let (group, session) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_session::<act::WriteHandOver>(connection, &caller, group, session)?;
        let kept = rota::find_hand_over(connection, &permit, session)?;
        match &kept {
            Some(kept) => command.expects(kept.version)?,
            None => {
                let session = sessions::find(connection, &permit, session)?;
                // The first one needs no version; whoever names one has read a note that is not there.
                if !matches!(command.expects(0), Err(Problem::PreconditionNeeded)) {
                    return Err(Problem::Stale);
                }
                if session.state == rules::sessions::State::Cancelled {
                    check_plannable(session.state)?;
                }
            }
        }
        let text = command.body()?.text.into_string();
        check_reaches_nobody(&text)?;
        let names = rota::list_names(connection, &permit)?;
        let who = caller.account.to_string();
        guesses.begin(Try::HandOver, &who)?;
        check_hand_over(&text, names.iter().map(String::as_str))
            .inspect_err(|_| guesses.was_wrong(Try::HandOver, &who))?;
        let written = match kept {
            Some(kept) => rota::update_hand_over(connection, &permit, &kept, &text)?,
            None => rota::insert_hand_over(connection, &permit, session, &text)?,
        };
        shown_hand_over(written)
    })
    .await
}

fn shown_services<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, only: Option<&str>) -> Answer {
    let items = rota::list_services(connection, permit)?
        .into_iter()
        .rev()
        .filter(|(month, _)| only.is_none_or(|only| only == month))
        .map(|(month, served)| MonthOfService {
            month,
            greeted: served.greeted,
            set_up: served.set_up,
            facilitated: served.facilitated,
        })
        .collect();
    Reply::ok(&Services { items })
}

async fn read_services(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadServices>(connection, &caller, group)?;
        shown_services(connection, &permit, None)
    })
    .await
}

async fn record_service(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<RecordService>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::RecordService>(connection, &caller, group)?;
        // Without an `Idempotency-Key`: a kept answer would keep the hour, and so the session.
        let request = command.body()?;
        rota::insert_service(connection, &permit, request.service)?;
        let month = month_of(connection.now.day_in(permit.zone()));
        shown_services(connection, &permit, Some(&month))
    })
    .await
}
