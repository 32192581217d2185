// Plays a file over HTTP, as fragmented MP4 that begins anew wherever its viewer goes.

import { MediaBuffers, canPlayCodec, pause, rangeEnd } from "./media.js";
import { FragmentParser, isInitSegment, parseFragment, parseTracks } from "./mp4.js";

/** How many seconds of a file are loaded ahead, and from when on more. */
const AHEAD = 30;
const REFILL = 20;

export class FilePlayer {
  #video;
  #url;
  #seconds;
  #onState;
  #abort = new AbortController();
  #stopped = false;
  #media;
  #onSeeking = () => this.#seek();

  /**
   * `url(start)` is where the file comes from, `seconds` how long it is, if that is known. `onState` is called with
   * "playing", "unsupported" or "failed", and words for people.
   */
  constructor(video, url, seconds, { onState = () => {} } = {}) {
    this.#video = video;
    this.#url = url;
    this.#seconds = seconds;
    this.#onState = onState;
    video.addEventListener("seeking", this.#onSeeking);
    this.#load(0);
  }

  stop() {
    this.#stopped = true;
    this.#abort.abort();
    this.#media?.close();
    this.#video.removeEventListener("seeking", this.#onSeeking);
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #seek() {
    const { buffered, currentTime } = this.#video;
    if (!this.#media || rangeEnd(buffered, currentTime) !== undefined) return;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#media.clear();
    this.#load(currentTime);
  }

  async #load(start) {
    const { signal } = this.#abort;
    try {
      const response = await fetch(this.#url(start), { signal, cache: "no-store" });
      if (!response.ok) throw new Error((await response.text()).trim());
      await this.#fill(response, signal, start);
    } catch (error) {
      this.#fail(error, signal);
    }
  }

  #fail(error, signal) {
    if (!this.#stopped && !signal.aborted) this.#onState("failed", error.message || "The file can't be played.");
  }

  /** Opens what can be played of an initialisation segment; returns all of its tracks. */
  async #open(bytes, mediaType, signal) {
    const tracks = parseTracks(bytes, mediaType);
    const played = tracks.filter(({ kind, codec }) => canPlayCodec(kind, codec));
    if (!played.length) {
      this.#onState("unsupported", "This browser can play nothing of it");
      this.#abort.abort();
      return tracks;
    }
    if (!this.#media) {
      const onFailed = (error) => this.#fail(error, signal);
      this.#media = await MediaBuffers.open(this.#video, played, { keep: AHEAD, duration: this.#seconds, onFailed });
      this.#video.play().catch(() => {});
    }
    return tracks;
  }

  async #fill(response, signal, start) {
    const video = this.#video;
    const mediaType = response.headers.get("content-type");
    const [reader, parser] = [response.body.getReader(), new FragmentParser()];
    let tracks = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) return;
      if (done) break;
      for (const bytes of parser.push(value)) {
        if (isInitSegment(bytes)) tracks = await this.#open(bytes, mediaType, signal);
        if (signal.aborted) return;
        const frame = !isInitSegment(bytes) && parseFragment(bytes, tracks);
        if (frame) this.#media.enqueue(frame);
      }
      await this.#media?.drain();
      if (signal.aborted) return;
      if (start === 0 && video.currentTime === 0 && video.buffered.length) {
        // Files need not begin at 0.
        if (video.buffered.start(0) > 0.1) video.currentTime = video.buffered.start(0);
        start = -1;
      }
      if (video.buffered.length) this.#onState("playing", "");
      const ahead = () => (rangeEnd(video.buffered, video.currentTime) ?? 0) - video.currentTime;
      if (ahead() > AHEAD) {
        while (ahead() > REFILL && !signal.aborted) await pause(500);
        if (signal.aborted) return;
      }
    }
    this.#media?.end();
  }
}
