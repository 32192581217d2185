//! The option table. The parser, `--help`, the manual page, the completions and the guide's chapter are generated from it.

use super::spec::{
    Group, OptionSpec,
    Values::{File, Folder, OneOf, Suggested},
    option,
};

/// In the order of `--help`.
pub(super) const GROUPS: &[Group] = &[
    Group { title: "Streams and files", remark: "", options: STREAMS },
    Group { title: "Access control", remark: "everyone may publish and play without these", options: ACCESS },
    Group { title: "HTTP", remark: "", options: HTTP },
    Group { title: "Limits", remark: "", options: LIMITS },
    Group { title: "Other", remark: "RUST_LOG=gortmp=debug sets log levels as well", options: OTHER },
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static OptionSpec> {
    GROUPS.iter().flat_map(|group| group.options)
}

const STREAMS: &[OptionSpec] = &[
    option(
        "listen",
        "RTMP address [[::]:1935, IPv4 included]",
        "Where to accept RTMP: an address and a port. `[::]:1935` takes IPv4 as well; on a machine without IPv6 the \
         default is `0.0.0.0:1935`. Port 0 picks a free one.",
    )
    .short('l')
    .takes("ADDR")
    .repeats()
    .default("[::]:1935"),
    option("video-dir", "folder of FLV files [video]", "The folder of the FLV files that are played on demand.")
        .short('d')
        .takes_of("DIR", Folder)
        .default("video"),
    option(
        "live-app",
        "live application [live]; --vod-app: files [gortmp]",
        "The RTMP application for live streams: the first part of the path in `rtmp://HOST/live/NAME`.",
    )
    .takes("NAME")
    .repeats()
    .default("live"),
    option("vod-app", "application for files", "The RTMP application for files, as in `rtmp://HOST/gortmp/NAME`.")
        .takes("NAME")
        .default("gortmp")
        .named_above(),
    option(
        "gop-cache",
        "start players at the last key frame [on]",
        "Start new players with the last key frame and what followed it. They show video at once, up to one GOP behind \
         the newest frame. A player may choose for itself with `?gop=0` or `?gop=1` behind the stream's name.",
    )
    .takes_of("on|off", OneOf(&["on", "off"]))
    .default("on"),
    option(
        "replace-publisher",
        "second publisher: never, idle, always [idle]",
        "What happens when a second publisher asks for a name that is taken: it is refused (`never`), takes over if the \
         first has sent nothing for 5 s (`idle`), or takes over (`always`).",
    )
    .takes_of("WHEN", OneOf(&["never", "idle", "always"]))
    .default("idle"),
    option(
        "republish-grace",
        "keep players when their publisher goes [10]",
        "How many seconds players stay connected when their publisher goes, so that they continue when it returns.",
    )
    .takes("SECS")
    .default("10"),
    option(
        "merge-window",
        "how long messages wait to be sent together [auto]",
        "How many milliseconds messages may wait to reach players in one write, which takes less CPU. `0` sends \
         everything at once. With `auto`, only relay lanes with more than 600 players wait: 0.1 ms for each further \
         player, 350 ms at most. 5000 is the most that can be set.",
    )
    .takes_of("MS|auto", Suggested(&["auto", "0"]))
    .default("auto"),
    option(
        "player-queue",
        "what may wait for a slow player [4096]",
        "How many KiB may wait for a slow player while no key frame comes to which it could skip: 64 to 32768.",
    )
    .takes("KIB")
    .default("4096"),
    option(
        "max-lag",
        "lag at which players skip to a key frame [600]",
        "A player whose oldest waiting message is older than this many milliseconds when a key frame comes continues \
         from that key frame: 100 to 8000.",
    )
    .takes("MS")
    .default("600"),
    option(
        "congestion",
        "TCP congestion control [bbr if available]",
        "How TCP adapts to what a client's link carries: an algorithm that \
         `/proc/sys/net/ipv4/tcp_allowed_congestion_control` lists, `system` for the system's own choice, or `auto`: BBR \
         where the system offers it to this program, else the system's own.",
    )
    .takes_of("NAME|system", Suggested(&["auto", "system", "bbr", "cubic", "reno"]))
    .default("auto"),
    option(
        "times",
        "timestamps: publisher, arrival or auto [auto]",
        "Which timestamps live streams get: those of the `publisher`; those of their `arrival` at the server; or \
         (`auto`) the publisher's, unless they can't be times.",
    )
    .takes_of("WHOSE", OneOf(&["publisher", "arrival", "auto"]))
    .default("auto"),
    option(
        "lanes",
        "threads that send to players [one per core]",
        "How many threads, the relay lanes, send to players: one for each core unless set, 256 at most.",
    )
    .takes("N"),
];

const ACCESS: &[OptionSpec] = &[
    option(
        "publish-key",
        "publishing needs ?key=KEY behind the name",
        "The key that every publisher must give, as `?key=KEY` behind the stream's name. A key given as an option can be \
         seen in the list of processes; one in a file can't.",
    )
    .takes("KEY"),
    option(
        "publish-key-file",
        "publishing keys by stream: lines APP/NAME KEY",
        "A file with keys for publishing, one to a line: `live/cam1 KEY` for one stream, `live/* KEY` for an \
         application, `* KEY` for all. Comments begin with `#`. SIGHUP makes the server read it again.",
    )
    .takes_of("FILE", File),
    option(
        "play-key",
        "playing needs ?key=KEY; also --play-key-file FILE",
        "The key that every player must give, over RTMP and HTTP. It also signs links that expire.",
    )
    .takes("KEY"),
    option(
        "play-key-file",
        "playing keys by stream: lines APP/NAME KEY",
        "A file with keys for playing, in the format of `--publish-key-file`.",
    )
    .takes_of("FILE", File)
    .named_above(),
    option(
        "ask-password",
        "take the key as password: user:password@HOST",
        "Ask RTMP clients that connect without a key, where one is needed, for a user and password (`authmod=adobe`, as \
         OBS and ffmpeg know it). Any user name will do; the password is the key.",
    ),
    option(
        "allow-publish",
        "who may publish, by network; also --deny-publish",
        "Let publishers in this network (such as `192.168.1.0/24`) publish. The first rule that matches decides, in the \
         order of the command line. An address that no rule matches may publish unless there is an `--allow-publish`.",
    )
    .takes("CIDR")
    .repeats(),
    option("deny-publish", "no publishing from this network", "Refuse publishers in this network.")
        .takes("CIDR")
        .repeats()
        .named_above(),
    option(
        "allow-play",
        "who may play, by network; also --deny-play",
        "Let players in this network play, over RTMP and HTTP.",
    )
    .takes("CIDR")
    .repeats(),
    option("deny-play", "no playing from this network", "Refuse players in this network.")
        .takes("CIDR")
        .repeats()
        .named_above(),
    option(
        "tls-listen",
        "RTMPS; needs --tls-cert PEM and --tls-key PEM",
        "Where to accept RTMPS. Plain RTMP stays open beside it.",
    )
    .takes("ADDR")
    .repeats(),
    option(
        "tls-cert",
        "certificate for RTMPS and HTTPS",
        "The certificate for RTMPS and HTTPS and its chain, a PEM file. SIGHUP makes the server read it again.",
    )
    .takes_of("PEM", File)
    .named_above(),
    option("tls-key", "private key of the certificate", "The private key of the certificate, a PEM file.")
        .takes_of("PEM", File)
        .named_above(),
];

const HTTP: &[OptionSpec] = &[
    option(
        "http",
        "page, streams, API [[::]:8080]; --no-http: none",
        "Where to serve the page, streams, files and the API over HTTP. If the default port is taken, the server warns \
         and does without.",
    )
    .takes("ADDR")
    .repeats()
    .default("[::]:8080"),
    option("no-http", "no page and no HTTP", "Serve nothing over HTTP.").named_above(),
    option("https", "the same over TLS; needs --tls-cert and --tls-key", "Where to serve the same over HTTPS, with the certificate of `--tls-cert`.")
        .takes("ADDR")
        .repeats(),
    option(
        "host",
        "its public name, such as cams.example.org",
        "A name by which browsers of this network may address the server, besides addresses, names without dots and \
         local ones such as `NAME.local`; `*` for every name. Needed behind a proxy that passes the name on.",
    )
    .takes("NAME")
    .repeats(),
    option(
        "cors",
        "origin whose pages may use the streams, * for all",
        "The origin of pages elsewhere that may use streams and API, such as `https://example.org`; `*` for all.",
    )
    .takes("ORIGIN"),
    option(
        "admin-key",
        "key for ending connections through the API",
        "The key that lets an API client see addresses and end connections and streams. Without it, this machine may see \
         them and nobody may end any.",
    )
    .takes("KEY"),
];

const LIMITS: &[OptionSpec] = &[
    option(
        "max-connections",
        "clients [8192, or as many as open files allow]",
        "How many clients may be connected at once: 8192, or as many as the system's limit of open files allows, less \
         24.",
    )
    .takes("N")
    .default("8192"),
    option(
        "max-per-ip",
        "clients of one address [1024]",
        "How many clients of one IPv4 address or IPv6 network (/64) may be connected at once. Those of this machine are \
         not counted.",
    )
    .takes("N")
    .default("1024"),
    option("max-publishers", "live streams [1024]", "How many streams may be published at once.")
        .takes("N")
        .default("1024"),
    option(
        "publish-timeout",
        "end a publisher that is silent this long [30]",
        "After how many seconds a publisher that sends nothing is taken for dead and its name is free.",
    )
    .takes("SECS")
    .default("30"),
];

const OTHER: &[OptionSpec] = &[
    option(
        "verbose",
        "log more, -vv: still more; -q, --quiet: less",
        "Log every connection as well; twice (`-vv`): also what the libraries log of WebSockets.",
    )
    .short('v')
    .repeats(),
    option("quiet", "log warnings and errors only", "Log warnings and errors only.").short('q').named_above(),
    option("help", "print this; -V, --version: the version", "Print a summary of the options.").short('h'),
    option("version", "print the version", "Print the version.").short('V').named_above(),
    option("man", "print the manual page", "Print the manual page, gortmp(1), in roff."),
    option(
        "completions",
        "print completions for bash, zsh or fish",
        "Print completions of the options for this shell.",
    )
    .takes_of("SHELL", OneOf(&["bash", "zsh", "fish"])),
];
