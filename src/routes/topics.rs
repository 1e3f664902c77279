//! Topics and tips: what a peer-led group could talk about, and what worked for its members. Never what somebody said.

use std::cmp::Reverse;

use actix_web::{
    http::Uri,
    web::{Data, Path},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Command, Nothing, Paging, Query, Reply},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::{act, area},
    problem::Problem,
    rules::{
        groups::State as GroupState,
        topics::{State, check_proposing, check_session, check_waiting},
    },
    store::{
        connection::{Connection, Db},
        groups,
        permit::{Permit, authorize},
        sessions,
        topics::{self, NewTip, Rank},
    },
    values::{Day, Id, Text},
};

/// A subject that the group could talk about, or has talked about. Nobody reads who proposed or supports it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Topic {
    pub id: Id,
    /// A subject, such as a season or a skill; never what somebody said.
    pub text: String,
    pub state: State,
    /// The session for which it was chosen, or at which the group talked about it.
    pub session: Option<Id>,
    /// How many members support it.
    pub supporters: i64,
    /// Whether you support it.
    pub is_supported: bool,
    /// Whether you proposed it.
    pub is_own: bool,
    #[serde(skip)]
    #[schema(ignore)]
    proposed_on: Option<Day>,
}

/// A subject to talk about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeTopic {
    /// The subject alone, such as a season or a skill: not what somebody said, and not about anybody.
    pub text: Text<1, 200>,
}

/// For which session a topic is chosen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChooseTopic {
    /// A scheduled session of the group. Without one, the topic waits again.
    pub session: Option<Id>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct TopicsInState {
    /// Only topics in this state; `proposed` when not said. What was withdrawn is not listed.
    state: Option<State>,
}

/// Something that worked, from one member for the others.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tip {
    pub id: Id,
    /// Plain text: markup in it means nothing.
    pub text: String,
    /// A page outside; opening it tells its owner where the reader is.
    pub link: Option<String>,
    /// The day, in the group's zone.
    pub given_on: Day,
    /// The author's name in the group, where they want it shown.
    pub by: Option<String>,
    /// Whether you gave it.
    pub is_own: bool,
}

/// What worked for you.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveTip {
    /// What helped you yourself: not what somebody said, and not about anybody.
    pub text: Text<1, 1000>,
    /// A page to read: an https address without a name or password in it.
    pub link: Option<Text<1, 2000>>,
    /// Whether the others read your name in the group beside it.
    #[serde(default)]
    pub show_my_name: bool,
}

pub fn register(api: &mut Api) {
    api.heading("Topics and tips");
    // No first answer of a topic or a tip is kept for a retry: its row would join their author and the hour.
    api.post::<act::ProposeTopic, _, _>("/groups/{group}/topics", "Propose a subject to talk about", propose_topic)
        .takes::<ProposeTopic>(json!({"text": "Getting through the dark months"}))
        .creates::<Topic>()
        .makes_nothing();
    api.get::<act::ReadTopics, _, _>(
        "/groups/{group}/topics",
        "List subjects to talk about, the most supported first",
        list_topics,
    )
    .asks::<TopicsInState>()
    .lists::<Topic>();
    api.put::<act::SupportTopic, _, _>(
        "/groups/{group}/topics/{topic}/support",
        "Support a topic, without anybody knowing",
        support_topic,
    );
    api.delete::<act::SupportTopic, _, _>(
        "/groups/{group}/topics/{topic}/support",
        "Take your support of a topic back",
        stop_supporting_topic,
    );
    api.post::<act::ChooseTopic, _, _>(
        "/groups/{group}/topics/{topic}/choice",
        "Choose a topic for a session, or let it wait again",
        choose_topic,
    )
    .takes::<ChooseTopic>(json!({}))
    .gives::<Topic>()
    .makes_nothing();
    api.post::<act::WithdrawTopic, _, _>(
        "/groups/{group}/topics/{topic}/withdrawal",
        "Withdraw a topic with its text",
        withdraw_topic,
    )
    .makes_nothing();
    api.post::<act::GiveTip, _, _>("/groups/{group}/tips", "Give a tip: something that worked for you", give_tip)
        .takes::<GiveTip>(json!({"text": "A walk before the first coffee.", "link": "https://example.org/walks"}))
        .creates::<Tip>()
        .makes_nothing();
    api.get::<act::ReadTips, _, _>("/groups/{group}/tips", "List the tips, newest day first", list_tips).lists::<Tip>();
    api.post::<act::WithdrawTip, _, _>(
        "/groups/{group}/tips/{tip}/withdrawal",
        "Withdraw a tip with its text",
        withdraw_tip,
    )
    .makes_nothing();
}

fn shown(topic: topics::Topic) -> Topic {
    let (Reverse(supporters), proposed_on, id) = topic.rank;
    Topic {
        id,
        text: topic.text,
        state: topic.state,
        session: topic.session,
        supporters,
        is_supported: topic.is_supported,
        is_own: topic.is_own,
        proposed_on: Some(proposed_on),
    }
}

fn shown_tip(tip: topics::Tip) -> Tip {
    Tip { id: tip.id, text: tip.text, link: tip.link, given_on: tip.given_on, by: tip.by, is_own: tip.is_own }
}

/// Nothing new is brought into a group that has ended.
fn check_not_closed<A: area::Group>(connection: &mut Connection, permit: &Permit<A>) -> Result<(), Problem> {
    if groups::find_state(connection, permit)? == GroupState::Closed {
        return Err(Problem::Conflict("The group is closed.".into()));
    }
    Ok(())
}

/// A link that opens a page over TLS and carries nobody's credentials.
fn check_link(link: &str) -> Result<(), Problem> {
    let refused = |detail| Err(Problem::field("/link", detail));
    let Ok(address) = link.parse::<Uri>() else { return refused("is not an address") };
    if address.scheme_str() != Some("https") {
        return refused("is not an https address");
    }
    match address.authority() {
        Some(authority) if authority.as_str().contains('@') => refused("holds a name or a password"),
        Some(authority) if authority.host().bytes().any(|byte| byte.is_ascii_alphanumeric()) => Ok(()),
        _ => refused("names no host"),
    }
}

async fn propose_topic(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<ProposeTopic>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ProposeTopic>(connection, &caller, group)?;
        let request = command.body()?;
        check_not_closed(connection, &permit)?;
        check_proposing(topics::count_own(connection, &permit)?)?;
        let topic = topics::insert(connection, &permit, request.text.as_str())?;
        Reply::created(format!("/groups/{group}/topics"), &shown(topic))
    })
    .await
}

async fn list_topics(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    asked: Query<TopicsInState>,
    paging: Paging,
) -> Answer {
    let group = path.into_inner();
    let state = asked.state.unwrap_or(State::Proposed);
    let after =
        paging.position()?.map(|(supporters, on, id): (i64, Day, Id)| -> Rank { (Reverse(supporters), on, id) });
    let limit = paging.limit() as usize + 1;
    db.read(move |connection| {
        let permit = authorize::<act::ReadTopics>(connection, &caller, group)?;
        let topics = topics::list(connection, &permit, state, after, limit)?;
        Reply::page(topics.into_iter().map(shown).collect(), &paging, |topic| {
            (topic.supporters, topic.proposed_on, topic.id)
        })
    })
    .await
}

async fn support_topic(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SupportTopic>(connection, &caller, group)?;
        let topic = topics::find(connection, &permit, id)?;
        check_waiting(topic.state)?;
        topics::insert_support(connection, &permit, id)?;
        Reply::done()
    })
    .await
}

async fn stop_supporting_topic(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::SupportTopic>(connection, &caller, group)?;
        let topic = topics::find(connection, &permit, id)?;
        topics::remove_support(connection, &permit, topic.id)?;
        Reply::done()
    })
    .await
}

async fn choose_topic(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, command: Command<ChooseTopic>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::ChooseTopic>(connection, &caller, group)?;
        let topic = topics::find(connection, &permit, id)?;
        let request = command.body()?;
        check_waiting(topic.state)?;
        if let Some(session) = request.session {
            let session = sessions::find(connection, &permit, session).map_err(|problem| match problem {
                Problem::NotFound => Problem::field("/session", "is no session of this group"),
                other => other,
            })?;
            check_session(session.state)?;
        }
        topics::update_choice(connection, &permit, id, request.session)?;
        Reply::ok(&shown(topics::find(connection, &permit, id)?))
    })
    .await
}

async fn withdraw_topic(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WithdrawTopic>(connection, &caller, group)?;
        topics::withdraw(connection, &permit, id)?;
        Reply::done()
    })
    .await
}

async fn give_tip(db: Data<Db>, caller: Caller, path: Path<Id>, command: Command<GiveTip>) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::GiveTip>(connection, &caller, group)?;
        let request = command.body()?;
        check_not_closed(connection, &permit)?;
        let link = request.link.as_ref().map(|link| link.as_str());
        link.map_or(Ok(()), check_link)?;
        let tip = NewTip { text: request.text.as_str(), link, show_my_name: request.show_my_name };
        let tip = topics::insert_tip(connection, &permit, &tip)?;
        Reply::created(format!("/groups/{group}/tips"), &shown_tip(tip))
    })
    .await
}

async fn list_tips(db: Data<Db>, caller: Caller, path: Path<Id>, paging: Paging) -> Answer {
    let group = path.into_inner();
    let (limit, before) = (paging.limit(), paging.position()?);
    db.read(move |connection| {
        let permit = authorize::<act::ReadTips>(connection, &caller, group)?;
        let tips = topics::list_tips(connection, &permit, before, limit + 1)?;
        Reply::page(tips.into_iter().map(shown_tip).collect(), &paging, |tip| (tip.given_on, tip.id))
    })
    .await
}

async fn withdraw_tip(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>, _: Command<Nothing>) -> Answer {
    let (group, id) = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::WithdrawTip>(connection, &caller, group)?;
        topics::withdraw_tip(connection, &permit, id)?;
        Reply::done()
    })
    .await
}
