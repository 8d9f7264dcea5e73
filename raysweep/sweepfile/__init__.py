"""Reading and checking of sweep files, from YAML to a `Spec`."""
