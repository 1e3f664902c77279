//! The vocabulary of session agendas, read from `data/techniques.json`: techniques and the therapeutic factors of group work.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The family of methods that a technique is usually counted in; a group of any approach may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approach {
    /// Cognitive behavioural therapy.
    Cbt,
    /// Dialectical behaviour therapy.
    Dbt,
    /// Acceptance and commitment therapy.
    Act,
    /// Mindfulness and attention.
    Mindfulness,
    /// Facing what is feared.
    Exposure,
    /// Teaching about a condition and its treatment.
    Psychoeducation,
    /// Practical skills that belong to no single school.
    Skills,
    /// What holds the group itself: rounds, agreements, feedback, endings.
    Process,
    /// Goals, homework and review, common to all approaches.
    General,
}

/// A technique that an agenda item may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Technique {
    /// Stable kebab-case id; agenda items and doses refer to it, so it is never reused or renamed.
    pub id: String,
    /// The name as therapists use it.
    pub title: String,
    /// The family it is usually counted in.
    pub approach: Approach,
    /// One sentence on what happens.
    pub description: String,
}

/// A therapeutic factor of group work.
///
/// Eleven are the factors of Irvin D. Yalom, The Theory and Practice of Group Psychotherapy; the twelfth,
/// `corrective-emotional-experience`, is Franz Alexander's term, which Yalom treats within interpersonal learning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Stable kebab-case id.
    pub id: String,
    /// The factor's name.
    pub title: String,
    /// One sentence on what it means.
    pub description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vocabulary {
    techniques: Vec<Technique>,
    factors: Vec<Factor>,
}

fn vocabulary() -> &'static Vocabulary {
    static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
    VOCABULARY.get_or_init(|| {
        serde_json::from_str(include_str!("../../data/techniques.json"))
            .expect("data/techniques.json has the shape of Vocabulary")
    })
}

/// Every technique, grouped by approach in the order of the file.
#[must_use]
pub fn all() -> &'static [Technique] {
    &vocabulary().techniques
}

/// The technique with exactly this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Technique> {
    all().iter().find(|technique| technique.id == id)
}

/// Every therapeutic factor, in the order of the file.
#[must_use]
pub fn factors() -> &'static [Factor] {
    &vocabulary().factors
}

/// Whether a therapeutic factor has exactly this id.
#[must_use]
pub fn is_factor(id: &str) -> bool {
    factors().iter().any(|factor| factor.id == id)
}
