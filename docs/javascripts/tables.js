// Gives each cell of a table the name of its column, which narrow screens show instead of the head.
"use strict";

function label() {
  for (const table of document.querySelectorAll(".md-typeset table:not([class])")) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, index) => (cell.dataset.label = heads[index] ?? ""));
    }
  }
}

if (window.document$) window.document$.subscribe(label);
else document.addEventListener("DOMContentLoaded", label);
