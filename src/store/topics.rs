//! Topics and tips of a peer-led group. Whose they are is a keyed hash, and when they came only a day.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use diesel::{dsl::count_star, prelude::*};

use super::{
    columns::{Sealed, word_columns},
    connection::{Connection, insert_unless_there},
    idempotency, members,
    permit::{Permit, concerns},
    schema::{members as belonging, tips, topic_supports, topics},
    sealing::Place,
};
use crate::{
    policy::{Kind, act, area},
    problem::Problem,
    rules::{members::State as Membership, sessions, topics::State},
    values::{Day, Id},
};

const TEXT: &str = "topics.text";
const TIP: &str = "tips.text";
const LINK: &str = "tips.link";

word_columns!(State);

/// A proposed subject, without who proposed or supports it.
#[derive(Clone, Debug)]
pub struct Topic {
    pub id: Id,
    pub text: String,
    pub state: State,
    /// The session for which it was chosen.
    pub session: Option<Id>,
    pub rank: Rank,
    /// Whether the caller supports it.
    pub is_supported: bool,
    /// Whether the caller proposed it.
    pub is_own: bool,
}

/// Where a topic stands in its list: the most supported first, then the oldest day, then a random id.
pub type Rank = (Reverse<i64>, Day, Id);

/// Something that worked for a member.
#[derive(Clone, Debug)]
pub struct Tip {
    pub id: Id,
    pub text: String,
    pub link: Option<String>,
    pub given_on: Day,
    /// The author's name, where they want it shown and still belong to the group.
    pub by: Option<String>,
    pub is_own: bool,
}

/// What a member gives.
pub struct NewTip<'a> {
    pub text: &'a str,
    pub link: Option<&'a str>,
    pub show_my_name: bool,
}

/// The mark of the caller's own rows in `table`; `None` for those who never were members.
fn own_mark<A: area::Group>(connection: &Connection, permit: &Permit<A>, table: &str) -> Option<Vec<u8>> {
    permit.own_member().map(|member| members::mark(connection, table, member))
}

/// Today, where the group is.
fn today<A: area::Group>(connection: &Connection, permit: &Permit<A>) -> Day {
    connection.now.day_in(permit.zone())
}

/// Keeps a proposal of the caller.
pub fn insert(connection: &mut Connection, permit: &Permit<act::ProposeTopic>, text: &str) -> Result<Topic, Problem> {
    let (id, group) = (Id::random(), permit.group());
    let proposed_on = today(connection, permit);
    let sealed = connection.keys([group])?.of(group)?.seal(Place(TEXT, id), text);
    diesel::insert_into(topics::table)
        .values((
            topics::id.eq(id),
            topics::group_id.eq(group),
            topics::text.eq(sealed),
            topics::state.eq(State::Proposed),
            topics::owner.eq(own_mark(connection, permit, "topics")),
            topics::proposed_on.eq(proposed_on),
            topics::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    Ok(Topic {
        id,
        text: text.to_owned(),
        state: State::Proposed,
        session: None,
        rank: (Reverse(0), proposed_on, id),
        is_supported: false,
        is_own: true,
    })
}

/// How many of the caller's own proposals wait.
pub fn count_own(connection: &mut Connection, permit: &Permit<act::ProposeTopic>) -> Result<i64, Problem> {
    let own = own_mark(connection, permit, "topics");
    Ok(topics::table
        .filter(topics::group_id.eq(permit.group()))
        .filter(topics::state.eq(State::Proposed))
        .filter(topics::owner.eq(own))
        .count()
        .get_result(connection.with(permit))?)
}

/// The group's topics in a state, in their order after `after`. What was withdrawn is not listed.
pub fn list(
    connection: &mut Connection,
    permit: &Permit<act::ReadTopics>,
    state: State,
    after: Option<Rank>,
    limit: usize,
) -> Result<Vec<Topic>, Problem> {
    let rows: Vec<(Id, Day)> = topics::table
        .filter(topics::group_id.eq(permit.group()))
        .filter(topics::state.eq(state))
        .filter(topics::text.is_not_null())
        .select((topics::id, topics::proposed_on))
        .load(connection.with(permit))?;
    let supporters: Vec<(Id, i64)> = topics::table
        .inner_join(topic_supports::table.on(topic_supports::topic_id.eq(topics::id)))
        .filter(topics::group_id.eq(permit.group()))
        .filter(topics::state.eq(state))
        .group_by(topics::id)
        .select((topics::id, count_star()))
        .load(connection.with(permit))?;
    let supporters: HashMap<Id, i64> = supporters.into_iter().collect();
    let mut ranks: Vec<Rank> =
        rows.into_iter().map(|(id, on)| (Reverse(supporters.get(&id).copied().unwrap_or(0)), on, id)).collect();
    ranks.sort_unstable();
    ranks.retain(|rank| after.is_none_or(|after| *rank > after));
    ranks.truncate(limit);
    open(connection, permit, &ranks)
}

/// The topics of these ranks, in their order.
fn open<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    ranks: &[Rank],
) -> Result<Vec<Topic>, Problem> {
    type Row = (Id, Option<Sealed>, State, Option<Id>, Option<Vec<u8>>);
    let group = permit.group();
    let ids: Vec<Id> = ranks.iter().map(|(.., id)| *id).collect();
    let rows: Vec<Row> = topics::table
        .filter(topics::id.eq_any(&ids))
        .filter(topics::group_id.eq(group))
        .select((topics::id, topics::text, topics::state, topics::session_id, topics::owner))
        .load(connection.with(permit))?;
    let supported: HashSet<Id> = match own_mark(connection, permit, "topic_supports") {
        Some(own) => topic_supports::table
            .filter(topic_supports::topic_id.eq_any(&ids))
            .filter(topic_supports::owner.eq(own))
            .select(topic_supports::topic_id)
            .load(connection.with(permit))?
            .into_iter()
            .collect(),
        None => HashSet::new(),
    };
    let own = own_mark(connection, permit, "topics");
    let keys = connection.keys([group])?;
    let mut found = HashMap::with_capacity(rows.len());
    for (id, text, state, session, owner) in rows {
        let Some(text) = text else { continue };
        let text = keys.of(group)?.open(Place(TEXT, id), &text)?;
        let is_own = owner.is_some() && owner == own;
        found.insert(id, (text, state, session, is_own));
    }
    let topics = ranks.iter().filter_map(|rank| {
        let id = rank.2;
        let (text, state, session, is_own) = found.remove(&id)?;
        Some(Topic { id, text, state, session, rank: *rank, is_supported: supported.contains(&id), is_own })
    });
    Ok(topics.collect())
}

/// One topic of the group.
///
/// # Errors
/// `NotFound` for one that was withdrawn, too.
pub fn find<A: area::Group>(connection: &mut Connection, permit: &Permit<A>, id: Id) -> Result<Topic, Problem> {
    concerns(connection, permit, None, Some(id));
    let proposed_on: Day = topics::table
        .filter(topics::id.eq(id))
        .filter(topics::group_id.eq(permit.group()))
        .filter(topics::text.is_not_null())
        .select(topics::proposed_on)
        .first(connection.with(permit))?;
    let supporters: i64 =
        topic_supports::table.filter(topic_supports::topic_id.eq(id)).count().get_result(connection.with(permit))?;
    open(connection, permit, &[(Reverse(supporters), proposed_on, id)])?.pop().ok_or(Problem::NotFound)
}

/// Adds the caller's support, once.
pub fn insert_support(
    connection: &mut Connection,
    permit: &Permit<act::SupportTopic>,
    topic: Id,
) -> Result<(), Problem> {
    let own = own_mark(connection, permit, "topic_supports").ok_or(Problem::NotFound)?;
    let row = (
        topic_supports::topic_id.eq(topic),
        topic_supports::owner.eq(own),
        topic_supports::group_id.eq(permit.group()),
    );
    insert_unless_there!(connection.with(permit), topic_supports::table, row)?;
    Ok(())
}

/// Takes the caller's support back, where there is one.
pub fn remove_support(
    connection: &mut Connection,
    permit: &Permit<act::SupportTopic>,
    topic: Id,
) -> Result<(), Problem> {
    let own = own_mark(connection, permit, "topic_supports").ok_or(Problem::NotFound)?;
    diesel::delete(
        topic_supports::table
            .filter(topic_supports::topic_id.eq(topic))
            .filter(topic_supports::owner.eq(own))
            .filter(topic_supports::group_id.eq(permit.group())),
    )
    .execute(connection.with(permit))?;
    Ok(())
}

/// Chooses a topic for a session, or lets it wait again.
pub fn update_choice(
    connection: &mut Connection,
    permit: &Permit<act::ChooseTopic>,
    topic: Id,
    session: Option<Id>,
) -> Result<(), Problem> {
    let state = if session.is_some() { State::Chosen } else { State::Proposed };
    let waiting = [State::Proposed, State::Chosen];
    let changed = diesel::update(
        topics::table
            .filter(topics::id.eq(topic))
            .filter(topics::group_id.eq(permit.group()))
            .filter(topics::state.eq_any(waiting)),
    )
    .set((topics::state.eq(state), topics::session_id.eq(session), topics::version.eq(topics::version + 1)))
    .execute(connection.with(permit))?;
    if changed == 0 { Err(Problem::Conflict("The topic was withdrawn meanwhile.".into())) } else { Ok(()) }
}

/// What was chosen for a session that is held has been talked about; after a cancelled one it waits again.
pub(super) fn follow_session<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    session: Id,
    state: sessions::State,
) -> Result<(), Problem> {
    if permit.kind() != Kind::PeerLed {
        return Ok(());
    }
    let (state, kept) = match state {
        sessions::State::Held => (State::TalkedAbout, Some(session)),
        sessions::State::Cancelled => (State::Proposed, None),
        sessions::State::Scheduled => return Ok(()),
    };
    diesel::update(
        topics::table
            .filter(topics::session_id.eq(session))
            .filter(topics::group_id.eq(permit.group()))
            .filter(topics::state.eq(State::Chosen)),
    )
    .set((topics::state.eq(state), topics::session_id.eq(kept), topics::version.eq(topics::version + 1)))
    .execute(connection.with(permit))?;
    Ok(())
}

/// Refuses a row of somebody else as if it did not exist, where the permit reaches only one's own.
fn reaches_mark<A: area::Group>(
    connection: &Connection,
    permit: &Permit<A>,
    table: &str,
    owner: Option<Vec<u8>>,
) -> Result<(), Problem> {
    match permit.only_member()? {
        Some(own) if owner != Some(members::mark(connection, table, own)) => Err(Problem::NotFound),
        _ => Ok(()),
    }
}

/// Takes a topic back: its text and its supporters are gone.
///
/// # Errors
/// `NotFound` for somebody else's, where the permit reaches only one's own.
pub fn withdraw(connection: &mut Connection, permit: &Permit<act::WithdrawTopic>, id: Id) -> Result<(), Problem> {
    concerns(connection, permit, None, Some(id));
    let topic = topics::table.filter(topics::id.eq(id)).filter(topics::group_id.eq(permit.group()));
    let owner: Option<Vec<u8>> = topic.select(topics::owner).first(connection.with(permit))?;
    reaches_mark(connection, permit, "topics", owner)?;
    diesel::update(topic)
        .set((
            topics::state.eq(State::Withdrawn),
            topics::text.eq(None::<Sealed>),
            topics::session_id.eq(None::<Id>),
            topics::version.eq(topics::version + 1),
        ))
        .execute(connection.with(permit))?;
    diesel::delete(topic_supports::table.filter(topic_supports::topic_id.eq(id))).execute(connection.with(permit))?;
    idempotency::empty(connection, permit, permit.group())
}

/// Keeps what worked for the caller; their membership only where they want to be named.
pub fn insert_tip(connection: &mut Connection, permit: &Permit<act::GiveTip>, tip: &NewTip) -> Result<Tip, Problem> {
    let (id, group) = (Id::random(), permit.group());
    let given_on = today(connection, permit);
    let named = permit.own_member().filter(|_| tip.show_my_name);
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    diesel::insert_into(tips::table)
        .values((
            tips::id.eq(id),
            tips::group_id.eq(group),
            tips::text.eq(key.seal(Place(TIP, id), tip.text)),
            tips::link.eq(tip.link.map(|link| key.seal(Place(LINK, id), link))),
            tips::owner.eq(own_mark(connection, permit, "tips")),
            tips::member_id.eq(named),
            tips::given_on.eq(given_on),
            tips::version.eq(1),
        ))
        .execute(connection.with(permit))?;
    let by = list_authors(connection, permit, named.into_iter().collect())?.into_values().next();
    Ok(Tip { id, text: tip.text.to_owned(), link: tip.link.map(str::to_owned), given_on, by, is_own: true })
}

/// The group's tips, the newest day first, before `before`.
pub fn list_tips(
    connection: &mut Connection,
    permit: &Permit<act::ReadTips>,
    before: Option<(Day, Id)>,
    limit: i64,
) -> Result<Vec<Tip>, Problem> {
    type Row = (Id, Option<Sealed>, Option<Sealed>, Option<Vec<u8>>, Option<Id>, Day);
    let group = permit.group();
    let mut query = tips::table
        .filter(tips::group_id.eq(group))
        .filter(tips::text.is_not_null())
        .order((tips::given_on.desc(), tips::id.desc()))
        .limit(limit)
        .select((tips::id, tips::text, tips::link, tips::owner, tips::member_id, tips::given_on))
        .into_boxed();
    if let Some((on, id)) = before {
        query = query.filter(tips::given_on.lt(on).or(tips::given_on.eq(on).and(tips::id.lt(id))));
    }
    let rows: Vec<Row> = query.load(connection.with(permit))?;
    let names = list_authors(connection, permit, rows.iter().filter_map(|row| row.4).collect())?;
    let own = own_mark(connection, permit, "tips");
    let keys = connection.keys([group])?;
    let key = keys.of(group)?;
    let mut found = Vec::with_capacity(rows.len());
    for (id, text, link, owner, member, given_on) in rows {
        let Some(text) = text else { continue };
        found.push(Tip {
            id,
            text: key.open(Place(TIP, id), &text)?,
            link: link.map(|link| key.open(Place(LINK, id), &link)).transpose()?,
            given_on,
            by: member.and_then(|member| names.get(&member).cloned()),
            is_own: owner.is_some() && owner == own,
        });
    }
    Ok(found)
}

/// The names of those of these members who still belong to the group: who has left is named no more.
fn list_authors<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    authors: Vec<Id>,
) -> Result<HashMap<Id, String>, Problem> {
    if authors.is_empty() {
        return Ok(HashMap::new());
    }
    let present: Vec<Membership> = Membership::ALL.iter().copied().filter(|state| state.takes_a_place()).collect();
    let here: Vec<Id> = belonging::table
        .filter(belonging::id.eq_any(&authors))
        .filter(belonging::group_id.eq(permit.group()))
        .filter(belonging::state.eq_any(present))
        .select(belonging::id)
        .load(connection.with(permit))?;
    members::list_names(connection, permit, &here)
}

/// Takes a tip back: its text, its link and its author's name are gone.
///
/// # Errors
/// `NotFound` for somebody else's, where the permit reaches only one's own.
pub fn withdraw_tip(connection: &mut Connection, permit: &Permit<act::WithdrawTip>, id: Id) -> Result<(), Problem> {
    concerns(connection, permit, None, Some(id));
    let tip = tips::table.filter(tips::id.eq(id)).filter(tips::group_id.eq(permit.group()));
    let owner: Option<Vec<u8>> = tip.select(tips::owner).first(connection.with(permit))?;
    reaches_mark(connection, permit, "tips", owner)?;
    diesel::update(tip)
        .set((
            tips::text.eq(None::<Sealed>),
            tips::link.eq(None::<Sealed>),
            tips::member_id.eq(None::<Id>),
            tips::version.eq(tips::version + 1),
        ))
        .execute(connection.with(permit))?;
    Ok(())
}
