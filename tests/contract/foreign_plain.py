"""A bridge in plain standard-library Python, with none of our code."""

import json
import struct
import sys
import time

out = sys.stdout.buffer
while header := sys.stdin.buffer.read(4):
    request = json.loads(sys.stdin.buffer.read(struct.unpack(">I", header)[0]))
    reply = {"id": request["id"], "success": True, "timestamp": time.time()}
    if request["command"] == "ping":
        reply["result"] = {"status": "ok"}
    elif request["command"] == "echo":
        reply["result"] = request.get("args")
    else:
        reply |= {"success": False, "error": f"Unknown command: {request['command']}"}
    payload = json.dumps(reply).encode()
    out.write(struct.pack(">I", len(payload)) + payload)
    out.flush()
