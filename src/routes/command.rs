//! What a request brings and what an answer takes away: body, preconditions, pages, replies.

use std::{
    future::{Future, Ready, ready},
    marker::PhantomData,
    ops::Deref,
    pin::Pin,
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev::Payload,
    http::{StatusCode, header},
    rt::time::timeout,
    web,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    identity::hash_of,
    policy::Act,
    problem::Problem,
    store::{connection::Connection, idempotency, permit::Permit},
};

/// Bytes that a body may have.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// How long a body may take to arrive: whoever sends a byte a minute holds no connection for ever.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// A request with a body and its preconditions. The body is read only after the permit, so that somebody without a
/// right learns nothing from what is wrong with it; and anew at each asking, because a transaction that lost against
/// another one is done again from the start.
pub struct Command<T> {
    body: Result<web::Bytes, Problem>,
    digest: Vec<u8>,
    key: Result<Option<String>, Problem>,
    version: Result<Option<i32>, Problem>,
    request: PhantomData<fn() -> T>,
}

/// The body of an operation that takes none.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

impl<T: DeserializeOwned> Command<T> {
    /// The body, once the permit is there.
    pub fn body(&self) -> Result<T, Problem> {
        read(self.body.as_ref().map_err(Clone::clone)?)
    }

    /// The body, for what has to be known of it earlier; `None` where it cannot be read.
    pub fn asked(&self) -> Option<T> {
        self.body().ok()
    }

    /// Refuses unless `If-Match` names this version.
    ///
    /// # Errors
    /// `PreconditionNeeded` without `If-Match`, `Stale` with another version.
    pub fn expects(&self, version: i32) -> Result<(), Problem> {
        match &self.version {
            Err(problem) => Err(problem.clone()),
            Ok(None) => Err(Problem::PreconditionNeeded),
            Ok(Some(expected)) if *expected != version => Err(Problem::Stale),
            Ok(Some(_)) => Ok(()),
        }
    }

    /// Does `work` once for an `Idempotency-Key`: the same key and request get the first answer again. The permit
    /// comes first, so that a kept answer reaches nobody whose standing has ended.
    pub fn once<A: Act>(
        &self,
        connection: &mut Connection,
        permit: &Permit<A>,
        work: impl FnOnce(&mut Connection, T) -> Answer,
    ) -> Answer {
        // Before the kept answer: the same bytes under another media type are no request at all.
        let (key, request) = (self.key.as_ref().map_err(Clone::clone)?, self.body()?);
        let Some(key) = key else {
            return work(connection, request);
        };
        if let Some(kept) = idempotency::begin(connection, permit, key, &self.digest)? {
            return serde_json::from_str(&kept).map_err(|_| Problem::Internal("a kept answer cannot be read".into()));
        }
        let reply = match work(connection, request) {
            Ok(reply) => reply,
            Err(problem) => {
                // Where the database itself failed, this fails too, and all is undone with the transaction.
                let _ = idempotency::give_back(connection, permit, key);
                return Err(problem);
            }
        };
        let kept = serde_json::to_string(&reply).map_err(|_| Problem::Internal("an answer cannot be kept".into()))?;
        idempotency::keep(connection, permit, key, &self.digest, &kept)?;
        Ok(reply)
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Command<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Command<T>, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = web::Bytes::from_request(request, payload);
        let is_json =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
                essence == "application/json" || essence.ends_with("+json")
            });
        // Nothing is expanded here, so nothing small can become large (RFC 9110, 15.5.16).
        let is_plain = request.headers().get_all(header::CONTENT_ENCODING).all(|coding| coding == "identity");
        let place = format!("{} {}", request.method(), request.uri());
        let key = idempotency_key(request);
        let version = if_match(request);
        Box::pin(async move {
            let bytes = timeout(BODY_PATIENCE, bytes)
                .await
                .map_err(|_| Problem::Unreadable("The body did not arrive in time.".into()))?;
            let bytes = bytes.map_err(|error| {
                let too_large = error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE;
                if too_large { Problem::TooLarge } else { Problem::Unreadable("The body did not arrive whole.".into()) }
            })?;
            let takes_nothing = std::any::TypeId::of::<T>() == std::any::TypeId::of::<Nothing>();
            let mut digest = hash_of(&place);
            digest.extend(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref());
            let body = match (takes_nothing, is_json && is_plain) {
                (true, _) => Ok(web::Bytes::from_static(b"{}")),
                (false, true) => Ok(bytes),
                (false, false) => Err(Problem::UnsupportedMedia),
            };
            Ok(Command { body, digest, key, version, request: PhantomData })
        })
    }
}

/// Reads JSON, and names the field that does not fit.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would also read a list, by position: a client that sends one has not read the contract.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::Unreadable("The body is a list; an object is expected.".into()));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = error
            .path()
            .iter()
            .filter_map(|segment| match segment {
                serde_path_to_error::Segment::Seq { index } => Some(format!("/{index}")),
                serde_path_to_error::Segment::Map { key } => {
                    Some(format!("/{}", key.replace('~', "~0").replace('/', "~1")))
                }
                _ => None,
            })
            .collect::<String>();
        let pointer = shortened(&pointer);
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                let detail = plain(&inner.to_string());
                let missing = detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
                match missing {
                    Some(field) => Problem::field(&format!("{pointer}/{field}"), "is missing"),
                    None => Problem::field(&pointer, detail),
                }
            }
            _ => Problem::Unreadable(format!("The body is not JSON: {inner}.")),
        }
    })?;
    deserializer.end().map_err(|error| Problem::Unreadable(format!("The body is not JSON: {error}.")))?;
    Ok(value)
}

/// serde's words without its position in the text, which the pointer says better. Values are left in: they are the
/// sender's own.
fn plain(message: &str) -> String {
    shortened(message.split(" at line ").next().unwrap_or(message))
}

/// The beginning of what would repeat a large part of the request: an answer must not grow with what is wrong.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 400;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut values = request.headers().get_all("idempotency-key");
    let Some(value) = values.next() else { return Ok(None) };
    // Of two keys, nobody can say which one somebody in between has looked at.
    let key = if values.next().is_none() { value.to_str().unwrap_or_default() } else { "" };
    if !(8..=128).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::Unreadable("Idempotency-Key takes 8 to 128 visible ASCII characters.".into()));
    }
    Ok(Some(key.to_owned()))
}

fn if_match(request: &HttpRequest) -> Result<Option<i32>, Problem> {
    let mut values = request.headers().get_all(header::IF_MATCH);
    let Some(value) = values.next() else { return Ok(None) };
    let text = if values.next().is_none() { value.to_str().unwrap_or_default().trim() } else { "" };
    // Only tags of our own match, with or without their quotes; anything else names a version that is not there.
    Ok(Some(text.trim_matches('"').parse().unwrap_or(-1)))
}

/// How a list is read: so many, from there on.
#[derive(Debug)]
pub struct Paging {
    limit: i64,
    position: Option<serde_json::Value>,
    /// What the list is filtered by: a cursor counts only for the list that gave it out.
    list: String,
}

impl Paging {
    /// Rows of a page, 1 to 200; 50 when not said.
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// The position after which the page begins.
    pub fn position<P: DeserializeOwned>(&self) -> Result<Option<P>, Problem> {
        let position = self.position.clone();
        position.map(|position| serde_json::from_value(position).map_err(|_| foreign_cursor())).transpose()
    }

    fn of(request: &HttpRequest) -> Result<Paging, Problem> {
        #[derive(Deserialize)]
        struct Asked {
            limit: Option<u32>,
            cursor: Option<String>,
        }
        let asked: Asked = read_query(request.query_string())?;
        let limit = match asked.limit.unwrap_or(50) {
            limit @ 1..=200 => i64::from(limit),
            _ => return Err(Problem::Unreadable("limit takes 1 to 200.".into())),
        };
        let filters: Vec<&str> = request
            .query_string()
            .split('&')
            .filter(|part| !part.is_empty() && !part.starts_with("cursor=") && !part.starts_with("limit="))
            .collect();
        let list = BASE64URL_NOPAD.encode(&hash_of(&format!("{}?{}", request.path(), filters.join("&")))[..6]);
        let position = match &asked.cursor {
            None => None,
            Some(cursor) => {
                let (of, position): (String, serde_json::Value) = BASE64URL_NOPAD
                    .decode(cursor.as_bytes())
                    .ok()
                    .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                    .ok_or_else(foreign_cursor)?;
                if of != list {
                    return Err(foreign_cursor());
                }
                Some(position)
            }
        };
        Ok(Paging { limit, position, list })
    }
}

/// The parameters of a query; one that does not fit is named.
pub struct Query<T>(pub T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Query<T>, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read_query(request.query_string()).map(Query))
    }
}

fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().to_string();
        let detail = error.into_inner();
        // A dot is the path of the query itself, as where a parameter is missing or given twice.
        let named = if name == "." { "The query cannot be read:".to_owned() } else { name };
        Problem::Unreadable(shortened(&format!("{named} {detail}.")))
    })
}

fn foreign_cursor() -> Problem {
    Problem::Unreadable("cursor is not one that this list gave out.".into())
}

impl FromRequest for Paging {
    type Error = Problem;
    type Future = Ready<Result<Paging, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Paging::of(request))
    }
}

/// How much a client wants a media type (RFC 9110, 12.5.1): the weight in thousandths of the range that names it most
/// closely, and how closely that one does. A client without `Accept` takes everything.
pub fn weight(accept: Option<&str>, media: &str) -> (u16, u8) {
    let Some(accept) = accept.map(str::trim).filter(|accept| !accept.is_empty()) else { return (1000, 0) };
    let kind = media.split('/').next().unwrap_or_default();
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next()?.to_ascii_lowercase();
        let closeness = match named.as_str() {
            "*/*" => 0,
            named if named.strip_suffix("/*") == Some(kind) => 1,
            named if named == media => 2,
            _ => return None,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let weight = quality.map_or(Some(1.0), |quality| quality.parse::<f32>().ok())?;
        Some(((weight.clamp(0.0, 1.0) * 1000.0) as u16, closeness))
    });
    ranges.max_by_key(|(_, closeness)| *closeness).unwrap_or((0, 0))
}

/// What a handler answers.
pub type Answer = Result<Reply, Problem>;

/// A successful answer, as it can also be kept for a retry.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    next: Option<String>,
    body: Option<Box<serde_json::value::RawValue>>,
    /// Another form than JSON: its media type and the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<(String, String)>,
    /// The name under which a browser keeps the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
}

impl Reply {
    pub fn ok<T: Serialize>(value: &T) -> Answer {
        Reply::with(200, value)
    }

    /// Made, and to be found at `location` (below `/v1`).
    pub fn created<T: Serialize>(location: String, value: &T) -> Answer {
        let mut reply = Reply::with(201, value)?;
        reply.location = Some(format!("/v1{location}"));
        Ok(reply)
    }

    pub fn done() -> Answer {
        Ok(Reply::empty(204))
    }

    /// A page of a list. `rows` may hold one row more than was asked for: then there is a next page, and `position`
    /// says where the last shown row stands.
    pub fn page<T: Serialize, P: Serialize>(rows: Vec<T>, paging: &Paging, position: impl Fn(&T) -> P) -> Answer {
        #[derive(Serialize)]
        struct Nothing {}
        Reply::page_after(&Nothing {}, rows, paging, position)
    }

    /// The same, after the fields of something that is to be seen first.
    pub fn page_after<F: Serialize, T: Serialize, P: Serialize>(
        first: &F,
        mut rows: Vec<T>,
        paging: &Paging,
        position: impl Fn(&T) -> P,
    ) -> Answer {
        #[derive(Serialize)]
        struct PageBody<'a, F, T> {
            #[serde(flatten)]
            first: &'a F,
            items: &'a [T],
            next: &'a Option<String>,
        }
        let more = rows.len() as i64 > paging.limit;
        rows.truncate(paging.limit as usize);
        let next = match rows.last() {
            Some(last) if more => {
                let cursor = serde_json::to_vec(&(&paging.list, position(last)))
                    .map_err(|_| Problem::Internal("a cursor cannot be written".into()))?;
                Some(BASE64URL_NOPAD.encode(&cursor))
            }
            _ => None,
        };
        let mut reply = Reply::with(200, &PageBody { first, items: &rows, next: &next })?;
        reply.next = next;
        Ok(reply)
    }

    /// The version, for a later `If-Match`.
    pub fn version(mut self, version: i32) -> Reply {
        self.etag = Some(format!("\"{version}\""));
        self
    }

    /// With these fields beside those that it has: for what is said in answer to the request, and must not be kept with
    /// the answer for a retry.
    pub fn with_added<T: Serialize>(mut self, fields: &T) -> Answer {
        type Fields = serde_json::Map<String, serde_json::Value>;
        let cannot = |error| Problem::Internal(format!("fields cannot be added to an answer: {error}"));
        let kept: Option<Fields> =
            self.body.map(|body| serde_json::from_str(body.get())).transpose().map_err(cannot)?;
        let added: Fields = serde_json::to_value(fields).and_then(serde_json::from_value).map_err(cannot)?;
        let all: Fields = kept.into_iter().flatten().chain(added).collect();
        self.body = Some(serde_json::value::to_raw_value(&all).map_err(cannot)?);
        Ok(self)
    }

    fn with<T: Serialize>(status: u16, value: &T) -> Answer {
        let body = serde_json::value::to_raw_value(value)
            .map_err(|error| Problem::Internal(format!("an answer cannot be written: {error}")))?;
        Ok(Reply { body: Some(body), ..Reply::empty(status) })
    }

    /// An answer in another form than JSON.
    pub fn text(media: &str, text: String) -> Reply {
        Reply { text: Some((media.to_owned(), text)), ..Reply::empty(200) }
    }

    /// To be kept as a file of this name, which must tell nothing.
    pub fn named(mut self, file_name: &str) -> Reply {
        self.file_name = Some(file_name.to_owned());
        self
    }

    fn empty(status: u16) -> Reply {
        Reply { status, location: None, etag: None, next: None, body: None, text: None, file_name: None }
    }
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag));
        }
        if let Some(next) = self.next {
            let kept: Vec<&str> = request
                .query_string()
                .split('&')
                .filter(|part| !part.is_empty() && !part.starts_with("cursor="))
                .collect();
            let query = kept.iter().copied().chain([format!("cursor={next}").as_str()]).collect::<Vec<_>>().join("&");
            response.insert_header((header::LINK, format!("<{}?{query}>; rel=\"next\"", request.path())));
        }
        if let Some(name) = self.file_name {
            response.insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
        }
        match (self.body, self.text) {
            (Some(body), _) => response.content_type("application/json").body(String::from(Box::<str>::from(body))),
            (None, Some((media, text))) => response.content_type(media).body(text),
            (None, None) => response.finish(),
        }
    }
}
