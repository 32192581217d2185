//! Rate limits.

use std::time::Instant;

/// A token bucket: a burst of `size`, refilled at a rate per second.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    size: f64,
    per_second: f64,
    left: f64,
    /// When the tokens were last refilled.
    counted: Option<Instant>,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(crate) fn new(size: u32, per_second: u32) -> Self {
        Self { size: size.into(), per_second: per_second.into(), left: size.into(), counted: None }
    }

    /// Takes a token; returns whether there was one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let since = self.counted.map_or(0.0, |counted| now.saturating_duration_since(counted).as_secs_f64());
        self.counted = Some(self.counted.map_or(now, |counted| counted.max(now)));
        self.left = (self.left + since * self.per_second).min(self.size);
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_allows_a_burst_and_then_its_rate() {
        let (mut bucket, now) = (TokenBucket::new(3, 2), Instant::now());
        let mut taken = |milliseconds| {
            let now = now + Duration::from_millis(milliseconds);
            std::iter::repeat_with(|| bucket.take(now)).take_while(|there| *there).count()
        };
        assert_eq!(taken(0), 3);
        assert_eq!(taken(400), 0);
        assert_eq!(taken(500), 1);
        assert_eq!(taken(60_000), 3, "it does not overflow");
        assert_eq!(taken(0), 0, "a clock that goes back adds no tokens");
    }
}
