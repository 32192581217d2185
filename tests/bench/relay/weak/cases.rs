//! The weak links, and what is wanted over them.

use super::link::Quality;
use super::stream::Shape;

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A player of RTMP, which nginx serves as well.
    Player,
    /// gortmp's page in a browser.
    Page,
}

/// What is wanted. Times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of 95 % of the video frames, and beside nginx's.
    pub lag: f64,
    pub beside_nginx: Option<f64>,
    pub gap: Option<f64>,
    /// Shares.
    pub video: Option<f64>,
    pub audio: Option<f64>,
    /// In all.
    pub still: Option<f64>,
    /// Only where the system offers BBR.
    pub needs_bbr: bool,
}

/// One link with one stream over it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub id: &'static str,
    pub title: &'static str,
    pub viewer: Viewer,
    pub stream: Shape,
    pub link: Quality,
    /// How long it is watched, unless said.
    pub seconds: u64,
    pub wanted: Wanted,
}

/// A home's Wi-Fi that carries enough and loses nothing.
const GOOD: Quality = Quality { delay: 15, jitter: 10, loss: 0, kbits: 20_000, gone: None };

const STREAM: Shape = Shape { kbits: 4000, gop: 2, has_disposable: false };

const NOTHING: Wanted =
    Wanted { lag: 0.0, beside_nginx: None, gap: None, video: None, audio: None, still: None, needs_bbr: false };

pub const CASES: &[Case] = &[
    Case {
        id: "W1",
        title: "2 Mbit/s; 1 % loss, 50 Mbit/s, RTT 40 ms",
        viewer: Viewer::Player,
        stream: Shape { kbits: 2000, ..STREAM },
        link: Quality { delay: 20, jitter: 0, loss: 1, kbits: 50_000, gone: None },
        seconds: 30,
        wanted: Wanted { lag: 0.1, needs_bbr: true, ..NOTHING },
    },
    Case {
        id: "W2",
        title: "4 Mbit/s over 3",
        viewer: Viewer::Player,
        stream: STREAM,
        link: Quality { kbits: 3000, ..GOOD },
        seconds: 30,
        wanted: Wanted {
            lag: 1.6,
            beside_nginx: Some(0.6),
            gap: Some(0.6),
            video: Some(0.65),
            audio: Some(0.99),
            ..NOTHING
        },
    },
    Case {
        id: "W3",
        title: "4 Mbit/s over 1.5",
        viewer: Viewer::Player,
        stream: STREAM,
        link: Quality { kbits: 1500, ..GOOD },
        seconds: 30,
        wanted: Wanted { lag: 2.2, beside_nginx: Some(0.45), video: Some(0.27), audio: Some(0.99), ..NOTHING },
    },
    Case {
        id: "W4",
        title: "4 Mbit/s, a key frame every 8 s, over 3",
        viewer: Viewer::Player,
        stream: Shape { gop: 8, ..STREAM },
        link: Quality { kbits: 3000, ..GOOD },
        seconds: 40,
        wanted: Wanted { lag: 3.0, gap: Some(0.8), ..NOTHING },
    },
    Case {
        id: "W5",
        title: "the page, 2 Mbit/s; 1 % loss, link gone for 3 s of each 12",
        viewer: Viewer::Page,
        stream: Shape { kbits: 2000, ..STREAM },
        link: Quality { gone: Some((3, 12)), loss: 1, ..GOOD },
        seconds: 30,
        wanted: Wanted { lag: 0.5, ..NOTHING },
    },
    Case {
        id: "W6",
        title: "the page, 2 Mbit/s over 1.4",
        viewer: Viewer::Page,
        stream: Shape { kbits: 2000, ..STREAM },
        link: Quality { kbits: 1400, ..GOOD },
        seconds: 30,
        wanted: Wanted { lag: 2.4, still: Some(10.5), ..NOTHING },
    },
];
