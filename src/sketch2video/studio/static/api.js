/** The server's API. Every failure is an Error with one line to show. */

/** This page, to the server: a newer painting of the same client replaces an older one. */
export const CLIENT = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

export class Unreachable extends Error {}

async function send(method, path, { body, form, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : form,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The studio does not answer. Start it again with sketch2video studio; nothing is lost here.");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  const detail = typeof answer?.detail === "string" ? answer.detail : null;
  throw new Error(detail ?? `The studio answered with an error (${response.status}).`);
}

async function call(method, path, request) {
  const response = await send(method, path, request);
  return response.status === 204 ? null : response.json();
}

const name = encodeURIComponent;

export const models = () => call("GET", "/api/models");
export const draw = (request, signal) => call("POST", "/api/draw", { body: request, signal });
export const fitStroke = (points, closed = null) => call("POST", "/api/fit/stroke", { body: { points, closed } });
export const equation = (request) => call("POST", "/api/equation", { body: request });
export const exported = async (format, request) => (await send("POST", `/api/export/${name(format)}`, { body: request })).blob();
export const frames = (job) => call("GET", `/api/frames/${name(job)}`);

/** Sketch and fit a picture or clip. */
export function fitFile(file, { frames: count, fps }) {
  const form = new FormData();
  form.append("file", file);
  const query = new URLSearchParams({ frames: String(count), fps: String(fps) });
  return call("POST", `/api/fit/file?${query}`, { form });
}

export const startPaint = (request) => call("POST", "/api/paint", { body: { ...request, client: CLIENT } });
export const stopPaint = (job) => call("DELETE", `/api/paint/${name(job)}`);

/**
 * Follow a painting.
 *
 * @param {string} job its id
 * @param {(progress: {stage: string, step: number, steps: number}) => void} onProgress
 * @param {AbortSignal} signal ends following; the painting goes on
 * @returns {Promise<{kind: "done" | "failed" | "dropped" | "cancelled"} & object>} how it ended
 */
export function follow(job, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`/api/paint/${name(job)}/events`);
    const end = (finish, value) => {
      source.close();
      finish(value);
    };
    let failures = 0;
    source.addEventListener("progress", (event) => {
      failures = 0;
      onProgress(JSON.parse(event.data));
    });
    for (const kind of ["done", "failed", "dropped", "cancelled"]) {
      source.addEventListener(kind, (event) => end(resolve, { ...JSON.parse(event.data || "{}"), kind }));
    }
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED || ++failures > 2) {
        end(reject, new Unreachable("The connection to the studio broke off while it painted."));
      }
    });
    signal.addEventListener("abort", () => end(resolve, { kind: "left" }), { once: true });
  });
}

export const gallery = {
  list: () => call("GET", "/api/gallery"),
  item: (key) => call("GET", `/api/gallery/${name(key)}`),
  frames: (key) => call("GET", `/api/gallery/${name(key)}/frames`),
  remove: (key) => call("DELETE", `/api/gallery/${name(key)}`),
  file: (key, kind) => `/api/gallery/${name(key)}/${name(kind)}`,
};
