//! Timestamps: 32-bit milliseconds that wrap.

use std::fmt;

/// Milliseconds modulo 2³² since an epoch that the sender chooses (RTMP 1.0 §4).
///
/// The value wraps after 49 days 17 hours and is compared by serial number arithmetic, so there is no `Ord`: use
/// [`since`](Self::since).
///
/// ```
/// use gortmp::media::Timestamp;
/// let before = Timestamp::new(u32::MAX);
/// assert_eq!(before + 41, Timestamp::new(40));
/// assert_eq!(Timestamp::new(40).since(before), 41);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timestamp(u32);

impl Timestamp {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// Creates a timestamp of `milliseconds` after the epoch.
    pub const fn new(milliseconds: u32) -> Self {
        Self(milliseconds)
    }

    /// Returns the milliseconds after the epoch, modulo 2³².
    pub const fn milliseconds(self) -> u32 {
        self.0
    }

    /// Returns the signed milliseconds from `earlier` to `self`; valid while they are less than 24.8 days apart.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }
}

impl std::ops::Add<u32> for Timestamp {
    type Output = Self;
    /// Wraps, so that a delta ≥ 2³¹ goes backwards, as librtmp and OBS send it.
    fn add(self, milliseconds: u32) -> Self {
        Self(self.0.wrapping_add(milliseconds))
    }
}

impl std::ops::Sub for Timestamp {
    type Output = u32;
    /// Returns the wrapping delta, the inverse of [`Add`](std::ops::Add).
    fn sub(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn differences_are_correct_across_the_wrap() {
        assert_eq!(Timestamp::new(5).since(Timestamp::new(u32::MAX - 4)), 10);
        assert_eq!(Timestamp::new(u32::MAX - 4).since(Timestamp::new(5)), -10);
    }

    proptest! {
        #[test]
        fn adding_the_delta_yields_the_later_timestamp(a: u32, b: u32) {
            let (a, b) = (Timestamp::new(a), Timestamp::new(b));
            prop_assert_eq!(a + (b - a), b);
        }

        #[test]
        fn since_returns_small_steps(a: u32, step in -1_000_000i32..1_000_000) {
            let a = Timestamp::new(a);
            prop_assert_eq!((a + step as u32).since(a), step);
        }
    }
}
