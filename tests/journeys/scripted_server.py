"""A server of a scripted model on a port of its own, in a thread of the tests."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from fireside.testing.scripted_model import ScriptedModel, serve


@contextmanager
def serving(model: ScriptedModel) -> Iterator[dict[str, str]]:
    """Serve a model under the name `scripted`; gives the settings with which Fireside offers it, and no other."""
    started, url = threading.Event(), ""

    async def run() -> None:
        nonlocal url
        # like real engines, it stops when whoever asks hangs up
        runner = web.AppRunner(serve(model), handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = "http://{}:{}".format(*runner.addresses[0])
        started.set()
        try:
            await asyncio.get_running_loop().run_in_executor(None, ended.wait)
        finally:
            await runner.cleanup()

    ended = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert started.wait(10)
        servers = [{"url": url, "models": ["scripted"], "answer_style": "write"}]
        yield {"FIRESIDE_INFERENCE_ENGINE": "off", "FIRESIDE_INFERENCE_SERVERS": json.dumps(servers)}
    finally:
        ended.set()
        thread.join(20)
