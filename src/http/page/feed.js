// A live stream over a WebSocket: its first message is the media type, each other one an initialisation segment or a fragment.

import { pause } from "./media.js";
import { isInitSegment, parseFragment, parseTracks } from "./mp4.js";

/** Connects anew whenever the stream ends. */
export class FragmentFeed {
  #url;
  #listener;
  #socket;
  #stopped = false;
  #isRestarted = false;
  #wake = () => {};

  /**
   * The listener's `tracks` is called with the tracks, again whenever they change, `frame` with each frame, `ended` when
   * no more come, until there are tracks again.
   */
  constructor(url, listener) {
    this.#url = url;
    this.#listener = listener;
    this.#run();
  }

  stop() {
    this.#stopped = true;
    this.#socket?.close();
  }

  /** Connects at once if it waits to do so: the camera has returned. */
  reconnectNow() {
    this.#wake();
  }

  /** Begins anew, with what the server keeps for those who come; the listener is told of no end. */
  restart() {
    this.#isRestarted = true;
    this.#socket?.close();
  }

  async #run() {
    let delay = 500;
    while (!this.#stopped) {
      const began = performance.now();
      await this.#receiveUntilClosed();
      if (this.#stopped) return;
      const isGood = performance.now() - began > 5000;
      const isRestarted = this.#isRestarted && isGood;
      this.#isRestarted = false;
      if (isRestarted) continue;
      this.#listener.ended();
      delay = isGood ? 500 : Math.min(delay * 1.6, 5000);
      await Promise.race([pause(delay), new Promise((resolve) => { this.#wake = resolve; })]);
    }
  }

  #receiveUntilClosed() {
    return new Promise((resolve) => {
      const socket = new WebSocket(this.#url);
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      let mediaType = "";
      let tracks = [];
      socket.onmessage = ({ data }) => {
        if (this.#stopped || socket !== this.#socket) return;
        if (typeof data === "string") {
          mediaType = data;
          return;
        }
        const bytes = new Uint8Array(data);
        if (isInitSegment(bytes)) {
          const found = parseTracks(bytes, mediaType);
          // Other tracks have other codecs, which only a new beginning tells.
          if (tracks.length && tracks.map(({ id }) => id).join() !== found.map(({ id }) => id).join()) socket.close();
          tracks = found;
          this.#listener.tracks(tracks);
        } else {
          const frame = parseFragment(bytes, tracks);
          if (frame) this.#listener.frame(frame);
        }
      };
      socket.onclose = () => resolve();
    });
  }
}
