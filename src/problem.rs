//! Every failure as RFC 9457 problem details; the only place that pairs a failure with a status.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::Refusal;

/// What went wrong. What is inside `Internal` is logged, never shown.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The request cannot be read: broken JSON, a bad query string.
    Unreadable(String),
    /// No token, or one that does not count (any more).
    Unauthenticated,
    /// A sign-in that is refused; the same words whatever was wrong.
    SignInRefused,
    /// A right password, and a second factor that is missing or wrong.
    SecondFactorNeeded,
    /// A standing, without the right.
    Forbidden,
    /// Not there, or not for the caller: never told apart.
    NotFound,
    MethodNotAllowed(String),
    NotAcceptable,
    /// Clashes with what is kept.
    Conflict(String),
    /// `If-Match` names an older version.
    Stale,
    TooLarge,
    UnsupportedMedia,
    /// Read, and refused by a rule.
    Refused(Vec<FieldProblem>),
    /// A change without `If-Match`.
    PreconditionNeeded,
    /// Too many attempts; try again after so many seconds.
    TooMany(i64),
    Internal(String),
    /// The database or a queue does not answer in time; try again after so many seconds.
    Busy(i64),
    /// Another transaction was in the way; doing it again may succeed, and the store has tried.
    Outrun,
}

/// One field of the request and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer into the request's body, or the name of a query parameter.
    #[schema(example = "/starts_local")]
    pub pointer: String,
    pub detail: String,
}

/// Problem details (RFC 9457): the body of every answer from 400 up.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// A URN that names the kind of failure.
    #[serde(rename = "type")]
    #[schema(example = "urn:circlekeeper:problem:refused")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

impl Problem {
    /// A single refused field.
    pub fn field(pointer: &str, detail: impl Into<String>) -> Problem {
        Problem::Refused(vec![FieldProblem { pointer: pointer.into(), detail: detail.into() }])
    }

    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        use Problem::*;
        match self {
            Unreadable(_) => (StatusCode::BAD_REQUEST, "unreadable", "The request cannot be read"),
            Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first"),
            SignInRefused => (StatusCode::UNAUTHORIZED, "sign-in-refused", "These credentials do not sign in"),
            SecondFactorNeeded => (StatusCode::UNAUTHORIZED, "second-factor-needed", "A valid second factor is needed"),
            Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Your standing does not allow this"),
            NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here for you"),
            MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Another method is needed"),
            NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "not-acceptable", "No answer in an accepted form"),
            Conflict(_) => (StatusCode::CONFLICT, "conflict", "This clashes with what is kept"),
            Stale => (StatusCode::PRECONDITION_FAILED, "stale", "Somebody changed this meanwhile"),
            TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large"),
            UnsupportedMedia => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Send application/json"),
            Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "refused", "The request breaks a rule"),
            PreconditionNeeded => (StatusCode::PRECONDITION_REQUIRED, "precondition-needed", "Send If-Match"),
            TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many attempts"),
            Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed inside"),
            Busy(_) | Outrun => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Try again shortly"),
        }
    }

    fn detail(&self) -> Option<String> {
        use Problem::*;
        match self {
            Unreadable(detail) | Conflict(detail) => Some(detail.clone()),
            Stale => Some("Read it again, and send the new version in If-Match.".into()),
            PreconditionNeeded => Some("Send the ETag of the version you read in If-Match.".into()),
            _ => None,
        }
    }

    /// The answer. A middleware answers with this instead of failing, so that the other middlewares still add
    /// their headers.
    pub fn response(&self) -> HttpResponse {
        let (status, slug, title) = self.parts();
        if let Problem::Internal(cause) = self {
            tracing::error!(cause, "a request failed inside");
        }
        let details = ProblemDetails {
            kind: format!("urn:circlekeeper:problem:{slug}"),
            title: title.into(),
            status: status.as_u16(),
            detail: self.detail(),
            errors: match self {
                Problem::Refused(errors) => errors.clone(),
                _ => Vec::new(),
            },
        };
        let mut response = HttpResponse::build(status);
        match self {
            Problem::Unauthenticated | Problem::SignInRefused | Problem::SecondFactorNeeded => {
                let challenge = match self {
                    Problem::Unauthenticated => "Bearer realm=\"circlekeeper\", error=\"invalid_token\"",
                    _ => "Bearer realm=\"circlekeeper\"",
                };
                response.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            Problem::MethodNotAllowed(allow) => {
                if let Ok(allow) = HeaderValue::from_str(allow) {
                    response.insert_header((header::ALLOW, allow));
                }
            }
            Problem::TooMany(seconds) | Problem::Busy(seconds) => {
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            Problem::Outrun => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            _ => {}
        }
        response.content_type("application/problem+json").body(serde_json::to_vec(&details).unwrap_or_default())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.parts().1)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.parts().0
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Field { pointer, detail } => Problem::field(&pointer, detail),
            Refusal::Fields(fields) => {
                Problem::Refused(fields.into_iter().map(|(pointer, detail)| FieldProblem { pointer, detail }).collect())
            }
            Refusal::Clash(detail) => Problem::Conflict(detail),
        }
    }
}

impl From<diesel::result::Error> for Problem {
    fn from(error: diesel::result::Error) -> Problem {
        use diesel::result::{DatabaseErrorKind, Error};
        match &error {
            Error::NotFound => Problem::NotFound,
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
                Problem::Conflict("Something with these marks is kept already.".into())
            }
            // What it refers to went away at this moment: asked again, it is not there.
            Error::DatabaseError(
                DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::ForeignKeyViolation,
                _,
            ) => Problem::Outrun,
            // What is left of a connection that broke: the one who comes next gets another.
            Error::BrokenTransactionManager | Error::NotInTransaction | Error::RollbackErrorOnCommit { .. } => {
                Problem::Busy(1)
            }
            Error::DatabaseError(DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::ReadOnlyTransaction, _) => {
                tracing::warn!("the database could not do its work in this moment");
                Problem::Busy(1)
            }
            Error::DatabaseError(_, information) => {
                let message = information.message();
                // PostgreSQL's words for a deadlock, and for a read that a standby gives up for what it replays.
                if ["deadlock detected", "conflict with recovery"].iter().any(|part| message.contains(part)) {
                    return Problem::Outrun;
                }
                let passing = [
                    "database is locked",
                    "disk I/O",
                    "disk is full",
                    "could not extend file",
                    "could not write",
                    "server closed",
                    "terminating connection",
                    "the database system is",
                    "no connection to the server",
                    "could not connect",
                    "canceling statement",
                    "connection refused",
                    "SSL SYSCALL",
                    "could not receive data",
                    "could not send",
                ];
                // Messages of the database can hold values, so only their kind is logged.
                if passing.iter().any(|part| message.contains(part)) {
                    tracing::warn!("the database could not do its work in this moment");
                    return Problem::Busy(1);
                }
                let constraint = information.constraint_name().unwrap_or("");
                Problem::Internal(format!("database error {constraint}: {}", first_words(message)))
            }
            other => Problem::Internal(format!("query failed: {}", first_words(&other.to_string()))),
        }
    }
}

/// The beginning of a database's message, up to where it starts to quote values.
fn first_words(message: &str) -> String {
    message.split(['"', '\'', '(', '=']).next().unwrap_or("").chars().take(120).collect()
}
