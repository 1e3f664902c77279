//! The server: routes, limits, headers, docs, health and metrics; used by the program and by the tests alike.

use std::{
    borrow::Cow,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, LazyLock, OnceLock},
    time::{Duration, Instant},
};

use actix_cors::Cors;
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse, HttpServer,
    body::{BoxBody, MessageBody},
    dev::{Server, ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::{Condition, DefaultHeaders, Next, from_fn},
    web::{self, Data, PathConfig, PayloadConfig, ServiceConfig},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder, TracingLogger};

use crate::{
    charts,
    config::ServerConfig,
    identity::{Guesses, Passwords, Tokens, TrustedProxies},
    problem::Problem,
    routes::{
        command::{BODY_LIMIT, weight},
        operation::{Api, Document},
    },
    rules::{instruments::Registry, suppression::SmallestCount},
    store::{
        connection::Db,
        sign_ins::{self, Lifetimes},
    },
};

/// How often the server clears away what has had its day.
const HOUSEKEEPING: Duration = Duration::from_secs(600);
/// How often the server reads its master keys again; docs/keys.md says how long a rotation waits, by this.
const KEY_READING: Duration = Duration::from_secs(60);

/// A server that listens.
pub struct Running {
    pub server: Server,
    pub address: SocketAddr,
}

/// What every worker of the server shares: the operations, and what their handlers ask for.
#[derive(Clone)]
pub struct Parts {
    api: Arc<Api>,
    contract: Arc<str>,
    db: Data<Db>,
    tokens: Data<Tokens>,
    passwords: Data<Passwords>,
    lifetimes: Data<Lifetimes>,
    proxies: Data<TrustedProxies>,
    guesses: Data<Guesses>,
    instruments: Data<Registry>,
    smallest_count: Data<SmallestCount>,
}

impl Parts {
    pub fn new(db: &Db, config: &ServerConfig) -> Parts {
        let api = Api::new();
        Parts {
            contract: Document::of(&api)
                .and_then(|document| serde_json::to_string(&document))
                .unwrap_or_default()
                .into(),
            api: Arc::new(api),
            db: Data::new(db.clone()),
            tokens: Data::new(Tokens::new(db.masters(), db.clock.clone(), config.access_minutes)),
            passwords: Data::new(Passwords::new(config.hashing.unwrap_or_else(cores))),
            lifetimes: Data::new(Lifetimes { idle_minutes: config.idle_minutes, longest_hours: config.sign_in_hours }),
            proxies: Data::new(TrustedProxies(config.trusted_proxies.clone())),
            guesses: Data::new(Guesses::default()),
            instruments: Data::new(Registry::built_in().clone()),
            smallest_count: Data::new(SmallestCount::new(config.smallest_count)),
        }
    }

    /// Shows these instruments in place of the built-in ones.
    #[must_use]
    pub fn showing(self, instruments: Registry) -> Parts {
        Parts { instruments: Data::new(instruments), ..self }
    }

    /// Registers everything that a client can ask, and how a request that cannot be read is answered.
    pub fn configure(&self, app: &mut ServiceConfig) {
        app.app_data(Data::from(self.api.clone()))
            .app_data(self.db.clone())
            .app_data(self.tokens.clone())
            .app_data(self.passwords.clone())
            .app_data(self.lifetimes.clone())
            .app_data(self.proxies.clone())
            .app_data(self.guesses.clone())
            .app_data(self.instruments.clone())
            .app_data(self.smallest_count.clone())
            .app_data(PayloadConfig::new(BODY_LIMIT))
            .app_data(PathConfig::default().error_handler(|_, _| Problem::NotFound.into()));
        for resource in self.api.resources() {
            app.service(resource);
        }
        let contract = self.contract.clone();
        let show_contract = move || {
            let contract = contract.to_string();
            async move { HttpResponse::Ok().content_type("application/json").body(contract) }
        };
        let docs = utoipa_swagger_ui::Config::from("/openapi.json").try_it_out_enabled(true);
        app.service(utoipa_swagger_ui::SwaggerUi::new("/docs/{_:.*}").config(docs))
            .route(
                "/docs",
                web::get().to(async || HttpResponse::SeeOther().insert_header((header::LOCATION, "/docs/")).finish()),
            )
            .route("/openapi.json", web::get().to(show_contract))
            .route("/health/live", web::get().to(async || HttpResponse::NoContent().finish()))
            .route("/health/ready", web::get().to(ready))
            .route("/metrics", web::get().to(show_metrics))
            .default_service(web::to(async || Problem::NotFound.response()));
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Begins to listen. The returned server runs until it is stopped; then it finishes the requests that are under way.
pub fn start(db: Db, config: &ServerConfig) -> std::io::Result<Running> {
    let instruments = config.instruments().map_err(std::io::Error::other)?;
    let parts = Parts::new(&db, config).showing(instruments);
    let guesses = parts.guesses.clone();
    let origins = config.origins.clone();
    recorder();
    let server = HttpServer::new(move || {
        let parts = parts.clone();
        App::new()
            .configure(move |app| parts.configure(app))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(declared))
            .wrap(from_fn(acceptable))
            .wrap(from_fn(measured))
            .wrap(safety_headers())
            .wrap(TracingLogger::<Spans>::new())
    })
    .workers(config.workers.unwrap_or_else(cores))
    .max_connections(config.max_connections)
    .client_request_timeout(Duration::from_secs(15))
    .client_disconnect_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(30)
    // The program itself waits for both signals: actix treats SIGINT as a hard stop.
    .disable_signals()
    .bind(config.bind)?;
    let address = server.addrs()[0];
    actix_web::rt::spawn(keep_masters(db.clone()));
    actix_web::rt::spawn(keep_house(db, guesses));
    Ok(Running { server: server.run(), address })
}

/// The OpenAPI document, as `/openapi.json` serves it.
pub fn contract() -> String {
    Document::of(&Api::new()).and_then(|document| serde_json::to_string_pretty(&document)).unwrap_or_default()
}

async fn keep_masters(db: Db) {
    let masters = db.masters();
    while masters.can_change() {
        actix_web::rt::time::sleep(KEY_READING).await;
        let masters = masters.clone();
        // A key service may take its time.
        let _ = web::block(move || masters.read_again()).await;
    }
}

async fn keep_house(db: Db, guesses: Data<Guesses>) {
    loop {
        guesses.forget();
        // Times are kept one by one until somebody asks for the metrics, who may never come.
        recorder().run_upkeep();
        for done in [db.write(sign_ins::remove_expired).await, db.settle().await] {
            if let Err(problem) = done {
                tracing::warn!(%problem, "housekeeping has to wait");
            }
        }
        actix_web::rt::time::sleep(HOUSEKEEPING).await;
    }
}

fn cors(origins: &[String]) -> Cors {
    let mut cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "DELETE"])
        .allowed_headers(["authorization", "content-type", "idempotency-key", "if-match"])
        .expose_headers(["content-disposition", "etag", "location", "link", "retry-after"])
        .block_on_origin_mismatch(false)
        .max_age(600);
    for origin in origins {
        cors = cors.allowed_origin(origin);
    }
    cors
}

fn safety_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::CACHE_CONTROL, "no-store"))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add(("cross-origin-resource-policy", "same-origin"))
        .add((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"))
}

/// A method as a label: those that clients make up would grow the metrics without bound.
fn known(method: &Method) -> &'static str {
    const KNOWN: [Method; 8] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    const NAMES: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    KNOWN.iter().position(|known| known == method).map_or("other", |index| NAMES[index])
}

/// The pattern of the route that a request takes. It is looked for once: the search tries one route after the other.
fn pattern(request: &HttpRequest) -> Option<Rc<str>> {
    #[derive(Clone)]
    struct Found(Option<Rc<str>>);
    let kept = request.extensions().get::<Found>().cloned();
    let Found(route) = kept.unwrap_or_else(|| {
        let found = Found(request.match_pattern().map(Rc::from));
        request.extensions_mut().insert(found.clone());
        found
    });
    route
}

/// Counts and times requests by the pattern of their route, and gives the docs page its own content policy.
async fn measured(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let method = known(request.method());
    let is_docs = request.path().starts_with("/docs");
    let mut response = next.call(request).await?.map_into_boxed_body();
    if is_docs && response.status() == StatusCode::NOT_FOUND {
        // The docs page has its own words for a file that it lacks: none.
        response = response.into_response(Problem::NotFound.response());
    }
    let media = response.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let is_picture = media.is_some_and(|media| media.starts_with("image/svg+xml"));
    let policy = if is_docs {
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    } else if is_picture {
        picture_policy()
    } else {
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(policy));
    // The pattern, never the path: a path names groups and people.
    let route = pattern(response.request()).map_or_else(|| "none".to_owned(), |route| route.to_string());
    let status = response.status().as_u16().to_string();
    metrics::counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("http_request_seconds", "method" => method, "route" => route)
        .record(begun.elapsed().as_secs_f64());
    Ok(response)
}

/// What a picture may do where it is opened for itself: be styled by its one style sheet, named by its hash, and nothing
/// else.
fn picture_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, charts::style().as_bytes());
        let hash = data_encoding::BASE64.encode(digest.as_ref());
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'; sandbox")
    });
    &POLICY
}

/// Refuses a read with a parameter that the operation does not take: a slip of the pen would widen a list, or change a rule,
/// in silence. Only instead of an answer: whoever has no right to one learns nothing else than that.
async fn declared(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if request.query_string().is_empty() {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let of_path = request.app_data::<Data<Api>>().zip(pattern(request.request()));
    let taken = of_path.and_then(|(api, path)| {
        let taken = api.queries(&path, request.method())?;
        let is_foreign = |(name, _): (Cow<str>, Cow<str>)| !taken.contains(&&*name);
        form_urlencoded::parse(request.query_string().as_bytes()).any(is_foreign).then(|| taken.join(", "))
    });
    let response = next.call(request).await?.map_into_boxed_body();
    match taken {
        Some(taken) if response.status().is_success() => {
            let detail = match taken.as_str() {
                "" => "It takes no parameters.".to_owned(),
                taken => format!("It takes these parameters alone: {taken}."),
            };
            Ok(response.into_response(Problem::Unreadable(detail).response()))
        }
        _ => Ok(response),
    }
}

/// Refuses a client that takes neither JSON nor another form in which the path answers (RFC 9110, 12.5.1).
async fn acceptable(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let takes = |media: &str| weight(accept, media).0 > 0;
    let of_path = request.app_data::<Data<Api>>().zip(pattern(request.request()));
    let answers = || of_path.as_ref().is_some_and(|(api, path)| api.answers_as(path, takes));
    let is_refused = request.path().starts_with("/v1/") && !takes("application/json") && !answers();
    let has_choice = of_path.is_some_and(|(api, path)| api.has_choice(&path));
    let mut response = if is_refused {
        request.into_response(Problem::NotAcceptable.response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    if has_choice && response.status().is_success() {
        // Whoever keeps an answer must not give it to somebody who asks for the other form (RFC 9110, 12.5.5). A refusal
        // has one form, and looks the same from everywhere.
        response.headers_mut().append(header::VARY, header::HeaderValue::from_static("accept"));
    }
    Ok(response)
}

async fn ready(db: Data<Db>) -> HttpResponse {
    match db.answers().await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(_) => Problem::Busy(5).response(),
    }
}

async fn show_metrics(request: HttpRequest) -> HttpResponse {
    // Figures of the whole server are for whoever runs it: not for the outside, through whichever proxy.
    let is_local = request.peer_addr().is_some_and(|address| address.ip().is_loopback());
    if !is_local || request.headers().contains_key("x-forwarded-for") || request.headers().contains_key("forwarded") {
        return Problem::NotFound.response();
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(recorder().render())
}

/// One recorder for the process: tests start many servers in one.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Where a program has set its own recorder, that one counts.
        let _ = metrics::set_global_recorder(recorder);
        handle
    })
}

/// One log line for each request: method, pattern and status; no path, query, address or header.
struct Spans;

impl RootSpanBuilder for Spans {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let request_id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
        let route = pattern(request.request());
        tracing::info_span!(
            "request",
            request_id,
            method = known(request.method()),
            route = route.as_deref().unwrap_or("none"),
            status = tracing::field::Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, actix_web::Error>) {
        let status = match outcome {
            Ok(response) => response.status().as_u16(),
            Err(error) => error.as_response_error().status_code().as_u16(),
        };
        span.record("status", status);
        span.in_scope(|| tracing::info!("answered"));
    }
}
