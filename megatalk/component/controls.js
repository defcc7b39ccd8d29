// Streamlit's own elements carry no attributes of ours: here they get what ends speech, and their language.

const ENDS_SPEECH = [
  ".st-key-new button",
  ".st-key-talks [class*='st-key-go-'] button",
  ".st-key-rename button",
  ".st-key-delete button",
].join(", ");

function controlsThatEndSpeech() {
  const items = [...document.querySelectorAll("[role=menu]")]
    .filter((menu) => menu.ariaLabel === say("conversation_menu"))
    .flatMap((menu) => [...menu.querySelectorAll("[role=menuitem]")])
    .filter((item) => [say("rename"), say("delete")].includes(item.textContent));
  return [...document.querySelectorAll(ENDS_SPEECH), ...items];
}

// What is written in the tutor's language, on a page that may be in another one; titles are in either.
function markLanguages(language) {
  document.documentElement.lang = LANG[texts.language] ?? "en";
  for (const spoken of document.querySelectorAll(".st-key-greeting h2, .st-key-message textarea")) {
    spoken.lang = LANG[language] ?? "";
  }
  for (const title of document.querySelectorAll("[class*='st-key-go-'] p")) {
    title.lang = /\p{Script=Han}/u.test(title.textContent) ? LANG.zh : "";
  }
}

// They come and go with Streamlit's runs.
function markControls(book, signal) {
  let isPlanned = false;
  const mark = () => {
    isPlanned = false;
    markLanguages(book.settings.language);
    for (const control of controlsThatEndSpeech()) {
      if (!("endsSpeech" in control.dataset)) control.dataset.endsSpeech = "";
    }
  };
  const observer = new MutationObserver(() => {
    if (!isPlanned) requestAnimationFrame(mark);
    isPlanned = true;
  });
  observer.observe(document.body, { childList: true, subtree: true });
  signal.addEventListener("abort", () => observer.disconnect());
  mark();
}
