"""Who is told of jobs over HTTP, what they are told, and what becomes of it."""
