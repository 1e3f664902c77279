//! Instruments: the worked examples of every file, what the loader refuses, and the clinical traps.

mod properties;
mod schema;
mod table;
mod texts;

use circlekeeper::rules::instruments::*;
use serde_json::{Value, json};

use crate::world::World;

const IDS: [&str; 36] = [
    "asrm",
    "audit",
    "audit-c",
    "barc-10",
    "bsl-23",
    "ces-d",
    "core-10",
    "dass-21",
    "dast-10",
    "eat-26",
    "ede-q",
    "gad-2",
    "gad-7",
    "gse",
    "hrql-4",
    "isi",
    "k10",
    "k6",
    "oci-r",
    "pc-ptsd-5",
    "pcl-5",
    "peg",
    "phq-15",
    "phq-2",
    "phq-4",
    "phq-8",
    "phq-9",
    "pswq",
    "qpr-15",
    "rosenberg",
    "scoff",
    "swemwbs",
    "ucla-3",
    "who-5",
    "whodas-12",
    "wsas",
];

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
        let reached = |points: Points| {
            let shown = scores.contains(&points.thousandths());
            assert!(shown, "{}: no worked example with {points} points", instrument.id);
        };
        if instrument.scoring != (Scoring::SubscalesOnly {}) {
            reached(instrument.range.min);
            reached(instrument.range.max);
        }
        for band in &instrument.bands {
            // A mean has steps of its own: it may jump over an edge.
            if instrument.scoring == (Scoring::Mean {}) {
                let id = Some(band.id.as_str());
                assert!(instrument.golden.iter().any(|golden| golden.expect.band.as_deref() == id), "{}", band.id);
                continue;
            }
            reached(band.from);
            reached(band.to);
        }
        for subscale in &instrument.subscales {
            for band in &subscale.bands {
                let is_shown = |golden: &Golden| golden.expect.subscale_bands.get(&subscale.id) == Some(&band.id);
                assert!(instrument.golden.iter().any(is_shown), "{} {}", subscale.id, band.id);
            }
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
        assert!(ships || instrument.instructions.is_none());
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
    for instrument in with_a_total() {
        let scored: Vec<&str> = instrument.scored_items().map(|i| i.id.as_str()).collect();
        let lacking = usize::from(instrument.missing.allowed()) + 1;
        for declined in [false, true] {
            let mut answers = at_most_points(instrument);
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
    for instrument in with_a_total() {
        let mut answers = at_most_points(instrument);
        let last = instrument.scored_items().last().unwrap().id.clone();
        answers.0.remove(&last);
        let outcome = score(instrument, &answers).unwrap();
        let prorates = ["core-10", "gse", "phq-9"].contains(&instrument.id.as_str());
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
    let starts: Vec<Points> = phq_9.bands.iter().map(|band| band.from).collect();
    assert_eq!(starts, [0, 5, 10, 15, 20].map(Points::whole));
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
    let points = |points| ChangeRule::Points { at_least: Points::whole(points) };
    let (first, second) = (points(15), points(18));
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
fn reversed_items_count_the_other_way_round_and_the_answer_is_kept_as_given() {
    let reversed = |id: &str| -> Vec<&str> {
        built_in(id).items.iter().filter(|item| item.reverse).map(|item| item.id.as_str()).collect()
    };
    assert_eq!(reversed("pswq"), ["pswq.1", "pswq.3", "pswq.8", "pswq.10", "pswq.11"]);
    assert_eq!(reversed("ces-d"), ["ces-d.4", "ces-d.8", "ces-d.12", "ces-d.16"]);
    assert_eq!(reversed("core-10"), ["core-10.2", "core-10.3"]);
    assert_eq!(reversed("dast-10"), ["dast-10.3"]);
    // The same answer everywhere: 16 × 5 would be 80; five of them count 1.
    assert_eq!(score(built_in("pswq"), &all_at(built_in("pswq"), 5)).unwrap().score, Some(60_000));
    assert_eq!(score(built_in("ces-d"), &all_at(built_in("ces-d"), 0)).unwrap().score, Some(12_000));
    assert_eq!(score(built_in("rosenberg"), &all_at(built_in("rosenberg"), 3)).unwrap().score, Some(15_000));
    assert_eq!(score(built_in("dast-10"), &all_at(built_in("dast-10"), 1)).unwrap().score, Some(9000));
    assert_eq!(score(built_in("core-10"), &all_at(built_in("core-10"), 4)).unwrap().score, Some(32_000));
}

#[test]
fn dass_21_doubles_its_sums_and_has_no_total() {
    let dass = built_in("dass-21");
    let outcome = score(dass, &all_at(dass, 1)).unwrap();
    assert_eq!((outcome.score, outcome.no_score), (None, Some(NoScore::NoTotal {})));
    assert!(outcome.subscales.values().all(|number| *number == Some(14_000)));
    let band = |id: &str| outcome.subscale_bands[id].as_str();
    assert_eq!((band("depression"), band("anxiety"), band("stress")), ("moderate", "moderate", "normal"));
    // One scale without a number takes none from the others.
    let mut answers = all_at(dass, 3);
    answers.0.remove("dass-21.1");
    let outcome = score(dass, &answers).unwrap();
    assert_eq!(outcome.subscales["stress"], None);
    assert_eq!(outcome.subscales["depression"], Some(42_000));
    assert!(!outcome.subscale_bands.contains_key("stress"));
}

#[test]
fn swemwbs_looks_its_sums_up_in_the_published_table() {
    let swemwbs = built_in("swemwbs");
    let at = |value| score(swemwbs, &all_at(swemwbs, value)).unwrap().score;
    // Sums of 7, 14, 21, 28 and 35.
    assert_eq!([at(1), at(2), at(3), at(4), at(5)], [7000, 15_320, 19_250, 25_030, 35_000].map(Some));
}

#[test]
fn audit_items_9_and_10_count_0_2_or_4() {
    assert_bad(
        "audit",
        &[("audit.8", Some(5)), ("audit.9", Some(1)), ("audit.10", Some(3))],
        &["audit.10", "audit.8", "audit.9"],
    );
    let mut answers = all_at(built_in("audit"), 0);
    answers.0.insert("audit.9".into(), Some(2));
    answers.0.insert("audit.10".into(), Some(4));
    assert_eq!(score(built_in("audit"), &answers).unwrap().score, Some(6000));
}

#[test]
fn eat_26_counts_half_of_its_options_and_its_last_item_the_other_half() {
    let eat = built_in("eat-26");
    let at = |value| score(eat, &all_at(eat, value)).unwrap().score;
    assert_eq!([at(0), at(1), at(2)], [Some(3000), Some(2000), Some(1000)]);
    assert_eq!([at(3), at(4), at(5)], [Some(25_000), Some(50_000), Some(75_000)]);
}

#[test]
fn peg_is_a_mean_and_ede_q_a_mean_of_means() {
    let given = answers(&[("peg.1", Some(5)), ("peg.2", Some(5)), ("peg.3", Some(6))]);
    assert_eq!(score(built_in("peg"), &given).unwrap().score, Some(5333));
    let ede_q = built_in("ede-q");
    let mut answers = all_at(ede_q, 0);
    // In shape and in weight: 6/8 and 6/5, over four.
    answers.0.insert("ede-q.8".into(), Some(6));
    let outcome = score(ede_q, &answers).unwrap();
    assert_eq!((outcome.subscales["shape"], outcome.subscales["weight"]), (Some(750), Some(1200)));
    assert_eq!(outcome.score, Some(488));
}

#[test]
fn healthy_days_end_where_the_month_does() {
    let days = answers(&[("hrql-4.2", Some(17)), ("hrql-4.3", Some(20))]);
    let outcome = score(built_in("hrql-4"), &days).unwrap();
    assert_eq!(outcome.score, Some(30_000));
    assert_eq!(met(&outcome, "frequent-mental-distress"), Some(true));
}

#[test]
fn who_5_is_better_when_higher_and_low_at_fifty_or_less() {
    let who_5 = built_in("who-5");
    assert_eq!(who_5.direction, Direction::HigherIsBetter);
    let mut answers = all_at(who_5, 2);
    let low = score(who_5, &answers).unwrap();
    assert_eq!((low.score, met(&low, "low-50")), (Some(40_000), Some(true)));
    for item in ["who-5.1", "who-5.2", "who-5.3"] {
        answers.0.insert(item.into(), Some(3));
    }
    let better = score(who_5, &answers).unwrap();
    assert_eq!((better.score, met(&better, "low-50")), (Some(52_000), Some(false)));
}

#[test]
fn an_item_for_some_is_not_missing_where_it_does_not_apply() {
    let phq_15 = built_in("phq-15");
    let mut answers = all_at(phq_15, 2);
    answers.0.remove("phq-15.4");
    let without = score(phq_15, &answers).unwrap();
    assert_eq!((without.score, without.prorated, without.missing.len()), (Some(28_000), false, 0));
    answers.0.insert("phq-15.4".into(), None);
    let declined = score(phq_15, &answers).unwrap();
    assert_eq!((declined.score, declined.missing), (None, vec!["phq-15.4".to_owned()]));
}

#[test]
fn core_10_prorates_one_item_without_rounding_and_flags_plans_to_end_ones_life() {
    let core = built_in("core-10");
    let mut answers = all_at(core, 2);
    answers.0.insert("core-10.1".into(), Some(3));
    answers.0.remove("core-10.10");
    let outcome = score(core, &answers).unwrap();
    // 19 / 9 × 10
    assert_eq!((outcome.score, outcome.prorated), (Some(21_111), true));
    let risk = |value: Option<i32>| score(core, &answers_of("core-10.6", value)).unwrap().risk;
    assert_eq!(
        [risk(Some(0)), risk(Some(1)), risk(Some(4)), risk(None)],
        [Risk::None, Risk::Positive, Risk::Positive, Risk::Declined]
    );
}

#[test]
fn measures_over_http_take_the_new_instruments_flag_their_risk_and_show_decimals() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let answer = |instrument: &str, answers: Value| {
        let body = json!({"instrument": instrument, "answers": answers});
        server.post(&led.member.person, &led.path("/measures"), &body).expect(201)
    };
    let core = answer("core-10", json!({"core-10.6": 1}));
    assert_eq!((&core["risk"], &core["flagged"], &core["score"]), (&json!("positive"), &json!(true), &Value::Null));
    assert!(core["crisis"]["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{core}");
    let peg = answer("peg", json!({"peg.1": 5, "peg.2": 5, "peg.3": 6}));
    assert_eq!((&peg["score"], &peg["band"]), (&json!(5.333), &Value::Null));
    let dass = serde_json::to_value(all_at(built_in("dass-21"), 1)).unwrap();
    let dass = answer("dass-21", dass);
    assert_eq!((&dass["score"], &dass["no_score"]), (&Value::Null, &json!({"reason": "no_total"})));
    assert_eq!(dass["subscales"], json!({"depression": 14.0, "anxiety": 14.0, "stress": 14.0}));
    let listed = server.request("GET", "/v1/instruments").send().expect(200);
    let ids: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, IDS);
    let body = json!({"items": [{"instrument": "swemwbs", "every_days": 14}]});
    let schedule = server.request("PUT", &led.path("/measure-schedule")).token(&led.lead.token).json(&body);
    assert_eq!(schedule.send().expect(200)["items"][0]["instrument"], json!("swemwbs"));
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
            &Fault::OutOfRange { place: "cut-off screen-10".into(), value: Points::whole(value) },
        );
    }
    assert_fault(
        "phq-4",
        |v| v["cut_offs"][0]["rule"]["at_least"] = json!(7),
        &Fault::OutOfRange { place: "cut-off anxiety-3".into(), value: Points::whole(7) },
    );
    assert_fault(
        "pcl-5",
        |v| v["cut_offs"][3]["rule"]["needs"]["c"] = json!(3),
        &Fault::OutOfRange { place: "cut-off provisional-diagnosis".into(), value: Points::whole(3) },
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
        &Fault::OutOfRange { place: "change reliable-nhs".into(), value: Points::whole(28) },
    );
    assert_fault(
        "phq-9",
        |v| v["changes"][2]["rule"]["at_least"] = json!(101),
        &Fault::OutOfRange { place: "change response".into(), value: Points::whole(101) },
    );
    assert_fault(
        "pcl-5",
        |v| v["changes"][3]["rule"]["to"] = json!(9),
        &Fault::OutOfRange { place: "change minimal-important-blanchard-2023".into(), value: Points::whole(9) },
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
        &Fault::Range {
            stated_min: Points::whole(0),
            stated_max: Points::whole(8),
            min: Points::whole(0),
            max: Points::whole(6),
        },
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
    assert_fault(
        "pc-ptsd-5",
        |v| v["gate"]["score"] = json!(6),
        &Fault::OutOfRange { place: "gate".into(), value: Points::whole(6) },
    );
}

#[test]
fn load_refuses_scoring_that_cannot_be_computed() {
    let table = |length| Fault::TableLength { entries: length, sums: 29 };
    assert_fault("swemwbs", |v| drop_last(&mut v["scoring"]["scores"]), &table(28));
    assert_fault("swemwbs", |v| v["scoring"]["scores"][3] = json!(9), &Fault::TableFalls);
    assert_fault("swemwbs", |v| v["scoring"]["source"] = json!(""), &Fault::NoSource("table".into()));
    assert_fault("who-5", |v| v["scoring"]["times"] = json!(0), &Fault::Times(0));
    assert_fault("dass-21", |v| v["subscales"][0]["scoring"]["times"] = json!(-2), &Fault::Times(-2));
    assert_fault(
        "who-5",
        |v| v["scoring"] = json!({"kind": "mean_of_subscales"}),
        &Fault::NoSubscales("a mean of subscales"),
    );
    assert_fault(
        "who-5",
        |v| v["scoring"] = json!({"kind": "subscales_only"}),
        &Fault::NoSubscales("an instrument without a total"),
    );
    assert_fault("oci-r", |v| v["scoring"] = json!({"kind": "subscales_only"}), &Fault::NoTotal("a cut-off"));
    assert_fault("pcl-5", |v| v["scoring"] = json!({"kind": "subscales_only"}), &Fault::NoTotal("a change threshold"));
    let prorated = |v: &mut Value| v["missing"] = json!({"kind": "prorate", "up_to": 1, "source": "x"});
    assert_fault("swemwbs", prorated, &Fault::Prorating("this scoring"));
    assert_fault("phq-15", prorated, &Fault::Prorating("items of different weight"));
    assert_fault(
        "audit",
        |v| {
            prorated(v);
            v["response_sets"]["ever"] = json!([{"value": 0}, {"value": 2}]);
        },
        &Fault::Prorating("items of different weight"),
    );
    assert_fault("oci-r", |v| v["items"][0]["if_it_applies"] = json!(true), &Fault::PartOfSubscale("oci-r.1".into()));
}

#[test]
fn load_refuses_subscale_bands_with_a_hole_and_decimals_that_do_not_meet() {
    let mild = Fault::BandsHole("mild".into());
    assert_fault("dass-21", |v| v["subscales"][1]["bands"][1]["from"] = json!(9), &mild);
    assert_fault("bsl-23", |v| v["bands"][1]["from"] = json!(0.3), &mild);
    assert_fault("bsl-23", |v| v["bands"][1]["from"] = json!(0.28), &Fault::BandsOverlap("mild".into()));
    let lacking = Fault::NoSource("bands of subscale anxiety".into());
    assert_fault("dass-21", |v| drop(v["subscales"][1].as_object_mut().unwrap().remove("band_source")), &lacking);
    assert_fault(
        "who-5",
        |v| v["cut_offs"][0]["rule"]["at_most"] = json!(100),
        &Fault::OutOfRange { place: "cut-off low-50".into(), value: Points::whole(100) },
    );
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
    assert_fault("k10", |v| v["licence"]["class"] = json!("B"), &Fault::TextForbidden("k10.1".into()));
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

fn answers_of(item: &str, value: Option<i32>) -> Answers {
    answers(&[(item, value)])
}

/// Every scored item at one value, and an open gate.
fn all_at(instrument: &Instrument, value: i32) -> Answers {
    let mut answers = Answers(instrument.scored_items().map(|item| (item.id.clone(), Some(value))).collect());
    if let Some(gate) = &instrument.gate {
        answers.0.insert(gate.item.clone(), Some(1 - gate.value));
    }
    answers
}

/// Every scored item at the value that gives it the most points, and an open gate.
fn at_most_points(instrument: &Instrument) -> Answers {
    let mut answers = all_at(instrument, 0);
    for item in instrument.scored_items() {
        let values = instrument.options(item).iter().map(|option| option.value);
        let best = values.max_by_key(|value| instrument.points(item, *value));
        answers.0.insert(item.id.clone(), best);
    }
    answers
}

fn with_a_total() -> impl Iterator<Item = &'static Instrument> {
    Registry::built_in().all().iter().filter(|instrument| instrument.scoring != (Scoring::SubscalesOnly {}))
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
