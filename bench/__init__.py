"""Benchmarks: limit, peers and ours in the same run, interleaved, medians of several rounds."""
