//! Points of an instrument: exact to a thousandth, written in files as the literature prints them.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// So many points, kept in thousandths: a mean or a table needs decimals, and floating point would blur a cut-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Points(i32);

impl Points {
    pub const fn whole(points: i32) -> Points {
        Points(points.saturating_mul(1000))
    }

    pub const fn from_thousandths(thousandths: i32) -> Points {
        Points(thousandths)
    }

    /// The unit of an [`super::Outcome`].
    pub const fn thousandths(self) -> i32 {
        self.0
    }

    pub const fn is_whole(self) -> bool {
        self.0 % 1000 == 0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}", f64::from(self.0) / 1000.0) }
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_whole() {
            return serializer.serialize_i32(self.0 / 1000);
        }
        serializer.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Points, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Points;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of points with at most three decimals")
            }
            fn visit_i64<E: Error>(self, points: i64) -> Result<Points, E> {
                let thousandths = points.checked_mul(1000).and_then(|thousandths| i32::try_from(thousandths).ok());
                thousandths.map(Points).ok_or_else(|| E::custom("too many points"))
            }
            fn visit_u64<E: Error>(self, points: u64) -> Result<Points, E> {
                i64::try_from(points)
                    .map_err(|_| E::custom("too many points"))
                    .and_then(|points| self.visit_i64(points))
            }
            fn visit_f64<E: Error>(self, points: f64) -> Result<Points, E> {
                let thousandths = (points * 1000.0).round();
                // What a file says is taken or refused, never rounded.
                if (points * 1000.0 - thousandths).abs() > 1e-6 {
                    return Err(E::custom("more than three decimals"));
                }
                if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&thousandths) {
                    return Err(E::custom("too many points"));
                }
                #[allow(clippy::cast_possible_truncation)]
                Ok(Points(thousandths as i32))
            }
        }
        deserializer.deserialize_any(Number)
    }
}
