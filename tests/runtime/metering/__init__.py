"""What calls use, and limits of it."""
