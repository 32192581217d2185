//! What a client of RTMP is doing, and which deadlines hold meanwhile.

/// What a client is doing, for the deadlines that hold meanwhile; of several things, the last of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It has not finished the handshake: [`crate::limits::HANDSHAKE_DEADLINE`].
    Handshake,
    /// It neither publishes nor plays: [`crate::limits::IDLE_DEADLINE`].
    Idle,
    /// It has paused what it plays: [`crate::limits::PAUSE`].
    Paused,
    /// It plays: [`crate::limits::PING_TIMEOUT`].
    Playing,
    /// It publishes: [`crate::limits::PUBLISHER_SILENCE`].
    Publishing,
}

impl Phase {
    /// Its name, for those who ask.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Paused => "paused",
            Self::Playing => "playing",
            Self::Publishing => "publishing",
        }
    }
}
