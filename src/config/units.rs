//! Values with units, and values that must not be printed.

use std::fmt;

/// A share between 0 and 1, written as `20%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(1.0);
    /// Half of it.
    pub const HALF: Self = Self(0.5);
    /// Nothing of it.
    pub const NONE: Self = Self(0.0);

    /// The share of so many hundredths; `None` outside 0 to 100.
    #[must_use]
    pub fn from_hundredths(hundredths: f64) -> Option<Self> {
        (0.0..=100.0)
            .contains(&hundredths)
            .then_some(Self(hundredths / 100.0))
    }

    /// The share as a fraction between 0 and 1.
    #[must_use]
    pub const fn ratio(self) -> f64 {
        self.0
    }
}

/// As it is written, `12.5%`, to a hundredth of a percent; more digits are the float's own.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 10_000.0).round() / 100.0;
        write!(f, "{hundredths}%")
    }
}

/// A secret from the configuration; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret's bytes, for the one comparison or signature that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
