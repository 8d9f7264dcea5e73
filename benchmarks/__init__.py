"""Measurements that a user can repeat; none of them is a test."""
