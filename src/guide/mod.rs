//! The guide: how to run the server, publish, play, restrict access, measure and extend it.
//!
//! The same chapters are readable in the sources, in `src/guide/*.md`.
//!
//! | chapter | |
//! |---|---|
//! | [Getting started](getting_started) | start it, publish something, watch it |
//! | [Publishing](publishing) | by camera and by program; key frames, timestamps |
//! | [Playing](playing) | players, latency, weak links |
//! | [The page](page) | what browsers show, and how far behind |
//! | [Video on demand](on_demand) | files |
//! | [Access control and TLS](access_control) | keys, links, address rules, RTMPS, HTTPS |
//! | [Behind a proxy](proxy) | nginx, Caddy, Traefik |
//! | [Running as a service](service) | systemd, manual page, completions, signals, the log |
//! | [Options](options) | all of them |
//! | [HTTP API and metrics](http_api) | JSON, events, Prometheus |
//! | [Performance](performance) | the figures and how they are made |
//! | [Reliability and security](reliability) | what is promised, limits, what was tried |
//! | [Limits](limits) | every cap with its value and reason |
//! | [Troubleshooting](troubleshooting) | symptom, cause, what to do |
//! | [The library](library) | the server, publishers and players in a program of your own |
//! | [How it is built](development) | how to test and release |
//! | [Changes](changes) | what is new |

/// Where the chapters' links lead within this documentation. The files themselves end with definitions of the same labels, for
/// whoever reads them in the sources; the first definition of a label counts. A test holds both to each other.
macro_rules! links {
    () => {
        "[access-control.md]: self::access_control
[access-control.md#keys]: self::access_control#keys
[access-control.md#tls]: self::access_control#tls
[changes.md]: self::changes
[http-api.md]: self::http_api
[http-api.md#metrics]: self::http_api#metrics
[limits.md]: self::limits
[on-demand.md#from-mp4-to-flv]: self::on_demand#from-mp4-to-flv
[on-demand.md#over-http]: self::on_demand#over-http
[page.md#how-far-behind]: self::page#how-far-behind
[page.md#names-and-origins]: self::page#names-and-origins
[page.md#what-browsers-play]: self::page#what-browsers-play
[performance.md]: self::performance
[performance.md#weak-links]: self::performance#weak-links
[playing.md]: self::playing
[playing.md#weak-links]: self::playing#weak-links
[proxy.md]: self::proxy
[publishing.md]: self::publishing
[publishing.md#ip-cameras]: self::publishing#ip-cameras
[publishing.md#key-frames]: self::publishing#key-frames
[publishing.md#wi-fi-and-mobile-networks]: self::publishing#wi-fi-and-mobile-networks
[reliability.md#limits]: self::reliability#limits
[reliability.md#how-it-was-tested]: self::reliability#how-it-was-tested
[service.md]: self::service
[service.md#systemd]: self::service#systemd
[service.md#the-log]: self::service#the-log
[troubleshooting.md]: self::troubleshooting"
    };
}

macro_rules! chapters {
    ($($module:ident = $file:literal,)*) => {
        $(
            #[doc = links!()]
            #[doc = ""]
            #[doc = include_str!($file)]
            pub mod $module {}
        )*
    };
}

chapters! {
    getting_started = "getting-started.md",
    publishing = "publishing.md",
    playing = "playing.md",
    page = "page.md",
    on_demand = "on-demand.md",
    access_control = "access-control.md",
    proxy = "proxy.md",
    service = "service.md",
    options = "options.md",
    http_api = "http-api.md",
    performance = "performance.md",
    reliability = "reliability.md",
    limits = "limits.md",
    troubleshooting = "troubleshooting.md",
    library = "library.md",
    development = "development.md",
    changes = "changes.md",
}
