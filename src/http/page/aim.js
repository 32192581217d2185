// How far behind the newest a live stream is played: as near as what arrives allows. All times are in seconds, those of the
// stream and those of this machine's clock.

/** What shall be left of each track before more of it comes, at the least, and of the longest frame's length. */
const SPARE = 0.05;
const SPARE_OF_FRAME = 0.25;

/** Frames longer than this are gaps. */
const LONGEST = 1;

/** Arrivals count in full for so long, and less and less from then on, until they are forgotten. */
const FRESH = 5;
const FADING = 0.05;
const KEPT = 25;

/** What is later than the usual by more than this is no jitter, and nobody wants to be that far behind all the time. */
const MOST_JITTER = 0.8;

/** Arrivals are noted together by so much of the clock. */
const NOTED_TOGETHER = 0.25;

/**
 * Follows what arrives. Before each arrival of a track so much of it is there: its newest end. As the stream's time and the
 * clock run alike, the difference of both is the same for all arrivals on an even link; who plays the stream as far behind
 * the clock as the least of these differences runs dry at the moment when more comes.
 */
export class Aim {
  #tracks = new Map();
  #notes = [];

  /**
   * A frame of a track has come, which lasts for `duration`; up to `end` all has come with it. Says whether it is late by more
   * than one would wait for.
   */
  arrived(track, end, duration, now) {
    const length = Math.min(LONGEST, duration);
    const known = this.#tracks.get(track);
    if (!known) {
      this.#tracks.set(track, { end, length, left: undefined, catchesUp: true, came: now });
      return false;
    }
    const left = known.end - now;
    // What waited somewhere comes faster than it lasts: how late it is tells nothing of what comes behind it.
    const rises = known.left !== undefined && left - known.left > length / 2;
    if (known.left !== undefined) known.catchesUp &&= rises;
    const isLate = this.#isOutage(left);
    known.catchesUp ||= isLate;
    if (!known.catchesUp) this.#note(left, length, now);
    Object.assign(known, { left, length, end: Math.max(known.end, end), came: now });
    return isLate;
  }

  /** Forgets a track that has stopped. */
  stopped(track) {
    this.#tracks.delete(track);
  }

  /** The stream's time to be played now, or undefined before anything came. */
  target(now) {
    const least = this.#least(now);
    return least === undefined ? undefined : now + least - SPARE - SPARE_OF_FRAME * this.longest;
  }

  /** The length of the longest frame that is usual now. */
  get longest() {
    const lengths = [...this.#tracks.values()].map(({ length }) => length);
    return Math.max(0, ...lengths, ...this.#notes.slice(-4).map(({ length }) => length));
  }

  #isOutage(left) {
    return this.#notes.length > 0 && Math.max(...this.#notes.map((note) => note.most)) - left > MOST_JITTER + this.longest;
  }

  #note(left, length, now) {
    this.#notes = this.#notes.filter(({ at }) => now - at < KEPT);
    const last = this.#notes.at(-1);
    if (last && now - last.at < NOTED_TOGETHER) {
      last.left = Math.min(last.left, left);
      last.most = Math.max(last.most, left);
      last.length = Math.max(last.length, length);
    } else {
      this.#notes.push({ at: now, left, most: left, length });
    }
  }

  #least(now) {
    if (!this.#tracks.size) return undefined;
    // Nothing is known of what comes but how long the last frame lasts.
    const expected = [...this.#tracks.values()].map(({ end, length, came }) => end - length - came);
    if (!this.#notes.length) return Math.min(...expected);
    const most = Math.max(...this.#notes.map((note) => note.most));
    const lefts = this.#notes.map(({ at, left }) => left + FADING * Math.max(0, now - at - FRESH));
    // Of a link that gets slower and slower the server leaves something out.
    return Math.max(Math.min(...lefts), most - MOST_JITTER - this.longest);
  }
}
