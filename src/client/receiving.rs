//! What a client receives: events of the server, and responses to commands.

use super::events::refused_error;
use super::{Client, ClientEvent};
use crate::amf::{Value, amf0};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::{Packet, PacketKind};
use crate::rtmp::command::Command;
use crate::rtmp::message::Message;
use crate::rtmp::user_control::UserControl;

impl Client {
    /// Waits for the next message from the server. Answers pings and sends acknowledgements on the way.
    ///
    /// # Errors
    /// Returns [`Error::Disconnected`] once the server has closed the connection, [`Error::Io`] if reading fails, and
    /// other errors if the server violates the protocol.
    pub fn next_event(&mut self) -> Result<ClientEvent> {
        match self.queued.pop_front() {
            Some(event) => {
                self.queued_bytes -= queued_size(&event);
                Ok(event)
            }
            None => self.read_event(),
        }
    }

    /// Waits for the next audio, video or data of the stream being played. Returns `None` at its end.
    ///
    /// # Errors
    /// The same as for [`next_event`](Self::next_event), and [`Error::Refused`] if the server reports that it can't
    /// continue.
    pub fn next_packet(&mut self) -> Result<Option<Packet>> {
        loop {
            match self.next_event() {
                Ok(ClientEvent::Media(packet)) if !is_playback_status(&packet) => return Ok(Some(packet)),
                Ok(ClientEvent::Status { level, code, description }) if level == "error" => {
                    return Err(Error::Refused { code: code.into(), description: description.into() });
                }
                Ok(ClientEvent::Status { code, .. })
                    if ["NetStream.Play.Stop", "NetStream.Play.UnpublishNotify"].contains(&&*code) =>
                {
                    return Ok(None);
                }
                Ok(_) => {}
                Err(Error::Disconnected) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a reply, ignoring a lost connection: data that the server sent before closing it is still to be read.
    fn reply(&mut self, message: &Message) -> Result<()> {
        self.send_message(0, message).or_else(|error| if error.is_disconnect() { Ok(()) } else { Err(error) })
    }

    pub(super) fn read_event(&mut self) -> Result<ClientEvent> {
        loop {
            let raw = self.chunks.read_message()?;
            if let Some(bytes) = self.chunks.acknowledgement_due() {
                self.reply(&Message::Acknowledgement(bytes))?;
            }
            match Message::decode(raw)? {
                Message::Media(packet) => return Ok(ClientEvent::Media(packet)),
                Message::UserControl(UserControl::PingRequest(time)) => {
                    self.reply(&Message::UserControl(UserControl::PingResponse(time)))?;
                }
                Message::UserControl(event) => return Ok(ClientEvent::UserControl(event)),
                Message::Command(command) => return Ok(ClientEvent::from_command(command)),
                _ => {}
            }
        }
    }

    /// Queues an event that arrived while waiting for a response.
    fn enqueue(&mut self, event: ClientEvent) -> Result<()> {
        self.queued_bytes += queued_size(&event);
        self.queued.push_back(event);
        let (value, limit) = (self.queued_bytes as u64, limits::CLIENT_WAITING_BYTES as u64);
        if value <= limit {
            return Ok(());
        }
        Err(Error::Limit { what: "the size in bytes of messages queued before a response", value, limit })
    }

    /// Sends a command on message stream 0 and waits for its response.
    pub(super) fn call(&mut self, name: &str, object: Value, arguments: Vec<Value>) -> Result<Command> {
        let transaction_id = self.next_transaction;
        self.next_transaction += 1.0;
        let command = Command { transaction_id, object, ..Command::new(name, arguments) };
        self.send_message(0, &Message::Command(command))?;
        loop {
            match self.read_event()? {
                ClientEvent::Command(response) if response.transaction_id == transaction_id => {
                    return if response.name == "_result" { Ok(response) } else { Err(refused_error(&response)) };
                }
                event => self.enqueue(event)?,
            }
        }
    }

    pub(super) fn wait_for_status(&mut self, expected: &str) -> Result<()> {
        loop {
            match self.read_event()? {
                ClientEvent::Status { code, .. } if code == expected => return Ok(()),
                ClientEvent::Status { level, code, description } if level == "error" => {
                    return Err(Error::Refused { code: code.into(), description: description.into() });
                }
                ClientEvent::Command(response) if response.name == "_error" => return Err(refused_error(&response)),
                event => self.enqueue(event)?,
            }
        }
    }
}

/// Returns whether a data message reports on playback rather than belonging to the stream.
fn is_playback_status(packet: &Packet) -> bool {
    let is_data = packet.kind == PacketKind::Data;
    let name = is_data.then(|| amf0::Decoder::new(&packet.payload).next()).flatten();
    let Some(Ok(Value::String(name))) = name else { return false };
    ["|RtmpSampleAccess", "onStatus", "onPlayStatus"].contains(&&*name)
}

/// Returns the bytes that a queued event counts for: its media and a fixed overhead.
fn queued_size(event: &ClientEvent) -> usize {
    let media = if let ClientEvent::Media(packet) = event { packet.payload.len() } else { 0 };
    media + limits::CLIENT_EVENT_BYTES
}
