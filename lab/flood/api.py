"""The API: ten places of 100 ms, so exactly 100 requests a second, and a queue that never refuses. Run by itself; says
on standard output what it bore when its input ends."""

from __future__ import annotations

import asyncio
import json
import sys
import time

SLOTS, WORK_S = 10, 0.1
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n" + b'{"items":[]}'
LARGE_BYTES = 2 << 20
"""Of `/export`, for readers that are slow."""
LARGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % LARGE_BYTES + b"x" * LARGE_BYTES


class Api:
    def __init__(self) -> None:
        self.places = asyncio.Semaphore(SLOTS)
        self.working = self.under_way = 0
        self.working_most = self.under_way_most = 0
        self.served: dict[int, int] = {}
        """By second."""
        self.under_way_by_s: dict[int, int] = {}

    async def work(self) -> None:
        self.under_way += 1
        second = int(time.monotonic())
        self.under_way_most = max(self.under_way_most, self.under_way)
        self.under_way_by_s[second] = max(self.under_way_by_s.get(second, 0), self.under_way)
        try:
            async with self.places:
                self.working += 1
                self.working_most = max(self.working_most, self.working)
                await asyncio.sleep(WORK_S)
                self.working -= 1
        finally:
            self.under_way -= 1
        second = int(time.monotonic())
        self.served[second] = self.served.get(second, 0) + 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lower = head.lower()
                if b"content-length:" in lower:
                    await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
                await self.work()
                writer.write(LARGE if head.startswith(b"GET /export") else ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


async def main(port: int) -> None:
    api = Api()
    server = await asyncio.start_server(api.serve, "127.0.0.1", port, backlog=1024)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started it closes it
    server.close()
    print(json.dumps({"working_most": api.working_most, "under_way_most": api.under_way_most,
                      "served_most": max(api.served.values(), default=0), "served": sum(api.served.values()),
                      "under_way_by_s": api.under_way_by_s, "served_by_s": api.served}), flush=True)  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
