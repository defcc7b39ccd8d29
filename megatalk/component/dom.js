// What every part of the page draws with: elements, icons, buttons, and the texts that MegaTalk.py hands over.
// The files of this folder are joined by MegaTalk.py into one ES module, in the order that it names.

const LANG = { zh: "zh-CN", en: "en" };
const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  stop: "M7 7h10v10H7z",
  again: "M12 5a7 7 0 1 1-6.6 4.7l1.9.6A5 5 0 1 0 12 7v3L7.5 6 12 2z",
  translate: "M4 5h8v2H9.9c-.4 1.6-1.1 3-2.1 4.3l2 1.9-1.3 1.5-2-2-2.6 2.6-1.4-1.4 2.7-2.6A11 11 0 0 1 3.6 8.4h2.2c.3.6.7 1.2 1.2 1.8.7-1 1.2-2 1.5-3.2H4zm12.2 5h1.6L22 20h-2.2l-.9-2.4h-3.8l-.9 2.4H12zm-.4 5.8h2.4L17 12.4z",
  star: "m12 3.6 2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.8-5.2 2.8 1-5.8-4.2-4.1 5.8-.8zm0 4.3-1.3 2.7-3 .4 2.2 2.1-.5 3 2.6-1.4 2.6 1.4-.5-3 2.2-2.1-3-.4z",
  starred: "m12 3.6 2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.8-5.2 2.8 1-5.8-4.2-4.1 5.8-.8z",
  close: "m6.4 5 5.6 5.6L17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4z",
  help: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18m0 2a7 7 0 1 0 0 14 7 7 0 0 0 0-14m-1 10.5h2v2h-2zM12 6.8a3.2 3.2 0 0 1 3.2 3.2c0 1.9-2.2 2.3-2.2 4.2h-2c0-2.7 2.2-3 2.2-4.2a1.2 1.2 0 0 0-2.4 0h-2A3.2 3.2 0 0 1 12 6.8",
  unfold: "m6.4 8.6 5.6 5.6 5.6-5.6L19 10l-7 7-7-7z",
  download: "M11 4h2v8l2.6-2.6L17 10.8l-5 5-5-5 1.4-1.4L11 12zM5 18h14v2H5z",
};

const texts = { of: {}, language: "" };

// A text of texts.py in the language of the interface, with its {places} filled.
function say(key, values = {}) {
  return (texts.of[key] ?? key).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// What stands for it on a button: the speed says what it is better than a picture.
function mark(name) {
  return name === "slow" ? element("b", "mt-speed", `${SLOW}×`) : icon(name);
}

// `endsSpeech`: pressing it rightly ends or repeats what is being spoken (docs/page.md, hooks).
function button(iconName, label, onclick, { endsSpeech = false } = {}) {
  const made = element("button", "mt-button");
  made.type = "button";
  made.append(mark(iconName), element("span", "", label));
  if (endsSpeech) made.dataset.endsSpeech = "";
  made.onclick = onclick;
  return made;
}

function iconButton(iconName, label, onclick, options) {
  const made = button(iconName, "", onclick, options);
  made.classList.add("mt-round");
  made.setAttribute("aria-label", label);
  made.title = label;
  return made;
}

// What this browser keeps for the next visit. A private window may refuse to keep anything.
function keep(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch (error) {
    console.warn("This browser keeps nothing:", error.name);
  }
}

function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

// Asks the page's own server; a refusal is an error that carries the status and the code of MegaService.
async function ask(path, { method = "GET", body } = {}) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer?.detail ?? response.status), { status: response.status, code: answer?.code });
  return answer;
}
