"""Control plane: jobs, registry and the reconciler that makes the world match them."""
