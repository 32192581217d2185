//! gortmp: an RTMP camera relay and video-on-demand server, and the library it is made of.
//!
//! The whole server is one line:
//!
//! ```no_run
//! gortmp::serve()?;
//! # Ok::<(), gortmp::Error>(())
//! ```
//!
//! With settings, and a handle to stop it, it is a [`Server`] with a [`Config`]. A program that publishes
//! or plays is a [`Client`]:
//!
//! ```no_run
//! use gortmp::media::{Packet, PacketKind, Timestamp};
//!
//! let mut camera = gortmp::Client::publisher("rtmp://127.0.0.1/live/livestream")?;
//! camera.send(Packet { kind: PacketKind::Audio, timestamp: Timestamp::ZERO, payload: vec![0xaf, 1, 0x21].into() })?;
//! # Ok::<(), gortmp::Error>(())
//! ```
//!
//! # Architecture
//!
//! The layers stand alone, and each imports only from the levels above it in this table; a test holds the code to that.
//!
//! | level | module | job |
//! |---|---|---|
//! | 0 | [`error`], [`limits`], `numbers`, [`stats`], then [`guard`] | one error enum; every limit with its unit and reason; names of numbers on the wire; counters; budgets, rates, the rate-limited client log |
//! | 1 | [`amf`], [`media`], [`tls`] | values on the wire; one media message, its timestamp, what its first bytes say; the certificate |
//! | 2 | [`rtmp`], [`flv`], [`fmp4`] | the wire formats, over `Read` and `Write`; none knows the others |
//! | 3 | [`session`] | the state machine of RTMP: a message in, actions out; no socket, thread or clock |
//! | 3 | [`Client`] | the other end of a connection, with a socket of its own |
//! | 4 | [`access`], [`live`], [`vod`], then [`hls`] | access control; relaying live streams; playing files; playlists and segments |
//! | 5 | [`transport`], [`service`], then [`forms`] | sockets, send queues and deadlines; what connections share; the forms of a live stream |
//! | 6 | [`rtmp_connection`], then [`http`] | one RTMP client; one HTTP client, the page, the API |
//! | 7 | [`config`], then [`server`] | checked settings; listeners, the accept loops, shutdown |
//! | 8 | [`cli`] | options in, an exit code back |
//!
//! ```text
//!                 cli ── config
//!                  │
//!                server            accepts, starts a thread for each connection, checks all of them twice a second
//!            ┌─────┴──────┐
//!      rtmp_connection   http      one client each: what it asks for becomes calls of the modules below
//!            │    ┌───────┴────┐
//!            │    │          forms           fragments and segments of live streams, made while somebody wants them
//!            ├────┼────────────┤
//!        transport   service   hls           the socket and its queue │ what connections share │ playlists, segments
//!            │          │       │
//!          session    access  live  vod      protocol │ who may │ relaying │ files
//!            └──────────┴───────┴────┘
//!              rtmp    flv    fmp4           wire formats
//!              amf     media  tls
//!              guard   limits stats error
//! ```
//!
//! A *relay lane* is this crate's own term: a thread that delivers the messages of all streams to the players assigned to
//! it, so that the number of sending threads is that of the cores, not that of the players.
//!
//! # Where to add what
//!
//! | to add | write it in | and in |
//! |---|---|---|
//! | an RTMP command | `session/mod.rs` (`command`): what it means, as an `Action` in `session/action.rs`; its replies in `session/playing.rs` or `publishing.rs`, new status codes in `rtmp/status.rs` | `rtmp_connection/activity.rs` (`apply`): what to do |
//! | a codec | `media/codec.rs`, `media/tag_header.rs`: its name in FLV and where its configuration is; `media/nal_units.rs`, `media/references.rs` and `fmp4/access_unit.rs` if it has NAL units | `fmp4/track.rs` (`of_video`, `of_audio`) with `fmp4/video_entries.rs` or `audio_entries.rs`: its sample entry; `http/page/media.js` (`IN_MP4`) |
//! | an HTTP route | `http/target.rs`: the path as a `Target`; a file of the page in `http/page.rs` (`FILES`) | `http/connection.rs` (`handle`, `media`); for the API `http/api/mod.rs`, `openapi.json` and `guide/http-api.md` |
//! | an option | `cli/options.rs`: its row in the table, from which `--help`, the manual page, completions and the guide are made | `cli/settings.rs` (`config`), [`Config`] with `Config::check`, and `server/mod.rs` (`bind`), which passes the value on; `tests/public_api.txt` |
//! | a limit | `limits.rs`, with unit and reason | the test beside what it limits; `UPDATE=1 cargo test guide` renews the guide's table |
//! | a metric | a counter in `stats.rs` (`StreamCounters`, `Traffic`) | `http/api/metrics.rs`: a row; `api/streams.rs` and `openapi.json` if JSON has it; `scripts/grafana-dashboard.json` |
//! | a form of a live stream | a file in `forms/` that implements `Form`, and a `Sink` that subscribes to the stream it is made from (its own, as `FragmentStream`, or another's, as `hls::LiveWindow`) | the tables in `forms/mod.rs`; `http/target.rs` (`Representation`) and `http/connection.rs` (`media`) if it can be requested |
//! | a test with a real client | a file in `tests/clients/`, named in `tests/clients/main.rs` | `scripts/install-test-tools.sh` if it needs a program |
//!
//! # Path of a live message
//!
//! ```text
//!  publisher's socket                                             player's socket
//!         │ blocking reads, BufReader                                    ▲ sends that never block
//!         ▼                                                              │
//!  rtmp::chunk::ChunkReader     one unfinished message per        transport::Outgoing (send_live)
//!         │                     chunk stream                      send queue, bounded in bytes and time
//!         ▼                                                              ▲
//!  session::Session             is this client publishing?        transport::ManagedConnection
//!         │ Action::Media                                                │ as the subscriber's Sink
//!         ▼                                                              │
//!  rtmp_connection::activity    counts it (apply, relay)          live::Subscriber (deliver)
//!         │                                                       its filter, its queue limits
//!         ▼                                                              ▲
//!  live::Publication (send)     timestamps, GOP cache, one Arc           │
//!         │                     with its chunk headers; audio     live::LaneSubscribers
//!         ▼                     is deferred until the next        by stream
//!  live::Stream (flush)         video frame                              ▲
//!         └───────────── crossbeam channel of each lane ───────────▶ live::Lane
//!                                                                   its own thread, or the publisher's for few players
//! ```
//!
//! The only copy on the way is from the read buffer into the message: the payload is sent as it was received, between
//! headers that are the same for all players. `scripts/bench.sh micro` measures each step, `scripts/bench.sh` the whole path
//! compared with other servers; [`guide::performance`] has the figures.
//!
//! # How a seek is handled
//!
//! ```text
//!  rtmp::chunk::ChunkReader ─▶ session (`seek` becomes Action::Seek) ─▶ rtmp_connection::playing (seek)
//!         on the connection's thread                                          │ Control::Seek, by channel
//!                                                                             ▼
//!  transport::Outgoing ◀─ rtmp_connection::file_play ◀─ Output ◀─ vod::player (seek_to) on the file's own thread
//!         packets and the response, in order                      flv::KeyframeIndex finds the key frame,
//!                                                                 vod::Pacing says what of the file is due
//! ```
//!
//! # How an HTTP request is handled
//!
//! ```text
//!  http::connection (serve, handle)   reads a Request; checks the rate and the Host header
//!         │
//!         ▼
//!  http::target (parse)       what the path means ── page ─▶ http::page      the page's files
//!         │                                       ── API ──▶ http::api       JSON, events, metrics
//!         ▼ a stream or file and its representation (media)
//!  access::Access (check)     may it be played?
//!         │
//!         ├─ live FLV:  http::live ──────▶ live::Stream::subscribe, as RTMP players do
//!         ├─ live MP4:  http::live ──────▶ forms::FragmentStream ──▶ subscribe to the stream of its fragments
//!         ├─ live HLS:  http::hls_files ─▶ forms::HlsStream ──▶ hls::LiveWindow has the playlists and segments
//!         └─ file:      http::files, http::hls_files ─▶ vod::Library ──▶ the file itself, or vod::Fragments of it
//! ```
//!
//! # Threads
//!
//! One accepts on each listener (`accept ADDRESS`); one reads for each connection, of RTMP or HTTP (`conn ADDRESS`); one lane
//! for each core (`lane N`); one for each file that is being played over RTMP (`vod NAME`), while over HTTP the connection's
//! own does that; one writes the log (`log`); `signals` waits for signals in the program; and the one in [`Server::run`]
//! checks all deadlines twice a second, so that no deadline is a read timeout, which could lose bytes.
//!
//! # Slow and lossy links
//!
//! What a socket doesn't accept waits in the connection's send queue, and the stream's subscriber (`live::subscriber`) knows
//! how long the oldest of it has waited. Near [`limits::MAX_LAG`] it drops frames that no other refers to
//! ([`media::References`]); when a key frame comes and the queue is older than that, it removes queued video and resumes at
//! the key frame. Audio and essential messages are kept. For that to be of use, little may lie in the kernel's send queue
//! (`TCP_NOTSENT_LOWAT`), from which nothing can be removed any more. On the publisher's side of a stream,
//! `live::timestamp_source` restamps by arrival (`live::arrival_clock`) where a publisher's timestamps don't advance in real
//! time, and `live::key_frames` knows whether another key frame is expected, or players start without one.
//!
//! # Log levels
//!
//! - `error`: the server can't go on, or can't read its keys and certificate again, or has a bug.
//! - `warn`: someone should look: a client was denied or broke the rules, a player is too slow, a file is damaged.
//! - `info`: what the server serves, who publishes and who plays, from when to when.
//! - `debug`: every connection, and what was ignored.
#![deny(unsafe_code)]
// Here and not for all targets: what tests share is `pub` in each of them.
#![warn(unreachable_pub)]

mod access;
pub mod amf;
mod cli;
mod client;
mod config;
mod error;
pub mod flv;
pub mod fmp4;
mod forms;
mod guard;
pub mod guide;
mod hls;
mod http;
pub mod limits;
mod live;
pub mod media;
mod numbers;
pub mod rtmp;
mod rtmp_connection;
mod server;
mod service;
mod session;
mod stats;
mod tls;
mod transport;
mod vod;

// What fuzzers and the replay of their corpora do with input is done with the crate's inner parts, which they call by the
// crate's name.
#[cfg(any(test, fuzzing))]
extern crate self as gortmp;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[path = "../tests/fuzz/drivers/mod.rs"]
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub mod fuzz_drivers;
#[cfg(test)]
#[path = "../tests/fuzz/replay.rs"]
mod fuzz_replay;

pub use access::link::sign as sign_link;
pub use access::{AccessConfig, AccessRequest, Denied, Operation, Permission, Policy, Rule, RuleKind, Secret};
pub use client::{Client, ClientConfig, ClientEvent, StreamUrl, Trust};
pub use config::{Config, Congestion, HttpConfig, MergeWindow, ReplacePublisher, Times, TlsConfig};
pub use error::{Error, Result};
pub use live::{StreamStatus, Warning};
pub use server::{Handle, Server, serve};
pub use stats::Traffic;

/// The program `gortmp`, which is no part of the library's public API.
#[doc(hidden)]
pub use cli::run as run_program;

/// What the benchmarks of single steps measure. It is no part of the library's public API, and may change at any time.
#[doc(hidden)]
pub mod internals {
    pub use crate::live::{
        Backlog, LanePool, LiveMessage, MergeWindow, Publication, Registry, Settings, Sink, Skip, StartAt,
        Subscription, SubscriptionFilter,
    };
}
