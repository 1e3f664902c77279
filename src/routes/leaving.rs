//! Leaving: one's own export, erasure with a statement, closing the account.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, http::header, web::Data};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::{
    account::verify_own,
    command::{Answer, Command, Reply, weight},
    exports::{CSV, HTML, OwnDisclosure, own_bundle, own_disclosures},
    operation::Api,
    organizations::LoggedAccess,
};
use crate::{
    identity::{Caller, Passwords},
    policy::act,
    problem::Problem,
    rules::{
        exports::{
            AmendmentRow, GoalRatingRow, GoalRow, GoalWordingRow, Heading, HomeworkRow, Names, Part, Record, Table,
            WorkedOn, report,
        },
        fhir,
        leaving::{KEPT, check_understood, lines, records},
    },
    store::{
        access_log, amendments,
        connection::{Connection, Db},
        emergency_accesses, exports,
        leaving::{
            self, Erased, ExportedAbsence, ExportedAccount, ExportedAttendance, ExportedCheckIn, ExportedConsequence,
            ExportedEntry, ExportedFeed, ExportedGroup, ExportedLicence, ExportedMeasure, ExportedMembership,
            ExportedOffer, ExportedPseudonym, ExportedReferral, ExportedReport, ExportedService, ExportedSignIn,
            ExportedSignature, ExportedStanding, ExportedSupport, ExportedTip, ExportedTopic,
        },
        permit::{Permit, authorize_own},
        standings,
    },
    values::{Id, Moment, Text},
};

/// Entries of the access log that are read at once.
const PAGE: i64 = 1_000;

/// Everything that is kept about you, in groups of both kinds: what your own pages show, and nothing else. Nobody else
/// stands in it but those who saw your records. As CSV it is one tidy table: section, record, at, field, value; a value
/// that a spreadsheet would take for a formula (it begins with `=`, `+`, `-` or `@`, be it full-width or behind blanks or
/// characters that nobody sees, and is no plain number) begins with an apostrophe there. As FHIR it holds what
/// therapist-led groups keep of memberships, signatures, attendances and measures, and not the whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct Export {
    pub exported_at: Moment,
    /// What each field of each section means, and in which unit it is.
    pub columns: BTreeMap<String, BTreeMap<String, String>>,
    pub account: ExportedAccount,
    pub groups: Vec<ExportedGroup>,
    pub standings: Vec<ExportedStanding>,
    pub licences: Vec<ExportedLicence>,
    pub memberships: Vec<ExportedMembership>,
    pub signatures: Vec<ExportedSignature>,
    pub attendances: Vec<ExportedAttendance>,
    pub pseudonyms: Vec<ExportedPseudonym>,
    pub measures: Vec<ExportedMeasure>,
    pub progress_entries: Vec<ExportedEntry>,
    pub goals: Vec<GoalRow>,
    /// Every wording that your goals had.
    pub goal_wordings: Vec<GoalWordingRow>,
    /// How far they were attained, as you and as your therapists saw it.
    pub goal_ratings: Vec<GoalRatingRow>,
    pub homework: Vec<HomeworkRow>,
    /// What you asked to have corrected, and what came of it.
    pub amendments: Vec<AmendmentRow>,
    pub check_ins: Vec<ExportedCheckIn>,
    pub topics: Vec<ExportedTopic>,
    pub topic_supports: Vec<ExportedSupport>,
    pub tips: Vec<ExportedTip>,
    pub services: Vec<ExportedService>,
    pub absences: Vec<ExportedAbsence>,
    pub term_offers: Vec<ExportedOffer>,
    pub breach_reports: Vec<ExportedReport>,
    pub consequences: Vec<ExportedConsequence>,
    pub referrals: Vec<ExportedReferral>,
    pub feeds: Vec<ExportedFeed>,
    pub sign_ins: Vec<ExportedSignIn>,
    /// To whom your records went.
    pub disclosures: Vec<OwnDisclosure>,
    /// Who saw your records.
    pub access_log: Vec<LoggedAccess>,
}

/// What is to be erased.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseRecords {
    /// One peer-led group of yours; all of them when not said.
    pub group: Option<Id>,
    /// That nothing brings it back, and that you have your export: `true`.
    pub understood: bool,
}

/// Your password once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseAccount {
    #[schema(value_type = String, max_length = 1024)]
    pub password: SecretString,
}

/// What was erased and what stays. It names nobody: it can be kept, and shown to whoever asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statement {
    pub made_at: Moment,
    /// How many memberships of peer-led groups are gone.
    pub groups: usize,
    /// How many records of each kind are gone, or lead to nobody any more.
    pub removed: BTreeMap<&'static str, usize>,
    /// What stays, and why; the same words for everybody.
    pub kept: Vec<Kept>,
    /// Keyed digest (HMAC-SHA-256) of the groups' counts and sums before, made for this statement alone: the sums
    /// themselves, less your own, would tell what the others said.
    pub totals_before: String,
    /// The same afterwards. Both are equal, or nothing would have been erased.
    pub totals_after: String,
}

/// Something that stays.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kept {
    pub what: &'static str,
    pub why: &'static str,
}

/// A statement, and the same signed.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedStatement {
    pub statement: Statement,
    /// The statement as a compact JWS (RFC 7515, Ed25519): `GET /v1/statements/key` gives the key, and
    /// `POST /v1/statements/checks` checks it.
    pub jws: String,
}

/// The public key that verifies statements, as a JWK (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKey {
    pub kty: &'static str,
    pub crv: &'static str,
    pub alg: &'static str,
    #[serde(rename = "use")]
    pub used_for: &'static str,
    /// The thumbprint of the key (RFC 7638).
    pub kid: String,
    pub x: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckStatement {
    pub jws: Text<1, 20000>,
}

/// Whether this installation made the statement, word for word.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckedStatement {
    pub valid: bool,
}

pub fn register(api: &mut Api) {
    api.heading("Leaving");
    api.get::<act::ExportOwnRecords, _, _>("/account/export", "Take all that is yours", export_own_records)
        .gives::<Export>()
        .also_as(CSV)
        .also_as(fhir::MEDIA)
        .also_as(HTML);
    api.post::<act::EraseOwnRecords, _, _>(
        "/account/erasures",
        "Erase what peer-led groups keep of you",
        erase_own_records,
    )
    .takes::<EraseRecords>(json!({"understood": true}))
    .gives::<SignedStatement>()
    .says("Take your records first (`GET /account/export`). Removes every link from the peer-led groups to you, and your texts; head counts and sums stay as they were, and the signed statement says what was removed and what has to be kept. Clinical records of therapist-led groups are kept as the law asks.");
    api.delete::<act::CloseAccount, _, _>("/account", "Close your account", close_account)
        .takes::<CloseAccount>(json!({"password": "the password of your account"}))
        .gives::<SignedStatement>()
        .also(429);
    api.get::<act::AskInPublic, _, _>("/statements/key", "Read the key that verifies statements", read_statement_key)
        .gives::<PublicKey>();
    api.post::<act::AskInPublic, _, _>("/statements/checks", "Check a statement", check_statement)
        .takes::<CheckStatement>(json!({"jws": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"}))
        .gives::<CheckedStatement>()
        .makes_nothing();
}

async fn export_own_records(db: Data<Db>, caller: Caller, request: HttpRequest) -> Answer {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let forms = ["application/json", CSV, fhir::MEDIA, HTML];
    // The first of those that the client wants most: JSON where it does not say.
    let wanted = forms.into_iter().rev().max_by_key(|media| weight(accept, media)).unwrap_or(forms[0]);
    db.read(move |connection| {
        let permit = authorize_own::<act::ExportOwnRecords>(connection, &caller)?;
        if wanted == fhir::MEDIA {
            return own_bundle(connection, &permit);
        }
        let export = read_everything(connection, &caller, &permit)?;
        match wanted {
            CSV => Ok(Reply::text("text/csv; charset=utf-8; header=present", csv(&export)?).named("export.csv")),
            HTML => Ok(Reply::text("text/html; charset=utf-8", page(&export)?).named("export.html")),
            _ => Ok(Reply::ok(&export)?.named("export.json")),
        }
    })
    .await
}

/// The export to print. Whose eyes it meets is not known: who saw the records stands in the other forms alone.
fn page(export: &Export) -> Result<String, Problem> {
    let unwritable = |_| Problem::Internal("an export cannot be written".into());
    let parts = serde_json::to_value(export).map_err(unwritable)?;
    let zone = &export.account.zone;
    let mut names = Names::in_zone(zone);
    for group in &export.groups {
        names.add(group.id, group.title.clone());
    }
    let goals =
        WorkedOn { goals: export.goals.clone(), goal_wordings: export.goal_wordings.clone(), ..WorkedOn::default() };
    let mut record = Record { worked_on: goals, ..Record::default() };
    names.add_goals(&record);
    for measure in &export.measures {
        // A measure has no id of its own in this export: this one ties its answers to its name.
        let (id, instrument) = (Id::random(), (measure.instrument.as_str(), measure.instrument_version.as_str()));
        names.add_measure(id, instrument, measure.taken_at);
        record.add_answers(id, id, instrument, &measure.answers);
    }
    let mut tables = Vec::new();
    for name in sections(export).into_iter().filter(|name| *name != "access_log") {
        // Answers have a table of their own, with what was asked.
        let columns: Vec<(String, String)> =
            export.columns[name].clone().into_iter().filter(|(column, _)| column != "answers").collect();
        let row = |record: &Value| columns.iter().map(|(column, _)| record[column].clone()).collect();
        let rows = records(&parts[name]).iter().map(row).collect();
        tables.push(Table { name: name.to_owned(), columns, rows });
        if name == "measures" {
            let mut answers = record.table(Part::Answers);
            answers.columns.remove(0);
            answers.rows.iter_mut().for_each(|row| drop(row.remove(0)));
            tables.push(answers);
        }
    }
    let facts = vec![("Taken out", names.time(export.exported_at)), ("Times in", zone.clone())];
    let heading = Heading { title: "What is kept about you", facts, notice: None };
    Ok(report(&heading, &tables, &names))
}

/// The names of the export's parts in the order in which they are read: who saw the records comes last.
fn sections(export: &Export) -> Vec<&str> {
    const ORDER: [&str; 16] = [
        "account",
        "groups",
        "standings",
        "licences",
        "memberships",
        "signatures",
        "attendances",
        "pseudonyms",
        "measures",
        "progress_entries",
        "goals",
        "goal_wordings",
        "goal_ratings",
        "homework",
        "amendments",
        "check_ins",
    ];
    let mut names: Vec<&str> = export.columns.keys().map(String::as_str).collect();
    let place = |name: &str| match name {
        "sign_ins" => ORDER.len() + 1,
        "disclosures" => ORDER.len() + 2,
        "access_log" => ORDER.len() + 3,
        name => ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len()),
    };
    names.sort_by_key(|name| place(name));
    names
}

fn read_everything(
    connection: &mut Connection,
    caller: &Caller,
    permit: &Permit<act::ExportOwnRecords>,
) -> Result<Export, Problem> {
    let own = leaving::list_own_members(connection, permit)?;
    let members: Vec<Id> = own.iter().map(|(member, _)| *member).collect();
    let standings = leaving::list_standings(connection, permit)?;
    let breach_reports = leaving::list_reports(connection, permit)?;
    let consequences = leaving::list_consequences(connection, permit, &members)?;
    let referrals = leaving::list_referrals(connection, permit)?;
    let groups: BTreeSet<Id> = own
        .iter()
        .map(|(_, group)| *group)
        .chain(standings.iter().filter_map(|standing| standing.group))
        .chain(breach_reports.iter().map(|report| report.group))
        .chain(consequences.iter().map(|consequence| consequence.group))
        .chain(referrals.iter().map(|referral| referral.group))
        .collect();
    let given = leaving::list_contributions(connection, permit, &own)?;
    let WorkedOn { goals, goal_wordings, goal_ratings, homework } =
        exports::list_own_work(connection, permit, &members)?;
    Ok(Export {
        exported_at: connection.now,
        columns: columns(),
        account: leaving::find_account(connection, permit)?,
        groups: leaving::list_groups(connection, permit, &groups)?,
        standings,
        licences: leaving::list_licences(connection, permit)?,
        memberships: leaving::list_memberships(connection, permit, &members)?,
        signatures: leaving::list_signatures(connection, permit, &members)?,
        attendances: leaving::list_attendances(connection, permit, &members)?,
        pseudonyms: leaving::list_pseudonyms(connection, permit, &own)?,
        measures: leaving::list_measures(connection, permit, &members)?,
        progress_entries: leaving::list_entries(connection, permit, &members)?,
        goals,
        goal_wordings,
        goal_ratings,
        homework,
        amendments: amendments::list_own(connection, permit, &members)?,
        check_ins: leaving::list_check_ins(connection, permit, &members)?,
        topics: given.topics,
        topic_supports: given.supports,
        tips: given.tips,
        services: leaving::list_services(connection, permit, &members)?,
        absences: leaving::list_absences(connection, permit, &members)?,
        term_offers: leaving::list_offers(connection, permit, &members)?,
        breach_reports,
        consequences,
        referrals,
        feeds: leaving::list_feeds(connection, permit)?,
        sign_ins: leaving::list_sign_ins(connection, permit)?,
        disclosures: own_disclosures(connection, permit)?,
        access_log: read_access_log(connection, caller)?,
    })
}

/// All that `GET /account/access-log` shows, in one piece.
fn read_access_log(connection: &mut Connection, caller: &Caller) -> Result<Vec<LoggedAccess>, Problem> {
    let permit = authorize_own::<act::ReadOwnAccount>(connection, caller)?;
    let mut log: Vec<LoggedAccess> = Vec::new();
    loop {
        let rows = access_log::list_own(connection, &permit, log.last().map(LoggedAccess::position), PAGE)?;
        let is_last = (rows.len() as i64) < PAGE;
        log.extend(rows.into_iter().map(LoggedAccess::from));
        if is_last {
            return Ok(log);
        }
    }
}

/// What each field of each section means: the words of the contract, so that both say the same.
fn columns() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut schemas = Vec::new();
    Export::schemas(&mut schemas);
    let schemas: BTreeMap<String, Value> =
        schemas.into_iter().filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?))).collect();
    let export = serde_json::to_value(Export::schema()).unwrap_or_default();
    let described = |section: &Value| -> Option<BTreeMap<String, String>> {
        let reference = section["$ref"].as_str().or(section["items"]["$ref"].as_str())?;
        let fields = schemas.get(reference.rsplit('/').next()?)?["properties"].as_object()?;
        let meaning = |field: &Value| {
            let said = field["description"].as_str();
            let of_parts = || field["oneOf"].as_array()?.iter().find_map(|part| part["description"].as_str());
            said.or_else(of_parts).unwrap_or_default().to_owned()
        };
        Some(fields.iter().map(|(name, field)| (name.clone(), meaning(field))).collect())
    };
    let sections = export["properties"].as_object().into_iter().flatten();
    sections.filter_map(|(name, section)| Some((name.clone(), described(section)?))).collect()
}

/// The export as one tidy table (RFC 4180).
fn csv(export: &Export) -> Result<String, Problem> {
    let unwritable = |_| Problem::Internal("an export cannot be written".into());
    let parts = serde_json::to_value(export).map_err(|_| unwritable(()))?;
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for section in sections(export) {
        for line in lines(section, &parts[section]) {
            writer.serialize(line).map_err(|_| unwritable(()))?;
        }
    }
    let bytes = writer.into_inner().map_err(|_| unwritable(()))?;
    String::from_utf8(bytes).map_err(|_| unwritable(()))
}

async fn erase_own_records(db: Data<Db>, caller: Caller, command: Command<EraseRecords>) -> Answer {
    db.write(move |connection| {
        let permit = authorize_own::<act::EraseOwnRecords>(connection, &caller)?;
        command.once(connection, &permit, |connection, request| {
            check_understood(request.understood)?;
            let erased = leaving::erase(connection, &permit, request.group)?;
            Reply::ok(&state(connection, erased)?)
        })
    })
    .await
}

async fn close_account(
    db: Data<Db>,
    passwords: Data<Passwords>,
    caller: Caller,
    command: Command<CloseAccount>,
) -> Answer {
    // Whether the sign-in is live comes before what is wrong with the body.
    db.read(move |connection| authorize_own::<act::CloseAccount>(connection, &caller).map(|_| ())).await?;
    let request = command.body()?;
    verify_own(&db, &passwords, caller, request.password, "/password").await?;
    db.write(move |connection| {
        let permit = authorize_own::<act::CloseAccount>(connection, &caller)?;
        standings::check_can_go(connection, &permit)?;
        if emergency_accesses::awaits_review(connection, &permit)? {
            return Err(Problem::Conflict(
                "An emergency access of yours waits for its review: until then it has to be known who you are.".into(),
            ));
        }
        standings::end_all_own(connection, &permit)?;
        let erased = leaving::close_account(connection, &permit)?;
        Reply::ok(&state(connection, erased)?)
    })
    .await
}

/// Says what was done, and signs it.
fn state(connection: &Connection, erased: Erased) -> Result<SignedStatement, Problem> {
    let made_at = connection.now;
    let (totals_before, totals_after) = erased.digests(connection, made_at);
    let statement = Statement {
        made_at,
        groups: erased.groups,
        removed: erased.removed,
        kept: KEPT.into_iter().map(|(what, why)| Kept { what, why }).collect(),
        totals_before,
        totals_after,
    };
    let jws = connection.installation().statements.sign(&statement)?;
    Ok(SignedStatement { statement, jws })
}

async fn read_statement_key(db: Data<Db>) -> Answer {
    let key = &db.installation().statements;
    Reply::ok(&PublicKey {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        used_for: "sig",
        kid: key.id.clone(),
        x: key.public.clone(),
    })
}

async fn check_statement(db: Data<Db>, command: Command<CheckStatement>) -> Answer {
    let request = command.body()?;
    Reply::ok(&CheckedStatement { valid: db.installation().statements.verifies(request.jws.as_str()) })
}
