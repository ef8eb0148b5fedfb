/**
 * The image panel's view: an anywidget front end without framework or build step.
 *
 * All state comes from Python. A view keeps only what is being typed, painted, focused and scrolled, so
 * several views of one model agree, and a reloaded page gets everything back by saying hello.
 *
 * Python's answers reach every view. What must happen once (a download, a new cell, the painter opening)
 * happens only in the view that asked: see `asked` in `createContext`.
 *
 * Prompts, errors and names are foreign text: they become text nodes and attribute values, never markup.
 */

const TYPING_PAUSE = 150; // ms without a key before the form is sent
const PATIENCE = 1500; // ms without a word from the kernel until that is said
const GREETING = 2000; // ms until an unanswered hello is said again, then twice as many, and so on
const PAINTED = 128; // the alpha from which a pixel of the mask counts as painted
// Jupyter's server closes the kernel's connection on a message above 10 MiB: stay well below.
const BYTES_SENT = 9 * 2 ** 20;
const IMAGE_HEIGHT = "min(60vh, 560px)";

// ---------------------------------------------------------------------------------------- elements

/** Make an element. A function in `props` is a listener, a boolean toggles, anything else is an attribute. */
function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const makeButton = (text, click, props = {}) =>
  make("button", { type: "button", class: "imagegen-button", click, ...props }, text);

const makeRow = (...children) => make("div", { class: "imagegen-row" }, ...children);

/** A part's title is no heading: nobody knows the level of the headings around a widget. */
const makeTitle = (text, props = {}) => make("p", { class: "imagegen-title", ...props }, text);

const makeOption = (value, text = value) => make("option", { value }, text);

/** A control with its label above. */
function makeField(label, control, ...rest) {
  return make("div", { class: "imagegen-field" }, make("label", { for: control.id }, label), control, ...rest);
}

/** A text field with a button. `submit` is called with what is written there, if anything; Enter does so too. */
function makeSubmit(ui, label, text, submit, placeholder) {
  const input = make("input", { id: ui.id(), type: "text", placeholder, autocomplete: "off", spellcheck: "false" });
  const done = () => (input.value.trim() ? submit(input.value.trim(), input) : input.focus());
  input.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && done());
  return { input, root: make("div", { class: "imagegen-adder" }, makeField(label, input), makeButton(text, done)) };
}

/** Set text only where it differs: a live region speaks whenever its text is set. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set a control's value only where it differs, so that the caret stays. What a list lacks is added to it. */
function setValue(control, value) {
  if (control.value === value) return;
  const lacks = control.tagName === "SELECT" && ![...control.options].some((one) => one.value === value);
  if (lacks) control.append(makeOption(value));
  control.value = value;
}

/** Make `nodes` the children of `parent`, moving as few as can be: a moved node loses focus and caret. */
function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, at) => {
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null);
  });
}

/** Take the focus, unless somebody types meanwhile, here or in a cell: an answer may come late. Return whether. */
function takeFocus(node) {
  const typing = document.activeElement?.matches("input, textarea, select, [contenteditable=true]");
  if (!typing) node.focus({ preventScroll: true });
  return !typing;
}

/** Run `act` only where `value` is not what it was at the last call. */
function onChange(act) {
  let last;
  return (value) => {
    const now = JSON.stringify(value);
    if (now === last) return;
    last = now;
    act(value);
  };
}

/** Let an image fill the width, but neither grow above `widest` nor above the height for images. */
function fit(node, width, height, widest = "100%") {
  const ratio = width / height || 1;
  node.style.aspectRatio = `${ratio}`;
  node.style.width = `min(100%, ${widest}, calc(${IMAGE_HEIGHT} * ${ratio}))`;
}

const cut = (text, length = 300) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

const clock = (seconds) =>
  seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

/** Say whether an event is the second of a double click, or of a key that is held: it must not pay twice. */
const isSecond = (event) => event?.detail > 1 || Boolean(event?.repeat);

/** An id as one refers to it in a prompt or a field: `@3.1`. */
const reference = (label) => (label.startsWith("@") ? label : `@${label}`);

// ----------------------------------------------------------------------------------------- context

/** Chinese or English: the browser decides, and where it says nothing, Python's environment. */
function chooseLanguage(fromPython) {
  const page = document.documentElement.lang;
  const browser = /^zh/i.test(page) ? page : navigator.languages?.[0];
  return /^zh/i.test(browser || fromPython || "") ? "zh" : "en";
}

/** The images an `<img>` shows, as Blob URLs that are revoked when replaced or dropped. */
function createImages() {
  const urls = new Map();
  const drop = (image) => {
    URL.revokeObjectURL(urls.get(image));
    urls.delete(image);
    image.removeAttribute("src");
  };
  const show = (image, bytes, mime) => {
    drop(image);
    urls.set(image, URL.createObjectURL(new Blob([bytes], { type: mime })));
    image.src = urls.get(image);
  };
  return { show, drop, clear: () => [...urls.keys()].forEach(drop) };
}

/** What all parts of one view share. */
function createContext(model) {
  const language = chooseLanguage(model.get("language"));
  const labels = model.get("labels") ?? {};
  const view = Math.random().toString(36).slice(2, 10); // a page may hold many views, and many copies of this module
  let ids = 0;
  const t = (key, values = {}) =>
    (labels[language]?.[key] ?? labels.en?.[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const ui = {
    model,
    language,
    t,
    send: (content, buffers) => {
      try {
        model.send({ ...content, view }, undefined, buffers);
      } catch {
        ui.lost(); // the kernel was restarted, or is gone
      }
    },
    lost: () => {},
    images: createImages(),
    id: () => `imagegen-${view}-${++ids}`,
    optionLabel: (name) => labels[language]?.[`option.${name}`] ?? name.replaceAll("_", " ").trim(),
    /** Say whether an answer is to what this view asked. */
    asked: (content) => content.view === view,
  };
  return ui;
}

// -------------------------------------------------------------------------------------------- form

/** What may be typed, as a list to choose from. Behind a comma it goes on: "low," offers "low,high". */
function createChoices(ui, input) {
  const list = make("datalist", { id: ui.id() });
  let choices = [];
  const fill = onChange(([before, all]) => {
    const taken = new Set(before.split(/[,，]/).map((one) => one.trim()));
    list.replaceChildren(...all.filter((one) => !taken.has(one)).map((one) => makeOption(before + one)));
  });
  const offer = () => fill([/^(.*[,，]\s*)?/.exec(input.value)[0], choices]);
  input.setAttribute("list", list.id);
  for (const type of ["input", "focus"]) input.addEventListener(type, offer);
  const set = (now) => {
    choices = now;
    offer();
  };
  return { list, set };
}

/** Return the field of one option, as Python describes it. */
function createControl(ui, { name, kind, choices, low, high, help, configured, lists }) {
  const known = String(configured ?? "");
  const title = [help, lists && ui.t("lists")].filter(Boolean).join(" · ");
  const common = { id: ui.id(), "data-name": name, title };
  const label = ui.optionLabel(name);
  if (kind === "flag") {
    const named = { true: ui.t("yes"), false: ui.t("no") };
    const value = named[known.toLowerCase()] ?? known;
    const first = makeOption("", known ? ui.t("configured", { value }) : ui.t("default"));
    return makeField(label, make("select", common, first, ...Object.entries(named).map((one) => makeOption(...one))));
  }
  // No input of type number: it can hold neither "default" nor a list, and turns what is no number into nothing.
  const bounds = kind === "number" && [low, high].every((one) => Math.abs(one) < 1e6) ? `${low}–${high}` : "";
  const placeholder = known || bounds || (choices ?? []).join(", ");
  const typed = { ...common, type: "text", placeholder, autocomplete: "off", spellcheck: "false" };
  const input = make("input", typed);
  if (kind !== "suggest") return makeField(label, input);
  const offered = createChoices(ui, input);
  offered.set(choices);
  return makeField(label, input, offered.list);
}

const controlOf = (field) => field.querySelector("input, select");

/** Prompt, options and other fields: everything that is typed. */
function createForm(ui, generate) {
  const large = { class: "imagegen-prompt", rows: "3", placeholder: ui.t("prompt.hint") };
  const prompt = make("textarea", { id: ui.id(), ...large });
  const other = make("textarea", { id: ui.id(), rows: "2", placeholder: ui.t("other.hint"), spellcheck: "false" });
  const endpoint = make("select", { id: ui.id(), "data-name": "endpoint" }, makeOption("", ui.t("default")));
  const endpointField = makeField(ui.optionLabel("endpoint"), endpoint);
  const modelField = createControl(ui, { name: "model", kind: "text", lists: true });
  const offered = createChoices(ui, controlOf(modelField));
  modelField.append(offered.list);
  const basic = make("div", { class: "imagegen-grid" }, endpointField, modelField);
  const rest = make("div", { class: "imagegen-grid" });
  const summary = make("summary", {}, ui.t("more"));
  const more = make("details", { class: "imagegen-more" }, summary, rest, makeField(ui.t("other"), other));
  const hint = make("p", { class: "imagegen-hint" }, ui.t("lists"));
  const root = make("section", { class: "imagegen-form" }, makeField(ui.t("prompt"), prompt), basic, hint, more);

  const fields = new Map([["model", modelField]]); // by option name
  let kept = {}; // values by option name; outlives controls that come and go with endpoint and model
  let timer = 0;
  let typed = false;

  const controls = () => [...fields].map(([name, field]) => [name, controlOf(field)]);

  function read() {
    const values = controls().map(([name, control]) => [name, control.value.trim()]);
    const options = Object.fromEntries(values.filter(([, value]) => value));
    return { prompt: prompt.value, endpoint: endpoint.value, options, other: other.value };
  }

  /** Return the form for an action. */
  function take() {
    clearTimeout(timer);
    timer = 0;
    return read();
  }

  function push() {
    clearTimeout(timer);
    timer = 0;
    ui.send({ do: "form", form: read() });
  }

  function grow() {
    prompt.style.height = "auto";
    if (prompt.scrollHeight) prompt.style.height = `${prompt.scrollHeight + 2}px`;
  }

  function fill({ form, view, hello }) {
    // No hello must undo what is being typed here, be it another view's, or one's own that is answered late.
    if (ui.asked({ view }) ? hello && typed : timer) return;
    clearTimeout(timer);
    timer = 0;
    kept = { ...form.options };
    setValue(prompt, form.prompt ?? "");
    setValue(endpoint, form.endpoint ?? "");
    setValue(other, form.other ?? "");
    for (const [name, control] of controls()) setValue(control, kept[name] ?? "");
    grow();
  }

  const showEndpoints = onChange((endpoints) => {
    const chosen = endpoint.value;
    const named = endpoints.some(({ name }) => name === "") ? [] : [makeOption("", ui.t("default"))];
    endpoint.replaceChildren(...named, ...endpoints.map(({ name, label }) => makeOption(name, label ?? name)));
    setValue(endpoint, chosen);
  });

  /** Keep the field of a control whose description is what it was: it may be the one being typed in. */
  const showControls = onChange((specs) => {
    for (const [name, control] of controls()) kept[name] = control.value;
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;
    const before = new Map(fields);
    const placed = { true: [endpointField, modelField], false: [] };
    fields.clear();
    fields.set("model", modelField);
    for (const spec of specs.filter(({ name }) => name !== "model" && name !== "endpoint")) {
      const description = JSON.stringify(spec);
      const old = before.get(spec.name);
      const field = old?.dataset.description === description ? old : createControl(ui, spec);
      field.dataset.description = description;
      setValue(controlOf(field), kept[spec.name] ?? "");
      fields.set(spec.name, field);
      placed[Boolean(spec.basic)].push(field);
    }
    arrange(basic, placed.true);
    arrange(rest, placed.false);
    if (focused && !root.contains(document.activeElement)) {
      root.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
  });

  root.addEventListener("input", () => {
    typed = true;
    clearTimeout(timer);
    timer = setTimeout(push, TYPING_PAUSE);
  });
  endpoint.addEventListener("change", push);
  controlOf(modelField).addEventListener("change", push);
  prompt.addEventListener("input", grow);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    generate(event);
  });

  function update({ endpoints = [], models = [], model = "", controls: specs = [] }) {
    controlOf(modelField).placeholder = model;
    showEndpoints(endpoints);
    offered.set(models);
    showControls(specs);
  }

  const focus = () => prompt.focus({ preventScroll: true });
  return { root, fill, take, update, focus, close: () => timer && push() };
}

// ------------------------------------------------------------------------------------------ inputs

/** Images as chips: a small thumb, the name and a button that removes it. */
function createChips(ui, target, fallback) {
  const root = make("ul", { class: "imagegen-chips", hidden: true });
  const chips = new Map(); // by key

  function createChip({ key, name, width, height }) {
    const image = make("img", { class: "imagegen-chip-thumb", alt: "" });
    const said = ui.t("remove", { name });
    const cross = { class: "imagegen-button imagegen-remove", "aria-label": said, title: said };
    const remove = makeButton("", () => ui.send({ do: "remove", target, key }), cross);
    const size = width && height ? ` ${width}×${height}` : "";
    const label = make("span", { class: "imagegen-chip-name", title: name + size }, name);
    ui.send({ do: "thumbs", keys: [key] });
    return { root: make("li", { class: "imagegen-chip" }, image, label, remove), image };
  }

  const update = onChange((items) => {
    const focused = root.contains(document.activeElement);
    const keys = new Set(items.map(({ key }) => key));
    for (const [key, { image }] of chips) {
      if (keys.has(key)) continue;
      ui.images.drop(image);
      chips.delete(key);
    }
    for (const item of items) if (!chips.has(item.key)) chips.set(item.key, createChip(item));
    arrange(root, items.map(({ key }) => chips.get(key).root));
    root.hidden = !items.length;
    if (focused && !root.contains(document.activeElement)) (root.querySelector("button") ?? fallback).focus();
  });

  function thumb({ key, mime }, bytes) {
    if (chips.has(key)) ui.images.show(chips.get(key).image, bytes, mime);
  }

  return { root, update, thumb };
}

/** What an edit starts from: images and a mask, by upload, drop, paste or name. */
function createInputs(ui) {
  const add = (target) => (text) => ui.send({ do: "add", target, text });
  const images = makeSubmit(ui, ui.t("start.field"), ui.t("add"), add("image"), ui.t("start.example"));
  const masks = makeSubmit(ui, ui.t("mask.field"), ui.t("add"), add("mask"), ui.t("mask.example"));
  const imageChips = createChips(ui, "image", images.input);
  const maskChips = createChips(ui, "mask", masks.input);
  const said = make("p", { class: "imagegen-hint", role: "status" });
  let held = { images: 0, mask: undefined };

  async function upload(target, files) {
    setText(said, "");
    for (const file of files) {
      const { name } = file;
      if (file.size > BYTES_SENT) {
        setText(said, ui.t("large", { name, limit: BYTES_SENT / 2 ** 20 }));
        continue;
      }
      try {
        ui.send({ do: "upload", target, name }, [await file.arrayBuffer()]);
      } catch {
        setText(said, ui.t("unread", { name }));
      }
    }
  }

  /** A button that opens the browser's file dialog: the file input itself cannot be styled nor translated. */
  function createUpload(target, text, multiple) {
    const input = make("input", { type: "file", accept: "image/*", multiple, hidden: true, "aria-label": text });
    input.addEventListener("change", async () => {
      await upload(target, [...input.files]);
      input.value = ""; // the same file may be chosen again
    });
    return [makeButton(text, () => input.click()), input];
  }

  const paint = makeButton(ui.t("mask.paint"), () => ui.send({ do: "paint", key: "" }));
  const lower = makeRow(paint, ...createUpload("mask", ui.t("mask.upload"), false), masks.root);
  const maskProps = { class: "imagegen-mask", role: "group", "aria-label": ui.t("mask") };
  const maskRow = make("div", maskProps, makeTitle(ui.t("mask")), maskChips.root, lower);
  const title = makeTitle(ui.t("start"), { id: ui.id() });
  const hint = make("p", { class: "imagegen-hint" }, ui.t("start.hint"));
  const upper = makeRow(...createUpload("image", ui.t("upload"), true), images.root);
  // tabindex -1: a click on the bare area focuses it, so that a paste arrives here.
  const props = { class: "imagegen-inputs", tabindex: "-1", hidden: true, "aria-labelledby": title.id };
  const root = make("section", props, title, hint, imageChips.root, upper, said, maskRow);

  const over = (event, on) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    root.classList.toggle("imagegen-over", on);
  };
  root.addEventListener("dragover", (event) => over(event, true));
  root.addEventListener("dragleave", (event) => over(event, false));
  root.addEventListener("drop", (event) => {
    over(event, false);
    upload("image", [...(event.dataTransfer?.files ?? [])]);
  });
  root.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith("image/"));
    if (!files.length) return; // text goes where the caret is
    event.preventDefault();
    event.stopPropagation();
    upload("image", files);
  });

  function update({ accepts = {}, images: images = [], mask = null }) {
    root.hidden = !accepts.images;
    maskRow.hidden = !accepts.mask || !images.length;
    if (images.length > held.images) images.input.value = ""; // what was refused stays, to be mended
    if (mask && mask.key !== held.mask) masks.input.value = "";
    held = { images: images.length, mask: mask?.key };
    imageChips.update(images);
    maskChips.update(mask ? [mask] : []);
  }

  function thumb(content, bytes) {
    imageChips.thumb(content, bytes);
    maskChips.thumb(content, bytes);
  }

  return { root, update, thumb };
}

// ------------------------------------------------------------------------------------------ status

/** The running job, and what Python last said. */
function createStatus(ui, retry) {
  const doing = make("span", {}, ui.t("waiting"));
  const note = make("p", { class: "imagegen-text imagegen-note", hidden: true });
  const live = make("div", { role: "status", "aria-live": "polite" }, doing, note);
  // Outside the live region: what changes every second is of no use to anyone when read aloud.
  const line = make("span", { class: "imagegen-text" });
  const elapsed = make("span", { class: "imagegen-elapsed" });
  const bar = make("div", { class: "imagegen-bar", "aria-hidden": "true", hidden: true });
  const partial = make("img", { class: "imagegen-partial", alt: ui.t("partial"), hidden: true });
  const errorText = make("span", { class: "imagegen-text" });
  const sign = make("span", { "aria-hidden": "true" }, "⚠ ");
  const errorLine = make("p", { class: "imagegen-error" }, make("strong", {}, sign, `${ui.t("error")}: `), errorText);
  const alert = make("div", { role: "alert" });
  const again = makeButton(ui.t("retry"), retry, { hidden: true });
  const job = make("div", { class: "imagegen-job" }, line, elapsed);
  const root = make("section", { class: "imagegen-status" }, live, job, bar, partial, alert, again);
  let started = null; // on the browser's clock

  const seconds = () => Math.max(0, Math.floor((performance.now() - started) / 1000));
  const tick = () => setText(elapsed, started === null ? "" : clock(seconds()));
  const timer = setInterval(tick, 1000);

  function dropPartial() {
    ui.images.drop(partial);
    partial.hidden = true;
  }

  function showJob(running) {
    bar.hidden = !running;
    const next = started !== null && running?.elapsed + 2 < seconds(); // the clock went back: another job
    if (!running || next) dropPartial();
    started = running ? performance.now() - (running.elapsed ?? 0) * 1000 : null;
    const queued = running?.queued ? ` · ${ui.t("queued", { count: running.queued })}` : "";
    setText(doing, running ? `${ui.t("working")}…${queued}` : "");
    setText(line, running?.line ?? "");
    job.hidden = !running;
    tick();
  }

  const showMessage = onChange((message) => {
    const error = message?.kind === "error";
    note.hidden = !message || error;
    setText(note, note.hidden ? "" : message.text);
    note.classList.toggle("imagegen-done", message?.kind === "done");
    const plan = message?.kind === "plan"; // it has columns, and may be long: it scrolls
    note.classList.toggle("imagegen-plan", plan);
    note.tabIndex = plan ? 0 : -1;
    setText(errorText, error ? message.text : "");
    alert.replaceChildren(...(error ? [errorLine] : []));
    again.hidden = !message?.retry;
  });

  function progress({ line: text, elapsed: at, mime }, bytes) {
    if (started === null) return; // too late: the job has ended
    if (at !== undefined) started = performance.now() - at * 1000;
    if (text) setText(line, text);
    tick();
    if (!bytes) return;
    ui.images.show(partial, bytes, mime);
    partial.hidden = false;
  }

  function update({ job = null, message = null }) {
    showJob(job);
    showMessage(message);
  }

  const wait = () => setText(doing, ui.t("waiting"));
  return { root, update, progress, wait, close: () => clearInterval(timer) };
}

// -------------------------------------------------------------------------------------------- cell

/** Insert a code cell below the panel's own: JupyterLab 4 and Notebook 7 only. Return whether that worked. */
function insertCell(model, source) {
  try {
    const notebook = model.widget_manager?.context?.model?.sharedModel;
    const own = model.get("cell_id");
    const at = own ? [...(notebook?.cells ?? [])].findIndex((cell) => (cell.id ?? cell.getId?.()) === own) : -1;
    if (at < 0) return false;
    notebook.insertCell(at + 1, { cell_type: "code", source, metadata: {} });
    return true;
  } catch {
    return false;
  }
}

/** Copy text; without a secure context or leave to use the clipboard, by way of what is selected in `area`. */
async function copyText(area) {
  try {
    await navigator.clipboard.writeText(area.value);
    return true;
  } catch {
    return document.activeElement === area && document.execCommand("copy");
  }
}

/** The request as a cell: shown, copied, and inserted where the front end can. */
function createCellText(ui) {
  const area = make("textarea", { id: ui.id(), class: "imagegen-code", readonly: true, spellcheck: "false" });
  const said = make("p", { class: "imagegen-hint", role: "status" });
  const close = makeButton(ui.t("cell.close"), () => (root.hidden = true));
  const field = makeField(ui.t("cell.text"), area);
  const root = make("section", { class: "imagegen-cell", hidden: true }, field, said, close);

  async function show({ text, view }) {
    if (!ui.asked({ view })) return;
    root.hidden = false;
    area.value = text;
    area.rows = Math.min(12, Math.max(2, text.split("\n").length));
    if (takeFocus(area)) area.select(); // which would take it by itself
    const inserted = insertCell(ui.model, text);
    const copied = await copyText(area);
    const done = [inserted && ui.t("cell.inserted"), copied && ui.t("cell.copied")].filter(Boolean);
    setText(said, done.join(" ") || ui.t("cell.select"));
  }

  return { root, show };
}

// ------------------------------------------------------------------------------------------- strip

/** The thumbnails of the session: one tab stop, arrow keys within. `chosen` is told of a tile that is pressed. */
function createStrip(ui, chosen) {
  const empty = make("p", { class: "imagegen-hint" }, ui.t("empty"));
  const grid = make("div", { class: "imagegen-strip", role: "group", "aria-label": ui.t("images"), hidden: true });
  const root = make("section", {}, empty, grid);
  const entries = new Map(); // by key: { tile, button, image, label }
  let selected = null;
  let stop = null; // the button that the tab key reaches

  // A thumb is asked for when its button comes into view: a session may hold hundreds.
  const observer = new IntersectionObserver(
    (seen) => {
      const come = seen.filter(({ isIntersecting }) => isIntersecting).map(({ target }) => target);
      for (const target of come) observer.unobserve(target);
      if (come.length) ui.send({ do: "thumbs", keys: come.map(({ dataset }) => dataset.key) });
    },
    { root: grid, rootMargin: "100px" },
  );

  function moveStop(button) {
    if (stop) stop.tabIndex = -1;
    stop = button ?? null;
    if (stop) stop.tabIndex = 0;
  }

  function createEntry(key) {
    const image = make("img", { alt: "", class: "imagegen-thumb" });
    const label = make("span", { class: "imagegen-label" });
    const props = { class: "imagegen-tile", tabindex: "-1", "aria-pressed": "false", "data-key": key };
    const button = make("button", { type: "button", ...props, click: () => chosen(key) }, image, label);
    observer.observe(button);
    return { button, image, label };
  }

  function describe(entry, tile) {
    entry.tile = tile;
    setText(entry.label, tile.label);
    entry.button.setAttribute("aria-label", `${tile.label}: ${cut(tile.prompt ?? "")}`);
  }

  function remove(key) {
    const entry = entries.get(key);
    if (!entry) return;
    observer.unobserve(entry.button);
    ui.images.drop(entry.image);
    if (entry.button === stop) moveStop(entry.button.nextElementSibling ?? entry.button.previousElementSibling);
    if (key === selected) selected = null;
    entry.button.remove();
    entries.delete(key);
    showEmpty();
  }

  function showEmpty() {
    empty.hidden = entries.size > 0;
    grid.hidden = !entries.size;
  }

  /** Put a tile into its place: those of a sweep come in any order. */
  function place({ button, tile }) {
    let before = grid.lastElementChild;
    while (before && entries.get(before.dataset.key).tile.number > tile.number) before = before.previousElementSibling;
    if (before) before.after(button);
    else grid.prepend(button);
  }

  /** Add what is new and update what is there; with `reset`, also remove what is not among `tiles`. */
  function put(tiles, reset) {
    const keys = new Set(tiles.map(({ key }) => key));
    if (reset) [...entries.keys()].filter((key) => !keys.has(key)).forEach(remove);
    const fresh = tiles.filter(({ key }) => !entries.has(key));
    for (const tile of tiles) {
      const entry = entries.get(tile.key) ?? createEntry(tile.key);
      describe(entry, tile);
      if (entries.has(tile.key)) continue;
      entries.set(tile.key, entry);
      place(entry);
    }
    showEmpty();
    if (!stop) moveStop(grid.lastElementChild);
    if (fresh.length) grid.scrollTop = grid.scrollHeight;
  }

  /** Scroll the strip, not the page, until a tile is seen. */
  function reveal({ offsetTop, offsetHeight }) {
    const lowest = offsetTop + offsetHeight + 8 - grid.clientHeight;
    grid.scrollTop = Math.min(Math.max(grid.scrollTop, lowest), offsetTop - 8);
  }

  function select(key) {
    entries.get(selected)?.button.setAttribute("aria-pressed", "false");
    selected = entries.has(key) ? key : null;
    if (selected === null) return;
    const { button } = entries.get(selected);
    button.setAttribute("aria-pressed", "true");
    moveStop(button);
    reveal(button);
  }

  function thumb({ key, mime }, bytes) {
    const entry = entries.get(key);
    if (!entry) return;
    observer.unobserve(entry.button);
    ui.images.show(entry.image, bytes, mime);
  }

  grid.addEventListener("keydown", (event) => {
    const buttons = [...grid.children];
    const at = buttons.indexOf(event.target);
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const arrows = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns };
    const places = { ...arrows, Home: 0, End: buttons.length - 1 };
    if (!(event.key in places)) return;
    event.preventDefault();
    buttons[places[event.key]]?.focus();
  });
  grid.addEventListener("focusin", ({ target }) => moveStop(target));

  const keys = () => [...grid.children].map(({ dataset }) => dataset.key); // in order
  const focus = () => stop?.focus({ preventScroll: true });
  const look = { keys, focus, get: (key) => entries.get(key), selected: () => selected };
  return { root, put, remove, select, thumb, ...look, close: () => observer.disconnect() };
}

// ------------------------------------------------------------------------------------------ viewer

/** The selected image, large, with what can be done with it. `strip` says which relatives can be shown. */
function createViewer(ui, strip, chosen) {
  const image = make("img", { class: "imagegen-large" });
  const caption = make("p", { class: "imagegen-text imagegen-caption" });
  const lineage = make("div", { class: "imagegen-row imagegen-lineage" });
  const { input: path, root: saveRow } = makeSubmit(ui, ui.t("save.path"), ui.t("save.do"), save);
  let tile = null;

  const act = (action) => (event) => isSecond(event) || ui.send({ do: action, key: tile.key });
  const use = makeButton(ui.t("use"), act("use"));
  const recall = () => ui.send({ do: "recall", key: tile.key });
  const download = () => ui.send({ do: "download", key: tile.key });
  const paint = makeButton(ui.t("mask.paint"), () => ui.send({ do: "paint", key: tile.key }));
  const saveToggle = makeButton(ui.t("save"), () => openSave(saveRow.hidden), { "aria-expanded": "false" });
  const actions = makeRow(
    use,
    makeButton(ui.t("recall"), recall, { title: ui.t("recall.help") }),
    makeButton(ui.t("rerun"), act("rerun")),
    paint,
    saveToggle,
    makeButton(ui.t("download"), download),
    makeButton(ui.t("hide"), act("hide")),
  );
  const stage = make("div", { class: "imagegen-stage" }, image);
  const props = { class: "imagegen-viewer", hidden: true, "aria-label": ui.t("image") };
  const root = make("section", props, stage, caption, lineage, actions, saveRow);

  function openSave(open) {
    saveRow.hidden = !open;
    saveToggle.setAttribute("aria-expanded", String(open));
    if (!open) return;
    path.value = `image-${tile.label.replace(/\W+/g, "-")}`; // no dot: what follows it would be a suffix
    path.focus({ preventScroll: true });
    path.select();
  }

  function save(text) {
    ui.send({ do: "save", key: tile.key, path: text });
    openSave(false);
    saveToggle.focus({ preventScroll: true });
  }

  /** A button that selects a relative, or its bare name where it is not in the strip. */
  function createRelative(key, say) {
    const label = strip.get(key)?.tile.label;
    if (label === undefined) return make("span", {}, say(reference(key)));
    return makeButton(say(reference(label)), () => chosen(key));
  }

  const showLineage = onChange(({ parents, children }) => {
    const focused = lineage.contains(document.activeElement);
    const from = parents.map(({ key }) => createRelative(key, (name) => ui.t("from", { name })));
    const edits = children.map(({ key }) => createRelative(key, (name) => name));
    lineage.replaceChildren(...from, ...(edits.length ? [ui.t("edits"), ...edits] : []));
    lineage.hidden = !lineage.childNodes.length;
    if (focused) strip.focus(); // the button that had it is gone
  });

  /** Write everything said of a tile. Labels count too: a relative may come to the strip later. */
  function describe(now) {
    tile = now;
    image.alt = cut(tile.prompt || tile.label);
    setText(caption, tile.caption ?? "");
    const named = (keys = []) => keys.map((key) => ({ key, label: strip.get(key)?.tile.label }));
    showLineage({ parents: named(tile.parents), children: named(tile.children) });
  }

  /** Show a tile: its thumb at once, the image itself as soon as Python hands it over. */
  function show(now, thumb) {
    root.hidden = !now;
    if (tile?.key !== now?.key) {
      ui.images.drop(image);
      openSave(false);
    }
    if (now && tile?.key !== now.key) {
      if (thumb.src) image.src = thumb.src;
      fit(image, now.width, now.height, now.width ? `${now.width}px` : undefined);
      ui.send({ do: "view", key: now.key });
    }
    if (now) describe(now);
    else tile = null;
  }

  function image({ key, mime, width, height }, bytes) {
    if (tile?.key !== key) return;
    if (width && height) fit(image, width, height, `${width}px`);
    ui.images.show(image, bytes, mime);
  }

  function update({ accepts = {} }) {
    use.disabled = !accepts.images;
    paint.disabled = !accepts.images || !accepts.mask;
  }

  return { root, show, image, update, busy: () => !saveRow.hidden };
}

// ----------------------------------------------------------------------------------------- painter

/** The operations of a mask, each drawn by one function; undo replays all but the last. */
const DRAW = {
  stroke(context, { erase, size, points }) {
    points.forEach((point, at) => drawSegment(context, erase, size, points[at - 1], point));
  },
  box(context, { erase, x, y, width, height }) {
    context.globalCompositeOperation = compositeOf(erase);
    context.fillRect(x, y, width, height);
  },
  invert(context) {
    context.globalCompositeOperation = "xor"; // of opaque paint: painted becomes bare, bare becomes painted
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  },
  clear(context) {
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  },
};

const compositeOf = (erase) => (erase ? "destination-out" : "source-over");

/** Draw a dot, and the line that leads to it. */
function drawSegment(context, erase, size, from, to) {
  context.globalCompositeOperation = compositeOf(erase);
  context.beginPath();
  context.arc(to.x, to.y, size / 2, 0, 2 * Math.PI);
  context.fill();
  if (!from) return;
  context.lineWidth = size;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x, to.y);
  context.stroke();
}

/** Hatching, so that a mask is not told by colour alone. Opaque: alpha says what is painted. */
function createHatching(context) {
  const side = Math.max(6, Math.round(Math.max(context.canvas.width, context.canvas.height) / 64));
  const cell = make("canvas", { width: side, height: side });
  const pen = cell.getContext("2d");
  pen.fillStyle = "#c2005f";
  pen.fillRect(0, 0, side, side);
  pen.strokeStyle = "#fff";
  pen.lineWidth = side / 5;
  for (const shift of [-side, 0, side]) {
    pen.moveTo(shift - 1, side + 1);
    pen.lineTo(shift + side + 1, -1);
  }
  pen.stroke();
  return context.createPattern(cell, "repeat");
}

/** Return a rectangle in whole pixels within the image, or null where none is left. */
function clip(canvas, { x, y, width, height }) {
  const left = Math.max(0, Math.floor(x));
  const top = Math.max(0, Math.floor(y));
  const right = Math.min(canvas.width, Math.ceil(x + width));
  const bottom = Math.min(canvas.height, Math.ceil(y + height));
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

/**
 * Return one bit a pixel, 1 where it may change: row by row, the leftmost in the highest bit, each row
 * filled up to whole bytes; and how many are 1.
 */
function readMask(context) {
  const { width, height } = context.canvas;
  const { data } = context.getImageData(0, 0, width, height);
  const stride = Math.ceil(width / 8);
  const bits = new Uint8Array(stride * height);
  let painted = 0;
  for (let at = 0; at < width * height; at += 1) {
    if (data[4 * at + 3] < PAINTED) continue;
    const x = at % width;
    bits[((at - x) / width) * stride + (x >> 3)] |= 0x80 >> (x & 7);
    painted += 1;
  }
  return { bits, painted };
}

/** Paint over an image what may change. `closed` is called when the painter goes away. */
function createPainter(ui, closed) {
  const image = make("img", { class: "imagegen-paint-image" });
  const canvas = make("canvas", { class: "imagegen-canvas", role: "img" });
  const ring = make("div", { class: "imagegen-ring", hidden: true }); // brush or box under the pointer
  const stage = make("div", { class: "imagegen-paint-stage" }, image, canvas, ring);
  const said = make("p", { class: "imagegen-hint", role: "status" });
  const size = make("input", { id: ui.id(), type: "range", min: "1", max: "100" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let marks = [];
  let current = null; // the stroke or box being drawn
  let counting = 0;

  const group = ui.id();
  const tools = ["brush", "erase", "box"].map((value) => {
    const radio = make("input", { type: "radio", name: group, value, id: ui.id(), checked: value === "brush" });
    return make("span", { class: "imagegen-radio" }, radio, make("label", { for: radio.id }, ui.t(`paint.${value}`)));
  });
  const toolRow = make("fieldset", {}, make("legend", {}, ui.t("paint.tool")), ...tools);
  const tool = () => toolRow.querySelector("input:checked").value;

  const numbers = ["x", "y", "width", "height"].map((name) =>
    make("input", { id: ui.id(), type: "number", min: "0", step: "1", "data-name": name }),
  );
  const numberFields = numbers.map((input) => makeField(ui.t(`paint.${input.dataset.name}`), input));
  const act = (name, click, props) => makeButton(ui.t(`paint.${name}`), click, props);
  const boxActs = [act("add", () => addBox(false)), act("subtract", () => addBox(true))];
  const numberRow = make("fieldset", {}, make("legend", {}, ui.t("paint.numbers")), ...numberFields, ...boxActs);
  const root = make(
    "section",
    { class: "imagegen-painter", hidden: true, "aria-label": ui.t("paint") },
    makeTitle(ui.t("paint")),
    make("p", { class: "imagegen-hint" }, ui.t("paint.help")),
    makeRow(toolRow, makeField(ui.t("paint.size"), size)),
    make("div", { class: "imagegen-stage" }, stage),
    makeRow(act("undo", undo), ...["clear", "invert"].map((type) => act(type, () => add({ type })))),
    numberRow,
    said,
    makeRow(act("use", useMask, { class: "imagegen-button imagegen-primary" }), act("close", close)),
  );

  function add(mark) {
    marks.push(mark);
    DRAW[mark.type](context, mark);
    count();
  }

  function undo() {
    marks.pop();
    DRAW.clear(context);
    for (const mark of marks) DRAW[mark.type](context, mark);
    count();
  }

  /** Say how much is painted, a little later: counting reads every pixel. */
  function count() {
    clearTimeout(counting);
    counting = setTimeout(() => {
      const share = (100 * readMask(context).painted) / (canvas.width * canvas.height);
      setText(said, ui.t("paint.share", { share: share.toFixed(1) }));
    }, 60);
  }

  function addBox(erase) {
    const [x, y, width, height] = numbers.map((input) => input.valueAsNumber || 0);
    const box = clip(canvas, { x, y, width, height });
    if (box) add({ type: "box", erase, ...box });
    else setText(said, ui.t("paint.no_box"));
  }

  function useMask() {
    clearTimeout(counting);
    const { bits, painted } = readMask(context);
    if (!painted) return setText(said, ui.t("paint.nothing"));
    ui.send({ do: "mask", width: canvas.width, height: canvas.height }, [bits]);
    close();
  }

  function close() {
    clearTimeout(counting);
    root.hidden = true;
    ui.images.drop(image);
    canvas.width = canvas.height = 1; // frees the memory
    closed();
  }

  const pointOf = ({ clientX, clientY }) => {
    const frame = canvas.getBoundingClientRect();
    const x = ((clientX - frame.left) * canvas.width) / frame.width;
    return { x, y: ((clientY - frame.top) * canvas.height) / frame.height };
  };

  const boxOf = ({ from, to }) => {
    const [x, y] = [Math.min(from.x, to.x), Math.min(from.y, to.y)];
    return { x, y, width: Math.abs(from.x - to.x), height: Math.abs(from.y - to.y) };
  };

  function showRing(point) {
    const radius = size.valueAsNumber / 2;
    const brush = { x: point.x - radius, y: point.y - radius, width: 2 * radius, height: 2 * radius };
    const { x, y, width, height } = current?.type === "box" ? boxOf(current) : brush;
    ring.hidden = tool() === "box" && !current;
    ring.classList.toggle("imagegen-round", current?.type !== "box");
    const share = (part, whole) => `${(100 * part) / whole}%`;
    const place = { left: share(x, canvas.width), top: share(y, canvas.height) };
    Object.assign(ring.style, { ...place, width: share(width, canvas.width), height: share(height, canvas.height) });
  }

  function press(event) {
    if (event.button !== 0 || current) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    const point = pointOf(event);
    const pointer = event.pointerId;
    if (tool() === "box") {
      current = { pointer, type: "box", from: point, to: point };
    } else {
      current = { pointer, type: "stroke", erase: tool() === "erase", size: size.valueAsNumber, points: [point] };
      DRAW.stroke(context, current);
    }
  }

  function move(event) {
    if (current && current.pointer !== event.pointerId) return;
    const point = pointOf(event);
    if (current?.type === "box") current.to = point;
    if (current?.type === "stroke") {
      drawSegment(context, current.erase, current.size, current.points.at(-1), point);
      current.points.push(point);
    }
    showRing(point);
  }

  function release(event) {
    if (current?.pointer !== event.pointerId) return;
    const mark = current;
    current = null;
    ring.hidden = true;
    if (mark.type === "stroke") {
      marks.push(mark); // drawn already
      return count();
    }
    const box = clip(canvas, boxOf(mark));
    if (box) add({ type: "box", erase: false, ...box });
  }

  const listeners = { pointerdown: press, pointermove: move, pointerup: release, pointercancel: release };
  for (const [name, listener] of Object.entries(listeners)) canvas.addEventListener(name, listener);
  canvas.addEventListener("pointerleave", () => (ring.hidden = true));

  function open({ name, mime, width, height }, bytes) {
    canvas.width = width;
    canvas.height = height;
    context.fillStyle = context.strokeStyle = createHatching(context);
    canvas.setAttribute("aria-label", ui.t("paint.canvas", { name }));
    image.alt = name;
    ui.images.show(image, bytes, mime);
    fit(stage, width, height);
    const longest = Math.max(canvas.width, canvas.height);
    size.max = String(Math.max(2, Math.round(longest / 3)));
    size.value = String(Math.max(1, Math.round(longest / 16)));
    marks = [];
    current = null;
    setText(said, "");
    root.hidden = false;
    const brush = toolRow.querySelector("[value=brush]");
    brush.checked = true;
    for (const input of numbers) input.value = "";
    takeFocus(brush);
    root.scrollIntoView({ block: "nearest" });
  }

  return { root, open, close: () => clearTimeout(counting) };
}

// ------------------------------------------------------------------------------------------- panel

/** Hand a file to the browser. */
function download({ mime, name }, bytes) {
  const url = URL.createObjectURL(new Blob([bytes], { type: mime }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads it after the click
}

function createPanel(ui) {
  let patience = 0;
  let greeting = 0;
  /** Say hello until the strip is told: a message may be lost while a page or a kernel is being connected. */
  function greet(pause = GREETING) {
    ui.send({ do: "hello" });
    greeting = setTimeout(greet, pause, 2 * pause);
  }
  const act = (action) => (event) => {
    if (isSecond(event)) return;
    clearTimeout(patience);
    cell.root.hidden = true; // of another request
    patience = setTimeout(status.wait, PATIENCE);
    ui.send({ do: action, form: ui.form.take() });
  };
  const generate = act("generate");
  const form = (ui.form = createForm(ui, generate));
  const inputs = createInputs(ui);
  const status = createStatus(ui, (event) => isSecond(event) || ui.send({ do: "retry" }));
  const cell = createCellText(ui);
  const strip = createStrip(ui, choose);
  const viewer = createViewer(ui, strip, choose);
  const painter = createPainter(ui, () => {
    viewerBox.hidden = false;
    opener?.focus({ preventScroll: true });
  });
  const cancel = makeButton(ui.t("cancel"), () => ui.send({ do: "cancel" }), { disabled: true });
  const primary = makeButton(ui.t("generate"), generate, { class: "imagegen-button imagegen-primary" });
  const others = ["cell", "dry_run"].map((action) => makeButton(ui.t(action), act(action)));
  const buttons = makeRow(primary, cancel, ...others);
  const viewerBox = make("div", {}, viewer.root);
  let opener = null; // what had the focus when the painter opened

  function paint(content, bytes) {
    opener = document.activeElement;
    viewerBox.hidden = true;
    painter.open(content, bytes);
  }

  function refresh() {
    const entry = strip.get(strip.selected());
    viewer.show(entry?.tile, entry?.image);
  }

  function choose(key) {
    strip.select(key);
    refresh();
  }

  /** What Python says, by its `is`. */
  const receive = {
    state(state) {
      clearTimeout(patience);
      const focused = document.activeElement;
      form.update(state);
      inputs.update(state);
      status.update(state);
      viewer.update(state);
      cancel.disabled = !state.job;
      // A button that goes away under the finger hands the focus on, or the keyboard starts at the page's top.
      const ours = children.some((part) => part.contains(focused));
      if (ours && (focused.disabled || focused.hidden)) primary.focus({ preventScroll: true });
    },
    /** No kernel answers any more: say so, and what to do. */
    lost() {
      clearTimeout(greeting);
      status.update({ message: { kind: "error", text: ui.t("lost") } });
      primary.disabled = cancel.disabled = true;
    },
    form: form.fill,
    progress: status.progress,
    tiles({ tiles = [], reset = false, select = null }) {
      if (reset) clearTimeout(greeting);
      strip.put(tiles, reset);
      const stays = select === null || viewer.busy(); // what is being saved is not replaced by a new one
      if (stays && strip.selected() !== null) refresh(); // a relative may be among the new ones
      else choose(select ?? strip.keys().at(-1));
    },
    gone({ key }) {
      const at = strip.keys().indexOf(key);
      const focused = viewer.root.contains(document.activeElement) || strip.root.contains(document.activeElement);
      strip.remove(key);
      const left = strip.keys();
      if (strip.selected() === null) choose(left[at] ?? left.at(-1));
      else refresh(); // a relative may be the one that went
      if (focused) (left.length ? strip : form).focus();
    },
    thumbs({ thumbs }, _, buffers) {
      thumbs.forEach((one, at) => [strip, inputs].forEach((part) => part.thumb(one, buffers[at])));
    },
    image(content, bytes) {
      if (content.for === "view") viewer.image(content, bytes);
      if (content.for === "download" && ui.asked(content)) download(content, bytes);
      if (content.for === "paint" && ui.asked(content)) paint(content, bytes);
    },
    cell: cell.show,
  };

  const children = [form.root, inputs.root, buttons, status.root, cell.root, viewerBox, painter.root, strip.root];
  const close = () => {
    clearTimeout(greeting);
    [form, status, strip, painter].forEach((part) => part.close());
  };
  return { children, receive, greet, close };
}

function render({ model, el }) {
  const ui = createContext(model);
  const panel = createPanel(ui);
  // JupyterLab leaves keys alone under this attribute; other front ends must not see them bubble.
  const hear = (event) => {
    event.stopPropagation();
    if (event.repeat && event.key === "Enter" && event.target.tagName === "BUTTON") event.preventDefault(); // a held key presses once
  };
  const keys = { "data-lm-suppress-shortcuts": "true", keydown: hear };
  const props = { class: "imagegen-panel", lang: ui.language, role: "group", "aria-label": ui.t("panel") };
  const root = make("div", { ...props, ...keys }, ...panel.children);
  const listen = (content, buffers) => panel.receive[content.is]?.(content, buffers?.[0], buffers);
  ui.lost = () => panel.receive.lost();
  model.on("msg:custom", listen);
  model.on("comm_live_update", ui.lost);
  el.append(root);
  panel.greet();
  return () => {
    model.off("msg:custom", listen);
    model.off("comm_live_update", ui.lost);
    panel.close();
    ui.images.clear();
    root.remove();
  };
}

export default { render };
