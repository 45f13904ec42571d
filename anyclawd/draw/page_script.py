"""The program of the page that `draw.html` writes: what a reader can do with the picture.

It reads the units, links and phases from the element `#data`, and puts texts nowhere but into text.
A unit's element carries its number as `data-unit`, a line's element the links that it is a piece of
as `data-links`. Without it the page is the picture alone.
"""

SCRIPT = r"""
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const picture = byId("graph"), stage = byId("stage"), card = byId("card");
  const groups = [...picture.querySelectorAll("[data-unit]")];
  const lines = [...picture.querySelectorAll("path[data-links]")];
  const natural = { width: picture.width.baseVal.value, height: picture.height.baseVal.value };
  document.documentElement.classList.add("js");

  // -- what belongs together --------------------------------------------------------------------
  const sources = data.units.map(() => []), targets = data.units.map(() => []);
  for (const [source, target, relations] of data.links) {
    if (relations.every((name) => name === "conflicts" || name === "on_failure")) continue;
    sources[target].push(source);
    targets[source].push(target);
  }
  const reach = (start, table) => {
    const found = new Set(), agenda = [start];
    while (agenda.length) {
      for (const other of table[agenda.pop()]) {
        if (!found.has(other)) { found.add(other); agenda.push(other); }
      }
    }
    return found;
  };

  // -- selection --------------------------------------------------------------------------------
  let selected = null;
  const show = (kept, marked) => {
    picture.classList.toggle("narrowed", kept !== null);
    groups.forEach((group, unit) => {
      group.classList.toggle("kept", kept !== null && kept.has(unit));
      group.classList.toggle("chosen", marked === unit);
    });
    for (const line of lines) {
      const pairs = line.dataset.links.split(" ").map((pair) => pair.split("-").map(Number));
      line.classList.toggle("kept", kept !== null && pairs.some((pair) => connects(pair, marked)));
    }
  };
  let above = new Set(), below = new Set();
  const connects = ([source, target], unit) =>
    unit !== null &&
    ((above.has(source) && (above.has(target) || target === unit)) ||
      (below.has(target) && (below.has(source) || source === unit)));
  const select = (unit) => {
    selected = unit;
    if (unit === null) { above = new Set(); below = new Set(); show(null, null); }
    else {
      above = reach(unit, sources); below = reach(unit, targets);
      show(new Set([...above, ...below, unit]), unit);
    }
    groups.forEach((group, index) => group.setAttribute("aria-pressed", String(index === unit)));
    say(unit === null ? "" : `${data.units[unit].name}: depends on ${above.size}, ` +
      `${below.size} depend on it`);
  };
  const say = (text) => { byId("said").textContent = text; };

  // -- the card ---------------------------------------------------------------------------------
  const row = (list, term, value) => {
    if (!value) return;
    const name = document.createElement("dt"), text = document.createElement("dd");
    name.textContent = term; text.textContent = value;
    list.append(name, text);
  };
  const fill = (unit) => {
    const its = data.units[unit], title = document.createElement("h2");
    const about = document.createElement("p"), list = document.createElement("dl");
    title.textContent = its.name;
    about.textContent = its.description;
    row(list, "kind", its.kind);
    for (const [term, value] of its.facts) row(list, term, value);
    card.replaceChildren(title, ...(its.description ? [about] : []), list);
  };
  const place = (unit) => {
    fill(unit);
    card.hidden = false;
    const box = groups[unit].getBoundingClientRect();
    const width = card.offsetWidth, height = card.offsetHeight, gap = 10;
    let left = box.right + gap;
    if (left + width > innerWidth) left = Math.max(gap, box.left - width - gap);
    const top = Math.min(Math.max(gap, box.top), Math.max(gap, innerHeight - height - gap));
    card.style.left = `${left}px`;
    card.style.top = `${top}px`;
  };
  const hide = () => { card.hidden = true; };

  groups.forEach((group, unit) => {
    const title = group.querySelector("title");
    group.setAttribute("aria-label", title.textContent);
    title.remove();  // the card says more than a browser's own tip
    group.setAttribute("tabindex", unit === 0 ? "0" : "-1");
    group.setAttribute("role", "button");
    group.addEventListener("pointerenter", () => place(unit));
    group.addEventListener("pointerleave", hide);
    group.addEventListener("focus", () => {
      groups.forEach((one) => one.setAttribute("tabindex", one === group ? "0" : "-1"));
      place(unit);
    });
    group.addEventListener("blur", hide);
    group.addEventListener("click", (event) => {
      event.stopPropagation();
      select(selected === unit ? null : unit);
    });
  });
  stage.addEventListener("click", () => select(null));
  stage.addEventListener("scroll", hide);

  // -- keys -------------------------------------------------------------------------------------
  const middle = (unit) => {
    const box = groups[unit].getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const nearest = (unit, dx, dy) => {
    const [x, y] = middle(unit);
    let best = null, least = Infinity;
    groups.forEach((_, other) => {
      const [ox, oy] = middle(other), ahead = (ox - x) * dx + (oy - y) * dy;
      const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      if (other !== unit && ahead > 4 && ahead + 3 * aside < least) {
        least = ahead + 3 * aside; best = other;
      }
    });
    return best;
  };
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  picture.addEventListener("keydown", (event) => {
    const unit = groups.indexOf(document.activeElement);
    if (unit < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      select(selected === unit ? null : unit);
    } else if (event.key in ways) {
      const other = nearest(unit, ...ways[event.key]);
      if (other !== null) {
        groups[other].focus({ preventScroll: true });
        groups[other].scrollIntoView({ block: "nearest", inline: "nearest" });
        place(other);
      }
    } else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { select(null); hide(); byId("find").value = ""; seek(""); }
  });

  // -- search and size --------------------------------------------------------------------------
  const seek = (text) => {
    const wanted = text.trim().toLowerCase();
    if (!wanted) { select(null); return; }
    const hits = new Set();
    data.units.forEach((unit, index) => {
      if (`${unit.name} ${unit.description}`.toLowerCase().includes(wanted)) hits.add(index);
    });
    selected = null; above = new Set(); below = new Set();
    show(hits, null);
    say(`${hits.size} of ${data.units.length} units`);
    if (hits.size) {
      groups[Math.min(...hits)].scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  };
  byId("find").addEventListener("input", (event) => seek(event.target.value));
  let scale = 1;
  const size = (wanted) => {
    scale = Math.min(4, Math.max(0.1, wanted));
    picture.style.width = `${natural.width * scale}px`;
    picture.style.height = `${natural.height * scale}px`;
    byId("scale").textContent = `${Math.round(scale * 100)} %`;
    hide();
  };
  const fit = () => size(Math.min(1, stage.clientWidth / natural.width));
  byId("fit").addEventListener("click", fit);
  byId("larger").addEventListener("click", () => size(scale * 1.25));
  byId("smaller").addEventListener("click", () => size(scale / 1.25));
  size(Math.max(0.6, Math.min(1, stage.clientWidth / natural.width)));
  stage.scrollTop = (stage.scrollHeight - stage.clientHeight) / 2;  // the first units are there

  // -- the boot, played -------------------------------------------------------------------------
  if (!data.boot) return;
  const slider = byId("at"), button = byId("play"), clock = byId("clock");
  const end = data.boot.end_s, lasts = Math.min(10, Math.max(4, end)) * 1000;
  const notes = groups.map((group) => group.querySelector(".note"));
  const marks = groups.map((group) => group.querySelector(".mark"));
  const original = groups.map((group, unit) => [
    group.getAttribute("class"), notes[unit].textContent, marks[unit].getAttribute("d"),
    marks[unit].getAttribute("class"),
  ]);
  const phaseAt = (unit, at) => {
    let found = "idle";
    for (const [phase, begin] of data.units[unit].phases) if (begin <= at) found = phase;
    return found;
  };
  const written = (seconds) =>
    end < 10 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
  let shown = [], ticking = null, since = 0;
  const put = (at) => {
    picture.classList.add("playing");
    let ready = 0;
    groups.forEach((group, unit) => {
      const phase = phaseAt(unit, at);
      ready += phase === "ready";
      if (shown[unit] === phase) return;
      shown[unit] = phase;
      const chosen = ["kept", "chosen"].filter((name) => group.classList.contains(name)).join(" ");
      group.setAttribute("class", `unit phase-${phase} ${chosen}`);
      notes[unit].textContent = phase === "idle" ? "" : phase;
      const [path, kind] = data.marks[phase];
      marks[unit].setAttribute("d", path);
      marks[unit].setAttribute("class", kind);
    });
    slider.value = String(Math.round((at / end) * 1000));
    const text = `${written(at)} of ${written(end)}, ${ready} ready`;
    clock.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  };
  const restore = () => {
    shown = [];
    picture.classList.remove("playing");
    groups.forEach((group, unit) => {
      const [css, note, path, kind] = original[unit];
      const chosen = ["kept", "chosen"].filter((name) => group.classList.contains(name)).join(" ");
      group.setAttribute("class", `${css} ${chosen}`);
      notes[unit].textContent = note;
      marks[unit].setAttribute("d", path);
      marks[unit].setAttribute("class", kind);
    });
    slider.value = "1000";
    clock.textContent = written(end);
  };
  const pause = () => {
    if (ticking !== null) cancelAnimationFrame(ticking);
    ticking = null;
    button.textContent = "Play the boot";
    button.setAttribute("aria-pressed", "false");
  };
  const step = (now) => {
    const at = ((now - since) / lasts) * end;
    if (at >= end) { put(end); pause(); return; }
    put(Math.max(0, at));
    ticking = requestAnimationFrame(step);
  };
  button.addEventListener("click", () => {
    if (ticking !== null) { pause(); return; }
    const begin = Number(slider.value) >= 1000 ? 0 : Number(slider.value) / 1000;
    since = performance.now() - begin * lasts;
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    ticking = requestAnimationFrame(step);
  });
  slider.addEventListener("input", () => { pause(); put((Number(slider.value) / 1000) * end); });
  byId("reset").addEventListener("click", () => { pause(); restore(); });
  restore();
})();
"""
