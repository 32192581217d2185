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
//! The layers stand alone, and each imports only from lower levels; a test holds the code to that.
//!
//! | level | module | job |
//! |---|---|---|
//! | 0 | [`error`], [`limits`], `numbers`, [`stats`], then [`guard`] | one error enum; every cap with its unit and reason; names of numbers on the wire; counters; what many may take together |
//! | 1 | [`amf`], [`media`], [`tls`] | values on the wire; one media message, its time, what its first bytes say; the certificate |
//! | 2 | [`rtmp`], [`flv`], [`fmp4`] | the wire formats, over `Read` and `Write`; none knows the others |
//! | 3 | [`session`] | the protocol's state machine: a message in, actions out; no socket, thread or clock |
//! | 3 | [`Client`] | the other end of a connection, with a socket of its own |
//! | 4 | [`access`], [`live`], [`vod`], then [`hls`] | who may; who gets which message when; which file a name means, and what of it is due; playlists |
//! | 5 | [`connection`] | where a server's socket meets the layers below |
//! | 6 | [`http`] | the same for browsers: the page, streams and files over HTTP, the API |
//! | 7 | [`config`], then [`server`] | checked settings; accept loop, deadlines, shutdown |
//! | 8 | [`cli`] | options in, an exit code back |
//!
//! # The life of a live message
//!
//! ```text
//!  publisher's socket                                             player's socket
//!         │ blocking reads, BufReader                                    ▲ sends that never wait
//!         ▼                                                              │
//!  rtmp::chunk::ChunkReader     one unfinished message per        connection::Outgoing
//!         │                     chunk stream                      queue, bounded in bytes and time
//!         ▼                                                              ▲
//!  session::Session             is this peer publishing?                 │
//!         │                                                              │
//!         ▼                                                              │
//!  live::Publication            time, cache, one Arc with the    live::Audience
//!         │                     headers of its chunks; sound     batches by stream, counted
//!         │                     waits for the next picture               ▲
//!         │                                                              │
//!         └───────────── crossbeam channel of each lane ───────────▶ live::Lane
//!                                                                   a thread, or a publisher with few players
//! ```
//!
//! Nothing is copied on the way but once, from the read buffer into the message: the payload goes out as it came in,
//! between headers that are the same for all players. What each step costs alone is measured by
//! `scripts/bench.sh micro`, the whole way beside other servers by `scripts/bench.sh`; the README has the figures.
//!
//! # Threads
//!
//! One accepts on each listener; one reads for each connection, of RTMP or HTTP (`conn ADDRESS`); one lane for each core
//! (`lane N`); one for each file that is being played over RTMP (`vod NAME`), while over HTTP the connection's own
//! does that; one writes the log; and the one in [`Server::run`] holds all deadlines against the clock twice a second,
//! so that no read has a timeout that could lose bytes.
//!
//! # Browsers
//!
//! A live stream that somebody wants as fragmented MP4 gets a second stream made of it: one player of the first
//! ([`fmp4::Muxer`] in a lane) publishes the second, whose messages are the fragments. Its players are those who get
//! it over HTTP or WebSockets, and the [`hls::Window`] that keeps the last segments. So what is there for players
//! of RTMP, from the cached GOP to skipping for slow ones, is there for browsers as well.
//!
//! # Weak links
//!
//! What a socket doesn't take waits in the connection's queue, and the stream's subscriber (`live::subscriber`) knows how
//! long the oldest of it has waited. Near [`limits::MAX_LAG`] it leaves out frames that no other refers to
//! ([`media::References`]); when a key frame comes and more than that has waited, it takes the video out of the queue and
//! goes on from there. Audio and what is essential stay. For that to be of use little may lie in the system's own queue
//! (`TCP_NOTSENT_LOWAT`), where nothing can be taken out any more. On the publisher's side of a stream, `live::clock_watch`
//! gives times by arrival where a publisher's tell no time, and `live::key_frames` knows whether a key frame is to be
//! expected, or players start without one.
//!
//! # What the log levels mean
//!
//! - `error`: the server can't go on, or can't read its keys and certificate again, or has a defect.
//! - `warn`: someone should look: a client was refused or broke the rules, a player is too slow, a file is damaged.
//! - `info`: what the server serves, who publishes and who plays, from when to when.
//! - `debug`: every connection, and what was passed over.
#![deny(unsafe_code)]

pub mod access;
pub mod amf;
pub mod cli;
mod client;
pub mod config;
pub mod connection;
pub mod error;
pub mod flv;
pub mod fmp4;
pub mod guard;
pub mod hls;
pub mod http;
pub mod limits;
pub mod live;
pub mod media;
mod numbers;
pub mod rtmp;
pub mod server;
pub mod session;
pub mod stats;
pub mod tls;
pub mod vod;

pub use client::{Client, ClientConfig, ClientEvent, StreamUrl, Trust};
pub use config::Config;
pub use error::{Error, Result};
pub use server::{Handle, Server, serve};
