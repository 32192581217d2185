//! The numbers of RTMP by their names.

use crate::numbers::numbers;

numbers! {
    /// What a message is (RTMP 1.0 §5.4 and §7.1).
    pub enum MessageType: u8 {
        /// How many bytes of a message a chunk carries from now on.
        SetChunkSize = 1,
        /// Forget the unfinished message of a chunk stream.
        Abort = 2,
        /// So many bytes were received.
        Acknowledgement = 3,
        /// An event, see [`UserControl`](super::UserControl).
        UserControl = 4,
        /// How many bytes the peer may send before it waits for an acknowledgement.
        WindowAckSize = 5,
        /// How many unacknowledged bytes the peer shall send at most.
        SetPeerBandwidth = 6,
        /// Audio.
        Audio = 8,
        /// Video.
        Video = 9,
        /// Data in AMF3 form.
        DataAmf3 = 15,
        /// Shared object in AMF3 form.
        SharedObjectAmf3 = 16,
        /// Command in AMF3 form.
        CommandAmf3 = 17,
        /// Data in AMF0.
        DataAmf0 = 18,
        /// Shared object in AMF0.
        SharedObjectAmf0 = 19,
        /// Command in AMF0.
        CommandAmf0 = 20,
        /// Several messages in one.
        Aggregate = 22,
    }
}

numbers! {
    /// What a User Control message tells (RTMP 1.0 §7.1.7); [`UserControl`](super::UserControl) is the event with its data.
    pub enum EventType: u16 {
        /// The stream is ready for use.
        StreamBegin = 0,
        /// No more data will come for now.
        StreamEof = 1,
        /// Nothing has come for a while.
        StreamDry = 2,
        /// How much the player wants to have buffered.
        SetBufferLength = 3,
        /// The stream is a recording.
        StreamIsRecorded = 4,
        /// Asks whether the peer is there.
        PingRequest = 6,
        /// Answers a ping.
        PingResponse = 7,
        /// Asks a player to prove which one it is.
        VerifyRequest = 0x1a,
        /// The proof.
        VerifyResponse = 0x1b,
        /// The server's buffer for the stream ran empty.
        BufferEmpty = 0x1f,
        /// The server's buffer for the stream is filled.
        BufferReady = 0x20,
    }
}

numbers! {
    /// How a Set Peer Bandwidth message is meant (RTMP 1.0 §5.4.5).
    pub enum BandwidthLimit: u8 {
        /// Limit the output to the size.
        Hard = 0,
        /// The smaller of the size and the limit in force.
        Soft = 1,
        /// As hard if the last one was hard, else to be ignored.
        Dynamic = 2,
    }
}
