//! Named numbers of RTMP.

use crate::numbers::numbers;

numbers! {
    /// Message type id (RTMP 1.0 §5.4 and §7.1).
    pub enum MessageType: u8 {
        /// Sets the sender's chunk size.
        SetChunkSize = 1,
        /// Discards the partial message of a chunk stream.
        Abort = 2,
        /// Acknowledges the bytes received so far.
        Acknowledgement = 3,
        /// User control event, see [`UserControl`](super::UserControl).
        UserControl = 4,
        /// Sets the window after which the peer acknowledges.
        WindowAckSize = 5,
        /// Limits the peer's unacknowledged output.
        SetPeerBandwidth = 6,
        /// Audio.
        Audio = 8,
        /// Video.
        Video = 9,
        /// Data message, AMF3.
        DataAmf3 = 15,
        /// Shared object message, AMF3.
        SharedObjectAmf3 = 16,
        /// Command message, AMF3.
        CommandAmf3 = 17,
        /// Data message, AMF0.
        DataAmf0 = 18,
        /// Shared object message, AMF0.
        SharedObjectAmf0 = 19,
        /// Command message, AMF0.
        CommandAmf0 = 20,
        /// Several messages in one, see RTMP 1.0 §7.1.6.
        Aggregate = 22,
    }
}

numbers! {
    /// User control event type (RTMP 1.0 §7.1.7); [`UserControl`](super::UserControl) is the event with its data.
    pub enum EventType: u16 {
        /// The stream is ready for use.
        StreamBegin = 0,
        /// Playback of the stream is over.
        StreamEof = 1,
        /// No data has arrived for a while.
        StreamDry = 2,
        /// The player's buffer length.
        SetBufferLength = 3,
        /// The stream is a recording.
        StreamIsRecorded = 4,
        /// Asks for a ping response.
        PingRequest = 6,
        /// Answers a ping request.
        PingResponse = 7,
        /// Requests SWF verification.
        VerifyRequest = 0x1a,
        /// SWF verification response.
        VerifyResponse = 0x1b,
        /// The server's buffer for the stream is empty.
        BufferEmpty = 0x1f,
        /// The server's buffer for the stream is ready.
        BufferReady = 0x20,
    }
}

numbers! {
    /// Limit type of Set Peer Bandwidth (RTMP 1.0 §5.4.5).
    pub enum BandwidthLimit: u8 {
        /// The output is limited to the window.
        Hard = 0,
        /// The output is limited to the smaller of the window and the limit in effect.
        Soft = 1,
        /// Hard if the previous limit was hard, ignored otherwise.
        Dynamic = 2,
    }
}
