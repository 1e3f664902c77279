//! The public listing of groups, and referrals: a member asks a therapist-led group, and chooses what it reads.

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
    policy::{Kind, Standing, act},
    problem::Problem,
    rules::{
        agreements::Purpose,
        breaches::BreachPolicy,
        crisis_lines::{self, CrisisLine},
        groups::{BillingPeriod, Format, Insurance, RecordingPolicy, State as GroupState},
        members::State as Membership,
        referrals::{State, check_answerable, check_open},
    },
    store::{
        connection::{Connection, Db},
        groups, invitations, members,
        permit::{Permit, authorize, authorize_own},
        referrals::{self, Asked, Code, Opened},
    },
    values::{Day, Id, Moment, Text, Title},
};

/// Groups that somebody can ask to join. Before them, where to turn in a crisis.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listings {
    /// Whoever is in a crisis looks here first; `GET /v1/crisis-lines?country=` names those of a country.
    pub crisis_directory: CrisisLine,
    pub items: Vec<Listing>,
    /// Cursor of the next page; null on the last one.
    pub next: Option<String>,
}

/// A group that somebody can ask to join: never who leads it or belongs to it, and never how many.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listing {
    pub id: Id,
    /// `therapist_led`: licensed professionals treat a condition; `peer_led`: people with the same experience share it.
    pub kind: Kind,
    pub title: String,
    /// What it is for, who leads it with which experience, and what is expected of those who come.
    pub public_description: String,
    pub conditions: Vec<String>,
    pub approaches: Vec<String>,
    pub format: Format,
    /// Where it meets; only of a group that meets in person.
    pub place: Option<String>,
    /// BCP-47.
    pub language: String,
    /// IANA.
    pub zone: String,
    /// When it meets next, within the next two months.
    pub next_session: Option<ListedSession>,
    /// What it costs; null where that is nothing, as in every peer-led group.
    pub fee: Option<ListedFee>,
    pub insurance: Option<Insurance>,
    /// Whether sessions may be recorded in sound or picture.
    pub recording_policy: RecordingPolicy,
    pub privacy: ListedPrivacy,
}

/// A price with what it is billed for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedFee {
    /// Minor units of the currency: 3500 is 35 dollars.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
    pub period: BillingPeriod,
}

/// A session to come, as wall time and as an instant for the reader's own zone.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedSession {
    pub starts_at: Moment,
    pub starts_local: String,
    pub zone: String,
    pub minutes: i32,
}

/// How a group keeps what is said in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedPrivacy {
    /// The current versions of what members sign.
    pub agreements: Vec<ListedAgreement>,
    /// How a peer-led group answers a breach; in a therapist-led group the law does.
    pub breach_policy: Option<BreachPolicy>,
}

/// The current version of a consent form or of ground rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedAgreement {
    pub purpose: Purpose,
    pub title: String,
    pub number: i32,
    /// In the group's zone.
    pub published_on: Day,
}

/// What is looked for; everything that is not said fits.
#[derive(Debug, Deserialize, IntoParams)]
pub struct LookedFor {
    kind: Option<Kind>,
    /// As groups name it, whatever the case of its letters.
    condition: Option<String>,
    /// BCP-47; `en` finds `en-GB` as well.
    language: Option<String>,
    format: Option<Format>,
}

/// Somebody asks a therapist-led group, and says what they choose to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendReferral {
    /// A therapist-led group of the listing.
    pub to_group: Id,
    /// Nothing else reaches the group: neither your account, nor where else you belong.
    #[serde(default)]
    pub share: SharedInReferral,
}

/// What the asked group reads. Each field is the sender's choice, and all of it is gone when they withdraw.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedInReferral {
    pub name: Option<Title>,
    /// How the group may reach you outside.
    pub contact: Option<Text<1, 200>>,
    /// Why you ask.
    pub reason: Option<Text<1, 2000>>,
}

/// A referral, as its sender sees it in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentReferral {
    pub id: Id,
    pub to_group: Id,
    pub state: State,
    pub sent_at: Moment,
    pub answered_at: Option<Moment>,
}

/// A referral, as its sender sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentReferralWithAnswer {
    #[serde(flatten)]
    pub referral: SentReferral,
    pub shared: SharedTexts,
    /// What the group answered.
    pub message: Option<String>,
    /// With it you join, at `POST /v1/account/standings`, where the group has accepted. Nobody else reads it.
    pub code: Option<String>,
    pub code_expires_at: Option<Moment>,
}

/// What was shared; null where the sender chose not to, and once it was withdrawn.
#[derive(Debug, Serialize, ToSchema)]
pub struct SharedTexts {
    pub name: Option<String>,
    pub contact: Option<String>,
    pub reason: Option<String>,
}

/// A referral, as the asked group sees it in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceivedReferral {
    pub id: Id,
    pub state: State,
    pub sent_at: Moment,
    pub answered_at: Option<Moment>,
}

/// A referral, as the asked group sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceivedReferralWithTexts {
    #[serde(flatten)]
    pub referral: ReceivedReferral,
    pub shared: SharedTexts,
    /// What the group answered.
    pub message: Option<String>,
}

/// The group's answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerReferral {
    pub accept: bool,
    /// For the sender to read.
    pub message: Option<Text<1, 1000>>,
    /// The name that the new member gets in the group; the shared one when not said.
    pub name: Option<Title>,
}

pub fn register(api: &mut Api) {
    api.heading("Finding a group");
    api.get::<act::AskInPublic, _, _>("/listings", "Find a group to join, crisis lines first", list_listings)
        .asks::<LookedFor>()
        .gives::<Listings>()
        .paged();
    api.heading("Referrals");
    api.post::<act::SendReferral, _, _>("/account/referrals", "Ask a therapist-led group for a place", send_referral)
        .takes::<SendReferral>(json!({
            "to_group": "0198c0de-0000-7000-8000-000000000000",
            "share": {"name": "Ari", "contact": "ari@example.org", "reason": "I would like treatment beside my group."}
        }))
        .creates::<SentReferral>();
    api.get::<act::ReadOwnAccount, _, _>("/account/referrals", "List the referrals you sent", list_own_referrals)
        .lists::<SentReferral>();
    api.get::<act::ReadOwnAccount, _, _>(
        "/account/referrals/{referral}",
        "Read a referral you sent, with its answer",
        read_own_referral,
    )
    .gives::<SentReferralWithAnswer>();
    api.post::<act::SendReferral, _, _>(
        "/account/referrals/{referral}/withdrawal",
        "Withdraw a referral with everything it shared",
        withdraw_referral,
    )
    .makes_nothing();
    api.get::<act::ReadReferrals, _, _>("/groups/{group}/referrals", "List who asks for a place", list_referrals)
        .lists::<ReceivedReferral>();
    api.get::<act::ReadReferrals, _, _>(
        "/groups/{group}/referrals/{referral}",
        "Read what somebody who asks for a place shares",
        read_referral,
    )
    .gives::<ReceivedReferralWithTexts>();
    api.post::<act::AnswerReferral, _, _>(
        "/groups/{group}/referrals/{referral}/answer",
        "Accept or decline a referral",
        answer_referral,
    )
    .takes::<AnswerReferral>(json!({"accept": true, "message": "Welcome. We begin on Tuesday.", "name": "Ari"}))
    .gives::<ReceivedReferral>();
}

fn listed(listing: referrals::Listing) -> Listing {
    let zone = listing.zone;
    let agreements = listing.agreements.into_iter().map(|agreement| ListedAgreement {
        purpose: agreement.purpose,
        title: agreement.title,
        number: agreement.number,
        published_on: agreement.published_at.day_in(&zone),
    });
    Listing {
        id: listing.id,
        kind: listing.kind,
        title: listing.title,
        public_description: listing.public_description,
        conditions: listing.conditions,
        approaches: listing.approaches,
        format: listing.format,
        place: listing.place,
        language: listing.language,
        next_session: listing.next_session.map(|session| ListedSession {
            starts_at: session.starts_at,
            starts_local: session.starts_local,
            zone: session.zone,
            minutes: session.minutes,
        }),
        fee: listing.fee.map(|(minor, currency, period)| ListedFee { minor, currency, period }),
        insurance: listing.insurance,
        recording_policy: listing.recording_policy,
        privacy: ListedPrivacy { agreements: agreements.collect(), breach_policy: listing.breach_policy },
        zone,
    }
}

fn sent(referral: referrals::Referral) -> SentReferral {
    SentReferral {
        id: referral.id,
        to_group: referral.group,
        state: referral.state,
        sent_at: referral.sent_at,
        answered_at: referral.answered_at,
    }
}

fn received(referral: referrals::Referral) -> ReceivedReferral {
    ReceivedReferral {
        id: referral.id,
        state: referral.state,
        sent_at: referral.sent_at,
        answered_at: referral.answered_at,
    }
}

fn texts(shared: referrals::Shared) -> SharedTexts {
    SharedTexts { name: shared.name, contact: shared.contact, reason: shared.reason }
}

async fn list_listings(db: Data<Db>, asked: Query<LookedFor>, paging: Paging) -> Answer {
    #[derive(Serialize)]
    struct First {
        crisis_directory: &'static CrisisLine,
    }
    let asked = asked.0;
    let asked = Asked { kind: asked.kind, format: asked.format, condition: asked.condition, language: asked.language };
    let (limit, after) = (paging.limit() as usize + 1, paging.position()?);
    db.read(move |connection| {
        let listings = referrals::list_joinable(connection, &asked, after, limit)?;
        let first = First { crisis_directory: crisis_lines::international() };
        Reply::page_after(&first, listings.into_iter().map(listed).collect(), &paging, |listing| listing.id)
    })
    .await
}

async fn send_referral(db: Data<Db>, caller: Caller, command: Command<SendReferral>) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::SendReferral>(connection, &caller)?;
        command.once(connection, &permit, |connection, request| {
            referrals::lock_own(connection, &permit)?;
            if !referrals::is_asked(connection, &permit, request.to_group)? {
                return Err(Problem::field("/to_group", "is no therapist-led group that is open to joining"));
            }
            if referrals::stands_there(connection, &permit, request.to_group)? {
                return Err(Problem::Conflict("You belong to that group, or did: speak with its therapist.".into()));
            }
            let open = referrals::list_open(connection, &permit)?;
            if open.contains(&request.to_group) {
                return Err(Problem::Conflict("That group has not answered your first referral yet.".into()));
            }
            check_open(open.len())?;
            let shared = referrals::Shared {
                name: request.share.name.map(Text::into_string),
                contact: request.share.contact.map(Text::into_string),
                reason: request.share.reason.map(Text::into_string),
            };
            let referral = referrals::insert(connection, &permit, request.to_group, &shared)?;
            // Without what was shared: an answer that is kept for a retry outlives a withdrawal.
            Reply::created(format!("/account/referrals/{}", referral.id), &sent(referral))
        })
    })
    .await
}

async fn list_own_referrals(db: Data<Db>, caller: Caller, paging: Paging) -> Answer {
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let referrals = referrals::list_own(connection, &permit, after, limit + 1)?;
        Reply::page(referrals.into_iter().map(sent).collect(), &paging, |referral| referral.id)
    })
    .await
}

async fn read_own_referral(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let id = path.into_inner();
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let Opened { referral, shared, answer, code } = referrals::find_own(connection, &permit, id)?;
        let (code, code_expires_at) = code.map(|Code { code, expires_at }| (code, expires_at)).unzip();
        Reply::ok(&SentReferralWithAnswer {
            referral: sent(referral),
            shared: texts(shared),
            message: answer,
            code,
            code_expires_at,
        })
    })
    .await
}

async fn withdraw_referral(db: Data<Db>, caller: Caller, path: Path<Id>, _: Command<Nothing>) -> Answer {
    let id = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_own::<act::SendReferral>(connection, &caller)?;
        referrals::withdraw(connection, &permit, id)?;
        Reply::done()
    })
    .await
}

async fn list_referrals(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadReferrals>(connection, &caller, group)?;
        let referrals = referrals::list(connection, &permit, after, limit + 1)?;
        Reply::page(referrals.into_iter().map(received).collect(), &paging, |referral| referral.id)
    })
    .await
}

async fn read_referral(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadReferrals>(connection, &caller, group)?;
        let Opened { referral, shared, answer, .. } = referrals::find(connection, &permit, id)?;
        Reply::ok(&ReceivedReferralWithTexts { referral: received(referral), shared: texts(shared), message: answer })
    })
    .await
}

async fn answer_referral(
    db: Data<Db>,
    caller: Caller,
    path: Path<(Id, Id)>,
    command: Command<AnswerReferral>,
) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::AnswerReferral>(connection, &caller, group)?;
        referrals::lock(connection, &permit, id)?;
        // Before the look for a kept answer: what was withdrawn is not there for a retry either.
        let Opened { referral, shared, .. } = referrals::find(connection, &permit, id)?;
        command.once(connection, &permit, |connection, request| {
            check_answerable(referral.state)?;
            let message = request.message.as_ref().map(|message| message.as_str());
            let name = request.name.map(Text::into_string);
            let accepted = match (request.accept, name.or(shared.name)) {
                (true, Some(name)) => Some(invite(connection, &permit, &name)?),
                (true, None) => return Err(Problem::field("/name", "is missing: none was shared")),
                (false, _) => None,
            };
            referrals::update_answer(connection, &permit, id, message, accepted)?;
            Reply::ok(&received(referrals::find(connection, &permit, id)?.referral))
        })
    })
    .await
}

/// Makes the membership that waits for the sender, and the code with which they join.
fn invite(
    connection: &mut Connection,
    permit: &Permit<act::AnswerReferral>,
    name: &str,
) -> Result<(Id, Code), Problem> {
    if groups::find_state(connection, permit)? == GroupState::Closed {
        return Err(Problem::Conflict("The group is closed.".into()));
    }
    let now = connection.now;
    let member = members::insert(connection, permit, name, Membership::Invited, None, now)?;
    let mut invited = invitations::into_group(permit, Standing::Member);
    invited.member = Some(member.id);
    let (invitation, code) = invitations::insert(connection, permit, &invited)?;
    Ok((member.id, Code { code, expires_at: invitation.expires_at }))
}
