// A video element that is fed through MediaSource, with a source buffer for each track: what the browser can't play of a
// stream leaves the rest alone.

import { concatenate } from "./mp4.js";

const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;

/** Whether this browser can be fed with fragments of MP4. */
export const hasMediaSource = Boolean(Source);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

/** Frames of MP3 go in as they are where the browser knows no MP3 in MP4. */
const isMp3 = (codec) => /^(mp3|mp4a\.(6b|69))$/i.test(codec);

const mediaType = (kind, codec) => (isMp3(codec) ? "audio/mpeg" : `${kind}/mp4; codecs="${codec}"`);

/** What this server puts into MP4. */
const IN_MP4 = /^(avc1|hvc1|av01|vp09|mp4a|opus)/;

/** Whether a track of that codec, as the API tells it, can be played here. */
export function canPlayCodec(kind, codec) {
  if (isMp3(codec)) return hasMediaSource && Source.isTypeSupported("audio/mpeg");
  if (!IN_MP4.test(codec)) return false;
  // Its configuration has not come yet.
  if (!codec.includes(".") && codec !== "opus") return true;
  return hasMediaSource && Source.isTypeSupported(mediaType(kind, codec));
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

/** Decoding times go this many durations further at once, at most: see `TrackBuffer.#limitStep`. */
const STEP = 2;

/** Frames are missing where the next decoding time is so many durations behind the last: one that is left out is no gap. */
const GAP = 3;

/** One track on its way into its source buffer. */
class TrackBuffer {
  #media;
  #buffer;
  #isMp3;
  #queue = [];
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
    if (!this.#isMp3) this.#queue.push({ bytes: track.init });
    this.#drain();
  }

  enqueue(frame) {
    if (frame.track.kind === "video") this.#limitStep(frame);
    this.#queue.push(frame);
    this.#drain();
  }

  get buffered() {
    return this.#buffer.buffered;
  }

  get isIdle() {
    return !this.#busy && !this.#queue.length;
  }

  clear() {
    this.#queue = this.#queue.filter(({ track }) => !track);
    this.#last = undefined;
  }

  /**
   * Frames that are missing are no reason to stop: browsers take a decoding time more than two durations behind the last
   * for a new beginning (Media Source Extensions §3.5.8), so that there are two ranges and playback stalls at the end of
   * the first. So the decoding time goes no further at once; when a frame is shown is not changed.
   */
  #limitStep(frame) {
    const last = this.#last;
    let { decodes } = frame;
    if (last && decodes > last.decodes) {
      decodes = Math.min(decodes, last.decodes + STEP * last.duration);
      if (frame.decodes > last.due + GAP * last.duration) this.#media.reportGap();
      if (decodes !== frame.decodes) frame.decodeAt(decodes);
    }
    this.#last = { decodes, due: frame.decodes, duration: frame.duration };
  }

  async #drain() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#queue.length && !this.#media.isClosed) {
        // All that has come goes in at once.
        const frames = this.#queue.splice(0);
        if (this.#isMp3) await this.#appendMp3(frames);
        else await this.#append(concatenate(frames.map(({ bytes }) => bytes)));
        this.#media.reportAppended();
      }
    } catch (error) {
      this.#media.reportFailure(error);
    }
    this.#busy = false;
  }

  async #appendMp3(frames) {
    const [{ start }] = frames;
    if (this.#next === undefined || Math.abs(this.#next - start) > OFF) this.#buffer.timestampOffset = start;
    await this.#append(concatenate(frames.map((frame) => frame.coded())));
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
        if (!(await this.#evict(keep))) await pause(200);
      }
    }
    // A little more than wanted, so that it is not done for each frame.
    const { keep, time } = this.#media;
    if (this.buffered.length && time - this.buffered.start(0) > keep + 5) await this.#evict(keep);
  }

  /** Removes what was played more than so many seconds ago; says whether there was any. */
  async #evict(keep) {
    const end = this.#media.time - keep;
    if (!this.buffered.length || this.buffered.start(0) >= end) return false;
    this.#buffer.remove(0, end);
    await event(this.#buffer, "updateend");
    return true;
  }
}

/** Tracks that a video element plays together. */
export class MediaBuffers {
  isClosed = false;
  #video;
  #source;
  #buffers = new Map();
  #onAppended;
  #onGap;
  #onFailed;

  constructor(video, source, { keep, onAppended = () => {}, onGap = () => {}, onFailed = () => {} }) {
    this.#video = video;
    this.#source = source;
    this.keep = keep;
    this.#onAppended = onAppended;
    this.#onGap = onGap;
    this.#onFailed = onFailed;
  }

  /**
   * Gives a video element a source of these tracks, of `duration` seconds if that is known; what was played `keep` seconds
   * ago is forgotten. `onAppended` is called when something has gone in, `onGap` when frames of video are missing, `onFailed`
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
    const media = new MediaBuffers(video, source, options);
    if (options.duration) source.duration = options.duration;
    for (const track of tracks) media.#buffers.set(track.id, new TrackBuffer(media, source, track));
    return media;
  }

  get time() {
    return this.#video.currentTime;
  }

  has(track) {
    return this.#buffers.has(track.id);
  }

  /** Takes a frame of one of the tracks; those of others are left out. */
  enqueue(frame) {
    this.#buffers.get(frame.track.id)?.enqueue(frame);
  }

  /** Takes another codec configuration for one of its tracks. */
  configure(track) {
    this.#buffers.get(track.id)?.configure(track);
  }

  /** Forgets what has not gone in yet. */
  clear() {
    for (const buffer of this.#buffers.values()) buffer.clear();
  }

  /** Waits until all has gone in. */
  async drain() {
    while (!this.isClosed && [...this.#buffers.values()].some((buffer) => !buffer.isIdle)) await pause(10);
  }

  /** Says that nothing follows, so that the last frame is shown; something may follow all the same. */
  end() {
    if (!this.isClosed && this.#source.readyState === "open") this.#source.endOfStream();
  }

  reportAppended() {
    if (!this.isClosed) this.#onAppended();
  }

  reportGap() {
    this.#onGap();
  }

  reportFailure(error) {
    if (!this.isClosed) this.#onFailed(this.#video.error ?? error);
  }

  close() {
    this.isClosed = true;
  }
}
