"""Keys: published vectors, and each rule of reading them broken once."""
