"""Runs a peer in turns: run.py of the peers' folder as it is, with its measuring told what to do by lines on standard
input, `burst SECONDS` and `next`. Answers are JSON lines; the last one is what run.py prints.

python -c SOURCE FOLDER WORKLOAD PEER THREADS
"""
import json
import os
import runpy
import statistics
import sys
import time

folder, workload, peer, threads = sys.argv[1:5]
# As run.py does, but before numpy is imported: libraries read these when they are loaded.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(threads)])
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = threads
sys.path.insert(0, folder)
phases = ["primal", "derivative"]
jobs = []


def say(**message):
    print(json.dumps(message), flush=True)


def burst(call, seconds):
    """The seconds of a call, by the same rules as our own worker's."""
    start = time.perf_counter()
    call()
    one = time.perf_counter() - start
    samples = [one] if one >= 0.05 else []
    batch = max(1, int(5e-4 / max(one, 1e-9)))
    start = time.perf_counter()
    while not samples or one + time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        for _ in range(batch):
            call()
        samples.append((time.perf_counter() - begin) / batch)
    return statistics.median(samples)


def sample(call, min_time):
    """In place of harness.sample."""
    say(phase=phases.pop())
    found = []
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "next":
            break
        found.append(burst(call, float(rest[0])))
        say(seconds=found[-1] / jobs[-1].inner)
    return found or [0.0]


try:
    import data
    import harness
except Exception as e:
    say(error=f"{type(e).__name__}: {e}")
    sys.exit(1)
load, measure = data.load, harness.measure


def load_all(name):
    """In place of data.load: our files name no absent values, and W4s has no `us`."""
    found = load(name)
    if name == "W4s":
        found.setdefault("us", None)
    return found


def measure_and_keep(build, min_time):
    """In place of harness.measure: how many evaluations a call of the peer's does stands in its job."""
    def built():
        jobs.append(build())
        return jobs[-1]
    return measure(built, min_time)


data.load, harness.sample, harness.measure = load_all, sample, measure_and_keep
sys.argv = ["run.py", workload, peer, "--threads", threads]
runpy.run_path(os.path.join(folder, "run.py"), run_name="__main__")
