"""What users can ask for, one unit of work each; no HTTP, no SQL."""
