"""One sample of `bench_start`, in a process of its own, so that everything is cold.

`python -m benchmarks.start_once MODE CONTENDER WORKLOAD SIZE API_BASE FD` writes JSON
to the descriptor FD.
Pools of functions import this module again in each worker: hence nothing stands at its top.
"""

if __name__ == "__main__":
    from benchmarks.sampling import main

    main()
