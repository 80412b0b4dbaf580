"""A second opinion on a whole answer: the standards read plainly and slowly, sharing no code with what it judges."""
