// What is wider than its column scrolls; whoever uses a keyboard reaches it with Tab, while it does.
const scrollers = document.querySelectorAll(".table-wrapper, .highlight pre, .formula, .math-wrapper");
const names = { "table-wrapper": "Table", formula: "Formula" };

function updateFocus(element) {
  if (element.scrollWidth > element.clientWidth) {
    element.tabIndex = 0;
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", names[element.classList[0]] ?? "Code");
  } else {
    for (const name of ["tabindex", "role", "aria-label"]) element.removeAttribute(name);
  }
}

const observer = new ResizeObserver((entries) => entries.forEach((entry) => updateFocus(entry.target)));
scrollers.forEach((element) => observer.observe(element));
document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
