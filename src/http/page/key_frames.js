// A live stream of which only key frames are shown, for devices that can't decode all of it.

import { FragmentFeed } from "./feed.js";
import { MediaBuffers, canPlayCodec, event } from "./media.js";

/** Shows each key frame of a stream's video as it comes. */
export class KeyFramePlayer {
  #video;
  #feed;
  #media;
  #track;
  #next;
  #busy = false;
  #stopped = false;

  constructor(video, url) {
    this.#video = video;
    this.#feed = new FragmentFeed(url, {
      tracks: (tracks) => {
        this.#media?.close();
        this.#media = undefined;
        this.#track = tracks.find(({ kind, codec }) => kind === "video" && canPlayCodec(kind, codec));
      },
      frame: (frame) => {
        if (frame.track !== this.#track || !frame.isKey) return;
        this.#next = frame;
        this.#run();
      },
      ended() {},
    });
  }

  stop() {
    this.#stopped = true;
    this.#feed.stop();
    this.#media?.close();
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  reconnectNow() {
    this.#feed.reconnectNow();
  }

  async #run() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#next && !this.#stopped) {
      const frame = this.#next;
      this.#next = undefined;
      try {
        await this.#show(frame);
      } catch {
        // The next key frame begins anew.
        this.#media?.close();
        this.#media = undefined;
      }
    }
    this.#busy = false;
  }

  async #show(frame) {
    const onFailed = () => { this.#media = undefined; };
    this.#media ??= await MediaBuffers.open(this.#video, [frame.track], { keep: 1, onFailed });
    const media = this.#media;
    media.enqueue(frame);
    await media.drain();
    if (this.#stopped || media !== this.#media) return;
    // Decoders hold a frame back until another comes, or the end.
    media.end();
    const seeked = event(this.#video, "seeked");
    this.#video.currentTime = frame.start;
    await seeked;
  }
}
