//! Groups of both kinds: settings, opening and closing, and the terms of those who lead them.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    command::{Answer, Command, Nothing, Paging, Reply},
    operation::Api,
    organizations::{InvitationWithCode, shown_invitation},
};
use crate::{
    identity::Caller,
    policy::{Kind, Standing, act, area},
    problem::Problem,
    rules::{
        groups::{
            BillingPeriod, Format, Insurance, Opening, Price, RecordingPolicy, State, check_language, check_opening,
            check_price, check_zone, is_licensed, needs_licence,
        },
        sessions::State as SessionState,
        terms::Asked,
    },
    store::{
        breaches,
        connection::{Connection, Db},
        groups::{self, Fee as KeptFee, Settings},
        invitations, licences,
        permit::{Permit, authorize, authorize_in_organization},
        sessions, standings,
    },
    values::{Day, Few, Id, Moment, Prose, Text, Title, Whole},
};

/// A group, as its people see it: its settings and what is not set.
#[derive(Debug, Serialize)]
pub struct Group {
    pub id: Id,
    pub organization: Id,
    pub state: State,
    #[serde(flatten)]
    pub settings: GroupSettings,
}

// By hand: the settings refuse unknown fields when they are read, and a derived schema would refuse these three too.
impl PartialSchema for Group {
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(mut object)) = GroupSettings::schema() else { return GroupSettings::schema() };
        object.additional_properties = None;
        object.description = Some("A group, as its people see it: its settings and what is not set.".into());
        let added = [("id", Id::schema()), ("organization", Id::schema()), ("state", State::schema())];
        for (name, schema) in added {
            object.properties.insert(name.into(), schema);
            object.required.push(name.into());
        }
        object.into()
    }
}

impl ToSchema for Group {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        GroupSettings::schemas(schemas);
    }
}

/// What can be set of a group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// Needed for a new group. It never changes: the wall between the two kinds goes through it.
    pub kind: Option<Kind>,
    pub title: Title,
    /// What an outsider may read.
    pub public_description: Prose,
    /// What only the group's people read.
    pub private_description: Option<Prose>,
    #[serde(default)]
    pub conditions: Few<Text<1, 80>, 20>,
    #[serde(default)]
    pub approaches: Few<Text<1, 80>, 20>,
    pub format: Format,
    pub place: Option<Text<1, 300>>,
    /// BCP-47.
    pub language: Text<2, 35>,
    /// IANA.
    pub zone: Text<2, 60>,
    /// Places for members; without a limit when not said.
    pub capacity: Option<Whole<1, 10000>>,
    #[serde(default)]
    pub open_to_joining: bool,
    /// Refused for a peer-led group.
    pub fee: Option<Fee>,
    /// Refused for a peer-led group.
    pub insurance: Option<Insurance>,
    /// Substance-use records under 42 CFR Part 2.
    #[serde(default)]
    pub part_2: bool,
    #[serde(default = "forbidden")]
    #[schema(default = "forbidden")]
    pub recording_policy: RecordingPolicy,
}

fn forbidden() -> RecordingPolicy {
    RecordingPolicy::Forbidden
}

/// A price with what it is billed for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Minor units of the currency: 3500 is 35 dollars.
    pub minor: Whole<0, 100_000_000>,
    /// ISO 4217.
    pub currency: Text<3, 3>,
    pub period: BillingPeriod,
}

/// Somebody who leads or learns in a group for a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Term {
    pub id: Id,
    /// Null where the reader may not know it: members of a peer-led group know only their own.
    pub account: Option<Id>,
    /// The membership of a peer-led group, where they belong to it.
    pub member: Option<Id>,
    /// As the group calls them: in a peer-led group by the name that they have there, or had.
    pub name: Option<String>,
    pub standing: Standing,
    pub supervisor: Option<Id>,
    /// The one session that is led, where the term is bound to one.
    pub session: Option<Id>,
    pub from_at: Moment,
    /// Half-open: at this moment the standing has ended.
    pub until_at: Option<Moment>,
}

/// Who leads and learns in a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct Terms {
    pub items: Vec<Term>,
}

/// Whom to invite to lead, or to learn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteLeader {
    /// `therapist`, `co_therapist`, `trainee` (therapist-led), `steward` or `facilitator` (peer-led).
    pub standing: Standing,
    /// Who co-signs: the account of a lead, for a trainee.
    pub supervisor: Option<Id>,
    /// Of a peer-led group: the one session to facilitate; the term is then that session's time.
    pub session: Option<Id>,
    /// When the term begins; when the invitation is accepted, if not said or past by then.
    pub from_at: Option<Moment>,
    /// Refused for a steward, whose term has no end.
    pub until_at: Option<Moment>,
    /// In place of `from_at`: the first day of the term, in the group's zone.
    pub from_on: Option<Day>,
    /// In place of `until_at`: the first day that is no longer part of the term, in the group's zone.
    pub until_on: Option<Day>,
}

/// When a term ends; now when not said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndTerm {
    pub until_at: Option<Moment>,
}

fn example_settings() -> serde_json::Value {
    json!({
        "title": "CBT for depression, Tuesdays", "public_description": "Twelve evenings of cognitive behavioural therapy.",
        "private_description": "Bring your workbook.", "conditions": ["depression"], "approaches": ["cbt"],
        "format": "in_person", "place": "Room 4, second floor", "language": "en", "zone": "America/Chicago",
        "capacity": 12, "open_to_joining": true, "fee": {"minor": 3500, "currency": "USD", "period": "session"},
        "insurance": "accepted", "part_2": false, "recording_policy": "forbidden"
    })
}

pub fn register(api: &mut Api) {
    let mut new_group = example_settings();
    new_group["kind"] = json!("therapist_led");
    api.heading("Groups");
    api.post::<act::CreateGroup, _, _>("/organizations/{organization}/groups", "Make a group", create_group)
        .takes::<GroupSettings>(new_group)
        .creates::<Group>();
    api.get::<act::ListGroups, _, _>(
        "/organizations/{organization}/groups",
        "List an organization's groups",
        list_groups,
    )
    .lists::<Group>();
    api.get::<act::ReadGroup, _, _>("/groups/{group}", "Read a group", read_group).gives::<Group>();
    api.put::<act::ChangeGroup, _, _>("/groups/{group}", "Change a group's settings", change_group)
        .takes::<GroupSettings>(example_settings())
        .gives::<Group>()
        .changes();
    api.post::<act::OpenGroup, _, _>("/groups/{group}/opening", "Open a group", open_group)
        .gives::<Group>()
        .changes()
        .makes_nothing()
        .says("Again too, after closing. A therapist-led group opens under a lead with a verified licence, a peer-led one under a steward whose term has no end. Where the last steward went while it was closed, an administrator or a facilitator invites another first: `POST /groups/{group}/terms`.");
    api.post::<act::CloseGroup, _, _>("/groups/{group}/closing", "Close a group", close_group)
        .gives::<Group>()
        .changes()
        .makes_nothing();
    api.get::<act::ReadTerms, _, _>("/groups/{group}/terms", "See who leads", list_terms).gives::<Terms>();
    api.post::<act::InviteLeader, _, _>("/groups/{group}/terms", "Invite somebody to lead or learn", invite_leader)
        .takes::<InviteLeader>(json!({"standing": "co_therapist"}))
        .creates::<InvitationWithCode>()
    .says("Therapist-led: `therapist`, `co_therapist`, `trainee`. Peer-led: `steward`, `facilitator`. The answer holds a one-time code: hand it over in person. One session is better given to a member by an offer. A steward's term has no end.");
    api.post::<act::EndTerm, _, _>("/groups/{group}/terms/{term}/end", "End a term", end_term)
        .takes::<EndTerm>(json!({}))
        .makes_nothing();
}

/// Settings that fit the kind, ready to be kept.
fn judged(kind: Kind, settings: GroupSettings) -> Result<Settings, Problem> {
    if settings.kind.is_some_and(|asked| asked != kind) {
        return Err(Problem::field("/kind", "never changes"));
    }
    let price = Price {
        has_fee: settings.fee.is_some(),
        currency: settings.fee.as_ref().map(|fee| fee.currency.as_str()),
        has_insurance: settings.insurance.is_some(),
    };
    check_price(kind, &price)?;
    check_zone(settings.zone.as_str(), "/zone")?;
    check_language(settings.language.as_str(), "/language")?;
    Ok(Settings {
        title: settings.title.into_string(),
        public_description: settings.public_description.into_string(),
        private_description: settings.private_description.map(Text::into_string),
        conditions: settings.conditions.0.into_iter().map(Text::into_string).collect(),
        approaches: settings.approaches.0.into_iter().map(Text::into_string).collect(),
        format: settings.format,
        place: settings.place.map(Text::into_string),
        language: settings.language.into_string(),
        zone: settings.zone.into_string(),
        capacity: settings.capacity.map(Whole::get),
        open_to_joining: settings.open_to_joining,
        fee: settings.fee.map(|fee| KeptFee {
            minor: i64::from(fee.minor.get()),
            currency: fee.currency.into_string(),
            period: fee.period,
        }),
        insurance: settings.insurance,
        part_2: settings.part_2,
        recording_policy: settings.recording_policy,
    })
}

/// What is kept was read through the same bounds, so it fits them again.
fn bounded<const MIN: usize, const MAX: usize>(text: &str) -> Result<Text<MIN, MAX>, Problem> {
    Text::new(text).map_err(|_| Problem::Internal("a kept text is out of bounds".into()))
}

fn shown(group: groups::Group) -> Result<Group, Problem> {
    let settings = group.settings;
    let each = |list: &[String]| list.iter().map(|text| bounded(text)).collect::<Result<Vec<_>, _>>().map(Few);
    Ok(Group {
        id: group.id,
        organization: group.organization,
        state: group.state,
        settings: GroupSettings {
            kind: Some(group.kind),
            title: bounded(&settings.title)?,
            public_description: bounded(&settings.public_description)?,
            private_description: settings.private_description.as_deref().map(bounded).transpose()?,
            conditions: each(&settings.conditions)?,
            approaches: each(&settings.approaches)?,
            format: settings.format,
            place: settings.place.as_deref().map(bounded).transpose()?,
            language: bounded(&settings.language)?,
            zone: bounded(&settings.zone)?,
            capacity: settings.capacity.and_then(|capacity| Whole::new(capacity).ok()),
            open_to_joining: settings.open_to_joining,
            fee: match settings.fee {
                Some(fee) => Some(Fee {
                    minor: Whole::new(fee.minor as i32)
                        .map_err(|_| Problem::Internal("a kept fee is out of bounds".into()))?,
                    currency: bounded(&fee.currency)?,
                    period: fee.period,
                }),
                None => None,
            },
            insurance: settings.insurance,
            part_2: settings.part_2,
            recording_policy: settings.recording_policy,
        },
    })
}

fn answer<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Answer {
    let group = groups::find(connection, permit)?;
    let version = group.version;
    Ok(Reply::ok(&shown(group)?)?.version(version))
}

async fn create_group(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<GroupSettings>) -> Answer {
    let organization = path.into_inner();
    db.write(move |connection| {
        let permit = authorize_in_organization::<act::CreateGroup>(connection, &caller, organization)?;
        command.once(connection, &permit, |connection, request| {
            let kind = request.kind.ok_or_else(|| Problem::field("/kind", "is missing"))?;
            let group = groups::insert(connection, &permit, kind, judged(kind, request)?)?;
            let version = group.version;
            Ok(Reply::created(format!("/groups/{}", group.id), &shown(group)?)?.version(version))
        })
    })
    .await
}

async fn list_groups(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let organization = path.into_inner();
    let (limit, after) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ListGroups>(connection, &caller, organization)?;
        let groups = groups::list(connection, &permit, after, limit + 1)?;
        let groups = groups.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        Reply::page(groups, &paging, |group| group.id)
    })
    .await
}

async fn read_group(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadGroup>(connection, &caller, group)?;
        answer(connection, &permit)
    })
    .await
}

async fn change_group(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<GroupSettings>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ChangeGroup>(connection, &caller, group)?;
        let kept = groups::find(connection, &permit)?;
        command.expects(kept.version)?;
        let settings = judged(kept.kind, command.body()?)?;
        groups::update(connection, &permit, &settings, kept.version)?;
        answer(connection, &permit)
    })
    .await
}

async fn open_group(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<Nothing>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::OpenGroup>(connection, &caller, group)?;
        // A steward who goes at the same moment, while nothing holds them back, has gone or waits.
        groups::lock(connection, &permit)?;
        let kept = groups::find(connection, &permit)?;
        command.expects(kept.version)?;
        let leads = standings::live_leads(connection, &permit)?;
        let today = connection.now.day_in(permit.zone());
        let there = Opening {
            has_lead: !leads.is_empty(),
            has_lasting_steward: standings::has_lasting_steward(connection, &permit)?,
            lead_is_licensed: is_any_licensed(connection, &permit, &leads, today)?,
            has_privacy_officer: standings::has_privacy_officer(connection, &permit)?,
        };
        check_opening(kept.state, kept.kind, there)?;
        groups::update_state(connection, &permit, State::Open, kept.version)?;
        answer(connection, &permit)
    })
    .await
}

/// Whether one of these accounts holds a verified licence that is valid on a day, where the group needs one.
pub(super) fn is_any_licensed<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    accounts: &[Id],
    on: Day,
) -> Result<bool, Problem> {
    if !needs_licence(permit.kind()) {
        return Ok(true);
    }
    let licences: Vec<_> =
        licences::of_accounts(connection, permit, accounts)?.into_iter().map(|(_, licence)| licence).collect();
    Ok(is_licensed(&licences, on))
}

async fn close_group(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<Nothing>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::CloseGroup>(connection, &caller, group)?;
        let kept = groups::find(connection, &permit)?;
        command.expects(kept.version)?;
        if kept.state == State::Closed {
            return Err(Problem::Conflict("The group is closed already.".into()));
        }
        breaches::check_no_subject(connection, &permit)?;
        groups::update_state(connection, &permit, State::Closed, kept.version)?;
        answer(connection, &permit)
    })
    .await
}

async fn list_terms(db: Data<Db>, caller: Caller, path: Path<Id>) -> Answer {
    let group = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadTerms>(connection, &caller, group)?;
        let terms = standings::list_terms(connection, &permit)?;
        let names = standings::list_names(connection, &permit, terms.iter().map(|term| term.account))?;
        let is_known = |account: Id| permit.knows_accounts() || account == permit.account();
        let items = terms
            .into_iter()
            .map(|term| Term {
                id: term.id,
                account: Some(term.account).filter(|account| is_known(*account)),
                member: names.get(&term.account).and_then(|named| named.member),
                name: names.get(&term.account).and_then(|named| named.name.clone()),
                standing: term.standing,
                supervisor: term.supervisor,
                session: term.session,
                from_at: term.from_at,
                until_at: term.until_at,
            })
            .collect();
        Reply::ok(&Terms { items })
    })
    .await
}

async fn invite_leader(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<InviteLeader>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::InviteLeader>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, request| {
            let is_of_peers = matches!(request.standing, Standing::Facilitator | Standing::Steward);
            let fits = match permit.kind() {
                Kind::TherapistLed => request.standing.is_term() && !is_of_peers,
                Kind::PeerLed => is_of_peers,
            };
            if !fits {
                return Err(Problem::field("/standing", format!("cannot be held in a {} group", permit.kind())));
            }
            let asked = Asked {
                from_at: request.from_at,
                until_at: request.until_at,
                from_on: request.from_on,
                until_on: request.until_on,
            };
            let (from_at, until_at) = asked.judge(permit.zone(), connection.now)?;
            if request.standing == Standing::Steward {
                asked.check_no_end()?;
            }
            match (request.standing, request.supervisor) {
                (Standing::Trainee, None) => return Err(Problem::field("/supervisor", "a trainee needs one")),
                (Standing::Trainee, Some(supervisor)) => {
                    if !standings::live_leads(connection, &permit)?.contains(&supervisor) {
                        return Err(Problem::field("/supervisor", "does not lead this group"));
                    }
                }
                (_, Some(_)) => return Err(Problem::field("/supervisor", "only a trainee has one")),
                (_, None) => {}
            }
            let mut invited = invitations::into_group(&permit, request.standing);
            invited.supervisor = request.supervisor;
            invited.from_at = from_at;
            invited.until_at = until_at;
            if let Some(session) = request.session {
                if request.standing != Standing::Facilitator {
                    return Err(Problem::field("/session", "only a facilitator leads one session"));
                }
                if from_at.is_some() || until_at.is_some() {
                    return Err(Problem::field("/session", "the term is the session's own time"));
                }
                let session = match sessions::find(connection, &permit, session) {
                    Err(Problem::NotFound) => return Err(Problem::field("/session", "is no session of this group")),
                    found => found?,
                };
                if session.state == SessionState::Cancelled {
                    return Err(Problem::Conflict("The session is cancelled.".into()));
                }
                invited.session = Some(session.id);
                invited.from_at = Some(session.starts_at);
                invited.until_at = Some(session.starts_at.plus_minutes(i64::from(session.minutes)));
            }
            let (invitation, code) = invitations::insert(connection, &permit, &invited)?;
            Reply::created(
                format!("/groups/{group}/terms"),
                &InvitationWithCode::of(shown_invitation(invitation), code),
            )
        })
    })
    .await
}

async fn end_term(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<EndTerm>) -> Answer {
    let (group, term) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::EndTerm>(connection, &caller, group)?;
        let request = command.body()?;
        let until = request.until_at.unwrap_or(connection.now);
        if until < connection.now {
            return Err(Problem::field("/until_at", "lies in the past"));
        }
        standings::end_term(connection, &permit, term, until)?;
        Reply::done()
    })
    .await
}
