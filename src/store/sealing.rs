//! Sealing: narrative text, answers, names and contact data as AEAD ciphertext that opens only in its own place.
//!
//! The master key wraps one data key for each owner (an account, a member, a group, an organization, the
//! installation). A ciphertext is bound to table, column, row and owner: moved elsewhere, it does not open.

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    constant_time, digest, hkdf, hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::columns::Sealed;
use crate::{problem::Problem, values::Id};

const NONCE: usize = 12;
const KEY: usize = 32;

/// Where a sealed value lives: `table.column` and the row.
pub struct Place(pub &'static str, pub Id);

/// The master keys, newest first. The first one wraps and signs; the others only open and verify.
pub struct Masters {
    listed: Vec<Arc<Master>>,
    /// Those that were listed before and are not any more. They still open what is wrapped under them, so that a line
    /// that was taken away too early breaks nothing while the server runs; no token counts under them.
    gone: Vec<Arc<Master>>,
}

struct Master {
    name: String,
    wrapping: RandomizedNonceKey,
    tokens: Zeroizing<[u8; KEY]>,
}

impl Masters {
    /// Reads lines `name:base64`, each with 32 bytes; the newest first.
    pub fn read(lines: &SecretString) -> Result<Masters, String> {
        let mut listed: Vec<Arc<Master>> = Vec::new();
        for (number, line) in lines.expose_secret().lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let bad = |what: &str| format!("line {} of the master key {what}", number + 1);
            let (name, key) = line.split_once(':').ok_or_else(|| bad("has no name before a colon"))?;
            let is_name =
                !name.is_empty() && name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !is_name {
                return Err(bad("needs a name of 1 to 32 letters, digits and hyphens"));
            }
            if listed.iter().any(|master| master.name == name) {
                return Err(bad("has the name of a line above it"));
            }
            let key = Zeroizing::new(BASE64.decode(key.trim().as_bytes()).map_err(|_| bad("is not base64"))?);
            if key.len() != KEY {
                return Err(bad("does not hold 32 bytes"));
            }
            let wrapping = derive(&key, b"wrapping");
            listed.push(Arc::new(Master {
                name: name.to_owned(),
                wrapping: RandomizedNonceKey::new(&AES_256_GCM, &wrapping[..]).map_err(|_| bad("is not a key"))?,
                tokens: derive(&key, b"tokens"),
            }));
        }
        if listed.is_empty() {
            return Err("the master key is empty".into());
        }
        Ok(Masters { listed, gone: Vec::new() })
    }

    /// What was read anew, after these.
    ///
    /// # Errors
    /// When a name that is known has another key now: what is wrapped under the one would never open under the other.
    pub(super) fn followed_by(&self, next: Masters) -> Result<Masters, String> {
        for master in &next.listed {
            let is_other = |known: &&Arc<Master>| {
                known.name == master.name
                    && constant_time::verify_slices_are_equal(&known.tokens[..], &master.tokens[..]).is_err()
            };
            if self.all().any(|known| is_other(&known)) {
                return Err(format!("the name {} has another key than before", master.name));
            }
        }
        let is_gone = |known: &&Arc<Master>| next.listed.iter().all(|master| master.name != known.name);
        let gone = self.all().filter(is_gone).cloned().collect();
        Ok(Masters { listed: next.listed, gone })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Master>> {
        self.listed.iter().chain(&self.gone)
    }

    /// The names of those that are listed, the newest first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(|master| master.name.as_str())
    }

    /// The names of those that were listed once.
    pub(super) fn gone(&self) -> impl Iterator<Item = &str> {
        self.gone.iter().map(|master| master.name.as_str())
    }

    /// The one that wraps and signs.
    pub fn newest(&self) -> &str {
        &self.listed[0].name
    }

    /// The name of the master under which a data key is wrapped, and the rest of it.
    pub(super) fn named(wrapped: &[u8]) -> Option<(&[u8], &[u8])> {
        let (&length, rest) = wrapped.split_first()?;
        rest.split_at_checked(length as usize)
    }

    pub(super) fn knows(&self, name: &[u8]) -> bool {
        self.all().any(|master| master.name.as_bytes() == name)
    }

    /// A new master key, as the line that [`Masters::read`] reads.
    pub fn generate() -> String {
        let key = Zeroizing::new(random::<KEY>());
        format!("k{}:{}", BASE64.encode(&random::<3>()).replace(['+', '/', '='], "x"), BASE64.encode(&key[..]))
    }

    /// The secrets that sign access tokens, each with its key id; the first signs.
    pub fn token_secrets(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.listed.iter().map(|master| (master.name.as_str(), &master.tokens[..]))
    }

    pub(super) fn wrap(&self, owner: Id, key: &[u8]) -> Vec<u8> {
        let master = &self.listed[0];
        let mut wrapped = vec![master.name.len() as u8];
        wrapped.extend_from_slice(master.name.as_bytes());
        wrapped.extend(seal(&master.wrapping, owner.0.as_bytes(), key));
        wrapped
    }

    pub(super) fn unwrap(&self, owner: Id, wrapped: &[u8]) -> Option<DataKey> {
        let (name, sealed) = Masters::named(wrapped)?;
        let master = self.all().find(|master| master.name.as_bytes() == name)?;
        let key = Zeroizing::new(open(&master.wrapping, owner.0.as_bytes(), sealed)?);
        DataKey::new(owner, &key)
    }
}

/// The keys of the installation as a whole, derived from its own data key, so that they outlive a change of master.
pub struct InstallationKeys {
    /// Blind index of sign-in names, addresses and codes.
    index: hmac::Key,
    /// Seals the access log's chains.
    pub(super) log: hmac::Key,
    /// Derives a refresh token's successor.
    refresh: hmac::Key,
    /// Signs what the server states to somebody who leaves.
    pub statements: StatementKey,
}

impl InstallationKeys {
    pub(super) fn derive(key: &DataKey) -> InstallationKeys {
        let purpose = |name: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, &derive(&key.raw[..], name)[..]);
        InstallationKeys {
            index: purpose(b"index"),
            log: purpose(b"log"),
            refresh: purpose(b"refresh"),
            statements: StatementKey::of_seed(&derive(&key.raw[..], b"statements")),
        }
    }

    /// A keyed hash that finds a value again and says nothing about it. `what` keeps kinds of values apart.
    pub fn index(&self, what: &str, value: &str) -> Vec<u8> {
        hmac::sign(&self.index, format!("{what}\0{value}").as_bytes()).as_ref().to_vec()
    }

    /// The one successor of a refresh token: a retry over a bad network gets the same one.
    pub fn successor(&self, token: &str) -> String {
        BASE64URL_NOPAD.encode(hmac::sign(&self.refresh, token.as_bytes()).as_ref())
    }
}

/// Signs statements (JWS, Ed25519), so that somebody can show later what they were told: nothing else is signed with it.
pub struct StatementKey {
    signs: EncodingKey,
    verifies: DecodingKey,
    /// The public key, in base64url.
    pub public: String,
    /// Its thumbprint (RFC 7638).
    pub id: String,
}

impl StatementKey {
    fn of_seed(seed: &[u8; KEY]) -> StatementKey {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed");
        let public = BASE64URL_NOPAD.encode(pair.public_key().as_ref());
        let pkcs8 = pair.to_pkcs8v1().expect("a key pair can be written");
        let thumbprint = format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{public}\"}}");
        StatementKey {
            signs: EncodingKey::from_ed_der(pkcs8.as_ref()),
            verifies: DecodingKey::from_ed_components(&public).expect("base64url, as it was written a line above"),
            id: BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, thumbprint.as_bytes()).as_ref()),
            public,
        }
    }

    /// A compact JWS over the statement as JSON.
    pub fn sign(&self, statement: &impl serde::Serialize) -> Result<String, Problem> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, statement, &self.signs).map_err(|_| Problem::Internal("a statement cannot be signed".into()))
    }

    /// Whether this installation signed it.
    pub fn verifies(&self, jws: &str) -> bool {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // A statement is no token: it says when it was made, and holds for ever.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        decode::<serde_json::Value>(jws, &self.verifies, &validation).is_ok()
    }
}

/// The key under which one owner's values are sealed.
pub struct DataKey {
    owner: Id,
    aead: RandomizedNonceKey,
    raw: Zeroizing<Vec<u8>>,
}

impl DataKey {
    /// A key of 32 bytes; none of another length.
    pub fn new(owner: Id, raw: &[u8]) -> Option<DataKey> {
        let aead = RandomizedNonceKey::new(&AES_256_GCM, raw).ok()?;
        Some(DataKey { owner, aead, raw: Zeroizing::new(raw.to_vec()) })
    }

    pub(super) fn generate() -> Zeroizing<[u8; KEY]> {
        Zeroizing::new(random::<KEY>())
    }

    /// The same key, wrapped under the newest master.
    pub(super) fn wrapped_by(&self, masters: &Masters) -> Vec<u8> {
        masters.wrap(self.owner, &self.raw)
    }

    pub fn seal(&self, place: Place, text: &str) -> Sealed {
        Sealed(seal(&self.aead, &self.bound(&place), text.as_bytes()))
    }

    /// # Errors
    /// `Internal` when the bytes were changed, or moved here from another row, column or owner.
    pub fn open(&self, place: Place, sealed: &Sealed) -> Result<String, Problem> {
        open(&self.aead, &self.bound(&place), &sealed.0)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Problem::Internal(format!("a sealed value in {} does not open", place.0)))
    }

    fn bound(&self, place: &Place) -> Vec<u8> {
        [place.0.as_bytes(), place.1.0.as_bytes(), self.owner.0.as_bytes()].concat()
    }
}

/// The data keys of the owners that one request works with.
#[derive(Default)]
pub struct Keys(pub(super) HashMap<Id, DataKey>);

impl Keys {
    pub fn of(&self, owner: Id) -> Result<&DataKey, Problem> {
        self.0.get(&owner).ok_or_else(|| Problem::Internal("a data key is missing".into()))
    }
}

fn seal(key: &RandomizedNonceKey, bound: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut text = Zeroizing::new(plain.to_vec());
    let mut tagged = std::mem::take(&mut *text);
    let nonce = key
        .seal_in_place_append_tag(Aad::from(bound), &mut tagged)
        .expect("plain texts are far below the limit of AES-GCM");
    [nonce.as_ref(), &tagged[..]].concat()
}

fn open(key: &RandomizedNonceKey, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut bytes = rest.to_vec();
    let length = key.open_in_place(nonce, Aad::from(bound), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

fn derive(secret: &[u8], purpose: &[u8]) -> Zeroizing<[u8; KEY]> {
    let mut key = Zeroizing::new([0; KEY]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"circlekeeper")
        .extract(secret)
        .expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(&mut key[..]))
        .expect("one block of HKDF always fits");
    key
}

/// Bytes from the operating system's generator.
pub fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
