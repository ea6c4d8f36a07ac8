"""What crosses a wire, and nothing else."""
