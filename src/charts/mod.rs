//! Progress as a picture: SVG that reads on a phone and on paper, in light and dark, by eye and by ear.
//!
//! Pure: figures in, text out; no I/O, no clock. The form follows what holds for graphics in general: nothing is said by
//! colour alone (WCAG 2.2, 1.4.1), shapes stand out from their ground at 3:1 and text at 4.5:1 (1.4.11, 1.4.3), and a
//! title and a description say the same to those who do not see it. No scripts, no links, nothing from elsewhere.

mod colours;
mod paper;
mod plot;
mod time;

use std::collections::HashMap;

use jiff::civil::Date;

use crate::{
    rules::{
        attendance::Status,
        change::State,
        check_ins::{Mean, TrendPeriod},
        instruments::Points,
        progress::{Attendance, Language, Place, Series, zone_of},
    },
    values::{Day, Id, Moment},
};

pub use colours::{Role, style};
use paper::{Anchor, MARGIN, Paper, Shape, Size, WIDTH, lines, number, pen, shortened, width_of};
use plot::{Area, Detail, Plot, marks_repeats};
use time::Axis;

/// Techniques that a picture shows; the rest is one line.
const TECHNIQUES: usize = 10;
/// Height of a plot of one's own, and of one among many.
const FULL: f64 = 140.0;
const SMALL: f64 = 54.0;

/// In which words, and by whose clock.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub language: Language,
    /// IANA.
    pub zone: &'a str,
    pub since: Moment,
    pub until: Moment,
}

impl Frame<'_> {
    fn day(&self, at: Moment) -> Day {
        at.day_in(self.zone)
    }

    fn start_of(&self, day: Day) -> Moment {
        let start = day.0.to_zoned(zone_of(self.zone)).map(|zoned| zoned.timestamp());
        start.map_or(Moment(0), Moment::from)
    }

    fn short_day(&self, day: Date) -> String {
        let (number, month) = (day.day(), self.language.month(day.month()));
        match self.language {
            Language::English => format!("{number} {month}"),
            Language::German => format!("{number}. {month}"),
        }
    }

    /// The days that are looked at; `until` itself is none of them.
    fn period(&self) -> String {
        let day = |at: Moment| self.language.day_of(at, self.zone);
        format!("{} – {}", day(self.since), day(Moment(self.until.0 - 1)))
    }
}

/// One person's progress.
pub struct Member<'a> {
    pub frame: Frame<'a>,
    /// The member's name in the group; none in a picture of one's own.
    pub name: Option<&'a str>,
    /// Without consent nothing is made of the answers, and there are no series.
    pub uses_answers: bool,
    pub series: &'a [Series<'a>],
    pub attendance: &'a [Attendance],
    /// Groups that may leave out who was there: how many sessions there were says nothing then.
    pub heads_only: &'a [Id],
    /// Titles of techniques and minutes.
    pub doses: &'a [(&'a str, i64)],
    /// One's own alone.
    pub check_ins: &'a [TrendPeriod],
    pub group_titles: &'a HashMap<Id, String>,
}

/// One of several people.
pub struct Panel<'a> {
    pub name: &'a str,
    pub has_left: bool,
    /// Without consent nothing is made of the answers, and there are no series.
    pub consents: bool,
    pub series: &'a [Series<'a>],
}

impl Panel<'_> {
    /// What stands beside the name of those who have left.
    fn left(&self, language: Language) -> &'static str {
        if self.has_left { language.say("(left)", "(ausgeschieden)") } else { "" }
    }

    fn named(&self, language: Language) -> String {
        format!("{} {}", self.name, self.left(language)).trim_end().to_owned()
    }
}

/// Which form the points of which group have.
struct Shapes {
    groups: Vec<Id>,
}

impl Shapes {
    fn over<'a>(series: impl Iterator<Item = &'a Series<'a>>) -> Shapes {
        let mut groups = Vec::new();
        for shown in series.flat_map(|series| &series.points) {
            if !groups.contains(&shown.group) {
                groups.push(shown.group);
            }
        }
        Shapes { groups }
    }

    fn of(&self, group: Id) -> Shape {
        let index = self.groups.iter().position(|known| *known == group).unwrap_or(0);
        Shape::ALL[index % Shape::ALL.len()]
    }
}

fn estimated(language: Language) -> &'static str {
    language.say("estimated: some answers are missing", "geschätzt: einzelne Antworten fehlen")
}

fn repeated(language: Language) -> &'static str {
    language.say(
        "soon after the form before: it looks back on some of the same days",
        "kurz nach dem Bogen davor: er blickt zum Teil auf die gleichen Tage zurück",
    )
}

fn moments<'a>(series: impl Iterator<Item = &'a Series<'a>>) -> impl Iterator<Item = Moment> {
    series.flat_map(|series| {
        let points = series.points.iter().map(|shown| shown.point.taken_at);
        points.chain(series.gaps.iter().map(|gap| gap.taken_at))
    })
}

/// A member's progress.
pub fn of_member(member: &Member) -> String {
    let Frame { language, .. } = member.frame;
    let title = match member.name {
        None => language.say("Your progress", "Ihr Verlauf").to_owned(),
        Some(name) => format!("{} {name}", language.say("Progress of", "Verlauf von")),
    };
    let mut paper = Paper::new();
    paper.y = 14.0;
    head(&mut paper, &member.frame, &title);
    let shapes = Shapes::over(member.series.iter());
    let axis = Axis::over(member.frame, moments(member.series.iter()), 0.0, WIDTH);
    // Where names of bands are long, they take two lines. All plots end at the same place, so that dates lie below dates.
    let bands = member.series.iter().flat_map(|series| series.bands);
    let names = bands.map(|band| width_of(language.band(band), Size::Small)).fold(0.0, f64::max).min(70.0);
    let right = WIDTH - MARGIN - if names > 0.0 { names + 8.0 } else { 0.0 };
    for series in member.series {
        draw_series(&mut paper, member.frame, series, axis.between(MARGIN + 26.0, right), &shapes);
    }
    if member.series.is_empty() {
        paper.y += 8.0;
        paper.paragraph(Size::Body, Role::Muted, no_series(member));
    }
    draw_key(&mut paper, member, &shapes);
    draw_check_ins(&mut paper, member);
    draw_attendance(&mut paper, member);
    draw_doses(&mut paper, member);
    paper.finish(language, &title, &told_of_member(member))
}

fn no_series(member: &Member) -> &'static str {
    let language = member.frame.language;
    match member.uses_answers {
        true => language.say("No scores in this time.", "Keine Werte in dieser Zeit."),
        false => language.say(
            "There is no consent: nothing is made of the answers. They stay in the record.",
            "Es liegt keine Einwilligung vor: Aus den Antworten wird nichts gemacht. Sie bleiben in der Akte.",
        ),
    }
}

/// Members of a group beside each other: for each scale one field per person, all with the same dates and limits.
pub fn of_group(frame: Frame, group_title: &str, panels: &[Panel]) -> String {
    let language = frame.language;
    let title = language.say("Progress of the members", "Verlauf der Mitglieder");
    let mut paper = Paper::new();
    paper.y = 14.0;
    paper.paragraph(Size::Title, Role::Text, title);
    paper.y += 2.0;
    paper.paragraph(Size::Head, Role::Text, group_title);
    paper.paragraph(Size::Body, Role::Muted, &frame.period());
    let all = || panels.iter().flat_map(|panel| panel.series);
    let axis = Axis::over(frame, moments(all()), 0.0, WIDTH);
    let mut scales: Vec<(&Series, usize)> = Vec::new();
    for series in all() {
        match scales.iter_mut().find(|(known, _)| is_same(known, series)) {
            Some((_, points)) => *points += series.points.len(),
            None => scales.push((series, series.points.len())),
        }
    }
    scales.sort_by_key(|(_, points)| std::cmp::Reverse(*points));
    let mut told = vec![format!("{group_title}."), frame.period() + "."];
    for (scale, _) in &scales {
        section(&mut paper, &scale.title(), language.direction(scale.scale.direction));
        let shown: Vec<(&Panel, &Series)> = panels
            .iter()
            .filter_map(|panel| Some((panel, panel.series.iter().find(|series| is_same(series, scale))?)))
            .collect();
        if !scale.bands.is_empty() {
            paper.paragraph(Size::Small, Role::Muted, &limits(scale, language));
        }
        draw_panels(&mut paper, frame, &shown, axis);
        paper.y += 6.0;
        draw_thresholds(&mut paper, scale, language);
        told.push(format!("{}. {}", scale.title(), language.direction(scale.scale.direction)));
        let told_of =
            |(panel, series): &(&Panel, &Series)| format!("{}: {}.", panel.named(language), outcome(language, series));
        told.extend(shown.iter().map(told_of));
    }
    if scales.is_empty() {
        let nothing = language.say("No scores in this time.", "Keine Werte in dieser Zeit.");
        paper.y += 8.0;
        paper.paragraph(Size::Body, Role::Muted, nothing);
        told.push(nothing.to_owned());
    }
    draw_group_key(&mut paper, frame, panels, axis);
    let without = panels.iter().filter(|panel| !panel.consents);
    let without: Vec<String> = without.map(|panel| panel.named(language)).collect();
    if !without.is_empty() {
        let words = language.say(
            "There is no consent, and nothing is made of the answers of",
            "Es liegt keine Einwilligung vor, und nichts wird gemacht aus den Antworten von",
        );
        let words = format!("{words}: {}.", without.join(", "));
        paper.y += 6.0;
        paper.paragraph(Size::Small, Role::Muted, &words);
        told.push(words);
    }
    paper.finish(language, &format!("{title}: {group_title}"), &told.join(" "))
}

fn is_same(one: &Series, other: &Series) -> bool {
    let name = |series: &Series| (series.instrument.id.clone(), series.subscale.map(|subscale| subscale.id.clone()));
    name(one) == name(other)
}

fn head(paper: &mut Paper, frame: &Frame, title: &str) {
    paper.paragraph(Size::Title, Role::Text, title);
    paper.y += 2.0;
    paper.paragraph(Size::Body, Role::Muted, &frame.period());
}

fn section(paper: &mut Paper, title: &str, about: &str) {
    paper.y += 18.0;
    paper.line((MARGIN, paper.y), (WIDTH - MARGIN, paper.y), pen(Role::Faint, 1.0, ""));
    paper.y += 5.0;
    paper.paragraph(Size::Head, Role::Text, title);
    if !about.is_empty() {
        paper.paragraph(Size::Body, Role::Muted, about);
    }
}

fn draw_series(paper: &mut Paper, frame: Frame, series: &Series, axis: Axis, shapes: &Shapes) {
    let language = frame.language;
    section(paper, &series.title(), language.direction(series.scale.direction));
    paper.y += 12.0;
    let (left, right) = axis.ends();
    let area = Area { left, right, top: paper.y, bottom: paper.y + FULL };
    let inset = 9.0;
    let axis = axis.between(left + inset, right - inset);
    let plot = Plot { frame, series, axis, area, detail: Detail::Full };
    plot.draw(paper, shapes);
    paper.y = area.bottom + 34.0;
    if !plot.names_all() {
        paper.paragraph(Size::Small, Role::Muted, &limits(series, language));
        paper.y += 4.0;
    }
    for words in sentences(series, language) {
        paper.paragraph(Size::Body, Role::Text, &words);
        paper.y += 2.0;
    }
    if let Some(words) = began(series, frame) {
        paper.paragraph(Size::Small, Role::Muted, &words);
    }
    draw_thresholds(paper, series, language);
}

/// What became of somebody on a scale, by each set; said once where two sets say the same.
fn sentences(series: &Series, language: Language) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(why) = series.change.why_none() {
        if let Ok((first, last)) = series.change.ends {
            said.push(language.from_to(first.score, last.score) + ".");
        }
        said.push(language.why(why).to_owned());
    } else if let Ok((first, last)) = series.change.ends {
        for (_, state) in &series.change.states {
            let sentence = language.state(*state, first.score, last.score);
            if !said.contains(&sentence) {
                said.push(sentence);
            }
        }
    }
    said
}

/// With what it began, and which rule says so.
fn began(series: &Series, Frame { language, zone, .. }: Frame) -> Option<String> {
    let (baseline, rule) = series.baseline?;
    let (points, day) = (language.points(baseline.score), language.day_of(baseline.taken_at, zone));
    let first = match language {
        Language::English => format!("First score: {points} on {day}."),
        Language::German => format!("Erster Wert: {points} am {day}."),
    };
    Some(format!("{first} {}", language.baseline(rule)))
}

/// Whose finding it is that a change is reliable.
fn draw_thresholds(paper: &mut Paper, series: &Series, language: Language) {
    for (set, _) in &series.change.states {
        paper.paragraph(Size::Small, Role::Muted, &language.threshold(set.reliable_from, set.sample, set.source));
    }
}

/// What marks mean, those that occur.
fn draw_key(paper: &mut Paper, member: &Member, shapes: &Shapes) {
    let language = member.frame.language;
    let points = || member.series.iter().flat_map(|series| &series.points);
    let mut entries: Vec<(Mark, String)> = Vec::new();
    if shapes.groups.len() > 1 {
        let title = |group: &Id| member.group_titles.get(group).cloned().unwrap_or_default();
        entries.extend(shapes.groups.iter().map(|group| (Mark::Point(shapes.of(*group), 4.0, false), title(group))));
    }
    if member.series.iter().any(|series| series.points.len() > 1) {
        let first = language.say("where the first score lies", "wo der erste Wert liegt");
        entries.push((Mark::Baseline, first.to_owned()));
    }
    if points().any(|shown| shown.prorated) {
        entries.push((Mark::Point(Shape::Circle, 4.0, true), estimated(language).to_owned()));
    }
    let repeats = |is_marked: bool| {
        let mut series = member.series.iter().filter(|series| marks_repeats(series) == is_marked);
        series.any(|series| series.points.iter().any(|shown| shown.point.is_repeat))
    };
    if repeats(true) {
        entries.push((Mark::Point(Shape::Circle, 2.5, false), repeated(language).to_owned()));
    }
    if repeats(false) {
        let each = language.say(
            "Most forms look back on some of the same days as the one before.",
            "Die meisten Bögen blicken zum Teil auf die gleichen Tage zurück wie der davor.",
        );
        paper.y += 6.0;
        paper.paragraph(Size::Small, Role::Muted, each);
    }
    if member.series.iter().any(|series| !series.gaps.is_empty()) {
        let gap = language.say(
            "answered without a score: too much is missing, and missing is not zero",
            "beantwortet ohne Wert: Es fehlt zu viel, und was fehlt, ist keine Null",
        );
        entries.push((Mark::Gap, gap.to_owned()));
    }
    if entries.is_empty() {
        return;
    }
    draw_entries(paper, entries);
}

/// What marks mean beside each other.
fn draw_group_key(paper: &mut Paper, frame: Frame, panels: &[Panel], axis: Axis) {
    let series = || panels.iter().flat_map(|panel| panel.series);
    if series().next().is_none() {
        return;
    }
    let language = frame.language;
    let (from, until) = axis.days();
    let [from, until] = [from, until].map(|at| language.day_of(at, frame.zone));
    let same = match language {
        Language::English => {
            format!("Every field runs from {from} to {until}, and those of one measure have the same limits.")
        }
        Language::German => {
            format!("Jedes Feld reicht vom {from} bis zum {until}, und die eines Fragebogens haben gleiche Grenzen.")
        }
    };
    let first = language.say("where the first score lies", "wo der erste Wert liegt");
    let gap = language.say("answered without a score", "beantwortet ohne Wert");
    let signs = language.say(
        "▲ reliably better, ▼ reliably worse, whichever way the line goes",
        "▲ verlässlich besser, ▼ verlässlich schlechter, wohin die Linie auch führt",
    );
    paper.y += 18.0;
    paper.line((MARGIN, paper.y), (WIDTH - MARGIN, paper.y), pen(Role::Faint, 1.0, ""));
    paper.y += 5.0;
    paper.paragraph(Size::Small, Role::Muted, &same);
    paper.paragraph(Size::Small, Role::Muted, signs);
    let mut entries = vec![(Mark::Baseline, first.to_owned())];
    if series().flat_map(|series| &series.points).any(|shown| shown.prorated) {
        entries.push((Mark::Point(Shape::Circle, 3.2, true), estimated(language).to_owned()));
    }
    if series().any(|series| !series.gaps.is_empty()) {
        entries.push((Mark::Gap, gap.to_owned()));
    }
    draw_entries(paper, entries);
}

/// `Minimal 0–4 · Mild 5–9`.
fn limits(series: &Series, language: Language) -> String {
    let points = |points: Points| language.points(points.thousandths());
    let bands = series.bands.iter().map(|band| {
        let (from, to) = (points(band.from), points(band.to));
        format!("{} {}", language.band(band), if from == to { from } else { format!("{from}–{to}") })
    });
    // A band and its limits stay on one line.
    bands.map(|band| band.replace(' ', "\u{a0}")).collect::<Vec<_>>().join(" · ")
}

fn draw_entries(paper: &mut Paper, entries: Vec<(Mark, String)>) {
    paper.y += 8.0;
    for (mark, words) in entries {
        let x = MARGIN + 12.0;
        let y = paper.y + Size::Small.leading() - 4.0;
        mark.draw(paper, (x, y), &words);
        for line in lines(&words, WIDTH - 2.0 * MARGIN - 32.0, Size::Small) {
            paper.y += Size::Small.leading();
            paper.text((MARGIN + 32.0, paper.y), Size::Small, Role::Muted, Anchor::Start, &line);
        }
        paper.y += 2.0;
    }
}

enum Mark {
    Point(Shape, f64, bool),
    Baseline,
    Gap,
}

impl Mark {
    fn draw(&self, paper: &mut Paper, (x, y): (f64, f64), words: &str) {
        match self {
            Mark::Point(shape, radius, is_hollow) => paper.point(*shape, (x, y), *radius, *is_hollow, words),
            Mark::Baseline => paper.line((x - 11.0, y), (x + 11.0, y), pen(Role::Rule, 1.2, "6 4")),
            Mark::Gap => cross(paper, (x, y), 3.2),
        }
    }
}

fn cross(paper: &mut Paper, (x, y): (f64, f64), arm: f64) {
    let way = format!(
        "M{} {}L{} {}M{} {}L{} {}",
        number(x - arm),
        number(y - arm),
        number(x + arm),
        number(y + arm),
        number(x - arm),
        number(y + arm),
        number(x + arm),
        number(y - arm)
    );
    paper.path(&way, pen(Role::Alert, 1.8, ""));
}

/// A dimension of check-ins: its name, its range, and its mean in a period.
type Dimension = (&'static str, i32, i32, bool, fn(&TrendPeriod) -> Option<Mean>);

fn dimensions(language: Language) -> [Dimension; 6] {
    [
        (language.say("Mood", "Stimmung"), 1, 7, true, |period| period.mood),
        (language.say("Connection", "Verbundenheit"), 0, 10, true, |period| period.connection),
        (language.say("Hope", "Hoffnung"), 0, 10, true, |period| period.hope),
        (language.say("Confidence", "Zuversicht"), 0, 10, true, |period| period.confidence),
        (language.say("Belonging", "Zugehörigkeit"), 0, 10, true, |period| period.belonging),
        (language.say("Shame", "Scham"), 0, 10, false, |period| period.shame),
    ]
}

fn draw_check_ins(paper: &mut Paper, member: &Member) {
    let language = member.frame.language;
    if member.check_ins.is_empty() {
        return;
    }
    let title = language.say("Check-ins", "Befinden");
    let about = language.say(
        "Your own, seen by you alone here: means of a week or a month.",
        "Ihre eigenen Einträge, hier nur für Sie: Mittel einer Woche oder eines Monats.",
    );
    section(paper, title, about);
    let (left, right) = (MARGIN + 126.0, WIDTH - MARGIN - 40.0);
    let days = member.check_ins.iter().map(|period| member.frame.start_of(period.starts_on));
    // Often over another time than that of the scores, and in the same way for all dimensions.
    let axis = Axis::over(member.frame, days, left + 5.0, right - 5.0);
    for (name, low, high, up_is_better, mean) in dimensions(language) {
        let given: Vec<(Moment, f64)> = member
            .check_ins
            .iter()
            .filter_map(|period| Some((member.frame.start_of(period.starts_on), mean(period)?.mean)))
            .collect();
        let Some((_, newest)) = given.last() else { continue };
        paper.y += 8.0;
        let (top, bottom) = (paper.y, paper.y + 34.0);
        let y = |value: f64| bottom - 3.0 - (value - f64::from(low)) / f64::from(high - low) * (bottom - top - 6.0);
        paper.rect((left, top), (right - left, bottom - top), Role::Band0, 0.0);
        paper.line((left, bottom), (right, bottom), pen(Role::Rule, 1.0, ""));
        let better = if up_is_better {
            language.say("high is good", "hoch ist gut")
        } else {
            language.say("low is good", "niedrig ist gut")
        };
        paper.text((MARGIN, top + 13.0), Size::Body, Role::Text, Anchor::Start, name);
        let range = format!("{low}–{high}, {better}");
        paper.text(
            (MARGIN, top + 28.0),
            Size::Small,
            Role::Muted,
            Anchor::Start,
            &shortened(&range, 124.0, Size::Small),
        );
        let places: Vec<(f64, f64)> = given.iter().map(|(at, value)| (axis.x(*at), y(*value))).collect();
        let way: Vec<String> = places.iter().map(|(x, y)| format!("{} {}", number(*x), number(*y))).collect();
        if way.len() > 1 {
            paper.path(&format!("M{}", way.join("L")), pen(Role::Line, 1.6, ""));
        }
        let points = |mean: f64| language.points((mean * 1000.0).round() as i32);
        for ((at, value), place) in given.iter().zip(&places) {
            let note = language.day_of(*at, member.frame.zone) + ": " + &points(*value);
            paper.point(Shape::Circle, *place, if places.len() > 60 { 1.2 } else { 1.9 }, false, &note);
        }
        paper.text((WIDTH - MARGIN, top + 21.0), Size::Head, Role::Text, Anchor::End, &points(*newest));
        paper.y = bottom;
    }
    paper.y += axis.draw(paper, paper.y);
}

fn draw_attendance(paper: &mut Paper, member: &Member) {
    let language = member.frame.language;
    if member.attendance.is_empty() {
        return;
    }
    section(paper, language.say("Attendance", "Teilnahme"), "");
    for attendance in member.attendance {
        let held = (!member.heads_only.contains(&attendance.group)).then_some(attendance.places.len());
        if member.attendance.len() > 1
            && let Some(title) = member.group_titles.get(&attendance.group)
        {
            paper.y += 4.0;
            paper.paragraph(Size::Body, Role::Muted, title);
        }
        paper.paragraph(Size::Body, Role::Text, &language.attended(attendance.attended(), held, attendance.minutes()));
        let (side, step) = if attendance.places.len() > 120 { (6.0, 8.0) } else { (11.0, 15.0) };
        let in_a_row = ((WIDTH - 2.0 * MARGIN) / step).floor() as usize;
        paper.y += 7.0;
        for row in attendance.places.chunks(in_a_row.max(1)) {
            for (index, place) in row.iter().enumerate() {
                draw_place(paper, (MARGIN + step * index as f64, paper.y), side, place);
            }
            paper.y += step;
        }
    }
    let occurs = |status: Option<Status>| {
        let places = member.attendance.iter().flat_map(|attendance| &attendance.places);
        places.into_iter().find(|place| place.recorded.map(|recorded| recorded.status) == status).copied()
    };
    let mut x = MARGIN;
    paper.y += 6.0;
    let all = Status::ALL.iter().copied().map(Some).chain([None]);
    for (status, place) in all.filter_map(|status| Some((status, occurs(status)?))) {
        let words = language.status(status);
        let width = 15.0 + width_of(words, Size::Small) + 12.0;
        if x + width > WIDTH - MARGIN + 12.0 {
            x = MARGIN;
            paper.y += Size::Small.leading();
        }
        draw_place(paper, (x, paper.y), 11.0, &place);
        paper.text((x + 16.0, paper.y + 9.5), Size::Small, Role::Muted, Anchor::Start, words);
        x += width;
    }
    paper.y += 11.0;
}

/// A square for a session: full is there, half is a part of it, a dash is excused, a cross is not there, dots are not
/// recorded.
fn draw_place(paper: &mut Paper, (x, y): (f64, f64), side: f64, place: &Place) {
    let radius = if side > 8.0 { 2.0 } else { 1.0 };
    let outline = |paper: &mut Paper, role, dashes| {
        paper.frame((x + 0.6, y + 0.6), (side - 1.2, side - 1.2), pen(role, 1.2, dashes), radius);
    };
    match place.recorded.map(|recorded| recorded.status) {
        Some(Status::Attended) => paper.rect((x, y), (side, side), Role::Line, radius),
        Some(Status::Late) => {
            paper.rect((x + side / 2.0, y), (side / 2.0, side), Role::Line, 0.0);
            outline(paper, Role::Line, "");
        }
        Some(Status::LeftEarly) => {
            paper.rect((x, y), (side / 2.0, side), Role::Line, 0.0);
            outline(paper, Role::Line, "");
        }
        Some(Status::Excused) => {
            outline(paper, Role::Rule, "");
            let y = y + side / 2.0;
            paper.line((x + side * 0.25, y), (x + side * 0.75, y), pen(Role::Rule, 1.6, ""));
        }
        Some(Status::NoShow) => {
            outline(paper, Role::Rule, "");
            cross(paper, (x + side / 2.0, y + side / 2.0), side * 0.22);
        }
        None => outline(paper, Role::Rule, "1.5 1.5"),
    }
}

fn draw_doses(paper: &mut Paper, member: &Member) {
    let language = member.frame.language;
    let most = member.doses.iter().map(|(_, minutes)| *minutes).max().unwrap_or(0);
    if member.doses.is_empty() {
        return;
    }
    section(
        paper,
        language.say("Time with each technique", "Zeit mit jeder Technik"),
        match member.name {
            None => language.say(
                "What was delivered, counted by the share of each session that you were there.",
                "Was stattfand, gezählt nach dem Anteil jeder Sitzung, den Sie dabei waren.",
            ),
            Some(_) => language.say(
                "What was delivered, counted by the share of each session that the member was there.",
                "Was stattfand, gezählt nach dem Anteil jeder Sitzung, den die Person dabei war.",
            ),
        },
    );
    let (left, right) = (MARGIN, WIDTH - MARGIN);
    for (title, minutes) in member.doses.iter().take(TECHNIQUES) {
        paper.y += 20.0;
        let received = match minutes {
            0 => language.say("missed", "versäumt").to_owned(),
            minutes => language.duration(*minutes),
        };
        let room = right - left - width_of(&received, Size::Body) - 10.0;
        paper.text((left, paper.y), Size::Body, Role::Text, Anchor::Start, &shortened(title, room, Size::Body));
        paper.text((right, paper.y), Size::Body, Role::Text, Anchor::End, &received);
        paper.y += 5.0;
        let width = (right - left) * *minutes as f64 / most.max(1) as f64;
        paper.rect((left, paper.y), (right - left, 5.0), Role::Band2, 2.5);
        if *minutes > 0 {
            paper.rect((left, paper.y), (width.max(5.0), 5.0), Role::Line, 2.5);
        }
        paper.y += 5.0;
    }
    let rest = member.doses.iter().skip(TECHNIQUES).map(|(_, minutes)| *minutes).filter(|minutes| *minutes > 0);
    let (count, minutes) = rest.fold((0, 0), |(count, sum), minutes| (count + 1, sum + minutes));
    if count > 0 {
        let more = match (language, count) {
            (Language::English, 1) => "1 more technique".to_owned(),
            (Language::English, _) => format!("{count} more techniques"),
            (Language::German, 1) => "1 weitere Technik".to_owned(),
            (Language::German, _) => format!("{count} weitere Techniken"),
        };
        let words = format!("{more}, {}", language.duration(minutes));
        paper.y += 6.0;
        paper.paragraph(Size::Small, Role::Muted, &words);
    }
}

/// First and newest score, and what that is called by each set.
fn outcome(language: Language, series: &Series) -> String {
    match series.change.ends {
        Err(why) => match series.points.last() {
            Some(only) => language.points(only.point.score),
            None => language.why(why).trim_end_matches('.').to_owned(),
        },
        Ok((first, last)) => {
            let mut names: Vec<&str> = Vec::new();
            for (_, state) in &series.change.states {
                let name = language.state_name(*state);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let way = format!("{} → {}", language.points(first.score), language.points(last.score));
            if names.is_empty() { way } else { format!("{way}, {}", names.join(" / ")) }
        }
    }
}

/// A mark beside the words: for the better, for the worse, or neither.
fn sign(series: &Series) -> &'static str {
    let states = series.change.states.iter().map(|(_, state)| *state);
    let better = |state: State| matches!(state, State::Recovered | State::ReliablyImproved);
    let (mut is_better, mut is_worse) = (false, false);
    for state in states {
        is_better |= better(state);
        is_worse |= state == State::ReliablyDeteriorated;
    }
    match (is_better, is_worse) {
        (_, true) => "▼ ",
        (true, false) => "▲ ",
        _ => "",
    }
}

fn draw_panels(paper: &mut Paper, frame: Frame, shown: &[(&Panel, &Series)], axis: Axis) {
    let gutter = 14.0;
    let width = (WIDTH - 2.0 * MARGIN - gutter) / 2.0;
    let shapes = Shapes::over(shown.iter().map(|(_, series)| *series));
    for row in shown.chunks(2) {
        let top = paper.y + 12.0;
        let mut deepest = top;
        for (column, (panel, series)) in row.iter().enumerate() {
            let left = MARGIN + (width + gutter) * column as f64;
            let mut y = top + 11.0;
            let left_words = panel.left(frame.language);
            let room = width - if panel.has_left { width_of(left_words, Size::Small) + 4.0 } else { 0.0 };
            let name = shortened(panel.name, room, Size::Head);
            paper.text((left, y), Size::Head, Role::Text, Anchor::Start, &name);
            if panel.has_left {
                paper.text((left + width, y), Size::Small, Role::Muted, Anchor::End, left_words);
            }
            y += 7.0;
            let area = Area { left, right: left + width, top: y, bottom: y + SMALL };
            let axis = axis.between(area.left + 6.0, area.right - 6.0);
            Plot { frame, series, axis, area, detail: Detail::Small }.draw(paper, &shapes);
            y = area.bottom + 2.0;
            let words = format!("{}{}", sign(series), outcome(frame.language, series));
            for line in lines(&words, width, Size::Small) {
                y += Size::Small.leading();
                paper.text((left, y), Size::Small, Role::Text, Anchor::Start, &line);
            }
            deepest = f64::max(deepest, y);
        }
        paper.y = deepest + 4.0;
    }
}

fn told_of_member(member: &Member) -> String {
    let Frame { language, zone, .. } = member.frame;
    let mut told = vec![member.frame.period() + "."];
    for series in member.series {
        told.push(format!("{}. {}", series.title(), language.direction(series.scale.direction)));
        let scores: Vec<String> = series
            .points
            .iter()
            .map(|shown| {
                let day = language.day_of(shown.point.taken_at, zone);
                let band = shown.band.map(|band| format!(" ({})", language.band(band))).unwrap_or_default();
                format!("{day}: {}{band}", language.points(shown.point.score))
            })
            .collect();
        // Every score of a long course is no description any more: the figures are there as JSON.
        let (from, to) = (scores.first(), scores.last());
        match (scores.len(), from, to) {
            (..=12, _, _) if !scores.is_empty() => told.push(scores.join("; ") + "."),
            (count, Some(from), Some(to)) => {
                told.push(format!("{count} {}, {from} – {to}.", language.say("scores", "Werte")));
            }
            _ => {}
        }
        told.extend(
            series
                .gaps
                .iter()
                .take(12)
                .map(|gap| format!("{}: {}", language.day_of(gap.taken_at, zone), language.no_point(&gap.why))),
        );
        told.extend(sentences(series, language));
        told.extend(began(series, member.frame));
    }
    if member.series.is_empty() {
        told.push(no_series(member).to_owned());
    }
    for (name, low, high, _, mean) in dimensions(language) {
        let newest = member.check_ins.iter().rev().find_map(mean);
        if let Some(newest) = newest {
            let points = language.points((newest.mean * 1000.0).round() as i32);
            told.push(format!("{name} ({low}–{high}): {points}."));
        }
    }
    for attendance in member.attendance {
        let held = (!member.heads_only.contains(&attendance.group)).then_some(attendance.places.len());
        let attended = language.attended(attendance.attended(), held, attendance.minutes());
        told.push(format!("{}: {attended}.", language.say("Attendance", "Teilnahme")));
    }
    for (title, minutes) in member.doses {
        told.push(format!("{title}: {}.", language.duration(*minutes)));
    }
    told.join(" ")
}
