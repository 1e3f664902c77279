//! Crisis lines per country, read from `data/crisis-lines.json`, and the rule for which of them a person is shown.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a crisis line is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// A telephone call.
    Call,
    /// A text message (SMS).
    Text,
    /// A written conversation: on a web page or through a messenger that the value names.
    Chat,
    /// A page to read, without a conversation.
    Web,
}

/// One way to reach a crisis line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// How the line is reached.
    pub kind: ChannelKind,
    /// What to dial, send or open, written for a person to read
    /// (`116 123`, `988, then press 1`, `HOME to 741741`, `https://3114.fr`); a number is never in international form.
    pub value: String,
}

/// A service for people in a crisis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CrisisLine {
    /// Stable kebab-case id, unique over all lines.
    pub id: String,
    /// ISO 3166-1 alpha-2 code in capitals; null for the international directory alone.
    pub country: Option<String>,
    /// The service's own name.
    pub name: String,
    /// BCP-47 tags of languages that the service answers in; it may offer more.
    pub languages: Vec<String>,
    /// Ways to reach it, the most direct first; never empty.
    pub channels: Vec<Channel>,
    /// `24/7`, or a sentence with the hours in the country's local time.
    pub hours: String,
    /// `all`, or whom the service is meant for.
    pub audience: String,
    /// Day (`YYYY-MM-DD`) on which the values were last compared with the page in `source`.
    /// That page may itself be older, and nobody has dialled the number: entries are reviewed regularly.
    pub verified_on: String,
    /// Public address of the page that states the values: the organisation, an authority, a directory or the press.
    pub source: String,
}

impl CrisisLine {
    /// Whether the line is meant for everybody.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.audience == "all"
    }
}

/// Id of the directory that [`international`] returns.
pub const INTERNATIONAL_ID: &str = "international-directory";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    lines: Vec<CrisisLine>,
    international: CrisisLine,
}

fn book() -> &'static Book {
    static BOOK: OnceLock<Book> = OnceLock::new();
    BOOK.get_or_init(|| {
        serde_json::from_str(include_str!("../../data/crisis-lines.json"))
            .expect("data/crisis-lines.json has the shape of Book")
    })
}

/// Every line of every country, by country code; the international directory is not among them.
#[must_use]
pub fn all() -> &'static [CrisisLine] {
    &book().lines
}

/// The directory for people whose country has no line here, and the last resort for everybody else.
/// It holds web addresses only, so it can never send somebody to another country's number.
#[must_use]
pub fn international() -> &'static CrisisLine {
    &book().international
}

/// The lines to show for a country, in the order of the file, then the international directory.
///
/// `country` is an ISO 3166-1 alpha-2 code in either case. Without one, or with one that has no entry
/// (a malformed one included), only the directory is returned; no country stands in for another.
#[must_use]
pub fn for_country(country: Option<&str>) -> Vec<&'static CrisisLine> {
    let wanted = country.map(str::trim).filter(|code| !code.is_empty());
    let national = all().iter().filter(|line| match (wanted, line.country.as_deref()) {
        (Some(wanted), Some(code)) => code.eq_ignore_ascii_case(wanted),
        _ => false,
    });
    national.chain(std::iter::once(international())).collect()
}
