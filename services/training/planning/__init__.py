"""What a training would take: its tokens, its steps and its memory, worked out without doing it."""
