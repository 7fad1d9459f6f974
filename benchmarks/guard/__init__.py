"""The guard against slow regressions: instructions, not seconds, so that a busy machine changes nothing.

python -m benchmarks.guard              fail if a kernel needs over 5 % more instructions than its baseline says
python -m benchmarks.guard --renew      write the baseline of this compiler and Python

loops          the kernels, each over a fixed loop, run under valgrind
baseline/      one JSON file for each compiler, Python and processor family
"""
