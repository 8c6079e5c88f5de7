"""The parts of benchmarks/on_gpu.sh: each writes one JSON line for each figure, as soon as it has it."""
