//! `policy::decide` printed as a grid that a privacy officer can read, committed as `docs/policy.md`.

use std::fmt::Write;

use circlekeeper::policy::{Action, Area, Kind, Reach, Standing, decide};
use expect_test::expect_file;

use crate::operations::{Operation, operations};

/// Standings that can be held where an action of this area and kind happens.
fn held(area: Area, kind: Kind) -> Vec<Standing> {
    let is_held = |standing: &&Standing| match (area, kind) {
        (Area::Public | Area::Account, _) => false,
        (Area::Organization, _) => standing.is_office() || standing.is_term(),
        (Area::Group, Kind::TherapistLed) => !matches!(
            standing,
            Standing::Steward | Standing::Facilitator | Standing::FormerFacilitator | Standing::SessionFacilitator
        ),
        (Area::Group, Kind::PeerLed) => {
            !matches!(standing, Standing::Therapist | Standing::CoTherapist | Standing::Trainee | Standing::Emergency)
        }
    };
    Standing::ALL.iter().filter(is_held).copied().collect()
}

fn in_area(area: Area) -> impl Iterator<Item = Action> {
    Action::ALL.iter().copied().filter(move |action| action.area() == area)
}

#[test]
fn the_policy_is_printed_for_whoever_answers_for_it() {
    expect_file!["../../docs/policy.md"].assert_eq(&table().expect("a text grows"));
}

fn table() -> Result<String, std::fmt::Error> {
    let operations = operations();
    let mut text = String::from(
        "# Who may do what\n\n\
         This page is printed from the program's own table each time its tests run: what stands here is what the\n\
         server does. A change of the policy is a change of this page, and is reviewed as one.\n\n\
         Each row is an action. Each column is a standing: what a person is to an organization or to a group at the\n\
         moment of the request. A standing that has ended counts no more from the next request on.\n\n\
         - **all**: every record of the group or organization.\n\
         - **own**: only records about oneself, or written by oneself; in an emergency, those about the one member.\n  \
         Another person's record answers \"not found\".\n\
         - **–**: refused. Somebody with no standing at all is not even told that the group exists.\n\
         - **logged**: a *yes* means that the access log keeps who did it, when, and on which standing, unless members\n  \
         did it with their own records. Refused attempts are kept for every action of an organization or a group.\n\n\
         Somebody with two standings has the rights of each; one never widens the other. In a peer-led group, though,\n\
         whoever leads it or belongs to it has no rights there from an office.\n\n\
         ## The standings\n\n",
    );
    for &standing in Standing::ALL {
        writeln!(text, "- **{}** {}.", shown(standing), standing.meaning())?;
    }
    text.push_str("\n## Without a standing\n\n");
    text.push_str("| action | what it lets somebody do | who |\n|---|---|---|\n");
    for action in in_area(Area::Public) {
        writeln!(text, "| {} | {} | everybody |", words(action), summaries(&operations, action))?;
    }
    for action in in_area(Area::Account) {
        writeln!(text, "| {} | {} | oneself, signed in |", words(action), summaries(&operations, action))?;
    }
    text.push_str("\n## In an organization\n\nMembers of its groups have no standing in the organization itself.\n\n");
    section(&mut text, &operations, Area::Organization, Kind::TherapistLed)?;
    text.push_str("\n## In a therapist-led group\n\n");
    section(&mut text, &operations, Area::Group, Kind::TherapistLed)?;
    text.push_str("\n## In a peer-led group\n\nThere are no measures, notes and agendas here, for anybody.\n\n");
    section(&mut text, &operations, Area::Group, Kind::PeerLed)?;
    Ok(text)
}

fn section(text: &mut String, operations: &[Operation], area: Area, kind: Kind) -> std::fmt::Result {
    let standings = held(area, kind);
    let head: Vec<String> = standings.iter().map(|standing| shown(*standing)).collect();
    writeln!(text, "| action | {} | logged | what it lets somebody do |", head.join(" | "))?;
    writeln!(text, "|---|{}---|---|", "---|".repeat(head.len()))?;
    for action in in_area(area) {
        let cells: Vec<&str> = standings.iter().map(|standing| cell(decide(kind, *standing, action))).collect();
        let logged = if action.touches_records() { "yes" } else { "no" };
        let (name, cells, summaries) = (words(action), cells.join(" | "), summaries(operations, action));
        writeln!(text, "| {name} | {cells} | {logged} | {summaries} |")?;
    }
    Ok(())
}

fn shown(standing: Standing) -> String {
    standing.as_str().replace("co_", "co-").replace('_', " ")
}

fn cell(reach: Option<Reach>) -> &'static str {
    match reach {
        Some(Reach::All) => "all",
        Some(Reach::Own) => "own",
        None => "–",
    }
}

/// `ReadMeasures` as "Read measures".
fn words(action: Action) -> String {
    let mut words = String::new();
    for (index, letter) in action.as_str().char_indices() {
        if index > 0 && letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(if index > 0 { letter.to_lowercase().collect::<Vec<_>>() } else { vec![letter] });
    }
    words
}

/// What the contract says of the operations that stand behind an action.
fn summaries(operations: &[Operation], action: Action) -> String {
    let of_action = operations.iter().filter(|operation| operation.action == action);
    of_action.map(|operation| operation.summary.as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_action_stands_behind_an_operation() {
    let operations = operations();
    for action in Action::ALL {
        assert!(
            operations.iter().any(|operation| operation.action == *action),
            "{} is asked by nobody",
            words(*action)
        );
    }
}

#[test]
fn only_what_can_be_held_gives_rights_in_an_organization() {
    for action in in_area(Area::Organization) {
        for standing in Standing::ALL {
            let decided = decide(Kind::TherapistLed, *standing, action);
            assert_eq!(decided, decide(Kind::PeerLed, *standing, action), "the kind is that of a group");
            assert!(decided.is_none() || held(Area::Organization, Kind::TherapistLed).contains(standing));
        }
    }
}

#[test]
fn a_peer_led_group_has_no_clinical_records_for_anybody() {
    use Action::*;
    let clinical = [
        ReadMeasureSchedule,
        SetMeasureSchedule,
        ReadMeasures,
        RecordMeasure,
        CorrectMeasure,
        ReadSessionRecord,
        WriteSessionRecord,
        SignSessionRecord,
        CosignSessionRecord,
        ReadProgressEntries,
        WriteProgressEntry,
        SignProgressEntry,
        CosignProgressEntry,
        ReleaseProgressEntry,
        ReadProcessNotes,
        WriteProcessNote,
        WriteAgenda,
    ];
    for action in clinical {
        for standing in Standing::ALL {
            assert_eq!(decide(Kind::PeerLed, *standing, action), None, "{} as {standing}", words(action));
        }
    }
}

#[test]
fn offices_reach_no_record_content() {
    use Action::*;
    let content = [
        ReadMeasures,
        RecordMeasure,
        CorrectMeasure,
        ReadSessionRecord,
        WriteSessionRecord,
        ReadProgressEntries,
        WriteProgressEntry,
        ReadProcessNotes,
        WriteProcessNote,
        ReadAttendance,
        CorrectAttendance,
        RecordSession,
    ];
    for action in content {
        for office in Standing::ALL.iter().filter(|standing| standing.is_office()) {
            for kind in Kind::ALL {
                assert_eq!(decide(*kind, *office, action), None, "{} as {office}", words(action));
            }
        }
    }
}
