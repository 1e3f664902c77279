//! Signing in and out: tokens, their rotation, and invitations that become accounts.

use std::time::Duration;

use actix_web::web::{Data, Path};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    command::{Answer, Command, Nothing, Reply},
    operation::Api,
};
use crate::{
    identity::{Address, Caller, Passwords, Tokens, Verified, check_new_password, hash_of, normalized},
    policy::{Standing, act},
    problem::Problem,
    rules::groups::{check_country, check_language, check_zone},
    store::{
        accounts::{self, Credentials, Profile},
        connection::{Connection, Db},
        invitations,
        permit::authorize_own,
        sign_ins::{self, CODES_HERE, Issued, Lifetimes, ONE_ADDRESS, ONE_NAME, ONE_NAME_HERE, Rotation},
    },
    values::{Id, Moment, Text, Title},
};

/// Sign-in name and password, with a second factor where the account has one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub sign_in_name: Text<1, 254>,
    #[schema(value_type = String, min_length = 1, max_length = 1024)]
    pub password: SecretString,
    /// A code of the authenticator app, or a recovery code.
    pub second_factor: Option<Text<6, 40>>,
    /// A name for this device, shown in the list of sign-ins to its owner alone.
    pub device: Option<Text<1, 80>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    #[schema(value_type = String)]
    pub refresh_token: SecretString,
}

/// A sign-in's tokens. The access token says who, never what they may do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenPair {
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: i64,
    /// Good once: the answer to its use brings the next one.
    pub refresh_token: String,
    pub refresh_expires_at: Moment,
    /// The sign-in that both belong to.
    pub sign_in: Id,
    pub account: Id,
}

/// An invited person's first words: the code, how they want to sign in, and what they want to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    pub code: Text<1, 60>,
    /// What to sign in with: any name of your own. It need not be an e-mail address.
    pub sign_in_name: Text<3, 254>,
    #[schema(value_type = String, min_length = 8, max_length = 128)]
    pub password: SecretString,
    /// A display name or pseudonym.
    pub name: Title,
    pub email: Option<Text<3, 254>>,
    /// ISO 3166-1 alpha-2; decides which crisis lines are shown. Without it they are a directory of all countries.
    pub country: Option<Text<2, 2>>,
    /// BCP-47; when not said, that of the group that the invitation leads to, or `en`.
    pub language: Option<Text<2, 35>>,
    /// IANA; when not said, that of the group that the invitation leads to, or `UTC`.
    pub zone: Option<Text<2, 60>>,
}

/// What an invitation made of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedInvitation {
    pub account: Id,
    pub organization: Id,
    pub group: Option<Id>,
    /// The membership, where the invitation was to one.
    pub member: Option<Id>,
    pub standing: Standing,
}

/// An invitation for somebody who has an account already.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    pub code: Text<1, 60>,
}

/// How long somebody waits to be told that their name has a pause. It costs them a moment and the server nothing, and who asks
/// again at once cannot do so thousands of times a second.
const BEFORE_A_PAUSE: Duration = Duration::from_millis(250);

pub fn register(api: &mut Api) {
    api.heading("Signing in");
    api.post::<act::AskInPublic, _, _>("/accounts", "Make an account with an invitation", create_account)
        .takes::<NewAccount>(json!({
            "code": "7h2kd-9fmz3-p0xqa-44tnr", "sign_in_name": "sam.rivers", "password": "plum orchard seven kites",
            "name": "Sam", "language": "en", "zone": "Europe/London", "country": "GB"
        }))
        .creates::<AcceptedInvitation>()
        .makes_nothing()
        .also(429);
    api.post::<act::AskInPublic, _, _>("/tokens", "Sign in", sign_in)
        .takes::<SignIn>(json!({"sign_in_name": "dana.okafor", "password": "plum orchard seven kites"}))
        .creates::<TokenPair>()
        .makes_nothing()
        .also(401)
        .also(429);
    api.post::<act::AskInPublic, _, _>("/tokens/refresh", "Exchange a refresh token", refresh_tokens)
        .takes::<Refresh>(json!({"refresh_token": "t0k3n-that-was-given-out-before"}))
        .creates::<TokenPair>()
        .makes_nothing()
        .also(401);
    api.post::<act::AcceptInvitation, _, _>(
        "/account/standings",
        "Accept an invitation with the account you have",
        accept_invitation,
    )
    .takes::<AcceptInvitation>(json!({"code": "7h2kd-9fmz3-p0xqa-44tnr"}))
    .creates::<AcceptedInvitation>()
    .also(429);
    api.get::<act::ReadOwnAccount, _, _>("/sign-ins", "List your live sign-ins", list_sign_ins).gives::<SignIns>();
    api.delete::<act::ChangeOwnAccount, _, _>("/sign-ins", "Sign out everywhere", sign_out_everywhere);
    api.delete::<act::ChangeOwnAccount, _, _>("/sign-ins/{sign_in}", "Sign out", sign_out);
}

async fn create_account(
    db: Data<Db>,
    passwords: Data<Passwords>,
    address: Address,
    command: Command<NewAccount>,
) -> Answer {
    let request = command.body()?;
    let subject = db.installation().index("codes", &address.0);
    let code = request.code.clone();
    let from = subject.clone();
    // A guessed code costs no hash, and counts against the address.
    let (invitation, home) = db
        .write(move |connection| {
            if let Some(seconds) = sign_ins::find_pause(connection, std::slice::from_ref(&from))? {
                return Err(Problem::TooMany(seconds));
            }
            let found = invitations::find_by_code(connection, code.as_str())?;
            if found.is_none() {
                sign_ins::insert_failure(connection, &from, CODES_HERE)?;
            }
            let Some(found) = found else { return Ok(None) };
            let home = invitations::find_home(connection, &found)?;
            Ok(Some((found, home)))
        })
        .await?
        .ok_or_else(|| Problem::field("/code", "is not an invitation that can be used"))?;
    let sign_in_name = folded(request.sign_in_name.as_str());
    let own = [sign_in_name.as_str(), request.name.as_str(), request.email.as_ref().map_or("", |email| email.as_str())];
    check_new_password(secrecy::ExposeSecret::expose_secret(&request.password), "/password", &own)?;
    let (language, zone) = home.unwrap_or_else(|| ("en".into(), "UTC".into()));
    let language = request.language.as_ref().map_or(language, ToString::to_string);
    let zone = request.zone.as_ref().map_or(zone, ToString::to_string);
    check_profile(&language, &zone, request.country.as_ref().map(|country| country.as_str()))?;
    let hash = passwords.hash(&passwords.turn().await?, request.password.clone()).await?;
    let key = db.installation().index("sign-in", &sign_in_name);
    db.write(move |connection| {
        let profile = Profile {
            name: request.name.as_str(),
            email: request.email.as_ref().map(|email| email.as_str()),
            country: request.country.as_ref().map(|country| country.as_str()),
            language: &language,
            zone: &zone,
        };
        let account =
            accounts::insert(connection, &sign_in_name, &key, &hash, &profile).map_err(|problem| match problem {
                Problem::Conflict(_) => Problem::field("/sign_in_name", "is taken"),
                other => other,
            })?;
        invitations::accept(connection, &invitation, account)?;
        Reply::created("/account".into(), &accepted(&invitation, account))
    })
    .await
}

async fn accept_invitation(
    db: Data<Db>,
    caller: Caller,
    address: Address,
    command: Command<AcceptInvitation>,
) -> Answer {
    let subject = db.installation().index("codes", &address.0);
    let reply = db
        .write(move |connection| {
            let permit = authorize_own::<act::AcceptInvitation>(connection, &caller)?;
            let reply = command.once(connection, &permit, |connection, request| {
                if let Some(seconds) = sign_ins::find_pause(connection, std::slice::from_ref(&subject))? {
                    return Err(Problem::TooMany(seconds));
                }
                let Some(invitation) = invitations::find_by_code(connection, request.code.as_str())? else {
                    return Err(Problem::NotFound);
                };
                invitations::accept(connection, &invitation, caller.account)?;
                Reply::created("/account".into(), &accepted(&invitation, caller.account))
            });
            match reply {
                // The failure must be counted, so this transaction must not be rolled back.
                Err(Problem::NotFound) => {
                    sign_ins::insert_failure(connection, &subject, CODES_HERE)?;
                    Ok(None)
                }
                reply => reply.map(Some),
            }
        })
        .await?;
    reply.ok_or_else(|| Problem::field("/code", "is not an invitation that can be used"))
}

async fn sign_in(
    db: Data<Db>,
    passwords: Data<Passwords>,
    tokens: Data<Tokens>,
    lifetimes: Data<Lifetimes>,
    address: Address,
    command: Command<SignIn>,
) -> Answer {
    let request = command.body()?;
    let name = folded(request.sign_in_name.as_str());
    let key = db.installation().index("sign-in", &name);
    let here = db.installation().index("sign-in-here", &format!("{name}\0{}", address.0));
    let subjects = [here, key.clone(), db.installation().index("address", &address.0)];
    let asked = subjects.clone();
    let turn = passwords.turn().await?;
    let found = db
        .read(move |connection| {
            if let Some(seconds) = sign_ins::find_pause(connection, &asked)? {
                return Err(Problem::TooMany(seconds));
            }
            accounts::find_credentials(connection, &key)
        })
        .await;
    let credentials = match found {
        Err(problem @ Problem::TooMany(_)) => {
            drop(turn);
            tokio::time::sleep(BEFORE_A_PAUSE).await;
            return Err(problem);
        }
        found => found?,
    };
    let kept = credentials.as_ref().map(|credentials| credentials.password.clone());
    let verified = passwords.verify(&turn, request.password.clone(), kept).await?;
    let lifetimes = *lifetimes.into_inner();
    // A failure is an answer here, not an error: it has to be committed with its count.
    let outcome = db
        .write(move |connection| {
            // Asked again: of many guesses at once, those after the last free one are not judged.
            if let Some(seconds) = sign_ins::find_pause(connection, &subjects)? {
                return Ok(Err(Problem::TooMany(seconds)));
            }
            let (Some(credentials), Verified::Yes { rehashed }) = (&credentials, &verified) else {
                return fail(connection, &subjects, Problem::SignInRefused);
            };
            let second = request.second_factor.as_ref().map(|code| code.as_str());
            let has_second = credentials.second_factor.is_some();
            if has_second && second.is_none() {
                return Ok(Err(Problem::SecondFactorNeeded));
            }
            if has_second && !is_second_factor(connection, credentials, second.unwrap_or_default())? {
                return fail(connection, &subjects, Problem::SecondFactorNeeded);
            }
            if let Some(rehashed) = rehashed {
                accounts::update_rehashed(connection, credentials.id, &credentials.password, rehashed)?;
            }
            sign_ins::remove_failures(connection, &subjects[..2])?;
            let device = request.device.as_ref().map(|device| device.as_str());
            sign_ins::insert(connection, credentials.id, device, has_second, lifetimes).map(Ok)
        })
        .await?;
    pair(&db, &tokens, outcome?)
}

fn fail(
    connection: &mut Connection,
    subjects: &[Vec<u8>; 3],
    problem: Problem,
) -> Result<Result<Issued, Problem>, Problem> {
    for (subject, patience) in subjects.iter().zip([ONE_NAME_HERE, ONE_NAME, ONE_ADDRESS]) {
        sign_ins::insert_failure(connection, subject, patience)?;
    }
    Ok(Err(problem))
}

/// Whether the code is of the authenticator app, in a time step not used before, or an unspent recovery code.
fn is_second_factor(connection: &mut Connection, credentials: &Credentials, code: &str) -> Result<bool, Problem> {
    let Some(secret) = &credentials.second_factor else { return Ok(false) };
    let totp = super::account::totp(secret)?;
    if let Some(step) = totp.check(code, connection.now.seconds() as u64) {
        return accounts::use_step(connection, credentials.id, step as i64);
    }
    accounts::use_recovery_code(connection, credentials.id, &hash_of(&invitations::read_code(code)))
}

async fn refresh_tokens(
    db: Data<Db>,
    tokens: Data<Tokens>,
    lifetimes: Data<Lifetimes>,
    command: Command<Refresh>,
) -> Answer {
    let request = command.body()?;
    let lifetimes = *lifetimes.into_inner();
    let rotation = db
        .write(move |connection| {
            sign_ins::rotate(connection, secrecy::ExposeSecret::expose_secret(&request.refresh_token), lifetimes)
        })
        .await?;
    match rotation {
        Rotation::Issued(issued) => pair(&db, &tokens, issued),
        Rotation::Refused | Rotation::Reused => Err(Problem::Unauthenticated),
    }
}

async fn list_sign_ins(db: Data<Db>, caller: Caller) -> Answer {
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        let items = sign_ins::list(connection, &permit)?
            .into_iter()
            .map(|sign_in| ListedSignIn {
                is_this_one: sign_in.id == caller.sign_in,
                id: sign_in.id,
                device: sign_in.device,
                started_at: sign_in.started_at,
                last_used_at: sign_in.last_used_at,
                ends_at: sign_in.ends_at,
            })
            .collect();
        Reply::ok(&SignIns { items })
    })
    .await
}

async fn sign_out(db: Data<Db>, caller: Caller, path: Path<Id>, _: Command<Nothing>) -> Answer {
    let sign_in = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        if !sign_ins::end(connection, &permit, sign_in)? {
            return Err(Problem::NotFound);
        }
        Reply::done()
    })
    .await
}

async fn sign_out_everywhere(db: Data<Db>, caller: Caller, _: Command<Nothing>) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        sign_ins::end_all(connection, &permit, None, "signed_out")?;
        Reply::done()
    })
    .await
}

/// The live sign-ins of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignIns {
    pub items: Vec<ListedSignIn>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ListedSignIn {
    pub id: Id,
    pub device: Option<String>,
    pub started_at: Moment,
    pub last_used_at: Moment,
    pub ends_at: Moment,
    pub is_this_one: bool,
}

fn pair(db: &Db, tokens: &Tokens, issued: Issued) -> Answer {
    let pair = TokenPair {
        access_token: tokens.sign(issued.caller, db.clock.now()),
        token_type: "Bearer".into(),
        expires_in: tokens.access_minutes * 60,
        refresh_token: issued.refresh_token,
        refresh_expires_at: issued.refresh_expires_at,
        sign_in: issued.caller.sign_in,
        account: issued.caller.account,
    };
    Reply::created(format!("/sign-ins/{}", pair.sign_in), &pair)
}

fn accepted(invitation: &invitations::Invitation, account: Id) -> AcceptedInvitation {
    AcceptedInvitation {
        account,
        organization: invitation.organization_id,
        group: invitation.group_id,
        member: invitation.member_id,
        standing: invitation.standing,
    }
}

/// Sign-in names are compared without regard to case and form.
pub fn folded(name: &str) -> String {
    normalized(name).to_lowercase()
}

pub(super) fn check_profile(language: &str, zone: &str, country: Option<&str>) -> Result<(), Problem> {
    check_language(language, "/language")?;
    check_zone(zone, "/zone")?;
    if let Some(country) = country {
        check_country(country, "/country")?;
    }
    Ok(())
}
