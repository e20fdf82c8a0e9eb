/** Keeps the document and the videos of this tab in the browser (IndexedDB), so that a reload brings them back. */

const KEPT_TABS = 6;

function tabName() {
  try {
    const known = sessionStorage.getItem("tab");
    const name = known ?? `tab-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    sessionStorage.setItem("tab", name);
    return name;
  } catch {
    return "tab";
  }
}

const tab = tabName();
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("sketch2video-studio", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("tabs");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Keep a value for this tab. */
export async function keep(value) {
  try {
    const store = (await open()).transaction("tabs", "readwrite").objectStore("tabs");
    await done(store.put({ at: Date.now(), value }, tab));
  } catch {
    // Private windows may have no storage: the page works without.
  }
}

/** What this tab kept last, or, in a new tab, what any tab kept last; null if there is nothing. */
export async function kept() {
  try {
    const store = (await open()).transaction("tabs", "readwrite").objectStore("tabs");
    const [names, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    const newest = names.map((name, i) => ({ name, ...values[i] })).sort((a, b) => b.at - a.at);
    for (const old of newest.slice(KEPT_TABS)) store.delete(old.name);
    return (newest.find((each) => each.name === tab) ?? newest[0])?.value ?? null;
  } catch {
    return null;
  }
}
