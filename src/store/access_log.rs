//! The access log: who did what to whose record, refused attempts too; ids and actions, never content.
//!
//! Each run of a server keeps its own chain: every entry's keyed hash covers the entry before it, and the chain's
//! row seals how long it is and where it ends. A new chain notes the heads of the others, so that a chain that is
//! cut off or gone is missed by the next one.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    accounts,
    columns::Json,
    connection::{Connection, Database, Location, insert_many},
    disclosures, keys, members as kept_members,
    permit::Permit,
    schema::{access_chains, access_entries, groups, members},
    sealing::Masters,
};
use crate::{
    policy::{Action, Kind, Standing, act},
    problem::Problem,
    values::{Id, Moment},
};

/// One access, before it is chained.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub at: Moment,
    pub account_id: Id,
    pub action: Action,
    pub allowed: bool,
    pub standing: Option<Standing>,
    pub organization_id: Option<Id>,
    pub group_id: Option<Id>,
    pub member_id: Option<Id>,
    pub record_id: Option<Id>,
    /// The emergency access under which it was done.
    pub emergency_id: Option<Id>,
}

/// One access, as it is kept.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
// Written out, nulls too: only then is a batch one statement on SQLite.
#[diesel(table_name = access_entries, treat_none_as_default_value = false)]
pub struct Kept {
    pub chain_id: Id,
    pub sequence: i64,
    pub at: Moment,
    pub account_id: Id,
    pub action: String,
    pub allowed: bool,
    pub standing: Option<Standing>,
    pub organization_id: Option<Id>,
    pub group_id: Option<Id>,
    pub member_id: Option<Id>,
    pub record_id: Option<Id>,
    hash: Vec<u8>,
    pub emergency_id: Option<Id>,
}

impl Kept {
    fn hash_after(&self, before: &[u8], key: &hmac::Key) -> Vec<u8> {
        let mut context = hmac::Context::with_key(key);
        let id = |id: Option<Id>| id.map_or([0xff; 16], |id| *id.0.as_bytes());
        // Every field has a fixed length or its length before it, so that no two entries read the same.
        context.update(before);
        context.update(self.chain_id.0.as_bytes());
        context.update(&self.sequence.to_be_bytes());
        context.update(&self.at.0.to_be_bytes());
        context.update(self.account_id.0.as_bytes());
        context.update(&[self.action.len() as u8]);
        context.update(self.action.as_bytes());
        context.update(&[u8::from(self.allowed), self.standing.map_or(255, |standing| standing as u8)]);
        for part in [self.organization_id, self.group_id, self.member_id, self.record_id] {
            context.update(&[u8::from(part.is_some())]);
            context.update(&id(part));
        }
        // Only where there is one: entries from before there were any keep their hash, and a longer text than theirs is
        // none of them.
        if let Some(emergency) = self.emergency_id {
            context.update(emergency.0.as_bytes());
        }
        context.sign().as_ref().to_vec()
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = access_chains)]
struct ChainRow {
    id: Id,
    started_at: Moment,
    predecessors: Json,
    length: i64,
    head: Vec<u8>,
    seal: Vec<u8>,
}

/// How long another chain was, and where it ended, when this one began.
#[derive(Debug, Serialize, Deserialize)]
struct Predecessor {
    chain: Id,
    length: i64,
    head: String,
}

/// This server's chain.
#[derive(Clone)]
pub(super) struct Chain {
    id: Id,
    started_at: Moment,
    predecessors: Json,
    length: i64,
    head: Vec<u8>,
}

impl Chain {
    pub fn begin(database: &mut Database, key: &hmac::Key, now: Moment) -> Result<Chain, Problem> {
        // The newest chains are enough: each of them notes those before it.
        let rows: Vec<ChainRow> = access_chains::table
            .order((access_chains::started_at.desc(), access_chains::id.desc()))
            .limit(16)
            .select(ChainRow::as_select())
            .load(database)?;
        let predecessors: Vec<Predecessor> = rows
            .into_iter()
            .map(|row| Predecessor { chain: row.id, length: row.length, head: HEXLOWER.encode(&row.head) })
            .collect();
        let chain = Chain {
            id: Id::in_order(),
            started_at: now,
            predecessors: Json::of(&predecessors),
            length: 0,
            head: Vec::new(),
        };
        diesel::insert_into(access_chains::table)
            .values((
                access_chains::id.eq(chain.id),
                access_chains::started_at.eq(chain.started_at),
                access_chains::predecessors.eq(chain.predecessors.clone()),
                access_chains::length.eq(0),
                access_chains::head.eq(Vec::<u8>::new()),
                access_chains::seal.eq(chain.seal(key)),
            ))
            .execute(database)?;
        Ok(chain)
    }

    fn seal(&self, key: &hmac::Key) -> Vec<u8> {
        hmac::sign(key, &self.sealed_bytes()).as_ref().to_vec()
    }

    /// All that the seal covers.
    fn sealed_bytes(&self) -> Vec<u8> {
        let mut bytes = b"chain".to_vec();
        bytes.extend_from_slice(self.id.0.as_bytes());
        bytes.extend_from_slice(&self.started_at.0.to_be_bytes());
        bytes.extend_from_slice(&(self.predecessors.0.len() as u64).to_be_bytes());
        bytes.extend_from_slice(self.predecessors.0.as_bytes());
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes.extend_from_slice(&self.head);
        bytes
    }

    /// Adds entries in the transaction that is open; the caller throws the chain away when it does not commit.
    pub fn append(&mut self, database: &mut Database, key: &hmac::Key, entries: Vec<Entry>) -> Result<(), Problem> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            self.length += 1;
            let mut row = Kept {
                chain_id: self.id,
                sequence: self.length,
                at: entry.at,
                account_id: entry.account_id,
                action: entry.action.as_str().to_owned(),
                allowed: entry.allowed,
                standing: entry.standing,
                organization_id: entry.organization_id,
                group_id: entry.group_id,
                member_id: entry.member_id,
                record_id: entry.record_id,
                hash: Vec::new(),
                emergency_id: entry.emergency_id,
            };
            row.hash = row.hash_after(&self.head, key);
            self.head.clone_from(&row.hash);
            rows.push(row);
        }
        insert_many!(database, access_entries::table, &rows)?;
        diesel::update(access_chains::table.filter(access_chains::id.eq(self.id)))
            .set((
                access_chains::length.eq(self.length),
                access_chains::head.eq(self.head.clone()),
                access_chains::seal.eq(self.seal(key)),
            ))
            .execute(database)?;
        Ok(())
    }
}

/// What `verify-log` found.
#[derive(Debug, Default)]
pub struct Verdict {
    pub chains: usize,
    pub entries: i64,
    /// What is wrong, one sentence each; empty when the log is whole.
    pub faults: Vec<String>,
    /// The newest chain's length and head: noted elsewhere, they also show a log that was set back as a whole.
    pub newest: Option<(Id, i64, String)>,
}

/// Reads every chain of a database and says what was changed, removed, reordered or cut off. Begins no chain itself.
///
/// # Errors
/// When the database cannot be read, or its installation key does not open under the master key.
pub fn verify_at(location: &Location, masters: &Masters) -> Result<Verdict, Problem> {
    // SQLite would make the file that it is asked to read.
    if let Some(file) = location.file()
        && !std::path::Path::new(file).exists()
    {
        return Err(Problem::Internal(format!("there is no database at {file}")));
    }
    let mut database = location
        .connect(false)
        .map_err(|error| Problem::Internal(format!("the database cannot be opened: {error}")))?;
    let key = keys::find_installation(&mut database, masters)?.log;
    verify(&mut database, &key)
}

fn verify(database: &mut Database, key: &hmac::Key) -> Result<Verdict, Problem> {
    let chains: Vec<ChainRow> = access_chains::table
        .order((access_chains::started_at, access_chains::id))
        .select(ChainRow::as_select())
        .load(database)?;
    let mut verdict = Verdict { chains: chains.len(), ..Verdict::default() };
    for row in &chains {
        let chain = Chain {
            id: row.id,
            started_at: row.started_at,
            predecessors: row.predecessors.clone(),
            length: row.length,
            head: row.head.clone(),
        };
        if hmac::verify(key, &chain.sealed_bytes(), &row.seal).is_err() {
            verdict.faults.push(format!("chain {}: its length, head or beginning was changed", row.id));
        }
        verify_entries(database, key, row, &mut verdict)?;
        for before in row.predecessors.value::<Vec<Predecessor>>() {
            match chains.iter().find(|chain| chain.id == before.chain) {
                None => verdict.faults.push(format!("chain {} is gone; chain {} began after it", before.chain, row.id)),
                Some(chain) if chain.length < before.length => {
                    verdict.faults.push(format!("chain {} was set back to {} entries", chain.id, chain.length));
                }
                Some(_) => verify_head(database, &before, &mut verdict)?,
            }
        }
    }
    let kept: i64 = access_entries::table.count().get_result(database)?;
    if kept != verdict.entries {
        verdict.faults.push(format!("{} entries stand outside every chain", kept - verdict.entries));
    }
    if chains.is_empty() {
        verdict.faults.push("there is no chain at all: every start of a server begins one".into());
    }
    // The newest one that holds something: a command beside a running server begins a chain without entries.
    let newest = chains.iter().rev().find(|row| row.length > 0).or(chains.last());
    verdict.newest = newest.map(|row| (row.id, row.length, HEXLOWER.encode(&row.head)));
    Ok(verdict)
}

fn verify_entries(
    database: &mut Database,
    key: &hmac::Key,
    chain: &ChainRow,
    verdict: &mut Verdict,
) -> Result<(), Problem> {
    let mut head = Vec::new();
    let mut expected = 1;
    loop {
        let entries: Vec<Kept> = access_entries::table
            .filter(access_entries::chain_id.eq(chain.id).and(access_entries::sequence.ge(expected)))
            .order(access_entries::sequence)
            .limit(5_000)
            .select(Kept::as_select())
            .load(database)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            verdict.entries += 1;
            if entry.sequence != expected {
                verdict.faults.push(format!(
                    "chain {}: entries {expected} to {} are missing",
                    chain.id,
                    entry.sequence - 1
                ));
                expected = entry.sequence;
            }
            if entry.hash_after(&head, key) != entry.hash {
                verdict
                    .faults
                    .push(format!("chain {}: entry {expected} does not follow from the one before it", chain.id));
            }
            head = entry.hash;
            expected += 1;
        }
    }
    if expected - 1 != chain.length || head != chain.head {
        verdict.faults.push(format!("chain {}: ends at entry {} instead of {}", chain.id, expected - 1, chain.length));
    }
    Ok(())
}

fn verify_head(database: &mut Database, before: &Predecessor, verdict: &mut Verdict) -> Result<(), Problem> {
    if before.length == 0 {
        return Ok(());
    }
    let hash: Option<Vec<u8>> = access_entries::table
        .find((before.chain, before.length))
        .select(access_entries::hash)
        .first(database)
        .optional()?;
    if hash.is_none_or(|hash| HEXLOWER.encode(&hash) != before.head) {
        verdict
            .faults
            .push(format!("chain {}: entry {} is not the one that a later chain saw", before.chain, before.length));
    }
    Ok(())
}

/// A position in the log's order of time.
pub type Position = (Moment, Id, i64);

/// What happened in an organization, newest first, for its privacy officer.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadAccessLog>,
    member: Option<Id>,
    emergency: Option<Id>,
    before: Option<Position>,
    limit: i64,
) -> Result<Vec<Kept>, Problem> {
    let mut query = access_entries::table
        .filter(access_entries::organization_id.eq(permit.organization()))
        .order((access_entries::at.desc(), access_entries::chain_id.desc(), access_entries::sequence.desc()))
        .limit(limit)
        .select(Kept::as_select())
        .into_boxed();
    if let Some(member) = member {
        query = query.filter(access_entries::member_id.eq(member));
    }
    if let Some(emergency) = emergency {
        query = query.filter(access_entries::emergency_id.eq(emergency));
    }
    if let Some(position) = before {
        query = query.filter(older_than(position));
    }
    Ok(query.load(connection.with(permit))?)
}

/// What was done under an emergency access, oldest first.
pub fn list_of_emergency(
    connection: &mut Connection,
    permit: &Permit<act::ReadEmergencyAccesses>,
    emergency: Id,
    limit: i64,
) -> Result<Vec<Kept>, Problem> {
    Ok(access_entries::table
        .filter(access_entries::emergency_id.eq(emergency))
        .filter(access_entries::organization_id.eq(permit.organization()))
        .order((access_entries::at, access_entries::chain_id, access_entries::sequence))
        .limit(limit)
        .select(Kept::as_select())
        .load(connection.with(permit))?)
}

/// An access that concerns the caller, and who it was as far as they may know: in a peer-led group by the name that
/// somebody has there, or had, and never by the account.
pub struct Concerning {
    pub kept: Kept,
    pub account: Option<Id>,
    pub name: Option<String>,
}

/// What was done about a risk mark, and a review before a session.
const LOOKS: [Action; 5] =
    [Action::ReadRisks, Action::AcknowledgeRisk, Action::AssessRisk, Action::AssignRisk, Action::ReviewMember];

/// The entry as the member reads it whom it concerns.
///
/// No member reads risk marks (nor what was noted on them), and an entry must not tell them by the way: from the exact
/// actions they would know that a mark exists, from the records how many there are, and from the order how far each has
/// come and whether it was assessed or handed on. Somebody who learns that an answer sets people in motion may leave it
/// out next time. Who looked and when is theirs to know and stays: each of these is shown as `ReviewMember`, which
/// therapists do before every session of everybody, and without a record. The privacy officer reads what was done.
fn as_members_read(kept: Kept) -> Kept {
    match LOOKS.iter().any(|look| look.as_str() == kept.action) {
        true => Kept { action: Action::ReviewMember.as_str().to_owned(), record_id: None, ..kept },
        false => kept,
    }
}

/// What others did that concerns the caller, newest first: entries that name one of their memberships, and those
/// that reached a whole group's records while they were in it. What was done about risk marks is told as a look.
pub fn list_own(
    connection: &mut Connection,
    permit: &Permit<act::ReadOwnAccount>,
    before: Option<Position>,
    limit: i64,
) -> Result<Vec<Concerning>, Problem> {
    let account = permit.account();
    let mine: Vec<(Id, Id, Moment, Kind)> = members::table
        .inner_join(groups::table.on(groups::id.eq(members::group_id)))
        .filter(members::account_id.eq(account))
        .select((members::id, members::group_id, members::created_at, groups::kind))
        .load(connection.with(permit))?;
    let of_peers: Vec<Id> = mine.iter().filter(|own| own.3 == Kind::PeerLed).map(|own| own.1).collect();
    let for_all: Vec<&'static str> =
        Action::ALL.iter().filter(|action| action.opens_members_records()).map(|action| action.as_str()).collect();
    let own: Vec<Id> = mine.iter().map(|own| own.0).collect();
    // Each membership for itself: what was done in a group before somebody came is not theirs to read.
    let concerning = mine.into_iter().map(|(member, group, since, _)| -> Condition {
        let for_all = access_entries::member_id.is_null().and(access_entries::action.eq_any(for_all.clone()));
        Box::new(
            access_entries::group_id
                .eq(group)
                .and(access_entries::at.ge(since))
                .and(access_entries::member_id.eq(member).or(for_all))
                .assume_not_null(),
        )
    });
    let Some(concerning) = concerning.reduce(|one, other| Box::new(one.or(other))) else { return Ok(Vec::new()) };
    let withheld = disclosures::list_withheld(connection, permit, &own)?;
    let mut query = access_entries::table
        .filter(concerning)
        .filter(access_entries::allowed.eq(true))
        .filter(access_entries::account_id.ne(account))
        .order((access_entries::at.desc(), access_entries::chain_id.desc(), access_entries::sequence.desc()))
        .limit(limit)
        .select(Kept::as_select())
        .into_boxed();
    if let Some(position) = before {
        query = query.filter(older_than(position));
    }
    // A disclosure that an agency asked not to be told of is one request with its entry here, of one moment.
    let takes_out = [Action::ExportMemberRecord, Action::ExportGroupRecord].map(Action::as_str);
    for (group, account, at) in withheld {
        let is_of_it = access_entries::at
            .eq(at)
            .and(access_entries::account_id.eq(account))
            .and(access_entries::action.eq_any(takes_out))
            .and(access_entries::group_id.eq(group).assume_not_null());
        query = query.filter(diesel::dsl::not(is_of_it));
    }
    let rows: Vec<Kept> = query.load(connection.with(permit))?;
    let accounts: Vec<Id> = rows.iter().map(|row| row.account_id).collect();
    let members =
        kept_members::list_of_accounts(connection, &permit.in_groups(of_peers.clone()), &of_peers, &accounts)?;
    let names = accounts::list_names(connection, permit, accounts)?;
    let shown = |kept: Kept| {
        let of_peers = kept.group_id.filter(|group| of_peers.contains(group));
        let member = of_peers.and_then(|group| members.get(&(group, kept.account_id)));
        let name = member.map(|member| &member.name).or_else(|| names.get(&kept.account_id)).cloned();
        Concerning { account: of_peers.is_none().then_some(kept.account_id), name, kept: as_members_read(kept) }
    };
    Ok(rows.into_iter().map(shown).collect())
}

type Condition = Box<
    dyn diesel::expression::BoxableExpression<
            access_entries::table,
            super::database::MultiBackend,
            SqlType = diesel::sql_types::Bool,
        >,
>;

fn older_than((at, chain, sequence): Position) -> Condition {
    Box::new(
        access_entries::at.lt(at).or(access_entries::at.eq(at).and(
            access_entries::chain_id
                .lt(chain)
                .or(access_entries::chain_id.eq(chain).and(access_entries::sequence.lt(sequence))),
        )),
    )
}
