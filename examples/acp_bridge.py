"""For an editor that only starts programs: ACP on stdin and stdout, passed on to a hub's WebSocket.

    PUNIE_HUB_TOKEN=... python examples/acp_bridge.py ws://127.0.0.1:8765/acp

Each line is one message in both directions. Ends when either side does.
"""

import asyncio
import os
import sys

import aiohttp

LONGEST = 8 * 1024 * 1024
"""Bytes in one message."""


async def main(url: str) -> None:
    """Pass messages on until one side ends."""
    lines = asyncio.StreamReader(limit=LONGEST)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    headers = {"Authorization": f"Bearer {os.environ['PUNIE_HUB_TOKEN']}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(url, max_msg_size=LONGEST) as socket,
    ):

        async def up() -> None:
            async for line in lines:
                await socket.send_str(line.decode(errors="replace").rstrip("\n"))

        async def down() -> None:
            async for message in socket:
                sys.stdout.write(f"{message.data}\n")
                sys.stdout.flush()

        tasks = {asyncio.create_task(up()), asyncio.create_task(down())}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


asyncio.run(main(sys.argv[1]))
