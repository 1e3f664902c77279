//! Reliable change and cut-off points from a sample's figures.
//!
//! Source of the formulas: Jacobson NS, Truax P. Clinical significance: a statistical approach to defining meaningful
//! change in psychotherapy research. J Consult Clin Psychol 1991;59:12-19. The standard error of the difference in the
//! form of Christensen L, Mendoza JL. Behav Ther 1986;17:305-308, which that paper adopts.
//!
//! The instruments of the registry carry published thresholds in whole points; the figures behind them were not
//! confirmed at a source, so no parameters ship. A deployment that has figures of its own sample may bring them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{rules::instruments::Direction, words};

/// Beyond this many standard errors of the difference, either way, a change is reliable: 5 % of changes by error of
/// measurement alone lie outside (Jacobson & Truax 1991).
pub const Z_95: f64 = 1.96;

words! {
    /// Where the line between the two populations lies. The functional side is better.
    pub enum CutPoint {
        /// Two standard deviations from the mean of the clinical population, towards the functional one.
        A = "a",
        /// Two standard deviations from the mean of the functional population, towards the clinical one.
        B = "b",
        /// Where both populations are equally likely: `(SD0 × M1 + SD1 × M0) / (SD0 + SD1)`, 0 functional, 1 clinical.
        C = "c",
    }
}

/// Mean and standard deviation of a population, in points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    pub mean: f64,
    /// Above 0.
    pub sd: f64,
}

/// The figures of one sample, from which thresholds follow. Points are as printed in the literature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    pub id: String,
    /// Id of the instrument.
    pub instrument: String,
    /// Standard deviation before treatment, in points, above 0.
    pub sd: f64,
    /// Reliability, at least 0 and below 1. The sample says of which kind.
    pub reliability: f64,
    pub clinical: Option<Population>,
    pub functional: Option<Population>,
    /// Which line recovery crosses. None: recovery is not judged by this set.
    pub cut_point: Option<CutPoint>,
    pub sample: String,
    pub source: String,
}

/// Why parameters cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadParameters {
    #[error("a standard deviation is not above 0")]
    Sd,
    #[error("the reliability is not from 0 to below 1")]
    Reliability,
    #[error("the named cut-off point needs a population that is absent")]
    Population,
    #[error("the functional population does not score better than the clinical one")]
    Order,
    #[error("sample and source must say where the figures come from")]
    Source,
}

impl Parameters {
    /// Checks the figures against an instrument's direction.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self, direction: Direction) -> Result<(), BadParameters> {
        let sds = [Some(self.sd), self.clinical.map(|p| p.sd), self.functional.map(|p| p.sd)];
        if !sds.into_iter().flatten().all(|sd| sd.is_finite() && sd > 0.0) {
            return Err(BadParameters::Sd);
        }
        if !(0.0..1.0).contains(&self.reliability) {
            return Err(BadParameters::Reliability);
        }
        if self.sample.trim().is_empty() || self.source.trim().is_empty() {
            return Err(BadParameters::Source);
        }
        if let (Some(clinical), Some(functional)) = (self.clinical, self.functional) {
            let better = towards_better(direction) * (functional.mean - clinical.mean);
            if !better.is_finite() || better <= 0.0 {
                return Err(BadParameters::Order);
            }
        }
        match self.cut_point {
            Some(point) if self.cut(point, direction).is_none_or(|cut| !cut.is_finite()) => {
                Err(BadParameters::Population)
            }
            _ => Ok(()),
        }
    }

    /// Standard error of the difference between two scores: `√2 × SD × √(1 − r)`, in points.
    pub fn standard_error(&self) -> f64 {
        std::f64::consts::SQRT_2 * self.sd * (1.0 - self.reliability).sqrt()
    }

    /// Reliable change index `(later − first) / (√2 × SD × √(1 − r))`, in standard errors; the scores in points. Its
    /// sign is that of the scores, not of the improvement.
    pub fn index(&self, first: f64, later: f64) -> f64 {
        (later - first) / self.standard_error()
    }

    /// The smallest change that is reliable, in whole thousandths of a point: just beyond [`Z_95`] standard errors.
    pub fn smallest_reliable(&self) -> i32 {
        // The cast saturates; a rounding error of a billionth must not push 6.000 to 6.001.
        ((Z_95 * self.standard_error() * 1000.0 + 1e-6).floor() as i32).saturating_add(1)
    }

    /// A cut-off point, in points. None where a population that it needs is absent.
    pub fn cut(&self, point: CutPoint, direction: Direction) -> Option<f64> {
        let better = towards_better(direction);
        match point {
            CutPoint::A => self.clinical.map(|clinical| clinical.mean + better * 2.0 * clinical.sd),
            CutPoint::B => self.functional.map(|functional| functional.mean - better * 2.0 * functional.sd),
            CutPoint::C => {
                let (clinical, functional) = (self.clinical?, self.functional?);
                let weighted = functional.sd * clinical.mean + clinical.sd * functional.mean;
                Some(weighted / (functional.sd + clinical.sd))
            }
        }
    }
}

fn towards_better(direction: Direction) -> f64 {
    match direction {
        Direction::HigherIsWorse => -1.0,
        Direction::HigherIsBetter => 1.0,
    }
}
