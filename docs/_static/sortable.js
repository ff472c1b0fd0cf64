// Sorts a table of class "sortable" by the column whose head is clicked: by
// number where a cell begins with one, otherwise by text.
document.addEventListener("DOMContentLoaded", () => {
  const keyOf = (row, column) => {
    const text = row.cells[column].textContent.trim().replaceAll(",", "");
    const number = parseFloat(text);
    return /^[\d.]/.test(text) ? number : text.toLowerCase();
  };
  const compare = (a, b) =>
    typeof a === typeof b
      ? (a < b ? -1 : a > b ? 1 : 0)
      : (typeof a === "number" ? -1 : 1);

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.querySelectorAll("thead th")];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const descending = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => {
          const order = compare(keyOf(a, column), keyOf(b, column));
          return descending ? -order : order;
        });
        body.append(...rows);
      });
    });
  }
});
