//! The message streams of a connection.

use std::collections::BTreeMap;

use super::StreamPath;
use crate::error::{Error, Result};
use crate::limits;

/// What a message stream is used for.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Role {
    #[default]
    Idle,
    Publishing(StreamPath),
    Playing,
}

#[derive(Debug, Default)]
struct MessageStream {
    role: Role,
    buffer_ms: Option<u32>,
}

/// The message streams by ID, at most [`limits::MESSAGE_STREAMS`].
#[derive(Debug, Default)]
pub(super) struct MessageStreams(BTreeMap<u32, MessageStream>);

impl MessageStreams {
    /// Creates a message stream and returns its ID; `None` at the limit.
    pub(super) fn create(&mut self) -> Option<u32> {
        // GStreamer looks for the end of the stream on message stream 1 only, so the first is 1.
        // Streams that were used without createStream count as well, whatever their IDs.
        let is_full = self.0.len() >= limits::MESSAGE_STREAMS;
        let id = (1..=limits::MESSAGE_STREAMS as u32).find(|id| !is_full && !self.0.contains_key(id))?;
        self.0.insert(id, MessageStream::default());
        Some(id)
    }

    /// Returns the message stream for a command, creating it if necessary: some devices use 1 without createStream.
    pub(super) fn open(&mut self, stream_id: u32, command: &str) -> Result<u32> {
        let stream_id = match (stream_id, self.0.len()) {
            (0, 1) => self.0.keys().next().copied().unwrap_or(1),
            (0, _) => return Err(Error::message(command.to_owned(), "received on message stream 0")),
            (id, _) => id,
        };
        if !self.0.contains_key(&stream_id) {
            if self.0.len() >= limits::MESSAGE_STREAMS {
                let limit = limits::MESSAGE_STREAMS as u64;
                return Err(Error::Limit { what: "the number of message streams", value: limit + 1, limit });
            }
            self.0.insert(stream_id, MessageStream::default());
        }
        Ok(stream_id)
    }

    /// Returns the message stream that a message refers to: librtmp and GStreamer send some on 0, which then refer to
    /// the only stream whose role matches.
    pub(super) fn resolve(&self, stream_id: u32, matches: impl Fn(&Role) -> bool) -> Option<u32> {
        let mut matching =
            self.0.iter().filter(|(id, stream)| (stream_id == 0 || **id == stream_id) && matches(&stream.role));
        match (matching.next(), matching.next()) {
            (Some((id, _)), None) => Some(*id),
            _ => None,
        }
    }

    /// Returns the message stream that publishes this path; if there is none, the only one that publishes.
    pub(super) fn publishing(&self, path: Option<&StreamPath>) -> Option<u32> {
        let by_name = self.0.iter().find(|(_, stream)| match &stream.role {
            Role::Publishing(published) => path.is_some_and(|path| path.name == published.name),
            _ => false,
        });
        by_name.map(|(id, _)| *id).or_else(|| self.resolve(0, |role| matches!(role, Role::Publishing(_))))
    }

    pub(super) fn set_role(&mut self, stream_id: u32, role: Role) {
        if let Some(stream) = self.0.get_mut(&stream_id) {
            stream.role = role;
        }
    }

    /// Makes a message stream idle and returns its previous role.
    pub(super) fn take_role(&mut self, stream_id: u32) -> Role {
        self.0.get_mut(&stream_id).map(|stream| std::mem::take(&mut stream.role)).unwrap_or_default()
    }

    pub(super) fn remove(&mut self, stream_id: u32) {
        self.0.remove(&stream_id);
    }

    pub(super) fn buffer_ms(&self, stream_id: u32) -> Option<u32> {
        self.0.get(&stream_id).and_then(|stream| stream.buffer_ms)
    }

    /// Sets the client's buffer length; returns whether there is such a message stream.
    pub(super) fn set_buffer(&mut self, stream_id: u32, buffer_ms: u32) -> bool {
        let stream = self.0.get_mut(&stream_id);
        stream.map(|stream| stream.buffer_ms = Some(buffer_ms)).is_some()
    }
}
