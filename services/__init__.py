"""The worker services: training, analyzer, evaluator and stream, each its own process."""
