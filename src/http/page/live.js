// Plays a live stream as close to its newest frame as what arrives allows, with those of its tracks that there are.

import { STOPPED, STOPPED_FOR_LONG, TrackActivity, freeze, isActive, unfreeze } from "./activity.js";
import { LiveEdge } from "./edge.js";
import { FragmentFeed } from "./feed.js";
import { MediaBuffers, canPlayCodec } from "./media.js";
import { PlaybackTarget } from "./target.js";

/** What comes at the beginning is looked at for so long, in milliseconds, if all tracks have come, and if not. */
const ALL_CAME_MS = 50;
const NOT_ALL_CAME_MS = 400;

/** In its first seconds a stream is no judge of the connection. */
const WEAK_AFTER = 3;

/** How many seconds have to go well before a connection that was weak is so no more. */
const WELL = 10;

const NO_VIDEO = "No video from the camera";

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
  /** All tracks of the stream. */
  #tracks = [];
  #activity = new TrackActivity();
  #target = new PlaybackTarget();
  #media;
  /** What came before there was something to take it. */
  #pending = [];
  #opening;
  #recentAudio = [];
  #edge;
  #restarted = 0;
  #reopens = false;
  #weakUntil = 0;
  #hint = "";
  #onWaiting = () => this.#onStalled();

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
    this.#edge = new LiveEdge(video, () => this.#onPlaying());
    video.addEventListener("waiting", this.#onWaiting);
    this.#timer = setInterval(() => this.#tick(), 100);
    onState("connecting", "Connecting…");
    this.#feed = new FragmentFeed(url, {
      tracks: (tracks) => this.#onTracks(tracks),
      frame: (frame) => this.#onFrame(frame),
      ended: () => this.#onEnded(),
    });
  }

  stop() {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#feed.stop();
    this.#reset();
    this.#video.removeEventListener("waiting", this.#onWaiting);
    unfreeze(this.#video);
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** Connects at once if it waits to do so: the camera has returned. */
  reconnectNow() {
    this.#feed.reconnectNow();
  }

  /** Seconds between what is shown and the newest that has come, or undefined. */
  get behind() {
    return this.#edge.behind;
  }

  #reset() {
    clearTimeout(this.#opening?.timer);
    this.#opening = undefined;
    this.#media?.close();
    this.#media = undefined;
    [this.#pending, this.#recentAudio] = [[], []];
    this.#activity.clear();
    this.#target = new PlaybackTarget();
    this.#edge.reset();
  }

  #onEnded() {
    this.#reset();
    this.#setHint("");
    this.#onState("waiting", "Waiting for the camera…");
  }

  #onTracks(tracks) {
    const same = this.#media && !this.#reopens && tracks.every(({ id, codec }, i) => this.#tracks[i]?.id === id && this.#tracks[i]?.codec === codec);
    [this.#tracks, this.#reopens] = [tracks, false];
    if (same) {
      for (const track of tracks) this.#media.configure(track);
      return;
    }
    this.#reset();
    if (!tracks.some(({ kind, codec }) => canPlayCodec(kind, codec))) {
      this.#onState("unsupported", "This browser can play nothing of it");
    }
  }

  #isPlayed({ kind, codec }) {
    return this.#kinds.includes(kind) && canPlayCodec(kind, codec);
  }

  #onFrame(frame) {
    const [{ track, start, end, complete, isKey }, now] = [frame, seconds()];
    this.#activity.record(frame, now);
    if (!this.#isPlayed(track)) return;
    if (track.kind === "audio") {
      this.#recentAudio = [...this.#recentAudio.filter((one) => one.end > end - STOPPED), frame];
    }
    if (!this.#media) {
      this.#target.arrived(track.kind, complete, end - start, now);
      this.#pending.push(frame);
      this.#openSoon();
    } else if (this.#media.has(track)) {
      if (this.#target.arrived(track.kind, complete, end - start, now)) this.#noteWeakness();
      this.#media.enqueue(frame);
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
    [this.#restarted, this.#reopens] = [seconds(), true];
    this.#feed.restart();
  }

  #openSoon() {
    this.#opening ??= { timer: setTimeout(() => this.#open(this.#pending), NOT_ALL_CAME_MS) };
    if (this.#opening.isSure || !this.#tracks.every((track) => !this.#isPlayed(track) || isActive(track, this.#pending))) return;
    clearTimeout(this.#opening.timer);
    this.#opening = { isSure: true, timer: setTimeout(() => this.#open(this.#pending), ALL_CAME_MS) };
  }

  /** Plays the tracks that are going on, from these frames on. */
  async #open(frames) {
    clearTimeout(this.#opening?.timer);
    const tracks = this.#tracks.filter((track) => this.#isPlayed(track) && isActive(track, frames));
    for (const { kind } of this.#tracks) if (!tracks.some((track) => track.kind === kind)) this.#target.stopped(kind);
    this.#media?.close();
    this.#media = undefined;
    this.#pending = [...frames];
    this.#edge.reset();
    const opening = { isSure: true };
    this.#opening = opening;
    const options = {
      keep: this.#keep,
      onAppended: () => this.#appended(),
      onGap: () => this.#noteWeakness(),
      onFailed: () => this.#restart(),
    };
    const media = await MediaBuffers.open(this.#video, tracks, options).catch(options.onFailed);
    if (this.#stopped || this.#opening !== opening) {
      media?.close();
      return;
    }
    if (!media) return;
    this.#opening = undefined;
    this.#media = media;
    for (const frame of this.#pending) media.enqueue(frame);
    this.#pending = [];
  }

  #appended() {
    const hasAudio = this.#tracks.some((track) => track.kind === "audio" && this.#media?.has(track));
    if (this.#media) this.#edge.follow(this.#target.target(seconds()), hasAudio);
  }

  #onPlaying() {
    if (this.#stopped) return;
    if (this.#tracks.some((track) => track.kind === "video" && this.#media?.has(track))) unfreeze(this.#video);
    this.#onState("playing", "");
  }

  #tick() {
    if (this.#media) {
      this.#checkForStops();
      this.#appended();
    }
    const hint = this.#currentHint();
    // There is nothing to wait for.
    if (hint === NO_VIDEO && !this.#media && !this.#opening) this.#onState("waiting", "");
    this.#setHint(hint);
  }

  #checkForStops() {
    const patience = this.#edge.isStalled ? STOPPED : STOPPED_FOR_LONG;
    const track = this.#activity.stopped(this.#tracks, seconds(), patience);
    if (!track || !this.#media.has(track) || this.#kinds.length === 1) return;
    if (track.kind === "audio") {
      this.#restart();
      return;
    }
    freeze(this.#video);
    this.#open(this.#recentAudio);
  }

  #currentHint() {
    const video = this.#tracks.find(({ kind }) => kind === "video");
    const isMissing = () => {
      if (this.#media) return !this.#media.has(video) || this.#activity.stopped(this.#tracks, seconds(), STOPPED_FOR_LONG) === video;
      return this.#activity.age(seconds()) > STOPPED && !this.#activity.has(video);
    };
    if (video && this.#isPlayed(video) && isMissing()) return NO_VIDEO;
    return seconds() < this.#weakUntil ? "Weak connection" : "";
  }

  #setHint(hint) {
    if (hint === this.#hint) return;
    this.#hint = hint;
    this.#onHint(hint);
  }

  /** What came late, or was left out by the server, for a while. */
  #noteWeakness() {
    if (this.#edge.age > WEAK_AFTER) this.#weakUntil = seconds() + WELL;
  }

  #onStalled() {
    if (!this.#video.seeking && seconds() < this.#weakUntil) this.#noteWeakness();
  }
}
