// Keeps the page up to date: reads it again every two seconds and changes only what differs, so that
// focus, selection and scroll position stay. Without scripts the page reloads itself.
"use strict";

const PAUSE = 2000;

function syncAttributes(now, next) {
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name)) now.removeAttribute(name);
  }
}

// The child that stands for the same thing: by id where there is one, else the next of its kind.
function counterpart(parent, from, child) {
  if (child.id) return parent.querySelector(`:scope > [id="${CSS.escape(child.id)}"]`);
  return from && from.nodeName === child.nodeName && !from.id ? from : null;
}

function syncChildren(now, next) {
  let place = now.firstChild;
  for (const child of [...next.childNodes]) {
    const same = counterpart(now, place, child);
    if (!same) {
      now.insertBefore(child, place);
      continue;
    }
    if (same === place) place = place.nextSibling;
    else now.insertBefore(same, place);
    sync(same, child);
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function sync(now, next) {
  if (now.isEqualNode(next)) return;
  if (now.nodeType !== Node.ELEMENT_NODE) {
    now.nodeValue = next.nodeValue;
    return;
  }
  syncAttributes(now, next);
  syncChildren(now, next);
}

async function refresh() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  sync(document.querySelector("main"), fresh.querySelector("main"));
}

async function keepFresh() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The sandbox may have been stopped, and may come back at the same address.
  }
  setTimeout(keepFresh, PAUSE);
}

setTimeout(keepFresh, PAUSE);
