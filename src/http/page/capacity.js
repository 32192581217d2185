// How many streams this device can decode at once: all of them, until it drops frames.

/** Frames dropped of all, from which on a device has too much to do, and up to which it has none of that. */
const TOO_MANY = 0.2;
const FEW = 0.02;

/** So many samples in a row have to say so. */
const SAMPLES = 2;

/** In the first seconds of a stream frames are dropped for being late. */
const STARTING_MS = 6_000;

/** After how long one more is tried, in milliseconds: at first, and after tries that failed, at the most. */
const RETRY_MS = 30_000;
const RETRY_MOST_MS = 600_000;

export class DecodeCapacity {
  /** Streams that may play as they are; the others show key frames only. */
  limit = Infinity;
  #samples = new Map();
  #badSamples = 0;
  #goodSince;
  #retry = RETRY_MS;

  /** Samples the videos that play as they are; says whether the limit has changed. To be called every two seconds. */
  update(videos, now) {
    let [total, dropped] = [0, 0];
    const samples = new Map();
    for (const video of videos) {
      const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
      const before = this.#samples.get(video);
      const since = before && totalVideoFrames >= before.total ? before.since : now;
      samples.set(video, { total: totalVideoFrames, dropped: droppedVideoFrames, since });
      if (now - since < STARTING_MS) continue;
      total += totalVideoFrames - before.total;
      dropped += droppedVideoFrames - before.dropped;
    }
    this.#samples = samples;
    const share = total > 0 ? dropped / total : 0;
    return this.#adjust(share, total, videos.length, now);
  }

  #adjust(share, total, count, now) {
    this.#badSamples = share > TOO_MANY ? this.#badSamples + 1 : 0;
    if (this.#badSamples >= SAMPLES) {
      if (this.limit !== Infinity) this.#retry = Math.min(RETRY_MOST_MS, this.#retry * 2);
      [this.#badSamples, this.#goodSince] = [0, undefined];
      this.limit = Math.max(1, Math.floor(count * 0.75));
      // What stops makes room, which takes a moment to be felt.
      this.#samples.clear();
      return true;
    }
    if (this.limit === Infinity) return false;
    if (share > FEW || total === 0) this.#goodSince = undefined;
    else this.#goodSince ??= now;
    if (this.#goodSince === undefined || now - this.#goodSince < this.#retry) return false;
    this.limit = count >= this.limit ? this.limit + 1 : Infinity;
    this.#goodSince = now;
    return true;
  }
}
