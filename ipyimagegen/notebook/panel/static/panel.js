/**
 * A view of the image panel: an anywidget front end without framework or build step.
 *
 * All state comes from Python. A view keeps only what is being typed, painted, focused and scrolled: several
 * views of a model agree, and a reloaded page gets everything back by sending hello.
 *
 * Python's messages reach every view. What must happen once (a download, a new cell, the painter opening)
 * happens only in the view that requested it: see `isOwn` in `createContext`.
 *
 * Prompts, errors and names come from outside: they become text nodes and attribute values, never markup.
 */

const TYPING_PAUSE = 150; // ms without a key before the form is sent
const PATIENCE = 1500; // ms without a message from the kernel until the panel says that it waits
const GREETING = 2000; // ms until hello is sent again when no answer came; the pause doubles each time
const PAINTED = 128; // the alpha from which a pixel of the mask is painted
// Jupyter's server closes the connection of the kernel on a message above 10 MiB.
const UPLOAD_LIMIT = 9 * 2 ** 20;
const IMAGE_HEIGHT = "min(60vh, 560px)";

// ---------------------------------------------------------------------------------------- elements

/** Make an element. In `props` a function is a listener, a boolean toggles, anything else is an attribute. */
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

/** Make the title of a part; not a heading, as the level of the headings around a widget is unknown. */
const makeTitle = (text, props = {}) => make("p", { class: "imagegen-title", ...props }, text);

const makeOption = (value, text = value) => make("option", { value }, text);

/** Make a control with its label above. */
function makeField(label, control, ...rest) {
  return make("div", { class: "imagegen-field" }, make("label", { for: control.id }, label), control, ...rest);
}

/** Make a text field with a button. The button and Enter call `submit` with the text, unless it is empty. */
function makeSubmit(ui, label, text, submit, placeholder) {
  const input = make("input", { id: ui.id(), type: "text", placeholder, autocomplete: "off", spellcheck: "false" });
  const finish = () => (input.value.trim() ? submit(input.value.trim()) : input.focus());
  input.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && finish());
  return { input, root: make("div", { class: "imagegen-adder" }, makeField(label, input), makeButton(text, finish)) };
}

/** Set a text where it differs: a screen reader speaks a live region whenever its text is set. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set the value of a control where it differs, so that the caret stays; add it to a list that lacks it. */
function setValue(control, value) {
  if (control.value === value) return;
  const lacks = control.tagName === "SELECT" && ![...control.options].some((option) => option.value === value);
  if (lacks) control.append(makeOption(value));
  control.value = value;
}

/** Make `nodes` the children of `parent` and move few of them: a moved node loses focus and caret. */
function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, at) => {
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null);
  });
}

/** Focus a node, unless the user is typing, here or in a cell, as an answer may come late. Return whether. */
function takeFocus(node) {
  const typing = document.activeElement?.matches("input, textarea, select, [contenteditable=true]");
  if (!typing) node.focus({ preventScroll: true });
  return !typing;
}

/** Return a function that calls `act` when its value differs from that of the last call. */
function onChange(act) {
  let last;
  return (value) => {
    const json = JSON.stringify(value);
    if (json === last) return;
    last = json;
    act(value);
  };
}

/** Let an image fill the width, at most `widest` wide and IMAGE_HEIGHT high. */
function fitSize(node, width, height, widest = "100%") {
  const ratio = width / height || 1;
  node.style.aspectRatio = `${ratio}`;
  node.style.width = `min(100%, ${widest}, calc(${IMAGE_HEIGHT} * ${ratio}))`;
}

const truncate = (text, length = 300) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

const formatTime = (seconds) =>
  seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

/** Return whether an event is the second click of a double click or a held key, which must not pay twice. */
const isRepeat = (event) => event?.detail > 1 || Boolean(event?.repeat);

/** Return an id as a field refers to it: `@3.1`. */
const toReference = (label) => (label.startsWith("@") ? label : `@${label}`);

// ----------------------------------------------------------------------------------------- context

/** Return zh or en: of the page, else of the browser, else of Python's environment. */
function chooseLanguage(fromPython) {
  const page = document.documentElement.lang;
  const browser = /^zh/i.test(page) ? page : navigator.languages?.[0];
  return /^zh/i.test(browser || fromPython || "") ? "zh" : "en";
}

/** Show bytes in `<img>` elements, as Blob URLs that are revoked when replaced or dropped. */
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

/** Return what all parts of a view share. */
function createContext(model) {
  const language = chooseLanguage(model.get("language"));
  const labels = model.get("labels") ?? {};
  const view = Math.random().toString(36).slice(2, 10); // a page may hold many views and copies of this module
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
        ui.lost(); // the kernel was restarted or is gone
      }
    },
    lost: () => {},
    images: createImages(),
    id: () => `imagegen-${view}-${++ids}`,
    optionLabel: (name) => labels[language]?.[`option.${name}`] ?? name.replaceAll("_", " ").trim(),
    /** Return whether a message answers this view. */
    isOwn: (content) => content.view === view,
  };
  return ui;
}

// -------------------------------------------------------------------------------------------- form

/** Offer words for a text field. After a comma the list goes on: "low," offers "low,high". */
function createChoices(ui, input) {
  const list = make("datalist", { id: ui.id() });
  let choices = [];
  const fill = onChange(([before, all]) => {
    const used = new Set(before.split(/[,，]/).map((word) => word.trim()));
    list.replaceChildren(...all.filter((word) => !used.has(word)).map((word) => makeOption(before + word)));
  });
  const offer = () => fill([/^(.*[,，]\s*)?/.exec(input.value)[0], choices]);
  input.setAttribute("list", list.id);
  for (const type of ["input", "focus"]) input.addEventListener(type, offer);
  const set = (words) => {
    choices = words;
    offer();
  };
  return { list, set };
}

/** Make the field of an option, as Python describes it. */
function createControl(ui, { name, kind, choices, low, high, help, configured, lists }) {
  const preset = String(configured ?? "");
  const title = [help, lists && ui.t("lists")].filter(Boolean).join(" · ");
  const common = { id: ui.id(), "data-name": name, title };
  const label = ui.optionLabel(name);
  if (kind === "flag") {
    const words = { true: ui.t("yes"), false: ui.t("no") };
    const value = words[preset.toLowerCase()] ?? preset;
    const first = makeOption("", preset ? ui.t("configured", { value }) : ui.t("default"));
    const options = Object.entries(words).map(([word, text]) => makeOption(word, text));
    return makeField(label, make("select", common, first, ...options));
  }
  // Not an input of type number, which can hold neither "default" nor a list, and drops what is not a number.
  const bounds = kind === "number" && [low, high].every((bound) => Math.abs(bound) < 1e6) ? `${low}–${high}` : "";
  const placeholder = preset || bounds || (choices ?? []).join(", ");
  const props = { ...common, type: "text", placeholder, autocomplete: "off", spellcheck: "false" };
  const input = make("input", props);
  if (kind !== "suggest") return makeField(label, input);
  const suggestions = createChoices(ui, input);
  suggestions.set(choices);
  return makeField(label, input, suggestions.list);
}

const getControl = (field) => field.querySelector("input, select");

/** Make the form: prompt, options and other fields. */
function createForm(ui, generate) {
  const large = { class: "imagegen-prompt", rows: "3", placeholder: ui.t("prompt.hint") };
  const prompt = make("textarea", { id: ui.id(), ...large });
  const other = make("textarea", { id: ui.id(), rows: "2", placeholder: ui.t("other.hint"), spellcheck: "false" });
  const endpoint = make("select", { id: ui.id(), "data-name": "endpoint" }, makeOption("", ui.t("default")));
  const endpointField = makeField(ui.optionLabel("endpoint"), endpoint);
  const modelField = createControl(ui, { name: "model", kind: "text", lists: true });
  const suggestions = createChoices(ui, getControl(modelField));
  modelField.append(suggestions.list);
  const basic = make("div", { class: "imagegen-grid" }, endpointField, modelField);
  const rest = make("div", { class: "imagegen-grid" });
  const summary = make("summary", {}, ui.t("more"));
  const more = make("details", { class: "imagegen-more" }, summary, rest, makeField(ui.t("other"), other));
  const hint = make("p", { class: "imagegen-hint" }, ui.t("lists"));
  const notice = make("p", { class: "imagegen-hint", role: "status" });
  const promptField = makeField(ui.t("prompt"), prompt);
  const root = make("section", { class: "imagegen-form" }, promptField, basic, notice, hint, more);

  const fields = new Map([["model", modelField]]); // by option name
  let values = {}; // by option name; outlives controls that change with endpoint and model
  let timer = 0;
  let typed = false;

  const controls = () => [...fields].map(([name, field]) => [name, getControl(field)]);

  function read() {
    const filled = controls().map(([name, control]) => [name, control.value.trim()]);
    const options = Object.fromEntries(filled.filter(([, value]) => value));
    return { prompt: prompt.value, endpoint: endpoint.value, options, other: other.value };
  }

  /** Return the form for an action, which sends it anyway. */
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
    // The answer to a hello, of this view or another, must not undo what is being typed.
    if (ui.isOwn({ view }) ? hello && typed : timer) return;
    clearTimeout(timer);
    timer = 0;
    values = { ...form.options };
    setValue(prompt, form.prompt ?? "");
    setValue(endpoint, form.endpoint ?? "");
    setValue(other, form.other ?? "");
    for (const [name, control] of controls()) setValue(control, values[name] ?? "");
    grow();
  }

  const showEndpoints = onChange((endpoints) => {
    const chosen = endpoint.value;
    const first = endpoints.some(({ name }) => name === "") ? [] : [makeOption("", ui.t("default"))];
    endpoint.replaceChildren(...first, ...endpoints.map(({ name, label }) => makeOption(name, label ?? name)));
    setValue(endpoint, chosen);
  });

  /** Show the controls. A field whose description is unchanged stays: the user may be typing in it. */
  const showControls = onChange((specs) => {
    for (const [name, control] of controls()) values[name] = control.value;
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;
    const before = new Map(fields);
    const basicFields = [endpointField, modelField];
    const otherFields = [];
    fields.clear();
    fields.set("model", modelField);
    for (const spec of specs.filter(({ name }) => name !== "model" && name !== "endpoint")) {
      const description = JSON.stringify(spec);
      const old = before.get(spec.name);
      const field = old?.dataset.description === description ? old : createControl(ui, spec);
      field.dataset.description = description;
      setValue(getControl(field), values[spec.name] ?? "");
      fields.set(spec.name, field);
      (spec.basic ? basicFields : otherFields).push(field);
    }
    arrange(basic, basicFields);
    arrange(rest, otherFields);
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
  getControl(modelField).addEventListener("change", push);
  prompt.addEventListener("input", grow);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    generate(event);
  });

  function update({ endpoints = [], models = [], model = "", notice: text = "", controls: specs = [] }) {
    getControl(modelField).placeholder = model;
    if (notice.textContent !== text) notice.textContent = text;
    showEndpoints(endpoints);
    suggestions.set(models);
    showControls(specs);
  }

  const focus = () => prompt.focus({ preventScroll: true });
  return { root, fill, take, update, focus, close: () => timer && push() };
}

// ------------------------------------------------------------------------------------------ inputs

/** Make a list of images as chips: a thumbnail, the name and a button that removes it. */
function createChips(ui, target, fallback) {
  const root = make("ul", { class: "imagegen-chips", hidden: true });
  const chips = new Map(); // by key

  function createChip({ key, name, width, height }) {
    const image = make("img", { class: "imagegen-chip-thumb", alt: "" });
    const help = ui.t("remove", { name });
    const props = { class: "imagegen-button imagegen-remove", "aria-label": help, title: help };
    const remove = makeButton("", () => ui.send({ do: "remove", target, key }), props);
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

  function showThumb({ key, mime }, bytes) {
    if (chips.has(key)) ui.images.show(chips.get(key).image, bytes, mime);
  }

  return { root, update, showThumb };
}

/** Make the part of input images and mask, which come by upload, drop, paste or name. */
function createInputs(ui) {
  const add = (target) => (text) => ui.send({ do: "add", target, text });
  const imageField = makeSubmit(ui, ui.t("inputs.field"), ui.t("add"), add("image"), ui.t("inputs.example"));
  const maskField = makeSubmit(ui, ui.t("mask.field"), ui.t("add"), add("mask"), ui.t("mask.example"));
  const imageChips = createChips(ui, "image", imageField.input);
  const maskChips = createChips(ui, "mask", maskField.input);
  const note = make("p", { class: "imagegen-hint", role: "status" });
  let last = { images: 0, mask: undefined };

  async function upload(target, files) {
    setText(note, "");
    for (const file of files) {
      const { name } = file;
      if (file.size > UPLOAD_LIMIT) {
        setText(note, ui.t("large", { name, limit: UPLOAD_LIMIT / 2 ** 20 }));
        continue;
      }
      try {
        ui.send({ do: "upload", target, name }, [await file.arrayBuffer()]);
      } catch {
        setText(note, ui.t("unread", { name }));
      }
    }
  }

  /** Make a button that opens the file dialog: a file input itself can be neither styled nor translated. */
  function createUpload(target, text, multiple) {
    const input = make("input", { type: "file", accept: "image/*", multiple, hidden: true, "aria-label": text });
    input.addEventListener("change", async () => {
      await upload(target, [...input.files]);
      input.value = ""; // the same file may be chosen again
    });
    return [makeButton(text, () => input.click()), input];
  }

  const paint = makeButton(ui.t("mask.paint"), () => ui.send({ do: "paint", key: "" }));
  const lower = makeRow(paint, ...createUpload("mask", ui.t("mask.upload"), false), maskField.root);
  const maskProps = { class: "imagegen-mask", role: "group", "aria-label": ui.t("mask") };
  const maskRow = make("div", maskProps, makeTitle(ui.t("mask")), maskChips.root, lower);
  const title = makeTitle(ui.t("inputs"), { id: ui.id() });
  const hint = make("p", { class: "imagegen-hint" }, ui.t("inputs.hint"));
  const upper = makeRow(...createUpload("image", ui.t("upload"), true), imageField.root);
  // tabindex -1: a click on the empty area focuses it, so that it receives a paste.
  const props = { class: "imagegen-inputs", tabindex: "-1", hidden: true, "aria-labelledby": title.id };
  const root = make("section", props, title, hint, imageChips.root, upper, note, maskRow);

  const markOver = (event, on) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    root.classList.toggle("imagegen-over", on);
  };
  root.addEventListener("dragover", (event) => markOver(event, true));
  root.addEventListener("dragleave", (event) => markOver(event, false));
  root.addEventListener("drop", (event) => {
    markOver(event, false);
    upload("image", [...(event.dataTransfer?.files ?? [])]);
  });
  root.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith("image/"));
    if (!files.length) return; // text goes where the caret is
    event.preventDefault();
    event.stopPropagation();
    upload("image", files);
  });

  function update({ accepts = {}, images = [], mask = null }) {
    root.hidden = !accepts.images;
    maskRow.hidden = !accepts.mask || !images.length;
    if (images.length > last.images) imageField.input.value = ""; // a text that was refused stays, to be corrected
    if (mask && mask.key !== last.mask) maskField.input.value = "";
    last = { images: images.length, mask: mask?.key };
    imageChips.update(images);
    maskChips.update(mask ? [mask] : []);
  }

  function showThumb(content, bytes) {
    imageChips.showThumb(content, bytes);
    maskChips.showThumb(content, bytes);
  }

  return { root, update, showThumb };
}

// ------------------------------------------------------------------------------------------ status

/** Make the part of the running job and of the newest message. */
function createStatus(ui, retry) {
  const activity = make("span", {}, ui.t("waiting"));
  const note = make("p", { class: "imagegen-text imagegen-note", hidden: true });
  const live = make("div", { role: "status", "aria-live": "polite" }, activity, note);
  // Outside the live region: a text that changes every second is useless when read aloud.
  const line = make("span", { class: "imagegen-text" });
  const elapsed = make("span", { class: "imagegen-elapsed" });
  const bar = make("div", { class: "imagegen-bar", "aria-hidden": "true", hidden: true });
  const partial = make("img", { class: "imagegen-partial", alt: ui.t("partial"), hidden: true });
  const errorText = make("span", { class: "imagegen-text" });
  const sign = make("span", { "aria-hidden": "true" }, "⚠ ");
  const errorLine = make("p", { class: "imagegen-error" }, make("strong", {}, sign, `${ui.t("error")} `), errorText);
  const alert = make("div", { role: "alert" });
  const retryButton = makeButton(ui.t("retry") + ui.t("retry.bill"), retry, { hidden: true });
  const job = make("div", { class: "imagegen-job" }, line, elapsed);
  const root = make("section", { class: "imagegen-status" }, live, job, bar, partial, alert, retryButton);
  let started = null; // by performance.now()

  const getSeconds = () => Math.max(0, Math.floor((performance.now() - started) / 1000));
  const tick = () => setText(elapsed, started === null ? "" : formatTime(getSeconds()));
  const timer = setInterval(tick, 1000);

  function dropPartial() {
    ui.images.drop(partial);
    partial.hidden = true;
  }

  function showJob(running) {
    bar.hidden = !running;
    const next = started !== null && running?.elapsed + 2 < getSeconds(); // the time went back: another job
    if (!running || next) dropPartial();
    started = running ? performance.now() - (running.elapsed ?? 0) * 1000 : null;
    const queued = running?.queued ? ` · ${ui.t("queued", { count: running.queued })}` : "";
    setText(activity, running ? `${ui.t("working")}…${queued}` : "");
    setText(line, running?.line ?? "");
    job.hidden = !running;
    tick();
  }

  const showMessage = onChange((message) => {
    const error = message?.kind === "error";
    note.hidden = !message || error;
    setText(note, note.hidden ? "" : message.text);
    note.classList.toggle("imagegen-done", message?.kind === "done");
    const plan = message?.kind === "plan"; // it has columns and may be long, so it scrolls
    note.classList.toggle("imagegen-plan", plan);
    note.tabIndex = plan ? 0 : -1;
    setText(errorText, error ? message.text : "");
    alert.replaceChildren(...(error ? [errorLine] : []));
    retryButton.hidden = !message?.retry;
  });

  function showProgress({ line: text, elapsed: seconds, mime }, bytes) {
    if (started === null) return; // too late: the job has ended
    if (seconds !== undefined) started = performance.now() - seconds * 1000;
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

  const showWaiting = () => setText(activity, ui.t("waiting"));
  return { root, update, showProgress, showWaiting, close: () => clearInterval(timer) };
}

// -------------------------------------------------------------------------------------------- cell

/** Insert a code cell below the panel's own, in JupyterLab 4 and Notebook 7. Return whether that worked. */
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

/** Copy the text of `area`; without access to the clipboard, by its selection. Return whether that worked. */
async function copyText(area) {
  try {
    await navigator.clipboard.writeText(area.value);
    return true;
  } catch {
    return document.activeElement === area && document.execCommand("copy");
  }
}

/** Make the part that shows the request as a cell, copies it, and inserts it where the front end can. */
function createCellText(ui) {
  const area = make("textarea", { id: ui.id(), class: "imagegen-code", readonly: true, spellcheck: "false" });
  const note = make("p", { class: "imagegen-hint", role: "status" });
  const close = makeButton(ui.t("cell.close"), () => (root.hidden = true));
  const field = makeField(ui.t("cell.text"), area);
  const root = make("section", { class: "imagegen-cell", hidden: true }, field, note, close);

  async function show({ text, view }) {
    if (!ui.isOwn({ view })) return;
    root.hidden = false;
    area.value = text;
    area.rows = Math.min(12, Math.max(2, text.split("\n").length));
    if (takeFocus(area)) area.select(); // which would focus it, too
    const inserted = insertCell(ui.model, text);
    const copied = await copyText(area);
    const notes = [inserted && ui.t("cell.inserted"), copied && ui.t("cell.copied")].filter(Boolean);
    setText(note, notes.join(" ") || ui.t("cell.select"));
  }

  return { root, show };
}

// ------------------------------------------------------------------------------------------- strip

/** Make the thumbnails of the session: one tab stop, arrow keys within. `choose` gets the key of a pressed tile. */
function createStrip(ui, choose) {
  const empty = make("p", { class: "imagegen-hint" }, ui.t("empty"));
  const grid = make("div", { class: "imagegen-strip", role: "group", "aria-label": ui.t("images"), hidden: true });
  const root = make("section", {}, empty, grid);
  const entries = new Map(); // by key: { tile, button, image, label }
  let selected = null;
  let stop = null; // the button that the tab key reaches

  // A thumbnail is requested when its button comes into view: a session may hold hundreds.
  const observer = new IntersectionObserver(
    (changes) => {
      const visible = changes.filter(({ isIntersecting }) => isIntersecting).map(({ target }) => target);
      for (const button of visible) observer.unobserve(button);
      if (visible.length) ui.send({ do: "thumbs", keys: visible.map(({ dataset }) => dataset.key) });
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
    const button = make("button", { type: "button", ...props, click: () => choose(key) }, image, label);
    observer.observe(button);
    return { button, image, label };
  }

  function describe(entry, tile) {
    entry.tile = tile;
    setText(entry.label, tile.label);
    entry.button.setAttribute("aria-label", `${tile.label}: ${truncate(tile.prompt ?? "")}`);
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

  /** Insert a tile by its number: those of a sweep arrive in any order. */
  function place({ button, tile }) {
    let before = grid.lastElementChild;
    while (before && entries.get(before.dataset.key).tile.number > tile.number) before = before.previousElementSibling;
    if (before) before.after(button);
    else grid.prepend(button);
  }

  /** Add new tiles and update known ones; with `reset`, remove all that are not among `tiles`. */
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

  /** Scroll the strip, not the page, until a tile is visible. */
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

  function showThumb({ key, mime }, bytes) {
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
  const access = { keys, focus, get: (key) => entries.get(key), selected: () => selected };
  return { root, put, remove, select, showThumb, ...access, close: () => observer.disconnect() };
}

// ------------------------------------------------------------------------------------------ viewer

/** Make the part of the selected image and its actions. `strip` holds the related images that it links. */
function createViewer(ui, strip, choose) {
  const large = make("img", { class: "imagegen-large" });
  const caption = make("p", { class: "imagegen-text imagegen-caption" });
  const lineage = make("div", { class: "imagegen-row imagegen-lineage" });
  const { input: path, root: saveRow } = makeSubmit(ui, ui.t("save.path"), ui.t("save.do"), save);
  let tile = null;

  const act = (action) => (event) => isRepeat(event) || ui.send({ do: action, key: tile.key });
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
  const stage = make("div", { class: "imagegen-stage" }, large);
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

  /** Make a button that selects a related image, or its name alone where it is not in the strip. */
  function createRelative(key, format) {
    const label = strip.get(key)?.tile.label;
    if (label === undefined) return make("span", {}, format(toReference(key)));
    return makeButton(format(toReference(label)), () => choose(key));
  }

  const showLineage = onChange(({ parents, children }) => {
    const focused = lineage.contains(document.activeElement);
    const from = parents.map(({ key }) => createRelative(key, (name) => ui.t("from", { name })));
    const edits = children.map(({ key }) => createRelative(key, (name) => name));
    lineage.replaceChildren(...from, ...(edits.length ? [ui.t("edits"), ...edits] : []));
    lineage.hidden = !lineage.childNodes.length;
    if (focused) strip.focus(); // the focused button is gone
  });

  /** Write the texts of a tile. Labels are part of them: a related image may enter the strip later. */
  function describe(next) {
    tile = next;
    large.alt = truncate(tile.prompt || tile.label);
    setText(caption, tile.caption ?? "");
    const addLabels = (keys = []) => keys.map((key) => ({ key, label: strip.get(key)?.tile.label }));
    showLineage({ parents: addLabels(tile.parents), children: addLabels(tile.children) });
  }

  /** Show a tile: its thumbnail at once, the image itself as soon as Python sends it. */
  function show(next, thumb) {
    root.hidden = !next;
    if (tile?.key !== next?.key) {
      ui.images.drop(large);
      openSave(false);
    }
    if (next && tile?.key !== next.key) {
      if (thumb.src) large.src = thumb.src;
      fitSize(large, next.width, next.height, next.width ? `${next.width}px` : undefined);
      ui.send({ do: "view", key: next.key });
    }
    if (next) describe(next);
    else tile = null;
  }

  function showImage({ key, mime, width, height }, bytes) {
    if (tile?.key !== key) return;
    if (width && height) fitSize(large, width, height, `${width}px`);
    ui.images.show(large, bytes, mime);
  }

  function update({ accepts = {} }) {
    use.disabled = !accepts.images;
    paint.disabled = !accepts.images || !accepts.mask;
  }

  return { root, show, showImage, update, isBusy: () => !saveRow.hidden };
}

// ----------------------------------------------------------------------------------------- painter

/** The operations on a mask; undo replays all but the last. */
const DRAW = {
  stroke(context, { erase, size, points }) {
    points.forEach((point, at) => drawSegment(context, erase, size, points[at - 1], point));
  },
  box(context, { erase, x, y, width, height }) {
    context.globalCompositeOperation = getComposite(erase);
    context.fillRect(x, y, width, height);
  },
  invert(context) {
    context.globalCompositeOperation = "xor"; // with opaque paint: swaps painted and unpainted
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  },
  clear(context) {
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  },
};

const getComposite = (erase) => (erase ? "destination-out" : "source-over");

/** Draw a dot, and the line that leads to it. */
function drawSegment(context, erase, size, from, to) {
  context.globalCompositeOperation = getComposite(erase);
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

/** Make a hatching, so that colour is not the only sign of a mask. It is opaque: alpha marks what is painted. */
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

/** Return a rectangle clipped to whole pixels of the image, or null when nothing is left. */
function clip(canvas, { x, y, width, height }) {
  const left = Math.max(0, Math.floor(x));
  const top = Math.max(0, Math.floor(y));
  const right = Math.min(canvas.width, Math.ceil(x + width));
  const bottom = Math.min(canvas.height, Math.ceil(y + height));
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

/**
 * Return a bit for each pixel, 1 where it may change, and how many are 1. Rows follow each other, each padded
 * to whole bytes, with the leftmost pixel in the highest bit.
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

/** Make the mask editor: paint over an image what may change. `onClose` is called when it closes. */
function createPainter(ui, onClose) {
  const image = make("img", { class: "imagegen-paint-image" });
  const canvas = make("canvas", { class: "imagegen-canvas", role: "img" });
  const ring = make("div", { class: "imagegen-ring", hidden: true }); // the brush or box under the pointer
  const stage = make("div", { class: "imagegen-paint-stage" }, image, canvas, ring);
  const note = make("p", { class: "imagegen-hint", role: "status" });
  const size = make("input", { id: ui.id(), type: "range", min: "1", max: "100" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let marks = [];
  let current = null; // the stroke or box being drawn
  let timer = 0; // of the count

  const group = ui.id();
  const tools = ["brush", "erase", "box"].map((value) => {
    const radio = make("input", { type: "radio", name: group, value, id: ui.id(), checked: value === "brush" });
    return make("span", { class: "imagegen-radio" }, radio, make("label", { for: radio.id }, ui.t(`paint.${value}`)));
  });
  const toolRow = make("fieldset", {}, make("legend", {}, ui.t("paint.tool")), ...tools);
  const getTool = () => toolRow.querySelector("input:checked").value;

  const numbers = ["x", "y", "width", "height"].map((name) =>
    make("input", { id: ui.id(), type: "number", min: "0", step: "1", "data-name": name }),
  );
  const numberFields = numbers.map((input) => makeField(ui.t(`paint.${input.dataset.name}`), input));
  const makeAction = (name, click, props) => makeButton(ui.t(`paint.${name}`), click, props);
  const boxActions = [makeAction("add", () => addBox(false)), makeAction("subtract", () => addBox(true))];
  const numberRow = make("fieldset", {}, make("legend", {}, ui.t("paint.numbers")), ...numberFields, ...boxActions);
  const root = make(
    "section",
    { class: "imagegen-painter", hidden: true, "aria-label": ui.t("paint") },
    makeTitle(ui.t("paint")),
    make("p", { class: "imagegen-hint" }, ui.t("paint.help")),
    makeRow(toolRow, makeField(ui.t("paint.size"), size)),
    make("div", { class: "imagegen-stage" }, stage),
    makeRow(makeAction("undo", undo), ...["clear", "invert"].map((type) => makeAction(type, () => add({ type })))),
    numberRow,
    note,
    makeRow(makeAction("use", useMask, { class: "imagegen-button imagegen-primary" }), makeAction("close", close)),
  );

  function add(mark) {
    marks.push(mark);
    DRAW[mark.type](context, mark);
    showShare();
  }

  function undo() {
    marks.pop();
    DRAW.clear(context);
    for (const mark of marks) DRAW[mark.type](context, mark);
    showShare();
  }

  /** Show the painted share after a pause: counting reads every pixel. */
  function showShare() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const share = (100 * readMask(context).painted) / (canvas.width * canvas.height);
      setText(note, ui.t("paint.share", { share: share.toFixed(1) }));
    }, 60);
  }

  function addBox(erase) {
    const [x, y, width, height] = numbers.map((input) => input.valueAsNumber || 0);
    const box = clip(canvas, { x, y, width, height });
    if (box) add({ type: "box", erase, ...box });
    else setText(note, ui.t("paint.no_box"));
  }

  function useMask() {
    clearTimeout(timer);
    const { bits, painted } = readMask(context);
    if (!painted) return setText(note, ui.t("paint.nothing"));
    ui.send({ do: "mask", width: canvas.width, height: canvas.height }, [bits]);
    close();
  }

  function close() {
    clearTimeout(timer);
    root.hidden = true;
    ui.images.drop(image);
    canvas.width = canvas.height = 1; // frees the memory
    onClose();
  }

  const toPoint = ({ clientX, clientY }) => {
    const frame = canvas.getBoundingClientRect();
    const x = ((clientX - frame.left) * canvas.width) / frame.width;
    return { x, y: ((clientY - frame.top) * canvas.height) / frame.height };
  };

  const toBox = ({ from, to }) => {
    const [x, y] = [Math.min(from.x, to.x), Math.min(from.y, to.y)];
    return { x, y, width: Math.abs(from.x - to.x), height: Math.abs(from.y - to.y) };
  };

  function showRing(point) {
    const radius = size.valueAsNumber / 2;
    const brush = { x: point.x - radius, y: point.y - radius, width: 2 * radius, height: 2 * radius };
    const { x, y, width, height } = current?.type === "box" ? toBox(current) : brush;
    ring.hidden = getTool() === "box" && !current;
    ring.classList.toggle("imagegen-round", current?.type !== "box");
    const toPercent = (part, whole) => `${(100 * part) / whole}%`;
    const place = { left: toPercent(x, canvas.width), top: toPercent(y, canvas.height) };
    const extent = { width: toPercent(width, canvas.width), height: toPercent(height, canvas.height) };
    Object.assign(ring.style, { ...place, ...extent });
  }

  function press(event) {
    if (event.button !== 0 || current) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    const point = toPoint(event);
    const pointer = event.pointerId;
    if (getTool() === "box") {
      current = { pointer, type: "box", from: point, to: point };
    } else {
      current = { pointer, type: "stroke", erase: getTool() === "erase", size: size.valueAsNumber, points: [point] };
      DRAW.stroke(context, current);
    }
  }

  function move(event) {
    if (current && current.pointer !== event.pointerId) return;
    const point = toPoint(event);
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
      marks.push(mark); // already drawn
      return showShare();
    }
    const box = clip(canvas, toBox(mark));
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
    fitSize(stage, width, height);
    const longest = Math.max(canvas.width, canvas.height);
    size.max = String(Math.max(2, Math.round(longest / 3)));
    size.value = String(Math.max(1, Math.round(longest / 16)));
    marks = [];
    current = null;
    setText(note, "");
    root.hidden = false;
    const brush = toolRow.querySelector("[value=brush]");
    brush.checked = true;
    for (const input of numbers) input.value = "";
    takeFocus(brush);
    root.scrollIntoView({ block: "nearest" });
  }

  return { root, open, close: () => clearTimeout(timer) };
}

// ------------------------------------------------------------------------------------------- panel

/** Hand a file to the browser. */
function download({ mime, name }, bytes) {
  const url = URL.createObjectURL(new Blob([bytes], { type: mime }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads the URL after the click
}

function createPanel(ui) {
  let patience = 0;
  let greeting = 0;
  /** Send hello until the tiles come: a message may be lost while page and kernel are being connected. */
  function greet(pause = GREETING) {
    ui.send({ do: "hello" });
    greeting = setTimeout(greet, pause, 2 * pause);
  }
  const sendForm = (action) => (event) => {
    if (isRepeat(event)) return;
    clearTimeout(patience);
    cell.root.hidden = true; // it is of another request
    patience = setTimeout(status.showWaiting, PATIENCE);
    ui.send({ do: action, form: ui.form.take() });
  };
  const generate = sendForm("generate");
  const form = (ui.form = createForm(ui, generate));
  const inputs = createInputs(ui);
  const status = createStatus(ui, (event) => isRepeat(event) || ui.send({ do: "retry" }));
  const cell = createCellText(ui);
  const strip = createStrip(ui, choose);
  const viewer = createViewer(ui, strip, choose);
  const painter = createPainter(ui, () => {
    viewerBox.hidden = false;
    opener?.focus({ preventScroll: true });
  });
  const cancel = makeButton(ui.t("cancel"), () => ui.send({ do: "cancel" }), { disabled: true });
  const primary = makeButton(ui.t("generate"), generate, { class: "imagegen-button imagegen-primary" });
  const others = ["cell", "dry_run"].map((action) => makeButton(ui.t(action), sendForm(action)));
  const buttons = makeRow(primary, cancel, ...others);
  const viewerBox = make("div", {}, viewer.root);
  let opener = null; // the focused element when the painter opened

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

  /** The handlers of Python's messages, by their `is`. */
  const receive = {
    state(state) {
      clearTimeout(patience);
      const focused = document.activeElement;
      form.update(state);
      inputs.update(state);
      status.update(state);
      viewer.update(state);
      cancel.disabled = !state.job;
      // A button that disappears passes the focus on; otherwise the keyboard would start at the top of the page.
      const ours = children.some((part) => part.contains(focused));
      if (ours && (focused.disabled || focused.hidden)) primary.focus({ preventScroll: true });
    },
    /** Show that the kernel is gone, and what to do. */
    lost() {
      clearTimeout(greeting);
      status.update({ message: { kind: "error", text: ui.t("lost") } });
      primary.disabled = cancel.disabled = true;
    },
    form: form.fill,
    progress: status.showProgress,
    tiles({ tiles = [], reset = false, select = null }) {
      if (reset) clearTimeout(greeting);
      strip.put(tiles, reset);
      const stays = select === null || viewer.isBusy(); // a new image does not replace the one being saved
      if (stays && strip.selected() !== null) refresh(); // the new tiles may be related to it
      else choose(select ?? strip.keys().at(-1));
    },
    gone({ key }) {
      const at = strip.keys().indexOf(key);
      const focused = viewer.root.contains(document.activeElement) || strip.root.contains(document.activeElement);
      strip.remove(key);
      const left = strip.keys();
      if (strip.selected() === null) choose(left[at] ?? left.at(-1));
      else refresh(); // the removed tile may be related to it
      if (focused) (left.length ? strip : form).focus();
    },
    thumbs({ thumbs }, _, buffers) {
      thumbs.forEach((thumb, at) => [strip, inputs].forEach((part) => part.showThumb(thumb, buffers[at])));
    },
    image(content, bytes) {
      if (content.for === "view") viewer.showImage(content, bytes);
      if (content.for === "download" && ui.isOwn(content)) download(content, bytes);
      if (content.for === "paint" && ui.isOwn(content)) paint(content, bytes);
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
  // JupyterLab ignores keys below an element with this attribute; other front ends must not see them bubble.
  const handleKey = (event) => {
    event.stopPropagation();
    const isHeld = event.repeat && event.key === "Enter" && event.target.tagName === "BUTTON";
    if (isHeld) event.preventDefault(); // it counts once
  };
  const keys = { "data-lm-suppress-shortcuts": "true", keydown: handleKey };
  const props = { class: "imagegen-panel", lang: ui.language, role: "group", "aria-label": ui.t("panel") };
  const root = make("div", { ...props, ...keys }, ...panel.children);
  const receive = (content, buffers) => panel.receive[content.is]?.(content, buffers?.[0], buffers);
  ui.lost = () => panel.receive.lost();
  model.on("msg:custom", receive);
  model.on("comm_live_update", ui.lost);
  el.append(root);
  panel.greet();
  return () => {
    model.off("msg:custom", receive);
    model.off("comm_live_update", ui.lost);
    panel.close();
    ui.images.clear();
    root.remove();
  };
}

export default { render };
