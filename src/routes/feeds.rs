//! Private calendar feeds that say when, and never what.

use actix_web::web::{Data, Path};
use icalendar::{Calendar, Class, Component, Event, Property};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    command::{Answer, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::act,
    store::{
        connection::Db,
        feeds::{self, Entry},
        permit::authorize_own,
    },
    values::Moment,
};

/// The address of a feed. Shown this once: whoever knows it reads the feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedAddress {
    /// Below this server; a calendar program subscribes to it without signing in.
    #[schema(example = "/v1/feeds/4n1q0Zc8xHc1p0Yb2mWn8s9v6tQ3rJ5kL7dF0gA2eUo")]
    pub address: String,
    pub made_at: Moment,
}

/// Whether there is a feed. Its address is shown only when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Feed {
    /// Since when there is one; null without one.
    pub made_at: Option<Moment>,
}

pub fn register(api: &mut Api) {
    api.heading("Calendar feed");
    api.put::<act::ChangeOwnAccount, _, _>(
        "/account/feed",
        "Make a private calendar feed; a former address ends",
        make_feed,
    )
    .gives::<FeedAddress>();
    api.delete::<act::ChangeOwnAccount, _, _>("/account/feed", "End your calendar feed", end_feed);
    api.get::<act::ReadOwnAccount, _, _>("/account/feed", "See whether you have a calendar feed", read_feed)
        .gives::<Feed>();
    api.get::<act::AskInPublic, _, _>(
        "/feeds/{token}",
        "Read a calendar feed: when its owner meets, and never what",
        read_calendar,
    )
    .gives_text("text/calendar");
}

async fn make_feed(db: Data<Db>, caller: Caller) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        let token = feeds::insert(connection, &permit)?;
        Reply::ok(&FeedAddress { address: format!("/v1/feeds/{token}"), made_at: connection.now })
    })
    .await
}

async fn end_feed(db: Data<Db>, caller: Caller) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::ChangeOwnAccount>(connection, &caller)?;
        feeds::remove(connection, &permit)?;
        Reply::done()
    })
    .await
}

async fn read_feed(db: Data<Db>, caller: Caller) -> Answer {
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        Reply::ok(&Feed { made_at: feeds::find(connection, &permit)? })
    })
    .await
}

/// Never from a cache, and without an ETag: what was right a moment ago may be nobody's business now.
async fn read_calendar(db: Data<Db>, path: Path<String>) -> Answer {
    let token = path.into_inner();
    let entries = db.read(move |connection| feeds::list_entries(connection, &token)).await?;
    // The name of the file says nothing about whose or what it is.
    Ok(Reply::text("text/calendar; charset=utf-8", written(&entries)).named("calendar.ics"))
}

/// RFC 5545: instants in UTC, CRLF, lines folded. No word in it names this program, a group or a person.
fn written(entries: &[Entry]) -> String {
    let mut calendar = Calendar::empty();
    calendar.append_property(Property::new("VERSION", "2.0"));
    calendar.append_property(Property::new("PRODID", "-//Calendar//EN"));
    calendar.append_property(Property::new("CALSCALE", "GREGORIAN"));
    for entry in entries {
        let mut event = Event::new();
        event
            .uid(&entry.uid)
            .sequence(entry.revision.unsigned_abs())
            .summary("Meeting")
            .class(Class::Private)
            .add_property("DTSTAMP", utc(entry.planned_at))
            .add_property("DTSTART", utc(entry.starts_at))
            .add_property("DTEND", utc(entry.ends_at));
        calendar.push(event);
    }
    calendar.to_string()
}

/// `20261124T183000Z`.
fn utc(moment: Moment) -> String {
    moment.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
}
