"""The user's side without a server."""
