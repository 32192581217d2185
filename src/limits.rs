//! Every cap on what a peer, a file or an audience may make the server hold or wait for: one place,
//! with its unit and its reason. Sizes from outside meet one of these before memory is reserved. `BYTES` in a name means
//! that it counts bytes, `MS` milliseconds; the guide has them all as a table (`UPDATE=1 cargo test guide` renews it).

use std::ops::RangeInclusive;
use std::time::Duration;

/// Longest message accepted from a peer. The wire allows 16 MiB − 1 (a 24-bit length); a key frame of an 8K camera
/// stays well below this limit.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// Longest command, data or control message. Real ones have a few hundred bytes; metadata with a keyframe index of many
/// hours reaches some hundred thousand.
pub const COMMAND_BYTES: usize = 1024 * 1024;

/// Unfinished messages of one connection, in total.
pub const PARTIAL_BYTES: usize = 16 * 1024 * 1024;

/// Unfinished messages of a connection that does not publish yet: it has only commands of some hundred bytes to send.
pub const PARTIAL_BYTES_BEFORE_PUBLISH: usize = 64 * 1024;

/// Unfinished messages that each connection may hold without counting towards [`PARTIAL_BYTES_OF_ALL`]: a large key
/// frame, so that no crowd keeps a camera from sending.
pub const PARTIAL_FREE_BYTES: usize = 512 * 1024;

/// Unfinished messages of all connections together, beyond [`PARTIAL_FREE_BYTES`] of each.
pub const PARTIAL_BYTES_OF_ALL: usize = 1024 * 1024 * 1024;

/// Commands and requests that a client may send in a burst; dragging a seek bar sends ten seeks a second.
pub const COMMANDS: u32 = 200;

/// Commands and requests per second after a burst of [`COMMANDS`].
pub const COMMANDS_PER_SECOND: u32 = 50;

/// Bytes that a peer may send before it waits for an acknowledgement. Other servers announce the same number, and every
/// client copes with it.
pub const ACKNOWLEDGEMENT_WINDOW: u32 = 2_500_000;

/// Chunk streams that one connection may use. Real encoders use five.
pub const CHUNK_STREAMS: usize = 64;

/// Message streams that one connection may hold open (`createStream`). Real clients open one or two.
pub const MESSAGE_STREAMS: usize = 16;

/// Sub-messages of one aggregate message.
pub const AGGREGATE_MESSAGES: usize = 4096;

/// Nesting depth of AMF values; the decoders recurse, so this bounds the stack.
pub const AMF_DEPTH: usize = 24;

/// AMF values in one message, nested ones included. A keyframe index of 24 hours with a key frame every second has
/// 172,800 numbers.
pub const AMF_VALUES: usize = 200_000;

/// Text and values that AMF references may repeat in one message; each reference takes only a byte or two.
pub const AMF_REPEATED_BYTES: usize = 4 * 1024 * 1024;

/// Longest query of a stream's URL. Keys and links have some hundred bytes; each message stream that publishes keeps
/// its own.
pub const QUERY_BYTES: usize = 8 * 1024;

/// Characters of a command's name in logs and answers. No real command has more than 20.
pub const SHOWN_COMMAND_CHARS: usize = 100;

/// Characters of a client's program name that are shown to others. Those of browsers have about 120.
pub const AGENT_CHARS: usize = 200;

/// Longest application, stream or file name.
pub const NAME_BYTES: usize = 1024;

/// Cached GOP of one stream: 16 s at 8 Mbit/s. Beyond it the cache starts again at the next key frame.
pub const GOP_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Messages of the cached GOP of one stream.
pub const GOP_CACHE_MESSAGES: usize = 8192;

/// What is cached of all streams for new players: GOPs, codec configurations and metadata. A stream for which nothing
/// is left does without until its next key frame.
pub const CACHE_BYTES_OF_ALL: usize = 2 * 1024 * 1024 * 1024;

/// Audio messages in a row, without a video frame between them, after which a stream counts as audio only and its
/// cached video is dropped: about 4 s of AAC.
pub const AUDIO_ONLY_AFTER: usize = 172;

/// Messages of one kind after which a stream is taken to have only that, whatever its metadata announces: about 4 s of
/// AAC. Players wait for what the header of an FLV stream announces.
pub const ANNOUNCED_TRACK_TIMEOUT: usize = 172;

/// A codec configuration (sequence header) that is cached for new players; real ones have some hundred bytes. Each new
/// player gets copies.
pub const SEQUENCE_HEADER_BYTES: usize = 64 * 1024;

/// Codec configurations cached for one stream: one for each kind and track.
pub const SEQUENCE_HEADERS: usize = 32;

/// Codec configurations cached for one stream, in total.
pub const SEQUENCE_HEADERS_BYTES: usize = 128 * 1024;

/// How long audio may wait for a video frame to be sent with. Players need both anyway, and each send to each of them
/// costs far more than the few bytes in it.
pub const AUDIO_COALESCING_WINDOW: Duration = Duration::from_millis(40);

/// Number of publishers from which on each is woken up for whole video frames only. What stays unread until then is
/// acknowledged late, for which few publishers would gain nothing.
pub const LOW_WATER_FROM_PUBLISHERS: usize = 16;

/// Players of one lane up to which every video frame is sent at once, unless `--merge-window` sets something else.
pub const MERGE_WINDOW_FROM_PLAYERS: usize = 600;

/// By how much each further player lengthens the window in which messages are merged into one write.
pub const MERGE_WINDOW_PER_PLAYER: Duration = Duration::from_micros(100);

/// Longest merge window that a lane chooses by itself.
pub const MERGE_WINDOW_AUTO_MAX: Duration = Duration::from_millis(350);

/// Longest merge window that `--merge-window` may set.
pub const MERGE_WINDOW_MAX: Duration = Duration::from_secs(5);

/// What may wait for a player that reads too slowly, beyond the GOP it started with, unless `--player-queue` sets
/// something else. Messages are shared between players, so this is not memory for each of them.
pub const PLAYER_QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// Least that `--player-queue` may set: a key frame and some more must fit.
pub const PLAYER_QUEUE_MIN_BYTES: usize = 64 * 1024;

/// Most relay lanes: more than any machine has cores to run.
pub const LANES: usize = 256;

/// The system's send buffer for a client. By itself it would grow to 4 MiB, which for a slow player is many seconds
/// that no skip can shorten; this still lets 20 Mbit/s reach a player 100 ms away.
pub const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Encrypted bytes that TLS holds for one client; of a live stream, [`LIVE_UNSENT_BYTES`].
pub const TLS_BUFFER_BYTES: usize = 64 * 1024;

/// What may wait for a player in all. Codec configurations and metadata are never skipped, so a publisher that sends
/// nothing else fills the queues of players that don't read: those are closed.
pub const PLAYER_QUEUE_CAP_BYTES: usize = 64 * 1024 * 1024;

/// How long a message may wait for a slow player before the player skips to the next key frame.
pub const PLAYER_QUEUE_AGE: Duration = Duration::from_secs(8);

/// How far a player may be behind when a key frame comes, unless `--max-lag` sets something else: if it is further
/// behind, it continues from that key frame.
pub const MAX_LAG: Duration = Duration::from_millis(600);

/// What `--max-lag` may set.
pub const MAX_LAG_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=PLAYER_QUEUE_AGE;

/// How long a player waits for a key frame without video. Without one by then, it gets what comes.
pub const KEY_FRAME_WAIT: Duration = Duration::from_secs(5);

/// Where key frames have come at this interval or a shorter one, players wait for the next one all the same.
pub const KEY_FRAME_FORESEEN: Duration = Duration::from_secs(15);

/// How much later than a quarter of the interval a key frame may be that is still waited for.
pub const KEY_FRAME_LATE: Duration = Duration::from_millis(500);

/// How long audio may wait for a player that goes without video already, before audio is skipped as well.
pub const PLAYER_AUDIO_AGE: Duration = Duration::from_secs(12);

/// What the system's send buffer may hold of a live stream besides what is on its way: nothing in there can be skipped
/// any more.
pub const LIVE_UNSENT_BYTES: usize = 16 * 1024;

/// Answers that may wait for a peer: one that keeps asking without reading is closed.
pub const REPLY_QUEUE_BYTES: usize = 256 * 1024;

/// What a publisher may have on its way to the relay lanes before it waits for them.
pub const LANE_CREDIT_BYTES: usize = 8 * 1024 * 1024;

/// Connections at once, unless `--max-connections` sets something else or the system's limit of open files is lower.
/// Further ones are closed at once.
pub const CONNECTIONS: usize = 8192;

/// Open files that are not connections: listeners, played files, the log.
pub const RESERVED_DESCRIPTORS: u64 = 24;

/// Connections from one address, or one IPv6 network (/64), unless `--max-per-ip` sets something else. This machine's
/// own are not counted.
pub const CONNECTIONS_PER_IP: usize = 1024;

/// Streams that are published at once, unless `--max-publishers` sets something else.
pub const PUBLISHERS: usize = 1024;

/// Plays and publications of one connection that are logged at level `info`. Further ones are logged at `debug`.
pub const INFO_EVENTS_PER_CONNECTION: u32 = 20;

/// Warnings about clients in a burst.
pub const WARNINGS: u32 = 8;

/// Warnings about clients per second after a burst of [`WARNINGS`].
pub const WARNINGS_PER_SECOND: u32 = 1;

/// From the connection to the end of the handshakes, TLS included, in total, however the bytes drip in.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a paused player may be silent and leave unread what it was sent. Players that have paused often read
/// nothing at all, pings included.
pub const PAUSE_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

/// How long a client's request may wait for the thread of a file that can't send.
pub const VOD_CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// Files that one connection may play at once, each with a thread.
pub const FILES_PER_CONNECTION: usize = 4;

/// From the handshake to the first `publish` or `play`.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(15);

/// How long a client may take to answer when it is asked for its password.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(60);

/// Size of a key file: some thousand keys, each of which is tried when a password is given.
pub const KEY_FILE_BYTES: u64 = 256 * 1024;

/// How long a publisher may send nothing before it is taken for dead and its name is freed, unless `--publish-timeout`
/// sets something else.
pub const PUBLISHER_SILENCE: Duration = Duration::from_secs(30);

/// After this many times [`PUBLISHER_SILENCE`], a publisher whose bytes make up no message is taken for dead as well.
pub const PUBLISHER_MESSAGE_FACTOR: u32 = 4;

/// With `--replace-publisher idle`, how long the first publisher of a name must have been silent for a second one to
/// take over.
pub const PUBLISHER_IDLE: Duration = Duration::from_secs(5);

/// After how long a silence a player gets a ping.
pub const PING_AFTER: Duration = Duration::from_secs(30);

/// After how long a silence, two pings unanswered, a player is closed. Also how long a closing connection waits for the
/// client to read its last bytes.
pub const PING_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a peer's socket may take no byte before the connection is closed.
pub const WRITE_STALL: Duration = Duration::from_secs(20);

/// How long a connection stays open after its player was told the end, so that the player can close it first. A file's
/// player gets the length of its buffer on top, in which it may still seek back.
pub const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Log lines that wait to be written; further ones are lost and counted.
pub const LOG_LINES: usize = 1024;

/// How long the program waits at its end for the last log lines to be written.
pub const LOG_WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest tag data of an FLV file: the tag's 24-bit size allows no more.
pub const FLV_TAG_BYTES: usize = 16 * 1024 * 1024 - 1;

/// Key frames remembered for one FLV file: 48 hours with one every second.
pub const KEYFRAME_INDEX_ENTRIES: usize = 172_800;

/// FLV files whose key frames are remembered at once.
pub const KEYFRAME_INDEXES: usize = 64;

/// Damaged FLV files that are remembered, so that each is logged only once.
pub const DAMAGED_FILES: usize = 1024;

/// Longest header of an FLV file; all known ones have 9 bytes.
pub const FLV_HEADER_BYTES: u32 = 64 * 1024;

/// Tags that are read to find the metadata and the first frame of an FLV file. Real files have about four.
pub const FLV_PREAMBLE_TAGS: usize = 256;

/// Codec configurations remembered for one FLV file, in total. A file with one configuration of audio and video needs
/// less than 200 bytes; further changes are forgotten.
pub const FLV_SEQUENCE_HEADER_BYTES: usize = 64 * 1024;

/// Tags read from a file before its player listens to its client again.
pub const FLV_TAGS_AT_ONCE: usize = 4096;

/// A step in an FLV file's timestamps, either way, beyond which it is taken for a new start of the clock instead of a
/// silence to wait for.
pub const FLV_TIME_JUMP_MS: u32 = 60_000;

/// What a file player reads and sends at once, and keeps memory for: a tenth of a second at 1 Mbit/s. Larger frames are
/// sent alone.
pub const VOD_BATCH_BYTES: usize = 12 * 1024;

/// What a file player sends before it listens to its client again.
pub const VOD_BYTES_AT_ONCE: usize = 256 * 1024;

/// How long due tags wait before a file player wakes up for them. Players get a second more than they buffer, so they
/// don't notice.
pub const VOD_MERGE_WINDOW: Duration = Duration::from_millis(700);

/// Shortest buffer that a file player fills, whatever the client asked for: with less it would not start at once.
pub const VOD_BUFFER_MIN_MS: u32 = 1_000;

/// Longest buffer that a file player fills. More would be wasted on clients that leave early.
pub const VOD_BUFFER_MAX_MS: u32 = 30_000;

/// A client that asks for a buffer of this length or more wants the file rather than to watch it, and gets it as fast
/// as it takes it. rtmpdump asks for 36,000 s.
pub const VOD_UNPACED_MS: u32 = 3_600_000;

/// Requests of one client that wait for its file player.
pub const VOD_CONTROLS: usize = 32;

/// How deep the video folder is listed.
pub const LIBRARY_DEPTH: usize = 16;

/// Entries of the video folder that are read for its list.
pub const LIBRARY_ENTRIES: usize = 10_000;

/// Stack of the thread of a connection, lane or file player. AMF recurses deepest.
pub const THREAD_STACK_BYTES: usize = 256 * 1024;

/// Head of an HTTP request. Browsers send less than 2,000 bytes, keys and cookies included.
pub const HTTP_HEAD_BYTES: usize = 16 * 1024;

/// Header fields of an HTTP request.
pub const HTTP_HEADERS: usize = 64;

/// How long an HTTP client has for its request, or its next one. Browsers keep connections for longer, and open new
/// ones.
pub const HTTP_REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// Requests in a burst on one HTTP connection; a page asks for some dozen things.
pub const HTTP_REQUESTS: u32 = 200;

/// Requests per second on one HTTP connection after a burst of [`HTTP_REQUESTS`].
pub const HTTP_REQUESTS_PER_SECOND: u32 = 50;

/// How long an HTTP client may read nothing of a file: a browser reads on when it has played what it has, or when its
/// viewer presses the button.
pub const HTTP_FILE_STALL: Duration = Duration::from_secs(10 * 60);

/// A message that an HTTP client may send over a WebSocket, where it has nothing to say but pings.
pub const WEB_SOCKET_MESSAGE_BYTES: usize = 4096;

/// How long a live stream is still made into fragments after its last viewer has left: viewers come back.
pub const FRAGMENTS_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a viewer waits for a stream's first fragment before it is told to come again.
pub const FRAGMENTS_START_TIMEOUT: Duration = Duration::from_secs(5);

/// Frames that wait until it is known which tracks a stream has.
pub const FRAGMENTS_HELD_BYTES: usize = 4 * 1024 * 1024;

/// Streams that are named in the metrics for Prometheus, which keeps each name for weeks.
pub const METRICS_STREAMS: usize = 1000;

/// Bytes per millisecond of lists for a client of the event feed, when there are many changes.
pub const EVENT_BYTES_PER_MILLISECOND: u64 = 256;

/// Wrong admin keys in a burst, of all clients together.
pub const WRONG_KEYS: u32 = 10;

/// Wrong admin keys per second after a burst of [`WRONG_KEYS`].
pub const WRONG_KEYS_PER_SECOND: u32 = 1;

/// Last segments of one stream that are kept for HLS: 12 s at 20 Mbit/s.
pub const HLS_WINDOW_BYTES: usize = 32 * 1024 * 1024;

/// Last segments of all streams together. A playlist window for which nothing is left has gaps.
pub const HLS_BYTES_OF_ALL: usize = 1024 * 1024 * 1024;

/// Last segments of one stream that are kept, in target durations: among them those that a player may still be about to
/// get.
pub const HLS_WINDOW_TARGETS: u64 = 8;

/// Last segments of one stream that are kept: more than fit in that time, unless its codecs or its viewers change all
/// the time.
pub const HLS_WINDOW_SEGMENTS: usize = 400;

/// How long a request for a playlist or part that is about to come waits for it.
pub const HLS_BLOCKING_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a client counts as a viewer over HLS after its last request. Players ask again within two segments, also
/// those that know no parts.
pub const HLS_VIEWER_TIMEOUT: Duration = Duration::from_secs(12);

/// Viewers of one stream over HLS that are counted.
pub const HLS_VIEWERS: usize = 4096;

/// How long segments are still made after the last request for one.
pub const HLS_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Segments of a recording in one playlist: 33 hours of 6 s each.
pub const HLS_SEGMENTS: usize = 20_000;

/// Refused plays in a row that end a connection: a player that tries names tries two or three.
pub const CONSECUTIVE_REFUSALS: u32 = 10;

/// Longest gap in a stream's audio that its fragments fill with silence; after a longer one the tracks start anew.
pub const FMP4_SILENCE: Duration = Duration::from_secs(5);

/// Longest value of a client's answer when it is asked for its password.
pub const CHALLENGE_BYTES: usize = 256;

/// Size of a certificate file, its chain included.
pub const PEM_FILE_BYTES: u64 = 1024 * 1024;

/// How long the library's client waits for a connection, and for each answer until it is admitted.
pub const CLIENT_CONNECT: Duration = Duration::from_secs(10);

/// How long the library's client waits for a server that sends nothing: twice [`PING_AFTER`].
pub const CLIENT_READ: Duration = Duration::from_secs(60);

/// How long the library's client waits for a server that reads nothing.
pub const CLIENT_WRITE: Duration = Duration::from_secs(20);

/// What a server may send to the library's client before it answers a request.
pub const CLIENT_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// What each event counts in [`CLIENT_WAITING_BYTES`] besides its media: the memory of a small one.
pub const CLIENT_EVENT_BYTES: usize = 1024;
