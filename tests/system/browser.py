"""A headless Chromium, driven by its DevTools protocol over a pair of pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PATIENCE = 30.0
"""Seconds that a browser gets to end by itself."""


_EXEC = """
import fcntl, os, sys
commands, messages = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(messages, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
# A browser takes commands from descriptor 3 and answers on 4.


class Browser:
    """One page. Messages are JSON with a zero byte after each (`--remote-debugging-pipe`)."""

    def __init__(self, commands: IO[bytes], messages: IO[bytes]) -> None:
        self._commands = commands
        self._messages = messages
        self._rest = b""
        self._ids = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Do something and return what comes of it; events that come before are kept."""
        self._ids += 1
        message = {"id": self._ids, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._ids:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, event: str) -> dict[str, Any]:
        """Wait for an event that has not come yet."""
        while True:
            message = self._next()
            self.events.append(message)
            if message.get("method") == event:
                params: dict[str, Any] = message["params"]
                return params

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = self._messages.read(1 << 16)
            if not data:
                raise EOFError("the browser is gone")
            self._rest += data
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def close(self) -> None:
        self._session = None
        self.do("Browser.close")

    # A page

    def open(self, path: Path) -> None:
        """Show a file, and return when all of it is there."""
        self.do("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired")

    def show(self, width: int, scheme: str = "light") -> None:
        """Be so many pixels wide, as a telephone or a screen."""
        small = width < 700
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=844 if small else 900,
            deviceScaleFactor=1,
            mobile=small,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.do("Emulation.setEmulatedMedia", features=[feature])

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """The whole page, as PNG."""
        answer = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def pdf(self) -> bytes:
        answer = self.do("Page.printToPDF", printBackground=True)
        return base64.b64decode(answer["data"])

    def requests(self) -> list[str]:
        """The addresses that anything was asked of, but for what is in the page itself."""
        asked = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        urls = [event["params"]["request"]["url"] for event in asked]
        return [url for url in urls if not url.startswith("data:")]

    def complaints(self) -> list[dict[str, Any]]:
        """Errors and warnings on the console."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event["method"] in kinds]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run Chromium with its files in the folder `profile`."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed: apt-get install chromium"
    commands_in, commands = os.pipe()
    messages, messages_out = os.pipe()
    arguments = [
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"),
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", _EXEC, str(commands_in), str(messages_out), program, *arguments],
        pass_fds=(commands_in, messages_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
    )
    os.close(commands_in)
    os.close(messages_out)
    try:
        with os.fdopen(commands, "wb", 0) as write, os.fdopen(messages, "rb", 0) as read:
            page = Browser(write, read)
            yield page
            page.close()
            process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
