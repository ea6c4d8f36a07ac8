"""What this service hangs on the trainer's hooks: figures out, checkpoints sealed, orders in."""
