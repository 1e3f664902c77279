//! A member's or a group's record taken out, and the accounting of disclosures.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Paging, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{act, area},
    problem::Problem,
    rules::{
        exports::{
            Form, GroupOfRecord, Heading, Names, Part, Purpose, Record, RedisclosureNotice, Table, Wanted, check,
            check_consent, is_about_members, meanings_by_part, notice, parts_that_go, report,
        },
        fhir::{self, Taken, bundle},
    },
    store::{
        connection::{Connection, Db},
        disclosures::{self, Disclosure as Kept, NewDisclosure},
        exports::{self, OwnRecord},
        permit::{Permit, authorize, authorize_in_organization, authorize_own},
    },
    values::{Few, Id, Moment, Sentence, Text},
};

pub(super) const CSV: &str = "text/csv";
pub(super) const HTML: &str = "text/html";

/// What is taken out, and why. What goes to somebody is accounted for where the law says so: not for treatment, payment,
/// operations, the member's own written authorization or the member themselves (45 CFR 164.528), though these too where the
/// group's records stand under 42 CFR part 2 and go to somebody.
///
/// Nothing of it is kept to be sent again: each sending is a disclosure of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeOut {
    pub purpose: Purpose,
    /// Who receives it: name and, where known, address. Nobody is named for work in the house.
    pub recipient: Option<Text<1, 300>>,
    /// `json` when not said.
    #[serde(default = "json_form")]
    #[schema(default = "json")]
    pub format: Form,
    /// No more than the purpose needs; all when not said. CSV is one table: it takes one part.
    #[serde(default)]
    pub parts: Few<Part, 20>,
    /// What the member's written consent covers: goes with records under 42 CFR part 2.
    pub consent_scope: Option<Sentence>,
    /// Until when an agency for health oversight or law enforcement has asked that the member is not told (45 CFR
    /// 164.528(a)(2)): for as long as its statement in writing says, at most 366 days ahead. A request that was only spoken
    /// holds for 30 days, and is noted.
    pub withheld_until: Option<Moment>,
}

fn json_form() -> Form {
    Form::Json
}

/// A member's record, or those of a group. Process notes never stand in it, nor who wrote, signed or recorded anything.
/// A member's record holds the sessions at which they were expected, and nothing of what was written about the sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordExport {
    pub exported_at: Moment,
    pub purpose: Purpose,
    pub recipient: Option<String>,
    /// Goes with records under 42 CFR part 2.
    pub notice: Option<RedisclosureNotice>,
    /// What each field of each part means, and in which unit it is.
    pub columns: BTreeMap<String, BTreeMap<String, String>>,
    pub group: GroupOfRecord,
    /// How many members of the group are not among them: they have withdrawn their consent, on which the purpose rests.
    /// The records of the sessions, which by rule name nobody, stand there all the same.
    pub members_left_out: usize,
    #[serde(flatten)]
    pub record: Record,
}

/// An entry of the accounting of disclosures.
#[derive(Debug, Serialize, ToSchema)]
pub struct Disclosure {
    pub id: Id,
    pub disclosed_at: Moment,
    /// The account that took the record out.
    pub disclosed_by: Id,
    pub group: Id,
    pub member: Id,
    pub purpose: Purpose,
    /// Name and, where known, address.
    pub recipient: String,
    /// What went out.
    pub parts: Vec<Part>,
    /// The member is not told before.
    pub withheld_until: Option<Moment>,
}

/// To whom your record went, as the accounting says it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnDisclosure {
    /// When it went out.
    pub disclosed_at: Moment,
    /// The group whose record it was.
    pub group: Id,
    /// What for.
    pub purpose: Purpose,
    /// Who received it.
    pub recipient: String,
    /// What went out.
    pub parts: Vec<Part>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OwnDisclosures {
    /// Newest first.
    pub items: Vec<OwnDisclosure>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct About {
    /// Only those about this member.
    member: Option<Id>,
}

impl From<Kept> for Disclosure {
    fn from(kept: Kept) -> Self {
        Disclosure {
            id: kept.id,
            disclosed_at: kept.disclosed_at,
            disclosed_by: kept.disclosed_by,
            group: kept.group,
            member: kept.member,
            purpose: kept.purpose,
            recipient: kept.recipient,
            parts: kept.parts,
            withheld_until: kept.withheld_until,
        }
    }
}

impl From<Kept> for OwnDisclosure {
    fn from(kept: Kept) -> Self {
        OwnDisclosure {
            disclosed_at: kept.disclosed_at,
            group: kept.group,
            purpose: kept.purpose,
            recipient: kept.recipient,
            parts: kept.parts,
        }
    }
}

const WHAT_FHIR_HOLDS: &str = "JSON and the page to print hold the whole record. A FHIR bundle holds members, memberships, signatures, attendances and measures with their answers, and says so in its `meta.tag`: goals, homework, entries, risk marks, reviews, subscales and sessions have no place in it. Each sending is a disclosure of its own: no answer is kept, and there is no `Idempotency-Key`.";

pub fn register(api: &mut Api) {
    let example = json!({"purpose": "treatment", "format": "fhir"});
    api.heading("Records taken out");
    api.post::<act::ExportMemberRecord, _, _>(
        "/groups/{group}/members/{member}/exports",
        "Take out a member's record",
        export_member_record,
    )
    .takes::<TakeOut>(example.clone())
    .gives::<RecordExport>()
    .also_as(CSV)
    .also_as(fhir::MEDIA)
    .also_as(HTML)
    .says(WHAT_FHIR_HOLDS)
    .makes_nothing();
    api.post::<act::ExportGroupRecord, _, _>(
        "/groups/{group}/exports",
        "Take out the records of a group",
        export_group_record,
    )
    .takes::<TakeOut>(example)
    .gives::<RecordExport>()
    .also_as(CSV)
    .also_as(fhir::MEDIA)
    .also_as(HTML)
    .says(WHAT_FHIR_HOLDS)
    .makes_nothing();
    api.get::<act::ReadDisclosures, _, _>(
        "/organizations/{organization}/disclosures",
        "Read the accounting of disclosures",
        list_disclosures,
    )
    .asks::<About>()
    .lists::<Disclosure>();
    api.get::<act::ReadOwnAccount, _, _>("/account/disclosures", "See to whom your record went", list_own_disclosures)
        .gives::<OwnDisclosures>();
}

async fn export_member_record(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<TakeOut>) -> Answer {
    let (group, member) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ExportMemberRecord>(connection, &caller, group)?;
        let purpose = command.asked().map(|asked| asked.purpose);
        // Whether the member is there comes before what is wrong with the body.
        let record = exports::find_member(connection, &permit, member, purpose == Some(Purpose::Individual))?;
        let request = command.body()?;
        check_consent(request.purpose, exports::is_withdrawn(connection, &permit, member)?)?;
        take_out(connection, &permit, request, record, WhoseRecord::Member)
    })
    .await
}

async fn export_group_record(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<TakeOut>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ExportGroupRecord>(connection, &caller, group)?;
        let request = command.body()?;
        let rests_on_consent = request.purpose.rests_on_consent();
        let (record, left_out) = exports::find_whole_group(connection, &permit, rests_on_consent)?;
        take_out(connection, &permit, request, record, WhoseRecord::Group { left_out })
    })
    .await
}

/// What is taken out.
enum WhoseRecord {
    Member,
    /// `left_out`: the members who have withdrawn the consent on which the purpose rests.
    Group {
        left_out: Vec<Id>,
    },
}

/// Judges the request, accounts for it where it has to be, and writes the record in the form that was asked for.
fn take_out<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    request: TakeOut,
    mut record: Record,
    whose: WhoseRecord,
) -> Answer {
    let (whole_group, left_out) = match whose {
        WhoseRecord::Member => (false, Vec::new()),
        WhoseRecord::Group { left_out } => (true, left_out),
    };
    let members_left_out = left_out.len();
    let (at, purpose, parts) = (connection.now, request.purpose, &request.parts.0);
    let group = exports::find_group(connection, permit)?;
    let recipient = request.recipient.as_ref().map(Text::as_str);
    let consent_scope = request.consent_scope.as_ref().map(Text::as_str);
    let wanted = Wanted {
        purpose,
        form: request.format,
        parts,
        has_recipient: recipient.is_some(),
        has_consent_scope: consent_scope.is_some(),
        withheld_until: request.withheld_until,
        part_2: group.part_2,
        whole_group,
    };
    check(&wanted, at)?;
    if recipient.is_some() {
        record.keep_amendments_that_go_along();
    }
    let is_accounted_for = is_about_members(&wanted) && purpose.is_accounted_for(group.part_2, true);
    if let Some(recipient) = recipient.filter(|_| is_accounted_for) {
        let went = parts_that_go(&wanted);
        let goes = |member: Id| {
            let own = record.amendments.iter().filter(|row| row.member == member);
            own.flat_map(|row| row.record_kind.parts()).any(|part| went.contains(part))
        };
        let (amended, whose): (Vec<Id>, Vec<Id>) =
            record.members.iter().map(|row| row.member).partition(|id| goes(*id));
        let new = NewDisclosure { purpose, recipient, parts: &went, withheld_until: request.withheld_until };
        disclosures::insert(connection, permit, &whose, &new)?;
        let mut with_amendments = went.clone();
        with_amendments.retain(|part| *part != Part::Amendments);
        with_amendments.push(Part::Amendments);
        disclosures::insert(connection, permit, &amended, &NewDisclosure { parts: &with_amendments, ..new })?;
        // Of those who are left out this alone goes out: what the group went through with them.
        if went.contains(&Part::SessionRecords) && !left_out.is_empty() {
            let new = NewDisclosure { parts: &[Part::SessionRecords], ..new };
            disclosures::insert(connection, permit, &left_out, &new)?;
        }
    }
    let notice = notice(group.part_2, purpose, consent_scope);
    match request.format {
        Form::Json => {
            record.keep_only(parts);
            let export = RecordExport {
                exported_at: at,
                purpose,
                recipient: recipient.map(str::to_owned),
                notice,
                columns: meanings_by_part(),
                group,
                members_left_out,
                record,
            };
            Ok(Reply::ok(&export)?.named("export.json"))
        }
        Form::Csv => {
            // The rule above has let exactly one part through.
            let part = parts.first().copied().unwrap_or(Part::Columns);
            let text = csv(&record.table_alone(part), notice.as_ref())?;
            Ok(Reply::text("text/csv; charset=utf-8; header=present", text).named("export.csv"))
        }
        Form::Fhir => {
            let groups = [group];
            let group_of = |_| Some(groups[0].id);
            // Answers stand in the measures' own resources.
            let mut shown = record.clone();
            shown.keep_only(parts);
            shown.answers = if shown.measures.is_empty() { Vec::new() } else { record.answers };
            let taken =
                Taken { at, purpose, groups: &groups, record: &shown, group_of: &group_of, notice: notice.as_ref() };
            Ok(Reply::text(fhir::MEDIA, bundle(&taken).to_string()).named("export.json"))
        }
        Form::Html => {
            // Before parts are left out: a date and a title name a session in the parts that stay.
            let mut words = Names::of(&record, &group.zone);
            record.keep_only(parts);
            words.add_goals(&record);
            let names: Vec<&str> = record.members.iter().map(|row| row.name.as_str()).collect();
            let title = match (whole_group, names.as_slice()) {
                (false, [name]) => format!("Record of {name}"),
                _ => format!("Record of the group {}", group.title),
            };
            let mut facts = vec![
                ("Organization", group.organization.clone()),
                ("Group", group.title.clone()),
                ("Taken out", words.time(at)),
                ("Times in", group.zone.clone()),
                ("Purpose", purpose.as_str().replace('_', " ")),
            ];
            facts.extend(recipient.map(|recipient| ("Recipient", recipient.to_owned())));
            if members_left_out > 0 {
                facts.push(("Left out, consent withdrawn", members_left_out.to_string()));
            }
            let heading = Heading { title: &title, facts, notice: notice.as_ref() };
            let page = report(&heading, &record.tables(), &words);
            Ok(Reply::text("text/html; charset=utf-8", page).named("export.html"))
        }
    }
}

/// A table as CSV (RFC 4180).
fn csv(table: &Table, notice: Option<&RedisclosureNotice>) -> Result<String, Problem> {
    let unwritable = || Problem::Internal("an export cannot be written".into());
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for line in table.lines(notice) {
        writer.write_record(line).map_err(|_| unwritable())?;
    }
    let bytes = writer.into_inner().map_err(|_| unwritable())?;
    String::from_utf8(bytes).map_err(|_| unwritable())
}

/// What therapist-led groups keep of the caller, as a bundle: their own copy, for which nothing is accounted. Peer-led
/// groups are no care, and not in it.
pub(super) fn own_bundle(connection: &mut Connection, permit: &Permit<act::ExportOwnRecords>) -> Answer {
    let OwnRecord { record, groups, group_of } = exports::find_own(connection, permit)?;
    let of = |member| group_of.get(&member).copied();
    let (at, purpose) = (connection.now, Purpose::Individual);
    let taken = Taken { at, purpose, groups: &groups, record: &record, group_of: &of, notice: None };
    Ok(Reply::text(fhir::MEDIA, bundle(&taken).to_string()).named("export.json"))
}

/// The caller's own accounting.
pub(super) fn own_disclosures<A: area::Account>(
    connection: &mut Connection,
    permit: &Permit<A>,
) -> Result<Vec<OwnDisclosure>, Problem> {
    Ok(disclosures::list_own(connection, permit)?.into_iter().map(OwnDisclosure::from).collect())
}

async fn list_disclosures(db: Data<Db>, caller: Caller, path: Path<Id>, asked: Query<About>, paging: Paging) -> Answer {
    let organization = path.into_inner();
    let (limit, before) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize_in_organization::<act::ReadDisclosures>(connection, &caller, organization)?;
        let rows = disclosures::list(connection, &permit, asked.member, before, limit + 1)?;
        let shown: Vec<Disclosure> = rows.into_iter().map(Disclosure::from).collect();
        Reply::page(shown, &paging, |disclosure| disclosure.id)
    })
    .await
}

async fn list_own_disclosures(db: Data<Db>, caller: Caller) -> Answer {
    db.read(move |connection| {
        let permit = authorize_own::<act::ReadOwnAccount>(connection, &caller)?;
        Reply::ok(&OwnDisclosures { items: own_disclosures(connection, &permit)? })
    })
    .await
}
