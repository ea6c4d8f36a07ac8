"""Text from models: loading, templates and decoding, for every engine that generates; imported by engines only."""
