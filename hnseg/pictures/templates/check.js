const form = document.getElementById("filter"), home = document.getElementById("cases");
const articles = [...home.children], rows = new Map([...document.querySelectorAll("#table tbody tr")].map(row => [row.dataset.id, row]));
const words = new Map(articles.map(article => [article.dataset.id, [article.dataset.center, ...[article.querySelector("h3"), ...article.querySelectorAll("li, p")].map(part => part.textContent)].join(" ").toLowerCase()]));
function apply() {
  const data = new FormData(form), wanted = new Set(data.getAll("worst")), text = data.get("text").trim().toLowerCase();
  let count = 0;
  for (const article of articles) {
    const show = wanted.has(article.dataset.worst) && words.get(article.dataset.id).includes(text);
    article.hidden = rows.get(article.dataset.id).hidden = !show;
    count += show;
  }
  document.getElementById("shown").textContent = `${count} of ${articles.length} shown`;
}
function arrange() {
  const key = form.order.value;
  const compare = { worst: (a, b) => a.dataset.rank - b.dataset.rank, id: (a, b) => a.dataset.id.localeCompare(b.dataset.id, undefined, { numeric: true }),
    center: (a, b) => a.dataset.center.localeCompare(b.dataset.center) || a.dataset.rank - b.dataset.rank }[key];
  home.append(...[...articles].sort(compare));
}
form.addEventListener("input", apply);
form.order.addEventListener("change", arrange);
form.addEventListener("submit", event => event.preventDefault());
apply();
