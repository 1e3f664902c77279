//! Everything that is somebody's own: exported, erased, and what must stay.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    accounts,
    columns::Sealed,
    connection::Connection,
    goals, idempotency, keys, members,
    permit::Permit,
    schema::{
        absences, agreements, attendance_versions, attendances, breach_handlers, breach_reports, check_ins,
        consequences, decision_voters, erased_totals, feeds, groups, hand_overs, head_count_versions, head_counts,
        idempotent_answers, invitations, licences, measure_versions, measures, members as memberships,
        membership_intervals, organizations, progress_entries, progress_entry_addenda, pseudonym_attendances,
        pseudonyms, readings, referrals, refresh_tokens, services, sessions, sign_ins, signatures, standings,
        term_offers, tips, topic_supports, topics,
    },
    sealing::{Place, random},
    sign_ins as kept_sign_ins,
};
use crate::{
    policy::{Kind, Standing, act, area},
    problem::Problem,
    rules::{
        agreements::Purpose,
        attendance::{Presence, Status},
        instruments::Answers,
        leaving::GroupTotals,
        measures::Respondent,
        members::State,
        notes::State as NoteState,
    },
    values::{Day, Id, Moment},
};

const TOTALS: &str = "erased_totals.totals";

// One's own export: only what the pages show to oneself too. A list of no memberships asks nothing: a condition that holds
// for no row would read whole tables to find that out.

/// Who you are here.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedAccount {
    /// The id by which others' records name you.
    pub id: Id,
    /// What you sign in with.
    pub sign_in_name: String,
    /// What you are called.
    pub name: String,
    /// Where you can be written to.
    pub email: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// BCP 47.
    pub language: String,
    /// IANA zone.
    pub zone: String,
    /// Whether you sign in with a second factor.
    pub has_second_factor: bool,
}

/// A group to which the other parts refer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedGroup {
    /// The id that the other parts name.
    pub id: Id,
    /// What the group is called.
    pub title: String,
    /// Led by therapists or by peers.
    pub kind: Kind,
    /// The organization's name.
    pub organization: String,
}

/// An office or a term that you hold or held.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedStanding {
    /// What you were there.
    pub standing: Standing,
    /// The organization's name.
    pub organization: String,
    /// The group of a term; null for an office.
    pub group: Option<Id>,
    /// Its first moment.
    pub from_at: Moment,
    /// The moment from which it did not count any more; null while it has no end.
    pub until_at: Option<Moment>,
}

/// A licence that is recorded of you.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedLicence {
    /// The kind of licence.
    pub licence_type: String,
    /// Its number.
    pub number: String,
    /// Who issued it.
    pub body: String,
    /// Where it counts.
    pub jurisdiction: String,
    /// Its first day.
    pub valid_from: Day,
    /// Its last day.
    pub expires_on: Day,
    /// When it was compared with the issuer's register.
    pub verified_at: Option<Moment>,
}

/// One interval of a membership.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedMembership {
    /// The group.
    pub group: Id,
    /// The id of the membership.
    pub member: Id,
    /// Where the membership stood.
    pub state: State,
    /// The first moment of the interval.
    pub from_at: Moment,
    /// Its end; null for the present interval.
    pub until_at: Option<Moment>,
}

/// A signature of yours.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedSignature {
    /// The group.
    pub group: Id,
    /// What was agreed to.
    pub purpose: Purpose,
    /// The title of what was signed.
    pub title: String,
    /// Its version, from 1.
    pub number: i32,
    /// Whether it was signed on paper.
    pub on_paper: bool,
    /// When it was signed.
    pub signed_at: Moment,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Moment>,
}

/// Your attendance of a session, where it was kept under your name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedAttendance {
    /// The group.
    pub group: Id,
    /// When the session was to start.
    pub starts_at: Moment,
    /// Whether you were there.
    pub status: Status,
    /// In person or online.
    pub modality: Presence,
    /// When you came.
    pub arrived_at: Option<Moment>,
    /// When you went.
    pub left_at: Option<Moment>,
    /// How long you were there, in minutes.
    pub minutes: i32,
}

/// A pseudonym of yours, once for each session at which it was noted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedPseudonym {
    /// The group.
    pub group: Id,
    /// The name that you chose.
    pub name: String,
    /// When the session was to start; null for a pseudonym that was never noted.
    pub starts_at: Option<Moment>,
}

/// A measure that you answered, or that was answered for you.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedMeasure {
    /// The group.
    pub group: Id,
    /// When it was answered.
    pub taken_at: Moment,
    /// The instrument's name in the registry.
    pub instrument: String,
    /// The version of the instrument to which the answers and the score belong.
    pub instrument_version: String,
    /// Who answered.
    pub respondent: Respondent,
    /// Values by item; null for a declined item.
    #[schema(value_type = HashMap<String, Option<i32>>)]
    pub answers: Answers,
    /// In points of the instrument; null where too many answers were missing.
    pub score: Option<f64>,
    /// The instrument's name for a score like this.
    pub band: Option<String>,
    /// Whether missing answers were made up for by the instrument's rule.
    pub prorated: bool,
}

/// An entry about you that was released to you.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedEntry {
    /// The group.
    pub group: Id,
    /// When it happened.
    pub occurred_at: Moment,
    /// What the entry says.
    pub text: String,
    /// When it was signed.
    pub signed_at: Option<Moment>,
    /// What was added after the signature, oldest first.
    pub addenda: Vec<String>,
}

/// A check-in of yours.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedCheckIn {
    /// The group.
    pub group: Id,
    /// When it was written down.
    pub recorded_at: Moment,
    /// The day where you were.
    pub local_day: String,
    /// The zone of that day (IANA).
    pub zone: String,
    /// Who could read it.
    pub visibility: String,
    /// What you said: mood and feeling words; connection, hope, confidence, belonging and shame from 0 to 10; a need;
    /// text.
    #[schema(value_type = Object)]
    pub content: Value,
}

/// A topic that you proposed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedTopic {
    /// The group.
    pub group: Id,
    /// The day on which you proposed it.
    pub proposed_on: Day,
    /// What became of it.
    pub state: String,
    /// What you wrote; null once you took it back.
    pub text: Option<String>,
}

/// A topic that you support.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedSupport {
    /// The group.
    pub group: Id,
    /// The topic's id.
    pub topic: Id,
}

/// A tip that you gave.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedTip {
    /// The group.
    pub group: Id,
    /// The day on which you gave it.
    pub given_on: Day,
    /// What you wrote; null once you took it back.
    pub text: Option<String>,
    /// Where it leads.
    pub link: Option<String>,
    /// Whether your name stands beside it.
    pub is_named: bool,
}

/// What you did for a group, by month.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedService {
    /// The group.
    pub group: Id,
    /// What you did.
    pub service: String,
    /// Year and month.
    pub month: String,
    /// How often.
    pub times: i32,
}

/// Days on which you said you would not be there.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedAbsence {
    /// The group.
    pub group: Id,
    /// The first day.
    pub from_on: String,
    /// The last day.
    pub until_on: String,
}

/// A session that you were asked to facilitate.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedOffer {
    /// The group.
    pub group: Id,
    /// When you were asked.
    pub at: Moment,
    /// When the session is to start.
    pub session_starts_at: Moment,
    /// What became of the offer.
    pub state: String,
    /// When it was answered.
    pub answered_at: Option<Moment>,
}

/// A report that you made.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedReport {
    /// The group.
    pub group: Id,
    /// When you made it.
    pub received_at: Moment,
    /// How far it has come.
    pub state: String,
    /// When it was closed.
    pub closed_at: Option<Moment>,
}

/// What a group decided about you, once you were told of the case.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedConsequence {
    /// The group.
    pub group: Id,
    /// What follows.
    pub consequence: String,
    /// From when on it counts.
    pub from_at: Moment,
    /// Until when; null where it has no end.
    pub until_at: Option<Moment>,
    /// The day on which it is looked at again.
    pub review_on: String,
    /// When you appealed.
    pub appealed_at: Option<Moment>,
    /// What came of the appeal.
    pub appeal_outcome: Option<String>,
}

/// A referral that you sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedReferral {
    /// The group that you asked.
    pub group: Id,
    /// When you sent it.
    pub sent_at: Moment,
    /// What became of it.
    pub state: String,
    /// When it was answered.
    pub answered_at: Option<Moment>,
    /// What you shared; null once it was withdrawn.
    #[schema(value_type = Option<Object>)]
    pub shared: Option<Value>,
}

/// A calendar feed that you made; its address is not kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedFeed {
    /// When you made it.
    pub made_at: Moment,
    /// When it ended.
    pub ended_at: Option<Moment>,
}

/// A sign-in of yours.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedSignIn {
    /// When you signed in.
    pub started_at: Moment,
    /// When it was last used.
    pub last_used_at: Moment,
    /// When it ends, or ended, at the latest.
    pub ends_at: Moment,
    /// When it was ended before that.
    pub ended_at: Option<Moment>,
    /// What you called the device.
    pub device: Option<String>,
    /// Whether a second factor was given.
    pub second_factor: bool,
}

type Reads = Permit<act::ExportOwnRecords>;

/// Opens what is kept as JSON inside a sealed value.
fn json(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map_err(|_| Problem::Internal("a kept value cannot be read".into()))
}

/// The caller's own profile.
pub fn find_account(connection: &mut Connection, permit: &Reads) -> Result<ExportedAccount, Problem> {
    let account = accounts::find(connection, permit)?;
    Ok(ExportedAccount {
        id: account.id,
        sign_in_name: account.sign_in_name,
        name: account.name,
        email: account.email,
        country: account.country,
        language: account.language,
        zone: account.zone,
        has_second_factor: account.has_second_factor,
    })
}

/// The caller's memberships with their groups, in which everything else is looked for.
pub fn list_own_members(connection: &mut Connection, permit: &Reads) -> Result<Vec<(Id, Id)>, Problem> {
    Ok(memberships::table
        .filter(memberships::account_id.eq(permit.account()))
        .order(memberships::created_at)
        .select((memberships::id, memberships::group_id))
        .load(connection.with(permit))?)
}

/// What these groups are called.
pub fn list_groups(
    connection: &mut Connection,
    permit: &Reads,
    ids: &BTreeSet<Id>,
) -> Result<Vec<ExportedGroup>, Problem> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Id, String, Kind, String)> = groups::table
        .inner_join(organizations::table.on(organizations::id.eq(groups::organization_id)))
        .filter(groups::id.eq_any(ids))
        .order(groups::id)
        .select((groups::id, groups::title, groups::kind, organizations::name))
        .load(connection.with(permit))?;
    let group = |(id, title, kind, organization)| ExportedGroup { id, title, kind, organization };
    Ok(rows.into_iter().map(group).collect())
}

/// All offices and terms, ended ones too.
pub fn list_standings(connection: &mut Connection, permit: &Reads) -> Result<Vec<ExportedStanding>, Problem> {
    type Row = (Standing, String, Option<Id>, Moment, Option<Moment>);
    let rows: Vec<Row> = standings::table
        .inner_join(organizations::table.on(organizations::id.eq(standings::organization_id)))
        .filter(standings::account_id.eq(permit.account()))
        .order((standings::organization_id, standings::id))
        .select((
            standings::standing,
            organizations::name,
            standings::group_id,
            standings::from_at,
            standings::until_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(standing, organization, group, from_at, until_at)| ExportedStanding {
            standing,
            organization,
            group,
            from_at,
            until_at,
        })
        .collect())
}

/// Licences in every organization in which the caller stands or stood.
pub fn list_licences(connection: &mut Connection, permit: &Reads) -> Result<Vec<ExportedLicence>, Problem> {
    type Row = (Id, String, Sealed, String, String, Day, Day, Option<Moment>);
    let account = permit.account();
    let known: Vec<Id> = standings::table
        .filter(standings::account_id.eq(account))
        .select(standings::organization_id)
        .distinct()
        .load(connection.with(permit))?;
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = licences::table
        .filter(licences::organization_id.eq_any(known))
        .filter(licences::account_id.eq(account))
        .order(licences::id)
        .select((
            licences::id,
            licences::licence_type,
            licences::number,
            licences::body,
            licences::jurisdiction,
            licences::valid_from,
            licences::expires_on,
            licences::verified_at,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([account])?;
    rows.into_iter()
        .map(|(id, licence_type, number, body, jurisdiction, valid_from, expires_on, verified_at)| {
            let number = keys.of(account)?.open(Place("licences.number", id), &number)?;
            Ok(ExportedLicence { licence_type, number, body, jurisdiction, valid_from, expires_on, verified_at })
        })
        .collect()
}

/// The intervals of the caller's memberships. Why a lead moved somebody is the leads' note, and not among it.
pub fn list_memberships(
    connection: &mut Connection,
    permit: &Reads,
    own: &[Id],
) -> Result<Vec<ExportedMembership>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Id, Id, State, Moment, Option<Moment>)> = membership_intervals::table
        .filter(membership_intervals::member_id.eq_any(own))
        .order((membership_intervals::member_id, membership_intervals::from_at, membership_intervals::id))
        .select((
            membership_intervals::group_id,
            membership_intervals::member_id,
            membership_intervals::state,
            membership_intervals::from_at,
            membership_intervals::until_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(group, member, state, from_at, until_at)| ExportedMembership { group, member, state, from_at, until_at })
        .collect())
}

pub fn list_signatures(
    connection: &mut Connection,
    permit: &Reads,
    own: &[Id],
) -> Result<Vec<ExportedSignature>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    type Row = (Id, Purpose, String, i32, bool, Moment, Option<Moment>);
    let rows: Vec<Row> = signatures::table
        .inner_join(agreements::table.on(agreements::id.eq(signatures::agreement_id)))
        .filter(signatures::member_id.eq_any(own))
        .order(signatures::id)
        .select((
            signatures::group_id,
            agreements::purpose,
            agreements::title,
            agreements::number,
            signatures::on_paper,
            signatures::signed_at,
            signatures::withdrawn_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(group, purpose, title, number, on_paper, signed_at, withdrawn_at)| ExportedSignature {
            group,
            purpose,
            title,
            number,
            on_paper,
            signed_at,
            withdrawn_at,
        })
        .collect())
}

pub fn list_attendances(
    connection: &mut Connection,
    permit: &Reads,
    own: &[Id],
) -> Result<Vec<ExportedAttendance>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    type Row = (Id, Moment, Status, Presence, Option<Moment>, Option<Moment>, i32);
    let rows: Vec<Row> = attendances::table
        .filter(attendances::member_id.eq_any(own))
        .order((attendances::starts_at, attendances::id))
        .select((
            attendances::group_id,
            attendances::starts_at,
            attendances::status,
            attendances::modality,
            attendances::arrived_at,
            attendances::left_at,
            attendances::minutes,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(group, starts_at, status, modality, arrived_at, left_at, minutes)| ExportedAttendance {
            group,
            starts_at,
            status,
            modality,
            arrived_at,
            left_at,
            minutes,
        })
        .collect())
}

/// Found by the mark of each membership: no row joins the two.
pub fn list_pseudonyms(
    connection: &mut Connection,
    permit: &Reads,
    own: &[(Id, Id)],
) -> Result<Vec<ExportedPseudonym>, Problem> {
    let mut found = Vec::new();
    for &(member, group) in own {
        let owner = members::mark(connection, "pseudonyms", member);
        let rows: Vec<(Id, Sealed, Option<Moment>)> = pseudonyms::table
            .left_join(pseudonym_attendances::table.on(pseudonym_attendances::pseudonym_id.eq(pseudonyms::id)))
            .left_join(sessions::table.on(sessions::id.nullable().eq(pseudonym_attendances::session_id.nullable())))
            .filter(pseudonyms::group_id.eq(group))
            .filter(pseudonyms::owner.eq(owner))
            .order(sessions::starts_at)
            .select((pseudonyms::id, pseudonyms::name, sessions::starts_at.nullable()))
            .load(connection.with(permit))?;
        let keys = connection.keys([group])?;
        for (id, name, starts_at) in rows {
            let name = keys.of(group)?.open(Place("pseudonyms.name", id), &name)?;
            found.push(ExportedPseudonym { group, name, starts_at });
        }
    }
    Ok(found)
}

/// Measures with their answers, oldest first; those entered in error are left out, as they are in trends.
pub fn list_measures(connection: &mut Connection, permit: &Reads, own: &[Id]) -> Result<Vec<ExportedMeasure>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    type Row = (Id, Id, Id, Moment, String, String, Respondent, Sealed, Option<i32>, Option<String>, bool);
    let rows: Vec<Row> = measures::table
        .filter(measures::member_id.eq_any(own))
        .filter(measures::entered_in_error.eq(false))
        .order((measures::taken_at, measures::id))
        .select((
            measures::id,
            measures::member_id,
            measures::group_id,
            measures::taken_at,
            measures::instrument,
            measures::instrument_version,
            measures::respondent,
            measures::answers,
            measures::score,
            measures::band,
            measures::prorated,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys(own.iter().copied())?;
    rows.into_iter()
        .map(
            |(
                id,
                member,
                group,
                taken_at,
                instrument,
                instrument_version,
                respondent,
                answers,
                score,
                band,
                prorated,
            )| {
                let answers = json(&keys.of(member)?.open(Place("measures.answers", id), &answers)?)?;
                Ok(ExportedMeasure {
                    group,
                    taken_at,
                    instrument,
                    instrument_version,
                    respondent,
                    answers: serde_json::from_value(answers)
                        .map_err(|_| Problem::Internal("kept answers cannot be read".into()))?,
                    score: score.map(|thousandths| f64::from(thousandths) / 1000.0),
                    band,
                    prorated,
                })
            },
        )
        .collect()
}

/// Entries that were signed and released, with what was added to them.
pub fn list_entries(connection: &mut Connection, permit: &Reads, own: &[Id]) -> Result<Vec<ExportedEntry>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Id, Id, Id, Moment, Sealed, Option<Moment>)> = progress_entries::table
        .filter(progress_entries::member_id.eq_any(own))
        .filter(progress_entries::state.eq(NoteState::Signed))
        .filter(progress_entries::released_at.is_not_null())
        .order(progress_entries::id)
        .select((
            progress_entries::id,
            progress_entries::member_id,
            progress_entries::group_id,
            progress_entries::occurred_at,
            progress_entries::text,
            progress_entries::signed_at,
        ))
        .load(connection.with(permit))?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.0).collect();
    let added: Vec<(Id, Id, Sealed)> = progress_entry_addenda::table
        .filter(progress_entry_addenda::progress_entry_id.eq_any(ids))
        .order(progress_entry_addenda::id)
        .select((progress_entry_addenda::id, progress_entry_addenda::progress_entry_id, progress_entry_addenda::text))
        .load(connection.with(permit))?;
    let keys = connection.keys(own.iter().copied())?;
    rows.into_iter()
        .map(|(id, member, group, occurred_at, text, signed_at)| {
            let key = keys.of(member)?;
            let addenda = added.iter().filter(|(_, entry, _)| *entry == id);
            Ok(ExportedEntry {
                group,
                occurred_at,
                text: key.open(Place("progress_entries.text", id), &text)?,
                signed_at,
                addenda: addenda
                    .map(|(id, _, text)| key.open(Place("progress_entry_addenda.text", *id), text))
                    .collect::<Result<_, Problem>>()?,
            })
        })
        .collect()
}

pub fn list_check_ins(
    connection: &mut Connection,
    permit: &Reads,
    own: &[Id],
) -> Result<Vec<ExportedCheckIn>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    type Row = (Id, Id, Id, Moment, String, String, String, Sealed);
    let rows: Vec<Row> = check_ins::table
        .filter(check_ins::member_id.eq_any(own))
        .order((check_ins::recorded_at, check_ins::id))
        .select((
            check_ins::id,
            check_ins::member_id,
            check_ins::group_id,
            check_ins::recorded_at,
            check_ins::local_day,
            check_ins::zone,
            check_ins::visibility,
            check_ins::content,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys(own.iter().copied())?;
    rows.into_iter()
        .map(|(id, member, group, recorded_at, local_day, zone, visibility, content)| {
            let content = json(&keys.of(member)?.open(Place("check_ins.content", id), &content)?)?;
            Ok(ExportedCheckIn { group, recorded_at, local_day, zone, visibility, content })
        })
        .collect()
}

/// Own topics, own supports and own tips.
#[derive(Default)]
pub struct Contributions {
    pub topics: Vec<ExportedTopic>,
    pub supports: Vec<ExportedSupport>,
    pub tips: Vec<ExportedTip>,
}

/// What the caller gave to their groups, found by the marks of their memberships; what they took back has no text.
pub fn list_contributions(
    connection: &mut Connection,
    permit: &Reads,
    own: &[(Id, Id)],
) -> Result<Contributions, Problem> {
    type Tip = (Id, Day, Option<Sealed>, Option<Sealed>, Option<Id>);
    let mut found = Contributions::default();
    for &(member, group) in own {
        let keys = connection.keys([group])?;
        let key = keys.of(group)?;
        let owner = members::mark(connection, "topics", member);
        let rows: Vec<(Id, Day, String, Option<Sealed>)> = topics::table
            .filter(topics::group_id.eq(group))
            .filter(topics::owner.eq(owner))
            .order(topics::proposed_on)
            .select((topics::id, topics::proposed_on, topics::state, topics::text))
            .load(connection.with(permit))?;
        for (id, proposed_on, state, text) in rows {
            let text = text.map(|text| key.open(Place("topics.text", id), &text)).transpose()?;
            found.topics.push(ExportedTopic { group, proposed_on, state, text });
        }
        let supported = supported_topics(connection, permit, group, member)?;
        found.supports.extend(supported.into_iter().map(|topic| ExportedSupport { group, topic }));
        let owner = members::mark(connection, "tips", member);
        let rows: Vec<Tip> = tips::table
            .filter(tips::group_id.eq(group))
            .filter(tips::owner.eq(owner))
            .order(tips::given_on)
            .select((tips::id, tips::given_on, tips::text, tips::link, tips::member_id))
            .load(connection.with(permit))?;
        for (id, given_on, text, link, named) in rows {
            let text = text.map(|text| key.open(Place("tips.text", id), &text)).transpose()?;
            let link = link.map(|link| key.open(Place("tips.link", id), &link)).transpose()?;
            found.tips.push(ExportedTip { group, given_on, text, link, is_named: named.is_some() });
        }
    }
    Ok(found)
}

fn supported_topics<A: area::Account>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    member: Id,
) -> Result<Vec<Id>, Problem> {
    let owner = members::mark(connection, "topic_supports", member);
    Ok(topics::table
        .inner_join(topic_supports::table.on(topic_supports::topic_id.eq(topics::id)))
        .filter(topics::group_id.eq(group))
        .filter(topic_supports::owner.eq(owner))
        .order(topics::id)
        .select(topics::id)
        .load(connection.with(permit))?)
}

pub fn list_services(connection: &mut Connection, permit: &Reads, own: &[Id]) -> Result<Vec<ExportedService>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Id, String, String, i32)> = services::table
        .filter(services::member_id.eq_any(own))
        .order((services::month, services::service))
        .select((services::group_id, services::service, services::month, services::times))
        .load(connection.with(permit))?;
    let service = |(group, service, month, times)| ExportedService { group, service, month, times };
    Ok(rows.into_iter().map(service).collect())
}

pub fn list_absences(connection: &mut Connection, permit: &Reads, own: &[Id]) -> Result<Vec<ExportedAbsence>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Id, String, String)> = absences::table
        .filter(absences::member_id.eq_any(own))
        .order(absences::from_on)
        .select((absences::group_id, absences::from_on, absences::until_on))
        .load(connection.with(permit))?;
    let absence = |(group, from_on, until_on)| ExportedAbsence { group, from_on, until_on };
    Ok(rows.into_iter().map(absence).collect())
}

/// What the caller was offered; who offered it is that person's own.
pub fn list_offers(connection: &mut Connection, permit: &Reads, own: &[Id]) -> Result<Vec<ExportedOffer>, Problem> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Id, Moment, Moment, String, Option<Moment>)> = term_offers::table
        .inner_join(sessions::table.on(sessions::id.eq(term_offers::session_id)))
        .filter(term_offers::to_member_id.eq_any(own))
        .order(term_offers::offered_at)
        .select((
            term_offers::group_id,
            term_offers::offered_at,
            sessions::starts_at,
            term_offers::state,
            term_offers::answered_at,
        ))
        .load(connection.with(permit))?;
    let offer = |(group, at, session_starts_at, state, answered_at)| ExportedOffer {
        group,
        at,
        session_starts_at,
        state,
        answered_at,
    };
    Ok(rows.into_iter().map(offer).collect())
}

/// How far the caller's own reports have come.
pub fn list_reports(connection: &mut Connection, permit: &Reads) -> Result<Vec<ExportedReport>, Problem> {
    let rows: Vec<(Id, Moment, String, Option<Moment>)> = breach_reports::table
        .filter(breach_reports::reporter.eq(reporter(connection, permit.account())))
        .order(breach_reports::received_at)
        .select((
            breach_reports::group_id,
            breach_reports::received_at,
            breach_reports::state,
            breach_reports::closed_at,
        ))
        .load(connection.with(permit))?;
    let report = |(group, received_at, state, closed_at)| ExportedReport { group, received_at, state, closed_at };
    Ok(rows.into_iter().map(report).collect())
}

/// The keyed hash under which an account's reports are found.
fn reporter(connection: &Connection, account: Id) -> Vec<u8> {
    connection.installation().index("breach_reports", &account.to_string())
}

/// Consequences about the caller of cases that they were told of.
pub fn list_consequences(
    connection: &mut Connection,
    permit: &Reads,
    own: &[Id],
) -> Result<Vec<ExportedConsequence>, Problem> {
    type Row = (Id, Id, String, Moment, Option<Moment>, String, Option<Moment>, Option<String>);
    const COLUMNS: (
        consequences::id,
        consequences::group_id,
        consequences::consequence,
        consequences::from_at,
        consequences::until_at,
        consequences::review_on,
        consequences::appealed_at,
        consequences::appeal_outcome,
    ) = (
        consequences::id,
        consequences::group_id,
        consequences::consequence,
        consequences::from_at,
        consequences::until_at,
        consequences::review_on,
        consequences::appealed_at,
        consequences::appeal_outcome,
    );
    let told = || {
        consequences::table
            .inner_join(breach_reports::table.on(breach_reports::id.eq(consequences::report_id)))
            .filter(breach_reports::told_at.is_not_null())
    };
    let mut rows: Vec<Row> =
        told().filter(consequences::account_id.eq(permit.account())).select(COLUMNS).load(connection.with(permit))?;
    if !own.is_empty() {
        let of_members: Vec<Row> =
            told().filter(consequences::member_id.eq_any(own)).select(COLUMNS).load(connection.with(permit))?;
        rows.extend(of_members);
    }
    rows.sort_by_key(|row| (row.3, row.0));
    rows.dedup_by_key(|row| row.0);
    Ok(rows
        .into_iter()
        .map(|(_, group, consequence, from_at, until_at, review_on, appealed_at, appeal_outcome)| ExportedConsequence {
            group,
            consequence,
            from_at,
            until_at,
            review_on,
            appealed_at,
            appeal_outcome,
        })
        .collect())
}

pub fn list_referrals(connection: &mut Connection, permit: &Reads) -> Result<Vec<ExportedReferral>, Problem> {
    type Row = (Id, Id, Moment, String, Option<Moment>, Option<Sealed>);
    let rows: Vec<Row> = referrals::table
        .filter(referrals::account_id.eq(permit.account()))
        .order(referrals::id)
        .select((
            referrals::id,
            referrals::group_id,
            referrals::sent_at,
            referrals::state,
            referrals::answered_at,
            referrals::shared,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.0))?;
    rows.into_iter()
        .map(|(id, group, sent_at, state, answered_at, shared)| {
            let shared =
                shared.map(|shared| json(&keys.of(id)?.open(Place("referrals.shared", id), &shared)?)).transpose()?;
            Ok(ExportedReferral { group, sent_at, state, answered_at, shared })
        })
        .collect()
}

pub fn list_feeds(connection: &mut Connection, permit: &Reads) -> Result<Vec<ExportedFeed>, Problem> {
    let rows: Vec<(Moment, Option<Moment>)> = feeds::table
        .filter(feeds::account_id.eq(permit.account()))
        .order(feeds::id)
        .select((feeds::made_at, feeds::ended_at))
        .load(connection.with(permit))?;
    Ok(rows.into_iter().map(|(made_at, ended_at)| ExportedFeed { made_at, ended_at }).collect())
}

/// All sign-ins, ended ones too; no token is among them.
pub fn list_sign_ins(connection: &mut Connection, permit: &Reads) -> Result<Vec<ExportedSignIn>, Problem> {
    type Row = (Id, Option<Sealed>, Moment, Moment, Moment, Option<Moment>, bool);
    let account = permit.account();
    let rows: Vec<Row> = sign_ins::table
        .filter(sign_ins::account_id.eq(account))
        .order(sign_ins::started_at)
        .select((
            sign_ins::id,
            sign_ins::device,
            sign_ins::started_at,
            sign_ins::last_used_at,
            sign_ins::ends_at,
            sign_ins::ended_at,
            sign_ins::second_factor,
        ))
        .load(connection.with(permit))?;
    let keys = connection.keys([account])?;
    rows.into_iter()
        .map(|(id, device, started_at, last_used_at, ends_at, ended_at, second_factor)| {
            let device =
                device.map(|device| keys.of(account)?.open(Place("sign_ins.device", id), &device)).transpose()?;
            Ok(ExportedSignIn { started_at, last_used_at, ends_at, ended_at, device, second_factor })
        })
        .collect()
}

// Erasure.

/// The actions that erase memberships.
pub trait Leaves: area::Account {}
impl Leaves for act::EraseOwnRecords {}
impl Leaves for act::CloseAccount {}

/// What an erasure did.
#[derive(Debug, Default)]
pub struct Erased {
    /// Memberships that are gone.
    pub groups: usize,
    /// How many rows of each kind are gone, or lead to nobody any more.
    pub removed: BTreeMap<&'static str, usize>,
    /// Each group's totals before and after, by group.
    before: BTreeMap<Id, GroupTotals>,
    after: BTreeMap<Id, GroupTotals>,
}

impl Erased {
    fn note(&mut self, kind: &'static str, rows: usize) {
        *self.removed.entry(kind).or_default() += rows;
    }

    /// Keyed digests of the totals before and after, for a statement of this moment. Equal, and nothing more can be
    /// read from them: a sum less one's own would be what the others said, and a plain hash can be guessed.
    pub fn digests(&self, connection: &Connection, made_at: Moment) -> (String, String) {
        let digest = |totals: &BTreeMap<Id, GroupTotals>| {
            let totals: Vec<&GroupTotals> = totals.values().collect();
            let text = serde_json::to_string(&totals).expect("totals are maps of texts and numbers");
            let hash = connection.installation().index("statement totals", &format!("{made_at}\0{text}"));
            data_encoding::HEXLOWER.encode(&hash)
        };
        (digest(&self.before), digest(&self.after))
    }
}

struct Membership {
    id: Id,
    group: Id,
    state: State,
}

fn find_memberships<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    kind: Kind,
    group: Option<Id>,
) -> Result<Vec<Membership>, Problem> {
    let mut query = memberships::table
        .inner_join(groups::table.on(groups::id.eq(memberships::group_id)))
        .filter(memberships::account_id.eq(permit.account()))
        .filter(groups::kind.eq(kind))
        .order(memberships::group_id)
        .select((memberships::id, memberships::group_id, memberships::state))
        .into_boxed();
    if let Some(group) = group {
        query = query.filter(memberships::group_id.eq(group));
    }
    let rows: Vec<(Id, Id, State)> = query.load(connection.with(permit))?;
    Ok(rows.into_iter().map(|(id, group, state)| Membership { id, group, state }).collect())
}

/// Erases the caller's memberships of peer-led groups, of `group` alone where it is named: what is theirs goes with its
/// key, and what counts goes on counting.
///
/// # Errors
/// `Refused` for a group that is no peer-led one of theirs; `Conflict` while they hold a term in one of the groups, and
/// while a case of which they were told is open.
pub fn erase<A: Leaves>(connection: &mut Connection, permit: &Permit<A>, group: Option<Id>) -> Result<Erased, Problem> {
    // Those who are here wait for each other, group by group in one order, so that the totals stand still.
    for membership in find_memberships(connection, permit, Kind::PeerLed, group)? {
        diesel::update(groups::table.find(membership.group))
            .set(groups::version.eq(groups::version))
            .execute(connection.with(permit))?;
    }
    let memberships = find_memberships(connection, permit, Kind::PeerLed, group)?;
    if group.is_some() && memberships.is_empty() {
        return Err(Problem::field("/group", "is no peer-led group of yours"));
    }
    check_no_term(connection, permit, &memberships)?;
    check_no_case(connection, permit, &memberships)?;
    let mut erased = Erased { groups: memberships.len(), ..Erased::default() };
    for membership in &memberships {
        let (before, others_before) = read_totals(connection, permit, membership)?;
        fold_totals(connection, permit, membership)?;
        erase_content(connection, permit, membership, &mut erased)?;
        super::standings::end_bound(connection, permit, membership.group, permit.account())?;
        release_lead(connection, permit, membership.group, &mut erased)?;
        idempotency::empty(connection, permit, membership.group)?;
        let waits = is_awaited(connection, permit, membership)?;
        if waits {
            unlink(connection, permit, membership)?;
        } else {
            remove(connection, permit, membership.group, membership.id)?;
        }
        erased.note("memberships", 1);
        let (after, others_after) = read_totals(connection, permit, membership)?;
        if others_before != others_after {
            // Somebody checked in at this moment, on a database with many writers.
            return Err(Problem::Busy(1));
        }
        if before != after {
            return Err(Problem::Internal("an erasure would have changed a group's totals".into()));
        }
        erased.before.insert(membership.group, before);
        erased.after.insert(membership.group, after);
    }
    // Kept answers could show again what is gone.
    let answers = diesel::delete(idempotent_answers::table.filter(idempotent_answers::caller_id.eq(permit.account())))
        .execute(connection.with(permit))?;
    erased.note("kept_answers", answers);
    Ok(erased)
}

fn check_no_term<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    memberships: &[Membership],
) -> Result<(), Problem> {
    let now = connection.now;
    if memberships.is_empty() {
        return Ok(());
    }
    let groups: Vec<Id> = memberships.iter().map(|membership| membership.group).collect();
    let held: Option<Id> = standings::table
        .filter(standings::account_id.eq(permit.account()))
        // Those that are bound to a session end with the membership.
        .filter(standings::session_id.is_null())
        .filter(standings::group_id.eq_any(groups))
        .filter(standings::until_at.is_null().or(standings::until_at.gt(now)))
        .filter(standings::until_at.is_null().or(standings::until_at.gt(standings::from_at.nullable())))
        .select(standings::id)
        .first(connection.with(permit))
        .optional()?;
    match held {
        Some(_) => Err(Problem::Conflict("You lead this group, or will: end your term first.".into())),
        None => Ok(()),
    }
}

/// Open reports about the caller, each with the moment when they were told: in the groups of these memberships, and
/// for whoever closes the account in every other place too.
fn open_reports<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    memberships: &[Membership],
) -> Result<Vec<(Id, Id, Option<Moment>)>, Problem> {
    let groups: Vec<Id> = memberships.iter().map(|membership| membership.group).collect();
    let members: Vec<Id> = memberships.iter().map(|membership| membership.id).collect();
    let open = || {
        breach_reports::table.filter(breach_reports::state.ne("closed")).select((
            breach_reports::id,
            breach_reports::group_id,
            breach_reports::told_at,
        ))
    };
    let mut about: Vec<(Id, Id, Option<Moment>)> =
        open().filter(breach_reports::subject_account_id.eq(permit.account())).load(connection.with(permit))?;
    if A::ACTION != crate::policy::Action::CloseAccount {
        about.retain(|(_, group, _)| groups.contains(group));
    }
    if !members.is_empty() {
        let of_members: Vec<(Id, Id, Option<Moment>)> =
            open().filter(breach_reports::subject_member_id.eq_any(members)).load(connection.with(permit))?;
        about.extend(of_members);
    }
    Ok(about)
}

/// Refuses while a case of which the caller knows is open. Of one that they were not told of, nothing shows.
fn check_no_case<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    memberships: &[Membership],
) -> Result<(), Problem> {
    match open_reports(connection, permit, memberships)?.iter().any(|(_, _, told_at)| told_at.is_some()) {
        true => Err(Problem::Conflict("A report about you, of which you were told, has to be closed first.".into())),
        false => Ok(()),
    }
}

/// Whether the bare link has to wait for a case that names it.
fn is_awaited<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    membership: &Membership,
) -> Result<bool, Problem> {
    let reports = open_reports(connection, permit, std::slice::from_ref(membership))?;
    Ok(reports.iter().any(|(_, group, _)| *group == membership.group))
}

type Read = (GroupTotals, Vec<(Id, i32)>);

/// The group's totals, of those who are here and of those who have gone; and which check-ins of others they hold.
fn read_totals<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    membership: &Membership,
) -> Result<Read, Problem> {
    let group = membership.group;
    let mut totals = find_erased(connection, permit, group)?;
    let rows: Vec<(Id, Id, String, Sealed, i32)> = check_ins::table
        .filter(check_ins::group_id.eq(group))
        .order(check_ins::id)
        .select((check_ins::id, check_ins::member_id, check_ins::visibility, check_ins::content, check_ins::version))
        .load(connection.with(permit))?;
    let keys = connection.keys(rows.iter().map(|row| row.1))?;
    for (id, member, visibility, content, _) in &rows {
        let content = json(&keys.of(*member)?.open(Place("check_ins.content", *id), content)?)?;
        totals.count(visibility, &content);
    }
    let others = rows.into_iter().filter(|row| row.1 != membership.id).map(|row| (row.0, row.4)).collect();
    Ok((totals, others))
}

fn find_erased<A: Leaves>(connection: &mut Connection, permit: &Permit<A>, group: Id) -> Result<GroupTotals, Problem> {
    let kept: Option<Sealed> =
        erased_totals::table.find(group).select(erased_totals::totals).first(connection.with(permit)).optional()?;
    let Some(sealed) = kept else { return Ok(GroupTotals::default()) };
    let text = connection.keys([group])?.of(group)?.open(Place(TOTALS, group), &sealed)?;
    serde_json::from_str(&text).map_err(|_| Problem::Internal("kept totals cannot be read".into()))
}

/// Adds what the member's check-ins came to to what those who have gone leave behind.
fn fold_totals<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    membership: &Membership,
) -> Result<(), Problem> {
    let (member, group) = (membership.id, membership.group);
    let rows: Vec<(Id, String, Sealed)> = check_ins::table
        .filter(check_ins::member_id.eq(member))
        .select((check_ins::id, check_ins::visibility, check_ins::content))
        .load(connection.with(permit))?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut totals = find_erased(connection, permit, group)?;
    let keys = connection.keys([member, group])?;
    for (id, visibility, content) in rows {
        let content = json(&keys.of(member)?.open(Place("check_ins.content", id), &content)?)?;
        totals.count(&visibility, &content);
    }
    let text = serde_json::to_string(&totals).expect("totals are maps of texts and numbers");
    let sealed = keys.of(group)?.seal(Place(TOTALS, group), &text);
    let changed = diesel::update(erased_totals::table.find(group))
        .set(erased_totals::totals.eq(&sealed))
        .execute(connection.with(permit))?;
    if changed == 0 {
        diesel::insert_into(erased_totals::table)
            .values((erased_totals::group_id.eq(group), erased_totals::totals.eq(sealed)))
            .execute(connection.with(permit))?;
    }
    Ok(())
}

/// Removes what a member said and did here, and takes their mark from what the group goes on using.
fn erase_content<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    membership: &Membership,
    erased: &mut Erased,
) -> Result<(), Problem> {
    let (member, group, now) = (membership.id, membership.group, connection.now);
    let removed =
        diesel::delete(check_ins::table.filter(check_ins::member_id.eq(member))).execute(connection.with(permit))?;
    erased.note("check_ins", removed);

    let attended = remove_attendances(connection, permit, member)?;
    erased.note("attendances", attended);

    let owner = members::mark(connection, "pseudonyms", member);
    let pseudonym: Option<Id> = pseudonyms::table
        .filter(pseudonyms::group_id.eq(group))
        .filter(pseudonyms::owner.eq(owner))
        .select(pseudonyms::id)
        .first(connection.with(permit))
        .optional()?;
    if let Some(pseudonym) = pseudonym {
        let of_pseudonym = pseudonym_attendances::table.filter(pseudonym_attendances::pseudonym_id.eq(pseudonym));
        let removed = diesel::delete(of_pseudonym).execute(connection.with(permit))?;
        diesel::delete(pseudonyms::table.find(pseudonym)).execute(connection.with(permit))?;
        erased.note("pseudonyms", 1);
        erased.note("pseudonym_attendances", removed);
    }
    release_topics(connection, permit, membership, erased)?;

    let owner = members::mark(connection, "tips", member);
    let given = tips::table.filter(tips::group_id.eq(group)).filter(tips::owner.eq(owner));
    let released = diesel::update(given)
        .set((tips::owner.eq(None::<Vec<u8>>), tips::member_id.eq(None::<Id>)))
        .execute(connection.with(permit))?;
    diesel::update(tips::table.filter(tips::member_id.eq(member)))
        .set(tips::member_id.eq(None::<Id>))
        .execute(connection.with(permit))?;
    erased.note("tips", released);

    let removed =
        diesel::delete(absences::table.filter(absences::member_id.eq(member))).execute(connection.with(permit))?;
    erased.note("absences", removed);
    let removed =
        diesel::delete(services::table.filter(services::member_id.eq(member))).execute(connection.with(permit))?;
    erased.note("services", removed);
    let made = term_offers::table
        .filter(term_offers::group_id.eq(group))
        .filter(term_offers::offered_by.eq_any([permit.account(), member]));
    let removed = diesel::delete(term_offers::table.filter(term_offers::to_member_id.eq(member)))
        .execute(connection.with(permit))?
        + diesel::delete(made).execute(connection.with(permit))?;
    erased.note("term_offers", removed);
    let removed =
        diesel::delete(signatures::table.filter(signatures::member_id.eq(member))).execute(connection.with(permit))?;
    erased.note("signatures", removed);

    // A code for the membership would make somebody else of it.
    diesel::update(
        invitations::table
            .filter(invitations::member_id.eq(member))
            .filter(invitations::accepted_at.is_null())
            .filter(invitations::revoked_at.is_null()),
    )
    .set(invitations::revoked_at.eq(now))
    .execute(connection.with(permit))?;
    diesel::update(invitations::table.filter(invitations::member_id.eq(member)))
        .set(invitations::member_id.eq(None::<Id>))
        .execute(connection.with(permit))?;
    release_cases(connection, permit, membership, erased)
}

/// Removes a member's attendances with their versions, and says how many there were.
pub(super) fn remove_attendances<A: crate::policy::Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    member: Id,
) -> Result<usize, Problem> {
    let attended: Vec<Id> = attendances::table
        .filter(attendances::member_id.eq(member))
        .select(attendances::id)
        .load(connection.with(permit))?;
    for ids in attended.chunks(500) {
        diesel::delete(attendance_versions::table.filter(attendance_versions::attendance_id.eq_any(ids)))
            .execute(connection.with(permit))?;
    }
    diesel::delete(attendances::table.filter(attendances::member_id.eq(member))).execute(connection.with(permit))?;
    Ok(attended.len())
}

/// Topics of the member stay as texts that belong to nobody; those that nobody else supports go. The number of those
/// who support a topic stays.
fn release_topics<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    membership: &Membership,
    erased: &mut Erased,
) -> Result<(), Problem> {
    let (member, group) = (membership.id, membership.group);
    let owner = members::mark(connection, "topics", member);
    let own_support = members::mark(connection, "topic_supports", member);
    let proposed: Vec<(Id, String)> = topics::table
        .filter(topics::group_id.eq(group))
        .filter(topics::owner.eq(owner))
        .select((topics::id, topics::state))
        .load(connection.with(permit))?;
    erased.note("topics", proposed.len());
    for (topic, state) in proposed {
        let others: i64 = topic_supports::table
            .filter(topic_supports::topic_id.eq(topic))
            .filter(topic_supports::owner.ne(&own_support))
            .count()
            .get_result(connection.with(permit))?;
        let was_only_theirs = others == 0 && matches!(state.as_str(), "proposed" | "withdrawn");
        if was_only_theirs {
            diesel::update(topics::table.find(topic))
                .set((
                    topics::state.eq("withdrawn"),
                    topics::text.eq(None::<Sealed>),
                    topics::version.eq(topics::version + 1),
                ))
                .execute(connection.with(permit))?;
        }
        diesel::update(topics::table.find(topic))
            .set(topics::owner.eq(None::<Vec<u8>>))
            .execute(connection.with(permit))?;
    }
    let supported = supported_topics(connection, permit, group, member)?;
    for &topic in &supported {
        // Somebody goes on supporting it, and it cannot be said who: each time another random mark.
        diesel::update(topic_supports::table.find((topic, own_support.clone())))
            .set(topic_supports::owner.eq(random::<32>().to_vec()))
            .execute(connection.with(permit))?;
    }
    erased.note("topic_supports", supported.len());
    Ok(())
}

/// Takes the member's name from cases and votes that are closed.
fn release_cases<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    membership: &Membership,
    erased: &mut Erased,
) -> Result<(), Problem> {
    let (member, group, account) = (membership.id, membership.group, permit.account());
    // A ballot is in the sum already, also in a vote that is open.
    let removed = diesel::delete(decision_voters::table.filter(decision_voters::member_id.eq(member)))
        .execute(connection.with(permit))?;
    erased.note("votes", removed);
    let of_account =
        consequences::table.filter(consequences::account_id.eq(account)).filter(consequences::group_id.eq(group));
    let nobody = (consequences::member_id.eq(None::<Id>), consequences::account_id.eq(None::<Id>));
    // Not counted in the statement: there may have been a case of which the member was never told.
    diesel::update(consequences::table.filter(consequences::member_id.eq(member)))
        .set(nobody)
        .execute(connection.with(permit))?;
    diesel::update(of_account).set(nobody).execute(connection.with(permit))?;
    let closed = || breach_reports::table.filter(breach_reports::state.eq("closed"));
    let nobody = (breach_reports::subject_account_id.eq(None::<Id>), breach_reports::subject_member_id.eq(None::<Id>));
    let of_account =
        closed().filter(breach_reports::subject_account_id.eq(account)).filter(breach_reports::group_id.eq(group));
    diesel::update(closed().filter(breach_reports::subject_member_id.eq(member)))
        .set(nobody)
        .execute(connection.with(permit))?;
    diesel::update(of_account).set(nobody).execute(connection.with(permit))?;
    // Not counted either. What they had to hear is heard by those who are left, or by the privacy officers. What they
    // reported belongs to nobody once it is closed, each time by another random mark: until then they follow its course.
    let handled = breach_handlers::table.filter(breach_handlers::account_id.eq(account));
    diesel::delete(handled.filter(breach_handlers::group_id.eq(group))).execute(connection.with(permit))?;
    let reported: Vec<Id> = closed()
        .filter(breach_reports::reporter.eq(reporter(connection, account)))
        .filter(breach_reports::group_id.eq(group))
        .select(breach_reports::id)
        .load(connection.with(permit))?;
    for report in reported {
        diesel::update(breach_reports::table.find(report))
            .set(breach_reports::reporter.eq(random::<32>().to_vec()))
            .execute(connection.with(permit))?;
    }
    Ok(())
}

/// Puts nobody in the place of the account where it led the group, or recorded something there: the terms, meetings and
/// counts stay. No term of theirs runs any more.
fn release_lead<A: Leaves>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    erased: &mut Erased,
) -> Result<(), Problem> {
    let (account, now) = (permit.account(), connection.now);
    accounts::keep_nobody(connection, permit)?;
    // Their codes could not be used any more, as they lead nothing here.
    let made =
        || invitations::table.filter(invitations::created_by.eq(account)).filter(invitations::group_id.eq(group));
    diesel::update(made().filter(invitations::accepted_at.is_null()).filter(invitations::revoked_at.is_null()))
        .set(invitations::revoked_at.eq(now))
        .execute(connection.with(permit))?;
    let held = standings::table.filter(standings::account_id.eq(account)).filter(standings::group_id.eq(group));
    // Nothing is left to finish either: the stewards stand in at once.
    let terms = diesel::update(held)
        .set((standings::account_id.eq(Id::NOBODY), standings::cut_short.eq(true)))
        .execute(connection.with(permit))?;
    erased.note("terms", terms);

    let mut links =
        diesel::update(made()).set(invitations::created_by.eq(Id::NOBODY)).execute(connection.with(permit))?;
    macro_rules! release {
        ($($table:ident.$column:ident),+ $(,)?) => {$(
            links += diesel::update($table::table.filter($table::$column.eq(account)).filter($table::group_id.eq(group)))
                .set($table::$column.eq(Id::NOBODY))
                .execute(connection.with(permit))?;
        )+};
        // Tables that find their rows by what they belong to.
        ($($table:ident.$column:ident by $key:ident of $parent:ident),+ $(,)?) => {$(
            let of_group = $parent::table.filter($parent::group_id.eq(group)).select($parent::id);
            links += diesel::update(
                $table::table.filter($table::$key.eq_any(of_group)).filter($table::$column.eq(account)),
            )
            .set($table::$column.eq(Id::NOBODY))
            .execute(connection.with(permit))?;
        )+};
    }
    release!(
        sessions.led_by,
        sessions.recorded_by,
        sessions.created_by,
        head_counts.recorded_by,
        attendances.recorded_by,
        membership_intervals.recorded_by,
        agreements.published_by,
        signatures.recorded_by,
        signatures.withdrawn_by,
    );
    release!(
        head_count_versions.recorded_by by session_id of sessions,
        readings.recorded_by by session_id of sessions,
        hand_overs.written_by by session_id of sessions,
        attendance_versions.recorded_by by attendance_id of attendances,
    );
    erased.note("links_as_lead", links);
    Ok(())
}

/// Removes the membership itself, its name in decided cases, and the key without which nothing of it opens in an older
/// copy.
pub(super) fn remove<A: crate::policy::Act>(
    connection: &mut Connection,
    permit: &Permit<A>,
    group: Id,
    member: Id,
) -> Result<(), Problem> {
    diesel::update(consequences::table.filter(consequences::member_id.eq(member)))
        .set((consequences::member_id.eq(None::<Id>), consequences::account_id.eq(None::<Id>)))
        .execute(connection.with(permit))?;
    diesel::update(breach_reports::table.filter(breach_reports::subject_member_id.eq(member)))
        .set((breach_reports::subject_account_id.eq(None::<Id>), breach_reports::subject_member_id.eq(None::<Id>)))
        .execute(connection.with(permit))?;
    diesel::delete(membership_intervals::table.filter(membership_intervals::member_id.eq(member)))
        .execute(connection.with(permit))?;
    diesel::delete(memberships::table.filter(memberships::id.eq(member)).filter(memberships::group_id.eq(group)))
        .execute(connection.with(permit))?;
    keys::remove(connection.with(permit), member)
}

/// Ends a membership that has to stay for a while, and lets no account lead to it.
fn unlink<A: Leaves>(connection: &mut Connection, permit: &Permit<A>, membership: &Membership) -> Result<(), Problem> {
    end(connection, permit, membership)?;
    let now = connection.now;
    diesel::update(memberships::table.find(membership.id))
        .set((memberships::account_id.eq(None::<Id>), memberships::erased_at.eq(now)))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Ends a membership as `left`, unless it has ended already; recorded under its own id.
fn end<A: Leaves>(connection: &mut Connection, permit: &Permit<A>, membership: &Membership) -> Result<(), Problem> {
    let (member, now) = (membership.id, connection.now);
    // Who recorded what about themselves is said by the membership, so that no account joins two of them.
    diesel::update(
        membership_intervals::table
            .filter(membership_intervals::member_id.eq(member))
            .filter(membership_intervals::recorded_by.eq(permit.account())),
    )
    .set(membership_intervals::recorded_by.eq(member))
    .execute(connection.with(permit))?;
    if !membership.state.next().contains(&State::Left) {
        return Ok(());
    }
    members::leave(connection, permit, membership.group, member, member)?;
    diesel::update(memberships::table.find(member))
        .set((
            memberships::state.eq(State::Left),
            memberships::state_from.eq(now),
            memberships::version.eq(memberships::version + 1),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}

/// Removes the memberships of a group that were erased and waited for a case, where none is open any more.
/// For whoever closes one, after it is closed.
pub fn finish_erasures<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<(), Problem> {
    let group = permit.group();
    let waiting: Vec<Id> = memberships::table
        .filter(memberships::group_id.eq(group))
        .filter(memberships::erased_at.is_not_null())
        .select(memberships::id)
        .load(connection.with(permit))?;
    for member in waiting {
        let open_reports: i64 = breach_reports::table
            .filter(breach_reports::subject_member_id.eq(member))
            .filter(breach_reports::state.ne("closed"))
            .count()
            .get_result(connection.with(permit))?;
        if open_reports > 0 {
            continue;
        }
        diesel::delete(decision_voters::table.filter(decision_voters::member_id.eq(member)))
            .execute(connection.with(permit))?;
        remove(connection, permit, group, member)?;
    }
    Ok(())
}

/// Erases all memberships of peer-led groups, cuts the account off from those of therapist-led groups, whose records
/// stay under each membership's own key, and closes it. Offices and terms have ended before.
///
/// # Errors
/// Those of [`erase`].
pub fn close_account(connection: &mut Connection, permit: &Permit<act::CloseAccount>) -> Result<Erased, Problem> {
    let mut erased = erase(connection, permit, None)?;
    for membership in find_memberships(connection, permit, Kind::TherapistLed, None)? {
        leave_clinic(connection, permit, &membership)?;
        erased.note("links_to_clinical_records", 1);
    }
    let (account, now) = (permit.account(), connection.now);
    let removed =
        diesel::delete(feeds::table.filter(feeds::account_id.eq(account))).execute(connection.with(permit))?;
    erased.note("feeds", removed);

    let sent: Vec<Id> = referrals::table
        .filter(referrals::account_id.eq(account))
        .filter(referrals::state.eq("sent"))
        .select(referrals::id)
        .load(connection.with(permit))?;
    for &referral in &sent {
        diesel::update(referrals::table.find(referral))
            .set((
                referrals::state.eq("withdrawn"),
                referrals::shared.eq(None::<Sealed>),
                referrals::answer.eq(None::<Sealed>),
                referrals::answered_at.eq(now),
                referrals::version.eq(referrals::version + 1),
            ))
            .execute(connection.with(permit))?;
        keys::remove(connection.with(permit), referral)?;
    }
    diesel::update(referrals::table.filter(referrals::account_id.eq(account)))
        .set(referrals::code.eq(None::<Sealed>))
        .execute(connection.with(permit))?;
    erased.note("referrals", sent.len());

    let reported: Vec<Id> = breach_reports::table
        .filter(breach_reports::reporter.eq(reporter(connection, account)))
        .select(breach_reports::id)
        .load(connection.with(permit))?;
    for &report in &reported {
        diesel::update(breach_reports::table.find(report))
            .set(breach_reports::reporter.eq(random::<32>().to_vec()))
            .execute(connection.with(permit))?;
    }
    erased.note("links_to_reports_made", reported.len());
    let about = breach_reports::table
        .filter(breach_reports::subject_account_id.eq(account))
        .filter(breach_reports::state.eq("closed"));
    diesel::update(about).set(breach_reports::subject_account_id.eq(None::<Id>)).execute(connection.with(permit))?;
    diesel::update(consequences::table.filter(consequences::account_id.eq(account)))
        .set(consequences::account_id.eq(None::<Id>))
        .execute(connection.with(permit))?;
    // Whoever is gone hears no case: an open one goes to those who are left, or to the privacy officers.
    let heard: Vec<Id> = breach_handlers::table
        .inner_join(breach_reports::table.on(breach_reports::id.eq(breach_handlers::report_id)))
        .filter(breach_handlers::account_id.eq(account))
        .filter(breach_reports::state.ne("closed"))
        .select(breach_handlers::report_id)
        .load(connection.with(permit))?;
    for report in heard {
        diesel::delete(breach_handlers::table.find((report, account))).execute(connection.with(permit))?;
    }

    let signed_in: Vec<Id> =
        sign_ins::table.filter(sign_ins::account_id.eq(account)).select(sign_ins::id).load(connection.with(permit))?;
    for ids in signed_in.chunks(500) {
        diesel::delete(refresh_tokens::table.filter(refresh_tokens::sign_in_id.eq_any(ids)))
            .execute(connection.with(permit))?;
    }
    diesel::delete(sign_ins::table.filter(sign_ins::account_id.eq(account))).execute(connection.with(permit))?;
    erased.note("sign_ins", signed_in.len());
    let failures = connection.installation().index("account", &account.to_string());
    kept_sign_ins::remove_failures(connection, &[failures])?;
    accounts::close(connection, permit)?;
    Ok(erased)
}

/// Ends a membership of a therapist-led group and cuts it off: the clinical record stays, and no account leads to it.
fn leave_clinic(
    connection: &mut Connection,
    permit: &Permit<act::CloseAccount>,
    membership: &Membership,
) -> Result<(), Problem> {
    let (member, account, now) = (membership.id, permit.account(), connection.now);
    end(connection, permit, membership)?;
    let own = || signatures::table.filter(signatures::member_id.eq(member));
    diesel::update(own().filter(signatures::recorded_by.eq(account)))
        .set(signatures::recorded_by.eq(member))
        .execute(connection.with(permit))?;
    diesel::update(own().filter(signatures::withdrawn_by.eq(account)))
        .set(signatures::withdrawn_by.eq(member))
        .execute(connection.with(permit))?;
    let answered: Vec<Id> =
        measures::table.filter(measures::member_id.eq(member)).select(measures::id).load(connection.with(permit))?;
    for ids in answered.chunks(500) {
        diesel::update(
            measure_versions::table
                .filter(measure_versions::measure_id.eq_any(ids))
                .filter(measure_versions::recorded_by.eq(account)),
        )
        .set(measure_versions::recorded_by.eq(member))
        .execute(connection.with(permit))?;
    }
    diesel::update(measures::table.filter(measures::member_id.eq(member)).filter(measures::recorded_by.eq(account)))
        .set(measures::recorded_by.eq(member))
        .execute(connection.with(permit))?;
    goals::cut_off(connection, permit, member)?;
    diesel::update(
        invitations::table
            .filter(invitations::member_id.eq(member))
            .filter(invitations::accepted_at.is_null())
            .filter(invitations::revoked_at.is_null()),
    )
    .set(invitations::revoked_at.eq(now))
    .execute(connection.with(permit))?;
    diesel::update(memberships::table.find(member))
        .set(memberships::account_id.eq(None::<Id>))
        .execute(connection.with(permit))?;
    Ok(())
}
