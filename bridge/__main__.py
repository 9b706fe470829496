"""`python -m bridge TARGET`: serve a bridge on stdin and stdout, or check its environment."""

from __future__ import annotations

import argparse
import sys

from bridge.check import check
from bridge.frames import DEFAULT_MAX_FRAME_BYTES
from bridge.memory import Memory
from bridge.messages import to_json
from bridge.process import catch_signals, send_logs_to_stderr, serve_bridge
from bridge.serve import Identity
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
    parser.add_argument("--template-lifeline", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--memory-fds", type=int, nargs=2, metavar="FD", help=argparse.SUPPRESS)
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
    if arguments.template_lifeline is not None:
        # Not at the top: a spawned worker, which starts often, has no use for it.
        from bridge.template import run_template

        run_template(arguments.target, arguments.template_lifeline)
    return _serve(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    stop = catch_signals()
    memory = None
    if arguments.memory_fds is not None:
        memory = Memory(arguments.memory_fds, arguments.max_frame_bytes)
    wire = Wire(*take_stdio(), arguments.max_frame_bytes, memory)
    send_logs_to_stderr()
    identity = Identity(arguments.mode, arguments.worker_id)
    return serve_bridge(lambda: load(arguments.target), wire, stop, identity)


if __name__ == "__main__":
    sys.exit(main())
