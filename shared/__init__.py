"""What every part of the mesh may use: contracts, plumbing, data sets, workers, language models."""
