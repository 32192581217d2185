//! What goes into a file player and what comes out of it.

use crate::Result;
use crate::media::Packet;

/// What a `play` asks for. Times are milliseconds since the start of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlayRequest {
    /// Where to start: at the key frame at or before it; `None` is the first frame of the file.
    pub start_ms: Option<u32>,
    /// How much from there, to the end of the file when `None`. With 0 it is one video frame, or a piece of
    /// audio when there are no video frames.
    pub duration_ms: Option<u32>,
    /// The client's buffer (`SetBufferLength`), see [`Pacing`](super::Pacing).
    pub buffer_ms: u32,
}

/// What a viewer wants while a file plays. Times are milliseconds since the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Stand still.
    Pause {
        /// Where the client is.
        position_ms: u32,
    },
    /// Go on.
    Resume {
        /// Where the client is. Somewhere else than where it paused or what it got last, by more than a
        /// second, is a seek.
        position_ms: u32,
    },
    /// Go on from the key frame at or before a time.
    Seek {
        /// That time.
        position_ms: u32,
    },
    /// The client has another buffer.
    BufferLength {
        /// Its length.
        ms: u32,
    },
    /// Whether the client wants audio.
    ReceiveAudio(bool),
    /// Whether the client wants video frames. They come back with the next key frame.
    ReceiveVideo(bool),
    /// Leave.
    Stop,
}

/// What the viewer is to be told, in order with the packets. Times are milliseconds since the start of
/// the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum PlaybackEvent {
    /// Playing starts; metadata, sequence headers and frames follow.
    Started,
    /// Nothing follows until something else is asked for.
    Paused,
    /// Frames follow again.
    Resumed,
    /// Sequence headers and frames from a key frame follow.
    Sought {
        /// The time of the key frame.
        position_ms: u32,
    },
    /// The seek could not be done; frames go on as before.
    SeekFailed {
        /// The time asked for.
        position_ms: u32,
        /// Why.
        reason: String,
    },
    /// Everything asked for was sent. A seek can still bring more.
    Ended {
        /// How much of the file was played: from the start that was asked for to here.
        duration_ms: u32,
        /// Bytes of payload sent since [`Started`](Self::Started).
        bytes: u64,
    },
}

/// Where a file player sends to.
pub(crate) trait Output {
    /// Sends the packets, and returns once they, or enough of what was waiting, are on their way: this is what slows the
    /// player down to the viewer's connection. Who keeps a payload for later makes the player use other memory. An error
    /// means that the viewer is gone.
    ///
    /// With `more`, the next call comes at once, and these may go out together with that; it may turn out to have no packets.
    fn send(&mut self, batch: &[Packet], more: bool) -> Result<()>;

    /// Tells the viewer something, behind all packets sent so far. An error means that the viewer is gone.
    fn notify(&mut self, notice: PlaybackEvent) -> Result<()>;
}

/// What a file player did in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlaybackSummary {
    /// Packets sent.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}
