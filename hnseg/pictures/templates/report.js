for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
    const column = head.cellIndex, up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");  // what is undefined stays last
      const numbers = !isNaN(x) && !isNaN(y);
      const order = numbers ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
      return up ? order : -order;
    });
    body.append(...rows);
  });
}
// A table that is larger than its box says so, for it may end at the edge of a column or a row.
function tellMore(box) {
  const right = box.scrollWidth > box.clientWidth + 1, below = box.scrollHeight > box.clientHeight + 1;
  const said = box.previousElementSibling?.matches("p.more") ? box.previousElementSibling : null;
  if (!right && !below) return said?.remove();
  const note = said ?? document.createElement("p");
  const where = [...(right ? ["columns to the right"] : []), ...(below ? ["rows below"] : [])].join(" and ");
  note.className = "more";
  note.textContent = `More ${where}: swipe or scroll within the table, or reach it with Tab and press the arrow keys.`;
  if (!said) box.before(note);
}
const watch = new ResizeObserver(entries => entries.forEach(entry => tellMore(entry.target)));
for (const table of document.querySelectorAll(".scroll > table")) watch.observe(table.parentElement);
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details.print")) fold.open = true;
});
