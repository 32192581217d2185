// How many streams this device can decode at once: all of them, until it drops frames.

/** Frames dropped of all, from which on a device has too much to do, and up to which it has none of that. */
const TOO_MANY = 0.2;
const FEW = 0.02;

/** So many looks in a row have to say so. */
const LOOKS = 2;

/** In the first seconds of a stream frames are dropped for being late. */
const STARTING_MS = 6_000;

/** After how long one more is tried, in milliseconds: at first, and after tries that failed, at the most. */
const RETRY_MS = 30_000;
const RETRY_MOST_MS = 600_000;

export class Load {
  /** Streams that may play as they are; the others show key frames only. */
  limit = Infinity;
  #seen = new Map();
  #bad = 0;
  #goodSince;
  #retry = RETRY_MS;

  /** Looks at the videos that play as they are; says whether the limit has changed. To be called every two seconds. */
  look(videos, now) {
    let [total, dropped] = [0, 0];
    const seen = new Map();
    for (const video of videos) {
      const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
      const before = this.#seen.get(video);
      const since = before && totalVideoFrames >= before.total ? before.since : now;
      seen.set(video, { total: totalVideoFrames, dropped: droppedVideoFrames, since });
      if (now - since < STARTING_MS) continue;
      total += totalVideoFrames - before.total;
      dropped += droppedVideoFrames - before.dropped;
    }
    this.#seen = seen;
    const share = total > 0 ? dropped / total : 0;
    return this.#judge(share, total, videos.length, now);
  }

  #judge(share, total, count, now) {
    this.#bad = share > TOO_MANY ? this.#bad + 1 : 0;
    if (this.#bad >= LOOKS) {
      if (this.limit !== Infinity) this.#retry = Math.min(RETRY_MOST_MS, this.#retry * 2);
      [this.#bad, this.#goodSince] = [0, undefined];
      this.limit = Math.max(1, Math.floor(count * 0.75));
      // What stops makes room, which takes a moment to be felt.
      this.#seen.clear();
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
