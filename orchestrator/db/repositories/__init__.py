"""One repository a noun: rows in, domain objects out."""
