"""Parts of a sweep as plain data: settings and their spaces, runs, packs, the spec."""
