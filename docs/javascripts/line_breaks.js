// Lets names of code break after dots, underscores, slashes and small letters before a capital, rather than anywhere.
"use strict";

function allowBreaks() {
  const places = ".md-typeset :not(pre) > code, .md-typeset :is(h1, h2, h3, h4)";
  for (const element of document.querySelectorAll(places)) {
    if (element.querySelector("wbr")) continue;
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      const words = text.data.split(/(?<=[._/])(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])/);
      const parts = words.flatMap((word) => [document.createElement("wbr"), word]).slice(1);
      if (words.length > 1) text.replaceWith(...parts);
    }
  }
}

if (window.document$) window.document$.subscribe(allowBreaks);
else document.addEventListener("DOMContentLoaded", allowBreaks);
