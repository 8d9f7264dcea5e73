"""Access to the service: tokens with roles, sessions of browsers, limits, and the audit log."""
