//! Who somebody is: invitations, passwords, tokens, second factors, and the traps on the way in.

use std::time::{Duration, Instant};

use circlekeeper::{config::ServerConfig, store::organizations, values::Id};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::{
    harness::{Answer, PASSWORD, Person, Server},
    world::{World, accept},
};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

/// A new organization, and the code of its administrator.
fn invitation(server: &Server) -> (Id, String) {
    let (organization, code, _) = server.write(|connection| organizations::found(connection, "Harbour Clinic"));
    (organization, code)
}

fn sign_up(server: &Server, code: &str, name: &str, password: &str) -> Answer {
    let body = json!({"code": code, "sign_in_name": name, "password": password, "name": "Somebody"});
    server.request("POST", "/v1/accounts").json(&body).send()
}

fn sign_in(server: &Server, name: &str, password: &str) -> Answer {
    server.request("POST", "/v1/tokens").json(&json!({"sign_in_name": name, "password": password})).send()
}

fn sign_in_with(server: &Server, person: &Person, code: &str) -> Answer {
    let body = json!({"sign_in_name": person.sign_in_name, "password": PASSWORD, "second_factor": code});
    server.request("POST", "/v1/tokens").json(&body).send()
}

fn refresh(server: &Server, token: &Value) -> Answer {
    server.request("POST", "/v1/tokens/refresh").json(&json!({"refresh_token": token})).send()
}

fn get(server: &Server, token: &Value, path: &str) -> Answer {
    server.request("GET", path).token(token.as_str().expect("a token")).send()
}

fn retry_after(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 429, "{}", answer.text);
    answer.header("retry-after").expect("Retry-After").parse().expect("seconds")
}

/// Signed in by password, as a client does it.
fn signed_in(server: &Server, person: &Person) -> Value {
    sign_in(server, &person.sign_in_name, PASSWORD).expect(201)
}

fn second_factor(server: &Server, person: &Person) -> (Totp, Vec<String>) {
    let offer = server.post(person, "/v1/account/second-factor", &json!({})).expect(201);
    let secret = Secret::try_from_base32(offer["secret"].as_str().unwrap()).expect("base32");
    let totp = Builder::new().with_secret(secret).with_account_name("account").build().expect("a secret");
    let code = code(server, &totp);
    let confirmed = server
        .request("PUT", "/v1/account/second-factor")
        .token(&person.token)
        .json(&json!({"code": code}))
        .send()
        .expect(200);
    let recovery = confirmed["recovery_codes"].as_array().unwrap();
    (totp, recovery.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

/// The code that the app shows at the server's now.
fn code(server: &Server, totp: &Totp) -> String {
    totp.generate(server.db.clock.now().seconds() as u64).to_string()
}

#[test]
fn an_invited_person_signs_up_without_an_e_mail_and_signs_in() {
    let server = Server::start();
    let (organization, invited) = invitation(&server);
    let made = sign_up(&server, &invited, "Marlow", "nine lanterns over granite").expect(201);
    assert_eq!(made["organization"], organization.to_string());
    assert_eq!(made["standing"], "administrator");
    // Names are folded: nobody remembers how they wrote theirs.
    let tokens = sign_in(&server, "mArLoW", "nine lanterns over granite").expect(201);
    let own = get(&server, &tokens["access_token"], "/v1/account").expect(200);
    assert_eq!(own["email"], Value::Null);
    assert_eq!(own["name"], "Somebody");
    get(&server, &tokens["access_token"], &format!("/v1/organizations/{organization}")).expect(200);
}

#[test]
fn a_code_is_read_however_it_is_typed() {
    let server = Server::start();
    let (_, invited) = invitation(&server);
    let typed = invited.to_uppercase().replace('-', " ").replace('0', "O").replace('1', "l");
    sign_up(&server, &typed, "typed", "nine lanterns over granite").expect(201);
}

#[test]
fn a_code_works_once() {
    let server = Server::start();
    let (_, invited) = invitation(&server);
    sign_up(&server, &invited, "first", "nine lanterns over granite").expect(201);
    sign_up(&server, &invited, "second", "nine lanterns over granite").refuses("/code");
    let later = server.account("Later");
    server.post(&later, "/v1/account/standings", &json!({"code": invited})).refuses("/code");
    sign_in(&server, "second", "nine lanterns over granite").expect(401);
}

#[test]
fn of_two_who_use_a_code_at_once_one_gets_in() {
    let server = Server::start();
    let (_, invited) = invitation(&server);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|number| {
                let (server, invited) = (&server, &invited);
                scope.spawn(move || sign_up(server, invited, &format!("racer-{number}"), PASSWORD).status)
            })
            .collect();
        tries.into_iter().map(|done| done.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409, 422].contains(status)), "{statuses:?}");
}

#[test]
fn an_expired_code_is_refused_like_an_unknown_one() {
    let server = Server::start();
    let (_, early) = invitation(&server);
    let (_, late) = invitation(&server);
    server.travel_days(13);
    sign_up(&server, &early, "in.time", "nine lanterns over granite").expect(201);
    server.travel_days(1);
    let expired = sign_up(&server, &late, "too.late", "nine lanterns over granite");
    let unknown = sign_up(&server, "00000-00000-00000-00000", "nobody", "nine lanterns over granite");
    assert_eq!(expired.clone().refuses("/code"), unknown.refuses("/code"));
}

#[test]
fn a_revoked_code_is_refused() {
    let world = World::new();
    let server = &world.server;
    let invitations = format!("/v1/organizations/{}/invitations", world.organization);
    let invited = server.post(&world.administrator, &invitations, &json!({"standing": "privacy_officer"})).expect(201);
    let path = format!("{invitations}/{}", invited["id"].as_str().unwrap());
    server.request("DELETE", &path).token(&world.administrator.token).send().expect(204);
    sign_up(server, invited["code"].as_str().unwrap(), "revoked", PASSWORD).refuses("/code");
    server.request("DELETE", &path).token(&world.administrator.token).send().expect(404);
}

#[test]
fn one_account_stands_in_two_organizations() {
    let server = Server::start();
    let person = server.account("Robin Roads");
    let organizations: Vec<Id> = (0..2)
        .map(|_| {
            let (organization, code) = invitation(&server);
            accept(&server, &person, &code);
            organization
        })
        .collect();
    let standings = server.get(&person, "/v1/account/standings").expect(200);
    assert_eq!(standings["items"].as_array().unwrap().len(), 2);
    for organization in organizations {
        server.get(&person, &format!("/v1/organizations/{organization}")).expect(200);
    }
}

#[test]
fn passwords_have_eight_to_128_characters_and_are_not_guessable() {
    let server = Server::start();
    let (_, invited) = invitation(&server);
    let long = "granite lantern orchard kite ".repeat(5);
    let mut sentences: Vec<String> = vec![
        "xq7#Zp!".into(),
        long.chars().take(129).collect(),
        "password1".into(),
        "aaaaaaaaaaaa".into(),
        "12345678910".into(),
        // The account's own words.
        "quillon.vestergaard".into(),
        "Circlekeeper".into(),
    ];
    // Seven characters after normalization, however many code points were sent.
    sentences.push("A\u{30A}xq7#Zp".into());
    for password in sentences {
        let body = json!({
            "code": invited, "sign_in_name": "quillon.vestergaard", "password": password, "name": "Quillon Vestergaard"
        });
        server.request("POST", "/v1/accounts").json(&body).send().refuses("/password");
    }
    let longest: String = long.chars().take(128).collect();
    sign_up(&server, &invited, "quillon.vestergaard", &longest).expect(201);
    sign_in(&server, "quillon.vestergaard", &longest).expect(201);
}

#[test]
fn a_password_is_the_same_on_every_keyboard() {
    let server = Server::start();
    let (_, invited) = invitation(&server);
    // Composed and decomposed, Kelvin and Ångström signs, a ligature, full-width digits.
    sign_up(&server, &invited, "Ångela", "Ångström kelvin café ﬁne ４２").expect(201);
    sign_in(&server, "A\u{30A}NGELA", "A\u{30A}ngstro\u{308}m kelvin cafe\u{301} fine 42").expect(201);
    sign_in(&server, "ångela", "\u{212B}ngström kelvin café fine ４2").expect(201);
    sign_in(&server, "ångela", "Angstrom kelvin cafe fine 42").expect(401);
}

#[test]
fn an_unknown_account_and_a_wrong_password_are_told_apart_by_nothing() {
    let server = Server::start();
    let person = server.account("Known");
    let timed = |name: &str| {
        let begun = Instant::now();
        let answer = sign_in(&server, name, "not this one at all");
        (begun.elapsed(), answer)
    };
    let mut known: Vec<Duration> = Vec::new();
    let mut unknown: Vec<Duration> = Vec::new();
    for number in 0..5 {
        let (took, wrong) = timed(&person.sign_in_name);
        known.push(took);
        let (took, nobody) = timed(&format!("nobody-{number}"));
        unknown.push(took);
        assert_eq!((wrong.status, &wrong.text), (401, &nobody.text));
        assert_eq!(nobody.status, 401);
        assert_eq!(wrong.header("www-authenticate"), nobody.header("www-authenticate"));
    }
    known.sort();
    unknown.sort();
    // Without a hash the answer would come some fifty times sooner.
    assert!(unknown[2] * 4 > known[2], "unknown {unknown:?}, known {known:?}");
}

#[test]
fn failures_make_pauses_and_never_a_lock_out() {
    let server = Server::start();
    let (person, other) = (server.account("Forgetful"), server.account("Bystander"));
    for _ in 0..6 {
        sign_in(&server, &person.sign_in_name, "was it this one").expect(401);
    }
    // Not even the right password is heard during the pause, or it would tell the guesser.
    let first = retry_after(&sign_in(&server, &person.sign_in_name, PASSWORD));
    signed_in(&server, &other);
    let mut longest = first;
    for _ in 0..11 {
        server.db.clock.shift(longest * SECOND);
        sign_in(&server, &person.sign_in_name, "or perhaps this").expect(401);
        longest = retry_after(&sign_in(&server, &person.sign_in_name, PASSWORD));
    }
    assert!(first < longest && longest <= 301, "{first} to {longest} seconds");
    server.db.clock.shift(longest * SECOND);
    signed_in(&server, &person);
    // Signed in, everything is forgotten.
    for _ in 0..5 {
        sign_in(&server, &person.sign_in_name, "was it this one").expect(401);
    }
    signed_in(&server, &person);
}

#[test]
fn failures_of_an_unknown_name_make_the_same_pauses() {
    let server = Server::start();
    for _ in 0..6 {
        sign_in(&server, "nobody.at.all", "was it this one").expect(401);
    }
    retry_after(&sign_in(&server, "Nobody.At.All", "was it this one"));
}

#[test]
fn failures_at_once_are_all_counted() {
    let server = Server::start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| sign_in(&server, "guessed.by.many", "one of many guesses").status))
            .collect();
        tries.into_iter().map(|done| done.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    retry_after(&sign_in(&server, "guessed.by.many", "one of many guesses"));
}

#[test]
fn a_retried_refresh_gets_the_same_successor() {
    let server = Server::start();
    let person = server.account("Retry");
    let tokens = signed_in(&server, &person);
    let next = refresh(&server, &tokens["refresh_token"]).expect(201);
    let again = refresh(&server, &tokens["refresh_token"]).expect(201);
    assert_eq!(next["refresh_token"], again["refresh_token"]);
    assert_ne!(next["refresh_token"], tokens["refresh_token"]);
    assert_eq!(next["sign_in"], tokens["sign_in"]);
    get(&server, &again["access_token"], "/v1/account").expect(200);
}

#[test]
fn a_stolen_refresh_token_ends_the_whole_family() {
    let server = Server::start();
    let person = server.account("Stolen");
    let tokens = signed_in(&server, &person);
    let next = refresh(&server, &tokens["refresh_token"]).expect(201);
    get(&server, &next["access_token"], "/v1/account").expect(200);
    server.db.clock.shift(2 * MINUTE);
    refresh(&server, &tokens["refresh_token"]).expect(401);
    get(&server, &next["access_token"], "/v1/account").expect(401);
    get(&server, &tokens["access_token"], "/v1/account").expect(401);
    refresh(&server, &next["refresh_token"]).expect(401);
    // Another sign-in of the same account is another family.
    get(&server, &json!(person.token), "/v1/account").expect(200);
}

#[test]
fn a_refresh_token_whose_successor_was_used_is_stolen_even_at_once() {
    let server = Server::start();
    let person = server.account("Stolen");
    let tokens = signed_in(&server, &person);
    let next = refresh(&server, &tokens["refresh_token"]).expect(201);
    let last = refresh(&server, &next["refresh_token"]).expect(201);
    refresh(&server, &tokens["refresh_token"]).expect(401);
    refresh(&server, &last["refresh_token"]).expect(401);
    get(&server, &last["access_token"], "/v1/account").expect(401);
}

#[test]
fn two_refreshes_at_once_share_one_successor() {
    let server = Server::start();
    let tokens = signed_in(&server, &server.account("Twice"));
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let tries: Vec<_> =
            (0..4).map(|_| scope.spawn(|| refresh(&server, &tokens["refresh_token"]).expect(201))).collect();
        tries.into_iter().map(|done| done.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer["refresh_token"] == answers[0]["refresh_token"]));
}

#[test]
fn a_sign_in_without_use_ends_and_one_in_use_ends_too() {
    let server = Server::start();
    let person = server.account("Idle");
    let idle = signed_in(&server, &person);
    server.db.clock.shift(61 * MINUTE);
    refresh(&server, &idle["refresh_token"]).expect(401);
    let mut used = signed_in(&server, &person);
    let mut hours = 0;
    let ended = loop {
        server.db.clock.shift(59 * MINUTE);
        hours += 1;
        let answer = refresh(&server, &used["refresh_token"]);
        if answer.status != 201 || hours > 20 {
            break answer;
        }
        used = answer.json();
    };
    ended.expect(401);
    assert_eq!(hours, 13, "twelve hours, whatever the use");
    get(&server, &used["access_token"], "/v1/account").expect(401);
}

#[test]
fn sign_ins_are_listed_and_ended_one_by_one_or_all_at_once() {
    let server = Server::start();
    let (person, other) = (server.account("Many Devices"), server.account("Other"));
    let body = json!({"sign_in_name": person.sign_in_name, "password": PASSWORD, "device": "Kitchen tablet"});
    let tablet = server.request("POST", "/v1/tokens").json(&body).send().expect(201);
    let listed = get(&server, &tablet["access_token"], "/v1/sign-ins").expect(200);
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let own = items.iter().find(|item| item["is_this_one"] == true).unwrap();
    assert_eq!((&own["id"], &own["device"]), (&tablet["sign_in"], &json!("Kitchen tablet")));
    let path = format!("/v1/sign-ins/{}", tablet["sign_in"].as_str().unwrap());
    server.request("DELETE", &path).token(&other.token).send().expect(404);
    get(&server, &tablet["access_token"], "/v1/account").expect(200);
    server.request("DELETE", &path).token(&person.token).send().expect(204);
    get(&server, &tablet["access_token"], "/v1/account").expect(401);
    refresh(&server, &tablet["refresh_token"]).expect(401);
    let again = signed_in(&server, &person);
    server.request("DELETE", "/v1/sign-ins").token(&person.token).send().expect(204);
    server.get(&person, "/v1/account").expect(401);
    get(&server, &again["access_token"], "/v1/account").expect(401);
    server.get(&other, "/v1/account").expect(200);
}

#[test]
fn a_changed_password_ends_every_token() {
    let server = Server::start();
    let person = server.account("Changing");
    let other_device = signed_in(&server, &person);
    let change = |current: &str, new: &str| {
        server
            .request("PUT", "/v1/account/password")
            .token(&person.token)
            .json(&json!({"current_password": current, "new_password": new}))
            .send()
    };
    change("not the current one", "nine lanterns over granite").refuses("/current_password");
    change(PASSWORD, "short").refuses("/new_password");
    get(&server, &other_device["access_token"], "/v1/account").expect(200);
    change(PASSWORD, "nine lanterns over granite").expect(204);
    server.get(&person, "/v1/account").expect(401);
    get(&server, &other_device["access_token"], "/v1/account").expect(401);
    refresh(&server, &other_device["refresh_token"]).expect(401);
    sign_in(&server, &person.sign_in_name, PASSWORD).expect(401);
    sign_in(&server, &person.sign_in_name, "nine lanterns over granite").expect(201);
}

#[test]
fn guessing_the_current_password_makes_pauses_too() {
    let server = Server::start();
    let person = server.account("Left Open");
    let guess = || {
        let body = json!({"current_password": "a guess", "new_password": "nine lanterns over granite"});
        server.request("PUT", "/v1/account/password").token(&person.token).json(&body).send()
    };
    for _ in 0..6 {
        guess().refuses("/current_password");
    }
    retry_after(&guess());
}

#[test]
fn a_suspension_ends_tokens_and_takes_the_standings_of_one_organization() {
    let world = World::new();
    let server = &world.server;
    let lead = &world.led.lead;
    let (elsewhere, code) = invitation(server);
    accept(server, lead, &code);
    let path = format!("/v1/organizations/{}/people/{}/suspension", world.organization, lead.id);
    let suspend = |method: &'static str| {
        server
            .request(method, &path)
            .token(&world.administrator.token)
            .json(&json!({"reason": "The board looks into it."}))
            .send()
    };
    suspend("PUT").expect(204);
    server.get(lead, &world.led.path("")).expect(401);
    let back = server.again(lead);
    server.get(&back, &world.led.path("")).expect(404);
    server.get(&back, &format!("/v1/organizations/{}", world.organization)).expect(404);
    server.get(&back, &format!("/v1/organizations/{elsewhere}")).expect(200);
    server.request("DELETE", &path).token(&world.administrator.token).send().expect(204);
    server.get(&back, &world.led.path("")).expect(200);
}

/// What an access token of this sign-in says at this moment.
pub fn claims_of(server: &Server, person: &Person) -> Value {
    let now = server.db.clock.now().seconds();
    json!({
        "iss": "circlekeeper", "aud": "circlekeeper-api", "sub": person.id, "sid": person.caller.sign_in,
        "iat": now, "exp": now + 600
    })
}

#[test]
fn a_forged_token_is_nobody() {
    let server = Server::start();
    let person = server.account("Forged");
    let (kid, secret) = server.db.token_secrets().remove(0);
    let now = server.db.clock.now().seconds();
    let claims = claims_of(&server, &person);
    let token = |algorithm: Algorithm, kid: &str, secret: &[u8], change: &dyn Fn(&mut Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("a token")
    };
    let asked = |token: &str| server.request("GET", "/v1/account").token(token).send();
    let same = |_: &mut Value| {};
    let good = token(Algorithm::HS256, &kid, &secret, &same);
    asked(&good).expect(200);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let text = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let (_, body) = signed.split_once('.').unwrap();
    let mut other_signature: Vec<u8> = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    other_signature[7] ^= 1;
    let without = |name: &'static str| {
        move |claims: &mut Value| {
            claims.as_object_mut().unwrap().remove(name);
        }
    };
    let with = |name: &'static str, value: Value| move |claims: &mut Value| claims[name] = value.clone();
    let unsigned = |algorithm: &str| format!("{}.{body}.", text(json!({"alg": algorithm, "typ": "JWT", "kid": kid})));
    let stranger = server.account("Stranger");
    let forged = [
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("no signature", format!("{signed}.")),
        ("another signature", format!("{signed}.{}", BASE64URL_NOPAD.encode(&other_signature))),
        ("another key", token(Algorithm::HS256, &kid, &[7; 32], &same)),
        ("an empty key", token(Algorithm::HS256, &kid, &[], &same)),
        ("HS384", token(Algorithm::HS384, &kid, &secret, &same)),
        ("HS512", token(Algorithm::HS512, &kid, &secret, &same)),
        ("another kid", token(Algorithm::HS256, "k-other", &secret, &same)),
        ("no kid", {
            let header = Header::new(Algorithm::HS256);
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).expect("a token")
        }),
        ("another audience", token(Algorithm::HS256, &kid, &secret, &with("aud", json!("another-api")))),
        ("no audience", token(Algorithm::HS256, &kid, &secret, &without("aud"))),
        ("another issuer", token(Algorithm::HS256, &kid, &secret, &with("iss", json!("somebody")))),
        ("no issuer", token(Algorithm::HS256, &kid, &secret, &without("iss"))),
        ("expired", token(Algorithm::HS256, &kid, &secret, &with("exp", json!(now - 1)))),
        ("no end", token(Algorithm::HS256, &kid, &secret, &without("exp"))),
        ("another account", token(Algorithm::HS256, &kid, &secret, &with("sub", json!(stranger.id)))),
        ("no sign-in", token(Algorithm::HS256, &kid, &secret, &with("sid", json!(Id::random())))),
        ("not a token", "abc".to_owned()),
        ("nothing", String::new()),
    ];
    for (what, token) in forged {
        let answer = asked(&token);
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{what}");
    }
    server.request("GET", "/v1/account").header("authorization", &format!("Basic {good}")).send().expect(401);
    server.request("GET", "/v1/account").send().expect(401);
}

#[test]
fn an_access_token_ends_by_itself() {
    let server = Server::start_with(ServerConfig { hashing: Some(2), ..ServerConfig::default() });
    let person = server.account("Short");
    let tokens = signed_in(&server, &person);
    assert_eq!(tokens["expires_in"], 600);
    get(&server, &tokens["access_token"], "/v1/account").expect(200);
    server.db.clock.shift(10 * MINUTE);
    get(&server, &tokens["access_token"], "/v1/account").expect(401);
    refresh(&server, &tokens["refresh_token"]).expect(201);
}

#[test]
fn a_second_factor_is_asked_for_and_each_code_works_once() {
    let server = Server::start();
    let person = server.account("Careful");
    let before = signed_in(&server, &person);
    let (totp, recovery) = second_factor(&server, &person);
    // The sign-ins that had only a password are over, but for the one that added the factor.
    get(&server, &before["access_token"], "/v1/account").expect(401);
    assert_eq!(server.get(&person, "/v1/account").expect(200)["has_second_factor"], true);
    let needed = sign_in(&server, &person.sign_in_name, PASSWORD);
    assert_eq!(needed.expect(401)["type"], "urn:circlekeeper:problem:second-factor-needed");
    // Without the password, nothing says that there is a second factor.
    let wrong = sign_in(&server, &person.sign_in_name, "not this one at all").expect(401);
    assert_eq!(wrong["type"], "urn:circlekeeper:problem:sign-in-refused");
    // The code that confirmed it is spent.
    sign_in_with(&server, &person, &code(&server, &totp)).expect(401);
    server.db.clock.shift(31 * SECOND);
    let next = code(&server, &totp);
    sign_in_with(&server, &person, &next).expect(201);
    sign_in_with(&server, &person, &next).expect(401);
    sign_in_with(&server, &person, &recovery[0].to_uppercase()).expect(201);
    sign_in_with(&server, &person, &recovery[0]).expect(401);
    sign_in_with(&server, &person, &recovery[1]).expect(201);
}

#[test]
fn a_second_factor_counts_only_once_its_first_code_is_confirmed() {
    let server = Server::start();
    let person = server.account("Half Way");
    server.post(&person, "/v1/account/second-factor", &json!({})).expect(201);
    server
        .request("PUT", "/v1/account/second-factor")
        .token(&person.token)
        .json(&json!({"code": "000000"}))
        .send()
        .refuses("/code");
    signed_in(&server, &person);
    let (_, _) = second_factor(&server, &person);
    server.post(&person, "/v1/account/second-factor", &json!({})).expect(409);
    let remove = |password: &str| {
        server
            .request("DELETE", "/v1/account/second-factor")
            .token(&person.token)
            .json(&json!({"password": password}))
            .send()
    };
    remove("a guess").refuses("/password");
    remove(PASSWORD).expect(204);
    signed_in(&server, &person);
}

#[test]
fn guessed_second_factors_make_pauses() {
    let server = Server::start();
    let person = server.account("Guessed");
    let (totp, _) = second_factor(&server, &person);
    let good = code(&server, &totp);
    let bad = if good == "000000" { "111111" } else { "000000" };
    for _ in 0..6 {
        sign_in_with(&server, &person, bad).expect(401);
    }
    retry_after(&sign_in_with(&server, &person, bad));
}

#[test]
fn an_organization_can_require_a_second_factor_of_its_staff_and_not_of_members() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let organization = format!("/v1/organizations/{}", world.organization);
    let version = server.version(&world.administrator, &organization);
    let body = json!({"name": "Riverside Clinic", "staff_second_factor": true});
    server.change(&world.administrator, "PUT", &organization, &version, &body).expect(200);
    for person in [&led.lead, &led.co_lead, led.trainee.as_ref().unwrap(), &world.peer.lead] {
        let group = if person.id == world.peer.lead.id { &world.peer } else { led };
        let refused = server.get(person, &group.path("")).expect(401);
        assert_eq!(refused["type"], "urn:circlekeeper:problem:second-factor-needed");
    }
    server.get(&world.administrator, &organization).expect(401);
    server.get(&led.member.person, &led.path("")).expect(200);
    server.get(&world.peer.member.person, &world.peer.path("")).expect(200);
    // One's own account stays open: that is where the factor is added.
    let (totp, _) = second_factor(server, &led.lead);
    server.get(&led.lead, &led.path("")).expect(401);
    server.db.clock.shift(31 * SECOND);
    let tokens = sign_in_with(server, &led.lead, &code(server, &totp)).expect(201);
    get(server, &tokens["access_token"], &led.path("")).expect(200);
}

#[test]
fn a_flood_of_sign_ins_is_refused_and_reads_go_on() {
    let server = Server::start_with(ServerConfig { hashing: Some(2), ..ServerConfig::default() });
    let people: Vec<Person> = (0..4).map(|number| server.account(&format!("Flooded {number}"))).collect();
    let reader = server.account("Reader");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let flood: Vec<_> = (0..200)
            .map(|number: usize| {
                let (server, people) = (&server, &people);
                scope.spawn(move || match number % 4 {
                    0 => sign_in(server, &people[number % 16 / 4].sign_in_name, PASSWORD).status,
                    1 => sign_in(server, &people[0].sign_in_name, "a guess of many").status,
                    _ => sign_in(server, &format!("nobody-{number}"), "a guess of many").status,
                })
            })
            .collect();
        for _ in 0..20 {
            let begun = Instant::now();
            server.get(&reader, "/v1/account").expect(200);
            assert!(begun.elapsed() < Duration::from_secs(10), "a read took {:?}", begun.elapsed());
        }
        flood.into_iter().map(|done| done.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [201, 401, 429, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&503) || statuses.contains(&429), "{statuses:?}");
}

/// Guesses at invitation codes count against the address, and cost no hash.
fn guess_from(server: &Server, forwarded: &str) -> u16 {
    let body = json!({
        "code": "00000-00000-00000-00000", "sign_in_name": "guesser", "password": PASSWORD, "name": "Guesser"
    });
    server.request("POST", "/v1/accounts").header("x-forwarded-for", forwarded).json(&body).send().status
}

#[test]
fn a_client_cannot_make_up_its_address() {
    let server = Server::start();
    let statuses: Vec<u16> = (0..53).map(|number| guess_from(&server, &format!("203.0.113.{number}"))).collect();
    assert_eq!(statuses[50], 422);
    assert_eq!(statuses[51], 429, "{statuses:?}");
}

#[test]
fn a_trusted_proxy_names_the_client() {
    let trusted = vec!["127.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
    let server = Server::start_with(ServerConfig { trusted_proxies: trusted, ..ServerConfig::default() });
    // What the client wrote before the first trusted proxy does not count.
    for number in 0..51 {
        assert_eq!(guess_from(&server, &format!("192.0.2.{number}, 203.0.113.9, 10.0.0.2")), 422);
    }
    assert_eq!(guess_from(&server, "203.0.113.9"), 429);
    assert_eq!(guess_from(&server, "203.0.113.10"), 422);
    // One household of IPv6 is one address.
    for number in 0..51 {
        assert_eq!(guess_from(&server, &format!("2001:db8:7:9::{number:x}")), 422);
    }
    assert_eq!(guess_from(&server, "2001:db8:7:9:ffff::1"), 429);
    assert_eq!(guess_from(&server, "2001:db8:7:a::1"), 422);
}
