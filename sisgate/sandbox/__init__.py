"""Simulated SIS servers, real HTTP, for integrators, demos, tests and benchmarks.

One process serves any number of districts, each on its own port and in its own dialect
(`powerschool`, `infinite_campus`, `skyward`, `oneroster`). Data is made on demand from the
district's seed, so a million students cost no memory, and two processes with one seed serve the
same bytes. A strict sliding window is the district's quota; every call counts.

Start it from a shell::

    python -m sisgate.sandbox --districts powerschool:5000,infinite_campus:4200,skyward:3400

or from a program::

    with SandboxProcess(SandboxSpec()) as sandbox:
        sandbox.districts["powerschool"].url
        sandbox.churn("powerschool", resource="students", delete=3)
        sandbox.knobs("powerschool", fail_next=[503, "reset"])
        sandbox.stats("powerschool")["throttled"]

Every port has a control plane under `/sandbox`, which needs no token and spends no quota:

======  ======================  ==========================================================
GET     /sandbox                kind, sizes and knobs
GET     /sandbox/stats          what arrived; `?arrivals=1` adds every arrival's time
PATCH   /sandbox/knobs          behaviour, see `sisgate.sandbox.knobs.Knobs`
POST    /sandbox/churn          insert, update and delete rows, see `sisgate.sandbox.churn`
POST    /sandbox/tokens/expire  end every token now: the next call gets the expired 401
POST    /sandbox/reset          data, knobs, quota and statistics as at the start
======  ======================  ==========================================================
"""

from sisgate.sandbox.process import RunningDistrict, SandboxProcess
from sisgate.sandbox.spec import DEFAULT_DISTRICTS, DistrictSpec, SandboxSpec

__all__ = ["DEFAULT_DISTRICTS", "DistrictSpec", "RunningDistrict", "SandboxProcess", "SandboxSpec"]
