//! The contract: the served document, the examples in it, and how a request is answered that nobody can read.

use std::collections::{BTreeMap, BTreeSet};

use circlekeeper::{
    policy::{Area, Standing},
    server,
    values::Id,
};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    operations::{self, Operation, operations},
    scene::{Scene, text},
    world,
};

const LIMIT: usize = 1024 * 1024;

/// The version of what a path changes: of itself, of its versions, or of what it is a part of.
pub fn version(server: &Server, who: &Person, path: &str) -> Option<String> {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let candidates = [path.to_owned(), format!("{path}/versions"), parent.to_owned()];
    candidates.iter().find_map(|candidate| server.get(who, candidate).header("etag"))
}

/// A scene in which every change finds a record that can still be changed.
pub struct Stage {
    pub scene: Scene,
    /// A session that was not held, and an entry that is not signed: `(of the scene, for a change)`.
    session: (String, String),
    entry: (String, String),
    term: (String, String),
}

impl Stage {
    pub fn new() -> Stage {
        let scene = Scene::new();
        let (server, led) = (&scene.world.server, &scene.world.led);
        let first = |kind: &str| scene.led.any(kind).expect("a record").id.clone();
        let session = text(&world::plan(server, &led.lead, &led.id)["id"]);
        let body = json!({"member": led.member.id, "occurred_at": server.db.clock.now(), "text": "A draft."});
        let entry = server.post(&led.lead, &led.path("/progress-entries"), &body).made();
        let others = scene.led.foreign("term", led.lead.id, Standing::Therapist).expect("a term").id.clone();
        server.post(&led.lead, "/v1/account/second-factor", &json!({})).expect(201);
        let (session, entry) = ((first("session"), session), (first("entry"), entry));
        Stage { session, entry, term: (first("term"), others), scene }
    }

    /// Somebody who may, and the path to a record that can be changed.
    pub fn allowed(&self, operation: &Operation) -> (Person, String) {
        let (who, mut path) = self.scene.allowed(operation);
        let changed = match operation.id.as_str() {
            "change_session" | "write_agenda" | "cancel_session" => Some(&self.session),
            "change_progress_entry" => Some(&self.entry),
            // Whoever asks goes on asking.
            "end_term" => Some(&self.term),
            _ => None,
        };
        if let Some((kept, changeable)) = changed {
            path = path.replace(kept, changeable);
        }
        (who, path)
    }

    /// Sends something as a body, as somebody who may, in the version that is there.
    fn send(&self, operation: &Operation, content_type: Option<&str>, body: &str) -> Answer {
        let server = &self.scene.world.server;
        let (who, path) = self.allowed(operation);
        // Some examples end every sign-in of who sends them.
        let who = server.again(&who);
        let mut request = server.request(&operation.method, &path).token(&who.token);
        if let Some(version) = version(server, &who, &path).filter(|_| operation.needs_version) {
            request = request.version(&version);
        }
        request.body(content_type, body).send()
    }
}

#[test]
fn the_served_document_is_the_committed_one() {
    let server = Server::start();
    let served = server.request("GET", "/openapi.json").send().expect(200);
    let contract = server::contract();
    assert_eq!(served, serde_json::from_str::<Value>(&contract).expect("JSON"));
    assert_eq!(served["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    expect_file!["../../docs/openapi.json"].assert_eq(&format!("{contract}\n"));
}

#[test]
fn every_operation_is_described() {
    let document: Value = serde_json::from_str(&server::contract()).expect("JSON");
    let mut ids = BTreeSet::new();
    for operation in operations::read(&document) {
        let place = format!("{} {}", operation.method, operation.path);
        assert!(ids.insert(operation.id.clone()), "{place}: {} stands there twice", operation.id);
        assert!(operation.summary.len() > 5 && !operation.summary.ends_with('.'), "{place}: {}", operation.summary);
        assert_eq!(operation.area, operation.action.area(), "{place}");
        assert!(operation.path.starts_with("/v1/"), "{place}");
        assert!(operation.statuses.iter().any(|status| *status < 300), "{place} succeeds with nothing");
        let page = &document["paths"][&operation.path][operation.method.to_lowercase()];
        let declared: Vec<&str> = page["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(declared, operation.parameters(), "{place}");
        assert!(page.get("requestBody").is_none() || operation.takes_body(), "{place}: a body without an example");
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    let document: Value = serde_json::from_str(&server::contract()).expect("JSON");
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        let name = reference.strip_prefix("#/components/schemas/").expect("a reference to a schema");
        assert!(schemas.contains_key(name), "{reference} leads nowhere");
    }
    for name in schemas.keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "nothing leads to {name}");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_example_can_be_read() {
    let stage = Stage::new();
    // The words of serde for a body that does not fit: a refusal by a rule uses its own.
    let misfits =
        ["missing field", "unknown field", "unknown variant", "invalid type", "invalid length", "invalid value"];
    let world = &stage.scene.world;
    for operation in operations().iter().filter(|operation| operation.takes_body()) {
        let mut body = operation.example.clone().expect("an example");
        let replacements = [
            ("member", world.led.member.id.clone()),
            ("account", world.led.lead.id.to_string()),
            ("to_group", world.other.id.clone()),
        ];
        for (name, id) in replacements
            .iter()
            .filter(|(name, _)| operation.example.as_ref().is_some_and(|example| example.get(name).is_some()))
        {
            body[*name] = json!(id);
        }
        let answer = stage.send(operation, Some("application/json"), &body.to_string());
        let what = format!("{} {}: {} {}", operation.method, operation.path, answer.status, answer.text);
        // The credentials in an example are nobody's.
        let is_refused_sign_in = answer.status == 401 && operation.area == Area::Public;
        let is_read = !matches!(answer.status, 400 | 401 | 403 | 404 | 412 | 415 | 428);
        assert!(is_read || is_refused_sign_in, "{what}");
        assert!(answer.status != 422 || !misfits.iter().any(|misfit| answer.text.contains(misfit)), "{what}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_alike_everywhere() {
    let stage = Stage::new();
    let large = format!("{{\"text\":\"{}\"}}", "a".repeat(LIMIT));
    for operation in operations().iter().filter(|operation| operation.takes_body()) {
        let twice = format!("{0} {0}", operation.example.as_ref().expect("an example"));
        let cases = [
            (Some("application/json"), "{", 400),
            (Some("application/json"), "", 400),
            (Some("application/json"), twice.as_str(), 400),
            (Some("application/json"), "nonsense", 400),
            (Some("application/json"), "{\"no_such_field\": \"\u{fffd}\"}", 422),
            (Some("text/plain"), "{}", 415),
            (Some("application/x-www-form-urlencoded"), "a=b", 415),
            (None, "{}", 415),
            (Some("application/json"), large.as_str(), 413),
        ];
        for (content_type, body, status) in cases {
            let answer = stage.send(operation, content_type, body);
            let shown: String = body.chars().take(20).collect();
            let what =
                format!("{} {} with {shown} as {content_type:?}: {}", operation.method, operation.path, answer.text);
            assert_eq!(answer.status, status, "{what}");
        }
    }
}

#[test]
fn a_broken_request_without_a_token_is_told_to_sign_in() {
    let server = Server::start();
    for operation in operations().iter().filter(|operation| operation.statuses.contains(&403)) {
        let path = operation.path_with(|_| Id::random().to_string());
        let answer = server.request(&operation.method, &format!("{path}?limit=no")).raw("{").send();
        assert_eq!(answer.status, 401, "{} {}", operation.method, operation.path);
        assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
    }
}

#[test]
fn a_query_that_cannot_be_read_is_refused() {
    let scene = Scene::new();
    let server = &scene.world.server;
    let mut asked = 0;
    for operation in operations().iter().filter(|operation| operation.is_read()) {
        let (who, path) = scene.allowed(operation);
        for name in &operation.queries {
            let values: &[&str] = match name.as_str() {
                "limit" => &["0", "201", "-1", "many", "1.5", ""],
                "cursor" => &["x", "AAAA", "%00", ""],
                "instrument" | "country" | "condition" | "language" => continue,
                _ => &["no-such-thing", "%00"],
            };
            for value in values {
                let answer = server.get(&who, &format!("{path}?{name}={value}"));
                assert_eq!(answer.status, 400, "{}?{name}={value}: {}", operation.path, answer.text);
                assert!(answer.text.contains(name.as_str()), "{}?{name}={value}: {}", operation.path, answer.text);
                asked += 1;
            }
        }
        // Mistyped, a filter must not fall away in silence.
        let answer = server.get(&who, &format!("{path}?no_such_thing=1"));
        assert_eq!(answer.status, 400, "{}: {}", operation.path, answer.text);
        let names_all = operation.queries.iter().all(|name| answer.text.contains(name.as_str()));
        assert!(names_all, "{}: {}", operation.path, answer.text);
    }
    assert!(asked > 50, "{asked} queries");
}

#[test]
fn head_answers_like_get_without_a_body() {
    let scene = Scene::new();
    let server = &scene.world.server;
    for operation in operations().iter().filter(|operation| operation.is_read()) {
        let (who, path) = scene.allowed(operation);
        let got = server.get(&who, &path);
        let head = server.request("HEAD", &path).token(&who.token).send();
        assert_eq!((got.status, head.status), (200, 200), "{path}: {}", got.text);
        assert_eq!(head.text, "", "{path}");
        for name in ["content-type", "etag"] {
            assert_eq!(head.header(name), got.header(name), "{name} of {path}");
        }
        // Not the cursor in it: reading the access log makes the log longer.
        assert_eq!(head.header("link").is_some(), got.header("link").is_some(), "{path}");
        let media = match operation.path.rsplit('/').next() {
            _ if path.starts_with("/v1/feeds/") => "text/calendar; charset=utf-8",
            Some("questionnaire" | "questionnaire-response") => "application/fhir+json",
            _ => "application/json",
        };
        assert_eq!(got.header("content-type").as_deref(), Some(media), "{path}");
        assert_eq!(got.header("cache-control").as_deref(), Some("no-store"), "{path}");
    }
}

#[test]
fn another_method_is_refused_with_those_that_there_are() {
    let server = Server::start();
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in operations() {
        let known = methods.entry(operation.path.clone()).or_default();
        if operation.is_read() {
            known.insert("HEAD".into());
        }
        known.insert(operation.method);
    }
    for (template, known) in methods {
        let path: Vec<String> = template
            .split('/')
            .map(|part| if part.starts_with('{') { Id::random().to_string() } else { part.to_owned() })
            .collect();
        let path = path.join("/");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"].into_iter().filter(|method| !known.contains(*method)) {
            let answer = server.request(method, &path).send();
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
            let allow = answer.header("allow").expect("Allow");
            assert_eq!(allow.split(", ").map(str::to_owned).collect::<BTreeSet<_>>(), known, "{method} {path}");
        }
    }
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let scene = Scene::new();
    let server = &scene.world.server;
    let who = &scene.world.led.lead;
    let paths = [
        "/",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v2/groups",
        "/nothing.html",
        "/v1/groups/1",
        "/v1/groups/not-a-uuid/members",
        "/v1/groups/%00",
        "/v1/groups/%ff%fe",
        "/v1/groups//members",
        "/v1/instruments/no-such-instrument",
        "/v1/instruments/%2e%2e%2fsecrets",
        "/openapi.json/x",
        "/health",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE"] {
            let answer = server.request(method, path).token(&who.token).send();
            let is_refused = answer.status == 404 || (method != "GET" && answer.status == 405);
            assert!(is_refused, "{method} {path}: {} {}", answer.status, answer.text);
        }
    }
    assert_eq!(server.get(who, &format!("/v1/groups/{}", "x".repeat(4000))).status, 404);
}

#[test]
fn the_pages_beside_the_contract_refuse_as_problems_too() {
    let server = Server::start();
    for path in ["/openapi.json", "/health/live", "/health/ready", "/metrics", "/docs"] {
        assert!(server.request("GET", path).send().status < 400, "{path}");
        // The harness holds every failure against RFC 9457.
        let status = server.request("POST", path).raw("{}").send().status;
        assert!(matches!(status, 404 | 405), "POST {path}: {status}");
    }
    assert_eq!(server.request("GET", "/docs/no-such-file.js").send().status, 404);
}
