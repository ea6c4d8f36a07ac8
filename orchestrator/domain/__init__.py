"""What jobs are and what is decided about them, without any I/O."""
