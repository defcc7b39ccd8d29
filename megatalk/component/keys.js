// The keyboard: from word to word inside a reply, and the shortcuts, which keep away from whoever is typing.

const TYPED_IN = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]:not([contenteditable=false])";
const OVER_THE_PAGE = "[role=menu], [role=listbox], [role=dialog]"; // keys there are theirs: Esc closes them
const PRESSED = "button, a, summary, [role=button], [role=radio], [role=tab], [role=menuitem], [role=option], label";
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

// 229: the key belongs to an input method; Safari says so where isComposing is false already.
function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

function listenToKeys(book, signal) {
  const acts = {
    " ": () => book.replayLast(),
    s: () => book.slow(book.heard ?? book.lastRow()),
    p: () => book.turnPinyin(),
    t: () => book.lastRow()?.translation.toggle(),
    Escape: () => book.stop(book.heard),
  };
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isComposing(event)) return;
    const { target } = event;
    if (target.closest?.(TYPED_IN) || target.isContentEditable || target.closest?.(OVER_THE_PAGE)) return;
    if (target.closest?.(".mt-word") && onWord(event, book)) return;
    if (!book.settings.shortcuts || book.isCovered) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!(key in acts) || event.repeat || (key === " " && target.closest?.(PRESSED))) return;
    if (key !== "Escape") event.preventDefault();
    acts[key]();
  };
  document.addEventListener("keydown", onKey, { signal });
}

// Whether the key was one that a word takes for itself.
function onWord(event, book) {
  const word = event.target.closest(".mt-word");
  if (event.key === "Enter" || event.key === " ") book.openWord(word);
  else if (event.key in STEPS) stepFrom(word, STEPS[event.key]);
  else return false;
  event.preventDefault();
  return true;
}

function stepFrom(word, step) {
  const words = [...word.closest(".mt-reply").querySelectorAll(".mt-word")];
  const next = words[words.indexOf(word) + step];
  if (!next) return;
  word.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
