// SPDX-License-Identifier: Apache-2.0
//
// The status page. Whatever comes from messages goes in as text, never as markup: there is
// no innerHTML here, and the Content-Security-Policy would stop what it might bring.
"use strict";

const KEPT = 64;
const HISTORY = 120;
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);

const state = { findings: [], seen: 0, paused: false, picked: "", last: null, heard: 0 };

// ---- making things

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "text") element.textContent = value;
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function makeSvg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Write only what differs, so that nothing flickers and a screen reader stays calm.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function facts(list, rows) {
  list.replaceChildren(
    ...rows.flatMap(([name, value, kind]) =>
      name ? [make("dt", { text: name }), make("dd", { text: value, class: kind || "" })]
           : [make("dd", { text: value, class: `wide ${kind || ""}` })]));
}

// ---- words for numbers

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = (n) => (n < 100000 ? whole.format(n) : short.format(n));

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit += 1;
  }
  return `${n < 10 && unit > 0 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

function span(seconds) {
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  for (const [length, unit] of steps) {
    if (Math.abs(seconds) >= length) return `${Math.floor(Math.abs(seconds) / length)} ${unit}`;
  }
  return "0 s";
}

const seconds = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;
const clock = (time) => new Date(time).toLocaleTimeString("en-GB");
const duration = (ns) => (ns < 1e3 ? `${Math.round(ns)} ns` : ns < 1e6 ? `${(ns / 1e3).toFixed(1)} µs` : `${(ns / 1e6).toFixed(1)} ms`);
const newest = (list) => (list && list.length ? list[list.length - 1] : 0);

// ---- channels

function path(values, top, close) {
  const left = HISTORY - values.length;
  const points = values.map((v, i) => `${left + i},${(40 - (v / top) * 38).toFixed(2)}`);
  if (!points.length) return "";
  return close ? `M${left},40L${points.join("L")}L${HISTORY - 1},40Z` : `M${points.join("L")}`;
}

function sparkline(channel) {
  const passed = channel.passed || [];
  const refused = channel.refused || [];
  const top = Math.max(1, ...passed, ...refused);
  const svg = makeSvg("svg", { viewBox: "0 0 119 40", preserveAspectRatio: "none", class: "spark", role: "img" });
  svg.setAttribute("aria-label",
    `Messages a second in the last two minutes, at most ${top}; now ${newest(passed)} pass and ${newest(refused)} are refused`);
  svg.append(makeSvg("line", { x1: 0, x2: 119, y1: 40, y2: 40, class: "base" }),
    makeSvg("path", { d: path(passed, top, true), class: "pass" }));
  if (refused.some((v) => v > 0)) svg.append(makeSvg("path", { d: path(refused, top, false), class: "refuse" }));
  const scale = make("p", { class: "scale" }, make("span", { text: "2 min" }),
    make("span", { text: `peak ${number(top)}/s` }), make("span", { text: "now" }));
  return [svg, scale];
}

function signatures(channel) {
  const words = { ok: "good", ok_undated: "good, undated", missing: "missing", bad: "bad" };
  return Object.entries(words)
    .filter(([state]) => channel.signatures[state] > 0)
    .map(([state, word]) => `${number(channel.signatures[state])} ${word}`).join(", ");
}

function channelCard(channel) {
  const now = newest(channel.passed) + newest(channel.refused);
  const head = make("div", { class: "now" }, make("h3", { text: channel.chan }),
    make("strong", { text: channel.ended ? "ended" : `${number(now)}/s` }));
  const way = make("p", { class: "way mono", text: `${channel.in} → ${channel.out}` });
  const list = make("dl", { class: "facts" });
  const rows = [
    ["passed", `${number(channel.pass)} · ${bytes(channel.bytes_out)}`, "good"],
    ["quarantined", number(channel.quarantine), channel.quarantine > 0 ? "bad" : ""],
    ["dropped", number(channel.drop), channel.drop > 0 ? "bad" : ""],
    ["waiting", number(channel.queue), channel.queue > 0 ? "warn" : ""],
    ["producers, consumers", `${number(channel.producers)}, ${number(channel.consumers)}`],
    ["policy", channel.policy],
  ];
  if (channel.scans > 0) rows.push(["a judgement takes", duration(channel.scan_ns / channel.scans)]);
  const signed = signatures(channel);
  if (signed) rows.push(["signatures", signed, channel.signatures.bad > 0 ? "bad" : ""]);
  facts(list, rows);
  return make("article", {}, head, way, ...sparkline(channel), list);
}

// ---- bars

function bars(list, rows, empty) {
  const most = Math.max(1, ...rows.map((row) => row.count));
  list.replaceChildren(...rows.map((row) => {
    const name = make("span", { class: "name" }, make("span", { text: row.name, class: row.mono ? "mono" : "" }));
    if (row.why) name.append(make("span", { class: "why", text: row.why }));
    return make("li", {}, name, make("b", { text: number(row.count) }),
      make("progress", { class: "bar", max: most, value: row.count, "aria-hidden": "true" }));
  }));
  if (!rows.length) list.append(make("li", { class: "empty", text: empty }));
}

// ---- findings

const named = (find) => (find && find.mod !== undefined ? `${find.mod} ${find.name}` : "");
const main = (line) => (line.finds || []).find((find) => find.mod !== undefined) || (line.finds || [])[0];

function disassembly(ops) {
  const body = make("tbody", {});
  for (const op of ops) {
    body.append(make("tr", { class: op.mark ? "mark" : "" }, make("td", { text: String(op.off) }),
      make("td", { text: op.op }), make("td", { text: op.arg === undefined ? "" : op.arg })));
  }
  const caption = make("caption", { class: "hidden", text: "Opcodes around the finding, which is marked" });
  return make("div", { class: "code mono", tabindex: "0" }, make("table", {}, caption, body));
}

async function load(line, place) {
  if (!line.q || !line.q.entry) {
    place.append(make("p", { class: "quiet", text: "The message was not kept." }));
    return;
  }
  try {
    const reply = await fetch(`finding?entry=${encodeURIComponent(line.q.entry)}`);
    if (!reply.ok) throw new Error((await reply.text()).trim());
    const told = await reply.json();
    if (told.ops && told.ops.length) place.append(disassembly(told.ops));
    if (told.note) place.append(make("p", { class: "quiet", text: told.note }));
  } catch (error) {
    place.append(make("p", { class: "quiet", text: error.message }));
  }
}

function inside(line) {
  const list = make("dl", { class: "facts" });
  const rows = [["reason", `${line.reason}: ${line.reason_text || ""}`],
    ["verdict", line.enforced === false ? `${line.verdict} (reported only)` : line.verdict],
    ["message", `${line.msg.frames} ${line.msg.frames === 1 ? "frame" : "frames"}, ${bytes(line.msg.bytes)}`],
    ["policy", line.rule ? line.rule.set : ""], ["at", line.ts]];
  if (line.q && line.q.entry) rows.push(["held as", line.q.entry]);
  facts(list, rows);
  const finds = make("ul", { class: "finds" });
  for (const find of line.finds || []) {
    const text = [find.code, named(find), `at ${find.off} of frame ${find.frame}`, find.note].filter(Boolean).join(" · ");
    finds.append(make("li", { text }));
  }
  const left = make("div", {}, list, make("h4", { text: `Findings (${line.finds_total || 0})` }), finds);
  const right = make("div", {}, make("h4", { text: "What it would have done" }));
  load(line, right);
  return make("div", { class: "inner" }, left, right);
}

function findingRow(line) {
  const head = make("summary", {},
    make("time", { datetime: line.ts, text: clock(line.ts) }),
    make("span", { class: `level ${line.level}`, text: line.level }),
    make("span", { class: "chan", text: line.chan }),
    make("span", { class: "name mono", text: named(main(line)) || line.reason_text || "" }),
    make("span", { class: "what", text: line.reason }));
  const row = make("details", {}, head);
  row.dataset.chan = line.chan;
  row.addEventListener("toggle", () => {
    if (row.open && !row.querySelector(".inner")) row.append(inside(line));
  });
  return row;
}

function showFindings() {
  const place = at("findings");
  let shown = 0;
  for (const row of place.children) {
    row.hidden = state.picked !== "" && row.dataset.chan !== state.picked;
    shown += row.hidden ? 0 : 1;
  }
  say(at("count"), shown ? `the newest ${shown} of ${number(state.seen)}` : "none since the wall started");
}

// New rows go on top; those that somebody reads stay as they are.
function takeFindings(lines) {
  const place = at("findings");
  for (const line of lines.slice().reverse()) {
    if (line.n <= state.seen) continue;
    state.seen = line.n;
    place.prepend(findingRow(line));
  }
  while (place.children.length > KEPT) place.lastElementChild.remove();
  showFindings();
}

function offerChannels(names) {
  const pick = at("pick");
  const known = new Set([...pick.options].map((option) => option.value));
  for (const name of names) {
    if (!known.has(name)) pick.append(make("option", { value: name, text: name }));
  }
}

// ---- log, quarantine, keys

function showHouse(told) {
  const log = told.audit;
  facts(at("audit"), [
    ["takes lines", log.ready ? "yes" : "no: nothing is received", log.ready ? "good" : "bad"],
    ["lines", number(log.lines)],
    ["chain", `${number(log.chain)} lines`],
    ["lost", number(log.lost), log.lost > 0 ? "bad" : ""],
    ["failed writes", number(log.errors), log.errors > 0 ? "warn" : ""],
    ...(log.error ? [["", log.error, "bad"]] : []),
  ]);
  const held = told.held;
  at("full").value = held.max_bytes > 0 ? held.bytes / held.max_bytes : 0;
  facts(at("held"), [
    ["held", `${number(held.held)} · ${bytes(held.bytes)} of ${bytes(held.max_bytes)}`, held.held > 0 ? "warn" : ""],
    ["oldest", held.oldest ? `${span(seconds(held.oldest, told.now))} ago` : "–"],
    ["being released", number(held.releasing)],
    ["released, purged", `${number(held.released)}, ${number(held.purged)}`],
    ["encrypted", held.sealed ? "yes" : "no"],
  ]);
  const reload = told.reload;
  facts(at("reload"), [
    ["last reload", reload.good ? "good" : "refused", reload.good ? "good" : "bad"],
    ["in force since", `${span(seconds(reload.at, told.now))}`],
    ["reloads", `${number(reload.done)} good, ${number(reload.refused)} refused`],
    ["sandbox", `${told.sandbox} of 3`, told.sandbox < 3 ? "warn" : "good"],
    ...(reload.good ? [] : [["", reload.error, "bad"]]),
  ]);
  showKeys(told);
}

function showKeys(told) {
  at("keys").replaceChildren(...told.keys.map((key) => {
    const left = key.until ? seconds(told.now, key.until) : Infinity;
    const soon = left < 14 * 86400;
    const word = key.unusable || (left === Infinity ? "no end" : `${span(left)} left`);
    return make("li", {}, make("span", {}, make("span", { class: "mono", text: key.id }), make("span", { class: "quiet", text: ` ${key.suite}` })),
      make("span", { text: word, class: key.unusable ? "bad" : soon ? "warn" : "quiet" }));
  }));
  if (!told.keys.length) at("keys").append(make("li", { class: "empty", text: "No key folder is set." }));
}

// ---- all of it

function badge(words, kind) {
  say(at("state"), words);
  at("state").className = `badge ${kind}`;
}

function showState(told) {
  if (told.stopping) badge("stopping", "warn");
  else badge(told.ready ? "ready" : "not ready", told.ready ? "good" : "bad");
  at("alarm").hidden = told.ready || told.stopping;
  say(at("alarm"), told.error || "");
}

function showTotals(told) {
  const sum = (pick) => told.channels.reduce((total, channel) => total + pick(channel), 0);
  say(at("rate"), number(sum((c) => newest(c.passed) + newest(c.refused))));
  say(at("passed"), number(sum((c) => c.pass)));
  for (const [id, key] of [["quarantined", "quarantine"], ["dropped", "drop"]]) {
    const count = sum((c) => c[key]);
    say(at(id), number(count));
    at(id).classList.toggle("some", count > 0);
  }
}

function show(told) {
  say(at("instance"), told.instance);
  say(at("version"), told.version);
  say(at("uptime"), span(seconds(told.started, told.now)));
  document.title = `${told.ready ? "" : "! "}${told.instance || "picklewall"}`;
  showState(told);
  showTotals(told);
  at("channels").replaceChildren(...told.channels.map(channelCard));
  bars(at("reasons"), told.reasons.map((r) => ({ name: r.code, why: r.text, count: r.count })), "Nothing was refused.");
  bars(at("globals"), told.globals.map((g) => ({ name: `${g.mod} ${g.name}`, mono: true, count: g.count })), "No name was refused.");
  offerChannels(told.channels.map((c) => c.chan));
  showHouse(told);
}

function take(event) {
  const told = JSON.parse(event.data);
  // A wall that was started again counts its findings from one.
  if (state.last && state.last.started !== told.started) {
    state.seen = 0;
    at("findings").replaceChildren();
  }
  state.last = told;
  state.heard = Date.now();
  if (state.paused) {
    state.findings = [...told.findings, ...state.findings].slice(0, KEPT);
    return;
  }
  show(told);
  takeFindings(told.findings);
}

function pause() {
  state.paused = !state.paused;
  at("pause").setAttribute("aria-pressed", String(state.paused));
  say(at("pause"), state.paused ? "Go on" : "Pause");
  if (!state.paused && state.last) {
    show(state.last);
    takeFindings(state.findings);
    state.findings = [];
  }
}

at("pause").addEventListener("click", pause);
at("pick").addEventListener("change", () => {
  state.picked = at("pick").value;
  showFindings();
});
const source = new EventSource("events");
source.onmessage = take;
source.onerror = () => badge("no connection", "bad");
setInterval(() => {
  if (state.heard && Date.now() - state.heard > 5000) badge("no news", "bad");
}, 1000);
