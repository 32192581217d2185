// Where a live stream is played: close to where its aim is, from the beginning on and behind whatever happens.

import { rangeEnd } from "./media.js";
import { RateControl } from "./rate.js";

/** Farther behind its aim than this, in seconds, it jumps; below, it plays a little faster. */
const JUMP = 1;

/** How long it waits before it jumps to less than that, in seconds. */
const PATIENCE = 1.5;

/** For so long from its beginning it is in a hurry: nobody has got used to it yet. */
const SETTLING = 1.5;

/** How far before its aim it begins, in seconds, and how far off that it may be to begin all the same. */
const LEAD = 0.06;
const TOO_FAR = 0.4;

/** How long an underrun may last before it is nudged on, and how often it is, in seconds. */
const UNDERRUN = 0.1;
const NUDGE_EVERY = 1;

/** For how long it does not move when it has stalled, in seconds. */
const STALLED = 0.5;

const seconds = () => performance.now() / 1000;

export class LiveEdge {
  #video;
  #rate;
  #onPlaying;
  #began;
  #lateSince;
  #underrunSince;
  #nudgedAt = 0;
  #time;
  #movedAt = 0;

  /** `onPlaying` is called when the video plays. */
  constructor(video, onPlaying) {
    this.#video = video;
    this.#rate = new RateControl(video);
    this.#onPlaying = onPlaying;
  }

  /** Forgets what was played: something else is now. */
  reset() {
    this.#rate.reset();
    [this.#began, this.#lateSince, this.#underrunSince] = [undefined, undefined, undefined];
  }

  /** For how many seconds it has played. */
  get age() {
    return this.#began === undefined ? 0 : seconds() - this.#began;
  }

  /** Seconds between what is shown and the newest that has come, or undefined. */
  get behind() {
    const end = rangeEnd(this.#video.buffered, this.#video.currentTime);
    return end === undefined ? undefined : end - this.#video.currentTime;
  }

  /** Whether it has stalled. */
  get isStalled() {
    return seconds() - this.#movedAt > STALLED;
  }

  #noteProgress() {
    const { currentTime } = this.#video;
    if (currentTime !== this.#time) [this.#time, this.#movedAt] = [currentTime, seconds()];
  }

  /** Goes to where the stream should be played now, or towards it. To be called whenever something came, and now and then. */
  follow(target, hasAudio) {
    this.#noteProgress();
    if (this.#video.seeking || !this.#video.buffered.length || target === undefined) return;
    if (this.#video.paused) this.#begin(target);
    else this.#stayNear(target, hasAudio);
  }

  /** Starts at the newest and not where the last key frame was. */
  #begin(target) {
    const video = this.#video;
    const { buffered } = video;
    if (video.readyState < HTMLMediaElement.HAVE_METADATA) return;
    const [start, end] = [buffered.start(buffered.length - 1), buffered.end(buffered.length - 1)];
    // To get there takes a while, and what is shown then waits until its time has come.
    const position = Math.min(Math.max(start, target + LEAD), end - 0.01);
    if (position > video.currentTime + TOO_FAR || video.currentTime < start) {
      video.currentTime = position;
      return;
    }
    if (target + LEAD / 2 < video.currentTime) return;
    this.#began = seconds();
    video.play().then(this.#onPlaying, (error) => {
      // Audio needs a click first; muted video does not. Other errors mean that there is another source, or none.
      if (error.name !== "NotAllowedError" || video.muted) return;
      video.muted = true;
      video.play().then(this.#onPlaying, () => {});
    });
  }

  #stayNear(target, hasAudio) {
    const video = this.#video;
    const { buffered } = video;
    const [now, end] = [seconds(), buffered.end(buffered.length - 1)];
    const excess = target - video.currentTime;
    if (excess > JUMP) this.#lateSince ??= now;
    else if (excess < JUMP / 4) this.#lateSince = undefined;
    if (this.behind === undefined && end > video.currentTime) {
      // Nothing there, but behind it: what could not be bridged.
      this.#jump(Math.max(buffered.start(buffered.length - 1), end - 0.1));
    } else if (this.#lateSince !== undefined && (end > target || (now - this.#lateSince > PATIENCE && end > video.currentTime + JUMP))) {
      // What waited comes little by little: to where it ends, or to where it has got to.
      this.#jump(Math.min(target, end - 0.02));
    } else if (hasAudio && this.#hasUnderrun(now) && end > target) {
      // The more underruns there were the more audio browsers want before they go on; not behind a jump.
      this.#nudgedAt = now;
      this.#jump(Math.max(target, video.currentTime + 0.001));
    } else {
      this.#rate.adjust(excess, this.age < SETTLING, hasAudio);
    }
  }

  /** Whether it has stalled for want of something to play. */
  #hasUnderrun(now) {
    if (this.#video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) this.#underrunSince = undefined;
    else this.#underrunSince ??= now;
    return now - this.#underrunSince > UNDERRUN && now - this.#nudgedAt > NUDGE_EVERY;
  }

  #jump(time) {
    if (time <= this.#video.currentTime) return;
    [this.#lateSince, this.#underrunSince] = [undefined, undefined];
    this.#video.currentTime = time;
    this.#rate.reset();
  }
}
