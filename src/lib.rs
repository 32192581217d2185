//! gortmp: an RTMP camera relay and video-on-demand server, and the library it is made of.
//!
//! The whole server is a line:
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
//! # The house
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
//! Before this, `connection` was the RTMP connection and what HTTP borrowed from it at once: the socket, TLS, the queue and
//! framing lay in it, the watch over a client was written once for RTMP (`Peer`) and once for HTTP (`Guest`), the table of
//! connections once for the server and once for the API, and the fragments and segments of live streams lay in `http`.
//!
//! # Where to add what
//!
//! | to add | write it in | and tell |
//! |---|---|---|
//! | a command of RTMP | `session/mod.rs` (`command`): what it means as an [`Action`](session::Action) in `session/action.rs` | `rtmp_connection/activity.rs` (`apply`) what to do |
//! | a codec | `media/codec.rs` and `media/tag_header.rs`: how FLV names it and where its configuration is | `fmp4/track.rs` and `fmp4/video_entries.rs` or `audio_entries.rs`: its sample entry; `http/page/format.js` its name |
//! | a route of HTTP | `http/target.rs`: the path as a `Target` | `http/connection.rs` (`answer`) who responds; for the API `http/api/mod.rs` and `openapi.json` |
//! | an option | [`Config`] and `Config::check` | `cli/options.rs`: its row in the option table, from which `--help`, the man page, completions and the guide come |
//! | a limit | `limits.rs`, with unit and reason | the test beside what it limits; the guide's table comes from there |
//! | a metric | a [`Counter`](stats::Counter) in `stats.rs` | `http/api/metrics.rs`: a row |
//! | a form of a live stream | a file in `forms/` with a [`Form`](forms::Form) that is a [`Sink`](live::Sink) | the tables in `forms/mod.rs` |
//! | a test with a real client | a file in `tests/clients/` | `scripts/install-test-tools.sh` if it needs a program |
//!
//! # The way of a live message
//!
//! ```text
//!  publisher's socket                                             player's socket
//!         │ blocking reads, BufReader                                    ▲ sends that never wait
//!         ▼                                                              │
//!  rtmp::chunk::ChunkReader     one unfinished message per        transport::Outgoing
//!         │                     chunk stream                      queue, bounded in bytes and time
//!         ▼                                                              ▲
//!  session::Session             is this client publishing?        transport::ManagedConnection
//!         │                                                              │ the stream's Sink
//!         ▼                                                              │
//!  live::Publication            timestamps, GOP cache, one Arc    live::Subscriber
//!         │                     with the headers of its chunks;   what it wants, what it is too slow for
//!         │                     audio is deferred until the              ▲
//!         │                     next video frame                         │
//!         └───────────── crossbeam channel of each lane ───────────▶ live::Lane
//!                                                                   a thread, or a publisher with few players
//! ```
//!
//! Nothing is copied on the way but once, from the read buffer into the message: the payload goes out as it came in,
//! between headers that are the same for all players. What each step costs alone is measured by
//! `scripts/bench.sh micro`, the whole way beside other servers by `scripts/bench.sh`; [`guide::performance`] has the figures.
//!
//! # The way of a seek
//!
//! ```text
//!  rtmp::chunk::ChunkReader ─▶ session (`seek` becomes Action::Seek) ─▶ rtmp_connection::playing (seek)
//!         on the connection's thread                                          │ Control::Seek, by channel
//!                                                                             ▼
//!  transport::Outgoing ◀─ rtmp_connection::file_play ◀─ Output ◀─ vod::player on the file's own thread
//!         packets and the answer, in order                        flv::KeyframeIndex finds the key frame,
//!                                                                 vod::Pacing says what of the file is due
//! ```
//!
//! # The way of an HTTP request
//!
//! ```text
//!  http::connection (serve)   reads a Request, checks the rate and the host's name
//!         │
//!         ▼
//!  http::target               what the path means ── page ─▶ http::page      the page's files
//!         │                                       ── API ──▶ http::api       JSON, events, metrics
//!         ▼ a stream or file and its representation
//!  access::Access             may it be played?
//!         │
//!         ├─ live: http::live, http::hls_files ──▶ forms::Forms ──▶ live::Stream::subscribe, as RTMP players do
//!         └─ file: http::files, http::hls_files ─▶ vod::Library ──▶ the file itself, or vod::Fragments of it
//! ```
//!
//! # Threads
//!
//! One accepts on each listener; one reads for each connection, of RTMP or HTTP (`conn ADDRESS`); one lane for each core
//! (`lane N`); one for each file that is being played over RTMP (`vod NAME`), while over HTTP the connection's own
//! does that; one writes the log; and the one in [`Server::run`] holds all deadlines against the clock twice a second,
//! so that no read has a timeout that could lose bytes.
//!
//! A *relay lane* is our own word: a thread that delivers the messages of all streams to the players that were assigned to
//! it, so that the threads that send are as many as the cores and not as many as the players.
//!
//! # Weak links
//!
//! What a socket doesn't take waits in the connection's send queue, and the stream's subscriber (`live::subscriber`) knows
//! how long the oldest of it has waited. Near [`limits::MAX_LAG`] it leaves out frames that no other refers to
//! ([`media::References`]); when a key frame comes and more than that has waited, it takes the video out of the queue and
//! goes on from there. Audio and what is essential stay. For that to be of use little may lie in the system's own queue
//! (`TCP_NOTSENT_LOWAT`), where nothing can be taken out any more. On the publisher's side of a stream, `live::clock_watch`
//! restamps by arrival where a publisher's timestamps tell no time, and `live::key_frames` knows whether a key frame is to
//! be expected, or players start without one.
//!
//! # What the log levels mean
//!
//! - `error`: the server can't go on, or can't read its keys and certificate again, or has a defect.
//! - `warn`: someone should look: a client was refused or broke the rules, a player is too slow, a file is damaged.
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

/// The program `gortmp`, which is no part of the library's public face.
#[doc(hidden)]
pub use cli::run as run_program;

/// What the benchmarks of single steps measure. It is no part of the library's public face, and may change at any time.
#[doc(hidden)]
pub mod internals {
    pub use crate::live::{
        Backlog, LanePool, LiveMessage, MergeWindow, Publication, Registry, Settings, Sink, Skip, StartAt,
        Subscription, SubscriptionFilter,
    };
}
