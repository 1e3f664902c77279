//! One series as a picture: its bands, the person's course through them, and where a score is missing.

use super::{
    Frame, Shapes,
    colours::Role,
    paper::{Anchor, Paper, Size, lines, number, pen, shortened, width_of},
    time::Axis,
};
use crate::{
    rules::{
        instruments::{Band, Direction},
        progress::{Series, Shown},
    },
    values::Moment,
};

/// Where a plot stands on the sheet.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Area {
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// How much is drawn.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Detail {
    /// With numbers, and bands by name.
    Full,
    /// One of many beside each other.
    Small,
}

/// From one line of a band's name to the next.
const LEADING: f64 = 12.0;

/// The name of a band, in lines from `top` on.
struct Name {
    words: Vec<String>,
    top: f64,
    is_whole: bool,
}

pub(super) struct Plot<'a> {
    pub frame: Frame<'a>,
    pub series: &'a Series<'a>,
    pub axis: Axis<'a>,
    pub area: Area,
    pub detail: Detail,
}

/// Where nearly every form looks back on days of the one before, a mark on each would mark nothing: one sentence says it.
pub(super) fn marks_repeats(series: &Series) -> bool {
    series.points.iter().filter(|shown| shown.point.is_repeat).count() * 2 <= series.points.len()
}

impl Plot<'_> {
    /// Height of a score in thousandths, or of a place between two.
    fn y(&self, score: f64) -> f64 {
        let scale = self.series.scale;
        let share = (score - f64::from(scale.min)) / f64::from((scale.max - scale.min).max(1));
        self.area.bottom - share.clamp(0.0, 1.0) * self.area.height()
    }

    /// Bands from below, each with its lower and upper edge on the sheet. The edge lies between the last score of one
    /// and the first of the next.
    fn stretches(&self) -> Vec<(&Band, f64, f64)> {
        let bands = self.series.bands;
        let edge = |index: usize| match (index.checked_sub(1).and_then(|below| bands.get(below)), bands.get(index)) {
            (Some(below), Some(above)) => self.y(f64::from(below.to.thousandths() + above.from.thousandths()) / 2.0),
            (None, _) => self.area.bottom,
            (_, None) => self.area.top,
        };
        bands.iter().enumerate().map(|(index, band)| (band, edge(index), edge(index + 1))).collect()
    }

    pub fn draw(&self, paper: &mut Paper, shapes: &Shapes) {
        self.draw_bands(paper);
        self.draw_baseline(paper);
        self.draw_course(paper, shapes);
        if self.detail == Detail::Full {
            self.draw_limits(paper);
            self.draw_ends(paper);
            self.axis.draw(paper, self.area.bottom);
        }
    }

    fn draw_bands(&self, paper: &mut Paper) {
        let Area { left, right, top, bottom } = self.area;
        let stretches = self.stretches();
        let count = stretches.len();
        if count == 0 {
            paper.rect((left, top), (right - left, bottom - top), Role::Band0, 0.0);
        }
        for (index, (_, low, high)) in stretches.iter().enumerate() {
            let worse = match self.series.scale.direction {
                Direction::HigherIsWorse => index,
                Direction::HigherIsBetter => count - 1 - index,
            };
            let shade = Role::of_band(worse, count - 1);
            paper.rect((left, *high), (right - left, low - high), shade, 0.0);
        }
        for (_, low, _) in stretches.iter().skip(1) {
            paper.line((left, *low), (right, *low), pen(Role::Rule, 0.7, "1 3"));
        }
        paper.line((left, bottom), (right, bottom), pen(Role::Rule, 1.0, ""));
    }

    /// Where somebody began, carried on: what lies on the better side of it is gained.
    fn draw_baseline(&self, paper: &mut Paper) {
        let Some((baseline, _)) = self.series.baseline else { return };
        let y = self.y(f64::from(baseline.score));
        let from = self.axis.x(baseline.taken_at);
        paper.line((from, y), (self.area.right, y), pen(Role::Rule, 1.2, "6 4"));
    }

    fn draw_course(&self, paper: &mut Paper, shapes: &Shapes) {
        let (whole, broken) = self.ways();
        let width = match (self.detail, self.series.points.len()) {
            (Detail::Full, ..=80) => 2.0,
            (Detail::Small, ..=80) => 1.6,
            _ => 1.0,
        };
        paper.path(&broken, pen(Role::Line, 1.4, "1.5 3.5"));
        paper.path(&whole, pen(Role::Line, width, ""));
        let radius = match (self.detail, self.series.points.len()) {
            (Detail::Full, ..=30) => 4.0,
            (Detail::Full, 31..=80) => 2.8,
            (Detail::Small, ..=30) => 2.6,
            (_, ..=120) => 1.8,
            _ => 1.0,
        };
        let marks_repeats = self.detail == Detail::Full && marks_repeats(self.series);
        for shown in &self.series.points {
            let (shape, place) = (shapes.of(shown.group), self.place(shown));
            let radius = if shown.point.is_repeat && marks_repeats { radius * 0.62 } else { radius };
            paper.point(shape, place, radius, shown.prorated, &self.note(shown));
        }
        for gap in &self.series.gaps {
            let (x, y, arm) = (self.axis.x(gap.taken_at), self.area.bottom - 5.0, 3.2);
            let cross = [(x - arm, y - arm, x + arm, y + arm), (x - arm, y + arm, x + arm, y - arm)];
            let way: String = cross
                .iter()
                .map(|(x, y, to_x, to_y)| format!("M{} {}L{} {}", number(*x), number(*y), number(*to_x), number(*to_y)))
                .collect();
            paper.path(&way, pen(Role::Alert, 1.8, ""));
        }
    }

    fn place(&self, shown: &Shown) -> (f64, f64) {
        (self.axis.x(shown.point.taken_at), self.y(f64::from(shown.point.score)))
    }

    /// The course where score follows score, and where one is missing between two.
    fn ways(&self) -> (String, String) {
        let (mut whole, mut broken) = (String::new(), String::new());
        let mut before: Option<(Moment, (f64, f64))> = None;
        for shown in &self.series.points {
            let (at, (x, y)) = (shown.point.taken_at, self.place(shown));
            if let Some((earlier, (from_x, from_y))) = before {
                let is_gap = self.series.gaps.iter().any(|gap| (earlier..at).contains(&gap.taken_at));
                let way = if is_gap { &mut broken } else { &mut whole };
                let start = format!("{} {}", number(from_x), number(from_y));
                if !way.ends_with(&start) || is_gap {
                    way.push_str(&format!("M{start}"));
                }
                way.push_str(&format!("L{} {}", number(x), number(y)));
            }
            before = Some((at, (x, y)));
        }
        (whole, broken)
    }

    fn note(&self, shown: &Shown) -> String {
        let Frame { language, zone, .. } = self.frame;
        let mut note = language.day_of(shown.point.taken_at, zone) + ": " + &language.points(shown.point.score);
        if let Some(band) = shown.band {
            note = note + ", " + language.band(band);
        }
        if shown.prorated {
            note = note + ", " + super::estimated(language);
        }
        if shown.point.is_repeat {
            note = note + ", " + super::repeated(language);
        }
        note
    }

    /// Numbers at the limits on the left, bands by name on the right.
    fn draw_limits(&self, paper: &mut Paper) {
        let language = self.frame.language;
        let stretches = self.stretches();
        let scale = self.series.scale;
        let mut limits: Vec<(f64, i32)> = vec![(self.area.bottom, scale.min), (self.area.top, scale.max)];
        match stretches.as_slice() {
            [] => limits.push((self.y(f64::from(scale.min + scale.max) / 2.0), (scale.min + scale.max) / 2)),
            _ => limits.extend(stretches.iter().skip(1).map(|(band, low, _)| (*low, band.from.thousandths()))),
        }
        let mut taken: Vec<f64> = Vec::new();
        for (y, score) in limits {
            if taken.iter().all(|other| (other - y).abs() >= 11.0) {
                taken.push(y);
                paper.text(
                    (self.area.left - 5.0, y + 4.0),
                    Size::Small,
                    Role::Muted,
                    Anchor::End,
                    &language.points(score),
                );
            }
        }
        for Name { words, top, .. } in self.names() {
            for (index, line) in words.iter().enumerate() {
                let place = (self.area.right + 6.0, top + LEADING * index as f64);
                paper.text(place, Size::Small, Role::Muted, Anchor::Start, line);
            }
        }
    }

    /// The names of bands, as much of each as its band has room for; a band without room for a line has none.
    fn names(&self) -> Vec<Name> {
        let width = super::paper::WIDTH - super::paper::MARGIN - self.area.right;
        let name = |(band, low, high): (&Band, f64, f64)| {
            let room = ((low - high) / LEADING).floor() as usize;
            let mut words = lines(self.frame.language.band(band), width, Size::Small);
            let is_whole = words.len() <= room;
            words.truncate(room);
            if let (false, Some(last)) = (is_whole, words.last_mut()) {
                let part = last.trim_end_matches(',');
                *last = shortened(&format!("{part}……"), width, Size::Small).replace("……", "…");
            }
            let top = (low + high) / 2.0 - LEADING * (words.len().max(1) as f64 - 1.0) / 2.0 + 4.0;
            Name { words, top, is_whole }
        };
        self.stretches().into_iter().map(name).collect()
    }

    /// Whether each band is named in full beside it.
    pub fn names_all(&self) -> bool {
        self.names().iter().all(|name| name.is_whole)
    }

    /// The first and the newest score as numbers, where neither a point nor the line lies.
    fn draw_ends(&self, paper: &mut Paper) {
        let points = &self.series.points;
        let mut taken = Vec::new();
        let mut label = |shown: &Shown, other: Option<&Shown>, anchors: [Anchor; 3]| {
            let words = self.frame.language.points(shown.point.score);
            // On the side to which the line does not lead.
            let leads_up = other.is_some_and(|other| other.point.score > shown.point.score);
            let (anchor, place, spot) = self.clear_place(shown, &words, anchors, !leads_up, &taken);
            taken.push(spot);
            paper.label(place, anchor, &words);
        };
        if let [first, second, ..] = points.as_slice() {
            label(first, Some(second), [Anchor::Start, Anchor::Middle, Anchor::End]);
        }
        if let Some(last) = points.last() {
            let before = points.len().checked_sub(2).and_then(|index| points.get(index));
            let anchors = match before {
                Some(_) => [Anchor::End, Anchor::Middle, Anchor::Start],
                None => [Anchor::Middle; 3],
            };
            label(last, before, anchors);
        }
    }

    /// Where a label near a point hides least: beside it above or below, or further off.
    fn clear_place(
        &self,
        shown: &Shown,
        words: &str,
        anchors: [Anchor; 3],
        is_above: bool,
        taken: &[Spot],
    ) -> (Anchor, (f64, f64), Spot) {
        let (x, y) = self.place(shown);
        let width = width_of(words, Size::Body);
        let places: Vec<(f64, f64)> = self.series.points.iter().map(|shown| self.place(shown)).collect();
        let (above, below) = ([-9.0, -15.0, -22.0, -30.0], [17.0, 23.0, 30.0, 38.0]);
        let (near, far) = if is_above { (above, below) } else { (below, above) };
        // The same distance on either side before the next one.
        let offsets = near.into_iter().zip(far).flat_map(|(near, far)| [near, far]);
        let candidates = offsets.flat_map(|offset| anchors.map(|anchor| (anchor, y + offset)));
        let candidates = candidates.filter(|(_, y)| y - 9.0 > self.area.top - 1.0 && y + 2.0 < self.area.bottom);
        let spots = candidates.map(|(anchor, y)| (anchor, (x, y), Spot::of(anchor, (x, y), width)));
        let within = spots.filter(|(_, _, spot)| spot.left > self.area.left && spot.right < self.area.right);
        let hidden = |spot: &Spot| {
            let points = places.iter().filter(|place| spot.holds(**place, 5.0)).count();
            let lines = places.windows(2).filter(|ends| spot.meets(ends[0], ends[1])).count();
            let labels = taken.iter().filter(|other| spot.overlaps(other)).count();
            (labels, points, lines)
        };
        let fallback = (anchors[0], (x, y - 9.0), Spot::of(anchors[0], (x, y - 9.0), width));
        within.min_by_key(|(_, _, spot)| hidden(spot)).unwrap_or(fallback)
    }
}

/// What a label takes up.
struct Spot {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Spot {
    /// Of a line of digits from its base line up.
    fn of(anchor: Anchor, (x, y): (f64, f64), width: f64) -> Spot {
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        Spot { left, right: left + width, top: y - 10.0, bottom: y + 1.0 }
    }

    /// Whether a point is nearer than so much.
    fn holds(&self, (x, y): (f64, f64), room: f64) -> bool {
        (self.left - room..=self.right + room).contains(&x) && (self.top - room..=self.bottom + room).contains(&y)
    }

    /// Whether a line between two points runs through it.
    fn meets(&self, from: (f64, f64), to: (f64, f64)) -> bool {
        const STEPS: i32 = 60;
        if from.0.max(to.0) < self.left || from.0.min(to.0) > self.right {
            return false;
        }
        (0..=STEPS).any(|step| {
            let share = f64::from(step) / f64::from(STEPS);
            self.holds((from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share), 0.5)
        })
    }

    fn overlaps(&self, other: &Spot) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}
