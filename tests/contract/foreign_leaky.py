"""A foreign bridge that puts its environment and what it is sent wherever it can.

The first argument says how: "start" fails the handshake, "check" and "report"
pretend to be an interpreter, and otherwise the command of a call says it.
"""

import json
import os
import struct
import sys
import time

HOW = sys.argv[1]
KNOWN = json.dumps(dict(os.environ))


def frame(payload):
    return struct.pack(">I", len(payload)) + payload


def write(data):
    while data:
        data = data[os.write(1, data) :]


def read():
    header = sys.stdin.buffer.read(4)
    if not header:
        sys.exit()
    return json.loads(sys.stdin.buffer.read(struct.unpack(">I", header)[0]))


def answer(reply):
    write(frame(json.dumps(reply).encode()))


def fail(request, leak):
    """A failure with the leak in every member, and in members that nobody knows."""
    members = ["error", "error_type", "traceback", "define", "forget", "event", "timestamp"]
    if HOW == "start" or request["command"] == "fail":
        members = ["error", "error_type", "traceback", "timestamp", "mine"]
    told = dict.fromkeys(members, leak)
    answer({"id": request["id"], "success": False, "details": {leak: [leak]}, **told})


if HOW == "report":
    print(json.dumps({"problems": [KNOWN, "a problem"]}))
    sys.exit(1)

if HOW == "check":
    print(KNOWN, file=sys.stderr, flush=True)
    print(KNOWN)
    sys.exit(1)

while True:
    request = read()
    leak = f"{KNOWN} {json.dumps(request)}"
    command, said = request["command"], (request.get("args") or {}).get("said", "")
    print(leak, file=sys.stderr, flush=True)
    if HOW == "start" or command in ("fail", "fail oddly"):
        fail(request, leak)
    elif command == "fail as":
        answer({"id": request["id"], "success": False, "error": "no", "error_type": said})
    elif command == "garbage":
        write(frame((said + leak).encode()))
        time.sleep(3600)
    elif command == "unasked":
        answer({"success": True, "result": leak, "id": 10**6})
        time.sleep(3600)
    elif command == "half":
        write(struct.pack(">I", 10**6) + (said + leak).encode()[:4096])
        sys.exit(1)
    elif command == "result":
        answer({"id": request["id"], "success": True, "result": said})
    else:
        answer({"id": request["id"], "success": True, "result": {}})
