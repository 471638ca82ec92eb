"use strict";

for (const conversation of document.querySelectorAll(".conversation")) {
  const steps = [...conversation.querySelectorAll("a.step")];

  function open(step, focus) {
    for (const other of steps) other.removeAttribute("aria-current");
    for (const panel of conversation.querySelectorAll(".detail.open")) panel.classList.remove("open");
    step.setAttribute("aria-current", "true");
    document.getElementById(step.getAttribute("href").slice(1)).classList.add("open");
    if (focus) step.focus();
  }

  conversation.addEventListener("click", (event) => {
    const step = event.target.closest("a.step");
    if (step === null) return;
    event.preventDefault();
    open(step, false);
  });

  conversation.addEventListener("keydown", (event) => {
    const at = steps.indexOf(event.target.closest("a.step"));
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: steps.length - 1}[event.key];
    if (at < 0 || to === undefined || steps[to] === undefined) return;
    event.preventDefault();
    open(steps[to], true);
  });
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "copied";
    } catch {
      // a page from the disk may have no clipboard: leave the text selected
      select(source);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
}
