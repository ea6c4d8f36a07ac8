"""The training service: recipes in, LLaMA-Factory runs out."""
