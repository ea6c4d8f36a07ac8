"""A TensorBoard log folder as a run: read as it is written, without TensorBoard."""
