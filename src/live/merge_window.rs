//! How long messages are merged, to go out in one send.

use std::time::Duration;

use crate::limits;

/// The window in which a stream's messages are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeWindow {
    /// None for few players; beyond [`limits::MERGE_WINDOW_FROM_PLAYERS`] players on a lane it grows with each.
    #[default]
    Auto,
    /// A fixed window, whatever the number of players.
    Window(Duration),
}

impl MergeWindow {
    /// Returns the window for a lane with that many players.
    pub(crate) fn window(self, players: usize) -> Duration {
        match self {
            Self::Window(window) => window,
            Self::Auto => {
                let more = players.saturating_sub(limits::MERGE_WINDOW_FROM_PLAYERS).min(u32::MAX as usize) as u32;
                limits::MERGE_WINDOW_PER_PLAYER.saturating_mul(more).min(limits::MERGE_WINDOW_AUTO_MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_with_the_players_up_to_its_maximum() {
        let threshold = limits::MERGE_WINDOW_FROM_PLAYERS;
        assert_eq!(MergeWindow::Auto.window(0), Duration::ZERO);
        assert_eq!(MergeWindow::Auto.window(threshold), Duration::ZERO);
        assert_eq!(MergeWindow::Auto.window(threshold + 10), limits::MERGE_WINDOW_PER_PLAYER * 10);
        assert_eq!(MergeWindow::Auto.window(usize::MAX), limits::MERGE_WINDOW_AUTO_MAX);
    }

    #[test]
    fn a_configured_window_holds_for_any_number_of_players() {
        let window = Duration::from_millis(350);
        assert_eq!([0, 1, 10_000].map(|players| MergeWindow::Window(window).window(players)), [window; 3]);
    }
}
