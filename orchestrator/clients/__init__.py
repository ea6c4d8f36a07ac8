"""Other services of the mesh, as the domain sees them."""
