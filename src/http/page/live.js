// Plays a live stream as close to its newest frame as what arrives allows, with those of its tracks that there are.

import { Aim } from "./aim.js";
import { Feed } from "./feed.js";
import { Media, canPlayCodec, rangeEnd } from "./tracks.js";

/** Farther behind its aim than this, in seconds, it jumps; below, it plays a little faster. */
const JUMP = 1;

/** Within this time of its beginning it jumps for less: nobody has got used to it yet. */
const SETTLING = 1.5;

/** What comes at the beginning is looked at for so long, in milliseconds, if all tracks have come, and if not. */
const ALL_CAME_MS = 50;
const NOT_ALL_CAME_MS = 400;

/** A track that is so many seconds behind the others, and of which nothing came for as long, has stopped. */
const STOPPED = 1;

/** In its first seconds a stream is no judge of the connection. */
const WEAK_AFTER = 3;

/** How many seconds have to go well before a connection that was weak is so no more. */
const WELL = 10;

const seconds = () => performance.now() / 1000;

export class LivePlayer {
  #video;
  #keep;
  #kinds;
  #onState;
  #onHint;
  #feed;
  #timer;
  #stopped = false;
  /** All tracks of the stream, and when of each something came last, up to what time. */
  #tracks = [];
  #heard = new Map();
  #aim = new Aim();
  #media;
  /** What came before there was something to take it. */
  #early = [];
  #opening;
  #recentAudio = [];
  #began = 0;
  #lateSince;
  #restarted = 0;
  #weakUntil = 0;
  #hint = "";
  #onWaiting = () => this.#waits();

  /**
   * `onState` is called with "connecting", "playing", "waiting" or "unsupported", and words for people; `onHint` with words
   * to be shown over the video, or none. Of the stream only tracks of these `kinds` are played.
   */
  constructor(video, url, { keep = 10, kinds = ["video", "audio"], onState = () => {}, onHint = () => {} } = {}) {
    this.#video = video;
    this.#keep = keep;
    this.#kinds = kinds;
    this.#onState = onState;
    this.#onHint = onHint;
    video.addEventListener("waiting", this.#onWaiting);
    this.#timer = setInterval(() => this.#tick(), 100);
    onState("connecting", "Connecting…");
    this.#feed = new Feed(url, {
      tracks: (tracks) => this.#begins(tracks),
      frame: (frame) => this.#take(frame),
      ended: () => this.#ended(),
    });
  }

  stop() {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#feed.stop();
    this.#forget();
    this.#video.removeEventListener("waiting", this.#onWaiting);
    this.#video.playbackRate = 1;
    this.#video.removeAttribute("poster");
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** Connects at once if it waits to do so: the camera has returned. */
  hurry() {
    this.#feed.hurry();
  }

  /** Seconds between what is shown and the newest that has come, or undefined. */
  get behind() {
    const end = rangeEnd(this.#video.buffered, this.#video.currentTime);
    return end === undefined ? undefined : end - this.#video.currentTime;
  }

  #forget() {
    clearTimeout(this.#opening);
    this.#opening = undefined;
    this.#media?.shut();
    this.#media = undefined;
    [this.#early, this.#recentAudio] = [[], []];
    this.#heard.clear();
    this.#aim = new Aim();
    this.#lateSince = undefined;
    this.#began = 0;
  }

  #ended() {
    this.#forget();
    this.#tell("");
    this.#onState("waiting", "Waiting for the camera…");
  }

  #begins(tracks) {
    const same = this.#media && tracks.every(({ id, codec }, i) => this.#tracks[i]?.id === id && this.#tracks[i]?.codec === codec);
    this.#tracks = tracks;
    if (same) {
      for (const track of tracks) this.#media.configure(track);
      return;
    }
    this.#forget();
    if (!tracks.some(({ kind, codec }) => canPlayCodec(kind, codec))) {
      this.#onState("unsupported", "This browser can play nothing of it");
    }
  }

  #isPlayed({ kind, codec }) {
    return this.#kinds.includes(kind) && canPlayCodec(kind, codec);
  }

  #take(frame) {
    const [{ track, start, end, complete, isKey }, now] = [frame, seconds()];
    this.#heard.set(track.id, { came: now, end, length: end - start });
    if (!this.#isPlayed(track)) return;
    if (track.kind === "audio") {
      this.#recentAudio = [...this.#recentAudio.filter((one) => one.end > end - STOPPED), frame];
    }
    if (!this.#media) {
      this.#aim.arrived(track.id, complete, end - start, now);
      this.#early.push(frame);
      this.#openSoon();
    } else if (this.#media.has(track)) {
      if (this.#aim.arrived(track.id, complete, end - start, now)) this.#isWeak();
      this.#media.put(frame);
    } else if (track.kind === "audio") {
      this.#restart();
    } else if (isKey) {
      // The video is back.
      this.#open([...this.#recentAudio, frame]);
    }
  }

  /** What the server keeps makes another beginning, but not all the time. */
  #restart() {
    if (seconds() - this.#restarted < 5) return;
    this.#restarted = seconds();
    this.#feed.restart();
  }

  #openSoon() {
    const all = this.#tracks.filter((track) => this.#isPlayed(track)).every(({ id }) => this.#heard.has(id));
    if (this.#opening && !all) return;
    const open = () => this.#open(this.#early);
    if (all && this.#opening) {
      if (this.#opening.all) return;
      clearTimeout(this.#opening.timer);
    }
    this.#opening = { all, timer: setTimeout(open, all ? ALL_CAME_MS : NOT_ALL_CAME_MS) };
  }

  /** Plays the tracks that are going on, from these frames on. */
  async #open(frames) {
    clearTimeout(this.#opening?.timer);
    const newest = Math.max(...frames.map(({ end }) => end));
    const goesOn = ({ id }) => frames.some((one) => one.track.id === id && one.end > newest - STOPPED - (one.end - one.start));
    const tracks = this.#tracks.filter((track) => this.#isPlayed(track) && goesOn(track));
    for (const { id } of this.#tracks) if (!tracks.some((track) => track.id === id)) this.#aim.stopped(id);
    this.#media?.shut();
    this.#media = undefined;
    this.#early = [...frames];
    this.#opening = { all: true };
    const opening = this.#opening;
    const media = await Media.open(this.#video, tracks, {
      keep: this.#keep,
      onAppended: () => this.#appended(),
      onHole: () => this.#isWeak(),
      onFailed: () => this.#feed.restart(),
    });
    if (this.#stopped || this.#opening !== opening) {
      media.shut();
      return;
    }
    this.#opening = undefined;
    this.#media = media;
    for (const frame of this.#early) media.put(frame);
    this.#early = [];
  }

  #appended() {
    if (this.#video.paused) this.#begin();
    else this.#stayClose();
  }

  /** Starts at the newest and not where the last key frame was. */
  #begin() {
    const video = this.#video;
    const { buffered } = video;
    if (!this.#media || !buffered.length || video.readyState < HTMLMediaElement.HAVE_METADATA || video.seeking) return;
    const [start, end] = [buffered.start(buffered.length - 1), buffered.end(buffered.length - 1)];
    const target = this.#aim.target(seconds());
    // Before the time has come the first frame is shown.
    const place = Math.min(Math.max(start, target), end - 0.01);
    if (video.currentTime < place) video.currentTime = place;
    if (target < start) return;
    this.#began = seconds();
    const plays = () => {
      video.removeAttribute("poster");
      this.#onState("playing", "");
    };
    video.play().then(plays, () => {
      // Sound needs a click before; video doesn't.
      if (this.#stopped || video.muted) return;
      video.muted = true;
      video.play().then(plays, () => {});
    });
  }

  #tick() {
    if (!this.#media) return;
    this.#lookForStops();
    this.#appended();
    this.#tell(this.#words());
  }

  /** The track that has stopped while others go on, or undefined. */
  #stoppedTrack() {
    const now = seconds();
    const newest = Math.max(...[...this.#heard.values()].filter(({ came }) => now - came < STOPPED / 2).map(({ end }) => end));
    return this.#tracks.find(({ id }) => {
      const heard = this.#heard.get(id);
      return heard && newest - heard.end > STOPPED && now - heard.came > Math.max(STOPPED, 2 * heard.length);
    });
  }

  #lookForStops() {
    const track = this.#stoppedTrack();
    if (!track || !this.#media.has(track) || this.#kinds.length === 1) return;
    if (track.kind === "audio") {
      this.#restart();
      return;
    }
    // A source without video shows what it is told to.
    this.#video.poster = this.#picture() ?? "";
    this.#open(this.#recentAudio);
  }

  #picture() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.#video.videoWidth, this.#video.videoHeight];
    if (!canvas.width) return undefined;
    canvas.getContext("2d").drawImage(this.#video, 0, 0);
    return canvas.toDataURL("image/jpeg");
  }

  #words() {
    const video = this.#tracks.find(({ kind }) => kind === "video");
    const lacksVideo = video && this.#isPlayed(video) && (!this.#heard.has(video.id) || this.#stoppedTrack() === video);
    if (lacksVideo) return "No video from the camera";
    return seconds() < this.#weakUntil ? "Weak connection" : "";
  }

  #tell(words) {
    if (words === this.#hint) return;
    this.#hint = words;
    this.#onHint(words);
  }

  /** What came late, or was left out by the server, for a while. */
  #isWeak() {
    if (this.#began && seconds() - this.#began > WEAK_AFTER) this.#weakUntil = seconds() + WELL;
  }

  #waits() {
    if (!this.#video.seeking && seconds() < this.#weakUntil) this.#isWeak();
  }

  #stayClose() {
    const video = this.#video;
    const { buffered } = video;
    if (!buffered.length || video.paused || video.seeking) return;
    const [now, end] = [seconds(), buffered.end(buffered.length - 1)];
    const excess = this.#aim.target(now) - video.currentTime;
    const isSettling = now - this.#began < SETTLING;
    if (excess > (isSettling ? 0.1 + this.#aim.longest / 4 : JUMP)) {
      this.#jump(Math.min(this.#aim.target(now), end - 0.02), excess - JUMP > end - video.currentTime);
      return;
    }
    this.#lateSince = undefined;
    if (this.behind === undefined && end > video.currentTime) {
      // Nothing there, but behind it: what could not be bridged.
      this.#jump(Math.max(buffered.start(buffered.length - 1), end - 0.1), false);
      return;
    }
    this.#adjust(excess);
  }

  /** Goes to a time; if more is on its way, a moment later. */
  #jump(time, more) {
    this.#lateSince ??= seconds();
    if (more && seconds() - this.#lateSince < 0.3) return;
    if (time < this.#video.currentTime + 0.05) return;
    this.#lateSince = undefined;
    this.#video.currentTime = time;
    this.#video.playbackRate = 1;
  }

  /** Plays faster or slower until it is where it aims. */
  #adjust(excess) {
    const video = this.#video;
    const size = Math.abs(excess);
    if (size > 0.06) {
      const step = size > 0.2 ? 0.1 : 0.05;
      video.playbackRate = excess > 0 ? 1 + step : 1 - step;
    } else if (size < 0.015 || (excess > 0) !== (video.playbackRate > 1)) {
      video.playbackRate = 1;
    }
  }
}
