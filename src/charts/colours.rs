//! The colours of pictures, each by the part it plays, in the light and in the dark.
//!
//! Light colours stand on the shapes themselves, so that a picture is whole without its style sheet; the style sheet
//! turns them for a dark screen, and leaves paper light.

use std::{fmt::Write, sync::LazyLock};

/// What a colour is for. A test holds each against what it stands on (WCAG 2.2, 1.4.3 and 1.4.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Ground,
    Text,
    /// Text that is read second.
    Muted,
    /// Limits and axes.
    Rule,
    /// What only separates, and says nothing.
    Faint,
    /// A person's course.
    Line,
    /// What is missing.
    Alert,
    /// Shades of bands, the worse the stronger.
    Band0,
    Band1,
    Band2,
    Band3,
    Band4,
    Band5,
}

impl Role {
    pub const ALL: [Role; 13] = [
        Role::Ground,
        Role::Text,
        Role::Muted,
        Role::Rule,
        Role::Faint,
        Role::Line,
        Role::Alert,
        Role::Band0,
        Role::Band1,
        Role::Band2,
        Role::Band3,
        Role::Band4,
        Role::Band5,
    ];
    pub const BANDS: [Role; 6] = [Role::Band0, Role::Band1, Role::Band2, Role::Band3, Role::Band4, Role::Band5];

    /// `#rrggbb` on white and on paper.
    pub const fn light(self) -> &'static str {
        match self {
            Role::Ground => "#ffffff",
            Role::Text => "#17212b",
            Role::Muted => "#4a5763",
            Role::Rule => "#6f7d8a",
            Role::Faint => "#dbe3ea",
            Role::Line => "#0a5a9c",
            Role::Alert => "#a03a0b",
            Role::Band0 => "#f6f9fc",
            Role::Band1 => "#eef3f9",
            Role::Band2 => "#e6eef6",
            Role::Band3 => "#dee8f3",
            Role::Band4 => "#d6e2ef",
            Role::Band5 => "#cfddec",
        }
    }

    /// `#rrggbb` on a dark screen.
    pub const fn dark(self) -> &'static str {
        match self {
            Role::Ground => "#11171e",
            Role::Text => "#eaf0f5",
            Role::Muted => "#b3c0cb",
            Role::Rule => "#8c9aa7",
            Role::Faint => "#2a343f",
            Role::Line => "#7cc4ff",
            Role::Alert => "#ffb088",
            Role::Band0 => "#151d26",
            Role::Band1 => "#19232e",
            Role::Band2 => "#1d2936",
            Role::Band3 => "#212f3e",
            Role::Band4 => "#253546",
            Role::Band5 => "#293b4e",
        }
    }

    /// The shade of a band: `worse` of `others` bands are better than it.
    pub fn of_band(worse: usize, others: usize) -> Role {
        Role::BANDS[(worse * 5 / others.max(1)).min(5)]
    }

    pub(super) fn fill_class(self) -> String {
        format!("f{}", self as usize)
    }

    pub(super) fn stroke_class(self) -> String {
        format!("s{}", self as usize)
    }
}

/// The style sheet of every picture: the same text each time, so that a content policy can name its hash.
pub fn style() -> &'static str {
    static STYLE: LazyLock<String> = LazyLock::new(|| {
        let mut style = format!(
            "svg{{max-width:100%;height:auto}}:root{{background:{}}}@media screen and (prefers-color-scheme:dark){{\
             :root{{background:{}}}",
            Role::Ground.light(),
            Role::Ground.dark()
        );
        for role in Role::ALL {
            let (fill, stroke, colour) = (role.fill_class(), role.stroke_class(), role.dark());
            // Writing into a text does not fail.
            let _ = write!(style, ".{fill}{{fill:{colour}}}.{stroke}{{stroke:{colour}}}");
        }
        style + "}@media print{svg{width:16cm}}"
    });
    &STYLE
}
