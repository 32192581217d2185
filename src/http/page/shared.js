// What all parts of the page share: what the server has told, and how it is asked.

export const $ = (id) => document.getElementById(id);

export const state = {
  server: undefined,
  key: new URLSearchParams(location.search).get("key") ?? sessionStorage.getItem("key") ?? "",
  streams: [],
  videos: [],
  /** Something is shown large, and nothing else plays. */
  isLarge: false,
};

/** Tells those who use a screen reader. */
export const announce = (text) => { $("status").textContent = text; };

export const encodePath = (name) => name.split("/").map(encodeURIComponent).join("/");

/** A path with the key, if there is one, and more parameters. */
export function url(path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  if (state.key) query.set("key", state.key);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

const admin = new URLSearchParams(location.search).get("admin_key");

/** A path with the admin key, if the page's address has one. */
export const adminUrl = (path) => (admin ? `${path}?admin_key=${encodeURIComponent(admin)}` : path);

export const socketUrl = (path) => `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${url(path)}`;

const { compare } = new Intl.Collator(undefined, { numeric: true });

/** By their names as people count: 2 before 10. */
export const byName = (one, other) => compare(one.name, other.name);
