// Shows another slice without a reload, and keeps the address in step, so that a refresh shows the same slice.
"use strict";

const AXES = { a: "axial", c: "coronal", s: "sagittal" };
const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };

function showSlice(form) {
  const radio = form.querySelector("input[name=axis]:checked");
  const range = form.elements.slice;
  const count = Number(radio.dataset.count);
  range.max = count - 1;
  const index = Math.min(Number(range.value), count - 1);
  const image = form.querySelector("img");
  image.src = `/_pages/slices/${form.dataset.image}/${radio.value}/${index}.png`;
  image.alt = `${radio.value[0].toUpperCase()}${radio.value.slice(1)} slice ${index + 1} of ${count}`;
  form.querySelector("output").textContent = `${index + 1} of ${count}`;
  history.replaceState(null, "", `?axis=${radio.value}&slice=${index}`);
}

document.addEventListener("input", ({ target }) => {
  const form = target.closest(".slices");
  if (form) showSlice(form);
});

document.addEventListener("keydown", (event) => {
  const form = document.querySelector(".slices");
  if (!form?.elements.slice || event.altKey || event.ctrlKey || event.metaKey) return;
  const step = STEPS[event.key];
  if (step && event.target === document.body) {
    form.elements.slice.value = Number(form.elements.slice.value) + step;
    showSlice(form);
    event.preventDefault();
  }
  const radio = form.querySelector(`input[value="${AXES[event.key]}"]`);
  if (!radio) return;
  radio.checked = true;
  form.elements.slice.max = radio.dataset.count - 1;
  form.elements.slice.value = Math.floor(radio.dataset.count / 2);
  form.elements.slice.focus();
  showSlice(form);
});
