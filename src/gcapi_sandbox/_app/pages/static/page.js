// Refreshes the page every two seconds and changes only the nodes that differ, so that focus,
// selection and scroll position are kept. Without scripts the page reloads itself.
"use strict";

const REFRESH_MILLISECONDS = 2000;

function syncAttributes(now, next) {
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name)) now.removeAttribute(name);
  }
}

// The matching child: the one with the same id, or else the next one with the same node name.
function counterpart(parent, from, child) {
  if (child.id) return parent.querySelector(`:scope > [id="${CSS.escape(child.id)}"]`);
  return from && from.nodeName === child.nodeName && !from.id ? from : null;
}

function syncChildren(now, next) {
  let cursor = now.firstChild;
  for (const child of [...next.childNodes]) {
    const same = counterpart(now, cursor, child);
    if (!same) {
      now.insertBefore(child, cursor);
      continue;
    }
    if (same === cursor) cursor = cursor.nextSibling;
    else now.insertBefore(same, cursor);
    sync(same, child);
  }
  while (cursor) {
    const gone = cursor;
    cursor = cursor.nextSibling;
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
  const response = await fetch(location.href);
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  sync(document.querySelector("main"), fresh.querySelector("main"));
}

async function keepFresh() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The sandbox may be stopped, and may start again at the same address.
  }
  setTimeout(keepFresh, REFRESH_MILLISECONDS);
}

setTimeout(keepFresh, REFRESH_MILLISECONDS);
