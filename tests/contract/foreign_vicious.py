"""A foreign bridge with the vices seen in a real one, in plain standard-library Python.

Ignores SIGTERM, ignores end of file and spins, acknowledges `shutdown`
without exiting, sends no reply to a bad frame, answers late, reports a
failure as success, answers with things that are no objects, dies in the
middle of a frame, and prints onto stdout.
"""

import json
import os
import signal
import struct
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)


def read(size):
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data))  # at end of file this spins for ever
    return data


def answer(call_id, result):
    reply = {"id": call_id, "success": True, "result": result, "timestamp": time.time()}
    payload = json.dumps(reply).encode()
    os.write(1, struct.pack(">I", len(payload)) + payload)


while True:
    frame = read(struct.unpack(">I", read(4))[0])
    try:
        request = json.loads(frame)
        command, args = request["command"], request.get("args") or {}
    except Exception:
        continue
    if command == "late":
        time.sleep(args["seconds"])
        answer(request["id"], {"late": True})
    elif command == "fail":
        answer(request["id"], {"error": "it failed"})
    elif command == "scalar":
        answer(request["id"], args["value"])
    elif command == "half":
        os.write(1, struct.pack(">I", 100) + b'{"id"')
        os._exit(0)
    elif command == "print":
        print("hello on stdout", flush=True)
        answer(request["id"], {})
    else:
        answer(request["id"], args)
