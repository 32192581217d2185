// Texts about streams and files, for people.

import { canPlayCodec } from "./media.js";

export function formatDuration(total) {
  const whole = Math.max(0, Math.round(total));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function formatAge(total) {
  if (total < 60) return `${Math.round(total)} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min`;
  if (total < 86_400) return `${Math.floor(total / 3600)} h ${Math.floor(total / 60) % 60} min`;
  return `${Math.floor(total / 86_400)} d ${Math.floor(total / 3600) % 24} h`;
}

const formatBytes = (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

const formatRate = (bits) => (bits < 1e6 ? `${Math.round(bits / 1e3)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`);

function mediaSummary({ video, audio, frames_per_second: fps }) {
  return [
    video?.width && `${video.width}×${video.height}`,
    fps > 0 && `${Math.round(fps)} fps`,
    [video?.name, audio?.name].filter(Boolean).join(" + "),
  ];
}

/** Facts behind each other; lines break between them only. */
export const joinFacts = (facts) => facts.filter(Boolean).map((fact) => fact.replaceAll(" ", "\u00a0")).join("\u00a0· ");

export function streamSummary(stream) {
  const viewers = stream.viewers === 1 ? "1 viewer" : `${stream.viewers} viewers`;
  const age = stream.age_seconds !== null && `on for ${formatAge(stream.age_seconds)}`;
  return joinFacts([...mediaSummary(stream), stream.bits_per_second > 0 && formatRate(stream.bits_per_second), viewers, age]);
}

export const fileSummary = (file) => joinFacts([...mediaSummary(file), formatBytes(file.bytes)]);

/** What stands in place of the video of a stream or file that has audio alone. */
export const audioOnlyNote = (item) => (item?.audio && !item.video ? "Audio only" : "");

/** The kinds of tracks, `video` and `audio`, that a stream or file has and this browser plays or does not play. */
export function playableKinds(item, arePlayed) {
  return ["video", "audio"].filter((kind) => item?.[kind] && canPlayCodec(kind, item[kind].codec) === arePlayed);
}

/** What a browser can't play of a stream or file, and what helps; nothing if it plays all of it. */
export function unplayableHint(item, script) {
  const unplayed = playableKinds(item, false);
  if (!unplayed.length) return "";
  const names = unplayed.map((kind) => item[kind].name).join(" and ");
  const wanted = unplayed.map((kind) => (kind === "video" ? "H.264" : "AAC")).join(" and ");
  return `${names} can't be played by this browser: ${script} --transcode makes ${wanted} of it`;
}

/** What is the matter with a stream, and what to set in its encoder; nothing if all is well. */
export function warningText(stream) {
  const text = stream?.warnings?.[0]?.text ?? "";
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** The script that pushes live streams that are no files. */
export const LIVE_SCRIPT = "push-ip-camera.sh";

/** The one that pushes files. */
export const FILE_SCRIPT = "push-file.sh";
