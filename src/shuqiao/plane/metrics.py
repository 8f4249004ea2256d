"""Counters and times of one worker, in the text format of Prometheus."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts in plain integers; a worker is one thread, so nothing needs a lock."""

    def __init__(self) -> None:
        """Start at zero."""
        self.calls: Counter[tuple[str, str]] = Counter()
        self.batches: Counter[str] = Counter()
        self.batched_calls: Counter[str] = Counter()
        self.reloads = 0
        self._times = [0] * (len(_BUCKETS_S) + 1)
        self._time_sum_s = 0.0

    def count_call(self, operation: str, outcome: str, duration_s: float) -> None:
        """Count one answered or refused call."""
        self.calls[operation, outcome] += 1
        self._times[bisect_left(_BUCKETS_S, duration_s)] += 1
        self._time_sum_s += duration_s

    def count_batch(self, operation: str, size: int) -> None:
        """Count one statement and the calls it served."""
        self.batches[operation] += 1
        self.batched_calls[operation] += size

    def render(self, *, epoch: int, waiting: int, faults: int) -> str:
        """Write everything, with the state of this moment."""
        worker = f'worker="{os.getpid()}"'
        lines = ["# TYPE shuqiao_plane_calls_total counter"]
        for (operation, outcome), count in sorted(self.calls.items()):
            labels = f'{worker},operation="{operation}",outcome="{outcome}"'
            lines.append(f"shuqiao_plane_calls_total{{{labels}}} {count}")
        for name, counts in (("batches", self.batches), ("batched_calls", self.batched_calls)):
            lines.append(f"# TYPE shuqiao_plane_{name}_total counter")
            for operation, count in sorted(counts.items()):
                labels = f'{worker},operation="{operation}"'
                lines.append(f"shuqiao_plane_{name}_total{{{labels}}} {count}")
        lines += self._histogram(worker)
        for name, value in (("epoch", epoch), ("waiting_calls", waiting), ("untrusted_rows", faults)):
            lines.append(f"# TYPE shuqiao_plane_{name} gauge")
            lines.append(f"shuqiao_plane_{name}{{{worker}}} {value}")
        lines.append("# TYPE shuqiao_plane_reloads_total counter")
        lines.append(f"shuqiao_plane_reloads_total{{{worker}}} {self.reloads}")
        return "\n".join(lines) + "\n"

    def _histogram(self, worker: str) -> list[str]:
        name = "shuqiao_plane_call_seconds"
        lines = [f"# TYPE {name} histogram"]
        total = 0
        for bound, count in zip((*_BUCKETS_S, float("inf")), self._times, strict=True):
            total += count
            edge = "+Inf" if bound == float("inf") else str(bound)
            lines.append(f'{name}_bucket{{{worker},le="{edge}"}} {total}')
        lines.append(f"{name}_sum{{{worker}}} {self._time_sum_s:.6f}")
        lines.append(f"{name}_count{{{worker}}} {total}")
        return lines
