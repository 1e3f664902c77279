//! Pictures of progress: safe against what people wrote, readable without colour, and drawn from figures alone.

use std::collections::{BTreeSet, HashMap};

use circlekeeper::{
    charts::{self, Frame, Member, Panel, Role},
    rules::{
        attendance::Status,
        check_ins::{By, Mood, Said, trend},
        instruments::{NoScore, Registry},
        progress::{Attendance, Held, Language, Place, Recorded, Series, Taken, Window, series},
    },
    values::{Day, Id, Moment},
};
use expect_test::expect_file;
use roxmltree::{Document, Node};
use uuid::Uuid;

/// 2026-09-07T16:30:00Z, a Monday.
const START: Moment = Moment(1_788_798_600_000);

fn id(number: u128) -> Id {
    Id(Uuid::from_u128(number))
}

fn window(days: i64) -> Window {
    Window { since: START.plus_days(-2), until: START.plus_days(days) }
}

fn taken(instrument: &str, day: i64, score: Option<i32>) -> Taken {
    Taken {
        id: id(day.unsigned_abs().into()),
        group: id(1),
        instrument: instrument.into(),
        version: "1".into(),
        taken_at: START.plus_days(day),
        score: score.map(|score| score * 1000),
        no_score: score.is_none().then_some(NoScore::TooManyMissing { missing: 4, allowed: 2 }),
        prorated: false,
        subscales: HashMap::new(),
    }
}

/// A score each week, from the first day on.
fn weekly(instrument: &str, scores: &[Option<i32>]) -> Vec<Taken> {
    scores.iter().enumerate().map(|(week, score)| taken(instrument, week as i64 * 7, *score)).collect()
}

fn drawn(taken: &[Taken], window: Window) -> Vec<Series<'static>> {
    series(Registry::built_in(), taken, Some(START), window)
}

fn places(statuses: &[Option<Status>]) -> Vec<Attendance> {
    let place = |(week, status): (usize, &Option<Status>)| {
        let session = id(1000 + week as u128);
        let starts_at = START.plus_days(week as i64 * 7);
        let minutes = match status {
            Some(Status::Attended) => 90,
            Some(Status::Late | Status::LeftEarly) => 70,
            _ => 0,
        };
        Place {
            held: Held { session, group: id(1), starts_at, until: starts_at.plus_minutes(90), minutes: 90 },
            recorded: status.map(|status| Recorded { session, status, minutes }),
        }
    };
    vec![Attendance { group: id(1), places: statuses.iter().enumerate().map(place).collect() }]
}

fn frame(language: Language, window: Window) -> Frame<'static> {
    Frame { language, zone: "Europe/Berlin", since: window.since, until: window.until }
}

fn picture(frame: Frame, name: Option<&str>, series: &[Series], attendance: &[Attendance]) -> String {
    let titles = HashMap::new();
    charts::of_member(&Member {
        frame,
        name,
        uses_answers: true,
        series,
        attendance,
        heads_only: &[],
        doses: &[],
        check_ins: &[],
        group_titles: &titles,
    })
}

/// A course with everything that can be marked in it.
fn course() -> Vec<Taken> {
    let scores = [16, 17, 15, 14, 15, 12, 11, 0, 9, 8, 6, 5];
    let mut all = weekly("phq-9", &scores.map(|score| (score > 0).then_some(score)));
    all[4].prorated = true;
    let mut repeated = taken("phq-9", 31, Some(14));
    repeated.group = id(2);
    all.push(repeated);
    for (week, score) in [13, 13, 12, 10, 9, 7].into_iter().enumerate() {
        all.push(Taken { id: id(500 + week as u128), ..taken("gad-7", week as i64 * 14, Some(score)) });
    }
    all
}

fn statuses() -> Vec<Option<Status>> {
    use Status::{Attended, Excused, Late, LeftEarly, NoShow};
    [Attended, Attended, Late, Attended, Excused, Attended, Attended, NoShow, Attended, LeftEarly, Attended]
        .map(Some)
        .into_iter()
        .chain([None])
        .collect()
}

/// A course of twelve weeks, and check-ins beside it.
fn whole(language: Language) -> String {
    let window = window(80);
    let series = drawn(&course(), window);
    let said: Vec<(Day, Said)> = (0..12i64)
        .map(|week| {
            let mood = Mood::ALL[((week / 3 + 2) as usize).min(6)];
            let (hope, shame) = (Some(3 + (week / 2) as i32), (week % 4 != 3).then_some(8 - (week / 2) as i32));
            (
                START.plus_days(week * 7).day_in("Europe/Berlin"),
                Said { mood: Some(mood), hope, shame, ..Said::default() },
            )
        })
        .collect();
    let titles = HashMap::from([(id(1), "Tuesday skills group".to_owned()), (id(2), "Day clinic".to_owned())]);
    charts::of_member(&Member {
        frame: frame(language, window),
        name: None,
        uses_answers: true,
        series: &series,
        attendance: &places(&statuses()),
        heads_only: &[],
        doses: &[
            ("Thought record", 215),
            ("Homework review", 190),
            ("Behavioural activation", 96),
            ("Problem solving", 45),
            ("Mindful breathing", 0),
        ],
        check_ins: &trend(&said, By::Week),
        group_titles: &titles,
    })
}

fn panel<'a>(name: &'a str, series: &'a [Series<'a>]) -> Panel<'a> {
    Panel { name, has_left: false, consents: true, series }
}

fn small_multiples(language: Language) -> String {
    let window = window(80);
    let of = |scores: &[i32]| {
        let scores: Vec<Option<i32>> = scores.iter().map(|score| (*score >= 0).then_some(*score)).collect();
        let mut taken = weekly("phq-9", &scores);
        // Of the longest course, one is an estimate.
        taken.iter_mut().skip(9).take(1).for_each(|taken| taken.prorated = true);
        drawn(&taken, window)
    };
    let people = [
        ("Ari", of(&[16, 15, 15, 13, 12, 10, 9, 9, 8, 6, 5])),
        ("Bea", of(&[19, 18, 19, -1, 17, 16, 15, 14, 14])),
        ("Cem", of(&[8, 7, 9, 8, 6, 6, 5])),
        ("Dana Oyelaran-Fitzgerald", of(&[11, 12, 14, 15, 17, 18])),
        ("Eli", of(&[14])),
    ];
    let mut panels: Vec<Panel> = people.iter().map(|(name, series)| panel(name, series)).collect();
    panels[2].has_left = true;
    panels.push(Panel { consents: false, ..panel("Fay", &[]) });
    charts::of_group(frame(language, window), "Tuesday skills group", &panels)
}

fn five_years() -> String {
    let window = window(5 * 366);
    let scores: Vec<Option<i32>> =
        (0..260).map(|week| (week % 17 != 5).then_some(20 - week / 20 + (week * 7) % 5)).collect();
    let attended: Vec<Option<Status>> =
        (0..260).map(|week| Some(if week % 9 == 0 { Status::Excused } else { Status::Attended })).collect();
    picture(frame(Language::English, window), None, &drawn(&weekly("phq-9", &scores), window), &places(&attended))
}

/// Every sort of picture.
fn all() -> Vec<String> {
    let window = window(80);
    let english = frame(Language::English, window);
    let one = |score| drawn(&[taken("phq-9", 3, score)], window);
    let other = |instrument, scores: [i32; 4]| drawn(&weekly(instrument, &scores.map(Some)), window);
    vec![
        whole(Language::English),
        whole(Language::German),
        small_multiples(Language::English),
        small_multiples(Language::German),
        five_years(),
        picture(english, Some("Ari"), &[], &[]),
        picture(english, None, &one(Some(9)), &[]),
        picture(english, None, &one(None), &[]),
        charts::of_group(english, "", &[]),
        picture(english, None, &other("who-5", [20, 40, 44, 60]), &[]),
        picture(english, None, &other("audit", [30, 24, 18, 9]), &[]),
        picture(frame(Language::German, window), None, &other("isi", [26, 20, 16, 6]), &[]),
        picture(english, None, &other("pcl-5", [60, 52, 40, 25]), &[]),
        picture(english, None, &other("dast-10", [10, 0, 1, 2]), &[]),
    ]
}

fn parsed(picture: &str) -> Document<'_> {
    Document::parse(picture).expect("well-formed XML")
}

fn elements<'a>(document: &'a Document<'a>, name: &str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name))).collect()
}

/// The points of a course; those of the key tell no day.
fn points(document: &Document) -> usize {
    let is_point =
        |node: &Node| node.parent().is_some_and(|parent| ["circle", "path"].contains(&parent.tag_name().name()));
    let notes = elements(document, "title").into_iter().filter(is_point).filter_map(|note| note.text());
    notes.filter(|note| note.contains(" 20") && note.contains(": ")).count()
}

fn words<'a>(document: &'a Document<'a>) -> Vec<&'a str> {
    elements(document, "text").iter().filter_map(|node| node.text()).collect()
}

/// Relative luminance of `#rrggbb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour")) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn the_same_figures_give_the_same_picture() {
    expect_file!["charts/member.svg"].assert_eq(&whole(Language::English));
    expect_file!["charts/group.svg"].assert_eq(&small_multiples(Language::German));
}

#[test]
fn what_people_wrote_is_never_markup() {
    let evil = [
        "</text><script>alert(1)</script>",
        "\" onload=\"alert(1)\" x=\"",
        "' onload='alert(1)",
        "<image href=\"https://example.org/x.png\"/>",
        "&lt;b&gt; &#60;i&#62; &amp; &unknown;",
        "]]> <!-- --> <?xml ?> <!DOCTYPE x>",
        "a\u{0}\u{1}\u{b}\u{1f}\u{fffe}\u{ffff}b",
        "\u{202e}kcehc\u{202c}",
    ];
    let window = window(80);
    let mut taken = weekly("phq-9", &[Some(16), Some(9)]);
    taken[1].group = id(2);
    let series = drawn(&taken, window);
    for name in evil {
        let titles = HashMap::from([(id(1), name.to_owned()), (id(2), name.to_owned())]);
        let frame = frame(Language::English, window);
        let of_member = charts::of_member(&Member {
            frame,
            name: Some(name),
            uses_answers: true,
            series: &series,
            attendance: &places(&statuses()),
            heads_only: &[],
            doses: &[(name, 30)],
            check_ins: &[],
            group_titles: &titles,
        });
        let of_group = charts::of_group(frame, name, &[Panel { has_left: true, ..panel(name, &series) }]);
        for picture in [of_member, of_group] {
            let document = parsed(&picture);
            assert_harmless(&document);
            let shown = document.descendants().filter_map(|node| node.text()).collect::<String>();
            let start: String = name.chars().take_while(|c| !c.is_whitespace() && !c.is_control()).take(6).collect();
            assert!(start.starts_with('\u{202e}') || shown.contains(&start), "{name:?} is not shown as it was written");
            assert!(!shown.contains('\u{202e}'));
        }
    }
}

/// Shapes and words, and nothing that runs, links or loads.
fn assert_harmless(document: &Document) {
    const KNOWN: [&str; 8] = ["svg", "title", "desc", "style", "rect", "circle", "path", "text"];
    for node in document.descendants().filter(Node::is_element) {
        assert!(KNOWN.contains(&node.tag_name().name()), "{}", node.tag_name().name());
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on") && !matches!(name, "href" | "src" | "style"), "{name}");
            assert!(!attribute.value().contains("url("), "{name}");
        }
    }
    assert_eq!(
        elements(document, "style").iter().filter_map(|style| style.text()).collect::<Vec<_>>(),
        [charts::style()]
    );
    assert!(!charts::style().contains("url") && !charts::style().contains('@') || !charts::style().contains("@import"));
}

#[test]
fn every_picture_is_told_to_those_who_do_not_see_it() {
    for picture in all() {
        let document = parsed(&picture);
        assert_harmless(&document);
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        let ids: Vec<&str> = root.attribute("aria-labelledby").expect("its names").split(' ').collect();
        assert_eq!(ids, ["title", "description"]);
        for id in ids {
            let named = root.children().find(|node| node.attribute("id") == Some(id)).expect("it is there");
            assert!(named.text().is_some_and(|text| text.len() > 10), "{id}");
        }
        assert!(["en", "de"].contains(&root.attribute("lang").expect("a language")));
    }
    let picture = whole(Language::English);
    let told = elements(&parsed(&picture), "desc")[0].text().unwrap_or_default().to_owned();
    for part in [
        "Lower is better.",
        "7 Sep 2026: 16 (Moderately severe)",
        "From 16 to 5",
        "No score: 4 answers are missing",
        "9 of 12 sessions",
        "Thought record: 3 h 35 min.",
        "Mood (1–7)",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn every_picture_fits_a_phone_and_its_text_can_be_read() {
    for picture in all() {
        let document = parsed(&picture);
        let view: Vec<f64> = document
            .root_element()
            .attribute("viewBox")
            .expect("a view")
            .split(' ')
            .map(|n| n.parse().unwrap())
            .collect();
        assert_eq!((view[0], view[1], view[2]), (0.0, 0.0, 360.0));
        for node in document.descendants().filter(Node::is_element) {
            let number = |name: &str| node.attribute(name).map(|value| value.parse::<f64>().expect("a number"));
            for (name, most) in [("x", view[2]), ("cx", view[2]), ("y", view[3]), ("cy", view[3])] {
                let is_inside = number(name).is_none_or(|value| (0.0..=most).contains(&value));
                assert!(is_inside, "{name} of {:?}", node.attributes().collect::<Vec<_>>());
            }
            assert!(number("font-size").is_none_or(|size| size >= 11.0));
        }
        // By the width of a common font, which is narrower than what the picture reckons with.
        for text in elements(&document, "text") {
            let size: f64 = text.attribute("font-size").expect("a size").parse().unwrap();
            let width = text.text().unwrap_or_default().chars().count() as f64 * size * 0.5;
            let x: f64 = text.attribute("x").expect("a place").parse().unwrap();
            let (left, right) = match text.attribute("text-anchor") {
                Some("middle") => (x - width / 2.0, x + width / 2.0),
                Some("end") => (x - width, x),
                _ => (x, x + width),
            };
            assert!(left >= -1.0 && right <= view[2] + 1.0, "{:?} does not fit", text.text());
        }
    }
}

#[test]
fn colours_stand_out_from_what_they_stand_on_in_light_and_dark() {
    for of in [Role::light as fn(Role) -> &'static str, Role::dark] {
        for text in [Role::Text, Role::Muted] {
            assert!(contrast(of(text), of(Role::Ground)) >= 4.5, "{text:?}");
        }
        for graphic in [Role::Line, Role::Rule, Role::Alert] {
            for ground in Role::BANDS.into_iter().chain([Role::Ground]) {
                let found = contrast(of(graphic), of(ground));
                assert!(found >= 3.0, "{graphic:?} on {ground:?}: {found:.2}");
            }
        }
        // The worse the stronger, step by step.
        let shades: Vec<f64> = Role::BANDS.iter().map(|band| contrast(of(*band), of(Role::Ground))).collect();
        assert!(shades.is_sorted_by(|a, b| a < b), "{shades:?}");
    }
    // Sixteen eighths of a rounding error away from the definition: black on white is 21 to 1.
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
    let known: BTreeSet<&str> = Role::ALL.iter().map(|role| role.light()).chain(["none"]).collect();
    for picture in all() {
        for node in parsed(&picture).descendants() {
            for name in ["fill", "stroke"] {
                assert!(node.attribute(name).is_none_or(|colour| known.contains(colour)));
            }
        }
    }
    for role in Role::ALL {
        assert!(charts::style().contains(role.dark()), "{role:?} stays light in the dark");
    }
    assert!(charts::style().contains("@media print"));
}

/// What is drawn, without any colour.
fn forms(picture: &str) -> Vec<String> {
    let document = parsed(picture);
    let shapes = document.descendants().filter(|node| ["rect", "circle", "path"].contains(&node.tag_name().name()));
    let form = |node: Node| {
        let attributes = node.attributes().filter(|attribute| !["class", "stroke"].contains(&attribute.name()));
        let attributes = attributes.map(|attribute| match (attribute.name(), attribute.value()) {
            // Full or hollow shows on any paper.
            ("fill", value) => format!("hollow={}", value == "none" || value == Role::Ground.light()),
            (name, value) => format!("{name}={value}"),
        });
        format!("{} {}", node.tag_name().name(), attributes.collect::<Vec<_>>().join(" "))
    };
    shapes.map(form).collect()
}

#[test]
fn nothing_is_told_apart_by_colour_alone() {
    let window = window(80);
    let english = frame(Language::English, window);
    let shown: BTreeSet<Vec<String>> = Status::ALL
        .iter()
        .map(|status| Some(*status))
        .chain([None])
        .map(|status| forms(&picture(english, None, &[], &places(&[status]))))
        .map(|forms| forms.into_iter().filter(|form| !form.contains("width=360")).collect())
        .collect();
    assert_eq!(shown.len(), Status::ALL.len() + 1, "each status has a form of its own");
    let points = |change: fn(&mut Taken)| {
        let mut taken = weekly("phq-9", &[Some(16), Some(9)]);
        change(&mut taken[1]);
        forms(&picture(english, None, &drawn(&taken, window), &[]))
    };
    let plain = points(|_| {});
    assert_ne!(plain, points(|taken| taken.group = id(2)));
    assert_ne!(plain, points(|taken| taken.prorated = true));
    assert_ne!(plain, points(|taken| taken.score = None));
}

#[test]
fn a_missing_score_is_no_point_and_no_zero() {
    let window = window(80);
    let english = frame(Language::English, window);
    let with = picture(english, None, &drawn(&weekly("phq-9", &[Some(16), None, Some(9)]), window), &[]);
    let document = parsed(&with);
    assert_eq!(points(&document), 2);
    // No whole line leads over it.
    let ways: Vec<Node> = elements(&document, "path")
        .into_iter()
        .filter(|way| way.attribute("stroke") == Some(Role::Line.light()))
        .collect();
    assert!(!ways.is_empty() && ways.iter().all(|way| way.attribute("stroke-dasharray").is_some()), "{ways:?}");
    assert!(words(&document).join(" ").contains("missing is not zero"));
    let none = picture(english, None, &drawn(&weekly("phq-9", &[None]), window), &[]);
    let document = parsed(&none);
    assert_eq!(points(&document), 0);
    assert!(elements(&document, "desc")[0].text().unwrap_or_default().contains("allows for 2"));
}

#[test]
fn days_are_those_of_the_readers_zone() {
    let window = Window { since: Moment(1_772_000_000_000), until: Moment(1_773_000_000_000) };
    // 2026-03-01T03:00:00Z.
    let taken = Taken { taken_at: Moment(1_772_334_000_000), ..taken("phq-9", 0, Some(8)) };
    let series = drawn(&[taken], window);
    let in_zone = |zone| {
        let frame = Frame { language: Language::English, zone, since: window.since, until: window.until };
        picture(frame, None, &series, &[])
    };
    assert!(in_zone("America/Chicago").contains("28 Feb 2026: 8"));
    assert!(in_zone("Asia/Kolkata").contains("1 Mar 2026: 8"));
    // A zone that nobody knows is no failure.
    assert!(in_zone("Nowhere/Atall").contains("1 Mar 2026: 8"));
}

#[test]
fn german_is_german_and_other_languages_are_english() {
    let german = whole(Language::German);
    for word in ["Ihr Verlauf", "Niedriger ist besser.", "Mittelschwer", "Teilnahme", "Von 16 auf 5", "Stimmung"] {
        assert!(german.contains(word), "{word}");
    }
    for word in ["Lower", "session", "Your", "missing"] {
        assert!(!words(&parsed(&german)).iter().any(|words| words.contains(word)), "{word}");
    }
    for (tag, language) in [
        ("de", Language::German),
        ("de-AT", Language::German),
        ("DE", Language::German),
        ("en-US", Language::English),
        ("fr", Language::English),
        ("ase", Language::English),
        ("", Language::English),
        ("den", Language::English),
    ] {
        assert_eq!(Language::of(tag), language, "{tag}");
    }
    assert_eq!((Language::German.points(3_667), Language::English.points(3_667)), ("3,67".into(), "3.67".into()));
    assert_eq!((Language::English.points(12_000), Language::English.points(500)), ("12".into(), "0.5".into()));
}

#[test]
fn five_years_stay_small_and_keep_their_points() {
    let picture = five_years();
    assert!(picture.len() < 150_000, "{} bytes", picture.len());
    let document = parsed(&picture);
    assert_eq!(points(&document), (0..260).filter(|week| week % 17 != 5).count());
    let shown = words(&document);
    for year in ["2027", "2028", "2029", "2030", "2031"] {
        assert!(shown.contains(&year), "{year}");
    }
}

#[test]
fn a_window_moves_no_baseline() {
    let taken = weekly("phq-9", &[Some(20), Some(16), Some(12), Some(9)]);
    let late = Window { since: START.plus_days(10), until: START.plus_days(80) };
    let series = drawn(&taken, late);
    assert_eq!(series[0].points.len(), 2);
    assert_eq!(series[0].baseline.map(|(point, _)| point.score), Some(20_000));
    assert_eq!(series[0].change.ends.map(|(first, last)| (first.score, last.score)), Ok((20_000, 9_000)));
    // What lies after the window has not happened yet.
    let early = Window { since: START.plus_days(-1), until: START.plus_days(10) };
    assert_eq!(drawn(&taken, early)[0].change.ends.map(|(_, last)| last.score), Ok(16_000));
    // A window without anything shows nothing.
    let never = Window { since: START.plus_days(200), until: START.plus_days(300) };
    assert!(drawn(&taken, never).is_empty());
}

#[test]
fn an_instrument_without_a_total_has_a_series_for_each_part() {
    let mut form = taken("dass-21", 0, None);
    form.no_score = Some(NoScore::NoTotal {});
    form.subscales =
        HashMap::from([("depression".into(), Some(14_000)), ("anxiety".into(), None), ("stress".into(), Some(8_000))]);
    let series = drawn(&[form], window(80));
    let found: Vec<(&str, usize, usize)> = series
        .iter()
        .map(|series| (series.subscale.expect("a part").id.as_str(), series.points.len(), series.gaps.len()))
        .collect();
    assert_eq!(found, [("depression", 1, 0), ("stress", 1, 0), ("anxiety", 0, 1)]);
    assert_eq!(series[0].points[0].band.map(|band| band.id.as_str()), Some("moderate"));
}

/// Whether two boxes have a point in common.
fn overlap(one: (f64, f64, f64, f64), other: (f64, f64, f64, f64)) -> bool {
    one.0 < other.1 && other.0 < one.1 && one.2 < other.3 && other.2 < one.3
}

/// Left, right, top and bottom of a text, in a common font.
fn spot(text: &Node) -> (f64, f64, f64, f64) {
    let number = |name: &str| text.attribute(name).expect("a number").parse::<f64>().unwrap();
    let (x, y, size) = (number("x"), number("y"), number("font-size"));
    let width = text.text().unwrap_or_default().chars().count() as f64 * size * 0.55;
    let left = match text.attribute("text-anchor") {
        Some("middle") => x - width / 2.0,
        Some("end") => x - width,
        _ => x,
    };
    (left, left + width, y - size * 0.72, y)
}

#[test]
fn no_dates_run_into_each_other_in_any_window() {
    for days in [1, 2, 3, 5, 8, 11, 14, 18, 21, 25, 30, 40, 50, 60, 74, 76, 90, 120, 200, 400, 800, 2_000] {
        let window = window(days + 1);
        let ends = [taken("phq-9", 0, Some(16)), taken("phq-9", days, Some(9))];
        let said: Vec<(Day, Said)> = [0, days]
            .map(|day| (START.plus_days(day).day_in("Europe/Berlin"), Said { hope: Some(3), ..Said::default() }))
            .to_vec();
        for language in [Language::English, Language::German] {
            let picture = charts::of_member(&Member {
                frame: frame(language, window),
                name: None,
                uses_answers: true,
                series: &drawn(&ends, window),
                attendance: &[],
                heads_only: &[],
                doses: &[],
                check_ins: &trend(&said, By::Week),
                group_titles: &HashMap::new(),
            });
            let document = parsed(&picture);
            let labels: Vec<Node> = elements(&document, "text")
                .into_iter()
                .filter(|text| text.attribute("text-anchor") == Some("middle") && text.attribute("stroke").is_none())
                .collect();
            assert!(labels.len() >= 2, "{days} days are not named");
            for (index, one) in labels.iter().enumerate() {
                for other in &labels[index + 1..] {
                    let are_apart = !overlap(spot(one), spot(other));
                    assert!(are_apart, "{days} days: {:?} and {:?}", one.text(), other.text());
                }
            }
        }
    }
}

#[test]
fn no_number_lies_under_a_point() {
    let window = window(80);
    let courses: [&[i32]; 8] = [
        &[16, 16, 16],
        &[5, 16, 5, 16, 5],
        &[27, 27],
        &[0, 0, 0, 0],
        &[16, 17, 15, 14, 15, 12, 11, 9, 8, 6, 5],
        &[5, 6, 8, 9, 11, 12, 15, 14, 15, 17, 16],
        &[10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11],
        &[27, 0, 27, 0, 27],
    ];
    for scores in courses {
        for days in [2, 3, 7] {
            let taken: Vec<Taken> =
                (0..).zip(scores).map(|(index, score)| taken("phq-9", index * days, Some(*score))).collect();
            let picture = picture(frame(Language::English, window), None, &drawn(&taken, window), &[]);
            let document = parsed(&picture);
            let numbers = elements(&document, "text").into_iter().filter(|text| text.attribute("stroke").is_some());
            let spots: Vec<_> = numbers.map(|text| spot(&text)).collect();
            assert_eq!(spots.len(), 2);
            assert!(!overlap(spots[0], spots[1]), "{scores:?} every {days} days");
            for circle in elements(&document, "circle") {
                let number = |name: &str| circle.attribute(name).expect("a number").parse::<f64>().unwrap();
                let (x, y, r) = (number("cx"), number("cy"), number("r"));
                for spot in &spots {
                    let is_free = !overlap(*spot, (x - r, x + r, y - r, y + r));
                    assert!(is_free, "{scores:?} every {days} days: a number at {spot:?} under a point at {x}, {y}");
                }
            }
        }
    }
}

#[test]
fn a_legend_names_what_is_drawn_and_nothing_else() {
    let group = small_multiples(Language::English);
    for word in ["Tuesday skills group", "Cem (left)", "estimated: some answers are missing", "the answers of: Fay."] {
        assert!(group.contains(word), "{word}");
    }
    assert!(small_multiples(Language::German).contains("Cem (ausgeschieden)"));
    let window = window(80);
    let plain = drawn(&weekly("phq-9", &[Some(16), Some(9)]), window);
    let long = "Bartholomew Featherstonehaugh-Cholmondeley";
    let panels = [Panel { has_left: true, ..panel(long, &plain) }];
    let group = charts::of_group(frame(Language::English, window), "Group", &panels);
    for absent in ["estimated", "without a score", "consent"] {
        assert!(!group.contains(absent), "{absent}");
    }
    let document = parsed(&group);
    let shown = words(&document);
    let is_cut = shown.iter().any(|words| words.starts_with("Bartholomew") && words.ends_with('…'));
    assert!(is_cut && shown.contains(&"(left)"), "the name alone is cut");
    // Words without a sign stand at the margin.
    let often: Vec<Taken> = (0..6).map(|index| taken("phq-9", index * 3, Some(12))).collect();
    let own = picture(frame(Language::English, window), None, &drawn(&often, window), &[]);
    let document = parsed(&own);
    let note =
        elements(&document, "text").into_iter().find(|text| text.text().unwrap_or_default().starts_with("Most forms"));
    assert_eq!(note.expect("the note").attribute("x"), Some("16"));
}

#[test]
fn techniques_without_a_minute_are_not_counted_among_the_rest() {
    let ten: Vec<(&str, i64)> = (0..10).map(|_| ("Thought record", 60)).collect();
    let rest = |rest: &[i64]| {
        let window = window(80);
        let doses: Vec<(&str, i64)> =
            ten.iter().copied().chain(rest.iter().map(|minutes| ("Other", *minutes))).collect();
        let picture = charts::of_member(&Member {
            frame: frame(Language::English, window),
            name: None,
            uses_answers: true,
            series: &[],
            attendance: &[],
            heads_only: &[],
            doses: &doses,
            check_ins: &[],
            group_titles: &HashMap::new(),
        });
        let document = parsed(&picture);
        let shown = words(&document).join(" ");
        assert!(shown.contains("counted by the share of each session that you were there."), "{shown}");
        shown.split("1 h").last().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(rest(&[80, 40, 0, 0, 0]), "2 more techniques, 2 h");
    assert_eq!(rest(&[30, 0]), "1 more technique, 30 min");
    assert_eq!(rest(&[0, 0]), "");
}
