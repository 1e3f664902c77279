//! Checks of the reference data and of the rules that read it.

use std::collections::HashSet;

use circlekeeper::rules::crisis_lines::{self, ChannelKind, CrisisLine};
use circlekeeper::rules::techniques;

fn is_kebab(id: &str) -> bool {
    !id.is_empty()
        && id
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let in_range = |part: &str, len: usize, low: u16, high: u16| {
        part.len() == len && part.parse::<u16>().is_ok_and(|n| (low..=high).contains(&n))
    };
    in_range(year, 4, 2000, 2999) && in_range(month, 2, 1, 12) && in_range(day, 2, 1, 31)
}

fn every_line() -> impl Iterator<Item = &'static CrisisLine> {
    crisis_lines::all().iter().chain(std::iter::once(crisis_lines::international()))
}

fn countries() -> HashSet<&'static str> {
    crisis_lines::all().iter().filter_map(|line| line.country.as_deref()).collect()
}

#[test]
fn every_national_line_has_a_two_letter_country_in_capitals() {
    for line in crisis_lines::all() {
        let code = line.country.as_deref().unwrap_or_default();
        assert!(code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()), "{}: {code:?}", line.id);
        assert!(line.id.starts_with(&format!("{}-", code.to_lowercase())), "{}", line.id);
    }
    assert_eq!(crisis_lines::international().country, None);
    assert_eq!(crisis_lines::international().id, crisis_lines::INTERNATIONAL_ID);
}

#[test]
fn every_line_says_when_and_where_it_was_verified() {
    for line in every_line() {
        assert!(is_date(&line.verified_on), "{}: {:?}", line.id, line.verified_on);
        assert!(line.source.starts_with("http"), "{}", line.id);
    }
}

#[test]
fn every_line_is_complete() {
    let mut ids = HashSet::new();
    for line in every_line() {
        assert!(is_kebab(&line.id) && ids.insert(line.id.as_str()), "{}", line.id);
        for text in [&line.name, &line.hours, &line.audience] {
            assert!(!text.trim().is_empty() && text.trim() == text, "{}", line.id);
        }
        assert!(!line.languages.is_empty() && !line.channels.is_empty(), "{}", line.id);
        for tag in &line.languages {
            let primary = tag.split('-').next().unwrap_or_default();
            assert!((2..=3).contains(&primary.len()) && primary.bytes().all(|b| b.is_ascii_lowercase()), "{tag}");
        }
        for channel in &line.channels {
            match channel.kind {
                ChannelKind::Web => assert!(channel.value.starts_with("https://"), "{}", line.id),
                ChannelKind::Chat => assert!(!channel.value.is_empty(), "{}", line.id),
                ChannelKind::Call | ChannelKind::Text => {
                    assert!(channel.value.bytes().any(|b| b.is_ascii_digit()), "{}", line.id);
                    assert!(!channel.value.starts_with('+'), "{}", line.id);
                }
            }
        }
    }
}

#[test]
fn every_country_here_has_a_line_for_all_with_a_number() {
    for code in countries() {
        assert!(
            crisis_lines::for_country(Some(code)).iter().any(|line| {
                line.country.is_some() && line.is_for_all() && line.channels.iter().any(|c| c.kind == ChannelKind::Call)
            }),
            "{code}"
        );
    }
}

#[test]
fn an_unknown_country_gets_the_directory_and_no_number_at_all() {
    let unknown = [
        None,
        Some(""),
        Some("  "),
        Some("ZZ"),
        Some("XX"),
        Some("U"),
        Some("USA"),
        Some("US-CA"),
        Some("ＵＳ"),
        Some("unknown"),
    ];
    for country in unknown {
        let shown = crisis_lines::for_country(country);
        assert_eq!(shown, [crisis_lines::international()], "{country:?}");
        for channel in shown.iter().flat_map(|line| &line.channels) {
            assert_eq!(channel.kind, ChannelKind::Web, "{country:?}");
            assert!(!channel.value.contains("988"), "{country:?}");
        }
    }
}

#[test]
fn over_all_two_letter_codes_a_line_reaches_its_own_country_only() {
    let known = countries();
    for first in b'A'..=b'Z' {
        for second in b'A'..=b'Z' {
            let code = String::from_utf8(vec![first, second]).unwrap_or_default();
            let shown = crisis_lines::for_country(Some(&code));
            let Some((last, national)) = shown.split_last() else { panic!("{code}: nothing shown") };
            assert_eq!(last.id, crisis_lines::INTERNATIONAL_ID);
            assert_eq!(national.is_empty(), !known.contains(code.as_str()), "{code}");
            assert!(national.iter().all(|line| line.country.as_deref() == Some(code.as_str())), "{code}");
        }
    }
}

#[test]
fn the_case_of_the_country_and_blanks_around_it_do_not_matter() {
    let upper = crisis_lines::for_country(Some("DE"));
    assert!(upper.len() > 1);
    assert_eq!(upper, crisis_lines::for_country(Some("de")));
    assert_eq!(upper, crisis_lines::for_country(Some(" De ")));
}

#[test]
fn the_united_states_get_988_first() {
    let shown = crisis_lines::for_country(Some("US"));
    let first = shown.first().expect("lines for the United States");
    assert_eq!(first.id, "us-988");
    for kind in [ChannelKind::Call, ChannelKind::Text, ChannelKind::Chat] {
        assert!(first.channels.iter().any(|c| c.kind == kind), "{kind:?}");
    }
}

#[test]
fn technique_ids_are_unique_and_kebab_case() {
    let mut ids = HashSet::new();
    for technique in techniques::all() {
        assert!(is_kebab(&technique.id), "{}", technique.id);
        assert!(ids.insert(technique.id.as_str()), "{}", technique.id);
        assert!(!technique.title.is_empty());
        assert!(technique.description.ends_with('.'), "{}", technique.id);
        assert_eq!(techniques::find(&technique.id), Some(technique));
    }
    assert!(ids.len() >= 40);
    assert_eq!(techniques::find("Thought-Record"), None);
    assert_eq!(techniques::find(""), None);
}

#[test]
fn factor_ids_are_unique_and_kebab_case() {
    let ids: Vec<&str> = techniques::factors().iter().map(|factor| factor.id.as_str()).collect();
    assert!(ids.iter().all(|id| is_kebab(id) && techniques::is_factor(id)));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    for needed in ["hope", "corrective-emotional-experience", "interpersonal-skills", "group-cohesiveness"] {
        assert!(techniques::is_factor(needed), "{needed}");
    }
    assert!(!techniques::is_factor("thought-record"));
}

#[test]
fn a_field_that_is_not_known_is_refused() {
    let mut value = serde_json::to_value(crisis_lines::international()).expect("a line serializes");
    assert!(serde_json::from_value::<CrisisLine>(value.clone()).is_ok());
    value["surprise"] = serde_json::json!(1);
    assert!(serde_json::from_value::<CrisisLine>(value).is_err());
}
