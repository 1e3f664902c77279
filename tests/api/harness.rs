//! A server of its own for each test, on a fresh database, and a client that speaks to it over HTTP.

use std::{sync::OnceLock, thread::JoinHandle};

use circlekeeper::{
    config::ServerConfig,
    identity::{Caller, Tokens, hash_password},
    problem::Problem,
    server,
    store::{
        accounts::{self, Profile},
        connection::{Clock, Connection, Db, Location},
        master_keys::LiveMasters,
        migrations,
        sealing::Masters,
        sign_ins::{self, Lifetimes},
    },
    values::Id,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// The master key of all tests, so that a test can open a database a second time.
pub const MASTER: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The password of every account that [`Server::account`] makes.
pub const PASSWORD: &str = "plum orchard seven kites";

pub fn masters() -> Masters {
    Masters::read(&SecretString::from(MASTER.to_owned())).expect("the tests' master key")
}

/// A running server with its database.
pub struct Server {
    pub url: String,
    pub db: Db,
    pub location: Location,
    tokens: Tokens,
    agent: ureq::Agent,
    handle: actix_web::dev::ServerHandle,
    thread: Option<JoinHandle<()>>,
    #[allow(dead_code, reason = "held for its drop: the database lives in it")]
    directory: Option<tempfile::TempDir>,
}

/// An account of a test, signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: Id,
    pub name: String,
    pub sign_in_name: String,
    pub token: String,
    pub caller: Caller,
}

/// What a request came to.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    /// The JSON body; null where there is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    /// Whatever fails, in whatever test, fails as problem details (RFC 9457).
    #[track_caller]
    fn assert_problem(&self) {
        assert_eq!(self.header("content-type").as_deref(), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        let is_whole = body["type"].as_str().is_some_and(|kind| kind.starts_with("urn:circlekeeper:problem:"))
            && body["title"].as_str().is_some_and(|title| !title.is_empty())
            && body["status"] == self.status;
        assert!(is_whole, "{self:?}");
    }

    pub fn etag(&self) -> String {
        self.header("etag").expect("an ETag")
    }

    /// The body, once the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The id in the body of what was made.
    #[track_caller]
    pub fn made(self) -> String {
        let body = self.expect(201);
        body["id"].as_str().expect("an id").to_owned()
    }

    /// Refused by a rule, with this field named.
    #[track_caller]
    pub fn refuses(self, pointer: &str) -> Value {
        let body = self.expect(422);
        let named =
            body["errors"].as_array().is_some_and(|errors| errors.iter().any(|error| error["pointer"] == pointer));
        assert!(named, "{pointer} is not named in {body}");
        body
    }
}

/// A request that is being written.
pub struct Request<'a> {
    server: &'a Server,
    method: &'a str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Request<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With this version in `If-Match`.
    pub fn version(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw(&body.to_string())
    }

    /// A body as it stands, said to be JSON.
    pub fn raw(self, body: &str) -> Self {
        self.body(Some("application/json"), body)
    }

    /// A body, said to be this.
    pub fn body(mut self, content_type: Option<&str>, body: &str) -> Self {
        self.body = Some(body.to_owned());
        match content_type {
            Some(content_type) => self.header("content-type", content_type),
            None => self,
        }
    }

    pub fn send(self) -> Answer {
        let mut request =
            ureq::http::Request::builder().method(self.method).uri(format!("{}{}", self.server.url, self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = match self.body {
            Some(body) => self.server.agent.run(request.body(body).expect("a request")),
            None => self.server.agent.run(request.body(()).expect("a request")),
        };
        let mut response = response.expect("an answer");
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.body_mut().read_to_string().unwrap_or_default(),
        };
        if answer.status >= 400 && self.method != "HEAD" {
            answer.assert_problem();
        }
        answer
    }
}

/// A migrated database to copy from, so that a test does not run the migrations again.
fn embedded_template() -> &'static std::path::Path {
    static TEMPLATE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = TEMPLATE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("template.db");
        migrations::run(&embedded(&file)).expect("the migrations run");
        directory
    });
    directory.path()
}

pub fn embedded(file: &std::path::Path) -> Location {
    Location::new(format!("sqlite:{}", file.display()), 4)
}

/// A fresh, migrated database: PostgreSQL where the feature is on and its programs are there, SQLite otherwise.
pub fn fresh_database() -> (Location, Option<tempfile::TempDir>) {
    #[cfg(feature = "postgres")]
    if let Some(cluster) = crate::postgres::cluster() {
        cluster.template(|url| {
            let owner = Location::new(url.to_owned(), 1);
            migrations::run(&owner).expect("the migrations run");
            cluster.execute(&format!("CREATE ROLE {APPLICATION} LOGIN"));
            circlekeeper::store::wall::raise(&owner, APPLICATION).expect("the wall stands");
        });
        return (Location::new(cluster.fresh_database(), 4), None);
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("test.db");
    std::fs::copy(embedded_template().join("template.db"), &file).expect("a copy");
    (embedded(&file), Some(directory))
}

/// The role as which the servers of the tests work in PostgreSQL: it owns nothing.
pub const APPLICATION: &str = "circlekeeper_app";

/// The same database as the server reaches it, and not its owner.
pub fn as_application(location: &Location) -> Location {
    let url = location.url.expose_secret();
    let url = if location.is_postgres() {
        url.replace("user=circlekeeper", &format!("user={APPLICATION}"))
    } else {
        url.to_owned()
    };
    Location { url: url.into(), ..location.clone() }
}

impl Server {
    pub fn start() -> Server {
        // Tokens outlive the days that a test travels.
        Server::start_with(ServerConfig { hashing: Some(4), access_minutes: 7 * 24 * 60, ..ServerConfig::default() })
    }

    pub fn start_with(config: ServerConfig) -> Server {
        let (location, directory) = fresh_database();
        Server::start_on(location, directory, config)
    }

    /// A server on a database that is there already.
    pub fn start_on(location: Location, directory: Option<tempfile::TempDir>, config: ServerConfig) -> Server {
        Server::start_under(masters(), location, directory, config)
    }

    /// A server with master keys of its own choice.
    pub fn start_under(
        masters: impl Into<LiveMasters>,
        location: Location,
        directory: Option<tempfile::TempDir>,
        config: ServerConfig,
    ) -> Server {
        let db = Db::open(&as_application(&location), masters, Clock::default()).expect("the database opens");
        let tokens = Tokens::new(db.masters(), db.clock.clone(), config.access_minutes);
        let config = ServerConfig { workers: Some(1), ..config };
        let (sender, receiver) = std::sync::mpsc::channel();
        let served = db.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = server::start(served, &config).expect("a free port");
                sender.send((running.address, running.server.handle())).expect("the test waits");
                running.server.await.expect("the server runs");
            });
        });
        let (address, handle) = receiver.recv().expect("the server starts");
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        Server {
            url: format!("http://{address}"),
            db,
            location,
            tokens,
            agent,
            handle,
            thread: Some(thread),
            directory,
        }
    }

    pub fn request<'a>(&'a self, method: &'a str, path: &str) -> Request<'a> {
        Request { server: self, method, path: path.to_owned(), headers: Vec::new(), body: None }
    }

    pub fn get(&self, who: &Person, path: &str) -> Answer {
        self.request("GET", path).token(&who.token).send()
    }

    pub fn post(&self, who: &Person, path: &str, body: &Value) -> Answer {
        self.request("POST", path).token(&who.token).json(body).send()
    }

    /// A change under the version that is read just before.
    pub fn change(&self, who: &Person, method: &str, path: &str, version: &str, body: &Value) -> Answer {
        self.request(method, path).token(&who.token).version(version).json(body).send()
    }

    /// The version of what is there now.
    #[track_caller]
    pub fn version(&self, who: &Person, path: &str) -> String {
        let answer = self.get(who, path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.etag()
    }

    /// Works in the database as the server would.
    pub fn write<T: Send + 'static>(&self, work: impl Fn(&mut Connection) -> Result<T, Problem> + Send + 'static) -> T {
        actix_web::rt::System::new().block_on(self.db.write(work)).expect("the write succeeds")
    }

    /// An account, signed in for a week, made past the hashing of its password.
    pub fn account(&self, name: &str) -> Person {
        static HASH: OnceLock<String> = OnceLock::new();
        let hash = HASH.get_or_init(|| hash_password(&SecretString::from(PASSWORD)).expect("a hash"));
        let sign_in_name = format!("{}-{}", name.to_lowercase().replace(' ', "."), Id::random());
        let key = self.db.installation().index("sign-in", &sign_in_name);
        let (named, signs_in, hash) = (name.to_owned(), sign_in_name.clone(), hash.clone());
        let id = self.write(move |connection| {
            let profile = Profile { name: &named, email: None, country: None, language: "en", zone: "UTC" };
            accounts::insert(connection, &signs_in, &key, &hash, &profile)
        });
        let caller = self.sign_in(id);
        let token = self.token_of(caller);
        Person { id, name: name.to_owned(), sign_in_name, token, caller }
    }

    /// A new sign-in of an account, made past its password.
    pub fn sign_in(&self, account: Id) -> Caller {
        self.write(move |connection| {
            let lifetimes = Lifetimes { idle_minutes: 7 * 24 * 60, longest_hours: 7 * 24 };
            Ok(sign_ins::insert(connection, account, None, false, lifetimes)?.caller)
        })
    }

    /// An access token of a sign-in, from the server's now on.
    pub fn token_of(&self, caller: Caller) -> String {
        self.tokens.sign(caller, self.db.clock.now())
    }

    /// Moves the server's clock, and gives the person a token of the new time.
    pub fn travel_days(&self, days: i64) {
        self.db.clock.shift(days * 24 * 60 * 60 * 1000);
    }

    pub fn again(&self, person: &Person) -> Person {
        let caller = self.sign_in(person.id);
        Person { token: self.token_of(caller), caller, ..person.clone() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let handle = self.handle.clone();
        // The server runs in its own system: stopping it from here only sends the word.
        drop(handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        #[cfg(feature = "postgres")]
        if let (true, Some(cluster)) = (self.location.is_postgres(), crate::postgres::cluster()) {
            use secrecy::ExposeSecret;
            cluster.discard(self.location.url.expose_secret());
        }
    }
}
