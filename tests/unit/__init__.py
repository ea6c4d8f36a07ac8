"""Pure logic: no process, no socket."""
