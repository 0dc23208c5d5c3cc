"""The behaviour of each port, written once and inherited by the test of every adapter."""
