//! What the figures of progress mean, in plain words of the reader's language.
//!
//! Titles of instruments and techniques stand as the registry has them. Bands are put into everyday words, which are
//! the project's own and of no validated translation.

use jiff::tz::TimeZone;

use super::{Language, NoPoint};
use crate::{
    rules::{
        attendance::Status,
        change::{BaselineRule, Finding, State, Why},
        instruments::{Band, ChangeKind, Direction, NoScore},
    },
    values::{Day, Moment},
};

impl Language {
    /// The language of a BCP 47 tag; English where there are no sentences in it.
    pub fn of(tag: &str) -> Language {
        let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        primary.parse().unwrap_or(Language::English)
    }

    /// The one of two texts that is in this language.
    pub fn say<'a>(self, english: &'a str, german: &'a str) -> &'a str {
        match self {
            Language::English => english,
            Language::German => german,
        }
    }

    /// Points with at most two decimals, and as few as they need.
    pub fn points(self, thousandths: i32) -> String {
        let text = format!("{:.2}", f64::from(thousandths) / 1000.0);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        text.replace('.', self.say(".", ","))
    }

    /// `7 Sep 2026`, `7. Sep. 2026`.
    pub fn day(self, day: Day) -> String {
        let (number, month, year) = (day.0.day(), self.month(day.0.month()), day.0.year());
        match self {
            Language::English => format!("{number} {month} {year}"),
            Language::German => format!("{number}. {month} {year}"),
        }
    }

    /// The day of a moment in a zone, in words.
    pub fn day_of(self, at: Moment, zone: &str) -> String {
        self.day(at.day_in(zone))
    }

    /// Short name of a month, 1 to 12.
    pub fn month(self, month: i8) -> &'static str {
        const ENGLISH: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        const GERMAN: [&str; 12] =
            ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sep.", "Okt.", "Nov.", "Dez."];
        let names = match self {
            Language::English => ENGLISH,
            Language::German => GERMAN,
        };
        names[(month.clamp(1, 12) - 1) as usize]
    }

    /// Minutes as hours and minutes.
    pub fn duration(self, minutes: i64) -> String {
        let (hours, minutes) = (minutes / 60, minutes % 60);
        match (hours, minutes) {
            (0, minutes) => format!("{minutes} min"),
            (hours, 0) => format!("{hours} {}", self.say("h", "Std.")),
            (hours, minutes) => format!("{hours} {} {minutes} min", self.say("h", "Std.")),
        }
    }

    pub fn direction(self, direction: Direction) -> &'static str {
        match direction {
            Direction::HigherIsWorse => self.say("Lower is better.", "Niedriger ist besser."),
            Direction::HigherIsBetter => self.say("Higher is better.", "Höher ist besser."),
        }
    }

    /// A band in everyday words; as the registry has it, where there are none.
    pub fn band(self, band: &Band) -> &str {
        if self == Language::English {
            return &band.label;
        }
        match band.label.as_str() {
            "None" => "Keine",
            "None or low" => "Keine oder wenig",
            "None to minimal" => "Keine bis minimal",
            "Low" | "Low level" => "Niedrig",
            "Mild" => "Leicht",
            "Medium" | "Moderate" | "Moderate level" => "Mittel",
            "Moderately severe" => "Mittelschwer",
            "Severe" | "Severe level" => "Schwer",
            "Extremely severe" => "Sehr schwer",
            "Substantial level" => "Erheblich",
            "High" => "Hoch",
            "Very high" => "Sehr hoch",
            "Extremely high" => "Äußerst hoch",
            other => other,
        }
    }

    /// Which rule made a score the baseline.
    pub fn baseline(self, rule: BaselineRule) -> &'static str {
        match rule {
            BaselineRule::AtOrBeforeFirstSession => self.say(
                "The first score was taken before or at the first session attended.",
                "Der erste Wert stammt von der ersten besuchten Sitzung oder von davor.",
            ),
            BaselineRule::AfterFirstSession => self.say(
                "The first score was taken after the first session attended: what changed before it is not seen.",
                "Der erste Wert stammt von nach der ersten besuchten Sitzung: Was sich davor geändert hat, ist nicht \
                 zu sehen.",
            ),
            BaselineRule::NoSessionAttended => {
                self.say("No session has been attended yet.", "Noch wurde keine Sitzung besucht.")
            }
        }
    }

    /// Why an administration makes no point.
    pub fn no_point(self, why: &NoPoint) -> String {
        match why {
            NoPoint::NoScore(NoScore::TooManyMissing { missing, allowed }) => match self {
                Language::English => {
                    format!("No score: {missing} answers are missing, and this measure allows for {allowed}.")
                }
                Language::German => {
                    format!("Kein Wert: {missing} Antworten fehlen, und dieser Fragebogen erlaubt {allowed}.")
                }
            },
            NoPoint::NoScore(NoScore::GateUnanswered { .. }) => self
                .say(
                    "No score: the question that decides about the others has no answer.",
                    "Kein Wert: Die Frage, die über die anderen entscheidet, hat keine Antwort.",
                )
                .to_owned(),
            NoPoint::NoScore(NoScore::NoTotal {}) => self
                .say("No score: this measure has no total.", "Kein Wert: Dieser Fragebogen hat keine Summe.")
                .to_owned(),
            NoPoint::PartIncomplete => self
                .say("No score: an answer of this part is missing.", "Kein Wert: In diesem Teil fehlt eine Antwort.")
                .to_owned(),
        }
    }

    /// Why no state can be computed.
    pub fn why(self, why: Why) -> &'static str {
        match why {
            Why::NoBaseline => self.say(
                "Change cannot be judged: there is no score yet.",
                "Eine Veränderung lässt sich nicht beurteilen: Es gibt noch keinen Wert.",
            ),
            Why::OnlyOneAdministration => self.say(
                "Change cannot be judged yet: there is only one score.",
                "Eine Veränderung lässt sich noch nicht beurteilen: Es gibt erst einen Wert.",
            ),
            Why::NoScore => self.say(
                "Change cannot be judged: an administration that it needs has no score.",
                "Eine Veränderung lässt sich nicht beurteilen: Eine Befragung, die dafür nötig ist, hat keinen Wert.",
            ),
            Why::NoParameters => self.say(
                "Whether a change is reliable is not judged: no confirmed threshold is known for this measure.",
                "Ob eine Veränderung verlässlich ist, wird nicht beurteilt: Für diesen Fragebogen ist keine bestätigte \
                 Schwelle bekannt.",
            ),
            Why::DifferentVersions => self.say(
                "Change cannot be judged: the first and the newest form are of different versions.",
                "Eine Veränderung lässt sich nicht beurteilen: Der erste und der neueste Bogen sind verschiedene \
                 Fassungen.",
            ),
        }
    }

    /// A state in two or three words.
    pub fn state_name(self, state: State) -> &'static str {
        match state {
            State::Recovered => self.say("Recovered", "Genesen"),
            State::ReliablyImproved => self.say("Reliably improved", "Verlässlich gebessert"),
            State::NoReliableChange => self.say("No reliable change", "Keine verlässliche Veränderung"),
            State::ReliablyDeteriorated => self.say("Reliably worse", "Verlässlich verschlechtert"),
            State::NotACaseAtStart => self.say("Not a case at start", "Zu Beginn nicht auffällig"),
            State::NotComputable(_) => self.say("Not judged", "Nicht beurteilt"),
        }
    }

    /// What became of somebody who went from `first` to `last`, in thousandths.
    pub fn state(self, state: State, first: i32, last: i32) -> String {
        let tells = match state {
            State::NotComputable(why) => return self.why(why).to_owned(),
            State::Recovered => self.say(
                "reliably better, by more than the measure's own error, and across the line into the healthy range.",
                "verlässlich besser, um mehr als den Messfehler, und über die Grenze in den gesunden Bereich.",
            ),
            State::ReliablyImproved => self.say(
                "reliably better, by more than the measure's own error.",
                "verlässlich besser, um mehr als den Messfehler.",
            ),
            State::NoReliableChange => self.say(
                "no reliable change. A difference of this size can be the measure's own error.",
                "keine verlässliche Veränderung. Ein Unterschied dieser Größe kann Messfehler sein.",
            ),
            State::ReliablyDeteriorated => self.say(
                "reliably worse, by more than the measure's own error.",
                "verlässlich schlechter, um mehr als den Messfehler.",
            ),
            State::NotACaseAtStart => self.say(
                "already in the healthy range at the start, so recovery is not judged.",
                "schon zu Beginn im gesunden Bereich, darum wird keine Genesung beurteilt.",
            ),
        };
        self.from_to(first, last) + ": " + tells
    }

    /// `From 16 to 5`.
    pub fn from_to(self, first: i32, last: i32) -> String {
        let (first, last) = (self.points(first), self.points(last));
        match self {
            Language::English => format!("From {first} to {last}"),
            Language::German => format!("Von {first} auf {last}"),
        }
    }

    /// From which difference on a change is reliable, and whose finding that is.
    pub fn threshold(self, reliable_from: i32, sample: &str, source: &str) -> String {
        let points = self.points(reliable_from);
        let (sample, source) = (sample.trim_end_matches('.'), source.trim_end_matches('.'));
        match self {
            Language::English => format!("Reliable from {points} points. {sample}. {source}."),
            Language::German => format!("Verlässlich ab {points} Punkten. {sample}. {source}."),
        }
    }

    pub fn question(self, kind: ChangeKind) -> &'static str {
        match kind {
            ChangeKind::Reliable => self.say("Reliable change", "Verlässliche Veränderung"),
            ChangeKind::ClinicallySignificant => {
                self.say("Clinically significant change", "Klinisch bedeutsame Veränderung")
            }
            ChangeKind::MinimalImportant => {
                self.say("Smallest difference that matters", "Kleinster bedeutsamer Unterschied")
            }
            ChangeKind::Response => self.say("Response", "Ansprechen"),
            ChangeKind::Remission => self.say("Remission", "Remission"),
        }
    }

    pub fn finding(self, finding: Finding) -> &'static str {
        match finding {
            Finding::Better => self.say("reached, for the better", "erreicht, zum Besseren"),
            Finding::Worse => self.say("reached, for the worse", "erreicht, zum Schlechteren"),
            Finding::OpenBetter => {
                self.say("for the better, and left open by its source", "zum Besseren, von der Quelle offen gelassen")
            }
            Finding::OpenWorse => self
                .say("for the worse, and left open by its source", "zum Schlechteren, von der Quelle offen gelassen"),
            Finding::NotReached => self.say("not reached", "nicht erreicht"),
            Finding::NotApplicable => self.say("does not apply", "trifft nicht zu"),
        }
    }

    /// What came of a place in a session; `None` where nothing is recorded.
    pub fn status(self, status: Option<Status>) -> &'static str {
        match status {
            Some(Status::Attended) => self.say("there", "dabei"),
            Some(Status::Late) => self.say("came late", "kam später"),
            Some(Status::LeftEarly) => self.say("left early", "ging früher"),
            Some(Status::Excused) => self.say("excused", "entschuldigt"),
            Some(Status::NoShow) => self.say("not there", "nicht dabei"),
            None => self.say("not recorded", "nicht eingetragen"),
        }
    }

    /// `10 of 11 sessions, 14 h 30 min`. Without `held` it is not known how many there were.
    pub fn attended(self, attended: usize, held: Option<usize>, minutes: i32) -> String {
        let duration = self.duration(i64::from(minutes));
        let noun = |count: usize| match (self, count) {
            (Language::English, 1) => "session",
            (Language::English, _) => "sessions",
            (Language::German, 1) => "Sitzung",
            (Language::German, _) => "Sitzungen",
        };
        match held {
            Some(held) => format!("{attended} {} {held} {}, {duration}", self.say("of", "von"), noun(held)),
            None => format!("{attended} {}, {duration}", noun(attended)),
        }
    }
}

/// The zone of a name; UTC where it is not known.
pub(crate) fn zone_of(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}
