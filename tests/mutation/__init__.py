"""Mutation testing of the checks: each rule is bent or taken out once, and a test must notice."""
