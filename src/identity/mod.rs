//! Who is calling: the `Caller`, passwords, tokens, how often somebody may guess. Never what they may do.

mod guesses;
mod password;
mod token;

use std::{
    future::{Ready, ready},
    net::{IpAddr, SocketAddr},
    pin::Pin,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web::Data};

pub use guesses::{Guesses, Try};
pub use password::{Passwords, Verified, check_new_password, hash_password, normalized};
pub use token::{Tokens, hash_of, new_token};

use crate::{problem::Problem, values::Id};

/// The account that a valid access token names, and the sign-in that it belongs to. Whether that sign-in is still
/// live is looked up with the standing, in the same transaction as the work.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub account: Id,
    pub sign_in: Id,
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Caller, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let tokens = request.app_data::<Data<Tokens>>().cloned();
        let mut headers = request.headers().get_all(header::AUTHORIZATION);
        // Of two, a proxy in front may have judged the other one.
        let only = headers.next().filter(|_| headers.next().is_none());
        let token = only.and_then(|header| {
            let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        Box::pin(async move {
            let (tokens, token) = tokens.zip(token).ok_or(Problem::Unauthenticated)?;
            tokens.verify(&token).await.ok_or(Problem::Unauthenticated)
        })
    }
}

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<IpAddr>);

/// Where a request comes from, as the key of a back-off: an IPv4 address, or the /64 of an IPv6 one. Never logged.
pub struct Address(pub String);

impl FromRequest for Address {
    type Error = Problem;
    type Future = Ready<Result<Address, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let peer = request.peer_addr().map(|address| address.ip().to_canonical());
        let trusted = request.app_data::<Data<TrustedProxies>>();
        let behind_proxy = |address: IpAddr| trusted.is_some_and(|trusted| trusted.0.contains(&address));
        // From the right, the entries that trusted proxies wrote: the first one that is no trusted proxy is the client.
        // What stands further left, the client may have made up, and so does an entry that cannot be read.
        let entries = request.headers().get_all("x-forwarded-for").flat_map(|value| {
            value.to_str().unwrap_or("?").split(',').map(str::trim).map(str::to_owned).collect::<Vec<_>>()
        });
        let entries: Vec<String> = entries.collect();
        let address = match peer {
            Some(peer) if behind_proxy(peer) => {
                let outside = entries
                    .iter()
                    .rev()
                    .map(|entry| read_address(entry))
                    .find(|address| !address.is_some_and(behind_proxy));
                outside.flatten().or(Some(peer))
            }
            peer => peer,
        };
        ready(Ok(Address(match address {
            Some(IpAddr::V6(v6)) => format!("{:x?}", &v6.segments()[..4]),
            Some(v4) => v4.to_string(),
            None => "unknown".into(),
        })))
    }
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn read_address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}
