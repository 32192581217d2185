//! What is the matter with a stream, for those who can set its encoder right.

use std::time::Instant;

use super::clock_watch::WrongPace;
use super::key_frames::KeyFrames;
use crate::limits;

/// Something that the encoder should do otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// For programs, such as `key-frames-rare`.
    pub code: &'static str,
    /// For people: what is the matter, what it means for players, and what to set.
    pub text: String,
}

impl Warning {
    /// The code where key frames are too far apart.
    pub const KEY_FRAMES_RARE: &'static str = "key-frames-rare";

    /// The code where there are recovery points in the place of key frames.
    pub const RECOVERY_POINTS_ONLY: &'static str = "recovery-points-only";

    /// The code where timestamps tell no time.
    pub const WRONG_CLOCK: &'static str = "clock-wrong";

    /// There is more video since the last key frame than is kept for players to come.
    pub(super) fn key_frames_rare(key_frames: &KeyFrames, now: Instant) -> Self {
        let kept = "more video than is kept for new players";
        let advice = "set a key frame every 2 s in the encoder";
        let text = match key_frames.foreseen(now) {
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

    /// Players start at recovery points, but not all do.
    pub(super) fn recovery_points_only() -> Self {
        let text = "recovery points come in the place of key frames: players start there, but browsers show no video of it; for \
                    those set a key frame every 2 s in the encoder";
        Self { code: Self::RECOVERY_POINTS_ONLY, text: text.to_owned() }
    }

    /// The timestamps run at that pace, and arrival counts.
    pub(super) fn wrong_clock(WrongPace(pace): WrongPace) -> Self {
        let is_local_address = |unit: f64| (unit * 0.8..unit * 1.25).contains(&pace);
        let how = match pace {
            0.0 => "stand still".to_owned(),
            _ if is_local_address(90.0) => {
                "run 90 times too fast, like 90 kHz ticks in place of milliseconds".to_owned()
            }
            _ if is_local_address(1000.0) => {
                "run 1000 times too fast, like microseconds in place of milliseconds".to_owned()
            }
            pace if pace < 0.01 => "hardly move, like seconds in place of milliseconds".to_owned(),
            pace => format!("run at {pace:.2} times the pace of time"),
        };
        let text = format!(
            "the publisher's timestamps {how}: players get the times of arrival in their place; set the encoder to send \
             milliseconds (--times changes what players get)"
        );
        Self { code: Self::WRONG_CLOCK, text }
    }
}

/// Of one publication: what holds now, and what the log has been told.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    current: Vec<Warning>,
    told: Vec<&'static str>,
}

impl Warnings {
    /// What holds now.
    pub fn current(&self) -> &[Warning] {
        &self.current
    }

    /// From here on this holds. Says whether the log shall be told, as it is once for each code.
    pub fn raise(&mut self, warning: Warning) -> bool {
        let code = warning.code;
        match self.current.iter_mut().find(|known| known.code == code) {
            Some(known) => *known = warning,
            None => self.current.push(warning),
        }
        let should_report = !self.told.contains(&code);
        if should_report {
            self.told.push(code);
        }
        should_report
    }

    /// It does not hold any more.
    pub fn clear(&mut self, code: &str) {
        self.current.retain(|known| known.code != code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_once_of_each() {
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
