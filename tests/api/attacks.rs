//! Attacks that no other file makes: forged tokens, fields that are not the sender's, guessed ids, markup, bytes on the
//! wire, lines in the log, time as a tell, and input that costs more than it weighs. `docs/security.md` names them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    hint::black_box,
    io::{BufRead, BufReader, Read, Write as _},
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use circlekeeper::{
    identity::{check_new_password, normalized},
    policy::Area,
    routes::command::weight,
    rules::{crisis_wording::notice_for, groups::check_language, instruments::Registry, sessions::instant},
    server,
    values::{Id, Moment, Prose},
};
use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    access_log::tamper,
    breaches::every_row,
    command_line::program,
    contract::{Stage, version},
    harness::{Answer, MASTER, PASSWORD, Person, Server, fresh_database},
    identity::claims_of,
    operations::operations,
    scene::{Records, Scene},
    world::World,
};

// Tokens.

/// A compact JWS over these words, whatever they are.
fn signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let text = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

#[test]
fn no_header_of_a_token_chooses_how_it_is_judged() {
    let server = Server::start();
    let person = server.account("Forged");
    let (kid, secret) = server.db.token_secrets().remove(0);
    let now = server.db.clock.now().seconds();
    let claims = claims_of(&server, &person);
    let asked = |token: &str| server.request("GET", "/v1/account").token(token).send();
    let head = |rest: &str| format!("{{\"typ\":\"JWT\",{rest}}}");
    let good_head = head(&format!("\"alg\":\"HS256\",\"kid\":\"{kid}\""));
    let good = signed(&good_head, &claims.to_string(), &secret);
    asked(&good).expect(200);

    let key = server.request("GET", "/v1/statements/key").send().expect(200);
    let public = key["x"].as_str().expect("a key").to_owned();
    let raw_public = BASE64URL_NOPAD.decode(public.as_bytes()).expect("base64url");
    let mine = BASE64URL_NOPAD.encode(&[7; 32]);
    let text = claims.to_string();
    let mut forged: Vec<(String, String)> = Vec::new();
    // No algorithm at all, in every spelling; with no signature, without its part, and with the one of the true token.
    let (_, true_signature) = good.rsplit_once('.').expect("three parts");
    for algorithm in
        ["\"none\"", "\"None\"", "\"NONE\"", "\"nOnE\"", "\"none \"", "\" none\"", "\"\"", "null", "0", "[]"]
    {
        for rest in [format!("\"alg\":{algorithm},\"kid\":\"{kid}\""), format!("\"kid\":\"{kid}\",\"alg\":{algorithm}")]
        {
            let token = signed(&head(&rest), &text, &[]);
            let (unsigned, _) = token.rsplit_once('.').expect("three parts");
            for token in [format!("{unsigned}."), unsigned.to_owned(), format!("{unsigned}.{true_signature}")] {
                forged.push((format!("alg {algorithm}"), token));
            }
        }
    }
    forged.push(("no alg".into(), signed(&head(&format!("\"kid\":\"{kid}\"")), &text, &secret)));
    // Everything that is public, as if it were the secret.
    let document = key.to_string();
    let publics: [&[u8]; 6] =
        [public.as_bytes(), &raw_public, document.as_bytes(), kid.as_bytes(), person.id.0.as_bytes(), b"circlekeeper"];
    for (number, public) in publics.into_iter().enumerate() {
        for algorithm in ["HS256", "EdDSA", "RS256", "ES256", "HS512"] {
            for named in [kid.as_str(), key["kid"].as_str().expect("a kid")] {
                let head = head(&format!("\"alg\":\"{algorithm}\",\"kid\":\"{named}\""));
                forged.push((format!("{algorithm} under public value {number}"), signed(&head, &text, public)));
            }
        }
    }
    // A key that the token brings along, or says where to find.
    for brought in [
        format!("\"jwk\":{{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"{mine}\"}}"),
        "\"jku\":\"http://127.0.0.1:9/keys\"".to_owned(),
        "\"x5u\":\"http://127.0.0.1:9/chain\"".to_owned(),
        format!("\"x5c\":[\"{mine}\"]"),
        "\"crit\":[\"b64\"],\"b64\":false".to_owned(),
    ] {
        let head = head(&format!("\"alg\":\"HS256\",\"kid\":\"{kid}\",{brought}"));
        forged.push((brought, signed(&head, &text, &[7; 32])));
    }
    // A key that is named in another way; what is behind a name that is none is nothing, or empty.
    for named in [
        "\"../../dev/null\"".to_owned(),
        "\"/dev/null\"".to_owned(),
        "\"' OR '1'='1\"".to_owned(),
        "\"\"".to_owned(),
        format!("\"{kid} \""),
        format!("\"{kid}\\u0000\""),
        format!("\"{}\"", kid.to_uppercase()),
        format!("[\"{kid}\"]"),
        "0".to_owned(),
        "null".to_owned(),
        format!("\"{kid}\",\"kid\":\"x\""),
        format!("\"x\",\"kid\":\"{kid}\""),
    ] {
        let head = head(&format!("\"alg\":\"HS256\",\"kid\":{named}"));
        // Under the true secret too, unless the name is the true one: a name that is not known is no reason to look further.
        for secret in [&[][..], b"\0", kid.as_bytes(), &secret] {
            forged.push((format!("kid {named}"), signed(&head, &text, secret)));
        }
    }
    // Signed as it should be, and no access token of now.
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(&good_head, &claims.to_string(), &secret)
    };
    forged.push(("not yet".into(), changed("nbf", json!(now + 60))));
    forged.push(("a list of audiences".into(), changed("aud", json!(["circlekeeper-api", "another"]))));
    forged.push(("no time".into(), changed("exp", json!("never"))));
    forged.push(("a negative time".into(), changed("exp", json!(-1))));
    forged.push(("too large a time".into(), changed("exp", json!(1e300))));
    forged.push(("the owner of the installation".into(), changed("sub", json!(Id::INSTALLATION))));
    for kind in ["\"typ\":\"refresh+jwt\",", "\"typ\":\"id_token\",", ""] {
        let head = format!("{{{kind}\"alg\":\"HS256\",\"kid\":\"{kid}\"}}");
        forged.push((format!("another kind of token: {kind}"), signed(&head, &text, &secret)));
    }
    // The same token, written in another way.
    let last = good.chars().last().expect("a letter");
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).expect("base64url");
    let neighbour = &alphabet[place ^ 1..=place ^ 1];
    forged.push(("another last letter".into(), format!("{}{neighbour}", &good[..good.len() - 1])));
    forged.push(("padded".into(), format!("{good}=")));
    forged.push(("five parts".into(), format!("{good}.{good}")));
    forged.push(("two tokens".into(), format!("{good},{good}")));
    forged.push(("a long token".into(), "a".repeat(20_000)));
    for (what, token) in &forged {
        let answer = asked(token);
        assert_eq!(answer.status, 401, "{what}: {token}");
    }
    assert!(forged.len() > 150, "{}", forged.len());
    println!("{} forged tokens are nobody", forged.len());
    // Of another installation, where the same person could have the same ids.
    let other = Server::start();
    let foreign = other.account("Forged");
    asked(&foreign.token).expect(401);
    // A statement is signed by the installation as well, and says nothing about who holds it.
    let statement = own_statement(&server);
    asked(&statement).expect(401);
}

/// What the installation signs for somebody to keep: as good as any other signature of its statement key.
fn own_statement(server: &Server) -> String {
    server.db.installation().statements.sign(&json!({"sub": Id::random(), "aud": "circlekeeper-api"})).expect("signed")
}

#[test]
fn a_token_counts_in_its_one_place_alone() {
    let server = Server::start();
    let person = server.account("Placed");
    let body = json!({"sign_in_name": person.sign_in_name, "password": PASSWORD});
    let tokens = server.request("POST", "/v1/tokens").json(&body).send().expect(201);
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let get = |path: &str| server.request("GET", path);
    get("/v1/account").token(access).send().expect(200);
    // Each only for what it is.
    get("/v1/account").token(refresh).send().expect(401);
    let exchange =
        |token: &str| server.request("POST", "/v1/tokens/refresh").json(&json!({"refresh_token": token})).send();
    exchange(access).expect(401);
    exchange(&format!("{refresh}=")).expect(401);
    exchange(&format!(" {refresh}")).expect(401);
    exchange("").expect(401);
    // Nowhere but in the header.
    for name in ["access_token", "token", "authorization", "bearer"] {
        let answer = get(&format!("/v1/account?{name}={access}")).send();
        answer.expect(401);
        get("/v1/account").header("cookie", &format!("{name}={access}")).send().expect(401);
        get("/v1/account").header(&format!("x-{}", name.replace('_', "-")), access).send().expect(401);
    }
    for scheme in ["Basic", "Token", "DPoP", "Bearer,", "Bearer:"] {
        get("/v1/account").header("authorization", &format!("{scheme} {access}")).send().expect(401);
    }
    get("/v1/account").header("proxy-authorization", &format!("Bearer {access}")).send().expect(401);
    get("/v1/account").header("x-forwarded-authorization", &format!("Bearer {access}")).send().expect(401);
    // Of two, whoever stands in between may have judged the other.
    let stranger = server.account("Stranger").token;
    for (one, two) in [(access, "x"), ("x", access), (access, access), (access, stranger.as_str())] {
        get("/v1/account").token(one).token(two).send().expect(401);
        let joined = format!("Bearer {one}, Bearer {two}");
        get("/v1/account").header("authorization", &joined).send().expect(401);
    }
    // None of this took anything away from its owner.
    get("/v1/account").token(access).send().expect(200);
    exchange(refresh).expect(201);
}

// Fields that are not the sender's.

const FOREIGN: [&str; 18] = [
    "id",
    "group",
    "group_id",
    "organization",
    "organization_id",
    "account",
    "account_id",
    "version",
    "state",
    "standing",
    "recorded_by",
    "signed_at",
    "created_at",
    "is_administrator",
    "role",
    "__proto__",
    "constructor",
    "prototype",
];

/// The names that an object of the example may have, by its schema: every other name is foreign.
fn own_names(document: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("a schema"),
        None => schema,
    };
    let mut names: BTreeSet<String> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    for part in ["allOf", "oneOf", "anyOf"] {
        for part in schema[part].as_array().into_iter().flatten() {
            names.extend(own_names(document, part));
        }
    }
    names
}

/// Every object inside an example, as the pointer to it, beside the example itself.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            fields.iter().for_each(|(name, field)| objects(field, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().take(1).enumerate().for_each(|(index, item)| objects(item, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// What the database holds but for what each request leaves behind: its entry in the log, its sign-in, its pause.
fn kept(server: &Server) -> Option<Vec<(String, Vec<String>)>> {
    let passing = ["access_chains", "access_entries", "sign_ins", "refresh_tokens", "back_offs"];
    let mut rows = every_row(server)?;
    rows.retain(|(table, _)| !passing.contains(&table.as_str()));
    rows.sort();
    Some(rows)
}

#[test]
fn no_operation_takes_a_field_that_is_not_in_its_contract() {
    let stage = Stage::new();
    let server = &stage.scene.world.server;
    let document: Value = serde_json::from_str(&server::contract()).expect("JSON");
    let before = kept(server);
    let mut sent = 0;
    for operation in operations().iter().filter(|operation| operation.takes_body()) {
        let example = operation.example.clone().expect("an example");
        let page = &document["paths"][&operation.path][operation.method.to_lowercase()];
        let own = own_names(&document, &page["requestBody"]["content"]["application/json"]["schema"]);
        let (who, path) = stage.allowed(operation);
        let who = server.again(&who);
        let version = version(server, &who, &path).filter(|_| operation.needs_version);
        let mut places = Vec::new();
        objects(&example, "", &mut places);
        for place in &places {
            // Inside, one name of each sort is enough; a name of the record itself may be a name there too.
            let names = match place.as_str() {
                "" => &FOREIGN[..],
                _ => &["recorded_by", "__proto__"],
            };
            for name in names.iter().filter(|name| !place.is_empty() || !own.contains(**name)) {
                let mut body = example.clone();
                let object = body.pointer_mut(place).and_then(Value::as_object_mut).expect("an object");
                if object.contains_key(*name) {
                    continue;
                }
                object.insert((*name).to_owned(), json!(Id::random()));
                let mut request = server.request(&operation.method, &path).token(&who.token).json(&body);
                if let Some(version) = &version {
                    request = request.version(version);
                }
                let answer = request.send();
                let what = format!(
                    "{} {} with {place}/{name}: {} {}",
                    operation.method, operation.path, answer.status, answer.text
                );
                assert!(matches!(answer.status, 400 | 422), "{what}");
                assert!(answer.text.contains(name), "{what}");
                sent += 1;
            }
        }
    }
    assert!(sent > 1000, "{sent} fields");
    println!("{sent} foreign fields are refused");
    assert!(kept(server) == before, "a refused request left something behind");
}

// Ids that are guessed.

/// Everything of an answer that a client sees, without the date, and without what says whether the body was waited for:
/// of a path that cannot be one it is not.
fn whole(answer: &Answer) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "date" | "connection"));
    let mut headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    format!("{} {}\n{}", answer.status, headers.join("\n"), answer.text)
}

#[test]
fn no_guessed_id_is_answered_otherwise_than_one_that_nobody_has() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let (server, world) = (&scene.world.server, &scene.world);
    let nothing = whole(&server.get(&world.outsider, &format!("/v1/groups/{}", Id::random())));
    assert!(nothing.starts_with("404"), "{nothing}");
    let random = Id::random().to_string();
    // One id of each kind that there is, and of each kind one of another group or organization.
    let kinds =
        ["member", "session", "measure", "entry", "note", "agreement", "signature", "term", "licence", "account"];
    let known = |records: &[&Records], kind: &str| {
        records.iter().find_map(|records| records.any(kind).map(|record| record.id.clone()))
    };
    let here = [&scene.led, &scene.peer, &scene.organization];
    let elsewhere = [&scene.other, &scene.foreign_organization];
    let mut sent: usize = 0;
    for operation in operations() {
        let (who, path) = stage.allowed(&operation);
        let who = server.again(&who);
        let parts: Vec<&str> = operation.path.split('/').collect();
        let filled: Vec<&str> = path.split('/').collect();
        for (place, part) in parts.iter().enumerate().filter(|(_, part)| part.starts_with('{')) {
            let name = part.trim_matches(['{', '}']);
            // What is no id at all is refused before anything is looked up: a few of them on each path are enough.
            let mut strange: Vec<String> = vec![
                random.to_uppercase(),
                format!("{{{random}}}"),
                format!("urn:uuid:{random}"),
                random.replace('-', ""),
                "ffffffff-ffff-ffff-ffff-ffffffffffff".into(),
                "%2e%2e".into(),
                "%2e%2e%2f%2e%2e".into(),
                "..%5c".into(),
                "%00".into(),
                "%f0%9f%98%80".into(),
                "1".into(),
                "-1".into(),
                "1%20OR%201=1".into(),
                "*".into(),
                "null".into(),
                "a".repeat(8_000),
            ];
            let first = sent % strange.len();
            strange.rotate_left(first);
            strange.truncate(6);
            let mut guesses = vec![random.clone(), Id::INSTALLATION.to_string()];
            guesses.append(&mut strange);
            let of_another_kind =
                kinds.iter().filter(|kind| **kind != name && !(name == "account" && **kind == "term"));
            // An attendance is named by its member, and a record of a session by its session.
            guesses.extend(of_another_kind.filter_map(|kind| known(&here, kind)));
            // What somebody sent from their own account is theirs, wherever it went.
            let is_own = |id: &String| here.iter().any(|records| records.all(name).iter().any(|own| own.id == *id));
            guesses.extend(known(&elsewhere, name).filter(|id| !is_own(id)));
            if name == "group" {
                guesses.push(world.organization.to_string());
            }
            for guess in guesses {
                let mut parts = filled.clone();
                parts[place] = &guess;
                let path = parts.join("/");
                let mut request = server.request(&operation.method, &path).token(&who.token);
                if operation.needs_version {
                    request = request.version("\"1\"");
                }
                if let Some(example) = &operation.example {
                    request = request.json(example);
                }
                let answer = request.send();
                let shown: String = guess.chars().take(60).collect();
                let what = format!(
                    "{} {} with {name} = {shown} as {}: {}",
                    operation.method, operation.path, who.name, answer.text
                );
                assert_eq!(answer.status, 404, "{what}");
                assert_eq!(whole(&answer), nothing, "{what}");
                sent += 1;
            }
        }
    }
    assert!(sent > 4000, "{sent} guesses");
    println!("{sent} guessed ids are nothing");
}

// Time as a tell.

/// How two interleaved series of times differ: the difference of their medians as a share of the first, and the rank
/// measure of Mann and Whitney, P(a time of the second is longer than one of the first): 0.5 where nothing can be told.
#[derive(Clone, Copy, Debug)]
struct Difference {
    share: f64,
    rank: f64,
}

/// Shares of a median below which nobody across a network tells two medians apart.
const SHARE: f64 = 0.10;
const RANKS: std::ops::RangeInclusive<f64> = 0.35..=0.65;

fn difference(first: &[Duration], second: &[Duration]) -> Difference {
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let longer = |one: &Duration| {
        second.iter().map(|other| if other > one { 1.0 } else { f64::from(u8::from(other == one)) / 2.0 }).sum::<f64>()
    };
    let rank = first.iter().map(longer).sum::<f64>() / (first.len() * second.len()) as f64;
    Difference { share: (median(second) - median(first)) / median(first), rank }
}

/// Asks each of these in turn, `rounds` times, and holds the times of all against those of the first. A machine that
/// does something else meanwhile can tilt one series: only what shows three times in the same direction is a tell.
/// `before` makes each round like the first, outside of what is timed.
fn assert_no_tell(what: &str, names: &[&str], rounds: usize, before: impl Fn(), ask: impl Fn(usize)) {
    let mut tilts: Vec<[u8; 2]> = vec![[0, 0]; names.len()];
    for repeat in 1..=3 {
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); names.len()];
        for round in 0..rounds + 3 {
            before();
            for step in 0..names.len() {
                // Each goes first as often as the others.
                let index = (step + round) % names.len();
                let begun = Instant::now();
                ask(index);
                // The first rounds find caches cold.
                if round >= 3 {
                    times[index].push(begun.elapsed());
                }
            }
        }
        let mut is_even = true;
        for (index, name) in names.iter().enumerate().skip(1) {
            let found = difference(&times[0], &times[index]);
            println!(
                "{what}, {repeat}: {name} against {}: medians differ by {:+.1} %, ranks {:.2} ({} times each)",
                names[0],
                found.share * 100.0,
                found.rank,
                rounds
            );
            // Medians jump on a busy machine; where times really differ, the ranks lean the same way.
            let leans = found.share.abs() > SHARE && !(0.42..=0.58).contains(&found.rank);
            if leans || !RANKS.contains(&found.rank) {
                is_even = false;
                tilts[index][usize::from(found.rank > 0.5)] += 1;
                assert!(tilts[index].iter().all(|times| *times < 3), "{what}: {name} can be told from {}", names[0]);
            }
        }
        if is_even {
            return;
        }
    }
}

#[test]
fn a_sign_in_does_not_tell_by_its_time_whose_name_is_known() {
    let world = World::new();
    let server = &world.server;
    let with_factor = server.account("Careful");
    let offer = server.post(&with_factor, "/v1/account/second-factor", &json!({})).expect(201);
    let secret = totp_rs::Secret::try_from_base32(offer["secret"].as_str().unwrap()).expect("base32");
    let totp = totp_rs::Builder::new().with_secret(secret).with_account_name("account").build().expect("a secret");
    let code = totp.generate(server.db.clock.now().seconds() as u64).to_string();
    let confirm = server.request("PUT", "/v1/account/second-factor").token(&with_factor.token);
    confirm.json(&json!({"code": code})).send().expect(200);
    let suspended = &world.led.co_lead;
    let path = format!("/v1/organizations/{}/people/{}/suspension", world.organization, suspended.id);
    let suspend = server.request("PUT", &path).token(&world.administrator.token);
    suspend.json(&json!({"reason": "The licence is under review."})).send().expect(204);
    let names: Vec<String> = [&world.outsider, &with_factor, suspended]
        .map(|person| person.sign_in_name.clone())
        .into_iter()
        .chain([format!("nobody.at.all-{}", Id::random())])
        .collect();
    let ask = |name: &str| {
        let body = json!({"sign_in_name": name, "password": "not this one at all"});
        server.request("POST", "/v1/tokens").json(&body).send()
    };
    let answers: BTreeSet<String> = names.iter().map(|name| whole(&ask(name))).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Who is asked about, and how: each as if for the first time.
    let about = ["known", "with a second factor", "suspended", "unknown"];
    let forgotten = || tamper(&server.location, "DELETE FROM back_offs");
    assert_no_tell("a wrong password", &about, 30, forgotten, |index| {
        assert_eq!(ask(&names[index]).status, 401);
    });
}

#[test]
fn what_is_hidden_does_not_tell_by_its_time_that_it_is_there() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let (led, other) = (&world.led, &world.other);
    let id = |records: &Records, kind: &str| records.any(kind).expect("a record").id.clone();
    let nobody = Id::random().to_string();
    let compare = |what: &str, who: &Person, paths: [String; 2]| {
        let answers = paths.clone().map(|path| whole(&server.get(who, &path)));
        assert_eq!(answers[0], answers[1], "{what}");
        assert!(answers[0].starts_with("404"), "{what}: {}", answers[0]);
        assert_no_tell(
            what,
            &["not there", "hidden"],
            150,
            || (),
            |index| {
                server.get(who, &paths[index]);
            },
        );
    };
    let outsider = &world.outsider;
    compare("a group", outsider, [&nobody, &led.id].map(|group| format!("/v1/groups/{group}")));
    compare("its members", outsider, [&nobody, &led.id].map(|group| format!("/v1/groups/{group}/members")));
    let organization = world.organization.to_string();
    compare("an organization", outsider, [&nobody, &organization].map(|id| format!("/v1/organizations/{id}")));
    // A record of another group, and of another member, on a path on which one has every right.
    let foreign = [nobody.clone(), id(&scene.other, "measure")];
    compare("a measure of another group", &led.lead, foreign.map(|id| led.path(&format!("/measures/{id}"))));
    let members = [nobody.clone(), led.second_member.id.clone()];
    compare("another member", &led.member.person, members.map(|id| led.path(&format!("/members/{id}"))));
    let draft = scene.led.all("note").iter().find(|note| note.by == Some(led.co_lead.id)).expect("a note").id.clone();
    compare("another's process note", &led.lead, [nobody, draft].map(|id| led.path(&format!("/process-notes/{id}"))));
    assert_ne!(led.id, other.id);
}

#[test]
fn a_code_does_not_tell_that_it_once_was_one() {
    let world = World::new();
    let server = &world.server;
    let invitations = format!("/v1/organizations/{}/invitations", world.organization);
    let made = || server.post(&world.administrator, &invitations, &json!({"standing": "privacy_officer"})).expect(201);
    let (spent, revoked) = (made(), made());
    server.post(&server.account("Spends"), "/v1/account/standings", &json!({"code": spent["code"]})).expect(201);
    let path = format!("{invitations}/{}", revoked["id"].as_str().unwrap());
    server.request("DELETE", &path).token(&world.administrator.token).send().expect(204);
    let codes = [json!("00000-00000-00000-00000"), spent["code"].clone(), revoked["code"].clone()];
    let who = &world.outsider;
    let ask = |code: &Value| server.post(who, "/v1/account/standings", &json!({"code": code}));
    let answers: BTreeSet<String> = codes.iter().map(|code| whole(&ask(code))).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let forgotten = || tamper(&server.location, "DELETE FROM back_offs");
    assert_no_tell("a code", &["never was", "spent", "revoked"], 60, forgotten, |index| {
        assert_eq!(ask(&codes[index]).status, 422);
    });
}

#[test]
fn a_proof_and_a_session_code_say_no_in_one_way() {
    let server = Server::start();
    let bodies = ["7h2kd-9fmz3-p0xqa-44tnr", "00000-00000-00000-00000", "<script>", "zzzzz-zzzzz-zzzzz-zzzzz"]
        .map(|proof| json!({"proof": proof, "name": "Sam", "on": "2026-11-17"}));
    let checks = operations().into_iter().find(|operation| operation.id == "check_proof").expect("an operation");
    let answers: BTreeSet<String> =
        bodies.iter().map(|body| whole(&server.request("POST", &checks.path).json(body).send())).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let codes: BTreeSet<String> = ["A3KHR7", "000000", "a3khr7", "%00"]
        .map(|code| whole(&server.request("POST", "/v1/visits").json(&json!({"code": code})).send()))
        .into();
    assert_eq!(codes.len(), 1, "{codes:?}");
}

// Markup.

/// The texts of an example that somebody may choose freely, with the longest that they may be: strings with a length
/// and without a form.
fn texts(document: &Value, schema: &Value, example: &Value, at: &str, found: &mut Vec<(String, u64)>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("a schema"),
        None => schema,
    };
    for part in ["allOf", "oneOf", "anyOf"] {
        for part in schema[part].as_array().into_iter().flatten() {
            texts(document, part, example, at, found);
        }
    }
    match example {
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(name, _)| !name.contains("password")) {
                texts(document, &schema["properties"][name], field, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            if let Some(item) = items.first() {
                texts(document, &schema["items"], item, &format!("{at}/0"), found);
            }
        }
        Value::String(_) if ["pattern", "format", "enum"].iter().all(|form| schema.get(form).is_none()) => {
            found.extend(schema["maxLength"].as_u64().map(|longest| (at.to_owned(), longest)));
        }
        _ => {}
    }
}

/// Every text of a JSON value.
fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}

const MARKUP: &str = "<script>alert(1)</script><svg/onload=alert(1)>\"'&amp;{{7*7}}${7*7}%0d%0a]]>-->";

#[test]
fn no_text_becomes_markup_and_no_name_holds_what_cannot_be_seen() {
    let stage = Stage::new();
    let (server, world) = (&stage.scene.world.server, &stage.scene.world);
    let document: Value = serde_json::from_str(&server::contract()).expect("JSON");
    let (mut shown, mut refused) = (0, 0);
    for operation in operations().iter().filter(|operation| operation.takes_body() && operation.area != Area::Public) {
        let example = operation.example.clone().expect("an example");
        let page = &document["paths"][&operation.path][operation.method.to_lowercase()];
        let mut places = Vec::new();
        let schema = &page["requestBody"]["content"]["application/json"]["schema"];
        texts(&document, schema, &example, "", &mut places);
        for (place, longest) in places {
            let send = |text: &str| {
                let (who, path) = stage.allowed(operation);
                let who = server.again(&who);
                let mut body = example.clone();
                for (name, id) in [("member", world.led.member.id.clone()), ("account", world.led.lead.id.to_string())]
                {
                    if body.get(name).is_some() {
                        body[name] = json!(id);
                    }
                }
                *body.pointer_mut(&place).expect("a text") = json!(text);
                let mut request = server.request(&operation.method, &path).token(&who.token);
                if let Some(version) = version(server, &who, &path).filter(|_| operation.needs_version) {
                    request = request.version(&version);
                }
                let answer = request.json(&body).send();
                let what = format!("{} {}, {place} = {text:?}: {}", operation.method, operation.path, answer.text);
                assert!(answer.status < 500, "{what}");
                let media = answer.header("content-type").unwrap_or_default();
                assert!(
                    media.is_empty() || media.contains("json") || !answer.text.contains("<script"),
                    "{media} {what}"
                );
                assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"), "{what}");
                (answer, what)
            };
            // What would turn the writing around, hide itself, or speak to a terminal: refused, by the name of the field.
            for unseen in
                ["a\u{0}b", "a\u{1b}[31mb", "a\u{9b}31mb", "a\u{202e}b", "a\u{2066}b", "a\u{7f}b", "a\u{e0041}b"]
            {
                let (answer, what) = send(unseen);
                assert!(matches!(answer.status, 422), "{what}");
                assert!(answer.text.contains(&format!("\"pointer\":\"{place}\"")), "{what}");
                refused += 1;
            }
            if longest <= 300 {
                for lines in ["a\r\nSet-Cookie: b=c", "a\nb", "a\tb"] {
                    let (answer, what) = send(lines);
                    assert!(answer.status == 422 && answer.text.contains(&place), "{what}");
                    refused += 1;
                }
            }
            // What is text stays text, as it was written.
            let markup = if longest >= 100 { MARKUP } else { "<b>\"x'&" };
            let (answer, what) = send(markup);
            let body = answer.json();
            let mut found = Vec::new();
            strings(&body, &mut found);
            for text in found.iter().filter(|text| answer.status < 300 && text.contains("<script")) {
                assert!(text.contains(markup), "{what}");
                shown += 1;
            }
        }
    }
    assert!(shown > 25 && refused > 400, "{shown} texts came back, {refused} were refused");
    // Names and titles that show in every form, and every form of everything.
    let led = &world.led;
    let rename = |who: &Person, method: &str, path: &str, name: &str| {
        let who = server.again(who);
        let path = led.path(path);
        let version = server.version(&who, path.trim_end_matches("/name"));
        server.change(&who, method, &path, &version, &json!({"name": name})).expect(200);
    };
    rename(&led.lead, "PUT", &format!("/members/{}/name", led.member.id), MARKUP);
    rename(&led.lead, "PUT", &format!("/members/{}/name", led.second_member.id), "=cmd|' /C calc'!A0");
    let mut forms: BTreeMap<String, usize> = BTreeMap::new();
    for operation in operations() {
        let page = &document["paths"][&operation.path][operation.method.to_lowercase()];
        let media: Vec<&String> =
            page["responses"]["200"]["content"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let exports = operation.example.as_ref().is_some_and(|example| example.get("format").is_some());
        if !operation.is_read() && !exports {
            continue;
        }
        for media in media {
            let (who, path) = stage.allowed(&operation);
            let people = if operation.area == Area::Account { vec![&led.member.person, &led.lead] } else { vec![&who] };
            for who in people {
                let who = server.again(who);
                let request = server.request(&operation.method, &path).token(&who.token).header("accept", media);
                let answer = match &operation.example {
                    Some(_) => {
                        let format = if media.contains("csv") {
                            "csv"
                        } else if media.contains("html") {
                            "html"
                        } else {
                            "json"
                        };
                        let body = json!({"purpose": "treatment", "format": format});
                        request
                            .json(&if format == "csv" {
                                json!({"purpose": "treatment", "format": "csv", "parts": ["members"]})
                            } else {
                                body
                            })
                            .send()
                    }
                    None => request.send(),
                };
                if answer.status != 200 {
                    continue;
                }
                let what = format!("{} {} as {media}", operation.method, operation.path);
                let said = answer.header("content-type").unwrap_or_default();
                assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"), "{what}");
                let policy = answer.header("content-security-policy").unwrap_or_default();
                assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
                if let Some(disposition) = answer.header("content-disposition") {
                    let is_plain = |c: char| c.is_ascii_alphanumeric() || " ;=\"-_.".contains(c);
                    assert!(disposition.chars().all(is_plain), "{what}: {disposition}");
                }
                *forms.entry(said.split(';').next().unwrap_or("").to_owned()).or_default() += 1;
                if !said.contains("json") && !said.contains("csv") {
                    for active in ["<script", "<svg/", "onload=alert(1)>"] {
                        assert!(!answer.text.contains(active), "{what}: {active} in {}", answer.text);
                    }
                }
                if said.contains("csv") {
                    assert!(
                        !answer
                            .text
                            .lines()
                            .any(|line| line.split(',').any(|cell| cell.trim_matches('"').starts_with('='))),
                        "{what}"
                    );
                }
            }
        }
    }
    println!("{shown} texts came back as they were, {refused} were refused; forms read: {forms:?}");
    for form in ["application/json", "text/html", "image/svg+xml", "text/csv", "application/fhir+json"] {
        assert!(forms.contains_key(form), "{form} was not read at all: {forms:?}");
    }
}

// Bytes on the wire.

/// Writes these bytes to the server and reads what comes until it closes or says nothing more for a while.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(700))).expect("a setting");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a setting");
    // A server that has refused may close while the rest is still being written.
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        said.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// The statuses of all answers in what came back.
fn statuses(said: &str) -> Vec<u16> {
    said.split("HTTP/1.").skip(1).filter_map(|part| part.get(2..5)?.parse().ok()).collect()
}

const SIGN_IN: &str = "POST /v1/tokens HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

#[test]
fn no_two_readings_of_one_request_are_possible() {
    let server = Server::start();
    let smuggled = "GET /v1/instruments HTTP/1.1\r\nhost: x\r\n\r\n";
    let head = SIGN_IN;
    // With a second request behind the first, where somebody else might see its end. Whoever reads the first one in
    // another way than a proxy in front must not answer the second.
    let mut cases: Vec<(&str, String)> = vec![
        (
            "length and chunks",
            format!("{head}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "chunks and length",
            format!("{head}transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "two lengths",
            format!("{head}content-length: 2\r\ncontent-length: {}\r\n\r\n{{}}{smuggled}", smuggled.len() + 2),
        ),
        ("a list of lengths", format!("{head}content-length: 2, 2\r\n\r\n{{}}{smuggled}")),
        ("no end of the head", format!("{head}content-length: 2\n\r\n{{}}")),
    ];
    for length in ["+2", "-2", "0x2", "2 2", "2.0", "", "99999999999999999999999", "two"] {
        cases.push(("a length that is none", format!("{head}content-length: {length}\r\n\r\n{{}}{smuggled}")));
    }
    for coding in [
        "chunked, chunked",
        "identity, chunked",
        "chunked, identity",
        "xchunked",
        "gzip, chunked",
        "\"chunked\"",
        "chunked;x=y",
        "\u{b}chunked",
        "chunked\u{b}",
        "",
        "identity",
    ] {
        cases.push(("another coding", format!("{head}transfer-encoding: {coding}\r\n\r\n0\r\n\r\n{smuggled}")));
    }
    cases.push((
        "a coding twice",
        format!("{head}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{smuggled}"),
    ));
    cases.push(("a blank before the colon", format!("{head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}")));
    cases.push(("a folded line", format!("{head}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n{smuggled}")));
    cases.push((
        "chunks in 1.0",
        format!("{}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}", head.replace("1.1", "1.0")),
    ));
    for size in ["-1", "g", "FFFFFFFFFFFFFFFFF", "0x2", "2 2", "+2", "", "7FFFFFFFFFFFFFFF", "\u{0}2"] {
        cases.push((
            "a size that is none",
            format!("{head}transfer-encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n{smuggled}"),
        ));
    }
    cases.push((
        "a chunk that goes on",
        format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{}}xx\r\n0\r\n\r\n{smuggled}"),
    ));
    let mut seen = BTreeMap::new();
    for (what, request) in &cases {
        let said = raw(&server, request.as_bytes());
        let statuses = statuses(&said);
        assert!(statuses.len() <= 1, "{what}: the second request was answered: {request:?}\n{said}");
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{what}: {statuses:?} for {request:?}");
        if statuses.first() != Some(&400) {
            println!("{what}: {statuses:?} for {:?}", request.trim_start_matches(head));
        }
        *seen.entry(statuses.first().copied().unwrap_or(0)).or_insert(0) += 1;
    }
    println!("of {} ambiguous requests, by status (0: closed): {seen:?}", cases.len());
    server.request("GET", "/health/live").send().expect(204);
}

#[test]
fn no_strange_request_line_or_head_brings_down_a_server_or_a_wall() {
    let server = Server::start();
    let person = server.account("Wired");
    let bearer = format!("authorization: Bearer {}\r\n", person.token);
    let get = |head: &str| raw(&server, head.as_bytes());
    let close = "connection: close\r\n\r\n";
    // Answered or refused, and never with more rights or in another place.
    let foreign = "evil.example";
    for (what, head, expected) in [
        (
            "absolute form",
            format!("GET http://{foreign}/v1/account HTTP/1.1\r\nhost: {foreign}\r\n{bearer}{close}"),
            &[200, 400][..],
        ),
        (
            "absolute form without a token",
            format!("GET http://{foreign}/v1/account HTTP/1.1\r\nhost: x\r\n{close}"),
            &[401, 400],
        ),
        (
            "credentials in the target",
            format!("GET http://a:b@{foreign}/v1/account HTTP/1.1\r\nhost: x\r\n{close}"),
            &[401, 400],
        ),
        ("no host", format!("GET /v1/account HTTP/1.1\r\n{bearer}{close}"), &[200, 400]),
        (
            "another host",
            format!("GET /docs HTTP/1.1\r\nhost: {foreign}\r\nx-forwarded-host: {foreign}\r\n{close}"),
            &[303],
        ),
        ("two hosts", format!("GET /v1/account HTTP/1.1\r\nhost: a\r\nhost: b\r\n{bearer}{close}"), &[200, 400]),
        ("1.0", format!("GET /v1/account HTTP/1.0\r\n{bearer}\r\n"), &[200, 400]),
        ("1.0 without a token", "GET /v1/account HTTP/1.0\r\n\r\n".into(), &[401, 400]),
        ("trace", format!("TRACE /v1/account HTTP/1.1\r\nhost: x\r\n{bearer}{close}"), &[404, 405]),
        ("track", format!("TRACK /v1/account HTTP/1.1\r\nhost: x\r\n{bearer}{close}"), &[404, 405]),
        ("debug", format!("DEBUG / HTTP/1.1\r\nhost: x\r\n{close}"), &[404, 405]),
        ("connect", format!("CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n{close}"), &[400, 404, 405]),
        ("options of all", format!("OPTIONS * HTTP/1.1\r\nhost: x\r\n{close}"), &[400, 404, 405]),
        ("small letters", format!("get /v1/account HTTP/1.1\r\nhost: x\r\n{bearer}{close}"), &[400, 404, 405]),
        (
            "an upgrade",
            format!(
                "GET /v1/account HTTP/1.1\r\nhost: x\r\n{bearer}upgrade: h2c\r\nconnection: upgrade, close\r\n\r\n"
            ),
            &[200, 400],
        ),
        (
            "a web socket",
            format!(
                "GET /v1/account HTTP/1.1\r\nhost: x\r\n{bearer}upgrade: websocket\r\nsec-websocket-key: AAAA\r\nsec-websocket-version: 13\r\nconnection: upgrade\r\n\r\n"
            ),
            &[200, 400],
        ),
    ] {
        let said = get(&head);
        let statuses = statuses(&said);
        assert!(statuses.len() == 1 && expected.contains(&statuses[0]), "{what}: {statuses:?}\n{said}");
        assert!(!said.contains(foreign), "{what}: {said}");
        assert!(!said.contains(&person.token), "{what} gives back what was sent");
    }
    // Not HTTP, or not of this world: closed or refused with 400 and the like, and nothing behind it is answered.
    let again = format!("GET /v1/instruments HTTP/1.1\r\nhost: x\r\n{close}");
    let mut cases: Vec<Vec<u8>> = vec![
        format!("GET /\r\n\r\n{again}").into(),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{again}").into(),
        format!("GET / HTTP/3.7\r\nhost: x\r\n\r\n{again}").into(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(),
        format!("GET /v1/account HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n{again}").into(),
        format!("GET /v1/account HTTP/1.1\r\nhost: x\r\nx y: b\r\n\r\n{again}").into(),
        format!("GET /v1/account HTTP/1.1\r\nhost: x\r\nnothing\r\n\r\n{again}").into(),
        format!("GET /v1/account HTTP/1.1\r\nhost: x\r\n folded: x\r\n\r\n{again}").into(),
        format!("GET  /v1/account  HTTP/1.1\r\nhost: x\r\n\r\n{again}").into(),
        format!("GET /v1/acc\0ount HTTP/1.1\r\nhost: x\r\n\r\n{again}").into(),
        format!("GET /v1/account\r\nx: y HTTP/1.1\r\nhost: x\r\n\r\n{again}").into(),
        format!("\0\0\0\0{again}").into(),
        vec![b'A'; 300_000],
        [b"GET /v1/account?".to_vec(), vec![b'a'; 300_000], b" HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()].concat(),
        [b"GET /v1/account HTTP/1.1\r\nhost: x\r\nx: ".to_vec(), vec![b'a'; 300_000], b"\r\n\r\n".to_vec()].concat(),
    ];
    let flood: String = (0..5_000).fold(String::new(), |mut heads, number| {
        let _ = write!(heads, "x-{number}: y\r\n");
        heads
    });
    cases.push(format!("GET /v1/account HTTP/1.1\r\nhost: x\r\n{flood}\r\n").into());
    let same: String = "cookie: a=b\r\n".repeat(200);
    cases.push(format!("GET /v1/account HTTP/1.1\r\nhost: x\r\n{same}\r\n").into());
    for case in &cases {
        let said = raw(&server, case);
        let shown = String::from_utf8_lossy(&case[..case.len().min(60)]).into_owned();
        let statuses = statuses(&said);
        assert!(statuses.len() <= 1, "{shown:?}: {statuses:?}");
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{shown:?}: {statuses:?} {said}");
    }
    // Not even a header that frameworks know makes one method into another, or one path.
    for name in ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"] {
        let value = if name.contains("url") { "/v1/sign-ins" } else { "DELETE" };
        server.request("GET", "/v1/sign-ins").token(&person.token).header(name, value).send().expect(200);
        server
            .request("POST", "/v1/sign-ins?_method=DELETE")
            .token(&person.token)
            .header(name, value)
            .json(&json!({}))
            .send()
            .expect(405);
    }
    server.get(&person, "/v1/account").expect(200);
}

#[test]
fn a_body_that_weighs_more_than_it_says_is_refused_unopened() {
    let server = Server::start();
    let post = || server.request("POST", "/v1/tokens");
    let good = json!({"sign_in_name": "somebody", "password": "plum orchard seven kites"}).to_string();
    for coding in [
        "gzip",
        "GZIP",
        "x-gzip",
        "br",
        "deflate",
        "zstd",
        "compress",
        "identity, gzip",
        "gzip, gzip",
        "gzip;q=1",
        "*",
        "",
    ] {
        let answer = post().header("content-encoding", coding).raw(&good).send();
        answer.expect(415);
    }
    post().header("content-encoding", "identity").raw(&good).send().expect(401);
    post().header("content-encoding", "identity").header("content-encoding", "gzip").raw(&good).send().expect(415);
    let deep = |open: &str, close: &str, depth: usize| {
        format!("{{\"sign_in_name\":{}{}}}", open.repeat(depth), close.repeat(depth))
    };
    let keys: String = (0..70_000).map(|number| format!("\"k{number}\":0,")).collect();
    let mut bodies: Vec<(&str, String, &[u16])> = vec![
        ("deep lists", deep("[", "]", 100_000), &[400, 422]),
        ("deep lists without an end", format!("{{\"sign_in_name\":{}", "[".repeat(500_000)), &[400, 422]),
        ("deep objects", deep("{\"a\":", "}", 100_000), &[400, 422]),
        (
            "a deep foreign field",
            format!("{{\"foreign\":{}{}}}", "[".repeat(300_000), "]".repeat(300_000)),
            &[400, 422],
        ),
        ("a long number", format!("{{\"sign_in_name\":{}}}", "9".repeat(1_000_000)), &[400, 422]),
        ("a long fraction", format!("{{\"sign_in_name\":0.{}}}", "9".repeat(1_000_000)), &[400, 422]),
        ("a large exponent", "{\"sign_in_name\":1e999999999}".to_owned(), &[400, 422]),
        ("many fields", format!("{{{keys}\"sign_in_name\":\"a\"}}"), &[422]),
        ("a long name of a field", format!("{{\"{}\":1}}", "k".repeat(1_000_000)), &[422]),
        ("a field twice", "{\"sign_in_name\":\"a\",\"sign_in_name\":\"b\",\"password\":\"c\"}".to_owned(), &[400, 422]),
        (
            "the same field, escaped",
            "{\"sign_in_name\":\"a\",\"sign\\u005fin_name\":\"b\",\"password\":\"c\"}".to_owned(),
            &[400, 422],
        ),
        ("half a letter", "{\"sign_in_name\":\"\\ud800\",\"password\":\"c\"}".to_owned(), &[400, 422]),
        ("a mark in front", format!("\u{feff}{good}"), &[400]),
        ("no number", "{\"sign_in_name\":NaN}".to_owned(), &[400]),
        ("a comment", format!("/* x */ {good}"), &[400]),
        ("a comma too many", good.replace('}', ",}"), &[400]),
        ("one byte too many", format!("{good}{}", " ".repeat(1024 * 1024 + 1 - good.len())), &[413]),
        ("as much as may be", format!("{good}{}", " ".repeat(1024 * 1024 - good.len())), &[401]),
        ("a long password", json!({"sign_in_name": "x", "password": "p".repeat(1_000_000)}).to_string(), &[401]),
        // One character that normalizes to eighteen.
        (
            "a password that swells",
            json!({"sign_in_name": "x", "password": "\u{fdfa}".repeat(340_000)}).to_string(),
            &[401],
        ),
        ("a name that swells", json!({"sign_in_name": "\u{fdfa}".repeat(254), "password": "x"}).to_string(), &[401]),
        ("a null in a name", "{\"sign_in_name\":\"a\\u0000b\",\"password\":\"c\"}".to_owned(), &[422]),
    ];
    bodies.push(("many values", format!("{{\"sign_in_name\":[{}0]}}", "0,".repeat(500_000)), &[422]));
    for (what, body, expected) in &bodies {
        let begun = Instant::now();
        let answer = post().raw(body).send();
        assert!(
            expected.contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            &answer.text[..answer.text.len().min(300)]
        );
        assert!(answer.text.len() < 4_000, "{what}: an answer of {} bytes", answer.text.len());
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} took {:?}", begun.elapsed());
    }
    // Bytes that are no text.
    let head = format!("{SIGN_IN}connection: close\r\ncontent-length: 28\r\n\r\n");
    let said = raw(&server, &[head.as_bytes(), b"{\"sign_in_name\":\"\xff\xfe\xc0\x80\xed\xa0\x80\"}xx"].concat());
    assert_eq!(statuses(&said), [400], "{said}");
    server.request("GET", "/health/live").send().expect(204);
}

#[test]
fn nothing_that_is_sent_becomes_a_header() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let lead = &world.led.lead;
    let bearer = format!("host: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n", lead.token);
    let members = world.led.path("/members");
    let injections = [
        "%0d%0aset-cookie:%20a=b",
        "%0aset-cookie:%20a=b",
        "%E5%98%8D%E5%98%8Aset-cookie:a",
        "%00",
        "\u{e9}",
        "%22%3e%3cx%3e",
        "\u{85}x",
    ];
    for injection in injections {
        for path in [
            format!("{members}?limit=1&state={injection}"),
            format!("{members}?limit=1&cursor={injection}"),
            format!("{members}?limit=1{injection}"),
            format!("{members}?limit=1&{injection}"),
            format!("{members}/{injection}"),
            format!("/v1/instruments/{injection}"),
            format!("/docs/{injection}"),
            format!("/{injection}"),
            format!("/v1/reference/crisis-lines?country={injection}"),
        ] {
            let said = raw(server, format!("GET {path} HTTP/1.1\r\n{bearer}\r\n").as_bytes());
            let (head, _) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
            assert!(!head.to_lowercase().contains("\nset-cookie"), "{path}: {head}");
            assert!(statuses(&said).iter().all(|status| *status < 500), "{path}: {said}");
        }
        for header in [
            "idempotency-key",
            "if-match",
            "accept",
            "accept-language",
            "origin",
            "x-request-id",
            "prefer",
            "range",
            "x-forwarded-for",
        ] {
            let head = format!(
                "POST {members} HTTP/1.1\r\n{bearer}content-type: application/json\r\n{header}: {injection}\r\ncontent-length: 2\r\n\r\n{{}}"
            );
            let said = raw(server, head.as_bytes());
            let (head, _) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
            assert!(!head.contains(injection) && !head.to_lowercase().contains("\nset-cookie"), "{header}: {head}");
            assert!(statuses(&said).iter().all(|status| *status < 500), "{header}: {said}");
        }
    }
    // What comes back in a Link is the query as it was sent, and leads to the same list.
    let said = server.get(lead, &format!("{members}?limit=1"));
    let link = said.header("link").expect("a link");
    assert!(link.starts_with(&format!("<{members}?limit=1&cursor=")) && link.ends_with(">; rel=\"next\""), "{link}");
    // Two of a header of which one counts.
    let twice = |name: &str, one: &str, two: &str| {
        let path = world.led.path(&format!("/members/{}/name", world.led.member.id));
        server
            .request("PUT", &path)
            .token(&lead.token)
            .header(name, one)
            .header(name, two)
            .json(&json!({"name": "Mira"}))
            .send()
    };
    let version = server.version(lead, &world.led.path(&format!("/members/{}", world.led.member.id)));
    twice("if-match", &version, "\"999\"").expect(412);
    let post = server.request("POST", &world.led.path("/members")).token(&lead.token);
    post.key("first-key-1").key("second-key").json(&json!({"name": "Twice"})).send().expect(400);
}

// Lines in the log.

#[test]
fn no_line_of_the_log_is_forged_and_none_holds_what_it_must_not() {
    use secrecy::ExposeSecret;
    let (location, _directory) = fresh_database();
    let here = std::env::temp_dir();
    let settings = |log: &str| {
        let mut command = program(&here);
        command.env("DATABASE_URL", location.url.expose_secret()).env("CIRCLEKEEPER_MASTER_KEY", MASTER);
        command.env("CIRCLEKEEPER_LOG", log);
        command
    };
    let made = settings("info")
        .args(["account", "create-administrator", "--organization", "Harbour Clinic"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&made.stdout).into_owned();
    let code = told
        .lines()
        .find_map(|line| line.strip_prefix("one-time code ")?.split(' ').next())
        .expect("a code")
        .to_owned();
    for (number, level) in ["info", "trace"].into_iter().enumerate() {
        let mut child = settings(level)
            .args(["serve", "--bind", "127.0.0.1:0", "--log-json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        let stderr = child.stderr.take().expect("stderr");
        let reader = std::thread::spawn(move || {
            let mut all = String::new();
            BufReader::new(stderr).read_to_string(&mut all).expect("text");
            all
        });
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let send = |method: &str, path: &str, token: &str, body: &Value| {
            let request = ureq::http::Request::builder()
                .method(method)
                .uri(format!("{url}{path}"))
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .header("user-agent", "evil\u{9b}31m {\"level\":\"ERROR\",\"forged\":true} marker-agent")
                .header("x-request-id", "marker-request-id")
                .header("traceparent", "00-marker-trace-01")
                .body(body.to_string())
                .expect("a request");
            let mut answer = agent.run(request).expect("an answer");
            let text = answer.body_mut().read_to_string().unwrap_or_default();
            serde_json::from_str::<Value>(&text).unwrap_or(Value::Null)
        };
        let name = "marker-sign-in-name";
        if number == 0 {
            let account = json!({
                "code": code, "sign_in_name": name, "password": "marker password seven kites", "name": "Marker Person",
                "email": "marker@mail.example"
            });
            send("POST", "/v1/accounts", "x", &account);
        }
        let body = json!({"sign_in_name": name, "password": "marker password seven kites", "device": "Marker device"});
        let tokens = send("POST", "/v1/tokens", "x", &body);
        let token = tokens["access_token"].as_str().expect("a token").to_owned();
        let refresh = tokens["refresh_token"].as_str().expect("a token").to_owned();
        send("POST", "/v1/tokens", "x", &json!({"sign_in_name": name, "password": "marker wrong password"}));
        let standings = send("GET", "/v1/account/standings", &token, &json!({}));
        let organization = standings["items"][0]["organization"].as_str().expect("an organization").to_owned();
        let group = json!({
            "kind": "therapist_led", "title": "Marker group", "public_description": "Marker description.", "format": "online",
            "language": "en", "zone": "UTC"
        });
        let group = send("POST", &format!("/v1/organizations/{organization}/groups"), &token, &group);
        send("POST", &format!("/v1/organizations/{organization}/groups"), &token, &json!({"kind": "marker-kind"}));
        send("GET", "/v1/marker-path%0d%0a%7b%22level%22%3a%22ERROR%22%7d?marker-query=%0a%1b[31m", &token, &json!({}));
        send("GET", "/v1/account", "marker.token.forged", &json!({}));
        send("POST", "/v1/tokens/refresh", &token, &json!({"refresh_token": refresh}));
        if let Ok(mut stream) = TcpStream::connect(url.trim_start_matches("http://")) {
            let _ = stream.write_all(
                b"MARKER /marker-raw\x1b[31m HTTP/1.1\r\nhost: x\r\nx: marker-raw\n\n{\"level\":\"ERROR\"}\r\n\r\n",
            );
        }
        let _ = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        child.wait().expect("it ends");
        let log = reader.join().expect("the log");
        assert!(log.lines().count() > 8, "{level}: hardly anything was logged: {log}");
        for line in log.lines() {
            let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{level}: no JSON: {line}"));
            assert!(
                entry["timestamp"].is_string() && entry["level"].is_string() && entry["forged"].is_null(),
                "{line}"
            );
            assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
        }
        let group = group["id"].as_str().expect("a group");
        let secrets =
            [code.as_str(), &token, &refresh, token.rsplit('.').next().unwrap(), group, &organization, "\"forged\""];
        for secret in secrets {
            assert!(
                !log.contains(secret),
                "{level}: the log holds {secret}: {}",
                log.lines().find(|line| line.contains(secret)).unwrap_or("")
            );
        }
        let lower = log.to_lowercase();
        assert!(
            !lower.contains("marker"),
            "{level}: {}",
            lower.lines().find(|line| line.contains("marker")).unwrap_or("")
        );
    }
}

// Input that costs more than it weighs.

/// How much longer work takes on four times the input, as the ratio of the shortest times; 4 where it grows with the
/// input, 16 with its square. The least of three tries, each with both sizes in turn: a busy machine makes work longer,
/// and never shorter.
fn growth(make: impl Fn(usize) -> String, size: usize, work: impl Fn(&str)) -> f64 {
    let (small, large) = (make(size), make(size * 4));
    let timed = |text: &str| {
        let begun = Instant::now();
        work(black_box(text));
        begun.elapsed().as_secs_f64()
    };
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let (mut first, mut second) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..9 {
            first = first.min(timed(&small));
            second = second.min(timed(&large));
        }
        least = least.min(second / first.max(1e-7));
        if least < 8.0 {
            break;
        }
    }
    least
}

#[test]
fn no_text_costs_more_than_its_length() {
    let repeated = |text: &'static str| move |size: usize| text.repeat(size / text.len() + 1);
    let crisis = |text: &str| {
        black_box(notice_for([text], "en"));
    };
    let mut found: Vec<(String, f64)> = Vec::new();
    // Words that begin a pattern and never end one, links that lead back, idioms that take back, letters that part.
    for text in [
        "not ",
        "i do not want to ",
        "kill ",
        "want to die of laughter and ",
        "do not want to die and ",
        "i will never kill myself or ",
        "end my ",
        "killing time ",
        "aaaa",
        "a",
        "'a",
        "\u{fdfa}",
        "e\u{301}\u{301}\u{301}",
        ". ",
        "- ",
        "no no no no die ",
    ] {
        found.push((format!("crisis wording, {text:?}"), growth(repeated(text), 3_000, crisis)));
    }
    let mut add = |what: &str, ratio: f64| found.push((what.to_owned(), ratio));
    add("normalization", growth(repeated("\u{fdfa}"), 30_000, |text| drop(black_box(normalized(text)))));
    add("combining marks", growth(repeated("\u{301}\u{323}"), 30_000, |text| drop(black_box(normalized(text)))));
    add("a text", growth(repeated("a "), 200_000, |text| drop(black_box(Prose::new(text)))));
    add(
        "Accept",
        growth(repeated("text/html;q=0.1,"), 50_000, |text| {
            black_box(weight(Some(text), "text/csv"));
        }),
    );
    add("a language", growth(repeated("en-"), 50_000, |text| drop(black_box(check_language(text, "/language")))));
    add("an id", growth(repeated("0-"), 50_000, |text| drop(black_box(text.parse::<Id>()))));
    add("a local time", growth(repeated("2026-"), 50_000, |text| drop(black_box(instant(text, "UTC")))));
    add("a zone", growth(repeated("Europe/"), 50_000, |text| drop(black_box(instant("2026-03-29T18:30", text)))));
    add(
        "a moment",
        growth(repeated("2026-01-01T00:00:00"), 50_000, |text| {
            drop(black_box(serde_json::from_value::<Moment>(json!(text))));
        }),
    );
    add(
        "a code",
        growth(repeated("0l-"), 50_000, |text| drop(black_box(circlekeeper::store::invitations::read_code(text)))),
    );
    add(
        "a text pack",
        growth(repeated("[{\"a\":"), 50_000, |text| {
            drop(black_box(Registry::built_in().with_texts(&[("pack".to_owned(), text.to_owned())])));
        }),
    );
    let worst = found.iter().map(|(_, ratio)| *ratio).fold(0.0, f64::max);
    println!("four times the input takes at most {worst:.1} times the time: {found:.1?}");
    for (what, ratio) in &found {
        assert!(*ratio < 12.0, "{what}: four times the input takes {ratio:.1} times the time");
    }
}

#[test]
fn a_password_is_judged_in_bounded_time() {
    // The one place where an expression with look-around sees input: at most 128 characters reach it.
    let mut slowest = (Duration::ZERO, String::new());
    let words = ["aaaa", "abcd", "qwertyuiop", "p4ssw0rd", "19871987", "@bc1!", "1/1/11", "zxcvbn1", "l33tl33t", "a1"];
    for word in words {
        let longest: String = word.chars().cycle().take(128).collect();
        let begun = Instant::now();
        let _ = check_new_password(&longest, "/password", &["quillon.vestergaard", "Quillon"]);
        slowest = slowest.max((begun.elapsed(), word.to_owned()));
        // Beyond, it is refused by its length alone.
        let begun = Instant::now();
        assert!(check_new_password(&word.repeat(250_000 / word.len()), "/password", &[]).is_err());
        assert!(begun.elapsed() < Duration::from_millis(500), "{word}: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    assert!(check_new_password(&"\u{fdfa}".repeat(300_000), "/password", &[]).is_err());
    assert!(begun.elapsed() < Duration::from_millis(50), "it was normalized first: {:?}", begun.elapsed());
    println!("the slowest password of 128 characters took {slowest:?}");
    assert!(slowest.0 < Duration::from_secs(5), "{slowest:?}");
}

// Whatever comes in: the short form of the programs in `fuzz/`.

/// JSON of any shape, with the names that bodies have.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("sign_in_name".to_owned()),
        Just("password".to_owned()),
        Just("text".to_owned()),
        Just("member".to_owned()),
        Just("items".to_owned()),
        Just("item".to_owned()),
        Just("resourceType".to_owned()),
        Just("answer".to_owned()),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!(Id::random())),
        Just(json!("QuestionnaireResponse")),
        Just(json!("2026-03-29T02:30")),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..5).prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_a_reader(text in ".{0,200}", other in "[ -~]{0,60}", json in any_json()) {
        let (weighed, closeness) = weight(Some(&text), "text/csv");
        prop_assert!(weighed <= 1000 && closeness <= 2);
        let _ = weight(Some(&other), "application/json");
        let _ = instant(&text, &other);
        let _ = instant("2026-03-29T02:30", &other);
        let _ = check_language(&text, "/language");
        let _ = notice_for([text.as_str(), other.as_str()], &other);
        let _ = text.parse::<Id>();
        let _ = serde_json::from_value::<Moment>(json!(text));
        let _ = Prose::new(&text).map(|prose| assert_eq!(Prose::new(prose.as_str()), Ok(prose.clone())));
        // A code that was read is read the same again.
        let code = circlekeeper::store::invitations::read_code(&text);
        prop_assert_eq!(circlekeeper::store::invitations::read_code(&code), code);
        let _ = Registry::built_in().with_texts(&[("pack".to_owned(), json.to_string())]);
        if let Ok(response) = serde_json::from_value(json) {
            let _ = circlekeeper::rules::fhir::read_response(&response, Registry::built_in());
        }
    }

    #[test]
    fn no_wall_time_is_off_by_more_than_a_gap(day in 1_i8..=28, month in 1_i8..=12, hour in 0_i8..24, minute in 0_i8..60) {
        // Whatever a zone does to a day, a wall time is an instant, and in order but for the hours that a zone jumps over.
        for zone in ["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Pacific/Apia", "UTC"] {
            let local = format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}");
            let at = instant(&local, zone).expect("a wall time");
            let utc = instant(&local, "UTC").expect("a wall time");
            prop_assert!((at.0 - utc.0).abs() <= 15 * 3_600_000, "{local} in {zone}");
        }
    }
}

#[test]
fn no_request_that_anybody_can_write_is_a_failure_inside() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let people = [&world.led.lead, &world.led.member.person, &world.peer.lead, &world.administrator];
    let operations: Vec<_> = operations()
        .into_iter()
        // What would end the cast, or the records, of the requests that follow.
        .filter(|operation| {
            operation.method != "DELETE" && !operation.id.contains("sign_in") && !operation.id.contains("erase")
        })
        .collect();
    let header = prop_oneof![
        "[!-~]{0,40}",
        "\"[0-9]{0,20}\"",
        Just("*".to_owned()),
        Just("W/\"1\"".to_owned()),
        Just("\"1\", \"2\"".to_owned()),
        Just("text/*;q=0.0001, */*;q=nan".to_owned()),
    ];
    let query = prop_oneof![
        "(limit|cursor|member|session|state|since|from|until|format)=[!-~&&[^#<>\"]]{0,30}",
        "cursor=[A-Za-z0-9_-]{0,80}",
        // A cursor of somebody's own making.
        any_json().prop_map(|json| format!(
            "cursor={}",
            BASE64URL_NOPAD.encode(json!(["AAAAAAAA", json]).to_string().as_bytes())
        )),
    ];
    let asked = (0..operations.len(), 0..people.len(), any_json(), query, header.clone(), header, any::<bool>());
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let ran = runner.run(&asked, |(index, who, body, query, version, key, is_example)| {
        let operation = &operations[index];
        let (_, path) = scene.allowed(operation);
        let body = match &operation.example {
            Some(example) if is_example => {
                // One field of it is something else.
                let mut example = example.clone();
                if let Some((_, field)) = example.as_object_mut().and_then(|fields| fields.iter_mut().next()) {
                    *field = body;
                }
                example
            }
            _ => body,
        };
        let request = server
            .request(&operation.method, &format!("{path}?{query}"))
            .token(&people[who].token)
            .header("if-match", &version)
            .header("idempotency-key", &key)
            .header("accept", &version);
        let answer = if operation.takes_body() { request.json(&body).send() } else { request.send() };
        prop_assert!(answer.status < 500, "{} {path}?{query} {body}: {}", operation.method, answer.text);
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
}

// What holds everywhere.

#[test]
fn every_answer_wears_its_safety_headers() {
    let server = Server::start();
    let person = server.account("Dressed");
    let answers = [
        server.get(&person, "/v1/account"),
        server.get(&person, "/v1/nothing"),
        server.request("GET", "/v1/account").send(),
        server.request("POST", "/v1/tokens").raw("{").send(),
        server.request("POST", "/v1/account").send(),
        server.request("GET", "/v1/account").header("accept", "text/csv").token(&person.token).send(),
        server.request("GET", "/docs/").send(),
        server.request("GET", "/openapi.json").send(),
        server.request("GET", "/health/live").send(),
        server.request("GET", "/no-such-page").send(),
        server.request("OPTIONS", "/v1/account").header("origin", "https://evil.example").send(),
        server.request("GET", "/v1/account").header("origin", "null").token(&person.token).send(),
    ];
    for answer in &answers {
        let policy = answer.header("content-security-policy").expect("a content policy");
        for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{part} is not in {policy}");
        }
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{name}: {answer:?}");
        }
        for name in
            ["set-cookie", "server", "x-powered-by", "access-control-allow-origin", "access-control-allow-credentials"]
        {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
    // Figures of the server go to the machine itself, whatever a proxy says or leaves out.
    for name in ["x-forwarded-for", "forwarded"] {
        server.request("GET", "/metrics").header(name, "127.0.0.1").send().expect(404);
    }
}

/// The sources of the program, as one text for each file.
fn sources(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap_or_default())),
        }
    }
}

#[test]
fn the_server_itself_asks_nobody() {
    let mut found = Vec::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    for (name, text) in &found {
        for client in ["TcpStream", "UdpSocket", "UnixStream", "reqwest", "hyper", "ureq", "awc::", "lettre"] {
            assert!(
                !text.contains(client),
                "{name} holds {client}: say in docs/security.md whom the server asks, and why"
            );
        }
        // The programs of PostgreSQL, for whoever keeps its database, and the command that says the master keys.
        let is_known = ["backup.rs", "master_keys.rs"].iter().any(|known| name.ends_with(known));
        assert!(is_known || !text.contains("process::Command"), "{name} runs a program: say so in docs/security.md");
    }
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("the manifest");
    let (shipped, _) = manifest.split_once("[dev-dependencies]").expect("both");
    for client in ["reqwest", "hyper", "ureq", "awc", "lettre", "redis"] {
        assert!(!shipped.lines().any(|line| line.starts_with(client)), "{client}");
    }
}

#[test]
fn no_unsafe_code_stands_in_the_sources() {
    let mut found = Vec::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    for (name, text) in &found {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            assert!(
                !line.contains("unsafe {") && !line.contains("unsafe fn") && !line.contains("unsafe impl"),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn every_test_that_the_page_on_security_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let mut named = 0;
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, _, tests, _] = cells[..] else { panic!("three columns: {line}") };
        // Names in the last column alone; the first table has none there.
        for test in tests.split('`').skip(1).step_by(2) {
            let Some((file, name)) = test.split_once("::") else { continue };
            let text = std::fs::read_to_string(root.join(format!("tests/api/{file}.rs"))).expect("a file of tests");
            assert!(text.contains(&format!("fn {name}(")), "{test} is named in docs/security.md and is not there");
            named += 1;
        }
    }
    assert!(named > 100, "{named} tests are named");
    for item in
        (1..=10).map(|number| format!("| API{number} ")).chain((1..=17).map(|chapter| format!("| **V{chapter} ")))
    {
        assert!(page.contains(&item), "{item} is missing");
    }
}
