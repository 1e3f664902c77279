//! Mean change and the paired effect size, from sums that merge exactly.

use serde::{Deserialize, Serialize};

use super::Pair;
use crate::rules::change::Z_95;

/// Count, sum and sum of squares of whole numbers, for mean and variance.
///
/// Scores are whole thousandths, so the sums are exact where running means in floating point would round: merging is
/// associative and commutative to the last bit, and nothing cancels. 128 bits hold the squares of 2³² values of 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    count: u32,
    sum: i64,
    squares: i128,
}

impl Sums {
    pub fn add(&mut self, value: i32) {
        self.count += 1;
        self.sum += i64::from(value);
        self.squares += i128::from(value) * i128::from(value);
    }

    pub fn merge(&mut self, other: &Sums) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// None without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / f64::from(self.count))
    }

    /// Sample variance with `n − 1`. None below two values.
    pub fn variance(&self) -> Option<f64> {
        let n = i128::from(self.count);
        let scaled = n * self.squares - i128::from(self.sum) * i128::from(self.sum);
        (n > 1).then(|| scaled as f64 / (n * (n - 1)) as f64)
    }
}

/// Baseline, newest score and gain of everybody who has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    pub first: Sums,
    pub later: Sums,
    /// Up is better.
    pub gain: Sums,
}

/// How people are nested in groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nesting {
    people: u64,
    squares: u64,
    rho: f64,
}

impl Nesting {
    /// `sizes`: people with a pair in each group. `rho`: the intraclass correlation, 0 to 1, which whoever reports must
    /// name; no value is taken for granted. Values outside, and no number, count as 1, the widest.
    pub fn new(sizes: impl IntoIterator<Item = u32>, rho: f64) -> Nesting {
        let (mut people, mut squares) = (0, 0);
        for size in sizes {
            people += u64::from(size);
            squares += u64::from(size) * u64::from(size);
        }
        Nesting { people, squares, rho: if (0.0..=1.0).contains(&rho) { rho } else { 1.0 } }
    }

    /// `1 + (m − 1) × ρ` (Kish 1965). Where groups differ in size, m is `Σm² / Σm`, the size of the group in which the
    /// average person sits: the variance of a sum over groups is `Σ (m + m(m − 1)ρ)` times that of one person.
    pub fn design_effect(&self) -> f64 {
        let m = if self.people == 0 { 1.0 } else { self.squares as f64 / self.people as f64 };
        1.0 + (m - 1.0) * self.rho
    }
}

/// Change from baseline to the newest score. Points, and standard deviations of the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// With both scores, at least 3.
    pub people: u32,
    /// In points, up is better.
    pub mean_gain: f64,
    /// Of the baseline, in points.
    pub baseline_sd: f64,
    /// Mean gain over the baseline's standard deviation, with the small-sample correction. Up is better.
    pub g: f64,
    /// 95 % interval of `g`.
    pub low: f64,
    pub high: f64,
    /// By which the interval was widened, as a variance.
    pub design_effect: f64,
}

/// Mean gain with its 95 % interval, in points; up is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeanGain {
    /// With both scores, at least 2.
    pub people: u32,
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// Beyond this many standard errors a mean of few lies once in twenty times: the 97.5 % point of Student's t. Exact for
/// one and two degrees of freedom; beyond them by the expansion of Abramowitz & Stegun (Handbook of Mathematical
/// Functions, 1964, 26.7.5), which is off by 0.2 % at three and by less with more.
fn student_975(degrees: u32) -> f64 {
    match degrees {
        0 | 1 => 12.706_204_736,
        2 => 4.302_652_730,
        _ => {
            let (n, z) = (f64::from(degrees), 1.959_963_985_f64);
            let power = |exponent| z.powi(exponent);
            let g1 = (power(3) + z) / 4.0;
            let g2 = (5.0 * power(5) + 16.0 * power(3) + 3.0 * z) / 96.0;
            let g3 = (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * z) / 384.0;
            let g4 = 79.0 * power(9) + 776.0 * power(7) + 1482.0 * power(5) - 1920.0 * power(3) - 945.0 * z;
            z + g1 / n + g2 / n.powi(2) + g3 / n.powi(3) + g4 / 92_160.0 / n.powi(4)
        }
    }
}

impl Paired {
    /// Mean gain `± t × √(design effect × variance of the gains / n)`, t with `n − 1` degrees of freedom. None below two
    /// people.
    pub fn mean_gain(&self, nesting: Nesting) -> Option<MeanGain> {
        let people = self.gain.count();
        let (mean, variance) = (self.gain.mean()?, self.gain.variance()?);
        let half = student_975(people - 1) * (nesting.design_effect() * variance / f64::from(people)).sqrt();
        let points = |thousandths: f64| thousandths / 1000.0;
        Some(MeanGain { people, mean: points(mean), low: points(mean - half), high: points(mean + half) })
    }

    pub fn add(&mut self, pair: Pair) {
        self.first.add(pair.first);
        self.later.add(pair.later);
        self.gain.add(pair.gain);
    }

    pub fn merge(&mut self, other: &Paired) {
        self.first.merge(&other.first);
        self.later.merge(&other.later);
        self.gain.merge(&other.gain);
    }

    /// The standardized mean change with raw-score standardization.
    ///
    /// `g = J × mean gain / SD of the baseline`, `J = 1 − 3 / (4 × df − 1)`, `df = n − 1` (Hedges LV. J Educ Stat
    /// 1981;6:107-128). Variance `2(1 − r)/n + g²/(2n)`, r the correlation of baseline and follow-up (Becker BJ. Br J
    /// Math Stat Psychol 1988;41:257-278; the default of R's metafor for SMCR). It takes the spread before and after for
    /// equal. The first term, that of the mean, is multiplied by the design effect, as Hedges & Citkowicz (2015) do.
    /// Interval `g ± 1.96 × √variance`.
    ///
    /// None below three people, where the correction leaves nothing, or where all began with the same score.
    pub fn effect(&self, nesting: Nesting) -> Option<Effect> {
        let people = self.gain.count();
        if people < 3 {
            return None;
        }
        let n = f64::from(people);
        let (mean_gain, variance) = (self.gain.mean()?, self.first.variance()?);
        if variance <= 0.0 {
            return None;
        }
        let correction = 1.0 - 3.0 / (4.0 * (n - 1.0) - 1.0);
        let g = correction * mean_gain / variance.sqrt();
        let design_effect = nesting.design_effect();
        let of_mean = design_effect * 2.0 * (1.0 - self.correlation()?) / n;
        let half = Z_95 * (of_mean + g * g / (2.0 * n)).sqrt();
        Some(Effect {
            people,
            mean_gain: mean_gain / 1000.0,
            baseline_sd: variance.sqrt() / 1000.0,
            g,
            low: g - half,
            high: g + half,
            design_effect,
        })
    }

    /// Of baseline and follow-up, −1 to 1, from the three variances. 0 where one of them does not vary: the interval is
    /// then wider than it need be, never narrower. None below two people.
    pub fn correlation(&self) -> Option<f64> {
        let (first, later, gain) = (self.first.variance()?, self.later.variance()?, self.gain.variance()?);
        if first <= 0.0 || later <= 0.0 {
            return Some(0.0);
        }
        Some(((first + later - gain) / (2.0 * (first * later).sqrt())).clamp(-1.0, 1.0))
    }
}
