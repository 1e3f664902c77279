//! The small values that every folder speaks: ids, moments, days, bounded text and numbers, closed word lists.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema, schema::ObjectBuilder, schema::SchemaFormat, schema::Type},
};
use uuid::Uuid;

/// Names one row, for ever. 16 bytes, written as a hyphenated UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(pub Uuid);

impl Id {
    /// An id that sorts by the time it was made (UUIDv7): for rows that are listed in order.
    pub fn in_order() -> Id {
        Id(Uuid::now_v7())
    }

    /// An id that tells nothing (UUIDv4): for what peers see, because UUIDv7 tells when a row was made.
    pub fn random() -> Id {
        Id(Uuid::new_v4())
    }

    /// The owner of what belongs to the installation as a whole.
    pub const INSTALLATION: Id = Id(Uuid::nil());

    /// The account that is nobody's: in the place of whoever led a peer-led group and erased what leads to them. The same
    /// for everybody who has gone, so that it joins nobody with anything.
    pub const NOBODY: Id = Id(Uuid::max());
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Id {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Id, uuid::Error> {
        Uuid::try_parse(text).map(Id)
    }
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".into()))).into()
    }
}
impl ToSchema for Id {}

/// An instant in UTC, to the millisecond; cut where it is made, because the databases keep different precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// Later than any moment that a client may name.
    pub const FAR: Moment = Moment(253_402_214_400_000);

    pub fn plus_minutes(self, minutes: i64) -> Moment {
        Moment(self.0 + minutes * 60_000)
    }

    pub fn plus_days(self, days: i64) -> Moment {
        self.plus_minutes(days * 24 * 60)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole minutes from `earlier` to this moment, rounded down; negative when `earlier` is later.
    pub fn minutes_since(self, earlier: Moment) -> i64 {
        (self.0 - earlier.0).div_euclid(60_000)
    }

    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX)
    }

    /// The calendar day in a zone; the day in UTC where the zone is not known.
    pub fn day_in(self, zone: &str) -> Day {
        let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        Day(self.timestamp().to_zoned(zone).date())
    }
}

impl From<Timestamp> for Moment {
    fn from(timestamp: Timestamp) -> Moment {
        Moment(timestamp.as_millisecond())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let timestamp: Timestamp = text
            .parse()
            .map_err(|_| D::Error::custom("is not a date and time with its offset, such as 2026-03-29T18:30:00Z"))?;
        let moment = Moment::from(timestamp);
        // Years 1900 to 9999: what both databases and every calendar client can hold.
        if !(-2_208_988_800_000..Moment::FAR.0).contains(&moment.0) {
            return Err(D::Error::custom("is outside the years 1900 to 9999"));
        }
        Ok(moment)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("date-time".into()))).into()
    }
}
impl ToSchema for Moment {}

/// A calendar day without a zone, written `2026-03-29`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub jiff::civil::Date);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Day {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Day, jiff::Error> {
        text.parse().map(Day)
    }
}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("date".into()))).into()
    }
}
impl ToSchema for Day {}

/// Text of `MIN` to `MAX` characters, trimmed, without control characters other than line breaks and tabs.
/// The bounds stand here once: what is read, and what the contract says, cannot drift apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// A name or a title.
pub type Title = Text<1, 200>;
/// A sentence or a few.
pub type Sentence = Text<1, 2_000>;
/// What somebody wrote: a note, a record, an agreement.
pub type Prose = Text<1, 50_000>;

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let length = text.chars().count();
        if !(MIN..=MAX).contains(&length) {
            return Err(format!("has {length} characters; {MIN} to {MAX} are allowed"));
        }
        // Names and titles stand in one line; so that one cannot pass for another, none turns the direction of writing.
        let is_one_line = MAX <= 300;
        let bad = |c: char| c.is_control() && (is_one_line || !matches!(c, '\n' | '\r' | '\t'));
        let turns =
            |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}');
        if text.contains(bad) || text.contains(turns) {
            return Err("holds a control character".into());
        }
        let is_blank = |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
        if MIN > 0 && text.chars().all(is_blank) {
            return Err("shows nothing".into());
        }
        Ok(Text(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Text<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Text::new(&text).map_err(D::Error::custom)
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Text<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(MIN)).max_length(Some(MAX)).into()
    }
}
impl<const MIN: usize, const MAX: usize> ToSchema for Text<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }
}

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Whole<const MIN: i32, const MAX: i32>(i32);

/// Minutes of one agenda item or one meeting: 1 to a day.
pub type Minutes = Whole<1, 1440>;

impl<const MIN: i32, const MAX: i32> Whole<MIN, MAX> {
    pub fn new(number: i32) -> Result<Self, String> {
        if !(MIN..=MAX).contains(&number) {
            return Err(format!("is {number}; {MIN} to {MAX} are allowed"));
        }
        Ok(Whole(number))
    }

    pub fn get(self) -> i32 {
        self.0
    }
}

impl<'de, const MIN: i32, const MAX: i32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole::new(i32::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<const MIN: i32, const MAX: i32> PartialSchema for Whole<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::Custom("int32".into())))
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .into()
    }
}
impl<const MIN: i32, const MAX: i32> ToSchema for Whole<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
}

/// At most `MAX` entries, so that one request cannot ask for unbounded work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Few<T, const MAX: usize>(pub Vec<T>);

impl<T, const MAX: usize> Default for Few<T, MAX> {
    fn default() -> Self {
        Few(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Few<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T, const MAX: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> serde::de::Visitor<'de> for Entries<T, MAX> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} entries")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    if list.len() == MAX {
                        return Err(A::Error::custom(format!("has more than {MAX} entries")));
                    }
                    list.push(entry);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Entries::<T, MAX>(std::marker::PhantomData)).map(Few)
    }
}

// The derive composes generic fields through this trait, of which `PartialSchema` follows.
impl<T: ToSchema, const MAX: usize> utoipa::__dev::ComposeSchema for Few<T, MAX> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        utoipa::openapi::schema::ArrayBuilder::new().items(T::schema()).max_items(Some(MAX)).into()
    }
}
impl<T: ToSchema, const MAX: usize> ToSchema for Few<T, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Few{MAX}Of{}", T::name()).into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// `GroupsState` for the `State` of a module `groups`; the policy's words stand for themselves.
pub fn subject_name(module: &str, name: &str) -> String {
    match module.rsplit("::").next() {
        None | Some("policy") => name.to_owned(),
        Some(subject) => {
            let capitalized = |part: &str| {
                let capital = part.chars().next().map(|first| first.to_ascii_uppercase());
                capital.into_iter().chain(part.chars().skip(1)).collect::<String>()
            };
            format!("{}{name}", subject.split('_').map(capitalized).collect::<String>())
        }
    }
}

/// Writes a closed list of words: one enum, its spelling in JSON, in the database and in the contract.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some([$($word),+]))
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {
            // Several subjects have a `State`: the contract names each after its subject.
            fn name() -> std::borrow::Cow<'static, str> {
                $crate::values::subject_name(module_path!(), stringify!($name)).into()
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(word: &str) -> Result<$name, String> {
                match word { $($word => Ok($name::$variant),)+ _ => Err(format!("{word:?} is not one of the words of {}", stringify!($name))) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
