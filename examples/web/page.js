// The page: drawing, buttons and plots. Training itself is Rust, behind `Trainer`.
import init, { Trainer, classes, side } from "./wgrad_web.js";

const $ = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

let trainer, names, size;
let running = false;
const losses = [];
const taught = new Map();

start().catch((error) => stop(error.message ?? String(error)));

async function start() {
  if (!navigator.gpu) {
    return stop("This browser has no WebGPU, or has it switched off. Recent versions of Chrome, Edge, Firefox and " +
      "Safari have it; it needs https or localhost.");
  }
  await init();
  trainer = await Trainer.create();
  [names, size] = [classes(), side()];
  document.querySelector("main").hidden = false;
  $("adapter").textContent = trainer.software ? "software renderer" : "GPU";
  listClasses();
  for (let i = 0; i < 40; i++) $("samples").append(thumbnail(trainer.image(i)));
  listen();
  drawCurve();
  requestAnimationFrame(frame);
}

// Says what is wrong, and leaves training where it is.
function stop(words) {
  running = false;
  trainer = undefined;
  $("message").textContent = words;
  $("message").hidden = false;
}

// ---- Every frame ------------------------------------------------------------------------------------------------

const frames = [];

function frame(now) {
  if (!trainer) return;
  try {
    running ? trainer.advance(Number($("budget").value)) : trainer.rest();
    const arrived = trainer.losses();
    if (arrived.length) showLosses(arrived, now);
    const probabilities = trainer.probabilities();
    if (probabilities) showProbabilities(probabilities);
  } catch (error) {
    return stop(error.message ?? String(error));
  }
  pace(now);
  requestAnimationFrame(frame);
}

// The longest time between two frames of the last second.
function pace(now) {
  frames.push(now);
  while (frames[0] < now - 1000) frames.shift();
  const gaps = frames.slice(1).map((time, i) => time - frames[i]);
  if (gaps.length) $("frame").textContent = `${Math.max(...gaps).toFixed(0)} ms`;
}

const arrivals = [];

function showLosses(arrived, now) {
  if (!losses.length) $("first").textContent = `${(now / 1000).toFixed(1)} s`;
  losses.push(...arrived);
  const last = losses.slice(-20);
  $("step").textContent = losses.length;
  $("loss").textContent = (last.reduce((sum, loss) => sum + loss, 0) / last.length).toFixed(3);
  arrivals.push([now, losses.length]);
  while (arrivals.length > 2 && arrivals[0][0] < now - 2000) arrivals.shift();
  const [since, before] = arrivals[0];
  if (now > since) $("rate").textContent = ((losses.length - before) * 1000 / (now - since)).toFixed(1);
  drawCurve();
}

// ---- The loss curve ---------------------------------------------------------------------------------------------

function drawCurve() {
  const canvas = $("curve"), scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.font = "12px system-ui, sans-serif";
  const [left, top, right, bottom] = [36, 8, width - 8, height - 22];
  const steps = Math.max(100, losses.length);
  const most = Math.max(2, ...losses.slice(0, 20));
  const x = (step) => left + (right - left) * step / steps;
  const y = (loss) => bottom - (bottom - top) * Math.min(1, loss / most);

  context.fillStyle = colour("--note");
  context.strokeStyle = colour("--line");
  context.textAlign = "right";
  for (let loss = 0; loss <= most; loss += 0.5) {
    line(context, [[left, y(loss)], [right, y(loss)]]);
    context.fillText(loss.toFixed(1), left - 6, y(loss) + 4);
  }
  context.fillText(`step ${steps}`, right, height - 6);
  context.textAlign = "left";
  context.fillText("0", left, height - 6);

  // Each step's loss, and over it a running mean; of long runs not more points than pixels.
  const stride = Math.ceil(losses.length / (right - left));
  const raw = [], smooth = [];
  let mean = losses[0];
  losses.forEach((loss, i) => {
    mean += (loss - mean) * Math.max(0.1, 1 / (i + 1));
    if (i % stride) return;
    raw.push([x(i), y(loss)]);
    smooth.push([x(i), y(mean)]);
  });
  context.strokeStyle = colour("--faint");
  line(context, raw);
  context.strokeStyle = colour("--accent");
  context.lineWidth = 2;
  line(context, smooth);
}

function line(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

// ---- Classes ----------------------------------------------------------------------------------------------------

function listClasses() {
  names.forEach((name, label) => {
    const item = document.createElement("li");
    item.innerHTML = `<span class="name"></span><div class="share"><div></div></div><span class="percent"></span>
      <button type="button" disabled></button>`;
    item.querySelector(".name").textContent = name;
    const button = item.querySelector("button");
    button.textContent = "Teach";
    button.setAttribute("aria-label", `Teach that it is a ${name}`);
    button.addEventListener("click", () => teach(label));
    $("classes").append(item);
  });
}

function showProbabilities(probabilities) {
  const best = Math.max(...probabilities);
  [...$("classes").children].forEach((item, label) => {
    const share = drawn ? probabilities[label] : 0;
    item.classList.toggle("best", drawn && share === best);
    item.querySelector(".share div").style.width = `${100 * share}%`;
    item.querySelector(".percent").textContent = drawn ? `${(100 * share).toFixed(0)} %` : "";
  });
}

function teach(label) {
  const pixels = ink();
  trainer.teach(pixels, label);
  taught.set(label, (taught.get(label) ?? 0) + 1);
  const counts = [...taught].sort().map(([label, count]) => `${names[label]} ${count}`);
  $("taught").textContent = `Your drawings: ${counts.join(", ")}.`;
  $("samples").prepend(thumbnail(pixels));
  clear();
}

// ---- Drawing ----------------------------------------------------------------------------------------------------

const drawing = $("drawing"), pen = drawing.getContext("2d", { willReadFrequently: true });
let drawn = false;

// Ink of each cell, 0 to 255: the share of it that is covered, relative to the most covered one.
function ink() {
  const cell = drawing.width / size, cells = new Float64Array(size * size);
  const { data } = pen.getImageData(0, 0, drawing.width, drawing.height);
  for (let i = 3; i < data.length; i += 4) {
    const pixel = (i - 3) / 4, x = pixel % drawing.width, y = Math.floor(pixel / drawing.width);
    cells[Math.floor(y / cell) * size + Math.floor(x / cell)] += data[i];
  }
  const most = Math.max(1, ...cells);
  return Uint8Array.from(cells, (sum) => sum * 255 / most);
}

function thumbnail(pixels, canvas = document.createElement("canvas")) {
  [canvas.width, canvas.height] = [size, size];
  canvas.className = "ink";
  const context = canvas.getContext("2d"), image = context.createImageData(size, size);
  // Black; the style sheet inverts it where the page is dark.
  pixels.forEach((value, i) => image.data[4 * i + 3] = value);
  context.putImageData(image, 0, 0);
  return canvas;
}

function changed() {
  const pixels = ink();
  trainer.show(drawn ? pixels : undefined);
  if (!drawn) showProbabilities(names.map(() => 0));
  thumbnail(pixels, $("seen"));
  for (const button of $("classes").querySelectorAll("button")) button.disabled = !drawn;
}

function clear() {
  pen.clearRect(0, 0, drawing.width, drawing.height);
  drawn = false;
  changed();
}

// ---- Buttons ----------------------------------------------------------------------------------------------------

function listen() {
  const place = (event) => {
    const box = drawing.getBoundingClientRect();
    return [(event.clientX - box.left) * drawing.width / box.width, (event.clientY - box.top) * drawing.height / box.height];
  };
  let last;
  const stroke = (event) => {
    const next = place(event);
    pen.lineWidth = 2.2 * drawing.width / size;
    pen.lineCap = pen.lineJoin = "round";
    line(pen, [last, next]);
    last = next;
    drawn = true;
    changed();
  };
  drawing.addEventListener("pointerdown", (event) => {
    drawing.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(event);
  });
  drawing.addEventListener("pointermove", (event) => last && stroke(event));
  for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, () => last = undefined);
  $("clear").addEventListener("click", clear);

  $("run").addEventListener("click", () => {
    running = !running;
    $("run").textContent = running ? "Pause" : "Start";
  });
  addEventListener("resize", drawCurve);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCurve);
  $("budget").addEventListener("input", () => $("budget-value").textContent = `${$("budget").value} ms`);

  $("save").addEventListener("click", async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await trainer.weights()]));
    link.download = "shapes.safetensors";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  $("load").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    try {
      if (file) trainer.load(new Uint8Array(await file.arrayBuffer()));
      $("message").hidden = true;
    } catch (error) {
      // A wrong file is no reason to stop.
      $("message").textContent = error.message;
      $("message").hidden = false;
    }
    event.target.value = "";
  });
}
