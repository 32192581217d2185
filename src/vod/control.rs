//! The requests to a file player, and its events and output.

use crate::error::Result;
use crate::media::Packet;

/// The parameters of a `play`. Times are milliseconds since the start of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlayRequest {
    /// Start position: playback starts at the key frame at or before it; `None` is the first frame of the file.
    pub start_ms: Option<u32>,
    /// Duration from there; `None` is to the end of the file, 0 a single video frame, or an audio frame if there is no
    /// video.
    pub duration_ms: Option<u32>,
    /// The client's buffer length (`SetBufferLength`), see [`Pacing`](super::Pacing).
    pub buffer_ms: u32,
}

/// A control request of a viewer during playback. Times are milliseconds since the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Pause.
    Pause {
        /// The client's position.
        position_ms: u32,
    },
    /// Resume.
    Resume {
        /// The client's position. If it is more than a second away from both the pause position and the last frame
        /// sent, this is a seek.
        position_ms: u32,
    },
    /// Continue from the key frame at or before a position.
    Seek {
        /// The position.
        position_ms: u32,
    },
    /// The client's buffer length changed.
    BufferLength {
        /// The new length.
        ms: u32,
    },
    /// Turns audio on or off.
    ReceiveAudio(bool),
    /// Turns video on or off. Video resumes with the next key frame.
    ReceiveVideo(bool),
    /// Stop playback.
    Stop,
}

/// A playback event for the viewer, in order with the packets. Times are milliseconds since the start of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum PlaybackEvent {
    /// Playback starts; metadata, sequence headers and frames follow.
    Started,
    /// Playback is paused; nothing follows until the next control request.
    Paused,
    /// Playback is resumed; frames follow.
    Resumed,
    /// A seek is complete; sequence headers and frames from a key frame follow.
    SeekCompleted {
        /// The time of the key frame.
        position_ms: u32,
    },
    /// A seek failed; playback continues as before.
    SeekFailed {
        /// The requested position.
        position_ms: u32,
        /// The reason.
        reason: String,
    },
    /// Everything requested was sent. A seek restarts playback.
    Ended {
        /// Duration played: from the requested start to here.
        duration_ms: u32,
        /// Bytes of payload sent since [`Started`](Self::Started).
        bytes: u64,
    },
}

/// The output of a file player.
pub(crate) trait Output {
    /// Sends the packets, and returns once they, or enough of those queued before, are sent: this throttles the player
    /// to the viewer's connection. Keeping a payload makes the player allocate other memory. An error means that the
    /// viewer has disconnected.
    ///
    /// With `more`, another call follows immediately, and these packets may be sent together with its packets; that
    /// call may have none.
    fn send(&mut self, batch: &[Packet], more: bool) -> Result<()>;

    /// Sends an event to the viewer, after all packets sent so far. An error means that the viewer has disconnected.
    fn notify(&mut self, event: PlaybackEvent) -> Result<()>;
}

/// The totals of a finished playback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlaybackSummary {
    /// Packets sent.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}
