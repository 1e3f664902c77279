//! Two servers on one database: whoever asks cannot tell which one answers.

use serde_json::json;

use crate::{
    harness::{Database, Engine, Request, Run, Server, figure, text},
    load,
    stage::{Group, PASSWORD, Person, Size, Stage},
};

pub fn prove(run: &Run, engine: Engine) -> String {
    let (races, retries, seconds) = (run.size(3, 40), run.size(10, 200), run.size(3, 60));
    let database = Database::fresh(engine);
    let mut stage = Stage::build(&database, Size { led: 3 + races, leads: 2, ..load::SIZE });
    let (one, other) = (Server::start(&database), Server::start(&database));
    stage.sign_in(&one);
    let racing = stage.led.split_off(3);
    // Everybody writes, half of them here and half there, and sends again there what was not heard here.
    let mut crew = load::crew(&stage, "two");
    load::note_what_is_there(&mut crew, &database);
    let half = crew.len() / 2;
    let (here, there) = crew.split_at_mut(half);
    load::work_during(here, one.address, || {
        load::work_during(there, other.address, || std::thread::sleep(std::time::Duration::from_secs(seconds as u64)));
    });
    let mut clients = [one.client(), other.client()];
    for (number, worker) in crew.iter_mut().enumerate() {
        worker.settle(&mut clients[usize::from(number < half)]);
    }
    assert_eq!(load::check(&mut crew, &database), 0);
    let busy: usize = crew.iter().map(|worker| worker.busy).sum();
    let at_once = (0..retries).filter(|number| same_key_at_once(&stage.peer[0], [&one, &other], *number)).count();
    for group in &racing {
        last_lead(group, [&one, &other]);
    }
    let person = &stage.peer[0].members[3];
    signed_out(person, [&one, &other]);
    let pause = backed_off(&stage.peer[0].members[2], [&one, &other]);
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    let chains = database.sql().number("SELECT count(DISTINCT chain_id) AS v FROM access_entries");
    assert!(chains >= 2, "each server keeps a chain of its own");
    assert_eq!(database.sql().faults(), Vec::<String>::new());
    one.stop();
    other.stop();
    format!(
        "{} acknowledged writes through both, 0 lost, 0 half done, {} told to come again; {retries} requests sent to both at once under one \
         key happened once each ({at_once} of them answered alike at once, the others told to come again); {races} last two leads left at \
         once through both: one stayed each time, and the other read nothing from the next request on; signed out here is \
         signed out there; failed sign-ins count together (429 for {pause} s at the seventh); log whole ({log})",
        figure(load::acknowledged(&crew)),
        figure(busy),
    )
}

/// The same request under the same key, to both at once. Returns whether both answered with what was made.
fn same_key_at_once(group: &Group, servers: [&Server; 2], number: usize) -> bool {
    let member = &group.members[2];
    let request = Request::post(group.path("/check-ins"), &json!({"mood": "good", "text": format!("Once {number}.")}));
    let request = request.by(&member.token).key(format!("at-once-{number}"));
    let answers = std::thread::scope(|scope| {
        servers.map(|server| scope.spawn(|| server.client().ask(&request))).map(|sent| sent.join().expect("an answer"))
    });
    let mut ids = Vec::new();
    for answer in &answers {
        match answer.status {
            201 => ids.push(text(&answer.json()["id"])),
            409 | 503 => {}
            other => panic!("{other}: {}", answer.body),
        }
    }
    let is_alike = ids.len() == 2;
    for server in servers {
        ids.push(server.client().ask(&request).made());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one key, and two check-ins: {ids:?}");
    is_alike
}

/// Both leads of a group go at once, each through another server.
fn last_lead(group: &Group, servers: [&Server; 2]) {
    let lead = group.lead();
    let terms = servers[0].client().ask(&Request::get(group.path("/terms")).by(&lead.token)).expect(200);
    let term_of = |person: &Person| {
        let of_person = terms["items"].as_array().expect("terms").iter().find(|term| term["account"] == person.account);
        text(&of_person.expect("a term")["id"])
    };
    let ends = [0, 1].map(|number| {
        let who = &group.leads[number];
        Request::post(group.path(&format!("/terms/{}/end", term_of(who))), &json!({})).by(&who.token)
    });
    let statuses = std::thread::scope(|scope| {
        let sent = [0, 1].map(|number| {
            let (server, request) = (servers[number], &ends[number]);
            scope.spawn(move || {
                loop {
                    let status = server.client().ask(request).status;
                    if status != 503 {
                        return status;
                    }
                }
            })
        });
        sent.map(|sent| sent.join().expect("an answer"))
    });
    let gone = statuses.iter().position(|status| *status == 204);
    let gone = gone.unwrap_or_else(|| panic!("nobody could go: {statuses:?}"));
    assert_eq!(statuses[1 - gone], 409, "{statuses:?}");
    // Asked of the server that did not hear of it.
    let read = Request::get(group.path("/members")).by(&group.leads[gone].token);
    assert_eq!(servers[1 - gone].client().ask(&read).status, 404, "a former lead");
    let read = Request::get(group.path("/members")).by(&group.leads[1 - gone].token);
    assert_eq!(servers[gone].client().ask(&read).status, 200, "the lead who stayed");
}

fn signed_out(person: &Person, servers: [&Server; 2]) {
    let read = Request::get("/v1/account").by(&person.token);
    assert_eq!(servers[1].client().ask(&read).status, 200);
    let path = format!("/v1/sign-ins/{}", person.sign_in);
    servers[0].client().ask(&Request::new("DELETE", path).by(&person.token)).expect(204);
    assert_eq!(servers[1].client().ask(&read).status, 401, "signed out through the other server");
}

/// Wrong passwords, through both in turn. Returns the seconds to wait.
fn backed_off(person: &Person, servers: [&Server; 2]) -> String {
    let wrong = json!({"sign_in_name": person.sign_in_name, "password": format!("{PASSWORD} no")});
    for number in 0..6 {
        let answer = servers[number % 2].client().ask(&Request::post("/v1/tokens", &wrong));
        assert_eq!(answer.status, 401, "failure {number}: {}", answer.body);
    }
    let mut pause = String::new();
    for server in servers {
        let answer = server.client().ask(&Request::post("/v1/tokens", &wrong));
        assert_eq!(answer.status, 429, "six failures, three through each: {}", answer.body);
        answer.header("retry-after").unwrap_or_default().clone_into(&mut pause);
    }
    pause
}
