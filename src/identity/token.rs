//! Access tokens (JWT) that say who, and opaque random tokens that are kept only as hashes.

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use super::Caller;
use crate::{
    store::{connection::Clock, sealing::random},
    values::{Id, Moment},
};

const ISSUER: &str = "circlekeeper";
const AUDIENCE: &str = "circlekeeper-api";

/// Signs and verifies access tokens: HS256 only, with the key that `kid` names.
pub struct Tokens {
    keys: Vec<TokenKey>,
    validation: Validation,
    clock: Clock,
    /// Minutes that an access token lives.
    pub access_minutes: i64,
}

struct TokenKey {
    id: String,
    signs: EncodingKey,
    verifies: DecodingKey,
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
}

impl Tokens {
    /// `secrets`: key ids with their secrets; the first one signs.
    pub fn new(secrets: Vec<(String, Vec<u8>)>, clock: Clock, access_minutes: i64) -> Tokens {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // Judged below against the server's own clock, without leeway.
        validation.validate_exp = false;
        let keys = secrets
            .into_iter()
            .map(|(id, secret)| TokenKey {
                id,
                signs: EncodingKey::from_secret(&secret),
                verifies: DecodingKey::from_secret(&secret),
            })
            .collect();
        Tokens { keys, validation, clock, access_minutes }
    }

    /// A token for a sign-in, from `now` on.
    pub fn sign(&self, caller: Caller, now: Moment) -> String {
        let key = &self.keys[0];
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: caller.account,
            sid: caller.sign_in,
            iat: now.seconds(),
            exp: now.plus_minutes(self.access_minutes).seconds(),
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &key.signs).expect("these claims and an HMAC key always encode")
    }

    pub fn verify(&self, token: &str) -> Option<Caller> {
        let kid = decode_header(token).ok()?.kid?;
        let key = self.keys.iter().find(|key| key.id == kid)?;
        let claims = decode::<Claims>(token, &key.verifies, &self.validation).ok()?.claims;
        let live = self.clock.now().seconds() < claims.exp;
        live.then_some(Caller { account: claims.sub, sign_in: claims.sid })
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
