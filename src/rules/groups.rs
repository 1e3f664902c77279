//! What a group is and may be: kinds, formats, price, place, and when it may open.

use jiff::tz::TimeZone;

use super::Refusal;
use crate::{
    policy::Kind,
    values::{Day, Text},
    words,
};

words! {
    /// Whether a group is being prepared, meets, or has ended.
    pub enum State { Forming = "forming", Open = "open", Closed = "closed" }
}

words! {
    /// How a group or a session meets.
    pub enum Format { InPerson = "in_person", Online = "online", Hybrid = "hybrid" }
}

words! {
    /// What a fee is billed for.
    pub enum BillingPeriod { Session = "session", Month = "month", Course = "course" }
}

words! {
    /// How insurance pays.
    pub enum Insurance { Accepted = "accepted", NotAccepted = "not_accepted", OutOfNetwork = "out_of_network" }
}

words! {
    /// Whether sessions may be recorded in sound or picture.
    pub enum RecordingPolicy { Forbidden = "forbidden", WithConsentOfAll = "with_consent_of_all" }
}

/// The price of a group.
pub struct Price<'a> {
    pub has_fee: bool,
    pub currency: Option<&'a str>,
    pub has_insurance: bool,
}

/// A peer-led group is free, and asks no insurance.
pub fn check_price(kind: Kind, price: &Price) -> Result<(), Refusal> {
    if kind == Kind::PeerLed && price.has_fee {
        return Err(Refusal::field("/fee", "a peer-led group is free"));
    }
    if kind == Kind::PeerLed && price.has_insurance {
        return Err(Refusal::field("/insurance", "a peer-led group is free"));
    }
    if price
        .currency
        .is_some_and(|currency| currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        return Err(Refusal::field("/fee/currency", "is not an ISO 4217 code of three capital letters"));
    }
    Ok(())
}

/// A zone of the IANA database.
pub fn check_zone(zone: &str, pointer: &str) -> Result<(), Refusal> {
    // jiff also reads POSIX rules and the system's own zone: only names with a place are meant here.
    let is_name = zone == "UTC" || (zone.contains('/') && !zone.starts_with('/'));
    if !is_name || TimeZone::get(zone).is_err() {
        return Err(Refusal::field(pointer, "is not a zone of the IANA database, such as Europe/Berlin"));
    }
    Ok(())
}

/// A language tag (BCP-47), sign languages included: subtags of 1 to 8 letters and digits, the first of 2 or 3 letters.
pub fn check_language(tag: &str, pointer: &str) -> Result<(), Refusal> {
    let mut subtags = tag.split('-');
    let primary = subtags.next().unwrap_or("");
    let good_primary = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
    let good_rest = subtags
        .all(|subtag| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if !good_primary || !good_rest || tag.len() > 35 {
        return Err(Refusal::field(pointer, "is not a language tag (BCP-47), such as en or ase"));
    }
    Ok(())
}

/// A country as ISO 3166-1 alpha-2.
pub fn check_country(country: &str, pointer: &str) -> Result<(), Refusal> {
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Refusal::field(pointer, "is not a country code of two capital letters"));
    }
    Ok(())
}

/// A therapist's licence, as far as rules ask.
#[derive(Clone, Copy, Debug)]
pub struct Licence {
    pub verified: bool,
    pub valid_from: Day,
    pub expires_on: Day,
}

/// Whether one of a lead's licences was verified and valid on that day (the last day included).
pub fn is_licensed(licences: &[Licence], on: Day) -> bool {
    licences.iter().any(|licence| licence.verified && licence.valid_from <= on && on <= licence.expires_on)
}

/// Whether somebody with this standing leads on a licence.
pub fn needs_licence(kind: Kind) -> bool {
    kind == Kind::TherapistLed
}

/// Who there is when a group opens.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    pub has_lead: bool,
    /// Whether a steward is there whose term has no end.
    pub has_lasting_steward: bool,
    /// Whether a lead holds a verified licence that is valid today.
    pub lead_is_licensed: bool,
    /// Whether the organization has somebody who hears of a breach that nobody in the group may handle.
    pub has_privacy_officer: bool,
}

/// Judges opening: a group opens once, under somebody who may lead it.
pub fn check_opening(state: State, kind: Kind, there: Opening) -> Result<(), Refusal> {
    if state == State::Open {
        return Err(Refusal::clash("The group is open already."));
    }
    if !there.has_lead {
        return Err(Refusal::clash("Nobody leads this group yet."));
    }
    // Whoever facilitates comes and goes: the group falls back to its stewards, and time takes none of them.
    if kind == Kind::PeerLed && !there.has_lasting_steward {
        return Err(Refusal::clash("A peer-led group needs a steward whose term has no end: invite one first."));
    }
    if needs_licence(kind) && !there.lead_is_licensed {
        return Err(Refusal::clash("No lead of this group holds a verified licence that is valid today."));
    }
    if !there.has_privacy_officer {
        return Err(Refusal::clash(
            "The organization has no privacy officer, who hears of a breach that nobody in a group may handle: invite one first.",
        ));
    }
    Ok(())
}

/// A title that a listing can show: the same bounds everywhere.
pub type Condition = Text<1, 80>;
