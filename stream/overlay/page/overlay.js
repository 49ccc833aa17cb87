// Draws what the server says (page_state.py). Texts go in as text, never as HTML.
"use strict";

const SILENT_MS = 1200; // without a word from the server
const ANNOUNCE_MS = 3000; // not more often, or a screen reader never comes to an end
const RETRY_MS = [250, 500, 1000, 2000];
const LETTER = 1.5; // seconds of the history that a letter covers

const at = (id) => document.getElementById(id);

function element(tag, text = "", className = "", style = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  Object.assign(made.style, style);
  return made;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const percent = (share) => `${Math.round(share * 100)} %`;

function drawHead({ headline, named, confidence, note }) {
  say(at("headline"), headline);
  at("headline").classList.toggle("named", named);
  say(at("confidence"), named ? percent(confidence) : "");
  at("head").style.opacity = named ? 0.45 + 0.55 * confidence : 0.85;
  say(at("note"), note);
}

function makeBar({ label, colour }) {
  const bar = element("div", "", "bar");
  const groove = element("div", "", "groove");
  groove.append(element("div", "", "", { background: colour }));
  bar.append(element("span", label), groove, element("span"));
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", label);
  bar.setAttribute("aria-valuemin", 0);
  bar.setAttribute("aria-valuemax", 100);
  return bar;
}

function drawBars(bars) {
  const labels = bars.map((bar) => bar.label).join("\n");
  if (at("bars").dataset.labels !== labels) {
    at("bars").dataset.labels = labels; // made once: a screen reader keeps its place
    at("bars").replaceChildren(...bars.map(makeBar));
  }
  const most = Math.max(...bars.map((bar) => bar.share));
  bars.forEach(({ share }, index) => {
    const bar = at("bars").children[index];
    bar.classList.toggle("top", share === most);
    bar.setAttribute("aria-valuenow", Math.round(share * 100));
    bar.querySelector(".groove > div").style.transform = `scaleX(${share})`;
    say(bar.lastChild, percent(share));
  });
}

function drawLights(lights) {
  at("lights").replaceChildren(
    ...lights.map(({ name, on, says }) => {
      const light = element("li", "", on ? "on" : "");
      light.append(element("span", name), element("span", says));
      return light;
    }),
  );
}

// The words, where the run is long enough for them.
const fitting = (words, seconds) => (words.length * LETTER <= seconds ? words : "");

function drawEmotions(runs, seconds) {
  at("emotions").replaceChildren(
    ...runs.map(({ label, levels, colour }) => {
      const run = element("div", "", label ? "" : "nothing", { flex: `${levels.length} 0 0` });
      const style = (level) => ({ height: percent(level).replace(" ", ""), background: colour });
      run.append(...levels.map((level) => element("i", "", "", style(level))));
      run.append(element("span", fitting(label, levels.length)));
      return run;
    }),
  );
  const told = runs.filter((run) => run.label).map((run) => `${run.label} ${run.levels.length} s`);
  at("emotions").setAttribute("aria-label", `Expressions, latest last: ${told.join(", ") || "none"}`);
  say(at("begin"), `${seconds} s ago`);
}

const missing = ({ cause }) => cause !== "" && cause !== "none";

function drawRun(run, entry) {
  const { seconds, cause, says } = run;
  const drawn = element("div", "", cause, { flex: `${seconds} 0 0` });
  drawn.title = cause && `${says}, ${seconds} s`;
  if (entry) {
    Object.assign(drawn.style, { background: entry.colour, color: entry.ink });
    drawn.textContent = fitting(says, seconds) || fitting(entry.mark, seconds);
  }
  return drawn;
}

function drawGaps(gaps, legend) {
  const entries = new Map(legend.map((entry) => [entry.cause, entry]));
  at("gaps").replaceChildren(
    ...gaps.map(({ name, runs }) => {
      const row = element("div", "", "row");
      const strip = element("div", "", "strip");
      strip.append(...runs.map((run) => drawRun(run, entries.get(run.cause))));
      strip.setAttribute("role", "img");
      const told = runs.filter(missing).map((run) => `${run.says} ${run.seconds} s`);
      strip.setAttribute("aria-label", `${name} missing: ${told.join(", ") || "never"}`);
      row.append(element("span", name), strip);
      return row;
    }),
  );
  at("legend").replaceChildren(
    ...legend.map(({ says, mark, colour, ink }) => {
      const entry = element("li");
      const swatch = element("i", mark, "", { background: colour, color: ink });
      swatch.ariaHidden = "true";
      entry.append(swatch, element("span", says));
      return entry;
    }),
  );
}

function drawBadge({ on, says }) {
  at("badge").classList.toggle("on", on);
  say(at("badge"), says);
}

let latest = { badge: { on: false, says: "" }, spoken: "" };
let silence = 0;

function draw(state) {
  latest = state;
  document.body.classList.toggle("stale", !state.fresh);
  drawBadge(state.badge);
  drawHead(state);
  drawBars(state.bars);
  drawLights(state.lights);
  drawEmotions(state.emotions, state.seconds);
  drawGaps(state.gaps, state.legend);
  clearTimeout(silence);
  silence = setTimeout(disconnected, SILENT_MS);
}

function disconnected() {
  const { on, says } = latest.badge;
  latest = { badge: { on, says: on ? "camera or microphone may be in use" : says }, spoken: "no data" };
  document.body.classList.add("stale");
  drawBadge(latest.badge);
  drawHead({ headline: "no data", named: false, note: "`normtr overlay --web` does not answer" });
}

function connect(tries = 0) {
  const socket = new WebSocket(new URL("socket", location.href.replace(/^http/, "ws")));
  socket.onopen = () => (tries = 0);
  socket.onmessage = ({ data }) => draw(JSON.parse(data));
  socket.onclose = () => {
    disconnected();
    setTimeout(connect, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)], tries + 1);
  };
}

function chooseTheme() {
  const asked = new URLSearchParams(location.search).get("theme");
  const dark = asked === "dark" || (asked !== "light" && preferred.matches);
  document.documentElement.classList.toggle("dark", dark);
}

const preferred = matchMedia("(prefers-color-scheme: dark)");
preferred.addEventListener("change", chooseTheme);
chooseTheme();
disconnected();
setInterval(() => say(at("announced"), latest.spoken), ANNOUNCE_MS);
connect();
