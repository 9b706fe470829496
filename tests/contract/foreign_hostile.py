"""A foreign bridge that floods and garbles, as the command of a call says.

Floods go on until nobody reads any more; then the process ends.
"""

import json
import os
import signal
import struct
import sys
import time

MEGABYTE = 1024 * 1024
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGTERM, signal.SIG_IGN)


def frame(payload):
    return struct.pack(">I", len(payload)) + payload


def write(data, fd=1):
    while data:
        data = data[os.write(fd, data) :]


def flood(data, fd=1):
    while True:
        write(data, fd)


def read():
    header = sys.stdin.buffer.read(4)
    if not header:
        sys.exit()
    return json.loads(sys.stdin.buffer.read(struct.unpack(">I", header)[0]))


def reply(call, **members):
    return frame(json.dumps({"id": call, "success": True, "result": {}, **members}).encode())


def fail(call, **members):
    return reply(call, success=False, **members)


def linger():
    time.sleep(3600)


# Floods


def second_answers(call):
    flood(reply(call) * 1000)


def items(call):
    flood(frame(b'{"id":%d,"event":""}' % call) * 1000)


def empty_frames(call):
    flood(b"\0" * MEGABYTE)


def endless_frame(call):
    write(struct.pack(">I", MEGABYTE))
    while True:
        write(b" ")
        time.sleep(0.001)


def stderr_bytes(call):
    flood(b"x" * MEGABYTE, fd=2)


def stderr_lines(call):
    flood(b"\n" * MEGABYTE, fd=2)


def answers_after_its_end(call):
    """A child of its own, in another process group, writes on when it has ended."""
    if os.fork() == 0:
        os.setsid()
        flood(frame(b'{"id":%d,"event":""}' % call) * 1000)
    time.sleep(0.05)
    os._exit(3)


def lines_after_its_end(call):
    if os.fork() == 0:
        os.setsid()
        flood(b"\n" * MEGABYTE, fd=2)
    time.sleep(0.05)
    os._exit(3)


# Sizes


def long_error(call):
    text = "begins" + "\x00é" * MEGABYTE
    write(fail(call, error=text, error_type=text[:100_000], details=[text]))


def wide_error(call):
    many = [[]] * (MEGABYTE // 2)
    write(fail(call, error=many, error_type=many, traceback=many, details=many))


def wide_members(call):
    """Members of ours in which a foreign bridge means something else."""
    many = [[]] * (MEGABYTE // 2)
    write(reply(call, wrapped=many, event=None, forget_all=many, timestamp=many))


def large_handshake(call):
    write(reply(call, result={"capabilities": ["define"] * MEGABYTE}))


# Garbage

GARBAGE = {
    "not JSON": b"\x00\x01",
    "not UTF-8": b'{"id":%d,"success":false,"error":"\xff"}',
    "a lone surrogate": b'{"id":%d,"success":false,"error_type":"\\ud800","error":""}',
    "NaN": b'{"id":%d,"success":true,"result":NaN}',
    "deep": b'{"id":%d,"success":true,"result":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "a huge id": b'{"id":%d' + b"0" * 3000 + b',"success":true}',
    "a very huge id": b'{"id":%d' + b"0" * 10**6 + b',"success":true}',
    "a fractional id": b'{"id":%d.5,"success":true}',
    "a negative id": b'{"id":-%d,"success":true}',
    "an id twice": b'{"id":%d,"id":null,"success":true}',
    "no id": b'{"success":true}',
    "a list": b"[%d]",
    "half": b'{"id":%d,"success":true',
    "forgets too much": b'{"id":%d,"success":true,"forget":[' + b'"",' * MEGABYTE + b'""]}',
    "forgets nonsense": b'{"id":%d,"success":true,"forget":[1]}',
    "defines nonsense": b'{"id":%d,"success":true,"define":{"key":1}}',
    "a long key": b'{"id":%d,"success":true,"define":{"version":"1","definition":1,"key":"'
    + b"x" * 5000
    + b'"}}',
}


def garbage(call, kind):
    write(frame(GARBAGE[kind].replace(b"%d", str(call).encode())))
    linger()


HOW = sys.argv[1] if len(sys.argv) > 1 else ""

while True:
    request = read()
    call, command, args = request["id"], request["command"], request.get("args") or {}
    if call == 0 and HOW == "large_handshake":
        large_handshake(call)
    elif call == 0:
        write(reply(call, result={"capabilities": ["define"]}))
    elif command == "garbage":
        garbage(call, args["kind"])
    elif command in globals():
        globals()[command](call)
    else:
        write(reply(call, result=args))
