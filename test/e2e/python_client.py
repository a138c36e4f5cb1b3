"""Drives a running daemon with python3-websockets, a WebSocket implementation that this project did not write.

usage: python_client.py ws://HOST:PORT/v1/maps/MAP/produce SCENARIO
Prints one JSON object. Understands python3-websockets from Debian 12 (10.4) on.
"""

import asyncio
import json
import sys

import websockets

connect = websockets.connect


async def plain(url):
    """Text, binary, empty and fragmented messages, then Close: its answer says that all of them are stored."""
    socket = await connect(url, max_size=None)
    await socket.send("text \u2713")
    await socket.send(bytes([0, 255, 1]))
    await socket.send("")
    await socket.send(["in ", "three ", "pieces"])
    await socket.close()
    return {"code": socket.close_code, "reason": socket.close_reason, "subprotocol": socket.subprotocol}


async def plain_full(url):
    """More than the ring holds: the daemon pauses this socket until somebody drains."""
    socket = await connect(url, max_size=None, close_timeout=30)
    for mark in range(20):
        await socket.send(bytes([mark]) * 1000)
    await socket.close()
    return {"code": socket.close_code}


async def json_mode(url):
    """The operations of JSON mode and one refusal; ends in a protocol error."""
    replies = []
    socket = await connect(url, subprotocols=["ringbuf.v1.json"])

    async def hear():
        replies.append(json.loads(await asyncio.wait_for(socket.recv(), 10)))

    async def ask(request, answers=1):
        await socket.send(json.dumps(request))
        for _ in range(answers):
            await hear()

    await hear()
    await ask({"op": "output", "seq": 1, "samples": ["hi", {"b64": "AAE="}]})
    await ask({"op": "reserve", "seq": 7, "size": 3})
    await ask({"op": "submit", "seq": 8, "position": replies[-1]["position"], "sample": "abc"})
    await ask({"op": "watch", "seq": 9, "min_free": 8}, answers=2)
    await ask({"op": "discard", "seq": 10, "position": "8"})
    await ask({"op": "query", "seq": "18446744073709551615"})
    await ask({"op": "output", "seq": 5, "samples": ["gap"]})
    await socket.wait_closed()
    return {
        "subprotocol": socket.subprotocol,
        "replies": replies,
        "code": socket.close_code,
        "reason": socket.close_reason,
    }


async def main():
    url, scenario = sys.argv[1:]
    run = {"plain": plain, "plain_full": plain_full, "json": json_mode}[scenario]
    print(json.dumps(await asyncio.wait_for(run(url), 30)))


asyncio.run(main())
