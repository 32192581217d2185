// How far behind the newest a live stream is played: as near as what arrives allows. All times are in seconds, those of the
// stream and those of this machine's clock.

/**
 * What shall be left of a track before more comes. Of video one frame, since decoders that work on two at once give the first
 * when they have the second; of long frames a part. Of audio a tenth of a second, which browsers hold on its way to the ear,
 * and a part of a frame.
 */
const SPARE = {
  video: (length) => 0.03 + Math.min(length, 0.09 + length / 2),
  audio: (length) => 0.09 + 0.75 * length,
};

/** Frames longer than this are gaps. */
const LONGEST = 1;

/** Arrivals count in full for so long, and less and less from then on, until they are forgotten. */
const FRESH = 5;
const FADING = 0.05;
const KEPT = 25;

/** How much of its usual length a frame is taken to have when it is shorter. */
const SHORTER = 0.9;

/** What is later than the usual by more than this is no jitter, and nobody wants to be that far behind all the time. */
const MOST_JITTER = 0.8;

/** Who catches up has done so when this near to the usual again, or when it gets no nearer for so long. */
const BACK = 0.1;
const CAUGHT_UP = 0.3;

/** Arrivals are noted together by so much of the clock. */
const NOTED_TOGETHER = 0.25;

/**
 * Follows what arrives of a track. Before each arrival so much of it is there: its newest end. As the stream's time and the
 * clock run alike, the difference of both is the same for all arrivals on an even link; who plays the stream as far behind
 * the clock as the least of these differences runs dry at the moment when more comes.
 */
class Track {
  #kind;
  #end;
  #came;
  /** Its last frame, and the longest that is usual now, in seconds. */
  #length;
  longest;
  #catchesUp = true;
  #best = -Infinity;
  #bestAt;
  #notes = [];

  constructor(kind, end, length, now) {
    [this.#kind, this.#end, this.#length, this.longest, this.#came] = [kind, end, length, length, now];
  }

  /** A frame has come, of a track that is or isn't `alone`; says whether it is later than the usual by more than `most`. */
  arrived(end, length, isAlone, most, now) {
    // What was left out before it was not late, where something else goes on.
    const isGap = !isAlone && end - length > this.#end + length / 2;
    const left = (isGap ? end - length : this.#end) - now;
    const isLate = this.#notes.length > 0 && this.#most - left > most;
    if (isLate && !this.#catchesUp) [this.#catchesUp, this.#best] = [true, -Infinity];
    if (this.#catchesUp) this.#catchUp(left, length, now);
    if (!this.#catchesUp) this.#note(left, now);
    // One that is longer counts at once.
    this.longest = Math.max(length, this.longest * SHORTER + length * (1 - SHORTER));
    [this.#length, this.#end, this.#came] = [length, Math.max(this.#end, end), now];
    return isLate;
  }

  /**
   * What waited somewhere comes faster than it lasts. How late it is tells nothing of what comes behind it, until it is as early
   * as the others, or gets no earlier.
   */
  #catchUp(left, length, now) {
    if (left > this.#best + length / 2) [this.#best, this.#bestAt] = [left, now];
    const isBack = this.#notes.length > 0 && this.#most - left < BACK + this.longest;
    this.#catchesUp = !isBack && now - this.#bestAt < CAUGHT_UP;
  }

  get #most() {
    return Math.max(...this.#notes.map(({ most }) => most));
  }

  #note(left, now) {
    this.#notes = this.#notes.filter(({ at }) => now - at < KEPT);
    const last = this.#notes.at(-1);
    if (last && now - last.at < NOTED_TOGETHER) [last.left, last.most] = [Math.min(last.left, left), Math.max(last.most, left)];
    else this.#notes.push({ at: now, left, most: left });
  }

  /** What of it to play now, at most so much later than the earliest. */
  target(most, now) {
    // Of a new track nothing is known but how long its last frame lasts.
    const lefts = this.#notes.map(({ at, left }) => left + FADING * Math.max(0, now - at - FRESH));
    // Of a link that gets slower and slower the server leaves something out.
    const least = lefts.length ? Math.max(Math.min(...lefts), this.#most - most) : this.#end - this.#length - this.#came;
    return now + least - SPARE[this.#kind](this.longest);
  }
}

/** Follows the tracks of a stream. */
export class PlaybackTarget {
  #tracks = new Map();

  /**
   * A frame of the track of that kind, `video` or `audio`, has come, which lasts for `duration`; up to `end` all has come with
   * it. Says whether it is late by more than one would wait for.
   */
  arrived(kind, end, duration, now) {
    const length = Math.min(LONGEST, Math.max(0, duration));
    const track = this.#tracks.get(kind);
    if (track) return track.arrived(end, length, this.#tracks.size === 1, this.#mostJitter, now);
    this.#tracks.set(kind, new Track(kind, end, length, now));
    return false;
  }

  /** Cameras may send what belongs to one frame of video at once. */
  get #mostJitter() {
    return MOST_JITTER + Math.max(...[...this.#tracks.values()].map(({ longest }) => longest));
  }

  /** Forgets a track that has stopped. */
  stopped(kind) {
    this.#tracks.delete(kind);
  }

  /** The stream's time to be played now, or undefined before anything came. */
  target(now) {
    if (!this.#tracks.size) return undefined;
    return Math.min(...[...this.#tracks.values()].map((track) => track.target(this.#mostJitter, now)));
  }
}
