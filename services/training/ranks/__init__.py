"""Several processes that train one model together: how they are started, told, kept in step and heard."""
