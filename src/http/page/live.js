// Plays a live stream as close to its newest frame as what arrives allows, with those of its tracks that there are.

import { Aim } from "./aim.js";
import { Edge } from "./edge.js";
import { Feed } from "./feed.js";
import { Presence, STOPPED, STOPPED_FOR_LONG, freeze, goesOn, thaw } from "./presence.js";
import { Media, canPlayCodec } from "./tracks.js";

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
  #presence = new Presence();
  #aim = new Aim();
  #media;
  /** What came before there was something to take it. */
  #early = [];
  #opening;
  #recentAudio = [];
  #edge;
  #restarted = 0;
  #again = false;
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
    this.#edge = new Edge(video, () => this.#plays());
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
    thaw(this.#video);
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** Connects at once if it waits to do so: the camera has returned. */
  hurry() {
    this.#feed.hurry();
  }

  /** Seconds between what is shown and the newest that has come, or undefined. */
  get behind() {
    return this.#edge.behind;
  }

  #forget() {
    clearTimeout(this.#opening?.timer);
    this.#opening = undefined;
    this.#media?.shut();
    this.#media = undefined;
    [this.#early, this.#recentAudio] = [[], []];
    this.#presence.clear();
    this.#aim = new Aim();
    this.#edge.reset();
  }

  #ended() {
    this.#forget();
    this.#tell("");
    this.#onState("waiting", "Waiting for the camera…");
  }

  #begins(tracks) {
    const same = this.#media && !this.#again && tracks.every(({ id, codec }, i) => this.#tracks[i]?.id === id && this.#tracks[i]?.codec === codec);
    [this.#tracks, this.#again] = [tracks, false];
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
    this.#presence.note(frame, now);
    if (!this.#isPlayed(track)) return;
    if (track.kind === "audio") {
      this.#recentAudio = [...this.#recentAudio.filter((one) => one.end > end - STOPPED), frame];
    }
    if (!this.#media) {
      this.#aim.arrived(track.kind, complete, end - start, now);
      this.#early.push(frame);
      this.#openSoon();
    } else if (this.#media.has(track)) {
      if (this.#aim.arrived(track.kind, complete, end - start, now)) this.#isWeak();
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
    [this.#restarted, this.#again] = [seconds(), true];
    this.#feed.restart();
  }

  #openSoon() {
    this.#opening ??= { timer: setTimeout(() => this.#open(this.#early), NOT_ALL_CAME_MS) };
    if (this.#opening.isSure || !this.#tracks.every((track) => !this.#isPlayed(track) || goesOn(track, this.#early))) return;
    clearTimeout(this.#opening.timer);
    this.#opening = { isSure: true, timer: setTimeout(() => this.#open(this.#early), ALL_CAME_MS) };
  }

  /** Plays the tracks that are going on, from these frames on. */
  async #open(frames) {
    clearTimeout(this.#opening?.timer);
    const tracks = this.#tracks.filter((track) => this.#isPlayed(track) && goesOn(track, frames));
    for (const { kind } of this.#tracks) if (!tracks.some((track) => track.kind === kind)) this.#aim.stopped(kind);
    this.#media?.shut();
    this.#media = undefined;
    this.#early = [...frames];
    this.#edge.reset();
    const opening = { isSure: true };
    this.#opening = opening;
    const options = {
      keep: this.#keep,
      onAppended: () => this.#appended(),
      onHole: () => this.#isWeak(),
      onFailed: () => this.#restart(),
    };
    const media = await Media.open(this.#video, tracks, options).catch(options.onFailed);
    if (this.#stopped || this.#opening !== opening) {
      media?.shut();
      return;
    }
    if (!media) return;
    this.#opening = undefined;
    this.#media = media;
    for (const frame of this.#early) media.put(frame);
    this.#early = [];
  }

  #appended() {
    const hasAudio = this.#tracks.some((track) => track.kind === "audio" && this.#media?.has(track));
    if (this.#media) this.#edge.follow(this.#aim.target(seconds()), hasAudio);
  }

  #plays() {
    if (this.#stopped) return;
    if (this.#tracks.some((track) => track.kind === "video" && this.#media?.has(track))) thaw(this.#video);
    this.#onState("playing", "");
  }

  #tick() {
    if (this.#media) {
      this.#lookForStops();
      this.#appended();
    }
    const words = this.#words();
    // There is nothing to wait for.
    if (words === NO_VIDEO && !this.#media && !this.#opening) this.#onState("waiting", "");
    this.#tell(words);
  }

  #lookForStops() {
    const patience = this.#edge.isStill ? STOPPED : STOPPED_FOR_LONG;
    const track = this.#presence.stopped(this.#tracks, seconds(), patience);
    if (!track || !this.#media.has(track) || this.#kinds.length === 1) return;
    if (track.kind === "audio") {
      this.#restart();
      return;
    }
    freeze(this.#video);
    this.#open(this.#recentAudio);
  }

  #words() {
    const video = this.#tracks.find(({ kind }) => kind === "video");
    const isMissing = () => {
      if (this.#media) return !this.#media.has(video) || this.#presence.stopped(this.#tracks, seconds(), STOPPED_FOR_LONG) === video;
      return this.#presence.age(seconds()) > STOPPED && !this.#presence.has(video);
    };
    if (video && this.#isPlayed(video) && isMissing()) return NO_VIDEO;
    return seconds() < this.#weakUntil ? "Weak connection" : "";
  }

  #tell(words) {
    if (words === this.#hint) return;
    this.#hint = words;
    this.#onHint(words);
  }

  /** What came late, or was left out by the server, for a while. */
  #isWeak() {
    if (this.#edge.age > WEAK_AFTER) this.#weakUntil = seconds() + WELL;
  }

  #waits() {
    if (!this.#video.seeking && seconds() < this.#weakUntil) this.#isWeak();
  }
}
