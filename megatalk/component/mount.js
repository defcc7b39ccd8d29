// Where Streamlit calls: the book and the word book are drawn into the places it gives; gestures and settings are watched.

const KEPT_SETTINGS = "megatalk:settings";
const BOUND_TO_ADDRESS = ["hsk", "language"]; // what the address says goes before what the browser remembers
let areRecalled = false;

// This browser remembers the settings; a new visit asks for those it had.
function keepSettings(settings, send) {
  if (!areRecalled) {
    areRecalled = true;
    const kept = JSON.parse(recall(KEPT_SETTINGS)) ?? {};
    const address = new URLSearchParams(location.search);
    const isWanted = (name) => kept[name] !== settings[name] && !(BOUND_TO_ADDRESS.includes(name) && address.has(name));
    const wanted = Object.keys(settings).filter((name) => name in kept && isWanted(name));
    if (wanted.length) return send(Object.fromEntries(wanted.map((name) => [name, kept[name]])));
  }
  keep(KEPT_SETTINGS, JSON.stringify(settings));
}

let lastDownload = 0;

// A file that the learner has chosen in a menu of Streamlit's; each choice has a number of its own.
function download(chosen) {
  if (!chosen || chosen.number <= lastDownload) return;
  lastDownload = chosen.number;
  const link = element("a", "");
  link.href = chosen.url;
  link.download = "";
  link.click();
}

function listenToGestures(book, signal) {
  const box = (node) => node.closest?.("[data-testid=stChatInput]");
  const onKey = (event) => {
    if (event.key !== "Enter" || event.shiftKey || !box(event.target)) return;
    if (isComposing(event)) event.stopPropagation(); // the Enter that ends a composition sends nothing
    else if (event.target.value?.trim() && !event.target.disabled) book.submitted(event.target.value);
  };
  const onClick = ({ target }) => {
    const text = target.closest?.("button") && box(target)?.querySelector("textarea").value;
    if (text?.trim()) book.submitted(text);
  };
  document.addEventListener("keydown", onKey, { capture: true, signal });
  document.addEventListener("click", onClick, { capture: true, signal });
  document.addEventListener("wheel", ({ deltaY }) => (book.isFollowing &&= deltaY > 0), { passive: true, signal });
  document.addEventListener("touchmove", () => (book.isFollowing = false), { passive: true, signal });
}

export default function ({ data, parentElement, setTriggerValue }) {
  // On window: the sound and the open stream outlive a redrawn component, but not a changed script.
  if (window.megatalk?.edition !== EDITION) {
    window.megatalk?.leave();
    window.megatalk = new Book();
  }
  const place = parentElement.querySelector(".mt-place");
  if (data.part === "words") window.megatalk.words.show(place);
  else if (data.part === "openers") window.megatalk.openers.show(place, data);
  else window.megatalk.show(place, data, setTriggerValue);
}
