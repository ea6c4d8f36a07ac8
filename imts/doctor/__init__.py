"""`imts doctor`: looks at everything that a mesh needs, and says what to do."""
