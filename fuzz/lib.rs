//! The server in this process, on a database of its own, with somebody who stands in it: what the programs ask.

use std::{cell::RefCell, pin::Pin, rc::Rc};

use actix_web::{App, body::to_bytes, dev::Service, test};
use circlekeeper::{
    config::ServerConfig,
    identity::{Caller, Tokens},
    server::Parts,
    store::{
        accounts::{self, Profile},
        connection::{Clock, Db, Location},
        migrations, organizations,
        sealing::Masters,
        sign_ins::{self, Lifetimes},
    },
    values::Id,
};
use secrecy::SecretString;
use serde_json::{Value, json};

/// One method and path of the contract, with its parameters in braces, and its example.
pub struct Operation {
    pub method: String,
    pub path: String,
    pub example: Option<Value>,
}

/// A database with an organization, a group of each kind, and an account that administers and leads them.
pub struct World {
    pub db: Db,
    pub file: std::path::PathBuf,
    pub caller: Caller,
    pub token: String,
    pub ids: Vec<String>,
    pub operations: Vec<Operation>,
    runtime: actix_web::rt::SystemRunner,
    service: Ask,
    _directory: tempfile::TempDir,
}

type Ask = Box<dyn Fn(actix_http::Request) -> Pin<Box<dyn Future<Output = Answer>>>>;

/// What a request came to.
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl World {
    pub fn new() -> World {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("fuzz.db");
        let location = Location { url: format!("sqlite:{}", file.display()).into(), connections: 2 };
        migrations::run(&location).expect("the migrations run");
        let masters = Masters::read(&SecretString::from(Masters::generate())).expect("a master key");
        let db = Db::open(&location, masters, Clock::default()).expect("the database opens");
        let config = ServerConfig { hashing: Some(1), access_minutes: 60 * 24, ..ServerConfig::default() };
        let parts = Parts::new(&db, &config);
        let runtime = actix_web::rt::System::new();
        let key = db.installation().index("sign-in", "fuzz");
        let caller = runtime
            .block_on(db.write(move |connection| {
                let profile = Profile { name: "Fuzz", email: None, country: None, language: "en", zone: "UTC" };
                let id = accounts::insert(connection, "fuzz", key, "no hash", &profile)?;
                let lifetimes = Lifetimes { idle_minutes: 60 * 24, longest_hours: 24 };
                Ok(sign_ins::insert(connection, id, None, false, lifetimes)?.caller)
            }))
            .expect("an account");
        let token = Tokens::new(db.token_secrets(), db.clock.clone(), 60 * 24).sign(caller, db.clock.now());
        let contract: Value = serde_json::from_str(&circlekeeper::server::contract()).expect("JSON");
        let mut operations = Vec::new();
        for (path, methods) in contract["paths"].as_object().expect("paths") {
            for (method, page) in methods.as_object().expect("methods") {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    example: page.pointer("/requestBody/content/application~1json/example").cloned(),
                });
            }
        }
        // What would end the one sign-in that there is.
        operations
            .retain(|operation| !operation.path.contains("/sign-ins") && !operation.path.contains("/account/password"));
        operations.retain(|operation| operation.method != "DELETE" && !operation.path.ends_with("/account/closing"));
        let service = runtime.block_on(service(parts));
        let mut world =
            World { db, file, caller, token, ids: Vec::new(), operations, runtime, service, _directory: directory };
        world.fill();
        world
    }

    fn fill(&mut self) {
        let (organization, code, _) =
            self.runtime.block_on(self.db.write(|connection| organizations::found(connection, "Fuzz"))).expect("one");
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let post = |path: &str, body: Value| {
            let answer = self.send("POST", path, &headers, body.to_string().as_bytes());
            serde_json::from_str::<Value>(&answer.text).unwrap_or_default()
        };
        post("/v1/account/standings", json!({"code": code}));
        let mut ids = vec![organization.to_string()];
        for kind in ["therapist_led", "peer_led"] {
            let group = post(
                &format!("/v1/organizations/{organization}/groups"),
                json!({
                    "kind": kind, "title": "Fuzz", "public_description": "Evenings.", "format": "online",
                    "language": "en", "zone": "Europe/Berlin"
                }),
            );
            let group = group["id"].as_str().expect("a group").to_owned();
            let standing = if kind == "peer_led" { "facilitator" } else { "therapist" };
            let term = post(&format!("/v1/groups/{group}/terms"), json!({"standing": standing}));
            post("/v1/account/standings", json!({"code": term["code"]}));
            let session = json!({"starts_local": "2026-03-29T02:30", "zone": "Europe/Berlin", "minutes": 60});
            let session = post(&format!("/v1/groups/{group}/sessions"), session);
            ids.extend(session["id"].as_str().map(str::to_owned));
            ids.push(group);
        }
        ids.extend([self.caller.account.to_string(), Id::random().to_string()]);
        self.ids = ids;
    }

    /// Sends a request through all that the server does with it, but for the socket.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        // What cannot be a target or a header does not arrive here at all.
        let Ok(target) = path.parse::<actix_web::http::Uri>() else {
            return Answer { status: 400, text: String::new() };
        };
        let mut request = test::TestRequest::default()
            .method(method.parse().unwrap_or_default())
            .uri(&target.to_string())
            .peer_addr(std::net::SocketAddr::from(([127, 0, 0, 1], 9)));
        for (name, value) in headers {
            if let Ok(value) = actix_web::http::header::HeaderValue::from_str(value) {
                request = request.append_header((*name, value));
            }
        }
        let request = request.set_payload(body.to_vec()).to_request();
        self.runtime.block_on((self.service)(request))
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

/// All routes with their handlers, as one function.
async fn service(parts: Parts) -> Ask {
    let app = Rc::new(test::init_service(App::new().configure(move |app| parts.configure(app))).await);
    Box::new(move |request| {
        let app = app.clone();
        Box::pin(async move {
            match app.call(request).await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let bytes = to_bytes(response.into_body()).await.unwrap_or_default();
                    Answer { status, text: String::from_utf8_lossy(&bytes).into_owned() }
                }
                Err(error) => Answer { status: error.as_response_error().status_code().as_u16(), text: String::new() },
            }
        })
    })
}

/// Works with the one world of this process. It is never taken down: at the end of the process its server would look for
/// what is gone already.
pub fn with_world<T>(work: impl FnOnce(&World) -> T) -> T {
    thread_local! {
        static WORLD: RefCell<Option<&'static World>> = const { RefCell::new(None) };
    }
    let world = WORLD.with_borrow_mut(|world| *world.get_or_insert_with(|| Box::leak(Box::new(World::new()))));
    work(world)
}

/// Texts out of bytes, parted by zeros; whatever is no text is left out.
pub fn texts(data: &[u8]) -> Vec<&str> {
    data.split(|byte| *byte == 0).map(|part| std::str::from_utf8(part).unwrap_or_default()).collect()
}
