//! One's own account: profile, password, second factor, standings, who saw one's records.

use actix_web::web::Data;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use totp_rs::{Builder, Secret, Totp};
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Nothing, Paging, Reply},
    operation::Api,
    organizations::LoggedAccess,
    tokens::check_profile,
};
use crate::{
    identity::{Caller, Passwords, Verified, check_new_password, hash_of},
    policy::{Kind, Standing, act},
    problem::Problem,
    rules::{emergency_accesses as emergencies, members::State},
    store::{
        access_log,
        accounts::{self, Profile},
        connection::{Connection, Db},
        emergency_accesses,
        invitations::new_code,
        members,
        permit::{Permit, authorize_own},
        sealing::random,
        sign_ins, standings,
    },
    values::{Id, Moment, Text, Title},
};

/// An account, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    pub id: Id,
    pub sign_in_name: String,
    pub name: String,
    pub email: Option<String>,
    pub country: Option<String>,
    pub language: String,
    pub zone: String,
    pub has_second_factor: bool,
}

/// What an account says about itself, as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAccount {
    pub name: Title,
    pub email: Option<Text<3, 254>>,
    pub country: Option<Text<2, 2>>,
    pub language: Text<2, 35>,
    pub zone: Text<2, 60>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    #[schema(value_type = String, max_length = 1024)]
    pub current_password: SecretString,
    #[schema(value_type = String, min_length = 8, max_length = 128)]
    pub new_password: SecretString,
}

/// What an authenticator app needs. Nothing changes until its first code is confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecondFactorOffer {
    /// Base32.
    pub secret: String,
    /// `otpauth://…`, for a QR code that the client draws.
    pub address: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSecondFactor {
    pub code: Text<6, 8>,
}

/// Codes that each replace the authenticator app once. Shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    pub recovery_codes: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveSecondFactor {
    #[schema(value_type = String, max_length = 1024)]
    pub password: SecretString,
}

/// Where the caller stands, everywhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnStandings {
    pub items: Vec<OwnStanding>,
    /// Memberships that you signed up for and that wait for the group to make them active: until then nothing else
    /// shows.
    pub waiting: Vec<WaitingMembership>,
    /// Where you are privacy officer and emergency accesses wait for your review, or run at this moment: one entry for
    /// each such organization. `GET /v1/organizations/{organization}/emergency-accesses` shows them.
    pub emergency_reviews: Vec<WaitingReviews>,
}

/// That emergency accesses ask for a privacy officer; nothing of what they are about.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingReviews {
    pub organization: Id,
    pub organization_name: String,
    /// How many run at this moment.
    pub running: usize,
    /// How many are over and not reviewed.
    pub waiting: usize,
    /// Whether the time for a review is over for one of them.
    pub overdue: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingMembership {
    pub organization_name: String,
    pub group: Id,
    pub group_title: String,
    pub kind: Kind,
    pub member: Id,
    /// `invited` or `screened`.
    pub state: State,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OwnStanding {
    pub standing: Standing,
    pub organization: Id,
    pub organization_name: String,
    pub group: Option<Id>,
    pub group_title: Option<String>,
    pub kind: Option<Kind>,
    /// The membership, where the standing is one.
    pub member: Option<Id>,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
}

pub fn register(api: &mut Api) {
    api.heading("Your account");
    api.get::<act::ReadOwnAccount, _, _>("/account", "Read your account", read_account).gives::<Account>();
    api.put::<act::ChangeOwnAccount, _, _>("/account", "Change your account", change_account)
        .takes::<ChangeAccount>(
            json!({"name": "Dana O.", "country": "US", "language": "en", "zone": "America/Chicago"}),
        )
        .gives::<Account>()
        .changes();
    api.put::<act::ChangeOwnAccount, _, _>("/account/password", "Change your password", change_password)
        .takes::<ChangePassword>(
            json!({"current_password": "plum orchard seven kites", "new_password": "nine lanterns over granite"}),
        )
        .also(429);
    api.post::<act::ChangeOwnAccount, _, _>(
        "/account/second-factor",
        "Begin with a second factor",
        offer_second_factor,
    )
    .creates::<SecondFactorOffer>()
    .makes_nothing();
    api.put::<act::ChangeOwnAccount, _, _>(
        "/account/second-factor",
        "Confirm the second factor",
        confirm_second_factor,
    )
    .takes::<ConfirmSecondFactor>(json!({"code": "123456"}))
    .gives::<RecoveryCodes>();
    api.delete::<act::ChangeOwnAccount, _, _>(
        "/account/second-factor",
        "Go without a second factor",
        remove_second_factor,
    )
    .takes::<RemoveSecondFactor>(json!({"password": "plum orchard seven kites"}))
    .also(429);
    api.get::<act::ReadOwnAccount, _, _>("/account/standings", "List where you stand", list_own_standings)
        .gives::<OwnStandings>();
    api.get::<act::ReadOwnAccount, _, _>("/account/access-log", "See who saw your records", read_own_access_log)
        .lists::<LoggedAccess>();
}

async fn read_account(db: Data<Db>, caller: Caller) -> Answer {
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        show(accounts::find(connection, &permit)?)
    })
    .await
}

async fn change_account(db: Data<Db>, caller: Caller, command: Command<ChangeAccount>) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        let kept = accounts::find(connection, &permit)?;
        command.expects(kept.version)?;
        let request = command.body()?;
        let country = request.country.as_ref().map(|country| country.as_str());
        check_profile(request.language.as_str(), request.zone.as_str(), country)?;
        let profile = Profile {
            name: request.name.as_str(),
            email: request.email.as_ref().map(|email| email.as_str()),
            country,
            language: request.language.as_str(),
            zone: request.zone.as_str(),
        };
        accounts::update(connection, &permit, &profile, kept.version)?;
        show(accounts::find(connection, &permit)?)
    })
    .await
}

fn show(account: accounts::Account) -> Answer {
    let version = account.version;
    let shown = Account {
        id: account.id,
        sign_in_name: account.sign_in_name,
        name: account.name,
        email: account.email,
        country: account.country,
        language: account.language,
        zone: account.zone,
        has_second_factor: account.has_second_factor,
    };
    Ok(Reply::ok(&shown)?.version(version))
}

/// Verifies the password of somebody who is signed in already. Wrong ones count like failed sign-ins.
pub(super) async fn verify_own(
    db: &Db,
    passwords: &Passwords,
    caller: Caller,
    password: SecretString,
    pointer: &str,
) -> Result<(), Problem> {
    let subject = db.installation().index("account", &caller.account.to_string());
    let asked = subject.clone();
    let turn = passwords.turn().await?;
    let kept = db
        .read(move |connection| {
            let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
            if let Some(seconds) = sign_ins::find_pause(connection, std::slice::from_ref(&asked))? {
                return Err(Problem::TooMany(seconds));
            }
            accounts::find_password(connection, &permit)
        })
        .await?;
    let is_right = matches!(passwords.verify(&turn, password, Some(kept)).await?, Verified::Yes { .. });
    let judged = db.write(move |connection| {
        if let Some(seconds) = sign_ins::find_pause(connection, std::slice::from_ref(&subject))? {
            return Ok(Err(Problem::TooMany(seconds)));
        }
        if !is_right {
            sign_ins::insert_failure(connection, &subject, sign_ins::ONE_NAME_HERE)?;
        }
        Ok(Ok(()))
    });
    judged.await??;
    if is_right {
        return Ok(());
    }
    Err(Problem::field(pointer, "is not your password"))
}

async fn change_password(
    db: Data<Db>,
    passwords: Data<Passwords>,
    caller: Caller,
    command: Command<ChangePassword>,
) -> Answer {
    let account = db
        .read(move |connection| {
            let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
            accounts::find(connection, &permit)
        })
        .await?;
    let request = command.body()?;
    let own = [account.sign_in_name.as_str(), account.name.as_str(), account.email.as_deref().unwrap_or("")];
    check_new_password(request.new_password.expose_secret(), "/new_password", &own)?;
    verify_own(&db, &passwords, caller, request.current_password, "/current_password").await?;
    let hash = passwords.hash(&passwords.turn().await?, request.new_password).await?;
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        accounts::update_password(connection, &permit, &hash)?;
        // Whoever knew the old password is out, at the next request; the device that changed it too.
        sign_ins::end_all(connection, &permit, None, "password_changed")?;
        Reply::done()
    })
    .await
}

async fn offer_second_factor(db: Data<Db>, caller: Caller, _: Command<Nothing>) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        let (_, is_on) = accounts::find_second_factor(connection, &permit)?;
        if is_on {
            return Err(Problem::Conflict("A second factor is in use: remove it first.".into()));
        }
        let secret = Secret::from(random::<20>()).to_base32();
        accounts::update_second_factor(connection, &permit, Some(&secret), false, 0)?;
        let address = totp(&secret)?.to_url().map_err(|_| Problem::Internal("an otpauth address".into()))?;
        Reply::created("/account/second-factor".into(), &SecondFactorOffer { secret, address })
    })
    .await
}

async fn confirm_second_factor(db: Data<Db>, caller: Caller, command: Command<ConfirmSecondFactor>) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        let (secret, is_on) = accounts::find_second_factor(connection, &permit)?;
        let Some(secret) = secret.filter(|_| !is_on) else {
            return Err(Problem::Conflict("Begin with a second factor first: POST /v1/account/second-factor.".into()));
        };
        let request = command.body()?;
        let Some(step) = totp(&secret)?.check(request.code.as_str(), connection.now.seconds() as u64) else {
            return Err(Problem::field("/code", "is not the code of this moment"));
        };
        accounts::update_second_factor(connection, &permit, Some(&secret), true, step as i64)?;
        let recovery_codes: Vec<String> = (0..10).map(|_| new_code()).collect();
        accounts::replace_recovery_codes(
            connection,
            &permit,
            recovery_codes.iter().map(|code| hash_of(code)).collect(),
        )?;
        sign_ins::end_all(connection, &permit, Some(caller.sign_in), "second_factor_added")?;
        Reply::ok(&RecoveryCodes { recovery_codes })
    })
    .await
}

async fn remove_second_factor(
    db: Data<Db>,
    passwords: Data<Passwords>,
    caller: Caller,
    command: Command<RemoveSecondFactor>,
) -> Answer {
    // Whether the sign-in is live comes before what is wrong with the body.
    db.read(move |connection| authorize_own::<act::ChangeOwnAccount>(connection, &caller).map(|_| ())).await?;
    let request = command.body()?;
    verify_own(&db, &passwords, caller, request.password, "/password").await?;
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        accounts::update_second_factor(connection, &permit, None, false, 0)?;
        accounts::replace_recovery_codes(connection, &permit, Vec::new())?;
        sign_ins::forget_second_factor(connection, &permit)?;
        Reply::done()
    })
    .await
}

/// Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, one step of tolerance.
pub(super) fn totp(secret: &str) -> Result<Totp, Problem> {
    let unusable = |_| Problem::Internal("a second factor's secret cannot be used".into());
    Builder::new()
        .with_secret(Secret::try_from_base32(secret).map_err(|_| unusable(()))?)
        .with_issuer(Some("Circlekeeper"))
        // The app's label must not name the person to whoever looks over their shoulder.
        .with_account_name("account")
        .build()
        .map_err(|_| unusable(()))
}

async fn list_own_standings(db: Data<Db>, caller: Caller) -> Answer {
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let mut items: Vec<OwnStanding> = standings::list_own(connection, &permit)?
            .into_iter()
            .map(|own| OwnStanding {
                standing: own.standing,
                organization: own.organization,
                organization_name: own.organization_name,
                group: own.group,
                group_title: own.group_title,
                kind: own.kind,
                member: None,
                from_at: own.from_at,
                until_at: own.until_at,
            })
            .collect();
        let mut waiting = Vec::new();
        for own in members::list_own(connection, &permit)? {
            let Some(standing) = own.state.standing() else {
                waiting.push(WaitingMembership {
                    organization_name: own.organization_name,
                    group: own.group,
                    group_title: own.group_title,
                    kind: own.kind,
                    member: own.member,
                    state: own.state,
                });
                continue;
            };
            items.push(OwnStanding {
                standing,
                organization: own.organization,
                organization_name: own.organization_name,
                group: Some(own.group),
                group_title: Some(own.group_title),
                kind: Some(own.kind),
                member: Some(own.member),
                from_at: own.state_from,
                until_at: None,
            });
        }
        // Only clinicians hold one: nobody else's list costs more for it.
        let is_clinician = |own: &OwnStanding| matches!(own.standing, Standing::Therapist | Standing::CoTherapist);
        if items.iter().any(is_clinician) {
            let running = emergency_accesses::list_own_running(connection, &permit)?;
            items.extend(running.into_iter().map(|own| OwnStanding {
                standing: Standing::Emergency,
                organization: own.organization,
                organization_name: own.organization_name,
                group: Some(own.group),
                group_title: Some(own.group_title),
                kind: Some(Kind::TherapistLed),
                member: Some(own.member),
                from_at: own.from_at,
                until_at: Some(own.until_at),
            }));
        }
        let emergency_reviews = list_waiting_reviews(connection, &permit, &items)?;
        Reply::ok(&OwnStandings { items, waiting, emergency_reviews })
    })
    .await
}

/// What waits for the caller where they are privacy officer.
fn list_waiting_reviews(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
    standings: &[OwnStanding],
) -> Result<Vec<WaitingReviews>, Problem> {
    let mut places: Vec<WaitingReviews> = Vec::new();
    for office in standings.iter().filter(|own| own.standing == Standing::PrivacyOfficer) {
        if places.iter().all(|place| place.organization != office.organization) {
            let (organization, organization_name) = (office.organization, office.organization_name.clone());
            places.push(WaitingReviews { organization, organization_name, running: 0, waiting: 0, overdue: false });
        }
    }
    if places.is_empty() {
        return Ok(places);
    }
    let now = connection.now;
    for kept in emergency_accesses::list_unreviewed(connection, permit)? {
        let Some(place) = places.iter_mut().find(|place| place.organization == kept.organization) else { continue };
        let state = emergencies::state(false, kept.until_at, kept.ended_at, now);
        match state {
            emergencies::State::Running => place.running += 1,
            _ => place.waiting += 1,
        }
        place.overdue |= emergencies::is_overdue(state, kept.due_at, now);
    }
    places.retain(|place| place.running + place.waiting > 0);
    Ok(places)
}

async fn read_own_access_log(db: Data<Db>, caller: Caller, paging: Paging) -> Answer {
    let limit = paging.limit();
    let position = paging.position()?;
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let entries = access_log::list_own(connection, &permit, position, limit + 1)?;
        let shown = entries.into_iter().map(LoggedAccess::from).collect();
        Reply::page(shown, &paging, LoggedAccess::position)
    })
    .await
}
