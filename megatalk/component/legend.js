// Under the newest reply: that a word can be tapped, until one was, and what colours and marks mean, unfolded there.

const KNOWS_WORDS = "megatalk:knows-words";
const TONES = [["妈", "mā", 1], ["麻", "má", 2], ["马", "mǎ", 3], ["骂", "mà", 4], ["吗", "ma", 5]];

class Guide {
  constructor() {
    this.root = element("div", "mt-guide");
    this.hint = element("span", "mt-hint");
    this.legend = element("section", "mt-legend");
    this.legend.hidden = true;
    this.hint.hidden = recall(KNOWS_WORDS) !== null;
  }

  wordWasTapped() {
    if (this.hint.hidden) return;
    this.hint.hidden = true;
    keep(KNOWS_WORDS, "yes");
  }

  draw() {
    this.hint.textContent = say("hint");
    this.opener = button("help", say("legend"), () => this.unfold(this.legend.hidden));
    this.opener.classList.add("mt-plain");
    this.opener.setAttribute("aria-expanded", String(!this.legend.hidden));
    this.root.replaceChildren(this.hint, this.opener, this.legend);
    this.drawLegend();
  }

  unfold(isShown) {
    this.legend.hidden = !isShown;
    this.opener.setAttribute("aria-expanded", String(isShown));
    if (isShown) this.root.scrollIntoView({ block: "nearest" });
    else this.opener.focus({ preventScroll: true });
  }

  drawLegend() {
    const tones = element("div", "mt-legend-tones");
    for (const [character, reading, tone] of TONES) {
      const one = element("span", "");
      const sample = ruby(character, reading);
      sample.lang = LANG.zh;
      one.append(sample, element("small", "", say(`tone_${tone}`)));
      tones.append(one);
    }
    const list = element("dl", "");
    const kinds = [["is-saved", "公园", "legend_saved"], ["is-above", "比如", "legend_above"], ["is-spoken", "你好", "legend_spoken"]];
    for (const [kind, sample, key] of kinds) {
      const word = element("dt", `mt-sample ${kind}`, sample);
      word.lang = LANG.zh;
      list.append(word, element("dd", "", say(key)));
    }
    for (const [name, key] of [["slow", "legend_slow"], ["star", "legend_star"]]) {
      const sign = element("dt", "");
      sign.append(mark(name));
      list.append(sign, element("dd", "", say(key)));
    }
    this.legend.setAttribute("aria-label", say("legend"));
    this.legend.replaceChildren(element("p", "mt-quiet", say("legend_tones")), tones, list);
  }
}
