"""Drives the page in headless Chromium as a user would: draws, teaches, trains, saves and loads.

    browser.py SITE NATIVE.safetensors MODULES [--screenshots DIR] [--steps 20]

SITE is the folder that ci/web makes. NATIVE holds the weights that web-weights wrote after as many steps, and the folder
MODULES the WGSL of all kernels, which the browser's compiler must take. Needs Python's standard library and Chromium, and
ends with 1 if anything is not as it should be.
"""

import argparse
import base64
import functools
import http.server
import json
import math
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

# Software rendering, so that a machine without a GPU has an adapter.
FLAGS = """--headless=new --no-sandbox --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader --disable-quic
    --no-first-run --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars
    --window-size=960,1180 --remote-debugging-pipe""".split()

# A gradient's elements are sums of up to 32 · 256 products, added in another order by another implementation: rounding with
# u = 2^-24 gives them a relative error of about sqrt(8192) · u = 5e-6 of their terms' size. Such errors move a weight by
# 5e-6 of the way that it goes in 20 steps, which is less than 1/2, and steps that follow an error of the weights may enlarge it
# a few times: 1e-5. A step more or less moves weights by a thousand times that, which is checked too.
TOLERANCE = 1e-5

# Against hangs. A loaded machine without a GPU makes about one step a second.
DEADLINE = 600


class Browser:
    """One page in a Chromium of its own, spoken to in the DevTools protocol over a pair of pipes."""

    def __init__(self, profile):
        to_chromium, self.requests = os.pipe()
        self.replies, from_chromium = os.pipe()
        # The protocol's descriptors are 3 and 4; what they were before must not be overwritten on the way.
        shell = 'exec 3<&"$0" 4>&"$1"; shift; exec "$@"'
        command = [shutil.which("chromium") or "chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", shell, str(to_chromium), str(from_chromium), *command],
            pass_fds=(to_chromium, from_chromium),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_chromium)
        os.close(from_chromium)
        self.buffer, self.count, self.session = b"", 0, None
        self.complaints = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ["Page", "Runtime", "Log", "DOM"]:
            self.call(f"{domain}.enable")

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.replies], [], [], left)[0]:
                raise TimeoutError("the browser did not answer in time")
            data = os.read(self.replies, 1 << 16)
            if not data:
                raise ConnectionError("the browser is gone")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.requests, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + DEADLINE
        while True:
            reply = self.receive(deadline)
            if reply.get("id") == self.count:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return reply["result"]
            self.note(reply)

    def note(self, event):
        """Keeps what a developer would see in red."""
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            words = [str(arg.get("value", arg.get("description"))) for arg in params["args"]]
            self.complaints.append(" ".join(words))
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])

    def js(self, expression):
        """The value of an expression, awaited if it is a promise."""
        reply = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return reply["result"].get("value")

    def until(self, expression, what):
        deadline = time.monotonic() + DEADLINE
        while not self.js(f"!!({expression})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain until {what}")
            time.sleep(0.1)

    def click(self, selector):
        self.js(f"document.querySelector({json.dumps(selector)}).click()")

    def mouse(self, kind, x, y):
        button = {"button": "left", "buttons": 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def draw(self, *strokes):
        """Draws lines through points, 0 to 1 across the canvas, after clearing it."""
        self.click("#clear")
        self.js("document.querySelector('#drawing').scrollIntoView({ block: 'center' })")
        box = self.js("(({ x, y, width }) => [x, y, width])(document.querySelector('#drawing').getBoundingClientRect())")
        for stroke in strokes:
            points = [(box[0] + x * box[2], box[1] + y * box[2]) for x, y in stroke]
            self.mouse("mousePressed", *points[0])
            for point in points[1:]:
                self.mouse("mouseMoved", *point)
            self.mouse("mouseReleased", *points[-1])

    def screenshot(self, folder, name):
        if folder:
            self.js("scrollTo(0, 0)")
            data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
            with open(os.path.join(folder, f"{name}.png"), "wb") as file:
                file.write(base64.b64decode(data))

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (OSError, TimeoutError, ConnectionError):
            pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def safetensors(data):
    """Values by name."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            assert entry["dtype"] == "F32", entry
            tensors[name] = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    return tensors


def difference(a, b):
    assert a.keys() == b.keys(), (a.keys(), b.keys())
    return max(abs(x - y) for name in a for x, y in zip(a[name], b[name], strict=True))


def circle(x, y, r):
    return [(x + r * math.cos(angle / 6), y + r * math.sin(angle / 6)) for angle in range(39)]


def filled(corners):
    """Strokes that fill a polygon: itself, again and again around its centre."""
    x, y = (sum(axis) / len(corners) for axis in zip(*corners))
    shrunk = lambda share: [(x + (px - x) * share, y + (py - y) * share) for px, py in [*corners, corners[0]]]
    return [shrunk(share) for share in (1, 0.75, 0.5, 0.25)]


# Drawn as a person might, none of them in the middle. Names are the classes'.
DRAWINGS = {
    "ring": [circle(0.55, 0.48, 0.27)],
    "cross": [[(0.25, 0.5), (0.8, 0.52)], [(0.53, 0.22), (0.5, 0.8)]],
    "disc": filled(circle(0.46, 0.52, 0.24)[::3]),
    "square": filled([(0.3, 0.32), (0.68, 0.3), (0.7, 0.7), (0.32, 0.72)]),
    "triangle": filled([(0.5, 0.25), (0.78, 0.72), (0.24, 0.72)]),
}

COUNT_FRAMES = """
    window.gaps = []; let last;
    const count = (now) => { if (last) gaps.push(now - last); last = now; requestAnimationFrame(count); };
    requestAnimationFrame(count);
"""

# As the page does, but exactly so many steps.
WEIGHTS = """(async (steps) => {
    const { Trainer } = await import("./wgrad_web.js");
    const trainer = await Trainer.create();
    trainer.stop_after(steps);
    for (let made = 0; made < steps; made += trainer.losses().length) {
        trainer.advance(8);
        await new Promise(requestAnimationFrame);
    }
    const weights = await trainer.weights();
    trainer.free();
    return btoa(String.fromCharCode(...weights));
})"""


def check(what, holds, detail=""):
    print(f"{'ok  ' if holds else 'FAIL'} {what}{f': {detail}' if detail else ''}", flush=True)
    if not holds:
        raise AssertionError(what)


def number(browser, id):
    text = browser.js(f"document.getElementById('{id}').textContent").split()[0]
    return float(text) if text != "–" else math.nan


def guess(browser):
    """The class named most often for the drawing in five looks, each by the weights of a later step. Single looks depend
    on when the browser draws its frames, and at a constant learning rate some steps are worse than the one before."""
    names = []
    browser.until("document.querySelector('#classes .best')", "the drawing had a name")
    for _ in range(5):
        step = number(browser, "step")
        browser.until(f"Number(document.getElementById('step').textContent) >= {step + 2}", "it was trained on")
        names.append(browser.js("document.querySelector('#classes .best .name').textContent"))
    return max(names, key=names.count)


def train(browser, shots):
    browser.js(COUNT_FRAMES)
    browser.draw(*DRAWINGS["ring"])
    browser.click("#run")
    began = time.monotonic()
    browser.until("Number(document.getElementById('step').textContent) >= 1", "the first step was made")
    compiling = browser.js("gaps.length")
    browser.until("Number(document.getElementById('step').textContent) >= 20", "20 steps were made")
    first_loss = number(browser, "loss")
    browser.until("Number(document.getElementById('step').textContent) >= 60", "60 steps were made")
    browser.screenshot(shots, "training")
    done = "Number(document.getElementById('loss').textContent) < 0.25"
    browser.until(f"{done} || Number(document.getElementById('step').textContent) >= 2000", "the set was learned")
    seconds, steps, loss = time.monotonic() - began, number(browser, "step"), number(browser, "loss")
    check("the loss falls", loss < 0.25 < first_loss, f"{first_loss} in the first 20 steps, {loss} after {steps:.0f}")
    print(f"     {steps:.0f} steps in {seconds:.1f} s: {steps / seconds:.1f} a second; "
          f"first step {number(browser, 'first')} s after the page was opened")
    gaps = browser.js("gaps")
    longest = f"{max(gaps[:compiling]):.0f} ms while the first step compiled its kernels, {max(gaps[compiling:]):.0f} ms after it"
    detail = f"{len(gaps)} in {sum(gaps) / 1000:.1f} s, half of them {sorted(gaps)[len(gaps) // 2]:.0f} ms or less, longest gap {longest}"
    # Generous: a loaded machine without a GPU compiles, draws and trains on the same cores.
    check("frames keep coming", len(gaps) > 5 * sum(gaps) / 1000 and max(gaps) < 15_000, detail)


def predict(browser, shots):
    named = {}
    for name, strokes in DRAWINGS.items():
        browser.draw(*strokes)
        named[name] = guess(browser)
        browser.screenshot(shots, name)
    right = sum(name == guessed for name, guessed in named.items())
    check("drawings are named rightly", named["ring"] == "ring" and named["cross"] == "cross" and right >= 4, named)


def teach(browser, shots):
    """Outlines of squares look like rings, until they are taught."""
    outline = [[(0.25, 0.27), (0.73, 0.25), (0.75, 0.73), (0.27, 0.75), (0.25, 0.27)]]
    for shift in (-0.05, 0, 0.05):
        browser.draw([(x + shift, y - shift / 2) for x, y in outline[0]])
        browser.click("#classes li:nth-child(3) button")
    check("drawings are counted", "square 3" in browser.js("document.getElementById('taught').textContent"))
    step = number(browser, "step")
    browser.until(f"Number(document.getElementById('step').textContent) >= {step + 60}", "it was taught")
    browser.draw(*outline)
    check("a drawing is learned", guess(browser) == "square")
    browser.screenshot(shots, "taught")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", features=[dark])
    browser.screenshot(shots, "dark")
    browser.call("Emulation.setEmulatedMedia", features=[])


def files(browser, folder):
    browser.click("#run")
    check("it pauses", browser.js("document.getElementById('run').textContent") == "Start")
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
    browser.click("#save")
    path = os.path.join(folder, "shapes.safetensors")
    deadline = time.monotonic() + 30
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.1)
    with open(path, "rb") as file:
        saved = safetensors(file.read())
    check("weights are saved", len(saved) == 6, ", ".join(saved))
    load(browser, __file__)
    browser.until("!document.getElementById('message').hidden", "a wrong file was refused")
    check("a wrong file is refused", True, browser.js("document.getElementById('message').textContent"))
    load(browser, path)
    browser.until("document.getElementById('message').hidden", "the weights were loaded")
    check("weights are loaded", browser.js("document.getElementById('message').hidden"))


def load(browser, path):
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#load")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=node, files=[os.path.abspath(path)])


def compare(browser, native, steps):
    weights = [safetensors(base64.b64decode(browser.js(f"{WEIGHTS}({n})"))) for n in (steps, steps, steps - 1)]
    check("two runs are alike to the bit", weights[0] == weights[1])
    with open(native, "rb") as file:
        apart = difference(weights[0], safetensors(file.read()))
    check(f"weights after {steps} steps", apart < TOLERANCE, f"at most {apart:.1e} from the native adapter's")
    moved = difference(weights[0], weights[2])
    check("a missing step would show", moved > 1000 * TOLERANCE, f"it moves a weight by {moved:.1e}")


COMPILE = """(async (source) => {
    window.compiler ??= await (await navigator.gpu.requestAdapter()).requestDevice();
    compiler.pushErrorScope("validation");
    const info = await compiler.createShaderModule({ code: source }).getCompilationInfo();
    const error = await compiler.popErrorScope();
    return [error?.message, ...info.messages.map(({ message, lineNum }) => `line ${lineNum}: ${message}`)].find(Boolean);
})"""


def compile_kernels(browser, folder):
    """Browsers' compilers refuse what naga takes: literals beyond f32, say. Devices have WebGPU's default limits here."""
    refused = []
    names = sorted(os.listdir(folder))
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            words = browser.js(f"{COMPILE}({json.dumps(file.read())})")
        if words:
            refused.append(f"{name}: {words}")
    check("kernels compile", names and not refused, "; ".join(refused) or f"{len(names)} modules")


def without_webgpu(browser, site):
    browser.call("Page.addScriptToEvaluateOnNewDocument", source="delete Navigator.prototype.gpu")
    browser.call("Page.navigate", url=site)
    browser.until("document.getElementById('message') && !document.getElementById('message').hidden", "it said so")
    words = browser.js("document.getElementById('message').textContent")
    check("a browser without WebGPU is told", "no WebGPU" in words, words)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("site")
    parser.add_argument("native")
    parser.add_argument("modules")
    parser.add_argument("--screenshots")
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    handler = functools.partial(Quiet, directory=arguments.site)
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site = f"http://localhost:{server.server_port}/"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(os.path.join(folder, "profile"))
        try:
            browser.call("Page.navigate", url=site)
            browser.until("document.querySelector('main:not([hidden])')", "an adapter was found")
            adapter = browser.js("document.getElementById('adapter').textContent")
            check("adapter found", adapter == "software renderer", adapter)
            train(browser, arguments.screenshots)
            predict(browser, arguments.screenshots)
            teach(browser, arguments.screenshots)
            files(browser, folder)
            compare(browser, arguments.native, arguments.steps)
            compile_kernels(browser, arguments.modules)
            check("nothing in red on the console", not browser.complaints, "; ".join(browser.complaints))
            without_webgpu(browser, site)
        finally:
            if browser.complaints:
                print("console:", *browser.complaints, sep="\n  ", file=sys.stderr)
            browser.close()
            server.shutdown()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"browser.py: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
