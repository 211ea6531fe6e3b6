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
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details.print")) fold.open = true;
});
