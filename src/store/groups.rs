//! Groups: what they are for, who may come, how and where they meet.

use diesel::prelude::*;

use super::{
    columns::{Json, Sealed, word_columns},
    connection::Connection,
    peer_settings,
    permit::Permit,
    schema::groups,
    sealing::{Keys, Place},
};
use crate::{
    policy::{Kind, act, area},
    problem::Problem,
    rules::groups::{BillingPeriod, Format, Insurance, RecordingPolicy, State},
    values::Id,
};

const PRIVATE_DESCRIPTION: &str = "groups.private_description";

word_columns!(State, Format, BillingPeriod, Insurance, RecordingPolicy);

/// A group, as its people see it.
#[derive(Clone, Debug)]
pub struct Group {
    pub id: Id,
    pub organization: Id,
    pub kind: Kind,
    pub state: State,
    pub settings: Settings,
    pub version: i32,
}

/// What can be set of a group.
#[derive(Clone, Debug)]
pub struct Settings {
    pub title: String,
    pub public_description: String,
    pub private_description: Option<String>,
    pub conditions: Vec<String>,
    pub approaches: Vec<String>,
    pub format: Format,
    pub place: Option<String>,
    pub language: String,
    pub zone: String,
    pub capacity: Option<i32>,
    pub open_to_joining: bool,
    pub fee: Option<Fee>,
    pub insurance: Option<Insurance>,
    /// Substance-use records under 42 CFR Part 2.
    pub part_2: bool,
    pub recording_policy: RecordingPolicy,
}

/// A price in minor units of its currency, and what it is billed for.
#[derive(Clone, Debug)]
pub struct Fee {
    pub minor: i64,
    pub currency: String,
    pub period: BillingPeriod,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = groups)]
struct Row {
    id: Id,
    organization_id: Id,
    kind: Kind,
    state: State,
    title: String,
    public_description: String,
    private_description: Option<Sealed>,
    conditions: Json,
    approaches: Json,
    format: Format,
    place: Option<String>,
    language: String,
    zone: String,
    capacity: Option<i32>,
    open_to_joining: bool,
    fee_minor: Option<i64>,
    fee_currency: Option<String>,
    fee_period: Option<BillingPeriod>,
    insurance: Option<Insurance>,
    part_2: bool,
    recording_policy: RecordingPolicy,
    version: i32,
}

impl Row {
    fn open(self, keys: &Keys) -> Result<Group, Problem> {
        let private_description = match &self.private_description {
            Some(sealed) => Some(keys.of(self.id)?.open(Place(PRIVATE_DESCRIPTION, self.id), sealed)?),
            None => None,
        };
        let fee = match (self.fee_minor, self.fee_currency, self.fee_period) {
            (Some(minor), Some(currency), Some(period)) => Some(Fee { minor, currency, period }),
            _ => None,
        };
        Ok(Group {
            id: self.id,
            organization: self.organization_id,
            kind: self.kind,
            state: self.state,
            settings: Settings {
                title: self.title,
                public_description: self.public_description,
                private_description,
                conditions: self.conditions.value(),
                approaches: self.approaches.value(),
                format: self.format,
                place: self.place,
                language: self.language,
                zone: self.zone,
                capacity: self.capacity,
                open_to_joining: self.open_to_joining,
                fee,
                insurance: self.insurance,
                part_2: self.part_2,
                recording_policy: self.recording_policy,
            },
            version: self.version,
        })
    }
}

/// The columns that settings fill, for an insert and for an update.
macro_rules! settings_columns {
    ($settings:expr, $private:expr) => {
        (
            groups::title.eq(&$settings.title),
            groups::public_description.eq(&$settings.public_description),
            groups::private_description.eq($private),
            groups::conditions.eq(Json::of(&$settings.conditions)),
            groups::approaches.eq(Json::of(&$settings.approaches)),
            groups::format.eq($settings.format),
            groups::place.eq($settings.place.as_deref()),
            groups::language.eq(&$settings.language),
            groups::zone.eq(&$settings.zone),
            groups::capacity.eq($settings.capacity),
            groups::open_to_joining.eq($settings.open_to_joining),
            groups::fee_minor.eq($settings.fee.as_ref().map(|fee| fee.minor)),
            groups::fee_currency.eq($settings.fee.as_ref().map(|fee| fee.currency.as_str())),
            groups::fee_period.eq($settings.fee.as_ref().map(|fee| fee.period)),
            groups::insurance.eq($settings.insurance),
            groups::part_2.eq($settings.part_2),
            groups::recording_policy.eq($settings.recording_policy),
        )
    };
}

fn seal_private(keys: &Keys, id: Id, settings: &Settings) -> Result<Option<Sealed>, Problem> {
    let private = settings.private_description.as_deref();
    private.map(|text| Ok(keys.of(id)?.seal(Place(PRIVATE_DESCRIPTION, id), text))).transpose()
}

pub fn insert(
    connection: &mut Connection,
    permit: &Permit<act::CreateGroup>,
    kind: Kind,
    settings: Settings,
) -> Result<Group, Problem> {
    let id = Id::in_order();
    let keys = connection.new_keys(&[id])?;
    let private = seal_private(&keys, id, &settings)?;
    diesel::insert_into(groups::table)
        .values((
            groups::id.eq(id),
            groups::organization_id.eq(permit.organization()),
            groups::kind.eq(kind),
            groups::state.eq(State::Forming),
            settings_columns!(settings, private),
            groups::created_at.eq(connection.now),
            groups::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    if kind == Kind::PeerLed {
        peer_settings::insert(connection, permit, id)?;
    }
    Ok(Group { id, organization: permit.organization(), kind, state: State::Forming, settings, version: 1 })
}

/// The organization's groups in the order in which they were made, after `after`.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ListGroups>,
    after: Option<Id>,
    limit: i64,
) -> Result<Vec<Group>, Problem> {
    let mut query = groups::table
        .filter(groups::organization_id.eq(permit.organization()))
        .order(groups::id)
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(groups::id.gt(after));
    }
    let rows = query.load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().filter(|row| row.private_description.is_some()).map(|row| row.id))?;
    rows.into_iter().map(|row| row.open(&keys)).collect()
}

pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Group, Problem> {
    let row: Row = groups::table.find(permit.group()).select(Row::as_select()).first(connection.with(permit))?;
    let keys = connection.keys([row.id])?;
    row.open(&keys)
}

pub fn update(
    connection: &mut Connection,
    permit: &Permit<act::ChangeGroup>,
    settings: &Settings,
    version: i32,
) -> Result<(), Problem> {
    let id = permit.group();
    let keys = connection.keys([id])?;
    let private = seal_private(&keys, id, settings)?;
    let changed = diesel::update(groups::table.filter(groups::id.eq(id)).filter(groups::version.eq(version)))
        .set((settings_columns!(settings, private), groups::version.eq(version + 1)))
        .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

pub fn update_state<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    state: State,
    version: i32,
) -> Result<(), Problem> {
    let changed =
        diesel::update(groups::table.filter(groups::id.eq(permit.group())).filter(groups::version.eq(version)))
            .set((groups::state.eq(state), groups::version.eq(version + 1)))
            .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Stale) } else { Ok(()) }
}

/// Makes everybody else who counts places or leads in this group wait until this transaction ends.
pub fn lock<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<(), Problem> {
    // A row that is written is locked on both databases; `FOR UPDATE` is not known to SQLite.
    diesel::update(groups::table.find(permit.group()))
        .set(groups::version.eq(groups::version))
        .execute(connection.with(permit))?;
    Ok(())
}

/// The group's places; `None` without a limit.
pub fn find_capacity<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<Option<i32>, Problem> {
    Ok(groups::table.find(permit.group()).select(groups::capacity).first(connection.with(permit))?)
}

/// How far the group has come.
pub fn find_state<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<State, Problem> {
    Ok(groups::table.find(permit.group()).select(groups::state).first(connection.with(permit))?)
}
