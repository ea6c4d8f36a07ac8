"""`/v1`: what OpenAI's clients ask, in their words."""
