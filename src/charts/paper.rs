//! The sheet that a picture is drawn on: shapes and text as SVG, from above to below, everything escaped.

use quick_xml::{
    Writer,
    events::{BytesEnd, BytesStart, BytesText, Event},
};

use super::colours::{Role, style};
use crate::rules::progress::Language;

/// Width of every picture, in units that are CSS pixels on a phone.
pub(super) const WIDTH: f64 = 360.0;
/// What stays free at either side.
pub(super) const MARGIN: f64 = 16.0;
/// How wide a picture is on a larger screen.
const SHOWN_WIDTH: f64 = 480.0;

/// Sizes of text, none below 11.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Size {
    Title,
    Head,
    Body,
    Small,
}

impl Size {
    pub fn pixels(self) -> f64 {
        match self {
            Size::Title => 19.0,
            Size::Head => 14.0,
            Size::Body => 12.5,
            Size::Small => 11.0,
        }
    }

    /// From one line to the next.
    pub fn leading(self) -> f64 {
        (self.pixels() * 1.35).round()
    }

    fn is_bold(self) -> bool {
        matches!(self, Size::Title | Size::Head)
    }
}

#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Forms of points: each group has its own, so that no colour is needed to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

impl Shape {
    pub const ALL: [Shape; 4] = [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond];
}

/// How a line is drawn.
#[derive(Clone, Copy)]
pub(super) struct Pen {
    pub role: Role,
    pub width: f64,
    /// Such as `4 3`; empty for a whole line.
    pub dashes: &'static str,
}

pub(super) const fn pen(role: Role, width: f64, dashes: &'static str) -> Pen {
    Pen { role, width, dashes }
}

/// What is drawn so far, and how far down it reaches.
pub(super) struct Paper {
    writer: Writer<Vec<u8>>,
    pub y: f64,
}

impl Paper {
    pub fn new() -> Paper {
        Paper { writer: Writer::new(Vec::new()), y: 0.0 }
    }

    // Writing to memory does not fail.
    fn write(&mut self, event: Event) {
        let _ = self.writer.write_event(event);
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], note: Option<&str>) {
        let mut start = BytesStart::new(name);
        for attribute in attributes.iter().filter(|(_, value)| !value.is_empty()) {
            start.push_attribute(*attribute);
        }
        let Some(note) = note else { return self.write(Event::Empty(start)) };
        self.write(Event::Start(start));
        self.simple("title", &[], note);
        self.write(Event::End(BytesEnd::new(name)));
    }

    fn simple(&mut self, name: &str, attributes: &[(&str, &str)], words: &str) {
        let mut start = BytesStart::new(name);
        for attribute in attributes.iter().filter(|(_, value)| !value.is_empty()) {
            start.push_attribute(*attribute);
        }
        self.write(Event::Start(start));
        self.write(Event::Text(BytesText::new(&legible(words))));
        self.write(Event::End(BytesEnd::new(name)));
    }

    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), role: Role, radius: f64) {
        let class = role.fill_class();
        let attributes = [
            ("class", class.as_str()),
            ("x", &number(x)),
            ("y", &number(y)),
            ("width", &number(width)),
            ("height", &number(height)),
            ("rx", &if radius > 0.0 { number(radius) } else { String::new() }),
            ("fill", role.light()),
        ];
        self.element("rect", &attributes, None);
    }

    /// The outline alone.
    pub fn frame(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), pen: Pen, radius: f64) {
        let class = pen.role.stroke_class();
        let attributes = [
            ("class", class.as_str()),
            ("x", &number(x)),
            ("y", &number(y)),
            ("width", &number(width)),
            ("height", &number(height)),
            ("rx", &number(radius)),
            ("fill", "none"),
            ("stroke", pen.role.light()),
            ("stroke-width", &number(pen.width)),
            ("stroke-dasharray", pen.dashes),
        ];
        self.element("rect", &attributes, None);
    }

    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), pen: Pen) {
        self.path(&format!("M{} {}L{} {}", number(from.0), number(from.1), number(to.0), number(to.1)), pen);
    }

    pub fn path(&mut self, way: &str, pen: Pen) {
        if way.is_empty() {
            return;
        }
        let class = pen.role.stroke_class();
        let attributes = [
            ("class", class.as_str()),
            ("d", way),
            ("fill", "none"),
            ("stroke", pen.role.light()),
            ("stroke-width", &number(pen.width)),
            ("stroke-dasharray", pen.dashes),
            ("stroke-linejoin", "round"),
        ];
        self.element("path", &attributes, None);
    }

    /// A point, with what it says to whoever points at it. A hollow one is filled with the ground.
    pub fn point(&mut self, shape: Shape, (x, y): (f64, f64), radius: f64, is_hollow: bool, note: &str) {
        let fill = if is_hollow { Role::Ground } else { Role::Line };
        // Squares, triangles and diamonds of the same weight to the eye as the circle.
        let (side, height) = (radius * 0.89, radius * 1.25);
        let way = match shape {
            Shape::Circle => String::new(),
            Shape::Square => {
                polygon(&[(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)])
            }
            Shape::Triangle => {
                polygon(&[(x, y - height), (x + height, y + height * 0.8), (x - height, y + height * 0.8)])
            }
            Shape::Diamond => polygon(&[(x, y - height), (x + height, y), (x, y + height), (x - height, y)]),
        };
        let class = format!("{} {}", fill.fill_class(), Role::Line.stroke_class());
        let is_circle = shape == Shape::Circle;
        let of_circle = |value: f64| if is_circle { number(value) } else { String::new() };
        let attributes = [
            ("class", class.as_str()),
            ("cx", &of_circle(x)),
            ("cy", &of_circle(y)),
            ("r", &of_circle(radius)),
            ("d", &way),
            ("fill", fill.light()),
            ("stroke", Role::Line.light()),
            ("stroke-width", if radius < 1.5 { "0.5" } else { "1.5" }),
        ];
        self.element(if is_circle { "circle" } else { "path" }, &attributes, Some(note));
    }

    pub fn text(&mut self, (x, y): (f64, f64), size: Size, role: Role, anchor: Anchor, words: &str) {
        self.words((x, y), size, role, anchor, false, words);
    }

    /// Text over lines: bold, and parted from them by a rim of the ground.
    pub fn label(&mut self, (x, y): (f64, f64), anchor: Anchor, words: &str) {
        self.words((x, y), Size::Body, Role::Text, anchor, true, words);
    }

    fn words(&mut self, (x, y): (f64, f64), size: Size, role: Role, anchor: Anchor, has_rim: bool, words: &str) {
        let class =
            if has_rim { format!("{} {}", role.fill_class(), Role::Ground.stroke_class()) } else { role.fill_class() };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let rim = |value: &'static str| if has_rim { value } else { "" };
        let attributes = [
            ("class", class.as_str()),
            ("x", &number(x)),
            ("y", &number(y)),
            ("font-size", &number(size.pixels())),
            ("font-weight", if size.is_bold() || has_rim { "600" } else { "" }),
            ("text-anchor", anchor),
            ("fill", role.light()),
            ("stroke", rim(Role::Ground.light())),
            ("stroke-width", rim("3.5")),
            ("stroke-linejoin", rim("round")),
            ("paint-order", rim("stroke")),
        ];
        self.simple("text", &attributes, words);
    }

    /// Lines from the margin on, as many as it takes, further down.
    pub fn paragraph(&mut self, size: Size, role: Role, words: &str) {
        for line in lines(words, WIDTH - 2.0 * MARGIN, size) {
            self.y += size.leading();
            self.text((MARGIN, self.y), size, role, Anchor::Start, &line);
        }
    }

    /// The picture: named and told to those who do not see it.
    pub fn finish(self, language: Language, title: &str, description: &str) -> String {
        let height = self.y + MARGIN;
        let drawn = self.writer.into_inner();
        let mut whole = Paper::new();
        let view = format!("0 0 {} {}", number(WIDTH), number(height));
        let (width, tall) = (number(SHOWN_WIDTH), number((height * SHOWN_WIDTH / WIDTH).round()));
        let root = BytesStart::new("svg").with_attributes([
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("viewBox", view.as_str()),
            ("width", width.as_str()),
            ("height", tall.as_str()),
            ("xml:lang", language.as_str()),
            ("lang", language.as_str()),
            ("role", "img"),
            ("aria-labelledby", "title description"),
            ("font-family", "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, Helvetica Neue, Arial, sans-serif"),
        ]);
        whole.write(Event::Start(root));
        whole.simple("title", &[("id", "title")], title);
        whole.simple("desc", &[("id", "description")], description);
        whole.simple("style", &[], style());
        whole.rect((0.0, 0.0), (WIDTH, height), Role::Ground, 0.0);
        let mut bytes = whole.writer.into_inner();
        bytes.extend(drawn);
        bytes.extend(b"</svg>\n");
        String::from_utf8(bytes).unwrap_or_default()
    }
}

fn polygon(corners: &[(f64, f64)]) -> String {
    let corners: Vec<String> = corners.iter().map(|(x, y)| format!("{} {}", number(*x), number(*y))).collect();
    format!("M{}Z", corners.join("L"))
}

/// To a tenth of a pixel, which nobody sees, so that a picture of years stays small.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".into(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// Without what XML 1.0 cannot hold (2.2, Char), and without marks that turn the direction of the writing around them.
fn legible(words: &str) -> String {
    let is_held = |c: &char| matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let turns = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{7f}'..='\u{9f}');
    words.chars().filter(|c| is_held(c) && !turns(c)).collect()
}

/// About how wide a text is. The reader's font is not known: rather too wide than too narrow.
pub(super) fn width_of(words: &str, size: Size) -> f64 {
    let ems: f64 = words
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | ' ' | '.' | ',' | ':' | ';' | '\'' | '!' | '|' | '(' | ')' => {
                0.34
            }
            'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.92,
            'A'..='Z' => 0.69,
            '\u{1100}'.. => 1.05,
            _ => 0.59,
        })
        .sum();
    ems * size.pixels() * if size.is_bold() { 1.06 } else { 1.0 }
}

/// Words in lines that fit; a word that is too long for a line is cut.
pub(super) fn lines(words: &str, width: f64, size: Size) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split([' ', '\n', '\t']).filter(|word| !word.is_empty()) {
        let mut word = word.to_owned();
        while let Some(line) = lines.last_mut() {
            let joined = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
            if width_of(&joined, size) <= width {
                *line = joined;
                break;
            }
            if !line.is_empty() {
                lines.push(String::new());
                continue;
            }
            let head = fitting(&word, width, size);
            word = word[head.len()..].to_owned();
            *line = head;
            if word.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// As much of a text as fits, and a character at least.
fn fitting(words: &str, width: f64, size: Size) -> String {
    let mut head = String::new();
    for c in words.chars() {
        head.push(c);
        if width_of(&head, size) > width && head.chars().count() > 1 {
            head.pop();
            break;
        }
    }
    head
}

/// A text in one line, cut with an ellipsis where it does not fit.
pub(super) fn shortened(words: &str, width: f64, size: Size) -> String {
    if width_of(words, size) <= width {
        return words.to_owned();
    }
    let room = (width - width_of("…", size)).max(0.0);
    fitting(words, room, size).trim_end().to_owned() + "…"
}
