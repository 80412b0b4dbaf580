"""The catalogue: which credentials a city issues, as YAML files that a department can read and change."""
