"""Take the README's pictures of a study: its report, its runs in MLflow, and its model there.

python docs/pictures.py studies/loss_weights http://127.0.0.1:5000, while `make ui` runs.
"""

import asyncio
import base64
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from mlflow import MlflowClient
from PIL import Image

TO = Path(__file__).parent / "pictures"
BROWSER = (
    "chromium-headless-shell --no-sandbox --hide-scrollbars --remote-debugging-port=0 about:blank"
)
# MLflow's assistant takes a quarter of its page, and what is for language models the left.
SETTINGS = """localStorage.setItem("mlflow.assistant.panelOpen_v1", "false")
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"')"""
# The trials below the study, and of all charts that MLflow shows of its own accord, the heads'.
CHARTS = """{document.querySelector("[data-component-id*=runnamecellrenderer]")?.click()
const search = document.querySelector("input[placeholder*='metric charts']")
const value = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")
if (search) value.set.call(search, "^val/(acc_mean|.*_acc)$")
if (search) search.dispatchEvent(new Event("input", {bubbles: true}))}"""
OLDEST_FIRST = "&orderByKey=attributes.start_time&orderByAsc=true"
SECONDS, COLOURS = 10, 256  # until a page is there; of a picture


def pages(study: Path, ui: str) -> Iterator[tuple[str, str, int]]:
    """Name, address and height in pixels of each picture."""
    client = MlflowClient(ui)
    number = client.get_experiment_by_name(study.name).experiment_id
    (run,) = client.search_runs([number], f"tags.mhray.study = '{study.name}'")
    (version,) = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    yield "report", f"file://{study.absolute()}/report/index.html", 1200
    runs = f"{ui}/#/experiments/{number}/runs?compareRunsMode=CHART{OLDEST_FIRST}"
    yield "mlflow_runs", runs, 800
    yield "mlflow_model", f"{ui}/#/models/{version.name}", 1150


async def shot_of(port: str, url: str, height: int) -> bytes:
    """A page in the browser that listens at a port, as PNG."""
    screen = {"width": 1200, "height": height, "deviceScaleFactor": 1, "mobile": False}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        (page,) = await (await session.get("/json")).json()
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            await ask(socket, "Page.enable")
            await ask(socket, "Page.addScriptToEvaluateOnNewDocument", source=SETTINGS)
            await ask(socket, "Emulation.setDeviceMetricsOverride", **screen)
            for place in ("about:blank", url, "about:blank", url):  # the first shows the assistant
                await ask(socket, "Page.navigate", url=place)
                await asyncio.sleep(SECONDS if place == url else 0)
            await ask(socket, "Runtime.evaluate", expression=CHARTS)
            await asyncio.sleep(SECONDS)
            shot = await ask(socket, "Page.captureScreenshot")
            await ask(socket, "Browser.close")
    return base64.b64decode(shot["data"])


async def ask(socket: aiohttp.ClientWebSocketResponse, method: str, **parameters: object) -> dict:
    """What the browser answers."""
    await socket.send_json({"id": 1, "method": method, "params": parameters})
    while (answer := await socket.receive_json()).get("id") != 1:
        pass
    return answer["result"]


for name, url, height in pages(Path(sys.argv[1]), sys.argv[2]):
    with subprocess.Popen(BROWSER.split(), stderr=subprocess.PIPE, text=True) as browser:  # noqa: S603
        found = (re.search(r"ws://127.0.0.1:(\d+)/", line) for line in browser.stderr)
        shot = asyncio.run(shot_of(next(filter(None, found))[1], url, height))
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS)
    picture.save(TO / f"{name}.png", optimize=True)
