"use strict";
// What pages need beyond htmx: keys, the menu on small screens, how current the page is, plots and
// suggestions. Everything works without: this file only makes it quicker.

(() => {
  const $ = (selector) => document.querySelector(selector);

  // The menu of small screens.
  const button = $(".menu-button");
  button?.addEventListener("click", () => {
    const shown = $("#menu").classList.toggle("shown");
    button.setAttribute("aria-expanded", String(shown));
  });
  document.addEventListener("click", (event) => {
    const opens = event.target.closest("[data-open]");
    if (opens) document.getElementById(opens.dataset.open).showModal();
  });

  // Keys. Not while typing, and not with modifiers, which belong to browser and reader.
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (document.documentElement.dataset.keys === "off") return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input, select, textarea") || $("dialog[open]")) return;
    if (going && Date.now() - going < 1500) {
      going = 0;
      const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); location.assign(link.href); }
      return;
    }
    going = 0;
    if (event.key === "g") going = Date.now();
    else if (event.key === "?") { event.preventDefault(); $("#keys")?.showModal(); }
    else if (event.key === "/") {
      const field = $("[data-filter]") ?? $("#search");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    }
  });

  // How current the page is. What may not be followed any more, the page itself explains.
  const told = $("#liveness"), live = $("#live");
  const tell = (words) => { if (told) { told.hidden = false; told.textContent = words; } };
  const lost = (status) => {
    if ([401, 403, 404].includes(status)) location.reload();
    else tell(status === 429 ? "○ not live: too many tabs are open" : "○ connection lost, trying again");
  };
  const begin = (status) => { lost(status); setTimeout(() => htmx.trigger(live, "again"), 5000); };
  document.addEventListener("htmx:sse:after:connection", () => tell("● live"));
  document.addEventListener("htmx:sse:error", ({ detail }) => lost(detail.status));
  document.addEventListener("htmx:response:error", ({ detail }) => begin(detail.ctx.response.status));
  document.addEventListener("htmx:error", () => begin());
  document.addEventListener("htmx:sse:close", () => tell("○ not live: reload the page"));
  document.addEventListener("begun", ({ detail }) => {
    if (detail.data !== document.documentElement.dataset.assets) tell("○ sisgate was updated: reload the page");
  });
  document.addEventListener("stale", ({ detail }) => tell(`○ not up to date: ${detail.data}`));
  document.addEventListener("current", () => tell("● live"));
  document.addEventListener("ended", () => location.reload());
  document.addEventListener("visibilitychange", () => tell(document.hidden ? "○ paused" : "○ connecting"));

  // What has the focus may go when its part of the page is renewed: then what it was in gets it.
  let around = [];
  document.addEventListener("htmx:before:swap", () => {
    around = [];
    for (let at = document.activeElement; live.contains(at); at = at.parentElement) around.push(at);
  });
  document.addEventListener("htmx:after:swap", () => {
    if (!around.length || around[0] === document.activeElement) return;
    around.find((each) => each.isConnected && each.matches("a, button, input, select, textarea, summary, [tabindex]"))?.focus({ preventScroll: true });
  });

  // On small screens each row of a table is a card (console.css), whose lines have these names.
  const name = () => {
    for (const table of document.querySelectorAll("table:has(thead)")) {
      const names = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
      table.classList.add("cards");
      for (const { cells } of table.tBodies[0]?.rows ?? []) {
        if (cells.length !== names.length) continue;
        [...cells].forEach((cell, n) => {
          cell.dataset.name = names[n];
          cell.classList.toggle("none", cell.textContent.trim() === "-"); // says nothing on a card
        });
      }
    }
  };
  document.addEventListener("htmx:after:swap", name);
  name();

  // Plots: the values are in the page, as in a table for who cannot see them.
  const draw = () => {
    for (const place of document.querySelectorAll("[data-plot]")) {
      if (place.drawn === place.dataset.plot || !window.uPlot) continue;
      place.drawn = place.dataset.plot;
      const { times, series } = JSON.parse(place.dataset.plot);
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(`--${name}`).trim();
      const axis = { stroke: colour("faint"), grid: { stroke: colour("line") }, ticks: { stroke: colour("line") } };
      place.replaceChildren();
      new uPlot({
        width: place.clientWidth || 600, height: 200, legend: { show: true }, cursor: { drag: { x: false } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toISOString().slice(11, 16)) }, axis],
        series: [{ label: "Time, UTC" }, ...series.map((each) => ({ label: each.label, stroke: colour(each.tone), width: 2, dash: each.dash ?? [] }))],
      }, [times, ...series.map((each) => each.values)], place);
    }
  };
  document.addEventListener("htmx:after:swap", draw);
  addEventListener("resize", () => {
    for (const place of document.querySelectorAll("[data-plot]")) { place.drawn = null; place.replaceChildren(); }
    draw();
  });
  draw();

  // An action on many jobs goes on by itself, round by round, until somebody stops it.
  $("form[data-continue]")?.requestSubmit();

  // Suggestions for a filter: of the word at the cursor, from the server.
  const field = $("[data-filter][data-suggest]");
  if (field) {
    const list = document.getElementById(field.getAttribute("aria-controls"));
    let at = -1, asked = 0;
    const word = () => /\S*$/.exec(field.value.slice(0, field.selectionStart))[0];
    const close = () => { list.hidden = true; at = -1; field.setAttribute("aria-expanded", "false"); field.removeAttribute("aria-activedescendant"); };
    const take = (text) => {
      const end = field.selectionStart, begin = end - word().length;
      const space = text.endsWith(":") ? "" : " ";
      field.setRangeText(text + space, begin, end, "end");
      close(); field.focus(); ask();
    };
    const mark = (place) => {
      at = place;
      const items = [...list.children];
      items.forEach((item, n) => item.setAttribute("aria-selected", String(n === at)));
      if (at < 0) return field.removeAttribute("aria-activedescendant");
      field.setAttribute("aria-activedescendant", items[at].id);
      items[at].scrollIntoView({ block: "nearest" });
    };
    const choose = (step) => {
      const from = at < 0 && step < 0 ? 0 : at; // up from nothing is the last
      mark((from + step + list.children.length) % list.children.length);
    };
    const ask = async () => {
      const mine = ++asked;
      const answer = await fetch(`${field.dataset.suggest}?word=${encodeURIComponent(word())}`);
      if (!answer.ok || mine !== asked) return;
      const words = await answer.json();
      if (!words.length || document.activeElement !== field) return close();
      const chosen = list.children[at]?.textContent; // stays so
      list.replaceChildren(...words.map((text, n) => {
        const item = document.createElement("li");
        item.id = `${list.id}-${n}`;
        item.setAttribute("role", "option");
        item.textContent = text;
        item.addEventListener("mousedown", (event) => { event.preventDefault(); take(text); });
        return item;
      }));
      mark(words.indexOf(chosen));
      list.hidden = false;
      field.setAttribute("aria-expanded", "true");
    };
    // Until the answer to what was just typed is there, only what fits it can be chosen.
    const narrow = () => {
      const chosen = list.children[at];
      for (const item of [...list.children]) if (!item.textContent.startsWith(word())) item.remove();
      mark([...list.children].indexOf(chosen));
      if (!list.children.length) close();
    };
    field.addEventListener("input", () => { narrow(); ask(); });
    field.addEventListener("focus", ask);
    field.addEventListener("blur", close);
    field.addEventListener("keydown", (event) => {
      if (list.hidden) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); choose(event.key === "ArrowDown" ? 1 : -1); }
      else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) { event.preventDefault(); take(list.children[at].textContent); }
      else if (event.key === "Escape") { event.preventDefault(); close(); }
    });
  }
})();
