//! Instruments: the worked examples of every file, what the loader refuses, and the clinical traps.

use circlekeeper::rules::instruments::*;
use serde_json::{Value, json};

const IDS: [&str; 9] = ["audit-c", "gad-2", "gad-7", "pc-ptsd-5", "pcl-5", "phq-2", "phq-4", "phq-8", "phq-9"];

// ---- the built-in files ----

#[test]
fn every_built_in_file_loads_and_its_worked_examples_score_as_they_say() {
    let registry = Registry::built_in();
    let ids: Vec<&str> = registry.all().iter().map(|i| i.id.as_str()).collect();
    assert_eq!(ids, IDS);
    for instrument in registry.all() {
        assert!(instrument.golden.len() >= 6, "{}", instrument.id);
        for golden in &instrument.golden {
            let got = score(instrument, &golden.answers);
            assert_eq!(got.as_ref(), Ok(&golden.expect), "{}: {}", instrument.id, golden.name);
        }
    }
}

#[test]
fn worked_examples_reach_both_ends_every_band_edge_every_cut_off_and_a_missing_answer() {
    for instrument in Registry::built_in().all() {
        let scores: Vec<i32> = instrument.golden.iter().filter_map(|golden| golden.expect.score).collect();
        let reached = |points: i32| {
            assert!(scores.contains(&(points * 1000)), "{}: no worked example with {points} points", instrument.id);
        };
        reached(instrument.range.min);
        reached(instrument.range.max);
        for band in &instrument.bands {
            reached(band.from);
            reached(band.to);
        }
        for cut_off in &instrument.cut_offs {
            for wanted in [Some(true), Some(false), None] {
                let shown = instrument.golden.iter().any(|golden| {
                    let judged = &golden.expect.positive;
                    judged.iter().any(|j| j.cut_off == cut_off.id && j.met == wanted)
                });
                assert!(shown, "{}: {} {wanted:?}", instrument.id, cut_off.id);
            }
        }
    }
}

#[test]
fn a_licence_that_keeps_the_text_out_leaves_no_text_in_the_file() {
    for instrument in Registry::built_in().all() {
        let ships = instrument.licence.class == LicenceClass::A;
        assert_eq!(instrument.instructions.is_some(), ships);
        for item in &instrument.items {
            assert_eq!(item.text.is_some(), ships, "{}", item.id);
            for option in instrument.options(item) {
                assert_eq!(option.label.is_some(), ships, "{}", item.id);
            }
        }
    }
    let audit_c = built_in("audit-c");
    assert_eq!(audit_c.licence.class, LicenceClass::B);
}

#[test]
fn an_instrument_survives_being_written_and_read_again() {
    for instrument in Registry::built_in().all() {
        let text = serde_json::to_string(instrument).unwrap();
        let again: Instrument = serde_json::from_str(&text).unwrap();
        assert_eq!(&again, instrument);
    }
}

// ---- the traps ----

#[test]
fn trap_1_missing_is_never_zero() {
    for instrument in Registry::built_in().all() {
        let scored: Vec<&str> = instrument.scored_items().map(|i| i.id.as_str()).collect();
        let lacking = usize::from(instrument.missing.allowed()) + 1;
        for declined in [false, true] {
            let mut answers = all_at(instrument, top(instrument));
            for id in scored.iter().take(lacking) {
                answers.0.remove(*id);
                if declined {
                    answers.0.insert((*id).to_owned(), None);
                }
            }
            let outcome = score(instrument, &answers).unwrap();
            assert_eq!(outcome.score, None, "{}", instrument.id);
            assert_eq!(
                outcome.no_score,
                Some(NoScore::TooManyMissing {
                    missing: u16::try_from(lacking).unwrap(),
                    allowed: instrument.missing.allowed(),
                })
            );
            assert_eq!(outcome.band, None);
            assert!(outcome.positive.iter().all(|judged| judged.met.is_none()));
            assert_eq!(outcome.missing, scored[..lacking]);
        }
    }
}

#[test]
fn trap_1_one_passed_over_is_not_scored_like_a_zero() {
    let phq_9 = built_in("phq-9");
    let mut answers = all_at(phq_9, 1);
    answers.0.insert("phq-9.1".into(), Some(0));
    let with_zero = score(phq_9, &answers).unwrap();
    answers.0.remove("phq-9.1");
    let without = score(phq_9, &answers).unwrap();
    assert_eq!((with_zero.score, with_zero.prorated), (Some(8000), false));
    assert_eq!((without.score, without.prorated), (Some(9000), true));
}

#[test]
fn trap_2_declining_is_an_answer_and_no_item_is_forced() {
    for instrument in Registry::built_in().all() {
        let nothing = score(instrument, &Answers::default()).unwrap();
        assert_eq!((nothing.score, nothing.answered), (None, 0));
        let declined = Answers(instrument.items.iter().map(|item| (item.id.clone(), None)).collect());
        assert_eq!(score(instrument, &declined).unwrap().score, None);
    }
}

#[test]
fn trap_3_each_instrument_has_its_own_missing_rule() {
    for instrument in Registry::built_in().all() {
        let mut answers = all_at(instrument, 1);
        let last = instrument.scored_items().last().unwrap().id.clone();
        answers.0.remove(&last);
        let outcome = score(instrument, &answers).unwrap();
        let prorates = instrument.id == "phq-9";
        assert_eq!(outcome.score.is_some(), prorates, "{}", instrument.id);
        assert_eq!(outcome.prorated, prorates, "{}", instrument.id);
    }
}

#[test]
fn trap_4_risk_is_judged_before_completeness() {
    let phq_9 = built_in("phq-9");
    let half = answers(&[("phq-9.9", Some(1))]);
    let outcome = score(phq_9, &half).unwrap();
    assert_eq!((outcome.risk, outcome.score), (Risk::Positive, None));

    let declined = answers(&[("phq-9.9", None)]);
    let outcome = score(phq_9, &declined).unwrap();
    assert_eq!((outcome.risk, outcome.score), (Risk::Declined, None));
}

#[test]
fn trap_4_every_answer_above_not_at_all_is_a_risk_even_with_a_minimal_score() {
    let phq_9 = built_in("phq-9");
    for value in 0..=3 {
        let mut answers = all_at(phq_9, 0);
        answers.0.insert("phq-9.9".into(), Some(value));
        let outcome = score(phq_9, &answers).unwrap();
        assert_eq!(outcome.band.as_deref(), Some("minimal"));
        assert_eq!(outcome.risk == Risk::Positive, value > 0);
    }
}

#[test]
fn trap_4_an_unanswered_risk_item_is_no_flag_and_stands_among_the_missing() {
    let phq_9 = built_in("phq-9");
    let mut answers = all_at(phq_9, 2);
    answers.0.remove("phq-9.9");
    let outcome = score(phq_9, &answers).unwrap();
    assert_eq!(outcome.risk, Risk::None);
    assert_eq!(outcome.missing, ["phq-9.9"]);
}

#[test]
fn trap_5_a_new_version_leaves_the_old_one_readable() {
    let old = file("phq-2");
    let ninth = changed("phq-2", |v| v["version"] = json!("9"));
    let tenth = changed("phq-2", |v| {
        v["version"] = json!("10");
        v["cut_offs"].as_array_mut().unwrap().pop();
        for golden in v["golden"].as_array_mut().unwrap() {
            golden["expect"]["positive"].as_array_mut().unwrap().pop();
        }
    });
    let registry = Registry::load(&[("tenth", &tenth), ("old", &old), ("ninth", &ninth)]).unwrap();
    assert_eq!(registry.current("phq-2").unwrap().version, "10");
    assert_eq!(registry.find("phq-2", "1").unwrap().cut_offs.len(), 2);
    assert_eq!(registry.find("phq-2", "10").unwrap().cut_offs.len(), 1);
    assert_eq!(registry.find("phq-2", "2"), None);
    assert_eq!(registry.current("phq-3"), None);
}

#[test]
fn trap_6_a_value_from_another_scale_is_refused() {
    // 0 to 3, not 1 to 4; yes and no, not 1 and 2.
    assert_bad("phq-9", &[("phq-9.1", Some(4))], &["phq-9.1"]);
    assert_bad("gad-7", &[("gad-7.7", Some(-1))], &["gad-7.7"]);
    assert_bad("pcl-5", &[("pcl-5.20", Some(5))], &["pcl-5.20"]);
    assert_bad("pc-ptsd-5", &[("pc-ptsd-5.1", Some(2))], &["pc-ptsd-5.1"]);
    assert_bad("phq-9", &[("phq-9.function", Some(4))], &["phq-9.function"]);
}

#[test]
fn every_bad_answer_is_named_and_its_value_is_not_repeated() {
    let given = [("gad-7.1", Some(1)), ("phq-9.1", Some(77)), ("phq-9.2", Some(3))];
    let bad = assert_bad("phq-9", &given, &["gad-7.1", "phq-9.1"]);
    assert_eq!(bad[0].detail, "is no item of phq-9");
    assert_eq!(bad[1].detail, "must be one of 0, 1, 2, 3, or null");
    assert!(bad.iter().all(|b| !b.to_string().contains("77")));
}

// ---- single instruments ----

#[test]
fn phq_9_the_function_item_is_neither_scored_nor_missed() {
    let phq_9 = built_in("phq-9");
    let mut answers = all_at(phq_9, 1);
    let before = score(phq_9, &answers).unwrap();
    answers.0.insert("phq-9.function".into(), Some(3));
    assert_eq!(score(phq_9, &answers).unwrap(), before);
    assert_eq!((before.score, before.answered), (Some(9000), 9));
}

#[test]
fn phq_9_prorating_follows_the_published_formula() {
    // Centers for Medicare & Medicaid Services, item D0300: × 9/8 and × 9/7, whole points.
    let phq_9 = built_in("phq-9");
    for (given, lacking, expected) in [(2, 1, 18), (1, 1, 9), (3, 1, 27), (2, 2, 18), (3, 2, 27)] {
        let mut answers = all_at(phq_9, given);
        for n in 1..=lacking {
            answers.0.remove(&format!("phq-9.{n}"));
        }
        let outcome = score(phq_9, &answers).unwrap();
        assert_eq!(outcome.score, Some(expected * 1000));
        assert!(outcome.prorated);
    }
}

#[test]
fn phq_9_bands_and_cut_off_follow_kroenke_2001() {
    let phq_9 = built_in("phq-9");
    let starts: Vec<i32> = phq_9.bands.iter().map(|band| band.from).collect();
    assert_eq!(starts, [0, 5, 10, 15, 20]);
    let name = |points: i32| phq_9.band(points * 1000).map(|band| band.id.as_str());
    assert_eq!(name(4), Some("minimal"));
    assert_eq!(name(20), Some("severe"));
    assert_eq!((name(28), name(-1)), (None, None));
    // Between two whole points a score belongs to the band that has begun.
    assert_eq!(phq_9.band(4500).map(|b| b.id.as_str()), Some("minimal"));
}

#[test]
fn gad_7_a_score_of_eight_is_a_case_for_the_nhs_and_no_positive_screen() {
    let gad_7 = built_in("gad-7");
    let mut answers = all_at(gad_7, 1);
    answers.0.insert("gad-7.1".into(), Some(2));
    let outcome = score(gad_7, &answers).unwrap();
    assert_eq!(outcome.score, Some(8000));
    assert_eq!(met(&outcome, "case-8"), Some(true));
    assert_eq!(met(&outcome, "screen-10"), Some(false));
}

#[test]
fn phq_4_halves_are_judged_on_their_own() {
    let phq_4 = built_in("phq-4");
    let given = answers(&[("phq-4.1", Some(3)), ("phq-4.2", Some(0)), ("phq-4.3", Some(2)), ("phq-4.4", Some(0))]);
    let outcome = score(phq_4, &given).unwrap();
    assert_eq!(outcome.score, Some(5000));
    assert_eq!(outcome.subscales["anxiety"], Some(3000));
    assert_eq!(outcome.subscales["depression"], Some(2000));
    assert_eq!(met(&outcome, "anxiety-3"), Some(true));
    assert_eq!(met(&outcome, "depression-3"), Some(false));
}

#[test]
fn pcl_5_total_and_symptom_pattern_are_two_judgements() {
    let pcl_5 = built_in("pcl-5");
    // Every item at "a little bit": 20 points, no symptom present.
    let outcome = score(pcl_5, &all_at(pcl_5, 1)).unwrap();
    assert_eq!(outcome.score, Some(20_000));
    assert_eq!(met(&outcome, "provisional-diagnosis"), Some(false));
    // Every item at "moderately": 40 points, every symptom present.
    let outcome = score(pcl_5, &all_at(pcl_5, 2)).unwrap();
    assert_eq!(met(&outcome, "provisional-diagnosis"), Some(true));
    assert_eq!(met(&outcome, "screen-34-uk-veterans"), Some(true));
    let sums: Vec<Option<i32>> = outcome.subscales.values().copied().collect();
    assert_eq!(sums, [Some(10_000), Some(4000), Some(14_000), Some(12_000)]);
}

#[test]
fn pcl_5_needs_an_index_event_and_keeps_two_parameter_sets_for_reliable_change() {
    let pcl_5 = built_in("pcl-5");
    assert!(pcl_5.index_event.is_some());
    let reliable: Vec<&ChangeRule> =
        pcl_5.changes.iter().filter(|change| change.kind == ChangeKind::Reliable).map(|change| &change.rule).collect();
    let (first, second) = (ChangeRule::Points { at_least: 15 }, ChangeRule::Points { at_least: 18 });
    assert_eq!(reliable, [&first, &second]);
}

#[test]
fn pc_ptsd_5_without_exposure_scores_zero_by_rule_and_not_by_missing_answers() {
    let screen = built_in("pc-ptsd-5");
    let outcome = score(screen, &answers(&[("pc-ptsd-5.exposure", Some(0))])).unwrap();
    assert_eq!((outcome.score, outcome.missing.len()), (Some(0), 0));
    assert!(outcome.positive.iter().all(|j| j.met == Some(false)));

    let outcome = score(screen, &answers(&[("pc-ptsd-5.exposure", None)])).unwrap();
    let item = "pc-ptsd-5.exposure".to_owned();
    assert_eq!(outcome.score, None);
    assert_eq!(outcome.no_score, Some(NoScore::GateUnanswered { item }));
}

#[test]
fn pc_ptsd_5_a_yes_behind_a_closed_gate_is_refused_and_not_dropped() {
    let given = [("pc-ptsd-5.exposure", Some(0)), ("pc-ptsd-5.3", Some(1))];
    let bad = assert_bad("pc-ptsd-5", &given, &["pc-ptsd-5.3"]);
    assert_eq!(bad[0].detail, "is not asked when pc-ptsd-5.exposure is 0");
}

#[test]
fn audit_c_has_a_cut_off_for_men_and_a_lower_one_for_women() {
    let audit_c = built_in("audit-c");
    let given = answers(&[("audit-c.1", Some(2)), ("audit-c.2", Some(1)), ("audit-c.3", Some(0))]);
    let outcome = score(audit_c, &given).unwrap();
    assert_eq!(met(&outcome, "screen-women-3"), Some(true));
    assert_eq!(met(&outcome, "screen-men-4"), Some(false));
    let applies = |id| audit_c.cut_off(id).unwrap().applies_to;
    assert_eq!(applies("screen-women-3"), AppliesTo::Women);
    assert_eq!(applies("screen-men-4"), AppliesTo::Men);
}

#[test]
fn peer_groups_have_a_depression_measure_without_a_risk_item() {
    assert!(built_in("phq-8").risk_items.is_empty());
    assert_eq!(built_in("phq-9").risk_items.len(), 1);
}

#[test]
fn answers_tell_declined_from_not_answered_in_json() {
    let answers: Answers = serde_json::from_value(json!({"a": 1, "b": null})).unwrap();
    assert_eq!(answers.value("a"), Some(1));
    assert!(answers.is_declined("b") && !answers.is_declined("c"));
    assert_eq!(serde_json::to_value(&answers).unwrap(), json!({"a": 1, "b": null}));
    assert!(serde_json::from_value::<Answers>(json!({"a": 1.5})).is_err());
    assert!(serde_json::from_value::<Answers>(json!({"a": "1"})).is_err());
}

#[test]
fn an_outcome_in_json_gives_thousandths_and_a_machine_readable_reason() {
    let phq_2 = built_in("phq-2");
    let whole = score(phq_2, &all_at(phq_2, 2)).unwrap();
    let whole = serde_json::to_value(&whole).unwrap();
    assert_eq!(whole["score"], json!(4000));
    assert_eq!(whole["no_score"], Value::Null);
    assert_eq!(whole["risk"], json!("none"));
    let none = score(phq_2, &Answers::default()).unwrap();
    assert_eq!(
        serde_json::to_value(&none).unwrap()["no_score"],
        json!({"reason": "too_many_missing", "missing": 2, "allowed": 0})
    );
}

// ---- what the loader refuses ----

#[test]
fn load_refuses_what_is_no_instrument() {
    for text in ["", "{}", "[]", "{\"id\": \"phq-9\"}"] {
        let error = Registry::load(&[("x.json", text)]).unwrap_err();
        assert!(matches!(error, LoadError::Unreadable { ref file, .. } if file == "x.json"));
    }
}

#[test]
fn load_refuses_an_unknown_field_at_every_depth() {
    let places = [
        "",
        "/licence",
        "/recall",
        "/items/0",
        "/response_sets/bothered/0",
        "/scoring",
        "/missing",
        "/range",
        "/subscales/0",
        "/cut_offs/0",
        "/cut_offs/0/rule",
        "/changes/0",
        "/changes/0/rule",
        "/loinc",
        "/left_out/0",
        "/golden/0",
        "/golden/0/expect",
    ];
    for place in places {
        let text = changed("pcl-5", |v| {
            v.pointer_mut(place).unwrap()["surprise"] = json!(1);
        });
        let error = Registry::load(&[("x.json", &text)]).unwrap_err();
        assert!(matches!(error, LoadError::Unreadable { .. }), "{place}");
    }
}

#[test]
fn load_refuses_the_same_id_and_version_twice() {
    let text = file("gad-7");
    let error = Registry::load(&[("a", &text), ("b", &text)]).unwrap_err();
    assert!(matches!(error, LoadError::Duplicate { ref file, .. } if file == "b"));
}

#[test]
fn load_refuses_a_version_that_cannot_be_ordered() {
    for version in ["", "0", "01", "1.0", "-1", "new"] {
        assert_fault("phq-2", |v| v["version"] = json!(version), &Fault::Version);
    }
}

#[test]
fn load_refuses_a_scored_item_outside_the_subscales() {
    assert_fault("pcl-5", |v| drop_last(&mut v["subscales"][1]["items"]), &Fault::OutsideSubscales("pcl-5.7".into()));
}

#[test]
fn load_refuses_a_subscale_of_unknown_or_unscored_items() {
    assert_fault(
        "phq-4",
        |v| v["subscales"][0]["items"][0] = json!("phq-4.9"),
        &Fault::UnknownItem { place: "subscale anxiety".into(), item: "phq-4.9".into() },
    );
    assert_fault(
        "phq-4",
        |v| v["items"][0]["scored"] = json!(false),
        &Fault::UnscoredItem { place: "subscale anxiety".into(), item: "phq-4.1".into() },
    );
}

#[test]
fn load_refuses_an_item_counted_twice_in_a_subscale() {
    assert_fault(
        "phq-4",
        |v| v["subscales"][0]["items"] = json!(["phq-4.1", "phq-4.2", "phq-4.1"]),
        &Fault::Repeated { list: "items of a subscale", id: "phq-4.1".into() },
    );
}

#[test]
fn load_refuses_bands_that_overlap_leave_a_hole_or_miss_the_ends() {
    let band = |id: &str| id.to_owned();
    assert_fault("phq-9", |v| v["bands"][1]["from"] = json!(4), &Fault::BandsOverlap(band("mild")));
    assert_fault("phq-9", |v| v["bands"][1]["from"] = json!(6), &Fault::BandsHole(band("mild")));
    assert_fault("phq-9", |v| v["bands"][0]["from"] = json!(1), &Fault::BandsHole(band("minimal")));
    assert_fault("phq-9", |v| v["bands"][4]["to"] = json!(26), &Fault::BandsEnd);
    assert_fault("phq-9", |v| v["bands"][4]["to"] = json!(28), &Fault::BandsEnd);
    assert_fault("phq-9", |v| v["bands"][2]["to"] = json!(9), &Fault::BandReversed(band("moderate")));
}

#[test]
fn load_refuses_a_cut_off_outside_the_range_or_met_by_everybody() {
    for value in [-1, 0, 28] {
        assert_fault(
            "phq-9",
            |v| v["cut_offs"][0]["rule"]["at_least"] = json!(value),
            &Fault::OutOfRange { place: "cut-off screen-10".into(), value },
        );
    }
    assert_fault(
        "phq-4",
        |v| v["cut_offs"][0]["rule"]["at_least"] = json!(7),
        &Fault::OutOfRange { place: "cut-off anxiety-3".into(), value: 7 },
    );
    assert_fault(
        "pcl-5",
        |v| v["cut_offs"][3]["rule"]["needs"]["c"] = json!(3),
        &Fault::OutOfRange { place: "cut-off provisional-diagnosis".into(), value: 3 },
    );
}

#[test]
fn load_refuses_a_cut_off_on_an_unknown_subscale() {
    assert_fault(
        "phq-4",
        |v| v["cut_offs"][0]["rule"]["subscale"] = json!("panic"),
        &Fault::UnknownSubscale { place: "cut-off anxiety-3".into(), subscale: "panic".into() },
    );
}

#[test]
fn load_refuses_a_change_that_cannot_happen() {
    assert_fault(
        "phq-9",
        |v| v["changes"][0]["rule"]["at_least"] = json!(28),
        &Fault::OutOfRange { place: "change reliable-nhs".into(), value: 28 },
    );
    assert_fault(
        "phq-9",
        |v| v["changes"][2]["rule"]["at_least"] = json!(101),
        &Fault::OutOfRange { place: "change response".into(), value: 101 },
    );
    assert_fault(
        "pcl-5",
        |v| v["changes"][3]["rule"]["to"] = json!(9),
        &Fault::OutOfRange { place: "change minimal-important-blanchard-2023".into(), value: 9 },
    );
}

#[test]
fn load_refuses_ids_and_option_values_that_stand_twice() {
    assert_fault(
        "phq-2",
        |v| v["items"][1]["id"] = json!("phq-2.1"),
        &Fault::Repeated { list: "items", id: "phq-2.1".into() },
    );
    assert_fault(
        "phq-2",
        |v| v["cut_offs"][1]["id"] = json!("screen-3"),
        &Fault::Repeated { list: "cut_offs", id: "screen-3".into() },
    );
    assert_fault(
        "phq-2",
        |v| v["response_sets"]["frequency"][1]["value"] = json!(0),
        &Fault::RepeatedValue { set: "frequency".into(), value: 0 },
    );
}

#[test]
fn load_refuses_unknown_response_sets_and_a_range_that_the_items_do_not_give() {
    assert_fault(
        "phq-2",
        |v| v["items"][0]["responses"] = json!("often"),
        &Fault::UnknownResponses { item: "phq-2.1".into(), set: "often".into() },
    );
    assert_fault(
        "phq-2",
        |v| v["range"]["max"] = json!(8),
        &Fault::Range { stated_min: 0, stated_max: 8, min: 0, max: 6 },
    );
}

#[test]
fn load_refuses_a_risk_item_that_is_unknown_or_cannot_be_reached() {
    assert_fault(
        "phq-9",
        |v| v["risk_items"][0]["item"] = json!("phq-9.10"),
        &Fault::UnknownItem { place: "risk item".into(), item: "phq-9.10".into() },
    );
    assert_fault(
        "phq-9",
        |v| v["risk_items"][0]["at_least"] = json!(4),
        &Fault::NoSuchOption { place: "risk item".into(), item: "phq-9.9".into(), value: 4 },
    );
}

#[test]
fn load_refuses_a_gate_that_is_scored_or_unknown() {
    assert_fault(
        "pc-ptsd-5",
        |v| v["gate"]["item"] = json!("pc-ptsd-5.0"),
        &Fault::UnknownItem { place: "gate".into(), item: "pc-ptsd-5.0".into() },
    );
    assert_fault(
        "pc-ptsd-5",
        |v| v["gate"]["item"] = json!("pc-ptsd-5.1"),
        &Fault::Repeated { list: "gate and scored items", id: "pc-ptsd-5.1".into() },
    );
    assert_fault("pc-ptsd-5", |v| v["gate"]["score"] = json!(6), &Fault::OutOfRange { place: "gate".into(), value: 6 });
}

#[test]
fn load_refuses_prorating_from_nothing() {
    assert_fault("phq-9", |v| v["missing"]["up_to"] = json!(9), &Fault::MissingAll);
}

#[test]
fn load_refuses_text_against_the_licence_and_a_free_licence_without_text() {
    assert_fault("audit-c", |v| v["items"][0]["text"] = json!("How often?"), &Fault::TextForbidden("audit-c.1".into()));
    assert_fault("audit-c", |v| v["stem"] = json!("In the past year:"), &Fault::TextForbidden("stem".into()));
    assert_fault(
        "audit-c",
        |v| v["response_sets"]["points"][0]["label"] = json!("Never"),
        &Fault::TextForbidden("points 0".into()),
    );
    assert_fault("gad-2", |v| v["items"][0]["text"] = Value::Null, &Fault::TextLacking("gad-2.1".into()));
    assert_fault("phq-2", |v| v["licence"]["class"] = json!("C"), &Fault::TextForbidden("instructions".into()));
}

#[test]
fn load_refuses_a_number_without_a_source() {
    let lacking = |place: &str| Fault::NoSource(place.to_owned());
    assert_fault("phq-9", |v| v["band_source"] = Value::Null, &lacking("bands"));
    assert_fault("phq-9", |v| v["missing"]["source"] = json!(" "), &lacking("missing"));
    assert_fault("phq-9", |v| v["cut_offs"][0]["source"] = json!(""), &lacking("cut-off screen-10"));
    assert_fault("phq-9", |v| v["changes"][0]["sample"] = json!(""), &lacking("sample of change reliable-nhs"));
}

#[test]
fn load_refuses_a_worked_example_that_does_not_score_as_it_says() {
    let wrong = changed("gad-7", |v| v["golden"][1]["expect"]["score"] = json!(20_000));
    assert!(golden_faults(&wrong) == ["all three"]);
    let unknown = changed("gad-7", |v| v["golden"][0]["answers"]["gad-7.8"] = json!(0));
    assert!(golden_faults(&unknown) == ["all zero"]);
    // A rule changed behind the back of its examples is noticed too.
    let zero = changed("phq-9", |v| v["missing"] = json!({"kind": "all_needed"}));
    assert!(!golden_faults(&zero).is_empty());
    assert_fault("gad-7", |v| v["golden"] = json!([]), &Fault::NoGolden);
}

#[test]
fn load_names_the_file_and_every_contradiction_at_once() {
    let text = changed("phq-9", |v| {
        v["version"] = json!("x");
        v["bands"][1]["from"] = json!(6);
    });
    let error = Registry::load(&[("phq-9-2.json", &text)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "phq-9-2.json: contradicts itself: the version must be a whole number from 1; \
         there is a hole in the bands before mild"
    );
}

// ---- shared steps ----

fn built_in(id: &str) -> &'static Instrument {
    Registry::built_in().current(id).unwrap()
}

fn answers(given: &[(&str, Option<i32>)]) -> Answers {
    let pairs = given.iter().map(|(id, value)| ((*id).to_owned(), *value));
    Answers(pairs.collect())
}

/// Every scored item at one value, and an open gate.
fn all_at(instrument: &Instrument, value: i32) -> Answers {
    let mut answers = Answers(instrument.scored_items().map(|item| (item.id.clone(), Some(value))).collect());
    if let Some(gate) = &instrument.gate {
        answers.0.insert(gate.item.clone(), Some(1 - gate.value));
    }
    answers
}

fn top(instrument: &Instrument) -> i32 {
    let item = instrument.scored_items().next().unwrap();
    let values = instrument.options(item).iter().map(|option| option.value);
    values.max().unwrap()
}

fn met(outcome: &Outcome, cut_off: &str) -> Option<bool> {
    let judged = outcome.positive.iter().find(|j| j.cut_off == cut_off);
    judged.unwrap().met
}

fn assert_bad(id: &str, given: &[(&str, Option<i32>)], items: &[&str]) -> Vec<BadAnswer> {
    let bad = score(built_in(id), &answers(given)).unwrap_err();
    let named: Vec<&str> = bad.iter().map(|b| b.item.as_str()).collect();
    assert_eq!(named, items);
    bad
}

/// A good file, as text.
fn file(id: &str) -> String {
    serde_json::to_string(built_in(id)).unwrap()
}

/// A good file with one change.
fn changed(id: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::to_value(built_in(id)).unwrap();
    change(&mut value);
    value.to_string()
}

fn drop_last(list: &mut Value) {
    list.as_array_mut().unwrap().pop();
}

fn faults(text: &str) -> Vec<Fault> {
    match Registry::load(&[("x.json", text)]).unwrap_err() {
        LoadError::Inconsistent { faults, .. } => faults,
        other => panic!("{other}"),
    }
}

fn assert_fault(id: &str, change: impl FnOnce(&mut Value), expected: &Fault) {
    let faults = faults(&changed(id, change));
    assert!(faults.contains(expected), "{faults:?}");
}

fn golden_faults(text: &str) -> Vec<String> {
    let names = faults(text).into_iter().map(|fault| match fault {
        Fault::Golden { name, .. } => name,
        other => panic!("{other}"),
    });
    names.collect()
}
