//! Live streams over HTTP: the relay lanes send them, while the connection's thread waits for the client to disconnect.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::Length;
use super::{Disposition, HttpConnection, Method, Reader, Request, not_found, response, web_socket};

use crate::error::{Error, Result};
use crate::flv;
use crate::forms::{Form, FragmentStream};
use crate::limits;
use crate::live::{HTTP_STREAM_ID, Stream, Subscription, SubscriptionFilter};
use crate::session::StreamPath;
use crate::transport::{Framing, Wrapping};

/// How often a waiting thread checks whether to stop.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl HttpConnection {
    /// Sends a live stream as unbounded FLV, or each tag as a WebSocket message.
    pub(super) fn live_flv(
        &mut self,
        request: &Request,
        path: &StreamPath,
        reader: &mut Reader<'_>,
    ) -> Result<Disposition> {
        let name = path.stream_key();
        let tracks = self.http.service.registry.with_published(&name, |stream| stream.tracks());
        let (has_audio, has_video) = tracks.ok_or_else(|| not_published(&name))?;
        let start = flv::tag::encode_file_header(has_audio, has_video);
        let http = self.http.clone();
        let subscribe = |connection: &Self| {
            http.service.registry.with_published(&name, |stream| connection.subscribe(stream, path))
        };
        self.stream_live(request, path, reader, "video/x-flv".into(), &start, true, subscribe)
    }

    /// Sends a live stream as unbounded fragmented MP4, or each fragment as a WebSocket message.
    pub(super) fn live_mp4(
        &mut self,
        request: &Request,
        path: &StreamPath,
        reader: &mut Reader<'_>,
    ) -> Result<Disposition> {
        let fragments = self.fragments(path)?;
        let until = Instant::now() + limits::FRAGMENTS_START_TIMEOUT;
        let codecs = loop {
            let found = fragments.codecs(until.min(Instant::now() + POLL_INTERVAL));
            let should_continue = Instant::now() < until && !fragments.has_ended() && !self.client.should_stop();
            if found.is_some() || !should_continue {
                break found;
            }
        };
        let Some(codecs) = codecs else {
            let reason = format!("{} has no audio or video yet that MP4 could carry", path.stream_key().escape_debug());
            return Err(Error::Http { status: 503, reason: reason.into() });
        };
        let media_type = format!("video/mp4; codecs=\"{codecs}\"").into();
        let subscribe = |connection: &Self| {
            let subscription = connection.subscribe(fragments.output(), path);
            (!fragments.has_ended()).then_some(subscription)
        };
        self.stream_live(request, path, reader, media_type, &[], false, subscribe)
    }

    /// Returns a live stream as fragments.
    pub(super) fn fragments(&self, path: &StreamPath) -> Result<Arc<FragmentStream>> {
        let name = path.stream_key();
        self.http.forms.fragments(&self.http.service, &name).ok_or_else(|| not_published(&name))
    }

    fn subscribe(&self, stream: &Arc<Stream>, path: &StreamPath) -> Subscription {
        let start_at = self.http.service.start_at(path);
        stream.subscribe(
            self.client.clone(),
            HTTP_STREAM_ID,
            self.client.lane(),
            start_at,
            SubscriptionFilter::default(),
        )
    }

    /// Has the lanes send a stream, after `start`, until it ends or the client disconnects.
    #[allow(clippy::too_many_arguments, reason = "a stream's ways differ in all of them")]
    fn stream_live(
        &mut self,
        request: &Request,
        path: &StreamPath,
        reader: &mut Reader<'_>,
        media_type: Cow<'static, str>,
        start: &[u8],
        as_tags: bool,
        subscribe: impl FnOnce(&Self) -> Option<Subscription>,
    ) -> Result<Disposition> {
        let accepted = web_socket::accept(request, self.http.settings.cors.as_deref())?;
        let wrapping = match &accepted {
            Some(_) => Wrapping::WebSocket,
            None if request.supports_chunked => Wrapping::HttpChunk,
            None => Wrapping::None,
        };
        let mut head = match accepted {
            Some(headers) => self.head(Some(request), 101, headers, Length::Unknown),
            None => {
                let mut headers = response::unbounded(vec![("content-type", media_type.clone())]);
                if wrapping == Wrapping::HttpChunk {
                    headers.push(("transfer-encoding", "chunked".into()));
                }
                // No request can follow.
                self.head(Some(request), 200, headers, Length::Unknown)
            }
        };
        if request.method == Method::Head {
            self.client.send(&mut [std::io::IoSlice::new(&head)], limits::WRITE_STALL)?;
            return Ok(Disposition::Close);
        }
        head.extend(match wrapping {
            // A WebSocket has no header field for the media type.
            Wrapping::WebSocket if start.is_empty() => web_socket::text(&media_type),
            _ => wrapping.wrap(start),
        });
        let is_web_socket = wrapping == Wrapping::WebSocket;
        self.client.start_streaming(Framing::Http { as_tags, wrapping }, head);
        self.client.set_activities(Vec::new(), vec![path.stream_key()]);
        let started = Instant::now();
        let Some(subscription) = subscribe(self) else {
            self.client.end_streaming("the stream has ended");
            return Ok(Disposition::Close);
        };
        let transport = if is_web_socket { "WebSocket" } else { "HTTP" };
        log::info!("{} started playing {path} over {transport}", self.client);
        let result =
            if is_web_socket { web_socket::answer_pings(reader) } else { wait_for_disconnect(reader).map(|()| None) };
        let (seconds, kib, dropped) =
            (started.elapsed().as_secs_f32(), self.client.sent() / 1024, subscription.dropped());
        drop(subscription);
        let why = self.client.close_reason().unwrap_or_else(|| "the client disconnected".to_owned());
        log::info!(
            "{} stopped playing {path} over {transport}: {why}; {seconds:.1} s, {kib} KiB sent, {dropped} messages dropped",
            self.client
        );
        if let Some(close) = result? {
            self.client.enqueue(close);
        }
        Ok(Disposition::Close)
    }
}

/// Waits until the client disconnects. What it sends meanwhile is ignored, up to a limit.
fn wait_for_disconnect(reader: &mut Reader<'_>) -> Result<()> {
    let (mut buffer, mut received) = ([0; 512], 0);
    while received <= limits::HTTP_HEAD_BYTES {
        match reader.read(&mut buffer) {
            Ok(count) if count > 0 => received += count,
            // An error is an end as well.
            _ => return Ok(()),
        }
    }
    Ok(())
}

pub(super) fn not_published(name: &str) -> Error {
    not_found(format!("nobody publishes {} now", name.escape_debug()))
}
