// A video element that is fed through MediaSource, with a source buffer for each track: what the browser can't play of a
// stream leaves the rest alone.

import { concatenated } from "./mp4.js";

const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;

/** Whether this browser can be given pieces of MP4. */
export const canPlay = Boolean(Source);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

/** Frames of MP3 go in as they are where the browser knows no MP3 in MP4. */
const isMp3 = (codec) => /^(mp3|mp4a\.(6b|69))$/i.test(codec);

const mediaType = (kind, codec) => (isMp3(codec) ? "audio/mpeg" : `${kind}/mp4; codecs="${codec}"`);

/** What this server puts into MP4. */
const IN_MP4 = /^(avc1|hvc1|av01|vp09|mp4a|opus)/;

/** Whether a track of that codec, as the API tells it, can be played here. */
export function canPlayCodec(kind, codec) {
  if (isMp3(codec)) return canPlay && Source.isTypeSupported("audio/mpeg");
  if (!IN_MP4.test(codec)) return false;
  // Its configuration has not come yet.
  if (!codec.includes(".") && codec !== "opus") return true;
  return canPlay && Source.isTypeSupported(mediaType(kind, codec));
}

/** The end of the buffered range that a time is in, or undefined. */
export function rangeEnd(buffered, time) {
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) - 0.1 <= time && time <= buffered.end(i)) return buffered.end(i);
  }
  return undefined;
}

/** MP3 in a buffer counts its own time; when it is this many seconds off, it is told the right one. */
const OFF = 0.06;

/** Decoding times go this many durations further at once, at most: see `Lane.#step`. */
const STEP = 2;

/** Frames are missing where the next decoding time is so many durations behind the last: one that is left out is no hole. */
const HOLE = 3;

/** One track on its way into its source buffer. */
class Lane {
  #media;
  #buffer;
  #isMp3;
  #waiting = [];
  #busy = false;
  #last;
  #next;

  constructor(media, source, track) {
    this.#media = media;
    this.#isMp3 = isMp3(track.codec);
    this.#buffer = source.addSourceBuffer(mediaType(track.kind, track.codec));
    this.configure(track);
  }

  configure(track) {
    if (!this.#isMp3) this.#waiting.push({ bytes: track.init });
    this.#work();
  }

  put(frame) {
    if (frame.track.kind === "video") this.#step(frame);
    this.#waiting.push(frame);
    this.#work();
  }

  get buffered() {
    return this.#buffer.buffered;
  }

  get isIdle() {
    return !this.#busy && !this.#waiting.length;
  }

  clear() {
    this.#waiting = this.#waiting.filter(({ track }) => !track);
    this.#last = undefined;
  }

  /**
   * Frames that are missing are no reason to stop: browsers take a decoding time more than two durations behind the last
   * for a new beginning (Media Source Extensions §3.5.8), so that there are two ranges and the picture stands still at the
   * end of the first, with its sound. So the decoding time goes no further at once; when a frame is shown is not changed.
   */
  #step(frame) {
    const last = this.#last;
    let { decodes } = frame;
    if (last && decodes > last.decodes) {
      decodes = Math.min(decodes, last.decodes + STEP * last.duration);
      if (frame.decodes > last.due + HOLE * last.duration) this.#media.hasHole();
      if (decodes !== frame.decodes) frame.decodeAt(decodes);
    }
    this.#last = { decodes, due: frame.decodes, duration: frame.duration };
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#waiting.length && !this.#media.isShut) {
        // All that has come goes in at once.
        const frames = this.#waiting.splice(0);
        if (this.#isMp3) await this.#appendMp3(frames);
        else await this.#append(concatenated(frames.map(({ bytes }) => bytes)));
        this.#media.appended();
      }
    } catch (error) {
      this.#media.failed(error);
    }
    this.#busy = false;
  }

  async #appendMp3(frames) {
    const [{ start }] = frames;
    if (this.#next === undefined || Math.abs(this.#next - start) > OFF) this.#buffer.timestampOffset = start;
    await this.#append(concatenated(frames.map((frame) => frame.coded())));
    const { buffered } = this.#buffer;
    const { end } = frames.at(-1);
    // Where it has got, if that is near; a seek leaves other ranges behind.
    const ends = Array.from({ length: buffered.length }, (_, i) => buffered.end(i));
    this.#next = ends.find((one) => Math.abs(one - end) < 1) ?? end;
  }

  /** Appends bytes, making room where there is none. */
  async #append(bytes) {
    for (let { keep } = this.#media; ; keep = Math.max(1, keep / 2)) {
      try {
        this.#buffer.appendBuffer(bytes);
        await event(this.#buffer, "updateend");
        break;
      } catch (error) {
        if (error.name !== "QuotaExceededError") throw error;
        if (!(await this.#forget(keep))) await pause(200);
      }
    }
    // A little more than wanted, so that it is not done for each frame.
    const { keep, time } = this.#media;
    if (this.buffered.length && time - this.buffered.start(0) > keep + 5) await this.#forget(keep);
  }

  /** Removes what was played more than so many seconds ago; says whether there was any. */
  async #forget(keep) {
    const end = this.#media.time - keep;
    if (!this.buffered.length || this.buffered.start(0) >= end) return false;
    this.#buffer.remove(0, end);
    await event(this.#buffer, "updateend");
    return true;
  }
}

/** Tracks that a video element plays together. */
export class Media {
  isShut = false;
  #video;
  #source;
  #lanes = new Map();
  #onAppended;
  #onHole;
  #onFailed;

  constructor(video, source, { keep, onAppended = () => {}, onHole = () => {}, onFailed = () => {} }) {
    this.#video = video;
    this.#source = source;
    this.keep = keep;
    this.#onAppended = onAppended;
    this.#onHole = onHole;
    this.#onFailed = onFailed;
  }

  /**
   * Gives a video element a source of these tracks, of `duration` seconds if that is known; what was played `keep` seconds
   * ago is forgotten. `onAppended` is called when something has gone in, `onHole` when frames of video are missing, `onFailed`
   * with what is wrong.
   */
  static async open(video, tracks, options) {
    const source = new Source();
    // Without this a managed source does not open.
    video.disableRemotePlayback = true;
    const url = URL.createObjectURL(source);
    video.src = url;
    await event(source, "sourceopen");
    URL.revokeObjectURL(url);
    const media = new Media(video, source, options);
    if (options.duration) source.duration = options.duration;
    for (const track of tracks) media.#lanes.set(track.id, new Lane(media, source, track));
    return media;
  }

  get time() {
    return this.#video.currentTime;
  }

  has(track) {
    return this.#lanes.has(track.id);
  }

  /** Takes a frame of one of the tracks; those of others are left out. */
  put(frame) {
    this.#lanes.get(frame.track.id)?.put(frame);
  }

  /** Takes another codec configuration for one of its tracks. */
  configure(track) {
    this.#lanes.get(track.id)?.configure(track);
  }

  /** Forgets what has not gone in yet. */
  clear() {
    for (const lane of this.#lanes.values()) lane.clear();
  }

  /** Waits until all has gone in. */
  async settle() {
    while (!this.isShut && [...this.#lanes.values()].some((lane) => !lane.isIdle)) await pause(10);
  }

  /** Says that nothing follows, so that the last frame is shown; something may follow all the same. */
  end() {
    if (!this.isShut && this.#source.readyState === "open") this.#source.endOfStream();
  }

  appended() {
    if (!this.isShut) this.#onAppended();
  }

  hasHole() {
    this.#onHole();
  }

  failed(error) {
    if (!this.isShut) this.#onFailed(this.#video.error ?? error);
  }

  shut() {
    this.isShut = true;
  }
}
