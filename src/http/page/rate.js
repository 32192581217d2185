// Brings a video that plays to where it should be, by playing faster or slower.

/** Off by less than this, in seconds, it is right. */
const RIGHT = 0.018;

/** Too near by less than this is right as well. */
const NEAR_ENOUGH = 0.03;

/** Off by more than this it plays at another rate until it is not: without audio, and with it. */
const FAR = 0.08;
const FAR_WITH_AUDIO = 0.15;

/** How much faster or slower: usually, and while nobody has got used to it. */
const STEP = 0.1;
const HURRY = 0.5;

/**
 * Other rates want a fifth of a second of audio at once in Chromium, which is more than there is close to the newest. For
 * short pulses they do with less. In milliseconds: how long such a pulse is, and how long it is until the next.
 */
const PULSE_MS = [40, 100];
const REST_MS = 500;

/** How many times in a row are taken together: clocks of videos are not even. */
const TOGETHER = 6;

export class RateControl {
  #video;
  #recent = [];
  #restsUntil = 0;
  #timer;

  constructor(video) {
    this.#video = video;
  }

  /** Plays as it should from here on. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#recent = [];
    this.#video.playbackRate = 1;
  }

  /** Says by how many seconds it is too late, whether there is a hurry, and whether there is audio. */
  adjust(excess, isHurry, withAudio) {
    this.#recent = [...this.#recent.slice(1 - TOGETHER), excess];
    if (this.#timer) return;
    const sorted = [...this.#recent].sort((one, other) => one - other);
    const usual = sorted[Math.floor(sorted.length / 2)];
    const size = Math.abs(usual);
    if (size > (withAudio ? FAR_WITH_AUDIO : FAR)) {
      const step = isHurry && (!withAudio || size > 2 * FAR_WITH_AUDIO) ? HURRY : STEP;
      this.#video.playbackRate = usual > 0 ? 1 + step : 1 - STEP;
    } else if (size < (usual > 0 ? RIGHT : NEAR_ENOUGH) || performance.now() < this.#restsUntil) {
      this.#video.playbackRate = 1;
    } else if (withAudio) {
      this.#pulse(usual);
    } else {
      this.#video.playbackRate = usual > 0 ? 1 + STEP / 2 : 1 - STEP / 2;
    }
  }

  #pulse(usual) {
    this.#video.playbackRate = usual > 0 ? 1 + HURRY : 1 - HURRY;
    const [least, most] = PULSE_MS;
    this.#timer = setTimeout(() => {
      this.reset();
      this.#restsUntil = performance.now() + REST_MS;
    }, Math.min(most, Math.max(least, (Math.abs(usual) / HURRY) * 1000)));
  }
}
