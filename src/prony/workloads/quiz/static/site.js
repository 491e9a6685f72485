"use strict";

// The pages are the same for everybody; what is the student's own is added here.
function showMe() {
  const place = document.getElementById("me");
  fetch("/me/", { credentials: "same-origin" })
    .then((answer) => (answer.ok ? answer.json() : null))
    .then((me) => {
      if (me && me.attempts) place.textContent = `Your progress (${me.attempts})`;
    })
    .catch(() => {}); // the header does without it
}

// A form with questions left out asks once before it is handed in.
function watchForm(form) {
  let asked = false;
  form.addEventListener("submit", (event) => {
    const open = [...form.querySelectorAll("fieldset")].filter((f) => !f.querySelector(":checked"));
    open.forEach((f) => f.classList.add("left-out"));
    if (open.length && !asked) {
      asked = true;
      event.preventDefault();
      open[0].scrollIntoView({ behavior: "smooth" });
    }
  });
}

showMe();
document.querySelectorAll("form.quiz").forEach(watchForm);
