"use strict";

// The form answers without leaving the page, and keeps what was typed for the next visit.
const form = document.querySelector(".sign-up");
const answer = form.querySelector(".answer");
const mail = form.elements.mail;

mail.value = localStorage.getItem("mail") || "";

form.addEventListener("submit", (event) => {
  event.preventDefault();
  localStorage.setItem("mail", mail.value);
  answer.hidden = false;
  answer.textContent = "Thank you: we shall write to " + mail.value + ".";
});

// One question open at a time.
const questions = [...document.querySelectorAll(".question")];
for (const question of questions) {
  question.addEventListener("toggle", () => {
    if (question.open) {
      for (const other of questions) {
        other.open = other === question;
      }
    }
  });
}

// The part in view is marked in the menu.
const links = new Map([...document.querySelectorAll(".top nav a")].map((link) => [link.hash.slice(1), link]));
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      links.forEach((link, id) => link.toggleAttribute("aria-current", id === entry.target.id));
    }
  }
}, { rootMargin: "-40% 0px -50% 0px" });
links.forEach((_, id) => watcher.observe(document.getElementById(id)));
