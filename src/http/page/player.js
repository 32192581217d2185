// Plays fragmented MP4 through MediaSource: live streams close to their edge, files from any second.

const Source = window.MediaSource ?? window.ManagedMediaSource;

/** Whether this browser can be given pieces of MP4. */
export const canPlay = Boolean(Source);

/** What is played cannot be played here, however often one tries. */
class Unsupported extends Error {}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

/** Gives a video element a source buffer of that media type. */
async function open(video, type) {
  if (!Source.isTypeSupported(type)) {
    throw new Unsupported(`${codecNames(type)} can't be played by this browser`);
  }
  const source = new Source();
  // Without this a managed source does not open.
  video.disableRemotePlayback = true;
  const url = URL.createObjectURL(source);
  video.src = url;
  await event(source, "sourceopen");
  URL.revokeObjectURL(url);
  return { source, buffer: source.addSourceBuffer(type) };
}

function codecNames(type) {
  const names = { avc1: "H.264", hvc1: "H.265", av01: "AV1", vp09: "VP9", mp4a: "AAC or MP3", opus: "Opus" };
  const codecs = type.match(/codecs="([^"]*)"/)?.[1] ?? type;
  return codecs.split(",").map((codec) => names[codec.slice(0, 4)] ?? codec).join(" with ");
}

function concatenated(pieces) {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(new Uint8Array(piece), at);
    at += piece.byteLength;
  }
  return all;
}

/** Appends bytes, making room where there is none. */
async function append(video, buffer, bytes, keep) {
  for (;;) {
    try {
      buffer.appendBuffer(bytes);
      await event(buffer, "updateend");
      break;
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      keep = Math.max(1, keep / 2);
      if (!(await forget(video, buffer, keep))) await pause(200);
    }
  }
  // A little more than wanted, so that it is not done for each picture.
  if (buffer.buffered.length && video.currentTime - buffer.buffered.start(0) > keep + 5) {
    await forget(video, buffer, keep);
  }
}

/** Removes what was played more than so many seconds ago; says whether there was any. */
async function forget(video, buffer, keep) {
  const end = video.currentTime - keep;
  if (!buffer.buffered.length || buffer.buffered.start(0) >= end) return false;
  buffer.remove(0, end);
  await event(buffer, "updateend");
  return true;
}

/** The end of the buffered range that a time is in, or undefined. */
function rangeEnd(buffered, time) {
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) - 0.1 <= time && time <= buffered.end(i)) return buffered.end(i);
  }
  return undefined;
}

/** How far behind the live edge is aimed for, in seconds: at the least, and after stalls at the most. */
const NEAREST = 0.12;
const FARTHEST = 1.2;

/** Farther behind than this beyond the aim, it jumps. */
const JUMP = 1.5;

/** A live stream over a WebSocket, whose first message is the media type and each other one a piece. */
export class LivePlayer {
  #video;
  #url;
  #keep;
  #onState;
  #socket;
  #stopped = false;
  #aim = NEAREST;
  #lastStall = 0;
  #timer;
  #wake = () => {};
  #onWaiting = () => this.#stalled();

  /** `onState` is called with "connecting", "playing", "waiting" or "unsupported", and words for people. */
  constructor(video, url, { keep = 10, onState = () => {} } = {}) {
    this.#video = video;
    this.#url = url;
    this.#keep = keep;
    this.#onState = onState;
    video.addEventListener("waiting", this.#onWaiting);
    this.#timer = setInterval(() => this.#stayClose(), 100);
    this.#run();
  }

  stop() {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#socket?.close();
    this.#video.removeEventListener("waiting", this.#onWaiting);
    this.#video.playbackRate = 1;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** Connects at once if it waits to do so: the camera has returned. */
  hurry() {
    this.#wake();
  }

  /** Seconds between what is shown and the newest that has come, or undefined. */
  get behind() {
    const end = rangeEnd(this.#video.buffered, this.#video.currentTime);
    return end === undefined ? undefined : end - this.#video.currentTime;
  }

  async #run() {
    let delay = 500;
    while (!this.#stopped) {
      this.#onState("connecting", "Connecting…");
      const began = performance.now();
      try {
        await this.#playOnce();
        if (this.#stopped) return;
        this.#onState("waiting", "Waiting for the camera…");
      } catch (error) {
        if (this.#stopped) return;
        if (error instanceof Unsupported) {
          this.#onState("unsupported", error.message);
          return;
        }
        this.#onState("waiting", "Waiting for the camera…");
      }
      delay = performance.now() - began > 5000 ? 500 : Math.min(delay * 1.6, 5000);
      await Promise.race([pause(delay), new Promise((resolve) => { this.#wake = resolve; })]);
    }
  }

  #playOnce() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#url);
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      const waiting = [];
      let opened;
      let busy = false;
      const work = async () => {
        if (busy || !opened) return;
        busy = true;
        try {
          while (waiting.length) {
            // All that has come goes in at once.
            await append(this.#video, opened.buffer, concatenated(waiting.splice(0)), this.#keep);
            this.#begin();
          }
        } catch (error) {
          socket.close();
          reject(this.#video.error ?? error);
        }
        busy = false;
      };
      socket.onmessage = ({ data }) => {
        if (typeof data !== "string") {
          waiting.push(data);
          work();
          return;
        }
        open(this.#video, data).then((result) => {
          opened = result;
          work();
        }, (error) => {
          socket.close();
          reject(error);
        });
      };
      socket.onclose = () => resolve();
    });
  }

  /** Starts at the edge and not where the last key frame was. */
  #begin() {
    const { buffered, readyState } = this.#video;
    if (!buffered.length || !this.#video.paused) return;
    const end = buffered.end(buffered.length - 1);
    if (readyState >= HTMLMediaElement.HAVE_METADATA) {
      this.#video.currentTime = Math.max(buffered.start(buffered.length - 1), end - this.#aim);
      this.#video.play().then(() => this.#onState("playing", ""), () => {
        // Sound needs a click before; the picture doesn't.
        if (this.#stopped || this.#video.muted) return;
        this.#video.muted = true;
        this.#video.play().then(() => this.#onState("playing", ""), () => {});
      });
    }
  }

  #stalled() {
    const now = performance.now();
    // Seeks wait as well, and the first picture.
    if (this.#video.seeking || now - this.#lastStall < 2000) return;
    this.#lastStall = now;
    this.#aim = Math.min(FARTHEST, this.#aim * 1.5);
  }

  #stayClose() {
    const video = this.#video;
    const { buffered } = video;
    if (!buffered.length || video.paused || video.seeking) return;
    if (performance.now() - this.#lastStall > 20_000) this.#aim = Math.max(NEAREST, this.#aim * 0.999);
    const end = buffered.end(buffered.length - 1);
    const behind = this.behind;
    if (behind === undefined || end - video.currentTime > this.#aim + JUMP) {
      // A gap, or far behind: the tab slept, the network did.
      if (end > video.currentTime) video.currentTime = Math.max(buffered.start(buffered.length - 1), end - this.#aim);
      video.playbackRate = 1;
    } else if (behind > this.#aim + 0.4) {
      video.playbackRate = 1.1;
    } else if (behind > this.#aim + 0.12) {
      video.playbackRate = 1.05;
    } else if (behind < this.#aim + 0.03) {
      video.playbackRate = 1;
    }
  }
}

/** How many seconds of a file are loaded ahead, and from when on more. */
const AHEAD = 30;
const REFILL = 20;

/** A file over HTTP, which begins anew wherever its viewer goes. */
export class FilePlayer {
  #video;
  #url;
  #seconds;
  #onState;
  #abort = new AbortController();
  #stopped = false;
  #opened;
  #onSeeking = () => this.#seek();

  /** `url(start)` is where the file comes from, `seconds` how long it is, if that is known. */
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
    this.#video.removeEventListener("seeking", this.#onSeeking);
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #seek() {
    const { buffered, currentTime } = this.#video;
    if (!this.#opened || rangeEnd(buffered, currentTime) !== undefined) return;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#load(currentTime);
  }

  async #load(start) {
    const { signal } = this.#abort;
    try {
      const response = await fetch(this.#url(start), { signal, cache: "no-store" });
      if (!response.ok) throw new Error((await response.text()).trim());
      await this.#fill(response, signal, start);
    } catch (error) {
      if (this.#stopped || signal.aborted) return;
      this.#onState("failed", error.message || "The file can't be played.");
    }
  }

  async #fill(response, signal, start) {
    const video = this.#video;
    if (!this.#opened) {
      this.#opened = await open(video, response.headers.get("content-type"));
      if (this.#seconds) this.#opened.source.duration = this.#seconds;
      video.play().catch(() => {});
    }
    const { source, buffer } = this.#opened;
    while (buffer.updating) await event(buffer, "updateend");
    // What was cut off by the seek would be continued.
    if (source.readyState === "open") buffer.abort();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) return;
      if (done) break;
      await append(video, buffer, value, AHEAD);
      if (signal.aborted) return;
      if (start === 0 && video.currentTime === 0 && buffer.buffered.length) {
        // Files need not begin at 0.
        if (buffer.buffered.start(0) > 0.1) video.currentTime = buffer.buffered.start(0);
        start = -1;
      }
      this.#onState("playing", "");
      const ahead = () => (rangeEnd(video.buffered, video.currentTime) ?? 0) - video.currentTime;
      if (ahead() > AHEAD) {
        while (ahead() > REFILL && !signal.aborted) await pause(500);
        if (signal.aborted) return;
      }
    }
    if (source.readyState === "open" && !buffer.updating) source.endOfStream();
  }
}
