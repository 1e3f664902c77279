//! Access tokens (JWT) that say who, and opaque random tokens that are kept only as hashes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use super::Caller;
use crate::{
    store::{connection::Clock, master_keys::LiveMasters, sealing::random},
    values::{Id, Moment},
};

const ISSUER: &str = "circlekeeper";
const AUDIENCE: &str = "circlekeeper-api";
/// How often the master keys are read again, at most, because of what a token says: anybody can write one.
const PAUSE: Duration = Duration::from_secs(2);

/// Signs and verifies access tokens: HS256 only, with the key that `kid` names. The secrets are those of the master keys
/// that are in force: the newest signs, and a token counts as long as the master is listed that it names.
pub struct Tokens {
    masters: Arc<LiveMasters>,
    /// When they were read again for a token.
    read_at: tokio::sync::Mutex<Option<Instant>>,
    validation: Validation,
    clock: Clock,
    /// Minutes that an access token lives.
    pub access_minutes: i64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Id,
    /// The sign-in that the token belongs to.
    sid: Id,
    iat: i64,
    exp: i64,
    /// Never written here; where it stands, it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

impl Tokens {
    pub fn new(masters: Arc<LiveMasters>, clock: Clock, access_minutes: i64) -> Tokens {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // Judged below against the server's own clock, without leeway.
        validation.validate_exp = false;
        Tokens { masters, read_at: tokio::sync::Mutex::default(), validation, clock, access_minutes }
    }

    /// A token for a sign-in, from `now` on.
    pub fn sign(&self, caller: Caller, now: Moment) -> String {
        let masters = self.masters.now();
        let (id, secret) = masters.token_secrets().next().expect("there is a newest master");
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: caller.account,
            sid: caller.sign_in,
            iat: now.seconds(),
            exp: now.plus_minutes(self.access_minutes).seconds(),
            nbf: None,
        };
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("these claims and an HMAC key always encode")
    }

    /// Whom a token names. Where it names a master of which this server has not heard, another one has signed with a newer:
    /// the master keys are read again first.
    pub async fn verify(&self, token: &str) -> Option<Caller> {
        let header = decode_header(token).ok()?;
        // Whatever else may be signed with these keys one day is no access token.
        if !header.typ.is_some_and(|kind| kind.eq_ignore_ascii_case("JWT")) {
            return None;
        }
        let kid = header.kid?;
        self.hear_of(&kid).await;
        let masters = self.masters.now();
        let (_, secret) = masters.token_secrets().find(|(id, _)| *id == kid)?;
        let claims = decode::<Claims>(token, &DecodingKey::from_secret(secret), &self.validation).ok()?.claims;
        let now = self.clock.now().seconds();
        let live = now < claims.exp && claims.nbf.is_none_or(|from| from <= now);
        live.then_some(Caller { account: claims.sub, sign_in: claims.sid })
    }

    /// Whoever comes while the masters are being read waits for them, and holds no thread meanwhile.
    async fn hear_of(&self, kid: &str) {
        let is_known = || self.masters.now().token_secrets().any(|(id, _)| id == kid);
        if is_known() || !self.masters.can_change() {
            return;
        }
        let mut read_at = self.read_at.lock().await;
        if is_known() || read_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        // Before it is read: a client that goes away meanwhile must not let the next one begin another time.
        *read_at = Some(Instant::now());
        let masters = self.masters.clone();
        let _ = actix_web::web::block(move || masters.read_again()).await;
    }
}

/// 256 random bits, as text.
pub fn new_token() -> String {
    BASE64URL_NOPAD.encode(&random::<32>())
}

/// What is kept of a token or a one-time code: enough to know it again, too little to use it.
pub fn hash_of(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}
