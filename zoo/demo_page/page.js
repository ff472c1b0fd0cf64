// The page holds all pictures, as data URLs. It sends them with each question
// to the server of this machine and draws what comes back.

const byId = (id) => document.getElementById(id);
const classes = []; // Of {name, pictures, card}.
const query = { picture: null };
let opening; // What the server said first.
let timer; // Of the next question.
let asking = false; // Whether a question is being answered.
let again = false; // Whether the page has changed since it was asked.
let drawn = null; // What the map shows.

// An element with properties and children; text is never read as HTML.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function colour(k) {
  return opening.colours[k % opening.colours.length];
}

function coloured(made, k) {
  made.style.setProperty("--class", colour(k));
  return made;
}

function complain(text) {
  delete byId("problem").dataset.answer;
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

// The server's answer, or an Error with a text for the user.
async function send(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The program does not answer: was it ended?");
  }
  const found = await response.json().catch(() => ({
    error: "The program failed; its terminal says why.",
  }));
  if (!response.ok) throw new Error(found.error);
  return found;
}

// A canvas for black strokes on white; `drawn` is called after each stroke.
function drawingPad(label, drawn) {
  const size = 320;
  const canvas = element("canvas", { width: size, height: size });
  canvas.setAttribute("aria-label", label);
  const context = canvas.getContext("2d");
  let last = null;
  const pad = {
    canvas,
    empty: true,
    url: () => canvas.toDataURL("image/png"),
    clear() {
      context.fillStyle = "#fff";
      context.fillRect(0, 0, size, size);
      pad.empty = true;
    },
  };
  function to(event) {
    const box = canvas.getBoundingClientRect();
    const point = [
      ((event.clientX - box.left) / box.width) * size,
      ((event.clientY - box.top) / box.height) * size,
    ];
    context.beginPath();
    context.moveTo(...(last || point));
    context.lineTo(...point);
    context.stroke();
    last = point;
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    context.lineWidth = size * 0.05;
    context.lineCap = context.lineJoin = "round";
    pad.empty = false;
    to(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const parts = event.getCoalescedEvents?.() ?? [];
    (parts.length ? parts : [event]).forEach(to);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      if (!last) return;
      last = null;
      drawn();
    });
  }
  pad.clear();
  return pad;
}

// Files that the user chose, as small pictures; those that are none are named.
async function read(files, use) {
  complain("");
  const problems = [];
  for (const file of files) {
    try {
      const path = "/picture?name=" + encodeURIComponent(file.name);
      use((await send(path, { method: "POST", body: file })).picture);
    } catch (error) {
      problems.push(error.message);
    }
  }
  if (problems.length) complain(problems.join("\n"));
}

function uploadButton(label, multiple, use) {
  const input = element("input", { type: "file", accept: "image/*", multiple });
  input.addEventListener("change", async () => {
    await read([...input.files], use);
    input.value = "";
  });
  return element("label", { className: "upload" }, label, input);
}

function takesFiles(card, use) {
  card.addEventListener("dragover", (event) => {
    event.preventDefault();
    card.classList.add("over");
  });
  card.addEventListener("dragleave", () => card.classList.remove("over"));
  card.addEventListener("drop", (event) => {
    event.preventDefault();
    card.classList.remove("over");
    read([...event.dataTransfer.files], use);
  });
}

function addClass(name, pictures = []) {
  const one = { name, pictures };
  const input = element("input", {
    value: name, placeholder: name, maxLength: 60,
  });
  input.setAttribute("aria-label", "Name of the class");
  input.addEventListener("input", () => {
    one.name = input.value.trim() || input.placeholder;
    askSoon();
  });
  const forget = element("button", {
    type: "button", className: "forget", title: "Remove this class",
    textContent: "✕",
    onclick: () => {
      classes.splice(classes.indexOf(one), 1);
      redraw();
    },
  });
  const use = (picture) => {
    one.pictures.push(picture);
    redraw();
  };
  one.thumbs = element("div", { className: "thumbs" });
  const upload = uploadButton("Upload", true, use);
  const buttons = element("div", { className: "buttons" });
  const body = element("div", { className: "body" });
  if (opening.drawings) {
    const prompt = element("span", {
      className: "prompt", textContent: "draw here",
    });
    const add = element("button", {
      type: "button", className: "main add", textContent: "Add",
      disabled: true,
      onclick: () => {
        const picture = pad.url();
        pad.clear();
        refresh();
        use(picture);
      },
    });
    const clear = element("button", {
      type: "button", textContent: "Clear", disabled: true,
      onclick: () => {
        pad.clear();
        refresh();
      },
    });
    const refresh = () => {
      add.disabled = clear.disabled = pad.empty;
      prompt.hidden = !pad.empty;
    };
    const pad = drawingPad("Draw an example of this class", refresh);
    body.append(element("div", { className: "pad" }, pad.canvas, prompt));
    buttons.append(add, clear);
  }
  buttons.append(upload);
  body.append(element("div", { className: "side" }, buttons, one.thumbs));
  one.card = element(
    "div", { className: "card class" },
    element("div", { className: "title" }, input, forget), body,
  );
  takesFiles(one.card, use);
  classes.push(one);
}

// The name of the first letter that no class has.
function freeName() {
  const names = new Set(classes.map((one) => one.name));
  for (let number = 1; ; number++) {
    if (!names.has(`class ${number}`)) return `class ${number}`;
  }
}

function makeQuery() {
  const image = element("img", { hidden: true, alt: "The new picture" });
  const prompt = element("span", {
    className: "prompt",
    textContent: opening.drawings ? "draw here" : "a photograph",
  });
  const seen = element("div", { id: "seen", hidden: true });
  const show = (picture, uploaded) => {
    query.picture = picture;
    image.hidden = !uploaded;
    if (uploaded) image.src = picture;
    prompt.hidden = Boolean(picture);
    clear.disabled = !picture;
    if (!picture) seen.hidden = true;
    if (pad) pad.canvas.hidden = !image.hidden;
    askSoon();
  };
  const clear = element("button", {
    type: "button", id: "clear", textContent: "Clear", disabled: true,
    onclick: () => {
      pad?.clear();
      show(null, false);
    },
  });
  const pad = opening.drawings
    ? drawingPad("Draw a new picture", () => show(pad.url(), false))
    : null;
  const use = (picture) => {
    pad?.clear();
    show(picture, true);
  };
  const frame = element("div", { className: "pad" }, image, prompt);
  if (pad) frame.prepend(pad.canvas);
  const buttons = element(
    "div", { className: "buttons" }, uploadButton("Upload", false, use), clear,
  );
  const side = element("div", { className: "side" }, buttons, seen);
  byId("query").append(element("div", { className: "body" }, frame, side));
  takesFiles(byId("query"), use);
}

function thumb(one, i) {
  const remove = element("button", {
    type: "button", title: "Remove this example", textContent: "×",
    onclick: () => {
      one.pictures.splice(i, 1);
      redraw();
    },
  });
  const alt = `Example ${i + 1} of ${one.name}`;
  return element(
    "div", { className: "thumb" },
    element("img", { src: one.pictures[i], alt }), remove,
  );
}

// The classes anew, and a question about them.
function redraw() {
  classes.forEach((one, k) => {
    coloured(one.card, k);
    one.thumbs.replaceChildren(...one.pictures.map((_, i) => thumb(one, i)));
  });
  const cards = classes.map((one) => one.card);
  // Moving a card would end what is typed in it.
  const there = [...byId("classes").children];
  there.filter((card) => !cards.includes(card)).forEach((card) => card.remove());
  byId("classes").append(...cards.filter((card) => !there.includes(card)));
  byId("add-class").disabled = classes.length >= opening.mostClasses;
  askSoon();
}

function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(ask, 200);
}

// One question at a time, the last about the page as it then is.
async function ask() {
  again = asking;
  if (asking) return;
  asking = true;
  document.body.classList.add("busy");
  // Kept, since the places in the answer refer to it.
  const asked = {
    classes: classes.map(({ name, pictures }) => ({
      name, pictures: [...pictures],
    })),
    query: query.picture,
  };
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(asked);
  try {
    const found = await send("/answer", { method: "POST", headers, body });
    if (byId("problem").dataset.answer) complain("");
    show(found, asked);
  } catch (error) {
    complain(error.message);
    byId("problem").dataset.answer = "yes";
    byId("found").hidden = true;
    byId("missing").textContent = "";
  } finally {
    asking = false;
    document.body.classList.remove("busy");
  }
  if (again) ask();
}

function show(found, asked) {
  const then = asked.classes;
  byId("missing").textContent = found.missing;
  byId("missing").hidden = !found.missing;
  byId("found").hidden = found.label === null;
  showSeen(found.seen);
  if (found.label !== null) {
    coloured(byId("verdict"), found.label);
    byId("label").textContent = then[found.label].name;
    byId("confidence").textContent = `${percent(found.confidence)} sure`;
    byId("calibrated").textContent = found.calibrated
      ? "Calibrated on the examples, each left out in turn."
      : "The model’s own confidence, which is often too high." +
        (opening.embeds ? " Two examples of each class calibrate it." : "");
    byId("probabilities").replaceChildren(
      ...found.probabilities.slice(0, 5).map(([k, p]) => bar(then[k].name, k, p)),
    );
    byId("nearest-part").hidden = !found.nearest;
    byId("nearest").replaceChildren(
      ...(found.nearest ?? []).map((one) => near(one, then)),
    );
  }
  drawn = { found, asked };
  showMap();
}

function percent(share) {
  if (share > 0.9995) return ">99.9%";
  return `${(share * 100).toFixed(share < 0.0995 || share > 0.9 ? 1 : 0)}%`;
}

function bar(name, k, share) {
  const inside = element("i");
  inside.style.width = `${share * 100}%`;
  return coloured(
    element(
      "li", {},
      element("span", { className: "name", textContent: name }),
      element("span", { className: "bar" }, inside),
      element("span", { className: "percent", textContent: percent(share) }),
    ),
    k,
  );
}

function near(one, then) {
  const { name, pictures } = then[one.class];
  const alt = `Example ${one.picture + 1} of ${name}`;
  return coloured(
    element(
      "figure", {},
      element("img", { src: pictures[one.picture], alt }),
      element(
        "figcaption", {}, name, element("br"),
        element("small", { textContent: one.distance.toPrecision(3) }),
      ),
    ),
    one.class,
  );
}

function showSeen(picture) {
  const seen = byId("seen");
  seen.hidden = !picture;
  if (!picture) return;
  seen.replaceChildren(
    element("img", { src: picture, alt: "" }),
    element("small", { textContent: "as the model sees it" }),
  );
}

// An element of the map; `text` is its content, a title is shown on hovering.
function shape(tag, attributes, text = "", title = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.textContent = text;
  if (title) made.append(shape("title", {}, title));
  return made;
}

function showMap() {
  if (!drawn) return;
  const { found, asked: { classes: then, query: picture } } = drawn;
  const map = byId("map");
  map.toggleAttribute("hidden", !found.map);
  byId("map-note").textContent = !opening.embeds
    ? "This model makes no embeddings: it has no map and no nearest examples."
    : found.map
      ? "The dots are the places; a picture is moved where it would cover " +
        "another."
      : "Pictures that the model finds alike will lie close together here.";
  if (!found.map) return;
  const width = Math.max(map.parentElement.clientWidth - 24, 240);
  const height = Math.min(width, 430);
  map.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const marks = placed(found.map, width, height);
  const size = Math.max(18, Math.min(38, 280 / Math.sqrt(marks.length)));
  spread(marks, size, width, height);
  const new_ = marks.find((mark) => mark.k === null);
  const parts = new_ ? lines(found.nearest, marks, new_) : [];
  for (const mark of marks) {
    if (mark === new_) continue;
    const { name, pictures } = then[mark.k];
    parts.push(...stamp(mark, pictures[mark.i], size, colour(mark.k), 2, name));
  }
  if (new_) parts.push(...stamp(new_, picture, size * 1.25, "#111", 3.5, "new"));
  parts.push(...marks.map(dot), ...names(marks, then, size));
  if (new_) {
    const y = new_.y + size * 0.62 + 15;
    parts.push(shape("text", { x: new_.x, y, class: "name" }, "new"));
  }
  const [across, up] = found.map.axes;
  parts.push(shape("text", { x: 2, y: height - 3, class: "axis" }, `→ ${across}`));
  parts.push(shape("text", { x: 2, y: 13, class: "axis" }, `↑ ${up}`));
  map.replaceChildren(...parts);
}

// The examples and the new picture (k is null) in the map, both axes by one
// factor: `left` and `top` are where they lie, `x` and `y` where they are drawn.
function placed({ points, query: new_ }, width, height) {
  const all = points.map(([k, i, ...point]) => ({ k, i, point }));
  if (new_) all.push({ k: null, point: new_ });
  const [xs, ys] = [0, 1].map((axis) => all.map(({ point }) => point[axis]));
  const middle = (values) => (Math.max(...values) + Math.min(...values)) / 2;
  const extent = (values) => Math.max(...values) - Math.min(...values) || 1e-9;
  const factor = Math.min(
    (width - 90) / extent(xs), (height - 130) / extent(ys), 1e9,
  );
  for (const mark of all) {
    const [x, y] = mark.point;
    mark.x = mark.left = width / 2 + (x - middle(xs)) * factor;
    mark.y = mark.top = height / 2 - (y - middle(ys)) * factor;
  }
  return all;
}

// Moves pictures that cover each other apart; the new one stays.
function spread(marks, size, width, height) {
  const clamp = (value, end) =>
    Math.min(Math.max(value, size / 2 + 20), end - size / 2 - 20);
  for (let round = 0; round < 60; round++) {
    for (const [n, one] of marks.entries()) {
      for (const other of marks.slice(n + 1)) {
        const wanted = size * (other.k === null ? 1.25 : 1.1);
        const [x, y] = [one.x - other.x, one.y - other.y];
        const near = wanted - Math.max(Math.abs(x), Math.abs(y));
        if (near <= 0) continue;
        // Equal places part in directions that differ.
        const length = Math.hypot(x, y);
        const angle = length > 1e-6 ? Math.atan2(y, x) : n;
        const share = other.k === null ? 0 : 0.5;
        for (const [mark, push] of [[one, share - 1], [other, share]]) {
          mark.x = clamp(mark.x - (push * near * Math.cos(angle)) / 2, width);
          mark.y = clamp(mark.y - (push * near * Math.sin(angle)) / 2, height);
        }
      }
    }
  }
}

// Lines from the new picture to its nearest examples.
function lines(nearest, marks, new_) {
  return nearest.slice(0, 3).map((one) => {
    const mark = marks.find(({ k, i }) => k === one.class && i === one.picture);
    return shape("line", {
      x1: new_.x, y1: new_.y, x2: mark.x, y2: mark.y, stroke: "#7b8494",
      "stroke-width": 1.5, "stroke-dasharray": "4 4",
    });
  });
}

// The place where an example or the new picture lies.
function dot({ k, left, top }) {
  return shape("circle", {
    cx: left, cy: top, r: 3.5, fill: k === null ? "#111" : colour(k),
    stroke: "#fff",
  });
}

// A picture in a frame, tied to its place.
function stamp({ x, y, left, top }, picture, size, stroke, thick, title) {
  const box = { x: x - size / 2, y: y - size / 2, width: size, height: size };
  const frame = { ...box, rx: 4, fill: "none", stroke, "stroke-width": thick };
  const tie = { x1: x, y1: y, x2: left, y2: top, stroke, opacity: 0.6 };
  return [
    shape("line", tie),
    shape("rect", { ...box, rx: 4, fill: "#fff" }),
    shape("image", { ...box, href: picture }, "", title),
    shape("rect", { ...frame, "pointer-events": "none" }),
  ];
}

// The name of each class above its highest picture.
function names(marks, then, size) {
  const tops = new Map();
  for (const mark of marks) {
    if (mark.k === null) continue;
    if (!(mark.y >= tops.get(mark.k)?.y)) tops.set(mark.k, mark);
  }
  return [...tops].map(([k, { x, y }]) =>
    shape(
      "text", { x, y: y - size / 2 - 6, class: "name" }, then[k].name,
    ),
  );
}

async function start() {
  opening = await send("/opening");
  byId("model").textContent = opening.model;
  byId("hint").textContent = opening.drawings
    ? "Draw or upload a few examples of each class, then a new picture."
    : "Upload a few photographs of each class, then a new one.";
  makeQuery();
  for (const { name, pictures } of opening.classes) addClass(name, pictures);
  while (classes.length < 2) addClass(freeName());
  byId("add-class").addEventListener("click", () => {
    addClass(freeName());
    redraw();
  });
  // A file dropped beside a card would replace the page.
  for (const name of ["dragover", "drop"]) {
    window.addEventListener(name, (event) => event.preventDefault());
  }
  window.addEventListener("resize", showMap);
  redraw();
}

start().catch((error) => complain(error.message));
