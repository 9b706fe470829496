"""One sample in a process of its own: `python -m benchmarks.once BENCHMARK CONTENDER SETTINGS FD`.

SETTINGS is a JSON object, the keyword arguments of the benchmark's `measure`. The answer is written
to the descriptor FD as a line of JSON, before the contender is closed.
Pools of functions import this module again in each worker: hence nothing stands at its top.
"""

if __name__ == "__main__":
    import sys

    from benchmarks.taking import main

    main(*sys.argv[1:])
