"""`python -m bridge TARGET`: serve a bridge on stdin and stdout, or check its environment."""

from __future__ import annotations

import argparse
import logging
import sys

from bridge.check import check
from bridge.ending import StopSignal, drop_unwritable_output, watch_for_end_of_file
from bridge.frames import DEFAULT_MAX_FRAME_BYTES
from bridge.messages import to_json
from bridge.serve import Identity, Server
from bridge.stdio import take_stdio
from bridge.target import load
from bridge.wire import Wire


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bridge", description=__doc__)
    parser.add_argument("target", help="package.module or package.module:name")
    parser.add_argument("--mode", choices=["standalone", "pool-worker"], default="standalone")
    parser.add_argument("--worker-id", help="the name this process answers to")
    parser.add_argument("--max-frame-bytes", type=int, default=DEFAULT_MAX_FRAME_BYTES)
    parser.add_argument("--check", action="store_true", help="validate, print JSON and exit")
    parser.add_argument("--requires", action="append", default=[], metavar="DISTRIBUTION")
    parser.add_argument("--requires-env", action="append", default=[], metavar="VARIABLE")
    return parser.parse_args()


def main() -> int:
    """Run the command line; return the exit status."""
    arguments = _arguments()
    if arguments.check:
        report = check(arguments.target, arguments.requires, arguments.requires_env)
        print(to_json(report).decode())
        return 0 if report["ok"] else 1
    return _serve(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    stop = StopSignal()
    stop.install()
    read_fd, write_fd = take_stdio()
    # Before user code is imported: an import may take long, and the pool may die meanwhile.
    watch_for_end_of_file(read_fd)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    bridge = load(arguments.target)
    wire = Wire(read_fd, write_fd, arguments.max_frame_bytes)
    identity = Identity(arguments.mode, arguments.worker_id)
    status = Server(bridge, wire, stop, identity).run()
    drop_unwritable_output()
    return status


if __name__ == "__main__":
    sys.exit(main())
