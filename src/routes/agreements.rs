//! Agreements: consent forms and ground rules, published in versions, signed and withdrawn by members.

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
    policy::{Kind, Reach, act},
    problem::Problem,
    rules::agreements::Purpose,
    store::{agreements, connection::Db, groups, members, permit::authorize},
    values::{Id, Moment, Prose, Title},
};

/// One version of a consent form or of ground rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct Agreement {
    pub id: Id,
    pub purpose: Purpose,
    /// 1 for the first version of a purpose.
    pub number: i32,
    pub title: String,
    pub text: String,
    /// Whether members who signed an older version must sign this one before anything new is taken under it.
    pub must_sign_again: bool,
    pub published_at: Moment,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Agreements {
    pub items: Vec<Agreement>,
}

/// The ground rules as they stand, and how far you have accepted them. A version binds you once you have signed it;
/// one that must be signed again ends what you accepted before.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnGroundRules {
    /// The newest version; null while the group has none.
    pub current: Option<Agreement>,
    /// The number of the newest version that you have signed and not withdrawn.
    pub accepted: Option<i32>,
    /// Whether you are a member here and stand under no version that counts.
    pub must_accept: bool,
}

/// The next version of an agreement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishAgreement {
    /// `consent` for therapist-led groups, `ground_rules` for both.
    pub purpose: Purpose,
    pub title: Title,
    pub text: Prose,
    #[serde(default)]
    pub must_sign_again: bool,
}

/// A member's signature under one version.
#[derive(Debug, Serialize, ToSchema)]
pub struct Signature {
    pub id: Id,
    pub agreement: Id,
    pub member: Id,
    /// Signed on paper and recorded by a therapist.
    pub on_paper: bool,
    pub signed_at: Moment,
    pub withdrawn_at: Option<Moment>,
}

/// Who signs: oneself when not said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignAgreement {
    /// The member whose signature on paper a therapist records.
    pub member: Option<Id>,
    /// When it was signed on paper; now when not said.
    pub signed_at: Option<Moment>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct OfMember {
    /// Only this member's.
    pub(super) member: Option<Id>,
}

pub fn register(api: &mut Api) {
    api.heading("Agreements");
    api.post::<act::PublishAgreement, _, _>(
        "/groups/{group}/agreements",
        "Publish the next version",
        publish_agreement,
    )
    .takes::<PublishAgreement>(json!({
        "purpose": "consent", "title": "Consent to group therapy", "must_sign_again": false,
        "text": "What we record, who reads it, and how you withdraw."
    }))
    .creates::<Agreement>()
    .says("Therapist-led: `consent`, and no measure is taken without it. Peer-led: `ground_rules`, and no check-in is kept before its member has accepted them; here a steward or facilitator publishes.");
    api.get::<act::ReadAgreements, _, _>("/groups/{group}/agreements", "List the versions", list_agreements)
        .gives::<Agreements>();
    api.get::<act::ReadAgreements, _, _>(
        "/groups/{group}/ground-rules",
        "Read the ground rules and what you accepted of them",
        read_ground_rules,
    )
    .gives::<OwnGroundRules>();
    api.post::<act::SignAgreement, _, _>(
        "/groups/{group}/agreements/{agreement}/signatures",
        "Sign a version",
        sign_agreement,
    )
    .takes::<SignAgreement>(json!({}))
    .creates::<Signature>();
    api.get::<act::ReadSignatures, _, _>("/groups/{group}/signatures", "List signatures", list_signatures)
        .asks::<OfMember>()
        .lists::<Signature>();
    api.post::<act::WithdrawSignature, _, _>(
        "/groups/{group}/signatures/{signature}/withdrawal",
        "Withdraw a signature",
        withdraw_signature,
    )
    .makes_nothing();
}

pub(super) fn shown(agreement: agreements::Agreement) -> Agreement {
    Agreement {
        id: agreement.id,
        purpose: agreement.purpose,
        number: agreement.number,
        title: agreement.title,
        text: agreement.text,
        must_sign_again: agreement.must_sign_again,
        published_at: agreement.published_at,
    }
}

fn shown_signature(signature: agreements::Signature) -> Signature {
    Signature {
        id: signature.id,
        agreement: signature.agreement_id,
        member: signature.member_id,
        on_paper: signature.on_paper,
        signed_at: signature.signed_at,
        withdrawn_at: signature.withdrawn_at,
    }
}

async fn publish_agreement(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<PublishAgreement>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::PublishAgreement>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            if permit.kind() == Kind::PeerLed && request.purpose == Purpose::Consent {
                return Err(Problem::field("/purpose", "a peer-led group has ground rules, no clinical consent"));
            }
            groups::lock(connection, &permit)?;
            let agreement = agreements::insert(
                connection,
                &permit,
                request.purpose,
                request.title.as_str(),
                request.text.as_str(),
                request.must_sign_again,
            )?;
            Reply::created(format!("/groups/{group}/agreements"), &shown(agreement))
        })
    })
    .await
}

async fn list_agreements(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadAgreements>(connection, &caller, group)?;
        let items = agreements::list(connection, &permit)?.into_iter().map(shown).collect();
        Reply::ok(&Agreements { items })
    })
    .await
}

async fn read_ground_rules(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadAgreements>(connection, &caller, group)?;
        let own = agreements::find_own_rules(connection, &permit)?;
        Reply::ok(&OwnGroundRules {
            current: own.current.map(shown),
            accepted: own.accepted,
            must_accept: own.must_accept,
        })
    })
    .await
}

async fn sign_agreement(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<SignAgreement>) -> Answer {
    let (group, agreement) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SignAgreement>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            agreements::find(connection, &permit, agreement)?;
            let own = permit.only_member()?;
            let on_paper = permit.reach() == Reach::All;
            let Some(member) = request.member.or(own) else {
                return Err(Problem::field("/member", "is missing: whose signature is it"));
            };
            let known = permit.reaches_member(member).is_ok()
                && !members::list_known(connection, &permit, &[member])?.is_empty();
            if !known {
                return Err(Problem::field("/member", "is no member of this group"));
            }
            let signed_at = match request.signed_at {
                Some(_) if !on_paper => {
                    return Err(Problem::field("/signed_at", "only a signature on paper has another time"));
                }
                Some(at) if at > connection.now => return Err(Problem::field("/signed_at", "lies in the future")),
                at => at.unwrap_or(connection.now),
            };
            let signature = agreements::insert_signature(connection, &permit, agreement, member, on_paper, signed_at)?;
            Reply::created(format!("/groups/{group}/signatures?member={member}"), &shown_signature(signature))
        })
    })
    .await
}

async fn list_signatures(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<OfMember>,
    paging: Paging,
) -> Answer {
    let group = path.into_inner();
    let (limit, before) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadSignatures>(connection, &caller, group)?;
        let rows = agreements::list_signatures(connection, &permit, asked.member, before, limit + 1)?;
        Reply::page(rows.into_iter().map(shown_signature).collect(), &paging, |signature| signature.id)
    })
    .await
}

async fn withdraw_signature(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, signature) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WithdrawSignature>(connection, &caller, group)?;
        agreements::withdraw(connection, &permit, signature)?;
        Reply::done()
    })
    .await
}
