//! Warnings about a stream, for whoever configures its encoder.

use std::time::Instant;

use super::key_frames::KeyFrames;
use super::timestamp_source::WrongRate;
use crate::limits;

/// A warning about the encoder's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// A code for programs, such as `key-frames-rare`.
    pub code: &'static str,
    /// A text for people: what is wrong, its effect on players, and what to set.
    pub text: String,
}

impl Warning {
    /// The code for key frames that are too far apart.
    pub const KEY_FRAMES_RARE: &'static str = "key-frames-rare";

    /// The code for recovery points in place of key frames.
    pub const RECOVERY_POINTS_ONLY: &'static str = "recovery-points-only";

    /// The code for timestamps that don't advance in real time.
    pub const WRONG_CLOCK: &'static str = "clock-wrong";

    /// More video has arrived since the last key frame than the cache holds.
    pub(super) fn key_frames_rare(key_frames: &KeyFrames, now: Instant) -> Self {
        let kept = "more video than is kept for new players";
        let advice = "set a key frame every 2 s in the encoder";
        let text = match key_frames.expected_interval(now) {
            Some(interval) => {
                let seconds = interval.as_secs_f64();
                format!("key frames are {seconds:.0} s apart, {kept}: these wait for the next one; {advice}")
            }
            None => {
                let since = key_frames.since_last(now).map(|since| since.as_secs()).filter(|seconds| *seconds > 1);
                let since = since.map_or_else(String::new, |seconds| format!(" for {seconds} s"));
                let wait = limits::KEY_FRAME_WAIT.as_secs();
                format!(
                    "no key frame has come{since}, {kept}: these wait for {wait} s and begin with damaged \
                     frames; {advice}"
                )
            }
        };
        Self { code: Self::KEY_FRAMES_RARE, text }
    }

    /// Players start at recovery points, but not all of them can.
    pub(super) fn recovery_points_only() -> Self {
        let text = "recovery points come in the place of key frames: players start there, but browsers show no video of it; for \
                    those set a key frame every 2 s in the encoder";
        Self { code: Self::RECOVERY_POINTS_ONLY, text: text.to_owned() }
    }

    /// The timestamps run at that rate, and arrival replaces them.
    pub(super) fn wrong_clock(WrongRate(pace): WrongRate) -> Self {
        let is_near = |unit: f64| (unit * 0.8..unit * 1.25).contains(&pace);
        let how = match pace {
            0.0 => "stand still".to_owned(),
            _ if is_near(90.0) => "run 90 times too fast, like 90 kHz ticks in place of milliseconds".to_owned(),
            _ if is_near(1000.0) => "run 1000 times too fast, like microseconds in place of milliseconds".to_owned(),
            pace if pace < 0.01 => "hardly move, like seconds in place of milliseconds".to_owned(),
            pace => format!("run at {pace:.2} times the pace of time"),
        };
        let text = format!(
            "the publisher's timestamps {how}: players get arrival times instead; set the encoder to send \
             milliseconds (--times changes what players get)"
        );
        Self { code: Self::WRONG_CLOCK, text }
    }
}

/// The warnings of one publication: the current ones, and those that were logged.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    current: Vec<Warning>,
    logged: Vec<&'static str>,
}

impl Warnings {
    /// Returns the current warnings.
    pub(super) fn current(&self) -> &[Warning] {
        &self.current
    }

    /// Raises a warning. Returns whether to log it, which is once for each code.
    pub(super) fn raise(&mut self, warning: Warning) -> bool {
        let code = warning.code;
        match self.current.iter_mut().find(|known| known.code == code) {
            Some(known) => *known = warning,
            None => self.current.push(warning),
        }
        let should_report = !self.logged.contains(&code);
        if should_report {
            self.logged.push(code);
        }
        should_report
    }

    /// Clears a warning.
    pub(super) fn clear(&mut self, code: &str) {
        self.current.retain(|known| known.code != code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_logged_once() {
        let mut warnings = Warnings::default();
        let warning = |code, text: &str| Warning { code, text: text.to_owned() };
        assert!(warnings.raise(warning("a", "one")));
        assert!(warnings.raise(warning("b", "two")));
        assert!(!warnings.raise(warning("a", "three")));
        assert_eq!(warnings.current(), [warning("a", "three"), warning("b", "two")]);
        warnings.clear("b");
        assert_eq!(warnings.current(), [warning("a", "three")]);
        assert!(!warnings.raise(warning("b", "two")));
    }
}
