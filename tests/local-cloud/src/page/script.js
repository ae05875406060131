"use strict";
const POINTS = 120;
let answered = 0;

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const count = (n) => number.format(n ?? 0);
const escape = (text) =>
  String(text).replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);
const short = (text, keep = 12) => (text.length > keep * 2 + 1 ? `${text.slice(0, keep)}…${text.slice(-keep)}` : text);
const sum = (list, value) => list.reduce((total, item) => total + (value(item) ?? 0), 0);

function ago(ms, now) {
  if (ms === null || ms === undefined) return "never";
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 2) return "just now";
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

function bytes(n) {
  const units = ["B", "KB", "MB", "GB"];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) {
    n /= 1000;
    at += 1;
  }
  return `${n < 10 && at > 0 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

/* Replaces content only when it differs, so that a selection survives. */
function put(id, html) {
  const element = document.getElementById(id);
  if (element.shown !== html) {
    element.innerHTML = html;
    element.shown = html;
  }
}

function figures(state) {
  const shards = state.streams.flatMap((stream) => stream.shards);
  const waiting = sum(shards, (shard) => shard.written - (shard.committed ?? 0));
  const recent = state.history.slice(-3);
  const rate = (name) => (recent.length ? sum(recent, (point) => point[name]) / recent.length : 0);
  const figure = (value, text) => `<div><b>${count(value)}</b><span>${text}</span></div>`;
  put(
    "figures",
    figure(rate("written"), "records written a second") +
      figure(rate("committed"), "rows committed a second") +
      figure(waiting, "records not in Snowflake yet") +
      figure(sum(state.tables, (table) => table.rows), "rows in tables"),
  );
}

function chart(history) {
  const top = Math.max(1, ...history.flatMap((point) => [point.written, point.committed]));
  const line = (name) =>
    history
      .map((point, at) => {
        const x = ((POINTS - history.length + at) / (POINTS - 1)) * 100;
        return `${at ? "L" : "M"}${x.toFixed(2)} ${(39 - (point[name] / top) * 37).toFixed(2)}`;
      })
      .join("");
  put(
    "lines",
    `<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="Highest value ${count(top)} a second">
      <path class="base" d="M0 39.5L100 39.5"/>
      <path class="written" d="${line("written")}"/><path class="committed" d="${line("committed")}"/></svg>
    <ul class="legend"><li><i class="w-line"></i>written</li><li><i class="c-line"></i>committed</li><li>highest ${count(top)} a second</li></ul>`,
  );
}

function shard(item) {
  const percent = (n) => (item.written ? Math.min(100, ((n ?? 0) / item.written) * 100) : 0);
  const behind = item.written - (item.committed ?? 0);
  const owner = item.owner ? `<span title="${escape(item.owner)}">${escape(short(item.owner, 6))}</span>` : "no owner";
  return `<div class="shard">
    <span title="${escape(item.id)}">${escape(item.id.replace(/^shardId-0*(?=\d)/, "Shard "))}${item.closed ? ' <span class="soft">closed</span>' : ""}</span>
    <span class="bar"><i class="w" data-width="${item.written ? 100 : 0}"></i><i class="k" data-width="${percent(item.checkpointed)}"></i><i class="c" data-width="${percent(item.committed)}"></i></span>
    <span class="right written">${count(item.written)} written</span>
    <span class="right behind ${behind ? "soft" : "good"}">${behind ? `${count(behind)} to go` : "all in"}</span>
    <span class="soft owner">${owner}</span>
  </div>`;
}

function streams(state) {
  const legend = `<ul class="legend"><li><i class="w-box"></i>written</li><li><i class="k-box"></i>checkpointed in NiFi</li><li><i class="c-box"></i>committed in Snowflake</li></ul>`;
  const cards = state.streams.map((stream) => {
    const open = stream.shards.filter((item) => !item.closed).length;
    const closed = stream.shards.length - open;
    const size = bytes(sum(stream.shards, (item) => item.bytes));
    return `<div class="card"><div class="head"><h3>${escape(stream.name)}</h3>
      <span class="soft">${escape(stream.status ?? "")} · ${open} open${closed ? `, ${closed} closed` : ""} · ${size}</span></div>
      ${stream.shards.map(shard).join("")}</div>`;
  });
  put("streams", cards.length ? legend + cards.join("") : `<p class="empty">No stream yet.</p>`);
  for (const part of document.querySelectorAll("[data-width]")) part.style.width = `${part.dataset.width}%`;
}

function grid(names, rows, numeric = []) {
  const side = (at) => (numeric.includes(at) ? ' class="num"' : "");
  const head = names.map((name, at) => `<th${side(at)}>${escape(name)}</th>`).join("");
  const body = rows.map((row) => `<tr>${row.map((cell, at) => `<td data-name="${escape(names[at])}"${side(at)}>${cell}</td>`).join("")}</tr>`);
  return `<table class="stack"><thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

function tables(state) {
  const cards = state.tables.map((table) => {
    const cell = (value) =>
      value === null ? '<td class="value soft">NULL</td>' : `<td class="value" title="${escape(value)}">${escape(value)}</td>`;
    const head = table.columns.map((name) => `<th>${escape(name)}</th>`).join("");
    const rows = table.last.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("");
    const errors = table.error_rows ? ` · <span class="bad">${count(table.error_rows)} refused</span>` : "";
    const content = table.last.length ? `<div class="scroll" tabindex="0"><table><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table></div>` : "";
    return `<div class="card"><div class="head"><h3>${escape([table.database, table.schema, table.name].join("."))}</h3>
      <span class="soft">${count(table.rows)} rows${errors} · last commit ${ago(table.last_commit_ms, state.now_ms)}</span></div>${content}</div>`;
  });
  put("tables", cards.length ? cards.join("") : `<p class="empty">No table yet.</p>`);
}

function channels(state) {
  const rows = state.channels.map((channel) => [
    `${escape(channel.name)}<br><span class="soft">${escape(channel.pipe)}</span>`,
    channel.status === "SUCCESS" ? '<span class="good">open</span>' : `<span class="bad">${escape(channel.status)}</span>`,
    `<span class="mono" title="${escape(channel.committed ?? "")}">${escape(channel.committed ? short(channel.committed, 8) : "none")}</span>`,
    channel.pending ? `${count(channel.pending)}<span class="soft">, ${(channel.lag_ms / 1000).toFixed(1)} s</span>` : "0",
    count(channel.rows),
    channel.errors ? `<span class="bad" title="${escape(channel.last_error ?? "")}">${count(channel.errors)}</span>` : "0",
  ]);
  const names = ["Channel", "State", "Committed token", "Waiting appends", "Rows", "Refused"];
  put("channels", rows.length ? `<div class="card">${grid(names, rows, [3, 4, 5])}</div>` : `<p class="empty">No channel yet.</p>`);
}

function leases(state) {
  const rows = state.leases.filter((row) => !row.shardId.startsWith("__")).map((row) => [
    `${escape(row.shardId)}<br><span class="soft">${escape(row.streamName)}, ${escape(row.application)}</span>`,
    row.leaseOwner ? `<span title="${escape(row.leaseOwner)}">${escape(short(row.leaseOwner, 8))}</span>` : '<span class="soft">none</span>',
    row.leaseExpiry ? (row.leaseExpiry < state.now_ms ? '<span class="bad">expired</span>' : `in ${Math.ceil((row.leaseExpiry - state.now_ms) / 1000)} s`) : '<span class="soft">free</span>',
    row.shardEnded ? "shard end" : `<span class="mono" title="${escape(row.sequenceNumber ?? "")}">${escape(row.sequenceNumber ? short(row.sequenceNumber, 8) : (row.startAnchor ?? "none"))}</span>`,
    ago(row.lastUpdateTimestamp, state.now_ms),
  ]);
  const nodes = state.leases.filter((row) => row.shardId.startsWith("__node__#") && row.nodeHeartbeat);
  const active = nodes.filter((row) => row.nodeHeartbeat + 40000 > state.now_ms).length;
  const text = nodes.length ? `<p class="soft">${active} of ${nodes.length} nodes active</p>` : "";
  const names = ["Shard", "Owner", "Lease ends", "Checkpoint", "Updated"];
  put("leases", rows.length ? `<div class="card">${grid(names, rows)}</div>${text}` : `<p class="empty">No checkpoint table yet.</p>`);
}

function addresses(state) {
  put("addresses", Object.entries(state.addresses).map(([name, value]) => `<dt>${escape(name)}</dt><dd class="mono">${escape(value)}</dd>`).join(""));
}

function health(text, lost) {
  const element = document.getElementById("health");
  element.textContent = text;
  element.className = lost ? "lost" : "";
}

async function update() {
  try {
    const answer = await fetch("api/state", { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.status);
    const state = await answer.json();
    answered = Date.now();
    figures(state);
    chart(state.history);
    streams(state);
    tables(state);
    channels(state);
    leases(state);
    addresses(state);
    health(`Running, ${count(state.calls)} AWS calls so far`, false);
  } catch {
    health(answered ? `No answer since ${new Date(answered).toLocaleTimeString()}` : "No answer", true);
  }
  setTimeout(update, 1000);
}

update();
