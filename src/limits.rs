//! Every cap on what a peer, a file or an audience may make the server hold or wait for: one place,
//! with its unit and its reason. Sizes from outside meet one of these before memory is reserved.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Longest message taken from a peer, in bytes. The wire allows 16 MiB − 1 (a 24-bit length); a key
/// frame of an 8K camera stays well below this.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// Longest command, data or control message, in bytes. Real ones have a few hundred; metadata with a
/// keyframe index of many hours reaches some hundred thousand.
pub const COMMAND_BYTES: usize = 1024 * 1024;

/// Bytes of all unfinished messages of one connection together.
pub const PARTIAL_BYTES: usize = 16 * 1024 * 1024;

/// The same before it publishes, when all it has to say are commands of some hundred bytes.
pub const PARTIAL_BYTES_BEFORE_PUBLISH: usize = 64 * 1024;

/// Bytes of unfinished messages that each connection may hold without counting towards those of all: a large key
/// frame, so that no crowd keeps a camera from sending.
pub const PARTIAL_FREE_BYTES: usize = 512 * 1024;

/// Bytes of unfinished messages of all connections together, beyond the above.
pub const PARTIAL_BYTES_OF_ALL: usize = 1024 * 1024 * 1024;

/// Commands and requests in one go that a client may send; a player that is dragged about seeks ten times a second.
pub const COMMANDS: u32 = 200;

/// The same in each second after that.
pub const COMMANDS_PER_SECOND: u32 = 50;

/// Bytes that a peer may send before it waits for an acknowledgement. Others announce the same number,
/// and every client is at ease with it.
pub const ACKNOWLEDGEMENT_WINDOW: u32 = 2_500_000;

/// Chunk streams that one connection may use. Real encoders use five.
pub const CHUNK_STREAMS: usize = 64;

/// Message streams that one connection may hold open (`createStream`). Real clients open one or two.
pub const MESSAGE_STREAMS: usize = 16;

/// Sub-messages in one aggregate message.
pub const AGGREGATE_MESSAGES: usize = 4096;

/// How deep AMF values may nest; the decoders recurse, so this bounds the stack.
pub const AMF_DEPTH: usize = 24;

/// AMF values in one message, nested ones counted. A keyframe index of 24 hours with a key frame every
/// second is 172,800 numbers.
pub const AMF_VALUES: usize = 200_000;

/// Bytes of text and values that AMF references may repeat in one message; each takes only a byte or two
/// there.
pub const AMF_REPEATED_BYTES: usize = 4 * 1024 * 1024;

/// Longest query of a stream's URL, in bytes. Keys and links have some hundred; each message stream that publishes
/// keeps its own.
pub const QUERY_BYTES: usize = 8 * 1024;

/// Characters of a command's name in logs and answers. No real command has more than 20.
pub const SHOWN_COMMAND_CHARS: usize = 100;

/// Characters of a client's own name for itself that are shown to others. Those of browsers have about 120.
pub const AGENT_CHARS: usize = 200;

/// Longest application, stream or file name, in bytes.
pub const NAME_BYTES: usize = 1024;

/// Bytes of the cached GOP of one stream: 16 s at 8 Mbit/s. Over it the cache starts
/// again at the next key frame.
pub const GOP_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Messages of the cached GOP of one stream.
pub const GOP_CACHE_MESSAGES: usize = 8192;

/// Bytes of all that is remembered of all streams for players to come: GOP, sequence headers and
/// metadata. A stream for which nothing is left does without until its next key frame.
pub const CACHE_BYTES_OF_ALL: usize = 2 * 1024 * 1024 * 1024;

/// Audio messages without a video frame between them after which a stream counts as audio only and its
/// old video frames are forgotten: about 4 s of AAC.
pub const AUDIO_ONLY_AFTER: usize = 172;

/// Messages of one kind after which a stream has only that, whatever its metadata promises: about 4 s of AAC. Players wait
/// for what the header of an FLV stream promises.
pub const ANNOUNCED_TRACK_TIMEOUT: usize = 172;

/// Bytes of a sequence header that is kept for players to come; real ones have some hundred. Each new
/// player gets copies.
pub const SEQUENCE_HEADER_BYTES: usize = 64 * 1024;

/// Sequence headers kept for one stream: one for each kind and track.
pub const SEQUENCE_HEADERS: usize = 32;

/// Bytes of all of them.
pub const SEQUENCE_HEADERS_BYTES: usize = 128 * 1024;

/// How long audio may wait for a video frame that it goes out with. Players need both anyway, and each send to
/// each of them costs far more than the few bytes in it.
pub const AUDIO_COALESCING_WINDOW: Duration = Duration::from_millis(40);

/// Publishers from which on each is woken up for whole video frames only. What lies unread that long is acknowledged late,
/// for which few would gain nothing.
pub const LOW_WATER_FROM_PUBLISHERS: usize = 16;

/// Players of one lane to which every video frame goes out at once, unless `--merge-window` says otherwise.
pub const MERGE_WINDOW_FROM_PLAYERS: usize = 600;

/// By how much each further player makes the window longer in which messages gather.
pub const MERGE_WINDOW_PER_PLAYER: Duration = Duration::from_micros(100);

/// The longest such window that a lane chooses by itself.
pub const MERGE_WINDOW_AUTO_MAX: Duration = Duration::from_millis(350);

/// The longest window that may be asked for with `--merge-window`.
pub const MERGE_WINDOW_MAX: Duration = Duration::from_secs(5);

/// Bytes that may wait for a player that reads too slowly, beyond the GOP it started
/// with. Messages are shared between players, so this is not memory for each of them.
pub const PLAYER_QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// The least that may be set for it: a key frame and some must fit.
pub const PLAYER_QUEUE_MIN_BYTES: usize = 64 * 1024;

/// Lanes at most: more than any machine has cores to run.
pub const LANES: usize = 256;

/// Bytes in the system's own queue for a client. By itself it grows to 4 MiB, which for a slow player is many
/// seconds that no skip can shorten; this still lets 20 Mbit/s reach a player 100 ms away.
pub const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Bytes that TLS holds encrypted for one client, and so has taken from what waits for it; [`LIVE_UNSENT_BYTES`] of a live
/// stream.
pub const TLS_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes that wait for a player at the very most. Sequence headers and metadata are never skipped, so a
/// publisher that sends nothing else fills the queues of players that don't read: those are closed.
pub const PLAYER_QUEUE_CAP_BYTES: usize = 64 * 1024 * 1024;

/// How long a message may wait for a slow player before the player skips to the next key frame.
pub const PLAYER_QUEUE_AGE: Duration = Duration::from_secs(8);

/// How far a player may be behind when a key frame comes, unless `--max-lag` says otherwise: if more, it goes on from there.
pub const MAX_LAG: Duration = Duration::from_millis(600);

/// The same, as `--max-lag` may set it.
pub const MAX_LAG_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=PLAYER_QUEUE_AGE;

/// How long a player goes without video until a key frame comes. Without one by then, it gets what comes.
pub const KEY_FRAME_WAIT: Duration = Duration::from_secs(5);

/// Where key frames have come at such intervals, or shorter ones, players wait for the next one all the same.
pub const KEY_FRAME_FORESEEN: Duration = Duration::from_secs(15);

/// By how much more than a quarter of the interval a key frame may be late that is still waited for.
pub const KEY_FRAME_LATE: Duration = Duration::from_millis(500);

/// How long audio may wait for a player that goes without video already, before that is skipped as well.
pub const PLAYER_AUDIO_AGE: Duration = Duration::from_secs(12);

/// Bytes that the system's queue for a player of a live stream may hold besides what is on its way: nothing in there can be
/// skipped any more.
pub const LIVE_UNSENT_BYTES: usize = 16 * 1024;

/// Bytes of answers that may wait for a peer: one that goes on asking without reading is cut off here.
pub const REPLY_QUEUE_BYTES: usize = 256 * 1024;

/// Bytes that a publisher may have under way to the relay lanes before it waits for them.
pub const LANE_CREDIT_BYTES: usize = 8 * 1024 * 1024;

/// Connections at once, unless `--max-connections` says otherwise or the system's limit of open files is lower.
/// Further ones are closed right away.
pub const CONNECTIONS: usize = 8192;

/// Open files that are not connections: listeners, played files, the log.
pub const RESERVED_DESCRIPTORS: u64 = 24;

/// Connections from one address, or one IPv6 network of 64 bits. This machine's own are not counted.
pub const CONNECTIONS_PER_IP: usize = 1024;

/// Streams that are published at once.
pub const PUBLISHERS: usize = 1024;

/// Plays and publications of one connection that are logged as news. What it begins after that is for the debug log.
pub const INFO_EVENTS_PER_CONNECTION: u32 = 20;

/// Warnings about clients in one go.
pub const WARNINGS: u32 = 8;

/// The same in each second after that.
pub const WARNINGS_PER_SECOND: u32 = 1;

/// From the connection to the end of the handshake, in total, however the bytes drip in.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// A player that has paused may be silent, and leave unread what it was sent, for this long. Players that
/// have paused often read nothing at all, pings included.
pub const PAUSE_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

/// How long a client's wish may wait for a file's thread that can't get rid of what it sends.
pub const VOD_CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// Files that one connection may play at once, each with a thread.
pub const FILES_PER_CONNECTION: usize = 4;

/// From the handshake to the first `publish` or `play`.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(15);

/// How long a client may take to answer when it is asked for its password.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(60);

/// Bytes of a key file: some thousand keys, each of which is tried when a password is given.
pub const KEY_FILE_BYTES: u64 = 256 * 1024;

/// A publisher that sends nothing for this long is taken for dead and its name is freed, unless `--publish-timeout` says
/// otherwise.
pub const PUBLISHER_SILENCE: Duration = Duration::from_secs(30);

/// So many times that, and one whose bytes do come but make up no message is taken for dead as well.
pub const PUBLISHER_MESSAGE_FACTOR: u32 = 4;

/// With `--replace-publisher idle`, a second publisher takes over a name whose first was silent this long.
pub const PUBLISHER_IDLE: Duration = Duration::from_secs(5);

/// A player that has said nothing for this long gets a ping.
pub const PING_AFTER: Duration = Duration::from_secs(30);

/// A player that sends nothing for this long, no answer to two pings either, is closed. So is a connection
/// that was ended after its last bytes, if the client has not read them by then.
pub const PING_TIMEOUT: Duration = Duration::from_secs(90);

/// A peer whose socket takes no byte for this long is closed.
pub const WRITE_STALL: Duration = Duration::from_secs(20);

/// How long a connection stays open after its player was told the end, so that it can hang up first.
/// A file's player gets the length of its buffer on top, in which it may still seek back.
pub const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Lines of the log that wait for somebody to take them; those over it are lost.
pub const LOG_LINES: usize = 1024;

/// How long the end of the program waits for the last lines of the log to be taken.
pub const LOG_WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest tag data in an FLV file that is played, in bytes: the tag's 24-bit size allows no more.
pub const FLV_TAG_BYTES: usize = 16 * 1024 * 1024 - 1;

/// Key frames remembered for one FLV file: 48 hours with one every second.
pub const KEYFRAME_INDEX_ENTRIES: usize = 172_800;

/// FLV files whose key frames are remembered at once.
pub const KEYFRAME_INDEXES: usize = 64;

/// Damaged FLV files that are remembered, so that the log is told of each only once.
pub const DAMAGED_FILES: usize = 1024;

/// Longest header of an FLV file, in bytes; all known ones have 9.
pub const FLV_HEADER_BYTES: u32 = 64 * 1024;

/// Tags looked at for the metadata and the first frame of an FLV file. Real files have about four.
pub const FLV_PREAMBLE_TAGS: usize = 256;

/// Bytes of all sequence headers remembered for one FLV file. A file with one configuration of audio and
/// video frame needs below 200; changes over this are forgotten.
pub const FLV_SEQUENCE_HEADER_BYTES: usize = 64 * 1024;

/// Tags read from a file in one go before its player listens to its client again.
pub const FLV_TAGS_AT_ONCE: usize = 4096;

/// A step in an FLV file's timestamps, in milliseconds and either way, over which it is taken for a new
/// start of the clock instead of a silence to wait for.
pub const FLV_TIME_JUMP_MS: u32 = 60_000;

/// Bytes that a file player reads and hands over at once, and keeps memory for: a tenth of a second at 1 Mbit/s. Larger
/// frames go out alone.
pub const VOD_BATCH_BYTES: usize = 12 * 1024;

/// Bytes that a file player sends before it listens to its client again.
pub const VOD_BYTES_AT_ONCE: usize = 256 * 1024;

/// How long due tags gather before a file player wakes up for them. Players get a second more than they buffer,
/// so none of them is the poorer for it.
pub const VOD_MERGE_WINDOW: Duration = Duration::from_millis(700);

/// Shortest buffer, in milliseconds, that a file player fills, whatever the client asked for: less would
/// not start at once.
pub const VOD_BUFFER_MIN_MS: u32 = 1_000;

/// Longest buffer, in milliseconds, that a file player fills. Beyond it a client that leaves early has
/// cost too much.
pub const VOD_BUFFER_MAX_MS: u32 = 30_000;

/// A client that asks for a buffer of this many milliseconds or more wants the file, not to watch it, and
/// gets it as fast as it takes it. rtmpdump asks for 36,000,000.
pub const VOD_UNPACED_MS: u32 = 3_600_000;

/// Requests of one client that wait for its file player.
pub const VOD_CONTROLS: usize = 32;

/// How deep the folder of videos is listed.
pub const LIBRARY_DEPTH: usize = 16;

/// Entries of the folder of videos that are looked at for its list.
pub const LIBRARY_ENTRIES: usize = 10_000;

/// Stack of a connection's, lane's or file player's thread, in bytes. AMF is the deepest recursion.
pub const THREAD_STACK_BYTES: usize = 256 * 1024;

/// Bytes of the head of an HTTP request. Browsers send below 2,000, keys and cookies included.
pub const HTTP_HEAD_BYTES: usize = 16 * 1024;

/// Header fields of an HTTP request.
pub const HTTP_HEADERS: usize = 64;

/// How long an HTTP client has for its request, or its next one. Browsers keep connections for longer, and make new ones.
pub const HTTP_REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// Requests in one go on one HTTP connection; a page asks for some dozen things.
pub const HTTP_REQUESTS: u32 = 200;

/// The same in each second after that.
pub const HTTP_REQUESTS_PER_SECOND: u32 = 50;

/// How long an HTTP client may take nothing of a file: a browser reads on when what it has is played, or not before its
/// viewer presses the button.
pub const HTTP_FILE_STALL: Duration = Duration::from_secs(10 * 60);

/// Bytes of a message that an HTTP client may send over a WebSocket, where it has nothing to say but pings.
pub const WEB_SOCKET_MESSAGE_BYTES: usize = 4096;

/// How long a live stream is still made into fragments when nobody gets them any more: viewers come back.
pub const FRAGMENTS_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a viewer waits for a stream's first fragment before it is told to come again.
pub const FRAGMENTS_START_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of frames that wait until it is known which tracks a stream has.
pub const FRAGMENTS_HELD_BYTES: usize = 4 * 1024 * 1024;

/// Streams that are named in the figures for Prometheus, which keeps each for weeks.
pub const METRICS_STREAMS: usize = 1000;

/// Bytes of lists that one who hears of changes gets in a millisecond, when there are many changes.
pub const EVENT_BYTES_PER_MILLISECOND: u64 = 256;

/// Wrong admin keys in one go, of all clients together.
pub const WRONG_KEYS: u32 = 10;

/// The same in each second after that.
pub const WRONG_KEYS_PER_SECOND: u32 = 1;

/// Bytes of the last segments of one stream that are kept for HLS: 12 s at 20 Mbit/s.
pub const HLS_WINDOW_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of the last segments of all streams together. A window for which nothing is left has gaps.
pub const HLS_BYTES_OF_ALL: usize = 1024 * 1024 * 1024;

/// Target durations of segments that are kept of one stream: those a player may still be about to get among them.
pub const HLS_WINDOW_TARGETS: u64 = 8;

/// Segments that are kept of one stream: more than fit in that time, unless its codecs or its viewers change all the time.
pub const HLS_WINDOW_SEGMENTS: usize = 400;

/// How long a client of HLS waits for a playlist or part that is coming.
pub const HLS_BLOCKING_TIMEOUT: Duration = Duration::from_secs(6);

/// How long who watches over HLS counts as a viewer after having asked for something. Players ask anew within two
/// segments, also those that know no parts.
pub const HLS_VIEWER_TIMEOUT: Duration = Duration::from_secs(12);

/// Viewers of one stream over HLS that are counted.
pub const HLS_VIEWERS: usize = 4096;

/// How long segments are still made when nobody asks for them any more.
pub const HLS_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Segments of a recording in one playlist: 33 hours of 6 s each.
pub const HLS_SEGMENTS: usize = 20_000;

/// Plays refused in a row that end a connection: a player that looks for a name tries two or three.
pub const CONSECUTIVE_REFUSALS: u32 = 10;

/// The longest gap in a stream's audio that its fragments fill with silence; after a longer one there is another beginning.
pub const FMP4_SILENCE: Duration = Duration::from_secs(5);

/// Longest value that a client gives in answer to the question for its password, in bytes.
pub const CHALLENGE_BYTES: usize = 256;

/// Bytes of a certificate's file, those that it depends on included.
pub const PEM_FILE_BYTES: u64 = 1024 * 1024;

/// How long our own client waits for a connection, and for each answer until it is let in.
pub const CLIENT_CONNECT: Duration = Duration::from_secs(10);

/// How long our own client waits for a server that says nothing: twice the time after which this one sends a ping.
pub const CLIENT_READ: Duration = Duration::from_secs(60);

/// How long our own client waits for a server that takes nothing.
pub const CLIENT_WRITE: Duration = Duration::from_secs(20);

/// What a server may send our own client before it answers what it was asked, in bytes.
pub const CLIENT_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// What each event counts for in that beside its media: what a small one takes in memory.
pub const CLIENT_EVENT_BYTES: usize = 1024;
